//! Exceptions: what throws them, and the search for who catches them.
//!
//! A search goes through the frames of one segment, from where something was thrown outwards. Where it finds a handler, the
//! machine goes on there in that frame, as after any slow path; the frames above it are simply forgotten. Where it does not, the segment
//! comes to a stop, and whoever entered it goes on searching.
//!
//! It begins where an exception comes to be in tier 0, which is here, and where one comes from below: from a function of the host
//! or from compiled code that tier 0 has called.

use std::ptr;
use std::sync::Arc;

use wasmrun_runtime::frame::Heights;
use wasmrun_runtime::module::CodeBlob;
use wasmrun_runtime::trap::{Pending, Status};
use wasmrun_runtime::types::object::{FieldLayout, Storage};
use wasmrun_runtime::vm::{ExecContext, Resume, Site, TagId, VmContext, builtins, write_object_ref};

use super::call::{Restore, resume};
use super::object::collecting;
use crate::caller::caller_of;
use crate::code::{Code, opcode_at};
use crate::field::{Field, HEAD};
use crate::handlers::{Clause, Handlers, Region, Wanted};
use crate::machine::{At, Dispatch, Machine, Op};
use crate::returns::{REF_LEAVE, RESTORE};
use crate::stop::stop;

/// `throw`: tag, first value slot and first reference slot of what the exception carries, reference slots in use.
pub(crate) struct Throw;

impl Op for Throw {
    const NAME: &'static [&'static str] = &["throw"];
    const FIELDS: &'static [Field] = &[Field::Tag, Field::Slot, Field::RefSlot, Field::Count];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let status = throw(m.ip, m.sp, m.ctx);
            resume::<D>(m, status)
        }
    }
}

#[inline(never)]
unsafe fn throw(ip: *const u8, sp: *mut u64, ctx: *mut VmContext) -> Status {
    let at = At { ip, sp, ctx };
    // SAFETY: as for `Throw`.
    unsafe { thrown_at(at, make(at)) }
}

/// Makes the exception of a [`Throw`].
unsafe fn make(at: At) -> Result<u32, Pending> {
    // SAFETY: as for `Throw`: its operands are in their slots.
    unsafe {
        let exec = at.exec();
        let (tag, used) = (at.field::<Throw, u32, 0>(), at.field::<Throw, u16, 3>());
        let exception = collecting(at, used, |ctx| builtins::exception_new(ctx, tag))? as u32;
        let mut slots = Slots { value: at.slot::<Throw, 1>(), reference: at.ref_slot::<Throw, 2>() };
        let object = (*exec).gc.base.add(exception as usize);
        for FieldLayout { offset, storage } in carried(&*exec, exception) {
            let field = object.add(*offset as usize);
            match storage {
                Storage::Word => field.cast::<u32>().write(*slots.next_value(1) as u32),
                Storage::Double | Storage::Function => field.cast::<u64>().write(*slots.next_value(1)),
                Storage::Vector => {
                    field.cast::<[u64; 2]>().write(slots.next_value(2).cast::<[u64; 2]>().read())
                }
                Storage::Reference => {
                    write_object_ref(exec, field.cast(), *slots.next_reference());
                }
                Storage::I8 | Storage::I16 => unreachable!("values are not packed"),
            }
        }
        Ok(exception)
    }
}

/// `throw_ref`, and `rethrow`: exception.
pub(crate) struct ThrowRef;

impl Op for ThrowRef {
    const NAME: &'static [&'static str] = &["throw_ref"];
    const FIELDS: &'static [Field] = &[Field::RefSlot];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has this field.
        unsafe {
            let status = throw_ref(m.ip, m.sp, m.ctx);
            resume::<D>(m, status)
        }
    }
}

#[inline(never)]
unsafe fn throw_ref(ip: *const u8, sp: *mut u64, ctx: *mut VmContext) -> Status {
    let at = At { ip, sp, ctx };
    // SAFETY: as for `ThrowRef`.
    unsafe { thrown_at(at, Ok(*at.ref_slot::<ThrowRef, 0>())) }
}

