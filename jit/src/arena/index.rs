//! From an offset in the arena to the blob there: lock-free, wait-free and async-signal-safe to read.
//!
//! Two tables. A *slot* describes one installed blob: start, length, metadata, and a version that is odd
//! while a writer changes the other three. A *line* entry names a slot, for every 64 bytes of code: the line
//! in which a blob starts and those after it are its own, all but the last, which may be the first line of
//! the next blob. Starts are at least a line apart (see [`free_list`](super::free_list)), so that no two
//! blobs ever write the same entry, and an offset inside a blob has the blob's slot in its own line's entry
//! or in that of the line before: [`Index::find`] probes these two and nothing else.
//!
//! Why a reader is right whatever writers do meanwhile. What an entry says is only a hint; the answer comes
//! from a slot that was read whole, between two equal even versions, and that contains the offset: then that
//! blob was installed at that time. While a blob stays installed, its entries and its slot do not change, so
//! that it is found always. A slot that changes under the reader belongs to a blob that came or went during
//! the search, and not finding that one is true of one moment in it. Hence no retries.
//!
//! Slots and entries are never deallocated before the index is, so that a late reader reads something old,
//! but never something freed; they are reused, and `O(code)` in number. Writers hold `&mut` [`SlotIds`], of
//! which there is one, inside the arena's lock. All of this file but the fences is ordinary safe code.
#![forbid(unsafe_code)]

use std::any::Any;
use std::array;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, fence};
use std::sync::{Arc, OnceLock};

use super::free_list::LINE;

/// What the owner of a blob attached to it; boxed, for a thin pointer.
pub(super) type Meta = Arc<dyn Any + Send + Sync>;

/// Entries that are allocated together: those of 1 MiB of code.
const LINES: usize = (1 << 20) / LINE;

/// Slots of the first chunk; each further chunk has twice as many as the one before.
const FIRST_SLOTS: usize = 256;

/// Enough chunks for a slot in every line of [`Index::MAX_BYTES`].
const SLOT_CHUNKS: usize = 18;

#[derive(Default)]
struct Slot {
    /// Odd while the rest changes.
    version: AtomicU64,
    start: AtomicU32,
    /// 0: no blob.
    len: AtomicU32,
    meta: AtomicPtr<Meta>,
}

/// An installed blob, as found: offsets in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub start: usize,
    pub len: usize,
    /// Dangles once the blob is freed.
    pub meta: *mut Meta,
}

/// Which slots are free; whoever borrows it mutably is the only writer.
#[derive(Debug, Default)]
pub(super) struct SlotIds {
    free: Vec<u32>,
    next: u32,
}

#[cfg(test)]
impl SlotIds {
    /// How many slots were ever used.
    pub fn made(&self) -> u32 {
        self.next
    }
}

/// The two tables.
pub(super) struct Index {
    /// An entry is the number of a slot plus one, or 0.
    lines: Box<[OnceLock<Box<[AtomicU32]>>]>,
    slots: [OnceLock<Box<[Slot]>>; SLOT_CHUNKS],
}

impl Index {
    /// The largest arena: any two bytes of it are in reach of a 32-bit displacement, and offsets fit in `u32`.
    pub const MAX_BYTES: usize = 2 << 30;

    /// An empty index of `bytes` of code, at most [`MAX_BYTES`](Self::MAX_BYTES).
    pub fn new(bytes: usize) -> Index {
        let chunks = bytes.div_ceil(LINE * LINES);
        Index {
            lines: (0..chunks).map(|_| OnceLock::new()).collect(),
            slots: array::from_fn(|_| OnceLock::new()),
        }
    }

    /// The blob that contains `offset`.
    #[inline]
    pub fn find(&self, offset: usize) -> Option<Hit> {
        let line = offset / LINE;
        self.probe(line, offset).or_else(|| self.probe(line.checked_sub(1)?, offset))
    }

    #[inline]
    fn probe(&self, line: usize, offset: usize) -> Option<Hit> {
        let entry = self.lines.get(line / LINES)?.get()?[line % LINES].load(Acquire);
        let (chunk, at) = slot_place(entry.checked_sub(1)?);
        let slot = &self.slots[chunk].get()?[at];

        let version = slot.version.load(Acquire);
        let hit = Hit {
            start: slot.start.load(Relaxed) as usize,
            len: slot.len.load(Relaxed) as usize,
            meta: slot.meta.load(Relaxed),
        };
        // The loads above happen before the one below.
        fence(Acquire);
        let whole = version.is_multiple_of(2) && slot.version.load(Relaxed) == version;
        (whole && (hit.start..hit.start + hit.len).contains(&offset)).then_some(hit)
    }

    /// Makes a blob visible, at a range that meets no other blob's and starts at least a line from the start of
    /// every other. Returns its slot.
    pub fn insert(&self, ids: &mut SlotIds, range: &Range<usize>, meta: *mut Meta) -> u32 {
        let slot = ids.free.pop().unwrap_or_else(|| {
            ids.next += 1;
            ids.next - 1
        });
        self.describe(slot, range.start, range.len(), meta);
        self.write_lines(range, slot + 1);
        slot
    }

