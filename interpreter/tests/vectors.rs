//! What translated code does with vectors beyond what the official suite asks: where they are moved, and what relaxed
//! instructions make of their operands for each choice.

#![allow(unsafe_code)]

use std::sync::Arc;

use wasmrun_interpreter::invoke;
use wasmrun_runtime::Relaxed;
use wasmrun_runtime::features::Features;
use wasmrun_runtime::trap::Status;
use wasmrun_runtime::types::TypeRegistry;
use wasmrun_runtime::vm::{Imports, InstanceKey, MemoryStrategy, StackSizes, Store, VmContext};

struct Guest {
    store: Store,
    instance: InstanceKey,
}

impl Guest {
    fn new(wat: &str, relaxed: Relaxed) -> Guest {
        // What is not exported has no reference.
        let wat = wat.replacen("(module", "(module (export \"f\" (func 0))", 1);
        let bytes = wat::parse_str(wat).unwrap();
        let mut module =
            wasmrun_runtime::parse(bytes, Features::default(), &Arc::<TypeRegistry>::default()).unwrap();
        module.set_relaxed(relaxed);
        let mut store =
            Store::new(StackSizes::default(), MemoryStrategy::Checked, module.registry()).unwrap();
        // SAFETY: the module imports nothing.
        let instance = unsafe { store.instantiate(Arc::new(module), &Imports::default()) }.unwrap();
        Guest { store, instance }
    }

    /// Calls function `function` with these slots for arguments; the first slots of the results.
    fn call(&mut self, function: u32, args: &[u64]) -> [u64; 4] {
        let context = self.store.instance(self.instance).unwrap().context();
        let exec = &raw mut *self.store.exec_mut();
        // SAFETY: the function and its context belong to the store; the tests pass what the types ask for.
        unsafe {
            let slots = (*exec).value_top;
            for (i, arg) in args.iter().enumerate() {
                slots.add(i).write(*arg);
            }
            assert_eq!(invoke(exec, VmContext::func_ref(context, function)), Status::Ok);
            slots.cast::<[u64; 4]>().read()
        }
    }

    /// Calls function 0, from vectors to one.
    fn of_vectors(&mut self, args: &[u128]) -> u128 {
        let slots: Vec<u64> = args.iter().flat_map(|arg| [*arg as u64, (arg >> 64) as u64]).collect();
        let [low, high, ..] = self.call(0, &slots);
        u128::from(high) << 64 | u128::from(low)
    }
}

fn run(wat: &str, args: &[u64]) -> [u64; 4] {
    Guest::new(wat, Relaxed::Deterministic).call(0, args)
}

#[test]
fn a_vector_that_is_moved_by_one_slot_arrives_whole() {
    // The block's result is one slot below where the operand is.
    let wat = r#"(module (func (param i32 i64 i64) (result i64 i64) (local v128)
        (local.set 3 (i64x2.replace_lane 1 (i64x2.splat (local.get 1)) (local.get 2)))
        (block $b (result v128)
          (i32.const 5) (v128.not (v128.not (local.get 3))) (br_if $b (local.get 0)) (drop) (drop)
          (v128.const i64x2 1 2))
        (local.set 3)
        (i64x2.extract_lane 0 (local.get 3)) (i64x2.extract_lane 1 (local.get 3))))"#;
    assert_eq!(run(wat, &[1, 30, 40])[..2], [30, 40]);
    assert_eq!(run(wat, &[0, 30, 40])[..2], [1, 2]);
}

#[test]
fn results_that_share_slots_with_parameters_do_not_overwrite_each_other() {
    let wat = r#"(module
        (func (param i64 v128) (result v128 i64) (local.get 1) (local.get 0)))"#;
    assert_eq!(run(wat, &[7, 30, 40])[..3], [30, 40, 7]);
    let swap = r#"(module
        (func (param v128 v128) (result v128 v128) (local.get 1) (local.get 0)))"#;
    assert_eq!(run(swap, &[1, 2, 3, 4]), [3, 4, 1, 2]);
}

