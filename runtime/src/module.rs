//! A validated module: immutable, shareable between threads and stores, and the place where the code of
//! its functions is published.
//!
//! Made by [`parse`](crate::parse()); nothing here checks the bytes again.

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::const_expr::ConstExpr;
use crate::features::Features;
use crate::image::MemoryImage;
use crate::layout::Layout;
use crate::types::{ExternType, FuncType, GlobalType, MemoryType, RefType, TableType, TypeId, TypeRegistry};

/// An import: where its value comes from and what it has to be.
#[derive(Clone, Debug)]
pub struct Import {
    /// Module part of the name.
    pub module: String,
    /// Field part of the name.
    pub name: String,
    /// Required type.
    pub ty: ExternType,
}

/// Which of a module's index spaces an export points into, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExternIndex {
    /// Function index.
    Func(u32),
    /// Table index.
    Table(u32),
    /// Memory index.
    Memory(u32),
    /// Global index.
    Global(u32),
}

/// An export.
#[derive(Clone, Debug)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// What it exports.
    pub index: ExternIndex,
}

/// When a segment is used.
#[derive(Clone, Debug)]
pub enum SegmentMode {
    /// At instantiation, in the table or memory with this index, at this offset.
    Active {
        /// Table or memory index.
        target: u32,
        /// Offset expression, an `i32`.
        offset: ConstExpr,
    },
    /// When an instruction names it.
    Passive,
    /// Never; it only declares functions for `ref.func`.
    Declared,
}

/// The elements of an element segment.
#[derive(Clone, Debug)]
pub enum ElementItems {
    /// Function indices.
    Functions(Box<[u32]>),
    /// Expressions of reference type.
    Expressions(Box<[ConstExpr]>),
}

