//! Addresses that are reserved for all that a memory can ever have.

use region::{Allocation, Protection};

use crate::types::MemoryType;
use crate::vm::budget;

/// Bytes that a 32-bit address can reach; no guarded memory reserves less.
const NARROW_RESERVATION: usize = 4 << 30;

/// Bytes that a guarded memory with 64-bit addresses reserves which declares no maximum, and cannot grow beyond.
const USUAL_RESERVATION: usize = 64 << 30;

/// What declares more than this is not guarded. Thirty such memories are all that may be (`budget`).
const MOST_RESERVED: usize = 1 << 40;

/// Inaccessible bytes behind the reservation of a guarded memory: an access whose constant offset and size end within
/// them needs no check in compiled code, or none of its offset.
pub const GUARD: usize = 32 << 20;

/// The bytes that a guarded memory of a type reserves in front of its guard. `None`: memories of this type are never guarded.
/// Those with 64-bit addresses reserve a power of two.
pub fn reservation_of(ty: MemoryType) -> Option<usize> {
    // A guard starts between pages of the system.
    if ty.page_size_log2() != MemoryType::PAGE_LOG2 {
        return None;
    }
    if !ty.is_64() {
        return Some(NARROW_RESERVATION);
    }
    let bytes = match ty.maximum() {
        Some(pages) => ty.bytes(pages)?,
        None => ty.bytes(ty.minimum())?.max(USUAL_RESERVATION),
    };
    // Of a number of bytes that is an `isize`, the next power of two is a `usize`.
    Some(bytes.next_power_of_two().max(NARROW_RESERVATION)).filter(|bytes| *bytes <= MOST_RESERVED)
}

/// Whether a guarded memory may reserve so many bytes as far as the limits of the process go, and what its memories have
/// reserved.
pub fn can_reserve(reservation: usize) -> bool {
    let all = reservation + GUARD;
    most_addresses() > all && budget::PROCESS.has(all, reservation <= NARROW_RESERVATION)
}

/// The addresses of a memory that does not move, which it gives back when it is dropped.
pub(super) struct Reserved {
    // Before its share, as what is given back can be taken at once.
    pub addresses: Allocation,
    /// Bytes in front of the guard, if there is one.
    pub len: usize,
    _share: budget::Share,
}

impl Reserved {
    /// `None`: the system refuses, or the process has reserved too much.
    pub fn new(len: usize, guard: usize) -> Option<Reserved> {
        let bytes = len.checked_add(guard)?;
        let share = budget::PROCESS.take(bytes, len <= NARROW_RESERVATION)?;
        let addresses = region::alloc(bytes, Protection::NONE).ok()?;
        Some(Reserved { addresses, len, _share: share })
    }
}

/// How many bytes of addresses the process may have.
pub fn most_addresses() -> usize {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: getrlimit writes one rlimit, or nothing.
    unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) };
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_follows_from_the_type() {
        const GIB: usize = 1 << 30;
        let wide = |min, max| reservation_of(MemoryType::new64(min, max));
        assert_eq!(reservation_of(MemoryType::new(1, Some(2))), Some(4 * GIB));
        assert_eq!((wide(1, None), wide(0, Some(0))), (Some(64 * GIB), Some(4 * GIB)));
        assert_eq!((wide(1 << 21, None), wide(0, Some(5 << 14))), (Some(128 * GIB), Some(8 * GIB)));
        assert_eq!((wide(0, Some(1 << 24)), wide(0, Some((1 << 24) + 1))), (Some(1 << 40), None));
        assert_eq!((wide(1 << 48, None), wide(0, Some(1 << 48))), (None, None));
        let bytes = MemoryType::builder().page_size_log2(0).build().unwrap();
        assert_eq!(reservation_of(bytes), None);
    }
}
