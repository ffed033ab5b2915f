//! What code asks of the type of an object, by the number of the type, without a lock: what is above it, and what its
//! objects look like.
//!
//! The table belongs to a registry, grows with it and never moves, so that code of all threads reads it while another one
//! adds to it. A record is written before the number of its type is given to anybody.
//!
//! ```text
//! directory: [*chunk; 2¹⁶]   chunk: [TypeRecord; 2¹⁶]   record of `id`: directory[id >> 16] + (id & 0xffff) * 64
//! ```
//!
//! A number that is no type, [`TypeId::NONE`], has a record too: the kind of objects of the host.
#![allow(unsafe_code)]

use std::fmt;
use std::ptr;

use region::{Allocation, Protection};

use super::composite::CompositeType;
use super::object::ObjectLayout;
use super::registry::TypeId;

/// Types that a record names by itself: those with fewer types above them are tested by one comparison.
pub const DISPLAY: usize = 8;

/// What a type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum TypeKind {
    /// There is no such type.
    None,
    /// A function.
    Func,
    /// A structure.
    Struct,
    /// An array.
    Array,
}

/// What there is to know of a type.
///
/// Type `a` is `b`, which has `d` types above it, or declared below it, if `a.display[d]` is `b`: one comparison where `d`
/// is less than [`DISPLAY`]. Else `a.depth >= d` and `a.path[d]` is `b`.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct TypeRecord {
    /// The types above it, the highest first, and then itself, as far as there is room; [`TypeId::NONE`] behind that.
    pub display: [TypeId; DISPLAY],
    /// The types above it, the highest first, and then itself, all of them.
    pub path: *const TypeId,
    /// How its objects are laid out, or the exceptions with such tags; null for functions that have results.
    pub layout: *const ObjectLayout,
    /// How many types are above it.
    pub depth: u32,
    /// What it is.
    pub kind: TypeKind,
}

const _: () = assert!(size_of::<TypeRecord>() == 1 << TypeRecord::SHIFT);

impl TypeRecord {
    /// A record is so many bytes, as a power of two.
    pub const SHIFT: u32 = 6;
    /// So many bits of a number select the record in its chunk; the others the chunk.
    pub const CHUNK_BITS: u32 = 16;

    const NONE: TypeRecord = TypeRecord {
        display: [TypeId::NONE; DISPLAY],
        path: ptr::null(),
        layout: ptr::null(),
        depth: 0,
        kind: TypeKind::None,
    };

    /// Whether the type is `other`, of the same table, or declared below it. `depth` is how many types are above `other`.
    ///
    /// # Safety
    /// The table is alive.
    #[inline(always)]
    pub unsafe fn is_subtype(&self, other: TypeId, depth: u32) -> bool {
        if (depth as usize) < DISPLAY {
            return self.display[depth as usize] == other;
        }
        // SAFETY: a path is one longer than the depth.
        self.depth >= depth && unsafe { *self.path.add(depth as usize) == other }
    }
}

/// Where the chunks are: what compiled code begins with.
pub type Directory = *const *const TypeRecord;

/// The record of a type.
///
/// # Safety
/// The table is alive, and `id` is one of it, or [`TypeId::NONE`].
#[inline(always)]
pub unsafe fn record<'t>(directory: Directory, id: TypeId) -> &'t TypeRecord {
    // SAFETY: the caller's promise.
    unsafe {
        let chunk = *directory.add((id.0 >> TypeRecord::CHUNK_BITS) as usize);
        &*chunk.wrapping_add((id.0 & ((1 << TypeRecord::CHUNK_BITS) - 1)) as usize)
    }
}

/// The records of all types of a registry.
pub(super) struct TypeTable {
    directory: Allocation,
    chunks: Vec<Allocation>,
    /// What records point at.
    paths: Vec<Box<[TypeId]>>,
    #[allow(clippy::vec_box)]
    layouts: Vec<Box<ObjectLayout>>,
    none: *mut TypeRecord,
    has_functions: bool,
}

// SAFETY: what the pointers lead to belongs to the table, and is not changed after it can be found.
unsafe impl Send for TypeTable {}
// SAFETY: as above.
unsafe impl Sync for TypeTable {}

impl Default for TypeTable {
    fn default() -> TypeTable {
        let none = Box::into_raw(Box::new(TypeRecord::NONE));
        let mut table = TypeTable {
            directory: pages((1 << (32 - TypeRecord::CHUNK_BITS)) * size_of::<*const TypeRecord>()),
            chunks: Vec::new(),
            paths: Vec::new(),
            layouts: Vec::new(),
            none,
            has_functions: false,
        };
        // Where the chunk of the last number would begin.
        let chunk = none.wrapping_sub((1 << TypeRecord::CHUNK_BITS) - 1);
        table.set_chunk(u32::MAX, chunk);
        table
    }
}

impl TypeTable {
    pub(super) fn directory(&self) -> Directory {
        self.directory.as_ptr()
    }

    /// Whether there are types of objects that refer to functions.
    pub(super) fn has_functions(&self) -> bool {
        self.has_functions
    }

    fn set_chunk(&mut self, id: u32, chunk: *const TypeRecord) {
        let place = self.directory.as_mut_ptr::<*const TypeRecord>();
        // SAFETY: the directory has an entry for each number.
        unsafe { place.add((id >> TypeRecord::CHUNK_BITS) as usize).write(chunk) };
    }

    /// Writes the record of the next type, whose supertypes are these, the highest first.
    pub(super) fn add(&mut self, id: TypeId, supertypes: &[TypeId], ty: &CompositeType) {
        let at = (id.0 & ((1 << TypeRecord::CHUNK_BITS) - 1)) as usize;
        if at == 0 {
            let chunk = pages(size_of::<TypeRecord>() << TypeRecord::CHUNK_BITS);
            self.set_chunk(id.0, chunk.as_ptr());
            self.chunks.push(chunk);
        }
        let path: Box<[TypeId]> = supertypes.iter().copied().chain([id]).collect();
        let mut display = [TypeId::NONE; DISPLAY];
        display.iter_mut().zip(&path).for_each(|(place, id)| *place = *id);
        let layout = ObjectLayout::new(ty).map(Box::new);
        let record = TypeRecord {
            display,
            path: path.as_ptr(),
            layout: layout.as_deref().map_or(ptr::null(), ptr::from_ref),
            depth: supertypes.len() as u32,
            kind: match ty {
                CompositeType::Func(_) => TypeKind::Func,
                CompositeType::Struct(_) => TypeKind::Struct,
                CompositeType::Array(_) => TypeKind::Array,
            },
        };
        self.has_functions |= layout.as_ref().is_some_and(|layout| layout.has_functions());
        self.paths.push(path);
        self.layouts.extend(layout);
        let chunk = self.chunks.last_mut().expect("types are added in order").as_mut_ptr::<TypeRecord>();
        // SAFETY: the place is in the chunk, and nobody knows of it yet.
        unsafe { chunk.add(at).write(record) };
    }
}

/// Pages of zeroes, which take no memory until they are written.
fn pages(bytes: usize) -> Allocation {
    region::alloc(bytes, Protection::READ_WRITE).unwrap_or_else(|_| {
        let layout = std::alloc::Layout::from_size_align(bytes, 64).expect("a size of a few megabytes");
        std::alloc::handle_alloc_error(layout)
    })
}

impl Drop for TypeTable {
    fn drop(&mut self) {
        // SAFETY: made from a box, once.
        drop(unsafe { Box::from_raw(self.none) });
    }
}

impl fmt::Debug for TypeTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypeTable").field("types", &self.paths.len()).finish_non_exhaustive()
    }
}
