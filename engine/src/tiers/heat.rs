//! How warm the functions of a module are, and what has been asked of the compiler for them.
//!
//! Tier 0 counts entries and back edges per thread and reports where one of some hundred of them happened: a
//! function that runs often is reported often. What counts is the work that has been done, in bytes of bodies that were
//! executed, beside the bytes of the whole body, as compiling costs time in proportion to those: so one threshold serves
//! functions of all sizes.

use std::collections::BTreeMap;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use wasmrun_runtime::Work;
use wasmrun_runtime::module::{MemoryPlan, Module};

use super::chaos::Known;
use super::compiler::Refusal;
use super::staying::StayingLoops;
use super::{FunctionTier, Uncompiled};
use crate::cache::{Given, Stored};
use crate::lock::lock;

/// What is known of a module's functions.
#[derive(Default)]
pub(super) struct ModuleTiers {
    /// Of the functions that the module defines, from the first report on.
    functions: OnceLock<Box<[Function]>>,
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

#[derive(Debug, Default)]
struct Function {
    /// What a call and a turn of each loop execute.
    work: OnceLock<Box<Work>>,
    /// Bytes that have been executed.
    done: AtomicU64,
    /// Those of them that were not executed by frames that stay in a loop.
    by_calls: AtomicU64,
    /// Whether the compiler has been asked for its code, a bit for each plan.
    asked: AtomicU8,
    /// Whether it has code that callers find, a bit for each plan.
    compiled: AtomicU8,
    /// Microseconds that all of its code has taken, and bytes of that.
    time: AtomicU32,
    size: AtomicU32,
    /// Loops with code of their own.
    loops: AtomicU32,
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

    /// What a call of a function and a turn of each of its loops execute.
    pub(super) fn work(&self, module: &Module, function: u32) -> &Work {
        self.function(module, function).work.get_or_init(|| {
            let body = module.function_body(function).expect("tier 0 runs functions that have bodies");
            Box::new(Work::of(&body))
        })
    }

    /// Notes that so many bytes of a function have been executed, perhaps by a frame that stays in a loop. Returns how many
    /// there have been.
    pub(super) fn add_work(&self, module: &Module, function: u32, bytes: u64, stays: bool) -> u64 {
        let function = self.function(module, function);
        // Threads may lose each other's counts, and none is exact.
        let add = |count: &AtomicU64, bytes| {
            let now = count.load(Ordering::Relaxed).saturating_add(bytes);
            count.store(now, Ordering::Relaxed);
            now
        };
        add(&function.by_calls, if stays { 0 } else { bytes });
        add(&function.done, bytes)
    }

    /// What the functions that the module defines and that have no code for a plan have done.
    pub(super) fn done_without_code(&self, module: &Module, plan: MemoryPlan) -> Vec<(u32, u64)> {
        let functions = self.functions.get().map_or(&[][..], |functions| functions);
        let left = functions.iter().zip(module.imported_function_count()..).map(|(function, index)| {
            let compiled = function.compiled.load(Ordering::Relaxed) & (1 << plan as u8) != 0;
            (index, if compiled { 0 } else { function.done.load(Ordering::Relaxed) })
        });
        left.filter(|(_, done)| *done > 0).collect()
    }

    /// Bytes that have been executed by other frames of a function than those that stay in a loop.
    pub(super) fn done_by_calls(&self, module: &Module, function: u32) -> u64 {
        self.function(module, function).by_calls.load(Ordering::Relaxed)
    }

    /// Notes that the compiler is asked for the code of a function. Whether that is for the first time.
    pub(super) fn ask(&self, module: &Module, plan: MemoryPlan, function: u32) -> bool {
        let bit = 1 << plan as u8;
        let asked = &self.function(module, function).asked;
        asked.load(Ordering::Relaxed) & bit == 0 && asked.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    /// Notes that callers find code of a function.
    pub(super) fn set_compiled(&self, module: &Module, plan: MemoryPlan, function: u32) {
        self.function(module, function).compiled.fetch_or(1 << plan as u8, Ordering::Relaxed);
    }

    /// Notes what code of a function has cost: from its entry, or from a loop.
    pub(super) fn add_cost(
        &self,
        module: &Module,
        function: u32,
        time: Duration,
        size: usize,
        is_loop: bool,
    ) {
        let function = self.function(module, function);
        let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        function.time.fetch_add(micros, Ordering::Relaxed);
        function.size.fetch_add(size as u32, Ordering::Relaxed);
        function.loops.fetch_add(is_loop.into(), Ordering::Relaxed);
    }

    /// What is known of each function that the module defines, in order.
    pub(super) fn report(&self, module: &Module) -> Vec<FunctionTier> {
        let left = lock(&self.left);
        let stored =
            |function| self.stored.iter().any(|stored| stored.get().is_some_and(|s| s.has(function)));
        (module.imported_function_count()..module.function_count())
            .map(|index| {
                let function = self.function(module, index);
                let body = module.body(index).map_or(0, |body| body.len);
                let executions = function.done.load(Ordering::Relaxed) / u64::from(body.max(1));
                let time = function.time.load(Ordering::Relaxed);
                let size = function.size.load(Ordering::Relaxed);
                FunctionTier {
                    function: index,
                    name: module.function_name(index).map(str::to_owned),
                    body,
                    compiled: function.compiled.load(Ordering::Relaxed) != 0,
                    from_cache: stored(index),
                    executions: u32::try_from(executions).unwrap_or(u32::MAX),
                    loops: function.loops.load(Ordering::Relaxed),
                    compile_time: (size > 0).then(|| Duration::from_micros(time.into())),
                    code_size: (size > 0).then_some(size),
                    reason: left.get(&index).map(|refusal| refusal.reason.clone()),
                }
            })
            .collect()
    }

    /// Whether a function has code that was there at the start, or cannot have any, as was known then.
    pub(super) fn has(&self, plan: MemoryPlan, function: u32) -> bool {
        let stored = self.stored[plan as usize].get();
        stored.is_some_and(|stored| stored.has(function) || stored.refused(function).is_some())
    }

    /// What functions without code have done in earlier runs.
    pub(super) fn earlier_work(&self, plan: MemoryPlan) -> &[(u32, u64)] {
        self.stored[plan as usize].get().and_then(Stored::earlier_work).unwrap_or_default()
    }

    /// Whether the module has been run before, with code that was kept.
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
