//! The guest's descriptors.
//!
//! Invariants: a new descriptor has the lowest free number; there are never more than the limit; a number that is not
//! open is `EBADF`, whatever is done with it. What the host grants has a number as long as the limit allows; what the
//! guest opens, only as long as the host keeps some descriptors for itself. Position, flags and rights belong to the
//! guest's descriptor, not to the file behind it.
//!
//! # Rights
//! The rights of preview 1 are on their way out and no boundary is built on them (that is the mount's permission). They
//! are reported in full, because C libraries ask for no more than what a preopened directory says that it can inherit.
//! They can be reduced, never raised, and these are honoured: `FD_READ` and `FD_WRITE` (without: `EBADF`), `FD_SEEK`
//! and `FD_TELL`, and `PATH_FILESTAT_SET_SIZE` of the directory for truncating in `path_open` (without:
//! `ENOTCAPABLE`). Asking `path_open` for rights that are not there is no error: they are just not given.

use crate::abi::{fdflags, rights};
use crate::stdio::Stream;
use crate::vfs::{Dir, DirEntry, ENTRY_OVERHEAD, File, FileKind};
use crate::{Errno, limits::Limits};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// Rights that make sense on a file.
const FILE_RIGHTS: u64 = rights::FD_DATASYNC
    | rights::FD_READ
    | rights::FD_SEEK
    | rights::FD_FDSTAT_SET_FLAGS
    | rights::FD_SYNC
    | rights::FD_TELL
    | rights::FD_WRITE
    | rights::FD_ADVISE
    | rights::FD_ALLOCATE
    | rights::FD_FILESTAT_GET
    | rights::FD_FILESTAT_SET_SIZE
    | rights::FD_FILESTAT_SET_TIMES
    | rights::POLL_FD_READWRITE;

/// Rights that need a position or a size.
const SEEKABLE_RIGHTS: u64 = rights::FD_SEEK
    | rights::FD_TELL
    | rights::FD_ADVISE
    | rights::FD_ALLOCATE
    | rights::FD_FILESTAT_SET_SIZE
    | rights::FD_FILESTAT_SET_TIMES;

/// Rights that make sense on a directory: neither seeking nor a size.
const DIR_RIGHTS: u64 = rights::FD_FDSTAT_SET_FLAGS
    | rights::FD_SYNC
    | rights::FD_DATASYNC
    | rights::FD_ADVISE
    | rights::PATH_CREATE_DIRECTORY
    | rights::PATH_CREATE_FILE
    | rights::PATH_LINK_SOURCE
    | rights::PATH_LINK_TARGET
    | rights::PATH_OPEN
    | rights::FD_READDIR
    | rights::PATH_READLINK
    | rights::PATH_RENAME_SOURCE
    | rights::PATH_RENAME_TARGET
    | rights::PATH_FILESTAT_GET
    | rights::PATH_FILESTAT_SET_SIZE
    | rights::PATH_FILESTAT_SET_TIMES
    | rights::FD_FILESTAT_GET
    | rights::FD_FILESTAT_SET_TIMES
    | rights::PATH_SYMLINK
    | rights::PATH_REMOVE_DIRECTORY
    | rights::PATH_UNLINK_FILE
    | rights::POLL_FD_READWRITE;

/// Rights of a connection.
const CONNECTION_RIGHTS: u64 = rights::FD_READ
    | rights::FD_WRITE
    | rights::FD_FDSTAT_SET_FLAGS
    | rights::FD_FILESTAT_GET
    | rights::POLL_FD_READWRITE
    | rights::SOCK_SHUTDOWN;

/// What a descriptor refers to.
#[derive(Debug)]
pub(crate) enum Object {
    /// A standard stream.
    Stream(Stream),
    /// A file or stream of the file system, and where the guest is in it.
    File { file: Arc<dyn File>, position: u64 },
    /// A directory.
    Dir(OpenDir),
    /// A listening socket.
    Listener(TcpListener),
    /// A connected socket.
    Connection(TcpStream),
}

