//! How often instructions have been executed.

use std::fmt;
use std::sync::{Arc, OnceLock};

use wasmparser::Operator;
use wasmrun_runtime::counts::{self as runtime_counts, Counted};
use wasmrun_runtime::module as runtime;

use super::Opcode;

/// How often the instructions of a module have been executed, in one store, since its monitor was attached there.
///
/// The numbers go up while guest code runs, and stay what they are when the monitor has been detached. They are exact:
/// what a trap keeps from being executed is not counted, unless it is in a function of many megabytes. `end`, `else` and what begins a clause of a legacy `try` are no instructions;
/// `block` and `loop` are, and a `loop` is executed at each of its turns.
#[derive(Clone)]
pub struct Counts(Arc<Span>);

/// From when to when it counts.
pub(super) struct Span {
    module: Arc<runtime::Module>,
    /// What had been counted then, by number among the functions that the module defines.
    from: Box<[Counted]>,
    to: OnceLock<Box<[Counted]>>,
}

/// An instruction, and how often it has been executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// Offset in bytes from the start of the module.
    pub offset: u32,
    /// What it is.
    pub opcode: Opcode,
    /// The number of times.
    pub executed: u64,
}

impl Counts {
    /// Those of a module whose code counts, from now on.
    pub(super) fn from_now(module: &Arc<runtime::Module>) -> Counts {
        let from = counting(module).all_now();
        Counts(Arc::new(Span { module: Arc::clone(module), from, to: OnceLock::new() }))
    }

    pub(super) fn span(&self) -> &Arc<Span> {
        &self.0
    }

    /// Indices of the functions that the module defines.
    pub fn functions(&self) -> std::ops::Range<u32> {
        self.0.module.imported_function_count()..self.0.module.function_count()
    }

    /// The instructions of a function, in order; none of a function that the module does not define.
    pub fn of_function(&self, function: u32) -> Vec<Instruction> {
        let Span { module, from, to } = &*self.0;
        let defined = function.checked_sub(module.imported_function_count());
        let Some(before) = defined.and_then(|defined| from.get(defined as usize)) else { return Vec::new() };
        let defined = function - module.imported_function_count();
        let now = match to.get() {
            Some(to) => to[defined as usize].clone(),
            None => counting(module).now(defined),
        };
        let instructions = now.instructions(module, function).zip(before.instructions(module, function));
        let since = |((offset, operator, now), (.., before)): ((_, Operator<'_>, u64), (_, _, u64))| {
            Instruction { offset, opcode: Opcode::of(&operator), executed: now.saturating_sub(before) }
        };
        instructions.map(since).collect()
    }

    /// The instructions of all functions, in order.
    pub fn instructions(&self) -> impl Iterator<Item = Instruction> {
        self.functions().flat_map(|function| self.of_function(function))
    }

    /// How many instructions have been executed.
    pub fn total(&self) -> u64 {
        self.instructions().map(|instruction| instruction.executed).sum()
    }
}

/// What a module counts whose code does.
fn counting(module: &runtime::Module) -> &runtime_counts::Counts {
    module.counts().expect("a plan counts by a twin")
}

impl Span {
    /// Counts no further.
    pub(super) fn end(&self) {
        self.to.get_or_init(|| counting(&self.module).all_now());
    }
}

impl fmt::Debug for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counts").field("functions", &self.functions()).finish_non_exhaustive()
    }
}
