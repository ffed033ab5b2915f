//! Values of the guest that are no numbers of its own: objects, small numbers, and what the host has passed off as such.

use wasmrun_runtime::types::TypeId;

use super::{ArrayRef, StructRef, check_known};
use crate::error::Result;
use crate::rooted::{ExternRef, GcRef, Rooted, sealed};
use crate::store::{AsContext, AsContextMut, StoreOpaque};
use crate::types::{HeapType, RefType, ValType};

/// A number of 31 bits, which takes no memory.
///
/// ```
/// use wasmrun::I31;
///
/// assert_eq!(I31::wrapping_i32(-1).get_i32(), -1);
/// assert_eq!(I31::wrapping_i32(-1).get_u32(), 0x7fff_ffff);
/// assert_eq!(I31::new_u32(1 << 31), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct I31(u32);

impl I31 {
    /// A signed number, if it fits.
    pub fn new_i32(value: i32) -> Option<I31> {
        let number = I31::wrapping_i32(value);
        (number.get_i32() == value).then_some(number)
    }

    /// An unsigned number, if it fits.
    pub fn new_u32(value: u32) -> Option<I31> {
        let number = I31::wrapping_u32(value);
        (number.get_u32() == value).then_some(number)
    }

    /// The low 31 bits of a number.
    pub fn wrapping_i32(value: i32) -> I31 {
        I31::wrapping_u32(value as u32)
    }

    /// The low 31 bits of a number.
    pub fn wrapping_u32(value: u32) -> I31 {
        I31(value & (u32::MAX >> 1))
    }

    /// The number, signed.
    pub fn get_i32(self) -> i32 {
        (self.0 << 1) as i32 >> 1
    }

    /// The number, unsigned.
    pub fn get_u32(self) -> u32 {
        self.0
    }
}

/// What an `anyref` leads to: an object, a number of 31 bits, or a value of the host that has been converted.
///
/// ```
/// use wasmrun::{AnyRef, I31, Store};
///
/// let mut store = Store::<()>::default();
/// let number = AnyRef::from_i31(&mut store, I31::wrapping_i32(7));
/// assert!(number.is_i31(&store)? && !number.is_struct(&store)?);
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Debug)]
pub enum AnyRef {}

impl sealed::Sealed for AnyRef {}
impl GcRef for AnyRef {}

/// What an `eqref` leads to: an object or a number of 31 bits.
///
/// ```
/// use wasmrun::{EqRef, I31, Rooted, Store};
///
/// let mut store = Store::<()>::default();
/// let [a, b] = [7, 7].map(|number| EqRef::from_i31(&mut store, I31::wrapping_i32(number)));
/// assert!(Rooted::ref_eq(&store, &a, &b)?);
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Debug)]
pub enum EqRef {}

impl sealed::Sealed for EqRef {}
impl GcRef for EqRef {}

fn from_i31<T: GcRef>(mut store: impl AsContextMut, number: I31) -> Rooted<T> {
    let mut store = store.as_context_mut();
    let store = &mut store.inner_mut().opaque;
    Rooted::of_word(store, (number.0 << 1) | 1).expect("a number is not null")
}

impl AnyRef {
    /// A reference to a number of 31 bits.
    pub fn from_i31(store: impl AsContextMut, number: I31) -> Rooted<AnyRef> {
        from_i31(store, number)
    }

    /// The same reference, as the guest's `any.convert_extern` makes it.
    ///
    /// # Errors
    /// It belongs to another store, or its scope has ended.
    pub fn convert_extern(mut store: impl AsContextMut, value: Rooted<ExternRef>) -> Result<Rooted<AnyRef>> {
        let mut store = store.as_context_mut();
        let store = &mut store.inner_mut().opaque;
        let word = sealed::Word::word(&value, store)?;
        Ok(Rooted::of_word(store, word).expect("a handle's reference is not null"))
    }
}

impl EqRef {
    /// A reference to a number of 31 bits.
    pub fn from_i31(store: impl AsContextMut, number: I31) -> Rooted<EqRef> {
        from_i31(store, number)
    }
}

impl ExternRef {
    /// The same reference, as the guest's `extern.convert_any` makes it.
    ///
    /// # Errors
    /// It belongs to another store, or its scope has ended.
    pub fn convert_any(mut store: impl AsContextMut, value: Rooted<AnyRef>) -> Result<Rooted<ExternRef>> {
        let mut store = store.as_context_mut();
        let store = &mut store.inner_mut().opaque;
        let word = sealed::Word::word(&value, store)?;
        Ok(Rooted::of_word(store, word).expect("a handle's reference is not null"))
    }
}

