//! The three standard streams: where a guest's input comes from and its output goes.
//!
//! Invariants: nothing is buffered, so that the host sees exactly the guest's bytes, when the guest writes them, and
//! input that the guest has not read is left to whoever reads next. Streams flow in one direction only, whatever the
//! descriptor behind them could do. The flags of a descriptor that the host shares with others are never changed:
//! `NONBLOCK` is the guest's own, and so is the wish to be wanted back while waiting: both are kept by asking the host for
//! what is there now (the module `now`), and by waiting in the [`Waiter`] alone.
//!
//! Given to [`WasiBuilder`](crate::WasiBuilder); read and written by `p1/io.rs`.

use crate::limits::Limits;
use crate::vfs::host::attributes;
use crate::vfs::{FileKind, FileStat};
use crate::wait::Waiter;
use crate::{Errno, Outcome, now};
use rustix::event::PollFlags;
use std::io::{self, IoSlice, IoSliceMut, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a guest reads from its standard input.
#[derive(Debug, Default)]
#[non_exhaustive]
pub enum Input {
    /// Nothing: the end of the file is at its beginning.
    #[default]
    Null,
    /// These bytes.
    Bytes(Vec<u8>),
    /// The standard input of this process, read when the guest reads and never further.
    Inherit,
    /// A file, pipe, terminal or socket of the host.
    Fd(OwnedFd),
}

/// Where a guest's standard output or standard error goes.
#[derive(Debug, Default)]
#[non_exhaustive]
pub enum Output {
    /// Nowhere.
    #[default]
    Null,
    /// To the stream of the same name of this process.
    Inherit,
    /// Into memory. One handle may serve both streams: then it holds them as they were interleaved.
    Capture(Capture),
    /// To a file, pipe, terminal or socket of the host.
    Fd(OwnedFd),
}

impl From<std::fs::File> for Input {
    fn from(file: std::fs::File) -> Input {
        Input::Fd(file.into())
    }
}

impl From<std::fs::File> for Output {
    fn from(file: std::fs::File) -> Output {
        Output::Fd(file.into())
    }
}

/// Output kept in memory, and the handle to read it with: every clone is the same memory.
#[derive(Clone, Debug)]
pub struct Capture {
    bytes: Arc<Mutex<Vec<u8>>>,
    limit: usize,
}

impl Default for Capture {
    /// Holds [`Limits::capture_bytes`] of the defaults.
    fn default() -> Capture {
        Capture::new(Limits::DEFAULT.capture_bytes)
    }
}

impl Capture {
    /// Holds so many bytes; the guest's writes beyond are `ENOSPC`.
    pub fn new(limit: usize) -> Capture {
        Capture { bytes: Arc::default(), limit }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        // A thread that panicked while it copied bytes has left a valid vector.
        self.bytes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was written so far.
    pub fn contents(&self) -> Vec<u8> {
        self.lock().clone()
    }

    /// What was written so far, which makes room for as much again.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.lock())
    }

    fn write(&self, bufs: &[IoSlice<'_>]) -> Result<usize, Errno> {
        let mut bytes = self.lock();
        let room = self.limit - bytes.len().min(self.limit);
        let mut written = 0;
        for buf in bufs {
            let count = buf.len().min(room - written);
            bytes.extend_from_slice(&buf[..count]);
            written += count;
        }
        if written == 0 && bufs.iter().any(|buf| !buf.is_empty()) { Err(Errno::Nospc) } else { Ok(written) }
    }
}

/// A standard stream as the descriptor table holds it.
#[derive(Debug)]
pub(crate) struct Stream {
    end: End,
    /// What the host says it is; unknown for what is no descriptor of the host.
    kind: FileKind,
    is_input: bool,
}

#[derive(Debug)]
enum End {
    Null,
    Bytes { bytes: Vec<u8>, position: usize },
    Capture(Capture),
    Host(HostFd),
}

#[derive(Debug)]
enum HostFd {
    Stdin(io::Stdin),
    Stdout(io::Stdout),
    Stderr(io::Stderr),
    Owned(OwnedFd),
}

impl HostFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            HostFd::Stdin(stream) => stream.as_fd(),
            HostFd::Stdout(stream) => stream.as_fd(),
            HostFd::Stderr(stream) => stream.as_fd(),
            HostFd::Owned(fd) => fd.as_fd(),
        }
    }
}

/// After `POLLOUT`, a pipe takes so many bytes without blocking (POSIX guarantees 512, hosts in use 4096).
const PIPE_ROOM: usize = 4096;

impl Stream {
    /// Standard input.
    pub fn input(input: Input) -> Stream {
        let end = match input {
            Input::Null => End::Null,
            Input::Bytes(bytes) => End::Bytes { bytes, position: 0 },
            Input::Inherit => End::Host(HostFd::Stdin(io::stdin())),
            Input::Fd(fd) => End::Host(HostFd::Owned(fd)),
        };
        Stream { kind: end.kind(), end, is_input: true }
    }