impl ElementItems {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            ElementItems::Functions(f) => f.len(),
            ElementItems::Expressions(e) => e.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An element segment.
#[derive(Clone, Debug)]
pub struct ElementSegment {
    /// When it is used.
    pub mode: SegmentMode,
    /// Type of its elements.
    pub ty: RefType,
    /// The elements.
    pub items: ElementItems,
}

/// A data segment.
#[derive(Clone, Debug)]
pub struct DataSegment {
    /// When it is used.
    pub mode: SegmentMode,
    /// Where its bytes are in the module.
    pub data: Range<usize>,
}

/// A table that the module defines.
#[derive(Clone, Debug)]
pub struct TableDef {
    /// Its type.
    pub ty: TableType,
    /// Value of its elements at creation; `None` is null.
    pub init: Option<ConstExpr>,
}

/// A global that the module defines.
#[derive(Clone, Debug)]
pub struct GlobalDef {
    /// Its type.
    pub ty: GlobalType,
    /// Its value at creation.
    pub init: ConstExpr,
}

/// A function body, as a range of the module's bytes.
#[derive(Clone, Copy, Debug)]
pub struct Body {
    /// Offset of its first byte, the count of local declarations.
    pub start: u32,
    /// Number of bytes.
    pub len: u32,
}

/// A section of the module, for `inspect`.
#[derive(Clone, Debug)]
pub struct Section {
    /// Name of its kind; for a custom section, its own name.
    pub name: String,
    /// Whether it is a custom section.
    pub custom: bool,
    /// Its contents as a range of the module's bytes.
    pub range: Range<usize>,
}

/// Where callers find the code of a function: one word per tier.
///
/// Each cell starts empty. A caller that finds it so asks its tier's binder, which publishes an entry with
/// a release store; from then on the cell is read with one load. The entry of tier 0 points at the first
/// instruction of the function's bytecode.
#[derive(Debug)]
#[repr(C)]
pub struct CodeCell {
    /// Entry of compiled code, called with `(vmctx, callee_id, args…)`.
    pub native: AtomicPtr<u8>,
    /// Entry of tier 0.
    pub interpreter: AtomicPtr<u8>,
}

impl CodeCell {
    fn empty() -> CodeCell {
        CodeCell { native: AtomicPtr::new(ptr::null_mut()), interpreter: AtomicPtr::new(ptr::null_mut()) }
    }
}

/// Code that a tier made for functions of a module; lives as long as the module.
pub trait CodeBlob: Any + Send + Sync {
    /// The addresses that it occupies.
    fn addresses(&self) -> Range<usize>;
    /// The function that it belongs to.
    fn function(&self) -> u32;
    /// The concrete type of the tier.
    fn as_any(&self) -> &dyn Any;
}

/// A validated module.
pub struct Module {
    pub(crate) bytes: Vec<u8>,
    pub(crate) features: Features,
    pub(crate) charges_fuel: bool,
    pub(crate) types: Vec<FuncType>,
    pub(crate) type_ids: Vec<TypeId>,
    pub(crate) imports: Vec<Import>,
    pub(crate) exports: Vec<Export>,
    /// Indices of the exports in the order of their names.
    pub(crate) exports_by_name: Box<[u32]>,
    /// Type index of each function, imported ones first.
    pub(crate) functions: Vec<u32>,
    pub(crate) imported_functions: u32,
    pub(crate) bodies: Vec<Body>,
    pub(crate) imported_tables: Vec<TableType>,
    pub(crate) tables: Vec<TableDef>,
    pub(crate) imported_memories: Vec<MemoryType>,
    pub(crate) memories: Vec<MemoryType>,
    pub(crate) imported_globals: Vec<GlobalType>,
    pub(crate) globals: Vec<GlobalDef>,
    pub(crate) start: Option<u32>,
    pub(crate) elements: Vec<ElementSegment>,
    pub(crate) data: Vec<DataSegment>,
    pub(crate) sections: Vec<Section>,
    pub(crate) name_section: Option<Range<usize>>,
    pub(crate) names: OnceLock<crate::names::Names>,
    pub(crate) layout: Layout,
    pub(crate) cells: Box<[CodeCell]>,
    /// By the address behind each.
    pub(crate) blobs: Mutex<BTreeMap<usize, Arc<dyn CodeBlob>>>,
    pub(crate) images: OnceLock<Vec<Option<MemoryImage>>>,
    pub(crate) instantiations: AtomicU32,
    pub(crate) debug_info: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl Module {
    /// The module's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Makes the code of this module pay fuel. To be decided before any of it is translated.
    pub fn charge_fuel(&mut self, on: bool) {
        self.charges_fuel = on;
    }

    /// Whether the code of this module pays fuel.
    pub fn charges_fuel(&self) -> bool {
        self.charges_fuel
    }

    /// The proposals that it was validated with.
    pub fn features(&self) -> Features {
        self.features
    }

    /// What the embedding crate has read from the debug information; the runtime only keeps it.
    pub fn debug_info(&self) -> &OnceLock<Box<dyn Any + Send + Sync>> {
        &self.debug_info
    }

    /// Its function types.
    pub fn types(&self) -> &[FuncType] {
        &self.types
    }

    /// The engine-wide id of each of its function types.
    pub fn type_ids(&self) -> &[TypeId] {
        &self.type_ids
    }

    /// Its imports, in order.
    pub fn imports(&self) -> &[Import] {
        &self.imports
    }

    /// Its exports, in order.
    pub fn exports(&self) -> &[Export] {
        &self.exports
    }

    /// What it exports as `name`.
    pub fn export(&self, name: &str) -> Option<ExternIndex> {
        let export = |at: &u32| &self.exports[*at as usize];
        let at = self.exports_by_name.binary_search_by(|at| export(at).name.as_str().cmp(name)).ok()?;
        Some(export(&self.exports_by_name[at]).index)
    }

    /// Number of functions, imported ones included.
    pub fn function_count(&self) -> u32 {
        self.functions.len() as u32
    }

    /// Number of imported functions; they have the lowest indices.
    pub fn imported_function_count(&self) -> u32 {
        self.imported_functions
    }

    /// The type of a function.
    pub fn function_type(&self, function: u32) -> &FuncType {
        &self.types[self.functions[function as usize] as usize]
    }

    /// The engine-wide type id of a function.
    pub fn function_type_id(&self, function: u32) -> TypeId {
        self.type_ids[self.functions[function as usize] as usize]
    }

    /// The body of a function, or `None` for an imported one.
    pub fn body(&self, function: u32) -> Option<Body> {
        let defined = function.checked_sub(self.imported_functions)?;
        self.bodies.get(defined as usize).copied()
    }

    /// Number of tables, imported ones included.
    pub fn table_count(&self) -> u32 {
        (self.imported_tables.len() + self.tables.len()) as u32
    }

    /// The type of a table.
    pub fn table_type(&self, table: u32) -> TableType {
        let table = table as usize;
        match self.imported_tables.get(table) {
            Some(ty) => *ty,
            None => self.tables[table - self.imported_tables.len()].ty,
        }
    }

    /// Number of memories, imported ones included.
    pub fn memory_count(&self) -> u32 {
        (self.imported_memories.len() + self.memories.len()) as u32
    }

    /// The type of a memory.
    pub fn memory_type(&self, memory: u32) -> MemoryType {
        let memory = memory as usize;
        match self.imported_memories.get(memory) {
            Some(ty) => *ty,
            None => self.memories[memory - self.imported_memories.len()],
        }
    }

    /// Number of globals, imported ones included.
    pub fn global_count(&self) -> u32 {
        (self.imported_globals.len() + self.globals.len()) as u32
    }

    /// The type of a global.
    pub fn global_type(&self, global: u32) -> GlobalType {
        let global = global as usize;
        match self.imported_globals.get(global) {
            Some(ty) => *ty,
            None => self.globals[global - self.imported_globals.len()].ty,
        }
    }

    /// The type of what an export points at.
    pub fn extern_type(&self, index: ExternIndex) -> ExternType {
        match index {
            ExternIndex::Func(i) => ExternType::Func(self.function_type(i).clone()),
            ExternIndex::Table(i) => ExternType::Table(self.table_type(i)),
            ExternIndex::Memory(i) => ExternType::Memory(self.memory_type(i)),
            ExternIndex::Global(i) => ExternType::Global(self.global_type(i)),
        }
    }

    /// The start function.
    pub fn start(&self) -> Option<u32> {
        self.start
    }

    /// Its element segments.
    pub fn elements(&self) -> &[ElementSegment] {
        &self.elements
    }

    /// Its data segments.
    pub fn data(&self) -> &[DataSegment] {
        &self.data
    }

    /// Its sections, in order.
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// The name of a function from the name section.
    pub fn function_name(&self, function: u32) -> Option<&str> {
        self.names().function(function)
    }

    /// The module's own name from the name section.
    pub fn name(&self) -> Option<&str> {
        self.names().module()
    }

    fn names(&self) -> &crate::names::Names {
        self.names.get_or_init(|| {
            let bytes = self.name_section.clone().map_or(&[][..], |range| &self.bytes[range]);
            crate::names::Names::parse(bytes)
        })
    }

    /// The offsets of an instance's context.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The code cells of the functions that the module defines, in order.
    pub fn cells(&self) -> &[CodeCell] {
        &self.cells
    }

    /// Keeps `blob` alive with the module and publishes `entry` as tier 0's entry of its function, unless
    /// another thread was faster. Returns the published entry.
    ///
    /// # Safety
    /// `entry` is the entry of the function's code in `blob`, as tier 0 expects it.
    #[allow(unsafe_code)]
    pub unsafe fn publish_interpreter_code(&self, blob: Arc<dyn CodeBlob>, entry: *mut u8) -> *mut u8 {
        let cell = &self.cells[(blob.function() - self.imported_functions) as usize];
        let mut blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        let published = cell.interpreter.load(Ordering::Acquire);
        if !published.is_null() {
            return published;
        }
        blobs.insert(blob.addresses().end, blob);
        cell.interpreter.store(entry, Ordering::Release);
        entry
    }

    /// The blob that occupies `address`.
    pub fn blob_at(&self, address: usize) -> Option<Arc<dyn CodeBlob>> {
        let blobs = self.blobs.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, blob) = blobs.range(address + 1..).next()?;
        blob.addresses().contains(&address).then(|| blob.clone())
    }

