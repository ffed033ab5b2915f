//! Calls and returns.
//!
//! A callee's frame starts at the caller's outgoing arguments, so that neither arguments nor results are
//! copied: `[parameters or results | return address | saved context | locals | temporaries]`. The return
//! address points behind the call; the two bytes before it hold the distance between the frames, by which
//! a return finds the caller's.
//!
//! Calls that can reach another instance are followed by a [`Restore`], to which only callees of another
//! instance return: it takes the context back from the frame's saved slot.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use wasmrun_runtime::trap::{Pending, Status};
use wasmrun_runtime::types::TypeId;
use wasmrun_runtime::vm::{
    ExecContext, FuncRef, HostCall, HostFunc, StopSite, Table, TableDescriptor, VmContext,
};

use crate::bind::{bind, resolve};
use crate::code::{Header, LINK_SLOTS};
use crate::frames::caller_of;
use crate::machine::{Dispatch, HEAD, Machine, Op};
use crate::operand::{Source, Value};
use crate::table;

/// Bytes of the distance at the end of a call.
const BASE: usize = 2;

/// The frame that a call makes.
#[derive(Clone, Copy)]
struct NewFrame {
    entry: *const u8,
    sp: *mut u64,
    header: Header,
}

impl NewFrame {
    #[inline(always)]
    unsafe fn new(entry: *const u8, sp: *mut u64) -> NewFrame {
        // SAFETY: `entry` is from a code cell.
        NewFrame { entry, sp, header: unsafe { Header::of(entry) } }
    }

    #[inline(always)]
    fn end(&self) -> usize {
        self.sp as usize + self.header.frame_bytes as usize
    }

    /// Fills the frame and makes it the machine's.
    ///
    /// # Safety
    /// The frame has been checked to fit.
    #[inline(always)]
    unsafe fn enter(self, m: &mut Machine, return_to: *const u8) {
        // SAFETY: the frame lies inside the value stack.
        unsafe {
            let link = self.sp.add(self.header.link.into());
            link.write(return_to as u64);
            let locals = link.add(LINK_SLOTS.into());
            for i in 0..self.header.zeroes.into() {
                // Volatile, lest the loop becomes a call of memset, for which registers would be saved.
                locals.add(i).write_volatile(0);
            }
        }
        m.sp = self.sp;
        m.ip = self.entry;
    }
}

/// Enters a frame, or takes the slow path and executes the same instruction again after it.
#[inline(always)]
unsafe fn enter<D: Dispatch>(mut m: Machine, frame: NewFrame, return_to: *const u8) -> D::Out {
    // SAFETY: as for any instruction.
    unsafe {
        if frame.end() > (*m.exec()).value_limit() {
            // Float accumulators are dead at calls; the slow path finds the end of the frame in one.
            m.acc64 = f64::from_bits(frame.end() as u64);
            return D::cold::<FrameSlow>(m);
        }
        frame.enter(&mut m, return_to);
        D::go(m)
    }
}

/// Polls, then executes the call at `ip` again. The end of its frame is in `acc64`.
struct FrameSlow;

impl Op for FrameSlow {
    const SIZE: usize = 0;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: as for any instruction.
        unsafe {
            match (*m.exec()).poll_slow(m.acc64.to_bits() as usize) {
                Ok(()) => D::go(m),
                Err(pending) => D::exit(m.stop(pending)),
            }
        }
    }
}

/// Translates the function whose number among the defined ones is the first operand at `ip`, then executes
/// the instruction again.
struct Bind;

impl Op for Bind {
    const SIZE: usize = 0;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: as for any instruction.
        unsafe {
            let module = VmContext::module(m.ctx);
            match bind(module, module.imported_function_count() + m.operand::<u32>(HEAD)) {
                Ok(_) => D::go(m),
                Err(pending) => D::exit(m.stop(pending)),
            }
        }
    }
}

