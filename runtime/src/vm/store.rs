//! Everything that lives as long as a store: its execution context, its instances, its host functions and
//! the heap of collected objects.
//!
//! An instance can be dropped while the store lives. What other instances still reach (an imported memory,
//! a function in a table) stays; the rest is freed at once, or as soon as no guest code runs.

use std::any::Any;
use std::collections::HashMap;
use std::marker::PhantomPinned;
use std::ptr::NonNull;
use std::sync::Arc;

use super::builtins;
use super::context::VmContext;
use super::exec::ExecContext;
use super::func_ref::FuncRef;
use super::gc::shape::Kind;
use super::gc::{Collector, GcStats, Growing, Heap, HostValue, Tracer};
use super::host::HostFunc;
use super::instance::{Imports, Instance, InstantiateError, OwnMemory};
use super::memory::MemoryStrategy;
use super::stack::{Stack, StackSizes};
use super::type_test::TypeTest;
use crate::module::{CodeCell, Module};
use crate::trap::{Pending, Trap};
use crate::types::object::Storage;
use crate::types::{RefType, TypeId, TypeRegistry};

/// Names an instance of a store. Keys of dropped instances are never valid again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InstanceKey {
    index: u32,
    generation: u64,
}

#[derive(Debug)]
struct Entry {
    generation: u64,
    /// Whether keys of this generation are still good. A dropped instance may linger while it is reachable.
    live: bool,
    instance: Option<Box<Instance>>,
}

#[derive(Debug)]
struct HostEntry {
    // Keeps the function alive that `func_ref` points at.
    _func: Arc<HostFunc>,
    // And the cell where it does.
    _cell: Box<CodeCell>,
    func_ref: Box<FuncRef>,
}

/// How much of what can be limited a store holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Instances, dropped ones included that are still reachable.
    pub instances: usize,
    /// Memories that those instances own.
    pub memories: usize,
    /// Tables that those instances own.
    pub tables: usize,
}

/// The runtime half of a store.
pub struct Store {
    exec: Box<ExecContext>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    /// Number of dropped instances that have not been freed.
    lingering: usize,
    /// How many of them were still reachable when that was last found out.
    survivors: usize,
    /// Whether an instance was dropped while guest code was running.
    due: bool,
    totals: Totals,
    host_funcs: Vec<HostEntry>,
    host_func_index: HashMap<*const HostFunc, usize>,
    heap: Option<Heap>,
    /// A value of the host for which there was no heap.
    unkept: Option<HostValue>,
    types: Arc<TypeRegistry>,
    collector: Collector,
    gc_stress: bool,
    strategy: MemoryStrategy,
    /// The hooks of the execution context borrow the host's store, which holds this one, while an instance is made:
    /// see [`ExecContext`].
    _pinned: PhantomPinned,
}

// SAFETY: the raw pointers inside all point at what the store owns and moves with; using a store takes a
// unique or shared borrow of it, as for any value.
unsafe impl Send for Store {}
// SAFETY: through a shared borrow nothing of a store changes but atomics. What contexts fill in late (the
// records of functions) is written by guest code and by the embedder's exclusive borrows alone.
unsafe impl Sync for Store {}

impl Store {
    /// An empty store with a new stack, or `None` when the system has no memory for that.
    pub fn new(sizes: StackSizes, strategy: MemoryStrategy, types: &Arc<TypeRegistry>) -> Option<Store> {
        Some(Store::on(Stack::new(sizes)?, strategy, types))
    }

    /// An empty store on this stack, for modules whose types are of this registry.
    pub fn on(stack: Stack, strategy: MemoryStrategy, types: &Arc<TypeRegistry>) -> Store {
        let mut exec = ExecContext::on(stack);
        exec.types = types.directory();
        Store {
            exec,
            entries: Vec::new(),
            free: Vec::new(),
            lingering: 0,
            survivors: 0,
            due: false,
            totals: Totals::default(),
            host_funcs: Vec::new(),
            host_func_index: HashMap::new(),
            heap: None,
            unkept: None,
            types: types.clone(),
            collector: Collector::default(),
            gc_stress: false,
            strategy,
            _pinned: PhantomPinned,
        }
    }

    /// The execution context.
    #[inline]
    pub fn exec(&self) -> &ExecContext {
        &self.exec
    }

