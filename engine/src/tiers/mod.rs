//! Which tier runs a function: what an engine compiles and when, and how calls from the host find the code.
//!
//! This is one of the modules that hold the crate's `unsafe`: it publishes compiled code where callers find it.
#![allow(unsafe_code)]

mod chaos;
mod heat;
mod queue;
mod staying;
mod tier_up;

use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use wasmrun_interpreter as interpreter;
use wasmrun_jit::artifact::{EncodeError, Identity, ModuleHash, Settings};
use wasmrun_jit::calls::{attach, call_reference, unbound};
use wasmrun_jit::code::{CodeSpace, InstallError, InstalledFunction};
use wasmrun_jit::compile::{Job, Mode, Profile};
use wasmrun_runtime::Outline;
use wasmrun_runtime::module::{MemoryPlan, Module};
use wasmrun_runtime::parallel::on_all_cores;
use wasmrun_runtime::trap::Status;
use wasmrun_runtime::vm::{ExecContext, FuncRef, MemoryStrategy, Position, VmContext};

use crate::cache::{Cache, Given, Keep, Stored, encode};
use crate::config::Config;
use crate::headroom::{Headroom, Taken};
use chaos::Chaos;
use heat::ModuleTiers;
use queue::Queue;

/// How an engine runs guest code.
///
/// ```
/// use wasmrun::{Config, Engine, Strategy};
///
/// let mut config = Config::new();
/// config.strategy(Strategy::Jit);
/// let engine = Engine::new(&config)?;
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Strategy {
    /// All of it in tier 0, which starts at once.
    Interpreter,
    /// All functions of a module are compiled when it is made. Those that cannot be compiled, and all of them
    /// where the system allows no compiled code (see
    /// [`Engine::no_compiled_code`](crate::Engine::no_compiled_code)), run in tier 0.
    Jit,
    /// All functions start in tier 0. Those that run often are compiled meanwhile, on other threads, and loops that
    /// run long go on in compiled code. What `Jit` says of functions without compiled code holds here too.
    #[default]
    Tiered,
}

/// How much time the compiler takes for its code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OptLevel {
    /// As little as possible: code that is there in half the time, twice as large and half as fast.
    None,
    /// What fast code takes.
    #[default]
    Speed,
}

impl OptLevel {
    /// The compiler's word for it.
    pub(crate) fn mode(self) -> Mode {
        match self {
            OptLevel::None => Mode::Quick,
            OptLevel::Speed => Mode::Speed,
        }
    }
}

/// Bytes of the largest body that is compiled to fast code, and of the largest that is compiled at all; larger ones are
/// compiled quickly, and not. The compiler takes up to two kilobytes of memory for a byte of a body, and half of that
/// for quick code; it works on one function for each core.
const MAX_FAST_BODY: u32 = 256 << 10;
const MAX_BODY: u32 = 1 << 20;

/// Bytes of bodies from which on they are compiled on all cores: compiling takes some 2 µs a byte, and starting a
/// thread fifty.
const PARALLEL_THRESHOLD: u64 = 4 << 10;

/// Executions of a function, or of as much code as it has, after which it is compiled, unless said. The compiler takes 1
/// to 2 µs for a byte, and tier 0 a nanosecond or two to execute one: after a thousand, waiting has cost as much as compiling.
/// The compiler has a core of its own, and what is asked for early need not be compiled first.
const DEFAULT_THRESHOLD: u32 = 500;

/// The compiled code of an engine, and what it takes to get it.
pub(crate) struct CompiledTier {
    shared: Arc<Shared>,
    /// Executions after which a function is compiled.
    threshold: u32,
    /// Whether that is waited for; all are compiled ahead otherwise.
    tiered: bool,
    queue: Queue,
    chaos: Option<Chaos>,
}

/// What threads that compile need.
struct Shared {
    space: CodeSpace,
    mode: Mode,
    settings: Settings,
    /// Whether frames can leave compiled code.
    leaves: bool,
    /// Memory for the compiler.
    headroom: Headroom,
    /// Where code is kept for later runs.
    cache: Option<Cache>,
    /// Whether the function with this index shall be compiled.
    chosen: fn(u32) -> bool,
}

/// A function that runs in tier 0 for want of compiled code.
#[derive(Clone, Debug)]
pub struct Uncompiled {
    /// Its index in the module.
    pub function: u32,
    /// Why it was not compiled.
    pub reason: String,
}

