//! The commands beside `run`.

use crate::common::{ARGS, Bench, CAT, ENV, FIRST_DIR, NOTHING, opens};
use serde_json::{Value, json};

#[test]
fn version_is_one_line() {
    let expected = format!("wasmrun {}\n", env!("CARGO_PKG_VERSION"));
    Bench::new().run(&["--version"]).assert_clean(0, &expected);
    Bench::new().run(&["-V"]).assert_clean(0, &expected);
}

#[test]
fn help_lists_commands_and_options() {
    let ran = Bench::new().run(&["--help"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    for word in [
        "validate",
        "inspect",
        "explain",
        "explore",
        "wast",
        "completion",
        "--dir",
        "--invoke",
        "--preload",
        "-W",
    ] {
        assert!(ran.text().contains(word), "{word}");
    }
    let ran = Bench::new().run(&["-W", "help"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    for key in ["-W fuel=N", "-W timeout=TIME", "-W max-memory-size=SIZE", "-W multi-memory[=y|n]"] {
        assert!(ran.text().contains(key), "{key}");
    }
    let ran = Bench::new().run(&["-D", "help", "-S", "help"]);
    assert!(
        ran.text().contains("-D max-backtrace=N") && ran.text().contains("-S inherit-env[=y|n]"),
        "{}",
        ran.text()
    );
}

#[test]
fn the_examples_of_help_work() {
    let math = r#"(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"#;
    let bench =
        Bench::with("app.wasm", wat::parse_str(ARGS).unwrap()).file("math.wat", math).file("data/x", "");
    let help = bench.run(&["--help"]);
    let examples: Vec<_> = help
        .text()
        .lines()
        .skip_while(|line| *line != "Examples:")
        .filter(|l| l.starts_with("  wasmrun "))
        .collect();
    assert!(examples.len() >= 5, "{}", help.text());
    for example in examples {
        let words: Vec<_> = example.split_whitespace().skip(1).collect();
        let ran = bench.run(&words);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{example}");
        assert!(!words.contains(&"add") || ran.text() == "43\n", "{example}: {}", ran.text());
    }
}

#[test]
fn validate_is_silent_about_valid_modules_and_names_the_others() {
    let bench = Bench::with("good.wat", NOTHING)
        .file("also.wat", CAT)
        .file("bad.wat", "(module (func i32.add))")
        .file("imports.wat", r#"(module (import "a" "b" (func)))"#);
    bench.run(&["validate", "good.wat", "also.wat", "imports.wat"]).assert_clean(0, "");
    let ran = bench.run(&["validate", "bad.wat", "good.wat", "nowhere.wat"]);
    assert_eq!((ran.code, ran.text()), (Some(1), ""));
    assert!(
        ran.stderr.starts_with("error: `bad.wat` cannot be run\ncaused by: type mismatch"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("error: cannot read `nowhere.wat`\n"), "{}", ran.stderr);
}

const INSPECTED: &str = r#"(module $m
    (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
    (import "env" "table" (table 1 10 funcref))
    (memory (export "memory") 2 4)
    (global (export "g") (mut i64) (i64.const 0))
    (func $f (export "f") (param i32 f64) (result i32) (i32.extend8_s (local.get 0)))
    (func $s)
    (start $s)
    (data (i32.const 0) "hello")
    (@custom "mark" "12345"))"#;

#[test]
fn inspect_shows_what_is_in_a_module() {
    let bench = Bench::with("m.wat", INSPECTED);
    let ran = bench.run(&["inspect", "m.wat"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    for line in [
        "imports (2):",
        "  wasi_snapshot_preview1::proc_exit  func (i32) -> ()",
        "  env::table                         table 1 10 funcref",
        "exports (3):",
        "  memory  memory 2 4",
        "  g       global mut i64",
        "  f       func (i32, f64) -> (i32)",
        "  0: 2 pages (128 KiB) at the start, at most 4 pages (256 KiB)",
        "  data       1 segment, 5 bytes",
        "start function: 2",
        "features: mutable-global, sign-extension",
    ] {
        assert!(ran.text().lines().any(|l| l == line), "{line}: {}", ran.text());
    }
    assert!(ran.text().contains("custom \"mark\""), "{}", ran.text());
}

#[test]
fn inspect_json_has_the_same_in_fields() {
    let bench = Bench::with("m.wat", INSPECTED);
    let ran = bench.run(&["inspect", "--json", "m.wat"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let value: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(value["size"], json!(wat::parse_str(INSPECTED).unwrap().len()));
    assert_eq!(
        value["imports"][1],
        json!({ "module": "env", "name": "table", "kind": "table", "type": "1 10 funcref" })
    );
    assert_eq!(
        value["exports"][2],
        json!({ "name": "f", "kind": "func", "type": "(i32, f64) -> (i32)", "index": 1 })
    );
    assert_eq!(
        value["memories"],
        json!([{ "imported": false, "min_pages": 2, "max_pages": 4, "page_size": 65536, "shared": false, "memory64": false }])
    );
    assert_eq!(
        (&value["counts"]["functions"], &value["counts"]["imported_functions"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(value["start"], json!(2));
    assert_eq!(value["features"][1], json!({ "name": "sign-extension", "executed": true }));
    let mark = value["sections"].as_array().unwrap().iter().find(|s| s["name"] == "mark").unwrap();
    assert_eq!((&mark["custom"], &mark["size"]), (&json!(true), &json!(10)));
}

#[test]
fn inspect_names_the_proposals_that_a_module_uses() {
    let functions = |instructions: &str| format!("(module (func {instructions}))");
    for (module, features) in [
        ("(module)".to_string(), "none"),
        ("(module (tag $t) (func (block (try_table (catch $t 0) (throw $t)))))".to_string(), "exceptions"),
        ("(module (tag $t) (func try throw $t catch $t end))".to_string(), "exceptions, legacy-exceptions"),
        ("(module (memory 1 1 shared))".to_string(), "threads"),
        ("(module (memory 1) (func (drop (i32.atomic.load (i32.const 0)))))".to_string(), "threads"),
        ("(module (type $s (struct (field i32))) (func (drop (struct.new_default $s))))".to_string(), "gc"),
        (functions("(drop (ref.i31 (i32.const 1)))"), "gc"),
        (
            "(module (type $t (func)) (func (param (ref $t))))".to_string(),
            "reference-types, function-references",
        ),
        ("(module (memory i64 1))".to_string(), "memory64"),
        ("(module (table i64 1 funcref))".to_string(), "memory64"),
        (
            functions("(drop (i8x16.relaxed_swizzle (v128.const i64x2 0 0) (v128.const i64x2 0 0)))"),
            "simd, relaxed-simd",
        ),
        (functions("(drop (v128.const i64x2 0 0))"), "simd"),
        (functions("(return_call 0)"), "tail-call"),
        ("(module (memory 1) (memory 1))".to_string(), "multi-memory"),
        ("(module (memory 0 (pagesize 1)))".to_string(), "custom-page-sizes"),
        (functions("(i64.mul_wide_u (i64.const 1) (i64.const 1)) (drop) (drop)"), "wide-arithmetic"),
        (
            "(module (memory i64 1 1 shared) (func (return_call 0)))".to_string(),
            "tail-call, threads, memory64",
        ),
    ] {
        let ran = Bench::with("m.wat", module.as_str()).run(&["inspect", "m.wat"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{module}");
        assert_eq!(ran.text().lines().last(), Some(format!("features: {features}").as_str()), "{module}");
    }
}

#[test]
fn modules_that_cannot_be_run_yet_can_be_inspected() {
    let bench = Bench::with("m.wat", r#"(module (type $f (func)) (type (cont $f)) (memory 1 1 shared))"#);
    let ran = bench.run(&["inspect", "m.wat"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let text = ran.text();
    assert!(text.contains("stack-switching (not executed yet)") && !text.contains("threads (not"), "{text}");
}

#[test]
fn inspect_refuses_an_invalid_module() {
    let ran = Bench::with("m.wat", "(module (func i32.add))").run(&["inspect", "m.wat"]);
    assert_eq!((ran.code, ran.text()), (Some(1), ""));
    assert!(
        ran.stderr.starts_with("error: `m.wat` is no valid module\ncaused by: type mismatch"),
        "{}",
        ran.stderr
    );
}

#[test]
fn explain_says_what_grants_each_import_and_what_would() {
    let bench = Bench::with("open.wat", opens("x", 0)).file("env.wat", ENV).file("data/x", "");
    let explain = |args: &[&str]| {
        let ran = bench.run(&[&["explain"], args].concat());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        ran.text().to_owned()
    };
    let line =
        |text: &str, name: &str| text.lines().find(|l| l.contains(name)).unwrap_or_default().to_owned();

    let text = explain(&["open.wat"]);
    assert!(line(&text, "path_open").ends_with("denied: `--dir HOST` would grant it"), "{text}");
    assert!(line(&text, "proc_exit").ends_with("granted: always"), "{text}");
    let text = explain(&["--dir", "data::/x::ro", "open.wat"]);
    assert!(line(&text, "path_open").ends_with("granted by `--dir data::/x::ro`"), "{text}");
    assert!(line(&text, "directory 3").contains("/x <- data (host, read only)"), "{text}");
    let text = explain(&["env.wat"]);
    assert!(
        line(&text, "environ_get").ends_with("denied: `--env NAME[=VALUE] or --inherit-env` would grant it"),
        "{text}"
    );
    let text = explain(&["--env", "A=1", "--dir", "data", "env.wat"]);
    assert!(line(&text, "environ_get").ends_with("granted by `--env A`"), "{text}");
    assert!(text.contains("unused: no import could use what `--dir data` grants"), "{text}");
}

#[test]
fn explain_knows_what_only_a_writable_directory_grants() {
    let removes = r#"(module (import "wasi_snapshot_preview1" "path_unlink_file" (func (param i32 i32 i32) (result i32))))"#;
    let bench = Bench::with("rm.wat", removes).file("data/x", "");
    let status = |args: &[&str]| {
        let ran = bench.run(&[&["explain", "--json"], args, &["rm.wat"]].concat());
        let value: Value = serde_json::from_slice(&ran.stdout).unwrap();
        (value["imports"][0]["status"].clone(), value["imports"][0]["option"].clone())
    };
    assert_eq!(status(&[]), (json!("denied"), json!("--dir HOST")));
    assert_eq!(status(&["--dir", "data::ro"]), (json!("denied"), json!("--dir HOST without ::ro")));
    assert_eq!(status(&["--dir", "data"]), (json!("granted"), json!(null)));
    let text = bench.run(&["explain", "--dir", "data::/a::ro", "--dir", "data::/b", "rm.wat"]);
    assert!(text.text().contains("  granted by `--dir data::/b`\n"), "{}", text.text());
}

#[test]
fn explain_names_the_option_for_imports_that_are_missing() {
    let bench = Bench::with(
        "i.wat",
        r#"(module (import "env" "frob" (func)) (import "lib" "f" (func)) (import "wasix_32v1" "fork" (func)))"#,
    )
    .file("lib.wat", r#"(module (func (export "f")))"#);
    let ran = bench.run(&["explain", "--json", "--preload", "lib=lib.wat", "i.wat"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let value: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let imports = value["imports"].as_array().unwrap();
    assert_eq!(
        (&imports[0]["status"], &imports[0]["option"]),
        (&json!("missing"), &json!("--preload env=FILE"))
    );
    assert_eq!(
        (&imports[1]["status"], &imports[1]["by"]),
        (&json!("granted"), &json!(["--preload lib=lib.wat"]))
    );
    assert_eq!(imports[2]["status"], json!("missing"));
    assert!(imports[2]["hint"].as_str().unwrap().contains("WASIX"));
    let text = bench.run(&["explain", "i.wat"]);
    assert!(
        text.text().contains("3 imports are missing: the module cannot be run with these options"),
        "{}",
        text.text()
    );
}

#[test]
fn explain_runs_nothing_and_takes_the_options_of_run() {
    let bench = Bench::with("first.wat", FIRST_DIR).file("args.wat", ARGS);
    let ran = bench.run(&["explain", "--fuel", "1", "--cwd", ".", "first.wat", "--", "x"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert!(ran.text().contains("arguments: 2"), "{}", ran.text());
    assert!(ran.text().contains("granted by `--cwd .`"), "{}", ran.text());
}

#[test]
fn wast_runs_files_and_directories_and_ends_with_the_totals() {
    let good = r#"(module (func (export "f") (result i32) (i32.const 1)))
        (assert_return (invoke "f") (i32.const 1))"#;
    let bad = r#"(module (func (export "f") (result i32) (i32.const 1)))
        (assert_return (invoke "f") (i32.const 2))"#;
    let bench = Bench::with("suite/a.wast", good).file("suite/sub/b.wast", good).file("bad.wast", bad);
    let ran = bench.run(&["wast", "suite"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    assert_eq!(ran.text().lines().last(), Some("4 passed, 0 failed, 0 skipped"));
    let ran = bench.run(&["wast", "bad.wast", "suite/a.wast"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.text().contains("bad.wast:2: "), "{}", ran.text());
    assert_eq!(ran.text().lines().last(), Some("3 passed, 1 failed, 0 skipped"));
    assert_eq!(bench.run(&["wast", "nowhere.wast"]).code, Some(1));
}

#[test]
fn wast_names_a_directory_that_cannot_be_read_and_runs_the_others() {
    let half = vec!["n".repeat(255); 8].join("/");
    let bench = Bench::with("suite/a.wast", "(module)")
        .file("suite/z/b.wast", "(module)")
        .file(&format!("suite/{half}/c.wast"), "(module)")
        .file(&format!("lower/{half}/d.wast"), "(module)");
    // Root reads all directories but those whose paths are too long for the system.
    std::fs::rename(bench.path("lower"), bench.path(&format!("suite/{half}/lower"))).unwrap();
    let ran = bench.run(&["wast", "suite"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""));
    let failure = ran.text().lines().find(|line| line.contains("cannot be read")).unwrap();
    assert!(failure.starts_with("suite/nnn") && !failure.contains(":0:"), "{failure}");
    assert!(failure.ends_with("nnn: cannot be read: File name too long (os error 36)"), "{failure}");
    assert_eq!(ran.text().lines().last(), Some("3 passed, 1 failed, 0 skipped"));
    let ran = bench.run(&["wast", "nowhere"]);
    let failure = "nowhere: cannot be read: No such file or directory (os error 2)";
    assert!(ran.text().lines().any(|line| line == failure), "{}", ran.text());
}

#[test]
fn completion_scripts_know_commands_and_options() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = Bench::new().run(&["completion", shell]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{shell}");
        assert!(ran.text().contains("preload") && ran.text().contains("inspect"), "{shell}");
    }
    assert_eq!(Bench::new().run(&["completion", "tcsh"]).code, Some(2));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let bench = Bench::new();
    let mut child = bench
        .command(&["completion", "bash"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

const TWO: &str = r#"(module
    (func $leaf (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
    (func $_start (export "_start") (local $i i32)
      (loop $l
        (drop (call $leaf (local.get $i)))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 300000))))))"#;

#[test]
fn explain_tiers_compiles_every_function_and_says_what_that_costs() {
    let huge = format!("(module (func {}) (func $small))", "(drop (i32.const 1))".repeat(400_000));
    let bench = Bench::with("two.wat", TWO).file("huge.wat", huge).file("one.wat", NOTHING);
    let tiers = |args: &[&str]| {
        let ran = bench.run(&[&["explain", "--tiers"], args].concat());
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{args:?}");
        ran.text().to_owned()
    };
    let report: serde_json::Value = serde_json::from_str(&tiers(&["--json", "two.wat"])).unwrap();
    assert_eq!((&report["functions"], &report["compiled"]), (&2.into(), &2.into()), "{report}");
    let [leaf, start] = &report["tiers"].as_array().unwrap()[..] else { panic!("{report}") };
    assert_eq!((&leaf["name"], &start["name"]), (&"leaf".into(), &"_start".into()));
    assert!(leaf["code_size"].as_u64() > Some(0) && leaf["compile_ms"].as_f64() > Some(0.0), "{report}");
    let text = tiers(&["huge.wat"]);
    assert!(text.starts_with("2 functions, 1 compiled"), "{text}");
    assert!(text.contains("(not compiled: its body has "), "{text}");
    assert!(text.contains("small"), "{text}");
    let text = tiers(&["one.wat"]);
    assert!(text.starts_with("1 function, 1 compiled (0 from the cache) and 0 loops, in "), "{text}");
}

#[test]
fn stats_of_a_run_tell_what_was_compiled_while_it_ran() {
    let bench = Bench::with("two.wat", TWO);
    let stats = |args: &[&str]| {
        let ran = bench.run(&[&["--no-cache", "--stats", "json"], args, &["two.wat"]].concat());
        assert_eq!((ran.code, ran.text()), (Some(0), ""), "{args:?}: {}", ran.stderr);
        serde_json::from_str::<serde_json::Value>(&ran.stderr).unwrap()
    };
    let interpreted = stats(&["--mode", "interp"]);
    assert_eq!((&interpreted["functions"], &interpreted["compiled"]), (&2.into(), &0.into()));
    assert_eq!(stats(&["--mode", "jit"])["compiled"], 2);
    // The loop is warm after the first hundredth of its turns.
    let tiered = stats(&[]);
    assert!(tiered["tiers"][1]["executions"].as_u64() > Some(0), "{tiered}");
    let text = bench.run(&["--no-cache", "--stats", "text", "two.wat"]);
    assert!(text.stderr.starts_with("2 functions, "), "{}", text.stderr);
}

#[test]
fn stats_tell_of_preloaded_modules_too() {
    let app = r#"(module (import "lib" "f" (func $f)) (func (export "_start") (call $f)))"#;
    let lib = r#"(module (func $first) (func $second (export "f")))"#;
    let bench = Bench::with("app.wat", app).file("lib.wat", lib);
    let stats = |form| {
        let run = ["--no-cache", "--mode", "jit", "--stats", form, "--preload", "lib=lib.wat", "app.wat"];
        let ran = bench.run(&run);
        assert_eq!((ran.code, ran.text()), (Some(0), ""), "{}", ran.stderr);
        ran.stderr
    };
    let json: serde_json::Value = serde_json::from_str(&stats("json")).unwrap();
    assert_eq!((&json["functions"], &json["compiled"]), (&1.into(), &1.into()), "{json}");
    let [lib] = &json["preloaded"].as_array().unwrap()[..] else { panic!("{json}") };
    assert_eq!(
        (&lib["preloaded_as"], &lib["functions"], &lib["compiled"]),
        (&"lib".into(), &2.into(), &2.into())
    );
    assert_eq!(lib["tiers"][1]["name"], "second");
    let text = stats("text");
    let (of_app, of_lib) = text.split_once("\npreloaded as `lib`: 2 functions, 2 compiled").unwrap();
    assert!(of_app.starts_with("1 function, 1 compiled") && of_lib.contains("second"), "{text}");
}

#[test]
fn code_that_may_not_be_larger_is_left_to_the_interpreter() {
    let long = "(local.set 0 (i32.rotl (i32.add (local.get 0) (i32.const 12345)) (i32.mul (local.get 0) (i32.const 7))))";
    let function = format!("(func (param i32) (result i32) {} (local.get 0))", long.repeat(30));
    let module = format!(r#"(module {} (func (export "_start")))"#, function.repeat(200));
    let bench = Bench::with("large.wat", module);
    let stats = |size: &str| {
        let size = format!("max-code-size={size}");
        let run = ["--no-cache", "--mode", "quick", "-O", &size, "--stats", "json", "large.wat"];
        let ran = bench.run(&run);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        serde_json::from_str::<serde_json::Value>(&ran.stderr).unwrap()
    };
    assert_eq!(stats("16MiB")["compiled"], 201);
    let little = stats("64KiB");
    assert!(little["compiled"].as_u64() < Some(200), "{little}");
    let reasons = little["tiers"].as_array().unwrap().iter().filter_map(|row| row["reason"].as_str());
    let full =
        reasons.filter(|reason| reason.contains("code memory is full") && reason.contains("max_code_size"));
    assert!(full.count() > 0, "{little}");
}
