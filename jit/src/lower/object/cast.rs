//! Whether a reference is of a type.
//!
//! Null and small numbers are told by the reference itself, all else by the first word of the object, which is the number
//! of its type. Types that none can be declared below need one comparison. For others the number is compared first, as
//! most objects are of the very type that is asked for; then the *display* of the object's type is asked, the list of
//! the types above it, in which each type that is declared below another one has it at the same place (Cohen,
//! "Type-extension type tests can be performed in constant time", 1991).
//!
//! The number of a type is loaded from the context, as it is another one in each process.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{Block, InstBuilder, MemFlagsData, Value};
use wasmparser::Operator;
use wasmrun_runtime::trap::Trap;
use wasmrun_runtime::types::table::{DISPLAY, TypeKind, TypeRecord};
use wasmrun_runtime::types::{HeapType, RefType, TypeId};
use wasmrun_runtime::vm::gc::shape::Kind;
use wasmrun_runtime::vm::{ExecContext, FuncRef, VmContext};

use super::super::Lower;
use super::super::flags::Objects;
use super::KIND;

/// Where the code goes on for references of a type, and for others.
#[derive(Clone, Copy)]
struct Ways {
    yes: Block,
    no: Block,
}

/// A type that is asked for.
#[derive(Clone, Copy)]
struct Target {
    ty: RefType,
    /// Its index in the module, if the module defines it.
    index: Option<u32>,
}

