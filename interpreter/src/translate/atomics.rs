//! Atomic instructions. Their alignment is that of what they access, which the validator has checked.

use wasmparser::{MemArg, Operator};

use super::Translator;
use super::access::memory_of;
use super::stack::Ty;
use crate::field::Field;
use crate::mode::Class;
use crate::table::{self, AtomicOperation};

impl Translator<'_> {
    /// Translates an atomic instruction. Returns whether the operator is one.
    pub(super) fn atomic(&mut self, operator: &Operator<'_>) -> bool {
        use AtomicOperation as A;
        use Operator as O;
        use Ty::{I32, I64};
        match *operator {
            O::AtomicFence { .. } => {
                self.out.op(table::ATOMIC_FENCE);
            }
            O::MemoryAtomicNotify { memarg } => self.parked(table::MEMORY_ATOMIC_NOTIFY, 2, memarg),
            O::MemoryAtomicWait32 { memarg } => self.parked(table::MEMORY_ATOMIC_WAIT32, 3, memarg),
            O::MemoryAtomicWait64 { memarg } => self.parked(table::MEMORY_ATOMIC_WAIT64, 3, memarg),
            O::I32AtomicLoad { memarg } | O::I32AtomicLoad8U { memarg } | O::I32AtomicLoad16U { memarg } => {
                self.access(A::Load, I32, memarg);
            }
            O::I64AtomicLoad { memarg }
            | O::I64AtomicLoad8U { memarg }
            | O::I64AtomicLoad16U { memarg }
            | O::I64AtomicLoad32U { memarg } => self.access(A::Load, I64, memarg),
            O::I32AtomicStore { memarg }
            | O::I32AtomicStore8 { memarg }
            | O::I32AtomicStore16 { memarg }
            | O::I64AtomicStore { memarg }
            | O::I64AtomicStore8 { memarg }
            | O::I64AtomicStore16 { memarg }
            | O::I64AtomicStore32 { memarg } => self.access(A::Store, I64, memarg),
            O::I32AtomicRmwAdd { memarg }
            | O::I32AtomicRmw8AddU { memarg }
            | O::I32AtomicRmw16AddU { memarg } => self.access(A::Add, I32, memarg),
            O::I64AtomicRmwAdd { memarg }
            | O::I64AtomicRmw8AddU { memarg }
            | O::I64AtomicRmw16AddU { memarg }
            | O::I64AtomicRmw32AddU { memarg } => self.access(A::Add, I64, memarg),
            O::I32AtomicRmwSub { memarg }
            | O::I32AtomicRmw8SubU { memarg }
            | O::I32AtomicRmw16SubU { memarg } => self.access(A::Sub, I32, memarg),
            O::I64AtomicRmwSub { memarg }
            | O::I64AtomicRmw8SubU { memarg }
            | O::I64AtomicRmw16SubU { memarg }
            | O::I64AtomicRmw32SubU { memarg } => self.access(A::Sub, I64, memarg),
            O::I32AtomicRmwAnd { memarg }
            | O::I32AtomicRmw8AndU { memarg }
            | O::I32AtomicRmw16AndU { memarg } => self.access(A::And, I32, memarg),
            O::I64AtomicRmwAnd { memarg }
            | O::I64AtomicRmw8AndU { memarg }
            | O::I64AtomicRmw16AndU { memarg }
            | O::I64AtomicRmw32AndU { memarg } => self.access(A::And, I64, memarg),
            O::I32AtomicRmwOr { memarg }
            | O::I32AtomicRmw8OrU { memarg }
            | O::I32AtomicRmw16OrU { memarg } => self.access(A::Or, I32, memarg),
            O::I64AtomicRmwOr { memarg }
            | O::I64AtomicRmw8OrU { memarg }
            | O::I64AtomicRmw16OrU { memarg }
            | O::I64AtomicRmw32OrU { memarg } => self.access(A::Or, I64, memarg),
            O::I32AtomicRmwXor { memarg }
            | O::I32AtomicRmw8XorU { memarg }
            | O::I32AtomicRmw16XorU { memarg } => self.access(A::Xor, I32, memarg),
            O::I64AtomicRmwXor { memarg }
            | O::I64AtomicRmw8XorU { memarg }
            | O::I64AtomicRmw16XorU { memarg }
            | O::I64AtomicRmw32XorU { memarg } => self.access(A::Xor, I64, memarg),
            O::I32AtomicRmwXchg { memarg }
            | O::I32AtomicRmw8XchgU { memarg }
            | O::I32AtomicRmw16XchgU { memarg } => self.access(A::Xchg, I32, memarg),
            O::I64AtomicRmwXchg { memarg }
            | O::I64AtomicRmw8XchgU { memarg }
            | O::I64AtomicRmw16XchgU { memarg }
            | O::I64AtomicRmw32XchgU { memarg } => self.access(A::Xchg, I64, memarg),
            O::I32AtomicRmwCmpxchg { memarg }
            | O::I32AtomicRmw8CmpxchgU { memarg }
            | O::I32AtomicRmw16CmpxchgU { memarg } => self.access(A::Cmpxchg, I32, memarg),
            O::I64AtomicRmwCmpxchg { memarg }
            | O::I64AtomicRmw8CmpxchgU { memarg }
            | O::I64AtomicRmw16CmpxchgU { memarg }
            | O::I64AtomicRmw32CmpxchgU { memarg } => self.access(A::Cmpxchg, I64, memarg),
            _ => return false,
        }
        true
    }

    /// An access of as many bytes as its alignment says, whose result is of type `ty`.
    fn access(&mut self, operation: AtomicOperation, ty: Ty, memarg: MemArg) {
        let slots = self.pop_slots(1 + operation.operands());
        let opcode = table::atomic(operation, memarg.align);
        if operation == AtomicOperation::Store {
            self.out.op(opcode);
        } else {
            let dest = self.push_temp(ty);
            self.out.op_to(opcode, dest, Some(Class::Int));
        }
        slots.into_iter().for_each(|slot| self.out.slot(slot));
        self.out.field(Field::Bits64, memarg.offset);
        self.out.field(Field::Context, self.module.layout().memory(memory_of(memarg)).into());
    }

    /// A wait or a notification.
    fn parked(&mut self, opcode: u16, operands: usize, memarg: MemArg) {
        let slots = self.pop_slots(operands);
        let dest = self.push_temp(Ty::I32);
        self.out.op_to(opcode, dest, None);
        slots.into_iter().for_each(|slot| self.out.slot(slot));
        self.out.field(Field::Bits64, memarg.offset);
        self.out.field(Field::Memory, memory_of(memarg).into());
    }
}
