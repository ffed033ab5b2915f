//! `wasmrun run`: what reaches the guest and what comes out.

use std::io::Write as _;
use std::process::Stdio;

use crate::common::{ARGS, Bench, CAT, ENV, FIRST_DIR, NOTHING, exits, opens};

#[test]
fn the_guest_gets_the_words_behind_the_file() {
    let bench = Bench::with("args.wat", ARGS);
    bench.run(&["args.wat", "one", "two"]).assert_clean(0, "args.wat\0one\0two\0");
    bench.run(&["run", "args.wat", "one"]).assert_clean(0, "args.wat\0one\0");
    bench.run(&["args.wat", "--dir", "x", "-h"]).assert_clean(0, "args.wat\0--dir\0x\0-h\0");
    bench.run(&["args.wat", "validate"]).assert_clean(0, "args.wat\0validate\0");
    bench.run(&["args.wat", ""]).assert_clean(0, "args.wat\0\0");
}

#[test]
fn one_double_dash_behind_the_file_is_stripped() {
    let bench = Bench::with("args.wat", ARGS);
    bench.run(&["args.wat", "--", "one"]).assert_clean(0, "args.wat\0one\0");
    bench.run(&["args.wat", "--", "--", "one"]).assert_clean(0, "args.wat\0--\0one\0");
    bench.run(&["args.wat", "one", "--"]).assert_clean(0, "args.wat\0one\0--\0");
}

#[test]
fn argv0_is_the_file_unless_it_is_set() {
    let bench = Bench::with("sub/args.wat", ARGS);
    bench.run(&["sub/args.wat"]).assert_clean(0, "sub/args.wat\0");
    bench.run(&["--argv0", "tool", "sub/args.wat", "x"]).assert_clean(0, "tool\0x\0");
}

#[test]
fn arguments_need_not_be_utf_8() {
    use std::os::unix::ffi::OsStrExt as _;
    let bench = Bench::with("args.wat", ARGS);
    let output = bench.command(&["args.wat"]).arg(std::ffi::OsStr::from_bytes(b"\xff\xfe")).output().unwrap();
    assert_eq!(output.stdout, b"args.wat\0\xff\xfe\0");
}

#[test]
fn the_environment_is_empty_unless_it_is_given() {
    let bench = Bench::with("env.wat", ENV);
    let host = [("FROM_HOST", "1")];
    bench.run_with(&["env.wat"], b"", &host).assert_clean(0, "");
    bench
        .run_with(&["--env", "A=b=c", "--env", "FROM_HOST", "env.wat"], b"", &host)
        .assert_clean(0, "A=b=c\0FROM_HOST=1\0");
    bench.run_with(&["--env", "A=1", "--env", "A=2", "env.wat"], b"", &host).assert_clean(0, "A=2\0");
    for option in [&["--inherit-env"][..], &["-S", "inherit-env"], &["-Sinherit-env=y"]] {
        let ran = bench.run_with(&[option, &["--env", "B=2", "env.wat"]].concat(), b"", &host);
        let vars: Vec<_> = ran.text().split('\0').collect();
        assert!(vars.contains(&"FROM_HOST=1") && vars.contains(&"B=2"), "{vars:?}");
    }
}

#[test]
fn a_variable_that_the_host_does_not_have_is_a_usage_error() {
    Bench::with("a.wat", NOTHING).run(&["--env", "NO_SUCH_VARIABLE", "a.wat"]).assert_error(
        2,
        "error: `--env NO_SUCH_VARIABLE`: the host has no variable `NO_SUCH_VARIABLE`\n\
         help: write `--env NO_SUCH_VARIABLE=VALUE` to give it a value\n",
    );
}

#[test]
fn the_standard_streams_are_the_hosts_byte_for_byte() {
    let bench = Bench::with("cat.wat", CAT);
    let all: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    bench.run_with(&["cat.wat"], &all, &[]).assert_clean(0, &all);
}

