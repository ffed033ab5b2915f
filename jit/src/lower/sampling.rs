//! Polls of innermost loops are made only now and then.
//!
//! A poll at a loop header loads two words, and keeps the context at hand through loops that have no other use for
//! it; in loops of a few instructions that shows. Most of those count: something grows by the same step each time
//! around. Twelve bits of that are all zero in one turn of 4096, and testing them, which is one instruction and takes
//! no register, goes in front of the poll. Loops that do not count get a count of their own.
//!
//! Only innermost loops of some hundred instructions are treated so. What they do between two polls is straight-line
//! code, 4096 times at most, and calls, which poll for themselves: a request is answered within milliseconds. If the
//! loops around them polled as rarely, the numbers would multiply. Nor are loops that copy or fill memory, an
//! instruction of which may take microseconds.
//!
//! This works on the finished intermediate code, where all values are known that a header gets. A `loop` to which
//! nothing branches back is found here as well, and loses its poll.

use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::flowgraph::ControlFlowGraph;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I32;
use cranelift_codegen::ir::{
    Block, BlockArg, DataFlowGraph, Function, Inst, InstBuilder, InstructionData, Opcode, Value, ValueDef,
};

use super::Turns;

/// The poll at a loop header.
#[derive(Debug)]
pub(super) struct LoopPoll {
    pub(super) header: Block,
    /// Goes to the header from outside of the loop.
    pub(super) entry: Inst,
    /// What the poll consists of: loads and a comparison, and the branch at the end.
    pub(super) test: [Inst; 4],
    /// Where it is answered.
    pub(super) cold: Block,
    /// The branch from there to the header, taken if a value is zero; if not, the frame leaves by a block.
    pub(super) back: (Inst, Value, Block),
    /// The branch from that block to the header, taken if a value is not zero, which it is; and the exit.
    pub(super) never: (Inst, Value, Block),
    /// The code of the loop.
    pub(super) go: Block,
    /// Whether the turns between two polls may be many.
    pub(super) is_rare: bool,
}

/// So many parameters of a header are looked at, and a value is followed through so many additions.
const MAX_PARAMS: usize = 32;
const MAX_ADDITIONS: usize = 8;

/// Makes those polls rare that can be.
pub(super) fn sample(function: &mut Function, polls: &[LoopPoll], turns: Turns) {
    if polls.is_empty() {
        return;
    }
    let graph = ControlFlowGraph::with_function(function);
    for poll in polls {
        let back = graph.pred_iter(poll.header).map(|way| way.inst);
        let back: Vec<Inst> =
            back.filter(|way| ![poll.entry, poll.back.0, poll.never.0].contains(way)).collect();
        if back.is_empty() {
            omit(function, poll);
        } else if poll.is_rare {
            match counter(&function.dfg, poll.header, &back, turns) {
                Some((counter, mask)) => test_bits(function, poll, counter, mask),
                None => count_turns(function, poll, &back, turns),
            }
        }
    }
}

/// The branches of an instruction to a block.
fn values_for(
    dfg: &DataFlowGraph,
    inst: Inst,
    block: Block,
    index: usize,
) -> impl Iterator<Item = Option<Value>> {
    let calls = dfg.insts[inst].branch_destination(&dfg.jump_tables, &dfg.exception_tables);
    let calls = calls.iter().filter(move |call| call.block(&dfg.value_lists) == block);
    calls.map(move |call| call.args(&dfg.value_lists).nth(index)?.as_value())
}

/// A parameter of the header that grows by the same step on all ways back to it, and the bits of it that take all
/// their values in turn.
fn counter(dfg: &DataFlowGraph, header: Block, back: &[Inst], turns: Turns) -> Option<(Value, i64)> {
    let params = dfg.block_params(header).iter().take(MAX_PARAMS);
    params.enumerate().find_map(|(index, param)| {
        let values = back.iter().flat_map(|way| values_for(dfg, *way, header, index));
        let mut steps = values.map(|value| step(dfg, *param, value?));
        let first = steps.next()??;
        let lowest = first.trailing_zeros();
        // An immediate operand has 32 bits and a sign.
        let fits = lowest + turns.log2 < 32 && steps.all(|step| step == Some(first));
        fits.then(|| (*param, ((1 << turns.log2) - 1) << lowest))
    })
}

