//! The compiler as an engine has it: how functions and loops are compiled, where their code is published, and what is kept of it
//! for later runs. All threads that compile share it.
//!
//! This is one of the modules that hold the crate's `unsafe`: it publishes compiled code where callers find it.
#![allow(unsafe_code)]

use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use wasmrun_interpreter::{self as interpreter, Loops};
use wasmrun_jit::artifact::Settings;
use wasmrun_jit::code::{CodeSpace, InstalledFunction, LoopCode};
use wasmrun_jit::compile::{Job, Mode, Profile, Start};
use wasmrun_jit::memory_for::memory_for;
use wasmrun_jit::roomy::on_roomy_stack;
use wasmrun_runtime::module::{MemoryPlan, Module};
use wasmrun_runtime::parallel::on_all_cores;

use super::module_tiers::ModuleTiers;
use super::refusal::Refusal;
use super::set_unfit;
use super::staying::Loop;
use crate::cache::{Cache, Keep, Stored};
use crate::headroom::{Headroom, Taken};

/// Bytes of the largest body that is compiled to fast code; larger ones are compiled quickly. The compiler takes up to two
/// kilobytes of memory for a byte of a body, and half of that for quick code; it works on one function for each core.
const MAX_FAST_BODY: u32 = 256 << 10;

/// Bytes of the largest body that is compiled at all.
pub(super) const MAX_BODY: u32 = 1 << 20;

/// Bytes of a body from which on all that waits for the compiler feels that it is at it: if nearly all of it is a loop, then what is compiled for
/// calls serves running frames as well.
const LARGE: u32 = 4 << 10;

/// Bytes of code of a function from which on none of its loops gets more: each has the whole function behind it.
const MAX_LOOP_CODE: u32 = 16 << 20;

/// Bytes of memory that the compiler takes for one function at most. Bodies alone take less.
const MAX_MEMORY: usize = 5 << 29;

/// Bytes of bodies from which on they are compiled on all cores: compiling takes some 2 µs a byte, and starting a
/// thread fifty.
const PARALLEL_THRESHOLD: u64 = 4 << 10;

/// What threads that compile need.
pub(super) struct Compiler {
    pub(super) space: CodeSpace,
    pub(super) mode: Mode,
    pub(super) settings: Settings,
    /// Whether frames can leave compiled code.
    pub(super) leaves: bool,
    /// Memory for the compiler.
    pub(super) headroom: Headroom,
    /// Where code is kept for later runs.
    pub(super) cache: Option<Cache>,
    /// Whether the function with this index shall be compiled.
    pub(super) chosen: fn(u32) -> bool,
}

