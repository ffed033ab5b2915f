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

use wasmrun_runtime::frame::LINK_SLOTS;
use wasmrun_runtime::trap::{Pending, Status, Trap};
use wasmrun_runtime::types::TypeId;
use wasmrun_runtime::vm::{
    ExecContext, FuncRef, HostCall, HostFunc, Left, Resume, Site, Table, TableDescriptor, VmContext, builtins,
};

use super::exception::failed_below;
use crate::bind::{bind_in, resolve, resolve_own};
use crate::code::{Code, Header, note_callee};
use crate::field::Field;
use crate::machine::{At, Continuation, Dispatch, Machine, Op, entry_slow, offset_in};
use crate::mode::{Source, Value};

/// The frame that a call makes.
#[derive(Clone, Copy)]
pub(super) struct NewFrame {
    entry: *const u8,
    sp: *mut u64,
    header: Header,
}

impl NewFrame {
    #[inline(always)]
    pub(super) unsafe fn new(entry: *const u8, sp: *mut u64) -> NewFrame {
        // SAFETY: `entry` is from a code cell.
        NewFrame { entry, sp, header: unsafe { Header::of(entry) } }
    }

    #[inline(always)]
    fn end(&self) -> usize {
        self.sp as usize + self.header.frame_bytes as usize
    }

    /// Counts the entry. Whether the slow path has to be taken before it.
    #[inline(always)]
    pub(super) unsafe fn is_slow(&self, exec: *mut ExecContext) -> bool {
        // SAFETY: the context is alive.
        unsafe { self.end() > (*exec).value_limit() || (*exec).count() }
    }

    /// Leaves for [`FrameSlow`] what it has to know.
    #[inline(always)]
    pub(super) unsafe fn note(&self, m: &mut Machine) {
        // SAFETY: the context is alive. Float accumulators are dead at calls.
        unsafe {
            (*m.exec()).resume.ip = self.entry;
            m.acc64 = f64::from_bits(self.end() as u64);
        }
    }

    /// Takes the slow path; `ctx` is the context of the function.
    pub(super) unsafe fn slow(&self, ctx: *mut VmContext) -> Result<(), Pending> {
        // SAFETY: the frame is about to be made.
        unsafe { entry_slow(ctx, self.entry, self.end()) }
    }

    /// Fills the frame.
    ///
    /// # Safety
    /// It has been checked to fit.
    #[inline(always)]
    pub(super) unsafe fn fill(self, return_to: *const u8) {
        // SAFETY: the frame lies inside the value stack.
        unsafe {
            let link = self.sp.add(self.header.link.into());
            link.write(return_to as u64);
            let locals = link.add(LINK_SLOTS as usize);
            for i in 0..self.header.zeroes.into() {
                // Volatile, lest the loop becomes a call of memset, for which registers would be saved.
                locals.add(i).write_volatile(0);
            }
        }
    }

    /// Fills the frame; a slow path goes on in it.
    ///
    /// # Safety
    /// As for [`NewFrame::fill`]; `ctx` is the context of the frame's function.
    pub(super) unsafe fn resume_in(self, ctx: *mut VmContext, return_to: *const u8) {
        // SAFETY: the caller's promise.
        unsafe {
            self.fill(return_to);
            (*VmContext::exec(ctx)).resume = Resume { ip: self.entry, sp: self.sp, vmctx: ctx, value: 0 };
        }
    }
}

/// Enters a frame, or takes the slow path and executes the same instruction again after it.
#[inline(always)]
unsafe fn enter<D: Dispatch>(mut m: Machine, frame: NewFrame, return_to: *const u8) -> D::Out {
    // SAFETY: as for any instruction.
    unsafe {
        if frame.is_slow(m.exec()) {
            frame.note(&mut m);
            return D::cold::<FrameSlow>(m);
        }
        frame.fill(return_to);
        m.sp = frame.sp;
        m.ip = frame.entry;
        D::go(m)
    }
}

/// Takes the slow path of an entry, then executes the call at `ip` again: what it calls may have changed.
pub(super) struct FrameSlow;

