//! Objects in compiled code, whatever tier its frames began in: they are found when a collection moves them, and what cannot
//! be done to them traps where it is written.

use wasmrun::{Engine, Instance, Module, Result, Store, Trap, WasmBacktrace};

use crate::common::{Mode, in_every_mode};

in_every_mode! {
    references_live_through_allocations_in_loops
    references_live_through_allocations_in_calls
    fields_and_elements_of_every_kind_keep_their_values
    what_cannot_be_done_to_an_object_traps_where_it_is_written
    casts_go_by_what_is_declared
    the_fuel_that_objects_cost_is_the_same
}

/// An instance in an engine that collects at every allocation, or when it has to.
fn instance(mode: Mode, stress: bool, text: &str) -> Result<(Store<()>, Instance)> {
    let engine = match stress {
        true => Engine::new(mode.config().gc_stress(true))?,
        false => mode.engine(),
    };
    let module = Module::new(&engine, text)?;
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[])?;
    Ok((store, instance))
}

/// Calls `run` of a module under stress and without.
fn run(mode: Mode, text: &str, argument: i32, expected: i64) -> Result<()> {
    for stress in [true, false] {
        let (mut store, instance) = instance(mode, stress, text)?;
        let run = instance.get_typed_func::<i32, i64>(&mut store, "run")?;
        for _ in 0..2 {
            assert_eq!(run.call(&mut store, argument)?, expected, "stress {stress}");
        }
    }
    Ok(())
}

fn references_live_through_allocations_in_loops(mode: Mode) -> Result<()> {
    // Each number is put in front of the list, while the object behind is kept on the stack of operands, too, and is
    // compared with the one that is found later.
    let text = r#"(module
      (type $list (struct (field $next (ref null $list)) (field $x i64)))
      (type $pair (struct (field $a (mut anyref)) (field $b (mut (ref null $list)))))
      (func (export "run") (param $n i32) (result i64)
        (local $l (ref null $list)) (local $old (ref null $list)) (local $pair (ref null $pair))
        (local $sum i64) (local $i i32)
        (local.set $pair (struct.new $pair (ref.i31 (i32.const 5)) (ref.null $list)))
        (loop $more
          (local.set $old (local.get $l))
          (local.get $l)
          (local.set $l (struct.new $list (local.get $l) (i64.extend_i32_u (local.get $i))))
          (struct.set $pair $b (local.get $pair) (local.get $l))
          (drop (struct.new $pair (local.get $l) (local.get $old)))
          (if (i32.eqz (ref.eq (local.get $old))) (then (unreachable)))
          (if (i32.eqz (ref.eq (struct.get $list $next (local.get $l)) (local.get $old))) (then (unreachable)))
          (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
        (if (i32.ne (i31.get_s (ref.cast i31ref (struct.get $pair $a (local.get $pair)))) (i32.const 5))
          (then (unreachable)))
        (local.set $l (struct.get $pair $b (local.get $pair)))
        (block $end
          (loop $again
            (local.set $sum (i64.add (local.get $sum) (struct.get $list $x (br_on_null $end (local.get $l)))))
            (local.set $l (struct.get $list $next (local.get $l)))
            (br $again)))
        (local.get $sum)))"#;
    run(mode, text, 300, (0..300).sum())
}

fn references_live_through_allocations_in_calls(mode: Mode) -> Result<()> {
    let text = r#"(module
      (type $tree (struct (field $left (ref null $tree)) (field $right (ref null $tree))))
      (func $make (param $depth i32) (result (ref $tree))
        (if (result (ref $tree)) (local.get $depth)
          (then (struct.new $tree
            (call $make (i32.sub (local.get $depth) (i32.const 1)))
            (call $make (i32.sub (local.get $depth) (i32.const 1)))))
          (else (struct.new_default $tree))))
      (func $count (param $t (ref null $tree)) (result i64)
        (if (result i64) (ref.is_null (local.get $t))
          (then (i64.const 0))
          (else (i64.add (i64.const 1) (i64.add
            (call $count (struct.get $tree $left (local.get $t)))
            (call $count (struct.get $tree $right (local.get $t))))))))
      (func (export "run") (param $depth i32) (result i64) (local $kept (ref $tree)) (local $i i32)
        (local.set $kept (call $make (local.get $depth)))
        (loop $again
          (drop (call $make (i32.const 4)))
          (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10))))
        (call $count (local.get $kept))))"#;
    run(mode, text, 7, 255)
}

