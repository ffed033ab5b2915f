//! Fuel is the same in every mode: what remains after each call, and where a guest that has one unit too few
//! is stopped; and so is what a monitor counts, which changes nothing of it. `WASMRUN_SEEDS=1000..9000` compares generated modules of other seeds.

use std::ops::Range;
use std::thread;

use wasmrun_spec_tests::differential::calls::{self, Flavour, Form};
use wasmrun_spec_tests::differential::fuel::{Accounts, Watched, accounts};
use wasmrun_spec_tests::differential::{Chaos, Compiled, Interpreted, Mixed, Quick, Tiered, generate};

/// Compares all modes and returns how many calls could be compared.
fn same(what: &str, wasm: &[u8], seed: u64, watched: Watched) -> usize {
    let expected = accounts::<Interpreted>(wasm, seed, watched);
    if watched == Watched::Yes {
        let unwatched = accounts::<Interpreted>(wasm, seed, Watched::No);
        let without_counts = |account: &Option<String>| {
            account
                .as_ref()
                .map(|line| line.rsplit_once(", ").map_or(line.clone(), |(account, _)| account.to_owned()))
        };
        let of = |accounts: &Accounts| accounts.iter().map(without_counts).collect::<Vec<_>>();
        assert_eq!(of(&expected), of(&unwatched), "{what}, watched and unwatched");
    }
    let check = |mode: &str, got: Accounts| {
        assert_eq!(got.len(), expected.len(), "{what}, {mode}");
        for (got, expected) in got.iter().zip(&expected) {
            if let (Some(got), Some(expected)) = (got, expected) {
                assert_eq!(got, expected, "{what}, {mode}");
            }
        }
        got.iter().zip(&expected).filter(|(got, expected)| got.is_some() && expected.is_some()).count()
    };
    let compared = [
        check("jit", accounts::<Compiled>(wasm, seed, watched)),
        check("quick", accounts::<Quick>(wasm, seed, watched)),
        check("mixed", accounts::<Mixed>(wasm, seed, watched)),
        check("tiered", accounts::<Tiered>(wasm, seed, watched)),
        check("chaos", accounts::<Chaos>(wasm, seed, watched)),
    ];
    compared.into_iter().min().unwrap()
}

/// On a thread whose stack lets recursion in compiled code go as far as in the interpreter.
fn with_room(test: impl FnOnce() + Send + 'static) {
    if let Err(panic) = thread::Builder::new().stack_size(16 << 20).spawn(test).unwrap().join() {
        std::panic::resume_unwind(panic);
    }
}

fn throwing(seed: u64) -> Option<Vec<u8>> {
    let form = if (seed / 2).is_multiple_of(2) { Form::Legacy } else { Form::Standard };
    Some(calls::module_of_seed(seed, Flavour::Throwing(form)))
}

/// Compares all modes on the modules that `make` makes of seeds. There are so many calls at least that can be compared.
fn same_on(make: fn(u64) -> Option<Vec<u8>>, seeds: Range<u64>, least: usize, watched: Watched) {
    with_room(move || {
        let mut compared = 0;
        for seed in generate::seeds(seeds) {
            let Some(wasm) = make(seed) else { continue };
            compared += same(&format!("seed {seed}"), &wasm, seed, watched);
        }
        println!("{compared} calls compared");
        assert!(compared > least, "only {compared} calls could be compared");
    });
}

#[test]
fn generated_modules_pay_the_same_in_every_mode() {
    same_on(generate::module_of_seed, 5_000..5_120, 1_000, Watched::No);
}

#[test]
fn generated_modules_count_the_same_in_every_mode() {
    same_on(generate::module_of_seed, 5_120..5_180, 500, Watched::Yes);
}

#[test]
fn modules_with_exceptions_pay_the_same_in_every_mode() {
    same_on(generate::exceptions_of_seed, 5_200..5_250, 300, Watched::No);
}

#[test]
fn modules_with_exceptions_count_the_same_in_every_mode() {
    same_on(generate::exceptions_of_seed, 5_250..5_280, 100, Watched::Yes);
}

#[test]
fn modules_of_calls_that_throw_pay_the_same_in_every_mode() {
    same_on(throwing, 5_300..5_306, 100, Watched::No);
}

#[test]
fn modules_of_calls_that_throw_count_the_same_in_every_mode() {
    same_on(throwing, 5_306..5_312, 100, Watched::Yes);
}

#[test]
fn modules_with_atomic_instructions_pay_the_same_in_every_mode() {
    same_on(|seed| Some(calls::module_of_seed(seed, Flavour::Atomic)), 5_400..5_402, 30, Watched::No);
}

