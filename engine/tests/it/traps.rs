//! Traps say what happened and where; errors and panics of host functions come out as they went in.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use wasmrun::{Caller, Engine, Error, I32Exit, Instance, Linker, Module, Result, Store, Trap, WasmBacktrace};

use crate::common::{Mode, in_every_mode};

in_every_mode! {
    each_trap_has_its_code
    endless_recursion_is_a_trap_and_the_store_goes_on
    backtraces_have_exact_offsets_and_names
    a_load_that_is_part_of_what_uses_it_traps_where_it_is
    each_of_several_loads_traps_where_it_is
    backtraces_are_as_long_as_configured
    backtraces_go_on_behind_host_functions_and_other_instances
    host_functions_can_look_at_their_callers
    callers_are_the_same_after_the_host_has_called_back
    fuel_ends_where_it_ends_in_tier_0_inside_of_inlined_functions_too
    host_errors_keep_their_type_and_get_a_backtrace
    a_panic_of_a_host_function_reaches_the_host_and_the_store_goes_on
    a_start_function_that_traps_is_an_error_with_a_backtrace
    segments_that_do_not_fit_trap
    backtraces_name_the_same_frames_whatever_trapped
    panics_pass_through_the_frames_between_two_hosts
}

fn trap_of(mode: Mode, wat_body: &str) -> Trap {
    let mut store = Store::new(&mode.engine(), ());
    let wat = format!(
        r#"(module (memory 1) (table 1 funcref) (type $v (func))
             (elem (i32.const 0) $takes) (func $takes (param i32))
             (func (export "run") {wat_body}))"#
    );
    let module = Module::new(store.engine(), wat).unwrap();
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let run = instance.get_func(&mut store, "run").unwrap();
    let error = run.call(&mut store, &[], &mut []).unwrap_err();
    assert!(error.is::<WasmBacktrace>());
    *error.downcast_ref::<Trap>().unwrap()
}

fn each_trap_has_its_code(mode: Mode) {
    assert_eq!(trap_of(mode, "unreachable"), Trap::UnreachableCodeReached);
    assert_eq!(trap_of(mode, "(drop (i32.load (i32.const -4)))"), Trap::MemoryOutOfBounds);
    assert_eq!(
        trap_of(mode, "(i32.store offset=65535 (i32.const 1) (i32.const 1))"),
        Trap::MemoryOutOfBounds
    );
    assert_eq!(trap_of(mode, "(drop (i32.div_s (i32.const 1) (i32.const 0)))"), Trap::IntegerDivisionByZero);
    assert_eq!(
        trap_of(mode, "(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))"),
        Trap::IntegerOverflow
    );
    assert_eq!(trap_of(mode, "(drop (i32.trunc_f32_s (f32.const nan)))"), Trap::BadConversionToInteger);
    assert_eq!(trap_of(mode, "(call_indirect (type $v) (i32.const 0))"), Trap::BadSignature);
    assert_eq!(trap_of(mode, "(call_indirect (type $v) (i32.const 1))"), Trap::TableOutOfBounds);
    assert_eq!(trap_of(mode, "(drop (table.get 0 (i32.const 1)))"), Trap::TableOutOfBounds);
    assert_eq!(
        trap_of(mode, "(table.set 0 (i32.const 0) (ref.null func)) (call_indirect (type $v) (i32.const 0))"),
        Trap::IndirectCallToNull
    );
}

fn endless_recursion_is_a_trap_and_the_store_goes_on(mode: Mode) -> Result<()> {
    let mut store = Store::new(&mode.engine(), ());
    let module = Module::new(
        store.engine(),
        r#"(func $f (export "f") (param i64) (result i64) (i64.add (call $f (local.get 0)) (i64.const 1)))
           (func (export "one") (result i32) (i32.const 1))"#,
    )?;
    let instance = Instance::new(&mut store, &module, &[])?;
    let f = instance.get_typed_func::<i64, i64>(&mut store, "f")?;
    let error = f.call(&mut store, 1).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::StackOverflow));
    assert_eq!(error.downcast_ref::<WasmBacktrace>().unwrap().frames().len(), 20);
    let one = instance.get_typed_func::<(), i32>(&mut store, "one")?;
    assert_eq!(one.call(&mut store, ())?, 1);
    Ok(())
}

