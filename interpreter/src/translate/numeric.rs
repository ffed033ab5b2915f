//! Instructions that compute a value from others.

use super::Translator;
use super::operands::Input;
use super::stack::{Operand, Place, Ty};
use crate::field::Field;
use crate::mode::Class;
use crate::table::{self, BinaryKind, Modes, SelectKind, UnaryKind};

impl Translator<'_> {
    pub(super) fn binary(&mut self, kind: BinaryKind, result: Ty) {
        let b = self.stack.pop();
        let a = self.stack.pop();
        self.binary_of(kind, a, b, result);
    }

    pub(super) fn binary_of(&mut self, kind: BinaryKind, a: Operand, b: Operand, result: Ty) {
        let shift = match kind {
            BinaryKind::I32Add => Some(BinaryKind::I32Shl),
            BinaryKind::I64Add => Some(BinaryKind::I64Shl),
            _ => None,
        };
        if let Some(shift) = shift
            && (self.element(shift, a, b) || self.element(shift, b, a))
        {
            return;
        }
        let mut x = self.input(a);
        let mut y = self.input(b);
        // One accumulator serves one operand, and one of two constants needs a slot.
        match (x, y) {
            (Input::Acc, Input::Acc) => y = Input::Slot(self.in_slot(b)),
            (Input::Imm(_), Input::Imm(_)) => x = Input::Slot(self.in_slot(a)),
            _ => {}
        }
        let modes = match (x, y) {
            (Input::Slot(_), Input::Slot(_)) => Modes::SlotSlot,
            (Input::Slot(_), Input::Acc) => Modes::SlotAcc,
            (Input::Slot(_), Input::Imm(_)) => Modes::SlotImm,
            (Input::Acc, Input::Imm(_)) => Modes::AccImm,
            (Input::Acc, _) => Modes::AccSlot,
            (Input::Imm(_), Input::Acc) => Modes::ImmAcc,
            (Input::Imm(_), _) => Modes::ImmSlot,
        };
        let dest = self.push_temp(result);
        self.out.op_to(table::binary(kind, modes), dest, Some(result.class()));
        self.input_field(x, a.ty);
        self.input_field(y, b.ty);
    }

    /// Emits an addition as the address of an array's element, if `index` has just been shifted by a
    /// constant, by `shift`, and nothing else reads it.
    pub(super) fn element(&mut self, shift: BinaryKind, base: Operand, index: Operand) -> bool {
        if index.place != Place::Temp || matches!(base.place, Place::Const(_)) {
            return false;
        }
        let Some((opcode, operands)) = self.out.last_for(index.home) else { return false };
        let index_in_acc = match table::as_binary(opcode) {
            Some((kind, modes)) if kind == shift && modes == Modes::SlotImm as u16 => false,
            Some((kind, modes)) if kind == shift && modes == Modes::AccImm as u16 => true,
            _ => return false,
        };
        let operands = operands.to_vec();
        self.out.retract_last();
        let mut x = self.input(base);
        if index_in_acc && x == Input::Acc {
            x = Input::Slot(self.in_slot(base));
        }
        let modes = match (x, index_in_acc) {
            (Input::Acc, _) => Modes::AccSlot,
            (_, true) => Modes::SlotAcc,
            (_, false) => Modes::SlotSlot,
        };
        let dest = self.push_temp(base.ty);
        self.out.op_to(table::element(base.ty == Ty::I64, modes as u16), dest, Some(Class::Int));
        self.input_field(x, base.ty);
        self.out.fields_of(opcode, &operands);
        true
    }

    /// Comparison with zero; of a comparison, its negation.
    pub(super) fn eqz(&mut self, kind: BinaryKind, ty: Ty) {
        let a = self.stack.pop();
        if ty == Ty::I32
            && a.place == Place::Temp
            && let Some((opcode, _)) = self.out.last_for(a.home)
            && let Some((compared, modes)) = table::as_binary(opcode)
            && compared.comparison().is_some()
            && let Some(negated) = compared.negated()
        {
            self.out.replace_last(table::binary(negated, Modes::SlotSlot) + modes);
            self.push_temp(Ty::I32);
            return;
        }
        let zero = Operand { ty, place: Place::Const(0), home: a.home };
        if let Place::Const(_) = a.place {
            // The home of the constant is free for it; the zero stays an immediate.
            let slot = self.in_slot(a);
            debug_assert_eq!(slot, a.home);
            let a = Operand { place: Place::Temp, ..a };
            return self.binary_of(kind, a, zero, Ty::I32);
        }
        self.binary_of(kind, a, zero, Ty::I32);
    }

    pub(super) fn unary(&mut self, kind: UnaryKind, result: Ty) {
        let a = self.stack.pop();
        let x = match self.input(a) {
            Input::Imm(_) => Input::Slot(self.in_slot(a)),
            other => other,
        };
        let dest = self.push_temp(result);
        self.out.op_to(table::unary(kind, x == Input::Acc), dest, Some(result.class()));
        self.input_field(x, a.ty);
    }

    /// An instruction with so many operands and a result of two.
    pub(super) fn wide(&mut self, opcode: u16, operands: usize) {
        let slots = self.pop_slots(operands);
        let results = [self.push_temp(Ty::I64), self.push_temp(Ty::I64)];
        self.out.op_to_both(opcode, results);
        slots.into_iter().for_each(|slot| self.out.slot(slot));
    }

    /// `i64.extend_i32_u` makes no code: a slot with an `i32` is zero-extended.
    pub(super) fn extend_u(&mut self) {
        let a = self.stack.pop();
        self.stack.push(Ty::I64, a.place);
    }

    pub(super) fn select(&mut self) {
        let condition = self.stack.pop();
        let b = self.stack.pop();
        let a = self.stack.pop();
        if a.ty.is_collected() {
            let condition = self.in_slot(condition);
            let dest = self.push_temp(a.ty);
            self.out.op(table::REF_SELECT);
            self.out.field(Field::RefDest, dest.into());
            self.out.ref_slot(a.home);
            self.out.ref_slot(b.home);
            self.out.slot(condition);
            return;
        }
        if a.ty == Ty::V128 {
            return self.select_vector(a, b, condition);
        }
        let kind = match a.ty {
            Ty::I32 => SelectKind::I32,
            Ty::F32 => SelectKind::F32,
            Ty::F64 => SelectKind::F64,
            _ => SelectKind::I64,
        };
        let x = self.slot_or_imm(a);
        let y = self.slot_or_imm(b);
        let c = match self.input(condition) {
            Input::Imm(_) => Input::Slot(self.in_slot(condition)),
            other => other,
        };
        let imm = |input| matches!(input, Input::Imm(_));
        let opcode = table::select(kind, imm(x), imm(y), c == Input::Acc);
        let dest = self.push_temp(a.ty);
        self.out.op_to(opcode, dest, Some(a.ty.class()));
        self.input_field(x, a.ty);
        self.input_field(y, b.ty);
        self.input_field(c, Ty::I32);
    }
}
