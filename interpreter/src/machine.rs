//! The abstract machine of tier 0: its registers, how handlers read operands, and the two dispatchers.
//!
//! A handler's body is written once, as [`Op::exec`], in continuation-passing style: it ends by asking the
//! dispatcher `D` for the next instruction, for an exit, or for a cold continuation. [`Tail`] turns the
//! next instruction into a sibling call, so that all of [`Machine`] stays in registers; [`Loop`] hands the
//! state back to a loop.
//!
//! Bodies must be `#[inline(always)]`: one that is not gets the machine by pointer, and its sibling call
//! becomes a real one.
//!
//! An instruction is a `u16` opcode and its operands, packed without padding: slots are `u16`, immediates
//! `i32` (8 bytes for `f64`), branch displacements `i32` from the start of the instruction.

use wasmrun_runtime::trap::{Pending, Status, Trap};
use wasmrun_runtime::vm::{ExecContext, Site, VmContext};

use crate::frames::stop;
use crate::table;

/// Bytes of an opcode.
pub(crate) const HEAD: usize = 2;

/// The registers of the machine.
#[derive(Clone, Copy)]
pub(crate) struct Machine {
    /// The instruction.
    pub(crate) ip: *const u8,
    /// Slot 0 of the frame.
    pub(crate) sp: *mut u64,
    /// The context of the frame's instance.
    pub(crate) ctx: *mut VmContext,
    /// First byte of memory 0.
    pub(crate) mem: *mut u8,
    /// Bytes of memory 0.
    pub(crate) len: usize,
    /// Integer accumulator. An instruction that writes a slot leaves its result here as well.
    pub(crate) acc: u64,
    /// The same for `f32`.
    pub(crate) acc32: f32,
    /// The same for `f64`.
    pub(crate) acc64: f64,
}

/// A handler as the tail dispatcher calls it: the machine, one register each.
pub(crate) type Handler =
    unsafe extern "C" fn(*const u8, *mut u64, *mut VmContext, *mut u8, usize, u64, f32, f64) -> Status;

/// A handler as the loop calls it.
pub(crate) type Step = unsafe fn(&mut Machine) -> Result<(), Status>;

/// An instruction's semantics.
pub(crate) trait Op {
    /// Bytes of the whole instruction.
    const SIZE: usize;

    /// Executes the instruction at `m.ip`.
    ///
    /// # Safety
    /// `m` is a state that translated code can reach: `ip` at an instruction of this kind, `sp` at a frame
    /// of its function, `ctx` a context of its module.
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out;
}

/// How a body ends.
pub(crate) trait Dispatch {
    /// What the body returns.
    type Out;

    /// Continues with the instruction at `m.ip`.
    ///
    /// # Safety
    /// As for [`Op::exec`].
    unsafe fn go(m: Machine) -> Self::Out;

    /// Leaves the machine.
    fn exit(status: Status) -> Self::Out;

    /// Continues with the body of `O`, out of line. The instruction need not be an `O`.
    ///
    /// # Safety
    /// As for [`Op::exec`].
    unsafe fn cold<O: Op>(m: Machine) -> Self::Out;
}

/// Chains handlers by sibling calls.
pub(crate) struct Tail;

impl Dispatch for Tail {
    type Out = Status;

    #[inline(always)]
    unsafe fn go(m: Machine) -> Status {
        // SAFETY: `ip` points at an opcode, and every opcode has a handler.
        unsafe {
            let opcode = m.ip.cast::<u16>().read_unaligned();
            let handler = *handlers().add(opcode.into());
            handler(m.ip, m.sp, m.ctx, m.mem, m.len, m.acc, m.acc32, m.acc64)
        }
    }

    #[inline(always)]
    fn exit(status: Status) -> Status {
        status
    }

    #[inline(always)]
    unsafe fn cold<O: Op>(m: Machine) -> Status {
        // SAFETY: the caller's promise.
        unsafe { cold_tail::<O>(m.ip, m.sp, m.ctx, m.mem, m.len, m.acc, m.acc32, m.acc64) }
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
unsafe extern "C" fn cold_tail<O: Op>(
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
    unsafe { O::exec::<Tail>(Machine { ip, sp, ctx, mem, len, acc, acc32, acc64 }) }
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
    fn exit(status: Status) -> Result<Machine, Status> {
        Err(status)
    }

    #[inline(always)]
    unsafe fn cold<O: Op>(m: Machine) -> Result<Machine, Status> {
        // SAFETY: the caller's promise.
        unsafe { O::exec::<Loop>(m) }
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
            let opcode = m.ip.cast::<u16>().read_unaligned();
            let step = *table::STEPS.0.as_ptr().add(opcode.into());
            step(&mut m)
        };
        if let Err(status) = stepped {
            return status;
        }
    }
}

impl Machine {
    /// Reads an operand at a byte offset in the instruction.
    ///
    /// # Safety
    /// The instruction has a `T` there.
    #[inline(always)]
    pub(crate) unsafe fn operand<T: Copy>(&self, at: usize) -> T {
        // SAFETY: the caller's promise.
        unsafe { self.ip.add(at).cast::<T>().read_unaligned() }
    }

    /// The slot whose number is at a byte offset in the instruction.
    ///
    /// # Safety
    /// The instruction has a slot there.
    #[inline(always)]
    pub(crate) unsafe fn slot(&self, at: usize) -> *mut u64 {
        // SAFETY: slots of an instruction lie inside its frame.
        unsafe { self.sp.add(self.operand::<u16>(at).into()) }
    }

    /// The execution context.
    ///
    /// # Safety
    /// `ctx` is alive.
    #[inline(always)]
    pub(crate) unsafe fn exec(&self) -> *mut ExecContext {
        // SAFETY: the caller's promise.
        unsafe { VmContext::exec(self.ctx) }
    }

