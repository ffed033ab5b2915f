//! The `wasmrun` command: runs WebAssembly modules, checks them, and says what is in them.
//!
//! `args` reads the command line, one module for each command does what it says, `errors` has the form of
//! errors and the exit codes.

mod args;
mod completion;
mod errors;
mod explain;
mod guest;
mod imports;
mod inspect;
mod load;
mod output;
mod run;
mod source;
mod validate;
mod values;
mod wast;

use std::process::ExitCode;

use args::Command;
use errors::Outcome;

fn main() -> ExitCode {
    let code = match args::parse(std::env::args_os()) {
        Ok(command) => execute(command).unwrap_or_else(|failure| failure.report()),
        // Usage errors go to stderr, help and version to stdout.
        Err(error) => error.exit(),
    };
    ExitCode::from(code)
}

fn execute(command: Command) -> Outcome<u8> {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Validate(files) => Ok(validate::run(&files)),
        Command::Inspect { file, json } => inspect::run(&file, json).map(|()| 0),
        Command::Explain { run, json } => explain::run(&run, json).map(|()| 0),
        Command::Wast(paths) => wast::run(&paths),
        Command::Completion(shell) => completion::run(shell).map(|()| 0),
        Command::Print(text) => output::print(&text).map(|()| 0),
    }
}
