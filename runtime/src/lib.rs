//! What running WebAssembly code touches: the module model, memories, tables, globals, instances, stacks
//! and traps. The tiers (`interpreter` and `jit`) and the embedding crate stand on it.
//!
//! The safe half describes modules; the half under [`vm`] is memory that code of every tier reads and
//! writes, and holds nearly all of the crate's `unsafe`; the rest is in `cells`, where code is published.

mod bodies;
mod cells;
pub mod const_expr;
pub mod counts;
mod declarations;
mod error;
pub mod features;
pub mod frame;
pub mod fuel;
mod hints;
mod image;
pub mod layout;
pub mod module;
mod names;
pub mod parallel;
mod parse;
mod parsed_types;
mod relaxed;
pub mod trap;
pub mod types;
pub mod value;
#[allow(unsafe_code)]
pub mod vm;
mod work;

pub use bodies::MAX_SLOTS;
pub use error::ParseError;
pub use names::{is_printable, printable};
pub use parse::{Outline, VALIDATOR, parse, parse_unless_valid, used_proposals, validate};
pub use relaxed::Relaxed;
pub use work::Work;

/// The version of this crate. Code on disk names it, because code knows the layouts of this crate.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
