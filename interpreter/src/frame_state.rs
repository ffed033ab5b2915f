//! Checks that code of another tier can take a frame over at a loop header.
//!
//! Modules run with every amount of fuel from none on, so that they stop at each point where fuel is charged; a
//! loop header is one. There the slots that the frame's layout names must hold the operands' values.

use std::collections::BTreeSet;
use std::sync::Arc;

use wasmrun_runtime::features::Features;
use wasmrun_runtime::frame::{FrameLayout, FrameSlot};
use wasmrun_runtime::module::Module;
use wasmrun_runtime::trap::{Pending, Status, Trap};
use wasmrun_runtime::types::{TypeRegistry, ValType};
use wasmrun_runtime::vm::{Imports, MemoryStrategy, StackSizes, Store, VmContext};

use crate::code::{Code, LoopHeader};
use crate::frames::invoke;
use crate::translate;

fn parse(wat: &str) -> Module {
    let bytes = wat::parse_str(wat).unwrap();
    let mut module =
        wasmrun_runtime::parse(bytes, Features::default(), &Arc::<TypeRegistry>::default()).unwrap();
    module.charge_fuel(true);
    module
}

/// The operands that are expected at the header of each loop, bottom first.
type Expected<'e> = &'e [&'e [(ValType, u128)]];

/// Runs function 0 with value argument `argument` and reference argument 7, stopping it at every header;
/// checks the operands there, and its result. Returns which loops it came to.
fn check(wat: &str, argument: u64, expected: Expected<'_>, result: u64) -> BTreeSet<usize> {
    let module = Arc::new(parse(wat));
    let layout = FrameLayout::of(&module, 0).unwrap();
    let mut store = Store::new(StackSizes::default(), MemoryStrategy::Checked, module.registry()).unwrap();
    // SAFETY: the module imports nothing.
    let key = unsafe { store.instantiate(module.clone(), &Imports::default()) }.unwrap();
    let context = store.instance(key).unwrap().context();
    let exec = &raw mut *store.exec_mut();
    store.exec_mut().backtrace_limit = 1;
    let mut reached = BTreeSet::new();
    for fuel in 0..10_000 {
        // SAFETY: the function and its context belong to the store; frames are read before others are made.
        unsafe {
            let (values, references) = ((*exec).value_top, (*exec).ref_top);
            // Nothing that an earlier run left may pass for a value.
            for slot in 0..64 {
                values.add(slot).write(0xdead);
                references.add(slot).write(0xdead);
            }
            values.write(argument);
            references.write(7);
            (*exec).fuel = fuel;
            if invoke(exec, VmContext::func_ref(context, 0)) == Status::Ok {
                assert_eq!(*values, result, "{wat}");
                return reached;
            }
            assert!(matches!((*exec).take_pending(), Some(Pending::Trap(Trap::OutOfFuel))));
            let ip = (*exec).take_stopped()[0].site.code as usize;
            let blob = module.blob_at(ip).unwrap();
            let code = blob.as_any().downcast_ref::<Code>().unwrap();
            let Some(header) = code.loop_at((ip - code.entry() as usize) as u32) else { continue };
            let index = code.loops().iter().position(|other| *other == header).unwrap();
            reached.insert(index);
            let slots = layout.operands(expected[index].iter().map(|(ty, _)| *ty));
            for ((ty, value), slot) in expected[index].iter().zip(slots) {
                let word = |slot: u32| u128::from(*values.add(slot as usize));
                let found = match slot {
                    FrameSlot::Value(slot) if *ty == ValType::V128 => word(slot + 1) << 64 | word(slot),
                    FrameSlot::Value(slot) => word(slot),
                    FrameSlot::Reference(slot) => (*references.add(slot as usize)).into(),
                };
                assert_eq!(found, *value, "{ty} in {slot:?} at {header:?} with {fuel} of fuel in {wat}");
            }
        }
    }
    panic!("the function does not end")
}

fn all(count: usize) -> BTreeSet<usize> {
    (0..count).collect()
}

#[test]
fn constants_and_locals_below_a_loop_are_in_their_slots() {
    let wat = r#"(module (func (export "f") (param i64) (param externref) (result i64) (local i32)
        (i64.const 0x100000001) (local.get 0) (local.get 1) (f64.const 2.5)
        (loop $l
          (local.set 0 (i64.sub (local.get 0) (i64.const 1)))
          (br_if $l (i64.ne (local.get 0) (i64.const 0))))
        (i64.trunc_f64_s) (local.set 0) (drop) (i64.add) (i64.add (local.get 0))))"#;
    let operands = [
        (ValType::I64, 0x1_0000_0001),
        (ValType::I64, 3),
        (ValType::EXTERNREF, 7),
        (ValType::F64, 2.5f64.to_bits().into()),
    ];
    assert_eq!(check(wat, 3, &[&operands], 0x1_0000_0006), all(1));
}

