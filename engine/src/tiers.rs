//! Which tier runs a function: what an engine compiles and when, and how calls from the host find the code.
//!
//! This is one of the modules that hold the crate's `unsafe`: it publishes compiled code where callers find it.
#![allow(unsafe_code)]

use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use wasmrun_interpreter as interpreter;
use wasmrun_jit::arena::Arena;
use wasmrun_jit::artifact::{Artifact, EncodeError, Identity, ModuleHash};
use wasmrun_jit::calls::{attach, call_compiled, unbound};
use wasmrun_jit::code::{CodeSpace, InstallError};
use wasmrun_jit::compile::Mode;
use wasmrun_runtime::module::{MemoryPlan, Module};
use wasmrun_runtime::parallel::on_all_cores;
use wasmrun_runtime::trap::Status;
use wasmrun_runtime::vm::{ExecContext, FuncRef, MemoryStrategy, Position, VmContext};

use crate::cache::{Cache, Keep, Stored, encode};
use crate::config::Config;

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
    #[default]
    Interpreter,
    /// All functions of a module are compiled when it is made. Those that cannot be compiled, and all of them
    /// where the system allows no compiled code (see
    /// [`Engine::no_compiled_code`](crate::Engine::no_compiled_code)), run in tier 0.
    Jit,
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

/// Bytes of the largest body that is compiled to fast code, and of the largest that is compiled at all; larger ones are
/// compiled quickly, and not. The compiler takes up to two kilobytes of memory for a byte of a body, and half of that
/// for quick code; it works on one function for each core.
const MAX_FAST_BODY: u32 = 256 << 10;
const MAX_BODY: u32 = 1 << 20;

/// Bytes of bodies from which on they are compiled on all cores: compiling takes some 2 µs a byte, and starting a
/// thread fifty.
const PARALLEL_THRESHOLD: u64 = 4 << 10;

/// The compiled code of an engine.
pub(crate) struct CompiledTier {
    space: CodeSpace,
    mode: Mode,
    /// Where code is kept for later runs.
    cache: Option<Cache>,
    /// Whether the function with this index shall be compiled.
    chosen: fn(u32) -> bool,
}

/// What came of compiling the functions of a module.
#[derive(Debug, Default)]
struct Outcomes {
    plans: [OnceLock<Vec<Uncompiled>>; 2],
    /// Code that came with the module and has not been asked for yet.
    given: Mutex<Option<Artifact>>,
    /// Why that code is not used, if it is not.
    unfit: OnceLock<String>,
}

/// A function that runs in tier 0 for want of compiled code.
#[derive(Clone, Debug)]
pub struct Uncompiled {
    /// Its index in the module.
    pub function: u32,
    /// Why it was not compiled.
    pub reason: String,
}

/// Why a function has not been compiled.
struct Refusal {
    reason: String,
    /// Whether another attempt would end in the same way.
    lasting: bool,
}

impl CompiledTier {
    /// The tier for an engine with these settings; an error where the system allows none.
    pub(crate) fn new(config: &Config) -> Result<Option<CompiledTier>, String> {
        let chosen = config.to_be_compiled();
        let mode = match config.opt_level() {
            OptLevel::None => Mode::Quick,
            OptLevel::Speed => Mode::Speed,
        };
        match config.execution() {
            Strategy::Interpreter => Ok(None),
            Strategy::Jit => match CodeSpace::new(Arena::DEFAULT_BYTES) {
                Ok(space) => {
                    Ok(Some(CompiledTier { space, mode, cache: config.code_cache().cloned(), chosen }))
                }
                Err(error) => Err(error.to_string()),
            },
        }
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
        unsafe { attach(exec, &self.space, run_interpreter) };
    }

