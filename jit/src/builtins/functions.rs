//! What the slow paths do that compiled code calls by [number](super::Builtin).
#![allow(unsafe_code)]

use std::{mem, ptr};

use wasmrun_runtime::trap::{Pending, Status, Trap};
use wasmrun_runtime::vm::{ExecContext, FuncRef, HostCall, HostFunc, Polling, VmContext, builtins};

use super::Builtin;
use crate::calls::way_out;
use crate::references;
use crate::stubs::{self, poll, raise, raise_in_caller};
use crate::trap::current_exec;

/// What a builtin returns, in the two registers for results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Pair {
    /// 0, or the number of another [`Status`].
    pub status: u64,
    /// The result, if there is one.
    pub value: u64,
}

struct Table([*const u8; Builtin::ALL.len()]);

// SAFETY: addresses of functions.
unsafe impl Sync for Table {}

static TABLE: Table = Table({
    let mut table = [ptr::null(); Builtin::ALL.len()];
    let mut number = 0;
    while number < table.len() {
        table[number] = function(Builtin::ALL[number]);
        number += 1;
    }
    table
});

/// The table that [`NativeWords::builtins`](wasmrun_runtime::vm::NativeWords) points at.
pub fn table() -> *const *const u8 {
    TABLE.0.as_ptr()
}

/// The function itself.
pub const fn function(builtin: Builtin) -> *const u8 {
    match builtin {
        Builtin::Poll => poll as *const u8,
        Builtin::Raise => raise as *const u8,
        Builtin::CallHost => call_host as *const u8,
        Builtin::MemoryGrow => memory_grow as *const u8,
        Builtin::MemoryFill => memory_fill as *const u8,
        Builtin::MemoryCopy => memory_copy as *const u8,
        Builtin::MemoryInit => memory_init as *const u8,
        Builtin::DataDrop => data_drop as *const u8,
        Builtin::TableGet => table_get as *const u8,
        Builtin::TableSet => table_set as *const u8,
        Builtin::TableGrow => table_grow as *const u8,
        Builtin::TableSize => table_size as *const u8,
        Builtin::TableFill => table_fill as *const u8,
        Builtin::TableCopy => table_copy as *const u8,
        Builtin::TableInit => table_init as *const u8,
        Builtin::ElemDrop => elem_drop as *const u8,
        Builtin::RefFunc => ref_func as *const u8,
        Builtin::TableCallee => stubs::table_callee as *const u8,
        Builtin::StructNew => stubs::struct_new as *const u8,
        Builtin::ArrayNew => stubs::array_new as *const u8,
        Builtin::ArrayNewData => stubs::array_new_data as *const u8,
        Builtin::ArrayNewElem => stubs::array_new_elem as *const u8,
        Builtin::ArrayInitData => array_init_data as *const u8,
        Builtin::ArrayInitElem => array_init_elem as *const u8,
        Builtin::ArrayCopy => array_copy as *const u8,
        Builtin::ArrayFill => array_fill as *const u8,
        Builtin::Throw => throw as *const u8,
        Builtin::RaiseInCaller => raise_in_caller as *const u8,
        Builtin::PollValues => poll_values as *const u8,
        Builtin::MoveBytes => libc::memmove as *const u8,
        Builtin::SetBytes => libc::memset as *const u8,
        Builtin::MemoryAtomicNotify => memory_atomic_notify as *const u8,
        Builtin::MemoryAtomicWait32 => memory_atomic_wait32 as *const u8,
        Builtin::MemoryAtomicWait64 => memory_atomic_wait64 as *const u8,
    }
}

/// Leaves the reason of a failure pending.
unsafe fn finish(vmctx: *mut VmContext, result: Result<u64, Pending>) -> Pair {
    match result {
        Ok(value) => Pair { status: Status::Ok as u64, value },
        Err(pending) => {
            // SAFETY: the caller's promise: the context is alive.
            unsafe { (*VmContext::exec(vmctx)).set_pending(pending) };
            Pair { status: Status::Trap as u64, value: 0 }
        }
    }
}

/// `Poll`, with the stack pointer of the code that polls. Returns the execution context if the code must not go on,
/// and null otherwise.
pub(crate) unsafe extern "C" fn poll_at(sp: usize) -> *mut ExecContext {
    let exec = current_exec();
    // SAFETY: called by running code of the current context.
    unsafe {
        match try_poll(exec, sp) {
            Ok(way_out) => {
                (*exec).native.way_out = way_out;
                ptr::null_mut()
            }
            Err(pending) => {
                (*exec).set_pending(pending);
                exec
            }
        }
    }
}

