//! Numeric instructions: what each computes, written once, and the shapes that read and write operands.

use std::marker::PhantomData;

use wasmrun_runtime::trap::Trap;

use crate::field::Field;
use crate::machine::{Dispatch, Machine, Op, Stop, code};
use crate::mode::{Dest, Source};
use crate::ops::memory::Address;

/// A function of two operands.
pub(crate) trait Binary {
    /// Its name.
    const NAME: &'static str;
    type In;
    type Out;
    fn apply(a: Self::In, b: Self::In) -> Result<Self::Out, Trap>;
}

/// A function of one operand.
pub(crate) trait Unary {
    /// Its name.
    const NAME: &'static str;
    type In;
    type Out;
    fn apply(a: Self::In) -> Result<Self::Out, Trap>;
}

/// A binary instruction: destination, first operand, second operand.
pub(crate) struct BinaryOp<O, X, Y, Z>(PhantomData<(O, X, Y, Z)>);

impl<O: Binary, X: Source<O::In>, Y: Source<O::In>, Z: Dest<O::Out>> Op for BinaryOp<O, X, Y, Z> {
    const NAME: &'static [&'static str] = &[O::NAME];
    const FIELDS: &'static [Field] = &[Z::FIELD, X::FIELD, Y::FIELD];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let a = X::get::<Self, 1>(&m);
            let b = Y::get::<Self, 2>(&m);
            match O::apply(a, b) {
                Ok(result) => {
                    Z::put::<Self, 0>(&mut m, result);
                    m.next::<D, Self>()
                }
                Err(trap) => stop::<D>(m, trap),
            }
        }
    }
}

/// Address of an array's element, `base + (index << shift)`: destination, base, index, shift.
pub(crate) struct ElementAddress<A, X, Y, Z>(PhantomData<(A, X, Y, Z)>);

impl<A: Address, X: Source<A>, Y: Source<A>, Z: Dest<A>> Op for ElementAddress<A, X, Y, Z> {
    const NAME: &'static [&'static str] = &["element", A::NAME];
    const FIELDS: &'static [Field] = &[Z::FIELD, X::FIELD, Y::FIELD, A::IMM];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let base = X::get::<Self, 1>(&m);
            let offset = Y::get::<Self, 2>(&m).shifted(m.field::<Self, u32, 3>());
            Z::put::<Self, 0>(&mut m, base.plus(offset));
            m.next::<D, Self>()
        }
    }
}

/// A unary instruction: destination, operand.
pub(crate) struct UnaryOp<O, X, Z>(PhantomData<(O, X, Z)>);

impl<O: Unary, X: Source<O::In>, Z: Dest<O::Out>> Op for UnaryOp<O, X, Z> {
    const NAME: &'static [&'static str] = &[O::NAME];
    const FIELDS: &'static [Field] = &[Z::FIELD, X::FIELD];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            match O::apply(X::get::<Self, 1>(&m)) {
                Ok(result) => {
                    Z::put::<Self, 0>(&mut m, result);
                    m.next::<D, Self>()
                }
                Err(trap) => stop::<D>(m, trap),
            }
        }
    }
}

/// Stops with one of the numeric traps, out of line.
#[inline(always)]
unsafe fn stop<D: Dispatch>(m: Machine, trap: Trap) -> D::Out {
    // SAFETY: `ctx` is alive.
    unsafe {
        match trap {
            Trap::IntegerDivisionByZero => D::cold::<Stop<{ code(Trap::IntegerDivisionByZero) }>>(m),
            Trap::IntegerOverflow => D::cold::<Stop<{ code(Trap::IntegerOverflow) }>>(m),
            _ => D::cold::<Stop<{ code(Trap::BadConversionToInteger) }>>(m),
        }
    }
}

