//! Intermediate code of small functions, word for word. What matters in each is asserted as well, so that
//! writing the files anew (`WASMRUN_BLESS=1`) cannot hide its loss.

mod modules;

use std::path::Path;
use std::{env, fs};

use cranelift_codegen::{Context, isa, settings};
use cranelift_frontend::FunctionBuilderContext;
use wasmparser::Operator;
use wasmrun_jit::compile::{Isa, Job, MemoryPlan, Mode, Profile, Start};
use wasmrun_jit::lower::{self, LowerError};
use wasmrun_runtime::Relaxed;

/// How far a function is followed.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Lowered,
    Optimised,
}

/// Lowers function 0 of a module, compares the text with `golden/<name>.clif`, and returns it.
fn golden(name: &str, text: &str, plan: MemoryPlan, fuel: bool, stage: Stage) -> String {
    golden_of(name, text, &Job { memory: plan, ..Job::new(0) }, fuel, stage)
}

fn golden_of(name: &str, text: &str, job: &Job<'_>, fuel: bool, stage: Stage) -> String {
    let isa = Isa::native().unwrap();
    let isa = &**isa.target(Mode::Speed);
    let mut module = modules::parse(text);
    module.charge_fuel(fuel);
    let (function, _) = lower::function(isa, &module, job, &mut FunctionBuilderContext::new()).unwrap();
    let mut context = Context::for_function(function);
    if stage == Stage::Optimised {
        context.optimize(isa, &mut Default::default()).unwrap();
    }
    let source: String = text.lines().map(|line| format!(";; {}\n", line.trim())).collect();
    let got = format!("{source}\n{}", context.func.display());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.clif"));
    if env::var_os("WASMRUN_BLESS").is_some() {
        fs::write(&path, &got).unwrap();
    } else {
        let expected =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(got, expected, "{name} has changed; run with WASMRUN_BLESS=1 if it should");
    }
    context.func.display().to_string()
}

/// How function 0 is lowered where calls shall stay calls.
fn without_inlining() -> Job<'static> {
    Job { inlining: false, ..Job::new(0) }
}

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

#[test]
fn an_empty_loop_reads_the_limit_each_time_around() {
    let text =
        golden("empty-loop", "(module (func (loop (br 0))))", MemoryPlan::Guarded, false, Stage::Optimised);
    // At the entry and in the loop. Had the optimiser merged the loads, nothing could stop the loop.
    let reads = |block: &&str| block.contains("load.i64 notrap aligned region1") && block.contains(" icmp ");
    let polls: Vec<&str> = text.split("\n\n").filter(reads).collect();
    let [entry, .., turn] = polls[..] else { panic!("{text}") };
    assert!(entry.contains(" ult ") && turn.contains(" icmp eq "), "{text}");
}

/// Adds to local 0, in steps of four.
const COUNTING: &str = "(local.tee 0 (i32.add (local.get 0) (i32.const 4)))";

#[test]
fn a_loop_that_counts_polls_when_some_bits_of_the_count_are_zero() {
    let source = format!("(module (func (param i32) (loop (br_if 0 (i32.lt_u {COUNTING} (i32.const 99))))))");
    let text = golden("loop-counting", &source, MemoryPlan::Guarded, false, Stage::Lowered);
    // In steps of four: the lowest two bits stay as they are.
    assert_eq!(count(&text, "iconst.i32 8188"), 1, "{text}");
    // The poll itself is in the cold block that this leads to.
    let header = text.split("\n\n").find(|block| block.contains("iconst.i32 8188")).unwrap();
    assert!(!header.contains("load"), "{text}");
}

#[test]
fn a_loop_that_does_not_count_counts_its_turns() {
    let source =
        "(module (func (param i32) (loop (br_if 0 (local.tee 0 (i32.mul (local.get 0) (i32.const 3)))))))";
    let text = golden("loop-turns", source, MemoryPlan::Guarded, false, Stage::Lowered);
    assert_eq!(count(&text, "iconst.i32 2047"), 1, "{text}");
}

#[test]
fn a_loop_around_a_loop_polls_more_often() {
    let source =
        format!("(module (func (param i32) (loop (loop (br_if 0 {COUNTING})) (br_if 0 {COUNTING}))))");
    let text = golden("loop-outer", &source, MemoryPlan::Guarded, false, Stage::Lowered);
    assert_eq!(count(&text, "iconst.i32 8188"), 1, "{text}");
    assert_eq!(count(&text, "iconst.i32 63"), 1, "{text}");
}

#[test]
fn a_loop_to_whose_start_nothing_goes_back_has_no_poll() {
    let source = "(module (func (loop (br 1))))";
    let text = golden("loop-straight", source, MemoryPlan::Guarded, false, Stage::Optimised);
    assert_eq!(count(&text, "call_indirect sig0"), 1, "{text}");
}

