//! The opcodes of instructions on vectors, by the operators that become them.

use wasmparser::Operator;
use wasmrun_runtime::Relaxed;

use super::*;
use crate::ops::simd::compare::Comparison;
use crate::ops::simd::convert::{Combination, Conversion};
use crate::ops::simd::float::{FloatBinary, FloatUnary};
use crate::ops::simd::integer::{IntegerBinary, IntegerUnary};
use crate::ops::simd::lanes::{ExtractKind, ReplaceKind, Splat, Swizzle};
use crate::ops::simd::mask::{Question, Selection};
use crate::ops::simd::memory::{LaneLoad, LaneStore, VectorLoad};
use crate::ops::simd::relaxed::{RelaxedBinary, RelaxedTernary, RelaxedUnary};
use crate::ops::simd::shift::ShiftKind;

/// An instruction that makes a vector of so many others: opcode and number.
pub(crate) fn of_vectors(operator: &Operator<'_>, relaxed: Relaxed) -> Option<(u16, usize)> {
    let one = |opcode| (opcode, 1);
    let two = |opcode| (opcode, 2);
    let found = IntegerBinary::of(operator).map(|kind| two(INTEGER_BINARY + kind as u16));
    let found = found.or_else(|| FloatBinary::of(operator).map(|kind| two(FLOAT_BINARY + kind as u16)));
    let found = found.or_else(|| Comparison::of(operator).map(|kind| two(COMPARISON + kind as u16)));
    let found = found.or_else(|| IntegerUnary::of(operator).map(|kind| one(INTEGER_UNARY + kind as u16)));
    let found = found.or_else(|| FloatUnary::of(operator).map(|kind| one(FLOAT_UNARY + kind as u16)));
    let found = found.or_else(|| Conversion::of(operator).map(|kind| one(CONVERSION + kind as u16)));
    let found = found.or_else(|| Combination::of(operator).map(|kind| two(COMBINATION + kind as u16)));
    let found = found.or_else(|| Swizzle::of(operator).map(|kind| two(SWIZZLE + kind as u16)));
    let found = found.or_else(|| Selection::of(operator).map(|kind| (SELECTION + kind as u16, 3)));
    found.or_else(|| of_relaxed(operator, relaxed))
}

/// What a relaxed instruction becomes.
fn of_relaxed(operator: &Operator<'_>, relaxed: Relaxed) -> Option<(u16, usize)> {
    use Operator as O;
    use RelaxedBinary as B;
    use RelaxedTernary as T;
    use RelaxedUnary as U;
    let conversion = |kind| (CONVERSION + kind as u16, 1);
    let float = |kind| (FLOAT_BINARY + kind as u16, 2);
    let unary = |kind| (RELAXED_UNARY + kind as u16, 1);
    let binary = |kind| (RELAXED_BINARY + kind as u16, 2);
    let ternary = |kind| (RELAXED_TERNARY + kind as u16, 3);
    let (x86, fused) = match relaxed {
        Relaxed::Deterministic => (false, false),
        Relaxed::X86 { fma } => (true, fma),
    };
    let madd = |twice, once| ternary(if fused { once } else { twice });
    let laneselect =
        |kind| if x86 { ternary(kind) } else { (SELECTION + Selection::V128Bitselect as u16, 3) };
    Some(match operator {
        O::I8x16RelaxedSwizzle if x86 => binary(B::SwizzleX86),
        O::I8x16RelaxedSwizzle => (SWIZZLE + Swizzle::I8x16Swizzle as u16, 2),
        O::I32x4RelaxedTruncF32x4S if x86 => unary(U::TruncF32x4X86),
        O::I32x4RelaxedTruncF32x4S => conversion(Conversion::I32x4TruncSatF32x4S),
        O::I32x4RelaxedTruncF64x2SZero if x86 => unary(U::TruncF64x2X86),
        O::I32x4RelaxedTruncF64x2SZero => conversion(Conversion::I32x4TruncSatF64x2SZero),
        // No single instruction makes unsigned integers.
        O::I32x4RelaxedTruncF32x4U => conversion(Conversion::I32x4TruncSatF32x4U),
        O::I32x4RelaxedTruncF64x2UZero => conversion(Conversion::I32x4TruncSatF64x2UZero),
        O::F32x4RelaxedMadd => madd(T::F32x4Madd, T::F32x4MaddFused),
        O::F32x4RelaxedNmadd => madd(T::F32x4Nmadd, T::F32x4NmaddFused),
        O::F64x2RelaxedMadd => madd(T::F64x2Madd, T::F64x2MaddFused),
        O::F64x2RelaxedNmadd => madd(T::F64x2Nmadd, T::F64x2NmaddFused),
        // Lanes of 16 bits are selected byte by byte.
        O::I8x16RelaxedLaneselect | O::I16x8RelaxedLaneselect => laneselect(T::Laneselect8X86),
        O::I32x4RelaxedLaneselect => laneselect(T::Laneselect32X86),
        O::I64x2RelaxedLaneselect => laneselect(T::Laneselect64X86),
        O::F32x4RelaxedMin if x86 => binary(B::F32x4MinX86),
        O::F32x4RelaxedMin => float(FloatBinary::F32x4Min),
        O::F32x4RelaxedMax if x86 => binary(B::F32x4MaxX86),
        O::F32x4RelaxedMax => float(FloatBinary::F32x4Max),
        O::F64x2RelaxedMin if x86 => binary(B::F64x2MinX86),
        O::F64x2RelaxedMin => float(FloatBinary::F64x2Min),
        O::F64x2RelaxedMax if x86 => binary(B::F64x2MaxX86),
        O::F64x2RelaxedMax => float(FloatBinary::F64x2Max),
        O::I16x8RelaxedQ15mulrS if x86 => binary(B::Q15MulrX86),
        O::I16x8RelaxedQ15mulrS => (INTEGER_BINARY + IntegerBinary::I16x8Q15MulrSatS as u16, 2),
        O::I16x8RelaxedDotI8x16I7x16S => binary(if x86 { B::DotX86 } else { B::Dot }),
        O::I32x4RelaxedDotI8x16I7x16AddS => ternary(if x86 { T::DotAddX86 } else { T::DotAdd }),
        _ => return None,
    })
}

