//! Slow paths that compiled code calls by number.
//!
//! Code finds the table in its execution context and calls its entries with the convention of the system.
//! All take the context of the running instance and then 64-bit words. A value that is shorter is zero-extended. All but
//! [`Builtin::Raise`] and [`Builtin::RaiseInCaller`] return a [`Pair`]. With a status other than 0 the reason is
//! pending on the execution context, and the code calls `Raise`. None of them panics or unwinds.
//!
//! [`Builtin::Poll`] and [`Builtin::TableCallee`] are the exceptions: they keep every register, so that a poll takes none from the
//! loop that it is in, and functions that only call in place of themselves save none. They return nothing, and raise by
//! themselves; a poll takes nothing either. [`Builtin::MoveBytes`] and [`Builtin::SetBytes`] are
//! functions of C, and take what those take.

#![allow(unsafe_code)]

use std::{mem, ptr};

use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{AbiParam, Signature};
use cranelift_codegen::isa::CallConv;
use wasmrun_runtime::trap::{Pending, Status, Trap};
use wasmrun_runtime::vm::{ExecContext, FuncRef, HostCall, HostFunc, Polling, VmContext, builtins};

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

macro_rules! builtins {
    ($($(#[$doc:meta])* $name:ident($($arg:ident),*) = $function:path;)*) => {
        /// The number of a slow path. Arguments follow the context of the running instance.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Builtin {
            $($(#[$doc])* $name,)*
        }

        impl Builtin {
            /// All of them, by number.
            pub const ALL: &[Builtin] = &[$(Builtin::$name),*];

            /// Arguments after the first.
            const fn arguments(self) -> usize {
                match self {
                    $(Builtin::$name => { const NAMES: &[&str] = &[$(stringify!($arg)),*]; NAMES.len() })*
                }
            }
        }

        static TABLE: Table = Table([$($function as *const u8),*]);
    };
}

builtins! {
    /// Answers requests of other threads and checks that there is native stack left, at the place that is in
    /// [`NativeWords::polling`](wasmrun_runtime::vm::NativeWords). It returns if the code may go on, and raises otherwise. If
    /// the frame has to go on in tier 0 instead, it leaves in `NativeWords::way_out` what the code has to tail-call, with
    /// context and id of the function: at an entry with its arguments, and in a loop with none and all values in the slots
    /// of tier 0.
    Poll() = poll;
    /// Leaves compiled code for the handler of the innermost `enter`. Takes the execution context instead of
    /// an instance's, and does not return.
    Raise() = raise;
    /// Calls a host function, by its `FuncRef`, for the `to_host` stub whose frame pointer is `frame`. The
    /// context is that of the caller and may be null. The value is the execution context.
    CallHost(func_ref, slots, frame) = call_host;
    /// The value is the old size in pages, or -1.
    MemoryGrow(memory, delta) = memory_grow;
    /// `memory.fill`.
    MemoryFill(memory, to, value, len) = memory_fill;
    /// `memory.copy`.
    MemoryCopy(to_memory, from_memory, to, from, len) = memory_copy;
    /// `memory.init`.
    MemoryInit(segment, memory, to, from, len) = memory_init;
    /// `data.drop`.
    DataDrop(segment) = data_drop;
    /// The value is the element, in the representation of a slot.
    TableGet(table, index) = table_get;
    /// `table.set`.
    TableSet(table, index, value) = table_set;
    /// The value is the old length, or -1.
    TableGrow(table, value, delta) = table_grow;
    /// The value is the length.
    TableSize(table) = table_size;
    /// `table.fill`.
    TableFill(table, start, value, len) = table_fill;
    /// `table.copy`.
    TableCopy(to_table, from_table, to, from, len) = table_copy;
    /// `table.init`.
    TableInit(segment, table, to, from, len) = table_init;
    /// `elem.drop`.
    ElemDrop(segment) = elem_drop;
    /// The value is the reference to a function of the instance.
    RefFunc(function) = ref_func;
    /// The slow path of `call_indirect`: leaves the callee in `NativeWords::callee`. `at` is the address of an element of the table,
    /// which the code has at hand anyway, and `ty` the index of the expected type.
    TableCallee(table, at, ty) = stubs::table_callee;
    /// The value is the reference to a new structure, whose fields are 0 and null.
    StructNew(ty) = stubs::struct_new;
    /// The value is the reference to a new array of elements that are 0 or null.
    ArrayNew(ty, len) = stubs::array_new;
    /// `array.new_data`.
    ArrayNewData(ty, segment, from, len) = stubs::array_new_data;
    /// `array.new_elem`.
    ArrayNewElem(ty, segment, from, len) = stubs::array_new_elem;
    /// `array.init_data`.
    ArrayInitData(ty, segment, array, to, from, len) = array_init_data;
    /// `array.init_elem`.
    ArrayInitElem(ty, segment, array, to, from, len) = array_init_elem;
    /// `array.copy`, with the type of the destination.
    ArrayCopy(ty, to_array, to, from_array, from, len) = array_copy;
    /// `array.fill`, with both words of the value as a slot has it.
    ArrayFill(ty, array, start, low, high, len) = array_fill;
    /// Leaves an exception to be raised, or the trap that null is. It always fails.
    Throw(exception) = throw;
    /// As `Raise`, for a stub whose frame pointer is `frame`: the innermost frame is that of its caller.
    RaiseInCaller(frame) = raise_in_caller;
    /// Answers requests of other threads and checks that the value stack reaches as far as `end`.
    PollValues(end) = poll_values;
    /// The C library's `memmove`, for bytes that have been found to be inside of memories.
    MoveBytes() = libc::memmove;
    /// The C library's `memset`, as well.
    SetBytes() = libc::memset;
    /// `memory.atomic.notify`: the value is the number of threads that it has woken.
    MemoryAtomicNotify(memory, address, offset, count) = memory_atomic_notify;
    /// `memory.atomic.wait32`: the value says how the wait has ended.
    MemoryAtomicWait32(memory, address, offset, expected, timeout) = memory_atomic_wait32;
    /// `memory.atomic.wait64`, as well.
    MemoryAtomicWait64(memory, address, offset, expected, timeout) = memory_atomic_wait64;
}

struct Table([*const u8; Builtin::ALL.len()]);

// SAFETY: addresses of functions.
unsafe impl Sync for Table {}

/// The table that [`NativeWords::builtins`](wasmrun_runtime::vm::NativeWords) points at.
pub fn table() -> *const *const u8 {
    TABLE.0.as_ptr()
}

impl Builtin {
    /// Offset of its entry in the table.
    pub const fn offset(self) -> i32 {
        self as i32 * 8
    }

    /// The function itself.
    pub fn address(self) -> *const u8 {
        TABLE.0[self as usize]
    }

    /// Its signature for calls from compiled code.
    pub fn signature(self) -> Signature {
        let mut signature = Signature::new(CallConv::SystemV);
        match self {
            Builtin::Poll => signature.call_conv = CallConv::PreserveAll,
            Builtin::TableCallee => {
                signature.call_conv = CallConv::PreserveAll;
                signature.params.extend([AbiParam::new(I64)].repeat(1 + self.arguments()));
            }
            Builtin::MoveBytes => signature.params = [I64, I64, I64].map(AbiParam::new).into(),
            Builtin::SetBytes => signature.params = [I64, I32, I64].map(AbiParam::new).into(),
            _ => return self.usual_signature(),
        }
        signature
    }

    fn usual_signature(self) -> Signature {
        let mut signature = Signature::new(CallConv::SystemV);
        signature.params.extend([AbiParam::new(I64)].repeat(1 + self.arguments()));
        if !matches!(self, Builtin::Raise | Builtin::RaiseInCaller) {
            signature.returns.extend([AbiParam::new(I64)].repeat(2));
        }
        signature
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
