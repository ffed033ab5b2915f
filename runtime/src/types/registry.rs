//! One number for equal types, whichever modules of an engine define them.
//!
//! Types are defined in *groups* whose members can refer to one another. Two types are equal if their groups are and
//! they stand at the same place in them (specification, section 2.3.9). So a group is looked up as a whole, with the
//! references to its own members replaced by their places: what is equal then is written in the same way.
//!
//! Types are read without a lock. Who looks for a group holds one for as long as a look into a map takes; who adds one makes
//! all there is to make of it before it takes that lock, and waits for others who add.
//!
//! What is registered stays for as long as the registry. So a module's types are registered when the module has been
//! validated, and the types of modules together are [bounded](TooManyTypes).

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::ValType;
use super::composite::{CompositeType, FieldType, SubType};
use super::func::FuncType;
use super::object::{FieldLayout, ObjectLayout};
use super::reference::{DefinedType, HeapType};
use super::table::{Directory, KnownType, TypeRecord, TypeTable, record};

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

/// Why an engine can have no more types of modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooManyTypes {
    /// They would take more bytes than they may.
    #[error(
        "the types that the module defines do not fit beside those that the engine knows, from all modules that \
         it has made: they may take {0} bytes together (a new engine knows none)"
    )]
    Limit(usize),
    /// The system refused.
    #[error("the system has no memory for the types that the module defines")]
    System,
}

/// Bytes that the types of an engine's modules may take. The million types that a module can define take a third of it, if
/// they are as short as types are.
const MOST_BYTES: usize = 1 << 30;

/// Bytes that a type takes before it has any parts: its record, itself, what it is found by, and what allocators and the map
/// need for them.
const BYTES_OF_TYPE: usize = size_of::<TypeRecord>() + size_of::<KnownType>() + size_of::<SubType>() + 128;

/// Bytes for each field: as a part of the type, and where it is in objects.
const BYTES_OF_FIELD: usize = size_of::<FieldType>() + size_of::<FieldLayout>() + size_of::<u32>();

// Numbers of types do not reach those of members.
const _: () = assert!(MOST_BYTES / BYTES_OF_TYPE < TypeId::MEMBERS as usize);

/// Gives each distinct type one [`TypeId`], which is good for as long as the registry lives.
#[derive(Debug)]
pub struct TypeRegistry {
    /// No other registry of the process has it.
    identity: u32,
    /// That of the table below.
    directory: SharedDirectory,
    /// Types below this number have a record.
    known: AtomicU32,
    has_functions: AtomicBool,
    /// The id of each group's first member. The others follow.
    groups: RwLock<HashMap<Arc<[SubType]>, TypeId>>,
    adding: Mutex<Adding>,
    most_bytes: usize,
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

/// What is changed by who adds types.
#[derive(Debug, Default)]
struct Adding {
    table: TypeTable,
    /// Bytes that all types take, more or less.
    bytes: usize,
}

impl Default for TypeRegistry {
    fn default() -> TypeRegistry {
        TypeRegistry::with_most_bytes(MOST_BYTES)
    }
}

impl TypeRegistry {
    /// A registry in which the types of modules may take so many bytes.
    fn with_most_bytes(most_bytes: usize) -> TypeRegistry {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let adding = Adding::default();
        TypeRegistry {
            identity: NEXT.fetch_add(1, Ordering::Relaxed),
            directory: SharedDirectory(adding.table.directory()),
            known: AtomicU32::new(0),
            has_functions: AtomicBool::new(false),
            groups: RwLock::default(),
            adding: Mutex::new(adding),
            most_bytes,
        }
    }

    /// The id of the first member of `group`, which a module defines, new or known; those of the others follow. The types
    /// refer to one another by [`TypeId::member`], to types outside by their ids.
    ///
    /// # Errors
    /// It is new, and there is no room for it.
    pub(crate) fn intern_group(&self, group: Vec<SubType>) -> Result<TypeId, TooManyTypes> {
        self.intern_within(self.most_bytes, group)
    }

    /// The id of a function type, new or known. One that another registry has declared is taken for the plain type with
    /// its parameters and results.
    ///
    /// # Panics
    /// The host has made 2³¹ types, or the system has no memory.
    pub fn intern(&self, ty: &FuncType) -> TypeId {
        match ty.declared() {
            Some(declared) if declared.registry() == self.identity => declared.id(),
            _ => self.intern_object(CompositeType::Func(ty.plain())),
        }
    }

