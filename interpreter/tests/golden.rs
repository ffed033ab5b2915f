//! Bytecode of small functions, word for word. What each is an example of is asserted as well, so that writing
//! the files anew (`WASMRUN_BLESS=1`) cannot hide its loss.

// Miri lets nothing read files.
#![cfg(not(miri))]

use std::path::Path;
use std::{env, fs};

use wasmrun_interpreter::{NoBytecode, disassemble};
use wasmrun_runtime::features::Features;
use wasmrun_runtime::module::Module;

fn parse(wat: &str) -> Module {
    let bytes = wat::parse_str(wat).unwrap();
    wasmrun_runtime::parse(bytes, Features::default(), &Default::default()).unwrap()
}

/// Compares the bytecode of all functions of `golden/<name>.wat` with `golden/<name>.txt`, and returns it, one
/// text for each function.
fn golden(name: &str) -> Vec<String> {
    golden_with(name, |_| ())
}

fn golden_with(name: &str, set_up: impl Fn(&mut Module)) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let wat = fs::read_to_string(folder.join(format!("{name}.wat"))).unwrap();
    let mut module = parse(&wat);
    set_up(&mut module);
    let defined = module.imported_function_count()..module.function_count();
    let texts: Vec<String> = defined
        .map(|function| {
            let title = module.function_name(function).map_or(String::new(), |name| format!(" ${name}"));
            format!("function {function}{title}\n{}", disassemble(&module, function).unwrap())
        })
        .collect();
    let (got, path) = (texts.join("\n"), folder.join(format!("{name}.txt")));
    if env::var_os("WASMRUN_BLESS").is_some() {
        fs::write(&path, &got).unwrap();
    } else {
        let expected =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(got, expected, "{name} has changed; run with WASMRUN_BLESS=1 if it should");
    }
    texts
}

/// The instructions of a function, without offsets.
fn instructions(text: &str) -> Vec<&str> {
    // A title, the frame, and then lines that start with two offsets.
    let lines = text.lines().skip(2).filter(|line| !line.starts_with("loop"));
    lines.map(|line| line.trim_start().splitn(3, ' ').nth(2).unwrap()).collect()
}

#[test]
fn locals_and_constants_become_operands_of_their_user() {
    let [add, far, swap] = &golden("folding")[..] else { panic!() };
    assert_eq!(instructions(add)[0], "i32.add s4 <- s0, 7");
    // What an immediate cannot hold is put into a slot first.
    assert_eq!(instructions(far)[0], "const64 s5 <- 0x100000000");
    assert_eq!(instructions(far)[1], "i64.xor s4 <- s0, s5");
    // `local.set` changes the destination of the instruction before.
    assert_eq!(instructions(swap)[0], "i32.mul s0 <- s0, s1");
}

#[test]
fn comparisons_become_part_of_the_branch() {
    let [ints, eqz, floats] = &golden("branches")[..] else { panic!() };
    assert!(ints.contains("br_back_if.i32.lt_u"), "{ints}");
    assert!(!ints.contains(" i32.lt_u"), "{ints}");
    assert!(eqz.contains("br_if.i32.eq s0, 0"), "{eqz}");
    assert!(floats.contains("br_unless.f64.lt"), "{floats}");
}

#[test]
fn a_result_with_one_reader_stays_in_the_accumulator() {
    let [chain, memory, both] = &golden("accumulators")[..] else { panic!() };
    assert_eq!(instructions(chain)[..2], ["i32.add acc <- s0, s1", "i32.mul s4 <- acc, 3"]);
    assert!(memory.contains("load32.element"), "{memory}");
    // Two readers: the slot is written, and one of them may still read the accumulator.
    assert_eq!(instructions(both)[..2], ["i32.add s0 <- s0, 1", "i32.mul s3 <- acc, s0"]);
}

#[test]
fn the_frame_of_a_callee_starts_at_its_arguments() {
    let [_, caller, indirect] = &golden("calls")[..] else { panic!() };
    assert!(caller.contains("function 1, frame at s4"), "{caller}");
    // No copy between the two calls: the result of the first is where the second wants its argument.
    assert_eq!(instructions(caller).iter().filter(|i| i.starts_with("copy")).count(), 1, "{caller}");
    assert!(indirect.contains("call_indirect") && indirect.contains("restore"), "{indirect}");
}

