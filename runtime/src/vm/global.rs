//! Globals, as the code of every tier reads and writes them.
//!
//! A slot does not know its type. Nothing is written to it but through the unsafe functions here, whose callers
//! do; stores of collected references go through [`write_ref`].

use super::barrier::{Owner, RefWord, write_ref};
use super::exec::ExecContext;
use super::gc::Tracer;
use crate::types::ValType;
use crate::value::RawValue;

/// The value of a global.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct GlobalSlot(RawValue);

// Where contexts place globals, and code of every tier expects them.
const _: () =
    assert!(size_of::<GlobalSlot>() == crate::layout::GLOBAL_SLOT && align_of::<GlobalSlot>() == 16);

impl Owner for GlobalSlot {}

impl GlobalSlot {
    /// The value.
    pub fn value(&self) -> RawValue {
        self.0
    }

    /// The low word: all of a value that is no vector.
    ///
    /// # Safety
    /// `this` is alive.
    // Of a pointer, and read as a word: a copy of both in memory would keep a handler of tier 0 from being a jump.
    #[inline(always)]
    pub unsafe fn low(this: *const GlobalSlot) -> u64 {
        // SAFETY: the caller's promise.
        unsafe { this.cast::<u64>().read() }
    }

    /// Both words: a vector.
    ///
    /// # Safety
    /// `this` is alive.
    #[inline(always)]
    pub unsafe fn words(this: *const GlobalSlot) -> [u64; 2] {
        // SAFETY: the caller's promise.
        unsafe { this.cast::<[u64; 2]>().read() }
    }

    /// Assigns a global of type `ty`.
    ///
    /// # Safety
    /// `this` is a global of type `ty` of the store whose execution context is `exec`, both alive; `value` is of
    /// that type and, if it is a reference, alive in that store.
    pub unsafe fn set(this: *mut GlobalSlot, exec: *mut ExecContext, ty: ValType, value: RawValue) {
        // SAFETY: the caller's promise.
        unsafe {
            if ty.is_collected() {
                Self::set_reference(this, exec, value.low());
            } else {
                (*this).0 = value;
            }
        }
    }

    /// Assigns the low word of a global of a number type or of functions.
    ///
    /// # Safety
    /// `this` is alive and of a type that takes one value slot; `value` is of that type, and alive if it refers
    /// to a function.
    #[inline(always)]
    pub unsafe fn set_low(this: *mut GlobalSlot, value: u64) {
        // SAFETY: the caller's promise.
        unsafe { this.cast::<u64>().write(value) };
    }

    /// Assigns a global that holds vectors.
    ///
    /// # Safety
    /// `this` is alive and of the type `v128`.
    #[inline(always)]
    pub unsafe fn set_words(this: *mut GlobalSlot, value: [u64; 2]) {
        // SAFETY: the caller's promise.
        unsafe { this.cast::<[u64; 2]>().write(value) };
    }

    /// Shows the reference in a global of a collected type to a collection.
    ///
    /// # Safety
    /// `this` is one, of the store that is collected.
    pub(super) unsafe fn trace(this: *mut GlobalSlot, tracer: &mut Tracer<'_>) {
        // SAFETY: the caller's promise; the low word comes first.
        unsafe { RefWord::trace(this.cast(), tracer) };
    }

    /// Assigns a global of a collected type.
    ///
    /// # Safety
    /// As for [`GlobalSlot::set`].
    #[inline(always)]
    pub unsafe fn set_reference(this: *mut GlobalSlot, exec: *mut ExecContext, value: u64) {
        // SAFETY: the caller's promise; the low word comes first, and a word of a reference is a `u64`.
        unsafe { write_ref(exec, this, this.cast::<RefWord>(), value) };
    }
}

#[cfg(test)]
mod tests {
    use super::super::stack::StackSizes;
    use super::*;

    #[test]
    fn a_global_holds_a_vector_or_one_word() {
        let mut exec = ExecContext::new(StackSizes::default()).unwrap();
        let (exec, mut slot) = (&raw mut *exec, GlobalSlot::default());
        let vector = RawValue::from(u128::MAX - 5);
        // SAFETY: a global of our own, and values that nobody follows.
        unsafe {
            GlobalSlot::set(&mut slot, exec, ValType::V128, vector);
            assert_eq!(slot.value(), vector);
            assert_eq!(GlobalSlot::words(&slot), vector.words());
            GlobalSlot::set_words(&mut slot, [3, 4]);
            assert_eq!(slot.value().words(), [3, 4]);
            GlobalSlot::set(&mut slot, exec, ValType::I64, 7u64.into());
            assert_eq!(slot.value().words(), [7, 0]);
            GlobalSlot::set_low(&mut slot, 8);
            assert_eq!(GlobalSlot::low(&slot), 8);
            GlobalSlot::set(&mut slot, exec, ValType::EXTERNREF, 9u64.into());
            assert_eq!(slot.value().words(), [9, 0]);
        }
    }
}
