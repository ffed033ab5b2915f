//! `wasmrun completion`: a script that completes this command in a shell, made from the command itself.

use clap_complete::Shell;

use crate::errors::Outcome;
use crate::{args, output};

/// Prints the script.
pub fn run(shell: Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut args::command(), "wasmrun", &mut script);
    output::print(&script)
}
