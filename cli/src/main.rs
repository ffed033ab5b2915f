//! The `wasmrun` command: runs WebAssembly modules, checks them, and says what is in them.
//!
//! `args` reads the command line, one module for each command does what it says, `errors` has the form of
//! errors and the exit codes.

#![deny(unsafe_code)]

mod args;
mod cache;
mod compile;
mod completion;
mod descriptor;
mod errors;
mod excerpt;
mod explain;
mod explore;
mod file_arg;
mod guest;
mod imports;
mod in_file;
mod inspect;
mod load;
mod out_file;
mod output;
mod run;
mod signals;
mod source;
mod stats;
mod tiers;
mod time_limit;
mod validate;
mod values;
mod wast;
mod wording;

use std::io::Write as _;
use std::process::ExitCode;

use args::Command;
use errors::{Outcome, exit};

fn main() -> ExitCode {
    signals::ignore_full_file();
    let done = match args::parse(std::env::args_os()) {
        Ok(command) => execute(command),
        Err(message) => tell(&message),
    };
    ExitCode::from(done.unwrap_or_else(|failure| failure.report()))
}

/// Prints what clap has to say: a usage error to stderr; help or the version, which were asked for, to stdout.
fn tell(message: &clap::Error) -> Outcome<u8> {
    let printed = message.print().and_then(|()| std::io::stdout().flush());
    if message.use_stderr() { Ok(exit::USAGE) } else { output::written(printed).map(|()| 0) }
}

fn execute(command: Command) -> Outcome<u8> {
    match command {
        Command::Run(args) => run::run(&args),
        Command::Validate(files) => Ok(validate::run(&files)),
        Command::Inspect { file, json } => inspect::run(&file, json).map(|()| 0),
        Command::Explain { run, tiers: true, json } => tiers::explain(&run, json).map(|()| 0),
        Command::Explain { run, tiers: false, json } => explain::run(&run, json).map(|()| 0),
        Command::Explore(args) => explore::run(&args).map(|()| 0),
        Command::Compile { run, out } => compile::run(&run, out.as_deref()).map(|()| 0),
        Command::Cache { what, json } => cache::run(what, json).map(|()| 0),
        Command::Wast(paths) => wast::run(&paths),
        Command::Completion(shell) => completion::run(shell).map(|()| 0),
        Command::Print(text) => output::print(&text).map(|()| 0),
    }
}
