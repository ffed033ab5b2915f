//! Structured control: blocks, branches, and the labels that they lead to.

use wasmparser::{BlockType, BrTable};
use wasmrun_runtime::frame::{Heights, slots};
use wasmrun_runtime::types::{FuncType, ValType};

use super::Translator;
use super::emit::Fixup;
use super::exceptions::{OpenTry, OpenTryTable};
use super::stack::{Operand, Place, Ty};
use crate::field::Field;
use crate::handlers::{ClauseId, RegionId};
use crate::table;

#[derive(Debug)]
pub(super) enum Kind {
    Function,
    Block,
    /// With its number among the loops.
    Loop(usize),
    If,
    Else,
    // Boxed: a body can have millions of open blocks, and most are none of these.
    TryTable(Box<OpenTryTable>),
    Try(Box<OpenTry>),
    /// A `try` from its first `catch` or `catch_all` on.
    Catch(Box<OpenTry>),
}

/// What leads to the end of a block.
#[derive(Debug)]
pub(super) enum Exit {
    Branch(Fixup),
    Handler(ClauseId),
}

/// Parameters and results of a block.
#[derive(Clone, Debug)]
enum Signature {
    Empty,
    Result(Ty),
    Type(FuncType),
}

impl Signature {
    fn collect(types: &[ValType]) -> Vec<Ty> {
        types.iter().map(|ty| Ty::of(*ty)).collect()
    }

    fn params(&self) -> Vec<Ty> {
        match self {
            Signature::Empty | Signature::Result(_) => Vec::new(),
            Signature::Type(ty) => Self::collect(ty.params()),
        }
    }

    fn results(&self) -> Vec<Ty> {
        match self {
            Signature::Empty => Vec::new(),
            Signature::Result(ty) => vec![*ty],
            Signature::Type(ty) => Self::collect(ty.results()),
        }
    }
}

/// An open block.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) kind: Kind,
    signature: Signature,
    /// Operands below the block's parameters.
    height: usize,
    /// Where its first operand goes.
    pub(super) base: Heights,
    /// Where a loop starts.
    start: usize,
    /// What leads to its end.
    pub(super) exits: Vec<Exit>,
    /// The branch of an `if` to its `else`.
    otherwise: Option<Fixup>,
    /// Where those of the translator's settled constants start that were settled within it, or its running arm.
    settled: usize,
    /// The innermost region that covers its code, or that of its running arm.
    pub(super) region: RegionId,
}

impl Control {
    /// The block that a function body is.
    pub(super) fn function(ty: &FuncType) -> Control {
        let results = Signature::Type(FuncType::new([], ty.results().iter().copied()));
        Control::of(Kind::Function, results)
    }

    fn of(kind: Kind, signature: Signature) -> Control {
        Control {
            kind,
            signature,
            height: 0,
            base: Heights::default(),
            start: 0,
            exits: Vec::new(),
            otherwise: None,
            settled: 0,
            region: RegionId::NONE,
        }
    }

    pub(super) fn is_loop(&self) -> bool {
        matches!(self.kind, Kind::Loop(_))
    }

    /// Operands below the block's parameters.
    pub(super) fn height(&self) -> usize {
        self.height
    }
}

