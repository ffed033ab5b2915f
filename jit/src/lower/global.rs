//! Globals, and the one function through which compiled code stores references.

use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value};
use wasmrun_runtime::layout::GlobalPlace;
use wasmrun_runtime::types::{Mutability, ValType};

use super::Lower;
use crate::abi;

impl Lower<'_, '_, '_> {
    /// Where a global is: base, offset and what may be assumed about accesses.
    fn global(&mut self, global: u32) -> (Value, i32, MemFlagsData) {
        let (base, offset, flags) = match self.module.layout().global(global) {
            GlobalPlace::Own(offset) => {
                let position = global - self.module.imported_global_count();
                let flags = self.flags.own_global(self.builder.func, position);
                (self.vmctx, offset as i32, flags)
            }
            GlobalPlace::Imported(offset) => {
                let global = self.builder.ins().load(I64, self.flags.fixed, self.vmctx, offset as i32);
                (global, 0, self.flags.imported_globals)
            }
        };
        let ty = self.module.global_type(global);
        match ty.mutability {
            // It had its value before code of the instance ran; but what a reference leads to moves.
            Mutability::Const if !ty.content.is_collected() => {
                (base, offset, flags.with_readonly().with_can_move())
            }
            _ => (base, offset, flags),
        }
    }

    pub(super) fn global_get(&mut self, global: u32) {
        let (base, offset, flags) = self.global(global);
        let ty = self.module.global_type(global).content;
        let value = abi::load_slot(self.builder, flags, ty, base, offset);
        self.push_typed(value, ty);
    }

    pub(super) fn global_set(&mut self, global: u32) {
        let value = self.pop();
        let (base, offset, flags) = self.global(global);
        match self.module.global_type(global).content {
            ValType::Ref(_) => self.store_reference(flags, value, base, offset),
            // The upper half of the slot of a 32-bit value is zero and stays so.
            _ => {
                self.builder.ins().store(flags, value, base, offset);
            }
        }
    }

    /// Stores a reference where a collector will look for it. Every reference store of compiled code outside of
    /// frames goes through here or, by a slow path, through the runtime's
    /// [`write_ref`](wasmrun_runtime::vm::write_ref). For globals that is all; who stores into an object that is not new marks
    /// its card then.
    pub(super) fn store_reference(&mut self, flags: MemFlagsData, value: Value, base: Value, offset: i32) {
        self.builder.ins().store(flags, value, base, offset);
    }
}