impl Compiler {
    /// On all cores; the calling thread takes its share.
    pub(super) fn compile_all(&self, module: &Arc<Module>, plan: MemoryPlan) {
        let tiers = ModuleTiers::of(module);
        let functions = module.imported_function_count()..module.function_count();
        let is_missing = |function: &u32| {
            !tiers.has(plan, *function) && !tiers.functions.is_compiled(module, plan, *function)
        };
        let next = AtomicU32::new(functions.start);
        let work = || {
            iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed))
                .take_while(|function| *function < functions.end)
                .filter(is_missing)
                .for_each(|function| self.compile(module, plan, function));
        };
        let missing = functions.clone().filter(is_missing);
        let bytes: u64 = missing.filter_map(|f| module.body(f)).map(|body| u64::from(body.len)).sum();
        on_all_cores(bytes >= PARALLEL_THRESHOLD, work);
    }

    /// Compiles a function, or notes why not. If another thread is at it, that is left to it.
    pub(super) fn compile(&self, module: &Arc<Module>, plan: MemoryPlan, function: u32) {
        let functions = &ModuleTiers::of(module).functions;
        if !functions.begin(module, plan, function) {
            return;
        }
        if !functions.is_compiled(module, plan, function) {
            self.compile_here(module, plan, function);
        }
        functions.end(module, plan, function);
        // Who wanted code of the main loop meanwhile has left that to this thread, too.
        let main_loop = self.main_loop(module, plan, function).map(|at| Loop { plan, function, at });
        if let Some(of) = main_loop.filter(|of| ModuleTiers::of(module).loops.is_awaited(*of)) {
            self.compile_loop_alone(module, of);
        }
    }

    fn compile_here(&self, module: &Arc<Module>, plan: MemoryPlan, function: u32) {
        let tiers = ModuleTiers::of(module);
        let started = Instant::now();
        let compile = |start| (start, guarded(|| self.code_of(module, plan, function, start)));
        let main_loop = self.main_loop(module, plan, function);
        let with_loop = main_loop.map(|at| compile(Start::EntryOrLoop(at)));
        // What is too much with a second entry may do without.
        let is_refused = |code: &Result<_, Refusal>| code.as_ref().is_err_and(|refusal| refusal.lasting);
        let compiled = with_loop.filter(|(_, code)| !is_refused(code));
        match compiled.unwrap_or_else(|| compile(Start::Entry)) {
            (start, Ok(Some(code))) => {
                tiers.functions.add_cost(module, function, started.elapsed(), code.addresses().len(), false);
                let code = Arc::new(code);
                self.publish(module, plan, code.clone());
                if let Start::EntryOrLoop(at) = start
                    && let Ok(code) = self.space.loop_code(module, start, code)
                {
                    let of = Loop { plan, function, at };
                    // SAFETY: this is the loop's code, compiled for these instances.
                    unsafe { lead_out(module, of, keep_loop(module, code)) };
                }
                tiers.forget_refusal(plan, function);
                tiers.note_news(plan);
            }
            (_, Ok(None)) => {}
            (_, Err(refusal)) => {
                let lasting = refusal.lasting;
                tiers.leave(plan, function, refusal);
                match lasting {
                    true => tiers.note_news(plan),
                    false => tiers.functions.put_off(module, plan, function),
                }
            }
        }
    }

    /// The compiled code of a function; none of one that shall not be compiled.
    pub(super) fn code_of(
        &self,
        module: &Arc<Module>,
        plan: MemoryPlan,
        function: u32,
        start: Start,
    ) -> Result<Option<InstalledFunction>, Refusal> {
        if !(self.chosen)(function) {
            return Ok(None);
        }
        let seen = Seen { module, plan };
        let (whole, _memory) = self.job(module, function, &seen)?;
        Ok(Some(self.space.compile(module, &Job { start, ..whole })?))
    }

    /// The loop at which the code of a function starts as well, if that is large and nearly all of it is a loop, and tier 0
    /// has translated it.
    pub(super) fn main_loop(&self, module: &Module, plan: MemoryPlan, function: u32) -> Option<u32> {
        let is_large = module.body(function).is_some_and(|body| body.len >= LARGE);
        if is_large { Loops::of(module, plan, function).covering() } else { None }
    }

    /// Compiles a loop that was asked for and leads tier 0 to its code: with its function, if it is the main loop of that.
    pub(super) fn compile_loop(&self, module: &Arc<Module>, of: Loop) {
        let Loop { plan, function, at } = of;
        let tiers = ModuleTiers::of(module);
        if tiers.loops.has_answer(of) {
            // It came with the function.
            return;
        }
        let is_main = self.main_loop(module, plan, function) == Some(at);
        if is_main && !tiers.functions.is_compiled(module, plan, function) {
            self.compile(module, plan, function);
        } else {
            self.compile_loop_alone(module, of);
        }
    }

    fn compile_loop_alone(&self, module: &Arc<Module>, of: Loop) {
        let tiers = ModuleTiers::of(module);
        match self.code_of_loop(module, of, Start::Loop(of.at)) {
            Ok(Some(code)) => {
                // SAFETY: this is the loop's code, compiled for these instances.
                unsafe { lead_out(module, of, code) };
                // It is not this code that is stored, but the work of its function, for the next run.
                tiers.note_news(of.plan);
            }
            Ok(None) => tiers.loops.answered(of),
            Err(Refusal { reason, lasting }) => {
                tiers.leave_loop(of.function, format!("at its loop at {:#x}: {reason}", of.at));
                match lasting {
                    true => tiers.loops.answered(of),
                    false => tiers.loops.put_off(of),
                }
            }
        }
    }

    /// The address of compiled code that starts at a loop, perhaps among others; the module keeps it from now on. None of a
    /// function that shall not be compiled.
    pub(super) fn code_of_loop(
        &self,
        module: &Arc<Module>,
        of: Loop,
        start: Start,
    ) -> Result<Option<usize>, Refusal> {
        if !(self.chosen)(of.function) {
            return Ok(None);
        }
        let functions = &ModuleTiers::of(module).functions;
        if functions.code_size(module, of.function) >= MAX_LOOP_CODE {
            return Err(format!("there are {MAX_LOOP_CODE} bytes of code of its function already").into());
        }
        let started = Instant::now();
        let code = guarded(|| {
            let seen = Seen { module, plan: of.plan };
            let (whole, _memory) = self.job(module, of.function, &seen)?;
            Ok::<_, Refusal>(self.space.compile_loop(module, &Job { start, ..whole })?)
        })?;
        let size = code.code().addresses().len();
        functions.add_cost(module, of.function, started.elapsed(), size, true);
        Ok(Some(keep_loop(module, code)))
    }

    /// Lets callers find the code of a function, which has been compiled for this plan.
    pub(super) fn publish(&self, module: &Module, plan: MemoryPlan, code: Arc<InstalledFunction>) {
        // SAFETY: this is the function's code, compiled for this plan.
        unsafe { publish(module, plan, code.function(), code.entry(), Box::new(code)) };
    }

    /// How a function is compiled, if it is not too large for that, and the memory for it.
    pub(super) fn job<'p>(
        &self,
        module: &Module,
        function: u32,
        seen: &'p Seen<'p>,
    ) -> Result<(Job<'p>, Taken<'_>), Refusal> {
        let job = job(module, function, self.mode, self.settings, seen.plan)?;
        ModuleTiers::of(module).make_room(&self.space, module).map_err(Refusal::for_now)?;
        let profile: Option<&dyn Profile> = if job.inlining { Some(seen) } else { None };
        let job = Job { leaves: self.leaves, may_be_inlined: self.chosen, profile, ..job };
        let memory = memory_for(&job, module);
        if memory > MAX_MEMORY {
            let reason = "the compiler would take gigabytes of memory for all of its calls";
            return Err(reason.to_owned().into());
        }
        let refusal = || Refusal::for_now("the system has no memory for compiling it");
        Ok((job, self.headroom.take(memory).ok_or_else(refusal)?))
    }

    /// Installs the code of a module that there is already.
    pub(super) fn load_stored(&self, module: &Arc<Module>, plan: MemoryPlan) -> Stored {
        let tiers = ModuleTiers::of(module);
        // Code that counts is made for the counters that there are.
        let cache = self.cache.clone().filter(|_| module.counts().is_none());
        let made_for = (self.settings, self.mode, plan);
        let take = |function: u32, entry: *const u8, keep: Keep| {
            if (self.chosen)(function) {
                // SAFETY: what there is code of was compiled as this module's function for this plan, says its identity.
                unsafe { publish(module, plan, function, entry, keep) };
                tiers.functions.ask(module, plan, function);
            }
        };
        let stored = Stored::load(cache, tiers.take_given(), &self.space, module, made_for, take);
        if let Some(reason) = stored.unfit() {
            set_unfit(module, reason);
        }
        for (function, reason) in stored.all_refused() {
            tiers.functions.ask(module, plan, function);
            tiers.leave(plan, function, Refusal::from(reason.to_owned()));
        }
        stored
    }

    /// See [`CompiledTier::save`].
    pub(super) fn save(&self, module: &Arc<Module>, plan: MemoryPlan) {
        let tiers = ModuleTiers::of(module);
        if let Some(stored) = tiers.stored[plan].get()
            && tiers.take_news(plan)
        {
            let lasting = tiers.lasting(plan);
            let lasting: Vec<_> = lasting.iter().map(|(function, reason)| (*function, &**reason)).collect();
            stored.save(&self.space, module, &lasting, tiers.work_to_keep(module, plan));
        }
    }
}