/// The way out, if there is to be one.
unsafe fn try_poll(exec: *mut ExecContext, sp: usize) -> Result<*const u8, Pending> {
    // SAFETY: as for `poll_at`; the code has said where it is.
    unsafe {
        // Only code whose frames can leave has said where it is.
        let polling = &mut (*exec).native.polling;
        let Polling { vmctx, function, at } =
            Polling { vmctx: mem::replace(&mut polling.vmctx, ptr::null_mut()), ..*polling };
        ExecContext::poll_slow(exec, 0)?;
        if sp < (*exec).native_floor() {
            return Err(Trap::StackOverflow.into());
        }
        match (*exec).native.entries.leaves.filter(|_| !vmctx.is_null()) {
            Some(leaves) if leaves(exec, vmctx, function, at) => Ok(way_out(exec, vmctx, function, at)?),
            _ => {
                if at == 0 && !vmctx.is_null() {
                    // A header is polled again when the code goes on.
                    (*exec).poll_soon();
                }
                Ok(ptr::null())
            }
        }
    }
}

unsafe extern "C" fn throw(vmctx: *mut VmContext, exception: u64) -> Pair {
    // SAFETY: the context is alive.
    unsafe {
        let thrown = (*VmContext::exec(vmctx)).throw(exception as u32);
        finish(vmctx, Err(thrown.unwrap_or_else(Pending::Trap)))
    }
}

unsafe extern "C" fn poll_values(vmctx: *mut VmContext, end: usize) -> Pair {
    // SAFETY: the context is alive.
    unsafe { finish(vmctx, ExecContext::poll_slow(VmContext::exec(vmctx), end).map(|()| 0)) }
}

unsafe extern "C" fn call_host(
    vmctx: *mut VmContext,
    func_ref: *const FuncRef,
    slots: *mut u64,
    frame: *const usize,
) -> Pair {
    // SAFETY: the `to_host` stub passes the reference that it was called by and its own frame, whose first two
    // words are the caller's frame pointer and the address in the caller.
    unsafe {
        let exec = if vmctx.is_null() { current_without_caller() } else { VmContext::exec(vmctx) };
        // Two pushes have just written them: one load of both, which is what the compiler makes of plain reads, would
        // have to wait until they have arrived in memory.
        (*exec).native.exit_fp = frame.read_volatile();
        (*exec).native.exit_pc = frame.add(1).read_volatile();
        let host = &*(*func_ref).host;
        let result = match host.slots().ref_shared() {
            0 => {
                let call = HostCall { exec, caller: vmctx, values: slots, references: (*exec).ref_top };
                // The slots are in the frame of the stub: the value stack is free from where it was.
                host.call_caught(call, (*exec).value_top)
            }
            _ => call_with_references(exec, vmctx, host, slots),
        };
        // It may have taken long.
        let status = match result.and_then(|()| builtins::poll(exec)) {
            Ok(()) => Status::Ok,
            Err(pending) => {
                (*exec).set_pending(pending);
                Status::Trap
            }
        };
        Pair { status: status as u64, value: exec as u64 }
    }
}

/// The execution context for a function of the host that no function of WebAssembly has called.
#[cold]
#[inline(never)]
fn current_without_caller() -> *mut ExecContext {
    current_exec()
}

/// Calls a function of the host that takes or gives collected references, which are among the slots of values.
#[inline(never)]
unsafe fn call_with_references(
    exec: *mut ExecContext,
    caller: *mut VmContext,
    host: &HostFunc,
    slots: *mut u64,
) -> Result<(), Pending> {
    // SAFETY: the slots hold the function's arguments and have room for its results.
    unsafe {
        let references = (*exec).ref_top;
        let end = references.wrapping_add(host.slots().ref_shared() as usize);
        if end as usize > (*exec).ref_limit {
            return Err(Trap::StackOverflow.into());
        }
        references::separate(host.ty().params(), slots, references);
        let call = HostCall { exec, caller, values: slots, references };
        host.call_caught(call, (*exec).value_top)?;
        references::join(host.ty().results(), slots, references);
        Ok(())
    }
}

/// Defines builtins whose work the runtime does. Behind each argument stands the function that makes what the
/// runtime takes of its word.
macro_rules! forward {
    ($($name:ident($($arg:ident: $take:ident),*) = $function:expr;)*) => {
        $(pub(crate) unsafe extern "C" fn $name(vmctx: *mut VmContext, $($arg: u64),*) -> Pair {
            let forward = || -> Result<u64, Pending> {
                $(let $arg = $take($arg)?;)*
                // SAFETY: called by running code of the context, with indices of its module.
                Outcome::word(unsafe { $function(vmctx, $($arg),*) })
            };
            let result = forward();
            // SAFETY: the context is alive.
            unsafe { finish(vmctx, result) }
        })*
    };
}

