//! Exceptions inside of the guest: who catches what is thrown, what a handler finds, and what the frames between leave behind.

use std::time::{Duration, Instant};

use wasmrun::{
    Engine, Exception, ExternRef, Instance, Linker, Module, Result, Store, StructRef, Trap, V128, Val,
};

use crate::common::{Mode, in_every_mode};

in_every_mode! {
    the_nearest_handler_of_the_tag_catches
    a_clause_branches_to_any_label
    a_handler_finds_locals_and_operands_as_they_were_left
    values_of_all_types_arrive
    frames_with_references_are_passed
    frames_of_other_instances_are_passed
    what_calls_in_place_of_its_frame_does_not_catch
    an_exception_goes_a_long_way
    a_loop_throws_a_million_times
    exceptions_are_thrown_again
    fuel_is_charged_up_to_the_throw_and_from_the_handler_on
    fuel_is_charged_for_clauses_and_for_what_is_zeroed
    handlers_of_the_legacy_proposal_catch
    handlers_of_the_legacy_proposal_throw_again
    delegated_exceptions_pass_handlers
    tags_are_told_apart_by_what_they_are
}

fn instance(engine: &Engine, wat: &str) -> Result<(Store<()>, Instance)> {
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, &Module::new(engine, wat)?, &[])?;
    Ok((store, instance))
}

/// One that collects at every allocation.
fn stressed(mode: Mode) -> Engine {
    Engine::new(mode.config().gc_stress(true)).unwrap()
}

/// Calls an export from numbers to a number, for each of these arguments.
fn answers(mode: Mode, wat: &str, name: &str, arguments: impl IntoIterator<Item = i32>) -> Result<Vec<i32>> {
    let (mut store, instance) = instance(&stressed(mode), wat)?;
    let f = instance.get_typed_func::<i32, i32>(&mut store, name)?;
    // Twice: loops and functions may change their tier meanwhile.
    let arguments: Vec<i32> = arguments.into_iter().collect();
    let mut calls = || arguments.iter().map(|n| f.call(&mut store, *n)).collect::<Result<Vec<i32>>>();
    let first = calls()?;
    assert_eq!(calls()?, first);
    Ok(first)
}

fn trap(error: &wasmrun::Error) -> Option<Trap> {
    error.downcast_ref().copied()
}

fn the_nearest_handler_of_the_tag_catches(mode: Mode) -> Result<()> {
    // Which handler catches follows from the tag, and the result from which it is.
    let wat = r#"(module
        (tag $a (param i32)) (tag $b (param i32)) (tag $c) (tag $d)
        (func $throw (param $n i32) (result i32)
            (block $3 (block $2 (block $1 (block $0
                (br_table $0 $1 $2 $3 (local.get $n)))
                (throw $a (i32.const 10)))
                (throw $b (i32.const 20)))
                (throw $c))
            (if (i32.eq (local.get $n) (i32.const 3)) (then (throw $d)))
            (i32.const 1))
        (func $inner (param $n i32) (result i32)
            (block $b (result i32)
                (try_table (result i32) (catch $b $b)
                    (block $a (result i32)
                        (try_table (result i32) (catch $a $a)
                            (call $throw (local.get $n)))
                        (return))
                    (i32.add (i32.const 100)))
                (return))
            (i32.add (i32.const 200)))
        (func $middle (param $n i32) (result i32) (i32.add (call $inner (local.get $n)) (i32.const 1000)))
        (func (export "run") (param $n i32) (result i32)
            (block $d
                (block $c
                    (try_table (result i32) (catch $c $c) (catch_all $d)
                        (call $middle (local.get $n)))
                    (return))
                (return (i32.const 3)))
            (i32.const 4)))"#;
    assert_eq!(answers(mode, wat, "run", 0..5)?, [1110, 1220, 3, 4, 1001]);
    Ok(())
}

