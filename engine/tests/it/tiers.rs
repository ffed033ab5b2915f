//! Code that is compiled while it runs: what becomes of threads, modules and limits meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use wasmrun::{
    Cache, CacheConfig, Config, Engine, ExternRef, FunctionTier, Instance, Module, Result, Rooted, Store,
    Strategy, Trap,
};

/// `run(n)` is a sum over a loop with a call in it.
const WORK: &str = r#"(module
    (memory 1)
    (func $square (param i32) (result i32) (i32.mul (local.get 0) (local.get 0)))
    (func (export "run") (param $n i32) (result i32) (local $sum i32)
      (loop $l
        (i32.store (i32.const 8) (local.get $sum))
        (local.set $sum (i32.add (i32.load (i32.const 8)) (call $square (local.get $n))))
        (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $sum)))"#;

fn expected(n: i32) -> i32 {
    (1..=n).fold(0, |sum: i32, i| sum.wrapping_add(i.wrapping_mul(i)))
}

fn tiered() -> Config {
    let mut config = Config::new();
    config.strategy(Strategy::Tiered);
    config
}

fn run(engine: &Engine, module: &Module, n: i32) -> Result<i32> {
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, module, &[])?;
    instance.get_typed_func::<i32, i32>(&mut store, "run")?.call(&mut store, n)
}

#[test]
fn modules_are_dropped_while_they_are_compiled() -> Result<()> {
    let engine = Engine::new(tiered().tier_up_threshold(1).compile_threads(1))?;
    for n in 0..200 {
        // Each is another module, with functions enough to keep the compiler busy.
        let functions: String = (0..20)
            .map(|i| {
                format!(r#"(func (export "{i}") (result i32) (i32.mul (i32.const {n}) (i32.const {i})))"#)
            })
            .collect();
        let module = Module::new(&engine, format!("(module {functions})"))?;
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[])?;
        for i in 0..20 {
            let function = instance.get_typed_func::<(), i32>(&mut store, &i.to_string())?;
            for _ in 0..3 {
                assert_eq!(function.call(&mut store, ())?, n * i);
            }
        }
    }
    Ok(())
}

