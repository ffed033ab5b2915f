//! The context of an instance: its head, and the allocation.
//!
//! Code of every tier is entered with a pointer to a [`VmContext`]; all else that it needs is at offsets
//! from there which are constants of its module ([`crate::layout`]). What is found by index in the module is in
//! `func_ref` and `lookup`.

use std::alloc::{self, Layout as AllocLayout};
use std::ffi::c_void;
use std::mem::offset_of;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::exec::ExecContext;
use super::memory::MemoryDescriptor;
use crate::layout;
use crate::module::{CodeCell, MemoryPlan, Module};
use crate::types::TypeId;

/// Head of an instance's context; the arrays described by [`crate::layout`] follow it.
#[derive(Debug)]
#[repr(C, align(16))]
pub struct VmContext {
    /// Marks the allocation in a debugger: `"wasmrun\0"`.
    magic: u64,
    /// The execution context: that of the store, until stacks of other threads of execution have their own.
    exec: *mut ExecContext,
    /// The code cells of the functions that the module defines: the table for instances like this one.
    cells: *const CodeCell,
    /// The engine-wide ids of the module's types.
    type_ids: *const TypeId,
    /// Base and length of memory 0, or of an empty memory.
    memory0: *const MemoryDescriptor,
    /// The module of the instance.
    module: *const Arc<Module>,
    /// The instance that this is the context of. The instance knows its context and not the reverse:
    /// `VmContext::instance` is where instances are.
    owner: *mut c_void,
    /// First byte of memory 0. Stands still if the memory is guarded, and means nothing otherwise.
    memory0_base: *mut u8,
}

const _: () = assert!(size_of::<VmContext>() == layout::HEAD);

const MAGIC: u64 = u64::from_le_bytes(*b"wasmrun\0");

impl VmContext {
    /// Offset of the pointer to the execution context.
    pub const EXEC: usize = offset_of!(VmContext, exec);
    /// Offset of the pointer to the code cells.
    pub const CELLS: usize = offset_of!(VmContext, cells);
    /// Offset of the pointer to the type ids.
    pub const TYPE_IDS: usize = offset_of!(VmContext, type_ids);
    /// Offset of the pointer to the descriptor of memory 0.
    pub const MEMORY0: usize = offset_of!(VmContext, memory0);
    /// Offset of the address of the first byte of memory 0. Only where [`MemoryPlan::Guarded`] is the plan does it
    /// say where the memory is; then it is fixed for the instance.
    pub const MEMORY0_BASE: usize = offset_of!(VmContext, memory0_base);

    /// The execution context.
    ///
    /// # Safety
    /// `this` must point at a live context; the same holds for every function below.
    #[inline(always)]
    pub unsafe fn exec(this: *mut VmContext) -> *mut ExecContext {
        // SAFETY: the caller's promise.
        unsafe { (*this).exec }
    }

    /// The code cells of the functions that the module defines.
    ///
    /// # Safety
    /// See [`VmContext::exec`].
    #[inline(always)]
    pub unsafe fn cells(this: *mut VmContext) -> *const CodeCell {
        // SAFETY: the caller's promise.
        unsafe { (*this).cells }
    }

    /// The engine-wide id of a type of the module.
    ///
    /// # Safety
    /// See [`VmContext::exec`]; `index` is a type index of the module.
    #[inline(always)]
    pub unsafe fn type_id(this: *mut VmContext, index: u32) -> TypeId {
        // SAFETY: the caller's promise.
        unsafe { *(*this).type_ids.add(index as usize) }
    }

    /// Base and length of memory 0.
    ///
    /// # Safety
    /// See [`VmContext::exec`].
    #[inline(always)]
    pub unsafe fn memory0(this: *mut VmContext) -> (*mut u8, usize) {
        // SAFETY: the caller's promise; the descriptor lives as long as the context.
        unsafe {
            let descriptor = (*this).memory0;
            ((*descriptor).base, (*descriptor).len())
        }
    }

    /// The module of the instance.
    ///
    /// # Safety
    /// See [`VmContext::exec`]; the reference must not outlive the instance, nor be kept until it [goes over](super::Store::go_over_to)
    /// to the code of a twin, which it does while no guest code runs.
    pub unsafe fn module<'a>(this: *mut VmContext) -> &'a Arc<Module> {
        // SAFETY: the caller's promise.
        unsafe { &*(*this).module }
    }

