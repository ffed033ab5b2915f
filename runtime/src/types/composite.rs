//! Types that a module defines: functions, structures and arrays, and how one is declared below another.

use std::fmt;
use std::sync::Arc;

use super::registry::TypeId;
use super::{FuncType, Mutability, ValType};

/// What a field or an element is stored as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StorageType {
    /// The low 8 bits of an `i32`.
    I8,
    /// The low 16 bits of an `i32`.
    I16,
    /// A value.
    Val(ValType),
}

impl StorageType {
    /// The type of a value that is read from it or written to it.
    pub const fn unpack(self) -> ValType {
        match self {
            StorageType::I8 | StorageType::I16 => ValType::I32,
            StorageType::Val(ty) => ty,
        }
    }

    #[must_use]
    fn map_ids(self, f: &mut dyn FnMut(TypeId) -> TypeId) -> StorageType {
        match self {
            StorageType::Val(ty) => StorageType::Val(ty.map_id(f)),
            packed => packed,
        }
    }
}

impl fmt::Display for StorageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StorageType::I8 => f.write_str("i8"),
            StorageType::I16 => f.write_str("i16"),
            StorageType::Val(ty) => ty.fmt(f),
        }
    }
}

/// A field of a structure, or the elements of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FieldType {
    /// Whether it can be assigned.
    pub mutability: Mutability,
    /// What it is stored as.
    pub element: StorageType,
}

impl FieldType {
    /// A field type from its parts.
    pub fn new(mutability: Mutability, element: StorageType) -> FieldType {
        FieldType { mutability, element }
    }

    #[must_use]
    fn map_ids(self, f: &mut dyn FnMut(TypeId) -> TypeId) -> FieldType {
        FieldType { element: self.element.map_ids(f), ..self }
    }
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.mutability {
            Mutability::Const => self.element.fmt(f),
            Mutability::Var => write!(f, "(mut {})", self.element),
        }
    }
}

/// The type of a structure. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StructType {
    fields: Arc<[FieldType]>,
}

impl StructType {
    /// A structure of these fields.
    pub fn new(fields: impl IntoIterator<Item = FieldType>) -> StructType {
        StructType { fields: fields.into_iter().collect() }
    }

    /// Its fields, in order.
    pub fn fields(&self) -> &[FieldType] {
        &self.fields
    }
}

/// The type of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ArrayType {
    /// Its elements.
    pub element: FieldType,
}

/// What a type that a module defines is, apart from how it is declared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CompositeType {
    /// A function.
    Func(FuncType),
    /// A structure.
    Struct(StructType),
    /// An array.
    Array(ArrayType),
}

impl CompositeType {
    /// The type, if this is one of a function.
    pub fn func(&self) -> Option<&FuncType> {
        if let CompositeType::Func(ty) = self { Some(ty) } else { None }
    }

    /// The type, if this is one of a structure.
    pub fn struct_(&self) -> Option<&StructType> {
        if let CompositeType::Struct(ty) = self { Some(ty) } else { None }
    }

    /// The type, if this is one of an array.
    pub fn array(&self) -> Option<ArrayType> {
        if let CompositeType::Array(ty) = self { Some(*ty) } else { None }
    }

    #[must_use]
    fn map_ids(&self, f: &mut dyn FnMut(TypeId) -> TypeId) -> CompositeType {
        match self {
            CompositeType::Func(ty) => CompositeType::Func(FuncType::new(
                ty.params().iter().map(|ty| ty.map_id(&mut *f)).collect::<Vec<_>>(),
                ty.results().iter().map(|ty| ty.map_id(&mut *f)).collect::<Vec<_>>(),
            )),
            CompositeType::Struct(ty) => {
                CompositeType::Struct(StructType::new(ty.fields().iter().map(|field| field.map_ids(&mut *f))))
            }
            CompositeType::Array(ty) => CompositeType::Array(ArrayType { element: ty.element.map_ids(f) }),
        }
    }
}

/// A type and how it is declared.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SubType {
    /// Whether no other type can be declared below it.
    pub is_final: bool,
    /// The type that it is declared below.
    pub supertype: Option<TypeId>,
    /// What it is.
    pub composite: CompositeType,
}

impl SubType {
    /// A type that is declared below none and that none can be declared below, as types are where nothing else is said.
    pub fn plain(composite: CompositeType) -> SubType {
        SubType { is_final: true, supertype: None, composite }
    }

    /// The ids of the types that it refers to.
    pub(super) fn ids(&self) -> impl Iterator<Item = TypeId> {
        let (values, fields, element) = match &self.composite {
            CompositeType::Func(ty) => ([ty.params(), ty.results()], &[][..], None),
            CompositeType::Struct(ty) => ([&[][..]; 2], ty.fields(), None),
            CompositeType::Array(ty) => ([&[][..]; 2], &[][..], Some(&ty.element)),
        };
        let fields = fields.iter().chain(element).map(|field| field.element.unpack());
        let values = values.into_iter().flatten().copied().chain(fields);
        let concrete =
            values.filter_map(|ty| if let ValType::Ref(ty) = ty { ty.heap.concrete() } else { None });
        self.supertype.into_iter().chain(concrete)
    }

    /// The same with other ids.
    #[must_use]
    pub(super) fn map_ids(&self, mut f: impl FnMut(TypeId) -> TypeId) -> SubType {
        let supertype = self.supertype.map(&mut f);
        SubType { is_final: self.is_final, supertype, composite: self.composite.map_ids(&mut f) }
    }
}