macro_rules! binary {
    ($d:tt $($name:ident $text:literal: $in:ty => $out:ty, |$a:ident, $b:ident| $body:expr;)*) => {
        /// The binary instructions.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        pub(crate) enum BinaryKind { $($name),* }

        impl BinaryKind {
            /// All of them, in order.
            pub(crate) const ALL: &'static [BinaryKind] = &[$(BinaryKind::$name),*];
        }

        $(
            pub(crate) struct $name;
            impl Binary for $name {
                const NAME: &'static str = $text;
                type In = $in;
                type Out = $out;
                #[inline(always)]
                fn apply($a: $in, $b: $in) -> Result<$out, Trap> { $body }
            }
        )*

        /// The rows of the table: what `row` makes of each operation.
        macro_rules! binary_rows {
            ($d row:ident) => { [$($d row::<$name>()),*] };
        }
        pub(crate) use binary_rows;
    };
}

macro_rules! unary {
    ($d:tt $($name:ident $text:literal: $in:ty => $out:ty, |$a:ident| $body:expr;)*) => {
        /// The unary instructions.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        pub(crate) enum UnaryKind { $($name),* }

        impl UnaryKind {
            /// How many there are.
            pub(crate) const COUNT: usize = [$(UnaryKind::$name),*].len();
        }

        $(
            pub(crate) struct $name;
            impl Unary for $name {
                const NAME: &'static str = $text;
                type In = $in;
                type Out = $out;
                #[inline(always)]
                fn apply($a: $in) -> Result<$out, Trap> { $body }
            }
        )*

        /// The rows of the table: what `row` makes of each operation.
        macro_rules! unary_rows {
            ($d row:ident) => { [$($d row::<$name>()),*] };
        }
        pub(crate) use unary_rows;
    };
}

