//! From Rust into compiled code.
//!
//! The stub saves who was entered before, leaves its own stack pointer, frame pointer and handler in the
//! execution context, and calls the function with a `try_call`. A trap resumes at that handler with those
//! two registers; nothing else of the machine's state is needed there, as the exception edge of a `try_call`
//! clobbers every register and the stub has saved the callee-saved ones of its caller on entry.

use std::mem::offset_of;

use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{
    AbiParam, BlockArg, ExceptionTableData, ExceptionTableItem, InstBuilder, MemFlagsData, Signature,
};
use cranelift_codegen::isa::{CallConv, TargetIsa};
use wasmrun_runtime::trap::Status;
use wasmrun_runtime::vm::{ExecContext, NativeWords, VmContext};

use super::{AbiClass, StubError, compile, load_slots, store_slots};
use crate::builtins::functions;
use crate::trap::CurrentExec;

/// What [`compile_enter`] makes: call it through [`enter`].
///
/// Takes the execution context, the code to call, its first two arguments, and the slots of arguments and
/// results. Returns 0, or the number of another [`Status`].
pub type EnterStub = unsafe extern "C" fn(*mut ExecContext, *const u8, *mut VmContext, u64, *mut u64) -> u64;

/// Enters compiled code on the native stack of this thread.
///
/// The arguments are in `slots`, in the representation of value slots, from slot 0 on; so are the results when
/// this returns [`Status::Ok`]. After any other status the reason is pending on `exec`, and the frames that were left are
/// in its [`NativeTrace`](wasmrun_runtime::vm::NativeTrace), to be taken.
///
/// # Safety
/// `stub` is an `enter` stub of the class of the function at `code`, which is to be called with
/// `callee_vmctx` and `callee_id`; `slots` has [`AbiClass::slots`] slots, which nested entries do not use.
/// `exec` belongs to the store of that function, which nothing else borrows, and a
/// [`Segment`](wasmrun_runtime::vm::Segment) of compiled code is in place. All code that this can reach is known to the
/// lookup of the signal handler ([`trap::install`](crate::trap::install)).
pub unsafe fn enter(
    stub: EnterStub,
    exec: *mut ExecContext,
    code: *const u8,
    callee_vmctx: *mut VmContext,
    callee_id: u64,
    slots: *mut u64,
) -> Status {
    // SAFETY: the caller's promise. Nothing unwinds through the stub.
    unsafe {
        (*exec).native.builtins = functions::table();
        let _current = CurrentExec::set(exec);
        match stub(exec, code, callee_vmctx, callee_id, slots) {
            0 => {
                // What a trap inside of this entry has left, and the host has dealt with, is nobody's any more.
                (*exec).native.trace.present = false;
                Status::Ok
            }
            _ => Status::Trap,
        }
    }
}

/// Makes the `enter` stub of a class.
pub fn compile_enter(isa: &dyn TargetIsa, class: &AbiClass) -> Result<Vec<u8>, StubError> {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.extend([AbiParam::new(I64)].repeat(5));
    signature.returns.push(AbiParam::new(I64));
    compile(isa, signature, |builder| {
        let start = builder.create_block();
        // The verifier does not allow the block whose handler address is taken to be the entry block.
        let call = builder.create_block();
        let returned = builder.create_block();
        let trapped = builder.create_block();
        builder.set_cold_block(trapped);
        builder.append_block_params_for_function_params(start);
        builder.switch_to_block(start);
        let &[exec, code, vmctx, id, slots] = builder.block_params(start) else {
            unreachable!("the stub has five parameters")
        };
        builder.ins().jump(call, &[]);

        builder.switch_to_block(call);
        let flags = MemFlagsData::trusted();
        let words = [
            offset_of!(NativeWords, entry_sp),
            offset_of!(NativeWords, entry_fp),
            offset_of!(NativeWords, entry_handler),
        ]
        .map(|word| (ExecContext::NATIVE + word) as i32);
        let outer = words.map(|word| builder.ins().load(I64, flags, exec, word));
        let own = [
            builder.ins().get_stack_pointer(I64),
            builder.ins().get_frame_pointer(I64),
            builder.ins().get_exception_handler_address(I64, call, 0),
        ];
        for (value, word) in own.into_iter().zip(words) {
            builder.ins().store(flags, value, exec, word);
        }
        let mut args = vec![vmctx, id];
        if class.has_result_area() {
            // The callee's results have the layout of slots.
            args.push(slots);
        }
        args.extend(load_slots(builder, class.params(), slots));

        let callee = class.signature();
        let in_registers = callee.returns.len();
        let results: Vec<_> = callee
            .returns
            .iter()
            .map(|result| builder.append_block_param(returned, result.value_type))
            .collect();
        let status = builder.append_block_param(trapped, I64);
        let callee = builder.import_signature(callee);
        let results_there: Vec<_> = (0..in_registers as u32).map(BlockArg::TryCallRet).collect();
        let dfg = &mut builder.func.dfg;
        let returned_there = dfg.block_call(returned, &results_there);
        let trapped_there = dfg.block_call(trapped, &[BlockArg::TryCallExn(0)]);
        let handlers = [ExceptionTableItem::Default(trapped_there)];
        let table = dfg.exception_tables.push(ExceptionTableData::new(callee, returned_there, handlers));
        builder.ins().try_call_indirect(code, &args, table);

        builder.switch_to_block(returned);
        // None if they are in the slots already.
        store_slots(builder, &results, class.results(), slots);
        for (value, word) in outer.into_iter().zip(words) {
            builder.ins().store(flags, value, exec, word);
        }
        let ok = builder.ins().iconst(I64, 0);
        builder.ins().return_(&[ok]);

        builder.switch_to_block(trapped);
        for (value, word) in outer.into_iter().zip(words) {
            builder.ins().store(flags, value, exec, word);
        }
        builder.ins().return_(&[status]);
    })
}
