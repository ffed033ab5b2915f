//! Bytecode of one function, as it is kept and as callers see it.
//!
//! A code cell points at the first instruction; what a caller must know to make the frame stands right
//! before it.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use wasmrun_runtime::module::{Bytecode, CodeBlob};

/// What stands before a function's first instruction.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Header {
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

/// A loop, by its header: where it is in the module and in the code.
///
/// There every local and every operand of the frame is in the slot that
/// [`FrameLayout`](wasmrun_runtime::frame::FrameLayout) gives it, and no accumulator holds anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LoopHeader {
    /// Offset in the module of the `loop` operator.
    pub(crate) wasm: u32,
    /// Offset from the entry of the instruction that branches to the loop lead to.
    pub(crate) code: u32,
}

/// The bytecode of one function.
#[derive(Debug)]
pub(crate) struct Code {
    bytes: Box<[u8]>,
    function: u32,
    /// One for each loop that can be reached, in the order of the module.
    loops: Box<[LoopHeader]>,
}

impl Code {
    /// Wraps a header followed by instructions, with the loops in them.
    pub(crate) fn new(bytes: Vec<u8>, function: u32, loops: Vec<LoopHeader>) -> Code {
        debug_assert!(bytes.len() > Header::SIZE);
        debug_assert!(loops.is_sorted_by(|a, b| a.wasm < b.wasm && a.code <= b.code));
        Code { bytes: bytes.into(), function, loops: loops.into() }
    }

    /// The headers of its loops, in order.
    pub(crate) fn loops(&self) -> &[LoopHeader] {
        &self.loops
    }

    /// All bytes: the header and the instructions.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The first instruction.
    pub(crate) fn entry(&self) -> *const u8 {
        // A pointer into all of the bytes: the header is read through it.
        self.bytes.as_ptr().wrapping_add(Header::SIZE)
    }

    /// The code as it is published.
    pub(crate) fn into_bytecode(self) -> Bytecode {
        let entry = self.entry();
        Bytecode { blob: Arc::new(self), entry }
    }

    /// The header of the loop whose operator is at this offset in the module.
    #[cfg_attr(not(test), expect(dead_code, reason = "where compiled code is left for tier 0"))]
    pub(crate) fn loop_of(&self, wasm: u32) -> Option<LoopHeader> {
        let index = self.loops.binary_search_by_key(&wasm, |header| header.wasm).ok()?;
        Some(self.loops[index])
    }

    /// The loop whose header is at this offset from the entry. Of loops with nothing between their headers,
    /// which have one state as well, it is the innermost.
    #[cfg_attr(not(test), expect(dead_code, reason = "where tier 0 is left for compiled code"))]
    pub(crate) fn loop_at(&self, code: u32) -> Option<LoopHeader> {
        let behind = self.loops.partition_point(|header| header.code <= code);
        self.loops[..behind].last().copied().filter(|header| header.code == code)
    }

    /// The header.
    pub(crate) fn header(&self) -> Header {
        // SAFETY: the code starts with a header.
        unsafe { Header::of(self.entry()) }
    }
}

impl CodeBlob for Code {
    fn addresses(&self) -> Range<usize> {
        let range = self.bytes.as_ptr_range();
        range.start as usize..range.end as usize
    }

    fn function(&self) -> u32 {
        self.function
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
