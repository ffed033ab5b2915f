//! Calls of functions of tier 0 from compiled code. What stands for tier 0 here is a function in Rust.

use std::cell::Cell;
use std::ptr::NonNull;
use std::rc::Rc;

use wasmrun_runtime::trap::{Pending, Status, Trap};
use wasmrun_runtime::types::{FuncType, ValType};
use wasmrun_runtime::vm::{ExecContext, StoreHooks, reason};

use super::support::{
    Answering, Code, Entry, F32, F64, Guest, I32, I64, InterpCall, V128, assemble, call, slots_of, to_interp,
    ty,
};

/// Enters the `to_interp` stub of a function that returns its arguments in reverse order.
fn passes(params: &[ValType]) {
    let results: Vec<_> = params.iter().rev().copied().collect();
    let ty = ty(params, &results);
    let (stub, entry) = (to_interp(&ty), Entry::new(&ty));
    let guest = Guest::new("(module)");
    let vmctx = guest.vmctx;
    for seed in 1..10 {
        let sent = slots_of(params, seed, 0);
        let mut reversed = sent.clone();
        reversed.reverse();
        let results = reversed.concat();
        guest.interpreted(seed << 1 | 1, {
            let (args, results) = (sent.concat(), results.clone());
            move |call| {
                assert_eq!((call.vmctx, call.id), (vmctx, seed << 1 | 1));
                // SAFETY: the context is alive.
                assert_eq!(call.slots, unsafe { (*call.exec()).value_top });
                let slots = call.slots(args.len());
                assert_eq!(slots, args);
                slots.copy_from_slice(&results);
                Status::Ok
            }
        });
        // What the caller has in the unused halves of its slots does not get there.
        let mut slots = slots_of(params, seed, 0xdead_beef).concat();
        slots.resize(entry.slots, 0);
        let id = seed << 1 | 1;
        // SAFETY: the stub is of the entry's class.
        unsafe { call(guest.exec, &entry, stub.entry(), vmctx, id, slots.as_mut_ptr()) }.unwrap();
        assert_eq!(slots, results, "{ty}");
    }
}

#[test]
fn values_of_every_type_reach_tier_0_and_come_back() {
    passes(&[]);
    for ty in [I32, I64, F32, F64, V128, ValType::FUNCREF, ValType::EXTERNREF] {
        passes(&[ty]);
        passes(&[ty, ValType::EXTERNREF, F64, I32]);
    }
    passes(&[I32, ValType::EXTERNREF, V128, F32, ValType::EXTERNREF, ValType::FUNCREF, F64]);
    // Eight results of a class are the last that fit registers.
    passes(&[I64; 8]);
    passes(&[F32; 8]);
    // More than registers hold, both ways.
    passes(&[I32; 9]);
    passes(&[F64; 9]);
    passes(&[I32, ValType::EXTERNREF, V128, F32, I64, F64].repeat(6));
}

#[test]
fn results_and_arguments_may_differ_in_number() {
    let guest = Guest::new("(module)");
    for (params, results) in [(0, 3), (3, 0), (2, 20), (20, 2)] {
        let ty = ty(&[I64].repeat(params), &[I64].repeat(results));
        guest.interpreted(1, move |call| {
            let slots = call.slots(params.max(results));
            assert!(slots[..params].iter().copied().eq(0..params as u64));
            (0..).zip(&mut slots[..results]).for_each(|(i, slot)| *slot = 100 + i);
            Status::Ok
        });
        let mut slots: Vec<u64> = (0..params.max(results) as u64).collect();
        guest.call(&Entry::new(&ty), to_interp(&ty), &mut slots).unwrap();
        assert!(slots[..results].iter().copied().eq(100..100 + results as u64));
    }
}

/// A function `(vmctx, id, x: i64) -> i64` that calls one of its own type, with id 3 and the argument plus 1, and
/// keeps values in registers meanwhile.
pub fn calls(callee: &Code) -> &'static Code {
    assemble(&format!(
        "function %calls(i64, i64, i64) -> i64 tail {{
            sig0 = (i64, i64, i64) -> i64 tail
        block0(v0: i64, v1: i64, v2: i64):
            v3 = iconst.i64 {callee}
            v4 = iconst.i64 3
            v5 = iconst.i64 1
            v6 = iadd v2, v5
            v10 = imul v2, v2
            v11 = bxor v10, v2
            v12 = imul v11, v10
            v13 = bxor v12, v0
            v7 = call_indirect sig0, v3(v0, v4, v6)
            v14 = bxor v13, v0
            v15 = bxor v14, v12
            v16 = bxor v15, v10
            v17 = bxor v16, v11
            v18 = bxor v17, v2
            v8 = iadd v7, v18
            return v8
        }}",
        callee = callee.entry() as i64
    ))
}

fn unary() -> FuncType {
    ty(&[I64], &[I64])
}

#[test]
fn frames_lead_from_tier_0_to_the_compiled_caller() {
    let guest = Guest::new("(module)");
    let caller = calls(to_interp(&unary()));
    guest.interpreted(3, move |call| {
        // SAFETY: the context is alive, and so are the frames of the stub and of its caller.
        unsafe {
            let native = &(*call.exec()).native;
            assert!(caller.contains(native.exit_pc));
            assert_eq!((*call.frame, *call.frame.add(1)), (native.exit_fp, native.exit_pc));
            assert_eq!(*(native.exit_fp as *const usize), native.entry_fp);
        }
        call.slots(1)[0] += 30;
        Status::Ok
    });
    let mut slots = [11];
    guest.call(&Entry::new(&unary()), caller, &mut slots).unwrap();
    assert_eq!(slots, [42]);
}

