//! Slow paths that all tiers share: growth, bulk operations on memories and tables, and what makes objects.
//!
//! Each takes the context of the running instance and indices of its module. Fills and copies of memories, which
//! can take a second, look for requests of other threads as they go; the other operations, whose size is bounded by
//! the module's or by ten million elements, when they are done.

mod atomics;
mod objects;

use std::ops::Range;

pub use atomics::{memory_atomic_notify, memory_atomic_wait32, memory_atomic_wait64};
pub(super) use objects::store;
pub use objects::{
    array_copy, array_fill, array_init_data, array_init_elem, array_new, array_new_data, array_new_elem,
    exception_new, struct_new,
};

use super::context::VmContext;
use super::exec::ExecContext;
use super::memory::{GrowError, Memory};
use super::table::Table;
use crate::fuel;
use crate::trap::{Pending, Trap};

/// Bytes that a bulk operation handles between two polls.
const CHUNK: usize = 16 << 20;

/// Pays for a bulk operation on `amount` bytes.
unsafe fn charge(ctx: *mut VmContext, amount: u64) -> Result<(), Pending> {
    // SAFETY: the callers' promise: `ctx` is alive.
    unsafe {
        if VmContext::module(ctx).charges_fuel() {
            let exec = &mut *VmContext::exec(ctx);
            let left = exec.fuel.saturating_sub_unsigned(fuel::bulk_cost(amount));
            if left < 0 {
                return Err(Trap::OutOfFuel.into());
            }
            exec.fuel = left;
        }
        Ok(())
    }
}

/// Answers requests of other threads, if there are any.
///
/// # Safety
/// `exec` is alive.
#[inline]
pub unsafe fn poll(exec: *mut ExecContext) -> Result<(), Pending> {
    // SAFETY: the callers' promise.
    unsafe { if (*exec).value_limit() == 0 { ExecContext::poll_slow(exec, 0) } else { Ok(()) } }
}

/// −1, in as many bits as an address has.
fn failed(is_64: bool) -> u64 {
    if is_64 { u64::MAX } else { u32::MAX.into() }
}

/// `memory.grow`: the old size in pages, or −1 in the bits of an address when the memory did not grow.
///
/// # Safety
/// `ctx` is alive, its guest code is running, `memory` is a memory of its module. The same holds, each for
/// its indices, for every function of this module.
pub unsafe fn memory_grow(ctx: *mut VmContext, memory: u32, delta: u64) -> Result<u64, Pending> {
    // SAFETY: the caller's promise.
    unsafe {
        let memory = VmContext::memory(ctx, memory);
        let old = grow_memory(VmContext::exec(ctx), memory, delta)?;
        Ok(old.unwrap_or(failed((*memory).ty().is_64())))
    }
}

/// Grows a memory by `delta` pages with the consent of the store's limiter, which is told when it does not grow
/// all the same.
///
/// # Safety
/// `exec` and the memory are alive, and nothing borrows the memory; if it is shared, nothing does exclusively.
pub unsafe fn grow_memory(
    exec: *mut ExecContext,
    memory: *mut Memory,
    delta: u64,
) -> Result<Option<u64>, Pending> {
    // What the limiter allows is growth from the size that it is told: no other thread may grow the memory meanwhile.
    // SAFETY: the caller's promise.
    let growing = unsafe { (*memory).hold_growth() };
    // SAFETY: the caller's promise; the hooks do not touch the memory.
    let mut hooks = unsafe { (*exec).hooks() };
    if let Some(hooks) = &mut hooks {
        // SAFETY: the caller's promise.
        let (ty, pages, len) = unsafe { ((*memory).ty(), (*memory).pages(), (*memory).len()) };
        let bytes = |pages: u64| ty.bytes(pages).unwrap_or(usize::MAX);
        let desired = pages.saturating_add(delta);
        let allowed = hooks.memory_growing(len, bytes(desired), ty.maximum().map(bytes));
        if !allowed.map_err(Pending::Host)? {
            return Ok(None);
        }
    }
    let grown = match &growing {
        Some(growing) => growing.grow(delta),
        // SAFETY: the caller's promise.
        None => unsafe { (*memory).grow(delta) },
    };
    drop(growing);
    match (grown, hooks) {
        (Ok(old), _) => return Ok(Some(old)),
        (Err(error), Some(hooks)) => hooks.memory_grow_failed(error).map_err(Pending::Host)?,
        (Err(_), None) => {}
    }
    Ok(None)
}

