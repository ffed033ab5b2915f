//! How much memory compiling takes.

use wasmparser::Operator;
use wasmrun_runtime::module::Module;

use crate::job::Job;
use crate::lower::most_inlined;

/// Bytes of memory that the compiler takes for a job at most, as far as has been seen.
pub fn memory_for(job: &Job<'_>, module: &Module) -> usize {
    /// For a function: more than allocators keep for themselves when it is given back.
    const FUNCTION: usize = 33 << 20;
    /// For a byte of the module that is compiled.
    const BYTE: usize = 2 << 10;
    /// On top, for an instruction that calls something, and for one that calls through a table: at each of them all
    /// registers change, and there are ways that are hardly ever gone.
    const CALL: usize = 12 << 10;
    const CALL_INDIRECT: usize = 28 << 10;
    /// For a byte that is inlined: with its number, such an instruction has five of them.
    const INLINED_BYTE: usize = BYTE + CALL_INDIRECT / 5;
    let Some(body) = module.function_body(job.function) else { return FUNCTION };
    let len = body.as_bytes().len() as u32;
    let inlined = if job.inlining { most_inlined(len) } else { 0 };
    let mut bytes = FUNCTION + len as usize * BYTE + inlined as usize * INLINED_BYTE;
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
