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

use std::ptr;

use wasmrun_runtime::module::CodeBlob;
use wasmrun_runtime::trap::{Pending, Status, Trap};
use wasmrun_runtime::vm::{ExecContext, Place, Site, VmContext};

use crate::code::{Code, Header, LoopHeader};
use crate::field::{Field, offset};
use crate::returns;
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
    /// Bytes of memory 0. If threads share it there may be more meanwhile.
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

    /// Continues with the instruction at `m.ip`, whose own opcode is `opcode`.
    ///
    /// # Safety
    /// As for [`Op::exec`].
    unsafe fn go_as(m: Machine, opcode: u16) -> Self::Out;

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
    /// A machine in this context and frame that does nothing yet.
    pub(crate) fn idle(ctx: *mut VmContext, sp: *mut u64) -> Machine {
        let ip = returns::exit();
        Machine { ip, sp, ctx, mem: ptr::null_mut(), len: 0, acc: 0, acc32: 0.0, acc64: 0.0 }
    }

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

    /// Takes the branch whose displacement is field `I` of the instruction, an `O`; backwards it is counted, which
    /// stands for a poll.
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
                if (*self.exec()).count() {
                    return D::cold::<BackEdge>(self);
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

/// The end of a back edge that it was time for: at the header of the loop.
pub(crate) struct BackEdge;

impl Continuation for BackEdge {
    #[inline(always)]
    unsafe fn run<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: `ctx` is alive.
        unsafe {
            match back_edge(m.ip, m.sp, m.ctx) {
                Status::Ok => D::go(m),
                status => D::exit(status),
            }
        }
    }
}

/// Answers requests, and tells of the loop.
///
/// Slow paths are functions of their own that take and return words alone. A value of theirs that lived in
/// the handler's memory would keep the dispatch behind it from being a jump.
#[inline(never)]
unsafe fn back_edge(ip: *const u8, sp: *mut u64, ctx: *mut VmContext) -> Status {
    let at = At { ip, sp, ctx };
    // SAFETY: called with a running machine's registers.
    unsafe {
        let exec = VmContext::exec(ctx);
        let polled = ExecContext::poll_slow(exec, 0);
        if polled.is_ok()
            && let Some(counted) = (*exec).native.entries.counted
            && let Some((function, header)) = loop_at(at)
        {
            counted(exec, ctx, &Place { function, at: header.wasm, frame: sp });
        }
        at.finish(polled)
    }
}

/// The loop whose header the instruction is, and its function.
unsafe fn loop_at(at: At) -> Option<(u32, LoopHeader)> {
    // SAFETY: the context is alive.
    let blob = unsafe { VmContext::module(at.ctx) }.blob_at(at.ip as usize)?;
    let code = blob.as_any().downcast_ref::<Code>()?;
    Some((code.function(), code.loop_at_address(at.ip)?))
}

/// The slow path of the entry of a function: answers requests, checks that its frame, which ends at `frame_end`, fits
/// on the stack, and tells of the entry. `entry` is the function's code and `ctx` its context.
///
/// # Safety
/// `ctx` is alive.
pub(crate) unsafe fn entry_slow(
    ctx: *mut VmContext,
    entry: *const u8,
    frame_end: usize,
) -> Result<(), Pending> {
    // SAFETY: the caller's promise; `entry` is from a code cell.
    unsafe {
        let exec = VmContext::exec(ctx);
        ExecContext::poll_slow(exec, frame_end)?;
        if let Some(counted) = (*exec).native.entries.counted {
            let function = Header::of(entry).function;
            counted(exec, ctx, &Place { function, at: 0, frame: ptr::null_mut() });
        }
        Ok(())
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
    const TRAPS: [Trap; 11] = [
        Trap::UnreachableCodeReached,
        Trap::MemoryOutOfBounds,
        Trap::TableOutOfBounds,
        Trap::IntegerDivisionByZero,
        Trap::IntegerOverflow,
        Trap::BadConversionToInteger,
        Trap::OutOfFuel,
        Trap::NullReference,
        Trap::CastFailure,
        Trap::ArrayOutOfBounds,
        Trap::UnalignedAtomic,
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