    /// A module that holds one memory, table or global and nothing else: how the host makes its own.
    pub fn for_host_object(object: HostObject, registry: &TypeRegistry) -> Module {
        let mut module = Module::empty();
        let index = match object {
            HostObject::Memory(ty) => {
                module.memories.push(ty);
                ExternIndex::Memory(0)
            }
            HostObject::Table(ty) => {
                module.tables.push(TableDef { ty, init: None });
                ExternIndex::Table(0)
            }
            HostObject::Global(ty) => {
                // The host writes the initial value right after instantiation.
                module.globals.push(GlobalDef { ty, init: ConstExpr::Value(0) });
                ExternIndex::Global(0)
            }
        };
        module.exports.push(Export { name: String::new(), index });
        module.seal(registry);
        module
    }

    pub(crate) fn empty() -> Module {
        Module {
            bytes: Vec::new(),
            features: Features::default(),
            charges_fuel: false,
            types: Vec::new(),
            type_ids: Vec::new(),
            imports: Vec::new(),
            exports: Vec::new(),
            exports_by_name: Box::default(),
            functions: Vec::new(),
            imported_functions: 0,
            bodies: Vec::new(),
            imported_tables: Vec::new(),
            tables: Vec::new(),
            imported_memories: Vec::new(),
            memories: Vec::new(),
            imported_globals: Vec::new(),
            globals: Vec::new(),
            start: None,
            elements: Vec::new(),
            data: Vec::new(),
            sections: Vec::new(),
            name_section: None,
            names: OnceLock::new(),
            layout: Layout::default(),
            cells: Box::default(),
            blobs: Mutex::default(),
            images: OnceLock::new(),
            instantiations: AtomicU32::new(0),
            debug_info: OnceLock::new(),
        }
    }

    /// Computes what follows from the declarations: type ids, the order of exports, layout and code cells.
    pub(crate) fn seal(&mut self, registry: &TypeRegistry) {
        self.type_ids = self.types.iter().map(|ty| registry.intern(ty)).collect();
        let mut by_name: Box<[u32]> = (0..self.exports.len() as u32).collect();
        by_name.sort_unstable_by(|a, b| self.exports[*a as usize].name.cmp(&self.exports[*b as usize].name));
        self.exports_by_name = by_name;
        self.layout = Layout::of(self);
        self.cells = self.bodies.iter().map(|_| CodeCell::empty()).collect();
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module")
            .field("functions", &self.functions.len())
            .field("imports", &self.imports.len())
            .field("exports", &self.exports.len())
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// Something that the host makes without a module of its own.
#[derive(Clone, Copy, Debug)]
pub enum HostObject {
    /// A linear memory.
    Memory(MemoryType),
    /// A table.
    Table(TableType),
    /// A global.
    Global(GlobalType),
}
