//! The rows of the table: for each family of instructions one row for each operation, and in it one entry for
//! each combination of addressing modes. Which column is which stands beside each.
//!
//! Constants: the table's statics are made of them, and they are not in the binary.

#![allow(clippy::large_const_arrays)]

pub(crate) mod atomics;
pub(crate) mod objects;
pub(crate) mod vectors;

use crate::entry::{Entry, entry};
use crate::mode::{Acc, Imm, Slot, Value};
use crate::ops::branch::{BrCompare, BrIf, Select};
use crate::ops::memory::*;
use crate::ops::misc::GlobalGet;
use crate::ops::numeric::*;

/// Combinations of addressing modes of a binary instruction, in the order of its row: those that write a
/// slot, then the same writing the accumulator alone.
pub(crate) const BINARY_ROW: usize = 14;

/// Where those start that write the accumulator alone.
pub(crate) const BINARY_SPARED: usize = 7;

const fn binary_row<O: Binary<In: Value, Out: Value>>() -> [Entry; BINARY_ROW] {
    [
        entry::<BinaryOp<O, Slot, Slot, Slot>>(),
        entry::<BinaryOp<O, Slot, Acc, Slot>>(),
        entry::<BinaryOp<O, Acc, Slot, Slot>>(),
        entry::<BinaryOp<O, Slot, Imm, Slot>>(),
        entry::<BinaryOp<O, Acc, Imm, Slot>>(),
        entry::<BinaryOp<O, Imm, Slot, Slot>>(),
        entry::<BinaryOp<O, Imm, Acc, Slot>>(),
        entry::<BinaryOp<O, Slot, Slot, Acc>>(),
        entry::<BinaryOp<O, Slot, Acc, Acc>>(),
        entry::<BinaryOp<O, Acc, Slot, Acc>>(),
        entry::<BinaryOp<O, Slot, Imm, Acc>>(),
        entry::<BinaryOp<O, Acc, Imm, Acc>>(),
        entry::<BinaryOp<O, Imm, Slot, Acc>>(),
        entry::<BinaryOp<O, Imm, Acc, Acc>>(),
    ]
}

/// Combinations of a unary instruction, in the same order.
pub(crate) const UNARY_ROW: usize = 4;

/// Where those start that write the accumulator alone.
pub(crate) const UNARY_SPARED: usize = 2;

const fn unary_row<O: Unary<In: Value, Out: Value>>() -> [Entry; UNARY_ROW] {
    [
        entry::<UnaryOp<O, Slot, Slot>>(),
        entry::<UnaryOp<O, Acc, Slot>>(),
        entry::<UnaryOp<O, Slot, Acc>>(),
        entry::<UnaryOp<O, Acc, Acc>>(),
    ]
}

/// The binary instructions.
pub(crate) const BINARIES: [[Entry; BINARY_ROW]; BinaryKind::ALL.len()] = binary_rows!(binary_row);

/// The unary instructions.
pub(crate) const UNARIES: [[Entry; UNARY_ROW]; UnaryKind::COUNT] = unary_rows!(unary_row);

/// Combinations of an [`ElementAddress`].
pub(crate) const ELEMENT_ROW: usize = 6;

/// Where those start that write the accumulator alone.
pub(crate) const ELEMENT_SPARED: usize = 3;

const fn element_row<A: Address>() -> [Entry; ELEMENT_ROW] {
    [
        entry::<ElementAddress<A, Slot, Slot, Slot>>(),
        entry::<ElementAddress<A, Slot, Acc, Slot>>(),
        entry::<ElementAddress<A, Acc, Slot, Slot>>(),
        entry::<ElementAddress<A, Slot, Slot, Acc>>(),
        entry::<ElementAddress<A, Slot, Acc, Acc>>(),
        entry::<ElementAddress<A, Acc, Slot, Acc>>(),
    ]
}

/// [`ElementAddress`], by where base and index are: writing a slot, then the accumulator alone. The second row is of 64 bits.
pub(crate) const ELEMENTS: [[Entry; ELEMENT_ROW]; 2] = [element_row::<u32>(), element_row::<u64>()];

/// Entries of a comparison's row: the seven operand combinations of a binary instruction, forwards, then
/// backwards.
pub(crate) const COMPARE_ROW: usize = 14;

/// Where the second half starts.
pub(crate) const COMPARE_SECOND: usize = 7;

