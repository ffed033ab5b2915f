//! Instances: a context together with the memories and tables that the instance owns.

use std::marker::PhantomPinned;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

use super::builtins::inside;
use super::constants::evaluate;
use super::context::{ContextBox, VmContext};
use super::elements::{self, Elements};
use super::exception::TagId;
use super::exec::ExecContext;
use super::func_ref::FuncRef;
use super::gc::Tracer;
use super::global::GlobalSlot;
use super::memory::{GrowError, Memory, MemoryStrategy};
use super::shared::SharedMemory;
use super::table::{ElementBudget, LazyElements, MAX_ELEMENTS, NO_FUNCTION, Table};
use crate::layout::GlobalPlace;
use crate::module::{ElementItems, MemoryPlan, Module, SegmentMode};
use crate::trap::{HostError, Pending, Trap};
use crate::types::{MemoryType, ValType};
use crate::value::RawValue;

/// What a module's imports are bound to, in the order of each kind. Types have been checked.
#[derive(Debug, Default)]
pub struct Imports {
    /// Functions.
    pub functions: Vec<NonNull<FuncRef>>,
    /// Tables.
    pub tables: Vec<NonNull<Table>>,
    /// Memories.
    pub memories: Vec<NonNull<Memory>>,
    /// Globals.
    pub globals: Vec<NonNull<GlobalSlot>>,
    /// Tags.
    pub tags: Vec<TagId>,
}

