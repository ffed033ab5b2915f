//! Instructions on vectors: what each computes, written once, as a function of arrays of lanes.
//!
//! Loops over arrays of this size become single instructions of the machine where it has them, in builds that optimise as
//! far as releases do; what is written in another way than the specification has it, is so for that reason. Operands and
//! results are in pairs of slots: the shapes are those of the numeric instructions in the mode
//! [`Pair`](crate::mode::Pair), and the few here that scalars have nothing like. All operands are read before the
//! result is written, whose slots may be theirs.
//!
//! Instructions have the names that the operators have, by which each list finds its own. Relaxed instructions become
//! others, by the choice that the module has been given.

use std::marker::PhantomData;

use crate::field::Field;
use crate::machine::{Dispatch, Machine, Op};
use crate::mode::{Dest, Lanes, Pair, Source};

pub(crate) mod compare;
pub(crate) mod convert;
pub(crate) mod float;
pub(crate) mod integer;
pub(crate) mod lanes;
pub(crate) mod mask;
pub(crate) mod memory;
pub(crate) mod relaxed;
pub(crate) mod shift;
pub(crate) mod slots;

pub(crate) type I8x16 = [i8; 16];
pub(crate) type U8x16 = [u8; 16];
pub(crate) type I16x8 = [i16; 8];
pub(crate) type U16x8 = [u16; 8];
pub(crate) type I32x4 = [i32; 4];
pub(crate) type U32x4 = [u32; 4];
pub(crate) type I64x2 = [i64; 2];
pub(crate) type U64x2 = [u64; 2];
pub(crate) type F32x4 = [f32; 4];
pub(crate) type F64x2 = [f64; 2];

/// A function of three vectors, of which the third has the lanes of the result.
pub(crate) trait Ternary {
    /// Its name.
    const NAME: &'static str;
    type In: Lanes;
    type Out: Lanes;
    fn apply(a: Self::In, b: Self::In, c: Self::Out) -> Self::Out;
}

/// An instruction on three vectors: destination, operands.
pub(crate) struct TernaryOp<O>(PhantomData<O>);

impl<O: Ternary> Op for TernaryOp<O> {
    const NAME: &'static [&'static str] = &[O::NAME];
    const FIELDS: &'static [Field] = &[Field::VectorDest, Field::Vector, Field::Vector, Field::Vector];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let a = Pair::get::<Self, 1>(&m);
            let b = Pair::get::<Self, 2>(&m);
            let c = Pair::get::<Self, 3>(&m);
            Pair::put::<Self, 0>(&mut m, O::apply(a, b, c));
            m.next::<D, Self>()
        }
    }
}

/// `f` of each lane.
#[inline(always)]
fn map<T: Copy, U: Copy + Default, const N: usize>(a: [T; N], f: impl Fn(T) -> U) -> [U; N] {
    let mut result = [U::default(); N];
    for (result, a) in result.iter_mut().zip(a) {
        *result = f(a);
    }
    result
}

/// `f` of each two lanes with the same number.
#[inline(always)]
fn zip<T: Copy, U: Copy + Default, const N: usize>(a: [T; N], b: [T; N], f: impl Fn(T, T) -> U) -> [U; N] {
    let mut result = [U::default(); N];
    for ((result, a), b) in result.iter_mut().zip(a).zip(b) {
        *result = f(a, b);
    }
    result
}

/// A half of a vector.
#[derive(Clone, Copy)]
enum Half {
    Low,
    High,
}

impl Half {
    /// The first of its lanes, which are as many as a result has, `M`, of a vector of `N`.
    #[inline(always)]
    fn first<const N: usize, const M: usize>(self) -> usize {
        const { assert!(N == 2 * M) }
        match self {
            Half::Low => 0,
            Half::High => M,
        }
    }
}

/// `f` of each lane of a half.
#[inline(always)]
fn map_half<T: Copy, U: Copy + Default, const N: usize, const M: usize>(
    half: Half,
    a: [T; N],
    f: impl Fn(T) -> U,
) -> [U; M] {
    let first = half.first::<N, M>();
    let mut result = [U::default(); M];
    for (i, result) in result.iter_mut().enumerate() {
        *result = f(a[first + i]);
    }
    result
}