#[test]
fn an_operand_keeps_the_vector_that_its_local_had() {
    let swap = r#"(module (func (param v128 v128) (result v128 v128)
        (local.get 0) (local.get 1) (local.set 0) (local.set 1)
        (local.get 0) (local.get 1)))"#;
    assert_eq!(run(swap, &[1, 2, 3, 4]), [3, 4, 1, 2]);
    let tee = r#"(module (func (param v128) (result v128 v128)
        (local.get 0) (local.tee 0 (i64x2.add (local.get 0) (v128.const i64x2 5 6)))))"#;
    assert_eq!(run(tee, &[1, 2]), [1, 2, 6, 8]);
}

#[test]
fn a_scalar_in_the_accumulator_outlives_no_vector_in_its_slot() {
    // The sum is in the slot that the vector's upper half is written to, and then again where another sum goes.
    let wat = r#"(module (func (param i64 i64) (result i64)
        (local.get 0) (i64.add (local.get 0) (local.get 1)) (drop) (drop)
        (i64x2.splat (i64.mul (local.get 0) (local.get 1))) (drop)
        (local.get 0) (i64.sub (local.get 0) (local.get 1)) (i64.add)))"#;
    assert_eq!(run(wat, &[10, 3])[0], 17);
}

#[test]
fn vectors_are_arguments_and_results_of_calls_of_all_kinds() {
    let wat = r#"(module
        (type $t (func (param v128 i32) (result v128)))
        (table funcref (elem $add $twice))
        (func (param i32 i64 i64) (result i64 i64) (local v128)
          (local.set 3 (i64x2.replace_lane 1 (i64x2.splat (local.get 1)) (local.get 2)))
          (local.set 3 (call $add (local.get 3) (i32.const 1)))
          (local.set 3 (call_indirect (type $t) (local.get 3) (i32.const 2) (local.get 0)))
          (call $more (local.get 3))
          (local.set 3) (local.set 1) (local.set 2) (local.set 2)
          (i64x2.extract_lane 0 (local.get 3)) (i64x2.extract_lane 1 (local.get 3)))
        (func $add (type $t) (i64x2.add (local.get 0) (i64x2.extend_low_i32x4_s (i32x4.splat (local.get 1)))))
        (func $twice (type $t) (return_call $add (i64x2.add (local.get 0) (local.get 0)) (local.get 1)))
        (func $more (param v128) (result i64 i64 i64 v128)
          (i64.const 1) (i64.const 2) (i64.const 3) (call $tail (local.get 0)))
        (func $tail (param v128) (result v128)
          (return_call_indirect (type $t) (local.get 0) (i32.const 100) (i32.const 0))))"#;
    assert_eq!(run(wat, &[0, 30, 40])[..2], [133, 143]);
    assert_eq!(run(wat, &[1, 30, 40])[..2], [164, 184]);
}

#[test]
fn offsets_beyond_all_memories_are_out_of_bounds_for_every_access() {
    for access in [
        "(drop (v128.load offset=0xffff_fff8 (local.get 0)))",
        "(drop (v128.load8x8_s offset=0xffff_fffc (local.get 0)))",
        "(v128.store offset=0xffff_fff1 (local.get 0) (local.get 1))",
        "(drop (v128.load64_lane offset=0xffff_fff9 0 (local.get 0) (local.get 1)))",
        "(v128.store16_lane offset=0xffff_ffff 0 (local.get 0) (local.get 1))",
    ] {
        let wat = format!("(module (memory 1) (func (param i32) (local v128) {access}))");
        let mut guest = Guest::new(&wat, Relaxed::Deterministic);
        let context = guest.store.instance(guest.instance).unwrap().context();
        let exec = &raw mut *guest.store.exec_mut();
        // SAFETY: the function and its context belong to the store; its argument is in the first slot.
        unsafe {
            (*exec).value_top.write(0);
            assert_eq!(invoke(exec, VmContext::func_ref(context, 0)), Status::Trap, "{access}");
            (*exec).take_pending();
        }
    }
}

