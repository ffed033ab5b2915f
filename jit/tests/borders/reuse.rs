//! Code memory that is freed and used again while other threads call and trap.

use std::collections::HashSet;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::*};

use wasmrun_jit::arena::Blob;
use wasmrun_jit::compile::CompiledFunction;
use wasmrun_jit::stack_maps::StackMaps;
use wasmrun_jit::trap::code::code_of;
use wasmrun_runtime::module::CodeCell;
use wasmrun_runtime::trap::{Pending, Trap};
use wasmrun_runtime::types::TypeId;
use wasmrun_runtime::vm::FuncRef;

use super::support::{ARENA, Entry, Guest, I64, caller, ty};

const TRAP: Trap = Trap::BadSignature;

/// Every fourth version traps.
fn traps(version: u64) -> bool {
    version.is_multiple_of(4)
}

/// Code that returns its version, or traps where it would return: the instruction behind some others, whose place
/// differs from version to version.
fn install(version: u64) -> Blob {
    // push rbp; mov rbp, rsp
    let mut code = vec![0x55, 0x48, 0x89, 0xe5];
    code.resize(4 + version as usize % 50, 0x90);
    let mut found = Vec::new();
    if traps(version) {
        found.push((code.len() as u32, code_of(TRAP)));
        code.extend([0x0f, 0x0b]);
    } else {
        // mov rax, version; pop rbp; ret
        code.extend([0x48, 0xb8]);
        code.extend(version.to_le_bytes());
        code.extend([0x5d, 0xc3]);
    }
    let (alignment, positions) = (16, Vec::new());
    let function = CompiledFunction {
        function: 0,
        code: code.clone(),
        alignment,
        frame: 0,
        traps: found,
        positions,
        stack_maps: StackMaps::default(),
        handlers: Vec::new(),
    };
    ARENA.install(&code, Arc::new(function)).unwrap()
}

/// A thread that calls: odd while it does.
#[derive(Default)]
struct Caller(AtomicU64);

impl Caller {
    /// Waits until calls that have begun are over.
    fn wait(&self) {
        let turn = self.0.load(SeqCst);
        while turn % 2 == 1 && self.0.load(SeqCst) == turn {
            std::thread::yield_now();
        }
    }
}

#[test]
fn threads_call_and_trap_in_code_whose_memory_is_used_again() {
    const VERSIONS: u64 = 5_000;
    let mut blob = install(1);
    let cell = CodeCell::default();
    // SAFETY: as below.
    unsafe { cell.publish_native(blob.entry()) };
    // The last version that is surely in the cell.
    let published = AtomicU64::new(1);
    let done = AtomicBool::new(false);
    let (code, entry) = (caller("return v9"), Entry::new(&ty(&[I64], &[I64])));
    let callers = [(); 2].map(|()| Caller::default());
    let mut addresses = HashSet::from([blob.entry()]);
    std::thread::scope(|scope| {
        for this in &callers {
            let (cell, published, done, entry) = (&cell, &published, &done, &entry);
            scope.spawn(move || {
                let guest = Guest::new("(module)");
                let func = FuncRef {
                    cell,
                    vmctx: guest.vmctx,
                    host: ptr::null(),
                    type_id: TypeId::NONE,
                    func_index: 0,
                };
                let mut trapped = 0;
                while !done.load(Relaxed) {
                    this.0.fetch_add(1, SeqCst);
                    let before = published.load(SeqCst);
                    let mut slots = [ptr::from_ref(&func) as u64];
                    let result = guest.call(entry, code, &mut slots);
                    let after = published.load(SeqCst) + 1;
                    this.0.fetch_add(1, SeqCst);
                    match result {
                        Ok(()) => {
                            let version = slots[0] - 1;
                            assert!((before..=after).contains(&version) && !traps(version), "{version}");
                        }
                        Err(Pending::Trap(TRAP)) => {
                            assert!((before..=after).any(traps));
                            let (frames, complete) = guest.trace().unwrap();
                            assert!(complete && frames.len() == 2 && code.calls_before(frames[1]));
                            trapped += 1;
                        }
                        Err(other) => panic!("{other:?}"),
                    }
                }
                assert!(trapped > 0);
            });
        }
        for version in 2..VERSIONS {
            let next = install(version);
            addresses.insert(next.entry());
            // SAFETY: what is published next comes before this goes.
            unsafe { cell.publish_native(next.entry()) };
            published.store(version, SeqCst);
            callers.iter().for_each(Caller::wait);
            drop(std::mem::replace(&mut blob, next));
        }
        done.store(true, Relaxed);
    });
    assert!(addresses.len() < VERSIONS as usize / 100, "{} addresses", addresses.len());
}
