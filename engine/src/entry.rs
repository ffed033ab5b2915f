//! The border between host and guest: how calls enter guest code, and how they come out of it into
//! functions of the host.
//!
//! Arguments and results share slots, from the execution context's `value_top` and `ref_top` on when the
//! host calls, and in the caller's frame when the guest calls. This is one of the modules that hold the
//! crate's `unsafe`: here signatures are turned into slots, and the execution context back into the store.
#![allow(unsafe_code)]

use std::panic::resume_unwind;
use std::ptr::NonNull;

use wasmrun_interpreter as interpreter;
use wasmrun_runtime::trap::{HostError, Pending, Status, Trap};
use wasmrun_runtime::types::SignatureSlots;
use wasmrun_runtime::vm::{self, ExecContext, FuncRef, HostCall, HostFunc, StoreHooks, builtins};

use crate::backtrace::{FrameInfo, WasmBacktrace};
use crate::error::{Error, HookPanic, Result};
use crate::func::{Caller, Func, TypedFunc, WasmRet, WasmTyList};
use crate::handle::{CallingInstance, Handle, reference};
use crate::module::Module;
use crate::store::{StoreContextMut, StoreInner, StoreOpaque};
use crate::timer::AlarmKey;
use crate::types::{FuncType, RefType, ValType};
use crate::values::{V128, Val};

/// The slots of a call's arguments or results, read or written from the first on.
pub struct Slots<'a> {
    values: &'a mut [u64],
    references: &'a mut [u32],
    value: usize,
    reference: usize,
}

impl<'a> Slots<'a> {
    /// # Safety
    /// The slots are there, are used by nobody else during `'a`, and those that are read as references to
    /// functions hold such.
    #[inline]
    unsafe fn new(values: *mut u64, value_count: usize, references: *mut u32, ref_count: usize) -> Slots<'a> {
        // SAFETY: the caller's promise; slots are always initialised.
        unsafe {
            Slots {
                values: std::slice::from_raw_parts_mut(values, value_count),
                references: std::slice::from_raw_parts_mut(references, ref_count),
                value: 0,
                reference: 0,
            }
        }
    }

    /// Writes the next value.
    #[inline]
    pub(crate) fn put(&mut self, word: u64) {
        self.values[self.value] = word;
        self.value += 1;
    }

    /// Writes the next collected reference.
    #[inline]
    pub(crate) fn put_reference(&mut self, id: u32) {
        self.references[self.reference] = id;
        self.reference += 1;
    }

    /// Reads the next value.
    #[inline]
    pub(crate) fn take(&mut self) -> u64 {
        let word = self.values[self.value];
        self.value += 1;
        word
    }

    /// Reads the next collected reference.
    #[inline]
    pub(crate) fn take_reference(&mut self) -> u32 {
        let id = self.references[self.reference];
        self.reference += 1;
        id
    }

    /// Reads the next value as a function. The lists of types that call this agree with the signature, so
    /// that the slot holds one.
    #[inline]
    pub(crate) fn take_function(&mut self, store: &StoreOpaque) -> Option<Func> {
        let word = self.take();
        // SAFETY: promised in `new`.
        unsafe { Handle::of_word(store, word) }.map(Func::from_handle)
    }

    /// Reads the next value of a type.
    fn take_val(&mut self, store: &StoreOpaque, ty: ValType) -> Val {
        match ty {
            ValType::I32 => Val::I32(self.take() as i32),
            ValType::I64 => Val::I64(self.take() as i64),
            ValType::F32 => Val::F32(self.take() as u32),
            ValType::F64 => Val::F64(self.take()),
            ValType::V128 => {
                let (low, high) = (self.take(), self.take());
                Val::V128(V128::from(u128::from(high) << 64 | u128::from(low)))
            }
            ValType::Ref(ty) => {
                let is_function = ty == RefType::FUNCREF;
                let word = if is_function { self.take() } else { self.take_reference().into() };
                // SAFETY: promised in `new`.
                unsafe { reference(store, ty, word) }.into()
            }
        }
    }
}

