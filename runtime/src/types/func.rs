//! Types of functions.

use std::fmt;
use std::sync::Arc;

use super::ValType;
use super::reference::DefinedType;

/// The type of a function: parameters and results. Cheap to clone.
///
/// Types of one engine are equal if they are the same type. A module can define several types with the same parameters
/// and results: together with others, below one another, or open to types below them. Such a type is got from a
/// module or a function and equals no other.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct FuncType {
    // Parameters first, results behind them.
    types: Arc<[ValType]>,
    params: u32,
    /// Which type it is, if parameters and results do not say that.
    declared: Option<DefinedType>,
}

impl FuncType {
    /// A function type from its parameter and result types.
    pub fn new(
        params: impl IntoIterator<Item = ValType>,
        results: impl IntoIterator<Item = ValType>,
    ) -> FuncType {
        let mut types: Vec<ValType> = params.into_iter().collect();
        let params = types.len() as u32;
        types.extend(results);
        FuncType { types: types.into(), params, declared: None }
    }

    /// The types of the parameters.
    pub fn params(&self) -> &[ValType] {
        &self.types[..self.params as usize]
    }

    /// The types of the results.
    pub fn results(&self) -> &[ValType] {
        &self.types[self.params as usize..]
    }

    /// Which type it is, if parameters and results do not say that.
    pub(super) fn declared(&self) -> Option<DefinedType> {
        self.declared
    }

    /// The type that its parameters and results alone say.
    pub(super) fn plain(&self) -> FuncType {
        FuncType { declared: None, ..self.clone() }
    }

    /// Says which type it is.
    pub(super) fn declare(&mut self, ty: DefinedType) {
        self.declared = Some(ty);
    }

    /// How parameters and results spread over the value and the reference stack.
    pub fn slots(&self) -> SignatureSlots {
        SignatureSlots::of(self)
    }
}

impl fmt::Debug for FuncType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for FuncType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, types: &[ValType]| -> fmt::Result {
            f.write_str("(")?;
            for (i, ty) in types.iter().enumerate() {
                write!(f, "{}{ty}", if i == 0 { "" } else { ", " })?;
            }
            f.write_str(")")
        };
        list(f, self.params())?;
        f.write_str(" -> ")?;
        list(f, self.results())
    }
}

/// Slot counts of a signature on the two stacks of tier 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignatureSlots {
    /// Value slots of the parameters.
    pub params: u32,
    /// Value slots of the results.
    pub results: u32,
    /// Reference slots of the parameters.
    pub ref_params: u32,
    /// Reference slots of the results.
    pub ref_results: u32,
}

impl SignatureSlots {
    fn of(ty: &FuncType) -> SignatureSlots {
        let values = |types: &[ValType]| types.iter().map(|t| t.value_slots() as u32).sum();
        let refs = |types: &[ValType]| types.iter().filter(|t| t.is_collected()).count() as u32;
        SignatureSlots {
            params: values(ty.params()),
            results: values(ty.results()),
            ref_params: refs(ty.params()),
            ref_results: refs(ty.results()),
        }
    }

    /// Value slots that arguments and results share at the bottom of a frame.
    #[inline]
    pub fn shared(self) -> u32 {
        self.params.max(self.results)
    }

    /// Value slots that arguments and results share where compiled code is entered: references are among the values.
    pub fn joined(self) -> u32 {
        (self.params + self.ref_params).max(self.results + self.ref_results)
    }

    /// Reference slots that arguments and results share at the bottom of a frame.
    #[inline]
    pub fn ref_shared(self) -> u32 {
        self.ref_params.max(self.ref_results)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_that_the_collector_must_see_take_no_value_slot() {
        let slots =
            FuncType::new([ValType::EXTERNREF, ValType::I32, ValType::FUNCREF], [ValType::V128]).slots();
        assert_eq!((slots.params, slots.ref_params, slots.results), (2, 1, 2));
        assert_eq!((slots.shared(), slots.joined()), (2, 3));
    }
}
