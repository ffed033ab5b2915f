//! The one way to store a collected reference outside of frames.
//!
//! Tables, globals and element segments keep references in [`RefWord`]s, which nothing but this file can
//! change, so that a store that a collector does not hear of cannot be written. They are roots, as frames are: each collection
//! looks at all of them, and has to tell nobody what was stored.
//!
//! A store into an object marks its [card](super::gc::cards), so that a minor collection finds what old objects lead to.
//! Compiled code stores into objects and globals by itself, through one function as well (`store_reference` of the lowering);
//! all else calls the runtime. Whoever has just made an object can fill it without that, as long as nothing collects: it is
//! young.

use super::exec::ExecContext;
use super::func_ref::FuncRef;
use super::gc::Tracer;
use super::gc::cards::{mark_card, mark_cards};

/// What contains references that a collector has to find: a record that it visits.
pub trait Owner {}

/// A word that holds a reference, or null.
#[derive(Debug)]
#[repr(transparent)]
pub struct RefWord(u64);

impl RefWord {
    /// A word as it comes into being. It is 0: null, or what the owner says of a new word.
    pub const NEW: RefWord = RefWord(0);

    /// The reference, in the representation of a value slot unless its owner says something else.
    #[inline(always)]
    pub fn get(&self) -> u64 {
        self.0
    }

    /// Shows the collected reference that is there to a collection, which may change it.
    ///
    /// # Safety
    /// There is one, or null.
    #[inline]
    pub(super) unsafe fn trace(this: *mut RefWord, tracer: &mut Tracer<'_>) {
        // SAFETY: the caller's promise. The reference is the lower half of the word, which comes first.
        unsafe { tracer.visit(this.cast()) };
    }

    /// Stores a reference to a function. Functions belong to instances, and no collector sees them.
    #[inline(always)]
    pub(super) fn set_function(&mut self, function: *const FuncRef) {
        self.0 = function as u64;
    }
}

/// Stores the collected reference `value` in `place`, which is part of `owner`. Every such store of the runtime
/// and of tier 0 to a place outside of frames and objects goes through here. No collection has to hear of it: each looks at
/// all of these places.
///
/// # Safety
/// All pointers are valid; `_owner` and `value` belong to the store whose execution context is `_exec`, where the
/// heap is.
#[inline(always)]
pub unsafe fn write_ref<O: Owner>(
    _exec: *mut ExecContext,
    _owner: *const O,
    place: *mut RefWord,
    value: u64,
) {
    #[cfg(test)]
    STORES.set(STORES.get() + 1);
    // SAFETY: the caller's promise.
    unsafe { (*place).0 = value };
}

/// Stores the collected reference `value` at `place`, which is a field or an element of an object. Every
/// such store of the runtime and of tier 0 goes through here, but for those that copy many at once, which are followed by
/// [`wrote_refs`].
///
/// # Safety
/// All is of the store whose execution context is `exec`.
#[inline(always)]
pub unsafe fn write_object_ref(exec: *mut ExecContext, place: *mut u32, value: u32) {
    // SAFETY: the caller's promise.
    unsafe {
        place.write(value);
        let base = (*exec).gc.base;
        mark_card(base, place as usize - base as usize);
    }
}

/// References have been stored in so many bytes of an object, from `place` on.
///
/// # Safety
/// As for [`write_object_ref`].
pub unsafe fn wrote_refs(exec: *mut ExecContext, place: *mut u8, bytes: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let base = (*exec).gc.base;
        let start = place as usize - base as usize;
        mark_cards(base, start..start + bytes);
    }
}

#[cfg(test)]
thread_local! {
    /// How many stores of this thread a barrier would have seen.
    pub(super) static STORES: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}
