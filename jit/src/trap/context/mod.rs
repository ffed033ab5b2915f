//! Reading and changing the state of an interrupted thread: one file for each system and architecture.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "linux_x86_64.rs"]
mod platform;

pub(super) use platform::{position, resume_at};

/// Where a thread goes on after a trap: the handler of an `enter` stub.
#[derive(Clone, Copy, Debug)]
pub(super) struct Landing {
    pub(super) pc: usize,
    pub(super) sp: usize,
    pub(super) fp: usize,
    /// What the stub returns.
    pub(super) status: u32,
}
