//! What goes wrong, how it is said, and the exit code it ends with.

use crate::common::{Bench, NOTHING};

#[test]
fn a_trap_prints_its_kind_and_the_frames_and_ends_with_134() {
    let text = r#"(module $m
        (func $inner (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
        (func $outer (export "_start") (drop (call $inner (i32.const 0)))))"#;
    let binary = wat::parse_str(text).unwrap();
    // The division is the only byte 0x6e of the module, the call the only 0x10 0x00.
    let division = binary.iter().position(|b| *b == 0x6e).unwrap();
    let call = binary.windows(2).position(|b| b == [0x10, 0x00]).unwrap();
    Bench::with("trap.wasm", binary).run(&["trap.wasm"]).assert_error(
        134,
        &format!(
            "error: `trap.wasm` trapped\n\
             caused by: integer divide by zero\n\
             wasm backtrace:\n    0: {division:#x} - m!inner\n    1: {call:#x} - m!outer\n"
        ),
    );
}

#[test]
fn every_kind_of_trap_is_named() {
    for (body, kind) in [
        ("unreachable", "wasm `unreachable` instruction executed"),
        ("(drop (i32.load (i32.const -1)))", "out of bounds memory access"),
        ("(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))", "integer overflow"),
        ("(drop (i32.trunc_f32_s (f32.const nan)))", "invalid conversion to integer"),
        ("(call_indirect (i32.const 0))", "uninitialized element"),
        ("(call_indirect (i32.const 9))", "out of bounds table access"),
        ("(call_indirect (param i32) (i32.const 0) (i32.const 1))", "indirect call type mismatch"),
        ("(drop (table.get (i32.const 9)))", "out of bounds table access"),
    ] {
        let module = format!(
            r#"(module (memory 1) (table 2 funcref) (elem (i32.const 1) $f)
                (func $f (export "_start") {body}))"#
        );
        let ran = Bench::with("t.wat", module).run(&["t.wat"]);
        assert_eq!(ran.code, Some(134), "{}", ran.stderr);
        assert!(ran.stderr.contains(&format!("caused by: {kind}")), "{kind}: {}", ran.stderr);
    }
}

#[test]
fn a_trap_in_the_start_function_is_a_trap_and_no_link_error() {
    let ran = Bench::with("t.wat", "(module (func $s unreachable) (start $s))").run(&["t.wat"]);
    assert_eq!(ran.code, Some(134));
    assert!(
        ran.stderr.starts_with("error: `t.wat` trapped\ncaused by: wasm `unreachable`"),
        "{}",
        ran.stderr
    );
}

/// Throws a number in the start function or in an export.
const THROWS: &str = r#"(module $m
    (import "env" "tag" (tag $imported))
    (tag $tag (export "tag") (param i32 f64 externref))
    (func $throw (throw $tag (i32.const 7) (f64.const -0.5) (ref.null extern)))
    (func $start (export "_start") (call $throw))
    (func (export "null") (param exnref) (result exnref) (local.get 0)))"#;