binary! { $
    I32Add "i32.add": u32 => u32, |a, b| Ok(a.wrapping_add(b));
    I32Sub "i32.sub": u32 => u32, |a, b| Ok(a.wrapping_sub(b));
    I32Mul "i32.mul": u32 => u32, |a, b| Ok(a.wrapping_mul(b));
    I32And "i32.and": u32 => u32, |a, b| Ok(a & b);
    I32Or "i32.or": u32 => u32, |a, b| Ok(a | b);
    I32Xor "i32.xor": u32 => u32, |a, b| Ok(a ^ b);
    I32Shl "i32.shl": u32 => u32, |a, b| Ok(a.wrapping_shl(b));
    I32ShrS "i32.shr_s": i32 => i32, |a, b| Ok(a.wrapping_shr(b as u32));
    I32ShrU "i32.shr_u": u32 => u32, |a, b| Ok(a.wrapping_shr(b));
    I32Rotl "i32.rotl": u32 => u32, |a, b| Ok(a.rotate_left(b & 31));
    I32Rotr "i32.rotr": u32 => u32, |a, b| Ok(a.rotate_right(b & 31));
    I32DivS "i32.div_s": i32 => i32, |a, b| if b == 0 {
        Err(Trap::IntegerDivisionByZero)
    } else {
        a.checked_div(b).ok_or(Trap::IntegerOverflow)
    };
    I32DivU "i32.div_u": u32 => u32, |a, b| a.checked_div(b).ok_or(Trap::IntegerDivisionByZero);
    I32RemS "i32.rem_s": i32 => i32, |a, b| if b == 0 {
        Err(Trap::IntegerDivisionByZero)
    } else {
        Ok(a.wrapping_rem(b))
    };
    I32RemU "i32.rem_u": u32 => u32, |a, b| a.checked_rem(b).ok_or(Trap::IntegerDivisionByZero);

    I64Add "i64.add": u64 => u64, |a, b| Ok(a.wrapping_add(b));
    I64Sub "i64.sub": u64 => u64, |a, b| Ok(a.wrapping_sub(b));
    I64Mul "i64.mul": u64 => u64, |a, b| Ok(a.wrapping_mul(b));
    I64And "i64.and": u64 => u64, |a, b| Ok(a & b);
    I64Or "i64.or": u64 => u64, |a, b| Ok(a | b);
    I64Xor "i64.xor": u64 => u64, |a, b| Ok(a ^ b);
    I64Shl "i64.shl": u64 => u64, |a, b| Ok(a.wrapping_shl(b as u32));
    I64ShrS "i64.shr_s": i64 => i64, |a, b| Ok(a.wrapping_shr(b as u32));
    I64ShrU "i64.shr_u": u64 => u64, |a, b| Ok(a.wrapping_shr(b as u32));
    I64Rotl "i64.rotl": u64 => u64, |a, b| Ok(a.rotate_left(b as u32 & 63));
    I64Rotr "i64.rotr": u64 => u64, |a, b| Ok(a.rotate_right(b as u32 & 63));
    I64DivS "i64.div_s": i64 => i64, |a, b| if b == 0 {
        Err(Trap::IntegerDivisionByZero)
    } else {
        a.checked_div(b).ok_or(Trap::IntegerOverflow)
    };
    I64DivU "i64.div_u": u64 => u64, |a, b| a.checked_div(b).ok_or(Trap::IntegerDivisionByZero);
    I64RemS "i64.rem_s": i64 => i64, |a, b| if b == 0 {
        Err(Trap::IntegerDivisionByZero)
    } else {
        Ok(a.wrapping_rem(b))
    };
    I64RemU "i64.rem_u": u64 => u64, |a, b| a.checked_rem(b).ok_or(Trap::IntegerDivisionByZero);

    F32Add "f32.add": f32 => f32, |a, b| Ok(a + b);
    F32Sub "f32.sub": f32 => f32, |a, b| Ok(a - b);
    F32Mul "f32.mul": f32 => f32, |a, b| Ok(a * b);
    F32Div "f32.div": f32 => f32, |a, b| Ok(a / b);
    F32Min "f32.min": f32 => f32, |a, b| Ok(if a < b { a } else if b < a { b } else if a == b {
        f32::from_bits(a.to_bits() | b.to_bits())
    } else {
        a + b
    });
    F32Max "f32.max": f32 => f32, |a, b| Ok(if a > b { a } else if b > a { b } else if a == b {
        f32::from_bits(a.to_bits() & b.to_bits())
    } else {
        a + b
    });
    F32Copysign "f32.copysign": f32 => f32, |a, b| Ok(a.copysign(b));

    F64Add "f64.add": f64 => f64, |a, b| Ok(a + b);
    F64Sub "f64.sub": f64 => f64, |a, b| Ok(a - b);
    F64Mul "f64.mul": f64 => f64, |a, b| Ok(a * b);
    F64Div "f64.div": f64 => f64, |a, b| Ok(a / b);
    F64Min "f64.min": f64 => f64, |a, b| Ok(if a < b { a } else if b < a { b } else if a == b {
        f64::from_bits(a.to_bits() | b.to_bits())
    } else {
        a + b
    });
    F64Max "f64.max": f64 => f64, |a, b| Ok(if a > b { a } else if b > a { b } else if a == b {
        f64::from_bits(a.to_bits() & b.to_bits())
    } else {
        a + b
    });
    F64Copysign "f64.copysign": f64 => f64, |a, b| Ok(a.copysign(b));

    I32Eq "i32.eq": u32 => u32, |a, b| Ok((a == b).into());
    I32Ne "i32.ne": u32 => u32, |a, b| Ok((a != b).into());
    I32LtS "i32.lt_s": i32 => u32, |a, b| Ok((a < b).into());
    I32LtU "i32.lt_u": u32 => u32, |a, b| Ok((a < b).into());
    I32GtS "i32.gt_s": i32 => u32, |a, b| Ok((a > b).into());
    I32GtU "i32.gt_u": u32 => u32, |a, b| Ok((a > b).into());
    I32LeS "i32.le_s": i32 => u32, |a, b| Ok((a <= b).into());
    I32LeU "i32.le_u": u32 => u32, |a, b| Ok((a <= b).into());
    I32GeS "i32.ge_s": i32 => u32, |a, b| Ok((a >= b).into());
    I32GeU "i32.ge_u": u32 => u32, |a, b| Ok((a >= b).into());
    I64Eq "i64.eq": u64 => u32, |a, b| Ok((a == b).into());
    I64Ne "i64.ne": u64 => u32, |a, b| Ok((a != b).into());
    I64LtS "i64.lt_s": i64 => u32, |a, b| Ok((a < b).into());
    I64LtU "i64.lt_u": u64 => u32, |a, b| Ok((a < b).into());
    I64GtS "i64.gt_s": i64 => u32, |a, b| Ok((a > b).into());
    I64GtU "i64.gt_u": u64 => u32, |a, b| Ok((a > b).into());
    I64LeS "i64.le_s": i64 => u32, |a, b| Ok((a <= b).into());
    I64LeU "i64.le_u": u64 => u32, |a, b| Ok((a <= b).into());
    I64GeS "i64.ge_s": i64 => u32, |a, b| Ok((a >= b).into());
    I64GeU "i64.ge_u": u64 => u32, |a, b| Ok((a >= b).into());
    F32Eq "f32.eq": f32 => u32, |a, b| Ok((a == b).into());
    F32Ne "f32.ne": f32 => u32, |a, b| Ok((a != b).into());
    F32Lt "f32.lt": f32 => u32, |a, b| Ok((a < b).into());
    F32Gt "f32.gt": f32 => u32, |a, b| Ok((a > b).into());
    F32Le "f32.le": f32 => u32, |a, b| Ok((a <= b).into());
    F32Ge "f32.ge": f32 => u32, |a, b| Ok((a >= b).into());
    F64Eq "f64.eq": f64 => u32, |a, b| Ok((a == b).into());
    F64Ne "f64.ne": f64 => u32, |a, b| Ok((a != b).into());
    F64Lt "f64.lt": f64 => u32, |a, b| Ok((a < b).into());
    F64Gt "f64.gt": f64 => u32, |a, b| Ok((a > b).into());
    F64Le "f64.le": f64 => u32, |a, b| Ok((a <= b).into());
    F64Ge "f64.ge": f64 => u32, |a, b| Ok((a >= b).into());
}

