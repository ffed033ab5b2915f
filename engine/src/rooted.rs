//! References to collected objects, as the host holds them.
//!
//! An object moves, and goes when nothing leads to it: the host never has it, but a handle with the number of a reference
//! that the store keeps and updates. A handle that is used with another store, or after the scope that it was made in has
//! ended, is noticed.
//!
//! This is one of the modules that hold the crate's `unsafe`: references that the store keeps are followed, and collections
//! are started, which rely on there being no others.
#![allow(unsafe_code)]

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::panic::resume_unwind;

use wasmrun_runtime::vm::gc::{HostValue, OwnedHandle, Scope, ScopedHandle};

use crate::entry::from_pending;
use crate::error::{Error, Result};
use crate::handle::wrong_handle;
use crate::store::{
    AsContext, AsContextMut, StoreContext, StoreContextMut, StoreId, StoreInner, StoreOpaque, drop_all,
};

pub(crate) mod sealed {
    use super::{Result, StoreOpaque};

    pub trait Sealed {}

    /// What a handle stands for.
    pub trait Word {
        /// Its reference in `store`: never null.
        fn word(&self, store: &StoreOpaque) -> Result<u32>;
    }
}

/// A type of collected objects: [`ExternRef`], [`AnyRef`](crate::AnyRef), and those below the latter.
pub trait GcRef: sealed::Sealed + 'static {}

/// A handle of an object of type `T`: a [`Rooted`] or an [`OwnedRooted`].
pub trait RootedGcRef<T: GcRef>: sealed::Word {}

/// A reference to a collected object, which lives at least as long as this can be used: until the scope ends that it was
/// made in.
///
/// Such a scope is a call of a function of the host, a [`RootScope`], or else the life of the store. A handle whose scope has
/// ended is refused. To keep a reference for longer, make an [`OwnedRooted`] of it.
///
/// Two handles are equal if they are the same; whether they lead to the same object is what [`Rooted::ref_eq`] tells.
///
/// ```
/// use wasmrun::{AsContextMut, ExternRef, RootScope, Rooted, Store};
///
/// let mut store = Store::<()>::default();
/// let inner = {
///     let mut scope = RootScope::new(&mut store);
///     let value = ExternRef::new(&mut scope, "a secret")?;
///     assert!(value.data(&scope)?.is_some());
///     value
/// };
/// assert!(inner.data(&store).is_err());
/// # Ok::<(), wasmrun::Error>(())
/// ```
pub struct Rooted<T: GcRef> {
    store: StoreId,
    handle: ScopedHandle,
    object: PhantomData<fn() -> T>,
}

impl<T: GcRef> Clone for Rooted<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: GcRef> Copy for Rooted<T> {}

impl<T: GcRef> PartialEq for Rooted<T> {
    fn eq(&self, other: &Self) -> bool {
        self.store == other.store && self.handle == other.handle
    }
}

impl<T: GcRef> Eq for Rooted<T> {}

impl<T: GcRef> fmt::Debug for Rooted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Rooted").field(&self.handle).finish()
    }
}

impl<T: GcRef> sealed::Word for Rooted<T> {
    fn word(&self, store: &StoreOpaque) -> Result<u32> {
        if self.store != store.id {
            return Err(wrong_handle(self.store, store));
        }
        let word = store.vm.exec().handles.get(self.handle);
        word.ok_or_else(|| Error::msg("the scope that this reference was rooted in has ended"))
    }
}

impl<T: GcRef> RootedGcRef<T> for Rooted<T> {}

impl<T: GcRef> Rooted<T> {
    /// The handle of a reference; `None` if it is null.
    #[inline]
    pub(crate) fn of_word(store: &mut StoreOpaque, word: u32) -> Option<Rooted<T>> {
        (word != 0).then(|| Rooted {
            store: store.id,
            handle: store.vm.exec_mut().handles.scoped(word),
            object: PhantomData,
        })
    }

    /// The reference in slots and tables; null is 0.
    #[inline]
    pub(crate) fn to_word(value: Option<Rooted<T>>, store: &StoreOpaque) -> Result<u32> {
        value.map_or(Ok(0), |value| sealed::Word::word(&value, store))
    }

    /// The same handle of what is known to be of another type.
    pub(crate) fn cast<U: GcRef>(self) -> Rooted<U> {
        Rooted { store: self.store, handle: self.handle, object: PhantomData }
    }

