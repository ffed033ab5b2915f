//! Calls. All of them, direct ones too, find the callee's code in its cell, so that one store switches
//! every caller over to other code; the loads are not `readonly` for the same reason. Callers that have a body in place
//! of the call ([`super::inline`]) keep it.

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{
    Block, BlockArg, ExceptionTableData, ExceptionTableItem, ExtFuncData, ExternalName, FuncRef, InstBuilder,
    SigRef, StackSlotData, StackSlotKind, UserExternalName, Value,
};
use wasmrun_runtime::module::CodeCell;
use wasmrun_runtime::types::FuncType;
use wasmrun_runtime::vm::{
    ExecContext, FuncRef as FunctionReference, NativeWords, VmContext, direct_callee_id,
};

use super::sampling::Work;
use super::{Lower, LowerError};
use crate::abi;
use crate::builtins::Builtin;
use crate::thunks;

/// From so many on, a function's calls of another one go over a thunk: it adds a jump to each, and spares the
/// processor a guess for each.
const MANY_CALLS: u32 = 16;

/// Where the slow path of `call_indirect` leaves the callee, in the execution context.
const LOOKED_UP: i32 = (ExecContext::NATIVE + offset_of!(NativeWords, callee)) as i32;

/// The calls of a function so far.
#[derive(Default)]
pub(super) struct CallsOf {
    number: u32,
    thunk: Option<FuncRef>,
}

/// A function that is about to be called.
struct Callee {
    code: Code,
    vmctx: Value,
    id: Value,
}

/// How its code is reached.
enum Code {
    /// Over a [thunk](crate::thunks).
    Thunk(FuncRef),
    /// At an address.
    At(Value),
}

impl<'m> Lower<'m, '_, '_> {
    pub(super) fn function_signature(&mut self, ty: &'m FuncType) -> SigRef {
        if let Some(signature) = self.signatures.get(ty) {
            return *signature;
        }
        let signature = self.builder.import_signature(abi::signature(ty));
        self.signatures.insert(ty, signature);
        signature
    }

    /// The thunk for a function, by its number among those that the module defines, if it has been called so often
    /// already that this is worth while.
    fn thunk(&mut self, defined: u32, ty: &'m FuncType) -> Option<FuncRef> {
        let calls = self.calls_of.entry(defined).or_default();
        calls.number += 1;
        if calls.number < MANY_CALLS || !thunks::can_call(defined) {
            return None;
        }
        if calls.thunk.is_none() {
            let signature = self.function_signature(ty);
            let name = self.builder.func.declare_imported_user_function(UserExternalName::new(0, defined));
            let name = ExternalName::user(name);
            let data = ExtFuncData { name, signature, colocated: true, patchable: false };
            self.calls_of.entry(defined).or_default().thunk = Some(self.builder.import_function(data));
        }
        self.calls_of[&defined].thunk
    }

    /// A function of the module.
    fn direct_callee(&mut self, function: u32) -> Callee {
        let Some(defined) = function.checked_sub(self.module.imported_function_count()) else {
            let offset = self.module.layout().imported_function(function);
            let reference = self.builder.ins().iadd_imm_u(self.vmctx, i64::from(offset));
            let vmctx = self.context_of(reference);
            let vmctx = self.or_own(vmctx);
            return self.callee_of(reference, vmctx);
        };
        let id = self.constant(direct_callee_id(function) as i64);
        if let Some(thunk) = self.thunk(defined, self.module.function_type(function)) {
            return Callee { code: Code::Thunk(thunk), vmctx: self.vmctx, id };
        }
        let cells = self.builder.ins().load(I64, self.flags.context, self.vmctx, VmContext::CELLS as i32);
        let offset = defined as usize * size_of::<CodeCell>() + CodeCell::NATIVE;
        // Fewer functions than bytes in a module, but sixteen bytes of cells for each of them.
        let (cell, offset) = match i32::try_from(offset) {
            Ok(offset) => (cells, offset),
            Err(_) => (self.builder.ins().iadd_imm_u(cells, offset as i64), 0),
        };
        let code = self.builder.ins().load(I64, self.flags.functions, cell, offset);
        Callee { code: Code::At(code), vmctx: self.vmctx, id }
    }