fn fields_and_elements_of_every_kind_keep_their_values(mode: Mode) -> Result<()> {
    let text = r#"(module
      (type $step (func (param i64) (result i64)))
      (type $all (struct (field $a (mut i8)) (field $b (mut i16)) (field $c (mut i32)) (field $d (mut i64))
        (field $e (mut v128)) (field $f (mut f32)) (field $g (mut f64)) (field $h (mut (ref null $all)))
        (field $i (mut (ref null $step)))))
      (type $bytes (array (mut i8))) (type $halves (array (mut i16))) (type $words (array (mut i32)))
      (type $longs (array (mut i64))) (type $floats (array (mut f32))) (type $doubles (array (mut f64)))
      (type $vectors (array (mut v128))) (type $objects (array (mut (ref null $all))))
      (type $functions (array (mut (ref null $step))))
      (data $data "\01\80\ff\7f") (elem $elem (ref null $step) (ref.func $next) (ref.null $step))
      (func $next (type $step) (i64.add (local.get 0) (i64.const 1)))
      (func $is (param i64 i64) (if (i64.ne (local.get 0) (local.get 1)) (then (unreachable))))
      (func $object (result (ref $all))
        (struct.new $all (i32.const 0x1fe) (i32.const 0x1fffd) (i32.const -3) (i64.const -4)
          (v128.const i64x2 5 6) (f32.const 7) (f64.const 8) (struct.new_default $all) (ref.func $next)))
      (func (export "run") (param $n i32) (result i64)
        (local $o (ref $all)) (local $b (ref $bytes)) (local $h (ref $halves)) (local $v (ref $vectors))
        (local $objects (ref $objects)) (local $f (ref $functions)) (local $i i32) (local $sum i64)
        (loop $again
          (local.set $o (call $object))
          (call $is (i64.extend_i32_s (struct.get_s $all $a (local.get $o))) (i64.const -2))
          (call $is (i64.extend_i32_s (struct.get_u $all $a (local.get $o))) (i64.const 0xfe))
          (call $is (i64.extend_i32_s (struct.get_s $all $b (local.get $o))) (i64.const -3))
          (call $is (i64.extend_i32_s (struct.get_u $all $b (local.get $o))) (i64.const 0xfffd))
          (call $is (i64.extend_i32_s (struct.get $all $c (local.get $o))) (i64.const -3))
          (call $is (struct.get $all $d (local.get $o)) (i64.const -4))
          (call $is (i64x2.extract_lane 1 (struct.get $all $e (local.get $o))) (i64.const 6))
          (call $is (i64.trunc_f32_s (struct.get $all $f (local.get $o))) (i64.const 7))
          (call $is (i64.trunc_f64_s (struct.get $all $g (local.get $o))) (i64.const 8))
          (struct.set $all $a (local.get $o) (i32.const 0x17f))
          (struct.set $all $e (local.get $o) (v128.const i64x2 9 10))
          (struct.set $all $h (local.get $o) (struct.new_default $all))
          (call $is (i64.extend_i32_s (struct.get_s $all $a (local.get $o))) (i64.const 0x7f))
          (call $is (i64.extend_i32_s (struct.get_s $all $b (local.get $o))) (i64.const -3))
          (call $is (i64x2.extract_lane 0 (struct.get $all $e (local.get $o))) (i64.const 9))
          (call $is (struct.get $all $d (struct.get $all $h (local.get $o))) (i64.const 0))
          (call $is (call_ref $step (i64.const 1) (struct.get $all $i (local.get $o))) (i64.const 2))

          (local.set $b (array.new $bytes (i32.const 0x1ff) (i32.const 5)))
          (call $is (i64.extend_i32_s (array.get_s $bytes (local.get $b) (i32.const 4))) (i64.const -1))
          (call $is (i64.extend_i32_s (array.get_u $bytes (local.get $b) (i32.const 0))) (i64.const 255))
          (array.set $bytes (local.get $b) (i32.const 4) (i32.const 0x80))
          (call $is (i64.extend_i32_s (array.get_s $bytes (local.get $b) (i32.const 4))) (i64.const -128))
          (local.set $h (array.new_data $halves $data (i32.const 0) (i32.const 2)))
          (call $is (i64.extend_i32_s (array.get_s $halves (local.get $h) (i32.const 0))) (i64.const -32767))
          (array.init_data $bytes $data (local.get $b) (i32.const 1) (i32.const 2) (i32.const 2))
          (call $is (i64.extend_i32_s (array.get_s $bytes (local.get $b) (i32.const 2))) (i64.const 127))
          (call $is (i64.extend_i32_u (array.get $words (array.new_fixed $words 2 (i32.const 1) (i32.const -2))
            (i32.const 1))) (i64.const 0xfffffffe))
          (call $is (array.get $longs (array.new $longs (i64.const -9) (local.get $n)) (i32.const 3)) (i64.const -9))
          (call $is (array.get $longs (array.new_default $longs (local.get $n)) (i32.const 3)) (i64.const 0))
          (call $is (i64.trunc_f32_s (array.get $floats (array.new $floats (f32.const 3) (local.get $n)) (i32.const 6)))
            (i64.const 3))
          (call $is (i64.trunc_f64_s (array.get $doubles (array.new $doubles (f64.const 4) (local.get $n)) (i32.const 6)))
            (i64.const 4))
          (local.set $v (array.new $vectors (v128.const i64x2 11 12) (local.get $n)))
          (array.fill $vectors (local.get $v) (i32.const 1) (v128.const i64x2 13 14) (i32.const 2))
          (array.copy $vectors $vectors (local.get $v) (i32.const 3) (local.get $v) (i32.const 2) (i32.const 2))
          (call $is (i64x2.extract_lane 1 (array.get $vectors (local.get $v) (i32.const 3))) (i64.const 14))
          (call $is (i64x2.extract_lane 1 (array.get $vectors (local.get $v) (i32.const 4))) (i64.const 12))
          (call $is (i64x2.extract_lane 1
            (array.get $vectors (array.new $vectors (v128.const i64x2 11 12) (i32.const 3)) (i32.const 2)))
            (i64.const 12))
          (local.set $objects (array.new_fixed $objects 3 (ref.null $all) (local.get $o) (call $object)))
          (array.set $objects (local.get $objects) (i32.const 0) (call $object))
          (array.fill $objects (local.get $objects) (i32.const 2) (local.get $o) (i32.const 1))
          (if (i32.eqz (ref.eq (array.get $objects (local.get $objects) (i32.const 2)) (local.get $o)))
            (then (unreachable)))
          (call $is (struct.get $all $d (array.get $objects (local.get $objects) (i32.const 0))) (i64.const -4))
          (local.set $f (array.new_elem $functions $elem (i32.const 0) (i32.const 2)))
          (call $is (call_ref $step (i64.const 6) (array.get $functions (local.get $f) (i32.const 0))) (i64.const 7))
          (array.init_elem $functions $elem (local.get $f) (i32.const 1) (i32.const 0) (i32.const 1))
          (call $is (call_ref $step (i64.const 6) (array.get $functions (local.get $f) (i32.const 1))) (i64.const 7))
          (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (array.len (local.get $v)))))
          (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
        (local.get $sum)))"#;
    run(mode, text, 20, 400)
}

