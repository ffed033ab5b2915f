//! What the optimiser may assume about the memory that compiled code touches: one alias region for each kind
//! of record, so that a store to linear memory does not make the code load its own context again.
//!
//! Only what is fixed for the whole life of an instance is called `readonly`. Pointers to execution contexts,
//! code cells and stack limits are not: they change under running code.

use std::borrow::Cow;

use cranelift_codegen::ir::{
    AliasRegion, AliasRegionData, AliasRegionSet, Endianness, Function, MemFlagsData, StackSlot, TrapCode,
};
use wasmrun_runtime::trap::Trap;

use crate::trap::code;

/// Flags for each kind of access.
pub(super) struct Flags {
    /// Words of the context that never change.
    pub fixed: MemFlagsData,
    /// Words of the context that change while other code runs.
    pub context: MemFlagsData,
    /// The execution context, but for its fuel.
    pub exec: MemFlagsData,
    /// The fuel.
    pub fuel: MemFlagsData,
    /// Base or first element, and length, of memories and tables.
    pub descriptor: MemFlagsData,
    /// Linear memories. More than one name can stand for the same memory.
    pub heap: MemFlagsData,
    /// Elements of tables. What is outside of a table is at address null, where this traps.
    pub elements: MemFlagsData,
    /// References to functions, and their code cells.
    pub functions: MemFlagsData,
    /// Imported globals. More than one name can stand for the same global.
    pub imported_globals: MemFlagsData,
    /// Globals of the instance itself that have no region of their own.
    own_globals: MemFlagsData,
    /// Results that are returned in memory, in slots of 8 bytes: vectors there are not aligned.
    pub results: MemFlagsData,
}

/// The region of counters, which functions of modules have that count.
const COUNTERS: u32 = 15;

/// The regions of what belongs to objects. Functions have those that they need.
const FIRST_OF_OBJECTS: u32 = 16;

/// The regions of the first few own globals: among them is the stack pointer of most compilers.
const FIRST_OWN_GLOBAL: u32 = 32;
const OWN_GLOBALS: u32 = 32;

/// The regions of fields near to the start of their structures, by offset: what is so far from the start of one cannot be
/// as far from that of another and the same place.
const FIRST_FIELD: u32 = FIRST_OWN_GLOBAL + OWN_GLOBALS;
const FIELDS: u32 = 128;

/// The regions of the places in the frame where references are during calls.
const FIRST_SPILLED: u32 = FIRST_FIELD + FIELDS;

impl Flags {
    pub(super) fn new(function: &mut Function) -> Flags {
        let mut next = 0;
        let mut region = |description: &'static str| {
            let flags = in_region(function, next, description.into());
            next += 1;
            flags
        };
        let context = region("context");
        Flags {
            fixed: context.with_readonly().with_can_move(),
            context,
            exec: region("execution context"),
            fuel: region("fuel"),
            descriptor: region("descriptors"),
            heap: guest_access(region("memories")),
            elements: region("tables").with_trap_code(Some(code::code_of(Trap::TableOutOfBounds))),
            functions: region("functions"),
            imported_globals: region("imported globals"),
            own_globals: region("globals"),
            results: unaligned(region("results")),
        }
    }

    /// The global that is at `position` among those of the instance itself.
    pub(super) fn own_global(&self, function: &mut Function, position: u32) -> MemFlagsData {
        if position >= OWN_GLOBALS {
            return self.own_globals;
        }
        in_region(function, FIRST_OWN_GLOBAL + position, format!("global {position}").into())
    }
}

/// What counts the segments of code.
pub(super) fn counters(function: &mut Function) -> MemFlagsData {
    in_region(function, COUNTERS, "counters".into())
}

/// What accesses to objects touch.
#[derive(Clone, Copy, Debug)]
pub(super) enum Objects {
    /// Where the heap is.
    Base,
    /// Where the next object goes, and must end.
    Allocation,
    /// The types of objects, and the lengths of arrays.
    Heads,
    /// Fields of structures at an offset.
    Fields(u32),
    /// Elements of arrays.
    Elements,
    /// Which places have been written: nobody reads it but the collector.
    Cards,
    /// What there is to know of a type. It is written before there are objects of the type.
    Types,
}

impl Objects {
    /// Flags for such accesses. Vectors in objects are not aligned.
    pub(super) fn flags(self, function: &mut Function) -> MemFlagsData {
        let mut region = |place, description| in_region(function, FIRST_OF_OBJECTS + place, description);
        match self {
            Objects::Base => region(0, "heap".into()),
            Objects::Allocation => region(1, "allocation".into()),
            Objects::Heads => region(2, "heads of objects".into()),
            Objects::Fields(offset) if offset < FIELDS => {
                unaligned(in_region(function, FIRST_FIELD + offset, format!("fields at {offset}").into()))
            }
            Objects::Fields(_) => unaligned(region(3, "fields".into())),
            Objects::Elements => unaligned(region(4, "elements".into())),
            Objects::Types => region(5, "types".into()),
            Objects::Cards => region(6, "cards".into()),
        }
    }
}

/// The region of a place in the frame where a reference is during calls: nothing else is stored there.
pub(super) fn spilled(regions: &mut AliasRegionSet, slot: StackSlot) -> AliasRegion {
    let description = format!("references {}", slot.as_u32()).into();
    regions.insert(AliasRegionData { user_id: FIRST_SPILLED + slot.as_u32(), description })
}

/// An access in the same region that traps where nothing is mapped. It need not be aligned: what guests say
/// about that is no promise.
fn guest_access(flags: MemFlagsData) -> MemFlagsData {
    MemFlagsData::new()
        .with_alias_region(flags.alias_region())
        .with_trap_code(Some(TrapCode::HEAP_OUT_OF_BOUNDS))
        .with_endianness(Endianness::Little)
}

/// An access in the same region that does not trap and need not be aligned.
fn unaligned(flags: MemFlagsData) -> MemFlagsData {
    MemFlagsData::new().with_notrap().with_alias_region(flags.alias_region())
}

fn in_region(function: &mut Function, user_id: u32, description: Cow<'static, str>) -> MemFlagsData {
    let region = function.dfg.alias_regions.insert(AliasRegionData { user_id, description });
    MemFlagsData::trusted().with_alias_region(Some(region))
}
