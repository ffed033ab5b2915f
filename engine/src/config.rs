//! What an engine is told once, before it exists.

use wasmrun_jit::arena::Arena;
use wasmrun_jit::profiler::Profiler;
use wasmrun_runtime::Relaxed;
use wasmrun_runtime::features::{Features, PROPOSALS, proposal};
use wasmrun_runtime::vm::StackSizes;
use wasmrun_runtime::vm::gc::Collector;

pub use wasmrun_runtime::vm::MemoryStrategy;

use crate::cache::Cache;
use crate::error::{Context as _, Error, Result};
use crate::strategy::{OptLevel, Strategy};

/// The settings of an [`Engine`](crate::Engine).
///
/// Every setting has an effect; one that cannot be honoured is an error of
/// [`Engine::new`](crate::Engine::new). The one exception is a [strategy](Config::strategy) that compiles, on a system
/// that allows no compiled code: the guest is interpreted then, and
/// [`Engine::no_compiled_code`](crate::Engine::no_compiled_code) says why.
///
/// ```
/// use wasmrun::{Config, Engine};
///
/// let mut config = Config::new();
/// config.consume_fuel(true).max_wasm_stack(1 << 20).wasm_tail_call(false);
/// let engine = Engine::new(&config)?;
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    features: Features,
    max_wasm_stack: usize,
    consume_fuel: bool,
    relaxed: Relaxed,
    memory_strategy: MemoryStrategy,
    max_backtrace_frames: usize,
    execution: Strategy,
    opt_level: OptLevel,
    inlining: bool,
    interruptible: bool,
    profiler: Option<Profiler>,
    compile_only: fn(u32) -> bool,
    tier_up_threshold: Option<u32>,
    compile_threads: Option<usize>,
    max_code_size: usize,
    chaos: Option<u64>,
    collector: Collector,
    gc_stress: bool,
    cache: Option<Cache>,
}

/// Smallest value stack: room for the arguments of any function that the host calls.
const MIN_WASM_STACK: usize = 64 << 10;

/// Largest value stack: it is reserved address space, and each store has one.
const MAX_WASM_STACK: usize = 1 << 30;

impl Config {
    /// The default settings: all proposals that the engine executes, 8 MiB of guest stack, no fuel.
    pub fn new() -> Config {
        Config {
            features: Features::executed(),
            max_wasm_stack: StackSizes::default().values,
            consume_fuel: false,
            relaxed: Relaxed::fastest(),
            memory_strategy: MemoryStrategy::default(),
            max_backtrace_frames: 20,
            execution: Strategy::default(),
            opt_level: OptLevel::default(),
            inlining: true,
            interruptible: true,
            profiler: None,
            compile_only: |_| true,
            tier_up_threshold: None,
            compile_threads: None,
            max_code_size: Arena::DEFAULT_BYTES,
            chaos: None,
            collector: Collector::default(),
            gc_stress: false,
            cache: None,
        }
    }

    /// Switches a proposal of WebAssembly on or off, by the name that messages and the command line use.
    ///
    /// # Errors
    /// There is no such proposal.
    ///
    /// ```
    /// let mut config = wasmrun::Config::new();
    /// config.wasm_feature("multi-memory", false)?;
    /// assert!(config.wasm_feature("flying-memory", true).is_err());
    /// # Ok::<(), wasmrun::Error>(())
    /// ```
    pub fn wasm_feature(&mut self, name: &str, on: bool) -> Result<&mut Config> {
        let Some(proposal) = proposal(name) else {
            let known: Vec<_> = PROPOSALS.iter().map(|p| p.name).collect();
            return Err(Error::msg(format!(
                "there is no proposal called `{name}`; the engine knows {}",
                known.join(", ")
            )));
        };
        self.features = self.features.with(proposal, on);
        Ok(self)
    }

