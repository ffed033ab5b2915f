//! Collections wherever there may be one, of one generation or of both: for tests.

/// What each allocation does in a heap that is tested.
#[derive(Debug)]
pub(super) struct Stress {
    random: u32,
}

/// What is where an object was that has been moved, if somebody wants to see whether it is used: of no kind.
pub(super) const POISON: u8 = 0xFE;

/// Room for the objects that are made between two collections, but for large ones.
pub(super) const FEW: usize = 64 << 10;

impl Stress {
    /// The same for each heap, so that a failure can be had again.
    pub(super) fn new() -> Stress {
        Stress { random: 0x2545_f491 }
    }

    /// Whether old objects stay where they are this time. Never in step with the guest.
    pub(super) fn spares_old_objects(&mut self) -> bool {
        // Xorshift: Marsaglia, "Xorshift RNGs", 2003.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random >> 16 & 1 != 0
    }
}
