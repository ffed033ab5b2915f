//! A directory together with the permission it is granted with.
//!
//! [`Mount::root`] gives the [`Dir`] that belongs in a file-descriptor table. It passes everything on to the backend,
//! and so do the directories and files opened from it, but each operation that changes anything first asks
//! [`Mount::require_write`], the one place where that is decided. There is one bit, [`Perm`], for directories and files
//! alike: finer matrices have led to vulnerabilities where a file opened "for reading" could still be truncated, or be
//! linked into a writable directory and written there.
//!
//! # The code of a refusal
//! A refused change of a name or of a timestamp is [`Errno::Perm`]. `EROFS` would say more, but `EPERM` is what programs
//! and tests written for the most used runtime expect, and what every other refusal of the sandbox says. Data is
//! different: a file of a read-only mount cannot have been opened for writing, and writing to such a file is
//! [`Errno::Badf`] everywhere.

use std::any::Any;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::errno::Errno;
use crate::vfs::dir::{Dir, DirEntry, OpenHow, Opened};
use crate::vfs::file::{Advice, Appended, File};
use crate::vfs::path::GuestPath;
use crate::vfs::stat::{FileKind, FileStat, TimeSpec};

/// What a guest may do with a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Perm {
    /// Look, but change nothing: neither contents nor names nor timestamps.
    ReadOnly,
    /// Everything that the host's permissions allow to this process.
    ReadWrite,
}

/// What a mount grants. Names and files move between two mounts only if they grant the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grant {
    perm: Perm,
    symlinks: bool,
    hard_links: bool,
}

/// A directory of some backend, granted with a permission.
#[derive(Clone, Debug)]
pub struct Mount {
    dir: Arc<dyn Dir>,
    grant: Grant,
}

impl Mount {
    /// Grants `dir`, which must come from a backend and not from another mount, with `perm`.
    pub fn new(dir: Arc<dyn Dir>, perm: Perm) -> Mount {
        Mount { dir, grant: Grant { perm, symlinks: true, hard_links: true } }
    }

    /// Sets whether the guest may create symbolic links, by default yes. The sandbox never follows one to the outside,
    /// but programs of the host that look into the directory later will.
    #[must_use]
    pub fn allow_symlinks(mut self, allow: bool) -> Mount {
        self.grant.symlinks = allow;
        self
    }

    /// Sets whether the guest may create hard links, by default yes.
    #[must_use]
    pub fn allow_hard_links(mut self, allow: bool) -> Mount {
        self.grant.hard_links = allow;
        self
    }

    /// The permission it was granted with.
    pub fn perm(&self) -> Perm {
        self.grant.perm
    }

    /// The directory to hand to a guest.
    pub fn root(&self) -> Arc<dyn Dir> {
        Arc::new(MountedDir { mount: self.clone() })
    }

    /// The one decision whether something may be changed through this mount.
    ///
    /// # Errors
    /// [`Errno::Perm`] if not.
    pub fn require_write(&self) -> Result<(), Errno> {
        self.grant.require_write()
    }
}

impl Grant {
    fn require_write(self) -> Result<(), Errno> {
        match self.perm {
            Perm::ReadWrite => Ok(()),
            Perm::ReadOnly => Err(Errno::Perm),
        }
    }
}

/// A directory seen through a mount.
#[derive(Debug)]
struct MountedDir {
    /// The mount, whose directory is this one and not necessarily the root.
    mount: Mount,
}

impl MountedDir {
    /// The directory, if it may be changed.
    fn writable(&self) -> Result<&dyn Dir, Errno> {
        self.mount.require_write()?;
        Ok(&*self.mount.dir)
    }

    /// The directory behind `to`, if names may go there from here.
    fn peer<'to>(&self, to: &'to dyn Dir) -> Result<&'to dyn Dir, Errno> {
        let to: &dyn Any = to;
        let to = to.downcast_ref::<MountedDir>().ok_or(Errno::Xdev)?;
        let dir = to.writable()?;
        if to.mount.grant != self.mount.grant {
            return Err(Errno::Perm);
        }
        Ok(dir)
    }
}

impl Dir for MountedDir {
    fn open(&self, path: &GuestPath, how: &OpenHow) -> Result<Opened, Errno> {
        how.validate()?;
        if how.writes() {
            self.mount.require_write()?;
        }
        let grant = self.mount.grant;
        Ok(match self.mount.dir.open(path, how)? {
            Opened::Dir(dir) => Opened::Dir(Arc::new(MountedDir { mount: Mount { dir, grant } })),
            Opened::File(file) => Opened::File(Arc::new(MountedFile { file, grant })),
        })
    }

    fn metadata(&self, path: &GuestPath, follow: bool) -> Result<FileStat, Errno> {
        self.mount.dir.metadata(path, follow)
    }

    fn set_times(&self, path: &GuestPath, follow: bool, atim: TimeSpec, mtim: TimeSpec) -> Result<(), Errno> {
        self.writable()?.set_times(path, follow, atim, mtim)
    }

