//! Where things are in an instance's context ([`VmContext`](crate::vm::VmContext)): the single source of
//! its offsets for every tier.
//!
//! Offsets are constants of a module. The context is one allocation:
//!
//! ```text
//! head | imported functions     | memories | tables | imported globals | tags  | globals | funcrefs
//!        FuncRef each, *FuncRef   *Memory    *Table   *GlobalSlot        TagId   16 B      FuncRef each, made lazily
//! ```
//!
//! The record of an imported function is a copy, by which it is called; the pointer is to the function's own,
//! which references to it share and which may outlive the instance.

use crate::declarations::{Declarations, ElementItems, ExternIndex};

/// Bytes of the head of a context. The records assert that they have the sizes given here.
pub(crate) const HEAD: usize = 64;
/// Bytes of a [`FuncRef`](crate::vm::FuncRef).
pub(crate) const FUNC_REF: usize = 32;
/// Bytes of a [`GlobalSlot`](crate::vm::GlobalSlot).
pub(crate) const GLOBAL_SLOT: usize = 16;

/// Offsets in bytes from the start of the context.
#[derive(Clone, Debug)]
pub struct Layout {
    imported_functions: u32,
    imported_func_refs: u32,
    memories: u32,
    tables: u32,
    imported_globals: u32,
    imported_global_count: u32,
    tags: u32,
    globals: u32,
    func_refs: u32,
    size: u32,
    /// Slot of each function in the funcref array; [`NO_SLOT`] for a function that is never referenced.
    func_ref_slots: Box<[u32]>,
}

const NO_SLOT: u32 = u32::MAX;

impl Layout {
    /// The layout for a module that declares `declared`; constant expressions are ranges of `bytes`.
    pub(crate) fn new(declared: &Declarations, bytes: &[u8]) -> Layout {
        let (func_ref_slots, func_ref_count) = escaping_functions(declared, bytes);
        let mut end = HEAD as u32;
        let mut place = |count: usize, size: usize| {
            let at = end;
            end += (count * size) as u32;
            at
        };
        let imported_functions = place(declared.imported_functions as usize, FUNC_REF);
        let imported_func_refs = place(declared.imported_functions as usize, 8);
        let memories = place(declared.memory_count() as usize, 8);
        let tables = place(declared.table_count() as usize, 8);
        let imported_globals = place(declared.imported_globals.len(), 8);
        let tags = place(declared.tags.len(), 4);
        // Globals and funcrefs are aligned to 16: a v128 global is one aligned load.
        end = end.next_multiple_of(16);
        let mut place = |count: usize, size: usize| {
            let at = end;
            end += (count * size) as u32;
            at
        };
        let globals = place(declared.globals.len(), GLOBAL_SLOT);
        let func_refs = place(func_ref_count as usize, FUNC_REF);
        Layout {
            imported_functions,
            imported_func_refs,
            memories,
            tables,
            imported_globals,
            imported_global_count: declared.imported_globals.len() as u32,
            tags,
            globals,
            func_refs,
            size: end,
            func_ref_slots,
        }
    }

    /// Bytes of the whole context.
    pub fn size(&self) -> usize {
        self.size as usize
    }

    /// The record of an imported function, by which it is called.
    pub fn imported_function(&self, function: u32) -> u32 {
        self.imported_functions + function * FUNC_REF as u32
    }

    /// The pointer to the record that references to an imported function point at.
    pub(crate) fn imported_func_ref(&self, function: u32) -> u32 {
        self.imported_func_refs + function * 8
    }

    /// The pointer to a memory.
    pub fn memory(&self, memory: u32) -> u32 {
        self.memories + memory * 8
    }

    /// The pointer to a table.
    pub fn table(&self, table: u32) -> u32 {
        self.tables + table * 8
    }

    /// Where a global is.
    pub fn global(&self, global: u32) -> GlobalPlace {
        match global.checked_sub(self.imported_global_count) {
            None => GlobalPlace::Imported(self.imported_globals + global * 8),
            Some(defined) => GlobalPlace::Own(self.globals + defined * GLOBAL_SLOT as u32),
        }
    }

    /// The identity of a tag.
    pub fn tag(&self, tag: u32) -> u32 {
        self.tags + tag * 4
    }

    /// The slot for the funcref of a function that the module defines and that something refers to.
    pub fn func_ref(&self, function: u32) -> Option<u32> {
        match self.func_ref_slots.get(function as usize) {
            None | Some(&NO_SLOT) => None,
            Some(&slot) => Some(self.func_refs + slot * FUNC_REF as u32),
        }
    }
}

/// Where a global is.
#[derive(Clone, Copy, Debug)]
pub enum GlobalPlace {
    /// In the context itself, at this offset.
    Own(u32),
    /// Behind the pointer at this offset.
    Imported(u32),
}

/// Gives a slot to each defined function that can become a reference: exported, in an element segment, in
/// a constant expression (which covers `ref.func` in code, as that needs a declaration), or the start
/// function.
fn escaping_functions(declared: &Declarations, bytes: &[u8]) -> (Box<[u32]>, u32) {
    let mut slots = vec![NO_SLOT; declared.functions.len()].into_boxed_slice();
    let mut count = 0;
    let mut escape = |function: u32| {
        let slot = &mut slots[function as usize];
        if function >= declared.imported_functions && *slot == NO_SLOT {
            *slot = count;
            count += 1;
        }
    };
    for export in &declared.exports {
        if let ExternIndex::Func(function) = export.index {
            escape(function);
        }
    }
    for segment in &declared.elements {
        match &segment.items {
            ElementItems::Functions(functions) => functions.iter().copied().for_each(&mut escape),
            ElementItems::Expressions(items) => {
                items.iter(bytes).for_each(|item| item.for_each_function(bytes, &mut escape));
            }
        }
    }
    for global in &declared.globals {
        global.init.for_each_function(bytes, &mut escape);
    }
    for init in declared.tables.iter().filter_map(|t| t.init.as_ref()) {
        init.for_each_function(bytes, &mut escape);
    }
    declared.start.into_iter().for_each(&mut escape);
    (slots, count)
}
