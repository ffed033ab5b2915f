//! `wasmrun explore`: what is on its page, and what never is.

use std::fs;

use crate::common::{Bench, Ran};
use serde_json::Value;

const MODULE: &str = r#"(module
    (import "env" "log" (func $log (param i32)))
    (memory 1)
    (func $divide (export "quotient") (param $x i32) (param $y i32) (result i32)
        (i32.div_u (i32.add (local.get $x) (i32.const 7)) (local.get $y)))
    (func $count (param $n i32)
        (loop $again
            (call $log (local.get $n))
            (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
    (func (param i32) (result i32) (i32.load (local.get 0))))"#;

/// A body that is larger than what the compiler takes.
fn large() -> String {
    let body = "(drop (i32.const 1))".repeat((1 << 20) / 3 + 1);
    format!("(module (func $small nop) (func $large {body}))")
}

/// The data of a page.
#[track_caller]
fn data(html: &str) -> Value {
    let (_, behind) = html.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    let (json, _) = behind.split_once("</script>").unwrap();
    serde_json::from_str(json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

/// Explores `m.wat` with these options: the page and its data.
#[track_caller]
fn explored(bench: &Bench, options: &[&str]) -> (String, Value) {
    let ran = bench.run(&[&["explore", "m.wat", "-o", "-"], options].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let data = data(ran.text());
    (ran.text().to_owned(), data)
}

/// The lines of a column, each with its offset in the module.
fn lines(column: &Value) -> Vec<(i64, &str)> {
    let text = column["text"].as_str().unwrap();
    let wasm = column["wasm"].as_array().unwrap();
    let lines: Vec<_> = if wasm.is_empty() { Vec::new() } else { text.split('\n').collect() };
    assert_eq!(lines.len(), wasm.len(), "{column}");
    assert!(column["at"].is_null() || column["at"].as_array().unwrap().len() == lines.len());
    wasm.iter().map(|offset| offset.as_i64().unwrap()).zip(lines).collect()
}

/// The offset of the line that has this text.
#[track_caller]
fn offset_of(column: &Value, text: &str) -> i64 {
    let lines = lines(column);
    lines.iter().find(|(_, line)| line.trim() == text).unwrap_or_else(|| panic!("{text}: {lines:?}")).0
}

#[test]
fn lines_of_all_columns_that_stem_from_one_instruction_name_its_offset() {
    let bench = Bench::with("m.wat", MODULE);
    for mode in [&[][..], &["--mode", "quick"]] {
        let (_, page) = explored(&bench, mode);
        let functions = page["functions"].as_array().unwrap();
        let names: Vec<_> = functions.iter().map(|f| (f["index"].as_u64().unwrap(), &f["name"])).collect();
        assert_eq!(names, [(1, &"divide".into()), (2, &"count".into()), (3, &Value::Null)]);
        for function in functions {
            let start = function["start"].as_i64().unwrap();
            let body = start..start + function["size"].as_i64().unwrap();
            for column in function["columns"].as_array().unwrap() {
                assert!(!lines(column).is_empty());
                assert!(lines(column).iter().all(|(wasm, _)| *wasm == -1 || body.contains(wasm)), "{column}");
            }
        }
        let columns = &functions[0]["columns"];
        let division = offset_of(&columns[0], "i32.div_u");
        for (i, word) in ["i32.div_u", "div", "udiv", "udiv"].into_iter().enumerate() {
            let found =
                lines(&columns[i]).iter().any(|(wasm, line)| *wasm == division && line.contains(word));
            assert!(found, "{word}: {}", columns[i]);
        }
        if cfg!(target_arch = "x86_64") {
            let machine = lines(&columns[4]);
            let (_, line) = machine.iter().find(|(_, line)| line.starts_with("div")).expect("a division");
            assert!(machine.contains(&(division, line)) && line.contains("traps: integer divide by zero"));
        }
        let calling = offset_of(&functions[1]["columns"][0], "call $log");
        assert!(
            lines(&functions[1]["columns"][2]).iter().any(|(w, l)| *w == calling && l.contains("call_ind"))
        );
    }
}

#[test]
fn the_settings_of_the_compiler_are_those_of_the_command_line() {
    let bench = Bench::with("m.wat", MODULE);
    let settings = |options: &[&str]| {
        let (_, page) = explored(&bench, options);
        let machine = page["functions"][1]["columns"][4]["text"].as_str().unwrap().to_owned();
        (page["functions"][1]["quick"].as_bool().unwrap(), machine)
    };
    let (fast, fast_code) = settings(&["--mode", "jit"]);
    let (quick, quick_code) = settings(&["--mode", "quick"]);
    assert_eq!((fast, quick), (false, true));
    assert_ne!(fast_code, quick_code);
    assert_eq!(settings(&[]), (fast, fast_code.clone()));
    assert_eq!(settings(&["-O", "opt-level=0"]), (quick, quick_code));
    // Code that pays is longer.
    assert!(settings(&["--fuel", "1"]).1.lines().count() > fast_code.lines().count());
}

#[test]
fn functions_are_chosen_by_name_export_and_index() {
    let bench = Bench::with("m.wat", MODULE);
    let chosen = |names: &[&str]| -> Vec<u64> {
        let options: Vec<_> = names.iter().flat_map(|name| ["--function", name]).collect();
        let (_, page) = explored(&bench, &options);
        page["functions"].as_array().unwrap().iter().map(|f| f["index"].as_u64().unwrap()).collect()
    };
    assert_eq!(chosen(&["count"]), [2]);
    let unnamed = Bench::with("m.wat", r#"(module (func (export "only")))"#);
    let (_, page) = explored(&unnamed, &["--function", "only"]);
    assert_eq!(page["functions"][0]["name"], "only");
    assert_eq!(chosen(&["3", "quotient", "1"]), [1, 3]);
    let refused = |name: &str| bench.run(&["explore", "m.wat", "-o", "-", "--function", name]);
    refused("nope")
        .assert_error(2, "error: `m.wat` has no function `nope`\nhelp: it has `divide`, `count`\n");
    refused("4").assert_error(2, "error: `m.wat` has no function `4`\nhelp: it has `divide`, `count`\n");
    refused("log").assert_error(2, "error: `m.wat` has no function `log`\nhelp: it has `divide`, `count`\n");
    refused("0").assert_error(2, "error: the function 0 is imported: it has no code here\n");
}

#[test]
fn a_function_that_is_not_compiled_has_its_other_forms_and_the_reason() {
    let bench = Bench::with("m.wat", large());
    let (_, page) = explored(&bench, &["--function", "large"]);
    let function = &page["functions"][0];
    assert!(function["not_compiled"].as_str().unwrap().contains("bytes"), "{}", function["not_compiled"]);
    let columns = function["columns"].as_array().unwrap();
    assert!(lines(&columns[0]).len() > 1000 && !lines(&columns[1]).is_empty());
    for column in &columns[2..] {
        assert!(lines(column).is_empty());
        assert_eq!(column["missing"], function["not_compiled"]);
    }
    // Texts have a bound, and say that they were cut.
    assert!(columns[0]["missing"].as_str().unwrap().contains("left out"), "{}", columns[0]["missing"]);
    let (_, page) = explored(&bench, &["--function", "small"]);
    assert_eq!(page["functions"][0]["not_compiled"], Value::Null);
}

#[test]
fn a_full_page_says_what_is_missing() {
    let functions = "(func (param i32) (result i32) (i32.popcnt (local.get 0)))".repeat(50);
    let bench = Bench::with("m.wat", format!("(module {functions})"));
    let ran = bench.run(&["explore", "m.wat", "-o", "-", "--max-page", "20KiB"]);
    assert_eq!(ran.code, Some(0));
    let page = data(ran.text());
    let there = page["functions"].as_array().unwrap().len();
    assert!((2..50).contains(&there), "{there}");
    assert_eq!(page["head"]["left_out"], 50 - there);
    assert!(ran.stderr.starts_with(&format!("note: {} functions left out: ", 50 - there)), "{}", ran.stderr);
    let ran = bench.run(&["explore", "m.wat", "-o", "-"]);
    assert_eq!((ran.stderr.as_str(), &data(ran.text())["head"]["left_out"]), ("", &0.into()));
}

/// What must not be in the markup of a page, which is the page without its data, style and script.
#[track_caller]
fn assert_self_contained(html: &str) {
    let lower = html.to_lowercase();
    for word in [
        "http:",
        "https:",
        "src=",
        "srcset",
        "url(",
        "@import",
        "import(",
        "fetch(",
        "xmlhttprequest",
        "<link",
        "<img",
        "<iframe",
    ] {
        assert!(!lower.contains(word), "{word}");
    }
    assert_eq!(lower.matches("<script").count(), 2);
    assert_eq!(lower.matches("</script").count(), 2);
    assert_eq!(lower.matches("<style").count(), 1);
    assert!(lower.contains("default-src 'none'"));
}

#[test]
fn a_page_refers_to_nothing_outside() {
    let (html, _) = explored(&Bench::with("m.wat", MODULE), &[]);
    assert_self_contained(&html);
}

#[test]
fn names_that_a_guest_chose_are_text_on_the_page() {
    let name = r#"</script><script>alert(1)</script><img onerror=alert(2) src=x>"'&amp;{{data}}<!--"#;
    let escaped = name.replace('"', "\\\"");
    let text = format!(
        r#"(module (import "{escaped}" "{escaped}" (func $"i{escaped}"))
            (func $"{escaped}" (export "{escaped}\1b[2J") (param $"p{escaped}" i32) call $"i{escaped}"))"#
    );
    let bench = Bench::with("m.wat", &text).file("<img src=x>.wat", &text);
    let (html, page) = explored(&bench, &[]);
    let data = html.split_once("id=\"data\">").unwrap().1.split_once("</script>").unwrap().0;
    assert!(!data.contains('<') && data.contains("onerror"), "{data}");
    let without = html.replace(data, "");
    assert_self_contained(&without);
    assert!(!without.contains("alert"));
    assert_eq!(page["functions"][0]["name"], name);
    assert!(html.chars().all(|c| !c.is_control() || c == '\n'));

    let ran = bench.run(&["explore", "<img src=x>.wat"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let html = fs::read_to_string(bench.path("<img src=x>.explore.html")).unwrap();
    assert!(html.contains("<title>&lt;img src=x&gt;.wat</title>"));
    assert!(!html.contains("<img"));
}

#[test]
fn the_page_goes_where_it_is_sent_and_is_the_same_each_time() {
    let bench = Bench::with("m.wat", MODULE);
    let said = |ran: Ran| {
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
        ran.text().to_owned()
    };
    let line = said(bench.run(&["explore", "m.wat"]));
    let page = fs::read_to_string(bench.path("m.explore.html")).unwrap();
    assert!(line.starts_with("m.explore.html: 3 functions, ") && line.ends_with(" bytes\n"), "{line}");
    said(bench.run(&["explore", "--output", "page.html", "m.wat"]));
    assert_eq!(fs::read_to_string(bench.path("page.html")).unwrap(), page);
    assert_eq!(said(bench.run(&["explore", "m.wat", "-o", "-"])), page);
    let piped = bench.run_with(&["explore", "-"], &wat::parse_str(MODULE).unwrap(), &[]);
    assert!(said(piped).starts_with("stdin.explore.html: 3 functions"));
    let ran = bench.run(&["explore", "m.wat", "-o", "no/such/folder.html"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.starts_with("error: cannot write `no/such/folder.html`\ncaused by: "),
        "{}",
        ran.stderr
    );
}

#[test]
fn modules_without_functions_and_modules_that_are_none_are_answered() {
    let bench = Bench::with("m.wat", r#"(module (import "a" "b" (func)))"#)
        .file("bad.wat", "(module (func i32.add))");
    let (_, page) = explored(&bench, &[]);
    assert_eq!(page["functions"], Value::Array(Vec::new()));
    let ran = bench.run(&["explore", "bad.wat"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr.starts_with("error: `bad.wat` cannot be run\ncaused by: type mismatch"),
        "{}",
        ran.stderr
    );
    let ran = bench.run(&["explore", "m.wat", "--function", "f"]);
    assert!(ran.stderr.contains("`m.wat` has no function `f`\n"), "{}", ran.stderr);
}