forward! {
    memory_grow(memory: index, by: whole) = builtins::memory_grow;
    memory_fill(memory: index, to: whole, value: byte, len: whole) = builtins::memory_fill;
    memory_copy(to_memory: index, from_memory: index, to: whole, from: whole, len: whole)
        = builtins::memory_copy;
    memory_init(segment: index, memory: index, to: whole, from: whole, len: whole)
        = builtins::memory_init;
    memory_atomic_notify(memory: index, address: whole, offset: whole, count: index)
        = builtins::memory_atomic_notify;
    memory_atomic_wait32(memory: index, address: whole, offset: whole, expected: index, timeout: signed)
        = builtins::memory_atomic_wait32;
    memory_atomic_wait64(memory: index, address: whole, offset: whole, expected: whole, timeout: signed)
        = builtins::memory_atomic_wait64;
    data_drop(segment: index) = builtins::data_drop;
    table_get(table: index, at: whole) = builtins::table_get;
    table_set(table: index, at: whole, value: whole) = builtins::table_set;
    table_grow(table: index, value: whole, by: whole) = builtins::table_grow;
    table_size(table: index) = builtins::table_size;
    table_fill(table: index, start: whole, value: whole, len: whole) = builtins::table_fill;
    table_copy(to_table: index, from_table: index, to: whole, from: whole, len: whole)
        = builtins::table_copy;
    table_init(segment: index, table: index, to: whole, from: whole, len: whole)
        = builtins::table_init;
    elem_drop(segment: index) = builtins::elem_drop;
    ref_func(function: index) = VmContext::func_ref;
    struct_new(ty: index) = builtins::struct_new;
    array_new(ty: index, len: index) = builtins::array_new;
    array_new_data(ty: index, segment: index, from: index, len: index) = builtins::array_new_data;
    array_new_elem(ty: index, segment: index, from: index, len: index) = builtins::array_new_elem;
    array_init_data(ty: index, segment: index, array: index, to: index, from: index, len: index)
        = builtins::array_init_data;
    array_init_elem(ty: index, segment: index, array: index, to: index, from: index, len: index)
        = builtins::array_init_elem;
    array_copy(ty: index, to_array: index, to: index, from_array: index, from: index, len: index)
        = builtins::array_copy;
    array_fill(ty: index, array: index, start: index, low: whole, high: whole, len: index) = fill_array;
}

/// An index of the module, or an operand of 32 bits.
fn index(word: u64) -> Result<u32, Trap> {
    Ok(word as u32)
}

/// An `i32` of which the instruction means the lowest byte.
fn byte(word: u64) -> Result<u8, Trap> {
    Ok(word as u8)
}

/// A value of a slot, an address, an index or a number of bytes, pages or elements.
fn whole(word: u64) -> Result<u64, Trap> {
    Ok(word)
}

/// An `i64` that is less than zero or not.
fn signed(word: u64) -> Result<i64, Trap> {
    Ok(word as i64)
}

/// `TableCallee`. Returns the execution context if there is no callee, and null otherwise.
pub(crate) unsafe extern "C" fn table_callee(
    vmctx: *mut VmContext,
    table: u64,
    at: u64,
    ty: u64,
) -> *mut ExecContext {
    // SAFETY: called by running code of the context, with indices of its module.
    unsafe {
        let exec = VmContext::exec(vmctx);
        let (table, type_id) =
            (&mut *VmContext::table(vmctx, table as u32), VmContext::type_id(vmctx, ty as u32));
        let first = (*table.descriptor()).elements as u64;
        let types = VmContext::module(vmctx).registry();
        match table.callee(at.wrapping_sub(first) / 8, type_id, types) {
            Ok(callee) => {
                (*exec).native.callee = callee;
                ptr::null_mut()
            }
            Err(trap) => {
                (*exec).set_pending(trap.into());
                exec
            }
        }
    }
}

/// Takes the words of the value one by one.
unsafe fn fill_array(
    vmctx: *mut VmContext,
    ty: u32,
    array: u32,
    start: u32,
    low: u64,
    high: u64,
    len: u32,
) -> Result<(), Pending> {
    // SAFETY: the caller's promise.
    unsafe { builtins::array_fill(vmctx, ty, array, start, [low, high], len) }
}

/// What functions of the runtime return, as a word for compiled code.
trait Outcome {
    fn word(self) -> Result<u64, Pending>;
}

impl Outcome for () {
    fn word(self) -> Result<u64, Pending> {
        Ok(0)
    }
}

impl Outcome for u32 {
    fn word(self) -> Result<u64, Pending> {
        Ok(self.into())
    }
}

impl Outcome for u64 {
    fn word(self) -> Result<u64, Pending> {
        Ok(self)
    }
}

impl Outcome for *const FuncRef {
    fn word(self) -> Result<u64, Pending> {
        Ok(self as u64)
    }
}

impl Outcome for ptr::NonNull<FuncRef> {
    fn word(self) -> Result<u64, Pending> {
        Ok(self.as_ptr() as u64)
    }
}

impl<T: Outcome> Outcome for Result<T, Pending> {
    fn word(self) -> Result<u64, Pending> {
        self.and_then(T::word)
    }
}