#[test]
fn a_function_that_calls_nothing_has_no_poll() {
    let source = "(module (func (param i32) (result i32) (i32.add (local.get 0) (i32.const 1))))";
    let text = golden("leaf", source, MemoryPlan::Guarded, false, Stage::Optimised);
    assert!(!text.contains("load"), "{text}");
}

#[test]
fn a_table_that_cannot_grow_has_a_constant_length() {
    let source = "(module (type $f (func)) (table 7 7 funcref)
      (func (param i32) (call_indirect (type $f) (local.get 0))))";
    let text = golden("call-indirect-fixed", source, MemoryPlan::Guarded, false, Stage::Lowered);
    assert!(text.contains("iconst.i64 7"), "{text}");
    // Outside of it is null, where the load of the element traps: nothing branches on the comparison.
    assert_eq!((count(&text, "load.i64 user3"), count(&text, "brif v14")), (1, 0), "{text}");
    assert!(text.contains("v14 = icmp uge"), "{text}");
}

#[test]
fn a_guarded_load_has_no_check() {
    let source = "(module (memory 1) (func (param i32) (result i32) (i32.load offset=8 (local.get 0))))";
    let text = golden("guarded-load", source, MemoryPlan::Guarded, false, Stage::Lowered);
    assert!(!text.contains("select_spectre_guard") && !text.contains("trapnz"), "{text}");
}

#[test]
fn a_guarded_load_beyond_the_guard_is_checked() {
    let source =
        "(module (memory 1) (func (param i32) (result i32) (i32.load offset=0x1fffffd (local.get 0))))";
    let text = golden("guarded-load-far", source, MemoryPlan::Guarded, false, Stage::Lowered);
    assert_eq!(count(&text, "select_spectre_guard"), 1);
    // The last offset that the guard covers.
    let near = source.replace("0x1fffffd", "0x1fffffc");
    let text = golden("guarded-load-last", &near, MemoryPlan::Guarded, false, Stage::Lowered);
    assert_eq!(count(&text, "select_spectre_guard"), 0);
}

#[test]
fn a_checked_store_goes_to_null_when_it_is_outside() {
    let source =
        "(module (memory 1) (func (param i32 i64) (i64.store16 offset=8 (local.get 0) (local.get 1))))";
    let text = golden("checked-store", source, MemoryPlan::Checked, false, Stage::Lowered);
    assert_eq!(count(&text, "select_spectre_guard"), 1);
}

#[test]
fn a_guarded_load_by_64_bits_compares_with_a_constant_and_loads_no_length() {
    let source = "(module (memory i64 1) (func (param i64) (result i32) (i32.load offset=8 (local.get 0))))";
    let text = golden("guarded-load-wide", source, MemoryPlan::Guarded, false, Stage::Lowered);
    assert!(text.contains("iconst.i64 0x0010_0000_0000"), "{text}");
    assert_eq!((count(&text, "select_spectre_guard"), count(&text, " ugt ")), (1, 1), "{text}");
    // Descriptors, where lengths are, are in region 3.
    assert_eq!(count(&text, "notrap aligned region3"), 0, "{text}");
    // What is reserved follows from the maximum.
    let source = source.replace("i64 1", "i64 1 0x2_0000");
    let text = golden("guarded-load-wide-maximum", &source, MemoryPlan::Guarded, false, Stage::Lowered);
    assert!(text.contains("iconst.i64 0x0002_0000_0000"), "{text}");
}

#[test]
fn an_access_by_64_bits_that_the_guard_does_not_cover_is_checked_for_its_sum_and_for_overflow() {
    for (name, memory, offset, plan) in [
        ("guarded-load-wide-far", "1", "0x1fffffd", MemoryPlan::Guarded),
        ("guarded-load-wide-huge", "1 0x1_0000_0000_0000", "8", MemoryPlan::Guarded),
        ("checked-load-wide", "1", "8", MemoryPlan::Checked),
        ("checked-load-wide-far", "1", "0xffff_ffff_ffff_fff0", MemoryPlan::Checked),
    ] {
        let source = format!(
            "(module (memory i64 {memory})
               (func (param i64) (result i32) (i32.load offset={offset} (local.get 0))))"
        );
        let text = golden(name, &source, plan, false, Stage::Lowered);
        assert_eq!(count(&text, "select_spectre_guard"), 1, "{text}");
        assert_eq!((count(&text, "icmp ugt"), count(&text, "icmp ult")), (1, 1), "{text}");
    }
}

