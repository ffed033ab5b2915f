//! Branches, alone and fused with a comparison.
//!
//! Displacements are relative to the start of the instruction. Branches backwards have opcodes of their
//! own, which poll.

use std::marker::PhantomData;

use crate::field::Field;
use crate::machine::{At, Dispatch, Machine, Op};
use crate::mode::{Dest, Source, Value};
use crate::ops::numeric::Binary;

/// `br`; `BACK` for a branch backwards.
pub(crate) struct Br<const BACK: bool>;

impl<const BACK: bool> Op for Br<BACK> {
    const NAME: &'static [&'static str] = &["br", back(BACK)];
    const FIELDS: &'static [Field] = &[Field::Displacement];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe { m.branch::<D, Self, 0, BACK>() }
    }
}

/// Branches when an `i32` is not zero (`WHEN`) or zero: condition, displacement.
pub(crate) struct BrIf<X, const WHEN: bool, const BACK: bool>(PhantomData<X>);

impl<X: Source<u32>, const WHEN: bool, const BACK: bool> Op for BrIf<X, WHEN, BACK> {
    const NAME: &'static [&'static str] = &["br", back(BACK), when(WHEN)];
    const FIELDS: &'static [Field] = &[X::FIELD, Field::Displacement];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            if (X::get::<Self, 0>(&m) != 0) == WHEN {
                m.branch::<D, Self, 1, BACK>()
            } else {
                m.next::<D, Self>()
            }
        }
    }
}

/// Branches when a reference to a function is null (`WHEN`) or not: reference, displacement.
pub(crate) struct BrNull<const WHEN: bool, const BACK: bool>;

impl<const WHEN: bool, const BACK: bool> Op for BrNull<WHEN, BACK> {
    const NAME: &'static [&'static str] = &["br", back(BACK), when(WHEN), ".null"];
    const FIELDS: &'static [Field] = &[Field::Slot, Field::Displacement];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            if (*m.slot::<Self, 0>() == 0) == WHEN {
                m.branch::<D, Self, 1, BACK>()
            } else {
                m.next::<D, Self>()
            }
        }
    }
}

/// [`BrNull`] of a collected reference.
pub(crate) struct RefBrNull<const WHEN: bool, const BACK: bool>;

impl<const WHEN: bool, const BACK: bool> Op for RefBrNull<WHEN, BACK> {
    const NAME: &'static [&'static str] = &["ref.br", back(BACK), when(WHEN), ".null"];
    const FIELDS: &'static [Field] = &[Field::RefSlot, Field::Displacement];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let at = At { ip: m.ip, sp: m.sp, ctx: m.ctx };
            if (*at.ref_slot::<Self, 0>() == 0) == WHEN {
                m.branch::<D, Self, 1, BACK>()
            } else {
                m.next::<D, Self>()
            }
        }
    }
}

pub(super) const fn back(back: bool) -> &'static str {
    if back { "_back" } else { "" }
}

pub(super) const fn when(when: bool) -> &'static str {
    if when { "_if" } else { "_unless" }
}

/// Branches when a comparison is `WHEN`: first operand, second operand, displacement.
pub(crate) struct BrCompare<O, X, Y, const WHEN: bool, const BACK: bool>(PhantomData<(O, X, Y)>);

impl<O, X, Y, const WHEN: bool, const BACK: bool> Op for BrCompare<O, X, Y, WHEN, BACK>
where
    O: Binary<Out = u32>,
    X: Source<O::In>,
    Y: Source<O::In>,
{
    const NAME: &'static [&'static str] = &["br", back(BACK), when(WHEN), ".", O::NAME];
    const FIELDS: &'static [Field] = &[X::FIELD, Y::FIELD, Field::Displacement];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields; comparisons do not trap.
        unsafe {
            let a = X::get::<Self, 0>(&m);
            let b = Y::get::<Self, 1>(&m);
            let taken = matches!(O::apply(a, b), Ok(1)) == WHEN;
            if taken { m.branch::<D, Self, 2, BACK>() } else { m.next::<D, Self>() }
        }
    }
}

/// `br_table`: index, number of targets without the default, then a displacement for each, the default last.
pub(crate) struct BrTable<X>(PhantomData<X>);

impl<X: Source<u32>> Op for BrTable<X> {
    const NAME: &'static [&'static str] = &["br_table"];
    const FIELDS: &'static [Field] = &[X::FIELD, Field::Targets];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields, and `count + 1` displacements behind them.
        unsafe {
            let index = X::get::<Self, 0>(&m);
            let count = m.field::<Self, u32, 1>();
            m.jump::<D>(Self::SIZE + index.min(count) as usize * Field::Displacement.width())
        }
    }
}

/// `select`: destination, first value, second value, condition. `T` is the class of the values.
pub(crate) struct Select<T, X, Y, C, Z>(PhantomData<(T, X, Y, C, Z)>);

impl<T, X, Y, C, Z> Op for Select<T, X, Y, C, Z>
where
    T: Value,
    X: Source<T>,
    Y: Source<T>,
    C: Source<u32>,
    Z: Dest<T>,
{
    const NAME: &'static [&'static str] = &["select"];
    const FIELDS: &'static [Field] = &[Z::FIELD, X::FIELD, Y::FIELD, C::FIELD];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let a = X::get::<Self, 1>(&m);
            let b = Y::get::<Self, 2>(&m);
            let condition = C::get::<Self, 3>(&m);
            Z::put::<Self, 0>(&mut m, if condition != 0 { a } else { b });
            m.next::<D, Self>()
        }
    }
}