impl Continuation for FrameSlow {
    #[inline(always)]
    unsafe fn run<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: as for any instruction.
        unsafe {
            match frame_slow(m.ip, m.sp, m.ctx, m.acc64.to_bits() as usize) {
                Status::Ok => D::go(m),
                status => D::exit(status),
            }
        }
    }
}

#[inline(never)]
unsafe fn frame_slow(ip: *const u8, sp: *mut u64, ctx: *mut VmContext, frame_end: usize) -> Status {
    // SAFETY: `NewFrame::note` has left the entry.
    unsafe {
        let entry = (*VmContext::exec(ctx)).resume.ip;
        At { ip, sp, ctx }.finish(entry_slow(ctx, entry, frame_end))
    }
}

/// Translates the function that the [`Call`] or `TailCall` at `ip` names, then executes that again.
pub(super) struct Bind;

impl Continuation for Bind {
    #[inline(always)]
    unsafe fn run<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: as for any instruction.
        unsafe {
            match bind_callee(m.ip, m.sp, m.ctx) {
                Status::Ok => D::go(m),
                status => D::exit(status),
            }
        }
    }
}

#[inline(never)]
unsafe fn bind_callee(ip: *const u8, sp: *mut u64, ctx: *mut VmContext) -> Status {
    // SAFETY: both instructions start with the number of a function among the defined ones.
    unsafe {
        let at = At { ip, sp, ctx };
        let function = VmContext::module(ctx).imported_function_count() + at.field::<Call, u32, 0>();
        at.finish(bind_in(ctx, function))
    }
}

/// Ends an instruction that a slow path has completed.
#[inline(always)]
pub(super) unsafe fn resume<D: Dispatch>(mut m: Machine, status: Status) -> D::Out {
    if status != Status::Ok {
        return D::exit(status);
    }
    // SAFETY: the slow path has left a running machine's registers.
    unsafe {
        let resume = &raw const (*m.exec()).resume;
        m.acc = (*resume).value;
        m.acc32 = f32::from_bits((*resume).value as u32);
        m.acc64 = f64::from_bits((*resume).value);
        m.ip = (*resume).ip;
        m.sp = (*resume).sp;
        m.ctx = (*resume).vmctx;
        m.reload_memory();
        D::go(m)
    }
}

/// The entry of the function that the [`Call`] or `TailCall` at `m.ip` names; null when it has not been
/// translated.
#[inline(always)]
pub(super) unsafe fn own_entry(m: &Machine) -> *const u8 {
    // SAFETY: both instructions start with the number of a function among the defined ones.
    unsafe {
        let cell = VmContext::cells(m.ctx).add(m.field::<Call, u32, 0>() as usize);
        (*cell).interpreter()
    }
}

/// `call` of a function of the module itself: its number among the defined ones, distance.
pub(crate) struct Call;

impl Op for Call {
    const NAME: &'static [&'static str] = &["call"];
    const FIELDS: &'static [Field] = &[Field::Defined, Field::Frame];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let entry = own_entry(&m);
            if entry.is_null() {
                return D::cold::<Bind>(m);
            }
            let frame = NewFrame::new(entry, m.slot::<Self, 1>());
            enter::<D>(m, frame, m.ip.add(Self::SIZE))
        }
    }
}

/// `call` of an imported function: context offset of its reference, distance. A [`Restore`] follows.
pub(crate) struct CallImport;

impl Op for CallImport {
    const NAME: &'static [&'static str] = &["call.import"];
    const FIELDS: &'static [Field] = &[Field::Context, Field::Frame];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields.
        unsafe {
            let callee = VmContext::at::<FuncRef>(m.ctx, m.field::<Self, u32, 0>());
            let sp = m.slot::<Self, 1>();
            let status = call_any(m.ip, m.sp, m.ctx, callee, sp, m.ip.add(Self::SIZE));
            resume::<D>(m, status)
        }
    }
}

/// `call_indirect`: index, context offset of the table, type, whom it has called, distance. A [`Restore`] follows. An index of
/// 32 bits is a whole slot as well, whose upper half is zero.
pub(crate) struct CallIndirect<X>(PhantomData<X>);

