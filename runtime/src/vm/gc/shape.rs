//! What objects look like: how many bytes an object has, and which of its words are references.
//!
//! ```text
//! every object:  [kind: u32 | forwarding: u32 | ...
//! struct:        ... fields]
//! array:         ... length: u32 | elements, aligned to their size up to 8 bytes]
//! host value:    ... index in the store's table of host values: u32 | 0: u32]
//! ```
//!
//! The kind is the number of the object's type in its engine or, from the top down, one of the few that are no types. The
//! second word is 0 but during a collection, in objects that have been moved.

use std::ops::Range;

use crate::types::TypeId;

/// Where objects start, and what their sizes are multiples of: the low bits of references are free.
pub const ALIGN: usize = 8;

/// Bytes of every object's header.
pub const HEADER: usize = 8;

/// Offset of an array's length.
pub const ARRAY_LENGTH: usize = HEADER;

/// Offset of the index of a host value.
pub(super) const EXTERN_INDEX: usize = HEADER;

/// Bytes of the object of a host value.
pub(super) const EXTERN_BYTES: usize = HEADER + 8;

/// The first word of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Kind(pub(super) u32);

impl Kind {
    /// A value of the host.
    pub const EXTERN: Kind = Kind(u32::MAX);

    /// Objects of this type.
    pub const fn of_type(id: TypeId) -> Kind {
        Kind(id.0)
    }
}

/// What the objects of a type look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// All have the same fields.
    Struct {
        /// Bytes of the object.
        bytes: u32,
        /// Offsets of the fields that are references.
        references: Box<[u32]>,
    },
    /// A length, and so many elements.
    Array {
        /// Offset of the first element.
        first: u32,
        /// Bytes of an element.
        element: u32,
        /// Whether elements are references.
        references: bool,
    },
}

impl Shape {
    /// Structs with fields up to the offset `end` in the object, those at `references` references among them.
    pub fn structure(end: u32, references: impl Into<Box<[u32]>>) -> Shape {
        let references = references.into();
        debug_assert!(references.iter().all(|at| *at as usize >= HEADER && at + 4 <= end && at % 4 == 0));
        Shape::Struct { bytes: end.max(HEADER as u32).next_multiple_of(ALIGN as u32), references }
    }

    /// Arrays of elements of so many bytes: 1, 2, 4, 8 or 16.
    pub fn array(element: u32) -> Shape {
        let first = (ARRAY_LENGTH as u32 + 4).next_multiple_of(element.min(ALIGN as u32));
        Shape::Array { first, element, references: false }
    }

    /// Arrays of references.
    pub fn array_of_references() -> Shape {
        let Shape::Array { first, element, .. } = Shape::array(4) else { unreachable!("arrays are made") };
        Shape::Array { first, element, references: true }
    }

    /// Bytes of an object with so many elements, if it is an array.
    pub fn bytes(&self, elements: u32) -> usize {
        match self {
            Shape::Struct { bytes, .. } => *bytes as usize,
            Shape::Array { first, element, .. } => {
                (*first as usize + *element as usize * elements as usize).next_multiple_of(ALIGN)
            }
        }
    }
}

/// The shapes of the types of a store's objects.
#[derive(Debug, Default)]
pub struct Shapes(Vec<Option<Shape>>);

impl Shapes {
    /// Says what objects of a kind look like: before there are any.
    pub fn define(&mut self, kind: Kind, shape: Shape) {
        let index = kind.0 as usize;
        if self.0.len() <= index {
            self.0.resize(index + 1, None);
        }
        self.0[index].get_or_insert(shape);
    }

    /// The shape of a kind that is a type.
    ///
    /// # Panics
    /// There are no such objects.
    #[inline]
    pub(super) fn of(&self, kind: Kind) -> &Shape {
        let shape = self.0.get(kind.0 as usize).and_then(Option::as_ref);
        shape.unwrap_or_else(|| panic!("a reference leads to no object, but to {:#x}", kind.0))
    }
}

/// The offsets of an array's references.
pub(super) fn elements(first: u32, len: u32) -> Range<usize> {
    first as usize..first as usize + len as usize * 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_aligned_and_sizes_leave_the_low_bits_of_references_free() {
        let first = |element| {
            let Shape::Array { first, .. } = Shape::array(element) else { panic!("an array") };
            first
        };
        assert_eq!([1, 2, 4, 8, 16].map(first), [12, 12, 12, 16, 16]);
        assert_eq!([0, 1, 4, 5].map(|len| Shape::array(1).bytes(len)), [16, 16, 16, 24]);
        assert_eq!(Shape::array(16).bytes(u32::MAX), 16 + 16 * u32::MAX as usize);
        assert_eq!(Shape::structure(8, []).bytes(0), 8);
        assert_eq!(Shape::structure(12, [8]).bytes(0), 16);
    }
}
