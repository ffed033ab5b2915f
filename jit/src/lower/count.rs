//! Counts of how often code is executed, in modules that count it: see [`wasmrun_runtime::counts`].

use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::types::I64;

use super::{Lower, flags};

impl Lower<'_, '_, '_> {
    /// Counts the segment here, unless that has been done.
    pub(super) fn count(&mut self) {
        let Some(counts) = self.module.counts() else { return };
        let Some(segment) = self.uncounted.take() else { return };
        let defined = self.inlining.function() - self.module.imported_function_count();
        let address = self.builder.ins().iconst(I64, counts.counter(defined, segment).addr() as i64);
        let flags = flags::counters(self.builder.func);
        let count = self.builder.ins().load(I64, flags, address, 0);
        let one_more = self.builder.ins().iadd_imm_s(count, 1);
        self.builder.ins().store(flags, one_more, address, 0);
    }
}