impl<X: Source<u64>> Op for CallIndirect<X> {
    const NAME: &'static [&'static str] = &["call_indirect"];
    const FIELDS: &'static [Field] =
        &[X::FIELD, Field::Context, Field::Type, Field::Callee, Field::Changes, Field::Frame];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields; a `Table` starts with its descriptor.
        unsafe {
            let index = X::get::<Self, 0>(&m) as usize;
            let table = *VmContext::at::<*mut TableDescriptor>(m.ctx, m.field::<Self, u32, 1>());
            if index < (*table).len {
                let callee = (*(*table).elements.add(index)).get() as *const FuncRef;
                if !callee.is_null()
                    && (*callee).type_id == VmContext::type_id(m.ctx, m.field::<Self, u32, 2>())
                    && (*callee).vmctx == m.ctx
                {
                    let entry = (*(*callee).cell).interpreter();
                    if !entry.is_null() {
                        const {
                            assert!(matches!(
                                (Self::FIELDS[3], Self::FIELDS[4]),
                                (Field::Callee, Field::Changes)
                            ));
                        }
                        note_callee(m.ip.add(offset_in::<Self, 3>()), (*callee).func_index);
                        let frame = NewFrame::new(entry, m.slot::<Self, 5>());
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

impl<X: Source<u64>> Continuation for CallIndirectSlow<X> {
    #[inline(always)]
    unsafe fn run<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: as for `CallIndirect`.
        unsafe {
            let status = call_indirect::<X>(m.ip, m.sp, m.ctx, X::get::<CallIndirect<X>, 0>(&m));
            resume::<D>(m, status)
        }
    }
}

/// The slow path of a [`CallIndirect`].
#[inline(never)]
unsafe fn call_indirect<X: Source<u64>>(
    ip: *const u8,
    sp: *mut u64,
    ctx: *mut VmContext,
    index: u64,
) -> Status {
    // SAFETY: as for `CallIndirect`.
    unsafe {
        let at = At { ip, sp, ctx };
        let table = at.field::<CallIndirect<X>, u32, 1>();
        let ty = at.field::<CallIndirect<X>, u32, 2>();
        match find_callee(ctx, table, ty, index) {
            Ok(callee) => {
                let base = at.slot::<CallIndirect<X>, 5>();
                call_any(ip, sp, ctx, callee, base, ip.add(CallIndirect::<X>::SIZE))
            }
            Err(trap) => at.finish(Err(trap.into())),
        }
    }
}

pub(super) unsafe fn find_callee(
    ctx: *mut VmContext,
    table: u32,
    ty: u32,
    index: u64,
) -> Result<*const FuncRef, Trap> {
    // SAFETY: fields of a `call_indirect` of the context's module.
    unsafe {
        let table = &mut **VmContext::at::<*mut Table>(ctx, table);
        let ty: TypeId = VmContext::type_id(ctx, ty);
        table.callee(index, ty, VmContext::module(ctx).registry())
    }
}

/// `call_ref`: reference in a slot, whom it has called, distance. A [`Restore`] follows.
pub(crate) struct CallRef;

impl Op for CallRef {
    const NAME: &'static [&'static str] = &["call_ref"];
    const FIELDS: &'static [Field] = &[Field::Slot, Field::Callee, Field::Changes, Field::Frame];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: the instruction has these fields, and a reference that is not null refers to a function of the type
        // that was called.
        unsafe {
            let callee = *m.slot::<Self, 0>() as *const FuncRef;
            if !callee.is_null() && (*callee).vmctx == m.ctx {
                let entry = (*(*callee).cell).interpreter();
                if !entry.is_null() {
                    const {
                        assert!(matches!(
                            (Self::FIELDS[1], Self::FIELDS[2]),
                            (Field::Callee, Field::Changes)
                        ));
                    }
                    note_callee(m.ip.add(offset_in::<Self, 1>()), (*callee).func_index);
                    let frame = NewFrame::new(entry, m.slot::<Self, 3>());
                    return enter::<D>(m, frame, m.ip.add(Self::SIZE + Restore::SIZE));
                }
            }
            D::cold::<CallRefSlow>(m)
        }
    }
}

/// [`CallRef`] of null, or of a function that is not ready or not in this instance.
struct CallRefSlow;

impl Continuation for CallRefSlow {
    #[inline(always)]
    unsafe fn run<D: Dispatch>(m: Machine) -> D::Out {
        // SAFETY: as for `CallRef`.
        unsafe {
            let status = call_ref(m.ip, m.sp, m.ctx);
            resume::<D>(m, status)
        }
    }
}

/// The slow path of a [`CallRef`].
#[inline(never)]
unsafe fn call_ref(ip: *const u8, sp: *mut u64, ctx: *mut VmContext) -> Status {
    // SAFETY: as for `CallRef`.
    unsafe {
        let at = At { ip, sp, ctx };
        let callee = *at.slot::<CallRef, 0>() as *const FuncRef;
        if callee.is_null() {
            return at.finish(Err(Trap::NullReference.into()));
        }
        call_any(ip, sp, ctx, callee, at.slot::<CallRef, 3>(), ip.add(CallRef::SIZE))
    }
}

/// Takes the frame's own context back after a callee of another instance: saved slot, distance.
pub(crate) struct Restore;

impl Op for Restore {
    const NAME: &'static [&'static str] = &["restore"];
    const FIELDS: &'static [Field] = &[Field::Slot, Field::Frame];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: only callees of another instance return here, and their callers saved the context.
        unsafe {
            m.ctx = *m.slot::<Self, 0>() as *mut VmContext;
            m.reload_memory();
            m.next::<D, Self>()
        }
    }
}

