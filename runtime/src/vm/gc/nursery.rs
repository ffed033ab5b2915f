//! Where objects are made: one behind the other, until it is time for a collection, which leaves nothing there.

use std::ops::Range;

use super::cards::CARD;
use super::reservation::Reservation;

/// The nursery of a heap. [`GcWords`](super::GcWords) say where the next object goes.
#[derive(Debug)]
pub(super) struct Nursery {
    /// The addresses that it may have.
    area: Range<usize>,
    /// How many of them have memory.
    committed: usize,
    /// Bytes of young objects between two collections.
    size: usize,
    /// Where the first object is.
    start: usize,
}

impl Nursery {
    /// One of no size, in whole pages.
    pub(super) fn new(area: Range<usize>) -> Nursery {
        Nursery { start: area.start, area, committed: 0, size: 0 }
    }

    /// Where the first object is.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Where the last must end.
    pub(super) fn end(&self) -> usize {
        (self.start + self.size).min(self.area.start + self.committed)
    }

    /// Bytes of young objects between two collections.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Where it ends at the latest.
    pub(super) fn most_end(&self) -> usize {
        self.area.end
    }

    /// The most that it can have.
    pub(super) fn most(&self) -> usize {
        self.area.len()
    }

    /// Lets young objects have so many bytes, as far as there are addresses and memory.
    pub(super) fn resize(&mut self, reservation: &mut Reservation, size: usize, page: usize) {
        let size = size.min(self.area.len());
        let wanted = size.next_multiple_of(page).min(self.area.len());
        let committed = self.committed;
        if wanted > committed && reservation.commit(self.area.start + committed, wanted - committed).is_some()
        {
            self.committed = wanted;
        }
        self.size = size.min(self.committed);
    }

    /// Forgets all objects, the last of which ends at `end`. What it does not need for a while goes back to the system.
    pub(super) fn empty(&mut self, reservation: &mut Reservation, end: usize, page: usize) {
        let needed = self.area.start + self.size.next_multiple_of(page);
        if end > needed {
            reservation.release(needed, end.next_multiple_of(page) - needed);
        }
    }

    /// For tests: the next objects are not made where the last ones were, which end at `end`, but behind them while there is room
    /// for a few more.
    pub(super) fn rotate(&mut self, end: usize, few: usize) {
        let end = end.next_multiple_of(CARD);
        self.start = if end + few <= self.area.start + self.committed { end } else { self.area.start };
    }
}
