//! Linear memories.
//!
//! A *guarded* memory reserves all that it can ever have and a guard behind that, so that growth happens in place, the base
//! never moves, and compiled code need not know the length: a 32-bit address reaches the 4 GiB that are reserved and no
//! further, and one of 64 bits is compared with a constant. How much that is follows from the type alone
//! ([`reservation_of`]), as code is made for types. Where the reservation fails, the type has none, or the configuration asks
//! for it, a memory is *checked*: a mapping of about its own size, whose pages may move to other addresses when it grows.
//! Both are the same to the interpreter, which checks every access.
//!
//! What threads share never moves: where it is not guarded, all that it can ever have is reserved, without a guard. Its
//! size is the one word of a memory that changes under other threads, and only grows (see [`shared`](super::shared)).

mod image;
mod pages;
mod reservation;
#[cfg(test)]
mod tests;

use std::fmt;
use std::marker::PhantomPinned;
use std::mem::offset_of;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use region::Protection;

pub use image::ImageFile;
use pages::Pages;
use reservation::Reserved;
pub use reservation::{GUARD, can_reserve, most_addresses, reservation_of};

use super::shared::Sharing;
use crate::types::MemoryType;

/// How memories are laid out in the address space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemoryStrategy {
    /// Reserve all addresses that a memory can have; fall back to `Checked` when the system refuses, where that would be more
    /// than a tebibyte, where the memories of the process have reserved half of what there is, and for pages that are not of
    /// 64 KiB. A memory with 64-bit addresses and no declared maximum reserves
    /// 64 GiB, or what it starts with, and cannot grow beyond that.
    #[default]
    Guarded,
    /// Reserve little more than is used, and move when that does not do any more.
    Checked,
}

/// Base and length of a memory, as code of every tier reads them.
#[derive(Debug)]
#[repr(C)]
pub struct MemoryDescriptor {
    /// First byte.
    pub base: *mut u8,
    /// Accessible bytes. Other threads let it grow, if the memory is shared.
    pub len: AtomicUsize,
}

// SAFETY: plain data; access is governed by the store that owns the memory. The base of a shared one never changes.
unsafe impl Sync for MemoryDescriptor {}

impl MemoryDescriptor {
    /// Accessible bytes: at least so many, if other threads let the memory grow.
    #[inline(always)]
    pub fn len(&self) -> usize {
        // The system has made them accessible, for all threads, before they were counted.
        self.len.load(Ordering::Relaxed)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A memory of no bytes, for instances without one.
    pub(super) fn empty() -> *const MemoryDescriptor {
        static EMPTY: MemoryDescriptor =
            MemoryDescriptor { base: NonNull::dangling().as_ptr(), len: AtomicUsize::new(0) };
        &raw const EMPTY
    }
}

/// A linear memory.
#[repr(C)]
pub struct Memory {
    descriptor: MemoryDescriptor,
    ty: MemoryType,
    storage: Storage,
    /// Of one that threads share.
    sharing: Option<Box<Sharing>>,
    /// Contexts point at it: see [`ExecContext`](super::ExecContext).
    _pinned: PhantomPinned,
}

enum Storage {
    // Unmapped when it is dropped.
    Guarded(Reserved),
    /// All that it can ever have, without a guard: for one that is shared.
    Fixed(#[expect(dead_code, reason = "owned for its drop")] Reserved),
    Checked(Pages),
}

/// Why a memory did not grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrowError {
    /// It would pass its declared maximum, what its addresses reach, or what is reserved for it.
    #[error("the memory would pass its maximum")]
    Maximum,
    /// The system refused.
    #[error("the system has no more memory")]
    System,
    /// Threads share it, so that it must not move, and the system does not reserve so many addresses.
    #[error("the system has no addresses for all that a memory which threads share may grow to")]
    Reservation,
}

impl Memory {
    /// Offset of the descriptor.
    pub const DESCRIPTOR: usize = offset_of!(Memory, descriptor);

