//! Runs the real binary on guests written as text, in a directory of its own.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A directory with guests, which is also where the command runs.
pub struct Bench {
    dir: tempfile::TempDir,
    /// Where the command keeps compiled code; not in reach of guests.
    caches: tempfile::TempDir,
}

/// What a run left behind.
#[derive(Debug)]
pub struct Ran {
    /// Exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Exactly what was written to stdout.
    pub stdout: Vec<u8>,
    /// What was written to stderr.
    pub stderr: String,
}

impl Ran {
    /// Stdout as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// Checks that it ended with `code`, and silently on both streams but for `stdout`.
    #[track_caller]
    pub fn assert_clean(&self, code: i32, stdout: impl AsRef<[u8]>) {
        assert_eq!(self.stderr, "");
        assert_eq!(self.stdout.escape_ascii().to_string(), stdout.as_ref().escape_ascii().to_string());
        assert_eq!(self.code, Some(code));
    }

    /// Checks that it ended with `code`, nothing on stdout and exactly this on stderr.
    #[track_caller]
    pub fn assert_error(&self, code: i32, stderr: &str) {
        assert_eq!(self.stderr, stderr);
        assert_eq!(self.stdout.escape_ascii().to_string(), "");
        assert_eq!(self.code, Some(code));
    }
}

impl Bench {
    /// An empty directory.
    pub fn new() -> Bench {
        Bench { dir: tempfile::tempdir().unwrap(), caches: tempfile::tempdir().unwrap() }
    }

    /// A directory with one file.
    pub fn with(name: &str, contents: impl AsRef<[u8]>) -> Bench {
        Bench::new().file(name, contents)
    }

    /// Adds a file, and the directories above it.
    pub fn file(self, name: &str, contents: impl AsRef<[u8]>) -> Bench {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, contents).unwrap();
        self
    }

    /// Where a file is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// The directory in which the command finds its cache.
    pub fn caches(&self) -> &Path {
        self.caches.path()
    }

    /// Runs `wasmrun`.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_with(args, b"", &[])
    }

    /// Runs `wasmrun` with this standard input and these environment variables.
    pub fn run_with(&self, args: &[&str], stdin: &[u8], env: &[(&str, &str)]) -> Ran {
        let mut child = self
            .command(args)
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read its input closes it, which is as good.
        let _ = child.stdin.take().unwrap().write_all(stdin);
        let output = child.wait_with_output().unwrap();
        Ran {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The command, for tests that do more with it.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wasmrun"));
        command.args(args).current_dir(self.root()).env_remove("RUST_BACKTRACE");
        command.env("XDG_CACHE_HOME", self.caches());
        command
    }
}

/// A guest that does nothing.
pub const NOTHING: &str = r#"(module (func (export "_start")))"#;

/// A guest that writes its arguments to stdout, each with a NUL behind it.
pub const ARGS: &str = r#"(module
    (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func $get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (drop (call $sizes (i32.const 0) (i32.const 12)))
        (drop (call $get (i32.const 64) (i32.const 4096)))
        (i32.store (i32.const 8) (i32.const 4096))
        (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 20)))))"#;

/// A guest that writes its environment to stdout, each variable with a NUL behind it.
pub const ENV: &str = r#"(module
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func $get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 16)
    (func (export "_start")
        (drop (call $sizes (i32.const 0) (i32.const 12)))
        (drop (call $get (i32.const 64) (i32.const 65536)))
        (i32.store (i32.const 8) (i32.const 65536))
        (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 20)))))"#;

/// A guest that writes its input to its output until there is no more.
pub const CAT: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (i32.store (i32.const 0) (i32.const 1024))
        (loop $more
            (i32.store (i32.const 4) (i32.const 8192))
            (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4)))
            (if (i32.load (i32.const 4)) (then
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                (br $more))))))"#;

/// A guest that calls `proc_exit` with `code`.
pub fn exits(code: u32) -> String {
    format!(
        r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "_start") (call $exit (i32.const {code})) unreachable))"#
    )
}

/// A guest that opens `path` below its first directory with `oflags` and ends with the errno.
pub fn opens(path: &str, oflags: u32) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "path_open"
                (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (data (i32.const 16) "{path}")
            (func (export "_start")
                (call $exit (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const {})
                    (i32.const {oflags}) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 0)))))"#,
        path.len()
    )
}

/// A guest that writes the name of its first directory to stdout, or ends with the errno.
pub const FIRST_DIR: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_prestat_get" (func $stat (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $name (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (func (export "_start") (local $errno i32)
        (local.set $errno (call $stat (i32.const 3) (i32.const 0)))
        (if (local.get $errno) (then (call $exit (local.get $errno))))
        (drop (call $name (i32.const 3) (i32.const 64) (i32.load (i32.const 4))))
        (i32.store (i32.const 0) (i32.const 64))
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))))"#;
