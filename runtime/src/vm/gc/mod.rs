//! The heap of a store: objects that the guest or the host lets go of are collected.
//!
//! A *reference* is a 32-bit word: 0 is null, an odd one is a number of 31 bits, and any other is where an object starts,
//! in bytes from the heap's base and a multiple of eight. No word leads out of the heap's addresses, which are reserved at
//! the first allocation and get memory as the heap grows.
//!
//! ```text
//! [ one half | the other half | large objects | guard ]
//! ```
//!
//! Objects are made in one half, one behind the other. When there is no room, the collector copies what can be reached from
//! the roots to the other half, breadth first (Cheney, "A nonrecursive list compacting algorithm", 1970), and forgets the
//! rest: what it does takes time in proportion to what lives. Large objects (`large`) stay where they are.
//!
//! All words that hold references are found precisely, and changed when their objects move: [`Store`](super::Store) knows
//! where they are. How much may be allocated until the next collection follows from what the last one has left:
//! `budget`.

mod handles;
mod host_values;
mod large;
mod reservation;
pub mod shape;
mod trace;

use std::any::Any;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use handles::{Handles, OwnedHandle, Scope, ScopedHandle};
pub use host_values::HostValue;
use host_values::HostValues;
use large::{LARGE, LargeObjects};
use reservation::{MOST, Reservation};
use shape::{ARRAY_LENGTH, EXTERN_BYTES, EXTERN_INDEX, HEADER, Kind, Layouts};
pub use trace::Tracer;

use crate::trap::{HostError, Pending, Trap};
use crate::types::TypeRegistry;
use crate::types::object::{ObjectLayout, Storage};
use crate::vm::func_ref::FuncRef;

/// What code of every tier needs to make objects.
///
/// An object of `bytes` bytes, a multiple of 8, is at `top`, which moves on by as much, if that does not pass `end`; else, and
/// if it has more than [`INLINE`] bytes, [`builtins`](super::builtins) make it. The memory there holds anything: whoever makes
/// an object without them writes the kind, 0 behind it, and all fields, references above all, before anything can collect.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct GcWords {
    /// The heap's base; null until there is one.
    pub base: *mut u8,
    /// Where the next object goes.
    pub top: u32,
    /// Where it must end at the latest.
    pub end: u32,
}

impl GcWords {
    pub(super) const NONE: GcWords = GcWords { base: ptr::null_mut(), top: 0, end: 0 };
}

/// The most bytes of an object that code makes by itself: larger ones are not among the others.
pub const INLINE: usize = LARGE;

/// Bytes at the start of a heap where nothing is ever mapped: what is accessed there is a field of null.
pub const NULL_BYTES: usize = 4 << 10;

/// What a heap has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GcStats {
    /// Collections.
    pub collections: u64,
    /// Bytes of all objects that have been made.
    pub allocated: u64,
    /// The longest collection.
    pub longest_pause: Duration,
    /// All collections together.
    pub total_pause: Duration,
    /// The most bytes that the heap has held, garbage included.
    pub peak: usize,
}

/// What is asked before a heap grows from so many bytes to so many.
pub type Growing<'g> = dyn FnMut(usize, usize) -> Result<bool, HostError> + 'g;

/// Bytes that can be allocated between two collections at least. Both halves together fit the caches of a core.
const LEAST_BUDGET: usize = 2 << 20;

/// Memory of the half that is not in use that is not given back to the system after a collection, if what lives does not need
/// more: the next one needs it again, and pages that the system has to fill with zeroes first cost more than what is
/// copied to them.
const KEPT: usize = 32 << 20;

/// What a collection has to leave free, as a part of the heap, where the heap may not grow: else the next ones would come
/// sooner and sooner, and each would look at all that lives. So there is one for a sixteenth of the heap at least that is allocated.
const LEAST_FREE: usize = 16;

/// How exactly a heap that may not grow as far as it would like finds out how far it may.
const STEP: usize = 64;

