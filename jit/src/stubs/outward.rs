//! What the stubs have in common that stand in a code cell for a function that is not compiled code.
//!
//! They have the signature of a compiled function, so that callers need not know whom they call, and exchange
//! arguments and results with Rust in slots. Where they raise, their caller is the innermost frame: they have no
//! place in the source.

use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{AbiParam, Block, InstBuilder, MemFlagsData, TrapCode, Value};
use cranelift_frontend::FunctionBuilder;
use wasmrun_runtime::trap::Trap;

use super::class::with_offsets;
use super::{AbiClass, load_slots};
use crate::builtins::{Builtin, functions};
use crate::trap::code;

/// The parameters of a compiled function, or of a stub with the same results.
pub(super) struct Params {
    pub(super) vmctx: Value,
    pub(super) id: Value,
    /// Where the results go if they do not fit registers.
    pub(super) area: Option<Value>,
    pub(super) rest: Vec<Value>,
}

impl Params {
    /// Goes to the entry block of a function of this class, or of its `bounce` stub.
    pub(super) fn of(builder: &mut FunctionBuilder<'_>, start: Block, class: &AbiClass) -> Params {
        builder.append_block_params_for_function_params(start);
        builder.switch_to_block(start);
        let params = builder.block_params(start);
        let own = if class.has_result_area() { 3 } else { 2 };
        Params {
            vmctx: params[0],
            id: params[1],
            area: class.has_result_area().then(|| params[2]),
            rest: params[own..].to_vec(),
        }
    }

    /// The parameters before the last ones, for a call with the same results.
    pub(super) fn first(&self, vmctx: Value, id: Value) -> Vec<Value> {
        [vmctx, id].into_iter().chain(self.area).collect()
    }
}

/// Calls a builtin that returns: its status and its value.
pub(super) fn call(builder: &mut FunctionBuilder<'_>, builtin: Builtin, args: &[Value]) -> (Value, Value) {
    match call_any(builder, builtin, args)[..] {
        [status, value] => (status, value),
        _ => unreachable!("builtins that return, return a pair"),
    }
}

/// Raises what is pending on `exec`, in the caller of the stub, whose frame pointer is `frame`. Ends the block.
pub(super) fn raise(builder: &mut FunctionBuilder<'_>, exec: Value, frame: Value) {
    call_any(builder, Builtin::RaiseInCaller, &[exec, frame]);
    // Never reached.
    const NEVER: TrapCode = code::code_of(Trap::UnreachableCodeReached);
    builder.ins().trap(NEVER);
}

fn call_any(builder: &mut FunctionBuilder<'_>, builtin: Builtin, args: &[Value]) -> Vec<Value> {
    debug_assert_eq!(builtin.signature().params, [AbiParam::new(I64)].repeat(args.len()));
    let signature = builder.import_signature(builtin.signature());
    let callee = builder.ins().iconst(I64, functions::function(builtin) as i64);
    let call = builder.ins().call_indirect(signature, callee, args);
    builder.inst_results(call).to_vec()
}

/// Returns the results that are in slots.
pub(super) fn return_slots(
    builder: &mut FunctionBuilder<'_>,
    class: &AbiClass,
    slots: Value,
    area: Option<Value>,
) {
    let Some(area) = area else {
        let results = load_slots(builder, class.results(), slots);
        builder.ins().return_(&results);
        return;
    };
    let size = with_offsets(class.results()).last().map_or(0, |(ty, at)| at + ty.bytes() as i32);
    for word in (0..size).step_by(8) {
        let flags = MemFlagsData::trusted();
        let value = builder.ins().load(I64, flags, slots, word);
        builder.ins().store(flags, value, area, word);
    }
    builder.ins().return_(&[]);
}
