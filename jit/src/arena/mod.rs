//! Code memory: one reserved range of addresses into which finished machine code is copied, and from which it
//! goes again blob by blob.
//!
//! [`Arena::install`] copies code and hands out a [`Blob`], whose range is free for reuse when it is dropped;
//! [`Arena::lookup`] tells from an address which blob it lies in, also inside a signal handler. No page is ever
//! writable and executable through one address: see [`MappingKind`].
//!
//! **The one rule of lifetimes**: *a blob must not be dropped while a thread executes it or has a frame that
//! returns into it*; neither arena nor blob can know. A module owns its blobs, code of loops and code that other code
//! has taken the place of among them, and what runs keeps the module alive. What all modules use is
//! [kept](Blob::keep) until the arena goes. From this rule it follows that what a signal handler looks up for an
//! address of the thread that it interrupted is alive for as long as the handler runs, with no lock or count.
//!
//! When a blob is freed, in this order: the lookup stops finding it, its bytes become trap instructions, its
//! metadata are dropped, its range is free. When that range is used again, the other cores are made to
//! forget what they fetched from it before the new blob is handed out.
//!
//! `free_list` decides where, `index` is the lookup, `mapping` and `dual` touch memory, `coherence` the other
//! cores. The compile workers install, the signal handler and backtraces look up.
#![allow(unsafe_code)]

mod coherence;
mod dual;
mod free_list;
mod index;
pub mod jitdump;
mod mapping;
pub mod perf_map;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::process;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use free_list::{Extent, FreeList, LINE, Placement};
use index::{Index, Meta, SlotIds};
use mapping::Mapping;
use wasmrun_runtime::vm::most_addresses;

pub use mapping::MappingKind;

/// Why code was not installed, or an arena not made.
#[derive(Debug, thiserror::Error)]
pub enum ArenaError {
    /// A size that no arena can have.
    #[error("an arena cannot have {asked} bytes; it takes 1 to {max}")]
    Size {
        /// What was asked for.
        asked: usize,
        /// The largest size.
        max: usize,
    },
    /// The system refuses executable memory, in whichever way it is asked for.
    #[error(
        "no executable memory: reserving {bytes} bytes failed as a dual mapping ({dual}) and by mprotect \
         ({protected}); allow one of memfd_create and mprotect(PROT_EXEC), raise the limit on address space, \
         or run without compiled code"
    )]
    NoExecutableMemory {
        /// What was asked for.
        bytes: usize,
        /// What the system said to two views of shared memory.
        dual: io::Error,
        /// What the system said to changing the protection of private memory.
        protected: io::Error,
    },
    /// The system refuses the one kind of mapping that was asked for.
    #[error("no executable memory: reserving {bytes} bytes as a {kind:?} mapping failed ({error})")]
    Refused {
        /// What was asked for.
        bytes: usize,
        /// How.
        kind: MappingKind,
        /// What the system said.
        error: io::Error,
    },
    /// No hole is large enough. Dropping blobs makes room.
    #[error(
        "code memory is full: {asked} bytes asked for, {largest} in the largest hole, {free} free of \
         {capacity} in all; drop modules that are done, or ask for more (`max_code_size`)"
    )]
    Exhausted {
        /// Bytes of the code.
        asked: usize,
        /// Bytes of the largest hole.
        largest: usize,
        /// Bytes of all holes.
        free: usize,
        /// Bytes of the arena.
        capacity: usize,
    },
    /// The system has no memory behind the reserved addresses, or refused to change their protection.
    #[error("the system refused memory for code: {0}")]
    Memory(#[source] io::Error),
    /// The process is a fork of the one that made the arena, whose code memory it does not share.
    #[error("a forked process has no part in its parent's code memory; make the engine after the fork")]
    Forked,
    /// Nothing to install.
    #[error("no code to install")]
    Empty,
}

/// Code memory. Clones are the same arena; its addresses stay reserved until the last clone and blob are gone.
#[derive(Clone)]
pub struct Arena {
    shared: Arc<Shared>,
}

/// How much there is of an arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Reserved addresses, in bytes.
    pub capacity: usize,
    /// Bytes backed by memory; it never shrinks.
    pub committed: usize,
    /// Bytes of blobs, with what they lose to alignment, and room that is set aside.
    pub used: usize,
}

struct Shared {
    base: NonNull<u8>,
    capacity: usize,
    /// The only process that may install or free: in a forked child, a thread that is not there may hold the lock for ever.
    owner: u32,
    index: Index,
    state: Mutex<State>,
}

// SAFETY: `base` is the address of a mapping that `state` owns; nothing is written through it.
unsafe impl Send for Shared {}
// SAFETY: as above; the rest is Sync by itself.
unsafe impl Sync for Shared {}

