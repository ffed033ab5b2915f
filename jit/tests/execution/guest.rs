//! Instances whose functions are all compiled, linked among each other.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::mem;
use std::ptr::{self, NonNull};
use std::sync::{Arc, LazyLock, Mutex};

use wasmrun_jit::arena::{Arena, Blob};
use wasmrun_jit::compile::{CompiledFunction, Isa, MemoryPlan, Mode, compile};
use wasmrun_jit::stubs::{AbiClass, EnterStub, compile_enter, compile_to_host, enter};
use wasmrun_jit::trap::{self, TrapInfo};
use wasmrun_runtime::features::Features;
use wasmrun_runtime::module::{CodeCell, ExternIndex, Module};
use wasmrun_runtime::trap::{Pending, Status};
use wasmrun_runtime::types::{ExternType, FuncType, TypeRegistry};
use wasmrun_runtime::vm::{
    Entered, FuncRef, GlobalSlot, HostFunc, Imports, InstanceKey, InstantiateError, MemoryStrategy, Segment,
    StackSizes, Store, VmContext,
};

static ISA: LazyLock<Isa> = LazyLock::new(|| Isa::native().unwrap());

static ARENA: LazyLock<Arena> = LazyLock::new(|| {
    trap::install(lookup).unwrap();
    Arena::new(256 << 20).unwrap()
});

fn lookup(pc: usize) -> Option<TrapInfo> {
    let found = ARENA.lookup(pc)?;
    // SAFETY: the address is that of code which runs, so that its blob is installed.
    let function = unsafe { found.meta() }.downcast_ref::<CompiledFunction>()?;
    let code = function.trap_at((pc - found.addresses().start) as u32)?;
    Some(TrapInfo { code })
}

/// What is not asked for twice: stubs stay for as long as the process.
fn stub(
    made: &Mutex<HashMap<AbiClass, Blob>>,
    class: &AbiClass,
    make: impl FnOnce() -> Vec<u8>,
) -> *const u8 {
    let mut made = made.lock().unwrap();
    made.entry(class.clone()).or_insert_with(|| ARENA.install(&make(), Arc::new(())).unwrap()).entry()
}

fn enter_stub(class: &AbiClass) -> EnterStub {
    static MADE: LazyLock<Mutex<HashMap<AbiClass, Blob>>> = LazyLock::new(Mutex::default);
    let isa = ISA.target(Mode::Speed);
    let code = stub(&MADE, class, || compile_enter(&**isa, class).unwrap());
    // SAFETY: the code is an `enter` stub.
    unsafe { mem::transmute::<*const u8, EnterStub>(code) }
}

fn host_stub(class: &AbiClass) -> *const u8 {
    static MADE: LazyLock<Mutex<HashMap<AbiClass, Blob>>> = LazyLock::new(Mutex::default);
    let isa = ISA.target(Mode::Speed);
    stub(&MADE, class, || compile_to_host(&**isa, class).unwrap())
}

/// Why there is no instance.
#[derive(Debug)]
pub enum Refused {
    /// The module is none, or none that the engine executes.
    Invalid,
    /// An import is missing or of another type, or what the module asks for is too large.
    Link,
    /// Instantiation or the start function trapped.
    Trap(Pending),
}

/// A store with its instances and their code.
pub struct World {
    // Before the code: nothing of the store runs when code goes away.
    store: Store,
    registry: TypeRegistry,
    mode: Mode,
    plan: MemoryPlan,
    names: HashMap<String, InstanceKey>,
    code: Vec<Blob>,
}

impl World {
    pub fn new(mode: Mode, plan: MemoryPlan) -> World {
        let strategy = match plan {
            MemoryPlan::Guarded => MemoryStrategy::Guarded,
            MemoryPlan::Checked => MemoryStrategy::Checked,
        };
        let store = Store::new(StackSizes::default(), strategy).unwrap();
        let (registry, names) = (TypeRegistry::default(), HashMap::new());
        World { store, registry, mode, plan, names, code: Vec::new() }
    }

    pub fn name(&mut self, name: &str, instance: InstanceKey) {
        self.names.insert(name.to_owned(), instance);
    }

    /// Makes an instance, with compiled code for all its functions, and calls its start function.
    pub fn instantiate(&mut self, bytes: Vec<u8>) -> Result<InstanceKey, Refused> {
        let module = wasmrun_runtime::parse(bytes, Features::default(), &self.registry)
            .map_err(|_| Refused::Invalid)?;
        let module = Arc::new(module);
        for function in module.imported_function_count()..module.function_count() {
            let compiled = compile(&ISA, &module, function, self.mode, self.plan)
                .unwrap_or_else(|error| panic!("function {function} is not compiled: {error}"));
            let code = compiled.code.clone();
            let blob = ARENA.install(&code, Arc::new(compiled)).unwrap();
            let defined = (function - module.imported_function_count()) as usize;
            for plan in [self.plan, MemoryPlan::Guarded] {
                // SAFETY: the code is the function's, for the plan or for any, and stays as long as the store.
                unsafe { module.cells().table(plan)[defined].publish_native(blob.entry()) };
            }
            self.code.push(blob);
        }
        let imports = self.imports(&module)?;
        // SAFETY: the imports are of this store, which drops nothing, and their types have been compared.
        let made = unsafe { self.store.instantiate(module.clone(), &imports) };
        let key = made.map_err(|error| match error {
            InstantiateError::Trap(trap) => Refused::Trap(trap.into()),
            _ => Refused::Link,
        })?;
        if let Some(start) = module.start() {
            self.call(key, start, &mut []).map_err(Refused::Trap)?;
        }
        Ok(key)
    }