#[test]
fn an_access_whose_offset_leaves_no_room_for_it_goes_to_null() {
    let source = "(module (memory i64 1)
      (func (param i64) (result i32) (i32.load offset=0xffff_ffff_ffff_fffd (local.get 0))))";
    let text = golden("load-wide-nowhere", source, MemoryPlan::Guarded, false, Stage::Lowered);
    assert!(!text.contains("iadd"), "{text}");
}

#[test]
fn arithmetic_of_128_bits_is_that_of_the_compiler() {
    let source = "(module (func (param i64 i64 i64 i64) (result i64 i64)
      (i64.add128 (local.get 0) (local.get 1) (i64.mul_wide_s (local.get 2) (local.get 3)))))";
    let text = golden("wide-arithmetic", source, MemoryPlan::Guarded, false, Stage::Lowered);
    assert_eq!(
        (count(&text, "sextend.i128"), count(&text, "iadd"), count(&text, "isplit")),
        (2, 1, 2),
        "{text}"
    );
}

#[test]
fn what_a_hint_says_is_unlikely_is_cold() {
    let source = |hint: &str| {
        format!(
            r#"(module (func (param i32) (result i32)
              (block (br_if 0 (i32.eqz (local.get 0))) {hint} (br_if 0 (local.get 0)) (return (i32.const 5)))
              {hint} (if (local.get 0)
                (then (block (br_if 0 (local.get 0)) (local.set 0 (i32.const 3))))
                (else (local.set 0 (i32.const 4))))
              (local.get 0)))"#
        )
    };
    let text = |name, hint| golden(name, &source(hint), MemoryPlan::Guarded, false, Stage::Lowered);
    // One is the poll at the entry.
    assert_eq!(count(&text("no-hints", ""), " cold"), 1);
    // The way out of the block; the first arm with what is in it.
    let unlikely = text("hints-unlikely", r#"(@metadata.code.branch_hint "\00")"#);
    assert_eq!(count(&unlikely, " cold"), 5, "{unlikely}");
    // What is behind the branch; the second arm.
    let likely = text("hints-likely", r#"(@metadata.code.branch_hint "\01")"#);
    assert_eq!(count(&likely, " cold"), 3, "{likely}");
}

#[test]
fn few_bytes_inside_of_the_memories_are_copied_at_once_unless_they_cost_fuel() {
    let source = "(module (memory 1) (func (param i32 i32 i32)
      (memory.copy (local.get 0) (local.get 1) (local.get 2))))";
    let text = golden("memory-copy", source, MemoryPlan::Guarded, false, Stage::Lowered);
    // Both ends, and what is too much.
    assert_eq!(count(&text, "icmp ugt"), 3, "{text}");
    assert_eq!(count(&text, "(i64, i64, i64) system_v"), 1, "{text}");
    let text = golden("memory-copy-fuel", source, MemoryPlan::Guarded, true, Stage::Lowered);
    assert_eq!(count(&text, "icmp ugt"), 0, "{text}");
}

#[test]
fn nothing_invariant_is_computed_in_an_inner_loop() {
    let source = "(module (memory 1) (func (param $n i32) (param $m i32) (result f64)
      (local $i i32) (local $j i32) (local $sum f64)
      (loop $outer
        (local.set $j (i32.const 0))
        (loop $inner
          (local.set $sum (f64.add (local.get $sum)
            (f64.add (f64.load (i32.shl (local.get $j) (i32.const 3)))
                     (f64.convert_i32_s (i32.mul (local.get $i) (local.get $n))))))
          (br_if $inner (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (local.get $m))))
        (br_if $outer (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n))))
      (local.get $sum)))";
    let text = golden("nest", source, MemoryPlan::Guarded, false, Stage::Optimised);
    // The blocks of the inner loop are those from its header on that add to the sum.
    let inner = text.split("\n\n").find(|block| block.contains("load.f64")).expect("the inner loop");
    for invariant in ["imul", "fcvt_from_sint", "readonly", "load.i64"] {
        assert!(!inner.contains(invariant), "{invariant} in {inner}\n{text}");
    }
}

#[test]
fn fuel_is_charged_behind_the_poll_with_the_cost_of_the_segment() {
    let source = "(module (func (param i32) (result i32)
      (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
      (local.get 0)))";
    let text = golden("fuel", source, MemoryPlan::Guarded, true, Stage::Lowered);
    assert_eq!(count(&text, "trapnz"), 3);
    // The entry's segment is empty; five instructions are in the loop's, one is behind it.
    for cost in ["iconst.i64 0\n", "iconst.i64 5\n", "iconst.i64 1\n"] {
        assert!(text.contains(cost), "{cost}{text}");
    }
}

