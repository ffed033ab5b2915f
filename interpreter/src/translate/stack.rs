//! The operand stack during translation: where each operand is, without having been moved there.
//!
//! Every position of the operand stack has a *home*, the temporary slot by its height. An operand is a
//! `Temp` when its value is in its home; locals and constants stay where they are until something needs
//! them in a slot of their own. As homes depend on heights alone, code that joins agrees on them.

use wasmrun_runtime::types::{HeapType, ValType};

use crate::operand::Class;

/// A type, as far as slots are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ty {
    I32,
    I64,
    F32,
    F64,
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
            ValType::Ref(r) if r.heap == HeapType::Func => Ty::Func,
            ValType::Ref(_) => Ty::Collected,
            ValType::V128 => unreachable!("modules with vectors are refused at load"),
        }
    }

    /// The accumulator for values of this type.
    pub(super) fn class(self) -> Class {
        match self {
            Ty::F32 => Class::F32,
            Ty::F64 => Class::F64,
            _ => Class::Int,
        }
    }

    pub(super) fn is_collected(self) -> bool {
        self == Ty::Collected
    }

    /// Slots of its stack that a value takes. Everything that counts slots asks here: a vector will take two.
    pub(super) fn slots(self) -> u32 {
        1
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

#[derive(Debug, Default)]
pub(super) struct Stack {
    operands: Vec<Operand>,
    locals: Vec<Local>,
    /// Operands that are locals.
    pending: u32,
    /// First free value and reference slot.
    heights: [u32; 2],
    /// Highest that they have been.
    peaks: [u32; 2],
}

impl Stack {
    pub(super) fn add_local(&mut self, ty: Ty, slot: u32) {
        self.locals.push(Local { ty, slot: slot as u16, pending: 0 });
    }

    pub(super) fn local(&self, index: u32) -> Local {
        self.locals[index as usize]
    }

    /// Sets where temporaries start.
    pub(super) fn set_base(&mut self, values: u32, references: u32) {
        self.heights = [values, references];
        self.peaks = self.heights;
    }

    /// First free value slot.
    pub(super) fn value_height(&self) -> u32 {
        self.heights[0]
    }

    /// First free reference slot.
    pub(super) fn ref_height(&self) -> u32 {
        self.heights[1]
    }

    /// Slots of the frame.
    pub(super) fn peaks(&self) -> (u32, u32) {
        (self.peaks[0], self.peaks[1])
    }

    pub(super) fn len(&self) -> usize {
        self.operands.len()
    }

    pub(super) fn push(&mut self, ty: Ty, place: Place) -> u16 {
        let stack = usize::from(ty.is_collected());
        let home = self.heights[stack];
        self.heights[stack] += ty.slots();
        self.peaks[stack] = self.peaks[stack].max(self.heights[stack]);
        if let Place::Local(index) = place {
            self.locals[index as usize].pending += 1;
            self.pending += 1;
        }
        // Bodies that could need more slots were refused at load.
        let home = home as u16;
        self.operands.push(Operand { ty, place, home });
        home
    }

    pub(super) fn pop(&mut self) -> Operand {
        let operand = self.operands.pop().expect("validated code has its operands");
        self.heights[usize::from(operand.ty.is_collected())] -= operand.ty.slots();
        self.forget(operand);
        operand
    }

    fn forget(&mut self, operand: Operand) {
        if let Place::Local(index) = operand.place {
            self.locals[index as usize].pending -= 1;
            self.pending -= 1;
        }
    }

    /// The operand at position `index` from the bottom.
    pub(super) fn get(&self, index: usize) -> Operand {
        self.operands[index]
    }

    /// The operand at position `index` is in its home from now on.
    pub(super) fn settle(&mut self, index: usize) {
        self.forget(self.operands[index]);
        self.operands[index].place = Place::Temp;
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