/// Whether the reference of a handle is of a type.
fn is_of<T: GcRef>(value: Rooted<T>, store: &StoreOpaque, heap: HeapType) -> Result<bool> {
    let word = sealed::Word::word(&value, store)?;
    let ty = RefType::new(false, heap);
    check_known(store.engine.registry(), ValType::Ref(ty))?;
    // SAFETY: the store keeps the reference as it is now, and knows the type.
    Ok(heap.top() == HeapType::Any && unsafe { store.vm.matches(word, ty) })
}

/// The most exact type of a reference that is one of `any`.
fn type_of<T: GcRef>(value: Rooted<T>, store: &StoreOpaque) -> Result<HeapType> {
    let word = sealed::Word::word(&value, store)?;
    if word & 1 != 0 {
        return Ok(HeapType::I31);
    }
    // SAFETY: the store keeps the reference as it is now.
    let id: TypeId = unsafe { store.vm.kind(word) }.type_id();
    Ok(store.engine.registry().heap_type(id).unwrap_or(HeapType::Any))
}

impl Rooted<AnyRef> {
    /// See [`Self::matches_ty`].
    pub(crate) fn matches_in(&self, store: &StoreOpaque, heap: HeapType) -> Result<bool> {
        is_of(*self, store, heap)
    }

    /// See [`Self::ty`].
    pub(crate) fn type_in(&self, store: &StoreOpaque) -> Result<HeapType> {
        type_of(*self, store)
    }
}

macro_rules! any {
    ($($name:ident)*) => { $(
        impl Rooted<$name> {
            /// The most exact type of what it leads to; `any` if that is a value of the host.
            ///
            /// # Errors
            /// It belongs to another store, or its scope has ended. The same holds for all of its methods.
            pub fn ty(&self, store: impl AsContext) -> Result<HeapType> {
                type_of(*self, &store.as_context().inner().opaque)
            }

            /// Whether what it leads to is of a type.
            ///
            /// # Errors
            /// See [`Self::ty`]; or the type is of another engine.
            pub fn matches_ty(&self, store: impl AsContext, ty: &HeapType) -> Result<bool> {
                is_of(*self, &store.as_context().inner().opaque, *ty)
            }

            /// Whether it is a number of 31 bits.
            ///
            /// # Errors
            /// See [`Self::ty`].
            pub fn is_i31(&self, store: impl AsContext) -> Result<bool> {
                self.matches_ty(store, &HeapType::I31)
            }

            /// The number, if it is one.
            ///
            /// # Errors
            /// See [`Self::ty`].
            pub fn as_i31(&self, store: impl AsContext) -> Result<Option<I31>> {
                let word = sealed::Word::word(self, &store.as_context().inner().opaque)?;
                Ok((word & 1 != 0).then_some(I31(word >> 1)))
            }

            /// Whether it leads to a structure.
            ///
            /// # Errors
            /// See [`Self::ty`].
            pub fn is_struct(&self, store: impl AsContext) -> Result<bool> {
                self.matches_ty(store, &HeapType::Struct)
            }

            /// The structure, if it leads to one.
            ///
            /// # Errors
            /// See [`Self::ty`].
            pub fn as_struct(&self, store: impl AsContext) -> Result<Option<Rooted<StructRef>>> {
                Ok(self.is_struct(store)?.then(|| self.cast()))
            }

            /// Whether it leads to an array.
            ///
            /// # Errors
            /// See [`Self::ty`].
            pub fn is_array(&self, store: impl AsContext) -> Result<bool> {
                self.matches_ty(store, &HeapType::Array)
            }

            /// The array, if it leads to one.
            ///
            /// # Errors
            /// See [`Self::ty`].
            pub fn as_array(&self, store: impl AsContext) -> Result<Option<Rooted<ArrayRef>>> {
                Ok(self.is_array(store)?.then(|| self.cast()))
            }
        }
    )* };
}

any!(AnyRef EqRef);

impl Rooted<AnyRef> {
    /// Whether it leads to an object, or is a number of 31 bits.
    ///
    /// # Errors
    /// See [`Self::ty`].
    pub fn is_eqref(&self, store: impl AsContext) -> Result<bool> {
        self.matches_ty(store, &HeapType::Eq)
    }

    /// The same, if it leads to an object or is a number of 31 bits.
    ///
    /// # Errors
    /// See [`Self::ty`].
    pub fn as_eqref(&self, store: impl AsContext) -> Result<Option<Rooted<EqRef>>> {
        Ok(self.is_eqref(store)?.then(|| self.cast()))
    }
}

macro_rules! to_any {
    ($($name:ident)*) => { $(
        impl Rooted<$name> {
            /// The same as an `anyref`.
            pub fn to_anyref(self) -> Rooted<AnyRef> {
                self.cast()
            }
        }

        impl From<Rooted<$name>> for Rooted<AnyRef> {
            fn from(value: Rooted<$name>) -> Rooted<AnyRef> {
                value.cast()
            }
        }
    )* };
}

to_any!(EqRef StructRef ArrayRef);