/// An instruction from a vector to an `i32`, writing a slot.
pub(crate) fn question(kind: Question) -> u16 {
    in_row(QUESTION, kind as u16, SCALAR_ROW, 0)
}

/// A `splat` of a scalar in a slot, or in the accumulator.
pub(crate) fn splat(kind: Splat, acc: bool) -> u16 {
    in_row(SPLAT, kind as u16, SCALAR_ROW, acc.into())
}

/// An `extract_lane` that writes a slot.
pub(crate) fn extract_lane(kind: ExtractKind) -> u16 {
    in_row(EXTRACT, kind as u16, SCALAR_ROW, 0)
}

/// A `replace_lane` by a scalar in a slot, or in the accumulator.
pub(crate) fn replace_lane(kind: ReplaceKind, acc: bool) -> u16 {
    in_row(REPLACE, kind as u16, SCALAR_ROW, acc.into())
}

/// A shift.
pub(crate) fn shift(kind: ShiftKind, count: Mode) -> u16 {
    in_row(SHIFT, kind as u16, SHIFT_ROW, count as usize)
}

/// A load from memory 0.
pub(crate) fn load(wide: bool, kind: VectorLoad, address: Mode) -> u16 {
    vector_load(wide, kind, address as usize)
}

/// A load from any memory.
pub(crate) fn load_from(wide: bool, kind: VectorLoad) -> u16 {
    vector_load(wide, kind, VECTOR_LOAD_FROM)
}

/// A load that adds up its address, with the modes that the addition had. There is none for an addition that starts with a
/// constant.
pub(crate) fn load_sum(wide: bool, kind: VectorLoad, modes: u16) -> Option<u16> {
    let column = usize::from(modes);
    (column < VECTOR_LOAD_SUM_COUNT).then(|| vector_load(wide, kind, VECTOR_LOAD_SUMS + column))
}

/// A load from an element of an array, with the modes that its address had.
pub(crate) fn load_element(wide: bool, kind: VectorLoad, modes: u16) -> u16 {
    vector_load(wide, kind, VECTOR_LOAD_ELEMENTS + usize::from(modes))
}

fn vector_load(wide: bool, kind: VectorLoad, column: usize) -> u16 {
    in_row(by_width(wide, VECTOR_LOAD, WIDE_VECTOR_LOAD), kind as u16, VECTOR_LOAD_ROW, column)
}

/// The store of all lanes to memory 0.
pub(crate) fn store(wide: bool, address: Mode) -> u16 {
    in_row(VECTOR_STORE, wide.into(), VECTOR_STORE_ROW, address as usize)
}

/// The same to any memory.
pub(crate) fn store_to(wide: bool) -> u16 {
    in_row(VECTOR_STORE, wide.into(), VECTOR_STORE_ROW, VECTOR_STORE_TO)
}

/// Where the address of an access to a lane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneAddress {
    Slot,
    Acc,
    /// In a slot, and the memory is any.
    Any,
}

/// A load of a lane.
pub(crate) fn load_lane(wide: bool, kind: LaneLoad, address: LaneAddress) -> u16 {
    in_row(by_width(wide, LANE_LOAD, WIDE_LANE_LOAD), kind as u16, ACCESS_ROW, address as usize)
}

