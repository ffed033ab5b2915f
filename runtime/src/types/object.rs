//! What objects look like: where the fields of a structure and the elements of an array are, and which of these are
//! references.
//!
//! ```text
//! every object:  [kind: u32 | forwarding: u32 | ...
//! struct:        ... fields, each aligned to its size up to 8 bytes]
//! array:         ... length: u32 | elements, aligned to their size up to 8 bytes]
//! exception:     ... tag: u32 | the values it carries, like fields]
//! ```
//!
//! Fields are laid out in the order of their declaration, so that those which a type has from the one above it are where
//! they are there. An exception is of the type of functions that its tag has. References to functions are pointers of 8 bytes, of which null is 0, and no collector follows them; all
//! others are words of 4 bytes.

use super::composite::{ArrayType, CompositeType, StorageType, StructType};
use super::{FuncType, RefType, ValType};

/// Where objects start, and what their sizes are multiples of: the low bits of references are free.
pub const ALIGN: usize = 8;

/// Bytes of every object's header.
pub const HEADER: usize = 8;

/// Offset of an array's length.
pub const ARRAY_LENGTH: usize = HEADER;

/// How a field or an element is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Storage {
    /// A byte: the low 8 bits of an `i32`.
    I8,
    /// Two bytes: the low 16 bits of an `i32`.
    I16,
    /// Four bytes: an `i32` or an `f32`.
    Word,
    /// Eight bytes: an `i64` or an `f64`.
    Double,
    /// Sixteen bytes: a vector.
    Vector,
    /// Eight bytes: a pointer to a [`FuncRef`](crate::vm::FuncRef), or 0.
    Function,
    /// Four bytes: a reference that a collector follows.
    Reference,
}

impl Storage {
    /// How values of this type are stored.
    pub fn of(ty: StorageType) -> Storage {
        match ty {
            StorageType::I8 => Storage::I8,
            StorageType::I16 => Storage::I16,
            StorageType::Val(ValType::I32 | ValType::F32) => Storage::Word,
            StorageType::Val(ValType::I64 | ValType::F64) => Storage::Double,
            StorageType::Val(ValType::V128) => Storage::Vector,
            StorageType::Val(ValType::Ref(RefType { heap, .. })) if heap.is_collected() => Storage::Reference,
            StorageType::Val(ValType::Ref(_)) => Storage::Function,
        }
    }

    /// Its size.
    pub const fn bytes(self) -> u32 {
        match self {
            Storage::I8 => 1,
            Storage::I16 => 2,
            Storage::Word | Storage::Reference => 4,
            Storage::Double | Storage::Function => 8,
            Storage::Vector => 16,
        }
    }

    /// What its offset is a multiple of.
    const fn align(self) -> u32 {
        if self.bytes() < ALIGN as u32 { self.bytes() } else { ALIGN as u32 }
    }
}

/// A field of a structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldLayout {
    /// In bytes from the object's start.
    pub offset: u32,
    /// How it is stored.
    pub storage: Storage,
}

/// The objects of a type of structures, or the exceptions whose tag has a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StructLayout {
    /// Bytes of the object.
    pub bytes: u32,
    /// The fields, in order.
    pub fields: Box<[FieldLayout]>,
    /// Offsets of the fields that are collected references.
    pub(crate) references: Box<[u32]>,
    /// Offsets of the fields that are references to functions.
    pub(crate) functions: Box<[u32]>,
}

impl StructLayout {
    /// The layout of a type.
    pub fn new(ty: &StructType) -> StructLayout {
        StructLayout::of(ty.fields().iter().map(|field| field.element))
    }

    /// The layout of exceptions whose tag has this type: a field for the tag, and one for each value.
    pub fn exception(ty: &FuncType) -> StructLayout {
        let tag = StorageType::Val(ValType::I32);
        StructLayout::of([tag].into_iter().chain(ty.params().iter().map(|ty| StorageType::Val(*ty))))
    }

    /// Of an exception: the values that it carries.
    pub fn carried(&self) -> &[FieldLayout] {
        &self.fields[1..]
    }

