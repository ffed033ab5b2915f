//! What a module declares, as its sections say it: types, imports, exports, definitions and segments.
//!
//! [`crate::parse()`] fills this in; [`Module`](crate::module::Module) is made of it, and what follows from it
//! alone (the layout of contexts, the images of memories) is computed from it alone. Nothing here changes
//! once the module is made.

use std::ops::Range;

use crate::const_expr::{ConstExpr, ConstExprs};
use crate::parsed_types::ParsedTypes;
use crate::types::{
    CompositeType, ExternType, FuncType, GlobalType, HeapType, MemoryType, RefType, TableType, TagType,
    TypeId,
};
use crate::vm::reservation_of;

/// The declarations of a module, in the order of each index space: what is imported comes first.
#[derive(Debug, Default)]
pub(crate) struct Declarations {
    pub(crate) types: Vec<CompositeType>,
    /// The engine-wide id of each type.
    pub(crate) type_ids: Vec<TypeId>,
    /// What references to each of them point at.
    pub(crate) heap_types: Vec<HeapType>,
    pub(crate) imports: Vec<Import>,
    pub(crate) exports: Vec<Export>,
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
    /// Type index of each tag, imported ones first.
    pub(crate) tags: Vec<u32>,
    pub(crate) imported_tags: u32,
    pub(crate) start: Option<u32>,
    pub(crate) elements: Vec<ElementSegment>,
    pub(crate) data: Vec<DataSegment>,
    pub(crate) sections: Vec<Section>,
    pub(crate) name_section: Option<Range<usize>>,
    pub(crate) hint_section: Option<Range<usize>>,
}

impl Declarations {
    /// The function type with this index.
    pub(crate) fn func_type(&self, index: u32) -> &FuncType {
        self.types[index as usize].func().expect("validated: the type of a function")
    }

    /// The type of the tag with this index.
    pub(crate) fn tag_type(&self, tag: u32) -> TagType {
        let ty = self.func_type(self.tags[tag as usize]).clone();
        TagType::of(ty).expect("validated: the type of a tag has no results")
    }

    /// References to the type with this index.
    pub(crate) fn indexed_heap_type(&self, index: u32) -> HeapType {
        self.heap_types[index as usize]
    }

    /// Turns types of the module's bytes into those of the engine.
    pub(crate) fn parsed_types(&self) -> ParsedTypes<impl Fn(u32) -> HeapType> {
        ParsedTypes(|index| self.indexed_heap_type(index))
    }

    /// Number of tables, imported ones included.
    pub(crate) fn table_count(&self) -> u32 {
        (self.imported_tables.len() + self.tables.len()) as u32
    }

    /// Number of memories, imported ones included.
    pub(crate) fn memory_count(&self) -> u32 {
        (self.imported_memories.len() + self.memories.len()) as u32
    }

    /// The types of all memories, imported ones first.
    pub(crate) fn memory_types(&self) -> impl Iterator<Item = MemoryType> {
        self.imported_memories.iter().chain(&self.memories).copied()
    }

    /// The most that a memory reserves where all of them are guarded that can be; 0 if none can.
    pub(crate) fn reservation(&self) -> usize {
        self.memory_types().filter_map(reservation_of).max().unwrap_or(0)
    }

    /// Number of globals, imported ones included.
    pub(crate) fn global_count(&self) -> u32 {
        (self.imported_globals.len() + self.globals.len()) as u32
    }
}

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
    /// Tag index.
    Tag(u32),
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
        /// Offset expression: of the type of the table's or memory's addresses.
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
    /// References to these functions, be they written as indices or as expressions.
    Functions(Box<[u32]>),
    /// Other expressions of reference type.
    Expressions(ConstExprs),
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
