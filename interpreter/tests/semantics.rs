//! What translated code does, seen from the outside: small modules run through the runtime alone.

#![allow(unsafe_code)]

use std::sync::Arc;

use wasmrun_interpreter::{Positions, invoke};
use wasmrun_runtime::features::Features;
use wasmrun_runtime::module::ExternIndex;
use wasmrun_runtime::trap::{HostError, Pending, Status, Trap};
use wasmrun_runtime::types::TypeRegistry;
use wasmrun_runtime::vm::gc::shape::Kind;
use wasmrun_runtime::vm::{
    FoundFrame, GrowError, Imports, InstanceKey, MemoryStrategy, StackSizes, Store, StoreHooks, VmContext,
};

struct Guest {
    store: Store,
    instance: InstanceKey,
}

impl Guest {
    fn new(wat: &str) -> Guest {
        let bytes = wat::parse_str(wat).unwrap();
        let registry = Arc::<TypeRegistry>::default();
        let module = wasmrun_runtime::parse(bytes, Features::default(), &registry).unwrap();
        let mut store = Store::new(StackSizes::default(), MemoryStrategy::Checked, &registry).unwrap();
        store.exec_mut().backtrace_limit = 10;
        // SAFETY: the module imports nothing.
        let instance = unsafe { store.instantiate(Arc::new(module), &Imports::default()) }.unwrap();
        Guest { store, instance }
    }

    fn call(&mut self, name: &str, args: &[u64]) -> Result<u64, Trap> {
        let instance = self.store.instance(self.instance).unwrap();
        let export = instance.module().exports().iter().find(|e| e.name == name).unwrap();
        let ExternIndex::Func(index) = export.index else { panic!("{name} is not a function") };
        let context = instance.context();
        let exec = &raw mut *self.store.exec_mut();
        // SAFETY: the function and its context belong to the store; the tests pass what the types ask for.
        unsafe {
            let func = VmContext::func_ref(context, index);
            let slots = (*exec).value_top;
            for (i, arg) in args.iter().enumerate() {
                slots.add(i).write(*arg);
            }
            match invoke(exec, func) {
                Status::Ok => Ok(*slots),
                Status::Trap => match (*exec).take_pending() {
                    Some(Pending::Trap(trap)) => Err(trap),
                    other => panic!("unexpected {other:?}"),
                },
                other => panic!("unexpected {other:?}"),
            }
        }
    }
}

/// A number that is large, but for Miri, which takes a second for a thousand calls.
fn many(number: u64) -> u64 {
    if cfg!(miri) { number / 1000 } else { number }
}

fn run(wat: &str, args: &[u64]) -> Result<u64, Trap> {
    Guest::new(wat).call("f", args)
}

#[test]
fn recursion_keeps_each_frame_apart() {
    let fib = r#"(module (func $f (export "f") (param i32) (result i32)
        (if (result i32) (i32.lt_s (local.get 0) (i32.const 2))
          (then (local.get 0))
          (else (i32.add (call $f (i32.sub (local.get 0) (i32.const 1)))
                         (call $f (i32.sub (local.get 0) (i32.const 2))))))))"#;
    let (n, result) = if cfg!(miri) { (10, 55) } else { (20, 6765) };
    assert_eq!(run(fib, &[n]), Ok(result));
}

#[test]
fn loops_carry_locals_and_block_parameters() {
    let sum = r#"(module (func (export "f") (param i32) (result i64) (local i64)
        (block $done (loop $next
          (br_if $done (i32.eqz (local.get 0)))
          (local.set 1 (i64.add (local.get 1) (i64.extend_i32_u (local.get 0))))
          (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
          (br $next)))
        (local.get 1)))"#;
    let n = many(100_000);
    assert_eq!(run(sum, &[n]), Ok(n * (n + 1) / 2));
    let params = r#"(module (func (export "f") (param i32) (result i32)
        (i32.const 0) (local.get 0)
        (loop $l (param i32 i32) (result i32)
          (local.set 0)
          (i32.add (local.get 0))
          (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
          (local.get 0)
          (br_if $l (local.get 0))
          (drop))))"#;
    assert_eq!(run(params, &[10]), Ok(55));
}

