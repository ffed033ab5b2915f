//! The types of WebAssembly as the rest of the engine sees them, and the registry that gives equal
//! types of different modules one number.
//!
//! A signature check of an indirect call is then one comparison of two `u32`s. Ids are given out per
//! engine and live as long as it does.

mod composite;
mod external;
mod func;
mod memory;
pub mod object;
mod reference;
mod registry;
pub mod table;
mod table_type;
mod tag;

use std::fmt;

pub use composite::{ArrayType, CompositeType, FieldType, StorageType, StructType, SubType};
pub use external::{ExternType, GlobalType, Mutability};
pub use func::{FuncType, SignatureSlots};
pub use memory::{InvalidMemoryType, MemoryType, MemoryTypeBuilder};
pub use reference::{DefinedType, HeapType, RefType};
pub use registry::{TooManyTypes, TypeId, TypeRegistry};
pub use table_type::TableType;
pub use tag::TagType;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValType {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// 32-bit IEEE 754 float.
    F32,
    /// 64-bit IEEE 754 float.
    F64,
    /// 128-bit vector.
    V128,
    /// Reference.
    Ref(RefType),
}

impl ValType {
    /// `funcref`.
    pub const FUNCREF: ValType = ValType::Ref(RefType::FUNCREF);
    /// `externref`.
    pub const EXTERNREF: ValType = ValType::Ref(RefType::EXTERNREF);

    /// `anyref`.
    pub const ANYREF: ValType = ValType::Ref(RefType::ANYREF);
    /// `eqref`.
    pub const EQREF: ValType = ValType::Ref(RefType::EQREF);
    /// `i31ref`.
    pub const I31REF: ValType = ValType::Ref(RefType::I31REF);
    /// `structref`.
    pub const STRUCTREF: ValType = ValType::Ref(RefType::STRUCTREF);
    /// `arrayref`.
    pub const ARRAYREF: ValType = ValType::Ref(RefType::ARRAYREF);
    /// `exnref`.
    pub const EXNREF: ValType = ValType::Ref(RefType::EXNREF);

    /// Whether values of this type live on the reference stack, where the collector finds them.
    ///
    /// A `funcref` is a plain pointer to a [`FuncRef`](crate::vm::FuncRef) owned by an instance, so it
    /// lives with the numbers.
    pub const fn is_collected(self) -> bool {
        match self {
            ValType::Ref(ty) => ty.heap.is_collected(),
            _ => false,
        }
    }

    /// Whether it matches `other`, of the same engine: every value of it is one of `other`.
    pub fn matches(self, other: ValType, types: &TypeRegistry) -> bool {
        match (self, other) {
            (ValType::Ref(this), ValType::Ref(other)) => this.matches(other, types),
            _ => self == other,
        }
    }

    /// The same type with another id, if it refers to a type by one.
    #[must_use]
    fn map_id(self, f: impl FnOnce(TypeId) -> TypeId) -> ValType {
        match self {
            ValType::Ref(ty) => ValType::Ref(ty.map_id(f)),
            number => number,
        }
    }

    /// Number of 64-bit value slots that a value of this type takes.
    pub const fn value_slots(self) -> usize {
        match self {
            ValType::V128 => 2,
            _ if self.is_collected() => 0,
            _ => 1,
        }
    }
}

impl fmt::Display for ValType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ValType::I32 => f.write_str("i32"),
            ValType::I64 => f.write_str("i64"),
            ValType::F32 => f.write_str("f32"),
            ValType::F64 => f.write_str("f64"),
            ValType::V128 => f.write_str("v128"),
            ValType::Ref(r) => r.fmt(f),
        }
    }
}

/// Bounds of a memory (in pages) or of a table (in elements).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Size at creation.
    pub min: u64,
    /// Size that growth may not pass.
    pub max: Option<u64>,
}