#[test]
fn everything_is_in_its_slot_where_a_loop_starts() {
    let [settled, nested] = &golden("loops")[..] else { panic!() };
    let (before, within) = settled.split_once("loop at").unwrap();
    assert!(before.contains("copy s4 <- s0") && before.contains("const32 s3 <- 0x28"), "{settled}");
    assert!(!within.contains("const32"), "{settled}");
    // Behind the `if` the constant is one again.
    assert!(within.contains("i32.add s3 <- 40, s4"), "{settled}");
    let headers = nested.lines().filter(|line| line.starts_with("loop")).count();
    assert_eq!(headers, 3, "{nested}");
}

#[test]
fn a_segment_is_paid_for_at_its_start() {
    let [text] = &golden_with("fuel", |module| module.charge_fuel(true))[..] else { panic!() };
    let charges: Vec<&str> = instructions(text).into_iter().filter(|i| i.starts_with("charge")).collect();
    assert_eq!(charges, ["charge 0", "charge 5", "charge 1"]);
}

#[test]
fn every_kind_of_operand_can_be_read() {
    let text = golden("operands").concat();
    for part in ["targets and default: @", "r0", "memory 0", "table 1", "data 0", "element 1", "1.5"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn constants_are_immediates_wherever_they_fit() {
    let [stores, others] = &golden("immediates")[..] else { panic!() };
    assert!(!stores.contains("const"), "{stores}");
    // All but two 64-bit constants fit.
    assert_eq!(instructions(others).iter().filter(|i| i.starts_with("const")).count(), 2, "{others}");
}

#[test]
fn vectors_are_in_pairs_of_slots_and_scalars_beside_them_in_accumulators() {
    let [sum, scalars, others] = &golden("vectors")[..] else { panic!() };
    // The sum of the address is part of the load, and `local.set` changes the destination.
    assert_eq!(
        instructions(sum)[..2],
        ["v128.load.sum v8 <- s0, s1, last byte +47", "f32x4.add v4 <- v4, v8"]
    );
    assert!(instructions(sum).iter().any(|line| line.starts_with("return") && line.ends_with("v4")), "{sum}");
    assert!(scalars.contains("i32x4.replace_lane v6 <- v0, lane 3, acc"), "{scalars}");
    assert!(scalars.contains("i32x4.extract_lane acc <- v0, lane 2"), "{scalars}");
    for part in ["v128.load8_lane.from", "v128.store64_lane.to", "i32x4.shuffle", "i8x16.shuffle", ".far"] {
        assert!(others.contains(part), "{part} in {others}");
    }
}

#[test]
fn handlers_start_behind_a_call_and_need_code_only_where_values_are_moved() {
    let [throw, direct, pads, legacy] = &golden("exceptions")[..] else { panic!() };
    assert!(throw.contains("throw tag 0, s"), "{throw}");
    // Both clauses lead to where code goes on behind the blocks, and what is caught is there already.
    assert!(direct.contains("catches tag 0 with exception @") && !direct.contains(" br "), "{direct}");
    let behind = pads.split_once("catches nothing").unwrap().1;
    let names: Vec<&str> = behind.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    assert_eq!(names[..4], ["br", "copy", "br", "br_back"], "{pads}");
    // Two of them have the exception below what it carries.
    assert!(legacy.contains("catches tag 0 with exception @") && legacy.contains("throw_ref r0"), "{legacy}");
}

#[test]
fn functions_without_a_body_have_no_bytecode() {
    let module = parse(r#"(module (import "" "" (func)) (func))"#);
    assert_eq!(disassemble(&module, 0).unwrap_err(), NoBytecode::NotDefined);
    assert!(disassemble(&module, 1).is_ok());
    assert_eq!(disassemble(&module, 2).unwrap_err(), NoBytecode::NotDefined);
}

#[test]
fn accesses_by_64_bits_have_the_forms_of_those_by_32() {
    let text = golden("wide-accesses").join("\n");
    for form in ["store8.wide", "load32.wide.element", "load32.wide.sum", "far_address"] {
        assert_eq!(text.matches(form).count(), 1, "{form}\n{text}");
    }
}
