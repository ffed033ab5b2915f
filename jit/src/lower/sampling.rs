//! Polls of short loops are made only now and then.
//!
//! A poll at a loop header loads two words, and keeps the context at hand through loops that have no other use for
//! it; in loops of a few instructions that shows. Most of those count: something grows by the same step each time
//! around. Some bits of that are all zero in one turn of many, and testing them, which is one instruction and takes
//! no register, goes in front of the poll. Loops that do not count get a count of their own.
//!
//! How many turns there are between two polls depends on what one turn can take ([`Work`]): straight-line code, calls,
//! which poll for themselves unless the function is short, and loops inside, which poll once in so many turns of
//! theirs. A request is answered within milliseconds.
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

/// The poll at a loop header.
#[derive(Debug)]
pub(super) struct LoopPoll {
    pub(super) header: Block,
    /// Goes to the header from outside of the loop.
    pub(super) entry: Inst,
    /// What the poll consists of: loads and a comparison, and the branch at the end.
    pub(super) test: [Inst; 4],
    /// Where it is answered. Goes to the header.
    pub(super) cold: Block,
    /// The code of the loop.
    pub(super) go: Block,
    /// Of so many turns one polls: a power of two, as its exponent.
    pub(super) turns: u32,
}

/// What code can take, in bytes of the module that are executed. One of them takes a fraction of a nanosecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Work(u32);

impl Work {
    /// The most between two polls.
    const MOST: Work = Work(1 << 21);

    /// The most turns between two polls, as an exponent of two.
    const MOST_TURNS: u32 = 11;

    /// The longest function without a poll.
    const SHORT: Work = Work(256);

    /// A call of a function that may have no poll: see [`Work::is_short`].
    pub(super) const CALL: Work = Work(1024);

    /// A load or store, beside its bytes: it may be the first of its page.
    pub(super) const ACCESS: Work = Work(64);

    /// Copying or filling a few bytes at once.
    pub(super) const COPY: Work = Work(4096);

    /// More than there can be between two polls.
    pub(super) const ENDLESS: Work = Work(u32::MAX);

    /// Straight-line code.
    pub(super) fn of_bytes(bytes: u32) -> Work {
        Work(bytes)
    }

    /// Whether code of so much need not poll.
    pub(super) fn is_short(self) -> bool {
        self <= Work::SHORT
    }

    /// Whether it is as much as there may be between two polls.
    pub(super) fn is_most(self) -> bool {
        self >= Work::MOST
    }

    pub(super) fn and(self, other: Work) -> Work {
        Work(self.0.saturating_add(other.0))
    }

    /// How many turns of a loop each of which takes this much can be made between two polls, as an exponent of two.
    pub(super) fn turns(self) -> u32 {
        (Work::MOST.0 / self.0.max(1)).checked_ilog2().map_or(0, |turns| turns.min(Work::MOST_TURNS))
    }

    /// What so many turns take.
    pub(super) fn times(self, turns: u32) -> Work {
        Work(self.0.saturating_mul(1 << turns))
    }
}

/// So many parameters of a header are looked at, and a value is followed through so many additions.
const MAX_PARAMS: usize = 32;
const MAX_ADDITIONS: usize = 8;

/// Makes those polls rare that can be.
pub(super) fn sample(function: &mut Function, polls: &[LoopPoll]) {
    if polls.is_empty() {
        return;
    }
    let graph = ControlFlowGraph::with_function(function);
    for poll in polls {
        let polled = function.layout.last_inst(poll.cold);
        let back = graph.pred_iter(poll.header).map(|way| way.inst);
        let back: Vec<Inst> = back.filter(|way| *way != poll.entry && Some(*way) != polled).collect();
        if back.is_empty() {
            omit(function, poll);
        } else if poll.turns > 0 {
            match counter(&function.dfg, poll, &back) {
                Some((counter, mask)) => test_bits(function, poll, counter, mask),
                None => count_turns(function, poll, &back),
            }
        }
    }
}

/// The arguments at this index of the branches of an instruction to a block.
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
fn counter(dfg: &DataFlowGraph, poll: &LoopPoll, back: &[Inst]) -> Option<(Value, i64)> {
    let params = dfg.block_params(poll.header).iter().take(MAX_PARAMS);
    params.enumerate().find_map(|(index, param)| {
        let values = back.iter().flat_map(|way| values_for(dfg, *way, poll.header, index));
        let mut steps = values.map(|value| step(dfg, *param, value?));
        let first = steps.next()??;
        let lowest = first.trailing_zeros();
        // An immediate operand has 32 bits and a sign.
        let fits = lowest + poll.turns < 32 && steps.all(|step| step == Some(first));
        fits.then(|| (*param, ((1 << poll.turns) - 1) << lowest))
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
    at_end(function, poll, poll.cold).ins().jump(poll.go, &[]);
}

/// Gives the header another parameter, which counts its turns, and polls where bits of that are zero. It begins with 1: a
/// loop that is over soon does not poll at all.
fn count_turns(function: &mut Function, poll: &LoopPoll, back: &[Inst]) {
    let turns = function.dfg.append_block_param(poll.header, I32);
    let first = function.layout.first_inst(poll.header).expect("the poll");
    let mut header = FuncCursor::new(function).at_inst(first);
    header.use_srcloc(first);
    let next = header.ins().iadd_imm_s(turns, 1);
    back.iter().for_each(|way| pass(function, *way, poll.header, next));
    let mut before = FuncCursor::new(function).at_inst(poll.entry);
    before.use_srcloc(poll.entry);
    let one = before.ins().iconst(I32, 1);
    pass(function, poll.entry, poll.header, one);
    test_bits(function, poll, turns, (1 << poll.turns) - 1);
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

/// Moves the poll from the end of the header to a block of its own, and makes that of its answer end without a jump:
/// the header would poll again.
fn defer(function: &mut Function, poll: &LoopPoll) -> Block {
    let now = function.dfg.make_block();
    let layout = &mut function.layout;
    layout.append_block(now);
    layout.set_cold(now);
    for inst in poll.test {
        layout.remove_inst(inst);
        layout.append_inst(inst, now);
    }
    let back = layout.last_inst(poll.cold).expect("it goes to the header");
    layout.remove_inst(back);
    now
}

/// For code at the end of a block, which belongs to the loop instruction.
fn at_end<'f>(function: &'f mut Function, poll: &LoopPoll, block: Block) -> FuncCursor<'f> {
    let location = function.srcloc(poll.entry);
    FuncCursor::new(function).at_bottom(block).with_srcloc(location)
}
