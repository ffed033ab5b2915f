//! The virtual file system: what the 46 functions of preview 1 act on instead of the host's files.
//!
//! Two traits are the whole seam. A [`Dir`] is an open directory and the only root from which a path can be resolved;
//! a [`File`] is an open file or stream. The file-descriptor table holds `Arc<dyn Dir>` and `Arc<dyn File>`, keeps what
//! belongs to the guest's descriptor (position, append and non-blocking flags, rights, directory cookies), and calls
//! these traits with explicit offsets.
//!
//! | module | what it is |
//! |---|---|
//! | [`path`] | the grammar of guest paths, checked before any backend sees them |
//! | [`mount`] | a directory together with the permission it is granted with: **what the table must hold** |
//! | [`host`] | directories and files of the host, Unix only |
//! | `resolve`, `openat2`, `walker` | how a path is followed on the host without leaving the directory |
//! | [`memfs`] | a tree in memory, on every platform |
//!
//! # Invariants
//! * No operation reaches anything outside the directory it is called on: not through `..`, not through a symbolic
//!   link (of any target, on any component, with or without trailing slashes), and not while another process is moving
//!   directories and links about. An attempt is [`Errno::Perm`].
//! * A file system granted read-only is not changed through any call of these traits. Whether an operation is one that
//!   writes is decided once, in [`mount`].
//! * No number from the guest makes the host allocate without a bound: snapshots of directories, in-memory files and
//!   symbolic links all have caps.
//! * Nothing here waits for a stream: those are always opened non-blocking and say [`Errno::Again`]; waiting, with a
//!   deadline and a way to cancel, is the caller's (see [`File::poll_fd`]).
//!
//! # Trailing slashes
//! A path that ends in `/` names a directory ([`GuestPath::must_be_dir`]). As on Linux: opening and stat follow a final
//! link then; creating and removing a directory ignore the slash; `unlink` and `rename` of anything else are
//! [`Errno::Notdir`]; `link` and `symlink` to a new name are [`Errno::Noent`], to an existing one [`Errno::Exist`];
//! creating a file is [`Errno::Isdir`].

#[cfg(unix)]
pub mod host;
pub mod memfs;
pub mod mount;
#[cfg(target_os = "linux")]
mod openat2;
pub mod path;
#[cfg(unix)]
mod resolve;
#[cfg(unix)]
mod walker;

use std::any::Any;
use std::fmt::Debug;
use std::io::{IoSlice, IoSliceMut};
#[cfg(unix)]
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use crate::errno::Errno;

pub use mount::{Mount, Perm};
pub use path::{Basename, GuestPath};

/// What a file-system object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// The host says something that has no name here.
    Unknown,
    /// A block device.
    BlockDevice,
    /// A character device, such as a terminal.
    CharacterDevice,
    /// A directory.
    Directory,
    /// A regular file.
    Regular,
    /// A socket in the file system.
    Socket,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
}

impl FileKind {
    /// The number of the `filetype` of preview 1. It has none for a pipe: those are 0, `unknown`.
    pub const fn filetype(self) -> u8 {
        match self {
            FileKind::Unknown | FileKind::Fifo => 0,
            FileKind::BlockDevice => 1,
            FileKind::CharacterDevice => 2,
            FileKind::Directory => 3,
            FileKind::Regular => 4,
            FileKind::Socket => 6,
            FileKind::Symlink => 7,
        }
    }

    /// Whether data has positions (`read_at`, `write_at` honour the offset) rather than flowing by.
    pub const fn is_seekable(self) -> bool {
        matches!(self, FileKind::Regular | FileKind::BlockDevice)
    }
}

/// The attributes of a file-system object. Times are nanoseconds since 1970, clamped to what `u64` can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStat {
    /// The device. Together with `ino` it identifies the object.
    pub dev: u64,
    /// The serial number of the object on its device.
    pub ino: u64,
    /// What it is.
    pub kind: FileKind,
    /// How many names it has.
    pub nlink: u64,
    /// Size in bytes; of a symbolic link, the length of its target.
    pub size: u64,
    /// Time of the last access.
    pub atim: u64,
    /// Time of the last change of the data.
    pub mtim: u64,
    /// Time of the last change of data or attributes.
    pub ctim: u64,
}

/// What to do to one timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeSpec {
    /// Leave it.
    Omit,
    /// Set it to the time of the host's clock.
    Now,
    /// Set it to this many nanoseconds after 1970.
    At(u64),
}

