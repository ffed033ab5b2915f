//! Which instruction each operator on vectors becomes.
//!
//! A vector is always in slots: it has no accumulator and is never an immediate. The scalars that one is made from or becomes
//! may be in theirs.

use wasmparser::{MemArg, Operator};
use wasmrun_runtime::layout::GlobalPlace;

use super::Translator;
use super::access::{last_byte, other_memory};
use super::operands::Input;
use super::stack::{Operand, Ty};
use crate::field::Field;
use crate::mode::Class;
use crate::ops::simd::lanes::{ExtractKind, ReplaceKind, Splat};
use crate::ops::simd::mask::Question;
use crate::ops::simd::memory::{LaneLoad, LaneStore, VectorLoad};
use crate::ops::simd::shift::ShiftKind;
use crate::table;
use crate::table::vectors::{self, LaneAddress};

impl Translator<'_> {
    /// Translates an operator on vectors.
    pub(super) fn vector(&mut self, operator: &Operator<'_>) {
        use ExtractKind as E;
        use LaneLoad as LL;
        use LaneStore as LS;
        use Operator as O;
        use ReplaceKind as R;
        use VectorLoad as L;
        if let Some((opcode, operands)) = vectors::of_vectors(operator, self.module.relaxed()) {
            return self.of_vectors(opcode, operands);
        }
        match *operator {
            O::V128Const { value } => self.const_vector(u128::from_le_bytes(*value.bytes())),
            O::I8x16Shuffle { lanes } => self.shuffle(lanes),

            O::V128Load { memarg } => self.load_vector(L::V128Load, memarg),
            O::V128Load8x8S { memarg } => self.load_vector(L::V128Load8x8S, memarg),
            O::V128Load8x8U { memarg } => self.load_vector(L::V128Load8x8U, memarg),
            O::V128Load16x4S { memarg } => self.load_vector(L::V128Load16x4S, memarg),
            O::V128Load16x4U { memarg } => self.load_vector(L::V128Load16x4U, memarg),
            O::V128Load32x2S { memarg } => self.load_vector(L::V128Load32x2S, memarg),
            O::V128Load32x2U { memarg } => self.load_vector(L::V128Load32x2U, memarg),
            O::V128Load8Splat { memarg } => self.load_vector(L::V128Load8Splat, memarg),
            O::V128Load16Splat { memarg } => self.load_vector(L::V128Load16Splat, memarg),
            O::V128Load32Splat { memarg } => self.load_vector(L::V128Load32Splat, memarg),
            O::V128Load64Splat { memarg } => self.load_vector(L::V128Load64Splat, memarg),
            O::V128Load32Zero { memarg } => self.load_vector(L::V128Load32Zero, memarg),
            O::V128Load64Zero { memarg } => self.load_vector(L::V128Load64Zero, memarg),
            O::V128Store { memarg } => self.store_vector(memarg),
            O::V128Load8Lane { memarg, lane } => self.load_lane(LL::V128Load8Lane, memarg, lane),
            O::V128Load16Lane { memarg, lane } => self.load_lane(LL::V128Load16Lane, memarg, lane),
            O::V128Load32Lane { memarg, lane } => self.load_lane(LL::V128Load32Lane, memarg, lane),
            O::V128Load64Lane { memarg, lane } => self.load_lane(LL::V128Load64Lane, memarg, lane),
            O::V128Store8Lane { memarg, lane } => self.store_lane(LS::V128Store8Lane, memarg, lane),
            O::V128Store16Lane { memarg, lane } => self.store_lane(LS::V128Store16Lane, memarg, lane),
            O::V128Store32Lane { memarg, lane } => self.store_lane(LS::V128Store32Lane, memarg, lane),
            O::V128Store64Lane { memarg, lane } => self.store_lane(LS::V128Store64Lane, memarg, lane),

            O::I8x16ExtractLaneS { lane } => self.extract_lane(E::I8x16ExtractLaneS, lane, Ty::I32),
            O::I8x16ExtractLaneU { lane } => self.extract_lane(E::I8x16ExtractLaneU, lane, Ty::I32),
            O::I16x8ExtractLaneS { lane } => self.extract_lane(E::I16x8ExtractLaneS, lane, Ty::I32),
            O::I16x8ExtractLaneU { lane } => self.extract_lane(E::I16x8ExtractLaneU, lane, Ty::I32),
            O::I32x4ExtractLane { lane } => self.extract_lane(E::I32x4ExtractLane, lane, Ty::I32),
            O::I64x2ExtractLane { lane } => self.extract_lane(E::I64x2ExtractLane, lane, Ty::I64),
            O::F32x4ExtractLane { lane } => self.extract_lane(E::F32x4ExtractLane, lane, Ty::F32),
            O::F64x2ExtractLane { lane } => self.extract_lane(E::F64x2ExtractLane, lane, Ty::F64),
            O::I8x16ReplaceLane { lane } => self.replace_lane(R::I8x16ReplaceLane, lane),
            O::I16x8ReplaceLane { lane } => self.replace_lane(R::I16x8ReplaceLane, lane),
            O::I32x4ReplaceLane { lane } => self.replace_lane(R::I32x4ReplaceLane, lane),
            O::I64x2ReplaceLane { lane } => self.replace_lane(R::I64x2ReplaceLane, lane),
            O::F32x4ReplaceLane { lane } => self.replace_lane(R::F32x4ReplaceLane, lane),
            O::F64x2ReplaceLane { lane } => self.replace_lane(R::F64x2ReplaceLane, lane),

            ref other => {
                if let Some(kind) = Question::of(other) {
                    self.question(kind);
                } else if let Some(kind) = Splat::of(other) {
                    self.splat(kind);
                } else if let Some(kind) = ShiftKind::of(other) {
                    self.shift(kind);
                } else {
                    unreachable!("modules that use {other:?} are refused at load");
                }
            }
        }
    }

    /// Pops a vector. Returns where it is.
    fn pop_vector(&mut self) -> u16 {
        let operand = self.stack.pop();
        self.in_slot(operand)
    }

    /// Begins an instruction that pushes a vector.
    fn push_vector(&mut self, opcode: u16) {
        let dest = self.push_temp(Ty::V128);
        self.out.op_to_vector(opcode, dest);
    }

    /// A scalar operand in a slot or in its accumulator.
    fn scalar(&mut self, operand: Operand) -> Input {
        match self.input(operand) {
            Input::Imm(_) => Input::Slot(self.in_slot(operand)),
            other => other,
        }
    }

    fn of_vectors(&mut self, opcode: u16, operands: usize) {
        let mut slots = [0; 3];
        for slot in slots[..operands].iter_mut().rev() {
            *slot = self.pop_vector();
        }
        self.push_vector(opcode);
        slots[..operands].iter().for_each(|slot| self.out.vector(*slot));
    }

    fn const_vector(&mut self, bits: u128) {
        self.push_vector(table::CONST_VECTOR);
        self.out.field(Field::Bits64, bits as u64);
        self.out.field(Field::Bits64, (bits >> 64) as u64);
    }

    fn shuffle(&mut self, lanes: [u8; 16]) {
        let (b, a) = (self.pop_vector(), self.pop_vector());
        let wide = lanes_of_32_bits(lanes);
        self.push_vector(if wide.is_some() { table::SHUFFLE32 } else { table::SHUFFLE8 });
        self.out.vector(a);
        self.out.vector(b);
        match wide {
            Some(numbers) => self.out.field(Field::Bits32, numbers.into()),
            None => {
                let numbers = u128::from_le_bytes(lanes);
                self.out.field(Field::Bits64, numbers as u64);
                self.out.field(Field::Bits64, (numbers >> 64) as u64);
            }
        }
    }

    fn question(&mut self, kind: Question) {
        let a = self.pop_vector();
        let dest = self.push_temp(Ty::I32);
        self.out.op_to(vectors::question(kind), dest, Some(Class::Int));
        self.out.vector(a);
    }

    fn splat(&mut self, kind: Splat) {
        let scalar = self.stack.pop();
        let x = self.scalar(scalar);
        self.push_vector(vectors::splat(kind, x == Input::Acc));
        self.input_field(x, scalar.ty);
    }

    fn extract_lane(&mut self, kind: ExtractKind, lane: u8, ty: Ty) {
        let a = self.pop_vector();
        let dest = self.push_temp(ty);
        self.out.op_to(vectors::extract_lane(kind), dest, Some(ty.class()));
        self.out.vector(a);
        self.out.field(Field::Lane, lane.into());
    }

    fn replace_lane(&mut self, kind: ReplaceKind, lane: u8) {
        let scalar = self.stack.pop();
        let y = self.scalar(scalar);
        let a = self.pop_vector();
        self.push_vector(vectors::replace_lane(kind, y == Input::Acc));
        self.out.vector(a);
        self.out.field(Field::Lane, lane.into());
        self.input_field(y, scalar.ty);
    }

    fn shift(&mut self, kind: ShiftKind) {
        let count = self.stack.pop();
        let y = self.input(count);
        let a = self.pop_vector();
        self.push_vector(vectors::shift(kind, y.mode()));
        self.out.vector(a);
        self.input_field(y, Ty::I32);
    }

    fn load_vector(&mut self, kind: VectorLoad, memarg: MemArg) {
        let address = self.stack.pop();
        let (address, offset, wide) = self.near(address, memarg, kind.bytes());
        if let Some(memory) = other_memory(memarg) {
            let slot = self.in_slot(address);
            let last = last_byte(offset, kind.bytes(), Input::Slot(slot));
            let Some(last) = last else { return self.vector_out_of_bounds() };
            self.push_vector(vectors::load_from(wide, kind));
            self.out.slot(slot);
            self.out.field(Field::Offset, last.into());
            self.out.field(Field::Context, self.module.layout().memory(memory).into());
            return;
        }
        let sum = |modes| vectors::load_sum(wide, kind, modes);
        let element = |modes| vectors::load_element(wide, kind, modes);
        if let Some((opcode, from, operands)) = self.computed_address(address, sum, element)
            && let Some(last) = last_byte(offset, kind.bytes(), Input::Acc)
        {
            self.out.retract_last();
            self.push_vector(opcode);
            self.out.fields_of(from, &operands);
            self.out.field(Field::Offset, last.into());
            return;
        }
        let input = self.input(address);
        let last = last_byte(offset, kind.bytes(), input);
        let Some(last) = last else { return self.vector_out_of_bounds() };
        self.push_vector(vectors::load(wide, kind, input.mode()));
        if !matches!(input, Input::Imm(_)) {
            self.input_field(input, address.ty);
        }
        self.out.field(Field::Offset, last.into());
    }

    /// A load that no address can make valid.
    fn vector_out_of_bounds(&mut self) {
        self.push_temp(Ty::V128);
        self.out_of_bounds();
    }

    fn store_vector(&mut self, memarg: MemArg) {
        let value = self.pop_vector();
        let address = self.stack.pop();
        let (address, offset, wide) = self.near(address, memarg, 16);
        if let Some(memory) = other_memory(memarg) {
            let slot = self.in_slot(address);
            let last = last_byte(offset, 16, Input::Slot(slot));
            let Some(last) = last else { return self.out_of_bounds() };
            self.out.op(vectors::store_to(wide));
            self.out.slot(slot);
            self.out.vector(value);
            self.out.field(Field::Offset, last.into());
            self.out.field(Field::Context, self.module.layout().memory(memory).into());
            return;
        }
        let x = self.input(address);
        let Some(last) = last_byte(offset, 16, x) else { return self.out_of_bounds() };
        self.out.op(vectors::store(wide, x.mode()));
        if !matches!(x, Input::Imm(_)) {
            self.input_field(x, address.ty);
        }
        self.out.vector(value);
        self.out.field(Field::Offset, last.into());
    }

    /// Where the address of an access to a lane is: the column of the instruction, and the field if it has one.
    fn lane_address(&mut self, memarg: MemArg, address: Operand) -> (LaneAddress, Input) {
        if other_memory(memarg).is_some() {
            return (LaneAddress::Any, Input::Slot(self.in_slot(address)));
        }
        match self.scalar(address) {
            Input::Acc => (LaneAddress::Acc, Input::Acc),
            slot => (LaneAddress::Slot, slot),
        }
    }

    /// The fields behind the vector of an access to a lane.
    fn lane_fields(&mut self, memarg: MemArg, lane: u8, last: u32) {
        self.out.field(Field::Lane, lane.into());
        self.out.field(Field::Offset, last.into());
        if let Some(memory) = other_memory(memarg) {
            self.out.field(Field::Context, self.module.layout().memory(memory).into());
        }
    }

    fn load_lane(&mut self, kind: LaneLoad, memarg: MemArg, lane: u8) {
        let a = self.pop_vector();
        let address = self.stack.pop();
        let (address, offset, wide) = self.near(address, memarg, kind.bytes());
        let (column, x) = self.lane_address(memarg, address);
        let last = last_byte(offset, kind.bytes(), x);
        let Some(last) = last else { return self.vector_out_of_bounds() };
        self.push_vector(vectors::load_lane(wide, kind, column));
        self.input_field(x, address.ty);
        self.out.vector(a);
        self.lane_fields(memarg, lane, last);
    }

    fn store_lane(&mut self, kind: LaneStore, memarg: MemArg, lane: u8) {
        let a = self.pop_vector();
        let address = self.stack.pop();
        let (address, offset, wide) = self.near(address, memarg, kind.bytes());
        let (column, x) = self.lane_address(memarg, address);
        let Some(last) = last_byte(offset, kind.bytes(), x) else { return self.out_of_bounds() };
        self.out.op(vectors::store_lane(wide, kind, column));
        self.input_field(x, address.ty);
        self.out.vector(a);
        self.lane_fields(memarg, lane, last);
    }

    pub(super) fn select_vector(&mut self, a: Operand, b: Operand, condition: Operand) {
        let (a, b) = (self.in_slot(a), self.in_slot(b));
        let c = self.scalar(condition);
        self.push_vector(match c {
            Input::Acc => table::SELECT_VECTOR_ACC,
            _ => table::SELECT_VECTOR_SLOT,
        });
        self.out.vector(a);
        self.out.vector(b);
        self.input_field(c, Ty::I32);
    }

    pub(super) fn global_get_vector(&mut self, place: GlobalPlace) {
        let (opcode, offset) = match place {
            GlobalPlace::Own(offset) => (table::GLOBAL_GET_VECTOR, offset),
            GlobalPlace::Imported(offset) => (table::GLOBAL_GET_VECTOR_FAR, offset),
        };
        self.push_vector(opcode);
        self.out.field(Field::Context, offset.into());
    }

    pub(super) fn global_set_vector(&mut self, place: GlobalPlace, value: Operand) {
        let value = self.in_slot(value);
        let (opcode, offset) = match place {
            GlobalPlace::Own(offset) => (table::GLOBAL_SET_VECTOR, offset),
            GlobalPlace::Imported(offset) => (table::GLOBAL_SET_VECTOR_FAR, offset),
        };
        self.out.op(opcode);
        self.out.vector(value);
        self.out.field(Field::Context, offset.into());
    }
}

