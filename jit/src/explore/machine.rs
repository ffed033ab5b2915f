//! Machine code as lines, with its jump tables and constants told from its instructions.
//!
//! Jump tables stand behind the jump that reads them, constants behind all code. Neither is marked in the code, but
//! where blocks begin is known: a table is what the code takes the address of, its entries lead to blocks, and it ends
//! where the next block begins.

use std::collections::BTreeSet;
use std::fmt;

use iced_x86::{Decoder, DecoderOptions, Formatter, Instruction, IntelFormatter, Mnemonic};

use super::Line;
use super::Listing;
use crate::compile::CompiledFunction;
use crate::trap::code::trap_of;

/// Bytes of data in a line.
const ROW: usize = 16;

/// The lines of a function whose blocks begin at these offsets, in ascending order.
pub(super) fn lines(function: &CompiledFunction, blocks: &[u32]) -> Vec<Line> {
    let mut listing = Listing::default();
    // A text that is too long ends early, and says so.
    let _ = list(function, blocks, &mut listing);
    listing.lines
}

/// Adds bytes that are no instructions, or that nobody here can read. Rows begin where vectors do.
fn data(function: &CompiledFunction, at: usize, listing: &mut Listing) -> fmt::Result {
    let mut rest = &function.code[at..];
    let mut at = at;
    while !rest.is_empty() {
        let (row, behind) = rest.split_at(rest.len().min(ROW - at % ROW));
        let bytes: Vec<_> = row.iter().map(|byte| format!("{byte:02x}")).collect();
        listing.push(Some(at as u32), None, format!("data {}", bytes.join(" ")))?;
        (rest, at) = (behind, at + row.len());
    }
    Ok(())
}

fn list(function: &CompiledFunction, blocks: &[u32], listing: &mut Listing) -> fmt::Result {
    let code = &function.code[..];
    let mut formatter = IntelFormatter::new();
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_branch_leading_zeros(false);
    options.set_space_after_operand_separator(true);
    options.set_rip_relative_addresses(true);
    let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
    let mut instruction = Instruction::default();
    // Places that the code takes the addresses of.
    let mut tables = BTreeSet::new();
    // There is code up to here at least.
    let last = function.traps.last().map_or(0, |(at, _)| *at).max(blocks.last().copied().unwrap_or(0));
    while decoder.can_decode() {
        let at = decoder.position() as u32;
        if tables.contains(&at) {
            let end = table(function, blocks, at, listing)?;
            if end > last {
                return data(function, end as usize, listing);
            }
            decoder.set_ip(end.into());
            if decoder.set_position(end as usize).is_err() {
                break;
            }
            if end > at {
                continue;
            }
        }
        decoder.decode_out(&mut instruction);
        if instruction.mnemonic() == Mnemonic::Lea && instruction.is_ip_rel_memory_operand() {
            tables.extend(u32::try_from(instruction.ip_rel_memory_address()));
        }
        let next = decoder.position() as u32;
        let mut text = String::new();
        formatter.format(&instruction, &mut text);
        if let Some(trap) = trap(function, at, next) {
            text.push_str("  ; traps: ");
            text.push_str(trap);
        }
        listing.push(Some(at), function.outwards(at).last(), text)?;
        if at >= last && !goes_on(&instruction) && !tables.contains(&next) {
            return data(function, next as usize, listing);
        }
    }
    Ok(())
}

/// Whether code may go on behind an instruction.
fn goes_on(instruction: &Instruction) -> bool {
    !matches!(instruction.mnemonic(), Mnemonic::Jmp | Mnemonic::Ret | Mnemonic::Ud2)
}

/// Adds the entries of the jump table at `at`, and says where it ends. They are relative to its beginning.
fn table(
    function: &CompiledFunction,
    blocks: &[u32],
    at: u32,
    listing: &mut Listing,
) -> Result<u32, fmt::Error> {
    let next = blocks.get(blocks.partition_point(|block| *block <= at));
    let end = next.map_or(function.code.len(), |block| *block as usize);
    let (entries, _) = function.code[at as usize..end].as_chunks();
    let mut here = at;
    for entry in entries {
        let target = at.wrapping_add_signed(i32::from_le_bytes(*entry));
        if blocks.binary_search(&target).is_err() {
            break;
        }
        listing.push(Some(here), function.outwards(here).last(), format!("table entry -> {target:#x}"))?;
        here += entry.len() as u32;
    }
    Ok(here)
}

/// What the instruction at `at` traps for.
fn trap(function: &CompiledFunction, at: u32, next: u32) -> Option<&'static str> {
    let (offset, code) = function.traps.get(function.traps.partition_point(|(offset, _)| *offset < at))?;
    trap_of(*code).filter(|_| *offset < next).map(|trap| trap.message())
}