/// `len` bytes or elements from `start` on, if there are as many.
pub(crate) fn inside(start: u64, len: u64, available: usize) -> Option<Range<usize>> {
    let end = start.checked_add(len).filter(|end| *end <= available as u64)?;
    Some(start as usize..end as usize)
}

/// `memory.fill`.
///
/// # Safety
/// See [`memory_grow`].
pub unsafe fn memory_fill(
    ctx: *mut VmContext,
    memory: u32,
    to: u64,
    value: u8,
    len: u64,
) -> Result<(), Pending> {
    // SAFETY: the caller's promise; the memory is borrowed only between polls.
    unsafe {
        let memory = VmContext::memory(ctx, memory);
        let range = inside(to, len, (*memory).len()).ok_or(Trap::MemoryOutOfBounds)?;
        charge(ctx, len)?;
        let end = range.end;
        for chunk in range.step_by(CHUNK) {
            (*memory).base().add(chunk).write_bytes(value, CHUNK.min(end - chunk));
            poll(VmContext::exec(ctx))?;
        }
        Ok(())
    }
}

/// `memory.copy`.
///
/// # Safety
/// See [`memory_grow`].
pub unsafe fn memory_copy(
    ctx: *mut VmContext,
    to_memory: u32,
    from_memory: u32,
    to: u64,
    from: u64,
    len: u64,
) -> Result<(), Pending> {
    // SAFETY: the caller's promise.
    unsafe {
        let (target, source) = (VmContext::memory(ctx, to_memory), VmContext::memory(ctx, from_memory));
        let to = inside(to, len, (*target).len()).ok_or(Trap::MemoryOutOfBounds)?.start;
        let from = inside(from, len, (*source).len()).ok_or(Trap::MemoryOutOfBounds)?.start;
        charge(ctx, len)?;
        let len = len as usize;
        // In chunks from the end that keeps an overlapping copy right.
        let upwards = target != source || to <= from;
        let mut done = 0;
        while done < len {
            let chunk = CHUNK.min(len - done);
            let at = if upwards { done } else { len - done - chunk };
            // A poll may have let a memory grow, and move.
            let (base, from_base) = ((*target).base(), (*source).base());
            std::ptr::copy(from_base.add(from + at), base.add(to + at), chunk);
            done += chunk;
            poll(VmContext::exec(ctx))?;
        }
        Ok(())
    }
}

/// `memory.init`.
///
/// # Safety
/// See [`memory_grow`].
pub unsafe fn memory_init(
    ctx: *mut VmContext,
    segment: u32,
    memory: u32,
    to: u64,
    from: u64,
    len: u64,
) -> Result<(), Pending> {
    // SAFETY: the caller's promise.
    unsafe {
        let instance = VmContext::instance(ctx);
        let (data, bytes) = ((*instance).data(segment).len(), (*VmContext::memory(ctx, memory)).len());
        inside(from, len, data).and_then(|_| inside(to, len, bytes)).ok_or(Trap::MemoryOutOfBounds)?;
        charge(ctx, len)?;
        (*instance).memory_init(segment, memory, to, from, len)?;
        poll(VmContext::exec(ctx))
    }
}

/// `data.drop`.
///
/// # Safety
/// See [`memory_grow`].
pub unsafe fn data_drop(ctx: *mut VmContext, segment: u32) {
    // SAFETY: the caller's promise.
    unsafe { (*VmContext::instance(ctx)).drop_data(segment) }
}

/// `table.grow`: the old length, or −1 in the bits of an index when the table did not grow.
///
/// # Safety
/// See [`memory_grow`]; `value` is in the representation of a slot.
pub unsafe fn table_grow(ctx: *mut VmContext, table: u32, value: u64, delta: u64) -> Result<u64, Pending> {
    // SAFETY: the caller's promise.
    unsafe {
        let table = VmContext::table(ctx, table);
        let (room, is_64) = ((*table).max_len().saturating_sub((*table).len()), (*table).ty().is_64());
        if delta <= room {
            charge(ctx, delta.saturating_mul(8))?;
        }
        let old = grow_table(VmContext::exec(ctx), table, value, delta)?;
        // The host may use the table meanwhile.
        poll(VmContext::exec(ctx))?;
        Ok(old.unwrap_or(failed(is_64)))
    }
}