struct State {
    mapping: Mapping,
    free: FreeList,
    slots: SlotIds,
    /// Bytes from here on have never been given out.
    touched: usize,
    kept: Vec<Installed>,
}

/// Room that was [set aside](Arena::set_aside) for code.
#[derive(Debug)]
pub struct Room {
    /// What is left of it, as offsets.
    range: Range<usize>,
    /// Whether other code was there before.
    reused: bool,
}

/// Where code goes.
struct Place {
    extent: Extent,
    /// Whether other code was there before, which cores may have fetched.
    reused: bool,
}

/// What it takes to free a blob.
#[derive(Debug)]
struct Installed {
    /// Its code, as offsets.
    code: Range<usize>,
    /// What it owns.
    range: Range<usize>,
    slot: u32,
    /// From `Box::into_raw`.
    meta: *mut Meta,
}

// SAFETY: `meta` is an owned `Box<Arc<dyn Any + Send + Sync>>`.
unsafe impl Send for Installed {}
// SAFETY: as above.
unsafe impl Sync for Installed {}

impl Arena {
    /// What an arena reserves unless told.
    pub const DEFAULT_BYTES: usize = 1 << 30;

    /// What is worth having: where not even this can be reserved, there is no compiled code.
    const LEAST_BYTES: usize = 1 << 20;

    /// What the addresses of installed code are multiples of.
    pub const ALIGNMENT: usize = free_list::ALIGN;

    /// Reserves `bytes`, or as much as the system allows: each time that it refuses, a quarter of what it refused.
    ///
    /// Where the addresses of the process are limited, a quarter of them is the most that code takes, as a dual
    /// mapping takes twice its size: guests want theirs.
    pub fn up_to(bytes: usize) -> Result<Arena, ArenaError> {
        let mut bytes = bytes.min((most_addresses() / 8).max(Self::LEAST_BYTES));
        loop {
            match Arena::new(bytes) {
                Err(ArenaError::NoExecutableMemory { .. }) if bytes > Self::LEAST_BYTES => {
                    bytes = (bytes / 4).max(Self::LEAST_BYTES);
                }
                done => return done,
            }
        }
    }

    /// Reserves `bytes`, rounded up, in the best way that the system allows.
    pub fn new(bytes: usize) -> Result<Arena, ArenaError> {
        let (bytes, dual) = match Arena::with_mapping(bytes, MappingKind::Dual) {
            Err(ArenaError::Refused { bytes, error, .. }) => (bytes, error),
            done => return done,
        };
        match Arena::with_mapping(bytes, MappingKind::Protected) {
            Err(ArenaError::Refused { error, .. }) => {
                Err(ArenaError::NoExecutableMemory { bytes, dual, protected: error })
            }
            done => done,
        }
    }

    /// Reserves `bytes`, rounded up, in this way and no other.
    pub fn with_mapping(bytes: usize, kind: MappingKind) -> Result<Arena, ArenaError> {
        if bytes == 0 || bytes > Index::MAX_BYTES {
            return Err(ArenaError::Size { asked: bytes, max: Index::MAX_BYTES });
        }
        let bytes = bytes.next_multiple_of(Mapping::STEP);
        let mapping =
            Mapping::new(bytes, kind).map_err(|error| ArenaError::Refused { bytes, kind, error })?;
        Ok(Arena {
            shared: Arc::new(Shared {
                base: mapping.base(),
                capacity: bytes,
                owner: process::id(),
                index: Index::new(bytes),
                state: Mutex::new(State {
                    free: FreeList::new(bytes, mapping.granule()),
                    mapping,
                    slots: SlotIds::default(),
                    touched: 0,
                    kept: Vec::new(),
                }),
            }),
        })
    }

    /// How its memory is mapped.
    pub fn mapping(&self) -> MappingKind {
        self.shared.lock().mapping.kind()
    }

    /// Copies `code`, which must be position-independent, to a multiple of [`Arena::ALIGNMENT`], for as long as the blob
    /// lives. `meta` is what [`lookup`](Arena::lookup) gives for its addresses.
    pub fn install(&self, code: &[u8], meta: Arc<dyn Any + Send + Sync>) -> Result<Blob, ArenaError> {
        self.place(code, Placement::Anywhere, meta)
    }

    /// As [`install`](Arena::install), and so that the byte at `offset` of the code begins a 64-byte line, or, as
    /// the code still starts at a multiple of 16, lies less than 16 bytes behind such a beginning. For short
    /// loops, which run at half speed when they cross a line.
    pub fn install_with_line_at(
        &self,
        code: &[u8],
        offset: usize,
        meta: Arc<dyn Any + Send + Sync>,
    ) -> Result<Blob, ArenaError> {
        self.place(code, Placement::LineAt(offset), meta)
    }

