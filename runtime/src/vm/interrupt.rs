//! Stopping guest code from another thread.
//!
//! A request sets a bit and then lowers the limits that running code compares its stack pointers with, so
//! that the next function entry or loop header takes the slow path. That path restores the limits *before*
//! it takes the bits: a request that comes in between lowers them again and is not lost.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, Weak};

use super::stack::lock_unless_lost;

/// Bits of a request.
pub mod reason {
    /// The host asked the guest to stop.
    pub const INTERRUPT: u32 = 1;
    /// The deadline of a call has passed.
    pub const DEADLINE: u32 = 2;
    /// The engine's epoch has advanced.
    pub const EPOCH: u32 = 4;
}

/// The words that running code polls. They live in the execution context.
#[derive(Debug)]
#[repr(C)]
pub(super) struct PollWords {
    /// Frames of tier 0 end at or below this address; 0 requests the slow path.
    pub(super) value_limit: AtomicUsize,
    /// Compiled code keeps its stack pointer above this address; `usize::MAX` requests the slow path.
    pub(super) native_limit: AtomicUsize,
    /// What is left of the entries and back edges that tier 0 counts before it takes the slow path; negative
    /// requests that. Its own thread counts without an atomic instruction, so that a request can be overwritten:
    /// it is answered then when the count is over.
    pub(super) count: AtomicI32,
}

type Waker = dyn Fn() + Send + Sync;

/// A store, as other threads see it: something to interrupt.
#[derive(Default)]
pub struct InterruptTarget {
    requests: AtomicU32,
    words: Mutex<Option<WordsPtr>>,
    wakers: Mutex<Vec<Weak<Waker>>>,
}

struct WordsPtr(NonNull<PollWords>);

// SAFETY: the words are atomics; the pointer is withdrawn under the lock before they go away.
unsafe impl Send for WordsPtr {}

impl InterruptTarget {
    /// Asks the guest to stop for `reasons` (see [`reason`]) and wakes what waits on its behalf.
    pub fn request(&self, reasons: u32) {
        self.requests.fetch_or(reasons, Ordering::SeqCst);
        {
            let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(WordsPtr(words)) = *words {
                // SAFETY: the context withdraws the pointer under this lock before it goes away.
                let words = unsafe { words.as_ref() };
                words.value_limit.store(0, Ordering::SeqCst);
                words.native_limit.store(usize::MAX, Ordering::SeqCst);
                words.count.store(-1, Ordering::SeqCst);
            }
        }
        let wakers: Vec<_> = {
            let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
            wakers.retain(|w| w.strong_count() > 0);
            wakers.iter().filter_map(Weak::upgrade).collect()
        };
        for wake in &wakers {
            // One that panics must stop neither the others nor the thread that asks, which may be the guest's
            // own or the one that watches all deadlines. The panic has been reported by its hook.
            let _ = catch_unwind(AssertUnwindSafe(|| wake()));
        }
    }

    /// Calls `waker` at each request, for as long as its owner keeps it. For host functions that wait.
    pub fn add_waker(&self, waker: Weak<Waker>) {
        let mut wakers = self.wakers.lock().unwrap_or_else(PoisonError::into_inner);
        wakers.retain(|w| w.strong_count() > 0);
        wakers.push(waker);
    }

    /// The requests that nobody has taken yet.
    pub fn pending(&self) -> u32 {
        self.requests.load(Ordering::SeqCst)
    }

    /// Takes the requests.
    pub(super) fn take(&self) -> u32 {
        self.requests.swap(0, Ordering::SeqCst)
    }

    /// Withdraws `reasons` that have not been taken: a deadline that was cancelled in time.
    pub fn withdraw(&self, reasons: u32) {
        self.requests.fetch_and(!reasons, Ordering::SeqCst);
    }

    /// Names the words that requests are written to.
    ///
    /// # Safety
    /// They stay where they are until [`Self::detach`].
    pub(super) unsafe fn attach(&self, words: NonNull<PollWords>) {
        *self.words.lock().unwrap_or_else(PoisonError::into_inner) = Some(WordsPtr(words));
    }

    /// Says that there are no such words any more. `process` has made them. In a child that it has forked nobody else
    /// requests anything.
    pub(super) fn detach(&self, process: u32) {
        if let Some(mut words) = lock_unless_lost(&self.words, process) {
            *words = None;
        }
    }

    #[cfg(test)]
    pub(super) fn lock_for_ever(&self) -> impl Sized {
        self.words.lock().unwrap()
    }
}

impl fmt::Debug for InterruptTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InterruptTarget").field("pending", &self.pending()).finish_non_exhaustive()
    }
}