#[test]
fn an_operand_keeps_the_value_that_its_local_had() {
    let swap = r#"(module (func (export "f") (param i32 i32) (result i32)
        (local.get 0) (local.get 1) (local.set 0) (local.set 1)
        (i32.sub (local.get 0) (local.get 1))))"#;
    assert_eq!(run(swap, &[3, 10]), Ok(7));
    let tee = r#"(module (func (export "f") (param i32) (result i32)
        (i32.add (local.get 0) (local.tee 0 (i32.add (local.get 0) (i32.const 5))))))"#;
    assert_eq!(run(tee, &[1]), Ok(7));
    // The producer writes the temporary, whose reader comes after a branch that relies on the slot.
    let branch = r#"(module (func (export "f") (param i32) (result i32)
        (block $b (result i32)
          (i32.mul (local.get 0) (i32.const 3))
          (br_if $b (i32.gt_s (local.get 0) (i32.const 10)))
          (i32.add (i32.const 1)))))"#;
    assert_eq!(run(branch, &[20]), Ok(60));
    assert_eq!(run(branch, &[2]), Ok(7));
}

#[test]
fn results_that_swap_parameters_do_not_overwrite_each_other() {
    let wat = r#"(module
        (func $swap (param i32 i32) (result i32 i32) (local.get 1) (local.get 0))
        (func (export "f") (param i32 i32) (result i32)
          (call $swap (local.get 0) (local.get 1)) (i32.sub)))"#;
    assert_eq!(run(wat, &[3, 10]), Ok(7));
}

#[test]
fn br_table_takes_the_default_beyond_its_end() {
    let wat = r#"(module (func (export "f") (param i32) (result i32)
        (block $c (result i32) (block $b (result i32) (block $a (result i32)
          (i32.const 100) (local.get 0) (br_table $a $b $c))
          (i32.add (i32.const 1)) (br $c))
          (i32.add (i32.const 2)) (return))))"#;
    assert_eq!(run(wat, &[0]), Ok(101));
    assert_eq!(run(wat, &[1]), Ok(102));
    assert_eq!(run(wat, &[2]), Ok(100));
    assert_eq!(run(wat, &[u32::MAX.into()]), Ok(100));
}

#[test]
fn numeric_traps_have_their_own_reasons() {
    let div = r#"(module (func (export "f") (param i32 i32) (result i32)
        (i32.div_s (local.get 0) (local.get 1))))"#;
    assert_eq!(run(div, &[7, 2]), Ok(3));
    assert_eq!(run(div, &[7, 0]), Err(Trap::IntegerDivisionByZero));
    assert_eq!(run(div, &[0x8000_0000, 0xffff_ffff]), Err(Trap::IntegerOverflow));
    let trunc = r#"(module (func (export "f") (param f64) (result i32) (i32.trunc_f64_s (local.get 0))))"#;
    assert_eq!(run(trunc, &[(-1.9f64).to_bits()]), Ok(0xffff_ffff));
    assert_eq!(run(trunc, &[f64::NAN.to_bits()]), Err(Trap::BadConversionToInteger));
    assert_eq!(run(trunc, &[1e10f64.to_bits()]), Err(Trap::IntegerOverflow));
}

#[test]
fn accesses_at_the_edge_of_memory_are_checked_to_the_byte() {
    let wat = r#"(module (memory 1)
        (func (export "f") (param i32) (result i32) (i32.load offset=2 (local.get 0)))
        (func (export "far") (param i32) (result i32) (i32.load offset=0xffffffff (local.get 0))))"#;
    let mut guest = Guest::new(wat);
    assert_eq!(guest.call("f", &[65530]), Ok(0));
    assert_eq!(guest.call("f", &[65531]), Err(Trap::MemoryOutOfBounds));
    assert_eq!(guest.call("f", &[0xffff_fffe]), Err(Trap::MemoryOutOfBounds));
    assert_eq!(guest.call("far", &[0]), Err(Trap::MemoryOutOfBounds));
}

#[test]
#[cfg_attr(miri, ignore = "takes Miri minutes")]
fn infinite_recursion_is_a_trap_and_the_store_goes_on() {
    let wat = r#"(module (func $r (export "r") (call $r)) (func (export "f") (result i32) (i32.const 4)))"#;
    let mut guest = Guest::new(wat);
    assert_eq!(guest.call("r", &[]), Err(Trap::StackOverflow));
    assert_eq!(guest.call("f", &[]), Ok(4));
}

