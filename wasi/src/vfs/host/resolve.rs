//! How a guest path is followed on the host without leaving the directory it starts from.
//!
//! There are two [`Resolver`]s: `openat2` lets the kernel do it, `walker` goes component by component where it is too
//! old or not allowed to. `choice` says which. What both need is here.
//!
//! Everything else about the host is written against the two operations of the trait. They have in common:
//! * a resolution that would leave `root` is [`Errno::Perm`], and this is the only place where `EXDEV` becomes that;
//! * what a second system call acts on is a [`Basename`] relative to a descriptor, never a string with a slash;
//! * every descriptor is close-on-exec and never becomes a controlling terminal.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno as HostErrno;

use crate::errno::Errno;
use crate::vfs::path::{Basename, GuestPath};
use crate::vfs::place;

/// Follows guest paths from a directory of the host.
pub(super) trait Resolver: std::fmt::Debug + Send + Sync {
    /// What to call it in reports.
    fn name(&self) -> &'static str;

    /// Opens `path` with `flags` (access mode, creation flags and status flags; no `O_PATH`), creating with `mode`.
    /// `O_NOFOLLOW` says that the last component is not followed, unless slashes come after it.
    ///
    /// # Errors
    /// As `open(2)`, but [`Errno::Perm`] for a path that would leave `root`.
    fn open(
        &self,
        root: BorrowedFd<'_>,
        path: &GuestPath,
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd, Errno>;

    /// Finds the place that `path` names without requiring that there is anything. With `follow`, a symbolic link
    /// there is followed (also to a place where there is nothing yet), without it is the link's own place that is
    /// found, slashes after it or not.
    ///
    /// # Errors
    /// As [`Resolver::open`] for everything but the last component.
    fn place<'root>(
        &self,
        root: BorrowedFd<'root>,
        path: &GuestPath,
        follow: bool,
    ) -> Result<Place<'root>, Errno>;
}

/// A place in a tree of the host.
pub(super) type Place<'root> = place::Place<DirFd<'root>>;

/// A directory on the way: the one the resolution started from, or one opened for it. May be good for nothing but
/// being the base of `*at` calls.
#[derive(Debug)]
pub(super) enum DirFd<'root> {
    /// Where the resolution started.
    Root(BorrowedFd<'root>),
    /// Opened on the way.
    Opened(OwnedFd),
}

impl AsFd for DirFd<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            DirFd::Root(fd) => *fd,
            DirFd::Opened(fd) => fd.as_fd(),
        }
    }
}

/// What a directory on the way is opened with: no right but to go on from it.
pub(super) const STEP: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Added to every file opened for a guest.
pub(super) const ALWAYS: OFlags = OFlags::CLOEXEC.union(OFlags::NOCTTY);

/// Reads the target of `name` in `dir`; `None` if it is not a symbolic link.
pub(super) fn read_link_at(dir: BorrowedFd<'_>, name: &Basename) -> Result<Option<Vec<u8>>, Errno> {
    match rustix::fs::readlinkat(dir, name.as_bytes(), Vec::new()) {
        Ok(target) => Ok(Some(target.into_bytes())),
        Err(HostErrno::INVAL) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
