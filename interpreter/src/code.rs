//! Bytecode of one function, as it is kept and as callers see it.
//!
//! A code cell points at the first instruction; what a caller must know to make the frame stands right
//! before it.

use std::any::Any;
use std::ops::Range;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wasmrun_runtime::module::{Bytecode, CodeBlob, Module};

use crate::handlers::Handlers;
use crate::returns;

/// What stands before a function's first instruction.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Header {
    /// The function's index in its module.
    pub(crate) function: u32,
    /// Bytes of the frame.
    pub(crate) frame_bytes: u32,
    /// The slot of the return address: behind those that parameters and results share. The slot behind it
    /// holds the context of the frame's instance while another instance's code runs above it.
    pub(crate) link: u16,
    /// Number of slots behind the two link slots that start as zero: the locals.
    pub(crate) zeroes: u16,
}

impl Header {
    /// Bytes of a header.
    pub(crate) const SIZE: usize = size_of::<Header>();

    /// The header of the code that starts at `entry`.
    ///
    /// # Safety
    /// `entry` is the first instruction of a function.
    #[inline(always)]
    pub(crate) unsafe fn of(entry: *const u8) -> Header {
        // SAFETY: the caller's promise.
        unsafe { entry.sub(Header::SIZE).cast::<Header>().read_unaligned() }
    }
}

/// The opcode at `ip`. Those of loop headers change while other threads run the code: see [`Code::watch`].
///
/// # Safety
/// There is an instruction.
#[inline(always)]
pub(crate) unsafe fn opcode_at(ip: *const u8) -> u16 {
    // SAFETY: the caller's promise; instructions are at even addresses.
    unsafe { (*ip.cast::<AtomicU16>()).load(Ordering::Relaxed) }
}

/// A loop, by its header: where it is in the module and in the code.
///
/// There every local and every operand of the frame is in the slot that
/// [`FrameLayout`](wasmrun_runtime::frame::FrameLayout) gives it, and no accumulator holds anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LoopHeader {
    /// Offset in the module of the `loop` operator.
    pub(crate) wasm: u32,
    /// Offset in the module of its `end`.
    pub(crate) end: u32,
    /// Offset from the entry of the instruction that branches to the loop lead to.
    pub(crate) code: u32,
}

/// A `call_indirect`: where it is in the module, and where its instruction notes whom it calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallSite {
    /// Offset in the module of the operator.
    pub(crate) wasm: u32,
    /// Offset from the entry of its field [`Field::Callee`](crate::field::Field), which `Changes` follows.
    pub(crate) code: u32,
}

/// Whom a call has called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The lower half of the index of the last function.
    pub(crate) callee: u16,
    /// How many times it was another one than before; the first is one.
    pub(crate) changes: u16,
}

/// Notes whom the call calls whose fields are at `seen`.
///
/// # Safety
/// They are, and belong to a [`Code`].
#[inline(always)]
pub(crate) unsafe fn note_callee(seen: *const u8, callee: u32) {
    // SAFETY: the caller's promise; fields are at even addresses. Threads may lose each other's notes.
    unsafe {
        let (last, changes) = (&*seen.cast::<AtomicU16>(), &*seen.add(2).cast::<AtomicU16>());
        if last.load(Ordering::Relaxed) != callee as u16 {
            last.store(callee as u16, Ordering::Relaxed);
            changes.store(changes.load(Ordering::Relaxed).saturating_add(1), Ordering::Relaxed);
        }
    }
}

/// The bytecode of one function.
#[derive(Debug)]
pub(crate) struct Code {
    /// In units of opcodes, so that these are at even addresses and can be changed under running code.
    units: Box<[AtomicU16]>,
    function: u32,
    /// One for each loop that can be reached, in the order of the module.
    loops: Box<[LoopHeader]>,
    /// Its indirect calls, in the order of the module.
    calls: Box<[CallSite]>,
    /// Where it catches exceptions, if it does.
    handlers: Option<Box<Handlers>>,
    marks: Mutex<Vec<Mark>>,
}

/// A loop header where the code has been told to look before it goes on.
#[derive(Debug)]
struct Mark {
    /// Offset of the instruction from the entry.
    code: u32,
    /// Its opcode.
    original: u16,
    sign: Sign,
}

