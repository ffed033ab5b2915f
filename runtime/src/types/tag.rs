//! Types of tags.

use std::fmt;

use super::{FuncType, ValType};

/// The type of a tag: what exceptions with the tag carry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TagType(FuncType);

impl TagType {
    /// Exceptions that carry values of these types.
    pub fn new(params: impl IntoIterator<Item = ValType>) -> TagType {
        TagType(FuncType::new(params, []))
    }

    /// The type of a tag that is declared with this type of functions; `None` if these have results.
    pub fn of(ty: FuncType) -> Option<TagType> {
        ty.results().is_empty().then_some(TagType(ty))
    }

    /// The types of the values that exceptions carry.
    pub fn params(&self) -> &[ValType] {
        self.0.params()
    }

    /// As a type of functions, which is how tags are declared.
    pub fn func(&self) -> &FuncType {
        &self.0
    }
}

impl fmt::Display for TagType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (i, ty) in self.params().iter().enumerate() {
            write!(f, "{}{ty}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str(")")
    }
}
