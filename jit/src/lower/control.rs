//! Structured control: blocks, and branches to their labels.
//!
//! The label of a loop is its header, which waits unsealed for its back edges. Every other label is the block
//! behind an `end`, made when something first branches there; the values that a branch carries are its
//! parameters.

use std::collections::BTreeMap;
use std::slice;

use cranelift_codegen::ir::{Block, BlockArg, Inst, InstBuilder, JumpTableData, Value};
use wasmparser::{BlockType, BrTable};
use wasmrun_runtime::types::{FuncType, ValType};

use super::Lower;
use super::exception::Clause;
use super::sampling::Work;
use crate::abi;

#[derive(Debug)]
pub(super) enum Kind {
    Function,
    Block,
    Loop {
        /// Offset in the module of its operator.
        at: u32,
        /// The number of its poll.
        poll: usize,
        /// What a turn takes beside its own instructions.
        inside: Work,
    },
    /// A function in place of a call.
    Inlined,
    /// An `if` whose `else` has not come yet.
    If {
        otherwise: Block,
        /// The operands that both arms start with.
        params: Vec<Value>,
        /// Which of them is gone to, if a hint says so.
        likely: Option<bool>,
    },
    Else,
    /// A `try_table`.
    TryTable {
        clauses: Vec<Clause>,
        /// Where exceptions go that come out of its body, once something there can throw.
        landing: Option<Block>,
    },
    /// A `try` whose first `catch` has not come yet.
    Try {
        landing: Option<Block>,
        /// Of the segment that it belongs to, when fuel is charged.
        charge: Option<Inst>,
    },
    /// A `catch` or `catch_all`.
    Catch {
        /// Where exceptions are that have not been caught so far, if there can be any.
        other: Option<(Block, Value)>,
        /// Of the segment that the `try` belongs to, when fuel is charged.
        charge: Option<Inst>,
    },
}

impl Kind {
    /// Of a block that catches, where exceptions go that come out of it, if anything leads there so far.
    pub(super) fn landing(&self) -> Option<&Option<Block>> {
        match self {
            Kind::TryTable { landing, .. } | Kind::Try { landing, .. } => Some(landing),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub(super) fn landing_mut(&mut self) -> Option<&mut Option<Block>> {
        match self {
            Kind::TryTable { landing, .. } | Kind::Try { landing, .. } => Some(landing),
            _ => None,
        }
    }
}

/// Parameters and results of a block.
#[derive(Debug)]
pub(super) enum Signature<'m> {
    Empty,
    Result(ValType),
    Type(&'m FuncType),
}

impl Signature<'_> {
    fn params(&self) -> &[ValType] {
        match self {
            Signature::Empty | Signature::Result(_) => &[],
            Signature::Type(ty) => ty.params(),
        }
    }

    fn results(&self) -> &[ValType] {
        match self {
            Signature::Empty => &[],
            Signature::Result(ty) => slice::from_ref(ty),
            Signature::Type(ty) => ty.results(),
        }
    }
}

/// An open block.
#[derive(Debug)]
pub(super) struct Control<'m> {
    pub(super) kind: Kind,
    signature: Signature<'m>,
    /// Operands below the block's parameters.
    pub(super) height: usize,
    /// Where branches lead, once there are any; the header of a loop from the start.
    pub(super) label: Option<Block>,
}

impl<'m> Control<'m> {
    /// The block that a function body is.
    pub(super) fn function(ty: &'m FuncType) -> Control<'m> {
        Control { kind: Kind::Function, signature: Signature::Type(ty), height: 0, label: None }
    }

    /// Types of the values that it leaves.
    pub(super) fn results(&self) -> &[ValType] {
        self.signature.results()
    }

    /// Types of the values that a branch to the label carries.
    fn label_types(&self) -> &[ValType] {
        match self.kind {
            Kind::Loop { .. } => self.signature.params(),
            _ => self.signature.results(),
        }
    }
}

fn arguments(values: &[Value]) -> Vec<BlockArg> {
    values.iter().copied().map(BlockArg::Value).collect()
}

impl<'m> Lower<'m, '_, '_> {
    pub(super) fn signature(&self, ty: BlockType) -> Signature<'m> {
        match ty {
            BlockType::Empty => Signature::Empty,
            BlockType::Type(ty) => Signature::Result(self.module.val_type(ty)),
            BlockType::FuncType(index) => Signature::Type(self.module.func_type(index)),
        }
    }

