//! Tells a profiler of the system the names of compiled functions.

use std::io;
use std::ops::Range;

use wasmrun_runtime::module::Module;

use crate::arena::Blob;
use crate::arena::jitdump::Jitdump;
use crate::arena::perf_map::PerfMap;

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profiler {
    /// Names and addresses, in `/tmp/perf-PID.map`: what `perf report` needs. See [`crate::arena::perf_map`].
    PerfMap,
    /// The code too, in `/tmp/jit-PID.dump`: for `perf record -k mono`, `perf inject --jit` and `perf annotate`.
    Jitdump,
}

impl Profiler {
    /// Makes its file, unless it is there.
    pub fn open(self) -> io::Result<()> {
        Recorder::open(self).map(drop)
    }
}

/// An open file of a [`Profiler`].
#[derive(Clone, Copy, Debug)]
pub(crate) enum Recorder {
    PerfMap(&'static PerfMap),
    Jitdump(&'static Jitdump),
}

impl Recorder {
    pub(crate) fn open(profiler: Profiler) -> io::Result<Recorder> {
        match profiler {
            Profiler::PerfMap => PerfMap::of_this_process().map(Recorder::PerfMap),
            Profiler::Jitdump => Jitdump::of_this_process().map(Recorder::Jitdump),
        }
    }

    /// Tells of a function's code, which is a part of a blob. A profile without a name is better than a run that
    /// fails, when the disk is full.
    pub(crate) fn record(self, module: &Module, function: u32, blob: &Blob, part: Range<usize>) {
        let own =
            module.function_name(function).map_or_else(|| format!("function {function}"), str::to_owned);
        let name = match module.name() {
            Some(module) => format!("{module}::{own}"),
            None => own,
        };
        let _ = match self {
            Recorder::PerfMap(map) => map.record(blob, part, &name),
            Recorder::Jitdump(dump) => dump.record(blob, part, &name),
        };
    }
}
