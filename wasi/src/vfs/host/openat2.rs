//! Path resolution by the Linux kernel: `openat2` with `RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS`.
//!
//! The kernel refuses to leave the starting directory at any moment of the walk, whatever is renamed under way and
//! whatever slashes follow a link, with `EXDEV`; it says `EAGAIN` when a rename elsewhere kept it from being sure. We
//! repeat a bounded number of times then and report [`Errno::Again`] in the end: falling back to another resolver would
//! let anyone who can rename choose which one is used.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno as HostErrno;

use super::resolve::{ALWAYS, DirFd, Place, Resolver, STEP, read_link_at};
use crate::errno::Errno;
use crate::vfs::path::{Component, GuestPath, MAX_LINKS};

/// How often an open is repeated that the kernel could not finish because of concurrent renames.
const ATTEMPTS: u32 = 128;

/// The kernel as a resolver.
#[derive(Debug)]
pub(super) struct Openat2 {
    resolve: ResolveFlags,
}

impl Openat2 {
    /// Goes wherever the tree below the starting directory goes.
    pub(super) const ANY_DEVICE: Openat2 =
        Openat2 { resolve: ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS) };

    /// Does not cross into another file system mounted below the starting directory.
    pub(super) const ONE_DEVICE: Openat2 =
        Openat2 { resolve: Openat2::ANY_DEVICE.resolve.union(ResolveFlags::NO_XDEV) };

    fn openat2(
        &self,
        root: BorrowedFd<'_>,
        path: &[u8],
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd, Errno> {
        // The kernel refuses a mode where nothing can be created.
        let mode = if flags.contains(OFlags::CREATE) { mode } else { Mode::empty() };
        for attempt in 0..ATTEMPTS {
            match rustix::fs::openat2(root, path, flags, mode, self.resolve) {
                Ok(fd) => return Ok(fd),
                Err(HostErrno::XDEV) => return Err(Errno::Perm),
                Err(HostErrno::INTR) => {}
                Err(HostErrno::AGAIN) => {
                    // Whoever renames has to get on with it first.
                    if attempt > 8 {
                        thread::yield_now();
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Errno::Again)
    }

    /// The place of the last component, not following it.
    fn parent<'root>(&self, root: BorrowedFd<'root>, path: &GuestPath) -> Result<Place<'root>, Errno> {
        let up = match path.split_last() {
            (parent, Component::Name(name)) => {
                let dir = match parent {
                    None => DirFd::Root(root),
                    Some(parent) => DirFd::Opened(self.openat2(root, parent, STEP, Mode::empty())?),
                };
                return Ok(Place::Named { dir, name, must_be_dir: path.must_be_dir() });
            }
            (_, Component::Here) => false,
            (_, Component::Up) => true,
        };
        let dir = DirFd::Opened(self.openat2(root, path.as_bytes(), STEP, Mode::empty())?);
        Ok(Place::Dots { dir, up })
    }
}

impl Resolver for Openat2 {
    fn name(&self) -> &'static str {
        "openat2"
    }

    fn open(
        &self,
        root: BorrowedFd<'_>,
        path: &GuestPath,
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd, Errno> {
        self.openat2(root, path.as_bytes(), flags | ALWAYS, mode)
    }

    fn place<'root>(
        &self,
        root: BorrowedFd<'root>,
        path: &GuestPath,
        follow: bool,
    ) -> Result<Place<'root>, Errno> {
        let mut place = self.parent(root, path)?;
        if !follow {
            return Ok(place);
        }
        let mut path = path.clone();
        for _ in 0..=MAX_LINKS {
            let Place::Named { dir, name, .. } = &place else { return Ok(place) };
            path = match read_link_at(dir.as_fd(), name) {
                Ok(Some(target)) => path.with_last_replaced(&target)?,
                Ok(None) | Err(Errno::Noent) => return Ok(place),
                Err(error) => return Err(error),
            };
            place = self.parent(root, &path)?;
        }
        Err(Errno::Loop)
    }
}

/// Whether this process can use `openat2` as we need it: by a real call, since the kernel may be too old or a filter on
/// system calls may refuse it with any error.
pub(super) fn works() -> bool {
    // From the root, where we may be sure to have a right to go on.
    let Ok(root) = rustix::fs::openat(CWD, "/", STEP, Mode::empty()) else { return false };
    let probe = |path: &str| {
        rustix::fs::openat2(&root, path, STEP, Mode::empty(), Openat2::ANY_DEVICE.resolve).map(drop)
    };
    // Whatever lets the call pass without knowing the flag would let the second path pass, too.
    probe(".") == Ok(()) && probe("..") == Err(HostErrno::XDEV)
}
