//! Where a function catches exceptions: which handlers cover which of its code, and where each leads.
//!
//! Handlers are only looked at when something has been thrown: a `try_table` costs the code in it nothing. What covers an
//! instruction is a *region*, with clauses that are tried in order, and a region around it, or none, whose clauses
//! come next. As regions nest, code is a sequence of stretches of which each has one innermost region; that is found by
//! bisection, however many regions a hostile function has.

use std::ops::Range;

use wasmrun_runtime::frame::Heights;

/// The number of a region among those of its function, or that there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RegionId(u32);

impl RegionId {
    /// No handler of the function covers the code.
    pub(crate) const NONE: RegionId = RegionId(u32::MAX);
}

/// Code that the same handlers cover.
#[derive(Clone, Debug)]
pub(crate) struct Region {
    /// Whose clauses are tried after those of this one.
    outer: RegionId,
    clauses: Range<u32>,
    /// Where a handler finds the first value that the exception carries, or the exception itself.
    pub(crate) base: Heights,
}

/// Where a handler wants the exception itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Nowhere.
    No,
    /// Below the values that it carries.
    First,
    /// Above them.
    Last,
}

/// A handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Clause {
    /// The index of the tag that it catches, whose values it gets; `None` for one that catches all, and gets none.
    pub(crate) tag: Option<u32>,
    /// Where it wants the exception.
    pub(crate) exception: Wanted,
    /// Where it starts, by the offset from the entry.
    pub(crate) code: u32,
}

/// The number of a clause among those of its function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClauseId(u32);

/// The handlers of a function.
#[derive(Debug, Default)]
pub(crate) struct Handlers {
    /// From this offset from the entry up to the next one the innermost region is this. In order.
    stretches: Vec<(u32, RegionId)>,
    regions: Vec<Region>,
    clauses: Vec<Clause>,
}

impl Handlers {
    /// A region starts at `code`, inside of `outer`, which covers the code so far. It has no clauses yet.
    pub(crate) fn open(&mut self, code: u32, outer: RegionId, base: Heights) -> RegionId {
        let id = RegionId(self.regions.len() as u32);
        self.regions.push(Region { outer, clauses: 0..0, base });
        self.cover(code, id);
        id
    }

    /// A region ends before `code`. Returns the one around it.
    pub(crate) fn close(&mut self, code: u32, region: RegionId) -> RegionId {
        let outer = self.regions[region.0 as usize].outer;
        self.cover(code, outer);
        outer
    }

    fn cover(&mut self, code: u32, region: RegionId) {
        debug_assert!(self.stretches.last().is_none_or(|(last, _)| *last <= code));
        match self.stretches.last_mut() {
            Some((last, innermost)) if *last == code => *innermost = region,
            _ => self.stretches.push((code, region)),
        }
    }

    /// What a region does not catch is left to `to` rather than to the region around it.
    pub(crate) fn delegate(&mut self, region: RegionId, to: RegionId) {
        self.regions[region.0 as usize].outer = to;
    }

    /// Gives a region its clauses, in order. Returns the number of the first.
    pub(crate) fn set_clauses(
        &mut self,
        region: RegionId,
        clauses: impl IntoIterator<Item = Clause>,
    ) -> ClauseId {
        let first = self.clauses.len() as u32;
        self.clauses.extend(clauses);
        self.regions[region.0 as usize].clauses = first..self.clauses.len() as u32;
        ClauseId(first)
    }

    /// A handler starts at `code`.
    pub(crate) fn bind(&mut self, clause: ClauseId, code: u32) {
        self.clauses[clause.0 as usize].code = code;
    }

    /// As they are kept with the code: nothing for a function that catches nothing.
    pub(crate) fn finish(mut self) -> Option<Box<Handlers>> {
        self.stretches.shrink_to_fit();
        self.regions.shrink_to_fit();
        self.clauses.shrink_to_fit();
        (!self.clauses.is_empty()).then(|| Box::new(self))
    }

