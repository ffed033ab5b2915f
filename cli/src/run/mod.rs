//! `wasmrun run`: a guest from its first instruction to the exit code of the process.
//!
//! Nothing of ours is written to stdout but the results of `--invoke`, and those after the guest has ended.

mod end;
mod entry;
mod limits;
mod link;
mod threads;

use std::path::Path;
use std::{fs, io, mem, thread};

use wasmrun::{Engine, Linker, Module, Store};
use wasmrun_wasi::{SharedWasiCtx, WasiCtx};

use crate::args::{Options, RunArgs};
use crate::errors::{Failure, Outcome};
use crate::file_arg::is_stdin;
use crate::time_limit::TimeLimit;
use crate::{guest, load};
use end::Stopped;
use entry::Entry;
use limits::Limits;
use threads::Threads;

/// What belongs to the guest on the host's side: what WASI gives, to one thread or to all of them, and the limits of a thread.
struct Host<W> {
    wasi: W,
    limits: Limits,
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
fn store<W: 'static>(
    options: &Options,
    engine: &Engine,
    limit: TimeLimit,
    host: Host<W>,
) -> Outcome<Store<Host<W>>> {
    let mut store = Store::try_new(engine, host).map_err(refuse)?;
    store.limiter(|host| &mut host.limits);
    if let Some(fuel) = options.fuel {
        store.set_fuel(fuel).map_err(refuse)?;
    }
    if let Some(ends) = limit.ends() {
        store.set_deadline(Some(ends));
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
    let program = Program { run, engine, limit, module, entry, libraries };
    if run.options.threads { program.with_threads(wasi) } else { program.alone(wasi) }
}

/// A guest that is about to run.
struct Program<'r> {
    run: &'r RunArgs,
    engine: Engine,
    limit: TimeLimit,
    module: Module,
    entry: Entry,
    libraries: Vec<Module>,
}

impl Program<'_> {
    /// Runs it in one thread.
    fn alone(self, mut wasi: WasiCtx) -> Outcome<u8> {
        if self.limit.ends().is_some() {
            // Writes to pipes look before they act, so that the deadline ends those that wait as well.
            wasi.interruptible_writes();
        }
        let limits = Limits::new(&self.run.options);
        let mut store = self.store(wasi, limits)?;
        let mut linker = Linker::new(&self.engine);
        wasmrun_wasi::add_to_linker(&mut linker, |host: &mut Host<WasiCtx>| &mut host.wasi)
            .map_err(refuse)?;
        let instance =
            link::instantiate(self.run, &self.module, &self.libraries, |_| {}, &mut linker, &mut store);
        let ended = instance.and_then(|instance| self.entry.call(self.run, &instance, &mut store));
        self.end(ended, store)
    }

    /// Runs it in this thread and in those that it starts.
    fn with_threads(self, wasi: WasiCtx) -> Outcome<u8> {
        threads::check(self.run, &self.module)?;
        let limits = Limits::new(&self.run.options);
        let mut store = self.store(SharedWasiCtx::new(wasi), limits.of_thread())?;
        let mut linker = Linker::new(&self.engine);
        wasmrun_wasi::add_shared_to_linker(&mut linker, |host: &mut Host<SharedWasiCtx>| &mut host.wasi)
            .map_err(refuse)?;
        let threads =
            Threads::link(self.run, &self.engine, self.limit, &limits, &self.module, &mut linker, &store)?;
        // The start function may start some.
        let linked = |linked| threads.set_linked(linked);
        let instance =
            link::instantiate(self.run, &self.module, &self.libraries, linked, &mut linker, &mut store);
        let ended = instance.and_then(|instance| self.entry.call(self.run, &instance, &mut store));
        threads.end();
        self.end(ended, store)
    }

    fn store<W: 'static>(&self, wasi: W, limits: Limits) -> Outcome<Store<Host<W>>> {
        store(&self.run.options, &self.engine, self.limit, Host { wasi, limits })
    }

    /// The exit code of the process, once the guest has ended.
    fn end<W>(&self, ended: Result<(), Stopped>, store: Store<Host<W>>) -> Outcome<u8> {
        let code = match ended {
            Ok(()) => Ok(0),
            Err(stopped) => end::code(self.run, stopped),
        };
        end::finish(self.run, &self.engine, &self.module, &self.libraries, store.gc_stats());
        // The end of the process does not wait for what is being compiled.
        mem::forget(self.engine.clone());
        code
    }
}