fn a_clause_branches_to_any_label(mode: Mode) -> Result<()> {
    let wat = r#"(module
        (tag $t (param i32 i64))
        (func $throw (param i32) (result i32)
            (if (local.get 0) (then (throw $t (local.get 0) (i64.const -1))))
            (i32.const 50))
        ;; To a loop, which gets what was thrown as its parameters.
        (func (export "loop") (param $n i32) (result i32)
            (i32.const 1000)
            (local.get $n) (i64.const 5)
            (loop $l (param i32 i64) (result i32)
                (i32.add (i32.wrap_i64))
                (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                (try_table (param i32) (result i32) (catch $t $l)
                    (i32.add (call $throw (local.get $n)))))
            (i32.add))
        ;; To the function itself, and over operands that are in the way.
        (func $both (param $n i32) (result i32 i64)
            (i32.const 1) (i32.const 2)
            (try_table (param i32 i32) (result i32 i64) (catch $t 0)
                (i32.add) (i32.add (call $throw (local.get $n))) (i64.const 9)))
        (func (export "function") (param $n i32) (result i32)
            (call $both (local.get $n))
            (i32.wrap_i64) (i32.mul))
        ;; To a label far out, with operands in between.
        (func (export "far") (param $n i32) (result i32)
            (f64.const 1)
            (block $out (result i32 i64)
                (i32.const 7) (f32.const 2)
                (block (param i32 f32) (result i32 f32)
                    (i64.const 8) (local.get $n)
                    (try_table (param i32) (catch $t $out) (drop (call $throw)))
                    (drop))
                (drop) (i64.const 11))
            (i32.wrap_i64) (i32.sub) (local.set $n)
            (i32.add (i32.trunc_f64_s) (local.get $n))))"#;
    assert_eq!(answers(mode, wat, "loop", [1, 2, 3])?, [1056, 1050, 1050]);
    assert_eq!(answers(mode, wat, "function", [0, 6])?, [53 * 9, -6]);
    assert_eq!(answers(mode, wat, "far", [0, 6])?, [1 + 7 - 11, 1 + 6 + 1]);
    Ok(())
}

fn a_handler_finds_locals_and_operands_as_they_were_left(mode: Mode) -> Result<()> {
    let wat = r#"(module
        (tag $t (param i32)) (type $box (struct (field i32)))
        (func $throw (param $n i32) (throw $t (local.get $n)))
        (func (export "run") (param $n i32) (result i32)
            (local $changed i32) (local $box (ref null $box)) (local $vector v128) (local $i i32)
            (local.set $changed (i32.const 1))
            (local.set $box (struct.new $box (i32.const 20)))
            ;; What these stand for is changed before something is thrown.
            (local.get $changed) (i32.const 2) (local.get $box)
            (v128.const i32x4 3 0 0 0) (i32.add (local.get $n) (i32.const 7))
            (block $caught (result i32)
                (try_table (catch $t $caught)
                    (local.set $changed (i32.const 300))
                    (local.set $box (struct.new $box (i32.const 4000)))
                    (local.set $vector (v128.const i32x4 50000 0 0 0))
                    (i32.const 9)
                    (loop $l
                        (local.set $i (i32.add (local.get $i) (i32.const 1)))
                        (br_if $l (i32.lt_u (local.get $i) (i32.const 30))))
                    (local.set $changed (i32.add (local.get $changed) (local.get $i)))
                    (call $throw (i32.add (local.get $n)))
                    (local.set $changed (i32.const -1)))
                (unreachable))
            ;; On the stack are 1, 2, the box with 20, the vector with 3, n + 7 and n + 9.
            (i32.mul (i32.const 10)) (i32.add) (local.set $i)
            (i32x4.extract_lane 0) (local.set $n)
            (struct.get $box 0) (i32.mul) (i32.add)
            (i32.add (i32.mul (local.get $i) (i32.const 1000)))
            (i32.add (local.get $n))
            (i32.add (local.get $changed))
            (i32.add (struct.get $box 0 (local.get $box)))
            (i32.add (i32x4.extract_lane 0 (local.get $vector)))))"#;
    let expected = |n: i32| 41 + 1000 * ((n + 9) * 10 + n + 7) + 3 + 330 + 4000 + 50000;
    assert_eq!(answers(mode, wat, "run", [0, 5])?, [expected(0), expected(5)]);
    Ok(())
}

