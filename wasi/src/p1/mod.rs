//! The 46 functions of preview 1, as Rust functions over a context and a guest's memory.
//!
//! The public functions here are made from the table in [`abi`], once for each preview: each wraps the
//! function of the same name in one of the files below with what all have in common. That is, in this order: a fresh
//! budget of bytes, the answer to a cancelled guest, the tracer, and the function's name in front of a trap's message.
//! The two previews differ in nothing but the [`Preview`] that a call leaves in the context.
//!
//! Rules for the files below: pointers are validated before anything else, results are written last, and an errno
//! leaves guest memory and the host as they were.

#![allow(clippy::too_many_arguments)] // The interface is what it is.

mod args;
mod clock;
mod fd;
mod io;
mod open;
mod path;
mod poll;
mod proc;
mod random;
mod readdir;
mod sock;

use crate::abi::{self, Call, FILESTAT, Layout, Preview, wasi_functions};
use crate::trace::Trace;
use crate::vfs::path::MAX_PATH;
use crate::vfs::{FileStat, GuestPath, TimeSpec};
use crate::{Errno, Fault, GuestMem, Outcome, WasiCtx};

/// Runs a function with what all functions have in common around it.
#[inline]
fn enter(
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    preview: &'static Preview,
    call: Call,
    args: &[u64],
    body: impl FnOnce(&mut WasiCtx, &mut GuestMem<'_>) -> Outcome,
) -> Outcome {
    ctx.preview = preview;
    ctx.budget = ctx.limits.bytes_per_call;
    mem.set_strict(ctx.strict);
    ctx.waiter.check()?;
    let outcome = match ctx.trace.take() {
        None => body(ctx, mem),
        Some(mut trace) => {
            let outcome = traced(&mut trace, ctx, mem, call, args, body);
            ctx.trace = Some(trace);
            outcome
        }
    };
    outcome.map_err(|fault| match fault {
        Fault::Trap(message) => Fault::Trap(format!("{}: {message}", call.function().name)),
        other => other,
    })
}

/// Runs a function and writes its line.
fn traced(
    trace: &mut Trace,
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    call: Call,
    args: &[u64],
    body: impl FnOnce(&mut WasiCtx, &mut GuestMem<'_>) -> Outcome,
) -> Outcome {
    let outcome = match ctx.waiter.made() {
        Some(outcome) => outcome,
        None => {
            let line = Trace::begin(ctx.preview, call, args, mem);
            let outcome = body(ctx, mem);
            // An engine may have been told of a wait: then the call is made again.
            if outcome == Err(Fault::Interrupted) && !ctx.waiter.is_cancelled() {
                return outcome;
            }
            trace.end(&ctx.waiter, line, call, args, mem, &outcome);
            outcome
        }
    };
    trace.flush(&ctx.waiter, outcome)
}

/// Makes a public function for each row of the table, and one that finds them by number.
macro_rules! export {
    ($preview:ident;
     $($file:ident :: $name:ident($($param:ident : $ty:ident [$kind:expr]),*) -> $result:ident, $class:ident, $since:ident;)*) => {
        $(
            #[doc = concat!("`", stringify!($name), "` of the specification.")]
            #[doc = ""]
            #[doc = "# Errors"]
            #[doc = "The errno that the guest gets, or why it must end."]
            #[inline]
            pub fn $name(ctx: &mut WasiCtx, mem: &mut GuestMem<'_> $(, $param: $ty)*) -> Outcome {
                let args = [$($param as u64),*];
                enter(ctx, mem, &abi::$preview, Call::$name, &args, |ctx, mem| {
                    super::$file::$name(ctx, mem $(, $param)*)
                })
            }
        )*

        /// Calls a function with its parameters as 64-bit numbers, of which the upper halves of 32-bit ones are
        /// ignored.
        ///
        /// # Errors
        /// As the function.
        ///
        /// # Panics
        /// If there are fewer parameters than the table says.
        #[allow(unused_mut, unused_variables)] // by the functions without parameters
        pub fn call(ctx: &mut WasiCtx, mem: &mut GuestMem<'_>, call: Call, args: &[u64]) -> Outcome {
            match call {
                $(Call::$name => {
                    let mut args = args.iter().copied();
                    $(let $param = args.next().expect("a value for each parameter") as $ty;)*
                    $name(ctx, mem $(, $param)*)
                })*
            }
        }
    };
}

/// `wasi_snapshot_preview1`.
mod preview1 {
    use super::*;
    wasi_functions!(export PREVIEW1;);
}

/// `wasi_unstable`: the same functions with the layouts and the `whence` of preview 0.
pub mod preview0 {
    use super::*;
    wasi_functions!(export PREVIEW0;);
}

pub use preview1::*;

/// Reads a path of the guest and checks its grammar.
fn read_path(
    ctx: &mut WasiCtx,
    mem: &GuestMem<'_>,
    what: &str,
    address: u32,
    len: u32,
) -> Outcome<GuestPath> {
    Ok(GuestPath::new(&read_text(ctx, mem, what, address, len)?)?)
}

/// Reads bytes that are no longer than a path may be.
fn read_text(ctx: &mut WasiCtx, mem: &GuestMem<'_>, what: &str, address: u32, len: u32) -> Outcome<Vec<u8>> {
    mem.check_bytes(what, address, len)?;
    if len as usize > MAX_PATH {
        return Err(Errno::Nametoolong.into());
    }
    ctx.charge(len.into())?;
    mem.read_vec(what, address, len)
}

/// Bits of a set that the specification defines, or `EINVAL`.
fn flags(value: u32, all: u64) -> Result<u64, Errno> {
    let value = u64::from(value);
    if value & !all == 0 { Ok(value) } else { Err(Errno::Inval) }
}

/// What `fstflags` and the two times ask for; `EINVAL` for a time that is to be both given and now.
fn times(atim: u64, mtim: u64, fst_flags: u32) -> Result<(TimeSpec, TimeSpec), Errno> {
    use abi::fstflags;
    let flags = flags(fst_flags, fstflags::ALL)?;
    let time = |at, now, value| match (flags & at != 0, flags & now != 0) {
        (false, false) => Ok(TimeSpec::Omit),
        (true, false) => Ok(TimeSpec::At(value)),
        (false, true) => Ok(TimeSpec::Now),
        (true, true) => Err(Errno::Inval),
    };
    Ok((time(fstflags::ATIM, fstflags::ATIM_NOW, atim)?, time(fstflags::MTIM, fstflags::MTIM_NOW, mtim)?))
}

/// The layout of `filestat` for the present call.
fn filestat_layout(ctx: &WasiCtx) -> Layout {
    ctx.preview.filestat.layout
}

/// Writes attributes in the present call's layout.
fn write_filestat(
    ctx: &WasiCtx,
    mem: &mut GuestMem<'_>,
    what: &str,
    address: u32,
    stat: &FileStat,
) -> Outcome {
    let layout = &ctx.preview.filestat;
    // Both layouts fit in the larger one; padding is written as zeros, so that nothing of the host shows in it.
    let mut record = [0; FILESTAT.size as usize];
    let mut put = |offset: u32, bytes: &[u8]| {
        let offset = offset as usize;
        record[offset..offset + bytes.len()].copy_from_slice(bytes);
    };
    put(0, &stat.dev.to_le_bytes());
    put(8, &stat.ino.to_le_bytes());
    put(16, &[stat.kind.filetype()]);
    if layout.narrow_nlink {
        put(layout.nlink, &u32::try_from(stat.nlink).unwrap_or(u32::MAX).to_le_bytes());
    } else {
        put(layout.nlink, &stat.nlink.to_le_bytes());
    }
    for (index, value) in [stat.size, stat.atim, stat.mtim, stat.ctim].into_iter().enumerate() {
        put(layout.size + 8 * index as u32, &value.to_le_bytes());
    }
    mem.check(what, address, layout.layout)?;
    mem.write_bytes(what, address, &record[..layout.layout.size as usize])
}