    /// Bytes of stack that guest code has for its locals and operands. A guest that needs more traps with
    /// [`Trap::StackOverflow`](crate::Trap). Each [`Store`](crate::Store) reserves this much address space;
    /// memory is taken as it is touched.
    ///
    /// Compiled code uses the stack of the host's thread, as much of it as is said here and no more than the
    /// thread has; a part is left to functions of the host.
    ///
    /// A host may call from a stack that it has made itself, a coroutine's, and nobody can tell where that ends: compiled code
    /// uses 512 KiB of it below the call, or less if less is said here, and functions of the host come on top. A function of the
    /// host that guest code calls has to call back from the stack on which it was called.
    pub fn max_wasm_stack(&mut self, bytes: usize) -> &mut Config {
        self.max_wasm_stack = bytes;
        self
    }

    /// Whether guest code pays for what it executes with the fuel of its store, and traps with
    /// [`Trap::OutOfFuel`](crate::Trap) when it has none left. A new store has none: see
    /// [`Store::set_fuel`](crate::Store::set_fuel).
    pub fn consume_fuel(&mut self, on: bool) -> &mut Config {
        self.consume_fuel = on;
        self
    }

    /// Whether the instructions of the proposal `relaxed-simd` do the same on every machine. Otherwise, which is the default,
    /// they do what this machine does fastest where the proposal leaves a choice: in every tier the same.
    pub fn relaxed_simd_deterministic(&mut self, enable: bool) -> &mut Config {
        self.relaxed = if enable { Relaxed::Deterministic } else { Relaxed::fastest() };
        self
    }

    /// How guest code is run.
    pub fn strategy(&mut self, strategy: Strategy) -> &mut Config {
        self.execution = strategy;
        self
    }

    /// How much time the compiler takes for its code, where there is one.
    pub fn cranelift_opt_level(&mut self, level: OptLevel) -> &mut Config {
        self.opt_level = level;
        self
    }

    /// Whether a guest can be stopped in any loop: by a [timeout](crate::Store::set_timeout), by an epoch or by an
    /// [`InterruptHandle`](crate::InterruptHandle). If not, compiled code looks for requests where it enters a function
    /// that is not short, and nowhere else: a loop that calls no such function runs on, whatever was asked for. Calls of a store
    /// with a deadline, a timeout or an epoch deadline are therefore refused, unless there is no compiled code.
    /// Programs of short loops are some per cent faster.
    pub fn interruptible(&mut self, enable: bool) -> &mut Config {
        self.interruptible = enable;
        self
    }

    /// Whether short functions are compiled in place of calls of them, where code is optimised. Nobody can tell, not
    /// even by backtraces and fuel.
    pub fn compiler_inlining(&mut self, enable: bool) -> &mut Config {
        self.inlining = enable;
        self
    }

    /// Tells a profiler of the system the names of compiled functions: [`Engine::new`](crate::Engine::new) makes the file.
    pub fn profiler(&mut self, profiler: Profiler) -> &mut Config {
        self.profiler = Some(profiler);
        self
    }

    /// How often a function, or as much code as it has, is executed in the interpreter before it is compiled, with
    /// [`Strategy::Tiered`]. With 1, whatever is entered or turns is compiled.
    pub fn tier_up_threshold(&mut self, executions: u32) -> &mut Config {
        self.tier_up_threshold = Some(executions);
        self
    }

    /// The most threads that compile in the background with [`Strategy::Tiered`]: as many as there are cores
    /// besides the one that the guest runs on, if not said. With 0 the guest waits for what is compiled, which
    /// makes each run like the one before.
    pub fn compile_threads(&mut self, threads: usize) -> &mut Config {
        self.compile_threads = Some(threads);
        self
    }

    /// Lets functions and loops change their tier at random with [`Strategy::Tiered`], at every entry and every turn of a
    /// loop, instead of when it is worth while: a way to test that nobody can tell. The same seed makes the same changes.
    pub fn chaos(&mut self, seed: u64) -> &mut Config {
        self.chaos = Some(seed);
        self
    }

    /// What becomes of objects that nothing leads to any more.
    ///
    /// ```
    /// use wasmrun::{Collector, Config, Engine, ExternRef, Store};
    ///
    /// let engine = Engine::new(Config::new().collector(Collector::Null))?;
    /// let mut store = Store::new(&engine, ());
    /// ExternRef::new(&mut store, 1)?;
    /// store.gc();
    /// assert_eq!(store.gc_stats().unwrap().collections(), 0);
    /// # Ok::<(), wasmrun::Error>(())
    /// ```
    pub fn collector(&mut self, collector: Collector) -> &mut Config {
        self.collector = collector;
        self
    }

