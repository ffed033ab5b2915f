//! Machine code for tests, from Cranelift's text format, in pages of its own; and guests to run it in.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write;
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};

use cranelift_codegen::Context;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::ir::TrapCode;
use cranelift_codegen::isa::OwnedTargetIsa;
use cranelift_codegen::settings::{self, Configurable};
use wasmrun_jit::arena::Arena;
use wasmrun_jit::compile::{CompiledFunction, Isa};
use wasmrun_jit::stubs::{
    AbiClass, EnterStub, Stubs, compile_bounce, compile_enter, compile_to_host, compile_to_interp, enter,
};
use wasmrun_jit::trap::{self, TrapInfo};
use wasmrun_runtime::features::Features;
use wasmrun_runtime::module::CodeCell;
use wasmrun_runtime::trap::{HostError, Pending, Status, Trap};
use wasmrun_runtime::types::{FuncType, TypeRegistry, ValType};
use wasmrun_runtime::vm::gc::shape::Kind;
use wasmrun_runtime::vm::{
    Entered, ExecContext, FuncRef, GrowError, HostCall, HostFunc, Imports, MemoryStrategy, Segment,
    StackSizes, Store, StoreHooks, VmContext,
};

pub const I32: ValType = ValType::I32;
pub const I64: ValType = ValType::I64;
pub const F32: ValType = ValType::F32;
pub const F64: ValType = ValType::F64;
pub const V128: ValType = ValType::V128;

pub fn ty(params: &[ValType], results: &[ValType]) -> FuncType {
    FuncType::new(params.iter().copied(), results.iter().copied())
}

static ISA: LazyLock<OwnedTargetIsa> = LazyLock::new(|| {
    let mut flags = settings::builder();
    flags.set("opt_level", "speed").unwrap();
    flags.enable("preserve_frame_pointers").unwrap();
    cranelift_native::builder().unwrap().finish(settings::Flags::new(flags)).unwrap()
});

/// Code memory for whole modules, and for the stubs around them.
pub static ARENA: LazyLock<Arena> = LazyLock::new(|| {
    trap::install(lookup).unwrap();
    ARENA_OF_HANDLER.get_or_init(|| Arena::new(16 << 20).unwrap()).clone()
});

static ARENA_OF_HANDLER: OnceLock<Arena> = OnceLock::new();

pub static NATIVE: LazyLock<Isa> = LazyLock::new(|| Isa::native().unwrap());

pub static STUBS: LazyLock<Stubs> = LazyLock::new(|| Stubs::new(&NATIVE, ARENA.clone()));

/// Code that has been installed, with its traps. It stays for ever.
pub struct Code {
    start: usize,
    len: usize,
    traps: Vec<(u32, TrapCode)>,
    next: Option<&'static Code>,
}

static INSTALLED: AtomicPtr<Code> = AtomicPtr::new(ptr::null_mut());

impl Code {
    pub fn entry(&self) -> *const u8 {
        self.start as *const u8
    }

    pub fn contains(&self, pc: usize) -> bool {
        (self.start..self.start + self.len).contains(&pc)
    }

    /// Whether the instruction at an address can trap.
    pub fn traps_at(&self, pc: usize) -> bool {
        self.contains(pc) && self.traps.iter().any(|(at, _)| *at as usize == pc - self.start)
    }

    /// Whether a call by register ends at an address.
    pub fn calls_before(&self, pc: usize) -> bool {
        // SAFETY: the address is inside the code or just behind it.
        self.contains(pc - 2) && unsafe { *((pc - 2) as *const u8) == 0xff }
    }
}

fn lookup(pc: usize) -> Option<TrapInfo> {
    // SAFETY: what is in the list stays there.
    let mut code = unsafe { INSTALLED.load(Ordering::Acquire).as_ref() };
    while let Some(this) = code {
        if this.contains(pc) {
            let offset = (pc - this.start) as u32;
            let at = this.traps.iter().find(|(at, _)| *at == offset)?;
            return Some(TrapInfo { code: at.1 });
        }
        code = this.next;
    }
    let found = ARENA_OF_HANDLER.get()?.lookup(pc)?;
    // SAFETY: the address is that of code which runs, so that its blob is installed.
    let function = unsafe { found.meta() }.downcast_ref::<CompiledFunction>()?;
    let code = function.trap_at((pc - found.addresses().start) as u32)?;
    Some(TrapInfo { code })
}

