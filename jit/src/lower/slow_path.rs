//! Calls of the runtime's slow paths, and what happens when they fail.
//!
//! A slow path returns a status and a word. Behind each one that can fail stands a cold block that raises
//! what the runtime has noted: the call never returns, and its return address says which instruction failed.

use std::mem::offset_of;

use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Block, BlockArg, Inst, InstBuilder, SigRef, Value};
use wasmrun_runtime::trap::Trap;
use wasmrun_runtime::vm::{ExecContext, NativeWords};

use super::Lower;
use crate::builtins::Builtin;

/// Offset of the table of slow paths in the execution context.
pub(super) const BUILTINS: i32 = (ExecContext::NATIVE + offset_of!(NativeWords, builtins)) as i32;

impl Lower<'_, '_, '_> {
    pub(super) fn builtin_signature(&mut self, builtin: Builtin) -> SigRef {
        if let Some(signature) = self.builtin_signatures[builtin as usize] {
            return signature;
        }
        let signature = self.builder.import_signature(builtin.signature());
        self.builtin_signatures[builtin as usize] = Some(signature);
        signature
    }

    pub(super) fn call_builtin(&mut self, builtin: Builtin, arguments: &[Value]) -> Inst {
        self.calls = true;
        let exec = self.exec();
        let table = self.builder.ins().load(I64, self.flags.exec, exec, BUILTINS);
        let code = self.builder.ins().load(I64, self.flags.exec, table, builtin.offset());
        let signature = self.builtin_signature(builtin);
        self.builder.ins().call_indirect(signature, code, arguments)
    }

    /// Calls a slow path: its status and its value.
    pub(super) fn builtin(&mut self, builtin: Builtin, arguments: &[Value]) -> (Value, Value) {
        let call = self.call_builtin(builtin, arguments);
        match *self.builder.inst_results(call) {
            [status, value] => (status, value),
            _ => unreachable!("slow paths return two words"),
        }
    }

    /// Calls a slow path that cannot fail.
    pub(super) fn infallible(&mut self, builtin: Builtin, arguments: &[Value]) -> Value {
        self.builtin(builtin, arguments).1
    }

    /// Calls a slow path, and raises its failure.
    pub(super) fn fallible(&mut self, builtin: Builtin, arguments: &[Value]) -> Value {
        let (status, value) = self.builtin(builtin, arguments);
        let go = self.builder.create_block();
        self.raise_unless_ok(status, go, &[]);
        self.enter_sealed(go);
        value
    }

    /// Ends the current block: goes to `next` with `values` if the status of a slow path is "ok", and raises
    /// the failure otherwise.
    pub(super) fn raise_unless_ok(&mut self, status: Value, next: Block, values: &[BlockArg]) {
        let raise = self.cold_block();
        if values.is_empty() {
            self.builder.ins().brif(status, raise, &[], next, &[]);
        } else {
            // In a block of its own: the compiler would make one for the moves, and place it in front of `next`.
            let go = self.cold_block();
            self.builder.ins().brif(status, raise, &[], go, &[]);
            self.enter_sealed(go);
            self.builder.ins().jump(next, values);
        }
        self.raise_in(raise);
    }

    /// Fills the block that raises what is pending.
    pub(super) fn raise_in(&mut self, raise: Block) {
        self.enter_sealed(raise);
        let exec = self.exec();
        self.call_builtin(Builtin::Raise, &[exec]);
        // Not reached; it ends the block.
        self.trap(Trap::UnreachableCodeReached);
    }

    /// Calls a slow path with indices of the module and the operands on the stack, which may fail.
    pub(super) fn slow_path<const N: usize>(&mut self, builtin: Builtin, indices: &[u32]) -> Value {
        let operands = self.pop_array::<N>();
        let mut arguments = vec![self.vmctx];
        for index in indices {
            arguments.push(self.cold_index(*index));
        }
        for operand in operands {
            arguments.push(self.word(operand));
        }
        self.fallible(builtin, &arguments)
    }
}