#[test]
fn output_is_there_before_the_guest_goes_on() {
    use std::io::Read as _;
    let bench = Bench::with("cat.wat", CAT);
    let mut child = bench.command(&["cat.wat"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut to, mut from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    for line in [b"first", b"other"] {
        to.write_all(line).unwrap();
        let mut read = [0; 5];
        from.read_exact(&mut read).unwrap();
        assert_eq!(&read, line);
    }
    drop(to);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_reader_that_goes_away_is_an_error_of_the_guest_and_no_signal() {
    // Writes until that fails, then exits with the errno.
    let bench = Bench::with(
        "yes.wat",
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (func (export "_start") (local $errno i32)
                (i32.store (i32.const 4) (i32.const 60000))
                (loop $more
                    (local.set $errno (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                    (br_if $more (i32.eqz (local.get $errno))))
                (call $exit (local.get $errno))))"#,
    );
    let mut child = bench.command(&["yes.wat"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    const EPIPE: i32 = 64;
    assert_eq!(child.wait().unwrap().code(), Some(EPIPE));
}

#[test]
fn binary_and_text_modules_run_from_a_file_and_from_the_standard_input() {
    let bench = Bench::with("args.wat", ARGS);
    let binary = {
        let inspected = bench.run(&["inspect", "--json", "args.wat"]);
        assert_eq!(inspected.code, Some(0));
        wat::parse_str(ARGS).unwrap()
    };
    let bench = bench.file("args.wasm", &binary);
    bench.run(&["args.wasm", "x"]).assert_clean(0, "args.wasm\0x\0");
    bench.run_with(&["-", "x"], ARGS.as_bytes(), &[]).assert_clean(0, "-\0x\0");
    bench.run_with(&["run", "-", "x"], &binary, &[]).assert_clean(0, "-\0x\0");
}

#[test]
fn the_code_of_proc_exit_passes_through() {
    for (code, seen) in [(0, 0), (1, 1), (3, 3), (134, 134), (255, 255), (256, 1), (259, 3), (u32::MAX, 255)]
    {
        Bench::with("exit.wat", exits(code)).run(&["exit.wat"]).assert_clean(seen, "");
    }
}

#[test]
fn proc_exit_works_in_the_start_function_and_in_initialize() {
    let body = r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)"#;
    let bench = Bench::with(
        "start.wat",
        format!("(module {body} (func $main (call $exit (i32.const 7))) (start $main))"),
    )
    .file(
        "initialize.wat",
        format!(r#"(module {body} (func (export "_initialize") (call $exit (i32.const 8))))"#),
    );
    bench.run(&["start.wat"]).assert_clean(7, "");
    bench.run(&["initialize.wat"]).assert_clean(8, "");
}

#[test]
fn a_directory_has_the_name_that_it_was_given() {
    let bench = Bench::with("first.wat", FIRST_DIR).file("data/f", "");
    const EBADF: i32 = 8;
    bench.run(&["first.wat"]).assert_clean(EBADF, "");
    bench.run(&["--dir", "data", "first.wat"]).assert_clean(0, "data");
    bench.run(&["--dir=.", "first.wat"]).assert_clean(0, ".");
    bench.run(&["--dir", "data::/in", "first.wat"]).assert_clean(0, "/in");
    bench.run(&["--dir", "data::/in::ro", "first.wat"]).assert_clean(0, "/in");
    bench.run(&["--dir", "data::ro", "first.wat"]).assert_clean(0, "data");
    bench.run(&["--cwd", "data", "first.wat"]).assert_clean(0, ".");
}

#[test]
fn a_directory_can_be_read_only() {
    const PERM: i32 = 63;
    const CREATE: u32 = 1;
    let bench = Bench::with("read.wat", opens("there", 0))
        .file("create.wat", opens("new", CREATE))
        .file("data/there", "x");
    bench.run(&["--dir", "data::ro", "read.wat"]).assert_clean(0, "");
    bench.run(&["--dir", "data::/x::ro", "create.wat"]).assert_clean(PERM, "");
    assert!(!bench.path("data/new").exists());
    bench.run(&["--dir", "data", "create.wat"]).assert_clean(0, "");
    assert!(bench.path("data/new").exists());
}

#[test]
fn a_single_colon_is_refused_with_both_readings() {
    let ran = Bench::with("a.wat", NOTHING).run(&["--dir", "in:/data", "a.wat"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.starts_with(
        "error: `--dir`: `in:/data` has a single `:`, which can be read in two ways; write `in::/data` to show \
         the host's `in` as `/data`, or `/data::in` to show the host's `/data` as `in`\n"
    ), "{}", ran.stderr);
}

#[test]
fn a_directory_that_cannot_be_opened_is_named_with_its_option_and_what_helps() {
    let bench = Bench::with("a.wat", NOTHING).file("data/x", "");
    let here = bench.root().canonicalize().unwrap();
    bench.run(&["--dir", "nowhere::/x", "a.wat"]).assert_error(
        1,
        &format!(
            "error: cannot grant `--dir nowhere::/x`\n\
             caused by: cannot open the host's directory `nowhere`: it does not exist (ENOENT)\n\
             help: it is looked for in `{}`\n",
            here.display()
        ),
    );
    bench.run(&["--dir", "/in::data", "a.wat"]).assert_error(
        1,
        "error: cannot grant `--dir /in::data`\n\
         caused by: cannot open the host's directory `/in`: it does not exist (ENOENT)\n\
         help: `data` does exist; the host's name comes first: HOST::GUEST\n",
    );
    bench.run(&["--cwd", "a.wat", "a.wat"]).assert_error(
        1,
        "error: cannot grant `--cwd a.wat`\n\
         caused by: cannot open the host's directory `a.wat`: it is no directory (ENOTDIR)\n\
         help: grant the directory that the file is in\n",
    );
}

#[test]
fn two_directories_of_one_name_are_refused() {
    let bench = Bench::with("a.wat", NOTHING).file("sub/f", "");
    bench.run(&["--dir", ".", "--cwd", "sub", "a.wat"]).assert_error(
        2,
        "error: the guest's directory `.` is given twice: `--cwd sub` and `--dir .`\n\
         help: give one of them another name with `--dir HOST::GUEST`\n",
    );
}

#[test]
fn tracing_goes_to_stderr_and_leaves_stdout_alone() {
    let bench = Bench::with("args.wat", ARGS);
    let ran = bench.run(&["--trace", "wasi", "args.wat", "x"]);
    assert_eq!((ran.code, ran.text()), (Some(0), "args.wat\0x\0"));
    assert!(
        ran.stderr.lines().any(|line| line.starts_with("fd_write(1, \"args.wat\\x00x\\x00\") = 11 <")),
        "{}",
        ran.stderr
    );
    let ran = bench.run(&["--trace", "everything", "args.wat"]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.starts_with("error: `--trace`: `everything` is not known; there is `wasi`\n"),
        "{}",
        ran.stderr
    );
}

#[test]
#[allow(unsafe_code)]
fn ctrl_c_ends_the_process() {
    use std::os::unix::process::ExitStatusExt as _;
    // Writes one byte, so that the test knows that it runs, and loops.
    let bench = Bench::with(
        "loop.wat",
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start")
                (i32.store (i32.const 4) (i32.const 1))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                (loop $forever (br $forever))))"#,
    );
    let mut command = bench.command(&["--timeout", "60s", "loop.wat"]);
    // A shell starts what it runs in the background with this signal ignored, and that is inherited.
    // SAFETY: no handler is named.
    let default = || match unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) } {
        libc::SIG_ERR => Err(std::io::Error::last_os_error()),
        _ => Ok(()),
    };
    // SAFETY: `signal` may be called between fork and exec.
    unsafe { std::os::unix::process::CommandExt::pre_exec(&mut command, default) };
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    std::io::Read::read_exact(&mut child.stdout.take().unwrap(), &mut [0]).unwrap();
    let kill = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGINT));
}

#[test]
fn every_mode_runs_the_same_guest_in_the_same_way() {
    let trap = r#"(module
        (func $inner (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
        (func (export "f") (param i32) (result i32) (i32.add (i32.const 5) (call $inner (local.get 0)))))"#;
    let bench = Bench::with("args.wat", ARGS).file("trap.wat", trap);
    let interpreted = bench.run(&["--invoke", "f", "trap.wat", "0"]);
    assert_eq!(interpreted.code, Some(134));
    for mode in [
        &["--mode", "interp"][..],
        &["--mode", "jit"],
        &["--mode", "quick"],
        &["--mode", "jit", "-O", "opt-level=0"],
    ] {
        bench.run(&[mode, &["args.wat", "one"]].concat()).assert_clean(0, "args.wat\0one\0");
        bench.run(&[mode, &["--invoke", "f", "trap.wat", "1"]].concat()).assert_clean(0, "6\n");
        let trapped = bench.run(&[mode, &["--invoke", "f", "trap.wat", "0"]].concat());
        assert_eq!((trapped.code, &trapped.stderr), (Some(134), &interpreted.stderr), "{mode:?}");
    }
}