fn values_of_all_types_arrive(mode: Mode) -> Result<()> {
    let wat = r#"(module
        (type $box (struct (field i32))) (type $f (func (result i32)))
        (tag $t (param i32 externref f32 v128 (ref $box) i64 (ref $f) f64 funcref externref))
        (func $answer (type $f) (i32.const 42)) (elem declare func $answer)
        (func $throw (param externref)
            (throw $t (i32.const -1) (local.get 0) (f32.const 1.5) (v128.const i64x2 3 -4)
                (struct.new $box (i32.const 77)) (i64.const -5) (ref.func $answer) (f64.const 2.5)
                (ref.null func) (ref.null extern)))
        (func (export "run") (param externref) (result i32 externref f32 v128 structref i64 i32 f64 funcref externref i32)
            (local $box (ref $box)) (local $f (ref $f)) (local $i i64) (local $d f64) (local $n funcref) (local $x externref)
            (local $exn exnref)
            (block $caught (result i32 externref f32 v128 (ref $box) i64 (ref $f) f64 funcref externref exnref)
                (try_table (catch_ref $t $caught) (call $throw (local.get 0)))
                (unreachable))
            (local.set $exn) (local.set $x) (local.set $n) (local.set $d) (local.set $f) (local.set $i)
            (local.get $i) (call_ref $f (local.get $f)) (local.get $d) (local.get $n) (local.get $x)
            (ref.is_null (local.get $exn))))"#;
    let (mut store, instance) = instance(&stressed(mode), wat)?;
    let run = instance.get_func(&mut store, "run").unwrap();
    for number in 0..3u32 {
        let argument = Val::from(ExternRef::new(&mut store, number)?);
        let mut results = vec![Val::I32(0); 11];
        run.call(&mut store, &[argument], &mut results)?;
        let [a, x, b, v, s, i, f, d, n, null, is_null] = &results[..] else { unreachable!() };
        assert!(matches!((a, b, i), (Val::I32(-1), Val::F32(0x3fc0_0000), Val::I64(-5))), "{results:?}");
        assert!(
            matches!((f, n, null), (Val::I32(42), Val::FuncRef(None), Val::ExternRef(None))),
            "{results:?}"
        );
        assert!(matches!((d, is_null), (Val::F64(0x4004_0000_0000_0000), Val::I32(0))), "{results:?}");
        assert!(
            matches!(v, Val::V128(v) if *v == V128::from((-4i64 as u64 as u128) << 64 | 3)),
            "{results:?}"
        );
        let Val::ExternRef(Some(x)) = x else { panic!("{results:?}") };
        assert_eq!(x.data(&store)?.unwrap().downcast_ref(), Some(&number));
        let Val::AnyRef(Some(s)) = s else { panic!("{results:?}") };
        let s: wasmrun::Rooted<StructRef> = s.as_struct(&store)?.unwrap();
        assert!(matches!(s.field(&mut store, 0)?, Val::I32(77)));
    }
    Ok(())
}

fn frames_with_references_are_passed(mode: Mode) -> Result<()> {
    // Each frame holds on to objects below and above its calls: where the handler's frame of references is follows from them.
    let wat = r#"(module
        (type $box (struct (field i32))) (tag $t (param (ref $box)))
        (func $box (param i32) (result (ref $box)) (struct.new $box (local.get 0)))
        (func $plain (param $n i32) (result i32)
            (if (i32.eqz (local.get $n)) (then (throw $t (call $box (i32.const 1000)))))
            (i32.add (call $down (ref.null $box) (i32.sub (local.get $n) (i32.const 1))) (i32.const 1)))
        (func $down (param $held (ref null $box)) (param $n i32) (result i32)
            (if (i32.eqz (local.get $n)) (then (throw $t (call $box (i32.const 500)))))
            (call $box (local.get $n))
            (call $box (i32.const 3))
            (call $plain (i32.sub (local.get $n) (i32.const 1)))
            (drop) (drop) (struct.get $box 0))
        (func (export "run") (param $n i32) (result i32) (local $a (ref null $box)) (local $b (ref null $box))
            (local.set $a (call $box (i32.const 7)))
            (call $box (i32.const 20)) (local.get $a)
            (block $caught (result (ref $box))
                (call $box (i32.const 1))
                (try_table (result i32) (catch $t $caught)
                    (call $down (call $box (i32.const 2)) (local.get $n)))
                (unreachable))
            (local.set $b)
            ;; The slots above are used again.
            (drop (call $box (i32.const 9)))
            (struct.get $box 0)
            (i32.add (struct.get $box 0 (local.get $b)))
            (local.set $n)
            (struct.get $box 0) (i32.mul (local.get $n))))"#;
    assert_eq!(answers(mode, wat, "run", [0, 1, 2, 7, 50])?, [507, 1007, 507, 1007, 507].map(|n| n * 20));
    Ok(())
}

