//! Waiting for one descriptor.

use super::Waiter;
use crate::{Errno, Fault, Outcome};
use rustix::event::PollFlags;
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// So often is an operation tried at once that does nothing though its descriptor is ready. After that there is a pause
/// before each attempt.
const MOST_IN_VAIN: u32 = 4;
const IN_VAIN: Duration = Duration::from_millis(1);

impl Waiter {
    /// Waits for one descriptor, for as long as it takes.
    pub fn wait_for(&self, fd: BorrowedFd<'_>, flags: PollFlags) -> Outcome {
        self.wait(&[(fd, flags)], None).map(drop)
    }

    /// `EAGAIN` unless the descriptor is ready.
    pub fn require_ready(&self, fd: BorrowedFd<'_>, flags: PollFlags) -> Outcome {
        let ready = self.wait(&[(fd, flags)], Some(Duration::ZERO))?;
        if ready.iter().all(|flags| flags.is_empty()) { Err(Errno::Again.into()) } else { Ok(()) }
    }

    /// Waits for a descriptor that blocks, or looks at it for a guest that does not wait. For what cannot be asked
    /// without waiting: somebody else who has it may still be faster.
    pub fn look_first(&self, fd: BorrowedFd<'_>, flags: PollFlags, nonblock: bool) -> Outcome {
        if nonblock { self.require_ready(fd, flags) } else { self.wait_for(fd, flags) }
    }

    /// Repeats an operation on a descriptor that does not block: while it would have to wait, waits for the
    /// descriptor, unless the guest asked not to.
    pub fn retry<T>(
        &self,
        fd: BorrowedFd<'_>,
        flags: PollFlags,
        nonblock: bool,
        mut operation: impl FnMut() -> Result<T, Errno>,
    ) -> Outcome<T> {
        let mut in_vain = 0;
        loop {
            match operation() {
                Err(Errno::Again) if !nonblock => {
                    // A terminal that is being written to may be ready for less than it takes.
                    if in_vain > MOST_IN_VAIN {
                        self.wait(&[], Some(IN_VAIN))?;
                    }
                    in_vain += 1;
                    self.wait_for(fd, flags)?;
                }
                Err(Errno::Intr) => self.check()?,
                other => return other.map_err(Fault::Errno),
            }
        }
    }
}
