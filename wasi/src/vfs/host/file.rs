//! Open files, pipes and devices of the host.
//!
//! Files that have positions are read and written with explicit offsets, so that the position of the host's descriptor
//! means nothing and the object can be shared; only appending touches it. Streams keep `O_NONBLOCK`: whoever wants to
//! wait waits on [`File::poll_fd`].

use std::io::{IoSlice, IoSliceMut};
use std::num::NonZeroU64;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Advice as Host, OFlags};
use rustix::io::ReadWriteFlags;

use super::allocate::allocate_some;
use super::attributes::{set_times, stat_of};
use super::system::uninterrupted;
use crate::errno::Errno;
use crate::vfs::file::{Advice, Appended, File, signed};
use crate::vfs::stat::{FileKind, FileStat, TimeSpec};

/// Something of the host that is open and not a directory.
#[derive(Debug)]
pub(super) struct HostFile {
    fd: OwnedFd,
    kind: FileKind,
}

impl HostFile {
    /// Takes over what was opened with `O_NONBLOCK`.
    pub(super) fn new(fd: OwnedFd, kind: FileKind) -> Result<HostFile, Errno> {
        if kind.is_seekable() {
            // It has served its purpose; a few file systems would take it seriously.
            let flags = rustix::fs::fcntl_getfl(&fd)?;
            rustix::fs::fcntl_setfl(&fd, flags - OFlags::NONBLOCK)?;
        }
        Ok(HostFile { fd, kind })
    }

    fn is_writable(&self) -> Result<bool, Errno> {
        let mode = rustix::fs::fcntl_getfl(&self.fd)? & OFlags::RWMODE;
        Ok(mode == OFlags::WRONLY || mode == OFlags::RDWR)
    }
}

impl File for HostFile {
    fn kind(&self) -> FileKind {
        self.kind
    }

    fn read_at(&self, bufs: &mut [IoSliceMut<'_>], position: u64) -> Result<usize, Errno> {
        if !self.kind.is_seekable() {
            return uninterrupted(|| rustix::io::readv(&self.fd, bufs));
        }
        let position = signed(position)?;
        uninterrupted(|| rustix::io::preadv(&self.fd, bufs, position))
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], position: u64) -> Result<usize, Errno> {
        if !self.kind.is_seekable() {
            return uninterrupted(|| rustix::io::writev(&self.fd, bufs));
        }
        let position = signed(position)?;
        uninterrupted(|| rustix::io::pwritev(&self.fd, bufs, position))
    }

    fn append(&self, bufs: &[IoSlice<'_>]) -> Result<Appended, Errno> {
        if !self.kind.is_seekable() {
            return Ok(Appended { written: self.write_at(bufs, 0)?, end: 0 });
        }
        // At the end and atomically. `u64::MAX` has the kernel move the descriptor's position, which tells where the
        // data went even if somebody else appended right after.
        let flags = ReadWriteFlags::APPEND;
        match uninterrupted(|| rustix::io::pwritev2(&self.fd, bufs, u64::MAX, flags)) {
            // Nothing is written nowhere: the position has not moved.
            Ok(0) => Ok(Appended { written: 0, end: self.size()? }),
            Ok(written) => Ok(Appended { written, end: rustix::fs::tell(&self.fd)? }),
            // Before Linux 4.16.
            Err(Errno::Notsup) => self.append_from_end(bufs),
            Err(error) => Err(error),
        }
    }

    fn stat(&self) -> Result<FileStat, Errno> {
        Ok(stat_of(&rustix::fs::fstat(&self.fd)?))
    }

    fn set_len(&self, len: u64) -> Result<(), Errno> {
        uninterrupted(|| rustix::fs::ftruncate(&self.fd, len)).map_err(|error| match error {
            // Not for writing; some hosts tell it apart from what is no file.
            Errno::Badf => Errno::Inval,
            error => error,
        })
    }

    fn set_times(&self, atim: TimeSpec, mtim: TimeSpec) -> Result<(), Errno> {
        set_times(self.fd.as_fd(), atim, mtim)
    }

    fn allocate_some(&self, position: u64, len: u64, done: u64) -> Result<u64, Errno> {
        let end = signed(position)?.checked_add(signed(len)?).filter(|&end| i64::try_from(end).is_ok());
        if len == 0 {
            return Err(Errno::Inval);
        }
        if end.is_none() {
            return Err(Errno::Fbig);
        }
        if !self.is_writable()? {
            return Err(Errno::Badf);
        }
        allocate_some(self.fd.as_fd(), position, len, done)
    }

    fn advise(&self, position: u64, len: u64, advice: Advice) -> Result<(), Errno> {
        let (position, len) = (signed(position)?, signed(len)?);
        if !self.kind.is_seekable() {
            return Err(Errno::Spipe);
        }
        let advice = match advice {
            Advice::Normal => Host::Normal,
            Advice::Sequential => Host::Sequential,
            Advice::Random => Host::Random,
            Advice::WillNeed => Host::WillNeed,
            Advice::DontNeed => Host::DontNeed,
            Advice::NoReuse => Host::NoReuse,
        };
        Ok(rustix::fs::fadvise(&self.fd, position, NonZeroU64::new(len), advice)?)
    }

    fn sync(&self) -> Result<(), Errno> {
        uninterrupted(|| rustix::fs::fsync(&self.fd))
    }

    fn datasync(&self) -> Result<(), Errno> {
        Ok(rustix::fs::fdatasync(&self.fd)?)
    }

    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        (!self.kind.is_seekable()).then(|| self.fd.as_fd())
    }
}

impl HostFile {
    /// Appends where the end was a moment ago: not atomic towards other processes that append.
    fn append_from_end(&self, bufs: &[IoSlice<'_>]) -> Result<Appended, Errno> {
        let start = self.size()?;
        let written = self.write_at(bufs, start)?;
        Ok(Appended { written, end: start + written as u64 })
    }
}
