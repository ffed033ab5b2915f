//! Calls between the host, tier 0 and compiled code: what happens in Rust at the borders that [`crate::stubs`]
//! are on the other side of.
//!
//! All three functions of this module find what they need through the execution context of the store, which
//! [`attach`] has told of its engine's code. Compiled code and tier 0 know nothing of each other: the
//! embedding crate names the function that runs the interpreter.
#![allow(unsafe_code)]

use std::ptr;

use wasmrun_runtime::module::{CodeCell, Module};
use wasmrun_runtime::trap::{Status, Trap};
use wasmrun_runtime::types::TypeId;
use wasmrun_runtime::vm::{Entered, ExecContext, FoundFrame, Segment, Site, Tier, VmContext};

use crate::abi::{Callee, direct_callee_id};
use crate::code::CodeSpace;
use crate::entrances::Entrance;
use crate::references;
use crate::stubs::{StubError, enter, lazy_bind, set_resolver};
use crate::trap::current_exec;

/// Runs a function of tier 0 that compiled code has called, by its index in the module of the context. Arguments,
/// results and status are as in [`NativeWords::call`](wasmrun_runtime::vm::NativeWords); besides it may return
/// [`Status::TailCall`], with context, id and slots of the callee in the tail target.
pub type RunInterpreter = unsafe extern "C" fn(*mut ExecContext, *mut VmContext, u32) -> Status;

/// Tells the execution context of a store where the code of its engine is, and how it runs what has none.
///
/// # Safety
/// `space` stays where it is and outlives every use of `exec`.
pub unsafe fn attach(exec: &mut ExecContext, space: &CodeSpace, run: RunInterpreter) {
    set_resolver(resolve);
    exec.native.code = ptr::from_ref(space).cast();
    exec.native.unbound = unbound();
    exec.native.call = Some(call_compiled);
    exec.native.interpreter = Some(call_interpreted);
    exec.native.run_interpreter = Some(run);
}

/// The compiled code of functions that have none: it finds out what to call when it is called.
pub fn unbound() -> *const u8 {
    lazy_bind as *const u8
}

/// The code of the store's engine.
unsafe fn space<'a>(exec: *const ExecContext) -> &'a CodeSpace {
    // SAFETY: promised in `attach`.
    unsafe { &*(*exec).native.code.cast() }
}

/// The number of a function among those that its module defines, as the index of its cell.
unsafe fn cell<'a>(vmctx: *mut VmContext, module: &Module, function: u32) -> &'a CodeCell {
    // SAFETY: the context is alive, and of an instance of the module.
    unsafe { &*VmContext::cells(vmctx).add((function - module.imported_function_count()) as usize) }
}

/// See [`CompiledEntry`](wasmrun_runtime::vm::CompiledEntry).
///
/// # Safety
/// `exec` is that of the store of `vmctx`, borrowed by nothing else; [`attach`] was called. The arguments match the type of
/// the function, which the module of `vmctx` defines, and there is room for the results.
pub unsafe extern "C" fn call_compiled(
    exec: *mut ExecContext,
    vmctx: *mut VmContext,
    function: u32,
) -> Status {
    // SAFETY: the caller's promise. The segment is withdrawn before it goes out of scope.
    unsafe {
        let module = VmContext::module(vmctx);
        let mut segment = Segment::compiled();
        let _entered = Entered::new(exec, &raw mut segment);
        let entrance = match entrance(exec, module, function, &raw const segment) {
            Ok(entrance) => entrance,
            Err(trap) => {
                (*exec).take_down_frames(Some(Vec::new()));
                (*exec).set_pending(trap.into());
                return Status::Trap;
            }
        };
        let (values, references) = ((*exec).value_top, (*exec).ref_top);
        if entrance.spread.ref_params != 0 {
            references::join(module.function_type(function).params(), values, references);
        }
        (*exec).value_top = values.add(entrance.slots);
        let code = cell(vmctx, module, function).native();
        let id = direct_callee_id(function) as u64;
        let status = enter(entrance.stub, exec, code, vmctx, id, values);
        (*exec).value_top = values;
        if status != Status::Ok {
            let frames =
                (*exec).native.trace.take().map(|addresses| addresses.iter().map(compiled_frame).collect());
            (*exec).take_down_frames(Some(frames.unwrap_or_default()));
        } else if entrance.spread.ref_results != 0 {
            references::separate(module.function_type(function).results(), values, references);
        }
        status
    }
}

