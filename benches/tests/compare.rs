//! The command as a whole, with shell scripts in the place of engines.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};

/// Held while a script is open for writing and while a process is started: a child that was forked just then would
/// hold the script open for a moment, and the system does not execute a file that someone may write.
static FORKS: Mutex<()> = Mutex::new(());

/// An "engine" at `dir/name`: answers `--version`, and otherwise does what `body` says, with the path of the
/// module in `$wasm` and the guest's arguments in `$@`.
fn engine(dir: &Path, name: &str, body: &str) -> PathBuf {
    let arguments = "if [ \"$1\" = run ]; then shift; fi\n\
        while [ \"${1#-}\" != \"$1\" ]; do option=$1 value=$2; shift 2; if [ $option = --dir ]; then dir=$value; fi; done\n\
        wasm=$1; shift\n";
    script(dir, name, &format!("{arguments}{body}"))
}

/// A command at `dir/name` that answers `--version`, and otherwise does what `body` says.
fn script(dir: &Path, name: &str, body: &str) -> PathBuf {
    let path = dir.join(name);
    let script = format!("#!/bin/sh\nif [ \"$1\" = --version ]; then echo {name} 0; exit; fi\n{body}\n");
    let _held = FORKS.lock().unwrap_or_else(PoisonError::into_inner);
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A suite of one program called `guest`.
fn suite(dir: &Path, columns: &str, values: &str) {
    fs::write(dir.join("LIST.tsv"), format!("#name\twasm{columns}\nguest\tguest.wasm{values}\n")).unwrap();
    fs::write(dir.join("guest.wasm"), b"\0asm\x01\0\0\0").unwrap();
}

fn compare(dir: &Path, options: &[&str]) -> Output {
    run(Command::new(env!("CARGO_BIN_EXE_compare")).arg("--suite").arg(dir).arg("guest").args(options))
}

fn run(command: &mut Command) -> Output {
    command.args(["--runs", "1"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let held = FORKS.lock().unwrap_or_else(PoisonError::into_inner);
    let child = command.spawn().unwrap();
    drop(held);
    child.wait_with_output().unwrap()
}

/// The comparison as JSON.
#[track_caller]
fn compared(dir: &Path, options: &[&str]) -> serde_json::Value {
    let output = compare(dir, &[options, &["--json"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn named(label: &str, path: &Path) -> String {
    format!("{label}={}", path.display())
}

#[test]
fn engines_that_write_the_same_agree_and_are_measured() {
    let dir = tempfile::tempdir().unwrap();
    suite(dir.path(), "\targs", "\tone two");
    let a = named("a:wasmrun", &engine(dir.path(), "a", "echo \"$@\""));
    let b = named("wasmi", &engine(dir.path(), "b", "echo one two"));
    let json = compared(dir.path(), &["--engine", &a, "--engine", &b]);
    let row = &json["rows"][0];
    assert_eq!((&row["program"], &row["stdout"]), (&"guest".into(), &"same".into()));
    for cell in row["cells"].as_array().unwrap() {
        // The round that warms up is not among them.
        assert_eq!(cell["measured"]["runs"].as_array().unwrap().len(), 1);
        assert!(cell["measured"]["peak"]["median"].as_f64().unwrap() > 0.0);
        assert!(cell["measured"]["wall"]["median"].as_f64().unwrap() > 0.0);
    }
    assert_eq!(json["engines"][0]["label"], "a");
    assert_eq!(json["engines"][0]["version"], "a 0");
}

#[test]
fn an_engine_that_writes_something_else_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    suite(dir.path(), "", "");
    let a = named("wasmrun", &engine(dir.path(), "a", "echo right"));
    let b = named("wasmi", &engine(dir.path(), "b", "echo wrong"));
    let json = compared(dir.path(), &["--engine", &a, "--engine", &b]);
    assert_eq!(json["rows"][0]["stdout"]["differs"], "wasmrun ≠ wasmi");
}

#[test]
fn native_code_is_compiled_and_measured_but_its_output_is_not_compared() {
    let dir = tempfile::tempdir().unwrap();
    suite(dir.path(), "", "");
    let a = named("wasmrun", &engine(dir.path(), "a", "echo wasm"));
    let b = named("wasmi", &engine(dir.path(), "b", "echo wasm"));
    // In the place of gcc: takes `-O2 SOURCE -o FILE -lm` and makes FILE a script.
    let gcc = dir.path().join("gcc");
    let script = "#!/bin/sh\n\
        if [ \"$1\" = --version ]; then echo gcc 0; exit; fi\n\
        grep -q kernel.h \"$2\" && printf '#!/bin/sh\\necho native\\n' >\"$4\" && chmod +x \"$4\"\n";
    {
        let _held = FORKS.lock().unwrap_or_else(PoisonError::into_inner);
        fs::write(&gcc, script).unwrap();
        fs::set_permissions(&gcc, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let native = named("native", &gcc);
    let json = compared(dir.path(), &["kernel-fib", "--engine", &a, "--engine", &b, "--engine", &native]);
    let row = json["rows"].as_array().unwrap().iter().find(|row| row["program"] == "kernel-fib").unwrap();
    assert_eq!(row["stdout"], "same", "{row}");
    assert!(row["cells"][2]["measured"].is_object(), "{row}");
}

#[test]
fn an_engine_that_fails_is_reported_with_its_last_words_and_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    suite(dir.path(), "", "");
    let a = named("wasmrun", &engine(dir.path(), "a", "echo no such import >&2; exit 1"));
    let b = named("wasmi", &engine(dir.path(), "b", ":"));
    let json = compared(dir.path(), &["--engine", &a, "--engine", &b]);
    let cells = &json["rows"][0]["cells"];
    assert_eq!(cells[0]["failed"], "exit code 1: no such import");
    assert!(cells[1]["measured"].is_object());
}

#[test]
fn an_engine_that_is_not_there_is_skipped_with_a_line_that_says_so() {
    let dir = tempfile::tempdir().unwrap();
    suite(dir.path(), "", "");
    let a = named("wasmrun", &engine(dir.path(), "a", ":"));
    let output = compare(dir.path(), &["--engine", &a, "--engine", "wasmi=/nowhere/wasmi"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    assert!(text.contains("\nwasmi    skipped: /nowhere/wasmi: No such file"), "{text}");
}

#[test]
fn wasmtime_is_found_on_path_by_name_and_told_what_its_command_line_wants() {
    let dir = tempfile::tempdir().unwrap();
    suite(dir.path(), "\targs\tdir\tenv", "\t-x 1\tdata::/s\tA=b");
    fs::create_dir(dir.path().join("data")).unwrap();
    let given = named("own:wasmtime", &script(dir.path(), "given", "echo \"$*\" >>\"${0}.said\""));
    // Options behind the command come after ours.
    let given = format!("{given} -W simd=n");
    script(dir.path(), "wasmtime", "echo \"$*\" >>\"${0}.said\"");
    let mut command = Command::new(env!("CARGO_BIN_EXE_compare"));
    command.arg("--suite").arg(dir.path()).args(["guest", "--json", "--engine", "wasmtime"]);
    command.args(["--engine", "wasmtime-cold", "--engine", &given]).env("PATH", dir.path());
    let output = run(&mut command);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let versions: Vec<_> = json["engines"].as_array().unwrap().iter().map(|e| &e["version"]).collect();
    assert_eq!(versions, ["wasmtime 0", "wasmtime 0", "given 0"]);
    let host = fs::canonicalize(dir.path()).unwrap();
    let line = |cache: &str, own: &str| {
        let features = "gc=y,function-references=y,exceptions=y";
        let (wasm, data) = (host.join("guest.wasm"), host.join("data"));
        let (wasm, data) = (wasm.display(), data.display());
        format!("run -C cache={cache} -W {features}{own} --dir {data}::/s --env A=b {wasm} -x 1\n")
    };
    // Each was run twice: once to warm up.
    let said = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!(said("wasmtime.said"), [line("y", ""), line("n", "")].concat().repeat(2));
    assert_eq!(said("given.said"), line("y", " -W simd=n").repeat(2));
}

#[test]
fn no_engine_at_all_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    suite(dir.path(), "", "");
    assert!(!compare(dir.path(), &["--engine", "wasmi=/nowhere/wasmi"]).status.success());
}

#[test]
fn a_run_that_never_ends_is_stopped_at_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    suite(dir.path(), "", "");
    let a = named("wasmrun", &engine(dir.path(), "a", "while :; do :; done"));
    let json = compared(dir.path(), &["--engine", &a, "--limit", "1"]);
    assert_eq!(json["rows"][0]["cells"][0]["failed"], "used up its CPU time");
}

#[test]
fn all_engines_see_the_programs_directory_under_the_guests_name() {
    let dir = tempfile::tempdir().unwrap();
    suite(dir.path(), "\tdir", "\tdata::/s");
    fs::create_dir(dir.path().join("data")).unwrap();
    fs::write(dir.path().join("data/file"), "content").unwrap();
    let a = named("wasmrun", &engine(dir.path(), "a", "cat \"${dir%::/s}/file\""));
    // wasmi's --dir names a directory for the host and the guest alike.
    let b = named("wasmi", &engine(dir.path(), "b", "[ $dir = s ] && cat s/file"));
    let json = compared(dir.path(), &["--engine", &a, "--engine", &b]);
    assert_eq!(json["rows"][0]["stdout"], "same", "{json}");
}

#[test]
fn marks_are_linked_before_any_engine_sees_the_module() {
    let dir = tempfile::tempdir().unwrap();
    suite(dir.path(), "\tbench", "\tyes");
    let wat = r#"(module (import "bench" "start" (func $s)) (import "bench" "end" (func $e)) (func call $s call $e))"#;
    fs::write(dir.path().join("guest.wasm"), wat::parse_str(wat).unwrap()).unwrap();
    let a = named(
        "wasmrun",
        &engine(dir.path(), "a", "if grep -q bench \"$wasm\"; then exit 3; fi; cat \"$wasm\""),
    );
    let b = named("wasmi", &engine(dir.path(), "b", "cat \"$wasm\""));
    let json = compared(dir.path(), &["--engine", &a, "--engine", &b]);
    assert_eq!(json["rows"][0]["stdout"], "same", "{json}");
}

#[test]
fn the_peak_of_a_guest_is_not_the_peak_of_the_harness() {
    let dir = tempfile::tempdir().unwrap();
    suite(dir.path(), "\tbench", "\tyes");
    // A module of 64 MiB, which the harness has in memory when it links it: a custom section full of zeros.
    let mut wasm = b"\0asm\x01\0\0\0\0\x80\x80\x80\x20".to_vec();
    wasm.resize(wasm.len() + (64 << 20), 0);
    fs::write(dir.path().join("guest.wasm"), wasm).unwrap();
    let a = named("wasmrun", &engine(dir.path(), "a", ":"));
    let json = compared(dir.path(), &["--engine", &a]);
    let peak = json["rows"][0]["cells"][0]["measured"]["peak"]["median"].as_f64().unwrap();
    assert!(peak < f64::from(32 << 20), "{peak}");
}

#[test]
fn a_curve_has_a_point_for_each_line_of_each_engine_and_becomes_a_drawing() {
    let dir = tempfile::tempdir().unwrap();
    suite(dir.path(), "", "");
    let drawing = dir.path().join("curve.svg");
    let a = named("a:wasmrun", &engine(dir.path(), "a", "echo hello; echo 1 x; echo 2 y; echo 4 z"));
    let b = named("wasmi", &engine(dir.path(), "b", "echo hello; echo 1 x; echo 2 y"));
    let c = named("node", &script(dir.path(), "c", "echo hello; echo 1 y"));
    let drawn = ["--curve", drawing.to_str().unwrap(), "--seconds", "3600"];
    let json =
        compared(dir.path(), &[&drawn[..], &["--engine", &a, "--engine", &b, "--engine", &c]].concat());
    let units = |engine: usize| -> Vec<u64> {
        let points = json["curves"][engine]["points"].as_array().unwrap();
        points.iter().map(|point| point["units"].as_u64().unwrap()).collect()
    };
    assert_eq!((units(0), units(1), units(2)), (vec![1, 2, 4], vec![1, 2], vec![]));
    assert_eq!(json["curves"][2]["failure"], "printed `1 y` where `1 x` had been printed before");
    let drawing = fs::read_to_string(drawing).unwrap();
    assert!(drawing.starts_with("<svg ") && drawing.ends_with("</svg>\n"));
    assert!(
        drawing.contains(">a</text>")
            && drawing.contains(">wasmi</text>")
            && !drawing.contains(">node</text>")
    );
}

#[test]
fn a_run_is_watched_until_its_time_is_up_and_then_stopped_with_all_that_it_started() {
    let dir = tempfile::tempdir().unwrap();
    suite(dir.path(), "", "");
    let drawing = dir.path().join("curve.svg");
    // Its child holds the pipe, and would for longer than the test may take.
    let a = named("a:wasmrun", &engine(dir.path(), "a", "sleep 100000"));
    let json =
        compared(dir.path(), &["--curve", drawing.to_str().unwrap(), "--seconds", "0.2", "--engine", &a]);
    assert_eq!(json["curves"][0]["failure"], "printed no line that starts with a number in its time");
}

#[test]
fn a_drawing_is_of_one_program() {
    let dir = tempfile::tempdir().unwrap();
    suite(dir.path(), "", "");
    let a = named("a:wasmrun", &engine(dir.path(), "a", ":"));
    let output = compare(dir.path(), &["curve", "--curve", "/nowhere/curve.svg", "--engine", &a]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("these are more: curve, guest"), "{said}");
}

#[test]
fn the_cold_table_names_the_best_of_the_others() {
    let dir = tempfile::tempdir().unwrap();
    suite(dir.path(), "", "");
    let a = named("a:wasmrun-cold", &script(dir.path(), "a", ":"));
    let b = named("wasmi", &engine(dir.path(), "b", "exit 3"));
    let c = named("node", &script(dir.path(), "c", ":"));
    let json = compared(dir.path(), &["--cold", "--engine", &a, "--engine", &b, "--engine", &c]);
    let wait = &json["waits"][0];
    assert_eq!((&wait["program"], &wait["best"]), (&"guest".into(), &2.into()), "{json}");
    assert!(json["cold"].as_bool().unwrap() && wait["ratio"].as_f64().unwrap() > 0.0);
}
