//! Vectors as bits, and what is asked of all lanes at once.

use cranelift_codegen::ir::types::{I8X16, I16X8, I32, I32X4, I64X2};
use cranelift_codegen::ir::{InstBuilder, Type, Value};
use wasmparser::Operator;

use super::super::Lower;

impl Lower<'_, '_, '_> {
    /// Lowers an instruction on the bits of vectors, or a test of all lanes. Returns whether the operator is one.
    pub(super) fn vector_bits(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        match operator {
            O::V128Not => self.unary_lanes(I8X16, |ins, a| ins.bnot(a)),
            O::V128And => self.binary_lanes(I8X16, |ins, a, b| ins.band(a, b)),
            O::V128Or => self.binary_lanes(I8X16, |ins, a, b| ins.bor(a, b)),
            O::V128Xor => self.binary_lanes(I8X16, |ins, a, b| ins.bxor(a, b)),
            O::V128AndNot => {
                let [a, b] = self.pop_array();
                let not_b = self.builder.ins().bnot(b);
                let value = self.builder.ins().band(a, not_b);
                self.push_vector(value);
            }
            O::V128Bitselect => self.bit_select(),
            O::V128AnyTrue => {
                let vector = self.pop();
                let (vector, _) = self.as_integers(vector);
                let any = self.builder.ins().vany_true(vector);
                self.push_flag(any);
            }
            O::I8x16AllTrue => self.all_true(I8X16),
            O::I16x8AllTrue => self.all_true(I16X8),
            O::I32x4AllTrue => self.all_true(I32X4),
            O::I64x2AllTrue => self.all_true(I64X2),
            O::I8x16Bitmask => self.bitmask(I8X16),
            O::I16x8Bitmask => self.bitmask(I16X8),
            O::I32x4Bitmask => self.bitmask(I32X4),
            O::I64x2Bitmask => self.bitmask(I64X2),
            _ => return false,
        }
        true
    }

    /// `v128.bitselect`, in the lanes of the mask: if that is a comparison it is seen that it selects whole lanes.
    pub(super) fn bit_select(&mut self) {
        let [then, otherwise, mask] = self.pop_array();
        let (mask, ty) = self.as_integers(mask);
        let [then, otherwise] = [then, otherwise].map(|vector| self.as_lanes(vector, ty));
        let value = self.builder.ins().bitselect(mask, then, otherwise);
        self.push_vector(value);
    }

    /// A vector as lanes of integers: those in which it was made, if it was.
    fn as_integers(&self, vector: Value) -> (Value, Type) {
        let made = self.as_made(vector);
        match self.builder.func.dfg.value_type(made) {
            ty if ty.lane_type().is_int() => (made, ty),
            _ => (vector, I8X16),
        }
    }

    fn all_true(&mut self, ty: Type) {
        let lanes = self.pop_lanes(ty);
        let all = self.builder.ins().vall_true(lanes);
        self.push_flag(all);
    }

    /// The top bit of each lane.
    fn bitmask(&mut self, ty: Type) {
        let lanes = self.pop_lanes(ty);
        let bits = self.builder.ins().vhigh_bits(I32, lanes);
        self.stack.push(bits);
    }

    fn push_flag(&mut self, flag: Value) {
        let flag = self.builder.ins().uextend(I32, flag);
        self.stack.push(flag);
    }
}
