//! The rows of the instructions on vectors. Vectors are in slots, so that most instructions have one entry; the columns of
//! others are where scalars are.

use crate::entry::{Entry, entry};
use crate::mode::{Acc, Imm, Lanes, Pair, Slot, Value};
use crate::ops::memory::{
    Address, Load, LoadAs, LoadAt, LoadElement, LoadFrom, LoadSum, Store, StoreAt, StoreTo,
};
use crate::ops::numeric::{Binary, BinaryOp, Unary, UnaryOp};
use crate::ops::simd::compare::*;
use crate::ops::simd::convert::*;
use crate::ops::simd::float::*;
use crate::ops::simd::integer::*;
use crate::ops::simd::lanes::*;
use crate::ops::simd::mask::*;
use crate::ops::simd::memory::*;
use crate::ops::simd::relaxed::*;
use crate::ops::simd::shift::*;
use crate::ops::simd::{Ternary, TernaryOp};

const fn unary_row<O: Unary<In: Lanes, Out: Lanes>>() -> [Entry; 1] {
    [entry::<UnaryOp<O, Pair, Pair>>()]
}

const fn binary_row<O: Binary<In: Lanes, Out: Lanes>>() -> [Entry; 1] {
    [entry::<BinaryOp<O, Pair, Pair, Pair>>()]
}

const fn ternary_row<O: Ternary>() -> [Entry; 1] {
    [entry::<TernaryOp<O>>()]
}

pub(crate) const INTEGER_UNARIES: [[Entry; 1]; IntegerUnary::COUNT] = integer_unary_rows!(unary_row);
pub(crate) const INTEGER_BINARIES: [[Entry; 1]; IntegerBinary::COUNT] = integer_binary_rows!(binary_row);
pub(crate) const COMPARISONS: [[Entry; 1]; Comparison::COUNT] = comparison_rows!(binary_row);
pub(crate) const FLOAT_UNARIES: [[Entry; 1]; FloatUnary::COUNT] = float_unary_rows!(unary_row);
pub(crate) const FLOAT_BINARIES: [[Entry; 1]; FloatBinary::COUNT] = float_binary_rows!(binary_row);
pub(crate) const CONVERSIONS: [[Entry; 1]; Conversion::COUNT] = conversion_rows!(unary_row);
pub(crate) const COMBINATIONS: [[Entry; 1]; Combination::COUNT] = combination_rows!(binary_row);
pub(crate) const SWIZZLES: [[Entry; 1]; Swizzle::COUNT] = swizzle_rows!(binary_row);
pub(crate) const SELECTIONS: [[Entry; 1]; Selection::COUNT] = selection_rows!(ternary_row);
pub(crate) const RELAXED_UNARIES: [[Entry; 1]; RelaxedUnary::COUNT] = relaxed_unary_rows!(unary_row);
pub(crate) const RELAXED_BINARIES: [[Entry; 1]; RelaxedBinary::COUNT] = relaxed_binary_rows!(binary_row);
pub(crate) const RELAXED_TERNARIES: [[Entry; 1]; RelaxedTernary::COUNT] = relaxed_ternary_rows!(ternary_row);

/// Columns of an instruction with one scalar operand: in a slot, in the accumulator.
pub(crate) const SCALAR_ROW: usize = 2;

/// Where those start that write a scalar to the accumulator alone.
pub(crate) const SCALAR_SPARED: usize = 1;

const fn question_row<O: Unary<In: Lanes, Out: Value>>() -> [Entry; SCALAR_ROW] {
    [entry::<UnaryOp<O, Pair, Slot>>(), entry::<UnaryOp<O, Pair, Acc>>()]
}

const fn splat_row<O: Unary<In: Value, Out: Lanes>>() -> [Entry; SCALAR_ROW] {
    [entry::<UnaryOp<O, Slot, Pair>>(), entry::<UnaryOp<O, Acc, Pair>>()]
}

const fn extract_row<O: Extract>() -> [Entry; SCALAR_ROW] {
    [entry::<ExtractOp<O, Slot>>(), entry::<ExtractOp<O, Acc>>()]
}

const fn replace_row<O: Replace>() -> [Entry; SCALAR_ROW] {
    [entry::<ReplaceOp<O, Slot>>(), entry::<ReplaceOp<O, Acc>>()]
}

pub(crate) const QUESTIONS: [[Entry; SCALAR_ROW]; Question::COUNT] = question_rows!(question_row);
pub(crate) const SPLATS: [[Entry; SCALAR_ROW]; Splat::COUNT] = splat_rows!(splat_row);
pub(crate) const EXTRACTS: [[Entry; SCALAR_ROW]; ExtractKind::COUNT] = extract_rows!(extract_row);
pub(crate) const REPLACES: [[Entry; SCALAR_ROW]; ReplaceKind::COUNT] = replace_rows!(replace_row);

/// Columns of a shift: the count in a slot, in the accumulator, constant.
pub(crate) const SHIFT_ROW: usize = 3;