/// The entry of a function that the instance's module defines; null when it has not been translated.
#[inline(always)]
unsafe fn own_entry(m: &Machine) -> *const u8 {
    // SAFETY: the instruction's first operand is the number of such a function.
    unsafe {
        let cell = VmContext::cells(m.ctx).add(m.operand::<u32>(HEAD) as usize);
        (*cell).interpreter.load(Ordering::Acquire)
    }
}

/// `call` of a function of the module itself: its number among the defined ones, distance.
pub(crate) struct Call;

impl Op for Call {
    const SIZE: usize = HEAD + 4 + BASE;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these operands.
        unsafe {
            let entry = own_entry(&m);
            if entry.is_null() {
                return D::cold::<Bind>(m);
            }
            let frame = NewFrame::new(entry, m.slot(HEAD + 4));
            enter::<D>(m, frame, m.ip.add(Self::SIZE))
        }
    }
}

/// `call` of an imported function: context offset of its reference, distance. A [`Restore`] follows.
pub(crate) struct CallImport;

impl Op for CallImport {
    const SIZE: usize = HEAD + 4 + BASE;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these operands.
        unsafe {
            let callee = VmContext::at::<FuncRef>(m.ctx, m.operand(HEAD));
            let sp = m.slot(HEAD + 4);
            match call_any(m, callee, sp, m.ip.add(Self::SIZE)) {
                Ok(m) => D::go(m),
                Err(status) => D::exit(status),
            }
        }
    }
}

/// `call_indirect`: index, context offset of the table, type, distance. A [`Restore`] follows.
pub(crate) struct CallIndirect<X>(PhantomData<X>);

impl<X: Source<u32>> Op for CallIndirect<X> {
    const SIZE: usize = HEAD + X::WIDTH + 4 + 4 + BASE;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these operands; a `Table` starts with its descriptor.
        unsafe {
            let index = X::get(&m, HEAD) as usize;
            let at = HEAD + X::WIDTH;
            let table = *VmContext::at::<*mut TableDescriptor>(m.ctx, m.operand(at));
            if index < (*table).len {
                let callee = *(*table).elements.add(index) as *const FuncRef;
                if !callee.is_null()
                    && (*callee).type_id == VmContext::type_id(m.ctx, m.operand(at + 4))
                    && (*callee).vmctx == m.ctx
                {
                    let entry = (*(*callee).cell).interpreter.load(Ordering::Acquire);
                    if !entry.is_null() {
                        let frame = NewFrame::new(entry, m.slot(at + 8));
                        return enter::<D>(m, frame, m.ip.add(Self::SIZE + Restore::SIZE));
                    }
                }
            }
            D::cold::<CallIndirectSlow<X>>(m)
        }
    }
}

/// [`CallIndirect`] of an element that is not ready, not in this instance, or not what it should be.
struct CallIndirectSlow<X>(PhantomData<X>);

impl<X: Source<u32>> Op for CallIndirectSlow<X> {
    const SIZE: usize = 0;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: as for `CallIndirect`.
        unsafe {
            let at = HEAD + X::WIDTH;
            match find_callee(m.ctx, m.operand(at), m.operand(at + 4), X::get(&m, HEAD)) {
                Ok(callee) => {
                    let sp = m.slot(at + 8);
                    match call_any(m, callee, sp, m.ip.add(CallIndirect::<X>::SIZE)) {
                        Ok(m) => D::go(m),
                        Err(status) => D::exit(status),
                    }
                }
                Err(pending) => D::exit(m.stop(pending)),
            }
        }
    }
}

#[inline(never)]
unsafe fn find_callee(
    ctx: *mut VmContext,
    table: u32,
    ty: u32,
    index: u32,
) -> Result<*const FuncRef, Pending> {
    // SAFETY: operands of a `call_indirect` of the context's module.
    unsafe {
        let table = &mut **VmContext::at::<*mut Table>(ctx, table);
        let ty: TypeId = VmContext::type_id(ctx, ty);
        Ok(table.callee(index, ty)?)
    }
}

