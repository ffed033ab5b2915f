//! Fields and elements.
//!
//! Null leads to the first page of the heap, where nothing is ever mapped, or to that of the process while there is no
//! heap: what is accessed near to an object's start needs no check, as the fault says that the reference is null. An index
//! is compared with the array's length, and the address becomes null where it is outside, also when the access is
//! executed speculatively.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I8, I32, I64};
use cranelift_codegen::ir::{Function, InstBuilder, InstructionData, MemFlagsData, Opcode, Value, ValueDef};
use wasmparser::Operator;
use wasmrun_runtime::trap::Trap;
use wasmrun_runtime::types::object::{ARRAY_LENGTH, Storage};
use wasmrun_runtime::types::{HeapType, StorageType, ValType};
use wasmrun_runtime::vm::ExecContext;
use wasmrun_runtime::vm::gc::cards::{CARD_SHIFT, CARDS};
use wasmrun_runtime::vm::gc::{GcWords, NULL_BYTES};

use super::super::Lower;
use super::super::flags::Objects;
use super::super::sampling::Work;
use crate::abi;
use crate::trap::code::code_of;

/// How a packed value is loaded.
#[derive(Clone, Copy)]
pub(super) enum Extension {
    Zero,
    Sign,
}

impl Lower<'_, '_, '_> {
    /// Lowers an access to a field or an element, or to an array's length. Returns whether the operator is one.
    pub(super) fn object_access(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        match *operator {
            O::StructGet { struct_type_index: ty, field_index: field }
            | O::StructGetU { struct_type_index: ty, field_index: field } => {
                self.struct_get(ty, field, Extension::Zero);
            }
            O::StructGetS { struct_type_index: ty, field_index: field } => {
                self.struct_get(ty, field, Extension::Sign);
            }
            O::StructSet { struct_type_index: ty, field_index: field } => self.struct_set(ty, field),
            O::ArrayGet { array_type_index: ty } | O::ArrayGetU { array_type_index: ty } => {
                self.array_get(ty, Extension::Zero);
            }
            O::ArrayGetS { array_type_index: ty } => self.array_get(ty, Extension::Sign),
            O::ArraySet { array_type_index: ty } => self.array_set(ty),
            O::ArrayLen => {
                let reference = self.pop();
                let object = self.address_of(reference);
                let len = self.array_len(object);
                self.stack.push(len);
            }
            _ => return false,
        }
        true
    }

    /// The address of an object, which is good until the next call. That of null is where nothing is.
    pub(super) fn address_of(&mut self, reference: Value) -> Value {
        let base = self.heap_base();
        let reference = self.builder.ins().uextend(I64, reference);
        self.builder.ins().iadd(base, reference)
    }

    fn heap_base(&mut self) -> Value {
        let exec = self.exec();
        let offset = ExecContext::GC + offset_of!(GcWords, base);
        let flags = self.access_to(Objects::Base);
        self.builder.ins().load(I64, flags, exec, offset as i32)
    }

    /// Of what a field is, and where.
    pub(super) fn field(&self, ty: u32, field: u32) -> (StorageType, u32) {
        let element = self.module.types()[ty as usize].struct_().expect("validated type").fields()
            [field as usize]
            .element;
        (element, self.module.struct_layout(ty).fields[field as usize].offset)
    }

    /// Of what an array's elements are, and where the first is.
    pub(super) fn elements(&self, ty: u32) -> (StorageType, u32) {
        let element = self.module.types()[ty as usize].array().expect("validated type").element.element;
        (element, self.module.array_layout(ty).first)
    }

    /// What may be assumed of an access to a field of a reference that may be null, which is checked if need be.
    fn field_flags(&mut self, reference: Value, element: StorageType, offset: u32) -> MemFlagsData {
        let flags = self.access_to(Objects::Fields(offset));
        if (offset + bytes_of(element)) as usize > NULL_BYTES {
            self.trap_if_null(reference);
            return flags;
        }
        flags.with_trap_code(Some(code_of(Trap::NullReference)))
    }

    fn struct_get(&mut self, ty: u32, field: u32, extend: Extension) {
        self.takes(Work::ACCESS);
        let reference = self.pop();
        let (element, offset) = self.field(ty, field);
        let flags = self.field_flags(reference, element, offset);
        let object = self.address_of(reference);
        self.load_element(element, extend, flags, object, offset);
    }

    fn struct_set(&mut self, ty: u32, field: u32) {
        self.takes(Work::ACCESS);
        let [reference, value] = self.pop_array();
        let (element, offset) = self.field(ty, field);
        let flags = self.field_flags(reference, element, offset);
        let object = self.address_of(reference);
        self.store_element(element, flags, value, object, offset);
        if may_lead_to_object(self.builder.func, element, value) {
            let start = self.builder.ins().uextend(I64, reference);
            self.mark_card(start, offset);
        }
    }

    /// The length of the array at an address, which may be that of null.
    fn array_len(&mut self, object: Value) -> Value {
        let flags = self.access_to(Objects::Heads).with_trap_code(Some(code_of(Trap::NullReference)));
        self.builder.ins().load(I32, flags, object, ARRAY_LENGTH as i32)
    }

    /// What stands in for the address of an array so that an element is at the offset of the first one.
    fn element_address(&mut self, reference: Value, index: Value, element: StorageType) -> Value {
        self.takes(Work::ACCESS);
        let object = self.address_of(reference);
        let len = self.array_len(object);
        let outside = self.builder.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, index, len);
        let index = self.builder.ins().uextend(I64, index);
        let offset = self.builder.ins().ishl_imm_u(index, i64::from(bytes_of(element).trailing_zeros()));
        let address = self.builder.ins().iadd(object, offset);
        let null = self.constant(0);
        self.builder.ins().select_spectre_guard(outside, null, address)
    }

    fn array_get(&mut self, ty: u32, extend: Extension) {
        let [reference, index] = self.pop_array();
        let (element, first) = self.elements(ty);
        let address = self.element_address(reference, index, element);
        let flags = self.access_to(Objects::Elements).with_trap_code(Some(code_of(Trap::ArrayOutOfBounds)));
        self.load_element(element, extend, flags, address, first);
    }

    fn array_set(&mut self, ty: u32) {
        let [reference, index, value] = self.pop_array();
        let (element, first) = self.elements(ty);
        let address = self.element_address(reference, index, element);
        let flags = self.access_to(Objects::Elements).with_trap_code(Some(code_of(Trap::ArrayOutOfBounds)));
        self.store_element(element, flags, value, address, first);
        if may_lead_to_object(self.builder.func, element, value) {
            let [start, index] = [reference, index].map(|word| self.builder.ins().uextend(I64, word));
            let offset = self.builder.ins().ishl_imm_u(index, i64::from(bytes_of(element).trailing_zeros()));
            let place = self.builder.ins().iadd(start, offset);
            self.mark_card(place, first);
        }
    }

    /// Marks the [card](wasmrun_runtime::vm::gc::cards) of a place in the heap to which a reference has been stored, so many bytes behind the one that is
    /// given. Not before that store, which traps if there is no such place, or even no heap. What fills a new object needs no mark.
    fn mark_card(&mut self, place: Value, offset: u32) {
        let place = self.builder.ins().iadd_imm_u(place, i64::from(offset));
        let card = self.builder.ins().ushr_imm_u(place, i64::from(CARD_SHIFT));
        let base = self.heap_base();
        let address = self.builder.ins().iadd(base, card);
        let flags = self.access_to(Objects::Cards);
        let mark = self.builder.ins().iconst(I8, 1);
        self.builder.ins().store(flags, mark, address, -(CARDS as i32));
    }

    /// Loads a field or an element and pushes its value.
    pub(super) fn load_element(
        &mut self,
        element: StorageType,
        extend: Extension,
        flags: MemFlagsData,
        object: Value,
        offset: u32,
    ) {
        let (offset, ins) = (offset as i32, self.builder.ins());
        let value = match (element, extend) {
            (StorageType::I8, Extension::Zero) => ins.uload8(I32, flags, object, offset),
            (StorageType::I8, Extension::Sign) => ins.sload8(I32, flags, object, offset),
            (StorageType::I16, Extension::Zero) => ins.uload16(I32, flags, object, offset),
            (StorageType::I16, Extension::Sign) => ins.sload16(I32, flags, object, offset),
            (StorageType::Val(ty), _) => ins.load(abi::value_type(ty), flags, object, offset),
        };
        self.push_typed(value, element.unpack());
    }

    /// Stores a field or an element.
    pub(super) fn store_element(
        &mut self,
        element: StorageType,
        flags: MemFlagsData,
        value: Value,
        object: Value,
        offset: u32,
    ) {
        let offset = offset as i32;
        if let StorageType::Val(ValType::Ref(_)) = element {
            return self.store_reference(flags, value, object, offset);
        }
        match element {
            StorageType::I8 => self.builder.ins().istore8(flags, value, object, offset),
            StorageType::I16 => self.builder.ins().istore16(flags, value, object, offset),
            StorageType::Val(_) => self.builder.ins().store(flags, value, object, offset),
        };
    }
}

