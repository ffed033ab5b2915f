//! One line for each call, in the manner of `strace`: arguments by name where they have one, results after the sign.
//!
//! ```text
//! path_open(3, SYMLINK_FOLLOW, "a/b", CREAT|TRUNC, FD_READ|FD_WRITE, 0, 0) = 5 <12.3µs>
//! fd_write(1, "hello\n") = 6 <4.1µs>
//! fd_close(9) = EBADF <60ns>
//! ```
//!
//! What is printed comes from the table in [`abi`](crate::abi). Pointers to results are left out; the results themselves
//! follow the equals sign. Tracing never disturbs the guest: pointers that do not fit are printed as numbers, and
//! errors of the writer are ignored.
//!
//! A line that has to wait for its reader is written like the guest's own output: when somebody wants the guest back,
//! the wait ends. The call has been made by then, so its outcome is kept; an engine that lets the guest go on makes the
//! call again and gets it, after the rest of the line. Otherwise the line is lost, and the next one says so.
//!
//! Threads that share a trace make calls while others wait for its reader. Their lines are appended to what is left, up to
//! a limit, and whoever finds room writes all of it. What an outcome belongs to is the thread: its [`Waiter`] keeps it.

use crate::abi::{Call, IOVEC, Kind, Preview, whence};
use crate::stdio::Stream;
use crate::wait::Waiter;
use crate::{Fault, GuestMem, Outcome};
use std::fmt;
use std::io::{IoSlice, Write};
use std::time::Instant;

/// So many bytes of a buffer are shown.
const SHOWN: u32 = 32;
/// So many bytes of a path.
const SHOWN_PATH: u32 = 256;
/// Where so many bytes are left to be written, lines of other threads are lost: as much as a pipe takes.
const MOST_LEFT: usize = 64 << 10;

/// The lines, and where they go.
pub(crate) struct Trace {
    sink: Sink,
    /// What is left to be written of the last line, or of those of several threads.
    rest: Vec<u8>,
    /// Whether some of that was written.
    begun: bool,
    /// How many lines were given up since one was written.
    lost: u64,
}

enum Sink {
    /// Takes what it gets, for as long as it takes.
    Writer(Box<dyn Write + Send>),
    /// Is waited for as the guest's own output is.
    Stream(Stream),
}

/// A line of which the part up to the result is known.
pub(crate) struct Line {
    text: String,
    started: Instant,
}

impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trace")
    }
}

impl Trace {
    pub fn to_writer(writer: Box<dyn Write + Send>) -> Trace {
        Trace::new(Sink::Writer(writer))
    }

    pub fn to_stream(stream: Stream) -> Trace {
        Trace::new(Sink::Stream(stream))
    }

    fn new(sink: Sink) -> Trace {
        Trace { sink, rest: Vec::new(), begun: false, lost: 0 }
    }

    /// Prints the arguments, as they are before the call.
    pub fn begin(preview: &Preview, call: Call, args: &[u64], mem: &GuestMem<'_>) -> Line {
        let function = call.function();
        let mut text = format!("{}(", function.name);
        let mut first = true;
        for (index, (param, &value)) in function.params.iter().zip(args).enumerate() {
            let Some(shown) = show(preview, param.kind, value, args.get(index + 1).copied(), mem) else {
                continue;
            };
            if !first {
                text.push_str(", ");
            }
            first = false;
            text.push_str(&shown);
        }
        Line { text, started: Instant::now() }
    }