    fn imports(&mut self, module: &Module) -> Result<Imports, Refused> {
        let mut imports = Imports::default();
        for import in module.imports() {
            if let (true, ExternType::Func(ty)) = (is_print(&import.module, &import.name), &import.ty) {
                imports.functions.push(self.host(ty.clone()));
                continue;
            }
            let owner = *self.names.get(&import.module).ok_or(Refused::Link)?;
            let (context, from) = self.parts(owner);
            let index = from.export(&import.name).ok_or(Refused::Link)?;
            // SAFETY: the instance is alive, and exported functions can be referred to.
            unsafe {
                if !self.matches(context, &from, index, &import.ty) {
                    return Err(Refused::Link);
                }
                match index {
                    ExternIndex::Func(i) => imports.functions.push(VmContext::func_ref(context, i)),
                    ExternIndex::Table(i) => imports.tables.push(non_null(VmContext::table(context, i))),
                    ExternIndex::Memory(i) => imports.memories.push(non_null(VmContext::memory(context, i))),
                    ExternIndex::Global(i) => imports.globals.push(non_null(VmContext::global(context, i))),
                }
            }
        }
        Ok(imports)
    }

    /// Whether an export can stand for an import of type `wanted`.
    ///
    /// # Safety
    /// `context` is alive and of an instance of `module`.
    unsafe fn matches(
        &self,
        context: *mut VmContext,
        module: &Module,
        index: ExternIndex,
        wanted: &ExternType,
    ) -> bool {
        let fits = |len: u64, max: Option<u64>, wanted: wasmrun_runtime::types::Limits| {
            len >= wanted.min && wanted.max.is_none_or(|most| max.is_some_and(|max| max <= most))
        };
        // SAFETY: the caller's promise.
        unsafe {
            match (module.extern_type(index), wanted, index) {
                (ExternType::Table(ty), ExternType::Table(wanted), ExternIndex::Table(i)) => {
                    let len = (*VmContext::table(context, i)).len().into();
                    ty.element == wanted.element && fits(len, ty.limits.max, wanted.limits)
                }
                (ExternType::Memory(ty), ExternType::Memory(wanted), ExternIndex::Memory(i)) => {
                    fits((*VmContext::memory(context, i)).pages(), ty.limits.max, wanted.limits)
                }
                (found, wanted, _) => found == *wanted,
            }
        }
    }

    /// A function of the host that does nothing.
    fn host(&mut self, ty: FuncType) -> NonNull<FuncRef> {
        let stub = host_stub(&AbiClass::of(&ty));
        let func = Arc::new(HostFunc::new(ty, |_| Ok(())));
        // SAFETY: what the store has made is alive.
        let func_ref = unsafe { self.store.host_func(&func, &self.registry).as_ref() };
        let cell = CodeCell::default();
        // SAFETY: the stub is for functions of this type, and stays.
        unsafe { cell.publish_native(stub) };
        // Tests are short.
        NonNull::from(Box::leak(Box::new(FuncRef { cell: Box::leak(Box::new(cell)), ..func_ref.clone() })))
    }

    fn parts(&self, instance: InstanceKey) -> (*mut VmContext, Arc<Module>) {
        let instance = self.store.instance(instance).unwrap();
        (instance.context(), instance.module().clone())
    }

    pub fn module(&self, instance: InstanceKey) -> Arc<Module> {
        self.parts(instance).1
    }

    /// The words of an exported global.
    pub fn global(&self, instance: InstanceKey, index: u32) -> u64 {
        // SAFETY: the instance is alive.
        unsafe { GlobalSlot::low(VmContext::global(self.parts(instance).0, index)) }
    }

    /// Slots for a call of functions of a type.
    pub fn slots(ty: &FuncType) -> usize {
        AbiClass::of(ty).slots()
    }

    /// Calls a function that is exported or the start function. Arguments and results are in `slots`.
    pub fn call(&mut self, instance: InstanceKey, function: u32, slots: &mut [u64]) -> Result<(), Pending> {
        let (context, module) = self.parts(instance);
        let class = AbiClass::of(module.function_type(function));
        assert!(class.slots() <= slots.len());
        let exec = &raw mut *self.store.exec_mut();
        // SAFETY: the function belongs to the store and has code; the slots have room for its class.
        unsafe {
            let func = VmContext::func_ref(context, function).as_ref();
            let code = (*func.cell).native();
            let mut segment = Segment::compiled();
            let _entered = Entered::new(exec, &raw mut segment);
            let id = ptr::from_ref(func) as u64;
            let status = enter(enter_stub(&class), exec, code, func.vmctx, id, slots.as_mut_ptr());
            match status {
                Status::Ok => Ok(()),
                _ => Err((*exec).take_pending().expect("there is a reason")),
            }
        }
    }
}

fn non_null<T>(pointer: *mut T) -> NonNull<T> {
    NonNull::new(pointer).expect("an instance's pointers are bound")
}

/// The functions of the suite's own module.
fn is_print(module: &str, name: &str) -> bool {
    module == "spectest" && name.starts_with("print")
}
