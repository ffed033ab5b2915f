//! The functions of both previews in a [`Linker`].
//!
//! Registration is made from the table in [`abi`](crate::abi). A call finds the memory that its instance exports as
//! `memory`, anew each time: it may have grown or moved. What is no errno becomes an error of the engine, which unwinds
//! the guest without running any of it: [`I32Exit`] for `proc_exit`, wherever it was called from, and [`Fault`] for
//! traps.
//!
//! # Waiting
//! An engine's deadlines, epochs and interrupts must end what a guest waits for. So a call that is about to wait comes
//! back here first (`Attached::Wanted`): the store gets a waker, is asked whether the guest may go on, and the call is
//! made again. When the waker is called the wait ends, the store is asked again, and the wait is taken up where it was
//! if the answer is yes. Calls that do not wait pay nothing for this. Writing to a pipe that nobody empties is the one
//! wait that cannot be ended in this way, for the sake of one system call per write: see
//! [`WasiCtx::interruptible_writes`].
//!
//! Where threads share a context no call waits in it: the call says what it would wait for, and is made again when the
//! wait is over, so that other threads can make theirs meanwhile.
//!
//! Work that takes long by a guest's numbers is treated like a wait: it comes back here before it begins, looks for a
//! poke after each piece, and goes on where it was. A system call of the host that works for long, as `fsync` does, ends by
//! itself; threads that share the context and wait for it come back here, too.

use crate::abi::{self, Call, wasi_functions};
use crate::wait::Waiter;
use crate::{Fault, GuestMem, Outcome, SharedWasiCtx, WasiCtx, p0, p1};
use std::sync::Arc;
use wasmrun::{Caller, Error, Extern, I32Exit, Linker, Result};

/// Defines the functions of preview 1 and preview 0 in a linker. `get` finds the context in the data of a store.
///
/// ```
/// use wasmrun::{Engine, Linker};
/// use wasmrun_wasi::WasiCtx;
///
/// let mut linker = Linker::<WasiCtx>::new(&Engine::default());
/// wasmrun_wasi::add_to_linker(&mut linker, |ctx| ctx)?;
/// # Ok::<(), wasmrun::Error>(())
/// ```
///
/// # Errors
/// If one of the names is defined already.
pub fn add_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut WasiCtx + Send + Sync + Copy + 'static,
) -> Result<()> {
    wasi_functions!(register linker, get, p1, PREVIEW1;);
    wasi_functions!(register linker, get, p0, PREVIEW0;);
    Ok(())
}

/// Defines the same functions for the threads of one guest, each of which has a store, and all of which have one context.
/// `get` finds the thread's hold on it in the data of its store.
///
/// ```
/// use wasmrun::{Engine, Linker};
/// use wasmrun_wasi::SharedWasiCtx;
///
/// let mut linker = Linker::<SharedWasiCtx>::new(&Engine::default());
/// wasmrun_wasi::add_shared_to_linker(&mut linker, |ctx| ctx)?;
/// # Ok::<(), wasmrun::Error>(())
/// ```
///
/// # Errors
/// If one of the names is defined already.
pub fn add_shared_to_linker<T: 'static>(
    linker: &mut Linker<T>,
    get: impl Fn(&mut T) -> &mut SharedWasiCtx + Send + Sync + Copy + 'static,
) -> Result<()> {
    wasi_functions!(register linker, get, p1, PREVIEW1;);
    wasi_functions!(register linker, get, p0, PREVIEW0;);
    Ok(())
}

/// Defines each row of the table, with the functions of the module that is named.
macro_rules! register {
    ($linker:ident, $get:ident, $module:ident, $preview:ident;
     $($file:ident :: $name:ident($($param:ident : $ty:ident [$kind:expr]),*) -> $result:ident, $class:ident, $since:ident;)*) => {
        $(
            let call = Call::$name;
            let preview = &abi::$preview;
            if call.function().in_preview0 || !std::ptr::eq(preview, &abi::PREVIEW0) {
                $linker.func_wrap(
                    preview.module,
                    call.function().name,
                    move |mut caller: Caller<'_, T> $(, $param: $ty)*| {
                        let outcome = invoke(&mut caller, $get, Call::$name, |ctx, mem| {
                            $module::$name(ctx, mem $(, $param)*)
                        });
                        register!(@$result outcome)
                    },
                )?;
            }
        )*
    };
    (@errno $outcome:ident) => { $outcome };
    // Does not return: there is no errno to give.
    (@never $outcome:ident) => { $outcome.map(drop) };
}
use register;