    /// Completes the line, which [`Trace::flush`] writes.
    pub fn end(
        &mut self,
        waiter: &Waiter,
        line: Line,
        call: Call,
        args: &[u64],
        mem: &GuestMem<'_>,
        outcome: &Outcome,
    ) {
        let elapsed = line.started.elapsed();
        let mut text = line.text;
        text.push_str(") = ");
        match outcome {
            Ok(()) => text.push_str(&results(call, args, mem)),
            Err(Fault::Errno(errno)) => text.push_str(&errno.to_string()),
            Err(Fault::Trap(message)) => text.extend(["trap: ", message]),
            Err(Fault::Exit(_)) => text.push('?'),
            Err(Fault::Interrupted) => text.push_str("interrupted"),
        }
        text.push_str(&format!(" <{elapsed:?}>\n"));
        if waiter.waits_elsewhere() {
            return self.append(&text);
        }
        // Whatever is left of the line before was given up.
        self.lost += u64::from(!self.rest.is_empty());
        if self.lost > 0 {
            let cut = if self.begun { "...\n" } else { "" };
            text.insert_str(0, &format!("{cut}(lines of the trace that are lost: {})\n", self.lost));
        }
        self.rest = text.into_bytes();
    }

    /// Puts a line behind those that other threads wait to write.
    fn append(&mut self, line: &str) {
        if self.rest.len() >= MOST_LEFT {
            self.lost += 1;
            return;
        }
        if self.lost > 0 {
            self.rest.extend(format!("(lines of the trace that are lost: {})\n", self.lost).bytes());
            self.lost = 0;
        }
        self.rest.extend(line.bytes());
    }

    /// Writes what is left. Gives the outcome of the call, or has an engine asked whether it may go on
    /// waiting.
    pub fn flush(&mut self, waiter: &Waiter, outcome: Outcome) -> Outcome {
        let stream = match &mut self.sink {
            Sink::Writer(writer) => {
                let _ = writer.write_all(&self.rest).and_then(|()| writer.flush());
                self.rest.clear();
                return outcome;
            }
            Sink::Stream(stream) => stream,
        };
        while !self.rest.is_empty() {
            match stream.write(&[IoSlice::new(&self.rest)], false, waiter) {
                Ok(count) => {
                    self.begun = true;
                    self.rest.drain(..count);
                }
                Err(Fault::Interrupted) if waiter.is_attached() => {
                    waiter.keep(outcome);
                    return Err(Fault::Interrupted);
                }
                // The next line counts it as lost.
                Err(Fault::Interrupted) => return outcome,
                Err(_) => self.rest.clear(),
            }
        }
        self.begun = false;
        if !waiter.waits_elsewhere() {
            self.lost = 0;
        }
        outcome
    }
}

/// An argument as a person wants to see it; `None` for what says nothing before the call.
fn show(preview: &Preview, kind: Kind, value: u64, next: Option<u64>, mem: &GuestMem<'_>) -> Option<String> {
    let next = next.unwrap_or(0) as u32;
    Some(match kind {
        Kind::Fd | Kind::Num | Kind::Count => value.to_string(),
        Kind::Signed => (value as i64).to_string(),
        Kind::Flags(names) => flags(names, value),
        Kind::Enum(names) => named(names, value),
        Kind::Whence => {
            let standard = usize::try_from(value).ok().and_then(|value| preview.whence.get(value));
            standard.map_or_else(|| value.to_string(), |&standard| named(whence::NAMES, standard.into()))
        }
        Kind::Path => quote(mem, value as u32, next, SHOWN_PATH),
        Kind::Ciovs => gather(mem, value as u32, next),
        Kind::Iovs => format!("[{}]", next),
        Kind::OutBuf => format!("{next}"),
        Kind::Len | Kind::Out(_) | Kind::OutHostSized | Kind::Subscriptions | Kind::Events => return None,
    })
}

fn named(names: &[&str], value: u64) -> String {
    let name = usize::try_from(value).ok().and_then(|value| names.get(value));
    name.map_or_else(|| value.to_string(), |name| (*name).to_owned())
}

fn flags(names: &[(u64, &str)], mut value: u64) -> String {
    if value == 0 {
        return "0".to_owned();
    }
    if names.len() > 8 && names.iter().all(|(bit, _)| value & bit != 0) {
        return "ALL".to_owned();
    }
    let mut parts = Vec::new();
    for &(bit, name) in names {
        if value & bit != 0 {
            parts.push(name.to_owned());
            value &= !bit;
        }
    }
    if value != 0 {
        parts.push(format!("{value:#x}"));
    }
    parts.join("|")
}

