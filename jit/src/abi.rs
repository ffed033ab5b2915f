//! How compiled WebAssembly functions are called.
//!
//! Every function takes `(vmctx, callee_id, [results,] arguments…)` in Cranelift's `Tail` convention, in
//! whatever tier it is. The lowering of bodies and the stubs at the borders build their signatures here and
//! nowhere else. `Tail` returns at most eight values of each register class; a function with more stores all
//! of them through an explicit pointer, because Cranelift's own implicit one would take the place of `vmctx`.

use std::ptr;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{F32, F64, I8X16, I32, I64};
use cranelift_codegen::ir::{AbiParam, InstBuilder, MemFlagsData, Signature, Type, Value};
use cranelift_codegen::isa::CallConv;
use cranelift_frontend::FunctionBuilder;
use wasmrun_runtime::types::{FuncType, ValType};
use wasmrun_runtime::vm::{FRAME_ID, FuncRef};

/// Values of one register class that a function returns in registers.
const RESULT_REGISTERS: usize = 8;

/// Position of the callee's context among the parameters.
pub const VMCTX: usize = 0;

/// Position of the callee's id among the parameters.
pub const CALLEE_ID: usize = 1;

/// Position of the pointer to the results among the parameters, where there is one ([`results_in_memory`]).
pub const RESULTS: usize = 2;

/// The type of values of a WebAssembly type in registers. A `funcref` is the address of a
/// [`FuncRef`], other references are 32-bit numbers; null is 0 in both.
pub fn value_type(ty: ValType) -> Type {
    match ty {
        ValType::I32 => I32,
        ValType::I64 => I64,
        ValType::F32 => F32,
        ValType::F64 => F64,
        ValType::V128 => I8X16,
        ValType::Ref(_) if ty.is_collected() => I32,
        ValType::Ref(_) => I64,
    }
}

/// Bytes that a value takes in memory: in value slots, and behind the pointer to results.
pub fn slot_bytes(ty: ValType) -> u32 {
    if ty == ValType::V128 { 16 } else { 8 }
}

/// Bytes that values take in memory, one behind the other.
pub fn slots_bytes(types: &[ValType]) -> u32 {
    types.iter().map(|ty| slot_bytes(*ty)).sum()
}

/// Types of values in registers.
pub(crate) fn value_types(types: &[ValType]) -> Vec<Type> {
    types.iter().map(|ty| value_type(*ty)).collect()
}

/// Whether a function stores its results through a pointer instead of returning them.
pub fn results_in_memory(ty: &FuncType) -> bool {
    in_memory(&value_types(ty.results()))
}

/// Whether results of these types are too many for registers.
pub(crate) fn in_memory(results: &[Type]) -> bool {
    let floats = results.iter().filter(|ty| !ty.is_int()).count();
    floats.max(results.len() - floats) > RESULT_REGISTERS
}

/// The signature of functions of a type.
pub fn signature(ty: &FuncType) -> Signature {
    signature_of(&value_types(ty.params()), &value_types(ty.results()))
}

/// The signature of code that only takes frames over, at a loop of a function of type `ty`: [`frame_id`] is in
/// the place of the callee's id.
pub fn loop_signature(ty: &FuncType) -> Signature {
    signature_of(&[], &value_types(ty.results()))
}

/// The signature of functions with parameters and results of these types.
pub(crate) fn signature_of(params: &[Type], results: &[Type]) -> Signature {
    let mut signature = Signature::new(CallConv::Tail);
    let in_memory = in_memory(results);
    let own = if in_memory { 3 } else { 2 };
    signature.params.extend((0..own).map(|_| AbiParam::new(I64)));
    signature.params.extend(params.iter().copied().map(AbiParam::new));
    if !in_memory {
        signature.returns.extend(results.iter().copied().map(AbiParam::new));
    }
    signature
}

/// The id of a frame of tier 0, with slots at this address, that code takes over.
pub fn frame_id(slots: *mut u64) -> u64 {
    slots.expose_provenance() as u64 | FRAME_ID
}

