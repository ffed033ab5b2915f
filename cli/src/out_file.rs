//! An OUT argument, a path or `-` for the standard output, and how what the command makes gets there.
//!
//! A file is complete from the moment at which it has its name: it is written under another, and renamed. What is no
//! file but a stream is written to and stays what it is: a device, a pipe, and whatever is open as a descriptor of this
//! process, which may be a file that others write to as well.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::fd::RawFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::errors::{Failure, Outcome};
use crate::file_arg::{display_name, is_stdin};
use crate::time_limit::TimeLimit;
use crate::{descriptor, output};

/// So many links in a row the system follows.
const MOST_LINKS: usize = 40;

/// Whether it is the standard output.
pub fn is_stdout(out: &Path) -> bool {
    out.as_os_str() == "-"
}

/// Writes what was made of another file, in place of a file that there may be; but not of that other one.
pub fn write(out: &Path, made_of: &Path, bytes: &[u8], limit: &TimeLimit) -> Outcome {
    if is_stdout(out) {
        return limit.watch_writing("the standard output", || output::print(bytes))?;
    }
    let name = display_name(out);
    if is_same(out, made_of) {
        return Err(Failure::usage(format!("{name} would replace the file that it is made of"))
            .help("`-o OUT` says what file to write"));
    }
    let stream = |write: &dyn Fn() -> io::Result<()>| limit.watch_writing(&name, write);
    let written = match resolve(out) {
        Ok(Place::Descriptor(number)) => {
            stream(&|| descriptor::duplicate(number).and_then(|mut open| open.write_all(bytes)))?
        }
        Ok(Place::Stream(path)) => stream(&|| fs::write(&path, bytes))?,
        // Nobody has to read what is written to a file, and one that is cut short would be left under another name.
        Ok(Place::File(path)) => replace(&path, bytes),
        Err(error) => Err(error),
    };
    written.map_err(|error| Failure::new(format!("cannot write {name}")).because(error))
}

fn is_same(one: &Path, other: &Path) -> bool {
    let file =
        |path| fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|there| (there.dev(), there.ino()));
    !is_stdin(other) && file(one).is_some() && file(one) == file(other)
}

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// A descriptor of this process, by its number.
    Descriptor(RawFd),
    /// Something that is there and no file.
    Stream(PathBuf),
    /// A file that is there or could be. The path is no link.
    File(PathBuf),
}

/// Follows links one by one: the last one may be a descriptor, which looks like a link to the file that is open there, and
/// what they lead to need not be there yet.
fn resolve(path: &Path) -> io::Result<Place> {
    let mut path = path.to_owned();
    for _ in 0..=MOST_LINKS {
        if let Some(number) = own_descriptor(&path) {
            return Ok(Place::Descriptor(number));
        }
        match fs::read_link(&path) {
            Ok(target) => path = directory_of(&path).join(target),
            // It is none, or nothing.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOENT)) => {
                let is_stream = fs::metadata(&path).is_ok_and(|there| !there.is_file());
                return Ok(if is_stream { Place::Stream(path) } else { Place::File(path) });
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::from_raw_os_error(libc::ELOOP))
}

/// The number of the descriptor of this process that is called so: `/proc/self/fd/N`, or `/dev/fd/N`, where `/dev/fd` is a
/// link.
fn own_descriptor(path: &Path) -> Option<RawFd> {
    let number = path.file_name()?.to_str()?.parse().ok()?;
    let directory = fs::canonicalize(directory_of(path)).ok()?;
    // Threads have such a directory as well.
    let is_own = directory.ends_with("fd") && directory.starts_with(fs::canonicalize("/proc/self").ok()?);
    is_own.then_some(number)
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let as_umask_says = Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new()
        .prefix(".wasmrun-")
        .permissions(as_umask_says)
        .tempfile_in(directory_of(path))?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}