    /// Continues `size` bytes further.
    ///
    /// # Safety
    /// There is an instruction.
    #[inline(always)]
    pub(crate) unsafe fn next<D: Dispatch>(mut self, size: usize) -> D::Out {
        // SAFETY: the caller's promise.
        unsafe {
            self.ip = self.ip.add(size);
            D::go(self)
        }
    }

    /// Continues at the displacement that is at a byte offset in the instruction.
    ///
    /// # Safety
    /// The instruction has a displacement there.
    #[inline(always)]
    pub(crate) unsafe fn jump<D: Dispatch>(mut self, at: usize) -> D::Out {
        // SAFETY: displacements lead to instructions.
        unsafe {
            self.ip = self.ip.offset(self.operand::<i32>(at) as isize);
            D::go(self)
        }
    }

    /// The same for a jump backwards, which polls.
    ///
    /// # Safety
    /// As for [`Machine::jump`].
    #[inline(always)]
    pub(crate) unsafe fn jump_back<D: Dispatch>(mut self, at: usize) -> D::Out {
        // SAFETY: as for `jump`.
        unsafe {
            self.ip = self.ip.offset(self.operand::<i32>(at) as isize);
            if self.sp as usize > (*self.exec()).value_limit() {
                return D::cold::<PollSlow>(self);
            }
            D::go(self)
        }
    }

    /// Loads base and length of memory 0 anew: another instance's or the host's code has run.
    ///
    /// # Safety
    /// `ctx` is alive.
    #[inline(always)]
    pub(crate) unsafe fn reload_memory(&mut self) {
        // SAFETY: the caller's promise.
        (self.mem, self.len) = unsafe { VmContext::memory0(self.ctx) };
    }

    /// What a slow path has to know of the machine.
    pub(crate) fn at(&self) -> At {
        At { ip: self.ip, sp: self.sp, ctx: self.ctx }
    }
}

/// Where the machine is. Small enough to be passed in registers.
#[derive(Clone, Copy)]
pub(crate) struct At {
    pub(crate) ip: *const u8,
    pub(crate) sp: *mut u64,
    pub(crate) ctx: *mut VmContext,
}

impl At {
    /// The frame there.
    pub(crate) fn site(self) -> Site {
        Site { code: self.ip, frame: self.sp, vmctx: self.ctx }
    }

    /// Reads an operand at a byte offset in the instruction.
    ///
    /// # Safety
    /// The instruction has a `T` there.
    pub(crate) unsafe fn operand<T: Copy>(self, at: usize) -> T {
        // SAFETY: the caller's promise.
        unsafe { self.ip.add(at).cast::<T>().read_unaligned() }
    }

    /// The slot whose number is at a byte offset in the instruction.
    ///
    /// # Safety
    /// The instruction has a slot there.
    pub(crate) unsafe fn slot(self, at: usize) -> *mut u64 {
        // SAFETY: slots of an instruction lie inside its frame.
        unsafe { self.sp.add(self.operand::<u16>(at).into()) }
    }

    /// Ends a slow path: when it failed, code has stopped here.
    ///
    /// # Safety
    /// `ctx` is alive.
    pub(crate) unsafe fn finish(self, result: Result<(), Pending>) -> Status {
        match result {
            Ok(()) => Status::Ok,
            Err(pending) => {
                // SAFETY: the caller's promise.
                unsafe { stop(VmContext::exec(self.ctx), self.site(), pending) }
            }
        }
    }
}

/// The slow path of a poll; the running frame, or the one that is about to be made, ends at `frame_end`.
///
/// Slow paths are functions of their own that take and return words alone. A value of theirs that lived in
/// the handler's memory would keep the dispatch behind it from being a jump.
#[inline(never)]
pub(crate) unsafe fn poll(ip: *const u8, sp: *mut u64, ctx: *mut VmContext, frame_end: usize) -> Status {
    // SAFETY: called with a running machine's registers.
    unsafe { At { ip, sp, ctx }.finish(ExecContext::poll_slow(VmContext::exec(ctx), frame_end)) }
}

/// Continues after the slow path of a poll, unless that stops the guest.
pub(crate) struct PollSlow;

impl Op for PollSlow {
    const SIZE: usize = 0;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: `ctx` is alive.
        unsafe {
            match poll(m.ip, m.sp, m.ctx, 0) {
                Status::Ok => D::go(m),
                status => D::exit(status),
            }
        }
    }
}

/// Stops with a trap at this instruction; `CODE` is the trap's number.
pub(crate) struct Stop<const CODE: u8>;

impl<const CODE: u8> Op for Stop<CODE> {
    const SIZE: usize = HEAD;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        let trap = const { trap_of(CODE) };
        // SAFETY: `ctx` is alive.
        D::exit(unsafe { m.at().finish(Err(trap.into())) })
    }
}

const fn trap_of(code: u8) -> Trap {
    const TRAPS: [Trap; 7] = [
        Trap::UnreachableCodeReached,
        Trap::MemoryOutOfBounds,
        Trap::TableOutOfBounds,
        Trap::IntegerDivisionByZero,
        Trap::IntegerOverflow,
        Trap::BadConversionToInteger,
        Trap::OutOfFuel,
    ];
    let mut i = 0;
    while i < TRAPS.len() {
        if TRAPS[i] as u8 == code {
            return TRAPS[i];
        }
        i += 1;
    }
    panic!("not a trap of a single instruction")
}

/// The number of a trap, for [`Stop`].
pub(crate) const fn code(trap: Trap) -> u8 {
    trap as u8
}
