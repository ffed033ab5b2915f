//! How each function type is entered: found by the type's engine-wide id, without a lock or a search, as the host
//! and tier 0 do so at every call.
//!
//! Entrances are shared by address and freed with the engine's code alone: that is what needs `unsafe`.
#![allow(unsafe_code)]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use wasmrun_runtime::types::{FuncType, SignatureSlots, TypeId};

use crate::stubs::{AbiClass, EnterStub, StubError, Stubs};

/// What a call of compiled functions of one type needs.
#[derive(Debug)]
pub(crate) struct Entrance {
    pub(crate) stub: EnterStub,
    /// Slots of the class: all arguments or results, one behind the other.
    pub(crate) slots: usize,
    /// Slots as tier 0 and the host have them.
    pub(crate) spread: SignatureSlots,
}

impl Entrance {
    /// The entrance of functions of type `ty`, which `stub` belongs to.
    pub(crate) fn new(stub: EnterStub, ty: &FuncType) -> Entrance {
        Entrance { stub, slots: AbiClass::of(ty).slots(), spread: ty.slots() }
    }
}

/// Slots of a shelf: the first has this many, each further one twice as many as the one before.
const FIRST: usize = 64;

type Shelf = Box<[AtomicPtr<Entrance>]>;

/// All entrances of an engine that have been asked for.
#[derive(Debug, Default)]
pub(crate) struct Entrances {
    shelves: [OnceLock<Shelf>; 27],
}

impl Entrances {
    /// The entrance of the functions of a type: `ty`, whose id is `id`.
    #[inline]
    pub(crate) fn get<'t>(
        &self,
        stubs: &Stubs,
        id: TypeId,
        ty: impl FnOnce() -> &'t FuncType,
    ) -> Result<&Entrance, StubError> {
        let (shelf, place) = position(id);
        let known = self.shelves[shelf].get().map(|shelf| shelf[place].load(Ordering::Acquire));
        match known {
            // SAFETY: entrances stay until this is dropped.
            Some(entrance) if !entrance.is_null() => Ok(unsafe { &*entrance }),
            _ => self.make(stubs, id, ty()),
        }
    }

    /// Makes the entrance of the type `ty`, whose id is `id`.
    #[cold]
    fn make(&self, stubs: &Stubs, id: TypeId, ty: &FuncType) -> Result<&Entrance, StubError> {
        let (shelf, place) = position(id);
        let shelf =
            self.shelves[shelf].get_or_init(|| (0..FIRST << shelf).map(|_| AtomicPtr::default()).collect());
        let new = Box::into_raw(Box::new(Entrance::new(stubs.enter(ty)?, ty)));
        let empty = std::ptr::null_mut();
        let kept = shelf[place].compare_exchange(empty, new, Ordering::AcqRel, Ordering::Acquire);
        // SAFETY: `new` is a box that nobody else knows unless it was put there; what is there stays.
        unsafe {
            match kept {
                Ok(_) => Ok(&*new),
                Err(other) => {
                    drop(Box::from_raw(new));
                    Ok(&*other)
                }
            }
        }
    }
}

impl Drop for Entrances {
    fn drop(&mut self) {
        for place in self.shelves.iter().filter_map(OnceLock::get).flatten() {
            let entrance = place.load(Ordering::Acquire);
            if !entrance.is_null() {
                // SAFETY: a box of `make`, which nobody borrows any more.
                drop(unsafe { Box::from_raw(entrance) });
            }
        }
    }
}

/// Shelf and place of a type.
fn position(id: TypeId) -> (usize, usize) {
    let at = id.0 as usize + FIRST;
    let shelf = (at / FIRST).ilog2() as usize;
    (shelf, at - (FIRST << shelf))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_a_place_of_its_own_and_neighbours_are_side_by_side() {
        assert_eq!(position(TypeId(0)), (0, 0));
        assert_eq!(position(TypeId(63)), (0, 63));
        assert_eq!(position(TypeId(64)), (1, 0));
        assert_eq!(position(TypeId(191)), (1, 127));
        assert_eq!(position(TypeId(192)), (2, 0));
        let (shelf, place) = position(TypeId(u32::MAX));
        assert!(shelf < Entrances::default().shelves.len() && place < FIRST << shelf);
    }
}
