//! The compiling tiers: from validated function bodies to machine code, and everything that machine code
//! needs to run next to tier 0.
//!
//! `lower` makes Cranelift's intermediate code of one function, `compile` machine code of that, `arena`
//! keeps it, `artifact` is its form on disk, `stubs` are the borders to the host and to tier 0, and `trap` turns faults of
//! compiled code into traps. `explore`, behind the feature of that name, shows what the first two make of a function.
//! Semantics are not shared with tier 0 on purpose: each is the other's oracle.
//!
//! The machine is Linux on x86-64; `build.rs` refuses all others. What would have to be written for another one is in files of
//! their own in `stubs` and `trap`, and in `arena`, `thunks` and `placement`.

pub mod abi;
pub mod arena;
pub mod artifact;
pub mod builtins;
pub mod calls;
pub mod code;
pub mod compile;
mod entrances;
#[cfg(feature = "explore")]
pub mod explore;
pub mod handlers;
mod job;
pub mod lower;
pub mod memory_for;
mod merged;
mod placement;
pub mod profiler;
pub mod references;
pub mod roomy;
pub mod stack_maps;
pub mod stubs;
mod thunks;
pub mod trap;
