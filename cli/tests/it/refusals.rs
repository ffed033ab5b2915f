//! Systems that refuse what compiled code and its cache need: the guest runs all the same, and what has to be said is said.
#![allow(unsafe_code)]

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};

#[path = "../../../engine/tests/it/common/refuse.rs"]
mod refuse;

use crate::common::{ARGS, Bench, Ran};
use refuse::{DISK_SPACE, EXECUTABLE_MEMORY, MEMORY_FILES, Refusal};

/// Runs the command after `prepare` in its process.
fn run(bench: &Bench, args: &[&str], prepare: impl FnMut() -> io::Result<()> + Send + Sync + 'static) -> Ran {
    let mut command = bench.command(args);
    // SAFETY: what prepares it makes system calls, and nothing else.
    let output = unsafe { command.pre_exec(prepare) }.output().unwrap();
    assert_eq!(output.status.signal(), None, "{output:?}");
    Ran {
        code: output.status.code(),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The same where the system refuses something.
fn refused(bench: &Bench, refusals: &[Refusal], args: &[&str]) -> Ran {
    let mut program = refuse::program(refusals);
    run(bench, args, move || refuse::from_now_on(&mut program))
}

/// Names of what there is in the cache.
fn cached(bench: &Bench) -> Vec<String> {
    let entries = fs::read_dir(bench.caches().join("wasmrun")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn without_executable_memory_that_is_said_in_one_line_and_the_guest_is_interpreted() {
    let bench = Bench::with("a.wat", ARGS);
    for args in [&["a.wat", "x"][..], &["--mode", "tiered", "a.wat", "x"]] {
        let ran = refused(&bench, EXECUTABLE_MEMORY, args);
        assert_eq!((ran.code, ran.text()), (Some(0), "a.wat\0x\0"));
        let note = "note: the guest runs in the interpreter: no executable memory: ";
        assert!(ran.stderr.starts_with(note) && ran.stderr.lines().count() == 1, "{}", ran.stderr);
    }
    // Nothing is said where there would have been none.
    refused(&bench, EXECUTABLE_MEMORY, &["--mode", "interp", "a.wat"]).assert_clean(0, "a.wat\0");
    refused(&bench, EXECUTABLE_MEMORY, &["validate", "a.wat"]).assert_clean(0, "");
}

#[test]
fn compiled_code_that_is_asked_for_and_cannot_be_had_is_an_error() {
    let bench = Bench::with("a.wat", ARGS);
    for (args, help) in [
        (&["--mode", "jit", "a.wat"][..], Some("--mode jit")),
        (&["--mode", "quick", "a.wat"], Some("--mode quick")),
        (&["compile", "a.wat"], None),
    ] {
        let ran = refused(&bench, EXECUTABLE_MEMORY, args);
        assert_eq!((ran.code, ran.text()), (Some(1), ""), "{args:?}");
        let lines: Vec<&str> = ran.stderr.lines().collect();
        assert_eq!(lines[0], "error: there can be no compiled code here", "{args:?}");
        assert!(lines[1].starts_with("caused by: no executable memory: "), "{}", ran.stderr);
        assert_eq!(lines.len(), if help.is_some() { 3 } else { 2 }, "{}", ran.stderr);
        assert!(help.is_none_or(|help| lines[2].starts_with("help: ") && lines[2].contains(help)));
    }
    assert!(!bench.path("a.wrc").exists());
}

#[test]
fn without_files_in_memory_there_is_compiled_code() {
    let bench = Bench::with("a.wat", ARGS);
    for mode in ["jit", "tiered"] {
        refused(&bench, MEMORY_FILES, &["--mode", mode, "a.wat"]).assert_clean(0, "a.wat\0");
    }
}

#[test]
fn a_full_disk_costs_the_time_to_compile() {
    let bench = Bench::with("a.wat", ARGS);
    for _ in 0..2 {
        refused(&bench, DISK_SPACE, &["--mode", "jit", "a.wat"]).assert_clean(0, "a.wat\0");
        assert_eq!(cached(&bench), ["key"], "what cannot be written is removed");
    }
    let ran = refused(&bench, DISK_SPACE, &["--mode", "jit", "-D", "log-cache", "a.wat"]);
    assert!(
        ran.stderr.contains("code is not kept") && ran.stderr.contains("No space left"),
        "{}",
        ran.stderr
    );
}

/// Runs the command where files can have a hundred bytes.
fn with_small_files(bench: &Bench, args: &[&str]) -> Ran {
    run(bench, args, || {
        let limit = libc::rlimit { rlim_cur: 100, rlim_max: 100 };
        // SAFETY: plain data.
        match unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    })
}

#[test]
fn a_limit_on_the_size_of_files_costs_the_time_to_compile() {
    let bench = Bench::with("a.wat", ARGS);
    for mode in ["jit", "tiered"] {
        with_small_files(&bench, &["--mode", mode, "a.wat"]).assert_clean(0, "a.wat\0");
    }
    assert_eq!(cached(&bench), ["key"]);
}

#[test]
fn what_cannot_be_written_whole_is_an_error() {
    let bench = Bench::with("a.wat", ARGS);
    for args in [&["compile", "a.wat", "-o", "a.cwasm"][..], &["explore", "a.wat", "-o", "a.html"]] {
        let ran = with_small_files(&bench, args);
        assert_eq!(ran.code, Some(1), "{args:?}: {}", ran.stderr);
        assert!(
            ran.stderr.starts_with("error: ") && ran.stderr.contains("too large"),
            "{args:?}: {}",
            ran.stderr
        );
    }
    assert_eq!(fs::read_dir(bench.root()).unwrap().count(), 1, "what was begun is removed");
    // A profile that lacks names is better than no run.
    with_small_files(&bench, &["--mode", "jit", "--profile", "jitdump", "a.wat"]).assert_clean(0, "a.wat\0");
}

#[test]
fn a_cache_that_others_can_change_is_left_alone() {
    let bench = Bench::with("a.wat", ARGS);
    let cache = bench.caches().join("wasmrun");
    fs::create_dir(&cache).unwrap();
    let is_left_alone = |why: &str| {
        bench.run(&["--mode", "jit", "a.wat"]).assert_clean(0, "a.wat\0");
        let ran = bench.run(&["--mode", "jit", "-D", "log-cache", "a.wat"]);
        assert!(ran.code == Some(0) && ran.stderr.starts_with("cache: "), "{}", ran.stderr);
        assert!(ran.stderr.contains(why), "{}", ran.stderr);
        assert_eq!(cached(&bench), [""; 0]);
    };
    for mode in [0o755, 0o770, 0o707] {
        fs::set_permissions(&cache, fs::Permissions::from_mode(mode)).unwrap();
        is_left_alone("open to other users");
    }
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o700)).unwrap();
    // Only root can give it to somebody else.
    if fs::metadata(&cache).unwrap().uid() == 0 {
        std::os::unix::fs::chown(&cache, Some(65534), None).unwrap();
        is_left_alone("belongs to user 65534");
    }
}
