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
//! | `dir`, `file`, `stat` | the two traits, and what they speak of |
//! | `place` | where a path leads, for those who follow it |
//! | [`host`] | directories and files of the host |
//! | [`memfs`] | a tree in memory |
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
//!
//! [`Errno::Perm`]: crate::Errno::Perm
//! [`Errno::Again`]: crate::Errno::Again
//! [`Errno::Notdir`]: crate::Errno::Notdir
//! [`Errno::Noent`]: crate::Errno::Noent
//! [`Errno::Exist`]: crate::Errno::Exist
//! [`Errno::Isdir`]: crate::Errno::Isdir

mod dir;
mod file;
pub mod host;
pub mod memfs;
pub mod mount;
pub mod path;
mod place;
mod stat;

pub use dir::{Dir, DirEntry, ENTRY_OVERHEAD, Listing, OpenHow, Opened};
pub use file::{Advice, Appended, File};
pub use mount::{Mount, Perm};
pub use path::{Basename, GuestPath};
pub use stat::{FileKind, FileStat, TimeSpec};