/// Calls a function of any kind from the frame at `sp`; the callee's frame is to start at `base`. `restore`
/// is the [`Restore`] behind the call.
#[inline(never)]
unsafe fn call_any(
    ip: *const u8,
    sp: *mut u64,
    ctx: *mut VmContext,
    callee: *const FuncRef,
    base: *mut u64,
    restore: *const u8,
) -> Status {
    let at = At { ip, sp, ctx };
    // SAFETY: `callee` is alive and of the type that the call expects.
    unsafe {
        match try_call_any(at, callee, base, restore) {
            Ok(()) => Status::Ok,
            Err(pending) => {
                let call = Site { code: restore.sub(1), ..at.site() };
                failed_below(VmContext::exec(ctx), at.site(), Some(call), pending)
            }
        }
    }
}

unsafe fn try_call_any(
    at: At,
    callee: *const FuncRef,
    base: *mut u64,
    restore: *const u8,
) -> Result<(), Pending> {
    // SAFETY: as for `call_any`.
    unsafe {
        let exec = VmContext::exec(at.ctx);
        let after = restore.add(Restore::SIZE);
        if !(*callee).host.is_null() {
            call_host(exec, at.site(), at.ctx, &*(*callee).host, base)?;
            // It may have taken long.
            builtins::poll(exec)?;
            (*exec).resume = Resume { ip: after, sp: at.sp, vmctx: at.ctx, value: *base };
            return Ok(());
        }
        let mut frame = NewFrame::new(resolve(callee)?, base);
        if frame.is_slow(exec) {
            frame.slow((*callee).vmctx)?;
            frame = NewFrame::new(resolve(callee)?, base);
        }
        if (*callee).vmctx == at.ctx {
            frame.resume_in(at.ctx, after);
        } else {
            let saved = restore.add(offset_in::<Restore, 0>()).cast::<u16>().read_unaligned();
            *at.sp.add(saved.into()) = at.ctx as u64;
            frame.resume_in((*callee).vmctx, restore);
        }
        Ok(())
    }
}

/// Calls a host function whose arguments start at `values` and at the reference frame.
///
/// # Safety
/// `exec` is alive and an entry from the host is active; the arguments match the function's type. `site` is
/// the innermost frame of guest code, `caller` the context of the instance that calls.
pub(crate) unsafe fn call_host(
    exec: *mut ExecContext,
    site: Site,
    caller: *mut VmContext,
    host: &HostFunc,
    values: *mut u64,
) -> Result<(), Pending> {
    // SAFETY: the caller's promise. The slots above the function's own are free.
    unsafe {
        (*exec).set_exit(site);
        let call = HostCall { exec, caller, values, references: (*exec).ref_frame };
        host.call_caught(call, values.add(host.slots().shared() as usize))
    }
}

/// The distance between the frame of the call that `address` points behind and its callee's.
#[inline(always)]
pub(super) unsafe fn distance(address: *const u8) -> u16 {
    // SAFETY: the distance stands before every return address.
    unsafe { address.sub(Field::Frame.width()).cast::<u16>().read_unaligned() }
}

