//! The files of a cache. All are reached through the descriptor of its directory, by names that this module makes.
//!
//! A file is complete from the moment at which it has its name: it is written under another, and renamed. Readers that
//! have the old one open keep it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use rustix::rand::{GetRandomFlags, getrandom};
use rustix::time::{ClockId, clock_gettime};
use wasmrun_jit::artifact::Identity;

use super::directory::{Directory, Kind, judge_fd};
use crate::error::{Context, Error, Result};

/// How names of code end.
const EXTENSION: &str = ".wrc";

/// How names of files begin that are being written.
const TEMPORARY: &str = "tmp-";

/// Seconds after which nobody can still be writing a file.
const ABANDONED: i64 = 3600;

/// A file of a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub name: String,
    pub bytes: u64,
    /// When it was last used, in seconds and nanoseconds.
    pub used: (i64, i64),
}

impl File {
    /// Whether it is code, and not half of a file that was never finished.
    pub(super) fn is_code(&self) -> bool {
        is_code(&self.name)
    }
}

fn is_code(name: &str) -> bool {
    name.strip_suffix(EXTENSION).is_some_and(|stem| stem.len() == 32 && is_hex(stem))
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The name of the file with code for `identity`.
pub(super) fn name(identity: &Identity) -> String {
    identity.name() + EXTENSION
}

/// Opens a file for reading and judges it; `None` if it does not exist.
pub(super) fn open(directory: &Directory, name: &str) -> Result<Option<OwnedFd>> {
    // A pipe in the place of a file must not make anyone wait.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(directory, name, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => return Err(Error::msg("it is a symbolic link")),
        Err(error) => return Err(error.into()),
    };
    judge_fd(Kind::File, file.as_fd())?;
    Ok(Some(file))
}

/// All bytes of a file of at most `limit`.
pub(super) fn read(file: &OwnedFd, limit: u64) -> Result<Vec<u8>> {
    let size = u64::try_from(rustix::fs::fstat(file)?.st_size)?;
    if size > limit {
        return Err(Error::msg(format!("it has {size} bytes, and the whole cache may have {limit}")));
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(size)?)?;
    // What is longer or shorter now than it was is no file of ours: the seal will say so.
    while bytes.len() < bytes.capacity() {
        match rustix::io::read(file, rustix::buffer::spare_capacity(&mut bytes)) {
            Ok(0) => break,
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bytes)
}

/// Notes that a file has been used.
pub(super) fn touch(file: &OwnedFd) {
    let at = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
    let times = Timestamps { last_access: at(UTIME_OMIT), last_modification: at(UTIME_NOW) };
    // A cache on a read-only file system is still a cache.
    let _ = rustix::fs::futimens(file, &times);
}

/// Writes a file under its name, in place of one that may be there. Nothing is left of it if that fails.
pub(super) fn write(directory: &Directory, name: &str, bytes: &[u8], limit: u64) -> Result<()> {
    if bytes.len() as u64 > limit {
        let bytes = bytes.len();
        return Err(Error::msg(format!("it has {bytes} bytes, and the whole cache may have {limit}")));
    }
    let temporary = write_temporary(directory, bytes)?;
    rename(directory, &temporary, name)
}

/// Gives a file that has been written its name.
pub(super) fn rename(directory: &Directory, temporary: &str, name: &str) -> Result<()> {
    let renamed = rustix::fs::renameat(directory, temporary, directory, name);
    renamed.map_err(|error| {
        let _ = remove(directory, temporary);
        Error::from(error).context("it cannot be put in its place")
    })
}

/// Writes a file under a name of its own.
pub(super) fn write_temporary(directory: &Directory, bytes: &[u8]) -> Result<String> {
    // Beyond this limit a write is a deadly signal, and not only an error.
    let most = getrlimit(Resource::Fsize).current.unwrap_or(u64::MAX);
    if bytes.len() as u64 > most {
        return Err(Error::msg(format!("this process may write files of {most} bytes only")));
    }
    let name = format!("{TEMPORARY}{:016x}", u64::from_ne_bytes(random()?));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    let file = rustix::fs::openat(directory, &name, flags, mode).context("no file can be made")?;
    let written = write_all(&file, bytes);
    drop(file);
    written.map_err(|error| {
        let _ = remove(directory, &name);
        Error::from(error).context("it cannot be written")
    })?;
    Ok(name)
}

pub(super) fn write_all(file: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(&file, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Bytes that nobody can guess.
pub(super) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    let mut got = 0;
    while got < N {
        match getrandom(&mut bytes[got..], GetRandomFlags::empty()) {
            Ok(count) => got += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(bytes)
}

/// Removes a file, if it is there.
pub(super) fn remove(directory: &Directory, name: &str) -> io::Result<()> {
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The code in a cache, and what is left of files that were being written. Everything else there is nobody's business.
pub(super) fn list(directory: &Directory) -> io::Result<Vec<File>> {
    let mut files = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if !is_code(name) && !name.strip_prefix(TEMPORARY).is_some_and(is_hex) {
            continue;
        }
        // Another process may have removed it meanwhile.
        let Ok(stat) = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            continue;
        }
        let used = (stat.st_mtime, stat.st_mtime_nsec as i64);
        files.push(File { name: name.to_owned(), bytes: stat.st_size.max(0) as u64, used });
    }
    Ok(files)
}

/// Removes what was not used for longest, until the rest fits, and what writers have abandoned. The file `kept` stays.
pub(super) fn make_room(directory: &Directory, kept: &str, limit: u64) -> io::Result<()> {
    let now = clock_gettime(ClockId::Realtime).tv_sec;
    for name in superfluous(list(directory)?, kept, limit, now) {
        remove(directory, &name)?;
    }
    Ok(())
}

/// What has to go.
fn superfluous(mut files: Vec<File>, kept: &str, limit: u64, now: i64) -> Vec<String> {
    files.sort_by_key(|file| file.used);
    let mut total: u64 = files.iter().filter(|file| file.is_code()).map(|file| file.bytes).sum();
    let mut names = Vec::new();
    for file in files {
        let goes = match file.is_code() {
            true => total > limit && file.name != kept,
            false => now.saturating_sub(file.used.0) > ABANDONED,
        };
        if goes {
            total -= if file.is_code() { file.bytes } else { 0 };
            names.push(file.name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(letter: char) -> String {
        letter.to_string().repeat(32) + EXTENSION
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first_and_the_new_file_stays() {
        let file = |name: String, bytes, used| File { name, bytes, used: (used, 0) };
        let files = vec![
            file(code('b'), 40, 2),
            file(code('a'), 40, 1),
            file(code('c'), 40, 3),
            file("tmp-0".into(), 900, 3000),
            file("tmp-1".into(), 900, 100),
        ];
        let gone = |kept: &str, limit, now| superfluous(files.clone(), kept, limit, now);
        assert_eq!(gone("", 120, 3000), [""; 0]);
        assert_eq!(gone("", 119, 3000), [code('a')]);
        assert_eq!(gone("", 79, 3000), [code('a'), code('b')]);
        assert_eq!(gone(&code('a'), 79, 3000), [code('b'), code('c')]);
        assert_eq!(gone("", 120, 3701), ["tmp-1"]);
    }

    #[test]
    fn only_names_that_this_module_makes_are_code() {
        assert!(is_code(&code('0')) && is_code(&code('f')));
        for name in ["key", "tmp-0000000000000000", ".wrc", "a.wrc", &(code('a') + "x"), &code('g')] {
            assert!(!is_code(name), "{name}");
        }
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else { return };
        assert_eq!(write_all(&full, b"code").unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
