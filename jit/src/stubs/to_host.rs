//! From compiled code to functions of the host.
//!
//! The stub has the signature of a compiled function, so that callers need not know whom they call. It lays
//! the arguments out in slots on its own frame, lets the function's [`DirectCall`](wasmrun_runtime::vm::DirectCall) do the
//! call, and loads the results from the same slots. Where there is none, or no instance calls, [`Builtin::CallHost`] does it.
//! The caller's context is null then, as that in a reference to a host function is: the addresses of the two builtins are
//! therefore part of the stub's code.

use std::mem::offset_of;

use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{
    AbiParam, InstBuilder, MemFlagsData, Signature, StackSlotData, StackSlotKind, Value,
};
use cranelift_codegen::isa::{CallConv, TargetIsa};
use cranelift_frontend::FunctionBuilder;
use wasmrun_runtime::vm::{ExecContext, FuncRef, HostFunc, NativeWords, VmContext};

use super::outward::{Params, call, raise, return_slots};
use super::{AbiClass, StubError, compile, store_slots};
use crate::builtins::Builtin;

/// Makes the `to_host` stub of a class: the code of every host function of that class.
///
/// The id that it is called with is the address of the function's
/// [`FuncRef`](wasmrun_runtime::vm::FuncRef); the context is that of the instance that calls, which the host
/// function gets to see, or null.
pub fn compile_to_host(isa: &dyn TargetIsa, class: &AbiClass) -> Result<Vec<u8>, StubError> {
    compile(isa, class.signature(), |builder| {
        let start = builder.create_block();
        let [from_guest, direct, general, ok, failed] = [(); 5].map(|()| builder.create_block());
        builder.set_cold_block(general);
        builder.set_cold_block(failed);
        let exec = builder.append_block_param(failed, I64);
        let Params { vmctx, id, area, rest: args } = Params::of(builder, start, class);

        let size = (class.slots() * 8) as u32;
        let slot = builder.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, size, 4));
        let slots = builder.ins().stack_addr(I64, slot, 0);
        store_slots(builder, &args, class.params(), slots);
        builder.ins().brif(vmctx, from_guest, &[], general, &[]);

        builder.switch_to_block(from_guest);
        let host = load(builder, id, offset_of!(FuncRef, host));
        let code = load(builder, host, HostFunc::DIRECT);
        builder.ins().brif(code, direct, &[], general, &[]);

        builder.switch_to_block(direct);
        let current = load(builder, vmctx, VmContext::EXEC);
        leave_exit(builder, current);
        let signature = builder.import_signature(direct_call());
        let call_direct = builder.ins().call_indirect(signature, code, &[current, vmctx, host, slots]);
        let stopped = builder.inst_results(call_direct)[0];
        builder.ins().brif(stopped, failed, &[stopped.into()], ok, &[]);

        builder.switch_to_block(general);
        let frame = builder.ins().get_frame_pointer(I64);
        let (status, current) = call(builder, Builtin::CallHost, &[vmctx, id, slots, frame]);
        builder.ins().brif(status, failed, &[current.into()], ok, &[]);

        builder.switch_to_block(failed);
        let frame = builder.ins().get_frame_pointer(I64);
        raise(builder, exec, frame);

        builder.switch_to_block(ok);
        return_slots(builder, class, slots, area);
    })
}

/// The signature of a [`DirectCall`](wasmrun_runtime::vm::DirectCall).
fn direct_call() -> Signature {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.extend([AbiParam::new(I64)].repeat(4));
    signature.returns.push(AbiParam::new(I64));
    signature
}

fn load(builder: &mut FunctionBuilder<'_>, base: Value, offset: usize) -> Value {
    builder.ins().load(I64, MemFlagsData::trusted(), base, offset as i32)
}

/// Says where compiled code is left: in the frame of the stub's caller.
fn leave_exit(builder: &mut FunctionBuilder<'_>, exec: Value) {
    let frame = builder.ins().get_frame_pointer(I64);
    let words = [offset_of!(NativeWords, exit_fp), offset_of!(NativeWords, exit_pc)];
    for (index, word) in words.into_iter().enumerate() {
        let value = load(builder, frame, index * 8);
        let offset = (ExecContext::NATIVE + word) as i32;
        builder.ins().store(MemFlagsData::trusted(), value, exec, offset);
    }
}
