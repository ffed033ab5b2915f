//! `wasmrun compile`: a module and its machine code in one file, for `wasmrun run --allow-precompiled`.

use std::path::{Path, PathBuf};

use crate::args::RunArgs;
use crate::errors::{Failure, Outcome};
use crate::file_arg::{display_name, is_stdin};
use crate::{load, output};

/// The ending of compiled modules.
const EXTENSION: &str = "wrc";

/// Runs the command.
pub fn run(run: &RunArgs, out: Option<&Path>) -> Outcome {
    let out = match out {
        Some(out) => out.to_owned(),
        None => beside(&run.file)?,
    };
    let module = load::compiled_module(run)?;
    let bytes = module.serialize().map_err(|error| {
        Failure::new(format!("{} cannot be compiled", display_name(&run.file))).because_of(error.chain())
    })?;
    output::write_file(&out, &run.file, &bytes)
}

/// The name of the file in the current directory, if nothing else is said.
fn beside(file: &Path) -> Outcome<PathBuf> {
    match file.file_stem() {
        Some(stem) if !is_stdin(file) => Ok(Path::new(stem).with_added_extension(EXTENSION)),
        _ => Err(Failure::usage("the standard input has no name to call the compiled module by")
            .help("`-o OUT` says what file to write")),
    }
}
