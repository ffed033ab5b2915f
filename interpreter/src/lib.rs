//! Tier 0 of wasmrun: slot bytecode, the translator that makes it, and the handlers that run it.
//!
//! A function is translated when it is first called. Its frames live on the value stack of the store's
//! execution context, and calls between translated functions never use the native stack.

#[allow(unsafe_code)]
mod bind;
mod callees;
#[allow(unsafe_code)]
mod caller;
#[allow(unsafe_code)]
mod code;
#[allow(unsafe_code)]
mod dispatch;
mod entry;
mod field;
#[cfg(test)]
#[allow(unsafe_code)]
mod frame_state;
#[allow(unsafe_code)]
mod frames;
mod handlers;
#[cfg(test)]
#[allow(unsafe_code)]
mod jumps;
mod loops;
#[allow(unsafe_code)]
mod machine;
#[allow(unsafe_code)]
mod mode;
#[allow(unsafe_code)]
mod ops;
mod print;
mod returns;
mod rows;
#[allow(unsafe_code)]
mod stop;
mod table;
mod translate;

pub use bind::way_into_compiled;
pub use callees::usual_callee;
pub use frames::{Positions, go_on_for_host, invoke, run_for_compiled};
pub use loops::Loops;
pub use print::{BytecodeLine, Disassembly, NoBytecode, disassemble};