pub fn install(bytes: &[u8], traps: Vec<(u32, TrapCode)>) -> &'static Code {
    trap::install(lookup).unwrap();
    // SAFETY: a fresh mapping, written before it becomes executable.
    let start = unsafe {
        let (flags, rw) = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, libc::PROT_READ | libc::PROT_WRITE);
        let start = libc::mmap(ptr::null_mut(), bytes.len(), rw, flags, -1, 0);
        assert_ne!(start, libc::MAP_FAILED);
        ptr::copy_nonoverlapping(bytes.as_ptr(), start.cast(), bytes.len());
        assert_eq!(libc::mprotect(start, bytes.len(), libc::PROT_READ | libc::PROT_EXEC), 0);
        start as usize
    };
    let code = Box::leak(Box::new(Code { start, len: bytes.len(), traps, next: None }));
    let mut head = INSTALLED.load(Ordering::Acquire);
    loop {
        // SAFETY: what is in the list stays there.
        code.next = unsafe { head.as_ref() };
        match INSTALLED.compare_exchange(head, code, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return code,
            Err(now) => head = now,
        }
    }
}

/// Compiles and installs one function, given in Cranelift's text format.
pub fn assemble(text: &str) -> &'static Code {
    let mut functions = cranelift_reader::parse_functions(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let mut context = Context::for_function(functions.remove(0));
    context.verify(&**ISA).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let code = context.compile(&**ISA, &mut ControlPlane::default()).unwrap();
    assert!(code.buffer.relocs().is_empty());
    let traps = code.buffer.traps().iter().map(|t| (t.offset, t.code)).collect();
    install(code.code_buffer(), traps)
}

/// A function that returns its parameters in another order: result `i` is parameter `order[i]`.
pub fn shuffle(params: &[ValType], order: &[usize]) -> (FuncType, &'static Code) {
    let results: Vec<_> = order.iter().map(|i| params[*i]).collect();
    let ty = ty(params, &results);
    let class = AbiClass::of(&ty);
    let area = class.has_result_area();
    let first = if area { 3 } else { 2 };
    let types: Vec<_> = ["i64"].repeat(first).into_iter().map(String::from).collect();
    let types: Vec<_> = types.into_iter().chain(class.params().iter().map(|t| t.to_string())).collect();
    let mut text = format!("function %shuffle({})", types.join(", "));
    if !area && !order.is_empty() {
        let results: Vec<_> = class.results().iter().map(|t| t.to_string()).collect();
        write!(text, " -> {}", results.join(", ")).unwrap();
    }
    let named: Vec<_> = types.iter().enumerate().map(|(i, t)| format!("v{i}: {t}")).collect();
    write!(text, " tail {{\nblock0({}):\n", named.join(", ")).unwrap();
    if area {
        let mut offset = 0;
        for (i, from) in order.iter().enumerate() {
            let (value, word, half) = (first + from, 1000 + i, 2000 + i);
            let stored = match params[*from] {
                ValType::I32 | ValType::EXTERNREF => {
                    writeln!(text, "v{word} = uextend.i64 v{value}").unwrap();
                    word
                }
                ValType::F32 => {
                    writeln!(text, "v{half} = bitcast.i32 v{value}\nv{word} = uextend.i64 v{half}").unwrap();
                    word
                }
                _ => value,
            };
            writeln!(text, "store.{} notrap v{stored}, v2+{offset}", stored_type(params[*from])).unwrap();
            offset += if params[*from] == V128 { 16 } else { 8 };
        }
        text.push_str("return\n}");
    } else {
        let values: Vec<_> = order.iter().map(|i| format!("v{}", first + i)).collect();
        write!(text, "return {}\n}}", values.join(", ")).unwrap();
    }
    (ty, assemble(&text))
}

fn stored_type(ty: ValType) -> &'static str {
    match ty {
        ValType::F64 => "f64",
        ValType::V128 => "i8x16",
        _ => "i64",
    }
}