#[test]
fn an_indirect_call_checks_index_presence_and_type() {
    let source = "(module (type $f (func (param i32) (result i32))) (table 1 funcref)
      (func (param i32) (result i32) (call_indirect (type $f) (local.get 0) (local.get 0))))";
    let text = golden("call-indirect", source, MemoryPlan::Guarded, false, Stage::Lowered);
    assert_eq!(count(&text, "select_spectre_guard"), 1);
    // The type, and whether the context is the caller's own: if not, it may be none, as functions of the host run in that of their caller.
    assert_eq!(count(&text, "icmp eq"), 2);
    assert_eq!(count(&text, " = select.i64 "), 1);
}

#[test]
fn a_direct_call_reads_the_cell_each_time() {
    let source = "(module (func (call 0) (call 0)))";
    let text = golden_of("direct-calls", source, &without_inlining(), false, Stage::Optimised);
    assert!(!text.contains("readonly"), "{text}");
    // Code cells are in region 6.
    assert_eq!(count(&text, "load.i64 notrap aligned region6"), 2, "{text}");
}

#[test]
fn a_function_that_is_called_in_many_places_is_called_over_a_thunk() {
    let source = format!("(module (func $f {}))", "(call $f)".repeat(20));
    let text = golden_of("many-calls", &source, &without_inlining(), false, Stage::Lowered);
    assert_eq!(count(&text, " call fn0"), 5, "{text}");
}

#[test]
fn many_results_go_through_the_pointer() {
    let source = "(module (type $many (func (result i32 i32 i32 i32 i32 i32 i32 i32 f32)))
      (type $more (func (result i32 i32 i32 i32 i32 i32 i32 i32 i32)))
      (func (type $more) (return_call 0)))";
    let text = golden("return-call-many", source, MemoryPlan::Guarded, false, Stage::Lowered);
    assert!(text.contains("return_call_indirect sig"), "{text}");
    assert!(!text.contains("stack_addr"), "{text}");
}

#[test]
fn each_own_global_is_in_a_region_of_its_own() {
    let source = "(module (import \"\" \"\" (global i32)) (global (mut i32) (i32.const 0)) (global (mut i32) (i32.const 0))
      (func (result i32) (global.set 1 (i32.const 1)) (global.set 2 (i32.const 2)) (global.get 1)))";
    let text = golden("globals", source, MemoryPlan::Guarded, false, Stage::Optimised);
    for global in ["\"global 0\"", "\"global 1\""] {
        assert_eq!(count(&text, global), 1, "{text}");
    }
    // Each is a region of its own, behind that of the execution context.
    for region in ["region10", "region11"] {
        assert_eq!(count(&text, &format!("store notrap aligned {region}")), 1, "{text}");
    }
    // The store to the other global is no reason to read this one again.
    let body = &text[text.find("block0").unwrap()..];
    assert_eq!(count(body, "load.i32"), 0, "{text}");
}

#[test]
fn a_loop_that_copies_memory_polls_more_often() {
    let source = format!(
        "(module (memory 1) (func (param i32)
          (loop (memory.copy (i32.const 0) (local.get 0) (i32.const 9)) (br_if 0 {COUNTING}))))"
    );
    let text = golden("loop-copying", &source, MemoryPlan::Guarded, false, Stage::Lowered);
    assert_eq!(count(&text, "iconst.i32 1020"), 1, "{text}");
}

#[test]
fn a_short_function_is_lowered_in_place_of_a_call() {
    let source = "(module
      (func (param i32) (result i32) (i32.add (call $twice (local.get 0)) (call $twice (i32.const 5))))
      (func $twice (param i32) (result i32)
        (if (i32.eqz (local.get 0)) (then (return (i32.const 7))))
        (i32.mul (local.get 0) (i32.const 2))))";
    let text = golden("inlined", source, MemoryPlan::Guarded, false, Stage::Optimised);
    assert_eq!(count(&text, "call_indirect"), 0, "{text}");
}

#[test]
fn a_function_that_calls_itself_is_lowered_in_itself_twice() {
    let source = "(module (func $f (param i32) (result i32)
      (if (result i32) (local.get 0) (then (call $f (i32.const 0))) (else (i32.const 3)))))";
    let text = golden("recursive", source, MemoryPlan::Guarded, false, Stage::Lowered);
    assert_eq!(count(&text, "brif.i32") + count(&text, "brif v"), 4, "three bodies and the poll: {text}");
    // The innermost calls, and so does the poll.
    assert_eq!(count(&text, " call_indirect"), 2, "{text}");
}