/// What the tiers know of a function.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FunctionTier {
    /// Its index in the module.
    pub function: u32,
    /// Its name, if the module says so.
    pub name: Option<String>,
    /// Bytes of its body.
    pub body: u32,
    /// Whether calls run compiled code.
    pub compiled: bool,
    /// Whether its code was there when the module was made.
    pub from_cache: bool,
    /// How often tier 0 has executed it, or as much code as it has: from samples. Compiled code is not counted.
    pub executions: u32,
    /// Its loops that have code of their own, for frames that were in them.
    pub loops: u32,
    /// What compiling has taken, loops included; `None` if nothing was compiled.
    pub compile_time: Option<Duration>,
    /// Bytes of its machine code, loops included; `None` if nothing was compiled.
    pub code_size: Option<u32>,
    /// Why it, or one of its loops, runs in tier 0 for good.
    pub reason: Option<String>,
}

impl CompiledTier {
    /// The tier for an engine with these settings; an error where the system allows none.
    pub(crate) fn new(config: &Config) -> Result<Option<CompiledTier>, String> {
        let chosen = config.to_be_compiled();
        let mode = config.opt_level().mode();
        let tiered = match config.execution() {
            Strategy::Interpreter => return Ok(None),
            Strategy::Jit => false,
            Strategy::Tiered => true,
        };
        let mut space = CodeSpace::new(config.code_size()).map_err(|error| error.to_string())?;
        if let Some(profiler) = config.wanted_profiler() {
            space.profile_with(profiler).map_err(|error| error.to_string())?;
        }
        let chaos = config.chaos_seed().filter(|_| tiered).map(Chaos::new);
        // Its code is for nobody else, and that of others has no exits.
        let cache = config.code_cache().filter(|_| chaos.is_none()).cloned();
        let leaves = chaos.is_some();
        let settings = Settings {
            features: config.features(),
            charges_fuel: config.fuel(),
            interruptible: config.is_interruptible(),
            inlining: config.inlines(),
        };
        Ok(Some(CompiledTier {
            shared: Arc::new(Shared {
                space,
                mode,
                settings,
                leaves,
                headroom: Headroom::default(),
                cache,
                chosen,
            }),
            threshold: config.threshold().unwrap_or(DEFAULT_THRESHOLD),
            tiered,
            queue: Queue::new(config.compile_threads_wanted()),
            chaos,
        }))
    }

    /// Prepares a module for compiled code.
    pub(crate) fn prepare(&self, module: &mut Module) {
        // SAFETY: this is the code that binds functions when they are called; it is part of the program.
        unsafe { module.bind_lazily(unbound()) };
    }

    /// Prepares the execution context of a store.
    ///
    /// # Safety
    /// The tier stays where it is and outlives the store.
    pub(crate) unsafe fn attach(&self, exec: &mut ExecContext) {
        // SAFETY: the caller's promise.
        unsafe { attach(exec, &self.shared.space, run_interpreter) };
        if self.tiered {
            exec.native.tiers = ptr::from_ref(self).cast();
            exec.native.entries.counted = Some(tier_up::counted);
            // A few reports before the threshold, so that one of them decides nothing.
            exec.set_interval(self.threshold / 4);
        }
        if self.chaos.is_some() {
            exec.set_interval(1);
            exec.native.entries.leaves = Some(chaos::leaves);
            exec.polls_often = true;
        }
    }

    /// Looks in the cache for code of a module that has not been made yet, if there is one. If some is
    /// found, the bytes have been accepted before.
    pub(crate) fn look(&self, bytes: &[u8], outline: Outline, memories: MemoryStrategy) -> Given {
        let (Some(cache), 1..) = (&self.shared.cache, outline.functions) else { return Given::Nothing };
        let plan = plan_for(outline.memories, memories);
        let Shared { space, mode, settings, .. } = &*self.shared;
        let identity = Identity::new(space.isa(), *settings, ModuleHash::of(bytes), *mode, plan);
        Given::Looked { identity, found: cache.load(&identity) }
    }

    /// Compiles all functions of a module for the instances that are to be expected, if that is the strategy.
    pub(crate) fn compile_ahead(&self, module: &Arc<Module>, memories: MemoryStrategy) {
        self.compile_all(module, expected_plan(module, memories));
    }

