//! Which tier runs a function: what an engine compiles and when, and how calls from the host find the code.
//!
//! This is one of the modules that hold the crate's `unsafe`: it goes from the host into code of each tier.
#![allow(unsafe_code)]

mod chaos;
mod compiler;
mod functions;
mod module_tiers;
mod queue;
mod refusal;
mod staying;
mod tier_up;
mod turns;

use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use wasmrun_interpreter as interpreter;
use wasmrun_jit::artifact::{EncodeError, Identity, ModuleHash, Settings};
use wasmrun_jit::calls::{attach, call_reference, unbound};
use wasmrun_jit::code::CodeSpace;
use wasmrun_runtime::Outline;
use wasmrun_runtime::module::{MemoryPlan, Module};
use wasmrun_runtime::trap::Status;
use wasmrun_runtime::vm::{ExecContext, FuncRef, MemoryStrategy, Position, VmContext, can_reserve};

use crate::cache::{Given, encode};
use crate::config::Config;
use crate::headroom::Headroom;
use crate::strategy::Strategy;
use chaos::Chaos;
use compiler::Compiler;
#[cfg(feature = "explore")]
pub(crate) use compiler::{guarded, job};
use module_tiers::ModuleTiers;
use queue::Queue;
use tier_up::Warm;

/// Executions of a function, or of as much code as it has, after which it is compiled, unless said. The compiler takes 1
/// to 2 µs for a byte, and tier 0 a nanosecond or two to execute one: after a thousand, waiting has cost as much as compiling.
/// The compiler has a core of its own, and what is asked for early need not be compiled first.
const DEFAULT_THRESHOLD: u32 = 150;

/// The compiled code of an engine, and what it takes to get it.
pub(crate) struct CompiledTier {
    compiler: Arc<Compiler>,
    policy: Policy,
}

/// When functions are compiled.
enum Policy {
    /// When their module is made.
    Ahead,
    /// When they are warm.
    Warm(Warm),
    /// At random.
    Chaos(Chaos),
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
    /// How often tier 0 has executed it, or as much code as it has: from samples, those of earlier runs included that the
    /// [cache](crate::Config::cache) knows of. Compiled code is not counted.
    pub executions: u32,
    /// Its loops that have code of their own, for frames that were in them.
    pub loops: u32,
    /// What compiling has taken, loops included; `None` if nothing was compiled.
    pub compile_time: Option<Duration>,
    /// Bytes of its machine code, loops included; `None` if nothing was compiled.
    pub code_size: Option<u32>,
    /// Why it has no compiled code, or why one of its loops has none, if the compiler was asked for it.
    pub reason: Option<String>,
}

impl CompiledTier {
    /// The tier for an engine with these settings; an error where the system allows none.
    pub(crate) fn new(config: &Config) -> Result<Option<CompiledTier>, String> {
        let chosen = config.to_be_compiled();
        let mode = config.opt_level().mode();
        let chaos_seed = match config.execution() {
            Strategy::Interpreter => return Ok(None),
            Strategy::Jit => None,
            Strategy::Tiered => config.chaos_seed(),
        };
        let mut space = CodeSpace::new(config.code_size()).map_err(|error| error.to_string())?;
        if let Some(profiler) = config.wanted_profiler() {
            space.profile_with(profiler).map_err(|error| error.to_string())?;
        }
        let leaves = chaos_seed.is_some();
        // Code that frames can leave is for nobody else, and that of others has no exits.
        let cache = config.code_cache().filter(|_| !leaves).cloned();
        let (settings, headroom) = (settings(config), Headroom::default());
        let compiler = Arc::new(Compiler { space, mode, settings, leaves, headroom, cache, chosen });
        let policy = match (config.execution(), chaos_seed) {
            (Strategy::Tiered, Some(seed)) => Policy::Chaos(Chaos::new(compiler.clone(), seed)),
            (Strategy::Tiered, None) => {
                let threshold = config.threshold().unwrap_or(DEFAULT_THRESHOLD);
                let queue = Queue::new(config.compile_threads_wanted());
                Policy::Warm(Warm::new(compiler.clone(), threshold, queue))
            }
            _ => Policy::Ahead,
        };
        Ok(Some(CompiledTier { compiler, policy }))
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
        unsafe { attach(exec, &self.compiler.space, run_interpreter) };
        match &self.policy {
            Policy::Ahead => {}
            Policy::Warm(warm) => warm.attach(exec),
            Policy::Chaos(chaos) => chaos.attach(exec),
        }
    }