/// Why an instance was not made.
#[derive(Debug, thiserror::Error)]
pub enum InstantiateError {
    /// The system, or a limit of the engine, has no room for a memory.
    #[error("memory {index} of {pages} pages cannot be made: {cause}")]
    Memory {
        /// Index of the memory.
        index: u32,
        /// Its initial size.
        pages: u64,
        /// What failed.
        cause: GrowError,
    },
    /// The system, or a limit of the engine, has no room for a table.
    #[error(
        "table {index} of {elements} elements cannot be made: the system has no more memory, or the tables and element \
         segments of the instance pass the engine's limit of {MAX_ELEMENTS} together"
    )]
    Table {
        /// Index of the table.
        index: u32,
        /// Its initial length.
        elements: u64,
    },
    /// The system, or a limit of the engine, has no room for the values of an element segment.
    #[error(
        "element segment {index} of {elements} expressions cannot be evaluated: the limit of the engine is \
         {MAX_ELEMENTS} elements for all tables and element segments of an instance"
    )]
    Elements {
        /// Index of the segment.
        index: u32,
        /// Its length.
        elements: u64,
    },
    /// The resource limiter of the store refused.
    #[error("{what} exceeds the limits of the store")]
    Limit {
        /// What it refused.
        what: String,
    },
    /// The resource limiter of the store failed.
    #[error("the resource limiter failed")]
    Limiter(#[source] HostError),
    /// The store has given out all identities of tags.
    #[error("the store has had as many tags as there can be")]
    Tags,
    /// The system has no memory for the context.
    #[error("no memory for the instance's context of {0} bytes")]
    Context(usize),
    /// An active segment does not fit, or there is no memory for an object.
    #[error("{0}")]
    Trap(Trap),
    /// The host stopped it while it evaluated an expression.
    #[error("stopped by the host while constant expressions were evaluated")]
    Stopped(#[source] HostError),
}

/// A memory that an instance has defined. Contexts and other instances point at it.
#[derive(Debug)]
pub(super) enum OwnMemory {
    Alone(Box<Memory>),
    Shared(SharedMemory),
}

impl OwnMemory {
    pub(super) fn get(&self) -> &Memory {
        match self {
            OwnMemory::Alone(memory) => memory,
            OwnMemory::Shared(memory) => memory.memory(),
        }
    }

    fn pointer(&mut self) -> NonNull<Memory> {
        match self {
            OwnMemory::Alone(memory) => NonNull::from(&mut **memory),
            OwnMemory::Shared(memory) => memory.as_ptr(),
        }
    }
}

/// An instance of a module.
#[derive(Debug)]
pub struct Instance {
    pub(super) context: ContextBox,
    pub(super) module: Arc<Module>,
    plan: MemoryPlan,
    pub(super) memories: Vec<OwnMemory>,
    /// Those that are imported and shared, to be kept.
    imported_shared: Vec<SharedMemory>,
    // Boxed one by one: contexts and other instances point at them.
    #[allow(clippy::vec_box)]
    pub(super) tables: Vec<Box<Table>>,
    dropped_data: Vec<bool>,
    elements: Elements,
    /// Where the store keeps it.
    pub(super) index: u32,
    /// Its context points at it: see [`ExecContext`].
    _pinned: PhantomPinned,
}

impl Instance {
    /// Makes an instance that is still to be [initialised](Instance::initialise).
    ///
    /// # Safety
    /// `exec` and everything in `imports` must live as long as the instance, and nothing may borrow them now.
    pub(super) unsafe fn new(
        module: Arc<Module>,
        imports: &Imports,
        exec: *mut ExecContext,
        strategy: MemoryStrategy,
    ) -> Result<Box<Instance>, InstantiateError> {
        let layout = module.layout();
        // SAFETY: `exec` is alive, and the limiter borrows nothing else of it.
        let memories = unsafe { make_memories(&module, exec, strategy) }?;
        // SAFETY: imports are alive.
        let imported_memories = imports.memories.iter().map(|memory| unsafe { memory.as_ref() });
        let imported_shared = imported_memories.clone().filter(|memory| memory.is_shared());
        // SAFETY: such a memory is that of a `SharedMemory`, which somebody has.
        let imported_shared = imported_shared.map(|memory| unsafe { SharedMemory::from_ptr(memory.into()) });
        let imported_shared = imported_shared.collect();
        let all = imported_memories.chain(memories.iter().map(OwnMemory::get));
        let guarded = module.memory_types().zip(all).all(|(ty, memory)| memory.is_guarded_as(ty));
        let plan = if guarded { MemoryPlan::Guarded } else { MemoryPlan::Checked };
        let context = ContextBox::new(&module, plan, exec);
        let mut context = context.ok_or(InstantiateError::Context(layout.size()))?;
        for (i, function) in imports.functions.iter().enumerate() {
            // SAFETY: imports are alive; the offsets are of the module's layout.
            unsafe {
                context.write(layout.imported_function(i as u32), function.as_ref().clone());
                context.write(layout.imported_func_ref(i as u32), *function);
            }
        }
        let budget = ElementBudget::default();
        // SAFETY: as above.
        let tables = unsafe { make_tables(&module, exec, &budget) }?;
        let mut instance = Box::new(Instance {
            context,
            memories,
            imported_shared,
            tables,
            dropped_data: vec![false; module.declared().data.len()],
            elements: Elements::none(budget),
            index: 0,
            module,
            plan,
            _pinned: PhantomPinned,
        });
        let this = &raw mut *instance;
        // SAFETY: both are pinned in the box that owns the context.
        unsafe { (*this).context.set_owner(this.cast(), &raw const (*this).module) };
        instance.bind(imports);
        // SAFETY: `exec` is alive, and used by nobody else.
        instance.number_tags(&imports.tags, unsafe { &mut *exec })?;
        Ok(instance)
    }

    /// Gives globals, tables and memories their values; the start function is left to the caller. After an error the instance
    /// may be referred to, from a table or by an object.
    ///
    /// # Safety
    /// `this` is a new instance, which its store has: expressions can make objects, and a collection visits it then.
    pub(super) unsafe fn initialise(this: *mut Instance) -> Result<(), InstantiateError> {
        // SAFETY: the caller's promise. Nothing of the instance is borrowed while an expression is evaluated but its module.
        unsafe {
            Self::init_globals(this)?;
            Elements::evaluate(&raw mut (*this).elements, (*this).context())?;
            Self::init_tables(this)?;
            (*this).init_memories()?;
        }
        Ok(())
    }

    /// Which compiled code it can run.
    pub fn memory_plan(&self) -> MemoryPlan {
        self.plan
    }

    /// Fills the pointer arrays of the context.
    fn bind(&mut self, imports: &Imports) {
        let layout = self.module.layout();
        let own = self.memories.iter_mut().map(OwnMemory::pointer);
        for (i, memory) in imports.memories.iter().copied().chain(own).enumerate() {
            // SAFETY: the memory is alive, and stays so as long as the instance.
            unsafe {
                self.context.write(layout.memory(i as u32), memory);
                if i == 0 {
                    self.context.set_memory0(memory.as_ref().descriptor());
                }
            }
        }
        let own = self.tables.iter_mut().map(|t| NonNull::from(&mut **t));
        for (i, table) in imports.tables.iter().copied().chain(own).enumerate() {
            // SAFETY: the offset is of the module's layout.
            unsafe { self.context.write(layout.table(i as u32), table) };
        }
        for (i, global) in imports.globals.iter().enumerate() {
            if let GlobalPlace::Imported(offset) = layout.global(i as u32) {
                // SAFETY: as above.
                unsafe { self.context.write(offset, *global) };
            }
        }
    }

    /// Fills in the numbers of tags, the own ones among which are new.
    fn number_tags(&mut self, imported: &[TagId], exec: &mut ExecContext) -> Result<(), InstantiateError> {
        let layout = self.module.layout();
        for tag in 0..self.module.tag_count() {
            let imported = imported.get(tag as usize).copied();
            let id = imported.or_else(|| exec.new_tag()).ok_or(InstantiateError::Tags)?;
            // SAFETY: the offset is of the module's layout.
            unsafe { self.context.write(layout.tag(tag), id) };
        }
        Ok(())
    }

    /// The context.
    pub fn context(&self) -> *mut VmContext {
        self.context.as_ptr()
    }

    /// The module.
    pub fn module(&self) -> &Arc<Module> {
        &self.module
    }

    /// Bytes of the memories that it owns.
    pub(super) fn own_memory_bytes(&self) -> usize {
        self.memories.iter().map(|m| m.get().len()).sum()
    }

    /// What code without bounds checks can reach of its own memories and of those that it shares with others.
    pub(super) fn reservations(&self) -> impl Iterator<Item = Range<usize>> {
        let shared = self.imported_shared.iter().map(SharedMemory::memory);
        self.memories.iter().map(OwnMemory::get).chain(shared).filter_map(Memory::reservation)
    }

    /// Shows the collected references that the instance owns to a collection.
    ///
    /// # Safety
    /// They are of the store that is collected, of which no code runs.
    pub(super) unsafe fn trace(&mut self, tracer: &mut Tracer<'_>) {
        let context = self.context();
        let first = self.module.declared().imported_globals.len() as u32;
        let globals = &self.module.declared().globals;
        tracer.looked_at(globals.len());
        for (i, global) in (first..).zip(globals) {
            if global.ty.content.is_collected() {
                // SAFETY: the context is alive, and the global is one of its module.
                unsafe { GlobalSlot::trace(VmContext::global(context, i), tracer) };
            }
        }
        // SAFETY: the caller's promise.
        unsafe {
            self.tables.iter_mut().for_each(|table| table.trace(tracer));
            self.elements.trace(tracer);
        }
    }

    /// # Safety
    /// See [`Instance::initialise`].
    unsafe fn init_globals(this: *mut Instance) -> Result<(), Pending> {
        // SAFETY: the context is alive, the global is one of its module, and the initialiser is of its type. It reads globals
        // before this one.
        unsafe {
            let (module, context) = ((*this).module.clone(), (*this).context());
            let first = module.declared().imported_globals.len() as u32;
            for (i, global) in module.declared().globals.iter().enumerate() {
                let value = evaluate(context, &global.init)?;
                let slot = VmContext::global(context, first + i as u32);
                GlobalSlot::set(slot, VmContext::exec(context), global.ty.content, value);
            }
        }
        Ok(())
    }

    /// # Safety
    /// See [`Instance::initialise`].
    unsafe fn init_tables(this: *mut Instance) -> Result<(), Pending> {
        // SAFETY: the instance is alive.
        let (module, context) = unsafe { ((*this).module.clone(), (*this).context()) };
        let first = module.declared().imported_tables.len() as u32;
        for (i, def) in (first..).zip(&module.declared().tables) {
            if let Some(init) = &def.init {
                // SAFETY: the module has been validated: the initialiser is of the table's type.
                unsafe {
                    let value = evaluate(context, init)?.low();
                    let table = VmContext::table(context, i);
                    (*table).fill(VmContext::exec(context), 0, value, (*table).len())?;
                }
            }
        }
        let lazy = lazy_elements(&module);
        if let Some(lazy) = &lazy {
            for (i, functions) in (first..).zip(lazy) {
                if let Some(functions) = functions.clone() {
                    let lazy = LazyElements { functions, owner: context };
                    // SAFETY: `lazy_elements` answers only if the segments are all that the table starts with.
                    unsafe { (*VmContext::table(context, i)).set_lazy(lazy) };
                }
            }
        }
        if lazy.is_some() {
            return Ok(());
        }
        for segment in &module.declared().elements {
            if let SegmentMode::Active { target, offset } = &segment.mode {
                // SAFETY: the context is alive; the module has been validated: the segment is of the table's type.
                unsafe {
                    let table = VmContext::table(context, *target);
                    let start = offset_of(evaluate(context, offset)?, (*table).ty().is_64());
                    elements::apply(context, module.bytes(), segment, table, start)?;
                }
            }
        }
        Ok(())
    }

    fn init_memories(&mut self) -> Result<(), Pending> {
        let module = self.module.clone();
        // Where the system does not play along, segments are copied one by one.
        let loaded = module.memory_images().is_some_and(|images| {
            self.memories.iter_mut().zip(images).all(|(memory, image)| match (memory, image) {
                (OwnMemory::Alone(memory), Some(image)) => {
                    memory.load_image(image.offset, &image.file).is_ok()
                }
                (_, image) => image.is_none(),
            })
        });
        for (i, segment) in module.declared().data.iter().enumerate() {
            if let SegmentMode::Active { target, offset } = &segment.mode {
                if !loaded {
                    // SAFETY: the context is alive, and the indices are of its module.
                    unsafe {
                        let start = evaluate(self.context(), offset)?;
                        let start = offset_of(start, module.memory_type(*target).is_64());
                        self.memory_init(i as u32, *target, start, 0, segment.data.len() as u64)?;
                    }
                }
                self.drop_data(i as u32);
            }
        }
        Ok(())
    }

    /// `memory.init`: copies from a data segment into a memory.
    ///
    /// # Safety
    /// The indices are of the module. The memory is alive, and nothing borrows it.
    pub(super) unsafe fn memory_init(
        &mut self,
        segment: u32,
        memory: u32,
        to: u64,
        from: u64,
        len: u64,
    ) -> Result<(), Trap> {
        let data = self.data(segment);
        // SAFETY: the caller's promise.
        let memory = unsafe { &*VmContext::memory(self.context.as_ptr(), memory) };
        let from = inside(from, len, data.len()).ok_or(Trap::MemoryOutOfBounds)?;
        let to = inside(to, len, memory.len()).ok_or(Trap::MemoryOutOfBounds)?;
        let from = &data[from];
        // SAFETY: both are as long, one inside of the memory, the other one in the module.
        unsafe { memory.base().add(to.start).copy_from_nonoverlapping(from.as_ptr(), from.len()) };
        Ok(())
    }

    /// The bytes of a data segment; none of one that has been dropped.
    pub(super) fn data(&self, segment: u32) -> &[u8] {
        match self.dropped_data[segment as usize] {
            true => &[],
            false => &self.module.bytes()[self.module.declared().data[segment as usize].data.clone()],
        }
    }

    /// The element segments.
    pub(super) fn elements(&self) -> &Elements {
        &self.elements
    }

    /// `data.drop`.
    pub(super) fn drop_data(&mut self, segment: u32) {
        self.dropped_data[segment as usize] = true;
    }

    /// `table.init`: copies from an element segment into a table.
    ///
    /// # Safety
    /// The indices are of the module, and the segment is of the table's type. The table is alive, and nothing
    /// borrows it.
    pub(super) unsafe fn table_init(
        &mut self,
        segment: u32,
        table: u32,
        to: u64,
        from: u64,
        len: u64,
    ) -> Result<(), Trap> {
        let context = self.context.as_ptr();
        // SAFETY: the caller's promise.
        unsafe { self.elements.copy(context, segment, VmContext::table(context, table), to, from, len) }
    }

    /// `elem.drop`.
    pub(super) fn drop_elements(&mut self, segment: u32) {
        self.elements.drop(segment);
    }

    /// Calls `visit` with each function that the instance's tables, element segments, globals and imports refer to.
    pub(super) fn for_each_function(&self, visit: &mut dyn FnMut(*const FuncRef)) {
        let context = self.context.as_ptr();
        let layout = self.module.layout();
        for i in 0..self.module.declared().imported_functions {
            // SAFETY: offsets are from the module's own layout.
            visit(unsafe { VmContext::at::<FuncRef>(context, layout.imported_function(i)) });
        }
        for table in &self.tables {
            table.for_each_function(visit);
        }
        self.elements.for_each_function(visit);
        let first = self.module.declared().imported_globals.len() as u32;
        for (i, global) in self.module.declared().globals.iter().enumerate() {
            if matches!(global.ty.content, ValType::Ref(r) if !r.heap.is_collected()) {
                // SAFETY: as above; a function global holds null or a FuncRef.
                let word = unsafe { GlobalSlot::low(VmContext::global(context, first + i as u32)) };
                if word != 0 {
                    visit(word as *const FuncRef);
                }
            }
        }
    }
}

impl VmContext {
    /// The instance.
    ///
    /// # Safety
    /// See [`VmContext::exec`].
    pub unsafe fn instance(this: *mut VmContext) -> *mut Instance {
        // SAFETY: the caller's promise; contexts are made and owned by instances alone.
        unsafe { VmContext::owner(this) }.cast()
    }
}

/// Where an active segment starts.
pub(crate) fn offset_of(value: RawValue, is_64: bool) -> u64 {
    if is_64 { value.low() } else { u64::from(value.low() as u32) }
}

/// # Safety
/// `exec` must be alive and unborrowed.
unsafe fn make_memories(
    module: &Module,
    exec: *mut ExecContext,
    strategy: MemoryStrategy,
) -> Result<Vec<OwnMemory>, InstantiateError> {
    let first = module.declared().imported_memories.len() as u32;
    let make = |(i, ty): (usize, &MemoryType)| {
        let pages = ty.limits.min;
        let bytes = |pages| ty.bytes(pages).unwrap_or(usize::MAX);
        let index = first + i as u32;
        // SAFETY: the caller's promise.
        if let Some(hooks) = unsafe { (*exec).hooks() } {
            let allowed = hooks.memory_growing(0, bytes(pages), ty.maximum().map(bytes));
            if !allowed.map_err(InstantiateError::Limiter)? {
                let what = format!("memory {index} of {pages} pages");
                return Err(InstantiateError::Limit { what });
            }
        }
        let made = match ty.is_shared() {
            true => SharedMemory::new(*ty, strategy).map(OwnMemory::Shared),
            false => Memory::new(*ty, strategy).map(|memory| OwnMemory::Alone(Box::new(memory))),
        };
        made.map_err(|cause| InstantiateError::Memory { index, pages, cause })
    };
    module.declared().memories.iter().enumerate().map(make).collect()
}

/// # Safety
/// `exec` must be alive and unborrowed.
#[allow(clippy::vec_box)]
unsafe fn make_tables(
    module: &Module,
    exec: *mut ExecContext,
    budget: &ElementBudget,
) -> Result<Vec<Box<Table>>, InstantiateError> {
    let first = module.declared().imported_tables.len() as u32;
    let mut tables = Vec::with_capacity(module.declared().tables.len());
    for (i, def) in module.declared().tables.iter().enumerate() {
        let (index, limits) = (first + i as u32, def.ty.limits);
        // SAFETY: the caller's promise.
        if let Some(hooks) = unsafe { (*exec).hooks() } {
            let maximum = limits.max.map(|max| max as usize);
            let allowed = hooks.table_growing(0, limits.min as usize, maximum);
            if !allowed.map_err(InstantiateError::Limiter)? {
                let what = format!("table {index} of {} elements", limits.min);
                return Err(InstantiateError::Limit { what });
            }
        }
        let table = Table::new(def.ty, budget.clone());
        let table = table.ok_or(InstantiateError::Table { index, elements: limits.min })?;
        tables.push(Box::new(table));
    }
    Ok(tables)
}

/// The initial elements of each table that the module defines, when all its active segments are lists of
/// functions at constant offsets inside tables of its own. Otherwise, and when there is no memory for them,
/// segments are applied one by one, in order, as a trap in one must leave the earlier ones visible.
fn lazy_elements(module: &Module) -> Option<Vec<Option<Arc<Vec<u32>>>>> {
    let imported = module.declared().imported_tables.len();
    let mut images: Vec<Option<Vec<u32>>> = vec![None; module.declared().tables.len()];
    for segment in &module.declared().elements {
        let SegmentMode::Active { target, offset } = &segment.mode else { continue };
        let table = (*target as usize).checked_sub(imported)?;
        let ElementItems::Functions(functions) = &segment.items else { return None };
        let def = &module.declared().tables[table];
        let start = offset_of(offset.as_value()?, def.ty.is_64());
        let limit = usize::try_from(def.ty.limits.min).ok()?;
        let Range { start, end } = inside(start, functions.len() as u64, limit)?;
        if def.init.is_some() || def.ty.element.heap.is_collected() {
            return None;
        }
        let image = images[table].get_or_insert_default();
        if image.len() < end {
            image.try_reserve_exact(end - image.len()).ok()?;
            image.resize(end, NO_FUNCTION);
        }
        image[start..end].copy_from_slice(functions);
    }
    Some(images.into_iter().map(|image| image.map(Arc::new)).collect())
}

impl From<elements::TooMany> for InstantiateError {
    fn from(segment: elements::TooMany) -> InstantiateError {
        InstantiateError::Elements { index: segment.index, elements: segment.elements }
    }
}

impl From<Pending> for InstantiateError {
    fn from(pending: Pending) -> InstantiateError {
        match pending {
            Pending::Trap(trap) => InstantiateError::Trap(trap),
            Pending::Host(error) => InstantiateError::Stopped(error),
            Pending::Panic(_) => unreachable!("panics are errors of the host where no guest code runs"),
            Pending::Exception => unreachable!("constant expressions do not throw"),
        }
    }
}

impl From<InstantiateError> for Pending {
    fn from(error: InstantiateError) -> Pending {
        match error {
            InstantiateError::Trap(trap) => Pending::Trap(trap),
            other => Pending::Host(Box::new(other)),
        }
    }
}