#[test]
fn vectors_below_a_loop_are_in_two_slots_each() {
    let wat = r#"(module (func (export "f") (param i64) (param externref) (result i64) (local i32 v128)
        (local.set 3 (i64x2.splat (i64.const 9)))
        (i32.const 1) (v128.const i64x2 5 -1) (i64.const 4) (local.get 3)
        (loop $l (param v128) (result v128)
          (i64x2.add (v128.const i64x2 1 2))
          (i32.const 8) (loop (param i32) (drop))
          (local.set 3 (v128.const i64x2 0 0))
          (local.set 0 (i64.sub (local.get 0) (i64.const 1)))
          (br_if $l (i64.ne (local.get 0) (i64.const 1))))
        (i64x2.extract_lane 1) (i64.add) (local.set 0) (i64x2.extract_lane 0) (drop) (drop)
        (local.get 0)))"#;
    let below = [(ValType::I32, 1), (ValType::V128, u128::from(u64::MAX) << 64 | 5), (ValType::I64, 4)];
    let [one, vector, four] = below;
    let outer = [one, vector, four, (ValType::V128, 9 << 64 | 9)];
    let inner = [one, vector, four, (ValType::V128, 11 << 64 | 10), (ValType::I32, 8)];
    assert_eq!(check(wat, 2, &[&outer, &inner], 4 + 11), all(2));
}

#[test]
fn the_other_arm_of_an_if_does_not_rely_on_a_loop_of_the_first() {
    let wat = r#"(module (func (export "f") (param i64) (result i64)
        (i64.const 40) (local.get 0)
        (if (result i64) (i64.ne (local.get 0) (i64.const 0))
          (then (loop $l
            (local.set 0 (i64.sub (local.get 0) (i64.const 1)))
            (br_if $l (i64.ne (local.get 0) (i64.const 0))))
            (i64.const 1))
          (else (i64.const 5) (loop $m (br_if $m (i32.const 0))) (loop $n (br_if $n (i32.const 0)))))
        (loop $o)
        (i64.add) (i64.add)))"#;
    let (forty, five) = ((ValType::I64, 40), (ValType::I64, 5));
    let expected = |argument: u64, result: u64| {
        let parameter = (ValType::I64, argument.into());
        let arm = [forty, parameter, five];
        let end = [forty, parameter, (ValType::I64, result.into())];
        check(wat, argument, &[&[forty, parameter], &arm, &arm, &end], 40 + argument + result)
    };
    let mut reached = expected(2, 1);
    assert_eq!(reached, BTreeSet::from([0, 3]));
    reached.extend(expected(0, 5));
    assert_eq!(reached, all(4));
}