    /// Makes a blob invisible: no search that begins after this returns finds it.
    pub fn remove(&self, ids: &mut SlotIds, slot: u32, range: &Range<usize>) {
        self.write_lines(range, 0);
        self.describe(slot, 0, 0, ptr::null_mut());
        ids.free.push(slot);
    }

    fn describe(&self, slot: u32, start: usize, len: usize, meta: *mut Meta) {
        let (chunk, at) = slot_place(slot);
        let chunk =
            self.slots[chunk].get_or_init(|| (0..FIRST_SLOTS << chunk).map(|_| Slot::default()).collect());
        let slot = &chunk[at];
        let version = slot.version.load(Relaxed);
        slot.version.store(version + 1, Relaxed);
        // Whoever sees a store below sees the odd version too.
        fence(Release);
        slot.start.store(start as u32, Relaxed);
        slot.len.store(len as u32, Relaxed);
        slot.meta.store(meta, Relaxed);
        slot.version.store(version + 2, Release);
    }

    fn write_lines(&self, range: &Range<usize>, entry: u32) {
        let first = range.start / LINE;
        let last = (range.end - 1) / LINE;
        for line in first..last.max(first + 1) {
            let chunk =
                self.lines[line / LINES].get_or_init(|| (0..LINES).map(|_| AtomicU32::new(0)).collect());
            chunk[line % LINES].store(entry, Release);
        }
    }
}

/// Chunk of a slot, and its place therein.
fn slot_place(slot: u32) -> (usize, usize) {
    let position = slot as usize + FIRST_SLOTS;
    let chunk = (position / FIRST_SLOTS).ilog2() as usize;
    (chunk, position - (FIRST_SLOTS << chunk))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use proptest::prelude::*;

    use super::super::free_list::{FreeList, Placement};
    use super::*;

    #[test]
    fn every_slot_has_a_place_of_its_own() {
        let mut expected = (0, 0);
        for slot in 0..1 << 16 {
            assert_eq!(slot_place(slot), expected);
            expected.1 += 1;
            if expected.1 == FIRST_SLOTS << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
        assert!(slot_place((Index::MAX_BYTES / LINE) as u32).0 < SLOT_CHUNKS);
    }

    #[test]
    fn a_description_is_read_whole_or_not_at_all() {
        let index = Index::new(4096);
        let mut ids = SlotIds::default();
        let describe = |slot, turn: usize| {
            index.describe(slot, 16 * (turn % 4), 64 + turn % 1024, ptr::without_provenance_mut(turn + 1));
        };
        // One slot, whose three words change together all the time.
        let slot = index.insert(&mut ids, &(0..64), ptr::without_provenance_mut(1));
        let written = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                for turn in 0..3_000_000 {
                    describe(slot, turn);
                }
                written.store(true, Relaxed);
            });
            let mut torn = None;
            while torn.is_none() && !written.load(Relaxed) {
                torn = index.find(60).filter(|hit| {
                    let turn = hit.meta.addr() - 1;
                    (hit.start, hit.len) != (16 * (turn % 4), 64 + turn % 1024)
                });
            }
            assert_eq!(torn, None);
        });
    }

    proptest! {
        // Each case asks for every byte after every step.
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn each_byte_of_a_blob_finds_it_and_no_other_byte_does(
            steps in proptest::collection::vec((any::<bool>(), 1..300_usize, any::<usize>()), 1..100),
        ) {
            let capacity = 4096;
            let index = Index::new(capacity);
            let mut ids = SlotIds::default();
            let mut list = FreeList::new(capacity, 16);
            let mut model = BTreeMap::new();
            for (number, (install, len, which)) in steps.into_iter().enumerate() {
                if install {
                    let placement =
                        if which % 2 == 0 { Placement::Anywhere } else { Placement::LineAt(which % 4096) };
                    if let Some(extent) = list.allocate(len, placement) {
                        let range = extent.start..extent.start + len;
                        let meta = ptr::without_provenance_mut(8 * (number + 1));
                        let slot = index.insert(&mut ids, &range, meta);
                        model.insert(range.start, (range, slot, meta, extent.range));
                    }
                } else if let Some(&start) = model.keys().nth(which % model.len().max(1)) {
                    let (range, slot, _, extent) = model.remove(&start).unwrap();
                    index.remove(&mut ids, slot, &range);
                    list.free(extent);
                }
                for offset in 0..capacity {
                    let expected = model
                        .range(..=offset)
                        .next_back()
                        .filter(|(_, (range, ..))| range.contains(&offset))
                        .map(|(_, (range, _, meta, _))| Hit { start: range.start, len: range.len(), meta: *meta });
                    prop_assert_eq!(index.find(offset), expected);
                }
            }
        }
    }
}
