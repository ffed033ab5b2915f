//! Compiled code as bytes: what a cache keeps on disk and `wasmrun compile` writes.
//!
//! The format, which `format` describes, is flat: a header, tables that are searched where they lie, and last the code, in one
//! piece that is installed by one copy. Code is position-independent and reaches everything through its context, so
//! that there is nothing to relocate. An artefact is of one module, one memory plan and one mode, and may hold any set
//! of the module's functions.
//!
//! [`Identity`] says what the code was made for; nothing else may run it. [`Encoder`] writes, [`Artifact`] reads and
//! [`Seal`] guards the bytes, against accidents or, with a key, against others.
//!
//! Reading is total: any bytes give an artefact or an error, without a panic, and nothing is allocated. That an artefact
//! can be read says nothing about the code in it, which is as trustworthy as where it came from. Called by the engine's
//! cache and its `Module::deserialize`, and by [`CodeSpace::install_artifact`](crate::code::CodeSpace::install_artifact).
#![forbid(unsafe_code)]

mod encode;
mod format;
mod identity;
mod read;
mod seal;
mod stored;
mod stream;

pub use encode::{EncodeError, Encoder};
pub use format::{MAGIC, VERSION};
pub use identity::{Identity, ModuleHash, Settings};
pub use read::{Artifact, Tables};
pub use seal::Seal;
pub use stored::Stored;

/// Why bytes are no artefact.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArtifactError {
    /// They are something else.
    #[error("it does not begin as compiled modules do")]
    Magic,
    /// They are of another version of the format.
    #[error("its format has version {0}, and this is version {VERSION}")]
    Version(u32),
    /// The seal does not fit the bytes.
    #[error("it has been changed or cut off since it was written, or it was written with another key")]
    Seal,
    /// Something in them cannot be.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
}
