//! How compiled code calls a function of its own module that it calls in many places: over a thunk of two instructions,
//! behind its own code.
//!
//! The thunk jumps to where the callee's code cell says. A call of the cell itself, as there are elsewhere, is an
//! indirect one: the processor has to have seen each of them to guess where it goes, and remembers only so many. A call
//! of a thunk goes to a fixed place, and the jump in there is shared.
//!
//! The code stays independent of where it is: it finds the cells through the context, which is the first argument of
//! all functions.

use std::collections::BTreeMap;

use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::ir::ExternalName;
use cranelift_codegen::ir::function::FunctionParameters;
use cranelift_codegen::{FinalizedMachReloc, FinalizedRelocTarget};
use wasmrun_runtime::module::CodeCell;
use wasmrun_runtime::vm::VmContext;

use crate::compile::CompileError;

/// Bytes of a thunk, and what its address is a multiple of.
const SIZE: usize = 16;

/// Whether the function with this number among those that the module defines can be called so.
pub(crate) fn can_call(defined: u32) -> bool {
    displacement(defined).is_some()
}

/// Where the code is in the table of cells.
fn displacement(defined: u32) -> Option<i32> {
    i32::try_from(defined as usize * size_of::<CodeCell>() + CodeCell::NATIVE).ok()
}

/// Appends the thunks that `code` needs, and lets its calls lead to them. Functions are named by their numbers among
/// those that the module defines.
pub(crate) fn append(
    code: &mut Vec<u8>,
    calls: &[FinalizedMachReloc],
    params: &FunctionParameters,
) -> Result<(), CompileError> {
    let mut thunks = BTreeMap::new();
    for call in calls {
        let callee = callee(call, params);
        let callee = callee.ok_or_else(|| CompileError::Relocation(format!("{:?}", call.target)))?;
        let thunk = *thunks.entry(callee).or_insert_with(|| {
            code.resize(code.len().next_multiple_of(SIZE), TRAP);
            let start = code.len();
            code.extend(thunk(callee));
            start
        });
        let field = call.offset as usize;
        let distance = thunk as i64 + call.addend - field as i64;
        let distance =
            i32::try_from(distance).map_err(|_| CompileError::Relocation("a distant thunk".into()))?;
        code[field..field + 4].copy_from_slice(&distance.to_le_bytes());
    }
    Ok(())
}

/// `int3`, which nothing comes to.
const TRAP: u8 = 0xCC;

fn callee(call: &FinalizedMachReloc, params: &FunctionParameters) -> Option<u32> {
    match (call.kind, &call.target) {
        (Reloc::X86CallPCRel4, FinalizedRelocTarget::ExternalName(ExternalName::User(name))) => {
            Some(params.user_named_funcs()[*name].index).filter(|index| can_call(*index))
        }
        _ => None,
    }
}

/// `mov r11, [rdi + cells]; jmp [r11 + code]`. The context is in `rdi`, and no argument in `r11`.
fn thunk(callee: u32) -> Vec<u8> {
    const CELLS: u8 = {
        assert!(VmContext::CELLS < 0x80);
        VmContext::CELLS as u8
    };
    let code = displacement(callee).expect("it can be called");
    let mut thunk = vec![0x4C, 0x8B, 0x5F, CELLS, 0x41, 0xFF, 0xA3];
    thunk.extend(code.to_le_bytes());
    thunk
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thunk_is_shorter_than_its_place_and_names_the_cell_of_its_function() {
        let thunk = thunk(1000);
        assert!(thunk.len() <= SIZE);
        let code = thunk[thunk.len() - 4..].try_into().unwrap();
        assert_eq!(i32::from_le_bytes(code) as usize, 1000 * size_of::<CodeCell>() + CodeCell::NATIVE);
        assert!(can_call(1000) && !can_call(u32::MAX));
    }
}
