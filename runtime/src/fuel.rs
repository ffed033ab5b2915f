//! What fuel costs: a table per instruction and the points at which it is charged.
//!
//! Fuel is prepaid per *segment*, a straight line of instructions from one charge point to the next.
//! Charge points are the function entry, a loop header, and what follows an `if`, `else`, `br_if`,
//! `br_table`, a call, `catch` or `catch_all`, an `end` that is branched to, and the `end` or `delegate` of a `try_table` or
//! `try`. The clauses of a `try_table` count as branches to their labels. At a charge point the cost of the whole segment is
//! subtracted before any of it runs; when less than that is left the guest stops with "out of fuel".
//! At a loop header the poll comes first and the charge second. All tiers charge the same amounts at the
//! same points, so that what remains is the same everywhere.
//!
//! Bulk instructions cost one more unit for each [`BULK_UNIT`] bytes or elements, charged before anything is changed. What is out
//! of bounds is a trap before that, and costs nothing more; neither does a table that cannot grow so far.

use wasmparser::Operator;

use crate::module::Module;

/// Bytes (or elements, times eight) that a bulk instruction handles for one unit of fuel.
pub const BULK_UNIT: u64 = 64;

/// Fuel that one instruction costs. Structure that makes no code is free, but for what catches: whoever throws may have to look
/// at all of it. So a `try` costs [`CLAUSE`] more for each `catch` and `catch_all` that belongs to it. As those come later, it is they
/// that add it to the segment of the `try`.
pub fn cost(operator: &Operator<'_>, module: &Module) -> u32 {
    match *operator {
        Operator::TryTable { ref try_table } => 1 + CLAUSE * try_table.catches.len() as u32,
        Operator::StructNewDefault { struct_type_index } => {
            let bytes = module.struct_layout(struct_type_index).bytes;
            // A part of what fits 32 bits.
            1 + bulk_cost(bytes.into()) as u32
        }
        Operator::Nop
        | Operator::Block { .. }
        | Operator::Loop { .. }
        | Operator::Else
        | Operator::End
        | Operator::Catch { .. }
        | Operator::CatchAll
        | Operator::Delegate { .. }
        | Operator::Drop => 0,
        _ => 1,
    }
}

/// Fuel that a block that catches costs for each of its clauses.
pub const CLAUSE: u32 = 1;

/// Fuel that a bulk instruction costs on top for `amount` bytes.
pub fn bulk_cost(amount: u64) -> u64 {
    amount / BULK_UNIT
}