    fn place(
        &self,
        code: &[u8],
        placement: Placement,
        meta: Arc<dyn Any + Send + Sync>,
    ) -> Result<Blob, ArenaError> {
        if code.is_empty() {
            return Err(ArenaError::Empty);
        }
        let mut state = self.shared.lock_to_change()?;
        let place = self.take(&mut state, code.len(), placement)?;
        let range = place.extent.range.clone();
        let installed = self.put(&mut state, place, code, meta).inspect_err(|_| state.free.free(range))?;
        Ok(Blob { shared: Arc::clone(&self.shared), installed })
    }

    /// Takes a place for so many bytes, with memory behind it.
    fn take(&self, state: &mut State, len: usize, placement: Placement) -> Result<Place, ArenaError> {
        let extent = state.free.allocate(len, placement).ok_or_else(|| ArenaError::Exhausted {
            asked: len,
            largest: state.free.largest_hole(),
            free: state.free.free_bytes(),
            capacity: self.shared.capacity,
        })?;
        if let Err(error) = state.mapping.commit(extent.range.end) {
            state.free.free(extent.range);
            return Err(ArenaError::Memory(error));
        }
        let reused = extent.range.start < state.touched;
        state.touched = state.touched.max(extent.range.end);
        Ok(Place { extent, reused })
    }

    /// Copies code to where nothing is, and lets it be found.
    fn put(
        &self,
        state: &mut State,
        Place { extent, reused }: Place,
        code: &[u8],
        meta: Arc<dyn Any + Send + Sync>,
    ) -> Result<Installed, ArenaError> {
        let lead = extent.start - extent.range.start;
        // SAFETY: committed; no blob is in the range, and no thread runs there.
        unsafe {
            state
                .mapping
                .write(extent.range.clone(), |bytes| bytes[lead..lead + code.len()].copy_from_slice(code))
        }
        .map_err(ArenaError::Memory)?;
        if reused {
            coherence::serialise_cores();
        }

        let code = extent.start..extent.start + code.len();
        let meta = Box::into_raw(Box::new(meta));
        let slot = self.shared.index.insert(&mut state.slots, &code, meta);
        Ok(Installed { code, range: extent.range, slot, meta })
    }

    /// Sets room aside for that many pieces of code of so many bytes together, which are
    /// [installed there](Arena::install_in) later, however full the arena is by then. It stays for as long as the arena.
    pub fn set_aside(&self, pieces: usize, bytes: usize) -> Result<Room, ArenaError> {
        let mut state = self.shared.lock_to_change()?;
        let bytes = bytes + pieces * (LINE + state.mapping.granule().max(LINE));
        let Place { extent: Extent { range, start }, reused } =
            self.take(&mut state, bytes, Placement::Anywhere)?;
        Ok(Room { range: start..range.end, reused })
    }

    /// As [`install`](Arena::install), in room that was set aside in this arena, and [keeps](Blob::keep) the code.
    /// Returns where it starts; `None` if there is too little room left.
    pub fn install_in(
        &self,
        room: &mut Room,
        code: &[u8],
        meta: Arc<dyn Any + Send + Sync>,
    ) -> Result<Option<*const u8>, ArenaError> {
        if code.is_empty() {
            return Err(ArenaError::Empty);
        }
        let mut state = self.shared.lock_to_change()?;
        let Range { start, end } = room.range;
        // Whole granules, as pieces are written apart, and starts as far apart as the index wants them.
        let next = (start + code.len().max(LINE)).next_multiple_of(state.mapping.granule().max(LINE));
        if next > end {
            return Ok(None);
        }
        let place = Place { extent: Extent { range: start..next, start }, reused: room.reused };
        let installed = self.put(&mut state, place, code, meta)?;
        room.range.start = next;
        state.kept.push(installed);
        Ok(Some(self.shared.base.as_ptr().wrapping_add(start)))
    }

    /// The blob that the address lies in.
    ///
    /// Lock-free, wait-free and async-signal-safe: it takes no lock, allocates nothing and counts nothing. It
    /// finds every blob that was installed throughout the call; one that was installed or freed meanwhile it may
    /// find or not. A return address belongs to the call before it, so look up the byte before.
    #[inline]
    pub fn lookup(&self, pc: usize) -> Option<Found> {
        let offset = self.offset(pc)?;
        let hit = self.shared.index.find(offset)?;
        Some(Found { start: pc - (offset - hit.start), len: hit.len, meta: NonNull::new(hit.meta)? })
    }

    /// Whether the address is one of the arena's, of whatever is there. Async-signal-safe.
    pub fn contains(&self, pc: usize) -> bool {
        self.offset(pc).is_some()
    }

