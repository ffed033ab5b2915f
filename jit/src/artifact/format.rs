//! The layout of an artefact. All integers are little endian.
//!
//! | bytes | header |
//! |---|---|
//! | 8 | [`MAGIC`] |
//! | 4 | [`VERSION`] |
//! | 1 | mode: 0 speed, 1 quick |
//! | 1 | memory plan: 0 guarded, 1 checked |
//! | 2 | zero |
//! | 32 | build: [`Identity::build`](super::Identity) |
//! | 32 | BLAKE3 hash of the module's bytes |
//! | 80 | length of each [section](Section), in 8 bytes each |
//!
//! Sections follow in order, each behind the one before, from the next multiple of [`ALIGN`] on; the last one ends with
//! the bytes. There are no offsets that could point elsewhere.
//!
//! The table of functions has a [`Record`] for each, in ascending order of function indices and at the same time of
//! places in the code. A record's piece of [`Traps`](Section::Traps), [`Positions`](Section::Positions),
//! [`StackMaps`](Section::StackMaps) and [`Handlers`](Section::Handlers) ends where that of the next begins; see
//! [`stream`](super::stream), [`stack_maps`](crate::stack_maps) and [`handlers`](crate::handlers). The table of refused functions has pairs of a function index,
//! ascending, and the start of its reason in [`Text`](Section::Text).

use std::array;
use std::ops::Range;

/// What an artefact begins with.
pub const MAGIC: [u8; 8] = *b"\0wasmrun";

/// The version of this layout.
pub const VERSION: u32 = 3;

/// Where sections begin: at multiples of a cache line, so that code that is mapped or copied keeps its alignment.
pub(super) const ALIGN: usize = 64;

/// Bytes of the header.
pub(super) const HEADER: usize = 16 + 32 + 32 + 8 * Section::COUNT;

/// Where the lengths of the sections are in the header.
pub(super) const LENGTHS: usize = HEADER - 8 * Section::COUNT;

/// The parts of an artefact, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// The records of functions that have code.
    Functions,
    /// Where they can trap, and why.
    Traps,
    /// Which code belongs to which instruction of the module.
    Positions,
    /// Where collected references are in frames.
    StackMaps,
    /// Where exceptions that come out of calls go on.
    Handlers,
    /// Functions that cannot be compiled.
    Refused,
    /// The reasons, in UTF-8.
    Text,
    /// Advice from earlier runs, which has no influence on what code does.
    Profile,
    /// The module's bytes, or nothing.
    Wasm,
    /// The code.
    Code,
}

impl Section {
    pub(super) const COUNT: usize = 10;
}

/// Where the sections are.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    ranges: [Range<usize>; Section::COUNT],
}

impl Layout {
    /// The layout of sections with these lengths; `None` if no address space could hold it.
    pub(super) fn new(lengths: [u64; Section::COUNT]) -> Option<Layout> {
        let mut end = HEADER;
        let mut ranges = array::from_fn(|_| 0..0);
        for (range, len) in ranges.iter_mut().zip(lengths) {
            let start = end.checked_next_multiple_of(ALIGN)?;
            end = start.checked_add(usize::try_from(len).ok()?)?;
            *range = start..end;
        }
        Some(Layout { ranges })
    }

    pub(super) fn range(&self, section: Section) -> Range<usize> {
        self.ranges[section as usize].clone()
    }

    /// Bytes of the whole.
    pub(super) fn total(&self) -> usize {
        self.range(Section::Code).end
    }
}

/// What is known of a function's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Its index in the module.
    pub function: u32,
    /// What the address of the code has to be a multiple of.
    pub alignment: u32,
    /// Bytes of its frame.
    pub frame: u32,
    /// Where the code is in its section.
    pub code_start: u32,
    pub code_len: u32,
    /// Where its traps, positions, stack maps and handlers begin in theirs.
    pub traps_start: u32,
    pub positions_start: u32,
    pub stack_maps_start: u32,
    pub handlers_start: u32,
}

impl Record {
    pub(super) const BYTES: usize = 36;

    pub(super) fn to_bytes(self) -> [u8; Record::BYTES] {
        let Record { function, alignment, frame, code_start, code_len, .. } = self;
        let Record { traps_start, positions_start, stack_maps_start, handlers_start, .. } = self;
        let words = [
            function,
            alignment,
            frame,
            code_start,
            code_len,
            traps_start,
            positions_start,
            stack_maps_start,
            handlers_start,
        ];
        let mut bytes = [0; Record::BYTES];
        for (place, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8; Record::BYTES]) -> Record {
        let word = |at: usize| u32::from_le_bytes(bytes.as_chunks::<4>().0[at]);
        Record {
            function: word(0),
            alignment: word(1),
            frame: word(2),
            code_start: word(3),
            code_len: word(4),
            traps_start: word(5),
            positions_start: word(6),
            stack_maps_start: word(7),
            handlers_start: word(8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_from_its_bytes() {
        let record = Record {
            function: 1,
            alignment: 2,
            frame: 3,
            code_start: 4,
            code_len: 5,
            traps_start: 6,
            positions_start: 7,
            stack_maps_start: 8,
            handlers_start: u32::MAX,
        };
        assert_eq!(Record::from_bytes(&record.to_bytes()), record);
    }

    #[test]
    fn lengths_beyond_the_address_space_have_no_layout() {
        let with = |at: usize, len: u64| {
            let mut lengths = [1; Section::COUNT];
            lengths[at] = len;
            Layout::new(lengths).map(|layout| layout.total())
        };
        for at in 0..Section::COUNT {
            assert!(with(at, 1).is_some());
            for len in [u64::MAX, u64::MAX - 64, u64::MAX - HEADER as u64] {
                assert_eq!(with(at, len), None);
            }
        }
        assert_eq!(Layout::new([u64::MAX / 2; Section::COUNT]).map(|layout| layout.total()), None);
    }
}
