//! Tier 0 of wasmrun: slot bytecode, the translator that makes it, and the handlers that run it.
//!
//! A function is translated when it is first called. Its frames live on the value stack of the store's
//! execution context, and calls between translated functions never use the native stack.

#![allow(unsafe_code)]

mod bind;
mod code;
mod entry;
mod field;
#[cfg(test)]
mod frame_state;
mod frames;
#[cfg(test)]
mod jumps;
mod machine;
mod mode;
mod ops;
mod print;
mod table;
mod translate;

pub use frames::{Frame, Since, backtrace, invoke};
pub use print::{Bytecode, NoBytecode, disassemble};
