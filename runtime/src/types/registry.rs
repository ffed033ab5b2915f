//! One number for equal types, whichever modules of an engine define them.
//!
//! Types are defined in *groups* whose members can refer to one another. Two types are equal if their groups are and
//! they stand at the same place in them (specification, section 2.3.9). So a group is looked up as a whole, with the
//! references to its own members replaced by their places: what is equal then is written in the same way.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::composite::{CompositeType, SubType};
use super::func::FuncType;
use super::object::ObjectLayout;
use super::reference::HeapType;
use super::table::{Directory, TypeTable, record};

/// The number of a type, the same for equal types in all modules of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(transparent)]
pub struct TypeId(pub u32);

impl TypeId {
    /// Never given out: the id of the stand-in for a null function reference.
    pub const NONE: TypeId = TypeId(u32::MAX);

    /// From here on, numbers stand for members of the group that is being looked up.
    const MEMBERS: u32 = 1 << 31;

    /// How a group that is not registered yet refers to one of its own members.
    pub(crate) fn member(place: u32) -> TypeId {
        debug_assert!(place < Self::MEMBERS);
        TypeId(Self::MEMBERS + place)
    }

    /// The place in the group, if it stands for a member of one that is not registered yet.
    fn as_member(self) -> Option<u32> {
        self.0.checked_sub(Self::MEMBERS)
    }
}

impl fmt::Display for TypeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Gives each distinct type one [`TypeId`], which is good for as long as the registry lives.
#[derive(Debug)]
pub struct TypeRegistry {
    inner: RwLock<Inner>,
    /// That of the table in there.
    directory: SharedDirectory,
}

/// Can be read by all threads.
#[derive(Clone, Copy, Debug)]
struct SharedDirectory(Directory);

// SAFETY: see the table that it belongs to.
#[allow(unsafe_code)]
unsafe impl Send for SharedDirectory {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for SharedDirectory {}

#[derive(Debug, Default)]
struct Inner {
    /// The id of each group's first member. The others follow.
    groups: HashMap<Arc<[SubType]>, TypeId>,
    types: Vec<Registered>,
    table: TypeTable,
}

impl Default for TypeRegistry {
    fn default() -> TypeRegistry {
        let inner = Inner::default();
        TypeRegistry { directory: SharedDirectory(inner.table.directory()), inner: RwLock::new(inner) }
    }
}

#[derive(Debug)]
struct Registered {
    ty: SubType,
    /// The types above it, the highest first.
    supertypes: Arc<[TypeId]>,
}

impl TypeRegistry {
    /// The id of the first member of `group`, new or known; those of the others follow. The types refer to one
    /// another by [`TypeId::member`], to types outside by their ids.
    pub(crate) fn intern_group(&self, group: Vec<SubType>) -> TypeId {
        let read = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(&first) = read.groups.get(&group[..]) {
            return first;
        }
        drop(read);
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been faster.
        match inner.groups.get(&group[..]) {
            Some(&first) => first,
            None => inner.add(group),
        }
    }

    /// The id of a function type, new or known. One that another registry has declared is taken for the plain type with
    /// its parameters and results.
    pub fn intern(&self, ty: &FuncType) -> TypeId {
        match ty.declared() {
            Some(declared) if self.func(declared).as_ref() == Some(ty) => declared,
            _ => self.intern_group(vec![SubType::plain(CompositeType::Func(ty.plain()))]),
        }
    }

    /// The id of a type of structures or arrays that is declared below none, and that none is declared below, new or known.
    /// The types that it refers to are of this registry.
    pub fn intern_object(&self, ty: CompositeType) -> TypeId {
        self.intern_group(vec![SubType::plain(ty)])
    }

    /// The type that `id` stands for, if this registry gave it out.
    pub fn get(&self, id: TypeId) -> Option<SubType> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.types.get(id.0 as usize).map(|registered| registered.ty.clone())
    }

    /// The function type that `id` stands for, if this registry gave it out for one.
    pub fn func(&self, id: TypeId) -> Option<FuncType> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.types.get(id.0 as usize)?.ty.composite.func().cloned()
    }

    /// References to the type that `id` stands for, if this registry gave it out.
    pub fn heap_type(&self, id: TypeId) -> Option<HeapType> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        Some(match inner.types.get(id.0 as usize)?.ty.composite {
            CompositeType::Func(_) => HeapType::ConcreteFunc(id),
            CompositeType::Struct(_) => HeapType::ConcreteStruct(id),
            CompositeType::Array(_) => HeapType::ConcreteArray(id),
        })
    }

    /// Where code finds the records of types, without a lock. It stays for as long as the registry.
    pub fn directory(&self) -> Directory {
        self.directory.0
    }

    /// How many types are above the one that `id` stands for.
    pub fn depth(&self, id: TypeId) -> u32 {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.types.get(id.0 as usize).map_or(0, |registered| registered.supertypes.len() as u32)
    }

    /// Whether there are types of objects that refer to functions.
    pub fn have_functions_in_objects(&self) -> bool {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).table.has_functions()
    }

    /// How objects of the type that `id` stands for are laid out, if this registry gave it out for objects.
    pub fn layout(&self, id: TypeId) -> Option<&ObjectLayout> {
        let known = self.inner.read().unwrap_or_else(PoisonError::into_inner).types.len();
        if id.0 as usize >= known {
            return None;
        }
        // SAFETY: there is a record, which like its layout stays as long as the registry.
        #[allow(unsafe_code)]
        unsafe {
            record(self.directory(), id).layout.as_ref()
        }
    }

    /// Whether `sub` is `sup` or declared below it, directly or not.
    pub fn is_subtype(&self, sub: TypeId, sup: TypeId) -> bool {
        if sub == sup {
            return true;
        }
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        // A type stands at the same place among the types above each that is below it.
        match (inner.types.get(sub.0 as usize), inner.types.get(sup.0 as usize)) {
            (Some(sub), Some(found)) => sub.supertypes.get(found.supertypes.len()) == Some(&sup),
            _ => false,
        }
    }
}

