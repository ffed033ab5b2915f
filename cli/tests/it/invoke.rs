//! `--invoke`: values in, results out.

use crate::common::Bench;

const NUMBERS: &str = r#"(module
    (func (export "i32") (param i32) (result i32) (local.get 0))
    (func (export "i64") (param i64) (result i64) (local.get 0))
    (func (export "f32") (param f32) (result f32) (local.get 0))
    (func (export "f64") (param f64) (result f64) (local.get 0))
    (func (export "bits32") (param f32) (result i32) (i32.reinterpret_f32 (local.get 0)))
    (func (export "bits64") (param f64) (result i64) (i64.reinterpret_f64 (local.get 0)))
    (func (export "swap") (param i32 i64) (result i64 i32) (local.get 1) (local.get 0))
    (func (export "v128") (param v128) (result v128) (local.get 0))
    (func (export "extern") (param externref) (result externref) (local.get 0))
    (func $f (export "func") (result funcref) (ref.func $f))
    (func (export "none"))
    (memory (export "memory") 1))"#;

fn bench() -> Bench {
    Bench::with("n.wat", NUMBERS)
}

#[track_caller]
fn check(func: &str, arg: &str, result: &str) {
    bench().run(&["--invoke", func, "n.wat", arg]).assert_clean(0, format!("{result}\n"));
}

#[test]
fn integers_are_those_of_the_text_format_in_either_range() {
    check("i32", "42", "42");
    check("i32", "-1", "-1");
    check("i32", "+7", "7");
    check("i32", "4294967295", "-1");
    check("i32", "-2147483648", "-2147483648");
    check("i32", "0xFFFF_FFFF", "-1");
    check("i32", "-0x10", "-16");
    check("i32", "1_000", "1000");
    check("i64", "-0x8000_0000_0000_0000", "-9223372036854775808");
    check("i64", "18446744073709551615", "-1");
    check("i64", "-9223372036854775808", "-9223372036854775808");
    check("i64", "0x7fffffffffffffff", "9223372036854775807");
}

#[test]
fn floats_are_decimal_hexadecimal_or_named() {
    check("f32", "1.5", "1.5");
    check("f32", "0.1", "0.1");
    check("f64", "-2e10", "-20000000000");
    check("f64", "-0.0", "-0");
    check("f64", "0x1.8p3", "12");
    check("f32", "-0x1.fffffep+127", "-340282350000000000000000000000000000000");
    check("f64", "0x1_0.8", "16.5");
    check("bits32", "nan:0x7", &0x7f80_0007_i32.to_string());
    check("bits32", "-0x1p-149", &0x8000_0001_u32.cast_signed().to_string());
    check("f32", "inf", "inf");
    check("f64", "-inf", "-inf");
    check("f32", "nan", "nan");
    check("f64", "-nan", "-nan");
    check("f32", "nan:0x200000", "nan:0x200000");
    check("bits32", "nan:0x200000", &0x7fa0_0000_i32.to_string());
    check("bits32", "nan", &0x7fc0_0000_i32.to_string());
    check("bits64", "-nan:0x1", &(0xfff0_0000_0000_0001_u64 as i64).to_string());
    check("bits64", "-0", &i64::MIN.to_string());
}

#[test]
fn vectors_are_one_number_or_lanes_of_a_shape() {
    check("v128", "0", "0x00000000000000000000000000000000");
    check("v128", "0x0123_4567_89ab_cdef_0011_2233_4455_6677", "0x0123456789abcdef0011223344556677");
    check("v128", "340282366920938463463374607431768211455", "0xffffffffffffffffffffffffffffffff");
    check("v128", "i32x4:1,2,-3,0xff", "0x000000fffffffffd0000000200000001");
    check("v128", "i64x2:1,-1", "0xffffffffffffffff0000000000000001");
    check("v128", "i16x8:0,1,2,3,4,5,-6,65535", "0xfffffffa000500040003000200010000");
    check("v128", "i8x16:0,1,2,3,4,5,6,7,8,9,10,11,12,-128,255,-1", "0xffff800c0b0a09080706050403020100");
    check("v128", "f32x4:1,-inf,nan:0x200000,0x1p-149", "0x000000017fa00000ff8000003f800000");
    check("v128", "f64x2:0.5,-0", "0x80000000000000003fe0000000000000");
}

#[test]
fn references_can_be_null() {
    check("extern", "null", "null");
    check("extern", "ref.null", "null");
    bench().run(&["--invoke", "func", "n.wat"]).assert_clean(0, "funcref\n");
}

#[test]
fn a_reference_that_cannot_be_null_is_refused_before_anything_runs() {
    let module = r#"(module
        (func $trap unreachable) (start $trap)
        (func (export "extern") (param i32 (ref extern))) (func (export "func") (param i32 (ref func))))"#;
    let bench = Bench::with("m.wat", module);
    for (name, ty) in [("extern", "(ref extern)"), ("func", "(ref func)")] {
        for value in ["null", "ref.null", "1"] {
            bench.run(&["--invoke", name, "m.wat", "7", value]).assert_error(
                2,
                &format!(
                    "error: argument 2 of `{name}`: no value of type {ty} can be given on the command line\n"
                ),
            );
        }
    }
}

