//! Slots: how values lie on the guest's stacks and in globals.
//!
//! The types of the host write and read them one by one (see [`WasmTy`](crate::WasmTy)); everything else that
//! turns values into slots or back is made of that. This is one of the modules that hold the crate's `unsafe`:
//! a slot read as a reference to a function must hold one.
#![allow(unsafe_code)]

use wasmrun_runtime::value::RawValue;

use crate::error::Result;
use crate::func::Func;
use crate::handle::Handle;
use crate::store::StoreOpaque;
use crate::types::ValType;
use crate::values::Val;

/// The slots of a call's arguments or results, read or written from the first on.
pub struct Slots<'a> {
    values: &'a mut [u64],
    references: &'a mut [u32],
    value: usize,
    reference: usize,
}

impl<'a> Slots<'a> {
    /// # Safety
    /// The slots are there, are used by nobody else during `'a`, and those that are read as references to
    /// functions hold such.
    #[inline]
    pub(super) unsafe fn new(
        values: *mut u64,
        value_count: usize,
        references: *mut u32,
        ref_count: usize,
    ) -> Slots<'a> {
        // SAFETY: the caller's promise; slots are always initialised.
        unsafe {
            Slots {
                values: std::slice::from_raw_parts_mut(values, value_count),
                references: std::slice::from_raw_parts_mut(references, ref_count),
                value: 0,
                reference: 0,
            }
        }
    }

    /// Writes the next value.
    #[inline]
    pub(crate) fn put(&mut self, word: u64) {
        self.values[self.value] = word;
        self.value += 1;
    }

    /// Writes the next collected reference.
    #[inline]
    pub(crate) fn put_reference(&mut self, reference: u32) {
        self.references[self.reference] = reference;
        self.reference += 1;
    }

    /// Reads the next value.
    #[inline]
    pub(crate) fn take(&mut self) -> u64 {
        let word = self.values[self.value];
        self.value += 1;
        word
    }

    /// Reads the next collected reference.
    #[inline]
    pub(crate) fn take_reference(&mut self) -> u32 {
        let reference = self.references[self.reference];
        self.reference += 1;
        reference
    }

    /// Reads the next value as a function. The lists of types that call this agree with the signature, so
    /// that the slot holds one.
    #[inline]
    pub(crate) fn take_function(&mut self, store: &StoreOpaque) -> Option<Func> {
        let word = self.take();
        // SAFETY: promised in `new`.
        unsafe { Handle::of_word(store, word) }.map(Func::from_handle)
    }
}

/// What holds a value in a global of type `ty`, which is checked.
pub(crate) fn to_raw(store: &StoreOpaque, ty: ValType, value: Val) -> Result<RawValue> {
    let (mut words, mut reference) = ([0; 2], [0]);
    let mut slots = Slots { values: &mut words, references: &mut reference, value: 0, reference: 0 };
    value.put(store, ty, &mut slots)?;
    Ok(if ty.is_collected() { u64::from(reference[0]).into() } else { RawValue::from_words(words) })
}

/// The value that a global of type `ty` holds.
///
/// # Safety
/// `value` comes from such a global of this store.
pub(crate) unsafe fn of_raw(store: &mut StoreOpaque, ty: ValType, value: RawValue) -> Val {
    let (mut words, mut reference) = (value.words(), [value.low() as u32]);
    let mut slots = Slots { values: &mut words, references: &mut reference, value: 0, reference: 0 };
    Val::take(store, ty, &mut slots)
}
