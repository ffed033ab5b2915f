//! Calls of every kind, a million times each: a dispatch that is a call and not a jump, or a frame that is
//! not given back, would use up a stack.

use wasmrun::{Instance, Linker, Module, Result, Store};

use crate::common::{Mode, in_every_mode};

in_every_mode! {
    host_functions_can_be_called_for_ever
    functions_of_another_instance_can_be_called_for_ever
    tables_can_be_called_through_for_ever
    host_functions_can_be_tail_called_for_ever
    instances_can_tail_call_each_other_for_ever
    a_function_can_be_called_in_many_places
}

const TIMES: i32 = 1_000_000;

/// A guest `b` that imports from a guest `a` and from the host, and counts down through each.
fn run(mode: Mode, body: &str) -> Result<i32> {
    let engine = mode.engine();
    let mut linker: Linker<()> = Linker::new(&engine);
    linker.func_wrap("host", "down", |n: i32| n - 1)?;
    linker.func_wrap("host", "down2", |n: i32, _: i64, _: i64, _: i64| n - 1)?;
    let mut store = Store::new(&engine, ());
    let a = Module::new(
        &engine,
        r#"(module (type $down (func (param i32) (result i32)))
            (type $bounce (func (param i32 i64) (result i32)))
            (table (export "table") 4 funcref)
            (elem (i32.const 0) $down)
            (func $down (export "down") (type $down) (i32.sub (local.get 0) (i32.const 1)))
            (func (export "bounce") (type $bounce)
              (if (i32.eqz (local.get 0)) (then (return (i32.const 7))))
              (return_call_indirect (type $bounce)
                (i32.sub (local.get 0) (i32.const 1)) (local.get 1) (i32.const 1))))"#,
    )?;
    let a = linker.instantiate(&mut store, &a)?;
    linker.instance(&mut store, "a", a)?;
    let b = Module::new(
        &engine,
        format!(
            r#"(module (type $down (func (param i32) (result i32)))
            (type $bounce (func (param i32 i64) (result i32)))
            (import "host" "down" (func $host (type $down)))
            (import "host" "down2" (func $host2 (param i32 i64 i64 i64) (result i32)))
            (import "a" "down" (func $down (type $down)))
            (import "a" "bounce" (func $bounce (type $bounce)))
            (import "a" "table" (table $table 4 funcref))
            (elem (i32.const 1) $back $host $tail)
            (func $back (type $bounce)
              (if (i32.eqz (local.get 0)) (then (return (i32.const 8))))
              (return_call $bounce (i32.sub (local.get 0) (i32.const 1)) (local.get 1)))
            (func $tail (type $down) (return_call $host (local.get 0)))
            (func $tail2 (param i32) (result i32)
              (return_call $host2 (local.get 0) (i64.const 1) (i64.const 2) (i64.const 3)))
            (func (export "f") (param i32) (result i32) (local i32) {body}))"#
        ),
    )?;
    let b: Instance = linker.instantiate(&mut store, &b)?;
    b.get_typed_func::<i32, i32>(&mut store, "f")?.call(&mut store, TIMES)
}

fn counts_down(mode: Mode, call: &str) {
    let body = format!(
        "(loop $l (local.set 0 ({call})) (local.set 1 (i32.add (local.get 1) (i32.const 1)))
           (br_if $l (local.get 0))) (local.get 1)"
    );
    assert_eq!(run(mode, &body).unwrap(), TIMES, "{call}");
}

fn host_functions_can_be_called_for_ever(mode: Mode) {
    counts_down(mode, "call $host (local.get 0)");
}

fn functions_of_another_instance_can_be_called_for_ever(mode: Mode) {
    counts_down(mode, "call $down (local.get 0)");
}

fn tables_can_be_called_through_for_ever(mode: Mode) {
    // Of another instance, of the host, and of this instance in another's table.
    counts_down(mode, "call_indirect (type $down) (local.get 0) (i32.const 0)");
    counts_down(mode, "call_indirect (type $down) (local.get 0) (i32.const 2)");
    counts_down(mode, "call_indirect (type $down) (local.get 0) (i32.const 3)");
}

fn host_functions_can_be_tail_called_for_ever(mode: Mode) {
    counts_down(mode, "call $tail (local.get 0)");
    counts_down(mode, "call $tail2 (local.get 0)");
}

fn instances_can_tail_call_each_other_for_ever(mode: Mode) {
    assert_eq!(run(mode, "(call $bounce (local.get 0) (i64.const 0))").unwrap(), 7);
    assert_eq!(run(mode, "(call $back (local.get 0) (i64.const 0))").unwrap(), 8);
    // The context is right again behind the call: the call that follows goes through its imports.
    let body = "(drop (call $back (local.get 0) (i64.const 0))) (call $host (call $down (local.get 0)))";
    assert_eq!(run(mode, body).unwrap(), TIMES - 2);
}

/// From some number on, compiled callers share a way to the callee.
fn a_function_can_be_called_in_many_places(mode: Mode) -> Result<()> {
    // More arguments than registers, and more results.
    let params = "i64 ".repeat(12);
    let results = "i64 ".repeat(10);
    let arguments: String = (0..11).map(|i| format!("(i64.const {i})")).collect();
    let keep_last = "(local.set $last) ".to_owned() + &"drop ".repeat(9);
    let call =
        format!("(local.get $sum) {arguments} (call $many) {keep_last} (local.set $sum (local.get $last))");
    let module = format!(
        r#"(module
             (func $many (param {params}) (result {results}) (local $i i64)
               (loop (br_if 0 (i64.lt_u (local.tee $i (i64.add (local.get $i) (i64.const 1))) (i64.const 3))))
               {}
               (i64.add (i64.add (local.get 0) (local.get 11)) (local.get $i)))
             (func $tail (param $way i32) (param $sum i64) (result {results})
               {}
               (local.get $sum) {arguments} (return_call $many))
             (func (export "run") (result i64) (local $sum i64) (local $last i64)
               {}
               (i32.const 19) (local.get $sum) (call $tail) {keep_last}
               (local.get $last)))"#,
        "(i64.const 0) ".repeat(9),
        format!(
            "(if (i32.eqz (local.get $way)) (then (local.get $sum) {arguments} (return_call $many)))
             (local.set $way (i32.sub (local.get $way) (i32.const 1)))"
        )
        .repeat(20),
        call.repeat(20),
    );
    let engine = mode.engine();
    let module = Module::new(&engine, module)?;
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[])?;
    let run = instance.get_typed_func::<(), i64>(&mut store, "run")?;
    for _ in 0..3 {
        assert_eq!(run.call(&mut store, ())?, 21 * (10 + 3));
    }
    assert!(module.uncompiled().is_empty(), "{:?}", module.uncompiled());
    Ok(())
}