/// What tier 0 has seen of a module's functions, in instances of one plan.
pub(super) struct Seen<'m> {
    pub(super) module: &'m Module,
    pub(super) plan: MemoryPlan,
}

impl Profile for Seen<'_> {
    fn callee(&self, function: u32, at: u32) -> Option<u16> {
        interpreter::usual_callee(self.module, self.plan, function, at)
    }
}

/// How a function is compiled of which nothing is known but the module, if it is not too large for that.
pub(crate) fn job(
    module: &Module,
    function: u32,
    mode: Mode,
    settings: Settings,
    memory: MemoryPlan,
) -> Result<Job<'static>, String> {
    let mode = mode_of_body(module.body(function).map_or(0, |body| body.len), mode)?;
    // It takes time, which is what quick code saves.
    let inlining = settings.inlining && mode == Mode::Speed;
    Ok(Job { mode, memory, interruptible: settings.interruptible, inlining, ..Job::new(function) })
}

/// How a body of so many bytes is compiled where functions are compiled in `mode`, or why it is not.
fn mode_of_body(len: u32, mode: Mode) -> Result<Mode, String> {
    if len > MAX_BODY {
        return Err(format!("its body has {len} bytes; the compiler takes up to {MAX_BODY}"));
    }
    Ok(if len > MAX_FAST_BODY { Mode::Quick } else { mode })
}

