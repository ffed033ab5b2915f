//! What file systems say of an object: what it is, its attributes, its times.
//!
//! In the words of this crate, between those of the backends and those of preview 1.

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

impl FileStat {
    /// The attributes of what is in no file system: none but what it is and how much can be read.
    pub const fn nowhere(kind: FileKind, size: u64) -> FileStat {
        FileStat { dev: 0, ino: 0, kind, nlink: 1, size, atim: 0, mtim: 0, ctim: 0 }
    }
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
