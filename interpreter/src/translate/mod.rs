//! From a validated function body to bytecode, in one pass.
//!
//! `local.get` and constants make no code: they become operands of what uses them. `local.set` changes the
//! destination of the instruction before it. A comparison that is only branched on becomes part of the
//! branch. What an accumulator holds is followed, so that the next instruction can read it there and the
//! slot need not be written at all.
//!
//! The result depends on the body alone: when a trap asks for an offset in the module, the function is
//! translated again with a source map, so that no map has to be kept.

mod access;
mod atomics;
mod branches;
mod calls;
mod control;
mod emit;
mod exceptions;
mod globals;
mod numeric;
mod objects;
mod operands;
mod operators;
mod references;
mod stack;
mod tables;
mod vectors;

use wasmparser::Operator;
use wasmrun_runtime::frame::{FrameLayout, Heights, LINK_SLOTS};
use wasmrun_runtime::module::Module;
use wasmrun_runtime::trap::{Pending, Trap};
use wasmrun_runtime::types::FuncType;
use wasmrun_runtime::{counts, fuel};

use crate::code::{CallSite, Code, Header, LoopHeader};
use crate::field::Field;
use crate::handlers::Handlers;
use crate::table;
use control::Control;
use emit::Emitter;
pub(crate) use emit::SourceMap;
use stack::{Operand, Place, Settled, Stack, Ty};

/// Translates a function that `module` defines; with `map`, notes where instructions come from.
pub(crate) fn function(module: &Module, function: u32, map: Option<&mut SourceMap>) -> Result<Code, Pending> {
    let want_map = map.is_some();
    // Only code without declared references finds out at its end that it needs a reference frame.
    let mut result = Translator::new(module, function, want_map, false).run()?;
    if result.needs_ref_frame {
        result = Translator::new(module, function, want_map, true).run()?;
    }
    if let (Some(to), Some(from)) = (map, result.map) {
        *to = from;
    }
    Ok(Code::new(&result.bytes, function, result.loops, result.calls, result.handlers))
}

/// The code that stands for that of a function which has compiled code.
pub(crate) fn way_into_compiled(module: &Module, function: u32) -> Code {
    let link = module.function_type(function).slots().shared() as u16;
    let mut out = Emitter::new(false);
    out.op(table::ENTER_COMPILED);
    out.field(Field::Function, function.into());
    out.slot(link);
    let slots = u32::from(link) + LINK_SLOTS;
    let (bytes, _) = out.finish(Header { function, frame_bytes: slots * 8, link, zeroes: 0 });
    Code::new(&bytes, function, Vec::new(), Vec::new(), Handlers::default())
}

/// Where each instruction of a function's code comes from.
pub(crate) fn source_map(module: &Module, index: u32) -> SourceMap {
    let mut map = SourceMap::new();
    // What has been translated once can be translated again.
    let _ = function(module, index, Some(&mut map));
    map
}

/// The offset in the module of the instruction that the byte at `offset` from the entry of a function's
/// code belongs to.
pub(crate) fn wasm_offset(map: &SourceMap, offset: usize) -> u32 {
    let at = (offset + Header::SIZE) as u32;
    let next = map.partition_point(|(instruction, _)| *instruction <= at);
    next.checked_sub(1).map_or(0, |i| map[i].1)
}

/// Bytecode of a function is at most this large: ordinary code is one and a half times to three times the size
/// of its body.
const CODE_BASE: usize = 1 << 20;
const CODE_FACTOR: usize = 64;

struct Translated {
    bytes: Vec<u8>,
    loops: Vec<LoopHeader>,
    calls: Vec<CallSite>,
    handlers: Handlers,
    map: Option<SourceMap>,
    needs_ref_frame: bool,
}

