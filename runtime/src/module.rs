//! A validated module: immutable, shareable between threads and stores, the owner of the cells where
//! the code of its functions is published.
//!
//! Made by [`parse`](crate::parse()); nothing here checks the bytes again.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use wasmparser::{BinaryReader, FunctionBody};

pub use crate::cells::{Bytecode, Cells, CodeBlob, CodeCell, MemoryPlan, PerPlan};
use crate::const_expr::ConstExpr;
use crate::counts::Counts;
use crate::declarations::Declarations;
pub use crate::declarations::{
    Body, DataSegment, ElementItems, ElementSegment, Export, ExternIndex, GlobalDef, Import, Section,
    SegmentMode, TableDef,
};
use crate::features::Features;
use crate::hints::BranchHints;
use crate::image::{Images, MemoryImage};
use crate::layout::Layout;
use crate::names::Names;
use crate::relaxed::Relaxed;
use crate::types::object::{ArrayLayout, ObjectLayout, StructLayout};
use crate::types::{
    CompositeType, ExternType, FuncType, GlobalType, HeapType, MemoryType, TableType, TagType, TypeId,
    TypeRegistry, ValType,
};
use crate::value::RawValue;

/// A validated module.
pub struct Module {
    contents: Arc<Contents>,
    charges_fuel: bool,
    relaxed: Relaxed,
    cells: Cells,
    tiers: OnceLock<Box<dyn Any + Send + Sync>>,
    watched: Option<Watched>,
}

/// What a module has whose code counts what it does.
struct Watched {
    counts: Counts,
    /// The module whose code does not.
    plain: Arc<Module>,
}

/// What a module says, and what follows from that alone.
struct Contents {
    bytes: Vec<u8>,
    declared: Declarations,
    features: Features,
    registry: Arc<TypeRegistry>,
    /// Indices of the exports in the order of their names.
    exports_by_name: Box<[u32]>,
    names: OnceLock<Names>,
    hints: OnceLock<BranchHints>,
    layout: Layout,
    images: Images,
    debug_info: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl Module {
    /// A module of validated `bytes` and what they declare.
    pub(crate) fn new(
        bytes: Vec<u8>,
        declared: Declarations,
        features: Features,
        registry: &Arc<TypeRegistry>,
    ) -> Module {
        let exports = &declared.exports;
        let mut by_name: Box<[u32]> = (0..exports.len() as u32).collect();
        by_name.sort_unstable_by(|a, b| exports[*a as usize].name.cmp(&exports[*b as usize].name));
        let cells = Cells::new(declared.bodies.len());
        let contents = Contents {
            features,
            registry: Arc::clone(registry),
            exports_by_name: by_name,
            names: OnceLock::new(),
            hints: OnceLock::new(),
            layout: Layout::new(&declared, &bytes),
            images: Images::default(),
            debug_info: OnceLock::new(),
            bytes,
            declared,
        };
        Module {
            contents: Arc::new(contents),
            charges_fuel: false,
            relaxed: Relaxed::default(),
            cells,
            tiers: OnceLock::new(),
            watched: None,
        }
    }

    /// A twin: a module with the same contents and code of its own, none of which has been made yet. That counts what it does.
    ///
    /// Nothing of this module changes, so that its instances pay nothing for those that are watched.
    pub fn counting(self: &Arc<Module>) -> Module {
        let plain = Arc::clone(self.plain());
        let counts = Counts::new(self.declared().bodies.len());
        Module {
            contents: Arc::clone(&self.contents),
            charges_fuel: self.charges_fuel,
            relaxed: self.relaxed,
            cells: self.cells.like(),
            tiers: OnceLock::new(),
            watched: Some(Watched { counts, plain }),
        }
    }

    /// What the code of this module counts, if it does.
    pub fn counts(&self) -> Option<&Counts> {
        self.watched.as_ref().map(|watched| &watched.counts)
    }

    /// The module with the same contents whose code does not count: this one, or that whose twin it is.
    pub fn plain(self: &Arc<Module>) -> &Arc<Module> {
        self.watched.as_ref().map_or(self, |watched| &watched.plain)
    }

    /// Whether it has the contents of `other`: both are the same, or twins.
    pub fn is_twin_of(&self, other: &Module) -> bool {
        Arc::ptr_eq(&self.contents, &other.contents)
    }

    /// What it declares.
    pub(crate) fn declared(&self) -> &Declarations {
        &self.contents.declared
    }

    /// The module's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.contents.bytes
    }

    /// Makes the code of this module pay fuel. To be decided before any of it is translated.
    pub fn charge_fuel(&mut self, on: bool) {
        self.charges_fuel = on;
    }

