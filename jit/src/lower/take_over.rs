//! Frames that pass between the tiers at the header of a loop.
//!
//! # From tier 0
//!
//! It finishes the whole function. All of the body is lowered as usual. In front of the loop comes a second way in, from
//! the entry of this code, where every local and every operand is loaded from the slot that [`FrameLayout`](wasmrun_runtime::frame::FrameLayout) names.
//! If the code is not for calls as well, the body is lowered from a block without predecessors, and
//! what only leads to the loop is thrown away by the compiler.
//!
//! So an operand that was pushed before the loop can have two definitions, and in a loop around it, as many as ways
//! lead to its use. Operands are variables here wherever ways join.
//!
//! # To tier 0
//!
//! All values are stored to their slots where the poll at the header says so, and tier 0 goes on.

use std::collections::HashMap;
use std::mem::offset_of;

use cranelift_codegen::ir::types::{F32, F64, I8X16, I32, I64};
use cranelift_codegen::ir::{Block, InstBuilder, MemFlagsData, Type, Value};
use cranelift_frontend::Variable;
use wasmrun_runtime::frame::FrameSlot;
use wasmrun_runtime::types::ValType;
use wasmrun_runtime::vm::ExecContext;

use super::Lower;
use crate::abi;

/// What lowering has to know to take a frame over.
pub(super) struct TakeOver {
    /// Offset in the module of the operator of the loop.
    at: u32,
    /// Where the values are loaded.
    entry: Block,
    /// The id of the frame.
    id: Value,
    /// Operands, by their place on the stack and type, and whether they are collected references.
    operands: HashMap<(usize, Type, bool), Variable>,
    /// Whether the loop has been come to.
    pub(super) done: bool,
}

impl TakeOver {
    pub(super) fn new(at: u32, entry: Block, id: Value) -> TakeOver {
        TakeOver { at, entry, id, operands: HashMap::new(), done: false }
    }
}

impl Lower<'_, '_, '_> {
    /// The WebAssembly type of an operand, as far as frames care.
    pub(super) fn operand_type(&self, operand: Value) -> ValType {
        match self.builder.func.dfg.value_type(operand) {
            I32 if self.references.contains(&operand) => ValType::EXTERNREF,
            I32 => ValType::I32,
            F32 => ValType::F32,
            F64 => ValType::F64,
            I8X16 => ValType::V128,
            _ => ValType::I64,
        }
    }

    /// The variable for the operand at `index` of the stack.
    fn operand_variable(&mut self, index: usize) -> Option<Variable> {
        let ty = self.builder.func.dfg.value_type(self.stack[index]);
        let is_reference = self.references.contains(&self.stack[index]);
        let take_over = self.take_over.as_mut()?;
        let builder = &mut *self.builder;
        Some(*take_over.operands.entry((index, ty, is_reference)).or_insert_with(|| {
            let variable = builder.declare_var(ty);
            if is_reference {
                builder.declare_var_needs_stack_map(variable);
            }
            variable
        }))
    }

    /// Before a block is opened: the operands below are what they are on every way out of it.
    pub(super) fn define_operands(&mut self) {
        if self.take_over.is_none() {
            return;
        }
        self.budget.operands(self.stack.len());
        for index in 0..self.stack.len() {
            if let Some(variable) = self.operand_variable(index) {
                self.builder.def_var(variable, self.stack[index]);
            }
        }
    }

    /// Where ways join: the lowest `height` operands are what they are on the way that was taken.
    pub(super) fn use_operands(&mut self, height: usize) {
        if self.take_over.is_none() {
            return;
        }
        self.budget.operands(height);
        for index in 0..height {
            if let Some(variable) = self.operand_variable(index) {
                let is_reference = self.references.contains(&self.stack[index]);
                let value = self.builder.use_var(variable);
                self.stack[index] = value;
                if is_reference {
                    self.note_reference(value);
                }
            }
        }
    }

    /// Before a loop: if it is the one where the frame is taken over, lets the entry lead here.
    pub(super) fn take_over_before_loop(&mut self) {
        // Where the function is inlined in itself, it is not that frame's.
        let is_frames = self.body.site.is_none();
        let Some(take_over) = self.take_over.as_mut().filter(|of| is_frames && of.at == self.body.at) else {
            return;
        };
        take_over.done = true;
        let (entry, id) = (take_over.entry, take_over.id);
        let types: Vec<ValType> = self.stack.iter().map(|operand| self.operand_type(*operand)).collect();
        self.enter_loops();
        let layout = self.layout.clone();
        let joined = self.builder.create_block();
        self.define_operands();
        self.builder.ins().jump(joined, &[]);

        self.enter_sealed(entry);
        let slots = abi::slots_of_frame(self.builder, id);
        let exec = self.exec();
        let offset = offset_of!(ExecContext, ref_top) as i32;
        let references = self.builder.ins().load(I64, self.flags.exec, exec, offset);
        for (index, (ty, slot)) in layout.locals().iter().enumerate() {
            let value = self.load_frame_slot(*ty, *slot, slots, references);
            self.builder.def_var(self.body.locals[index].0, value);
        }
        for (index, (ty, slot)) in types.iter().zip(layout.operands(types.iter().copied())).enumerate() {
            let value = self.load_frame_slot(*ty, slot, slots, references);
            if let Some(variable) = self.operand_variable(index) {
                self.builder.def_var(variable, value);
            }
        }
        self.builder.ins().jump(joined, &[]);

        self.enter_sealed(joined);
        self.use_operands(self.stack.len());
    }

    /// Stores all values of the frame to the slots of tier 0, from the tops of its stacks on.
    pub(super) fn store_frame(&mut self) {
        let exec = self.exec();
        let base = |lower: &mut Self, offset: usize| {
            lower.builder.ins().load(I64, lower.flags.exec, exec, offset as i32)
        };
        let values = base(self, offset_of!(ExecContext, value_top));
        let references = base(self, offset_of!(ExecContext, ref_top));
        let layout = self.layout.clone();
        for (index, (_, slot)) in layout.locals().iter().enumerate() {
            let value = self.builder.use_var(self.body.locals[index].0);
            self.store_frame_slot(value, *slot, values, references);
        }
        let types: Vec<ValType> = self.stack.iter().map(|operand| self.operand_type(*operand)).collect();
        for (index, slot) in layout.operands(types).enumerate() {
            self.store_frame_slot(self.stack[index], slot, values, references);
        }
    }

    fn store_frame_slot(&mut self, value: Value, slot: FrameSlot, values: Value, references: Value) {
        let flags = MemFlagsData::new().with_notrap();
        match slot {
            FrameSlot::Value(slot) => abi::store_slot(self.builder, flags, value, values, slot as i32 * 8),
            FrameSlot::Reference(slot) => {
                self.builder.ins().store(flags, value, references, slot as i32 * 4);
            }
        }
    }

    fn load_frame_slot(&mut self, ty: ValType, slot: FrameSlot, values: Value, references: Value) -> Value {
        // The frame is nobody else's, and gone when its values have been loaded.
        let flags = MemFlagsData::new().with_notrap();
        match slot {
            FrameSlot::Value(slot) => abi::load_slot(self.builder, flags, ty, values, slot as i32 * 8),
            FrameSlot::Reference(slot) => self.builder.ins().load(I32, flags, references, slot as i32 * 4),
        }
    }
}