    pub(super) fn open(&mut self, kind: Kind, signature: Signature<'m>, label: Option<Block>) {
        let height = self.stack.len() - signature.params().len();
        self.control.push(Control { kind, signature, height, label });
    }

    pub(super) fn block(&mut self, ty: BlockType) {
        let signature = self.signature(ty);
        self.define_operands();
        self.open(Kind::Block, signature, None);
    }

    pub(super) fn loop_(&mut self, ty: BlockType) {
        self.take_over_before_loop();
        self.define_operands();
        let signature = self.signature(ty);
        let header = self.block_with_params(signature.params());
        let count = signature.params().len();
        let entry = self.jump(header, count);
        self.builder.switch_to_block(header);
        let height = self.stack.len() - count;
        self.begin_with(height, header, signature.params());
        self.open(
            Kind::Loop { at: self.body.at, poll: self.loop_polls.len(), inside: Work::default() },
            signature,
            Some(header),
        );
        self.has_loop = true;
        self.open_loops.push(self.control.len() - 1);
        self.budget.nest(self.open_loops.len());
        self.poll_header(header, entry, count);
        self.new_segment();
        self.count();
    }

    /// Opens the block that the body of a function is in place of a call, with the arguments on the stack.
    pub(super) fn open_inlined(&mut self, ty: &'m FuncType) {
        self.open(Kind::Inlined, Signature::Type(ty), None);
    }

    /// Whether there is a loop around.
    pub(super) fn is_in_loop(&self) -> bool {
        !self.open_loops.is_empty()
    }

    pub(super) fn if_(&mut self, ty: BlockType) {
        let condition = self.pop();
        self.define_operands();
        let signature = self.signature(ty);
        let params = self.top(signature.params().len()).to_vec();
        self.budget.keep(params.len());
        self.budget.branch();
        let hint = self.module.branch_hint(self.body.at);
        let then = self.create_block();
        let otherwise = self.create_block();
        match hint {
            Some(true) => self.builder.set_cold_block(otherwise),
            Some(false) => self.builder.set_cold_block(then),
            None => {}
        }
        self.builder.ins().brif(condition, then, &[], otherwise, &[]);
        self.builder.seal_block(otherwise);
        self.enter_sealed(then);
        self.open(Kind::If { otherwise, params, likely: hint }, signature, None);
        if hint == Some(false) {
            self.begin_cold();
        }
        self.new_segment();
    }

    pub(super) fn else_(&mut self) {
        if self.reachable {
            self.fall_through();
        }
        let control = self.control.last_mut().expect("an open `if`");
        let Kind::If { otherwise, params, likely } = std::mem::replace(&mut control.kind, Kind::Else) else {
            unreachable!("validated: `else` belongs to an `if`");
        };
        let height = control.height;
        self.end_cold();
        if likely == Some(true) {
            self.begin_cold();
        }
        self.stack.truncate(height);
        self.stack.extend(params);
        self.builder.switch_to_block(otherwise);
        self.use_operands(height);
        self.reachable = true;
        self.new_segment();
    }

    pub(super) fn end(&mut self) {
        if self.control.len() == 1 {
            return self.end_function();
        }
        if let Some(Control { kind: Kind::TryTable { .. } | Kind::Try { .. } | Kind::Catch { .. }, .. }) =
            self.control.last()
        {
            return self.end_try(None);
        }
        let was_reachable = self.reachable;
        // Of a loop, what it takes of those around it.
        let mut around = None;
        let control = self.control.last_mut().expect("an open block");
        let (height, label) = match &mut control.kind {
            Kind::Loop { at, poll, inside } => {
                let turn = Work::of_bytes(self.body.at - *at).and(*inside);
                let turns = turn.turns();
                if let Some(poll) = self.loop_polls.get_mut(*poll) {
                    poll.turns = turns;
                }
                let (height, header) = (control.height, control.label);
                header.into_iter().for_each(|header| self.builder.seal_block(header));
                around = Some(turn.times(turns));
                (height, None)
            }
            Kind::If { otherwise, params, .. } => {
                let (otherwise, params) = (*otherwise, std::mem::take(params));
                if was_reachable {
                    self.fall_through();
                }
                // Without an `else`, the parameters are the results.
                self.builder.switch_to_block(otherwise);
                let label = self.label(0);
                self.budget.branch();
                self.builder.ins().jump(label, &arguments(&params));
                (self.control.last().expect("an open block").height, Some(label))
            }
            _ => {
                if was_reachable && control.label.is_some() {
                    self.fall_through();
                }
                let control = self.control.last().expect("an open block");
                (control.height, control.label)
            }
        };
        self.end_cold();
        let control = self.control.pop().expect("an open block");
        if let Some(work) = around {
            self.open_loops.pop();
            self.takes(work);
        }
        match label {
            Some(label) => {
                self.enter_sealed(label);
                self.begin_with(height, label, control.signature.results());
                self.reachable = true;
                // What is behind a call begins one anyway.
                if !matches!(control.kind, Kind::Inlined) {
                    self.new_segment();
                }
            }
            // The results of the only way here are on the stack; so is the code's segment of fuel.
            None if was_reachable => {}
            None => self.stack.truncate(height),
        }
    }

