//! Instructions on objects.

use wasmparser::Operator;
use wasmrun_runtime::types::object::Storage;
use wasmrun_runtime::types::{CompositeType, HeapType, RefType};
use wasmrun_runtime::vm::TypeTest;

use super::Translator;
use super::emit::Fixup;
use super::stack::{Operand, Ty};
use crate::field::Field;
use crate::table;

impl Translator<'_> {
    /// Translates an instruction of the GC proposal.
    pub(super) fn object(&mut self, operator: &Operator<'_>) {
        use Operator as O;
        match *operator {
            O::StructNewDefault { struct_type_index } => {
                let dest = self.push_temp(Ty::Collected);
                self.struct_new(struct_type_index, dest);
            }
            O::StructNew { struct_type_index } => self.struct_of_operands(struct_type_index),
            O::StructGet { struct_type_index, field_index } => {
                self.struct_get(struct_type_index, field_index, false)
            }
            O::StructGetS { struct_type_index, field_index } => {
                self.struct_get(struct_type_index, field_index, true)
            }
            O::StructGetU { struct_type_index, field_index } => {
                self.struct_get(struct_type_index, field_index, false)
            }
            O::StructSet { struct_type_index, field_index } => {
                self.struct_set(struct_type_index, field_index)
            }

            O::ArrayNewDefault { array_type_index } => {
                let len = self.stack.pop();
                let len = self.in_slot(len);
                let dest = self.push_temp(Ty::Collected);
                self.array_new(array_type_index, dest, len);
            }
            O::ArrayNew { array_type_index } => self.array_of_operand(array_type_index),
            O::ArrayNewFixed { array_type_index, array_size } => {
                self.array_of_operands(array_type_index, array_size)
            }
            O::ArrayNewData { array_type_index, array_data_index } => {
                self.array_of_segment(table::ARRAY_NEW_DATA, array_type_index, Field::Data, array_data_index);
            }
            O::ArrayNewElem { array_type_index, array_elem_index } => {
                self.array_of_segment(
                    table::ARRAY_NEW_ELEM,
                    array_type_index,
                    Field::Element,
                    array_elem_index,
                );
            }
            O::ArrayGet { array_type_index } | O::ArrayGetU { array_type_index } => {
                self.array_get(array_type_index, false);
            }
            O::ArrayGetS { array_type_index } => self.array_get(array_type_index, true),
            O::ArraySet { array_type_index } => self.array_set(array_type_index),
            O::ArrayLen => self.of_reference(table::ARRAY_LEN),
            O::ArrayFill { array_type_index } => self.array_fill(array_type_index),
            O::ArrayCopy { array_type_index_dst, .. } => self.array_copy(array_type_index_dst),
            O::ArrayInitData { array_type_index, array_data_index } => {
                self.array_init(table::ARRAY_INIT_DATA, array_type_index, Field::Data, array_data_index);
            }
            O::ArrayInitElem { array_type_index, array_elem_index } => {
                self.array_init(table::ARRAY_INIT_ELEM, array_type_index, Field::Element, array_elem_index);
            }

            O::RefI31 => {
                let value = self.stack.pop();
                let value = self.in_slot(value);
                let dest = self.push_temp(Ty::Collected);
                self.out.op(table::REF_I31);
                self.out.field(Field::RefDest, dest.into());
                self.out.slot(value);
            }
            O::I31GetS => self.of_reference(table::I31_GET_S),
            O::I31GetU => self.of_reference(table::I31_GET_U),
            O::RefEq => {
                let b = self.stack.pop();
                let a = self.stack.pop();
                let dest = self.push_temp(Ty::I32);
                self.out.op_to(table::REF_EQ, dest, None);
                self.out.ref_slot(a.home);
                self.out.ref_slot(b.home);
            }
            // The word stays what it is.
            O::AnyConvertExtern | O::ExternConvertAny => {}

            O::RefTestNonNull { hty } => self.ref_test(hty, false),
            O::RefTestNullable { hty } => self.ref_test(hty, true),
            O::RefCastNonNull { hty } => self.ref_cast(hty, false),
            O::RefCastNullable { hty } => self.ref_cast(hty, true),
            O::BrOnCast { relative_depth, to_ref_type, .. } => {
                self.br_on_cast(relative_depth, to_ref_type, true)
            }
            O::BrOnCastFail { relative_depth, to_ref_type, .. } => {
                self.br_on_cast(relative_depth, to_ref_type, false);
            }
            ref other => self.vector(other),
        }
    }

    /// Reference slots that are in use where an object is made.
    fn references_in_use(&mut self) {
        let references = self.stack.heights().references;
        self.out.count(references);
    }

    fn struct_new(&mut self, ty: u32, dest: u16) {
        self.out.op(table::STRUCT_NEW);
        self.out.field(Field::RefDest, dest.into());
        self.out.field(Field::Type, ty.into());
        self.references_in_use();
    }

    fn array_new(&mut self, ty: u32, dest: u16, len: u16) {
        self.out.op(table::ARRAY_NEW);
        self.out.field(Field::RefDest, dest.into());
        self.out.slot(len);
        self.out.field(Field::Type, ty.into());
        self.references_in_use();
    }

    /// The object at `made`, above the `count` operands that it was made of, takes their place.
    fn replace_operands(&mut self, made: u16, count: usize) {
        for _ in 0..=count {
            self.stack.pop();
        }
        let dest = self.push_temp(Ty::Collected);
        if dest != made {
            self.copy_reference(dest, made);
        }
    }

    fn struct_of_operands(&mut self, ty: u32) {
        let fields = self.module.struct_layout(ty).fields.clone();
        let first = self.stack.len() - fields.len();
        // Above the operands, which must survive a collection.
        let made = self.push_temp(Ty::Collected);
        self.struct_new(ty, made);
        for (index, field) in fields.iter().enumerate() {
            let operand = self.stack.get(first + index);
            self.set_field(made, operand, field.storage, field.offset);
        }
        self.replace_operands(made, fields.len());
    }

    fn array_of_operands(&mut self, ty: u32, len: u32) {
        let layout = self.module.array_layout(ty);
        let first = self.stack.len() - len as usize;
        let made = self.push_temp(Ty::Collected);
        self.out.op(table::ARRAY_NEW_FIXED);
        self.out.field(Field::RefDest, made.into());
        self.out.field(Field::I32, len.into());
        self.out.field(Field::Type, ty.into());
        self.references_in_use();
        for index in 0..len {
            let operand = self.stack.get(first + index as usize);
            self.set_field(made, operand, layout.storage, layout.first + index * layout.storage.bytes());
        }
        self.replace_operands(made, len as usize);
    }

    fn array_of_operand(&mut self, ty: u32) {
        let len = self.stack.get(self.stack.len() - 1);
        let value = self.stack.get(self.stack.len() - 2);
        let (len, value_slot) = (self.in_slot(len), self.in_slot(value));
        let made = self.push_temp(Ty::Collected);
        self.array_new(ty, made, len);
        self.out.op(match value.ty {
            Ty::Collected => table::ARRAY_FILL_NEW_REF,
            Ty::V128 => table::ARRAY_FILL_NEW_VECTOR,
            _ => table::ARRAY_FILL_NEW,
        });
        self.out.ref_slot(made);
        self.operand_field(value, value_slot);
        self.out.slot(len);
        self.out.field(Field::Type, ty.into());
        self.replace_operands(made, 2);
    }

    /// Appends the slot of an operand that is read.
    fn operand_field(&mut self, operand: Operand, slot: u16) {
        match operand.ty {
            Ty::Collected => self.out.ref_slot(slot),
            Ty::V128 => self.out.vector(slot),
            _ => self.out.slot(slot),
        }
    }

    fn set_field(&mut self, object: u16, value: Operand, storage: Storage, offset: u32) {
        let slot = self.in_slot(value);
        self.out.op(table::struct_set(storage));
        self.out.ref_slot(object);
        self.operand_field(value, slot);
        self.out.field(Field::Offset, offset.into());
    }

    fn struct_set(&mut self, ty: u32, field: u32) {
        let field = self.module.struct_layout(ty).fields[field as usize];
        let value = self.stack.pop();
        let object = self.stack.pop();
        self.set_field(object.home, value, field.storage, field.offset);
    }

    /// Begins an instruction that writes a value of type `ty` to a new operand.
    fn op_to_temp(&mut self, opcode: u16, ty: Ty) {
        let dest = self.push_temp(ty);
        match ty {
            Ty::Collected => {
                self.out.op(opcode);
                self.out.field(Field::RefDest, dest.into());
            }
            Ty::V128 => self.out.op_to_vector(opcode, dest),
            _ => {
                self.out.op_to(opcode, dest, None);
            }
        }
    }

    fn struct_get(&mut self, ty: u32, field: u32, signed: bool) {
        let CompositeType::Struct(fields) = &self.module.types()[ty as usize] else {
            unreachable!("validated: the type of a structure")
        };
        let result = Ty::of(fields.fields()[field as usize].element.unpack());
        let field = self.module.struct_layout(ty).fields[field as usize];
        let object = self.stack.pop();
        self.op_to_temp(table::struct_get(field.storage, signed), result);
        self.out.ref_slot(object.home);
        self.out.field(Field::Offset, field.offset.into());
    }

    fn array_get(&mut self, ty: u32, signed: bool) {
        let CompositeType::Array(array) = &self.module.types()[ty as usize] else {
            unreachable!("validated: the type of an array")
        };
        let result = Ty::of(array.element.element.unpack());
        let layout = self.module.array_layout(ty);
        let index = self.stack.pop();
        let index = self.in_slot(index);
        let array = self.stack.pop();
        self.op_to_temp(table::array_get(layout.storage, signed), result);
        self.out.ref_slot(array.home);
        self.out.slot(index);
        self.out.field(Field::Offset, layout.first.into());
    }

    fn array_set(&mut self, ty: u32) {
        let layout = self.module.array_layout(ty);
        let value = self.stack.pop();
        let index = self.stack.pop();
        let array = self.stack.pop();
        let (index, slot) = (self.in_slot(index), self.in_slot(value));
        self.out.op(table::array_set(layout.storage));
        self.out.ref_slot(array.home);
        self.out.slot(index);
        self.operand_field(value, slot);
        self.out.field(Field::Offset, layout.first.into());
    }

    fn array_fill(&mut self, ty: u32) {
        let len = self.stack.pop();
        let value = self.stack.pop();
        let start = self.stack.pop();
        let array = self.stack.pop();
        let (start, slot, len) = (self.in_slot(start), self.in_slot(value), self.in_slot(len));
        self.out.op(match value.ty {
            Ty::Collected => table::ARRAY_FILL_REF,
            Ty::V128 => table::ARRAY_FILL_VECTOR,
            _ => table::ARRAY_FILL,
        });
        self.out.ref_slot(array.home);
        self.out.slot(start);
        self.operand_field(value, slot);
        self.out.slot(len);
        self.out.field(Field::Type, ty.into());
    }

    fn array_copy(&mut self, ty: u32) {
        let len = self.stack.pop();
        let from = self.stack.pop();
        let source = self.stack.pop();
        let to = self.stack.pop();
        let target = self.stack.pop();
        let (to, from, len) = (self.in_slot(to), self.in_slot(from), self.in_slot(len));
        self.out.op(table::ARRAY_COPY);
        self.out.ref_slot(target.home);
        self.out.slot(to);
        self.out.ref_slot(source.home);
        self.out.slot(from);
        self.out.slot(len);
        self.out.field(Field::Type, ty.into());
    }

    fn array_of_segment(&mut self, opcode: u16, ty: u32, field: Field, segment: u32) {
        let len = self.stack.pop();
        let from = self.stack.pop();
        let (from, len) = (self.in_slot(from), self.in_slot(len));
        let dest = self.push_temp(Ty::Collected);
        self.out.op(opcode);
        self.out.field(Field::RefDest, dest.into());
        self.out.slot(from);
        self.out.slot(len);
        self.out.field(Field::Type, ty.into());
        self.out.field(field, segment.into());
        self.references_in_use();
    }

    fn array_init(&mut self, opcode: u16, ty: u32, field: Field, segment: u32) {
        let len = self.stack.pop();
        let from = self.stack.pop();
        let to = self.stack.pop();
        let array = self.stack.pop();
        let (to, from, len) = (self.in_slot(to), self.in_slot(from), self.in_slot(len));
        self.out.op(opcode);
        self.out.ref_slot(array.home);
        self.out.slot(to);
        self.out.slot(from);
        self.out.slot(len);
        self.out.field(Field::Type, ty.into());
        self.out.field(field, segment.into());
    }

    /// An instruction from a reference to an `i32`.
    fn of_reference(&mut self, opcode: u16) {
        let reference = self.stack.pop();
        let dest = self.push_temp(Ty::I32);
        self.out.op_to(opcode, dest, None);
        self.out.ref_slot(reference.home);
    }

    /// Appends the fields of a reference that is tested and of the type that it is tested for.
    fn tested(&mut self, operand: Operand, slot: u16, heap: HeapType, nullable: bool) {
        self.operand_field(operand, slot);
        let (target, id) = TypeTest::of(RefType::new(nullable, heap), self.module.registry());
        self.out.count(target.word().into());
        self.out.field(Field::I32, id.0.into());
    }

    fn ref_test(&mut self, heap: wasmparser::HeapType, nullable: bool) {
        let heap = self.module.heap_type(heap);
        let reference = self.stack.pop();
        let slot = self.in_slot(reference);
        let dest = self.push_temp(Ty::I32);
        self.out.op_to(
            if reference.ty.is_collected() { table::REF_TEST } else { table::FUNC_TEST },
            dest,
            None,
        );
        self.tested(reference, slot, heap, nullable);
    }

    fn ref_cast(&mut self, heap: wasmparser::HeapType, nullable: bool) {
        let heap = self.module.heap_type(heap);
        let reference = self.stack.pop();
        let slot = self.in_slot(reference);
        self.out.commit();
        self.out.op(if reference.ty.is_collected() { table::REF_CAST } else { table::FUNC_CAST });
        self.tested(reference, slot, heap, nullable);
        self.stack.push(reference.ty, reference.place);
    }

    /// `br_on_cast`, and with `when` false `br_on_cast_fail`: the reference stays.
    fn br_on_cast(&mut self, depth: u32, to: wasmparser::RefType, when: bool) {
        let heap = self.module.heap_type(to.heap_type());
        let reference = self.stack.get(self.stack.len() - 1);
        let slot = self.in_slot(reference);
        self.branch_on(depth, |this, taken, back| {
            this.branch_when_cast(reference, slot, RefType::new(to.is_nullable(), heap), taken == when, back)
        });
    }

    /// Branches when the reference in a slot is of a type, or when it is not: to `back`, or forwards to what the returned
    /// fixup is bound to.
    fn branch_when_cast(
        &mut self,
        reference: Operand,
        slot: u16,
        ty: RefType,
        when: bool,
        back: Option<usize>,
    ) -> Option<Fixup> {
        self.out.commit();
        let at = self.out.op(table::br_cast(reference.ty.is_collected(), when, back.is_some()));
        self.tested(reference, slot, ty.heap, ty.nullable);
        match back {
            Some(start) => {
                self.out.displacement(at, start);
                None
            }
            None => Some(self.out.forward(at)),
        }
    }
}
