//! The hostile modules: each tries to make an engine spend time, memory or native stack out of all
//! proportion to its size, or to trust a number that lies. `main.rs` runs each in a process of its own.

use super::bodies::*;
use super::exceptions::*;
use super::module::{
    END, FUNCREF, I32, I64, Module, body, func_type, i32_const, indexed, leb, name, sleb, vector,
};
use super::opcode::*;

/// One module and how it may end.
pub struct Case {
    pub name: &'static str,
    /// Beginnings of the outcomes that are right: `refused: …`, `unlinked: …`, `trap: …`, `returned: …`.
    pub right: &'static [&'static str],
    pub module: fn() -> Vec<u8>,
}

/// `case!(function_name, [outcomes…])`: the case's name is the function's.
macro_rules! cases {
    ($($name:ident => [$($right:literal),+];)*) => {
        /// All cases.
        pub const CASES: &[Case] = &[
            $(Case { name: stringify!($name), right: &[$($right),+], module: $name }),*
        ];

        /// One test for each in each mode, so that a runner can run them side by side.
        mod interp {
            $(#[test] fn $name() { crate::run_in_child(stringify!($name), wasmrun_spec_tests::Mode::Interp) })*
        }

        // A compiler with all its assertions takes minutes for these.
        mod jit {
            $(#[test] #[cfg_attr(debug_assertions, ignore = "run it with --release")] fn $name() { crate::run_in_child(stringify!($name), wasmrun_spec_tests::Mode::Jit) })*
        }

        mod mixed {
            $(#[test] #[cfg_attr(debug_assertions, ignore = "run it with --release")] fn $name() { crate::run_in_child(stringify!($name), wasmrun_spec_tests::Mode::Mixed) })*
        }

        mod background {
            $(#[test] #[cfg_attr(debug_assertions, ignore = "run it with --release")] fn $name() { crate::run_in_child(stringify!($name), wasmrun_spec_tests::Mode::Background) })*
        }
    };
}

cases! {
    // Nesting.
    nested_blocks => ["returned: 7"];
    nested_loops => ["returned: 7"];
    nested_ifs => ["returned: 7"];
    nested_ifs_with_else => ["returned: 7"];
    nested_blocks_never_closed => ["refused: "];
    branch_out_of_100_000_blocks => ["returned: 7"];
    // Numbers that lie or are too large.
    four_billion_locals => ["refused: "];
    locals_that_overflow_their_sum => ["refused: "];
    fifty_thousand_locals => ["returned: 7", "refused: "];
    recursion_with_fifty_thousand_locals => ["trap: StackOverflow", "refused: "];
    vectors_that_lie_about_their_length => ["refused: "];
    sections_that_lie_about_their_length => ["refused: "];
    bodies_that_lie_about_their_length => ["refused: "];
    overlong_lebs => ["refused: "];
    huge_name => ["refused: "];
    names_at_the_limit => ["returned: 7"];
    name_section_that_lies => ["returned: 7"];
    // Many of one thing.
    custom_sections_300_000 => ["returned: 7"];
    functions_200_000_each_called => ["returned: 200000"];
    functions_200_000_in_a_chain => ["trap: StackOverflow", "returned: "];
    types_900_000 => ["returned: 7"];
    globals_900_000 => ["returned: 7"];
    exports_300_000 => ["returned: 7"];
    imports_300_000 => ["unlinked: "];
    tables_100_000 => ["returned: 7", "refused: ", "unlinked: "];
    memories_100_of_4_gib => ["returned: 7", "unlinked: "];
    data_segments_100_000 => ["returned: 7"];
    data_segments_too_many => ["refused: "];
    element_segments_90_000 => ["returned: 7"];
    element_segment_of_a_million => ["returned: 7"];
    // Tables and memories.
    table_of_2_to_the_32 => ["refused: ", "unlinked: "];
    table_of_ten_million => ["returned: 7", "unlinked: "];
    tables_100_of_ten_million => ["unlinked: "];
    table_grow_loop => ["returned: "];
    memory_of_4_gib => ["returned: 7", "unlinked: "];
    memory_beyond_4_gib => ["refused: "];
    memory_grow_loop => ["returned: "];
    memory_grow_loop_forever => ["trap: Deadline"];
    bulk_operations_that_wrap => ["trap: MemoryOutOfBounds"];
    // Branch tables.
    br_table_of_a_million => ["returned: 7"];
    br_table_to_blocks_with_many_results => ["trap: FunctionTooLarge"];
    br_table_to_loops_with_many_params => ["returned: 7"];
    br_table_of_millions_to_a_wide_block => ["refused: "];
    million_wide_blocks => ["refused: "];
    million_wide_branches => ["refused: "];
    ten_thousand_wide_blocks => ["returned: 7"];
    br_table_of_lying_length => ["refused: "];
    // Blocks that catch.
    ten_thousand_wide_clauses => ["returned: 7"];
    millions_of_wide_clauses => ["refused: "];
    throw_out_of_100_000_blocks_that_catch_nothing => ["returned: 7"];
    throw_out_of_100_000_legacy_blocks_that_catch_nothing => ["returned: 7"];
    throws_behind_ten_thousand_clauses => ["trap: Deadline"];
    // Values.
    thousand_params => ["returned: 499500"];
    thousand_and_one_params => ["refused: "];
    thousand_results => ["returned: 0 1 2 3 4 5 6 7"];
    operand_stack_100_000_deep => ["refused: "];
    operand_stack_30_000_deep => ["returned: 30000"];
    initialiser_of_100_000_instructions => ["returned: 50001"];
    initialiser_100_000_deep => ["returned: 100000"];
    multi_value_blocks_by_type_index => ["returned: 1"];
    multi_value_blocks_in_dead_code => ["returned: 7"];
    local_sets_under_pending_locals => ["returned: 7"];
    local_tees_under_pending_locals => ["returned: 7"];
    million_drops => ["returned: 7"];
    million_instructions_of_dead_code => ["returned: 7"];
    sum_of_80_000_terms => ["returned: 7"];
    union_of_80_000_terms => ["returned: 7"];
    long_function_of_folded_constants => ["returned: 500000"];
    // Running on and on.
    infinite_recursion => ["trap: StackOverflow"];
    infinite_recursion_with_thousand_params => ["trap: StackOverflow"];
    infinite_mutual_recursion_by_call_indirect => ["trap: StackOverflow"];
    infinite_loop => ["trap: Deadline"];
    infinite_loop_in_50_000_loops => ["trap: Deadline"];
    infinite_loop_in_start => ["trap: Deadline"];
    infinite_recursion_in_start => ["trap: StackOverflow"];
    infinite_return_call => ["trap: Deadline"];
    infinite_return_call_of_different_arity => ["trap: Deadline"];
    infinite_return_call_indirect => ["trap: Deadline"];
    unreachable_in_start => ["trap: UnreachableCodeReached"];
    // Damaged modules: the last outcome of thousands, each of which must be an outcome.
    every_prefix_of_a_module => ["returned: 7"];
    every_byte_damaged => ["returned: 7"];
    empty_file => ["refused: "];
    only_a_header => ["no function `run`"];
}

pub fn repeat(bytes: &[u8], count: usize) -> Vec<u8> {
    bytes.repeat(count)
}

/// A function of no parameters and one `i32` result.
pub fn returning(code: &[u8]) -> Vec<u8> {
    Module::of_one(&[], &[I32], &[], code)
}

/// `run` returns 7 and does nothing else; what is hostile stands around it. `before` makes the sections
/// between the types (0: `[] -> [i32]`) and the functions.
pub fn seven() -> Vec<u8> {
    i32_const(7)
}

fn four_billion_locals() -> Vec<u8> {
    Module::of_one(&[], &[I32], &[(0xffff_ffff, I32)], &seven())
}

fn locals_that_overflow_their_sum() -> Vec<u8> {
    Module::of_one(&[], &[I32], &[(0xffff_ffff, I32), (0xffff_ffff, I64), (3, I32)], &seven())
}

fn fifty_thousand_locals() -> Vec<u8> {
    Module::of_one(&[], &[I32], &[(49_999, I64)], &seven())
}

fn recursion_with_fifty_thousand_locals() -> Vec<u8> {
    Module::of_one(&[], &[I32], &[(49_999, I64)], &[CALL, 0])
}

/// A few bytes that claim to be four billion items, in each section that is a vector. All are refused; the
/// last is the outcome.
fn vectors_that_lie_about_their_length() -> Vec<u8> {
    let lie = |id: u8, item: &[u8]| {
        Module::new().types(&[func_type(&[], &[])]).items(id, 0xffff_ffff, item).finish()
    };
    let imported = [name("m"), name("f"), vec![0, 0]].concat();
    let modules = [
        Module::new().items(1, 0xffff_ffff, func_type(&[], &[])).finish(),
        Module::new().items(1, 1, [vec![0x60], leb(0xffff_ffff), vec![I32]].concat()).finish(),
        lie(2, &imported),
        lie(3, &[0]),
        lie(4, &[FUNCREF, 0, 0]),
        lie(5, &[0, 1]),
        lie(6, &[I32, 0, 0x41, 0, END]),
        lie(7, &[name("run"), vec![0, 0]].concat()),
        lie(9, &[1, 0, 0]),
        Module::new().items(9, 1, [vec![1, 0], leb(0xffff_ffff), vec![0]].concat()).finish(),
        lie(10, &[2, 0, END]),
        lie(11, &[1, 0]),
        Module::new().items(11, 1, [vec![1], leb(0xffff_ffff), vec![0]].concat()).finish(),
        Module::new().section(12, leb(0xffff_ffff)).finish(),
        Module::new().items(2, 1, [leb(0xffff_fff0), b"m".to_vec()].concat()).finish(),
    ];
    super::all_refused(&modules)
}

fn sections_that_lie_about_their_length() -> Vec<u8> {
    let modules: Vec<Vec<u8>> = (0u8..=14)
        .flat_map(|id| [0x10, 0x1000, 0x7fff_ffff, 0xffff_ffff].map(|len| (id, len)))
        .map(|(id, len)| Module::new().raw(&[vec![id], leb(len), vec![1, 2, 3]].concat()).finish())
        .collect();
    super::all_refused(&modules)
}

fn bodies_that_lie_about_their_length() -> Vec<u8> {
    let modules: Vec<Vec<u8>> = [0, 1, 3, 0x1000, 0xffff_ffff]
        .iter()
        .map(|len| {
            let lying = [leb(*len), vec![0, 0x41, 7, END]].concat();
            Module::new().types(&[func_type(&[], &[I32])]).functions(&[0]).code(&[lying]).finish()
        })
        .collect();
    super::all_refused(&modules)
}

fn overlong_lebs() -> Vec<u8> {
    let padded = |value: u8, zeros: usize| [vec![value | 0x80], vec![0x80; zeros], vec![0]].concat();
    let modules = [
        // A section length, a count, a local index, an i32 and an i64 constant: each one byte too long, one
        // with bits that do not fit, one that never ends.
        Module::new().raw(&[vec![0], padded(1, 4), vec![0]].concat()).finish(),
        Module::new().section(1, [padded(0, 4)].concat()).finish(),
        Module::of_one(&[I32], &[I32], &[], &[vec![GET], padded(0, 4)].concat()),
        Module::of_one(&[], &[I32], &[], &[vec![0x41], padded(7, 4)].concat()),
        Module::of_one(&[], &[I64], &[], &[vec![0x42], padded(7, 9)].concat()),
        Module::of_one(&[], &[I32], &[], &[0x41, 0xff, 0xff, 0xff, 0xff, 0x6f]),
        Module::of_one(&[I32], &[I32], &[], &[GET, 0x80, 0x80, 0x80, 0x80, 0x70]),
        Module::of_one(&[], &[I32], &[], &[vec![0x41], vec![0x80; 1_000_000]].concat()),
        Module::new().raw(&[vec![1], vec![0x80; 1_000_000]].concat()).finish(),
    ];
    super::all_refused(&modules)
}

fn exporting(text: &str) -> Vec<u8> {
    Module::new()
        .types(&[func_type(&[], &[I32])])
        .functions(&[0])
        .items(7, 2, [name("run"), vec![0, 0], name(text), vec![0, 0]].concat())
        .code(&[body(&[], &seven())])
        .finish()
}

fn huge_name() -> Vec<u8> {
    exporting(&"n".repeat(5_000_000))
}

fn names_at_the_limit() -> Vec<u8> {
    exporting(&"\u{1f980}".repeat(25_000))
}

/// A custom section is no part of the module's meaning: whatever it says, the module runs.
fn name_section_that_lies() -> Vec<u8> {
    let names = |content: &[u8]| [name("name"), content.to_vec()].concat();
    let module = Module::new()
        .types(&[func_type(&[], &[I32])])
        .functions(&[0])
        .export_run(0)
        .code(&[body(&[], &seven())])
        .section(0, names(&[vec![1], leb(0xffff_ffff), vec![0xff; 9]].concat()))
        .section(0, names(&vector(1, [leb(20), leb(0xffff_ffff), vec![0; 15]].concat())));
    // A million names for functions that do not exist, and for one that does.
    let entries: Vec<u8> = (0..500_000u64).flat_map(|i| [leb(i * 8000), name("ghost")].concat()).collect();
    let map = vector(500_000, entries);
    let last = [vec![1], vector(map.len() as u64, map)].concat();
    module.section(0, names(&last)).finish()
}

fn custom_sections_300_000() -> Vec<u8> {
    let custom = [vec![0], vector(5, name("abcd"))].concat();
    let module = Module::new().types(&[func_type(&[], &[I32])]).raw(&repeat(&custom, 150_000));
    let module = module.functions(&[0]).export_run(0).code(&[body(&[], &seven())]);
    module.raw(&repeat(&custom, 150_000)).finish()
}

fn functions_200_000_each_called() -> Vec<u8> {
    let count = 200_000u64;
    let calls: Vec<u8> = (1..=count).flat_map(|i| [indexed(CALL, i), vec![ADD]].concat()).collect();
    let mut bodies = vec![body(&[], &[i32_const(0), calls].concat())];
    bodies.resize(count as usize + 1, body(&[], &i32_const(1)));
    Module::new()
        .types(&[func_type(&[], &[I32])])
        .functions(&vec![0; count as usize + 1])
        .export_run(0)
        .code(&bodies)
        .finish()
}

fn functions_200_000_in_a_chain() -> Vec<u8> {
    let count = 200_000u64;
    let mut bodies: Vec<Vec<u8>> = (1..count).map(|i| body(&[], &indexed(CALL, i))).collect();
    bodies.push(body(&[], &seven()));
    Module::new()
        .types(&[func_type(&[], &[I32])])
        .functions(&vec![0; count as usize])
        .export_run(0)
        .code(&bodies)
        .finish()
}

/// `run` returns 7; `sections` stands between its function section and its export.
fn seven_with(sections: impl FnOnce(Module) -> Module) -> Vec<u8> {
    let module = Module::new().types(&[func_type(&[], &[I32])]).functions(&[0]);
    sections(module).code(&[body(&[], &seven())]).finish()
}

fn types_900_000() -> Vec<u8> {
    let mut types = vec![func_type(&[], &[I32])];
    types.extend((0..900_000u32).map(|i| {
        // Twenty bits choose twenty types: all are different.
        let params: Vec<u8> = (0..20).map(|bit| if i >> bit & 1 == 0 { I32 } else { I64 }).collect();
        func_type(&params, &[])
    }));
    Module::new().types(&types).functions(&[0]).export_run(0).code(&[body(&[], &seven())]).finish()
}

fn globals_900_000() -> Vec<u8> {
    seven_with(|m| m.items(6, 900_000, repeat(&[I32, 1, 0x41, 5, END], 900_000)).export_run(0))
}

fn exports_300_000() -> Vec<u8> {
    let mut exports = [name("run"), vec![0, 0]].concat();
    for i in 1..300_000 {
        exports.extend([name(&format!("e{i}")), vec![0, 0]].concat());
    }
    seven_with(|m| m.items(7, 300_000, exports))
}

fn imports_300_000() -> Vec<u8> {
    let imports: Vec<u8> =
        (0..300_000).flat_map(|i| [name("nobody"), name(&format!("f{i}")), vec![0, 0]].concat()).collect();
    Module::new()
        .types(&[func_type(&[], &[I32])])
        .items(2, 300_000, imports)
        .functions(&[0])
        .export_run(300_000)
        .code(&[body(&[], &seven())])
        .finish()
}

fn tables_100_000() -> Vec<u8> {
    seven_with(|m| m.items(4, 100_000, repeat(&[FUNCREF, 0, 10], 100_000)).export_run(0))
}

fn memories_100_of_4_gib() -> Vec<u8> {
    let memory = [vec![0], leb(65_536)].concat();
    seven_with(|m| m.items(5, 100, repeat(&memory, 100)).export_run(0))
}

fn with_data_segments(count: u64) -> Vec<u8> {
    let segments = repeat(&[0, 0x41, 3, END, 1, 0xaa], count as usize);
    Module::new()
        .types(&[func_type(&[], &[I32])])
        .functions(&[0])
        .items(5, 1, [0, 1])
        .export_run(0)
        .code(&[body(&[], &seven())])
        .items(11, count, segments)
        .finish()
}

fn data_segments_100_000() -> Vec<u8> {
    with_data_segments(100_000)
}

fn data_segments_too_many() -> Vec<u8> {
    with_data_segments(2_000_000)
}

fn element_segments_90_000() -> Vec<u8> {
    seven_with(|m| {
        let segments = repeat(&[0, 0x41, 3, END, 1, 0], 90_000);
        m.items(4, 1, [FUNCREF, 0, 10]).export_run(0).items(9, 90_000, segments)
    })
}

fn element_segment_of_a_million() -> Vec<u8> {
    let count = 1_000_000u64;
    let segment = [vec![0, 0x41, 0, END], vector(count, vec![0; count as usize])].concat();
    Module::new()
        .types(&[func_type(&[], &[I32]), func_type(&[], &[I32])])
        .functions(&[0, 1])
        .items(4, 1, [vec![FUNCREF, 0], leb(count)].concat())
        .export_run(1)
        .items(9, 1, segment)
        .code(&[body(&[], &seven()), body(&[], &[i32_const(999_999), vec![CALL_INDIRECT, 0, 0]].concat())])
        .finish()
}

fn table_of_2_to_the_32() -> Vec<u8> {
    seven_with(|m| m.items(4, 1, [vec![FUNCREF, 0], leb(0xffff_ffff)].concat()).export_run(0))
}

fn table_of_ten_million() -> Vec<u8> {
    seven_with(|m| m.items(4, 1, [vec![FUNCREF, 0], leb(10_000_000)].concat()).export_run(0))
}

fn tables_100_of_ten_million() -> Vec<u8> {
    let table = [vec![FUNCREF, 0], leb(10_000_000)].concat();
    seven_with(|m| m.items(4, 100, repeat(&table, 100)).export_run(0))
}

/// Grows by `by` until -1 comes back and returns the size reached.
fn grow_until_refused(grow: &[u8], size: &[u8], by: i64) -> Vec<u8> {
    let again = [i32_const(by), grow.to_vec(), i32_const(-1), vec![0x47, 0x0d, 0]].concat();
    [vec![LOOP, VOID], again, vec![END], size.to_vec()].concat()
}

fn table_grow_loop() -> Vec<u8> {
    let grow =
        [vec![0xd0, FUNCREF], i32_const(100_000), vec![0xfc, 15, 0, 0x41, 0x7f, 0x47, 0x0d, 0]].concat();
    let code = [vec![LOOP, VOID], grow, vec![END, 0xfc, 16, 0]].concat();
    Module::new()
        .types(&[func_type(&[], &[I32])])
        .functions(&[0])
        .items(4, 1, [FUNCREF, 0, 0])
        .export_run(0)
        .code(&[body(&[], &code)])
        .finish()
}

fn with_memory(limits: &[u8], code: &[u8]) -> Vec<u8> {
    Module::new()
        .types(&[func_type(&[], &[I32])])
        .functions(&[0])
        .items(5, 1, limits)
        .export_run(0)
        .code(&[body(&[], code)])
        .finish()
}

/// Stores 7 in the last word of a memory of 4 GiB and reads it back.
fn memory_of_4_gib() -> Vec<u8> {
    let store = [i32_const(-4), seven(), vec![0x36, 2, 0]].concat();
    let load = [i32_const(-4), vec![0x28, 2, 0]].concat();
    with_memory(&[vec![0], leb(65_536)].concat(), &[store, load].concat())
}

fn memory_beyond_4_gib() -> Vec<u8> {
    with_memory(&[vec![0], leb(65_537)].concat(), &seven())
}

fn memory_grow_loop() -> Vec<u8> {
    with_memory(&[0, 0], &grow_until_refused(&[0x40, 0], &[0x3f, 0], 1))
}

fn memory_grow_loop_forever() -> Vec<u8> {
    let again = [i32_const(1), vec![0x40, 0, DROP, BR, 0]].concat();
    with_memory(&[0, 0], &[vec![LOOP, VOID], again, vec![END], seven()].concat())
}

/// A copy, a fill and an access whose ends lie beyond 2^32; each traps, and so does the first.
fn bulk_operations_that_wrap() -> Vec<u8> {
    let far = i32_const(-1);
    let copy = [i32_const(1), far.clone(), far.clone(), vec![0xfc, 10, 0, 0]].concat();
    let fill = [far.clone(), i32_const(0), far.clone(), vec![0xfc, 11, 0]].concat();
    let load = [far, vec![0x29, 3], leb(0xffff_ffff), vec![DROP]].concat();
    with_memory(&[0, 1], &[copy, fill, load, seven()].concat())
}

/// A module with something of everything.
fn varied() -> Vec<u8> {
    let code = [
        vec![BLOCK, VOID, LOOP, VOID],
        [vec![GET, 0], i32_const(10), vec![0x4e, 0x0d, 1]].concat(),
        [vec![GET, 0], i32_const(1), vec![ADD, SET, 0]].concat(),
        [vec![GET, 0, GET, 0, 0x36, 2, 16, BR, 0, END, END]].concat(),
        [i32_const(0), i32_const(9), i32_const(4), vec![0xfc, 8, 1, 0]].concat(),
        [i32_const(1), vec![CALL_INDIRECT, 0, 0, DROP]].concat(),
        vec![0x42, 5, 0xb9, 0xaa, DROP],
        vec![0x23, 0],
    ]
    .concat();
    Module::new()
        .types(&[func_type(&[], &[I32]), func_type(&[I64, I32], &[])])
        .functions(&[0, 0])
        .items(4, 1, [FUNCREF, 1, 2, 20])
        .items(5, 1, [1, 1, 3])
        .items(6, 1, [vec![I32, 1], seven(), vec![END]].concat())
        .items(7, 2, [name("run"), vec![0, 0], name("memory"), vec![2, 0]].concat())
        .items(9, 1, [0, 0x41, 0, END, 2, 0, 1])
        .section(12, [2])
        .code(&[body(&[(1, I32)], &code), body(&[], &[0x41, 1])])
        .items(11, 2, [vec![0, 0x41, 0, END], name("hello"), vec![1], name("passive segment")].concat())
        .finish()
}

fn every_prefix_of_a_module() -> Vec<u8> {
    let module = varied();
    for len in 0..module.len() {
        super::outcome(&module[..len]);
    }
    module
}

fn every_byte_damaged() -> Vec<u8> {
    let module = varied();
    for position in 0..module.len() {
        for damage in [0x01u8, 0x40, 0x80, 0xff] {
            let mut damaged = module.clone();
            damaged[position] ^= damage;
            super::outcome(&damaged);
        }
    }
    module
}

fn empty_file() -> Vec<u8> {
    Vec::new()
}

fn only_a_header() -> Vec<u8> {
    Module::new().finish()
}

#[test]
fn the_writer_writes_signed_numbers_as_the_format_does() {
    assert_eq!(sleb(-1), [0x7f]);
    assert_eq!(sleb(64), [0xc0, 0]);
    assert_eq!(sleb(-65), [0xbf, 0x7f]);
}
