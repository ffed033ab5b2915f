//! Monitors that count instructions: every number is exact, in every mode, whatever ends the guest.

use wasmrun::probe::{Counts, Monitor, Plan};
use wasmrun::{Error, Extern, Func, Instance, Module, Result, Store, Trap};

use crate::common::{Mode, in_every_mode};

in_every_mode! {
    each_instruction_is_counted_as_often_as_it_is_executed
    what_a_trap_keeps_from_being_executed_is_not_counted
    polls_and_fuel_stop_code_before_it_is_counted
    what_is_thrown_and_caught_is_counted
    calls_are_counted_on_all_their_ways
    what_is_behind_a_call_that_never_returns_is_not_counted
    a_monitor_counts_while_it_is_attached
    monitors_count_what_each_of_them_has_seen
    other_instances_call_the_code_that_counts
    fuel_is_the_sum_of_what_is_counted
}

/// Counts the instructions of all modules.
#[derive(Default)]
struct Counting(Vec<Counts>);

impl Monitor for Counting {
    fn attach(&mut self, _: &Module, plan: &mut Plan<'_>) -> Result<()> {
        self.0.push(plan.count());
        Ok(())
    }
}

/// The instructions that have been executed, with how often.
fn executed(counts: &Counts) -> Vec<(&'static str, u64)> {
    let all = counts.instructions();
    all.filter(|i| i.executed > 0).map(|i| (i.opcode.name(), i.executed)).collect()
}

/// Runs `run` of a module with a monitor, and returns what it says and how it ends.
fn run(mode: Mode, wat: &str, argument: i32) -> (Result<i32>, Counts) {
    let mut store = Store::new(&mode.engine(), ());
    run_in(&mut store, wat, argument)
}

fn run_in(store: &mut Store<()>, wat: &str, argument: i32) -> (Result<i32>, Counts) {
    let module = Module::new(store.engine(), wat).unwrap();
    let attached = store.attach(Counting::default()).unwrap();
    let instance = Instance::new(&mut *store, &module, &[]).unwrap();
    let run = instance.get_typed_func::<i32, i32>(&mut *store, "run").unwrap();
    let result = run.call(&mut *store, argument);
    let [counts] = &store.detach(attached).0[..] else { panic!("one module") };
    (result, counts.clone())
}

#[track_caller]
fn trap(result: Result<i32>) -> Trap {
    *result.unwrap_err().downcast_ref().unwrap()
}

fn each_instruction_is_counted_as_often_as_it_is_executed(mode: Mode) {
    let wat = r#"(module (func (export "run") (param $n i32) (result i32) (local $sum i32)
        (block $out
          (loop $l
            (if (i32.and (local.get $n) (i32.const 1))
              (then (local.set $sum (i32.add (local.get $sum) (i32.const 3))))
              (else nop))
            (block $two (block $one (block $zero
              (br_table $zero $one $two (local.get $n)))
              (br $out))
              (nop) (unreachable))
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br $l)))
        (local.get $sum)))"#;
    let (result, counts) = run(mode, wat, 6);
    // From 6 on down to 2 it goes to the default; 1 would trap.
    assert_eq!(trap(result), Trap::UnreachableCodeReached);
    assert_eq!(
        executed(&counts),
        [
            ("block", 1),
            ("loop", 6),
            ("local.get", 6),
            ("i32.const", 6),
            ("i32.and", 6),
            ("if", 6),
            ("local.get", 3),
            ("i32.const", 3),
            ("i32.add", 3),
            ("local.set", 3),
            ("nop", 3),
            ("block", 6),
            ("block", 6),
            ("block", 6),
            ("local.get", 6),
            ("br_table", 6),
            ("nop", 1),
            ("unreachable", 1),
            ("local.get", 5),
            ("i32.const", 5),
            ("i32.sub", 5),
            ("local.set", 5),
            ("br", 5),
        ]
    );
    let all = counts.instructions().count();
    assert_eq!(all, 25, "those that are not executed are there as well");
    assert_eq!(counts.total(), executed(&counts).iter().map(|(_, times)| times).sum());
    assert!(counts.of_function(1).is_empty(), "there is no such function");
}

