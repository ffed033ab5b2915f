//! Functions of the host.

use std::fmt;

use super::context::VmContext;
use super::exec::ExecContext;
use crate::trap::HostError;
use crate::types::{FuncType, SignatureSlots, TypeId};

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

/// A function of the host with its type. It belongs to no store; a store that uses it keeps it alive.
pub struct HostFunc {
    ty: FuncType,
    type_id: TypeId,
    slots: SignatureSlots,
    entry: Box<Entry>,
}

impl HostFunc {
    /// A host function. `type_id` is the id of `ty` in the engine's registry.
    pub fn new(
        ty: FuncType,
        type_id: TypeId,
        entry: impl Fn(HostCall) -> Result<(), HostError> + Send + Sync + 'static,
    ) -> HostFunc {
        let slots = ty.slots();
        HostFunc { ty, type_id, slots, entry: Box::new(entry) }
    }

    /// Its type.
    pub fn ty(&self) -> &FuncType {
        &self.ty
    }

    /// The engine-wide id of its type.
    pub fn signature(&self) -> TypeId {
        self.type_id
    }

    /// How its arguments and results spread over the stacks.
    pub fn slots(&self) -> SignatureSlots {
        self.slots
    }

    /// Calls it. It may panic, as host functions may.
    pub fn call(&self, call: HostCall) -> Result<(), HostError> {
        (self.entry)(call)
    }
}

impl fmt::Debug for HostFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostFunc").field("ty", &self.ty).finish_non_exhaustive()
    }
}
