//! Entering guest code from the host, and what frames of tier 0 say of themselves.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ptr::{self, NonNull};

use wasmrun_runtime::module::{CodeBlob, Module};
use wasmrun_runtime::trap::{Pending, Status, Trap};
use wasmrun_runtime::vm::{Entered, ExecContext, FuncRef, Position, Segment, Site, VmContext};

use crate::caller::caller_of;
use crate::code::Code;
use crate::dispatch::run;
use crate::machine::Machine;
use crate::ops::call::{call_host, enter_outermost, go_on};
use crate::returns;
use crate::stop::stop;
use crate::translate::{self, SourceMap};

/// Calls a function, of WebAssembly or of the host, from the host.
///
/// The arguments are in the value slots from `exec.value_top` and the reference slots from `exec.ref_top`
/// on; the results are left there. With a status other than [`Status::Ok`] the reason is pending on `exec`, and
/// the frames have been taken down there.
///
/// # Safety
/// `exec` and `func` belong to one store, which nothing else borrows; the arguments match the function's
/// type, and the slots of arguments and results lie inside the stacks.
pub unsafe fn invoke(exec: *mut ExecContext, func: NonNull<FuncRef>) -> Status {
    // SAFETY: the caller's promise. The segment is withdrawn before it goes out of scope.
    unsafe {
        let callee = func.as_ptr().cast_const();
        let sp = (*exec).value_top;
        let mut segment = Segment::interpreter(caller_in);
        let _entered = Entered::new(exec, &raw mut segment);
        let started = if (*exec).native_stack_left() {
            start(exec, callee, sp)
        } else {
            Err((Site::NOWHERE, Trap::StackOverflow.into()))
        };
        started.unwrap_or_else(|(site, pending)| stop(exec, site, pending))
    }
}

/// What came of entering guest code: how it ended, or where it was stopped before its first instruction.
type Started = Result<Status, (Site, Pending)>;

unsafe fn start(exec: *mut ExecContext, callee: *const FuncRef, sp: *mut u64) -> Started {
    // SAFETY: as for `invoke`.
    unsafe {
        if !(*callee).host.is_null() {
            let called = call_host(exec, Site::NOWHERE, ptr::null_mut(), &*(*callee).host, sp);
            return called.map(|()| Status::Ok).map_err(|pending| (Site::NOWHERE, pending));
        }
        run_function((*callee).vmctx, (*callee).func_index, sp, returns::exit())
    }
}

/// Runs a function of tier 0 for compiled code that has called it, or left it at a loop: the one with index `function`,
/// which the module of `vmctx` defines, from its entry or from the header of the loop whose operator is at `at` in the
/// module.
///
/// Arguments, results and status are as for [`invoke`]; besides, it may return [`Status::TailCall`] with context,
/// id and slots of a compiled function in [`NativeWords::tail_call`](wasmrun_runtime::vm::NativeWords), whose
/// arguments are where this function's were.
///
/// # Safety
/// `vmctx` is alive and its store, of which `exec` is the context, borrowed by nothing else; the arguments match
/// the function's type, and the slots of arguments and results lie inside the stacks. For a loop, every value is in the slot
/// that the frame's layout gives it, and [`Loops::can_enter`](crate::Loops::can_enter) has said that it can be entered.
pub unsafe fn run_for_compiled(
    exec: *mut ExecContext,
    vmctx: *mut VmContext,
    function: u32,
    at: u32,
) -> Status {
    // SAFETY: the caller's promise. The segment is withdrawn before it goes out of scope.
    unsafe {
        let mut segment = Segment::interpreter(caller_in);
        let _entered = Entered::new(exec, &raw mut segment);
        let started = if (*exec).native_stack_left() {
            let (sp, return_to) = ((*exec).value_top, returns::exit_to_compiled());
            match at {
                0 => run_function(vmctx, function, sp, return_to),
                _ => Ok(run(go_on(exec, vmctx, sp, return_to))),
            }
        } else {
            Err((Site::NOWHERE, Trap::StackOverflow.into()))
        };
        started.unwrap_or_else(|(site, pending)| stop(exec, site, pending))
    }
}

/// Runs a function that the module of `ctx` defines, with a frame at `sp` that returns to `return_to`.
unsafe fn run_function(ctx: *mut VmContext, function: u32, sp: *mut u64, return_to: *const u8) -> Started {
    // SAFETY: as for `invoke`.
    unsafe { Ok(run(enter_outermost(Machine::idle(ctx, sp), function, return_to)?)) }
}

/// Goes on where compiled code that the host has entered was left: what [`Status::Left`] asks for. Status and results are as for
/// [`invoke`].
///
/// # Safety
/// As for [`invoke`]; `vmctx` is the context with which the code was entered, and nothing has happened since it was left.
pub unsafe fn go_on_for_host(exec: *mut ExecContext, vmctx: *mut VmContext) -> Status {
    // SAFETY: the caller's promise. The segment is withdrawn before it goes out of scope.
    unsafe {
        let mut segment = Segment::interpreter(caller_in);
        let _entered = Entered::new(exec, &raw mut segment);
        run(go_on(exec, vmctx, (*exec).value_top, returns::exit()))
    }
}

/// Bytes of code that one backtrace translates again to find offsets. The largest function of CPython has a
/// twentieth of it; a hostile one can have more, and a backtrace is made after a deadline has passed.
const MAP_BUDGET: usize = 16 << 20;

/// Finds out what frames of tier 0 are executing, for one backtrace.
#[derive(Debug)]
pub struct Positions {
    /// The source maps of the functions so far.
    known: HashMap<*const Code, SourceMap>,
    /// Bytes of code that may still be translated.
    left: usize,
}

impl Default for Positions {
    fn default() -> Positions {
        Positions { known: HashMap::new(), left: MAP_BUDGET }
    }
}

impl Positions {
    /// What the frame at `site`, of tier 0, is executing.
    ///
    /// # Safety
    /// The instance of the frame is alive.
    pub unsafe fn position(&mut self, site: Site) -> Option<Position> {
        // SAFETY: the caller's promise.
        let module = unsafe { VmContext::module(site.vmctx) };
        let blob = module.blob_at(site.code as usize)?;
        let code = blob.as_any().downcast_ref::<Code>()?;
        let offset = self.offset(module, code, site.code);
        Some(Position { module: module.clone(), function: code.function(), offset })
    }

    /// The offset in the module of the instruction at `ip`.
    fn offset(&mut self, module: &Module, code: &Code, ip: *const u8) -> u32 {
        let function = code.function();
        let map = match self.known.entry(code) {
            Entry::Occupied(map) => map.into_mut(),
            Entry::Vacant(place) => match self.left.checked_sub(code.addresses().len()) {
                Some(left) => {
                    self.left = left;
                    place.insert(translate::source_map(module, function))
                }
                None => return module.body(function).map_or(0, |body| body.start),
            },
        };
        translate::wasm_offset(map, ip as usize - code.entry() as usize)
    }
}

/// The caller of a frame of a segment of tier 0.
unsafe fn caller_in(_: &Segment, site: Site) -> Option<Site> {
    // SAFETY: the caller's promise: the frame is on the value stack.
    unsafe {
        let blob = VmContext::module(site.vmctx).blob_at(site.code as usize)?;
        let code = blob.as_any().downcast_ref::<Code>()?;
        let address = *site.frame.add(code.header().link.into()) as *const u8;
        caller_of(address, site.frame, site.vmctx)
    }
}
