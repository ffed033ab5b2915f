//! How warm the functions of a module are, and what has been asked of the compiler for them.
//!
//! Tier 0 counts entries and back edges per thread and reports where each hundredth or so of them happened: a
//! function that runs often is reported often. Heat is counted in executions of the whole body, as compiling costs
//! time in proportion to the body: so one threshold serves functions of all sizes.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use wasmrun_runtime::module::{MemoryPlan, Module};

use super::Uncompiled;
use super::chaos::Known;

/// What is known of a module's functions.
#[derive(Debug, Default)]
pub(super) struct ModuleTiers {
    /// Of the functions that the module defines, from the first report on.
    functions: OnceLock<Box<[Function]>>,
    loops: Mutex<HashMap<Loop, LoopState>>,
    uncompiled: Mutex<Vec<Uncompiled>>,
    /// What chaos has compiled.
    pub(super) known: Known,
    /// For each plan, once all functions have been compiled ahead.
    pub(super) ahead: [OnceLock<()>; 2],
}

#[derive(Debug, Default)]
struct Function {
    heat: AtomicU32,
    /// Whether the compiler has been asked for its code, a bit for each plan.
    asked: AtomicU8,
}

/// A loop, in instances of one plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Loop {
    pub(super) plan: MemoryPlan,
    pub(super) function: u32,
    /// Offset in the module of its operator.
    pub(super) at: u32,
}

/// How far a loop is from having code of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LoopState {
    /// The loops around it are being watched.
    Watched,
    /// Code has been asked for, for it or one of those.
    Asked,
}

impl ModuleTiers {
    /// What is known of the functions of `module`.
    pub(super) fn of(module: &Module) -> &ModuleTiers {
        let tiers = module.tiers().get_or_init(|| Box::new(ModuleTiers::default()));
        tiers.downcast_ref().expect("nobody else puts something there")
    }

    fn function(&self, module: &Module, function: u32) -> &Function {
        let imported = module.imported_function_count();
        let count = module.function_count() - imported;
        let functions = self.functions.get_or_init(|| (0..count).map(|_| Function::default()).collect());
        &functions[(function - imported) as usize]
    }

    /// Adds executions of a function. Returns how many there have been.
    pub(super) fn heat(&self, module: &Module, function: u32, executions: u32) -> u32 {
        let heat = &self.function(module, function).heat;
        // Threads may lose each other's counts, and none is exact.
        let now = heat.load(Ordering::Relaxed).saturating_add(executions);
        heat.store(now, Ordering::Relaxed);
        now
    }

    /// Notes that the compiler is asked for the code of a function. Whether that is for the first time.
    pub(super) fn ask(&self, module: &Module, plan: MemoryPlan, function: u32) -> bool {
        let bit = 1 << plan as u8;
        let asked = &self.function(module, function).asked;
        asked.load(Ordering::Relaxed) & bit == 0 && asked.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    /// Takes a loop that guest code stays in one step further. Returns where it stood.
    pub(super) fn advance(&self, of: Loop) -> Option<LoopState> {
        let mut loops = lock(&self.loops);
        let before = loops.get(&of).copied();
        loops.insert(of, if before.is_none() { LoopState::Watched } else { LoopState::Asked });
        before
    }

    /// Notes that code for a loop is asked for. Whether that is for the first time.
    pub(super) fn ask_loop(&self, of: Loop) -> bool {
        lock(&self.loops).insert(of, LoopState::Asked) != Some(LoopState::Asked)
    }

    /// Notes that a function runs in tier 0 for good.
    pub(super) fn leave(&self, function: u32, reason: String) {
        let mut uncompiled = lock(&self.uncompiled);
        if let Err(place) = uncompiled.binary_search_by_key(&function, |other| other.function) {
            uncompiled.insert(place, Uncompiled { function, reason });
        }
    }

    /// The functions that run in tier 0 for good, by index.
    pub(super) fn uncompiled(&self) -> Vec<Uncompiled> {
        lock(&self.uncompiled).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
