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

use std::fmt;
use std::marker::PhantomPinned;
use std::mem::offset_of;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};

use region::{Allocation, Protection};

use super::budget;
use super::shared::Sharing;
use crate::types::MemoryType;

/// Bytes that a 32-bit address can reach; no guarded memory reserves less.
const NARROW_RESERVATION: usize = 4 << 30;

/// Bytes that a guarded memory with 64-bit addresses reserves which declares no maximum, and cannot grow beyond.
const USUAL_RESERVATION: usize = 64 << 30;

/// What declares more than this is not guarded. Thirty such memories are all that may be (`budget`).
const MOST_RESERVED: usize = 1 << 40;

/// Inaccessible bytes behind the reservation of a guarded memory: an access whose constant offset and size end within
/// them needs no check in compiled code, or none of its offset.
pub const GUARD: usize = 32 << 20;

/// The bytes that a guarded memory of a type reserves in front of its guard. `None`: memories of this type are never guarded.
/// Those with 64-bit addresses reserve a power of two.
pub fn reservation_of(ty: MemoryType) -> Option<usize> {
    // A guard starts between pages of the system.
    if ty.page_size_log2() != MemoryType::PAGE_LOG2 {
        return None;
    }
    if !ty.is_64() {
        return Some(NARROW_RESERVATION);
    }
    let bytes = match ty.maximum() {
        Some(pages) => ty.bytes(pages)?,
        None => ty.bytes(ty.minimum())?.max(USUAL_RESERVATION),
    };
    // Of a number of bytes that is an `isize`, the next power of two is a `usize`.
    Some(bytes.next_power_of_two().max(NARROW_RESERVATION)).filter(|bytes| *bytes <= MOST_RESERVED)
}

/// Whether a guarded memory may reserve so many bytes as far as the limits of the process go, and what its memories have
/// reserved.
pub fn can_reserve(reservation: usize) -> bool {
    let all = reservation + GUARD;
    most_addresses() > all && budget::PROCESS.has(all, reservation <= NARROW_RESERVATION)
}

/// The addresses of a memory that does not move, which it gives back when it is dropped.
struct Reserved {
    // Before its share, as what is given back can be taken at once.
    addresses: Allocation,
    /// Bytes in front of the guard, if there is one.
    len: usize,
    _share: budget::Share,
}

impl Reserved {
    /// `None`: the system refuses, or the process has reserved too much.
    fn new(len: usize, guard: usize) -> Option<Reserved> {
        let bytes = len.checked_add(guard)?;
        let share = budget::PROCESS.take(bytes, len <= NARROW_RESERVATION)?;
        let addresses = region::alloc(bytes, Protection::NONE).ok()?;
        Some(Reserved { addresses, len, _share: share })
    }
}

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

/// How many bytes of addresses the process may have.
pub fn most_addresses() -> usize {
    let mut limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: getrlimit writes one rlimit, or nothing.
    unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) };
    usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
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

/// Zeroed memory that the system provides as it is touched, unmapped when it is dropped.
struct Pages {
    /// Dangling if there are none.
    base: NonNull<u8>,
    /// In bytes, whole pages of the system.
    len: usize,
}

impl Pages {
    fn none() -> Pages {
        Pages { base: NonNull::dangling(), len: 0 }
    }

    /// Makes it `len` bytes or a little more, which is more than it has, at the same or another address. The system moves the
    /// pages and copies nothing of what is in them; what is new is zero. If this is an error, nothing has changed.
    fn grow(&mut self, len: usize) -> Result<(), GrowError> {
        let len = len.next_multiple_of(region::page::size());
        let grown = if self.len == 0 {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            // SAFETY: a new mapping at an address of the system's choice.
            unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, -1, 0) }
        } else {
            // SAFETY: all of our own mapping; nothing borrows its bytes, as growing takes `&mut`.
            unsafe { libc::mremap(self.base.as_ptr().cast(), self.len, len, libc::MREMAP_MAYMOVE) }
        };
        if grown == libc::MAP_FAILED {
            return Err(GrowError::System);
        }
        self.base = NonNull::new(grown.cast()).ok_or(GrowError::System)?;
        self.len = len;
        Ok(())
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        if self.len != 0 {
            // SAFETY: our own mapping, which nothing points into any more.
            let status = unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
            debug_assert_eq!(status, 0, "unmapping a whole mapping does not fail");
        }
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