/// Ends an instruction that throws: goes on in a handler of the segment, or stops.
unsafe fn thrown_at(at: At, exception: Result<u32, Pending>) -> Status {
    // SAFETY: the callers' instruction is there; the exception is one of the store, or null.
    unsafe {
        let exec = at.exec();
        let thrown = exception.and_then(|exception| Ok((*exec).throw(exception)?));
        match thrown {
            Ok(thrown) => match search(exec, Some((at.site(), (*exec).ref_frame))) {
                Ok(true) => Status::Ok,
                Ok(false) => stop(exec, at.site(), thrown),
                Err(pending) => stop(exec, at.site(), pending),
            },
            Err(pending) => stop(exec, at.site(), pending),
        }
    }
}

/// Ends a call that a function of the host has failed in: goes on in a handler of the segment if an exception is the reason and there is
/// one, or stops at `site`. `call` is the frame that called, with the last byte before the address that the call returns to.
///
/// # Safety
/// `exec` is alive; the frames are on the stacks, and the reference frame is that of the callee.
pub(super) unsafe fn failed_below(
    exec: *mut ExecContext,
    site: Site,
    call: Option<Site>,
    pending: Pending,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe {
        let pending = match pending {
            Pending::Exception => match search_from_call(exec, call) {
                Ok(true) => return Status::Ok,
                Ok(false) => Pending::Exception,
                Err(pending) => pending,
            },
            other => other,
        };
        stop(exec, site, pending)
    }
}

/// Ends a call that another segment has stopped in: goes on in a handler of this one if an exception is the reason and there is one. `call` is as
/// for [`failed_below`].
///
/// # Safety
/// As for that.
pub(super) unsafe fn stopped_below(exec: *mut ExecContext, call: Option<Site>) -> Status {
    // SAFETY: the caller's promise.
    unsafe {
        if (*exec).is_throwing() {
            match search_from_call(exec, call) {
                Ok(true) => return Status::Ok,
                Ok(false) => {}
                Err(pending) => return stop(exec, call.unwrap_or(Site::NOWHERE), pending),
            }
        }
        Status::Trap
    }
}

unsafe fn search_from_call(exec: *mut ExecContext, call: Option<Site>) -> Result<bool, Pending> {
    // SAFETY: the callers' promise.
    unsafe { search(exec, call.map(|call| (call, references_of(call, (*exec).ref_frame)))) }
}

/// Looks for a handler of the exception that has been thrown among the frames from `from` on, each with its reference frame. If
/// there is one, code goes on there.
///
/// # Errors
/// What a poll has answered, if the search took long: the exception is over then.
unsafe fn search(exec: *mut ExecContext, from: Option<(Site, *mut u32)>) -> Result<bool, Pending> {
    // SAFETY: the callers' promise: an exception has been thrown, and the frames are on the stacks.
    unsafe {
        let mut search = Search { exec, tag: (*exec).tag_of((*exec).exception()), steps: 0 };
        let mut next = from;
        // A frame of the same function as the one before needs no looking up.
        let mut last: Option<Arc<dyn CodeBlob>> = None;
        while let Some((site, references)) = next {
            search.step()?;
            let ip = site.code as usize;
            let blob = match last {
                Some(last) if last.addresses().contains(&ip) => last,
                _ => VmContext::module(site.vmctx).blob_at(ip).expect("running code is kept"),
            };
            let code = blob.as_any().downcast_ref::<Code>().expect("code of this tier");
            if let Some(handlers) = code.handlers()
                && let Some((region, clause)) =
                    search.handler(handlers, (ip - code.entry() as usize) as u32, site.vmctx)?
            {
                land(exec, site, references, region.base, clause);
                (*exec).resume.ip = code.entry().add(clause.code as usize);
                return Ok(true);
            }
            let address = *site.frame.add(code.header().link.into()) as *const u8;
            let caller = caller_of(address, site.frame, site.vmctx);
            next = caller.map(|caller| (caller, references_of(caller, references)));
            last = Some(blob);
        }
        Ok(false)
    }
}

/// Frames, regions and clauses that are looked at between two polls. All of them come from the guest, and have cost it little.
const STEPS: u32 = 1 << 12;

struct Search {
    exec: *mut ExecContext,
    /// That of the exception.
    tag: TagId,
    /// How much has been looked at.
    steps: u32,
}

