//! The borders of compiled code: entering it, calling the host from it, binding late, and trapping.
//!
//! These tests have a process of their own because signal handlers belong to a process, and the functions
//! that are named to them once.

#![allow(unsafe_code)]

mod bind;
mod builtins;
mod enter;
mod host;
mod interp;
mod references;
mod reuse;
mod signals;
mod stack_end;
mod support;
mod tail_calls;
mod traces;
mod traps;
