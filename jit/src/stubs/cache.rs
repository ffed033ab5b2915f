//! The stubs of an engine: each made when it is first asked for, and there until the code memory goes.
//!
//! Any thread may ask. The answer is a lookup by function type once it is known, so that callers who enter the
//! same function time and again should keep it.

use std::array;
use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use cranelift_codegen::isa::{OwnedTargetIsa, TargetIsa};
use wasmrun_runtime::types::FuncType;
use wasmrun_runtime::vm::FuncRef;

use super::{
    AbiClass, EnterStub, StubError, compile_bounce, compile_enter, compile_resume, compile_to_host,
    compile_to_interp,
};
use crate::arena::Arena;
use crate::compile::{Isa, Mode};

/// Which border a stub is at. It is what the [lookup](Arena::lookup) of code memory gives for its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StubKind {
    /// From the host into compiled code.
    Enter,
    /// From compiled code to functions of the host.
    ToHost,
    /// From compiled code to functions of tier 0.
    ToInterp,
    /// From tier 0 to compiled functions that it tail-calls.
    Bounce,
    /// From the middle of compiled code to tier 0.
    Resume,
}

impl StubKind {
    const COUNT: usize = 5;

    fn compile(self, isa: &dyn TargetIsa, class: &AbiClass) -> Result<Vec<u8>, StubError> {
        match self {
            StubKind::Enter => compile_enter(isa, class),
            StubKind::ToHost => compile_to_host(isa, class),
            StubKind::ToInterp => compile_to_interp(isa, class),
            StubKind::Bounce => compile_bounce(isa, class),
            StubKind::Resume => compile_resume(isa, class),
        }
    }
}

/// The stubs of an engine.
pub struct Stubs {
    isa: OwnedTargetIsa,
    arena: Arena,
    made: RwLock<Made>,
}

#[derive(Default)]
struct Made {
    /// Every type that was asked for, with its class's stubs.
    by_type: HashMap<FuncType, Arc<OfClass>>,
    by_class: HashMap<AbiClass, Arc<OfClass>>,
}

/// The stubs of a class.
struct OfClass {
    class: AbiClass,
    /// By kind; null as long as there is none.
    code: [AtomicPtr<u8>; StubKind::COUNT],
    /// Held by who makes one.
    making: Mutex<()>,
}

impl fmt::Debug for Stubs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stubs").finish_non_exhaustive()
    }
}

impl Stubs {
    /// No stubs yet, for this machine and this code memory.
    pub fn new(isa: &Isa, arena: Arena) -> Stubs {
        Stubs { isa: isa.target(Mode::Speed).clone(), arena, made: RwLock::default() }
    }

    /// What [`enter`](super::enter) calls functions of a type through.
    pub fn enter(&self, ty: &FuncType) -> Result<EnterStub, StubError> {
        let code = self.get(StubKind::Enter, ty)?;
        // SAFETY: the code is an `enter` stub.
        Ok(unsafe { mem::transmute::<*const u8, EnterStub>(code) })
    }

    /// The code of the host functions of a type.
    pub fn to_host(&self, ty: &FuncType) -> Result<*const u8, StubError> {
        self.get(StubKind::ToHost, ty)
    }

    /// The code of the functions of a type that run in tier 0.
    pub fn to_interp(&self, ty: &FuncType) -> Result<*const u8, StubError> {
        self.get(StubKind::ToInterp, ty)
    }

    /// What code that leaves in the middle of a function for tier 0 jumps to. The type has no parameters and the results of
    /// the function.
    pub fn resume(&self, ty: &FuncType) -> Result<*const u8, StubError> {
        self.get(StubKind::Resume, ty)
    }

    /// What a [`TailTarget`](wasmrun_runtime::vm::TailTarget) needs for a function of a type.
    pub fn bounce(&self, ty: &FuncType) -> Result<*const u8, StubError> {
        self.get(StubKind::Bounce, ty)
    }

    /// The code of a function of the host, published in its cell.
    ///
    /// # Safety
    /// `func` is a reference to a function of the host, which is alive, with a cell of its own.
    pub unsafe fn bind_host(&self, func: &FuncRef) -> Result<*const u8, StubError> {
        // SAFETY: the caller's promise.
        let (host, cell) = unsafe { (&*func.host, &*func.cell) };
        let code = self.to_host(host.ty())?;
        // SAFETY: this is the code of all host functions of the class, and stays.
        unsafe { cell.publish_native(code) };
        Ok(code)
    }

    fn get(&self, kind: StubKind, ty: &FuncType) -> Result<*const u8, StubError> {
        // Nothing panics half-way through a change.
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
        match made.by_type.get(ty).map(|stubs| stubs.code[kind as usize].load(Ordering::Acquire)) {
            Some(code) if !code.is_null() => Ok(code),
            _ => {
                drop(made);
                self.make(kind, ty)
            }
        }
    }

