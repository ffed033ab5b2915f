//! From a validated function body to Cranelift's intermediate code, in one pass.
//!
//! Semantics come from the specification, not from tier 0: each tier is the other's oracle. Operands are
//! Cranelift values on a stack of the translator's own, locals are variables of `cranelift-frontend`, which
//! builds SSA form. Blocks are sealed as soon as nothing more can branch to them (only loop headers wait for
//! their ends): a header that is sealed late keeps parameters for values that do not change in its loop, and
//! nothing is hoisted out of it.
//!
//! What cannot be reached is not translated; it costs no fuel either. [`crate::compile`] is the caller.

mod atomic;
mod budget;
mod call;
mod control;
mod count;
mod exception;
mod flags;
mod global;
mod inline;
mod memory;
mod numeric;
mod object;
mod places;
mod poll;
mod product;
mod sampling;
mod simd;
mod slow_path;
mod table;
mod take_over;

use std::collections::{HashMap, HashSet};
use std::mem;
use std::rc::Rc;

use cranelift_codegen::ir::types::{F32, F64, I8X16, I32, I64};
use cranelift_codegen::ir::{Block, Function, InstBuilder, SigRef, StackSlot, Type, UserFuncName, Value};
use cranelift_codegen::isa::TargetIsa;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Variable};
use wasmparser::{FunctionBody, Operator};
use wasmrun_runtime::frame::FrameLayout;
use wasmrun_runtime::module::{MemoryPlan, Module};
use wasmrun_runtime::trap::Trap;
use wasmrun_runtime::types::{FuncType, ValType};
use wasmrun_runtime::{Relaxed, counts, fuel};

use crate::abi;
use crate::builtins::Builtin;
use crate::job::{Job, Profile, Start};
use crate::trap::code::code_of;
use budget::{Budget, Locals};
use call::CallsOf;
use control::Control;
use flags::Flags;
use inline::Inlining;
pub(crate) use inline::most_inlined;
pub use places::Places;
use places::Site;
use poll::{Answer, EntryPoll, Segment};
use sampling::{LoopPoll, Work};
use take_over::TakeOver;

/// The upper half of constants for code that hardly ever runs.
///
/// The compiler shares equal constants, and makes them anew in each block where they are used; but not if the first
/// use that it comes to is on another way, as cold code is: then it keeps them, in registers or on the stack, wherever
/// they are used. So such code leaves the common constants alone.
const UNUSUAL: i64 = 0x1e37_79b9 << 32;

/// Why a function has not been lowered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LowerError {
    /// Its code would be out of proportion to its size.
    #[error("the function makes too many values of its bytes")]
    TooLarge,
    /// It has an instruction that is not executed, and modules with such are refused at load; or a relaxed one, and this
    /// machine cannot do what was chosen for it.
    #[error("the instruction {0} is not executed")]
    NotExecuted(String),
    /// There is no loop where the code should start, or it cannot be come to.
    #[error("no loop is come to at {0:#x}")]
    NoLoop(u32),
}

/// Lowers a function that `module` defines, and says what its code belongs to in the source. After an error `context` must not be used again.
pub fn function<'m>(
    isa: &dyn TargetIsa,
    module: &'m Module,
    job: &Job<'m>,
    context: &mut FunctionBuilderContext,
) -> Result<(Function, Places), LowerError> {
    let (index, start) = (job.function, job.start);
    let ty = module.function_type(index);
    let signature = match start {
        Start::Entry | Start::EntryOrLoop(_) => abi::signature(ty),
        Start::Loop(_) => abi::loop_signature(ty),
    };
    let mut function = Function::with_name_signature(UserFuncName::user(0, index), signature);
    let mut builder = FunctionBuilder::new(&mut function, context);
    let body = module.function_body(index).expect("imported functions have no body");
    let results_only = abi::without_parameters(ty);
    let way = Way { index, ty, results_only: &results_only };
    let mut lower = Lower::new(module, way, job, &mut builder);
    lower.relaxed = simd::choice(isa, module.relaxed());
    let entry = lower.builder.current_block().expect("the entry");
    let params = lower.builder.block_params(entry).to_vec();
    match start {
        Start::Entry => lower.begin(&params),
        Start::Loop(at) => lower.begin_at_loop(at, &params),
        Start::EntryOrLoop(at) => lower.begin_at_either(at, &params),
    }
    lower.declare_locals(&body);
    lower.budget.add_locals(lower.local_counts());
    lower.body(&body, !matches!(start, Start::Loop(_)))?;
    if let Start::Loop(at) | Start::EntryOrLoop(at) = start
        && !lower.has_taken_over()
    {
        return Err(LowerError::NoLoop(at));
    }
    lower.drop_entry_poll_of_leaf(index);
    let (loop_polls, places) = (mem::take(&mut lower.loop_polls), mem::take(&mut lower.places));
    let Lower { flags, vmctx, answers, .. } = lower;
    builder.make_stack_map_alias_region(Box::new(|regions, _, slot, _| Some(flags::spilled(regions, slot))));
    builder.finalize(isa.frontend_config());
    poll::call_answers(&mut function, &flags, vmctx, &answers);
    sampling::sample(&mut function, &loop_polls);
    Ok((function, places))
}

