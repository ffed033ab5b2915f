//! Directories of the host as a [`Dir`].
//!
//! The rules of each operation (what slashes, dots and links at the end mean) are written here once, over the two
//! primitives of `resolve`. All system calls that take a name take a [`Basename`].

use std::any::Any;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Mode, OFlags};

use super::attributes::{kind_of, set_times, set_times_at, stat_of};
use super::choice::{ResolverChoice, resolver};
use super::file::HostFile;
use super::resolve::{DirFd, Place, Resolver, read_link_at};

use crate::errno::Errno;
use crate::vfs::dir::{Dir, DirEntry, Listing, OpenHow, Opened, check_link_target};
use crate::vfs::path::{Basename, GuestPath};
use crate::vfs::stat::{FileKind, FileStat, TimeSpec};

/// What one can choose about a directory of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostOptions {
    /// How paths are followed.
    pub resolver: ResolverChoice,
    /// Whether device nodes may be opened. Off, opening one is [`Errno::Acces`], as on a file system mounted `nodev`.
    pub allow_devices: bool,
    /// Whether other file systems mounted below the directory are out of reach. Only the kernel's resolver can do
    /// that.
    pub one_device: bool,
}

/// An open directory of the host.
#[derive(Debug)]
pub struct HostDir {
    fd: OwnedFd,
    resolver: &'static dyn Resolver,
    options: HostOptions,
    /// Device and serial number of the directory that the host granted, whose `..` is nobody's business.
    granted: (u64, u64),
}

impl HostDir {
    /// Opens a directory by a path of the host, which is followed wherever it leads: this is the host's own decision
    /// what to grant.
    ///
    /// # Errors
    /// As `open(2)`; [`Errno::Notsup`] for an option that this host does not have.
    pub fn open_ambient(path: &Path, options: HostOptions) -> Result<HostDir, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        HostDir::from_fd(rustix::fs::openat(CWD, path, flags, Mode::empty())?, options)
    }

    /// Takes an open directory, which must be open for reading.
    ///
    /// # Errors
    /// [`Errno::Notdir`] if it is none, [`Errno::Notsup`] for an option that this host does not have.
    pub fn from_fd(fd: OwnedFd, options: HostOptions) -> Result<HostDir, Errno> {
        let resolver = resolver(options.resolver, options.one_device)?;
        let stat = stat_of(&rustix::fs::fstat(&fd)?);
        if stat.kind != FileKind::Directory {
            return Err(Errno::Notdir);
        }
        Ok(HostDir { fd, resolver, options, granted: (stat.dev, stat.ino) })
    }

    /// Who follows paths here: `openat2` (the kernel) or `walker`.
    pub fn resolver_name(&self) -> &'static str {
        self.resolver.name()
    }

    fn place(&self, path: &GuestPath, follow: bool) -> Result<Place<'_>, Errno> {
        self.resolver.place(self.fd.as_fd(), path, follow)
    }

    /// The place of something new, and whether slashes came after its name. Where dots are, there is something.
    fn new_place(&self, path: &GuestPath) -> Result<(DirFd<'_>, Basename, bool), Errno> {
        match self.place(path, false)? {
            Place::Named { dir, name, must_be_dir } => Ok((dir, name, must_be_dir)),
            Place::Dots { .. } => Err(Errno::Exist),
        }
    }

    /// As [`HostDir::new_place`], for what cannot be a directory.
    fn new_leaf(&self, path: &GuestPath) -> Result<(DirFd<'_>, Basename), Errno> {
        let (dir, name, must_be_dir) = self.new_place(path)?;
        if must_be_dir {
            return Err(match kind_at(&dir, &name) {
                Ok(_) => Errno::Exist,
                Err(error) => error,
            });
        }
        Ok((dir, name))
    }

    /// The place that `path` names for the purpose of looking at it or setting its attributes.
    fn attribute_place(&self, path: &GuestPath, follow: bool) -> Result<Place<'_>, Errno> {
        let follow = follow || path.must_be_dir();
        let place = self.place(path, follow)?;
        if place.must_be_dir() && stat_at(&place)?.kind != FileKind::Directory {
            return Err(Errno::Notdir);
        }
        Ok(place)
    }

    /// The other end of a link or rename, if it is one of ours and grants the same.
    fn peer<'to>(&self, to: &'to dyn Dir) -> Result<&'to HostDir, Errno> {
        let to: &dyn Any = to;
        let to = to.downcast_ref::<HostDir>().ok_or(Errno::Xdev)?;
        // A device node must not get to where devices may be opened.
        if to.options.allow_devices == self.options.allow_devices { Ok(to) } else { Err(Errno::Xdev) }
    }

    fn is_granted(&self, stat: &FileStat) -> bool {
        self.granted == (stat.dev, stat.ino)
    }
}

