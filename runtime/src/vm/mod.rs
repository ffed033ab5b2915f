//! Memory that code of every tier reads and writes: contexts, memories, tables, stacks, instances.
//!
//! The layouts marked `repr(C)` are known to generated code; [`crate::layout`] and the tests beside each
//! type hold their offsets.

mod barrier;
mod budget;
pub mod builtins;
mod constants;
mod context;
mod elements;
mod exception;
mod exec;
mod func_ref;
pub mod gc;
mod global;
mod host;
mod instance;
mod interrupt;
mod lookup;
mod memory;
mod native;
pub mod native_stack;
mod reported;
mod segment;
mod shared;
mod stack;
mod store;
mod table;
mod twins;
mod type_test;

pub use barrier::{RefWord, write_object_ref, write_ref, wrote_refs};
pub(crate) use builtins::inside;
pub use context::VmContext;
pub use exception::{EXCEPTION_TAG, TagId};
pub use exec::{ExecContext, Resume, StoreHooks};
pub use func_ref::{FRAME_ID, FuncRef, NULL_FUNC_REF, direct_callee_id, null_func_ref};
pub use global::GlobalSlot;
pub use host::{DirectCall, HostCall, HostFunc};
pub(crate) use instance::offset_of;
pub use instance::{Imports, Instance, InstantiateError};
pub use interrupt::{InterruptTarget, reason};
pub use memory::{
    GUARD, GrowError, ImageFile, Memory, MemoryDescriptor, MemoryStrategy, can_reserve, most_addresses,
    reservation_of,
};
pub use native::{
    Counted, FrameRoots, InterpreterEntry, InterpreterRun, Landing, Leaves, Left, LoopEntry, NativeEntries,
    NativeTrace, NativeWords, NoCompiledCode, Place, Polling, TailTarget, TierEntry,
};
pub use reported::{Reported, Stay, Turning};
pub use segment::{CallerOf, Entered, FoundFrame, Position, Segment, Site, Tier};
pub use shared::{Expected, SharedMemory, Waited};
pub use stack::{Stack, StackPool, StackSizes};
pub use store::{InstanceKey, Store, Totals};
pub use table::{MAX_ELEMENTS, Table, TableDescriptor};
pub use type_test::TypeTest;