    /// Compiles all functions of a module for the instances that are to be expected.
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
        self.compile_all(module, plan);
        let identity =
            Identity::new(self.space.isa(), module, ModuleHash::of(module.bytes()), self.mode, plan);
        encode(&self.space, module, identity, &[], module.bytes())
    }

    /// Compiles all functions of a module for instances as `plan` says, unless that has been done.
    pub(crate) fn compile_all(&self, module: &Arc<Module>, plan: MemoryPlan) {
        let outcomes = outcomes(module);
        outcomes.plans[plan as usize].get_or_init(|| self.compile_functions(module, plan));
    }

    /// On all cores; the calling thread takes its share. What there is code of on disk is not compiled.
    fn compile_functions(&self, module: &Arc<Module>, plan: MemoryPlan) -> Vec<Uncompiled> {
        let stored = self.load_stored(module, plan);
        let functions = module.imported_function_count()..module.function_count();
        let next = AtomicU32::new(functions.start);
        let fresh = AtomicBool::new(false);
        let work = || -> Vec<(u32, Refusal)> {
            iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed))
                .take_while(|function| *function < functions.end)
                .filter(|function| !stored.has(*function))
                .filter_map(|function| {
                    if let Some(reason) = stored.refused(function) {
                        return Some((function, Refusal { reason: reason.to_owned(), lasting: true }));
                    }
                    let compiled = guarded(|| self.compile_function(module, function, plan));
                    let news = compiled.as_ref().map_or_else(|refusal| refusal.lasting, |compiled| *compiled);
                    fresh.fetch_or(news, Ordering::Relaxed);
                    Some((function, compiled.err()?))
                })
                .collect()
        };
        let missing = functions.clone().filter(|function| !stored.has(*function));
        let bytes: u64 = missing.filter_map(|f| module.body(f)).map(|body| u64::from(body.len)).sum();
        let mut refused: Vec<_> =
            on_all_cores(bytes >= PARALLEL_THRESHOLD, work).into_iter().flatten().collect();
        refused.sort_by_key(|(function, _)| *function);
        if fresh.into_inner() {
            let lasting = refused.iter().filter(|(_, refusal)| refusal.lasting);
            let lasting: Vec<_> = lasting.map(|(function, refusal)| (*function, &*refusal.reason)).collect();
            stored.save(&self.space, module, &lasting);
        }
        let left = refused.into_iter();
        left.map(|(function, Refusal { reason, .. })| Uncompiled { function, reason }).collect()
    }

    /// Installs the code of a module that there is already.
    fn load_stored(&self, module: &Arc<Module>, plan: MemoryPlan) -> Stored {
        let outcomes = outcomes(module);
        let given = outcomes.given.lock().unwrap_or_else(PoisonError::into_inner).take();
        let made_for = (self.mode, plan);
        let stored = Stored::load(
            self.cache.clone(),
            given,
            &self.space,
            module,
            made_for,
            |function, entry, keep| {
                if (self.chosen)(function) {
                    // SAFETY: what there is code of was compiled as this module's function for this plan, says its identity.
                    unsafe { publish(module, plan, function, entry, keep) };
                }
            },
        );
        if let Some(reason) = stored.unfit() {
            set_unfit(module, reason);
        }
        stored
    }

    /// Compiles a function, unless it is not to be.
    fn compile_function(
        &self,
        module: &Arc<Module>,
        function: u32,
        plan: MemoryPlan,
    ) -> Result<bool, Refusal> {
        if !(self.chosen)(function) {
            return Ok(false);
        }
        let len = module.body(function).map_or(0, |body| body.len);
        if len > MAX_BODY {
            let reason = format!("its body has {len} bytes; the compiler takes up to {MAX_BODY}");
            return Err(Refusal { reason, lasting: true });
        }
        let mode = if len > MAX_FAST_BODY { Mode::Quick } else { self.mode };
        let installed = self.space.compile(module, function, mode, plan).map_err(|error| {
            let lasting = matches!(error, InstallError::Compile(_));
            Refusal { reason: error.to_string(), lasting }
        })?;
        // SAFETY: this is the function's code, compiled for this plan.
        unsafe { publish(module, plan, function, installed.entry(), Box::new(installed)) };
        Ok(true)
    }

    /// What the compiled code at an address was executing.
    ///
    /// # Safety
    /// The code is that of a frame of guest code, running or just stopped.
    pub(crate) unsafe fn position(&self, pc: usize) -> Option<Position> {
        // SAFETY: the caller's promise.
        unsafe { self.space.position(pc) }
    }
}

/// What instances of a module are expected to be like.
fn expected_plan(module: &Module, memories: MemoryStrategy) -> MemoryPlan {
    let unguarded = memories == MemoryStrategy::Checked && module.memory_count() > 0;
    if unguarded { MemoryPlan::Checked } else { MemoryPlan::Guarded }
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
}

/// Compiles something. The compiler is a large program that hostile functions are given to: should it ever panic,
/// then that function runs in tier 0, and nothing else happens.
fn guarded<T>(compile: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(compile)).unwrap_or_else(|_| {
        let reason = "the compiler panicked: please report this module".to_owned();
        Err(Refusal { reason, lasting: true })
    })
}

/// The functions of a module that were to be compiled and were not.
pub(crate) fn uncompiled(module: &Module) -> Vec<Uncompiled> {
    let plans = outcomes(module).plans.iter().filter_map(OnceLock::get);
    let mut all: Vec<Uncompiled> = plans.flatten().cloned().collect();
    all.sort_by_key(|uncompiled| uncompiled.function);
    all.dedup_by_key(|uncompiled| uncompiled.function);
    all
}

/// Hands over code that came with a module, for when its functions are compiled.
pub(crate) fn give(module: &Module, code: Artifact) {
    *outcomes(module).given.lock().unwrap_or_else(PoisonError::into_inner) = Some(code);
}

/// Notes why the code that came with a module is not used.
pub(crate) fn set_unfit(module: &Module, reason: &str) {
    let _ = outcomes(module).unfit.set(reason.to_owned());
}

/// Why the code that came with a module is not used, if it is not.
pub(crate) fn unfit(module: &Module) -> Option<&str> {
    outcomes(module).unfit.get().map(String::as_str)
}

fn outcomes(module: &Module) -> &Outcomes {
    let outcomes = module.tiers().get_or_init(|| Box::new(Outcomes::default()));
    outcomes.downcast_ref().expect("nobody else puts something there")
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
                return call_compiled(exec, callee.vmctx, callee.func_index);
            }
        }
        interpreter::invoke(exec, func)
    }
}

/// Runs a function of tier 0 for compiled code.
unsafe extern "C" fn run_interpreter(exec: *mut ExecContext, vmctx: *mut VmContext, function: u32) -> Status {
    // SAFETY: compiled code calls a function of its store, with its arguments in place.
    unsafe { interpreter::run_for_compiled(exec, vmctx, function) }
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
