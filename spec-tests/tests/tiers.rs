//! Nobody can tell which tier runs: programs whose frames pass between the tiers at loop headers, with everything that
//! such a frame can hold, give the same results, memory and fuel for every order of the passages.

use wasmrun::{Config, Engine, Instance, Module, Store, Strategy, Val};

/// Bodies of functions of type `(param i32 externref) (result i32 i64)`, which have some of everything as locals.
const BODIES: &[(&str, &str)] = &[
    (
        "operands below a loop are computed anew in each turn of the loop around it, and not on every way",
        "(loop $outer
          (i32.mul (local.get $i) (i32.const 7)) (i64.extend_i32_u (local.get $i))
          (if (i32.and (local.get $i) (i32.const 1)) (then
            (local.set $j (i32.const 3))
            (loop $inner
              (local.set $sum (i32.add (local.get $sum) (local.get $j)))
              (br_if $inner (local.tee $j (i32.sub (local.get $j) (i32.const 1)))))))
          (local.set $long (i64.add (local.get $long)))
          (local.set $sum (i32.add (local.get $sum)))
          (br_if $outer (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))",
    ),
    (
        "both arms of an if have a loop, over operands of all types",
        "(loop $outer
          (i32.const 5) (i64.const 0x123456789) (f32.const 1.5) (f64.const -2.25) (local.get $ref) (local.get $i)
          (if (i32.rem_u (local.get $i) (i32.const 3))
            (then (local.set $j (i32.const 2))
              (loop $a (br_if $a (local.tee $j (i32.sub (local.get $j) (i32.const 1))))))
            (else (loop $b
              (local.set $sum (i32.add (local.get $sum) (i32.const 11))))))
          (local.set $sum (i32.xor (local.get $sum)))
          (ref.is_null) (local.set $sum (i32.add (local.get $sum)))
          (local.set $double (f64.add (local.get $double)))
          (local.set $float (f32.add (local.get $float)))
          (local.set $long (i64.add (local.get $long)))
          (local.set $sum (i32.add (local.get $sum)))
          (br_if $outer (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
        (local.set $long (i64.xor (local.get $long) (i64.reinterpret_f64 (local.get $double))))
        (local.set $sum (i32.xor (local.get $sum) (i32.reinterpret_f32 (local.get $float))))",
    ),
    (
        "loops with parameters, left by branches over several of them",
        "(block $done (result i32)
          (i32.const 1)
          (loop $outer (param i32) (result i32)
            (local.get $i)
            (loop $inner (param i32 i32) (result i32)
              (i32.add)
              (if (param i32) (result i32) (i32.gt_u (local.get $i) (local.get $n))
                (then (br $done)))
              (local.tee $sum)
              (local.set $i (i32.add (local.get $i) (i32.const 1)))
              (block $more (param i32) (result i32)
                (br_table $more $outer $done
                  (i32.add (i32.and (local.get $i) (i32.const 1)) (i32.ge_u (local.get $i) (local.get $n)))))
              (local.get $i)
              (br $inner))
            (br $outer)))
        (local.set $sum)",
    ),
    (
        "memory and globals are written in turn",
        "(loop $l
          (i32.store (i32.shl (local.get $i) (i32.const 2)) (local.get $sum))
          (global.set $g (i64.add (global.get $g) (i64.load32_u (i32.shl (local.get $i) (i32.const 2)))))
          (local.set $sum (i32.add (local.get $sum) (i32.wrap_i64 (global.get $g))))
          (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
        (local.set $long (global.get $g))",
    ),
    (
        "calls of all kinds in loops, between functions that change their tier too",
        "(loop $l
          (local.set $sum (i32.add (local.get $sum) (call $fib (i32.and (local.get $i) (i32.const 7)))))
          (local.set $sum (i32.add (local.get $sum)
            (call_indirect (type $t) (i32.and (local.get $i) (i32.const 9)) (i32.and (local.get $i) (i32.const 1)))))
          (local.set $sum (i32.xor (local.get $sum) (call $down (i32.const 40))))
          (call $nine (local.get $i) (local.get $ref))
          (drop) (local.set $float (f32.add (local.get $float))) (drop) (drop) (drop) (drop) (drop) (drop)
          (local.set $long (i64.add (local.get $long)))
          (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))",
    ),
    (
        "three loops deep, with a local that only the innermost changes",
        "(loop $a
          (local.set $j (i32.const 4))
          (loop $b
            (local.set $k (i32.const 3))
            (loop $c
              (local.set $sum (i32.add (i32.mul (local.get $sum) (i32.const 31)) (local.get $k)))
              (br_if $c (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))
            (br_if $b (local.tee $j (i32.sub (local.get $j) (i32.const 1)))))
          (br_if $a (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))",
    ),
    (
        "a loop in the first clause of several, over operands that the clauses behind it find below",
        "(loop $outer
          (i32.mul (local.get $i) (i32.const 7)) (i64.extend_i32_u (local.get $i)) (local.get $ref)
          try
            (if (i32.and (local.get $i) (i32.const 1)) (then (throw $number (local.get $i))))
            (call $throw (local.get $i))
          catch $number
            (local.set $sum (i32.add (local.get $sum)))
            (local.set $j (i32.const 3))
            (loop $inner
              (local.set $sum (i32.add (local.get $sum) (local.get $j)))
              (br_if $inner (local.tee $j (i32.sub (local.get $j) (i32.const 1)))))
          catch $none
            (if (i32.rem_u (local.get $i) (i32.const 3))
              (then (local.set $sum (i32.add (local.get $sum) (i32.const 11)))))
          catch_all
            (block (br_if 0 (i32.rem_u (local.get $i) (i32.const 3)))
              (local.set $sum (i32.add (local.get $sum) (i32.const 13))))
          end
          (ref.is_null) (local.set $sum (i32.add (local.get $sum)))
          (local.set $long (i64.add (local.get $long)))
          (local.set $sum (i32.add (local.get $sum)))
          (br_if $outer (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))",
    ),
    (
        "a trap in a loop, at a place that depends on the turns",
        "(loop $l
          (local.set $sum (i32.add (local.get $sum) (i32.div_u (i32.const 1000) (i32.sub (i32.const 45) (local.get $i)))))
          (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))",
    ),
];

/// A module in which each of the bodies is exported by its number.
fn module() -> String {
    let function = |(number, (_, body)): (usize, &(&str, &str))| {
        format!(
            r#"(func (export "{number}") (param $n i32) (param $ref externref) (result i32 i64)
                 (local $i i32) (local $j i32) (local $k i32) (local $sum i32) (local $long i64)
                 (local $float f32) (local $double f64)
                 {body} (local.get $sum) (local.get $long))"#
        )
    };
    let functions: String = BODIES.iter().enumerate().map(function).collect();
    format!(
        r#"(module (type $t (func (param i32) (result i32))) (memory (export "memory") 1)
             (global $g (export "g") (mut i64) (i64.const 9))
             (table 2 funcref) (elem (i32.const 0) $fib $down)
             (tag $number (param i32)) (tag $none) (tag $other (param i64 externref))
             (func $throw (param i32)
               (if (i32.and (local.get 0) (i32.const 2)) (then (throw $none)))
               (throw $other (i64.const 3) (ref.null extern)))
             (func $fib (type $t)
               (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
                 (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                   (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
             (func $down (type $t)
               (if (i32.eqz (local.get 0)) (then (return (i32.const 4))))
               (return_call $up (i32.sub (local.get 0) (i32.const 1)) (i64.const 1)))
             (func $up (param i32 i64) (result i32)
               (loop (if (i64.eqz (local.get 1)) (then (local.set 1 (i64.const 1)) (br 1))))
               (return_call $down (local.get 0)))
             (func $nine (param $i i32) (param $ref externref)
               (result i64 i32 i32 i32 i32 i32 i32 f32 externref)
               (local $turns i32)
               (i64.extend_i32_u (local.get $i)) (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5)
               (local.get $i) (f32.convert_i32_u (local.get $i)) (local.get $ref)
               (loop $l (br_if $l (i32.lt_u (local.tee $turns (i32.add (local.get $turns) (i32.const 1))) (i32.const 3)))))
             {functions})"#
    )
}

/// What can be seen of a run.
#[derive(Debug, PartialEq)]
struct Outcome {
    result: Result<Vec<String>, String>,
    memory: Vec<u8>,
    global: String,
    fuel: u64,
}

fn run(config: &mut Config, number: usize, turns: i32) -> Outcome {
    let engine = Engine::new(config.consume_fuel(true)).unwrap();
    assert_eq!(engine.no_compiled_code(), None);
    let module = Module::new(&engine, module()).unwrap();
    let mut store = Store::new(&engine, ());
    store.set_fuel(1_000_000).unwrap();
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let function = instance.get_func(&mut store, &number.to_string()).unwrap();
    let reference = wasmrun::ExternRef::new(&mut store, 1u32).unwrap();
    let mut results = [Val::I32(0), Val::I64(0)];
    let called = function.call(&mut store, &[Val::I32(turns), Val::ExternRef(Some(reference))], &mut results);
    // What cannot be compiled would be tested in tier 0 alone.
    assert!(module.uncompiled().is_empty(), "{:?}", module.uncompiled());
    let global = instance.get_global(&mut store, "g").unwrap();
    let memory = instance.get_memory(&mut store, "memory").unwrap().data(&store).to_vec();
    Outcome {
        result: match called {
            Ok(()) => Ok(results.iter().map(|value| format!("{value:?}")).collect()),
            Err(error) => Err(format!("{error:?}")),
        },
        memory,
        global: format!("{:?}", global.get(&mut store)),
        fuel: store.get_fuel().unwrap(),
    }
}

#[test]
fn frames_pass_between_the_tiers_with_all_their_values() {
    for (number, (what, _)) in BODIES.iter().enumerate() {
        for turns in [1, 7, 60] {
            let expected = run(Config::new().strategy(Strategy::Interpreter), number, turns);
            for seed in 0..25 {
                let got = run(
                    Config::new().strategy(Strategy::Tiered).chaos(seed).compiler_inlining(seed % 2 == 0),
                    number,
                    turns,
                );
                assert_eq!(got, expected, "{what}: {turns} turns, seed {seed}");
            }
        }
    }
}

#[test]
fn a_loop_that_stays_in_one_frame_goes_on_in_compiled_code() {
    for (number, (what, _)) in BODIES.iter().enumerate() {
        let expected = run(Config::new().strategy(Strategy::Interpreter), number, 5000);
        for threshold in [1, 40, 400] {
            let mut config = Config::new();
            config.strategy(Strategy::Tiered).tier_up_threshold(threshold).compile_threads(0);
            assert_eq!(run(&mut config, number, 5000), expected, "{what}: threshold {threshold}");
        }
    }
}
