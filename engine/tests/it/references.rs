//! References of types that modules define: to functions, called through them, in every tier.

use wasmrun::{Engine, Func, HeapType, Instance, Linker, Module, RefType, Result, Store, Trap, Val, ValType};

use crate::common::{Mode, in_every_mode};

in_every_mode! {
    functions_are_called_through_references
    branches_tell_null_from_functions
    values_of_a_defined_type_are_checked_where_they_come_in
}

/// Adds up what two functions make of the numbers below `n`, the second of every eighth.
const CALLS: &str = r#"(module
  (type $step (func (param i32) (result i32)))
  (func $double (type $step) (i32.mul (local.get 0) (i32.const 2)))
  (func $negate (type $step) (i32.sub (i32.const 0) (local.get 0)))
  (elem declare func $double $negate)
  (func $apply (param $f (ref $step)) (param i32) (result i32)
    (call_ref $step (local.get 1) (local.get $f)))
  (func $tail (param $f (ref null $step)) (param i32) (result i32)
    (return_call_ref $step (local.get 1) (local.get $f)))
  (func (export "run") (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (local.set $sum (i32.add (local.get $sum)
        (call $apply (ref.func $double) (local.get $n))))
      (if (i32.eqz (i32.and (local.get $n) (i32.const 7)))
        (then (local.set $sum (i32.add (local.get $sum)
          (call $tail (ref.func $negate) (local.get $n))))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
  (func (export "null") (result i32) (call $tail (ref.null $step) (i32.const 1)))
  (func (export "nothing") (param $f funcref) (result i32)
    (block $null (br_on_null $null (local.get $f)) (drop) (return (i32.const 1)))
    (i32.const 0))
  (func (export "something") (param $f funcref) (result (ref func))
    (block $found (result (ref func))
      (br_on_non_null $found (local.get $f))
      (ref.func $double)))
  (func (export "must") (param $f funcref) (result (ref func)) (ref.as_non_null (local.get $f)))
  (func (export "double") (result (ref $step)) (ref.func $double)))"#;

fn functions_are_called_through_references(mode: Mode) -> Result<()> {
    let engine = &mode.engine();
    let module = Module::new(engine, CALLS).unwrap();
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let run = instance.get_typed_func::<i32, i32>(&mut store, "run").unwrap();
    let expected = |n: i32| (1..=n).map(|i| 2 * i - if i % 8 == 0 { i } else { 0 }).sum::<i32>();
    for n in [1, 8, 20_000] {
        assert_eq!(run.call(&mut store, n).unwrap(), expected(n));
    }
    let null = instance.get_typed_func::<(), i32>(&mut store, "null").unwrap();
    let error = null.call(&mut store, ()).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::NullReference));
    Ok(())
}

fn branches_tell_null_from_functions(mode: Mode) -> Result<()> {
    let engine = &mode.engine();
    let module = Module::new(engine, CALLS).unwrap();
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let host = Func::wrap(&mut store, || ());
    let nothing = instance.get_typed_func::<Option<Func>, i32>(&mut store, "nothing").unwrap();
    assert_eq!([None, Some(host)].map(|f| nothing.call(&mut store, f).unwrap()), [0, 1]);
    let something = instance.get_typed_func::<Option<Func>, Func>(&mut store, "something").unwrap();
    assert_eq!(something.call(&mut store, Some(host)).unwrap(), host);
    assert_ne!(something.call(&mut store, None).unwrap(), host);
    let must = instance.get_typed_func::<Option<Func>, Func>(&mut store, "must").unwrap();
    assert_eq!(must.call(&mut store, Some(host)).unwrap(), host);
    let error = must.call(&mut store, None).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::NullReference));
    Ok(())
}

#[test]
fn a_typed_function_may_take_less_and_give_more_than_it_is_asked_for() {
    let engine = Engine::default();
    let module = Module::new(&engine, CALLS).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    // It takes null, too, and gives a function of a certain type.
    assert!(instance.get_typed_func::<Func, i32>(&mut store, "nothing").is_ok());
    assert!(instance.get_typed_func::<(), Option<Func>>(&mut store, "double").is_ok());
    let error = instance.get_typed_func::<Option<Func>, i32>(&mut store, "run").unwrap_err();
    assert!(format!("{error:#}").contains("(i32) -> (i32)"), "{error:#}");
}

fn values_of_a_defined_type_are_checked_where_they_come_in(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let module = Module::new(
        &engine,
        r#"(module (type $step (func (param i32) (result i32)))
          (table (export "table") 1 (ref null $step))
          (global (export "global") (mut (ref null $step)) (ref.null $step))
          (func (export "call") (param (ref $step)) (result i32) (call_ref $step (i32.const 20) (local.get 0))))"#,
    )
    .unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let right = Func::wrap(&mut store, |x: i32| x + 1);
    let wrong = Func::wrap(&mut store, |x: i64| x + 1);
    let call = instance.get_func(&mut store, "call").unwrap();
    let mut results = [Val::I32(0)];
    call.call(&mut store, &[right.into()], &mut results).unwrap();
    assert_eq!(results, [Val::I32(21)]);
    for bad in [Val::FuncRef(None), wrong.into(), Val::I64(0), Val::ExternRef(None)] {
        assert!(call.call(&mut store, &[bad], &mut results).is_err(), "{bad:?}");
    }
    let table = instance.get_table(&mut store, "table").unwrap();
    table.set(&mut store, 0, right.into()).unwrap();
    assert!(table.set(&mut store, 0, wrong.into()).is_err());
    let global = instance.get_global(&mut store, "global").unwrap();
    global.set(&mut store, right.into()).unwrap();
    global.set(&mut store, Val::FuncRef(None)).unwrap();
    assert!(global.set(&mut store, wrong.into()).is_err());
    Ok(())
}

#[test]
fn a_function_of_an_equal_type_of_another_module_can_be_imported() {
    let engine = Engine::default();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    let wat = r#"(module (type $a (func (result i32))) (type $b (func (param (ref $a)) (result i32)))
      (func (export "f") (type $b) (call_ref $a (local.get 0))))"#;
    let exporter = Module::new(&engine, wat).unwrap();
    let instance = linker.instantiate(&mut store, &exporter).unwrap();
    linker.instance(&mut store, "m", instance).unwrap();
    let importer = |ty: &str| {
        let wat = format!(
            r#"(module (type $c (func {ty})) (type $d (func (param (ref $c)) (result i32)))
              (import "m" "f" (func $f (type $d))))"#
        );
        Module::new(&engine, wat).unwrap()
    };
    linker.instantiate(&mut store, &importer("(result i32)")).unwrap();
    let error = linker.instantiate(&mut store, &importer("(result i64)")).unwrap_err();
    assert!(error.to_string().contains("incompatible import type"), "{error}");
}

#[test]
fn types_say_what_they_are() {
    let engine = Engine::default();
    let module = Module::new(&engine, CALLS).unwrap();
    let ty = module.get_export("something").unwrap();
    let ty = ty.func().unwrap();
    assert_eq!(ty.params(), [ValType::FUNCREF]);
    assert_eq!(ty.results(), [ValType::Ref(RefType::new(false, HeapType::Func))]);
    assert_eq!(ty.to_string(), "(funcref) -> ((ref func))");
}
