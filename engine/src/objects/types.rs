//! Types of structures and arrays in an engine.

use std::fmt;
use std::sync::Arc;

use wasmrun_runtime::types as runtime;
use wasmrun_runtime::types::{CompositeType, TypeId, TypeRegistry};

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::types::{FieldType, FuncType, HeapType, StorageType, ValType};

/// Fails if a type refers to one of another engine.
pub(crate) fn check_known(types: &TypeRegistry, ty: ValType) -> Result<()> {
    if types.knows(ty) {
        return Ok(());
    }
    Err(Error::msg(format!("{ty} is a type of another engine")))
}

/// The same for a field.
fn check_field(types: &TypeRegistry, field: &FieldType) -> Result<()> {
    check_known(types, field.element.unpack())
}

/// The same for the parameters and results of a function.
pub(crate) fn check_signature(types: &TypeRegistry, ty: &FuncType) -> Result<()> {
    ty.params().iter().chain(ty.results()).try_for_each(|ty| check_known(types, *ty))
}

macro_rules! engine_type {
    ($name:ident, $kind:ident) => {
        impl $name {
            /// The type with this number, if it is one.
            pub(crate) fn of_id(types: &Arc<TypeRegistry>, id: TypeId) -> Option<$name> {
                match &types.get(id)?.composite {
                    CompositeType::$kind(ty) => Some($name { id, ty: ty.clone(), types: types.clone() }),
                    _ => None,
                }
            }

            /// The type that a heap type refers to, if it is one of these of the engine.
            pub fn from_heap_type(engine: &Engine, heap: HeapType) -> Option<$name> {
                let types = engine.registry();
                types.knows_heap_type(heap).then(|| Self::of_id(types, heap.concrete()?))?
            }

            /// References to objects of this type point at this.
            pub fn heap_type(&self) -> HeapType {
                self.types.heap_type(self.id).expect("the registry knows what it gave out")
            }

            /// Whether all objects of this type are such of another one: it is the same or declared below it.
            pub fn matches(&self, other: &$name) -> bool {
                Arc::ptr_eq(&self.types, &other.types) && self.types.is_subtype(self.id, other.id)
            }

            pub(crate) fn id(&self) -> TypeId {
                self.id
            }

            /// Fails if it is of another engine.
            pub(crate) fn check_engine(&self, engine: &Engine) -> Result<()> {
                if Arc::ptr_eq(&self.types, engine.registry()) {
                    return Ok(());
                }
                Err(Error::msg("a type of another engine"))
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &$name) -> bool {
                self.id == other.id && Arc::ptr_eq(&self.types, &other.types)
            }
        }

        impl Eq for $name {}

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.ty).finish()
            }
        }

        impl From<&$name> for HeapType {
            fn from(ty: &$name) -> HeapType {
                ty.heap_type()
            }
        }
    };
}

/// A type of structures of an engine.
///
/// ```
/// use wasmrun::{Engine, FieldType, Mutability, StorageType, StructType};
///
/// let engine = Engine::default();
/// let ty = StructType::new(&engine, [FieldType::new(Mutability::Var, StorageType::I8)])?;
/// assert_eq!(ty.fields().len(), 1);
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Clone)]
pub struct StructType {
    id: TypeId,
    ty: runtime::StructType,
    types: Arc<TypeRegistry>,
}

engine_type!(StructType, Struct);

impl StructType {
    /// The type of structures with these fields that a module defines which says no more than that: no type can be declared
    /// below it.
    ///
    /// # Errors
    /// A field is of a type of another engine, or there are more than 10,000.
    pub fn new(engine: &Engine, fields: impl IntoIterator<Item = FieldType>) -> Result<StructType> {
        let ty = runtime::StructType::new(fields);
        if ty.fields().len() > 10_000 {
            return Err(Error::msg("a structure has at most 10000 fields"));
        }
        let types = engine.registry();
        ty.fields().iter().try_for_each(|field| check_field(types, field))?;
        let id = types.intern_object(CompositeType::Struct(ty.clone()));
        Ok(StructType { id, ty, types: types.clone() })
    }

    /// Its fields, in order.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = FieldType> + '_ {
        self.ty.fields().iter().copied()
    }

    /// A field, by its index.
    pub fn field(&self, index: usize) -> Option<FieldType> {
        self.ty.fields().get(index).copied()
    }
}

/// A type of arrays of an engine.
///
/// ```
/// use wasmrun::{ArrayType, Engine, FieldType, Mutability, StorageType, ValType};
///
/// let element = FieldType::new(Mutability::Var, StorageType::Val(ValType::I64));
/// let ty = ArrayType::new(&Engine::default(), element)?;
/// assert_eq!(ty.field_type(), element);
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Clone)]
pub struct ArrayType {
    id: TypeId,
    ty: runtime::ArrayType,
    types: Arc<TypeRegistry>,
}

engine_type!(ArrayType, Array);

impl ArrayType {
    /// The type of arrays of such elements that a module defines which says no more than that.
    ///
    /// # Errors
    /// The elements are of a type of another engine.
    pub fn new(engine: &Engine, element: FieldType) -> Result<ArrayType> {
        let types = engine.registry();
        check_field(types, &element)?;
        let ty = runtime::ArrayType { element };
        Ok(ArrayType { id: types.intern_object(CompositeType::Array(ty)), ty, types: types.clone() })
    }

    /// Its elements.
    pub fn field_type(&self) -> FieldType {
        self.ty.element
    }

    /// What its elements are stored as.
    pub fn element_type(&self) -> StorageType {
        self.ty.element.element
    }
}