    /// The function that a reference, which is not null, refers to, with the context that it gets.
    fn callee_of(&mut self, reference: Value, vmctx: Value) -> Callee {
        let offset = offset_of!(FunctionReference, cell) as i32;
        let cell = self.builder.ins().load(I64, self.flags.functions, reference, offset);
        let code = self.builder.ins().load(I64, self.flags.functions, cell, CodeCell::NATIVE as i32);
        Callee { code: Code::At(code), vmctx, id: reference }
    }

    /// The context in a reference to a function.
    fn context_of(&mut self, reference: Value) -> Value {
        let offset = offset_of!(FunctionReference, vmctx) as i32;
        self.builder.ins().load(I64, self.flags.functions, reference, offset)
    }

    /// Functions of the host have no context of their own and see that of their caller.
    fn or_own(&mut self, vmctx: Value) -> Value {
        self.builder.ins().select(vmctx, vmctx, self.vmctx)
    }

    /// The function that a reference refers to which can be any: most are of the caller's own instance. A processor guesses that the
    /// comparison says so and does not wait for the context, which all that the callee does would wait for.
    fn callee_at_hand(&mut self, reference: Value) -> Callee {
        let vmctx = self.context_of(reference);
        let own = self.builder.ins().icmp(IntCC::Equal, vmctx, self.vmctx);
        let (other, known) = (self.cold_block(), self.builder.create_block());
        let context = self.builder.append_block_param(known, I64);
        self.builder.ins().brif(own, known, &[self.vmctx.into()], other, &[]);
        self.enter_sealed(other);
        let vmctx = self.or_own(vmctx);
        self.builder.ins().jump(known, &[vmctx.into()]);
        self.enter_sealed(known);
        self.callee_of(reference, context)
    }

    /// The function at an index of a table, checked to be of a type. An element that has not been looked up
    /// yet, and everything that is wrong, is left to the runtime. If a function is `likely` to be there, a block comes
    /// first that is gone to when it is, with nothing in it yet.
    fn indirect_callee(
        &mut self,
        type_index: u32,
        table: u32,
        likely: Option<u32>,
    ) -> (Callee, Option<Block>) {
        let index = self.pop();
        let index = self.word(index);
        let types = self.builder.ins().load(I64, self.flags.fixed, self.vmctx, VmContext::TYPE_IDS as i32);
        let expected = self.builder.ins().load(I32, self.flags.fixed, types, type_index as i32 * 4);
        let element = self.table_element(table, index);
        let slow = self.cold_block();
        let present = self.builder.create_block();
        let found = self.builder.create_block();
        let callee = self.builder.append_block_param(found, I64);

        // Outside of the table this is a load from null, which traps.
        let reference = self.builder.ins().load(I64, self.flags.elements, element, 0);
        // An element that is this reference is present, and of the function's type.
        let guessed = self.guess(reference, likely);
        self.builder.ins().brif(reference, present, &[], slow, &[]);
        self.enter_sealed(present);
        let offset = offset_of!(FunctionReference, type_id) as i32;
        let actual = self.builder.ins().load(I32, self.flags.functions, reference, offset);
        let same = self.builder.ins().icmp(IntCC::Equal, actual, expected);
        self.builder.ins().brif(same, found, &[reference.into()], slow, &[]);
        self.enter_sealed(slow);
        let (table, ty) = (self.cold_index(table), self.cold_index(type_index));
        self.call_builtin(Builtin::TableCallee, &[self.vmctx, table, element, ty]);
        let exec = self.exec();
        let reference = self.builder.ins().load(I64, self.flags.exec, exec, LOOKED_UP);
        self.builder.ins().jump(found, &[reference.into()]);

        self.enter_sealed(found);
        (self.callee_at_hand(callee), guessed)
    }