#[test]
fn ten_thousand_frames_fit_the_default_stack() {
    let wat = r#"(module (func $d (export "f") (param i32) (result i32)
        (if (result i32) (local.get 0)
          (then (i32.add (i32.const 1) (call $d (i32.sub (local.get 0) (i32.const 1)))))
          (else (i32.const 0)))))"#;
    assert_eq!(run(wat, &[many(10_000)]), Ok(many(10_000)));
}

#[test]
fn tail_calls_take_no_stack() {
    let wat = r#"(module (type $t (func (param i32 i64) (result i64)))
        (table funcref (elem $a $b))
        (func $a (type $t) (if (result i64) (local.get 0)
          (then (return_call $b (i32.sub (local.get 0) (i32.const 1)) (i64.add (local.get 1) (i64.const 2))))
          (else (local.get 1))))
        (func $b (type $t)
          (return_call_indirect (type $t) (local.get 0) (i64.sub (local.get 1) (i64.const 1)) (i32.const 0)))
        (func (export "f") (param i32) (result i64) (call $a (local.get 0) (i64.const 0))))"#;
    assert_eq!(run(wat, &[many(1_000_000)]), Ok(many(1_000_000)));
}

#[test]
fn a_trap_names_the_instruction_and_the_frames() {
    let wat = r#"(module
        (func $inner (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
        (func (export "f") (param i32) (result i32) (i32.add (i32.const 5) (call $inner (local.get 0)))))"#;
    let mut guest = Guest::new(wat);
    assert_eq!(guest.call("f", &[0]), Err(Trap::IntegerDivisionByZero));
    let mut positions = Positions::default();
    // SAFETY: the instance is alive.
    let position = |frame: &FoundFrame| unsafe { positions.position(frame.site) }.unwrap();
    let frames: Vec<_> = guest.store.exec_mut().take_stopped().iter().map(position).collect();
    let functions: Vec<_> = frames.iter().map(|f| f.function).collect();
    assert_eq!(functions, [0, 1]);
    let bytes = frames[0].module.bytes();
    assert_eq!(bytes[frames[0].offset as usize], 0x6e, "i32.div_u");
    assert_eq!(bytes[frames[1].offset as usize], 0x10, "call");
}

#[test]
fn references_survive_calls_of_functions_that_use_their_own() {
    let wat = r#"(module
        (func $other (result externref) (local externref externref) (ref.null extern))
        (func (export "f") (param i32) (result i32) (local externref)
          (local.set 1 (call $other))
          (ref.is_null (local.get 1))))"#;
    assert_eq!(run(wat, &[0]), Ok(1));
}

#[test]
fn computed_addresses_wrap_before_the_offset_is_added() {
    let wat = r#"(module (memory 1) (data (i32.const 8) "\2a\00\00\00\2b\00\00\00")
        (func (export "sum") (param i32 i32) (result i32)
          (i32.load offset=4 (i32.add (local.get 0) (local.get 1))))
        (func (export "element") (param i32 i32) (result i32)
          (i32.load (i32.add (local.get 0) (i32.shl (local.get 1) (i32.const 2)))))
        (func (export "reversed") (param i32 i32) (result i32)
          (i32.load (i32.add (i32.shl (local.get 1) (i32.const 2)) (local.get 0))))
        (func (export "same") (param i32) (result i32)
          (i32.load (i32.add (local.get 0) (i32.shl (local.get 0) (i32.const 34)))))
        (func (export "read_twice") (param i32 i32) (result i32)
          (i32.add (i32.load (local.tee 0 (i32.add (local.get 0) (local.get 1)))) (local.get 0))))"#;
    let mut guest = Guest::new(wat);
    assert_eq!(guest.call("sum", &[0xffff_fffe, 6]), Ok(42));
    assert_eq!(guest.call("sum", &[0xffff_fffe, 1]), Err(Trap::MemoryOutOfBounds));
    assert_eq!(guest.call("element", &[4, 2]), Ok(43));
    assert_eq!(guest.call("element", &[8, 0x4000_0001]), Ok(43));
    assert_eq!(guest.call("element", &[0, 0x3fff]), Ok(0));
    assert_eq!(guest.call("element", &[0, 0x4000]), Err(Trap::MemoryOutOfBounds));
    assert_eq!(guest.call("reversed", &[4, 2]), Ok(43));
    assert_eq!(guest.call("same", &[2]), Ok(0x2b_0000));
    assert_eq!(guest.call("read_twice", &[4, 4]), Ok(50));
}

