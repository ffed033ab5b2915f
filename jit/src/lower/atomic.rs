//! Atomic instructions. Their alignment is that of what they access, which the validator has checked; an address that
//! is not aligned traps before it is looked whether it is inside of the memory.

use cranelift_codegen::ir::types::{I8, I16, I32, I64};
use cranelift_codegen::ir::{AtomicRmwOp, InstBuilder, Type, Value};
use wasmparser::{MemArg, Operator};
use wasmrun_runtime::trap::Trap;

use super::Lower;
use super::memory::memory_of;
use crate::builtins::Builtin;
use crate::trap::code::code_of;

impl Lower<'_, '_, '_> {
    /// Lowers an atomic instruction. Returns whether the operator is one.
    pub(super) fn atomic(&mut self, operator: &Operator<'_>) -> bool {
        use AtomicRmwOp as A;
        use Operator as O;
        match *operator {
            O::AtomicFence { .. } => {
                self.builder.ins().fence();
            }
            O::MemoryAtomicNotify { memarg } => self.parked::<1>(Builtin::MemoryAtomicNotify, memarg),
            O::MemoryAtomicWait32 { memarg } => self.parked::<2>(Builtin::MemoryAtomicWait32, memarg),
            O::MemoryAtomicWait64 { memarg } => self.parked::<2>(Builtin::MemoryAtomicWait64, memarg),
            O::I32AtomicLoad { memarg } | O::I32AtomicLoad8U { memarg } | O::I32AtomicLoad16U { memarg } => {
                self.atomic_load(I32, memarg);
            }
            O::I64AtomicLoad { memarg }
            | O::I64AtomicLoad8U { memarg }
            | O::I64AtomicLoad16U { memarg }
            | O::I64AtomicLoad32U { memarg } => self.atomic_load(I64, memarg),
            O::I32AtomicStore { memarg }
            | O::I32AtomicStore8 { memarg }
            | O::I32AtomicStore16 { memarg }
            | O::I64AtomicStore { memarg }
            | O::I64AtomicStore8 { memarg }
            | O::I64AtomicStore16 { memarg }
            | O::I64AtomicStore32 { memarg } => self.atomic_store(memarg),
            O::I32AtomicRmwAdd { memarg }
            | O::I32AtomicRmw8AddU { memarg }
            | O::I32AtomicRmw16AddU { memarg }
            | O::I64AtomicRmwAdd { memarg }
            | O::I64AtomicRmw8AddU { memarg }
            | O::I64AtomicRmw16AddU { memarg }
            | O::I64AtomicRmw32AddU { memarg } => self.atomic_rmw(A::Add, memarg),
            O::I32AtomicRmwSub { memarg }
            | O::I32AtomicRmw8SubU { memarg }
            | O::I32AtomicRmw16SubU { memarg }
            | O::I64AtomicRmwSub { memarg }
            | O::I64AtomicRmw8SubU { memarg }
            | O::I64AtomicRmw16SubU { memarg }
            | O::I64AtomicRmw32SubU { memarg } => self.atomic_rmw(A::Sub, memarg),
            O::I32AtomicRmwAnd { memarg }
            | O::I32AtomicRmw8AndU { memarg }
            | O::I32AtomicRmw16AndU { memarg }
            | O::I64AtomicRmwAnd { memarg }
            | O::I64AtomicRmw8AndU { memarg }
            | O::I64AtomicRmw16AndU { memarg }
            | O::I64AtomicRmw32AndU { memarg } => self.atomic_rmw(A::And, memarg),
            O::I32AtomicRmwOr { memarg }
            | O::I32AtomicRmw8OrU { memarg }
            | O::I32AtomicRmw16OrU { memarg }
            | O::I64AtomicRmwOr { memarg }
            | O::I64AtomicRmw8OrU { memarg }
            | O::I64AtomicRmw16OrU { memarg }
            | O::I64AtomicRmw32OrU { memarg } => self.atomic_rmw(A::Or, memarg),
            O::I32AtomicRmwXor { memarg }
            | O::I32AtomicRmw8XorU { memarg }
            | O::I32AtomicRmw16XorU { memarg }
            | O::I64AtomicRmwXor { memarg }
            | O::I64AtomicRmw8XorU { memarg }
            | O::I64AtomicRmw16XorU { memarg }
            | O::I64AtomicRmw32XorU { memarg } => self.atomic_rmw(A::Xor, memarg),
            O::I32AtomicRmwXchg { memarg }
            | O::I32AtomicRmw8XchgU { memarg }
            | O::I32AtomicRmw16XchgU { memarg }
            | O::I64AtomicRmwXchg { memarg }
            | O::I64AtomicRmw8XchgU { memarg }
            | O::I64AtomicRmw16XchgU { memarg }
            | O::I64AtomicRmw32XchgU { memarg } => self.atomic_rmw(A::Xchg, memarg),
            O::I32AtomicRmwCmpxchg { memarg }
            | O::I32AtomicRmw8CmpxchgU { memarg }
            | O::I32AtomicRmw16CmpxchgU { memarg }
            | O::I64AtomicRmwCmpxchg { memarg }
            | O::I64AtomicRmw8CmpxchgU { memarg }
            | O::I64AtomicRmw16CmpxchgU { memarg }
            | O::I64AtomicRmw32CmpxchgU { memarg } => self.atomic_cmpxchg(memarg),
            _ => return false,
        }
        true
    }

    fn atomic_load(&mut self, ty: Type, memarg: MemArg) {
        let word = word_of(memarg);
        let address = self.atomic_address(word, memarg);
        let value = self.builder.ins().atomic_load(word, self.flags.heap, address);
        let value = self.widened(value, ty);
        self.stack.push(value);
    }

    fn atomic_store(&mut self, memarg: MemArg) {
        let word = word_of(memarg);
        let value = self.pop();
        let value = self.narrowed(value, word);
        let address = self.atomic_address(word, memarg);
        self.builder.ins().atomic_store(self.flags.heap, value, address);
    }

    fn atomic_rmw(&mut self, operation: AtomicRmwOp, memarg: MemArg) {
        let word = word_of(memarg);
        let value = self.pop();
        let ty = self.builder.func.dfg.value_type(value);
        let value = self.narrowed(value, word);
        let address = self.atomic_address(word, memarg);
        let old = self.builder.ins().atomic_rmw(word, self.flags.heap, operation, address, value);
        let old = self.widened(old, ty);
        self.stack.push(old);
    }

    /// Of what is expected, as many bytes count as are read.
    fn atomic_cmpxchg(&mut self, memarg: MemArg) {
        let word = word_of(memarg);
        let [expected, value] = self.pop_array();
        let ty = self.builder.func.dfg.value_type(value);
        let (expected, value) = (self.narrowed(expected, word), self.narrowed(value, word));
        let address = self.atomic_address(word, memarg);
        let old = self.builder.ins().atomic_cas(self.flags.heap, address, expected, value);
        let old = self.widened(old, ty);
        self.stack.push(old);
    }

    /// A wait or a notification, with so many operands besides the address.
    fn parked<const N: usize>(&mut self, builtin: Builtin, memarg: MemArg) {
        let operands = self.pop_array::<N>();
        let address = self.pop();
        let mut arguments = vec![self.vmctx, self.cold_index(memory_of(memarg)), self.word(address)];
        arguments.push(self.constant(memarg.offset as i64));
        for operand in operands {
            arguments.push(self.word(operand));
        }
        let result = self.fallible(builtin, &arguments);
        self.push_low(result);
    }

    /// Pops the dynamic part of an address and makes one that is aligned and may be accessed.
    fn atomic_address(&mut self, word: Type, memarg: MemArg) -> Value {
        if word.bytes() > 1 {
            let index = self.top(1)[0];
            let below = i64::from(word.bytes()) - 1;
            let start = match memarg.offset as i64 & below {
                0 => index,
                offset => self.builder.ins().iadd_imm_u(index, offset),
            };
            let odd = self.builder.ins().band_imm_u(start, below);
            self.builder.ins().trapnz(odd, code_of(Trap::UnalignedAtomic));
        }
        let (address, offset) = self.address(word.bytes(), memarg);
        match offset {
            0 => address,
            _ => self.builder.ins().iadd_imm_u(address, i64::from(offset)),
        }
    }

    fn narrowed(&mut self, value: Value, word: Type) -> Value {
        if self.builder.func.dfg.value_type(value) == word {
            return value;
        }
        self.builder.ins().ireduce(word, value)
    }

    fn widened(&mut self, value: Value, ty: Type) -> Value {
        if self.builder.func.dfg.value_type(value) == ty {
            return value;
        }
        self.builder.ins().uextend(ty, value)
    }
}

/// What is accessed.
fn word_of(memarg: MemArg) -> Type {
    match memarg.align {
        0 => I8,
        1 => I16,
        2 => I32,
        _ => I64,
    }
}
