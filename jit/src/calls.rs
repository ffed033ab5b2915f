//! Calls between the host, tier 0 and compiled code: what happens in Rust at the borders that [`crate::stubs`]
//! are on the other side of.
//!
//! The functions of this module find what they need through the execution context of the store, which
//! [`attach`] has told of its engine's code. Compiled code and tier 0 know nothing of each other: the
//! embedding crate names the function that runs the interpreter.
#![allow(unsafe_code)]

use std::{mem, ptr};

use wasmrun_runtime::module::{CodeCell, Module};
use wasmrun_runtime::trap::{Pending, Status, Trap};
use wasmrun_runtime::types::{FuncType, TypeId, ValType};
use wasmrun_runtime::vm::{
    Entered, ExecContext, FoundFrame, FuncRef, InterpreterRun, Left, NativeEntries, Segment, Site, Tier,
    VmContext, direct_callee_id,
};

use crate::abi::{Callee, frame_id, without_parameters};
use crate::code::{CodeSpace, LoopCode};
use crate::entrances::Entrance;
use crate::references;
use crate::stubs::{StubError, enter, lazy_bind, set_resolver};
use crate::trap::current_exec;

/// Tells the execution context of a store where the code of its engine is, and how it runs what has none: by `run`,
/// as [`NativeEntries::run_interpreter`].
///
/// # Safety
/// `space` stays where it is and outlives every use of `exec`.
pub unsafe fn attach(exec: &mut ExecContext, space: &CodeSpace, run: InterpreterRun) {
    set_resolver(resolve);
    exec.native.code = ptr::from_ref(space).cast();
    exec.native.unbound = unbound();
    let entries = &mut exec.native.entries;
    *entries = NativeEntries {
        interpreter: call_interpreted,
        resume: resume_interpreted,
        run_interpreter: run,
        call: call_compiled,
        frame_roots,
        enter_loop,
        ..*entries
    };
}

/// The compiled code of functions that have none: it finds out what to call when it is called.
#[inline]
pub fn unbound() -> *const u8 {
    lazy_bind as *const u8
}

/// See [`FrameRoots`](wasmrun_runtime::vm::FrameRoots).
unsafe fn frame_roots(exec: *const ExecContext, frame: Site, visit: &mut dyn FnMut(*mut u32)) {
    // SAFETY: stores whose frames are walked have been attached.
    unsafe { space(exec).for_each_reference(frame, visit) };
}

/// The code of the store's engine.
unsafe fn space<'a>(exec: *const ExecContext) -> &'a CodeSpace {
    // SAFETY: promised in `attach`.
    unsafe { &*(*exec).native.code.cast() }
}

/// The cell of a function that the module of a context defines.
unsafe fn cell<'a>(vmctx: *mut VmContext, module: &Module, function: u32) -> &'a CodeCell {
    // SAFETY: the context is alive, and of an instance of the module.
    unsafe { &*VmContext::cells(vmctx).add((function - module.imported_function_count()) as usize) }
}

/// See [`NativeEntries::call`].
///
/// # Safety
/// `exec` is that of the store of `vmctx`, borrowed by nothing else; [`attach`] was called. The arguments match the type of
/// the function, which the module of `vmctx` defines, and there is room for the results.
pub unsafe extern "C" fn call_compiled(
    exec: *mut ExecContext,
    vmctx: *mut VmContext,
    function: u32,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe {
        let module = VmContext::module(vmctx);
        let code = cell(vmctx, module, function).native();
        call(exec, vmctx, function, module.function_type_id(function), code)
    }
}

/// As [`call_compiled`], of the function that `callee` refers to: `code` is what its cell had.
///
/// # Safety
/// As for [`call_compiled`].
#[inline]
pub unsafe fn call_reference(exec: *mut ExecContext, callee: &FuncRef, code: *const u8) -> Status {
    // SAFETY: the caller's promise.
    unsafe { call(exec, callee.vmctx, callee.func_index, callee.type_id, code) }
}

/// As [`call_compiled`], of a function of which type and code are known.
unsafe fn call(
    exec: *mut ExecContext,
    vmctx: *mut VmContext,
    function: u32,
    type_id: TypeId,
    code: *const u8,
) -> Status {
    // SAFETY: as for `call_compiled`. The segment is withdrawn before it goes out of scope.
    unsafe {
        let ty = || VmContext::module(vmctx).function_type(function);
        let mut segment = Segment::compiled();
        let _entered = Entered::new(exec, &raw mut segment);
        let entrance = match entrance(exec, type_id, ty) {
            Ok(entrance) => entrance,
            Err(pending) => return refused(exec, pending),
        };
        if entrance.spread.ref_params != 0 {
            references::join(ty().params(), (*exec).value_top, (*exec).ref_top);
        }
        run(exec, entrance, || ty().results(), code, vmctx, direct_callee_id(function))
    }
}

/// A call that does not come to its first instruction.
#[cold]
unsafe fn refused(exec: *mut ExecContext, pending: Pending) -> Status {
    // SAFETY: the context is alive, and all frames but those of this call, of which there are none, are on the stacks.
    unsafe {
        (*exec).take_down_frames(Some(Vec::new()));
        (*exec).set_pending(pending);
    }
    Status::Trap
}