#[test]
fn engines_are_dropped_while_they_compile() -> Result<()> {
    // Enough for the compiler to be at it when the guest is done.
    let body = "(local.set 0 (i32.add (i32.load (local.get 0)) (i32.const 3)))".repeat(300);
    let functions: String =
        (0..10).map(|i| format!(r#"(func (export "f{i}") (param i32) {body})"#)).collect();
    let mut left_undone = 0;
    for threads in [1, 2, 3].repeat(4) {
        let engine = Engine::new(tiered().tier_up_threshold(1).compile_threads(threads))?;
        let module = Module::new(&engine, format!("(module (memory 1) {functions})"))?;
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[])?;
        for i in 0..10 {
            let function = instance.get_typed_func::<i32, ()>(&mut store, &format!("f{i}"))?;
            for _ in 0..3 {
                function.call(&mut store, 0)?;
            }
        }
        left_undone += module.tiers().iter().filter(|function| !function.compiled).count();
        let weak = engine.weak();
        drop((engine, module, store));
        assert!(weak.upgrade().is_none(), "no thread keeps it");
    }
    assert!(left_undone > 0);
    Ok(())
}

#[test]
fn a_compiler_that_panics_on_a_function_still_compiles_the_others() -> Result<()> {
    for threads in [1, 2] {
        let mut config = tiered();
        config.compile_only(
            |function| if function % 4 == 1 { panic!("a test of what happens then") } else { true },
        );
        let engine = Engine::new(config.tier_up_threshold(1).compile_threads(threads))?;
        let functions: String =
            (0..20).map(|i| format!(r#"(func (export "{i}") (result i32) (i32.const {i}))"#)).collect();
        let module = Module::new(&engine, format!("(module {functions})"))?;
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[])?;
        let mut call_all = || -> Result<()> {
            for i in 0..20 {
                let function = instance.get_typed_func::<(), i32>(&mut store, &i.to_string())?;
                assert_eq!(function.call(&mut store, ())?, i);
            }
            Ok(())
        };
        // All of them have been asked for after a few calls, and each is compiled or left in the end.
        let settled = |module: &Module| module.tiers().iter().all(|f| f.compiled || f.reason.is_some());
        for _ in 0..10_000 {
            call_all()?;
            if settled(&module) {
                break;
            }
            thread::sleep(Duration::from_millis(1));
        }
        call_all()?;
        let left: Vec<u32> = module.uncompiled().iter().map(|left| left.function).collect();
        assert_eq!(left, [1, 5, 9, 13, 17]);
        assert!(module.uncompiled().iter().all(|left| left.reason.contains("panicked")));
    }
    Ok(())
}

#[test]
fn many_threads_run_a_module_while_it_changes_its_tier() -> Result<()> {
    let engine = Engine::new(tiered().tier_up_threshold(200).compile_threads(2))?;
    let module = Module::new(&engine, WORK)?;
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let guests: Vec<_> = (0..4)
            .map(|thread| {
                let (engine, module) = (&engine, &module);
                scope.spawn(move || {
                    for n in 0..200 {
                        let n = 1 + n * 7 + thread;
                        assert_eq!(run(engine, module, n).unwrap(), expected(n), "{n}");
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            // Epochs of another thread reach code of every tier, and stop none that has no deadline.
            while !ended.load(Ordering::Relaxed) {
                engine.increment_epoch();
                thread::yield_now();
            }
        });
        guests.into_iter().for_each(|guest| guest.join().unwrap());
        ended.store(true, Ordering::Relaxed);
    });
    assert!(module.uncompiled().is_empty(), "{:?}", module.uncompiled());
    Ok(())
}

#[test]
fn code_that_has_no_place_or_no_compiler_stays_in_the_interpreter() -> Result<()> {
    let panics: fn(u32) -> bool = |_| panic!("a test of what happens then");
    for (mut config, most_compiled, reason) in [
        (tiered().max_code_size(1 << 16).clone(), 39, Some("code memory is full")),
        (tiered().compile_only(panics).clone(), 0, Some("panicked")),
        (tiered().compile_only(|_| false).clone(), 0, None),
    ] {
        let engine = Engine::new(config.tier_up_threshold(1).compile_threads(0))?;
        // Far more code than there is room for.
        let body = "(local.set 0 (i32.add (local.get 0) (i32.load (local.get 0))))".repeat(1000);
        let functions: String = (0..40)
            .map(|i| format!(r#"(func (export "f{i}") (param i32) (result i32) {body} (local.get 0))"#))
            .collect();
        let module = Module::new(&engine, format!("(module (memory 1) {functions})"))?;
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[])?;
        for i in 0..40 {
            let function = instance.get_typed_func::<i32, i32>(&mut store, &format!("f{i}"))?;
            for n in 0..5 {
                assert_eq!(function.call(&mut store, n)?, n);
            }
        }
        assert!(module.tiers().iter().filter(|tier| tier.compiled).count() <= most_compiled, "{reason:?}");
        let left = module.uncompiled();
        assert_eq!(left.is_empty(), reason.is_none(), "{left:?}");
        assert!(left.iter().all(|left| left.reason.contains(reason.unwrap_or_default())), "{left:?}");
    }
    Ok(())
}

#[test]
fn a_loop_can_be_stopped_in_whatever_tier_it_is() -> Result<()> {
    for (threshold, loops) in [(u32::MAX, 0), (1, 1)] {
        let engine = Engine::new(tiered().tier_up_threshold(threshold).compile_threads(0))?;
        let module = Module::new(&engine, r#"(module (func (export "spin") (loop (br 0))))"#)?;
        let mut store = Store::new(&engine, ());
        let spin = Instance::new(&mut store, &module, &[])?.get_typed_func::<(), ()>(&mut store, "spin")?;
        for milliseconds in [50, 1, 5, 20] {
            store.set_timeout(Duration::from_millis(milliseconds));
            let started = Instant::now();
            let error = spin.call(&mut store, ()).unwrap_err();
            assert_eq!(error.downcast_ref(), Some(&Trap::Deadline));
            assert!(started.elapsed() >= Duration::from_millis(milliseconds));
            assert_eq!(module.tiers()[0].loops, loops);
        }
    }
    Ok(())
}

#[test]
fn a_loop_gets_code_of_its_own_when_the_one_around_it_turns_no_more() -> Result<()> {
    // The outer loop turns twice: the inner one `first` times, and then for long.
    let wat = r#"(module (func (export "run") (param $first i32) (result i32)
        (local $i i32) (local $again i32) (local $sum i32)
        (local.set $i (local.get $first))
        (loop $outer
          (local.set $sum (i32.mul (local.get $sum) (i32.const 3)))
          (loop $inner
            (local.set $sum (i32.add (local.get $sum) (local.get $i)))
            (br_if $inner (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
          (local.set $i (i32.const 200000))
          (br_if $outer (i32.lt_u (local.tee $again (i32.add (local.get $again) (i32.const 1))) (i32.const 2))))
        (local.get $sum)))"#;
    let run = |config: &mut Config, first: i32| -> Result<_> {
        let engine = Engine::new(config)?;
        let module = Module::new(&engine, wat)?;
        Ok((self::run(&engine, &module, first)?, module.tiers()[0].loops))
    };
    let mut most = 0;
    for first in 20..220 {
        let (expected, _) = run(Config::new().strategy(Strategy::Interpreter), first)?;
        let (sum, loops) = run(tiered().tier_up_threshold(40).compile_threads(0), first)?;
        assert_eq!(sum, expected, "{first}");
        assert!(loops >= 1, "{first}");
        most = most.max(loops);
    }
    // For some of them the outer loop has turned for the last time between being watched and being chosen.
    assert_eq!(most, 2);
    Ok(())
}

#[test]
fn a_large_function_is_compiled_once_for_calls_and_for_frames_in_its_main_loop() -> Result<()> {
    // More than 4 KiB, with an operand below the loop, and results that do not fit registers.
    let much = "(local.set $s (i64.add (i64.mul (local.get $s) (i64.const 6364136223846793005))
            (i64.extend_i32_u (local.get $n))))"
        .repeat(300);
    let wat = format!(
        r#"(module
        (func $run (export "run") (param $n i32) (param $depth i32) (param $x f64) (param $r externref)
            (result i64 f64 i64 i64 i64 i64 i64 i64 i64 i64) (local $s i64)
            (i64.const 77)
            (loop $main
              {much}
              (local.set $x (f64.add (local.get $x) (f64.const 0.5)))
              (local.set $s (i64.add (local.get $s) (i64.extend_i32_u (ref.is_null (local.get $r)))))
              (if (i32.and (i32.eqz (i32.rem_u (local.get $n) (i32.const 50))) (i32.ne (local.get $depth) (i32.const 0)))
                (then (local.set $s (call $first (i32.const 60) (i32.sub (local.get $depth) (i32.const 1))
                  (local.get $x) (ref.null extern)))))
              (br_if $main (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (i64.mul (local.get $s))
            (local.get $x)
            {})
        (func $first (param i32 i32 f64 externref) (result i64)
            (call $run (local.get 0) (local.get 1) (local.get 2) (local.get 3)) {}))"#,
        "(local.get $s)".repeat(8),
        "drop ".repeat(9),
    );
    type Results = (i64, f64, i64, i64, i64, i64, i64, i64, i64, i64);
    let run = |config: &mut Config| -> Result<((Results, u64), FunctionTier)> {
        let engine = Engine::new(config.consume_fuel(true))?;
        let module = Module::new(&engine, &wat)?;
        let mut store = Store::new(&engine, ());
        store.set_fuel(1 << 40)?;
        let instance = Instance::new(&mut store, &module, &[])?;
        let some = ExternRef::new(&mut store, 5)?;
        let run = instance.get_func(&mut store, "run").expect("it is exported");
        let run = run.typed::<(i32, i32, f64, Option<Rooted<ExternRef>>), Results>(&store)?;
        let results = run.call(&mut store, (2000, 1, 0.25, Some(some)))?;
        let fuel = store.get_fuel()?;
        let error = run.call(&mut store, (2000, i32::MAX, 0.25, None)).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Trap::StackOverflow), "{error:?}");
        Ok(((results, fuel), module.tiers().swap_remove(0)))
    };
    let (expected, _) = run(Config::new().strategy(Strategy::Interpreter))?;
    let (results, tier) = run(tiered().tier_up_threshold(40).compile_threads(0))?;
    assert_eq!(results, expected);
    assert!(tier.compiled && tier.loops == 0, "{tier:?}");
    // The first call is found in its loop.
    assert!(tier.executions < 1000, "{tier:?}");
    for seed in 0..10 {
        let (results, _) = run(tiered().chaos(seed))?;
        assert_eq!(results, expected, "{seed}");
    }
    Ok(())
}

#[test]
fn threads_that_compile_do_not_make_the_code_of_a_large_function_twice() -> Result<()> {
    let much =
        "(local.set $s (i32.add (i32.mul (local.get $s) (i32.const 69069)) (local.get $n)))".repeat(400);
    let wat = format!(
        r#"(module (func $run (export "run") (param $n i32) (result i32) (local $s i32)
            (loop $main
              {much}
              (if (i32.gt_u (local.get $n) (i32.const 40)) (then (drop (call $run (i32.const 40)))))
              (br_if $main (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (local.get $s)))"#
    );
    let tier_of = |threads: usize| -> Result<(i32, FunctionTier)> {
        let engine = Engine::new(tiered().tier_up_threshold(20).compile_threads(threads))?;
        let module = Module::new(&engine, &wat)?;
        let mut sum = run(&engine, &module, 300)?;
        while !module.tiers()[0].compiled {
            sum = run(&engine, &module, 300)?;
        }
        // What is being compiled is waited for.
        drop(engine);
        Ok((sum, module.tiers().swap_remove(0)))
    };
    let (expected, alone) = tier_of(0)?;
    for _ in 0..20 {
        let (sum, tier) = tier_of(3)?;
        assert_eq!((sum, tier.loops, tier.code_size), (expected, 0, alone.code_size));
    }
    Ok(())
}

#[test]
fn what_is_too_much_with_the_entry_of_its_loop_is_compiled_without() -> Result<()> {
    let wat = format!(
        r#"(module (func (export "run") (param $n i32) (result i32)
            {} (loop $main {} (br_if $main (local.tee $n (i32.sub (local.get $n) (i32.const 1))))) {}
            (i32.const 5)))"#,
        "(local.get $n)".repeat(2000),
        "(block (br 0))".repeat(10_000),
        "drop ".repeat(2000),
    );
    let engine = Engine::new(tiered().tier_up_threshold(10).compile_threads(0))?;
    let module = Module::new(&engine, &wat)?;
    assert_eq!(run(&engine, &module, 500)?, 5);
    let tier = module.tiers().swap_remove(0);
    assert!(tier.compiled && tier.loops == 0, "{tier:?}");
    assert!(tier.reason.as_ref().is_some_and(|reason| reason.starts_with("at its loop")), "{tier:?}");
    Ok(())
}

/// Results with references take more room where compiled code leaves them than the frame has that it takes over.
#[test]
fn compiled_code_of_a_loop_leaves_its_results_where_the_stack_has_room() -> Result<()> {
    let wat = |filling: usize| {
        format!(
            r#"(module
            (func $spin (param $n i32)
              (result externref externref externref externref externref externref externref i64)
              (loop $l (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
              {} (i64.const -1))
            (func $deep (param $depth i32) (result i64) (local $last i64)
              (if (result i64) (local.get $depth)
                (then (call $deep (i32.sub (local.get $depth) (i32.const 1))))
                (else (call $spin (i32.const 1000)) (local.set $last) {} (local.get $last))))
            (func (export "run") (param $depth i32) (param $held externref) (result externref i64)
              (local {})
              (local.get $held) (call $deep (local.get $depth))))"#,
            "(ref.null extern) ".repeat(7),
            "drop ".repeat(7),
            "i64 ".repeat(filling),
        )
    };
    // The number that the first frame has held meanwhile, and the last result; nothing if the stack was not enough.
    let run = |config: &mut Config, filling: usize, depth: i32| -> Result<Option<(i32, i64)>> {
        let engine = Engine::new(config.max_wasm_stack(64 << 10).compile_only(|function| function == 0))?;
        let module = Module::new(&engine, wat(filling))?;
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[])?;
        let run = instance.get_func(&mut store, "run").expect("it is exported");
        let run = run.typed::<(i32, Option<Rooted<ExternRef>>), (Option<Rooted<ExternRef>>, i64)>(&store)?;
        let held = ExternRef::new(&mut store, 5_i32)?;
        match run.call(&mut store, (depth, Some(held))) {
            Ok((held, last)) => {
                let held = held.expect("it is not null");
                let number = held.data(&store)?.and_then(|data| data.downcast_ref::<i32>()).copied();
                Ok(Some((number.expect("it is what was given"), last)))
            }
            Err(error) => {
                assert_eq!(error.downcast_ref(), Some(&Trap::StackOverflow), "{error:?}");
                Ok(None)
            }
        }
    };
    for filling in 0..8 {
        let interpreted = |depth| run(Config::new().strategy(Strategy::Interpreter), filling, depth);
        let (mut deepest, mut step) = (0, 2048);
        while step > 0 {
            deepest += if interpreted(deepest + step)?.is_some() { step } else { 0 };
            step /= 2;
        }
        for depth in [deepest - 1, deepest, deepest + 1] {
            let tiered = run(tiered().tier_up_threshold(40).compile_threads(0), filling, depth)?;
            assert_eq!(tiered, (depth <= deepest).then_some((5, -1)), "{filling} {depth}");
        }
    }
    Ok(())
}

#[test]
fn what_is_too_much_with_what_is_inlined_is_compiled_without() -> Result<()> {
    // Loops in loops: more than are compiled if the functions are inlined in each other, and not in each of them.
    let nested = |body: &str| format!("{}{body}{}", "(loop ".repeat(28), ")".repeat(28));
    let function = |name: &str, body: &str| {
        format!(r#"(func ${name} (export "{name}") (param i32) (result i32) {} (local.get 0))"#, nested(body))
    };
    let wat = format!(
        "(module {} {} {} {})",
        function("run", &format!("(local.set 0 (call $a (local.get 0))) {}", "(nop)".repeat(500))),
        function("a", "(local.set 0 (call $b (local.get 0)))"),
        function("b", "(local.set 0 (call $c (local.get 0)))"),
        function("c", "(local.set 0 (i32.mul (local.get 0) (i32.const 7)))"),
    );
    let engine = Engine::new(Config::new().strategy(Strategy::Jit))?;
    let module = Module::new(&engine, &wat)?;
    assert_eq!(run(&engine, &module, 6)?, 42);
    assert!(module.tiers().iter().all(|function| function.compiled), "{:?}", module.tiers());
    Ok(())
}

#[test]
fn a_loop_that_makes_calls_is_seen_however_many_it_makes() -> Result<()> {
    // Each call and each turn counts, so that a report of every so many can always be of a call.
    for calls in 1..8 {
        let body = "(local.set $sum (call $f (local.get $sum)))".repeat(calls);
        let wat = format!(
            r#"(module
                 (func $f (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
                 (func (export "run") (param $n i32) (result i32) (local $sum i32)
                   (loop $again {body}
                     (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
                   (local.get $sum)))"#
        );
        let engine = Engine::new(tiered().tier_up_threshold(400).compile_threads(0))?;
        let module = Module::new(&engine, &wat)?;
        assert_eq!(run(&engine, &module, 100_000)?, 100_000 * calls as i32);
        assert_eq!(module.tiers()[1].loops, 1, "{calls} calls");
    }
    Ok(())
}

#[test]
fn an_indirect_call_that_is_guessed_may_call_another_function_or_trap() -> Result<()> {
    // Element 0 for long; then each of them in turn.
    let wat = r#"(module
        (type $f (func (param i32) (result i32)))
        (table 5 funcref)
        (elem (i32.const 0) $next $twice $other)
        (func $next (type $f) (i32.add (local.get 0) (i32.const 1)))
        (func $twice (type $f)
          (loop (br_if 0 (i32.lt_u (local.tee 0 (i32.mul (local.get 0) (i32.const 3))) (i32.const 1000))))
          (local.get 0))
        (func $other (param i64))
        (func $turn (param $sum i32) (param $element i32) (result i32)
          (call_indirect (type $f) (i32.xor (local.get $sum) (i32.const 1)) (local.get $element)))
        (func (export "run") (param $n i32) (param $last i32) (result i32) (local $sum i32)
          (loop $again
            (local.set $sum (call $turn (local.get $sum)
              (select (i32.and (local.get $n) (i32.const 1)) (i32.const 0) (i32.lt_u (local.get $n) (i32.const 50)))))
            (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (call $turn (local.get $sum) (local.get $last))))"#;
    let outcomes = |config: &mut Config| -> Result<Vec<_>> {
        let engine = Engine::new(config)?;
        let module = Module::new(&engine, wat)?;
        let mut outcomes = Vec::new();
        for last in 0..6 {
            let mut store = Store::new(&engine, ());
            let instance = Instance::new(&mut store, &module, &[])?;
            let run = instance.get_typed_func::<(i32, i32), i32>(&mut store, "run")?;
            let outcome = run.call(&mut store, (5000, last));
            outcomes.push(outcome.map_err(|error| *error.downcast_ref::<wasmrun::Trap>().unwrap()));
        }
        Ok(outcomes)
    };
    let expected = outcomes(Config::new().strategy(Strategy::Interpreter))?;
    assert!(expected[..2].iter().all(|outcome| outcome.is_ok()), "{expected:?}");
    assert!(expected[2..].iter().all(|outcome| outcome.is_err()), "{expected:?}");
    for inlining in [false, true] {
        for threshold in [1, 100] {
            let config = &mut tiered();
            config.tier_up_threshold(threshold).compile_threads(0).compiler_inlining(inlining);
            assert_eq!(outcomes(config)?, expected, "inlining {inlining}, threshold {threshold}");
        }
    }
    Ok(())
}

#[test]
fn what_functions_do_in_one_run_counts_in_the_next() -> Result<()> {
    let function =
        |name: &str| format!(r#"(func (export "{name}") (result i32) (i32.const {}))"#, name.len());
    let wat = format!("(module {})", ["often", "sometimes", "never"].map(function).concat());
    let directory = tempfile::tempdir()?;
    let compiled = |module: &Module| module.tiers().iter().map(|tier| tier.compiled).collect::<Vec<_>>();
    let run = |before: [bool; 3], after: [bool; 3]| -> Result<()> {
        let cache = Cache::new(CacheConfig::new().with_directory(directory.path().join("cache")).clone())?;
        let engine = Engine::new(tiered().compile_threads(0).cache(Some(cache)))?;
        let module = Module::new(&engine, &wat)?;
        assert_eq!(compiled(&module), before);
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[])?;
        for (name, calls) in [("sometimes", 140), ("often", 5000)] {
            let function = instance.get_typed_func::<(), i32>(&mut store, name)?;
            for _ in 0..calls {
                assert_eq!(function.call(&mut store, ())?, name.len() as i32);
            }
        }
        module.store_code();
        assert_eq!(compiled(&module), after);
        Ok(())
    };
    run([false, false, false], [true, false, false])?;
    // What was too little for a module that may never be run again is enough for one that is.
    run([true, true, false], [true, true, false])?;
    run([true, true, false], [true, true, false])
}

#[test]
fn a_run_that_compiles_nothing_counts_in_the_next() -> Result<()> {
    let directory = tempfile::tempdir()?;
    for is_first in [true, false] {
        let cache = Cache::new(CacheConfig::new().with_directory(directory.path().join("cache")).clone())?;
        let engine = Engine::new(tiered().compile_threads(0).cache(Some(cache)))?;
        let module = Module::new(&engine, r#"(module (func (export "f") (result i32) (i32.const 1)))"#)?;
        assert_eq!(module.tiers()[0].compiled, !is_first);
        let mut store = Store::new(&engine, ());
        let f = Instance::new(&mut store, &module, &[])?.get_typed_func::<(), i32>(&mut store, "f")?;
        for _ in 0..140 {
            assert_eq!(f.call(&mut store, ())?, 1);
        }
        assert_eq!(module.tiers()[0].compiled, !is_first, "once it is too little");
        module.store_code();
    }
    Ok(())
}

#[test]
fn a_program_of_one_long_loop_has_compiled_code_in_its_second_run() -> Result<()> {
    let wat = r#"(module (func (export "run") (param $n i32) (result i32) (local $sum i32)
        (loop $again
          (local.set $sum (i32.add (local.get $sum) (i32.mul (local.get $n) (local.get $n))))
          (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $sum)))"#;
    let directory = tempfile::tempdir()?;
    for is_first in [true, false] {
        let cache = Cache::new(CacheConfig::new().with_directory(directory.path().join("cache")).clone())?;
        let engine = Engine::new(tiered().compile_threads(0).cache(Some(cache)))?;
        let module = Module::new(&engine, wat)?;
        let main = |module: &Module| module.tiers()[0].compiled;
        assert_eq!(main(&module), !is_first);
        assert_eq!(run(&engine, &module, 100_000)?, expected(100_000));
        assert_eq!(module.tiers()[0].loops, is_first.into(), "a frame was in the loop when that got code");
        module.store_code();
    }
    Ok(())
}
