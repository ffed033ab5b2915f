//! Types of what modules import and export.

use std::fmt;

use super::{FuncType, Limits, MemoryType, TableType, TagType, ValType};

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
    /// A tag.
    Tag(TagType),
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

    /// The type, if this is one of a tag.
    pub fn tag(&self) -> Option<&TagType> {
        if let ExternType::Tag(ty) = self { Some(ty) } else { None }
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
                f.write_str(if ty.is_64() { "table i64 " } else { "table " })?;
                limits(f, &ty.limits)?;
                write!(f, " of {}", ty.element)
            }
            ExternType::Memory(ty) => {
                f.write_str(if ty.is_shared() { "shared memory " } else { "memory " })?;
                f.write_str(if ty.is_64() { "i64 " } else { "" })?;
                limits(f, &ty.limits)?;
                f.write_str(" pages")?;
                if ty.page_size_log2() == MemoryType::PAGE_LOG2 {
                    return Ok(());
                }
                write!(f, " of size {}", ty.page_size())
            }
            ExternType::Global(ty) => {
                let mutability = if ty.mutability == Mutability::Var { "mut " } else { "" };
                write!(f, "global {mutability}{}", ty.content)
            }
            ExternType::Tag(ty) => write!(f, "tag {ty}"),
        }
    }
}