    /// An artefact of all functions of a module, with the module in it.
    pub(crate) fn serialize(
        &self,
        module: &Arc<Module>,
        memories: MemoryStrategy,
    ) -> Result<Vec<u8>, EncodeError> {
        let plan = expected_plan(module, memories);
        let shared = &self.shared;
        ModuleTiers::of(module).all_compiled[plan as usize].get_or_init(|| shared.compile_all(module, plan));
        let hash = ModuleHash::of(module.bytes());
        let identity = Identity::new(shared.space.isa(), shared.settings, hash, shared.mode, plan);
        encode(&shared.space, module, identity, &[], module.bytes())
    }

    /// Compiles all functions of a module for instances as `plan` says, unless that has been done, if that is the
    /// strategy.
    pub(crate) fn compile_all(&self, module: &Arc<Module>, plan: MemoryPlan) {
        // Such as those that the host's own memories, tables and globals are: there is nothing to look for.
        if module.function_count() == module.imported_function_count() {
            return;
        }
        let (tiers, shared) = (ModuleTiers::of(module), &self.shared);
        tiers.stored[plan as usize].get_or_init(|| shared.load_stored(module, plan));
        if !self.tiered {
            tiers.all_compiled[plan as usize].get_or_init(|| shared.compile_all(module, plan));
            shared.save(module, plan);
        }
    }

    /// Bytes of code memory that are in use.
    pub(crate) fn code_size(&self) -> usize {
        self.shared.space.arena().usage().used
    }

    /// Writes the code of a module to the cache, if there is one and there is more code than was written.
    pub(crate) fn save(&self, module: &Arc<Module>) {
        for plan in [MemoryPlan::Guarded, MemoryPlan::Checked] {
            self.shared.save(module, plan);
        }
    }

    /// What the compiled code at an address was executing, and the calls that it is inlined at, outwards.
    ///
    /// # Safety
    /// The code is that of a frame of guest code, running or just stopped.
    pub(crate) unsafe fn positions(&self, pc: usize) -> Vec<Position> {
        // SAFETY: the caller's promise.
        unsafe { self.shared.space.positions(pc) }
    }
}

impl Shared {
    /// On all cores; the calling thread takes its share.
    fn compile_all(&self, module: &Arc<Module>, plan: MemoryPlan) {
        let tiers = ModuleTiers::of(module);
        let functions = module.imported_function_count()..module.function_count();
        let missing = || functions.clone().filter(|function| !tiers.has(plan, *function));
        let next = AtomicU32::new(functions.start);
        let work = || {
            iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed))
                .take_while(|function| *function < functions.end)
                .filter(|function| !tiers.has(plan, *function))
                .for_each(|function| self.compile(module, plan, function));
        };
        let bytes: u64 = missing().filter_map(|f| module.body(f)).map(|body| u64::from(body.len)).sum();
        on_all_cores(bytes >= PARALLEL_THRESHOLD, work);
    }

    /// Compiles a function, or notes why not.
    fn compile(&self, module: &Arc<Module>, plan: MemoryPlan, function: u32) {
        let tiers = ModuleTiers::of(module);
        let started = Instant::now();
        match guarded(|| self.code_of(module, plan, function)) {
            Ok(Some(code)) => {
                tiers.add_cost(module, function, started.elapsed(), code.addresses().len(), false);
                self.publish(module, plan, Arc::new(code));
                tiers.has_news(plan);
            }
            Ok(None) => {}
            Err(refusal) => {
                if refusal.lasting {
                    tiers.has_news(plan);
                }
                tiers.leave(function, refusal);
            }
        }
    }

    /// The compiled code of a function; none of one that shall not be compiled.
    fn code_of(
        &self,
        module: &Arc<Module>,
        plan: MemoryPlan,
        function: u32,
    ) -> Result<Option<InstalledFunction>, Refusal> {
        if !(self.chosen)(function) {
            return Ok(None);
        }
        let seen = Seen { module, plan };
        let (job, _memory) = self.job(module, function, &seen)?;
        Ok(Some(self.space.compile(module, &job)?))
    }

    /// Lets callers find the code of a function, which has been compiled for this plan.
    fn publish(&self, module: &Module, plan: MemoryPlan, code: Arc<InstalledFunction>) {
        // SAFETY: this is the function's code, compiled for this plan.
        unsafe { publish(module, plan, code.function(), code.entry(), Box::new(code)) };
    }

    /// How a function is compiled, if it is not too large for that, and the memory for it.
    fn job<'p>(
        &self,
        module: &Module,
        function: u32,
        seen: &'p Seen<'p>,
    ) -> Result<(Job<'p>, Taken<'_>), Refusal> {
        let len = module.body(function).map_or(0, |body| body.len);
        let mode = mode_of_body(len, self.mode)?;
        // It takes time, which is what quick code saves.
        let inlining = self.settings.inlining && mode == Mode::Speed;
        let profile: Option<&dyn Profile> = if inlining { Some(seen) } else { None };
        let job = Job {
            mode,
            memory: seen.plan,
            leaves: self.leaves,
            interruptible: self.settings.interruptible,
            inlining,
            profile,
            ..Job::new(function)
        };
        let refusal =
            || Refusal { reason: "the system has no memory for compiling it".into(), lasting: false };
        Ok((job, self.headroom.take(job.bytes(module)).ok_or_else(refusal)?))
    }

    /// Installs the code of a module that there is already.
    fn load_stored(&self, module: &Arc<Module>, plan: MemoryPlan) -> Stored {
        let tiers = ModuleTiers::of(module);
        let (cache, made_for) = (self.cache.clone(), (self.settings, self.mode, plan));
        let take = |function: u32, entry: *const u8, keep: Keep| {
            if (self.chosen)(function) {
                // SAFETY: what there is code of was compiled as this module's function for this plan, says its identity.
                unsafe { publish(module, plan, function, entry, keep) };
                tiers.ask(module, plan, function);
            }
        };
        let stored = Stored::load(cache, tiers.take_given(), &self.space, module, made_for, take);
        if let Some(reason) = stored.unfit() {
            set_unfit(module, reason);
        }
        for (function, reason) in stored.all_refused() {
            tiers.ask(module, plan, function);
            tiers.leave(function, Refusal::from(reason.to_owned()));
        }
        stored
    }

    /// See [`CompiledTier::save`].
    fn save(&self, module: &Arc<Module>, plan: MemoryPlan) {
        let tiers = ModuleTiers::of(module);
        if let Some(stored) = tiers.stored[plan as usize].get()
            && tiers.take_news(plan)
        {
            let lasting = tiers.lasting();
            let lasting: Vec<_> = lasting.iter().map(|(function, reason)| (*function, &**reason)).collect();
            stored.save(&self.space, module, &lasting);
        }
    }
}

