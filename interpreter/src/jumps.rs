//! Checks that handlers end in jumps.
//!
//! Each instruction is executed once, in a setting where it goes on with a probe. The probe notes where its
//! stack is: a handler whose dispatch is a call has left a frame behind. Nothing but this test stands
//! between a change of compiler and a stack overflow in a long loop.

use std::cell::Cell;
use std::sync::Arc;

use wasmrun_runtime::features::Features;
use wasmrun_runtime::layout::GlobalPlace;
use wasmrun_runtime::trap::Status;
use wasmrun_runtime::types::TypeRegistry;
use wasmrun_runtime::vm::{
    Entered, GlobalSlot, Imports, MemoryStrategy, Segment, StackSizes, Store, VmContext,
};

use crate::machine::{Dispatch, HEAD, Machine, Op, Tail};
use crate::table;

/// Notes the address of the native stack and leaves the machine.
pub(crate) struct Probe;

thread_local! {
    static STACK: Cell<usize> = const { Cell::new(0) };
}

impl Op for Probe {
    const SIZE: usize = HEAD;

    #[inline(always)]
    unsafe fn exec<D: Dispatch>(_: Machine) -> D::Out {
        note_stack();
        D::exit(Status::Ok)
    }
}

#[inline(never)]
fn note_stack() {
    let here = 0u8;
    STACK.set(std::hint::black_box(&raw const here) as usize);
}

/// Slots of the frame that instructions run in. Every operand slot is slot 0 or, where a value is needed
/// that two instructions would read differently, one of the first few.
struct Setting {
    _store: Store,
    ctx: *mut VmContext,
    slots: Vec<u64>,
}

const PROBE_CODE: usize = 64;

impl Setting {
    fn new() -> Setting {
        let wat = r#"(module
            (type $t (func))
            (import "" "" (global $far i64))
            (memory 1) (table 1 funcref) (global (mut i64) (i64.const 1))
            (func $f (type $t)) (elem (i32.const 0) $f) (elem declare func $f) (data "x") (elem func $f))"#;
        let registry = TypeRegistry::default();
        let bytes = wat::parse_str(wat).unwrap();
        let module = wasmrun_runtime::parse(bytes, Features::default(), &registry).unwrap();
        let mut store = Store::new(StackSizes::default(), MemoryStrategy::Checked).unwrap();
        let global: &mut GlobalSlot = Box::leak(Box::default());
        let imports = Imports { globals: vec![global.into()], ..Imports::default() };
        // SAFETY: the import has the right type and lives for ever.
        let key = unsafe { store.instantiate(Arc::new(module), &imports) }.unwrap();
        let ctx = store.instance(key).unwrap().context();
        Setting { _store: store, ctx, slots: vec![1; 4096] }
    }

    /// Runs `code`, and says whether it reached a probe and how far below a direct entry its stack was.
    fn run(&mut self, code: &[u8], slot: u64) -> Option<usize> {
        self.slots.fill(slot);
        let start = |ip: *const u8, setting: &mut Setting| {
            // SAFETY: the context is alive.
            let (mem, len) = unsafe { VmContext::memory0(setting.ctx) };
            let sp = setting.slots[2048..].as_mut_ptr();
            let m = Machine { ip, sp, ctx: setting.ctx, mem, len, acc: slot, acc32: 1.0, acc64: 1.0 };
            STACK.set(0);
            // SAFETY: the code and the frame are made for each other.
            unsafe { enter(m) };
            STACK.get()
        };
        let direct = start(table::PROBE.to_ne_bytes().as_ptr(), self);
        assert_ne!(direct, 0);
        let reached = start(code.as_ptr(), self);
        (reached != 0).then(|| direct.abs_diff(reached))
    }
}

#[inline(never)]
unsafe fn enter(m: Machine) {
    // SAFETY: the caller's promise.
    unsafe {
        let exec = m.exec();
        let mut segment = Segment::interpreter(|_, _| None);
        let _entered = Entered::new(exec, &raw mut segment);
        std::hint::black_box(Tail::go(m));
        (*exec).take_pending();
    }
}

/// An instruction with operands under which it goes on with the probe behind it, whose last operand, a
/// displacement for branches, is `last`.
fn instruction(opcode: u16, last: u32) -> Vec<u8> {
    let size = table::size(opcode);
    let mut code = vec![0; PROBE_CODE];
    code[..2].copy_from_slice(&opcode.to_ne_bytes());
    if size >= HEAD + 4 {
        code[size - 4..size].copy_from_slice(&last.to_ne_bytes());
    }
    for at in (size..PROBE_CODE).step_by(2) {
        code[at..at + 2].copy_from_slice(&table::PROBE.to_ne_bytes());
    }
    code
}

#[test]
#[cfg_attr(
    not(all(wasmrun_tail_dispatch, not(debug_assertions))),
    ignore = "handlers are not chained in this build"
)]
fn every_handler_ends_in_a_jump() {
    let mut setting = Setting::new();
    // SAFETY: the context is alive.
    let layout = unsafe { VmContext::module(setting.ctx).layout().clone() };
    let own = match layout.global(1) {
        GlobalPlace::Own(offset) | GlobalPlace::Imported(offset) => offset,
    };
    let far = match layout.global(0) {
        GlobalPlace::Own(offset) | GlobalPlace::Imported(offset) => offset,
    };
    let (mut reached, mut calls, mut missed) = (0, Vec::new(), Vec::new());
    for opcode in 0..table::COUNT as u16 {
        let (size, name) = (table::size(opcode), table::name(opcode));
        let last = if name.contains("GlobalGet") || name.contains("GlobalSet") {
            if name.contains("false") { far } else { own }
        } else if name.contains("LoadFrom") || name.contains("StoreTo") {
            layout.memory(0)
        } else if name.contains("Load") || name.contains("Store") {
            64
        } else if name.contains("BrTable") {
            0
        } else if name.contains("Br") {
            size as u32
        } else if name.contains("Imm") {
            1
        } else {
            0
        };
        // Calls and returns go elsewhere; programs that call a million times test those.
        let skip = ["::call::", "tail_call::", "EnterCompiled", "Exit", "Probe", "Stop<"]
            .iter()
            .any(|s| name.contains(s));
        if skip {
            continue;
        }
        let mut found = false;
        for slot in [1, 0, 2, u64::MAX] {
            let mut code = instruction(opcode, last);
            if name.contains("LoadFrom") || name.contains("StoreTo") {
                let end = size - 8;
                code[end..end + 4].copy_from_slice(&64u32.to_ne_bytes());
            }
            if name.contains("BrTable") {
                code[size..size + 4].copy_from_slice(&(size as u32 + 4).to_ne_bytes());
            }
            match setting.run(&code, slot) {
                Some(0) => found = true,
                Some(left) => calls.push((name, left)),
                None => {}
            }
        }
        if found { reached += 1 } else { missed.push(name) }
    }
    assert!(calls.is_empty(), "these leave frames behind: {calls:?}");
    assert!(missed.is_empty(), "these were not tried: {missed:?}");
    assert!(reached > 1500, "{reached}");
}
