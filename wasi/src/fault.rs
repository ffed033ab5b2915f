//! How a host call ends when it does not simply succeed.
//!
//! A guest sees only the errno. The other three leave the guest: a trap for arguments that no correct program passes
//! (the specification demands one for pointers that do not fit), the exit that `proc_exit` asks for, and the
//! interruption that another thread asked for through a [`Canceller`](crate::Canceller).

use crate::Errno;
use std::fmt;

/// Why a host call did not return success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The guest gets this code as the call's result.
    Errno(Errno),
    /// The guest must trap. The text says which argument of which function was wrong.
    Trap(String),
    /// The guest asked to end with this code. Nothing of it may run afterwards.
    Exit(u32),
    /// The host asked that the guest stop.
    Interrupted,
}

/// What host calls return.
pub type Outcome<T = ()> = Result<T, Fault>;

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Fault {
        Fault::Errno(errno)
    }
}

impl From<rustix::io::Errno> for Fault {
    fn from(errno: rustix::io::Errno) -> Fault {
        Fault::Errno(errno.into())
    }
}

impl From<std::io::Error> for Fault {
    fn from(error: std::io::Error) -> Fault {
        Fault::Errno(error.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Errno(errno) => errno.fmt(f),
            Fault::Trap(message) => f.write_str(message),
            Fault::Exit(code) => write!(f, "the guest exited with code {code}"),
            Fault::Interrupted => f.write_str("the guest was interrupted by the host"),
        }
    }
}

impl std::error::Error for Fault {}
