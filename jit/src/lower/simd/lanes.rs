//! Values that move into, out of and between lanes.

use cranelift_codegen::ir::types::{F32X4, F64X2, I8, I8X16, I16, I16X8, I32, I32X4, I64X2};
use cranelift_codegen::ir::{InstBuilder, Type, Value};
use wasmparser::Operator;

use super::super::Lower;

impl Lower<'_, '_, '_> {
    /// Lowers an instruction that moves values between lanes. Returns whether the operator is one.
    pub(super) fn lane_movement(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        match *operator {
            O::V128Const { value } => {
                let value = self.vector_constant(I8X16, *value.bytes());
                self.stack.push(value);
            }
            O::I8x16Shuffle { lanes } => {
                let [a, b] = self.pop_array();
                let lanes = self.builder.func.dfg.immediates.push(lanes.as_slice().into());
                let value = self.builder.ins().shuffle(a, b, lanes);
                self.push_vector(value);
            }
            O::I8x16Swizzle => self.binary_lanes(I8X16, |ins, a, lanes| ins.swizzle(a, lanes)),

            O::I8x16Splat => self.splat(I8X16),
            O::I16x8Splat => self.splat(I16X8),
            O::I32x4Splat => self.splat(I32X4),
            O::I64x2Splat => self.splat(I64X2),
            O::F32x4Splat => self.splat(F32X4),
            O::F64x2Splat => self.splat(F64X2),

            O::I8x16ExtractLaneS { lane } => {
                let value = self.extract(I8X16, lane);
                self.sign_extended(value);
            }
            O::I16x8ExtractLaneS { lane } => {
                let value = self.extract(I16X8, lane);
                self.sign_extended(value);
            }
            O::I8x16ExtractLaneU { lane } => {
                let value = self.extract(I8X16, lane);
                self.zero_extended(value);
            }
            O::I16x8ExtractLaneU { lane } => {
                let value = self.extract(I16X8, lane);
                self.zero_extended(value);
            }
            O::I32x4ExtractLane { lane } => self.extract_whole(I32X4, lane),
            O::I64x2ExtractLane { lane } => self.extract_whole(I64X2, lane),
            O::F32x4ExtractLane { lane } => self.extract_whole(F32X4, lane),
            O::F64x2ExtractLane { lane } => self.extract_whole(F64X2, lane),

            O::I8x16ReplaceLane { lane } => self.replace(I8X16, lane),
            O::I16x8ReplaceLane { lane } => self.replace(I16X8, lane),
            O::I32x4ReplaceLane { lane } => self.replace(I32X4, lane),
            O::I64x2ReplaceLane { lane } => self.replace(I64X2, lane),
            O::F32x4ReplaceLane { lane } => self.replace(F32X4, lane),
            O::F64x2ReplaceLane { lane } => self.replace(F64X2, lane),
            _ => return false,
        }
        true
    }

    /// Pops a number for a lane of vectors of type `ty`.
    fn pop_for_lane(&mut self, ty: Type) -> Value {
        let value = self.pop();
        match ty.lane_type() {
            narrow @ (I8 | I16) => self.builder.ins().ireduce(narrow, value),
            _ => value,
        }
    }

    fn splat(&mut self, ty: Type) {
        let value = self.pop_for_lane(ty);
        let value = self.builder.ins().splat(ty, value);
        self.push_vector(value);
    }

    fn extract(&mut self, ty: Type, lane: u8) -> Value {
        let lanes = self.pop_lanes(ty);
        self.builder.ins().extractlane(lanes, lane)
    }

    fn extract_whole(&mut self, ty: Type, lane: u8) {
        let value = self.extract(ty, lane);
        self.stack.push(value);
    }

    fn sign_extended(&mut self, value: Value) {
        let value = self.builder.ins().sextend(I32, value);
        self.stack.push(value);
    }

    fn zero_extended(&mut self, value: Value) {
        let value = self.builder.ins().uextend(I32, value);
        self.stack.push(value);
    }

    fn replace(&mut self, ty: Type, lane: u8) {
        let value = self.pop_for_lane(ty);
        self.unary_lanes(ty, |ins, lanes| ins.insertlane(lanes, value, lane));
    }
}
