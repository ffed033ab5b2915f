//! Types of references, and which of them match which.

use std::fmt;

use super::registry::{TypeId, TypeRegistry};

/// A type that a module defines, or the host, as references name it: a number, and whose number it is.
///
/// There is no way to make one but to ask the engine whose type it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DefinedType {
    id: TypeId,
    registry: u32,
}

impl DefinedType {
    pub(super) const fn new(id: TypeId, registry: u32) -> DefinedType {
        DefinedType { id, registry }
    }

    /// The number.
    pub const fn id(self) -> TypeId {
        self.id
    }

    /// Which of the process's registries gave it out.
    pub(super) const fn registry(self) -> u32 {
        self.registry
    }

    /// The same with another number of the same registry.
    #[must_use]
    pub(super) fn map_id(self, f: impl FnOnce(TypeId) -> TypeId) -> DefinedType {
        DefinedType { id: f(self.id), ..self }
    }
}

impl fmt::Debug for DefinedType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.id.fmt(f)
    }
}

/// What a reference points at.
///
/// Types that a module defines are known by their number in the engine, and by which of the three kinds they are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HeapType {
    /// Functions.
    Func,
    /// Functions of one type.
    ConcreteFunc(DefinedType),
    /// No function.
    NoFunc,
    /// Values of the host, opaque to the guest.
    Extern,
    /// No value of the host.
    NoExtern,
    /// Values of the guest: all that is in its heap, and small numbers.
    Any,
    /// Those that can be compared with one another.
    Eq,
    /// Numbers of 31 bits.
    I31,
    /// Structures.
    Struct,
    /// Structures of one type.
    ConcreteStruct(DefinedType),
    /// Arrays.
    Array,
    /// Arrays of one type.
    ConcreteArray(DefinedType),
    /// No value of the guest.
    None,
    /// Exceptions.
    Exn,
    /// No exception.
    NoExn,
}

impl HeapType {
    /// Whether references to it are numbers that a collector has to see, and not pointers to functions.
    pub const fn is_collected(self) -> bool {
        !matches!(self, HeapType::Func | HeapType::ConcreteFunc(_) | HeapType::NoFunc)
    }

    /// The type that all types match which share values with this one.
    pub const fn top(self) -> HeapType {
        match self {
            HeapType::Func | HeapType::ConcreteFunc(_) | HeapType::NoFunc => HeapType::Func,
            HeapType::Extern | HeapType::NoExtern => HeapType::Extern,
            HeapType::Exn | HeapType::NoExn => HeapType::Exn,
            HeapType::Any
            | HeapType::Eq
            | HeapType::I31
            | HeapType::Struct
            | HeapType::ConcreteStruct(_)
            | HeapType::Array
            | HeapType::ConcreteArray(_)
            | HeapType::None => HeapType::Any,
        }
    }

    /// The type that matches all types which match the same [top](HeapType::top): it has no values.
    pub const fn bottom(self) -> HeapType {
        match self.top() {
            HeapType::Func => HeapType::NoFunc,
            HeapType::Extern => HeapType::NoExtern,
            HeapType::Exn => HeapType::NoExn,
            _ => HeapType::None,
        }
    }

    /// The type that a module defines, if it is one.
    pub const fn concrete(self) -> Option<TypeId> {
        match self {
            HeapType::ConcreteFunc(ty) | HeapType::ConcreteStruct(ty) | HeapType::ConcreteArray(ty) => {
                Some(ty.id)
            }
            _ => None,
        }
    }

    /// Whether it matches `other`, of the same engine: every value of it is one of `other`.
    pub fn matches(self, other: HeapType, types: &TypeRegistry) -> bool {
        if self == other || other == self.top() {
            return true;
        }
        if self == self.bottom() {
            return self.top() == other.top();
        }
        match (self, other) {
            (HeapType::I31 | HeapType::Struct | HeapType::Array, HeapType::Eq)
            | (HeapType::ConcreteStruct(_), HeapType::Eq | HeapType::Struct)
            | (HeapType::ConcreteArray(_), HeapType::Eq | HeapType::Array) => true,
            (HeapType::ConcreteFunc(sub), HeapType::ConcreteFunc(sup))
            | (HeapType::ConcreteStruct(sub), HeapType::ConcreteStruct(sup))
            | (HeapType::ConcreteArray(sub), HeapType::ConcreteArray(sup)) => {
                types.is_defined_below(sub, sup)
            }
            _ => false,
        }
    }

    /// The same type with another id, if it has one.
    #[must_use]
    pub(super) fn map_id(self, f: impl FnOnce(TypeId) -> TypeId) -> HeapType {
        match self {
            HeapType::ConcreteFunc(ty) => HeapType::ConcreteFunc(ty.map_id(f)),
            HeapType::ConcreteStruct(ty) => HeapType::ConcreteStruct(ty.map_id(f)),
            HeapType::ConcreteArray(ty) => HeapType::ConcreteArray(ty.map_id(f)),
            abstract_ => abstract_,
        }
    }
}

impl fmt::Display for HeapType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeapType::Func => "func",
            HeapType::NoFunc => "nofunc",
            HeapType::Extern => "extern",
            HeapType::NoExtern => "noextern",
            HeapType::Any => "any",
            HeapType::Eq => "eq",
            HeapType::I31 => "i31",
            HeapType::Struct => "struct",
            HeapType::Array => "array",
            HeapType::None => "none",
            HeapType::Exn => "exn",
            HeapType::NoExn => "noexn",
            HeapType::ConcreteFunc(ty) => return write!(f, "func type {}", ty.id),
            HeapType::ConcreteStruct(ty) => return write!(f, "struct type {}", ty.id),
            HeapType::ConcreteArray(ty) => return write!(f, "array type {}", ty.id),
        })
    }
}