/// Slots for values of `types`: what is unused of a slot is `garbage`.
pub fn slots_of(types: &[ValType], seed: u64, garbage: u64) -> Vec<Vec<u64>> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        state ^ (state >> 29)
    };
    types
        .iter()
        .map(|ty| match *ty {
            ValType::V128 => vec![next(), next()],
            ValType::I32 | ValType::F32 | ValType::EXTERNREF => vec![next() & 0xffff_ffff | garbage << 32],
            _ => vec![next()],
        })
        .collect()
}

/// The way into functions of one type.
pub struct Entry {
    stub: EnterStub,
    pub code: &'static Code,
    pub slots: usize,
}

impl Entry {
    pub fn new(ty: &FuncType) -> Entry {
        let class = AbiClass::of(ty);
        let code = install(&compile_enter(&**ISA, &class).unwrap(), Vec::new());
        // SAFETY: the code is an `enter` stub.
        let stub = unsafe { std::mem::transmute::<*const u8, EnterStub>(code.entry()) };
        Entry { stub, code, slots: class.slots() }
    }
}

pub fn to_host(ty: &FuncType) -> &'static Code {
    install(&compile_to_host(&**ISA, &AbiClass::of(ty)).unwrap(), Vec::new())
}

pub fn to_interp(ty: &FuncType) -> &'static Code {
    install(&compile_to_interp(&**ISA, &AbiClass::of(ty)).unwrap(), Vec::new())
}

pub fn bounce(ty: &FuncType) -> &'static Code {
    install(&compile_bounce(&**ISA, &AbiClass::of(ty)).unwrap(), Vec::new())
}

/// A call that compiled code makes to tier 0.
#[derive(Clone, Copy)]
pub struct InterpCall {
    pub vmctx: *mut VmContext,
    pub id: u64,
    pub slots: *mut u64,
    pub frame: *const usize,
}

impl InterpCall {
    pub fn exec(&self) -> *mut ExecContext {
        // SAFETY: the context is alive.
        unsafe { VmContext::exec(self.vmctx) }
    }

    /// The slots, as many as there are said to be. They go before the next call.
    pub fn slots<'a>(self, len: usize) -> &'a mut [u64] {
        // SAFETY: the slots are those of a call with as many.
        unsafe { std::slice::from_raw_parts_mut(self.slots, len) }
    }
}

type Function = dyn Fn(InterpCall) -> Status;

thread_local! {
    /// The functions of tier 0 of this thread's guests, by id.
    static INTERPRETED: RefCell<HashMap<u64, Rc<Function>>> = RefCell::default();
}

unsafe extern "C" fn interpret(vmctx: *mut VmContext, id: u64, slots: *mut u64, frame: *const usize) -> u64 {
    let function = INTERPRETED.with_borrow(|functions| functions[&id].clone());
    function(InterpCall { vmctx, id, slots, frame }) as u64
}

/// An instance in a store of its own.
pub struct Guest {
    pub store: Store,
    pub exec: *mut ExecContext,
    pub vmctx: *mut VmContext,
    pub registry: Arc<TypeRegistry>,
}

impl Guest {
    pub fn new(wat: &str) -> Guest {
        Guest::with_stacks(wat, StackSizes::default())
    }

    pub fn with_stacks(wat: &str, sizes: StackSizes) -> Guest {
        let registry = Arc::<TypeRegistry>::default();
        let bytes = wat::parse_str(wat).unwrap();
        let module = wasmrun_runtime::parse(bytes, Features::default(), &registry).unwrap();
        let mut store = Store::new(sizes, MemoryStrategy::Guarded, &registry).unwrap();
        // SAFETY: there are no imports.
        let key = unsafe { store.instantiate(Arc::new(module), &Imports::default()) }.unwrap();
        let vmctx = store.instance(key).unwrap().context();
        Guest { exec: store.exec_mut(), vmctx, store, registry }
    }

