//! `docs/features.md`: which proposals are executed, and what says so. It is made of what other tests report: of
//! `official/*.txt`, which `official.rs` compares with what passes in each mode, and of the random modules that engines
//! are compared on. With `WASMRUN_BLESS=1` in the environment it is written anew, after `official.rs` where both are run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use wasmrun_runtime::features::{PROPOSALS, Proposal};
use wasmrun_runtime::used_proposals;
use wasmrun_spec_tests::Mode;
use wasmrun_spec_tests::differential::generate::{KINDS, Oracle};

/// What a group of scripts came to, in every mode.
struct Counts {
    passed: String,
    skipped: usize,
    /// Number of directives by the reason why they are skipped.
    reasons: BTreeMap<String, usize>,
}

/// All groups by name.
fn groups() -> BTreeMap<String, Counts> {
    let mut groups = BTreeMap::new();
    for entry in fs::read_dir(root().join("spec-tests/tests/official")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_string();
        let counts = counts(&fs::read_to_string(&path).unwrap());
        groups.insert(name.clone(), counts.unwrap_or_else(|| panic!("{name} was not run in every mode")));
    }
    groups
}

/// What the text of a file in `official/` says, if it is of all modes.
fn counts(text: &str) -> Option<Counts> {
    let mut reasons = BTreeMap::new();
    for (_, counts) in text.lines().filter_map(|line| line.split_once(": ")) {
        let mut reason = String::new();
        // From the end, as there are commas in reasons.
        for part in counts.rsplit(", ") {
            match part.split_once(" skipped: ") {
                Some((count, start)) => {
                    let reason = start.to_string() + &std::mem::take(&mut reason);
                    *reasons.entry(reason).or_default() += count.parse::<usize>().ok()?;
                }
                None => reason = format!(", {part}{reason}"),
            }
        }
    }
    let mut last = text.lines().rev();
    let modes = last.next()?.strip_prefix("in ")?;
    let (passed, others) = last.next()?.split_once(" passed, 0 failed, ")?;
    let skipped = others.strip_suffix(" skipped")?.parse().ok()?;
    assert_eq!(reasons.values().sum::<usize>(), skipped, "{text}");
    (modes == Mode::ALL.map(Mode::name).join(", ")).then(|| Counts {
        passed: passed.to_string(),
        skipped,
        reasons,
    })
}

/// The name of the group of scripts about a proposal.
fn group_of(proposal: &Proposal) -> String {
    match proposal.name {
        "saturating-float-to-int" => "nontrapping_float_to_int_conversions".to_string(),
        "sign-extension" => "sign_extension_ops".to_string(),
        name => name.replace('-', "_"),
    }
}

/// Groups that are about no single proposal.
const OTHERS: &[(&str, &str)] = &[
    ("wasm_1", "WebAssembly 1.0"),
    ("wasm_2", "WebAssembly 2.0"),
    ("wasm_3", "WebAssembly 3.0"),
    ("wasm_latest", "the standard's latest draft"),
    ("annotations", "annotations of the text format"),
];

macro_rules! api {
    ($($proposal:literal: $($ty:ident $(:: $function:ident)?),*;)*) => {
        /// What embedders have for a proposal. All of it exists, or this would not be compiled.
        const API: &[(&str, &[&str])] =
            &[$(($proposal, &[$(concat!(stringify!($ty) $(, "::", stringify!($function))?)),*])),*];
        const _: () = { $($(let _ = size_of::<wasmrun::$ty>(); $(let _ = wasmrun::$ty::$function;)?)*)* };
    };
}

api! {
    "mutable-global": Mutability;
    "multi-value": FuncType;
    "reference-types": ExternRef, Ref;
    "simd": V128;
    "threads": SharedMemory, MemoryType::shared, WaitResult;
    "exceptions": Tag, TagType, Exception, ExnRef;
    "legacy-exceptions": Tag, TagType, Exception;
    "function-references": HeapType, RefType;
    "gc": AnyRef, EqRef, StructRef, ArrayRef, I31, StructType, ArrayType;
    "memory64": MemoryType::new64, TableType::new64;
    "custom-page-sizes": MemoryTypeBuilder::page_size_log2;
}

/// Seeds of each kind whose modules are looked at. The tests compare more.
const SEEDS: u64 = 100;

/// The names of the proposals that compared modules use, with what these are compared with.
fn compared() -> BTreeMap<&'static str, BTreeSet<Oracle>> {
    let mut compared: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for kind in KINDS {
        let modules = (0..SEEDS).filter_map(kind.of_seed);
        let used: BTreeSet<_> =
            modules.flat_map(|wasm| used_proposals(&wasm)).map(|used| used.name).collect();
        for proposal in used {
            // The forms of exceptions say nothing of what else there is.
            let says = |oracle: &&Oracle| **oracle != Oracle::Standard || proposal == "legacy-exceptions";
            compared.entry(proposal).or_default().extend(kind.oracles.iter().filter(says));
        }
    }
    compared
}

