//! Vectors keep all their bits wherever they are: in arguments and results, in globals and on the stack, and in frames
//! that stop at polls and go from tier to tier.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use wasmrun::{
    Config, Engine, Func, FuncType, Global, GlobalType, Instance, Linker, Module, Mutability, Result, Store,
    Strategy, Trap, UpdateDeadline, V128, Val, ValType,
};

use crate::common::{Mode, in_every_mode};

in_every_mode! {
    vectors_pass_in_registers_and_beyond_them
    vectors_are_returned_among_more_results_than_registers
    vectors_go_through_tail_calls_of_other_shapes
    vectors_go_to_the_host_and_come_back
    globals_hold_vectors
    vectors_are_selected_and_carried_by_branches
    vectors_are_alive_over_calls
    vectors_are_alive_over_polls_that_use_their_registers
    vectors_in_a_loop_are_alive_in_whatever_tier_it_goes_on
    operands_below_a_loop_are_alive_in_whatever_tier_it_goes_on
    accesses_at_the_end_of_a_memory_are_whole_or_trap
    accesses_outside_leave_memory_as_it_was
    memories_other_than_the_first_hold_vectors
    relaxed_instructions_do_what_was_chosen
}

/// A vector whose halves and lanes all differ.
fn vector(n: u64) -> V128 {
    let low = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(7) ^ 0x0123_4567_89ab_cdef;
    let high = n.wrapping_add(1).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ 0xfedc_ba98_7654_3210;
    V128::from(u128::from(high) << 64 | u128::from(low))
}

/// The same as text.
fn constant(n: u64) -> String {
    let bits = vector(n).as_u128();
    format!("(v128.const i64x2 {:#x} {:#x})", bits as u64, (bits >> 64) as u64)
}

fn instance<T>(store: &mut Store<T>, wat: &str) -> Result<Instance> {
    let module = Module::new(store.engine(), wat)?;
    let instance = Instance::new(store, &module, &[])?;
    assert!(module.uncompiled().is_empty(), "{:?}", module.uncompiled());
    Ok(instance)
}

fn vectors_pass_in_registers_and_beyond_them(mode: Mode) -> Result<()> {
    let mut store = Store::new(&mode.engine(), ());
    // Vectors stand behind 12 numbers, of which six are on the stack, and behind vectors that take all registers.
    for (numbers, vectors) in [(0, 1), (1, 3), (12, 2), (3, 9), (7, 24), (5, 60)] {
        let params = format!("{}{}", "i32 ".repeat(numbers), "v128 ".repeat(vectors));
        let arguments: String = (0..numbers).map(|n| format!("(i32.const {n})")).collect();
        let vectors_given: String = (0..vectors).map(|n| constant(n as u64)).collect();
        // Each is another rotation of the sum so far, so that none can stand for another.
        let sum: String = (numbers..numbers + vectors)
            .map(|n| format!("(i64x2.shl (i32.const 1)) (i64x2.add (local.get {n}))"))
            .collect();
        let wat = format!(
            r#"(module
                 (type $f (func (param {params}) (result v128)))
                 (table funcref (elem $sum))
                 (func $sum (type $f) (v128.const i64x2 0 0) {sum})
                 (func (export "direct") (result v128) {arguments} {vectors_given} (call $sum))
                 (func (export "indirect") (result v128)
                   {arguments} {vectors_given} (call_indirect (type $f) (i32.const 0)))
                 (func (export "tail") (result v128) {arguments} {vectors_given} (return_call $sum)))"#
        );
        let instance = instance(&mut store, &wat)?;
        let half = |high: u32| {
            (0..vectors as u64)
                .fold(0u64, |sum, n| (sum << 1).wrapping_add((vector(n).as_u128() >> (64 * high)) as u64))
        };
        let expected = u128::from(half(1)) << 64 | u128::from(half(0));
        for name in ["direct", "indirect", "tail"] {
            let function = instance.get_typed_func::<(), V128>(&mut store, name)?;
            for _ in 0..3 {
                assert_eq!(function.call(&mut store, ())?.as_u128(), expected, "{name} {numbers} {vectors}");
            }
        }
    }
    Ok(())
}

