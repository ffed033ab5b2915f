//! System calls with what every caller here wants around them.

use rustix::io::Errno as HostErrno;

use crate::errno::Errno;

/// Repeats a call that a signal interrupted.
pub(super) fn uninterrupted<T>(mut call: impl FnMut() -> Result<T, HostErrno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(HostErrno::INTR) => {}
            result => return Ok(result?),
        }
    }
}