/// What tier 0 has seen of a module's functions, in instances of one plan.
struct Seen<'m> {
    module: &'m Module,
    plan: MemoryPlan,
}

impl Profile for Seen<'_> {
    fn callee(&self, function: u32, at: u32) -> Option<u16> {
        interpreter::usual_callee(self.module, self.plan, function, at)
    }
}

/// Why a function has no compiled code.
#[derive(Clone, Debug)]
struct Refusal {
    reason: String,
    /// Whether another attempt would end in the same way.
    lasting: bool,
}

/// The function itself is the reason.
impl From<String> for Refusal {
    fn from(reason: String) -> Refusal {
        Refusal { reason, lasting: true }
    }
}

impl From<InstallError> for Refusal {
    fn from(error: InstallError) -> Refusal {
        Refusal { reason: error.to_string(), lasting: matches!(error, InstallError::Compile(_)) }
    }
}

/// The plan for the memories of the instances that are to be expected of a module.
pub(crate) fn expected_plan(module: &Module, memories: MemoryStrategy) -> MemoryPlan {
    plan_for(module.memory_count(), memories)
}

fn plan_for(count: u32, memories: MemoryStrategy) -> MemoryPlan {
    let unguarded = memories == MemoryStrategy::Checked && count > 0;
    if unguarded { MemoryPlan::Checked } else { MemoryPlan::Guarded }
}

/// How a body of so many bytes is compiled where functions are compiled in `mode`, or why it is not.
pub(crate) fn mode_of_body(len: u32, mode: Mode) -> Result<Mode, String> {
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
    ModuleTiers::of(module).set_compiled(module, plan, function);
    // SAFETY: the caller's promise; what is kept is dropped with the module, which instances keep alive while their
    // code runs.
    unsafe { module.publish_compiled(plan, function, entry, Some(way_in), keep) };
}

/// Compiles something. The compiler is a large program that hostile functions are given to: should it ever panic,
/// then that function runs in tier 0, and nothing else happens.
pub(crate) fn guarded<T, E: From<String>>(compile: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    catch_unwind(AssertUnwindSafe(compile))
        .unwrap_or_else(|_| Err("the compiler panicked: please report this module".to_owned().into()))
}

