//! Where the values of a frame of tier 0 are: the one description of its slots.
//!
//! ```text
//! value stack:      [parameters, later results | return address | saved context | locals | operands]
//! reference stack:  [parameters, later results | locals | operands]
//! ```
//!
//! Every value has its place on one of the two stacks, which follows from its type and the types below it. The
//! translator of tier 0 places values by this module; whoever takes a frame over, or makes one up, finds them
//! by it. At a loop header all of them are in their slots.
//!
//! Nothing here touches a frame: slots are numbers, counted from the frame's start.

use crate::module::Module;
use crate::types::{FuncType, ValType};

/// Value slots between the shared ones and the locals: return address and saved context.
pub const LINK_SLOTS: u32 = 2;

/// The place of a value in a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameSlot {
    /// A slot of the value stack. A `v128` takes the next one as well.
    Value(u32),
    /// A slot of the reference stack.
    Reference(u32),
}

impl FrameSlot {
    /// Its number on its stack.
    #[inline]
    pub fn number(self) -> u32 {
        match self {
            FrameSlot::Value(slot) | FrameSlot::Reference(slot) => slot,
        }
    }
}

/// The first free slot of each of the two stacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heights {
    /// Of the value stack.
    pub values: u32,
    /// Of the reference stack.
    pub references: u32,
}

impl Heights {
    /// Puts a value of type `ty` on its stack. Returns where it is.
    #[inline]
    pub fn push(&mut self, ty: ValType) -> FrameSlot {
        if ty.is_collected() {
            self.references += 1;
            FrameSlot::Reference(self.references - 1)
        } else {
            let slot = self.values;
            self.values += ty.value_slots() as u32;
            FrameSlot::Value(slot)
        }
    }

    /// Takes the topmost value, which is of type `ty`.
    #[inline]
    pub fn pop(&mut self, ty: ValType) {
        if ty.is_collected() {
            self.references -= 1;
        } else {
            self.values -= ty.value_slots() as u32;
        }
    }

    /// The higher of the two for each stack.
    #[inline]
    pub fn max(self, other: Heights) -> Heights {
        Heights { values: self.values.max(other.values), references: self.references.max(other.references) }
    }
}

/// The places of values of types `types`, the first at `from`.
pub fn slots(mut from: Heights, types: impl IntoIterator<Item = ValType>) -> impl Iterator<Item = FrameSlot> {
    types.into_iter().map(move |ty| from.push(ty))
}

/// The slots of a function's frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameLayout {
    /// Parameters and declared locals, by index.
    locals: Vec<(ValType, FrameSlot)>,
    link: u32,
    operands: Heights,
}

impl FrameLayout {
    /// The frame of a function of type `ty` that declares these runs of locals.
    pub fn new(ty: &FuncType, declared: impl IntoIterator<Item = (u32, ValType)>) -> FrameLayout {
        let shared = ty.slots();
        let params = ty.params().iter().copied();
        let mut locals: Vec<_> = params.clone().zip(slots(Heights::default(), params)).collect();
        let link = shared.shared();
        let mut next = Heights { values: link + LINK_SLOTS, references: shared.ref_shared() };
        for (count, ty) in declared {
            locals.extend((0..count).map(|_| (ty, next.push(ty))));
        }
        FrameLayout { locals, link, operands: next }
    }

    /// The frame of a function of a module; `None` for one that the module does not define.
    pub fn of(module: &Module, function: u32) -> Option<FrameLayout> {
        let body = module.function_body(function)?;
        let declared = body.get_locals_reader().expect("validated locals");
        let declared = declared.into_iter().map(|run| {
            let (count, ty) = run.expect("validated locals");
            (count, module.val_type(ty))
        });
        Some(FrameLayout::new(module.function_type(function), declared))
    }

    /// Types and places of the parameters and the declared locals, by index.
    pub fn locals(&self) -> &[(ValType, FrameSlot)] {
        &self.locals
    }

    /// The value slot of the return address.
    pub fn link(&self) -> u32 {
        self.link
    }

    /// The value slot where a frame keeps its context while another instance's code runs above it.
    pub fn saved_context(&self) -> u32 {
        self.link + 1
    }