/// An open directory.
#[derive(Debug)]
pub(crate) struct OpenDir {
    pub dir: Arc<dyn Dir>,
    /// The name that the guest knows it by, if it was open from the start.
    pub preopen: Option<Arc<[u8]>>,
    /// The entries as they were when the guest began to read them: it may go back to any cookie it has seen.
    pub listing: Option<Arc<[DirEntry]>>,
}

/// An open descriptor.
#[derive(Debug)]
pub(crate) struct Descriptor {
    pub object: Object,
    /// `fdflags` that the guest sees and that reading and writing honour.
    pub flags: u64,
    pub rights: u64,
    pub inheriting: u64,
}

impl Descriptor {
    pub fn stream(stream: Stream) -> Descriptor {
        let direction = if stream.is_input() { rights::FD_READ } else { rights::FD_WRITE };
        let rights = (FILE_RIGHTS & !SEEKABLE_RIGHTS & !(rights::FD_READ | rights::FD_WRITE)) | direction;
        Descriptor { object: Object::Stream(stream), flags: 0, rights, inheriting: 0 }
    }

    pub fn preopen(dir: Arc<dyn Dir>, name: Arc<[u8]>) -> Descriptor {
        let object = Object::Dir(OpenDir { dir, preopen: Some(name), listing: None });
        Descriptor { object, flags: 0, rights: DIR_RIGHTS, inheriting: DIR_RIGHTS | FILE_RIGHTS }
    }

    /// A directory opened from one whose inheriting rights are given.
    pub fn dir(dir: Arc<dyn Dir>, flags: u64, inherited: u64) -> Descriptor {
        let object = Object::Dir(OpenDir { dir, preopen: None, listing: None });
        Descriptor { object, flags, rights: DIR_RIGHTS & inherited, inheriting: inherited }
    }

    /// A file opened from a directory whose inheriting rights are given, for reading, writing or both.
    pub fn file(file: Arc<dyn File>, flags: u64, read: bool, write: bool, inherited: u64) -> Descriptor {
        let mut rights = FILE_RIGHTS & inherited;
        if !read {
            rights &= !rights::FD_READ;
        }
        if !write {
            rights &= !(rights::FD_WRITE | rights::FD_ALLOCATE | rights::FD_FILESTAT_SET_SIZE);
        }
        if !file.kind().is_seekable() {
            rights &= !SEEKABLE_RIGHTS;
        }
        Descriptor { object: Object::File { file, position: 0 }, flags, rights, inheriting: 0 }
    }

    pub fn listener(listener: TcpListener) -> Descriptor {
        let rights = rights::FD_READ
            | rights::SOCK_ACCEPT
            | rights::FD_FDSTAT_SET_FLAGS
            | rights::FD_FILESTAT_GET
            | rights::POLL_FD_READWRITE;
        Descriptor { object: Object::Listener(listener), flags: 0, rights, inheriting: CONNECTION_RIGHTS }
    }

    pub fn connection(connection: TcpStream, flags: u64) -> Descriptor {
        Descriptor { object: Object::Connection(connection), flags, rights: CONNECTION_RIGHTS, inheriting: 0 }
    }

    pub fn nonblock(&self) -> bool {
        self.flags & fdflags::NONBLOCK != 0
    }

    /// What it is, for `fdstat`.
    pub fn kind(&self) -> FileKind {
        match &self.object {
            Object::Stream(stream) => stream.kind(),
            Object::File { file, .. } => file.kind(),
            Object::Dir(_) => FileKind::Directory,
            Object::Listener(_) | Object::Connection(_) => FileKind::Socket,
        }
    }

    /// `EBADF` unless the right to read or to write is there.
    pub fn require_direction(&self, right: u64) -> Result<(), Errno> {
        if self.rights & right == 0 { Err(Errno::Badf) } else { Ok(()) }
    }
}

