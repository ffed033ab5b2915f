//! Ending and yielding.

use crate::{Errno, Fault, GuestMem, Outcome, WasiCtx};

/// Not an error that a guest could see: the engine must end the instance and run no more of it.
pub fn proc_exit(_ctx: &mut WasiCtx, _mem: &mut GuestMem<'_>, rval: u32) -> Outcome {
    Err(Fault::Exit(rval))
}

/// Signals were dropped from the interface; nothing answers them.
pub fn proc_raise(_ctx: &mut WasiCtx, _mem: &mut GuestMem<'_>, _sig: u32) -> Outcome {
    Err(Errno::Notsup.into())
}

/// Lets others run. Also a point at which a cancelled guest stops, as every call is.
pub fn sched_yield(_ctx: &mut WasiCtx, _mem: &mut GuestMem<'_>) -> Outcome {
    std::thread::yield_now();
    Ok(())
}