/// The function that is lowered.
struct Way<'m> {
    index: u32,
    ty: &'m FuncType,
    /// The type without the parameters.
    results_only: &'m FuncType,
}

/// What belongs to the body that is being lowered: to another one while that is inlined.
#[derive(Default)]
struct Body {
    /// Variables, and whether they hold collected references.
    locals: Vec<(Variable, bool)>,
    /// Offset in the module of the operator that is being lowered.
    at: u32,
    /// Blocks that were opened in code that cannot be reached.
    skipped: usize,
    /// Where it begins in [`Lower::control`]: behind those that it is inlined in.
    base: usize,
    /// Where it is inlined, if it is.
    site: Option<Site>,
}

struct Lower<'m, 'f, 'b> {
    module: &'m Module,
    function: u32,
    ty: &'m FuncType,
    /// The type without the parameters.
    results_only: &'m FuncType,
    /// The slots of its frames in tier 0.
    layout: Rc<FrameLayout>,
    memory_plan: MemoryPlan,
    /// Whether frames can go on in tier 0.
    leaves: bool,
    /// Whether loops poll.
    polls: bool,
    profile: Option<&'m dyn Profile>,
    /// What relaxed SIMD instructions do; `None` if this machine cannot do it.
    relaxed: Option<Relaxed>,
    builder: &'b mut FunctionBuilder<'f>,
    flags: Flags,
    /// The context of the instance.
    vmctx: Value,
    /// Where results go, if not to registers.
    results: Option<Value>,
    body: Body,
    /// Operands, topmost last.
    stack: Vec<Value>,
    /// The values that are collected references.
    references: HashSet<Value>,
    /// Where a frame of tier 0 is taken over, in code that starts so.
    take_over: Option<TakeOver>,
    control: Vec<Control<'m>>,
    /// Which of these are loops, by index.
    open_loops: Vec<usize>,
    /// Which of them catch what comes out of code at hand, by index.
    catching: Vec<usize>,
    /// The innermost block, by index, to whose `else` or `end` the code is hardly ever executed, as a hint says.
    cold_in: Option<usize>,
    /// Whether code can come here.
    reachable: bool,
    places: Places,
    inlining: Inlining,
    /// What the code from the last charge point on costs, if it pays.
    segment: Option<Segment>,
    /// The name of the segment here, if it has yet to be counted.
    uncounted: Option<u32>,
    /// The poll at the entry.
    entry_poll: Option<EntryPoll>,
    /// The polls at loop headers.
    loop_polls: Vec<LoopPoll>,
    /// Where polls are answered.
    answers: Vec<Answer>,
    /// Whether the function calls anything but the poll at its entry.
    calls: bool,
    has_loop: bool,
    /// What is done outside of loops since the last poll.
    unpolled: Work,
    /// Bytes that are inlined.
    inlined: u32,
    signatures: HashMap<&'m FuncType, SigRef>,
    /// The functions that are called, by number among those that the module defines.
    calls_of: HashMap<u32, CallsOf>,
    builtin_signatures: [Option<SigRef>; Builtin::ALL.len()],
    /// Where callees store results that do not fit registers.
    result_slot: Option<StackSlot>,
    budget: Budget,
}

