//! Tags.

use wasmrun_runtime::vm::TagId;

use crate::error::{Error, Result};
use crate::handle::wrong_handle;
use crate::store::{AsContextMut, StoreId, StoreOpaque};
use crate::types::TagType;

/// A tag: what exceptions are told apart by. It lives as long as its store.
///
/// ```
/// use wasmrun::{Engine, Store, Tag, TagType, ValType};
///
/// let mut store = Store::new(&Engine::default(), ());
/// let tag = Tag::new(&mut store, TagType::new([ValType::I32]))?;
/// assert_eq!(tag.ty().params(), [ValType::I32]);
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Tag {
    store: StoreId,
    id: TagId,
    ty: TagType,
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
        Ok(Tag::of(opaque, id, ty))
    }

    pub(crate) fn of(store: &StoreOpaque, id: TagId, ty: TagType) -> Tag {
        Tag { store: store.id, id, ty }
    }

    /// What exceptions with it carry.
    pub fn ty(&self) -> &TagType {
        &self.ty
    }

    /// Its identity in its store.
    pub(crate) fn id(&self, store: &StoreOpaque) -> Result<TagId> {
        if self.store == store.id { Ok(self.id) } else { Err(wrong_handle(self.store, store)) }
    }
}
