//! Instructions on globals.

use wasmrun_runtime::layout::GlobalPlace;

use super::Translator;
use super::operands::Input;
use super::stack::Ty;
use crate::field::Field;
use crate::mode::Class;
use crate::table;

impl Translator<'_> {
    pub(super) fn global_get(&mut self, index: u32) {
        let ty = Ty::of(self.module.global_type(index).content);
        if ty.is_collected() {
            let dest = self.push_temp(ty);
            self.out.op(table::REF_GLOBAL_GET);
            self.out.field(Field::RefDest, dest.into());
            self.out.field(Field::Global, index.into());
            return;
        }
        let place = self.module.layout().global(index);
        if ty == Ty::V128 {
            return self.global_get_vector(place);
        }
        let (opcode, offset) = match place {
            GlobalPlace::Own(offset) => (table::GLOBAL_GET, offset),
            GlobalPlace::Imported(offset) => (table::GLOBAL_GET_FAR, offset),
        };
        let dest = self.push_temp(ty);
        let class = ty.class();
        // The value goes through the integer accumulator, whatever its type.
        self.out.op_to(opcode, dest, (class == Class::Int).then_some(class));
        if class != Class::Int {
            self.out.clobber(Class::Int);
        }
        self.out.field(Field::Context, offset.into());
    }

    pub(super) fn global_set(&mut self, index: u32) {
        let value = self.stack.pop();
        if value.ty.is_collected() {
            self.out.op(table::REF_GLOBAL_SET);
            self.out.ref_slot(value.home);
            self.out.field(Field::Global, index.into());
            return;
        }
        let place = self.module.layout().global(index);
        if value.ty == Ty::V128 {
            return self.global_set_vector(place, value);
        }
        let input = match (place, value.ty) {
            // Immediates of this instruction are sign-extended; those of an `i32` must not be.
            (GlobalPlace::Own(_), Ty::I64 | Ty::Func) => self.input(value),
            (GlobalPlace::Own(_), Ty::I32) => match self.input(value) {
                Input::Imm(bits) if bits > i32::MAX as u64 => Input::Slot(self.in_slot(value)),
                other => other,
            },
            _ => Input::Slot(self.in_slot(value)),
        };
        let (opcode, offset) = match (place, input) {
            (GlobalPlace::Own(offset), Input::Slot(_)) => (table::GLOBAL_SET, offset),
            (GlobalPlace::Own(offset), Input::Acc) => (table::GLOBAL_SET_ACC, offset),
            (GlobalPlace::Own(offset), Input::Imm(_)) => (table::GLOBAL_SET_IMM, offset),
            (GlobalPlace::Imported(offset), _) => (table::GLOBAL_SET_FAR, offset),
        };
        self.out.op(opcode);
        // Immediates of this instruction are whole slots, whatever the type.
        self.input_field(input, Ty::I64);
        self.out.field(Field::Context, offset.into());
    }
}
