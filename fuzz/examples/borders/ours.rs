//! The borders of wasmrun.

use wasmrun as engine;

#[path = "subject.rs"]
#[expect(clippy::duplicate_mod, reason = "one text for both engines, so that both do the same")]
pub mod subject;
