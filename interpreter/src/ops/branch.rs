//! Branches, alone and fused with a comparison.
//!
//! Displacements are relative to the start of the instruction. Branches backwards have opcodes of their
//! own, which poll.

use std::marker::PhantomData;

use crate::entry::{Entry, entry};
use crate::field::Field;
use crate::machine::{Dispatch, Machine, Op};
use crate::mode::{Acc, Dest, Imm, Slot, Source, Value};
use crate::ops::numeric::*;

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

const fn back(back: bool) -> &'static str {
    if back { "_back" } else { "" }
}

const fn when(when: bool) -> &'static str {
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
    Z: Dest,
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
            Z::put::<Self, T, 0>(&mut m, if condition != 0 { a } else { b });
            m.next::<D, Self>()
        }
    }
}

/// Entries of a comparison's row: the seven operand combinations of a binary instruction, forwards, then
/// backwards.
pub(crate) const COMPARE_ROW: usize = 14;

/// Where the second half starts.
pub(crate) const COMPARE_SECOND: usize = 7;

const fn int_row<O: Binary<Out = u32>>() -> [Entry; COMPARE_ROW] {
    [
        entry::<BrCompare<O, Slot, Slot, true, false>>(),
        entry::<BrCompare<O, Slot, Acc, true, false>>(),
        entry::<BrCompare<O, Acc, Slot, true, false>>(),
        entry::<BrCompare<O, Slot, Imm, true, false>>(),
        entry::<BrCompare<O, Acc, Imm, true, false>>(),
        entry::<BrCompare<O, Imm, Slot, true, false>>(),
        entry::<BrCompare<O, Imm, Acc, true, false>>(),
        entry::<BrCompare<O, Slot, Slot, true, true>>(),
        entry::<BrCompare<O, Slot, Acc, true, true>>(),
        entry::<BrCompare<O, Acc, Slot, true, true>>(),
        entry::<BrCompare<O, Slot, Imm, true, true>>(),
        entry::<BrCompare<O, Acc, Imm, true, true>>(),
        entry::<BrCompare<O, Imm, Slot, true, true>>(),
        entry::<BrCompare<O, Imm, Acc, true, true>>(),
    ]
}

/// The rows of float comparisons: forwards when true, then forwards when false. Backwards there are none.
const fn float_row<O: Binary<Out = u32>>() -> [Entry; COMPARE_ROW] {
    [
        entry::<BrCompare<O, Slot, Slot, true, false>>(),
        entry::<BrCompare<O, Slot, Acc, true, false>>(),
        entry::<BrCompare<O, Acc, Slot, true, false>>(),
        entry::<BrCompare<O, Slot, Imm, true, false>>(),
        entry::<BrCompare<O, Acc, Imm, true, false>>(),
        entry::<BrCompare<O, Imm, Slot, true, false>>(),
        entry::<BrCompare<O, Imm, Acc, true, false>>(),
        entry::<BrCompare<O, Slot, Slot, false, false>>(),
        entry::<BrCompare<O, Slot, Acc, false, false>>(),
        entry::<BrCompare<O, Acc, Slot, false, false>>(),
        entry::<BrCompare<O, Slot, Imm, false, false>>(),
        entry::<BrCompare<O, Acc, Imm, false, false>>(),
        entry::<BrCompare<O, Imm, Slot, false, false>>(),
        entry::<BrCompare<O, Imm, Acc, false, false>>(),
    ]
}