fn vectors_are_returned_among_more_results_than_registers(mode: Mode) -> Result<()> {
    use ValType::{F32, I32, I64, V128 as Vector};
    let mut store = Store::new(&mode.engine(), ());
    for results in [
        vec![Vector; 8],
        vec![Vector; 9],
        // Odd slots.
        [&[I32][..], &[Vector; 9]].concat(),
        [&[I64; 9][..], &[Vector, F32, Vector]].concat(),
    ] {
        let text: String = results.iter().map(|ty| format!("{ty} ")).collect();
        let value = |(n, ty): (usize, &ValType)| match ty {
            Vector => constant(n as u64),
            other => format!("({other}.const {n})"),
        };
        let values: String = results.iter().enumerate().map(value).collect();
        let wat = format!(
            r#"(module
                 (type $f (func (result {text})))
                 (func $make (type $f) {values})
                 (func $pass (type $f) (call $make))
                 (func (export "f") (type $f) (call $pass))
                 (func (export "tail") (type $f) (return_call $pass)))"#
        );
        let instance = instance(&mut store, &wat)?;
        for name in ["f", "tail"] {
            let function = instance.get_func(&mut store, name).unwrap();
            for _ in 0..3 {
                let mut got = vec![Val::I32(77); results.len()];
                function.call(&mut store, &[], &mut got)?;
                for (n, (got, ty)) in got.iter().zip(&results).enumerate() {
                    let n = n as u64;
                    match ty {
                        Vector => assert_eq!(got.unwrap_v128(), vector(n), "{name} {results:?} {n}"),
                        F32 => assert_eq!(got.unwrap_f32(), n as f32),
                        I32 => assert_eq!(got.unwrap_i32(), n as i32),
                        _ => assert_eq!(got.unwrap_i64(), n as i64),
                    }
                }
            }
        }
    }
    Ok(())
}

fn vectors_go_through_tail_calls_of_other_shapes(mode: Mode) -> Result<()> {
    let mut store = Store::new(&mode.engine(), ());
    let (few, many) = ("v128 ".repeat(2), "v128 ".repeat(13));
    // Two functions that jump to each other, one with arguments in registers alone and one with most of them on the
    // stack, between which no stack may be lost.
    let extras: String = (0..11).map(|n| constant(100 + n)).collect();
    let sum: String = (3..14).map(|n| format!("(v128.xor (local.get {n}))")).collect();
    let wat = format!(
        r#"(module
             (func $few (export "f") (param i32 {few}) (result v128)
               (if (i32.eqz (local.get 0)) (then (return (i64x2.add (local.get 1) (local.get 2)))))
               (i32.sub (local.get 0) (i32.const 1))
               (i64x2.add (local.get 1) (v128.const i64x2 1 3)) (local.get 2) {extras} (return_call $many))
             (func $many (param i32 {many}) (result v128)
               (local.get 0)
               (v128.xor (local.get 1) (local.get 1)) {sum} (v128.xor (local.get 1))
               {sum_again} (local.get 2) (return_call $few)))"#,
        sum_again = sum,
    );
    let instance = instance(&mut store, &wat)?;
    let f = instance.get_typed_func::<(i32, V128, V128), V128>(&mut store, "f")?;
    let (a, b) = (vector(1).as_u128(), vector(2).as_u128());
    let add = |a: u128, b: u128| {
        let high = ((a >> 64) as u64).wrapping_add((b >> 64) as u64);
        u128::from(high) << 64 | u128::from((a as u64).wrapping_add(b as u64))
    };
    for turns in [0, 1, 2, 100_000u64] {
        let first = add(a, u128::from(3 * turns) << 64 | u128::from(turns));
        let got = f.call(&mut store, (turns as i32, vector(1), vector(2)))?;
        assert_eq!(got.as_u128(), add(first, b), "{turns}");
    }
    Ok(())
}

fn vectors_go_to_the_host_and_come_back(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut linker: Linker<()> = Linker::new(&engine);
    linker.func_wrap("host", "swap", |a: V128, n: i32, b: V128| -> (V128, i32, V128) { (b, n + 1, a) })?;
    let mut store = Store::new(&engine, ());
    let params = [ValType::I32].into_iter().chain([ValType::V128; 20]);
    let many = Func::new(&mut store, FuncType::new(params, [ValType::V128; 10]), |_, params, results| {
        for (result, param) in results.iter_mut().zip(&params[11..]) {
            *result = *param;
        }
        Ok(())
    });
    linker.define(&mut store, "host", "many", many)?;
    let given: String = (0..20).map(constant).collect();
    let module = Module::new(
        &engine,
        format!(
            r#"(module
                 (import "host" "swap" (func $swap (param v128 i32 v128) (result v128 i32 v128)))
                 (import "host" "many" (func $many (param i32 {}) (result {results})))
                 (func (export "swap") (param v128 i32 v128) (result v128 i32 v128)
                   (call $swap (call $swap (call $swap (local.get 0) (local.get 1) (local.get 2)))))
                 (func (export "many") (result {results}) (i32.const 7) {given} (call $many)))"#,
            "v128 ".repeat(20),
            results = "v128 ".repeat(10),
        ),
    )?;
    let instance = linker.instantiate(&mut store, &module)?;
    let swap = instance.get_typed_func::<(V128, i32, V128), (V128, i32, V128)>(&mut store, "swap")?;
    assert_eq!(swap.call(&mut store, (vector(1), 5, vector(2)))?, (vector(2), 8, vector(1)));
    let many = instance.get_func(&mut store, "many").unwrap();
    let mut results = vec![Val::I32(0); 10];
    many.call(&mut store, &[], &mut results)?;
    let results: Vec<V128> = results.iter().map(Val::unwrap_v128).collect();
    assert_eq!(results, (10..20).map(vector).collect::<Vec<_>>());
    Ok(())
}

