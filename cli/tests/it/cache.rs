//! Compiled code on disk: the cache, and files of `compile`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use crate::common::{ARGS, Bench, NOTHING, Ran};
use serde_json::{Value, json};

/// A guest that traps.
const TRAPS: &str = r#"(module (func $inner unreachable) (func (export "_start") (call $inner)))"#;

fn code(bench: &Bench) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(bench.caches().join("wasmrun")) else { return Vec::new() };
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "wrc")).collect()
}

/// Runs with a log of the cache and returns how often code was found and not found, and what else was said.
fn logged(bench: &Bench, args: &[&str]) -> (Ran, u32, u32, Vec<String>) {
    let ran = bench.run(&[&["-D", "log-cache"], args].concat());
    let mut lines = ran.stderr.lines().filter_map(|line| line.strip_prefix("cache: "));
    let first: Vec<_> = lines.next().unwrap().split(' ').collect();
    let problems = lines.map(str::to_owned).collect();
    let (hits, misses) = (first[0].parse().unwrap(), first[3].parse().unwrap());
    (ran, hits, misses, problems)
}

#[test]
fn the_second_run_takes_its_code_from_the_cache() {
    let bench = Bench::with("a.wat", ARGS);
    for mode in ["jit", "quick"] {
        for expected in [(0, 1), (1, 0)] {
            let (ran, hits, misses, problems) = logged(&bench, &["--mode", mode, "a.wat", "x"]);
            assert_eq!((ran.code, ran.text()), (Some(0), "a.wat\0x\0"));
            assert_eq!(((hits, misses), problems), (expected, vec![]), "{mode}");
        }
    }
    assert_eq!(code(&bench).len(), 2);
    bench.run(&["--mode", "jit", "a.wat"]).assert_clean(0, "a.wat\0");
}

#[test]
fn code_of_preloaded_modules_is_found_by_the_next_run_too() {
    let lib = r#"(module (func (export "sum") (param i32) (result i32) (local i32)
        (loop
            (local.set 1 (i32.add (local.get 1) (local.get 0)))
            (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (local.get 1)))"#;
    let app = r#"(module (import "lib" "sum" (func $sum (param i32) (result i32)))
        (func (export "run") (param i32) (result i32) (local i32)
            (loop
                (drop (call $sum (i32.const 1000)))
                (br_if 0 (i32.lt_u (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (local.get 0))))
            (local.get 1)))"#;
    let bench = Bench::with("app.wat", app).file("lib.wat", lib);
    let stats = |calls: u32| {
        let run = ["--stats", "json", "--preload", "lib=lib.wat", "--invoke", "run", "app.wat"];
        let ran = bench.run(&[&run[..], &[&calls.to_string()]].concat());
        assert_eq!((ran.code, ran.text().trim_end()), (Some(0), &*calls.to_string()), "{}", ran.stderr);
        let stats: Value = serde_json::from_str(&ran.stderr).unwrap();
        assert_eq!(stats["preloaded"][0]["preloaded_as"], "lib");
        stats
    };
    // When something is compiled is the tiers' to say: the guest calls more often until it is.
    let compiled = |calls: &u32| stats(*calls)["preloaded"][0]["compiled"] == 1;
    let calls = (10..17).map(|bits| 1 << bits).find(compiled).expect("so many calls make a function warm");
    let again = stats(calls);
    assert_eq!(again["preloaded"][0]["from_cache"], 1, "{again}");
}

#[test]
fn a_trap_reads_the_same_whether_its_code_was_compiled_or_found() {
    let bench = Bench::with("a.wat", TRAPS);
    let runs: Vec<_> = (0..2).map(|_| bench.run(&["--mode", "jit", "a.wat"])).collect();
    assert_eq!(code(&bench).len(), 1);
    assert_eq!((runs[0].code, runs[1].code), (Some(134), Some(134)));
    assert!(runs[0].stderr.contains("inner"), "{}", runs[0].stderr);
    assert_eq!(runs[0].stderr, runs[1].stderr);
}

#[test]
fn the_disk_is_left_alone_where_nothing_is_compiled_or_kept() {
    let bench = Bench::with("a.wat", NOTHING);
    for args in [
        &["--mode", "interp"][..],
        &["--mode", "jit", "--no-cache"],
        &["--mode", "jit", "-C", "cache=n"],
        &["--mode", "quick", "--no-cache", "-D", "log-cache"],
    ] {
        bench.run(&[args, &["a.wat"]].concat()).assert_clean(0, "");
    }
    for command in [&["cache", "stat"][..], &["cache", "clean"]] {
        bench.run(command).assert_clean(0, "there is no cache yet\n");
    }
    assert_eq!(fs::read_dir(bench.caches()).unwrap().count(), 0);
}

