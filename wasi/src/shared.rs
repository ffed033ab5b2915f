//! A context that the threads of a guest share.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::WasiCtx;
use crate::wait::Waiter;

/// One thread's hold on a context that the threads of a guest share: its descriptors, clocks and limits are those of all.
/// A clone is the hold of another thread.
///
/// Calls are made one after the other; what a call waits for it waits for outside, so that a thread which sleeps or reads
/// from a terminal keeps no other one from its calls. For that writes look before they act, as with
/// [`WasiCtx::interruptible_writes`].
#[derive(Debug)]
pub struct SharedWasiCtx {
    ctx: Arc<Mutex<WasiCtx>>,
    waiter: Waiter,
}

impl SharedWasiCtx {
    /// A context to be shared. Cancellers that it has given out no longer end anything.
    pub fn new(ctx: WasiCtx) -> SharedWasiCtx {
        SharedWasiCtx { ctx: Arc::new(Mutex::new(ctx)), waiter: Waiter::of_thread() }
    }

    /// Makes a call, which waits as this thread does.
    pub(crate) fn with<R>(&mut self, call: impl FnOnce(&mut WasiCtx) -> R) -> R {
        let ctx = self.ctx.lock().unwrap_or_else(PoisonError::into_inner);
        call(Held::new(ctx, &mut self.waiter).ctx())
    }

    pub(crate) fn waiter(&mut self) -> &mut Waiter {
        &mut self.waiter
    }
}

impl Clone for SharedWasiCtx {
    fn clone(&self) -> SharedWasiCtx {
        SharedWasiCtx { ctx: self.ctx.clone(), waiter: Waiter::of_thread() }
    }
}

/// A context for the time of one call, which waits as the thread does that makes it, and no longer when the call ends or
/// panics.
struct Held<'a> {
    ctx: MutexGuard<'a, WasiCtx>,
    /// The thread's; meanwhile that of the context.
    waiter: &'a mut Waiter,
}

impl<'a> Held<'a> {
    fn new(mut ctx: MutexGuard<'a, WasiCtx>, waiter: &'a mut Waiter) -> Held<'a> {
        mem::swap(&mut ctx.waiter, waiter);
        Held { ctx, waiter }
    }

    fn ctx(&mut self) -> &mut WasiCtx {
        &mut self.ctx
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        mem::swap(&mut self.ctx.waiter, self.waiter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn a_thread_whose_call_panics_keeps_its_own_waits() {
        let mut thread = SharedWasiCtx::new(WasiCtx::builder().build().unwrap());
        let mut other = thread.clone();
        let panics = catch_unwind(AssertUnwindSafe(|| thread.with(|_| panic!("a call of a test"))));
        assert!(panics.is_err());
        // Waits of threads are interruptible, and those of the context are not.
        assert!(thread.waiter().are_writes_interruptible());
        for thread in [&mut thread, &mut other] {
            assert!(thread.with(|ctx| ctx.waiter.are_writes_interruptible()));
        }
        assert!(!thread.ctx.lock().unwrap_or_else(PoisonError::into_inner).waiter.are_writes_interruptible());
    }
}
