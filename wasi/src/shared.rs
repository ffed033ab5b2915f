//! A context that the threads of a guest share.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

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
        let mut ctx = self.ctx.lock().unwrap_or_else(PoisonError::into_inner);
        mem::swap(&mut ctx.waiter, &mut self.waiter);
        let result = call(&mut ctx);
        mem::swap(&mut ctx.waiter, &mut self.waiter);
        result
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
