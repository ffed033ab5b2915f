//! Faults of compiled code, and polls that fail.

use std::cell::Cell;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::Barrier;

use wasmrun_jit::builtins::Builtin;
use wasmrun_jit::trap::code::code_of;
use wasmrun_runtime::trap::Trap;
use wasmrun_runtime::vm::{ExecContext, StackSizes, StoreHooks, VmContext, reason};

use super::support::{Answering, Code, Entry, Guest, I32, I64, assemble, ty};

/// `i32.load` from memory 0 without a check.
pub fn load() -> &'static Code {
    assemble(&format!(
        "function %load(i64, i64, i32) -> i32 tail {{
        block0(v0: i64, v1: i64, v2: i32):
            v3 = load.i64 notrap aligned v0+{}
            v4 = load.i64 notrap aligned v3
            v5 = uextend.i64 v2
            v6 = iadd v4, v5
            v7 = load.i32 little heap_oob v6
            return v7
        }}",
        VmContext::MEMORY0
    ))
}

pub fn divide() -> &'static Code {
    assemble(
        "function %divide(i64, i64, i32) -> i32 tail {
        block0(v0: i64, v1: i64, v2: i32):
            v3 = iconst.i32 100
            v4 = sdiv v3, v2
            return v4
        }",
    )
}

pub fn unreachable(trap: Trap) -> &'static Code {
    assemble(&format!(
        "function %unreachable(i64, i64, i32) -> i32 tail {{
        block0(v0: i64, v1: i64, v2: i32):
            trap {}
        }}",
        code_of(trap)
    ))
}

#[test]
fn faults_are_the_traps_that_the_code_says() {
    let guest = Guest::new("(module (memory 1) (data (i32.const 0) \"\\2a\"))");
    let entry = Entry::new(&ty(&[I32], &[I32]));
    let load = load();
    let mut slots = [0];
    guest.call(&entry, load, &mut slots).unwrap();
    assert_eq!(slots, [42]);
    for address in [65533, 65536, 1 << 31, u64::from(u32::MAX)] {
        let trap = guest.traps(&entry, load, &mut [address]);
        assert_eq!(trap, Trap::MemoryOutOfBounds);
        // SAFETY: the context is alive.
        let native = unsafe { &(*guest.exec).native };
        assert!(load.contains(native.exit_pc - 1));
    }
    let divide = divide();
    slots = [7];
    guest.call(&entry, divide, &mut slots).unwrap();
    assert_eq!(slots, [14]);
    assert_eq!(guest.traps(&entry, divide, &mut [0]), Trap::IntegerDivisionByZero);
    for trap in [Trap::UnreachableCodeReached, Trap::OutOfFuel, Trap::BadSignature, Trap::IntegerOverflow] {
        assert_eq!(guest.traps(&entry, unreachable(trap), &mut [0]), trap);
    }
}

fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[test]
fn four_threads_trap_a_hundred_thousand_times_each_and_nothing_grows() {
    const TRAPS: usize = 100_000;
    let (load, divide, unreachable) = (load(), divide(), unreachable(Trap::TableOutOfBounds));
    let entry = Entry::new(&ty(&[I32], &[I32]));
    let (entry, warm, start) = (&entry, &Barrier::new(5), &Barrier::new(5));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                let guest = Guest::new("(module (memory 1))");
                let kinds = [
                    (load, 1 << 20, Trap::MemoryOutOfBounds),
                    (divide, 0, Trap::IntegerDivisionByZero),
                    (unreachable, 0, Trap::TableOutOfBounds),
                ];
                for i in 0..TRAPS {
                    if i == 1000 {
                        warm.wait();
                        start.wait();
                    }
                    let (code, arg, trap) = kinds[i % kinds.len()];
                    assert_eq!(guest.traps(entry, code, &mut [arg]), trap);
                }
                warm.wait();
                start.wait();
            });
        }
        warm.wait();
        let before = resident_bytes();
        start.wait();
        warm.wait();
        let after = resident_bytes();
        start.wait();
        // 20 bytes a trap; other tests run in this process.
        assert!(after < before + 4 * TRAPS * 20, "{before} -> {after}");
    });
}

