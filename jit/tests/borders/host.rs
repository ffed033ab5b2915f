//! Calls of host functions from compiled code.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmrun_jit::stubs::AbiClass;
use wasmrun_runtime::trap::{HostError, Pending, Trap};
use wasmrun_runtime::types::ValType;
use wasmrun_runtime::vm::{FuncRef, HostCall, Tier};

use super::support::{Entry, F32, F64, Guest, I32, I64, V128, call, caller, slots_of, to_host, ty};
use super::traps::unreachable;

/// Enters the `to_host` stub of a host function that returns its arguments in reverse order.
fn passes(params: &[ValType]) {
    let results: Vec<_> = params.iter().rev().copied().collect();
    let ty = ty(params, &results);
    let mut guest = Guest::new("(module)");
    let (types, ref_slots) = (params.to_vec(), ty.slots().ref_params as usize);
    let top = guest.store.exec().ref_top as usize;
    let func = guest.host_func(ty.clone(), move |call| {
        // SAFETY: the arguments are there and the results have room.
        unsafe {
            assert_eq!(call.references as usize, top);
            assert_eq!((*call.exec).ref_top, call.references.add(ref_slots));
            let slots: usize = types.iter().map(|ty| ty.value_slots()).sum();
            let values = std::slice::from_raw_parts_mut(call.values, slots);
            let mut at = 0;
            let mut args = Vec::new();
            for ty in &types {
                args.push(values[at..at + ty.value_slots()].to_vec());
                at += ty.value_slots();
            }
            args.reverse();
            values.copy_from_slice(&args.concat());
            std::slice::from_raw_parts_mut(call.references, ref_slots).reverse();
        }
        Ok(())
    });
    let entry = Entry::new(&ty);
    for seed in 1..10 {
        let mut sent = slots_of(params, seed, 0);
        let mut slots = sent.concat();
        slots.resize(AbiClass::of(&ty).slots(), 0);
        sent.reverse();
        // SAFETY: the stub is of the function's class.
        unsafe {
            let stub = (*func.cell).native();
            call(guest.exec, &entry, stub, guest.vmctx, func as *const FuncRef as u64, slots.as_mut_ptr())
        }
        .unwrap();
        assert_eq!(slots[..], sent.concat(), "{ty}");
        assert_eq!(guest.store.exec().ref_top as usize, top);
    }
}

#[test]
fn values_of_every_type_reach_the_host_and_come_back() {
    use ValType as V;
    passes(&[]);
    for ty in [I32, I64, F32, F64, V128, V::FUNCREF, V::EXTERNREF] {
        passes(&[ty]);
        passes(&[V::EXTERNREF, ty, F64, I32]);
    }
    passes(&[I32, V::EXTERNREF, V128, F32, V::EXTERNREF, V::FUNCREF, F64, V::EXTERNREF]);
    // More than registers hold, both ways.
    passes(&[I32, V::EXTERNREF, V128, F32, I64, F64].repeat(6));
}

const NULLARY: (&[ValType], &[ValType]) = (&[], &[I64]);

/// Calls a host function of type `() -> i64` from compiled code; its result plus 1.
fn call_from_code(guest: &Guest, func: &'static FuncRef) -> Result<u64, Pending> {
    let entry = Entry::new(&ty(&[I64], &[I64]));
    let mut slots = [func as *const FuncRef as u64];
    guest.call(&entry, caller("return v9"), &mut slots).map(|()| slots[0])
}

#[test]
fn the_host_sees_the_caller_and_the_place_of_the_call() {
    let mut guest = Guest::new("(module)");
    let code = caller("return v9");
    let vmctx = guest.vmctx as usize;
    let func = guest.host_func(ty(NULLARY.0, NULLARY.1), move |call| {
        assert_eq!(call.caller as usize, vmctx);
        // SAFETY: the context is alive, and so are the frames of the caller and of the stub that entered it.
        unsafe {
            let exec = &*call.exec;
            assert!(code.contains(exec.native.exit_pc));
            assert_eq!(*(exec.native.exit_fp as *const usize), exec.native.entry_fp);
            let [frame] = exec.waiting_frames(10)[..] else { panic!("one frame") };
            assert_eq!(frame.tier, Tier::Compiled);
            assert_eq!(frame.site.code as usize, exec.native.exit_pc - 1);
            *call.values = 41;
        }
        Ok(())
    });
    let entry = Entry::new(&ty(&[I64], &[I64]));
    let mut slots = [func as *const FuncRef as u64];
    guest.call(&entry, code, &mut slots).unwrap();
    assert_eq!(slots, [42]);
}