    /// The id of a type that is declared below none, and that none is declared below, new or known.
    /// The types that it refers to are of this registry.
    ///
    /// # Panics
    /// The host has made 2³¹ types, or the system has no memory.
    pub fn intern_object(&self, ty: CompositeType) -> TypeId {
        let interned = self.intern_within(usize::MAX, vec![SubType::plain(ty)]);
        interned.unwrap_or_else(|error| panic!("{error}"))
    }

    fn intern_within(&self, most_bytes: usize, group: Vec<SubType>) -> Result<TypeId, TooManyTypes> {
        if let Some(first) = self.find(&group) {
            return Ok(first);
        }
        let mut adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been faster.
        if let Some(first) = self.find(&group) {
            return Ok(first);
        }
        let first = adding.add(self.identity, &group, most_bytes)?;
        for id in (first.0..adding.table.len()).map(TypeId) {
            // SAFETY: the record has just been written.
            #[allow(unsafe_code)]
            let layout = unsafe { record(self.directory(), id).layout.as_ref() };
            if layout.is_some_and(ObjectLayout::has_functions) {
                self.has_functions.store(true, Ordering::Release);
            }
        }
        self.known.store(adding.table.len(), Ordering::Release);
        let group: Arc<[SubType]> = group.into();
        self.groups.write().unwrap_or_else(PoisonError::into_inner).insert(group, first);
        Ok(first)
    }

    fn find(&self, group: &[SubType]) -> Option<TypeId> {
        self.groups.read().unwrap_or_else(PoisonError::into_inner).get(group).copied()
    }

    fn known(&self, id: TypeId) -> Option<&KnownType> {
        if id.0 >= self.known.load(Ordering::Acquire) {
            return None;
        }
        // SAFETY: there is a record, which like the type stays as long as the registry.
        #[allow(unsafe_code)]
        unsafe {
            record(self.directory(), id).known.as_ref()
        }
    }

    /// The type that `id` stands for, if this registry gave it out.
    pub fn get(&self, id: TypeId) -> Option<&SubType> {
        self.known(id).map(|known| &known.ty)
    }

    /// The function type that `id` stands for, if this registry gave it out for one.
    pub fn func(&self, id: TypeId) -> Option<FuncType> {
        self.get(id)?.composite.func().cloned()
    }

    /// How references name the type that `id` stands for, which is one of this registry or a member of a group that is to
    /// be registered.
    pub(crate) fn defined(&self, id: TypeId) -> DefinedType {
        DefinedType::new(id, self.identity)
    }

    /// References to the type that `id` stands for, if this registry gave it out.
    pub fn heap_type(&self, id: TypeId) -> Option<HeapType> {
        let defined = self.defined(id);
        Some(match self.get(id)?.composite {
            CompositeType::Func(_) => HeapType::ConcreteFunc(defined),
            CompositeType::Struct(_) => HeapType::ConcreteStruct(defined),
            CompositeType::Array(_) => HeapType::ConcreteArray(defined),
        })
    }

    /// Whether there is such a type here: it is one of the standard's, or one that this registry gave out, and as what it
    /// gave it out.
    pub fn knows_heap_type(&self, heap: HeapType) -> bool {
        heap.concrete().is_none_or(|id| self.heap_type(id) == Some(heap))
    }

    /// The same for the types of values.
    pub fn knows(&self, ty: ValType) -> bool {
        if let ValType::Ref(ty) = ty { self.knows_heap_type(ty.heap) } else { true }
    }

    /// Where code finds the records of types, without a lock. It stays for as long as the registry.
    pub fn directory(&self) -> Directory {
        self.directory.0
    }

    /// How many types are above the one that `id` stands for.
    pub fn depth(&self, id: TypeId) -> u32 {
        self.known(id).map_or(0, |known| known.path().len() as u32 - 1)
    }

    /// Whether there are types of objects that refer to functions.
    pub fn have_functions_in_objects(&self) -> bool {
        self.has_functions.load(Ordering::Acquire)
    }