/// Vectors whose lanes are at the ends of their ranges, or NaNs, zeroes and infinities, and some of any kind.
fn samples() -> Vec<u128> {
    let same = |lane: u128, bits: u32| (0..128 / bits).fold(0, |all, i| all | lane << (i * bits));
    let mut all: Vec<u128> = vec![0, u128::MAX, 1 << 127];
    all.extend([0x00, 0x7f, 0x80, 0x81, 0x0f, 0x10, 0x9f].map(|lane| same(lane, 8)));
    all.extend([0x8000, 0x7fff, 0x4000, 0xc001].map(|lane| same(lane, 16)));
    for float in [0.0, -0.0, 1.5, -1.5, 3e9, -3e9, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 2147483648.0] {
        all.push(same(float.to_bits().into(), 32));
        all.push(same(f64::from(float).to_bits().into(), 64));
    }
    all.push(same(0x7fa0_0000, 32));
    all.push(same(0x7ff4_0000_0000_0000, 64));
    let mut number = 1u128;
    for _ in 0..if cfg!(miri) { 5 } else { 200 } {
        number = number.wrapping_mul(0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645).wrapping_add(0x5851_f42d);
        all.push(number ^ number >> 61);
    }
    all
}

/// What the relaxed instruction `name`, of so many vectors, makes of samples with this choice.
fn results(name: &str, operands: usize, relaxed: Relaxed) -> Vec<(Vec<u128>, u128)> {
    let params = " v128".repeat(operands);
    let gets: String = (0..operands).map(|i| format!("(local.get {i})")).collect();
    let wat = format!("(module (func (param{params}) (result v128) ({name} {gets})))");
    let mut guest = Guest::new(&wat, relaxed);
    let samples = samples();
    let mut results = Vec::new();
    for (i, a) in samples.iter().enumerate() {
        for (j, b) in samples.iter().enumerate() {
            // Every two of the special ones; of the others each with a few.
            if operands == 1 && j > 0 || (i.max(j) > 40 && (i + 7 * j) % 16 != 0) {
                continue;
            }
            let args: Vec<u128> = [*a, *b, samples[(i * 31 + j * 17) % samples.len()]][..operands].to_vec();
            let result = guest.of_vectors(&args);
            results.push((args, result));
        }
    }
    results
}

#[test]
fn the_deterministic_choice_is_the_instruction_that_is_not_relaxed() {
    for (relaxed, strict, operands) in [
        ("i8x16.relaxed_swizzle", "i8x16.swizzle", 2),
        ("i32x4.relaxed_trunc_f32x4_s", "i32x4.trunc_sat_f32x4_s", 1),
        ("i32x4.relaxed_trunc_f32x4_u", "i32x4.trunc_sat_f32x4_u", 1),
        ("i32x4.relaxed_trunc_f64x2_s_zero", "i32x4.trunc_sat_f64x2_s_zero", 1),
        ("i32x4.relaxed_trunc_f64x2_u_zero", "i32x4.trunc_sat_f64x2_u_zero", 1),
        ("i8x16.relaxed_laneselect", "v128.bitselect", 3),
        ("i16x8.relaxed_laneselect", "v128.bitselect", 3),
        ("i32x4.relaxed_laneselect", "v128.bitselect", 3),
        ("i64x2.relaxed_laneselect", "v128.bitselect", 3),
        ("f32x4.relaxed_min", "f32x4.min", 2),
        ("f32x4.relaxed_max", "f32x4.max", 2),
        ("f64x2.relaxed_min", "f64x2.min", 2),
        ("f64x2.relaxed_max", "f64x2.max", 2),
        ("i16x8.relaxed_q15mulr_s", "i16x8.q15mulr_sat_s", 2),
    ] {
        let same = Relaxed::Deterministic;
        assert_eq!(results(relaxed, operands, same), results(strict, operands, same), "{relaxed}");
    }
}

