//! From a function to its bytecode: translated when it is first called, and published in its code cell.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use wasmrun_runtime::module::{CodeCell, Module};
use wasmrun_runtime::trap::Pending;
use wasmrun_runtime::vm::{FuncRef, VmContext};

use crate::code::Code;
use crate::translate;

/// The entry of a function that `module` defines.
#[cold]
#[inline(never)]
pub(crate) fn bind(module: &Module, function: u32) -> Result<*const u8, Pending> {
    let code = Arc::new(translate::function(module, function, None)?);
    let entry = code.entry().cast_mut();
    // SAFETY: the entry is that of the code.
    Ok(unsafe { module.publish_interpreter_code(code, entry) })
}

/// The entry of a function of WebAssembly.
///
/// # Safety
/// `callee` is alive and not a function of the host.
pub(crate) unsafe fn resolve(callee: *const FuncRef) -> Result<*const u8, Pending> {
    // SAFETY: the caller's promise.
    unsafe { resolve_in((*callee).cell, (*callee).vmctx, (*callee).func_index) }
}

/// The entry of a function that the module of a context defines.
///
/// # Safety
/// The context is alive, and the index is of such a function.
pub(crate) unsafe fn resolve_own(vmctx: *mut VmContext, function: u32) -> Result<*const u8, Pending> {
    // SAFETY: the caller's promise.
    unsafe {
        let defined = function - VmContext::module(vmctx).imported_function_count();
        resolve_in(VmContext::cells(vmctx).add(defined as usize), vmctx, function)
    }
}

unsafe fn resolve_in(
    cell: *const CodeCell,
    vmctx: *mut VmContext,
    function: u32,
) -> Result<*const u8, Pending> {
    // SAFETY: the cell is that of the function, and the context alive.
    unsafe {
        let entry = (*cell).interpreter.load(Ordering::Acquire);
        if entry.is_null() { bind(VmContext::module(vmctx), function) } else { Ok(entry) }
    }
}