    /// Standard output.
    pub fn stdout(output: Output) -> Stream {
        Stream::output(output, || HostFd::Stdout(io::stdout()))
    }

    /// Standard error.
    pub fn stderr(output: Output) -> Stream {
        Stream::output(output, || HostFd::Stderr(io::stderr()))
    }

    fn output(output: Output, inherited: impl FnOnce() -> HostFd) -> Stream {
        let end = match output {
            Output::Null => End::Null,
            Output::Capture(capture) => End::Capture(capture),
            Output::Inherit => End::Host(inherited()),
            Output::Fd(fd) => End::Host(HostFd::Owned(fd)),
        };
        Stream { kind: end.kind(), end, is_input: false }
    }

    pub fn is_input(&self) -> bool {
        self.is_input
    }

    pub fn kind(&self) -> FileKind {
        self.kind
    }

    /// The descriptor to wait on; `None` if the stream is always ready.
    pub fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.end {
            End::Host(fd) if self.may_block() => Some(fd.as_fd()),
            _ => None,
        }
    }

    /// How many bytes are left, where the host need not be asked.
    pub fn available(&self) -> Option<u64> {
        match &self.end {
            End::Bytes { bytes, position } => Some((bytes.len() - position) as u64),
            End::Null if self.is_input => Some(0),
            _ => None,
        }
    }

    fn may_block(&self) -> bool {
        !matches!(self.kind, FileKind::Regular | FileKind::BlockDevice)
    }

    /// The attributes; what is no descriptor of the host has none but the size of what can still be read.
    pub fn stat(&self) -> Result<FileStat, Errno> {
        match &self.end {
            End::Host(fd) => {
                Ok(FileStat { kind: self.kind, ..attributes::stat_of(&rustix::fs::fstat(fd.as_fd())?) })
            }
            _ => Ok(FileStat::nowhere(self.kind, self.available().unwrap_or(0))),
        }
    }

    /// Flushes a file behind the stream; what has nowhere to be flushed to is `EINVAL`, as on the host.
    pub fn sync(&self, data_only: bool) -> Result<(), Errno> {
        match &self.end {
            End::Host(fd) if data_only => Ok(rustix::fs::fdatasync(fd.as_fd())?),
            End::Host(fd) => Ok(rustix::fs::fsync(fd.as_fd())?),
            _ => Err(Errno::Inval),
        }
    }

    /// Reads what is there, waiting for the first byte unless `nonblock`. Nothing is not waited for.
    pub fn read(&mut self, bufs: &mut [IoSliceMut<'_>], nonblock: bool, waiter: &Waiter) -> Outcome<usize> {
        if !self.is_input {
            return Err(Errno::Badf.into());
        }
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Ok(0);
        }
        let may_block = self.may_block();
        match &mut self.end {
            End::Null | End::Capture(_) => Ok(0),
            End::Bytes { bytes, position } => {
                let mut rest = &bytes[*position..];
                let count = io::Read::read_vectored(&mut rest, bufs)?;
                *position += count;
                Ok(count)
            }
            End::Host(fd) => {
                let fd = fd.as_fd();
                if may_block && (nonblock || waiter.can_be_ended()) {
                    let read = || now::read(fd, bufs);
                    if let Some(count) = waiter.retry(fd, PollFlags::IN, nonblock, read)? {
                        return Ok(count);
                    }
                    waiter.look_first(fd, PollFlags::IN, nonblock)?;
                }
                waiter.retry(fd, PollFlags::IN, nonblock, || Ok(rustix::io::readv(fd, bufs)?))
            }
        }
    }

    /// Writes, waiting for room unless `nonblock`. Nothing needs no room.
    pub fn write(&self, bufs: &[IoSlice<'_>], nonblock: bool, waiter: &Waiter) -> Outcome<usize> {
        if self.is_input {
            return Err(Errno::Badf.into());
        }
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Ok(0);
        }
        let fd = match &self.end {
            End::Null | End::Bytes { .. } => return Ok(bufs.iter().map(|buf| buf.len()).sum()),
            End::Capture(capture) => return Ok(capture.write(bufs)?),
            End::Host(fd) => fd.as_fd(),
        };
        // The fast path, and the usual one: the guest's buffers go to the host in one system call.
        if !self.may_block() || !(nonblock || waiter.are_writes_interruptible()) {
            return waiter.retry(fd, PollFlags::OUT, nonblock, || Ok(rustix::io::writev(fd, bufs)?));
        }
        if let Some(count) = waiter.retry(fd, PollFlags::OUT, nonblock, || now::write(fd, bufs))? {
            return Ok(count);
        }
        waiter.look_first(fd, PollFlags::OUT, nonblock)?;
        // The descriptor itself blocks, so no more than surely fits: a short write, which is legal.
        let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |first| first);
        let first = &first[..first.len().min(PIPE_ROOM)];
        waiter.retry(fd, PollFlags::OUT, nonblock, || Ok(rustix::io::write(fd, first)?))
    }
}

