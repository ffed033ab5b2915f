//! Which bytes of the arena are free: a pure allocator over offsets, which knows nothing of memory.
//!
//! First fit by address, so that code stays dense at the low end and the pages above are never touched.
//! Invariants: holes are disjoint, never adjacent (freeing coalesces), made of whole granules, and at least
//! [`LINE`] bytes long: a gap that is too small to serve anyone belongs to the neighbouring allocation and
//! comes back with it, so splinters neither pile up nor lengthen the search. Of two allocations, the starts
//! are at least `LINE` bytes apart: [`index`](super::index) relies on it. Called by the arena, under its lock.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::ops::Range;

/// Bytes of a cache line, and the least that is ever allocated.
pub(super) const LINE: usize = 64;

/// Every allocation starts at a multiple of this.
pub(super) const ALIGN: usize = 16;

/// Where in a line an allocation has to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    /// At any multiple of [`ALIGN`].
    Anywhere,
    /// So that the byte at this offset lies in the first [`ALIGN`] bytes of a line.
    LineAt(usize),
}

impl Placement {
    fn first_from(self, from: usize) -> usize {
        match self {
            Placement::Anywhere => from.next_multiple_of(ALIGN),
            Placement::LineAt(offset) => {
                let before = offset / ALIGN * ALIGN % LINE;
                (from + before).next_multiple_of(LINE) - before
            }
        }
    }
}

/// One allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// All bytes that it owns, whole granules; [`FreeList::free`] wants them back.
    pub range: Range<usize>,
    /// Where its content starts.
    pub start: usize,
}

/// The holes.
#[derive(Debug)]
pub(super) struct FreeList {
    /// Start to end.
    holes: BTreeMap<usize, usize>,
    granule: usize,
    free: usize,
}

impl FreeList {
    /// `capacity` free bytes, handed out in multiples of `granule`, a power of two.
    pub fn new(capacity: usize, granule: usize) -> FreeList {
        let capacity = capacity / granule * granule;
        let holes = if capacity >= LINE { BTreeMap::from([(0, capacity)]) } else { BTreeMap::new() };
        FreeList { free: holes.values().sum(), holes, granule }
    }

    /// The first place that holds `len` bytes.
    pub fn allocate(&mut self, len: usize, placement: Placement) -> Option<Extent> {
        let len = len.max(LINE);
        if len > self.free {
            return None;
        }
        let (hole, hole_end, start, end) = self.holes.iter().find_map(|(&hole, &hole_end)| {
            let start = placement.first_from(hole);
            let end = (start + len).next_multiple_of(self.granule);
            (end <= hole_end).then_some((hole, hole_end, start, end))
        })?;
        self.holes.remove(&hole);
        let end = if hole_end - end < LINE { hole_end } else { end };
        if end < hole_end {
            self.holes.insert(end, hole_end);
        }
        self.free -= end - hole;
        Some(Extent { range: hole..end, start })
    }

    /// Takes back the `range` of an [`Extent`].
    pub fn free(&mut self, range: Range<usize>) {
        let Range { mut start, mut end } = range;
        self.free += end - start;
        if let Some((&before, &before_end)) = self.holes.range(..start).next_back() {
            debug_assert!(before_end <= start, "freed twice");
            if before_end == start {
                start = before;
            }
        }
        debug_assert!(self.holes.range(start.max(1)..end).all(|(&hole, _)| hole == start), "freed twice");
        if let Some(after_end) = self.holes.remove(&end) {
            end = after_end;
        }
        self.holes.insert(start, end);
    }

    /// Free bytes, in holes of whatever size.
    pub fn free_bytes(&self) -> usize {
        self.free
    }