const fn int_row<O: Binary<In: Value, Out = u32>>() -> [Entry; COMPARE_ROW] {
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
const fn float_row<O: Binary<In: Value, Out = u32>>() -> [Entry; COMPARE_ROW] {
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
    row >= BinaryKind::F32Eq as u16 - BinaryKind::I32Eq as u16
}

/// Combinations of a branch on a value.
pub(crate) const BR_IF_ROW: usize = 8;

/// Added to the column for branches when zero.
pub(crate) const BR_IF_UNLESS: usize = 2;

/// Added for branches backwards.
pub(crate) const BR_IF_BACK: usize = 4;

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

/// Loads: address in a slot, in the accumulator, constant; the same writing the accumulator alone; from
/// any memory. Then sums, and elements of arrays, each writing a slot and the accumulator alone.
pub(crate) const LOAD_ROW: usize = 23;

/// Where plain loads start that write the accumulator alone.
pub(crate) const LOAD_SPARED: usize = 3;

/// Where the load from any memory is.
pub(crate) const LOAD_FROM: usize = 6;

/// Where the sums start, and how many columns behind them those that write the accumulator alone.
pub(crate) const LOAD_SUMS: usize = 7;
pub(crate) const LOAD_SUM_SPARED: usize = 5;

/// The same for elements.
pub(crate) const LOAD_ELEMENTS: usize = 17;
pub(crate) const LOAD_ELEMENT_SPARED: usize = 3;

const fn load_row<O: LoadAs<Out: Value>, A: Address>() -> [Entry; LOAD_ROW] {
    [
        entry::<Load<O, A, Slot, Slot>>(),
        entry::<Load<O, A, Acc, Slot>>(),
        entry::<LoadAt<O, Slot>>(),
        entry::<Load<O, A, Slot, Acc>>(),
        entry::<Load<O, A, Acc, Acc>>(),
        entry::<LoadAt<O, Acc>>(),
        entry::<LoadFrom<O, A, Slot>>(),
        entry::<LoadSum<O, A, Slot, Slot, Slot>>(),
        entry::<LoadSum<O, A, Slot, Acc, Slot>>(),
        entry::<LoadSum<O, A, Acc, Slot, Slot>>(),
        entry::<LoadSum<O, A, Slot, Imm, Slot>>(),
        entry::<LoadSum<O, A, Acc, Imm, Slot>>(),
        entry::<LoadSum<O, A, Slot, Slot, Acc>>(),
        entry::<LoadSum<O, A, Slot, Acc, Acc>>(),
        entry::<LoadSum<O, A, Acc, Slot, Acc>>(),
        entry::<LoadSum<O, A, Slot, Imm, Acc>>(),
        entry::<LoadSum<O, A, Acc, Imm, Acc>>(),
        entry::<LoadElement<O, A, Slot, Slot, Slot>>(),
        entry::<LoadElement<O, A, Slot, Acc, Slot>>(),
        entry::<LoadElement<O, A, Acc, Slot, Slot>>(),
        entry::<LoadElement<O, A, Slot, Slot, Acc>>(),
        entry::<LoadElement<O, A, Slot, Acc, Acc>>(),
        entry::<LoadElement<O, A, Acc, Slot, Acc>>(),
    ]
}

/// Stores: address × value in {slot, accumulator, constant}; to any memory.
pub(crate) const STORE_ROW: usize = 10;

/// Columns of each kind of address, one for each kind of value.
pub(crate) const STORE_VALUES: usize = 3;

/// Where the store to any memory is.
pub(crate) const STORE_TO: usize = 9;

const fn store_row<O: StoreAs<In: Value>, A: Address>() -> [Entry; STORE_ROW] {
    [
        entry::<Store<O, A, Slot, Slot>>(),
        entry::<Store<O, A, Slot, Acc>>(),
        entry::<Store<O, A, Slot, Imm>>(),
        entry::<Store<O, A, Acc, Slot>>(),
        entry::<Store<O, A, Acc, Acc>>(),
        entry::<Store<O, A, Acc, Imm>>(),
        entry::<StoreAt<O, Slot>>(),
        entry::<StoreAt<O, Acc>>(),
        entry::<StoreAt<O, Imm>>(),
        entry::<StoreTo<O, A, Slot>>(),
    ]
}

/// The loads.
pub(crate) const LOADS: [[Entry; LOAD_ROW]; LoadKind::COUNT] = load_rows!(load_row, u32);

/// The stores.
pub(crate) const STORES: [[Entry; STORE_ROW]; StoreKind::COUNT] = store_rows!(store_row, u32);

/// The loads with addresses of 64 bits.
pub(crate) const WIDE_LOADS: [[Entry; LOAD_ROW]; LoadKind::COUNT] = load_rows!(load_row, u64);

/// The stores with addresses of 64 bits.
pub(crate) const WIDE_STORES: [[Entry; STORE_ROW]; StoreKind::COUNT] = store_rows!(store_row, u64);

/// Combinations of a `global.get`.
pub(crate) const GLOBAL_GET_ROW: usize = 2;

/// Where those start that write the accumulator alone.
pub(crate) const GLOBAL_GET_SPARED: usize = 1;

/// `global.get`, by what it writes: a slot or the accumulator alone. The second row is of globals behind a
/// pointer.
pub(crate) const GLOBAL_GETS: [[Entry; GLOBAL_GET_ROW]; 2] = [
    [entry::<GlobalGet<Slot, true>>(), entry::<GlobalGet<Acc, true>>()],
    [entry::<GlobalGet<Slot, false>>(), entry::<GlobalGet<Acc, false>>()],
];
