//! Stores with small modules in them, of which no code runs.

use super::*;
use crate::features::Features;
use crate::module::{CodeCell, ExternIndex, MemoryPlan};

/// A store, its types, and how to make instances in it.
struct World {
    store: Store,
    registry: TypeRegistry,
}

impl World {
    fn new() -> World {
        let store = Store::new(StackSizes::default(), MemoryStrategy::Guarded).unwrap();
        World { store, registry: TypeRegistry::default() }
    }

    fn module(&self, text: &str) -> Arc<Module> {
        let bytes = wat::parse_str(text).unwrap();
        Arc::new(crate::parse(bytes, Features::default(), &self.registry).unwrap())
    }

    /// An instance of a module without imports.
    fn instance(&mut self, module: &Arc<Module>, strategy: MemoryStrategy) -> InstanceKey {
        self.store.strategy = strategy;
        // SAFETY: there are no imports.
        unsafe { self.store.instantiate(module.clone(), &Imports::default()) }.unwrap()
    }

    /// An instance of a module that imports a memory, which is the first one of `owner`.
    fn importer(&mut self, module: &Arc<Module>, owner: InstanceKey) -> InstanceKey {
        // SAFETY: the instance is alive and has a memory.
        let memory = NonNull::new(unsafe { VmContext::memory(self.context(owner), 0) }).unwrap();
        let imports = Imports { memories: vec![memory], ..Imports::default() };
        // SAFETY: the memory is of this store and of the type that the module asks for.
        unsafe { self.store.instantiate(module.clone(), &imports) }.unwrap()
    }

    fn context(&self, key: InstanceKey) -> *mut VmContext {
        self.store.instance(key).unwrap().context()
    }

    fn cells(&self, key: InstanceKey) -> *const CodeCell {
        // SAFETY: the instance is alive.
        unsafe { VmContext::cells(self.context(key)) }
    }
}

#[test]
fn instances_with_a_memory_that_is_not_guarded_have_cells_of_their_own() {
    let mut world = World::new();
    let owner = world.module(r#"(module (memory 1) (func (export "f")))"#);
    let [first, second] = [0; 2].map(|_| world.instance(&owner, MemoryStrategy::Guarded));
    let [checked, other] = [0; 2].map(|_| world.instance(&owner, MemoryStrategy::Checked));
    assert_eq!(world.cells(first), world.cells(second));
    assert_eq!(world.cells(checked), world.cells(other));
    assert_ne!(world.cells(first), world.cells(checked));

    let Some(ExternIndex::Func(f)) = owner.export("f") else { panic!("a function is exported") };
    // SAFETY: the instance is alive, and the function is exported.
    let cell = unsafe { VmContext::func_ref(world.context(checked), f).as_ref() }.cell;
    assert_eq!(cell, world.cells(checked));

    // What is imported counts as well.
    let importer = world.module(r#"(module (import "" "" (memory 1)) (func))"#);
    let beside_guarded = world.importer(&importer, first);
    let beside_checked = world.importer(&importer, checked);
    assert_ne!(world.cells(beside_guarded), world.cells(beside_checked));
    assert_eq!(world.cells(beside_guarded), importer.cells().table(MemoryPlan::Guarded).as_ptr());

    // Nothing can go wrong in an instance that has no memory.
    let without = world.module("(module (func))");
    let [guarded, checked] =
        [MemoryStrategy::Guarded, MemoryStrategy::Checked].map(|s| world.instance(&without, s));
    assert_eq!(world.cells(guarded), world.cells(checked));
}
