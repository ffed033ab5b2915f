//! Relaxed instructions, where a choice makes something else of them than of the instruction that is not relaxed.
//!
//! The names with `.x86` are what machines of that kind do in one instruction. The deterministic choice of most is the
//! instruction without the word; only multiplications with additions and dot products have none.

use super::convert::{and_zeroes, pairs};
use super::integer::rounded_q15;
use super::lanes::swizzle;
use super::{F32x4, F64x2, I8x16, I16x8, I32x4, I64x2, U8x16, binaries, map, ternaries, unaries, zip};

unaries! { $ RelaxedUnary relaxed_unary_rows;
    // What is too low saturates to the smallest integer by itself.
    TruncF32x4X86 "i32x4.trunc_f32x4_s.x86": F32x4 => I32x4, |a|
        map(a, |a| if a < 2_147_483_648.0 { a as i32 } else { i32::MIN });
    TruncF64x2X86 "i32x4.trunc_f64x2_s_zero.x86": F64x2 => I32x4, |a|
        and_zeroes(map(a, |a| if a < 2_147_483_648.0 { a as i32 } else { i32::MIN }));
}

binaries! { $ RelaxedBinary relaxed_binary_rows;
    SwizzleX86 "i8x16.swizzle.x86": U8x16 => U8x16, |a, s|
        swizzle(a, map(s, |i| if i < 128 { i & 15 } else { 16 }));
    F32x4MinX86 "f32x4.min.x86": F32x4 => F32x4, |a, b| zip(a, b, |a, b| if a < b { a } else { b });
    F32x4MaxX86 "f32x4.max.x86": F32x4 => F32x4, |a, b| zip(a, b, |a, b| if a > b { a } else { b });
    F64x2MinX86 "f64x2.min.x86": F64x2 => F64x2, |a, b| zip(a, b, |a, b| if a < b { a } else { b });
    F64x2MaxX86 "f64x2.max.x86": F64x2 => F64x2, |a, b| zip(a, b, |a, b| if a > b { a } else { b });
    Q15MulrX86 "i16x8.q15mulr_s.x86": I16x8 => I16x8, |a, b| zip(a, b, |a, b| rounded_q15(a, b) as i16);
    Dot "i16x8.relaxed_dot": I8x16 => I16x8, |a, b| dot(a, map(b, i16::from));
    DotX86 "i16x8.relaxed_dot.x86": I8x16 => I16x8, |a, b| dot(a, map(b, unsigned));
}

ternaries! { $ RelaxedTernary relaxed_ternary_rows;
    F32x4Madd "f32x4.madd": F32x4 => F32x4, |a, b, c| each(a, b, c, |a, b, c| a * b + c);
    F32x4Nmadd "f32x4.nmadd": F32x4 => F32x4, |a, b, c| each(a, b, c, |a, b, c| (-a) * b + c);
    F64x2Madd "f64x2.madd": F64x2 => F64x2, |a, b, c| each(a, b, c, |a, b, c| a * b + c);
    F64x2Nmadd "f64x2.nmadd": F64x2 => F64x2, |a, b, c| each(a, b, c, |a, b, c| (-a) * b + c);
    F32x4MaddFused "f32x4.madd.fused": F32x4 => F32x4, |a, b, c| each(a, b, c, f32::mul_add);
    F32x4NmaddFused "f32x4.nmadd.fused": F32x4 => F32x4, |a, b, c| each(a, b, c, |a, b, c| (-a).mul_add(b, c));
    F64x2MaddFused "f64x2.madd.fused": F64x2 => F64x2, |a, b, c| each(a, b, c, f64::mul_add);
    F64x2NmaddFused "f64x2.nmadd.fused": F64x2 => F64x2, |a, b, c| each(a, b, c, |a, b, c| (-a).mul_add(b, c));
    Laneselect8X86 "i8x16.laneselect.x86": I8x16 => I8x16, |a, b, mask| laneselect(a, b, mask);
    Laneselect32X86 "i32x4.laneselect.x86": I32x4 => I32x4, |a, b, mask| laneselect(a, b, mask);
    Laneselect64X86 "i64x2.laneselect.x86": I64x2 => I64x2, |a, b, mask| laneselect(a, b, mask);
    DotAdd "i32x4.relaxed_dot_add": I8x16 => I32x4, |a, b, c| dot_add(dot(a, map(b, i16::from)), c);
    DotAddX86 "i32x4.relaxed_dot_add.x86": I8x16 => I32x4, |a, b, c| dot_add(dot(a, map(b, unsigned)), c);
}

/// `f` of each three lanes with the same number.
#[inline(always)]
fn each<T: Copy, const N: usize>(a: [T; N], b: [T; N], c: [T; N], f: impl Fn(T, T, T) -> T) -> [T; N] {
    let mut result = c;
    for ((result, a), b) in result.iter_mut().zip(a).zip(b) {
        *result = f(a, b, *result);
    }
    result
}

/// The lanes of `a` where the top bit of those of `mask` is set, and of `b` where it is not.
#[inline(always)]
fn laneselect<T: Copy + Default + PartialOrd, const N: usize>(a: [T; N], b: [T; N], mask: [T; N]) -> [T; N] {
    each(a, b, mask, |a, b, mask| if mask < T::default() { a } else { b })
}

#[inline(always)]
fn unsigned(a: i8) -> i16 {
    (a as u8).into()
}

/// Sums of the products of neighbours, saturated.
#[inline(always)]
fn dot(a: I8x16, b: [i16; 16]) -> I16x8 {
    pairs(zip(map(a, i16::from), b, |a, b| a * b), i16::saturating_add)
}

#[inline(always)]
fn dot_add(products: I16x8, c: I32x4) -> I32x4 {
    zip(pairs(products, |a, b| i32::from(a) + i32::from(b)), c, i32::wrapping_add)
}
