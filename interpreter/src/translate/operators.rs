//! Which instruction each operator becomes.

use wasmparser::Operator;

use super::Translator;
use super::stack::Ty;
use crate::field::Field;
use crate::table::{self, BinaryKind, LoadKind, StoreKind, UnaryKind};

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
}