    /// Whether the code of this module pays fuel.
    pub fn charges_fuel(&self) -> bool {
        self.charges_fuel
    }

    /// Chooses what this module's relaxed SIMD instructions do. To be decided before any of it is translated.
    pub fn set_relaxed(&mut self, relaxed: Relaxed) {
        self.relaxed = relaxed;
    }

    /// What this module's relaxed SIMD instructions do.
    pub fn relaxed(&self) -> Relaxed {
        self.relaxed
    }

    /// The proposals that it was validated with.
    pub fn features(&self) -> Features {
        self.contents.features
    }

    /// What the embedding crate has read from the debug information; the runtime only keeps it.
    pub fn debug_info(&self) -> &OnceLock<Box<dyn Any + Send + Sync>> {
        &self.contents.debug_info
    }

    /// What the embedding crate knows of the module's compiled code; the runtime only keeps it.
    pub fn tiers(&self) -> &OnceLock<Box<dyn Any + Send + Sync>> {
        &self.tiers
    }

    /// The types that it defines.
    pub fn types(&self) -> &[CompositeType] {
        &self.declared().types
    }

    /// The engine-wide id of each of the types that it defines.
    pub fn type_ids(&self) -> &[TypeId] {
        &self.declared().type_ids
    }

    /// How structures of the type with this index are laid out.
    ///
    /// # Panics
    /// It is no type of structures.
    pub fn struct_layout(&self, index: u32) -> &StructLayout {
        match self.contents.registry.layout(self.declared().type_ids[index as usize]) {
            Some(ObjectLayout::Struct(layout)) => layout,
            other => panic!("validated: the type of a structure, not {other:?}"),
        }
    }

    /// How exceptions with a tag are laid out: a field for the tag's number, and one for each value.
    pub fn exception_layout(&self, tag: u32) -> &StructLayout {
        match self.contents.registry.layout(self.declared().type_ids[self.tag_type_index(tag) as usize]) {
            Some(ObjectLayout::Struct(layout)) => layout,
            other => panic!("validated: the type of a tag, not {other:?}"),
        }
    }

    /// How arrays of the type with this index are laid out.
    ///
    /// # Panics
    /// It is no type of arrays.
    pub fn array_layout(&self, index: u32) -> ArrayLayout {
        match self.contents.registry.layout(self.declared().type_ids[index as usize]) {
            Some(ObjectLayout::Array(layout)) => *layout,
            other => panic!("validated: the type of an array, not {other:?}"),
        }
    }

    /// The function type with this index.
    ///
    /// # Panics
    /// It is no function type.
    pub fn func_type(&self, index: u32) -> &FuncType {
        self.declared().func_type(index)
    }

    /// A type of the module's bytes, in the engine's terms.
    pub fn val_type(&self, ty: wasmparser::ValType) -> ValType {
        self.declared().parsed_types().value(ty)
    }

    /// A type of the module's bytes, in the engine's terms.
    pub fn heap_type(&self, ty: wasmparser::HeapType) -> HeapType {
        self.declared().parsed_types().heap(ty)
    }

    /// What gave out the ids of its types.
    pub fn registry(&self) -> &Arc<TypeRegistry> {
        &self.contents.registry
    }

    /// Its imports, in order.
    pub fn imports(&self) -> &[Import] {
        &self.declared().imports
    }

    /// Its exports, in order.
    pub fn exports(&self) -> &[Export] {
        &self.declared().exports
    }

    /// What it exports as `name`.
    pub fn export(&self, name: &str) -> Option<ExternIndex> {
        let export = |at: &u32| &self.declared().exports[*at as usize];
        let at =
            self.contents.exports_by_name.binary_search_by(|at| export(at).name.as_str().cmp(name)).ok()?;
        Some(export(&self.contents.exports_by_name[at]).index)
    }

    /// Number of functions, imported ones included.
    pub fn function_count(&self) -> u32 {
        self.declared().functions.len() as u32
    }

    /// Number of imported functions; they have the lowest indices.
    pub fn imported_function_count(&self) -> u32 {
        self.declared().imported_functions
    }

    /// The type of a function.
    pub fn function_type(&self, function: u32) -> &FuncType {
        self.declared().func_type(self.declared().functions[function as usize])
    }

    /// The engine-wide type id of a function.
    pub fn function_type_id(&self, function: u32) -> TypeId {
        self.declared().type_ids[self.declared().functions[function as usize] as usize]
    }

    /// The body of a function, or `None` for an imported one.
    pub fn body(&self, function: u32) -> Option<Body> {
        let defined = function.checked_sub(self.declared().imported_functions)?;
        self.declared().bodies.get(defined as usize).copied()
    }

