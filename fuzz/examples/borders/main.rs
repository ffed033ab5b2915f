//! `borders`: what it costs to cross from one side to the other: host to guest, guest to host, one guest function to
//! another by way of a table, out by a trap, and into a new instance. wasmrun and Wasmtime are timed in one
//! process, in turns, by one text (`subject`) that is compiled against each of them.
//!
//! It lives here because this workspace is the only one that builds Wasmtime, and as an example because only who
//! asks for it builds it. See benches/README.md.

#![deny(unsafe_code)]

mod ours;
mod table;
mod theirs;

use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{env, thread};

use ours::subject::Subject as Wasmrun;
use table::{Line, Table};
use theirs::subject::Subject as Wasmtime;

/// A way from one side to the other. The order is that of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Border {
    /// The host calls a function without parameters.
    HostToWasm,
    /// The host calls one with two and a result.
    HostToWasmAdd,
    /// The same through values whose types are looked at in each call.
    HostToWasmUntyped,
    /// A loop that does nothing: what is to be taken off the lines that are loops.
    Loop,
    /// A loop calls a function of the host.
    WasmToHost,
    /// A loop calls one with two parameters and a result.
    WasmToHostAdd,
    /// A loop calls one that counts in the store's data.
    WasmToHostCaller,
    /// A loop calls a function of its module.
    Direct,
    /// A loop calls the same function through a table.
    Monomorphic,
    /// A loop calls eight functions in turn through a table.
    Megamorphic,
    /// `unreachable`, up to the host's error and its end.
    Unreachable,
    /// A load behind the end of memory, the same way.
    OutOfBounds,
    /// An error of a host function, through the guest.
    HostError,
    /// A store and an instance of a module with a single function, and the end of both.
    InstantiateSmall,
    /// The same of a module with memory, data, table and imports.
    InstantiateUsual,
}

/// What was promised of a border.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// Nothing.
    None,
    /// So many nanoseconds.
    Nanoseconds(f64),
    /// No more than Wasmtime takes.
    Peer,
}

/// The borders as the table names them, and their goals.
const BORDERS: &[(Border, &str, Goal)] = &[
    (Border::HostToWasm, "host → wasm, ()", Goal::Nanoseconds(20.0)),
    (Border::HostToWasmAdd, "host → wasm, (i32, i32) → i32", Goal::Nanoseconds(20.0)),
    (Border::HostToWasmUntyped, "host → wasm, the same by Val", Goal::None),
    (Border::Loop, "wasm loop, empty", Goal::None),
    (Border::WasmToHost, "wasm → host, ()", Goal::Nanoseconds(5.0)),
    (Border::WasmToHostAdd, "wasm → host, (i32, i32) → i32", Goal::Nanoseconds(5.0)),
    (Border::WasmToHostCaller, "wasm → host, with Caller", Goal::Nanoseconds(5.0)),
    (Border::Direct, "wasm → wasm, call", Goal::None),
    (Border::Monomorphic, "wasm → wasm, call_indirect, 1 target", Goal::Peer),
    (Border::Megamorphic, "wasm → wasm, call_indirect, 8 targets", Goal::Peer),
    (Border::Unreachable, "trap: unreachable", Goal::None),
    (Border::OutOfBounds, "trap: load out of bounds", Goal::None),
    (Border::HostError, "error of a host function", Goal::None),
    (Border::InstantiateSmall, "instance of one function", Goal::None),
    (Border::InstantiateUsual, "instance with memory and table", Goal::None),
];

/// An engine that crosses borders.
pub trait Crosses {
    /// Crosses `border` so many times.
    ///
    /// # Errors
    /// What the guest computed on the way is wrong, or the engine failed.
    fn cross(&mut self, border: Border, times: u32) -> Result<(), String>;
}

/// How long one batch takes at least: long against the clock's resolution, short against a turn of the scheduler.
const BATCH: Duration = Duration::from_millis(2);

/// How long a border is crossed at least before it is believed to be warm.
const WARMING: Duration = Duration::from_millis(200);

