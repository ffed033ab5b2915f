//! Reading, writing and positions, on files of the host and in memory.

use crate::common::{Guest, READ, ROOT, RW, WRITE};
use wasmrun_wasi::Errno;
use wasmrun_wasi::abi::{Call, fdflags, oflags};

/// Runs a test on both file systems.
fn both(test: impl Fn(&mut Guest)) {
    let dir = tempfile::tempdir().unwrap();
    test(&mut Guest::with_dir(dir.path()));
    test(&mut Guest::with_memfs());
}

const SET: u64 = 0;
const CUR: u64 = 1;
const END: u64 = 2;

#[test]
fn positions_move_with_reads_and_writes_and_belong_to_the_descriptor() {
    both(|guest| {
        guest.create("f", b"0123456789");
        let (a, b) = (guest.open("f", 0, RW).unwrap(), guest.open("f", 0, RW).unwrap());
        assert_eq!(guest.read(a, 4), Ok(b"0123".to_vec()));
        assert_eq!((guest.tell(a), guest.tell(b)), (Ok(4), Ok(0)));
        assert_eq!(guest.write(a, b"xy"), Ok(2));
        assert_eq!(guest.read(a, 100), Ok(b"6789".to_vec()));
        assert_eq!(guest.read(a, 100), Ok(vec![]), "the end");
        assert_eq!(guest.read(b, 100), Ok(b"0123xy6789".to_vec()));
    });
}

#[test]
fn positioned_access_moves_nothing() {
    both(|guest| {
        guest.create("f", b"0123456789");
        let fd = guest.open("f", 0, RW).unwrap();
        guest.seek(fd, 1, SET).unwrap();
        assert_eq!(guest.read_call(Call::fd_pread, fd, 3, &[5]), Ok(b"567".to_vec()));
        assert_eq!(guest.write_call(Call::fd_pwrite, fd, b"ab", &[8]), Ok(2));
        assert_eq!(guest.tell(fd), Ok(1));
        assert_eq!(guest.read(fd, 100), Ok(b"1234567ab".to_vec()));
        assert_eq!(guest.read_call(Call::fd_pread, fd, 1, &[u64::MAX]), Err(Errno::Inval));
        assert_eq!(guest.write_call(Call::fd_pwrite, fd, b"x", &[u64::MAX]), Err(Errno::Inval));
    });
}

#[test]
fn seeking_counts_from_three_places_and_stays_in_range() {
    both(|guest| {
        guest.create("f", b"0123456789");
        let fd = guest.open("f", 0, RW).unwrap();
        assert_eq!(guest.seek(fd, 4, SET), Ok(4));
        assert_eq!(guest.seek(fd, -1, CUR), Ok(3));
        assert_eq!(guest.seek(fd, -2, END), Ok(8));
        assert_eq!(guest.seek(fd, 100, END), Ok(110), "past the end is fine");
        assert_eq!(guest.read(fd, 4), Ok(vec![]));
        assert_eq!(guest.seek(fd, -1, SET), Err(Errno::Inval));
        assert_eq!(guest.seek(fd, -111, CUR), Err(Errno::Inval));
        assert_eq!(guest.seek(fd, i64::MAX, CUR), Err(Errno::Inval));
        assert_eq!(guest.seek(fd, i64::MIN, END), Err(Errno::Inval));
        assert_eq!(guest.seek(fd, 0, 3), Err(Errno::Inval));
        assert_eq!(guest.seek(fd, 0, u64::from(u32::MAX)), Err(Errno::Inval));
        assert_eq!(guest.tell(fd), Ok(110), "a refused seek moves nothing");
        assert_eq!(guest.write(fd, b"x"), Ok(1));
        assert_eq!(guest.stat("f", 0).unwrap().size, 111);
    });
}

#[test]
fn directories_and_streams_have_no_position() {
    both(|guest| {
        for whence in [SET, CUR, END] {
            assert_eq!(guest.seek(ROOT, 0, whence), Err(Errno::Badf));
            assert_eq!(guest.seek(0, 0, whence), Err(Errno::Spipe));
        }
        assert_eq!(guest.tell(ROOT), Err(Errno::Badf));
        assert_eq!(guest.tell(1), Err(Errno::Spipe));
        assert_eq!(guest.tell(99), Err(Errno::Badf));
        assert_eq!(guest.read_call(Call::fd_pread, 0, 1, &[0]), Err(Errno::Spipe));
        assert_eq!(guest.write_call(Call::fd_pwrite, 1, b"x", &[0]), Err(Errno::Spipe));
    });
}

#[test]
fn directories_cannot_be_read_or_written() {
    both(|guest| {
        for errno in [
            guest.read(ROOT, 1).unwrap_err(),
            guest.write(ROOT, b"x").unwrap_err(),
            guest.read_call(Call::fd_pread, ROOT, 1, &[0]).unwrap_err(),
            guest.write_call(Call::fd_pwrite, ROOT, b"x", &[0]).unwrap_err(),
        ] {
            assert_eq!(errno, Errno::Badf);
        }
    });
}

