//! Shifts of all lanes by one count, taken modulo the bits of a lane.

use std::marker::PhantomData;

use super::{I8x16, I16x8, I32x4, I64x2, U8x16, U16x8, U32x4, U64x2, kinds, map, operators};
use crate::field::Field;
use crate::machine::{Dispatch, Machine, Op};
use crate::mode::{Dest, Lanes, Pair, Source};

/// A shift.
pub(crate) trait Shift {
    /// Its name.
    const NAME: &'static str;
    type Lanes: Lanes;
    fn apply(a: Self::Lanes, by: u32) -> Self::Lanes;
}

/// A shift: destination, vector, count.
pub(crate) struct ShiftOp<O, Y>(PhantomData<(O, Y)>);

impl<O: Shift, Y: Source<u32>> Op for ShiftOp<O, Y> {
    const NAME: &'static [&'static str] = &[O::NAME];
    const FIELDS: &'static [Field] = &[Field::VectorDest, Field::Vector, Y::FIELD];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let a = Pair::get::<Self, 1>(&m);
            let by = Y::get::<Self, 2>(&m);
            Pair::put::<Self, 0>(&mut m, O::apply(a, by));
            m.next::<D, Self>()
        }
    }
}

macro_rules! shifts {
    ($d:tt $($name:ident $text:literal: $lanes:ty, $shift:path;)*) => {
        kinds! { $d ShiftKind shift_rows: $($name)* }
        operators! { ShiftKind: $($name)* }
        $(
            impl Shift for $name {
                const NAME: &'static str = $text;
                type Lanes = $lanes;
                #[inline(always)]
                fn apply(a: $lanes, by: u32) -> $lanes { map(a, |a| $shift(a, by)) }
            }
        )*
    };
}

shifts! { $
    I8x16Shl "i8x16.shl": U8x16, u8::wrapping_shl;
    I8x16ShrS "i8x16.shr_s": I8x16, i8::wrapping_shr;
    I8x16ShrU "i8x16.shr_u": U8x16, u8::wrapping_shr;
    I16x8Shl "i16x8.shl": U16x8, u16::wrapping_shl;
    I16x8ShrS "i16x8.shr_s": I16x8, i16::wrapping_shr;
    I16x8ShrU "i16x8.shr_u": U16x8, u16::wrapping_shr;
    I32x4Shl "i32x4.shl": U32x4, u32::wrapping_shl;
    I32x4ShrS "i32x4.shr_s": I32x4, i32::wrapping_shr;
    I32x4ShrU "i32x4.shr_u": U32x4, u32::wrapping_shr;
    I64x2Shl "i64x2.shl": U64x2, u64::wrapping_shl;
    I64x2ShrS "i64x2.shr_s": I64x2, i64::wrapping_shr;
    I64x2ShrU "i64x2.shr_u": U64x2, u64::wrapping_shr;
}