    /// Whether two handles lead to the same object.
    ///
    /// # Errors
    /// One of them belongs to another store, or its scope has ended.
    pub fn ref_eq(store: impl AsContext, a: &impl RootedGcRef<T>, b: &impl RootedGcRef<T>) -> Result<bool> {
        let store = &store.as_context().inner().opaque;
        Ok(a.word(store)? == b.word(store)?)
    }

    /// A handle of the same object that no scope ends.
    ///
    /// # Errors
    /// It belongs to another store, or its scope has ended.
    pub fn to_owned_rooted(&self, store: impl AsContextMut) -> Result<OwnedRooted<T>> {
        OwnedRooted::new(store, self)
    }
}

/// A reference to a collected object, which lives at least as long as this or a clone of it does.
///
/// ```
/// use wasmrun::{ExternRef, OwnedRooted, RootScope, Store};
///
/// let mut store = Store::<()>::default();
/// let kept = {
///     let mut scope = RootScope::new(&mut store);
///     let value = ExternRef::new(&mut scope, 7)?;
///     OwnedRooted::new(&mut scope, &value)?
/// };
/// store.gc();
/// assert_eq!(kept.data(&store)?.unwrap().downcast_ref(), Some(&7));
/// # Ok::<(), wasmrun::Error>(())
/// ```
pub struct OwnedRooted<T: GcRef> {
    store: StoreId,
    handle: OwnedHandle,
    object: PhantomData<fn() -> T>,
}

impl<T: GcRef> Clone for OwnedRooted<T> {
    fn clone(&self) -> Self {
        OwnedRooted { store: self.store, handle: self.handle.clone(), object: PhantomData }
    }
}

impl<T: GcRef> fmt::Debug for OwnedRooted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedRooted").field(&self.handle).finish()
    }
}

impl<T: GcRef> sealed::Word for OwnedRooted<T> {
    fn word(&self, store: &StoreOpaque) -> Result<u32> {
        if self.store != store.id {
            return Err(wrong_handle(self.store, store));
        }
        Ok(store.vm.exec().handles.get_owned(&self.handle).expect("a store keeps what is owned"))
    }
}

impl<T: GcRef> RootedGcRef<T> for OwnedRooted<T> {}

impl<T: GcRef> OwnedRooted<T> {
    /// A handle of the same object as `rooted`, of any kind.
    ///
    /// # Errors
    /// That belongs to another store, or its scope has ended.
    pub fn new(mut store: impl AsContextMut, rooted: &impl RootedGcRef<T>) -> Result<OwnedRooted<T>> {
        let mut store = store.as_context_mut();
        let store = &mut store.inner_mut().opaque;
        let word = rooted.word(store)?;
        Ok(OwnedRooted::of_word(store, word))
    }

    /// The handle of a reference that is not null.
    pub(crate) fn of_word(store: &mut StoreOpaque, word: u32) -> OwnedRooted<T> {
        let handle = store.vm.exec_mut().handles.owned(word);
        OwnedRooted { store: store.id, handle, object: PhantomData }
    }

    /// A handle of the same object in the scope at hand.
    ///
    /// # Errors
    /// It belongs to another store.
    pub fn to_rooted(&self, mut store: impl AsContextMut) -> Result<Rooted<T>> {
        let mut store = store.as_context_mut();
        let store = &mut store.inner_mut().opaque;
        let word = sealed::Word::word(self, store)?;
        Ok(Rooted::of_word(store, word).expect("a handle's reference is not null"))
    }
}

/// A scope of [`Rooted`] references: those that are made while it lasts end with it. It is a store to all who want one.
///
/// A host that makes references in a loop needs one around its body; a function of the host has one for each call.
pub struct RootScope<C: AsContextMut> {
    store: C,
    scope: Scope,
}

impl<C: AsContextMut> RootScope<C> {
    /// Begins a scope.
    pub fn new(mut store: C) -> RootScope<C> {
        let scope = store.as_context_mut().inner_mut().opaque.vm.exec().handles.open();
        RootScope { store, scope }
    }
}

impl<C: AsContextMut> Drop for RootScope<C> {
    fn drop(&mut self) {
        let scope = self.scope;
        self.store.as_context_mut().inner_mut().opaque.vm.exec_mut().handles.close(scope);
    }
}