#[test]
fn an_exception_that_nobody_catches_is_an_error_with_frames_and_ends_with_134() {
    let tag = r#"(module (tag (export "tag")))"#;
    let bench = Bench::with("t.wat", THROWS).file("tag.wat", tag);
    for mode in ["interp", "jit", "quick", "tiered"] {
        let ran = bench.run(&["--mode", mode, "--preload", "env=tag.wat", "t.wat"]);
        let expected = "error: `t.wat` ended with an exception\n\
                        caused by: uncaught exception (i32 7, f64 -0.5, externref null)\n\
                        wasm backtrace:\n    0: 0x";
        assert_eq!(ran.code, Some(134), "{}", ran.stderr);
        assert!(ran.stderr.starts_with(expected), "{}", ran.stderr);
        let functions: Vec<_> = ran.stderr.lines().filter_map(|line| line.split(" - ").nth(1)).collect();
        assert_eq!(functions, ["m!throw", "m!start"], "{}", ran.stderr);
    }
    let invoke = ["--preload", "env=tag.wat", "--invoke", "null", "t.wat", "null"];
    bench.run(&invoke).assert_clean(0, "null\n");
    let ran = bench.run(&["t.wat"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("`--preload env=FILE`"), "{}", ran.stderr);

    let text = THROWS.replace(r#"$start (export "_start")"#, "$start").replace("$m", "$m (start $start)");
    let ran = bench.file("s.wat", text).run(&["--preload", "env=tag.wat", "s.wat"]);
    assert_eq!(ran.code, Some(134), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("error: `s.wat` ended with an exception\n"), "{}", ran.stderr);
}

#[test]
fn frames_have_source_lines_where_the_module_has_dwarf() {
    let text = "(module $m\n  (func $f (export \"_start\")\n    unreachable))";
    let mut parser = wat::Parser::new();
    parser.generate_dwarf(wat::GenerateDwarf::Lines);
    let binary = parser.parse_str(Some("src/trap.wat".as_ref()), text).unwrap();
    let ran = Bench::with("t.wasm", binary).run(&["t.wasm"]);
    let at = ran.stderr.lines().find(|line| line.trim_start().starts_with("at ")).unwrap_or_default();
    assert!(at.contains("trap.wat:3"), "{}", ran.stderr);
}

#[test]
fn the_backtrace_can_be_cut() {
    let bench = Bench::with(
        "deep.wat",
        r#"(module (func $f (export "_start") (call $g)) (func $g (call $h)) (func $h unreachable))"#,
    );
    let frames = |n: &str| {
        let ran = bench.run(&["-D", &format!("max-backtrace={n}"), "deep.wat"]);
        ran.stderr.lines().filter(|line| line.contains(" - ")).count()
    };
    assert_eq!((frames("0"), frames("1"), frames("2"), frames("9")), (0, 1, 2, 3));
}

#[test]
fn an_import_that_nothing_provides_names_the_option_that_would() {
    Bench::with("i.wat", r#"(module (import "env" "frob" (func (param i32))) (func (export "_start")))"#)
        .run(&["i.wat"])
        .assert_error(
            1,
            "error: `i.wat` cannot be linked\n\
             caused by: nothing provides the import `env::frob`, a func (i32) -> ()\n\
             help: `--preload env=FILE` provides the exports of another module as imports from `env`\n",
        );
}

#[test]
fn modules_for_other_hosts_are_told_apart() {
    let refused = |module: &str, name: &str| {
        let text = format!(r#"(module (import "{module}" "{name}" (func)) (func (export "_start")))"#);
        let ran = Bench::with("i.wat", text).run(&["i.wat"]);
        assert_eq!(ran.code, Some(1));
        ran.stderr
    };
    let stderr = refused("env", "emscripten_resize_heap");
    assert!(stderr.contains("this module was built by Emscripten for a JavaScript host\n"), "{stderr}");
    assert!(
        stderr.contains("help: link it with `-sSTANDALONE_WASM`, or build it with a WASI SDK\n"),
        "{stderr}"
    );
    let stderr = refused("wasi_snapshot_preview1", "sock_open");
    assert!(stderr.contains("this module was built for the sockets of WasmEdge"), "{stderr}");
    let stderr = refused("wasix_32v1", "proc_fork");
    assert!(stderr.contains("this module was built for WASIX"), "{stderr}");
    let stderr = refused("wasi_snapshot_preview1", "frob");
    assert!(stderr.contains("`wasi_snapshot_preview1` has no function `frob`\n"), "{stderr}");
}

#[test]
fn many_missing_imports_are_counted() {
    let imports: String = (0..30).map(|i| format!(r#"(import "env" "f{i}" (func))"#)).collect();
    let ran = Bench::with("i.wat", format!(r#"(module {imports} (func (export "_start")))"#)).run(&["i.wat"]);
    assert_eq!(ran.stderr.matches("nothing provides the import").count(), 10);
    assert!(ran.stderr.contains("caused by: and 20 more are missing\n"), "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("help: ").count(), 1);
}

#[test]
fn preloaded_modules_provide_imports() {
    let bench = Bench::with(
        "app.wat",
        r#"(module (import "lib" "seven" (func $seven (result i32))) (import "lib" "memory" (memory 1))
            (func (export "get") (result i32) (i32.add (call $seven) (i32.load (i32.const 0)))))"#,
    )
    .file(
        "lib.wat",
        r#"(module (memory (export "memory") 1) (func (export "seven") (result i32) (i32.const 7))
            (func (export "_initialize") (i32.store (i32.const 0) (i32.const 100))))"#,
    )
    .file("other.wat", NOTHING);
    bench.run(&["--preload", "lib=lib.wat", "--invoke", "get", "app.wat"]).assert_clean(0, "107\n");
    let ran = bench.run(&["--preload", "lib=other.wat", "--invoke", "get", "app.wat"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("nothing provides the import `lib::seven`, a func () -> (i32): `other.wat`, preloaded as `lib`, does not export it\n"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_preloaded_module_stands_in_front_of_wasi() {
    let bench = Bench::with(
        "app.wat",
        r#"(module (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
            (func (export "yield") (result i32) (call $yield)))"#,
    )
    .file("fake.wat", r#"(module (func (export "sched_yield") (result i32) (i32.const 77)))"#);
    bench.run(&["--invoke", "yield", "app.wat"]).assert_clean(0, "0\n");
    let preload = ["--preload", "wasi_snapshot_preview1=fake.wat", "--invoke", "yield", "app.wat"];
    bench.run(&preload).assert_clean(0, "77\n");
}

#[test]
fn an_import_of_another_type_is_a_link_error() {
    let bench = Bench::with("app.wat", r#"(module (import "lib" "f" (func (param i64))))"#)
        .file("lib.wat", r#"(module (func (export "f") (param i32)))"#);
    let ran = bench.run(&["--preload", "lib=lib.wat", "app.wat"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.starts_with("error: `app.wat` cannot be instantiated\ncaused by: "), "{}", ran.stderr);
    assert!(ran.stderr.contains("(i64)") && ran.stderr.contains("(i32)"), "{}", ran.stderr);
}

#[test]
fn unknown_imports_can_be_left_to_trap_when_they_are_called() {
    let bench = Bench::with(
        "i.wat",
        r#"(module (import "env" "frob" (func $frob)) (func (export "_start")) (func (export "call") (call $frob)))"#,
    );
    bench.run(&["-W", "unknown-imports-trap", "i.wat"]).assert_clean(0, "");
    let ran = bench.run(&["-Wunknown-imports-trap=y", "--invoke", "call", "i.wat"]);
    assert_eq!(ran.code, Some(134));
    assert!(ran.stderr.contains("frob"), "{}", ran.stderr);
}

#[test]
fn files_that_are_no_modules_are_told_apart() {
    let bench = Bench::with("empty.wasm", "")
        .file("text.wat", "(module")
        .file("gzip.wasm", b"\x1f\x8b\x08\x00")
        .file("elf", b"\x7fELF\x02\x01")
        .file("random.wasm", b"\xff\xfe\xfd")
        .file("holes.wasm", [0; 100])
        .file("cut.wasm", b"\0asm\x01\0\0\0\x01\x05\x01")
        .file("body.wat", "(module (func (result i32) i64.const 0))");
    bench
        .run(&["empty.wasm"])
        .assert_error(1, "error: `empty.wasm` is no WebAssembly module\ncaused by: it is empty\n");
    bench.run(&["gzip.wasm"]).assert_error(
        1,
        "error: `gzip.wasm` is no WebAssembly module\ncaused by: it is compressed with gzip\n",
    );
    bench.run(&["elf"]).assert_error(
        1,
        "error: `elf` is no WebAssembly module\ncaused by: it is a native program or library\n",
    );
    for file in ["random.wasm", "holes.wasm"] {
        let error = format!(
            "error: `{file}` is no WebAssembly module\n\
             caused by: it neither begins with the four bytes `\\0asm` nor is it its text form\n"
        );
        bench.run(&[file]).assert_error(1, &error);
    }
    let ran = bench.run(&["text.wat"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.starts_with("error: `text.wat` is no WebAssembly text\ncaused by: "),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("text.wat:1:"), "{}", ran.stderr);
    let ran = bench.run(&["cut.wasm"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.starts_with("error: `cut.wasm` cannot be run\ncaused by: unexpected end"),
        "{}",
        ran.stderr
    );
    let ran = bench.run(&["body.wat"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("type mismatch: expected i32, found i64 (at offset 0x"), "{}", ran.stderr);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let bench = Bench::new();
    bench.run(&["nowhere.wasm"]).assert_error(
        1,
        "error: cannot read `nowhere.wasm`\ncaused by: No such file or directory (os error 2)\n",
    );
    bench.run(&["inspct", "x"]).assert_error(
        1,
        "error: cannot read `inspct`\ncaused by: No such file or directory (os error 2)\n\
         help: if this was meant to be a command, `wasmrun --help` lists them\n",
    );
    // Where no command can stand, none was meant.
    let missing = "error: cannot read `x`\ncaused by: No such file or directory (os error 2)\n";
    let bench = bench.file("a.wat", NOTHING);
    bench.run(&["--preload", "=x", "a.wat"]).assert_error(1, missing);
    bench.run(&["inspect", "x"]).assert_error(1, missing);
}

#[test]
fn a_component_is_recognised_and_says_what_it_imports() {
    let bench = Bench::with(
        "c.wat",
        r#"(component (import "wasi:cli/environment@0.2.0" (instance)) (import "run" (func)))"#,
    );
    bench.run(&["c.wat"]).assert_error(
        1,
        "error: `c.wat` is a component; this version runs core modules\n\
         caused by: components are not implemented yet; this one imports `wasi:cli/environment@0.2.0`, `run`\n\
         help: build it for WASI preview 1 as a core module (for Rust, the target `wasm32-wasip1`)\n",
    );
}

#[test]
fn a_module_that_needs_what_is_off_or_not_executed_yet_names_the_proposal() {
    let bench = Bench::with(
        "tail.wat",
        r#"(module (func $f (export "_start") (if (i32.const 0) (then (return_call $f)))))"#,
    );
    bench.run(&["tail.wat"]).assert_clean(0, "");
    let ran = bench.run(&["-W", "tail-call=n", "tail.wat"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.contains("the module uses the proposal `tail-call`, which is switched off\n"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.ends_with("help: `-W tail-call=y` switches it on\n"), "{}", ran.stderr);
}

#[test]
fn usage_errors_end_with_2_and_say_nothing_on_stdout() {
    let bench = Bench::with("a.wat", NOTHING);
    for (args, start) in [
        (&["--no-such-option", "a.wat"][..], "error: unexpected argument '--no-such-option' found\n"),
        (&["run"], "error: FILE, the module to run, is missing\n"),
        (
            &["--fuel", "many", "a.wat"],
            "error: `--fuel`: `many` is no whole number between 0 and 18446744073709551615\n",
        ),
        (
            &["--timeout", "soon", "a.wat"],
            "error: `--timeout`: `soon` is no duration; write a number and a unit, such as `2s` or `100ms`\n",
        ),
        (
            &["--max-memory", "64MB", "a.wat"],
            "error: `--max-memory`: `64MB` is no size; write a number of bytes, or a number and KiB, MiB, GiB or TiB\n",
        ),
        (&["--preload", "x", "a.wat"], "error: `--preload`: `x` is not of the form NAME=FILE\n"),
        (&["--env", "=x", "a.wat"], "error: `--env`: `=x` names no variable; write NAME=VALUE or NAME\n"),
        (&["-W", "fule=1", "a.wat"], "error: `-W` has no key `fule`\n\nKeys of -W: timeout, fuel, "),
        (&["-W", "fuel=x", "a.wat"], "error: `-W fuel=x`: `x` is no whole number"),
        (
            &["-W", "stack-switching=y", "a.wat"],
            "error: `-W stack-switching`: the engine does not execute this proposal yet\n",
        ),
        (
            &["-W", "max-table-elements=-5", "a.wat"],
            "error: `-W max-table-elements=-5`: `-5` is no whole number between 0 and 18446744073709551615\n",
        ),
        (&["-W", "max-instances=4K", "a.wat"], "error: `-W max-instances=4K`: `4K` is no whole number"),
        (&["-D", "max-backtrace=x", "a.wat"], "error: `-D max-backtrace=x`: `x` is no whole number"),
        (&["-O", "opt-level=9", "a.wat"], "error: `-O opt-level=9`: `9` is not known; there is `0`, `1`"),
        (
            &["--mode", "fast", "a.wat"],
            "error: `--mode`: `fast` is not known; there is `tiered`, `interp`, `jit`, `quick`\n",
        ),
        (&["-S", "fuel=1", "a.wat"], "error: `-S` has no key `fuel`; `-W fuel` exists\n"),
        (&["inspect"], "error: the following required arguments were not provided:\n"),
    ] {
        let ran = bench.run(args);
        assert_eq!((ran.code, ran.text()), (Some(2), ""), "{args:?}");
        assert!(ran.stderr.starts_with(start), "{args:?}: {}", ran.stderr);
    }
    let ran = bench.run(&[]);
    assert_eq!((ran.code, ran.text()), (Some(2), ""));
    assert!(ran.stderr.contains("Usage: wasmrun [run] [OPTIONS] FILE [ARGS]..."), "{}", ran.stderr);
}

#[test]
fn errors_have_no_colours_where_there_is_no_terminal() {
    let bench = Bench::with("t.wat", r#"(module (func (export "_start") unreachable))"#);
    for args in [&["t.wat"][..], &["nowhere.wasm"], &["--no-such-option"]] {
        assert!(!bench.run(args).stderr.contains('\x1b'));
    }
}

#[test]
fn preloads_are_explained_in_their_order_and_given_once() {
    let bench = Bench::with("main.wat", r#"(module (import "a" "f" (func)) (func (export "_start")))"#)
        .file("a.wat", r#"(module (import "b" "f" (func)) (export "f" (func 0)))"#)
        .file("b.wat", r#"(module (func (export "f")))"#);
    let right = bench.run(&["--preload", "b=b.wat", "--preload", "a=a.wat", "main.wat"]);
    assert_eq!(right.code, Some(0), "{}", right.stderr);
    let wrong = bench.run(&["--preload", "a=a.wat", "--preload", "b=b.wat", "main.wat"]);
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.stderr.contains("`b.wat`, preloaded as `b`, is not loaded yet"), "{}", wrong.stderr);
    let twice = bench.run(&["--preload", "b=b.wat", "--preload", "b=a.wat", "main.wat"]);
    assert_eq!(twice.code, Some(2));
    assert!(twice.stderr.contains("two modules are preloaded as `b`"), "{}", twice.stderr);
}

#[test]
fn a_standard_error_that_takes_nothing_changes_no_exit_code() {
    let bench = Bench::with("library.wat", r#"(module (func (export "f")))"#)
        .file("traps.wat", r#"(module (func (export "_start") unreachable))"#);
    for (file, code) in [("library.wat", 0), ("traps.wat", 134), ("missing.wat", 1)] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        assert_eq!(bench.command(&[file]).stderr(full).status().unwrap().code(), Some(code), "{file}");
    }
}

#[test]
fn a_stack_that_the_system_does_not_give_is_an_error_and_no_panic() {
    let bench = Bench::with("empty.wat", "(module)");
    let wasmrun = env!("CARGO_BIN_EXE_wasmrun");
    let script = format!("ulimit -v 1000000; exec {wasmrun} --mode interp --max-stack 1GiB empty.wat");
    let ran =
        std::process::Command::new("sh").args(["-c", &script]).current_dir(bench.root()).output().unwrap();
    assert_eq!(ran.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ran.stderr).starts_with("error: the guest cannot be set up"));
}

/// A module with so many elements in a segment for its table, which takes four bytes of memory for each.
fn module_with_elements(count: u32) -> Vec<u8> {
    let number = |mut n: u32| {
        let mut bytes = Vec::new();
        while n > 127 {
            bytes.push(n as u8 | 128);
            n >>= 7;
        }
        bytes.push(n as u8);
        bytes
    };
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    let mut section = |id: u8, contents: &[u8]| {
        module.push(id);
        module.extend(number(contents.len() as u32));
        module.extend(contents);
    };
    section(1, b"\x01\x60\0\0");
    section(3, b"\x01\0");
    section(4, &[b"\x01\x70\0", &number(count)[..]].concat());
    section(9, &[b"\x01\0\x41\0\x0b", &number(count)[..], &vec![0; count as usize]].concat());
    section(10, b"\x01\x02\0\x0b");
    module
}

#[test]
fn huge_memories_and_tables_are_errors_and_growth_of_them_fails_where_addresses_are_few() {
    let grows = r#"(module (memory i64 1) (table i64 1 funcref)
        (func (export "_start") (local $by i64)
          (local.set $by (i64.const 0x8000_0000_0000))
          (loop $l
            (if (i64.lt_u (local.get $by) (i64.const 0x1_0000)) (then (return)))
            (if (i64.ne (memory.grow (local.get $by)) (i64.const -1)) (then unreachable))
            (if (i64.ne (table.grow (ref.null func) (i64.shl (local.get $by) (i64.const 12))) (i64.const -1))
              (then unreachable))
            (local.set $by (i64.shr_u (local.get $by) (i64.const 1)))
            (br $l))))"#;
    let huge = [
        ("memory.wat", "(module (memory i64 0x1_0000_0000_0000))", "memory 0 of 281474976710656 pages"),
        ("reserved.wat", "(module (memory i64 0x10_0000))", "memory 0 of 1048576 pages"),
        ("bytes.wat", "(module (memory 0xffff_ffff (pagesize 1)))", "memory 0 of 4294967295 pages"),
        ("table.wat", "(module (table i64 0x1000_0000_0000_0000 funcref))", "table 0 of 1152921504606846976"),
    ];
    let mut bench = Bench::with("grows.wat", grows);
    for (file, text, _) in huge {
        bench = bench.file(file, text);
    }
    let wasmrun = env!("CARGO_BIN_EXE_wasmrun");
    for mode in ["interp", "jit", "tiered"] {
        let run = |file: &str| {
            // Less than one of these memories takes at its start.
            let script = format!("ulimit -v 3000000; exec {wasmrun} --mode {mode} {file}");
            let mut shell = std::process::Command::new("sh");
            let ran = shell.args(["-c", &script]).current_dir(bench.root()).output().unwrap();
            (ran.status.code(), String::from_utf8_lossy(&ran.stderr).into_owned())
        };
        assert_eq!(run("grows.wat"), (Some(0), String::new()), "{mode}");
        for (file, _, what) in huge {
            let (code, stderr) = run(file);
            assert_eq!(code, Some(1), "{mode} {file}: {stderr}");
            assert!(stderr.starts_with("error: ") && stderr.contains(what), "{mode} {file}: {stderr}");
        }
    }
}

#[test]
fn a_module_for_which_the_system_has_no_memory_is_an_error_and_no_abort() {
    let bench = Bench::with("elements.wasm", module_with_elements(9_900_000));
    let wasmrun = env!("CARGO_BIN_EXE_wasmrun");
    // Too little for the 40 MB of the segment, and for the 80 MB of the table.
    let limits = [(44_000, "cannot be run"), (100_000, "cannot be instantiated")];
    for (limit, failed) in limits {
        let script = format!("ulimit -v {limit}; exec {wasmrun} --mode interp elements.wasm");
        let mut shell = std::process::Command::new("sh");
        let ran = shell.args(["-c", &script]).current_dir(bench.root()).output().unwrap();
        let stderr = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(1), "ulimit -v {limit}: {stderr}");
        assert!(stderr.starts_with("error: ") && stderr.contains(failed), "ulimit -v {limit}: {stderr}");
    }
}