    /// The execution context, to be changed.
    #[inline]
    pub fn exec_mut(&mut self) -> &mut ExecContext {
        &mut self.exec
    }

    /// Makes an instance and applies its active segments. When one of them traps, the error says so and
    /// the instance is dropped (what it already put into tables of others stays callable).
    ///
    /// # Safety
    /// Everything in `imports` belongs to this store, is alive, and has the types that the module asks for.
    pub unsafe fn instantiate(
        &mut self,
        module: Arc<Module>,
        imports: &Imports,
    ) -> Result<InstanceKey, InstantiateError> {
        let exec = &raw mut *self.exec;
        // SAFETY: imports live in this store, which frees an instance only after those that import from it.
        let mut instance = unsafe { Instance::new(module, imports, exec, self.strategy) }?;
        let this = &raw mut *instance;
        let key = self.insert(instance);
        // SAFETY: the store has the instance.
        if let Err(error) = unsafe { Instance::initialise(this) } {
            self.drop_instance(key);
            return Err(error);
        }
        Ok(key)
    }

    fn insert(&mut self, mut instance: Box<Instance>) -> InstanceKey {
        self.totals.instances += 1;
        self.totals.memories += instance.memories.len();
        self.totals.tables += instance.tables.len();
        self.exec.add_reservations(instance.reservations());
        instance.index = self.free.last().map_or(self.entries.len() as u32, |index| *index);
        if let Some(index) = self.free.pop() {
            let entry = &mut self.entries[index as usize];
            entry.live = true;
            entry.instance = Some(instance);
            return InstanceKey { index, generation: entry.generation };
        }
        let index = self.entries.len() as u32;
        self.entries.push(Entry { generation: 0, live: true, instance: Some(instance) });
        InstanceKey { index, generation: 0 }
    }

    /// The instance that `key` names, unless it has been dropped.
    pub fn instance(&self, key: InstanceKey) -> Option<&Instance> {
        let entry = self.entries.get(key.index as usize)?;
        if entry.live && entry.generation == key.generation { entry.instance.as_deref() } else { None }
    }