fn globals_hold_vectors(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut store = Store::new(&engine, ());
    let ty = GlobalType::new(ValType::V128, Mutability::Var);
    let imported = Global::new(&mut store, ty, Val::V128(vector(1)))?;
    let module = Module::new(
        &engine,
        format!(
            r#"(module
                 (import "" "" (global $imported (mut v128)))
                 (global $before (mut i32) (i32.const 1))
                 (global $own (export "own") (mut v128) {})
                 (global $after (mut i64) (i64.const 2))
                 (global $constant v128 {})
                 (func (export "turn") (result v128 i32 i64)
                   (global.get $imported)
                   (global.set $imported (global.get $own))
                   (global.set $own (i64x2.add (global.get $constant) (global.get $own)))
                   (global.get $before) (global.get $after)))"#,
            constant(2),
            constant(3),
        ),
    )?;
    let instance = Instance::new(&mut store, &module, &[imported.into()])?;
    let turn = instance.get_typed_func::<(), (V128, i32, i64)>(&mut store, "turn")?;
    let own = instance.get_global(&mut store, "own").unwrap();
    assert_eq!(turn.call(&mut store, ())?, (vector(1), 1, 2));
    assert_eq!(imported.get(&mut store).unwrap_v128(), vector(2));
    assert_eq!(turn.call(&mut store, ())?, (vector(2), 1, 2));
    own.set(&mut store, Val::V128(vector(9)))?;
    turn.call(&mut store, ())?;
    assert_eq!(turn.call(&mut store, ())?, (vector(9), 1, 2));
    Ok(())
}

fn vectors_are_selected_and_carried_by_branches(mode: Mode) -> Result<()> {
    let mut store = Store::new(&mode.engine(), ());
    let wat = r#"(module
             (func (export "select") (param i32 v128 v128) (result v128)
               (select (local.get 1) (local.get 2) (local.get 0)))
             (func (export "typed") (param i32 v128 v128) (result v128)
               (select (result v128) (f32x4.add (local.get 1) (v128.const i64x2 0 0)) (local.get 2) (local.get 0)))
             (func (export "if") (param i32 v128 v128) (result v128)
               (if (result v128) (local.get 0) (then (local.get 1)) (else (local.get 2))))
             (func (export "block") (param i32 v128 v128) (result v128)
               (block (result v128) (drop (br_if 0 (local.get 1) (local.get 0))) (local.get 2)))
             (func (export "table") (param i32 v128 v128) (result v128)
               (block $b (result v128) (block $a (result v128) (br_table $b $a (local.get 2) (local.get 0)))
                 (drop) (local.get 1)))
             (func (export "inlined") (param i32 v128 v128) (result v128)
               (call $pick (local.get 1) (local.get 0) (local.get 2)))
             (func $pick (param v128 i32 v128) (result v128) (local v128)
               (if (i32.eqz (local.get 1)) (then (return (v128.or (local.get 2) (local.get 3)))))
               (local.get 0)))"#;
    let instance = instance(&mut store, wat)?;
    for name in ["select", "typed", "if", "block", "table", "inlined"] {
        let f = instance.get_typed_func::<(i32, V128, V128), V128>(&mut store, name)?;
        // Numbers as floats: adding zero leaves them as they are.
        let [a, b] = [V128::from(0x3f80_0000_4000_0000_4040_0000_4080_0000), vector(2)];
        assert_eq!(f.call(&mut store, (1, a, b))?, a, "{name}");
        assert_eq!(f.call(&mut store, (0, a, b))?, b, "{name}");
    }
    Ok(())
}

