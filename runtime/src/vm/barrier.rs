//! The one way to store a collected reference outside of frames: the place for a write barrier.
//!
//! Tables, globals and element segments keep references in [`RefWord`]s, which nothing but this file can
//! change, so that a store that a collector does not hear of cannot be written. Frames need no barrier: their
//! references are on stacks that a collector scans whole. Compiled code stores into globals by itself, through
//! one function as well (`store_reference` of the lowering); all else calls the runtime.

use super::exec::ExecContext;
use super::func_ref::FuncRef;
use super::gc::Tracer;

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
/// and of tier 0 to a place outside of frames goes through here. There is no barrier yet: each collection looks at all
/// of these places.
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

/// Stores the collected reference `value` at `place`, which is a field or an element of the object that `_object` leads to. Every
/// such store of the runtime and of tier 0 goes through here, but for those that copy many at once, which are followed by
/// [`wrote_refs`].
///
/// # Safety
/// All is of the store whose execution context is `_exec`.
#[inline(always)]
pub unsafe fn write_object_ref(_exec: *mut ExecContext, _object: u32, place: *mut u32, value: u32) {
    // SAFETY: the caller's promise.
    unsafe { place.write(value) };
}

/// Many references of the object that `_object` leads to have been stored.
///
/// # Safety
/// As for [`write_object_ref`].
#[inline(always)]
pub unsafe fn wrote_refs(_exec: *mut ExecContext, _object: u32) {}

#[cfg(test)]
thread_local! {
    /// How many stores of this thread a barrier would have seen.
    pub(super) static STORES: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}