/// Publishes the code of a function.
///
/// # Safety
/// It is the code of this function for this plan, and lives as long as what is kept.
unsafe fn publish(module: &Module, plan: MemoryPlan, function: u32, entry: *const u8, keep: Keep) {
    let way_in = interpreter::way_into_compiled(module, function);
    // SAFETY: the caller's promise; what is kept is dropped with the module, which instances keep alive while their
    // code runs.
    unsafe { module.publish_compiled(plan, function, entry, Some(way_in), keep) };
    // In this order: who finds this finds the code.
    ModuleTiers::of(module).functions.set_compiled(module, plan, function);
}

/// Leads tier 0 from a loop to this code, and those who wait for it are answered.
///
/// # Safety
/// It is the code of that loop for this plan, which the module keeps.
unsafe fn lead_out(module: &Module, of: Loop, code: usize) {
    // SAFETY: the caller's promise.
    unsafe { Loops::of(module, of.plan, of.function).lead_out(of.at, code as *const ()) };
    ModuleTiers::of(module).loops.answered(of);
}

/// The address of the code of a loop, which the module keeps from now on.
fn keep_loop(module: &Module, code: LoopCode) -> usize {
    let code = Box::new(code);
    let address = (&raw const *code).expose_provenance();
    module.keep_code(code);
    address
}

/// Compiles something. The compiler is a large program that hostile functions are given to: should it ever panic,
/// then that function runs in tier 0, and nothing else happens.
pub(crate) fn guarded<T: Send, E: From<String> + Send>(
    compile: impl FnOnce() -> Result<T, E> + Send,
) -> Result<T, E> {
    let compiled = catch_unwind(AssertUnwindSafe(|| on_roomy_stack(compile)));
    let compiled = compiled.map_err(|_| "the compiler panicked: please report this module".to_owned())?;
    compiled.map_err(|error| format!("there is no stack for the compiler: {error}"))?
}
