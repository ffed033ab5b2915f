//! Stores: where instances live, together with the host's own data.

mod context;
mod id;
mod inner;
mod interrupt;
mod limits;

pub use context::{AsContext, AsContextMut, StoreContext, StoreContextMut};
pub use inner::UpdateDeadline;
pub use interrupt::InterruptHandle;
pub use limits::{ResourceLimiter, StoreLimits, StoreLimitsBuilder};

pub(crate) use id::StoreId;
pub(crate) use inner::{StoreInner, StoreOpaque, drop_all};

use std::fmt;
use std::time::{Duration, Instant};

use wasmrun_runtime::vm::gc::GcStats;

use crate::engine::Engine;
use crate::error::Result;
use crate::rooted::collect;

/// Owns instances, their memories, tables and globals, and a value of the host.
///
/// What belongs to a store is named by handles ([`Instance`](crate::Instance), [`Func`](crate::Func),
/// [`Memory`](crate::Memory) and so on) that are plain numbers: every use of one names the store as well. A
/// handle that is used with another store, or after its instance was [dropped](Store::drop_instance), is
/// noticed: methods that return a `Result` return an error, the others panic.
///
/// One thread at a time uses a store; it can be sent to another if `T` can.
///
/// ```
/// use wasmrun::{Engine, Store};
///
/// let engine = Engine::default();
/// let mut store = Store::new(&engine, vec!["host", "data"]);
/// store.data_mut().push("grows");
/// assert_eq!(store.into_data().len(), 3);
/// ```
pub struct Store<T: 'static> {
    // Boxed: running code points at it.
    pub(crate) inner: Box<StoreInner<T>>,
}

