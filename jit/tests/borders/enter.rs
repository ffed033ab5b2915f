//! Into compiled code and back.

use std::arch::naked_asm;

use wasmrun_jit::trap::CurrentExec;
use wasmrun_runtime::trap::{Status, Trap};
use wasmrun_runtime::types::ValType;
use wasmrun_runtime::vm::{ExecContext, VmContext};

use super::support::{Code, Entry, F32, F64, Guest, I32, I64, V128, assemble, call, shuffle, slots_of, ty};

/// Sends values through a function that returns them in another order.
fn passes(params: &[ValType], order: &[usize]) {
    let guest = Guest::new("(module)");
    let (ty, code) = shuffle(params, order);
    let entry = Entry::new(&ty);
    for seed in 1..20 {
        let mut slots = slots_of(params, seed, 0xdead_beef).concat();
        let sent = slots_of(params, seed, 0);
        let expected: Vec<u64> = order.iter().flat_map(|i| sent[*i].clone()).collect();
        slots.resize(entry.slots, 0x5555);
        guest.call(&entry, code, &mut slots).unwrap();
        assert_eq!(slots[..expected.len()], expected, "{ty}");
    }
}

#[test]
fn values_of_every_type_pass_both_ways() {
    passes(&[], &[]);
    for ty in [I32, I64, F32, F64, V128, ValType::FUNCREF, ValType::EXTERNREF] {
        passes(&[ty], &[0]);
        passes(&[ty, I64, F64], &[2, 0, 1]);
        passes(&[ty, ty, ty], &[2, 1]);
    }
    let mixed = [I32, F32, V128, I64, F64, ValType::FUNCREF, ValType::EXTERNREF, F32, I32];
    passes(&mixed, &[8, 7, 6, 5, 4, 3, 2, 1, 0]);
}

#[test]
fn more_arguments_than_registers_pass() {
    let params = [I64, F64, I32, F32, V128].repeat(8);
    let order: Vec<_> = (0..16).map(|i| 39 - i).collect();
    passes(&params, &order);
}

#[test]
fn more_results_than_registers_pass_through_memory() {
    passes(&[I32], &[0; 9]);
    passes(&[F32], &[0; 9]);
    let params = [F32, V128, I32, I64, F64, ValType::EXTERNREF].repeat(5);
    let order: Vec<_> = (0..30).rev().collect();
    passes(&params, &order);
    passes(&params, &order[..21]);
}

#[test]
fn the_callee_gets_its_context_and_id() {
    let code = assemble("function %f(i64, i64) -> i64, i64 tail { block0(v0: i64, v1: i64): return v0, v1 }");
    let guest = Guest::new("(module)");
    let entry = Entry::new(&ty(&[], &[I64, I64]));
    let mut slots = [0; 2];
    // SAFETY: the function reads neither.
    unsafe { call(guest.exec, &entry, code.entry(), guest.vmctx, 0x1234_5678_9abd, slots.as_mut_ptr()) }
        .unwrap();
    assert_eq!(slots, [guest.vmctx as u64, 0x1234_5678_9abd]);
}

/// What [`with_sentinels`] passes on.
#[repr(C)]
struct Call {
    stub: *const u8,
    exec: *mut ExecContext,
    code: *const u8,
    vmctx: *mut VmContext,
    id: u64,
    slots: *mut u64,
}

/// rbx, rbp, r12 to r15, the change of rsp, the result.
type Registers = [u64; 8];

/// Calls a stub with known values in all callee-saved registers and notes what is in them afterwards.
#[unsafe(naked)]
unsafe extern "C" fn with_sentinels(call: *const Call, after: *mut Registers) {
    naked_asm!(
        "push rbp; push rbx; push r12; push r13; push r14; push r15",
        "sub rsp, 24",
        "mov [rsp], rsi",
        "mov [rsp + 8], rsp",
        "mov rax, [rdi]",
        "mov rsi, [rdi + 16]",
        "mov rdx, [rdi + 24]",
        "mov rcx, [rdi + 32]",
        "mov r8, [rdi + 40]",
        "mov rdi, [rdi + 8]",
        "mov ebx, 0x1111",
        "mov ebp, 0x2222",
        "mov r12d, 0x3333",
        "mov r13d, 0x4444",
        "mov r14d, 0x5555",
        "mov r15d, 0x6666",
        "call rax",
        "mov rdx, [rsp]",
        "mov [rdx], rbx",
        "mov [rdx + 8], rbp",
        "mov [rdx + 16], r12",
        "mov [rdx + 24], r13",
        "mov [rdx + 32], r14",
        "mov [rdx + 40], r15",
        "mov rcx, rsp",
        "sub rcx, [rsp + 8]",
        "mov [rdx + 48], rcx",
        "mov [rdx + 56], rax",
        "add rsp, 24",
        "pop r15; pop r14; pop r13; pop r12; pop rbx; pop rbp",
        "ret",
    )
}

fn registers_survive(entry: &Entry, guest: &Guest, code: &Code, slots: &mut [u64], status: Status) {
    let call = Call {
        stub: entry.code.entry(),
        exec: guest.exec,
        code: code.entry(),
        vmctx: guest.vmctx,
        id: 1,
        slots: slots.as_mut_ptr(),
    };
    for _ in 0..1000 {
        let mut after = Registers::default();
        // SAFETY: as `enter` does it.
        unsafe {
            let _current = CurrentExec::set(guest.exec);
            with_sentinels(&raw const call, &raw mut after);
            (*guest.exec).take_pending();
        }
        assert_eq!(after, [0x1111, 0x2222, 0x3333, 0x4444, 0x5555, 0x6666, 0, status as u64]);
    }
}

#[test]
fn callee_saved_registers_survive_returns_and_traps() {
    let guest = Guest::new("(module)");
    let (ty_, shuffled) = shuffle(&[I64, F64, I32, F32, V128].repeat(8), &[3, 1]);
    let entry = Entry::new(&ty_);
    let mut slots = vec![7; entry.slots];
    registers_survive(&entry, &guest, shuffled, &mut slots, Status::Ok);

    // Far down in frames that have saved registers of their own, with arguments on the stack.
    let deep = assemble(
        "function %deep(i64, i64, i64, i64, i64, i64, i64, i64, i64) -> i64 tail {
            sig0 = (i64, i64, i64, i64, i64, i64, i64, i64, i64) -> i64 tail
        block0(v0: i64, v1: i64, v2: i64, v3: i64, v4: i64, v5: i64, v6: i64, v7: i64, v8: i64):
            brif v3, block1, block2
        block2:
            trap user1
        block1:
            v9 = iconst.i64 1
            v10 = isub v3, v9
            v11 = call_indirect sig0, v2(v0, v1, v2, v10, v5, v6, v7, v8, v4)
            v12 = bxor v11, v4
            v13 = bxor v12, v5
            v14 = bxor v13, v6
            v15 = bxor v14, v7
            return v15
        }",
    );
    let entry = Entry::new(&ty(&[I64; 7], &[I64]));
    for depth in [0, 1, 1000] {
        let mut slots = [deep.entry() as u64, depth, 1, 2, 3, 4, 5];
        registers_survive(&entry, &guest, deep, &mut slots, Status::Trap);
        assert_eq!(guest.traps(&entry, deep, &mut slots), Trap::UnreachableCodeReached);
    }
}