fn frames_of_other_instances_are_passed(mode: Mode) -> Result<()> {
    let engine = stressed(mode);
    let mut store = Store::new(&engine, ());
    let mut linker: Linker<()> = Linker::new(&engine);
    let leaf = r#"(module
        (type $box (struct (field i32)))
        (tag $t (export "t") (param i32 (ref $box)))
        (memory 1) (data (i32.const 0) "\09")
        (func (export "throw") (param $n i32) (param externref)
            (throw $t (i32.add (local.get $n) (i32.load8_u (i32.const 0))) (struct.new $box (i32.const 5)))))"#;
    let between = r#"(module
        (import "leaf" "throw" (func $throw (param i32 externref)))
        (tag $own (param i32)) (memory 1) (data (i32.const 0) "\63")
        (func $direct (export "direct") (param $n i32) (param $x externref)
            (local.get $x)
            (call $throw (local.get $n) (ref.null extern))
            (drop))
        (func (export "guarded") (param $n i32) (param $x externref)
            (block $own (result i32)
                (try_table (catch $own $own)
                    (call $direct (local.get $n) (local.get $x)))
                (return))
            (unreachable))
        (func (export "in place") (param $n i32) (param $x externref)
            (return_call $throw (local.get $n) (local.get $x))))"#;
    let leaf = Module::new(&engine, leaf)?;
    let between = Module::new(&engine, between)?;
    let leaf = linker.instantiate(&mut store, &leaf)?;
    linker.instance(&mut store, "leaf", leaf)?;
    let between = linker.instantiate(&mut store, &between)?;
    linker.instance(&mut store, "between", between)?;
    for callee in ["direct", "guarded", "in place"] {
        let wat = format!(
            r#"(module
            (type $box (struct (field i32))) (type $call (func (param i32 externref)))
            (import "leaf" "t" (tag $t (param i32 (ref $box))))
            (import "between" "{callee}" (func $callee (type $call)))
            (tag $other (param i32 (ref $box)))
            (memory 1) (data (i32.const 0) "\01")
            (table funcref (elem $callee $own)) (elem declare func $callee)
            (func $own (type $call) (call $callee (i32.add (local.get 0) (i32.const 100)) (local.get 1)))
            (func $caught (param i32 (ref $box)) (result i32)
                (i32.add (i32.mul (local.get 0) (i32.const 10)) (struct.get $box 0 (local.get 1))))
            (func (export "import") (param $n i32) (result i32) (local $box (ref null $box))
                (local.set $box (struct.new $box (i32.const 10000)))
                (local.get $box)
                (block $b (result i32 (ref $box))
                    (try_table (catch $other $b) (catch $t $b) (call $callee (local.get $n) (ref.null extern)))
                    (unreachable))
                (call $caught)
                (i32.add (i32.load8_u (i32.const 0)))
                (local.set $n) (i32.add (struct.get $box 0) (local.get $n)))
            (func (export "indirect") (param $n i32) (result i32)
                (block $b (result i32 (ref $box))
                    (try_table (catch $t $b)
                        (call_indirect (type $call) (local.get $n) (ref.null extern)
                            (i32.and (local.get $n) (i32.const 1))))
                    (unreachable))
                (call $caught)
                (i32.add (i32.load8_u (i32.const 0))))
            (func (export "reference") (param $n i32) (result i32)
                (block $b (result i32 (ref $box))
                    (try_table (catch $t $b)
                        (call_ref $call (local.get $n) (ref.null extern) (ref.func $callee)))
                    (unreachable))
                (call $caught)
                (i32.add (i32.load8_u (i32.const 0)))))"#
        );
        let instance = linker.instantiate(&mut store, &Module::new(&engine, wat)?)?;
        for _ in 0..2 {
            for (name, n, expected) in [
                ("import", 4, 10000 + 136),
                ("indirect", 4, 136),
                ("indirect", 5, 1146),
                ("reference", 4, 136),
            ] {
                let f = instance.get_typed_func::<i32, i32>(&mut store, name)?;
                assert_eq!(f.call(&mut store, n)?, expected, "{name} of {callee}");
            }
        }
    }
    Ok(())
}

fn what_calls_in_place_of_its_frame_does_not_catch(mode: Mode) -> Result<()> {
    let wat = r#"(module
        (tag $t (param i32)) (type $f (func (param i32) (result i32)))
        (table funcref (elem $throw $count))
        (func $throw (type $f) (throw $t (i32.add (local.get 0) (i32.const 10))))
        (func $count (type $f)
            (if (i32.gt_s (local.get 0) (i32.const 0))
                (then (return_call $count (i32.sub (local.get 0) (i32.const 1)))))
            (return_call_indirect (type $f) (local.get 0) (i32.const 0)))
        (func $direct (type $f)
            (block $caught (result i32)
                (try_table (catch $t $caught) (return_call $throw (local.get 0)))
                (unreachable))
            (i32.const 1000) (i32.add))
        (func $indirect (type $f)
            (block $caught (result i32)
                (try_table (catch $t $caught)
                    (return_call_indirect (type $f) (local.get 0) (i32.const 1)))
                (unreachable))
            (i32.const 1000) (i32.add))
        (func (export "run") (param $n i32) (result i32)
            (block $caught (result i32)
                (try_table (result i32) (catch $t $caught)
                    (if (result i32) (i32.and (local.get $n) (i32.const 1))
                        (then (call $direct (local.get $n)))
                        (else (call $indirect (local.get $n)))))
                (return))
            (i32.const 5) (i32.add)))"#;
    assert_eq!(answers(mode, wat, "run", [1, 2, 100_000])?, [16, 15, 15]);
    Ok(())
}

