//! Hostile function bodies: deep nesting, wide branches, deep stacks, and code that never ends.

use super::cases::{repeat, returning, seven};
use super::module::{END, FUNCREF, I32, I64, Module, body, func_type, i32_const, indexed, leb, vector};
use super::opcode::*;

fn nested(open: &[u8], close: &[u8]) -> Vec<u8> {
    let depth = 100_000;
    returning(&[repeat(open, depth), repeat(close, depth), seven()].concat())
}

pub fn nested_blocks() -> Vec<u8> {
    nested(&[BLOCK, VOID], &[END])
}

pub fn nested_loops() -> Vec<u8> {
    nested(&[LOOP, VOID], &[END])
}

/// Each has something of its own before the next.
pub fn infinite_loop_in_50_000_loops() -> Vec<u8> {
    let depth = 50_000;
    let count = [GET, 0, 0x41, 1, ADD, SET, 0];
    let nest =
        [repeat(&[[LOOP, VOID].as_slice(), &count].concat(), depth), [BR, 0].into(), repeat(&[END], depth)];
    Module::of_one(&[], &[I32], &[(1, I32)], &[nest.concat(), seven()].concat())
}

fn chain_of_64_bits(opcode: u8) -> Vec<u8> {
    let chain = repeat(&[GET, 0, opcode], 80_000);
    Module::of_one(&[], &[I32], &[(1, I64)], &[vec![GET, 0], chain, vec![DROP], seven()].concat())
}

pub fn sum_of_80_000_terms() -> Vec<u8> {
    chain_of_64_bits(ADD_64)
}

pub fn union_of_80_000_terms() -> Vec<u8> {
    chain_of_64_bits(OR_64)
}

pub fn nested_ifs() -> Vec<u8> {
    nested(&[0x41, 1, IF, VOID], &[END])
}

pub fn nested_ifs_with_else() -> Vec<u8> {
    nested(&[0x41, 0, IF, VOID, ELSE], &[END])
}

pub fn nested_blocks_never_closed() -> Vec<u8> {
    returning(&repeat(&[BLOCK, VOID], 100_000))
}

pub fn branch_out_of_100_000_blocks() -> Vec<u8> {
    let depth = 100_000;
    let code = [repeat(&[BLOCK, VOID], depth), indexed(BR, depth as u64 - 1), repeat(&[END], depth), seven()]
        .concat();
    returning(&code)
}

fn br_table(count: u64, target: impl Fn(u64) -> u64) -> Vec<u8> {
    let labels: Vec<u8> = (0..=count).flat_map(|i| leb(target(i))).collect();
    [vec![BR_TABLE], vector(count, labels)].concat()
}

pub fn br_table_of_a_million() -> Vec<u8> {
    let table = br_table(1_000_000, |i| i % 2);
    let code = [vec![BLOCK, VOID, BLOCK, VOID], i32_const(77), table, vec![END, END], seven()].concat();
    returning(&code)
}

fn consts(count: usize) -> Vec<u8> {
    (0..count as i64).flat_map(i32_const).collect()
}

/// Types 0: `[] -> [i32]`, 1: `[] -> [i32 × n]`, 2: `[i32 × n] -> [i32 × n]`.
fn with_wide_types(n: usize, locals: &[(u64, u8)], code: &[u8]) -> Vec<u8> {
    let wide = vec![I32; n];
    Module::new()
        .types(&[func_type(&[], &[I32]), func_type(&[], &wide), func_type(&wide, &wide)])
        .functions(&[0])
        .export_run(0)
        .code(&[body(locals, code)])
        .finish()
}

/// 2,000 blocks that yield 1,000 values each, and a table that names each of them.
pub fn br_table_to_blocks_with_many_results() -> Vec<u8> {
    let (depth, width) = (2_000, 1_000);
    let code = [
        repeat(&[BLOCK, 1], depth),
        consts(width),
        i32_const(1_000),
        br_table(depth as u64 - 1, |i| i),
        repeat(&[END], depth),
        repeat(&[DROP], width),
        seven(),
    ];
    with_wide_types(width, &[], &code.concat())
}

