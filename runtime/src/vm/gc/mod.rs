//! The heap of a store: objects that the guest or the host lets go of are collected.
//!
//! A *reference* is a 32-bit word: 0 is null, an odd one is a number of 31 bits, and any other is where an object starts,
//! in bytes from the heap's base and a multiple of eight. No word leads out of the heap's addresses, which are reserved at
//! the first allocation and get memory as the heap grows.
//!
//! ```text
//! [ tables of cards | null | nursery | old objects | the other half of those | large objects | guard ]
//! ```
//!
//! Most objects are of use for a short time. They are made in the *nursery*, one behind the other. When it is full, a *minor*
//! collection copies those that can be reached behind the *old* objects, breadth first (Cheney, "A nonrecursive list compacting
//! algorithm", 1970), and forgets the rest: it does not look at old objects, but where they have been written to since, which
//! their [cards] tell (Hosking, Moss, Stefanović, "A comparative performance evaluation of write barrier implementations", 1992). A *full*
//! collection copies all objects, old and young, to the other half in the same way. Large objects (`large`) stay where they are. No
//! object is young after a collection.
//!
//! All words that hold references are found precisely, and changed when their objects move: [`Store`](super::Store) knows
//! where they are. When to collect, and how much, is in `pacing`.

pub mod cards;
mod collect;
mod collector;
mod handles;
mod host_values;
mod large;
mod nursery;
mod objects;
mod old;
mod pacing;
mod reservation;
pub mod shape;
mod stats;
mod stress;
mod trace;
mod verify;

use std::any::Any;
use std::ops::Range;
use std::ptr;
use std::sync::Arc;

use collect::Roots;
pub use collector::Collector;
pub use handles::{Handles, OwnedHandle, Scope, ScopedHandle};
pub use host_values::HostValue;
use host_values::HostValues;
use large::{LARGE, LargeObjects};
use nursery::Nursery;
use objects::Objects;
use old::Old;
use pacing::Survival;
use reservation::{MOST, Reservation};
use shape::{EXTERN_BYTES, EXTERN_INDEX, HEADER, Kind, Layouts};
pub use stats::{Collections, GcStats};
use stress::Stress;
pub use trace::Tracer;

use crate::trap::{HostError, Pending, Trap};
use crate::types::TypeRegistry;
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

/// What is asked before a heap grows from so many bytes to so many.
pub type Growing<'g> = dyn FnMut(usize, usize) -> Result<bool, HostError> + 'g;

/// How exactly a heap that may not grow as far as it would like finds out how far it may.
const STEP: usize = 64;

/// The heap of a store.
#[derive(Debug)]
pub struct Heap {
    reservation: Reservation,
    /// A page of the system.
    page: usize,
    nursery: Nursery,
    old: Old,
    large: LargeObjects,
    values: HostValues,
    layouts: Layouts,
    /// Keeps the layouts.
    _types: Arc<TypeRegistry>,
    /// Bytes that the heap may hold, by what was asked.
    granted: usize,
    /// Bytes that it may hold until the next full collection.
    threshold: usize,
    /// Bytes that the last full one has left, and how many could be allocated then.
    live: usize,
    left_free: usize,
    /// Bytes that the nursery has at least, by the roots.
    nursery_least: usize,
    survival: Survival,
    collector: Collector,
    /// Whether each allocation collects, and what has been moved cannot be taken for an object.
    stress: Option<Stress>,
    stats: GcStats,
}

impl Heap {
    /// A heap without objects, or `None` if the system has no addresses for one. With `stress` each allocation collects.
    pub fn new(
        words: &mut GcWords,
        collector: Collector,
        stress: bool,
        types: &Arc<TypeRegistry>,
    ) -> Option<Heap> {
        Heap::with_addresses(words, collector, stress, types, MOST, region::page::size())
    }

    /// The same, of so many bytes at most, which is a power of two, on a system whose pages are not larger than these.
    fn with_addresses(
        words: &mut GcWords,
        collector: Collector,
        stress: bool,
        types: &Arc<TypeRegistry>,
        most: usize,
        page: usize,
    ) -> Option<Heap> {
        let page = page.max(NULL_BYTES);
        let reservation = Reservation::new(most)?;
        let part = |of_32: usize| (reservation.len() / 32 * of_32) & !(page - 1);
        // Large objects are not moved and need no second place; no object is at 0, which is null.
        let (large, half) = (part(20), part(9));
        let old = match collector {
            Collector::Generational => large - 2 * half,
            Collector::Null => large,
        };
        let half = (large - old) / 2;
        let nursery = Nursery::new(page..old);
        let nursery_least = pacing::nursery_size(0).min(nursery.most());
        *words = GcWords { base: reservation.base(), top: page as u32, end: page as u32 };
        Some(Heap {
            page,
            nursery,
            old: Old::new([old, old + half], half),
            large: LargeObjects::new(large..reservation.len(), page),
            values: HostValues::default(),
            layouts: Layouts::new(types.directory()),
            _types: types.clone(),
            granted: 0,
            threshold: 0,
            live: 0,
            left_free: 0,
            nursery_least,
            survival: Survival::default(),
            collector,
            stress: (stress && collector != Collector::Null).then(Stress::new),
            stats: GcStats::default(),
            reservation,
        })
    }