fn an_exception_goes_a_long_way(mode: Mode) -> Result<()> {
    let wat = r#"(module
        (tag $t (param i32 externref)) (tag $other)
        (func $down (param $n i32) (param $x externref) (result i32)
            (if (i32.eqz (local.get $n)) (then (throw $t (i32.const 6) (local.get $x))))
            (i32.add (i32.const 1) (call $down (i32.sub (local.get $n) (i32.const 1)) (local.get $x))))
        (func $guarded (param $n i32) (result i32)
            (block $other
                (return (try_table (result i32) (catch $other $other)
                    (if (i32.eqz (local.get $n)) (then (throw $t (i32.const 7) (ref.null extern))))
                    (i32.add (i32.const 1) (call $guarded (i32.sub (local.get $n) (i32.const 1)))))))
            (unreachable))
        (func (export "run") (param $n i32) (result i32)
            (block $caught (result i32 externref)
                (try_table (result i32) (catch $t $caught)
                    (if (result i32) (i32.and (local.get $n) (i32.const 1))
                        (then (call $down (local.get $n) (ref.null extern)))
                        (else (call $guarded (local.get $n)))))
                (return))
            (drop)))"#;
    // As far as all stacks have room for.
    assert_eq!(answers(mode, wat, "run", [1, 0, 3001, 3000])?, [6, 7, 6, 7]);
    if mode == Mode::Interp {
        assert_eq!(answers(mode, wat, "run", [100_001, 100_000])?, [6, 7]);
    }
    Ok(())
}

