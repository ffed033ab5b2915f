//! Waits and notifications of the threads that share a memory.

use std::time::Duration;

use super::super::context::VmContext;
use super::super::exec::ExecContext;
use super::super::shared::{Expected, atomic_place, wait};
use super::poll;
use crate::trap::Pending;

/// `memory.atomic.notify`: how many threads it has woken.
///
/// # Safety
/// See [`memory_grow`](super::memory_grow).
pub unsafe fn memory_atomic_notify(
    ctx: *mut VmContext,
    memory: u32,
    address: u64,
    offset: u64,
    count: u32,
) -> Result<u64, Pending> {
    // SAFETY: the caller's promise.
    let memory = unsafe { &*VmContext::memory(ctx, memory) };
    let at = atomic_place(memory, address, offset, 4)?;
    // Nobody waits at what nobody else has.
    Ok(memory.sharing().map_or(0, |sharing| sharing.notify(at, count)).into())
}

/// `memory.atomic.wait32`: how the wait has ended. A negative time does not pass; others are nanoseconds.
///
/// # Safety
/// See [`memory_grow`](super::memory_grow).
pub unsafe fn memory_atomic_wait32(
    ctx: *mut VmContext,
    memory: u32,
    address: u64,
    offset: u64,
    expected: u32,
    timeout: i64,
) -> Result<u64, Pending> {
    // SAFETY: the caller's promise.
    unsafe { wait_at(ctx, memory, address, offset, Expected::Word32(expected), timeout) }
}

/// `memory.atomic.wait64`, as [`memory_atomic_wait32`].
///
/// # Safety
/// See [`memory_grow`](super::memory_grow).
pub unsafe fn memory_atomic_wait64(
    ctx: *mut VmContext,
    memory: u32,
    address: u64,
    offset: u64,
    expected: u64,
    timeout: i64,
) -> Result<u64, Pending> {
    // SAFETY: the caller's promise.
    unsafe { wait_at(ctx, memory, address, offset, Expected::Word64(expected), timeout) }
}

unsafe fn wait_at(
    ctx: *mut VmContext,
    memory: u32,
    address: u64,
    offset: u64,
    expected: Expected,
    timeout: i64,
) -> Result<u64, Pending> {
    // SAFETY: the caller's promise. A shared memory lives as long as an instance that has it.
    unsafe {
        let (exec, memory): (*mut ExecContext, _) = (VmContext::exec(ctx), &*VmContext::memory(ctx, memory));
        let at = atomic_place(memory, address, offset, expected.bytes())?;
        let timeout = u64::try_from(timeout).ok().map(Duration::from_nanos);
        let target = (*exec).target().clone();
        let waited = wait(memory, at, expected, timeout, Some(&target), || poll(exec))?;
        Ok(waited as u64)
    }
}
