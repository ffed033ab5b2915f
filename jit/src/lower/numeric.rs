//! Numbers: constants, arithmetic, comparisons and conversions.
//!
//! Most instructions of WebAssembly are ones of Cranelift, which was made for it: shifts take their amounts
//! modulo the width, `fmin` and `fmax` know NaN and the sign of zero, division and the conversions from
//! floats trap where the specification says so.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::immediates::{Ieee32, Ieee64};
use cranelift_codegen::ir::types::{F32, F64, I8, I16, I32, I64, I128};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value};
use cranelift_frontend::FuncInstBuilder;
use wasmparser::Operator;

use super::Lower;

impl<'f> Lower<'_, 'f, '_> {
    /// Lowers a numeric instruction. Returns whether the operator is one.
    pub(super) fn numeric(&mut self, operator: &Operator<'_>) -> bool {
        self.constant_of(operator)
            || self.integer(operator)
            || self.float(operator)
            || self.conversion(operator)
    }

    fn unary(&mut self, make: impl FnOnce(FuncInstBuilder<'_, 'f>, Value) -> Value) {
        let a = self.pop();
        let value = make(self.builder.ins(), a);
        self.stack.push(value);
    }

    /// A function of two integers of 128 bits, each of which is two operands, the low half first.
    fn wide_binary(&mut self, make: impl FnOnce(FuncInstBuilder<'_, 'f>, Value, Value) -> Value) {
        let [a_low, a_high, b_low, b_high] = self.pop_array();
        let a = self.builder.ins().iconcat(a_low, a_high);
        let b = self.builder.ins().iconcat(b_low, b_high);
        let result = make(self.builder.ins(), a, b);
        self.push_halves(result);
    }

    /// A product of 128 bits of two operands that are extended so.
    fn wide_product(&mut self, extend: impl Fn(FuncInstBuilder<'_, 'f>, Value) -> Value) {
        let [a, b] = self.pop_array();
        let (a, b) = (extend(self.builder.ins(), a), extend(self.builder.ins(), b));
        let result = self.builder.ins().imul(a, b);
        self.push_halves(result);
    }

    fn push_halves(&mut self, value: Value) {
        let (low, high) = self.builder.ins().isplit(value);
        self.stack.extend([low, high]);
    }

    fn binary(&mut self, make: impl FnOnce(FuncInstBuilder<'_, 'f>, Value, Value) -> Value) {
        let [a, b] = self.pop_array();
        let value = make(self.builder.ins(), a, b);
        self.stack.push(value);
    }

    /// The operand types of an integer comparison are those of its operands; the result is an `i32`.
    fn compare(&mut self, condition: IntCC) {
        self.binary(|ins, a, b| ins.icmp(condition, a, b));
        self.unary(|ins, flag| ins.uextend(I32, flag));
    }

    fn compare_float(&mut self, condition: FloatCC) {
        self.binary(|ins, a, b| ins.fcmp(condition, a, b));
        self.unary(|ins, flag| ins.uextend(I32, flag));
    }

    fn eqz(&mut self) {
        self.unary(|ins, a| ins.icmp_imm_u(IntCC::Equal, a, 0));
        self.unary(|ins, flag| ins.uextend(I32, flag));
    }

    /// Extends the sign of the lowest bits of a value.
    fn extend_low(&mut self, from: Type, to: Type) {
        self.unary(|ins, a| ins.ireduce(from, a));
        self.unary(|ins, a| ins.sextend(to, a));
    }

    fn reinterpret(&mut self, ty: Type) {
        self.unary(|ins, a| ins.bitcast(ty, MemFlagsData::new(), a));
    }

    fn constant_of(&mut self, operator: &Operator<'_>) -> bool {
        let ins = self.builder.ins();
        let value = match *operator {
            // The constant is kept as the instruction's type has it: without its sign.
            Operator::I32Const { value } => ins.iconst(I32, i64::from(value as u32)),
            Operator::I64Const { value } => ins.iconst(I64, value),
            Operator::F32Const { value } => ins.f32const(Ieee32::with_bits(value.bits())),
            Operator::F64Const { value } => ins.f64const(Ieee64::with_bits(value.bits())),
            _ => return false,
        };
        self.stack.push(value);
        true
    }

