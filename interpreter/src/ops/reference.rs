//! Instructions on collected references, which live on a stack of their own.
//!
//! A function with references has a frame there too, found through the execution context: references are
//! rare enough for that, and code without them pays nothing. Around each call such a function moves the
//! frame's start behind its own references.

use wasmrun_runtime::trap::{Pending, Status, Trap};
use wasmrun_runtime::vm::{ExecContext, GlobalSlot, VmContext, builtins};

use crate::machine::{At, Dispatch, HEAD, Machine, Op};

impl At {
    /// The execution context.
    ///
    /// # Safety
    /// `ctx` is alive.
    unsafe fn exec(self) -> *mut ExecContext {
        // SAFETY: the caller's promise.
        unsafe { VmContext::exec(self.ctx) }
    }

    /// The reference slot whose number is at a byte offset in the instruction.
    ///
    /// # Safety
    /// The instruction has one there.
    unsafe fn ref_slot(self, at: usize) -> *mut u32 {
        // SAFETY: reference slots of an instruction lie inside its frame.
        unsafe { (*self.exec()).ref_frame.add(self.operand::<u16>(at).into()) }
    }
}

/// Stores a reference; the hook of the write barrier for the reference stack, which needs none.
unsafe fn put(slot: *mut u32, reference: u64) {
    // SAFETY: the caller's slot is valid.
    unsafe { slot.write(reference as u32) };
}

macro_rules! reference {
    ($($(#[$doc:meta])* $name:ident: $operands:expr, |$m:ident| $body:expr;)*) => { $(
        $(#[$doc])*
        pub(crate) struct $name;

        impl Op for $name {
            const SIZE: usize = HEAD + $operands;

            #[inline(always)]
            unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
                #[inline(never)]
                unsafe fn work(ip: *const u8, sp: *mut u64, ctx: *mut VmContext) -> Status {
                    let $m = At { ip, sp, ctx };
                    // SAFETY: the instruction has the operands that its size says.
                    unsafe { $m.finish(try_work($m)) }
                }
                #[inline(always)]
                unsafe fn try_work($m: At) -> Result<(), Pending> {
                    // SAFETY: as above.
                    unsafe { $body }
                    Ok(())
                }
                // SAFETY: as for any instruction.
                unsafe {
                    match work(m.ip, m.sp, m.ctx) {
                        Status::Ok => m.next::<D>(Self::SIZE),
                        status => D::exit(status),
                    }
                }
            }
        }
    )* };
}

reference! {
    /// Begins a function with references: slots of parameters, slots in all. The others start as null.
    RefFrame: 4, |m| {
        let exec = m.exec();
        let (params, all) = (usize::from(m.operand::<u16>(HEAD)), usize::from(m.operand::<u16>(HEAD + 2)));
        if (*exec).ref_frame.add(all) as usize > (*exec).ref_limit {
            return Err(Trap::StackOverflow.into());
        }
        (*exec).ref_frame.add(params).write_bytes(0, all - params);
    };
    /// Moves the frame's start up before a call: distance.
    RefEnter: 2, |m| {
        let exec = m.exec();
        (*exec).ref_frame = (*exec).ref_frame.add(m.operand::<u16>(HEAD).into());
    };
    /// Moves it down again after the call: distance.
    RefLeave: 2, |m| {
        let exec = m.exec();
        (*exec).ref_frame = (*exec).ref_frame.sub(m.operand::<u16>(HEAD).into());
    };
    /// Copies a reference: destination, source.
    RefCopy: 4, |m| put(m.ref_slot(HEAD), (*m.ref_slot(HEAD + 2)).into());
    /// Copies references upwards in order: destination, source, count.
    RefMove: 6, |m| {
        let count = m.operand::<u16>(HEAD + 4);
        std::ptr::copy(m.ref_slot(HEAD + 2), m.ref_slot(HEAD), count.into());
    };
    /// `ref.null` of a collected type: destination.
    RefNull: 2, |m| put(m.ref_slot(HEAD), 0);
    /// `ref.is_null`: destination, reference.
    RefIsNull: 4, |m| *m.slot(HEAD) = u64::from(*m.ref_slot(HEAD + 2) == 0);
    /// `select`: destination, first, second, condition in a slot.
    RefSelect: 8, |m| {
        let at = if *m.slot(HEAD + 6) as u32 != 0 { HEAD + 2 } else { HEAD + 4 };
        put(m.ref_slot(HEAD), (*m.ref_slot(at)).into());
    };
    /// `global.get`: destination, global.
    RefGlobalGet: 6, |m| {
        put(m.ref_slot(HEAD), GlobalSlot::low(VmContext::global(m.ctx, m.operand(HEAD + 2))));
    };
    /// `global.set`: reference, global.
    RefGlobalSet: 6, |m| {
        let global = VmContext::global(m.ctx, m.operand(HEAD + 2));
        GlobalSlot::set_reference(global, m.exec(), (*m.ref_slot(HEAD)).into());
    };
    /// `table.get`: destination, index in a slot, table.
    RefTableGet: 8, |m| {
        let reference = builtins::table_get(m.ctx, m.operand(HEAD + 4), *m.slot(HEAD + 2) as u32)?;
        put(m.ref_slot(HEAD), reference);
    };
    /// `table.set`: index in a slot, reference, table.
    RefTableSet: 8, |m| {
        let reference = (*m.ref_slot(HEAD + 2)).into();
        builtins::table_set(m.ctx, m.operand(HEAD + 4), *m.slot(HEAD) as u32, reference)?;
    };
    /// `table.grow`: destination, reference, number of elements in a slot, table.
    RefTableGrow: 10, |m| {
        let reference = (*m.ref_slot(HEAD + 2)).into();
        let delta = *m.slot(HEAD + 4) as u32;
        let old = builtins::table_grow(m.ctx, m.operand(HEAD + 6), reference, delta)?;
        *m.slot(HEAD) = old.unwrap_or(u32::MAX).into();
    };
    /// `table.fill`: start in a slot, reference, number of elements in a slot, table.
    RefTableFill: 10, |m| {
        let reference = (*m.ref_slot(HEAD + 2)).into();
        let (start, len) = (*m.slot(HEAD) as u32, *m.slot(HEAD + 4) as u32);
        builtins::table_fill(m.ctx, m.operand(HEAD + 6), start, reference, len)?;
    };
}
