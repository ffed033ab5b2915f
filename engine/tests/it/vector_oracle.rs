//! Every instruction on vectors, in every tier, for operands at the edges: the tiers share no semantics, so that each says
//! what the other has to do. The official suite says what all of them have to do.

use std::fmt::Write;

use wasmrun::{Config, Engine, Instance, Module, OptLevel, Result, Store, Strategy, V128, Val};

/// What an instruction takes beside vectors and gives.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Unary,
    Binary,
    Ternary,
    /// A vector and an amount.
    Shift,
    /// A vector to a number of this type.
    To(&'static str),
    /// A number of this type to a vector.
    From(&'static str),
    /// A vector and a number of this type.
    With(&'static str),
}

/// An instruction, with its immediates, and the bits of the float lanes that it gives, if it does.
struct Instruction {
    text: String,
    shape: Shape,
    floats: Option<u32>,
}

fn instructions() -> Vec<Instruction> {
    let mut all = Vec::new();
    let mut add = |shape: Shape, floats: Option<u32>, prefix: &str, names: &str| {
        all.extend(names.split_whitespace().map(|name| Instruction {
            text: format!("{prefix}.{}", name.replace('/', " ")),
            shape,
            floats,
        }));
    };
    use Shape::{Binary, From, Shift, Ternary, To, Unary, With};
    add(Unary, None, "v128", "not");
    add(Binary, None, "v128", "and andnot or xor");
    add(Ternary, None, "v128", "bitselect");
    add(To("i32"), None, "v128", "any_true");
    let compared = "eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u";
    for lanes in ["i8x16", "i16x8", "i32x4", "i64x2"] {
        add(Unary, None, lanes, "abs neg");
        add(Binary, None, lanes, "add sub");
        add(Shift, None, lanes, "shl shr_s shr_u");
        add(To("i32"), None, lanes, "all_true bitmask");
        add(Ternary, None, lanes, "relaxed_laneselect");
        if lanes != "i8x16" {
            add(Binary, None, lanes, "mul");
            let half = match lanes {
                "i16x8" => "i8x16",
                "i32x4" => "i16x8",
                _ => "i32x4",
            };
            for sign in ["s", "u"] {
                for part in ["low", "high"] {
                    add(Unary, None, lanes, &format!("extend_{part}_{half}_{sign}"));
                    add(Binary, None, lanes, &format!("extmul_{part}_{half}_{sign}"));
                }
                if lanes != "i64x2" {
                    add(Unary, None, lanes, &format!("extadd_pairwise_{half}_{sign}"));
                }
            }
        }
        match lanes {
            "i64x2" => add(Binary, None, lanes, "eq ne lt_s gt_s le_s ge_s"),
            _ => add(Binary, None, lanes, &format!("{compared} min_s min_u max_s max_u")),
        }
        if matches!(lanes, "i8x16" | "i16x8") {
            add(Binary, None, lanes, "add_sat_s add_sat_u sub_sat_s sub_sat_u avgr_u");
        }
    }
    add(Unary, None, "i8x16", "popcnt");
    add(Binary, None, "i8x16", "narrow_i16x8_s narrow_i16x8_u swizzle relaxed_swizzle");
    for lanes in [
        // Each of these is another instruction to the machine, and so is each with its operands exchanged.
        "0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15",
        "16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31",
        "0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0",
        "8 24 9 25 10 26 11 27 12 28 13 29 14 30 15 31",
        "0 16 1 17 2 18 3 19 4 20 5 21 6 22 7 23",
        "0 1 16 17 2 3 18 19 4 5 20 21 6 7 22 23",
        "8 9 10 11 24 25 26 27 12 13 14 15 28 29 30 31",
        "0 1 2 3 4 5 6 7 16 17 18 19 20 21 22 23",
        "12 13 14 15 8 9 10 11 4 5 6 7 0 1 2 3",
        "2 3 0 1 6 7 4 5 8 9 10 11 12 13 14 15",
        "16 17 18 19 20 21 22 23 30 31 24 25 28 29 26 27",
        "0 1 18 19 4 5 22 23 8 9 26 27 12 13 30 31",
        "3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18",
        "19 20 21 22 23 24 25 26 27 28 29 30 31 0 1 2",
        "0 1 2 3 12 13 14 15 16 17 18 19 24 25 26 27",
        "31 0 30 1 29 2 28 3 27 4 26 5 25 6 24 7",
        "15 13 11 9 7 5 3 1 14 12 10 8 6 4 2 0",
    ] {
        add(Binary, None, "i8x16", &format!("shuffle/{}", lanes.replace(' ', "/")));
    }
    add(Binary, None, "i16x8", "narrow_i32x4_s narrow_i32x4_u q15mulr_sat_s relaxed_q15mulr_s");
    add(Binary, None, "i16x8", "relaxed_dot_i8x16_i7x16_s");
    add(Ternary, None, "i32x4", "relaxed_dot_i8x16_i7x16_add_s");
    add(Binary, None, "i32x4", "dot_i16x8_s");
    add(
        Unary,
        None,
        "i32x4",
        "trunc_sat_f32x4_s trunc_sat_f32x4_u trunc_sat_f64x2_s_zero trunc_sat_f64x2_u_zero",
    );
    add(
        Unary,
        None,
        "i32x4",
        "relaxed_trunc_f32x4_s relaxed_trunc_f32x4_u relaxed_trunc_f64x2_s_zero relaxed_trunc_f64x2_u_zero",
    );
    for (lanes, bits) in [("f32x4", Some(32)), ("f64x2", Some(64))] {
        // What moves bits moves those of a NaN, too.
        add(Unary, None, lanes, "abs neg");
        add(Binary, None, lanes, "pmin pmax");
        add(Unary, bits, lanes, "ceil floor trunc nearest sqrt");
        add(Binary, bits, lanes, "add sub mul div min max relaxed_min relaxed_max");
        add(Ternary, bits, lanes, "relaxed_madd relaxed_nmadd");
        add(Binary, None, lanes, "eq ne lt gt le ge");
    }
    add(Unary, Some(32), "f32x4", "convert_i32x4_s convert_i32x4_u demote_f64x2_zero");
    add(Unary, Some(64), "f64x2", "convert_low_i32x4_s convert_low_i32x4_u promote_low_f32x4");
    for (lanes, ty, signs, last) in [
        ("i8x16", "i32", ["_s", "_u"].as_slice(), 15),
        ("i16x8", "i32", &["_s", "_u"], 7),
        ("i32x4", "i32", &[""], 3),
        ("i64x2", "i64", &[""], 1),
        ("f32x4", "f32", &[""], 3),
        ("f64x2", "f64", &[""], 1),
    ] {
        add(From(ty), None, lanes, "splat");
        for lane in 0..=last {
            for sign in signs {
                add(To(ty), None, lanes, &format!("extract_lane{sign}/{lane}"));
            }
            add(With(ty), None, lanes, &format!("replace_lane/{lane}"));
        }
    }
    all
}

/// Vectors with something at the edge in each kind of lanes.
fn operands() -> Vec<u128> {
    let lanes = |lanes: [u32; 4]| lanes.iter().rev().fold(0, |all, lane| all << 32 | u128::from(*lane));
    let doubles = |low: f64, high: f64| u128::from(high.to_bits()) << 64 | u128::from(low.to_bits());
    let mut all = vec![
        0,
        u128::MAX,
        0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100,
        0x8081_7f7e_0110_ff00_8000_7fff_0001_fffe,
        0x8000_0000_0000_0000_7fff_ffff_ffff_ffff,
        lanes([0x8000_0000, 0x7fff_ffff, 0xffff_ffff, 1]),
        // Zeroes of both signs, infinities, NaNs of both kinds, numbers that are no integers or too large for them.
        lanes([0x8000_0000, 0, 0x7f80_0000, 0xff80_0000]),
        lanes([0x7fc0_0000, 0xffc0_1234, 0x7fa0_0001, 0x3f80_0000]),
        lanes([2.5f32, -0.5, 3e9, -3e9].map(f32::to_bits)),
        lanes([2_147_483_648.0f32, -2_147_483_648.0, 4_294_967_296.0, -1.0].map(f32::to_bits)),
        lanes([1e-40f32, -f32::MIN_POSITIVE, f32::MAX, 8_388_608.5].map(f32::to_bits)),
        doubles(-0.0, f64::INFINITY),
        doubles(f64::NAN, -3.5),
        doubles(2_147_483_647.5, -2_147_483_649.0),
        doubles(4_294_967_295.5, 1e300),
        doubles(5e-324, 1.0 + f64::EPSILON),
    ];
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        u128::from(state ^ state >> 29)
    };
    all.extend((0..8).map(|_| next() << 64 | next()));
    all
}

/// All instructions as functions, each taking its operands as parameters, and some of them as constants or splats.
fn module(instructions: &[Instruction]) -> String {
    let mut text = String::from("(module ");
    let mut function = |name: String, params: &str, result: &str, body: String| {
        let _ = writeln!(text, "(func (export \"{name}\") (param {params}) (result {result}) {body})");
    };
    for Instruction { text, shape, .. } in instructions {
        let of = |operands: &[&str]| format!("({text} {})", operands.join(" "));
        let get = ["(local.get 0)", "(local.get 1)", "(local.get 2)"];
        match *shape {
            Shape::Unary => {
                function(text.clone(), "v128", "v128", of(&get[..1]));
                let splat = "(i32x4.splat (i32x4.extract_lane 1 (local.get 0)))";
                function(format!("{text} of a splat"), "v128", "v128", of(&[splat]));
            }
            Shape::Binary => {
                function(text.clone(), "v128 v128", "v128", of(&get[..2]));
                let splat = "(i64x2.splat (i64x2.extract_lane 0 (local.get 1)))";
                function(format!("{text} with a splat"), "v128 v128", "v128", of(&[get[0], splat]));
                let splats = ["(f32x4.splat (f32x4.extract_lane 2 (local.get 0)))", splat];
                function(format!("{text} of splats"), "v128 v128", "v128", of(&splats));
                let zero = "(v128.const i64x2 0 0)";
                function(format!("{text} with zero"), "v128 v128", "v128", of(&[get[0], zero]));
                function(format!("{text} with itself"), "v128 v128", "v128", of(&[get[0], get[0]]));
            }
            Shape::Ternary => {
                function(text.clone(), "v128 v128 v128", "v128", of(&get));
                let mask = "(i16x8.gt_s (local.get 0) (local.get 2))";
                function(
                    format!("{text} by a comparison"),
                    "v128 v128 v128",
                    "v128",
                    of(&[get[0], get[1], mask]),
                );
            }
            Shape::Shift => {
                function(text.clone(), "v128 i32", "v128", of(&get[..2]));
                for amount in [0, 1, 7, 31, 32, 63, -1] {
                    let amount = format!("(i32.const {amount})");
                    function(format!("{text} by {amount}"), "v128 i32", "v128", of(&[get[0], &amount]));
                }
            }
            Shape::To(ty) => function(text.clone(), "v128", ty, of(&get[..1])),
            Shape::From(ty) => function(text.clone(), ty, "v128", of(&get[..1])),
            Shape::With(ty) => function(text.clone(), &format!("v128 {ty}"), "v128", of(&get[..2])),
        }
    }
    text + ")"
}

/// The bits of a number in a vector.
fn number(ty: &str, bits: u128) -> Val {
    match ty {
        "i32" => Val::I32(bits as i32),
        "i64" => Val::I64(bits as i64),
        "f32" => Val::F32(bits as u32),
        _ => Val::F64(bits as u64),
    }
}

/// Replaces each NaN: which one an instruction gives is not said.
fn without_nan_bits(bits: u128, floats: Option<u32>) -> u128 {
    let lane_bits = floats.unwrap_or(128);
    let one = |lane: u128| match floats {
        Some(32) if f32::from_bits(lane as u32).is_nan() => 0x7fc0_0000,
        Some(64) if f64::from_bits(lane as u64).is_nan() => 0x7ff8_0000_0000_0000,
        _ => lane,
    };
    let mask = u128::MAX >> (128 - lane_bits);
    (0..128 / lane_bits)
        .fold(0, |all, lane| all | one(bits >> (lane * lane_bits) & mask) << (lane * lane_bits))
}

/// What all functions give for all operands; each with what it is of.
fn outcomes(config: &Config, instructions: &[Instruction]) -> Result<Vec<(String, u128)>> {
    let engine = Engine::new(config)?;
    let mut store = Store::new(&engine, ());
    let module = Module::new(&engine, module(instructions))?;
    let instance = Instance::new(&mut store, &module, &[])?;
    assert!(module.uncompiled().is_empty(), "{:?}", module.uncompiled());
    let operands = operands();
    let mut all = Vec::new();
    for export in module.exports() {
        let name = export.name();
        let instruction = instructions
            .iter()
            .filter(|instruction| {
                let rest = name.strip_prefix(&*instruction.text);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ']))
            })
            .max_by_key(|instruction| instruction.text.len())
            .expect("each is named after its instruction");
        let function = instance.get_func(&mut store, name).unwrap();
        let mut call = |arguments: &[Val]| -> Result<()> {
            let mut result = [Val::I32(0)];
            function.call(&mut store, arguments, &mut result)?;
            let bits = match &result[0] {
                Val::I32(value) => u128::from(*value as u32),
                Val::I64(value) => u128::from(*value as u64),
                Val::F32(bits) => u128::from(*bits),
                Val::F64(bits) => u128::from(*bits),
                Val::V128(bits) => bits.as_u128(),
                other => panic!("{other:?}"),
            };
            let bits = without_nan_bits(bits, instruction.floats);
            all.push((format!("{name} {arguments:x?}"), bits));
            Ok(())
        };
        let vector = |bits: u128| Val::V128(V128::from(bits));
        for (n, &a) in operands.iter().enumerate() {
            match instruction.shape {
                Shape::Unary | Shape::To(_) => call(&[vector(a)])?,
                Shape::Shift => {
                    [0, 1, 8, 15, 33, -1].into_iter().try_for_each(|by| call(&[vector(a), by.into()]))?
                }
                Shape::From(ty) => {
                    call(&[number(ty, a)])?;
                    call(&[number(ty, a >> 64)])?;
                }
                Shape::With(ty) => call(&[vector(a), number(ty, operands[(n + 3) % operands.len()])])?,
                Shape::Binary => operands.iter().try_for_each(|&b| call(&[vector(a), vector(b)]))?,
                Shape::Ternary => {
                    let c = |m: usize| operands[(n * 5 + m * 7 + 1) % operands.len()];
                    let mut pairs = operands.iter().enumerate();
                    pairs.try_for_each(|(m, &b)| call(&[vector(a), vector(b), vector(c(m))]))?;
                }
            }
        }
    }
    Ok(all)
}

#[test]
fn all_tiers_give_the_same_for_operands_at_the_edges() -> Result<()> {
    let instructions = instructions();
    // 236, less loads, stores and constants, and 20 relaxed ones; some of them with several immediates.
    assert!(instructions.len() > 236 - 23 + 20, "{}", instructions.len());
    for deterministic in [true, false] {
        let mut config = Config::new();
        config.relaxed_simd_deterministic(deterministic).strategy(Strategy::Interpreter);
        let expected = outcomes(&config, &instructions)?;
        for level in [OptLevel::Speed, OptLevel::None] {
            config.strategy(Strategy::Jit).cranelift_opt_level(level);
            let got = outcomes(&config, &instructions)?;
            assert_eq!(got.len(), expected.len());
            let wrong: Vec<String> = expected
                .iter()
                .zip(&got)
                .filter(|(expected, got)| expected != got)
                .map(|((of, expected), (_, got))| {
                    format!("{of}: {expected:#034x}, and {got:#034x} with {level:?}")
                })
                .take(20)
                .collect();
            assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        }
    }
    Ok(())
}