/// Whether an id is that of a frame.
pub fn is_frame_id(builder: &mut FunctionBuilder<'_>, id: Value) -> Value {
    let kind = builder.ins().band_imm_u(id, 3);
    builder.ins().icmp_imm_u(IntCC::Equal, kind, FRAME_ID as i64)
}

/// The address of the slots of the frame with this id.
pub fn slots_of_frame(builder: &mut FunctionBuilder<'_>, id: Value) -> Value {
    builder.ins().iadd_imm_s(id, -(FRAME_ID as i64))
}

/// Which function is called, as an id says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callee {
    /// The function with this index in the module of the context.
    Function(u32),
    /// The function that the reference at this address refers to.
    Reference(*const FuncRef),
}

impl Callee {
    /// What an id says.
    pub fn of(id: u64) -> Callee {
        match id & 1 {
            1 => Callee::Function((id >> 1) as u32),
            _ => Callee::Reference(ptr::with_exposed_provenance(id as usize)),
        }
    }
}

/// Stores a value in the representation of a slot: what is shorter than the slot is extended with zeroes.
pub fn store_slot(
    builder: &mut FunctionBuilder<'_>,
    flags: MemFlagsData,
    value: Value,
    base: Value,
    offset: i32,
) {
    let bits = match builder.func.dfg.value_type(value) {
        F32 => builder.ins().bitcast(I32, MemFlagsData::new(), value),
        _ => value,
    };
    let word = match builder.func.dfg.value_type(bits) {
        I32 => builder.ins().uextend(I64, bits),
        _ => bits,
    };
    builder.ins().store(flags, word, base, offset);
}

/// Loads a value of type `ty` from a slot.
pub fn load_slot(
    builder: &mut FunctionBuilder<'_>,
    flags: MemFlagsData,
    ty: ValType,
    base: Value,
    offset: i32,
) -> Value {
    // The low half comes first on every machine that the engine runs on.
    builder.ins().load(value_type(ty), flags, base, offset)
}

/// The type of code that goes on in the middle of a function of type `ty`.
pub(crate) fn without_parameters(ty: &FuncType) -> FuncType {
    FuncType::new([], ty.results().iter().copied())
}

#[cfg(test)]
mod tests {
    use wasmrun_runtime::vm::{NULL_FUNC_REF, direct_callee_id};

    use super::*;

    fn function(params: &[ValType], results: &[ValType]) -> FuncType {
        FuncType::new(params.iter().copied(), results.iter().copied())
    }

    #[test]
    fn eight_results_of_each_class_fit_registers_and_nine_do_not() {
        let mut results = [[ValType::I32; 8], [ValType::F64; 8]].concat();
        assert!(!results_in_memory(&function(&[], &results)));
        results.push(ValType::EXTERNREF);
        assert!(results_in_memory(&function(&[], &results)));
        results.pop();
        results.push(ValType::V128);
        assert!(results_in_memory(&function(&[], &results)));
        assert_eq!(slots_bytes(&results), 16 * 8 + 16);
    }

    #[test]
    fn the_pointer_to_results_stands_before_the_arguments() {
        let params = [ValType::I32, ValType::FUNCREF, ValType::EXTERNREF];
        let of = |types: &[AbiParam]| types.iter().map(|p| p.value_type).collect::<Vec<_>>();
        let few = signature(&function(&params, &[ValType::F32]));
        assert_eq!((of(&few.params), of(&few.returns)), (vec![I64, I64, I32, I64, I32], vec![F32]));
        let many = signature(&function(&params, &[ValType::I32; 9]));
        assert_eq!((of(&many.params), of(&many.returns)), (vec![I64, I64, I64, I32, I64, I32], vec![]));
    }

    #[test]
    fn ids_of_functions_are_odd_up_to_the_last_one() {
        assert_eq!(direct_callee_id(0), 1);
        assert_eq!(direct_callee_id(u32::MAX), 0x1_ffff_ffff);
        for function in [0, 1, u32::MAX] {
            assert_eq!(Callee::of(direct_callee_id(function)), Callee::Function(function));
        }
        let reference = &raw const NULL_FUNC_REF;
        assert_eq!(Callee::of(reference.expose_provenance() as u64), Callee::Reference(reference));
    }
}
