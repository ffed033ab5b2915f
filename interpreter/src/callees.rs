//! Whom indirect calls call: what tier 0 has seen, for a compiler that wants to guess.
//!
//! Each such instruction keeps its last callee, and counts how often that was another one than before. The first takes
//! a comparison with each call, and the second happens seldom where guessing is worth while.

use wasmrun_runtime::module::{MemoryPlan, Module};

use crate::code::Code;

/// A call has had one callee if it has changed so many times, at most. The first callee is a change, too.
const FEW: u16 = 3;

/// The lower half of the index of the function that the `call_indirect` or `call_ref` at this offset of the module has called, nearly
/// always, in instances of one plan.
pub fn usual_callee(module: &Module, plan: MemoryPlan, function: u32, at: u32) -> Option<u16> {
    let bytecode = module.bytecode(plan, function)?;
    let seen = bytecode.blob.as_any().downcast_ref::<Code>()?.seen_at(at)?;
    (1..=FEW).contains(&seen.changes).then_some(seen.callee)
}
