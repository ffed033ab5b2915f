//! Globals.
//!
//! This is one of the modules that hold the crate's `unsafe`: a slot is read by the type that a [`Global`] says.
#![allow(unsafe_code)]

use wasmrun_runtime::module::HostObject;
use wasmrun_runtime::vm::{GlobalSlot, write_ref};

use super::export::host_object;
use crate::entry::{of_words, to_words};
use crate::error::{Error, Result};
use crate::handle::Handle;
use crate::store::{AsContext, AsContextMut};
use crate::types::{GlobalType, Mutability};
use crate::values::Val;

/// A global.
///
/// Methods that return no `Result` panic when the global belongs to another store or its instance has been
/// dropped.
///
/// ```
/// use wasmrun::{Engine, Global, GlobalType, Mutability, Store, Val, ValType};
///
/// let mut store = Store::new(&Engine::default(), ());
/// let ty = GlobalType::new(ValType::I64, Mutability::Var);
/// let global = Global::new(&mut store, ty, Val::I64(1))?;
/// global.set(&mut store, Val::I64(2))?;
/// assert_eq!(global.get(&mut store).i64(), Some(2));
/// assert!(global.set(&mut store, Val::I32(2)).is_err());
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Global {
    handle: Handle<GlobalSlot>,
    // That with which the slot was declared: its words are read by it.
    ty: GlobalType,
}

impl Global {
    pub(super) fn from_handle(handle: Handle<GlobalSlot>, ty: GlobalType) -> Global {
        Global { handle, ty }
    }

    pub(crate) fn handle(&self) -> &Handle<GlobalSlot> {
        &self.handle
    }

    pub(crate) fn declared_type(&self) -> GlobalType {
        self.ty
    }

    /// A global with a value.
    ///
    /// # Errors
    /// The value is not of the global's type.
    pub fn new(mut store: impl AsContextMut, ty: GlobalType, value: Val) -> Result<Global> {
        let mut store = store.as_context_mut();
        let inner = store.inner_mut();
        let words = to_words(&inner.opaque, ty.content, value)?;
        let item = host_object(inner, HostObject::Global(ty))?;
        let global = item.into_global().expect("a global was made");
        store_words(global.handle.get_mut(&mut inner.opaque)?, words);
        Ok(global)
    }

    /// Its type.
    pub fn ty(&self, store: impl AsContext) -> GlobalType {
        let live = self.handle.get(&store.as_context().inner().opaque);
        live.unwrap_or_else(|error| panic!("{error}"));
        self.ty
    }

    /// Its value.
    pub fn get(&self, mut store: impl AsContextMut) -> Val {
        let mut store = store.as_context_mut();
        let opaque = &store.inner_mut().opaque;
        let words = self.handle.get(opaque).unwrap_or_else(|error| panic!("{error}")).words;
        // SAFETY: `ty` is that with which the slot was declared.
        unsafe { of_words(opaque, self.ty.content, words) }
    }

    /// Assigns it.
    ///
    /// # Errors
    /// It is constant, or the value is not of its type.
    pub fn set(&self, mut store: impl AsContextMut, value: Val) -> Result<()> {
        let mut store = store.as_context_mut();
        let opaque = &mut store.inner_mut().opaque;
        self.handle.get(opaque)?;
        if self.ty.mutability == Mutability::Const {
            return Err(Error::msg("this global is constant"));
        }
        let words = to_words(opaque, self.ty.content, value)?;
        store_words(self.handle.get_mut(opaque)?, words);
        Ok(())
    }
}

fn store_words(slot: &mut GlobalSlot, words: [u64; 2]) {
    // The word may be a reference.
    write_ref(&mut slot.words[0], words[0]);
    slot.words[1] = words[1];
}