fn what_a_trap_keeps_from_being_executed_is_not_counted(mode: Mode) {
    let wat = r#"(module (memory 1)
        (func $load (param i32) (result i32)
          (nop) (i32.load (local.get 0)) (nop) (i32.load8_u) (nop))
        (func (export "run") (param i32) (result i32)
          (local i32)
          (loop $l
            (local.set 1 (call $load (local.get 0)))
            (local.set 0 (i32.add (local.get 0) (i32.const 30000)))
            (br $l))
          (unreachable)))"#;
    let (result, counts) = run(mode, wat, 0);
    assert_eq!(trap(result), Trap::MemoryOutOfBounds);
    // Addresses 0, 30000 and 60000 are inside, and 90000 is not.
    let first = [("nop", 4), ("local.get", 4), ("i32.load", 4), ("nop", 3), ("i32.load8_u", 3), ("nop", 3)];
    let second = [
        ("loop", 4),
        ("local.get", 4),
        ("call", 4),
        ("local.set", 3),
        ("local.get", 3),
        ("i32.const", 3),
        ("i32.add", 3),
        ("local.set", 3),
        ("br", 3),
    ];
    assert_eq!(executed(&counts), [&first[..], &second[..]].concat());
}

fn polls_and_fuel_stop_code_before_it_is_counted(mode: Mode) {
    let recursion = r#"(module (func $f (export "run") (param i32) (result i32)
        (nop) (call $f (i32.add (local.get 0) (i32.const 1))) (nop)))"#;
    let (result, counts) = run(mode, recursion, 0);
    assert_eq!(trap(result), Trap::StackOverflow);
    let counted = executed(&counts);
    // The call that found no room for its callee's frame was executed.
    let depth = counted[0].1;
    assert!(depth > 100);
    let names = ["nop", "local.get", "i32.const", "i32.add", "call"];
    assert_eq!(counted, names.map(|name| (name, depth)));

    let wat = r#"(module (func (export "run") (param i32) (result i32)
        (loop $l (nop) (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 0)))"#;
    for fuel in [0, 1, 5, 6, 7, 11, 100] {
        let engine = wasmrun::Engine::new(mode.config().consume_fuel(true)).unwrap();
        let mut store = Store::new(&engine, ());
        store.set_fuel(fuel).unwrap();
        let (result, counts) = run_in(&mut store, wat, 1000);
        assert_eq!(trap(result), Trap::OutOfFuel);
        // A turn costs five units, and is paid when it begins.
        let turns = fuel / 5;
        let names = ["loop", "nop", "local.get", "i32.const", "i32.sub", "local.tee", "br_if"];
        let expected: Vec<_> = names.into_iter().filter(|_| turns > 0).map(|name| (name, turns)).collect();
        assert_eq!(executed(&counts), expected, "{fuel}");
    }
}

fn what_is_thrown_and_caught_is_counted(mode: Mode) {
    let wat = r#"(module (tag $t (param i32))
        (func $throws (param i32)
          (nop) (if (i32.and (local.get 0) (i32.const 1)) (then (throw $t (local.get 0)))) (nop))
        (func (export "run") (param $n i32) (result i32) (local $caught i32)
          (loop $l
            (block $next
              (block $handler (result i32)
                (try_table (catch $t $handler)
                  (call $throws (local.get $n))
                  (drop (i32.const 0)))
                (br $next))
              (local.set $caught (i32.add (local.get $caught))))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (local.get $caught)))"#;
    let (result, counts) = run(mode, wat, 4);
    assert_eq!(result.unwrap(), 4);
    let first = [
        ("nop", 4),
        ("local.get", 4),
        ("i32.const", 4),
        ("i32.and", 4),
        ("if", 4),
        ("local.get", 2),
        ("throw", 2),
        ("nop", 2),
    ];
    let second = [
        ("loop", 4),
        ("block", 4),
        ("block", 4),
        ("try_table", 4),
        ("local.get", 4),
        ("call", 4),
        ("i32.const", 2),
        ("drop", 2),
        ("br", 2),
        ("local.get", 2),
        ("i32.add", 2),
        ("local.set", 2),
        ("local.get", 4),
        ("i32.const", 4),
        ("i32.sub", 4),
        ("local.tee", 4),
        ("br_if", 4),
        ("local.get", 1),
    ];
    assert_eq!(executed(&counts), [&first[..], &second[..]].concat());
}

