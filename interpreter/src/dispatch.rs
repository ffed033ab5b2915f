//! The two dispatchers, which drive the same bodies.
//!
//! [`Tail`] turns the next instruction into a sibling call, so that all of [`Machine`] stays in registers;
//! [`Loop`] hands the state back to a loop. Both find the next handler by its opcode in a static of the table.

use wasmrun_runtime::trap::Status;
use wasmrun_runtime::vm::VmContext;

use crate::code::opcode_at;
use crate::machine::{Continuation, Dispatch, Machine, Op};
use crate::table;

/// A handler as the tail dispatcher calls it: the machine, one register each.
pub(crate) type Handler =
    unsafe extern "C" fn(*const u8, *mut u64, *mut VmContext, *mut u8, usize, u64, f32, f64) -> Status;

/// A handler as the loop calls it.
pub(crate) type Step = unsafe fn(&mut Machine) -> Result<(), Status>;

/// Chains handlers by sibling calls.
pub(crate) struct Tail;

impl Dispatch for Tail {
    type Out = Status;

    #[inline(always)]
    unsafe fn go(m: Machine) -> Status {
        // SAFETY: `ip` points at an opcode.
        unsafe { Self::go_as(m, opcode_at(m.ip)) }
    }

    #[inline(always)]
    unsafe fn go_as(m: Machine, opcode: u16) -> Status {
        // SAFETY: the caller's promise; every opcode has a handler.
        unsafe {
            let handler = *handlers().add(opcode.into());
            handler(m.ip, m.sp, m.ctx, m.mem, m.len, m.acc, m.acc32, m.acc64)
        }
    }

    #[inline(always)]
    fn exit(status: Status) -> Status {
        status
    }

    #[inline(always)]
    unsafe fn cold<C: Continuation>(m: Machine) -> Status {
        // SAFETY: the caller's promise.
        unsafe { cold_tail::<C>(m.ip, m.sp, m.ctx, m.mem, m.len, m.acc, m.acc32, m.acc64) }
    }
}

/// The first handler of the tail dispatcher.
#[inline(always)]
fn handlers() -> *const Handler {
    #[cfg(target_arch = "x86_64")]
    {
        let first: *const Handler;
        // The compiler takes the address from the global offset table, a load in every dispatch.
        // SAFETY: computes the address of a static that is part of this crate.
        unsafe {
            std::arch::asm!(
                "lea {first}, [rip + {handlers}]",
                first = out(reg) first,
                handlers = sym table::HANDLERS,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        first
    }
    #[cfg(not(target_arch = "x86_64"))]
    table::HANDLERS.0.as_ptr()
}

/// The handler of `O` for the tail dispatcher.
#[allow(clippy::too_many_arguments)]
pub(crate) unsafe extern "C" fn tail<O: Op>(
    ip: *const u8,
    sp: *mut u64,
    ctx: *mut VmContext,
    mem: *mut u8,
    len: usize,
    acc: u64,
    acc32: f32,
    acc64: f64,
) -> Status {
    // SAFETY: called by the dispatcher with a state for `O`.
    unsafe { O::exec::<Tail>(Machine { ip, sp, ctx, mem, len, acc, acc32, acc64 }) }
}

#[allow(clippy::too_many_arguments)]
#[cold]
#[inline(never)]
unsafe extern "C" fn cold_tail<C: Continuation>(
    ip: *const u8,
    sp: *mut u64,
    ctx: *mut VmContext,
    mem: *mut u8,
    len: usize,
    acc: u64,
    acc32: f32,
    acc64: f64,
) -> Status {
    // SAFETY: as for `tail`.
    unsafe { C::run::<Tail>(Machine { ip, sp, ctx, mem, len, acc, acc32, acc64 }) }
}

/// Hands the state back to a loop after each instruction.
pub(crate) struct Loop;

impl Dispatch for Loop {
    type Out = Result<Machine, Status>;

    #[inline(always)]
    unsafe fn go(m: Machine) -> Result<Machine, Status> {
        Ok(m)
    }

    #[inline(always)]
    unsafe fn go_as(mut m: Machine, opcode: u16) -> Result<Machine, Status> {
        // SAFETY: the caller's promise; every opcode has a step.
        unsafe { (*table::STEPS.0.as_ptr().add(opcode.into()))(&mut m)? };
        Ok(m)
    }

    #[inline(always)]
    fn exit(status: Status) -> Result<Machine, Status> {
        Err(status)
    }

    #[inline(always)]
    unsafe fn cold<C: Continuation>(m: Machine) -> Result<Machine, Status> {
        // SAFETY: the caller's promise.
        unsafe { C::run::<Loop>(m) }
    }
}

/// The handler of `O` for the loop.
pub(crate) unsafe fn step<O: Op>(m: &mut Machine) -> Result<(), Status> {
    // SAFETY: called by the loop with a state for `O`.
    *m = unsafe { O::exec::<Loop>(*m) }?;
    Ok(())
}

/// Runs from `m` until something leaves the machine.
///
/// # Safety
/// As for [`Op::exec`].
pub(crate) unsafe fn run(m: Machine) -> Status {
    #[cfg(all(wasmrun_tail_dispatch, not(debug_assertions)))]
    // SAFETY: the caller's promise.
    return unsafe { Tail::go(m) };
    #[cfg(not(all(wasmrun_tail_dispatch, not(debug_assertions))))]
    // SAFETY: the caller's promise.
    return unsafe { run_loop(m) };
}

/// The portable dispatcher.
///
/// # Safety
/// As for [`Op::exec`].
#[cfg_attr(
    all(wasmrun_tail_dispatch, not(debug_assertions)),
    expect(dead_code, reason = "sibling calls drive this build")
)]
pub(crate) unsafe fn run_loop(mut m: Machine) -> Status {
    loop {
        // SAFETY: `ip` points at an opcode, and every opcode has a step.
        let stepped = unsafe {
            let step = *table::STEPS.0.as_ptr().add(opcode_at(m.ip).into());
            step(&mut m)
        };
        if let Err(status) = stepped {
            return status;
        }
    }
}
