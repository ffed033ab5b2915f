//! `wasmrun compile`: a module and its machine code in one file, for `wasmrun run --allow-precompiled`.
//!
//! The file is complete from the moment at which it has its name.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::args::RunArgs;
use crate::errors::{Failure, Outcome};
use crate::file_arg::{display_name, is_stdin};
use crate::load;

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
    write(&out, &bytes)
        .map_err(|error| Failure::new(format!("cannot write {}", display_name(&out))).because(error))
}

/// The name of the file in the current directory, if nothing else is said.
fn beside(file: &Path) -> Outcome<PathBuf> {
    match file.file_stem() {
        Some(stem) if !is_stdin(file) => Ok(Path::new(stem).with_added_extension(EXTENSION)),
        _ => Err(Failure::usage("the standard input has no name to call the compiled module by")
            .help("`-o OUT` says what file to write")),
    }
}

fn write(out: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // A device or a pipe is written to, and not replaced.
    if std::fs::metadata(out).is_ok_and(|there| !there.is_file()) {
        return std::fs::write(out, bytes);
    }
    let directory = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let as_umask_says = Permissions::from_mode(0o666);
    let mut file =
        tempfile::Builder::new().prefix(".wasmrun-").permissions(as_umask_says).tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.persist(out)?;
    Ok(())
}