    /// All instances, dropped ones included that are still reachable.
    pub(super) fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.entries.iter().filter_map(|entry| entry.instance.as_deref())
    }

    /// All instances, dropped ones included that are still reachable, to be changed.
    pub(super) fn instances_mut(&mut self) -> impl Iterator<Item = &mut Instance> {
        self.entries.iter_mut().filter_map(|entry| entry.instance.as_deref_mut())
    }

    /// The instance that `key` names, also when it has been dropped but is still reachable and `key` was
    /// made since (see [`Store::key_of`]).
    #[inline]
    pub fn reachable(&self, key: InstanceKey) -> Option<&Instance> {
        let entry = self.entries.get(key.index as usize)?;
        if entry.generation == key.generation { entry.instance.as_deref() } else { None }
    }

    /// The key of the instance with context `context`. That of a dropped instance which is still reachable
    /// is good until the instance is freed.
    ///
    /// # Safety
    /// `context` must point at a context of this store that has not been freed.
    pub unsafe fn key_of(&self, context: *mut VmContext) -> InstanceKey {
        // SAFETY: the caller's promise.
        let index = unsafe { (*VmContext::instance(context)).index };
        InstanceKey { index, generation: self.entries[index as usize].generation }
    }

    /// What the store holds.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Number of instances that take memory, dropped ones included that are still reachable.
    pub fn instance_count(&self) -> usize {
        self.totals.instances
    }

    /// Drops an instance: its key becomes invalid, and what nothing else reaches is freed. That happens now,
    /// or when the running guest code has returned. In a store with many instances it waits until those
    /// dropped since the last time are an eighth of the others, as it takes time in proportion to all.
    /// Returns whether there was such an instance.
    pub fn drop_instance(&mut self, key: InstanceKey) -> bool {
        if self.instance(key).is_none() {
            return false;
        }
        let entry = &mut self.entries[key.index as usize];
        entry.live = false;
        entry.generation += 1;
        self.lingering += 1;
        let dropped_since = self.lingering - self.survivors;
        if dropped_since > (self.totals.instances - dropped_since) / 8 {
            self.due = true;
            self.free_if_due();
        }
        true
    }

    /// Frees what was dropped while guest code was running, once it no longer is.
    #[inline]
    pub fn free_if_due(&mut self) {
        if self.due && self.exec.is_idle() {
            self.free_unreachable();
        }
    }

    /// Frees dropped instances that no live instance reaches. Does nothing while guest code runs, as its
    /// frames may refer to any of them.
    #[cold]
    pub fn free_unreachable(&mut self) {
        if self.lingering == 0 || !self.exec.is_idle() {
            return;
        }
        let index_of: HashMap<*mut VmContext, usize> = self
            .entries
            .iter()
            .enumerate()
            .filter_map(|(i, e)| e.instance.as_ref().map(|instance| (instance.context(), i)))
            .collect();
        let owners = self.owners();
        let mut reached = vec![false; self.entries.len()];
        let mut queue: Vec<usize> = (0..self.entries.len()).filter(|i| self.entries[*i].live).collect();
        queue.iter().for_each(|i| reached[*i] = true);
        self.for_each_function_of_objects(&mut |func_ref| {
            // SAFETY: functions referred to from objects that live have not been freed.
            if let Some(&index) = index_of.get(unsafe { &(*func_ref).vmctx })
                && !std::mem::replace(&mut reached[index], true)
            {
                queue.push(index);
            }
        });
        while let Some(i) = queue.pop() {
            let Some(instance) = &self.entries[i].instance else { continue };
            let mut reach = |index: Option<&usize>| {
                if let Some(&index) = index
                    && !std::mem::replace(&mut reached[index], true)
                {
                    queue.push(index);
                }
            };
            instance.for_each_function(&mut |func_ref| {
                // SAFETY: functions referred to from reachable instances have not been freed.
                reach(index_of.get(unsafe { &(*func_ref).vmctx }));
            });
            for address in imported_addresses(instance) {
                reach(owners.get(&address));
            }
        }
        for (i, entry) in self.entries.iter_mut().enumerate() {
            if !reached[i]
                && let Some(instance) = entry.instance.take()
            {
                // Keys that were made while it lingered end here.
                entry.generation += 1;
                self.totals.instances -= 1;
                self.totals.memories -= instance.memories.len();
                self.totals.tables -= instance.tables.len();
                self.free.push(i as u32);
                self.lingering -= 1;
            }
        }
        let left = self.entries.iter().filter_map(|entry| entry.instance.as_ref());
        self.exec.set_reservations(left.flat_map(|instance| instance.reservations()));
        self.survivors = self.lingering;
        self.due = false;
    }

    /// Calls `visit` with each function that an object refers to which can be reached. No guest code runs.
    fn for_each_function_of_objects(&mut self, visit: &mut dyn FnMut(*const FuncRef)) {
        if self.heap.is_none() || !self.types.have_functions_in_objects() {
            return;
        }
        // SAFETY: no guest code runs; what is left after a collection are objects, whose functions are alive.
        unsafe {
            self.collect();
            if let Some(heap) = &self.heap {
                heap.for_each_function(&self.exec.gc, visit);
            }
        }
    }

    /// Which instance owns each memory, table and global that can be imported, by address.
    fn owners(&self) -> HashMap<usize, usize> {
        let mut owners = HashMap::new();
        for (i, entry) in self.entries.iter().enumerate() {
            let Some(instance) = &entry.instance else { continue };
            // What is shared needs no owner.
            let memories = instance.memories.iter().map(OwnMemory::get).filter(|memory| !memory.is_shared());
            owners.extend(memories.map(|memory| (&raw const *memory as usize, i)));
            owners.extend(instance.tables.iter().map(|t| (&raw const **t as usize, i)));
            let module = instance.module();
            for g in module.declared().imported_globals.len() as u32..module.global_count() {
                // SAFETY: the instance is alive.
                owners.insert(unsafe { VmContext::global(instance.context(), g) } as usize, i);
            }
        }
        owners
    }

    /// Bytes of linear memory that all instances hold.
    pub fn memory_bytes(&self) -> usize {
        self.entries.iter().filter_map(|e| e.instance.as_ref()).map(|i| i.own_memory_bytes()).sum()
    }

    /// A reference to a host function, which the store keeps alive from now on. `registry` is that of the
    /// store's engine, by whose ids the functions of its instances are called.
    pub fn host_func(&mut self, func: &Arc<HostFunc>, registry: &TypeRegistry) -> NonNull<FuncRef> {
        let index = *self.host_func_index.entry(Arc::as_ptr(func)).or_insert_with(|| {
            let cell = Box::new(CodeCell::new(self.exec.native.unbound));
            self.host_funcs.push(HostEntry {
                func_ref: Box::new(FuncRef {
                    cell: &raw const *cell,
                    vmctx: std::ptr::null_mut(),
                    host: Arc::as_ptr(func),
                    type_id: registry.intern(func.ty()),
                    func_index: 0,
                }),
                _func: func.clone(),
                _cell: cell,
            });
            self.host_funcs.len() - 1
        });
        NonNull::from(&*self.host_funcs[index].func_ref)
    }

    /// Makes the object of a value of the host and returns the reference to it. The heap comes to be with its first object.
    /// What a collection has freed is to be [taken](Store::take_dead) then, also after an error.
    ///
    /// # Errors
    /// [`Trap::GcHeapOutOfMemory`], or an error of `growing`, which is asked before the heap grows.
    ///
    /// # Safety
    /// As for [`Store::collect`].
    pub unsafe fn new_extern(&mut self, value: HostValue, growing: &mut Growing<'_>) -> Result<u32, Pending> {
        if let Err(trap) = self.make_heap() {
            self.unkept = Some(value);
            return Err(trap.into());
        }
        let Store { heap: Some(heap), exec, entries, .. } = self else {
            unreachable!("a heap has been made")
        };
        let mut words = exec.gc;
        // SAFETY: the caller's promise.
        let made = unsafe {
            heap.allocate_extern(&mut words, value, &mut |tracer| trace(exec, entries, tracer), growing)
        };
        exec.gc = words;
        made
    }

    /// Makes an object of so many bytes, which are zeroes behind its header. Else as [`Store::new_extern`].
    ///
    /// # Errors
    /// As for [`Store::new_extern`].
    ///
    /// # Safety
    /// As for [`Store::collect`]. The kind is a type of the store's registry, and `bytes` are those of such an object; if it
    /// is an array, its length is written before the next collection.
    pub unsafe fn allocate(
        &mut self,
        kind: Kind,
        bytes: usize,
        growing: &mut Growing<'_>,
    ) -> Result<u32, Pending> {
        self.make_heap()?;
        let Store { heap: Some(heap), exec, entries, .. } = self else {
            unreachable!("a heap has been made")
        };
        let mut words = exec.gc;
        // SAFETY: the caller's promise.
        let made = unsafe {
            heap.allocate(&mut words, kind, bytes, &mut |tracer| trace(exec, entries, tracer), growing)
        };
        exec.gc = words;
        made
    }

    fn make_heap(&mut self) -> Result<(), Trap> {
        if self.heap.is_none() {
            let heap = Heap::new(&mut self.exec.gc, self.collector, self.gc_stress, &self.types);
            self.heap = Some(heap.ok_or(Trap::GcHeapOutOfMemory)?);
        }
        Ok(())
    }

    /// Frees the objects that nothing leads to any more. Values of the host that are freed by that are to be
    /// [taken](Store::take_dead) then.
    ///
    /// # Safety
    /// Guest code of this store, if any is running, waits for a function of the host that it has called.
    pub unsafe fn collect(&mut self) {
        let Store { heap: Some(heap), exec, entries, .. } = self else { return };
        let mut words = exec.gc;
        // SAFETY: the caller's promise; all references of a store are where `trace` looks.
        unsafe { heap.collect(&mut words, &mut |tracer| trace(exec, entries, tracer)) };
        exec.gc = words;
    }

    /// The values of the host that have been freed, or could not be kept. Their destructors are the host's code, and may panic.
    pub fn take_dead(&mut self) -> Vec<HostValue> {
        match &mut self.heap {
            Some(heap) => heap.take_dead(),
            None => self.unkept.take().into_iter().collect(),
        }
    }

    /// The host value that a reference leads to; `None` if it leads to something else.
    ///
    /// # Safety
    /// The reference is one of this store, as it is now.
    pub unsafe fn extern_value(&self, reference: u32) -> Option<&(dyn Any + Send + Sync)> {
        // SAFETY: the caller's promise.
        unsafe { self.heap.as_ref()?.host_value(reference) }
    }

    /// The same, to be changed.
    ///
    /// # Safety
    /// As for [`Store::extern_value`].
    pub unsafe fn extern_value_mut(&mut self, reference: u32) -> Option<&mut (dyn Any + Send + Sync)> {
        // SAFETY: the caller's promise.
        unsafe { self.heap.as_mut()?.host_value_mut(reference) }
    }

    /// What an object is.
    ///
    /// # Safety
    /// The reference leads to an object of this store, as it is now.
    pub unsafe fn kind(&self, reference: u32) -> Kind {
        // SAFETY: the caller's promise.
        Kind::of_type(TypeId(unsafe { self.load(reference, 0, Storage::Word) }[0] as u32))
    }

    /// Whether a reference to an object, or a number, is of a type.
    ///
    /// # Safety
    /// The reference is one of this store, as it is now, and of the type's hierarchy; the type is of the store's registry.
    pub unsafe fn matches(&self, word: u32, ty: RefType) -> bool {
        let (test, id) = TypeTest::of(ty, &self.types);
        // SAFETY: the caller's promise.
        unsafe { test.admits(&raw const *self.exec, word, id) }
    }

    /// What is stored in an object, in the representation of a slot; what is packed is zero-extended.
    ///
    /// # Safety
    /// The reference leads to an object of this store, as it is now, where such a value is at the offset.
    pub unsafe fn load(&self, reference: u32, offset: usize, storage: Storage) -> [u64; 2] {
        // SAFETY: the caller's promise.
        unsafe {
            let place = self.exec.gc.base.add(reference as usize + offset);
            match storage {
                Storage::I8 => [place.read().into(), 0],
                Storage::I16 => [place.cast::<u16>().read().into(), 0],
                Storage::Word | Storage::Reference => [place.cast::<u32>().read().into(), 0],
                Storage::Double | Storage::Function => [place.cast::<u64>().read(), 0],
                Storage::Vector => place.cast::<[u64; 2]>().read(),
            }
        }
    }

    /// Stores a value in an object.
    ///
    /// # Safety
    /// As for [`Store::load`]; the value is of the type that is there.
    pub unsafe fn store_field(&mut self, reference: u32, offset: usize, storage: Storage, value: [u64; 2]) {
        // SAFETY: the caller's promise.
        unsafe { builtins::store(&raw mut *self.exec, reference, offset, storage, value) };
    }

    /// Lets each allocation collect, and makes what has been moved useless where it was: for tests. The heap must not have
    /// come to be.
    pub fn set_gc_stress(&mut self, stress: bool) {
        debug_assert!(self.heap.is_none());
        self.gc_stress = stress;
    }

    /// Chooses what becomes of objects that nothing leads to. The heap must not have come to be.
    pub fn set_collector(&mut self, collector: Collector) {
        debug_assert!(self.heap.is_none());
        self.collector = collector;
    }

    /// What the heap has done, if there is one.
    pub fn gc_stats(&self) -> Option<GcStats> {
        Some(self.heap.as_ref()?.stats(&self.exec.gc))
    }
}