/// The sums of products that the specification's text asks for, from single lanes.
#[test]
fn the_deterministic_dot_product_is_of_signed_lanes_and_saturates() {
    let lane = |vector: u128, i: u32| i32::from((vector >> (8 * i)) as i8);
    let dot = |args: &[u128], i: u32| {
        let product = |i| lane(args[0], i) * lane(args[1], i);
        (product(2 * i) + product(2 * i + 1)).clamp(i16::MIN.into(), i16::MAX.into())
    };
    for (args, result) in results("i16x8.relaxed_dot_i8x16_i7x16_s", 2, Relaxed::Deterministic) {
        let expected = (0..8).fold(0, |all, i| all | u128::from(dot(&args, i) as u16) << (16 * i));
        assert_eq!(result, expected, "{args:x?}");
    }
    for (args, result) in results("i32x4.relaxed_dot_i8x16_i7x16_add_s", 3, Relaxed::Deterministic) {
        let sum = |i: u32| {
            let c = (args[2] >> (32 * i)) as i32;
            c.wrapping_add(dot(&args, 2 * i) + dot(&args, 2 * i + 1))
        };
        let expected = (0..4).fold(0, |all, i| all | u128::from(sum(i) as u32) << (32 * i));
        assert_eq!(result, expected, "{args:x?}");
    }
}

#[test]
fn multiplications_with_additions_round_twice_unless_fused() {
    let one = 1.0 + f32::EPSILON;
    let splat = |value: f32| (0..4).fold(0, |all, i| all | u128::from(value.to_bits()) << (32 * i));
    let splat64 = |value: f64| u128::from(value.to_bits()) << 64 | u128::from(value.to_bits());
    let one64 = 1.0 + f64::EPSILON;
    let of = |name: &str, relaxed, args: &[u128]| {
        let wat = format!(
            "(module (func (param v128 v128 v128) (result v128) ({name} (local.get 0) (local.get 1) (local.get 2))))"
        );
        Guest::new(&wat, relaxed).of_vectors(args)
    };
    for (relaxed, fused) in [
        (Relaxed::Deterministic, false),
        (Relaxed::X86 { fma: false }, false),
        (Relaxed::X86 { fma: true }, true),
    ] {
        // What is lost when the square is rounded by itself.
        let lost = if fused { f32::EPSILON * f32::EPSILON } else { 0.0 };
        let args = [splat(one), splat(one), splat(-(one * one))];
        assert_eq!(of("f32x4.relaxed_madd", relaxed, &args), splat(lost), "{relaxed:?}");
        let args = [splat(one), splat(one), splat(one * one)];
        assert_eq!(
            of("f32x4.relaxed_nmadd", relaxed, &args),
            splat(if fused { -lost } else { 0.0 }),
            "{relaxed:?}"
        );
        let lost = if fused { f64::EPSILON * f64::EPSILON } else { 0.0 };
        let args = [splat64(one64), splat64(one64), splat64(-(one64 * one64))];
        assert_eq!(of("f64x2.relaxed_madd", relaxed, &args), splat64(lost), "{relaxed:?}");
        let args = [splat64(one64), splat64(one64), splat64(one64 * one64)];
        assert_eq!(
            of("f64x2.relaxed_nmadd", relaxed, &args),
            splat64(if fused { -lost } else { 0.0 }),
            "{relaxed:?}"
        );
    }
}