    /// Collects whenever an object is made, young objects or all of them, and leaves nothing usable where objects have been: a way to
    /// test that all references are found, and that all stores of references are known. It makes guests with many objects very
    /// slow.
    pub fn gc_stress(&mut self, stress: bool) -> &mut Config {
        self.gc_stress = stress;
        self
    }

    /// Bytes of compiled code, of all modules together, beyond which functions stay in the interpreter. This much
    /// address space is reserved, or as much as the system allows, down to a mebibyte.
    pub fn max_code_size(&mut self, bytes: usize) -> &mut Config {
        self.max_code_size = bytes;
        self
    }

    /// Keeps compiled code on disk, so that a module is compiled once and not at each start. Without a compiling
    /// [strategy](Config::strategy) nothing is read or written. See [`Cache`] for an example.
    ///
    /// With [`Strategy::Tiered`] the code that has been compiled is written when [`Module::store_code`](crate::Module::store_code)
    /// is called. Of a module that has code there, functions are compiled sooner than the
    /// [threshold](Config::tier_up_threshold) says: after a few runs, most of what these runs execute is compiled.
    ///
    /// What is wrong with the files there costs time and nothing else; see [`Cache::problems`].
    pub fn cache(&mut self, cache: Option<Cache>) -> &mut Config {
        self.cache = cache;
        self
    }

    /// Leaves functions whose index does not satisfy a condition in the interpreter, whatever the strategy: a way
    /// to test calls between the tiers. Code from a [cache](Config::cache) that was made without the condition may have them in
    /// place of calls.
    ///
    /// ```
    /// use wasmrun::{Config, Strategy};
    ///
    /// let mut config = Config::new();
    /// config.strategy(Strategy::Jit).compile_only(|function| function % 2 == 0);
    /// ```
    pub fn compile_only(&mut self, condition: fn(u32) -> bool) -> &mut Config {
        self.compile_only = condition;
        self
    }

    /// How linear memories are laid out in the address space.
    pub fn memory_strategy(&mut self, strategy: MemoryStrategy) -> &mut Config {
        self.memory_strategy = strategy;
        self
    }

    /// The most frames that a backtrace holds, from the innermost on. With 0 none are taken at all.
    pub fn max_backtrace_frames(&mut self, frames: usize) -> &mut Config {
        self.max_backtrace_frames = frames;
        self
    }

    /// What is wrong with the settings.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(proposal) = PROPOSALS.iter().find(|p| self.features.contains(p) && !p.executed) {
            return Err(Error::msg(format!(
                "the proposal `{}` is switched on, but this engine does not execute it yet",
                proposal.name
            )));
        }
        if !(MIN_WASM_STACK..=MAX_WASM_STACK).contains(&self.max_wasm_stack) {
            return Err(Error::msg(format!(
                "a guest stack of {} bytes was asked for; it can have {MIN_WASM_STACK} to {MAX_WASM_STACK}",
                self.max_wasm_stack
            )));
        }
        if let Some(profiler) = self.profiler {
            profiler.open().context("nothing can be told to a profiler")?;
        }
        Ok(())
    }

    pub(crate) fn features(&self) -> Features {
        self.features
    }

    pub(crate) fn fuel(&self) -> bool {
        self.consume_fuel
    }

    pub(crate) fn relaxed(&self) -> Relaxed {
        self.relaxed
    }

    pub(crate) fn execution(&self) -> Strategy {
        self.execution
    }

    pub(crate) fn opt_level(&self) -> OptLevel {
        self.opt_level
    }

    pub(crate) fn to_be_compiled(&self) -> fn(u32) -> bool {
        self.compile_only
    }

    pub(crate) fn wanted_profiler(&self) -> Option<Profiler> {
        self.profiler
    }

    /// Whether guests [can be stopped](Config::interruptible) in any loop.
    pub fn is_interruptible(&self) -> bool {
        self.interruptible
    }

    pub(crate) fn inlines(&self) -> bool {
        self.inlining
    }

    pub(crate) fn threshold(&self) -> Option<u32> {
        self.tier_up_threshold
    }

    pub(crate) fn compile_threads_wanted(&self) -> Option<usize> {
        self.compile_threads
    }

    pub(crate) fn chaos_seed(&self) -> Option<u64> {
        self.chaos
    }

    pub(crate) fn chosen_collector(&self) -> Collector {
        self.collector
    }

    pub(crate) fn stresses_gc(&self) -> bool {
        self.gc_stress
    }

    pub(crate) fn code_size(&self) -> usize {
        self.max_code_size
    }

    /// The cache that was set.
    pub fn code_cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }

    pub(crate) fn memories(&self) -> MemoryStrategy {
        self.memory_strategy
    }

    pub(crate) fn backtrace_frames(&self) -> usize {
        self.max_backtrace_frames
    }

    pub(crate) fn stack_sizes(&self) -> StackSizes {
        // References are half as wide as values and rarer.
        StackSizes {
            values: self.max_wasm_stack,
            references: self.max_wasm_stack / 8,
            native: self.max_wasm_stack,
        }
    }
}

