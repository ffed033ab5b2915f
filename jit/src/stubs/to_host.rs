//! From compiled code to functions of the host.
//!
//! The stub has the signature of a compiled function, so that callers need not know whom they call. It lays
//! the arguments out in slots on its own frame, lets [`Builtin::CallHost`] do the call, and loads the results
//! from the same slots. Its caller's context may be null, as that in a reference to a host function is:
//! the addresses of the two builtins are therefore part of its code.

use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{InstBuilder, StackSlotData, StackSlotKind};
use cranelift_codegen::isa::TargetIsa;

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
        let ok = builder.create_block();
        let failed = builder.create_block();
        builder.set_cold_block(failed);
        let Params { vmctx, id, area, rest: args } = Params::of(builder, start, class);

        let size = (class.slots() * 8) as u32;
        let slot = builder.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, size, 4));
        let slots = builder.ins().stack_addr(I64, slot, 0);
        store_slots(builder, &args, class.params(), slots);
        let frame = builder.ins().get_frame_pointer(I64);
        let (status, exec) = call(builder, Builtin::CallHost, &[vmctx, id, slots, frame]);
        builder.ins().brif(status, failed, &[], ok, &[]);

        builder.switch_to_block(failed);
        raise(builder, exec, frame);

        builder.switch_to_block(ok);
        return_slots(builder, class, slots, area);
    })
}
