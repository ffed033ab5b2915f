//! Stopping a store's guest code from outside.

use std::fmt;
use std::sync::{Arc, Weak};

use wasmrun_runtime::vm::{InterruptTarget, reason};

/// Stops the guest code of a [`Store`](crate::Store) from any thread.
///
/// ```
/// use wasmrun::{Engine, Store};
///
/// let store = Store::new(&Engine::default(), ());
/// let handle = store.interrupt_handle();
/// std::thread::spawn(move || handle.interrupt());
/// ```
#[derive(Clone)]
pub struct InterruptHandle {
    target: Arc<InterruptTarget>,
}

impl InterruptHandle {
    pub(crate) fn new(target: Arc<InterruptTarget>) -> InterruptHandle {
        InterruptHandle { target }
    }

    /// Makes guest code trap with [`Trap::Interrupt`](crate::Trap) at its next loop or call, and wakes host
    /// functions that wait. When no guest code runs, the next call traps.
    ///
    /// On an engine that is not [interruptible](crate::Config::interruptible), compiled code notices it where it enters a
    /// function that is not short: a loop that calls none runs on.
    pub fn interrupt(&self) {
        self.target.request(reason::INTERRUPT);
    }

    /// Takes back an interrupt that has not been noticed yet.
    pub fn clear(&self) {
        self.target.withdraw(reason::INTERRUPT);
    }

    /// Calls `waker` whenever the store's guest code is asked to stop: by an interrupt, a deadline or an
    /// epoch. For host functions that wait: they get woken here and then ask
    /// [`Caller::check_interrupts`](crate::Caller::check_interrupts). It is called by whoever asks, on any
    /// thread, must not block, and is forgotten when its owner drops it.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use wasmrun::{Engine, Store};
    ///
    /// let store = Store::new(&Engine::default(), ());
    /// let waiting = std::thread::current();
    /// let waker: Arc<dyn Fn() + Send + Sync> = Arc::new(move || waiting.unpark());
    /// store.interrupt_handle().add_waker(Arc::downgrade(&waker));
    /// store.interrupt_handle().interrupt();
    /// std::thread::park(); // Returns at once.
    /// ```
    pub fn add_waker(&self, waker: Weak<dyn Fn() + Send + Sync>) {
        self.target.add_waker(waker);
    }
}

impl fmt::Debug for InterruptHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterruptHandle").finish_non_exhaustive()
    }
}