fn vectors_are_alive_over_calls(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut linker: Linker<()> = Linker::new(&engine);
    // Uses vector registers of its own.
    linker.func_wrap("host", "spoil", |x: f64| format!("{:.17}", x.sqrt() * 1.1).len() as i32)?;
    let mut store = Store::new(&engine, ());
    let (loads, xors): (String, String) = ((0..20).map(constant).collect(), "(v128.xor)".repeat(19));
    let module = Module::new(
        &engine,
        format!(
            r#"(module
                 (import "host" "spoil" (func $spoil (param f64) (result i32)))
                 (memory 1)
                 (func $clobber (param v128) (result v128) (local v128 v128)
                   (local.set 1 (f64x2.sqrt (local.get 0)))
                   (local.set 2 (f32x4.add (local.get 1) (local.get 0)))
                   (drop (call $spoil (f64x2.extract_lane 0 (local.get 2))))
                   (v128.const i64x2 0 0))
                 (func (export "f") (result v128)
                   {loads}
                   (call $clobber (v128.const f64x2 2 3))
                   (drop (memory.grow (i32.const 1)))
                   (v128.xor) {xors}))"#
        ),
    )?;
    let instance = linker.instantiate(&mut store, &module)?;
    let f = instance.get_typed_func::<(), V128>(&mut store, "f")?;
    let expected = (0..20).fold(0, |sum, n| sum ^ vector(n).as_u128());
    for _ in 0..5 {
        assert_eq!(f.call(&mut store, ())?.as_u128(), expected);
    }
    Ok(())
}

/// A loop with more vectors than registers in locals, and others on the stack below it; all change in each turn. The
/// result is the exclusive or of all of them.
fn busy_loop(locals: u64, operands: u64) -> String {
    let start: String = (0..locals).map(|n| format!("(local.set {} {})", n + 1, constant(n))).collect();
    let step: String = (0..locals)
        .map(|n| {
            format!(
                "(local.set {0} (i64x2.add (local.get {0}) (v128.xor (local.get {1}) {2})))",
                n + 1,
                (n + 1) % locals + 1,
                constant(n + 50)
            )
        })
        .collect();
    let below: String = (0..operands).map(|n| constant(n + 100)).collect();
    let all: String = (0..locals).map(|n| format!("(v128.xor (local.get {}))", n + 1)).collect();
    format!(
        r#"(func (export "f") (param i32) (result v128) (local {})
             {start} {below}
             (loop $l
               {step}
               (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
             (v128.const i64x2 0 0) {} {all})"#,
        "v128 ".repeat(locals as usize),
        "(v128.xor)".repeat(operands as usize),
    )
}

fn busy_result(locals: u64, operands: u64, turns: u32) -> u128 {
    let halves = |n: u64| {
        let bits = vector(n).as_u128();
        [bits as u64, (bits >> 64) as u64]
    };
    let mut values: Vec<[u64; 2]> = (0..locals).map(halves).collect();
    for _ in 0..turns {
        for n in 0..locals as usize {
            let (next, other) = (values[(n + 1) % locals as usize], halves(n as u64 + 50));
            for half in 0..2 {
                values[n][half] = values[n][half].wrapping_add(next[half] ^ other[half]);
            }
        }
    }
    values.extend((0..operands).map(|n| halves(n + 100)));
    let all = values.iter().fold([0, 0], |all, value| [all[0] ^ value[0], all[1] ^ value[1]]);
    u128::from(all[1]) << 64 | u128::from(all[0])
}

fn vectors_are_alive_over_polls_that_use_their_registers(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        // One request after the other, from another thread.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                engine.increment_epoch();
                thread::yield_now();
            }
        });
        let _done = SetWhenDropped(&done);
        [(9, 0), (14, 0), (24, 5)]
            .into_iter()
            .try_for_each(|(locals, operands)| polls_keep_vectors(&engine, locals, operands))
    })
}

/// Ends what another thread does, also when a test fails.
struct SetWhenDropped<'a>(&'a AtomicBool);

impl Drop for SetWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a busy loop until it has been stopped some times.
fn polls_keep_vectors(engine: &Engine, locals: u64, operands: u64) -> Result<()> {
    const TURNS: u32 = 20_000;
    let mut store = Store::new(engine, 0_u32);
    store.epoch_deadline_callback(|mut context| {
        // The formatting uses vector registers.
        *context.data_mut() += 1;
        assert!(format!("{:?}", [f64::from(*context.data()).sqrt(); 8]).len() > 8);
        Ok(UpdateDeadline::Continue(1))
    });
    store.set_epoch_deadline(1);
    let f =
        instance(&mut store, &busy_loop(locals, operands))?.get_typed_func::<i32, V128>(&mut store, "f")?;
    let expected = busy_result(locals, operands, TURNS);
    while *store.data() < 50 {
        assert_eq!(f.call(&mut store, TURNS as i32)?.as_u128(), expected, "{locals} {operands}");
    }
    Ok(())
}

