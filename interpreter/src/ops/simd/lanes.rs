//! Single lanes: taken out, put in, put in all places, and moved to other places.

use std::marker::PhantomData;

use super::{F32x4, F64x2, U8x16, U16x8, U32x4, U64x2, binaries, kinds, map, unaries, zip};
use crate::field::Field;
use crate::machine::{Dispatch, Machine, Op};
use crate::mode::{Dest, Lanes, Pair, Source, Value};

unaries! { operators $ Splat splat_rows;
    I8x16Splat "i8x16.splat": u32 => U8x16, |a| [a as u8; 16];
    I16x8Splat "i16x8.splat": u32 => U16x8, |a| [a as u16; 8];
    I32x4Splat "i32x4.splat": u32 => U32x4, |a| [a; 4];
    I64x2Splat "i64x2.splat": u64 => U64x2, |a| [a; 2];
    F32x4Splat "f32x4.splat": f32 => F32x4, |a| [a; 4];
    F64x2Splat "f64x2.splat": f64 => F64x2, |a| [a; 2];
}

binaries! { operators $ Swizzle swizzle_rows;
    I8x16Swizzle "i8x16.swizzle": U8x16 => U8x16, |a, s|
        swizzle(a, map(s, |i| i.min(16)));
}

/// Bytes of `a` by their numbers, which are at most 16: there is a zero.
#[inline(always)]
pub(super) fn swizzle(a: U8x16, numbers: U8x16) -> U8x16 {
    let mut all = [0; 32];
    all[..16].copy_from_slice(&a);
    map(numbers, |i| all[usize::from(i & 31)])
}

/// A lane as a value.
pub(crate) trait Extract {
    /// Its name.
    const NAME: &'static str;
    type Lane: Copy;
    type Out: Value;
    fn extend(lane: Self::Lane) -> Self::Out;
}

/// `extract_lane`: destination, vector, number of the lane.
pub(crate) struct ExtractOp<O, Z>(PhantomData<(O, Z)>);

impl<O: Extract, Z: Dest<O::Out>> Op for ExtractOp<O, Z> {
    const NAME: &'static [&'static str] = &[O::NAME];
    const FIELDS: &'static [Field] = &[Z::FIELD, Field::Vector, Field::Lane];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields; validation has seen that there is such a lane.
        unsafe {
            let lane = Pair::lane::<Self, O::Lane, 1, 2>(&m);
            Z::put::<Self, 0>(&mut m, O::extend(lane));
            m.next::<D, Self>()
        }
    }
}

macro_rules! extracts {
    ($d:tt $($name:ident $text:literal: $lane:ty => $out:ty;)*) => {
        kinds! { $d ExtractKind extract_rows: $($name)* }
        $(
            impl Extract for $name {
                const NAME: &'static str = $text;
                type Lane = $lane;
                type Out = $out;
                #[inline(always)]
                fn extend(lane: $lane) -> $out { lane.into() }
            }
        )*
    };
}

extracts! { $
    I8x16ExtractLaneS "i8x16.extract_lane_s": i8 => i32;
    I8x16ExtractLaneU "i8x16.extract_lane_u": u8 => u32;
    I16x8ExtractLaneS "i16x8.extract_lane_s": i16 => i32;
    I16x8ExtractLaneU "i16x8.extract_lane_u": u16 => u32;
    I32x4ExtractLane "i32x4.extract_lane": u32 => u32;
    I64x2ExtractLane "i64x2.extract_lane": u64 => u64;
    F32x4ExtractLane "f32x4.extract_lane": f32 => f32;
    F64x2ExtractLane "f64x2.extract_lane": f64 => f64;
}

/// A vector with another lane.
pub(crate) trait Replace {
    /// Its name.
    const NAME: &'static str;
    type Lanes: Lanes;
    type In: Value;
    fn apply(a: Self::Lanes, lane: u16, value: Self::In) -> Self::Lanes;
}

/// `replace_lane`: destination, vector, number of the lane, its new value.
pub(crate) struct ReplaceOp<O, Y>(PhantomData<(O, Y)>);

impl<O: Replace, Y: Source<O::In>> Op for ReplaceOp<O, Y> {
    const NAME: &'static [&'static str] = &[O::NAME];
    const FIELDS: &'static [Field] = &[Field::VectorDest, Field::Vector, Field::Lane, Y::FIELD];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let a = Pair::get::<Self, 1>(&m);
            let value = Y::get::<Self, 3>(&m);
            let result = O::apply(a, m.field::<Self, u16, 2>(), value);
            Pair::put::<Self, 0>(&mut m, result);
            m.next::<D, Self>()
        }
    }
}