/// Rounding to integral values, inline: without SSE 4.1 the compiler makes calls of the standard library's,
/// which also return a signalling NaN as it is.
macro_rules! rounding {
    ($module:ident, $float:ty, $int:ty, $integral:expr, $quiet:expr) => {
        mod $module {
            /// From here on all values are integral.
            const INTEGRAL: $float = $integral;

            /// `f` of a value with a fraction, with the value's sign; any other value is its own result.
            #[inline(always)]
            fn round(a: $float, f: impl Fn($float) -> $float) -> $float {
                if a.abs() < INTEGRAL {
                    f(a).copysign(a)
                } else if a.is_nan() {
                    <$float>::from_bits(a.to_bits() | $quiet)
                } else {
                    a
                }
            }

            #[inline(always)]
            pub(super) fn trunc(a: $float) -> $float {
                round(a, |a| a as $int as $float)
            }

            #[inline(always)]
            pub(super) fn floor(a: $float) -> $float {
                round(a, |a| {
                    let t = a as $int as $float;
                    if t > a { t - 1.0 } else { t }
                })
            }

            #[inline(always)]
            pub(super) fn ceil(a: $float) -> $float {
                round(a, |a| {
                    let t = a as $int as $float;
                    if t < a { t + 1.0 } else { t }
                })
            }

            /// To the nearest, ties to even: where the spacing of floats is 1, addition rounds so.
            #[inline(always)]
            pub(super) fn nearest(a: $float) -> $float {
                round(a, |a| (a.abs() + INTEGRAL) - INTEGRAL)
            }
        }
    };
}

rounding! { f32_round, f32, i32, 8_388_608.0, 0x0040_0000 }
rounding! { f64_round, f64, i64, 4_503_599_627_370_496.0, 0x0008_0000_0000_0000 }

/// Converts a float to an integer, or says why not. `$above` and `$below` are exclusive bounds, exact in
/// the float type, except that `$above` is inclusive when marked so: the lowest integer itself is exact.
macro_rules! truncate {
    ($x:ident, $to:ty, $lower:tt $low:expr, $high:expr) => {
        #[allow(clippy::manual_range_contains, reason = "some ranges exclude their lower bound")]
        if $x $lower $low && $x < $high {
            Ok($x as $to)
        } else if $x.is_nan() {
            Err(Trap::BadConversionToInteger)
        } else {
            Err(Trap::IntegerOverflow)
        }
    };
}

