//! Host functions can call back into guests, as deep as the stacks reach.

use wasmrun::{AsContextMut, Caller, Engine, Func, Instance, Linker, Module, Result, Store, Trap, Val};

#[test]
fn nested_calls_do_not_disturb_the_frames_around_them() -> Result<()> {
    let engine = Engine::default();
    let mut linker = Linker::<u32>::new(&engine);
    linker.func_wrap("host", "down", |mut caller: Caller<'_, u32>, n: i32, keep: i64| -> Result<i64> {
        let sum = caller.get_export("sum").unwrap().into_func().unwrap().typed::<(i32, i64), i64>(&caller)?;
        *caller.data_mut() += 1;
        let below = sum.call(&mut caller, (n - 1, keep * 2))?;
        Ok(below + keep)
    })?;
    let module = Module::new(
        &engine,
        r#"(import "host" "down" (func $down (param i32 i64) (result i64)))
           (func $sum (export "sum") (param $n i32) (param $k i64) (result i64)
             (local $a i64) (local $b i64)
             (local.set $a (i64.mul (local.get $k) (i64.const 3)))
             (if (local.get $n)
               (then (local.set $b (call $down (local.get $n) (local.get $k)))))
             (i64.add (i64.add (local.get $a) (local.get $b)) (local.get $k)))"#,
    )?;
    let mut store = Store::new(&engine, 0);
    let instance = linker.instantiate(&mut store, &module)?;
    let sum = instance.get_typed_func::<(i32, i64), i64>(&mut store, "sum")?;
    fn expected(n: i32, k: i64) -> i64 {
        4 * k + if n > 0 { expected(n - 1, k * 2) + k } else { 0 }
    }
    assert_eq!(sum.call(&mut store, (20, 1))?, expected(20, 1));
    assert_eq!(*store.data(), 20);
    Ok(())
}

#[test]
fn endless_nesting_through_the_host_is_a_trap() -> Result<()> {
    let engine = Engine::default();
    let mut linker = Linker::<usize>::new(&engine);
    linker.func_wrap("host", "again", |mut caller: Caller<'_, usize>| -> Result<()> {
        *caller.data_mut() += 1;
        let run = caller.get_export("run").unwrap().into_func().unwrap();
        run.call(&mut caller, &[], &mut [])
    })?;
    let module =
        Module::new(&engine, r#"(import "host" "again" (func $again)) (func (export "run") (call $again))"#)?;
    let mut store = Store::new(&engine, 0);
    let instance = linker.instantiate(&mut store, &module)?;
    let run = instance.get_typed_func::<(), ()>(&mut store, "run")?;
    for _ in 0..2 {
        *store.data_mut() = 0;
        let error = run.call(&mut store, ()).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Trap::StackOverflow));
        assert!(*store.data() > 20, "{}", store.data());
    }
    Ok(())
}

#[test]
fn a_host_function_that_calls_host_functions_keeps_its_arguments() -> Result<()> {
    let mut store = Store::<()>::default();
    let double = Func::wrap(&mut store, |x: i64| x * 2);
    let double = double.typed::<i64, i64>(&store)?;
    let both = Func::wrap(&mut store, move |mut caller: Caller<'_, ()>, a: i64, b: i64| -> Result<i64> {
        Ok(double.call(&mut caller, a)? + double.call(&mut caller, b)? * 100 + a)
    });
    assert_eq!(both.typed::<(i64, i64), i64>(&store)?.call(&mut store, (1, 2))?, 403);
    // The same without types.
    let ty = both.ty(&store);
    let untyped = Func::new(&mut store, ty, move |mut caller, params, results| {
        let mut inner = [Val::I64(0)];
        double.func().call(&mut caller, &params[..1], &mut inner)?;
        both.call(&mut caller, &[inner[0], params[1]], results)
    });
    let mut results = [Val::I64(0)];
    untyped.call(&mut store, &[Val::I64(1), Val::I64(2)], &mut results)?;
    assert_eq!(results, [Val::I64(4 + 400 + 2)]);
    Ok(())
}

#[test]
fn host_functions_can_make_instances() -> Result<()> {
    let engine = Engine::default();
    let mut linker = Linker::<()>::new(&engine);
    let leaf = Module::new(&engine, r#"(func (export "f") (result i32) (i32.const 8)) (memory 1)"#)?;
    linker.func_wrap("host", "spawn", move |mut caller: Caller<'_, ()>| -> Result<i32> {
        let instance = Instance::new(&mut caller, &leaf, &[])?;
        let result = instance.get_typed_func::<(), i32>(&mut caller, "f")?.call(&mut caller, ());
        caller.as_context_mut().drop_instance(instance);
        result
    })?;
    let module = Module::new(
        &engine,
        r#"(import "host" "spawn" (func $spawn (result i32)))
           (func (export "run") (result i32) (i32.add (call $spawn) (call $spawn)))"#,
    )?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module)?;
    assert_eq!(instance.get_typed_func::<(), i32>(&mut store, "run")?.call(&mut store, ())?, 16);
    assert_eq!(store.instance_count(), 1);
    Ok(())
}

#[test]
fn an_error_that_the_host_handles_leaves_the_outer_call_running() -> Result<()> {
    let engine = Engine::default();
    let mut linker = Linker::<()>::new(&engine);
    linker.func_wrap("host", "try", |mut caller: Caller<'_, ()>| -> i32 {
        let boom = caller.get_export("boom").unwrap().into_func().unwrap();
        i32::from(boom.call(&mut caller, &[], &mut []).is_err())
    })?;
    let module = Module::new(
        &engine,
        r#"(import "host" "try" (func $try (result i32))) (func (export "boom") unreachable)
           (func (export "run") (result i32) (i32.add (call $try) (i32.mul (call $try) (i32.const 10))))"#,
    )?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module)?;
    assert_eq!(instance.get_typed_func::<(), i32>(&mut store, "run")?.call(&mut store, ())?, 11);
    Ok(())
}