#[test]
fn a_branch_past_a_loop_does_not_rely_on_it() {
    let wat = r#"(module (func (export "f") (param i64) (result i64)
        (i64.const 40)
        (block $out
          (block $in
            (br_table $out $in (i32.wrap_i64 (local.get 0))))
          (loop $l (br_if $out (i64.eq (local.get 0) (i64.const 7))))
          (i64.const 9) (loop $m (br_if $m (i32.const 0))) (drop))
        (i64.const 2)
        (loop $n)
        (i64.add)))"#;
    let (forty, nine, two) = ((ValType::I64, 40), (ValType::I64, 9), (ValType::I64, 2));
    let expected: Expected<'_> = &[&[forty], &[forty, nine], &[forty, two]];
    assert_eq!(check(wat, 0, expected, 42), BTreeSet::from([2]));
    assert_eq!(check(wat, 7, expected, 42), BTreeSet::from([0, 2]));
    assert_eq!(check(wat, 1, expected, 42), all(3));
}

#[test]
fn inner_loops_find_what_lies_between_them_and_outer_ones() {
    let wat = r#"(module (func (export "f") (param i64) (result i64) (local i64)
        (i64.const 1)
        (loop $outer (param i64) (result i64)
          (f32.const 0.5) (ref.null extern) (i32.const -1)
          (block (loop $inner (if (i64.ne (local.get 1) (i64.const 3)) (then
            (i64.const 6)
            (loop $innermost (local.set 1 (i64.add (local.get 1) (i64.const 1))))
            (drop)
            (br $inner)))))
          (drop) (drop) (drop)
          (local.set 0 (i64.sub (local.get 0) (i64.const 1)))
          (br_if $outer (i64.ne (local.get 0) (i64.const 0))))))"#;
    let one = (ValType::I64, 1);
    let half = (ValType::F32, 0.5f32.to_bits().into());
    let inner = [one, half, (ValType::EXTERNREF, 0), (ValType::I32, 0xffff_ffff)];
    let innermost = [inner[0], inner[1], inner[2], inner[3], (ValType::I64, 6)];
    assert_eq!(check(wat, 2, &[&[one], &inner, &innermost], 1), all(3));
}

#[test]
fn a_header_is_found_by_either_offset() {
    let module = {
        let bytes = wat::parse_str(
            r#"(module (func (param i32)
                (loop (loop (local.set 0 (i32.const 1)) (i32.const 4) (loop) (drop)))
                (return)
                (loop)))"#,
        );
        wasmrun_runtime::parse(bytes.unwrap(), Features::default(), &Arc::<TypeRegistry>::default()).unwrap()
    };
    let code = translate::function(&module, 0, None).unwrap();
    // The last loop cannot be reached.
    let [outer, inner, last] = code.loops() else { panic!("{:?}", code.loops()) };
    for header in [outer, inner, last] {
        assert_eq!(module.bytes()[header.wasm as usize], 0x03, "loop");
        assert_eq!(code.loop_of(header.wasm), Some(*header));
        assert_eq!(code.loop_of(header.wasm + 1).filter(|other| other == header), None);
    }
    // Nothing is between the first two.
    assert_eq!(outer.code, inner.code);
    assert_eq!(code.loop_at(outer.code), Some(*inner));
    assert_eq!(code.loop_at(last.code), Some(*last));
    // The constant is put into its slot before the header.
    assert_eq!(code.loop_at(last.code - 8), None);
    let headers: Vec<&LoopHeader> = code.loops().iter().collect();
    assert!(headers.is_sorted_by_key(|header| header.wasm));
}

#[test]
#[cfg_attr(miri, ignore = "takes Miri minutes")]
fn a_deep_stack_that_is_settled_again_and_again_ends_at_the_limit_on_code() {
    let constants = "(i64.const 1)".repeat(20_000);
    let blocks = "(block $b (br_if $b (i32.const 1)) (loop))".repeat(20_000);
    let drops = "(drop)".repeat(20_000);
    let module = parse(&format!("(module (func {constants} {blocks} {drops}))"));
    let Err(Pending::Trap(trap)) = translate::function(&module, 0, None) else { panic!() };
    assert_eq!(trap, Trap::FunctionTooLarge);
}
