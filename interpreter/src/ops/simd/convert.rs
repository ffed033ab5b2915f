//! Lanes of one type from lanes of another: wider and narrower ones, and integers from floats and back. Where a result has
//! more lanes than there are, those behind are zero.

use super::Half::{High, Low};
use super::{
    F32x4, F64x2, I8x16, I16x8, I32x4, I64x2, U8x16, U16x8, U32x4, U64x2, binaries, map, map_half, unaries,
    zip, zip_half,
};

unaries! { operators $ Conversion conversion_rows;
    I16x8ExtendLowI8x16S "i16x8.extend_low_i8x16_s": I8x16 => I16x8, |a| map_half(Low, a, i16::from);
    I16x8ExtendLowI8x16U "i16x8.extend_low_i8x16_u": U8x16 => U16x8, |a| map_half(Low, a, u16::from);
    I16x8ExtendHighI8x16S "i16x8.extend_high_i8x16_s": I8x16 => I16x8, |a| map_half(High, a, i16::from);
    I16x8ExtendHighI8x16U "i16x8.extend_high_i8x16_u": U8x16 => U16x8, |a| map_half(High, a, u16::from);
    I16x8ExtAddPairwiseI8x16S "i16x8.extadd_pairwise_i8x16_s": I8x16 => I16x8, |a|
        pairs(map(a, i16::from), i16::wrapping_add);
    I16x8ExtAddPairwiseI8x16U "i16x8.extadd_pairwise_i8x16_u": U8x16 => U16x8, |a|
        pairs(map(a, u16::from), u16::wrapping_add);
    I32x4ExtendLowI16x8S "i32x4.extend_low_i16x8_s": I16x8 => I32x4, |a| map_half(Low, a, i32::from);
    I32x4ExtendLowI16x8U "i32x4.extend_low_i16x8_u": U16x8 => U32x4, |a| map_half(Low, a, u32::from);
    I32x4ExtendHighI16x8S "i32x4.extend_high_i16x8_s": I16x8 => I32x4, |a| map_half(High, a, i32::from);
    I32x4ExtendHighI16x8U "i32x4.extend_high_i16x8_u": U16x8 => U32x4, |a| map_half(High, a, u32::from);
    I32x4ExtAddPairwiseI16x8S "i32x4.extadd_pairwise_i16x8_s": I16x8 => I32x4, |a|
        pairs(map(a, i32::from), i32::wrapping_add);
    I32x4ExtAddPairwiseI16x8U "i32x4.extadd_pairwise_i16x8_u": U16x8 => U32x4, |a|
        pairs(map(a, u32::from), u32::wrapping_add);
    I64x2ExtendLowI32x4S "i64x2.extend_low_i32x4_s": I32x4 => I64x2, |a| map_half(Low, a, i64::from);
    I64x2ExtendLowI32x4U "i64x2.extend_low_i32x4_u": U32x4 => U64x2, |a| map_half(Low, a, u64::from);
    I64x2ExtendHighI32x4S "i64x2.extend_high_i32x4_s": I32x4 => I64x2, |a| map_half(High, a, i64::from);
    I64x2ExtendHighI32x4U "i64x2.extend_high_i32x4_u": U32x4 => U64x2, |a| map_half(High, a, u64::from);

    I32x4TruncSatF32x4S "i32x4.trunc_sat_f32x4_s": F32x4 => I32x4, |a| map(a, |a| a as i32);
    I32x4TruncSatF32x4U "i32x4.trunc_sat_f32x4_u": F32x4 => U32x4, |a| map(a, |a| a as u32);
    I32x4TruncSatF64x2SZero "i32x4.trunc_sat_f64x2_s_zero": F64x2 => I32x4, |a| and_zeroes(map(a, |a| a as i32));
    I32x4TruncSatF64x2UZero "i32x4.trunc_sat_f64x2_u_zero": F64x2 => U32x4, |a| and_zeroes(map(a, |a| a as u32));
    F32x4ConvertI32x4S "f32x4.convert_i32x4_s": I32x4 => F32x4, |a| map(a, |a| a as f32);
    F32x4ConvertI32x4U "f32x4.convert_i32x4_u": U32x4 => F32x4, |a| map(a, |a| a as f32);
    F64x2ConvertLowI32x4S "f64x2.convert_low_i32x4_s": I32x4 => F64x2, |a| map_half(Low, a, f64::from);
    F64x2ConvertLowI32x4U "f64x2.convert_low_i32x4_u": U32x4 => F64x2, |a| map_half(Low, a, f64::from);
    F32x4DemoteF64x2Zero "f32x4.demote_f64x2_zero": F64x2 => F32x4, |a| and_zeroes(map(a, |a| a as f32));
    F64x2PromoteLowF32x4 "f64x2.promote_low_f32x4": F32x4 => F64x2, |a| map_half(Low, a, f64::from);
}