impl Inner {
    fn add(&mut self, group: Vec<SubType>) -> TypeId {
        let first = self.types.len() as u32;
        let end = first as usize + group.len();
        // Each takes far more bytes than one, and each module has a million at most.
        assert!(end < TypeId::MEMBERS as usize, "more types than an address space can hold");
        // Of a plain function its parameters and results say all.
        let is_plain = match &group[..] {
            [only] => {
                let mut refers = false;
                let absolute = only.map_ids(|id| {
                    refers |= id.as_member().is_some();
                    id
                });
                !refers && absolute.is_final && absolute.supertype.is_none()
            }
            _ => false,
        };
        for (place, member) in group.iter().enumerate() {
            let id = TypeId(first + place as u32);
            let mut ty = member.map_ids(|id| id.as_member().map_or(id, |place| TypeId(first + place)));
            if let (CompositeType::Func(func), false) = (&mut ty.composite, is_plain) {
                func.declare(id);
            }
            let mut supertypes = Vec::new();
            if let Some(supertype) = ty.supertype {
                // Validated: what is above a type comes before it.
                supertypes.extend_from_slice(&self.types[supertype.0 as usize].supertypes);
                supertypes.push(supertype);
            }
            self.table.add(id, &supertypes, &ty.composite);
            self.types.push(Registered { ty, supertypes: supertypes.into() });
        }
        self.groups.insert(group.into(), TypeId(first));
        TypeId(first)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Mutability, ValType};
    use super::*;
    use crate::types::{FieldType, RefType, StorageType, StructType};

    fn reference(heap: HeapType) -> ValType {
        ValType::Ref(RefType::new(true, heap))
    }

    fn structure(fields: impl IntoIterator<Item = ValType>) -> CompositeType {
        let field = |ty| FieldType::new(Mutability::Var, StorageType::Val(ty));
        CompositeType::Struct(StructType::new(fields.into_iter().map(field)))
    }

    /// A list whose elements are of type `ty`.
    fn list(ty: ValType) -> SubType {
        SubType::plain(structure([ty, reference(HeapType::ConcreteStruct(TypeId::member(0)))]))
    }

    #[test]
    fn equal_types_share_an_id_and_others_do_not() {
        let registry = TypeRegistry::default();
        let a = registry.intern(&FuncType::new([ValType::I32], [ValType::I64]));
        let b = registry.intern(&FuncType::new([ValType::I32], [ValType::I64]));
        let c = registry.intern(&FuncType::new([ValType::I32, ValType::I64], []));
        assert_eq!(a, b);
        assert_ne!(a, c);
        assert_eq!(registry.func(c).unwrap().to_string(), "(i32, i64) -> ()");
        assert_eq!(registry.intern(&registry.func(c).unwrap()), c);
    }

    #[test]
    fn types_that_refer_to_themselves_are_equal_when_they_are_written_alike() {
        let registry = TypeRegistry::default();
        let numbers = registry.intern_group(vec![list(ValType::I32)]);
        assert_eq!(registry.intern_group(vec![list(ValType::I32)]), numbers);
        assert_ne!(registry.intern_group(vec![list(ValType::I64)]), numbers);
        // The next of a number is one, and it has no other.
        let SubType { composite: CompositeType::Struct(ty), .. } = registry.get(numbers).unwrap() else {
            panic!("a structure")
        };
        let next = reference(HeapType::ConcreteStruct(numbers));
        assert_eq!(ty.fields()[1].element, StorageType::Val(next));
        // The same list seen from outside of its group is another type.
        let outside = SubType::plain(structure([ValType::I32, next]));
        assert_ne!(registry.intern_group(vec![outside]), numbers);
    }

    #[test]
    fn a_member_of_a_larger_group_is_another_type_than_the_same_alone() {
        let registry = TypeRegistry::default();
        let ty = FuncType::new([ValType::I32], []);
        let plain = || SubType::plain(CompositeType::Func(ty.clone()));
        let alone = registry.intern(&ty);
        let first = registry.intern_group(vec![plain(), plain()]);
        let second = TypeId(first.0 + 1);
        assert!(alone != first && alone != second);
        let (first_func, second_func) = (registry.func(first).unwrap(), registry.func(second).unwrap());
        assert!(first_func != second_func && first_func != ty && registry.func(alone).unwrap() == ty);
        assert_eq!(registry.intern(&second_func), second);
        assert_eq!(first_func.to_string(), ty.to_string());
    }

    #[test]
    fn what_is_declared_below_a_type_matches_it_and_all_above() {
        let registry = TypeRegistry::default();
        let below = |supertype, fields: &[ValType]| {
            let composite = structure(fields.iter().copied());
            registry.intern_group(vec![SubType { is_final: false, supertype, composite }])
        };
        let shape = below(None, &[]);
        let (circle, square) =
            (below(Some(shape), &[ValType::F64]), below(Some(shape), &[ValType::F64, ValType::F64]));
        let ball = below(Some(circle), &[ValType::F64, ValType::F32]);
        let matches: Vec<_> = [shape, circle, square, ball]
            .map(|sub| [shape, circle, square, ball].map(|sup| registry.is_subtype(sub, sup)))
            .to_vec();
        assert_eq!(
            matches,
            [
                [true, false, false, false],
                [true, true, false, false],
                [true, false, true, false],
                [true, true, false, true]
            ]
        );
        assert!(!registry.is_subtype(TypeId(1000), shape) && !registry.is_subtype(shape, TypeId(1000)));
    }
}
