//! Tables and references.
//!
//! Elements of tables of functions are looked up when they are first used, and null has a stand-in there, so
//! that instructions on elements are left to the runtime, but for `call_indirect` ([`super::call`]).

use std::mem::offset_of;

use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::Value;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use wasmparser::HeapType;
use wasmrun_runtime::trap::Trap;
use wasmrun_runtime::types::{RefType, ValType};
use wasmrun_runtime::vm::TableDescriptor;

use super::Lower;
use crate::abi;
use crate::builtins::Builtin;
use crate::trap::code::code_of;

impl Lower<'_, '_, '_> {
    /// The address of a table's descriptor, which is fixed for an instance: a table starts with it.
    fn table_descriptor(&mut self, table: u32) -> Value {
        let offset = self.module.layout().table(table) as i32;
        self.builder.ins().load(I64, self.flags.fixed, self.vmctx, offset)
    }

    fn table_len(&mut self, descriptor: Value) -> Value {
        let offset = offset_of!(TableDescriptor, len) as i32;
        self.builder.ins().load(I64, self.flags.descriptor, descriptor, offset)
    }

    /// Where an element of a table is. The address is null if `index` is outside of the table, also when it is used
    /// speculatively.
    pub(super) fn table_element(&mut self, table: u32, index: Value) -> Value {
        let descriptor = self.table_descriptor(table);
        let limits = self.module.table_type(table).limits;
        // Most tables are as long as they will ever be, and stay where they are.
        let is_fixed = limits.max == Some(limits.min);
        let len = if is_fixed { self.constant(limits.min as i64) } else { self.table_len(descriptor) };
        let flags = if is_fixed { self.flags.fixed } else { self.flags.descriptor };
        let offset = offset_of!(TableDescriptor, elements) as i32;
        let elements = self.builder.ins().load(I64, flags, descriptor, offset);
        let outside = self.builder.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, index, len);
        let offset = self.builder.ins().ishl_imm_u(index, 3);
        let address = self.builder.ins().iadd(elements, offset);
        let null = self.constant(0);
        self.builder.ins().select_spectre_guard(outside, null, address)
    }

    pub(super) fn table_size(&mut self, table: u32) {
        let descriptor = self.table_descriptor(table);
        let len = self.table_len(descriptor);
        self.push_address(len, self.module.table_type(table).is_64());
    }

    pub(super) fn table_get(&mut self, table: u32) {
        let word = self.slow_path::<1>(Builtin::TableGet, &[table]);
        let ty = ValType::Ref(self.module.table_type(table).element);
        let value = match abi::value_type(ty) {
            I32 => self.builder.ins().ireduce(I32, word),
            _ => word,
        };
        self.push_typed(value, ty);
    }

    pub(super) fn table_set(&mut self, table: u32) {
        self.slow_path::<2>(Builtin::TableSet, &[table]);
    }

    pub(super) fn table_grow(&mut self, table: u32) {
        let old = self.slow_path::<2>(Builtin::TableGrow, &[table]);
        self.push_address(old, self.module.table_type(table).is_64());
    }

    pub(super) fn table_fill(&mut self, table: u32) {
        self.slow_path::<3>(Builtin::TableFill, &[table]);
    }

    pub(super) fn table_copy(&mut self, to: u32, from: u32) {
        self.slow_path::<3>(Builtin::TableCopy, &[to, from]);
    }

    pub(super) fn table_init(&mut self, segment: u32, table: u32) {
        self.slow_path::<3>(Builtin::TableInit, &[segment, table]);
    }

    pub(super) fn elem_drop(&mut self, segment: u32) {
        let segment = self.cold_index(segment);
        self.infallible(Builtin::ElemDrop, &[self.vmctx, segment]);
    }

    pub(super) fn ref_null(&mut self, ty: HeapType) {
        let ty = ValType::Ref(RefType::new(true, self.module.heap_type(ty)));
        let null = self.zero(abi::value_type(ty));
        self.push_typed(null, ty);
    }

    pub(super) fn ref_func(&mut self, function: u32) {
        let function = self.cold_index(function);
        let reference = self.infallible(Builtin::RefFunc, &[self.vmctx, function]);
        self.stack.push(reference);
    }

    pub(super) fn ref_as_non_null(&mut self) {
        let reference = *self.stack.last().expect("validated stack");
        self.trap_if_null(reference);
    }

    pub(super) fn trap_if_null(&mut self, reference: Value) {
        self.builder.ins().trapz(reference, code_of(Trap::NullReference));
    }

    pub(super) fn ref_is_null(&mut self) {
        let reference = self.pop();
        let null = self.builder.ins().icmp_imm_u(IntCC::Equal, reference, 0);
        let null = self.builder.ins().uextend(I32, null);
        self.stack.push(null);
    }
}
