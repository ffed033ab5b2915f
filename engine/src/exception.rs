//! Exceptions of the guest, as the host sees them.

use std::fmt;

use crate::rooted::{GcRef, OwnedRooted, sealed};
use crate::store::StoreOpaque;

/// What an `exnref` leads to: an exception, with its tag and the values that it carries.
#[derive(Debug)]
pub enum ExnRef {}

impl sealed::Sealed for ExnRef {}
impl GcRef for ExnRef {}

/// An exception that nobody has caught: the error of the call that it left.
#[derive(Clone, Debug)]
pub struct Exception {
    exception: OwnedRooted<ExnRef>,
}

impl Exception {
    /// The one that is pending in a store.
    pub(crate) fn take(store: &mut StoreOpaque) -> Exception {
        let word = store.vm.exec_mut().catch();
        Exception { exception: OwnedRooted::of_word(store, word) }
    }

    /// The exception.
    pub fn exception(&self) -> &OwnedRooted<ExnRef> {
        &self.exception
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("uncaught exception")
    }
}

impl std::error::Error for Exception {}
