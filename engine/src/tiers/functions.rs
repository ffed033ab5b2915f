//! What the functions of a module have done, and what has been asked of the compiler for them.
//!
//! Tier 0 counts entries and back edges per thread and reports where one of some hundred of them happened: a
//! function that runs often is reported often. What counts is the work that has been done, in bytes of bodies that were
//! executed, beside the bytes of the whole body, as compiling costs time in proportion to those: so one threshold serves
//! functions of all sizes.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use wasmrun_runtime::Work;
use wasmrun_runtime::module::{MemoryPlan, Module, PerPlan};

use super::FunctionTier;

/// The functions that a module defines. There is a table of them from the first question on.
#[derive(Debug, Default)]
pub(super) struct Functions(OnceLock<Box<[Function]>>);

#[derive(Debug, Default)]
struct Function {
    /// Whether the compiler has been asked for its code, a bit for each plan.
    asked: AtomicU8,
    /// Whether a thread is compiling it, a bit for each plan.
    compiling: AtomicU8,
    /// Whether it has code that callers find, a bit for each plan.
    compiled: AtomicU8,
    /// Of one that has been reported or compiled. Most of a large module never are.
    counts: OnceLock<Box<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    /// What a call and a turn of each loop execute.
    work: OnceLock<Work>,
    /// For each plan, bytes that have been executed.
    done: PerPlan<AtomicU64>,
    /// Those of them that were not executed by frames that stay in a loop.
    by_calls: PerPlan<AtomicU64>,
    /// For each plan, how often the compiler was asked in vain, for a reason that may pass.
    in_vain: PerPlan<AtomicU8>,
    /// Microseconds that all of its code has taken, and bytes of that.
    time: AtomicU32,
    size: AtomicU32,
    /// Loops with code of their own.
    loops: AtomicU32,
}

impl Function {
    fn counts(&self) -> &Counts {
        self.counts.get_or_init(Box::default)
    }

    fn is_compiled(&self, plan: MemoryPlan) -> bool {
        self.compiled.load(Ordering::Relaxed) & bit(plan) != 0
    }
}

fn bit(plan: MemoryPlan) -> u8 {
    1 << plan as u8
}

impl Functions {
    fn all(&self, module: &Module) -> &[Function] {
        let count = module.function_count() - module.imported_function_count();
        self.0.get_or_init(|| (0..count).map(|_| Function::default()).collect())
    }

    fn one(&self, module: &Module, function: u32) -> &Function {
        &self.all(module)[(function - module.imported_function_count()) as usize]
    }

    /// What a call of a function and a turn of each of its loops execute.
    pub(super) fn work(&self, module: &Module, function: u32) -> &Work {
        self.one(module, function).counts().work.get_or_init(|| {
            Work::of(&module.function_body(function).expect("tier 0 runs functions that have bodies"))
        })
    }

    /// Notes that so many bytes of a function have been executed, perhaps by a frame that stays in a loop.
    pub(super) fn add_work(&self, module: &Module, plan: MemoryPlan, function: u32, bytes: u64, stays: bool) {
        let counts = self.one(module, function).counts();
        // Threads may lose each other's counts, and none is exact.
        let add = |count: &AtomicU64| {
            count.store(count.load(Ordering::Relaxed).saturating_add(bytes), Ordering::Relaxed);
        };
        add(&counts.done[plan]);
        if !stays {
            add(&counts.by_calls[plan]);
        }
    }

    /// Bytes that code of a function would have executed, as far as is known: what frames execute that stay in a loop counts
    /// for half, as calls alone find the code.
    pub(super) fn worth(&self, module: &Module, plan: MemoryPlan, function: u32) -> u64 {
        let counts = self.one(module, function).counts();
        let [done, by_calls] =
            [&counts.done, &counts.by_calls].map(|count| count[plan].load(Ordering::Relaxed));
        done / 2 + by_calls / 2
    }