    /// What it has done.
    pub fn stats(&self, words: &GcWords) -> GcStats {
        GcStats {
            allocated: self.stats.allocated + self.young_bytes(words) as u64,
            peak: self.stats.peak.max(self.used(words)),
            ..self.stats
        }
    }

    /// Bytes of all objects, and of what the host keeps for them.
    fn used(&self, words: &GcWords) -> usize {
        self.nursery_used(words) + self.old.used() + self.large.bytes() + self.values.bytes()
    }

    fn nursery_used(&self, words: &GcWords) -> usize {
        words.top as usize - self.nursery.start()
    }

    /// Bytes of the objects that have been made since the last collection.
    fn young_bytes(&self, words: &GcWords) -> usize {
        self.nursery_used(words) + self.large.young_bytes()
    }

    /// What young objects weigh, of which there is a collection when they are as heavy as the nursery is large.
    fn young_weight(&self, words: &GcWords) -> usize {
        pacing::weight(self.nursery_used(words), self.large.young_bytes(), self.values.young_bytes())
    }

    /// Lets objects be made until the nursery is full; if each allocation is to collect, none without asking here.
    fn set_end(&self, words: &mut GcWords) {
        words.end = if self.stress.is_some() { words.top } else { self.end(words) };
    }

    /// Where the last object in the nursery that can be made without asking anybody must end.
    fn end(&self, words: &GcWords) -> u32 {
        let top = words.top as usize;
        let room = self.threshold.saturating_sub(self.used(words));
        let room = match self.collector {
            Collector::Null => room,
            Collector::Generational => {
                // What is in the nursery may live, and is added to the old objects then.
                let survivors = self.old.room().saturating_sub(self.nursery_used(words));
                room.min(survivors).min(self.nursery.size().saturating_sub(self.young_weight(words)))
            }
        };
        (top + room).min(self.nursery.end()).max(top) as u32
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
        roots: &mut Roots<'_>,
        growing: &mut Growing<'_>,
    ) -> Result<u32, Pending> {
        let collections = self.stats.full.count;
        // SAFETY: the caller's promise.
        unsafe { self.make_room(words, bytes, 0, roots, growing) }?;
        let mut made = self.try_allocate(words, kind, bytes);
        // The room is in pieces, or has no memory: garbage may be between them.
        if made.is_none() && self.stats.full.count == collections {
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
        roots: &mut Roots<'_>,
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
        let Some(object) = self.try_allocate(words, Kind::EXTERN, EXTERN_BYTES) else {
            self.values.discard(value);
            return Err(out_of_memory);
        };
        // If this fails, nothing leads to the object.
        let index = self.values.insert(value).ok_or(out_of_memory)?;
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
        roots: &mut Roots<'_>,
        growing: &mut Growing<'_>,
    ) -> Result<(), Pending> {
        if bytes > LARGE && !self.large.can_hold(bytes) {
            return Err(Trap::GcHeapOutOfMemory.into());
        }
        if self.stress.is_none() && self.has_room(words, bytes, kept) {
            return Ok(());
        }
        let spares_old = self.stress.as_mut().is_none_or(Stress::spares_old_objects);
        if spares_old && self.young_weight(words) > 0 && !self.will_be_full(words) {
            // SAFETY: the caller's promise.
            unsafe { self.collect_young(words, roots) };
            // The nursery may be larger than it was, as there are more roots. The object counts for nothing here: if there is
            // no room for it, a full collection looks for some first.
            self.grow(words, 0, self.live, growing)?;
            let least_free = pacing::least_free(self.nursery.size(), self.left_free);
            if self.has_room(words, bytes, kept) && self.free(words) >= least_free {
                return Ok(());
            }
        }
        if self.used(words) > 0 {
            // SAFETY: the caller's promise.
            unsafe { self.collect(words, roots) };
        }
        let needed = self.used(words).saturating_add(bytes).saturating_add(kept);
        if !self.grow(words, needed, self.used(words), growing)? {
            return Err(Trap::GcHeapOutOfMemory.into());
        }
        if self.is_nearly_full(words, bytes) {
            // It is full: what is left is not for whoever asks for less.
            self.threshold = self.used(words);
            self.set_end(words);
            return Err(Trap::GcHeapOutOfMemory.into());
        }
        (self.live, self.left_free) = (self.used(words), self.free(words));
        Ok(())
    }

    /// Whether a full collection would follow a minor one if as many young objects live as last time: then it comes at once.
    fn will_be_full(&self, words: &GcWords) -> bool {
        let young = self.young_bytes(words) + self.values.young_bytes();
        let free = (self.free(words) + young).saturating_sub(self.survival.expected(young));
        // Where nothing is collected, the heap grows at once.
        let is_near = self.collector == Collector::Null
            || free < pacing::least_free(self.nursery.size(), self.left_free);
        self.stress.is_none() && is_near
    }

    /// Bytes that can be allocated before a full collection, if all objects live that are made.
    fn free(&self, words: &GcWords) -> usize {
        self.threshold.saturating_sub(self.used(words)).min(self.old.room())
    }

    /// Whether there is too little room for objects of a size for another full collection to be worth its time.
    fn is_nearly_full(&self, words: &GcWords, bytes: usize) -> bool {
        if self.collector == Collector::Null {
            return false;
        }
        let is_little = |free: usize, all: usize| free < all / pacing::LEAST_FREE;
        is_little(self.threshold.saturating_sub(self.used(words)), self.threshold)
            || match bytes > LARGE {
                true => self.large.is_nearly_full(pacing::LEAST_FREE),
                false => is_little(self.old.room(), self.old.committed()),
            }
    }

    fn has_room(&self, words: &GcWords, bytes: usize, kept: usize) -> bool {
        if self.used(words).saturating_add(bytes).saturating_add(kept) > self.threshold {
            return false;
        }
        match bytes > LARGE {
            // One that is heavier than all young objects together may be is the only one of them.
            true => {
                let weight = self.young_weight(words);
                weight == 0 || weight + pacing::weight(0, bytes, 0) <= self.nursery.size()
            }
            false => bytes <= (self.end(words) - words.top) as usize,
        }
    }

    /// Lets the heap hold what it should if so many bytes live, or as much of that as it may. Whether that are `needed`
    /// ones at least.
    fn grow(
        &mut self,
        words: &mut GcWords,
        needed: usize,
        live: usize,
        growing: &mut Growing<'_>,
    ) -> Result<bool, Pending> {
        let wanted = pacing::budget(live, self.nursery_least).max(needed).min(self.reservation.len());
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
        self.threshold = wanted.min(self.granted).max(self.threshold);
        let size = match self.collector {
            Collector::Generational => self.nursery.size().max(self.nursery_least),
            Collector::Null => self.threshold,
        };
        self.nursery.resize(&mut self.reservation, size, self.page);
        self.old.commit(&mut self.reservation, self.threshold, self.page);
        self.set_end(words);
        Ok(needed <= self.threshold)
    }

    /// Makes an object if there is room.
    fn try_allocate(&mut self, words: &mut GcWords, kind: Kind, bytes: usize) -> Option<u32> {
        let start = if bytes > LARGE {
            // SAFETY: the kind is one of objects.
            let refers = unsafe { self.objects().refers(kind) };
            let start = self.large.allocate(&mut self.reservation, bytes, refers)?;
            self.set_end(words);
            start
        } else {
            let start = words.top as usize;
            if start + bytes > self.end(words) as usize {
                return None;
            }
            words.top += bytes as u32;
            words.end = words.end.max(words.top);
            // SAFETY: the bytes are behind all objects in the nursery, and committed.
            unsafe { self.at(start).cast::<u8>().write_bytes(0, bytes) };
            start
        };
        debug_assert!(bytes >= HEADER && start.is_multiple_of(shape::ALIGN));
        // SAFETY: the object is at least as long as its header.
        unsafe { self.at(start).write(kind.0) };
        Some(start as u32)
    }

    /// Calls `visit` with each function that an object refers to.
    ///
    /// # Safety
    /// Objects are as their types say.
    pub unsafe fn for_each_function(&self, words: &GcWords, visit: &mut dyn FnMut(*const FuncRef)) {
        let objects = self.objects();
        // SAFETY: objects are one behind the other, and large ones where the list says.
        unsafe {
            for Range { start, end } in [self.nursery.start()..words.top as usize, self.old.objects()] {
                let mut at = start;
                while at < end {
                    at += objects.functions(at as u32, visit);
                }
            }
            for start in self.large.starts() {
                objects.functions(start as u32, visit);
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

    /// What is in the objects.
    fn objects(&self) -> Objects {
        Objects { base: self.reservation.base(), layouts: self.layouts }
    }

    /// A word of the heap.
    fn at(&self, offset: usize) -> *mut u32 {
        self.reservation.base().wrapping_add(offset).cast()
    }
}

#[cfg(all(test, not(miri)))]
mod tests;
