//! Standard streams: every source and sink, byte for byte, without buffering, and without touching what is shared.

use crate::common::Guest;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use wasmrun_wasi::abi::{Call, fdflags, filetype};
use wasmrun_wasi::{Capture, Errno, Fault, Input, Output, WasiBuilder};

fn pipe() -> (std::io::PipeReader, std::io::PipeWriter) {
    std::io::pipe().unwrap()
}

#[test]
fn output_is_captured_as_it_is_written_and_can_be_taken() {
    let capture = Capture::new(8);
    let mut builder = WasiBuilder::new();
    builder.stdout(Output::Capture(capture.clone())).stderr(Output::Capture(capture.clone()));
    let mut guest = Guest::new(builder.build().unwrap());
    assert_eq!((guest.write(1, b"a\0"), guest.write(2, b"\xff\n")), (Ok(2), Ok(2)));
    assert_eq!(capture.contents(), b"a\0\xff\n");
    assert_eq!(guest.write(1, b"123456"), Ok(4), "as much as fits");
    assert_eq!(guest.write(1, b"x"), Err(Errno::Nospc));
    assert_eq!(guest.write(1, b""), Ok(0));
    assert_eq!(capture.take(), b"a\0\xff\n1234");
    assert_eq!(guest.write(1, b"x"), Ok(1), "taking makes room");
}

#[test]
fn input_is_read_no_further_than_the_guest_reads() {
    let (reader, mut writer) = pipe();
    writer.write_all(b"for the guest, for others").unwrap();
    let shared = reader.try_clone().unwrap();
    let mut guest = Guest::new(WasiBuilder::new().stdin(Input::Fd(reader.into())).build().unwrap());
    assert_eq!(guest.read(0, 13), Ok(b"for the guest".to_vec()));
    drop((writer, guest));
    let mut rest = String::new();
    let mut shared = shared;
    shared.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, ", for others");
}

#[test]
fn bytes_as_input_come_to_an_end() {
    let mut guest = Guest::new(WasiBuilder::new().stdin(Input::Bytes(b"12345".to_vec())).build().unwrap());
    assert_eq!(guest.read(0, 3), Ok(b"123".to_vec()));
    assert_eq!(guest.read(0, 3), Ok(b"45".to_vec()));
    assert_eq!(guest.read(0, 3), Ok(vec![]));
}

#[test]
fn nonblock_is_the_guests_own_and_the_shared_descriptor_is_not_changed() {
    let (reader, mut writer) = pipe();
    let shared = reader.try_clone().unwrap();
    let mut guest = Guest::new(WasiBuilder::new().stdin(Input::Fd(reader.into())).build().unwrap());
    guest.errno(Call::fd_fdstat_set_flags, &[0, fdflags::NONBLOCK]).unwrap();
    assert_eq!(guest.read(0, 1), Err(Errno::Again));
    assert!(!rustix::fs::fcntl_getfl(&shared).unwrap().contains(rustix::fs::OFlags::NONBLOCK));
    writer.write_all(b"x").unwrap();
    assert_eq!(guest.read(0, 9), Ok(b"x".to_vec()));
    assert_eq!(guest.read(0, 9), Err(Errno::Again));
    drop(writer);
    assert_eq!(guest.read(0, 9), Ok(vec![]));
}

