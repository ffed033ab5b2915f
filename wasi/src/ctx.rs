//! What one guest has: its arguments, its descriptors, its clocks, and the limits on all of it.
//!
//! A [`WasiCtx`] belongs to one instance and is made by [`WasiBuilder`](crate::WasiBuilder), which grants nothing that
//! was not asked for. The functions of [`p1`](crate::p1) act on it.

use crate::abi::{PREVIEW1, Preview};
use crate::caps::CapReport;
use crate::clocks::Clocks;
use crate::fdtable::FdTable;
use crate::limits::Limits;
use crate::random::Random;
use crate::trace::Trace;
use crate::wait::{Attached, Canceller, Waiter};
use crate::{Fault, Outcome, WasiBuilder};

/// The state of WASI for one guest.
#[derive(Debug)]
pub struct WasiCtx {
    pub(crate) args: Strings,
    pub(crate) env: Strings,
    pub(crate) table: FdTable,
    pub(crate) clocks: Clocks,
    pub(crate) random: Random,
    pub(crate) waiter: Waiter,
    pub(crate) limits: Limits,
    pub(crate) strict: bool,
    pub(crate) trace: Option<Trace>,
    pub(crate) report: CapReport,
    /// Which preview the present call came through.
    pub(crate) preview: &'static Preview,
    /// How many bytes the present call may still copy.
    pub(crate) budget: u64,
}

/// What a context is made of, all checked.
pub(crate) struct Parts {
    pub args: Strings,
    pub env: Strings,
    pub table: FdTable,
    pub clocks: Clocks,
    pub random: Random,
    pub limits: Limits,
    pub strict: bool,
    pub trace: Option<Trace>,
    pub report: CapReport,
}

impl WasiCtx {
    /// Begins a context that grants nothing.
    pub fn builder() -> WasiBuilder {
        WasiBuilder::new()
    }

    pub(crate) fn from_parts(parts: Parts) -> WasiCtx {
        let Parts { args, env, table, clocks, random, limits, strict, trace, report } = parts;
        let (waiter, budget) = (Waiter::default(), limits.bytes_per_call);
        let preview = &PREVIEW1;
        WasiCtx { args, env, table, clocks, random, waiter, limits, strict, trace, report, preview, budget }
    }

    /// A handle with which another thread can end whatever this guest waits for, writes included: see
    /// [`WasiCtx::interruptible_writes`].
    pub fn canceller(&mut self) -> Canceller {
        self.waiter.canceller()
    }

    /// From now on, writes to pipes, terminals and sockets as standard streams, and of a trace to such an output, can be
    /// ended while they wait for room, as all other waits can: they write what there is room for. (Where the host
    /// cannot be asked for that, as with terminals and named pipes, they look before they act, and write little at a
    /// time.) Without this a write is one system call, and one that waits for a reader who does not come lasts until
    /// the reader is gone.
    pub fn interruptible_writes(&mut self) {
        self.waiter.interruptible_writes();
    }

    /// Makes a call for an engine, which has been told that it may wait or has not.
    #[inline]
    pub(crate) fn attached(&mut self, may_wait: bool, call: impl FnOnce(&mut WasiCtx) -> Outcome) -> Outcome {
        if may_wait {
            self.waiter.attach(Attached::Yes);
        } else {
            self.waiter.forget();
            self.waiter.attach(Attached::Wanted);
        }
        let outcome = call(self);
        self.waiter.attach(Attached::No);
        outcome
    }

    /// What this context grants.
    pub fn report(&self) -> &CapReport {
        &self.report
    }

    /// Takes bytes off what the present call may copy; traps if there are not so many.
    pub(crate) fn charge(&mut self, bytes: u64) -> Outcome {
        match self.budget.checked_sub(bytes) {
            Some(left) => {
                self.budget = left;
                Ok(())
            }
            None => {
                let limit = self.limits.bytes_per_call;
                Err(Fault::Trap(format!("copies more than the {limit} bytes that one call may")))
            }
        }
    }
}

/// Strings in the form in which guests get them: each with a NUL at its end, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Strings {
    bytes: Vec<u8>,
    starts: Vec<u32>,
}

impl Strings {
    /// Joins strings without NULs; `None` if sizes do not fit the interface or the limit.
    pub fn new<'a>(strings: impl Iterator<Item = &'a [u8]>, limit: usize) -> Option<Strings> {
        let limit = limit.min(u32::MAX as usize);
        let mut all = Strings::default();
        for string in strings {
            all.starts.push(u32::try_from(all.bytes.len()).ok()?);
            all.bytes.extend_from_slice(string);
            all.bytes.push(0);
            // Pointers count too: many empty strings are as large as one long one.
            if all.bytes.len() + all.starts.len() * 4 > limit {
                return None;
            }
        }
        Some(all)
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.starts.len() as u32
    }

    /// How many bytes they take, NULs included.
    pub fn size(&self) -> u32 {
        self.bytes.len() as u32
    }

    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where in them each string begins.
    pub fn starts(&self) -> &[u32] {
        &self.starts
    }
}
