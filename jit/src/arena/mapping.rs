//! The arena's address range, and the two ways in which bytes get there without a page that is writable and
//! executable at once.
//!
//! *Dual*: see [`dual`](super::dual); blobs of 16-byte granules share pages. *Protected*, where the system
//! refuses that: private memory whose pages turn writable, and executable again, by `mprotect`. A page cannot run
//! while it is written, so that blobs there own whole pages: the granule is a page.
//!
//! Invariant: once committed, every byte outside of installed blobs is a trap instruction. Called by the arena,
//! under its lock.

use std::io;
use std::ops::Range;
use std::ptr::NonNull;
use std::slice;

use region::{Allocation, Protection};

use super::free_list::ALIGN;

use super::dual::Dual;

/// `int3` on x86: a jump into free code memory stops there, at whichever byte.
pub(super) const TRAP: u8 = 0xCC;

/// How code memory is kept from being writable and executable at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MappingKind {
    /// Two views of the same memory, one to write and one to execute.
    Dual,
    /// One view whose pages change protection; each blob takes whole pages.
    Protected,
}

enum Views {
    Dual(Dual),
    Protected { base: NonNull<u8>, _owned: Allocation },
}

/// The range.
pub(super) struct Mapping {
    views: Views,
    len: usize,
    /// Bytes from the start on that are backed by memory.
    committed: usize,
}

// SAFETY: the pointers inside are to memory that the mapping owns; using it takes `&mut`.
unsafe impl Send for Mapping {}

impl Mapping {
    /// What ranges are committed in; a multiple of every page size in use.
    pub const STEP: usize = 64 << 10;

    /// Reserves `len` bytes, a multiple of [`STEP`](Self::STEP), and makes sure that executing them is allowed.
    pub fn new(len: usize, kind: MappingKind) -> io::Result<Mapping> {
        let views = match kind {
            MappingKind::Dual => Views::Dual(Dual::new(len)?),
            MappingKind::Protected => {
                let mut pages = region::alloc(len, Protection::NONE)?;
                let base = NonNull::new(pages.as_mut_ptr()).ok_or(io::ErrorKind::AddrNotAvailable)?;
                for protection in [Protection::READ_EXECUTE, Protection::NONE] {
                    // SAFETY: the first page of our own reservation, which nothing points into yet.
                    unsafe { region::protect(base.as_ptr(), region::page::size(), protection) }?;
                }
                Views::Protected { base, _owned: pages }
            }
        };
        Ok(Mapping { views, len, committed: 0 })
    }

    /// Which of the two it is.
    pub fn kind(&self) -> MappingKind {
        match self.views {
            Views::Dual(_) => MappingKind::Dual,
            Views::Protected { .. } => MappingKind::Protected,
        }
    }

    /// Blobs that are written apart take multiples of this.
    pub fn granule(&self) -> usize {
        match self.kind() {
            MappingKind::Dual => ALIGN,
            MappingKind::Protected => region::page::size(),
        }
    }

    /// Address of offset 0, where code executes.
    pub fn base(&self) -> NonNull<u8> {
        match &self.views {
            Views::Dual(dual) => dual.execute.base,
            Views::Protected { base, .. } => *base,
        }
    }

    /// Bytes that are backed by memory.
    pub fn committed(&self) -> usize {
        self.committed
    }

    /// Backs all bytes below `end` with memory, filled with traps.
    pub fn commit(&mut self, end: usize) -> io::Result<()> {
        if end <= self.committed {
            return Ok(());
        }
        let fresh = self.committed..end.next_multiple_of(Self::STEP);
        if let Views::Dual(dual) = &mut self.views {
            dual.populate(fresh.start, fresh.len())?;
        }
        // SAFETY: nothing was ever installed beyond what is committed.
        unsafe { self.write(fresh.clone(), |bytes| bytes.fill(TRAP)) }?;
        self.committed = fresh.end;
        Ok(())
    }

    /// Lets `fill` change the bytes of a range of whole granules. If this is an error, they are what they were
    /// before, or traps.
    ///
    /// # Safety
    /// No thread runs code in the range or reads it, and all of it is committed, or is just being.
    pub unsafe fn write(&mut self, range: Range<usize>, fill: impl FnOnce(&mut [u8])) -> io::Result<()> {
        assert!(range.end <= self.len);
        match &mut self.views {
            Views::Dual(dual) => {
                // SAFETY: inside of the write view, which is accessed nowhere but here, under `&mut self`.
                fill(unsafe {
                    slice::from_raw_parts_mut(dual.write.base.as_ptr().add(range.start), range.len())
                });
                Ok(())
            }
            Views::Protected { base, .. } => {
                // SAFETY: inside of the reservation.
                let start = unsafe { base.as_ptr().add(range.start) };
                // SAFETY: whole pages that no thread runs or reads, says the caller.
                let protect = |protection| unsafe { region::protect(start, range.len(), protection) };
                protect(Protection::READ_WRITE)?;
                // SAFETY: writable now, and nobody else's.
                let bytes = unsafe { slice::from_raw_parts_mut(start, range.len()) };
                fill(bytes);
                Ok(protect(Protection::READ_EXECUTE).inspect_err(|_| bytes.fill(TRAP))?)
            }
        }
    }
}