/// See [`NativeEntries::enter_loop`](wasmrun_runtime::vm::NativeEntries::enter_loop); `code` is a [`LoopCode`].
///
/// # Safety
/// As for [`call_compiled`]; the frame belongs to the loop's function and is at the header, and the results fit it.
pub unsafe extern "C" fn enter_loop(
    exec: *mut ExecContext,
    vmctx: *mut VmContext,
    code: *const (),
    frame: *mut u64,
) -> Status {
    // SAFETY: the caller's promise. The segment is withdrawn before it goes out of scope.
    unsafe {
        let code = &*code.cast::<LoopCode>();
        let mut segment = Segment::compiled();
        let _entered = Entered::new(exec, &raw mut segment);
        let (entry, results) = (code.code().entry(), || code.ty().results());
        run(exec, code.entrance(), results, entry, vmctx, frame_id(frame))
    }
}

/// Runs compiled code, whose arguments are where its entrance expects them, and leaves its results where tier 0 and the
/// host do: from [`ExecContext::value_top`] and [`ExecContext::ref_top`] on.
#[inline]
unsafe fn run<'a>(
    exec: *mut ExecContext,
    entrance: &Entrance,
    results: impl FnOnce() -> &'a [ValType],
    code: *const u8,
    vmctx: *mut VmContext,
    id: u64,
) -> Status {
    // SAFETY: as for `call_compiled`.
    unsafe {
        let (values, references) = ((*exec).value_top, (*exec).ref_top);
        (*exec).value_top = values.add(entrance.slots);
        (*exec).poll_soon();
        let outer = mem::replace(&mut (*exec).native.entered, vmctx);
        let status = enter(entrance.stub, exec, code, vmctx, id, values);
        (*exec).native.entered = outer;
        (*exec).value_top = values;
        if mem::take(&mut (*exec).native.left.by_entry) {
            return Status::Left;
        }
        if status != Status::Ok {
            take_down_trace(exec);
        } else if entrance.spread.ref_results != 0 {
            references::separate(results(), values, references);
        }
        status
    }
}

/// Takes down the frames that a trap has left, which are those of the innermost segment.
#[cold]
unsafe fn take_down_trace(exec: *mut ExecContext) {
    // SAFETY: as for `call_compiled`.
    unsafe {
        let frames =
            (*exec).native.trace.take().map(|addresses| addresses.iter().map(compiled_frame).collect());
        (*exec).take_down_frames(Some(frames.unwrap_or_default()));
    }
}

fn compiled_frame(address: &usize) -> FoundFrame {
    // The addresses are behind the first byte of their instructions.
    let code = ptr::with_exposed_provenance(address - 1);
    FoundFrame { tier: Tier::Compiled, site: Site { code, ..Site::NOWHERE } }
}

/// How a function is entered, if there is room on the stacks.
#[inline]
unsafe fn entrance<'a>(
    exec: *mut ExecContext,
    type_id: TypeId,
    ty: impl FnOnce() -> &'a FuncType,
) -> Result<&'a Entrance, Pending> {
    // SAFETY: as for `call_compiled`.
    unsafe {
        if !(*exec).native_stack_left() {
            return Err(Trap::StackOverflow.into());
        }
        let entrance = space(exec).entrance(type_id, ty)?;
        if (*exec).value_top.wrapping_add(entrance.slots) as usize > (*exec).stack().values_end() {
            return Err(Trap::StackOverflow.into());
        }
        Ok(entrance)
    }
}

/// What the `to_interp` stubs call: see [`InterpreterEntry`](wasmrun_runtime::vm::InterpreterEntry).
unsafe extern "C" fn call_interpreted(
    vmctx: *mut VmContext,
    callee_id: u64,
    slots: *mut u64,
    _: *const usize,
) -> u64 {
    // SAFETY: a stub has laid the arguments of the function out, and made sure that slots are there.
    unsafe {
        let exec = VmContext::exec(vmctx);
        let module = VmContext::module(vmctx);
        let function = called(callee_id);
        let ty = module.function_type(function);
        let spread = match space(exec).entrance(module.function_type_id(function), || ty) {
            Ok(entrance) => entrance.spread,
            Err(error) => return fail(exec, error.into()),
        };
        let references = (*exec).ref_top;
        if references.wrapping_add(spread.ref_shared() as usize) as usize > (*exec).ref_limit {
            return fail(exec, Trap::StackOverflow.into());
        }
        if spread.ref_params != 0 {
            references::separate(ty.params(), slots, references);
        }
        let status = ((*exec).native.entries.run_interpreter)(exec, vmctx, function, 0);
        interpreted(exec, ty.results(), slots, status)
    }
}

