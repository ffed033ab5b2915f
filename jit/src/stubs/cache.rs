//! The stubs of an engine: each made when it is first asked for, and there until the code memory goes.
//!
//! Any thread may ask. The answer is a lookup by function type once it is known, so that callers who enter the
//! same function time and again should keep it.

use std::array;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use cranelift_codegen::isa::{OwnedTargetIsa, TargetIsa};
use wasmrun_runtime::types::FuncType;
use wasmrun_runtime::vm::FuncRef;

use super::{
    AbiClass, EnterStub, StubError, compile_bounce, compile_enter, compile_resume, compile_to_host,
    compile_to_interp,
};
use crate::abi;
use crate::arena::{Arena, Room};
use crate::compile::{Isa, Mode};
use crate::roomy::on_roomy_stack;

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
    /// Bytes that are set aside for stubs. Held by who sets more aside.
    set_aside: Mutex<usize>,
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
    /// Where they go, once that has been set aside. Held by who makes one.
    room: Mutex<Option<Room>>,
}

impl Made {
    fn of_class(&mut self, class: AbiClass) -> Arc<OfClass> {
        let stubs = self.by_class.entry(class).or_insert_with_key(|class| {
            Arc::new(OfClass {
                class: class.clone(),
                code: array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
                room: Mutex::default(),
            })
        });
        stubs.clone()
    }
}

impl OfClass {
    fn room(&self) -> MutexGuard<'_, Option<Room>> {
        // Nothing panics half-way through a change.
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Stubs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stubs").finish_non_exhaustive()
    }
}

impl Stubs {
    /// No stubs yet, for this machine and this code memory.
    pub fn new(isa: &Isa, arena: Arena) -> Stubs {
        Stubs {
            isa: isa.target(Mode::Speed).clone(),
            arena,
            made: RwLock::default(),
            set_aside: Mutex::default(),
        }
    }

    /// Sets room aside for all stubs of functions of these types. From then on, calls of such functions between tiers never
    /// fail for want of code memory, so that code which makes them can be published. As stubs are there for as long as code
    /// memory is, a quarter of that is the most for one call of this, which is to be for one module, and half of it
    /// for all.
    pub fn set_room_aside<'t>(&self, types: impl IntoIterator<Item = &'t FuncType>) -> Result<(), StubError> {
        let mut set_aside = self.set_aside.lock().unwrap_or_else(PoisonError::into_inner);
        let capacity = self.arena.usage().capacity;
        let most = (capacity / 4).min((capacity / 2).saturating_sub(*set_aside));
        let mut without = HashSet::new();
        let mut bytes = 0;
        for ty in types {
            // Loops are entered and left through stubs of the second.
            for class in [AbiClass::of(ty), AbiClass::of(&abi::without_parameters(ty))] {
                if without.contains(&class) || self.has_room(&class) {
                    continue;
                }
                bytes += class.most_bytes();
                if bytes > most {
                    return Err(StubError::TooMany { most });
                }
                without.insert(class);
            }
        }
        for class in without {
            let bytes = class.most_bytes();
            let stubs = self.made.write().unwrap_or_else(PoisonError::into_inner).of_class(class);
            *stubs.room() = Some(self.arena.set_aside(StubKind::COUNT, bytes)?);
            *set_aside += bytes;
        }
        Ok(())
    }

    fn has_room(&self, class: &AbiClass) -> bool {
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
        made.by_class.get(class).is_some_and(|stubs| stubs.room().is_some())
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
        let stubs = self.of_type(ty);
        let mut room = stubs.room();
        let place = &stubs.code[kind as usize];
        let made = place.load(Ordering::Acquire);
        if !made.is_null() {
            return Ok(made);
        }
        // Asked for from wherever the guest is on its stack, by functions that nothing may unwind through.
        let compile = || on_roomy_stack(|| kind.compile(&*self.isa, &stubs.class));
        let compiled = catch_unwind(AssertUnwindSafe(compile)).map_err(|_| StubError::Panicked)?;
        let code = compiled.map_err(StubError::Thread)??;
        let meta = Arc::new(kind);
        let there = match &mut *room {
            Some(room) => self.arena.install_in(room, &code, meta.clone())?,
            None => None,
        };
        let code = match there {
            Some(code) => code,
            None => self.arena.install(&code, meta)?.keep(),
        };
        place.store(code.cast_mut(), Ordering::Release);
        Ok(code)
    }

    fn of_type(&self, ty: &FuncType) -> Arc<OfClass> {
        let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
        let stubs = made.of_class(AbiClass::of(ty));
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
    use crate::arena::{Blob, MappingKind};

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
        let kind = arena.install(&[0xc3], Arc::new(StubKind::Enter)).unwrap();
        let meta = Arc::downgrade(kind.meta());
        kind.keep();
        assert_eq!(meta.strong_count(), 1);
        drop(arena);
        assert_eq!(meta.strong_count(), 0, "and no longer");
    }

    #[test]
    fn stubs_for_which_room_was_set_aside_have_it_however_full_code_memory_is() {
        for kind in [MappingKind::Dual, MappingKind::Protected] {
            let arena = Arena::with_mapping(8 << 20, kind).unwrap();
            let stubs = Stubs::new(&Isa::native().unwrap(), arena.clone());
            let all =
                [ValType::I32, ValType::I64, ValType::F32, ValType::F64, ValType::V128, ValType::EXTERNREF];
            let types: Vec<FuncType> = [0, 1, 2, 7, 8, 9, 40, 1000]
                .into_iter()
                .flat_map(|n| all.map(|ty| FuncType::new([ty].repeat(n), [ty].repeat(n % 41))))
                .collect();
            stubs.set_room_aside(&types).unwrap();
            let usage = arena.usage();
            stubs.set_room_aside(&types).unwrap();
            assert_eq!(arena.usage(), usage, "once is enough");
            while arena.install(&[0xc3; 64], Arc::new(())).map(Blob::keep).is_ok() {}
            for ty in &types {
                for kind in KINDS {
                    let ty = if kind == StubKind::Resume { &abi::without_parameters(ty) } else { ty };
                    let (params, results) = (ty.params(), ty.results());
                    stubs.get(kind, ty).unwrap_or_else(|error| {
                        panic!(
                            "{kind:?}, {} {:?}, {} results: {error}",
                            params.len(),
                            params.first(),
                            results.len()
                        )
                    });
                }
                stubs.enter(&abi::without_parameters(ty)).unwrap();
            }
            let other = ty(&[ValType::I32, ValType::F32]);
            assert!(matches!(stubs.enter(&other), Err(StubError::Install(_))));
            assert!(matches!(stubs.set_room_aside(&[other]), Err(StubError::Install(_))));
        }
    }

    #[test]
    fn stubs_of_one_module_take_a_quarter_of_code_memory_and_all_of_them_half() {
        let stubs = stubs();
        let types = |ty: ValType, range: std::ops::Range<usize>| -> Vec<FuncType> {
            range.map(|n| FuncType::new([ty].repeat(n), [])).collect()
        };
        let too_many =
            |types: &[FuncType]| matches!(stubs.set_room_aside(types), Err(StubError::TooMany { .. }));
        assert!(too_many(&types(ValType::I32, 0..100)));
        assert_eq!(stubs.arena.usage().used, 0);
        for ty in [ValType::I32, ValType::F32] {
            stubs.set_room_aside(&types(ty, 0..50)).unwrap();
        }
        let (last, first) = (types(ValType::F64, 0..50), types(ValType::I32, 0..40));
        assert!(too_many(&last));
        stubs.set_room_aside(&first).unwrap();
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
