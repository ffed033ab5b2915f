//! Relaxed SIMD: instructions whose result is a choice in some cases, which [`Relaxed`] makes for all of them.
//!
//! With [`Relaxed::Deterministic`] each is another instruction, or two. With [`Relaxed::X86`] each is what one instruction
//! of the machine does, for which Cranelift has instructions that exist on that machine alone: a module with this choice
//! is not compiled for another.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{F32X4, F64X2, I8X16, I16X8, I32X4, I64X2};
use cranelift_codegen::ir::{InstBuilder, Type, Value};
use cranelift_codegen::isa::TargetIsa;
use wasmparser::Operator;
use wasmrun_runtime::Relaxed;

use super::super::Lower;
use super::BYTES;

/// What relaxed instructions do; `None` if this machine cannot do what has been chosen.
pub(in super::super) fn choice(isa: &dyn TargetIsa, relaxed: Relaxed) -> Option<Relaxed> {
    let can = match relaxed {
        Relaxed::Deterministic => true,
        Relaxed::X86 { .. } => {
            isa.has_x86_pshufb_lowering()
                && isa.has_x86_pmulhrsw_lowering()
                && isa.has_x86_pmaddubsw_lowering()
                && [I8X16, I32X4, I64X2].into_iter().all(|ty| isa.has_blendv_lowering(ty))
        }
    };
    can.then_some(relaxed)
}

