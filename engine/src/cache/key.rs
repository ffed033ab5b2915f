//! The key that files of a cache are sealed with: 32 random bytes in a file beside them.
//!
//! The file appears with all of its bytes, and once: of several processes that make one at the same time, all use the
//! one that was first. A key that others could have read or written is replaced, and what was sealed with it is
//! worthless then.

use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::directory::Directory;
use super::files;
use crate::error::{Error, Result};

const NAME: &str = "key";

/// Bytes of a key.
const BYTES: usize = 32;

/// The key of a cache. `note` is told if it has to be replaced.
pub(super) fn read_or_make(directory: &Directory, note: impl Fn(String)) -> Result<[u8; BYTES]> {
    match read(directory) {
        Ok(Some(key)) => return Ok(key),
        Ok(None) => make(directory)?,
        Err(error) => {
            note(format!("the key is replaced: {error:#}"));
            let temporary = files::write_temporary(directory, &files::random::<BYTES>()?)?;
            files::rename(directory, &temporary, NAME)?;
        }
    }
    // It may be that of another process.
    read(directory)?.ok_or_else(|| Error::msg("it has been removed again"))
}

fn read(directory: &Directory) -> Result<Option<[u8; BYTES]>> {
    let Some(file) = files::open(directory, NAME)? else { return Ok(None) };
    let bytes = files::read(&file, BYTES as u64)?;
    let length = bytes.len();
    match <[u8; BYTES]>::try_from(bytes) {
        Ok(key) => Ok(Some(key)),
        Err(_) => Err(Error::msg(format!("it has {length} bytes in place of {BYTES}"))),
    }
}

/// Makes a key, unless another process is faster.
fn make(directory: &Directory) -> Result<()> {
    let temporary = files::write_temporary(directory, &files::random::<BYTES>()?)?;
    match rustix::fs::linkat(directory, &temporary, directory, NAME, AtFlags::empty()) {
        Ok(()) | Err(Errno::EXIST) => Ok(files::remove(directory, &temporary)?),
        // There are file systems without links. The last of several keys is the one that counts.
        Err(_) => files::rename(directory, &temporary, NAME),
    }
}
