//! Runs one command and says what it cost.
//!
//! The command is started by a small process of its own: this very program, called with [`SERVE`] as its first
//! argument. On Linux the peak memory of a child counts from the peak of the process that forked it, so a
//! harness that once held a big module in memory would report that module as the peak of every guest. What
//! remains is a floor of about 2 MiB.
//!
//! The limit is one of CPU time, kept by the kernel: no timer, and no penalty on a busy machine. The guest's
//! streams are files, so that nobody has to read along while it runs.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use wait4::Wait4 as _;

use crate::error::{Error, Result};

/// The first argument of the small process. Behind it: the files for stdout and stderr, the limit in seconds,
/// the command.
const SERVE: &str = "__measure";

/// The signal of a process that used up its CPU time.
const SIGXCPU: i32 = 24;

/// A command as an engine is to be started.
#[derive(Clone, Debug, PartialEq)]
pub struct Invocation {
    /// The executable and its arguments.
    pub command: Vec<OsString>,
    /// The directory to start it in.
    pub cwd: PathBuf,
    /// What its environment has beyond ours.
    pub env: Vec<(String, String)>,
}

/// What one run cost, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Seconds of CPU time in user mode, of all threads and awaited children.
    pub user: f64,
    /// Seconds of CPU time in the kernel.
    pub system: f64,
    /// Seconds from before the start until after the end.
    pub wall: f64,
    /// Peak resident memory, in bytes.
    pub peak: u64,
    /// The exit code, if it exited.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// Why it could not even be started.
    pub unstarted: Option<String>,
}

impl Run {
    /// Seconds of CPU time.
    pub fn cpu(&self) -> f64 {
        self.user + self.system
    }

    /// Why it counts as failed, if it does.
    pub fn failure(&self) -> Option<String> {
        match (&self.unstarted, self.code, self.signal) {
            (Some(reason), ..) => Some(format!("did not start: {reason}")),
            (None, Some(0), _) => None,
            (None, Some(code), _) => Some(format!("exit code {code}")),
            (None, None, Some(SIGXCPU)) => Some("used up its CPU time".to_owned()),
            (None, None, signal) => Some(format!("signal {}", signal.unwrap_or(0))),
        }
    }
}

/// Where the guest's streams go.
#[derive(Clone, Copy, Debug)]
pub struct Streams<'a> {
    /// Its standard output.
    pub stdout: &'a Path,
    /// Its standard error.
    pub stderr: &'a Path,
}

/// Runs a command, which may use `limit` seconds of CPU time.
pub fn run(invocation: &Invocation, streams: Streams<'_>, limit: u64) -> Result<Run> {
    let own = std::env::current_exe().map_err(|error| Error::Measure(error.to_string()))?;
    let output = Command::new(&own)
        .arg(SERVE)
        .args([streams.stdout, streams.stderr])
        .arg(limit.to_string())
        .args(&invocation.command)
        .current_dir(&invocation.cwd)
        .envs(invocation.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .output()
        .map_err(Error::io("start", &own))?;
    serde_json::from_slice(&output.stdout).map_err(|error| {
        Error::Measure(format!("{error}; {}", String::from_utf8_lossy(&output.stderr).trim_end()))
    })
}

/// If this process is the small one: measures, reports on stdout, and says how to exit.
pub fn serve() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next().as_deref() != Some(OsStr::new(SERVE)) {
        return None;
    }
    let args: Vec<OsString> = args.collect();
    let [stdout, stderr, limit, command @ ..] = &args[..] else { return Some(ExitCode::FAILURE) };
    let run = limited(limit)
        .and_then(|()| measure(Path::new(stdout), Path::new(stderr), command))
        .unwrap_or_else(|reason| Run { unstarted: Some(reason), ..Run::default() });
    match serde_json::to_writer(std::io::stdout(), &run) {
        Ok(()) => Some(ExitCode::SUCCESS),
        Err(_) => Some(ExitCode::FAILURE),
    }
}

/// Bounds the CPU time of the children to come, and lets them leave no core files.
fn limited(seconds: &OsStr) -> std::result::Result<(), String> {
    let seconds: u64 = seconds.to_str().and_then(|s| s.parse().ok()).ok_or("the limit is no number")?;
    for (resource, value) in [(Resource::Cpu, seconds), (Resource::Core, 0)] {
        let old = rustix::process::getrlimit(resource);
        let current = old.maximum.map_or(value, |maximum| value.min(maximum));
        let new = Rlimit { current: Some(current), maximum: old.maximum };
        setrlimit(resource, new).map_err(|error| format!("cannot limit it: {error}"))?;
    }
    Ok(())
}

fn measure(stdout: &Path, stderr: &Path, command: &[OsString]) -> std::result::Result<Run, String> {
    let create = |path: &Path| File::create(path).map_err(|error| format!("{}: {error}", path.display()));
    let (name, args) = command.split_first().ok_or("no command")?;
    let mut command = Command::new(name);
    command.args(args).stdin(Stdio::null()).stdout(create(stdout)?).stderr(create(stderr)?);
    let start = Instant::now();
    let child = command.spawn().map_err(|error| format!("{}: {error}", Path::new(name).display()))?;
    let used = child.wait4().map_err(|error| error.to_string())?;
    let wall = start.elapsed();
    Ok(Run {
        user: used.rusage.utime.as_secs_f64(),
        system: used.rusage.stime.as_secs_f64(),
        wall: wall.as_secs_f64(),
        peak: used.rusage.maxrss,
        code: used.status.code(),
        signal: used.status.signal(),
        unstarted: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_not_exit_code_0_is_a_failure_that_names_itself() {
        let exited = |code| Run { code: Some(code), ..Run::default() }.failure();
        let killed = |signal| Run { signal: Some(signal), ..Run::default() }.failure();
        assert_eq!(exited(0), None);
        assert_eq!(exited(134).unwrap(), "exit code 134");
        assert_eq!(killed(11).unwrap(), "signal 11");
        assert_eq!(killed(SIGXCPU).unwrap(), "used up its CPU time");
        let unstarted = Run { unstarted: Some("gone".to_owned()), ..Run::default() };
        assert_eq!(unstarted.failure().unwrap(), "did not start: gone");
    }

    #[test]
    fn cpu_time_is_that_of_both_modes() {
        assert_eq!(Run { user: 1.0, system: 0.5, wall: 9.0, ..Run::default() }.cpu(), 1.5);
    }
}