/// A module in binary, of which the offsets are known: three functions that call each other, the last of
/// which traps.
fn known_offsets() -> Vec<u8> {
    let code: &[&[u8]] = &[
        // $outer: nop, call 1, end
        &[0, 0x01, 0x10, 1, 0x0b],
        // $middle: i32.const 0, drop, call 2, end
        &[0, 0x41, 0, 0x1a, 0x10, 2, 0x0b],
        // $inner: nop, nop, unreachable, end
        &[0, 0x01, 0x01, 0x00, 0x0b],
    ];
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    module.extend([1, 4, 1, 0x60, 0, 0]);
    module.extend([3, 4, 3, 0, 0, 0]);
    module.extend([7, 7, 1, 3, b'r', b'u', b'n', 0, 0]);
    let body: Vec<u8> =
        code.iter().flat_map(|f| std::iter::once(f.len() as u8).chain(f.iter().copied())).collect();
    module.extend([10, body.len() as u8 + 1, 3]);
    module.extend(body);
    // The name section: module "known", functions 0 and 2 named.
    let names = b"\x04name\x00\x06\x05known\x01\x0f\x02\x00\x05outer\x02\x05inner";
    module.extend([0, names.len() as u8]);
    module.extend(names);
    module
}

fn backtraces_have_exact_offsets_and_names(mode: Mode) -> Result<()> {
    let bytes = known_offsets();
    let find = |pattern: &[u8]| bytes.windows(pattern.len()).position(|w| w == pattern).unwrap();
    let mut store = Store::new(&mode.engine(), ());
    let module = Module::new(store.engine(), &bytes)?;
    assert_eq!(module.name(), Some("known"));
    let instance = Instance::new(&mut store, &module, &[])?;
    let run = instance.get_typed_func::<(), ()>(&mut store, "run")?;
    let error = run.call(&mut store, ()).unwrap_err();
    let backtrace = error.downcast_ref::<WasmBacktrace>().unwrap();
    let frames: Vec<_> = backtrace
        .frames()
        .iter()
        .map(|f| (f.func_index(), f.func_name(), f.module_offset().unwrap(), f.func_offset().unwrap()))
        .collect();
    assert_eq!(
        frames,
        [
            (2, Some("inner"), find(&[0x01, 0x01, 0x00, 0x0b]) + 2, 3),
            (1, None, find(&[0x10, 2]), 4),
            (0, Some("outer"), find(&[0x10, 1]), 2),
        ]
    );
    let at = |i: usize| format!("{:#x}", frames[i].2);
    let expected = format!(
        "wasm `unreachable` instruction executed\n\nwasm backtrace:\n    0: {} - known!inner\n    1: {} - \
         known!<wasm function 1>\n    2: {} - known!outer",
        at(0),
        at(1),
        at(2)
    );
    assert_eq!(format!("{error:?}"), expected);
    Ok(())
}

fn a_load_that_is_part_of_what_uses_it_traps_where_it_is(mode: Mode) -> Result<()> {
    // Each traps in the load of `$at`, at whichever side and behind whatever that is.
    let (load, wide) = ("(i32.load (local.get $at))", "(i64.load offset=8 (local.get $at))");
    let bodies = [
        format!("(i32.and {load} (i32.const 1))"),
        format!("(i32.add (local.get $x) {load})"),
        format!("(i32.sub (local.get $x) {load})"),
        format!("(i32.eq (i32.load (local.get $x)) {load})"),
        format!("(i32.add (i32.load offset=4 (local.get $x)) {load})"),
        format!("(i32.mul {load} (i32.load (local.get $x)))"),
        format!(
            "(if (result i32) (i32.lt_u (local.get $x) {load}) (then (i32.const 1)) (else (i32.const 2)))"
        ),
        format!("(select (local.get $x) (i32.const 9) {load})"),
        format!("(i32.wrap_i64 (i64.xor (i64.extend_i32_u (local.get $x)) {wide}))"),
        format!("(i64.eqz (i64.and {wide} (i64.const 255)))"),
        "(i32.popcnt (i32.or (local.get $x) (i32.load8_u (local.get $at))))".to_string(),
        "(i32.trunc_sat_f64_s (f64.add (f64.const 1) (f64.load (local.get $at))))".to_string(),
        "(i32.trunc_sat_f32_s (f32.sqrt (f32.load (local.get $at))))".to_string(),
        format!("(i32.store (local.get $at) (i32.add (local.get $x) {load})) (i32.const 0)"),
        format!("(i32.div_u (local.get $x) {load})"),
        format!("(i32.rotl (local.get $x) (i32.add (i32.const 7) {load}))"),
        format!("(drop {load}) (i32.add {load} (i32.const 1))"),
        "(i32x4.extract_lane 1 (i32x4.add (v128.const i32x4 1 2 3 4) (v128.load (local.get $at))))"
            .to_string(),
    ];
    for body in bodies {
        let wat = format!(
            r#"(module (memory 1) (data (i32.const 16) "\01") (func (export "run") (param $x i32) (param $at i32) (result i32) {body}))"#
        );
        let offset = |mode: Mode| -> Result<usize> {
            let mut store = Store::new(&mode.engine(), ());
            let module = Module::new(store.engine(), &wat)?;
            let instance = Instance::new(&mut store, &module, &[])?;
            let run = instance.get_typed_func::<(i32, i32), i32>(&mut store, "run")?;
            run.call(&mut store, (8, 16))?;
            let error = run.call(&mut store, (8, 65536)).unwrap_err();
            assert_eq!(error.downcast_ref(), Some(&Trap::MemoryOutOfBounds), "{body}");
            let backtrace = error.downcast_ref::<WasmBacktrace>().expect("a trap has one");
            Ok(backtrace.frames()[0].func_offset().expect("tier 0 knows it"))
        };
        assert_eq!(offset(mode)?, offset(Mode::Interp)?, "{body}");
    }
    Ok(())
}

