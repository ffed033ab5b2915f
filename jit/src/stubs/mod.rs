//! The borders of compiled code: how the host enters it, how it calls the host and tier 0, and how a call finds
//! a function that has not been compiled yet.
//!
//! `enter`, `to_host`, `to_interp`, `resume` and `bounce` are made by Cranelift, one of each for an [`AbiClass`], when first
//! needed; they know nothing of a store or a module and can be kept for as long as the process lives. What cannot be said
//! in Cranelift's language is in a file of naked functions, one for each architecture.

#![allow(unsafe_code)]

mod cache;
mod class;
mod enter;
#[cfg(target_arch = "x86_64")]
#[path = "x86_64.rs"]
mod naked;
mod outward;
mod to_host;
mod to_interp;

use std::io;
use std::sync::atomic::{AtomicPtr, Ordering};

use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::types::I8X16;
use cranelift_codegen::ir::{Function, InstBuilder, MemFlagsData, Signature, Type, UserFuncName, Value};
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::{CodegenError, Context};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use wasmrun_runtime::trap::Pending;
use wasmrun_runtime::vm::VmContext;

use crate::abi;
use crate::arena::ArenaError;
use class::with_offsets;

pub use cache::{StubKind, Stubs};
pub use class::AbiClass;
pub use enter::{EnterStub, compile_enter, enter};
pub use naked::lazy_bind;
pub(crate) use naked::{
    array_new, array_new_data, array_new_elem, poll, raise, raise_in_caller, struct_new, table_callee,
};
pub use to_host::compile_to_host;
pub use to_interp::{compile_bounce, compile_resume, compile_to_interp};

/// Why there is no stub for a function type.
#[derive(Debug, thiserror::Error)]
pub enum StubError {
    /// The type has more parameters than the code generator takes.
    #[error("no stub can be made for this function type: {0}")]
    Compile(#[from] CodegenError),
    /// There is no code memory for it.
    #[error("a stub has no place: {0}")]
    Install(#[from] ArenaError),
    /// The guest has left no stack for the compiler, and the system has no thread for it.
    #[error("the compiler of a stub has no stack: {0}")]
    Thread(#[source] io::Error),
    /// The compiler failed at an assertion of its own.
    #[error("the compiler panicked over a stub: please report this module")]
    Panicked,
    /// There are more function types than room for their stubs is set aside for.
    #[error(
        "the stubs for the module's function types would take more code memory than the {most} bytes that they may"
    )]
    TooMany {
        /// What is left for them.
        most: usize,
    },
}

/// The guest cannot go on, and it is not its fault: the host learns the reason.
impl From<StubError> for Pending {
    fn from(error: StubError) -> Pending {
        Pending::Host(Box::new(error))
    }
}

/// Finds the code of a function: what [`lazy_bind`] asks. The arguments are the callee's context and id, and
/// the frame pointer of the binder, whose caller is the frame that calls.
///
/// It returns the address to go on at, or null when there is no such code and the reason is pending on the
/// current execution context.
pub type Resolver =
    unsafe extern "C" fn(vmctx: *mut VmContext, callee_id: u64, frame: *const usize) -> *const u8;

static RESOLVER: AtomicPtr<()> = AtomicPtr::new(unset_resolver as *mut ());

/// Names the function that [`lazy_bind`] asks. It is one for the process: contexts lead to everything else.
pub fn set_resolver(resolver: Resolver) {
    RESOLVER.store(resolver as *mut (), Ordering::Release);
}

unsafe extern "C" fn unset_resolver(_: *mut VmContext, _: u64, _: *const usize) -> *const u8 {
    panic!("compiled code calls a function and no resolver has been named");
}

/// Compiles a stub. The code needs no relocation and contains nothing that can fault.
fn compile(
    isa: &dyn TargetIsa,
    signature: Signature,
    body: impl FnOnce(&mut FunctionBuilder<'_>),
) -> Result<Vec<u8>, StubError> {
    assert!(isa.flags().preserve_frame_pointers(), "frames are found by their frame pointers");
    let mut context =
        Context::for_function(Function::with_name_signature(UserFuncName::default(), signature));
    let mut builder_context = FunctionBuilderContext::new();
    let mut builder = FunctionBuilder::new(&mut context.func, &mut builder_context);
    body(&mut builder);
    builder.seal_all_blocks();
    builder.finalize(isa.frontend_config());
    let code = context.compile(isa, &mut ControlPlane::default()).map_err(|error| error.inner)?;
    assert!(code.buffer.relocs().is_empty(), "stubs name nothing by symbol");
    Ok(code.code_buffer().to_vec())
}

/// Flags of an access to slots: it does not fault. Vectors are aligned to 8 bytes only.
fn slot_flags(ty: Type) -> MemFlagsData {
    let flags = MemFlagsData::new().with_trap_code(None);
    if ty == I8X16 { flags } else { flags.with_aligned() }
}

/// Loads a value of type `ty` from its slot.
fn load_slot(builder: &mut FunctionBuilder<'_>, ty: Type, slots: Value, offset: i32) -> Value {
    builder.ins().load(ty, slot_flags(ty), slots, offset)
}

/// Loads values of these types from slots, one behind the other.
fn load_slots(builder: &mut FunctionBuilder<'_>, types: &[Type], slots: Value) -> Vec<Value> {
    with_offsets(types).map(|(ty, offset)| load_slot(builder, ty, slots, offset)).collect()
}

/// Stores values of these types to slots, one behind the other.
fn store_slots(builder: &mut FunctionBuilder<'_>, values: &[Value], types: &[Type], slots: Value) {
    for (value, (_, offset)) in values.iter().zip(with_offsets(types)) {
        store_slot(builder, *value, slots, offset);
    }
}

/// Stores a value to its slot, the unused half of which becomes zero.
fn store_slot(builder: &mut FunctionBuilder<'_>, value: Value, slots: Value, offset: i32) {
    let flags = slot_flags(builder.func.dfg.value_type(value));
    abi::store_slot(builder, flags, value, slots, offset);
}