/// The functions of a module that were to be compiled and were not.
pub(crate) fn uncompiled(module: &Module) -> Vec<Uncompiled> {
    ModuleTiers::of(module).uncompiled()
}

/// What the tiers know of the functions that a module defines, in order.
pub(crate) fn report(module: &Module) -> Vec<FunctionTier> {
    ModuleTiers::of(module).report(module)
}

/// Hands over code that came with a module, for when its functions are compiled.
pub(crate) fn give(module: &Module, code: Given) {
    ModuleTiers::of(module).give(code);
}

/// Notes why the code that came with a module is not used.
pub(crate) fn set_unfit(module: &Module, reason: &str) {
    let _ = ModuleTiers::of(module).unfit.set(reason.to_owned());
}

/// Why the code that came with a module is not used, if it is not.
pub(crate) fn unfit(module: &Module) -> Option<&str> {
    ModuleTiers::of(module).unfit.get().map(String::as_str)
}

/// Calls a function from the host in the tier that has code for it.
///
/// # Safety
/// As for [`interpreter::invoke`].
#[inline]
pub(crate) unsafe fn invoke(exec: *mut ExecContext, func: NonNull<FuncRef>) -> Status {
    // SAFETY: the caller's promise.
    unsafe {
        let callee = func.as_ref();
        if (*exec).native.has_code() && callee.host.is_null() {
            let code = (*callee.cell).native();
            if code != unbound() {
                return match call_reference(exec, callee, code) {
                    Status::Left => interpreter::go_on_for_host(exec, callee.vmctx),
                    status => status,
                };
            }
        }
        interpreter::invoke(exec, func)
    }
}

/// Runs a function of tier 0 for compiled code.
unsafe extern "C" fn run_interpreter(
    exec: *mut ExecContext,
    vmctx: *mut VmContext,
    function: u32,
    at: u32,
) -> Status {
    // SAFETY: compiled code calls a function of its store, with its arguments in place, or leaves it.
    unsafe { interpreter::run_for_compiled(exec, vmctx, function, at) }
}

#[cfg(test)]
mod tests {
    use wasmrun_runtime::vm::Tier;

    use super::*;

    /// The functions of a module that are left to the interpreter, and why.
    fn left(config: &mut Config, wat: &str) -> Vec<(u32, String)> {
        let engine = crate::Engine::new(config.strategy(Strategy::Jit)).unwrap();
        assert_eq!(engine.no_compiled_code(), None);
        let uncompiled = crate::Module::new(&engine, wat).unwrap().uncompiled();
        uncompiled.into_iter().map(|uncompiled| (uncompiled.function, uncompiled.reason)).collect()
    }

    #[test]
    fn a_strategy_runs_code_of_its_tier() {
        for (strategy, tier) in [(Strategy::Interpreter, Tier::Interpreter), (Strategy::Jit, Tier::Compiled)]
        {
            let engine = crate::Engine::new(Config::new().strategy(strategy)).unwrap();
            let calling = r#"(module (import "" "" (func)) (func $run call 0) (start $run))"#;
            let module = crate::Module::new(&engine, calling).unwrap();
            let mut store = crate::Store::new(&engine, ());
            let look = crate::Func::wrap(&mut store, move |caller: crate::Caller<'_, ()>| {
                let exec = crate::AsContext::as_context(&caller).inner().opaque.vm.exec();
                // SAFETY: guest code waits for this function.
                let frames = unsafe { exec.waiting_frames(1) };
                assert_eq!(frames[0].tier, tier);
            });
            crate::Instance::new(&mut store, &module, &[look.into()]).unwrap();
        }
    }

    #[test]
    fn a_compiler_that_panics_leaves_the_function_to_the_interpreter() {
        let mut config = Config::new();
        config.compile_only(|function| if function == 1 { panic!("a test") } else { true });
        let [(1, reason)] = &left(&mut config, "(module (func) (func) (func))")[..] else { panic!() };
        assert!(reason.contains("panicked"), "{reason}");
    }

    #[test]
    fn a_body_that_the_compiler_would_take_gigabytes_for_is_interpreted() {
        let body = "(drop (i32.const 1))".repeat(MAX_BODY as usize / 3);
        let left = left(&mut Config::new(), &format!("(module (func) (func {body}) (func))"));
        let [(1, reason)] = &left[..] else { panic!("{left:?}") };
        assert!(reason.contains("bytes"), "{reason}");
    }
}
