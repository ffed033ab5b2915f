//! From a function to its bytecode: translated when it is first called, and published in its code cell.

use std::sync::Arc;

use wasmrun_runtime::module::Module;
use wasmrun_runtime::trap::Pending;
use wasmrun_runtime::vm::{FuncRef, VmContext};

use crate::translate;

/// The entry of a function that `module` defines.
#[cold]
#[inline(never)]
pub(crate) fn bind(module: &Module, function: u32) -> Result<*const u8, Pending> {
    let code = Arc::new(translate::function(module, function, None)?);
    let entry = code.entry();
    // SAFETY: the entry is that of the code.
    Ok(unsafe { module.publish_interpreter_code(code, entry) })
}

/// The entry of a function of WebAssembly.
///
/// # Safety
/// `callee` is alive and not a function of the host.
pub(crate) unsafe fn resolve(callee: *const FuncRef) -> Result<*const u8, Pending> {
    // SAFETY: the caller's promise.
    unsafe {
        let entry = (*(*callee).cell).interpreter();
        if !entry.is_null() {
            return Ok(entry);
        }
        bind(VmContext::module((*callee).vmctx), (*callee).func_index)
    }
}