binaries! { operators $ Combination combination_rows;
    I8x16NarrowI16x8S "i8x16.narrow_i16x8_s": I16x8 => I8x16, |a, b|
        join(a, b, |a| a.clamp(i8::MIN.into(), i8::MAX.into()) as i8);
    I8x16NarrowI16x8U "i8x16.narrow_i16x8_u": I16x8 => U8x16, |a, b| join(a, b, |a| a.clamp(0, u8::MAX.into()) as u8);
    I16x8NarrowI32x4S "i16x8.narrow_i32x4_s": I32x4 => I16x8, |a, b|
        join(a, b, |a| a.clamp(i16::MIN.into(), i16::MAX.into()) as i16);
    I16x8NarrowI32x4U "i16x8.narrow_i32x4_u": I32x4 => U16x8, |a, b| join(a, b, |a| a.clamp(0, u16::MAX.into()) as u16);

    I16x8ExtMulLowI8x16S "i16x8.extmul_low_i8x16_s": I8x16 => I16x8, |a, b|
        zip_half(Low, a, b, |a, b| i16::from(a) * i16::from(b));
    I16x8ExtMulLowI8x16U "i16x8.extmul_low_i8x16_u": U8x16 => U16x8, |a, b|
        zip_half(Low, a, b, |a, b| u16::from(a) * u16::from(b));
    I16x8ExtMulHighI8x16S "i16x8.extmul_high_i8x16_s": I8x16 => I16x8, |a, b|
        zip_half(High, a, b, |a, b| i16::from(a) * i16::from(b));
    I16x8ExtMulHighI8x16U "i16x8.extmul_high_i8x16_u": U8x16 => U16x8, |a, b|
        zip_half(High, a, b, |a, b| u16::from(a) * u16::from(b));
    I32x4ExtMulLowI16x8S "i32x4.extmul_low_i16x8_s": I16x8 => I32x4, |a, b|
        zip_half(Low, a, b, |a, b| i32::from(a) * i32::from(b));
    I32x4ExtMulLowI16x8U "i32x4.extmul_low_i16x8_u": U16x8 => U32x4, |a, b|
        zip_half(Low, a, b, |a, b| u32::from(a) * u32::from(b));
    I32x4ExtMulHighI16x8S "i32x4.extmul_high_i16x8_s": I16x8 => I32x4, |a, b|
        zip_half(High, a, b, |a, b| i32::from(a) * i32::from(b));
    I32x4ExtMulHighI16x8U "i32x4.extmul_high_i16x8_u": U16x8 => U32x4, |a, b|
        zip_half(High, a, b, |a, b| u32::from(a) * u32::from(b));
    I64x2ExtMulLowI32x4S "i64x2.extmul_low_i32x4_s": I32x4 => I64x2, |a, b|
        zip_half(Low, a, b, |a, b| i64::from(a) * i64::from(b));
    I64x2ExtMulLowI32x4U "i64x2.extmul_low_i32x4_u": U32x4 => U64x2, |a, b|
        zip_half(Low, a, b, |a, b| u64::from(a) * u64::from(b));
    I64x2ExtMulHighI32x4S "i64x2.extmul_high_i32x4_s": I32x4 => I64x2, |a, b|
        zip_half(High, a, b, |a, b| i64::from(a) * i64::from(b));
    I64x2ExtMulHighI32x4U "i64x2.extmul_high_i32x4_u": U32x4 => U64x2, |a, b|
        zip_half(High, a, b, |a, b| u64::from(a) * u64::from(b));
    // Two lanes of 16 bits are one of 32: the lower and the upper half of it.
    I32x4DotI16x8S "i32x4.dot_i16x8_s": I32x4 => I32x4, |a, b|
        zip(a, b, |a, b| (lower(a) * lower(b)).wrapping_add((a >> 16) * (b >> 16)));
}

#[inline(always)]
fn lower(a: i32) -> i32 {
    (a as i16).into()
}

/// `f` of each two neighbours.
#[inline(always)]
pub(super) fn pairs<T: Copy, U: Copy + Default, const N: usize, const M: usize>(
    a: [T; N],
    f: impl Fn(T, T) -> U,
) -> [U; M] {
    const { assert!(N == 2 * M) }
    let mut result = [U::default(); M];
    for (result, pair) in result.iter_mut().zip(a.chunks_exact(2)) {
        *result = f(pair[0], pair[1]);
    }
    result
}

/// `f` of each lane of the first operand, then of each lane of the second.
#[inline(always)]
fn join<T: Copy, U: Copy + Default, const N: usize, const M: usize>(
    a: [T; N],
    b: [T; N],
    f: impl Fn(T) -> U,
) -> [U; M] {
    const { assert!(M == 2 * N) }
    let mut result = [U::default(); M];
    for i in 0..N {
        (result[i], result[N + i]) = (f(a[i]), f(b[i]));
    }
    result
}

/// Two lanes, and two that are zero.
#[inline(always)]
pub(super) fn and_zeroes<T: Copy + Default>([a, b]: [T; 2]) -> [T; 4] {
    [a, b, T::default(), T::default()]
}
