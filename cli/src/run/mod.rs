//! `wasmrun run`: a guest from its first instruction to the exit code of the process.
//!
//! Nothing of ours is written to stdout but the results of `--invoke`, and those after the guest has ended.

mod end;
mod entry;
mod limits;
mod link;
mod threads;

use std::path::Path;
use std::{fs, io, thread};

use wasmrun::{Engine, Linker, Store};
use wasmrun_wasi::{SharedWasiCtx, WasiCtx};

use crate::args::{Options, RunArgs};
use crate::errors::{Failure, Outcome};
use crate::file_arg::is_stdin;
use crate::time_limit::TimeLimit;
use crate::{guest, load};
use limits::Limits;
use threads::Threads;

/// What belongs to the guest on the host's side.
struct Host {
    wasi: Wasi,
    limits: Limits,
}

/// What WASI gives, to one thread or to all of a guest.
enum Wasi {
    Alone(Box<WasiCtx>),
    Shared(SharedWasiCtx),
}

impl Wasi {
    fn alone(&mut self) -> &mut WasiCtx {
        match self {
            Wasi::Alone(wasi) => wasi,
            Wasi::Shared(_) => unreachable!("this is linked where nothing is shared"),
        }
    }

    fn shared(&mut self) -> &mut SharedWasiCtx {
        match self {
            Wasi::Shared(wasi) => wasi,
            Wasi::Alone(_) => unreachable!("this is linked where threads are"),
        }
    }
}

impl Clone for Wasi {
    /// For another thread.
    fn clone(&self) -> Wasi {
        match self {
            Wasi::Shared(wasi) => Wasi::Shared(wasi.clone()),
            Wasi::Alone(_) => unreachable!("there is one thread"),
        }
    }
}

/// What a guest may have of the first thread's stack without asking: most systems give that 8 MiB.
const FIRST_THREAD: usize = 6 << 20;

/// What the host needs above the guest's stack and below it.
const HOST_STACK: usize = 2 << 20;

/// Runs the module and returns the exit code of the process.
pub fn run(run: &RunArgs) -> Outcome<u8> {
    let limit = TimeLimit::starting_now(run.options.timeout);
    // What is wrong with the options is said before a large module is read.
    let engine = load::engine(&run.options)?;
    match run.options.max_stack {
        Some(bytes) if bytes > FIRST_THREAD => on_larger_stack(bytes, || run_here(run, limit, engine)),
        _ => run_here(run, limit, engine),
    }
}

/// The same on a thread with so much stack for the guest: compiled code has its frames there.
fn on_larger_stack(bytes: usize, run: impl FnOnce() -> Outcome<u8> + Send) -> Outcome<u8> {
    let thread = thread::Builder::new().stack_size(bytes.saturating_add(HOST_STACK));
    thread::scope(|scope| match thread.spawn_scoped(scope, run) {
        Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        Err(error) => Err(Failure::new("the guest cannot be set up")
            .because(format!("the system has no thread with a stack of {bytes} bytes: {error}"))),
    })
}

fn refuse(error: wasmrun::Error) -> Failure {
    Failure::new("the guest cannot be set up").because_of(error.chain())
}

/// The store of a thread of the guest, with the limits that the options set.
fn store(options: &Options, engine: &Engine, limit: TimeLimit, host: Host) -> Outcome<Store<Host>> {
    let mut store = Store::try_new(engine, host).map_err(refuse)?;
    store.limiter(|host| &mut host.limits);
    if let Some(fuel) = options.fuel {
        store.set_fuel(fuel).map_err(refuse)?;
    }
    if let Some(ends) = limit.ends() {
        store.set_deadline(Some(ends));
        // From now on writes to pipes look before they act, so that the deadline ends those that wait as well.
        if let Wasi::Alone(wasi) = &mut store.data_mut().wasi {
            wasi.interruptible_writes();
        }
    }
    Ok(store)
}

/// The stack of a thread that runs guest code: compiled code has its frames there.
fn stack_of_thread(options: &Options) -> usize {
    options.max_stack.unwrap_or(FIRST_THREAD).saturating_add(HOST_STACK)
}

/// Adds what helps where no file has the name that stands in the place of a command.
fn meant_as_command(file: &Path, failure: Failure) -> Failure {
    let is_word = !file.as_os_str().as_encoded_bytes().iter().any(|b| matches!(b, b'.' | b'/'));
    match fs::metadata(file) {
        Err(error) if is_word && !is_stdin(file) && error.kind() == io::ErrorKind::NotFound => {
            failure.help("if this was meant to be a command, `wasmrun --help` lists them")
        }
        _ => failure,
    }
}

fn run_here(run: &RunArgs, limit: TimeLimit, engine: Engine) -> Outcome<u8> {
    let wasi = guest::wasi(run)?;
    let module = load::any_module(&engine, &run.file, &run.options, &limit)
        .map_err(|failure| meant_as_command(&run.file, failure))?;
    let entry = entry::choose(run, &module)?;
    let libraries = link::libraries(run, &engine, &limit)?;

    let limits = Limits::new(&run.options);
    let wasi = match run.options.threads {
        true => Wasi::Shared(SharedWasiCtx::new(wasi)),
        false => Wasi::Alone(Box::new(wasi)),
    };
    let mut store = store(&run.options, &engine, limit, Host { wasi, limits: limits.of_thread() })?;
    let mut linker: Linker<Host> = Linker::new(&engine);
    let threads = if run.options.threads {
        threads::check(run, &module)?;
        wasmrun_wasi::add_shared_to_linker(&mut linker, |host: &mut Host| host.wasi.shared())
            .map_err(refuse)?;
        Some(Threads::link(run, &engine, limit, &limits, &module, &mut linker, &store)?)
    } else {
        wasmrun_wasi::add_to_linker(&mut linker, |host: &mut Host| host.wasi.alone()).map_err(refuse)?;
        None
    };
    let started = link::instantiate(run, &module, &libraries, threads.as_deref(), &mut linker, &mut store)
        .and_then(|instance| entry.call(run, &instance, &mut store));
    if let Some(threads) = &threads {
        threads.end();
    }
    let code = match started {
        Ok(()) => Ok(0),
        Err(stopped) => end::code(run, stopped),
    };
    end::finish(run, &engine, &module, &libraries, store.gc_stats());
    // The end of the process does not wait for what is being compiled.
    std::mem::forget(engine);
    code
}
