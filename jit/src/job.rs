//! What is compiled, and how: the order that the tiers give to the compiler.

use wasmparser::Operator;
use wasmrun_runtime::module::{MemoryPlan, Module};

use crate::compile::Mode;
use crate::lower::{self, Start};

/// What tier 0 has seen of a module.
pub trait Profile: Sync {
    /// The lower half of the index of the function that the `call_indirect` or `call_ref` at the offset `at` of the module, in
    /// `function`, has called nearly always. It may be any number at all; a wrong one costs time.
    fn callee(&self, function: u32, at: u32) -> Option<u16>;
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

    /// Bytes of memory that the compiler takes for it at most, as far as has been seen.
    pub fn memory(&self, module: &Module) -> usize {
        /// For a function: more than allocators keep for themselves when it is given back.
        const FUNCTION: usize = 33 << 20;
        /// For a byte of the module that is compiled.
        const BYTE: usize = 2 << 10;
        /// On top, for an instruction that calls something, and for one that calls through a table: at each of them all
        /// registers change, and there are ways that are hardly ever gone.
        const CALL: usize = 12 << 10;
        const CALL_INDIRECT: usize = 28 << 10;
        let Some(body) = module.function_body(self.function) else { return FUNCTION };
        let len = body.as_bytes().len() as u32;
        let inlined = if self.inlining { lower::most_inlined(len) } else { 0 };
        let mut bytes = FUNCTION + (len as usize + inlined as usize) * BYTE;
        let mut operators = body.get_operators_reader().expect("validated body");
        while !operators.eof() {
            bytes += match operators.read().expect("validated operators") {
                Operator::CallIndirect { .. }
                | Operator::ReturnCallIndirect { .. }
                // Where a function is likely to be called, there are two calls.
                | Operator::CallRef { .. } => CALL_INDIRECT,
                Operator::Call { .. }
                | Operator::ReturnCall { .. }
                | Operator::ReturnCallRef { .. }
                | Operator::RefFunc { .. }
                | Operator::MemoryGrow { .. }
                | Operator::MemoryFill { .. }
                | Operator::MemoryCopy { .. }
                | Operator::MemoryInit { .. }
                | Operator::DataDrop { .. }
                | Operator::TableGet { .. }
                | Operator::TableSet { .. }
                | Operator::TableGrow { .. }
                | Operator::TableFill { .. }
                | Operator::TableCopy { .. }
                | Operator::TableInit { .. }
                | Operator::ElemDrop { .. }
                | Operator::StructNew { .. }
                | Operator::StructNewDefault { .. }
                | Operator::ArrayNew { .. }
                | Operator::ArrayNewDefault { .. }
                | Operator::ArrayNewFixed { .. }
                | Operator::ArrayNewData { .. }
                | Operator::ArrayNewElem { .. }
                | Operator::ArrayInitData { .. }
                | Operator::ArrayInitElem { .. }
                | Operator::ArrayCopy { .. }
                | Operator::ArrayFill { .. }
                | Operator::Throw { .. }
                | Operator::ThrowRef
                | Operator::Rethrow { .. }
                // Where an exception goes on that nothing here takes.
                | Operator::TryTable { .. }
                | Operator::Try { .. }
                | Operator::Delegate { .. }
                | Operator::MemoryAtomicNotify { .. }
                | Operator::MemoryAtomicWait32 { .. }
                | Operator::MemoryAtomicWait64 { .. } => CALL,
                _ => 0,
            };
        }
        bytes
    }
}
