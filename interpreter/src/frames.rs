//! Entering guest code from the host, and walking its frames.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use wasmrun_runtime::module::{CodeBlob, Module};
use wasmrun_runtime::trap::{Pending, Status, Trap};
use wasmrun_runtime::vm::{Activation, ExecContext, FuncRef, StopSite, VmContext};

use crate::code::Code;
use crate::dispatch::run;
use crate::field::HEAD;
use crate::machine::Machine;
use crate::ops::call::{call_host, enter_from_host};
use crate::table;
use crate::translate::{self, SourceMap};

const NOWHERE: StopSite = StopSite { ip: ptr::null(), sp: ptr::null_mut(), vmctx: ptr::null_mut() };

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
    // SAFETY: the caller's promise. The activation is withdrawn before it goes out of scope.
    unsafe {
        let callee = func.as_ptr().cast_const();
        let sp = (*exec).value_top;
        let mut activation = Activation { previous: (*exec).activation, exit: NOWHERE };
        let _leave = Leave { exec, activation: (*exec).activation, ref_frame: (*exec).ref_frame };
        (*exec).stop = NOWHERE;
        (*exec).activation = &raw mut activation;
        (*exec).ref_frame = (*exec).ref_top;
        if activation.previous.is_null() {
            (*exec).entered();
        }
        if !(*exec).native_stack_left(&raw const activation) {
            (*exec).set_pending(Trap::StackOverflow.into());
            Status::Trap
        } else {
            start(exec, callee, sp).unwrap_or_else(|pending| {
                (*exec).set_pending(pending);
                Status::Trap
            })
        }
    }
}

/// Ends an entry from the host, also when something unwinds out of it.
struct Leave {
    exec: *mut ExecContext,
    activation: *mut Activation,
    ref_frame: *mut u32,
}

impl Drop for Leave {
    fn drop(&mut self) {
        // SAFETY: the context outlives the entry.
        unsafe {
            (*self.exec).ref_frame = self.ref_frame;
            (*self.exec).activation = self.activation;
        }
    }
}

unsafe fn start(exec: *mut ExecContext, callee: *const FuncRef, sp: *mut u64) -> Result<Status, Pending> {
    // SAFETY: as for `invoke`.
    unsafe {
        if !(*callee).host.is_null() {
            call_host(exec, NOWHERE, ptr::null_mut(), &*(*callee).host, sp)?;
            return Ok(Status::Ok);
        }
        let ctx = (*callee).vmctx;
        let idle = Machine {
            ip: table::exit(),
            sp,
            ctx,
            mem: ptr::null_mut(),
            len: 0,
            acc: 0,
            acc32: 0.0,
            acc64: 0.0,
        };
        Ok(run(enter_from_host(idle, callee, sp)?))
    }
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
    /// Offset of the instruction in the module's bytes; of the function's body where finding it out would take
    /// too long.
    pub offset: u32,
}

/// Which frames a backtrace starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Those of the code that just stopped with a status other than [`Status::Ok`].
    Stop,
    /// Those that called the host function which is running.
    HostCall,
}

/// Bytes of code that one backtrace translates again to find offsets. The largest function of CPython has a
/// twentieth of it; a hostile one can have more, and a backtrace is made after a deadline has passed.
const MAP_BUDGET: usize = 16 << 20;

/// The source maps of the functions of one backtrace.
struct Maps {
    known: HashMap<*const Code, SourceMap>,
    left: usize,
}

impl Maps {
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

/// The frames of guest code, innermost first, at most `limit`.
///
/// # Safety
/// As for [`invoke`]; with [`Since::Stop`], nothing has run on `exec` since `invoke` returned.
pub unsafe fn backtrace(exec: *mut ExecContext, since: Since, limit: usize) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut maps = Maps { known: HashMap::new(), left: MAP_BUDGET };
    // SAFETY: the caller's promise: the frames are still on the stacks.
    unsafe {
        let mut activation = (*exec).activation.cast_const();
        let mut site = match since {
            Since::Stop => (*exec).stop,
            Since::HostCall => NOWHERE,
        };
        while frames.len() < limit {
            if site.ip.is_null() {
                if activation.is_null() {
                    break;
                }
                site = (*activation).exit;
                activation = (*activation).previous;
                continue;
            }
            let module = VmContext::module(site.vmctx);
            let Some(blob) = module.blob_at(site.ip as usize) else { break };
            let Some(code) = blob.as_any().downcast_ref::<Code>() else { break };
            let function = code.function();
            let offset = maps.offset(module, code, site.ip);
            frames.push(Frame { module: module.clone(), vmctx: site.vmctx, function, offset });
            let address = *site.sp.add(code.header().link.into()) as *const u8;
            site = caller_of(address, site.sp, site.vmctx);
        }
    }
    frames
}

/// The frame that the frame at `sp`, of context `ctx`, returns to by `address`. Its `ip` lies inside the
/// call; it is null when the host called.
///
/// # Safety
/// `address` is the return address of the frame at `sp`.
pub(crate) unsafe fn caller_of(address: *const u8, sp: *mut u64, ctx: *mut VmContext) -> StopSite {
    // SAFETY: the caller's promise; two bytes before a return address is the distance between the frames.
    unsafe {
        if address == table::exit() {
            return NOWHERE;
        }
        let distance = address.sub(2).cast::<u16>().read_unaligned();
        let sp = sp.sub(distance.into());
        if address == table::after_tail() {
            return caller_of(*sp as *const u8, sp, *sp.add(1) as *mut VmContext);
        }
        let opcode = address.cast::<u16>().read_unaligned();
        let vmctx = if opcode == table::RESTORE {
            *sp.add(address.add(HEAD).cast::<u16>().read_unaligned().into()) as *mut VmContext
        } else {
            ctx
        };
        StopSite { ip: address.sub(1), sp, vmctx }
    }
}
