//! Path resolution component by component, for hosts whose kernel does not do it (see `openat2`).
//!
//! The walker keeps a stack of descriptors, one for each directory between the starting point and where it is. A name
//! is opened with `O_NOFOLLOW | O_DIRECTORY` relative to the top; a symbolic link is read and its components are put
//! before those that remain; `..` pops. It thereby never asks the kernel for `..`, never lets it follow a link, and
//! gives it no string but a [`Basename`]: it cannot get above the starting point even while directories are moved.
//!
//! What it costs beside time: one path may keep at most [`MAX_DEPTH`] directories open.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno as HostErrno;

use super::resolve::{ALWAYS, DirFd, Place, Resolver, STEP, read_link_at};
use crate::errno::Errno;
use crate::vfs::path::{Basename, Component, GuestPath, MAX_LINKS};
use crate::vfs::place::Follow;

/// How many directories deep one path may lead, so that a guest cannot use up the host's descriptors with one call.
/// Deeper trees can be reached in several steps.
const MAX_DEPTH: usize = 256;

/// How often an open is repeated when the place found turned into a symbolic link before it could be opened.
const ATTEMPTS: u32 = 128;

/// The resolver that takes no more than `openat`.
#[derive(Debug)]
pub(super) struct Walker;

impl Resolver for Walker {
    fn name(&self) -> &'static str {
        "walker"
    }

    fn open(
        &self,
        root: BorrowedFd<'_>,
        path: &GuestPath,
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd, Errno> {
        let create = flags.contains(OFlags::CREATE);
        let exclusive = create && flags.contains(OFlags::EXCL);
        let follow =
            Follow::to_open(!flags.contains(OFlags::NOFOLLOW), create, exclusive, path.must_be_dir());
        let flags = flags | ALWAYS | OFlags::NOFOLLOW;
        for _ in 0..ATTEMPTS {
            let result = match walk(root, path, follow)? {
                Place::Named { must_be_dir: true, .. } if create => return Err(Errno::Isdir),
                Place::Dots { .. } if exclusive => return Err(Errno::Exist),
                Place::Dots { .. } if create => return Err(Errno::Isdir),
                Place::Named { dir, name, must_be_dir } => {
                    let flags = if must_be_dir { flags | OFlags::DIRECTORY } else { flags };
                    let result = rustix::fs::openat(&dir, name.as_bytes(), flags, mode);
                    // A link where none was a moment ago. (With `O_DIRECTORY`, it is `ENOTDIR` that says so.)
                    let raced = follow != Follow::No
                        && matches!(result, Err(HostErrno::LOOP | HostErrno::NOTDIR))
                        && matches!(read_link_at(dir.as_fd(), &name), Ok(Some(_)));
                    if raced {
                        continue;
                    }
                    result
                }
                Place::Dots { dir, .. } => rustix::fs::openat(&dir, ".", flags, mode),
            };
            match result {
                Err(HostErrno::INTR) => {}
                result => return Ok(result?),
            }
        }
        Err(Errno::Again)
    }

    fn place<'root>(
        &self,
        root: BorrowedFd<'root>,
        path: &GuestPath,
        follow: bool,
    ) -> Result<Place<'root>, Errno> {
        walk(root, path, follow.into())
    }
}

/// Walks `path` to the place that it names.
fn walk<'root>(root: BorrowedFd<'root>, path: &GuestPath, follow: Follow) -> Result<Place<'root>, Errno> {
    let mut walk = Walk { root, stack: Vec::new() };
    let mut links = 0;
    // What is still to come, the next one last.
    let mut ahead: Vec<Component> = Vec::new();
    push_reversed(&mut ahead, path);
    let mut must_be_dir = path.must_be_dir();
    while let Some(component) = ahead.pop() {
        let last = ahead.is_empty();
        let name = match component {
            Component::Name(name) => name,
            Component::Here if last => return Ok(Place::Dots { dir: walk.into_top(), up: false }),
            Component::Here => continue,
            Component::Up => {
                walk.up()?;
                if last {
                    return Ok(Place::Dots { dir: walk.into_top(), up: true });
                }
                continue;
            }
        };
        let target = if last {
            if !follow.follows(must_be_dir) {
                return Ok(Place::Named { dir: walk.into_top(), name, must_be_dir });
            }
            match read_link_at(walk.top(), &name) {
                Ok(Some(target)) => target,
                Ok(None) | Err(Errno::Noent) => {
                    return Ok(Place::Named { dir: walk.into_top(), name, must_be_dir });
                }
                Err(error) => return Err(error),
            }
        } else {
            match walk.down(&name)? {
                Step::Taken => continue,
                Step::Link(target) => target,
            }
        };
        links += 1;
        if links > MAX_LINKS {
            return Err(Errno::Loop);
        }
        let target = GuestPath::new(&target)?;
        if last {
            must_be_dir |= target.must_be_dir();
        }
        push_reversed(&mut ahead, &target);
    }
    // A path has components, and each of them either goes on or has returned above.
    Err(Errno::Noent)
}

/// Puts the components of `path` before those that remain.
fn push_reversed(ahead: &mut Vec<Component>, path: &GuestPath) {
    let start = ahead.len();
    ahead.extend(path.components());
    ahead[start..].reverse();
}

/// The way from the starting point to where the walk is.
struct Walk<'root> {
    root: BorrowedFd<'root>,
    stack: Vec<OwnedFd>,
}

/// What became of a step down.
enum Step {
    /// The directory is the new top.
    Taken,
    /// There is a link with this target instead.
    Link(Vec<u8>),
}

impl<'root> Walk<'root> {
    fn top(&self) -> BorrowedFd<'_> {
        self.stack.last().map_or(self.root, AsFd::as_fd)
    }

    fn into_top(mut self) -> DirFd<'root> {
        self.stack.pop().map_or(DirFd::Root(self.root), DirFd::Opened)
    }

    fn up(&mut self) -> Result<(), Errno> {
        self.stack.pop().map(drop).ok_or(Errno::Perm)
    }

    fn down(&mut self, name: &Basename) -> Result<Step, Errno> {
        if self.stack.len() == MAX_DEPTH {
            return Err(Errno::Nametoolong);
        }
        for _ in 0..ATTEMPTS {
            match rustix::fs::openat(self.top(), name.as_bytes(), STEP | OFlags::NOFOLLOW, Mode::empty()) {
                Ok(dir) => {
                    self.stack.push(dir);
                    return Ok(Step::Taken);
                }
                Err(HostErrno::INTR) => {}
                // A link, a file, or something that changes while we look at it.
                Err(HostErrno::NOTDIR | HostErrno::LOOP | HostErrno::MLINK) => {
                    if let Some(target) = read_link_at(self.top(), name)? {
                        return Ok(Step::Link(target));
                    }
                    let stat = rustix::fs::statat(self.top(), name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW)?;
                    let kind = FileType::from_raw_mode(stat.st_mode);
                    if !matches!(kind, FileType::Directory | FileType::Symlink) {
                        return Err(Errno::Notdir);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Errno::Again)
    }
}
