//! Values keep their bits on the way in and out, and functions of all shapes can be called.

use wasmrun::{
    ExternRef, Func, FuncType, Global, GlobalType, Instance, Module, Mutability, Result, Rooted, Store, Trap,
    V128, Val, ValType,
};

use crate::common::{Mode, in_every_mode};

in_every_mode! {
    nan_bits_survive_calls_in_both_directions
    small_integers_leave_no_garbage_in_the_high_half
    sixteen_parameters_arrive_in_order
    more_results_than_parameters_have_room
    references_mix_with_numbers
    vectors_keep_their_bits_through_calls_and_globals
}

fn instance(store: &mut Store<()>, wat: &str) -> Result<Instance> {
    let module = Module::new(store.engine(), wat)?;
    Instance::new(store, &module, &[])
}

fn nan_bits_survive_calls_in_both_directions(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut store = Store::new(&engine, ());
    let module = Module::new(
        &engine,
        r#"(import "" "f32" (func $f32 (param f32) (result f32)))
           (import "" "f64" (func $f64 (param f64) (result f64)))
           (func (export "f32") (param f32) (result f32) (call $f32 (local.get 0)))
           (func (export "f64") (param f64) (result f64) (call $f64 (local.get 0)))"#,
    )?;
    let f32_id = Func::wrap(&mut store, |x: f32| x);
    let f64_id = Func::wrap(&mut store, |x: f64| x);
    let instance = Instance::new(&mut store, &module, &[f32_id.into(), f64_id.into()])?;
    let f32 = instance.get_typed_func::<f32, f32>(&mut store, "f32")?;
    let f64 = instance.get_typed_func::<f64, f64>(&mut store, "f64")?;
    for bits in [0x7fa0_0001u32, 0xffc0_1234, 0x7f80_0001, 0x8000_0000, 0x7fff_ffff] {
        assert_eq!(f32.call(&mut store, f32::from_bits(bits))?.to_bits(), bits);
        let mut results = [Val::I32(0)];
        f32.func().call(&mut store, &[Val::F32(bits)], &mut results)?;
        assert_eq!(results[0], Val::F32(bits));
    }
    for bits in [0x7ff4_0000_0000_0001u64, 0xfff8_0000_dead_beef, 1 << 63] {
        assert_eq!(f64.call(&mut store, f64::from_bits(bits))?.to_bits(), bits);
    }
    Ok(())
}

fn small_integers_leave_no_garbage_in_the_high_half(mode: Mode) -> Result<()> {
    let mut store = Store::new(&mode.engine(), ());
    let wat = r#"
        (func (export "wide") (param i64) (result i64) (local.get 0))
        (func (export "extend") (param i32) (result i64) (i64.extend_i32_u (local.get 0)))
    "#;
    let instance = instance(&mut store, wat)?;
    let wide = instance.get_typed_func::<i64, i64>(&mut store, "wide")?;
    let extend = instance.get_typed_func::<i32, i64>(&mut store, "extend")?;
    assert_eq!(wide.call(&mut store, -1)?, -1);
    assert_eq!(extend.call(&mut store, -1)?, 0xffff_ffff);
    Ok(())
}

fn sixteen_parameters_arrive_in_order(mode: Mode) -> Result<()> {
    let mut store = Store::<Vec<i64>>::new(&mode.engine(), Default::default());
    #[rustfmt::skip]
    let all = Func::wrap(
        &mut store,
        |a: i32, b: i64, c: f32, d: f64, e: i32, f: i64, g: f32, h: f64,
         i: u32, j: u64, k: f32, l: f64, m: i32, n: i64, o: f32, p: f64| -> (f64, i32) {
            let first = a as f64 + b as f64 + c as f64 + d + e as f64 + f as f64 + g as f64 + h;
            (first * 1000.0 + i as f64 + j as f64 + k as f64 + l + m as f64 + n as f64 + o as f64 + p, a - m)
        },
    );
    let module = Module::new(
        store.engine(),
        r#"(type $t (func (param i32 i64 f32 f64 i32 i64 f32 f64 i32 i64 f32 f64 i32 i64 f32 f64)
                          (result f64 i32)))
           (import "" "all" (func $all (type $t)))
           (func (export "run") (result f64 i32)
             (call $all
               (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4)
               (i32.const 5) (i64.const 6) (f32.const 7) (f64.const 8)
               (i32.const 9) (i64.const 10) (f32.const 11) (f64.const 12)
               (i32.const 13) (i64.const 14) (f32.const 15) (f64.const 16)))"#,
    )?;
    let instance = Instance::new(&mut store, &module, &[all.into()])?;
    let run = instance.get_typed_func::<(), (f64, i32)>(&mut store, "run")?;
    assert_eq!(run.call(&mut store, ())?, (36100.0, -12));
    Ok(())
}