/// 20,000 times the same loop header with 1,000 parameters in one table, and a way out of the loop.
pub fn br_table_to_loops_with_many_params() -> Vec<u8> {
    let width = 1_000;
    let table = br_table(20_000, |i| if i == 3 { 1 } else { 0 });
    let code = [
        consts(width),
        vec![BLOCK, 2, LOOP, 2],
        i32_const(3),
        table,
        vec![END, END],
        repeat(&[DROP], width),
        seven(),
    ];
    with_wide_types(width, &[], &code.concat())
}

/// A table of five million entries, each of which carries 1,000 values.
pub fn br_table_of_millions_to_a_wide_block() -> Vec<u8> {
    let width = 1_000;
    let code = [
        vec![BLOCK, 1],
        consts(width),
        i32_const(0),
        br_table(5_000_000, |_| 0),
        vec![END],
        repeat(&[DROP], width),
        seven(),
    ];
    with_wide_types(width, &[], &code.concat())
}

/// A million blocks, each of which takes and gives 1,000 values.
pub fn million_wide_blocks() -> Vec<u8> {
    let width = 1_000;
    let code = [consts(width), repeat(&[BLOCK, 2, END], 1_000_000), repeat(&[DROP], width), seven()];
    with_wide_types(width, &[], &code.concat())
}

/// A million branches that are never taken, each of which would carry 1,000 values.
pub fn million_wide_branches() -> Vec<u8> {
    let width = 1_000;
    let branch = [i32_const(0), vec![BR_IF, 0]].concat();
    let code = [
        vec![BLOCK, 1],
        consts(width),
        repeat(&branch, 1_000_000),
        vec![END],
        repeat(&[DROP], width),
        seven(),
    ];
    with_wide_types(width, &[], &code.concat())
}

/// Ten thousand blocks of 1,000 values: wide, but not out of proportion.
pub fn ten_thousand_wide_blocks() -> Vec<u8> {
    let width = 1_000;
    let code = [consts(width), repeat(&[BLOCK, 2, END], 10_000), repeat(&[DROP], width), seven()];
    with_wide_types(width, &[], &code.concat())
}

pub fn br_table_of_lying_length() -> Vec<u8> {
    returning(&[i32_const(0), vec![BR_TABLE], leb(0xffff_ffff), vec![0, 0]].concat())
}

pub fn thousand_params() -> Vec<u8> {
    let sum: Vec<u8> = (0..1_000).flat_map(|i| [indexed(GET, i), vec![ADD]].concat()).collect();
    Module::of_one(&[I32; 1_000], &[I32], &[], &[i32_const(0), sum].concat())
}

pub fn thousand_and_one_params() -> Vec<u8> {
    Module::of_one(&[I32; 1_001], &[I32], &[], &seven())
}

pub fn thousand_results() -> Vec<u8> {
    let wide = vec![I32; 1_000];
    Module::new()
        .types(&[func_type(&[], &wide)])
        .functions(&[0, 0])
        .export_run(0)
        .code(&[body(&[], &[CALL, 1]), body(&[], &consts(1_000))])
        .finish()
}

fn deep_operands(count: usize) -> Vec<u8> {
    returning(&[repeat(&i32_const(1), count), repeat(&[ADD], count - 1)].concat())
}

pub fn operand_stack_100_000_deep() -> Vec<u8> {
    deep_operands(100_000)
}

pub fn operand_stack_30_000_deep() -> Vec<u8> {
    deep_operands(30_000)
}

fn with_initialiser(expression: &[u8]) -> Vec<u8> {
    Module::new()
        .types(&[func_type(&[], &[I32])])
        .functions(&[0])
        .items(6, 1, [&[I32, 0], expression, &[END]].concat())
        .export_run(0)
        .code(&[body(&[], &[0x23, 0])])
        .finish()
}

pub fn initialiser_of_100_000_instructions() -> Vec<u8> {
    with_initialiser(&[i32_const(1), repeat(&[0x41, 1, ADD], 50_000)].concat())
}

pub fn initialiser_100_000_deep() -> Vec<u8> {
    with_initialiser(&[repeat(&i32_const(1), 100_000), repeat(&[ADD], 99_999)].concat())
}

/// Three bytes per block make the validator and the translator move a thousand values twice.
pub fn multi_value_blocks_by_type_index() -> Vec<u8> {
    let width = 1_000;
    let code = [
        consts(width),
        repeat(&[BLOCK, 2, END], 30_000),
        repeat(&[DROP], width - 2),
        vec![SET, 0, DROP, GET, 0],
    ];
    with_wide_types(width, &[(1, I32)], &code.concat())
}