/// Bytes of the guest in quotes, cut at a length.
fn quote(mem: &GuestMem<'_>, address: u32, len: u32, limit: u32) -> String {
    match mem.read_vec("", address, len.min(limit)) {
        Ok(bytes) => format!("\"{}\"{}", bytes.escape_ascii(), if len > limit { "..." } else { "" }),
        Err(_) => format!("{address:#x}+{len}"),
    }
}

/// The beginning of what a list of buffers holds.
fn gather(mem: &GuestMem<'_>, address: u32, count: u32) -> String {
    match mem.iovecs("", address, count, SHOWN.into()) {
        Ok(list) => {
            let bytes =
                mem.gather(&list, |bufs| bufs.iter().flat_map(|buf| buf.to_vec()).collect::<Vec<u8>>());
            let all = (0..count).try_fold(0u64, |sum, index| {
                mem.read_u32("", address + index * IOVEC.size + 4).map(|len| sum + u64::from(len))
            });
            let cut = all.is_ok_and(|all| all > bytes.len() as u64);
            format!("\"{}\"{}", bytes.escape_ascii(), if cut { "..." } else { "" })
        }
        Err(_) => format!("{address:#x}[{count}]"),
    }
}

/// The numbers among a call's results; 0 if it has none.
fn results(call: Call, args: &[u64], mem: &GuestMem<'_>) -> String {
    let mut shown = Vec::new();
    for (param, &value) in call.function().params.iter().zip(args) {
        let Kind::Out(layout) = param.kind else { continue };
        let value = match layout.name {
            "u16" => mem.read_u16("", value as u32).map(u64::from),
            "u32" | "fd" => mem.read_u32("", value as u32).map(u64::from),
            "u64" => mem.read_u64("", value as u32),
            _ => continue,
        };
        shown.push(value.map_or_else(|_| "?".to_owned(), |value| value.to_string()));
    }
    if shown.is_empty() { "0".to_owned() } else { shown.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::PREVIEW1;
    use crate::wait::Attached;
    use crate::{Errno, Output};
    use std::io::{PipeReader, PipeWriter, Read, pipe};

    /// A trace to a pipe that has no room.
    fn full() -> (Trace, PipeReader, PipeWriter, usize) {
        let (reader, mut writer) = pipe().unwrap();
        let size = rustix::pipe::fcntl_setpipe_size(&writer, 4096).unwrap();
        writer.write_all(&vec![b'x'; size]).unwrap();
        let trace = Trace::to_stream(Stream::stderr(Output::Fd(writer.try_clone().unwrap().into())));
        (trace, reader, writer, size)
    }

    /// A call that has the outcome `EPERM`, and its line.
    fn call(trace: &mut Trace, waiter: &Waiter) -> Outcome {
        let mem = GuestMem::new(&mut []);
        let line = Trace::begin(&PREVIEW1, Call::sched_yield, &[], &mem);
        let outcome = Err(Errno::Perm.into());
        trace.end(waiter, line, Call::sched_yield, &[], &mem, &outcome);
        trace.flush(waiter, outcome)
    }

    fn rest(mut reader: PipeReader) -> String {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn a_line_that_nobody_reads_is_given_up_when_the_guest_is_wanted_back_and_the_next_one_says_so() {
        let (mut trace, mut reader, writer, size) = full();
        let mut waiter = Waiter::default();
        let canceller = waiter.canceller();
        canceller.cancel();
        for _ in 0..2 {
            assert_eq!(call(&mut trace, &waiter), Err(Errno::Perm.into()), "the outcome of the call stands");
        }
        canceller.reset();
        reader.read_exact(&mut vec![0; size]).unwrap();
        for _ in 0..2 {
            assert_eq!(call(&mut trace, &waiter), Err(Errno::Perm.into()));
        }
        drop((trace, writer));
        let text = rest(reader);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert_eq!(lines[0], "(lines of the trace that are lost: 2)");
        assert!(lines[1..].iter().all(|line| line.starts_with("sched_yield() = EPERM <")), "{text}");
    }

    #[test]
    fn an_engine_is_asked_before_a_line_waits_and_gets_the_outcome_of_the_call_that_was_made() {
        let (mut trace, mut reader, writer, size) = full();
        let mut waiter = Waiter::default();
        waiter.interruptible_writes();
        waiter.attach(Attached::Wanted);
        assert_eq!(call(&mut trace, &waiter), Err(Fault::Interrupted));
        reader.read_exact(&mut vec![0; size]).unwrap();
        waiter.attach(Attached::Yes);
        let made = waiter.made().expect("the call was made");
        assert_eq!(trace.flush(&waiter, made), Err(Errno::Perm.into()));
        assert_eq!(waiter.made(), None);
        drop((trace, writer));
        assert_eq!(rest(reader).lines().count(), 1);
    }

    #[test]
    fn another_call_does_not_get_the_outcome_of_one_that_was_given_up() {
        let (mut trace, _reader, _writer, _) = full();
        let mut waiter = Waiter::default();
        waiter.interruptible_writes();
        waiter.attach(Attached::Wanted);
        assert_eq!(call(&mut trace, &waiter), Err(Fault::Interrupted));
        assert_eq!(waiter.made(), None);
        waiter.attach(Attached::Yes);
        assert_eq!(waiter.made(), None);
    }
    #[test]
    fn each_thread_gets_the_outcome_of_its_own_call_and_every_line_comes() {
        let (mut trace, mut reader, writer, size) = full();
        let mut threads = [
            Waiter::of_thread(&Waiter::default().canceller()),
            Waiter::of_thread(&Waiter::default().canceller()),
        ];
        for waiter in &mut threads {
            waiter.attach(Attached::Wanted);
            assert_eq!(waiter.made(), None);
            assert_eq!(call(&mut trace, waiter), Err(Fault::Interrupted));
        }
        reader.read_exact(&mut vec![0; size]).unwrap();
        for waiter in &mut threads {
            waiter.attach(Attached::Yes);
            let made = waiter.made().expect("the call was made");
            assert_eq!(trace.flush(waiter, made), Err(Errno::Perm.into()));
            assert_eq!(waiter.made(), None);
        }
        // What they would have waited for is a writer too.
        drop((trace, writer, threads));
        let text = rest(reader);
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.lines().all(|line| line.starts_with("sched_yield() = EPERM <")), "{text}");
    }

    #[test]
    fn what_threads_leave_to_be_written_has_a_limit_and_what_is_lost_is_counted() {
        let (mut trace, mut reader, writer, size) = full();
        let mut waiter = Waiter::of_thread(&Waiter::default().canceller());
        let mut calls = 0u64;
        while trace.lost < 3 {
            waiter.attach(Attached::Wanted);
            assert_eq!(call(&mut trace, &waiter), Err(Fault::Interrupted));
            calls += 1;
        }
        assert!(trace.rest.len() < MOST_LEFT + 100);
        let reads = std::thread::spawn(move || {
            reader.read_exact(&mut vec![0; size]).unwrap();
            rest(reader)
        });
        // What the engine does that makes the call again: it waits, and asks for what was made.
        loop {
            waiter.wait_elsewhere();
            waiter.attach(Attached::Yes);
            let made = waiter.made().expect("the call was made");
            if trace.flush(&waiter, made) != Err(Fault::Interrupted) {
                break;
            }
        }
        waiter.attach(Attached::Wanted);
        assert_eq!(call(&mut trace, &waiter), Err(Errno::Perm.into()));
        drop((trace, writer, waiter));
        let text = reads.join().unwrap();
        assert!(text.contains("\n(lines of the trace that are lost: 3)\nsched_yield()"), "{text}");
        assert_eq!(text.lines().count() as u64, calls - 3 + 2);
    }
}
