//! Code memory that is nearly used up: what becomes of functions, and of calls between the tiers.

use wasmrun::{Config, Engine, Func, Instance, Module, OptLevel, Result, Store, Strategy};

const TYPES: [&str; 4] = ["i32", "i64", "f32", "f64"];

/// So many lists of parameters, all different.
fn lists(count: usize) -> Vec<Vec<&'static str>> {
    (0..count).map(|n| (0..5).map(|digit| TYPES[n >> (2 * digit) & 3]).collect()).collect()
}

fn zeroes(list: &[&str]) -> String {
    list.iter().map(|ty| format!("({ty}.const 0)")).collect()
}

/// A module whose function `run` calls functions of so many types: directly, through a table, and as tail calls, and the
/// host's, and returns the sum of what they return.
fn many_types(count: usize) -> String {
    let mut wat = String::from(
        r#"(module (import "" "host" (func $host (param f32 i64 f32 i64) (result i32))) (memory 1)"#,
    );
    let (mut functions, mut calls) = (String::new(), String::new());
    for (n, list) in lists(count).iter().enumerate() {
        let (params, zeroes) = (list.join(" "), zeroes(list));
        wat += &format!(r#"(type $t{n} (func (param {params}) (result i32)))"#);
        // Far more code than there is room for.
        let work = "(i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))".repeat(500);
        functions += &format!("(func $f{n} (type $t{n}) {work} (i32.const {n}))");
        functions += &format!("(func $g{n} (type $t{n}) (return_call $f{n} {}))", locals(list.len()));
        for call in [
            format!("(call $g{n} {zeroes})"),
            format!("(call_indirect (type $t{n}) {zeroes} (i32.const {n}))"),
        ] {
            calls += &format!("(local.set $sum (i32.add (local.get $sum) {call}))");
        }
    }
    let elements: String = (0..count).map(|n| format!(" $f{n}")).collect();
    wat + &functions
        + &format!("(table funcref (elem {elements}))")
        + &format!(
            r#"(func (export "run") (result i32) (local $sum i32)
                {calls}
                (i32.add (local.get $sum) (call $host {})))
            )"#,
            zeroes_of_host()
        )
}

fn locals(count: usize) -> String {
    (0..count).map(|n| format!("(local.get {n})")).collect()
}

fn zeroes_of_host() -> String {
    zeroes(&["f32", "i64", "f32", "i64"])
}

fn small(bytes: usize, strategy: Strategy) -> Result<Engine> {
    let mut config = Config::new();
    config.strategy(strategy).max_code_size(bytes).tier_up_threshold(1).compile_threads(0);
    Engine::new(config.cranelift_opt_level(OptLevel::None))
}

#[test]
fn calls_between_tiers_never_fail_for_want_of_code_memory() -> Result<()> {
    const COUNT: usize = 24;
    for strategy in [Strategy::Tiered, Strategy::Jit] {
        // Too little for the stubs; for most of the code; for none of these.
        for (kilobytes, some, all) in [(64, false, false), (256, true, false), (16 << 10, true, true)] {
            let engine = small(kilobytes << 10, strategy)?;
            let module = Module::new(&engine, many_types(COUNT))?;
            let mut store = Store::new(&engine, ());
            let host = Func::wrap(&mut store, |_: f32, _: i64, _: f32, _: i64| 7);
            let instance = Instance::new(&mut store, &module, &[host.into()])?;
            let run = instance.get_typed_func::<(), i32>(&mut store, "run")?;
            for _ in 0..20 {
                assert_eq!(run.call(&mut store, ())?, (0..COUNT as i32).sum::<i32>() * 2 + 7);
            }
            let tiers = module.tiers();
            let compiled = tiers.iter().filter(|tier| tier.compiled).count();
            let expected = (some, all);
            assert_eq!(
                (compiled > 0, compiled == tiers.len()),
                expected,
                "{strategy:?}, {kilobytes} KiB, {compiled} compiled, {:?}",
                module.uncompiled().first()
            );
            assert_eq!(module.uncompiled().is_empty(), all);
        }
    }
    Ok(())
}

#[test]
fn a_function_for_which_there_was_no_room_is_compiled_when_there_is() -> Result<()> {
    let engine = small(1 << 18, Strategy::Tiered)?;
    let body = "(local.set 0 (i32.add (local.get 0) (i32.load (local.get 0))))".repeat(1000);
    let wat =
        format!(r#"(module (memory 1) (func (export "f") (param i32) (result i32) {body} (local.get 0)))"#);
    let run = |module: &Module| -> Result<bool> {
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, module, &[])?;
        let f = instance.get_typed_func::<i32, i32>(&mut store, "f")?;
        for _ in 0..20 {
            assert_eq!(f.call(&mut store, 3)?, 3);
        }
        Ok(module.tiers()[0].compiled)
    };
    let mut others = Vec::new();
    let without = loop {
        let module = Module::new(&engine, &wat)?;
        match run(&module)? {
            true => others.push(module),
            false => break module,
        }
    };
    assert!(others.len() > 2);
    assert!(without.uncompiled()[0].reason.contains("code memory is full"), "{:?}", without.uncompiled());
    drop(others);
    // The compiler was asked in vain a few times, and is asked again when twice as much has been done as then.
    assert!((0..100).map(|_| run(&without)).collect::<Result<Vec<_>>>()?.contains(&true));
    assert!(without.uncompiled().is_empty());
    Ok(())
}

#[test]
fn compiling_all_of_a_module_leaves_alone_what_has_been_compiled() -> Result<()> {
    let engine = small(1 << 20, Strategy::Tiered)?;
    let module = Module::new(&engine, r#"(module (func (export "f") (result i32) (i32.const 1)))"#)?;
    let mut store = Store::new(&engine, ());
    let f = Instance::new(&mut store, &module, &[])?.get_typed_func::<(), i32>(&mut store, "f")?;
    for _ in 0..100 {
        f.call(&mut store, ())?;
    }
    assert!(module.tiers()[0].compiled);
    let before = engine.code_size();
    module.serialize()?;
    assert_eq!(engine.code_size(), before);
    Ok(())
}
