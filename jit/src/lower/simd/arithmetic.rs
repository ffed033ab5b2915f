//! Arithmetic on lanes: what takes and gives vectors of one kind of lanes.

use cranelift_codegen::ir::condcodes::FloatCC;
use cranelift_codegen::ir::instructions::InstructionFormat;
use cranelift_codegen::ir::types::{F32X4, F64X2, I8X16, I16X8, I32X4, I64X2};
use cranelift_codegen::ir::{InstBuilder, Opcode, Type, Value};
use wasmparser::Operator;

use super::super::Lower;
use super::BYTE_ORDER;

impl Lower<'_, '_, '_> {
    /// Lowers arithmetic on lanes. Returns whether the operator is that.
    pub(super) fn lane_arithmetic(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        if let Some((ty, opcode)) = same_lanes(operator) {
            match opcode.format() {
                InstructionFormat::Unary => {
                    self.unary_lanes(ty, |ins, a| {
                        let (inst, dfg) = ins.Unary(opcode, ty, a);
                        dfg.first_result(inst)
                    });
                }
                _ => self.binary_lanes(ty, |ins, a, b| {
                    let (inst, dfg) = ins.Binary(opcode, ty, a, b);
                    dfg.first_result(inst)
                }),
            }
            return true;
        }
        if let Some((ty, opcode)) = shift(operator) {
            // The amount is taken modulo the width of a lane, as WebAssembly has it.
            let amount = self.pop();
            self.unary_lanes(ty, |ins, a| {
                let (inst, dfg) = ins.Binary(opcode, ty, a, amount);
                dfg.first_result(inst)
            });
            return true;
        }
        let (ty, is_min) = match operator {
            O::F32x4PMin => (F32X4, true),
            O::F64x2PMin => (F64X2, true),
            O::F32x4PMax => (F32X4, false),
            O::F64x2PMax => (F64X2, false),
            _ => return false,
        };
        let operands = self.pop_all_lanes(ty);
        if is_min {
            self.pseudo_min(ty, operands);
        } else {
            self.pseudo_max(ty, operands);
        }
        true
    }

    /// `b < a ? b : a`, in each lane of floats.
    pub(super) fn pseudo_min(&mut self, ty: Type, [a, b]: [Value; 2]) {
        self.second_if_less(ty, [b, a], [a, b]);
    }

    /// `a < b ? b : a`, in each lane of floats.
    pub(super) fn pseudo_max(&mut self, ty: Type, [a, b]: [Value; 2]) {
        self.second_if_less(ty, [a, b], [a, b]);
    }

    /// In each lane the second of two where `less` is less than `more`, and the first elsewhere. If these are the two, in
    /// either order, it is one instruction on x86-64.
    fn second_if_less(&mut self, ty: Type, [less, more]: [Value; 2], [first, second]: [Value; 2]) {
        let is_less = self.builder.ins().fcmp(FloatCC::LessThan, less, more);
        let is_less = self.builder.ins().bitcast(ty, BYTE_ORDER, is_less);
        let value = self.builder.ins().bitselect(is_less, second, first);
        self.push_vector(value);
    }
}