/// Text of a function `(vmctx, id, n: i64, code: i64) -> i64` that polls at its entry and then calls itself
/// `n` times; returns how often it ran.
pub fn recursion() -> &'static Code {
    assemble(&format!(
        "function %recurse(i64, i64, i64, i64) -> i64 tail {{
            ss0 = explicit_slot 64
            sig0 = (i64, i64, i64, i64) -> i64 tail
            sig1 = () preserve_all
        block0(v0: i64, v1: i64, v2: i64, v3: i64):
            v19 = stack_addr.i64 ss0
            store notrap v2, v19
            v4 = load.i64 notrap aligned v0+{exec}
            v5 = load.i64 notrap aligned v4+{limit}
            v6 = get_stack_pointer.i64
            v7 = icmp ult v6, v5
            brif v7, block1, block2
        block1 cold:
            v8 = load.i64 notrap aligned v4+{native}
            v9 = load.i64 notrap aligned v8+{poll}
            call_indirect sig1, v9()
            jump block2
        block2:
            v14 = iconst.i64 1
            brif v2, block4, block5(v14)
        block4:
            v15 = isub v2, v14
            v16 = call_indirect sig0, v3(v0, v1, v15, v3)
            v17 = iadd v16, v14
            jump block5(v17)
        block5(v18: i64):
            return v18
        }}",
        exec = VmContext::EXEC,
        limit = ExecContext::NATIVE_LIMIT,
        native = ExecContext::NATIVE,
        poll = Builtin::Poll.offset(),
    ))
}

#[test]
fn a_stack_that_is_used_up_traps_at_an_entry() {
    let entry = Entry::new(&ty(&[I64, I64], &[I64]));
    let code = recursion();
    let sizes = StackSizes { native: 128 << 10, ..StackSizes::default() };
    let guest = Guest::with_stacks("(module)", sizes);
    let run = |depth| {
        let mut slots = [depth, code.entry() as u64];
        guest.call(&entry, code, &mut slots).map(|()| slots[0])
    };
    // Some 112 bytes a frame.
    assert_eq!(run(500).unwrap(), 501);
    for _ in 0..1000 {
        assert_eq!(guest.traps(&entry, code, &mut [1 << 20, code.entry() as u64]), Trap::StackOverflow);
        // SAFETY: the context is alive.
        let native = unsafe { &(*guest.exec).native };
        assert!(code.contains(native.exit_pc));
        let here = (&raw const guest) as usize;
        assert!((100 << 10..160 << 10).contains(&(here - native.exit_fp)));
    }
    assert_eq!(run(500).unwrap(), 501);
}

#[test]
fn a_request_that_comes_while_another_is_answered_is_no_overflow() {
    let entry = Entry::new(&ty(&[I64, I64], &[I64]));
    let code = recursion();
    let mut guest = Guest::new("(module)");
    let target = guest.store.exec().target().clone();
    let answers = Rc::new(Cell::new(0));
    let mut hooks = Answering({
        let (answers, target) = (answers.clone(), target.clone());
        move |reasons| {
            answers.set(answers.get() + 1);
            match answers.get() {
                ..3 => target.request(reasons),
                3 => {}
                _ => return Err(Trap::Interrupt.into()),
            }
            Ok(())
        }
    });
    // SAFETY: the hooks are withdrawn before they go.
    unsafe { guest.store.exec_mut().replace_hooks(Some(NonNull::from(&mut hooks as &mut dyn StoreHooks))) };
    target.request(reason::EPOCH);
    let mut slots = [10, code.entry() as u64];
    guest.call(&entry, code, &mut slots).unwrap();
    assert_eq!((slots[0], target.pending()), (11, 0));
    target.request(reason::INTERRUPT);
    assert_eq!(guest.traps(&entry, code, &mut [10, code.entry() as u64]), Trap::Interrupt);
    // SAFETY: as above.
    unsafe { guest.store.exec_mut().replace_hooks(None) };
    assert_eq!(answers.get(), 4);
}

#[test]
fn a_request_without_consequences_lets_code_go_on() {
    let entry = Entry::new(&ty(&[I64, I64], &[I64]));
    let code = recursion();
    let guest = Guest::new("(module)");
    for _ in 0..100 {
        guest.store.exec().target().request(reason::EPOCH);
        let mut slots = [10, code.entry() as u64];
        guest.call(&entry, code, &mut slots).unwrap();
        assert_eq!((slots[0], guest.store.exec().target().pending()), (11, 0));
    }
}
