//! What the collector asks of objects: their kind, how long they are, and where their references are.
//!
//! Objects of the guest look like [their type says](crate::types::object). Besides there are
//!
//! ```text
//! host value:    [kind: u32 | forwarding: u32 | index in the store's table of host values: u32 | 0: u32]
//! ```
//!
//! The kind is the number of the object's type in its engine or, from the top down, one of the few that are no types. The
//! second word is 0 but during a collection, in objects that have been moved.

use crate::types::TypeId;
use crate::types::object::ObjectLayout;
pub use crate::types::object::{ALIGN, ARRAY_LENGTH, HEADER};
use crate::types::table::{Directory, record};

/// Offset of the index of a host value.
pub(super) const EXTERN_INDEX: usize = HEADER;

/// Bytes of the object of a host value.
pub(super) const EXTERN_BYTES: usize = HEADER + 8;

/// The first word of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Kind(pub(super) u32);

impl Kind {
    /// A value of the host.
    pub const EXTERN: Kind = Kind(TypeId::NONE.0);

    /// Objects of this type.
    pub const fn of_type(id: TypeId) -> Kind {
        Kind(id.0)
    }

    /// The type of such objects; [`TypeId::NONE`] for those of the host.
    pub const fn type_id(self) -> TypeId {
        TypeId(self.0)
    }
}

/// The layouts of the types of an engine's objects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layouts(Directory);

// SAFETY: whoever has it keeps the registry alive, whose records all threads may read.
unsafe impl Send for Layouts {}
// SAFETY: as above.
unsafe impl Sync for Layouts {}

impl Layouts {
    /// Those of the registry with this directory.
    pub(super) fn new(directory: Directory) -> Layouts {
        Layouts(directory)
    }

    /// The layout of a kind that is a type.
    ///
    /// # Safety
    /// The registry is alive.
    ///
    /// # Panics
    /// There are no such objects.
    #[inline]
    pub(super) unsafe fn of<'l>(self, kind: Kind) -> &'l ObjectLayout {
        let known = (kind.0 >> 31 == 0).then(|| {
            // SAFETY: the caller's promise; the kinds of objects are types of it, and poison is above them.
            unsafe { record(self.0, TypeId(kind.0)).layout.as_ref() }
        });
        known.flatten().unwrap_or_else(|| panic!("a reference leads to no object, but to {:#x}", kind.0))
    }
}