/// The host's flags for `how`. `O_NONBLOCK` is always among them, so that opening a pipe returns at once.
fn open_flags(how: &OpenHow) -> OFlags {
    let mut flags = OFlags::NONBLOCK
        | match (how.read, how.write) {
            (true, true) => OFlags::RDWR,
            (false, true) => OFlags::WRONLY,
            (_, false) => OFlags::RDONLY,
        };
    flags.set(OFlags::CREATE, how.create);
    flags.set(OFlags::EXCL, how.create && how.exclusive);
    flags.set(OFlags::TRUNC, how.truncate);
    flags.set(OFlags::DIRECTORY, how.directory);
    flags.set(OFlags::NOFOLLOW, !how.follow_final_symlink);
    flags.set(OFlags::SYNC, how.sync);
    flags.set(OFlags::DSYNC, how.dsync);
    flags.set(OFlags::RSYNC, how.rsync);
    flags
}

/// The attributes of what is at a place, of a link itself if it is one.
fn stat_at(place: &Place<'_>) -> Result<FileStat, Errno> {
    let stat = match place {
        Place::Dots { dir, .. } => rustix::fs::fstat(dir)?,
        Place::Named { dir, name, .. } => {
            rustix::fs::statat(dir, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW)?
        }
    };
    Ok(stat_of(&stat))
}

