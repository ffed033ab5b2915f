//! Reading and changing the state of an interrupted thread: one file for each system and architecture.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[path = "linux_x86_64.rs"]
mod platform;

pub(super) use platform::{position, resume_at};
