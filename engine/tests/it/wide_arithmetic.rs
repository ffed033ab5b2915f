//! Arithmetic on 128 bits is that of 128 bits, wherever its operands come from and its results go, in every tier.

use wasmrun::{Instance, Module, Result, Store};

use crate::common::{Mode, in_every_mode};

in_every_mode! {
    results_are_those_of_128_bits
    operands_and_results_are_in_any_place
    results_are_alive_in_whatever_tier_a_loop_goes_on
    what_looks_like_a_product_is_computed_as_it_is_written
}

const NUMBERS: [u64; 9] = [0, 1, 2, 0xffff_ffff, 1 << 32, i64::MAX as u64, 1 << 63, u64::MAX - 1, u64::MAX];

fn whole(low: u64, high: u64) -> u128 {
    u128::from(high) << 64 | u128::from(low)
}

fn halves(value: u128) -> (u64, u64) {
    (value as u64, (value >> 64) as u64)
}

fn results_are_those_of_128_bits(mode: Mode) -> Result<()> {
    let wat = r#"(module
      (func (export "add") (param i64 i64 i64 i64) (result i64 i64)
        (i64.add128 (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
      (func (export "sub") (param i64 i64 i64 i64) (result i64 i64)
        (i64.sub128 (local.get 0) (local.get 1) (local.get 2) (local.get 3)))
      (func (export "mul_s") (param i64 i64) (result i64 i64) (i64.mul_wide_s (local.get 0) (local.get 1)))
      (func (export "mul_u") (param i64 i64) (result i64 i64) (i64.mul_wide_u (local.get 0) (local.get 1))))"#;
    let mut store = Store::new(&mode.engine(), ());
    let module = Module::new(store.engine(), wat)?;
    let instance = Instance::new(&mut store, &module, &[])?;
    type Four = (u64, u64, u64, u64);
    let add = instance.get_typed_func::<Four, (u64, u64)>(&mut store, "add")?;
    let sub = instance.get_typed_func::<Four, (u64, u64)>(&mut store, "sub")?;
    let mul_s = instance.get_typed_func::<(u64, u64), (u64, u64)>(&mut store, "mul_s")?;
    let mul_u = instance.get_typed_func::<(u64, u64), (u64, u64)>(&mut store, "mul_u")?;
    for a in NUMBERS {
        for b in NUMBERS {
            let signed = i128::from(a as i64) * i128::from(b as i64);
            assert_eq!(mul_s.call(&mut store, (a, b))?, halves(signed as u128), "{a:#x} {b:#x}");
            assert_eq!(
                mul_u.call(&mut store, (a, b))?,
                halves(u128::from(a) * u128::from(b)),
                "{a:#x} {b:#x}"
            );
            for (c, d) in NUMBERS.into_iter().zip(NUMBERS.into_iter().rev()) {
                let (x, y) = (whole(a, c), whole(b, d));
                assert_eq!(add.call(&mut store, (a, c, b, d))?, halves(x.wrapping_add(y)), "{x:#x} {y:#x}");
                assert_eq!(sub.call(&mut store, (a, c, b, d))?, halves(x.wrapping_sub(y)), "{x:#x} {y:#x}");
            }
        }
    }
    Ok(())
}

fn operands_and_results_are_in_any_place(mode: Mode) -> Result<()> {
    let wat = r#"(module
      (func (export "low_to_local") (param i64 i64) (result i64)
        (local $low i64) (local $next i64)
        (local.set $next (i64.const 99))
        (i64.mul_wide_u (local.get 0) (local.get 1))
        drop
        (local.set $low)
        (i64.add (local.get $low) (local.get $next)))
      (func (export "high_to_local") (param i64 i64) (result i64)
        (local $high i64)
        (i64.mul_wide_u (local.get 0) (local.get 1))
        (local.set $high)
        (i64.xor (local.get $high)))
      (func (export "constants") (param i64 i64) (result i64)
        (i64.add128 (i64.const -1) (local.get 0) (i64.const 1) (i64.const 0x1234_5678_9abc))
        (local.set 0)
        (i64.add (local.get 0)))
      (func (export "computed") (param i64 i64) (result i64)
        (i64.sub128 (i64.add (local.get 0) (i64.const 1)) (i64.mul (local.get 1) (i64.const 3))
          (i64.shl (local.get 1) (i64.const 2)) (i64.add (local.get 0) (local.get 1)))
        (i64.add)))"#;
    let mut store = Store::new(&mode.engine(), ());
    let module = Module::new(store.engine(), wat)?;
    let instance = Instance::new(&mut store, &module, &[])?;
    for a in NUMBERS {
        for b in NUMBERS {
            let (low, high) = halves(u128::from(a) * u128::from(b));
            let sum = whole(u64::MAX, a).wrapping_add(whole(1, 0x1234_5678_9abc));
            let first = whole(a.wrapping_add(1), b.wrapping_mul(3));
            let difference = halves(first.wrapping_sub(whole(b << 2, a.wrapping_add(b))));
            for (name, expected) in [
                ("low_to_local", low.wrapping_add(99)),
                ("high_to_local", low ^ high),
                ("constants", halves(sum).0.wrapping_add(halves(sum).1)),
                ("computed", difference.0.wrapping_add(difference.1)),
            ] {
                let func = instance.get_typed_func::<(u64, u64), u64>(&mut store, name)?;
                assert_eq!(func.call(&mut store, (a, b))?, expected, "{name} {a:#x} {b:#x}");
            }
        }
    }
    Ok(())
}

fn results_are_alive_in_whatever_tier_a_loop_goes_on(mode: Mode) -> Result<()> {
    // A generator of pseudo-random numbers with 128 bits of state, which is carried by the loop.
    let wat = r#"(module (func (export "run") (param $n i32) (result i64 i64) (local $low i64) (local $high i64)
      (i64.const 1) (i64.const 2)
      (loop $l (param i64 i64) (result i64 i64)
        (local.set $high) (local.set $low)
        (i64.mul_wide_u (local.get $low) (i64.const 0x5851_f42d_4c95_7f2d))
        (i64.const 7) (local.get $high)
        i64.add128
        (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#;
    let mut store = Store::new(&mode.engine(), ());
    let module = Module::new(store.engine(), wat)?;
    let instance = Instance::new(&mut store, &module, &[])?;
    let run = instance.get_typed_func::<u32, (u64, u64)>(&mut store, "run")?;
    let mut state = whole(1, 2);
    for _ in 0..1000 {
        let (low, high) = halves(state);
        state = (u128::from(low) * 0x5851_f42d_4c95_7f2d).wrapping_add(whole(7, high));
    }
    assert_eq!(run.call(&mut store, 1000)?, halves(state));
    Ok(())
}

/// Halves of the factors, which are locals 0 and 1, in locals 2 to 5, and the product of the lower ones in local 6.
const HALVES: &str = "
    local.get 0 i64.const 4294967295 i64.and local.set 2 local.get 0 i64.const 32 i64.shr_u local.set 3
    local.get 1 i64.const 4294967295 i64.and local.set 4 local.get 1 i64.const 32 i64.shr_u local.set 5
    local.get 2 local.get 4 i64.mul local.set 6";

/// The halves of the product, the lower one first, in two ways that the compiler knows, with other terms among those of the
/// sums.
const PRODUCTS: [&str; 2] = [
    "local.get 3 local.get 4 i64.mul local.get 6 i64.const 32 i64.shr_u i64.add local.set 7
     local.get 2 local.get 5 i64.mul local.get 7 i64.const 4294967295 i64.and i64.add local.set 8
     local.get 8 i64.const 32 i64.shl local.get 6 i64.const 4294967295 i64.and i64.or
     local.get 7 i64.const 32 i64.shr_u local.get 0 i64.const 3 i64.mul i64.add
     local.get 3 local.get 5 i64.mul i64.add local.get 8 i64.const 32 i64.shr_u i64.add",
    "local.get 3 local.get 4 i64.mul local.tee 8 local.get 2 local.get 5 i64.mul i64.add local.set 7
     local.get 6 local.get 7 i64.const 32 i64.shl i64.add local.tee 9
     local.get 7 i64.const 32 i64.shr_u local.get 7 local.get 8 i64.lt_u i64.extend_i32_u i64.const 32 i64.shl i64.or
     local.get 3 local.get 5 i64.mul i64.add local.get 0 i64.const 3 i64.mul local.get 9 local.get 6 i64.lt_u
     i64.extend_i32_u i64.add i64.add",
];

/// What a word of these is replaced with: what makes something else of the product, or not.
fn others(word: &str) -> &'static [&'static str] {
    match word {
        "32" => &["31", "33", "0", "96", "-32"],
        "4294967295" => &["4294967294", "8589934591", "2147483647", "-1"],
        "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" => {
            &["0", "1", "2", "3", "4", "5", "6", "7"]
        }
        "i64.lt_u" => &["i64.gt_u", "i64.le_u", "i64.ge_u", "i64.lt_s", "i64.ne"],
        "i64.add" => &["i64.sub", "i64.or", "i64.mul"],
        "i64.mul" => &["i64.add", "i64.and"],
        "i64.shr_u" => &["i64.shr_s", "i64.shl", "i64.rotr"],
        "i64.shl" => &["i64.shr_u", "i64.rotl"],
        "i64.or" => &["i64.add", "i64.xor", "i64.and"],
        "i64.and" => &["i64.or", "i64.xor"],
        _ => &[],
    }
}

/// Each of `words` replaced in turn with each of the others that could stand there, and all of them as they are.
fn variants(words: &[&str]) -> Vec<String> {
    let mut variants = vec![words.join(" ")];
    for at in 0..words.len() {
        for other in others(words[at]) {
            let mut words = words.to_vec();
            words[at] = other;
            variants.push(words.join(" "));
        }
    }
    variants
}

fn what_looks_like_a_product_is_computed_as_it_is_written(mode: Mode) -> Result<()> {
    let functions = PRODUCTS.map(|product| {
        let text = format!("{HALVES} {product}");
        let variants = variants(&text.split_whitespace().collect::<Vec<_>>());
        let function = |(number, body): (usize, &String)| {
            format!(
                r#"(func (export "{number}") (param i64 i64) (result i64 i64)
                  (local i64 i64 i64 i64 i64 i64 i64 i64) {body})"#
            )
        };
        let functions: Vec<String> = variants.iter().enumerate().map(function).collect();
        (variants.len(), format!("(module {})", functions.concat()))
    });
    for (count, wat) in functions {
        assert!(count > 100);
        let instance = |mode: Mode| -> Result<_> {
            let mut store = Store::new(&mode.engine(), ());
            let module = Module::new(store.engine(), &wat)?;
            let instance = Instance::new(&mut store, &module, &[])?;
            Ok((store, instance))
        };
        let (mut store, tested) = instance(mode)?;
        let (mut other_store, interpreted) = instance(Mode::Interp)?;
        for number in 0..count {
            let name = number.to_string();
            let tested = tested.get_typed_func::<(u64, u64), (u64, u64)>(&mut store, &name)?;
            let expected = interpreted.get_typed_func::<(u64, u64), (u64, u64)>(&mut other_store, &name)?;
            for a in NUMBERS {
                for b in NUMBERS.map(|b| b ^ 0x0123_4567_89ab_cdef) {
                    let result = tested.call(&mut store, (a, b))?;
                    assert_eq!(result, expected.call(&mut other_store, (a, b))?, "{number}: {a:#x} {b:#x}");
                    if number == 0 {
                        let (low, high) = halves(u128::from(a) * u128::from(b));
                        assert_eq!(result, (low, high.wrapping_add(a.wrapping_mul(3))), "{a:#x} {b:#x}");
                    }
                }
            }
        }
    }
    Ok(())
}