/// Takes the frame's own context back after a callee of another instance: saved slot, distance.
pub(crate) struct Restore;

impl Op for Restore {
    const SIZE: usize = HEAD + 2 + BASE;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: only callees of another instance return here, and their callers saved the context.
        unsafe {
            m.ctx = *m.slot(HEAD) as *mut VmContext;
            m.reload_memory();
            m.next::<D>(Self::SIZE)
        }
    }
}

/// Calls a function of any kind. `restore` is the [`Restore`] behind the call.
///
/// The machine goes in and out by value: a pointer to it would keep the dispatch that follows from being a
/// jump.
#[inline(never)]
unsafe fn call_any(
    mut m: Machine,
    callee: *const FuncRef,
    sp: *mut u64,
    restore: *const u8,
) -> Result<Machine, Status> {
    // SAFETY: `callee` is alive and of the type that the call expects.
    unsafe {
        let after = restore.add(Restore::SIZE);
        if !(*callee).host.is_null() {
            let site = StopSite { ip: m.ip, sp: m.sp, vmctx: m.ctx };
            call_host(m.exec(), site, m.ctx, &*(*callee).host, sp).map_err(|pending| m.stop(pending))?;
            m.ip = after;
            m.reload_memory();
            load_result(&mut m, sp);
            return Ok(m);
        }
        let entry = resolve(callee).map_err(|pending| m.stop(pending))?;
        let frame = NewFrame::new(entry, sp);
        if frame.end() > (*m.exec()).value_limit() {
            (*m.exec()).poll_slow(frame.end()).map_err(|pending| m.stop(pending))?;
        }
        if (*callee).vmctx == m.ctx {
            frame.enter(&mut m, after);
        } else {
            let saved = restore.add(HEAD).cast::<u16>().read_unaligned();
            *m.sp.add(saved.into()) = m.ctx as u64;
            m.ctx = (*callee).vmctx;
            m.reload_memory();
            frame.enter(&mut m, restore);
        }
        Ok(m)
    }
}

/// Leaves the result in slot 0 of `sp` in the accumulators, as every call does.
unsafe fn load_result(m: &mut Machine, sp: *mut u64) {
    // SAFETY: the slot exists, whether or not there is a result.
    let bits = unsafe { *sp };
    m.acc = bits;
    m.acc32 = f32::from_bits(bits as u32);
    m.acc64 = f64::from_bits(bits);
}

/// Calls a host function whose arguments start at `values` and at the reference frame.
///
/// # Safety
/// `exec` is alive and an entry from the host is active; the arguments match the function's type. `site` is
/// the innermost frame of guest code, `caller` the context of the instance that calls.
pub(crate) unsafe fn call_host(
    exec: *mut ExecContext,
    site: StopSite,
    caller: *mut VmContext,
    host: &HostFunc,
    values: *mut u64,
) -> Result<(), Pending> {
    // SAFETY: the caller's promise. The function may re-enter; the slots above its own are free.
    unsafe {
        let (value_top, ref_top) = ((*exec).value_top, (*exec).ref_top);
        let references = (*exec).ref_frame;
        let slots = host.slots();
        (*exec).value_top = values.add(slots.shared() as usize);
        (*exec).ref_top = references.add(slots.ref_shared() as usize);
        (*(*exec).activation).exit = site;
        let call = HostCall { exec, caller, values, references };
        let result = catch_unwind(AssertUnwindSafe(|| host.call(call)));
        (*exec).value_top = value_top;
        (*exec).ref_top = ref_top;
        match result {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Pending::Host(error)),
            Err(panic) => Err(Pending::Panic(panic)),
        }
    }
}

/// Makes `m` continue behind the call that made the frame at `m.sp`.
#[inline(always)]
unsafe fn return_to(m: &mut Machine, address: *const u8) {
    // SAFETY: the distance stands before every return address.
    unsafe {
        let distance = address.sub(BASE).cast::<u16>().read_unaligned();
        m.sp = m.sp.sub(distance.into());
        m.ip = address;
    }
}