fn calls_are_counted_on_all_their_ways(mode: Mode) {
    // Short functions, which are inlined, behind direct and indirect calls, and a tail call.
    let wat = r#"(module
        (type $f (func (param i32) (result i32)))
        (table funcref (elem $one $two))
        (func $one (type $f) (i32.add (local.get 0) (i32.const 1)))
        (func $two (type $f) (return_call $one (i32.mul (local.get 0) (i32.const 1))))
        (func (export "run") (type $f) (local $sum i32)
          (loop $l
            (local.set $sum (call $one (local.get $sum)))
            (local.set $sum (call_indirect (type $f) (local.get $sum)
              (i32.eqz (i32.rem_u (local.get 0) (i32.const 100)))))
            (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
          (local.get $sum)))"#;
    let (result, counts) = run(mode, wat, 1000);
    assert_eq!(result.unwrap(), 2000);
    let per = |function| -> Vec<u64> { counts.of_function(function).iter().map(|i| i.executed).collect() };
    assert_eq!(per(0), [2000; 3]);
    assert_eq!(per(1), [10; 4]);
    let mut third = vec![1000; 16];
    third.push(1);
    assert_eq!(per(2), third);
}

fn what_is_behind_a_call_that_never_returns_is_not_counted(mode: Mode) {
    let wat = r#"(module (func $never (nop) (unreachable))
        (func (export "run") (param i32) (result i32) (call $never) (local.get 0)))"#;
    let (result, counts) = run(mode, wat, 1);
    assert_eq!(trap(result), Trap::UnreachableCodeReached);
    assert_eq!(executed(&counts), [("nop", 1), ("unreachable", 1), ("call", 1)]);
}

const ADDER: &str = r#"(module (func (export "run") (param i32) (result i32)
    (i32.add (local.get 0) (i32.const 1))))"#;

fn a_monitor_counts_while_it_is_attached(mode: Mode) -> Result<()> {
    let mut store = Store::new(&mode.engine(), ());
    let module = Module::new(store.engine(), ADDER)?;
    let instance = Instance::new(&mut store, &module, &[])?;
    let run = instance.get_typed_func::<i32, i32>(&mut store, "run")?;
    run.call(&mut store, 1)?;
    let attached = store.attach(Counting::default())?;
    assert_eq!(store.monitor(&attached).0[0].total(), 0);
    for _ in 0..5 {
        run.call(&mut store, 1)?;
    }
    let counts = store.monitor(&attached).0[0].clone();
    assert_eq!(counts.total(), 15);
    run.call(&mut store, 1)?;
    assert_eq!(counts.total(), 18);
    // It is the same module to whoever asks.
    assert!(instance.module(&store).get_export("run").is_some());
    assert_eq!(store.detach(attached).0[0].total(), 18);
    assert_eq!(run.call(&mut store, 41)?, 42);
    assert_eq!(counts.total(), 18);
    Ok(())
}

fn monitors_count_what_each_of_them_has_seen(mode: Mode) -> Result<()> {
    let mut store = Store::new(&mode.engine(), ());
    let module = Module::new(store.engine(), ADDER)?;
    let instances = [(); 2].map(|()| Instance::new(&mut store, &module, &[]).unwrap());
    let mut runs = Vec::new();
    for instance in instances {
        runs.push(instance.get_typed_func::<i32, i32>(&mut store, "run")?);
    }
    let call = |store: &mut Store<()>| runs.iter().try_for_each(|run| run.call(&mut *store, 1).map(drop));
    let first = store.attach(Counting::default())?;
    call(&mut store)?;
    let second = store.attach(Counting::default())?;
    call(&mut store)?;
    call(&mut store)?;
    let first = store.detach(first);
    call(&mut store)?;
    let third = store.attach(Counting::default())?;
    call(&mut store)?;
    let [second, third] = [second, third].map(|attached| store.detach(attached));
    call(&mut store)?;
    // Both instances are of one module.
    assert_eq!([first, second, third].map(|monitor| monitor.0[0].total()), [3 * 6, 4 * 6, 6]);
    Ok(())
}

