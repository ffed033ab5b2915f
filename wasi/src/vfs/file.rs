//! Open files, as every backend gives them.

use std::fmt::Debug;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;

use crate::errno::Errno;
use crate::vfs::stat::{FileKind, FileStat, TimeSpec};

/// An open file or stream. It has no position of its own and may be shared between descriptors and threads.
///
/// Access is checked: reading what was not opened for reading and writing what was not opened for writing is
/// [`Errno::Badf`]. (Neither `read` nor `write` in [`OpenHow`](crate::vfs::OpenHow) counts as `read`.)
pub trait File: Send + Sync + Debug {
    /// What it was when it was opened. [`FileKind::is_seekable`] says whether offsets mean anything.
    fn kind(&self) -> FileKind;

    /// Reads into `bufs`, in their order, from `offset`; on a stream `offset` is ignored. 0 is the end of the file (or
    /// the guest gave no room). May read less than asked. Interrupted calls are repeated.
    ///
    /// # Errors
    /// As `preadv(2)`; on a stream with nothing to read yet, [`Errno::Again`]. An offset above `i64::MAX` is
    /// [`Errno::Inval`].
    fn read_at(&self, bufs: &mut [IoSliceMut<'_>], offset: u64) -> Result<usize, Errno>;

    /// Writes `bufs`, in their order, at `offset`; on a stream `offset` is ignored. A gap before `offset` reads as
    /// zeros. May write less than asked. Interrupted calls are repeated.
    ///
    /// # Errors
    /// As `pwritev(2)`; on a stream with no room, [`Errno::Again`]. An offset above `i64::MAX` is [`Errno::Inval`], and
    /// an end above it [`Errno::Fbig`].
    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> Result<usize, Errno>;

    /// Writes `bufs` at the end of the file, wherever that is at that moment. On a stream as [`File::write_at`], with
    /// `end` 0.
    ///
    /// # Errors
    /// As [`File::write_at`].
    fn append(&self, bufs: &[IoSlice<'_>]) -> Result<Appended, Errno>;

    /// The attributes.
    ///
    /// # Errors
    /// As `fstat(2)`.
    fn stat(&self) -> Result<FileStat, Errno>;

    /// The size in bytes.
    ///
    /// # Errors
    /// As [`File::stat`].
    fn size(&self) -> Result<u64, Errno> {
        Ok(self.stat()?.size)
    }

    /// Cuts the file or extends it with zeros.
    ///
    /// # Errors
    /// As `ftruncate(2)`: [`Errno::Inval`] if it was not opened for writing, is a stream, or for a length above
    /// `i64::MAX`; [`Errno::Fbig`] or [`Errno::Nospc`] for a length that the device cannot have.
    fn set_len(&self, len: u64) -> Result<(), Errno>;

    /// Sets access and modification time. Allowed on a file opened for reading.
    ///
    /// # Errors
    /// As `futimens(2)`. Times that the file system cannot store are clamped, not refused.
    fn set_times(&self, atim: TimeSpec, mtim: TimeSpec) -> Result<(), Errno>;

    /// Reserves space for a range and makes the file at least that long; never shorter.
    ///
    /// # Errors
    /// [`Errno::Inval`] if `len` is 0 or a number is above `i64::MAX`, [`Errno::Fbig`] if the sum is, [`Errno::Badf`]
    /// if it was not opened for writing, [`Errno::Notsup`] where the host or its file system cannot, [`Errno::Nospc`]
    /// for what the device cannot have: some of it may be reserved then.
    fn allocate(&self, offset: u64, len: u64) -> Result<(), Errno> {
        let mut done = 0;
        loop {
            done = self.allocate_some(offset, len, done)?;
            if done >= len {
                return Ok(());
            }
        }
    }

    /// The next step of [`File::allocate`], which takes some milliseconds whatever `len` is: goes on after the first
    /// `done` bytes of the range, and gives how many are done then, which is more. The file gets longer in the step that
    /// gives `len`.
    ///
    /// # Errors
    /// As [`File::allocate`].
    fn allocate_some(&self, offset: u64, len: u64, done: u64) -> Result<u64, Errno>;

    /// Takes note of how a range will be used; `len` 0 is up to the end. Never changes what the file contains.
    ///
    /// # Errors
    /// [`Errno::Spipe`] on a stream, [`Errno::Inval`] for numbers above `i64::MAX`.
    fn advise(&self, offset: u64, len: u64, advice: Advice) -> Result<(), Errno>;

    /// Waits until data and attributes have reached the device.
    ///
    /// # Errors
    /// As `fsync(2)`.
    fn sync(&self) -> Result<(), Errno>;

    /// Waits until the data has reached the device.
    ///
    /// # Errors
    /// As `fdatasync(2)`.
    fn datasync(&self) -> Result<(), Errno>;

    /// A descriptor of the host to wait on with `poll(2)`; `None` for what is always ready (regular files, memory).
    fn poll_fd(&self) -> Option<BorrowedFd<'_>>;
}

/// The outcome of [`File::append`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// How many bytes were written: fewer than asked if the device is nearly full.
    pub written: usize,
    /// The position after the last byte written.
    pub end: u64,
}

/// What a guest says about how it will use a range of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Nothing special.
    Normal,
    /// From lower to higher offsets.
    Sequential,
    /// In no order.
    Random,
    /// Soon.
    WillNeed,
    /// Not soon.
    DontNeed,
    /// Once, and not again.
    NoReuse,
}

/// Checks a number that hosts take as signed, and so every backend does.
///
/// # Errors
/// [`Errno::Inval`] above `i64::MAX`.
pub(crate) fn signed(number: u64) -> Result<u64, Errno> {
    if i64::try_from(number).is_ok() { Ok(number) } else { Err(Errno::Inval) }
}
