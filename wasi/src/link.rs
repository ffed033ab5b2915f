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
//! Work that takes long by a guest's numbers is treated like a wait: it comes back here before it begins, looks for a
//! poke after each piece, and goes on where it was.

use crate::abi::{self, Call, wasi_functions};
use crate::wait::Attached;
use crate::{Fault, GuestMem, Outcome, WasiCtx, p0, p1};
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

/// Makes a call, as often as it takes until it does not want to wait or may.
#[inline]
fn invoke<T: 'static>(
    caller: &mut Caller<'_, T>,
    get: impl Fn(&mut T) -> &mut WasiCtx,
    call: Call,
    body: impl Fn(&mut WasiCtx, &mut GuestMem<'_>) -> Outcome,
) -> Result<u32> {
    let memory = caller.get_export("memory").and_then(Extern::into_memory);
    let mut waker = None;
    loop {
        let (bytes, data) = match memory {
            // Pointers are parameters of 32 bits, and in the structures that they point at.
            Some(memory) if memory.ty(&mut *caller).is_64() => {
                let name = call.function().name;
                let message = "the instance that called has a memory with 64-bit addresses, and pointers of WASI preview 1 have 32";
                return Err(Error::msg(format!("{name}: {message}")));
            }
            Some(memory) => memory.data_and_store_mut(&mut *caller),
            None if call.function().params.iter().any(|param| param.kind.is_pointer()) => {
                let name = call.function().name;
                let message = "the instance that called exports no memory with the name `memory`";
                return Err(Error::msg(format!("{name}: {message}")));
            }
            // Ending, yielding or closing needs none.
            None => (&mut [][..], caller.data_mut()),
        };
        let ctx = get(data);
        match &waker {
            None => {
                ctx.waiter.forget();
                ctx.waiter.attach(Attached::Wanted);
            }
            Some(_) => ctx.waiter.attach(Attached::Yes),
        }
        let outcome = body(ctx, &mut GuestMem::new(bytes));
        ctx.waiter.attach(Attached::No);
        match outcome {
            Ok(()) => return Ok(0),
            Err(Fault::Errno(errno)) => return Ok(errno.code().into()),
            Err(Fault::Exit(code)) => return Err(I32Exit(code as i32).into()),
            Err(fault @ Fault::Trap(_)) => return Err(fault.into()),
            Err(fault @ Fault::Interrupted) if ctx.waiter.is_cancelled() => return Err(fault.into()),
            Err(Fault::Interrupted) => {
                if waker.is_none() {
                    let wake = ctx.waiter.waker();
                    caller.interrupt_handle().add_waker(std::sync::Arc::downgrade(&wake));
                    waker = Some(wake);
                }
                // After the waker is there, so that no request falls between the two.
                caller.check_interrupts()?;
            }
        }
    }
}
