//! Globals.
//!
//! This is one of the modules that hold the crate's `unsafe`: a slot is read by the type that a [`Global`] says.
#![allow(unsafe_code)]

use wasmrun_runtime::module::HostObject;
use wasmrun_runtime::vm::GlobalSlot;

use super::export::host_object;
use crate::entry::{of_raw, to_raw};
use crate::error::{Error, Result};
use crate::handle::Handle;
use crate::store::{AsContext, AsContextMut, StoreOpaque};
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
    /// The value is not of the global's type, or that is of another engine.
    pub fn new(mut store: impl AsContextMut, ty: GlobalType, value: Val) -> Result<Global> {
        let mut store = store.as_context_mut();
        let inner = store.inner_mut();
        // Before anything is made of it.
        to_raw(&inner.opaque, ty.content, value)?;
        let item = host_object(inner, HostObject::Global(ty))?;
        let global = item.into_global().expect("a global was made");
        set_global(&mut inner.opaque, &global, value)?;
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
        let opaque = &mut store.inner_mut().opaque;
        let value = self.handle.get(opaque).unwrap_or_else(|error| panic!("{error}")).value();
        // SAFETY: `ty` is that with which the slot was declared.
        unsafe { of_raw(opaque, self.ty.content, value) }
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
        set_global(opaque, self, value)
    }
}

/// Assigns a global, constant or not.
fn set_global(store: &mut StoreOpaque, global: &Global, value: Val) -> Result<()> {
    let slot = global.handle.pointer(store)?.as_ptr();
    let value = to_raw(store, global.ty.content, value)?;
    // SAFETY: the global is alive, and the exclusive borrow of the store makes sure that nothing borrows it. It
    // is of the type that a `Global` carries, as is the value, just checked.
    unsafe { GlobalSlot::set(slot, store.vm.exec_mut(), global.ty.content, value) };
    Ok(())
}