fn each_of_several_loads_traps_where_it_is(mode: Mode) -> Result<()> {
    // At 0 there is an address beyond the memory, at 8 the address 0. Each body loads by `$a` and `$b`, or by what is there.
    let twice = |outer: &str| format!("({outer} (i32.load (local.get $a)))");
    let in_arms = |change: &str| {
        let arm = |at: &str| {
            let load = format!("(i32.load (local.get {at}))");
            format!("(if (local.get {at}) (then (global.set $g ({change} {load} (i32.const 1)))))")
        };
        let first = format!("(global.set $g ({change} (local.get $a) (i32.const 1)))");
        format!("{first} {} {} (i32.const 0)", arm("$a"), arm("$b"))
    };
    let bodies = [
        twice("i32.load"),
        twice("i32.load8_u"),
        "(i32.add (local.get $b) (i32.load (i32.load (local.get $a))))".into(),
        "(i32.xor (i32.load (i32.load (local.get $a))) (i32.load (i32.load (local.get $b))))".into(),
        "(i32.add (local.get $b) (i32.load (i32.load (i32.load (local.get $a)))))".into(),
        "(if (result i32) (i32.eqz (i32.load (i32.load (local.get $a)))) (then (i32.const 1)) (else (i32.const 2)))"
            .into(),
        "(i32.wrap_i64 (i64.load offset=4 align=1 (i32.load (local.get $a))))".into(),
        "(i32.store (i32.load (local.get $a)) (local.get $b)) (i32.const 0)".into(),
        "(i32.store (local.get $a) (i32.load (local.get $b))) (i32.const 0)".into(),
        "(i32.store (i32.load (local.get $a)) (i32.add (i32.load (local.get $b)) (i32.const 1))) (i32.const 0)".into(),
        "(call $load (call $same (local.get $a)))".into(),
        "(i32.add (call $load (local.get $a)) (call $same (local.get $b)))".into(),
        "(i32.xor (i32.xor (i32.load (local.get $a)) (i32.const -1)) (i32.xor (i32.load (local.get $b)) (i32.const -1)))"
            .into(),
        "(i32.sub (i32.const 0) (i32.sub (i32.load (local.get $a)) (i32.load (local.get $b))))".into(),
        in_arms("i32.xor"),
        in_arms("i32.add"),
        in_arms("i32.and"),
    ];
    for body in bodies {
        let wat = format!(
            r#"(module (memory 1) (global $g (mut i32) (i32.const 0)) (data (i32.const 0) "\ff\ff\ff\7f")
                (func $load (param i32) (result i32) (i32.load (local.get 0)))
                (func $same (param i32) (result i32) (i32.load (local.get 0)))
                (func (export "run") (param $a i32) (param $b i32) (result i32) {body}))"#
        );
        let frames = |mode: Mode, arguments: (i32, i32)| -> Result<Vec<(u32, Option<usize>)>> {
            let mut store = Store::new(&mode.engine(), ());
            let module = Module::new(store.engine(), &wat)?;
            let instance = Instance::new(&mut store, &module, &[])?;
            let run = instance.get_typed_func::<(i32, i32), i32>(&mut store, "run")?;
            let Err(error) = run.call(&mut store, arguments) else { return Ok(Vec::new()) };
            let backtrace = error.downcast_ref::<WasmBacktrace>().expect("a trap has one");
            Ok(backtrace.frames().iter().map(|frame| (frame.func_index(), frame.func_offset())).collect())
        };
        for arguments in [(0, 8), (8, 0), (-4, 8), (8, -4), (0, -4), (-4, 0), (8, 8)] {
            assert_eq!(frames(mode, arguments)?, frames(Mode::Interp, arguments)?, "{arguments:?} {body}");
        }
    }
    Ok(())
}

