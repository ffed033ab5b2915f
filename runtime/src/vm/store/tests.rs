//! Stores with small modules in them, of which no code runs.

use super::super::barrier::STORES;
use super::super::builtins;
use super::super::global::GlobalSlot;
use super::super::table::MAX_ELEMENTS;
use super::*;
use crate::features::Features;
use crate::module::{CodeCell, ElementItems, ExternIndex, MemoryPlan};
use crate::trap::Pending;
use crate::types::ValType;

/// A store, its types, and how to make instances in it.
struct World {
    store: Store,
    registry: Arc<TypeRegistry>,
    /// Globals that belong to no instance.
    globals: Vec<*mut GlobalSlot>,
}

impl Drop for World {
    fn drop(&mut self) {
        for global in self.globals.drain(..) {
            // SAFETY: boxed in `global`; no code runs any more.
            drop(unsafe { Box::from_raw(global) });
        }
    }
}

impl World {
    fn new() -> World {
        let registry = Arc::default();
        let store = Store::new(StackSizes::default(), MemoryStrategy::Guarded, &registry).unwrap();
        World { store, registry, globals: Vec::new() }
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

    /// An instance of a module that imports a function of `owner`.
    fn importer_of_function(
        &mut self,
        module: &Arc<Module>,
        owner: InstanceKey,
        function: u32,
    ) -> InstanceKey {
        // SAFETY: the instance is alive, and the function exported.
        let functions = vec![unsafe { VmContext::func_ref(self.context(owner), function) }];
        let imports = Imports { functions, ..Imports::default() };
        // SAFETY: the function is of this store and of the type that the module asks for.
        unsafe { self.store.instantiate(module.clone(), &imports) }.unwrap()
    }

    /// An instance of a module that imports a global.
    fn with_global(&mut self, module: &Arc<Module>, global: *mut GlobalSlot) -> InstanceKey {
        let imports = Imports { globals: vec![NonNull::new(global).unwrap()], ..Imports::default() };
        // SAFETY: the tests' globals live as long as the store and are of the types that their modules ask for.
        unsafe { self.store.instantiate(module.clone(), &imports) }.unwrap()
    }

    /// A global that belongs to no instance.
    fn global(&mut self, ty: ValType, value: u64) -> *mut GlobalSlot {
        let global = Box::into_raw(Box::default());
        self.globals.push(global);
        self.assign(global, ty, value);
        global
    }

    fn assign(&mut self, global: *mut GlobalSlot, ty: ValType, value: u64) {
        // SAFETY: the global is alive; the tests' values are numbers that nobody follows, or functions.
        unsafe { GlobalSlot::set(global, self.store.exec_mut(), ty, value.into()) };
    }

    fn table_init(&self, key: InstanceKey, to: u64, from: u64, len: u64) -> Result<(), Trap> {
        // SAFETY: the instance is alive, and the tests' modules have this segment and this table.
        let done = unsafe { builtins::table_init(self.context(key), 0, 0, to, from, len) };
        done.map_err(|pending| match pending {
            Pending::Trap(trap) => trap,
            other => panic!("no trap but {other:?}"),
        })
    }

    fn elem_drop(&self, key: InstanceKey) {
        // SAFETY: as above.
        unsafe { builtins::elem_drop(self.context(key), 0) }
    }

    fn table_get(&self, key: InstanceKey, index: u64) -> u64 {
        // SAFETY: as above.
        unsafe { builtins::table_get(self.context(key), 0, index) }.unwrap()
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
#[cfg_attr(miri, ignore = "maps memory")]
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

#[test]
#[cfg_attr(miri, ignore = "maps memory")]
fn instances_go_over_to_the_code_of_a_twin_and_back() {
    let mut world = World::new();
    let owner = world.module(r#"(module (memory 1) (func (export "f")) (func (export "late")))"#);
    let importer = world.module(r#"(module (import "" "f" (func)) (func (call 0)))"#);
    let keys = [MemoryStrategy::Guarded, MemoryStrategy::Checked].map(|s| world.instance(&owner, s));
    let importers = keys.map(|key| world.importer_of_function(&importer, key, 0));
    let plans = keys.map(|key| world.store.instance(key).unwrap().memory_plan());
    assert_eq!(plans, MemoryPlan::ALL);
    // Of each: the table of cells, where its function is said to be, and where its importer finds that.
    let seen = |world: &World| {
        [0, 1].map(|i| {
            let (context, outside) = (world.context(keys[i]), world.context(importers[i]));
            // SAFETY: the instances are alive, and the function is exported and imported.
            unsafe {
                let import = VmContext::at::<FuncRef>(outside, importer.layout().imported_function(0));
                [VmContext::cells(context), VmContext::func_ref(context, 0).as_ref().cell, (*import).cell]
            }
        })
    };
    let expected = |module: &Module| plans.map(|plan| [module.cells().table(plan).as_ptr(); 3]);
    assert_eq!(seen(&world), expected(&owner));
    let twin = Arc::new(owner.counting());
    assert!(twin.counts().is_some() && twin.is_twin_of(&owner) && Arc::ptr_eq(twin.plain(), &owner));
    world.store.go_over_to(&twin);
    assert_eq!(seen(&world), expected(&twin));
    let another = Arc::new(twin.counting());
    assert!(Arc::ptr_eq(another.plain(), &owner));
    world.store.go_over_to(&another);
    // What has not been asked for before is there as well.
    // SAFETY: the instance is alive, and the function exported.
    let late = unsafe { VmContext::func_ref(world.context(keys[0]), 1).as_ref() }.cell;
    assert_eq!(late, std::ptr::from_ref(&another.cells().table(plans[0])[1]));
    world.store.go_over_to(&owner);
    assert_eq!(seen(&world), expected(&owner));
    let gone = [&twin, &another].map(Arc::downgrade);
    drop((twin, another));
    assert!(gone.iter().all(|gone| gone.upgrade().is_none()), "nobody keeps them");
}

#[test]
fn element_expressions_are_evaluated_once_when_the_instance_is_made() {
    let mut world = World::new();
    let module = world.module(
        r#"(module (import "" "" (global $g externref)) (table 3 externref)
            (elem externref (global.get $g) (ref.null extern)) (elem (i32.const 2) externref (global.get $g)))"#,
    );
    let global = world.global(ValType::EXTERNREF, 7);
    let key = world.with_global(&module, global);
    world.assign(global, ValType::EXTERNREF, 8);
    world.table_init(key, 0, 0, 2).unwrap();
    assert_eq!([0, 1, 2].map(|i| world.table_get(key, i)), [7, 0, 7]);
    assert_eq!(world.table_init(key, 0, 1, 2), Err(Trap::TableOutOfBounds));
    assert_eq!(world.table_init(key, 2, 0, 2), Err(Trap::TableOutOfBounds));
    world.elem_drop(key);
    assert_eq!(world.table_init(key, 0, 0, 1), Err(Trap::TableOutOfBounds));
    world.table_init(key, 3, 0, 0).unwrap();
}

#[test]
fn segments_of_functions_make_no_references_before_they_are_copied() {
    let mut world = World::new();
    for items in ["func $f $f", "funcref (ref.func $f) (ref.func $f)"] {
        let module = world.module(&format!("(module (table 2 funcref) (elem {items}) (func $f))"));
        assert!(matches!(&module.elements()[0].items, ElementItems::Functions(f) if **f == [0, 0]));
        let key = world.instance(&module, MemoryStrategy::Guarded);
        // SAFETY: the offset is of the module's layout.
        let slot =
            unsafe { VmContext::at::<FuncRef>(world.context(key), module.layout().func_ref(0).unwrap()) };
        // SAFETY: slots that have not been made are zero.
        let made = || !unsafe { (*slot).vmctx }.is_null();
        assert!(!made());
        world.table_init(key, 1, 1, 1).unwrap();
        assert!(made());
        assert_eq!([0, 1].map(|i| world.table_get(key, i)), [0, slot as u64]);
    }
}

#[test]
#[cfg_attr(miri, ignore = "clears 80 MB")]
fn evaluated_segments_count_among_the_elements_of_an_instance() {
    let mut world = World::new();
    let module = |least: u64| {
        format!("(module (table {least} externref) (elem externref (ref.null extern) (ref.null extern)))")
    };
    let most = world.module(&module(MAX_ELEMENTS - 2));
    let key = world.instance(&most, MemoryStrategy::Guarded);
    // SAFETY: the instance is alive, and null is of the table's type.
    let grow = |world: &World| unsafe { builtins::table_grow(world.context(key), 0, 0, 1) }.unwrap();
    assert_eq!(grow(&world), u32::MAX.into());
    world.elem_drop(key);
    assert_eq!(grow(&world), MAX_ELEMENTS - 2);

    let more = world.module(&module(MAX_ELEMENTS - 1));
    // SAFETY: there are no imports.
    let refused = unsafe { world.store.instantiate(more, &Imports::default()) };
    assert!(matches!(refused, Err(InstantiateError::Elements { index: 0, elements: 2 })));
    assert_eq!(world.store.totals().instances, 1);
}

#[test]
fn a_segment_keeps_the_instance_of_its_function_alive() {
    let mut world = World::new();
    let owner = world.module(r#"(module (func (export "f")))"#);
    let owner = world.instance(&owner, MemoryStrategy::Guarded);
    // SAFETY: the instance is alive, and the function is exported.
    let func = unsafe { VmContext::func_ref(world.context(owner), 0) };
    let global = world.global(ValType::FUNCREF, func.as_ptr() as u64);
    let importer = world.module(
        r#"(module (import "" "" (global $g funcref)) (elem funcref (ref.null func) (global.get $g)))"#,
    );
    let importer = world.with_global(&importer, global);
    world.store.drop_instance(owner);
    world.store.free_unreachable();
    assert_eq!(world.store.totals().instances, 2);
    world.elem_drop(importer);
    world.store.free_unreachable();
    assert_eq!(world.store.totals().instances, 1);
}

#[test]
fn every_store_of_a_collected_reference_passes_the_barrier() {
    let mut world = World::new();
    let module = world.module(
        r#"(module (import "" "" (global $g externref))
            (table 4 externref) (table 1 externref)
            (global externref (global.get $g)) (global i64 (i64.const 1)) (table 1 funcref)
            (elem externref (global.get $g) (ref.null extern)) (elem (i32.const 2) externref (global.get $g)))"#,
    );
    let global = world.global(ValType::EXTERNREF, 7);
    let stores = |what: &mut dyn FnMut()| {
        let before = STORES.get();
        what();
        STORES.get() - before
    };
    let mut key = None;
    // A global, the passive segment's two and the active one's.
    assert_eq!(stores(&mut || key = Some(world.with_global(&module, global))), 4);
    let ctx = world.context(key.unwrap());
    // SAFETY: the instance is alive, and the values are numbers that nobody follows.
    unsafe {
        assert_eq!(stores(&mut || builtins::table_set(ctx, 0, 0, 1).unwrap()), 1);
        assert_eq!(stores(&mut || builtins::table_fill(ctx, 0, 0, 1, 3).unwrap()), 3);
        assert_eq!(stores(&mut || builtins::table_copy(ctx, 0, 1, 0, 0, 1).unwrap()), 1);
        assert_eq!(stores(&mut || builtins::table_init(ctx, 0, 0, 0, 0, 2).unwrap()), 2);
        assert_eq!(stores(&mut || assert_eq!(builtins::table_grow(ctx, 0, 5, 6).unwrap(), 4)), 6);
        assert_eq!(stores(&mut || builtins::table_fill(ctx, 2, 0, 0, 1).unwrap()), 0, "not collected");
    }
    assert_eq!(stores(&mut || world.assign(global, ValType::EXTERNREF, 9)), 1);
    assert_eq!(stores(&mut || world.assign(global, ValType::I64, 9)), 0, "not collected");
}