/// How to open a path. The default opens for reading, follows no final link and creates nothing.
///
/// Neither `read` nor `write` set means: for reading, as far as the backend is concerned; rights are the table's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenHow {
    /// The data will be read.
    pub read: bool,
    /// The data will be written. On a directory this is [`Errno::Isdir`].
    pub write: bool,
    /// The descriptor will start in append mode. Only the permission check cares: appending is [`File::append`].
    pub append: bool,
    /// Create a regular file if there is nothing of that name. With `directory`, [`Errno::Inval`].
    pub create: bool,
    /// With `create`: fail with [`Errno::Exist`] if there is something, a symbolic link included.
    /// With `directory`, [`Errno::Inval`].
    pub exclusive: bool,
    /// Cut the file to length 0. This is writing, whatever `write` says. With `directory`, [`Errno::Inval`].
    pub truncate: bool,
    /// Fail with [`Errno::Notdir`] unless it is a directory.
    pub directory: bool,
    /// If the last component is a symbolic link, open what it points to; without this it is [`Errno::Loop`].
    pub follow_final_symlink: bool,
    /// The guest wants non-blocking I/O. Streams are opened that way whatever this says.
    pub nonblock: bool,
    /// Writes return when the data has reached the device.
    pub dsync: bool,
    /// Writes return when data and attributes have reached the device.
    pub sync: bool,
    /// Reads wait for pending writes of the same data to reach the device.
    pub rsync: bool,
}

impl OpenHow {
    /// Whether this can change the file system now or through the file it gives.
    pub const fn writes(&self) -> bool {
        self.write || self.append || self.create || self.truncate
    }

    /// Refuses combinations that have no meaning. Every backend calls this first.
    ///
    /// # Errors
    /// [`Errno::Inval`] for `directory` together with `create`, `exclusive` or `truncate`.
    pub const fn validate(&self) -> Result<(), Errno> {
        if self.directory && (self.create || self.exclusive || self.truncate) {
            return Err(Errno::Inval);
        }
        Ok(())
    }
}

/// What opening a path gave.
#[derive(Clone, Debug)]
pub enum Opened {
    /// A file, a stream or (where the mount allows it) a device.
    File(Arc<dyn File>),
    /// A directory.
    Dir(Arc<dyn Dir>),
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// Serial number, the same that [`FileStat::ino`] has for this name with `follow` off.
    pub ino: u64,
    /// What it is; of a symbolic link, the link.
    pub kind: FileKind,
    /// The name: bytes without `/` and NUL, not necessarily UTF-8.
    pub name: Vec<u8>,
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

/// An open directory, the root of every path given to it.
///
/// All paths are resolved from here and cannot leave: `..` above this directory and symbolic links to absolute targets
/// are [`Errno::Perm`]. A directory stays usable after it has been renamed; once removed, its operations on names are
/// [`Errno::Noent`]. Attributes set on creation are the host's defaults (0666 and 0777 less the umask); there is no way
/// to change them.
///
/// Implementations are not reached by guests directly but through [`Mount`], which checks the permission.
pub trait Dir: Any + Send + Sync + Debug {
    /// Opens `path`, creating it if `how` says so.
    ///
    /// # Errors
    /// As `open(2)`. Device nodes and other things that are neither file, directory nor pipe are [`Errno::Acces`]
    /// unless the backend was told to allow them.
    fn open(&self, path: &GuestPath, how: &OpenHow) -> Result<Opened, Errno>;

    /// The attributes of what `path` names; of the link itself if it is one and `follow` is off.
    ///
    /// # Errors
    /// As `stat(2)`.
    fn metadata(&self, path: &GuestPath, follow: bool) -> Result<FileStat, Errno>;

    /// Sets access and modification time of what `path` names; of the link itself if it is one and `follow` is off.
    ///
    /// # Errors
    /// As `utimensat(2)`. Times that the file system cannot store are clamped, not refused.
    fn set_times(&self, path: &GuestPath, follow: bool, atim: TimeSpec, mtim: TimeSpec) -> Result<(), Errno>;

    /// Makes a directory.
    ///
    /// # Errors
    /// [`Errno::Exist`] if there is anything of that name, a dangling link included.
    fn create_dir(&self, path: &GuestPath) -> Result<(), Errno>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// [`Errno::Notdir`] if it is something else, a link to a directory included; [`Errno::Notempty`].
    fn remove_dir(&self, path: &GuestPath) -> Result<(), Errno>;

    /// Removes the name of something that is not a directory.
    ///
    /// # Errors
    /// [`Errno::Isdir`] (on some hosts [`Errno::Perm`]) for a directory.
    fn unlink(&self, path: &GuestPath) -> Result<(), Errno>;

    /// Makes the symbolic link `path` that points to `target`, which need not exist and may lead outside (nothing here
    /// will follow it there; programs of the host will).
    ///
    /// # Errors
    /// [`Errno::Perm`] if `target` is absolute; otherwise as [`GuestPath`] for the target and `symlink(2)` for the rest.
    fn symlink(&self, target: &[u8], path: &GuestPath) -> Result<(), Errno>;