impl End {
    fn kind(&self) -> FileKind {
        let End::Host(fd) = self else { return FileKind::Unknown };
        let fd = fd.as_fd();
        match rustix::fs::fstat(fd).map(|stat| attributes::stat_of(&stat).kind) {
            // Languages take every character device without a position for a terminal, so only a terminal is one.
            Ok(FileKind::CharacterDevice) if !fd.is_terminal() => FileKind::Unknown,
            // A stream, whatever is behind it.
            Ok(FileKind::Directory) | Err(_) => FileKind::Unknown,
            Ok(kind) => kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fault;
    use crate::wait::hook;
    use rustix::event::{PollFd, Timespec};
    use std::fs::File;
    use std::io::{PipeReader, PipeWriter, Read, Write};

    /// A guest that can be wanted back, with a handle to do it.
    fn waiter() -> (Waiter, crate::Canceller) {
        let mut waiter = Waiter::default();
        let canceller = waiter.canceller();
        (waiter, canceller)
    }

    fn read(stream: &mut Stream, nonblock: bool, waiter: &Waiter) -> Outcome<usize> {
        stream.read(&mut [IoSliceMut::new(&mut [0; 8])], nonblock, waiter)
    }

    fn input() -> (Stream, PipeReader, PipeWriter) {
        let (reader, writer) = io::pipe().unwrap();
        (Stream::input(Input::Fd(reader.try_clone().unwrap().into())), reader, writer)
    }

    /// Both ends of a pipe.
    fn pipe() -> (File, File) {
        let (reader, writer) = io::pipe().unwrap();
        (OwnedFd::from(reader).into(), OwnedFd::from(writer).into())
    }

    /// Both ends of a pipe that had a name.
    fn named_pipe() -> (File, File) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        // To open one end alone would wait for the other.
        let _both = File::options().read(true).write(true).open(&path).unwrap();
        (File::open(&path).unwrap(), File::options().write(true).open(&path).unwrap())
    }

    /// A terminal: the end of its programs, which takes whole lines, and the controlling end.
    fn terminal() -> (File, File) {
        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        let control = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&control).unwrap();
        unlockpt(&control).unwrap();
        let name = ptsname(&control, Vec::new()).unwrap();
        let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::NOCTTY;
        let programs = rustix::fs::openat(rustix::fs::CWD, name, flags, rustix::fs::Mode::empty()).unwrap();
        (programs.into(), control.into())
    }

