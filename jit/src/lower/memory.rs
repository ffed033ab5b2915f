//! Linear memories: accesses, and instructions on whole memories.
//!
//! This file keeps guests inside their memories. An address is the sum of an operand and a constant offset.
//!
//! *Operands of 32 bits*: the sum cannot overflow in 64 bits. In a guarded memory every sum below 4 GiB + [`GUARD`] is inside
//! the reservation, so that an access whose constant part ends within the guard is valid or faults.
//!
//! *Operands of 64 bits*: in a guarded memory what is reserved is a constant. An operand beyond that becomes the constant, also
//! when the access is executed speculatively; then the access is inside the reservation and its guard as well, and valid or
//! faults.
//!
//! Every other access is compared with the memory's length, and the address becomes null where the comparison
//! fails, also when it is executed speculatively.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{F32, F64, I32, I64};
use cranelift_codegen::ir::{InstBuilder, Type, Value};
use wasmparser::{MemArg, MemArgTarget, Operator};
use wasmrun_runtime::vm::{GUARD, MemoryDescriptor, VmContext, reservation_of};

use super::sampling::Work;
use super::{Lower, MemoryPlan};
use crate::builtins::Builtin;

/// Bytes that are copied or filled without a look at requests of other threads.
const FEW_BYTES: i64 = 16 << 10;

/// How an integer is loaded.
#[derive(Clone, Copy)]
enum Extension {
    Zero,
    Sign,
}

