//! Files and surroundings that were made, or happen, to be unpleasant: what the command prints stays readable and
//! harmless, and it ends with an error and no panic.

use std::fs::File;
use std::process::Stdio;

use crate::common::{ARGS, Bench, NOTHING, Ran};

/// Names with an escape sequence, with the single character that begins one on some terminals, and with a line
/// that pretends to be ours.
const NAMES: &str = r#"(module
    (import "m\1b[2J" "i\c2\9b1m\0ahelp: forged" (func))
    (func (export "e\1b[31m\0ahelp: forged") (param i32))
    (func (export "_start"))
    (@custom "c\1b]0;x\07" ""))"#;

/// Characters that change the direction of a text, and Unicode's ends of a line and of a paragraph.
const DIRECTIONS_AND_ENDS: [char; 14] = [
    '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}', '\u{202e}',
    '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}', '\u{2028}', '\u{2029}',
];

#[track_caller]
fn assert_harmless(text: &str) {
    let command = text.chars().find(|c| (c.is_control() || DIRECTIONS_AND_ENDS.contains(c)) && *c != '\n');
    assert_eq!(command, None, "{text:?}");
    assert!(!text.lines().any(|line| line == "help: forged"), "{text}");
}

#[track_caller]
fn assert_says_something_harmless(bench: &Bench, args: &[&str]) {
    let ran = bench.run(args);
    assert_harmless(ran.text());
    assert_harmless(&ran.stderr);
    assert!(ran.text().len() + ran.stderr.len() > 0, "{args:?}");
}

#[test]
fn names_that_a_guest_chose_do_not_command_the_terminal() {
    let bench = Bench::with("n.wat", NAMES);
    for args in [
        &["n.wat"][..],
        &["inspect", "n.wat"],
        &["inspect", "--json", "n.wat"],
        &["explain", "n.wat"],
        &["explain", "--json", "n.wat"],
        &["--invoke", "nope", "n.wat"],
        &["--invoke", "no\x1b[1mpe", "n.wat"],
        &["-W", "unknown-imports-trap", "--invoke", "e\x1b[31m\nhelp: forged", "n.wat"],
        &["--preload", "m\x1b[2J=n.wat", "n.wat"],
    ] {
        assert_says_something_harmless(&bench, args);
    }
    // In JSON they are still all there.
    let ran = bench.run(&["inspect", "--json", "n.wat"]);
    let value: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(value["imports"][0]["name"], "i\u{9b}1m\nhelp: forged");
}

