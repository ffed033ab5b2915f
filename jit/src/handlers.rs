//! Where the calls of a function lead if an exception comes out of them.
//!
//! A call whose exceptions are caught in the function has a place where the code goes on, with the stack pointer as it is at
//! the call. All other calls have none: exceptions go on to the caller.
//!
//! On disk a function's table is three words of 32 bits for each such call.

use std::iter;

/// What becomes of an exception that comes out of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handler {
    /// The offset in the code that the call returns to.
    pub returns_to: u32,
    /// The offset in the code where exceptions go on.
    pub code: u32,
    /// How many bytes the stack pointer is below the frame pointer at the call.
    pub distance: u32,
}

impl Handler {
    /// Bytes on disk.
    pub(crate) const BYTES: usize = 12;

    fn to_bytes(self) -> [u8; Handler::BYTES] {
        let mut bytes = [0; Handler::BYTES];
        let words = [self.returns_to, self.code, self.distance];
        iter::zip(bytes.as_chunks_mut::<4>().0, words).for_each(|(place, word)| *place = word.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; Handler::BYTES]) -> Handler {
        let word = |at: usize| u32::from_le_bytes(bytes.as_chunks::<4>().0[at]);
        Handler { returns_to: word(0), code: word(1), distance: word(2) }
    }
}

/// The handler of the call that returns to the offset `at`. The handlers are in the order of the calls.
pub(crate) fn handler_at(handlers: &[Handler], at: u32) -> Option<Handler> {
    let index = handlers.binary_search_by_key(&at, |handler| handler.returns_to).ok()?;
    Some(handlers[index])
}

/// Appends handlers to bytes.
pub(crate) fn write(handlers: &[Handler], out: &mut Vec<u8>) {
    handlers.iter().for_each(|handler| out.extend(handler.to_bytes()));
}

/// Handlers as bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredHandlers<'a>(&'a [[u8; Handler::BYTES]]);

impl<'a> StoredHandlers<'a> {
    /// What is in `bytes`, which [are sound](Self::are_sound).
    pub(crate) fn new(bytes: &'a [u8]) -> StoredHandlers<'a> {
        StoredHandlers(bytes.as_chunks().0)
    }

    /// See [`handler_at`].
    pub(crate) fn at(self, at: u32) -> Option<Handler> {
        let index = self.0.binary_search_by_key(&at, |bytes| Handler::from_bytes(bytes).returns_to).ok()?;
        Some(Handler::from_bytes(&self.0[index]))
    }

    /// All of them.
    pub(crate) fn iter(self) -> impl Iterator<Item = Handler> + use<'a> {
        self.0.iter().map(Handler::from_bytes)
    }

    /// Whether `bytes` can be those of a function with so many bytes of code and of its frame.
    pub(crate) fn are_sound(bytes: &'a [u8], code_len: u32, frame: u32) -> bool {
        let handlers = StoredHandlers::new(bytes);
        let is_sound = |handler: Handler| {
            (1..=code_len).contains(&handler.returns_to)
                && handler.code < code_len
                && handler.distance <= frame
                && handler.distance.is_multiple_of(16)
        };
        bytes.len().is_multiple_of(Handler::BYTES)
            && handlers.iter().is_sorted_by(|a, b| a.returns_to < b.returns_to)
            && handlers.iter().all(is_sound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_found() {
        let handler = |returns_to| Handler { returns_to, code: returns_to + 1, distance: 16 };
        let handlers = [3, 7, 8].map(handler);
        let mut bytes = Vec::new();
        write(&handlers, &mut bytes);
        let stored = StoredHandlers::new(&bytes);
        assert!(stored.iter().eq(handlers));
        for at in 0..10 {
            let expected = [3, 7, 8].contains(&at).then(|| handler(at));
            assert_eq!((handler_at(&handlers, at), stored.at(at)), (expected, expected));
        }
        assert!(StoredHandlers::are_sound(&bytes, 10, 16));
        for (code_len, frame) in [(9, 16), (10, 15)] {
            assert!(!StoredHandlers::are_sound(&bytes, code_len, frame));
        }
        assert!(!StoredHandlers::are_sound(&bytes[1..], 10, 16));
        assert!(!StoredHandlers::are_sound(&[bytes.clone(), bytes].concat(), 10, 16));
    }
}
