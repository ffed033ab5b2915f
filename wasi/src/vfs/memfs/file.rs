//! Open files of a tree in memory.

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;
use std::sync::MutexGuard;

use super::content::{Budget, Content};
use super::handle::Handle;
use super::tree::{Body, Ino, Node, Tree};
use crate::errno::Errno;
use crate::vfs::file::{Advice, Appended, File, signed};
use crate::vfs::stat::{FileKind, FileStat, TimeSpec};

/// An open file.
#[derive(Debug)]
pub(super) struct MemFile {
    handle: Handle,
    readable: bool,
    writable: bool,
}

impl MemFile {
    pub(super) fn new(handle: Handle, readable: bool, writable: bool) -> MemFile {
        MemFile { handle, readable, writable }
    }

    /// The lock, if the file was opened for writing.
    fn lock_to_write(&self) -> Result<MutexGuard<'_, Tree>, Errno> {
        if self.writable { Ok(self.handle.lock()) } else { Err(Errno::Badf) }
    }

    /// Writes at a position; `None` is the end. Says where the data ends as well.
    fn write(&self, bufs: &[IoSlice<'_>], position: Option<u64>) -> Result<Appended, Errno> {
        let mut tree = self.lock_to_write()?;
        let ino = self.handle.ino();
        let (content, budget) = content_mut(&mut tree, ino)?;
        let position = position.unwrap_or(content.len());
        let written = content.write(bufs, position, budget)?;
        if written > 0 {
            tree.touch(ino)?;
        }
        Ok(Appended { written, end: position + written as u64 })
    }
}

impl File for MemFile {
    fn kind(&self) -> FileKind {
        FileKind::Regular
    }

    fn read_at(&self, bufs: &mut [IoSliceMut<'_>], position: u64) -> Result<usize, Errno> {
        let position = signed(position)?;
        if !self.readable {
            return Err(Errno::Badf);
        }
        match &self.handle.lock().node(self.handle.ino())?.body {
            Body::File(content) => Ok(content.read(bufs, position)),
            _ => Err(Errno::Isdir),
        }
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], position: u64) -> Result<usize, Errno> {
        Ok(self.write(bufs, Some(signed(position)?))?.written)
    }

    fn append(&self, bufs: &[IoSlice<'_>]) -> Result<Appended, Errno> {
        self.write(bufs, None)
    }

    fn stat(&self) -> Result<FileStat, Errno> {
        self.handle.lock().stat(self.handle.ino())
    }

    fn set_len(&self, len: u64) -> Result<(), Errno> {
        let mut tree = self.lock_to_write().map_err(|_| Errno::Inval)?;
        set_len(&mut tree, self.handle.ino(), len)
    }

    fn set_times(&self, atim: TimeSpec, mtim: TimeSpec) -> Result<(), Errno> {
        self.handle.lock().set_times(self.handle.ino(), atim, mtim)
    }

    /// All in one step, or nothing: the budget bounds it.
    fn allocate_some(&self, position: u64, len: u64, _: u64) -> Result<u64, Errno> {
        let (position, len) = (signed(position)?, signed(len)?);
        if len == 0 {
            return Err(Errno::Inval);
        }
        let mut tree = self.lock_to_write()?;
        let (content, budget) = content_mut(&mut tree, self.handle.ino())?;
        content.allocate(position, len, budget)?;
        Ok(len)
    }

    fn advise(&self, position: u64, len: u64, _: Advice) -> Result<(), Errno> {
        signed(position).and(signed(len)).map(drop)
    }

    fn sync(&self) -> Result<(), Errno> {
        Ok(())
    }

    fn datasync(&self) -> Result<(), Errno> {
        Ok(())
    }

    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// Sets the length of a file.
pub(super) fn set_len(tree: &mut Tree, ino: Ino, len: u64) -> Result<(), Errno> {
    let (content, budget) = content_mut(tree, ino)?;
    content.set_len(len, budget)?;
    tree.touch(ino)
}

/// The data of a file, and what it is paid from.
fn content_mut(tree: &mut Tree, ino: Ino) -> Result<(&mut Content, &mut Budget), Errno> {
    match tree.node_mut(ino)? {
        (Node { body: Body::File(content), .. }, budget) => Ok((content, budget)),
        _ => Err(Errno::Isdir),
    }
}
