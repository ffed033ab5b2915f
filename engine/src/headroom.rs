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

/// Bytes that the system is asked for anywhere.
const LARGE: usize = 64 << 20;

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
    /// So many bytes, if there are as many beside what others have taken here.
    pub(crate) fn take(&self, bytes: usize) -> Option<Taken<'_>> {
        let mut taken = lock(&self.taken);
        let all = *taken + bytes;
        if bytes >= LARGE || is_limited() {
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
        let [first, second] = [1, 10].map(|bytes| headroom.take(bytes).unwrap());
        assert_eq!(*lock(&headroom.taken), 11);
        drop(first);
        assert_eq!(*lock(&headroom.taken), 10);
        drop(second);
        assert_eq!(*lock(&headroom.taken), 0);
        *lock(&headroom.taken) = isize::MAX as usize - LARGE;
        assert!(headroom.take(LARGE).is_none());
    }
}