    fn end_function(&mut self) {
        let label = self.control[0].label;
        match (self.reachable, label) {
            (true, None) => self.return_(),
            (true, Some(_)) => self.fall_through(),
            (false, _) => {}
        }
        if let Some(label) = label {
            self.enter_sealed(label);
            self.stack.clear();
            self.stack.extend_from_slice(self.builder.block_params(label));
            self.return_();
        }
        self.control.clear();
        self.unreachable();
    }

    /// What comes now takes so much, in each turn of the loops around it if there are any.
    pub(super) fn takes(&mut self, work: Work) {
        let Some(innermost) = self.open_loops.last() else {
            self.unpolled = self.unpolled.and(work);
            // Behind a loop whose end is not reached it waits for what is.
            if self.unpolled.is_most() && self.reachable {
                self.unpolled = Work::default();
                self.poll_between();
            }
            return;
        };
        if let Kind::Loop { inside, .. } = &mut self.control[*innermost].kind {
            *inside = inside.and(work);
        }
    }

    /// Here is a way into the loops around that does not come by their headers, which then cannot count the turns.
    pub(super) fn enter_loops(&mut self) {
        for around in &self.open_loops {
            if let Kind::Loop { inside, .. } = &mut self.control[*around].kind {
                *inside = Work::ENDLESS;
            }
        }
    }

    /// Code behind this point is reached by branches alone.
    pub(super) fn unreachable(&mut self) {
        self.reachable = false;
        self.end_segment();
    }

    /// From here to the `else` or the `end` of the innermost block the code is hardly ever executed.
    fn begin_cold(&mut self) {
        if self.cold_in.is_none() {
            self.cold_in = Some(self.control.len() - 1);
        }
    }

    /// The `else` or the `end` of the innermost block.
    pub(super) fn end_cold(&mut self) {
        if self.cold_in == Some(self.control.len() - 1) {
            self.cold_in = None;
        }
    }

    pub(super) fn block_with_params(&mut self, types: &[ValType]) -> Block {
        let block = self.create_block();
        for ty in types {
            self.builder.append_block_param(block, abi::value_type(*ty));
        }
        block
    }

    /// The block that branches to the label `depth` levels out lead to.
    pub(super) fn label(&mut self, depth: u32) -> Block {
        let index = self.control.len() - 1 - depth as usize;
        if let Some(label) = self.control[index].label {
            return label;
        }
        // What is behind the block that cold code stands in is not cold.
        let is_cold = self.cold_in.is_some_and(|cold| index > cold);
        let label = if is_cold { self.cold_block() } else { self.builder.create_block() };
        for ty in self.control[index].label_types() {
            self.builder.append_block_param(label, abi::value_type(*ty));
        }
        self.control[index].label = Some(label);
        label
    }

    /// Number of values that a branch to this label carries.
    fn arity(&self, depth: u32) -> usize {
        self.control[self.control.len() - 1 - depth as usize].label_types().len()
    }

    /// Jumps with the topmost operands, which stay on the stack.
    pub(super) fn jump(&mut self, to: Block, count: usize) -> Inst {
        self.budget.branch();
        let values = arguments(self.top(count));
        self.builder.ins().jump(to, &values)
    }