/// What calls are made in: a context, or a thread's hold on one.
trait Context {
    /// Makes a call for an engine, which has been told that it may wait or has not.
    fn attached(&mut self, may_wait: bool, call: impl FnOnce(&mut WasiCtx) -> Outcome) -> Outcome;

    /// Where it waits.
    fn waiter(&mut self) -> &mut Waiter;
}

impl Context for WasiCtx {
    #[inline]
    fn attached(&mut self, may_wait: bool, call: impl FnOnce(&mut WasiCtx) -> Outcome) -> Outcome {
        WasiCtx::attached(self, may_wait, call)
    }

    #[inline]
    fn waiter(&mut self) -> &mut Waiter {
        &mut self.waiter
    }
}

impl Context for SharedWasiCtx {
    #[inline]
    fn attached(&mut self, may_wait: bool, call: impl FnOnce(&mut WasiCtx) -> Outcome) -> Outcome {
        SharedWasiCtx::attached(self, may_wait, call)
    }

    #[inline]
    fn waiter(&mut self) -> &mut Waiter {
        SharedWasiCtx::waiter(self)
    }
}

/// Makes a call, as often as it takes until it does not want to wait or may.
#[inline]
fn invoke<T: 'static, C: Context>(
    caller: &mut Caller<'_, T>,
    get: impl Fn(&mut T) -> &mut C,
    call: Call,
    body: impl Fn(&mut WasiCtx, &mut GuestMem<'_>) -> Outcome,
) -> Result<u32> {
    let memory = memory(caller, call)?;
    let mut waker = None;
    loop {
        let (mut mem, data) = match &memory {
            Some(Extern::Memory(memory)) => {
                let (bytes, data) = memory.data_and_store_mut(&mut *caller);
                (GuestMem::new(bytes), data)
            }
            Some(Extern::SharedMemory(memory)) => (GuestMem::shared(memory), caller.data_mut()),
            // Ending, yielding or closing needs none.
            _ => (GuestMem::new(&mut []), caller.data_mut()),
        };
        let ctx = get(data);
        let outcome = ctx.attached(waker.is_some(), |ctx| body(ctx, &mut mem));
        let waiter = ctx.waiter();
        match answer(outcome, waiter.is_cancelled()) {
            Some(answer) => return answer,
            None => {
                if waker.is_none() {
                    let wake = waiter.waker();
                    caller.interrupt_handle().add_waker(Arc::downgrade(&wake));
                    waker = Some(wake);
                }
                // After the waker is there, so that no request falls between the two.
                caller.check_interrupts()?;
                // Only what threads share is waited for here.
                if get(caller.data_mut()).waiter().wait_elsewhere() {
                    caller.check_interrupts()?;
                }
            }
        }
    }
}

/// The memory that the instance which called exports, if the call needs one.
fn memory<T: 'static>(caller: &mut Caller<'_, T>, call: Call) -> Result<Option<Extern>> {
    let memory = caller.get_export("memory");
    let ty = match &memory {
        Some(Extern::Memory(memory)) => Some(memory.ty(&mut *caller)),
        Some(Extern::SharedMemory(memory)) => Some(memory.ty()),
        _ => None,
    };
    let name = call.function().name;
    match ty {
        // Pointers are parameters of 32 bits, and in the structures that they point at.
        Some(ty) if ty.is_64() => {
            let message = "the instance that called has a memory with 64-bit addresses, and pointers of WASI preview 1 have 32";
            Err(Error::msg(format!("{name}: {message}")))
        }
        None if call.function().params.iter().any(|param| param.kind.is_pointer()) => {
            let message = "the instance that called exports no memory with the name `memory`";
            Err(Error::msg(format!("{name}: {message}")))
        }
        _ => Ok(memory),
    }
}

/// What a call has to say to the guest or the engine; `None` if it wants to be asked for, and made again.
#[inline]
fn answer(outcome: Outcome, is_cancelled: bool) -> Option<Result<u32>> {
    Some(match outcome {
        Ok(()) => Ok(0),
        Err(Fault::Errno(errno)) => Ok(errno.code().into()),
        Err(Fault::Exit(code)) => Err(I32Exit(code as i32).into()),
        Err(fault @ Fault::Trap(_)) => Err(fault.into()),
        Err(fault @ Fault::Interrupted) if is_cancelled => Err(fault.into()),
        Err(Fault::Interrupted) => return None,
    })
}
