//! Guests that start threads: `-S threads`.

use std::process::Command;

use crate::common::{Bench, Ran};
use serde_json::Value;

/// Starts as many threads as it has to, each of which does `work` and counts itself; waits for all of them, and then does
/// `last`.
fn program(threads: u32, work: &str, last: &str) -> String {
    format!(
        r#"(module
        (import "env" "memory" (memory 1 4 shared))
        (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (export "memory" (memory 0))
        (func $print (param $at i32) (param $len i32) (param $scratch i32)
          (i32.store (local.get $scratch) (local.get $at))
          (i32.store offset=4 (local.get $scratch) (local.get $len))
          (drop (call $write (i32.const 1) (local.get $scratch) (i32.const 1)
            (i32.add (local.get $scratch) (i32.const 8)))))
        (func $sleep (param $nanoseconds i64) (param $scratch i32)
          (i32.store offset=16 (local.get $scratch) (i32.const 1))
          (i64.store offset=24 (local.get $scratch) (local.get $nanoseconds))
          (drop (call $poll (local.get $scratch) (i32.add (local.get $scratch) (i32.const 64)) (i32.const 1)
            (i32.add (local.get $scratch) (i32.const 128)))))
        (func (export "wasi_thread_start") (param $number i32) (param $argument i32)
          {work}
          (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
          (drop (memory.atomic.notify (i32.const 0) (i32.const 1))))
        (func (export "_start") (local $i i32) (local $done i32)
          (memory.fill (i32.const 16) (i32.const 46) (i32.const 16))
          (i32.store8 (i32.const 32) (i32.const 10))
          (loop $spawn
            (if (i32.le_s (call $spawn (i32.add (i32.const 1024) (i32.mul (local.get $i) (i32.const 256))))
                  (i32.const 0))
              (then (call $exit (i32.const 99))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $spawn (i32.lt_u (local.get $i) (i32.const {threads}))))
          (loop $wait
            (local.set $done (i32.atomic.load (i32.const 0)))
            (if (i32.lt_u (local.get $done) (i32.const {threads})) (then
              (drop (memory.atomic.wait32 (i32.const 0) (local.get $done) (i64.const -1)))
              (br $wait))))
          {last}))"#
    )
}

const MODES: [&str; 4] = ["interp", "jit", "quick", "tiered"];

fn run(wat: &str, options: &[&str]) -> Ran {
    Bench::with("t.wat", wat).run(&[&["-S", "threads"], options, &["t.wat"]].concat())
}

#[test]
fn threads_share_memory_and_descriptors_and_the_first_one_waits_for_them() {
    let work =
        "(if (i32.ne (i32.and (local.get $number) (i32.const 0xf)) (local.get $number)) (then (unreachable)))
        (call $print (i32.const 16) (i32.const 17) (local.get $argument))";
    for mode in MODES {
        let ran = run(&program(8, work, ""), &["--mode", mode]);
        ran.assert_clean(0, "................\n".repeat(8));
    }
}

#[test]
fn a_thread_that_sleeps_keeps_no_other_from_its_calls() {
    // One sleeps for an hour, the other prints; then the first thread ends the process.
    let work = "(if (i32.eq (local.get $argument) (i32.const 1024))
          (then (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
                (drop (memory.atomic.notify (i32.const 0) (i32.const 1)))
                (call $sleep (i64.const 3600_000_000_000) (local.get $argument)))
          (else (call $sleep (i64.const 1_000_000) (local.get $argument))
                (call $print (i32.const 16) (i32.const 17) (local.get $argument))))";
    for mode in MODES {
        run(&program(2, work, ""), &["--mode", mode]).assert_clean(0, "................\n");
    }
}

#[test]
fn any_thread_ends_the_process() {
    let exits = "(if (i32.eq (local.get $argument) (i32.const 1280)) (then (call $exit (i32.const 7))))
        (loop $for_ever (br $for_ever))";
    let traps = "(if (i32.eq (local.get $argument) (i32.const 1280)) (then (unreachable)))
        (drop (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const -1)))";
    for mode in MODES {
        run(&program(3, exits, ""), &["--mode", mode]).assert_clean(7, "");
        let ran = run(&program(3, traps, ""), &["--mode", mode]);
        assert_eq!((ran.code, ran.text()), (Some(134), ""), "{}", ran.stderr);
        assert!(ran.stderr.starts_with("error: `t.wat` trapped\n"), "{}", ran.stderr);
        assert_eq!(ran.stderr.matches("unreachable").count(), 1, "{}", ran.stderr);
        // The first thread returns, and nobody waits for the others.
        let waits = "(drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))
            (drop (memory.atomic.notify (i32.const 0) (i32.const 1)))
            (drop (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const -1)))";
        run(
            &program(3, waits, "(call $print (i32.const 32) (i32.const 1) (i32.const 64))"),
            &["--mode", mode],
        )
        .assert_clean(0, "\n");
    }
}

