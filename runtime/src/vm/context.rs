//! The context of an instance and the small records inside it.
//!
//! Code of every tier is entered with a pointer to a [`VmContext`]; all else that it needs is at offsets
//! from there which are constants of its module ([`crate::layout`]).

use std::alloc::{self, Layout as AllocLayout};
use std::mem::offset_of;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::exec::ExecContext;
use super::host::HostFunc;
use super::instance::Instance;
use super::memory::{Memory, MemoryDescriptor};
use super::table::Table;
use crate::layout::GlobalPlace;
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
    /// The instance that this is the context of.
    instance: *mut Instance,
}

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

// SAFETY: a FuncRef is immutable once made; what it points at is kept alive and synchronised by its store.
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

/// The value of a global: the representation of a value slot, or a reference in its low half.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(16))]
pub struct GlobalSlot {
    /// Low and high half.
    pub words: [u64; 2],
}

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
            ((*descriptor).base, (*descriptor).len)
        }
    }

    /// The instance.
    ///
    /// # Safety
    /// See [`VmContext::exec`].
    pub unsafe fn instance(this: *mut VmContext) -> *mut Instance {
        // SAFETY: the caller's promise.
        unsafe { (*this).instance }
    }

    /// The module of the instance.
    ///
    /// # Safety
    /// See [`VmContext::exec`]; the reference must not outlive the instance.
    pub unsafe fn module<'a>(this: *mut VmContext) -> &'a Arc<Module> {
        // SAFETY: the caller's promise; the module of an instance never changes.
        unsafe { &*ptr::addr_of!((*(*this).instance).module) }
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

    /// A memory, by its index.
    ///
    /// # Safety
    /// See [`VmContext::exec`]; `index` is a memory index of the module.
    pub unsafe fn memory(this: *mut VmContext, index: u32) -> *mut Memory {
        // SAFETY: the caller's promise.
        unsafe { *Self::at(this, Self::module(this).layout().memory(index)) }
    }

    /// A table, by its index.
    ///
    /// # Safety
    /// See [`VmContext::exec`]; `index` is a table index of the module.
    pub unsafe fn table(this: *mut VmContext, index: u32) -> *mut Table {
        // SAFETY: the caller's promise.
        unsafe { *Self::at(this, Self::module(this).layout().table(index)) }
    }

    /// A global, by its index.
    ///
    /// # Safety
    /// See [`VmContext::exec`]; `index` is a global index of the module.
    pub unsafe fn global(this: *mut VmContext, index: u32) -> *mut GlobalSlot {
        // SAFETY: the caller's promise.
        unsafe {
            match Self::module(this).layout().global(index) {
                GlobalPlace::Own(offset) => Self::at(this, offset),
                GlobalPlace::Imported(offset) => *Self::at::<*mut GlobalSlot>(this, offset),
            }
        }
    }

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
                let instance = (*this).instance;
                return (&(*instance).imported_functions)[function as usize];
            };
            let offset = module.layout().func_ref(function).expect("a referenced function has a slot");
            let slot = Self::at::<FuncRef>(this, offset);
            if (*slot).cell.is_null() {
                slot.write(FuncRef {
                    cell: (*this).cells.add(defined as usize),
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
                instance: ptr::null_mut(),
            });
        }
        Some(ContextBox { ptr, layout })
    }

    pub(super) fn as_ptr(&self) -> *mut VmContext {
        self.ptr.as_ptr()
    }

    pub(super) fn set_instance(&mut self, instance: *mut Instance) {
        // SAFETY: the box owns the context.
        unsafe { (*self.ptr.as_ptr()).instance = instance };
    }

    pub(super) fn set_memory0(&mut self, memory: *const MemoryDescriptor) {
        // SAFETY: as above.
        unsafe { (*self.ptr.as_ptr()).memory0 = memory };
    }

    /// Writes one element of the arrays behind the head.
    pub(super) fn write<T>(&mut self, offset: u32, value: T) {
        debug_assert!(offset as usize + size_of::<T>() <= self.layout.size());
        // SAFETY: offsets come from the layout that the allocation was sized by.
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
    use super::super::table::TableDescriptor;
    use super::*;

    #[test]
    fn offsets_known_to_generated_code_do_not_move() {
        assert_eq!(
            (VmContext::EXEC, VmContext::CELLS, VmContext::TYPE_IDS, VmContext::MEMORY0),
            (8, 16, 24, 32)
        );
        assert_eq!(size_of::<FuncRef>(), 32);
        assert_eq!((offset_of!(FuncRef, cell), offset_of!(FuncRef, vmctx)), (0, 8));
        assert_eq!((offset_of!(FuncRef, host), offset_of!(FuncRef, type_id)), (16, 24));
        assert_eq!((CodeCell::NATIVE, size_of::<CodeCell>()), (0, 16));
        // Code takes a pointer to a table or memory for one to its descriptor.
        assert_eq!((Table::DESCRIPTOR, Memory::DESCRIPTOR), (0, 0));
        assert_eq!((offset_of!(MemoryDescriptor, base), offset_of!(MemoryDescriptor, len)), (0, 8));
        assert_eq!((offset_of!(TableDescriptor, elements), offset_of!(TableDescriptor, len)), (0, 8));
        assert_eq!(size_of::<GlobalSlot>(), 16);
    }
}
