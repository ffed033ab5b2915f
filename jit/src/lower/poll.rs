//! Polls and fuel: what stops code that would run for ever.
//!
//! A poll compares the stack pointer with a limit, which other threads raise to stop the guest. Its slow path keeps every
//! register: were it to clobber some, what is in them would be spilled in the loop and not where it is called. At a loop
//! header the slow path comes back into the loop: were it not to, the optimiser would take the limit that was loaded at
//! the function's entry for that of the loop. The order of the targets of the poll's branch matters as well: the cold
//! block first.
//!
//! What is lowered here polls at each entry and, if it can be interrupted, at each loop header; [`super::sampling`] makes the
//! latter rarer. In code whose
//! frames can leave for tier 0 all values are alive at each header, and nothing is hoisted that the optimiser meets
//! behind the way out: it is half as fast, and compiled only for those who want that.
//!
//! Polls never collect, so that references stay where they are: calls of their slow paths are put in when the builder has seen
//! to it that references are in the frame at all others ([`call_answers`]). A loop over objects that calls nothing
//! else keeps them in registers.
//!
//! Fuel is charged where and as [`wasmrun_runtime::fuel`] says, behind the poll.

use std::mem::offset_of;

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::immediates::Imm64;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{Block, BlockArg, Function, Inst, InstBuilder, InstructionData, SigRef, Value};
use wasmrun_runtime::trap::Trap;
use wasmrun_runtime::types::FuncType;
use wasmrun_runtime::vm::{ExecContext, NativeWords, Polling, VmContext, direct_callee_id};

use super::Lower;
use super::flags::Flags;
use super::sampling::{LoopPoll, Work};
use super::slow_path::BUILTINS;
use crate::builtins::Builtin;
use crate::trap::code::code_of;

/// Straight-line code that is paid for at its start.
#[derive(Debug)]
pub(super) struct Segment {
    /// The constant that is subtracted from the fuel there.
    pub(super) charge: Inst,
    /// What the instructions so far cost.
    pub(super) cost: u32,
}

/// The poll at the entry of a function.
#[derive(Debug)]
pub(super) struct EntryPoll {
    /// What it compares and loads, the last first.
    test: [Value; 3],
    branch: Inst,
    go: Block,
}

/// Where a poll is answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// Goes on with the code.
    back: Inst,
    signature: SigRef,
}

/// Calls the slow path of polls where they are answered.
pub(super) fn call_answers(function: &mut Function, flags: &Flags, vmctx: Value, answers: &[Answer]) {
    for Answer { back, signature } in answers {
        let mut cursor = FuncCursor::new(function).at_inst(*back);
        cursor.use_srcloc(*back);
        let exec = cursor.ins().load(I64, flags.context, vmctx, VmContext::EXEC as i32);
        let table = cursor.ins().load(I64, flags.exec, exec, BUILTINS);
        let code = cursor.ins().load(I64, flags.exec, table, Builtin::Poll.offset());
        cursor.ins().call_indirect(*signature, code, &[]);
    }
}

impl<'m> Lower<'m, '_, '_> {
    /// The execution context. It changes with the stack that runs, so that it is never kept over a call.
    pub(super) fn exec(&mut self) -> Value {
        self.builder.ins().load(I64, self.flags.context, self.vmctx, VmContext::EXEC as i32)
    }

    /// The limit that the stack pointer is compared with.
    fn limit(&mut self, exec: Value) -> Value {
        self.builder.ins().load(I64, self.flags.exec, exec, ExecContext::NATIVE_LIMIT as i32)
    }

    /// The poll at the entry of the function, which also finds that the stack is used up.
    pub(super) fn poll_entry(&mut self) {
        let exec = self.exec();
        let limit = self.limit(exec);
        let stack_pointer = self.builder.ins().get_stack_pointer(I64);
        let below = self.builder.ins().icmp(IntCC::UnsignedLessThan, stack_pointer, limit);
        let (cold, go) = (self.cold_block(), self.builder.create_block());
        let branch = self.builder.ins().brif(below, cold, &[], go, &[]);
        self.enter_sealed(cold);
        if self.leaves {
            let code = self.ask(0);
            let leave = self.cold_block();
            self.builder.ins().brif(code, leave, &[], go, &[]);
            self.enter_sealed(leave);
            let entry = self.builder.func.layout.entry_block().expect("a function begins somewhere");
            let params = self.builder.block_params(entry).to_vec();
            self.go_on_in_tier_0(self.ty, code, &params[params.len() - self.ty.params().len()..]);
        } else {
            self.answer(go, &[]);
        }
        self.enter_sealed(go);
        self.entry_poll = Some(EntryPoll { test: [below, limit, exec], branch, go });
        self.calls = false;
    }

    /// Takes the poll at the entry out of a short function that calls nothing and has no loop: it ends soon, and the frame
    /// that called it has polled, with room for one more below the limit. What the host can call keeps it, for the
    /// host calls without a poll.
    pub(super) fn drop_entry_poll_of_leaf(&mut self, function: u32) {
        let Some(EntryPoll { test, branch, go }) = self.entry_poll.take() else { return };
        let len = self.module.body(function).map_or(0, |body| body.len);
        let is_short = Work::of_bytes(len + self.inlined).is_short();
        if !is_short
            || self.has_loop
            || self.calls
            || self.leaves
            || self.module.layout().func_ref(function).is_some()
        {
            return;
        }
        let function = &mut self.builder.func;
        function.replace(branch).jump(go, &[]);
        for value in test {
            let inst = function.dfg.value_def(value).unwrap_inst();
            function.layout.remove_inst(inst);
        }
    }

