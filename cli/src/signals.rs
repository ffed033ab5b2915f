//! Signals that would end the process where an error says more.
#![allow(unsafe_code)]

/// Lets writes beyond the size that files may have (`ulimit -f`) fail instead of ending the process: by then the guest has
/// done its work, or half a file has been written.
pub fn ignore_full_file() {
    // SAFETY: no handler is installed; the signal is to be ignored.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}
