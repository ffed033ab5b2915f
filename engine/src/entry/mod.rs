//! The border between host and guest: how calls enter guest code, and how they come out of it into
//! functions of the host.
//!
//! Arguments and results share slots, from the execution context's `value_top` and `ref_top` on when the
//! host calls, and in the caller's frame when the guest calls. This module makes the calls into guest code;
//! those below hold what such a call needs. It is one of the modules that hold the crate's `unsafe`: signatures
//! are turned into slots.
#![allow(unsafe_code)]

mod hooks;
mod host;
mod slots;
mod stop;

pub(crate) use hooks::{from_hook, from_pending, grow_memory, grow_table, with_hooks};
pub(crate) use host::{typed_host_func, untyped_host_func};
pub use slots::Slots;
pub(crate) use slots::{of_raw, to_raw};

use std::ptr::NonNull;

use wasmrun_runtime::trap::{Status, Trap};
use wasmrun_runtime::vm::FuncRef;

use crate::error::{Error, Result};
use crate::func::{Func, TypedFunc, WasmTyList};
use crate::store::{StoreInner, StoreOpaque};
use crate::tiers::invoke;
use crate::values::Val;
use stop::{beyond_protocol, stopped, unwrap_panic};

/// The free slots above everything that is running. There are none for a callback in the middle of guest code,
/// whose frames the tops are below.
#[inline]
fn free_slots(store: &mut StoreOpaque, values: usize, references: usize) -> Result<(*mut u64, *mut u32)> {
    store.check_not_in_callback()?;
    store.vm.exec_mut().free_slots(values, references).ok_or_else(|| Trap::StackOverflow.into())
}

/// Calls a function whose type is known at compile time.
#[inline]
pub(crate) fn call_typed<T: 'static, P: WasmTyList, R: WasmTyList>(
    store: &mut StoreInner<T>,
    func: &TypedFunc<P, R>,
    params: P,
) -> Result<R> {
    let target = func.func().handle().pointer(&store.opaque)?;
    let values = const { if P::VALUES > R::VALUES { P::VALUES } else { R::VALUES } };
    let references = const { if P::REFERENCES > R::REFERENCES { P::REFERENCES } else { R::REFERENCES } };
    let (value_top, ref_top) = free_slots(&mut store.opaque, values, references)?;
    // SAFETY: there is room, checked just now, and nothing runs that could use what lies above the top. A
    // `TypedFunc` exists only for a function with these types, so that results are what they are read as.
    unsafe {
        params.put(&store.opaque, &mut Slots::new(value_top, P::VALUES, ref_top, P::REFERENCES))?;
        enter(store, target, |store| {
            R::take(store, &mut Slots::new(value_top, R::VALUES, ref_top, R::REFERENCES))
        })
    }
}

/// Calls a function with any number of values, which are checked against its type.
pub(crate) fn call_untyped<T: 'static>(
    store: &mut StoreInner<T>,
    func: &Func,
    params: &[Val],
    results: &mut [Val],
) -> Result<()> {
    let target = func.handle().pointer(&store.opaque)?;
    let ty = func.type_in(&store.opaque)?;
    let counts =
        [("arguments", ty.params().len(), params.len()), ("results", ty.results().len(), results.len())];
    for (what, expected, found) in counts {
        if expected != found {
            return Err(Error::msg(format!("expected {expected} {what}, got {found}: the function is {ty}")));
        }
    }
    let slots = ty.slots();
    let (value_top, ref_top) =
        free_slots(&mut store.opaque, slots.shared() as usize, slots.ref_shared() as usize)?;
    // SAFETY: as in `call_typed`; the values are checked against the type as they are written.
    unsafe {
        let mut to = Slots::new(value_top, slots.params as usize, ref_top, slots.ref_params as usize);
        for (param, ty) in params.iter().zip(ty.params()) {
            param.put(&store.opaque, *ty, &mut to)?;
        }
        enter(store, target, |store| {
            let mut from = Slots::new(value_top, slots.results as usize, ref_top, slots.ref_results as usize);
            for (result, ty) in results.iter_mut().zip(ty.results()) {
                *result = Val::take(store, *ty, &mut from);
            }
        })
    }
}

/// Calls a function without parameters and results: the start function of an instance.
pub(crate) fn call_start<T: 'static>(store: &mut StoreInner<T>, func: &Func) -> Result<()> {
    call_untyped(store, func, &[], &mut [])
}

/// Enters a function whose arguments are in place, and lets `take` take the results: before instances that
/// were dropped meanwhile are freed, as a result may be a function of one of them.
///
/// # Safety
/// `func` is alive and of this store; the arguments in the free slots match its type, and there is room for
/// them and for the results.
#[inline]
unsafe fn enter<T: 'static, R>(
    store: &mut StoreInner<T>,
    func: NonNull<FuncRef>,
    take: impl FnOnce(&mut StoreOpaque) -> R,
) -> Result<R> {
    let outcome = {
        let call = WatchedCall::begin(store)?;
        let status = with_hooks(call.store, |_, exec| {
            // SAFETY: the caller's promise; `exec` is the store's own.
            unsafe { invoke(exec, func) }
        });
        match status {
            Status::Ok => Ok(take(&mut call.store.opaque)),
            Status::Trap => Err(stopped(&mut call.store.opaque)),
            Status::TailCall | Status::Suspend | Status::Left => Err(beyond_protocol(status)),
        }
    };
    outcome.map_err(unwrap_panic)
}

/// An entry from the host, which ends also when something unwinds out of it.
struct WatchedCall<'a, T: 'static> {
    store: &'a mut StoreInner<T>,
    watched: bool,
}

impl<'a, T: 'static> WatchedCall<'a, T> {
    #[inline]
    fn begin(store: &'a mut StoreInner<T>) -> Result<WatchedCall<'a, T>> {
        let watched = store.opaque.begin_call()?;
        Ok(WatchedCall { store, watched })
    }
}

impl<T: 'static> Drop for WatchedCall<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.store.opaque.end_call(self.watched);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::time::Duration;

    use super::*;
    use crate::engine::Engine;
    use crate::store::{AsContextMut, Store};

    #[test]
    fn what_unwinds_out_of_a_call_leaves_neither_hooks_nor_an_alarm() {
        let mut store = Store::new(&Engine::default(), ());
        store.set_timeout(Some(Duration::from_secs(3600)));
        let mut context = store.as_context_mut();
        let inner = context.inner_mut();
        let alarms = |inner: &StoreInner<()>| format!("{:?}", inner.opaque.engine.timer());
        let none = "Timer { alarms: 0, .. }";
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let call = WatchedCall::begin(inner).unwrap();
            assert_ne!(alarms(call.store), none);
            with_hooks(call.store, |_, exec| {
                // SAFETY: the context is that of the store.
                assert!(unsafe { (*exec).hooks_ptr() }.is_some());
                std::panic::resume_unwind(Box::new("unwound"))
            })
        }));
        let payload: Box<dyn std::any::Any + Send> = unwound.map(|(): ()| ()).unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"unwound"));
        assert!(inner.opaque.vm.exec().hooks_ptr().is_none());
        assert_eq!(alarms(inner), none);
    }
}