pub fn multi_value_blocks_in_dead_code() -> Vec<u8> {
    let width = 1_000;
    let code = [seven(), vec![RETURN], repeat(&[BLOCK, 2, END], 20_000), vec![RETURN]];
    with_wide_types(width, &[], &code.concat())
}

/// Thousands of `local.get` wait on the operand stack while another local is set a million times: a
/// translator that looks through the stack at each `local.set` never gets done.
fn under_pending_locals(change: &[u8]) -> Vec<u8> {
    let deep = 20_000;
    let code = [repeat(&[GET, 0], deep), repeat(change, 1_000_000), repeat(&[DROP], deep), seven()];
    Module::of_one(&[], &[I32], &[(2, I32)], &code.concat())
}

pub fn local_sets_under_pending_locals() -> Vec<u8> {
    under_pending_locals(&[0x41, 3, SET, 1])
}

pub fn local_tees_under_pending_locals() -> Vec<u8> {
    under_pending_locals(&[GET, 1, 0x22, 1, DROP])
}

pub fn million_drops() -> Vec<u8> {
    returning(&[repeat(&[0x41, 0, DROP], 1_000_000), seven()].concat())
}

pub fn million_instructions_of_dead_code() -> Vec<u8> {
    returning(&[seven(), vec![RETURN], repeat(&[0x41, 1, ADD, 0x45], 1_000_000)].concat())
}

pub fn long_function_of_folded_constants() -> Vec<u8> {
    let add_to_local = [GET, 0, 0x41, 1, ADD, SET, 0];
    Module::of_one(&[], &[I32], &[(1, I32)], &[repeat(&add_to_local, 500_000), vec![GET, 0]].concat())
}

pub fn infinite_recursion() -> Vec<u8> {
    returning(&[CALL, 0])
}

pub fn infinite_recursion_with_thousand_params() -> Vec<u8> {
    let pass: Vec<u8> = (0..1_000).flat_map(|i| indexed(GET, i)).collect();
    Module::of_one(&[I32; 1_000], &[I32], &[], &[pass, vec![CALL, 0]].concat())
}

/// Two functions in a table; each calls the other through it.
fn mutual_by_table(call: u8) -> Vec<u8> {
    Module::new()
        .types(&[func_type(&[], &[I32])])
        .functions(&[0, 0])
        .items(4, 1, [FUNCREF, 0, 2])
        .export_run(0)
        .items(9, 1, [0, 0x41, 0, END, 2, 0, 1])
        .code(&[body(&[], &[0x41, 1, call, 0, 0]), body(&[], &[0x41, 0, call, 0, 0])])
        .finish()
}

pub fn infinite_mutual_recursion_by_call_indirect() -> Vec<u8> {
    mutual_by_table(CALL_INDIRECT)
}

pub fn infinite_return_call_indirect() -> Vec<u8> {
    mutual_by_table(0x13)
}

pub fn infinite_loop() -> Vec<u8> {
    returning(&[LOOP, I32, BR, 0, END])
}

fn with_start(code: &[u8]) -> Vec<u8> {
    Module::new()
        .types(&[func_type(&[], &[I32]), func_type(&[], &[])])
        .functions(&[0, 1])
        .export_run(0)
        .section(8, [1])
        .code(&[body(&[], &seven()), body(&[], code)])
        .finish()
}

pub fn infinite_loop_in_start() -> Vec<u8> {
    with_start(&[LOOP, VOID, BR, 0, END])
}

pub fn infinite_recursion_in_start() -> Vec<u8> {
    with_start(&[CALL, 1])
}

pub fn unreachable_in_start() -> Vec<u8> {
    with_start(&[0])
}

pub fn infinite_return_call() -> Vec<u8> {
    returning(&[RETURN_CALL, 0])
}

/// A function of none and one of a thousand parameters call each other in tail position.
pub fn infinite_return_call_of_different_arity() -> Vec<u8> {
    Module::new()
        .types(&[func_type(&[], &[I32]), func_type(&[I32; 1_000], &[I32])])
        .functions(&[0, 1])
        .export_run(0)
        .code(&[body(&[], &[consts(1_000), vec![RETURN_CALL, 1]].concat()), body(&[], &[RETURN_CALL, 0])])
        .finish()
}
