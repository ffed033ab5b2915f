//! References to functions: the records that table elements, imports and values of type `funcref` point at.
//!
//! That of a host function belongs to the store; that of a function of WebAssembly lies in the context of the
//! instance that defines it, and is made when it is first asked for.

use std::ptr::{self, NonNull};

use super::context::VmContext;
use super::host::HostFunc;
use crate::layout;
use crate::module::CodeCell;
use crate::types::TypeId;

/// What a function reference points at.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct FuncRef {
    /// Where its code is. That of a function of the host is compiled code alone, which calls it.
    pub cell: *const CodeCell,
    /// The context that it runs in; null for a function of the host.
    pub vmctx: *mut VmContext,
    /// The host's function; null for one of WebAssembly.
    pub host: *const HostFunc,
    /// Its type.
    pub type_id: TypeId,
    /// Its index in its own module.
    pub func_index: u32,
}

const _: () = assert!(size_of::<FuncRef>() == layout::FUNC_REF);

/// The id that says which function of the context's module is called. The other ids are addresses of [`FuncRef`]s, and of frames
/// with [`FRAME_ID`] in the lowest two bits.
pub const fn direct_callee_id(function: u32) -> u64 {
    (function as u64) << 1 | 1
}

/// What the id of a frame has in its lowest two bits: neither ids of functions nor addresses of references have that.
pub const FRAME_ID: u64 = 2;

const _: () = assert!(align_of::<FuncRef>() >= 4, "its lowest two bits say what an id is");

// SAFETY: a FuncRef is immutable once made, but for its cell, which changes while the store is borrowed exclusively; what it points at is kept alive and synchronised by its store.
unsafe impl Sync for FuncRef {}

/// Stands for null in tables of functions, where the word 0 means "not yet looked up". Its type id equals
/// no other, so that a call through it fails the same comparison as a call of the wrong type.
pub static NULL_FUNC_REF: FuncRef = FuncRef {
    cell: ptr::null(),
    vmctx: ptr::null_mut(),
    host: ptr::null(),
    type_id: TypeId::NONE,
    func_index: u32::MAX,
};

/// The table word for null.
pub fn null_func_ref() -> u64 {
    ptr::from_ref(&NULL_FUNC_REF) as u64
}

impl VmContext {
    /// The reference to a function of the instance, made now if it is asked for the first time.
    ///
    /// # Safety
    /// See [`VmContext::exec`]; `function` is a function index of the module that can be referenced:
    /// imported, exported, or declared.
    pub unsafe fn func_ref(this: *mut VmContext, function: u32) -> NonNull<FuncRef> {
        // SAFETY: the caller's promise; slots start as zeroes, which is a FuncRef of null pointers.
        unsafe {
            let module = Self::module(this);
            let Some(defined) = function.checked_sub(module.imported_function_count()) else {
                return *Self::at(this, module.layout().imported_func_ref(function));
            };
            let offset = module.layout().func_ref(function).expect("a referenced function has a slot");
            let slot = Self::at::<FuncRef>(this, offset);
            if (*slot).cell.is_null() {
                slot.write(FuncRef {
                    cell: Self::cells(this).add(defined as usize),
                    vmctx: this,
                    host: ptr::null(),
                    type_id: module.function_type_id(function),
                    func_index: function,
                });
            }
            NonNull::new_unchecked(slot)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::*;

    #[test]
    fn offsets_known_to_generated_code_do_not_move() {
        assert_eq!((offset_of!(FuncRef, cell), offset_of!(FuncRef, vmctx)), (0, 8));
        assert_eq!((offset_of!(FuncRef, host), offset_of!(FuncRef, type_id)), (16, 24));
    }
}
