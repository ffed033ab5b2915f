//! Large objects: whole pages of their own, which are never moved. A collection marks them and frees the others.
//!
//! One that has been made since the last collection is young: a minor collection frees it if nothing leads to it, and looks at all
//! of it otherwise, so that it can be filled without a mark on any card. The others are left alone by that.

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
    /// Where those start that are young.
    young: Vec<usize>,
    /// Bytes of these.
    young_bytes: usize,
}

#[derive(Clone, Copy, Debug)]
struct Large {
    bytes: usize,
    marked: bool,
    young: bool,
    /// Whether there are references in it.
    refers: bool,
}

impl LargeObjects {
    pub(super) fn new(area: Range<usize>, page: usize) -> LargeObjects {
        LargeObjects {
            next: area.start,
            area,
            page,
            objects: BTreeMap::new(),
            bytes: 0,
            young: Vec::new(),
            young_bytes: 0,
        }
    }

    /// Whether an object of so many bytes could be made if it was alone.
    pub(super) fn can_hold(&self, bytes: usize) -> bool {
        bytes <= self.area.len()
    }

    /// Whether less than a part of their area is free, whatever the pieces.
    pub(super) fn is_nearly_full(&self, part: usize) -> bool {
        self.area.len() - self.bytes < self.area.len() / part
    }

    /// Where they are in the heap.
    pub(super) fn area(&self) -> Range<usize> {
        self.area.clone()
    }

    /// Where each of those is that are not young and have references, in whole pages.
    pub(super) fn old_ones(&self) -> impl Iterator<Item = Range<usize>> {
        let old = self.objects.iter().filter(|(_, large)| !large.young && large.refers);
        old.map(|(start, large)| *start..start + large.bytes)
    }

    /// Whether a place is in a young one.
    pub(super) fn is_young(&self, place: usize) -> bool {
        self.objects.get(&place).is_some_and(|large| large.young)
    }

    /// Bytes of those that are young.
    pub(super) fn young_bytes(&self) -> usize {
        self.young_bytes
    }

    /// Where they start.
    pub(super) fn starts(&self) -> impl Iterator<Item = usize> {
        self.objects.keys().copied()
    }

    /// Bytes of all of them.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// So many bytes, all zeroes, if there are as many in one piece; `refers` says whether there will be references in them.
    pub(super) fn allocate(
        &mut self,
        reservation: &mut Reservation,
        bytes: usize,
        refers: bool,
    ) -> Option<usize> {
        let bytes = bytes.checked_next_multiple_of(self.page)?;
        let start =
            self.gap(self.next..self.area.end, bytes).or_else(|| self.gap(self.area.clone(), bytes))?;
        reservation.commit(start, bytes)?;
        self.objects.insert(start, Large { bytes, marked: false, young: true, refers });
        self.young.push(start);
        self.next = start + bytes;
        self.bytes += bytes;
        self.young_bytes += bytes;
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

    /// Marks the object that starts at `start`, if it was not marked. Whether that was so; `young` says that no others are
    /// looked at but young ones.
    pub(super) fn mark(&mut self, start: usize, young: bool) -> bool {
        if young && self.young.is_empty() {
            return false;
        }
        let large = self.objects.get_mut(&start).expect("a reference leads to the start of an object");
        (large.young || !young) && !std::mem::replace(&mut large.marked, true)
    }

    /// Frees what is not marked, and takes the marks away. All that is left is old.
    pub(super) fn sweep(&mut self, reservation: &mut Reservation, poison: bool) {
        let mut freed = Vec::new();
        self.objects.retain(|start, large| {
            large.young = false;
            let keep = std::mem::replace(&mut large.marked, false);
            if !keep {
                freed.push((*start, large.bytes));
            }
            keep
        });
        self.give_back(freed, reservation, poison);
    }

    /// The same for young ones.
    pub(super) fn sweep_young(&mut self, reservation: &mut Reservation, poison: bool) {
        let mut freed = Vec::new();
        for start in &self.young {
            let Some(large) = self.objects.get_mut(start) else { continue };
            large.young = false;
            if !std::mem::replace(&mut large.marked, false) {
                freed.push((*start, large.bytes));
                self.objects.remove(start);
            }
        }
        self.give_back(freed, reservation, poison);
    }

    fn give_back(&mut self, freed: Vec<(usize, usize)>, reservation: &mut Reservation, poison: bool) {
        for (start, bytes) in freed {
            self.bytes -= bytes;
            self.next = self.next.min(start);
            reservation.release(start, bytes);
            if poison {
                reservation.forbid(start, bytes);
            }
        }
        self.young.clear();
        self.young_bytes = 0;
    }
}
