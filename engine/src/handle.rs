//! Handles: how the host names what lives in a store.
//!
//! A handle is a pointer into an instance together with the store and the instance's key. The pointer is
//! used only after both have been found to be right, and only as long as the store is borrowed; the key's
//! generation changes when an instance is dropped or freed, so that no handle outlives what it points at.
//! This is one of the modules that hold the crate's `unsafe`: the pointers are made and used here alone.
#![allow(unsafe_code)]

use std::fmt;
use std::ptr::NonNull;

use wasmrun_runtime::module::ExternIndex;
use wasmrun_runtime::trap::Trap;
use wasmrun_runtime::vm::{self, ExecContext, FuncRef, GlobalSlot, InstanceKey, VmContext};

use crate::entry::{of_raw, to_raw};
use crate::error::{Error, Result};
use crate::externs::{Extern, Global, Memory, Table};
use crate::func::Func;
use crate::store::{StoreId, StoreOpaque};
use crate::types::RefType;
use crate::values::{ExternRef, Ref, Val};

/// A pointer to something that an instance keeps alive.
pub(crate) struct Handle<P> {
    store: StoreId,
    owner: Owner,
    pointer: NonNull<P>,
}

/// Who keeps alive what a handle points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Instance(InstanceKey),
    /// The store itself, as long as it lives.
    Store,
}

impl<P> Clone for Handle<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for Handle<P> {}

// SAFETY: the pointer is used only with a borrow of its store.
unsafe impl<P> Send for Handle<P> {}
// SAFETY: as above.
unsafe impl<P> Sync for Handle<P> {}

impl<P> fmt::Debug for Handle<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:p}", self.pointer)
    }
}

impl<P> Handle<P> {
    /// The pointer, if it is one of this store and what it points at is alive.
    #[inline]
    pub(crate) fn pointer(&self, store: &StoreOpaque) -> Result<NonNull<P>> {
        if self.store == store.id {
            match self.owner {
                Owner::Store => return Ok(self.pointer),
                Owner::Instance(key) if store.has(key) => return Ok(self.pointer),
                Owner::Instance(_) => {}
            }
        }
        Err(self.refusal(store))
    }

    #[cold]
    fn refusal(&self, store: &StoreOpaque) -> Error {
        wrong_handle(self.store, store)
    }

    /// Whether both point at the same.
    pub(crate) fn same(&self, other: &Handle<P>) -> bool {
        self.store == other.store && self.pointer == other.pointer
    }

    /// What it points at.
    pub(crate) fn get<'a>(&self, store: &'a StoreOpaque) -> Result<&'a P> {
        // SAFETY: it is alive while the store is borrowed, and only that borrow gives access to it.
        Ok(unsafe { self.pointer(store)?.as_ref() })
    }

    /// What it points at, to be changed.
    pub(crate) fn get_mut<'a>(&self, store: &'a mut StoreOpaque) -> Result<&'a mut P> {
        // SAFETY: as above, exclusively: guest code does not run while the host has the store.
        Ok(unsafe { self.pointer(store)?.as_mut() })
    }
}

/// Why a handle is no good for `store`.
pub(crate) fn wrong_handle(handle: StoreId, store: &StoreOpaque) -> Error {
    if handle == store.id {
        Error::from(Trap::InstanceDropped)
            .context("the instance that this handle belongs to has been dropped")
    } else {
        Error::msg("this handle belongs to another store")
    }
}

impl Handle<FuncRef> {
    /// A function of the store, which a slot or table of it refers to.
    ///
    /// # Safety
    /// `pointer` refers to a function of this store that is alive.
    pub(crate) unsafe fn of_function(store: &StoreOpaque, pointer: NonNull<FuncRef>) -> Handle<FuncRef> {
        // SAFETY: the caller's promise.
        let context = unsafe { pointer.as_ref() }.vmctx;
        let owner = if context.is_null() {
            Owner::Store
        } else {
            // SAFETY: a function's context lives as long as the function.
            Owner::Instance(unsafe { store.vm.key_of(context) })
        };
        Handle { store: store.id, owner, pointer }
    }

    /// A function of the host.
    pub(crate) fn of_host(store: &mut StoreOpaque, func: &std::sync::Arc<vm::HostFunc>) -> Handle<FuncRef> {
        let pointer = store.vm.host_func(func, store.engine.registry());
        Handle { store: store.id, owner: Owner::Store, pointer }
    }

    /// The function behind the word of a slot; 0 is null.
    ///
    /// # Safety
    /// The word comes from a slot, table or global of function type in this store.
    pub(crate) unsafe fn of_word(store: &StoreOpaque, word: u64) -> Option<Handle<FuncRef>> {
        let pointer = NonNull::new(word as *mut FuncRef)?;
        // SAFETY: the caller's promise: a word of that type points at a function that is alive.
        Some(unsafe { Handle::of_function(store, pointer) })
    }

    /// The word of a slot that refers to this function.
    pub(crate) fn to_word(self, store: &StoreOpaque) -> Result<u64> {
        Ok(self.pointer(store)?.as_ptr() as u64)
    }
}