fn backtraces_are_as_long_as_configured(mode: Mode) -> Result<()> {
    for limit in [0, 1, 2] {
        let mut config = mode.config();
        config.max_backtrace_frames(limit);
        let mut store = Store::new(&Engine::new(&config)?, ());
        let module = Module::new(store.engine(), known_offsets())?;
        let instance = Instance::new(&mut store, &module, &[])?;
        let run = instance.get_typed_func::<(), ()>(&mut store, "run")?;
        let error = run.call(&mut store, ()).unwrap_err();
        let frames = error.downcast_ref::<WasmBacktrace>().map(|b| b.frames().len());
        assert_eq!(frames, (limit > 0).then_some(limit));
        assert!(error.is::<Trap>());
    }
    Ok(())
}

fn backtraces_go_on_behind_host_functions_and_other_instances(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut linker = Linker::<()>::new(&engine);
    linker.func_wrap("host", "again", |mut caller: Caller<'_, ()>| -> Result<()> {
        let boom = caller.get_export("boom").unwrap().into_func().unwrap();
        boom.call(&mut caller, &[], &mut [])
    })?;
    let mut store = Store::new(&engine, ());
    let inner = Module::new(
        &engine,
        r#"(module $inner (import "host" "again" (func $again))
             (func $boom (export "boom") unreachable)
             (func $enter (export "enter") (call $again)))"#,
    )?;
    linker.module(&mut store, "inner", &inner)?;
    let outer = Module::new(
        &engine,
        r#"(module $outer (import "inner" "enter" (func $enter)) (func $main (export "main") (call $enter)))"#,
    )?;
    let outer = linker.instantiate(&mut store, &outer)?;
    let main = outer.get_typed_func::<(), ()>(&mut store, "main")?;
    let error = main.call(&mut store, ()).unwrap_err();
    let backtrace = error.downcast_ref::<WasmBacktrace>().unwrap();
    let names: Vec<_> =
        backtrace.frames().iter().map(|f| (f.module().name().unwrap(), f.func_name().unwrap())).collect();
    assert_eq!(names, [("inner", "boom"), ("inner", "enter"), ("outer", "main")]);
    Ok(())
}

fn host_functions_can_look_at_their_callers(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut linker = Linker::<Vec<String>>::new(&engine);
    linker.func_wrap("host", "look", |mut caller: Caller<'_, Vec<String>>| {
        let backtrace = WasmBacktrace::capture(&caller);
        let names = backtrace.frames().iter().map(|f| f.func_name().unwrap().to_owned());
        *caller.data_mut() = names.collect();
    })?;
    let module = Module::new(
        &engine,
        r#"(import "host" "look" (func $look)) (func $b (call $look)) (func $a (export "a") (call $b))"#,
    )?;
    let mut store = Store::new(&engine, Vec::new());
    let instance = linker.instantiate(&mut store, &module)?;
    instance.get_typed_func::<(), ()>(&mut store, "a")?.call(&mut store, ())?;
    assert_eq!(store.data(), &["b", "a"]);
    assert!(WasmBacktrace::capture(&store).frames().is_empty());
    Ok(())
}