impl Default for Config {
    fn default() -> Config {
        Config::new()
    }
}

/// Makes the method of each proposal. A test holds the list against [`PROPOSALS`].
macro_rules! proposal_methods {
    ($($method:ident $name:literal)*) => {
        /// Proposals, by the names that users of other engines know.
        impl Config {
            $(
                #[doc = concat!("Switches the proposal `", $name, "` on or off.")]
                pub fn $method(&mut self, on: bool) -> &mut Config {
                    let proposal = proposal($name).expect("the table of proposals has this name");
                    self.features = self.features.with(proposal, on);
                    self
                }
            )*
        }

        #[cfg(test)]
        const METHODS: &[(&str, fn(&mut Config, bool) -> &mut Config)] = &[$(($name, Config::$method)),*];
    };
}

proposal_methods! {
    wasm_mutable_global "mutable-global"
    wasm_saturating_float_to_int "saturating-float-to-int"
    wasm_sign_extension "sign-extension"
    wasm_multi_value "multi-value"
    wasm_bulk_memory "bulk-memory"
    wasm_reference_types "reference-types"
    wasm_extended_const "extended-const"
    wasm_tail_call "tail-call"
    wasm_multi_memory "multi-memory"
    wasm_simd "simd"
    wasm_relaxed_simd "relaxed-simd"
    wasm_threads "threads"
    wasm_exceptions "exceptions"
    wasm_legacy_exceptions "legacy-exceptions"
    wasm_function_references "function-references"
    wasm_gc "gc"
    wasm_memory64 "memory64"
    wasm_custom_page_sizes "custom-page-sizes"
    wasm_wide_arithmetic "wide-arithmetic"
    wasm_stack_switching "stack-switching"
    wasm_shared_everything_threads "shared-everything-threads"
    wasm_memory_control "memory-control"
    wasm_custom_descriptors "custom-descriptors"
    wasm_acquire_release_atomics "acquire-release-atomics"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_proposal_has_a_method_that_switches_it() {
        let names: Vec<_> = METHODS.iter().map(|(name, _)| *name).collect();
        let known: Vec<_> = PROPOSALS.iter().map(|p| p.name).collect();
        assert_eq!(names, known);
        for (proposal, (_, method)) in PROPOSALS.iter().zip(METHODS) {
            let mut config = Config::new();
            method(&mut config, true);
            assert!(config.features().contains(proposal), "{}", proposal.name);
            assert_eq!(config.check().is_ok(), proposal.executed, "{}", proposal.name);
            method(&mut config, false);
            assert!(!config.features().contains(proposal), "{}", proposal.name);
        }
    }

    #[test]
    fn impossible_stacks_are_refused() {
        assert!(Config::new().max_wasm_stack(0).check().is_err());
        assert!(Config::new().max_wasm_stack(usize::MAX).check().is_err());
        assert!(Config::new().max_wasm_stack(1 << 20).check().is_ok());
    }
}