/// How long code may take to be compiled.
const PATIENCE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    match run() {
        Ok(table) => {
            print!("{}", table.text());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("borders: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Table, String> {
    let mut args = env::args().skip(1);
    let (rounds, only) = (args.next(), args.next());
    let rounds: usize = match rounds.as_deref().map_or(Ok(51), str::parse) {
        Ok(rounds @ 1..=100_000) => rounds,
        _ => return Err("usage: borders [ROUNDS [PART OF A LINE'S NAME]]".to_owned()),
    };
    let borders: Vec<_> = BORDERS
        .iter()
        .filter(|(_, name, _)| only.as_deref().is_none_or(|part| name.contains(part)))
        .collect();
    let mut jit = wasmrun(wasmrun::Strategy::Jit)?;
    let mut tiered = wasmrun(wasmrun::Strategy::Tiered)?;
    let (mut wasmtime, mut pooling) = (wasmtime(false)?, wasmtime(true)?);
    for &&(border, name, _) in &borders {
        warm(&mut tiered, border, name)?;
    }
    // The first one is compared with the third, and so is the second.
    let mut engines: [&mut dyn Crosses; 4] = [&mut jit, &mut tiered, &mut wasmtime, &mut pooling];
    let mut lines = Vec::new();
    for &&(border, name, goal) in &borders {
        let mut times = [1_u32; 4];
        for (engine, times) in engines.iter_mut().zip(&mut times) {
            while batch(&mut **engine, border, name, *times)? < BATCH && *times < 1 << 30 {
                *times *= 2;
            }
        }
        let mut samples = [const { Vec::new() }; 4];
        for _ in 0..rounds {
            for ((engine, &times), samples) in engines.iter_mut().zip(&times).zip(&mut samples) {
                let elapsed = batch(&mut **engine, border, name, times)?;
                samples.push(elapsed.as_secs_f64() * 1e9 / f64::from(times));
            }
        }
        lines.push(Line { name, goal, nanoseconds: samples.map(median) });
    }
    Ok(Table { rounds, lines })
}

fn batch(engine: &mut dyn Crosses, border: Border, name: &str, times: u32) -> Result<Duration, String> {
    let start = Instant::now();
    engine.cross(border, times).map_err(|error| format!("{name}: {error}"))?;
    Ok(start.elapsed())
}

fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn wasmrun(strategy: wasmrun::Strategy) -> Result<Wasmrun, String> {
    // As Wasmtime's is, unless it is asked for something else.
    let engine = wasmrun::Engine::new(wasmrun::Config::new().strategy(strategy).interruptible(false));
    let engine = engine.map_err(|error| format!("{error:?}"))?;
    if let Some(reason) = engine.no_compiled_code() {
        return Err(format!("there is no compiled code here: {reason}"));
    }
    Wasmrun::new(&engine).map_err(|error| format!("{error:?}"))
}

fn wasmtime(pooling: bool) -> Result<Wasmtime, String> {
    let mut config = wasmtime::Config::new();
    if pooling {
        let pool = wasmtime::PoolingAllocationConfig::default();
        config.allocation_strategy(wasmtime::InstanceAllocationStrategy::Pooling(pool));
    }
    let engine = wasmtime::Engine::new(&config).map_err(|error| format!("{error:?}"))?;
    Wasmtime::new(&engine).map_err(|error| format!("{error:?}"))
}

/// Crosses a border until all that has run often on the way is compiled.
fn warm(tiered: &mut Wasmrun, border: Border, name: &str) -> Result<(), String> {
    let start = Instant::now();
    loop {
        batch(tiered, border, name, 5000)?;
        // A function that is entered once, for all turns of its loop, has code for the loop alone.
        let cold = |tier: &wasmrun::FunctionTier| tier.executions > 0 && !tier.compiled && tier.loops == 0;
        let waiting = tiered.module().tiers().into_iter().find(cold);
        match (waiting, start.elapsed()) {
            (None, elapsed) if elapsed >= WARMING => return Ok(()),
            (Some(tier), elapsed) if elapsed >= PATIENCE => {
                eprintln!("{name}: function {} is still interpreted", tier.function);
                return Ok(());
            }
            _ => thread::sleep(Duration::from_millis(1)),
        }
    }
}