/// The type of a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RefType {
    /// Whether null is among its values.
    pub nullable: bool,
    /// What it points at.
    pub heap: HeapType,
}

impl RefType {
    /// `funcref`: a function or null.
    pub const FUNCREF: RefType = RefType::new(true, HeapType::Func);
    /// `externref`: a host value or null.
    pub const EXTERNREF: RefType = RefType::new(true, HeapType::Extern);

    /// `anyref`: any value of the guest or null.
    pub const ANYREF: RefType = RefType::new(true, HeapType::Any);
    /// `eqref`: what can be compared, or null.
    pub const EQREF: RefType = RefType::new(true, HeapType::Eq);
    /// `i31ref`: a number of 31 bits or null.
    pub const I31REF: RefType = RefType::new(true, HeapType::I31);
    /// `structref`: a structure or null.
    pub const STRUCTREF: RefType = RefType::new(true, HeapType::Struct);
    /// `exnref`: an exception or null.
    pub const EXNREF: RefType = RefType::new(true, HeapType::Exn);
    /// `arrayref`: an array or null.
    pub const ARRAYREF: RefType = RefType::new(true, HeapType::Array);

    /// References to `heap`, null among them or not.
    pub const fn new(nullable: bool, heap: HeapType) -> RefType {
        RefType { nullable, heap }
    }

    /// Whether null is among its values.
    pub const fn is_nullable(&self) -> bool {
        self.nullable
    }

    /// What it points at.
    pub const fn heap_type(&self) -> HeapType {
        self.heap
    }

    /// Whether it matches `other`, of the same engine: every value of it is one of `other`.
    pub fn matches(self, other: RefType, types: &TypeRegistry) -> bool {
        (other.nullable || !self.nullable) && self.heap.matches(other.heap, types)
    }

    #[must_use]
    pub(super) fn map_id(self, f: impl FnOnce(TypeId) -> TypeId) -> RefType {
        RefType { heap: self.heap.map_id(f), ..self }
    }
}

impl fmt::Display for RefType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.nullable, self.heap) {
            (true, HeapType::None) => f.write_str("nullref"),
            (true, HeapType::NoFunc) => f.write_str("nullfuncref"),
            (true, HeapType::NoExtern) => f.write_str("nullexternref"),
            (true, HeapType::NoExn) => f.write_str("nullexnref"),
            (true, heap) if heap.concrete().is_none() => write!(f, "{heap}ref"),
            (true, heap) => write!(f, "(ref null {heap})"),
            (false, heap) => write!(f, "(ref {heap})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABSTRACT: [HeapType; 12] = [
        HeapType::Func,
        HeapType::NoFunc,
        HeapType::Extern,
        HeapType::NoExtern,
        HeapType::Any,
        HeapType::Eq,
        HeapType::I31,
        HeapType::Struct,
        HeapType::Array,
        HeapType::None,
        HeapType::Exn,
        HeapType::NoExn,
    ];

    #[test]
    fn matching_is_a_partial_order_with_a_top_and_a_bottom_in_each_family() {
        let types = TypeRegistry::default();
        let matches = |a: HeapType, b: HeapType| a.matches(b, &types);
        for a in ABSTRACT {
            assert!(matches(a, a) && matches(a, a.top()) && matches(a.bottom(), a), "{a}");
            for b in ABSTRACT {
                assert!(!(matches(a, b) && matches(b, a)) || a == b, "{a} and {b}");
                assert!(!matches(a, b) || a.top() == b.top(), "{a} and {b}");
                for c in ABSTRACT {
                    assert!(!(matches(a, b) && matches(b, c)) || matches(a, c), "{a}, {b}, {c}");
                }
            }
        }
        let pairs = ABSTRACT.iter().flat_map(|a| ABSTRACT.iter().map(move |b| (*a, *b)));
        // func 3, extern 3, exn 3; any 6, eq 5, i31 2, struct 2, array 2, none 1.
        assert_eq!(pairs.filter(|(a, b)| matches(*a, *b)).count(), 3 + 3 + 3 + 18);
    }

    #[test]
    fn null_is_no_value_of_a_type_without_it() {
        let types = TypeRegistry::default();
        let func = RefType::new(false, HeapType::Func);
        assert!(func.matches(RefType::FUNCREF, &types));
        assert!(!RefType::FUNCREF.matches(func, &types));
        assert!(RefType::new(true, HeapType::NoFunc).matches(RefType::FUNCREF, &types));
        assert!(!RefType::new(true, HeapType::NoFunc).matches(func, &types));
    }

    #[test]
    fn references_are_printed_as_the_text_format_writes_them() {
        let printed = |nullable, heap| RefType::new(nullable, heap).to_string();
        assert_eq!(printed(true, HeapType::I31), "i31ref");
        assert_eq!(printed(true, HeapType::None), "nullref");
        assert_eq!(printed(false, HeapType::Extern), "(ref extern)");
        assert_eq!(
            printed(true, HeapType::ConcreteFunc(DefinedType::new(TypeId(3), 0))),
            "(ref null func type #3)"
        );
    }
}
