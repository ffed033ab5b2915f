//! What is compiled, and how: the order that the tiers give to the compiler.

use wasmrun_runtime::module::MemoryPlan;

/// What tier 0 has seen of a module.
pub trait Profile: Sync {
    /// The lower half of the index of the function that the `call_indirect` or `call_ref` at the offset `at` of the module, in
    /// `function`, has called nearly always. It may be any number at all; a wrong one costs time.
    fn callee(&self, function: u32, at: u32) -> Option<u16>;
}

/// Where the code of a function starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// At its entry, with its arguments.
    Entry,
    /// At the header of the loop whose operator is at this offset in the module, in place of a frame of tier 0. The
    /// [id of the frame](crate::abi::frame_id) stands in for the callee's, its references start at
    /// [`ExecContext::ref_top`](wasmrun_runtime::vm::ExecContext), and there are no arguments; the results are those
    /// of the function.
    Loop(u32),
    /// At one of the two, as the id says. It has the arguments of the function in both cases.
    EntryOrLoop(u32),
}

/// How much time goes into the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The fastest code.
    Speed,
    /// Code that is there in half the time, twice as large and half as fast.
    Quick,
}

/// What is compiled, and how.
#[derive(Clone, Copy)]
pub struct Job<'p> {
    /// A function that the module defines.
    pub function: u32,
    /// Where its code starts.
    pub start: Start,
    /// How much time it is worth.
    pub mode: Mode,
    /// What the code takes memories to be. That for [`MemoryPlan::Guarded`] must not run on an instance one of whose
    /// memories, imported ones included, is not guarded.
    pub memory: MemoryPlan,
    /// Whether its frames can leave for tier 0: wherever [`NativeEntries::leaves`](wasmrun_runtime::vm::NativeEntries::leaves)
    /// says so, at the entry and at each turn of every loop. Such code is half as fast.
    pub leaves: bool,
    /// Whether loops poll, so that one that calls nothing can be stopped. Where frames can leave they do anyway.
    pub interruptible: bool,
    /// Whether short functions are compiled in place of calls of them.
    pub inlining: bool,
    /// Of those, whether the function with this index may be.
    pub may_be_inlined: fn(u32) -> bool,
    /// What the code is made to be fast for, if that is known.
    pub profile: Option<&'p dyn Profile>,
}

impl Job<'_> {
    /// The whole of a function, as fast as it can be where memories are guarded.
    pub fn new(function: u32) -> Job<'static> {
        Job {
            function,
            start: Start::Entry,
            mode: Mode::Speed,
            memory: MemoryPlan::Guarded,
            leaves: false,
            interruptible: true,
            inlining: true,
            may_be_inlined: |_| true,
            profile: None,
        }
    }
}