    fn of(fields: impl IntoIterator<Item = StorageType>) -> StructLayout {
        let mut end = HEADER as u32;
        let mut place = |storage: Storage| {
            let offset = end.next_multiple_of(storage.align());
            end = offset + storage.bytes();
            FieldLayout { offset, storage }
        };
        let fields: Box<[_]> = fields.into_iter().map(|ty| place(Storage::of(ty))).collect();
        let stored_as = |storage| {
            let fields = fields.iter().filter(|field| field.storage == storage);
            fields.map(|field| field.offset).collect()
        };
        StructLayout {
            bytes: end.next_multiple_of(ALIGN as u32),
            references: stored_as(Storage::Reference),
            functions: stored_as(Storage::Function),
            fields,
        }
    }
}

/// The objects of a type of arrays. The length is at [`ARRAY_LENGTH`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrayLayout {
    /// Offset of the first element.
    pub first: u32,
    /// How elements are stored.
    pub storage: Storage,
}

impl ArrayLayout {
    /// The layout of a type.
    pub fn new(ty: ArrayType) -> ArrayLayout {
        let storage = Storage::of(ty.element.element);
        ArrayLayout { first: (ARRAY_LENGTH as u32 + 4).next_multiple_of(storage.align()), storage }
    }

    /// Bytes of an object of so many elements. Those of the longest are less than 2³⁷.
    pub const fn bytes(self, elements: u32) -> usize {
        let end = self.first as usize + self.storage.bytes() as usize * elements as usize;
        end.next_multiple_of(ALIGN)
    }
}

/// The objects of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObjectLayout {
    /// All have the same fields.
    Struct(StructLayout),
    /// A length, and so many elements.
    Array(ArrayLayout),
}

impl ObjectLayout {
    /// The layout of a type. Functions are no objects: for a type that tags can have it is that of their exceptions.
    pub fn new(ty: &CompositeType) -> Option<ObjectLayout> {
        match ty {
            CompositeType::Func(ty) => {
                ty.results().is_empty().then(|| ObjectLayout::Struct(StructLayout::exception(ty)))
            }
            CompositeType::Struct(ty) => Some(ObjectLayout::Struct(StructLayout::new(ty))),
            CompositeType::Array(ty) => Some(ObjectLayout::Array(ArrayLayout::new(*ty))),
        }
    }

    /// Whether objects refer to functions.
    pub(super) fn has_functions(&self) -> bool {
        match self {
            ObjectLayout::Struct(layout) => !layout.functions.is_empty(),
            ObjectLayout::Array(layout) => layout.storage == Storage::Function,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{FieldType, Mutability};
    use super::*;

    fn field(element: StorageType) -> FieldType {
        FieldType::new(Mutability::Var, element)
    }

    #[test]
    fn fields_are_aligned_and_those_of_a_prefix_are_where_they_are_without_the_rest() {
        let all = [
            StorageType::I8,
            StorageType::Val(ValType::EXTERNREF),
            StorageType::I16,
            StorageType::Val(ValType::V128),
            StorageType::I8,
            StorageType::Val(ValType::FUNCREF),
            StorageType::Val(ValType::F32),
        ];
        let layout = |count| StructLayout::new(&StructType::new(all[..count].iter().copied().map(field)));
        let full = layout(all.len());
        let offsets: Vec<u32> = full.fields.iter().map(|field| field.offset).collect();
        assert_eq!(offsets, [8, 12, 16, 24, 40, 48, 56]);
        assert_eq!((full.bytes, &full.references[..], &full.functions[..]), (64, &[12][..], &[48][..]));
        for count in 0..all.len() {
            let prefix = layout(count);
            assert_eq!(prefix.fields[..], full.fields[..count]);
            assert!(prefix.bytes.is_multiple_of(8) && prefix.bytes >= 8);
        }
    }

    #[test]
    fn elements_are_aligned_and_sizes_leave_the_low_bits_of_references_free() {
        let layout = |element| ArrayLayout::new(ArrayType { element: field(element) });
        let (byte, vector) = (layout(StorageType::I8), layout(StorageType::Val(ValType::V128)));
        assert_eq!((byte.first, vector.first, layout(StorageType::Val(ValType::I64)).first), (12, 16, 16));
        assert_eq!([0, 1, 4, 5].map(|len| byte.bytes(len)), [16, 16, 16, 24]);
        assert_eq!(vector.bytes(u32::MAX), 16 + 16 * u32::MAX as usize);
    }
}