/// Bytes that a heap may hold until the next collection when the last one has left so many. With half as much again
/// as is alive the work for each allocated byte is two thirds of a copied one; a collection needs room for what
/// lives a second time, three and a half times in all.
fn budget(live: usize) -> usize {
    live.saturating_add((live / 2 * 3).max(LEAST_BUDGET))
}

/// The heap of a store.
#[derive(Debug)]
pub struct Heap {
    reservation: Reservation,
    /// Where the half starts that objects are made in, and the other one.
    halves: [usize; 2],
    /// Bytes of each half.
    half: usize,
    /// How many of them have memory.
    committed: usize,
    /// A page of the system.
    page: usize,
    large: LargeObjects,
    values: HostValues,
    layouts: Layouts,
    /// Keeps the layouts.
    _types: Arc<TypeRegistry>,
    /// Bytes that the heap may hold, by what was asked.
    granted: usize,
    /// Bytes that it may hold until the next collection.
    threshold: usize,
    /// Where the half ended after the last collection.
    survivors_end: u32,
    /// Whether each allocation collects, and what has been moved cannot be taken for an object.
    stress: bool,
    stats: GcStats,
}

impl Heap {
    /// A heap without objects, or `None` if the system has no addresses for one.
    pub fn new(words: &mut GcWords, stress: bool, types: &Arc<TypeRegistry>) -> Option<Heap> {
        Heap::with_addresses(words, stress, types, MOST, region::page::size())
    }

    /// The same, of so many bytes at most, which is a power of two, on a system whose pages are not larger than these.
    fn with_addresses(
        words: &mut GcWords,
        stress: bool,
        types: &Arc<TypeRegistry>,
        most: usize,
        page: usize,
    ) -> Option<Heap> {
        let page = page.max(NULL_BYTES);
        let reservation = Reservation::new(most)?;
        // Objects that are not moved need no second place.
        let half = (reservation.len() / 16 * 5) & !(page - 1);
        // No object is at 0, which is null.
        let halves = [page, half];
        let large = LargeObjects::new(2 * half..reservation.len(), page);
        *words = GcWords { base: reservation.base(), top: page as u32, end: page as u32 };
        Some(Heap {
            halves,
            half: half - page,
            page,
            committed: 0,
            large,
            values: HostValues::default(),
            layouts: Layouts::new(types.directory()),
            _types: types.clone(),
            granted: 0,
            threshold: 0,
            survivors_end: words.top,
            stress,
            stats: GcStats::default(),
            reservation,
        })
    }

    /// What it has done.
    pub fn stats(&self, words: &GcWords) -> GcStats {
        GcStats {
            allocated: self.stats.allocated + u64::from(words.top - self.survivors_end),
            peak: self.stats.peak.max(self.used(words)),
            ..self.stats
        }
    }

    /// Bytes of all objects, and of what the host keeps for them.
    fn used(&self, words: &GcWords) -> usize {
        words.top as usize - self.halves[0] + self.large.bytes() + self.values.bytes()
    }

    /// Lets objects be made until the heap holds what it may; if each allocation is to collect, none without asking here.
    fn set_end(&self, words: &mut GcWords) {
        words.end = if self.stress { words.top } else { self.end(words) };
    }

    /// Where the last object in the half that can be made without asking anybody must end.
    fn end(&self, words: &GcWords) -> u32 {
        let room = self.threshold.saturating_sub(self.used(words));
        let half_end = self.halves[0] + self.committed;
        (words.top as usize + room).min(half_end).max(words.top as usize) as u32
    }

