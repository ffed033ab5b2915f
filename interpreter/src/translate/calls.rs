//! Calls: arguments in their homes are where the callee's frame starts.

use wasmrun_runtime::frame::Heights;
use wasmrun_runtime::types::{FuncType, SignatureSlots};
use wasmrun_runtime::vm::MAX_ELEMENTS;

use super::Translator;
use super::operands::fits_i32;
use super::stack::{Operand, Place, Ty};
use crate::code::CallSite;
use crate::field::Field;
use crate::table;

/// Where the arguments of a call, or what an exception carries, start.
pub(super) struct Arguments {
    pub(super) value: u16,
    pub(super) reference: u16,
}

impl Translator<'_> {
    /// Settles and pops the arguments of a call.
    pub(super) fn arguments(&mut self, ty: &FuncType) -> Arguments {
        let count = ty.params().len();
        self.settle_top(count);
        self.out.commit();
        for _ in 0..count {
            self.stack.pop();
        }
        let Heights { values, references } = self.stack.heights();
        Arguments { value: values as u16, reference: references as u16 }
    }

    /// Pushes the results of a call, which are where its arguments were.
    fn results(&mut self, ty: &FuncType, at: &Arguments) {
        self.out.called();
        for ty in ty.results() {
            self.push_temp(Ty::of(*ty));
        }
        let mut values = ty.results().iter().map(|ty| Ty::of(*ty)).filter(|ty| !ty.is_collected());
        // A single value comes back in the accumulator as well.
        if let (Some(value), None) = (values.next(), values.next())
            && let Some(class) = value.accumulator()
        {
            self.out.holds(class, at.value);
        }
        self.new_segment();
    }

    /// Moves the reference frame behind our own references, if there are any, around a call.
    fn around(&mut self, at: &Arguments, call: impl FnOnce(&mut Self)) {
        if at.reference > 0 {
            self.out.op(table::REF_ENTER);
            self.out.count(at.reference.into());
        }
        call(self);
        if at.reference > 0 {
            self.out.op(table::REF_LEAVE);
            self.out.count(at.reference.into());
        }
    }

    fn restore(&mut self, at: &Arguments) {
        self.out.op(table::RESTORE);
        self.out.slot(self.layout.saved_context() as u16);
        self.out.field(Field::Frame, at.value.into());
    }

    pub(super) fn call(&mut self, function: u32) {
        let ty = self.module.function_type(function).clone();
        let at = self.arguments(&ty);
        self.around(&at, |this| match function.checked_sub(this.module.imported_function_count()) {
            Some(defined) => {
                this.out.op(table::CALL);
                this.out.field(Field::Defined, defined.into());
                this.out.field(Field::Frame, at.value.into());
            }
            None => {
                this.out.op(table::CALL_IMPORT);
                this.out.field(Field::Context, this.module.layout().imported_function(function).into());
                this.out.field(Field::Frame, at.value.into());
                this.restore(&at);
            }
        });
        self.results(&ty, &at);
    }

    pub(super) fn call_indirect(&mut self, ty_index: u32, table_index: u32) {
        let ty = self.module.func_type(ty_index).clone();
        let index = self.stack.pop();
        let table_offset = self.module.layout().table(table_index);
        let index = self.index_operand(index);
        let at = self.arguments(&ty);
        self.around(&at, |this| {
            match index {
                Index::Acc => {
                    this.out.op(table::CALL_INDIRECT_ACC);
                }
                Index::Slot(slot) => {
                    this.out.op(table::CALL_INDIRECT_SLOT);
                    this.out.slot(slot);
                }
                Index::Imm(value) => {
                    this.out.op(table::CALL_INDIRECT_IMM);
                    this.out.field(Field::I64, value.into());
                }
            }
            this.out.field(Field::Context, table_offset.into());
            this.out.field(Field::Type, ty_index.into());
            this.callee_seen();
            this.out.field(Field::Frame, at.value.into());
            this.restore(&at);
        });
        self.results(&ty, &at);
    }

    pub(super) fn call_ref(&mut self, ty_index: u32) {
        let ty = self.module.func_type(ty_index).clone();
        let callee = self.stack.pop();
        let callee = self.in_slot(callee);
        let at = self.arguments(&ty);
        self.around(&at, |this| {
            this.out.op(table::CALL_REF);
            this.out.slot(callee);
            this.callee_seen();
            this.out.field(Field::Frame, at.value.into());
            this.restore(&at);
        });
        self.results(&ty, &at);
    }

    /// Where the instruction at hand keeps whom it has called.
    fn callee_seen(&mut self) {
        let code = self.code_offset();
        self.calls.push(CallSite { wasm: self.out.source, code });
        // Nearly no function has this number, and if one has, it is not seen.
        self.out.field(Field::Callee, u16::MAX.into());
        self.out.field(Field::Changes, 0);
    }

    /// Where an index can be read once the arguments have been settled, which leaves accumulators alone.
    fn index_operand(&mut self, index: Operand) -> Index {
        // A negative index of 64 bits is cut off to one that no table has either.
        const { assert!(MAX_ELEMENTS <= 1 << 31) }
        match index.place {
            Place::Const(bits) if fits_i32(bits) || bits <= u64::from(u32::MAX) => Index::Imm(bits as u32),
            Place::Temp if self.out.consume_acc(index.ty.class(), index.home) => Index::Acc,
            _ => Index::Slot(self.in_slot(index)),
        }
    }

    /// Moves the reference arguments of a tail call to where the callee's frame starts: here.
    fn tail_references(&mut self, at: &Arguments, slots: SignatureSlots) {
        if slots.ref_params > 0 && at.reference > 0 {
            self.out.op(table::REF_MOVE);
            self.out.field(Field::RefDest, 0);
            self.out.ref_slot(at.reference);
            self.out.count(slots.ref_params);
        }
    }

    pub(super) fn return_call(&mut self, function: u32) {
        let ty = self.module.function_type(function).clone();
        let slots = ty.slots();
        let at = self.arguments(&ty);
        self.tail_references(&at, slots);
        match function.checked_sub(self.module.imported_function_count()) {
            Some(defined) => {
                self.out.op(table::TAIL_CALL);
                self.out.field(Field::Defined, defined.into());
            }
            None => {
                self.out.op(table::TAIL_CALL_IMPORT);
                self.out.field(Field::Context, self.module.layout().imported_function(function).into());
            }
        }
        self.tail_operands(&at, slots);
        if function < self.module.imported_function_count() {
            self.out.count(slots.results);
        }
        self.unreachable();
    }

    fn tail_operands(&mut self, at: &Arguments, slots: SignatureSlots) {
        self.out.slot(at.value);
        self.out.count(slots.params);
        self.out.slot(self.link);
    }

    pub(super) fn return_call_indirect(&mut self, ty_index: u32, table_index: u32) {
        let ty = self.module.func_type(ty_index).clone();
        let slots = ty.slots();
        let index = self.stack.pop();
        let index = self.in_slot(index);
        let at = self.arguments(&ty);
        self.tail_references(&at, slots);
        self.out.op(table::TAIL_CALL_INDIRECT);
        self.out.slot(index);
        self.out.field(Field::Context, self.module.layout().table(table_index).into());
        self.out.field(Field::Type, ty_index.into());
        self.tail_operands(&at, slots);
        self.out.count(slots.results);
        self.unreachable();
    }

    pub(super) fn return_call_ref(&mut self, ty_index: u32) {
        let ty = self.module.func_type(ty_index).clone();
        let slots = ty.slots();
        let callee = self.stack.pop();
        let callee = self.in_slot(callee);
        let at = self.arguments(&ty);
        self.tail_references(&at, slots);
        self.out.op(table::TAIL_CALL_REF);
        self.out.slot(callee);
        self.tail_operands(&at, slots);
        self.out.count(slots.results);
        self.unreachable();
    }
}

/// Where the index of an indirect call is.
enum Index {
    Acc,
    Slot(u16),
    Imm(u32),
}