struct Translator<'m> {
    module: &'m Module,
    function: u32,
    ty: FuncType,
    out: Emitter,
    stack: Stack,
    control: Vec<Control>,
    loops: Vec<LoopHeader>,
    calls: Vec<CallSite>,
    handlers: Handlers,
    /// Constants that were settled within open blocks and are below the innermost of their time, outer ones first.
    settled: Vec<Settled>,
    layout: FrameLayout,
    /// Slot of the return address.
    link: u16,
    /// Where the cost of the current segment is, when fuel is charged.
    segment: Option<usize>,
    /// The name of the current segment, if it has yet to be counted.
    uncounted: Option<u32>,
    /// Whether code can come here.
    reachable: bool,
    /// Blocks that were opened in code that cannot be reached.
    skipped: usize,
    ref_frame: bool,
    /// Where the size of the reference frame is.
    ref_slots: usize,
    /// Most bytes of code.
    limit: usize,
}

impl<'m> Translator<'m> {
    fn new(module: &'m Module, function: u32, with_map: bool, ref_frame: bool) -> Translator<'m> {
        let layout = FrameLayout::of(module, function).expect("imported functions have no code");
        let len = module.body(function).map_or(0, |body| body.len);
        Translator {
            module,
            function,
            link: layout.link() as u16,
            ty: module.function_type(function).clone(),
            out: Emitter::new(with_map),
            stack: Stack::new(&layout),
            control: Vec::new(),
            loops: Vec::new(),
            calls: Vec::new(),
            handlers: Handlers::default(),
            settled: Vec::new(),
            layout,
            segment: None,
            uncounted: None,
            reachable: true,
            skipped: 0,
            ref_frame,
            ref_slots: 0,
            limit: CODE_BASE + CODE_FACTOR * len as usize,
        }
    }

    fn run(mut self) -> Result<Translated, Pending> {
        let body = self.module.function_body(self.function).expect("imported functions have no code");
        let mut operators = body.get_operators_reader().expect("validated body");
        self.out.source = operators.original_position() as u32;
        self.begin();
        while !operators.eof() {
            self.out.source = operators.original_position() as u32;
            let operator = operators.read().expect("validated operators");
            self.operator(&operator);
            // A branch can carry a thousand values with four bytes, and moves each of them.
            if self.out.here() > self.limit {
                return Err(Trap::FunctionTooLarge.into());
            }
        }
        let Heights { values, references } = self.stack.peaks();
        if values > u32::from(u16::MAX) || references > u32::from(u16::MAX) {
            return Err(Trap::FunctionTooLarge.into());
        }
        let needs_ref_frame = references > 0 && !self.ref_frame;
        let zeroes = self.layout.zeroed() as u16;
        let header = Header { function: self.function, frame_bytes: values * 8, link: self.link, zeroes };
        if self.ref_frame {
            self.out.patch_count(self.ref_slots, references as u16);
        }
        let (bytes, map) = self.out.finish(header);
        let (loops, calls, handlers) = (self.loops, self.calls, self.handlers);
        Ok(Translated { bytes, loops, calls, handlers, map, needs_ref_frame })
    }

    fn begin(&mut self) {
        if self.ref_frame {
            self.out.op(table::REF_FRAME);
            self.out.count(self.ty.slots().ref_params);
            self.ref_slots = self.out.here();
            self.out.count(0);
        }
        self.out.label();
        self.control.push(Control::function(&self.ty));
        let start = self.module.body(self.function).map_or(0, |body| body.start);
        self.new_segment_called(start);
    }

    /// Begins a segment behind the operator that is translated.
    fn new_segment(&mut self) {
        self.new_segment_called(self.out.source);
    }

    /// Begins a segment: fuel for all of it is charged here. It is counted before its first instruction.
    fn new_segment_called(&mut self, name: u32) {
        if self.module.charges_fuel() {
            self.out.op(table::CHARGE);
            self.segment = Some(self.out.here());
            self.out.field(Field::Fuel, 0);
        }
        self.uncounted = Some(name);
    }

    /// Counts the segment, unless that has been done.
    fn count(&mut self) {
        if let Some(counts) = self.module.counts()
            && let Some(segment) = self.uncounted.take()
        {
            let defined = self.function - self.module.imported_function_count();
            self.out.op(table::COUNT_SEGMENT);
            self.out.field(Field::Counter, counts.counter(defined, segment).addr() as u64);
        }
    }

    fn operator(&mut self, operator: &Operator<'_>) {
        if !self.reachable {
            self.skip(operator);
            return;
        }
        if let Some(at) = self.segment {
            self.out.add_u32(at, fuel::cost(operator, self.module));
        }
        // A loop counts its own segment.
        if counts::is_counted(operator) && !matches!(operator, Operator::Loop { .. }) {
            self.count();
        }
        self.translate(operator);
    }

    /// Passes over an operator that cannot be reached.
    fn skip(&mut self, operator: &Operator<'_>) {
        match operator {
            Operator::Block { .. }
            | Operator::Loop { .. }
            | Operator::If { .. }
            | Operator::TryTable { .. }
            | Operator::Try { .. } => self.skipped += 1,
            Operator::End | Operator::Delegate { .. } if self.skipped > 0 => self.skipped -= 1,
            Operator::End => self.end(),
            Operator::Delegate { relative_depth } => self.delegate(*relative_depth),
            Operator::Else if self.skipped == 0 => self.else_(),
            Operator::Catch { tag_index } if self.skipped == 0 => self.catch(Some(*tag_index)),
            Operator::CatchAll if self.skipped == 0 => self.catch(None),
            _ => {}
        }
    }

    /// Code behind this point is reached by branches alone.
    fn unreachable(&mut self) {
        self.reachable = false;
        self.segment = None;
        self.uncounted = None;
    }

    /// Pushes the result of an instruction: the temporary that it has to write.
    fn push_temp(&mut self, ty: Ty) -> u16 {
        self.stack.push(ty, Place::Temp)
    }

    /// The slot of an operand; a constant is put into its home.
    fn in_slot(&mut self, operand: Operand) -> u16 {
        match operand.place {
            Place::Temp => operand.home,
            Place::Local(index) => self.stack.local(index).slot,
            Place::Const(bits) => {
                self.constant(operand.home, bits);
                operand.home
            }
        }
    }

    fn constant(&mut self, to: u16, bits: u64) {
        match u32::try_from(bits) {
            Ok(bits) => {
                self.out.op_to(table::CONST32, to, None);
                self.out.field(Field::Bits32, bits.into());
            }
            Err(_) => {
                self.out.op_to(table::CONST64, to, None);
                self.out.field(Field::Bits64, bits);
            }
        }
    }

    /// Puts the value of an operand into `to`. The operand's own slot has been or will be written.
    fn move_to(&mut self, to: u16, operand: Operand) {
        let from = match operand.place {
            Place::Const(bits) => return self.constant(to, bits),
            Place::Temp => operand.home,
            Place::Local(index) => self.stack.local(index).slot,
        };
        if from == to {
            return;
        }
        if operand.ty.is_collected() {
            return self.copy_reference(to, from);
        }
        let Some(class) = operand.ty.accumulator() else {
            self.out.op_to_vector(table::COPY_VECTOR, to);
            return self.out.vector(from);
        };
        if self.out.in_acc(class, from) {
            self.out.op_to(copy_acc(operand.ty), to, None);
        } else {
            self.out.copy(to, from);
        }
    }

    fn copy_reference(&mut self, to: u16, from: u16) {
        self.out.op(table::REF_COPY);
        self.out.field(Field::RefDest, to.into());
        self.out.ref_slot(from);
    }

    /// Puts the operand at a position of the stack into its home.
    fn settle(&mut self, index: usize) {
        let operand = self.stack.get(index);
        if operand.place != Place::Temp {
            self.move_to(operand.home, operand);
            self.stack.settle(index);
        }
    }

    /// Puts all operands that are locals into their homes: code that joins may have assigned them.
    fn settle_locals(&mut self) {
        let mut below = self.stack.len();
        while let Some(index) = self.stack.find_local(None, below) {
            self.settle(index);
            below = index;
        }
    }

    /// Puts all operands into their homes: code of another tier may take the frame over here. The constants among
    /// them that are below the innermost block are constants again behind it.
    fn settle_all(&mut self) {
        self.settle_locals();
        let settled = self.stack.settle_constants();
        if settled.is_empty() {
            return;
        }
        for constant in &settled {
            let operand = constant.operand(&self.stack);
            self.move_to(operand.home, operand);
        }
        let height = self.control.last().expect("an open block").height();
        self.settled.extend(settled.into_iter().take_while(|constant| constant.index < height));
    }

    /// Leaves a block or one of its arms: what was settled within is constants again, as code that comes here by
    /// another way did not pass there.
    fn take_back(&mut self, from: usize) {
        if self.settled.len() > from {
            self.stack.take_back(&self.settled[from..]);
            self.settled.truncate(from);
        }
    }

    /// Begins a loop: here, with every value in the slot that the layout of the frame gives it.
    fn loop_header(&mut self) {
        self.settle_all();
        self.out.label();
        let code = self.code_offset();
        self.loops.push(LoopHeader { wasm: self.out.source, end: 0, code });
        #[cfg(any(test, debug_assertions))]
        self.check_frame_state();
    }

    /// Whether every operand is in the slot that the layout of the frame gives it.
    #[cfg(any(test, debug_assertions))]
    fn check_frame_state(&self) {
        // A body can have a loop for every two bytes below a deep stack.
        let checked = self.stack.len().min(1000);
        let operands = (0..checked).map(|index| self.stack.get(index));
        let slots = self.layout.operands(operands.clone().map(|operand| operand.ty.val_type()));
        for (operand, slot) in operands.zip(slots) {
            assert_eq!(operand.place, Place::Temp);
            assert_eq!(u32::from(operand.home), slot.number());
        }
    }

    /// The topmost `count` operands, settled, as code that reads their homes needs them.
    fn settle_top(&mut self, count: usize) {
        for index in self.stack.len() - count..self.stack.len() {
            self.settle(index);
        }
    }

    fn local_get(&mut self, index: u32) {
        let local = self.stack.local(index);
        if local.ty.is_collected() {
            let home = self.push_temp(local.ty);
            self.copy_reference(home, local.slot);
        } else {
            self.stack.push(local.ty, Place::Local(index));
        }
    }

    fn local_set(&mut self, index: u32) {
        let local = self.stack.local(index);
        let value = self.stack.pop();
        if local.ty.is_collected() {
            return self.move_to(local.slot, value);
        }
        // Operands that stand for the old value keep it.
        let mut below = self.stack.len();
        let mut kept = false;
        while let Some(at) = self.stack.find_local(Some(index), below) {
            self.settle(at);
            below = at;
            kept = true;
        }
        match value.place {
            Place::Temp if !kept && self.out.last_writes(value.home) => {
                self.out.retarget_last(value.home, local.slot);
            }
            Place::Temp
                if let Some(class) = value.ty.accumulator()
                    && self.out.consume_acc(class, value.home) =>
            {
                self.out.op_to(copy_acc(value.ty), local.slot, None);
                self.out.holds(class, local.slot);
            }
            _ => self.move_to(local.slot, value),
        }
    }

    fn local_tee(&mut self, index: u32) {
        let value = self.stack.get(self.stack.len() - 1);
        self.local_set(index);
        match value.place {
            Place::Const(bits) => {
                self.stack.push(value.ty, Place::Const(bits));
            }
            _ => self.local_get(index),
        }
    }
}

fn copy_acc(ty: Ty) -> u16 {
    match ty {
        Ty::F32 => table::COPY_ACC32,
        Ty::F64 => table::COPY_ACC64,
        _ => table::COPY_ACC,
    }
}
