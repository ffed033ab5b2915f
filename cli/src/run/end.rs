//! How a guest ended, as the exit code of the process: what it passed to `proc_exit`, or why it did not
//! get that far. And what is left to do then.

use wasmrun::{Engine, Error, Exception, GcStats, I32Exit, Module, Trap, WasmBacktrace};
use wasmrun_wasi::Fault;

use crate::args::RunArgs;
use crate::errors::{Failure, Outcome, exit};
use crate::{file_arg, load, stats};

/// Why a guest did not run to its end.
pub enum Stopped {
    /// It could not be started, which has been put into words already.
    Refused(Failure),
    /// It was started and returned an error.
    Guest(Error),
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Stopped {
        Stopped::Refused(failure)
    }
}

/// The exit code of the process, or what to print.
pub fn code(run: &RunArgs, stopped: Stopped) -> Outcome<u8> {
    let error = match stopped {
        Stopped::Refused(failure) => return Err(failure),
        Stopped::Guest(error) => error,
    };
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return Ok(exit_code(*code));
    }
    let how = if error.is::<Exception>() { "ended with an exception" } else { "trapped" };
    let mut failure =
        Failure::new(format!("{} {how}", file_arg::display_name(&run.file))).because_of(error.chain());
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>().filter(|b| !b.frames().is_empty()) {
        failure = failure.details(backtrace.to_string());
    }
    failure = match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => failure.help("`--max-stack SIZE` gives the guest more stack"),
        Some(Trap::OutOfFuel) => failure.help("`--fuel N` sets how much the guest may do"),
        Some(Trap::GcHeapOutOfMemory) => {
            failure.help("`-W max-gc-heap-size=SIZE` is what the guest's objects may have")
        }
        Some(Trap::Deadline) => failure.help("`--timeout TIME` is the time for loading and running together"),
        _ => failure,
    };
    Err(failure.code(exit::TRAP))
}

/// What is left to do when the guest has ended, by whichever of its threads: says what was asked for, and keeps compiled code.
/// `gc` is what is known of the objects of the first thread, if that has ended the guest.
pub fn finish(run: &RunArgs, engine: &Engine, module: &Module, libraries: &[Module], gc: Option<GcStats>) {
    if let Some(json) = run.options.stats {
        stats::tell(run, module, libraries, gc, json);
    }
    libraries.iter().chain([module]).for_each(Module::store_code);
    load::log_cache(engine, &run.options);
}

/// Whether an error of instantiation comes from code of the guest, and not from linking.
pub fn is_from_guest(error: &Error) -> bool {
    let stopped =
        error.is::<I32Exit>() || error.is::<Trap>() || error.is::<Exception>() || error.is::<Fault>();
    stopped || error.is::<WasmBacktrace>()
}

/// A process can only report eight bits. A failure must not look like success because of that.
fn exit_code(code: i32) -> u8 {
    match (code, code as u8) {
        (0, _) => 0,
        (_, 0) => exit::FAILURE,
        (_, low) => low,
    }
}

#[cfg(test)]
mod tests {
    use super::exit_code;

    #[test]
    fn exit_codes_keep_their_low_bits_and_never_become_success() {
        assert_eq!(exit_code(0), 0);
        assert_eq!(exit_code(7), 7);
        assert_eq!(exit_code(255), 255);
        assert_eq!(exit_code(256), 1);
        assert_eq!(exit_code(0x107), 7);
        assert_eq!(exit_code(-1), 255);
    }
}