    /// Does something that must come to an end by itself. If it does not, `release` is done after long, so that the test
    /// fails instead of lasting for ever.
    fn without_help<R>(release: impl FnOnce() + Send, work: impl FnOnce() -> R) -> R {
        let (done, until_done) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let waited = until_done.recv_timeout(std::time::Duration::from_secs(20));
                if waited == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                    release();
                }
            });
            let result = work();
            drop(done);
            result
        })
    }

    #[test]
    fn what_somebody_else_takes_after_the_look_is_waited_for_where_the_wait_can_be_ended() {
        for (mut reader, writer) in [pipe(), named_pipe(), terminal()] {
            let mut stream = Stream::input(Input::Fd(reader.try_clone().unwrap().into()));
            let (waiter, canceller) = waiter();
            let mut calls = 0;
            let mut write = writer.try_clone().unwrap();
            hook::set(move |moment| {
                calls += 1;
                match (calls, moment) {
                    (1, hook::Moment::Waits) => write.write_all(b"x\n").unwrap(),
                    (2, hook::Moment::Ready) => {
                        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 2);
                        canceller.cancel();
                    }
                    (3, hook::Moment::Waits) => {}
                    other => panic!("{other:?}"),
                }
            });
            let release = || (&writer).write_all(b"too late\n").unwrap();
            let read = without_help(release, || read(&mut stream, false, &waiter));
            assert_eq!(read, Err(Fault::Interrupted), "{writer:?}");
            assert_eq!(hook::take_count(), 3);
        }
    }

    #[test]
    fn a_terminal_that_nobody_reads_does_not_hold_a_write_that_can_be_ended() {
        let (programs, mut control) = terminal();
        let stream = Stream::stdout(Output::Fd(programs.try_clone().unwrap().into()));
        let (waiter, canceller) = waiter();
        // A terminal says that it is ready as long as there is any room, and little of it keeps a large write.
        let look = programs.try_clone().unwrap();
        hook::set(move |_| {
            let mut list = [PollFd::new(&look, PollFlags::OUT)];
            if rustix::event::poll(&mut list, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 0 {
                canceller.cancel();
            }
        });
        // Far more than any terminal keeps.
        let (bytes, times) = ([b'x'; 3000], 100);
        let release = || control.read_exact(&mut vec![0; bytes.len() * times]).unwrap();
        let write = |_| stream.write(&[IoSlice::new(&bytes)], false, &waiter);
        let end = without_help(release, || (0..times).map(write).find_map(Result::err));
        hook::take_count();
        assert_eq!(end, Some(Fault::Interrupted));
    }

    #[test]
    fn a_named_pipe_ends_when_its_writers_are_gone_and_has_no_writer_in_its_reader() {
        let (reader, writer) = named_pipe();
        let mut input = Stream::input(Input::Fd(reader.into()));
        let output = Stream::stdout(Output::Fd(writer.into()));
        let (waiter, _canceller) = waiter();
        assert_eq!(read(&mut input, true, &waiter), Err(Errno::Again.into()));
        assert_eq!(output.write(&[IoSlice::new(b"abc")], false, &waiter), Ok(3));
        drop(output);
        assert_eq!(read(&mut input, false, &waiter), Ok(3));
        assert_eq!(read(&mut input, false, &waiter), Ok(0));
        let (reader, writer) = named_pipe();
        let mut input = Stream::input(Input::Fd(reader.into()));
        let output = Stream::stdout(Output::Fd(writer.into()));
        assert_eq!(read(&mut input, true, &waiter), Err(Errno::Again.into()));
        drop(input);
        assert_eq!(output.write(&[IoSlice::new(b"abc")], false, &waiter), Err(Errno::Pipe.into()));
    }

    #[test]
    fn a_guest_that_does_not_wait_gets_eagain_without_a_look_before_the_call() {
        let (mut stream, _reader, mut writer) = input();
        hook::set(|moment| panic!("{moment:?}"));
        assert_eq!(read(&mut stream, true, &Waiter::default()), Err(Errno::Again.into()));
        writer.write_all(b"x").unwrap();
        assert_eq!(read(&mut stream, true, &Waiter::default()), Ok(1));
        drop(writer);
        assert_eq!(read(&mut stream, true, &Waiter::default()), Ok(0));
        assert_eq!(hook::take_count(), 0);
    }

    #[test]
    fn room_that_somebody_else_takes_after_the_look_is_waited_for_where_the_wait_can_be_ended() {
        for (reader, writer) in [pipe(), named_pipe()] {
            room(reader, writer);
        }
    }

    fn room(mut reader: File, mut writer: File) {
        let page = rustix::pipe::fcntl_setpipe_size(&writer, 4096).unwrap();
        let stream = Stream::stdout(Output::Fd(writer.try_clone().unwrap().into()));
        let (waiter, canceller) = waiter();
        let bytes = vec![7; 2 * page];
        let write = || stream.write(&[IoSlice::new(&bytes)], false, &waiter);
        assert_eq!(write(), Ok(page), "what there is room for, at once");
        let mut calls = 0;
        let mut other_reader = reader.try_clone().unwrap();
        hook::set(move |moment| {
            calls += 1;
            match (calls, moment) {
                (1, hook::Moment::Waits) => reader.read_exact(&mut vec![0; page]).unwrap(),
                (2, hook::Moment::Ready) => {
                    writer.write_all(&vec![8; page]).unwrap();
                    canceller.cancel();
                }
                (3, hook::Moment::Waits) => {}
                other => panic!("{other:?}"),
            }
        });
        let release = || other_reader.read_exact(&mut vec![0; page]).unwrap();
        assert_eq!(without_help(release, write), Err(Fault::Interrupted));
        assert_eq!(hook::take_count(), 3);
    }

    #[test]
    fn what_cannot_be_asked_without_waiting_is_looked_at_first() {
        // To open the controlling end of a terminal again would make another terminal.
        let (mut programs, control) = terminal();
        let mut stream = Stream::input(Input::Fd(control.try_clone().unwrap().into()));
        let (waiter, canceller) = waiter();
        assert_eq!(read(&mut stream, true, &waiter), Err(Errno::Again.into()));
        programs.write_all(b"xy").unwrap();
        assert_eq!(read(&mut stream, false, &waiter), Ok(2));
        let out = Stream::stdout(Output::Fd(control.into()));
        assert_eq!(out.write(&[IoSlice::new(b"abc\n")], false, &waiter), Ok(4));
        assert_eq!(programs.read(&mut [0; 8]).unwrap(), 4);
        assert_eq!(read(&mut stream, false, &waiter), Ok(5), "the terminal's echo");
        let thread = std::thread::spawn(move || canceller.cancel());
        assert_eq!(read(&mut stream, false, &waiter), Err(Fault::Interrupted));
        thread.join().unwrap();
    }
}
