//! Where instructions find their operands, and their fields.

use super::Translator;
use super::stack::{Operand, Place, Ty};
use crate::field::Field;
use crate::table::Mode;

/// A source operand of an instruction, once its addressing mode has been chosen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    Slot(u16),
    Acc,
    Imm(u64),
}

impl Input {
    pub(super) fn mode(self) -> Mode {
        match self {
            Input::Slot(_) => Mode::Slot,
            Input::Acc => Mode::Acc,
            Input::Imm(_) => Mode::Imm,
        }
    }
}

impl Translator<'_> {
    pub(super) fn push_const(&mut self, ty: Ty, bits: u64) {
        self.stack.push(ty, Place::Const(bits));
    }

    /// Where an instruction finds an operand that it alone reads. A constant that does not fit an immediate
    /// is put into its home.
    pub(super) fn input(&mut self, operand: Operand) -> Input {
        let class = operand.ty.class();
        match operand.place {
            Place::Temp if self.out.consume_acc(class, operand.home) => Input::Acc,
            Place::Temp => Input::Slot(operand.home),
            Place::Local(index) => {
                let slot = self.stack.local(index).slot;
                if self.out.in_acc(class, slot) { Input::Acc } else { Input::Slot(slot) }
            }
            Place::Const(bits) => match operand.ty {
                Ty::I64 | Ty::Func if !fits_i32(bits) => Input::Slot(self.in_slot(operand)),
                _ => Input::Imm(bits),
            },
        }
    }

    /// The same without the accumulator.
    pub(super) fn slot_or_imm(&mut self, operand: Operand) -> Input {
        match operand.place {
            Place::Const(bits) if !matches!(operand.ty, Ty::I64 | Ty::Func) || fits_i32(bits) => {
                Input::Imm(bits)
            }
            _ => Input::Slot(self.in_slot(operand)),
        }
    }

    /// Appends a source of type `ty` to the instruction.
    pub(super) fn input_field(&mut self, input: Input, ty: Ty) {
        match input {
            Input::Slot(slot) => self.out.slot(slot),
            Input::Acc => {}
            Input::Imm(bits) => self.immediate(ty, bits),
        }
    }

    /// Pops so many operands; their slots, the lowest first.
    pub(super) fn pop_slots(&mut self, operands: usize) -> Vec<u16> {
        let mut popped: Vec<Operand> = (0..operands).map(|_| self.stack.pop()).collect();
        popped.reverse();
        popped.into_iter().map(|operand| self.in_slot(operand)).collect()
    }

    /// An instruction on whole memories or tables: `operands` slots, then indices.
    pub(super) fn bulk(
        &mut self,
        opcode: u16,
        operands: usize,
        indices: &[(Field, u32)],
        result: Option<Ty>,
    ) {
        let slots = self.pop_slots(operands);
        match result {
            Some(ty) => {
                let dest = self.push_temp(ty);
                self.out.op_to(opcode, dest, None);
            }
            None => {
                self.out.op(opcode);
            }
        }
        slots.into_iter().for_each(|slot| self.out.slot(slot));
        indices.iter().for_each(|(field, index)| self.out.field(*field, (*index).into()));
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
