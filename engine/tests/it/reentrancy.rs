//! Host functions can call back into guests, as deep as the stacks reach.

use wasmrun::{AsContextMut, Caller, Func, Instance, Linker, Module, Result, Store, Trap, Val};

use crate::common::{Mode, in_every_mode};

in_every_mode! {
    nested_calls_do_not_disturb_the_frames_around_them
    endless_nesting_through_the_host_is_a_trap
    host_functions_can_make_instances
    an_error_that_the_host_handles_leaves_the_outer_call_running
    host_functions_come_back_through_functions_of_both_tiers
}

fn nested_calls_do_not_disturb_the_frames_around_them(mode: Mode) -> Result<()> {
    let engine = mode.engine();
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

fn endless_nesting_through_the_host_is_a_trap(mode: Mode) -> Result<()> {
    let engine = mode.engine();
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

fn host_functions_can_make_instances(mode: Mode) -> Result<()> {
    let engine = mode.engine();
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

fn an_error_that_the_host_handles_leaves_the_outer_call_running(mode: Mode) -> Result<()> {
    let engine = mode.engine();
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

fn host_functions_come_back_through_functions_of_both_tiers(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut linker = Linker::<()>::new(&engine);
    linker.func_wrap("host", "down", |mut caller: Caller<'_, ()>, n: i32, x: f64| -> Result<(i64, f64)> {
        if n == 0 {
            return Ok((0, 0.0));
        }
        // In turn through the one tier and the other, with types and without.
        let name = if n % 2 == 0 { "even" } else { "odd" };
        let func = caller.get_export(name).unwrap().into_func().unwrap();
        if n % 3 == 0 {
            return func.typed::<(i32, f64), (i64, f64)>(&caller)?.call(&mut caller, (n - 1, x + 0.5));
        }
        let mut results = [Val::I64(0), Val::I64(0)];
        func.call(&mut caller, &[Val::I32(n - 1), Val::from(x + 0.5)], &mut results)?;
        Ok((results[0].unwrap_i64(), results[1].unwrap_f64()))
    })?;
    let level = |name: &str, next: &str| {
        format!(
            r#"(func ${name} (export "{name}") (type $t) (local $n i64) (local $y f64)
                 (call ${next} (local.get 0) (local.get 1))
                 (local.set $y) (local.set $n)
                 (i64.add (local.get $n) (i64.extend_i32_u (local.get 0)))
                 (f64.add (local.get $y) (local.get 1)))"#
        )
    };
    let head =
        r#"(type $t (func (param i32 f64) (result i64 f64))) (import "host" "down" (func $down (type $t)))"#;
    let module = Module::new(&engine, format!("{head} {} {}", level("even", "odd"), level("odd", "down")))?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module)?;
    fn expected(even: bool, n: i32, x: f64) -> (i64, f64) {
        let (m, y) = match (even, n) {
            (true, _) => expected(false, n, x),
            (false, 0) => (0, 0.0),
            (false, _) => expected(n % 2 == 0, n - 1, x + 0.5),
        };
        (m + i64::from(n), y + x)
    }
    for (name, even) in [("even", true), ("odd", false)] {
        let func = instance.get_typed_func::<(i32, f64), (i64, f64)>(&mut store, name)?;
        for n in [0, 1, 2, 30] {
            assert_eq!(func.call(&mut store, (n, 0.25))?, expected(even, n, 0.25), "{name} {n}");
        }
    }
    Ok(())
}
