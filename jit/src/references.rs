//! Collected references at the borders: between the words of compiled code and the two stacks of everyone else.
//!
//! Compiled code passes a collected reference as it passes a number, and its stubs lay all arguments and results
//! out in slots, one behind the other. Functions of the host and of tier 0 have references on a stack of their own. Only
//! the function's type tells which slots are references, so that Rust moves them, and not the stubs.

#![allow(unsafe_code)]

use wasmrun_runtime::types::ValType;

/// Moves arguments that are collected references from the slots to the reference stack, and closes the gaps they
/// leave.
///
/// # Safety
/// `slots` hold values of these types, and `references` has room for those that are collected.
#[inline(never)]
pub unsafe fn separate(types: &[ValType], slots: *mut u64, mut references: *mut u32) {
    let (mut from, mut to) = (slots, slots);
    for ty in types {
        // SAFETY: the arguments are there; `to` never overtakes `from`.
        unsafe {
            if ty.is_collected() {
                *references = *from as u32;
                references = references.add(1);
                from = from.add(1);
            }
            for _ in 0..ty.value_slots() {
                *to = *from;
                (from, to) = (from.add(1), to.add(1));
            }
        }
    }
}

/// Moves results that are collected references from the reference stack back to where compiled code expects them.
///
/// # Safety
/// `slots` and `references` hold the values of these types, and the slots have room for all of them.
#[inline(never)]
pub unsafe fn join(types: &[ValType], slots: *mut u64, references: *const u32) {
    let values: usize = types.iter().map(|ty| ty.value_slots()).sum();
    let collected = types.iter().filter(|ty| ty.is_collected()).count();
    // SAFETY: the results are there, with room for all of them; backwards, `from` never overtakes `to`.
    unsafe {
        let (mut from, mut to) = (slots.add(values), slots.add(values + collected));
        let mut reference = references.add(collected);
        for ty in types.iter().rev() {
            if ty.is_collected() {
                (reference, to) = (reference.sub(1), to.sub(1));
                *to = u64::from(*reference);
            }
            for _ in 0..ty.value_slots() {
                (from, to) = (from.sub(1), to.sub(1));
                *to = *from;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TYPES: [ValType; 4] = [ValType::I32, ValType::V128, ValType::EXTERNREF, ValType::FUNCREF];

    proptest! {
        #[test]
        fn separating_keeps_the_order_of_both_and_joining_undoes_it(
            types in proptest::collection::vec(0..TYPES.len(), 0..40),
        ) {
            let types: Vec<_> = types.into_iter().map(|i| TYPES[i]).collect();
            let words = |ty: &ValType| if ty.is_collected() { 1 } else { ty.value_slots() };
            let len: usize = types.iter().map(words).sum();
            let all: Vec<u64> = (1..=len as u64).collect();
            let is_reference: Vec<bool> = types.iter().flat_map(|ty| vec![ty.is_collected(); words(ty)]).collect();
            let of = |collected: bool| -> Vec<u64> {
                all.iter().zip(&is_reference).filter(|(_, r)| **r == collected).map(|(word, _)| *word).collect()
            };
            let mut slots = all.clone();
            let mut references = vec![0; of(true).len()];
            // SAFETY: there is room for all values in both.
            unsafe { separate(&types, slots.as_mut_ptr(), references.as_mut_ptr()) };
            prop_assert_eq!(&slots[..of(false).len()], of(false));
            prop_assert!(references.iter().map(|r| u64::from(*r)).eq(of(true)));
            // SAFETY: as above.
            unsafe { join(&types, slots.as_mut_ptr(), references.as_ptr()) };
            prop_assert_eq!(slots, all);
        }
    }
}
