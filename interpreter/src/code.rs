//! Bytecode of one function, as it is kept and as callers see it.
//!
//! A code cell points at the first instruction; what a caller must know to make the frame stands right
//! before it.

use std::any::Any;
use std::ops::Range;

use wasmrun_runtime::module::CodeBlob;

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

/// Slots between the shared ones and the locals: return address and saved context.
pub(crate) const LINK_SLOTS: u16 = 2;

/// The bytecode of one function.
#[derive(Debug)]
pub(crate) struct Code {
    bytes: Box<[u8]>,
    function: u32,
}

impl Code {
    /// Wraps a header followed by instructions.
    pub(crate) fn new(bytes: Vec<u8>, function: u32) -> Code {
        debug_assert!(bytes.len() > Header::SIZE);
        Code { bytes: bytes.into(), function }
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