#[test]
fn a_host_function_that_is_called_without_a_context_finds_its_store() {
    let mut guest = Guest::new("(module)");
    let exec = guest.exec as usize;
    let func = guest.host_func(ty(NULLARY.0, NULLARY.1), move |call| {
        assert!(call.caller.is_null());
        assert_eq!(call.exec as usize, exec);
        Err("no context".into())
    });
    let entry = Entry::new(&ty(NULLARY.0, NULLARY.1));
    // SAFETY: the stub is of the function's class.
    let result = unsafe {
        let stub = to_host(&ty(NULLARY.0, NULLARY.1)).entry();
        let id = func as *const FuncRef as u64;
        call(guest.exec, &entry, stub, std::ptr::null_mut(), id, [0].as_mut_ptr())
    };
    assert!(matches!(result, Err(Pending::Host(error)) if error.to_string() == "no context"));
}

#[test]
fn errors_of_the_host_are_pending() {
    #[derive(Debug, PartialEq)]
    struct Mine(u32);
    impl std::fmt::Display for Mine {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "mine {}", self.0)
        }
    }
    impl std::error::Error for Mine {}
    let mut guest = Guest::new("(module)");
    let func = guest.host_func(ty(NULLARY.0, NULLARY.1), |_| Err(Box::new(Mine(7))));
    for _ in 0..100 {
        match call_from_code(&guest, func) {
            Err(Pending::Host(error)) => assert_eq!(error.downcast_ref(), Some(&Mine(7))),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn panics_of_the_host_are_pending() {
    let mut guest = Guest::new("(module)");
    let func = guest.host_func(ty(NULLARY.0, NULLARY.1), |_| std::panic::resume_unwind(Box::new("thrown")));
    for _ in 0..100 {
        match call_from_code(&guest, func) {
            Err(Pending::Panic(payload)) => assert_eq!(payload.downcast_ref(), Some(&"thrown")),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_reference_stack_that_is_used_up_traps() {
    let mut guest = Guest::new("(module)");
    let func = guest.host_func(ty(&[], &[ValType::EXTERNREF]), |_| Ok(()));
    let exec = guest.store.exec_mut();
    exec.ref_top = exec.ref_limit as *mut u32;
    let entry = Entry::new(&ty(&[], &[ValType::EXTERNREF]));
    // SAFETY: the stub is of the function's class.
    let result = unsafe {
        let stub = (*func.cell).native();
        call(guest.exec, &entry, stub, guest.vmctx, func as *const FuncRef as u64, [0].as_mut_ptr())
    };
    assert!(matches!(result, Err(Pending::Trap(Trap::StackOverflow))));
}

/// Enters compiled code that traps, from a host function.
fn trap_inside(call_: HostCall, entry: &Entry, code: usize) -> Result<(), HostError> {
    // SAFETY: the code is of the entry's type and uses no context.
    let result =
        unsafe { call(call_.exec, entry, code as *const u8, std::ptr::null_mut(), 1, [0].as_mut_ptr()) };
    assert!(matches!(result, Err(Pending::Trap(Trap::BadSignature))));
    // SAFETY: the result has a slot.
    unsafe { *call_.values = 1 };
    Ok(())
}

#[test]
fn an_inner_trap_and_then_an_outer_one_each_reach_their_own_entry() {
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let mut guest = Guest::new("(module)");
    let drops = Arc::new(AtomicUsize::new(0));
    let (inner, inner_entry) = (unreachable(Trap::BadSignature), Entry::new(&ty(&[I32], &[I32])));
    let inner = inner.entry() as usize;
    let func = guest.host_func(ty(NULLARY.0, NULLARY.1), {
        let drops = drops.clone();
        move |call| {
            let _value = Dropped(drops.clone());
            trap_inside(call, &inner_entry, inner)
        }
    });
    let entry = Entry::new(&ty(&[I64], &[I64]));
    let (goes_on, traps) = (caller("return v9"), caller("trap user10"));
    const TIMES: usize = 10_000;
    for _ in 0..TIMES {
        let mut slots = [func as *const FuncRef as u64];
        guest.call(&entry, goes_on, &mut slots).unwrap();
        assert_eq!(slots, [2]);
        assert_eq!(guest.traps(&entry, traps, &mut [func as *const FuncRef as u64]), Trap::OutOfFuel);
    }
    assert_eq!(drops.load(Ordering::Relaxed), 2 * TIMES);
}

#[test]
fn an_inner_trap_in_another_store_leaves_the_outer_store_current() {
    let (mut guest, other) = (Guest::new("(module)"), Guest::new("(module)"));
    let inner_entry = Entry::new(&ty(&[I32], &[I32]));
    let inner = unreachable(Trap::BadSignature).entry() as usize;
    let exec = other.exec as usize;
    let func = guest.host_func(ty(NULLARY.0, NULLARY.1), move |call| {
        trap_inside(HostCall { exec: exec as *mut _, ..call }, &inner_entry, inner)
    });
    let entry = Entry::new(&ty(&[I64], &[I64]));
    let traps = caller("trap user10");
    assert_eq!(guest.traps(&entry, traps, &mut [func as *const FuncRef as u64]), Trap::OutOfFuel);
}