    /// Goes to a new block, with nothing in it yet, if `reference` refers to the function that is `likely`.
    fn guess(&mut self, reference: Value, likely: Option<u32>) -> Option<Block> {
        let offset = self.module.layout().func_ref(likely?)?;
        let guess = self.builder.ins().iadd_imm_u(self.vmctx, i64::from(offset));
        let right = self.builder.ins().icmp(IntCC::Equal, reference, guess);
        let (guessed, other) = (self.builder.create_block(), self.builder.create_block());
        self.builder.ins().brif(right, guessed, &[], other, &[]);
        self.enter_sealed(other);
        Some(guessed)
    }

    /// All arguments of a call; those of WebAssembly are popped.
    fn arguments(&mut self, callee: &Callee, results: Option<Value>, ty: &FuncType) -> Vec<Value> {
        self.calls = true;
        self.takes(Work::CALL);
        let first = self.stack.len() - ty.params().len();
        let own = [callee.vmctx, callee.id].into_iter().chain(results);
        own.chain(self.stack.drain(first..)).collect()
    }

    /// Calls, and pushes the results.
    fn call_of(&mut self, callee: &Callee, ty: &'m FuncType) {
        let results = abi::results_in_memory(ty).then(|| self.result_area(ty));
        let arguments = self.arguments(callee, results, ty);
        let in_registers = self.call_at(&callee.code, &arguments, ty);
        match results {
            None => {
                for (value, ty) in in_registers.into_iter().zip(ty.results()) {
                    self.push_typed(value, *ty);
                }
            }
            Some(results) => {
                let mut offset = 0;
                for ty in ty.results() {
                    let flags = self.flags.results;
                    let value = abi::load_slot(self.builder, flags, *ty, results, offset);
                    self.push_typed(value, *ty);
                    offset += abi::slot_bytes(*ty) as i32;
                }
            }
        }
        self.new_segment();
    }

    /// Counts the operands that a collection during a call would have to find.
    pub(super) fn count_references(&mut self) {
        if !self.references.is_empty() {
            self.budget.steps(self.stack.len());
            let references = self.stack.iter().filter(|operand| self.references.contains(operand));
            self.budget.call_with(references.count());
        }
    }

    /// Calls code with all its arguments. Returns what it returns in registers.
    fn call_at(&mut self, code: &Code, arguments: &[Value], ty: &'m FuncType) -> Vec<Value> {
        self.count_references();
        let signature = self.function_signature(ty);
        let Some(landing) = self.landing() else {
            let call = match *code {
                Code::Thunk(thunk) => self.builder.ins().call(thunk, arguments),
                Code::At(code) => self.builder.ins().call_indirect(signature, code, arguments),
            };
            return self.builder.inst_results(call).to_vec();
        };
        self.budget.branch();
        let results = if abi::results_in_memory(ty) { &[] } else { ty.results() };
        let behind = self.block_with_params(results);
        let returned: Vec<_> = (0..results.len() as u32).map(BlockArg::TryCallRet).collect();
        let dfg = &mut self.builder.func.dfg;
        let returned = dfg.block_call(behind, &returned);
        let thrown = dfg.block_call(landing, &[BlockArg::TryCallExn(0)]);
        let handlers = [ExceptionTableItem::Default(thrown)];
        let table = dfg.exception_tables.push(ExceptionTableData::new(signature, returned, handlers));
        match *code {
            Code::Thunk(thunk) => self.builder.ins().try_call(thunk, arguments, table),
            Code::At(code) => self.builder.ins().try_call_indirect(code, arguments, table),
        };
        self.enter_sealed(behind);
        self.builder.block_params(behind)[..results.len()].to_vec()
    }