/// The lanes of an instruction, and Cranelift's instruction for it, which is of the same lanes.
fn same_lanes(operator: &Operator<'_>) -> Option<(Type, Opcode)> {
    use Operator as O;
    Some(match operator {
        O::I8x16Abs => (I8X16, Opcode::Iabs),
        O::I8x16Neg => (I8X16, Opcode::Ineg),
        O::I8x16Popcnt => (I8X16, Opcode::Popcnt),
        O::I8x16Add => (I8X16, Opcode::Iadd),
        O::I8x16AddSatS => (I8X16, Opcode::SaddSat),
        O::I8x16AddSatU => (I8X16, Opcode::UaddSat),
        O::I8x16Sub => (I8X16, Opcode::Isub),
        O::I8x16SubSatS => (I8X16, Opcode::SsubSat),
        O::I8x16SubSatU => (I8X16, Opcode::UsubSat),
        O::I8x16MinS => (I8X16, Opcode::Smin),
        O::I8x16MinU => (I8X16, Opcode::Umin),
        O::I8x16MaxS => (I8X16, Opcode::Smax),
        O::I8x16MaxU => (I8X16, Opcode::Umax),
        O::I8x16AvgrU => (I8X16, Opcode::AvgRound),

        O::I16x8Abs => (I16X8, Opcode::Iabs),
        O::I16x8Neg => (I16X8, Opcode::Ineg),
        O::I16x8Add => (I16X8, Opcode::Iadd),
        O::I16x8AddSatS => (I16X8, Opcode::SaddSat),
        O::I16x8AddSatU => (I16X8, Opcode::UaddSat),
        O::I16x8Sub => (I16X8, Opcode::Isub),
        O::I16x8SubSatS => (I16X8, Opcode::SsubSat),
        O::I16x8SubSatU => (I16X8, Opcode::UsubSat),
        O::I16x8Mul => (I16X8, Opcode::Imul),
        O::I16x8MinS => (I16X8, Opcode::Smin),
        O::I16x8MinU => (I16X8, Opcode::Umin),
        O::I16x8MaxS => (I16X8, Opcode::Smax),
        O::I16x8MaxU => (I16X8, Opcode::Umax),
        O::I16x8AvgrU => (I16X8, Opcode::AvgRound),
        O::I16x8Q15MulrSatS => (I16X8, Opcode::SqmulRoundSat),

        O::I32x4Abs => (I32X4, Opcode::Iabs),
        O::I32x4Neg => (I32X4, Opcode::Ineg),
        O::I32x4Add => (I32X4, Opcode::Iadd),
        O::I32x4Sub => (I32X4, Opcode::Isub),
        O::I32x4Mul => (I32X4, Opcode::Imul),
        O::I32x4MinS => (I32X4, Opcode::Smin),
        O::I32x4MinU => (I32X4, Opcode::Umin),
        O::I32x4MaxS => (I32X4, Opcode::Smax),
        O::I32x4MaxU => (I32X4, Opcode::Umax),

        O::I64x2Abs => (I64X2, Opcode::Iabs),
        O::I64x2Neg => (I64X2, Opcode::Ineg),
        O::I64x2Add => (I64X2, Opcode::Iadd),
        O::I64x2Sub => (I64X2, Opcode::Isub),
        O::I64x2Mul => (I64X2, Opcode::Imul),

        O::F32x4Ceil => (F32X4, Opcode::Ceil),
        O::F32x4Floor => (F32X4, Opcode::Floor),
        O::F32x4Trunc => (F32X4, Opcode::Trunc),
        O::F32x4Nearest => (F32X4, Opcode::Nearest),
        O::F32x4Abs => (F32X4, Opcode::Fabs),
        O::F32x4Neg => (F32X4, Opcode::Fneg),
        O::F32x4Sqrt => (F32X4, Opcode::Sqrt),
        O::F32x4Add => (F32X4, Opcode::Fadd),
        O::F32x4Sub => (F32X4, Opcode::Fsub),
        O::F32x4Mul => (F32X4, Opcode::Fmul),
        O::F32x4Div => (F32X4, Opcode::Fdiv),
        O::F32x4Min => (F32X4, Opcode::Fmin),
        O::F32x4Max => (F32X4, Opcode::Fmax),

        O::F64x2Ceil => (F64X2, Opcode::Ceil),
        O::F64x2Floor => (F64X2, Opcode::Floor),
        O::F64x2Trunc => (F64X2, Opcode::Trunc),
        O::F64x2Nearest => (F64X2, Opcode::Nearest),
        O::F64x2Abs => (F64X2, Opcode::Fabs),
        O::F64x2Neg => (F64X2, Opcode::Fneg),
        O::F64x2Sqrt => (F64X2, Opcode::Sqrt),
        O::F64x2Add => (F64X2, Opcode::Fadd),
        O::F64x2Sub => (F64X2, Opcode::Fsub),
        O::F64x2Mul => (F64X2, Opcode::Fmul),
        O::F64x2Div => (F64X2, Opcode::Fdiv),
        O::F64x2Min => (F64X2, Opcode::Fmin),
        O::F64x2Max => (F64X2, Opcode::Fmax),
        _ => return None,
    })
}

/// The lanes of a shift, and its direction.
fn shift(operator: &Operator<'_>) -> Option<(Type, Opcode)> {
    use Operator as O;
    Some(match operator {
        O::I8x16Shl => (I8X16, Opcode::Ishl),
        O::I8x16ShrS => (I8X16, Opcode::Sshr),
        O::I8x16ShrU => (I8X16, Opcode::Ushr),
        O::I16x8Shl => (I16X8, Opcode::Ishl),
        O::I16x8ShrS => (I16X8, Opcode::Sshr),
        O::I16x8ShrU => (I16X8, Opcode::Ushr),
        O::I32x4Shl => (I32X4, Opcode::Ishl),
        O::I32x4ShrS => (I32X4, Opcode::Sshr),
        O::I32x4ShrU => (I32X4, Opcode::Ushr),
        O::I64x2Shl => (I64X2, Opcode::Ishl),
        O::I64x2ShrS => (I64X2, Opcode::Sshr),
        O::I64x2ShrU => (I64X2, Opcode::Ushr),
        _ => return None,
    })
}