    #[cold]
    fn make(&self, kind: StubKind, ty: &FuncType) -> Result<*const u8, StubError> {
        let stubs = self.of_class(ty);
        let _making = stubs.making.lock().unwrap_or_else(PoisonError::into_inner);
        let place = &stubs.code[kind as usize];
        let made = place.load(Ordering::Acquire);
        if !made.is_null() {
            return Ok(made);
        }
        let code = kind.compile(&*self.isa, &stubs.class)?;
        let code = self.arena.install(&code, Arc::new(kind))?.keep();
        place.store(code.cast_mut(), Ordering::Release);
        Ok(code)
    }

    fn of_class(&self, ty: &FuncType) -> Arc<OfClass> {
        let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
        let class = AbiClass::of(ty);
        let stubs = made.by_class.entry(class).or_insert_with_key(|class| {
            Arc::new(OfClass {
                class: class.clone(),
                code: array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
                making: Mutex::new(()),
            })
        });
        let stubs = stubs.clone();
        made.by_type.insert(ty.clone(), stubs.clone());
        stubs
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use std::collections::HashSet;
    use std::sync::Barrier;
    use std::thread;

    use wasmrun_runtime::types::ValType;

    use super::*;
    use crate::arena::MappingKind;

    const KINDS: [StubKind; StubKind::COUNT] =
        [StubKind::Enter, StubKind::ToHost, StubKind::ToInterp, StubKind::Bounce, StubKind::Resume];

    fn ty(params: &[ValType]) -> FuncType {
        FuncType::new(params.iter().copied(), [ValType::I32])
    }

    fn stubs() -> Stubs {
        Stubs::new(&Isa::native().unwrap(), Arena::new(1 << 20).unwrap())
    }

    #[test]
    fn types_of_one_class_share_one_stub_of_each_kind() {
        let stubs = stubs();
        let types = [ty(&[ValType::I64]), ty(&[ValType::FUNCREF])];
        let of = |ty: &FuncType| KINDS.map(|kind| stubs.get(kind, ty).unwrap());
        let code = of(&types[0]);
        let used = stubs.arena.usage().used;
        assert_eq!(of(&types[1]), code);
        assert_eq!(of(&types[0]), code);
        assert_eq!(stubs.arena.usage().used, used, "nothing is made twice");
        assert_eq!(HashSet::from(code).len(), StubKind::COUNT);
        for (kind, code) in KINDS.into_iter().zip(code) {
            let found = stubs.arena.lookup(code.addr()).unwrap();
            // SAFETY: stubs stay.
            assert_eq!(unsafe { found.meta() }.downcast_ref(), Some(&kind));
            let expected = kind.compile(&*stubs.isa, &AbiClass::of(&types[0])).unwrap();
            // SAFETY: installed code can be read.
            assert_eq!(unsafe { std::slice::from_raw_parts(code, found.addresses().len()) }, expected);
        }
        assert_ne!(of(&ty(&[ValType::I32])), code);
    }

    #[test]
    fn threads_that_ask_at_once_get_the_same() {
        let stubs = stubs();
        let start = Barrier::new(8);
        let all: Vec<Vec<usize>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        start.wait();
                        let types = (0..20).map(|n| ty(&[ValType::F64].repeat(n)));
                        types.flat_map(|ty| KINDS.map(|kind| stubs.get(kind, &ty).unwrap().addr())).collect()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(all.iter().all(|one| *one == all[0]));
        assert_eq!(all[0].iter().collect::<HashSet<_>>().len(), 20 * KINDS.len());
    }

    #[test]
    fn stubs_outlive_their_owner_for_as_long_as_there_is_code_memory() {
        let stubs = stubs();
        let arena = stubs.arena.clone();
        let code = stubs.to_host(&ty(&[])).unwrap();
        drop(stubs);
        assert!(arena.lookup(code.addr()).is_some());
        // SAFETY: nothing runs.
        unsafe { arena.collect() };
        assert!(arena.lookup(code.addr()).is_some());
        let kind = arena.install(&[0xc3], Arc::new(StubKind::Enter)).unwrap();
        let meta = Arc::downgrade(kind.meta());
        kind.keep();
        assert_eq!(meta.strong_count(), 1);
        drop(arena);
        assert_eq!(meta.strong_count(), 0, "and no longer");
    }

    #[test]
    fn full_code_memory_is_an_error_that_goes_when_there_is_room() {
        let arena = Arena::with_mapping(1 << 16, MappingKind::Dual).unwrap();
        let stubs = Stubs::new(&Isa::native().unwrap(), arena.clone());
        let all = arena.install(&[0xc3; 1 << 16], Arc::new(())).unwrap();
        assert!(matches!(stubs.enter(&ty(&[])), Err(StubError::Install(_))));
        drop(all);
        stubs.enter(&ty(&[])).unwrap();
    }
}
