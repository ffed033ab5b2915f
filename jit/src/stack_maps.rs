//! Where collected references are in the frames of a function, at each of its calls.
//!
//! Cranelift stores those that are used after a call to the frame before it, and loads them again behind it: a collection
//! finds them there, and leaves the references there that they have become.
//!
//! On disk a function's table is words of 32 bits: the number of calls; an offset in the code and the end of a list for
//! each; and the lists. Nothing stands for an empty table. A table is checked when it is loaded:
//! a reference that a collection does not find is one to where nothing is any more. Reading is total and allocates nothing, as
//! it happens in collections.

/// The references in the frames of a function.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StackMaps {
    /// The offset in the code that a call returns to, ascending, and where its list ends.
    calls: Vec<(u32, u32)>,
    /// How many bytes below the frame pointer references are: one list behind the other.
    distances: Vec<u32>,
}

impl StackMaps {
    /// Appends a call that returns to the offset `at`, behind those before, with a list of its references.
    pub fn push(&mut self, at: u32, distances: impl IntoIterator<Item = u32>) {
        self.distances.extend(distances);
        self.calls.push((at, self.distances.len() as u32));
    }

    /// How many bytes below the frame pointer references are during the call that returns to the offset `at`.
    pub fn references(&self, at: u32) -> impl Iterator<Item = u32> {
        let index = self.calls.binary_search_by_key(&at, |(at, _)| *at);
        let range = index.map_or(0..0, |index| {
            let end = |index: usize| self.calls[index].1 as usize;
            index.checked_sub(1).map_or(0, end)..end(index)
        });
        self.distances[range].iter().copied()
    }

    /// Appends it to bytes.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        if self.calls.is_empty() {
            return;
        }
        let mut word = |word: u32| out.extend(word.to_le_bytes());
        word(self.calls.len() as u32);
        self.calls.iter().for_each(|(at, end)| [*at, *end].into_iter().for_each(&mut word));
        self.distances.iter().copied().for_each(word);
    }

    /// What has been written, from bytes.
    pub(crate) fn read(bytes: &[u8]) -> StackMaps {
        let table = StoredStackMaps::new(bytes);
        let word = |word: &[u8; 4]| u32::from_le_bytes(*word);
        StackMaps {
            calls: (0..table.calls.len()).map(|index| table.call(index)).collect(),
            distances: table.distances.iter().map(word).collect(),
        }
    }
}

/// The same as bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredStackMaps<'a> {
    calls: &'a [[u8; 8]],
    distances: &'a [[u8; 4]],
}

