//! Options that bound what a guest may take.

use crate::common::{ARGS, Bench, CAT, NOTHING, Ran};

#[track_caller]
fn assert_trapped(ran: &Ran, kind: &str, help: &str) {
    assert_eq!((ran.code, ran.text()), (Some(134), ""), "{}", ran.stderr);
    assert!(ran.stderr.contains(&format!("caused by: {kind}")), "{}", ran.stderr);
    assert!(ran.stderr.ends_with(help), "{}", ran.stderr);
}

const LOOP: &str = r#"(module (func (export "_start") (loop $forever (br $forever))))"#;

#[test]
fn a_timeout_stops_a_loop() {
    let bench = Bench::with("l.wat", LOOP);
    let help = "help: `--timeout TIME` is the time for loading and running together\n";
    for option in [&["--timeout", "1s"][..], &["-W", "timeout=1000ms"], &["-Wtimeout=1.0"]] {
        assert_trapped(&bench.run(&[option, &["l.wat"]].concat()), "deadline exceeded", help);
    }
}

#[test]
fn a_timeout_stops_a_guest_that_sleeps_or_reads() {
    let sleeps = r#"(module
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")
            (i32.store (i32.const 16) (i32.const 1))
            (i64.store (i32.const 24) (i64.const 3600_000_000_000))
            (drop (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))))"#;
    let bench = Bench::with("s.wat", sleeps).file("cat.wat", CAT);
    let help = "help: `--timeout TIME` is the time for loading and running together\n";
    assert_trapped(&bench.run(&["--timeout", "1s", "s.wat"]), "deadline exceeded", help);
    let mut child = bench
        .command(&["--timeout", "1s", "cat.wat"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take();
    assert_eq!(child.wait().unwrap().code(), Some(134));
    drop(stdin);
}

#[test]
fn a_timeout_stops_a_guest_that_writes_to_a_pipe_that_nobody_empties() {
    let bench = Bench::with(
        "yes.wat",
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (func (export "_start")
                (i32.store (i32.const 4) (i32.const 60000))
                (loop $more
                    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                    (br $more))))"#,
    );
    let mut child = bench
        .command(&["--timeout", "1s", "yes.wat"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take();
    assert_eq!(child.wait().unwrap().code(), Some(134));
    drop(stdout);
}

/// Checks that nothing was run because loading `file` took too long while doing `step`.
#[track_caller]
fn assert_not_loaded(ran: &Ran, file: &str, time: &str, step: &str) {
    ran.assert_error(
        1,
        &format!(
            "error: {file} could not be loaded in time\n\
             caused by: the {time} of `--timeout` passed while {step}\n\
             help: `--timeout TIME` is the time for loading and running together\n"
        ),
    );
}

#[test]
fn a_timeout_stops_loading_from_a_pipe_that_nobody_writes_to() {
    let bench = Bench::with("app.wat", r#"(module (import "lib" "f" (func)) (func (export "_start")))"#);
    let made = std::process::Command::new("mkfifo").arg(bench.path("fifo")).status().unwrap();
    assert!(made.success());
    let ran = bench.run(&["--timeout", "1s", "fifo"]);
    assert_not_loaded(&ran, "`fifo`", "1s", "reading it");
    let ran = bench.run(&["--timeout", "1s", "--preload", "lib=fifo", "app.wat"]);
    assert_not_loaded(&ran, "`fifo`", "1s", "reading it");
    let ran = bench.run(&["explain", "--timeout", "1s", "fifo"]);
    assert_not_loaded(&ran, "`fifo`", "1s", "reading it");

    // The standard input stays open until the command has ended.
    let mut child = bench
        .command(&["--timeout", "1s", "-"])
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let stdin = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.starts_with("error: standard input could not be loaded in time\n"), "{stderr}");
}

#[test]
fn a_timeout_stops_parsing() {
    // No machine reads and parses so much in a millisecond.
    let large = format!("(module (func {}))", "(nop)".repeat(2_000_000));
    let ran = Bench::with("large.wat", large).run(&["--timeout", "1ms", "large.wat"]);
    assert_eq!((ran.code, ran.text()), (Some(1), ""), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("error: `large.wat` could not be loaded in time\n"), "{}", ran.stderr);
}

#[test]
fn loading_and_running_share_the_time() {
    let bench = Bench::with("l.wat", LOOP);
    assert_not_loaded(&bench.run(&["--timeout", "0s", "l.wat"]), "`l.wat`", "0ns", "reading it");
    let help = bench.run(&["--help"]);
    assert!(help.text().split_whitespace().collect::<Vec<_>>().join(" ").contains(
        "Stop after so long, loading included, for example 2s or 100ms; a number alone is seconds"
    ));
}

#[test]
fn a_time_without_a_unit_is_seconds_as_wasmtime_has_it() {
    Bench::with("a.wat", NOTHING).run(&["-W", "timeout=3600", "a.wat"]).assert_clean(0, "");
}

#[test]
fn a_guest_that_ends_in_time_is_not_disturbed() {
    let bench = Bench::with("a.wat", ARGS);
    for time in ["1h", "18446744073709551615ms", "18446744073709551615", "18446744073709551615h"] {
        bench.run(&["--timeout", time, "a.wat"]).assert_clean(0, "a.wat\0");
    }
}

#[test]
fn fuel_stops_at_the_same_place_every_time() {
    let counts = r#"(module
        (func (export "count") (param $n i32) (result i32) (local $i i32)
            (loop $next
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
            (local.get $i)))"#;
    let bench = Bench::with("c.wat", counts);
    let runs_with = |fuel: u32| {
        let ran = bench.run(&["--fuel", &fuel.to_string(), "--invoke", "count", "c.wat", "100"]);
        if ran.code == Some(0) {
            assert_eq!(ran.text(), "100\n");
            return true;
        }
        assert_trapped(
            &ran,
            "all fuel consumed by WebAssembly",
            "help: `--fuel N` sets how much the guest may do\n",
        );
        false
    };
    let (mut low, mut high) = (0, 100_000);
    assert!(!runs_with(low) && runs_with(high));
    while high - low > 1 {
        let middle = (low + high) / 2;
        if runs_with(middle) { high = middle } else { low = middle }
    }
    // Each turn has a handful of instructions; the limit is sharp.
    assert!((400..1200).contains(&high), "{high}");
    assert!(!runs_with(high - 1) && runs_with(high));
    let ran = bench.run(&["-W", &format!("fuel={}", high - 1), "--invoke", "count", "c.wat", "100"]);
    assert_eq!(ran.code, Some(134));
}

#[test]
fn a_memory_limit_holds_from_the_start_and_when_growing() {
    let grows =
        r#"(module (memory 1) (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;
    let bench =
        Bench::with("g.wat", grows).file("big.wat", r#"(module (memory 33) (func (export "_start")))"#);
    for option in [&["--max-memory", "2MiB"][..], &["-W", "max-memory-size=2097152"]] {
        let run = |pages: &str| bench.run(&[option, &["--invoke", "grow", "g.wat", pages]].concat());
        run("31").assert_clean(0, "1\n");
        run("32").assert_clean(0, "-1\n");
    }
    let ran = bench.run(&["--max-memory", "2MiB", "big.wat"]);
    assert_eq!((ran.code, ran.text()), (Some(1), ""));
    assert!(
        ran.stderr.starts_with("error: `big.wat` cannot be instantiated\ncaused by: ")
            && ran.stderr.contains("memory"),
        "{}",
        ran.stderr
    );
    let ran =
        bench.run(&["--max-memory", "2MiB", "-Wtrap-on-grow-failure", "--invoke", "grow", "g.wat", "32"]);
    assert_eq!(ran.code, Some(134));
    assert!(ran.stderr.contains("the limit is 2097152"), "{}", ran.stderr);
}

#[test]
fn a_table_limit_holds() {
    let grows = r#"(module (table 1 funcref)
        (func (export "grow") (param i32) (result i32) (table.grow (ref.null func) (local.get 0))))"#;
    let bench = Bench::with("t.wat", grows);
    let run = |count: &str| bench.run(&["-W", "max-table-elements=10", "--invoke", "grow", "t.wat", count]);
    run("9").assert_clean(0, "1\n");
    run("10").assert_clean(0, "-1\n");
}

#[test]
fn endless_recursion_ends_in_a_trap_and_more_stack_means_more_frames() {
    let recursion = r#"(module
        (func $down (export "down") (param i32) (result i32)
            (if (result i32) (local.get 0)
                (then (i32.add (i32.const 1) (call $down (i32.sub (local.get 0) (i32.const 1)))))
                (else (i32.const 0))))
        (func (export "_start") (drop (call $down (i32.const -1)))))"#;
    let bench = Bench::with("r.wat", recursion);
    let help = "help: `--max-stack SIZE` gives the guest more stack\n";
    assert_trapped(&bench.run(&["r.wat"]), "call stack exhausted", help);
    bench.run(&["--invoke", "down", "r.wat", "10000"]).assert_clean(0, "10000\n");
    let small = ["--max-stack", "64KiB", "--invoke", "down", "r.wat", "100000"];
    assert_trapped(&bench.run(&small), "call stack exhausted", help);
    bench
        .run(&["-W", "max-wasm-stack=256MiB", "--invoke", "down", "r.wat", "1000000"])
        .assert_clean(0, "1000000\n");
}

#[test]
fn a_stack_that_cannot_be_is_a_usage_error() {
    for (size, bytes) in [("1", "1"), ("4GiB", "4294967296"), ("1TiB", "1099511627776")] {
        let ran = Bench::with("l.wat", LOOP).run(&["--max-stack", size, "l.wat"]);
        assert_eq!(ran.code, Some(2));
        let start =
            format!("error: these options cannot be honoured\ncaused by: a guest stack of {bytes} bytes");
        assert!(ran.stderr.starts_with(&start), "{}", ran.stderr);
    }
}

#[test]
fn instances_memories_and_tables_are_counted() {
    let bench =
        Bench::with("m.wat", r#"(module (memory 1) (memory 1) (table 1 funcref) (func (export "_start")))"#)
            .file("lib.wat", "(module)");
    let run = |key: &str| bench.run(&["-W", key, "--preload", "lib=lib.wat", "m.wat"]);
    for key in ["max-instances=2", "max-memories=2", "max-tables=1"] {
        run(key).assert_clean(0, "");
    }
    for (key, what) in [
        ("max-instances=1", "instance count"),
        ("max-memories=1", "memory count"),
        ("max-tables=0", "table count"),
    ] {
        let ran = run(key);
        assert_eq!((ran.code, ran.text()), (Some(1), ""), "{key}");
        assert!(ran.stderr.contains(what), "{key}: {}", ran.stderr);
    }
}

#[test]
fn calls_of_wasi_have_limits() {
    const INVAL: i32 = 28;
    let random = r#"(module
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "_start") (call $exit (call $random (i32.const 0) (i32.const 100)))))"#;
    let bench = Bench::with("r.wat", random).file("args.wat", ARGS);
    bench.run(&["-S", "max-random-size=100", "r.wat"]).assert_clean(0, "");
    bench.run(&["-S", "max-random-size=99", "r.wat"]).assert_clean(INVAL, "");
    let ran = bench.run(&["-S", "hostcall-fuel=4", "args.wat", "a long argument"]);
    assert_eq!((ran.code, ran.text()), (Some(134), ""));
    assert!(ran.stderr.contains("the 4 bytes that one call may"), "{}", ran.stderr);
}

#[test]
fn memories_share_the_limit() {
    let bench = Bench::with(
        "two.wat",
        r#"(module (memory $a 1) (memory $b 1)
            (func (export "grow") (result i32 i32 i32)
                (memory.grow $a (i32.const 1)) (memory.grow $b (i32.const 2)) (memory.grow $b (i32.const 1))))"#,
    );
    let grow = |size| bench.run(&["--max-memory", size, "--invoke", "grow", "two.wat"]).text().to_owned();
    assert_eq!(grow("256KiB"), "1\n-1\n1\n");
    assert_eq!(grow("320KiB"), "1\n1\n-1\n");
    assert_eq!(bench.run(&["--max-memory", "64KiB", "--invoke", "grow", "two.wat"]).code, Some(1));
}