#[test]
fn a_descriptor_that_happens_not_to_block_still_blocks_the_guest() {
    // A shell may have left its terminal that way; the guest did not ask for it.
    let (host, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    let mut guest = Guest::new(WasiBuilder::new().stdin(Input::Fd(OwnedFd::from(theirs))).build().unwrap());
    let thread = std::thread::spawn(move || {
        let mut host = host;
        host.write_all(b"late").unwrap();
    });
    assert_eq!(guest.read(0, 9), Ok(b"late".to_vec()));
    thread.join().unwrap();
}

#[test]
fn a_full_pipe_is_again_for_a_guest_that_does_not_block() {
    let (reader, writer) = pipe();
    let mut guest = Guest::new(WasiBuilder::new().stdout(Output::Fd(writer.into())).build().unwrap());
    guest.errno(Call::fd_fdstat_set_flags, &[1, fdflags::NONBLOCK]).unwrap();
    let mut written = 0;
    let errno = loop {
        guest.free_all();
        match guest.write(1, &[7; 50_000]) {
            Ok(count) => written += count,
            Err(errno) => break errno,
        }
        assert!(written < 100 << 20, "the pipe never fills");
    };
    assert_eq!(errno, Errno::Again);
    drop(guest);
    let mut all = Vec::new();
    let mut reader = reader;
    reader.read_to_end(&mut all).unwrap();
    assert_eq!(all.len() as u32, written);
}

#[test]
fn a_closed_pipe_is_an_errno() {
    let (reader, writer) = pipe();
    drop(reader);
    let mut guest = Guest::new(WasiBuilder::new().stdout(Output::Fd(writer.into())).build().unwrap());
    assert_eq!(guest.write(1, b"x"), Err(Errno::Pipe));
}

#[test]
fn cancelling_ends_a_read_and_a_write_that_wait() {
    let (input, _held) = pipe();
    let (_unread, output) = pipe();
    let mut builder = WasiBuilder::new();
    let mut ctx = builder.stdin(Input::Fd(input.into())).stdout(Output::Fd(output.into())).build().unwrap();
    let canceller = ctx.canceller();
    let mut guest = Guest::new(ctx);
    let cancel = |canceller: &wasmrun_wasi::Canceller| {
        let canceller = canceller.clone();
        std::thread::spawn(move || canceller.cancel())
    };
    let thread = cancel(&canceller);
    let (buf, count) = (guest.alloc(8), guest.alloc(4));
    let iovs = guest.iovecs(&[(buf, 8)]);
    assert_eq!(guest.call(Call::fd_read, &[0, iovs.into(), 1, count.into()]), Err(Fault::Interrupted));
    thread.join().unwrap();
    canceller.reset();
    let iovs = guest.iovecs(&[(0, 65536)]);
    let write = |guest: &mut Guest| guest.call(Call::fd_write, &[1, iovs.into(), 1, count.into()]);
    // Nobody reads: the pipe fills, and the next write waits.
    let thread = cancel(&canceller);
    let outcome = loop {
        let outcome = write(&mut guest);
        if outcome.is_err() {
            break outcome;
        }
    };
    assert_eq!(outcome, Err(Fault::Interrupted));
    thread.join().unwrap();
}

#[test]
fn redirected_files_are_files_and_their_position_is_shared_with_the_host() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    std::fs::write(&path, b"0123456789").unwrap();
    let mut file = std::fs::File::open(&path).unwrap();
    let mut first = [0; 2];
    file.read_exact(&mut first).unwrap();
    let out = std::fs::File::create(dir.path().join("out")).unwrap();
    let mut guest = Guest::new(WasiBuilder::new().stdin(file).stdout(out).build().unwrap());
    assert_eq!(guest.read(0, 3), Ok(b"234".to_vec()));
    assert_eq!(guest.fdstat(0).unwrap().filetype, filetype::REGULAR_FILE);
    assert_eq!(guest.fstat(0).unwrap().size, 10);
    assert_eq!(guest.write(1, b"out"), Ok(3));
    assert_eq!(guest.errno(Call::fd_sync, &[1]), Ok(()));
    assert_eq!(std::fs::read(dir.path().join("out")).unwrap(), b"out");
}

#[test]
fn a_device_that_is_no_terminal_does_not_look_like_one() {
    let null = std::fs::File::open("/dev/null").unwrap();
    let mut guest = Guest::new(WasiBuilder::new().stdin(null).build().unwrap());
    assert_eq!(guest.fdstat(0).unwrap().filetype, filetype::UNKNOWN);
    assert_eq!(guest.read(0, 1), Ok(vec![]));
}
