//! Instructions on collected references, which live on a stack of their own.
//!
//! A function with references has a frame there too, found through the execution context: references are
//! rare enough for that, and code without them pays nothing. Around each call such a function moves the
//! frame's start behind its own references.

use wasmrun_runtime::trap::{Pending, Status, Trap};
use wasmrun_runtime::vm::{ExecContext, GlobalSlot, VmContext, builtins};

use crate::field::Field::{self, Count, Dest, Global, RefDest, RefSlot, Slot, Table};
use crate::machine::{At, Dispatch, Machine, Op, Stop};

impl At {
    /// The execution context.
    ///
    /// # Safety
    /// `ctx` is alive.
    pub(super) unsafe fn exec(self) -> *mut ExecContext {
        // SAFETY: the caller's promise.
        unsafe { VmContext::exec(self.ctx) }
    }

    /// The reference slot that field `I` of the instruction, an `O`, names.
    ///
    /// # Safety
    /// The instruction has the fields of an `O`.
    pub(super) unsafe fn ref_slot<O: Op, const I: usize>(self) -> *mut u32 {
        const { assert!(O::FIELDS[I].is_ref_slot()) }
        // SAFETY: reference slots of an instruction lie inside its frame.
        unsafe { (*self.exec()).ref_frame.add(self.field::<O, u16, I>().into()) }
    }
}

/// `ref.as_non_null` of a reference to a function: reference.
pub(crate) struct NonNull;

impl Op for NonNull {
    const NAME: &'static [&'static str] = &["as_non_null"];
    const FIELDS: &'static [Field] = &[Field::Slot];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has this field.
        unsafe {
            if *m.slot::<Self, 0>() == 0 {
                return D::cold::<Stop<{ Trap::NullReference as u8 }>>(m);
            }
            m.next::<D, Self>()
        }
    }
}

/// Stores a reference; the hook of the write barrier for the reference stack, which needs none.
pub(super) unsafe fn put(slot: *mut u32, reference: u64) {
    // SAFETY: the caller's slot is valid.
    unsafe { slot.write(reference as u32) };
}

/// Defines instructions whose work is done out of line.
macro_rules! reference {
    ($($(#[$doc:meta])* $name:ident $text:literal: $fields:tt, |$m:ident| $body:expr;)*) => { $(
        $(#[$doc])*
        pub(crate) struct $name;

        impl Op for $name {
            const NAME: &'static [&'static str] = &[$text];
            const FIELDS: &'static [Field] = &$fields;

            #[inline(always)]
            unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
                #[inline(never)]
                unsafe fn work(ip: *const u8, sp: *mut u64, ctx: *mut VmContext) -> Status {
                    let $m = At { ip, sp, ctx };
                    // SAFETY: the instruction has the fields of this one.
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
                        Status::Ok => m.next::<D, Self>(),
                        status => D::exit(status),
                    }
                }
            }
        }
    )* };
}

pub(super) use reference;