/// `f` of each two lanes with the same number of a half.
#[inline(always)]
fn zip_half<T: Copy, U: Copy + Default, const N: usize, const M: usize>(
    half: Half,
    a: [T; N],
    b: [T; N],
    f: impl Fn(T, T) -> U,
) -> [U; M] {
    let first = half.first::<N, M>();
    let mut result = [U::default(); M];
    for (i, result) in result.iter_mut().enumerate() {
        *result = f(a[first + i], b[first + i]);
    }
    result
}

/// The enumeration of a list's instructions, and the macro that makes the rows of the table of them: what `row` makes of each.
macro_rules! kinds {
    ($d:tt $kind:ident $rows:ident: $($name:ident)*) => {
        /// The instructions of this list.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(clippy::enum_variant_names, reason = "they are the operators' names")]
        #[repr(u16)]
        pub(crate) enum $kind { $($name),* }

        impl $kind {
            /// How many there are.
            pub(crate) const COUNT: usize = [$($kind::$name),*].len();
        }

        $(pub(crate) struct $name;)*

        macro_rules! $rows {
            ($d row:ident $d(, $d with:ty)?) => { [$($d row::<$name $d(, $d with)?>()),*] };
        }
        pub(crate) use $rows;
    };
}
use kinds;

/// The one of a list that an operator is.
macro_rules! operators {
    ($kind:ident: $($name:ident)*) => {
        impl $kind {
            /// The one that an operator is.
            pub(crate) fn of(operator: &wasmparser::Operator<'_>) -> Option<$kind> {
                Some(match operator {
                    $(wasmparser::Operator::$name { .. } => $kind::$name,)*
                    _ => return None,
                })
            }
        }
    };
}
use operators;

/// Functions of one operand.
macro_rules! unaries {
    ($d:tt $kind:ident $rows:ident; $($name:ident $text:literal: $in:ty => $out:ty, |$a:ident| $body:expr;)*) => {
        $crate::ops::simd::kinds! { $d $kind $rows: $($name)* }
        $(
            impl $crate::ops::numeric::Unary for $name {
                const NAME: &'static str = $text;
                type In = $in;
                type Out = $out;
                #[inline(always)]
                fn apply($a: $in) -> Result<$out, wasmrun_runtime::trap::Trap> { Ok($body) }
            }
        )*
    };
    (operators $d:tt $kind:ident $rows:ident;
        $($name:ident $text:literal: $in:ty => $out:ty, |$a:ident| $body:expr;)*) => {
        $crate::ops::simd::unaries! { $d $kind $rows; $($name $text: $in => $out, |$a| $body;)* }
        $crate::ops::simd::operators! { $kind: $($name)* }
    };
}
use unaries;

/// Functions of two operands of one type.
macro_rules! binaries {
    ($d:tt $kind:ident $rows:ident;
        $($name:ident $text:literal: $in:ty => $out:ty, |$a:ident, $b:ident| $body:expr;)*) => {
        $crate::ops::simd::kinds! { $d $kind $rows: $($name)* }
        $(
            impl $crate::ops::numeric::Binary for $name {
                const NAME: &'static str = $text;
                type In = $in;
                type Out = $out;
                #[inline(always)]
                fn apply($a: $in, $b: $in) -> Result<$out, wasmrun_runtime::trap::Trap> { Ok($body) }
            }
        )*
    };
    (operators $d:tt $kind:ident $rows:ident;
        $($name:ident $text:literal: $in:ty => $out:ty, |$a:ident, $b:ident| $body:expr;)*) => {
        $crate::ops::simd::binaries! { $d $kind $rows; $($name $text: $in => $out, |$a, $b| $body;)* }
        $crate::ops::simd::operators! { $kind: $($name)* }
    };
}
use binaries;

/// Functions of three vectors.
macro_rules! ternaries {
    ($d:tt $kind:ident $rows:ident;
        $($name:ident $text:literal: $in:ty => $out:ty, |$a:ident, $b:ident, $c:ident| $body:expr;)*) => {
        $crate::ops::simd::kinds! { $d $kind $rows: $($name)* }
        $(
            impl $crate::ops::simd::Ternary for $name {
                const NAME: &'static str = $text;
                type In = $in;
                type Out = $out;
                #[inline(always)]
                fn apply($a: $in, $b: $in, $c: $out) -> $out { $body }
            }
        )*
    };
}
use ternaries;
