//! The directory of a cache: where it is, and whether it can be trusted.
//!
//! It is opened once and used through its descriptor, so that nobody can put another in its place. The descriptor is
//! what is judged: it must be a directory of this user's, closed to everybody else. The way there may lead over links
//! that belong to this user or to the system (`/home` is one on many systems); the directory itself must not be one.

use std::env;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::error::{Context, Error, Result};

/// An open directory that has been judged.
#[derive(Debug)]
pub(super) struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

/// What something in the file system has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
}

/// The sticky bit: in such a directory nobody can rename what belongs to others.
const STICKY: u32 = 0o1000;

/// The directory of the user who runs this.
pub(super) fn of_user() -> Result<PathBuf> {
    // An empty or relative path is to be ignored, says the specification of these variables.
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    let caches = caches.ok_or_else(|| {
        let unknown = "neither XDG_CACHE_HOME nor HOME says where this user's caches are";
        io::Error::new(io::ErrorKind::NotFound, unknown)
    })?;
    Ok(caches.join("wasmrun"))
}

/// Whether nobody but the user `own` can change something with this owner and mode.
pub(super) fn judge(what: Kind, is: FileType, owner: u32, mode: u32, own: u32) -> Result<()> {
    let expected = if what == Kind::Directory { FileType::Directory } else { FileType::RegularFile };
    if is != expected {
        return Err(Error::msg(format!("it is a {is:?} and not a {expected:?}")));
    }
    if owner != own {
        return Err(Error::msg(format!("it belongs to user {owner}, and this is user {own}")));
    }
    if mode & 0o077 != 0 {
        return Err(Error::msg(format!("it is open to other users: its mode is {:03o}", mode & 0o777)));
    }
    Ok(())
}

/// [Judges](judge) what is behind a descriptor, and returns what is known of it.
pub(super) fn judge_fd(what: Kind, fd: BorrowedFd<'_>) -> Result<Stat> {
    let stat = rustix::fs::fstat(fd).map_err(io::Error::from)?;
    let mode = stat.st_mode;
    judge(what, FileType::from_raw_mode(mode), stat.st_uid, mode, geteuid().as_raw())?;
    Ok(stat)
}

impl Directory {
    /// The directory at `path`, made if it is missing.
    pub(super) fn create(path: &Path) -> Result<Directory> {
        if let Some(directory) = Directory::open(path)? {
            return Ok(directory);
        }
        let ancestors: Vec<&Path> = path.ancestors().collect();
        let missing = ancestors.iter().take_while(|ancestor| !ancestor.exists()).count();
        let existing = ancestors.get(missing).copied().unwrap_or(Path::new("/"));
        let stat = rustix::fs::stat(existing).map_err(io::Error::from)?;
        // Of root in the home of somebody else, say.
        if stat.st_uid != geteuid().as_raw() && stat.st_mode & STICKY == 0 {
            return Err(Error::msg(format!(
                "it does not exist, and {} belongs to user {}",
                existing.display(),
                stat.st_uid
            )));
        }
        for new in ancestors[..missing].iter().rev() {
            match rustix::fs::mkdir(*new, Mode::RWXU) {
                // Another process was faster.
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => {
                    let error = io::Error::from(error);
                    return Err(error).with_context(|| format!("{} cannot be made", new.display()));
                }
            }
        }
        Directory::open(path)?.ok_or_else(|| Error::msg("it has been removed again"))
    }

    /// The directory at `path`, if there is something.
    pub(super) fn open(path: &Path) -> Result<Option<Directory>> {
        for ancestor in path.ancestors().skip(1) {
            let Ok(stat) = rustix::fs::statat(CWD, ancestor, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
            if is_link && ![0, geteuid().as_raw()].contains(&stat.st_uid) {
                let (link, owner) = (ancestor.display(), stat.st_uid);
                return Err(Error::msg(format!("the way there is over {link}, a link of user {owner}")));
            }
        }
        match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(None),
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
                return Err(Error::msg("it is a symbolic link"));
            }
            _ => {}
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(io::Error::from)?;
        judge_fd(Kind::Directory, fd.as_fd())?;
        Ok(Some(Directory { fd, path: path.to_owned() }))
    }

    /// Where it was when it was opened.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