impl Lower<'_, '_, '_> {
    /// Lowers an instruction that asks for the type of a reference. Returns whether the operator is one.
    pub(super) fn cast(&mut self, operator: &Operator<'_>) -> bool {
        use Operator as O;
        match *operator {
            O::RefTestNonNull { hty } => self.ref_test(false, hty),
            O::RefTestNullable { hty } => self.ref_test(true, hty),
            O::RefCastNonNull { hty } => self.ref_cast(false, hty),
            O::RefCastNullable { hty } => self.ref_cast(true, hty),
            O::BrOnCast { relative_depth, from_ref_type, to_ref_type } => {
                let ways = self.ways();
                self.br_on_type(relative_depth, from_ref_type, to_ref_type, ways, ways.yes);
            }
            O::BrOnCastFail { relative_depth, from_ref_type, to_ref_type } => {
                let ways = self.ways();
                self.br_on_type(relative_depth, from_ref_type, to_ref_type, ways, ways.no);
            }
            _ => return false,
        }
        true
    }

    fn ways(&mut self) -> Ways {
        Ways { yes: self.builder.create_block(), no: self.builder.create_block() }
    }

    fn target(&self, nullable: bool, heap: wasmparser::HeapType) -> Target {
        let index = match heap {
            wasmparser::HeapType::Concrete(index) | wasmparser::HeapType::Exact(index) => {
                index.as_module_index()
            }
            wasmparser::HeapType::Abstract { .. } => None,
        };
        Target { ty: RefType::new(nullable, self.module.heap_type(heap)), index }
    }

    fn ref_test(&mut self, nullable: bool, heap: wasmparser::HeapType) {
        let reference = self.pop();
        let target = self.target(nullable, heap);
        let ways = self.ways();
        let done = self.builder.create_block();
        let result = self.builder.append_block_param(done, I32);
        self.branch_on_type(reference, None, target, ways);
        for (way, answer) in [(ways.yes, 1), (ways.no, 0)] {
            self.enter_sealed(way);
            let answer = self.builder.ins().iconst(I32, answer);
            self.builder.ins().jump(done, &[answer.into()]);
        }
        self.enter_sealed(done);
        self.stack.push(result);
    }

    /// The reference stays on the stack, and is known to be of the type from then on.
    fn ref_cast(&mut self, nullable: bool, heap: wasmparser::HeapType) {
        let reference = *self.stack.last().expect("validated stack");
        let target = self.target(nullable, heap);
        let ways = self.ways();
        self.branch_on_type(reference, None, target, ways);
        self.enter_sealed(ways.no);
        self.trap(Trap::CastFailure);
        self.enter_sealed(ways.yes);
    }

    /// Branches on the way that is `taken`. The reference stays on the stack in both cases.
    fn br_on_type(
        &mut self,
        depth: u32,
        from: wasmparser::RefType,
        to: wasmparser::RefType,
        ways: Ways,
        taken: Block,
    ) {
        let reference = *self.stack.last().expect("validated stack");
        let from = self.target(from.is_nullable(), from.heap_type()).ty;
        let to = self.target(to.is_nullable(), to.heap_type());
        self.branch_on_type(reference, Some(from), to, ways);
        self.enter_sealed(taken);
        self.jump_to_label(depth);
        self.enter_sealed(if taken == ways.yes { ways.no } else { ways.yes });
        self.new_segment();
    }

    /// Ends the current block: the code goes on by whether a reference, which is of type `from` if that is known, is of
    /// type `to`.
    fn branch_on_type(&mut self, reference: Value, from: Option<RefType>, to: Target, ways: Ways) {
        let null = if to.ty.nullable { ways.yes } else { ways.no };
        let from_heap = from.map(|from| from.heap);
        if to.ty.heap == to.ty.heap.bottom() {
            self.builder.ins().brif(reference, ways.no, &[], null, &[]);
            return;
        }
        let matches = |from: HeapType| from.matches(to.ty.heap, self.module.registry());
        if to.ty.heap == to.ty.heap.top() || from_heap.is_some_and(matches) {
            self.builder.ins().brif(reference, ways.yes, &[], null, &[]);
            return;
        }
        if from.is_none_or(|from| from.nullable) {
            let present = self.builder.create_block();
            self.builder.ins().brif(reference, present, &[], null, &[]);
            self.enter_sealed(present);
        }
        if let HeapType::ConcreteFunc(_) = to.ty.heap {
            let offset = offset_of!(FuncRef, type_id) as i32;
            let ty = self.builder.ins().load(I32, self.flags.functions, reference, offset);
            return self.branch_on_type_id(ty, to, ways);
        }
        let is_number = |heap: HeapType| HeapType::I31.matches(heap, self.module.registry());
        if from_heap.is_none_or(is_number) {
            let number = self.builder.ins().band_imm_u(reference, 1);
            if to.ty.heap == HeapType::I31 {
                self.builder.ins().brif(number, ways.yes, &[], ways.no, &[]);
                return;
            }
            let of_number = if is_number(to.ty.heap) { ways.yes } else { ways.no };
            let object = self.builder.create_block();
            self.builder.ins().brif(number, of_number, &[], object, &[]);
            self.enter_sealed(object);
        }
        let object = self.address_of(reference);
        let flags = self.access_to(Objects::Heads);
        let ty = self.builder.ins().load(I32, flags, object, KIND);
        let right = match to.ty.heap {
            HeapType::Eq => {
                let host = i64::from(Kind::EXTERN.type_id().0);
                self.builder.ins().icmp_imm_u(IntCC::NotEqual, ty, host)
            }
            HeapType::Struct => self.is_of_kind(ty, TypeKind::Struct),
            HeapType::Array => self.is_of_kind(ty, TypeKind::Array),
            // No number can be of another type.
            HeapType::I31 => self.builder.ins().iconst(I32, 0),
            _ => return self.branch_on_type_id(ty, to, ways),
        };
        self.builder.ins().brif(right, ways.yes, &[], ways.no, &[]);
    }

    /// The same for a type that the module defines, by the number of the type of what the reference leads to.
    fn branch_on_type_id(&mut self, ty: Value, to: Target, ways: Ways) {
        let (Some(index), Some(id)) = (to.index, to.ty.heap.concrete()) else {
            unreachable!("abstract types have been asked for before")
        };
        let expected = self.type_id(index);
        let same = self.builder.ins().icmp(IntCC::Equal, ty, expected);
        let registry = self.module.registry();
        if registry.get(id).is_some_and(|ty| ty.is_final) {
            self.builder.ins().brif(same, ways.yes, &[], ways.no, &[]);
            return;
        }
        let other = self.builder.create_block();
        self.builder.ins().brif(same, ways.yes, &[], other, &[]);
        self.enter_sealed(other);

        let depth = registry.depth(id) as usize;
        let record = self.type_record(ty);
        let fixed = self.fixed_of_type();
        let above = if depth < DISPLAY {
            let offset = offset_of!(TypeRecord, display) + depth * size_of::<TypeId>();
            self.builder.ins().load(I32, fixed, record, offset as i32)
        } else {
            let offset = offset_of!(TypeRecord, depth) as i32;
            let its_depth = self.builder.ins().load(I32, fixed, record, offset);
            let is_deep = self.builder.ins().icmp_imm_u(IntCC::UnsignedGreaterThan, its_depth, depth as i64);
            let deep = self.builder.create_block();
            self.builder.ins().brif(is_deep, deep, &[], ways.no, &[]);
            self.enter_sealed(deep);
            let path = self.builder.ins().load(I64, fixed, record, offset_of!(TypeRecord, path) as i32);
            // Not before it is known that the path is so long.
            let offset = depth * size_of::<TypeId>();
            let flags = self.access_to(Objects::Types);
            self.builder.ins().load(I32, flags, path, offset as i32)
        };
        let below = self.builder.ins().icmp(IntCC::Equal, above, expected);
        self.builder.ins().brif(below, ways.yes, &[], ways.no, &[]);
    }

    /// The number of a type of the module, as it is in this process.
    pub(super) fn type_id(&mut self, index: u32) -> Value {
        let ids = self.builder.ins().load(I64, self.flags.fixed, self.vmctx, VmContext::TYPE_IDS as i32);
        self.builder.ins().load(I32, self.flags.fixed, ids, index as i32 * 4)
    }

    /// Whether the type with a number is one of structures, or of arrays.
    fn is_of_kind(&mut self, ty: Value, kind: TypeKind) -> Value {
        let record = self.type_record(ty);
        let fixed = self.fixed_of_type();
        let its_kind = self.builder.ins().load(I32, fixed, record, offset_of!(TypeRecord, kind) as i32);
        self.builder.ins().icmp_imm_u(IntCC::Equal, its_kind, kind as i64)
    }

    /// What may be assumed of words in the record of a type.
    fn fixed_of_type(&mut self) -> MemFlagsData {
        self.access_to(Objects::Types).with_readonly().with_can_move()
    }

    /// Where the record of a type is ([`wasmrun_runtime::types::table`]).
    fn type_record(&mut self, ty: Value) -> Value {
        let exec = self.exec();
        let directory = self.builder.ins().load(I64, self.flags.exec, exec, ExecContext::TYPES as i32);
        let chunk = self.builder.ins().ushr_imm_u(ty, i64::from(TypeRecord::CHUNK_BITS));
        let chunk = self.builder.ins().uextend(I64, chunk);
        let chunk = self.builder.ins().ishl_imm_u(chunk, 3);
        let chunk = self.builder.ins().iadd(directory, chunk);
        // A chunk is there before any of its numbers is given out.
        let fixed = self.fixed_of_type();
        let chunk = self.builder.ins().load(I64, fixed, chunk, 0);
        let place = self.builder.ins().band_imm_u(ty, (1 << TypeRecord::CHUNK_BITS) - 1);
        let place = self.builder.ins().uextend(I64, place);
        let place = self.builder.ins().ishl_imm_u(place, i64::from(TypeRecord::SHIFT));
        self.builder.ins().iadd(chunk, place)
    }
}
