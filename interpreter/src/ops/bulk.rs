//! Instructions on whole memories and tables. All operands are slots or indices; the work is done by the
//! runtime's shared slow paths.

use wasmrun_runtime::trap::{Pending, Status};
use wasmrun_runtime::vm::{VmContext, builtins};

use crate::machine::{At, Dispatch, HEAD, Machine, Op};

/// Defines an instruction by a function from its operands to an optional result. `slot` operands are read
/// from slots, `index` operands from the instruction; a result goes to a slot named by the first operand.
macro_rules! bulk {
    (@width slot) => { 2 };
    (@width index) => { 4 };
    (@read slot, $m:ident, $at:expr) => { *$m.slot($at) };
    (@read index, $m:ident, $at:expr) => { $m.operand::<u32>($at) };
    ($($(#[$doc:meta])* $name:ident: [$($operand:ident: $kind:ident),*] $(=> $result:tt)?, |$m:ident| $body:expr;)*) => { $(
        $(#[$doc])*
        pub(crate) struct $name;

        impl Op for $name {
            const SIZE: usize = HEAD $(+ bulk!(@width $kind))* $(+ { let _: &str = stringify!($result); 2 })?;

            #[inline(always)]
            unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
                #[inline(never)]
                unsafe fn work(ip: *const u8, sp: *mut u64, ctx: *mut VmContext) -> Status {
                    let $m = At { ip, sp, ctx };
                    // SAFETY: the instruction has these operands, indices of the context's module.
                    unsafe { $m.finish(try_work($m)) }
                }
                #[inline(always)]
                unsafe fn try_work($m: At) -> Result<(), Pending> {
                    let mut at = HEAD $(+ { let _: &str = stringify!($result); 2 })?;
                    $(
                        // SAFETY: the instruction has this operand.
                        let $operand = unsafe { bulk!(@read $kind, $m, at) };
                        at += bulk!(@width $kind);
                    )*
                    let _ = at;
                    // SAFETY: the operands are indices of the context's module.
                    let result = unsafe { $body }?;
                    $(
                        let _: &str = stringify!($result);
                        // SAFETY: the instruction starts with the slot of its result.
                        unsafe { *$m.slot(HEAD) = result };
                    )?
                    #[allow(clippy::let_unit_value)]
                    let _ = result;
                    Ok(())
                }
                // SAFETY: as for any instruction. Memory 0 may have grown.
                unsafe {
                    match work(m.ip, m.sp, m.ctx) {
                        Status::Ok => {
                            m.reload_memory();
                            m.next::<D>(Self::SIZE)
                        }
                        status => D::exit(status),
                    }
                }
            }
        }
    )* };
}

const FAILED: u64 = u32::MAX as u64;

bulk! {
    /// `memory.size`.
    MemorySize: [memory: index] => slot, |m| Ok::<u64, Pending>((*VmContext::memory(m.ctx, memory)).pages());
    /// `memory.grow`.
    MemoryGrow: [delta: slot, memory: index] => slot, |m|
        builtins::memory_grow(m.ctx, memory, delta as u32).map(|old| old.map_or(FAILED, u64::from));
    /// `memory.fill`.
    MemoryFill: [to: slot, value: slot, len: slot, memory: index], |m|
        builtins::memory_fill(m.ctx, memory, to as u32, value as u8, len as u32);
    /// `memory.copy`.
    MemoryCopy: [to: slot, from: slot, len: slot, to_memory: index, from_memory: index], |m|
        builtins::memory_copy(m.ctx, to_memory, from_memory, to as u32, from as u32, len as u32);
    /// `memory.init`.
    MemoryInit: [to: slot, from: slot, len: slot, segment: index, memory: index], |m|
        builtins::memory_init(m.ctx, segment, memory, to as u32, from as u32, len as u32);
    /// `data.drop`.
    DataDrop: [segment: index], |m| {
        builtins::data_drop(m.ctx, segment);
        Ok::<(), Pending>(())
    };
    /// `table.size`.
    TableSize: [table: index] => slot, |m| Ok::<u64, Pending>(builtins::table_size(m.ctx, table).into());
    /// `table.get` of a table of functions.
    TableGet: [index: slot, table: index] => slot, |m| builtins::table_get(m.ctx, table, index as u32);
    /// `table.set` of a table of functions.
    TableSet: [index: slot, value: slot, table: index], |m|
        builtins::table_set(m.ctx, table, index as u32, value);
    /// `table.grow` of a table of functions.
    TableGrow: [value: slot, delta: slot, table: index] => slot, |m|
        builtins::table_grow(m.ctx, table, value, delta as u32).map(|old| old.map_or(FAILED, u64::from));
    /// `table.fill` of a table of functions.
    TableFill: [start: slot, value: slot, len: slot, table: index], |m|
        builtins::table_fill(m.ctx, table, start as u32, value, len as u32);
    /// `table.copy`.
    TableCopy: [to: slot, from: slot, len: slot, to_table: index, from_table: index], |m|
        builtins::table_copy(m.ctx, to_table, from_table, to as u32, from as u32, len as u32);
    /// `table.init`.
    TableInit: [to: slot, from: slot, len: slot, segment: index, table: index], |m|
        builtins::table_init(m.ctx, segment, table, to as u32, from as u32, len as u32);
    /// `elem.drop`.
    ElemDrop: [segment: index], |m| {
        builtins::elem_drop(m.ctx, segment);
        Ok::<(), Pending>(())
    };
    /// `ref.func`.
    RefFunc: [function: index] => slot, |m|
        Ok::<u64, Pending>(VmContext::func_ref(m.ctx, function).as_ptr() as u64);
}
