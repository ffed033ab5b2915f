//! From lanes of one kind to lanes of another, and arithmetic that widens.

use cranelift_codegen::ir::types::{F32X4, F64X2, I8X16, I16X8, I32X4, I64X2};
use cranelift_codegen::ir::{InstBuilder, Type, Value};
use wasmparser::Operator;

use super::super::Lower;
use super::BYTES;

/// Which half of the lanes is widened, and how.
#[derive(Clone, Copy)]
enum Widen {
    LowSigned,
    LowUnsigned,
    HighSigned,
    HighUnsigned,
}

use Widen::{HighSigned, HighUnsigned, LowSigned, LowUnsigned};

impl Lower<'_, '_, '_> {
    /// Lowers a conversion of lanes. Returns whether the operator is one.
    pub(super) fn lane_conversion(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        if let Some((ty, widen)) = extension(operator) {
            let lanes = self.pop_lanes(ty);
            let value = self.widen(widen, lanes);
            self.push_vector(value);
            return true;
        }
        if let Some((ty, widen)) = product(operator) {
            let [a, b] = self.pop_all_lanes(ty).map(|lanes| self.widen(widen, lanes));
            let value = self.builder.ins().imul(a, b);
            self.push_vector(value);
            return true;
        }
        match operator {
            O::I8x16NarrowI16x8S => self.binary_lanes(I16X8, |ins, a, b| ins.snarrow(a, b)),
            O::I8x16NarrowI16x8U => self.binary_lanes(I16X8, |ins, a, b| ins.unarrow(a, b)),
            O::I16x8NarrowI32x4S => self.binary_lanes(I32X4, |ins, a, b| ins.snarrow(a, b)),
            O::I16x8NarrowI32x4U => self.binary_lanes(I32X4, |ins, a, b| ins.unarrow(a, b)),

            O::I16x8ExtAddPairwiseI8x16S => self.add_pairs(I8X16, LowSigned, HighSigned),
            O::I16x8ExtAddPairwiseI8x16U => self.add_pairs(I8X16, LowUnsigned, HighUnsigned),
            O::I32x4ExtAddPairwiseI16x8S => self.add_pairs(I16X8, LowSigned, HighSigned),
            O::I32x4ExtAddPairwiseI16x8U => self.add_pairs(I16X8, LowUnsigned, HighUnsigned),
            O::I32x4DotI16x8S => {
                let value = self.signed_dot(I16X8);
                self.push_vector(value);
            }

            O::I32x4TruncSatF32x4S => self.unary_lanes(F32X4, |ins, a| ins.fcvt_to_sint_sat(I32X4, a)),
            O::I32x4TruncSatF32x4U => self.unary_lanes(F32X4, |ins, a| ins.fcvt_to_uint_sat(I32X4, a)),
            O::I32x4TruncSatF64x2SZero => self.truncate_doubles_signed(),
            O::I32x4TruncSatF64x2UZero => self.truncate_doubles_unsigned(),
            O::F32x4ConvertI32x4S => self.unary_lanes(I32X4, |ins, a| ins.fcvt_from_sint(F32X4, a)),
            O::F32x4ConvertI32x4U => self.unary_lanes(I32X4, |ins, a| ins.fcvt_from_uint(F32X4, a)),
            O::F64x2ConvertLowI32x4S => {
                let lanes = self.pop_lanes(I32X4);
                let low = self.widen(LowSigned, lanes);
                let value = self.builder.ins().fcvt_from_sint(F64X2, low);
                self.push_vector(value);
            }
            O::F64x2ConvertLowI32x4U => {
                let lanes = self.pop_lanes(I32X4);
                let low = self.widen(LowUnsigned, lanes);
                let value = self.builder.ins().fcvt_from_uint(F64X2, low);
                self.push_vector(value);
            }
            O::F32x4DemoteF64x2Zero => self.unary_lanes(F64X2, |ins, a| ins.fvdemote(a)),
            O::F64x2PromoteLowF32x4 => self.unary_lanes(F32X4, |ins, a| ins.fvpromote_low(a)),
            _ => return false,
        }
        true
    }

    fn widen(&mut self, widen: Widen, lanes: Value) -> Value {
        let ins = self.builder.ins();
        match widen {
            LowSigned => ins.swiden_low(lanes),
            LowUnsigned => ins.uwiden_low(lanes),
            HighSigned => ins.swiden_high(lanes),
            HighUnsigned => ins.uwiden_high(lanes),
        }
    }

    /// The sums of pairs of lanes of type `ty`, which are widened first.
    fn add_pairs(&mut self, ty: Type, low: Widen, high: Widen) {
        let lanes = self.pop_lanes(ty);
        let value = self.pair_sums(lanes, low, high);
        self.push_vector(value);
    }

    fn pair_sums(&mut self, lanes: Value, low: Widen, high: Widen) -> Value {
        let (low, high) = (self.widen(low, lanes), self.widen(high, lanes));
        self.builder.ins().iadd_pairwise(low, high)
    }

    /// The same of signed lanes.
    pub(super) fn signed_pair_sums(&mut self, lanes: Value) -> Value {
        self.pair_sums(lanes, LowSigned, HighSigned)
    }

    /// Pops two vectors of signed lanes of type `ty`, and sums the widened products of pairs of lanes. The sums wrap.
    pub(super) fn signed_dot(&mut self, ty: Type) -> Value {
        let [a, b] = self.pop_all_lanes(ty);
        let [low, high] = [LowSigned, HighSigned].map(|half| {
            let [a, b] = [a, b].map(|lanes| self.widen(half, lanes));
            self.builder.ins().imul(a, b)
        });
        self.builder.ins().iadd_pairwise(low, high)
    }

    /// `i32x4.trunc_sat_f64x2_s_zero`: to integers of 64 bits, which are narrowed together with zeroes. Cranelift knows the two
    /// instructions together, and on most machines not each of them.
    pub(super) fn truncate_doubles_signed(&mut self) {
        let lanes = self.pop_lanes(F64X2);
        let zeroes = self.vector_constant(I64X2, [0; BYTES as usize]);
        let wide = self.builder.ins().fcvt_to_sint_sat(I64X2, lanes);
        let value = self.builder.ins().snarrow(wide, zeroes);
        self.push_vector(value);
    }

    /// `i32x4.trunc_sat_f64x2_u_zero`, in the same way.
    pub(super) fn truncate_doubles_unsigned(&mut self) {
        let lanes = self.pop_lanes(F64X2);
        let zeroes = self.vector_constant(I64X2, [0; BYTES as usize]);
        let wide = self.builder.ins().fcvt_to_uint_sat(I64X2, lanes);
        let value = self.builder.ins().uunarrow(wide, zeroes);
        self.push_vector(value);
    }
}