    /// Goes from the end of the innermost block to what is behind it.
    fn fall_through(&mut self) {
        self.jump_to_label(0);
    }

    /// Goes to a label with the operands that it takes, which stay on the stack.
    pub(super) fn jump_to_label(&mut self, depth: u32) {
        let label = self.label(depth);
        self.jump(label, self.arity(depth));
    }

    pub(super) fn br(&mut self, depth: u32) {
        self.jump_to_label(depth);
        self.unreachable();
    }

    pub(super) fn br_if(&mut self, depth: u32) {
        let condition = self.pop();
        let (label, values) = self.branch_to(depth);
        let hint = self.module.branch_hint(self.body.at);
        let next = self.create_block();
        if hint == Some(false) {
            // Other branches may lead to the label, and often: this one has a cold block of its own on its way.
            let away = self.cold_block();
            self.builder.ins().brif(condition, away, &[], next, &[]);
            self.enter_sealed(away);
            self.builder.ins().jump(label, &values);
        } else {
            self.builder.ins().brif(condition, label, &values, next, &[]);
        }
        self.enter_sealed(next);
        if hint == Some(true) {
            self.builder.set_cold_block(next);
            self.begin_cold();
        }
        self.new_segment();
    }

    /// The block of a label, and the values that a branch carries there.
    fn branch_to(&mut self, depth: u32) -> (Block, Vec<BlockArg>) {
        let label = self.label(depth);
        self.budget.branch();
        (label, arguments(self.top(self.arity(depth))))
    }

    /// The reference stays if it is not null.
    pub(super) fn br_on_null(&mut self, depth: u32) {
        let reference = self.pop();
        let (label, values) = self.branch_to(depth);
        let next = self.builder.create_block();
        self.builder.ins().brif(reference, next, &[], label, &values);
        self.enter_sealed(next);
        // As it was pushed before, it is known what it is.
        self.stack.push(reference);
        self.new_segment();
    }

    /// The branch carries the reference, which is gone if it is null.
    pub(super) fn br_on_non_null(&mut self, depth: u32) {
        let reference = *self.stack.last().expect("validated stack");
        let (label, values) = self.branch_to(depth);
        let next = self.builder.create_block();
        self.builder.ins().brif(reference, label, &values, next, &[]);
        self.enter_sealed(next);
        self.pop();
        self.new_segment();
    }

    pub(super) fn br_table(&mut self, targets: &BrTable<'_>) {
        let index = self.pop();
        let depths: Vec<u32> = targets.targets().map(|depth| depth.expect("validated targets")).collect();
        // Each label is branched to once, whatever the number of entries that name it: an entry is one byte,
        // and what it carries can be a thousand values.
        let mut ways = BTreeMap::new();
        for depth in depths.iter().copied().chain([targets.default()]) {
            ways.entry(depth).or_insert_with(|| match self.arity(depth) {
                0 => self.label(depth),
                _ => self.builder.create_block(),
            });
        }
        let default = self.builder.func.dfg.block_call(ways[&targets.default()], &[]);
        let table: Vec<_> =
            depths.iter().map(|depth| self.builder.func.dfg.block_call(ways[depth], &[])).collect();
        // An index behind the table becomes that of the default, without a branch to be mispredicted.
        let table = self.builder.create_jump_table(JumpTableData::new(default, &table));
        self.builder.ins().br_table(index, table);
        depths.iter().for_each(|_| self.budget.branch());
        for (depth, way) in ways {
            let count = self.arity(depth);
            if self.is_too_large() {
                return;
            }
            if count > 0 {
                self.enter_sealed(way);
                self.jump_to_label(depth);
            }
        }
        self.unreachable();
    }

    pub(super) fn return_(&mut self) {
        if self.body.base > 0 {
            return self.br((self.control.len() - 1 - self.body.base) as u32);
        }
        let types = self.ty.results();
        let values = self.top(types.len()).to_vec();
        match self.results {
            None => {
                self.builder.ins().return_(&values);
            }
            Some(results) => {
                let mut offset = 0;
                for (ty, value) in types.iter().zip(values) {
                    abi::store_slot(self.builder, self.flags.results, value, results, offset);
                    offset += abi::slot_bytes(*ty) as i32;
                }
                self.builder.ins().return_(&[]);
            }
        }
        self.unreachable();
    }
}