const fn shift_row<O: Shift>() -> [Entry; SHIFT_ROW] {
    [entry::<ShiftOp<O, Slot>>(), entry::<ShiftOp<O, Acc>>(), entry::<ShiftOp<O, Imm>>()]
}

pub(crate) const SHIFTS: [[Entry; SHIFT_ROW]; ShiftKind::COUNT] = shift_rows!(shift_row);

/// Loads of vectors: address in a slot, in the accumulator, constant; from any memory; sums; elements of arrays.
pub(crate) const VECTOR_LOAD_ROW: usize = 12;

/// Where the load from any memory is.
pub(crate) const VECTOR_LOAD_FROM: usize = 3;

/// Where the sums start, and how many there are.
pub(crate) const VECTOR_LOAD_SUMS: usize = 4;
pub(crate) const VECTOR_LOAD_SUM_COUNT: usize = 5;

/// Where the elements start.
pub(crate) const VECTOR_LOAD_ELEMENTS: usize = 9;

const fn vector_load_row<O: LoadAs<Out: Lanes>, A: Address>() -> [Entry; VECTOR_LOAD_ROW] {
    [
        entry::<Load<O, A, Slot, Pair>>(),
        entry::<Load<O, A, Acc, Pair>>(),
        entry::<LoadAt<O, Pair>>(),
        entry::<LoadFrom<O, A, Pair>>(),
        entry::<LoadSum<O, A, Slot, Slot, Pair>>(),
        entry::<LoadSum<O, A, Slot, Acc, Pair>>(),
        entry::<LoadSum<O, A, Acc, Slot, Pair>>(),
        entry::<LoadSum<O, A, Slot, Imm, Pair>>(),
        entry::<LoadSum<O, A, Acc, Imm, Pair>>(),
        entry::<LoadElement<O, A, Slot, Slot, Pair>>(),
        entry::<LoadElement<O, A, Slot, Acc, Pair>>(),
        entry::<LoadElement<O, A, Acc, Slot, Pair>>(),
    ]
}

pub(crate) const VECTOR_LOADS: [[Entry; VECTOR_LOAD_ROW]; VectorLoad::COUNT] =
    vector_load_rows!(vector_load_row, u32);

/// The same with addresses of 64 bits.
pub(crate) const WIDE_VECTOR_LOADS: [[Entry; VECTOR_LOAD_ROW]; VectorLoad::COUNT] =
    vector_load_rows!(vector_load_row, u64);

/// Columns of an access to a lane: address in a slot, in the accumulator; to or from any memory.
pub(crate) const ACCESS_ROW: usize = 3;

/// Where the access to any memory is.
pub(crate) const ACCESS_ANY: usize = 2;

const fn lane_load_row<O: LoadLane, A: Address>() -> [Entry; ACCESS_ROW] {
    [entry::<LoadLaneOp<O, A, Slot>>(), entry::<LoadLaneOp<O, A, Acc>>(), entry::<LoadLaneFrom<O, A>>()]
}

const fn lane_store_row<O: StoreLane, A: Address>() -> [Entry; ACCESS_ROW] {
    [entry::<StoreLaneOp<O, A, Slot>>(), entry::<StoreLaneOp<O, A, Acc>>(), entry::<StoreLaneTo<O, A>>()]
}

pub(crate) const LANE_LOADS: [[Entry; ACCESS_ROW]; LaneLoad::COUNT] = lane_load_rows!(lane_load_row, u32);
pub(crate) const LANE_STORES: [[Entry; ACCESS_ROW]; LaneStore::COUNT] = lane_store_rows!(lane_store_row, u32);

/// The same with addresses of 64 bits.
pub(crate) const WIDE_LANE_LOADS: [[Entry; ACCESS_ROW]; LaneLoad::COUNT] =
    lane_load_rows!(lane_load_row, u64);
pub(crate) const WIDE_LANE_STORES: [[Entry; ACCESS_ROW]; LaneStore::COUNT] =
    lane_store_rows!(lane_store_row, u64);

/// Columns of the store of all lanes.
pub(crate) const VECTOR_STORE_ROW: usize = 4;

/// Where the store to any memory is.
pub(crate) const VECTOR_STORE_TO: usize = 3;

const fn vector_store_row<A: Address>() -> [Entry; VECTOR_STORE_ROW] {
    [
        entry::<Store<V128Store, A, Slot, Pair>>(),
        entry::<Store<V128Store, A, Acc, Pair>>(),
        entry::<StoreAt<V128Store, Pair>>(),
        entry::<StoreTo<V128Store, A, Pair>>(),
    ]
}

/// The store of all lanes, by its address: in a slot, in the accumulator, constant; to any memory. The second row is of
/// addresses of 64 bits.
pub(crate) const VECTOR_STORES: [[Entry; VECTOR_STORE_ROW]; 2] =
    [vector_store_row::<u32>(), vector_store_row::<u64>()];
