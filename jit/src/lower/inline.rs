//! Functions that are lowered in place of a call.
//!
//! A body is inlined as a block whose label its returns branch to. Backtraces name the
//! function all the same ([`super::places`]), and fuel is charged as if it had been called. What it spares is the call
//! and, more than that, what a call does to the code around it: nothing stays in registers over one. A function that calls
//! itself is inlined in itself, twice at most: of the calls of a recursion one in several is left.
//!
//! Where frames can leave compiled code at loop headers, bodies with loops are not inlined: one frame of compiled code is one
//! frame of tier 0 wherever that matters.
//!
//! The compiler takes time in proportion to what it is given, so that bodies are small, and in loops less small.

use std::collections::HashMap;
use std::mem;

use cranelift_codegen::ir::Value;
use wasmparser::Operator;
use wasmrun_runtime::module::Module;
use wasmrun_runtime::types::FuncType;

use super::places::MAX_MODULE;
use super::sampling::Work;
use super::{Body, Lower, LowerError, product};
use crate::abi;
use crate::compile::Job;

/// Bytes of the longest body that is inlined wherever it is called, and of the longest in a loop.
const MAX_ANYWHERE: u32 = 24;
const MAX_IN_LOOP: u32 = 96;

/// Bytes of the longest body that is, whatever is left of it.
const MAX_LEN: u32 = 128;

/// How many times less is left of a body that makes [a product](super::product) than of another one: the `__multi3` of C is 118 bytes long, and
/// has eight instructions when it is lowered.
const OF_PRODUCT: u32 = 5;

/// Functions that are inlined inside of each other.
const MAX_DEPTH: usize = 3;

/// How many times a function is inlined in itself.
const MAX_SAME: usize = 2;

/// Bytes that are inlined for each byte of a function.
const MAX_GROWTH: u32 = 2;

/// Bytes that are inlined in short functions as well.
const ALWAYS: u32 = 256;

/// Bytes that are inlined at most. Large functions have many calls that are hardly ever made, and are waited for.
const MOST: u32 = 4096;

/// Locals and results of a function that is inlined: all get a value.
const MAX_VALUES: usize = 16;

/// What there is to know about inlining while a function is lowered.
pub(super) struct Inlining {
    /// Bytes that may still be inlined.
    left: u32,
    /// Whether a function may be inlined at all.
    may_be: fn(u32) -> bool,
    /// Whether bodies with loops may be.
    loops: bool,
    /// The function that is lowered and those that are inlined around the instruction at hand.
    around: Vec<u32>,
    /// [`weight`] of the functions that have been looked at.
    weights: HashMap<u32, Option<u32>>,
}

impl Inlining {
    pub(super) fn new(module: &Module, job: &Job<'_>) -> Inlining {
        let body = module.body(job.function).map_or(0, |body| body.len);
        let is_wanted = job.inlining && module.bytes().len() < MAX_MODULE;
        let left = if is_wanted { most_inlined(body) } else { 0 };
        Inlining {
            left,
            may_be: job.may_be_inlined,
            loops: !job.leaves,
            around: vec![job.function],
            weights: HashMap::new(),
        }
    }

    /// The function that the instruction at hand belongs to.
    pub(super) fn function(&self) -> u32 {
        *self.around.last().expect("the function that is lowered")
    }

    /// Whether a call of `function` shall be replaced by its body, of as many bytes at most.
    fn take(&mut self, module: &Module, function: u32, most: u32) -> bool {
        let same = self.around.iter().filter(|around| **around == function).count();
        if self.around.len() > MAX_DEPTH || same > MAX_SAME || !(self.may_be)(function) {
            return false;
        }
        let loops = self.loops;
        let weight = *self.weights.entry(function).or_insert_with(|| weight(module, function, loops));
        let Some(weight) = weight.filter(|weight| *weight <= most.min(self.left)) else { return false };
        self.left -= weight;
        true
    }
}

/// Bytes that are inlined, at most, in a function of so many.
pub(crate) fn most_inlined(body: u32) -> u32 {
    body.saturating_mul(MAX_GROWTH).clamp(ALWAYS, MOST)
}

/// What inlining a function costs, in bytes of ordinary bodies; `None` if it cannot be inlined.
fn weight(module: &Module, function: u32, loops: bool) -> Option<u32> {
    let len = module.body(function)?.len;
    if len > MAX_LEN {
        return None;
    }
    let (body, ty) = (module.function_body(function)?, module.function_type(function));
    let mut values = ty.params().len() + ty.results().len();
    for local in body.get_locals_reader().expect("validated body") {
        values = values.saturating_add(local.expect("validated locals").0 as usize);
    }
    if values > MAX_VALUES {
        return None;
    }
    let mut operators = body.get_operators_reader().expect("validated body");
    while !operators.eof() {
        match operators.read().expect("validated operators") {
            // A tail call would keep the frame that it is to replace.
            Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. } => return None,
            Operator::Loop { .. } if !loops => return None,
            _ => {}
        }
    }
    Some(if product::multiplies_halves(&body) { len / OF_PRODUCT } else { len })
}

impl Lower<'_, '_, '_> {
    /// Lowers the body of a function in place of a call of it, if that is worthwhile.
    pub(super) fn inline(&mut self, function: u32) -> Result<bool, LowerError> {
        let is_recursive = function == self.inlining.function();
        let most = if self.is_in_loop() || is_recursive { MAX_IN_LOOP } else { MAX_ANYWHERE };
        if !self.inlining.take(self.module, function, most) {
            return Ok(false);
        }
        self.inlining.around.push(function);
        let body = self.module.function_body(function).expect("imported functions are not inlined");
        let arguments: Vec<Value> = self.top(self.module.function_type(function).params().len()).to_vec();
        self.define_operands();
        self.open_inlined(self.module.function_type(function));
        let call = self.builder.srcloc();
        let site = Some(self.places.add_site(call));
        let inlined = Body { site, base: self.control.len() - 1, ..Body::default() };
        let caller = mem::replace(&mut self.body, inlined);
        let height = self.stack.len() - arguments.len();
        self.stack.truncate(height);
        for (ty, value) in self.module.function_type(function).params().iter().zip(arguments) {
            self.declare_local(*ty, value);
        }
        self.declare_locals(&body);
        // Those of the caller are alive as well.
        let locals_here = self.local_counts();
        self.budget.add_locals(locals_here);
        let len = self.module.body(function).map_or(0, |body| body.len);
        self.budget.add_body(len as usize);
        self.inlined += len;
        self.takes(Work::of_bytes(len));
        // What the callee is charged at its entry is charged there, and not at the call.
        self.source(body.get_operators_reader().expect("validated body").original_position());
        self.first_segment(function);
        let lowered = self.operators(&body);
        self.body = caller;
        self.budget.remove_locals(locals_here);
        self.source(self.body.at.into());
        self.inlining.around.pop();
        lowered?;
        if !self.reachable {
            self.come_back(self.module.function_type(function));
        }
        self.new_segment();
        Ok(true)
    }

    /// Goes on behind a call that never comes back. Who does not look into the callee, as tier 0 and other code of this function,
    /// does not know that: what is behind it leads to labels, and segments begin there. The compiler throws it away.
    fn come_back(&mut self, ty: &FuncType) {
        let never = self.cold_block();
        self.enter_sealed(never);
        for ty in ty.results() {
            let value = self.zero(abi::value_type(*ty));
            self.push_typed(value, *ty);
        }
        self.reachable = true;
    }
}
