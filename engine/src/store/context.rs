//! Borrows of a store, and what can be borrowed as one.

use std::fmt;
use std::time::{Duration, Instant};

use super::inner::StoreInner;
use super::interrupt::InterruptHandle;
use crate::engine::Engine;
use crate::error::Result;
use crate::rooted::collect;

/// A shared borrow of a [`Store`](crate::Store).
///
/// ```
/// use wasmrun::{AsContext, Engine, Store, StoreContext};
///
/// fn answer(context: StoreContext<'_, u32>) -> u32 {
///     *context.data()
/// }
/// let store = Store::new(&Engine::default(), 42);
/// assert_eq!(answer(store.as_context()), 42);
/// ```
pub struct StoreContext<'a, T: 'static>(&'a StoreInner<T>);

/// An exclusive borrow of a [`Store`](crate::Store).
///
/// ```
/// use wasmrun::{AsContextMut, Engine, Store, StoreContextMut};
///
/// fn count(mut context: StoreContextMut<'_, u32>) {
///     *context.data_mut() += 1;
/// }
/// let mut store = Store::new(&Engine::default(), 41);
/// count(store.as_context_mut());
/// assert_eq!(*store.data(), 42);
/// ```
pub struct StoreContextMut<'a, T: 'static>(&'a mut StoreInner<T>);

/// What a shared borrow of a store can be taken from: a [`Store`](crate::Store), a
/// [`Caller`](crate::Caller), a [`StoreContext`], or a reference to one of them.
///
/// ```
/// use wasmrun::{AsContext, Engine, Store};
///
/// fn length(store: impl AsContext<Data = String>) -> usize {
///     store.as_context().data().len()
/// }
/// assert_eq!(length(&Store::new(&Engine::default(), "four".to_owned())), 4);
/// ```
pub trait AsContext {
    /// The host's data in the store.
    type Data: 'static;

    /// The borrow.
    fn as_context(&self) -> StoreContext<'_, Self::Data>;
}

/// What an exclusive borrow of a store can be taken from.
///
/// ```
/// use wasmrun::{AsContextMut, Engine, Store};
///
/// fn clear(mut store: impl AsContextMut<Data = String>) {
///     store.as_context_mut().data_mut().clear();
/// }
/// clear(&mut Store::new(&Engine::default(), "four".to_owned()));
/// ```
pub trait AsContextMut: AsContext {
    /// The borrow.
    fn as_context_mut(&mut self) -> StoreContextMut<'_, Self::Data>;
}

impl<'a, T: 'static> StoreContext<'a, T> {
    pub(crate) fn new(inner: &'a StoreInner<T>) -> Self {
        StoreContext(inner)
    }

    pub(crate) fn inner(&self) -> &'a StoreInner<T> {
        self.0
    }

    /// The engine of the store.
    pub fn engine(&self) -> &'a Engine {
        &self.0.opaque.engine
    }

    /// The host's data.
    pub fn data(&self) -> &'a T {
        &self.0.data
    }

    /// As [`Store::get_fuel`](crate::Store::get_fuel).
    ///
    /// # Errors
    /// The engine does not consume fuel.
    pub fn get_fuel(&self) -> Result<u64> {
        self.0.opaque.fuel()
    }
}

impl<'a, T: 'static> StoreContextMut<'a, T> {
    pub(crate) fn new(inner: &'a mut StoreInner<T>) -> Self {
        StoreContextMut(inner)
    }

    pub(crate) fn inner_mut(&mut self) -> &mut StoreInner<T> {
        self.0
    }

    pub(crate) fn into_inner(self) -> &'a mut StoreInner<T> {
        self.0
    }

    /// The engine of the store.
    pub fn engine(&self) -> &Engine {
        &self.0.opaque.engine
    }

    /// The host's data.
    pub fn data(&self) -> &T {
        &self.0.data
    }

    /// The host's data, to be changed.
    pub fn data_mut(&mut self) -> &mut T {
        &mut self.0.data
    }

    /// As [`Store::set_fuel`](crate::Store::set_fuel).
    ///
    /// # Errors
    /// The engine does not consume fuel.
    pub fn set_fuel(&mut self, fuel: u64) -> Result<()> {
        self.0.opaque.set_fuel(fuel)
    }

    /// As [`Store::get_fuel`](crate::Store::get_fuel).
    ///
    /// # Errors
    /// The engine does not consume fuel.
    pub fn get_fuel(&self) -> Result<u64> {
        self.0.opaque.fuel()
    }

    /// As [`Store::gc`](crate::Store::gc).
    pub fn gc(&mut self) {
        collect(&mut self.0.opaque);
    }

    /// As [`Store::set_epoch_deadline`](crate::Store::set_epoch_deadline).
    pub fn set_epoch_deadline(&mut self, ticks_beyond_current: u64) {
        self.0.opaque.set_epoch_deadline(ticks_beyond_current);
    }

    /// As [`Store::set_deadline`](crate::Store::set_deadline). Within a running call it takes effect at the
    /// next call.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.0.opaque.set_deadline(deadline);
    }

    /// As [`Store::set_timeout`](crate::Store::set_timeout). Within a running call it takes effect at the
    /// next call.
    pub fn set_timeout(&mut self, timeout: impl Into<Option<Duration>>) {
        self.0.opaque.set_timeout(timeout.into());
    }

    /// As [`Store::interrupt_handle`](crate::Store::interrupt_handle).
    pub fn interrupt_handle(&self) -> InterruptHandle {
        InterruptHandle::new(self.0.opaque.vm.exec().target().clone())
    }
}

impl<T: 'static> AsContext for StoreContext<'_, T> {
    type Data = T;

    fn as_context(&self) -> StoreContext<'_, T> {
        StoreContext(self.0)
    }
}

impl<T: 'static> AsContext for StoreContextMut<'_, T> {
    type Data = T;

    fn as_context(&self) -> StoreContext<'_, T> {
        StoreContext(self.0)
    }
}

impl<T: 'static> AsContextMut for StoreContextMut<'_, T> {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        StoreContextMut(self.0)
    }
}

impl<C: AsContext> AsContext for &C {
    type Data = C::Data;

    fn as_context(&self) -> StoreContext<'_, C::Data> {
        C::as_context(self)
    }
}

impl<C: AsContext> AsContext for &mut C {
    type Data = C::Data;

    fn as_context(&self) -> StoreContext<'_, C::Data> {
        C::as_context(self)
    }
}

impl<C: AsContextMut> AsContextMut for &mut C {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, C::Data> {
        C::as_context_mut(self)
    }
}

impl<'a, C: AsContext> From<&'a C> for StoreContext<'a, C::Data> {
    fn from(context: &'a C) -> Self {
        context.as_context()
    }
}

impl<'a, C: AsContext> From<&'a mut C> for StoreContext<'a, C::Data> {
    fn from(context: &'a mut C) -> Self {
        C::as_context(context)
    }
}

impl<'a, C: AsContextMut> From<&'a mut C> for StoreContextMut<'a, C::Data> {
    fn from(context: &'a mut C) -> Self {
        context.as_context_mut()
    }
}

impl<T: fmt::Debug> fmt::Debug for StoreContext<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreContext").field(self.data()).finish()
    }
}

impl<T: fmt::Debug> fmt::Debug for StoreContextMut<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreContextMut").field(self.data()).finish()
    }
}