fn what_cannot_be_done_to_an_object_traps_where_it_is_written(mode: Mode) -> Result<()> {
    const TYPES: &str = "(type $near (struct (field (mut i32))))
        (type $a (array (mut i64))) (type $refs (array (mut anyref)))
        (type $sub (sub $top (struct))) (type $top (sub (struct)))";
    let far = format!("(type $far (struct {}))", "(field (mut i64)) ".repeat(600));
    let types = format!(
        "(rec {far} {})",
        TYPES.replace(
            "(type $sub (sub $top (struct))) (type $top (sub (struct)))",
            "(type $top (sub (struct))) (type $sub (sub $top (struct)))"
        )
    );
    let null = Trap::NullReference;
    let (outside, cast) = (Trap::ArrayOutOfBounds, Trap::CastFailure);
    let array = "(array.new_default $a (i32.const 3))";
    let cases = [
        ("(drop (struct.get $near 0 (ref.null $near)))".to_string(), null),
        ("(struct.set $near 0 (ref.null $near) (i32.const 1))".into(), null),
        ("(drop (struct.get $far 599 (ref.null $far)))".into(), null),
        ("(struct.set $far 599 (ref.null $far) (i64.const 1))".into(), null),
        ("(struct.set $far 510 (ref.null $far) (i64.const 1))".into(), null),
        ("(struct.set $far 511 (ref.null $far) (i64.const 1))".into(), null),
        ("(drop (array.len (ref.null $a)))".into(), null),
        ("(drop (array.get $a (ref.null $a) (i32.const -1)))".into(), null),
        ("(array.set $a (ref.null $a) (i32.const 0) (i64.const 1))".into(), null),
        ("(array.fill $a (ref.null $a) (i32.const 0) (i64.const 1) (i32.const 0))".into(), null),
        ("(drop (i31.get_s (ref.null i31)))".into(), null),
        ("(drop (i31.get_u (ref.null i31)))".into(), null),
        (format!("(drop (array.get $a {array} (i32.const 3)))"), outside),
        (format!("(drop (array.get $a {array} (i32.const -1)))"), outside),
        (format!("(array.set $a {array} (i32.const 3) (i64.const 1))"), outside),
        (format!("(array.set $a {array} (i32.const 0x20000000) (i64.const 1))"), outside),
        (format!("(array.fill $a {array} (i32.const 2) (i64.const 1) (i32.const 2))"), outside),
        (format!("(array.copy $a $a {array} (i32.const 0) {array} (i32.const 3) (i32.const 1))"), outside),
        ("(drop (ref.cast (ref $sub) (struct.new_default $top)))".into(), cast),
        ("(drop (ref.cast (ref $sub) (ref.null $sub)))".into(), cast),
        ("(drop (ref.cast i31ref (struct.new_default $top)))".into(), cast),
        ("(drop (ref.cast arrayref (struct.new_default $top)))".into(), cast),
        ("(drop (ref.cast structref (ref.i31 (i32.const 8))))".into(), cast),
        ("(drop (ref.cast (ref $near) (ref.i31 (i32.const 8))))".into(), cast),
        ("(drop (array.new_default $a (i32.const -1)))".into(), Trap::GcHeapOutOfMemory),
        (
            "(drop (array.new_fixed $refs 2 (ref.i31 (i32.const 1)) (ref.cast (ref eq) (ref.null any))))"
                .into(),
            cast,
        ),
    ];
    for (code, trap) in cases {
        // With an object and without.
        for first in ["", "(drop (struct.new_default $near))"] {
            let text = format!("(module {types} (func (export \"run\") (nop) {first} {code}))");
            let (mut store, instance) = instance(mode, false, &text)?;
            let run = instance.get_typed_func::<(), ()>(&mut store, "run")?;
            let mut places = Vec::new();
            for _ in 0..2 {
                let error = run.call(&mut store, ()).expect_err(&code);
                assert_eq!(error.downcast_ref(), Some(&trap), "{code}");
                let backtrace: &WasmBacktrace = error.downcast_ref().expect("a backtrace");
                places.push(backtrace.frames()[0].module_offset());
            }
            assert_eq!(places[0], places[1], "{code}");
            let (mut store, instance) = self::instance(Mode::Interp, false, &text)?;
            let run = instance.get_typed_func::<(), ()>(&mut store, "run")?;
            let error = run.call(&mut store, ()).unwrap_err();
            let backtrace: &WasmBacktrace = error.downcast_ref().expect("a backtrace");
            assert_eq!(backtrace.frames()[0].module_offset(), places[0], "{code}");
        }
    }
    Ok(())
}

