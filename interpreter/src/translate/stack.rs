//! The operand stack during translation: where each operand is, without having been moved there.
//!
//! Every operand has a *home*, the slot that the frame's layout has for it. An operand is a `Temp` when its
//! value is in its home; locals and constants stay where they are until something needs them in a slot of their
//! own. As homes depend on the types of the operands alone, code that joins agrees on them.

use wasmrun_runtime::frame::{FrameLayout, FrameSlot, Heights};
use wasmrun_runtime::types::ValType;

use crate::mode::Class;

/// A type, as far as slots are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ty {
    I32,
    I64,
    F32,
    F64,
    /// Takes two slots, and is never a constant.
    V128,
    Func,
    /// A reference of the reference stack.
    Collected,
}

impl Ty {
    pub(super) fn of(ty: ValType) -> Ty {
        match ty {
            ValType::I32 => Ty::I32,
            ValType::I64 => Ty::I64,
            ValType::F32 => Ty::F32,
            ValType::F64 => Ty::F64,
            ValType::Ref(r) if r.heap.is_collected() => Ty::Collected,
            ValType::Ref(_) => Ty::Func,
            ValType::V128 => Ty::V128,
        }
    }

    /// The accumulator for values of this type, if there is one.
    pub(super) fn accumulator(self) -> Option<Class> {
        match self {
            Ty::V128 | Ty::Collected => None,
            Ty::F32 => Some(Class::F32),
            Ty::F64 => Some(Class::F64),
            Ty::I32 | Ty::I64 | Ty::Func => Some(Class::Int),
        }
    }

    /// The accumulator for values of this type, which is that of a scalar.
    pub(super) fn class(self) -> Class {
        self.accumulator().expect("a scalar")
    }

    pub(super) fn is_collected(self) -> bool {
        self == Ty::Collected
    }

    /// A type of WebAssembly that takes the same slots.
    #[inline]
    pub(super) fn val_type(self) -> ValType {
        match self {
            Ty::I32 => ValType::I32,
            Ty::I64 => ValType::I64,
            Ty::F32 => ValType::F32,
            Ty::F64 => ValType::F64,
            Ty::V128 => ValType::V128,
            Ty::Func => ValType::FUNCREF,
            Ty::Collected => ValType::EXTERNREF,
        }
    }
}

/// Where an operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In its home.
    Temp,
    /// In a local.
    Local(u32),
    /// Nowhere: a constant, in the representation of a slot.
    Const(u64),
}

/// An operand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operand {
    pub(super) ty: Ty,
    pub(super) place: Place,
    pub(super) home: u16,
}

/// A local variable.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local {
    pub(super) ty: Ty,
    /// Its slot on the value or the reference stack.
    pub(super) slot: u16,
    /// Operands that are this local.
    pending: u32,
}

/// A constant that has been put into its home, and may have to become a constant again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settled {
    /// The operand's position.
    pub(super) index: usize,
    bits: u64,
}

#[derive(Debug)]
pub(super) struct Stack {
    operands: Vec<Operand>,
    locals: Vec<Local>,
    /// Operands that are locals.
    pending: u32,
    /// Positions of the operands that are constants, in order.
    constants: Vec<usize>,
    heights: Heights,
    /// Highest that they have been.
    peaks: Heights,
}

impl Settled {
    /// The constant as an operand.
    pub(super) fn operand(self, stack: &Stack) -> Operand {
        Operand { place: Place::Const(self.bits), ..stack.get(self.index) }
    }
}

impl Stack {
    /// The empty stack of a frame.
    pub(super) fn new(layout: &FrameLayout) -> Stack {
        // Bodies that could need more slots than an instruction can name were refused at load.
        let local = |(ty, slot): &(ValType, FrameSlot)| Local {
            ty: Ty::of(*ty),
            slot: slot.number() as u16,
            pending: 0,
        };
        Stack {
            operands: Vec::new(),
            locals: layout.locals().iter().map(local).collect(),
            pending: 0,
            constants: Vec::new(),
            heights: layout.first_operand(),
            peaks: layout.first_operand(),
        }
    }

    pub(super) fn local(&self, index: u32) -> Local {
        self.locals[index as usize]
    }

    /// The first free slots.
    pub(super) fn heights(&self) -> Heights {
        self.heights
    }

    /// Slots of the frame.
    pub(super) fn peaks(&self) -> Heights {
        self.peaks
    }

    pub(super) fn len(&self) -> usize {
        self.operands.len()
    }

    // Most callers know the type or the place.
    #[inline(always)]
    pub(super) fn push(&mut self, ty: Ty, place: Place) -> u16 {
        let home = self.heights.push(ty.val_type()).number() as u16;
        self.peaks = self.peaks.max(self.heights);
        match place {
            Place::Temp => {}
            Place::Local(index) => {
                self.locals[index as usize].pending += 1;
                self.pending += 1;
            }
            Place::Const(_) => self.constants.push(self.operands.len()),
        }
        self.operands.push(Operand { ty, place, home });
        home
    }

    pub(super) fn pop(&mut self) -> Operand {
        let operand = self.operands.pop().expect("validated code has its operands");
        self.heights.pop(operand.ty.val_type());
        match operand.place {
            Place::Temp => {}
            Place::Local(index) => self.forget_local(index),
            Place::Const(_) => {
                self.constants.pop();
            }
        }
        operand
    }

    fn forget_local(&mut self, index: u32) {
        self.locals[index as usize].pending -= 1;
        self.pending -= 1;
    }

    /// The operand at position `index` from the bottom.
    pub(super) fn get(&self, index: usize) -> Operand {
        self.operands[index]
    }

    /// The operand at position `index` is in its home from now on.
    pub(super) fn settle(&mut self, index: usize) {
        match self.operands[index].place {
            Place::Temp => {}
            Place::Local(local) => self.forget_local(local),
            Place::Const(_) => {
                if let Ok(at) = self.constants.binary_search(&index) {
                    self.constants.remove(at);
                }
            }
        }
        self.operands[index].place = Place::Temp;
    }

    /// All constants are in their homes from now on. Returns which there were, in order.
    pub(super) fn settle_constants(&mut self) -> Vec<Settled> {
        let constants = std::mem::take(&mut self.constants);
        let settle = |index: usize| match std::mem::replace(&mut self.operands[index].place, Place::Temp) {
            Place::Const(bits) => Settled { index, bits },
            other => unreachable!("{other:?} is not a constant"),
        };
        constants.into_iter().map(settle).collect()
    }

    /// These operands, in order, are constants again: code that comes here did not pass where they were settled.
    pub(super) fn take_back(&mut self, settled: &[Settled]) {
        for Settled { index, bits } in settled {
            debug_assert!(self.constants.last().is_none_or(|last| last < index));
            self.operands[*index].place = Place::Const(*bits);
            self.constants.push(*index);
        }
    }

    /// The highest operand below position `below` that is the local `index`, or any local.
    pub(super) fn find_local(&self, index: Option<u32>, below: usize) -> Option<usize> {
        let any = match index {
            Some(index) => self.locals[index as usize].pending,
            None => self.pending,
        };
        if any == 0 {
            return None;
        }
        self.operands[..below].iter().rposition(|o| match (o.place, index) {
            (Place::Local(local), Some(index)) => local == index,
            (Place::Local(_), None) => true,
            _ => false,
        })
    }
}