/// The numbers of the lanes of 32 bits that a shuffle moves, if it moves whole ones: one in each byte.
fn lanes_of_32_bits(lanes: [u8; 16]) -> Option<u32> {
    let number = |four: &[u8]| {
        let first = four[0];
        let whole = first.is_multiple_of(4) && four.iter().zip(first..).all(|(lane, next)| *lane == next);
        whole.then_some(first / 4)
    };
    let mut numbers = [0; 4];
    for (to, four) in numbers.iter_mut().zip(lanes.chunks_exact(4)) {
        *to = number(four)?;
    }
    Some(u32::from_le_bytes(numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_of_whole_lanes_is_told_from_others() {
        let of = |numbers: [u8; 4]| numbers.map(|number| [0, 1, 2, 3].map(|i| 4 * number + i)).concat();
        let all = |numbers| <[u8; 16]>::try_from(of(numbers)).unwrap();
        assert_eq!(lanes_of_32_bits(all([0, 1, 2, 3])), Some(0x03_02_01_00));
        assert_eq!(lanes_of_32_bits(all([7, 0, 7, 4])), Some(0x04_07_00_07));
        let mut reversed = all([0, 1, 2, 3]);
        reversed.reverse();
        assert_eq!(lanes_of_32_bits(reversed), None);
        for at in 0..16 {
            let mut lanes = all([1, 1, 6, 0]);
            lanes[at] ^= 1;
            assert_eq!(lanes_of_32_bits(lanes), None, "{at}");
        }
        assert_eq!(lanes_of_32_bits([1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4]), None);
    }
}