/// The lanes that are widened, and which.
fn extension(operator: &Operator<'_>) -> Option<(Type, Widen)> {
    use Operator as O;
    Some(match operator {
        O::I16x8ExtendLowI8x16S => (I8X16, LowSigned),
        O::I16x8ExtendHighI8x16S => (I8X16, HighSigned),
        O::I16x8ExtendLowI8x16U => (I8X16, LowUnsigned),
        O::I16x8ExtendHighI8x16U => (I8X16, HighUnsigned),
        O::I32x4ExtendLowI16x8S => (I16X8, LowSigned),
        O::I32x4ExtendHighI16x8S => (I16X8, HighSigned),
        O::I32x4ExtendLowI16x8U => (I16X8, LowUnsigned),
        O::I32x4ExtendHighI16x8U => (I16X8, HighUnsigned),
        O::I64x2ExtendLowI32x4S => (I32X4, LowSigned),
        O::I64x2ExtendHighI32x4S => (I32X4, HighSigned),
        O::I64x2ExtendLowI32x4U => (I32X4, LowUnsigned),
        O::I64x2ExtendHighI32x4U => (I32X4, HighUnsigned),
        _ => return None,
    })
}

/// The same of products of widened lanes.
fn product(operator: &Operator<'_>) -> Option<(Type, Widen)> {
    use Operator as O;
    Some(match operator {
        O::I16x8ExtMulLowI8x16S => (I8X16, LowSigned),
        O::I16x8ExtMulHighI8x16S => (I8X16, HighSigned),
        O::I16x8ExtMulLowI8x16U => (I8X16, LowUnsigned),
        O::I16x8ExtMulHighI8x16U => (I8X16, HighUnsigned),
        O::I32x4ExtMulLowI16x8S => (I16X8, LowSigned),
        O::I32x4ExtMulHighI16x8S => (I16X8, HighSigned),
        O::I32x4ExtMulLowI16x8U => (I16X8, LowUnsigned),
        O::I32x4ExtMulHighI16x8U => (I16X8, HighUnsigned),
        O::I64x2ExtMulLowI32x4S => (I32X4, LowSigned),
        O::I64x2ExtMulHighI32x4S => (I32X4, HighSigned),
        O::I64x2ExtMulLowI32x4U => (I32X4, LowUnsigned),
        O::I64x2ExtMulHighI32x4U => (I32X4, HighUnsigned),
        _ => return None,
    })
}