fn callers_are_the_same_after_the_host_has_called_back(mode: Mode) -> Result<()> {
    fn look(caller: &mut Caller<'_, Vec<String>>) {
        let backtrace = WasmBacktrace::capture(&*caller);
        let names = backtrace.frames().iter().map(|f| f.func_name().unwrap().to_owned()).collect::<Vec<_>>();
        caller.data_mut().push(names.join(" "));
    }
    let engine = mode.engine();
    let mut linker = Linker::<Vec<String>>::new(&engine);
    linker.func_wrap("host", "look", |mut caller: Caller<'_, Vec<String>>, _: i32| look(&mut caller))?;
    linker.func_wrap("host", "back", |mut caller: Caller<'_, Vec<String>>| -> Result<()> {
        for _ in 0..2 {
            let deep = caller.get_export("deep").unwrap().into_func().unwrap().typed::<i32, ()>(&caller)?;
            deep.call(&mut caller, 2)?;
            look(&mut caller);
        }
        let boom = caller.get_export("boom").unwrap().into_func().unwrap();
        boom.call(&mut caller, &[], &mut [])
    })?;
    let module = Module::new(
        &engine,
        r#"(import "host" "look" (func $look (param i32))) (import "host" "back" (func $back))
           (func $boom (export "boom") unreachable)
           (func $deep (export "deep") (param i32)
             (if (local.get 0)
               (then (call $deep (i32.sub (local.get 0) (i32.const 1))))
               (else (call $look (local.get 0)))))
           (func $between (call $back))
           (func $main (export "main") (call $between))"#,
    )?;
    let mut store = Store::new(&engine, Vec::new());
    let instance = linker.instantiate(&mut store, &module)?;
    let main = instance.get_typed_func::<(), ()>(&mut store, "main")?;
    let error = main.call(&mut store, ()).unwrap_err();
    let names = error.downcast_ref::<WasmBacktrace>().unwrap().frames().iter();
    assert_eq!(names.map(|f| f.func_name().unwrap()).collect::<Vec<_>>(), ["boom", "between", "main"]);
    let (deep, again) = ("deep deep deep between main", "between main");
    assert_eq!(store.data(), &[deep, again, deep, again]);
    Ok(())
}

fn fuel_ends_where_it_ends_in_tier_0_inside_of_inlined_functions_too(mode: Mode) -> Result<()> {
    // Offsets of the frames, for as much fuel.
    let frames = |mode: Mode, fuel: u64| -> Result<Option<Vec<(u32, usize)>>> {
        let engine = Engine::new(mode.config().consume_fuel(true))?;
        let module = Module::new(
            &engine,
            r#"(func $add (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
               (func $twice (param i32) (result i32)
                 (if (result i32) (local.get 0)
                   (then (call $add (local.get 0) (local.get 0))) (else (i32.const 1))))
               (func (export "main") (local $i i32)
                 (loop $l
                   (drop (call $twice (local.get $i)))
                   (br_if $l (i32.lt_u (local.tee $i (call $add (local.get $i) (i32.const 1))) (i32.const 3)))))"#,
        )?;
        let mut store = Store::new(&engine, ());
        store.set_fuel(fuel)?;
        let instance = Instance::new(&mut store, &module, &[])?;
        let main = instance.get_typed_func::<(), ()>(&mut store, "main")?;
        let Err(error) = main.call(&mut store, ()) else { return Ok(None) };
        assert_eq!(error.downcast_ref(), Some(&Trap::OutOfFuel));
        let frames = error.downcast_ref::<WasmBacktrace>().unwrap().frames().iter();
        Ok(Some(frames.map(|frame| (frame.func_index(), frame.module_offset().unwrap())).collect()))
    };
    let mut fuel = 0;
    while let Some(expected) = frames(Mode::Interp, fuel)? {
        assert_eq!(frames(mode, fuel)?, Some(expected), "{fuel} units");
        fuel += 1;
    }
    assert_eq!(frames(mode, fuel)?, None, "{fuel} units");
    assert!(fuel > 30, "{fuel} units are no test");
    Ok(())
}

#[derive(Debug, PartialEq)]
struct OwnError(u32);

impl fmt::Display for OwnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "own error {}", self.0)
    }
}

impl std::error::Error for OwnError {}

