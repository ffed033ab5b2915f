//! Handles: how the host names what lives in a store.
//!
//! A handle is a pointer into an instance together with the store and the instance's key. The pointer is
//! used only after both have been found to be right, and only as long as the store is borrowed; the key's
//! generation changes when an instance is dropped or freed, so that no handle outlives what it points at.
//! This is one of the modules that hold the crate's `unsafe`: the pointers are used here alone, and made here
//! and where exports are looked up.
#![allow(unsafe_code)]

use std::fmt;
use std::ptr::NonNull;

use wasmrun_runtime::trap::Trap;
use wasmrun_runtime::vm::{self, FuncRef, InstanceKey, VmContext};

use crate::error::{Error, Result};
use crate::store::{StoreId, StoreOpaque};

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
    /// Something of an instance.
    ///
    /// # Safety
    /// The instance with this key is one of the store, and keeps alive what `pointer` points at.
    pub(crate) unsafe fn of_instance(
        store: &StoreOpaque,
        key: InstanceKey,
        pointer: NonNull<P>,
    ) -> Handle<P> {
        Handle { store: store.id, owner: Owner::Instance(key), pointer }
    }

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
        // SAFETY: as above, exclusively: guest code waits while the host has the store, and borrows nothing over what calls the host.
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
