//! From compiled code to functions of the host.
//!
//! The stub has the signature of a compiled function, so that callers need not know whom they call. It lays
//! the arguments out in slots on its own frame, lets [`Builtin::CallHost`] do the call, and loads the results
//! from the same slots. Its caller's context may be null, as that in a reference to a host function is:
//! the addresses of the two builtins are therefore part of its code.

use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{
    AbiParam, InstBuilder, MemFlagsData, StackSlotData, StackSlotKind, TrapCode, Value,
};
use cranelift_codegen::isa::TargetIsa;
use cranelift_frontend::FunctionBuilder;

use super::class::with_offsets;
use super::{AbiClass, StubError, compile, load_slot, store_slot};
use crate::builtins::Builtin;
use crate::trap::code;

/// Makes the `to_host` stub of a class: the code of every host function of that class.
///
/// The id that it is called with is the address of the function's
/// [`FuncRef`](wasmrun_runtime::vm::FuncRef); the context is that of the instance that calls, which the host
/// function gets to see, or null.
pub fn compile_to_host(isa: &dyn TargetIsa, class: &AbiClass) -> Result<Vec<u8>, StubError> {
    compile(isa, class.signature(), |builder| {
        let start = builder.create_block();
        let ok = builder.create_block();
        let failed = builder.create_block();
        builder.set_cold_block(failed);
        builder.append_block_params_for_function_params(start);
        builder.switch_to_block(start);
        let params = builder.block_params(start).to_vec();
        let (vmctx, id) = (params[0], params[1]);
        let (area, args) = match class.has_result_area() {
            true => (Some(params[2]), &params[3..]),
            false => (None, &params[2..]),
        };

        let size = (class.slots() * 8) as u32;
        let slot = builder.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, size, 4));
        let slots = builder.ins().stack_addr(I64, slot, 0);
        for (arg, (_, offset)) in args.iter().zip(with_offsets(class.params())) {
            store_slot(builder, *arg, slots, offset);
        }
        let frame = builder.ins().get_frame_pointer(I64);
        let pair = call(builder, Builtin::CallHost, &[vmctx, id, slots, frame]);
        let (status, exec) = (pair[0], pair[1]);
        builder.ins().brif(status, failed, &[], ok, &[]);

        builder.switch_to_block(failed);
        call(builder, Builtin::Raise, &[exec]);
        builder.ins().trap(NEVER_REACHED);

        builder.switch_to_block(ok);
        match area {
            Some(area) => {
                let size = with_offsets(class.results()).last().map_or(0, |(ty, at)| at + ty.bytes() as i32);
                for word in (0..size).step_by(8) {
                    let flags = MemFlagsData::trusted();
                    let value = builder.ins().load(I64, flags, slots, word);
                    builder.ins().store(flags, value, area, word);
                }
                builder.ins().return_(&[]);
            }
            None => {
                let results: Vec<_> = with_offsets(class.results())
                    .map(|(ty, offset)| load_slot(builder, ty, slots, offset))
                    .collect();
                builder.ins().return_(&results);
            }
        }
    })
}

/// Ends the block behind a builtin that does not return.
const NEVER_REACHED: TrapCode = code::code_of(wasmrun_runtime::trap::Trap::UnreachableCodeReached);

fn call(builder: &mut FunctionBuilder<'_>, builtin: Builtin, args: &[Value]) -> Vec<Value> {
    debug_assert_eq!(builtin.signature().params, [AbiParam::new(I64)].repeat(args.len()));
    let signature = builder.import_signature(builtin.signature());
    let callee = builder.ins().iconst(I64, builtin.address() as i64);
    let call = builder.ins().call_indirect(signature, callee, args);
    builder.inst_results(call).to_vec()
}