fn casts_go_by_what_is_declared(mode: Mode) -> Result<()> {
    // Twelve types below one another, more than a display has, and a final one beside each.
    let deep = (1..12).fold("(type $t0 (sub (struct)))".to_string(), |types, i| {
        format!("{types} (type $t{i} (sub $t{} (struct)))", i - 1)
    });
    let finals = (0..12).fold(String::new(), |types, i| {
        format!("{types} (type $f{i} (sub final $t{i} (struct (field i32))))")
    });
    // A digit for each type that an object is of.
    let ask = |kind: &str| {
        (0..12).fold(String::new(), |code, i| {
            format!(
                "{code} (local.set $bits (i64.or (i64.shl (local.get $bits) (i64.const 1))
                   (i64.extend_i32_u (ref.test (ref ${kind}{i}) (local.get $x)))))"
            )
        })
    };
    let objects = (0..12).fold(String::new(), |code, i| {
        format!("{code} (if (i32.eq (local.get $n) (i32.const {i})) (then (local.set $x (struct.new $t{i}))))
                 (if (i32.eq (local.get $n) (i32.const {})) (then (local.set $x (struct.new $f{i} (i32.const 1)))))", i + 12)
    });
    let text = format!(
        r#"(module {deep} {finals}
          (func (export "run") (param $n i32) (result i64) (local $x anyref) (local $bits i64)
            {objects}
            (if (i32.eq (local.get $n) (i32.const 24)) (then (local.set $x (ref.i31 (i32.const 3)))))
            {} {}
            (local.get $bits)))"#,
        ask("t"),
        ask("f")
    );
    for n in 0..26 {
        let expected: i64 = (0..24).fold(0, |bits, i| {
            let is = match n {
                0..12 => i <= n,
                12..24 => i <= n - 12 || i == n,
                _ => false,
            };
            bits << 1 | i64::from(is)
        });
        run(mode, &text, n, expected)?;
    }
    Ok(())
}