    /// The regions that cover the instruction with a byte at this offset from the entry, the innermost first.
    pub(crate) fn regions(&self, code: u32) -> impl Iterator<Item = &Region> {
        let behind = self.stretches.partition_point(|(start, _)| *start <= code);
        self.around(behind.checked_sub(1).map_or(RegionId::NONE, |index| self.stretches[index].1))
    }

    /// A region and those around it.
    fn around(&self, region: RegionId) -> impl Iterator<Item = &Region> {
        let get = |id: RegionId| self.regions.get(id.0 as usize);
        std::iter::successors(get(region), move |region| get(region.outer))
    }

    /// The clauses of a region, in order.
    pub(crate) fn clauses(&self, region: &Region) -> &[Clause] {
        &self.clauses[region.clauses.start as usize..region.clauses.end as usize]
    }

    /// Where the handlers change, with those that are tried from there on: the first `most` of them.
    pub(crate) fn changes(&self, most: usize) -> impl Iterator<Item = (u32, Vec<Clause>)> {
        let first = move |region| {
            self.around(region).flat_map(|region| self.clauses(region)).copied().take(most).collect()
        };
        self.stretches.iter().map(move |(code, region)| (*code, first(*region)))
    }
}

impl ClauseId {
    /// The one that is so many behind this one.
    pub(crate) fn add(self, count: usize) -> ClauseId {
        ClauseId(self.0 + count as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clause(tag: u32) -> Clause {
        Clause { tag: Some(tag), exception: Wanted::No, code: 100 + tag }
    }

    fn tags(handlers: &Handlers, code: u32) -> Vec<u32> {
        let clauses = handlers.regions(code).flat_map(|region| handlers.clauses(region));
        clauses.map(|clause| clause.tag.unwrap()).collect()
    }

    #[test]
    fn the_innermost_handlers_come_first_and_those_of_a_neighbour_not_at_all() {
        let mut handlers = Handlers::default();
        let base = Heights::default();
        let outer = handlers.open(10, RegionId::NONE, base);
        let first = handlers.open(20, outer, base);
        assert_eq!(handlers.close(30, first), outer);
        handlers.set_clauses(first, [clause(1), clause(2)]);
        let second = handlers.open(30, outer, base);
        // Nothing is in this one.
        let empty = handlers.open(34, second, base);
        handlers.close(34, empty);
        handlers.set_clauses(empty, [clause(9)]);
        handlers.close(40, second);
        handlers.set_clauses(second, [clause(3)]);
        handlers.close(50, outer);
        handlers.set_clauses(outer, [clause(4)]);
        for (code, expected) in [
            (9, &[][..]),
            (10, &[4]),
            (19, &[4]),
            (20, &[1, 2, 4]),
            (29, &[1, 2, 4]),
            (30, &[3, 4]),
            (34, &[3, 4]),
            (39, &[3, 4]),
            (40, &[4]),
            (49, &[4]),
            (50, &[]),
            (1000, &[]),
        ] {
            assert_eq!(tags(&handlers, code), expected, "{code}");
        }
        assert!(Handlers::default().finish().is_none());
        assert!(handlers.finish().is_some());
    }

    #[test]
    fn what_is_delegated_passes_the_handlers_between() {
        let mut handlers = Handlers::default();
        let base = Heights::default();
        let outer = handlers.open(0, RegionId::NONE, base);
        let middle = handlers.open(0, outer, base);
        let inner = handlers.open(8, middle, base);
        handlers.close(16, inner);
        handlers.delegate(inner, outer);
        handlers.close(24, middle);
        handlers.set_clauses(middle, [clause(1)]);
        handlers.close(32, outer);
        handlers.set_clauses(outer, [clause(2)]);
        assert_eq!(
            [0, 8, 16, 24].map(|code| tags(&handlers, code)),
            [vec![1, 2], vec![2], vec![1, 2], vec![2]]
        );
    }
}
