//! Arrays.

use wasmrun_runtime::types::TypeId;
use wasmrun_runtime::types::object::{ARRAY_LENGTH, ArrayLayout, ObjectLayout, Storage};

use super::{ArrayType, Place, allocate};
use crate::error::{Error, Result};
use crate::rooted::{GcRef, Rooted, sealed};
use crate::store::{AsContext, AsContextMut, StoreInner, StoreOpaque};
use crate::values::Val;

/// What an `arrayref` leads to.
///
/// ```
/// use wasmrun::{ArrayRef, ArrayRefPre, ArrayType, Engine, FieldType, Mutability, StorageType, Store, Val};
///
/// let engine = Engine::default();
/// let mut store = Store::new(&engine, ());
/// let ty = ArrayType::new(&engine, FieldType::new(Mutability::Var, StorageType::I16))?;
/// let pre = ArrayRefPre::new(&mut store, ty);
/// let made = ArrayRef::new(&mut store, &pre, &Val::I32(5), 3)?;
/// made.set(&mut store, 1, Val::I32(-1))?;
/// assert_eq!(made.len(&store)?, 3);
/// assert_eq!(made.get(&mut store, 1)?, Val::I32(0xffff));
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Debug)]
pub enum ArrayRef {}

impl sealed::Sealed for ArrayRef {}
impl GcRef for ArrayRef {}

/// What is needed to make arrays of a type: for who makes many. See [`ArrayRef`].
#[derive(Clone, Debug)]
pub struct ArrayRefPre {
    ty: ArrayType,
}

impl ArrayRefPre {
    /// For arrays of the type `ty` in a store of its engine.
    ///
    /// # Panics
    /// It is of another engine.
    pub fn new(store: impl AsContext, ty: ArrayType) -> ArrayRefPre {
        let checked = ty.check_engine(&store.as_context().inner().opaque.engine);
        checked.expect("the type is one of the store's engine");
        ArrayRefPre { ty }
    }
}

fn layout(store: &StoreOpaque, id: TypeId) -> ArrayLayout {
    match store.engine.registry().layout(id) {
        Some(ObjectLayout::Array(layout)) => *layout,
        other => unreachable!("the layout of an array, not {other:?}"),
    }
}

/// Where an element would be.
fn place(store: &StoreOpaque, ty: &ArrayType, index: u32) -> Place {
    let layout = layout(store, ty.id());
    let offset = layout.first as usize + index as usize * layout.storage.bytes() as usize;
    Place { offset, storage: layout.storage, ty: ty.field_type() }
}

/// Makes an array of so many elements, which are 0 and null.
fn make<T: 'static>(inner: &mut StoreInner<T>, ty: &ArrayType, len: u32) -> Result<u32> {
    let bytes = layout(&inner.opaque, ty.id()).bytes(len);
    // SAFETY: these are the bytes of an array of the type and length.
    unsafe {
        let made = allocate(inner, ty.id(), bytes)?;
        inner.opaque.vm.store_field(made, ARRAY_LENGTH, Storage::Word, [len.into(), 0]);
        Ok(made)
    }
}

impl ArrayRef {
    /// Makes an array of `len` elements that are all `element`.
    ///
    /// # Errors
    /// It is of another type, or as for [`ExternRef::new`](crate::ExternRef::new).
    pub fn new(
        mut store: impl AsContextMut,
        pre: &ArrayRefPre,
        element: &Val,
        len: u32,
    ) -> Result<Rooted<ArrayRef>> {
        let mut store = store.as_context_mut();
        let inner = store.inner_mut();
        let ty = &pre.ty;
        ty.check_engine(&inner.opaque.engine)?;
        element.check(&inner.opaque, ty.element_type().unpack())?;
        let made = make(inner, ty, len)?;
        let words = element.to_words(&inner.opaque, ty.element_type().unpack())?;
        let Place { offset, storage, .. } = place(&inner.opaque, ty, 0);
        // SAFETY: the array has so many elements, of the type of the value.
        unsafe {
            for index in 0..len as usize {
                inner.opaque.vm.store_field(made, offset + index * storage.bytes() as usize, storage, words);
            }
        }
        Ok(Rooted::of_word(&mut inner.opaque, made).expect("an object is not at null"))
    }