fn more_results_than_parameters_have_room(mode: Mode) -> Result<()> {
    let mut store = Store::new(&mode.engine(), ());
    let three = Func::wrap(&mut store, |x: i32| (x, x as i64 * 2, x as f64 * 3.0));
    let module = Module::new(
        store.engine(),
        r#"(import "" "three" (func $three (param i32) (result i32 i64 f64)))
           (func (export "run") (param i32) (result i32 i64 f64) (call $three (local.get 0)))"#,
    )?;
    let instance = Instance::new(&mut store, &module, &[three.into()])?;
    let run = instance.get_typed_func::<i32, (i32, i64, f64)>(&mut store, "run")?;
    assert_eq!(run.call(&mut store, 7)?, (7, 14, 21.0));
    assert_eq!(three.typed::<i32, (i32, i64, f64)>(&store)?.call(&mut store, 2)?, (2, 4, 6.0));
    Ok(())
}

fn references_mix_with_numbers(mode: Mode) -> Result<()> {
    let mut store = Store::new(&mode.engine(), ());
    let pick = Func::wrap(
        &mut store,
        |first: Option<Rooted<ExternRef>>, which: i32, second: Option<Rooted<ExternRef>>, f: Option<Func>| {
            (if which == 0 { first } else { second }, f)
        },
    );
    let module = Module::new(
        store.engine(),
        r#"(type $t (func (param externref i32 externref funcref) (result externref funcref)))
           (import "" "pick" (func $pick (type $t)))
           (func $self (export "run") (type $t)
             (call $pick (local.get 0) (local.get 1) (local.get 2) (ref.func $self)))"#,
    )?;
    let instance = Instance::new(&mut store, &module, &[pick.into()])?;
    let run = instance.get_typed_func::<
        (Option<Rooted<ExternRef>>, i32, Option<Rooted<ExternRef>>, Option<Func>),
        (Option<Rooted<ExternRef>>, Option<Func>),
    >(&mut store, "run")?;
    let a = ExternRef::new(&mut store, "a")?;
    let b = ExternRef::new(&mut store, "b")?;
    let (value, func) = run.call(&mut store, (Some(a), 1, Some(b), None))?;
    assert_eq!(value.unwrap().data(&store)?.unwrap().downcast_ref(), Some(&"b"));
    assert_eq!(func, Some(*run.func()));
    let (value, _) = run.call(&mut store, (None, 0, Some(b), None))?;
    assert!(value.is_none());

    let mut results = [Val::I32(0), Val::I32(0)];
    let params = [Val::from(a), Val::I32(0), Val::from(None::<Rooted<ExternRef>>), Val::from(None::<Func>)];
    run.func().call(&mut store, &params, &mut results)?;
    assert!(Rooted::ref_eq(&store, results[0].unwrap_extern_ref().unwrap(), &a)?);
    assert_eq!(results[1], Val::from(*run.func()));
    Ok(())
}

#[test]
fn values_of_the_wrong_type_are_refused() -> Result<()> {
    let mut store = Store::<()>::default();
    let f = Func::wrap(&mut store, |x: i32| x);
    let mut result = [Val::I32(0)];
    assert!(f.call(&mut store, &[Val::I64(1)], &mut result).is_err());
    assert!(f.call(&mut store, &[], &mut result).is_err());
    assert!(f.call(&mut store, &[Val::I32(1)], &mut []).is_err());
    f.call(&mut store, &[Val::I32(1)], &mut result)?;
    assert_eq!(result, [Val::I32(1)]);
    let error = f.typed::<f32, i32>(&store).unwrap_err();
    assert_eq!(
        error.to_string(),
        "type mismatch: the function is (i32) -> (i32), but was asked for as (f32) -> (i32)"
    );
    Ok(())
}