/// Makes `m` continue behind the call that made the frame at `m.sp`.
#[inline(always)]
pub(super) unsafe fn return_to(m: &mut Machine, address: *const u8) {
    // SAFETY: `address` is the frame's return address.
    unsafe {
        m.sp = m.sp.sub(distance(address).into());
        m.ip = address;
    }
}

/// Returns; results are in place: link slot.
pub(crate) struct Ret;

impl Op for Ret {
    const NAME: &'static [&'static str] = &["return"];
    const FIELDS: &'static [Field] = &[Field::Slot];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: the link slot holds the return address.
        unsafe {
            let address = *m.slot::<Self, 0>() as *const u8;
            return_to(&mut m, address);
            D::go(m)
        }
    }
}

/// Returns one value: link slot, value.
pub(crate) struct RetValue<T, X>(PhantomData<(T, X)>);

impl<T: Value, X: Source<T>> Op for RetValue<T, X> {
    const NAME: &'static [&'static str] = &["return"];
    const FIELDS: &'static [Field] = &[Field::Slot, X::FIELD];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(mut m: Machine) -> D::Out {
        // SAFETY: as for `Ret`; slot 0 holds the result.
        unsafe {
            let value = X::get::<Self, 1>(&m);
            let address = *m.slot::<Self, 0>() as *const u8;
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
    const NAME: &'static [&'static str] = &["exit"];
    const FIELDS: &'static [Field] = &[];

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(_: Machine) -> D::Out {
        D::exit(Status::Ok)
    }
}

/// Enters the outermost function of a segment, the one with index `function`, which the module of the context
/// defines: the frame at `m.sp` returns to `return_to`. A failure comes with where code has stopped.
///
/// # Safety
/// `m.ctx` is the function's context, alive; its arguments are at `m.sp`.
pub(crate) unsafe fn enter_outermost(
    mut m: Machine,
    function: u32,
    return_to: *const u8,
) -> Result<Machine, (Site, Pending)> {
    // SAFETY: the caller's promise.
    unsafe {
        let entry = || resolve_own(m.ctx, function).map_err(|pending| (Site::NOWHERE, pending));
        let mut frame = NewFrame::new(entry()?, m.sp);
        if frame.is_slow(m.exec()) {
            if let Err(pending) = frame.slow(m.ctx) {
                if frame.end() > (*m.exec()).stack().values_end() {
                    return Err((Site::NOWHERE, pending));
                }
                // Who is told that the guest was stopped wants to know in which function, be it the first.
                frame.fill(return_to);
                return Err((Site { code: frame.entry, frame: frame.sp, vmctx: m.ctx }, pending));
            }
            frame = NewFrame::new(entry()?, m.sp);
        }
        m.reload_memory();
        frame.fill(return_to);
        m.ip = frame.entry;
        Ok(m)
    }
}

/// Goes on where a frame of compiled code has been left, in a frame at `sp` that returns to `return_to`.
///
/// # Safety
/// `ctx` is alive, and the context of the function that has been left; the frame lies inside the value stack, and tier 0
/// can enter the loop.
pub(crate) unsafe fn go_on(
    exec: *mut ExecContext,
    ctx: *mut VmContext,
    sp: *mut u64,
    return_to: *const u8,
) -> Machine {
    // SAFETY: the caller's promise. The values may be where they have to be already.
    unsafe {
        let Left { function, at, slots, .. } = (*exec).native.left;
        let (module, cells) = (VmContext::module(ctx), VmContext::cells(ctx));
        let bytecode =
            module.bytecode(module.cells().plan_of(cells), function).expect("a translated function");
        let code = bytecode.blob.as_any().downcast_ref::<Code>().expect("code of this tier");
        let header = code.loop_of(at).expect("a loop of the function");
        let frame = code.header();
        std::ptr::copy(slots, sp, frame.frame_bytes as usize / size_of::<u64>());
        sp.add(frame.link.into()).write(return_to as u64);
        let mut m = Machine::idle(ctx, sp);
        m.reload_memory();
        m.ip = code.entry().add(header.code as usize);
        m
    }
}
