//! Sockets: accepting on listeners that the host gave, and the connections that come of it.
//!
//! Preview 1 can neither make sockets nor connect. A number that is not open is `EBADF`, anything that is no socket
//! `ENOTSOCK`. The host's sockets never block; waiting is the [`Waiter`]'s, and whether to wait is the guest's flag.

use crate::abi::{FD, U16, U32, fdflags, riflags, rights, roflags, sdflags};
use crate::fdtable::{Descriptor, Object};
use crate::wait::Waiter;
use crate::{Errno, GuestMem, Outcome, WasiCtx};
use rustix::event::PollFlags;
use rustix::net::{RecvAncillaryBuffer, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendFlags};
use std::io::{IoSlice, IoSliceMut};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;

fn connection(descriptor: &Descriptor) -> Result<&TcpStream, Errno> {
    match &descriptor.object {
        Object::Connection(socket) => Ok(socket),
        Object::Listener(_) => Err(Errno::Notconn),
        _ => Err(Errno::Notsock),
    }
}

pub fn sock_accept(
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    fd: u32,
    flags: u32,
    result_fd: u32,
) -> Outcome {
    mem.check("result_fd", result_fd, FD)?;
    let descriptor = ctx.table.get(fd)?;
    let socket = match &descriptor.object {
        Object::Listener(socket) => socket,
        Object::Connection(_) => return Err(Errno::Inval.into()),
        _ => return Err(Errno::Notsock.into()),
    };
    let flags = super::flags(flags, fdflags::NONBLOCK)?;
    let accept = || {
        let (connection, _) = socket.accept()?;
        connection.set_nonblocking(true)?;
        Ok(connection)
    };
    ctx.table.require_room()?;
    let connection = ctx.waiter.retry(socket.as_fd(), PollFlags::IN, descriptor.nonblock(), accept)?;
    let number = ctx.table.insert(Descriptor::connection(connection, flags))?;
    mem.write_u32("result_fd", result_fd, number)
}

/// `WAITALL` together with `PEEK` waits only for the first byte: what was looked at would stay and be found again.
pub fn sock_recv(
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    fd: u32,
    ri_data: u32,
    ri_data_len: u32,
    ri_flags: u32,
    ro_datalen: u32,
    ro_flags: u32,
) -> Outcome {
    mem.check("ro_datalen", ro_datalen, U32)?;
    mem.check("ro_flags", ro_flags, U16)?;
    let list = mem.iovecs("ri_data", ri_data, ri_data_len, ctx.budget)?;
    let descriptor = ctx.table.get(fd)?;
    let socket = connection(descriptor)?;
    descriptor.require_direction(rights::FD_READ)?;
    let flags = super::flags(ri_flags, riflags::ALL)?;
    let (nonblock, waiter) = (descriptor.nonblock(), &ctx.waiter);
    let peek = flags & riflags::PEEK != 0;
    let whole = flags & riflags::WAITALL != 0 && !peek;
    if whole {
        waiter.prepare()?;
    }
    let how = if peek { RecvFlags::PEEK } else { RecvFlags::empty() };
    let (count, truncated) = mem.scatter(&list, |mut bufs| -> Outcome<_> {
        let mut total = 0;
        loop {
            // A peer that sends without end must not keep the guest here.
            match waiter.check().and_then(|()| receive_with(socket, bufs, how, nonblock, waiter)) {
                Ok((count, truncated)) => {
                    total += count;
                    IoSliceMut::advance_slices(&mut bufs, count);
                    if !whole || count == 0 || bufs.is_empty() {
                        return Ok((total, truncated));
                    }
                }
                // What has arrived is not lost over what has not.
                Err(_) if total > 0 => return Ok((total, false)),
                Err(error) => return Err(error),
            }
        }
    })?;
    mem.write_u32("ro_datalen", ro_datalen, count as u32)?;
    mem.write_u16("ro_flags", ro_flags, if truncated { roflags::DATA_TRUNCATED as u16 } else { 0 })
}

pub fn sock_send(
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    fd: u32,
    si_data: u32,
    si_data_len: u32,
    si_flags: u32,
    so_datalen: u32,
) -> Outcome {
    mem.check("so_datalen", so_datalen, U32)?;
    let list = mem.iovecs("si_data", si_data, si_data_len, ctx.budget)?;
    let descriptor = ctx.table.get(fd)?;
    let socket = connection(descriptor)?;
    descriptor.require_direction(rights::FD_WRITE)?;
    // No flags are defined.
    super::flags(si_flags, 0)?;
    let count = mem.gather(&list, |bufs| send(socket, bufs, descriptor.nonblock(), &ctx.waiter))?;
    mem.write_u32("so_datalen", so_datalen, count as u32)
}

pub fn sock_shutdown(ctx: &mut WasiCtx, _: &mut GuestMem<'_>, fd: u32, how: u32) -> Outcome {
    let socket = connection(ctx.table.get(fd)?)?;
    let how = match super::flags(how, sdflags::ALL)? {
        sdflags::RD => Shutdown::Read,
        sdflags::WR => Shutdown::Write,
        sdflags::ALL => Shutdown::Both,
        _ => return Err(Errno::Inval.into()),
    };
    Ok(socket.shutdown(how)?)
}

/// Reads what is there, waiting for the first byte unless `nonblock`.
pub fn receive(
    socket: &TcpStream,
    bufs: &mut [IoSliceMut<'_>],
    nonblock: bool,
    waiter: &Waiter,
) -> Outcome<usize> {
    receive_with(socket, bufs, RecvFlags::empty(), nonblock, waiter).map(|(count, _)| count)
}

fn receive_with(
    socket: &TcpStream,
    bufs: &mut [IoSliceMut<'_>],
    flags: RecvFlags,
    nonblock: bool,
    waiter: &Waiter,
) -> Outcome<(usize, bool)> {
    waiter.retry(socket.as_fd(), PollFlags::IN, nonblock, || {
        let received = rustix::net::recvmsg(socket, bufs, &mut RecvAncillaryBuffer::default(), flags)?;
        Ok((received.bytes, received.flags.contains(ReturnFlags::TRUNC)))
    })
}

/// Writes what there is room for, waiting for the first byte unless `nonblock`.
pub fn send(socket: &TcpStream, bufs: &[IoSlice<'_>], nonblock: bool, waiter: &Waiter) -> Outcome<usize> {
    // A peer that went away is an errno, and no signal.
    const FLAGS: SendFlags = SendFlags::NOSIGNAL;
    waiter.retry(socket.as_fd(), PollFlags::OUT, nonblock, || {
        Ok(rustix::net::sendmsg(socket, bufs, &mut SendAncillaryBuffer::default(), FLAGS)?)
    })
}