impl Lower<'_, '_, '_> {
    /// Lowers a load or a store. Returns whether the operator is one.
    pub(super) fn memory_access(&mut self, operator: &Operator<'_>) -> bool {
        use Extension::{Sign, Zero};
        use Operator as O;
        match *operator {
            O::I32Load { memarg } => self.load(I32, memarg),
            O::I64Load { memarg } => self.load(I64, memarg),
            O::F32Load { memarg } => self.load(F32, memarg),
            O::F64Load { memarg } => self.load(F64, memarg),
            O::I32Load8S { memarg } => self.load_narrow(I32, 1, Sign, memarg),
            O::I32Load8U { memarg } => self.load_narrow(I32, 1, Zero, memarg),
            O::I32Load16S { memarg } => self.load_narrow(I32, 2, Sign, memarg),
            O::I32Load16U { memarg } => self.load_narrow(I32, 2, Zero, memarg),
            O::I64Load8S { memarg } => self.load_narrow(I64, 1, Sign, memarg),
            O::I64Load8U { memarg } => self.load_narrow(I64, 1, Zero, memarg),
            O::I64Load16S { memarg } => self.load_narrow(I64, 2, Sign, memarg),
            O::I64Load16U { memarg } => self.load_narrow(I64, 2, Zero, memarg),
            O::I64Load32S { memarg } => self.load_narrow(I64, 4, Sign, memarg),
            O::I64Load32U { memarg } => self.load_narrow(I64, 4, Zero, memarg),
            O::I32Store { memarg } | O::F32Store { memarg } => self.store(4, memarg),
            O::I64Store { memarg } | O::F64Store { memarg } => self.store(8, memarg),
            O::I32Store8 { memarg } | O::I64Store8 { memarg } => self.store(1, memarg),
            O::I32Store16 { memarg } | O::I64Store16 { memarg } => self.store(2, memarg),
            O::I64Store32 { memarg } => self.store(4, memarg),
            _ => return false,
        }
        true
    }

    pub(super) fn load(&mut self, ty: Type, memarg: MemArg) {
        let (address, offset) = self.address(ty.bytes(), memarg);
        let value = self.builder.ins().load(ty, self.flags.heap, address, offset);
        self.stack.push(value);
    }

    fn load_narrow(&mut self, ty: Type, bytes: u32, extend: Extension, memarg: MemArg) {
        let (address, offset) = self.address(bytes, memarg);
        let (flags, ins) = (self.flags.heap, self.builder.ins());
        let value = match (bytes, extend) {
            (1, Extension::Sign) => ins.sload8(ty, flags, address, offset),
            (1, Extension::Zero) => ins.uload8(ty, flags, address, offset),
            (2, Extension::Sign) => ins.sload16(ty, flags, address, offset),
            (2, Extension::Zero) => ins.uload16(ty, flags, address, offset),
            (_, Extension::Sign) => ins.sload32(flags, address, offset),
            (_, Extension::Zero) => ins.uload32(flags, address, offset),
        };
        self.stack.push(value);
    }

    /// Stores the lowest `bytes` bytes of a value.
    pub(super) fn store(&mut self, bytes: u32, memarg: MemArg) {
        let value = self.pop();
        let (address, offset) = self.address(bytes, memarg);
        let whole = self.builder.func.dfg.value_type(value).bytes();
        let (flags, ins) = (self.flags.heap, self.builder.ins());
        match bytes {
            _ if bytes == whole => ins.store(flags, value, address, offset),
            1 => ins.istore8(flags, value, address, offset),
            2 => ins.istore16(flags, value, address, offset),
            _ => ins.istore32(flags, value, address, offset),
        };
    }

    /// Pops the dynamic part of an address and makes one that may be accessed, with a constant offset.
    pub(super) fn address(&mut self, bytes: u32, memarg: MemArg) -> (Value, i32) {
        self.takes(Work::ACCESS);
        let index = self.pop();
        let index = self.word(index);
        let memory = memory_of(memarg);
        let wide = self.module.memory_type(memory).is_64();
        // With 64-bit addresses there are offsets from which on no memory has any bytes.
        let Some(end) = memarg.offset.checked_add(bytes.into()) else { return (self.constant(0), 0) };
        let base = self.memory_base(memory);
        if let Some(reservation) = self.reservation(memory)
            && end <= GUARD as u64
        {
            let index = if wide { self.clamp(index, reservation) } else { index };
            let address = self.builder.ins().iadd(base, index);
            return (address, memarg.offset as i32);
        }
        let len = self.memory_len(memory);
        let (offset, constant) = (memarg.offset as i64, end);
        let end = self.builder.ins().iadd_imm_u(index, constant as i64);
        let mut outside = self.builder.ins().icmp(IntCC::UnsignedGreaterThan, end, len);
        if wide {
            let overflows = self.builder.ins().icmp_imm_u(IntCC::UnsignedLessThan, end, constant as i64);
            outside = self.builder.ins().bor(outside, overflows);
        }
        let address = self.builder.ins().iadd(base, index);
        let address = self.builder.ins().iadd_imm_u(address, offset);
        let null = self.constant(0);
        (self.builder.ins().select_spectre_guard(outside, null, address), 0)
    }

    /// The bytes that a memory reserves in front of its guard, if the code may take it to be guarded.
    fn reservation(&self, memory: u32) -> Option<usize> {
        match self.memory_plan {
            MemoryPlan::Guarded => reservation_of(self.module.memory_type(memory)),
            MemoryPlan::Checked => None,
        }
    }

    /// A 64-bit index, or `most` if that is less.
    fn clamp(&mut self, index: Value, most: usize) -> Value {
        let most = self.constant(most as i64);
        let outside = self.builder.ins().icmp(IntCC::UnsignedGreaterThan, index, most);
        self.builder.ins().select_spectre_guard(outside, most, index)
    }

    /// The address of a memory's descriptor, which is fixed for an instance.
    fn memory_descriptor(&mut self, memory: u32) -> Value {
        let offset = match memory {
            0 => VmContext::MEMORY0 as i32,
            // A memory starts with its descriptor.
            _ => self.module.layout().memory(memory) as i32,
        };
        self.builder.ins().load(I64, self.flags.fixed, self.vmctx, offset)
    }

    fn memory_base(&mut self, memory: u32) -> Value {
        let is_guarded = self.reservation(memory).is_some();
        if memory == 0 && is_guarded {
            return self.builder.ins().load(
                I64,
                self.flags.fixed,
                self.vmctx,
                VmContext::MEMORY0_BASE as i32,
            );
        }
        let descriptor = self.memory_descriptor(memory);
        let flags = if is_guarded { self.flags.fixed } else { self.flags.descriptor };
        self.builder.ins().load(I64, flags, descriptor, offset_of!(MemoryDescriptor, base) as i32)
    }

    /// The bytes of a memory. They grow while other code runs, and if threads share it at any time: it is asked anew then for
    /// each access.
    fn memory_len(&mut self, memory: u32) -> Value {
        let descriptor = self.memory_descriptor(memory);
        let offset = offset_of!(MemoryDescriptor, len);
        if !self.module.memory_type(memory).is_shared() {
            return self.builder.ins().load(I64, self.flags.descriptor, descriptor, offset as i32);
        }
        let len = self.builder.ins().iadd_imm_u(descriptor, offset as i64);
        self.builder.ins().atomic_load(I64, self.flags.descriptor, len)
    }

    pub(super) fn memory_size(&mut self, memory: u32) {
        let ty = self.module.memory_type(memory);
        let len = self.memory_len(memory);
        let pages = match ty.page_size_log2() {
            0 => len,
            log2 => self.builder.ins().ushr_imm_u(len, i64::from(log2)),
        };
        self.push_address(pages, ty.is_64());
    }

    pub(super) fn memory_grow(&mut self, memory: u32) {
        let old = self.slow_path::<1>(Builtin::MemoryGrow, &[memory]);
        self.push_address(old, self.module.memory_type(memory).is_64());
    }

    /// Pushes a word as something that has as many bits as addresses.
    pub(super) fn push_address(&mut self, word: Value, is_64: bool) {
        if is_64 {
            self.stack.push(word);
        } else {
            self.push_low(word);
        }
    }

    pub(super) fn memory_fill(&mut self, memory: u32) {
        let [to, value, len] = self.pop_array();
        self.few_bytes(&[(memory, to)], len, Builtin::MemoryFill, Some(value));
    }

    pub(super) fn memory_copy(&mut self, to_memory: u32, from_memory: u32) {
        let [to, from, len] = self.pop_array();
        self.few_bytes(&[(to_memory, to), (from_memory, from)], len, Builtin::MemoryCopy, None);
    }

    /// Copies or fills `len` bytes at these places: few ones, inside of the memories, at once. What is many or
    /// outside, or costs fuel, is left to `slow`.
    fn few_bytes(&mut self, places: &[(u32, Value)], len: Value, slow: Builtin, fill: Option<Value>) {
        let places: Vec<(u32, Value)> = places.iter().map(|(memory, at)| (*memory, self.word(*at))).collect();
        let words = self.word(len);
        self.takes(Work::COPY);
        let slow_block = (!self.module.charges_fuel()).then(|| {
            let (slow_block, fast) = (self.cold_block(), self.builder.create_block());
            let mut beyond = self.builder.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, words, FEW_BYTES);
            for (memory, at) in &places {
                let limit = self.memory_len(*memory);
                if self.module.memory_type(*memory).is_64() {
                    // Where this is not so, the sum of it and so few bytes does not overflow.
                    let outside = self.builder.ins().icmp(IntCC::UnsignedGreaterThan, *at, limit);
                    beyond = self.builder.ins().bor(beyond, outside);
                }
                let end = self.builder.ins().iadd(*at, words);
                let outside = self.builder.ins().icmp(IntCC::UnsignedGreaterThan, end, limit);
                beyond = self.builder.ins().bor(beyond, outside);
            }
            self.builder.ins().brif(beyond, slow_block, &[], fast, &[]);
            self.enter_sealed(fast);
            let mut arguments: Vec<Value> = Vec::new();
            for (memory, at) in &places {
                let base = self.memory_base(*memory);
                arguments.push(self.builder.ins().iadd(base, *at));
            }
            arguments.extend(fill);
            arguments.push(words);
            let fast = if fill.is_some() { Builtin::SetBytes } else { Builtin::MoveBytes };
            self.call_builtin(fast, &arguments);
            let done = self.builder.create_block();
            self.builder.ins().jump(done, &[]);
            self.enter_sealed(slow_block);
            done
        });
        let mut arguments = vec![self.vmctx];
        for (memory, _) in &places {
            arguments.push(self.cold_index(*memory));
        }
        arguments.extend(places.iter().map(|(_, at)| *at));
        if let Some(value) = fill {
            arguments.push(self.word(value));
        }
        arguments.push(words);
        self.fallible(slow, &arguments);
        if let Some(done) = slow_block {
            self.builder.ins().jump(done, &[]);
            self.enter_sealed(done);
        }
    }

    pub(super) fn memory_init(&mut self, segment: u32, memory: u32) {
        self.slow_path::<3>(Builtin::MemoryInit, &[segment, memory]);
    }

    pub(super) fn data_drop(&mut self, segment: u32) {
        let segment = self.cold_index(segment);
        self.infallible(Builtin::DataDrop, &[self.vmctx, segment]);
    }
}

pub(super) fn memory_of(memarg: MemArg) -> u32 {
    match memarg.target {
        MemArgTarget::Memory(memory) => memory,
        MemArgTarget::Array(_) => unreachable!("modules with arrays are refused at load"),
    }
}
