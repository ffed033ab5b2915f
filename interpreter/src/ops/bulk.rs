//! Instructions on whole memories and tables. All operands are slots or indices; the work is done by the
//! runtime's shared slow paths. An operand of 32 bits is a whole slot as well, whose upper half is zero.

use wasmrun_runtime::trap::{Pending, Status};
use wasmrun_runtime::vm::{VmContext, builtins};

use crate::field::Field;
use crate::machine::{At, Dispatch, Machine, Op};

/// Defines an instruction by a function from its operands to an optional result, which goes to a slot.
macro_rules! bulk {
    (@field result) => { Field::Dest };
    (@field slot) => { Field::Slot };
    (@field function) => { Field::Function };
    (@field offset) => { Field::Bits64 };
    (@field memory) => { Field::Memory };
    (@field table) => { Field::Table };
    (@field data) => { Field::Data };
    (@field element) => { Field::Element };
    (@read slot, $m:ident, $op:ty, $at:expr) => { *$m.slot::<$op, { $at }>() };
    (@read offset, $m:ident, $op:ty, $at:expr) => { $m.field::<$op, u64, { $at }>() };
    (@read $index:ident, $m:ident, $op:ty, $at:expr) => { $m.field::<$op, u32, { $at }>() };
    ($($(#[$doc:meta])* $name:ident $text:literal: [$($operand:ident: $kind:ident),*] $(=> $result:ident)?,
        |$m:ident| $body:expr;)*) => { $(
        $(#[$doc])*
        pub(crate) struct $name;

        impl Op for $name {
            const NAME: &'static [&'static str] = &[$text];
            const FIELDS: &'static [Field] = &[$(bulk!(@field $result),)? $(bulk!(@field $kind)),*];

            #[inline(always)]
            unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
                #[allow(non_camel_case_types)]
                #[repr(usize)]
                enum Position { $($result,)? $($operand),* }
                #[inline(never)]
                unsafe fn work(ip: *const u8, sp: *mut u64, ctx: *mut VmContext) -> Status {
                    let $m = At { ip, sp, ctx };
                    // SAFETY: the instruction has these fields, indices of the context's module.
                    unsafe { $m.finish(try_work($m)) }
                }
                #[inline(always)]
                unsafe fn try_work($m: At) -> Result<(), Pending> {
                    // SAFETY: the instruction has these fields.
                    $(let $operand = unsafe { bulk!(@read $kind, $m, $name, Position::$operand as usize) };)*
                    // SAFETY: the operands are indices of the context's module.
                    let result = unsafe { $body }?;
                    // SAFETY: the instruction has a slot for its result.
                    $(unsafe { *$m.slot::<$name, { Position::$result as usize }>() = result };)?
                    #[allow(clippy::let_unit_value)]
                    let _ = result;
                    Ok(())
                }
                // SAFETY: as for any instruction. Memory 0 may have grown.
                unsafe {
                    match work(m.ip, m.sp, m.ctx) {
                        Status::Ok => {
                            m.reload_memory();
                            m.next::<D, Self>()
                        }
                        status => D::exit(status),
                    }
                }
            }
        }
    )* };
}

bulk! {
    /// `memory.size`.
    MemorySize "memory.size": [memory: memory] => result, |m| Ok::<u64, Pending>((*VmContext::memory(m.ctx, memory)).pages());
    /// `memory.grow`.
    MemoryGrow "memory.grow": [delta: slot, memory: memory] => result, |m|
        builtins::memory_grow(m.ctx, memory, delta);
    /// `memory.fill`.
    MemoryFill "memory.fill": [to: slot, value: slot, len: slot, memory: memory], |m|
        builtins::memory_fill(m.ctx, memory, to, value as u8, len);
    /// `memory.copy`.
    MemoryCopy "memory.copy": [to: slot, from: slot, len: slot, to_memory: memory, from_memory: memory], |m|
        builtins::memory_copy(m.ctx, to_memory, from_memory, to, from, len);
    /// `memory.init`.
    MemoryInit "memory.init": [to: slot, from: slot, len: slot, segment: data, memory: memory], |m|
        builtins::memory_init(m.ctx, segment, memory, to, from, len);
    /// `data.drop`.
    DataDrop "data.drop": [segment: data], |m| {
        builtins::data_drop(m.ctx, segment);
        Ok::<(), Pending>(())
    };
    /// `memory.atomic.notify`.
    MemoryAtomicNotify "memory.atomic.notify": [address: slot, count: slot, offset: offset, memory: memory] => result, |m|
        builtins::memory_atomic_notify(m.ctx, memory, address, offset, count as u32);
    /// `memory.atomic.wait32`.
    MemoryAtomicWait32 "memory.atomic.wait32":
        [address: slot, expected: slot, timeout: slot, offset: offset, memory: memory] => result, |m|
        builtins::memory_atomic_wait32(m.ctx, memory, address, offset, expected as u32, timeout as i64);
    /// `memory.atomic.wait64`.
    MemoryAtomicWait64 "memory.atomic.wait64":
        [address: slot, expected: slot, timeout: slot, offset: offset, memory: memory] => result, |m|
        builtins::memory_atomic_wait64(m.ctx, memory, address, offset, expected, timeout as i64);
    /// `table.size`.
    TableSize "table.size": [table: table] => result, |m| Ok::<u64, Pending>(builtins::table_size(m.ctx, table));
    /// `table.get` of a table of functions.
    TableGet "table.get": [index: slot, table: table] => result, |m| builtins::table_get(m.ctx, table, index);
    /// `table.set` of a table of functions.
    TableSet "table.set": [index: slot, value: slot, table: table], |m|
        builtins::table_set(m.ctx, table, index, value);
    /// `table.grow` of a table of functions.
    TableGrow "table.grow": [value: slot, delta: slot, table: table] => result, |m|
        builtins::table_grow(m.ctx, table, value, delta);
    /// `table.fill` of a table of functions.
    TableFill "table.fill": [start: slot, value: slot, len: slot, table: table], |m|
        builtins::table_fill(m.ctx, table, start, value, len);
    /// `table.copy`.
    TableCopy "table.copy": [to: slot, from: slot, len: slot, to_table: table, from_table: table], |m|
        builtins::table_copy(m.ctx, to_table, from_table, to, from, len);
    /// `table.init`.
    TableInit "table.init": [to: slot, from: slot, len: slot, segment: element, table: table], |m|
        builtins::table_init(m.ctx, segment, table, to, from, len);
    /// `elem.drop`.
    ElemDrop "elem.drop": [segment: element], |m| {
        builtins::elem_drop(m.ctx, segment);
        Ok::<(), Pending>(())
    };
    /// `ref.func`.
    RefFunc "ref.func": [function: function] => result, |m|
        Ok::<u64, Pending>(VmContext::func_ref(m.ctx, function).as_ptr() as u64);
}
