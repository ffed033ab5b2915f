//! ABI classes: what compiled code sees of a function type.
//!
//! Functions whose parameters and results have the same machine types share their stubs, however different
//! their WebAssembly types are. The rules are those of [`abi`], applied to machine types.

use cranelift_codegen::ir::types::{I8X16, I64};
use cranelift_codegen::ir::{Signature, Type};
use wasmrun_runtime::types::{FuncType, ValType};

use crate::abi;

/// The machine types of a function's parameters and results.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AbiClass {
    params: Box<[Type]>,
    results: Box<[Type]>,
}

impl AbiClass {
    /// The class of a function type.
    pub fn of(ty: &FuncType) -> AbiClass {
        let types = |types: &[ValType]| abi::value_types(types).into();
        AbiClass { params: types(ty.params()), results: types(ty.results()) }
    }

    /// Types of the parameters, in order.
    pub fn params(&self) -> &[Type] {
        &self.params
    }

    /// Types of the results, in order.
    pub fn results(&self) -> &[Type] {
        &self.results
    }

    /// Whether the results go to memory, behind a pointer that follows the callee's id.
    pub fn has_result_area(&self) -> bool {
        abi::in_memory(&self.results)
    }

    /// The signature of a compiled function: context, id of the callee, pointer to the results if there is a
    /// result area, parameters; results, if there is none.
    pub fn signature(&self) -> Signature {
        abi::signature_of(&self.params, &self.results)
    }

    /// The signature of the `bounce` stub of a class with these results: context, id of the callee, pointer to the
    /// results if there is a result area, slots, code; results, if there is none.
    pub(super) fn bounce_signature(&self) -> Signature {
        abi::signature_of(&[I64, I64], &self.results)
    }

    /// Bytes that its stubs, one of each kind, take together at most.
    pub fn most_bytes(&self) -> usize {
        832 + 160 * (self.params.len() + self.results.len())
    }

    /// Slots of 8 bytes that arguments and results share: both start at slot 0.
    pub fn slots(&self) -> usize {
        let bytes = |types: &[Type]| types.iter().map(|ty| slot_bytes(*ty)).sum::<usize>();
        bytes(&self.params).max(bytes(&self.results)) / 8
    }
}

/// Each of `types` with the offset in bytes of its first slot.
pub(super) fn with_offsets(types: &[Type]) -> impl Iterator<Item = (Type, i32)> + '_ {
    types.iter().scan(0, |end, ty| {
        let offset = *end;
        *end += slot_bytes(*ty) as i32;
        Some((*ty, offset))
    })
}

fn slot_bytes(ty: Type) -> usize {
    if ty == I8X16 { 16 } else { 8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_that_differ_only_for_webassembly_share_a_class() {
        let class = |param, result| AbiClass::of(&FuncType::new([param], [result]));
        assert_eq!(class(ValType::FUNCREF, ValType::EXTERNREF), class(ValType::I64, ValType::I32));
        assert_ne!(class(ValType::I64, ValType::I32), class(ValType::I32, ValType::I64));
    }

    #[test]
    fn a_ninth_result_of_either_register_class_moves_all_to_memory() {
        let class = |ints: usize, floats: usize| {
            let results = [ValType::I32].repeat(ints).into_iter().chain([ValType::V128].repeat(floats));
            let ty = FuncType::new([ValType::F32], results);
            let class = AbiClass::of(&ty);
            (ty, class)
        };
        for (ints, floats, area) in [(8, 8, false), (9, 0, true), (0, 9, true), (0, 0, false)] {
            let (ty, class) = class(ints, floats);
            assert_eq!(class.signature(), abi::signature(&ty));
            assert_eq!(class.has_result_area(), area);
            let signature = class.signature();
            assert_eq!(signature.params.len(), if area { 4 } else { 3 });
            assert_eq!(signature.returns.len(), if area { 0 } else { ints + floats });
        }
    }

    #[test]
    fn arguments_and_results_share_slots() {
        let class = AbiClass::of(&FuncType::new(
            [ValType::I32, ValType::V128, ValType::F32],
            [ValType::EXTERNREF, ValType::I64],
        ));
        assert_eq!(class.slots(), 4);
        assert_eq!(with_offsets(class.params()).map(|(_, at)| at).collect::<Vec<_>>(), [0, 8, 24]);
    }
}
