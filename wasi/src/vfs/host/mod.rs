//! Directories and files of the host.
//!
//! | module | what it is |
//! |---|---|
//! | `dir`, `file` | what is open, behind the two traits |
//! | `resolve`, `openat2`, `walker`, `choice` | how a path is followed without leaving the directory, and by whom |
//! | `allocate` | reserving space in steps |
//! | `attributes`, `system` | the host's words and calls, translated |

mod allocate;
pub(crate) mod attributes;
mod choice;
mod dir;
mod file;
mod openat2;
mod resolve;
mod system;
mod walker;

pub use choice::ResolverChoice;
pub use dir::{HostDir, HostOptions};
