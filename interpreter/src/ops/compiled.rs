//! From tier 0 into compiled code.
//!
//! The bytecode of a function that has compiled code is one instruction: callers in tier 0 make a frame with the
//! arguments and jump to it as to any other function, and it lets the compiled code run in place of a body. So
//! tier-up is one store to the code cell, and no call asks which tier its callee is in.

use wasmrun_runtime::trap::Status;
use wasmrun_runtime::vm::{ExecContext, Resume, Site, VmContext};

use super::call::{distance, resume};
use crate::caller::caller_of;
use crate::field::Field;
use crate::machine::{At, Dispatch, Machine, Op};
use crate::returns;

/// Runs the compiled code of the function whose frame this is, and returns: its index in the module, link slot.
pub(crate) struct EnterCompiled;

impl Op for EnterCompiled {
    const NAME: &'static [&'static str] = &["enter_compiled"];
    const FIELDS: &'static [Field] = &[Field::Function, Field::Slot];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these operands, and its function compiled code.
        unsafe {
            let status = enter_compiled(m.ip, m.sp, m.ctx);
            resume::<D>(m, status)
        }
    }
}

/// Takes three words and not an `At`: that would be passed in memory, and a handler with something of its own on
/// the stack cannot end in a jump.
#[inline(never)]
unsafe fn enter_compiled(ip: *const u8, sp: *mut u64, ctx: *mut VmContext) -> Status {
    let at = At { ip, sp, ctx };
    // SAFETY: as for `EnterCompiled`.
    unsafe {
        let exec = VmContext::exec(at.ctx);
        let function = at.field::<EnterCompiled, u32, 0>();
        let address = *at.slot::<EnterCompiled, 1>() as *const u8;
        if address == returns::exit_to_compiled() {
            // Compiled code waits for the result of a function that ended in a tail call of this one. It makes
            // the call itself, so that tail calls between tiers do not pile up on the native stack.
            let target = &mut (*exec).native.tail_call;
            target.vmctx = at.ctx;
            target.callee_id = u64::from(function) << 1 | 1;
            target.slots = at.sp;
            return Status::TailCall;
        }
        // To a walk the compiled frame stands for this one.
        let site = caller_of(address, at.sp, at.ctx).unwrap_or(Site::NOWHERE);
        (*exec).set_exit(site);
        let status = call(exec, at, function);
        if status == Status::Ok {
            let sp = at.sp.sub(distance(address).into());
            (*exec).resume = Resume { ip: address, sp, vmctx: at.ctx, value: *at.sp };
        }
        status
    }
}

/// Calls the compiled code with everything above the frame's arguments free for it.
unsafe fn call(exec: *mut ExecContext, at: At, function: u32) -> Status {
    // SAFETY: as for `EnterCompiled`; the entry point does not unwind.
    unsafe {
        let (value_top, ref_top) = ((*exec).value_top, (*exec).ref_top);
        (*exec).value_top = at.sp;
        (*exec).ref_top = (*exec).ref_frame;
        let status = ((*exec).native.entries.call)(exec, at.ctx, function);
        (*exec).value_top = value_top;
        (*exec).ref_top = ref_top;
        status
    }
}
