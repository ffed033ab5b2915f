//! The types of WebAssembly as the rest of the engine sees them, and the registry that gives equal
//! types of different modules one number.
//!
//! A signature check of an indirect call is then one comparison of two `u32`s. Ids are given out per
//! engine and live as long as it does.

mod composite;
mod func;
pub mod object;
mod reference;
mod registry;
pub mod table;

use std::fmt;

pub use composite::{ArrayType, CompositeType, FieldType, StorageType, StructType, SubType};
pub use func::{FuncType, SignatureSlots};
pub use reference::{HeapType, RefType};
pub use registry::{TypeId, TypeRegistry};

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

/// The type of a linear memory. Limits are in pages of 64 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MemoryType {
    /// Size limits in pages.
    pub limits: Limits,
}

impl MemoryType {
    /// Bytes in a page.
    pub const PAGE: usize = 65536;

    /// The most pages that a 32-bit memory can have.
    pub const MAX_PAGES: u64 = 65536;

    /// A memory of `min` to `max` pages.
    pub fn new(min: u32, max: Option<u32>) -> MemoryType {
        MemoryType { limits: Limits { min: min.into(), max: max.map(u64::from) } }
    }

    /// Size at creation, in pages.
    pub fn minimum(&self) -> u64 {
        self.limits.min
    }

    /// Size that growth may not pass, in pages.
    pub fn maximum(&self) -> Option<u64> {
        self.limits.max
    }
}

/// The type of a table. Limits are in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableType {
    /// Type of the elements.
    pub element: RefType,
    /// Size limits in elements.
    pub limits: Limits,
}

impl TableType {
    /// A table of `min` to `max` elements.
    pub fn new(element: RefType, min: u32, max: Option<u32>) -> TableType {
        TableType { element, limits: Limits { min: min.into(), max: max.map(u64::from) } }
    }

    /// Type of the elements.
    pub fn element(&self) -> RefType {
        self.element
    }

    /// Length at creation.
    pub fn minimum(&self) -> u64 {
        self.limits.min
    }

    /// Length that growth may not pass.
    pub fn maximum(&self) -> Option<u64> {
        self.limits.max
    }
}

/// Whether a global can be assigned after its creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutability {
    /// Never changes.
    Const,
    /// Can be assigned.
    Var,
}

/// The type of a global.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GlobalType {
    /// Type of the value.
    pub content: ValType,
    /// Whether it can be assigned.
    pub mutability: Mutability,
}

impl GlobalType {
    /// A global type from its parts.
    pub fn new(content: ValType, mutability: Mutability) -> GlobalType {
        GlobalType { content, mutability }
    }

    /// Type of the value.
    pub fn content(&self) -> ValType {
        self.content
    }

    /// Whether it can be assigned.
    pub fn mutability(&self) -> Mutability {
        self.mutability
    }
}

/// The type of something imported or exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExternType {
    /// A function.
    Func(FuncType),
    /// A table.
    Table(TableType),
    /// A linear memory.
    Memory(MemoryType),
    /// A global.
    Global(GlobalType),
}

impl ExternType {
    /// The type, if this is one of a function.
    pub fn func(&self) -> Option<&FuncType> {
        if let ExternType::Func(ty) = self { Some(ty) } else { None }
    }

    /// The type, if this is one of a table.
    pub fn table(&self) -> Option<&TableType> {
        if let ExternType::Table(ty) = self { Some(ty) } else { None }
    }

    /// The type, if this is one of a memory.
    pub fn memory(&self) -> Option<&MemoryType> {
        if let ExternType::Memory(ty) = self { Some(ty) } else { None }
    }

    /// The type, if this is one of a global.
    pub fn global(&self) -> Option<&GlobalType> {
        if let ExternType::Global(ty) = self { Some(ty) } else { None }
    }
}

impl fmt::Display for ExternType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = |f: &mut fmt::Formatter<'_>, l: &Limits| match l.max {
            Some(max) => write!(f, "{}..{max}", l.min),
            None => write!(f, "{}..", l.min),
        };
        match self {
            ExternType::Func(ty) => write!(f, "func {ty}"),
            ExternType::Table(ty) => {
                f.write_str("table ")?;
                limits(f, &ty.limits)?;
                write!(f, " of {}", ty.element)
            }
            ExternType::Memory(ty) => {
                f.write_str("memory ")?;
                limits(f, &ty.limits)?;
                f.write_str(" pages")
            }
            ExternType::Global(ty) => {
                let mutability = if ty.mutability == Mutability::Var { "mut " } else { "" };
                write!(f, "global {mutability}{}", ty.content)
            }
        }
    }
}