#[test]
fn loops_are_lowered_in_place_of_a_call_unless_frames_leave_them() {
    let source = "(module
      (func (param i32) (result i32) (loop (call $count (local.get 0)) (br_if 0)) (local.get 0))
      (func $count (param i32) (result i32)
        (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))) (local.get 0)))";
    let calls = |text: &str| count(text, "iconst.i64 3");
    let text = golden("inlined-loop", source, MemoryPlan::Guarded, false, Stage::Lowered);
    assert_eq!(calls(&text), 0, "{text}");
    let leaving = Job { leaves: true, ..Job::new(0) };
    let text = golden_of("called-loop", source, &leaving, false, Stage::Lowered);
    assert_eq!(calls(&text), 1, "{text}");
}

/// Halves of the factors, which are locals 0 and 1, in locals 2 to 5, and the product of the lower ones in local 6.
const HALVES: &str = "
    local.get 0 i64.const 0xffffffff i64.and local.set 2 local.get 0 i64.const 32 i64.shr_u local.set 3
    local.get 1 i64.const 0xffffffff i64.and local.set 4 local.get 1 i64.const 32 i64.shr_u local.set 5
    local.get 2 local.get 4 i64.mul local.set 6";

/// The halves of the product, the lower one first, in the two ways of `jit::lower::product`.
const WAYS: [&str; 2] = [
    "local.get 3 local.get 4 i64.mul local.get 6 i64.const 32 i64.shr_u i64.add local.set 7
     local.get 2 local.get 5 i64.mul local.get 7 i64.const 0xffffffff i64.and i64.add local.set 8
     local.get 8 i64.const 32 i64.shl local.get 6 i64.const 0xffffffff i64.and i64.or
     local.get 3 local.get 5 i64.mul local.get 7 i64.const 32 i64.shr_u i64.add
     local.get 8 i64.const 32 i64.shr_u i64.add",
    "local.get 3 local.get 4 i64.mul local.tee 8 local.get 2 local.get 5 i64.mul i64.add local.set 7
     local.get 6 local.get 7 i64.const 32 i64.shl i64.add local.tee 9
     local.get 3 local.get 5 i64.mul
     local.get 7 i64.const 32 i64.shr_u local.get 7 local.get 8 i64.lt_u i64.extend_i32_u i64.const 32 i64.shl i64.or
     i64.add local.get 9 local.get 6 i64.lt_u i64.extend_i32_u i64.add",
];

#[test]
fn a_product_of_halves_is_two_multiplications() {
    for (name, way) in ["product-first-way", "product-second-way"].into_iter().zip(WAYS) {
        let locals = "(local i64 i64 i64 i64 i64 i64 i64 i64)";
        let source = format!("(module (func (param i64 i64) (result i64 i64) {locals} {HALVES} {way}))");
        let text = golden(name, &source, MemoryPlan::Guarded, false, Stage::Optimised);
        assert_eq!([count(&text, " umulhi."), count(&text, " imul.")], [1, 1], "{text}");
        assert_eq!([count(&text, " iadd"), count(&text, " icmp")], [0, 0], "{text}");
    }
}

#[test]
fn a_function_that_multiplies_halves_is_inlined_however_long_it_is() {
    for (name, way) in ["product-inlined-first-way", "product-inlined-second-way"].into_iter().zip(WAYS) {
        let locals = "(local i64 i64 i64 i64 i64 i64 i64 i64)";
        let source = format!(
            "(module
              (func (param i64 i64) (result i64) (call $multi3 (local.get 0) (local.get 1)) (i64.xor))
              (func $multi3 (param i64 i64) (result i64 i64) {locals} {HALVES} {way}))"
        );
        let text = golden(name, &source, MemoryPlan::Guarded, false, Stage::Optimised);
        assert_eq!([count(&text, " umulhi."), count(&text, " imul.")], [1, 1], "{text}");
    }
}

#[test]
fn code_that_starts_at_a_loop_as_well_compares_the_callees_id_once() {
    let source = "(module (func (param $n i32) (result i32) (local $sum i32)
      (loop $again
        (local.set $sum (i32.add (local.get $sum) (local.get $n)))
        (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
      (local.get $sum)))";
    let module = modules::parse(source);
    let mut operators =
        module.function_body(0).unwrap().get_operators_reader().unwrap().into_iter_with_offsets();
    let is_loop = |operator: &Operator<'_>| matches!(operator, Operator::Loop { .. });
    let at = operators.find_map(|found| found.ok().filter(|(operator, _)| is_loop(operator))).unwrap().1;
    let job = Job { start: Start::EntryOrLoop(at as u32), interruptible: false, ..Job::new(0) };
    let text = golden_of("entry-or-loop", source, &job, false, Stage::Optimised);
    // The other one is the poll at the entry, which finds that the stack is used up.
    assert_eq!([count(&text, "band"), count(&text, "icmp")], [1, 2], "{text}");
    assert_eq!(count(&text, "get_stack_pointer"), 1, "{text}");
}