#[test]
fn what_stops_tier_0_stops_its_compiled_callers() {
    let guest = Guest::new("(module)");
    let caller = calls(to_interp(&unary()));
    guest.interpreted(3, |call| {
        // SAFETY: the context is alive.
        unsafe { (*call.exec()).set_pending(Pending::Trap(Trap::OutOfFuel)) };
        Status::Trap
    });
    for _ in 0..1000 {
        assert_eq!(guest.traps(&Entry::new(&unary()), caller, &mut [1]), Trap::OutOfFuel);
        let (frames, complete) = guest.trace().unwrap();
        assert!(complete && frames.len() == 1 && caller.contains(frames[0]), "{frames:x?}");
    }
}

#[test]
fn arguments_and_results_have_room_on_the_value_stack_or_the_call_traps() {
    let mut guest = Guest::new("(module)");
    // Two slots for arguments, three for results.
    let ty = ty(&[I64; 2], &[I64; 3]);
    let (stub, entry) = (to_interp(&ty), Entry::new(&ty));
    guest.interpreted(1, |call| {
        call.slots(3).copy_from_slice(&[7, 8, 9]);
        Status::Ok
    });
    let end = guest.store.exec().stack().values_end() as *mut u64;
    for (left, fits) in [(4, true), (3, true), (2, false), (0, false)] {
        guest.store.exec_mut().value_top = end.wrapping_sub(left);
        let mut slots = [1, 2, 3];
        match guest.call(&entry, stub, &mut slots) {
            Ok(()) => assert!(fits && slots == [7, 8, 9]),
            Err(Pending::Trap(Trap::StackOverflow)) => assert!(!fits && slots == [1, 2, 3]),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn requests_of_other_threads_are_answered_before_tier_0_runs() {
    let mut guest = Guest::new("(module)");
    let caller = calls(to_interp(&unary()));
    let runs = Rc::new(Cell::new(0));
    guest.interpreted(3, {
        let runs = runs.clone();
        move |_| {
            runs.set(runs.get() + 1);
            Status::Ok
        }
    });
    let mut answers = [Ok(()), Err(Trap::Interrupt.into())].into_iter();
    let mut hooks = Answering(move |_| answers.next().unwrap());
    // SAFETY: the hooks are withdrawn before they go.
    unsafe { guest.store.exec_mut().replace_hooks(Some(NonNull::from(&mut hooks as &mut dyn StoreHooks))) };
    let entry = Entry::new(&unary());
    guest.store.exec().target().request(reason::EPOCH);
    let mut slots = [1];
    guest.call(&entry, caller, &mut slots).unwrap();
    assert_eq!((slots[0], runs.get()), (2, 1));
    guest.store.exec().target().request(reason::INTERRUPT);
    assert_eq!(guest.traps(&entry, caller, &mut [1]), Trap::Interrupt);
    let (frames, _) = guest.trace().unwrap();
    assert!(caller.contains(frames[0]));
    assert_eq!(runs.get(), 1);
    // SAFETY: as above.
    unsafe { guest.store.exec_mut().replace_hooks(None) };
}

/// Keeps the slots of a call of tier 0 from those inside of it, as tier 0 does.
fn with_frame<T>(call: InterpCall, slots: usize, action: impl FnOnce(*mut ExecContext) -> T) -> T {
    // SAFETY: the context is alive.
    unsafe {
        let exec = call.exec();
        let top = (*exec).value_top;
        (*exec).value_top = call.slots.add(slots);
        let result = action(exec);
        (*exec).value_top = top;
        result
    }
}

#[test]
fn tiers_call_each_other_in_turn_and_each_keeps_its_values() {
    let guest = Guest::new("(module)");
    let caller = calls(to_interp(&unary()));
    let entry = Rc::new(Entry::new(&unary()));
    const DEPTH: u64 = 100;
    // Half of what it is called with, plus what the same computes for one more; it traps at the end if told so.
    guest.interpreted(3, {
        let entry = entry.clone();
        move |this| {
            let slots = this.slots(1);
            let x = slots[0];
            if x % 1000 >= DEPTH {
                if x < 1000 {
                    return Status::Ok;
                }
                // SAFETY: the context is alive.
                unsafe { (*this.exec()).set_pending(Trap::BadSignature.into()) };
                return Status::Trap;
            }
            let mut inner = [x];
            // SAFETY: the code is of the entry's type.
            let result = with_frame(this, 1, |exec| unsafe {
                call(exec, &entry, caller.entry(), this.vmctx, 5, inner.as_mut_ptr())
            });
            assert_eq!(slots[0], x, "a call does not touch the slots of those around it");
            match result {
                Ok(()) => {
                    slots[0] = inner[0] + x;
                    Status::Ok
                }
                Err(pending) => {
                    // SAFETY: the context is alive.
                    unsafe { (*this.exec()).set_pending(pending) };
                    Status::Trap
                }
            }
        }
    });
    for _ in 0..10 {
        let mut slots = [0];
        guest.call(&entry, caller, &mut slots).unwrap();
        assert_eq!(slots[0], (1..=DEPTH).sum());
        assert_eq!(guest.traps(&entry, caller, &mut [1000]), Trap::BadSignature);
        let (frames, complete) = guest.trace().unwrap();
        assert!(complete && frames.len() == 1, "the frame of the outermost entry only");
    }
}

#[test]
fn functions_with_the_most_parameters_and_results_have_stubs() {
    let most: Vec<_> = [I32, V128, F64, I64, F32].repeat(200);
    assert_eq!(most.len(), 1000);
    passes(&most);
}
