//! Reserving space on the host in steps, so that whoever waits for it can be wanted back.
//!
//! One `fallocate` takes as long as its number asks for: a file system in memory makes and clears each page, 0.4 s for
//! a GiB. Nothing but a signal to the process ends it. So a long range is reserved step by step without changing
//! the size, and the last step sets it: other readers see all or nothing. Called by `HostFile`, with checked numbers.

use super::system::uninterrupted;
use crate::errno::Errno;
use rustix::fs::{FallocateFlags, fallocate, fstat, fstatvfs};
use std::os::fd::BorrowedFd;

/// So much is reserved in one step: 15 ms of the slowest kind.
const STEP: u64 = 32 << 20;

/// Reserves the next part of a range of which the first `done` bytes are, and gives how many are then.
pub(super) fn allocate_some(fd: BorrowedFd<'_>, offset: u64, len: u64, done: u64) -> Result<u64, Errno> {
    let reserve = |from: u64, len: u64, flags| uninterrupted(|| fallocate(fd, flags, offset + from, len));
    let left = len.saturating_sub(done);
    if left <= STEP {
        // Sets the size, too.
        reserve(done.min(len - 1), left.max(1), FallocateFlags::empty())?;
        return Ok(len);
    }
    if done == 0 {
        require_space(fd, len)?;
        // What is too long for the file system shows at its end. Reserving without setting the size is not known to
        // all of them: then it is one step.
        match reserve(len - 1, 1, FallocateFlags::KEEP_SIZE) {
            Err(Errno::Notsup) => {
                reserve(0, len, FallocateFlags::empty())?;
                return Ok(len);
            }
            outcome => outcome?,
        }
    }
    reserve(done, STEP, FallocateFlags::KEEP_SIZE)?;
    Ok(done + STEP)
}

/// Refuses what cannot fit, before the device is filled for nothing. What the file has may be in the range.
fn require_space(fd: BorrowedFd<'_>, len: u64) -> Result<(), Errno> {
    let device = fstatvfs(fd)?;
    let has = u64::try_from(fstat(fd)?.st_blocks).unwrap_or(0).saturating_mul(512);
    let free = device.f_bfree.saturating_mul(device.f_frsize);
    // A device without a size has no limit.
    let fits = device.f_blocks == 0 || len <= has.saturating_add(free);
    if fits { Ok(()) } else { Err(Errno::Nospc) }
}