/// Tier 0 has seen calls of one function alone.
struct Always(u16);

impl Profile for Always {
    fn callee(&self, _: u32, _: u32) -> Option<u16> {
        Some(self.0)
    }
}

#[test]
fn a_likely_callee_is_inlined_behind_a_comparison() {
    let source =
        "(module (type $f (func (param i32) (result i32))) (table 2 2 funcref) (elem (i32.const 0) $next)
      (func (param i32) (result i32) (call_indirect (type $f) (i32.const 7) (local.get 0)))
      (func $next (type $f) (i32.add (local.get 0) (i32.const 1)))
      (func (param i64)))";
    fn job(profile: &Always) -> Job<'_> {
        Job { profile: Some(profile), ..Job::new(0) }
    }
    let text = golden_of("call-indirect-guess", source, &job(&Always(1)), false, Stage::Optimised);
    assert!(text.contains("iconst.i32 8"), "{text}");
    // What has another type, or is imported, or is not there, is not likely.
    for other in [0, 2, 9] {
        let text = golden_of("call-indirect-no-guess", source, &job(&Always(other)), false, Stage::Optimised);
        assert!(!text.contains("iconst.i32 8"), "{text}");
    }
}

#[test]
fn loops_that_need_not_be_interrupted_have_no_poll() {
    let source = format!("(module (func (param i32) (loop (br_if 0 {COUNTING}))))");
    let job = Job { interruptible: false, ..Job::new(0) };
    let text = golden_of("loop-uninterruptible", &source, &job, false, Stage::Optimised);
    // The poll at the entry.
    assert_eq!(count(&text, " call_indirect"), 1, "{text}");
}

#[test]
fn code_that_takes_long_polls_on_its_way_without_a_loop() {
    let copy = "(memory.copy (i32.const 0) (i32.const 8) (i32.const 9))";
    let polls = |copies: usize, interruptible| {
        let module = modules::parse(&format!("(module (memory 1) (func {}))", copy.repeat(copies)));
        let isa = Isa::native().unwrap();
        let job = Job { interruptible, ..Job::new(0) };
        let context = &mut FunctionBuilderContext::new();
        let (function, _) = lower::function(&**isa.target(Mode::Speed), &module, &job, context).unwrap();
        // The slow path of a poll is the one that keeps all registers.
        count(&function.display().to_string(), "call_indirect sig0, ")
    };
    assert_eq!([polls(500, true), polls(600, true), polls(1100, true)], [1, 2, 3]);
    assert_eq!(polls(1100, false), 1);
}

#[test]
fn a_vector_is_loaded_from_anywhere() {
    let source = "(module (memory 1) (func (param v128 i32) (result v128)
      (f32x4.add (local.get 0) (v128.load (local.get 1)))))";
    let text = golden("vector-load", source, MemoryPlan::Guarded, false, Stage::Lowered);
    // It need not be aligned, and traps outside of the memory.
    let load = text.lines().find(|line| line.contains(" = load.i8x16 ")).unwrap();
    assert!(!load.contains("aligned") && !load.contains("notrap"), "{load}");
}

#[test]
fn lanes_are_not_cast_between_instructions_that_agree_on_them() {
    let source = "(module (func (param v128 v128) (result v128)
      (f32x4.sqrt (f32x4.mul (f32x4.add (local.get 0) (local.get 1)) (local.get 1)))))";
    let text = golden("vector-chain", source, MemoryPlan::Guarded, false, Stage::Optimised);
    // The two parameters and the result.
    assert_eq!(count(&text, " = bitcast"), 3, "{text}");
}

#[test]
fn a_comparison_selects_whole_lanes() {
    let source = "(module (func (param v128 v128) (result v128)
      (v128.bitselect (local.get 0) (local.get 1) (i32x4.gt_s (local.get 0) (local.get 1)))))";
    let text = golden("vector-select", source, MemoryPlan::Guarded, false, Stage::Lowered);
    // What is selected by is the comparison itself, and no cast of it.
    let (before, _) = text.split_once(" = icmp ").unwrap();
    let mask = before.rsplit(' ').next().unwrap();
    assert_eq!(count(&text, &format!(" = bitselect {mask}, ")), 1, "{text}");
}

