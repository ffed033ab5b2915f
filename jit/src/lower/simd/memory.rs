//! Vectors in linear memory: whole ones, and lanes of them.
//!
//! How an address is made and checked is no other than for numbers ([`super::super::memory`]).

use cranelift_codegen::ir::types::{F32X4, I8X16, I16X8, I32X4, I64X2};
use cranelift_codegen::ir::{InstBuilder, Type};
use wasmparser::{MemArg, Operator};

use super::super::Lower;
use super::BYTES;

/// Lanes of half a vector that are loaded, and how they are widened.
#[derive(Clone, Copy)]
enum Widened {
    Bytes { signed: bool },
    Halves { signed: bool },
    Words { signed: bool },
}

impl Lower<'_, '_, '_> {
    /// Lowers a load or a store of vectors. Returns whether the operator is one.
    pub(super) fn vector_access(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        use Widened::{Bytes, Halves, Words};
        match *operator {
            O::V128Load { memarg } => self.load(I8X16, memarg),
            O::V128Store { memarg } => self.store(BYTES, memarg),
            O::V128Load8x8S { memarg } => self.load_widened(Bytes { signed: true }, memarg),
            O::V128Load8x8U { memarg } => self.load_widened(Bytes { signed: false }, memarg),
            O::V128Load16x4S { memarg } => self.load_widened(Halves { signed: true }, memarg),
            O::V128Load16x4U { memarg } => self.load_widened(Halves { signed: false }, memarg),
            O::V128Load32x2S { memarg } => self.load_widened(Words { signed: true }, memarg),
            O::V128Load32x2U { memarg } => self.load_widened(Words { signed: false }, memarg),
            O::V128Load8Splat { memarg } => self.load_splat(I8X16, memarg),
            O::V128Load16Splat { memarg } => self.load_splat(I16X8, memarg),
            O::V128Load32Splat { memarg } => self.load_splat(F32X4, memarg),
            O::V128Load64Splat { memarg } => self.load_splat(I64X2, memarg),
            O::V128Load32Zero { memarg } => self.load_zero(I32X4, memarg),
            O::V128Load64Zero { memarg } => self.load_zero(I64X2, memarg),
            O::V128Load8Lane { memarg, lane } => self.load_lane(I8X16, lane, memarg),
            O::V128Load16Lane { memarg, lane } => self.load_lane(I16X8, lane, memarg),
            O::V128Load32Lane { memarg, lane } => self.load_lane(I32X4, lane, memarg),
            O::V128Load64Lane { memarg, lane } => self.load_lane(I64X2, lane, memarg),
            O::V128Store8Lane { memarg, lane } => self.store_lane(I8X16, lane, memarg),
            O::V128Store16Lane { memarg, lane } => self.store_lane(I16X8, lane, memarg),
            O::V128Store32Lane { memarg, lane } => self.store_lane(I32X4, lane, memarg),
            O::V128Store64Lane { memarg, lane } => self.store_lane(I64X2, lane, memarg),
            _ => return false,
        }
        true
    }

    fn load_widened(&mut self, widened: Widened, memarg: MemArg) {
        let (address, offset) = self.address(BYTES / 2, memarg);
        let (flags, ins) = (self.flags.heap, self.builder.ins());
        let value = match widened {
            Widened::Bytes { signed: true } => ins.sload8x8(flags, address, offset),
            Widened::Bytes { signed: false } => ins.uload8x8(flags, address, offset),
            Widened::Halves { signed: true } => ins.sload16x4(flags, address, offset),
            Widened::Halves { signed: false } => ins.uload16x4(flags, address, offset),
            Widened::Words { signed: true } => ins.sload32x2(flags, address, offset),
            Widened::Words { signed: false } => ins.uload32x2(flags, address, offset),
        };
        self.push_vector(value);
    }

    /// Loads one lane of vectors of type `ty` from memory.
    fn load_one(&mut self, ty: Type, memarg: MemArg) {
        self.load(ty.lane_type(), memarg);
    }

    fn load_splat(&mut self, ty: Type, memarg: MemArg) {
        self.load_one(ty, memarg);
        let lane = self.pop();
        let value = self.builder.ins().splat(ty, lane);
        self.push_vector(value);
    }

    fn load_zero(&mut self, ty: Type, memarg: MemArg) {
        self.load_one(ty, memarg);
        let lane = self.pop();
        let value = self.builder.ins().scalar_to_vector(ty, lane);
        self.push_vector(value);
    }

    fn load_lane(&mut self, ty: Type, lane: u8, memarg: MemArg) {
        let lanes = self.pop_lanes(ty);
        self.load_one(ty, memarg);
        let loaded = self.pop();
        let value = self.builder.ins().insertlane(lanes, loaded, lane);
        self.push_vector(value);
    }

    fn store_lane(&mut self, ty: Type, lane: u8, memarg: MemArg) {
        let lanes = self.pop_lanes(ty);
        let value = self.builder.ins().extractlane(lanes, lane);
        self.stack.push(value);
        self.store(ty.lane_type().bytes(), memarg);
    }
}