/// Shows all references of a store outside of its heap to a collection.
///
/// # Safety
/// As for [`Store::collect`].
unsafe fn trace(exec: &mut ExecContext, entries: &mut [Entry], tracer: &mut Tracer<'_>) {
    // SAFETY: the caller's promise. Instances that have been dropped may be reached, as long as they are there.
    unsafe {
        exec.trace(tracer);
        for instance in entries.iter_mut().filter_map(|entry| entry.instance.as_mut()) {
            instance.trace(tracer);
            tracer.looked_at(1);
        }
    }
}

/// Addresses of the memories, tables and globals that an instance imports.
fn imported_addresses(instance: &Instance) -> Vec<usize> {
    let (context, module) = (instance.context(), instance.module());
    // SAFETY: the instance is alive and the indices are of its module.
    unsafe {
        let memories = (0..module.declared().imported_memories.len() as u32)
            .map(|i| VmContext::memory(context, i) as usize);
        let tables = (0..module.declared().imported_tables.len() as u32)
            .map(|i| VmContext::table(context, i) as usize);
        let globals = (0..module.declared().imported_globals.len() as u32)
            .map(|i| VmContext::global(context, i) as usize);
        memories.chain(tables).chain(globals).collect()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        debug_assert!(self.exec.is_idle(), "a store cannot be dropped by its own guest code");
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("instances", &self.instance_count()).finish_non_exhaustive()
    }
}

impl From<Trap> for InstantiateError {
    fn from(trap: Trap) -> InstantiateError {
        InstantiateError::Trap(trap)
    }
}

#[cfg(test)]
mod tests;