    /// Looks in the cache for code of a module that has not been made yet, if there is one. If some is
    /// found, the bytes have been accepted before.
    pub(crate) fn look(&self, bytes: &[u8], outline: Outline, memories: MemoryStrategy) -> Given {
        let (Some(cache), 1..) = (&self.compiler.cache, outline.functions) else { return Given::Nothing };
        let plan = plan_for(outline.reservation, memories);
        let Compiler { space, mode, settings, .. } = &*self.compiler;
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
        let compiler = &self.compiler;
        ModuleTiers::of(module).all_compiled[plan].get_or_init(|| compiler.compile_all(module, plan));
        let hash = ModuleHash::of(module.bytes());
        let identity = Identity::new(compiler.space.isa(), compiler.settings, hash, compiler.mode, plan);
        encode(&compiler.space, module, identity, &[], &[], module.bytes())
    }

    /// Compiles all functions of a module for instances as `plan` says, unless that has been done, if that is the
    /// strategy.
    pub(crate) fn compile_all(&self, module: &Arc<Module>, plan: MemoryPlan) {
        // Such as those that the host's own memories, tables and globals are: there is nothing to look for.
        if module.function_count() == module.imported_function_count() {
            return;
        }
        let (tiers, compiler) = (ModuleTiers::of(module), &self.compiler);
        let mut is_new = false;
        tiers.stored[plan].get_or_init(|| {
            is_new = true;
            compiler.load_stored(module, plan)
        });
        match &self.policy {
            Policy::Warm(warm) if is_new => warm.go_on_from_earlier_runs(module, plan),
            Policy::Warm(_) | Policy::Chaos(_) => {}
            Policy::Ahead => {
                tiers.all_compiled[plan].get_or_init(|| compiler.compile_all(module, plan));
                compiler.save(module, plan);
            }
        }
    }

    /// Bytes of code memory that are in use.
    pub(crate) fn code_size(&self) -> usize {
        self.compiler.space.arena().usage().used
    }

    /// Writes the code of a module to the cache, if there is one and there is more code than was written.
    pub(crate) fn save(&self, module: &Arc<Module>) {
        for plan in MemoryPlan::ALL {
            if let (Policy::Warm(warm), Some(_)) = (&self.policy, &self.compiler.cache) {
                warm.note_work(module, plan);
            }
            self.compiler.save(module, plan);
        }
    }

    /// What the compiled code at an address was executing, and the calls that it is inlined at, outwards.
    ///
    /// # Safety
    /// The code is that of a frame of guest code, running or just stopped.
    pub(crate) unsafe fn positions(&self, pc: usize) -> Vec<Position> {
        // SAFETY: the caller's promise.
        unsafe { self.compiler.space.positions(pc) }
    }
}

/// What the compiled code of an engine depends on.
pub(crate) fn settings(config: &Config) -> Settings {
    Settings {
        features: config.features(),
        charges_fuel: config.fuel(),
        interruptible: config.is_interruptible(),
        inlining: config.inlines(),
        relaxed: config.relaxed(),
    }
}

/// The plan for the memories of the instances that are to be expected of a module.
pub(crate) fn expected_plan(module: &Module, memories: MemoryStrategy) -> MemoryPlan {
    plan_for(module.reservation(), memories)
}

fn plan_for(reservation: usize, memories: MemoryStrategy) -> MemoryPlan {
    let unguarded = || memories == MemoryStrategy::Checked || !can_reserve(reservation);
    if reservation > 0 && unguarded() { MemoryPlan::Checked } else { MemoryPlan::Guarded }
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

    use super::compiler::MAX_BODY;
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
