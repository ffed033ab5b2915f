//! WASI preview 1 (and preview 0) for wasmrun.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod errno;
pub mod vfs;
