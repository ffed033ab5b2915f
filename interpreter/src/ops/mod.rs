//! The handlers, by family. Each family has an enumeration of its operations, from which the translator
//! names them, and a table of rows, one row for each operation and one entry for each combination of
//! addressing modes.

pub(crate) mod atomic;
pub(crate) mod branch;
pub(crate) mod bulk;
pub(crate) mod call;
pub(crate) mod compiled;
pub(crate) mod exception;
pub(crate) mod memory;
pub(crate) mod misc;
pub(crate) mod numeric;
pub(crate) mod object;
pub(crate) mod reference;
pub(crate) mod simd;
pub(crate) mod tail_call;
pub(crate) mod wide;
