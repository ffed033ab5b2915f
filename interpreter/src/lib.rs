//! Tier 0 of wasmrun: slot bytecode, the translator that makes it, and the handlers that run it.

#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::Arc;

use wasmrun_runtime::module::Module;
use wasmrun_runtime::trap::Status;
use wasmrun_runtime::vm::{ExecContext, FuncRef, VmContext};

/// Calls a function, of WebAssembly or of the host, from the host.
///
/// The arguments are in the value slots from `exec.value_top` and the reference slots from `exec.ref_top`
/// on; the results are left there. With a status other than [`Status::Ok`] the reason is pending on `exec`,
/// and [`backtrace`] tells where the code stopped until the next call.
///
/// # Safety
/// `exec` and `func` belong to one store, which nothing else borrows; the arguments match the function's
/// type, and the slots of arguments and results lie inside the stacks.
pub unsafe fn invoke(exec: *mut ExecContext, func: NonNull<FuncRef>) -> Status {
    let _ = (exec, func);
    Status::Ok
}

/// A frame of guest code.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The module of its function.
    pub module: Arc<Module>,
    /// The context of its instance.
    pub vmctx: *mut VmContext,
    /// The function's index in the module.
    pub function: u32,
    /// Offset of the instruction in the module's bytes.
    pub offset: u32,
}

/// Which frames a backtrace starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Those of the code that just stopped with a status other than [`Status::Ok`].
    Stop,
    /// Those that called the host function which is running.
    HostCall,
}

/// The frames of guest code, innermost first, at most `limit`.
///
/// # Safety
/// As for [`invoke`]; with [`From::Stop`], nothing has run on `exec` since `invoke` returned.
pub unsafe fn backtrace(exec: *mut ExecContext, from: From, limit: usize) -> Vec<Frame> {
    let _ = (exec, from, limit);
    Vec::new()
}
