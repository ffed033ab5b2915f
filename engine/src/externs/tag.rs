//! Tags.

use wasmrun_runtime::types::TypeId;
use wasmrun_runtime::vm::TagId;

use crate::error::{Error, Result};
use crate::handle::wrong_handle;
use crate::store::{AsContext, AsContextMut, StoreId, StoreOpaque};
use crate::types::TagType;

/// A tag: what [exceptions](crate::ExnRef) are told apart by. It lives as long as its store.
///
/// Two are equal if they are the same tag, not if they are merely of one type.
///
/// ```
/// use wasmrun::{Engine, Store, Tag, TagType, ValType};
///
/// let mut store = Store::new(&Engine::default(), ());
/// let tag = Tag::new(&mut store, TagType::new([ValType::I32]))?;
/// assert_eq!(tag.ty(&store).params(), [ValType::I32]);
/// assert_ne!(tag, Tag::new(&mut store, TagType::new([ValType::I32]))?);
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    store: StoreId,
    id: TagId,
    // That of functions which take what its exceptions carry: exceptions are of it.
    type_id: TypeId,
}

impl Tag {
    /// A tag that is none of those before.
    ///
    /// # Errors
    /// The store has had as many tags as there can be, which are 2³².
    pub fn new(mut store: impl AsContextMut, ty: TagType) -> Result<Tag> {
        let mut store = store.as_context_mut();
        let opaque = &mut store.inner_mut().opaque;
        let id = opaque.vm.exec_mut().new_tag();
        let id = id.ok_or_else(|| Error::msg("the store has had as many tags as there can be"))?;
        let type_id = opaque.engine.registry().intern(ty.func());
        Ok(Tag::of(opaque, id, type_id))
    }

    /// The tag of the store with this identity.
    pub(crate) fn of(store: &StoreOpaque, id: TagId, type_id: TypeId) -> Tag {
        Tag { store: store.id, id, type_id }
    }

    /// What exceptions with it carry.
    ///
    /// # Panics
    /// It belongs to another store.
    pub fn ty(&self, store: impl AsContext) -> TagType {
        self.type_in(&store.as_context().inner().opaque).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn type_in(&self, store: &StoreOpaque) -> Result<TagType> {
        self.id(store)?;
        let ty = store.engine.registry().func(self.type_id).and_then(TagType::of);
        Ok(ty.expect("the registry knows the types of its tags"))
    }

    /// Its identity in its store.
    pub(crate) fn id(&self, store: &StoreOpaque) -> Result<TagId> {
        if self.store == store.id { Ok(self.id) } else { Err(wrong_handle(self.store, store)) }
    }

    /// The type that exceptions with it are objects of.
    pub(crate) fn type_id(&self) -> TypeId {
        self.type_id
    }
}