#[test]
fn rounding_keeps_signs_and_quiets_nans() {
    let wat = |op: &str| {
        format!(r#"(module (func (export "f") (param f64) (result f64) (f64.{op} (local.get 0))))"#)
    };
    let cases: [(f64, [f64; 4]); 8] = [
        (-0.5, [-0.0, -1.0, -0.0, -0.0]),
        (0.5, [1.0, 0.0, 0.0, 0.0]),
        (1.5, [2.0, 1.0, 1.0, 2.0]),
        (-2.5, [-2.0, -3.0, -2.0, -2.0]),
        (-0.0, [-0.0; 4]),
        (
            4503599627370495.5,
            [4503599627370496.0, 4503599627370495.0, 4503599627370495.0, 4503599627370496.0],
        ),
        (f64::NEG_INFINITY, [f64::NEG_INFINITY; 4]),
        (1e300, [1e300; 4]),
    ];
    for (i, op) in ["ceil", "floor", "trunc", "nearest"].into_iter().enumerate() {
        let mut guest = Guest::new(&wat(op));
        for (value, expected) in &cases {
            assert_eq!(guest.call("f", &[value.to_bits()]), Ok(expected[i].to_bits()), "{op} {value}");
        }
        assert_eq!(guest.call("f", &[0x7ff0_0000_0000_0001]), Ok(0x7ff8_0000_0000_0001), "{op}");
    }
}

/// Hooks that stop the guest when they are asked.
struct Stop;

impl StoreHooks for Stop {
    fn memory_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool, HostError> {
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: GrowError) -> Result<(), HostError> {
        Ok(())
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool, HostError> {
        Ok(true)
    }

    fn table_grow_failed(&mut self, _: GrowError) -> Result<(), HostError> {
        Ok(())
    }

    fn interrupted(&mut self, _: u32) -> Result<(), Pending> {
        Err(Trap::Interrupt.into())
    }

    unsafe fn allocate(&mut self, _: Kind, _: usize) -> Result<u32, Pending> {
        Err(Trap::GcHeapOutOfMemory.into())
    }
}

#[test]
fn a_branch_backwards_stops_for_a_request_of_another_thread() {
    let shapes = [
        "(loop $l (br $l))",
        "(loop $l (br_if $l (i32.const 1)))",
        "(loop $l (br_if $l (i32.eqz (i32.const 0))))",
        "(loop $l (br_table $l $l (i32.const 0)))",
        "(loop $l (if (f64.lt (f64.const 0) (f64.const 1)) (then (br $l))))",
        "(loop $l (br_if $l (f32.eq (f32.const 1) (f32.const 1))))",
        "(local i64) (loop $l (br_if $l (i64.ge_u (local.get 0) (i64.const 0))))",
        "(return_call $f)",
        "(loop $l (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br $l))",
    ];
    for shape in shapes {
        let mut guest = Guest::new(&format!(r#"(module (memory 1) (func $f (export "f") {shape}))"#));
        let target = guest.store.exec().target().clone();
        let mut stop = Stop;
        // SAFETY: the hooks outlive the call.
        unsafe { guest.store.exec_mut().replace_hooks(Some((&mut stop as &mut dyn StoreHooks).into())) };
        let thread = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(2));
            target.request(wasmrun_runtime::vm::reason::INTERRUPT);
        });
        assert_eq!(guest.call("f", &[]), Err(Trap::Interrupt), "{shape}");
        thread.join().unwrap();
    }
}

#[test]
fn a_constant_below_an_if_is_the_same_in_both_arms() {
    let wat = r#"(module (func (export "f") (param i32) (result i32)
        (i32.const 40)
        (if (result i32) (local.get 0)
          (then (block $b (loop $l (br_if $b (local.get 0)) (br $l))) (i32.const 1))
          (else (i32.const 2)))
        (i32.add)))"#;
    assert_eq!(run(wat, &[1]), Ok(41));
    assert_eq!(run(wat, &[0]), Ok(42));
}