/// Proposals that no compared module uses, and why.
const NOT_COMPARED: &[(&str, &str)] = &[];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

const HEAD: &str = "\
# Proposals

This page is made from what the tests report: run
`WASMRUN_BLESS=1 cargo test -p wasmrun-spec-tests --test official --test proposals`.

What is executed is on by default; `-W NAME=y|n` and `Config::wasm_feature` switch it by these names. Modules that use something else are refused at
load, with its name.

* The modes are columns: how many directives of the official suite's scripts about the proposal pass in each (`spec-tests/src/modes.rs` says what
  the modes are). None fails. Those of `legacy-exceptions` are scripts of this project: the crate that has the suite leaves them out.
* *Compared with*: random modules that use the proposal do the same in all tiers of wasmrun and on other engines (`spec-tests/src/differential/`). On
  Wasmtime it is the fuzzer that compares them (`fuzz/`), not `cargo test`. *The form of the
  standard* is the same program by `try_table` and `throw_ref`.
* *In the API*: what the crate `wasmrun` has for it, besides loading and running such modules.

";

/// The page.
fn page() -> String {
    let (mut groups, compared) = (groups(), compared());
    let mut page = HEAD.to_string();
    let modes = Mode::ALL.map(Mode::name).join(" | ");
    let line = "---|".repeat(Mode::ALL.len());
    writeln!(page, "| proposal | executed | {modes} | skipped | compared with | in the API |").unwrap();
    writeln!(page, "|---|---|{line}---|---|---|").unwrap();
    let mut skips = String::new();
    let mut scripts = |group: &str, title: &str| match groups.remove(group) {
        Some(counts) => {
            for (reason, count) in &counts.reasons {
                writeln!(skips, "| {title} | {count} | {reason} |").unwrap();
            }
            format!("{} | {}", vec![counts.passed; Mode::ALL.len()].join(" | "), counts.skipped)
        }
        None => vec!["–"; Mode::ALL.len() + 1].join(" | "),
    };
    for proposal in PROPOSALS {
        let name = proposal.name;
        let executed = if proposal.executed { "yes" } else { "no" };
        let oracles = match (compared.get(name), NOT_COMPARED.iter().find(|(of, _)| *of == name)) {
            (Some(oracles), _) => oracles.iter().map(|oracle| oracle.name()).collect::<Vec<_>>().join(", "),
            (None, Some((_, reason))) => format!("nothing: {reason}"),
            (None, None) => "–".to_string(),
        };
        let api = API.iter().find(|(of, _)| *of == name);
        let api =
            api.map(|(_, items)| items.iter().map(|item| format!("`{item}`")).collect::<Vec<_>>().join(", "));
        let scripts = scripts(&group_of(proposal), name);
        let api = api.unwrap_or_else(|| "–".to_string());
        writeln!(page, "| {name} | {executed} | {scripts} | {oracles} | {api} |").unwrap();
    }
    writeln!(page, "\n## Editions\n\n| scripts of | {modes} | skipped |\n|---|{line}---|").unwrap();
    for (group, title) in OTHERS {
        writeln!(page, "| {title} | {} |", scripts(group, title)).unwrap();
    }
    writeln!(page, "\n## What is skipped\n\n| scripts of | directives | because |\n|---|---|---|\n{skips}")
        .unwrap();
    assert!(groups.is_empty(), "not on the page: {:?}", groups.keys());
    page.trim_end().to_string() + "\n"
}

#[test]
fn the_page_says_what_the_tests_report() {
    let path = root().join("docs/features.md");
    let page = page();
    if env::var_os("WASMRUN_BLESS").is_some() {
        fs::write(&path, page).unwrap();
        return;
    }
    assert_eq!(
        fs::read_to_string(path).unwrap(),
        page,
        "run it with WASMRUN_BLESS=1, and `--test official` before"
    );
}

/// What writing the page anew cannot hide.
#[test]
fn every_proposal_that_is_executed_is_tested() {
    let groups = groups();
    for proposal in PROPOSALS.iter().filter(|proposal| proposal.executed) {
        let counts = groups.get(&group_of(proposal));
        assert!(
            counts.is_some_and(|counts| counts.passed != "0"),
            "there are no scripts about {}",
            proposal.name
        );
    }
    for (name, _) in API {
        assert!(PROPOSALS.iter().any(|proposal| proposal.name == *name), "there is no proposal `{name}`");
    }
}

#[test]
fn every_proposal_that_is_executed_is_compared_or_there_is_a_reason() {
    let compared = compared();
    for proposal in PROPOSALS.iter().filter(|proposal| proposal.executed) {
        let excused = NOT_COMPARED.iter().any(|(name, _)| *name == proposal.name);
        assert_ne!(compared.contains_key(proposal.name), excused, "{}", proposal.name);
    }
}
