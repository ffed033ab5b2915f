//! The time that `--timeout` gives to loading and running together.
//!
//! The engine's deadline ends a guest that runs. What comes before asks no clock: a pipe that nobody writes
//! to, a slow file system, the parser of the text format, the validator; nor does what comes after the making of a file, a
//! pipe that nobody reads. Each such step is watched by a thread, which ends the process when the time has passed. A
//! watched step runs no code of a guest, and the watcher is gone before the step's result is seen, so that it never ends
//! a process in which one runs.

use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::errors::{Failure, Outcome};
use crate::file_arg;

/// When the command has to be done.
#[derive(Clone, Copy, Debug)]
pub struct TimeLimit {
    given: Duration,
    /// `None` is never; so is a time that no clock can show.
    ends: Option<Instant>,
}

impl TimeLimit {
    /// A time that begins now, or none.
    pub fn starting_now(given: Option<Duration>) -> TimeLimit {
        TimeLimit {
            given: given.unwrap_or_default(),
            ends: given.and_then(|given| Instant::now().checked_add(given)),
        }
    }

    /// No limit.
    pub fn none() -> TimeLimit {
        TimeLimit::starting_now(None)
    }

    /// The end of the time.
    pub fn ends(&self) -> Option<Instant> {
        self.ends
    }

    /// Does one step of loading `file`; `step` says which, as in "reading it". If the time passes first, the
    /// process ends with an error.
    pub fn watch<T>(&self, file: &Path, step: &str, work: impl FnOnce() -> T) -> Outcome<T> {
        self.bounded(|| self.passed(&file_arg::display_name(file), "loaded", step), work)
    }

    /// Writes something to `out`, as it is called in messages, which may be a pipe that nobody reads. If the time passes
    /// first, the process ends with an error.
    pub fn watch_writing<T>(&self, out: &str, write: impl FnOnce() -> T) -> Outcome<T> {
        self.bounded(|| self.passed(out, "written", "writing it"), write)
    }

    fn bounded<T>(&self, passed: impl Fn() -> Failure + Sync, work: impl FnOnce() -> T) -> Outcome<T> {
        let Some(ends) = self.ends else { return Ok(work()) };
        let left = ends.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(passed());
        }
        thread::scope(|scope| {
            // Nothing is ever sent; dropping the sender says that the work is done.
            let (done, until_done) = mpsc::channel::<()>();
            let passed = &passed;
            let watcher = move || {
                if until_done.recv_timeout(left) == Err(RecvTimeoutError::Timeout) {
                    std::process::exit(passed().report().into());
                }
            };
            thread::Builder::new()
                .spawn_scoped(scope, watcher)
                .map_err(|error| Failure::new("`--timeout` cannot be kept").because(error))?;
            let result = work();
            drop(done);
            Ok(result)
        })
    }

    fn passed(&self, name: &str, done: &str, step: &str) -> Failure {
        Failure::new(format!("{name} could not be {done} in time"))
            .because(format!("the {:?} of `--timeout` passed while {step}", self.given))
            .help("`--timeout TIME` is the time for loading and running together")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_is_done_in_time_is_not_disturbed() {
        let hour = TimeLimit::starting_now(Some(Duration::from_secs(3600)));
        for limit in [TimeLimit::none(), hour, TimeLimit::starting_now(Some(Duration::MAX))] {
            assert_eq!(limit.watch(Path::new("f"), "reading it", || 7), Ok(7));
        }
    }

    #[test]
    fn a_step_is_not_begun_when_the_time_has_passed() {
        let limit = TimeLimit::starting_now(Some(Duration::ZERO));
        let refused = limit.watch(Path::new("f"), "reading it", || unreachable!()).unwrap_err();
        let expected = Failure::new("`f` could not be loaded in time")
            .because("the 0ns of `--timeout` passed while reading it")
            .help("`--timeout TIME` is the time for loading and running together");
        assert_eq!(refused, expected);
    }
}