#[test]
fn a_lane_beyond_the_guard_is_checked_for_its_own_bytes() {
    let source = |lane: u32, end: u32| {
        format!(
            "(module (memory 1) (func (param i32 v128) (result v128)
              (v128.load{lane}_lane offset={} 0 (local.get 0) (local.get 1))))",
            end - lane / 8
        )
    };
    for (lane, bytes) in [(8, 1), (16, 2), (32, 4), (64, 8)] {
        // The guard is 32 MiB.
        let text = |end| {
            let name = format!("vector-lane-{bytes}-{}", if end > 0x200_0000 { "far" } else { "last" });
            golden(&name, &source(lane, end), MemoryPlan::Guarded, false, Stage::Lowered)
        };
        assert_eq!(count(&text(0x200_0000), "select_spectre_guard"), 0);
        assert_eq!(count(&text(0x200_0001), "select_spectre_guard"), 1);
    }
}

#[test]
fn relaxed_instructions_do_what_is_chosen() {
    let source = "(module (func (param v128 v128 v128) (result v128)
      (f32x4.relaxed_min (f32x4.relaxed_madd (local.get 0) (local.get 1) (local.get 2))
        (i8x16.relaxed_laneselect (local.get 0) (i8x16.relaxed_swizzle (local.get 1) (local.get 0)) (local.get 2)))))";
    let text = |relaxed| {
        let isa = Isa::native().unwrap();
        let mut module = modules::parse(source);
        module.set_relaxed(relaxed);
        let context = &mut FunctionBuilderContext::new();
        let (function, _) =
            lower::function(&**isa.target(Mode::Speed), &module, &Job::new(0), context).unwrap();
        function.display().to_string()
    };
    let all = ["fmin", "fcmp", "fma", "fmul", "blendv", "x86_pshufb", " swizzle"];
    let counts = |relaxed| all.map(|instruction| count(&text(relaxed), &format!("= {}", instruction.trim())));
    // A `bitselect` is behind the comparison.
    assert_eq!(counts(Relaxed::Deterministic), [1, 0, 0, 1, 0, 0, 1]);
    assert_eq!(counts(Relaxed::X86 { fma: false }), [0, 1, 0, 1, 1, 1, 0]);
    assert_eq!(counts(Relaxed::X86 { fma: true }), [0, 1, 1, 0, 1, 1, 0]);
}

#[test]
fn what_a_machine_cannot_do_is_left_to_tier_0() {
    let flags = settings::Flags::new(settings::builder());
    // The first machines of the architecture: without SSSE3 and SSE 4.1.
    let isa = isa::lookup_by_name("x86_64").unwrap().finish(flags).unwrap();
    let mut module = modules::parse(
        "(module (func (param v128 v128) (result v128) (i8x16.relaxed_swizzle (local.get 0) (local.get 1))))",
    );
    for (relaxed, can) in [(Relaxed::Deterministic, true), (Relaxed::X86 { fma: false }, false)] {
        module.set_relaxed(relaxed);
        let context = &mut FunctionBuilderContext::new();
        match lower::function(&*isa, &module, &Job::new(0), context) {
            Ok(_) => assert!(can, "{relaxed:?}"),
            Err(error) => assert!(!can && matches!(error, LowerError::NotExecuted(_)), "{error}"),
        }
    }
}

/// A list of numbers.
const LIST: &str = "(type $list (struct (field $next (mut (ref null $list))) (field $x (mut i32))))";

#[test]
fn a_field_of_null_faults_by_itself_unless_it_is_far_from_the_start() {
    let source = format!(
        "(module {LIST} (func (param (ref null $list)) (result i32) (struct.get $list $x (local.get 0))))"
    );
    let text = golden("struct-get", &source, MemoryPlan::Guarded, false, Stage::Optimised);
    assert!(!text.contains("trapz"), "{text}");
    // Null references are number 15 among the traps.
    assert_eq!(count(&text, "load.i32 user15"), 1, "{text}");
    let fields = "(field (mut i64)) ".repeat(512);
    let far = |field: u32| {
        format!(
            "(module (type $s (struct {fields})) (func (param (ref null $s) i64)
              (struct.set $s {field} (local.get 0) (local.get 1))))"
        )
    };
    for (field, checks) in [(510, 0), (511, 1)] {
        let isa = Isa::native().unwrap();
        let (function, _) = lower::function(
            &**isa.target(Mode::Speed),
            &modules::parse(&far(field)),
            &Job::new(0),
            &mut FunctionBuilderContext::new(),
        )
        .unwrap();
        assert_eq!(count(&function.display().to_string(), "trapz"), checks, "field {field}");
    }
}

#[test]
fn an_element_has_one_check_and_goes_to_null_when_it_is_outside() {
    let source = "(module (type $a (array (mut i16)))
      (func (param (ref null $a) i32) (result i32) (array.get_s $a (local.get 0) (local.get 1))))";
    let text = golden("array-get", source, MemoryPlan::Guarded, false, Stage::Optimised);
    assert_eq!((count(&text, "select_spectre_guard"), count(&text, "trapz")), (1, 0), "{text}");
}