unary! { $
    I32Clz "i32.clz": u32 => u32, |a| Ok(a.leading_zeros());
    I32Ctz "i32.ctz": u32 => u32, |a| Ok(a.trailing_zeros());
    I32Popcnt "i32.popcnt": u32 => u32, |a| Ok(a.count_ones());
    I32Extend8S "i32.extend8_s": u32 => i32, |a| Ok((a as i8).into());
    I32Extend16S "i32.extend16_s": u32 => i32, |a| Ok((a as i16).into());
    I64Clz "i64.clz": u64 => u64, |a| Ok(a.leading_zeros().into());
    I64Ctz "i64.ctz": u64 => u64, |a| Ok(a.trailing_zeros().into());
    I64Popcnt "i64.popcnt": u64 => u64, |a| Ok(a.count_ones().into());
    I64Extend8S "i64.extend8_s": u64 => i64, |a| Ok((a as i8).into());
    I64Extend16S "i64.extend16_s": u64 => i64, |a| Ok((a as i16).into());
    I64Extend32S "i64.extend32_s": u64 => i64, |a| Ok((a as i32).into());
    I32WrapI64 "i32.wrap_i64": u64 => u32, |a| Ok(a as u32);
    I64ExtendI32S "i64.extend_i32_s": i32 => i64, |a| Ok(a.into());
    I64ExtendI32U "i64.extend_i32_u": u32 => u64, |a| Ok(a.into());

    F32Abs "f32.abs": f32 => f32, |a| Ok(a.abs());
    F32Neg "f32.neg": f32 => f32, |a| Ok(-a);
    F32Ceil "f32.ceil": f32 => f32, |a| Ok(f32_round::ceil(a));
    F32Floor "f32.floor": f32 => f32, |a| Ok(f32_round::floor(a));
    F32Trunc "f32.trunc": f32 => f32, |a| Ok(f32_round::trunc(a));
    F32Nearest "f32.nearest": f32 => f32, |a| Ok(f32_round::nearest(a));
    F32Sqrt "f32.sqrt": f32 => f32, |a| Ok(a.sqrt());
    F64Abs "f64.abs": f64 => f64, |a| Ok(a.abs());
    F64Neg "f64.neg": f64 => f64, |a| Ok(-a);
    F64Ceil "f64.ceil": f64 => f64, |a| Ok(f64_round::ceil(a));
    F64Floor "f64.floor": f64 => f64, |a| Ok(f64_round::floor(a));
    F64Trunc "f64.trunc": f64 => f64, |a| Ok(f64_round::trunc(a));
    F64Nearest "f64.nearest": f64 => f64, |a| Ok(f64_round::nearest(a));
    F64Sqrt "f64.sqrt": f64 => f64, |a| Ok(a.sqrt());

    I32TruncF32S "i32.trunc_f32_s": f32 => i32, |a| truncate!(a, i32, >= -2147483648.0, 2147483648.0);
    I32TruncF32U "i32.trunc_f32_u": f32 => u32, |a| truncate!(a, u32, > -1.0, 4294967296.0);
    I32TruncF64S "i32.trunc_f64_s": f64 => i32, |a| truncate!(a, i32, > -2147483649.0, 2147483648.0);
    I32TruncF64U "i32.trunc_f64_u": f64 => u32, |a| truncate!(a, u32, > -1.0, 4294967296.0);
    I64TruncF32S "i64.trunc_f32_s": f32 => i64, |a| truncate!(a, i64, >= -9223372036854775808.0, 9223372036854775808.0);
    I64TruncF32U "i64.trunc_f32_u": f32 => u64, |a| truncate!(a, u64, > -1.0, 18446744073709551616.0);
    I64TruncF64S "i64.trunc_f64_s": f64 => i64, |a| truncate!(a, i64, >= -9223372036854775808.0, 9223372036854775808.0);
    I64TruncF64U "i64.trunc_f64_u": f64 => u64, |a| truncate!(a, u64, > -1.0, 18446744073709551616.0);
    I32TruncSatF32S "i32.trunc_sat_f32_s": f32 => i32, |a| Ok(a as i32);
    I32TruncSatF32U "i32.trunc_sat_f32_u": f32 => u32, |a| Ok(a as u32);
    I32TruncSatF64S "i32.trunc_sat_f64_s": f64 => i32, |a| Ok(a as i32);
    I32TruncSatF64U "i32.trunc_sat_f64_u": f64 => u32, |a| Ok(a as u32);
    I64TruncSatF32S "i64.trunc_sat_f32_s": f32 => i64, |a| Ok(a as i64);
    I64TruncSatF32U "i64.trunc_sat_f32_u": f32 => u64, |a| Ok(a as u64);
    I64TruncSatF64S "i64.trunc_sat_f64_s": f64 => i64, |a| Ok(a as i64);
    I64TruncSatF64U "i64.trunc_sat_f64_u": f64 => u64, |a| Ok(a as u64);
    F32ConvertI32S "f32.convert_i32_s": i32 => f32, |a| Ok(a as f32);
    F32ConvertI32U "f32.convert_i32_u": u32 => f32, |a| Ok(a as f32);
    F32ConvertI64S "f32.convert_i64_s": i64 => f32, |a| Ok(a as f32);
    F32ConvertI64U "f32.convert_i64_u": u64 => f32, |a| Ok(a as f32);
    F64ConvertI32S "f64.convert_i32_s": i32 => f64, |a| Ok(a.into());
    F64ConvertI32U "f64.convert_i32_u": u32 => f64, |a| Ok(a.into());
    F64ConvertI64S "f64.convert_i64_s": i64 => f64, |a| Ok(a as f64);
    F64ConvertI64U "f64.convert_i64_u": u64 => f64, |a| Ok(a as f64);
    F32DemoteF64 "f32.demote_f64": f64 => f32, |a| Ok(a as f32);
    F64PromoteF32 "f64.promote_f32": f32 => f64, |a| Ok(a.into());
    I32ReinterpretF32 "i32.reinterpret_f32": f32 => u32, |a| Ok(a.to_bits());
    I64ReinterpretF64 "i64.reinterpret_f64": f64 => u64, |a| Ok(a.to_bits());
    F32ReinterpretI32 "f32.reinterpret_i32": u32 => f32, |a| Ok(f32::from_bits(a));
    F64ReinterpretI64 "f64.reinterpret_i64": u64 => f64, |a| Ok(f64::from_bits(a));
}