#[test]
fn the_direction_is_that_of_opening() {
    both(|guest| {
        guest.create("f", b"abc");
        let (reader, writer) = (guest.open("f", 0, READ).unwrap(), guest.open("f", 0, WRITE).unwrap());
        let neither = guest.open("f", 0, 0).unwrap();
        assert_eq!(guest.write(reader, b"x"), Err(Errno::Badf));
        assert_eq!(guest.write_call(Call::fd_pwrite, reader, b"x", &[0]), Err(Errno::Badf));
        assert_eq!(guest.read(writer, 1), Err(Errno::Badf));
        assert_eq!(guest.read_call(Call::fd_pread, writer, 1, &[0]), Err(Errno::Badf));
        assert_eq!(guest.read(neither, 3), Ok(b"abc".to_vec()));
        assert_eq!(guest.write(neither, b"x"), Err(Errno::Badf));
        assert_eq!(guest.read(1, 1), Err(Errno::Badf));
        assert_eq!(guest.write(0, b"x"), Err(Errno::Badf));
        assert_eq!(guest.read(99, 1), Err(Errno::Badf));
    });
}

#[test]
fn appending_writes_at_the_end_and_moves_there() {
    both(|guest| {
        guest.create("f", b"0123");
        let fd = guest.open_with(ROOT, 0, "f", 0, RW, fdflags::APPEND).unwrap();
        assert_eq!(guest.write(fd, b"ab"), Ok(2));
        assert_eq!(guest.tell(fd), Ok(6));
        guest.seek(fd, 1, SET).unwrap();
        assert_eq!(guest.read(fd, 2), Ok(b"12".to_vec()), "reading is where the position is");
        // Another descriptor makes the file longer in between.
        let other = guest.open("f", 0, RW).unwrap();
        guest.seek(other, 0, END).unwrap();
        guest.write(other, b"cd").unwrap();
        assert_eq!(guest.write(fd, b"ef"), Ok(2));
        assert_eq!(guest.tell(fd), Ok(10));
        assert_eq!(guest.write_call(Call::fd_pwrite, fd, b"X", &[0]), Ok(1));
        assert_eq!(guest.tell(fd), Ok(10));
        guest.errno(Call::fd_fdstat_set_flags, &[fd.into(), 0]).unwrap();
        guest.seek(fd, 1, SET).unwrap();
        guest.write(fd, b"Y").unwrap();
        assert_eq!(guest.read_call(Call::fd_pread, fd, 20, &[0]), Ok(b"XY23abcdef".to_vec()));
    });
}

#[test]
fn many_buffers_are_one_read_or_write() {
    both(|guest| {
        let fd = guest.open("f", oflags::CREAT, RW).unwrap();
        let data: Vec<u8> = (0..200).collect();
        let at = guest.put(&data);
        let count = guest.alloc(4);
        // Twenty pieces with empty ones in between.
        let pieces: Vec<_> = (0..20).flat_map(|index| [(at + index * 10, 10), (7, 0)]).collect();
        let iovs = guest.iovecs(&pieces);
        guest.errno(Call::fd_write, &[fd.into(), iovs.into(), 40, count.into()]).unwrap();
        assert_eq!(guest.u32(count), 200);
        let to = guest.alloc(400);
        let pieces: Vec<_> = (0..20).map(|index| (to + index * 20, 10)).collect();
        let iovs = guest.iovecs(&pieces);
        guest.seek(fd, 0, SET).unwrap();
        guest.errno(Call::fd_read, &[fd.into(), iovs.into(), 20, count.into()]).unwrap();
        assert_eq!(guest.u32(count), 200);
        for index in 0..20 {
            assert_eq!(guest.bytes(to + index * 20, 10), &data[index as usize * 10..][..10]);
            assert_eq!(guest.bytes(to + index * 20 + 10, 10), [0; 10], "the gaps stay");
        }
    });
}

#[test]
fn buffers_that_overlap_or_descend_are_read_short_and_written_whole() {
    both(|guest| {
        guest.create("f", b"0123456789");
        let fd = guest.open("f", 0, RW).unwrap();
        let (buf, count) = (guest.alloc(32), guest.alloc(4));
        for second in [buf + 2, buf - 4] {
            let iovs = guest.iovecs(&[(buf, 4), (second, 4)]);
            guest.seek(fd, 0, SET).unwrap();
            guest.errno(Call::fd_read, &[fd.into(), iovs.into(), 2, count.into()]).unwrap();
            assert_eq!((guest.u32(count), guest.bytes(buf, 4)), (4, &b"0123"[..]));
            assert_eq!(guest.tell(fd), Ok(4));
        }
        let iovs = guest.iovecs(&[(buf, 4), (buf + 1, 3), (buf, 1)]);
        guest.seek(fd, 0, SET).unwrap();
        guest.errno(Call::fd_write, &[fd.into(), iovs.into(), 3, count.into()]).unwrap();
        assert_eq!(guest.read_call(Call::fd_pread, fd, 8, &[0]), Ok(b"01231230".to_vec()));
    });
}

#[test]
fn a_pipe_that_nobody_writes_to_does_not_hang_the_host() {
    let dir = tempfile::tempdir().unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        dir.path().join("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let mut guest = Guest::with_dir(dir.path());
    let reader = guest.open_with(ROOT, 0, "pipe", 0, READ, fdflags::NONBLOCK).unwrap();
    assert_eq!(guest.read(reader, 4), Ok(vec![]), "no writer: the end");
    let writer = guest.open("pipe", 0, WRITE).unwrap();
    assert_eq!(guest.read(reader, 4), Err(Errno::Again));
    assert_eq!(guest.write(writer, b"abc"), Ok(3));
    assert_eq!(guest.read(reader, 4), Ok(b"abc".to_vec()));
    assert_eq!(guest.tell(reader), Err(Errno::Spipe));
    assert_eq!(guest.seek(writer, 0, SET), Err(Errno::Spipe));
    assert_eq!(guest.read_call(Call::fd_pread, reader, 1, &[0]), Err(Errno::Spipe));
}