    /// Makes an object of `bytes` bytes, which are zeroes behind its header; collects if there is no room for it.
    ///
    /// # Errors
    /// There is no room even then, or an error of `growing`.
    ///
    /// # Safety
    /// As for [`Heap::collect`]. `bytes` are those that objects of this kind have.
    pub unsafe fn allocate(
        &mut self,
        words: &mut GcWords,
        kind: Kind,
        bytes: usize,
        roots: &mut dyn FnMut(&mut Tracer<'_>),
        growing: &mut Growing<'_>,
    ) -> Result<u32, Pending> {
        let collections = self.stats.collections;
        // SAFETY: the caller's promise.
        unsafe { self.make_room(words, bytes, 0, roots, growing) }?;
        let mut made = self.try_allocate(words, kind, bytes);
        // The room is in pieces, or has no memory: garbage may be between them.
        if made.is_none() && self.stats.collections == collections {
            // SAFETY: the caller's promise.
            unsafe { self.collect(words, roots) };
            made = self.try_allocate(words, kind, bytes);
        }
        made.ok_or_else(|| Trap::GcHeapOutOfMemory.into())
    }

    /// Makes the object of a value of the host. See [`Heap::allocate`].
    ///
    /// # Errors
    /// There is no room even then, or an error of `growing`.
    ///
    /// # Safety
    /// As for [`Heap::collect`].
    pub unsafe fn allocate_extern(
        &mut self,
        words: &mut GcWords,
        value: HostValue,
        roots: &mut dyn FnMut(&mut Tracer<'_>),
        growing: &mut Growing<'_>,
    ) -> Result<u32, Pending> {
        let kept = HostValues::bytes_of(&value);
        // SAFETY: the caller's promise.
        let room = unsafe { self.make_room(words, EXTERN_BYTES, kept, roots, growing) };
        // Its destructor must not run while the store is being changed.
        if let Err(pending) = room {
            self.values.discard(value);
            return Err(pending);
        }
        let out_of_memory = Pending::Trap(Trap::GcHeapOutOfMemory);
        let Some(index) = self.values.insert(value) else { return Err(out_of_memory) };
        // If this fails, nothing leads to the value.
        let object = self.try_allocate(words, Kind::EXTERN, EXTERN_BYTES).ok_or(out_of_memory)?;
        // SAFETY: the object has just been made.
        unsafe { self.at(object as usize + EXTERN_INDEX).write(index) };
        self.set_end(words);
        Ok(object)
    }

    /// Sees to it that an object of so many bytes can be made, for which the host keeps `kept` bytes.
    unsafe fn make_room(
        &mut self,
        words: &mut GcWords,
        bytes: usize,
        kept: usize,
        roots: &mut dyn FnMut(&mut Tracer<'_>),
        growing: &mut Growing<'_>,
    ) -> Result<(), Pending> {
        if bytes > LARGE && !self.large.can_hold(bytes) {
            return Err(Trap::GcHeapOutOfMemory.into());
        }
        if !self.stress && self.has_room(words, bytes, kept) {
            return Ok(());
        }
        if self.used(words) > 0 {
            // SAFETY: the caller's promise.
            unsafe { self.collect(words, roots) };
        }
        let needed = self.used(words).saturating_add(bytes).saturating_add(kept);
        let wanted = budget(self.used(words)).max(needed).min(self.reservation.len());
        if wanted > self.threshold || !self.has_room(words, bytes, kept) {
            self.grow(words, needed, wanted, growing)?;
        }
        if self.is_nearly_full(words, bytes) {
            return Err(Trap::GcHeapOutOfMemory.into());
        }
        Ok(())
    }

    /// Whether there is too little room for objects of a size for another collection to be worth its time.
    fn is_nearly_full(&self, words: &GcWords, bytes: usize) -> bool {
        let is_little = |free: usize, all: usize| free < all / LEAST_FREE;
        is_little(self.threshold.saturating_sub(self.used(words)), self.threshold)
            || match bytes > LARGE {
                true => self.large.is_nearly_full(LEAST_FREE),
                false => is_little(self.halves[0] + self.committed - words.top as usize, self.committed),
            }
    }

    fn has_room(&self, words: &GcWords, bytes: usize, kept: usize) -> bool {
        self.used(words).saturating_add(bytes).saturating_add(kept) <= self.threshold
            && (bytes > LARGE || words.top as usize + bytes <= self.halves[0] + self.committed)
    }

    /// Lets the heap hold up to `wanted` bytes, which are no more than it has addresses for, or fewer, but `needed` ones.
    fn grow(
        &mut self,
        words: &mut GcWords,
        needed: usize,
        wanted: usize,
        growing: &mut Growing<'_>,
    ) -> Result<(), Pending> {
        if needed > wanted {
            return Err(Trap::GcHeapOutOfMemory.into());
        }
        // Between what it may hold and what it may not.
        let (mut ask, mut refused) = (wanted, wanted);
        while ask > self.granted {
            if growing(self.granted, ask).map_err(Pending::Host)? {
                self.granted = ask;
            } else if ask > needed {
                refused = ask;
            } else {
                break;
            }
            let least = needed.max(self.granted);
            ask = if refused - least.min(refused) < STEP { least } else { least + (refused - least) / 2 };
        }
        if needed > self.granted {
            return Err(Trap::GcHeapOutOfMemory.into());
        }
        self.threshold = wanted.min(self.granted);
        let committed = self.threshold.next_multiple_of(self.page).min(self.half);
        if committed > self.committed {
            // Both halves: a collection never fails.
            let more = committed - self.committed;
            let ends = self.halves.map(|start| start + self.committed);
            if ends.into_iter().all(|end| self.reservation.commit(end, more).is_some()) {
                self.committed = committed;
            }
        }
        self.set_end(words);
        Ok(())
    }

    /// Makes an object if there is room.
    fn try_allocate(&mut self, words: &mut GcWords, kind: Kind, bytes: usize) -> Option<u32> {
        let start = if bytes > LARGE {
            let start = self.large.allocate(&mut self.reservation, bytes)?;
            self.stats.allocated += bytes as u64;
            self.set_end(words);
            start
        } else {
            let start = words.top as usize;
            if start + bytes > self.end(words) as usize {
                return None;
            }
            words.top += bytes as u32;
            words.end = words.end.max(words.top);
            // SAFETY: the bytes are behind all objects in the half, and committed.
            unsafe { self.at(start).cast::<u8>().write_bytes(0, bytes) };
            start
        };
        debug_assert!(bytes >= HEADER && start.is_multiple_of(shape::ALIGN));
        // SAFETY: the object is at least as long as its header.
        unsafe { self.at(start).write(kind.0) };
        Some(start as u32)
    }

    /// Frees what cannot be reached, and moves the rest. Values of the host that are freed wait for [`Heap::take_dead`].
    ///
    /// # Safety
    /// `roots` visits every word outside of the heap that holds a reference and is read later. Those words, and the
    /// references in objects, are null, numbers, or lead to objects of this heap; these are as their shapes say.
    pub unsafe fn collect(&mut self, words: &mut GcWords, roots: &mut dyn FnMut(&mut Tracer<'_>)) {
        let begin = Instant::now();
        let unfinished = Unfinished;
        let [from, to] = self.halves;
        self.stats.peak = self.stats.peak.max(self.used(words));
        self.stats.allocated += u64::from(words.top - self.survivors_end);
        let moving = from as u32..words.top;
        let (large, values) = (&mut self.large, &mut self.values);
        let mut tracer = Tracer::new(self.reservation.base(), moving, to as u32, self.layouts, large, values);
        roots(&mut tracer);
        // SAFETY: the caller's promise.
        let end = unsafe { tracer.finish() };
        self.large.sweep(&mut self.reservation, self.stress);
        self.values.sweep();
        self.abandon(from..words.top as usize, end as usize - to);
        self.halves = [to, from];
        (words.top, self.survivors_end) = (end, end);
        self.threshold = budget(self.used(words)).min(self.granted).max(self.used(words));
        self.set_end(words);
        std::mem::forget(unfinished);
        let pause = begin.elapsed();
        self.stats.collections += 1;
        self.stats.total_pause += pause;
        self.stats.longest_pause = self.stats.longest_pause.max(pause);
    }

    /// Gives memory back that holds nothing any more, but for as much as the next collection needs if so many bytes live.
    fn abandon(&mut self, garbage: Range<usize>, live: usize) {
        if self.stress {
            // SAFETY: nothing is there any more.
            unsafe { self.at(garbage.start).cast::<u8>().write_bytes(POISON, garbage.len()) };
        }
        let kept = garbage.start + live.max(KEPT);
        if garbage.end > kept {
            let kept = kept.next_multiple_of(self.page);
            self.reservation.release(kept, garbage.end.next_multiple_of(self.page).saturating_sub(kept));
        }
    }

    /// Calls `visit` with each function that an object refers to.
    ///
    /// # Safety
    /// Objects are as their types say.
    pub unsafe fn for_each_function(&self, words: &GcWords, visit: &mut dyn FnMut(*const FuncRef)) {
        let mut at = self.halves[0] as u32;
        // SAFETY: objects are one behind the other, and large ones where the list says.
        unsafe {
            while at < words.top {
                at += self.functions_of(at, visit) as u32;
            }
            for start in self.large.starts() {
                self.functions_of(start as u32, visit);
            }
        }
    }

    /// The same for one object. Returns its size.
    unsafe fn functions_of(&self, object: u32, visit: &mut dyn FnMut(*const FuncRef)) -> usize {
        // SAFETY: the caller's promise.
        unsafe {
            let kind = Kind(self.at(object as usize).read());
            if kind == Kind::EXTERN {
                return EXTERN_BYTES;
            }
            let mut see = |offset: usize| {
                let function = self.at(object as usize + offset).cast::<*const FuncRef>().read();
                if !function.is_null() {
                    visit(function);
                }
            };
            match self.layouts.of(kind) {
                ObjectLayout::Struct(layout) => {
                    layout.functions.iter().for_each(|offset| see(*offset as usize));
                    layout.bytes as usize
                }
                ObjectLayout::Array(layout) => {
                    let len = self.at(object as usize + ARRAY_LENGTH).read();
                    if layout.storage == Storage::Function {
                        (0..len as usize).for_each(|i| see(layout.first as usize + 8 * i));
                    }
                    layout.bytes(len)
                }
            }
        }
    }

    /// The value of the host that a reference leads to; `None` if it leads to anything else.
    ///
    /// # Safety
    /// `reference` is null, a number, or leads to an object of this heap.
    pub unsafe fn host_value(&self, reference: u32) -> Option<&(dyn Any + Send + Sync)> {
        // SAFETY: the caller's promise.
        self.values.get(unsafe { self.host_index(reference) }?)
    }

    /// The same, to be changed.
    ///
    /// # Safety
    /// As for [`Heap::host_value`].
    pub unsafe fn host_value_mut(&mut self, reference: u32) -> Option<&mut (dyn Any + Send + Sync)> {
        // SAFETY: the caller's promise.
        let index = unsafe { self.host_index(reference) }?;
        self.values.get_mut(index)
    }

    unsafe fn host_index(&self, reference: u32) -> Option<u32> {
        if reference == 0 || reference & 1 != 0 {
            return None;
        }
        // SAFETY: the caller's promise: there is an object.
        unsafe {
            let kind = Kind(self.at(reference as usize).read());
            (kind == Kind::EXTERN).then(|| self.at(reference as usize + EXTERN_INDEX).read())
        }
    }

    /// The values of the host that have been freed, to be dropped by whoever can bear a panic of theirs.
    pub fn take_dead(&mut self) -> Vec<HostValue> {
        self.values.take_dead()
    }

    /// A word of the heap.
    fn at(&self, offset: usize) -> *mut u32 {
        self.reservation.base().wrapping_add(offset).cast()
    }
}

/// A collection that goes on. A panic in it means that the heap is not as it should be, and leaves references that lead to
/// where nothing is any more: it ends the process, before somebody catches it and goes on.
struct Unfinished;

impl Drop for Unfinished {
    fn drop(&mut self) {
        eprintln!("a panic in a collection: the heap of the store is damaged, and the process ends");
        std::process::abort();
    }
}

/// What is where an object was that has been moved, if somebody wants to see whether it is used: of no kind.
const POISON: u8 = 0xFE;

#[cfg(all(test, not(miri)))]
mod tests;
