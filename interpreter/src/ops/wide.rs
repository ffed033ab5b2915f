//! Arithmetic on integers of 128 bits, each of which is two operands, and two results: the low half is the lower one.

use std::marker::PhantomData;

use crate::field::Field;
use crate::machine::{Dispatch, Machine, Op};

/// A function of so many halves.
pub(crate) trait Wide<const N: usize> {
    /// Its name.
    const NAME: &'static str;
    fn apply(halves: [u64; N]) -> u128;
}

fn whole(low: u64, high: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

macro_rules! wide {
    ($($name:ident $text:literal [$($half:ident)*]: $body:expr;)*) => { $(
        pub(crate) struct $name;

        impl Wide<{ [$(stringify!($half)),*].len() }> for $name {
            const NAME: &'static str = $text;

            #[inline(always)]
            fn apply([$($half),*]: [u64; [$(stringify!($half)),*].len()]) -> u128 {
                $body
            }
        }
    )* };
}

wide! {
    I64Add128 "i64.add128" [a b c d]: whole(a, b).wrapping_add(whole(c, d));
    I64Sub128 "i64.sub128" [a b c d]: whole(a, b).wrapping_sub(whole(c, d));
    I64MulWideS "i64.mul_wide_s" [a b]: (i128::from(a as i64) * i128::from(b as i64)) as u128;
    I64MulWideU "i64.mul_wide_u" [a b]: u128::from(a) * u128::from(b);
}

/// Such an instruction: the two destinations, and the halves in slots.
pub(crate) struct WideOp<O, const N: usize>(PhantomData<O>);

impl<O: Wide<2>> Op for WideOp<O, 2> {
    const NAME: &'static [&'static str] = &[O::NAME];
    const FIELDS: &'static [Field] = &[Field::Dest, Field::Dest, Field::Slot, Field::Slot];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let result = O::apply([*m.slot::<Self, 2>(), *m.slot::<Self, 3>()]);
            *m.slot::<Self, 0>() = result as u64;
            *m.slot::<Self, 1>() = (result >> 64) as u64;
            m.next::<D, Self>()
        }
    }
}

impl<O: Wide<4>> Op for WideOp<O, 4> {
    const NAME: &'static [&'static str] = &[O::NAME];
    const FIELDS: &'static [Field] =
        &[Field::Dest, Field::Dest, Field::Slot, Field::Slot, Field::Slot, Field::Slot];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let first = [*m.slot::<Self, 2>(), *m.slot::<Self, 3>()];
            let second = [*m.slot::<Self, 4>(), *m.slot::<Self, 5>()];
            let result = O::apply([first[0], first[1], second[0], second[1]]);
            *m.slot::<Self, 0>() = result as u64;
            *m.slot::<Self, 1>() = (result >> 64) as u64;
            m.next::<D, Self>()
        }
    }
}
