//! The options of `run` and `explain`, in one table; `explore` takes some of them. Parsing, `--help`, `-W help`, the page of the
//! documentation and the shell completions are all made from it.
//!
//! An option can have a long form, a key behind one of the letters that wasmtime uses, or both. An option
//! is listed only if it has an effect.

use std::ffi::OsStr;

use wasmrun::Profiler;

use wasmrun_runtime::features::{PROPOSALS, Proposal};

use super::grants::{DirGrant, EnvGrant, Preload};
use super::options::{Mode, Options};
use super::units;

/// A letter that takes `key[=value]` pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// The letter.
    pub letter: &'static str,
    /// What its keys are about.
    pub title: &'static str,
}

/// All letters.
pub const GROUPS: &[Group] = &[
    Group { letter: "W", title: "WebAssembly: limits and proposals" },
    Group { letter: "O", title: "Optimisation of compiled code" },
    Group { letter: "C", title: "Compiled code on disk" },
    Group { letter: "D", title: "Debugging" },
    Group { letter: "S", title: "WASI" },
];

/// How an option takes its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Always; the text is what help calls it.
    Value(&'static str),
    /// A long form without a value means `y`; a key may say `=y` or `=n`.
    Switch,
}

/// An option.
pub struct Row {
    /// Its long form, without the dashes.
    pub long: Option<&'static str>,
    /// Its key and the letter in front of it.
    pub key: Option<(&'static str, &'static str)>,
    /// Its value.
    pub takes: Takes,
    /// What it does, as a sentence without a full stop.
    pub help: &'static str,
    /// Stores a value.
    pub set: fn(&mut Options, &OsStr) -> Result<(), String>,
}

