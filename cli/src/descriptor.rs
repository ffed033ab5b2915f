//! Descriptors that whoever started this process has opened for it.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd, RawFd};

/// The same open file, device or pipe under another number: what is written goes where the next write to the first one
/// would have gone.
///
/// # Errors
/// There is no such descriptor, or it is one that this process has opened for itself: those are nobody else's business.
pub fn duplicate(number: RawFd) -> io::Result<File> {
    // SAFETY: this reads a flag of a descriptor and fails where there is none.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    // What was there before this process has stayed open when it was started.
    if flags == -1 || flags & libc::FD_CLOEXEC != 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: this makes a new descriptor and changes no other one.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 0) };
    if copy == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new, so that nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) }.into())
}
