//! The store as a function of the host sees it.

use std::fmt;

use wasmrun_runtime::vm::InstanceKey;

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::handle::CallingInstance;
use crate::store::{AsContext, AsContextMut, InterruptHandle, StoreContext, StoreContextMut};

/// What a function of the host gets to know about its call: the store, and who called.
///
/// It is a borrow of the store, so that everything that takes one takes a `&mut caller` too: calling back
/// into the guest, for instance.
///
/// ```
/// use wasmrun::{Caller, Engine, Error, Linker};
///
/// let engine = Engine::default();
/// let mut linker = Linker::<String>::new(&engine);
/// linker.func_wrap("host", "print", |mut caller: Caller<'_, String>, at: u32, len: u32| {
///     let memory = caller.get_export("memory").and_then(|item| item.into_memory());
///     let memory = memory.ok_or_else(|| Error::msg("the caller exports no memory"))?;
///     let (bytes, output) = memory.data_and_store_mut(&mut caller);
///     let text = bytes.get(at as usize..).and_then(|bytes| bytes.get(..len as usize));
///     let text = text.ok_or_else(|| Error::msg("not inside the memory"))?;
///     output.push_str(std::str::from_utf8(text)?);
///     Ok::<(), Error>(())
/// })?;
/// # Ok::<(), wasmrun::Error>(())
/// ```
pub struct Caller<'a, T: 'static> {
    store: StoreContextMut<'a, T>,
    instance: CallingInstance,
}

impl<'a, T: 'static> Caller<'a, T> {
    #[inline]
    pub(crate) fn new(store: StoreContextMut<'a, T>, instance: CallingInstance) -> Caller<'a, T> {
        Caller { store, instance }
    }

    /// The instance that called, if it was one.
    pub(crate) fn instance_key(&self) -> Option<InstanceKey> {
        self.instance.key(&self.store.as_context().inner().opaque)
    }

    /// The host's data in the store.
    pub fn data(&self) -> &T {
        self.store.data()
    }

    /// The host's data in the store, to be changed.
    pub fn data_mut(&mut self) -> &mut T {
        self.store.data_mut()
    }

    /// The engine of the store.
    pub fn engine(&self) -> &Engine {
        self.store.engine()
    }

    /// Fails when the guest has been asked to stop, for host functions that work or wait for long: with
    /// [`Trap::Interrupt`](crate::Trap) or [`Trap::Deadline`](crate::Trap), to be returned.
    ///
    /// ```
    /// use wasmrun::{Caller, Engine, Linker, Result};
    ///
    /// let mut linker = Linker::<()>::new(&Engine::default());
    /// linker.func_wrap("host", "work", |mut caller: Caller<'_, ()>| -> Result<()> {
    ///     for _step in 0..1000 {
    ///         caller.check_interrupts()?;
    ///     }
    ///     Ok(())
    /// })?;
    /// # Ok::<(), wasmrun::Error>(())
    /// ```
    ///
    /// # Errors
    /// The guest has been asked to stop.
    pub fn check_interrupts(&mut self) -> Result<()> {
        self.store.inner_mut().take_interrupt().map_or(Ok(()), |trap| Err(Error::new(trap)))
    }

    /// As [`Store::interrupt_handle`](crate::Store::interrupt_handle): a function that waits gives it a
    /// waker.
    pub fn interrupt_handle(&self) -> InterruptHandle {
        self.store.interrupt_handle()
    }

    /// As [`Store::gc`](crate::Store::gc).
    pub fn gc(&mut self) {
        self.store.gc();
    }

    /// As [`Store::get_fuel`](crate::Store::get_fuel).
    ///
    /// # Errors
    /// The engine does not consume fuel.
    pub fn get_fuel(&self) -> Result<u64> {
        self.store.get_fuel()
    }

    /// As [`Store::set_fuel`](crate::Store::set_fuel).
    ///
    /// # Errors
    /// The engine does not consume fuel.
    pub fn set_fuel(&mut self, fuel: u64) -> Result<()> {
        self.store.set_fuel(fuel)
    }
}

impl<T: 'static> AsContext for Caller<'_, T> {
    type Data = T;

    fn as_context(&self) -> StoreContext<'_, T> {
        self.store.as_context()
    }
}

impl<T: 'static> AsContextMut for Caller<'_, T> {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        self.store.as_context_mut()
    }
}

impl<T: fmt::Debug> fmt::Debug for Caller<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("data", self.data()).finish_non_exhaustive()
    }
}