    /// The poll at a loop header with `params` parameters of its own, which is the current block and which `entry` goes
    /// to from outside. The stack pointer is what it was at the entry: requests alone are looked for, which takes a
    /// register less from the loop.
    pub(super) fn poll_header(&mut self, header: Block, entry: Inst, params: usize) {
        if !self.polls {
            return;
        }
        let params: Vec<BlockArg> =
            self.builder.block_params(header)[..params].iter().copied().map(BlockArg::Value).collect();
        let (test, cold, go) = self.poll_request();
        self.builder.seal_block(go);
        if self.leaves {
            let code = self.ask(self.body.at);
            let leave = self.cold_block();
            self.builder.ins().brif(code, leave, &[], header, &params);
            self.enter_sealed(leave);
            self.store_frame();
            self.go_on_in_tier_0(self.results_only, code, &[]);
        } else {
            self.answer(header, &params);
            self.loop_polls.push(LoopPoll { header, entry, test, cold, go, turns: 0 });
        }
        self.builder.switch_to_block(go);
    }

    /// A poll in straight-line code that takes long. No frame leaves there.
    pub(super) fn poll_between(&mut self) {
        if !self.polls || self.leaves {
            return;
        }
        let (_, _, go) = self.poll_request();
        self.answer(go, &[]);
        self.enter_sealed(go);
    }

    /// Ends the block where a poll is answered, and goes on at `next`.
    fn answer(&mut self, next: Block, values: &[BlockArg]) {
        self.calls = true;
        let signature = self.builtin_signature(Builtin::Poll);
        let back = self.builder.ins().jump(next, values);
        self.answers.push(Answer { back, signature });
    }

    /// Looks for requests. Begins the cold block where there is one, and returns what that takes, this block, and the one
    /// that goes on, to which there may be more ways.
    fn poll_request(&mut self) -> ([Inst; 4], Block, Block) {
        let exec = self.exec();
        let limit = self.limit(exec);
        let requested = self.builder.ins().icmp_imm_s(IntCC::Equal, limit, -1);
        let (cold, go) = (self.cold_block(), self.builder.create_block());
        let branch = self.builder.ins().brif(requested, cold, &[], go, &[]);
        self.enter_sealed(cold);
        let inst = |value| self.builder.func.dfg.value_def(value).unwrap_inst();
        ([inst(exec), inst(limit), inst(requested), branch], cold, go)
    }

    /// Calls the slow path of a poll at a place. Returns what tier 0 is reached by, if the frame has to go on there; null
    /// otherwise.
    fn ask(&mut self, at: u32) -> Value {
        let exec = self.exec();
        let word = |offset: usize| (ExecContext::NATIVE + offset) as i32;
        let polling = |offset: usize| word(offset_of!(NativeWords, polling) + offset);
        self.builder.ins().store(self.flags.exec, self.vmctx, exec, polling(offset_of!(Polling, vmctx)));
        let places = [(self.function, offset_of!(Polling, function)), (at, offset_of!(Polling, at))];
        for (value, offset) in places {
            let value = self.builder.ins().iconst(I32, i64::from(value));
            self.builder.ins().store(self.flags.exec, value, exec, polling(offset));
        }
        self.call_builtin(Builtin::Poll, &[]);
        let exec = self.exec();
        self.builder.ins().load(I64, self.flags.exec, exec, word(offset_of!(NativeWords, way_out)))
    }

    /// Ends the frame: what is left of the function runs in tier 0, reached by `code`, which is of type `ty`.
    fn go_on_in_tier_0(&mut self, ty: &'m FuncType, code: Value, arguments: &[Value]) {
        let id = self.constant(direct_callee_id(self.function) as i64);
        let signature = self.function_signature(ty);
        let own = [self.vmctx, id].into_iter().chain(self.results);
        let arguments: Vec<Value> = own.chain(arguments.iter().copied()).collect();
        self.builder.ins().return_call_indirect(signature, code, &arguments);
    }

    /// Begins a segment behind the operator that is lowered.
    pub(super) fn new_segment(&mut self) {
        self.new_segment_called(self.body.at);
    }

    /// Begins the segment at the entry of a function, this one or one that is inlined.
    pub(super) fn first_segment(&mut self, function: u32) {
        self.new_segment_called(self.module.body(function).map_or(0, |body| body.start));
    }

    /// Begins a segment. What it costs is known at its end. It is counted before its first instruction.
    fn new_segment_called(&mut self, name: u32) {
        self.end_segment();
        self.uncounted = Some(name);
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
        self.uncounted = None;
        if let Some(Segment { charge, cost }) = self.segment.take() {
            self.charge_more(charge, cost);
        }
    }

    /// Makes a segment dearer that has ended, by the constant that is subtracted from the fuel there.
    pub(super) fn charge_more(&mut self, charge: Inst, cost: u32) {
        let InstructionData::UnaryImm { imm, .. } = &mut self.builder.func.dfg.insts[charge] else {
            unreachable!("what a segment costs is a constant")
        };
        *imm = Imm64::new(imm.bits() + i64::from(cost));
    }
}