impl BinaryKind {
    /// The comparison that is true when this one is false. Floats have none: NaN makes both false.
    pub(crate) fn negated(self) -> Option<BinaryKind> {
        use BinaryKind::*;
        Some(match self {
            I32Eq => I32Ne,
            I32Ne => I32Eq,
            I32LtS => I32GeS,
            I32LtU => I32GeU,
            I32GtS => I32LeS,
            I32GtU => I32LeU,
            I32LeS => I32GtS,
            I32LeU => I32GtU,
            I32GeS => I32LtS,
            I32GeU => I32LtU,
            I64Eq => I64Ne,
            I64Ne => I64Eq,
            I64LtS => I64GeS,
            I64LtU => I64GeU,
            I64GtS => I64LeS,
            I64GtU => I64LeU,
            I64LeS => I64GtS,
            I64LeU => I64GtU,
            I64GeS => I64LtS,
            I64GeU => I64LtU,
            F32Eq => F32Ne,
            F32Ne => F32Eq,
            F64Eq => F64Ne,
            F64Ne => F64Eq,
            _ => return None,
        })
    }

    /// Its place among the comparisons.
    pub(crate) fn comparison(self) -> Option<u16> {
        (self as u16).checked_sub(BinaryKind::I32Eq as u16)
    }
}
