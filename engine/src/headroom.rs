//! Whether there is memory for the compiler. It takes what it takes, and when an allocation fails, the process ends: so a
//! function is compiled only where the system would give as much as that can be, and runs in tier 0 otherwise.
//!
//! The tiers ask before they compile. The system is asked where the process has limits, and for large bodies anywhere: asking
//! takes 15 to 25 µs, a twentieth of what compiling an ordinary function does. What others, such as guests, take meanwhile
//! nobody can foresee: next to its limit a process can still end.

use std::hint::black_box;
use std::sync::Mutex;

use rustix::process::{Resource, getrlimit};

use crate::lock::lock;

/// Bytes for a function, and for each byte of its body: what the largest have been seen to take. The first is also more
/// than allocators keep for themselves when it is given back.
const FOR_A_FUNCTION: usize = 33 << 20;
const FOR_A_BYTE: usize = 2 << 10;

/// Bytes of a body that is large.
const LARGE: u32 = 16 << 10;

/// What the compilations of an engine may take at the moment.
#[derive(Default)]
pub(crate) struct Headroom {
    taken: Mutex<usize>,
}

/// A part of it, to be dropped when the function has been compiled.
pub(crate) struct Taken<'a> {
    from: &'a Headroom,
    bytes: usize,
}

impl Headroom {
    /// Memory for compiling so many bytes of the module, if there is as much beside what others have taken here.
    pub(crate) fn take(&self, compiled: u32) -> Option<Taken<'_>> {
        let bytes = FOR_A_FUNCTION + compiled as usize * FOR_A_BYTE;
        let mut taken = lock(&self.taken);
        let all = *taken + bytes;
        if compiled >= LARGE || is_limited() {
            // It is never used, so that the system says what it would give, and gives addresses alone.
            black_box(&mut Vec::<u8>::new()).try_reserve_exact(all).ok()?;
        }
        *taken = all;
        Some(Taken { from: self, bytes })
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *lock(&self.from.taken) -= self.bytes;
    }
}

/// Whether the process may have only so much memory.
fn is_limited() -> bool {
    [Resource::As, Resource::Data].into_iter().any(|resource| getrlimit(resource).current.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_counts_until_it_has_ended() {
        let headroom = Headroom::default();
        let [first, second] = [0, 10].map(|body| headroom.take(body).unwrap());
        assert_eq!(*lock(&headroom.taken), 2 * FOR_A_FUNCTION + 10 * FOR_A_BYTE);
        drop(first);
        assert_eq!(*lock(&headroom.taken), FOR_A_FUNCTION + 10 * FOR_A_BYTE);
        drop(second);
        assert_eq!(*lock(&headroom.taken), 0);
        *lock(&headroom.taken) = isize::MAX as usize;
        assert!(headroom.take(LARGE).is_none());
    }
}
