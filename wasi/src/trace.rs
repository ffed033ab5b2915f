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

use crate::abi::{Call, IOVEC, Kind, Preview, whence};
use crate::{Fault, GuestMem, Outcome};
use std::fmt;
use std::io::Write;
use std::time::Instant;

/// So many bytes of a buffer are shown.
const SHOWN: u32 = 32;
/// So many bytes of a path.
const SHOWN_PATH: u32 = 256;

/// Where the lines go.
pub(crate) struct Trace(Box<dyn Write + Send>);

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
    pub fn new(writer: Box<dyn Write + Send>) -> Trace {
        Trace(writer)
    }

    /// Prints the arguments, as they are before the call.
    pub fn begin(&mut self, preview: &Preview, call: Call, args: &[u64], mem: &GuestMem<'_>) -> Line {
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

    /// Completes and writes the line.
    pub fn end(&mut self, line: Line, call: Call, args: &[u64], mem: &GuestMem<'_>, outcome: &Outcome) {
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
        let _ = self.0.write_all(text.as_bytes()).and_then(|()| self.0.flush());
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
