//! Reading, writing and positions.
//!
//! All buffers of the guest go to the host in one scattered or gathered system call, or in one for each piece of what
//! is long (see [`Waiter::in_pieces`]). Positions belong to the guest's descriptor: files are read and written at
//! explicit offsets, so that descriptors of the host can be shared. What has no positions (streams, pipes, sockets) is
//! read and written where it is, waiting through the [`Waiter`](crate::wait::Waiter) unless the guest set `NONBLOCK`.
//!
//! On a descriptor in append mode, `fd_write` writes at the end and moves the position there; `fd_pwrite` writes where
//! it is told, as POSIX says, and moves nothing.

use super::sock;
use crate::abi::{U32, U64, fdflags, rights, whence};
use crate::fdtable::{Descriptor, Object};
use crate::vfs::File;
use crate::wait::{PIECE, Waiter};
use crate::{Errno, GuestMem, IoVecs, Outcome, WasiCtx};
use rustix::event::PollFlags;
use std::io::{IoSlice, IoSliceMut};

#[inline]
pub fn fd_read(
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    nread: u32,
) -> Outcome {
    mem.check("nread", nread, U32)?;
    let list = mem.iovecs("iovs", iovs, iovs_len, ctx.budget)?;
    let (descriptor, waiter) = (ctx.table.get_mut(fd)?, &ctx.waiter);
    descriptor.require_direction(rights::FD_READ)?;
    let nonblock = descriptor.nonblock();
    let count = match &mut descriptor.object {
        Object::Stream(stream) => {
            let whole = stream.poll_fd().is_none();
            scatter(mem, &list, whole, waiter, |bufs, _| stream.read(bufs, nonblock, waiter))?
        }
        Object::File { file, position } => {
            scatter(mem, &list, file.poll_fd().is_none(), waiter, |bufs, _| {
                let read = || file.read_at(bufs, *position);
                let count = when_ready(&**file, PollFlags::IN, nonblock, waiter, read)?;
                move_on(&**file, position, count);
                Ok(count)
            })?
        }
        Object::Connection(socket) => {
            scatter(mem, &list, false, waiter, |bufs, _| sock::receive(socket, bufs, nonblock, waiter))?
        }
        Object::Dir(_) => return Err(Errno::Isdir.into()),
        Object::Listener(_) => return Err(Errno::Notconn.into()),
    };
    mem.write_u32("nread", nread, count)
}

#[inline]
pub fn fd_write(
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    nwritten: u32,
) -> Outcome {
    mem.check("nwritten", nwritten, U32)?;
    let list = mem.iovecs("iovs", iovs, iovs_len, ctx.budget)?;
    let (descriptor, waiter) = (ctx.table.get_mut(fd)?, &ctx.waiter);
    descriptor.require_direction(rights::FD_WRITE)?;
    let nonblock = descriptor.nonblock();
    let append = descriptor.flags & fdflags::APPEND != 0;
    let count = match &mut descriptor.object {
        Object::Stream(stream) => {
            gather(mem, &list, true, waiter, |bufs, _| stream.write(bufs, nonblock, waiter))?
        }
        Object::File { file, position } if append && file.kind().is_seekable() => {
            gather(mem, &list, true, waiter, |bufs, _| {
                let appended = file.append(bufs)?;
                *position = appended.end;
                Ok(appended.written)
            })?
        }
        Object::File { file, position } => {
            gather(mem, &list, file.poll_fd().is_none(), waiter, |bufs, _| {
                let write = || file.write_at(bufs, *position);
                let count = when_ready(&**file, PollFlags::OUT, nonblock, waiter, write)?;
                move_on(&**file, position, count);
                Ok(count)
            })?
        }
        Object::Connection(socket) => {
            gather(mem, &list, false, waiter, |bufs, _| sock::send(socket, bufs, nonblock, waiter))?
        }
        Object::Dir(_) => return Err(Errno::Isdir.into()),
        Object::Listener(_) => return Err(Errno::Notconn.into()),
    };
    mem.write_u32("nwritten", nwritten, count)
}

