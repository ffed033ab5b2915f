//! What the tiers know of a module: its functions and loops, the code that there was of it, and what is still to be stored.

use std::collections::BTreeMap;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};

use wasmrun_runtime::module::{MemoryPlan, Module};

use super::chaos::Known;
use super::compiler::Refusal;
use super::functions::Functions;
use super::staying::StayingLoops;
use super::{FunctionTier, Uncompiled};
use crate::cache::{Given, Stored};
use crate::lock::lock;

/// What the tiers know of a module.
#[derive(Default)]
pub(super) struct ModuleTiers {
    pub(super) functions: Functions,
    pub(super) loops: StayingLoops,
    /// Why functions have no compiled code, by index.
    left: Mutex<BTreeMap<u32, Refusal>>,
    /// What chaos has compiled.
    pub(super) known: Known,
    /// For each plan, once all functions have been compiled.
    pub(super) all_compiled: [OnceLock<()>; 2],
    /// For each plan, the code that there was at the start, once somebody has looked.
    pub(super) stored: [OnceLock<Stored>; 2],
    /// For each plan, whether there is more to be stored.
    news: [AtomicBool; 2],
    /// Code that came with the module and has not been asked for yet.
    given: Mutex<Given>,
    /// Why that code is not used, if it is not.
    pub(super) unfit: OnceLock<String>,
}

impl ModuleTiers {
    /// What is known of `module`.
    pub(super) fn of(module: &Module) -> &ModuleTiers {
        let tiers = module.tiers().get_or_init(|| Box::new(ModuleTiers::default()));
        tiers.downcast_ref().expect("nobody else puts something there")
    }

    /// What is known of each function that the module defines, in order.
    pub(super) fn report(&self, module: &Module) -> Vec<FunctionTier> {
        let left = lock(&self.left);
        let stored =
            |function| self.stored.iter().any(|stored| stored.get().is_some_and(|s| s.has(function)));
        let complete = |tier: FunctionTier| FunctionTier {
            from_cache: stored(tier.function),
            reason: left.get(&tier.function).map(|refusal| refusal.reason.clone()),
            ..tier
        };
        self.functions.report(module).map(complete).collect()
    }

    /// What functions have done that have no code and could have some.
    pub(super) fn work_to_keep(&self, module: &Module, plan: MemoryPlan) -> Vec<(u32, u64)> {
        let mut work = self.functions.done_without_code(module, plan);
        let left = lock(&self.left);
        work.retain(|(function, _)| left.get(function).is_none_or(|refusal| !refusal.lasting));
        work
    }

    /// Whether a function has code that was there at the start, or cannot have any, as was known then.
    pub(super) fn has(&self, plan: MemoryPlan, function: u32) -> bool {
        let stored = self.stored[plan as usize].get();
        stored.is_some_and(|stored| stored.has(function) || stored.refused(function).is_some())
    }

    /// What functions without code have done in earlier runs, as far as that was kept.
    pub(super) fn earlier_work(&self, plan: MemoryPlan) -> &[(u32, u64)] {
        self.stored[plan as usize].get().and_then(Stored::earlier_work).unwrap_or_default()
    }

    /// Whether code of the module was in the cache: it has been run before.
    pub(super) fn has_been_run(&self, plan: MemoryPlan) -> bool {
        self.stored[plan as usize].get().is_some_and(|stored| stored.earlier_work().is_some())
    }

    /// Notes that there is more to be stored.
    pub(super) fn has_news(&self, plan: MemoryPlan) {
        self.news[plan as usize].store(true, Ordering::Release);
    }

    /// Whether there is more to be stored. The answer is given once.
    pub(super) fn take_news(&self, plan: MemoryPlan) -> bool {
        self.news[plan as usize].swap(false, Ordering::Acquire)
    }

    /// Takes code that came with the module.
    pub(super) fn give(&self, code: Given) {
        *lock(&self.given) = code;
    }

    /// The code that came with the module, the first time.
    pub(super) fn take_given(&self) -> Given {
        mem::take(&mut lock(&self.given))
    }

    /// Notes that a function runs in tier 0 for good. The first reason counts.
    pub(super) fn leave(&self, function: u32, refusal: Refusal) {
        lock(&self.left).entry(function).or_insert(refusal);
    }

    /// The functions that run in tier 0 for good, by index.
    pub(super) fn uncompiled(&self) -> Vec<Uncompiled> {
        let left = lock(&self.left);
        left.iter()
            .map(|(function, refusal)| Uncompiled { function: *function, reason: refusal.reason.clone() })
            .collect()
    }

    /// Those of them that would be refused again, with the reasons.
    pub(super) fn lasting(&self) -> Vec<(u32, String)> {
        let left = lock(&self.left);
        let lasting = left.iter().filter(|(_, refusal)| refusal.lasting);
        lasting.map(|(function, refusal)| (*function, refusal.reason.clone())).collect()
    }
}