macro_rules! replaces {
    ($d:tt $($name:ident $text:literal: $lanes:ty, |$value:ident: $in:ty| $lane:expr;)*) => {
        kinds! { $d ReplaceKind replace_rows: $($name)* }
        $(
            impl Replace for $name {
                const NAME: &'static str = $text;
                type Lanes = $lanes;
                type In = $in;
                #[inline(always)]
                fn apply(a: $lanes, lane: u16, $value: $in) -> $lanes { <$lanes>::replaced(a, lane, $lane) }
            }
        )*
    };
}

replaces! { $
    I8x16ReplaceLane "i8x16.replace_lane": U8x16, |value: u32| value as u8;
    I16x8ReplaceLane "i16x8.replace_lane": U16x8, |value: u32| value as u16;
    I32x4ReplaceLane "i32x4.replace_lane": U32x4, |value: u32| value;
    I64x2ReplaceLane "i64x2.replace_lane": U64x2, |value: u64| value;
    F32x4ReplaceLane "f32x4.replace_lane": U32x4, |value: f32| value.to_bits();
    F64x2ReplaceLane "f64x2.replace_lane": U64x2, |value: f64| value.to_bits();
}

/// Lanes one of which can be replaced.
pub(super) trait Replaceable {
    type Lane;

    /// The same with another lane. Every lane is chosen: one stored alone would hold up the next load of all.
    fn replaced(self, number: u16, lane: Self::Lane) -> Self;
}

macro_rules! replaceable {
    ($($lane:ty, $count:literal: $($number:literal)*;)*) => { $(
        impl Replaceable for [$lane; $count] {
            type Lane = $lane;

            #[inline(always)]
            fn replaced(self, number: u16, lane: $lane) -> Self {
                let chosen = map([$($number),*], |at: $lane| <$lane>::from(at == number as $lane).wrapping_neg());
                zip(self, chosen, |a, chosen| (lane & chosen) | (a & !chosen))
            }
        }
    )* };
}

replaceable! {
    u8, 16: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15;
    u16, 8: 0 1 2 3 4 5 6 7;
    u32, 4: 0 1 2 3;
    u64, 2: 0 1;
}

/// `i8x16.shuffle`: destination, two vectors, the numbers of the lanes of both that become those of the result.
pub(crate) struct Shuffle8;

impl Op for Shuffle8 {
    const NAME: &'static [&'static str] = &["i8x16.shuffle"];
    const FIELDS: &'static [Field] =
        &[Field::VectorDest, Field::Vector, Field::Vector, Field::Bits64, Field::Bits64];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let a: U8x16 = Pair::get::<Self, 1>(&m);
            let b: U8x16 = Pair::get::<Self, 2>(&m);
            let (first, second) = (m.field::<Self, u64, 3>(), m.field::<Self, u64, 4>());
            Pair::put::<Self, 0>(&mut m, shuffle8(a, b, first, second));
            m.next::<D, Self>()
        }
    }
}

#[inline(always)]
fn shuffle8(a: U8x16, b: U8x16, first: u64, second: u64) -> U8x16 {
    let mut all = [0; 32];
    all[..16].copy_from_slice(&a);
    all[16..].copy_from_slice(&b);
    let eight = |lanes: u64| {
        let byte = |i: u32| u64::from(all[(lanes >> (8 * i)) as usize & 31]) << (8 * i);
        (0..8).fold(0, |bytes, i| bytes | byte(i))
    };
    let mut result = [0; 16];
    result[..8].copy_from_slice(&eight(first).to_le_bytes());
    result[8..].copy_from_slice(&eight(second).to_le_bytes());
    result
}

/// An `i8x16.shuffle` of whole lanes of 32 bits: destination, two vectors, the numbers of those lanes, one in each byte.
pub(crate) struct Shuffle32;

impl Op for Shuffle32 {
    const NAME: &'static [&'static str] = &["i32x4.shuffle"];
    const FIELDS: &'static [Field] = &[Field::VectorDest, Field::Vector, Field::Vector, Field::Bits32];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let a: U32x4 = Pair::get::<Self, 1>(&m);
            let b: U32x4 = Pair::get::<Self, 2>(&m);
            let numbers: u32 = m.field::<Self, u32, 3>();
            let all = [a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]];
            let lane = |i: u32| all[(numbers >> (8 * i)) as usize & 7];
            Pair::put::<Self, 0>(&mut m, [lane(0), lane(1), lane(2), lane(3)]);
            m.next::<D, Self>()
        }
    }
}
