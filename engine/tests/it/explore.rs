//! What `Module::explore` shows of a function, in the cases that a page does not show.
//! (`cli/tests/it/explore.rs` has the forms of code and their offsets.)

use wasmrun::{CodeLine, Config, Engine, MemoryStrategy, Module, OptLevel, Strategy};

fn module(config: &Config, text: &str) -> Module {
    Module::new(&Engine::new(config).unwrap(), text).unwrap()
}

fn text(lines: &[CodeLine]) -> String {
    lines.iter().map(|line| format!("{}\n", line.text)).collect()
}

const LOADS: &str = r#"(module (import "a" "b" (func)) (memory 1)
    (func $load (param i32) (result i32) (i32.load (local.get 0))))"#;

#[test]
fn a_function_that_the_module_does_not_define_is_an_error() {
    let module = module(&Config::new(), LOADS);
    let refused = |function| module.explore(function).unwrap_err().to_string();
    assert_eq!(refused(0), "the function 0 is imported: its code is elsewhere");
    assert_eq!(refused(2), "the function 2 does not exist: the module has 2, counted from 0");
    assert!(module.explore(1).is_ok());
}

#[test]
fn the_forms_are_those_that_the_settings_lead_to() {
    let explored = |config: &mut Config| module(config, LOADS).explore(1).unwrap();
    let plain = explored(&mut Config::new());
    assert_eq!((plain.function, plain.name.as_deref()), (1, Some("load")));
    assert_eq!((plain.opt_level, plain.not_compiled, plain.not_interpreted), (OptLevel::Speed, None, None));
    assert!(!text(&plain.lowered).contains("select_spectre_guard"));
    // How functions are run changes nothing.
    assert_eq!(explored(Config::new().strategy(Strategy::Jit)).machine, plain.machine);
    let checked = explored(Config::new().memory_strategy(MemoryStrategy::Checked));
    assert!(text(&checked.lowered).contains("select_spectre_guard"));
    let pays = explored(Config::new().consume_fuel(true));
    assert!(pays.lowered.len() > plain.lowered.len() && pays.bytecode.len() > plain.bytecode.len());
    let quick = explored(Config::new().cranelift_opt_level(OptLevel::None));
    assert_eq!((quick.opt_level, text(&quick.lowered)), (OptLevel::None, text(&plain.lowered)));
    assert_ne!(quick.machine, plain.machine);
}

#[test]
fn a_function_that_is_not_compiled_says_why_and_has_its_bytecode() {
    let left = module(Config::new().compile_only(|_| false), LOADS).explore(1).unwrap();
    assert!(left.not_compiled.unwrap().contains("interpreter"));
    assert!(!left.bytecode.is_empty() && left.lowered.is_empty() && left.machine.is_empty());

    let broken = module(Config::new().compile_only(|_| panic!("a test")), LOADS).explore(1).unwrap();
    assert!(broken.not_compiled.unwrap().contains("panicked"));
    assert!(!broken.bytecode.is_empty());
}

#[test]
fn a_large_body_is_shown_as_it_is_compiled() {
    let body = "(drop (i32.const 1))".repeat(100_000);
    let module = module(&Config::new(), &format!("(module (func {body}))"));
    let explored = module.explore(0).unwrap();
    assert_eq!((explored.opt_level, explored.not_compiled), (OptLevel::None, None));
    assert!(explored.body.len() > 256 << 10);
}

#[test]
fn what_is_shown_is_what_the_engine_would_run() {
    let polls = |config: &mut Config| {
        let text = "(module (func (param i32) (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))";
        module(config, text).explore(0).unwrap().machine.len()
    };
    let (with, without) = (polls(&mut Config::new()), polls(Config::new().interruptible(false)));
    assert!(without < with, "{without} lines without polls, {with} with them");
}
