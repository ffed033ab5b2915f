//! What a heap has done.

use std::time::Duration;

/// What the collector of a store has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GcStats {
    /// Collections that have looked at young objects alone, and at what leads to them.
    pub minor: Collections,
    /// Collections of all objects.
    pub full: Collections,
    /// Bytes of all objects that have been made.
    pub allocated: u64,
    /// Bytes of those that have survived a collection when they were young, but for large ones.
    pub promoted: u64,
    /// Words outside of the heap that collections have looked at for references.
    pub roots: u64,
    /// The most bytes that the heap has held, garbage included.
    pub peak: usize,
}

/// Collections of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collections {
    /// How many there were.
    pub count: u64,
    /// The longest.
    pub longest_pause: Duration,
    /// All of them together.
    pub total_pause: Duration,
}

impl GcStats {
    /// How many collections there were.
    pub fn collections(&self) -> u64 {
        self.minor.count + self.full.count
    }
}

impl Collections {
    pub(super) fn add(&mut self, pause: Duration) {
        self.count += 1;
        self.total_pause += pause;
        self.longest_pause = self.longest_pause.max(pause);
    }
}
