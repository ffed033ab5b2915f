//! The addresses of a heap: reserved once, given memory as the heap grows, and never more than a `u32` and a field's offset
//! away from their base. Below the base are the tables of its [cards](super::cards), whose pages get memory with those that they
//! are about.

use std::fmt;
use std::ops::Range;

use region::{Allocation, Protection};

use super::cards::{CARD, TABLE};

/// What references can reach.
pub(super) const MOST: usize = 4 << 30;

/// The smallest reservation that is tried.
const LEAST: usize = 4 << 20;

/// Behind the last object: a field's offset leads no further.
const GUARD: usize = 1 << 20;

/// Addresses that belong to a heap.
pub(super) struct Reservation {
    addresses: Allocation,
    /// Which pages of the tables can be read and written.
    tables: Vec<bool>,
}

// SAFETY: whoever has it owns the addresses, of which no thread knows anything.
unsafe impl Send for Reservation {}

impl Reservation {
    /// As many bytes as the system gives, up to `most`, which is a power of two.
    pub(super) fn new(most: usize) -> Option<Reservation> {
        Reservation::between(LEAST.min(most), most)
    }

    fn between(least: usize, most: usize) -> Option<Reservation> {
        let mut len = most;
        while len >= least {
            if let Ok(addresses) = region::alloc(2 * TABLE + len + GUARD, Protection::NONE) {
                let tables = vec![false; TABLE / region::page::size()];
                return Some(Reservation { addresses, tables });
            }
            len /= 2;
        }
        None
    }

    /// Lets the cards of a range of bytes, which is not empty, be read and written. Few ranges are the first in their page.
    fn commit_tables(&mut self, bytes: Range<usize>) -> Option<()> {
        let page = region::page::size();
        let (first, last) = (bytes.start / CARD / page, (bytes.end - 1) / CARD / page);
        if self.tables[first..=last].iter().all(|committed| *committed) {
            return Some(());
        }
        for distance in [TABLE, 2 * TABLE] {
            let table = self.base().wrapping_sub(distance).wrapping_add(first * page);
            // SAFETY: the tables are below the base, and of this value.
            unsafe { region::protect(table, (last + 1 - first) * page, Protection::READ_WRITE) }.ok()?;
        }
        self.tables[first..=last].fill(true);
        Some(())
    }

    /// The first byte.
    pub(super) fn base(&self) -> *mut u8 {
        self.addresses.as_ptr::<u8>().cast_mut().wrapping_add(2 * TABLE)
    }

    /// How many bytes there are for objects.
    pub(super) fn len(&self) -> usize {
        self.addresses.len() - 2 * TABLE - GUARD
    }

    /// Lets bytes be read and written: whole pages. Nothing if the system does not.
    pub(super) fn commit(&mut self, start: usize, len: usize) -> Option<()> {
        debug_assert!(start + len <= self.len());
        // SAFETY: the pages are this value's, and nobody relies on their being out of reach.
        unsafe { region::protect(self.base().add(start), len, Protection::READ_WRITE) }.ok()?;
        if len == 0 { Some(()) } else { self.commit_tables(start..start + len) }
    }

    /// Gives the memory of pages back to the system, which have been committed: they are zeroes when they are used again.
    pub(super) fn release(&mut self, start: usize, len: usize) {
        debug_assert!(start + len <= self.len());
        if len == 0 {
            return;
        }
        // SAFETY: the pages are this value's, private and anonymous, and what is in them is garbage.
        unsafe {
            let pages = self.base().add(start);
            // The system refuses where pages are locked, which a process can ask for for all that it has.
            if libc::madvise(pages.cast(), len, libc::MADV_DONTNEED) != 0 {
                pages.write_bytes(0, len);
            }
        }
    }

    /// Lets nobody read or write bytes that have been committed, until they are again: whole pages. For tests.
    pub(super) fn forbid(&mut self, start: usize, len: usize) {
        // SAFETY: the pages are this value's, and what is in them is garbage.
        let forbidden = unsafe { region::protect(self.base().add(start), len, Protection::NONE) };
        debug_assert!(forbidden.is_ok(), "committed pages can be forbidden");
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("base", &self.base()).field("len", &self.len()).finish()
    }
}

#[cfg(all(test, not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn a_reservation_is_as_large_as_the_system_allows_and_there_may_be_none() {
        // No process has so many addresses.
        let refused = 1 << 60;
        let reservation = Reservation::new(refused).unwrap();
        assert!((LEAST..refused).contains(&reservation.len()));
        drop(reservation);
        assert!(Reservation::between(refused / 2, refused).is_none());
        assert_eq!(Reservation::new(LEAST / 4).unwrap().len(), LEAST / 4);
    }

    #[test]
    fn pages_that_the_system_does_not_take_back_are_zeroes_all_the_same() {
        let page = region::page::size();
        let mut reservation = Reservation::new(LEAST).unwrap();
        reservation.commit(0, 2 * page).unwrap();
        // SAFETY: the pages are committed, and nothing else uses them.
        unsafe {
            reservation.base().write_bytes(7, 2 * page);
            // The second one is locked, if the system lets us.
            libc::mlock(reservation.base().add(page).cast(), page);
            reservation.release(0, 2 * page);
            let bytes = std::slice::from_raw_parts(reservation.base(), 2 * page);
            assert!(bytes.iter().all(|byte| *byte == 0));
        }
    }
}