    /// The whole target of a symbolic link. The caller cuts it to the guest's buffer.
    ///
    /// # Errors
    /// [`Errno::Inval`] if `path` is no link; [`Errno::Perm`] if its target is absolute: that is a path of the host,
    /// which is none of the guest's business and of no use to it.
    fn read_link(&self, path: &GuestPath) -> Result<Vec<u8>, Errno>;

    /// Gives `old` a second name `new`, resolved in `to`. A symbolic link is itself linked, never what it points to.
    ///
    /// # Errors
    /// [`Errno::Xdev`] if `to` belongs to another backend; [`Errno::Perm`] for a directory.
    fn link(&self, old: &GuestPath, to: &dyn Dir, new: &GuestPath) -> Result<(), Errno>;

    /// Renames `old` to `new`, resolved in `to`, replacing a file by a file and an empty directory by a directory.
    ///
    /// # Errors
    /// [`Errno::Xdev`] if `to` belongs to another backend; otherwise as `rename(2)`.
    fn rename(&self, old: &GuestPath, to: &dyn Dir, new: &GuestPath) -> Result<(), Errno>;

    /// All entries as they are now, `.` and `..` first; the order of the others is the backend's. `..` of a directory
    /// that was not opened from another one has the serial number of `.`.
    ///
    /// `max_bytes` bounds what the snapshot may hold, counting names and [`ENTRY_OVERHEAD`] for each.
    ///
    /// # Errors
    /// [`Errno::Nomem`] if it would be larger; otherwise as `getdents(2)`.
    fn entries(&self, max_bytes: usize) -> Result<Vec<DirEntry>, Errno>;

    /// The attributes of this directory.
    ///
    /// # Errors
    /// As `fstat(2)`.
    fn self_stat(&self) -> Result<FileStat, Errno>;

    /// Sets access and modification time of this directory.
    ///
    /// # Errors
    /// As `futimens(2)`.
    fn self_set_times(&self, atim: TimeSpec, mtim: TimeSpec) -> Result<(), Errno>;

    /// Waits until the directory has reached the device.
    ///
    /// # Errors
    /// As `fsync(2)`.
    fn sync(&self) -> Result<(), Errno>;

    /// As [`Dir::sync`], without attributes that are not needed to find the entries again.
    ///
    /// # Errors
    /// As `fdatasync(2)`.
    fn datasync(&self) -> Result<(), Errno>;
}

/// What one entry counts towards the bound of [`Dir::entries`] beside its name.
pub const ENTRY_OVERHEAD: usize = size_of::<DirEntry>();

/// An open file or stream. It has no position of its own and may be shared between descriptors and threads.
///
/// Access is checked: reading what was not opened for reading and writing what was not opened for writing is
/// [`Errno::Badf`]. (Neither `read` nor `write` in [`OpenHow`] counts as `read`.)
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
    /// if it was not opened for writing, [`Errno::Notsup`] where the host or its file system cannot.
    fn allocate(&self, offset: u64, len: u64) -> Result<(), Errno>;

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
    #[cfg(unix)]
    fn poll_fd(&self) -> Option<BorrowedFd<'_>>;
}

/// What becomes of a symbolic link that is the last component of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Follow {
    /// It is what the path names.
    No,
    /// It is followed.
    Yes,
    /// As `Yes`, for opening something that may have to be created: with slashes after it nothing is followed, since a
    /// file cannot be created there anyway. (Linux decides so, on the way, before it looks what is there.)
    ToCreate,
}

impl Follow {
    /// What `open` does, given what is asked of it and whether the path ends in slashes.
    pub(crate) const fn to_open(follow: bool, create: bool, exclusive: bool, must_be_dir: bool) -> Follow {
        match (create, exclusive) {
            (true, true) => Follow::No,
            (true, false) if follow => Follow::ToCreate,
            (false, _) if follow || must_be_dir => Follow::Yes,
            _ => Follow::No,
        }
    }

    /// Whether a link with or without slashes after it is followed.
    pub(crate) const fn follows(self, must_be_dir: bool) -> bool {
        match self {
            Follow::No => false,
            Follow::Yes => true,
            Follow::ToCreate => !must_be_dir,
        }
    }
}

impl From<bool> for Follow {
    fn from(follow: bool) -> Follow {
        if follow { Follow::Yes } else { Follow::No }
    }
}

/// Checks the target of a new symbolic link; every backend calls this first.
///
/// # Errors
/// [`Errno::Noent`] if it is empty, [`Errno::Inval`] with a NUL in it, [`Errno::Nametoolong`] if it is longer than a
/// path may be, [`Errno::Perm`] if it is absolute.
pub(crate) fn check_link_target(target: &[u8]) -> Result<(), Errno> {
    match target {
        [] => Err(Errno::Noent),
        _ if target.len() > path::MAX_PATH => Err(Errno::Nametoolong),
        _ if target.contains(&0) => Err(Errno::Inval),
        [b'/', ..] => Err(Errno::Perm),
        _ => Ok(()),
    }
}
