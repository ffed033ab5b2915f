//! Arithmetic of float lanes. What comes of a NaN is what the same operation on scalars makes of it.

use super::{F32x4, F64x2, U32x4, U64x2, binaries, map, unaries, zip};

unaries! { operators $ FloatUnary float_unary_rows;
    F32x4Abs "f32x4.abs": U32x4 => U32x4, |a| map(a, |a| a & !SIGN32);
    F32x4Neg "f32x4.neg": U32x4 => U32x4, |a| map(a, |a| a ^ SIGN32);
    F32x4Sqrt "f32x4.sqrt": F32x4 => F32x4, |a| map(a, f32::sqrt);
    F32x4Ceil "f32x4.ceil": F32x4 => F32x4, |a| map(a, round32::ceil);
    F32x4Floor "f32x4.floor": F32x4 => F32x4, |a| map(a, round32::floor);
    F32x4Trunc "f32x4.trunc": F32x4 => F32x4, |a| map(a, round32::trunc);
    F32x4Nearest "f32x4.nearest": F32x4 => F32x4, |a| map(a, round32::nearest);

    F64x2Abs "f64x2.abs": U64x2 => U64x2, |a| map(a, |a| a & !SIGN64);
    F64x2Neg "f64x2.neg": U64x2 => U64x2, |a| map(a, |a| a ^ SIGN64);
    F64x2Sqrt "f64x2.sqrt": F64x2 => F64x2, |a| map(a, f64::sqrt);
    F64x2Ceil "f64x2.ceil": F64x2 => F64x2, |a| map(a, round64::ceil);
    F64x2Floor "f64x2.floor": F64x2 => F64x2, |a| map(a, round64::floor);
    F64x2Trunc "f64x2.trunc": F64x2 => F64x2, |a| map(a, round64::trunc);
    F64x2Nearest "f64x2.nearest": F64x2 => F64x2, |a| map(a, round64::nearest);
}

binaries! { operators $ FloatBinary float_binary_rows;
    F32x4Add "f32x4.add": F32x4 => F32x4, |a, b| zip(a, b, |a, b| a + b);
    F32x4Sub "f32x4.sub": F32x4 => F32x4, |a, b| zip(a, b, |a, b| a - b);
    F32x4Mul "f32x4.mul": F32x4 => F32x4, |a, b| zip(a, b, |a, b| a * b);
    F32x4Div "f32x4.div": F32x4 => F32x4, |a, b| zip(a, b, |a, b| a / b);
    F32x4Min "f32x4.min": F32x4 => F32x4, |a, b| zip(a, b, extremes32::min);
    F32x4Max "f32x4.max": F32x4 => F32x4, |a, b| zip(a, b, extremes32::max);
    F32x4PMin "f32x4.pmin": F32x4 => F32x4, |a, b| zip(a, b, |a, b| if b < a { b } else { a });
    F32x4PMax "f32x4.pmax": F32x4 => F32x4, |a, b| zip(a, b, |a, b| if a < b { b } else { a });

    F64x2Add "f64x2.add": F64x2 => F64x2, |a, b| zip(a, b, |a, b| a + b);
    F64x2Sub "f64x2.sub": F64x2 => F64x2, |a, b| zip(a, b, |a, b| a - b);
    F64x2Mul "f64x2.mul": F64x2 => F64x2, |a, b| zip(a, b, |a, b| a * b);
    F64x2Div "f64x2.div": F64x2 => F64x2, |a, b| zip(a, b, |a, b| a / b);
    F64x2Min "f64x2.min": F64x2 => F64x2, |a, b| zip(a, b, extremes64::min);
    F64x2Max "f64x2.max": F64x2 => F64x2, |a, b| zip(a, b, extremes64::max);
    F64x2PMin "f64x2.pmin": F64x2 => F64x2, |a, b| zip(a, b, |a, b| if b < a { b } else { a });
    F64x2PMax "f64x2.pmax": F64x2 => F64x2, |a, b| zip(a, b, |a, b| if a < b { b } else { a });
}

const SIGN32: u32 = 1 << 31;
const SIGN64: u64 = 1 << 63;

/// The lesser and the greater of two, without branches. Of two zeroes -0 is the lesser, and of a NaN and anything comes a NaN.
macro_rules! extremes {
    ($module:ident $float:ty) => {
        mod $module {
            #[inline(always)]
            pub(super) fn min(a: $float, b: $float) -> $float {
                let either = <$float>::from_bits(a.to_bits() | b.to_bits());
                choose(a, b, a < b, b < a, either)
            }

            #[inline(always)]
            pub(super) fn max(a: $float, b: $float) -> $float {
                let both = <$float>::from_bits(a.to_bits() & b.to_bits());
                choose(a, b, a > b, b > a, both)
            }

            #[inline(always)]
            fn choose(a: $float, b: $float, first: bool, second: bool, equal: $float) -> $float {
                let others = if a == b { equal } else { a + b };
                let others = if second { b } else { others };
                if first { a } else { others }
            }
        }
    };
}

extremes! { extremes32 f32 }
extremes! { extremes64 f64 }

/// Rounding to integral values by what vector instructions of any machine can do: where the spacing of floats is 1, an
/// addition rounds to the nearest, ties to even.
macro_rules! rounding {
    ($module:ident $float:ty, $integral:expr, $quiet:expr) => {
        mod $module {
            /// From here on all values are integral.
            const INTEGRAL: $float = $integral;

            /// What `f` makes of a value with a fraction and of the integral value that is nearest to it, with the value's sign;
            /// any other value is its own result.
            #[inline(always)]
            fn round(a: $float, f: impl Fn($float, $float) -> $float) -> $float {
                let nearest = ((a.abs() + INTEGRAL) - INTEGRAL).copysign(a);
                let rounded = f(a, nearest).copysign(a);
                let quiet = <$float>::from_bits(a.to_bits() | $quiet);
                let others = if a.is_nan() { quiet } else { a };
                if a.abs() < INTEGRAL { rounded } else { others }
            }

            #[inline(always)]
            pub(super) fn nearest(a: $float) -> $float {
                round(a, |_, nearest| nearest)
            }

            #[inline(always)]
            pub(super) fn floor(a: $float) -> $float {
                round(a, |a, nearest| if nearest > a { nearest - 1.0 } else { nearest })
            }

            #[inline(always)]
            pub(super) fn ceil(a: $float) -> $float {
                round(a, |a, nearest| if nearest < a { nearest + 1.0 } else { nearest })
            }

            #[inline(always)]
            pub(super) fn trunc(a: $float) -> $float {
                round(a, |a, nearest| {
                    let (a, nearest) = (a.abs(), nearest.abs());
                    if nearest > a { nearest - 1.0 } else { nearest }
                })
            }
        }
    };
}

rounding! { round32 f32, 8_388_608.0, 0x0040_0000 }
rounding! { round64 f64, 4_503_599_627_370_496.0, 0x0008_0000_0000_0000 }