    fn integer(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        match operator {
            O::I32Eqz | O::I64Eqz => self.eqz(),
            O::I32Eq | O::I64Eq => self.compare(IntCC::Equal),
            O::I32Ne | O::I64Ne => self.compare(IntCC::NotEqual),
            O::I32LtS | O::I64LtS => self.compare(IntCC::SignedLessThan),
            O::I32LtU | O::I64LtU => self.compare(IntCC::UnsignedLessThan),
            O::I32GtS | O::I64GtS => self.compare(IntCC::SignedGreaterThan),
            O::I32GtU | O::I64GtU => self.compare(IntCC::UnsignedGreaterThan),
            O::I32LeS | O::I64LeS => self.compare(IntCC::SignedLessThanOrEqual),
            O::I32LeU | O::I64LeU => self.compare(IntCC::UnsignedLessThanOrEqual),
            O::I32GeS | O::I64GeS => self.compare(IntCC::SignedGreaterThanOrEqual),
            O::I32GeU | O::I64GeU => self.compare(IntCC::UnsignedGreaterThanOrEqual),
            O::I32Clz | O::I64Clz => self.unary(|ins, a| ins.clz(a)),
            O::I32Ctz | O::I64Ctz => self.unary(|ins, a| ins.ctz(a)),
            O::I32Popcnt | O::I64Popcnt => self.unary(|ins, a| ins.popcnt(a)),
            O::I32Add | O::I64Add => {
                let [a, b] = self.pop_array();
                let sum = self.sum(a, b);
                self.stack.push(sum);
            }
            O::I32Sub | O::I64Sub => self.binary(|ins, a, b| ins.isub(a, b)),
            O::I64Add128 => self.wide_binary(|ins, a, b| ins.iadd(a, b)),
            O::I64Sub128 => self.wide_binary(|ins, a, b| ins.isub(a, b)),
            O::I64MulWideS => self.wide_product(|ins, a| ins.sextend(I128, a)),
            O::I64MulWideU => self.wide_product(|ins, a| ins.uextend(I128, a)),
            O::I32Mul | O::I64Mul => self.binary(|ins, a, b| ins.imul(a, b)),
            O::I32DivS | O::I64DivS => self.binary(|ins, a, b| ins.sdiv(a, b)),
            O::I32DivU | O::I64DivU => self.binary(|ins, a, b| ins.udiv(a, b)),
            O::I32RemS | O::I64RemS => self.binary(|ins, a, b| ins.srem(a, b)),
            O::I32RemU | O::I64RemU => self.binary(|ins, a, b| ins.urem(a, b)),
            O::I32And | O::I64And => self.binary(|ins, a, b| ins.band(a, b)),
            O::I32Or | O::I64Or => {
                let [a, b] = self.pop_array();
                let union = self.union(a, b);
                self.stack.push(union);
            }
            O::I32Xor | O::I64Xor => self.binary(|ins, a, b| ins.bxor(a, b)),
            O::I32Shl | O::I64Shl => self.binary(|ins, a, b| ins.ishl(a, b)),
            O::I32ShrS | O::I64ShrS => self.binary(|ins, a, b| ins.sshr(a, b)),
            O::I32ShrU | O::I64ShrU => self.binary(|ins, a, b| ins.ushr(a, b)),
            O::I32Rotl | O::I64Rotl => self.binary(|ins, a, b| ins.rotl(a, b)),
            O::I32Rotr | O::I64Rotr => self.binary(|ins, a, b| ins.rotr(a, b)),
            O::I32Extend8S => self.extend_low(I8, I32),
            O::I32Extend16S => self.extend_low(I16, I32),
            O::I64Extend8S => self.extend_low(I8, I64),
            O::I64Extend16S => self.extend_low(I16, I64),
            O::I64Extend32S => self.extend_low(I32, I64),
            _ => return false,
        }
        true
    }