    fn offset(&self, pc: usize) -> Option<usize> {
        let offset = pc.checked_sub(self.shared.base.addr().get())?;
        (offset < self.shared.capacity).then_some(offset)
    }

    /// How much of it is in use.
    pub fn usage(&self) -> Usage {
        let state = self.shared.lock();
        Usage {
            capacity: self.shared.capacity,
            committed: state.mapping.committed(),
            used: self.shared.capacity - state.free.free_bytes(),
        }
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").field("base", &self.shared.base).field("usage", &self.usage()).finish()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For a process that may install.
    fn lock_to_change(&self) -> Result<MutexGuard<'_, State>, ArenaError> {
        if self.is_foreign() { Err(ArenaError::Forked) } else { Ok(self.lock()) }
    }

    fn is_foreign(&self) -> bool {
        self.owner != process::id()
    }

    /// Frees a blob that nobody runs. The caller forgets it then.
    fn release(&self, installed: &Installed) {
        // In a forked child the lock may be held by a thread that is gone, and the code may be gone, too.
        if self.is_foreign() {
            return;
        }
        let mut guard = self.lock();
        let state = &mut *guard;
        self.index.remove(&mut state.slots, installed.slot, &installed.code);
        // SAFETY: the owner of a blob frees it only when no thread runs it.
        let trapped =
            unsafe { state.mapping.write(installed.range.clone(), |bytes| bytes.fill(mapping::TRAP)) };
        // Where the system refuses to change the pages, they are never used again.
        if trapped.is_ok() {
            state.free.free(installed.range.clone());
        }
        drop(guard);
        // Not under the lock: what drops here may itself own blobs.
        // SAFETY: from `Box::into_raw`, and the index, which was the only other one to know it, does no more.
        drop(unsafe { Box::from_raw(installed.meta) });
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        for installed in state.kept.drain(..) {
            // SAFETY: from `Box::into_raw`; nobody is left to look it up.
            drop(unsafe { Box::from_raw(installed.meta) });
        }
    }
}

/// Installed code. Dropping it frees the code: see the [rule](self) on when that is allowed.
pub struct Blob {
    shared: Arc<Shared>,
    installed: Installed,
}

impl Blob {
    /// Where it starts, to be called. What may be dropped when is the caller's to know: see the [rule](self).
    pub fn entry(&self) -> *const u8 {
        // SAFETY: inside of the arena's reservation.
        unsafe { self.shared.base.as_ptr().add(self.installed.code.start) }
    }

    /// The addresses of its code.
    pub fn addresses(&self) -> Range<usize> {
        let start = self.entry().addr();
        start..start + self.installed.code.len()
    }

    /// The code itself, as it was installed.
    pub fn code(&self) -> &[u8] {
        // SAFETY: committed and readable, and written by nobody while the blob is there.
        unsafe { slice::from_raw_parts(self.entry(), self.installed.code.len()) }
    }

    /// What was attached to it.
    pub fn meta(&self) -> &Arc<dyn Any + Send + Sync> {
        // SAFETY: owned by the blob, and shared by all who look it up.
        unsafe { &*self.installed.meta }
    }

    /// Keeps the code for as long as any arena or blob of the same memory is left. Returns where it starts.
    pub fn keep(self) -> *const u8 {
        let entry = self.entry();
        let blob = ManuallyDrop::new(self);
        // SAFETY: each field is taken once, and the blob is not dropped.
        let (shared, installed) = unsafe { (ptr::read(&blob.shared), ptr::read(&blob.installed)) };
        shared.lock().kept.push(installed);
        entry
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        self.shared.release(&self.installed);
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob").field("addresses", &self.addresses()).finish_non_exhaustive()
    }
}

/// A blob, as [looked up](Arena::lookup): what was true at one moment of the search.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    start: usize,
    len: usize,
    meta: NonNull<Meta>,
}

impl Found {
    /// The addresses of its code.
    pub fn addresses(&self) -> Range<usize> {
        self.start..self.start + self.len
    }

    /// What was attached to the blob. Async-signal-safe.
    ///
    /// # Safety
    /// The blob is not freed for as long as the reference is used. That holds in a signal handler for the address
    /// at which it interrupted its own thread, and for those to which frames of that thread return, by the
    /// [rule](self) of lifetimes; for addresses that come from elsewhere (other threads, a profile, chance), only
    /// if the caller keeps the blob itself.
    pub unsafe fn meta<'a>(self) -> &'a (dyn Any + Send + Sync) {
        // SAFETY: the caller's; the count is not touched, so that nothing is dropped here ever.
        unsafe { &**self.meta.as_ref() }
    }
}
