//! Runs WebAssembly/wasi-testsuite: `wasi-suite [--command WASMRUN] [DIRECTORY]`. Without a directory,
//! the environment variable `WASI_TESTSUITE` names it. Ends with a line `N passed, N failed, N skipped`.

use std::path::PathBuf;
use std::process::ExitCode;

use wasmrun::Config;
use wasmrun_spec_tests::wasi_suite::{Runner, run};

const USAGE: &str = "usage: wasi-suite [--command WASMRUN] [DIRECTORY]  (or WASI_TESTSUITE=DIRECTORY)";

fn main() -> ExitCode {
    let mut runner = Runner::InProcess(Config::default());
    let mut directory = std::env::var_os("WASI_TESTSUITE").map(PathBuf::from);
    let mut args = std::env::args_os().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--command" {
            let Some(command) = args.next() else { return usage() };
            runner = Runner::Command(command.into());
        } else if arg.to_string_lossy().starts_with('-') {
            return usage();
        } else {
            directory = Some(arg.into());
        }
    }
    let Some(directory) = directory else { return usage() };
    match run(&directory, &runner, |file| print!("{file}")) {
        Ok(report) => {
            println!("{}", report.summary());
            if report.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("wasi-suite: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}