    /// What owns the context.
    ///
    /// # Safety
    /// See [`VmContext::exec`].
    pub(super) unsafe fn owner(this: *mut VmContext) -> *mut c_void {
        // SAFETY: the caller's promise.
        unsafe { (*this).owner }
    }

    /// A pointer to what is at `offset`.
    ///
    /// # Safety
    /// See [`VmContext::exec`]; `offset` is from the layout of the context's module and of a `T`.
    #[inline(always)]
    pub unsafe fn at<T>(this: *mut VmContext, offset: u32) -> *mut T {
        // SAFETY: the caller's promise.
        unsafe { this.byte_add(offset as usize).cast() }
    }
}

/// Owns the allocation of a context.
#[derive(Debug)]
pub(super) struct ContextBox {
    ptr: NonNull<VmContext>,
    layout: AllocLayout,
}

impl ContextBox {
    /// A context with an empty memory 0, whose arrays are all zeroes, for an instance whose memories are as
    /// `plan` says.
    pub(super) fn new(module: &Module, plan: MemoryPlan, exec: *mut ExecContext) -> Option<ContextBox> {
        let layout = AllocLayout::from_size_align(module.layout().size(), 16).ok()?;
        // SAFETY: the size is at least that of the head.
        let ptr = NonNull::new(unsafe { alloc::alloc_zeroed(layout) })?.cast::<VmContext>();
        // SAFETY: freshly allocated, large enough and aligned.
        unsafe {
            ptr.write(VmContext {
                magic: MAGIC,
                exec,
                cells: module.cells().table(plan).as_ptr(),
                type_ids: module.type_ids().as_ptr(),
                memory0: MemoryDescriptor::empty(),
                module: ptr::null(),
                owner: ptr::null_mut(),
                memory0_base: ptr::null_mut(),
            });
        }
        Some(ContextBox { ptr, layout })
    }

    pub(super) fn as_ptr(&self) -> *mut VmContext {
        self.ptr.as_ptr()
    }

    /// Names the owner, and its module.
    ///
    /// # Safety
    /// Both stay as long as the context.
    pub(super) unsafe fn set_owner(&mut self, owner: *mut c_void, module: *const Arc<Module>) {
        // SAFETY: the box owns the context.
        unsafe {
            (*self.as_ptr()).owner = owner;
            (*self.as_ptr()).module = module;
        }
    }

    /// Names the code cells.
    pub(super) fn set_cells(&mut self, cells: *const CodeCell) {
        // SAFETY: the box owns the context.
        unsafe { (*self.as_ptr()).cells = cells };
    }

    /// Names memory 0.
    ///
    /// # Safety
    /// It stays as long as the context.
    pub(super) unsafe fn set_memory0(&mut self, memory: *const MemoryDescriptor) {
        // SAFETY: as above.
        unsafe {
            (*self.as_ptr()).memory0 = memory;
            (*self.as_ptr()).memory0_base = (*memory).base;
        }
    }

    /// Writes one element of the arrays behind the head.
    ///
    /// # Safety
    /// `offset` is from the layout of the context's module, and of a `T`.
    pub(super) unsafe fn write<T>(&mut self, offset: u32, value: T) {
        debug_assert!(offset as usize + size_of::<T>() <= self.layout.size());
        // SAFETY: the caller's promise; the allocation was sized by that layout.
        unsafe { VmContext::at::<T>(self.as_ptr(), offset).write(value) };
    }
}

impl Drop for ContextBox {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout; nothing in it has drop glue.
        unsafe { alloc::dealloc(self.ptr.as_ptr().cast(), self.layout) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_known_to_generated_code_do_not_move() {
        assert_eq!(
            (VmContext::EXEC, VmContext::CELLS, VmContext::TYPE_IDS, VmContext::MEMORY0),
            (8, 16, 24, 32)
        );
        assert_eq!((CodeCell::NATIVE, size_of::<CodeCell>()), (0, 16));
        assert_eq!((offset_of!(MemoryDescriptor, base), offset_of!(MemoryDescriptor, len)), (0, 8));
    }
}
