//! What the tiers know of a module: its functions and loops, the code that there was of it, and what is still to be stored.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};

use wasmrun_jit::code::CodeSpace;
use wasmrun_runtime::module::{MemoryPlan, Module, PerPlan};

use super::chaos::Known;
use super::functions::Functions;
use super::refusal::Refusal;
use super::staying::StayingLoops;
use super::turns::Turns;
use super::{FunctionTier, Uncompiled};
use crate::cache::{Given, Stored};
use crate::lock::lock;

/// What the tiers know of a module.
#[derive(Default)]
pub(super) struct ModuleTiers {
    pub(super) functions: Functions,
    pub(super) loops: StayingLoops,
    pub(super) turns: Turns,
    /// Whether there is room for the module's calls in code memory, whatever else goes there.
    has_room: AtomicBool,
    no_room: Mutex<NoRoom>,
    left: Mutex<Left>,
    /// What chaos has compiled.
    pub(super) known: Known,
    /// For each plan, once all functions have been compiled.
    pub(super) all_compiled: PerPlan<OnceLock<()>>,
    /// For each plan, the code that there was at the start, once somebody has looked.
    pub(super) stored: PerPlan<OnceLock<Stored>>,
    /// For each plan, whether there is more to be stored.
    news: PerPlan<AtomicBool>,
    /// Code that came with the module and has not been asked for yet.
    given: Mutex<Given>,
    /// Why that code is not used, if it is not.
    pub(super) unfit: OnceLock<String>,
}

/// Why there is no room for the module's calls.
#[derive(Default)]
struct NoRoom {
    /// How often somebody needed it.
    times: u32,
    reason: String,
}

/// Why there is no compiled code, by function.
#[derive(Default)]
struct Left {
    /// For each plan.
    functions: PerPlan<BTreeMap<u32, Refusal>>,
    /// Of one of a function's loops.
    loops: BTreeMap<u32, String>,
}

impl Left {
    /// That of the function for any plan, unless it has code for one; or that of a loop.
    fn reason(&self, function: u32, compiled: bool) -> Option<&str> {
        let mut plans = self.functions.iter().filter(|_| !compiled);
        let of_function = plans.find_map(|of_plan| of_plan.get(&function));
        let of_loop = || self.loops.get(&function).map(|reason| &**reason);
        of_function.map(|refusal| &*refusal.reason).or_else(of_loop)
    }
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
            reason: left.reason(tier.function, tier.compiled).map(str::to_owned),
            ..tier
        };
        self.functions.report(module).map(complete).collect()
    }

    /// What functions have done that have no code and could have some.
    pub(super) fn work_to_keep(&self, module: &Module, plan: MemoryPlan) -> Vec<(u32, u64)> {
        let mut work = self.functions.done_without_code(module, plan);
        let left = &lock(&self.left).functions[plan];
        work.retain(|(function, _)| left.get(function).is_none_or(|refusal| !refusal.lasting));
        work
    }

    /// Whether a function has code that was there at the start, or cannot have any, as was known then.
    pub(super) fn has(&self, plan: MemoryPlan, function: u32) -> bool {
        let stored = self.stored[plan].get();
        stored.is_some_and(|stored| stored.has(function) || stored.refused(function).is_some())
    }

    /// What functions without code have done in earlier runs, as far as that was kept.
    pub(super) fn earlier_work(&self, plan: MemoryPlan) -> &[(u32, u64)] {
        self.stored[plan].get().and_then(Stored::earlier_work).unwrap_or_default()
    }

    /// Whether code of the module was in the cache: it has been run before.
    pub(super) fn has_been_run(&self, plan: MemoryPlan) -> bool {
        self.stored[plan].get().is_some_and(|stored| stored.earlier_work().is_some())
    }

    /// Notes that there is more to be stored.
    pub(super) fn note_news(&self, plan: MemoryPlan) {
        self.news[plan].store(true, Ordering::Release);
    }

    /// Whether there is more to be stored. The answer is given once.
    pub(super) fn take_news(&self, plan: MemoryPlan) -> bool {
        self.news[plan].swap(false, Ordering::Acquire)
    }

    /// Takes code that came with the module.
    pub(super) fn give(&self, code: Given) {
        *lock(&self.given) = code;
    }

    /// The code that came with the module, the first time.
    pub(super) fn take_given(&self) -> Given {
        mem::take(&mut lock(&self.given))
    }

    /// Sees to it that there is room for the module's calls in code memory.
    pub(super) fn make_room(&self, space: &CodeSpace, module: &Module) -> Result<(), String> {
        if self.has_room.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut no_room = lock(&self.no_room);
        if self.has_room.load(Ordering::Relaxed) {
            return Ok(());
        }
        // All types are looked at for that, and each function needs it: ever fewer of them ask again.
        no_room.times += 1;
        if no_room.times.is_power_of_two() {
            match space.make_room_for_calls(module) {
                Ok(()) => {
                    self.has_room.store(true, Ordering::Relaxed);
                    return Ok(());
                }
                Err(error) => no_room.reason = error.to_string(),
            }
        }
        Err(no_room.reason.clone())
    }

    /// Notes why a function has no compiled code. A reason that lasts is the last one.
    pub(super) fn leave(&self, plan: MemoryPlan, function: u32, refusal: Refusal) {
        let mut left = lock(&self.left);
        let known = left.functions[plan].entry(function).or_insert_with(|| refusal.clone());
        if !known.lasting {
            *known = refusal;
        }
    }

    /// Notes that there is no reason any more.
    pub(super) fn forget_refusal(&self, plan: MemoryPlan, function: u32) {
        lock(&self.left).functions[plan].remove(&function);
    }

    /// Notes why a loop of a function has no compiled code, which says nothing of the function as a whole.
    pub(super) fn leave_loop(&self, function: u32, reason: String) {
        lock(&self.left).loops.entry(function).or_insert(reason);
    }

    /// The functions that run in tier 0, or one of whose loops does, by index.
    pub(super) fn uncompiled(&self) -> Vec<Uncompiled> {
        let left = lock(&self.left);
        let functions: BTreeSet<u32> =
            left.functions.iter().flat_map(BTreeMap::keys).chain(left.loops.keys()).copied().collect();
        let reason = |function| left.reason(function, false).map(str::to_owned);
        let uncompiled = |function| Some(Uncompiled { function, reason: reason(function)? });
        functions.into_iter().filter_map(uncompiled).collect()
    }

    /// Those of them that would be refused again for this plan, with the reasons.
    pub(super) fn lasting(&self, plan: MemoryPlan) -> Vec<(u32, String)> {
        let left = lock(&self.left);
        let lasting = left.functions[plan].iter().filter(|(_, refusal)| refusal.lasting);
        lasting.map(|(function, refusal)| (*function, refusal.reason.clone())).collect()
    }
}
