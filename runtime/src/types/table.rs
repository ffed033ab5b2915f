//! What code asks of the type of an object, by the number of the type, without a lock: what is above it, and what its
//! objects look like.
//!
//! The table belongs to a registry, grows with it and never moves, so that code of all threads reads it while another one
//! adds to it. A record is written before the number of its type is given to anybody. The registry itself reads types here.
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

use super::composite::{CompositeType, SubType};
use super::object::ObjectLayout;
use super::registry::{TooManyTypes, TypeId};

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
    /// The type itself; null where there is none.
    pub(super) known: *const KnownType,
}

/// A type that has been registered, with what records point at.
#[derive(Debug)]
pub(super) struct KnownType {
    pub(super) ty: SubType,
    /// The types above it, the highest first, and then itself.
    path: Box<[TypeId]>,
    layout: Option<ObjectLayout>,
}

impl KnownType {
    /// The type with this number, below these, the highest first.
    pub(super) fn new(id: TypeId, supertypes: &[TypeId], ty: SubType) -> KnownType {
        let path = supertypes.iter().copied().chain([id]).collect();
        KnownType { layout: ObjectLayout::new(&ty.composite), path, ty }
    }

    /// The types above it, the highest first, and then itself.
    pub(super) fn path(&self) -> &[TypeId] {
        &self.path
    }

    /// How its objects are laid out; functions are none.
    pub(super) fn layout(&self) -> Option<&ObjectLayout> {
        self.layout.as_ref()
    }
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
        known: ptr::null(),
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
    #[expect(clippy::vec_box, reason = "they do not move when there are more")]
    known: Vec<Box<KnownType>>,
    none: *mut TypeRecord,
}

// SAFETY: what the pointers lead to belongs to the table, and is not changed after it can be found.
unsafe impl Send for TypeTable {}
// SAFETY: as above.
unsafe impl Sync for TypeTable {}

impl Default for TypeTable {
    fn default() -> TypeTable {
        let none = Box::into_raw(Box::new(TypeRecord::NONE));
        let bytes = (1 << (32 - TypeRecord::CHUNK_BITS)) * size_of::<*const TypeRecord>();
        let directory = pages(bytes).unwrap_or_else(|_| {
            let layout = std::alloc::Layout::from_size_align(bytes, 64).expect("less than a megabyte");
            std::alloc::handle_alloc_error(layout)
        });
        let mut table = TypeTable { directory, chunks: Vec::new(), known: Vec::new(), none };
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

    /// How many types there are: the number of the next one.
    pub(super) fn len(&self) -> u32 {
        self.known.len() as u32
    }

    /// The types above one of them, the highest first, and then itself.
    pub(super) fn path(&self, id: TypeId) -> &[TypeId] {
        self.known[id.0 as usize].path()
    }

    fn set_chunk(&mut self, id: u32, chunk: *const TypeRecord) {
        let place = self.directory.as_mut_ptr::<*const TypeRecord>();
        // SAFETY: the directory has an entry for each number.
        unsafe { place.add((id >> TypeRecord::CHUNK_BITS) as usize).write(chunk) };
    }

    /// Has room for so many types more.
    ///
    /// # Errors
    /// The system has none.
    pub(super) fn reserve(&mut self, count: u32) -> Result<(), TooManyTypes> {
        while (self.chunks.len() as u64) << TypeRecord::CHUNK_BITS < u64::from(self.len()) + u64::from(count)
        {
            let chunk = pages(size_of::<TypeRecord>() << TypeRecord::CHUNK_BITS)?;
            self.set_chunk((self.chunks.len() as u32) << TypeRecord::CHUNK_BITS, chunk.as_ptr());
            self.chunks.push(chunk);
        }
        Ok(())
    }

    /// Writes the record of the next type. There is room.
    pub(super) fn add(&mut self, known: KnownType) {
        let at = self.known.len() & ((1 << TypeRecord::CHUNK_BITS) - 1);
        let chunk = &mut self.chunks[self.known.len() >> TypeRecord::CHUNK_BITS];
        let known = Box::new(known);
        let mut display = [TypeId::NONE; DISPLAY];
        display.iter_mut().zip(&known.path).for_each(|(place, id)| *place = *id);
        let record = TypeRecord {
            display,
            path: known.path.as_ptr(),
            layout: known.layout.as_ref().map_or(ptr::null(), ptr::from_ref),
            depth: known.path.len() as u32 - 1,
            kind: match known.ty.composite {
                CompositeType::Func(_) => TypeKind::Func,
                CompositeType::Struct(_) => TypeKind::Struct,
                CompositeType::Array(_) => TypeKind::Array,
            },
            known: &raw const *known,
        };
        // SAFETY: the place is in the chunk, and nobody knows of it yet.
        unsafe { chunk.as_mut_ptr::<TypeRecord>().add(at).write(record) };
        self.known.push(known);
    }
}

/// Pages of zeroes, which take no memory until they are written.
fn pages(bytes: usize) -> Result<Allocation, TooManyTypes> {
    region::alloc(bytes, Protection::READ_WRITE).map_err(|_| TooManyTypes::System)
}

impl Drop for TypeTable {
    fn drop(&mut self) {
        // SAFETY: made from a box, once.
        drop(unsafe { Box::from_raw(self.none) });
    }
}

impl fmt::Debug for TypeTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypeTable").field("types", &self.known.len()).finish_non_exhaustive()
    }
}
