//! Functions of the host, as the runtime calls them: from slots to the arguments of a closure, and from its
//! results back to slots.
//!
//! This is one of the modules that hold the crate's `unsafe`: slots are read by a signature, and the execution
//! context is turned back into the store.
#![allow(unsafe_code)]

use wasmrun_runtime::trap::{HostError, Thrown};
use wasmrun_runtime::types::SignatureSlots;
use wasmrun_runtime::vm::{HostCall, HostFunc};

use super::hooks::store_of;
use super::slots::Slots;
use crate::error::{Error, Result};
use crate::exception::Exception;
use crate::func::{Caller, WasmRet, WasmTyList};
use crate::handle::CallingInstance;
use crate::store::{StoreContextMut, StoreInner, StoreOpaque};
use crate::types::FuncType;
use crate::values::Val;

/// A host function whose type is known at compile time.
pub(crate) fn typed_host_func<T: 'static, P: WasmTyList, R: WasmRet>(
    func: impl Fn(Caller<'_, T>, P) -> R + Send + Sync + 'static,
) -> HostFunc {
    let ty = FuncType::new(P::TYPES.iter().copied(), R::List::TYPES.iter().copied());
    HostFunc::new(ty, move |call: HostCall| {
        let HostCall { exec, caller, values, references } = call;
        // SAFETY: a host function gets into a store only with the store's own `T`, and is called with slots
        // for the arguments and results of its type. The slots are not borrowed while `func` runs.
        unsafe {
            let store: &mut StoreInner<T> = store_of(exec);
            let params =
                P::take(&mut store.opaque, &mut Slots::new(values, P::VALUES, references, P::REFERENCES));
            let caller = Caller::new(StoreContextMut::new(store), CallingInstance::new(caller));
            let results = func(caller, params).into_results();
            let store: &mut StoreInner<T> = store_of(exec);
            let results = results.map_err(|error| failed(&mut store.opaque, error))?;
            let mut to = Slots::new(values, R::List::VALUES, references, R::List::REFERENCES);
            results.put(&store.opaque, &mut to)?;
        }
        Ok(())
    })
}

/// A host function that takes and gives any values, which are checked against its type.
pub(crate) fn untyped_host_func<T: 'static>(
    ty: FuncType,
    func: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
) -> HostFunc {
    let signature = ty.clone();
    let slots = ty.slots();
    HostFunc::new(ty, move |call: HostCall| {
        // SAFETY: as in `typed_host_func`.
        unsafe { call_host_func(call, &signature, slots, &func) }
    })
}

/// The error of a function of the host, as the guest is told of it: one that has an exception of the store in it throws that.
#[cold]
fn failed(store: &mut StoreOpaque, error: Error) -> HostError {
    match error.downcast_ref::<Exception>() {
        Some(exception) if exception.throw(store).is_ok() => Box::new(Thrown),
        _ => error.into(),
    }
}

/// So many arguments and results together have their place on the native stack; more are allocated.
const FEW: usize = 8;

/// # Safety
/// The call is of a function of this type in a `Store<T>`.
unsafe fn call_host_func<T: 'static>(
    call: HostCall,
    ty: &FuncType,
    slots: SignatureSlots,
    func: &impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()>,
) -> Result<(), HostError> {
    let HostCall { exec, caller, values, references } = call;
    // SAFETY: the caller's promise; slots are not borrowed while `func` runs.
    unsafe {
        let store: &mut StoreInner<T> = store_of(exec);
        let count = ty.params().len() + ty.results().len();
        let (mut few, mut many) = ([Val::I32(0); FEW], Vec::new());
        let buffer = if count <= FEW {
            &mut few[..count]
        } else {
            many.resize(count, Val::I32(0));
            &mut many[..]
        };
        let (params, results) = buffer.split_at_mut(ty.params().len());
        let mut from = Slots::new(values, slots.params as usize, references, slots.ref_params as usize);
        for (param, ty) in params.iter_mut().zip(ty.params()) {
            *param = Val::take(&mut store.opaque, *ty, &mut from);
        }
        for (result, ty) in results.iter_mut().zip(ty.results()) {
            *result = Val::default_for_ty(*ty);
        }
        let caller = Caller::new(StoreContextMut::new(store), CallingInstance::new(caller));
        let result = func(caller, params, results);
        let store: &mut StoreInner<T> = store_of(exec);
        result.map_err(|error| failed(&mut store.opaque, error))?;
        let mut to = Slots::new(values, slots.results as usize, references, slots.ref_results as usize);
        for (result, ty) in results.iter().zip(ty.results()) {
            let put = result.put(&store.opaque, *ty, &mut to);
            put.map_err(|error| error.context("a host function returned a value of the wrong type"))?;
        }
    }
    Ok(())
}