fn vectors_in_a_loop_are_alive_in_whatever_tier_it_goes_on(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    for (locals, operands) in [(3, 0), (20, 0)] {
        let mut store = Store::new(&engine, ());
        let f = instance(&mut store, &busy_loop(locals, operands))?
            .get_typed_func::<i32, V128>(&mut store, "f")?;
        for turns in [1, 2, 3, 1000, 20_000] {
            let got = f.call(&mut store, turns)?.as_u128();
            assert_eq!(got, busy_result(locals, operands, turns as u32), "{locals} {turns}");
        }
    }
    Ok(())
}

fn operands_below_a_loop_are_alive_in_whatever_tier_it_goes_on(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    for (locals, operands) in [(1, 1), (2, 3), (5, 20)] {
        let mut store = Store::new(&engine, ());
        let f = instance(&mut store, &busy_loop(locals, operands))?
            .get_typed_func::<i32, V128>(&mut store, "f")?;
        for turns in [1, 2, 3, 1000, 20_000] {
            let got = f.call(&mut store, turns)?.as_u128();
            assert_eq!(got, busy_result(locals, operands, turns as u32), "{operands} {turns}");
        }
    }
    // As the parameters of a loop, with numbers between them, in a nest.
    let mut store = Store::new(&engine, ());
    let wat = format!(
        r#"(func (export "f") (param i32) (result v128) (local $n i32) (local $last v128)
             {} (i32.const 5) {}
             (loop $outer (param v128 i32 v128) (result v128)
               (local.set $n (i32.const 3))
               (loop $inner (param v128 i32 v128) (result v128 i32 v128)
                 (i64x2.add (v128.const i64x2 1 2))
                 (br_if $inner (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
               (br_if $outer (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))
               (local.set $last) (local.set $n) (local.get $last)
               (i64x2.sub) (i64x2.add (i64x2.splat (i64.extend_i32_u (local.get $n))))))"#,
        constant(1),
        constant(2),
    );
    let f = instance(&mut store, &wat)?.get_typed_func::<i32, V128>(&mut store, "f")?;
    for turns in [1u64, 2, 3, 1000, 20_000] {
        let half = |shift: u32, step: u64| {
            let [a, b] = [1, 2].map(|n| (vector(n).as_u128() >> shift) as u64);
            a.wrapping_sub(b.wrapping_add(3 * turns * step)).wrapping_add(5)
        };
        let expected = u128::from(half(64, 2)) << 64 | u128::from(half(0, 1));
        assert_eq!(f.call(&mut store, turns as i32)?.as_u128(), expected, "{turns}");
    }
    Ok(())
}

/// Each load and store of vectors, with the bytes that it accesses.
const LOADS: &[(&str, u32)] = &[
    ("v128.load", 16),
    ("v128.load8x8_s", 8),
    ("v128.load8x8_u", 8),
    ("v128.load16x4_s", 8),
    ("v128.load16x4_u", 8),
    ("v128.load32x2_s", 8),
    ("v128.load32x2_u", 8),
    ("v128.load8_splat", 1),
    ("v128.load16_splat", 2),
    ("v128.load32_splat", 4),
    ("v128.load64_splat", 8),
    ("v128.load32_zero", 4),
    ("v128.load64_zero", 8),
];
const LANES: &[(&str, u32)] = &[("8", 1), ("16", 2), ("32", 4), ("64", 8)];

fn accesses_at_the_end_of_a_memory_are_whole_or_trap(mode: Mode) -> Result<()> {
    let mut store = Store::new(&mode.engine(), ());
    let mut functions = String::new();
    let mut names = Vec::new();
    let mut add = |name: String, bytes: u32, body: &dyn Fn(&str) -> String| {
        for offset in ["", "offset=40000 ", "offset=0x2000000 "] {
            let export = format!("{name}{offset}");
            functions += &format!(r#"(func (export "{export}") (param i32) {})"#, body(offset));
            names.push((export, bytes, offset.len()));
        }
    };
    for (load, bytes) in LOADS {
        add((*load).to_owned(), *bytes, &|offset| format!("(drop ({load} {offset}(local.get 0)))"));
        // Whose result is used.
        add(format!("used {load}"), *bytes, &|offset| {
            format!("(if (v128.any_true ({load} {offset}(local.get 0))) (then))")
        });
        add(format!("added {load}"), *bytes, &|offset| {
            format!(
                "(if (v128.any_true (f32x4.add (v128.const i64x2 0 0) ({load} {offset}(local.get 0)))) (then))"
            )
        });
    }
    for (lane, bytes) in LANES {
        add(format!("load{lane}"), *bytes, &|offset| {
            format!("(drop (v128.load{lane}_lane {offset}1 (local.get 0) (v128.const i64x2 0 0)))")
        });
        add(format!("store{lane}"), *bytes, &|offset| {
            format!("(v128.store{lane}_lane {offset}1 (local.get 0) (v128.const i64x2 0 0))")
        });
    }
    add("store".to_owned(), 16, &|offset| {
        format!("(v128.store {offset}(local.get 0) (v128.const i64x2 0 0))")
    });
    let instance = instance(&mut store, &format!("(module (memory 1 1) {functions})"))?;
    for (name, bytes, offset) in names {
        let f = instance.get_typed_func::<i32, ()>(&mut store, &name)?;
        let offset = match offset {
            0 => 0,
            13 => 40_000,
            _ => 0x200_0000,
        };
        if offset < 65536 {
            let last = (65536 - offset - bytes) as i32;
            for inside in [last, last - 1, 0] {
                f.call(&mut store, inside)?;
            }
        }
        let first_outside = 65536u32.saturating_sub(offset + bytes - 1);
        for outside in [first_outside, 65535, 65536, u32::MAX, u32::MAX - 15, 1 << 31] {
            if outside < first_outside {
                continue;
            }
            let error = f.call(&mut store, outside as i32).unwrap_err();
            assert_eq!(error.downcast_ref(), Some(&Trap::MemoryOutOfBounds), "{name} {outside}");
        }
    }
    Ok(())
}

fn accesses_outside_leave_memory_as_it_was(mode: Mode) -> Result<()> {
    let mut store = Store::new(&mode.engine(), ());
    let lanes: String = LANES
        .iter()
        .map(|(lane, _)| {
            format!(
                r#"(func (export "{lane}") (param i32)
                     (v128.store{lane}_lane 0 (local.get 0) (v128.const i64x2 -1 -1)))"#
            )
        })
        .collect();
    let wat = format!(
        r#"(module (memory (export "memory") 1 1) {lanes}
             (func (export "128") (param i32) (v128.store (local.get 0) (v128.const i64x2 -1 -1))))"#
    );
    let instance = instance(&mut store, &wat)?;
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    for (name, bytes) in LANES.iter().chain(&[("128", 16)]) {
        let f = instance.get_typed_func::<i32, ()>(&mut store, name)?;
        for inside in 0..*bytes {
            assert!(f.call(&mut store, (65536 - inside) as i32).is_err());
        }
    }
    let mut bytes = [1; 16];
    memory.read(&store, 65536 - 16, &mut bytes)?;
    assert_eq!(bytes, [0; 16]);
    Ok(())
}

fn memories_other_than_the_first_hold_vectors(mode: Mode) -> Result<()> {
    let mut store = Store::new(&mode.engine(), ());
    let wat = format!(
        r#"(module (memory $a 1) (memory $b 1) (memory $c 1)
             (func (export "f") (result v128)
               (v128.store $b offset=3 (i32.const 1) {})
               (v128.store32_lane $c 2 (i32.const 7) (v128.load $b (i32.const 4)))
               (v128.load16_lane $b 1 (i32.const 6) (v128.load32_zero $c (i32.const 7)))))"#,
        constant(1),
    );
    let f = instance(&mut store, &wat)?.get_typed_func::<(), V128>(&mut store, "f")?;
    let bytes = vector(1).as_u128().to_le_bytes();
    // Lane 2 of 32 bits; its upper half becomes bytes 2 and 3 of the vector.
    let expected = u128::from(u32::from_le_bytes([bytes[8], bytes[9], bytes[2], bytes[3]]));
    for _ in 0..3 {
        assert_eq!(f.call(&mut store, ())?.as_u128(), expected);
    }
    Ok(())
}

