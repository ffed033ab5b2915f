//! Open directories, as every backend gives them: the roots from which paths are followed.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use crate::errno::Errno;
use crate::vfs::file::File;
use crate::vfs::path::{GuestPath, MAX_PATH};
use crate::vfs::stat::{FileKind, FileStat, TimeSpec};

/// An open directory, the root of every path given to it.
///
/// All paths are resolved from here and cannot leave: `..` above this directory and symbolic links to absolute targets
/// are [`Errno::Perm`]. A directory stays usable after it has been renamed; once removed, its operations on names are
/// [`Errno::Noent`]. Attributes set on creation are the host's defaults (0666 and 0777 less the umask); there is no way
/// to change them.
///
/// Implementations are not reached by guests directly but through [`Mount`](crate::vfs::Mount), which checks the
/// permission.
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

/// What one entry counts towards the bound of [`Dir::entries`] beside its name.
pub const ENTRY_OVERHEAD: usize = size_of::<DirEntry>();

/// A snapshot of a directory while it is taken. What all backends have in common: the first two entries, and the bound.
#[derive(Debug)]
pub struct Listing {
    entries: Vec<DirEntry>,
    room: usize,
}

impl Listing {
    /// A snapshot that may hold so many bytes, as [`Dir::entries`] counts them.
    pub fn new(max_bytes: usize) -> Listing {
        let dots =
            [&b"."[..], b".."].map(|name| DirEntry { ino: 0, kind: FileKind::Directory, name: name.into() });
        Listing { entries: dots.into(), room: max_bytes.saturating_sub(2 * (ENTRY_OVERHEAD + 2)) }
    }

    /// Adds an entry that is neither `.` nor `..`.
    ///
    /// # Errors
    /// [`Errno::Nomem`] if there is no room for it.
    pub fn push(&mut self, ino: u64, kind: FileKind, name: &[u8]) -> Result<(), Errno> {
        self.room = self.room.checked_sub(ENTRY_OVERHEAD + name.len()).ok_or(Errno::Nomem)?;
        self.entries.push(DirEntry { ino, kind, name: name.into() });
        Ok(())
    }

    /// All entries, given the serial numbers of the directory itself and of the one above.
    pub fn finish(mut self, own: u64, above: u64) -> Vec<DirEntry> {
        for (dots, ino) in self.entries.iter_mut().zip([own, above]) {
            dots.ino = ino;
        }
        self.entries
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
        _ if target.len() > MAX_PATH => Err(Errno::Nametoolong),
        _ if target.contains(&0) => Err(Errno::Inval),
        [b'/', ..] => Err(Errno::Perm),
        _ => Ok(()),
    }
}