/// How many times frames come to a watched header that are not the one that it is watched for, before it is watched no more.
const OTHERS: u8 = 100;

/// What code finds at a loop header that it has been told to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// Somebody wants to know whether the frame at this address comes to the header. Others may come so many times more.
    Watched { frame: usize, others: u8 },
    /// It has.
    Seen,
    /// The loop has compiled code: what the compiling tier needs to run it.
    Compiled(*const ()),
}

// SAFETY: the pointers in marks are only handed on.
unsafe impl Send for Code {}
// SAFETY: as above; opcodes are changed by atomic stores.
unsafe impl Sync for Code {}

impl Code {
    /// Wraps a header followed by instructions, with the loops and indirect calls in them, and the handlers that cover them.
    pub(crate) fn new(
        bytes: &[u8],
        function: u32,
        loops: Vec<LoopHeader>,
        calls: Vec<CallSite>,
        handlers: Handlers,
    ) -> Code {
        debug_assert!(bytes.len() > Header::SIZE && bytes.len().is_multiple_of(2));
        debug_assert!(calls.is_sorted_by_key(|call| call.wasm));
        debug_assert!(loops.is_sorted_by(|a, b| a.wasm < b.wasm && a.code <= b.code));
        let unit = |pair: &[u8]| AtomicU16::new(u16::from_ne_bytes([pair[0], pair[1]]));
        let units = bytes.chunks_exact(2).map(unit).collect();
        let (loops, calls, handlers) = (loops.into(), calls.into(), handlers.finish());
        Code { units, function, loops, calls, handlers, marks: Mutex::default() }
    }

    /// Slots from the start of its frame on that are written where compiled code takes that over: the results, if nothing else.
    pub(crate) fn entered_slots(&self, module: &Module) -> usize {
        module.function_type(self.function).slots().joined() as usize
    }

    /// The headers of its loops, in order.
    pub(crate) fn loops(&self) -> &[LoopHeader] {
        &self.loops
    }

    /// Its handlers of exceptions.
    pub(crate) fn handlers(&self) -> Option<&Handlers> {
        self.handlers.as_deref()
    }

    /// Bytes of the header and the instructions.
    pub(crate) fn size(&self) -> usize {
        size_of_val(&*self.units)
    }

    /// The instructions.
    pub(crate) fn instructions(&self) -> Vec<u8> {
        let units = self.units[Header::SIZE / 2..].iter();
        units.flat_map(|unit| unit.load(Ordering::Relaxed).to_ne_bytes()).collect()
    }

    /// The first instruction.
    pub(crate) fn entry(&self) -> *const u8 {
        // A pointer into all of the code: the header is read through it.
        self.units.as_ptr().cast::<u8>().wrapping_add(Header::SIZE)
    }

    /// The code as it is published.
    pub(crate) fn into_bytecode(self) -> Bytecode {
        let entry = self.entry();
        Bytecode { blob: Arc::new(self), entry }
    }

    /// The header of the loop whose operator is at this offset in the module.
    pub(crate) fn loop_of(&self, wasm: u32) -> Option<LoopHeader> {
        let index = self.loops.binary_search_by_key(&wasm, |header| header.wasm).ok()?;
        Some(self.loops[index])
    }

    /// The loop whose header is at this offset from the entry. Of loops with nothing between their headers,
    /// which have one state as well, it is the innermost.
    pub(crate) fn loop_at(&self, code: u32) -> Option<LoopHeader> {
        let behind = self.loops.partition_point(|header| header.code <= code);
        self.loops[..behind].last().copied().filter(|header| header.code == code)
    }

    /// The loop whose header the instruction at `ip` is.
    pub(crate) fn loop_at_address(&self, ip: *const u8) -> Option<LoopHeader> {
        self.loop_at((ip as usize - self.entry() as usize) as u32)
    }

    /// Whom the `call_indirect` at this offset in the module has called.
    pub(crate) fn seen_at(&self, wasm: u32) -> Option<Seen> {
        let index = self.calls.binary_search_by_key(&wasm, |call| call.wasm).ok()?;
        let field = |at| self.unit(self.calls[index].code + at).load(Ordering::Relaxed);
        Some(Seen { callee: field(0), changes: field(2) })
    }