    fn create_dir(&self, path: &GuestPath) -> Result<(), Errno> {
        self.writable()?.create_dir(path)
    }

    fn remove_dir(&self, path: &GuestPath) -> Result<(), Errno> {
        self.writable()?.remove_dir(path)
    }

    fn unlink(&self, path: &GuestPath) -> Result<(), Errno> {
        self.writable()?.unlink(path)
    }

    fn symlink(&self, target: &[u8], path: &GuestPath) -> Result<(), Errno> {
        let dir = self.writable()?;
        if !self.mount.grant.symlinks {
            return Err(Errno::Perm);
        }
        dir.symlink(target, path)
    }

    fn read_link(&self, path: &GuestPath) -> Result<Vec<u8>, Errno> {
        self.mount.dir.read_link(path)
    }

    fn link(&self, old: &GuestPath, to: &dyn Dir, new: &GuestPath) -> Result<(), Errno> {
        let dir = self.writable()?;
        let peer = self.peer(to)?;
        if !self.mount.grant.hard_links {
            return Err(Errno::Perm);
        }
        dir.link(old, peer, new)
    }

    fn rename(&self, old: &GuestPath, to: &dyn Dir, new: &GuestPath) -> Result<(), Errno> {
        self.writable()?.rename(old, self.peer(to)?, new)
    }

    fn entries(&self, max_bytes: usize) -> Result<Vec<DirEntry>, Errno> {
        self.mount.dir.entries(max_bytes)
    }

    fn self_stat(&self) -> Result<FileStat, Errno> {
        self.mount.dir.self_stat()
    }

    fn self_set_times(&self, atim: TimeSpec, mtim: TimeSpec) -> Result<(), Errno> {
        self.writable()?.self_set_times(atim, mtim)
    }

    fn sync(&self) -> Result<(), Errno> {
        self.mount.dir.sync()
    }

    fn datasync(&self) -> Result<(), Errno> {
        self.mount.dir.datasync()
    }
}

/// A file seen through a mount.
#[derive(Debug)]
struct MountedFile {
    file: Arc<dyn File>,
    grant: Grant,
}

impl MountedFile {
    /// The file, if its data may be changed.
    fn writable(&self) -> Result<&dyn File, Errno> {
        // It was opened read-only, or it would not have been opened.
        self.grant.require_write().map_err(|_| Errno::Badf)?;
        Ok(&*self.file)
    }
}

impl File for MountedFile {
    fn kind(&self) -> FileKind {
        self.file.kind()
    }

    fn read_at(&self, bufs: &mut [IoSliceMut<'_>], offset: u64) -> Result<usize, Errno> {
        self.file.read_at(bufs, offset)
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], offset: u64) -> Result<usize, Errno> {
        self.writable()?.write_at(bufs, offset)
    }

    fn append(&self, bufs: &[IoSlice<'_>]) -> Result<Appended, Errno> {
        self.writable()?.append(bufs)
    }

    fn stat(&self) -> Result<FileStat, Errno> {
        self.file.stat()
    }

    fn size(&self) -> Result<u64, Errno> {
        self.file.size()
    }

    fn set_len(&self, len: u64) -> Result<(), Errno> {
        self.writable()?.set_len(len)
    }

    fn set_times(&self, atim: TimeSpec, mtim: TimeSpec) -> Result<(), Errno> {
        self.grant.require_write()?;
        self.file.set_times(atim, mtim)
    }

    fn allocate_some(&self, offset: u64, len: u64, done: u64) -> Result<u64, Errno> {
        self.writable()?.allocate_some(offset, len, done)
    }

    fn advise(&self, offset: u64, len: u64, advice: Advice) -> Result<(), Errno> {
        self.file.advise(offset, len, advice)
    }

    fn sync(&self) -> Result<(), Errno> {
        self.file.sync()
    }

    fn datasync(&self) -> Result<(), Errno> {
        self.file.datasync()
    }

    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        self.file.poll_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vfs::memfs::MemFs;

    #[test]
    fn one_bit_decides() {
        let mount = |perm| Mount::new(MemFs::default().root(), perm);
        assert_eq!(mount(Perm::ReadWrite).require_write(), Ok(()));
        assert_eq!(mount(Perm::ReadOnly).require_write(), Err(Errno::Perm));
    }

    #[test]
    fn what_is_opened_is_guarded_like_what_it_was_opened_from() {
        let fs = MemFs::default();
        fs.write("d/f", b"x").unwrap();
        let root = Mount::new(fs.root(), Perm::ReadOnly).root();
        let path = |text: &str| GuestPath::new(text.as_bytes()).unwrap();
        let Opened::Dir(below) = root.open(&path("d"), &OpenHow::default()).unwrap() else { panic!() };
        assert_eq!(below.unlink(&path("f")), Err(Errno::Perm));
        let Opened::File(file) = below.open(&path("f"), &OpenHow::default()).unwrap() else { panic!() };
        assert_eq!(file.set_len(0), Err(Errno::Badf));
        assert_eq!(fs.read("d/f", 9).unwrap(), b"x");
    }
}
