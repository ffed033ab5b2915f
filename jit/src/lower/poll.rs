//! Polls and fuel: what stops code that would run for ever.
//!
//! A poll compares the stack pointer with a limit, which other threads raise to stop the guest. At a loop
//! header its cold block jumps back to the *header*: were it to go on behind the poll, nothing would be hoisted
//! out of the loop, and were it not to come back at all, the optimiser would take the limit that was loaded at
//! the function's entry for that of the loop. The order of the targets of the poll's branch matters as well:
//! the cold block first.
//!
//! Fuel is charged where and as [`wasmrun_runtime::fuel`] says, behind the poll.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::immediates::Imm64;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Block, BlockArg, Inst, InstBuilder, InstructionData, Opcode, Value};
use wasmrun_runtime::trap::Trap;
use wasmrun_runtime::vm::{ExecContext, VmContext};

use super::Lower;
use crate::builtins::Builtin;
use crate::trap::code::code_of;

/// Straight-line code that is paid for at its start.
#[derive(Debug)]
pub(super) struct Segment {
    /// The constant that is subtracted from the fuel there.
    charge: Inst,
    /// What the instructions so far cost.
    pub(super) cost: u32,
}

impl Lower<'_, '_, '_> {
    /// The execution context. It changes with the stack that runs, so that it is never kept over a call.
    pub(super) fn exec(&mut self) -> Value {
        self.builder.ins().load(I64, self.flags.context, self.vmctx, VmContext::EXEC as i32)
    }

    /// Whether the stack pointer is below the limit.
    fn poll(&mut self) -> Value {
        let exec = self.exec();
        let limit = self.builder.ins().load(I64, self.flags.exec, exec, ExecContext::NATIVE_LIMIT as i32);
        let stack_pointer = self.builder.ins().get_stack_pointer(I64);
        self.builder.ins().icmp(IntCC::UnsignedLessThan, stack_pointer, limit)
    }

    /// The poll at the entry of the function, which also finds that the stack is used up.
    pub(super) fn poll_entry(&mut self) {
        let below = self.poll();
        let (cold, go) = (self.cold_block(), self.builder.create_block());
        self.builder.ins().brif(below, cold, &[], go, &[]);
        self.enter_sealed(cold);
        let (status, _) = self.builtin(Builtin::Poll, &[self.vmctx]);
        self.raise_unless_ok(status, go, &[]);
        self.enter_sealed(go);
    }

    /// The poll at a loop header with `params` parameters of its own, which is the current block.
    pub(super) fn poll_header(&mut self, header: Block, params: usize) {
        let params: Vec<BlockArg> =
            self.builder.block_params(header)[..params].iter().copied().map(BlockArg::Value).collect();
        let below = self.poll();
        let (cold, go) = (self.cold_block(), self.builder.create_block());
        self.builder.ins().brif(below, cold, &[], go, &[]);
        self.builder.seal_block(go);
        self.enter_sealed(cold);
        let (status, _) = self.builtin(Builtin::Poll, &[self.vmctx]);
        self.raise_unless_ok(status, header, &params);
        self.builder.switch_to_block(go);
    }

    /// Begins a segment. What it costs is known at its end.
    pub(super) fn new_segment(&mut self) {
        self.end_segment();
        if !self.module.charges_fuel() {
            return;
        }
        let exec = self.exec();
        let offset = ExecContext::FUEL as i32;
        let fuel = self.builder.ins().load(I64, self.flags.fuel, exec, offset);
        let cost = self.builder.ins().iconst(I64, 0);
        let charge = self.builder.func.dfg.value_def(cost).unwrap_inst();
        let left = self.builder.ins().isub(fuel, cost);
        let used_up = self.builder.ins().icmp_imm_s(IntCC::SignedLessThan, left, 0);
        self.builder.ins().trapnz(used_up, code_of(Trap::OutOfFuel));
        self.builder.ins().store(self.flags.fuel, left, exec, offset);
        self.segment = Some(Segment { charge, cost: 0 });
    }

    /// Ends the segment, if there is one, and fills in what it costs.
    pub(super) fn end_segment(&mut self) {
        if let Some(Segment { charge, cost }) = self.segment.take() {
            self.builder.func.dfg.insts[charge] =
                InstructionData::UnaryImm { opcode: Opcode::Iconst, imm: Imm64::new(cost.into()) };
        }
    }
}