impl<C: AsContextMut> AsContext for RootScope<C> {
    type Data = C::Data;

    fn as_context(&self) -> StoreContext<'_, C::Data> {
        self.store.as_context()
    }
}

impl<C: AsContextMut> AsContextMut for RootScope<C> {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, C::Data> {
        self.store.as_context_mut()
    }
}

impl<C: AsContextMut> fmt::Debug for RootScope<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootScope").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// A value of the host that guests can hold and pass on, but not look into: what an `externref` leads to.
///
/// The value is dropped after neither the guest nor a handle of the host leads to it any more: in a later allocation, in
/// [`Store::gc`](crate::Store::gc), or with the store. If its destructor panics, that is a panic of whoever has allocated.
///
/// ```
/// use wasmrun::{ExternRef, Store};
///
/// let mut store = Store::<()>::default();
/// let value = ExternRef::new(&mut store, "a secret".to_owned())?;
/// assert_eq!(value.data(&store)?.unwrap().downcast_ref::<String>().unwrap(), "a secret");
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Debug)]
pub enum ExternRef {}

impl sealed::Sealed for ExternRef {}
impl GcRef for ExternRef {}

impl ExternRef {
    /// Gives a value to the store.
    ///
    /// # Errors
    /// [`Trap::GcHeapOutOfMemory`](crate::Trap), an error of the [limiter](crate::ResourceLimiter::gc_heap_growing), or a
    /// callback of the store asks. The value is dropped then.
    pub fn new<V: Any + Send + Sync>(mut store: impl AsContextMut, value: V) -> Result<Rooted<ExternRef>> {
        let mut store = store.as_context_mut();
        let inner = store.inner_mut();
        let word = new_extern(inner, Box::new(value))?;
        Ok(Rooted::of_word(&mut inner.opaque, word).expect("an object is not at null"))
    }
}

macro_rules! data {
    ($($handle:ident)*) => { $(
        impl $handle<ExternRef> {
            /// The value; `None` if it is an object of the guest that has been passed off as one of the host.
            ///
            /// # Errors
            /// The reference belongs to another store, or its scope has ended.
            pub fn data<'a, T: 'static>(
                &self,
                store: impl Into<StoreContext<'a, T>>,
            ) -> Result<Option<&'a (dyn Any + Send + Sync)>> {
                let store = &store.into().inner().opaque;
                let word = sealed::Word::word(self, store)?;
                // SAFETY: the store keeps the reference as it is now.
                Ok(unsafe { store.vm.extern_value(word) })
            }

            /// The value, to be changed.
            ///
            /// # Errors
            /// As for `data`.
            pub fn data_mut<'a, T: 'static>(
                &self,
                store: impl Into<StoreContextMut<'a, T>>,
            ) -> Result<Option<&'a mut (dyn Any + Send + Sync)>> {
                let store = &mut store.into().into_inner().opaque;
                let word = sealed::Word::word(self, store)?;
                // SAFETY: the store keeps the reference as it is now.
                Ok(unsafe { store.vm.extern_value_mut(word) })
            }
        }
    )* };
}

data!(Rooted OwnedRooted);

/// Makes the object of a value of the host. Returns the reference to it.
fn new_extern<T: 'static>(inner: &mut StoreInner<T>, value: HostValue) -> Result<u32> {
    // The frames that a callback has interrupted are not as a collection needs them.
    inner.opaque.check_not_in_callback()?;
    let (store, mut limiter) = inner.split_limiter();
    // SAFETY: the store is borrowed exclusively, outside of callbacks: guest code, if any is running, has called the host.
    let made = unsafe {
        store.vm.new_extern(value, &mut |current, desired| {
            limiter.ask(true, |limiter| limiter.gc_heap_growing(current, desired))
        })
    };
    drop_dead(store);
    made.map_err(from_pending)
}

/// Collects, outside of callbacks.
pub(crate) fn collect(store: &mut StoreOpaque) {
    if store.check_not_in_callback().is_err() {
        return;
    }
    // SAFETY: as in `new_extern`.
    unsafe { store.vm.collect() };
    drop_dead(store);
}

/// Drops the values of the host that have been freed.
pub(crate) fn drop_dead(store: &mut StoreOpaque) {
    if let Err(payload) = drop_all(store.vm.take_dead()) {
        resume_unwind(payload);
    }
}
