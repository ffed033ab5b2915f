//! Branches, and the moves of values to where they lead.

use wasmparser::BrTable;
use wasmrun_runtime::frame::{Heights, slots};

use super::Translator;
use super::control::{Exit, Kind};
use super::emit::Fixup;
use super::operands::fits_i32;
use super::stack::{Operand, Place, Ty};
use crate::field::Field;
use crate::table;

impl Translator<'_> {
    /// Types of the values that a branch to the block `depth` levels out carries.
    pub(super) fn branch_types(&self, depth: u32) -> Vec<Ty> {
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

    pub(super) fn moves_to(&self, first: usize, count: usize, base: Heights) -> Vec<(u16, Operand)> {
        let operands = (first..first + count).map(|index| self.stack.get(index));
        let to = slots(base, operands.clone().map(|operand| operand.ty.val_type()));
        to.map(|slot| slot.number() as u16).zip(operands).collect()
    }

    /// Moves the results of the innermost block to their homes, without popping them.
    pub(super) fn move_results(&mut self) {
        let control = self.innermost();
        let count = control.signature.results().len();
        let first = self.stack.len() - count;
        let moves = self.moves_to(first, count, control.base);
        self.perform(&moves);
    }

    /// Performs moves in order. Each goes to a temporary at or below its operand's home, so that none
    /// overwrites the source of a later one.
    pub(super) fn perform(&mut self, moves: &[(u16, Operand)]) {
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
    pub(super) fn jump(&mut self, depth: u32) {
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

    /// Branches when `condition` is `when`: to `back`, or forwards to what the returned fixup is bound to.
    pub(super) fn branch_when(
        &mut self,
        condition: Operand,
        when: bool,
        back: Option<usize>,
    ) -> Option<Fixup> {
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
    pub(super) fn fused(&mut self, condition: Operand, when: bool, back: bool) -> Option<usize> {
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
    pub(super) fn return_values(&mut self, moves: &[(u16, Operand)]) {
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

    pub(super) fn return_one(&mut self, value: Operand) {
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
}

pub(super) fn in_place(to: u16, operand: &Operand) -> bool {
    operand.place == Place::Temp && operand.home == to
}
