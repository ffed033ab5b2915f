//! Instructions on many elements, which the runtime executes.

use cranelift_codegen::ir::types::{F32, F64, I8X16, I32, I64, I64X2};
use cranelift_codegen::ir::{Endianness, InstBuilder, MemFlagsData, Value};
use wasmparser::Operator;

use super::super::Lower;
use crate::builtins::Builtin;

impl Lower<'_, '_, '_> {
    /// Lowers an instruction on many elements. Returns whether the operator is one.
    pub(super) fn bulk_elements(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        match *operator {
            O::ArrayNewData { array_type_index: ty, array_data_index: segment } => {
                let word = self.slow_path::<2>(Builtin::ArrayNewData, &[ty, segment]);
                let reference = self.reference_of(word);
                self.stack.push(reference);
            }
            O::ArrayNewElem { array_type_index: ty, array_elem_index: segment } => {
                let word = self.slow_path::<2>(Builtin::ArrayNewElem, &[ty, segment]);
                let reference = self.reference_of(word);
                self.stack.push(reference);
            }
            O::ArrayInitData { array_type_index: ty, array_data_index: segment } => {
                self.slow_path::<4>(Builtin::ArrayInitData, &[ty, segment]);
            }
            O::ArrayInitElem { array_type_index: ty, array_elem_index: segment } => {
                self.slow_path::<4>(Builtin::ArrayInitElem, &[ty, segment]);
            }
            O::ArrayCopy { array_type_index_dst: ty, .. } => {
                self.slow_path::<5>(Builtin::ArrayCopy, &[ty]);
            }
            O::ArrayFill { array_type_index: ty } => {
                let [array, start, value, len] = self.pop_array();
                self.array_fill(ty, array, start, value, len);
            }
            _ => return false,
        }
        true
    }

    pub(super) fn array_fill(&mut self, ty: u32, array: Value, start: Value, value: Value, len: Value) {
        let ty = self.cold_index(ty);
        let [low, high] = self.slot_words(value);
        let [array, start, len] = [array, start, len].map(|value| self.word(value));
        self.fallible(Builtin::ArrayFill, &[self.vmctx, ty, array, start, low, high, len]);
    }

    /// A value as the words of a slot.
    fn slot_words(&mut self, value: Value) -> [Value; 2] {
        let low = match self.builder.func.dfg.value_type(value) {
            I8X16 => {
                let flags = MemFlagsData::new().with_endianness(Endianness::Little);
                let halves = self.builder.ins().bitcast(I64X2, flags, value);
                return [0, 1].map(|lane| self.builder.ins().extractlane(halves, lane));
            }
            F32 => {
                let bits = self.builder.ins().bitcast(I32, MemFlagsData::new(), value);
                self.word(bits)
            }
            F64 => self.builder.ins().bitcast(I64, MemFlagsData::new(), value),
            _ => self.word(value),
        };
        [low, self.constant(0)]
    }
}