/// The low and the high half of a vector.
type Halves = [u64; 2];

/// Instructions, operands for which the proposal leaves a choice, and what is chosen: in the deterministic profile, and on
/// x86-64 with single instructions.
const RELAXED: &[(&str, &[Halves], Halves, Halves)] = &[
    (
        "i8x16.relaxed_swizzle",
        &[[0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908], [0x1f11_0f01_80ff_7f10, 0]],
        [0x0000_0f01_0000_0000, 0],
        [0x0f01_0f01_0000_0f00, 0],
    ),
    // 3e9, NaN, -3e9, 1.5
    (
        "i32x4.relaxed_trunc_f32x4_s",
        &[[0x7fc0_0000_4f32_d05e, 0x3fc0_0000_cf32_d05e]],
        [0x7fff_ffff, 0x0000_0001_8000_0000],
        [0x8000_0000_8000_0000, 0x0000_0001_8000_0000],
    ),
    // -1, NaN, 5e9, 3e9: the same everywhere.
    (
        "i32x4.relaxed_trunc_f32x4_u",
        &[[0x7fc0_0000_bf80_0000, 0x4f32_d05e_4f95_02f9]],
        [0, 0xb2d0_5e00_ffff_ffff],
        [0, 0xb2d0_5e00_ffff_ffff],
    ),
    // 3e9, NaN
    (
        "i32x4.relaxed_trunc_f64x2_s_zero",
        &[[0x41e6_5a0b_c000_0000, 0x7ff8_0000_0000_0000]],
        [0x7fff_ffff, 0],
        [0x8000_0000_8000_0000, 0],
    ),
    // 5e9, -1
    (
        "i32x4.relaxed_trunc_f64x2_u_zero",
        &[[0x41f2_a05f_2000_0000, 0xbff0_0000_0000_0000]],
        [0xffff_ffff, 0],
        [0xffff_ffff, 0],
    ),
    (
        "i8x16.relaxed_laneselect",
        &[[u64::MAX, 0x1234], [0, 0x5678], [0x80ff_7f01_00f0_0f81, 0]],
        [0x80ff_7f01_00f0_0f81, 0x5678],
        [0xffff_0000_00ff_00ff, 0x5678],
    ),
    // The top bit of each byte selects, and that of a lane would select otherwise.
    (
        "i16x8.relaxed_laneselect",
        &[[u64::MAX, 0x1234], [0, 0x5678], [0x8000_0080_7fff_ffff, 0]],
        [0x8000_0080_7fff_ffff, 0x5678],
        [0xff00_00ff_00ff_ffff, 0x5678],
    ),
    (
        "i32x4.relaxed_laneselect",
        &[[u64::MAX, u64::MAX], [0, 0], [0x8000_0000_7fff_ffff, 0x0000_0001_ffff_ffff]],
        [0x8000_0000_7fff_ffff, 0x0000_0001_ffff_ffff],
        [0xffff_ffff_0000_0000, 0x0000_0000_ffff_ffff],
    ),
    (
        "i64x2.relaxed_laneselect",
        &[[u64::MAX, u64::MAX], [0, 0], [0x8000_0000_0000_0000, 0x7fff_ffff_ffff_ffff]],
        [0x8000_0000_0000_0000, 0x7fff_ffff_ffff_ffff],
        [u64::MAX, 0],
    ),
    // Zeroes of both signs in both orders, a NaN on either side of 1.
    (
        "f32x4.relaxed_min",
        &[[0x8000_0000_0000_0000, 0x3f80_0000_7fc0_0000], [0x0000_0000_8000_0000, 0x7fc0_0000_3f80_0000]],
        [0x8000_0000_8000_0000, 0x7fc0_0000_7fc0_0000],
        [0x0000_0000_8000_0000, 0x7fc0_0000_3f80_0000],
    ),
    (
        "f32x4.relaxed_max",
        &[[0x8000_0000_0000_0000, 0x3f80_0000_7fc0_0000], [0x0000_0000_8000_0000, 0x7fc0_0000_3f80_0000]],
        [0, 0x7fc0_0000_7fc0_0000],
        [0x0000_0000_8000_0000, 0x7fc0_0000_3f80_0000],
    ),
    (
        "f64x2.relaxed_min",
        &[[0x8000_0000_0000_0000, 0x7ff8_0000_0000_0000], [0, 0x3ff0_0000_0000_0000]],
        [0x8000_0000_0000_0000, 0x7ff8_0000_0000_0000],
        [0, 0x3ff0_0000_0000_0000],
    ),
    (
        "f64x2.relaxed_max",
        &[[0, 0x3ff0_0000_0000_0000], [0x8000_0000_0000_0000, 0x7ff8_0000_0000_0000]],
        [0, 0x7ff8_0000_0000_0000],
        [0x8000_0000_0000_0000, 0x7ff8_0000_0000_0000],
    ),
    ("i16x8.relaxed_q15mulr_s", &[[0x8000_7fff, 0], [0x8000_7fff, 0]], [0x7fff_7ffe, 0], [0x8000_7ffe, 0]),
    // -128 by 129 or -127, twice; -128 by 127, twice; 127 by 255 or -1, twice.
    (
        "i16x8.relaxed_dot_i8x16_i7x16_s",
        &[[0x7f7f_8080_8080, 0], [0xffff_7f7f_8181, 0]],
        [0xff02_8100_7f00, 0],
        [0x7fff_8100_8000, 0],
    ),
    // The second time the product of two smallest bytes, twice, which does not fit 16 bits: it is saturated.
    (
        "i32x4.relaxed_dot_i8x16_i7x16_add_s",
        &[[0x8080_8080, 0], [0x8181_8181, 0], [1, 2]],
        [0xfe01, 2],
        [0xffff_0001, 2],
    ),
    (
        "i32x4.relaxed_dot_i8x16_i7x16_add_s",
        &[[0x8080_8080, 0], [0x8080_8080, 0], [1, 2]],
        [0xffff, 2],
        [0xffff_0001, 2],
    ),
];

