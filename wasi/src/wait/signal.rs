//! How a wait is ended: by a flag, which is looked at first, and a descriptor that becomes readable, which ends a wait that
//! has begun. The descriptor is made for the first wait that can be ended: guests that never wait cost none.

use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

/// Ends what a guest is waiting for, from any thread. Every clone belongs to the same guest.
///
/// The call that the guest is in returns [`Fault::Interrupted`](crate::Fault::Interrupted), and so does every later
/// one. It does not stop a guest that computes: that is the engine's business.
#[derive(Clone, Debug)]
pub struct Canceller(pub(super) Arc<Signal>);

/// What can end the waits of a guest.
#[derive(Debug, Default)]
pub(super) struct Signal {
    pub cancelled: AtomicBool,
    pub poked: AtomicBool,
    event: OnceLock<Event>,
    /// Those of the guest's threads, which are cancelled with this one.
    threads: Mutex<Vec<Weak<Signal>>>,
}

/// Something to wait for that becomes readable.
#[derive(Debug)]
pub(super) struct Event(OwnedFd);

impl AsFd for Event {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Event {
    fn new() -> io::Result<Event> {
        Ok(Event(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    fn raise(&self) {
        // It can fail only because it is readable already.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }

    pub fn lower(&self) {
        // It can fail only because it is not readable.
        let _ = rustix::io::read(&self.0, &mut [0; size_of::<u64>()]);
    }
}

impl Signal {
    /// The event, made on the first call.
    pub fn event(&self) -> io::Result<&Event> {
        if self.event.get().is_none() {
            // Another thread may have been faster; then this one is dropped.
            let _ = self.event.set(Event::new()?);
        }
        // Either whoever raises a flag sees the event, or the flag is seen when it is looked at after this.
        fence(Ordering::SeqCst);
        self.event.get().ok_or_else(|| io::ErrorKind::Other.into())
    }

    /// That of a thread of the same guest.
    pub fn of_thread(&self) -> Arc<Signal> {
        let mut threads = self.threads();
        threads.retain(|thread| thread.strong_count() > 0);
        let thread = Arc::new(Signal::default());
        thread.cancelled.store(self.cancelled.load(Ordering::SeqCst), Ordering::SeqCst);
        threads.push(Arc::downgrade(&thread));
        thread
    }

    /// While this is held none becomes one of them, and all have the same flag.
    fn threads(&self) -> MutexGuard<'_, Vec<Weak<Signal>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Raises a flag and ends a wait.
    pub fn raise(&self, flag: &AtomicBool) {
        flag.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if let Some(event) = self.event.get() {
            event.raise();
        }
    }
}

impl Canceller {
    /// Makes every call of the guest return, the present ones of its threads and all later ones.
    pub fn cancel(&self) {
        let threads = self.0.threads();
        self.0.raise(&self.0.cancelled);
        threads.iter().filter_map(Weak::upgrade).for_each(|thread| thread.raise(&thread.cancelled));
    }

    /// Whether [`Canceller::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// Lets the guest make calls again.
    pub fn reset(&self) {
        let threads = self.0.threads();
        self.0.cancelled.store(false, Ordering::SeqCst);
        threads
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|thread| thread.cancelled.store(false, Ordering::SeqCst));
    }
}
