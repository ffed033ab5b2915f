//! Hostile modules end in a clear error, a trap or a correct run, in bounded time and memory, and never in a
//! panic or an abort. Each case runs in a process of its own, a child of this test binary, so that an abort
//! is seen and the peak of its memory can be measured.

mod bodies;
mod cases;
mod exceptions;
mod module;
mod opcode;

use std::env;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use wasmrun::{Engine, Instance, Module, Store, Trap, Val};

use wasmrun_spec_tests::Mode;

use cases::CASES;

/// Names the case that a child process runs.
const CASE: &str = "WASMRUN_HOSTILE_CASE";

/// Names the mode that it runs in.
const MODE: &str = "WASMRUN_HOSTILE_MODE";

/// Begins the line with the outcome in the child's output.
const OUTCOME: &str = "outcome: ";

/// Most memory that a case may ever have had resident.
const MAX_KIB: u64 = 1_536 << 10;

/// When a child that does not end is killed: the promise is ten seconds for an optimised build on a machine
/// that has nothing else to do; the factor is for builds and machines that are otherwise.
const PATIENCE: Duration = Duration::from_secs(if cfg!(debug_assertions) { 180 } else { 40 });

/// When the guest of a case is stopped. Its functions are translated within that time.
const DEADLINE: Duration = Duration::from_secs(if cfg!(debug_assertions) { 12 } else { 3 });

/// When the guest of a damaged module is stopped: there are hundreds of them, and some loop for ever.
const SHORT_DEADLINE: Duration = Duration::from_millis(20);

/// Runs a case in a child process and judges what comes back.
fn run_in_child(name: &str, mode: Mode) {
    let case = CASES.iter().find(|case| case.name == name).expect("a case has this name");
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(CASE, name)
        .env(MODE, mode.name())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{name}: no end after {PATIENCE:?}");
        }
        thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let line = stdout.lines().find_map(|line| Some(line.split_once(OUTCOME)?.1));
    let Some(outcome) = line.filter(|_| output.status.success()) else {
        panic!("{name}: {}\n{stdout}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    };
    println!("{name}, {}: {outcome} ({:.1?})", mode.name(), started.elapsed());
    let outcome = outcome.split_once(" | ").map_or(outcome, |(outcome, _)| outcome);
    assert!(
        case.right.iter().any(|right| outcome.starts_with(right)),
        "{name}: expected one of {:?}, got: {outcome}",
        case.right
    );
}

/// What the child process does: makes the module, runs it, and prints the outcome and its peak memory.
/// Without the environment variable it is a test that holds trivially.
#[test]
fn child() {
    let Ok(name) = env::var(CASE) else { return };
    let case = CASES.iter().find(|case| case.name == name).expect("the parent names a case");
    let module = (case.module)();
    let started = Instant::now();
    let outcome = run(&module, DEADLINE);
    let peak = peak_kib();
    println!("\n{OUTCOME}{outcome} | {} bytes, {:.1?}, {} MiB", module.len(), started.elapsed(), peak >> 10);
    assert!(peak < MAX_KIB, "{name}: {} MiB were resident", peak >> 10);
}

/// The peak of this process's resident memory.
#[cfg(target_os = "linux")]
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel tells the peak");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Only Linux tells the peak in a file; elsewhere the cases are checked for their outcomes alone.
#[cfg(not(target_os = "linux"))]
fn peak_kib() -> u64 {
    0
}

/// Loads and instantiates `bytes` and calls the export `run`, with 0, 1, 2… as arguments.
fn run(bytes: &[u8], deadline: Duration) -> String {
    let mode = env::var(MODE).ok().and_then(|name| Mode::named(&name)).expect("the parent names a mode");
    // What has to end at its deadline can be interrupted.
    let engine = Engine::new(mode.config().interruptible(true)).expect("the settings are possible");
    let module = match Module::from_binary(&engine, bytes) {
        Ok(module) => module,
        Err(error) => return format!("refused: {}", one_line(&error)),
    };
    let mut store = Store::new(&engine, ());
    store.set_timeout(deadline);
    let instance = match Instance::new(&mut store, &module, &[]) {
        Ok(instance) => instance,
        Err(error) => return stopped("unlinked", &error),
    };
    let Some(func) = instance.get_func(&mut store, "run") else { return "no function `run`".to_string() };
    let ty = func.ty(&store);
    let args: Vec<Val> = (0..ty.params().len() as i32).map(Val::I32).collect();
    let mut results = vec![Val::I32(0); ty.results().len()];
    match func.call(&mut store, &args, &mut results) {
        Ok(()) => {
            let results: Vec<String> = results.iter().take(8).map(number).collect();
            format!("returned: {}", results.join(" "))
        }
        Err(error) => stopped("failed", &error),
    }
}

fn number(value: &Val) -> String {
    match value {
        Val::I32(value) => value.to_string(),
        Val::I64(value) => value.to_string(),
        other => format!("{other:?}"),
    }
}

fn stopped(otherwise: &str, error: &wasmrun::Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(trap) => format!("trap: {trap:?}"),
        None => format!("{otherwise}: {}", one_line(error)),
    }
}

fn one_line(error: &wasmrun::Error) -> String {
    let text = format!("{error:#}").replace('\n', " ");
    text.chars().take(200).collect()
}

/// Checks that all of `modules` are refused, and returns the last: its refusal is the case's outcome.
fn all_refused(modules: &[Vec<u8>]) -> Vec<u8> {
    for (i, module) in modules.iter().enumerate() {
        let outcome = run(module, DEADLINE);
        assert!(outcome.starts_with("refused: "), "module {i}: {outcome}");
    }
    modules.last().expect("a case has modules").clone()
}

/// Runs a damaged module: any end is right but a panic.
fn outcome(bytes: &[u8]) {
    run(bytes, SHORT_DEADLINE);
}