fn a_loop_throws_a_million_times(mode: Mode) -> Result<()> {
    let wat = r#"(module
        (tag $t (param i32)) (tag $empty)
        (func $throw (param $n i32) (throw $t (i32.and (local.get $n) (i32.const 3))))
        (func (export "above") (param $n i32) (result i32) (local $sum i32)
            (loop $l
                (block $caught (result i32)
                    (try_table (catch $t $caught) (call $throw (local.get $n)))
                    (unreachable))
                (local.set $sum (i32.add (local.get $sum)))
                (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (local.get $sum))
        (func (export "here") (param $n i32) (result i32) (local $sum i32)
            (loop $l
                (block $caught
                    (try_table (catch_all $caught) (throw $empty)))
                (local.set $sum (i32.add (local.get $sum) (i32.const 2)))
                (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (local.get $sum))
        (func (export "again") (param $n i32) (result i32) (local $exn exnref)
            (block $first (result exnref)
                (try_table (catch_all_ref $first) (throw $empty))
                (unreachable))
            (local.set $exn)
            (loop $l
                (block $caught
                    (try_table (catch $empty $caught) (throw_ref (local.get $exn))))
                (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
            (local.get $n)))"#;
    let (mut store, instance) = instance(&mode.engine(), wat)?;
    let n = 1_000_000;
    for (name, expected) in [("above", n / 4 * 6), ("here", 2 * n), ("again", 0)] {
        let f = instance.get_typed_func::<i32, i32>(&mut store, name)?;
        assert_eq!(f.call(&mut store, n)?, expected, "{name}");
    }
    Ok(())
}

fn exceptions_are_thrown_again(mode: Mode) -> Result<()> {
    let wat = r#"(module
        (tag $t (param i32))
        (func $keep (param $n i32) (result exnref) (local $exn exnref)
            (block $caught (result i32 exnref)
                (try_table (catch_ref $t $caught) (throw $t (local.get $n)))
                (unreachable))
            (local.set $exn) (drop)
            (local.get $exn))
        (func $again (param exnref) (throw_ref (local.get 0)))
        (func (export "run") (param $n i32) (result i32) (local $a exnref) (local $b exnref)
            (local.set $a (call $keep (local.get $n)))
            (local.set $b (call $keep (i32.add (local.get $n) (i32.const 100))))
            (block $caught (result i32)
                (try_table (catch $t $caught) (call $again (local.get $b)))
                (unreachable))
            (block $caught (result i32)
                (try_table (catch $t $caught)
                    (block $all (result exnref)
                        (try_table (catch_all_ref $all) (call $again (local.get $a)))
                        (unreachable))
                    (throw_ref))
                (unreachable))
            (i32.sub))
        (func (export "null") (throw_ref (ref.null exn)))
        (func (export "caught null")
            (block $all (try_table (catch_all $all) (throw_ref (ref.null exn))))))"#;
    assert_eq!(answers(mode, wat, "run", [5, 6])?, [100, 100]);
    let (mut store, instance) = instance(&mode.engine(), wat)?;
    // What nobody has thrown is a trap, which no handler catches.
    for name in ["null", "caught null"] {
        let error = instance.get_typed_func::<(), ()>(&mut store, name)?.call(&mut store, ()).unwrap_err();
        assert_eq!(trap(&error), Some(Trap::NullReference), "{name}");
    }
    Ok(())
}

fn fuel_is_charged_up_to_the_throw_and_from_the_handler_on(mode: Mode) -> Result<()> {
    let wat = r#"(module
        (tag $t (param i32))
        (func $throw (param $n i32) (throw $t (local.get $n)))
        (func (export "run") (param $n i32) (result i32)
            (loop $l
                (block $caught (result i32)
                    (try_table (catch $t $caught) (call $throw (local.get $n)) (nop) (local.set $n (i32.const 0)))
                    (unreachable))
                (local.set $n (i32.sub (i32.const 1)))
                (br_if $l (local.get $n)))
            (local.get $n)))"#;
    let engine = Engine::new(mode.config().consume_fuel(true))?;
    let (mut store, instance) = instance(&engine, wat)?;
    let run = instance.get_typed_func::<i32, i32>(&mut store, "run")?;
    // In each turn: a block that catches and its clause, a `local.get` and the call; the two of the callee; three behind the label, and
    // two more. At the end one.
    let cost = |turns: u64| turns * (4 + 2 + 5) + 1;
    for _ in 0..3 {
        for turns in [1, 2, 100] {
            store.set_fuel(cost(turns))?;
            assert_eq!(run.call(&mut store, turns as i32)?, 0);
            assert_eq!(store.get_fuel()?, 0, "{turns} turns");
            store.set_fuel(cost(turns) - 1)?;
            let error = run.call(&mut store, turns as i32).unwrap_err();
            assert_eq!(trap(&error), Some(Trap::OutOfFuel), "{turns} turns");
        }
    }
    Ok(())
}

fn fuel_is_charged_for_clauses_and_for_what_is_zeroed(mode: Mode) -> Result<()> {
    let fields = "(field v128)".repeat(100);
    let wat = format!(
        r#"(module
        (tag $a) (tag $b)
        (type $wide (struct {fields}))
        (func (export "none") (nop))
        (func (export "empty") (block (try_table (nop))))
        (func (export "table") (block (try_table (catch $a 0) (catch $b 0) (catch_all 0) (nop))))
        (func (export "legacy") try nop catch $a nop catch $b catch_all end)
        (func (export "legacy behind") nop try nop end try try nop catch $a end nop catch $b end)
        (func (export "zeroed") (drop (struct.new_default $wide))))"#
    );
    let engine = Engine::new(mode.config().consume_fuel(true))?;
    let (mut store, instance) = instance(&engine, &wat)?;
    // The structure has 1,600 bytes and a header, of which 64 cost one.
    let costs =
        [("none", 0), ("empty", 1), ("table", 4), ("legacy", 4), ("legacy behind", 5), ("zeroed", 1 + 25)];
    for (name, cost) in costs {
        let run = instance.get_typed_func::<(), ()>(&mut store, name)?;
        for _ in 0..3 {
            store.set_fuel(1000)?;
            run.call(&mut store, ())?;
            assert_eq!(1000 - store.get_fuel()?, cost, "{name}");
        }
    }
    Ok(())
}

/// In tier 0: a search among compiled frames is no longer than the way back through them.
#[test]
fn a_long_search_can_be_interrupted() -> Result<()> {
    // Many frames with many handlers each, none of which is the right one: there are 10⁸ to be looked at.
    let (open, close) = ("try_table (catch $other 0) ".repeat(20_000), "end ".repeat(20_000));
    let wat = format!(
        r#"(module (tag $t) (tag $other)
        (func $f (export "f") (param i32)
            {open}
            (if (i32.eqz (local.get 0)) (then (throw $t)))
            (call $f (i32.sub (local.get 0) (i32.const 1)))
            {close}))"#
    );
    let (mut store, instance) = instance(&Mode::Interp.engine(), &wat)?;
    let f = instance.get_typed_func::<i32, ()>(&mut store, "f")?;
    assert!(f.call(&mut store, 10).unwrap_err().is::<Exception>());
    store.set_deadline(Some(Instant::now() + Duration::from_millis(50)));
    assert_eq!(trap(&f.call(&mut store, 5000).unwrap_err()), Some(Trap::Deadline));
    store.set_deadline(None);
    assert!(f.call(&mut store, 10).unwrap_err().is::<Exception>());
    Ok(())
}

fn handlers_of_the_legacy_proposal_catch(mode: Mode) -> Result<()> {
    let wat = r#"(module
        (type $box (struct (field i32)))
        (tag $a (param i32)) (tag $b (param (ref $box) i32 (ref $box))) (tag $c)
        (func $box (param i32) (result (ref $box)) (struct.new $box (local.get 0)))
        (func $throw (param $n i32) (result i32)
            (block $2 (block $1 (block $0
                (br_table $0 $1 $2 (local.get $n)))
                (throw $a (i32.const 10)))
                (throw $b (call $box (i32.const 1)) (i32.const 2) (call $box (i32.const 3))))
            (if (i32.eq (local.get $n) (i32.const 2)) (then (throw $c)))
            (i32.const 1))
        (func (export "run") (param $n i32) (result i32) (local $i i32) (local $held (ref null $box))
            (local.set $held (call $box (i32.const 50000)))
            (local.get $held) (i32.const 1000)
            try (param i32) (result i32)
                (i32.add (call $throw (local.get $n)))
            catch $a
                (i32.add (i32.const 100))
            catch $b
                ;; The hidden exception is below these, and a frame can be taken over here.
                (loop $l
                    (local.set $i (i32.add (local.get $i) (i32.const 1)))
                    (br_if $l (i32.lt_u (local.get $i) (i32.const 40))))
                (struct.get $box 0) (i32.mul (i32.const 10)) (i32.add)
                (local.set $i)
                (struct.get $box 0) (i32.add (local.get $i))
            catch_all
                (i32.const 4)
            end
            (local.set $i)
            (struct.get $box 0) (i32.add (local.get $i)))
        ;; No handler covers another one of the same `try`, nor what comes behind.
        (func $nest (param $n i32) (result i32)
            try (result i32)
                try (result i32)
                    (call $throw (local.get $n))
                catch $a
                    (i32.add (call $throw (i32.const 2)))
                catch_all
                    (i32.add (call $throw (i32.const 0)) (i32.const 1))
                end
            catch $a
                (i32.add (i32.const 5))
            end)
        (func (export "nest") (param $n i32) (result i32)
            try (result i32)
                (call $nest (local.get $n))
            catch_all
                (i32.const 99)
            end)
        ;; A `try` without handlers is a block.
        (func (export "bare") (param $n i32) (result i32)
            try (result i32)
                try (result i32)
                    (br_if 0 (i32.const 8) (i32.eqz (local.get $n))) (drop)
                    (call $throw (local.get $n))
                end
            catch_all
                (i32.const 9)
            end)
        ;; Handlers behind code that is not reached.
        (func (export "unreached") (param $n i32) (result i32)
            try (result i32)
                (throw $a (local.get $n))
                try (result i32)
                    (i32.const 1)
                catch $a
                    (unreachable)
                end
                try try delegate 0 catch_all end
            catch $a
                (return (i32.add (i32.const 1)))
                try catch_all end
            catch_all
                (unreachable)
            end))"#;
    // The upper box has 3, the number between is 2, and the lower box has 1.
    assert_eq!(answers(mode, wat, "run", 0..4)?, [110, 33, 4, 1001].map(|n| n + 50000));
    // What is thrown while $a is handled is $c, which nobody has a handler for; all else is $a.
    assert_eq!(answers(mode, wat, "nest", 0..4)?, [99, 15, 15, 1]);
    assert_eq!(answers(mode, wat, "bare", 0..4)?, [8, 9, 9, 1]);
    assert_eq!(answers(mode, wat, "unreached", [6])?, [7]);
    Ok(())
}

