//! Arithmetic of integer lanes, and logic of all bits.

use super::{I8x16, I16x8, I32x4, I64x2, U8x16, U16x8, U32x4, U64x2, binaries, map, unaries, zip};

unaries! { operators $ IntegerUnary integer_unary_rows;
    V128Not "v128.not": U64x2 => U64x2, |a| map(a, |a| !a);
    I8x16Abs "i8x16.abs": I8x16 => I8x16, |a| map(a, i8::wrapping_abs);
    I8x16Neg "i8x16.neg": I8x16 => I8x16, |a| map(a, i8::wrapping_neg);
    I8x16Popcnt "i8x16.popcnt": U8x16 => U8x16, |a| map(a, |a| a.count_ones() as u8);
    I16x8Abs "i16x8.abs": I16x8 => I16x8, |a| map(a, i16::wrapping_abs);
    I16x8Neg "i16x8.neg": I16x8 => I16x8, |a| map(a, i16::wrapping_neg);
    I32x4Abs "i32x4.abs": I32x4 => I32x4, |a| map(a, i32::wrapping_abs);
    I32x4Neg "i32x4.neg": I32x4 => I32x4, |a| map(a, i32::wrapping_neg);
    I64x2Abs "i64x2.abs": I64x2 => I64x2, |a| map(a, i64::wrapping_abs);
    I64x2Neg "i64x2.neg": I64x2 => I64x2, |a| map(a, i64::wrapping_neg);
}

binaries! { operators $ IntegerBinary integer_binary_rows;
    V128And "v128.and": U64x2 => U64x2, |a, b| zip(a, b, |a, b| a & b);
    V128AndNot "v128.andnot": U64x2 => U64x2, |a, b| zip(a, b, |a, b| a & !b);
    V128Or "v128.or": U64x2 => U64x2, |a, b| zip(a, b, |a, b| a | b);
    V128Xor "v128.xor": U64x2 => U64x2, |a, b| zip(a, b, |a, b| a ^ b);

    I8x16Add "i8x16.add": U8x16 => U8x16, |a, b| zip(a, b, u8::wrapping_add);
    I8x16AddSatS "i8x16.add_sat_s": I8x16 => I8x16, |a, b| zip(a, b, i8::saturating_add);
    I8x16AddSatU "i8x16.add_sat_u": U8x16 => U8x16, |a, b| zip(a, b, u8::saturating_add);
    I8x16Sub "i8x16.sub": U8x16 => U8x16, |a, b| zip(a, b, u8::wrapping_sub);
    I8x16SubSatS "i8x16.sub_sat_s": I8x16 => I8x16, |a, b| zip(a, b, i8::saturating_sub);
    I8x16SubSatU "i8x16.sub_sat_u": U8x16 => U8x16, |a, b| zip(a, b, u8::saturating_sub);
    I8x16MinS "i8x16.min_s": I8x16 => I8x16, |a, b| zip(a, b, i8::min);
    I8x16MinU "i8x16.min_u": U8x16 => U8x16, |a, b| zip(a, b, u8::min);
    I8x16MaxS "i8x16.max_s": I8x16 => I8x16, |a, b| zip(a, b, i8::max);
    I8x16MaxU "i8x16.max_u": U8x16 => U8x16, |a, b| zip(a, b, u8::max);
    I8x16AvgrU "i8x16.avgr_u": U8x16 => U8x16, |a, b|
        zip(a, b, |a, b| ((u16::from(a) + u16::from(b) + 1) >> 1) as u8);

    I16x8Add "i16x8.add": U16x8 => U16x8, |a, b| zip(a, b, u16::wrapping_add);
    I16x8AddSatS "i16x8.add_sat_s": I16x8 => I16x8, |a, b| zip(a, b, i16::saturating_add);
    I16x8AddSatU "i16x8.add_sat_u": U16x8 => U16x8, |a, b| zip(a, b, u16::saturating_add);
    I16x8Sub "i16x8.sub": U16x8 => U16x8, |a, b| zip(a, b, u16::wrapping_sub);
    I16x8SubSatS "i16x8.sub_sat_s": I16x8 => I16x8, |a, b| zip(a, b, i16::saturating_sub);
    I16x8SubSatU "i16x8.sub_sat_u": U16x8 => U16x8, |a, b| zip(a, b, u16::saturating_sub);
    I16x8Mul "i16x8.mul": U16x8 => U16x8, |a, b| zip(a, b, u16::wrapping_mul);
    I16x8MinS "i16x8.min_s": I16x8 => I16x8, |a, b| zip(a, b, i16::min);
    I16x8MinU "i16x8.min_u": U16x8 => U16x8, |a, b| zip(a, b, u16::min);
    I16x8MaxS "i16x8.max_s": I16x8 => I16x8, |a, b| zip(a, b, i16::max);
    I16x8MaxU "i16x8.max_u": U16x8 => U16x8, |a, b| zip(a, b, u16::max);
    I16x8AvgrU "i16x8.avgr_u": U16x8 => U16x8, |a, b|
        zip(a, b, |a, b| ((u32::from(a) + u32::from(b) + 1) >> 1) as u16);
    // Only the product of two smallest integers does not fit.
    I16x8Q15MulrSatS "i16x8.q15mulr_sat_s": I16x8 => I16x8, |a, b|
        zip(a, b, |a, b| (rounded_q15(a, b)).min(i16::MAX.into()) as i16);

    I32x4Add "i32x4.add": U32x4 => U32x4, |a, b| zip(a, b, u32::wrapping_add);
    I32x4Sub "i32x4.sub": U32x4 => U32x4, |a, b| zip(a, b, u32::wrapping_sub);
    I32x4Mul "i32x4.mul": U32x4 => U32x4, |a, b| zip(a, b, u32::wrapping_mul);
    I32x4MinS "i32x4.min_s": I32x4 => I32x4, |a, b| zip(a, b, i32::min);
    I32x4MinU "i32x4.min_u": U32x4 => U32x4, |a, b| zip(a, b, u32::min);
    I32x4MaxS "i32x4.max_s": I32x4 => I32x4, |a, b| zip(a, b, i32::max);
    I32x4MaxU "i32x4.max_u": U32x4 => U32x4, |a, b| zip(a, b, u32::max);

    I64x2Add "i64x2.add": U64x2 => U64x2, |a, b| zip(a, b, u64::wrapping_add);
    I64x2Sub "i64x2.sub": U64x2 => U64x2, |a, b| zip(a, b, u64::wrapping_sub);
    I64x2Mul "i64x2.mul": U64x2 => U64x2, |a, b| zip(a, b, u64::wrapping_mul);
}

/// The product of two fixed-point numbers with 15 fractional bits, rounded.
#[inline(always)]
pub(super) fn rounded_q15(a: i16, b: i16) -> i32 {
    (i32::from(a) * i32::from(b) + (1 << 14)) >> 15
}
