//! The options of `run` and `explain` once they are read, whichever way they were written.

use std::time::Duration;

use wasmrun::Profiler;

use wasmrun_runtime::features::Proposal;

use super::grants::{DirGrant, EnvGrant, Preload};

/// How guest code is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// By the interpreter.
    Interp,
    /// Compiled at load, with all that the compiler can do.
    Jit,
    /// Compiled at load, in half the time.
    Quick,
    /// By the interpreter, until it is compiled while it runs.
    #[default]
    Tiered,
}

impl Mode {
    /// The modes with their names.
    pub const ALL: &[(&str, Mode)] =
        &[("tiered", Mode::Tiered), ("interp", Mode::Interp), ("jit", Mode::Jit), ("quick", Mode::Quick)];
}

/// What the command line asked for. The default is a guest that is given nothing.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Directories that the guest may use.
    pub dirs: Vec<DirGrant>,
    /// Directory that is the guest's `.`.
    pub cwd: Option<DirGrant>,
    /// Variables that the guest sees, in order.
    pub env: Vec<EnvGrant>,
    /// Whether it sees all variables of the host.
    pub inherit_env: bool,
    /// First argument of the guest, in place of the file's name.
    pub argv0: Option<String>,
    /// Exported function to call in place of `_start`.
    pub invoke: Option<String>,
    /// Modules to import from.
    pub preloads: Vec<Preload>,
    /// How guest code is run.
    pub mode: Mode,
    /// Whether compiled code is made to be fast.
    pub optimise: Option<bool>,
    /// Bytes that compiled code may have.
    pub max_code_size: Option<usize>,
    /// What is told the names of compiled functions.
    pub profiler: Option<Profiler>,
    /// How long the guest may run.
    pub timeout: Option<Duration>,
    /// How much work it may do.
    pub fuel: Option<u64>,
    /// Bytes that all its memories together may have.
    pub max_memory: Option<usize>,
    /// Bytes that its heap of collected objects may have.
    pub max_gc_heap: Option<usize>,
    /// Elements that each of its tables may have.
    pub max_table_elements: Option<usize>,
    /// Instances that there may be, preloaded modules included.
    pub max_instances: Option<usize>,
    /// Memories that there may be.
    pub max_memories: Option<usize>,
    /// Tables that there may be.
    pub max_tables: Option<usize>,
    /// Whether the guest may start threads.
    pub threads: bool,
    /// Threads that there may be at once besides the first.
    pub max_threads: Option<usize>,
    /// Bytes that one call of WASI may copy.
    pub max_call_bytes: Option<u64>,
    /// Random bytes that one call may ask for.
    pub max_random_bytes: Option<u32>,
    /// Whether growing beyond a limit traps instead of returning -1.
    pub trap_on_grow_failure: bool,
    /// Bytes of stack for its calls.
    pub max_stack: Option<usize>,
    /// Whether imports that nothing provides trap when they are called, instead of being an error.
    pub unknown_imports_trap: bool,
    /// Whether relaxed instructions on vectors do the same on every machine.
    pub relaxed_simd_deterministic: bool,
    /// Proposals switched on or off, in order.
    pub proposals: Vec<(&'static Proposal, bool)>,
    /// Frames of a backtrace that are printed.
    pub max_backtrace: Option<usize>,
    /// Whether calls of WASI are written to stderr.
    pub trace_wasi: bool,
    /// Whether compiled code is neither taken from the cache nor put there.
    pub no_cache: bool,
    /// Whether the run ends with a report on the tiers, and whether that is JSON.
    pub stats: Option<bool>,
    /// Whether it is said on stderr what became of the cache.
    pub log_cache: bool,
    /// Whether the module may be one that `compile` has written, whose code is executed as it is.
    pub allow_precompiled: bool,
}

impl Options {
    /// What is wrong with options that are right one by one: an option has an effect, or it is refused.
    pub fn contradiction(&self) -> Option<&'static str> {
        match self.mode {
            Mode::Quick if self.optimise == Some(true) => Some(
                "`--mode quick` compiles to slower code in less time, and `-O opt-level` asks for fast code; \
                 `--mode jit` compiles to fast code",
            ),
            Mode::Interp if self.optimise.is_some() || self.max_code_size.is_some() => {
                Some("`--mode interp` compiles nothing, and `-O` is about compiled code")
            }
            _ if self.max_threads.is_some() && !self.threads => {
                Some("`-S max-threads` is about threads, which `-S threads` lets the guest start")
            }
            _ if self.threads && !self.preloads.is_empty() => Some(
                "each thread of `-S threads` has instances of its own, and what is preloaded is there once",
            ),
            _ => None,
        }
    }

    /// All directories, the guest's `.` included.
    pub fn all_dirs(&self) -> impl Iterator<Item = &DirGrant> {
        self.cwd.iter().chain(&self.dirs)
    }
}