/// Each function is there twice, so that in mixed tiers one of the two is compiled.
const BY_HAND: [(&str, &str); 9] = [
    ("loops and branches", "(local $i i32) (local.set $i (i32.const 100)) (block $out (loop $l
        (br_if $out (i32.eqz (local.get $i)))
        (local.set $i (i32.sub (local.get $i) (i32.const 1)))
        (if (i32.and (local.get $i) (i32.const 1)) (then (nop) (br $l)) (else (drop (i32.const 3)) (br $l)))))"),
    ("a branch table", "(local $i i32) (local.set $i (i32.const 50)) (loop $l
        (local.set $i (i32.sub (local.get $i) (i32.const 1)))
        (block $a (block $b (block $c
            (br_table $a $b $c $c (i32.rem_u (local.get $i) (i32.const 5))))
            (drop (i32.const 1)) (drop (i32.const 2)))
          (drop (i32.const 1)))
        (br_if $l (local.get $i)))"),
    ("a trap in the middle", "(drop (i32.const 1)) (drop (i32.div_u (i32.const 1) (i32.const 0))) (drop (i32.const 2))"),
    ("a trap of a memory in a loop", "(local $i i32) (loop $l
        (i32.store (local.get $i) (local.get $i))
        (local.set $i (i32.add (local.get $i) (i32.const 1021))) (br $l))"),
    ("bulk operations and growth", "(memory.fill (i32.const 0) (i32.const 7) (i32.const 50000))
        (memory.copy (i32.const 9) (i32.const 0) (i32.const 50000)) (drop (memory.grow (i32.const 1)))
        (memory.fill (i32.const 0) (i32.const 7) (i32.const 131073))"),
    ("calls", "(local $i i32) (local.set $i (i32.const 20)) (loop $l
        (local.set $i (i32.sub (local.get $i) (i32.const 1)))
        (drop (call $fib (i32.const 7))) (drop (call_indirect (type $t) (i32.const 5) (i32.const 0)))
        (drop (call $other (i32.const 30))) (br_if $l (local.get $i)))"),
    ("exceptions", "(local $i i32) (local $caught exnref) (local.set $i (i32.const 20)) (loop $l
        (block $all (block $ref (result i32 exnref) (block $one (result i32)
            (try_table (catch $e $one) (nop) (call $throw (local.get $i)))
            (try_table (catch_ref $e $ref) (catch_all $all)
              (try_table (call $throw (i32.add (local.get $i) (i32.const 40))))
              (drop (i32.const 1)) (throw $empty))
            (unreachable))
            (drop) (drop (i32.const 2)) (br $all))
          (local.set $caught) (drop))
        (br_if $l (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
      (throw_ref (local.get $caught))"),
    ("calls that never return", "(local $i i32) (loop $l
        (block $out
          (if (i32.ne (i32.rem_u (local.get $i) (i32.const 9)) (i32.const 8)) (then (br $out)))
          (if (i32.eqz (local.get $i)) (then (call $fail)) (else (nop)))
          (drop (i32.add (i32.const 1) (i32.const 2)))
          (block $b (if (i32.eqz (local.get $i)) (then (drop (call $spin)) (br $b))) (drop (i32.const 1)))
          (try_table (if (i32.eqz (local.get $i)) (then (call $throws))))
          (drop (i32.add (i32.const 1) (i32.const 2))))
        (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 30))))
      (if (local.get $i) (then (drop (i32.const 4))) (else (call $fail)))
      (drop (i32.add (i32.const 1) (i32.const 2))) (call $throws)"),
    ("for ever", "(local $i i32) (loop $l
        (br_if $l (i32.ne (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10000)))) unreachable"),
];

#[test]
fn programs_by_hand_pay_the_same_in_every_mode() {
    for (what, body) in BY_HAND {
        let text = format!(
            r#"(module (type $t (func (param i32) (result i32))) (memory (export "m") 1 2)
                 (table 1 funcref) (elem (i32.const 0) $fib) (tag $e (param i32)) (tag $empty)
                 (func $throw (param i32)
                   (if (i32.lt_u (i32.rem_u (local.get 0) (i32.const 7)) (i32.const 3)) (then (throw $e (local.get 0)))))
                 (func $fib (type $t)
                   (if (result i32) (i32.lt_u (local.get 0) (i32.const 2)) (then (local.get 0))
                     (else (i32.add (call $fib (i32.sub (local.get 0) (i32.const 1)))
                       (call $down (i32.sub (local.get 0) (i32.const 2)))))))
                 (func $down (type $t) (return_call $fib (local.get 0)))
                 (func $fail (unreachable)) (func $throws (throw $empty)) (func $spin (result i32) (loop (br 0)) (unreachable))
                 (func $other (type $t)
                   (if (i32.eqz (local.get 0)) (then (return (i32.const 4))))
                   (return_call $again (i32.sub (local.get 0) (i32.const 1)) (i64.const 1)))
                 (func $again (param i32 i64) (result i32) (return_call $other (local.get 0)))
                 (func (export "one") {body}) (func (export "other") {body}))"#
        );
        let wasm = wast::parser::ParseBuffer::new(&text).unwrap();
        let wasm = wast::parser::parse::<wast::Wat<'_>>(&wasm).unwrap().encode().unwrap();
        for watched in [Watched::No, Watched::Yes] {
            assert_eq!(same(what, &wasm, 1, watched), 2 + 2 * 3, "{what}");
        }
    }
}