    /// A zeroed memory of the type's initial size.
    pub fn new(ty: MemoryType, strategy: MemoryStrategy) -> Result<Memory, GrowError> {
        if ty.check().is_err() {
            return Err(GrowError::Maximum);
        }
        let len = ty.bytes(ty.limits.min).ok_or(GrowError::System)?;
        let reserved = match strategy {
            MemoryStrategy::Guarded => reservation_of(ty),
            MemoryStrategy::Checked => None,
        };
        let (base, storage) = match reserved.and_then(|len| Reserved::new(len, GUARD)) {
            Some(mut reserved) => (reserved.addresses.as_mut_ptr(), Storage::Guarded(reserved)),
            None if ty.is_shared() => {
                let most = ty.limits.max.and_then(|pages| ty.bytes(pages)).ok_or(GrowError::Reservation)?;
                let mut reserved = Reserved::new(most.max(1), 0).ok_or(GrowError::Reservation)?;
                (reserved.addresses.as_mut_ptr(), Storage::Fixed(reserved))
            }
            None => (NonNull::dangling().as_ptr(), Storage::Checked(Pages::none())),
        };
        let descriptor = MemoryDescriptor { base, len: AtomicUsize::new(0) };
        let sharing = ty.is_shared().then(Box::default);
        let mut memory = Memory { descriptor, ty, storage, sharing, _pinned: PhantomPinned };
        memory.resize(len)?;
        Ok(memory)
    }

    /// Its type as declared.
    pub fn ty(&self) -> MemoryType {
        self.ty
    }

    /// Base and length for generated code.
    pub fn descriptor(&self) -> *const MemoryDescriptor {
        &raw const self.descriptor
    }

    /// First byte.
    pub fn base(&self) -> *mut u8 {
        self.descriptor.base
    }

