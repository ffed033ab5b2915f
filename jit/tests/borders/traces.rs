//! What is left of compiled frames when they trap.

use wasmrun_jit::builtins::Builtin;
use wasmrun_runtime::trap::{Pending, Trap};
use wasmrun_runtime::types::FuncType;
use wasmrun_runtime::vm::{FuncRef, NativeTrace, StackSizes, VmContext};

use super::builtins::any_builtin;
use super::support::{Code, Entry, Guest, I32, I64, assemble, call, caller, trace, ty};
use super::traps::{divide, load, recursion, unreachable};

/// A function `(vmctx, id, i32) -> i32` that calls one of its own type and adds 1.
fn around(callee: &Code) -> &'static Code {
    assemble(&format!(
        "function %around(i64, i64, i32) -> i32 tail {{
            sig0 = (i64, i64, i32) -> i32 tail
        block0(v0: i64, v1: i64, v2: i32):
            v3 = iconst.i64 {}
            v4 = call_indirect sig0, v3(v0, v1, v2)
            v5 = iconst.i32 1
            v6 = iadd v4, v5
            return v6
        }}",
        callee.entry() as i64
    ))
}

fn unary() -> FuncType {
    ty(&[I32], &[I32])
}

/// Whether each frame is in the code at the same place in the list.
fn are_in(frames: &[usize], code: &[&Code]) -> bool {
    // An address behind a call that is the last instruction would be outside: the instruction is before it.
    frames.len() == code.len() && frames.iter().zip(code).all(|(pc, code)| code.contains(pc - 1))
}

#[test]
fn faults_leave_the_frames_from_the_instruction_to_the_entry() {
    let guest = Guest::new("(module (memory 1))");
    let entry = Entry::new(&unary());
    for (innermost, arg, trap) in [
        (load(), 65536, Trap::MemoryOutOfBounds),
        (divide(), 0, Trap::IntegerDivisionByZero),
        (unreachable(Trap::BadSignature), 0, Trap::BadSignature),
    ] {
        let [a, b] = [around(innermost), around(innermost)];
        let c = around(b);
        for (code, chain) in [
            (innermost, &[innermost][..]),
            (a, &[innermost, a]),
            (b, &[innermost, b]),
            (c, &[innermost, b, c]),
        ] {
            assert_eq!(guest.traps(&entry, code, &mut [arg]), trap);
            let (frames, complete) = guest.trace().unwrap();
            assert!(complete && are_in(&frames, chain), "{frames:x?}");
            assert!(innermost.traps_at(frames[0] - 1), "one byte behind the start of the instruction");
            assert!(frames[1..].iter().zip(&chain[1..]).all(|(pc, code)| code.calls_before(*pc)));
            assert!(guest.trace().is_none(), "frames are given once");
        }
    }
}

#[test]
fn code_that_returns_leaves_nothing() {
    let guest = Guest::new("(module (memory 1))");
    let entry = Entry::new(&unary());
    guest.call(&entry, load(), &mut [0]).unwrap();
    assert!(guest.trace().is_none());
    // Not even what nobody has asked for.
    assert_eq!(guest.traps(&entry, load(), &mut [65536]), Trap::MemoryOutOfBounds);
    guest.call(&entry, load(), &mut [0]).unwrap();
    assert!(guest.trace().is_none());
}

#[test]
fn slow_paths_that_fail_leave_the_frames_of_their_callers() {
    let guest = Guest::new("(module (memory 1) (data \"wasmrun\"))");
    let (code, entry) = (any_builtin(), Entry::new(&ty(&[I64; 6], &[I64])));
    for (builtin, args) in [
        (Builtin::MemoryInit, [0, 0, 0, 5, 3]),
        (Builtin::MemoryFill, [0, 65535, 0, 2, 0]),
        (Builtin::MemoryCopy, [0, 0, 65535, 0, 2]),
    ] {
        let mut slots = [&[builtin.offset() as u64][..], &args].concat();
        assert_eq!(guest.traps(&entry, code, &mut slots), Trap::MemoryOutOfBounds);
        let (frames, complete) = guest.trace().unwrap();
        assert!(complete && are_in(&frames, &[code]) && code.calls_before(frames[0]), "{frames:x?}");
    }
}

#[test]
fn functions_of_the_host_that_fail_leave_the_frames_of_their_callers() {
    let mut guest = Guest::new("(module)");
    let code = caller("return v9");
    let entry = Entry::new(&ty(&[I64], &[I64]));
    let fails = guest.host_func(ty(&[], &[I64]), |_| Err("no".into()));
    let panics = guest.host_func(ty(&[], &[I64]), |_| std::panic::resume_unwind(Box::new(())));
    for func in [fails, panics] {
        let stopped = guest.call(&entry, code, &mut [func as *const FuncRef as u64]);
        assert!(matches!(stopped, Err(Pending::Host(_) | Pending::Panic(_))));
        let (frames, complete) = guest.trace().unwrap();
        assert!(complete && are_in(&frames, &[code]) && code.calls_before(frames[0]), "{frames:x?}");
    }
}