reference! {
    /// Begins a function with references: slots of parameters, slots in all. The others start as null.
    RefFrame "ref.frame": [Count, Count], |m| {
        let exec = m.exec();
        let params = usize::from(m.field::<RefFrame, u16, 0>());
        let all = usize::from(m.field::<RefFrame, u16, 1>());
        if (*exec).ref_frame.add(all) as usize > (*exec).ref_limit {
            return Err(Trap::StackOverflow.into());
        }
        (*exec).ref_frame.add(params).write_bytes(0, all - params);
    };
    /// Moves the frame's start up before a call: distance.
    RefEnter "ref.enter": [Count], |m| {
        let exec = m.exec();
        (*exec).ref_frame = (*exec).ref_frame.add(m.field::<RefEnter, u16, 0>().into());
    };
    /// Moves it down again after the call: distance.
    RefLeave "ref.leave": [Count], |m| {
        let exec = m.exec();
        (*exec).ref_frame = (*exec).ref_frame.sub(m.field::<RefLeave, u16, 0>().into());
    };
    /// Copies a reference: destination, source.
    RefCopy "ref.copy": [RefDest, RefSlot], |m|
        put(m.ref_slot::<RefCopy, 0>(), (*m.ref_slot::<RefCopy, 1>()).into());
    /// Copies references upwards in order: destination, source, count.
    RefMove "ref.move": [RefDest, RefSlot, Count], |m| {
        let count = m.field::<RefMove, u16, 2>();
        std::ptr::copy(m.ref_slot::<RefMove, 1>(), m.ref_slot::<RefMove, 0>(), count.into());
    };
    /// `ref.null` of a collected type: destination.
    RefNull "ref.null": [RefDest], |m| put(m.ref_slot::<RefNull, 0>(), 0);
    /// `ref.is_null`: destination, reference.
    RefIsNull "ref.is_null": [Dest, RefSlot], |m|
        *m.slot::<RefIsNull, 0>() = u64::from(*m.ref_slot::<RefIsNull, 1>() == 0);
    /// `ref.as_non_null`: reference.
    RefNonNull "ref.as_non_null": [RefSlot], |m|
        if *m.ref_slot::<RefNonNull, 0>() == 0 {
            return Err(Trap::NullReference.into());
        };
    /// `select`: destination, first, second, condition in a slot.
    RefSelect "ref.select": [RefDest, RefSlot, RefSlot, Slot], |m| {
        let chosen = if *m.slot::<RefSelect, 3>() as u32 != 0 {
            m.ref_slot::<RefSelect, 1>()
        } else {
            m.ref_slot::<RefSelect, 2>()
        };
        put(m.ref_slot::<RefSelect, 0>(), (*chosen).into());
    };
    /// `global.get`: destination, global.
    RefGlobalGet "ref.global.get": [RefDest, Global], |m| {
        let global = VmContext::global(m.ctx, m.field::<RefGlobalGet, u32, 1>());
        put(m.ref_slot::<RefGlobalGet, 0>(), GlobalSlot::low(global));
    };
    /// `global.set`: reference, global.
    RefGlobalSet "ref.global.set": [RefSlot, Global], |m| {
        let global = VmContext::global(m.ctx, m.field::<RefGlobalSet, u32, 1>());
        let reference = (*m.ref_slot::<RefGlobalSet, 0>()).into();
        GlobalSlot::set_reference(global, m.exec(), reference);
    };
    /// `table.get`: destination, index in a slot, table.
    RefTableGet "ref.table.get": [RefDest, Slot, Table], |m| {
        let table = m.field::<RefTableGet, u32, 2>();
        let reference = builtins::table_get(m.ctx, table, *m.slot::<RefTableGet, 1>() as u32)?;
        put(m.ref_slot::<RefTableGet, 0>(), reference);
    };
    /// `table.set`: index in a slot, reference, table.
    RefTableSet "ref.table.set": [Slot, RefSlot, Table], |m| {
        let table = m.field::<RefTableSet, u32, 2>();
        let reference = (*m.ref_slot::<RefTableSet, 1>()).into();
        builtins::table_set(m.ctx, table, *m.slot::<RefTableSet, 0>() as u32, reference)?;
    };
    /// `table.grow`: destination, reference, number of elements in a slot, table.
    RefTableGrow "ref.table.grow": [Dest, RefSlot, Slot, Table], |m| {
        let table = m.field::<RefTableGrow, u32, 3>();
        let reference = (*m.ref_slot::<RefTableGrow, 1>()).into();
        let delta = *m.slot::<RefTableGrow, 2>() as u32;
        let old = builtins::table_grow(m.ctx, table, reference, delta)?;
        *m.slot::<RefTableGrow, 0>() = old.unwrap_or(u32::MAX).into();
    };
    /// `table.fill`: start in a slot, reference, number of elements in a slot, table.
    RefTableFill "ref.table.fill": [Slot, RefSlot, Slot, Table], |m| {
        let table = m.field::<RefTableFill, u32, 3>();
        let reference = (*m.ref_slot::<RefTableFill, 1>()).into();
        let (start, len) = (*m.slot::<RefTableFill, 0>() as u32, *m.slot::<RefTableFill, 2>() as u32);
        builtins::table_fill(m.ctx, table, start, reference, len)?;
    };
}
