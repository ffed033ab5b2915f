//! Directories and files of the host, on any Unix.
//!
//! | module | what it is |
//! |---|---|
//! | `dir`, `file` | what is open, behind the two traits |
//! | `resolve`, `openat2`, `walker`, `choice` | how a path is followed without leaving the directory, and by whom |
//! | `allocate` | reserving space in steps |
//! | `attributes`, `system` | the host's words and calls, translated |
//!
//! A host that is not Unix has no host directories: this module does not exist there, and a program that uses it does
//! not compile. The tree in memory does work everywhere.

#[cfg(target_os = "linux")]
mod allocate;
pub(crate) mod attributes;
mod choice;
mod dir;
mod file;
#[cfg(target_os = "linux")]
mod openat2;
mod resolve;
pub(crate) mod system;
mod walker;

pub use choice::ResolverChoice;
pub use dir::{HostDir, HostOptions};
