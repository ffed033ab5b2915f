//! Threads of the guest, as wasi-threads has them: `-S threads`.
//!
//! Each is a thread of the system with a store and an instance of its own, of the same module, on the memory that the
//! command makes and all of them import. They share what WASI gives. The first thread ends the process when its function
//! returns; any thread does with a trap or `proc_exit`, or when it panics.

use std::any::Any;
use std::collections::HashSet;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use wasmrun::{Caller, Engine, ExternType, InstancePre, Linker, Module, Store};
use wasmrun_wasi::SharedWasiCtx;

use super::limits::Limits;
use super::{end, stack_of_thread, store};
use crate::args::RunArgs;
use crate::errors::{Failure, Outcome};
use crate::file_arg;
use crate::time_limit::TimeLimit;

/// So many threads there may be at once, besides the first, unless the command line says something else.
const USUAL_THREADS: usize = 256;

/// The last number that a thread can have.
const LAST_NUMBER: u32 = (1 << 29) - 1;

/// What a guest gets that can have no thread: the error number of "try again", negative.
const NO_THREAD: i32 = -6;

/// The function with which a thread starts.
const START: &str = "wasi_thread_start";

/// What belongs to a thread on the host's side.
type Host = super::Host<SharedWasiCtx>;

/// What all threads of a guest need.
pub struct Threads {
    run: RunArgs,
    engine: Engine,
    limit: TimeLimit,
    limits: Limits,
    module: Module,
    /// The module with its imports, once they are there.
    linked: OnceLock<InstancePre<Host>>,
    /// How many there are besides the first.
    running: AtomicUsize,
    /// The number of the last one.
    last: AtomicU32,
    /// Taken by the thread that ends the process, and kept.
    ending: Mutex<()>,
}

