//! Functions of the host.

use std::fmt;

use super::context::VmContext;
use super::exec::ExecContext;
use crate::trap::HostError;
use crate::types::{FuncType, SignatureSlots};

/// A call of a host function: where its arguments are and its results go.
///
/// Arguments and results start at the same slots, as in every call.
#[derive(Clone, Copy, Debug)]
pub struct HostCall {
    /// The store's execution context.
    pub exec: *mut ExecContext,
    /// The context of the calling instance; null when the host calls.
    pub caller: *mut VmContext,
    /// Value slots.
    pub values: *mut u64,
    /// Reference slots.
    pub references: *mut u32,
}

type Entry = dyn Fn(HostCall) -> Result<(), HostError> + Send + Sync;

/// A function of the host with its type. It belongs to no store and no engine; a store that uses it keeps it
/// alive, and gives its type the id that it has there.
pub struct HostFunc {
    ty: FuncType,
    slots: SignatureSlots,
    entry: Box<Entry>,
}

impl HostFunc {
    /// A host function.
    pub fn new(
        ty: FuncType,
        entry: impl Fn(HostCall) -> Result<(), HostError> + Send + Sync + 'static,
    ) -> HostFunc {
        let slots = ty.slots();
        HostFunc { ty, slots, entry: Box::new(entry) }
    }

    /// Its type.
    pub fn ty(&self) -> &FuncType {
        &self.ty
    }

    /// How its arguments and results spread over the stacks.
    pub fn slots(&self) -> SignatureSlots {
        self.slots
    }

    /// Calls it. It may panic, as host functions may.
    ///
    /// # Safety
    /// The pointers of `call` are those of a running call with arguments of this function's type.
    pub unsafe fn call(&self, call: HostCall) -> Result<(), HostError> {
        (self.entry)(call)
    }
}

impl fmt::Debug for HostFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostFunc").field("ty", &self.ty).finish_non_exhaustive()
    }
}
