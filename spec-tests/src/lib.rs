//! The official test suites of WebAssembly and WASI, run on wasmrun, and the oracles of the fuzzers.
//!
//! [`run_paths`] runs `.wast` scripts: `wasmrun wast` and the tests of this crate call it. [`wasi_suite`] runs
//! the programs of WebAssembly/wasi-testsuite. With the feature `fuzzing`, `differential` compares wasmrun
//! with wasmi on generated modules; the tests and the targets in `fuzz/` share it.
//!
//! ```
//! use wasmrun_spec_tests::{Options, run_script};
//!
//! let script = r#"
//!     (module (func (export "add") (param i32 i32) (result i32)
//!         (i32.add (local.get 0) (local.get 1))))
//!     (assert_return (invoke "add" (i32.const 1) (i32.const 2)) (i32.const 3))
//! "#;
//! let report = run_script("add.wast", script, &Options::default());
//! assert_eq!((report.passed, report.failures.len(), report.skips.len()), (2, 0, 0));
//! ```

#[cfg(feature = "fuzzing")]
pub mod differential;
mod folded;
mod modes;
mod paths;
mod refusal;
mod report;
mod script;
mod spectest;
mod values;
pub mod wasi_suite;

pub use modes::Mode;
pub use paths::{run_paths, run_paths_with};
pub use report::{FileReport, Note, Report};
pub use script::{Options, run_script};