#[test]
fn a_cache_that_cannot_be_used_is_no_reason_not_to_run() {
    let bench = Bench::with("a.wat", NOTHING);
    fs::write(bench.caches().join("wasmrun"), "no directory").unwrap();
    bench.run(&["--mode", "jit", "a.wat"]).assert_clean(0, "");
    let ran = bench.run(&["--mode", "jit", "-D", "log-cache", "a.wat"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stderr.starts_with("cache: ") && ran.stderr.contains("cannot be used"), "{}", ran.stderr);
    let ran = bench.run(&["cache", "stat"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.starts_with("error: the cache of compiled code cannot be used\ncaused by: "));
    assert!(ran.stderr.ends_with("help: guests run without it; remove what is wrong, and it is made anew\n"));
    // Neither does a process without a home have one.
    let nowhere =
        bench.command(&["--mode", "jit", "a.wat"]).env_remove("XDG_CACHE_HOME").env_remove("HOME").output();
    assert!(nowhere.unwrap().status.success());
    for what in ["stat", "clean"] {
        let asked = bench.command(&["cache", what]).env_remove("XDG_CACHE_HOME").env("HOME", "here").output();
        let asked = asked.unwrap();
        assert_eq!(
            String::from_utf8(asked.stderr).unwrap(),
            "error: the cache of compiled code cannot be used\n\
             caused by: neither XDG_CACHE_HOME nor HOME says where this user's caches are\n\
             help: guests run without it; set XDG_CACHE_HOME or HOME to the path of a directory, from `/` on\n"
        );
        assert_eq!(asked.status.code(), Some(1));
    }
}

#[test]
fn too_few_descriptors_for_the_cache_are_no_reason_to_remove_it() {
    let bench = Bench::with("a.wat", NOTHING);
    bench.run(&["--mode", "jit", "a.wat"]).assert_clean(0, "");
    let mut refused = 0;
    // Below four or so the system cannot even start the command.
    for limit in 3..16 {
        let script = format!("ulimit -n {limit} && exec \"$0\" cache stat");
        let mut shell = Command::new("sh");
        shell.args(["-c", &script, env!("CARGO_BIN_EXE_wasmrun")]).env("XDG_CACHE_HOME", bench.caches());
        let stderr = String::from_utf8(shell.output().unwrap().stderr).unwrap();
        if stderr.is_empty() || stderr.contains("shared libraries") {
            continue;
        }
        refused += 1;
        let help = "help: `ulimit -n` says how many files may be open, and `ulimit -n 256` allows more\n";
        assert!(stderr.contains("Too many open files") && stderr.ends_with(help), "{limit}: {stderr}");
    }
    assert!(refused > 0, "no limit was small enough");
}

#[test]
fn a_damaged_file_is_replaced_and_said_only_to_those_who_ask() {
    let bench = Bench::with("a.wat", ARGS);
    bench.run(&["--mode", "jit", "a.wat"]).assert_clean(0, "a.wat\0");
    let [file] = &code(&bench)[..] else { panic!() };
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, &bytes).unwrap();
    let (_, hits, misses, problems) = logged(&bench, &["--mode", "jit", "a.wat"]);
    assert_eq!((hits, misses, problems.len()), (0, 1, 1), "{problems:?}");
    assert!(problems[0].contains("is ignored"), "{problems:?}");
    let (_, hits, _, problems) = logged(&bench, &["--mode", "jit", "a.wat"]);
    assert_eq!((hits, problems), (1, vec![]));
}

#[test]
fn the_cache_can_be_looked_at_and_emptied() {
    let bench = Bench::with("a.wat", NOTHING).file("b.wat", ARGS);
    for file in ["a.wat", "b.wat"] {
        assert_eq!(bench.run(&["--mode", "jit", file]).code, Some(0));
    }
    let bytes: u64 = code(&bench).iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    let directory = bench.caches().join("wasmrun");
    let expected = json!({ "directory": directory, "files": 2, "bytes": bytes });
    let stat: Value = serde_json::from_str(bench.run(&["cache", "stat", "--json"]).text()).unwrap();
    assert_eq!(stat, expected);
    let text = bench.run(&["cache", "stat"]);
    assert!(text.text().starts_with(&format!("{}: 2 files, ", directory.display())), "{}", text.text());
    let cleaned: Value = serde_json::from_str(bench.run(&["cache", "clean", "--json"]).text()).unwrap();
    assert_eq!(cleaned, expected);
    assert!(code(&bench).is_empty());
    let text = bench.run(&["cache", "clean"]);
    assert!(text.text().ends_with(": removed 0 files, 0 bytes\n"), "{}", text.text());
    assert_eq!(bench.run(&["cache"]).code, Some(2));
}

#[test]
fn a_compiled_module_runs_when_it_is_allowed_to() {
    let bench = Bench::with("a.wat", ARGS);
    bench.run(&["compile", "a.wat"]).assert_clean(0, "");
    bench.run(&["compile", "--mode", "quick", "a.wat", "-o", "quick.wrc"]).assert_clean(0, "");
    assert!(bench.path("quick.wrc").exists() && code(&bench).is_empty());
    bench.run(&["a.wrc", "x"]).assert_error(
        1,
        "error: `a.wrc` is a compiled module, and those are not run unasked\n\
         caused by: it holds machine code, which can do whatever this user can\n\
         help: `--allow-precompiled` runs it; use that for files that you have compiled yourself\n",
    );
    let allowed = ["--allow-precompiled", "--no-cache", "--mode"];
    for (mode, file) in [("jit", "a.wrc"), ("quick", "quick.wrc")] {
        bench.run(&[&allowed[..], &[mode, file, "x"]].concat()).assert_clean(0, format!("{file}\0x\0"));
    }
    // As a module that needs no permission, too.
    bench.run(&["--allow-precompiled", "a.wat"]).assert_clean(0, "a.wat\0");
}

#[test]
fn a_compiled_module_is_explained_when_it_could_be_run() {
    let bench = Bench::with("a.wat", ARGS);
    bench.run(&["compile", "a.wat"]).assert_clean(0, "");
    let refused = bench.run(&["explain", "a.wrc"]);
    let first = "error: `a.wrc` is a compiled module, and those are not run unasked\n";
    assert!(refused.code == Some(1) && refused.stderr.starts_with(first), "{}", refused.stderr);
    let explained = bench.run(&["explain", "--allow-precompiled", "a.wrc"]);
    let of_source = bench.run(&["explain", "a.wat"]);
    explained.assert_clean(0, of_source.text().replace("a.wat", "a.wrc"));
}

#[test]
fn code_that_does_not_fit_is_compiled_anew_with_a_note() {
    let bench = Bench::with("a.wat", ARGS);
    bench.run(&["compile", "a.wat"]).assert_clean(0, "");
    for (args, reason) in [
        (&["--mode", "quick"][..], "level of optimisation"),
        (&["--mode", "jit", "--fuel", "100000"], "other settings"),
        (&["--mode", "interp"], "interpreter"),
    ] {
        let ran = bench.run(&[&["--allow-precompiled", "--no-cache"], args, &["a.wrc"]].concat());
        assert_eq!((ran.code, ran.text()), (Some(0), "a.wrc\0"), "{}", ran.stderr);
        assert!(ran.stderr.starts_with("note: the code in `a.wrc` is not used: "), "{}", ran.stderr);
        assert!(ran.stderr.contains(reason), "{}", ran.stderr);
    }
    bench.run(&["compile", "--fuel", "1", "a.wat", "-o", "fuel.wrc"]).assert_clean(0, "");
    let run = ["--allow-precompiled", "--no-cache", "--mode", "jit", "--fuel", "100000", "fuel.wrc"];
    bench.run(&run).assert_clean(0, "fuel.wrc\0");
}

#[test]
fn a_damaged_compiled_module_is_refused() {
    let bench = Bench::with("a.wat", NOTHING);
    bench.run(&["compile", "a.wat"]).assert_clean(0, "");
    let whole = fs::read(bench.path("a.wrc")).unwrap();
    for at in [8, 20, whole.len() / 2, whole.len() - 1] {
        let mut damaged = whole.clone();
        damaged[at] ^= 4;
        for bytes in [&damaged[..], &whole[..at]] {
            fs::write(bench.path("a.wrc"), bytes).unwrap();
            let ran = bench.run(&["--allow-precompiled", "--mode", "jit", "a.wrc"]);
            assert_eq!(ran.code, Some(1));
            assert!(ran.stderr.starts_with("error: `a.wrc` cannot be run\ncaused by: "), "{}", ran.stderr);
            assert!(ran.stderr.contains("changed or cut off"), "{}", ran.stderr);
        }
    }
}

#[test]
fn other_commands_say_what_a_compiled_module_is() {
    let bench = Bench::with("a.wat", NOTHING);
    bench.run(&["compile", "a.wat"]).assert_clean(0, "");
    for command in ["validate", "inspect"] {
        let ran = bench.run(&[command, "a.wrc"]);
        assert_eq!(ran.code, Some(1), "{command}");
        assert!(ran.stderr.contains("caused by: it is a compiled module"), "{command}: {}", ran.stderr);
    }
}

#[test]
fn compile_writes_whole_files_where_it_is_told_to() {
    let bench = Bench::with("a.wat", NOTHING).file("dir/x", "");
    bench.run(&["compile", "a.wat", "-o", "dir/out"]).assert_clean(0, "");
    let mode = fs::metadata(bench.path("dir/out")).unwrap().permissions().mode();
    assert_eq!(mode & 0o600, 0o600);
    assert_eq!(fs::read_dir(bench.path("dir")).unwrap().count(), 2, "nothing else is left");
    // A pipe is written to, and not replaced.
    let pipe = bench.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || fs::read(pipe).unwrap()
    });
    bench.run(&["compile", "a.wat", "-o", "pipe"]).assert_clean(0, "");
    assert_eq!(reader.join().unwrap(), fs::read(bench.path("dir/out")).unwrap());
    assert!(!fs::metadata(&pipe).unwrap().is_file());
    let ran = bench.run(&["compile", "a.wat", "-o", "nowhere/out"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.starts_with("error: cannot write `nowhere/out`\n"), "{}", ran.stderr);
    let ran = bench.run_with(&["compile", "-"], NOTHING.as_bytes(), &[]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("help: `-o OUT`"), "{}", ran.stderr);
    bench.run_with(&["compile", "-", "-o", "in.wrc"], NOTHING.as_bytes(), &[]).assert_clean(0, "");
    // What it is made of is not replaced, under whatever name.
    std::os::unix::fs::symlink("a.wat", bench.path("link")).unwrap();
    for out in ["a.wat", "./a.wat", "link"] {
        let ran = bench.run(&["compile", "a.wat", "-o", out]);
        assert_eq!(ran.code, Some(2));
        assert!(ran.stderr.contains("would replace the file that it is made of"), "{}", ran.stderr);
    }
    assert_eq!(fs::read_to_string(bench.path("a.wat")).unwrap(), NOTHING);
    // Two compilations of the same module are the same.
    bench.run(&["compile", "a.wat", "-o", "again"]).assert_clean(0, "");
    assert_eq!(fs::read(bench.path("again")).unwrap(), fs::read(bench.path("dir/out")).unwrap());
    assert_eq!(bench.run(&["compile", "--dir", ".", "a.wat"]).code, Some(2));
}

#[test]
fn code_of_a_run_without_a_timeout_does_not_keep_another_one_from_ending() {
    // Nothing polls in the loop of the first run's code.
    let bench =
        Bench::with("a.wat", r#"(module (func (export "spin") (param i32) (loop (br_if 0 (local.get 0)))))"#);
    for mode in ["jit", "quick", "tiered"] {
        bench.run(&["--mode", mode, "--invoke", "spin", "a.wat", "0"]).assert_clean(0, "");
        let ran = bench.run(&["--mode", mode, "--timeout", "300ms", "--invoke", "spin", "a.wat", "1"]);
        assert_eq!(ran.code, Some(134), "{mode}: {}", ran.stderr);
    }
    // What `compile` writes serves both.
    bench.run(&["compile", "a.wat", "-o", "a.wrc"]).assert_clean(0, "");
    let run = |more: &[&str], argument| {
        bench.run(
            &[
                &["-D", "log-cache", "--allow-precompiled", "--mode", "jit"],
                more,
                &["--invoke", "spin", "a.wrc", argument],
            ]
            .concat(),
        )
    };
    assert_eq!(run(&[], "0").code, Some(0));
    assert_eq!(run(&["--timeout", "300ms"], "1").code, Some(134));
}
