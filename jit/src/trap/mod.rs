//! Faults of compiled code become traps.
//!
//! Guard pages, undefined instructions and divisions that fail raise signals. The handler asks the lookup
//! that was named at [`install`] whether the instruction is one that may trap, leaves the trap pending on
//! the current execution context, notes the frames of compiled code there, and makes the thread go on at the handler
//! of the innermost `enter` stub.
//! Everything else, in code of anyone's, goes to the handler that was there before.

#![allow(unsafe_code)]

mod alternate_stack;
pub mod code;
mod context;
mod current;
mod land;
mod signal;
pub(crate) mod trace;

use cranelift_codegen::ir::TrapCode;

pub use current::{CurrentExec, current_exec};
pub(crate) use land::land;
pub use signal::install;

/// An instruction that may trap.
#[derive(Clone, Copy, Debug)]
pub struct TrapInfo {
    /// Why it does.
    pub code: TrapCode,
}

/// Says whether the instruction at an address is one of compiled code that may trap. It is called in a
/// signal handler: it must neither allocate nor wait for anything.
pub type Lookup = fn(usize) -> Option<TrapInfo>;
