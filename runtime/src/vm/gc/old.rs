//! Where objects are that have survived a collection: one half of two, one behind the other. A minor collection adds to them; a
//! full one copies what lives to the other half.

use std::ops::Range;

use super::reservation::Reservation;

/// Memory of the half that is not in use that is not given back to the system after a collection, if what lives does not need
/// more: the next one needs it again, and pages that the system has to fill with zeroes first cost more than what is
/// copied to them.
const KEPT: usize = 32 << 20;

/// The old generation of a heap.
#[derive(Debug)]
pub(super) struct Old {
    /// Where the half starts that is in use, and the other one.
    halves: [usize; 2],
    /// Bytes of each half.
    half: usize,
    /// How many of them have memory.
    committed: usize,
    /// Where the last object ends.
    top: usize,
}

impl Old {
    /// No objects, in halves that start here and have so many bytes.
    pub(super) fn new(halves: [usize; 2], half: usize) -> Old {
        Old { halves, half, committed: 0, top: halves[0] }
    }

    /// Where the objects are.
    pub(super) fn objects(&self) -> Range<usize> {
        self.halves[0]..self.top
    }

    /// Bytes of them.
    pub(super) fn used(&self) -> usize {
        self.top - self.halves[0]
    }

    /// Bytes that can be added to them. A full collection has room for as many besides.
    pub(super) fn room(&self) -> usize {
        self.committed - self.used()
    }

    /// Bytes that there could be.
    pub(super) fn committed(&self) -> usize {
        self.committed
    }

    /// Where a full collection copies to.
    pub(super) fn other(&self) -> usize {
        self.halves[1]
    }

    /// Where the last object ends: some have been added.
    pub(super) fn set_top(&mut self, top: usize) {
        debug_assert!((self.top..=self.halves[0] + self.committed).contains(&top));
        self.top = top;
    }

    /// Lets there be so many bytes, as far as there are addresses and memory: in both halves, so that a collection never
    /// fails.
    pub(super) fn commit(&mut self, reservation: &mut Reservation, bytes: usize, page: usize) {
        let committed = bytes.next_multiple_of(page).min(self.half);
        if committed > self.committed {
            let more = committed - self.committed;
            let ends = self.halves.map(|start| start + self.committed);
            if ends.into_iter().all(|end| reservation.commit(end, more).is_some()) {
                self.committed = committed;
            }
        }
    }

    /// What lives has been copied to the other half, where it ends at `top`. Gives memory back that holds nothing any more, but for as much
    /// as the next collection needs if so many bytes live. Returns where nothing is any more.
    pub(super) fn turn(&mut self, reservation: &mut Reservation, top: usize, page: usize) -> Range<usize> {
        let garbage = self.objects();
        self.halves.swap(0, 1);
        self.top = top;
        let kept = (garbage.start + self.used().max(KEPT)).next_multiple_of(page);
        if garbage.end > kept {
            reservation.release(kept, garbage.end.next_multiple_of(page) - kept);
        }
        garbage
    }
}