/// The choice named for x86 against the instructions themselves.
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod on_x86 {
    use std::arch::x86_64::*;

    use super::*;

    fn vector(bits: u128) -> __m128i {
        // SAFETY: any 16 bytes are such a vector.
        unsafe { std::mem::transmute(bits) }
    }

    fn bits(vector: __m128i) -> u128 {
        // SAFETY: as above.
        unsafe { std::mem::transmute(vector) }
    }

    fn compare(name: &str, operands: usize, fma: bool, instruction: unsafe fn(&[u128]) -> __m128i) {
        if !is_x86_feature_detected!("sse4.1") || (fma && !is_x86_feature_detected!("fma")) {
            return;
        }
        for (args, result) in results(name, operands, Relaxed::X86 { fma }) {
            // SAFETY: the machine has the instruction.
            let expected = bits(unsafe { instruction(&args) });
            assert_eq!(result, expected, "{name} of {args:x?}: {result:x} and not {expected:x}");
        }
    }

    macro_rules! instructions {
        ($($test:ident: $feature:literal, $fma:literal, $($name:literal $operands:literal |$a:ident| $body:expr;)*)*) => { $(
            #[test]
            fn $test() {
                $({
                    #[target_feature(enable = $feature)]
                    unsafe fn instruction($a: &[u128]) -> __m128i {
                        $body
                    }
                    compare($name, $operands, $fma, instruction);
                })*
            }
        )* };
    }

    #[target_feature(enable = "sse4.1")]
    fn single(bits: u128) -> __m128 {
        _mm_castsi128_ps(vector(bits))
    }

    #[target_feature(enable = "sse4.1")]
    fn double(bits: u128) -> __m128d {
        _mm_castsi128_pd(vector(bits))
    }

    instructions! {
        relaxed_instructions_on_integers_are_those_of_the_machine: "sse4.1", false,
            "i8x16.relaxed_swizzle" 2 |a| _mm_shuffle_epi8(vector(a[0]), vector(a[1]));
            "i8x16.relaxed_laneselect" 3 |a| _mm_blendv_epi8(vector(a[1]), vector(a[0]), vector(a[2]));
            "i16x8.relaxed_laneselect" 3 |a| _mm_blendv_epi8(vector(a[1]), vector(a[0]), vector(a[2]));
            "i32x4.relaxed_laneselect" 3 |a| _mm_castps_si128(_mm_blendv_ps(single(a[1]), single(a[0]), single(a[2])));
            "i64x2.relaxed_laneselect" 3 |a| _mm_castpd_si128(_mm_blendv_pd(double(a[1]), double(a[0]), double(a[2])));
            "i16x8.relaxed_q15mulr_s" 2 |a| _mm_mulhrs_epi16(vector(a[0]), vector(a[1]));
            "i16x8.relaxed_dot_i8x16_i7x16_s" 2 |a| _mm_maddubs_epi16(vector(a[1]), vector(a[0]));
            "i32x4.relaxed_dot_i8x16_i7x16_add_s" 3 |a| {
                let sums = _mm_maddubs_epi16(vector(a[1]), vector(a[0]));
                _mm_add_epi32(_mm_madd_epi16(sums, _mm_set1_epi16(1)), vector(a[2]))
            };
        relaxed_instructions_on_floats_are_those_of_the_machine: "sse4.1", false,
            "i32x4.relaxed_trunc_f32x4_s" 1 |a| _mm_cvttps_epi32(single(a[0]));
            "i32x4.relaxed_trunc_f64x2_s_zero" 1 |a| _mm_cvttpd_epi32(double(a[0]));
            "f32x4.relaxed_min" 2 |a| _mm_castps_si128(_mm_min_ps(single(a[0]), single(a[1])));
            "f32x4.relaxed_max" 2 |a| _mm_castps_si128(_mm_max_ps(single(a[0]), single(a[1])));
            "f64x2.relaxed_min" 2 |a| _mm_castpd_si128(_mm_min_pd(double(a[0]), double(a[1])));
            "f64x2.relaxed_max" 2 |a| _mm_castpd_si128(_mm_max_pd(double(a[0]), double(a[1])));
    }
}
