//! Which instruction each operator becomes.

use wasmparser::{MemArg, MemArgTarget, Operator};
use wasmrun_runtime::layout::GlobalPlace;

use super::Translator;
use super::control::fits_i32;
use super::stack::{Operand, Place, Ty};
use crate::field::Field;
use crate::mode::Class;
use crate::table::{self, BinaryKind, LoadKind, Mode, Modes, SelectKind, StoreKind, UnaryKind};

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
    pub(super) fn translate(&mut self, operator: &Operator<'_>) {
        use BinaryKind as B;
        use LoadKind as L;
        use Operator as O;
        use StoreKind as S;
        use Ty::{F32, F64, I32, I64};
        use UnaryKind as U;
        match *operator {
            O::Nop => {}
            O::Unreachable => {
                self.out.op(table::UNREACHABLE);
                self.unreachable();
            }
            O::Block { blockty } => self.block(blockty),
            O::Loop { blockty } => self.loop_(blockty),
            O::If { blockty } => self.if_(blockty),
            O::Else => self.else_(),
            O::End => self.end(),
            O::Br { relative_depth } => self.br(relative_depth),
            O::BrIf { relative_depth } => self.br_if(relative_depth),
            O::BrTable { ref targets } => self.br_table(targets),
            O::Return => self.return_(),
            O::TryTable { ref try_table } => self.try_table(try_table),
            O::Throw { tag_index } => self.throw(tag_index),
            O::ThrowRef => self.throw_ref(),
            O::Try { blockty } => self.try_(blockty),
            O::Catch { tag_index } => self.catch(Some(tag_index)),
            O::CatchAll => self.catch(None),
            O::Rethrow { relative_depth } => self.rethrow(relative_depth),
            O::Delegate { relative_depth } => self.delegate(relative_depth),
            O::Call { function_index } => self.call(function_index),
            O::CallIndirect { type_index, table_index } => self.call_indirect(type_index, table_index),
            O::ReturnCall { function_index } => self.return_call(function_index),
            O::ReturnCallIndirect { type_index, table_index } => {
                self.return_call_indirect(type_index, table_index);
            }
            O::Drop => {
                self.stack.pop();
            }
            O::Select | O::TypedSelect { .. } => self.select(),

            O::LocalGet { local_index } => self.local_get(local_index),
            O::LocalSet { local_index } => self.local_set(local_index),
            O::LocalTee { local_index } => self.local_tee(local_index),
            O::GlobalGet { global_index } => self.global_get(global_index),
            O::GlobalSet { global_index } => self.global_set(global_index),

            O::I32Const { value } => self.push_const(I32, (value as u32).into()),
            O::I64Const { value } => self.push_const(I64, value as u64),
            O::F32Const { value } => self.push_const(F32, value.bits().into()),
            O::F64Const { value } => self.push_const(F64, value.bits()),

            O::I32Load { memarg } => self.load(L::Load32, I32, memarg),
            O::I64Load { memarg } => self.load(L::Load64, I64, memarg),
            O::F32Load { memarg } => self.load(L::LoadF32, F32, memarg),
            O::F64Load { memarg } => self.load(L::LoadF64, F64, memarg),
            O::I32Load8S { memarg } => self.load(L::I32Load8S, I32, memarg),
            O::I32Load8U { memarg } => self.load(L::Load8U, I32, memarg),
            O::I32Load16S { memarg } => self.load(L::I32Load16S, I32, memarg),
            O::I32Load16U { memarg } => self.load(L::Load16U, I32, memarg),
            O::I64Load8S { memarg } => self.load(L::I64Load8S, I64, memarg),
            O::I64Load8U { memarg } => self.load(L::Load8U, I64, memarg),
            O::I64Load16S { memarg } => self.load(L::I64Load16S, I64, memarg),
            O::I64Load16U { memarg } => self.load(L::Load16U, I64, memarg),
            O::I64Load32S { memarg } => self.load(L::I64Load32S, I64, memarg),
            O::I64Load32U { memarg } => self.load(L::Load32, I64, memarg),
            O::I32Store { memarg } | O::I64Store32 { memarg } => self.store(S::Store32, memarg),
            O::I64Store { memarg } => self.store(S::Store64, memarg),
            O::F32Store { memarg } => self.store(S::StoreF32, memarg),
            O::F64Store { memarg } => self.store(S::StoreF64, memarg),
            O::I32Store8 { memarg } | O::I64Store8 { memarg } => self.store(S::Store8, memarg),
            O::I32Store16 { memarg } | O::I64Store16 { memarg } => self.store(S::Store16, memarg),

            O::MemorySize { mem } => {
                let ty = self.address_ty(mem);
                self.bulk(table::MEMORY_SIZE, 0, &[(Field::Memory, mem)], Some(ty));
            }
            O::MemoryGrow { mem } => {
                let ty = self.address_ty(mem);
                self.bulk(table::MEMORY_GROW, 1, &[(Field::Memory, mem)], Some(ty));
            }
            O::MemoryFill { mem } => self.bulk(table::MEMORY_FILL, 3, &[(Field::Memory, mem)], None),
            O::MemoryCopy { dst_mem, src_mem } => {
                self.bulk(table::MEMORY_COPY, 3, &[(Field::Memory, dst_mem), (Field::Memory, src_mem)], None);
            }
            O::MemoryInit { data_index, mem } => {
                self.bulk(table::MEMORY_INIT, 3, &[(Field::Data, data_index), (Field::Memory, mem)], None);
            }
            O::DataDrop { data_index } => self.bulk(table::DATA_DROP, 0, &[(Field::Data, data_index)], None),
            O::TableSize { table } => {
                let ty = self.index_ty(table);
                self.bulk(table::TABLE_SIZE, 0, &[(Field::Table, table)], Some(ty));
            }
            O::TableCopy { dst_table, src_table } => {
                self.bulk(
                    table::TABLE_COPY,
                    3,
                    &[(Field::Table, dst_table), (Field::Table, src_table)],
                    None,
                );
            }
            O::TableInit { elem_index, table } => {
                self.bulk(table::TABLE_INIT, 3, &[(Field::Element, elem_index), (Field::Table, table)], None);
            }
            O::ElemDrop { elem_index } => {
                self.bulk(table::ELEM_DROP, 0, &[(Field::Element, elem_index)], None)
            }
            O::TableGet { table } => self.table_get(table),
            O::TableSet { table } => self.table_set(table),
            O::TableGrow { table } => self.table_grow(table),
            O::TableFill { table } => self.table_fill(table),
            O::RefNull { hty } => {
                if self.module.heap_type(hty).is_collected() {
                    let home = self.push_temp(Ty::Collected);
                    self.out.op(table::REF_NULL);
                    self.out.field(Field::RefDest, home.into());
                } else {
                    self.push_const(Ty::Func, 0);
                }
            }
            O::RefFunc { function_index } => {
                self.bulk(table::REF_FUNC, 0, &[(Field::Function, function_index)], Some(Ty::Func));
            }
            O::RefIsNull => self.ref_is_null(),
            O::RefAsNonNull => self.ref_as_non_null(),
            O::BrOnNull { relative_depth } => self.br_on_null(relative_depth),
            O::BrOnNonNull { relative_depth } => self.br_on_non_null(relative_depth),
            O::CallRef { type_index } => self.call_ref(type_index),
            O::ReturnCallRef { type_index } => self.return_call_ref(type_index),

            O::I32Eqz => self.eqz(B::I32Eq, I32),
            O::I64Eqz => self.eqz(B::I64Eq, I64),
            O::I32Eq => self.binary(B::I32Eq, I32),
            O::I32Ne => self.binary(B::I32Ne, I32),
            O::I32LtS => self.binary(B::I32LtS, I32),
            O::I32LtU => self.binary(B::I32LtU, I32),
            O::I32GtS => self.binary(B::I32GtS, I32),
            O::I32GtU => self.binary(B::I32GtU, I32),
            O::I32LeS => self.binary(B::I32LeS, I32),
            O::I32LeU => self.binary(B::I32LeU, I32),
            O::I32GeS => self.binary(B::I32GeS, I32),
            O::I32GeU => self.binary(B::I32GeU, I32),
            O::I64Eq => self.binary(B::I64Eq, I32),
            O::I64Ne => self.binary(B::I64Ne, I32),
            O::I64LtS => self.binary(B::I64LtS, I32),
            O::I64LtU => self.binary(B::I64LtU, I32),
            O::I64GtS => self.binary(B::I64GtS, I32),
            O::I64GtU => self.binary(B::I64GtU, I32),
            O::I64LeS => self.binary(B::I64LeS, I32),
            O::I64LeU => self.binary(B::I64LeU, I32),
            O::I64GeS => self.binary(B::I64GeS, I32),
            O::I64GeU => self.binary(B::I64GeU, I32),
            O::F32Eq => self.binary(B::F32Eq, I32),
            O::F32Ne => self.binary(B::F32Ne, I32),
            O::F32Lt => self.binary(B::F32Lt, I32),
            O::F32Gt => self.binary(B::F32Gt, I32),
            O::F32Le => self.binary(B::F32Le, I32),
            O::F32Ge => self.binary(B::F32Ge, I32),
            O::F64Eq => self.binary(B::F64Eq, I32),
            O::F64Ne => self.binary(B::F64Ne, I32),
            O::F64Lt => self.binary(B::F64Lt, I32),
            O::F64Gt => self.binary(B::F64Gt, I32),
            O::F64Le => self.binary(B::F64Le, I32),
            O::F64Ge => self.binary(B::F64Ge, I32),

            O::I32Clz => self.unary(U::I32Clz, I32),
            O::I32Ctz => self.unary(U::I32Ctz, I32),
            O::I32Popcnt => self.unary(U::I32Popcnt, I32),
            O::I32Add => self.binary(B::I32Add, I32),
            O::I32Sub => self.binary(B::I32Sub, I32),
            O::I32Mul => self.binary(B::I32Mul, I32),
            O::I32DivS => self.binary(B::I32DivS, I32),
            O::I32DivU => self.binary(B::I32DivU, I32),
            O::I32RemS => self.binary(B::I32RemS, I32),
            O::I32RemU => self.binary(B::I32RemU, I32),
            O::I32And => self.binary(B::I32And, I32),
            O::I32Or => self.binary(B::I32Or, I32),
            O::I32Xor => self.binary(B::I32Xor, I32),
            O::I32Shl => self.binary(B::I32Shl, I32),
            O::I32ShrS => self.binary(B::I32ShrS, I32),
            O::I32ShrU => self.binary(B::I32ShrU, I32),
            O::I32Rotl => self.binary(B::I32Rotl, I32),
            O::I32Rotr => self.binary(B::I32Rotr, I32),
            O::I64Clz => self.unary(U::I64Clz, I64),
            O::I64Ctz => self.unary(U::I64Ctz, I64),
            O::I64Popcnt => self.unary(U::I64Popcnt, I64),
            O::I64Add => self.binary(B::I64Add, I64),
            O::I64Sub => self.binary(B::I64Sub, I64),
            O::I64Mul => self.binary(B::I64Mul, I64),
            O::I64DivS => self.binary(B::I64DivS, I64),
            O::I64DivU => self.binary(B::I64DivU, I64),
            O::I64RemS => self.binary(B::I64RemS, I64),
            O::I64RemU => self.binary(B::I64RemU, I64),
            O::I64And => self.binary(B::I64And, I64),
            O::I64Or => self.binary(B::I64Or, I64),
            O::I64Xor => self.binary(B::I64Xor, I64),
            O::I64Shl => self.binary(B::I64Shl, I64),
            O::I64ShrS => self.binary(B::I64ShrS, I64),
            O::I64ShrU => self.binary(B::I64ShrU, I64),
            O::I64Rotl => self.binary(B::I64Rotl, I64),
            O::I64Rotr => self.binary(B::I64Rotr, I64),
            O::F32Abs => self.unary(U::F32Abs, F32),
            O::F32Neg => self.unary(U::F32Neg, F32),
            O::F32Ceil => self.unary(U::F32Ceil, F32),
            O::F32Floor => self.unary(U::F32Floor, F32),
            O::F32Trunc => self.unary(U::F32Trunc, F32),
            O::F32Nearest => self.unary(U::F32Nearest, F32),
            O::F32Sqrt => self.unary(U::F32Sqrt, F32),
            O::F32Add => self.binary(B::F32Add, F32),
            O::F32Sub => self.binary(B::F32Sub, F32),
            O::F32Mul => self.binary(B::F32Mul, F32),
            O::F32Div => self.binary(B::F32Div, F32),
            O::F32Min => self.binary(B::F32Min, F32),
            O::F32Max => self.binary(B::F32Max, F32),
            O::F32Copysign => self.binary(B::F32Copysign, F32),
            O::F64Abs => self.unary(U::F64Abs, F64),
            O::F64Neg => self.unary(U::F64Neg, F64),
            O::F64Ceil => self.unary(U::F64Ceil, F64),
            O::F64Floor => self.unary(U::F64Floor, F64),
            O::F64Trunc => self.unary(U::F64Trunc, F64),
            O::F64Nearest => self.unary(U::F64Nearest, F64),
            O::F64Sqrt => self.unary(U::F64Sqrt, F64),
            O::F64Add => self.binary(B::F64Add, F64),
            O::F64Sub => self.binary(B::F64Sub, F64),
            O::F64Mul => self.binary(B::F64Mul, F64),
            O::F64Div => self.binary(B::F64Div, F64),
            O::F64Min => self.binary(B::F64Min, F64),
            O::F64Max => self.binary(B::F64Max, F64),
            O::F64Copysign => self.binary(B::F64Copysign, F64),

            O::I32WrapI64 => self.unary(U::I32WrapI64, I32),
            O::I64ExtendI32U => self.extend_u(),
            O::I64ExtendI32S => self.unary(U::I64ExtendI32S, I64),
            O::I32TruncF32S => self.unary(U::I32TruncF32S, I32),
            O::I32TruncF32U => self.unary(U::I32TruncF32U, I32),
            O::I32TruncF64S => self.unary(U::I32TruncF64S, I32),
            O::I32TruncF64U => self.unary(U::I32TruncF64U, I32),
            O::I64TruncF32S => self.unary(U::I64TruncF32S, I64),
            O::I64TruncF32U => self.unary(U::I64TruncF32U, I64),
            O::I64TruncF64S => self.unary(U::I64TruncF64S, I64),
            O::I64TruncF64U => self.unary(U::I64TruncF64U, I64),
            O::I32TruncSatF32S => self.unary(U::I32TruncSatF32S, I32),
            O::I32TruncSatF32U => self.unary(U::I32TruncSatF32U, I32),
            O::I32TruncSatF64S => self.unary(U::I32TruncSatF64S, I32),
            O::I32TruncSatF64U => self.unary(U::I32TruncSatF64U, I32),
            O::I64TruncSatF32S => self.unary(U::I64TruncSatF32S, I64),
            O::I64TruncSatF32U => self.unary(U::I64TruncSatF32U, I64),
            O::I64TruncSatF64S => self.unary(U::I64TruncSatF64S, I64),
            O::I64TruncSatF64U => self.unary(U::I64TruncSatF64U, I64),
            O::F32ConvertI32S => self.unary(U::F32ConvertI32S, F32),
            O::F32ConvertI32U => self.unary(U::F32ConvertI32U, F32),
            O::F32ConvertI64S => self.unary(U::F32ConvertI64S, F32),
            O::F32ConvertI64U => self.unary(U::F32ConvertI64U, F32),
            O::F64ConvertI32S => self.unary(U::F64ConvertI32S, F64),
            O::F64ConvertI32U => self.unary(U::F64ConvertI32U, F64),
            O::F64ConvertI64S => self.unary(U::F64ConvertI64S, F64),
            O::F64ConvertI64U => self.unary(U::F64ConvertI64U, F64),
            O::F32DemoteF64 => self.unary(U::F32DemoteF64, F32),
            O::F64PromoteF32 => self.unary(U::F64PromoteF32, F64),
            O::I32ReinterpretF32 => self.unary(U::I32ReinterpretF32, I32),
            O::I64ReinterpretF64 => self.unary(U::I64ReinterpretF64, I64),
            O::F32ReinterpretI32 => self.unary(U::F32ReinterpretI32, F32),
            O::F64ReinterpretI64 => self.unary(U::F64ReinterpretI64, F64),
            O::I32Extend8S => self.unary(U::I32Extend8S, I32),
            O::I32Extend16S => self.unary(U::I32Extend16S, I32),
            O::I64Extend8S => self.unary(U::I64Extend8S, I64),
            O::I64Extend16S => self.unary(U::I64Extend16S, I64),
            O::I64Extend32S => self.unary(U::I64Extend32S, I64),
            O::I64Add128 => self.wide(table::ADD128, 4),
            O::I64Sub128 => self.wide(table::SUB128, 4),
            O::I64MulWideS => self.wide(table::MUL_WIDE_S, 2),
            O::I64MulWideU => self.wide(table::MUL_WIDE_U, 2),
            ref other if self.atomic(other) => {}
            ref other => self.object(other),
        }
    }

    fn push_const(&mut self, ty: Ty, bits: u64) {
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
    fn slot_or_imm(&mut self, operand: Operand) -> Input {
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

    fn binary(&mut self, kind: BinaryKind, result: Ty) {
        let b = self.stack.pop();
        let a = self.stack.pop();
        self.binary_of(kind, a, b, result);
    }

    fn binary_of(&mut self, kind: BinaryKind, a: Operand, b: Operand, result: Ty) {
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
    fn element(&mut self, shift: BinaryKind, base: Operand, index: Operand) -> bool {
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
    fn eqz(&mut self, kind: BinaryKind, ty: Ty) {
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

    fn unary(&mut self, kind: UnaryKind, result: Ty) {
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
    fn wide(&mut self, opcode: u16, operands: usize) {
        let slots = self.pop_slots(operands);
        let results = [self.push_temp(Ty::I64), self.push_temp(Ty::I64)];
        self.out.op_to_both(opcode, results);
        slots.into_iter().for_each(|slot| self.out.slot(slot));
    }

    /// Pops so many operands; their slots, the lowest first.
    pub(super) fn pop_slots(&mut self, operands: usize) -> Vec<u16> {
        let mut popped: Vec<Operand> = (0..operands).map(|_| self.stack.pop()).collect();
        popped.reverse();
        popped.into_iter().map(|operand| self.in_slot(operand)).collect()
    }

    /// `i64.extend_i32_u` makes no code: a slot with an `i32` is zero-extended.
    fn extend_u(&mut self) {
        let a = self.stack.pop();
        self.stack.push(Ty::I64, a.place);
    }

    fn select(&mut self) {
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

    fn global_get(&mut self, index: u32) {
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

    fn global_set(&mut self, index: u32) {
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

    /// The address and the offset of an access, and whether addresses have 64 bits. An offset that instructions have no room for
    /// is added to the address here.
    pub(super) fn near(&mut self, address: Operand, memarg: MemArg, bytes: u32) -> (Operand, u64, bool) {
        let wide = self.address_ty(memory_of(memarg)) == Ty::I64;
        let offset = memarg.offset;
        if !wide {
            return (address, offset, wide);
        }
        if let Place::Const(bits) = address.place {
            // What there is no address for becomes the last one, where there is no memory.
            let place = Place::Const(bits.saturating_add(offset));
            return (Operand { place, ..address }, 0, wide);
        }
        if offset.saturating_add(bytes.into()) <= u64::from(u32::MAX) {
            return (address, offset, wide);
        }
        let slot = self.in_slot(address);
        let dest = self.push_temp(Ty::I64);
        self.out.op_to(table::FAR_ADDRESS, dest, Some(Class::Int));
        self.out.slot(slot);
        self.out.field(Field::Bits64, offset);
        (self.stack.pop(), 0, wide)
    }

    fn load(&mut self, kind: LoadKind, ty: Ty, memarg: MemArg) {
        let address = self.stack.pop();
        let (address, offset, wide) = self.near(address, memarg, kind.bytes());
        if let Some(memory) = other_memory(memarg) {
            let slot = self.in_slot(address);
            let last = last_byte(offset, kind.bytes(), Input::Slot(slot));
            let dest = self.push_temp(ty);
            let Some(last) = last else { return self.out_of_bounds() };
            self.out.op_to(table::load_from(wide, kind), dest, Some(ty.class()));
            self.out.slot(slot);
            self.out.field(Field::Offset, last.into());
            self.out.field(Field::Context, self.module.layout().memory(memory).into());
            return;
        }
        let sum = |modes| table::load_sum(wide, kind, modes);
        let element = |modes| table::load_element(wide, kind, modes);
        if let Some((opcode, from, operands)) = self.computed_address(address, sum, element)
            && let Some(last) = last_byte(offset, kind.bytes(), Input::Acc)
        {
            self.out.retract_last();
            let dest = self.push_temp(ty);
            self.out.op_to(opcode, dest, Some(ty.class()));
            self.out.fields_of(from, &operands);
            self.out.field(Field::Offset, last.into());
            return;
        }
        let input = self.input(address);
        let last = last_byte(offset, kind.bytes(), input);
        let dest = self.push_temp(ty);
        let Some(last) = last else { return self.out_of_bounds() };
        self.out.op_to(table::load(wide, kind, input.mode()), dest, Some(ty.class()));
        if !matches!(input, Input::Imm(_)) {
            self.input_field(input, address.ty);
        }
        self.out.field(Field::Offset, last.into());
    }

    /// The load that computes its address itself, with the instruction before and its operands, if that
    /// computes the address and nothing else reads it. `sum` and `element` say which load, by the address's modes.
    pub(super) fn computed_address(
        &self,
        address: Operand,
        sum: impl Fn(u16) -> Option<u16>,
        element: impl Fn(u16) -> u16,
    ) -> Option<(u16, u16, Vec<u8>)> {
        if address.place != Place::Temp {
            return None;
        }
        let (wide, add) = match address.ty {
            Ty::I64 => (true, BinaryKind::I64Add),
            _ => (false, BinaryKind::I32Add),
        };
        let (from, operands) = self.out.last_for(address.home)?;
        let opcode = match (table::as_element(wide, from), table::as_binary(from)) {
            (Some(modes), _) => element(modes),
            (_, Some((kind, modes))) if kind == add => sum(modes)?,
            _ => return None,
        };
        Some((opcode, from, operands.to_vec()))
    }

    fn store(&mut self, kind: StoreKind, memarg: MemArg) {
        let value = self.stack.pop();
        let address = self.stack.pop();
        let (address, offset, wide) = self.near(address, memarg, kind.bytes());
        if let Some(memory) = other_memory(memarg) {
            let slots = (self.in_slot(address), self.in_slot(value));
            let last = last_byte(offset, kind.bytes(), Input::Slot(slots.0));
            let Some(last) = last else { return self.out_of_bounds() };
            self.out.op(table::store_to(wide, kind));
            self.out.slot(slots.0);
            self.out.slot(slots.1);
            self.out.field(Field::Offset, last.into());
            self.out.field(Field::Context, self.module.layout().memory(memory).into());
            return;
        }
        let y = self.input(value);
        let mut x = self.input(address);
        if x == Input::Acc && y == Input::Acc && value.ty.class() == Class::Int {
            x = Input::Slot(self.in_slot(address));
        }
        let Some(last) = last_byte(offset, kind.bytes(), x) else { return self.out_of_bounds() };
        self.out.op(table::store(wide, kind, x.mode(), y.mode()));
        if !matches!(x, Input::Imm(_)) {
            self.input_field(x, address.ty);
        }
        // Narrow stores serve both integer types, and read the lower half of a slot.
        let ty = if value.ty == Ty::I64 && kind != StoreKind::Store64 { Ty::I32 } else { value.ty };
        self.input_field(y, ty);
        self.out.field(Field::Offset, last.into());
    }

    /// An access that no address can make valid.
    pub(super) fn out_of_bounds(&mut self) {
        self.out.op(table::OUT_OF_BOUNDS);
    }

    /// An instruction on whole memories or tables: `operands` slots, then indices.
    fn bulk(&mut self, opcode: u16, operands: usize, indices: &[(Field, u32)], result: Option<Ty>) {
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

    /// The type of addresses in a memory.
    pub(super) fn address_ty(&self, memory: u32) -> Ty {
        if self.module.memory_type(memory).is_64() { Ty::I64 } else { Ty::I32 }
    }

    /// The type of indices of a table.
    fn index_ty(&self, table: u32) -> Ty {
        if self.module.table_type(table).is_64() { Ty::I64 } else { Ty::I32 }
    }

    fn holds_collected(&self, table: u32) -> bool {
        Ty::of(wasmrun_runtime::types::ValType::Ref(self.module.table_type(table).element)).is_collected()
    }

    fn table_get(&mut self, table: u32) {
        if !self.holds_collected(table) {
            return self.bulk(table::TABLE_GET, 1, &[(Field::Table, table)], Some(Ty::Func));
        }
        let index = self.stack.pop();
        let index = self.in_slot(index);
        let dest = self.push_temp(Ty::Collected);
        self.out.op(table::REF_TABLE_GET);
        self.out.field(Field::RefDest, dest.into());
        self.out.slot(index);
        self.out.field(Field::Table, table.into());
    }

    fn table_set(&mut self, table: u32) {
        if !self.holds_collected(table) {
            return self.bulk(table::TABLE_SET, 2, &[(Field::Table, table)], None);
        }
        let value = self.stack.pop();
        let index = self.stack.pop();
        let index = self.in_slot(index);
        self.out.op(table::REF_TABLE_SET);
        self.out.slot(index);
        self.out.ref_slot(value.home);
        self.out.field(Field::Table, table.into());
    }

    fn table_grow(&mut self, table: u32) {
        let ty = self.index_ty(table);
        if !self.holds_collected(table) {
            return self.bulk(table::TABLE_GROW, 2, &[(Field::Table, table)], Some(ty));
        }
        let delta = self.stack.pop();
        let value = self.stack.pop();
        let delta = self.in_slot(delta);
        let dest = self.push_temp(ty);
        self.out.op_to(table::REF_TABLE_GROW, dest, None);
        self.out.ref_slot(value.home);
        self.out.slot(delta);
        self.out.field(Field::Table, table.into());
    }

    fn table_fill(&mut self, table: u32) {
        if !self.holds_collected(table) {
            return self.bulk(table::TABLE_FILL, 3, &[(Field::Table, table)], None);
        }
        let len = self.stack.pop();
        let value = self.stack.pop();
        let start = self.stack.pop();
        let (start, len) = (self.in_slot(start), self.in_slot(len));
        self.out.op(table::REF_TABLE_FILL);
        self.out.slot(start);
        self.out.ref_slot(value.home);
        self.out.slot(len);
        self.out.field(Field::Table, table.into());
    }

    fn ref_as_non_null(&mut self) {
        let reference = self.stack.pop();
        let slot = self.in_slot(reference);
        self.out.commit();
        if reference.ty.is_collected() {
            self.out.op(table::REF_NON_NULL);
            self.out.ref_slot(slot);
        } else {
            self.out.op(table::NON_NULL);
            self.out.slot(slot);
        }
        self.stack.push(reference.ty, reference.place);
    }

    fn ref_is_null(&mut self) {
        let a = self.stack.pop();
        if a.ty.is_collected() {
            let dest = self.push_temp(Ty::I32);
            self.out.op_to(table::REF_IS_NULL, dest, None);
            self.out.ref_slot(a.home);
            return;
        }
        self.stack.push(Ty::I64, a.place);
        self.eqz(BinaryKind::I64Eq, Ty::I64);
    }
}

/// The offset of the last byte of an access of `bytes` bytes. `None`: no memory is large enough for it.
pub(super) fn last_byte(offset: u64, bytes: u32, address: Input) -> Option<u32> {
    let constant = match address {
        Input::Imm(bits) => bits,
        _ => 0,
    };
    u32::try_from(offset.checked_add(u64::from(bytes - 1))?.checked_add(constant)?).ok()
}

/// The memory of an access.
pub(super) fn memory_of(memarg: MemArg) -> u32 {
    match memarg.target {
        MemArgTarget::Memory(memory) => memory,
        MemArgTarget::Array(_) => unreachable!("modules with arrays are refused at load"),
    }
}

/// The memory of an access, if it is not memory 0.
pub(super) fn other_memory(memarg: MemArg) -> Option<u32> {
    Some(memory_of(memarg)).filter(|memory| *memory != 0)
}
