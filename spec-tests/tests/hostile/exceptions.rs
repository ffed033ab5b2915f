//! Hostile blocks that catch: many clauses, clauses that carry much, deep nests.

use super::cases::{repeat, seven};
use super::module::{END, I32, Module, body, func_type, indexed, leb, vector};
use super::opcode::*;

/// Values that exceptions with the tag [`WIDE`] carry.
const CARRIED: usize = 1_000;

/// A tag whose exceptions carry many values, and one whose exceptions carry none.
const WIDE: u64 = 0;
const EMPTY: u64 = 1;

/// Types 0: `[] -> [i32]`, 1: `[] -> [i32 × n]`. The function is of type 0.
fn with_tags(code: &[u8]) -> Vec<u8> {
    let wide = vec![I32; CARRIED];
    let types = [func_type(&[], &[I32]), func_type(&[], &wide), func_type(&wide, &[]), func_type(&[], &[])];
    Module::new()
        .types(&types)
        .functions(&[0])
        .items(13, 2, [0, 2, 0, 3])
        .export_run(0)
        .code(&[body(&[], code)])
        .finish()
}

/// `try_table` around `code`, with these clauses.
fn try_table(clauses: &[Vec<u8>], code: &[u8]) -> Vec<u8> {
    [vec![TRY_TABLE, VOID], vector(clauses.len() as u64, clauses.concat()), code.to_vec(), vec![END]].concat()
}

fn catch(tag: u64, label: u64) -> Vec<u8> {
    [vec![0], leb(tag), leb(label)].concat()
}

fn catch_all(label: u64) -> Vec<u8> {
    [vec![2], leb(label)].concat()
}

/// As many blocks with as many clauses, each of which carries a thousand values to a block around.
fn wide_clauses(blocks: usize, clauses: usize) -> Vec<u8> {
    let block = try_table(&vec![catch(WIDE, 0); clauses], &[]);
    let zeroes = repeat(&[0x41, 0], CARRIED);
    let code = [vec![BLOCK, 1], repeat(&block, blocks), zeroes, vec![END], repeat(&[DROP], CARRIED), seven()];
    with_tags(&code.concat())
}

pub fn ten_thousand_wide_clauses() -> Vec<u8> {
    wide_clauses(1, 10_000)
}

pub fn millions_of_wide_clauses() -> Vec<u8> {
    wide_clauses(200, 10_000)
}

/// As many blocks around a `throw`, of which the outermost alone catches.
fn thrown_out_of(depth: usize, open: &[u8]) -> Vec<u8> {
    let inner = [repeat(open, depth), indexed(THROW, EMPTY), repeat(&[END], depth)].concat();
    let code = [vec![BLOCK, VOID], try_table(&[catch_all(0)], &inner), vec![UNREACHABLE, END], seven()];
    with_tags(&code.concat())
}

pub fn throw_out_of_100_000_blocks_that_catch_nothing() -> Vec<u8> {
    thrown_out_of(100_000, &[TRY_TABLE, VOID, 0])
}

pub fn throw_out_of_100_000_legacy_blocks_that_catch_nothing() -> Vec<u8> {
    thrown_out_of(100_000, &[TRY, VOID])
}

/// A loop that throws in a block with 10,000 clauses, of which the last catches.
pub fn throws_behind_ten_thousand_clauses() -> Vec<u8> {
    let mut clauses = vec![catch(EMPTY + 1, 0); 9_999];
    clauses.push(catch_all(0));
    let throws = try_table(&clauses, &indexed(THROW, EMPTY));
    let code =
        [vec![LOOP, VOID, BLOCK, VOID], throws, vec![END], indexed(BR, 0), vec![END], seven()].concat();
    let types = [func_type(&[], &[I32]), func_type(&[], &[])];
    Module::new()
        .types(&types)
        .functions(&[0])
        .items(13, 3, [0, 1, 0, 1, 0, 1])
        .export_run(0)
        .code(&[body(&[], &code)])
        .finish()
}
