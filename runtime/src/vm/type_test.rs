//! Tests of references for types, as far as code does not make them in place: those of tier 0, and of the host.

use super::exec::ExecContext;
use super::func_ref::FuncRef;
use crate::types::table::{TypeKind, record};
use crate::types::{HeapType, RefType, TypeId, TypeRegistry};

/// A type that references are tested for, in a word: what kind of type, whether null is one, and
/// how many types are above it. The number of a type that a module defines stands beside it.
#[derive(Clone, Copy)]
pub struct TypeTest(u16);

impl TypeTest {
    const NULLABLE: u16 = 1 << 4;
    /// All but null.
    const ALL: u16 = 0;
    const NOTHING: u16 = 1;
    const EQ: u16 = 2;
    const I31: u16 = 3;
    const STRUCT: u16 = 4;
    const ARRAY: u16 = 5;
    const CONCRETE: u16 = 6;

    /// A type as a target, and the number of what a module defines, or 0.
    pub fn of(ty: RefType, types: &TypeRegistry) -> (TypeTest, TypeId) {
        let kind = match ty.heap {
            HeapType::Func | HeapType::Extern | HeapType::Any | HeapType::Exn => Self::ALL,
            HeapType::NoFunc | HeapType::NoExtern | HeapType::None | HeapType::NoExn => Self::NOTHING,
            HeapType::Eq => Self::EQ,
            HeapType::I31 => Self::I31,
            HeapType::Struct => Self::STRUCT,
            HeapType::Array => Self::ARRAY,
            HeapType::ConcreteFunc(_) | HeapType::ConcreteStruct(_) | HeapType::ConcreteArray(_) => {
                Self::CONCRETE
            }
        };
        let id = ty.heap.concrete();
        // Validated: there are 63 at most.
        let depth = id.map_or(0, |id| types.depth(id)) as u16;
        let nullable = if ty.nullable { Self::NULLABLE } else { 0 };
        (TypeTest(kind | nullable | (depth << 8)), id.unwrap_or(TypeId(0)))
    }

    /// That with this word.
    #[inline(always)]
    pub fn of_word(word: u16) -> TypeTest {
        TypeTest(word)
    }

    /// The word.
    pub fn word(self) -> u16 {
        self.0
    }

    /// Whether a reference to an object, or a number, is of the type, whose number is `id` if it has one.
    ///
    /// # Safety
    /// `exec` is alive, the reference is one of its store and of the type's hierarchy, and the type one of its engine.
    #[inline(always)]
    pub unsafe fn admits(self, exec: *const ExecContext, word: u32, id: TypeId) -> bool {
        if word == 0 {
            return self.0 & Self::NULLABLE != 0;
        }
        // SAFETY: the caller's promise: the reference is one of the store, and kinds have records.
        unsafe {
            if word & 1 != 0 {
                return matches!(self.0 & 15, Self::ALL | Self::EQ | Self::I31);
            }
            let kind = TypeId((*exec).gc.base.add(word as usize).cast::<u32>().read());
            match self.0 & 15 {
                Self::CONCRETE => self.is_subtype(exec, kind, id),
                Self::ALL => true,
                Self::EQ => record((*exec).types, kind).kind != TypeKind::None,
                Self::STRUCT => record((*exec).types, kind).kind == TypeKind::Struct,
                Self::ARRAY => record((*exec).types, kind).kind == TypeKind::Array,
                _ => false,
            }
        }
    }

    /// The same for a reference to a function.
    ///
    /// # Safety
    /// As for [`TypeTest::admits`].
    #[inline(always)]
    pub unsafe fn admits_function(
        self,
        exec: *const ExecContext,
        function: *const FuncRef,
        id: TypeId,
    ) -> bool {
        if function.is_null() {
            return self.0 & Self::NULLABLE != 0;
        }
        match self.0 & 15 {
            // SAFETY: the caller's promise: the reference is one of the store.
            Self::CONCRETE => unsafe { self.is_subtype(exec, (*function).type_id, id) },
            kind => kind == Self::ALL,
        }
    }

    #[inline(always)]
    unsafe fn is_subtype(self, exec: *const ExecContext, sub: TypeId, id: TypeId) -> bool {
        // SAFETY: both are types of the engine.
        sub == id || unsafe { record((*exec).types, sub).is_subtype(id, (self.0 >> 8).into()) }
    }
}
