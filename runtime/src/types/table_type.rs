//! Types of tables.

use super::{Limits, RefType};

/// The type of a table. Limits are in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableType {
    /// Type of the elements.
    pub element: RefType,
    /// Size limits in elements.
    pub limits: Limits,
    is_64: bool,
}

impl TableType {
    /// A table of `min` to `max` elements, with indices of 32 bits.
    pub fn new(element: RefType, min: u32, max: Option<u32>) -> TableType {
        let limits = Limits { min: min.into(), max: max.map(u64::from) };
        TableType { element, limits, is_64: false }
    }

    /// A table of `min` to `max` elements, with indices of 64 bits.
    pub fn new64(element: RefType, min: u64, max: Option<u64>) -> TableType {
        TableType { element, limits: Limits { min, max }, is_64: true }
    }

    /// The same with other limits.
    pub(crate) fn with_limits(self, limits: Limits) -> TableType {
        TableType { limits, ..self }
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

    /// Whether its indices have 64 bits.
    pub fn is_64(&self) -> bool {
        self.is_64
    }
}