impl Search {
    unsafe fn step(&mut self) -> Result<(), Pending> {
        self.steps = self.steps.wrapping_add(1);
        if !self.steps.is_multiple_of(STEPS) {
            return Ok(());
        }
        // SAFETY: the context is alive, and an exception has been thrown.
        unsafe {
            let polled = builtins::poll(self.exec);
            if polled.is_err() {
                (*self.exec).catch();
            }
            polled
        }
    }

    /// The handler for the instruction at this offset from the entry, in a frame with context `ctx`.
    unsafe fn handler<'h>(
        &mut self,
        handlers: &'h Handlers,
        code: u32,
        ctx: *mut VmContext,
    ) -> Result<Option<(&'h Region, &'h Clause)>, Pending> {
        for region in handlers.regions(code) {
            // SAFETY: the context is alive, and the clauses are of its module.
            unsafe {
                self.step()?;
                for clause in handlers.clauses(region) {
                    self.step()?;
                    if clause.tag.is_none_or(|tag| VmContext::tag(ctx, tag) == self.tag) {
                        return Ok(Some((region, clause)));
                    }
                }
            }
        }
        Ok(None)
    }
}

/// The reference frame of a caller, where its callee's is `above`. `caller` has the last byte before the address that the call
/// returns to; what stands there takes the context and the reference frame back.
unsafe fn references_of(caller: Site, above: *mut u32) -> *mut u32 {
    // SAFETY: the callers' promise; there is always an instruction behind a call.
    unsafe {
        let mut behind = caller.code.add(1);
        if opcode_at(behind) == RESTORE {
            behind = behind.add(Restore::SIZE);
        }
        if opcode_at(behind) == REF_LEAVE {
            return above.sub(behind.add(HEAD).cast::<u16>().read_unaligned().into());
        }
        above
    }
}

/// Catches the exception in the frame at `site`, whose reference frame is `references`: what the handler gets is put in its slots,
/// of which `base` are the first. Where in the code it starts is left to the caller.
unsafe fn land(exec: *mut ExecContext, site: Site, references: *mut u32, base: Heights, clause: &Clause) {
    // SAFETY: the callers' promise: the frame has slots for what its handlers get.
    unsafe {
        let exception = (*exec).catch();
        let mut slots = Slots {
            value: site.frame.add(base.values as usize),
            reference: references.add(base.references as usize),
        };
        if clause.exception == Wanted::First {
            slots.next_reference().write(exception);
        }
        if clause.tag.is_some() {
            let object = (*exec).gc.base.add(exception as usize);
            for FieldLayout { offset, storage } in carried(&*exec, exception) {
                let field = object.add(*offset as usize);
                match storage {
                    Storage::Word => slots.next_value(1).write(field.cast::<u32>().read().into()),
                    Storage::Double | Storage::Function => {
                        slots.next_value(1).write(field.cast::<u64>().read())
                    }
                    Storage::Vector => {
                        slots.next_value(2).cast::<[u64; 2]>().write(field.cast::<[u64; 2]>().read())
                    }
                    Storage::Reference => slots.next_reference().write(field.cast::<u32>().read()),
                    Storage::I8 | Storage::I16 => unreachable!("values are not packed"),
                }
            }
        }
        if clause.exception == Wanted::Last {
            slots.next_reference().write(exception);
        }
        (*exec).ref_frame = references;
        (*exec).resume = Resume { ip: ptr::null(), sp: site.frame, vmctx: site.vmctx, value: 0 };
    }
}

/// The values that an exception carries.
unsafe fn carried(exec: &ExecContext, exception: u32) -> &[FieldLayout] {
    // SAFETY: the callers' promise. The first field is the tag.
    unsafe { exec.exception_layout(exception).carried() }
}

/// The slots of values, one behind the other.
struct Slots {
    value: *mut u64,
    reference: *mut u32,
}

impl Slots {
    /// The next value, which has so many slots.
    unsafe fn next_value(&mut self, slots: usize) -> *mut u64 {
        let value = self.value;
        // SAFETY: the callers' values are in the frame.
        self.value = unsafe { value.add(slots) };
        value
    }

    /// The next reference.
    unsafe fn next_reference(&mut self) -> *mut u32 {
        let reference = self.reference;
        // SAFETY: as above.
        self.reference = unsafe { reference.add(1) };
        reference
    }
}