#[test]
fn a_walk_over_objects_keeps_its_reference_in_a_register() {
    let source = format!(
        "(module {LIST} (func (param $l (ref null $list)) (result i32) (local $sum i32)
          (block $end
            (loop $again
              (local.set $sum (i32.add (local.get $sum) (struct.get $list $x (br_on_null $end (local.get $l)))))
              (local.set $l (struct.get $list $next (local.get $l)))
              (br $again)))
          (local.get $sum)))"
    );
    let text = golden("list-walk", &source, MemoryPlan::Guarded, false, Stage::Optimised);
    // Polls do not collect.
    assert!(!text.contains("stack_addr") && !text.contains("stack_map"), "{text}");
}

#[test]
fn an_object_is_made_by_one_comparison_and_a_few_stores() {
    let source = format!(
        "(module {LIST} (func (param (ref null $list) i32) (result (ref $list))
          (struct.new $list (local.get 0) (local.get 1))))"
    );
    let text = golden("struct-new", &source, MemoryPlan::Guarded, false, Stage::Optimised);
    assert_eq!(count(&text, "icmp ugt"), 1, "{text}");
    // The field that is a reference is in the frame during the call that may collect.
    assert_eq!(count(&text, "stack_map="), 1, "{text}");
}

#[test]
fn a_reference_that_is_stored_marks_a_card_without_a_branch_and_null_marks_none() {
    let types = "(type $s (struct (field (mut anyref)))) (type $a (array (mut anyref)))";
    let source = format!(
        "(module {types} (func (param (ref null $s) anyref) (struct.set $s 0 (local.get 0) (local.get 1))))"
    );
    let text = golden("struct-set-ref", &source, MemoryPlan::Guarded, false, Stage::Optimised);
    assert_eq!((count(&text, "\"cards\""), count(&text, "ushr"), count(&text, "brif")), (1, 1, 0), "{text}");
    let source = format!(
        "(module {types} (func (param (ref null $a) i32 anyref)
          (array.set $a (local.get 0) (local.get 1) (local.get 2))))"
    );
    let text = golden("array-set-ref", &source, MemoryPlan::Guarded, false, Stage::Optimised);
    assert_eq!((count(&text, "\"cards\""), count(&text, "ushr"), count(&text, "brif")), (1, 1, 0), "{text}");
    for (name, number) in [("null", "(ref.null any)"), ("number", "(ref.i31 (local.get 1))")] {
        let source = format!(
            "(module {types} (func (param (ref null $s) i32) (struct.set $s 0 (local.get 0) {number})))"
        );
        let name = format!("struct-set-{name}");
        let text = golden(&name, &source, MemoryPlan::Guarded, false, Stage::Optimised);
        assert_eq!(count(&text, "\"cards\""), 0, "{text}");
    }
}

#[test]
fn a_cast_to_a_final_type_compares_once_and_one_to_another_asks_the_display() {
    let source = "(module (type $a (sub (struct))) (type $b (sub final $a (struct)))
      (func (param (ref null $a)) (result (ref $b)) (ref.cast (ref $b) (local.get 0))))";
    let text = golden("cast-final", source, MemoryPlan::Guarded, false, Stage::Optimised);
    assert_eq!(count(&text, "icmp eq"), 1, "{text}");
    let text = golden("cast", &source.replace("final", ""), MemoryPlan::Guarded, false, Stage::Optimised);
    assert_eq!(count(&text, "icmp eq"), 2, "{text}");
}

#[test]
fn what_is_caught_where_it_is_thrown_is_a_jump_with_its_values() {
    let source = "(module (tag $t (param i32 f64))
      (func (param i32) (result i32 f64)
        (block $caught (result i32 f64)
          (try_table (catch $t $caught) (throw $t (local.get 0) (f64.const 1)))
          (unreachable))))";
    let text = golden("throw-to-here", source, MemoryPlan::Guarded, false, Stage::Optimised);
    assert_eq!((count(&text, "call"), count(&text, "brif")), (0, 0), "{text}");
}

#[test]
fn a_call_inside_of_a_block_that_catches_costs_no_more_than_another_and_compares_tags_where_it_lands() {
    let source = "(module (tag $s) (tag $t (param i32))
      (func (param i32) (result i32)
        (block $other
          (block $caught (result i32)
            (return (try_table (result i32) (catch $t $caught) (catch $s $other) (call $f (local.get 0)))))
          (return))
        (i32.const 7))
      (func $f (param i32) (result i32) (loop (br 0)) (unreachable)))";
    let text = golden_of("try-call", source, &without_inlining(), false, Stage::Optimised);
    assert_eq!((count(&text, "try_call_indirect"), count(&text, " eq ")), (1, 2), "{text}");
}
