//! Exceptions as objects: the number of the tag, and what they carry.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I32;
use cranelift_codegen::ir::{Block, InstBuilder, Value};
use wasmrun_runtime::types::StorageType;
use wasmrun_runtime::vm::EXCEPTION_TAG;
use wasmrun_runtime::vm::gc::INLINE;

use super::super::Lower;
use super::super::flags::Objects;
use super::access::Extension;

impl Lower<'_, '_, '_> {
    /// Makes an exception of the topmost operands, which are popped.
    pub(in crate::lower) fn new_exception(&mut self, tag: u32) -> Value {
        let ty = self.module.tag_type_index(tag);
        let layout = self.module.exception_layout(tag);
        let reference = match layout.bytes as usize {
            bytes if bytes <= INLINE => self.new_object(ty, bytes, None),
            _ => self.slow_struct(ty),
        };
        let object = self.address_of(reference);
        let number = self.tag_number(tag);
        let flags = self.access_to(Objects::Fields(EXCEPTION_TAG as u32));
        self.builder.ins().store(flags, number, object, EXCEPTION_TAG as i32);
        let types = self.module.tag_type(tag);
        let values = self.stack.split_off(self.stack.len() - types.params().len());
        for ((ty, field), value) in types.params().iter().zip(layout.carried()).zip(values) {
            let flags = self.access_to(Objects::Fields(field.offset));
            self.store_element(StorageType::Val(*ty), flags, value, object, field.offset);
        }
        reference
    }

    /// The number that the store has given to a tag.
    fn tag_number(&mut self, tag: u32) -> Value {
        let offset = self.module.layout().tag(tag) as i32;
        self.builder.ins().load(I32, self.flags.fixed, self.vmctx, offset)
    }

    /// Goes to a new block if an exception has a tag, which is the one at hand then, and to another, which is returned.
    pub(in crate::lower) fn compare_tag(&mut self, exception: Value, tag: u32) -> Block {
        let object = self.address_of(exception);
        let flags = self.access_to(Objects::Fields(EXCEPTION_TAG as u32));
        let actual = self.builder.ins().load(I32, flags, object, EXCEPTION_TAG as i32);
        let expected = self.tag_number(tag);
        let same = self.builder.ins().icmp(IntCC::Equal, actual, expected);
        let (caught, next) = (self.create_block(), self.cold_block());
        self.builder.ins().brif(same, caught, &[], next, &[]);
        self.budget.branch();
        self.enter_sealed(caught);
        next
    }

    /// Pushes what an exception with a tag carries.
    pub(in crate::lower) fn push_carried(&mut self, exception: Value, tag: u32) {
        let types = self.module.tag_type(tag);
        let fields = self.module.exception_layout(tag).carried();
        let object = self.address_of(exception);
        for (ty, field) in types.params().iter().zip(fields) {
            let flags = self.access_to(Objects::Fields(field.offset));
            self.load_element(StorageType::Val(*ty), Extension::Zero, flags, object, field.offset);
        }
    }
}
