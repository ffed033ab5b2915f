//! Instances as the runtime makes them; nothing of a guest runs yet.
//!
//! This is one of the modules that hold the crate's `unsafe`: imports are pointers into the store's instances.
#![allow(unsafe_code)]

use std::sync::Arc;

use wasmrun_runtime::module::{HostObject, Module};
use wasmrun_runtime::vm::{self, Imports, InstanceKey, InstantiateError};

use crate::entry::{from_hook, with_hooks};
use crate::error::{Error, Result};
use crate::store::StoreInner;

/// Makes an instance, if the store's limiter allows it.
///
/// # Safety
/// `imports` are alive, of this store, and what `module` imports, in order.
pub(crate) unsafe fn instantiate<T: 'static>(
    inner: &mut StoreInner<T>,
    module: Arc<Module>,
    imports: &Imports,
) -> Result<InstanceKey> {
    inner.check_counts(vm::Totals {
        instances: 1,
        memories: module.memory_count() as usize - imports.memories.len(),
        tables: module.table_count() as usize - imports.tables.len(),
    })?;
    let made = with_hooks(inner, |store, _| {
        // SAFETY: the caller's promise. Of the hooks, instantiation uses the limiter, which has no access to the runtime's
        // half of the store, and what makes objects, while nothing of that half is borrowed but the instance's module.
        unsafe { (*store).opaque.vm.instantiate(module, imports) }
    });
    let key = made.map_err(|error| match error {
        InstantiateError::Limiter(error) | InstantiateError::Stopped(error) => from_hook(error),
        error => Error::from_instantiation(error),
    })?;
    if let (Some(compiled), Some(instance)) = (inner.opaque.engine.compiled(), inner.opaque.vm.instance(key))
    {
        // Nothing is left to do, unless the system had no room for a guarded memory.
        compiled.compile_all(instance.module(), instance.memory_plan());
    }
    Ok(key)
}

/// Makes an instance that is nothing but a memory, table or global of the host.
pub(crate) fn instantiate_host_object<T: 'static>(
    inner: &mut StoreInner<T>,
    object: HostObject,
) -> Result<InstanceKey> {
    inner.opaque.check_not_in_callback()?;
    let module = Module::for_host_object(object, inner.opaque.engine.registry());
    // SAFETY: such a module imports nothing.
    unsafe { instantiate(inner, Arc::new(module), &Imports::default()) }
}