fn other_instances_call_the_code_that_counts(mode: Mode) -> Result<()> {
    let mut store = Store::new(&mode.engine(), ());
    let exports = r#"(module
        (table (export "table") 1 funcref) (elem (i32.const 0) $nop)
        (func $nop (export "nop") (nop)))"#;
    let imports = r#"(module
        (import "" "nop" (func $nop)) (import "" "table" (table 1 funcref))
        (func (export "run") (call $nop) (call_indirect (i32.const 0))))"#;
    let [exports, imports] = [exports, imports].map(|wat| Module::new(store.engine(), wat).unwrap());
    let exporter = Instance::new(&mut store, &exports, &[])?;
    let items = ["nop", "table"].map(|name| exporter.get_export(&mut store, name).unwrap());
    let importer = Instance::new(&mut store, &imports, &items)?;
    let run = importer.get_typed_func::<(), ()>(&mut store, "run")?;
    run.call(&mut store, ())?;
    let attached = store.attach(Counting::default())?;
    run.call(&mut store, ())?;
    assert_eq!(store.monitor(&attached).0.iter().map(Counts::total).collect::<Vec<_>>(), [2, 3]);
    // A later importer finds the same.
    let another = Instance::new(&mut store, &imports, &items)?;
    another.get_typed_func::<(), ()>(&mut store, "run")?.call(&mut store, ())?;
    let counts = store.detach(attached).0;
    assert_eq!(counts.iter().map(Counts::total).collect::<Vec<_>>(), [4, 6]);
    run.call(&mut store, ())?;
    assert_eq!(counts[0].total(), 4);
    Ok(())
}

/// What fuel is paid for an instruction; see `wasmrun_runtime::fuel`.
fn cost(name: &str) -> u64 {
    u64::from(!matches!(name, "nop" | "block" | "loop" | "drop"))
}

fn fuel_is_the_sum_of_what_is_counted(mode: Mode) -> Result<()> {
    let wat = r#"(module (memory 1)
        (func $fib (param i32) (result i32)
          (if (result i32) (i32.lt_s (local.get 0) (i32.const 2))
            (then (local.get 0))
            (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                           (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
        (func (export "run") (param $n i32) (result i32) (local $i i32)
          (loop $l
            (i32.store (i32.shl (local.get $i) (i32.const 2)) (call $fib (local.get $i)))
            (br_if $l (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
          (i32.load (i32.shl (i32.sub (local.get $n) (i32.const 1)) (i32.const 2)))))"#;
    let engine = wasmrun::Engine::new(mode.config().consume_fuel(true))?;
    let mut store = Store::new(&engine, ());
    store.set_fuel(1 << 40)?;
    let (result, counts) = run_in(&mut store, wat, 16);
    assert_eq!(result?, 610);
    let paid = counts.instructions().map(|i| i.executed * cost(i.opcode.name())).sum::<u64>();
    assert_eq!((1 << 40) - store.get_fuel()?, paid);
    Ok(())
}

/// Refuses what imports nothing.
struct Picky;

impl Monitor for Picky {
    fn attach(&mut self, module: &Module, plan: &mut Plan<'_>) -> Result<()> {
        plan.count();
        if module.imports().len() == 0 { Err(Error::msg("this one does nothing")) } else { Ok(()) }
    }
}

#[test]
fn a_monitor_that_fails_is_not_attached_and_nothing_is_watched() -> Result<()> {
    let mut store = Store::new(&wasmrun::Engine::default(), ());
    let module = Module::new(store.engine(), ADDER)?;
    let attached = store.attach(Picky)?;
    let error = Instance::new(&mut store, &module, &[]).unwrap_err();
    assert_eq!(error.to_string(), "this one does nothing");
    store.detach(attached);
    let instance = Instance::new(&mut store, &module, &[])?;
    assert_eq!(store.attach(Picky).unwrap_err().to_string(), "this one does nothing");
    let run = instance.get_typed_func::<i32, i32>(&mut store, "run")?;
    assert_eq!(run.call(&mut store, 1)?, 2);
    Ok(())
}

#[test]
fn instances_that_guest_code_leads_to_are_watched_like_others() -> Result<()> {
    let engine = wasmrun::Engine::default();
    let mut store = Store::new(&engine, ());
    let module =
        Module::new(&engine, r#"(module (import "" "f" (func $f)) (func (export "run") (call $f)))"#)?;
    let instantiates = Func::wrap(&mut store, |mut caller: wasmrun::Caller<'_, ()>| -> Result<()> {
        let module = Module::new(caller.engine(), ADDER)?;
        let instance = Instance::new(&mut caller, &module, &[])?;
        instance.get_typed_func::<i32, i32>(&mut caller, "run")?.call(&mut caller, 1)?;
        Ok(())
    });
    let attached = store.attach(Counting::default())?;
    let instance = Instance::new(&mut store, &module, &[Extern::Func(instantiates)])?;
    let run = instance.get_typed_func::<(), ()>(&mut store, "run")?;
    run.call(&mut store, ())?;
    let counts = store.detach(attached).0;
    assert_eq!(counts.iter().map(Counts::total).collect::<Vec<_>>(), [1, 3]);
    Ok(())
}