    /// The part of the frame where callees store results. Each call's are read before the next call.
    fn result_area(&mut self, ty: &FuncType) -> Value {
        let bytes = abi::slots_bytes(ty.results());
        let slot = match self.result_slot {
            Some(slot) => slot,
            None => {
                let data = StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 4);
                self.builder.create_sized_stack_slot(data)
            }
        };
        self.result_slot = Some(slot);
        let size = &mut self.builder.func.sized_stack_slots[slot].size;
        *size = bytes.max(*size);
        self.builder.ins().stack_addr(I64, slot, 0)
    }

    /// Calls in place of the function itself. Its results are the function's, so that they go to the same
    /// place.
    fn return_call_of(&mut self, callee: &Callee, ty: &'m FuncType) {
        let arguments = self.arguments(callee, self.results, ty);
        match callee.code {
            Code::Thunk(thunk) => self.builder.ins().return_call(thunk, &arguments),
            Code::At(code) => {
                let signature = self.function_signature(ty);
                self.builder.ins().return_call_indirect(signature, code, &arguments)
            }
        };
        self.unreachable();
    }

    pub(super) fn call(&mut self, function: u32) -> Result<(), LowerError> {
        if !self.inline(function)? {
            let callee = self.direct_callee(function);
            self.call_of(&callee, self.module.function_type(function));
        }
        Ok(())
    }

    pub(super) fn call_indirect(&mut self, type_index: u32, table: u32) -> Result<(), LowerError> {
        self.guarded_call(type_index, |this, likely| this.indirect_callee(type_index, table, likely))
    }

    pub(super) fn call_ref(&mut self, type_index: u32) -> Result<(), LowerError> {
        self.guarded_call(type_index, |this, likely| {
            let reference = this.pop();
            let guessed = this.guess(reference, likely);
            this.trap_if_null(reference);
            (this.callee_at_hand(reference), guessed)
        })
    }

    /// A call of a function of a type that is known when the code runs: `find` pops what says which, and goes to the
    /// block that it returns if it is the one that is likely.
    fn guarded_call(
        &mut self,
        type_index: u32,
        find: impl FnOnce(&mut Self, Option<u32>) -> (Callee, Option<Block>),
    ) -> Result<(), LowerError> {
        let ty = self.module.func_type(type_index);
        let likely = self.likely_callee(type_index);
        if likely.is_some() {
            // There will be two ways to what is behind the call.
            self.define_operands();
        }
        let (callee, guessed) = find(self, likely);
        let arguments = likely.map(|_| self.top(ty.params().len()).to_vec());
        self.call_of(&callee, ty);
        let (Some(function), Some(guessed), Some(arguments)) = (likely, guessed, arguments) else {
            return Ok(());
        };

        let results = self.block_with_params(ty.results());
        self.jump(results, ty.results().len());
        self.end_segment();
        let height = self.stack.len() - ty.results().len();
        self.stack.truncate(height);
        self.stack.extend(arguments);
        self.enter_sealed(guessed);
        self.call(function)?;
        if self.reachable {
            self.jump(results, ty.results().len());
            self.end_segment();
        }
        self.reachable = true;
        self.enter_sealed(results);
        self.begin_with(height, results, ty.results());
        self.new_segment();
        Ok(())
    }

    /// The function that the indirect call at hand, of a function of a type, has called nearly always, as far as is
    /// known.
    fn likely_callee(&self, type_index: u32) -> Option<u32> {
        let ty = self.module.type_ids()[type_index as usize];
        let low_half = u32::from(self.profile?.callee(self.inlining.function(), self.body.at)?);
        // Of an imported function nothing is known, and what no reference refers to is not called so.
        let mut candidates = (low_half..self.module.function_count()).step_by(1 << 16).filter(|function| {
            self.module.body(*function).is_some()
                && self.module.registry().is_subtype(self.module.function_type_id(*function), ty)
                && self.module.layout().func_ref(*function).is_some()
        });
        candidates.next().filter(|_| candidates.next().is_none())
    }

    pub(super) fn return_call(&mut self, function: u32) {
        let callee = self.direct_callee(function);
        self.return_call_of(&callee, self.module.function_type(function));
    }

    pub(super) fn return_call_indirect(&mut self, type_index: u32, table: u32) {
        let (callee, _) = self.indirect_callee(type_index, table, None);
        self.return_call_of(&callee, self.module.func_type(type_index));
    }

    pub(super) fn return_call_ref(&mut self, type_index: u32) {
        let reference = self.pop();
        self.trap_if_null(reference);
        let callee = self.callee_at_hand(reference);
        self.return_call_of(&callee, self.module.func_type(type_index));
    }
}
