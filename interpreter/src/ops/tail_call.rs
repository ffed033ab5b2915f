//! Tail calls: a callee's frame takes the place of its caller's.
//!
//! Within an instance that is a move of the arguments and a jump. A callee of another instance runs under
//! another context, which whoever called the first frame of the chain knows nothing about: a *stand-in* frame
//! keeps the caller's context, once for any number of tail calls between instances.

use wasmrun_runtime::trap::{Pending, Status, Trap};
use wasmrun_runtime::vm::{FuncRef, HostFunc, Resume, Site, VmContext, builtins};

use super::call::{
    Bind, FrameSlow, NewFrame, call_host, distance, find_callee, own_entry, resume, return_to,
};
use super::exception::failed_below;
use crate::bind::resolve;
use crate::caller::caller_of;
use crate::field::Field;
use crate::machine::{At, Dispatch, Machine, Op, Stop, offset_in};
use crate::returns::{self, STAND_IN_SLOTS};

/// `return_call` of a function of the module itself: its number among the defined ones, first argument
/// slot, number of argument slots, link slot.
pub(crate) struct TailCall;

impl Op for TailCall {
    const NAME: &'static [&'static str] = &["return_call"];
    const FIELDS: &'static [Field] = &[Field::Defined, Field::Slot, Field::Count, Field::Slot];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let entry = own_entry(&m);
            if entry.is_null() {
                return D::cold::<Bind>(m);
            }
            let frame = NewFrame::new(entry, m.sp);
            if frame.is_slow(m.exec()) {
                frame.note(&mut m);
                return D::cold::<FrameSlow>(m);
            }
            let address = *m.slot::<Self, 3>() as *const u8;
            move_arguments(m.sp, m.slot::<Self, 1>(), m.field::<Self, u16, 2>());
            frame.fill(address);
            m.ip = entry;
            D::go(m)
        }
    }
}

/// Moves outgoing arguments down to the bottom of the frame.
#[inline(always)]
unsafe fn move_arguments(to: *mut u64, from: *const u64, count: u16) {
    for i in 0..count.into() {
        // Upwards is right for overlapping slots, as `to` is the lower. Volatile as in `NewFrame::fill`.
        // SAFETY: both ranges lie inside the frame.
        unsafe { to.add(i).write_volatile(*from.add(i)) };
    }
}

/// The fields that tail calls of functions of any kind end with: first argument slot, number of argument
/// slots, link slot, number of result slots.
const COMMON: [Field; 4] = [Field::Slot, Field::Count, Field::Slot, Field::Count];

/// `return_call` of an imported function: context offset of its reference, then [`COMMON`].
pub(crate) struct TailCallImport;

impl Op for TailCallImport {
    const NAME: &'static [&'static str] = &["return_call.import"];
    const FIELDS: &'static [Field] = &[Field::Context, COMMON[0], COMMON[1], COMMON[2], COMMON[3]];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let callee = VmContext::at::<FuncRef>(m.ctx, m.field::<Self, u32, 0>());
            let status = tail_call_any(m.ip, m.sp, m.ctx, callee, m.ip.add(offset_in::<Self, 1>()));
            resume::<D>(m, status)
        }
    }
}

/// `return_call_indirect`: index in a slot, context offset of the table, type, then [`COMMON`].
pub(crate) struct TailCallIndirect;

impl Op for TailCallIndirect {
    const NAME: &'static [&'static str] = &["return_call_indirect"];
    const FIELDS: &'static [Field] =
        &[Field::Slot, Field::Context, Field::Type, COMMON[0], COMMON[1], COMMON[2], COMMON[3]];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let status = tail_call_indirect(m.ip, m.sp, m.ctx);
            resume::<D>(m, status)
        }
    }
}

/// `return_call_ref`: reference in a slot, then [`COMMON`].
pub(crate) struct TailCallRef;

impl Op for TailCallRef {
    const NAME: &'static [&'static str] = &["return_call_ref"];
    const FIELDS: &'static [Field] = &[Field::Slot, COMMON[0], COMMON[1], COMMON[2], COMMON[3]];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let callee = *m.slot::<Self, 0>() as *const FuncRef;
            if callee.is_null() {
                return D::cold::<Stop<{ Trap::NullReference as u8 }>>(m);
            }
            let status = tail_call_any(m.ip, m.sp, m.ctx, callee, m.ip.add(offset_in::<Self, 1>()));
            resume::<D>(m, status)
        }
    }
}

