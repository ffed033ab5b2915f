//! Memory that code of every tier reads and writes: contexts, memories, tables, stacks, instances.
//!
//! The layouts marked `repr(C)` are known to generated code; [`crate::layout`] and the tests beside each
//! type hold their offsets.

pub mod builtins;
mod context;
mod exec;
mod host;
mod instance;
mod interrupt;
mod memory;
mod stack;
mod store;
mod table;

pub use context::{FuncRef, GlobalSlot, NULL_FUNC_REF, VmContext, null_func_ref};
pub use exec::{
    Activation, ExecContext, InterpreterEntry, NativeTrace, NativeWords, Resume, StopSite, StoreHooks,
    TailTarget,
};
pub use host::{HostCall, HostFunc};
pub use instance::{Imports, Instance, InstantiateError};
pub use interrupt::{InterruptTarget, reason};
pub use memory::{GUARD, GrowError, ImageFile, Memory, MemoryDescriptor, MemoryStrategy};
pub use stack::{Stack, StackSizes};
pub use store::{InstanceKey, Store, Totals};
pub use table::{Table, TableDescriptor, write_ref};
