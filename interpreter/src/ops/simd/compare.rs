//! Comparisons: all bits of a lane of the result are set where they are true.

use super::{F32x4, F64x2, I8x16, I16x8, I32x4, I64x2, U8x16, U16x8, U32x4, U64x2, binaries, zip};

binaries! { operators $ Comparison comparison_rows;
    I8x16Eq "i8x16.eq": U8x16 => U8x16, |a, b| zip(a, b, |a, b| mask8(a == b));
    I8x16Ne "i8x16.ne": U8x16 => U8x16, |a, b| zip(a, b, |a, b| mask8(a != b));
    I8x16LtS "i8x16.lt_s": I8x16 => U8x16, |a, b| zip(a, b, |a, b| mask8(a < b));
    I8x16LtU "i8x16.lt_u": U8x16 => U8x16, |a, b| zip(a, b, |a, b| mask8(a < b));
    I8x16GtS "i8x16.gt_s": I8x16 => U8x16, |a, b| zip(a, b, |a, b| mask8(a > b));
    I8x16GtU "i8x16.gt_u": U8x16 => U8x16, |a, b| zip(a, b, |a, b| mask8(a > b));
    I8x16LeS "i8x16.le_s": I8x16 => U8x16, |a, b| zip(a, b, |a, b| mask8(a <= b));
    I8x16LeU "i8x16.le_u": U8x16 => U8x16, |a, b| zip(a, b, |a, b| mask8(a <= b));
    I8x16GeS "i8x16.ge_s": I8x16 => U8x16, |a, b| zip(a, b, |a, b| mask8(a >= b));
    I8x16GeU "i8x16.ge_u": U8x16 => U8x16, |a, b| zip(a, b, |a, b| mask8(a >= b));

    I16x8Eq "i16x8.eq": U16x8 => U16x8, |a, b| zip(a, b, |a, b| mask16(a == b));
    I16x8Ne "i16x8.ne": U16x8 => U16x8, |a, b| zip(a, b, |a, b| mask16(a != b));
    I16x8LtS "i16x8.lt_s": I16x8 => U16x8, |a, b| zip(a, b, |a, b| mask16(a < b));
    I16x8LtU "i16x8.lt_u": U16x8 => U16x8, |a, b| zip(a, b, |a, b| mask16(a < b));
    I16x8GtS "i16x8.gt_s": I16x8 => U16x8, |a, b| zip(a, b, |a, b| mask16(a > b));
    I16x8GtU "i16x8.gt_u": U16x8 => U16x8, |a, b| zip(a, b, |a, b| mask16(a > b));
    I16x8LeS "i16x8.le_s": I16x8 => U16x8, |a, b| zip(a, b, |a, b| mask16(a <= b));
    I16x8LeU "i16x8.le_u": U16x8 => U16x8, |a, b| zip(a, b, |a, b| mask16(a <= b));
    I16x8GeS "i16x8.ge_s": I16x8 => U16x8, |a, b| zip(a, b, |a, b| mask16(a >= b));
    I16x8GeU "i16x8.ge_u": U16x8 => U16x8, |a, b| zip(a, b, |a, b| mask16(a >= b));

    I32x4Eq "i32x4.eq": U32x4 => U32x4, |a, b| zip(a, b, |a, b| mask32(a == b));
    I32x4Ne "i32x4.ne": U32x4 => U32x4, |a, b| zip(a, b, |a, b| mask32(a != b));
    I32x4LtS "i32x4.lt_s": I32x4 => U32x4, |a, b| zip(a, b, |a, b| mask32(a < b));
    I32x4LtU "i32x4.lt_u": U32x4 => U32x4, |a, b| zip(a, b, |a, b| mask32(a < b));
    I32x4GtS "i32x4.gt_s": I32x4 => U32x4, |a, b| zip(a, b, |a, b| mask32(a > b));
    I32x4GtU "i32x4.gt_u": U32x4 => U32x4, |a, b| zip(a, b, |a, b| mask32(a > b));
    I32x4LeS "i32x4.le_s": I32x4 => U32x4, |a, b| zip(a, b, |a, b| mask32(a <= b));
    I32x4LeU "i32x4.le_u": U32x4 => U32x4, |a, b| zip(a, b, |a, b| mask32(a <= b));
    I32x4GeS "i32x4.ge_s": I32x4 => U32x4, |a, b| zip(a, b, |a, b| mask32(a >= b));
    I32x4GeU "i32x4.ge_u": U32x4 => U32x4, |a, b| zip(a, b, |a, b| mask32(a >= b));

    I64x2Eq "i64x2.eq": U64x2 => U64x2, |a, b| zip(a, b, |a, b| mask64(a == b));
    I64x2Ne "i64x2.ne": U64x2 => U64x2, |a, b| zip(a, b, |a, b| mask64(a != b));
    I64x2LtS "i64x2.lt_s": I64x2 => U64x2, |a, b| zip(a, b, |a, b| mask64(a < b));
    I64x2GtS "i64x2.gt_s": I64x2 => U64x2, |a, b| zip(a, b, |a, b| mask64(a > b));
    I64x2LeS "i64x2.le_s": I64x2 => U64x2, |a, b| zip(a, b, |a, b| mask64(a <= b));
    I64x2GeS "i64x2.ge_s": I64x2 => U64x2, |a, b| zip(a, b, |a, b| mask64(a >= b));

    F32x4Eq "f32x4.eq": F32x4 => U32x4, |a, b| zip(a, b, |a, b| mask32(a == b));
    F32x4Ne "f32x4.ne": F32x4 => U32x4, |a, b| zip(a, b, |a, b| mask32(a != b));
    F32x4Lt "f32x4.lt": F32x4 => U32x4, |a, b| zip(a, b, |a, b| mask32(a < b));
    F32x4Gt "f32x4.gt": F32x4 => U32x4, |a, b| zip(a, b, |a, b| mask32(a > b));
    F32x4Le "f32x4.le": F32x4 => U32x4, |a, b| zip(a, b, |a, b| mask32(a <= b));
    F32x4Ge "f32x4.ge": F32x4 => U32x4, |a, b| zip(a, b, |a, b| mask32(a >= b));

    F64x2Eq "f64x2.eq": F64x2 => U64x2, |a, b| zip(a, b, |a, b| mask64(a == b));
    F64x2Ne "f64x2.ne": F64x2 => U64x2, |a, b| zip(a, b, |a, b| mask64(a != b));
    F64x2Lt "f64x2.lt": F64x2 => U64x2, |a, b| zip(a, b, |a, b| mask64(a < b));
    F64x2Gt "f64x2.gt": F64x2 => U64x2, |a, b| zip(a, b, |a, b| mask64(a > b));
    F64x2Le "f64x2.le": F64x2 => U64x2, |a, b| zip(a, b, |a, b| mask64(a <= b));
    F64x2Ge "f64x2.ge": F64x2 => U64x2, |a, b| zip(a, b, |a, b| mask64(a >= b));
}

macro_rules! masks {
    ($($name:ident $ty:ty;)*) => { $(
        #[inline(always)]
        fn $name(is: bool) -> $ty {
            <$ty>::from(is).wrapping_neg()
        }
    )* };
}

masks! { mask8 u8; mask16 u16; mask32 u32; mask64 u64; }
