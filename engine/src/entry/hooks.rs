//! How running code finds back to its store: the execution context names the store's hooks while the host has
//! lent the store to guest code, or to one of the runtime's operations that ask the limiter.
//!
//! This is one of the modules that hold the crate's `unsafe`: the store is turned into a pointer, and back.
#![allow(unsafe_code)]

use std::panic::resume_unwind;
use std::ptr::NonNull;

use wasmrun_runtime::trap::{HostError, Pending};
use wasmrun_runtime::vm::{self, ExecContext, StoreHooks, builtins};

use crate::error::{Error, HookPanic, Result};
use crate::handle::Handle;
use crate::store::StoreInner;
use crate::values::Ref;

/// Runs `action` with the execution context, from which hooks and host functions find back to `store`.
#[inline]
pub(crate) fn with_hooks<T: 'static, R>(
    store: &mut StoreInner<T>,
    action: impl FnOnce(*mut StoreInner<T>, *mut ExecContext) -> R,
) -> R {
    // From here to the end, the store is used through this pointer and those made from it alone.
    let store: *mut StoreInner<T> = store;
    // SAFETY: the pointer comes from an exclusive borrow that lasts until the end of this function, where the
    // hooks are put back that a surrounding call has set.
    unsafe {
        let exec: *mut ExecContext = (*store).opaque.vm.exec_mut();
        let hooks = NonNull::new_unchecked(store as *mut dyn StoreHooks);
        let _restore = RestoreHooks { exec, outer: (*exec).replace_hooks(Some(hooks)) };
        action(store, exec)
    }
}

/// Puts back the hooks of the surrounding call, also when something unwinds out of this one.
struct RestoreHooks {
    exec: *mut ExecContext,
    outer: Option<NonNull<dyn StoreHooks>>,
}

impl Drop for RestoreHooks {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: this is made in `with_hooks` alone, which has the store borrowed. The outer hooks were set
        // by a surrounding call, which lasts longer.
        unsafe {
            (*self.exec).replace_hooks(self.outer);
        }
    }
}

/// The store that a host function was called in.
///
/// # Safety
/// `exec` is that of a running call in a `Store<T>`, and nothing else uses the store during `'a`.
#[inline]
pub(super) unsafe fn store_of<'a, T: 'static>(exec: *mut ExecContext) -> &'a mut StoreInner<T> {
    // SAFETY: `with_hooks` has set the hooks to the store of this call, and waits for it to come back.
    unsafe {
        let hooks = (*exec).hooks_ptr().expect("host functions run in calls");
        hooks.cast::<StoreInner<T>>().as_mut()
    }
}

/// Grows a memory with the consent of the store's limiter, and returns the old size in pages.
pub(crate) fn grow_memory<T: 'static>(
    store: &mut StoreInner<T>,
    memory: &Handle<vm::Memory>,
    delta: u64,
) -> Result<Option<u64>> {
    let memory = memory.pointer(&store.opaque)?;
    let grown = with_hooks(store, |_, exec| {
        // SAFETY: the memory is alive and the store borrowed exclusively; the limiter cannot reach it.
        unsafe { builtins::grow_memory(exec, memory.as_ptr(), delta) }
    });
    grown.map_err(from_pending)
}

/// Grows a table by elements of `value`, with the consent of the store's limiter, and returns the old length.
pub(crate) fn grow_table<T: 'static>(
    store: &mut StoreInner<T>,
    table: &Handle<vm::Table>,
    delta: u64,
    value: Ref,
) -> Result<Option<u64>> {
    let value = value.to_word(&store.opaque, table.get(&store.opaque)?.ty().element)?;
    let table = table.pointer(&store.opaque)?;
    let grown = with_hooks(store, |_, exec| {
        // SAFETY: as for memories; the value is of the table's type.
        unsafe { builtins::grow_table(exec, table.as_ptr(), value, delta) }
    });
    grown.map_err(from_pending)
}

/// The error of something that the host has asked the runtime for.
pub(crate) fn from_pending(pending: Pending) -> Error {
    match pending {
        Pending::Trap(trap) => Error::new(trap),
        Pending::Host(error) => from_hook(error),
        Pending::Panic(payload) => resume_unwind(payload),
        Pending::Exception => unreachable!("only code throws"),
    }
}

/// The error of a hook that the host called itself.
pub(crate) fn from_hook(error: HostError) -> Error {
    match error.downcast::<HookPanic>() {
        Ok(panic) => resume_unwind(panic.into_payload()),
        Err(error) => Error::from_boxed(error),
    }
}