impl Translator<'_> {
    fn signature(&self, ty: BlockType) -> Signature {
        match ty {
            BlockType::Empty => Signature::Empty,
            BlockType::Type(ty) => Signature::Result(Ty::of(self.module.val_type(ty))),
            BlockType::FuncType(index) => Signature::Type(self.module.func_type(index).clone()),
        }
    }

    fn open(&mut self, kind: Kind, signature: Signature, params: usize) {
        let height = self.stack.len() - params;
        let mut base = self.stack.heights();
        for index in height..self.stack.len() {
            base.pop(self.stack.get(index).ty.val_type());
        }
        let start = self.out.here();
        let (settled, region) = (self.settled.len(), self.region());
        self.control.push(Control { height, base, start, settled, region, ..Control::of(kind, signature) });
    }

    /// Opens a block whose parameters are in their homes.
    pub(super) fn open_settled(&mut self, kind: Kind, ty: BlockType) {
        let signature = self.signature(ty);
        let params = signature.params().len();
        self.settle_top(params);
        self.settle_locals();
        self.out.commit();
        self.open(kind, signature, params);
    }

    /// The innermost block.
    pub(super) fn innermost(&self) -> &Control {
        self.control.last().expect("an open block")
    }

    pub(super) fn innermost_mut(&mut self) -> &mut Control {
        self.control.last_mut().expect("an open block")
    }

    /// The block `depth` levels out.
    pub(super) fn control_at(&self, depth: u32) -> &Control {
        &self.control[self.control.len() - 1 - depth as usize]
    }

    pub(super) fn block(&mut self, ty: BlockType) {
        self.open_settled(Kind::Block, ty);
    }

    pub(super) fn loop_(&mut self, ty: BlockType) {
        let signature = self.signature(ty);
        let params = signature.params().len();
        self.loop_header();
        self.open(Kind::Loop(self.loops.len() - 1), signature, params);
        self.new_segment();
    }

    pub(super) fn if_(&mut self, ty: BlockType) {
        let condition = self.stack.pop();
        let signature = self.signature(ty);
        let params = signature.params().len();
        // What is emitted between the comparison and the branch would keep them from being fused.
        let settled = (self.stack.len() - params..self.stack.len())
            .all(|i| self.stack.get(i).place == Place::Temp)
            && self.stack.find_local(None, self.stack.len()).is_none();
        if !settled {
            self.out.commit();
        }
        self.settle_top(params);
        self.settle_locals();
        let fixup = self.branch_when(condition, false, None);
        self.open(Kind::If, signature, params);
        self.control.last_mut().expect("just opened").otherwise = fixup;
        self.new_segment();
    }

    pub(super) fn else_(&mut self) {
        self.end_arm();
        let control = self.control.last_mut().expect("an open `if`");
        control.kind = Kind::Else;
        let params = control.signature.params();
        if let Some(fixup) = control.otherwise.take() {
            self.out.bind(fixup);
        }
        self.begin_arm();
        for ty in params {
            self.push_temp(ty);
        }
        self.new_segment();
    }

    /// Leaves an arm of the innermost block for its end.
    pub(super) fn end_arm(&mut self) {
        if self.reachable {
            self.settle_results();
            self.out.commit();
            let at = self.out.op(table::BR);
            let fixup = self.out.forward(at);
            self.innermost_mut().exits.push(Exit::Branch(fixup));
        }
    }

    /// Begins another arm, to which code comes from elsewhere: with the operands below the block.
    pub(super) fn begin_arm(&mut self) {
        let control = self.innermost();
        let (height, settled) = (control.height, control.settled);
        self.out.label();
        self.truncate(height);
        self.take_back(settled);
        self.reachable = true;
    }

    pub(super) fn end(&mut self) {
        if let Kind::Function = self.innermost().kind {
            if self.reachable {
                self.return_();
            }
            self.control.pop();
            return;
        }
        if self.reachable {
            self.settle_results();
        }
        self.end_region();
        let control = self.control.pop().expect("an open block");
        self.truncate(control.height);
        self.take_back(control.settled);
        if let Kind::Loop(index) = control.kind {
            self.loops[index].end = self.out.source;
        }
        let catches = matches!(control.kind, Kind::TryTable(_) | Kind::Try(_) | Kind::Catch(_));
        self.bind_handlers(control.kind);
        let joined = !control.exits.is_empty() || control.otherwise.is_some();
        if joined {
            self.out.commit();
        }
        let code = self.code_offset();
        for exit in control.exits.into_iter().chain(control.otherwise.map(Exit::Branch)) {
            match exit {
                Exit::Branch(fixup) => self.out.bind(fixup),
                Exit::Handler(clause) => self.handlers.bind(clause, code),
            }
        }
        if joined {
            self.out.label();
        }
        for ty in control.signature.results() {
            self.push_temp(ty);
        }
        let was_reachable = self.reachable;
        self.reachable |= joined;
        // The end of a block that catches begins a segment in any case: see `wasmrun_runtime::fuel`.
        if joined || !was_reachable || catches {
            self.segment = None;
            if self.reachable {
                self.new_segment();
            }
        }
    }

    /// Puts the results of the innermost block where the code behind it expects them.
    fn settle_results(&mut self) {
        self.move_results();
        let control = self.innermost();
        let (height, results) = (control.height, control.signature.results());
        self.truncate(height);
        for ty in results {
            self.push_temp(ty);
        }
    }

    pub(super) fn truncate(&mut self, height: usize) {
        while self.stack.len() > height {
            self.stack.pop();
        }
    }

    /// Types of the values that a branch to the block `depth` levels out carries.
    fn branch_types(&self, depth: u32) -> Vec<Ty> {
        let control = self.control_at(depth);
        match control.kind {
            Kind::Loop(_) => control.signature.params(),
            _ => control.signature.results(),
        }
    }

    /// The operands that such a branch carries, with the slots that they have to be in.
    pub(super) fn branch_moves(&self, depth: u32) -> Vec<(u16, Operand)> {
        let control = self.control_at(depth);
        let types = self.branch_types(depth);
        let first = self.stack.len() - types.len();
        self.moves_to(first, types.len(), control.base)
    }

    fn moves_to(&self, first: usize, count: usize, base: Heights) -> Vec<(u16, Operand)> {
        let operands = (first..first + count).map(|index| self.stack.get(index));
        let to = slots(base, operands.clone().map(|operand| operand.ty.val_type()));
        to.map(|slot| slot.number() as u16).zip(operands).collect()
    }

    /// Moves the results of the innermost block to their homes, without popping them.
    fn move_results(&mut self) {
        let control = self.innermost();
        let count = control.signature.results().len();
        let first = self.stack.len() - count;
        let moves = self.moves_to(first, count, control.base);
        self.perform(&moves);
    }

    /// Performs moves in order. Each goes to a temporary at or below its operand's home, so that none
    /// overwrites the source of a later one.
    fn perform(&mut self, moves: &[(u16, Operand)]) {
        for (to, operand) in moves {
            if !in_place(*to, operand) {
                self.move_to(*to, *operand);
            }
        }
    }

    pub(super) fn br(&mut self, depth: u32) {
        if self.is_function(depth) {
            self.return_();
        } else {
            let moves = self.branch_moves(depth);
            self.perform(&moves);
            self.out.commit();
            self.jump(depth);
        }
        self.unreachable();
    }

    pub(super) fn is_function(&self, depth: u32) -> bool {
        depth as usize + 1 == self.control.len()
    }

    /// Branches with these operands, which are those of such a branch; the stack is left as it is.
    pub(super) fn branch_with(&mut self, depth: u32, moves: &[(u16, Operand)]) {
        if self.is_function(depth) {
            self.return_values(moves);
        } else {
            self.perform(moves);
            self.jump(depth);
        }
    }

    /// An unconditional jump to a block that is not the function itself.
    fn jump(&mut self, depth: u32) {
        let index = self.control.len() - 1 - depth as usize;
        if self.control[index].is_loop() {
            let start = self.control[index].start;
            let at = self.out.op(table::BR_BACK);
            self.out.displacement(at, start);
        } else {
            let at = self.out.op(table::BR);
            let fixup = self.out.forward(at);
            self.control[index].exits.push(Exit::Branch(fixup));
        }
    }

    pub(super) fn br_if(&mut self, depth: u32) {
        let condition = self.stack.pop();
        self.branch_on(depth, |this, taken, back| this.branch_when(condition, taken, back));
    }

    /// `br_on_null`: the reference stays if it is not null.
    pub(super) fn br_on_null(&mut self, depth: u32) {
        let reference = self.stack.pop();
        let slot = self.in_slot(reference);
        self.branch_on(depth, |this, taken, back| this.branch_when_null(reference.ty, slot, taken, back));
        self.stack.push(reference.ty, reference.place);
    }

    /// `br_on_non_null`: the branch carries the reference, which is gone if it is null.
    pub(super) fn br_on_non_null(&mut self, depth: u32) {
        let reference = self.stack.get(self.stack.len() - 1);
        let slot = self.in_slot(reference);
        self.branch_on(depth, |this, taken, back| this.branch_when_null(reference.ty, slot, !taken, back));
        self.stack.pop();
    }

    /// A branch to the label `depth` levels out. `test` emits what branches when the condition is what it is told, to where
    /// it is told, as [`Self::branch_when`] does.
    pub(super) fn branch_on(
        &mut self,
        depth: u32,
        test: impl FnOnce(&mut Self, bool, Option<usize>) -> Option<Fixup>,
    ) {
        let moves = self.branch_moves(depth);
        let direct = !self.is_function(depth) && moves.iter().all(|(to, operand)| in_place(*to, operand));
        if direct {
            let index = self.control.len() - 1 - depth as usize;
            let back = self.control[index].is_loop().then_some(self.control[index].start);
            let fixup = test(self, true, back);
            self.control[index].exits.extend(fixup.map(Exit::Branch));
        } else {
            let over = test(self, false, None);
            self.branch_with(depth, &moves);
            if let Some(over) = over {
                self.out.bind(over);
            }
            self.out.label();
        }
        self.new_segment();
    }

    /// Branches when the reference in a slot is null, or when it is not: to `back`, or forwards to what the returned fixup is
    /// bound to.
    fn branch_when_null(&mut self, ty: Ty, slot: u16, when: bool, back: Option<usize>) -> Option<Fixup> {
        self.out.commit();
        let at = self.out.op(table::br_null(ty.is_collected(), when, back.is_some()));
        if ty.is_collected() {
            self.out.ref_slot(slot);
        } else {
            self.out.slot(slot);
        }
        match back {
            Some(start) => {
                self.out.displacement(at, start);
                None
            }
            None => Some(self.out.forward(at)),
        }
    }

    /// Branches when `condition` is `when`: to `back`, or forwards to what the returned fixup is bound to.
    fn branch_when(&mut self, condition: Operand, when: bool, back: Option<usize>) -> Option<Fixup> {
        let at = match self.fused(condition, when, back.is_some()) {
            Some(at) => at,
            None => {
                let acc = match condition.place {
                    Place::Temp => self.out.consume_acc(condition.ty.class(), condition.home),
                    Place::Local(index) => {
                        self.out.in_acc(condition.ty.class(), self.stack.local(index).slot)
                    }
                    Place::Const(_) => false,
                };
                let slot = if acc { None } else { Some(self.in_slot(condition)) };
                let at = self.out.op(table::br_if(acc, when, back.is_some()));
                slot.into_iter().for_each(|slot| self.out.slot(slot));
                at
            }
        };
        self.out.commit();
        match back {
            Some(start) => {
                self.out.displacement(at, start);
                None
            }
            None => Some(self.out.forward(at)),
        }
    }

    /// Emits the comparison before as part of the branch, if there is one that only the branch reads.
    fn fused(&mut self, condition: Operand, when: bool, back: bool) -> Option<usize> {
        if condition.place != Place::Temp {
            return None;
        }
        let (opcode, operands) = self.out.last_for(condition.home)?;
        let (kind, modes) = table::as_binary(opcode)?;
        let row = kind.comparison()?;
        let fused = if table::is_float_compare(row) {
            if back {
                return None;
            }
            table::compare(row, modes, !when)
        } else {
            let kind = if when { kind } else { kind.negated()? };
            table::compare(kind.comparison()?, modes, back)
        };
        let operands = operands.to_vec();
        self.out.retract_last();
        let at = self.out.op(fused);
        self.out.fields_of(opcode, &operands);
        Some(at)
    }

    pub(super) fn br_table(&mut self, targets: &BrTable<'_>) {
        let index = self.stack.pop();
        let acc = index.place == Place::Temp && self.out.consume_acc(index.ty.class(), index.home);
        let slot = if acc { None } else { Some(self.in_slot(index)) };
        self.out.commit();
        let at = self.out.op(if acc { table::BR_TABLE_ACC } else { table::BR_TABLE_SLOT });
        slot.into_iter().for_each(|slot| self.out.slot(slot));
        self.out.field(Field::Targets, targets.len().into());
        let depths = targets.targets().map(|t| t.expect("validated targets")).chain([targets.default()]);
        // Entries that need code on the way share it.
        let mut entries: Vec<(u32, Fixup)> = depths.map(|depth| (depth, self.out.target(at))).collect();
        entries.sort_by_key(|(depth, _)| *depth);
        for entries in entries.chunk_by(|(a, _), (b, _)| a == b) {
            let depth = entries[0].0;
            let entries = entries.iter().map(|(_, fixup)| *fixup);
            let index = self.control.len() - 1 - depth as usize;
            let moves = self.branch_moves(depth);
            let direct = !self.is_function(depth)
                && !self.control[index].is_loop()
                && moves.iter().all(|(to, operand)| in_place(*to, operand));
            if direct {
                self.control[index].exits.extend(entries.map(Exit::Branch));
                continue;
            }
            self.out.label();
            entries.for_each(|fixup| self.out.bind(fixup));
            self.branch_with(depth, &moves);
        }
        self.unreachable();
    }

    pub(super) fn return_(&mut self) {
        let depth = self.control.len() as u32 - 1;
        let moves = self.branch_moves(depth);
        self.return_values(&moves);
        self.unreachable();
    }

    /// Returns these operands; the stack is left as it is.
    fn return_values(&mut self, moves: &[(u16, Operand)]) {
        let values: Vec<_> = moves.iter().filter(|(_, operand)| !operand.ty.is_collected()).collect();
        let references: Vec<_> =
            moves.iter().filter(|(_, operand)| operand.ty.is_collected()).copied().collect();
        self.perform(&references);
        if let [(_, value)] = values[..] {
            return self.return_one(*value);
        }
        // Results share slots with parameters, which may be among the sources: those get out of the way.
        let mut safe: Vec<(u16, Operand)> = Vec::with_capacity(values.len());
        for (to, operand) in values.iter().copied() {
            let mut operand = *operand;
            if let Place::Local(_) = operand.place {
                self.move_to(operand.home, operand);
                operand.place = Place::Temp;
            }
            safe.push((*to, operand));
        }
        self.out.commit();
        for (to, operand) in safe {
            self.move_to(to, operand);
        }
        self.out.op(table::RET);
        self.out.slot(self.link);
    }

    fn return_one(&mut self, value: Operand) {
        if value.ty == Ty::V128 {
            let slot = self.in_slot(value);
            self.out.op(table::RET_VECTOR);
            self.out.slot(self.link);
            return self.out.vector(slot);
        }
        let (slot_op, acc_op) = match value.ty {
            Ty::F32 => (table::RET_F32_SLOT, table::RET_F32_ACC),
            Ty::F64 => (table::RET_F64_SLOT, table::RET_F64_ACC),
            _ => (table::RET_SLOT, table::RET_ACC),
        };
        let class = value.ty.class();
        match value.place {
            Place::Const(bits) => {
                let immediate = match value.ty {
                    Ty::F64 => Some(table::RET_F64_IMM),
                    Ty::F32 => Some(table::RET_F32_IMM),
                    Ty::I32 => Some(table::RET_I32_IMM),
                    _ if fits_i32(bits) => Some(table::RET_I64_IMM),
                    _ => None,
                };
                match immediate {
                    Some(opcode) => {
                        self.out.op(opcode);
                        self.out.slot(self.link);
                        self.immediate(value.ty, bits);
                    }
                    None => {
                        let slot = self.in_slot(value);
                        self.out.op(slot_op);
                        self.out.slot(self.link);
                        self.out.slot(slot);
                    }
                }
            }
            _ => {
                let slot = self.in_slot(value);
                let acc = self.out.in_acc(class, slot);
                self.out.op(if acc { acc_op } else { slot_op });
                self.out.slot(self.link);
                if !acc {
                    self.out.slot(slot);
                }
            }
        }
    }

    /// Appends an immediate of a type.
    pub(super) fn immediate(&mut self, ty: Ty, bits: u64) {
        let field = match ty {
            Ty::I32 => Field::I32,
            Ty::F32 => Field::F32,
            Ty::F64 => Field::F64,
            _ => Field::I64,
        };
        self.out.field(field, bits);
    }
}

/// Whether a 64-bit constant is a sign-extended 32-bit one.
pub(super) fn fits_i32(bits: u64) -> bool {
    i32::try_from(bits as i64).is_ok()
}

pub(super) fn in_place(to: u16, operand: &Operand) -> bool {
    operand.place == Place::Temp && operand.home == to
}
