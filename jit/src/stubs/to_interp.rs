//! From compiled code to functions of tier 0, and back into compiled code by a tail call.
//!
//! `to_interp` is the code of every function of its class that runs in tier 0. It lays the arguments out on the
//! value stack, above everything that is running, lets the [`InterpreterEntry`] of the execution context do the call,
//! and loads the results from the same slots. What the class does not know is left to that function: which
//! of the 32-bit words are references and belong on the other stack.
//!
//! A function of tier 0 that ends in a tail call of a compiled one cannot make it: the frame of `to_interp` is
//! between its own and that of the caller. It returns [`Status::TailCall`] with the callee as a [`TailTarget`],
//! and `to_interp` jumps to the callee's `bounce` stub, which loads the arguments and jumps on. `to_interp` does not
//! know the callee's class; `bounce` is called with pointers only and needs but the same results, which a tail
//! call requires anyway. So tail calls in any order between the tiers use no more native stack than one of them.
//!
//! [`InterpreterEntry`]: wasmrun_runtime::vm::InterpreterEntry

use std::mem::offset_of;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{AbiParam, InstBuilder, MemFlagsData, Signature, Value};
use cranelift_codegen::isa::{CallConv, TargetIsa};
use cranelift_frontend::FunctionBuilder;
use wasmrun_runtime::trap::Status;
use wasmrun_runtime::vm::{ExecContext, NativeEntries, NativeWords, TailTarget, VmContext};

use super::outward::{Params, call, raise, return_slots};
use super::{AbiClass, StubError, compile, load_slots, store_slots};
use crate::builtins::Builtin;

/// Offset of a word for compiled code in the execution context.
const fn native(word: usize) -> i32 {
    (ExecContext::NATIVE + word) as i32
}

/// Makes the `to_interp` stub of a class.
///
/// It is called as every function, with a context, of which it takes the execution context, and an id.
pub fn compile_to_interp(isa: &dyn TargetIsa, class: &AbiClass) -> Result<Vec<u8>, StubError> {
    compile(isa, class.signature(), |builder| {
        let [start, poll, fits, failed] = [(); 4].map(|()| builder.create_block());
        [poll, failed].into_iter().for_each(|block| builder.set_cold_block(block));
        let params = Params::of(builder, start, class);
        let flags = MemFlagsData::trusted();
        let exec = builder.ins().load(I64, flags, params.vmctx, VmContext::EXEC as i32);
        let frame = builder.ins().get_frame_pointer(I64);
        let slots = builder.ins().load(I64, flags, exec, offset_of!(ExecContext, value_top) as i32);
        let end = builder.ins().iadd_imm_u(slots, (class.slots() * 8) as i64);
        let limit = builder.ins().load(I64, flags, exec, ExecContext::VALUE_LIMIT as i32);
        let beyond = builder.ins().icmp(IntCC::UnsignedGreaterThan, end, limit);
        builder.ins().brif(beyond, poll, &[], fits, &[]);

        builder.switch_to_block(poll);
        let (status, _) = call(builder, Builtin::PollValues, &[params.vmctx, end]);
        builder.ins().brif(status, failed, &[], fits, &[]);

        builder.switch_to_block(failed);
        raise(builder, exec, frame);

        builder.switch_to_block(fits);
        store_slots(builder, &params.rest, class.params(), slots);
        finish(
            builder,
            class,
            &params,
            &Words { exec, frame, slots },
            offset_of!(NativeEntries, interpreter),
        );
    })
}

/// Makes the `resume` stub of a class without parameters.
///
/// Compiled code that leaves for tier 0 in the middle of a function jumps to it, with the function's context and id. Its
/// values are in the slots of tier 0.
pub fn compile_resume(isa: &dyn TargetIsa, class: &AbiClass) -> Result<Vec<u8>, StubError> {
    compile(isa, class.signature(), |builder| {
        let start = builder.create_block();
        let params = Params::of(builder, start, class);
        let flags = MemFlagsData::trusted();
        let exec = builder.ins().load(I64, flags, params.vmctx, VmContext::EXEC as i32);
        let frame = builder.ins().get_frame_pointer(I64);
        let slots = builder.ins().load(I64, flags, exec, offset_of!(ExecContext, value_top) as i32);
        finish(builder, class, &params, &Words { exec, frame, slots }, offset_of!(NativeEntries, resume));
    })
}

/// What a stub keeps at hand.
struct Words {
    exec: Value,
    frame: Value,
    slots: Value,
}

/// Lets Rust do the call by the function at this offset of [`NativeEntries`], and does what it answers.
fn finish(builder: &mut FunctionBuilder<'_>, class: &AbiClass, params: &Params, words: &Words, run: usize) {
    let &Words { exec, frame, slots } = words;
    let [ok, other, tail, failed] = [(); 4].map(|()| builder.create_block());
    [other, tail, failed].into_iter().for_each(|block| builder.set_cold_block(block));
    let flags = MemFlagsData::trusted();
    // Whoever walks the frames finds the caller first.
    for (from, to) in [(0, offset_of!(NativeWords, exit_fp)), (8, offset_of!(NativeWords, exit_pc))] {
        let word = builder.ins().load(I64, flags, frame, from);
        builder.ins().store(flags, word, exec, native(to));
    }
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.extend([AbiParam::new(I64)].repeat(4));
    signature.returns.push(AbiParam::new(I64));
    let signature = builder.import_signature(signature);
    let entry = offset_of!(NativeWords, entries) + run;
    let run = builder.ins().load(I64, flags, exec, native(entry));
    let run = builder.ins().call_indirect(signature, run, &[params.vmctx, params.id, slots, frame]);
    let status = builder.inst_results(run)[0];
    builder.ins().brif(status, other, &[], ok, &[]);

    builder.switch_to_block(ok);
    return_slots(builder, class, slots, params.area);

    builder.switch_to_block(other);
    let is_tail = builder.ins().icmp_imm_u(IntCC::Equal, status, Status::TailCall as i64);
    builder.ins().brif(is_tail, tail, &[], failed, &[]);

    builder.switch_to_block(tail);
    let [vmctx, id, slots, code, bounce] = [
        offset_of!(TailTarget, vmctx),
        offset_of!(TailTarget, callee_id),
        offset_of!(TailTarget, slots),
        offset_of!(TailTarget, code),
        offset_of!(TailTarget, bounce),
    ]
    .map(|word| {
        let offset = native(offset_of!(NativeWords, tail_call) + word);
        builder.ins().load(I64, flags, exec, offset)
    });
    let args = [params.first(vmctx, id), vec![slots, code]].concat();
    let signature = builder.import_signature(class.bounce_signature());
    builder.ins().return_call_indirect(signature, bounce, &args);

    builder.switch_to_block(failed);
    raise(builder, exec, frame);
}

/// Makes the `bounce` stub of a class.
///
/// It is named in a [`TailTarget`] and jumped to by `to_interp` stubs alone. All arguments are in registers or in
/// the callee's argument area before anything runs that could use the slots again.
pub fn compile_bounce(isa: &dyn TargetIsa, class: &AbiClass) -> Result<Vec<u8>, StubError> {
    compile(isa, class.bounce_signature(), |builder| {
        let start = builder.create_block();
        let params = Params::of(builder, start, class);
        let &[slots, code] = &params.rest[..] else { unreachable!("slots and code are all parameters") };
        let args = load_slots(builder, class.params(), slots);
        let args = [params.first(params.vmctx, params.id), args].concat();
        let signature = builder.import_signature(class.signature());
        builder.ins().return_call_indirect(signature, code, &args);
    })
}