/// Copies elements between two tables of the same element type, which may be one.
pub(crate) fn copy_table(
    store: &mut StoreOpaque,
    to: (&Handle<vm::Table>, u32),
    from: (&Handle<vm::Table>, u32),
    len: u32,
) -> Result<()> {
    let (target, source) = (to.0.pointer(store)?, from.0.pointer(store)?);
    let exec: *mut ExecContext = store.vm.exec_mut();
    // SAFETY: both are alive, and the exclusive borrow of the store makes sure that nothing borrows them. The
    // caller has compared their element types.
    Ok(unsafe { vm::Table::copy(exec, target.as_ptr(), to.1, source.as_ptr(), from.1, len) }?)
}

/// The reference that a word stands for.
///
/// # Safety
/// The word comes from a place of this type in this store.
pub(crate) unsafe fn reference(store: &StoreOpaque, ty: RefType, word: u64) -> Ref {
    if ty.heap.is_collected() {
        return Ref::Extern(ExternRef::from_id(store, word as u32));
    }
    // SAFETY: the caller's promise.
    Ref::Func(unsafe { Handle::of_word(store, word) }.map(Func::from_handle))
}

/// An element of a table; `None` outside of it.
pub(crate) fn table_element(
    store: &mut StoreOpaque,
    table: &Handle<vm::Table>,
    index: u32,
) -> Result<Option<Ref>> {
    let table = table.get_mut(store)?;
    let (ty, word) = (table.ty().element, table.get(index));
    // SAFETY: the word comes from the table, which holds elements of its type.
    Ok(word.map(|word| unsafe { reference(store, ty, word) }))
}

/// Sets an element of a table.
pub(crate) fn set_element(
    store: &mut StoreOpaque,
    table: &Handle<vm::Table>,
    index: u32,
    value: Ref,
) -> Result<()> {
    let word = value.to_word(store, table.get(store)?.ty().element)?;
    let exec: *mut ExecContext = store.vm.exec_mut();
    // SAFETY: the word is that of a value of the element type in this store, just checked.
    Ok(unsafe { table.get_mut(store)?.set(exec, index, word) }?)
}

/// Sets `len` elements of a table from `start` on.
pub(crate) fn fill_elements(
    store: &mut StoreOpaque,
    table: &Handle<vm::Table>,
    start: u32,
    value: Ref,
    len: u32,
) -> Result<()> {
    let word = value.to_word(store, table.get(store)?.ty().element)?;
    let exec: *mut ExecContext = store.vm.exec_mut();
    // SAFETY: as for `set_element`.
    Ok(unsafe { table.get_mut(store)?.fill(exec, start, word, len) }?)
}

/// The value of a global.
pub(crate) fn global_value(store: &StoreOpaque, global: &Global) -> Result<Val> {
    let value = global.handle().get(store)?.value();
    // SAFETY: a `Global` carries the type that the slot was declared with.
    Ok(unsafe { of_raw(store, global.declared_type().content, value) })
}

/// Assigns a global.
pub(crate) fn set_global(store: &mut StoreOpaque, global: &Global, value: Val) -> Result<()> {
    let (slot, ty) = (global.handle().pointer(store)?.as_ptr(), global.declared_type().content);
    let value = to_raw(store, ty, value)?;
    // SAFETY: the global is alive, and the exclusive borrow of the store makes sure that nothing borrows it. It
    // is of the type that a `Global` carries, as is the value, just checked.
    unsafe { GlobalSlot::set(slot, store.vm.exec_mut(), ty, value) };
    Ok(())
}

/// An export of an instance that is there. The record of a function is made when it is first asked for, which
/// changes the instance: hence the exclusive borrow.
pub(crate) fn export(store: &mut StoreOpaque, key: InstanceKey, index: ExternIndex) -> Result<Extern> {
    let instance = store.vm.reachable(key).ok_or_else(|| wrong_handle(store.id, store))?;
    let context = instance.context();
    let (store_id, owner) = (store.id, Owner::Instance(key));
    // SAFETY: the instance is alive, the index is one of its module, and exported functions have a record.
    // The pointers are not null: they were bound when the instance was made.
    unsafe {
        let non_null = "an instance's pointers are bound";
        Ok(match index {
            ExternIndex::Func(i) => {
                Func::from_handle(Handle::of_function(store, VmContext::func_ref(context, i))).into()
            }
            ExternIndex::Memory(i) => {
                let pointer = NonNull::new(VmContext::memory(context, i)).expect(non_null);
                Memory::from_handle(Handle { store: store_id, owner, pointer }).into()
            }
            ExternIndex::Table(i) => {
                let pointer = NonNull::new(VmContext::table(context, i)).expect(non_null);
                Table::from_handle(Handle { store: store_id, owner, pointer }).into()
            }
            ExternIndex::Global(i) => {
                let pointer = NonNull::new(VmContext::global(context, i)).expect(non_null);
                let ty = instance.module().global_type(i);
                Global::from_handle(Handle::<GlobalSlot> { store: store_id, owner, pointer }, ty).into()
            }
        })
    }
}

/// The instance that a host function was called from; `None` when the host called it itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallingInstance(*mut VmContext);

impl CallingInstance {
    /// # Safety
    /// `context` is null or the context that makes the call which is running.
    pub(crate) unsafe fn new(context: *mut VmContext) -> CallingInstance {
        CallingInstance(context)
    }

    /// Its key. The instance is not freed while its call runs.
    pub(crate) fn key(self, store: &StoreOpaque) -> Option<InstanceKey> {
        // SAFETY: promised in `new`, and this value does not leave the call.
        (!self.0.is_null()).then(|| unsafe { store.vm.key_of(self.0) })
    }
}
