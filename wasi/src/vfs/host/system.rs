//! System calls with what every caller here wants around them.

use std::os::fd::BorrowedFd;

use rustix::io::Errno as HostErrno;

use crate::errno::Errno;

/// `fdatasync`, or what comes nearest.
pub(crate) fn datasync(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    #[cfg(target_vendor = "apple")]
    return Ok(rustix::fs::fsync(fd)?);
    #[cfg(not(target_vendor = "apple"))]
    Ok(rustix::fs::fdatasync(fd)?)
}

/// Repeats a call that a signal interrupted.
pub(super) fn uninterrupted<T>(mut call: impl FnMut() -> Result<T, HostErrno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(HostErrno::INTR) => {}
            result => return Ok(result?),
        }
    }
}