/// Rows in the order of the comparisons in [`BinaryKind`].
pub(crate) const COMPARES: [[Entry; COMPARE_ROW]; 32] = [
    int_row::<I32Eq>(),
    int_row::<I32Ne>(),
    int_row::<I32LtS>(),
    int_row::<I32LtU>(),
    int_row::<I32GtS>(),
    int_row::<I32GtU>(),
    int_row::<I32LeS>(),
    int_row::<I32LeU>(),
    int_row::<I32GeS>(),
    int_row::<I32GeU>(),
    int_row::<I64Eq>(),
    int_row::<I64Ne>(),
    int_row::<I64LtS>(),
    int_row::<I64LtU>(),
    int_row::<I64GtS>(),
    int_row::<I64GtU>(),
    int_row::<I64LeS>(),
    int_row::<I64LeU>(),
    int_row::<I64GeS>(),
    int_row::<I64GeU>(),
    float_row::<F32Eq>(),
    float_row::<F32Ne>(),
    float_row::<F32Lt>(),
    float_row::<F32Gt>(),
    float_row::<F32Le>(),
    float_row::<F32Ge>(),
    float_row::<F64Eq>(),
    float_row::<F64Ne>(),
    float_row::<F64Lt>(),
    float_row::<F64Gt>(),
    float_row::<F64Le>(),
    float_row::<F64Ge>(),
];

/// Whether a comparison, by its row, is of floats.
pub(crate) const fn is_float_compare(row: u16) -> bool {
    row >= 20
}

/// Branches on a value: slot or accumulator, when not zero or zero, forwards or backwards.
pub(crate) const BR_IFS: [[Entry; BR_IF_ROW]; 1] = [[
    entry::<BrIf<Slot, true, false>>(),
    entry::<BrIf<Acc, true, false>>(),
    entry::<BrIf<Slot, false, false>>(),
    entry::<BrIf<Acc, false, false>>(),
    entry::<BrIf<Slot, true, true>>(),
    entry::<BrIf<Acc, true, true>>(),
    entry::<BrIf<Slot, false, true>>(),
    entry::<BrIf<Acc, false, true>>(),
]];

pub(crate) const BR_IF_ROW: usize = 8;

/// Added to the column for branches when zero.
pub(crate) const BR_IF_UNLESS: usize = 2;

/// Added for branches backwards.
pub(crate) const BR_IF_BACK: usize = 4;

/// Selects of one class: values in slots or immediates, condition in a slot or the accumulator; then the
/// same writing the accumulator alone.
pub(crate) const SELECT_ROW: usize = 16;

/// Added to the column when the second value is an immediate.
pub(crate) const SELECT_SECOND_IMM: usize = 1;

/// Added when the first value is one.
pub(crate) const SELECT_FIRST_IMM: usize = 2;

/// Added when the condition is in the accumulator.
pub(crate) const SELECT_ACC: usize = 4;

/// Where those start that write the accumulator alone.
pub(crate) const SELECT_SPARED: usize = 8;

const fn select_row<T: Value>() -> [Entry; SELECT_ROW] {
    [
        entry::<Select<T, Slot, Slot, Slot, Slot>>(),
        entry::<Select<T, Slot, Imm, Slot, Slot>>(),
        entry::<Select<T, Imm, Slot, Slot, Slot>>(),
        entry::<Select<T, Imm, Imm, Slot, Slot>>(),
        entry::<Select<T, Slot, Slot, Acc, Slot>>(),
        entry::<Select<T, Slot, Imm, Acc, Slot>>(),
        entry::<Select<T, Imm, Slot, Acc, Slot>>(),
        entry::<Select<T, Imm, Imm, Acc, Slot>>(),
        entry::<Select<T, Slot, Slot, Slot, Acc>>(),
        entry::<Select<T, Slot, Imm, Slot, Acc>>(),
        entry::<Select<T, Imm, Slot, Slot, Acc>>(),
        entry::<Select<T, Imm, Imm, Slot, Acc>>(),
        entry::<Select<T, Slot, Slot, Acc, Acc>>(),
        entry::<Select<T, Slot, Imm, Acc, Acc>>(),
        entry::<Select<T, Imm, Slot, Acc, Acc>>(),
        entry::<Select<T, Imm, Imm, Acc, Acc>>(),
    ]
}

/// The classes of `select`: `i32`, any 64-bit slot contents, `f32`, `f64`. They differ in their immediates.
#[derive(Clone, Copy, Debug)]
#[repr(u16)]
pub(crate) enum SelectKind {
    I32,
    I64,
    F32,
    F64,
}

pub(crate) const SELECTS: [[Entry; SELECT_ROW]; 4] =
    [select_row::<u32>(), select_row::<u64>(), select_row::<f32>(), select_row::<f64>()];