    /// A host function, with a cell that holds its `to_host` stub.
    pub fn host_func(
        &mut self,
        ty: FuncType,
        entry: impl Fn(HostCall) -> Result<(), HostError> + Send + Sync + 'static,
    ) -> &'static FuncRef {
        let stub = to_host(&ty);
        let func = Arc::new(HostFunc::new(ty, entry));
        // SAFETY: references that the store has made are alive.
        let func_ref = unsafe { self.store.host_func(&func, &self.registry).as_ref() };
        let cell = CodeCell::default();
        // SAFETY: the stub is for functions of this type, and stays.
        unsafe { cell.publish_native(stub.entry()) };
        Box::leak(Box::new(FuncRef { cell: Box::leak(Box::new(cell)), ..func_ref.clone() }))
    }

    /// Makes `function` the one that tier 0 runs for an id.
    pub fn interpreted(&self, id: u64, function: impl Fn(InterpCall) -> Status + 'static) {
        // SAFETY: the context is alive.
        unsafe { (*self.exec).native.entries.interpreter = interpret };
        INTERPRETED.with_borrow_mut(|functions| functions.insert(id, Rc::new(function)));
    }

    /// The frames that the last trap left, and whether these are all.
    pub fn trace(&self) -> Option<(Vec<usize>, bool)> {
        // SAFETY: the context is alive.
        unsafe { trace(self.exec) }
    }

    pub fn call(&self, entry: &Entry, code: &Code, slots: &mut [u64]) -> Result<(), Pending> {
        assert!(entry.slots <= slots.len());
        // SAFETY: the code is of the entry's type.
        unsafe { call(self.exec, entry, code.entry(), self.vmctx, 1, slots.as_mut_ptr()) }
    }

    pub fn traps(&self, entry: &Entry, code: &Code, slots: &mut [u64]) -> Trap {
        match self.call(entry, code, slots) {
            Err(Pending::Trap(trap)) => trap,
            other => panic!("no trap but {other:?}"),
        }
    }
}

/// The frames that the last trap left, and whether these are all.
pub unsafe fn trace(exec: *mut ExecContext) -> Option<(Vec<usize>, bool)> {
    // SAFETY: the context is alive.
    let trace = unsafe { &mut (*exec).native.trace };
    let addresses = trace.take()?.to_vec();
    Some((addresses, trace.complete))
}

/// Enters compiled code as an embedder's call does.
pub unsafe fn call(
    exec: *mut ExecContext,
    entry: &Entry,
    code: *const u8,
    vmctx: *mut VmContext,
    id: u64,
    slots: *mut u64,
) -> Result<(), Pending> {
    // SAFETY: the caller's promise. The segment is withdrawn before it goes out of scope.
    unsafe {
        let mut segment = Segment::compiled();
        let _entered = Entered::new(exec, &raw mut segment);
        let words = |exec: *mut ExecContext| {
            let native = &(*exec).native;
            (native.entry_sp, native.entry_fp, native.entry_handler)
        };
        let before = words(exec);
        let status = enter(entry.stub, exec, code, vmctx, id, slots);
        assert_eq!(words(exec), before, "an entry leaves the words of the one around it as they were");
        match status {
            Status::Ok => Ok(()),
            _ => Err((*exec).take_pending().expect("there is a reason")),
        }
    }
}

/// Text of a function `(vmctx, id, funcref: i64) -> i64` that calls the function of type `() -> i64` behind
/// a funcref as compiled code does, with its own context, adds 1 to the result, and then does what `after` says
/// with the sum in `v9`.
pub fn caller(after: &str) -> &'static Code {
    assemble(&format!(
        "function %caller(i64, i64, i64) -> i64 tail {{
            sig0 = (i64, i64) -> i64 tail
        block0(v0: i64, v1: i64, v2: i64):
            v3 = load.i64 notrap aligned v2
            v4 = load.i64 notrap aligned v3
            v5 = call_indirect sig0, v4(v0, v2)
            v8 = iconst.i64 1
            v9 = iadd v5, v8
            {after}
        }}"
    ))
}

/// Hooks of a store that let everything grow, and answer requests of other threads with a function.
pub struct Answering<F>(pub F);

impl<F: FnMut(u32) -> Result<(), Pending>> StoreHooks for Answering<F> {
    fn memory_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool, HostError> {
        Ok(true)
    }
    fn memory_grow_failed(&mut self, _: GrowError) -> Result<(), HostError> {
        Ok(())
    }
    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool, HostError> {
        Ok(true)
    }
    fn table_grow_failed(&mut self, _: GrowError) -> Result<(), HostError> {
        Ok(())
    }
    fn interrupted(&mut self, reasons: u32) -> Result<(), Pending> {
        (self.0)(reasons)
    }

    unsafe fn allocate(&mut self, _: Kind, _: usize) -> Result<u32, Pending> {
        Err(Trap::GcHeapOutOfMemory.into())
    }
}
