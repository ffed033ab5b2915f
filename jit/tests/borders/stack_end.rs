//! The end of a thread's stack: where polls leave little of it, and where nothing is left.

use std::thread;

use wasmrun_runtime::trap::Trap;
use wasmrun_runtime::vm::{NativeTrace, StackSizes, VmContext};

use super::support::{Code, Entry, Guest, I64, assemble, ty};
use super::traps::recursion;

const STACK: usize = 256 << 10;

fn on_small_stack<T: Send>(action: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let builder = thread::Builder::new().stack_size(STACK);
        builder.spawn_scoped(scope, action).unwrap().join().unwrap()
    })
}

/// The lowest address of this thread's stack, above its guard page.
fn stack_end() -> usize {
    let local = 0u8;
    let here = (&raw const local).addr();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let ranges = maps.lines().map(|line| {
        let (start, rest) = line.split_once('-').unwrap();
        let end = rest.split(' ').next().unwrap();
        let address = |text| usize::from_str_radix(text, 16).unwrap();
        address(start)..address(end)
    });
    ranges.into_iter().find(|range| range.contains(&here)).unwrap().start
}

/// A function `(vmctx, id, limit: i64, code: i64) -> i64` that calls itself until its stack pointer is below the
/// limit, and then loads from outside of memory 0.
fn descend() -> &'static Code {
    assemble(&format!(
        "function %descend(i64, i64, i64, i64) -> i64 tail {{
            sig0 = (i64, i64, i64, i64) -> i64 tail
        block0(v0: i64, v1: i64, v2: i64, v3: i64):
            v4 = get_stack_pointer.i64
            v5 = icmp ult v4, v2
            brif v5, block1, block2
        block1:
            v6 = load.i64 notrap aligned v0+{}
            v7 = load.i64 notrap aligned v6
            v8 = load.i64 little heap_oob v7+65536
            return v8
        block2:
            v9 = call_indirect sig0, v3(v0, v1, v2, v3)
            v10 = iadd v9, v2
            return v10
        }}",
        VmContext::MEMORY0
    ))
}

#[test]
fn a_fault_next_to_the_guard_page_of_the_stack_is_a_trap() {
    let code = descend();
    on_small_stack(|| {
        let guest = Guest::new("(module (memory 1))");
        let entry = Entry::new(&ty(&[I64, I64], &[I64]));
        // No signal could be delivered on what is left.
        let limit = stack_end() + 256;
        for _ in 0..1000 {
            let trap = guest.traps(&entry, code, &mut [limit as u64, code.entry() as u64]);
            assert_eq!(trap, Trap::MemoryOutOfBounds);
            let (frames, complete) = guest.trace().unwrap();
            assert!(!complete && frames.len() == NativeTrace::MAX);
            // SAFETY: the context is alive.
            let fp = unsafe { (*guest.exec).native.exit_fp };
            assert!(fp < limit + 128, "as far down as was meant");
        }
    });
}

#[test]
fn a_poll_that_finds_the_stack_used_up_traps_in_what_the_limit_leaves() {
    let code = recursion();
    on_small_stack(|| {
        let here = 0u8;
        let left = 8 << 10;
        let native = (&raw const here).addr() - stack_end() - left;
        let guest = Guest::with_stacks("(module)", StackSizes { native, ..StackSizes::default() });
        let entry = Entry::new(&ty(&[I64, I64], &[I64]));
        for _ in 0..1000 {
            let mut slots = [1 << 20, code.entry() as u64];
            assert_eq!(guest.traps(&entry, code, &mut slots), Trap::StackOverflow);
        }
    });
}

/// A process of its own, which the test in `signals` watches: the store allows more than the thread has.
pub fn overflow() {
    let code = recursion();
    on_small_stack(|| {
        let guest = Guest::with_stacks("(module)", StackSizes { native: 64 << 20, ..StackSizes::default() });
        let entry = Entry::new(&ty(&[I64, I64], &[I64]));
        let mut slots = [1 << 20, code.entry() as u64];
        assert_eq!(guest.traps(&entry, code, &mut slots), Trap::StackOverflow);
    });
}