    /// The loops that the operator at this offset in the module is in, the outermost first; at a loop's own operator
    /// that as well.
    pub(crate) fn loops_around(&self, wasm: u32) -> impl Iterator<Item = LoopHeader> {
        self.loops.iter().copied().filter(move |header| (header.wasm..header.end).contains(&wasm))
    }

    /// Lets code in the frame at this address leave a note when it comes to this header.
    pub(crate) fn watch(&self, header: LoopHeader, frame: *const u64) {
        let mut marks = self.marks();
        let has_code = |mark: &Mark| mark.code == header.code && matches!(mark.sign, Sign::Compiled(_));
        if !marks.iter().any(has_code) {
            self.mark(&mut marks, header, Sign::Watched { frame: frame.addr(), others: OTHERS });
        }
    }

    /// Whether the frame has come to this header since that is watched, or frames go on elsewhere when they do.
    pub(crate) fn has_been_seen(&self, header: LoopHeader) -> bool {
        let is_seen = |sign| !matches!(sign, Sign::Watched { .. });
        self.marks().iter().any(|mark| mark.code == header.code && is_seen(mark.sign))
    }

    /// Lets code at this header go on as if nobody had watched it.
    pub(crate) fn stop_watching(&self, header: LoopHeader) {
        self.unmark(header, |sign| !matches!(sign, Sign::Compiled(_)));
    }

    /// Lets code that comes to this header go on in the loop's compiled code.
    pub(crate) fn lead_out(&self, header: LoopHeader, compiled: *const ()) {
        self.mark(&mut self.marks(), header, Sign::Compiled(compiled));
    }

    /// Lets code at this header go on as if it had never been told to look.
    pub(crate) fn forget(&self, header: LoopHeader) {
        self.unmark(header, |_| true);
    }

    /// Takes a sign from a header, if it is one of those.
    fn unmark(&self, header: LoopHeader, is_one: impl Fn(Sign) -> bool) {
        let mut marks = self.marks();
        if let Some(at) = marks.iter().position(|mark| mark.code == header.code && is_one(mark.sign)) {
            let mark = marks.swap_remove(at);
            self.unit(mark.code).store(mark.original, Ordering::Relaxed);
        }
    }

    /// What the frame at this address finds at the header with this offset: the sign and the instruction's own opcode.
    pub(crate) fn look(&self, code: u32, frame: *const u64) -> Option<(Sign, u16)> {
        let mut marks = self.marks();
        let at = marks.iter().position(|mark| mark.code == code)?;
        let mark = &mut marks[at];
        let (found, original) = (mark.sign, mark.original);
        if let Sign::Watched { frame: watched, others } = &mut mark.sign {
            let is_it = *watched == frame.addr();
            *others -= 1;
            // The frame may be gone, and to look takes time.
            let is_enough = *others == 0;
            if is_it {
                mark.sign = Sign::Seen;
            } else if is_enough {
                marks.swap_remove(at);
            }
            if is_it || is_enough {
                self.unit(code).store(original, Ordering::Relaxed);
            }
        }
        Some((found, original))
    }

    fn mark(&self, marks: &mut Vec<Mark>, header: LoopHeader, sign: Sign) {
        let unit = self.unit(header.code);
        match marks.iter_mut().find(|mark| mark.code == header.code) {
            Some(mark) => mark.sign = sign,
            None => {
                let original = unit.load(Ordering::Relaxed);
                marks.push(Mark { code: header.code, original, sign });
            }
        }
        unit.store(returns::LOOK, Ordering::Relaxed);
    }

    fn unit(&self, code: u32) -> &AtomicU16 {
        &self.units[(Header::SIZE + code as usize) / 2]
    }

    fn marks(&self) -> MutexGuard<'_, Vec<Mark>> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The header.
    pub(crate) fn header(&self) -> Header {
        // SAFETY: the code starts with a header.
        unsafe { Header::of(self.entry()) }
    }
}

impl CodeBlob for Code {
    fn addresses(&self) -> Range<usize> {
        let range = self.units.as_ptr_range();
        range.start as usize..range.end as usize
    }

    fn function(&self) -> u32 {
        self.function
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
