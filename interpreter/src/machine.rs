//! The abstract machine of tier 0: its registers, and how handlers read operands and end.
//!
//! A handler's body is written once, as [`Op::exec`], in continuation-passing style: it ends by asking the
//! dispatcher `D` for the next instruction, for an exit, or for a cold continuation. Which instructions there
//! are, and which dispatchers, is not known here.
//!
//! Bodies must be `#[inline(always)]`: one that is not gets the machine by pointer, and its sibling call
//! becomes a real one.
//!
//! An instruction is a `u16` opcode and its fields, packed without padding. It lists them once, in
//! [`Op::FIELDS`]; a handler names a field by its position, and reading one as what it is not does not compile.

use wasmrun_runtime::trap::{Pending, Status, Trap};
use wasmrun_runtime::vm::{ExecContext, Site, VmContext};

use crate::field::{Field, offset};
use crate::stop::stop;

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

/// An instruction's semantics.
pub(crate) trait Op {
    /// Its name, in parts.
    const NAME: &'static [&'static str];

    /// Its fields.
    const FIELDS: &'static [Field];

    /// Bytes of the whole instruction; of a `br_table`, without its displacements.
    const SIZE: usize = offset(Self::FIELDS, Self::FIELDS.len());

    /// Executes the instruction at `m.ip`.
    ///
    /// # Safety
    /// `m` is a state that translated code can reach: `ip` at an instruction of this kind, `sp` at a frame
    /// of its function, `ctx` a context of its module.
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out;
}

/// The rare end of handlers: what they continue with out of line, at the instruction that they execute.
pub(crate) trait Continuation {
    /// Goes on.
    ///
    /// # Safety
    /// As for [`Op::exec`], at an instruction that this continuation is made for.
    unsafe fn run<D: Dispatch>(m: Machine) -> D::Out;
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

    /// Continues with `C`, out of line.
    ///
    /// # Safety
    /// As for [`Continuation::run`].
    unsafe fn cold<C: Continuation>(m: Machine) -> Self::Out;
}

/// The byte offset of field `I` of an `O`.
#[inline(always)]
pub(crate) const fn offset_in<O: Op, const I: usize>() -> usize {
    const { offset(O::FIELDS, I) }
}

impl Machine {
    /// Reads field `I` of the instruction, an `O`.
    ///
    /// # Safety
    /// The instruction has the fields of an `O`.
    #[inline(always)]
    pub(crate) unsafe fn field<O: Op, T: Copy, const I: usize>(&self) -> T {
        // SAFETY: the caller's promise.
        unsafe { self.at().field::<O, T, I>() }
    }

    /// The slot that field `I` of the instruction, an `O`, names.
    ///
    /// # Safety
    /// The instruction has the fields of an `O`.
    #[inline(always)]
    pub(crate) unsafe fn slot<O: Op, const I: usize>(&self) -> *mut u64 {
        // SAFETY: the caller's promise.
        unsafe { self.at().slot::<O, I>() }
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

    /// Continues behind the instruction, an `O`.
    ///
    /// # Safety
    /// There is an instruction.
    #[inline(always)]
    pub(crate) unsafe fn next<D: Dispatch, O: Op>(mut self) -> D::Out {
        // SAFETY: the caller's promise.
        unsafe {
            self.ip = self.ip.add(O::SIZE);
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
            self.ip = self.ip.offset(self.ip.add(at).cast::<i32>().read_unaligned() as isize);
            D::go(self)
        }
    }

    /// Takes the branch whose displacement is field `I` of the instruction, an `O`; backwards it polls.
    ///
    /// # Safety
    /// The instruction has the fields of an `O`.
    #[inline(always)]
    pub(crate) unsafe fn branch<D: Dispatch, O: Op, const I: usize, const BACK: bool>(mut self) -> D::Out {
        const { assert!(matches!(O::FIELDS[I], Field::Displacement)) }
        // SAFETY: displacements lead to instructions.
        unsafe {
            if BACK {
                self.ip = self.ip.offset(self.field::<O, i32, I>() as isize);
                if self.sp as usize > (*self.exec()).value_limit() {
                    return D::cold::<PollSlow>(self);
                }
                return D::go(self);
            }
            self.jump::<D>(offset_in::<O, I>())
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

    /// Reads field `I` of the instruction, an `O`.
    ///
    /// # Safety
    /// The instruction has the fields of an `O`.
    #[inline(always)]
    pub(crate) unsafe fn field<O: Op, T: Copy, const I: usize>(self) -> T {
        const { assert!(O::FIELDS[I].width() == size_of::<T>()) }
        // SAFETY: the caller's promise.
        unsafe { self.ip.add(offset_in::<O, I>()).cast::<T>().read_unaligned() }
    }

    /// The slot that field `I` of the instruction, an `O`, names.
    ///
    /// # Safety
    /// The instruction has the fields of an `O`.
    #[inline(always)]
    pub(crate) unsafe fn slot<O: Op, const I: usize>(self) -> *mut u64 {
        const { assert!(O::FIELDS[I].is_slot()) }
        // SAFETY: slots of an instruction lie inside its frame.
        unsafe { self.sp.add(self.field::<O, u16, I>().into()) }
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

impl Continuation for PollSlow {
    #[inline(always)]
    unsafe fn run<D: Dispatch>(m: Machine) -> D::Out {
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

impl<const CODE: u8> Continuation for Stop<CODE> {
    #[inline(always)]
    unsafe fn run<D: Dispatch>(m: Machine) -> D::Out {
        let trap = const { trap_of(CODE) };
        // SAFETY: `ctx` is alive.
        D::exit(unsafe { m.at().finish(Err(trap.into())) })
    }
}

impl<const CODE: u8> Op for Stop<CODE> {
    const NAME: &'static [&'static str] = &[trap_name(CODE)];
    const FIELDS: &'static [Field] = &[];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the caller's promise.
        unsafe { <Self as Continuation>::run::<D>(m) }
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

/// The name of the instruction that is nothing but a trap.
const fn trap_name(code: u8) -> &'static str {
    match trap_of(code) {
        Trap::UnreachableCodeReached => "unreachable",
        Trap::MemoryOutOfBounds => "out_of_bounds",
        _ => panic!("only part of other instructions"),
    }
}

/// The number of a trap, for [`Stop`].
pub(crate) const fn code(trap: Trap) -> u8 {
    trap as u8
}