/// A store of a lane.
pub(crate) fn store_lane(wide: bool, kind: LaneStore, address: LaneAddress) -> u16 {
    in_row(by_width(wide, LANE_STORE, WIDE_LANE_STORE), kind as u16, ACCESS_ROW, address as usize)
}

const _: () = assert!(LaneAddress::Any as usize == ACCESS_ANY);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selectors_name_instructions_with_the_fields_that_were_asked_for() {
        use Field::{Acc, Bits64, Context, Dest, I32, Lane, Offset, Slot, Vector, VectorDest};
        let named = |operator: Operator<'_>, relaxed| {
            let (opcode, operands) = of_vectors(&operator, relaxed).unwrap();
            let all = [VectorDest, Vector, Vector, Vector];
            assert_eq!(fields(opcode), &all[..=operands]);
            name(opcode)
        };
        let (same, x86) = (Relaxed::Deterministic, Relaxed::X86 { fma: true });
        assert_eq!(named(Operator::I8x16AvgrU, same), "i8x16.avgr_u");
        assert_eq!(named(Operator::F64x2Nearest, same), "f64x2.nearest");
        assert_eq!(named(Operator::I64x2GeS, same), "i64x2.ge_s");
        assert_eq!(named(Operator::I64x2ExtMulHighI32x4U, same), "i64x2.extmul_high_i32x4_u");
        assert_eq!(named(Operator::F64x2PromoteLowF32x4, same), "f64x2.promote_low_f32x4");
        assert_eq!(named(Operator::V128Bitselect, same), "v128.bitselect");
        assert_eq!(named(Operator::F32x4RelaxedMin, same), "f32x4.min");
        assert_eq!(named(Operator::F32x4RelaxedMin, x86), "f32x4.min.x86");
        assert_eq!(named(Operator::F32x4RelaxedMadd, Relaxed::X86 { fma: false }), "f32x4.madd");
        assert_eq!(named(Operator::F32x4RelaxedMadd, x86), "f32x4.madd.fused");
        assert_eq!(of_vectors(&Operator::I32Add, same), None);

        let bitmask = question(Question::I16x8Bitmask);
        assert_eq!((name(bitmask), fields(bitmask)), ("i16x8.bitmask", &[Dest, Vector][..]));
        let splat = splat(Splat::F64x2Splat, true);
        assert_eq!((name(splat), fields(splat)), ("f64x2.splat", &[VectorDest, Acc][..]));
        let extract = extract_lane(ExtractKind::I64x2ExtractLane);
        assert_eq!((name(extract), fields(extract)), ("i64x2.extract_lane", &[Dest, Vector, Lane][..]));
        let replace = replace_lane(ReplaceKind::I8x16ReplaceLane, false);
        assert_eq!(
            (name(replace), fields(replace)),
            ("i8x16.replace_lane", &[VectorDest, Vector, Lane, Slot][..])
        );
        let shift = shift(ShiftKind::I64x2ShrU, Mode::Imm);
        assert_eq!((name(shift), fields(shift)), ("i64x2.shr_u", &[VectorDest, Vector, I32][..]));

        let kind = VectorLoad::V128Load64Zero;
        assert_eq!(fields(load(false, kind, Mode::Imm)), [VectorDest, Offset]);
        assert_eq!(fields(load_from(false, kind)), [VectorDest, Slot, Offset, Context]);
        let sum = load_sum(false, kind, Modes::AccImm as u16).unwrap();
        assert_eq!((name(sum), fields(sum)), ("v128.load64_zero.sum", &[VectorDest, Acc, I32, Offset][..]));
        assert_eq!(load_sum(false, kind, Modes::ImmSlot as u16), None);
        assert_eq!(fields(load_element(false, kind, 2)), [VectorDest, Acc, Slot, I32, Offset]);
        assert_eq!(fields(store(false, Mode::Acc)), [Acc, Vector, Offset]);
        assert_eq!(
            (name(store_to(true)), fields(store_to(true))),
            ("v128.store.wide.to", &[Slot, Vector, Offset, Context][..])
        );
        let lane = load_lane(false, LaneLoad::V128Load64Lane, LaneAddress::Acc);
        assert_eq!(fields(lane), [VectorDest, Acc, Vector, Lane, Offset]);
        let lane = store_lane(false, LaneStore::V128Store8Lane, LaneAddress::Any);
        assert_eq!(
            (name(lane), fields(lane)),
            ("v128.store8_lane.to", &[Slot, Vector, Lane, Offset, Context][..])
        );
        assert_eq!(fields(SHUFFLE8), [VectorDest, Vector, Vector, Bits64, Bits64]);
    }
}