impl<'a> StoredStackMaps<'a> {
    /// What is in `bytes`; nothing, if they are damaged.
    pub(crate) fn new(bytes: &'a [u8]) -> StoredStackMaps<'a> {
        let Some((count, rest)) = bytes.split_first_chunk::<4>() else {
            return StoredStackMaps { calls: &[], distances: &[] };
        };
        let count = u32::from_le_bytes(*count) as usize;
        let (calls, distances) = rest.split_at(count.saturating_mul(8).min(rest.len() / 8 * 8));
        StoredStackMaps { calls: calls.as_chunks().0, distances: distances.as_chunks().0 }
    }

    /// Whether it is a table that a function can have whose code and frame are so long: calls are in order and inside of the
    /// code, and so are the lists, of words in the frame.
    pub(crate) fn is_sound(bytes: &[u8], code: u32, frame: u32) -> bool {
        let Some((count, rest)) = bytes.split_first_chunk::<4>() else { return bytes.is_empty() };
        let table = StoredStackMaps::new(bytes);
        if table.calls.len() != u32::from_le_bytes(*count) as usize || !rest.len().is_multiple_of(4) {
            return false;
        }
        let (mut next, mut last) = (1, 0);
        let calls_are_sound = (0..table.calls.len()).map(|index| table.call(index)).all(|(at, end)| {
            let sound = (next..=code).contains(&at) && last <= end;
            (next, last) = (at.saturating_add(1), end);
            sound
        });
        // Each in the frame, on a word.
        let mut distances = table.distances.iter().map(|word| u32::from_le_bytes(*word));
        !table.calls.is_empty()
            && calls_are_sound
            && last as usize == table.distances.len()
            && distances.all(|distance| distance.is_multiple_of(4) && (4..=frame).contains(&distance))
    }

    fn call(self, index: usize) -> (u32, u32) {
        let [at, end] = [0, 1].map(|at| u32::from_le_bytes(self.calls[index].as_chunks::<4>().0[at]));
        (at, end)
    }

    /// See [`StackMaps::references`].
    pub(crate) fn references(self, at: u32) -> impl Iterator<Item = u32> + use<'a> {
        let index = self.calls.partition_point(|call| {
            let (words, _) = call.as_chunks::<4>();
            u32::from_le_bytes(words[0]) < at
        });
        let range = match index < self.calls.len() && self.call(index).0 == at {
            true => {
                let start = index.checked_sub(1).map_or(0, |before| self.call(before).1);
                start as usize..self.call(index).1 as usize
            }
            false => 0..0,
        };
        self.distances.get(range).unwrap_or_default().iter().map(|word| u32::from_le_bytes(*word))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_call_has_its_list_and_other_places_have_none(
            calls in proptest::collection::btree_map(
                0..1000_u32,
                proptest::collection::vec(any::<u32>(), 0..5),
                0..20,
            ),
        ) {
            let mut maps = StackMaps::default();
            calls.iter().for_each(|(at, list)| maps.push(*at, list.iter().copied()));
            let mut bytes = Vec::new();
            maps.write(&mut bytes);
            prop_assert_eq!(bytes.is_empty(), calls.is_empty());
            prop_assert_eq!(&StackMaps::read(&bytes), &maps);
            let stored = StoredStackMaps::new(&bytes);
            for at in 0..1000 {
                let list = calls.get(&at).cloned().unwrap_or_default();
                prop_assert_eq!(&maps.references(at).collect::<Vec<_>>(), &list);
                prop_assert_eq!(&stored.references(at).collect::<Vec<_>>(), &list);
            }
        }

        #[test]
        fn a_table_with_a_changed_byte_is_refused_or_says_something_that_can_be(
            calls in proptest::collection::btree_map(
                1..1000_u32,
                proptest::collection::vec((1..=25_u32).prop_map(|word| 4 * word), 0..5),
                1..20,
            ),
            change: prop::sample::Index,
            byte: u8,
        ) {
            let mut maps = StackMaps::default();
            calls.iter().for_each(|(at, list)| maps.push(*at, list.iter().copied()));
            let mut bytes = Vec::new();
            maps.write(&mut bytes);
            prop_assert!(StoredStackMaps::is_sound(&bytes, 1000, 100));
            prop_assert!(!StoredStackMaps::is_sound(&bytes[..bytes.len() - 1], 1000, 100));
            prop_assert!(!StoredStackMaps::is_sound(&bytes, *calls.keys().last().unwrap() - 1, 100));
            // Unless there are none, one of them is not in a frame that has no bytes.
            prop_assert_eq!(StoredStackMaps::is_sound(&bytes, 1000, 0), maps.distances.is_empty());
            let at = change.index(bytes.len());
            bytes[at] = byte;
            if StoredStackMaps::is_sound(&bytes, 1000, 100) {
                let read = StackMaps::read(&bytes);
                prop_assert!(read.calls.is_sorted() && read.distances.iter().all(|distance| *distance <= 100));
                prop_assert_eq!(read.calls.last().unwrap().1 as usize, read.distances.len());
            }
        }

        #[test]
        fn any_bytes_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..100), at: u32) {
            let _ = StackMaps::read(&bytes);
            prop_assert!(StoredStackMaps::new(&bytes).references(at).count() <= bytes.len());
        }
    }
}