/// The free slots above everything that is running.
#[inline]
fn free_slots(exec: &ExecContext, values: usize, references: usize) -> Result<(*mut u64, *mut u32)> {
    let (value_top, ref_top) = (exec.value_top, exec.ref_top);
    let stack = exec.stack();
    let values_left = stack.values_end().saturating_sub(value_top as usize) / size_of::<u64>();
    let references_left = stack.references_end().saturating_sub(ref_top as usize) / size_of::<u32>();
    if values > values_left || references > references_left {
        return Err(Trap::StackOverflow.into());
    }
    Ok((value_top, ref_top))
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
    let (value_top, ref_top) = free_slots(store.opaque.vm.exec(), values, references)?;
    // SAFETY: there is room, checked just now, and nothing runs that could use what lies above the top. A
    // `TypedFunc` exists only for a function with these types, so that results are what they are read as.
    unsafe {
        params.put(&store.opaque, &mut Slots::new(value_top, P::VALUES, ref_top, P::REFERENCES))?;
        enter(store, target)?;
        Ok(R::take(&store.opaque, &mut Slots::new(value_top, R::VALUES, ref_top, R::REFERENCES)))
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
        free_slots(store.opaque.vm.exec(), slots.shared() as usize, slots.ref_shared() as usize)?;
    // SAFETY: as in `call_typed`; the values are checked against the type as they are written.
    unsafe {
        let mut to = Slots::new(value_top, slots.params as usize, ref_top, slots.ref_params as usize);
        for (param, ty) in params.iter().zip(ty.params()) {
            param.put(&store.opaque, *ty, &mut to)?;
        }
        enter(store, target)?;
        let mut from = Slots::new(value_top, slots.results as usize, ref_top, slots.ref_results as usize);
        for (result, ty) in results.iter_mut().zip(ty.results()) {
            *result = from.take_val(&store.opaque, *ty);
        }
    }
    Ok(())
}

/// Calls a function without parameters and results: the start function of an instance.
pub(crate) fn call_start<T: 'static>(store: &mut StoreInner<T>, func: &Func) -> Result<()> {
    call_untyped(store, func, &[], &mut [])
}

/// Enters a function whose arguments are in place.
///
/// # Safety
/// `func` is alive and of this store; the arguments in the free slots match its type, and there is room for
/// them and for the results.
#[inline]
unsafe fn enter<T: 'static>(store: &mut StoreInner<T>, func: NonNull<FuncRef>) -> Result<()> {
    let call = WatchedCall::begin(store)?;
    let status = with_hooks(call.store, |_, exec| {
        // SAFETY: the caller's promise; `exec` is the store's own.
        unsafe { interpreter::invoke(exec, func) }
    });
    let outcome = match status {
        Status::Ok => Ok(()),
        Status::Trap => Err(stopped(&mut call.store.opaque)),
        Status::Exception | Status::TailCall | Status::Suspend => Err(beyond_protocol(status)),
    };
    drop(call);
    outcome.map_err(unwrap_panic)
}

/// An entry from the host, which ends also when something unwinds out of it.
struct WatchedCall<'a, T: 'static> {
    store: &'a mut StoreInner<T>,
    alarm: Option<AlarmKey>,
}

impl<'a, T: 'static> WatchedCall<'a, T> {
    #[inline]
    fn begin(store: &'a mut StoreInner<T>) -> Result<WatchedCall<'a, T>> {
        let alarm = store.opaque.begin_call()?;
        Ok(WatchedCall { store, alarm })
    }
}

impl<T: 'static> Drop for WatchedCall<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.store.opaque.end_call(self.alarm.take());
    }
}

/// Why guest code stopped: an error, or the payload of a panic to resume.
enum Stopped {
    Error(Error),
    Panic(Box<dyn std::any::Any + Send>),
}

#[cold]
#[inline(never)]
fn stopped(store: &mut StoreOpaque) -> Stopped {
    // The frames are read first: anything that runs on the stack may overwrite them.
    let frames = frames(store, interpreter::From::Stop);
    let error = match store.vm.exec_mut().take_pending() {
        Some(Pending::Trap(trap)) => Error::new(trap),
        Some(Pending::Host(error)) => match error.downcast::<HookPanic>() {
            Ok(panic) => return Stopped::Panic(panic.into_payload()),
            Err(error) => Error::from_boxed(error),
        },
        Some(Pending::Panic(payload)) => return Stopped::Panic(payload),
        None => Error::msg("guest code stopped without giving a reason"),
    };
    Stopped::Error(match store.engine.config().backtrace_frames() {
        0 => error,
        _ => error.with_backtrace(WasmBacktrace::new(frames)),
    })
}

/// Guest code came back to the host with a status that means something only between tiers and stacks.
#[cold]
fn beyond_protocol(status: Status) -> Stopped {
    Stopped::Error(Error::msg(format!("guest code came back to the host with the status {status:?}")))
}

