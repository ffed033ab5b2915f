//! Reading and writing that never waits, on descriptors that block: `EAGAIN` instead, and `None` where the host cannot.
//!
//! To look first is not enough. A pipe or terminal may be shared, and whoever else has it may take the byte or the room
//! between the look and the call, which then waits in the kernel where nobody can end it. The flags of a description that
//! is shared are not ours to change. Two ways make one step of looking and acting:
//!
//! * `RWF_NOWAIT`. By experiment on Linux 6.18, these have it: anonymous pipes; sockets, Unix and TCP, streams and
//!   datagrams; `/dev/null`, `/dev/zero`, `/dev/urandom`. These do not: terminals on either end, named pipes, `/dev/full`,
//!   event descriptors, and regular files in part, for which nobody waits. They answer `EOPNOTSUPP`, hosts before 4.14
//!   `EINVAL` and before 4.6 `ENOSYS`. An error of the descriptor that looks like these is found again by the plain call.
//! * A description of our own of the same pipe or terminal, opened by the descriptor's name in `/proc` with `O_NONBLOCK`.
//!   It is opened in the direction that is wanted and closed before the call returns, so that nobody takes us for one more
//!   reader or writer when the descriptor itself is closed, and nothing remains of a descriptor that the host replaces.
//!
//! Called by `stdio.rs`.

use crate::Errno;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, major, minor, openat};
use rustix::io::Errno as Host;
use std::io::{IoSlice, IoSliceMut, IsTerminal as _};
use std::os::fd::{AsRawFd as _, BorrowedFd, OwnedFd};

/// The offset that stands for the position of the descriptor, or for none.
const CURRENT: u64 = u64::MAX;

pub(crate) fn read(fd: BorrowedFd<'_>, bufs: &mut [IoSliceMut<'_>]) -> Result<Option<usize>, Errno> {
    let flags = rustix::io::ReadWriteFlags::NOWAIT;
    if let Some(count) = supported(rustix::io::preadv2(fd, bufs, CURRENT, flags))? {
        return Ok(Some(count));
    }
    match reopen(fd, OFlags::RDONLY) {
        Some(own) => Ok(Some(rustix::io::readv(own, bufs)?)),
        None => Ok(None),
    }
}

pub(crate) fn write(fd: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> Result<Option<usize>, Errno> {
    let flags = rustix::io::ReadWriteFlags::NOWAIT;
    if let Some(count) = supported(rustix::io::pwritev2(fd, bufs, CURRENT, flags))? {
        return Ok(Some(count));
    }
    // A named pipe that nobody reads cannot be opened so: the plain call finds that out, too, and does not wait.
    match reopen(fd, OFlags::WRONLY) {
        Some(own) => Ok(Some(rustix::io::writev(own, bufs)?)),
        None => Ok(None),
    }
}

fn supported(outcome: Result<usize, Host>) -> Result<Option<usize>, Errno> {
    match outcome {
        Err(Host::OPNOTSUPP | Host::INVAL | Host::NOSYS) => Ok(None),
        outcome => Ok(Some(outcome?)),
    }
}

/// The device of which each opening makes a new terminal: the controlling end of one cannot be opened again.
const NEW_TERMINALS: (u32, u32) = (5, 2);

/// A description of our own that does not block; `None` for what is neither a pipe nor a terminal, and where the host
/// does not let us.
fn reopen(fd: BorrowedFd<'_>, direction: OFlags) -> Option<OwnedFd> {
    let stat = fstat(fd).ok()?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Fifo => {}
        FileType::CharacterDevice
            if (major(stat.st_rdev), minor(stat.st_rdev)) != NEW_TERMINALS
                && fd.is_terminal()
                && !is_hung_up(fd) => {}
        _ => return None,
    }
    let name = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = direction | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    openat(CWD, name, flags, Mode::empty()).ok()
}

/// Whether a terminal was taken away from those who had it open. To open it again would give it back.
fn is_hung_up(fd: BorrowedFd<'_>) -> bool {
    let mut list = [PollFd::from_borrowed_fd(fd, PollFlags::empty())];
    let looked = poll(&mut list, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    looked.is_err() || list[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
}
