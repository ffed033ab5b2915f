//! How files are read.
//!
//! Memory that was reserved, which may fail, is filled by all threads at once, and none of it is written twice: that is what needs `unsafe`.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::iter;
use std::mem::MaybeUninit;
use std::sync::{Mutex, PoisonError};

use rustix::io::{Errno, pread};
use rustix::mm::{Advice, madvise};
use rustix::param::page_size;
use wasmrun_runtime::parallel::on_all_cores;

/// Bytes of an ordinary file from which on it is read by more than one thread: the kernel copies a gigabyte or two in a second, as
/// it has to find memory for each page.
const LARGE: u64 = 4 << 20;

/// Bytes that a thread reads at a time.
const PART: usize = 1 << 20;

/// All bytes of what is read, at most so many; `expected` is what it says of itself.
///
/// # Errors
/// It has more, there is no memory for it, or it cannot be read.
pub fn read_bounded(source: &mut dyn Read, expected: u64, most: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if expected <= most {
        bytes.try_reserve_exact(expected as usize)?;
        source.take(most + 1).read_to_end(&mut bytes)?;
    }
    let length = expected.max(bytes.len() as u64);
    if length > most { Err(ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// All bytes of an ordinary file that has `expected` of them, at most so many.
///
/// # Errors
/// As of [`read_bounded`]; or somebody has made it shorter meanwhile.
pub fn read_file(mut file: &File, expected: u64, most: u64) -> Result<Vec<u8>> {
    if expected < LARGE || expected > most {
        return read_bounded(&mut file, expected, most);
    }
    let mut bytes = Vec::new();
    let length = expected as usize;
    bytes.try_reserve_exact(length)?;
    prefer_large_pages(bytes.spare_capacity_mut());
    let parts = bytes.spare_capacity_mut()[..length].chunks_mut(PART).zip((0..).step_by(PART));
    let parts = Mutex::new(parts);
    let take = || parts.lock().unwrap_or_else(PoisonError::into_inner).next();
    let read = || iter::from_fn(take).try_for_each(|(part, at)| fill(file, part, at));
    on_all_cores(true, read).into_iter().collect::<Result<()>>()?;
    // SAFETY: so many have been reserved, and all parts of them have been filled.
    unsafe { bytes.set_len(length) };
    Ok(bytes)
}

/// Asks for large pages for memory that is to be filled: to find small ones takes as long as to fill them. The system may not have any.
fn prefer_large_pages(memory: &mut [MaybeUninit<u8>]) {
    let page = page_size();
    let start = memory.as_ptr().align_offset(page).min(memory.len());
    let whole = &mut memory[start..];
    // SAFETY: what is in the memory stays the same.
    let _ = unsafe { madvise(whole.as_mut_ptr().cast(), whole.len() / page * page, Advice::LinuxHugepage) };
}

/// Fills `part` with what the file has from this offset on.
fn fill(file: &File, mut part: &mut [MaybeUninit<u8>], mut at: u64) -> Result<()> {
    while !part.is_empty() {
        match pread(file, &mut *part, at) {
            Ok(([], _)) => {
                return Err(Error::new(ErrorKind::UnexpectedEof, "it has become shorter meanwhile"));
            }
            Ok((read, _)) => {
                let read = read.len();
                part = &mut part[read..];
                at += read as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_large_file_is_read_to_its_end_by_however_many_threads() {
        for length in [LARGE, LARGE + 1, 3 * LARGE + 12345] {
            let expected: Vec<u8> = (0..length).map(|at| (at * 7 + (at >> 12)) as u8).collect();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&expected).unwrap();
            assert!(read_file(&file, length, length).unwrap() == expected);
        }
    }

    #[test]
    fn a_file_that_has_become_shorter_is_no_short_file() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(LARGE).unwrap();
        let error = read_file(&file, LARGE + 1, u64::MAX).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string()),
            (ErrorKind::UnexpectedEof, "it has become shorter meanwhile".into())
        );
        let error = read_file(&file, LARGE, LARGE - 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
    }
}