#[cold]
fn unwrap_panic(stopped: Stopped) -> Error {
    match stopped {
        Stopped::Error(error) => error,
        Stopped::Panic(payload) => resume_unwind(payload),
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
        unsafe { builtins::grow_memory(exec, &mut *memory.as_ptr(), delta) }
    });
    Ok(grown.map_err(from_pending)?.map(u64::from))
}

/// Grows a table with the consent of the store's limiter, and returns the old length. `value` has been
/// checked to be of its type.
pub(crate) fn grow_table<T: 'static>(
    store: &mut StoreInner<T>,
    table: &Handle<vm::Table>,
    delta: u32,
    value: u64,
) -> Result<Option<u64>> {
    let table = table.pointer(&store.opaque)?;
    let grown = with_hooks(store, |_, exec| {
        // SAFETY: as for memories.
        unsafe { builtins::grow_table(exec, &mut *table.as_ptr(), value, delta) }
    });
    Ok(grown.map_err(from_pending)?.map(u64::from))
}

fn from_pending(pending: Pending) -> Error {
    match pending {
        Pending::Trap(trap) => Error::new(trap),
        Pending::Host(error) => from_hook(error),
        Pending::Panic(payload) => resume_unwind(payload),
    }
}

/// The error of a hook that the host called itself.
pub(crate) fn from_hook(error: HostError) -> Error {
    match error.downcast::<HookPanic>() {
        Ok(panic) => resume_unwind(panic.into_payload()),
        Err(error) => Error::from_boxed(error),
    }
}

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
unsafe fn store_of<'a, T: 'static>(exec: *mut ExecContext) -> &'a mut StoreInner<T> {
    // SAFETY: `with_hooks` has set the hooks to the store of this call, and waits for it to come back.
    unsafe {
        let hooks = (*exec).hooks_ptr().expect("host functions run in calls");
        hooks.cast::<StoreInner<T>>().as_mut()
    }
}

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
                P::take(&store.opaque, &mut Slots::new(values, P::VALUES, references, P::REFERENCES));
            let caller = Caller::new(StoreContextMut::new(store), CallingInstance::new(caller));
            let results = func(caller, params).into_results()?;
            let store: &mut StoreInner<T> = store_of(exec);
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
        let mut buffer = std::mem::take(&mut store.opaque.val_buffer);
        let mut from = Slots::new(values, slots.params as usize, references, slots.ref_params as usize);
        buffer.extend(ty.params().iter().map(|ty| from.take_val(&store.opaque, *ty)));
        buffer.extend(ty.results().iter().map(|ty| Val::default_for_ty(*ty)));
        let (params, results) = buffer.split_at_mut(ty.params().len());
        let caller = Caller::new(StoreContextMut::new(store), CallingInstance::new(caller));
        func(caller, params, results)?;
        let store: &mut StoreInner<T> = store_of(exec);
        let mut to = Slots::new(values, slots.results as usize, references, slots.ref_results as usize);
        for (result, ty) in results.iter().zip(ty.results()) {
            let put = result.put(&store.opaque, *ty, &mut to);
            put.map_err(|error| error.context("a host function returned a value of the wrong type"))?;
        }
        buffer.clear();
        store.opaque.val_buffer = buffer;
    }
    Ok(())
}

/// The frames that have called the running host function.
pub(crate) fn calling_frames(store: &StoreOpaque) -> Vec<FrameInfo> {
    if store.vm.exec().is_idle() {
        return Vec::new();
    }
    frames(store, interpreter::From::HostCall)
}

fn frames(store: &StoreOpaque, from: interpreter::From) -> Vec<FrameInfo> {
    let limit = store.engine.config().backtrace_frames();
    if limit == 0 {
        return Vec::new();
    }
    let exec = std::ptr::from_ref(store.vm.exec()).cast_mut();
    // SAFETY: the store is borrowed and guest code has just stopped, or waits for the host; a backtrace only
    // reads.
    let frames = unsafe { interpreter::backtrace(exec, from, limit) };
    let info = |frame: interpreter::Frame| {
        let module = Module::from_runtime(&store.engine, frame.module);
        FrameInfo::new(module, frame.function, frame.offset)
    };
    frames.into_iter().map(info).collect()
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

    #[test]
    fn statuses_that_the_host_should_never_see_are_named() {
        for status in [Status::Exception, Status::TailCall, Status::Suspend] {
            let Stopped::Error(error) = beyond_protocol(status) else { panic!("not an error") };
            assert!(error.to_string().ends_with(&format!("{status:?}")), "{error}");
        }
    }
}