impl Lower<'_, '_, '_> {
    /// Lowers a relaxed instruction. Returns whether the operator is one and can be executed.
    pub(super) fn relaxed(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        let Some(relaxed) = self.relaxed else { return false };
        let (is_x86, fma) = match relaxed {
            Relaxed::Deterministic => (false, false),
            Relaxed::X86 { fma } => (true, fma),
        };
        match operator {
            // No choice is made for these: there is no single instruction that does anything else.
            O::I32x4RelaxedTruncF32x4U => self.unary_lanes(F32X4, |ins, a| ins.fcvt_to_uint_sat(I32X4, a)),
            O::I32x4RelaxedTruncF64x2UZero => self.truncate_doubles_unsigned(),
            O::F32x4RelaxedMadd => self.multiply_add(F32X4, false, fma),
            O::F32x4RelaxedNmadd => self.multiply_add(F32X4, true, fma),
            O::F64x2RelaxedMadd => self.multiply_add(F64X2, false, fma),
            O::F64x2RelaxedNmadd => self.multiply_add(F64X2, true, fma),
            O::I16x8RelaxedDotI8x16I7x16S => {
                let dot = self.relaxed_dot(is_x86);
                self.push_vector(dot);
            }
            O::I32x4RelaxedDotI8x16I7x16AddS => {
                let addend = self.pop_lanes(I32X4);
                let dot = self.relaxed_dot(is_x86);
                let sums = self.signed_pair_sums(dot);
                let value = self.builder.ins().iadd(sums, addend);
                self.push_vector(value);
            }
            _ if is_x86 => return self.relaxed_as_x86(operator),
            _ => return self.relaxed_deterministic(operator),
        }
        true
    }

    fn relaxed_deterministic(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        match operator {
            O::I8x16RelaxedSwizzle => self.binary_lanes(I8X16, |ins, a, lanes| ins.swizzle(a, lanes)),
            O::I32x4RelaxedTruncF32x4S => self.unary_lanes(F32X4, |ins, a| ins.fcvt_to_sint_sat(I32X4, a)),
            O::I32x4RelaxedTruncF64x2SZero => self.truncate_doubles_signed(),
            O::I8x16RelaxedLaneselect
            | O::I16x8RelaxedLaneselect
            | O::I32x4RelaxedLaneselect
            | O::I64x2RelaxedLaneselect => self.bit_select(),
            O::F32x4RelaxedMin => self.binary_lanes(F32X4, |ins, a, b| ins.fmin(a, b)),
            O::F32x4RelaxedMax => self.binary_lanes(F32X4, |ins, a, b| ins.fmax(a, b)),
            O::F64x2RelaxedMin => self.binary_lanes(F64X2, |ins, a, b| ins.fmin(a, b)),
            O::F64x2RelaxedMax => self.binary_lanes(F64X2, |ins, a, b| ins.fmax(a, b)),
            O::I16x8RelaxedQ15mulrS => self.binary_lanes(I16X8, |ins, a, b| ins.sqmul_round_sat(a, b)),
            _ => return false,
        }
        true
    }

    fn relaxed_as_x86(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        match operator {
            O::I8x16RelaxedSwizzle => self.binary_lanes(I8X16, |ins, a, lanes| ins.x86_pshufb(a, lanes)),
            O::I32x4RelaxedTruncF32x4S => self.unary_lanes(F32X4, |ins, a| ins.x86_cvtt2dq(I32X4, a)),
            O::I32x4RelaxedTruncF64x2SZero => {
                let lanes = self.pop_lanes(F64X2);
                let zeroes = self.vector_constant(I64X2, [0; BYTES as usize]);
                // One instruction for the two.
                let wide = self.builder.ins().x86_cvtt2dq(I64X2, lanes);
                let value = self.builder.ins().snarrow(wide, zeroes);
                self.push_vector(value);
            }
            // There is no instruction for lanes of 16 bits.
            O::I8x16RelaxedLaneselect | O::I16x8RelaxedLaneselect => self.blend(I8X16),
            O::I32x4RelaxedLaneselect => self.blend(I32X4),
            O::I64x2RelaxedLaneselect => self.blend(I64X2),
            // The instructions `minps` and so on are the pseudo-minima of their operands in the other order.
            O::F32x4RelaxedMin => self.swapped(F32X4, Self::pseudo_min),
            O::F32x4RelaxedMax => self.swapped(F32X4, Self::pseudo_max),
            O::F64x2RelaxedMin => self.swapped(F64X2, Self::pseudo_min),
            O::F64x2RelaxedMax => self.swapped(F64X2, Self::pseudo_max),
            O::I16x8RelaxedQ15mulrS => self.binary_lanes(I16X8, |ins, a, b| ins.x86_pmulhrsw(a, b)),
            _ => return false,
        }
        true
    }

    /// `a * b + c`, or `-a * b + c`, rounded once or twice.
    fn multiply_add(&mut self, ty: Type, negated: bool, once: bool) {
        let [a, b, c] = self.pop_all_lanes(ty);
        let a = if negated { self.builder.ins().fneg(a) } else { a };
        let value = if once {
            self.builder.ins().fma(a, b, c)
        } else {
            let product = self.builder.ins().fmul(a, b);
            self.builder.ins().fadd(product, c)
        };
        self.push_vector(value);
    }

    /// Pops two vectors of bytes, and sums the products of pairs. The sums are saturated.
    fn relaxed_dot(&mut self, is_x86: bool) -> Value {
        if is_x86 {
            let [a, b] = self.pop_all_lanes(I8X16);
            // Cranelift's instruction takes the lanes of its second operand for unsigned ones.
            return self.builder.ins().x86_pmaddubsw(a, b);
        }
        let sums = self.signed_dot(I8X16);
        // One sum alone does not fit, that of the products of four times the smallest byte, and becomes the smallest lane,
        // which no other does. What it is saturated to are its bits the other way round.
        let smallest =
            self.vector_constant(I16X8, std::array::from_fn(|byte| if byte % 2 == 0 { 0 } else { 0x80 }));
        let wrapped = self.builder.ins().icmp(IntCC::Equal, sums, smallest);
        self.builder.ins().bxor(sums, wrapped)
    }

    /// Selects lanes of type `ty` by the top bits of those of the mask.
    fn blend(&mut self, ty: Type) {
        let [then, otherwise, mask] = self.pop_all_lanes(ty);
        let value = self.builder.ins().blendv(mask, then, otherwise);
        self.push_vector(value);
    }

    /// Pops two vectors, and gives them to `make` in the other order.
    fn swapped(&mut self, ty: Type, make: impl FnOnce(&mut Self, Type, [Value; 2])) {
        let [a, b] = self.pop_all_lanes(ty);
        make(self, ty, [b, a]);
    }
}
