//! Locks of the engine: nothing panics half-way through a change of what they guard, so that a panic elsewhere while one is
//! held is no reason to stop.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks `mutex`.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
