//! Exceptions, as objects.

use wasmrun_runtime::types::TypeId;

use super::structure::layout;
use super::{Place, allocate};
use crate::error::{Error, Result};
use crate::externs::Tag;
use crate::rooted::{GcRef, OwnedRooted, Rooted, sealed};
use crate::store::{AsContext, AsContextMut, StoreOpaque};
use crate::types::{FieldType, Mutability, RefType, StorageType, ValType};
use crate::values::Val;

/// What an `exnref` leads to: an exception, with the tag that it was made with and the values that it carries.
///
/// A function of the host throws one by returning it as its error: see [`Exception`](crate::Exception).
///
/// ```
/// use wasmrun::{ExnRef, Store, Tag, TagType, Val, ValType};
///
/// let mut store = Store::<()>::default();
/// let tag = Tag::new(&mut store, TagType::new([ValType::I32, ValType::F64]))?;
/// let made = ExnRef::new(&mut store, &tag, &[Val::I32(7), Val::from(0.5)])?;
/// assert_eq!(made.tag(&store)?, tag);
/// assert_eq!(made.field(&mut store, 1)?.f64(), Some(0.5));
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Debug)]
pub enum ExnRef {}

impl sealed::Sealed for ExnRef {}
impl GcRef for ExnRef {}

/// Where an exception with a tag has one of the values, which is of the type `ty`.
fn place(store: &StoreOpaque, id: TypeId, index: usize, ty: ValType) -> Place {
    // Its first field is the tag.
    let at = layout(store, id).carried()[index];
    let ty = FieldType::new(Mutability::Const, StorageType::Val(ty));
    Place { offset: at.offset as usize, storage: at.storage, ty }
}

impl ExnRef {
    /// Makes an exception that carries these values.
    ///
    /// # Errors
    /// The tag belongs to another store, there are more values than its type has or fewer, one is of another type, or as for
    /// [`ExternRef::new`](crate::ExternRef::new).
    pub fn new(mut store: impl AsContextMut, tag: &Tag, values: &[Val]) -> Result<Rooted<ExnRef>> {
        let mut store = store.as_context_mut();
        let inner = store.inner_mut();
        let (id, ty) = (tag.id(&inner.opaque)?, tag.type_in(&inner.opaque)?);
        if values.len() != ty.params().len() {
            let expected = ty.params().len();
            return Err(Error::msg(format!("an exception of {expected} values, not {}", values.len())));
        }
        for (value, ty) in values.iter().zip(ty.params()) {
            value.check(&inner.opaque, *ty)?;
        }
        let bytes = layout(&inner.opaque, tag.type_id()).bytes as usize;
        // SAFETY: these are the bytes of an exception with such a tag, which has the places.
        unsafe {
            let made = allocate(inner, tag.type_id(), bytes)?;
            inner.opaque.vm.exec_mut().set_tag_of(made, id);
            for (index, (value, ty)) in values.iter().zip(ty.params()).enumerate() {
                let place = place(&inner.opaque, tag.type_id(), index, *ty);
                place.set(&mut inner.opaque, made, value)?;
            }
            Ok(Rooted::of_word(&mut inner.opaque, made).expect("an object is not at null"))
        }
    }
}

/// The tag of an exception.
///
/// # Safety
/// `word` leads to one of the store.
pub(crate) unsafe fn tag_of(store: &StoreOpaque, word: u32) -> Tag {
    // SAFETY: the caller's promise.
    unsafe { Tag::of(store, store.vm.exec().tag_of(word), store.vm.kind(word).type_id()) }
}

/// A value of an exception, as far as it can be told without the store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Carried {
    /// A number or a vector.
    Number(Val),
    /// Null, or not, of a family of references.
    Reference { family: RefType, null: bool },
}

/// What an exception carries.
///
/// # Safety
/// As for [`tag_of`].
pub(crate) unsafe fn carried(store: &mut StoreOpaque, word: u32) -> Vec<Carried> {
    // SAFETY: the caller's promise: an exception has the places of its tag's type.
    unsafe {
        let tag = tag_of(store, word);
        let ty = tag.type_in(store).expect("a tag of the store");
        let value = |(index, &ty): (usize, &ValType)| {
            let place = place(store, tag.type_id(), index, ty);
            match ty {
                ValType::Ref(ty) => {
                    let null = store.vm.load(word, place.offset, place.storage)[0] == 0;
                    Carried::Reference { family: RefType::new(true, ty.heap.top()), null }
                }
                _ => Carried::Number(place.get(store, word)),
            }
        };
        ty.params().iter().enumerate().map(value).collect()
    }
}

macro_rules! exceptions {
    ($($handle:ident)*) => { $(
        impl $handle<ExnRef> {
            /// Its tag.
            ///
            /// # Errors
            /// It belongs to another store, or its scope has ended. The same holds for all of its methods.
            pub fn tag(&self, store: impl AsContext) -> Result<Tag> {
                let store = &store.as_context().inner().opaque;
                let word = sealed::Word::word(self, store)?;
                // SAFETY: the store keeps the reference as it is now.
                Ok(unsafe { tag_of(store, word) })
            }

            /// One of the values that it carries.
            ///
            /// # Errors
            /// It carries fewer; see also [`Self::tag`].
            pub fn field(&self, mut store: impl AsContextMut, index: usize) -> Result<Val> {
                let mut store = store.as_context_mut();
                let tag = self.tag(&store)?;
                let store = &mut store.inner_mut().opaque;
                let ty = tag.type_in(store)?;
                let no_field =
                    || Error::msg(format!("there is no value {index} in an exception of {}", ty.params().len()));
                let place = place(store, tag.type_id(), index, *ty.params().get(index).ok_or_else(no_field)?);
                let word = sealed::Word::word(self, store)?;
                // SAFETY: the exception has this place.
                Ok(unsafe { place.get(store, word) })
            }

            /// All values that it carries, in order.
            ///
            /// # Errors
            /// See [`Self::tag`].
            pub fn fields(&self, mut store: impl AsContextMut) -> Result<impl ExactSizeIterator<Item = Val>> {
                let mut store = store.as_context_mut();
                let count = self.tag(&store)?.ty(&store).params().len();
                let fields: Result<Vec<Val>> = (0..count).map(|index| self.field(&mut store, index)).collect();
                Ok(fields?.into_iter())
            }
        }
    )* };
}

exceptions!(Rooted OwnedRooted);
