//! Identities of stores.

use std::sync::atomic::{AtomicU64, Ordering};

/// Tells stores apart; no two stores of a process have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreId(u64);

impl StoreId {
    pub(crate) fn next() -> StoreId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        StoreId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}