    /// Bytes of the largest hole.
    pub fn largest_hole(&self) -> usize {
        self.holes.iter().map(|(start, end)| end - start).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Allocate(usize, Placement),
        /// Frees one of what is allocated, by its number modulo how many there are.
        Free(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let placement = prop_oneof![
            2 => Just(Placement::Anywhere),
            1 => (0..5000_usize).prop_map(Placement::LineAt),
        ];
        let len = prop_oneof![4 => 1..300_usize, 1 => 1..9000_usize];
        let step = prop_oneof![
            3 => (len, placement).prop_map(|(len, placement)| Step::Allocate(len, placement)),
            2 => any::<usize>().prop_map(Step::Free),
        ];
        proptest::collection::vec(step, 1..200)
    }

    /// What must hold after every step.
    fn check(list: &FreeList, taken: &[(Extent, usize, Placement)], capacity: usize) {
        let mut all: Vec<(Range<usize>, bool)> = list.holes.iter().map(|(&s, &e)| (s..e, true)).collect();
        all.extend(taken.iter().map(|(extent, ..)| (extent.range.clone(), false)));
        all.sort_by_key(|(range, _)| range.start);
        let mut at = 0;
        let mut after_hole = false;
        for (range, hole) in &all {
            assert_eq!(range.start, at, "every byte is in one hole or one allocation");
            assert!(range.len() >= LINE && range.start % list.granule == 0 && range.end % list.granule == 0);
            assert!(!(*hole && after_hole), "adjacent holes are one");
            (at, after_hole) = (range.end, *hole);
        }
        assert_eq!(at, capacity);
        assert_eq!(list.free, list.holes.iter().map(|(s, e)| e - s).sum::<usize>());

        let mut starts: Vec<usize> = taken.iter().map(|(extent, ..)| extent.start).collect();
        starts.sort_unstable();
        assert!(starts.windows(2).all(|pair| pair[1] - pair[0] >= LINE), "one start in a line");
        for (extent, len, placement) in taken {
            assert!(extent.start.is_multiple_of(ALIGN));
            assert!(extent.range.start <= extent.start && extent.start + len <= extent.range.end);
            if let Placement::LineAt(offset) = placement {
                assert!((extent.start + offset) % LINE < ALIGN);
            }
        }
    }

    proptest! {
        #[test]
        fn allocations_are_disjoint_placed_and_given_back(
            steps in steps(),
            granule in prop_oneof![Just(16_usize), Just(4096)],
        ) {
            let capacity = 16 * 4096;
            let mut list = FreeList::new(capacity, granule);
            let mut taken = Vec::new();
            for step in steps {
                match step {
                    Step::Allocate(len, placement) => match list.allocate(len, placement) {
                        Some(extent) => taken.push((extent, len, placement)),
                        // A hole of this size serves any placement.
                        None => prop_assert!(list.largest_hole() < len.max(LINE) + LINE + granule),
                    },
                    Step::Free(which) if !taken.is_empty() => {
                        let (extent, ..) = taken.swap_remove(which % taken.len());
                        list.free(extent.range);
                    }
                    Step::Free(_) => {}
                }
                check(&list, &taken, capacity);
            }
            for (extent, ..) in taken.drain(..) {
                list.free(extent.range);
            }
            check(&list, &taken, capacity);
            prop_assert_eq!(list.largest_hole(), capacity);
        }

        #[test]
        fn the_first_hole_that_fits_is_taken(lens in proptest::collection::vec(64..400_usize, 3..40), ask in 64..400_usize) {
            let mut list = FreeList::new(1 << 20, 16);
            let extents: Vec<Extent> =
                lens.iter().map(|&len| list.allocate(len, Placement::Anywhere).unwrap()).collect();
            for extent in extents.iter().step_by(2) {
                list.free(extent.range.clone());
            }
            let first = extents
                .iter()
                .step_by(2)
                .take(extents.len() - 1)
                .find(|extent| extent.range.len() >= ask.next_multiple_of(16))
                .map(|extent| extent.range.start);
            let got = list.allocate(ask, Placement::Anywhere).unwrap();
            match first {
                Some(start) => prop_assert_eq!(got.range.start, start),
                None => prop_assert!(got.range.start >= extents.last().unwrap().range.start),
            }
        }
    }

    #[test]
    fn lengths_beyond_all_bounds_are_refused() {
        let mut list = FreeList::new(1 << 20, 16);
        assert_eq!(list.allocate(usize::MAX, Placement::LineAt(usize::MAX)), None);
        assert_eq!(list.allocate((1 << 20) + 1, Placement::Anywhere), None);
        assert!(list.allocate(1 << 20, Placement::Anywhere).is_some());
        assert_eq!(list.allocate(1, Placement::Anywhere), None);
        assert_eq!(list.free_bytes(), 0);
    }
}