    /// Size in bytes.
    pub fn len(&self) -> usize {
        self.descriptor.len()
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What there is besides its bytes if threads share it.
    pub(super) fn sharing(&self) -> Option<&Sharing> {
        self.sharing.as_deref()
    }

    /// Size in pages.
    pub fn pages(&self) -> u64 {
        self.len() as u64 >> self.ty.page_size_log2()
    }

    /// The most pages that it may have.
    pub fn max_pages(&self) -> u64 {
        let declared = self.ty.limits.max.unwrap_or(u64::MAX).min(self.ty.most_pages());
        match &self.storage {
            Storage::Guarded(reserved) => declared.min(reserved.len as u64 >> self.ty.page_size_log2()),
            Storage::Fixed(_) | Storage::Checked(_) => declared,
        }
    }

    /// Whether all addresses are reserved that it can ever have.
    pub fn is_guarded(&self) -> bool {
        matches!(self.storage, Storage::Guarded(..))
    }

    /// Whether code can run on it that was made for a guarded memory of a type, its own or the one that it is imported as: what
    /// such code takes for reserved is, and the memory has no bytes behind that.
    pub fn is_guarded_as(&self, ty: MemoryType) -> bool {
        match (&self.storage, reservation_of(ty)) {
            (_, None) => true,
            (Storage::Fixed(_) | Storage::Checked(_), _) => false,
            (Storage::Guarded(reserved), Some(assumed)) => {
                let most = self.ty.bytes(self.max_pages());
                reserved.len >= assumed && most.is_some_and(|most| most <= assumed)
            }
        }
    }

    /// The addresses that code without bounds checks can reach; `None` of a memory that is checked.
    pub fn reservation(&self) -> Option<Range<usize>> {
        let base = self.descriptor.base as usize;
        match &self.storage {
            Storage::Guarded(reserved) => Some(base..base + reserved.len + GUARD),
            Storage::Fixed(_) | Storage::Checked(_) => None,
        }
    }

    /// The bytes.
    ///
    /// # Panics
    /// Threads share it: nobody can borrow what others write.
    pub fn data(&self) -> &[u8] {
        assert!(self.sharing.is_none(), "a memory that is shared cannot be borrowed");
        // SAFETY: `len` bytes at `base` are mapped and initialised, and borrowed with `self`.
        unsafe { std::slice::from_raw_parts(self.descriptor.base, self.len()) }
    }

    /// The bytes, to be changed.
    ///
    /// # Panics
    /// As [`Memory::data`].
    pub fn data_mut(&mut self) -> &mut [u8] {
        assert!(self.sharing.is_none(), "a memory that is shared cannot be borrowed");
        // SAFETY: as above, exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.descriptor.base, self.len()) }
    }

    /// Grows by `delta` pages and returns the old size in pages.
    pub fn grow(&mut self, delta: u64) -> Result<u64, GrowError> {
        let (old, len) = self.grown(delta)?;
        self.resize(len)?;
        Ok(old)
    }

    /// The old size in pages, and the bytes that it has when it has grown by `delta` pages.
    pub(super) fn grown(&self, delta: u64) -> Result<(u64, usize), GrowError> {
        let old = self.pages();
        let new = old.checked_add(delta).filter(|n| *n <= self.max_pages()).ok_or(GrowError::Maximum)?;
        Ok((old, self.ty.bytes(new).ok_or(GrowError::System)?))
    }

    /// Makes more of what is reserved accessible.
    ///
    /// # Safety
    /// All of it is reserved, and nobody else does this at the same time.
    pub(super) unsafe fn extend(&self, len: usize) -> Result<(), GrowError> {
        // Pages become accessible; the system gives them out zeroed when they are touched.
        // SAFETY: the range lies inside the reservation, which only this memory uses.
        unsafe {
            let old = self.len();
            region::protect(self.descriptor.base.add(old), len - old, Protection::READ_WRITE)
        }
        .map_err(|_| GrowError::System)?;
        self.descriptor.len.store(len, Ordering::SeqCst);
        Ok(())
    }

    fn resize(&mut self, len: usize) -> Result<(), GrowError> {
        if len == self.len() {
            return Ok(());
        }
        let most = self.ty.bytes(self.max_pages()).unwrap_or(isize::MAX.cast_unsigned());
        match &mut self.storage {
            // SAFETY: `len` does not pass the maximum, and this is the only borrow.
            Storage::Guarded(_) | Storage::Fixed(_) => return unsafe { self.extend(len) },
            Storage::Checked(pages) if len > pages.len => {
                // A memory that grows page by page moves seldom; the bytes beyond its end are addresses and nothing
                // more, and what it may have at most it never leaves. The first size is often the last.
                let room = if pages.len == 0 { len } else { len.saturating_add(len / 2).min(most) };
                pages.grow(room).or_else(|error| if room > len { pages.grow(len) } else { Err(error) })?;
                self.descriptor.base = pages.base.as_ptr();
            }
            // The bytes are there, and zero: nobody has written beyond the end, and a memory never shrinks.
            Storage::Checked(_) => {}
        }
        *self.descriptor.len.get_mut() = len;
        Ok(())
    }

    /// Maps `image` at `offset` copy-on-write, or copies it where mapping is not possible.
    pub(crate) fn load_image(&mut self, offset: usize, image: &ImageFile) -> Result<(), GrowError> {
        if !self.is_guarded() || !offset.is_multiple_of(region::page::size()) {
            // The image is padded to whole system pages, which may reach past a small memory's end.
            let len = image.len().min(self.len() - offset);
            return image.read(&mut self.data_mut()[offset..offset + len]).ok_or(GrowError::System);
        }
        assert!(offset + image.len() <= self.len(), "an image lies inside its memory");
        // SAFETY: the range is page-aligned, lies inside this memory, and nothing borrows its bytes.
        unsafe { image.map_at(self.descriptor.base.add(offset)) }.ok_or(GrowError::System)
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("pages", &self.pages())
            .field("guarded", &self.is_guarded())
            .finish_non_exhaustive()
    }
}
