//! Structures.

use wasmrun_runtime::types::TypeId;
use wasmrun_runtime::types::object::{ObjectLayout, StructLayout};

use super::{Place, StructType, allocate};
use crate::error::{Error, Result};
use crate::rooted::{GcRef, Rooted, sealed};
use crate::store::{AsContext, AsContextMut, StoreOpaque};
use crate::values::Val;

/// What a `structref` leads to.
///
/// ```
/// use wasmrun::{Engine, FieldType, Mutability, StorageType, Store, StructRef, StructRefPre, StructType, Val, ValType};
///
/// let engine = Engine::default();
/// let mut store = Store::new(&engine, ());
/// let field = |element| FieldType::new(Mutability::Var, element);
/// let ty = StructType::new(&engine, [field(StorageType::I8), field(StorageType::Val(ValType::F64))])?;
/// let pre = StructRefPre::new(&mut store, ty);
/// let made = StructRef::new(&mut store, &pre, &[Val::I32(0x107), Val::from(0.5)])?;
/// assert_eq!(made.field(&mut store, 0)?, Val::I32(7));
/// made.set_field(&mut store, 1, Val::from(1.5))?;
/// assert_eq!(made.field(&mut store, 1)?.f64(), Some(1.5));
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Debug)]
pub enum StructRef {}

impl sealed::Sealed for StructRef {}
impl GcRef for StructRef {}

/// What is needed to make structures of a type: for who makes many. See [`StructRef`].
#[derive(Clone, Debug)]
pub struct StructRefPre {
    ty: StructType,
}

impl StructRefPre {
    /// For structures of the type `ty` in a store of its engine.
    ///
    /// # Panics
    /// It is of another engine.
    pub fn new(store: impl AsContext, ty: StructType) -> StructRefPre {
        let checked = ty.check_engine(&store.as_context().inner().opaque.engine);
        checked.expect("the type is one of the store's engine");
        StructRefPre { ty }
    }
}

/// How structures of a type are laid out, or exceptions with such a tag.
pub(super) fn layout(store: &StoreOpaque, id: TypeId) -> &StructLayout {
    match store.engine.registry().layout(id) {
        Some(ObjectLayout::Struct(layout)) => layout,
        other => unreachable!("the layout of a structure, not {other:?}"),
    }
}

/// Where a field of a structure is.
fn place(store: &StoreOpaque, ty: &StructType, index: usize) -> Result<Place> {
    let no_field =
        || Error::msg(format!("there is no field {index} in a structure of {}", ty.fields().len()));
    let field = ty.field(index).ok_or_else(no_field)?;
    let at = layout(store, ty.id()).fields[index];
    Ok(Place { offset: at.offset as usize, storage: at.storage, ty: field })
}

impl StructRef {
    /// Makes a structure with these fields.
    ///
    /// # Errors
    /// There are more fields or fewer, one is of another type, or as for [`ExternRef::new`](crate::ExternRef::new).
    pub fn new(
        mut store: impl AsContextMut,
        pre: &StructRefPre,
        fields: &[Val],
    ) -> Result<Rooted<StructRef>> {
        let mut store = store.as_context_mut();
        let inner = store.inner_mut();
        let ty = &pre.ty;
        ty.check_engine(&inner.opaque.engine)?;
        if fields.len() != ty.fields().len() {
            let expected = ty.fields().len();
            return Err(Error::msg(format!("a structure of {expected} fields, not {}", fields.len())));
        }
        for (value, field) in fields.iter().zip(ty.fields()) {
            value.check(&inner.opaque, field.element.unpack())?;
        }
        let bytes = layout(&inner.opaque, ty.id()).bytes as usize;
        // SAFETY: these are the bytes of a structure of the type, which has the fields.
        unsafe {
            let made = allocate(inner, ty.id(), bytes)?;
            for (index, value) in fields.iter().enumerate() {
                let place = place(&inner.opaque, ty, index)?;
                place.set(&mut inner.opaque, made, value)?;
            }
            Ok(Rooted::of_word(&mut inner.opaque, made).expect("an object is not at null"))
        }
    }
}

impl Rooted<StructRef> {
    /// Its type.
    ///
    /// # Errors
    /// It belongs to another store, or its scope has ended. The same holds for all of its methods.
    pub fn ty(&self, store: impl AsContext) -> Result<StructType> {
        self.type_in(&store.as_context().inner().opaque)
    }

    fn type_in(&self, store: &StoreOpaque) -> Result<StructType> {
        let word = sealed::Word::word(self, store)?;
        // SAFETY: the store keeps the reference as it is now.
        let id = unsafe { store.vm.kind(word) }.type_id();
        Ok(StructType::of_id(store.engine.registry(), id).expect("a structure"))
    }

    /// Whether it is of a type, or one declared below that.
    ///
    /// # Errors
    /// See [`Self::ty`].
    pub fn matches_ty(&self, store: impl AsContext, ty: &StructType) -> Result<bool> {
        Ok(self.ty(store)?.matches(ty))
    }

    /// A field.
    ///
    /// # Errors
    /// There is no such field; see also [`Self::ty`].
    pub fn field(&self, mut store: impl AsContextMut, index: usize) -> Result<Val> {
        let mut store = store.as_context_mut();
        let store = &mut store.inner_mut().opaque;
        let place = place(store, &self.type_in(store)?, index)?;
        let word = sealed::Word::word(self, store)?;
        // SAFETY: the structure has this field.
        Ok(unsafe { place.get(store, word) })
    }

    /// All of its fields, in order.
    ///
    /// # Errors
    /// See [`Self::ty`].
    pub fn fields(&self, mut store: impl AsContextMut) -> Result<impl ExactSizeIterator<Item = Val>> {
        let mut store = store.as_context_mut();
        let count = self.ty(&store)?.fields().len();
        let fields: Result<Vec<Val>> = (0..count).map(|index| self.field(&mut store, index)).collect();
        Ok(fields?.into_iter())
    }

    /// Assigns a field.
    ///
    /// # Errors
    /// There is no such field, it is immutable, or of another type; see also [`Self::ty`].
    pub fn set_field(&self, mut store: impl AsContextMut, index: usize, value: Val) -> Result<()> {
        let mut store = store.as_context_mut();
        let store = &mut store.inner_mut().opaque;
        let place = place(store, &self.type_in(store)?, index)?;
        place.check_mutable("the field")?;
        let word = sealed::Word::word(self, store)?;
        // SAFETY: the structure has this field.
        unsafe { place.set(store, word, &value) }
    }
}
