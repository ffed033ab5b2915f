//! WASI preview 1 (and preview 0) for wasmrun, on Linux.
//!
//! A [`WasiCtx`] is what one guest has; [`WasiBuilder`] makes it and grants nothing that was not asked for.
//! [`add_to_linker`] gives modules what they import. The functions that guests call are those of [`p1`], over a context
//! and the guest's memory; they can be called without an engine.
//!
//! | module | what it holds |
//! |---|---|
//! | [`abi`] | the tables of layouts, flags and functions from which everything else derives |
//! | [`p1`] | the 46 functions |
//! | [`p0`] | the 45 of preview 0: the same, with other layouts |
//! | [`vfs`] | directories and files, of the host and in memory, behind two traits |
//! | [`caps`] | what a program asks for and what a context grants |
//! | [`origins`] | where programs come from that ask for what there is not |
//!
//! Errors of a call are [`Errno`] for the guest; a [`Fault`] is one of those or a reason to leave the guest. Errors of
//! the host's own making are [`Error`].
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod abi;
mod builder;
pub mod caps;
mod clocks;
mod ctx;
mod errno;
mod fault;
mod fdtable;
mod limits;
mod link;
mod mem;
mod now;
pub mod origins;
pub mod p1;
mod random;
mod shared;
mod stdio;
mod trace;
pub mod vfs;
mod wait;

pub use builder::{Error, WasiBuilder};
pub use clocks::Clocks;
pub use ctx::WasiCtx;
pub use errno::Errno;
pub use fault::{Fault, Outcome};
pub use limits::Limits;
pub use link::{add_shared_to_linker, add_to_linker};
pub use mem::{GuestMem, IoVecs};
pub use p1::preview0 as p0;
pub use random::Random;
pub use shared::SharedWasiCtx;
pub use stdio::{Capture, Input, Output};
pub use wait::Canceller;
