//! From tier 0 into compiled code.
//!
//! The bytecode of a function that has compiled code is one instruction: callers in tier 0 make a frame with the
//! arguments and jump to it as to any other function, and it lets the compiled code run in place of a body. So
//! tier-up is one store to the code cell, and no call asks which tier its callee is in.
//!
//! A loop that runs while its code is compiled is left in the same way: the opcode at its header is exchanged for one
//! that looks whether there is code to go on in. Loops without any pay nothing.

use wasmrun_runtime::trap::Status;
use wasmrun_runtime::vm::{ExecContext, Resume, Site, VmContext, direct_callee_id};

use super::call::{distance, go_on, resume};
use super::exception::stopped_below;
use crate::caller::caller_of;
use crate::code::{Code, Sign};
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
            target.callee_id = direct_callee_id(function);
            target.slots = at.sp;
            return Status::TailCall;
        }
        in_place_of(exec, at, address, |exec| ((*exec).native.entries.call)(exec, at.ctx, function))
    }
}

/// Lets compiled code run to the end of the function whose frame this is, and returns to `address`. The code has
/// everything above the frame's start for itself, where it finds its values and leaves the results.
unsafe fn in_place_of(
    exec: *mut ExecContext,
    at: At,
    address: *const u8,
    run: impl FnOnce(*mut ExecContext) -> Status,
) -> Status {
    // SAFETY: the frame returns to `address`; entries of compiled code do not unwind.
    unsafe {
        // To a walk the compiled frame stands for this one.
        let caller = || caller_of(address, at.sp, at.ctx);
        (*exec).set_exit(caller().unwrap_or(Site::NOWHERE));
        let (value_top, ref_top) = ((*exec).value_top, (*exec).ref_top);
        (*exec).value_top = at.sp;
        (*exec).ref_top = (*exec).ref_frame;
        let status = run(exec);
        (*exec).value_top = value_top;
        (*exec).ref_top = ref_top;
        match status {
            Status::Ok => {
                let sp = at.sp.sub(distance(address).into());
                (*exec).resume = Resume { ip: address, sp, vmctx: at.ctx, value: *at.sp };
                Status::Ok
            }
            // The compiled frame has come to an end here, and not its function.
            Status::Left => {
                let m = go_on(exec, at.ctx, at.sp, address);
                (*exec).resume = Resume { ip: m.ip, sp: m.sp, vmctx: m.ctx, value: 0 };
                Status::Ok
            }
            Status::Trap => stopped_below(exec, caller()),
            status => status,
        }
    }
}

/// What stands at the header of a loop in place of its own instruction, for as long as somebody wants to know whether
/// the header is come to, or the loop has compiled code.
pub(crate) struct Look;

impl Op for Look {
    const NAME: &'static [&'static str] = &["look"];
    const FIELDS: &'static [Field] = &[];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: as for any instruction.
        unsafe {
            let found = look(m.ip, m.sp, m.ctx);
            match Found::of(found) {
                Found::Done(status) => resume::<D>(m, status),
                Found::Opcode(opcode) => D::go_as(m, opcode),
            }
        }
    }
}

/// What comes of a [`Look`]: as one word, since a handler must have nothing in memory.
enum Found {
    /// Compiled code has run, with this status.
    Done(Status),
    /// The loop goes on here, with the instruction's own opcode.
    Opcode(u16),
}

impl Found {
    const OPCODE: u32 = 1 << 16;

    fn word(self) -> u32 {
        match self {
            Found::Done(status) => status as u32,
            Found::Opcode(opcode) => Found::OPCODE | u32::from(opcode),
        }
    }

    #[inline(always)]
    fn of(word: u32) -> Found {
        match Status::from_word(word) {
            Some(status) => Found::Done(status),
            None => Found::Opcode(word as u16),
        }
    }
}

#[inline(never)]
unsafe fn look(ip: *const u8, sp: *mut u64, ctx: *mut VmContext) -> u32 {
    let at = At { ip, sp, ctx };
    // SAFETY: the instruction belongs to the context's module.
    unsafe { look_at(at) }.word()
}

unsafe fn look_at(at: At) -> Found {
    // SAFETY: as for `look`.
    unsafe {
        let blob = VmContext::module(at.ctx).blob_at(at.ip as usize).expect("running code is kept");
        let code = blob.as_any().downcast_ref::<Code>().expect("code of this tier");
        let offset = (at.ip as usize - code.entry() as usize) as u32;
        match code.look(offset, at.sp) {
            Some((Sign::Compiled(compiled), original)) => {
                enter_loop(at, code, compiled).map_or(Found::Opcode(original), Found::Done)
            }
            Some((_, original)) => Found::Opcode(original),
            // It has just been taken away by another thread.
            None => Found::Opcode(crate::code::opcode_at(at.ip)),
        }
    }
}

/// Goes on in the compiled code of a loop, if there is room for that on the native stack, and for the results on that of values.
unsafe fn enter_loop(at: At, code: &Code, compiled: *const ()) -> Option<Status> {
    // SAFETY: as for `look`; the compiled code is that of the loop.
    unsafe {
        let exec = VmContext::exec(at.ctx);
        let results = code.entered_slots(VmContext::module(at.ctx)) * size_of::<u64>();
        if !(*exec).native_stack_left() || at.sp as usize + results > (*exec).stack().values_end() {
            return None;
        }
        let address = *at.sp.add(code.header().link.into()) as *const u8;
        let run = |exec: *mut ExecContext| ((*exec).native.entries.enter_loop)(exec, at.ctx, compiled, at.sp);
        Some(in_place_of(exec, at, address, run))
    }
}