/// Returns; results are in place: link slot.
pub(crate) struct Ret;

impl Op for Ret {
    const SIZE: usize = HEAD + 2;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the link slot holds the return address.
        unsafe {
            let address = *m.slot(HEAD) as *const u8;
            return_to(&mut m, address);
            D::go(m)
        }
    }
}

/// Returns one value: link slot, value.
pub(crate) struct RetValue<T, X>(PhantomData<(T, X)>);

impl<T: Value, X: Source<T>> Op for RetValue<T, X> {
    const SIZE: usize = HEAD + 2 + X::WIDTH;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: as for `Ret`; slot 0 holds the result.
        unsafe {
            let value = X::get(&m, HEAD + 2);
            let address = *m.slot(HEAD) as *const u8;
            *m.sp = value.to_bits();
            value.to_acc(&mut m);
            return_to(&mut m, address);
            D::go(m)
        }
    }
}

/// Leaves the machine: what the outermost frame returns to.
pub(crate) struct Exit;

impl Op for Exit {
    const SIZE: usize = HEAD;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(_: Machine) -> D::Out {
        D::exit(Status::Ok)
    }
}

/// `return_call` of a function of the module itself: its number among the defined ones, first argument
/// slot, number of argument slots, link slot.
pub(crate) struct TailCall;

impl Op for TailCall {
    const SIZE: usize = HEAD + 4 + 2 + 2 + 2;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the instruction has these operands.
        unsafe {
            let entry = own_entry(&m);
            if entry.is_null() {
                return D::cold::<Bind>(m);
            }
            let frame = NewFrame::new(entry, m.sp);
            if frame.end() > (*m.exec()).value_limit() {
                m.acc64 = f64::from_bits(frame.end() as u64);
                return D::cold::<FrameSlow>(m);
            }
            let address = *m.slot(HEAD + 8) as *const u8;
            move_arguments(m.sp, m.slot(HEAD + 4), m.operand(HEAD + 6));
            frame.enter(&mut m, address);
            D::go(m)
        }
    }
}

/// Moves outgoing arguments down to the bottom of the frame.
#[inline(always)]
unsafe fn move_arguments(to: *mut u64, from: *const u64, count: u16) {
    for i in 0..count.into() {
        // Upwards is right for overlapping slots, as `to` is the lower. Volatile as in `NewFrame::enter`.
        // SAFETY: both ranges lie inside the frame.
        unsafe { to.add(i).write_volatile(*from.add(i)) };
    }
}

/// `return_call` of an imported function: context offset of its reference, first argument slot, number of
/// argument slots, link slot, number of result slots.
pub(crate) struct TailCallImport;

impl Op for TailCallImport {
    const SIZE: usize = HEAD + 4 + 2 + 2 + 2 + 2;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these operands.
        unsafe {
            let callee = VmContext::at::<FuncRef>(m.ctx, m.operand(HEAD));
            match tail_call_any(m, callee, HEAD + 4) {
                Ok(m) => D::go(m),
                Err(status) => D::exit(status),
            }
        }
    }
}

/// `return_call_indirect`: index in a slot, context offset of the table, type, then as for
/// [`TailCallImport`].
pub(crate) struct TailCallIndirect;

impl Op for TailCallIndirect {
    const SIZE: usize = HEAD + 2 + 4 + 4 + 2 + 2 + 2 + 2;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these operands.
        unsafe {
            let index = *m.slot(HEAD) as u32;
            match find_callee(m.ctx, m.operand(HEAD + 2), m.operand(HEAD + 6), index) {
                Ok(callee) => match tail_call_any(m, callee, HEAD + 10) {
                    Ok(m) => D::go(m),
                    Err(status) => D::exit(status),
                },
                Err(pending) => D::exit(m.stop(pending)),
            }
        }
    }
}