/// What code that has to leave for tier 0 jumps to: see [`Builtin::Poll`](crate::builtins::Builtin::Poll).
pub(crate) unsafe fn way_out(
    exec: *mut ExecContext,
    vmctx: *mut VmContext,
    function: u32,
    at: u32,
) -> Result<*const u8, StubError> {
    // SAFETY: running code of the context asks, which belongs to the function.
    unsafe {
        let ty = VmContext::module(vmctx).function_type(function);
        (*exec).native.left = Left { function, at, slots: (*exec).value_top, by_entry: false };
        match at {
            0 => space(exec).stubs().to_interp(ty),
            _ => space(exec).stubs().resume(&without_parameters(ty)),
        }
    }
}

/// What the `resume` stubs call: as [`call_interpreted`], for a frame that goes on at a loop header in tier 0, with its
/// values in their slots.
unsafe extern "C" fn resume_interpreted(
    vmctx: *mut VmContext,
    callee_id: u64,
    slots: *mut u64,
    frame: *const usize,
) -> u64 {
    // SAFETY: compiled code has left for tier 0, whose slots it has filled. The first word of the stub's frame is the
    // frame pointer of whoever called that code.
    unsafe {
        let exec = VmContext::exec(vmctx);
        let function = called(callee_id);
        let native = &mut (*exec).native;
        if *frame == native.entry_fp && vmctx == native.entered {
            // Who entered has tier 0 at hand: were the frame to go on above the compiled code, one that changes its
            // tier time and again would use the native stack up. The stub returns whatever is in the slots.
            native.left.by_entry = true;
            return Status::Ok as u64;
        }
        let (at, run) = (native.left.at, native.entries.run_interpreter);
        let results = VmContext::module(vmctx).function_type(function).results();
        interpreted(exec, results, slots, run(exec, vmctx, function, at))
    }
}

/// Brings the results of tier 0, which are in `slots` and on the stack of references, where a stub expects them; or the
/// target of its tail call.
unsafe fn interpreted(exec: *mut ExecContext, results: &[ValType], slots: *mut u64, status: Status) -> u64 {
    // SAFETY: as for `call_interpreted`.
    unsafe {
        let references = (*exec).ref_top;
        match status {
            Status::Ok if results.iter().any(|ty| ty.is_collected()) => {
                references::join(results, slots, references);
            }
            Status::TailCall => {
                if let Err(pending) = prepare_tail_call(exec, references) {
                    return fail(exec, pending);
                }
            }
            _ => {}
        }
        status as u64
    }
}

unsafe fn fail(exec: *mut ExecContext, pending: Pending) -> u64 {
    // SAFETY: the context is alive.
    unsafe { (*exec).set_pending(pending) };
    Status::Trap as u64
}

/// The index, in its own module, of the function that an id names.
unsafe fn called(callee_id: u64) -> u32 {
    match Callee::of(callee_id) {
        Callee::Function(index) => index,
        // SAFETY: references that are called are alive.
        Callee::Reference(reference) => unsafe { (*reference).func_index },
    }
}

/// Completes the target that tier 0 has left: its code, and its arguments as words.
unsafe fn prepare_tail_call(exec: *mut ExecContext, references: *const u32) -> Result<(), Pending> {
    // SAFETY: tier 0 has left context, id and slots of a function that has compiled code.
    unsafe {
        let target = &raw mut (*exec).native.tail_call;
        let vmctx = (*target).vmctx;
        let module = VmContext::module(vmctx);
        let function = called((*target).callee_id);
        let ty = module.function_type(function);
        let bounce = space(exec).stubs().bounce(ty)?;
        let entrance = space(exec).entrance(module.function_type_id(function), || ty)?;
        if (*target).slots.wrapping_add(entrance.slots) as usize > (*exec).stack().values_end() {
            return Err(Trap::StackOverflow.into());
        }
        if entrance.spread.ref_params != 0 {
            references::join(ty.params(), (*target).slots.cast_mut(), references);
        }
        (*target).code = cell(vmctx, module, function).native();
        (*target).bounce = bounce;
        Ok(())
    }
}

/// What [`lazy_bind`] asks: the code of a function of the host is a stub that calls it, that of a function of
/// WebAssembly without compiled code a stub that runs it in tier 0. Compiled code that is published later takes the
/// stub's place.
unsafe extern "C" fn resolve(vmctx: *mut VmContext, callee_id: u64, _: *const usize) -> *const u8 {
    let exec = current_exec();
    // SAFETY: compiled code of the current context calls, with the context and id of its callee.
    unsafe {
        let bound = bind(space(exec), vmctx, callee_id);
        bound.unwrap_or_else(|error| {
            (*exec).set_pending(error.into());
            ptr::null()
        })
    }
}

unsafe fn bind(space: &CodeSpace, vmctx: *mut VmContext, callee_id: u64) -> Result<*const u8, StubError> {
    // SAFETY: as for `resolve`; a host function's context is its caller's.
    unsafe {
        if let Callee::Reference(reference) = Callee::of(callee_id)
            && !(*reference).host.is_null()
        {
            return space.stubs().bind_host(&*reference);
        }
        let module = VmContext::module(vmctx);
        let function = called(callee_id);
        let cell = cell(vmctx, module, function);
        let stub = space.stubs().to_interp(module.function_type(function))?;
        cell.bind_native(unbound(), stub);
        Ok(cell.native())
    }
}