/// All options but the proposals, which the engine lists.
pub const ROWS: &[Row] = &[
    Row {
        long: Some("dir"),
        key: None,
        takes: Takes::Value("HOST[::GUEST][::ro]"),
        help: "Let the guest use a directory of the host, perhaps under another name, perhaps read-only",
        set: |o, v| DirGrant::parse(v).map(|dir| o.dirs.push(dir)),
    },
    Row {
        long: Some("cwd"),
        key: None,
        takes: Takes::Value("PATH"),
        help: "Let the guest use a directory of the host as its current one, `.`",
        set: |o, v| DirGrant::cwd(v).map(|dir| o.cwd = Some(dir)),
    },
    Row {
        long: Some("env"),
        key: None,
        takes: Takes::Value("NAME[=VALUE]"),
        help: "Give the guest an environment variable; without a value it has the host's",
        set: |o, v| EnvGrant::parse(v).map(|env| o.env.push(env)),
    },
    Row {
        long: Some("inherit-env"),
        key: Some(("S", "inherit-env")),
        takes: Takes::Switch,
        help: "Give the guest all environment variables of the host",
        set: |o, v| switch(v).map(|on| o.inherit_env = on),
    },
    Row {
        long: Some("argv0"),
        key: None,
        takes: Takes::Value("NAME"),
        help: "Set the guest's name for itself, its first argument; otherwise it is FILE",
        set: |o, v| text(v).map(|name| o.argv0 = Some(name.to_owned())),
    },
    Row {
        long: Some("invoke"),
        key: None,
        takes: Takes::Value("FUNC"),
        help: "Call this exported function with the arguments behind FILE and print its results",
        set: |o, v| text(v).map(|name| o.invoke = Some(name.to_owned())),
    },
    Row {
        long: Some("preload"),
        key: None,
        takes: Takes::Value("NAME=FILE"),
        help: "Load another module first, so that the guest can import its exports from NAME",
        set: |o, v| Preload::parse(v).map(|preload| o.preloads.push(preload)),
    },
    Row {
        long: Some("mode"),
        key: None,
        takes: Takes::Value("MODE"),
        help: "Compile what is warm while the guest runs, `tiered`, which is the default; or run all of it by the \
               interpreter, `interp`; or compile all of it at load, `jit`, or in half the time to slower code, `quick`",
        set: |o, v| named(v, Mode::ALL).map(|mode| o.mode = mode),
    },
    Row {
        long: None,
        key: Some(("O", "opt-level")),
        takes: Takes::Value("0|1|2|s"),
        help: "Compile to fast code, with 1, 2 and s alike, which is the default of all modes but `quick`; or in half the \
               time to slower code, with 0",
        set: |o, v| {
            const LEVELS: &[(&str, bool)] = &[("0", false), ("1", true), ("2", true), ("s", true)];
            named(v, LEVELS).map(|optimise| o.optimise = Some(optimise))
        },
    },
    Row {
        long: None,
        key: Some(("O", "max-code-size")),
        takes: Takes::Value("SIZE"),
        help: "Let compiled code have at most so many bytes, of all modules together; what has no place is interpreted",
        set: |o, v| size(v).map(|bytes| o.max_code_size = Some(bytes)),
    },
    Row {
        long: Some("profile"),
        key: None,
        takes: Takes::Value("perfmap|jitdump"),
        help: "Tell `perf` what compiled code belongs to: the names, in /tmp/perf-PID.map, or the code too, in \
               /tmp/jit-PID.dump",
        set: |o, v| {
            const PROFILERS: &[(&str, Profiler)] =
                &[("perfmap", Profiler::PerfMap), ("jitdump", Profiler::Jitdump)];
            named(v, PROFILERS).map(|profiler| o.profiler = Some(profiler))
        },
    },
    Row {
        long: Some("no-cache"),
        key: None,
        takes: Takes::Switch,
        help: "Neither take compiled code from the cache nor put it there",
        set: |o, v| switch(v).map(|on| o.no_cache = on),
    },
    Row {
        long: None,
        key: Some(("C", "cache")),
        takes: Takes::Switch,
        help: "Use the cache of compiled code, as is done unless it is switched off",
        set: |o, v| switch(v).map(|on| o.no_cache = !on),
    },
    Row {
        long: Some("allow-precompiled"),
        key: None,
        takes: Takes::Switch,
        help: "Take as FILE also what `wasmrun compile` wrote; its machine code is executed as it is, so it must be yours",
        set: |o, v| switch(v).map(|on| o.allow_precompiled = on),
    },
    Row {
        long: Some("timeout"),
        key: Some(("W", "timeout")),
        takes: Takes::Value("TIME"),
        help: "Stop after so long, loading included, for example 2s or 100ms; a number alone is seconds",
        set: |o, v| text(v).and_then(units::duration).map(|time| o.timeout = Some(time)),
    },
    Row {
        long: Some("fuel"),
        key: Some(("W", "fuel")),
        takes: Takes::Value("N"),
        help: "Stop the guest after about so many instructions; the same number stops it at the same place",
        set: |o, v| text(v).and_then(units::count).map(|fuel| o.fuel = Some(fuel)),
    },
    Row {
        long: Some("max-memory"),
        key: Some(("W", "max-memory-size")),
        takes: Takes::Value("SIZE"),
        help: "Let all memories together have at most so many bytes, for example 64MiB",
        set: |o, v| size(v).map(|bytes| o.max_memory = Some(bytes)),
    },
    Row {
        long: Some("max-stack"),
        key: Some(("W", "max-wasm-stack")),
        takes: Takes::Value("SIZE"),
        help: "Give the guest's calls so many bytes of stack",
        set: |o, v| size(v).map(|bytes| o.max_stack = Some(bytes)),
    },
    Row {
        long: None,
        key: Some(("W", "max-gc-heap-size")),
        takes: Takes::Value("SIZE"),
        help: "Let collected objects, garbage included, have at most so many bytes",
        set: |o, v| size(v).map(|bytes| o.max_gc_heap = Some(bytes)),
    },
    Row {
        long: None,
        key: Some(("W", "max-table-elements")),
        takes: Takes::Value("N"),
        help: "Let no table grow beyond so many elements",
        set: |o, v| count(v).map(|elements| o.max_table_elements = Some(elements)),
    },
    Row {
        long: None,
        key: Some(("W", "max-instances")),
        takes: Takes::Value("N"),
        help: "Let there be no more than so many instances, preloaded modules included",
        set: |o, v| count(v).map(|instances| o.max_instances = Some(instances)),
    },
    Row {
        long: None,
        key: Some(("W", "max-memories")),
        takes: Takes::Value("N"),
        help: "Let there be no more than so many memories",
        set: |o, v| count(v).map(|memories| o.max_memories = Some(memories)),
    },
    Row {
        long: None,
        key: Some(("W", "max-tables")),
        takes: Takes::Value("N"),
        help: "Let there be no more than so many tables",
        set: |o, v| count(v).map(|tables| o.max_tables = Some(tables)),
    },
    Row {
        long: None,
        key: Some(("W", "trap-on-grow-failure")),
        takes: Takes::Switch,
        help: "Trap when a memory or table cannot grow, in place of telling the guest",
        set: |o, v| switch(v).map(|on| o.trap_on_grow_failure = on),
    },
    Row {
        long: None,
        key: Some(("W", "unknown-imports-trap")),
        takes: Takes::Switch,
        help: "Let functions that nothing provides trap when they are called, in place of refusing the module",
        set: |o, v| switch(v).map(|on| o.unknown_imports_trap = on),
    },
    Row {
        long: None,
        key: Some(("W", "relaxed-simd-deterministic")),
        takes: Takes::Switch,
        help: "Let instructions of relaxed SIMD do the same on every machine, in place of what this one does fastest",
        set: |o, v| switch(v).map(|on| o.relaxed_simd_deterministic = on),
    },
    Row {
        long: None,
        key: Some(("W", "all-proposals")),
        takes: Takes::Switch,
        help: "Switch every proposal that the engine executes on or off",
        set: |o, v| {
            let on = switch(v)?;
            o.proposals.extend(PROPOSALS.iter().filter(|p| p.executed).map(|p| (p, on)));
            Ok(())
        },
    },
    Row {
        long: None,
        key: Some(("S", "threads")),
        takes: Takes::Switch,
        help: "Let the guest start threads, as wasi-threads has them; time, memory and collected objects are limited for all of them together, all else, `--fuel` too, for each",
        set: |o, v| switch(v).map(|on| o.threads = on),
    },
    Row {
        long: None,
        key: Some(("S", "max-threads")),
        takes: Takes::Value("N"),
        help: "Let there be no more than so many threads at once besides the first; otherwise it is 256",
        set: |o, v| count(v).map(|threads| o.max_threads = Some(threads)),
    },
    Row {
        long: None,
        key: Some(("S", "hostcall-fuel")),
        takes: Takes::Value("SIZE"),
        help: "Let one call of WASI copy no more than so many bytes; longer reads and writes are short",
        set: |o, v| text(v).and_then(units::size).map(|bytes| o.max_call_bytes = Some(bytes)),
    },
    Row {
        long: None,
        key: Some(("S", "max-random-size")),
        takes: Takes::Value("SIZE"),
        help: "Let one call ask for no more than so many random bytes",
        set: |o, v| {
            let bytes = text(v).and_then(units::size)?;
            o.max_random_bytes = Some(u32::try_from(bytes).unwrap_or(u32::MAX));
            Ok(())
        },
    },
    Row {
        long: None,
        key: Some(("D", "max-backtrace")),
        takes: Takes::Value("N"),
        help: "Print so many frames of a trap's backtrace; 0 prints none",
        set: |o, v| count(v).map(|frames| o.max_backtrace = Some(frames)),
    },
    Row {
        long: None,
        key: Some(("D", "log-cache")),
        takes: Takes::Switch,
        help: "Say on stderr whether compiled code was found in the cache, and what was wrong there",
        set: |o, v| switch(v).map(|on| o.log_cache = on),
    },
    Row {
        long: Some("trace"),
        key: None,
        takes: Takes::Value("WHAT"),
        help: "Write to stderr what the guest does; `wasi` shows each call of WASI with its result",
        set: |o, v| named(v, &[("wasi", ())]).map(|()| o.trace_wasi = true),
    },
    Row {
        long: Some("stats"),
        key: None,
        takes: Takes::Value("text|json"),
        help: "Write to stderr, when the guest has ended, which functions were compiled, what that cost and why others were not; \
               preloaded modules come after the guest; collected objects are those of the first thread, and left out if another one has ended the guest",
        set: |o, v| named(v, &[("text", false), ("json", true)]).map(|json| o.stats = Some(json)),
    },
];

