//! What the operands of an instruction are, and where they stand in it.
//!
//! An instruction lists its fields once, in [`Op::FIELDS`](crate::machine::Op::FIELDS). Its size, the byte
//! offsets at which its handler reads, what the emitter checks and what the printer shows follow from that list.

/// A field of an instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Field {
    /// The value slot that is written. Always two bytes, so that it can be changed in place.
    Dest,
    /// The same in an instruction that was spared the write: its result is in the accumulator alone.
    SparedDest,
    /// A value slot that is read.
    Slot,
    /// The accumulator of the value's class, which needs no bytes.
    Acc,
    /// The reference slot that is written.
    RefDest,
    /// A reference slot that is read.
    RefSlot,
    /// The value slot, and the one behind it, that a vector is written to.
    VectorDest,
    /// The value slot, and the one behind it, that a vector is read from.
    Vector,
    /// The number of a lane.
    Lane,
    /// An `i32`.
    I32,
    /// An `i64` that is a sign-extended `i32`.
    I64,
    /// An `f32`.
    F32,
    /// An `f64`.
    F64,
    /// The lower half of a slot; the upper is zero.
    Bits32,
    /// A whole slot.
    Bits64,
    /// How far a branch goes, from the start of the instruction.
    Displacement,
    /// Number of targets of a `br_table` without the default. Behind the instruction stand as many
    /// displacements and one more, for the default.
    Targets,
    /// What is added to an address to get that of the *last byte* of an access.
    Offset,
    /// An offset in the context of the instance.
    Context,
    /// A function.
    Function,
    /// A function by its number among those that the module defines.
    Defined,
    /// A function type.
    Type,
    /// A tag.
    Tag,
    /// A memory.
    Memory,
    /// A table.
    Table,
    /// A global.
    Global,
    /// A data segment.
    Data,
    /// An element segment.
    Element,
    /// The slot where a callee's frame starts. Last in a call, as a return reads it before the return address.
    Frame,
    /// A number of slots.
    Count,
    /// An amount of fuel.
    Fuel,
    /// The address of a counter.
    Counter,
    /// The lower half of the index of the function that was called last; written by the instruction.
    Callee,
    /// How often that was not the one before; written by the instruction.
    Changes,
}

impl Field {
    /// Bytes of it.
    pub(crate) const fn width(self) -> usize {
        match self {
            Field::Acc => 0,
            Field::Dest
            | Field::SparedDest
            | Field::Slot
            | Field::RefDest
            | Field::RefSlot
            | Field::VectorDest
            | Field::Vector
            | Field::Lane
            | Field::Frame
            | Field::Count
            | Field::Callee
            | Field::Changes => 2,
            Field::F64 | Field::Bits64 | Field::Counter => 8,
            Field::I32
            | Field::I64
            | Field::F32
            | Field::Bits32
            | Field::Displacement
            | Field::Targets
            | Field::Offset
            | Field::Context
            | Field::Function
            | Field::Defined
            | Field::Type
            | Field::Tag
            | Field::Memory
            | Field::Table
            | Field::Global
            | Field::Data
            | Field::Element
            | Field::Fuel => 4,
        }
    }

    /// Whether it names a value slot, or the first of two.
    pub(crate) const fn is_slot(self) -> bool {
        matches!(self, Field::Dest | Field::Slot | Field::VectorDest | Field::Vector | Field::Frame)
    }

    /// Whether it names a reference slot.
    pub(crate) const fn is_ref_slot(self) -> bool {
        matches!(self, Field::RefDest | Field::RefSlot)
    }
}

/// Bytes of an opcode.
pub(crate) const HEAD: usize = 2;

/// The byte offset in an instruction with these fields of the one at `index`; behind the last, the size.
pub(crate) const fn offset(fields: &[Field], index: usize) -> usize {
    let mut at = HEAD;
    let mut i = 0;
    while i < index {
        at += fields[i].width();
        i += 1;
    }
    at
}