    /// Number of value slots behind the two link slots that start as zero: the declared locals.
    pub fn zeroed(&self) -> u32 {
        self.operands.values - self.link - LINK_SLOTS
    }

    /// Where the first operand goes.
    pub fn first_operand(&self) -> Heights {
        self.operands
    }

    /// The places of the operands when the operand stack, from the bottom up, holds values of these types.
    pub fn operands(&self, types: impl IntoIterator<Item = ValType>) -> impl Iterator<Item = FrameSlot> {
        slots(self.operands, types)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::FrameSlot::{Reference, Value};
    use super::*;
    use ValType::{F64, I32, I64, V128};

    fn places(layout: &FrameLayout) -> Vec<FrameSlot> {
        layout.locals().iter().map(|(_, slot)| *slot).collect()
    }

    #[test]
    fn locals_follow_the_link_slots_that_follow_the_wider_of_parameters_and_results() {
        let narrow = FrameLayout::new(&FuncType::new([I32, F64], [I64]), [(2, I32)]);
        assert_eq!(places(&narrow), [Value(0), Value(1), Value(4), Value(5)]);
        assert_eq!((narrow.link(), narrow.saved_context(), narrow.zeroed()), (2, 3, 2));
        let wide = FrameLayout::new(&FuncType::new([I32], [I64, I64, I64]), [(1, I32)]);
        assert_eq!(places(&wide), [Value(0), Value(5)]);
        assert_eq!(wide.link(), 3);
    }

    #[test]
    fn a_vector_takes_two_slots_wherever_it_is() {
        let layout = FrameLayout::new(&FuncType::new([V128, I32], []), [(2, V128), (1, I64)]);
        assert_eq!(places(&layout), [Value(0), Value(2), Value(5), Value(7), Value(9)]);
        assert_eq!(layout.zeroed(), 5);
        let operands: Vec<_> = layout.operands([I32, V128, I32]).collect();
        assert_eq!(operands, [Value(10), Value(11), Value(13)]);
    }

    #[test]
    fn collected_references_have_a_stack_of_their_own_and_functions_do_not() {
        let (func, external) = (ValType::FUNCREF, ValType::EXTERNREF);
        let ty = FuncType::new([external, I32], [external, external, I32]);
        let layout = FrameLayout::new(&ty, [(1, func), (1, external), (1, I32)]);
        assert_eq!(places(&layout), [Reference(0), Value(0), Value(3), Reference(2), Value(4)]);
        let operands: Vec<_> = layout.operands([external, I32, func, external]).collect();
        assert_eq!(operands, [Reference(3), Value(5), Value(6), Reference(4)]);
    }

    #[test]
    fn what_is_popped_makes_room_for_what_is_pushed() {
        let mut heights = Heights { values: 7, references: 1 };
        for ty in [V128, ValType::EXTERNREF, I32] {
            let before = heights;
            heights.push(ty);
            assert_ne!(heights, before);
            heights.pop(ty);
            assert_eq!(heights, before);
        }
    }

    #[test]
    fn the_frame_of_a_function_of_a_module_is_that_of_its_declaration() {
        // An import of type [] -> [], then a function [i64] -> [i32 i32] with locals i32, f32, f32.
        let sections: [&[u8]; 4] = [
            &[1, 10, 2, 0x60, 0, 0, 0x60, 1, 0x7e, 2, 0x7f, 0x7f],
            &[2, 5, 1, 0, 0, 0, 0],
            &[3, 2, 1, 1],
            &[10, 9, 1, 7, 2, 1, 0x7f, 2, 0x7d, 0, 0x0b],
        ];
        let bytes = [b"\0asm\x01\0\0\0", &sections.concat()[..]].concat();
        let registry = Arc::<crate::types::TypeRegistry>::default();
        let module = crate::parse(bytes, crate::features::Features::default(), &registry).unwrap();
        let ty = FuncType::new([I64], [I32, I32]);
        let expected = FrameLayout::new(&ty, [(1, I32), (2, ValType::F32)]);
        assert_eq!(FrameLayout::of(&module, 1), Some(expected));
        assert_eq!(FrameLayout::of(&module, 0), None);
    }
}