/// Reads into the buffers. What may have to be waited for is read once, `whole` everything else: whoever has got
/// something does not wait for more. `read` is told how much has been read before.
#[inline]
fn scatter(
    mem: &mut GuestMem<'_>,
    list: &IoVecs,
    whole: bool,
    waiter: &Waiter,
    mut read: impl FnMut(&mut [IoSliceMut<'_>], u64) -> Outcome<usize>,
) -> Outcome<u32> {
    let count = waiter.in_pieces(length(list, whole), |piece| {
        let read = |bufs: &mut [IoSliceMut<'_>]| Ok((read(bufs, piece.start)?, ()));
        mem.scatter(&list.part(&piece), read).map(|(count, ())| count as u64)
    })?;
    // The sum of the buffers has 32 bits.
    Ok(count as u32)
}

/// As [`scatter`], for writing.
#[inline]
fn gather(
    mem: &GuestMem<'_>,
    list: &IoVecs,
    whole: bool,
    waiter: &Waiter,
    mut write: impl FnMut(&[IoSlice<'_>], u64) -> Outcome<usize>,
) -> Outcome<u32> {
    let count = waiter.in_pieces(length(list, whole), |piece| {
        mem.gather(&list.part(&piece), |bufs| write(bufs, piece.start)).map(|count| count as u64)
    })?;
    Ok(count as u32)
}

/// How much of a list one call may move.
fn length(list: &IoVecs, whole: bool) -> u64 {
    if whole { list.bytes() } else { list.bytes().min(PIECE) }
}

/// Repeats an operation on a pipe until it need not wait; everything else never does.
fn when_ready<T>(
    file: &dyn File,
    flags: PollFlags,
    nonblock: bool,
    waiter: &Waiter,
    mut operation: impl FnMut() -> Result<T, Errno>,
) -> Outcome<T> {
    match file.poll_fd() {
        Some(fd) => waiter.retry(fd, flags, nonblock, operation),
        None => Ok(operation()?),
    }
}

fn move_on(file: &dyn File, position: &mut u64, count: usize) {
    if file.kind().is_seekable() {
        *position += count as u64;
    }
}

/// The file at the positions of which a guest wants to read or write.
fn positioned(descriptor: &mut Descriptor, right: u64) -> Result<(&dyn File, &mut u64), Errno> {
    descriptor.require_direction(right)?;
    match &mut descriptor.object {
        Object::File { file, position } if file.kind().is_seekable() => Ok((&**file, position)),
        _ => Err(Errno::Spipe),
    }
}

pub fn fd_pread(
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    offset: u64,
    nread: u32,
) -> Outcome {
    mem.check("nread", nread, U32)?;
    let list = mem.iovecs("iovs", iovs, iovs_len, ctx.budget)?;
    let (file, _) = positioned(ctx.table.get_mut(fd)?, rights::FD_READ)?;
    let count = scatter(mem, &list, true, &ctx.waiter, |bufs, done| {
        // An offset near the largest number is refused at the first piece.
        Ok(file.read_at(bufs, offset.saturating_add(done))?)
    })?;
    mem.write_u32("nread", nread, count)
}

pub fn fd_pwrite(
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    offset: u64,
    nwritten: u32,
) -> Outcome {
    mem.check("nwritten", nwritten, U32)?;
    let list = mem.iovecs("iovs", iovs, iovs_len, ctx.budget)?;
    let (file, _) = positioned(ctx.table.get_mut(fd)?, rights::FD_WRITE)?;
    let count = gather(mem, &list, true, &ctx.waiter, |bufs, done| {
        Ok(file.write_at(bufs, offset.saturating_add(done))?)
    })?;
    mem.write_u32("nwritten", nwritten, count)
}

/// The file whose position a guest asks about. Having any of these rights is enough.
fn seekable(descriptor: &mut Descriptor, rights: u64) -> Result<(&dyn File, &mut u64), Errno> {
    let allowed = descriptor.rights & rights != 0;
    match &mut descriptor.object {
        Object::Dir(_) => Err(Errno::Badf),
        Object::File { file, position } if file.kind().is_seekable() => {
            if allowed {
                Ok((&**file, position))
            } else {
                Err(Errno::Notcapable)
            }
        }
        _ => Err(Errno::Spipe),
    }
}

pub fn fd_seek(
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    fd: u32,
    offset: i64,
    whence: u32,
    newoffset: u32,
) -> Outcome {
    mem.check("newoffset", newoffset, U64)?;
    let whence = ctx.preview.whence.get(whence as usize).copied();
    let descriptor = ctx.table.get_mut(fd)?;
    // Asking where one is takes less than going elsewhere.
    let needed = if whence == Some(whence::CUR) && offset == 0 {
        rights::FD_SEEK | rights::FD_TELL
    } else {
        rights::FD_SEEK
    };
    let (file, position) = seekable(descriptor, needed)?;
    let from = match whence.ok_or(Errno::Inval)? {
        whence::SET => 0,
        whence::CUR => *position,
        _ => file.size()?,
    };
    let to = from.checked_add_signed(offset).filter(|&to| i64::try_from(to).is_ok()).ok_or(Errno::Inval)?;
    *position = to;
    mem.write_u64("newoffset", newoffset, to)
}

pub fn fd_tell(ctx: &mut WasiCtx, mem: &mut GuestMem<'_>, fd: u32, offset: u32) -> Outcome {
    mem.check("offset", offset, U64)?;
    let (_, position) = seekable(ctx.table.get_mut(fd)?, rights::FD_SEEK | rights::FD_TELL)?;
    mem.write_u64("offset", offset, *position)
}