/// An anonymous file that holds initial contents of a memory.
#[derive(Debug)]
pub struct ImageFile {
    file: std::fs::File,
    len: usize,
}

impl ImageFile {
    /// A file with `contents`, whose length is a multiple of the page size. `None` where the system has no
    /// such files, or a limit of the process forbids them.
    pub fn new(contents: &[u8]) -> Option<ImageFile> {
        use std::io::Write;
        use std::os::fd::FromRawFd;
        // Beyond this limit a write is a deadly signal, and not only an error.
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: getrlimit writes one rlimit.
        let known = unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) } == 0;
        if !known || contents.len() as u64 > limit.rlim_cur {
            return None;
        }
        // SAFETY: a valid name and flags; the descriptor is owned by nobody else.
        let mut file = unsafe {
            let fd = libc::memfd_create(c"wasm-image".as_ptr(), libc::MFD_CLOEXEC);
            if fd < 0 {
                return None;
            }
            std::fs::File::from_raw_fd(fd)
        };
        file.write_all(contents).ok()?;
        Some(ImageFile { file, len: contents.len() })
    }

    /// Number of bytes.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.len
    }

    fn read(&self, to: &mut [u8]) -> Option<()> {
        use std::os::unix::fs::FileExt;
        self.file.read_exact_at(to, 0).ok()
    }

    /// Maps the file privately over the pages at `address`.
    ///
    /// # Safety
    /// The pages must belong to the caller, and nothing may borrow their bytes.
    unsafe fn map_at(&self, address: *mut u8) -> Option<()> {
        use std::os::fd::AsRawFd;
        // SAFETY: the caller owns the pages that are replaced.
        let mapped = unsafe {
            libc::mmap(
                address.cast(),
                self.len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_FIXED,
                self.file.as_raw_fd(),
                0,
            )
        };
        (mapped != libc::MAP_FAILED).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(test: impl Fn(Memory)) {
        for strategy in [MemoryStrategy::Guarded, MemoryStrategy::Checked] {
            // Miri knows no reservations.
            if cfg!(miri) && strategy == MemoryStrategy::Guarded {
                continue;
            }
            test(Memory::new(MemoryType::new(1, Some(4)), strategy).unwrap());
        }
    }

    #[test]
    fn what_is_reserved_follows_from_the_type() {
        const GIB: usize = 1 << 30;
        let wide = |min, max| reservation_of(MemoryType::new64(min, max));
        assert_eq!(reservation_of(MemoryType::new(1, Some(2))), Some(4 * GIB));
        assert_eq!((wide(1, None), wide(0, Some(0))), (Some(64 * GIB), Some(4 * GIB)));
        assert_eq!((wide(1 << 21, None), wide(0, Some(5 << 14))), (Some(128 * GIB), Some(8 * GIB)));
        assert_eq!((wide(0, Some(1 << 24)), wide(0, Some((1 << 24) + 1))), (Some(1 << 40), None));
        assert_eq!((wide(1 << 48, None), wide(0, Some(1 << 48))), (None, None));
        let bytes = MemoryType::builder().page_size_log2(0).build().unwrap();
        assert_eq!(reservation_of(bytes), None);
    }

    #[test]
    #[cfg_attr(miri, ignore = "maps memory")]
    fn code_for_a_type_runs_on_memories_of_which_as_much_is_reserved() {
        let guarded = |ty| Memory::new(ty, MemoryStrategy::Guarded).unwrap();
        let (any, huge) = (MemoryType::new64(1, None), MemoryType::new64(1, Some(1 << 48)));
        let (small, large) = (MemoryType::new64(1, Some(2)), MemoryType::new64(1, Some(1 << 22)));
        assert!(guarded(any).is_guarded_as(any) && guarded(small).is_guarded_as(small));
        // Less is reserved than code assumes, or there can be bytes that it takes for outside.
        assert!(!guarded(small).is_guarded_as(any));
        assert!(!guarded(large).is_guarded_as(any));
        assert!(guarded(any).is_guarded_as(huge), "such code assumes nothing");
        assert!(!Memory::new(any, MemoryStrategy::Checked).unwrap().is_guarded_as(any));
        assert!(!guarded(huge).is_guarded() && guarded(huge).max_pages() == 1 << 48);
        assert_eq!(guarded(any).max_pages(), 1 << 20);
    }

    #[test]
    fn a_memory_of_single_bytes_grows_byte_by_byte() {
        let ty = MemoryType::builder().page_size_log2(0).min(3).max(Some(70_000)).build().unwrap();
        let mut memory = Memory::new(ty, MemoryStrategy::Guarded).unwrap();
        assert_eq!((memory.is_guarded(), memory.len(), memory.pages()), (false, 3, 3));
        memory.data_mut().fill(7);
        assert_eq!(memory.grow(1), Ok(3));
        assert_eq!(memory.data(), [7, 7, 7, 0]);
        assert_eq!(memory.grow(69_996), Ok(4));
        assert_eq!((memory.grow(1), memory.len()), (Err(GrowError::Maximum), 70_000));
        assert!(memory.data()[3..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn growth_keeps_contents_and_adds_zeroes() {
        both(|mut memory| {
            memory.data_mut()[65535] = 7;
            assert_eq!(memory.grow(2), Ok(1));
            assert_eq!(memory.len(), 3 * 65536);
            assert_eq!(memory.data()[65535], 7);
            assert!(memory.data()[65536..].iter().all(|b| *b == 0));
        });
    }

    #[test]
    fn growth_stops_at_the_maximum_and_changes_nothing() {
        both(|mut memory| {
            assert_eq!(memory.grow(4), Err(GrowError::Maximum));
            assert_eq!(memory.grow(u64::MAX), Err(GrowError::Maximum));
            assert_eq!(memory.pages(), 1);
            assert_eq!(memory.grow(3), Ok(1));
            assert_eq!(memory.grow(0), Ok(4));
        });
    }

    #[test]
    fn a_checked_memory_that_grows_page_by_page_moves_seldom() {
        const PAGES: u64 = if cfg!(miri) { 32 } else { 4096 };
        let mut memory = Memory::new(MemoryType::new(1, None), MemoryStrategy::Checked).unwrap();
        let room = |memory: &Memory| match &memory.storage {
            Storage::Checked(pages) => pages.len,
            _ => panic!("it is checked"),
        };
        let mut rooms = vec![room(&memory)];
        for page in 0..PAGES {
            let start = page as usize * MemoryType::PAGE;
            assert_eq!((memory.len(), memory.data()[start]), (start + MemoryType::PAGE, 0));
            memory.data_mut()[start..start + 8].copy_from_slice(&(page + 1).to_le_bytes());
            assert_eq!(memory.grow(1), Ok(page + 1));
            rooms.push(room(&memory));
        }
        for (page, bytes) in (1..=PAGES).zip(memory.data().chunks(MemoryType::PAGE)) {
            assert_eq!(bytes[..8], page.to_le_bytes());
        }
        rooms.dedup();
        // One more than the logarithm to the base 3/2, and two for the first pages, of which a half is rounded.
        assert!(rooms.len() <= 24, "{rooms:?}");
        assert!(rooms.is_sorted() && rooms.last() < Some(&(memory.len() * 2)), "{rooms:?}");
    }

    #[test]
    fn a_checked_memory_has_no_room_beyond_its_maximum() {
        let mut memory = Memory::new(MemoryType::new(8, Some(9)), MemoryStrategy::Checked).unwrap();
        for _ in 0..2 {
            let Storage::Checked(pages) = &memory.storage else { panic!("it is checked") };
            assert_eq!(pages.len, memory.len());
            let _ = memory.grow(1);
        }
        assert_eq!(memory.pages(), 9);
    }

    #[test]
    #[cfg_attr(miri, ignore = "maps memory")]
    fn guarded_memories_grow_in_place() {
        let mut memory = Memory::new(MemoryType::new(1, None), MemoryStrategy::Guarded).unwrap();
        let base = memory.data().as_ptr();
        memory.grow(1000).unwrap();
        assert!(memory.is_guarded());
        assert_eq!(memory.data().as_ptr(), base);
    }

    #[test]
    #[cfg_attr(miri, ignore = "maps memory")]
    fn writes_to_a_mapped_image_stay_private() {
        let image = ImageFile::new(&[5; 65536]).unwrap();
        for strategy in [MemoryStrategy::Guarded, MemoryStrategy::Checked] {
            let ty = MemoryType::new(2, None);
            let mut first = Memory::new(ty, strategy).unwrap();
            first.load_image(65536, &image).unwrap();
            first.data_mut()[65536] = 9;
            let mut second = Memory::new(ty, strategy).unwrap();
            second.load_image(65536, &image).unwrap();
            assert_eq!((second.data()[0], second.data()[65536], second.data()[131071]), (0, 5, 5));
        }
    }
}