#[test]
fn each_result_has_a_line_of_its_own() {
    bench().run(&["--invoke", "swap", "n.wat", "1", "2"]).assert_clean(0, "2\n1\n");
    bench().run(&["--invoke", "none", "n.wat"]).assert_clean(0, "");
}

#[test]
fn a_value_that_does_not_fit_is_a_usage_error() {
    let refused = |func: &str, arg: &str| bench().run(&["--invoke", func, "n.wat", arg]);
    refused("i32", "4294967296").assert_error(
        2,
        "error: argument 1 of `i32`: `4294967296` is no value of type i32; write an integer from -2147483648 to \
         4294967295, or 0x and hexadecimal digits\n",
    );
    refused("f32", "one").assert_error(
        2,
        "error: argument 1 of `f32`: `one` is no value of type f32; write a number of its range such as 1.5, \
         -2e10 or 0x1.8p3, or `inf`, `nan` or `nan:0x…`\n",
    );
    for (func, arg) in [
        ("i32", ""),
        ("i32", "1.0"),
        ("i32", "0x"),
        ("i32", "--1"),
        ("i32", "-2147483649"),
        ("i64", "18446744073709551616"),
        ("f32", "nan:0x0"),
        ("f32", "nan:0x800000"),
        ("f64", "0x"),
        ("f64", "1e400"),
        ("f32", "0x1p128"),
        ("f32", "0x1p"),
        ("i32", "1__0"),
        ("i32", "0x_1"),
        ("i32", "+-1"),
        ("extern", "1"),
        ("v128", "-1"),
        ("v128", "340282366920938463463374607431768211456"),
        ("v128", "i32x4:1,2,3"),
        ("v128", "i32x4:1,2,3,4,5"),
        ("v128", "i32x4:1,2,3,4294967296"),
        ("v128", "i8x16:256,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15"),
        ("v128", "i128x1:0"),
        ("v128", "i32x4:"),
        ("v128", ":1"),
    ] {
        assert_eq!(refused(func, arg).code, Some(2), "{func} {arg}");
    }
}

#[test]
fn the_number_of_arguments_is_checked_before_anything_runs() {
    let bench = Bench::with(
        "n.wat",
        r#"(module (func $trap unreachable) (start $trap) (func (export "add") (param i32 i32) (result i32) (i32.const 0)))"#,
    );
    bench
        .run(&["--invoke", "add", "n.wat", "1"])
        .assert_error(2, "error: `add` is (i32, i32) -> (i32) and takes 2 arguments, but 1 is given\n");
    bench
        .run(&["--invoke", "add", "n.wat", "1", "2", "3"])
        .assert_error(2, "error: `add` is (i32, i32) -> (i32) and takes 2 arguments, but 3 are given\n");
}

#[test]
fn a_function_that_is_not_there_is_answered_with_those_that_are() {
    let bench = Bench::with(
        "n.wat",
        r#"(module (func (export "add") (param i32 i32) (result i32) (i32.const 0)) (memory (export "mem") 1))"#,
    );
    bench.run(&["--invoke", "sub", "n.wat"]).assert_error(
        1,
        "error: `n.wat` exports no function `sub`\n\
         help: `--invoke FUNC` can call `add` (i32, i32) -> (i32)\n",
    );
    let ran = bench.run(&["--invoke", "mem", "n.wat"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.starts_with("error: `mem` of `n.wat` is no function but a memory"), "{}", ran.stderr);
}

#[test]
fn initialize_runs_before_the_function() {
    Bench::with(
        "r.wat",
        r#"(module (global $ready (mut i32) (i32.const 0))
            (func (export "_initialize") (global.set $ready (i32.const 1)))
            (func (export "ready") (result i32) (global.get $ready)))"#,
    )
    .run(&["--invoke", "ready", "r.wat"])
    .assert_clean(0, "1\n");
}

#[test]
fn a_library_says_what_could_be_called() {
    let library = r#"(module (func (export "_initialize")) (func (export "twice") (param i32) (result i32) (local.get 0)))"#;
    let bench = Bench::with("lib.wat", library);
    let ran = bench.run(&["lib.wat"]);
    ran.assert_error(
        0,
        "note: `lib.wat` has no `_start` to call\n\
         help: `--invoke FUNC` can call `twice` (i32) -> (i32)\n",
    );
    bench.run(&["lib.wat", "--invoke", "twice", "1"]).assert_error(
        0,
        "note: `lib.wat` has no `_start` to call\n\
         help: options come before FILE; everything behind it goes to the guest\n\
         help: `--invoke FUNC` can call `twice` (i32) -> (i32)\n",
    );
}

#[test]
fn relaxed_instructions_do_the_same_on_every_machine_if_they_are_to() {
    let bench = Bench::with(
        "r.wat",
        r#"(module (func (export "trunc") (param f32) (result i32)
            (i32x4.extract_lane 0 (i32x4.relaxed_trunc_f32x4_s (f32x4.splat (local.get 0))))))"#,
    );
    for mode in ["interp", "jit"] {
        let run = |options: &[&str]| {
            bench.run(&[options, &["--mode", mode, "--invoke", "trunc", "r.wat", "nan"]].concat())
        };
        run(&["-W", "relaxed-simd-deterministic"]).assert_clean(0, "0\n");
        if is_x86_feature_detected!("sse4.1") {
            run(&[]).assert_clean(0, "-2147483648\n");
        }
    }
}