    /// Makes an array of these elements.
    ///
    /// # Errors
    /// One is of another type, or as for [`ExternRef::new`](crate::ExternRef::new).
    pub fn new_fixed(
        mut store: impl AsContextMut,
        pre: &ArrayRefPre,
        elements: &[Val],
    ) -> Result<Rooted<ArrayRef>> {
        let mut store = store.as_context_mut();
        let inner = store.inner_mut();
        let ty = &pre.ty;
        ty.check_engine(&inner.opaque.engine)?;
        elements.iter().try_for_each(|value| value.check(&inner.opaque, ty.element_type().unpack()))?;
        let len =
            u32::try_from(elements.len()).map_err(|_| Error::msg("an array has fewer than 2^32 elements"))?;
        let made = make(inner, ty, len)?;
        for (index, value) in (0..len).zip(elements) {
            let place = place(&inner.opaque, ty, index);
            // SAFETY: the array has this element.
            unsafe { place.set(&mut inner.opaque, made, value) }?;
        }
        Ok(Rooted::of_word(&mut inner.opaque, made).expect("an object is not at null"))
    }
}

impl Rooted<ArrayRef> {
    /// Its type.
    ///
    /// # Errors
    /// It belongs to another store, or its scope has ended. The same holds for all of its methods.
    pub fn ty(&self, store: impl AsContext) -> Result<ArrayType> {
        self.type_in(&store.as_context().inner().opaque)
    }

    fn type_in(&self, store: &StoreOpaque) -> Result<ArrayType> {
        let word = sealed::Word::word(self, store)?;
        // SAFETY: the store keeps the reference as it is now.
        let id = unsafe { store.vm.kind(word) }.type_id();
        Ok(ArrayType::of_id(store.engine.registry(), id).expect("an array"))
    }

    /// Whether it is of a type, or one declared below that.
    ///
    /// # Errors
    /// See [`Self::ty`].
    pub fn matches_ty(&self, store: impl AsContext, ty: &ArrayType) -> Result<bool> {
        Ok(self.ty(store)?.matches(ty))
    }

    /// How many elements it has.
    ///
    /// # Errors
    /// See [`Self::ty`].
    pub fn len(&self, store: impl AsContext) -> Result<u32> {
        let store = store.as_context();
        let store = &store.inner().opaque;
        let word = sealed::Word::word(self, store)?;
        // SAFETY: an array has a length.
        Ok(unsafe { store.vm.load(word, ARRAY_LENGTH, Storage::Word) }[0] as u32)
    }

    /// Whether it has none.
    ///
    /// # Errors
    /// See [`Self::ty`].
    pub fn is_empty(&self, store: impl AsContext) -> Result<bool> {
        Ok(self.len(store)? == 0)
    }

    fn check_inside(&self, store: impl AsContext, index: u32) -> Result<()> {
        let len = self.len(store)?;
        if index < len {
            return Ok(());
        }
        Err(Error::msg(format!("there is no element {index} in an array of {len}")))
    }

    /// An element.
    ///
    /// # Errors
    /// There is no such element; see also [`Self::ty`].
    pub fn get(&self, mut store: impl AsContextMut, index: u32) -> Result<Val> {
        let mut store = store.as_context_mut();
        self.check_inside(&store, index)?;
        let store = &mut store.inner_mut().opaque;
        let place = place(store, &self.type_in(store)?, index);
        let word = sealed::Word::word(self, store)?;
        // SAFETY: the array has this element.
        Ok(unsafe { place.get(store, word) })
    }

    /// Assigns an element.
    ///
    /// # Errors
    /// There is no such element, the elements are immutable, or of another type; see also [`Self::ty`].
    pub fn set(&self, mut store: impl AsContextMut, index: u32, value: Val) -> Result<()> {
        let mut store = store.as_context_mut();
        self.check_inside(&store, index)?;
        let store = &mut store.inner_mut().opaque;
        let place = place(store, &self.type_in(store)?, index);
        place.check_mutable("the array")?;
        let word = sealed::Word::word(self, store)?;
        // SAFETY: the array has this element.
        unsafe { place.set(store, word, &value) }
    }

    /// All of its elements, in order.
    ///
    /// # Errors
    /// See [`Self::ty`].
    pub fn elems(&self, mut store: impl AsContextMut) -> Result<impl ExactSizeIterator<Item = Val>> {
        let mut store = store.as_context_mut();
        let len = self.len(&store)?;
        let elements: Result<Vec<Val>> = (0..len).map(|index| self.get(&mut store, index)).collect();
        Ok(elements?.into_iter())
    }
}
