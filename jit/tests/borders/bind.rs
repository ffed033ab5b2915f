//! Functions that are found when they are first called.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use wasmrun_jit::stubs::{lazy_bind, set_resolver};
use wasmrun_jit::trap::current_exec;
use wasmrun_runtime::trap::Trap;
use wasmrun_runtime::vm::{FuncRef, VmContext};

use super::support::{Code, Entry, F64, Guest, I64, STUBS, V128, assemble, call, shuffle, slots_of, ty};

/// A function to bind: its code, and the address that the last request for it was to return to.
struct Function {
    code: usize,
    caller: usize,
}

/// By callee id.
static FUNCTIONS: Mutex<Option<HashMap<u64, Function>>> = Mutex::new(None);

fn with_functions<T>(action: impl FnOnce(&mut HashMap<u64, Function>) -> T) -> T {
    let mut functions = FUNCTIONS.lock().unwrap_or_else(PoisonError::into_inner);
    action(functions.get_or_insert_default())
}

unsafe extern "C" fn resolve(_: *mut VmContext, id: u64, frame: *const usize) -> *const u8 {
    // SAFETY: even ids are addresses of references.
    let host = id.is_multiple_of(2).then(|| unsafe { STUBS.bind_host(&*(id as *const FuncRef)) }.unwrap());
    let code = with_functions(|functions| {
        if let Some(host) = host {
            return Some(host as usize);
        }
        let function = functions.get_mut(&id)?;
        // SAFETY: the frame is that of the binder.
        function.caller = unsafe { *frame.add(1) };
        Some(function.code)
    });
    // Resolving compiles: no register stays as it was.
    // SAFETY: all that it changes is declared.
    unsafe {
        std::arch::asm!(
            "xorps xmm0, xmm0", "xorps xmm1, xmm1", "xorps xmm2, xmm2", "xorps xmm3, xmm3",
            "xorps xmm4, xmm4", "xorps xmm5, xmm5", "xorps xmm6, xmm6", "xorps xmm7, xmm7",
            "xor edi, edi", "xor esi, esi", "xor edx, edx", "xor ecx, ecx", "xor r8d, r8d", "xor r9d, r9d",
            "xor r10d, r10d", "xor r11d, r11d",
            out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
            out("xmm4") _, out("xmm5") _, out("xmm6") _, out("xmm7") _,
            out("rdi") _, out("rsi") _, out("rdx") _, out("rcx") _, out("r8") _, out("r9") _,
            out("r10") _, out("r11") _,
        );
        match code {
            Some(code) => code as *const u8,
            None => {
                (*current_exec()).set_pending(Trap::FunctionTooLarge.into());
                std::ptr::null()
            }
        }
    }
}

/// Names the resolver of these tests: it binds what they have defined, and functions of the host.
pub fn use_resolver() {
    set_resolver(resolve);
}

fn define(id: u64, code: &Code) {
    use_resolver();
    with_functions(|functions| functions.insert(id, Function { code: code.entry() as usize, caller: 0 }));
}

#[test]
fn every_argument_survives_binding() {
    let params = [[I64; 12].as_slice(), &[F64; 10], &[V128; 2]].concat();
    let order: Vec<_> = (0..params.len()).rev().collect();
    let (in_memory, all) = shuffle(&params, &order);
    let (in_registers, some) = shuffle(&params, &[11, 0, 23, 1, 10, 12, 21, 22]);
    define(101, all);
    define(103, some);
    let guest = Guest::new("(module)");
    for (id, ty, order) in
        [(101, in_memory, &order[..]), (103, in_registers, &[11, 0, 23, 1, 10, 12, 21, 22])]
    {
        let entry = Entry::new(&ty);
        for seed in 1..1000 {
            let sent = slots_of(&params, seed, 0);
            let mut slots = sent.concat();
            // SAFETY: the code that is bound is of the entry's type.
            unsafe { call(guest.exec, &entry, lazy_bind as *const u8, guest.vmctx, id, slots.as_mut_ptr()) }
                .unwrap();
            let expected: Vec<u64> = order.iter().flat_map(|i| sent[*i].clone()).collect();
            assert_eq!(slots[..expected.len()], expected);
        }
    }
}

/// A function `(vmctx, id, binder: i64, callee: i64) -> i64` that calls the binder and then returns a sum of values
/// that were in registers over the call.
fn calls_binder() -> &'static Code {
    assemble(
        "function %calls(i64, i64, i64, i64) -> i64 tail {
            sig0 = (i64, i64, i64) -> i64 tail
        block0(v0: i64, v1: i64, v2: i64, v3: i64):
            v4 = imul v2, v3
            v5 = bxor v2, v3
            v6 = iconst.i64 1000
            v7 = call_indirect sig0, v2(v0, v3, v6)
            v8 = isub v4, v5
            v9 = imul v8, v2
            v10 = iadd v9, v7
            return v10
        }",
    )
}

#[test]
fn callers_keep_their_registers_and_frames_stay_walkable() {
    let callee = assemble(
        "function %callee(i64, i64, i64) -> i64 tail {
        block0(v0: i64, v1: i64, v2: i64): v3 = iadd v1, v2  return v3 }",
    );
    let id = 105;
    define(id, callee);
    let caller = calls_binder();
    let guest = Guest::new("(module)");
    let entry = Entry::new(&ty(&[I64, I64], &[I64]));
    let binder = lazy_bind as *const u8 as u64;
    let mut slots = [binder, id];
    guest.call(&entry, caller, &mut slots).unwrap();
    let kept = binder.wrapping_mul(id).wrapping_sub(binder ^ id).wrapping_mul(binder);
    assert_eq!(slots[0], kept.wrapping_add(id + 1000));
    assert!(caller.contains(with_functions(|functions| functions[&id].caller)));
}

#[test]
fn a_function_that_cannot_be_bound_traps_in_its_caller() {
    use_resolver();
    let caller = calls_binder();
    let guest = Guest::new("(module)");
    let entry = Entry::new(&ty(&[I64, I64], &[I64]));
    for _ in 0..1000 {
        let mut slots = [lazy_bind as *const u8 as u64, 999];
        assert_eq!(guest.traps(&entry, caller, &mut slots), Trap::FunctionTooLarge);
        let (frames, complete) = guest.trace().unwrap();
        assert!(complete && frames.len() == 1 && caller.calls_before(frames[0]), "{frames:x?}");
    }
}