fn compiled_frame(address: &usize) -> FoundFrame {
    // The addresses are behind the first byte of their instructions.
    let code = ptr::with_exposed_provenance(address - 1);
    FoundFrame { tier: Tier::Compiled, site: Site { code, ..Site::NOWHERE } }
}

/// How a function is entered, if there is room on the stacks.
unsafe fn entrance<'a>(
    exec: *mut ExecContext,
    module: &Module,
    function: u32,
    segment: *const Segment,
) -> Result<&'a Entrance, Trap> {
    // SAFETY: as for `call_compiled`.
    unsafe {
        if !(*exec).native_stack_left(segment) {
            return Err(Trap::StackOverflow);
        }
        let id = module.function_type_id(function);
        let entrance = space(exec).entrance(id, module.function_type(function));
        let entrance = entrance.map_err(|_| Trap::FunctionTooLarge)?;
        if (*exec).value_top.wrapping_add(entrance.slots) as usize > (*exec).stack().values_end() {
            return Err(Trap::StackOverflow);
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
        let spread = space(exec).entrance(module.function_type_id(function), ty).map(|it| it.spread);
        let Ok(spread) = spread else { return fail(exec, Trap::FunctionTooLarge) };
        let references = (*exec).ref_top;
        if references.wrapping_add(spread.ref_shared() as usize) as usize > (*exec).ref_limit {
            return fail(exec, Trap::StackOverflow);
        }
        if spread.ref_params != 0 {
            references::separate(ty.params(), slots, references);
        }
        let run = (*exec).native.run_interpreter.expect("named by `attach`");
        let mut status = run(exec, vmctx, function);
        match status {
            Status::Ok if spread.ref_results != 0 => references::join(ty.results(), slots, references),
            Status::TailCall => {
                if let Err(trap) = prepare_tail_call(exec, references) {
                    (*exec).set_pending(trap.into());
                    status = Status::Trap;
                }
            }
            _ => {}
        }
        status as u64
    }
}

unsafe fn fail(exec: *mut ExecContext, trap: Trap) -> u64 {
    // SAFETY: the context is alive.
    unsafe { (*exec).set_pending(trap.into()) };
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
unsafe fn prepare_tail_call(exec: *mut ExecContext, references: *const u32) -> Result<(), Trap> {
    // SAFETY: tier 0 has left context, id and slots of a function that has compiled code.
    unsafe {
        let target = &raw mut (*exec).native.tail_call;
        let vmctx = (*target).vmctx;
        let module = VmContext::module(vmctx);
        let function = called((*target).callee_id);
        let ty = module.function_type(function);
        let found = tail_stubs(space(exec), module.function_type_id(function), module, function);
        let (bounce, entrance) = found.map_err(|_| Trap::FunctionTooLarge)?;
        if (*target).slots.wrapping_add(entrance.slots) as usize > (*exec).stack().values_end() {
            return Err(Trap::StackOverflow);
        }
        if entrance.spread.ref_params != 0 {
            references::join(ty.params(), (*target).slots.cast_mut(), references);
        }
        (*target).code = cell(vmctx, module, function).native();
        (*target).bounce = bounce;
        Ok(())
    }
}

fn tail_stubs<'a>(
    space: &'a CodeSpace,
    id: TypeId,
    module: &Module,
    function: u32,
) -> Result<(*const u8, &'a Entrance), StubError> {
    let ty = module.function_type(function);
    Ok((space.stubs().bounce(ty)?, space.entrance(id, ty)?))
}

/// What [`lazy_bind`] asks: the code of a function of the host is a stub that calls it, that of a function of
/// WebAssembly without compiled code a stub that runs it in tier 0. Compiled code that is published later takes the
/// stub's place.
unsafe extern "C" fn resolve(vmctx: *mut VmContext, callee_id: u64, _: *const usize) -> *const u8 {
    let exec = current_exec();
    // SAFETY: compiled code of the current context calls, with the context and id of its callee.
    unsafe {
        let bound = bind(space(exec), vmctx, callee_id);
        bound.unwrap_or_else(|_| {
            (*exec).set_pending(Trap::FunctionTooLarge.into());
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