/// Calls a function of any kind in place of the running frame. The four common operands start at `at`.
#[inline(never)]
unsafe fn tail_call_any(mut m: Machine, callee: *const FuncRef, at: usize) -> Result<Machine, Status> {
    // SAFETY: `callee` is alive and of the type that the call expects; the instruction has the operands.
    unsafe {
        let (from, count) = (m.slot(at), m.operand::<u16>(at + 2));
        let address = *m.slot(at + 4) as *const u8;
        let results = m.operand::<u16>(at + 6);
        if !(*callee).host.is_null() {
            move_arguments(m.sp, from, count);
            // The frame is gone by now, and its link slot may hold an argument.
            let (exec, site) = (m.exec(), caller_of(address, m.sp, m.ctx));
            call_host(exec, site, m.ctx, &*(*callee).host, m.sp).map_err(|pending| {
                (*exec).stop = site;
                (*exec).set_pending(pending);
                Status::Trap
            })?;
            m.reload_memory();
            let sp = m.sp;
            load_result(&mut m, sp);
            return_to(&mut m, address);
            return Ok(m);
        }
        let entry = resolve(callee).map_err(|pending| m.stop(pending))?;
        let other = (*callee).vmctx != m.ctx;
        // A frame that stands in for the caller keeps its context and return address: once for any number
        // of tail calls between instances.
        let stand_in = other && address != table::after_tail();
        let sp = if stand_in { m.sp.add(STAND_IN_SLOTS) } else { m.sp };
        let frame = NewFrame::new(entry, sp);
        if frame.end() > (*m.exec()).value_limit() {
            (*m.exec()).poll_slow(frame.end()).map_err(|pending| m.stop(pending))?;
        }
        if !stand_in {
            move_arguments(m.sp, from, count);
            if other {
                m.ctx = (*callee).vmctx;
                m.reload_memory();
            }
            frame.enter(&mut m, address);
            return Ok(m);
        }
        std::ptr::copy(from, sp, count.into());
        *m.sp = address as u64;
        *m.sp.add(1) = m.ctx as u64;
        *m.sp.add(2) = results.into();
        m.ctx = (*callee).vmctx;
        m.reload_memory();
        frame.enter(&mut m, table::after_tail());
        Ok(m)
    }
}

/// Slots of a frame that stands in for a caller: return address, context, number of result slots.
pub(crate) const STAND_IN_SLOTS: usize = 3;

/// Returns from a stand-in frame to the caller that it stands for: what the last of a chain of tail calls
/// between instances returns to.
pub(crate) struct AfterTail;

impl Op for AfterTail {
    const SIZE: usize = HEAD;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the frame at `sp` is a stand-in, with the results behind it.
        unsafe {
            let address = *m.sp as *const u8;
            m.ctx = *m.sp.add(1) as *mut VmContext;
            let count = *m.sp.add(2) as u16;
            move_arguments(m.sp, m.sp.add(STAND_IN_SLOTS), count);
            m.reload_memory();
            let sp = m.sp;
            load_result(&mut m, sp);
            return_to(&mut m, address);
            D::go(m)
        }
    }
}

/// Enters a function of WebAssembly from the host: the frame at `sp` returns to `exit`.
///
/// # Safety
/// `callee` is a function of WebAssembly, alive; its arguments are at `sp`; `m.ctx` is its context.
pub(crate) unsafe fn enter_from_host(
    mut m: Machine,
    callee: *const FuncRef,
    sp: *mut u64,
) -> Result<Machine, Pending> {
    // SAFETY: the caller's promise.
    unsafe {
        let entry = resolve(callee)?;
        let frame = NewFrame::new(entry, sp);
        if frame.end() > (*m.exec()).value_limit() {
            (*m.exec()).poll_slow(frame.end())?;
        }
        m.reload_memory();
        frame.enter(&mut m, table::exit());
        Ok(m)
    }
}