fn the_fuel_that_objects_cost_is_the_same(mode: Mode) -> Result<()> {
    let text = r#"(module
      (type $a (array (mut i64))) (type $s (struct (field anyref)))
      (func (export "run") (param $n i32) (result i64) (local $i i32) (local $x (ref null $a))
        (loop $again
          (local.set $x (array.new $a (i64.const 1) (local.get $i)))
          (drop (array.new_default $a (i32.const 20)))
          (drop (array.new_default $a (i32.const 3)))
          (drop (array.new $a (i64.const 5) (i32.const 12)))
          (drop (array.new_fixed $a 10 (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)
            (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0) (i64.const 0)))
          (array.fill $a (local.get $x) (i32.const 0) (i64.const 2) (local.get $i))
          (drop (block $b (result anyref)
            (drop (br_on_cast $b anyref (ref $a) (struct.new $s (local.get $x))))
            (struct.new_default $s)))
          (br_if $again (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
        (i64.const 0)))"#;
    let left = |mode: Mode| -> Result<u64> {
        let mut config = mode.config();
        config.consume_fuel(true);
        let engine = Engine::new(&config)?;
        let module = Module::new(&engine, text)?;
        let mut store = Store::new(&engine, ());
        store.set_fuel(1_000_000)?;
        let instance = Instance::new(&mut store, &module, &[])?;
        let run = instance.get_typed_func::<i32, i64>(&mut store, "run")?;
        for _ in 0..3 {
            run.call(&mut store, 40)?;
        }
        store.get_fuel()
    };
    assert_eq!(left(mode)?, left(Mode::Interp)?);
    Ok(())
}
