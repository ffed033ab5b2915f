//! Sockets: listeners that the host gave, connections accepted on them, and everything that is none.

use crate::common::{Guest, ROOT};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use wasmrun_wasi::abi::{Call, fdflags, filetype, riflags};
use wasmrun_wasi::vfs::Perm;
use wasmrun_wasi::vfs::memfs::MemFs;
use wasmrun_wasi::{Errno, Fault, WasiBuilder};

const LISTENER: u32 = 4;

/// A directory is 3 and the listener comes after it, although it was given first.
fn guest() -> (Guest, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(&listener, 2048).unwrap();
    let mut builder = WasiBuilder::new();
    builder.tcp_listener(listener).memfs(&MemFs::new(1 << 16), "/", Perm::ReadWrite);
    (Guest::new(builder.build().unwrap()), address)
}

fn accept(guest: &mut Guest, fd: u32, flags: u64) -> Result<u32, Errno> {
    let at = guest.alloc(4);
    guest.errno(Call::sock_accept, &[fd.into(), flags, at.into()])?;
    Ok(guest.u32(at))
}

fn recv(guest: &mut Guest, fd: u32, len: u32, flags: u64) -> Result<Vec<u8>, Errno> {
    let (buf, count, out_flags) = (guest.alloc(len), guest.alloc(4), guest.put(&[0xff; 2]));
    let half = len / 2;
    let iovs = guest.iovecs(&[(buf, half), (buf + half, len - half)]);
    guest.errno(Call::sock_recv, &[fd.into(), iovs.into(), 2, flags, count.into(), out_flags.into()])?;
    assert_eq!(guest.u16(out_flags), 0);
    Ok(guest.bytes(buf, guest.u32(count)).to_vec())
}

fn send(guest: &mut Guest, fd: u32, bytes: &[u8], flags: u64) -> Result<u32, Errno> {
    let (buf, count) = (guest.put(bytes), guest.alloc(4));
    let iovs = guest.iovecs(&[(buf, bytes.len() as u32)]);
    guest.errno(Call::sock_send, &[fd.into(), iovs.into(), 1, flags, count.into()])?;
    Ok(guest.u32(count))
}

fn connected() -> (Guest, u32, TcpStream) {
    let (mut guest, address) = guest();
    let peer = TcpStream::connect(address).unwrap();
    let fd = accept(&mut guest, LISTENER, 0).unwrap();
    (guest, fd, peer)
}

#[test]
fn what_is_no_socket_is_notsock_and_what_is_not_open_is_badf() {
    let (mut guest, _) = guest();
    for (fd, errno) in [(99, Errno::Badf), (0, Errno::Notsock), (1, Errno::Notsock), (ROOT, Errno::Notsock)] {
        assert_eq!(accept(&mut guest, fd, 0), Err(errno));
        assert_eq!(recv(&mut guest, fd, 4, 0), Err(errno));
        assert_eq!(send(&mut guest, fd, b"x", 0), Err(errno));
        assert_eq!(guest.errno(Call::sock_shutdown, &[fd.into(), 1]), Err(errno));
    }
}

#[test]
fn a_listener_only_accepts() {
    let (mut guest, _) = guest();
    assert_eq!(recv(&mut guest, LISTENER, 4, 0), Err(Errno::Notconn));
    assert_eq!(send(&mut guest, LISTENER, b"x", 0), Err(Errno::Notconn));
    assert_eq!(guest.errno(Call::sock_shutdown, &[LISTENER.into(), 1]), Err(Errno::Notconn));
    assert_eq!(guest.read(LISTENER, 1), Err(Errno::Notconn));
    assert_eq!(guest.fdstat(LISTENER).unwrap().filetype, filetype::SOCKET_STREAM);
    let at = guest.alloc(8);
    // This ends the scan of C libraries for directories.
    assert_eq!(guest.errno(Call::fd_prestat_get, &[LISTENER.into(), at.into()]), Err(Errno::Badf));
}