    /// How many types there are.
    pub fn len(&self) -> usize {
        self.known.load(Ordering::Acquire) as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How objects of the type that `id` stands for are laid out, if this registry gave it out for objects.
    pub fn layout(&self, id: TypeId) -> Option<&ObjectLayout> {
        self.known(id)?.layout()
    }

    /// Whether `sub` is `sup` or declared below it, directly or not.
    pub fn is_subtype(&self, sub: TypeId, sup: TypeId) -> bool {
        if sub == sup {
            return true;
        }
        // A type stands at the same place among the types above each that is below it.
        match (self.known(sub), self.known(sup)) {
            (Some(sub), Some(found)) => sub.path().get(found.path().len() - 1) == Some(&sup),
            _ => false,
        }
    }

    /// The same of types as references name them: those of other registries are below none.
    pub(super) fn is_defined_below(&self, sub: DefinedType, sup: DefinedType) -> bool {
        let ours = [sub, sup].iter().all(|ty| ty.registry() == self.identity);
        ours && self.is_subtype(sub.id(), sup.id())
    }
}

impl Adding {
    fn add(&mut self, registry: u32, group: &[SubType], most_bytes: usize) -> Result<TypeId, TooManyTypes> {
        let first = self.table.len();
        // A module defines a million at most, and the host no more than a process has memory for.
        let end = u32::try_from(group.len()).ok().and_then(|count| first.checked_add(count));
        if end.is_none_or(|end| end >= TypeId::MEMBERS) {
            return Err(TooManyTypes::System);
        }
        let bytes = self.bytes.saturating_add(group.iter().map(bytes_of).sum());
        if bytes > most_bytes {
            return Err(TooManyTypes::Limit(most_bytes));
        }
        self.table.reserve(group.len() as u32)?;
        self.bytes = bytes;
        let is_plain = is_plain(group);
        for (place, member) in group.iter().enumerate() {
            let id = TypeId(first + place as u32);
            // What the group is found by shares its parts with a type that refers to none of the group.
            let mut ty = match refers_to_members(member) {
                true => member.map_ids(|id| id.as_member().map_or(id, |place| TypeId(first + place))),
                false => member.clone(),
            };
            if let (CompositeType::Func(func), false) = (&mut ty.composite, is_plain) {
                func.declare(DefinedType::new(id, registry));
            }
            // Validated: what is above a type comes before it.
            let known = KnownType::new(id, ty.supertype.map_or(&[], |above| self.table.path(above)), ty);
            self.table.add(known);
        }
        Ok(TypeId(first))
    }
}

/// Bytes that a type takes, more or less. What is above it, 63 types at most, is in that.
fn bytes_of(ty: &SubType) -> usize {
    let parts = match &ty.composite {
        CompositeType::Func(ty) => (ty.params().len() + ty.results().len()) * size_of::<ValType>(),
        CompositeType::Struct(ty) => ty.fields().len() * BYTES_OF_FIELD,
        CompositeType::Array(_) => 0,
    };
    BYTES_OF_TYPE + if refers_to_members(ty) { 2 * parts } else { parts }
}

/// Whether it refers to a type of its own group.
fn refers_to_members(ty: &SubType) -> bool {
    ty.ids().any(|id| id.as_member().is_some())
}

/// Whether it is one type of which all is said without a word about others: of a plain function its parameters and results.
fn is_plain(group: &[SubType]) -> bool {
    let [only] = group else { return false };
    only.is_final && only.supertype.is_none() && !refers_to_members(only)
}

#[cfg(test)]
mod tests {
    use super::super::Mutability;
    use super::*;
    use crate::error::ParseError;
    use crate::features::{Features, proposal};
    use crate::module::Module;
    use crate::types::{RefType, StorageType, StructType};

    fn reference(heap: HeapType) -> ValType {
        ValType::Ref(RefType::new(true, heap))
    }

    fn structure(fields: impl IntoIterator<Item = ValType>) -> CompositeType {
        let field = |ty| FieldType::new(Mutability::Var, StorageType::Val(ty));
        CompositeType::Struct(StructType::new(fields.into_iter().map(field)))
    }

    /// A list whose elements are of type `ty`.
    fn list(types: &TypeRegistry, ty: ValType) -> SubType {
        let itself = DefinedType::new(TypeId::member(0), types.identity);
        SubType::plain(structure([ty, reference(HeapType::ConcreteStruct(itself))]))
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
        let numbers = registry.intern_group(vec![list(&registry, ValType::I32)]).unwrap();
        assert_eq!(registry.intern_group(vec![list(&registry, ValType::I32)]).unwrap(), numbers);
        assert_ne!(registry.intern_group(vec![list(&registry, ValType::I64)]).unwrap(), numbers);
        // The next of a number is one, and it has no other.
        let ty = registry.get(numbers).unwrap().composite.struct_().unwrap();
        let next = reference(registry.heap_type(numbers).unwrap());
        assert_eq!(ty.fields()[1].element, StorageType::Val(next));
        // The same list seen from outside of its group is another type.
        let outside = SubType::plain(structure([ValType::I32, next]));
        assert_ne!(registry.intern_group(vec![outside]).unwrap(), numbers);
    }

