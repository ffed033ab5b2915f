//! `wasmrun compile`: a module and its machine code in one file, for `wasmrun run --allow-precompiled`.

use std::path::{Path, PathBuf};

use crate::args::RunArgs;
use crate::errors::{Failure, Outcome};
use crate::file_arg::{display_name, is_stdin};
use crate::time_limit::TimeLimit;
use crate::{load, out_file};

/// The ending of compiled modules.
const EXTENSION: &str = "wrc";

/// Runs the command.
pub fn run(run: &RunArgs, out: Option<&Path>) -> Outcome {
    let out = match out {
        Some(out) => out.to_owned(),
        None => beside(&run.file)?,
    };
    let limit = TimeLimit::starting_now(run.options.timeout);
    let module = load::compiled_module(run, &limit)?;
    let bytes = limit.watch(&run.file, "writing its code", || module.serialize())?.map_err(|error| {
        Failure::new(format!("{} cannot be compiled", display_name(&run.file))).because_of(error.chain())
    })?;
    out_file::write(&out, &run.file, &bytes, &limit)
}

/// The name of the file in the current directory, if nothing else is said.
fn beside(file: &Path) -> Outcome<PathBuf> {
    match file.file_stem() {
        Some(stem) if !is_stdin(file) => Ok(Path::new(stem).with_added_extension(EXTENSION)),
        _ => Err(Failure::usage("the standard input has no name to call the compiled module by")
            .help("`-o OUT` says what file to write")),
    }
}