fn handlers_of_the_legacy_proposal_throw_again(mode: Mode) -> Result<()> {
    let wat = r#"(module
        (tag $a (param i32)) (tag $b (param i32 externref))
        (func $throw (param $n i32)
            (if (i32.and (local.get $n) (i32.const 1)) (then (throw $a (local.get $n))))
            (throw $b (local.get $n) (ref.null extern)))
        (func $rethrow (param $n i32)
            try
                (call $throw (local.get $n))
            catch $a
                (drop)
                try
                    (throw $b (i32.const 1000) (ref.null extern))
                catch $b
                    (drop) (drop)
                    ;; The outer of the two.
                    (block (loop (rethrow 3)))
                end
            catch_all
                (rethrow 0)
            end)
        (func (export "run") (param $n i32) (result i32)
            try (result i32)
                (call $rethrow (local.get $n)) (i32.const -1)
            catch $a
                (i32.add (i32.const 100))
            catch $b
                (drop) (i32.add (i32.const 200))
            end))"#;
    assert_eq!(answers(mode, wat, "run", [1, 2, 7, 8])?, [101, 202, 107, 208]);
    Ok(())
}

fn delegated_exceptions_pass_handlers(mode: Mode) -> Result<()> {
    let wat = r#"(module
        (tag $t (param i32))
        (func $throw (param $n i32) (if (local.get $n) (then (throw $t (local.get $n)))))
        ;; Out of the handlers in between to those of the outermost `try`.
        (func (export "over") (param $n i32) (result i32)
            try $outer (result i32)
                try (result i32)
                    try
                        (call $throw (local.get $n))
                    delegate $outer
                    (i32.const 1)
                catch $t
                    (i32.add (i32.const 1000))
                catch_all
                    (i32.const 2000)
                end
            catch $t
                (i32.add (i32.const 100))
            end)
        ;; To a block: what is around it catches. To a `try` in one of its handlers: as well.
        (func (export "block") (param $n i32) (result i32)
            try (result i32)
                block $block
                    try
                        try
                            (call $throw (local.get $n))
                        delegate $block
                    catch_all
                        (unreachable)
                    end
                end
                try $handling
                    (throw $t (i32.const 5))
                catch_all
                    try
                        (call $throw (i32.add (local.get $n) (i32.const 1)))
                    delegate $handling
                end
                (i32.const 3)
            catch $t
                (i32.add (i32.const 100))
            end)
        ;; Out of the function.
        (func $leave (param $n i32) (result i32)
            try (result i32)
                try
                    (call $throw (local.get $n))
                delegate 1
                (i32.const 7)
            catch_all
                (i32.const 8)
            end)
        (func (export "leave") (param $n i32) (result i32)
            try (result i32)
                (call $leave (local.get $n))
            catch $t
            end))"#;
    assert_eq!(answers(mode, wat, "over", [0, 5])?, [1, 105]);
    assert_eq!(answers(mode, wat, "block", [0, 5])?, [101, 105]);
    assert_eq!(answers(mode, wat, "leave", [0, 5])?, [7, 5]);
    Ok(())
}

