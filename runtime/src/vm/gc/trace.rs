//! One collection: from the roots to everything that can be reached.

use std::ops::Range;
use std::ptr;

use super::host_values::HostValues;
use super::large::LargeObjects;
use super::shape::{ARRAY_LENGTH, EXTERN_BYTES, EXTERN_INDEX, Kind, Layouts, elements};
use crate::types::object::{ObjectLayout, Storage};

/// A collection that goes on: it is shown the words that hold references.
#[derive(Debug)]
pub struct Tracer<'h> {
    base: *mut u8,
    /// The objects that are moved.
    moving: Range<u32>,
    /// Where those that have been moved start whose references have not been looked at.
    scan: u32,
    /// Where the next one goes.
    top: u32,
    layouts: Layouts,
    large: &'h mut LargeObjects,
    values: &'h mut HostValues,
    /// Large objects whose references have not been looked at.
    grey: Vec<u32>,
}

impl<'h> Tracer<'h> {
    pub(super) fn new(
        base: *mut u8,
        moving: Range<u32>,
        to: u32,
        layouts: Layouts,
        large: &'h mut LargeObjects,
        values: &'h mut HostValues,
    ) -> Tracer<'h> {
        Tracer { base, moving, scan: to, top: to, layouts, large, values, grey: Vec::new() }
    }

    /// Keeps alive what a reference leads to. Returns the reference from now on.
    ///
    /// # Safety
    /// The reference is null, a number, or leads to an object of the heap as it was before the collection.
    #[inline]
    pub unsafe fn forward(&mut self, reference: u32) -> u32 {
        if reference == 0 || reference & 1 != 0 {
            return reference;
        }
        if !self.moving.contains(&reference) {
            if self.large.mark(reference as usize) {
                self.grey.push(reference);
            }
            return reference;
        }
        // SAFETY: an object is there, with a header at least.
        unsafe {
            match self.at(reference + 4).read() {
                0 => self.copy(reference),
                forwarding => forwarding,
            }
        }
    }

    /// Keeps alive what the reference in a word leads to, and updates the word.
    ///
    /// # Safety
    /// The word is valid; see [`Tracer::forward`].
    #[inline]
    pub unsafe fn visit(&mut self, word: *mut u32) {
        // SAFETY: the caller's promise.
        unsafe { word.write(self.forward(word.read())) };
    }

    unsafe fn copy(&mut self, reference: u32) -> u32 {
        // SAFETY: an object is there that has not been copied; the other half has as much room as this one.
        unsafe {
            let bytes = self.bytes(reference);
            let to = self.top;
            ptr::copy_nonoverlapping(self.at(reference).cast::<u8>(), self.at(to).cast::<u8>(), bytes);
            self.at(reference + 4).write(to);
            self.top += bytes as u32;
            to
        }
    }

    /// Looks at the references of all that can be reached. Returns where the last object that was moved ends.
    pub(super) unsafe fn finish(mut self) -> u32 {
        // SAFETY: what has been copied or marked are objects.
        unsafe {
            loop {
                while self.scan < self.top {
                    let object = self.scan;
                    self.scan += self.bytes(object) as u32;
                    self.look_at(object);
                }
                match self.grey.pop() {
                    Some(object) => self.look_at(object),
                    None => return self.top,
                }
            }
        }
    }

    /// Bytes of an object.
    unsafe fn bytes(&self, object: u32) -> usize {
        // SAFETY: the caller's promise.
        unsafe {
            match Kind(self.at(object).read()) {
                Kind::EXTERN => EXTERN_BYTES,
                kind => match self.layouts.of(kind) {
                    ObjectLayout::Struct(layout) => layout.bytes as usize,
                    ObjectLayout::Array(layout) => layout.bytes(self.at(object + ARRAY_LENGTH as u32).read()),
                },
            }
        }
    }

    /// Forwards the references of an object.
    unsafe fn look_at(&mut self, object: u32) {
        // SAFETY: the caller's promise, and the shapes tell where the references are.
        unsafe {
            let kind = Kind(self.at(object).read());
            if kind == Kind::EXTERN {
                let index = self.at(object + EXTERN_INDEX as u32);
                return index.write(self.values.keep(index.read()));
            }
            match self.layouts.of(kind) {
                ObjectLayout::Struct(layout) => {
                    for offset in &layout.references {
                        self.visit(self.at(object + offset));
                    }
                }
                ObjectLayout::Array(layout) if layout.storage == Storage::Reference => {
                    let len = self.at(object + ARRAY_LENGTH as u32).read();
                    let start = self.base.wrapping_add(object as usize);
                    for offset in elements(layout.first, len).step_by(4) {
                        self.visit(start.wrapping_add(offset).cast());
                    }
                }
                ObjectLayout::Array(_) => {}
            }
        }
    }

    fn at(&self, offset: u32) -> *mut u32 {
        self.base.wrapping_add(offset as usize).cast()
    }
}