/// Whether a value of a field or an element can be a reference that leads to an object: else no collector has to hear of it.
fn may_lead_to_object(function: &Function, element: StorageType, value: Value) -> bool {
    let StorageType::Val(ty) = element else { return false };
    let is_number = matches!(ty, ValType::Ref(ty) if ty.heap == HeapType::I31);
    ty.is_collected() && !is_number && !is_known_number(function, value)
}

/// Whether a reference is known to be null or a number of 31 bits, whose lowest bit is set.
fn is_known_number(function: &Function, value: Value) -> bool {
    let constant = |value| match function.dfg.value_def(function.dfg.resolve_aliases(value)) {
        ValueDef::Result(inst, _) => match function.dfg.insts[inst] {
            InstructionData::UnaryImm { opcode: Opcode::Iconst, imm } => Some(imm.bits()),
            _ => None,
        },
        _ => None,
    };
    let ValueDef::Result(inst, _) = function.dfg.value_def(function.dfg.resolve_aliases(value)) else {
        return false;
    };
    match function.dfg.insts[inst] {
        InstructionData::Binary { opcode: Opcode::Bor, args } => {
            constant(args[1]).is_some_and(|bits| bits & 1 != 0)
        }
        _ => constant(value) == Some(0),
    }
}

/// Bytes that a field or an element takes.
pub(super) fn bytes_of(element: StorageType) -> u32 {
    Storage::of(element).bytes()
}