fn tags_are_told_apart_by_what_they_are(mode: Mode) -> Result<()> {
    // One tag by two names, and one of the same type that each instance has for itself.
    let wat = r#"(module
        (import "" "t" (tag $imported (param i32))) (import "" "t" (tag $same (param i32)))
        (tag $own (export "t") (param i32))
        (import "" "throw" (func $throw (param i32)))
        (func (export "throw") (param i32) (throw $own (local.get 0)))
        (func (export "run") (param $n i32) (result i32)
            (block $own (result i32)
                (block $same (result i32)
                    (try_table (catch $own $own) (catch $same $same) (catch $imported $own)
                        (call $throw (local.get $n)))
                    (unreachable))
                (return (i32.add (i32.const 100))))
            (i32.add (i32.const 1000))))"#;
    let engine = mode.engine();
    let module = Module::new(&engine, wat)?;
    let first = r#"(module (tag (export "t") (param i32))
        (func (export "throw") (param i32) (throw 0 (local.get 0))))"#;
    let mut store = Store::new(&engine, ());
    let mut before = Instance::new(&mut store, &Module::new(&engine, first)?, &[])?;
    for _ in 0..3 {
        let tag = before.get_export(&mut store, "t").unwrap();
        let throw = before.get_export(&mut store, "throw").unwrap();
        let instance = Instance::new(&mut store, &module, &[tag.clone(), tag, throw])?;
        let run = instance.get_typed_func::<i32, i32>(&mut store, "run")?;
        assert_eq!(run.call(&mut store, 3)?, 103);
        before = instance;
    }
    Ok(())
}
