//! `wasmrun validate`: whether modules are valid and can be run, without running anything.
//!
//! Silent about valid ones, like a compiler; each other one gets an error of its own.

use std::path::PathBuf;

use crate::args::Options;
use crate::errors::{Outcome, exit};
use crate::load;
use crate::time_limit::TimeLimit;

/// Checks all files and returns the exit code.
pub fn run(files: &[PathBuf]) -> u8 {
    let mut code = 0;
    for file in files {
        if let Err(failure) = check(file) {
            failure.report();
            code = exit::FAILURE;
        }
    }
    code
}

fn check(file: &std::path::Path) -> Outcome {
    load::module(&load::engine_to_look(&Options::default())?, file, &TimeLimit::none()).map(drop)
}