    /// The body of a function, to be read; `None` for an imported one. The module is valid, so that reading cannot fail.
    pub fn function_body(&self, function: u32) -> Option<FunctionBody<'_>> {
        let Body { start, len } = self.body(function)?;
        let bytes = &self.bytes()[start as usize..(start + len) as usize];
        let features = self.features().to_validator();
        Some(FunctionBody::new(BinaryReader::new_features(bytes, start.into(), features)))
    }

    /// The function whose body has a byte at `offset` of the module.
    pub fn function_at(&self, offset: u32) -> Option<u32> {
        // Bodies follow one another in the code section, in the order of the functions.
        let bodies = &self.declared().bodies;
        let defined = bodies.partition_point(|body| body.start <= offset).checked_sub(1)?;
        let body = bodies[defined];
        (offset - body.start < body.len).then_some(self.declared().imported_functions + defined as u32)
    }

    /// Number of tables, imported ones included.
    pub fn table_count(&self) -> u32 {
        self.declared().table_count()
    }

    /// The type of a table.
    pub fn table_type(&self, table: u32) -> TableType {
        let table = table as usize;
        match self.declared().imported_tables.get(table) {
            Some(ty) => *ty,
            None => self.declared().tables[table - self.declared().imported_tables.len()].ty,
        }
    }

    /// Number of memories, imported ones included.
    pub fn memory_count(&self) -> u32 {
        self.declared().memory_count()
    }

    /// The types of all memories, imported ones first.
    pub fn memory_types(&self) -> impl Iterator<Item = MemoryType> {
        self.declared().memory_types()
    }

    /// The most bytes that a memory reserves where all of them are guarded that can be; 0 if none can.
    pub fn reservation(&self) -> usize {
        self.declared().reservation()
    }

    /// The type of a memory.
    pub fn memory_type(&self, memory: u32) -> MemoryType {
        let memory = memory as usize;
        match self.declared().imported_memories.get(memory) {
            Some(ty) => *ty,
            None => self.declared().memories[memory - self.declared().imported_memories.len()],
        }
    }

    /// Number of globals, imported ones included.
    pub fn global_count(&self) -> u32 {
        self.declared().global_count()
    }

    /// Number of imported globals, which have the lowest indices.
    pub fn imported_global_count(&self) -> u32 {
        self.declared().imported_globals.len() as u32
    }

    /// The type of a global.
    pub fn global_type(&self, global: u32) -> GlobalType {
        let global = global as usize;
        match self.declared().imported_globals.get(global) {
            Some(ty) => *ty,
            None => self.declared().globals[global - self.declared().imported_globals.len()].ty,
        }
    }

    /// Number of tags, imported ones included.
    pub fn tag_count(&self) -> u32 {
        self.declared().tags.len() as u32
    }

    /// Number of imported tags, which have the lowest indices.
    pub fn imported_tag_count(&self) -> u32 {
        self.declared().imported_tags
    }

    /// The type of a tag.
    pub fn tag_type(&self, tag: u32) -> TagType {
        self.declared().tag_type(tag)
    }

    /// The index of the type of functions that a tag is declared with, which its exceptions are of.
    pub fn tag_type_index(&self, tag: u32) -> u32 {
        self.declared().tags[tag as usize]
    }

    /// The type of what an export points at.
    pub fn extern_type(&self, index: ExternIndex) -> ExternType {
        match index {
            ExternIndex::Func(i) => ExternType::Func(self.function_type(i).clone()),
            ExternIndex::Table(i) => ExternType::Table(self.table_type(i)),
            ExternIndex::Memory(i) => ExternType::Memory(self.memory_type(i)),
            ExternIndex::Global(i) => ExternType::Global(self.global_type(i)),
            ExternIndex::Tag(i) => ExternType::Tag(self.tag_type(i)),
        }
    }

    /// The start function.
    pub fn start(&self) -> Option<u32> {
        self.declared().start
    }

    /// Its element segments.
    pub fn elements(&self) -> &[ElementSegment] {
        &self.declared().elements
    }

    /// Its data segments.
    pub fn data(&self) -> &[DataSegment] {
        &self.declared().data
    }

    /// Its sections, in order.
    pub fn sections(&self) -> &[Section] {
        &self.declared().sections
    }

    /// The name of a function from the name section.
    pub fn function_name(&self, function: u32) -> Option<&str> {
        self.names().function(function)
    }

    /// The module's own name from the name section.
    pub fn name(&self) -> Option<&str> {
        self.names().module()
    }

    fn names(&self) -> &Names {
        self.contents.names.get_or_init(|| {
            let bytes =
                self.declared().name_section.clone().map_or(&[][..], |range| &self.contents.bytes[range]);
            Names::parse(bytes)
        })
    }

    /// Whether the branch at an offset in the module is taken, as a hint in it says; `None` where there is no hint.
    pub fn branch_hint(&self, at: u32) -> Option<bool> {
        let section = self.declared().hint_section.clone()?;
        let body = |function| self.body(function).map(|body| body.start..body.start + body.len);
        self.contents.hints.get_or_init(|| BranchHints::parse(&self.contents.bytes[section], body)).at(at)
    }

    /// The offsets of an instance's context.
    pub fn layout(&self) -> &Layout {
        &self.contents.layout
    }

    /// The images of the memories that the module defines, from the second instantiation on. `None` for a
    /// memory without one; the whole answer is `None` when segments must be applied one by one.
    pub(crate) fn memory_images(&self) -> Option<&[Option<MemoryImage>]> {
        self.contents.images.of_next_instance(self.declared(), &self.contents.bytes)
    }

    /// The code cells of the functions that the module defines.
    pub fn cells(&self) -> &Cells {
        &self.cells
    }

    /// Lets the cells of compiled code start with the entry of code that binds functions when they are called. To
    /// be decided before there are instances.
    ///
    /// # Safety
    /// `unbound` is the entry of code that can be called as any function, in place of each that the module defines,
    /// and that stays for as long as the module.
    #[allow(unsafe_code)]
    pub unsafe fn bind_lazily(&mut self, unbound: *const u8) {
        self.cells.start_with(unbound);
    }

    /// Keeps bytecode of a function that the module defines, for instances as `plan` says, and publishes it unless
    /// callers find other code by now.
    ///
    /// # Safety
    /// It is the function's code as tier 0 expects it.
    #[allow(unsafe_code)]
    pub unsafe fn publish_bytecode(&self, plan: MemoryPlan, bytecode: Bytecode) {
        self.cells.publish_bytecode(plan, self.defined(bytecode.blob.function()), bytecode);
    }

    /// The bytecode that a function which the module defines has been translated to, also while callers find
    /// compiled code instead.
    pub fn bytecode(&self, plan: MemoryPlan, function: u32) -> Option<Bytecode> {
        self.cells.own_bytecode(plan, self.defined(function))
    }

    /// Publishes compiled code of a function that the module defines, for instances as `plan` says, in place of
    /// what was there. With it goes what tier 0 shall run instead of the function's bytecode, if it shall. What `code`
    /// keeps alive lives as long as the module.
    ///
    /// # Safety
    /// `entry` is the entry of compiled code of the function, which lives as long as `code` and assumes no
    /// more about memories than the plan says. `way_in` is code as tier 0 expects it that calls this.
    #[allow(unsafe_code)]
    pub unsafe fn publish_compiled(
        &self,
        plan: MemoryPlan,
        function: u32,
        entry: *const u8,
        way_in: Option<Bytecode>,
        code: Box<dyn Any + Send + Sync>,
    ) {
        self.cells.publish_compiled(plan, self.defined(function), entry, way_in, code);
    }

    /// Lets callers of a function run it in tier 0 again. Frames of its compiled code go on there.
    pub fn withdraw_compiled(&self, plan: MemoryPlan, function: u32) {
        self.cells.withdraw_compiled(plan, self.defined(function));
    }

    /// Keeps code that callers do not find, for as long as the module lives.
    pub fn keep_code(&self, code: Box<dyn Any + Send + Sync>) {
        self.cells.keep(code);
    }

    /// The number of a function among those that the module defines.
    fn defined(&self, function: u32) -> usize {
        (function - self.declared().imported_functions) as usize
    }

    /// The blob that occupies `address`.
    pub fn blob_at(&self, address: usize) -> Option<Arc<dyn CodeBlob>> {
        self.cells.blob_at(address)
    }

    /// A module that holds one memory, table or global and nothing else: how the host makes its own.
    pub fn for_host_object(object: HostObject, registry: &Arc<TypeRegistry>) -> Module {
        let mut declared = Declarations::default();
        let index = match object {
            HostObject::Memory(ty) => {
                declared.memories.push(ty);
                ExternIndex::Memory(0)
            }
            HostObject::Table(ty) => {
                declared.tables.push(TableDef { ty, init: None });
                ExternIndex::Table(0)
            }
            HostObject::Global(ty) => {
                // The host writes the initial value right after instantiation.
                declared.globals.push(GlobalDef { ty, init: ConstExpr::Value(RawValue::ZERO) });
                ExternIndex::Global(0)
            }
        };
        declared.exports.push(Export { name: String::new(), index });
        Module::new(Vec::new(), declared, Features::default(), registry)
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module")
            .field("functions", &self.declared().functions.len())
            .field("imports", &self.declared().imports.len())
            .field("exports", &self.declared().exports.len())
            .field("bytes", &self.contents.bytes.len())
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