#[test]
fn a_listener_that_does_not_block_is_again_and_passes_the_flag_on_as_asked() {
    let (mut guest, address) = guest();
    guest.errno(Call::fd_fdstat_set_flags, &[LISTENER.into(), fdflags::NONBLOCK]).unwrap();
    assert_eq!(accept(&mut guest, LISTENER, 0), Err(Errno::Again));
    let _first = TcpStream::connect(address).unwrap();
    assert_eq!(accept(&mut guest, LISTENER, fdflags::APPEND), Err(Errno::Inval));
    let fd = accept(&mut guest, LISTENER, fdflags::NONBLOCK).unwrap();
    assert_eq!(u64::from(guest.fdstat(fd).unwrap().flags), fdflags::NONBLOCK);
    assert_eq!(recv(&mut guest, fd, 4, 0), Err(Errno::Again));
    assert_eq!(guest.read(fd, 4), Err(Errno::Again));
    let _second = TcpStream::connect(address).unwrap();
    let fd = accept(&mut guest, LISTENER, 0).unwrap();
    assert_eq!(guest.fdstat(fd).unwrap().flags, 0);
    assert_eq!(accept(&mut guest, fd, 0), Err(Errno::Inval), "a connection does not listen");
}

#[test]
fn data_goes_both_ways_by_both_kinds_of_calls() {
    let (mut guest, fd, mut peer) = connected();
    peer.write_all(b"hello").unwrap();
    assert_eq!(recv(&mut guest, fd, 3, 0), Ok(b"hel".to_vec()));
    assert_eq!(guest.read(fd, 10), Ok(b"lo".to_vec()));
    assert_eq!((send(&mut guest, fd, b"abc", 0), guest.write(fd, b"def")), (Ok(3), Ok(3)));
    let mut got = [0; 6];
    peer.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"abcdef");
    assert_eq!(send(&mut guest, fd, b"x", 1), Err(Errno::Inval), "no flags are defined for sending");
    drop(peer);
    assert_eq!(recv(&mut guest, fd, 4, 0), Ok(vec![]), "the end");
}

#[test]
fn peeking_leaves_the_data_and_waitall_waits_for_all_of_it() {
    let (mut guest, fd, mut peer) = connected();
    peer.write_all(b"ab").unwrap();
    assert_eq!(recv(&mut guest, fd, 8, riflags::PEEK), Ok(b"ab".to_vec()));
    assert_eq!(recv(&mut guest, fd, 8, riflags::PEEK | riflags::WAITALL), Ok(b"ab".to_vec()));
    // More than the socket can hold: no single receipt brings all of it.
    let data: Vec<u8> = b"ab".iter().copied().chain((0..59_998).map(|index| index as u8)).collect();
    let rest = data[2..].to_vec();
    let thread = std::thread::spawn(move || peer.write_all(&rest).map(|()| peer));
    assert!(recv(&mut guest, fd, 60_000, riflags::WAITALL) == Ok(data));
    let mut peer = thread.join().unwrap().unwrap();
    peer.write_all(b"xy").unwrap();
    drop(peer);
    assert_eq!(recv(&mut guest, fd, 8, riflags::WAITALL), Ok(b"xy".to_vec()), "up to the end");
    assert_eq!(recv(&mut guest, fd, 8, 4), Err(Errno::Inval));
}

#[test]
fn shutting_down_closes_the_directions_that_are_named() {
    let (mut guest, fd, mut peer) = connected();
    for how in [0, 4, 5] {
        assert_eq!(guest.errno(Call::sock_shutdown, &[fd.into(), how]), Err(Errno::Inval));
    }
    assert_eq!(guest.errno(Call::sock_shutdown, &[fd.into(), 2]), Ok(()));
    let mut rest = Vec::new();
    peer.read_to_end(&mut rest).unwrap();
    assert_eq!(send(&mut guest, fd, b"x", 0), Err(Errno::Pipe));
    peer.write_all(b"still").unwrap();
    assert_eq!(recv(&mut guest, fd, 10, 0), Ok(b"still".to_vec()));
    assert_eq!(guest.errno(Call::sock_shutdown, &[fd.into(), 1]), Ok(()));
    assert_eq!(recv(&mut guest, fd, 10, 0), Ok(vec![]));
}

#[test]
fn cancelling_ends_waiting_for_a_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut ctx = WasiBuilder::new().tcp_listener(listener).build().unwrap();
    let canceller = ctx.canceller();
    let mut guest = Guest::new(ctx);
    let thread = std::thread::spawn(move || canceller.cancel());
    assert_eq!(guest.call(Call::sock_accept, &[3, 0, 1024]), Err(Fault::Interrupted));
    thread.join().unwrap();
}