    /// What functions without code have done.
    pub(super) fn done_without_code(&self, module: &Module, plan: MemoryPlan) -> Vec<(u32, u64)> {
        let functions = self.0.get().map_or(&[][..], |functions| functions);
        let left =
            functions.iter().zip(module.imported_function_count()..).filter_map(|(function, index)| {
                let counts = function.counts.get().filter(|_| !function.is_compiled(plan))?;
                Some((index, counts.done[plan].load(Ordering::Relaxed)))
            });
        left.filter(|(_, done)| *done > 0).collect()
    }

    /// Notes that the compiler is asked for the code of a function. Whether that is for the first time.
    pub(super) fn ask(&self, module: &Module, plan: MemoryPlan, function: u32) -> bool {
        let asked = &self.one(module, function).asked;
        asked.load(Ordering::Relaxed) & bit(plan) == 0
            && asked.fetch_or(bit(plan), Ordering::Relaxed) & bit(plan) == 0
    }

    /// Notes that there is no code of a function for now: the compiler is to be asked again.
    pub(super) fn put_off(&self, module: &Module, plan: MemoryPlan, function: u32) {
        let one = self.one(module, function);
        one.counts().in_vain[plan].fetch_add(1, Ordering::Relaxed);
        one.asked.fetch_and(!bit(plan), Ordering::Relaxed);
    }

    /// How often that has happened.
    pub(super) fn in_vain(&self, module: &Module, plan: MemoryPlan, function: u32) -> u8 {
        self.one(module, function).counts().in_vain[plan].load(Ordering::Relaxed)
    }

    /// Notes that the calling thread begins to compile a function, unless another one is at it.
    pub(super) fn begin(&self, module: &Module, plan: MemoryPlan, function: u32) -> bool {
        let compiling = &self.one(module, function).compiling;
        compiling.fetch_or(bit(plan), Ordering::AcqRel) & bit(plan) == 0
    }

    /// Notes that the calling thread has done so.
    pub(super) fn end(&self, module: &Module, plan: MemoryPlan, function: u32) {
        self.one(module, function).compiling.fetch_and(!bit(plan), Ordering::AcqRel);
    }

    /// Bytes of all code of a function.
    pub(super) fn code_size(&self, module: &Module, function: u32) -> u32 {
        self.one(module, function).counts().size.load(Ordering::Relaxed)
    }

    /// Whether callers find code of a function.
    pub(super) fn is_compiled(&self, module: &Module, plan: MemoryPlan, function: u32) -> bool {
        self.one(module, function).is_compiled(plan)
    }

    /// Notes that callers find code of a function.
    pub(super) fn set_compiled(&self, module: &Module, plan: MemoryPlan, function: u32) {
        self.one(module, function).compiled.fetch_or(bit(plan), Ordering::Relaxed);
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
        let counts = self.one(module, function).counts();
        let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        counts.time.fetch_add(micros, Ordering::Relaxed);
        counts.size.fetch_add(size as u32, Ordering::Relaxed);
        counts.loops.fetch_add(is_loop.into(), Ordering::Relaxed);
    }

    /// What is known of each function, in order: but for where its code is from, and why it has none.
    pub(super) fn report(&self, module: &Module) -> impl Iterator<Item = FunctionTier> {
        self.all(module).iter().zip(module.imported_function_count()..).map(|(function, index)| {
            let none = Counts::default();
            let counts = function.counts.get().map_or(&none, |counts| counts);
            let body = module.body(index).map_or(0, |body| body.len);
            let done =
                counts.done.iter().map(|done| done.load(Ordering::Relaxed)).fold(0, u64::saturating_add);
            let executions = done / u64::from(body.max(1));
            let [time, size, loops] =
                [&counts.time, &counts.size, &counts.loops].map(|count| count.load(Ordering::Relaxed));
            FunctionTier {
                function: index,
                name: module.function_name(index).map(str::to_owned),
                body,
                compiled: function.compiled.load(Ordering::Relaxed) != 0,
                from_cache: false,
                executions: u32::try_from(executions).unwrap_or(u32::MAX),
                loops,
                compile_time: (size > 0).then(|| Duration::from_micros(time.into())),
                code_size: (size > 0).then_some(size),
                reason: None,
            }
        })
    }
}