fn relaxed_instructions_do_what_was_chosen(mode: Mode) -> Result<()> {
    let constant = |[low, high]: &[u64; 2]| format!("(v128.const i64x2 {low:#x} {high:#x})");
    let mut functions = String::new();
    for (number, (name, operands, ..)) in RELAXED.iter().enumerate() {
        let params = "v128 ".repeat(operands.len());
        let gets: String = (0..operands.len()).map(|n| format!("(local.get {n})")).collect();
        let given: String = operands.iter().map(constant).collect();
        functions += &format!(
            r#"(func (export "{number}") (result v128) {given} (call $f{number}))
               (func $f{number} (param {params}) (result v128) {gets} ({name}))
               (func (export "{number} of constants") (result v128) {given} ({name}))"#
        );
    }
    // 1 + 2^-12, squared, less what it is when rounded: what is left is the error of the rounding, or nothing.
    let madd = "(v128.const f32x4 0x1.001p0 -0x1.001p0 1 2) (v128.const f32x4 0x1.001p0 0x1.001p0 3 4)
        (v128.const f32x4 -0x1.002p0 -0x1.002p0 5 6)";
    functions += &format!(
        r#"(func (export "madd") (result v128) {madd} (f32x4.relaxed_madd))
           (func (export "nmadd") (result v128) {madd} (f32x4.relaxed_nmadd))"#
    );
    let has_fma = cfg!(target_arch = "x86_64") && is_fma_there();
    for deterministic in [true, false] {
        let engine = Engine::new(mode.config().relaxed_simd_deterministic(deterministic))?;
        let mut store = Store::new(&engine, ());
        let instance = instance(&mut store, &format!("(module {functions})"))?;
        let mut call = |name: &str| -> Result<[u64; 2]> {
            let bits = instance.get_typed_func::<(), V128>(&mut store, name)?.call(&mut store, ())?.as_u128();
            Ok([bits as u64, (bits >> 64) as u64])
        };
        for (number, (name, _, everywhere, x86)) in RELAXED.iter().enumerate() {
            let expected = if deterministic || cfg!(not(target_arch = "x86_64")) { everywhere } else { x86 };
            for function in [number.to_string(), format!("{number} of constants")] {
                for _ in 0..3 {
                    let [low, mut high] = call(&function)?;
                    // The sign of a NaN is nobody's business.
                    if name.contains("min") || name.contains("max") {
                        high &= 0x7fff_ffff_7fff_ffff;
                    }
                    assert_eq!([low, high], *expected, "{name}, deterministic: {deterministic}");
                }
            }
        }
        let error = if has_fma && !deterministic { 0x3380_0000 } else { 0 };
        assert_eq!(call("madd")?[0] & 0xffff_ffff, error);
        assert_eq!(call("nmadd")?[0] >> 32, error);
        let floats = |bits: u64| [bits as u32, (bits >> 32) as u32].map(f32::from_bits);
        assert_eq!(floats(call("madd")?[1]), [8.0, 14.0]);
        assert_eq!(floats(call("nmadd")?[1]), [2.0, -2.0]);
    }
    Ok(())
}

#[cfg(target_arch = "x86_64")]
fn is_fma_there() -> bool {
    is_x86_feature_detected!("fma")
}

#[cfg(not(target_arch = "x86_64"))]
fn is_fma_there() -> bool {
    false
}

#[test]
fn loops_of_vectors_are_taken_over_by_compiled_code() -> Result<()> {
    // Otherwise the tests above would not test that.
    let mut config = Config::new();
    config.strategy(Strategy::Tiered).tier_up_threshold(1).compile_threads(0);
    let engine = Engine::new(&config)?;
    if engine.no_compiled_code().is_some() {
        return Ok(());
    }
    let module = Module::new(&engine, busy_loop(5, 5))?;
    let mut store = Store::new(&engine, ());
    let f = Instance::new(&mut store, &module, &[])?.get_typed_func::<i32, V128>(&mut store, "f")?;
    assert_eq!(f.call(&mut store, 50_000)?.as_u128(), busy_result(5, 5, 50_000));
    assert!(module.uncompiled().is_empty(), "{:?}", module.uncompiled());
    assert!(module.tiers()[0].loops > 0, "{:?}", module.tiers());
    Ok(())
}