/// Which options of the table a command takes.
#[derive(Clone, Copy)]
pub struct Offer {
    /// The long forms; all of them where it is `None`.
    pub long: Option<&'static [&'static str]>,
    /// The letters, in the same way.
    pub letters: Option<&'static [&'static str]>,
}

impl Offer {
    /// All options.
    pub const ALL: Offer = Offer { long: None, letters: None };

    /// Those that decide what code is made of a module, and how long that may take.
    pub const OF_CODE: Offer = Offer { long: Some(&["mode", "timeout", "fuel"]), letters: Some(&["W", "O"]) };

    /// The options with long forms.
    pub fn rows(self) -> impl Iterator<Item = (&'static str, &'static Row)> {
        let offered = move |long: &str| self.long.is_none_or(|offered| offered.contains(&long));
        ROWS.iter().filter_map(|row| Some((row.long?, row))).filter(move |(long, _)| offered(long))
    }

    /// The letters.
    pub fn groups(self) -> impl Iterator<Item = &'static Group> {
        GROUPS.iter().filter(move |group| self.letters.is_none_or(|offered| offered.contains(&group.letter)))
    }
}

/// What is known about a key.
#[derive(Clone, Copy)]
pub enum Key {
    /// An option of the table.
    Row(&'static Row),
    /// A proposal.
    Proposal(&'static Proposal),
}

/// The keys behind `letter`, in the order in which they are listed.
pub fn keys(letter: &str) -> impl Iterator<Item = (&'static str, Key)> {
    let rows = ROWS.iter().filter_map(move |row| match row.key {
        Some((l, name)) if l == letter => Some((name, Key::Row(row))),
        _ => None,
    });
    let proposals = PROPOSALS.iter().filter(move |p| letter == "W" && p.executed);
    rows.chain(proposals.map(|p| (p.name, Key::Proposal(p))))
}

fn text(value: &OsStr) -> Result<&str, String> {
    value.to_str().ok_or_else(|| format!("`{}` is not UTF-8", value.display()))
}

fn switch(value: &OsStr) -> Result<bool, String> {
    text(value).and_then(units::switch)
}

fn size(value: &OsStr) -> Result<usize, String> {
    text(value).and_then(units::size).and_then(|bytes| addressable(value, bytes))
}

fn count(value: &OsStr) -> Result<usize, String> {
    text(value).and_then(units::count).and_then(|count| addressable(value, count))
}

fn addressable(value: &OsStr, number: u64) -> Result<usize, String> {
    usize::try_from(number)
        .map_err(|_| format!("`{}` is more than this machine can address", value.display()))
}

fn named<T: Copy>(value: &OsStr, known: &[(&str, T)]) -> Result<T, String> {
    if let Some((_, found)) = known.iter().find(|(name, _)| value == *name) {
        return Ok(*found);
    }
    let known: Vec<_> = known.iter().map(|(name, _)| format!("`{name}`")).collect();
    Err(format!("`{}` is not known; there is {}", value.display(), known.join(", ")))
}