    #[test]
    fn a_member_of_a_larger_group_is_another_type_than_the_same_alone() {
        let registry = TypeRegistry::default();
        let ty = FuncType::new([ValType::I32], []);
        let plain = || SubType::plain(CompositeType::Func(ty.clone()));
        let alone = registry.intern(&ty);
        let first = registry.intern_group(vec![plain(), plain()]).unwrap();
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
            registry.intern_group(vec![SubType { is_final: false, supertype, composite }]).unwrap()
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

    fn parse(text: &str, features: Features, registry: &Arc<TypeRegistry>) -> Result<Module, ParseError> {
        crate::parse(wat::parse_str(text).unwrap(), features, registry)
    }

    #[test]
    fn types_of_modules_that_are_refused_are_not_registered() {
        let registry = Arc::<TypeRegistry>::default();
        let refused = [
            // A body, a section behind the types, and a proposal that is off.
            "(module (type (func (param i64 i64))) (func (type 0) i32.const 1))",
            "(module (type (struct (field f32))) (export \"none\" (memory 3)))",
            "(module (type (array i8)) (memory i64 1) (func (drop (i32.load (i32.const 0)))))",
        ];
        let old = Features::default().with(proposal("memory64").unwrap(), false);
        for text in refused {
            assert!(parse(text, old, &registry).is_err(), "{text}");
            assert_eq!(registry.len(), 0, "{text}");
        }
        let module = parse("(module (type (func)) (type (struct (field (ref 0)))))", old, &registry).unwrap();
        assert_eq!((registry.len(), module.type_ids().len()), (2, 2));
    }

    #[test]
    fn a_module_whose_types_do_not_fit_beside_those_of_others_is_refused() {
        let registry = Arc::new(TypeRegistry::with_most_bytes(100 * BYTES_OF_TYPE));
        let module = |number: usize| {
            let text = format!("(module (type (array i8)) (type (struct {})))", "(field i32)".repeat(number));
            parse(&text, Features::default(), &registry)
        };
        let made = (0..100).take_while(|number| module(*number).is_ok()).count();
        assert!((20..50).contains(&made), "{made}");
        let error = module(made).unwrap_err();
        assert!(matches!(error, ParseError::TooLarge { offset: 10, function: None, .. }), "{error:?}");
        assert!(error.to_string().contains("beside those that the engine knows"), "{error}");
        // What is known takes no more, and the host is not held to it.
        assert!(module(made - 1).is_ok());
        let known = registry.len();
        registry.intern(&FuncType::new(vec![ValType::I64; 1000], []));
        assert_eq!(registry.len(), known + 1);
    }

    #[test]
    fn types_of_other_registries_are_told_from_ones_own() {
        let (ours, theirs) = (TypeRegistry::default(), TypeRegistry::default());
        let heaps = [&ours, &theirs].map(|registry| {
            let id = registry.intern_object(structure([ValType::I32]));
            registry.heap_type(id).unwrap()
        });
        assert_eq!(heaps.map(|heap| heap.concrete().unwrap()), [TypeId(0); 2]);
        assert!(ours.knows_heap_type(heaps[0]) && !ours.knows_heap_type(heaps[1]));
        assert!(heaps[0].matches(heaps[0], &ours) && !heaps[1].matches(heaps[0], &ours));
        let HeapType::ConcreteStruct(ty) = heaps[0] else { panic!("{:?}", heaps[0]) };
        assert!(!ours.knows_heap_type(HeapType::ConcreteArray(ty)), "it is no array");
    }

    #[test]
    fn threads_that_register_the_same_types_get_the_same_ids() {
        const TYPES: usize = if cfg!(miri) { 8 } else { 400 };
        let registry = TypeRegistry::default();
        let register = || -> Vec<TypeId> {
            let fields = |count| std::iter::repeat_n(ValType::I32, count);
            (0..TYPES).map(|count| registry.intern_object(structure(fields(count)))).collect()
        };
        let ids = std::thread::scope(|scope| {
            [(); 4].map(|()| scope.spawn(register)).map(|thread| thread.join().unwrap())
        });
        assert!(ids.iter().all(|of_thread| *of_thread == ids[0]));
        assert_eq!(registry.len(), TYPES);
        for (count, id) in ids[0].iter().enumerate() {
            assert_eq!(registry.get(*id).unwrap().composite.struct_().unwrap().fields().len(), count);
        }
    }
}