/// The constant that has been added to `param` to give `value`.
fn step(dfg: &DataFlowGraph, param: Value, mut value: Value) -> Option<i64> {
    let definition = |value| match dfg.value_def(dfg.resolve_aliases(value)) {
        ValueDef::Result(inst, _) => Some(&dfg.insts[inst]),
        _ => None,
    };
    let constant = |value| match definition(value) {
        Some(InstructionData::UnaryImm { opcode: Opcode::Iconst, imm }) => Some(imm.bits()),
        _ => None,
    };
    let mut sum = 0_i64;
    for _ in 0..MAX_ADDITIONS {
        if dfg.resolve_aliases(value) == param {
            return Some(sum);
        }
        let Some(InstructionData::Binary { opcode: Opcode::Iadd, args: [a, b] }) = definition(value) else {
            return None;
        };
        let (other, added) = match constant(*b) {
            Some(added) => (a, added),
            None => (b, constant(*a)?),
        };
        sum = sum.wrapping_add(added);
        value = *other;
    }
    None
}

/// Leaves the poll out: this is no loop.
fn omit(function: &mut Function, poll: &LoopPoll) {
    let [tests @ .., branch] = &poll.test;
    function.replace(*branch).jump(poll.go, &[]);
    tests.iter().for_each(|test| function.layout.remove_inst(*test));
}

/// Polls where the bits of `mask` are zero in `counter`.
fn test_bits(function: &mut Function, poll: &LoopPoll, counter: Value, mask: i64) {
    let now = defer(function, poll);
    let mut header = at_end(function, poll, poll.header);
    let bits = header.ins().band_imm_u(counter, mask);
    let due = header.ins().icmp_imm_u(IntCC::Equal, bits, 0);
    // The cold block first: see `super::poll`.
    header.ins().brif(due, now, &[], poll.go, &[]);
    go_on(function, poll, &[]);
}

/// Polls when the turns are over, of which the header gets another parameter.
fn count_turns(function: &mut Function, poll: &LoopPoll, back: &[Inst], each: Turns) {
    let now = defer(function, poll);
    let turns = function.dfg.append_block_param(poll.header, I32);
    let left = function.dfg.append_block_param(poll.go, I32);
    let mut header = at_end(function, poll, poll.header);
    let rest = header.ins().iadd_imm_s(turns, -1);
    let due = header.ins().icmp_imm_u(IntCC::Equal, rest, 0);
    header.ins().brif(due, now, &[], poll.go, &[rest.into()]);
    back.iter().for_each(|way| pass(function, *way, poll.header, left));
    // Who comes from outside and who has polled starts anew.
    let all = at_end(function, poll, poll.cold).ins().iconst(I32, 1 << each.log2);
    go_on(function, poll, &[all.into()]);
    let [.., branch] = poll.test;
    for (inst, to) in [(poll.entry, poll.header), (branch, poll.go)] {
        let mut cursor = FuncCursor::new(function).at_inst(inst);
        cursor.use_srcloc(inst);
        let all = cursor.ins().iconst(I32, 1 << each.log2);
        pass(function, inst, to, all);
    }
}

/// Appends a value to what a branch passes to a block.
fn pass(function: &mut Function, branch: Inst, to: Block, value: Value) {
    let dfg = &mut function.dfg;
    let calls = dfg.insts[branch].branch_destination_mut(&mut dfg.jump_tables, &mut dfg.exception_tables);
    for call in calls {
        if call.block(&dfg.value_lists) == to {
            call.append_argument(BlockArg::Value(value), &mut dfg.value_lists);
        }
    }
}

/// Moves the poll from the end of the header to a block of its own, and takes the ways from its answer to the header
/// away: that would poll again.
fn defer(function: &mut Function, poll: &LoopPoll) -> Block {
    let now = function.dfg.make_block();
    let layout = &mut function.layout;
    layout.append_block(now);
    layout.set_cold(now);
    for inst in poll.test {
        layout.remove_inst(inst);
        layout.append_inst(inst, now);
    }
    layout.remove_inst(poll.back.0);
    layout.remove_inst(poll.never.0);
    now
}

/// Lets the answer to a poll go on behind the header.
fn go_on(function: &mut Function, poll: &LoopPoll, arguments: &[BlockArg]) {
    let (_, code, leave) = poll.back;
    at_end(function, poll, poll.cold).ins().brif(code, leave, &[], poll.go, arguments);
    let (_, never, exit) = poll.never;
    at_end(function, poll, leave).ins().brif(never, poll.go, arguments, exit, &[]);
}

/// For code at the end of a block, which belongs to the loop instruction.
fn at_end<'f>(function: &'f mut Function, poll: &LoopPoll, block: Block) -> FuncCursor<'f> {
    let location = function.srcloc(poll.entry);
    FuncCursor::new(function).at_bottom(block).with_srcloc(location)
}