impl<'m, 'f, 'b> Lower<'m, 'f, 'b> {
    fn new(
        module: &'m Module,
        of: Way<'m>,
        job: &Job<'m>,
        builder: &'b mut FunctionBuilder<'f>,
    ) -> Lower<'m, 'f, 'b> {
        let entry = builder.create_block();
        builder.append_block_params_for_function_params(entry);
        builder.switch_to_block(entry);
        builder.seal_block(entry);
        let params = builder.block_params(entry).to_vec();
        let Way { index, ty, results_only } = of;
        let layout = FrameLayout::of(module, index).expect("imported functions have no body");
        let body_len = module.body(index).map_or(0, |body| body.len);
        let results = abi::results_in_memory(ty).then(|| params[abi::RESULTS]);
        Lower {
            module,
            function: index,
            ty,
            results_only,
            layout: Rc::new(layout),
            memory_plan: job.memory,
            leaves: job.leaves,
            polls: job.interruptible || job.leaves,
            profile: job.profile,
            relaxed: None,
            flags: Flags::new(builder.func),
            builder,
            vmctx: params[abi::VMCTX],
            results,
            body: Body::default(),
            stack: Vec::new(),
            references: HashSet::new(),
            take_over: None,
            control: vec![Control::function(ty)],
            open_loops: Vec::new(),
            catching: Vec::new(),
            cold_in: None,
            reachable: true,
            places: Places::default(),
            inlining: Inlining::new(module, job),
            segment: None,
            uncounted: None,
            entry_poll: None,
            loop_polls: Vec::new(),
            answers: Vec::new(),
            calls: false,
            has_loop: false,
            unpolled: Work::default(),
            inlined: 0,
            signatures: HashMap::new(),
            calls_of: HashMap::new(),
            builtin_signatures: [None; Builtin::ALL.len()],
            result_slot: None,
            budget: Budget::new(body_len as usize),
        }
    }

    /// Begins code that is entered with arguments.
    fn begin(&mut self, params: &[Value]) {
        let first = params.len() - self.ty.params().len();
        for (ty, value) in self.ty.params().iter().zip(&params[first..]) {
            self.declare_local(*ty, *value);
        }
    }

    /// Begins code that is entered with arguments, or takes a frame over at a loop.
    fn begin_at_either(&mut self, at: u32, params: &[Value]) {
        let id = params[abi::CALLEE_ID];
        let (loads, called) = (self.builder.create_block(), self.builder.create_block());
        let is_frame = abi::is_frame_id(self.builder, id);
        self.builder.ins().brif(is_frame, loads, &[], called, &[]);
        self.builder.set_cold_block(loads);
        self.take_over = Some(TakeOver::new(at, loads, id));
        self.enter_sealed(called);
        self.begin(params);
    }

    /// Begins code that takes a frame over at a loop: with what is before the loop, and never runs.
    fn begin_at_loop(&mut self, at: u32, params: &[Value]) {
        let id = params[abi::CALLEE_ID];
        let loads = self.builder.create_block();
        self.builder.ins().jump(loads, &[]);
        self.take_over = Some(TakeOver::new(at, loads, id));
        let never = self.builder.create_block();
        self.enter_sealed(never);
        for ty in self.ty.params() {
            let value = self.zero(abi::value_type(*ty));
            self.declare_local(*ty, value);
        }
    }

    fn has_taken_over(&self) -> bool {
        self.take_over.as_ref().is_some_and(|take_over| take_over.done)
    }

    fn declare_local(&mut self, ty: ValType, value: Value) {
        let variable = self.builder.declare_var(abi::value_type(ty));
        if ty.is_collected() {
            self.builder.declare_var_needs_stack_map(variable);
        }
        self.builder.def_var(variable, value);
        self.body.locals.push((variable, ty.is_collected()));
    }

    /// How many locals there are here, without those of functions around an inlined one.
    fn local_counts(&self) -> Locals {
        let references = self.body.locals.iter().filter(|(_, is_reference)| *is_reference).count();
        Locals { all: self.body.locals.len(), references }
    }

    fn declare_locals(&mut self, body: &FunctionBody<'_>) {
        for local in body.get_locals_reader().expect("validated body") {
            let (count, ty) = local.expect("validated locals");
            let ty = self.module.val_type(ty);
            let zero = self.zero(abi::value_type(ty));
            (0..count).for_each(|_| self.declare_local(ty, zero));
        }
    }

    /// The initial value of locals of a type.
    fn zero(&mut self, ty: Type) -> Value {
        match ty {
            F32 => self.builder.ins().f32const(0.0),
            F64 => self.builder.ins().f64const(0.0),
            I8X16 => {
                let zeroes = self.builder.func.dfg.constants.insert([0; 16].as_slice().into());
                self.builder.ins().vconst(I8X16, zeroes)
            }
            _ => self.builder.ins().iconst(ty, 0),
        }
    }

    /// The body of the function, whose entry is where calls come in, or not at all.
    fn body(&mut self, body: &FunctionBody<'_>, is_called: bool) -> Result<(), LowerError> {
        let operators = body.get_operators_reader().expect("validated body");
        self.source(operators.original_position());
        if is_called {
            self.poll_entry();
            self.first_segment(self.function);
        }
        self.operators(body)
    }

    /// What a body does, this one or one that is inlined.
    fn operators(&mut self, body: &FunctionBody<'_>) -> Result<(), LowerError> {
        let mut operators = body.get_operators_reader().expect("validated body");
        while !operators.eof() {
            self.source(operators.original_position());
            let operator = operators.read().expect("validated operators");
            if !self.reachable {
                self.skip(&operator);
                continue;
            }
            if let Some(segment) = &mut self.segment {
                segment.cost += fuel::cost(&operator, self.module);
            }
            // A loop counts its own segment.
            if counts::is_counted(&operator) && !matches!(operator, Operator::Loop { .. }) {
                self.count();
            }
            self.operator(&operator)?;
            if self.is_too_large() {
                return Err(LowerError::TooLarge);
            }
        }
        Ok(())
    }

    /// What is emitted from here on belongs to the instruction at `offset` of the module.
    fn source(&mut self, offset: u64) {
        // Modules are smaller than 4 GiB.
        self.body.at = offset as u32;
        let place = self.places.place(self.body.at, self.body.site);
        self.builder.set_srcloc(place);
    }

    /// Passes over an operator that cannot be reached.
    fn skip(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::TryTable { .. }
            | Operator::Try { .. } => self.body.skipped += 1,
            Operator::End | Operator::Delegate { .. } if self.body.skipped > 0 => self.body.skipped -= 1,
            Operator::End => self.end(),
            Operator::Else if self.body.skipped == 0 => self.else_(),
            Operator::Catch { tag_index } if self.body.skipped == 0 => self.catch(Some(*tag_index)),
            Operator::CatchAll if self.body.skipped == 0 => self.catch(None),
            Operator::Delegate { relative_depth } => self.end_try(Some(*relative_depth)),
            _ => {}
        }
    }

    fn operator(&mut self, operator: &Operator<'_>) -> Result<(), LowerError> {
        use Operator as O;
        match *operator {
            O::Nop => {}
            O::Unreachable => {
                // Branches to a block that does nothing but trap become conditional traps, at the place of the
                // branch. This costs no code and keeps the trap where it is written.
                self.builder.ins().sequence_point();
                self.trap(Trap::UnreachableCodeReached);
                self.unreachable();
            }
            O::Block { blockty } => self.block(blockty),
            O::Loop { blockty } => self.loop_(blockty),
            O::If { blockty } => self.if_(blockty),
            O::Else => self.else_(),
            O::End => self.end(),
            O::TryTable { ref try_table } => self.try_table(try_table),
            O::Throw { tag_index } => self.throw(tag_index),
            O::ThrowRef => self.throw_ref(),
            O::Try { blockty } => self.try_(blockty),
            O::Catch { tag_index } => self.catch(Some(tag_index)),
            O::CatchAll => self.catch(None),
            O::Rethrow { relative_depth } => self.rethrow(relative_depth),
            O::Delegate { relative_depth } => self.end_try(Some(relative_depth)),
            O::Br { relative_depth } => self.br(relative_depth),
            O::BrIf { relative_depth } => self.br_if(relative_depth),
            O::BrTable { ref targets } => self.br_table(targets),
            O::Return => self.return_(),
            O::Call { function_index } => self.call(function_index)?,
            O::CallIndirect { type_index, table_index } => self.call_indirect(type_index, table_index)?,
            O::ReturnCall { function_index } => self.return_call(function_index),
            O::ReturnCallIndirect { type_index, table_index } => {
                self.return_call_indirect(type_index, table_index);
            }

            O::Drop => {
                self.pop();
            }
            O::Select | O::TypedSelect { .. } => {
                let [a, b, condition] = self.pop_array();
                let value = self.builder.ins().select(condition, a, b);
                self.push_like(value, self.references.contains(&a));
            }
            O::LocalGet { local_index } => {
                let (variable, is_reference) = self.body.locals[local_index as usize];
                let value = self.builder.use_var(variable);
                self.push_like(value, is_reference);
            }
            O::LocalSet { local_index } => {
                let value = self.pop();
                self.builder.def_var(self.body.locals[local_index as usize].0, value);
            }
            O::LocalTee { local_index } => {
                let value = *self.stack.last().expect("validated stack");
                self.builder.def_var(self.body.locals[local_index as usize].0, value);
            }
            O::GlobalGet { global_index } => self.global_get(global_index),
            O::GlobalSet { global_index } => self.global_set(global_index),

            O::MemorySize { mem } => self.memory_size(mem),
            O::MemoryGrow { mem } => self.memory_grow(mem),
            O::MemoryFill { mem } => self.memory_fill(mem),
            O::MemoryCopy { dst_mem, src_mem } => self.memory_copy(dst_mem, src_mem),
            O::MemoryInit { data_index, mem } => self.memory_init(data_index, mem),
            O::DataDrop { data_index } => self.data_drop(data_index),

            O::TableGet { table } => self.table_get(table),
            O::TableSet { table } => self.table_set(table),
            O::TableSize { table } => self.table_size(table),
            O::TableGrow { table } => self.table_grow(table),
            O::TableFill { table } => self.table_fill(table),
            O::TableCopy { dst_table, src_table } => self.table_copy(dst_table, src_table),
            O::TableInit { elem_index, table } => self.table_init(elem_index, table),
            O::ElemDrop { elem_index } => self.elem_drop(elem_index),
            O::RefNull { hty } => self.ref_null(hty),
            O::RefFunc { function_index } => self.ref_func(function_index),
            O::RefIsNull => self.ref_is_null(),
            O::RefAsNonNull => self.ref_as_non_null(),
            O::BrOnNull { relative_depth } => self.br_on_null(relative_depth),
            O::BrOnNonNull { relative_depth } => self.br_on_non_null(relative_depth),
            O::CallRef { type_index } => self.call_ref(type_index)?,
            O::ReturnCallRef { type_index } => self.return_call_ref(type_index),

            ref other => {
                let is_known = self.memory_access(other)
                    || self.numeric(other)
                    || self.simd(other)
                    || self.atomic(other)
                    || self.object(other);
                if !is_known {
                    return Err(LowerError::NotExecuted(format!("{other:?}")));
                }
            }
        }
        Ok(())
    }

    /// Pushes a value of a type.
    fn push_typed(&mut self, value: Value, ty: ValType) {
        self.push_like(value, ty.is_collected());
    }

    /// Pushes a value that is a collected reference or none.
    fn push_like(&mut self, value: Value, is_reference: bool) {
        if is_reference {
            self.note_reference(value);
        }
        self.stack.push(value);
    }

    /// Notes that a value is a collected reference: at calls while it is alive it is in the frame, where a collection finds
    /// it, and may be another one after the call.
    fn note_reference(&mut self, value: Value) {
        if self.references.insert(value) {
            self.builder.declare_value_needs_stack_map(value);
        }
    }

    /// Pushes the values that a block begins with, in place of what is above `height`.
    fn begin_with(&mut self, height: usize, block: Block, types: &[ValType]) {
        self.stack.truncate(height);
        for (index, ty) in types.iter().enumerate() {
            let value = self.builder.block_params(block)[index];
            self.push_typed(value, *ty);
        }
        self.use_operands(height);
    }

    fn pop(&mut self) -> Value {
        self.stack.pop().expect("validated stack")
    }

    /// Pops operands; the topmost is the last of them.
    fn pop_array<const N: usize>(&mut self) -> [Value; N] {
        let mut values = [Value::from_u32(0); N];
        values.iter_mut().rev().for_each(|value| *value = self.pop());
        values
    }

    /// The topmost operands, in order.
    fn top(&self, count: usize) -> &[Value] {
        &self.stack[self.stack.len() - count..]
    }

    fn is_too_large(&self) -> bool {
        self.budget.is_exceeded(&self.builder.func.dfg)
    }

    /// A block for what hardly ever happens; it is placed behind the code of the function.
    fn cold_block(&mut self) -> Block {
        let block = self.builder.create_block();
        self.builder.set_cold_block(block);
        block
    }

    /// A block of the code that is being lowered: a cold one where hints say that nothing comes here.
    fn create_block(&mut self) -> Block {
        if self.cold_in.is_some() { self.cold_block() } else { self.builder.create_block() }
    }

    /// Begins a block to which all branches have been made.
    fn enter_sealed(&mut self, block: Block) {
        self.builder.switch_to_block(block);
        self.builder.seal_block(block);
    }

    fn trap(&mut self, trap: Trap) {
        self.builder.ins().trap(code_of(trap));
    }

    fn constant(&mut self, value: i64) -> Value {
        self.builder.ins().iconst(I64, value)
    }

    /// An index of the module for a builtin in cold code, which takes the lower half of the word.
    fn cold_index(&mut self, index: u32) -> Value {
        self.constant(UNUSUAL | i64::from(index))
    }

    /// A 32-bit operand as an unsigned word.
    fn word(&mut self, value: Value) -> Value {
        match self.builder.func.dfg.value_type(value) {
            I32 => self.builder.ins().uextend(I64, value),
            _ => value,
        }
    }

    /// Pushes the low half of a word.
    fn push_low(&mut self, word: Value) {
        let value = self.builder.ins().ireduce(I32, word);
        self.stack.push(value);
    }
}