#[inline(never)]
unsafe fn tail_call_indirect(ip: *const u8, sp: *mut u64, ctx: *mut VmContext) -> Status {
    // SAFETY: as for `TailCallIndirect`.
    unsafe {
        let m = At { ip, sp, ctx };
        let index = *m.slot::<TailCallIndirect, 0>();
        let table = m.field::<TailCallIndirect, u32, 1>();
        let ty = m.field::<TailCallIndirect, u32, 2>();
        match find_callee(ctx, table, ty, index) {
            Ok(callee) => tail_call_any(ip, sp, ctx, callee, ip.add(offset_in::<TailCallIndirect, 3>())),
            Err(trap) => m.finish(Err(trap.into())),
        }
    }
}

/// Calls a function of any kind in place of the running frame. `common` are the instruction's last
/// fields.
#[inline(never)]
unsafe fn tail_call_any(
    ip: *const u8,
    sp: *mut u64,
    ctx: *mut VmContext,
    callee: *const FuncRef,
    common: *const u8,
) -> Status {
    // SAFETY: `callee` is alive and of the type that the call expects; `common` points at [`COMMON`].
    unsafe {
        let [from, count, link, results] = common.cast::<[u16; COMMON.len()]>().read_unaligned();
        let address = *sp.add(link.into()) as *const u8;
        let arguments = sp.add(from.into());
        if !(*callee).host.is_null() {
            move_arguments(sp, arguments, count);
            return tail_call_host(sp, ctx, &*(*callee).host, address);
        }
        let at = At { ip, sp, ctx };
        at.finish(try_tail_call(at, callee, arguments, count, address, results))
    }
}

/// The frame at `sp` is gone, and its link slot may hold an argument: if the host fails, it fails in the
/// caller.
unsafe fn tail_call_host(sp: *mut u64, ctx: *mut VmContext, host: &HostFunc, address: *const u8) -> Status {
    // SAFETY: the arguments are at `sp`.
    unsafe {
        let exec = VmContext::exec(ctx);
        let caller = caller_of(address, sp, ctx);
        let site = caller.unwrap_or(Site::NOWHERE);
        match call_host(exec, site, ctx, host, sp).and_then(|()| builtins::poll(exec)) {
            Ok(()) => {
                let caller = sp.sub(distance(address).into());
                (*exec).resume = Resume { ip: address, sp: caller, vmctx: ctx, value: *sp };
                Status::Ok
            }
            Err(pending) => failed_below(exec, site, caller, pending),
        }
    }
}

unsafe fn try_tail_call(
    at: At,
    callee: *const FuncRef,
    arguments: *const u64,
    count: u16,
    address: *const u8,
    results: u16,
) -> Result<(), Pending> {
    // SAFETY: as for `tail_call_any`.
    unsafe {
        let exec = VmContext::exec(at.ctx);
        let other = (*callee).vmctx != at.ctx;
        // A frame that stands in for the caller keeps its context and return address: once for any number
        // of tail calls between instances. A caller outside of the segment has no use for it.
        let stand_in = other && address != returns::after_tail() && !returns::is_exit(address);
        let sp = if stand_in { at.sp.add(STAND_IN_SLOTS) } else { at.sp };
        let mut frame = NewFrame::new(resolve(callee)?, sp);
        if frame.is_slow(exec) {
            frame.slow((*callee).vmctx)?;
            frame = NewFrame::new(resolve(callee)?, sp);
        }
        std::ptr::copy(arguments, sp, count.into());
        if stand_in {
            *at.sp = address as u64;
            *at.sp.add(1) = at.ctx as u64;
            *at.sp.add(2) = results.into();
            frame.resume_in((*callee).vmctx, returns::after_tail());
        } else {
            frame.resume_in((*callee).vmctx, address);
        }
        Ok(())
    }
}

/// Returns from a stand-in frame to the caller that it stands for: what the last of a chain of tail calls
/// between instances returns to.
pub(crate) struct AfterTail;

impl Op for AfterTail {
    const NAME: &'static [&'static str] = &["after_tail"];
    const FIELDS: &'static [Field] = &[];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the frame at `sp` is a stand-in, with the results behind it.
        unsafe {
            let address = *m.sp as *const u8;
            m.ctx = *m.sp.add(1) as *mut VmContext;
            let count = *m.sp.add(2) as u16;
            move_arguments(m.sp, m.sp.add(STAND_IN_SLOTS), count);
            m.reload_memory();
            let value = *m.sp;
            m.acc = value;
            m.acc32 = f32::from_bits(value as u32);
            m.acc64 = f64::from_bits(value);
            return_to(&mut m, address);
            D::go(m)
        }
    }
}
