//! From a function to its bytecode: translated when it is first called, and published in its code cell.

use wasmrun_runtime::module::{Bytecode, CodeCell, MemoryPlan, Module};
use wasmrun_runtime::trap::Pending;
use wasmrun_runtime::vm::{FuncRef, VmContext};

use crate::translate;

/// Translates a function that `module` defines, for instances as `plan` says. Its cell has code then.
#[cold]
#[inline(never)]
pub(crate) fn bind(module: &Module, plan: MemoryPlan, function: u32) -> Result<(), Pending> {
    let code = translate::function(module, function, None)?;
    // SAFETY: this is the function's code.
    unsafe { module.publish_bytecode(plan, code.into_bytecode()) };
    Ok(())
}

/// Translates a function that the module of a context defines.
///
/// # Safety
/// The context is alive, and the index is of such a function.
pub(crate) unsafe fn bind_in(vmctx: *mut VmContext, function: u32) -> Result<(), Pending> {
    // SAFETY: the caller's promise.
    let (module, cells) = unsafe { (VmContext::module(vmctx), VmContext::cells(vmctx)) };
    bind(module, module.cells().plan_of(cells), function)
}

/// What tier 0 runs in place of a function that has compiled code: it calls that.
pub fn way_into_compiled(module: &Module, function: u32) -> Bytecode {
    translate::way_into_compiled(module, function).into_bytecode()
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
        loop {
            // One load: another thread may take back what is there, for code that has been withdrawn.
            match (*cell).interpreter() {
                code if code.is_null() => bind_in(vmctx, function)?,
                code => return Ok(code),
            }
        }
    }
}