/// What `name` in `dir` is, a link being a link.
fn kind_at(dir: &DirFd<'_>, name: &Basename) -> Result<FileKind, Errno> {
    let stat = rustix::fs::statat(dir, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(stat_of(&stat).kind)
}

impl Dir for HostDir {
    fn open(&self, path: &GuestPath, how: &OpenHow) -> Result<Opened, Errno> {
        how.validate()?;
        let fd = self.resolver.open(self.fd.as_fd(), path, open_flags(how), Mode::from_raw_mode(0o666))?;
        let kind = stat_of(&rustix::fs::fstat(&fd)?).kind;
        match kind {
            FileKind::Directory => {
                let HostDir { resolver, options, granted, .. } = *self;
                return Ok(Opened::Dir(Arc::new(HostDir { fd, resolver, options, granted })));
            }
            FileKind::Regular | FileKind::Fifo => {}
            _ if self.options.allow_devices => {}
            _ => return Err(Errno::Acces),
        }
        Ok(Opened::File(Arc::new(HostFile::new(fd, kind)?)))
    }

    fn metadata(&self, path: &GuestPath, follow: bool) -> Result<FileStat, Errno> {
        // One look tells in the common case, whether links are to be followed or not.
        let mut place = self.place(path, false)?;
        let mut stat = stat_at(&place)?;
        if stat.kind == FileKind::Symlink && (follow || place.must_be_dir()) {
            place = self.place(path, true)?;
            stat = stat_at(&place)?;
        }
        if place.must_be_dir() && stat.kind != FileKind::Directory {
            return Err(Errno::Notdir);
        }
        Ok(stat)
    }

    fn set_times(&self, path: &GuestPath, follow: bool, atim: TimeSpec, mtim: TimeSpec) -> Result<(), Errno> {
        match self.attribute_place(path, follow)? {
            Place::Named { dir, name, .. } => set_times_at(dir.as_fd(), Some(&name), atim, mtim),
            Place::Dots { dir, .. } => set_times_at(dir.as_fd(), None, atim, mtim),
        }
    }

    fn create_dir(&self, path: &GuestPath) -> Result<(), Errno> {
        let (dir, name, _) = self.new_place(path)?;
        Ok(rustix::fs::mkdirat(dir, name.as_bytes(), Mode::from_raw_mode(0o777))?)
    }

    fn remove_dir(&self, path: &GuestPath) -> Result<(), Errno> {
        match self.place(path, false)? {
            Place::Named { dir, name, .. } => {
                Ok(rustix::fs::unlinkat(dir, name.as_bytes(), AtFlags::REMOVEDIR)?)
            }
            Place::Dots { up: false, .. } => Err(Errno::Inval),
            Place::Dots { up: true, .. } => Err(Errno::Notempty),
        }
    }

    fn unlink(&self, path: &GuestPath) -> Result<(), Errno> {
        match self.place(path, false)? {
            Place::Named { dir, name, must_be_dir: false } => {
                Ok(rustix::fs::unlinkat(dir, name.as_bytes(), AtFlags::empty())?)
            }
            Place::Named { dir, name, must_be_dir: true } => Err(match kind_at(&dir, &name)? {
                FileKind::Directory => Errno::Isdir,
                _ => Errno::Notdir,
            }),
            Place::Dots { .. } => Err(Errno::Isdir),
        }
    }

    fn symlink(&self, target: &[u8], path: &GuestPath) -> Result<(), Errno> {
        check_link_target(target)?;
        let (dir, name) = self.new_leaf(path)?;
        Ok(rustix::fs::symlinkat(target, dir, name.as_bytes())?)
    }

    fn read_link(&self, path: &GuestPath) -> Result<Vec<u8>, Errno> {
        // Slashes after a link mean what it points to, which is no link.
        let Place::Named { dir, name, must_be_dir: false } = self.attribute_place(path, false)? else {
            return Err(Errno::Inval);
        };
        let target = read_link_at(dir.as_fd(), &name)?.ok_or(Errno::Inval)?;
        if target.first() == Some(&b'/') { Err(Errno::Perm) } else { Ok(target) }
    }

    fn link(&self, old: &GuestPath, to: &dyn Dir, new: &GuestPath) -> Result<(), Errno> {
        let to = self.peer(to)?;
        let old = self.attribute_place(old, false)?;
        let is_dir = stat_at(&old)?.kind == FileKind::Directory;
        let (new_dir, new_name) = to.new_leaf(new)?;
        match old {
            Place::Named { dir, name, .. } if !is_dir => {
                let (name, new_name) = (name.as_bytes(), new_name.as_bytes());
                Ok(rustix::fs::linkat(dir, name, new_dir, new_name, AtFlags::empty())?)
            }
            // Refused by us, since some hosts let a superuser do it; what is in the way matters more, as on Linux.
            _ => Err(match kind_at(&new_dir, &new_name) {
                Ok(_) => Errno::Exist,
                Err(_) => Errno::Perm,
            }),
        }
    }

    fn rename(&self, old: &GuestPath, to: &dyn Dir, new: &GuestPath) -> Result<(), Errno> {
        let to = self.peer(to)?;
        let (old_place, new_place) = (self.place(old, false)?, to.place(new, false)?);
        let (
            Place::Named { dir: old_dir, name: old_name, must_be_dir: old_is_dir },
            Place::Named { dir: new_dir, name: new_name, must_be_dir: new_is_dir },
        ) = (old_place, new_place)
        else {
            return Err(Errno::Busy);
        };
        if (old_is_dir || new_is_dir) && kind_at(&old_dir, &old_name)? != FileKind::Directory {
            return Err(Errno::Notdir);
        }
        Ok(rustix::fs::renameat(old_dir, old_name.as_bytes(), new_dir, new_name.as_bytes())?)
    }

    fn entries(&self, max_bytes: usize) -> Result<Vec<DirEntry>, Errno> {
        let own = self.self_stat()?;
        let mut above = own.ino;
        let mut listing = Listing::new(max_bytes);
        // A descriptor of its own, so that the position is not shared with another snapshot being taken.
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            match name {
                b"." => continue,
                b".." => {
                    if !self.is_granted(&own) {
                        above = entry.ino();
                    }
                    continue;
                }
                _ => {}
            }
            let kind = match kind_of(entry.file_type()) {
                FileKind::Unknown => match kind_at(&DirFd::Root(self.fd.as_fd()), &Basename::new(name)?) {
                    Ok(kind) => kind,
                    // Removed meanwhile.
                    Err(Errno::Noent) => continue,
                    Err(error) => return Err(error),
                },
                kind => kind,
            };
            listing.push(entry.ino(), kind, name)?;
        }
        Ok(listing.finish(own.ino, above))
    }

    fn self_stat(&self) -> Result<FileStat, Errno> {
        Ok(stat_of(&rustix::fs::fstat(&self.fd)?))
    }

    fn self_set_times(&self, atim: TimeSpec, mtim: TimeSpec) -> Result<(), Errno> {
        set_times(self.fd.as_fd(), atim, mtim)
    }

    fn sync(&self) -> Result<(), Errno> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }

    fn datasync(&self) -> Result<(), Errno> {
        Ok(rustix::fs::fdatasync(&self.fd)?)
    }
}