#[test]
fn errors_of_the_engine_and_of_traps_do_not_command_the_terminal() {
    let bench = Bench::with(
        "call.wat",
        r#"(module $"m\1b[1m" (import "a\1b[2J" "b\0ahelp: forged" (func $f))
            (func $"s\1b[1m" (export "_start") (call $f)))"#,
    )
    .file("lib.wat", r#"(module (func (export "b\0ahelp: forged") (param i32)))"#);
    let ran = bench.run(&["-W", "unknown-imports-trap", "call.wat"]);
    assert_eq!(ran.code, Some(134), "{}", ran.stderr);
    assert_harmless(&ran.stderr);
    let ran = bench.run(&["--preload", "a\x1b[2J=lib.wat", "call.wat"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert_harmless(&ran.stderr);
}

#[test]
fn names_that_a_guest_chose_do_not_turn_a_line_or_end_it() {
    let name: String = DIRECTIONS_AND_ENDS.iter().collect();
    // The parser of the text format refuses them where they are not escaped.
    let escaped = name.escape_unicode();
    let module = format!(
        r#"(module $"m{escaped}" (import "i{escaped}" "i{escaped}" (func))
            (func $"f{escaped}" (export "_start") (export "e{escaped}") unreachable) (@custom "c{escaped}" ""))"#
    );
    let bench = Bench::with("n.wat", module).file("bad.wat", format!("(module oops ;; {name}\n)"));
    for args in [
        &["n.wat"][..],
        &["-W", "unknown-imports-trap", "n.wat"],
        &["--invoke", "nope", "n.wat"],
        &["inspect", "n.wat"],
        &["inspect", "--json", "n.wat"],
        &["explain", "n.wat"],
        &["explain", "--json", "n.wat"],
        &["explain", "--tiers", "n.wat"],
        &["bad.wat"],
    ] {
        assert_says_something_harmless(&bench, args);
    }
    let ran = bench.run(&["inspect", "--json", "n.wat"]);
    let value: serde_json::Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(value["imports"][0]["name"], format!("i{name}"), "in JSON they are still all there");
}

#[test]
fn texts_and_file_names_do_not_command_the_terminal() {
    let bench = Bench::with("bad\x1b[1m.wat", "(module \"\x1b[2J\x7f\" \u{9b}1m)")
        .file("bad\nhelp: forged\n.wat", "(module")
        .file("bad.wast", "(module (func $f\u{9b}))\n(assert_return (invoke \"\\1b[2J\"))");
    for args in [
        &["bad\x1b[1m.wat"][..],
        &["inspect", "bad\x1b[1m.wat"],
        &["bad\nhelp: forged\n.wat"],
        &["wast", "bad.wast"],
    ] {
        let ran = bench.run(args);
        assert_eq!(ran.code, Some(1), "{args:?}");
        assert_harmless(ran.text());
        assert_harmless(&ran.stderr);
    }
}

#[test]
fn a_syntax_error_in_a_line_of_megabytes_shows_what_is_around_it() {
    for before in [10, 400, 3_000_000] {
        let text = format!("(module (;{};) oops {})", "x".repeat(before), "y".repeat(3_000_000));
        let ran = Bench::with("t.wat", text).run(&["t.wat"]);
        assert_eq!(ran.code, Some(1));
        assert!(ran.stderr.len() < 600, "{} bytes", ran.stderr.len());
        assert!(ran.stderr.contains(&format!("t.wat:1:{}\n", before + 14)), "{}", ran.stderr);
        let lines: Vec<_> = ran.stderr.lines().collect();
        let mark = lines.iter().position(|line| line.ends_with('^')).unwrap();
        let column = lines[mark].chars().count() - 1;
        let marked: String = lines[mark - 1].chars().skip(column).collect();
        assert!(marked.starts_with("oops yyy") && marked.ends_with('…'), "{}", ran.stderr);
    }
}

#[test]
fn a_file_of_a_terabyte_is_refused_unread() {
    let bench = Bench::new();
    File::create(bench.path("hole.wasm")).unwrap().set_len(1 << 40).unwrap();
    bench.run(&["hole.wasm"]).assert_error(1, "error: cannot read `hole.wasm`\ncaused by: file too large\n");
}

#[test]
fn a_hundred_thousand_exports_are_counted_and_not_listed() {
    let exports: String = (0..100_000).map(|i| format!("(export \"e{i}\" (func 0))")).collect();
    let bench = Bench::with("many.wat", format!("(module (func) {exports})"));
    let ran = bench.run(&["many.wat"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stderr.ends_with("`e11` () -> () and 99,988 more\n"), "{:.2000}", ran.stderr);
    let ran = bench.run(&["--invoke", "nope", "many.wat"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.len() < 1000, "{} bytes", ran.stderr.len());
}

#[test]
fn the_longest_names_and_types_are_cut() {
    let long = "n".repeat(100_000);
    let types = "i32 ".repeat(1000);
    let module = format!(
        r#"(module (import "{long}" "{long}" (func (param {types}))) (func (export "{long}") (param {types}))
            (@custom "{long}" ""))"#
    );
    let bench = Bench::with("n.wat", module);
    let short = |ran: Ran, code: i32| {
        assert_eq!(ran.code, Some(code), "{:.2000}", ran.stderr);
        for line in ran.text().lines().chain(ran.stderr.lines()) {
            assert!(line.len() < 8000, "{} bytes: {line:.2000}", line.len());
        }
    };
    short(bench.run(&["n.wat"]), 1);
    short(bench.run(&["inspect", "n.wat"]), 0);
    short(bench.run(&["explain", "n.wat"]), 0);
    short(bench.run(&["--invoke", "nope", "n.wat"]), 1);
    short(bench.run(&["--invoke", &long, "n.wat"]), 2);
}

#[test]
fn a_standard_output_that_takes_nothing_is_an_error() {
    let bench = Bench::with("args.wat", ARGS)
        .file("seven.wat", r#"(module (func (export "seven") (result i32) (i32.const 7)))"#)
        .file("a.wast", "(module)");
    for args in [
        &["--help"][..],
        &["-h"],
        &["help", "run"],
        &["inspect", "--help"],
        &["--version"],
        &["-W", "help"],
        &["inspect", "args.wat"],
        &["inspect", "--json", "args.wat"],
        &["explain", "args.wat"],
        &["completion", "bash"],
        &["wast", "a.wast"],
        &["--invoke", "seven", "seven.wat"],
    ] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = bench.command(args).stdout(full).stderr(Stdio::piped()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            stderr,
            "error: cannot write to the standard output\ncaused by: No space left on device (os error 28)\n",
            "{args:?}"
        );
        assert_eq!(output.status.code(), Some(1), "{args:?}");
    }
}

#[test]
fn too_few_descriptors_are_an_error_and_no_panic() {
    let bench = Bench::with("a.wat", NOTHING).file("data/x", "");
    let mut refused = 0;
    // Below seven or so the system cannot even start the command.
    for limit in 3..=128 {
        let mut shell = std::process::Command::new("sh");
        let script = format!("ulimit -n {limit} && exec \"$0\" \"$@\"");
        shell.args([
            "-c",
            &script,
            env!("CARGO_BIN_EXE_wasmrun"),
            "--dir",
            "data",
            "--timeout",
            "1h",
            "a.wat",
        ]);
        let output = shell.current_dir(bench.root()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        match output.status.code() {
            Some(0) => assert_eq!(stderr, "", "ulimit -n {limit}"),
            _ if stderr.contains("shared libraries") => {}
            code => {
                refused += 1;
                assert_eq!(code, Some(1), "ulimit -n {limit}: {stderr}");
                assert!(
                    stderr.starts_with("error: cannot grant `--dir data`\n")
                        || stderr.starts_with(
                            "error: the guest cannot be given its standard streams and directories\n"
                        )
                        || stderr.starts_with("error: cannot read `a.wat`\n"),
                    "ulimit -n {limit}: {stderr}"
                );
                assert!(stderr.contains("ulimit -n"), "ulimit -n {limit}: {stderr}");
            }
        }
    }
    assert!(refused > 0, "no limit was small enough");
}
