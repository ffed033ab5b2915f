//! The rows of atomic accesses: one for each operation, in it one entry for each width.

use crate::entry::{Entry, entry};
use crate::ops::atomic::{AtomicCmpxchg, AtomicLoad, AtomicRmw, AtomicStore, Operation};

/// Widths: of 1, 2, 4 and 8 bytes.
pub(crate) const ATOMIC_ROW: usize = 4;

macro_rules! row {
    ($access:ident $operation:ident) => {
        [
            entry::<$access<{ Operation::$operation as u16 }, u8>>(),
            entry::<$access<{ Operation::$operation as u16 }, u16>>(),
            entry::<$access<{ Operation::$operation as u16 }, u32>>(),
            entry::<$access<{ Operation::$operation as u16 }, u64>>(),
        ]
    };
}

/// The accesses, by the number of their [`Operation`].
pub(crate) const ATOMICS: [[Entry; ATOMIC_ROW]; 9] = [
    row!(AtomicLoad Load),
    row!(AtomicStore Store),
    row!(AtomicRmw Add),
    row!(AtomicRmw Sub),
    row!(AtomicRmw And),
    row!(AtomicRmw Or),
    row!(AtomicRmw Xor),
    row!(AtomicRmw Xchg),
    row!(AtomicCmpxchg Cmpxchg),
];
