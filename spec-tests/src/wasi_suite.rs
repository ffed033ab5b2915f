//! Runs the preview-1 programs of WebAssembly/wasi-testsuite (branch `prod/testsuite-base`, which holds them
//! prebuilt): each in a fresh copy of its root directory, compared by exit code and, where the suite says
//! so, by output.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use wasmrun::{Config, Engine, I32Exit, Linker, Module, Store};
use wasmrun_wasi::vfs::Perm;
use wasmrun_wasi::{Capture, Output, WasiBuilder, add_to_linker};

use crate::report::{FileReport, Note, Report};

/// What runs the programs.
#[derive(Clone, Debug)]
pub enum Runner {
    /// The engine in this process, with these settings.
    InProcess(Config),
    /// A command with the options of `wasmrun`.
    Command(PathBuf),
}

/// One program with its specification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Spec {
    args: Vec<String>,
    env: Vec<(String, String)>,
    root: Option<String>,
    exit_code: i32,
    stdout: Option<String>,
    stderr: Option<String>,
}

/// How a program ended.
#[derive(Debug)]
struct Ended {
    exit_code: i32,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    /// The engine's error, if one ended it.
    error: String,
}

/// Exit code of a program that trapped, as the command has it.
const TRAPPED: i32 = 134;

/// Runs all programs below `suite`, in sorted order, and calls `done` after each.
///
/// # Errors
/// The directory cannot be read, or holds no programs.
pub fn run(suite: &Path, runner: &Runner, mut done: impl FnMut(&FileReport)) -> io::Result<Report> {
    let mut programs = Vec::new();
    collect(suite, &mut programs)?;
    if programs.is_empty() {
        let message =
            format!("no preview-1 programs (*/testsuite/wasm32-wasip1/*.wasm) below {}", suite.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    let mut report = Report::default();
    for program in programs {
        let name = program.strip_prefix(suite).unwrap_or(&program).display().to_string();
        let mut file = FileReport { name, ..FileReport::default() };
        match run_program(&program, runner) {
            Ok(()) => file.passed = 1,
            Err(message) => file.failures.push(Note { line: 0, message }),
        }
        done(&file);
        report.files.push(file);
    }
    Ok(report)
}

/// Finds the programs: `.wasm` files in directories called `wasm32-wasip1` that have a `manifest.json`.
fn collect(dir: &Path, programs: &mut Vec<PathBuf>) -> io::Result<()> {
    let is_suite =
        dir.file_name().is_some_and(|name| name == "wasm32-wasip1") && dir.join("manifest.json").exists();
    let mut entries = fs::read_dir(dir)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let path = entry.path();
        if is_suite && path.extension().is_some_and(|extension| extension == "wasm") {
            programs.push(path);
        } else if !is_suite && entry.file_type()?.is_dir() {
            collect(&path, programs)?;
        }
    }
    Ok(())
}

fn run_program(program: &Path, runner: &Runner) -> Result<(), String> {
    let spec = Spec::read(&program.with_extension("json"))?;
    let scratch = tempfile::tempdir().map_err(|error| format!("cannot make a directory: {error}"))?;
    let root = match &spec.root {
        None => None,
        Some(root) => {
            let from = program.with_file_name(root);
            let to = scratch.path().join("root");
            copy_dir(&from, &to).map_err(|error| format!("cannot copy {}: {error}", from.display()))?;
            Some(to)
        }
    };
    let ended = match runner {
        Runner::Command(command) => in_command(command, program, &spec, root.as_deref())?,
        Runner::InProcess(config) => {
            in_process(config, program, &spec, root.as_deref()).map_err(|error| format!("{error:#}"))?
        }
    };
    spec.check(&ended)
}

impl Spec {
    fn read(path: &Path) -> Result<Spec, String> {
        match fs::read_to_string(path) {
            Ok(text) => Spec::parse(&text).map_err(|error| format!("{}: {error}", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Spec::default()),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    /// Reads the six keys of the suite's first format; any other key is an error, so that no demand of the
    /// suite is passed over.
    fn parse(text: &str) -> Result<Spec, String> {
        let mut spec = Spec::default();
        let Value::Object(keys) = serde_json::from_str(text).map_err(|error| error.to_string())? else {
            return Err("not a JSON object".to_string());
        };
        let string = |value: &Value| value.as_str().map(str::to_string);
        for (key, value) in &keys {
            let understood = match key.as_str() {
                "args" => value
                    .as_array()
                    .and_then(|args| args.iter().map(string).collect::<Option<Vec<_>>>())
                    .map(|args| spec.args = args),
                "env" => value
                    .as_object()
                    .and_then(|env| {
                        env.iter().map(|(k, v)| Some((k.clone(), string(v)?))).collect::<Option<Vec<_>>>()
                    })
                    .map(|env| spec.env = env),
                "exit_code" => {
                    value.as_i64().and_then(|code| i32::try_from(code).ok()).map(|code| spec.exit_code = code)
                }
                "root" | "stdout" | "stderr" if value.is_null() => Some(()),
                "root" => string(value).map(|root| spec.root = Some(root)),
                "stdout" => string(value).map(|text| spec.stdout = Some(text)),
                "stderr" => string(value).map(|text| spec.stderr = Some(text)),
                _ => return Err(format!("unknown key `{key}`")),
            };
            if understood.is_none() {
                return Err(format!("key `{key}` has an unexpected value: {value}"));
            }
        }
        Ok(spec)
    }

    fn check(&self, ended: &Ended) -> Result<(), String> {
        let mut wrong = Vec::new();
        if ended.exit_code != self.exit_code {
            wrong.push(format!("expected exit code {}, got {}", self.exit_code, ended.exit_code));
        }
        for (name, expected, got) in
            [("stdout", &self.stdout, &ended.stdout), ("stderr", &self.stderr, &ended.stderr)]
        {
            if let Some(expected) = expected
                && expected.as_bytes() != got
            {
                wrong.push(format!("expected {name} {expected:?}, got {:?}", String::from_utf8_lossy(got)));
            }
        }
        if wrong.is_empty() {
            return Ok(());
        }
        wrong.extend((!ended.error.is_empty()).then(|| ended.error.clone()));
        wrong.push(format!("stderr: {}", String::from_utf8_lossy(&ended.stderr).trim_end()));
        Err(wrong.join("; "))
    }
}

/// Copies a directory with all below it, except for what an earlier run left behind (`*.cleanup`).
fn copy_dir(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if path.extension().is_some_and(|extension| extension == "cleanup") {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy_dir(&path, &copy)?;
        } else {
            fs::copy(&path, &copy)?;
        }
    }
    Ok(())
}

fn in_command(command: &Path, program: &Path, spec: &Spec, root: Option<&Path>) -> Result<Ended, String> {
    let mut line = Command::new(command);
    line.arg("run");
    for (key, value) in &spec.env {
        line.arg("--env").arg(format!("{key}={value}"));
    }
    if let Some(root) = root {
        line.arg("--dir").arg(format!("{}::/", root.display()));
    }
    line.arg(program).args(&spec.args).stdin(Stdio::null());
    let output = line.output().map_err(|error| format!("cannot run {}: {error}", command.display()))?;
    let (stdout, stderr) = (output.stdout, output.stderr);
    match output.status.code() {
        Some(exit_code) => Ok(Ended { exit_code, stdout, stderr, error: String::new() }),
        None => Err(format!("{} was killed: {}", command.display(), String::from_utf8_lossy(&stderr))),
    }
}

/// Time that a program may take: the longest of the suite waits for a few seconds.
const TIMEOUT: Duration = Duration::from_secs(120);

fn in_process(config: &Config, program: &Path, spec: &Spec, root: Option<&Path>) -> wasmrun::Result<Ended> {
    let engine = Engine::new(config)?;
    let module = Module::from_file(&engine, program)?;
    let (stdout, stderr) = (Capture::default(), Capture::default());
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut builder = WasiBuilder::new();
    builder.arg(name).args(spec.args.iter().cloned());
    builder.stdout(Output::Capture(stdout.clone())).stderr(Output::Capture(stderr.clone()));
    for (key, value) in &spec.env {
        builder.env(key.as_str(), value.as_str());
    }
    if let Some(root) = root {
        builder.preopened_dir(root, "/", Perm::ReadWrite)?;
    }
    let mut linker = Linker::new(&engine);
    add_to_linker(&mut linker, |ctx| ctx)?;
    let mut store = Store::new(&engine, builder.build()?);
    store.set_timeout(config.is_interruptible().then_some(TIMEOUT));
    let ended = linker.instantiate(&mut store, &module).and_then(|instance| {
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
        start.call(&mut store, ())
    });
    let (exit_code, error) = match ended {
        Ok(()) => (0, String::new()),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(I32Exit(code)) => (*code, String::new()),
            None => (TRAPPED, format!("{error:?}")),
        },
    };
    Ok(Ended { exit_code, stdout: stdout.contents(), stderr: stderr.contents(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_keys_of_a_specification_are_read_and_unknown_ones_refused() {
        let text =
            r#"{"args": ["a", "b c"], "env": {"K": "V"}, "root": "dir", "exit_code": 33, "stdout": "hello"}"#;
        let spec = Spec::parse(text).unwrap();
        let expected = Spec {
            args: vec!["a".to_string(), "b c".to_string()],
            env: vec![("K".to_string(), "V".to_string())],
            root: Some("dir".to_string()),
            exit_code: 33,
            stdout: Some("hello".to_string()),
            stderr: None,
        };
        assert_eq!(spec, expected);
        assert!(Spec::parse(r#"{"operations": []}"#).is_err());
        assert!(Spec::parse(r#"{"args": [1]}"#).is_err());
    }

    /// A suite of two programs, one of which does not do what its specification says.
    #[test]
    fn a_program_passes_only_if_exit_code_and_output_are_right() {
        let suite = tempfile::tempdir().unwrap();
        let dir = suite.path().join("own/testsuite/wasm32-wasip1");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("manifest.json"), "{}").unwrap();
        let exits_with_3 = r#"
            (module
                (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
                (memory (export "memory") 1)
                (func (export "_start") (call $exit (i32.const 3))))"#;
        for (name, spec) in
            [("right", r#"{"exit_code": 3}"#), ("wrong", r#"{"exit_code": 3, "stdout": "x"}"#)]
        {
            // The text format is as good as the binary here.
            fs::write(dir.join(name).with_extension("wasm"), exits_with_3).unwrap();
            fs::write(dir.join(name).with_extension("json"), spec).unwrap();
        }
        let report = run(suite.path(), &Runner::InProcess(Config::default()), |_| ()).unwrap();
        assert_eq!(report.summary(), "1 passed, 1 failed, 0 skipped");
        assert!(report.files[1].failures[0].message.contains("expected stdout \"x\", got \"\""));
    }

    #[test]
    fn the_root_is_a_fresh_copy_without_what_earlier_runs_left() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("from");
        fs::create_dir_all(from.join("empty")).unwrap();
        fs::write(from.join("kept"), "1").unwrap();
        fs::write(from.join("left.cleanup"), "2").unwrap();
        let to = dir.path().join("to");
        copy_dir(&from, &to).unwrap();
        assert!(to.join("kept").is_file() && to.join("empty").is_dir() && !to.join("left.cleanup").exists());
    }
}