fn host_errors_keep_their_type_and_get_a_backtrace(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut linker = Linker::<()>::new(&engine);
    linker.func_wrap("host", "own", |x: u32| -> Result<(), OwnError> { Err(OwnError(x)) })?;
    linker.func_wrap("host", "exit", |code: i32| -> Result<()> { Err(I32Exit(code).into()) })?;
    linker.func_wrap("host", "context", || -> Result<()> {
        Err(Error::msg("root").context("middle").context("top"))
    })?;
    let module = Module::new(
        &engine,
        r#"(import "host" "own" (func $own (param i32)))
           (import "host" "exit" (func $exit (param i32)))
           (import "host" "context" (func $context))
           (func $run_own (export "own") (call $own (i32.const 9)))
           (func (export "exit") (call $exit (i32.const 3)))
           (func (export "context") (call $context))"#,
    )?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module)?;
    let mut call = |name: &str| {
        let func = instance.get_typed_func::<(), ()>(&mut store, name).unwrap();
        func.call(&mut store, ()).unwrap_err()
    };
    let own = call("own");
    assert_eq!(own.to_string(), "own error 9");
    assert_eq!(own.downcast_ref(), Some(&OwnError(9)));
    assert!(!own.is::<Trap>());
    assert_eq!(own.downcast_ref::<WasmBacktrace>().unwrap().frames()[0].func_name(), Some("run_own"));
    assert_eq!(own.downcast::<OwnError>().unwrap(), OwnError(9));
    assert_eq!(call("exit").downcast_ref(), Some(&I32Exit(3)));
    let context = call("context");
    assert_eq!(format!("{context:#}"), "top: middle: root");
    assert_eq!(context.root_cause().to_string(), "root");
    Ok(())
}

fn a_panic_of_a_host_function_reaches_the_host_and_the_store_goes_on(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut linker = Linker::<u32>::new(&engine);
    linker.func_wrap("host", "panic", |mut caller: Caller<'_, u32>, depth: u32| {
        *caller.data_mut() += 1;
        if depth == 0 {
            std::panic::panic_any(OwnError(77));
        }
        let again = caller.get_export("run").unwrap().into_func().unwrap();
        let again = again.typed::<u32, ()>(&caller).unwrap();
        again.call(&mut caller, depth - 1).unwrap();
    })?;
    let module = Module::new(
        &engine,
        r#"(import "host" "panic" (func $panic (param i32)))
           (func (export "run") (param i32) (call $panic (local.get 0)))
           (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))"#,
    )?;
    let mut store = Store::new(&engine, 0);
    let instance = linker.instantiate(&mut store, &module)?;
    let run = instance.get_typed_func::<u32, ()>(&mut store, "run")?;
    let add = instance.get_typed_func::<(i32, i32), i32>(&mut store, "add")?;
    for depth in [0, 1, 5] {
        *store.data_mut() = 0;
        let panic = catch_unwind(AssertUnwindSafe(|| run.call(&mut store, depth))).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&OwnError(77)));
        assert_eq!(*store.data(), depth + 1);
        assert_eq!(add.call(&mut store, (2, 3))?, 5);
    }
    Ok(())
}

fn a_start_function_that_traps_is_an_error_with_a_backtrace(mode: Mode) -> Result<()> {
    let mut store = Store::new(&mode.engine(), ());
    let module = Module::new(store.engine(), "(module (memory 1) (func $boot unreachable) (start $boot))")?;
    let error = Instance::new(&mut store, &module, &[]).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::UnreachableCodeReached));
    let backtrace = error.downcast_ref::<WasmBacktrace>().unwrap();
    assert_eq!(backtrace.frames()[0].func_name(), Some("boot"));
    assert_eq!(store.instance_count(), 0);
    Ok(())
}

fn segments_that_do_not_fit_trap(mode: Mode) -> Result<()> {
    let mut store = Store::new(&mode.engine(), ());
    let data = Module::new(store.engine(), r#"(memory 1) (data (i32.const 65534) "abc")"#)?;
    let error = Instance::new(&mut store, &data, &[]).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::MemoryOutOfBounds));
    let elements = Module::new(store.engine(), "(table 1 funcref) (func $f) (elem (i32.const 1) $f)")?;
    let error = Instance::new(&mut store, &elements, &[]).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::TableOutOfBounds));
    Ok(())
}