#[test]
fn a_stub_that_the_host_enters_and_that_fails_leaves_no_frame() {
    let mut guest = Guest::new("(module)");
    let func = guest.host_func(ty(&[], &[I64]), |_| Err("no".into()));
    let entry = Entry::new(&ty(&[], &[I64]));
    // SAFETY: the stub is of the entry's class.
    let stopped = unsafe {
        let stub = (*func.cell).native();
        let id = func as *const FuncRef as u64;
        call(guest.exec, &entry, stub, guest.vmctx, id, [0].as_mut_ptr())
    };
    assert!(matches!(stopped, Err(Pending::Host(_))));
    assert_eq!(guest.trace(), Some((vec![], true)));
}

#[test]
fn each_of_nested_entries_leaves_its_own_frames() {
    let mut guest = Guest::new("(module)");
    let innermost = unreachable(Trap::BadSignature);
    let inner = around(innermost);
    // Traps inside; then fails itself, or not.
    let host = |fails: bool| {
        let entry = Entry::new(&unary());
        move |this: wasmrun_runtime::vm::HostCall| {
            // SAFETY: the code is of the entry's type and uses no context; the result has a slot.
            unsafe {
                let null = std::ptr::null_mut::<VmContext>();
                let result = call(this.exec, &entry, inner.entry(), null, 1, [0].as_mut_ptr());
                assert!(matches!(result, Err(Pending::Trap(Trap::BadSignature))));
                let (frames, complete) = trace(this.exec).unwrap();
                assert!(complete && are_in(&frames, &[innermost, inner]), "{frames:x?}");
                // Once more, and left for nobody.
                call(this.exec, &entry, inner.entry(), null, 1, [0].as_mut_ptr()).unwrap_err();
                *this.values = 1;
            }
            if fails { Err("after a trap".into()) } else { Ok(()) }
        }
    };
    let entry = Entry::new(&ty(&[I64], &[I64]));
    let (goes_on, traps) = (caller("return v9"), caller("trap user10"));
    let swallows = guest.host_func(ty(&[], &[I64]), host(false)) as *const FuncRef as u64;
    let fails = guest.host_func(ty(&[], &[I64]), host(true)) as *const FuncRef as u64;
    guest.call(&entry, goes_on, &mut [swallows]).unwrap();
    assert!(guest.trace().is_none(), "the host has dealt with the trap");
    for (code, func) in [(traps, swallows), (goes_on, fails)] {
        guest.call(&entry, code, &mut [func]).unwrap_err();
        let (frames, complete) = guest.trace().unwrap();
        assert!(complete && are_in(&frames, &[code]), "{frames:x?}");
    }
}

#[test]
fn threads_that_trap_at_once_each_find_their_own_frames() {
    let kinds = [
        (load(), 1 << 20, Trap::MemoryOutOfBounds),
        (divide(), 0, Trap::IntegerDivisionByZero),
        (unreachable(Trap::TableOutOfBounds), 0, Trap::TableOutOfBounds),
    ];
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                let guest = Guest::new("(module (memory 1))");
                let entry = Entry::new(&unary());
                // Deeper in each thread.
                let chains = kinds.map(|(innermost, ..)| {
                    let mut chain = vec![innermost];
                    (0..thread).for_each(|i| chain.push(around(chain[i])));
                    chain
                });
                for i in 0..10_000 {
                    let ((_, arg, trap), chain) = (kinds[i % 3], &chains[i % 3]);
                    assert_eq!(guest.traps(&entry, chain[thread], &mut [arg]), trap);
                    let (frames, complete) = guest.trace().unwrap();
                    assert!(complete && are_in(&frames, chain), "{frames:x?}");
                }
            });
        }
    });
}

#[test]
fn deep_recursion_leaves_its_innermost_frames() {
    let sizes = StackSizes { native: 1536 << 10, ..StackSizes::default() };
    let guest = Guest::with_stacks("(module)", sizes);
    let (code, entry) = (recursion(), Entry::new(&ty(&[I64, I64], &[I64])));
    let stopped = |n: u64| {
        let trap = guest.traps(&entry, code, &mut [n, code.entry() as u64]);
        (trap, guest.trace().unwrap())
    };
    let (trap, (frames, complete)) = stopped(u64::MAX);
    assert_eq!((trap, complete), (Trap::StackOverflow, false));
    assert!(are_in(&frames, &[code; NativeTrace::MAX]));
    // The poll that failed, and then the same call again and again.
    assert!(frames[0] != frames[1] && frames[2..].iter().all(|pc| *pc == frames[1]));
    // Some 112 bytes a frame.
    let mut slots = [10_000, code.entry() as u64];
    guest.call(&entry, code, &mut slots).unwrap();
    assert_eq!(slots[0], 10_001);
}