/// The descriptors of one guest, by number.
#[derive(Debug)]
pub(crate) struct FdTable {
    slots: Vec<Option<Descriptor>>,
    /// No slot below this is free.
    lowest: usize,
    /// How many descriptors there may be.
    limit: usize,
    /// How many of them there may be for the guest to open another one.
    room: usize,
}

/// Of so many descriptors that this process may have, a guest leaves some: host calls need them for directories on the
/// way and for waiting, the engine for code and memory, and whoever embeds both for what they do beside. A process that
/// may have few has to make do with less, in proportion.
fn reserve(host: u64) -> u64 {
    (host / 4).min(64)
}

impl FdTable {
    pub fn new(limits: &Limits) -> FdTable {
        let host = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        // Both are at most a `u32`.
        let room = (host - reserve(host)).min(limits.fds.into()) as usize;
        FdTable { slots: Vec::new(), lowest: 0, limit: limits.fds as usize, room }
    }

    /// `EMFILE` if the guest can open no further descriptor. Asked before anything is opened on the host.
    pub fn require_room(&self) -> Result<(), Errno> {
        if self.lowest_free() < self.room { Ok(()) } else { Err(Errno::Mfile) }
    }

    fn lowest_free(&self) -> usize {
        let taken = self.slots[self.lowest..].iter().position(Option::is_none);
        taken.map_or(self.slots.len(), |offset| self.lowest + offset)
    }

    /// Gives what the guest has opened the lowest free number.
    pub fn insert(&mut self, descriptor: Descriptor) -> Result<u32, Errno> {
        self.require_room()?;
        self.grant(descriptor)
    }

    /// Gives what the host grants the lowest free number: it is open already, and takes nothing away from the host.
    pub fn grant(&mut self, descriptor: Descriptor) -> Result<u32, Errno> {
        let fd = self.lowest_free();
        if fd >= self.limit {
            return Err(Errno::Mfile);
        }
        if fd == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[fd] = Some(descriptor);
        self.lowest = fd + 1;
        // The limit is a `u32`.
        Ok(fd as u32)
    }

    #[inline]
    pub fn get(&self, fd: u32) -> Result<&Descriptor, Errno> {
        self.slots.get(fd as usize).and_then(Option::as_ref).ok_or(Errno::Badf)
    }

    #[inline]
    pub fn get_mut(&mut self, fd: u32) -> Result<&mut Descriptor, Errno> {
        self.slots.get_mut(fd as usize).and_then(Option::as_mut).ok_or(Errno::Badf)
    }

    /// A descriptor that must be a directory, else `ENOTDIR`.
    pub fn dir(&self, fd: u32) -> Result<(&OpenDir, &Descriptor), Errno> {
        let descriptor = self.get(fd)?;
        match &descriptor.object {
            Object::Dir(dir) => Ok((dir, descriptor)),
            _ => Err(Errno::Notdir),
        }
    }

    /// How much the snapshots of all open directories hold.
    pub fn listing_bytes(&self) -> usize {
        let objects = self.slots.iter().flatten().map(|descriptor| &descriptor.object);
        let listings = objects.filter_map(|object| match object {
            Object::Dir(open) => open.listing.as_deref(),
            _ => None,
        });
        listings.flatten().map(|entry| entry.name.len() + ENTRY_OVERHEAD).sum()
    }

    /// Frees the number. The file behind it closes with its last descriptor.
    pub fn remove(&mut self, fd: u32) -> Result<Descriptor, Errno> {
        let removed = self.slots.get_mut(fd as usize).and_then(Option::take).ok_or(Errno::Badf)?;
        self.lowest = self.lowest.min(fd as usize);
        Ok(removed)
    }

    /// Moves `from` to the number `to`, closing what was there. Both must be open.
    pub fn renumber(&mut self, from: u32, to: u32) -> Result<(), Errno> {
        self.get(from)?;
        self.get(to)?;
        if from != to {
            let moved = self.remove(from)?;
            *self.get_mut(to)? = moved;
        }
        Ok(())
    }
}