    fn float(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        match operator {
            O::F32Eq | O::F64Eq => self.compare_float(FloatCC::Equal),
            // True of a NaN, as Cranelift's is: "unordered or not equal".
            O::F32Ne | O::F64Ne => self.compare_float(FloatCC::NotEqual),
            O::F32Lt | O::F64Lt => self.compare_float(FloatCC::LessThan),
            O::F32Gt | O::F64Gt => self.compare_float(FloatCC::GreaterThan),
            O::F32Le | O::F64Le => self.compare_float(FloatCC::LessThanOrEqual),
            O::F32Ge | O::F64Ge => self.compare_float(FloatCC::GreaterThanOrEqual),
            O::F32Abs | O::F64Abs => self.unary(|ins, a| ins.fabs(a)),
            O::F32Neg | O::F64Neg => self.unary(|ins, a| ins.fneg(a)),
            O::F32Ceil | O::F64Ceil => self.unary(|ins, a| ins.ceil(a)),
            O::F32Floor | O::F64Floor => self.unary(|ins, a| ins.floor(a)),
            O::F32Trunc | O::F64Trunc => self.unary(|ins, a| ins.trunc(a)),
            O::F32Nearest | O::F64Nearest => self.unary(|ins, a| ins.nearest(a)),
            O::F32Sqrt | O::F64Sqrt => self.unary(|ins, a| ins.sqrt(a)),
            O::F32Add | O::F64Add => self.binary(|ins, a, b| ins.fadd(a, b)),
            O::F32Sub | O::F64Sub => self.binary(|ins, a, b| ins.fsub(a, b)),
            O::F32Mul | O::F64Mul => self.binary(|ins, a, b| ins.fmul(a, b)),
            O::F32Div | O::F64Div => self.binary(|ins, a, b| ins.fdiv(a, b)),
            O::F32Min | O::F64Min => self.binary(|ins, a, b| ins.fmin(a, b)),
            O::F32Max | O::F64Max => self.binary(|ins, a, b| ins.fmax(a, b)),
            O::F32Copysign | O::F64Copysign => self.binary(|ins, a, b| ins.fcopysign(a, b)),
            _ => return false,
        }
        true
    }

    fn conversion(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        match operator {
            O::I32WrapI64 => self.unary(|ins, a| ins.ireduce(I32, a)),
            O::I64ExtendI32S => self.unary(|ins, a| ins.sextend(I64, a)),
            O::I64ExtendI32U => self.unary(|ins, a| ins.uextend(I64, a)),
            O::I32TruncF32S | O::I32TruncF64S => self.unary(|ins, a| ins.fcvt_to_sint(I32, a)),
            O::I32TruncF32U | O::I32TruncF64U => self.unary(|ins, a| ins.fcvt_to_uint(I32, a)),
            O::I64TruncF32S | O::I64TruncF64S => self.unary(|ins, a| ins.fcvt_to_sint(I64, a)),
            O::I64TruncF32U | O::I64TruncF64U => self.unary(|ins, a| ins.fcvt_to_uint(I64, a)),
            O::I32TruncSatF32S | O::I32TruncSatF64S => self.unary(|ins, a| ins.fcvt_to_sint_sat(I32, a)),
            O::I32TruncSatF32U | O::I32TruncSatF64U => self.unary(|ins, a| ins.fcvt_to_uint_sat(I32, a)),
            O::I64TruncSatF32S | O::I64TruncSatF64S => self.unary(|ins, a| ins.fcvt_to_sint_sat(I64, a)),
            O::I64TruncSatF32U | O::I64TruncSatF64U => self.unary(|ins, a| ins.fcvt_to_uint_sat(I64, a)),
            O::F32ConvertI32S | O::F32ConvertI64S => self.unary(|ins, a| ins.fcvt_from_sint(F32, a)),
            O::F32ConvertI32U | O::F32ConvertI64U => self.unary(|ins, a| ins.fcvt_from_uint(F32, a)),
            O::F64ConvertI32S | O::F64ConvertI64S => self.unary(|ins, a| ins.fcvt_from_sint(F64, a)),
            O::F64ConvertI32U | O::F64ConvertI64U => self.unary(|ins, a| ins.fcvt_from_uint(F64, a)),
            O::F32DemoteF64 => self.unary(|ins, a| ins.fdemote(F32, a)),
            O::F64PromoteF32 => self.unary(|ins, a| ins.fpromote(F64, a)),
            O::I32ReinterpretF32 => self.reinterpret(I32),
            O::I64ReinterpretF64 => self.reinterpret(I64),
            O::F32ReinterpretI32 => self.reinterpret(F32),
            O::F64ReinterpretI64 => self.reinterpret(F64),
            _ => return false,
        }
        true
    }
}