fn backtraces_name_the_same_frames_whatever_trapped(mode: Mode) -> Result<()> {
    let mut store = Store::new(&mode.engine(), ());
    let module = Module::new(
        store.engine(),
        r#"(module (memory 1) (table 8 funcref) (type $v (func))
             (elem (i32.const 0) $unreachable $load $store $divide $convert $null $fill $leaf)
             (func $unreachable unreachable)
             (func $load (drop (i32.load (i32.const -4))))
             (func $store (i64.store offset=65530 (i32.const 1) (i64.const 1)))
             (func $divide (drop (i64.rem_u (i64.const 1) (i64.const 0))))
             (func $convert (drop (i32.trunc_f64_u (f64.const -1))))
             (func $null (call_indirect (type $v) (i32.const 99)))
             (func $fill (memory.fill (i32.const 0) (i32.const 0) (i32.const 65537)))
             (func $leaf (call $deeper))
             (func $deeper (call $deepest))
             (func $deepest (table.set 0 (i32.const 9) (ref.null func)))
             (func $jump (param i32) (call_indirect (type $v) (local.get 0)))
             (func $hop (param i32) (call $jump (local.get 0)) (nop))
             (func $tail (param i32) (return_call $hop (local.get 0)))
             (func $start (param i32) (call $tail (local.get 0)))
             (func $run (export "run") (param i32) (call $start (local.get 0))))"#,
    )?;
    let instance = Instance::new(&mut store, &module, &[])?;
    let run = instance.get_typed_func::<i32, ()>(&mut store, "run")?;
    let traps: [(&[&str], Trap); 8] = [
        (&["unreachable"], Trap::UnreachableCodeReached),
        (&["load"], Trap::MemoryOutOfBounds),
        (&["store"], Trap::MemoryOutOfBounds),
        (&["divide"], Trap::IntegerDivisionByZero),
        (&["convert"], Trap::IntegerOverflow),
        (&["null"], Trap::TableOutOfBounds),
        (&["fill"], Trap::MemoryOutOfBounds),
        (&["deepest", "deeper", "leaf"], Trap::TableOutOfBounds),
    ];
    for (which, (inner, trap)) in traps.into_iter().enumerate() {
        let error = run.call(&mut store, which as i32).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&trap));
        let frames = error.downcast_ref::<WasmBacktrace>().unwrap().frames();
        let names: Vec<_> = frames.iter().map(|f| f.func_name().unwrap()).collect();
        assert_eq!(names, [inner, &["jump", "hop", "start", "run"]].concat(), "{trap}");
        // Behind the count of locals and `local.get 0`.
        let offsets: Vec<_> = frames[inner.len()..].iter().map(|f| f.func_offset().unwrap()).collect();
        assert_eq!(offsets, [3, 3, 3, 3], "{trap}");
    }
    Ok(())
}

fn panics_pass_through_the_frames_between_two_hosts(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut linker = Linker::<Vec<u32>>::new(&engine);
    linker.func_wrap("host", "next", |mut caller: Caller<'_, Vec<u32>>, depth: u32| -> u32 {
        caller.data_mut().push(depth);
        if depth == 0 {
            std::panic::panic_any(OwnError(1));
        }
        // Each level enters through another function.
        let name = if depth.is_multiple_of(2) { "a" } else { "b" };
        let next = caller.get_export(name).unwrap().into_func().unwrap();
        let next = next.typed::<u32, u32>(&caller).unwrap();
        next.call(&mut caller, depth - 1).unwrap()
    })?;
    let module = Module::new(
        &engine,
        r#"(import "host" "next" (func $next (param i32) (result i32)))
           (func $a (export "a") (param i32) (result i32) (i32.add (call $b (local.get 0)) (i32.const 1)))
           (func $b (export "b") (param i32) (result i32) (i32.add (call $c (local.get 0)) (i32.const 1)))
           (func $c (param i32) (result i32) (i32.mul (call $next (local.get 0)) (i32.const 2)))
           (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))"#,
    )?;
    let mut store = Store::new(&engine, Vec::new());
    let instance = linker.instantiate(&mut store, &module)?;
    let add = instance.get_typed_func::<(i32, i32), i32>(&mut store, "add")?;
    for name in ["a", "b"] {
        let run = instance.get_typed_func::<u32, u32>(&mut store, name)?;
        for depth in [0, 1, 2, 7] {
            store.data_mut().clear();
            let panic = catch_unwind(AssertUnwindSafe(|| run.call(&mut store, depth))).unwrap_err();
            assert_eq!(panic.downcast_ref(), Some(&OwnError(1)));
            assert_eq!(*store.data(), (0..=depth).rev().collect::<Vec<_>>());
            assert_eq!(add.call(&mut store, (2, 3))?, 5);
            assert!(WasmBacktrace::capture(&store).frames().is_empty());
        }
    }
    Ok(())
}