impl Threads {
    /// Gives the module what it needs for threads: the function that starts them, and the memory that they share.
    pub fn link(
        run: &RunArgs,
        engine: &Engine,
        limit: TimeLimit,
        limits: &Limits,
        module: &Module,
        linker: &mut Linker<Host>,
        store: &Store<Host>,
    ) -> Outcome<Arc<Threads>> {
        let refuse = |error: wasmrun::Error| {
            Failure::new("the guest cannot be given threads").because_of(error.chain())
        };
        let file = file_arg::display_name(&run.file);
        let mut defined = HashSet::new();
        for import in module.imports() {
            let ExternType::Memory(ty) = import.ty() else { continue };
            // Who imports one twice gets it twice.
            if !ty.is_shared() || !defined.insert((import.module(), import.name())) {
                continue;
            }
            let Some(memory) = limits.shared_memory(engine, ty).map_err(refuse)? else {
                return Err(Failure::new(format!("{file} cannot be linked"))
                    .because(format!("its memory of {} pages exceeds the limits", ty.minimum()))
                    .help("`--max-memory SIZE` is what all memories may have together"));
            };
            linker.define(store, import.module(), import.name(), memory).map_err(refuse)?;
        }
        let threads = Arc::new(Threads {
            run: run.clone(),
            engine: engine.clone(),
            limit,
            limits: limits.of_thread(),
            module: module.clone(),
            linked: OnceLock::new(),
            running: AtomicUsize::new(0),
            last: AtomicU32::new(0),
            ending: Mutex::new(()),
        });
        // Not a strong one: the linker is in `linked`.
        let weak = Arc::downgrade(&threads);
        let spawn = move |caller: Caller<'_, Host>, argument: i32| match weak.upgrade() {
            Some(threads) => threads.spawn(caller.data().wasi.clone(), argument),
            None => NO_THREAD,
        };
        linker.func_wrap("wasi", "thread-spawn", spawn).map_err(refuse)?;
        Ok(threads)
    }

    /// Notes what threads are instances of. Without that none can be started.
    pub fn set_linked(&self, linked: InstancePre<Host>) {
        let _ = self.linked.set(linked);
    }

    /// Starts a thread. Its number, or a negative one if there can be none.
    fn spawn(self: Arc<Threads>, wasi: SharedWasiCtx, argument: i32) -> i32 {
        let most = self.run.options.max_threads.unwrap_or(USUAL_THREADS);
        let more = |running: usize| (running < most).then(|| running + 1);
        let (order, stack) = (Ordering::SeqCst, stack_of_thread(&self.run.options));
        if self.running.fetch_update(order, order, more).is_err() {
            return NO_THREAD;
        }
        let next = |last: u32| (last < LAST_NUMBER).then(|| last + 1);
        let started = self.last.fetch_update(order, order, next).ok().and_then(|last| {
            let (threads, number) = (self.clone(), last as i32 + 1);
            let host = Host { wasi, limits: self.limits.of_thread() };
            // Here, where it is the guest that is told if the system has no memory for it.
            let store = store(&self.run.options, &self.engine, self.limit, host).ok()?;
            let builder = thread::Builder::new().name(format!("guest {number}")).stack_size(stack);
            builder.spawn(move || threads.run(store, number, argument)).ok().map(|_| number)
        });
        started.unwrap_or_else(|| {
            self.running.fetch_sub(1, order);
            NO_THREAD
        })
    }

    /// What a thread does.
    fn run(self: Arc<Threads>, store: Store<Host>, number: i32, argument: i32) {
        let file = file_arg::display_name(&self.run.file);
        match caught(&file, || self.guest(store, number, argument)) {
            Ok(None) => {
                self.running.fetch_sub(1, Ordering::SeqCst);
            }
            Ok(Some(code)) => self.exit(Ok(code)),
            Err(failure) => self.exit(Err(failure)),
        }
    }

    /// What the guest does in a thread: the exit code of the process, if that is to end.
    fn guest(&self, mut store: Store<Host>, number: i32, argument: i32) -> Outcome<Option<u8>> {
        let linked = self.linked.get().expect("a thread is started by an instance");
        let started = linked.instantiate(&mut store).and_then(|instance| {
            let start = instance.get_typed_func::<(i32, i32), ()>(&mut store, START)?;
            start.call(&mut store, (number, argument))
        });
        match started {
            Ok(()) => Ok(None),
            Err(error) if end::is_from_guest(&error) => {
                end::code(&self.run, end::Stopped::Guest(error)).map(Some)
            }
            Err(error) => {
                let file = file_arg::display_name(&self.run.file);
                Err(Failure::new(format!("a thread of {file} cannot be started")).because_of(error.chain()))
            }
        }
    }

    /// Ends the process, unless another thread is about to.
    fn exit(&self, code: Outcome<u8>) -> ! {
        self.end();
        // All others that would end the process wait for this one: a panic must not keep it from that.
        let libraries = &[]; // nothing is preloaded beside threads
        let finish = || end::finish(&self.run, &self.engine, &self.module, libraries, None);
        let _ = catch_unwind(AssertUnwindSafe(finish));
        std::process::exit(code.unwrap_or_else(|failure| failure.report()).into())
    }

    /// From here on this thread alone ends the process. If another one was faster, this does not return.
    pub fn end(&self) {
        mem::forget(self.ending.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// What a thread came to. Nobody joins it, so that a panic in it is a failure like others: without an end of the process the
/// first thread might wait for this one for ever.
fn caught(file: &str, guest: impl FnOnce() -> Outcome<Option<u8>>) -> Outcome<Option<u8>> {
    catch_unwind(AssertUnwindSafe(guest)).unwrap_or_else(|panic| {
        let failure = Failure::new(format!("a thread of {file} panicked in the engine"));
        Err(match message(&*panic) {
            Some(message) => failure.because(message),
            None => failure,
        })
    })
}

/// What a panic says.
fn message(panic: &(dyn Any + Send)) -> Option<&str> {
    let literal = panic.downcast_ref::<&str>().copied();
    literal.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
}

/// Refuses a module whose threads would have nothing in common.
pub fn check(run: &RunArgs, module: &Module) -> Outcome {
    let spawns = module.imports().any(|import| (import.module(), import.name()) == ("wasi", "thread-spawn"));
    let shares = module.imports().any(|import| import.ty().memory().is_some_and(|ty| ty.is_shared()));
    if !spawns || shares {
        return Ok(());
    }
    let file = file_arg::display_name(&run.file);
    Err(Failure::new(format!("{file} cannot be linked"))
        .because("it starts threads, and imports no memory that they could share")
        .help("link it with `--import-memory`, `--export-memory`, `--shared-memory` and `--max-memory`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_panics_is_a_failure_and_not_silence() {
        let panics = |count: usize| caught("`t.wasm`", || panic!("{count} of what there is one of"));
        let failure = Failure::new("a thread of `t.wasm` panicked in the engine");
        assert_eq!(panics(2), Err(failure.because("2 of what there is one of")));
        assert_eq!(caught("", || Ok(Some(7))), Ok(Some(7)));
        assert_eq!(caught("", || Err(Failure::new("x"))), Err(Failure::new("x")));
    }
}