#[test]
fn a_host_function_that_returns_the_wrong_type_fails() -> Result<()> {
    let mut store = Store::<()>::default();
    let ty = FuncType::new([], [ValType::I32]);
    let wrong = Func::new(&mut store, ty.clone(), |_, _, results| {
        results[0] = Val::I64(1);
        Ok(())
    });
    let error = wrong.call(&mut store, &[], &mut [Val::I32(0)]).unwrap_err();
    assert!(format!("{error:#}").contains("expected i32, found i64"), "{error:#}");
    // Results that are not set are zero.
    let lazy = Func::new(&mut store, ty, |_, _, _| Ok(()));
    let mut results = [Val::I32(7)];
    lazy.call(&mut store, &[], &mut results)?;
    assert_eq!(results, [Val::I32(0)]);
    Ok(())
}

fn vectors_keep_their_bits_through_calls_and_globals(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut store = Store::new(&engine, ());
    let module = Module::new(
        &engine,
        r#"(import "" "turn" (func $turn (param i32 v128 i64) (result i64 v128)))
           (import "" "far" (global $far (mut v128)))
           (global $own (export "own") (mut v128) (v128.const i64x2 1 2))
           (func $others (param v128 i32) (result v128 i32) (local.get 0) (local.get 1))
           (func (export "f") (param i32 v128) (result v128 v128 i64) (local i64 v128)
             (global.get $own)
             (global.set $own (global.get $far))
             (global.set $far (local.get 1))
             (call $turn (local.get 0) (local.get 1) (i64.const 5))
             (local.set 3) (local.set 2)
             (call $others (local.get 3) (local.get 0)) (drop)
             (local.get 2))"#,
    )?;
    let turn = Func::wrap(&mut store, |a: i32, b: V128, c: i64| {
        (c + i64::from(a), V128::from(b.as_u128().rotate_left(a as u32)))
    });
    let [one, two, three] = [3, 5, 7].map(|number| V128::from(u128::MAX / number));
    let far = Global::new(&mut store, GlobalType::new(ValType::V128, Mutability::Var), Val::V128(one))?;
    let instance = Instance::new(&mut store, &module, &[turn.into(), far.into()])?;
    let own = instance.get_global(&mut store, "own").expect("the export exists");
    let f = instance.get_typed_func::<(i32, V128), (V128, V128, i64)>(&mut store, "f")?;
    let turned = |bits: V128| V128::from(bits.as_u128().rotate_left(9));
    assert_eq!(f.call(&mut store, (9, two))?, (V128::from(2 << 64 | 1), turned(two), 14));
    assert_eq!(f.call(&mut store, (9, three))?, (one, turned(three), 14));
    assert_eq!(own.get(&mut store), Val::V128(two));
    assert_eq!(far.get(&mut store), Val::V128(three));
    Ok(())
}

#[test]
fn vectors_have_two_slots() {
    let mut store = Store::<()>::default();
    let swap = Func::wrap(&mut store, |a: V128, b: i32| (b, a));
    let call = swap.typed::<(V128, i32), (i32, V128)>(&store).unwrap();
    let big = V128::from(u128::MAX / 3);
    assert_eq!(call.call(&mut store, (big, 5)).unwrap(), (5, big));
}

#[test]
fn host_functions_can_be_called_by_the_host() -> Result<()> {
    let mut store = Store::<()>::default();
    let fail = Func::wrap(&mut store, || -> Result<(), Trap> { Err(Trap::OutOfFuel) });
    let error = fail.call(&mut store, &[], &mut []).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::OutOfFuel));
    Ok(())
}

#[test]
fn values_are_taken_by_type_or_refused_by_name() -> Result<()> {
    let mut store = Store::<()>::default();
    let func = Func::wrap(&mut store, || ());
    let host = ExternRef::new(&mut store, 1)?;
    assert_eq!(Val::from(func).unwrap_func_ref(), Some(&func));
    assert_eq!(Val::from(host).unwrap_extern_ref(), Some(&host));
    assert_eq!(Val::null_func_ref().unwrap_func_ref(), None);
    assert_eq!(Val::null_extern_ref().unwrap_extern_ref(), None);
    assert_eq!(Val::from(V128::from(3)).unwrap_v128().as_u128(), 3);
    assert_eq!((Val::I64(-1).unwrap_i64(), Val::from(0.5f32).unwrap_f32()), (-1, 0.5));
    assert_eq!(Val::from(0.25f64).unwrap_f64(), 0.25);
    let wrong = std::panic::catch_unwind(|| Val::I32(1).unwrap_v128()).unwrap_err();
    assert_eq!(wrong.downcast_ref::<String>().unwrap(), "expected v128, found i32");
    Ok(())
}
