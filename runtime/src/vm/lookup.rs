//! What an instance has, by index in its module.

use super::context::VmContext;
use super::global::GlobalSlot;
use super::memory::Memory;
use super::table::Table;
use crate::layout::GlobalPlace;

// Code takes a pointer to a table or memory for one to its descriptor.
const _: () = assert!(Table::DESCRIPTOR == 0 && Memory::DESCRIPTOR == 0);

impl VmContext {
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
}