/// Grows a table by `delta` elements with the consent of the store's limiter, which is told when it does not
/// grow all the same.
///
/// # Safety
/// `exec` and the table are alive, and nothing borrows the table; `value` is in the representation of a slot and of the table's
/// type.
pub unsafe fn grow_table(
    exec: *mut ExecContext,
    table: *mut Table,
    value: u64,
    delta: u64,
) -> Result<Option<u64>, Pending> {
    // SAFETY: the caller's promise.
    let (len, most, maximum) = unsafe { ((*table).len(), (*table).max_len(), (*table).ty().limits.max) };
    let desired = len.saturating_add(delta);
    // SAFETY: the caller's promise; the hooks do not touch the table.
    let mut hooks = unsafe { (*exec).hooks() };
    if let Some(hooks) = &mut hooks {
        let allowed = hooks.table_growing(len as usize, desired as usize, maximum.map(|max| max as usize));
        if !allowed.map_err(Pending::Host)? {
            return Ok(None);
        }
    }
    let why_not = if desired > most { GrowError::Maximum } else { GrowError::System };
    // SAFETY: the caller's promise.
    match (unsafe { (*table).grow(exec, delta, value) }, hooks) {
        (Some(old), _) => return Ok(Some(old)),
        (None, Some(hooks)) => hooks.table_grow_failed(why_not).map_err(Pending::Host)?,
        (None, None) => {}
    }
    Ok(None)
}

/// `table.get`.
///
/// # Safety
/// See [`memory_grow`].
pub unsafe fn table_get(ctx: *mut VmContext, table: u32, index: u64) -> Result<u64, Pending> {
    // SAFETY: the caller's promise.
    let table = unsafe { &mut *VmContext::table(ctx, table) };
    Ok(table.get(index).ok_or(Trap::TableOutOfBounds)?)
}

/// `table.set`.
///
/// # Safety
/// See [`table_grow`].
pub unsafe fn table_set(ctx: *mut VmContext, table: u32, index: u64, value: u64) -> Result<(), Pending> {
    // SAFETY: the caller's promise.
    unsafe { Ok((*VmContext::table(ctx, table)).set(VmContext::exec(ctx), index, value)?) }
}

/// `table.size`.
///
/// # Safety
/// See [`memory_grow`].
pub unsafe fn table_size(ctx: *mut VmContext, table: u32) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { (*VmContext::table(ctx, table)).len() }
}

/// `table.fill`.
///
/// # Safety
/// See [`table_grow`].
pub unsafe fn table_fill(
    ctx: *mut VmContext,
    table: u32,
    start: u64,
    value: u64,
    len: u64,
) -> Result<(), Pending> {
    // SAFETY: the caller's promise.
    unsafe {
        let table = &mut *VmContext::table(ctx, table);
        inside(start, len, table.len() as usize).ok_or(Trap::TableOutOfBounds)?;
        charge(ctx, len.saturating_mul(8))?;
        table.fill(VmContext::exec(ctx), start, value, len)?;
        poll(VmContext::exec(ctx))
    }
}

/// `table.copy`.
///
/// # Safety
/// See [`memory_grow`].
pub unsafe fn table_copy(
    ctx: *mut VmContext,
    to_table: u32,
    from_table: u32,
    to: u64,
    from: u64,
    len: u64,
) -> Result<(), Pending> {
    // SAFETY: the caller's promise.
    unsafe {
        let (to_table, from_table) = (VmContext::table(ctx, to_table), VmContext::table(ctx, from_table));
        for (table, start) in [(to_table, to), (from_table, from)] {
            inside(start, len, (*table).len() as usize).ok_or(Trap::TableOutOfBounds)?;
        }
        charge(ctx, len.saturating_mul(8))?;
        let exec = VmContext::exec(ctx);
        Table::copy(exec, to_table, to, from_table, from, len)?;
        poll(exec)
    }
}

/// `table.init`.
///
/// # Safety
/// See [`memory_grow`].
pub unsafe fn table_init(
    ctx: *mut VmContext,
    segment: u32,
    table: u32,
    to: u64,
    from: u64,
    len: u64,
) -> Result<(), Pending> {
    // SAFETY: the caller's promise.
    unsafe {
        let instance = VmContext::instance(ctx);
        let (elements, length) =
            ((*instance).elements().len(ctx, segment), (*VmContext::table(ctx, table)).len() as usize);
        inside(from, len, elements).and_then(|_| inside(to, len, length)).ok_or(Trap::TableOutOfBounds)?;
        charge(ctx, len.saturating_mul(8))?;
        (*instance).table_init(segment, table, to, from, len)?;
        poll(VmContext::exec(ctx))
    }
}

/// `elem.drop`.
///
/// # Safety
/// See [`memory_grow`].
pub unsafe fn elem_drop(ctx: *mut VmContext, segment: u32) {
    // SAFETY: the caller's promise.
    unsafe { (*VmContext::instance(ctx)).drop_elements(segment) }
}
