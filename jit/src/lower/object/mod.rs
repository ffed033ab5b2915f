//! Objects of the guest: structures, arrays, and small numbers in place of references to any.
//!
//! A reference is a word of 32 bits: null, a number with the lowest bit set, or how far the object is from the base of the
//! store's heap ([`wasmrun_runtime::vm::gc`]). Every call may move objects. So it is words alone that are kept, which the
//! compiler stores to the frame around calls ([`Lower::note_reference`]); an address is made for each access anew, and
//! equal ones are found by the optimiser between two calls.

mod access;
mod allocate;
mod bulk;
mod cast;
mod exception;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I32;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData};
use wasmparser::Operator;

use super::Lower;
use super::flags::Objects;

/// Offset of the number of an object's type in it.
const KIND: i32 = 0;

impl Lower<'_, '_, '_> {
    /// Lowers an instruction on objects. Returns whether the operator is one.
    pub(super) fn object(&mut self, operator: &Operator<'_>) -> bool {
        self.object_access(operator)
            || self.allocation(operator)
            || self.cast(operator)
            || self.small_number(operator)
            || self.bulk_elements(operator)
    }

    /// What may be assumed of an access.
    fn access_to(&mut self, objects: Objects) -> MemFlagsData {
        objects.flags(self.builder.func)
    }

    /// Lowers an instruction on numbers of 31 bits, or one for which all references are alike. Returns whether the operator
    /// is one.
    fn small_number(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        match *operator {
            O::RefEq => {
                let [a, b] = self.pop_array();
                let same = self.builder.ins().icmp(IntCC::Equal, a, b);
                let same = self.builder.ins().uextend(I32, same);
                self.stack.push(same);
            }
            O::RefI31 => {
                let number = self.pop();
                let shifted = self.builder.ins().ishl_imm_u(number, 1);
                let reference = self.builder.ins().bor_imm_u(shifted, 1);
                self.push_like(reference, true);
            }
            O::I31GetS => {
                let reference = self.pop();
                self.trap_if_null(reference);
                let number = self.builder.ins().sshr_imm_u(reference, 1);
                self.stack.push(number);
            }
            O::I31GetU => {
                let reference = self.pop();
                self.trap_if_null(reference);
                let number = self.builder.ins().ushr_imm_u(reference, 1);
                self.stack.push(number);
            }
            // What is a reference to a value of the host on one side is the same word on the other.
            O::AnyConvertExtern | O::ExternConvertAny => {}
            _ => return false,
        }
        true
    }
}
