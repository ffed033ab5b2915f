//! Checks that handlers end in jumps.
//!
//! Each instruction is executed once, in a setting where it goes on with a landing. The landing notes where its
//! stack is: a handler whose dispatch is a call has left a frame behind. Nothing but this test stands
//! between a change of compiler and a stack overflow in a long loop.

use std::cell::Cell;
use std::sync::Arc;

use wasmrun_runtime::counts::Counter;
use wasmrun_runtime::features::Features;
use wasmrun_runtime::layout::GlobalPlace;
use wasmrun_runtime::trap::Status;
use wasmrun_runtime::types::TypeRegistry;
use wasmrun_runtime::vm::gc::GcWords;
use wasmrun_runtime::vm::gc::cards::CARDS;
use wasmrun_runtime::vm::{
    Entered, GlobalSlot, Imports, MemoryStrategy, Segment, StackSizes, Store, VmContext,
};

use crate::dispatch::Tail;
use crate::field::{Field, HEAD, offset};
use crate::machine::{Dispatch, Machine, Op};
use crate::table;

/// Notes the address of the native stack and leaves the machine.
pub(crate) struct Landing;

thread_local! {
    static STACK: Cell<usize> = const { Cell::new(0) };
}

impl Op for Landing {
    const NAME: &'static [&'static str] = &["landing"];
    const FIELDS: &'static [Field] = &[];

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
    /// A heap behind its cards, with an array in it, to which reference slot 0 leads.
    heap: Vec<u32>,
}

const CODE_SIZE: usize = 64;

/// Where the heap starts in its words.
const BASE: usize = CARDS / 4;

impl Setting {
    fn new() -> Setting {
        let wat = r#"(module
            (type $t (func)) (type (struct (field i32))) (type (array (mut i64)))
            (import "" "" (global $far i64))
            (memory 1 2 shared) (table 1 funcref) (global (mut i64) (i64.const 1))
            (func $f (type $t)) (elem (i32.const 0) $f) (elem declare func $f) (data "x") (elem func $f))"#;
        let registry = Arc::<TypeRegistry>::default();
        let bytes = wat::parse_str(wat).unwrap();
        let module = wasmrun_runtime::parse(bytes, Features::all(), &registry).unwrap();
        let mut store = Store::new(StackSizes::default(), MemoryStrategy::Checked, &registry).unwrap();
        let global: &mut GlobalSlot = Box::leak(Box::default());
        let imports = Imports { globals: vec![global.into()], ..Imports::default() };
        // SAFETY: the import has the right type and lives for ever.
        let key = unsafe { store.instantiate(Arc::new(module), &imports) }.unwrap();
        let ctx = store.instance(key).unwrap().context();
        // SAFETY: the context is alive.
        let kind = unsafe { VmContext::type_id(ctx, 2) }.0;
        let mut heap = vec![0; BASE + 2048];
        heap[BASE + 2..][..3].copy_from_slice(&[kind, 0, 3]);
        Setting { _store: store, ctx, slots: vec![1; 4096], heap }
    }

    /// Runs `code`, and says whether it reached a landing and how far below a direct entry its stack was.
    fn run(&mut self, code: &[u8], slot: u64) -> Option<usize> {
        self.slots.fill(slot);
        // SAFETY: the context is alive, and its stack has a slot; the heap has room for what an instruction makes.
        unsafe {
            let exec = VmContext::exec(self.ctx);
            (*exec).ref_top.write(8);
            (*exec).gc =
                GcWords { base: self.heap.as_mut_ptr().wrapping_add(BASE).cast(), top: 4096, end: 8192 };
        }
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
        let direct = start(table::LANDING.to_ne_bytes().as_ptr(), self);
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

/// What a context offset of an instruction leads to.
struct Places {
    own: u32,
    far: u32,
    memory: u32,
}

/// What an instruction counts.
static COUNTER: Counter = Counter::new(0);

/// An instruction with fields under which it goes on with the landing behind it.
fn instruction(opcode: u16, places: &Places) -> Vec<u8> {
    let (name, fields) = (table::name(opcode), table::fields(opcode));
    let size = offset(fields, fields.len());
    let mut code = opcode.to_ne_bytes().to_vec();
    for field in fields {
        let value: u64 = match field {
            // Where a branch ends does not depend on whether it is taken.
            Field::Displacement => size as u64,
            Field::Context if name.ends_with(".far") => places.far.into(),
            Field::Context if name.starts_with("global") => places.own.into(),
            Field::Context => places.memory.into(),
            Field::I32 | Field::I64 => 1,
            Field::F32 => f32::to_bits(1.0).into(),
            Field::F64 => f64::to_bits(1.0),
            Field::Type if name.starts_with("struct") => 1,
            Field::Type if name.starts_with("array") => 2,
            Field::Offset => 64,
            Field::Counter => (&raw const COUNTER).addr() as u64,
            _ => 0,
        };
        code.extend_from_slice(&value.to_le_bytes()[..field.width()]);
    }
    if fields.contains(&Field::Targets) {
        code.extend_from_slice(&(size as u32 + 4).to_ne_bytes());
    }
    code.resize(CODE_SIZE.max(code.len()), 0);
    for at in (size + if fields.contains(&Field::Targets) { 4 } else { 0 }..CODE_SIZE).step_by(2) {
        code[at..at + HEAD].copy_from_slice(&table::LANDING.to_ne_bytes());
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
    let global = |index| match layout.global(index) {
        GlobalPlace::Own(offset) | GlobalPlace::Imported(offset) => offset,
    };
    let places = Places { own: global(1), far: global(0), memory: layout.memory(0) };
    let (mut reached, mut calls, mut missed) = (0, Vec::new(), Vec::new());
    for opcode in 0..table::COUNT as u16 {
        // Calls, returns and throws go elsewhere; programs that do so a million times test those.
        if ELSEWHERE.contains(&table::name(opcode)) {
            continue;
        }
        let code = instruction(opcode, &places);
        let mut found = false;
        for slot in [1, 0, 2, u64::MAX] {
            match setting.run(&code, slot) {
                Some(0) => found = true,
                Some(left) => calls.push((table::name(opcode), left)),
                None => {}
            }
        }
        if found { reached += 1 } else { missed.push(table::name(opcode)) }
    }
    assert!(calls.is_empty(), "these leave frames behind: {calls:?}");
    assert!(missed.is_empty(), "these were not tried: {missed:?}");
    assert!(reached > 1500, "{reached}");
}

/// Instructions that do not go on with the one behind them.
const ELSEWHERE: [&str; 19] = [
    "unreachable",
    "out_of_bounds",
    "call",
    "call.import",
    "call_indirect",
    "call_ref",
    "restore",
    "return",
    "return_call",
    "return_call.import",
    "return_call_indirect",
    "return_call_ref",
    "exit",
    "after_tail",
    "enter_compiled",
    "look",
    "throw",
    "throw_ref",
    "landing",
];