impl<T: 'static> Store<T> {
    /// An empty store.
    ///
    /// # Panics
    /// The system has no memory for the guest's stack; [`Store::try_new`] returns an error instead.
    pub fn new(engine: &Engine, data: T) -> Store<T> {
        Store::try_new(engine, data).expect("the system has memory for a store")
    }

    /// An empty store.
    ///
    /// # Errors
    /// The system has no memory for the guest's stack.
    pub fn try_new(engine: &Engine, data: T) -> Result<Store<T>> {
        Ok(Store { inner: Box::new(StoreInner::new(engine, data)?) })
    }

    /// The engine that it belongs to.
    pub fn engine(&self) -> &Engine {
        &self.inner.opaque.engine
    }

    /// The host's data.
    pub fn data(&self) -> &T {
        &self.inner.data
    }

    /// The host's data, to be changed.
    pub fn data_mut(&mut self) -> &mut T {
        &mut self.inner.data
    }

    /// Drops everything but the host's data.
    pub fn into_data(self) -> T {
        self.inner.data
    }

    /// Lets a [`ResourceLimiter`] inside the host's data decide about growth.
    ///
    /// ```
    /// use wasmrun::{Engine, Memory, MemoryType, Store, StoreLimits, StoreLimitsBuilder};
    ///
    /// let limits = StoreLimitsBuilder::new().memory_size(1 << 20).build();
    /// let mut store = Store::new(&Engine::default(), limits);
    /// store.limiter(|limits| limits);
    /// assert!(Memory::new(&mut store, MemoryType::new(17, None)).is_err());
    /// ```
    pub fn limiter(
        &mut self,
        limiter: impl (FnMut(&mut T) -> &mut dyn ResourceLimiter) + Send + Sync + 'static,
    ) {
        self.inner.limiter = Some(Box::new(limiter));
    }

    /// Gives guest code this much fuel, and takes what it had.
    ///
    /// # Errors
    /// The engine does not [consume fuel](crate::Config::consume_fuel).
    pub fn set_fuel(&mut self, fuel: u64) -> Result<()> {
        self.inner.opaque.set_fuel(fuel)
    }

    /// The fuel that guest code has left.
    ///
    /// # Errors
    /// The engine does not [consume fuel](crate::Config::consume_fuel).
    pub fn get_fuel(&self) -> Result<u64> {
        self.inner.opaque.fuel()
    }

    /// Stops guest code when the engine's epoch has advanced `ticks_beyond_current` times from now on. What
    /// happens then is chosen with [`Store::epoch_deadline_trap`], the default, or
    /// [`Store::epoch_deadline_callback`]. A new store has no such deadline, and neither has one with `u64::MAX` ticks. Calls
    /// are refused if the engine is not [interruptible](crate::Config::interruptible) and there is a deadline.
    ///
    /// ```
    /// use wasmrun::{Engine, Store};
    ///
    /// let engine = Engine::default();
    /// let mut store = Store::new(&engine, ());
    /// store.set_epoch_deadline(1);
    /// engine.increment_epoch(); // Usually from another thread, while guest code runs.
    /// ```
    pub fn set_epoch_deadline(&mut self, ticks_beyond_current: u64) {
        self.inner.opaque.set_epoch_deadline(ticks_beyond_current);
    }

    /// At the epoch deadline, guest code traps with [`Trap::Interrupt`](crate::Trap). This is the default.
    pub fn epoch_deadline_trap(&mut self) {
        self.inner.epoch_callback = None;
    }

    /// At the epoch deadline, `callback` decides how guest code goes on. It runs in the middle of guest code
    /// and cannot call into it, grow memories and tables, or make an [`ExternRef`](crate::ExternRef). An error of it stops
    /// the guest.
    pub fn epoch_deadline_callback(
        &mut self,
        mut callback: impl FnMut(StoreContextMut<'_, T>) -> Result<UpdateDeadline> + Send + Sync + 'static,
    ) {
        self.inner.epoch_callback = Some(Box::new(move |inner| callback(StoreContextMut::new(inner))));
    }

    /// The moment by which calls into guest code have to be finished; `None` for no such moment. A call that
    /// is not finished by then traps with [`Trap::Deadline`](crate::Trap) within milliseconds, and host functions
    /// that wait are woken (see [`InterruptHandle::add_waker`]). Later calls trap as well, until
    /// the deadline is set anew. Calls are refused if the engine is not [interruptible](crate::Config::interruptible).
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use wasmrun::{Engine, Store};
    ///
    /// let mut store = Store::new(&Engine::default(), ());
    /// store.set_deadline(Some(Instant::now() + Duration::from_secs(2)));
    /// ```
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.inner.opaque.set_deadline(deadline);
    }

    /// How long each call into guest code may take, host functions that it calls included; `None` for as
    /// long as it likes. It counts from the call of the host that no guest code is behind. See
    /// [`Store::set_deadline`] for what happens then.
    pub fn set_timeout(&mut self, timeout: impl Into<Option<Duration>>) {
        self.inner.opaque.set_timeout(timeout.into());
    }

    /// A handle with which other threads can stop the guest code of this store, in any loop if the engine is
    /// [interruptible](crate::Config::interruptible).
    pub fn interrupt_handle(&self) -> InterruptHandle {
        InterruptHandle::new(self.inner.opaque.vm.exec().target().clone())
    }

    /// Frees the objects that neither guest code nor a handle of the host leads to, and drops the host's values among
    /// them. That happens by itself when memory is needed. In a
    /// [callback](Store::epoch_deadline_callback) of the store it does nothing.
    pub fn gc(&mut self) {
        collect(&mut self.inner.opaque);
    }

    /// What the collector has done; `None` before the first object is made.
    pub fn gc_stats(&self) -> Option<GcStats> {
        self.inner.opaque.vm.gc_stats()
    }

    /// Bytes of linear memory that the store holds.
    pub fn memory_bytes(&self) -> usize {
        self.inner.opaque.vm.memory_bytes()
    }

    /// Number of instances that the store holds, among them one for each memory, table and global that the
    /// host made, and dropped ones that others still reach.
    pub fn instance_count(&self) -> usize {
        self.inner.opaque.vm.totals().instances
    }
}

impl<T: Default> Default for Store<T> {
    fn default() -> Store<T> {
        Store::new(&Engine::default(), T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for Store<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("data", self.data()).finish_non_exhaustive()
    }
}

impl<T: 'static> AsContext for Store<T> {
    type Data = T;

    fn as_context(&self) -> StoreContext<'_, T> {
        StoreContext::new(&self.inner)
    }
}

impl<T: 'static> AsContextMut for Store<T> {
    fn as_context_mut(&mut self) -> StoreContextMut<'_, T> {
        StoreContextMut::new(&mut self.inner)
    }
}
