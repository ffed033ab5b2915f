//! `wasmrun wast`: runs scripts of the specification's test suite.
//!
//! Each script has a line, each failure in it another, and the last line has the totals.

use std::path::PathBuf;

use wasmrun_spec_tests::{Options, run_paths};

use crate::errors::{Outcome, exit};
use crate::{output, wording};

/// Runs all scripts and returns the exit code.
pub fn run(paths: &[PathBuf]) -> Outcome<u8> {
    let report = run_paths(paths, &Options::default());
    output::print(&wording::shown_lines(&report.to_string()))?;
    Ok(if report.failed() == 0 { 0 } else { exit::FAILURE })
}