#[test]
fn whichever_thread_ends_the_process_it_tells_what_was_asked_for_and_keeps_code() {
    let waits = "(drop (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const -1)))";
    let counts = r#"(func $count (param $n i32)
        (loop $again (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
        (func (export "_start")"#;
    for (end, code) in [("(call $exit (i32.const 7))", 7), ("(unreachable)", 134)] {
        // When something is compiled is the tiers' to say: the thread calls more often until it is.
        let is_kept = |calls: &u32| {
            let calls = format!(
                "(local $i i32)
                (loop $call
                  (call $count (i32.const 1000))
                  (local.set $i (i32.add (local.get $i) (i32.const 1)))
                  (br_if $call (i32.lt_u (local.get $i) (i32.const {calls}))))"
            );
            let wat = program(1, &(calls + end), waits).replacen(r#"(func (export "_start")"#, counts, 1);
            let bench = Bench::with("t.wat", wat);
            let mut from_cache = [0, 0];
            for from_cache in &mut from_cache {
                let ran = bench.run(&["-S", "threads", "--stats", "json", "-D", "log-cache", "t.wat"]);
                assert_eq!((ran.code, ran.text()), (Some(code), ""), "{}", ran.stderr);
                assert!(ran.stderr.contains("\ncache: "), "{}", ran.stderr);
                let stats = serde_json::Deserializer::from_str(&ran.stderr).into_iter::<Value>().next();
                *from_cache = stats.unwrap().unwrap()["from_cache"].as_u64().unwrap();
            }
            from_cache > [0, 0]
        };
        assert!((10..17).map(|bits| 1 << bits).any(|calls| is_kept(&calls)), "so many calls make it warm");
    }
}

#[test]
fn the_limits_hold_for_all_threads() {
    let spins = "(loop $for_ever (br $for_ever))";
    let waits = "(drop (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const -1)))";
    let sleeps = "(call $sleep (i64.const 3600_000_000_000) (local.get $argument))";
    for mode in MODES {
        for work in [spins, waits, sleeps] {
            let ran = run(&program(2, work, ""), &["--mode", mode, "--timeout", "2s"]);
            assert_eq!(ran.code, Some(134), "{}", ran.stderr);
            assert!(ran.stderr.contains("caused by: deadline exceeded"), "{}", ran.stderr);
        }
        let ran = run(&program(2, spins, ""), &["--mode", mode, "--fuel", "100000"]);
        assert!(ran.stderr.contains("caused by: all fuel consumed"), "{}", ran.stderr);
        let grows =
            "(if (i32.ne (memory.grow (i32.const 1)) (i32.const -1)) (then (call $exit (i32.const 5))))";
        run(&program(2, grows, ""), &["--mode", mode, "--max-memory", "64KiB"]).assert_clean(0, "");
    }
    // No more threads than there may be; what has ended makes room.
    let waits = "(drop (memory.atomic.wait32 (i32.const 8) (i32.const 0) (i64.const -1)))";
    run(&program(3, waits, ""), &["-S", "max-threads=2"]).assert_clean(99, "");
    let ran = run(&program(1, "", ""), &["--max-memory", "1KiB"]);
    assert!(ran.stderr.contains("its memory of 1 pages exceeds the limits"), "{}", ran.stderr);
}

#[test]
fn a_memory_that_is_imported_twice_is_one() {
    let wat = r#"(module
        (import "wasi" "thread-spawn" (func (param i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (import "env" "memory" (memory $a 1 4 shared))
        (import "env" "memory" (memory $b 1 4 shared))
        (export "memory" (memory $a))
        (func (export "wasi_thread_start") (param i32 i32))
        (func (export "_start")
            (i32.store $a (i32.const 100) (i32.const 7))
            (call $exit (i32.load $b (i32.const 100)))))"#;
    run(wat, &[]).assert_clean(7, "");
}

#[test]
fn a_thread_that_cannot_be_instantiated_has_not_trapped() {
    // Of the memory that is no other thread's there is none left for it.
    let wat = program(1, "", "").replacen("(func $print", "(memory 4) (func $print", 1);
    let ran = run(&wat, &["--max-memory", "384KiB"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(
        ran.stderr.starts_with("error: a thread of `t.wat` cannot be started\ncaused by: "),
        "{}",
        ran.stderr
    );
}

#[test]
fn where_the_system_has_no_memory_for_a_thread_the_guest_is_told() {
    let wat = r#"(module
        (import "wasi" "thread-spawn" (func $spawn (param i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (import "env" "memory" (memory 1 1 shared))
        (export "memory" (memory 0))
        (func (export "wasi_thread_start") (param i32 i32)
            (drop (memory.atomic.wait32 (i32.const 0) (i32.const 0) (i64.const -1))))
        (func (export "_start") (local $spawned i32) (local $last i32)
            (loop $more
                (local.set $last (call $spawn (i32.const 0)))
                (if (i32.gt_s (local.get $last) (i32.const 0)) (then
                    (local.set $spawned (i32.add (local.get $spawned) (i32.const 1)))
                    (br_if $more (i32.lt_u (local.get $spawned) (i32.const 250))))))
            (if (i32.eqz (local.get $spawned)) (then (call $exit (i32.const 1))))
            (call $exit (i32.sub (i32.const 0) (local.get $last)))))"#;
    let bench = Bench::with("t.wat", wat);
    for mode in MODES {
        let wasmrun = env!("CARGO_BIN_EXE_wasmrun");
        let script = format!("ulimit -v 1000000; exec {wasmrun} --no-cache --mode {mode} -S threads t.wat");
        let output = Command::new("sh").args(["-c", &script]).current_dir(bench.root()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*stderr), (Some(6), ""), "{mode}");
    }
}

#[test]
fn what_threads_need_is_said_where_it_is_missing() {
    let bench = Bench::with("t.wat", program(1, "", "")).file(
        "alone.wat",
        r#"(module (import "wasi" "thread-spawn" (func (param i32) (result i32))) (memory 1))"#,
    );
    let ran = bench.run(&["t.wat"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("`-S threads` lets the guest start threads"), "{}", ran.stderr);
    let ran = bench.run(&["-S", "threads", "alone.wat"]);
    assert!(ran.stderr.contains("imports no memory that they could share"), "{}", ran.stderr);
    let ran = bench.run(&["-S", "max-threads=2", "t.wat"]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    let ran = bench.run(&["explain", "t.wat"]);
    assert!(ran.text().contains("-S threads"), "{}", ran.text());
}
