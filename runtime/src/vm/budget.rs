//! How many addresses the guarded memories of a process may take together.
//!
//! A process has 128 TiB of them, and a memory may reserve one: without an account a hundred memories that nobody has touched
//! would leave nothing to the host. A memory that the budget has no addresses for is not guarded, as if the system had refused.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Addresses that guarded memories may take together: half of those that a process has.
const MOST: usize = 64 << 40;

/// What is left to memories that reserve no more than a 32-bit address reaches: eight thousand of them.
const FOR_NARROW: usize = 32 << 40;

/// Addresses to be given out.
#[derive(Debug)]
pub(super) struct Budget {
    taken: AtomicUsize,
}

/// That of the process.
pub(super) static PROCESS: Budget = Budget::new();

impl Budget {
    const fn new() -> Budget {
        Budget { taken: AtomicUsize::new(0) }
    }

    fn most(is_narrow: bool) -> usize {
        if is_narrow { MOST } else { MOST - FOR_NARROW }
    }

    /// Takes so many bytes, which are given back with the share. `None`: there are not as many left, for memories which are
    /// `narrow` or for others.
    pub(super) fn take(&'static self, bytes: usize, is_narrow: bool) -> Option<Share> {
        let take = |taken: usize| taken.checked_add(bytes).filter(|taken| *taken <= Self::most(is_narrow));
        self.taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        Some(Share { budget: self, bytes })
    }

    /// Whether so many bytes could be taken now.
    pub(super) fn has(&self, bytes: usize, is_narrow: bool) -> bool {
        self.taken.load(Ordering::Relaxed).saturating_add(bytes) <= Self::most(is_narrow)
    }
}

/// Addresses that have been taken.
#[derive(Debug)]
pub(super) struct Share {
    budget: &'static Budget,
    bytes: usize,
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_memories_leave_addresses_to_narrow_ones_and_give_theirs_back() {
        static BUDGET: Budget = Budget::new();
        const WIDE: usize = 1 << 40;
        let mut wide: Vec<Share> = std::iter::from_fn(|| BUDGET.take(WIDE, false)).collect();
        assert_eq!(wide.len(), (MOST - FOR_NARROW) / WIDE);
        assert!(!BUDGET.has(1, false) && BUDGET.has(FOR_NARROW, true) && !BUDGET.has(FOR_NARROW + 1, true));
        let narrow: Vec<Share> = std::iter::from_fn(|| BUDGET.take(4 << 30, true)).collect();
        assert_eq!(narrow.len(), FOR_NARROW / (4 << 30));
        drop(narrow);
        assert!(BUDGET.take(WIDE, false).is_none());
        wide.pop();
        assert!(BUDGET.has(WIDE, false) && BUDGET.take(WIDE + 1, false).is_none());
        drop(wide);
        assert_eq!(BUDGET.taken.load(Ordering::Relaxed), 0);
    }
}
