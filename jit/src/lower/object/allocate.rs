//! Making objects.
//!
//! The next object goes where the last one has ended, as long as it does not end too far: that takes a comparison and a
//! store, and all else is left to the runtime, which may collect. The memory there holds anything, so that all of an object
//! is written before the next call.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstBuilder, InstructionData, Opcode, Value, ValueDef};
use wasmparser::Operator;
use wasmrun_runtime::fuel;
use wasmrun_runtime::types::object::ARRAY_LENGTH;
use wasmrun_runtime::vm::ExecContext;
use wasmrun_runtime::vm::gc::{GcWords, INLINE};

use super::super::Lower;
use super::super::flags::Objects;
use super::super::sampling::Work;
use super::KIND;
use super::access::bytes_of;
use crate::abi;
use crate::builtins::Builtin;

/// Bytes of the longest object that is filled by code of its own and not by as many operands as it has fields.
const FEW_BYTES: usize = 128;

impl Lower<'_, '_, '_> {
    /// Lowers an instruction that makes an object of its operands or of defaults. Returns whether the operator is one.
    pub(super) fn allocation(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        match *operator {
            O::StructNew { struct_type_index: ty } => self.struct_new(ty),
            O::StructNewDefault { struct_type_index: ty } => self.struct_new_default(ty),
            O::ArrayNew { array_type_index: ty } => self.array_new(ty),
            O::ArrayNewDefault { array_type_index: ty } => self.array_new_default(ty),
            O::ArrayNewFixed { array_type_index: ty, array_size } => self.array_new_fixed(ty, array_size),
            _ => return false,
        }
        true
    }

    fn struct_new(&mut self, ty: u32) {
        let fields = self.module.struct_layout(ty).fields.len();
        let reference = self.new_struct(ty);
        let values = self.stack.split_off(self.stack.len() - fields);
        let object = self.address_of(reference);
        for (field, value) in (0..).zip(values) {
            let (element, offset) = self.field(ty, field);
            let flags = self.access_to(Objects::Fields(offset));
            self.store_element(element, flags, value, object, offset);
        }
        self.push_like(reference, true);
    }

    fn struct_new_default(&mut self, ty: u32) {
        let bytes = self.module.struct_layout(ty).bytes as usize;
        if bytes > FEW_BYTES {
            let reference = self.slow_struct(ty);
            return self.push_like(reference, true);
        }
        let reference = self.new_struct(ty);
        let object = self.address_of(reference);
        for field in 0..self.module.struct_layout(ty).fields.len() as u32 {
            let (element, offset) = self.field(ty, field);
            let flags = self.access_to(Objects::Fields(offset));
            let zero = self.zero(abi::value_type(element.unpack()));
            self.store_element(element, flags, zero, object, offset);
        }
        self.push_like(reference, true);
    }

    fn array_new(&mut self, ty: u32) {
        let [value, len] = self.pop_array();
        if let Some(few) = self.few_elements(ty, len) {
            return self.new_filled(ty, len, &vec![value; few]);
        }
        let reference = self.slow_array(ty, len);
        self.push_like(reference, true);
        let start = self.zero(I32);
        self.array_fill(ty, reference, start, value, len);
    }

    fn array_new_default(&mut self, ty: u32) {
        let len = self.pop();
        if let Some(few) = self.few_elements(ty, len) {
            let (element, _) = self.elements(ty);
            let zero = self.zero(abi::value_type(element.unpack()));
            return self.new_filled(ty, len, &vec![zero; few]);
        }
        let reference = self.slow_array(ty, len);
        self.push_like(reference, true);
    }

    fn array_new_fixed(&mut self, ty: u32, len: u32) {
        let values = self.stack.split_off(self.stack.len() - len as usize);
        let len = self.builder.ins().iconst(I32, i64::from(len));
        self.new_filled(ty, len, &values);
    }

    /// How many elements `len` is, if that is known and an array of so many is filled by code of its own.
    fn few_elements(&self, ty: u32, len: Value) -> Option<usize> {
        let dfg = &self.builder.func.dfg;
        let ValueDef::Result(inst, _) = dfg.value_def(len) else { return None };
        let InstructionData::UnaryImm { opcode: Opcode::Iconst, imm } = dfg.insts[inst] else { return None };
        let len = imm.bits() as u32;
        let is_short = self.module.array_layout(ty).bytes(len) <= FEW_BYTES;
        (is_short && self.is_free(ty, len)).then_some(len as usize)
    }

    /// Whether so many elements cost no fuel. What they cost is charged by the runtime, when it makes the array and when it
    /// fills it.
    fn is_free(&self, ty: u32, len: u32) -> bool {
        let bytes = u64::from(len) * u64::from(self.module.array_layout(ty).storage.bytes());
        !self.module.charges_fuel() || fuel::bulk_cost(bytes) == 0
    }

    /// Makes an array of these elements, as many as `len` says, and pushes the reference.
    fn new_filled(&mut self, ty: u32, len: Value, values: &[Value]) {
        let layout = self.module.array_layout(ty);
        let size = layout.bytes(values.len() as u32);
        let (element, first) = self.elements(ty);
        let reference = if size <= INLINE && self.is_free(ty, values.len() as u32) {
            self.new_object(ty, size, Some(len))
        } else {
            self.slow_array(ty, len)
        };
        let object = self.address_of(reference);
        let flags = self.access_to(Objects::Elements);
        for (index, value) in (0..).zip(values) {
            self.store_element(element, flags, *value, object, first + index * bytes_of(element));
        }
        self.push_like(reference, true);
    }

    fn new_struct(&mut self, ty: u32) -> Value {
        match self.module.struct_layout(ty).bytes as usize {
            bytes if bytes <= INLINE => self.new_object(ty, bytes, None),
            _ => self.slow_struct(ty),
        }
    }

    pub(super) fn slow_struct(&mut self, ty: u32) -> Value {
        let ty = self.cold_index(ty);
        let word = self.fallible(Builtin::StructNew, &[self.vmctx, ty]);
        self.reference_of(word)
    }

    fn slow_array(&mut self, ty: u32, len: Value) -> Value {
        let (ty, len) = (self.cold_index(ty), self.word(len));
        let word = self.fallible(Builtin::ArrayNew, &[self.vmctx, ty, len]);
        self.reference_of(word)
    }

    /// Makes an object of so many bytes, an array if it has a length. Its fields or elements are to be written before the
    /// next call.
    pub(super) fn new_object(&mut self, ty: u32, bytes: usize, len: Option<Value>) -> Value {
        self.takes(Work::ACCESS);
        self.count_references();
        let word = |offset: usize| (ExecContext::GC + offset) as i32;
        let flags = self.access_to(Objects::Allocation);
        let exec = self.exec();
        let top = self.builder.ins().load(I32, flags, exec, word(offset_of!(GcWords, top)));
        let end = self.builder.ins().load(I32, flags, exec, word(offset_of!(GcWords, end)));
        // A heap is much smaller than 4 GiB, so that this does not overflow.
        let next = self.builder.ins().iadd_imm_u(top, bytes as i64);
        let full = self.builder.ins().icmp(IntCC::UnsignedGreaterThan, next, end);
        let (slow, fast) = (self.cold_block(), self.builder.create_block());
        let made = self.builder.create_block();
        let reference = self.builder.append_block_param(made, I32);
        self.builder.ins().brif(full, slow, &[], fast, &[]);

        self.enter_sealed(slow);
        let object = match len {
            None => self.slow_struct(ty),
            Some(len) => self.slow_array(ty, len),
        };
        self.builder.ins().jump(made, &[object.into()]);

        self.enter_sealed(fast);
        self.builder.ins().store(flags, next, exec, word(offset_of!(GcWords, top)));
        let object = self.address_of(top);
        let kind = self.type_id(ty);
        let header = self.builder.ins().uextend(I64, kind);
        let heads = self.access_to(Objects::Heads);
        self.builder.ins().store(heads, header, object, KIND);
        if let Some(len) = len {
            self.builder.ins().store(heads, len, object, ARRAY_LENGTH as i32);
        }
        self.builder.ins().jump(made, &[top.into()]);

        self.enter_sealed(made);
        self.note_reference(reference);
        reference
    }

    /// The reference in a word of the runtime.
    pub(in crate::lower) fn reference_of(&mut self, word: Value) -> Value {
        let reference = self.builder.ins().ireduce(I32, word);
        self.note_reference(reference);
        reference
    }
}
