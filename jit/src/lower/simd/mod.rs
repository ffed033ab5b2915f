//! Vectors: the instructions of fixed-width and relaxed SIMD.
//!
//! A vector is one type to WebAssembly and seven to Cranelift, by its lanes. Wherever one is kept, on the operand stack,
//! in locals, parameters and results, it is [`I8X16`]; an instruction takes its operands as the lanes that it works
//! on, and gives its result back as bytes. That is a `bitcast`, which costs no machine code. An operand that another
//! instruction has just made in the same lanes is taken as that instruction made it, so that patterns of several
//! instructions are seen as such, and the cast in between is dead.

mod arithmetic;
mod bits;
mod compare;
mod convert;
mod lanes;
mod memory;
mod relaxed;

use cranelift_codegen::ir::types::I8X16;
use cranelift_codegen::ir::{
    Endianness, InstBuilder, InstructionData, MemFlagsData, Opcode, Type, Value, ValueDef,
};
use cranelift_frontend::FuncInstBuilder;
use wasmparser::Operator;

use super::Lower;
pub(super) use relaxed::choice;

/// Bytes of a vector.
const BYTES: u32 = 16;

/// The order of a vector's bytes when its lanes change: that of linear memory.
const BYTE_ORDER: MemFlagsData = MemFlagsData::new().with_endianness(Endianness::Little);

impl<'f> Lower<'_, 'f, '_> {
    /// Lowers an instruction on vectors. Returns whether the operator is one that can be executed here.
    pub(super) fn simd(&mut self, operator: &Operator<'_>) -> bool {
        self.vector_access(operator)
            || self.lane_arithmetic(operator)
            || self.lane_comparison(operator)
            || self.lane_movement(operator)
            || self.lane_conversion(operator)
            || self.vector_bits(operator)
            || self.relaxed(operator)
    }

    /// A vector as lanes of a type.
    fn as_lanes(&mut self, vector: Value, ty: Type) -> Value {
        let vector = self.as_made(vector);
        if self.builder.func.dfg.value_type(vector) == ty {
            return vector;
        }
        self.builder.ins().bitcast(ty, BYTE_ORDER, vector)
    }

    /// A vector in the lanes in which it was made, if that is known.
    fn as_made(&self, vector: Value) -> Value {
        let dfg = &self.builder.func.dfg;
        let ValueDef::Result(inst, _) = dfg.value_def(vector) else { return vector };
        match dfg.insts[inst] {
            InstructionData::LoadNoOffset { opcode: Opcode::Bitcast, arg, .. }
                if dfg.value_type(arg).is_vector() =>
            {
                arg
            }
            _ => vector,
        }
    }

    fn pop_lanes(&mut self, ty: Type) -> Value {
        let vector = self.pop();
        self.as_lanes(vector, ty)
    }

    /// Pops vectors; the topmost is the last of them.
    fn pop_all_lanes<const N: usize>(&mut self, ty: Type) -> [Value; N] {
        let vectors = self.pop_array::<N>();
        vectors.map(|vector| self.as_lanes(vector, ty))
    }

    fn push_vector(&mut self, lanes: Value) {
        let vector = match self.builder.func.dfg.value_type(lanes) {
            I8X16 => lanes,
            _ => self.builder.ins().bitcast(I8X16, BYTE_ORDER, lanes),
        };
        self.stack.push(vector);
    }

    fn unary_lanes(&mut self, ty: Type, make: impl FnOnce(FuncInstBuilder<'_, 'f>, Value) -> Value) {
        let a = self.pop_lanes(ty);
        let value = make(self.builder.ins(), a);
        self.push_vector(value);
    }

    fn binary_lanes(&mut self, ty: Type, make: impl FnOnce(FuncInstBuilder<'_, 'f>, Value, Value) -> Value) {
        let [a, b] = self.pop_all_lanes(ty);
        let value = make(self.builder.ins(), a, b);
        self.push_vector(value);
    }

    /// A vector with these bytes, as lanes of a type.
    fn vector_constant(&mut self, ty: Type, bytes: [u8; BYTES as usize]) -> Value {
        let constant = self.builder.func.dfg.constants.insert(bytes.as_slice().into());
        self.builder.ins().vconst(ty, constant)
    }
}
