//! What is in an object, as its kind says.

use std::ops::Range;

use super::shape::{ARRAY_LENGTH, EXTERN_BYTES, Kind, Layouts};
use crate::types::object::{ArrayLayout, ObjectLayout, Storage};
use crate::vm::func_ref::FuncRef;

/// The objects of a heap.
#[derive(Clone, Copy, Debug)]
pub(super) struct Objects {
    pub(super) base: *mut u8,
    pub(super) layouts: Layouts,
}

impl Objects {
    /// A word of the heap.
    #[inline]
    pub(super) fn at(self, offset: usize) -> *mut u32 {
        self.base.wrapping_add(offset).cast()
    }

    /// The kind of an object.
    ///
    /// # Safety
    /// It is one of the heap, which is as its kind says. The same holds for what is below.
    #[inline]
    pub(super) unsafe fn kind(self, object: u32) -> Kind {
        // SAFETY: the caller's promise.
        Kind(unsafe { self.at(object as usize).read() })
    }

    /// Bytes of an object.
    #[inline]
    pub(super) unsafe fn bytes(self, object: u32) -> usize {
        // SAFETY: the caller's promise.
        unsafe {
            match self.kind(object) {
                Kind::EXTERN => EXTERN_BYTES,
                kind => match self.layouts.of(kind) {
                    ObjectLayout::Struct(layout) => layout.bytes as usize,
                    ObjectLayout::Array(layout) => layout.bytes(self.len(object)),
                },
            }
        }
    }

    unsafe fn len(self, array: u32) -> u32 {
        // SAFETY: the callers' promise.
        unsafe { self.at(array as usize + ARRAY_LENGTH).read() }
    }

    /// Calls `visit` with the place of each reference of an object, which is no value of the host. Returns its bytes.
    #[inline]
    pub(super) unsafe fn references(self, object: u32, mut visit: impl FnMut(usize)) -> usize {
        // SAFETY: the caller's promise, and the shapes tell where the references are.
        unsafe {
            match self.layouts.of(self.kind(object)) {
                ObjectLayout::Struct(layout) => {
                    layout.references.iter().for_each(|offset| visit(object as usize + *offset as usize));
                    layout.bytes as usize
                }
                ObjectLayout::Array(layout) => {
                    let len = self.len(object);
                    if layout.storage == Storage::Reference {
                        elements(object, layout, len).step_by(4).for_each(visit);
                    }
                    layout.bytes(len)
                }
            }
        }
    }

    /// The same for those references alone whose places are in a part of the heap.
    pub(super) unsafe fn references_in(
        self,
        object: u32,
        part: &Range<usize>,
        mut visit: impl FnMut(usize),
    ) -> usize {
        // SAFETY: the caller's promise.
        unsafe {
            let kind = self.kind(object);
            if kind == Kind::EXTERN {
                return EXTERN_BYTES;
            }
            match self.layouts.of(kind) {
                ObjectLayout::Array(layout) => {
                    let len = self.len(object);
                    if layout.storage == Storage::Reference {
                        // Elements are aligned to their size, and parts to more.
                        let all = elements(object, layout, len);
                        (all.start.max(part.start)..all.end.min(part.end)).step_by(4).for_each(visit);
                    }
                    layout.bytes(len)
                }
                ObjectLayout::Struct(_) => self.references(object, |place| {
                    if part.contains(&place) {
                        visit(place);
                    }
                }),
            }
        }
    }

    /// Whether there are references in objects of a kind.
    pub(super) unsafe fn refers(self, kind: Kind) -> bool {
        // SAFETY: the caller's promise.
        match unsafe { self.layouts.of(kind) } {
            ObjectLayout::Struct(layout) => !layout.references.is_empty(),
            ObjectLayout::Array(layout) => layout.storage == Storage::Reference,
        }
    }

    /// Calls `visit` with each function that an object refers to. Returns its bytes.
    pub(super) unsafe fn functions(self, object: u32, visit: &mut dyn FnMut(*const FuncRef)) -> usize {
        // SAFETY: the caller's promise.
        unsafe {
            let kind = self.kind(object);
            if kind == Kind::EXTERN {
                return EXTERN_BYTES;
            }
            let mut see = |offset: usize| {
                let function = self.at(object as usize + offset).cast::<*const FuncRef>().read();
                if !function.is_null() {
                    visit(function);
                }
            };
            match self.layouts.of(kind) {
                ObjectLayout::Struct(layout) => {
                    layout.functions.iter().for_each(|offset| see(*offset as usize));
                    layout.bytes as usize
                }
                ObjectLayout::Array(layout) => {
                    let len = self.len(object);
                    if layout.storage == Storage::Function {
                        (0..len as usize).for_each(|i| see(layout.first as usize + 8 * i));
                    }
                    layout.bytes(len)
                }
            }
        }
    }
}

/// The places of an array's references.
fn elements(array: u32, layout: &ArrayLayout, len: u32) -> Range<usize> {
    let first = array as usize + layout.first as usize;
    first..first + len as usize * 4
}
