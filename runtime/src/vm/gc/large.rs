//! Large objects: whole pages of their own, which are never moved. A collection marks them and frees the others.

use std::collections::BTreeMap;
use std::ops::Range;

use super::reservation::Reservation;

/// Objects of more bytes are large: copying them would cost more than a page that is not quite full.
pub(super) const LARGE: usize = 32 << 10;

/// The large objects of a heap.
#[derive(Debug)]
pub(super) struct LargeObjects {
    /// Where they are in the heap.
    area: Range<usize>,
    /// What their bytes are multiples of: a page of the system.
    page: usize,
    /// By where they start: their bytes in whole pages, and whether they are marked.
    objects: BTreeMap<usize, Large>,
    /// Where the next is looked for first.
    next: usize,
    /// Bytes of all of them.
    bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Large {
    bytes: usize,
    marked: bool,
}

impl LargeObjects {
    pub(super) fn new(area: Range<usize>, page: usize) -> LargeObjects {
        LargeObjects { next: area.start, area, page, objects: BTreeMap::new(), bytes: 0 }
    }

    /// Whether an object of so many bytes could be made if it was alone.
    pub(super) fn can_hold(&self, bytes: usize) -> bool {
        bytes <= self.area.len()
    }

    /// Whether less than a part of their area is free, whatever the pieces.
    pub(super) fn is_nearly_full(&self, part: usize) -> bool {
        self.area.len() - self.bytes < self.area.len() / part
    }

    /// Where they start.
    pub(super) fn starts(&self) -> impl Iterator<Item = usize> {
        self.objects.keys().copied()
    }

    /// Bytes of all of them.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// So many bytes, all zeroes, if there are as many in one piece.
    pub(super) fn allocate(&mut self, reservation: &mut Reservation, bytes: usize) -> Option<usize> {
        let bytes = bytes.checked_next_multiple_of(self.page)?;
        let start =
            self.gap(self.next..self.area.end, bytes).or_else(|| self.gap(self.area.clone(), bytes))?;
        reservation.commit(start, bytes)?;
        self.objects.insert(start, Large { bytes, marked: false });
        self.next = start + bytes;
        self.bytes += bytes;
        Some(start)
    }

    /// The first place inside of `range`, which starts at a boundary of objects, with room for so many bytes.
    fn gap(&self, range: Range<usize>, bytes: usize) -> Option<usize> {
        let mut start = range.start;
        for (at, large) in self.objects.range(range.clone()) {
            if at - start >= bytes {
                return Some(start);
            }
            start = at + large.bytes;
        }
        (range.end.checked_sub(start)? >= bytes).then_some(start)
    }

    /// Marks the object that starts at `start`. Whether it was not marked.
    pub(super) fn mark(&mut self, start: usize) -> bool {
        let large = self.objects.get_mut(&start).expect("a reference leads to the start of an object");
        !std::mem::replace(&mut large.marked, true)
    }

    /// Frees what is not marked, and takes the marks away.
    pub(super) fn sweep(&mut self, reservation: &mut Reservation, poison: bool) {
        let bytes = &mut self.bytes;
        self.objects.retain(|start, large| {
            if !std::mem::replace(&mut large.marked, false) {
                *bytes -= large.bytes;
                reservation.release(*start, large.bytes);
                if poison {
                    reservation.forbid(*start, large.bytes);
                }
                return false;
            }
            true
        });
        self.next = self.area.start;
    }
}
