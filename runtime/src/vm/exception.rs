//! Exceptions: objects that say with which tag they were thrown and carry values, and how one that has been thrown travels.
//!
//! Nothing unwinds over Rust frames. Code that throws leaves the exception in the execution context and stops like code
//! that traps, with [`Pending::Exception`] as the reason. Whoever stops on its account looks for a handler among the frames
//! of its own segment first; only if there is none does the segment end, and the one that called it goes on looking.
//!
//! A tag is a number that the store has given it: an instance keeps those of its own and of imported tags in its context,
//! and an exception has that of its own.

use super::context::VmContext;
use super::exec::ExecContext;
use super::gc::shape::HEADER;
use crate::trap::{Pending, Trap};
use crate::types::TypeId;
use crate::types::object::{ObjectLayout, StructLayout};
use crate::types::table::record;

/// The identity of a tag in its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct TagId(pub(super) u32);

/// Offset of the [`TagId`] in an exception.
pub const EXCEPTION_TAG: usize = HEADER;

impl VmContext {
    /// The identity of a tag of the module.
    ///
    /// # Safety
    /// `this` is alive, and `tag` is an index of its module.
    #[inline]
    pub unsafe fn tag(this: *mut VmContext, tag: u32) -> TagId {
        // SAFETY: the caller's promise.
        unsafe { *VmContext::at(this, VmContext::module(this).layout().tag(tag)) }
    }
}

impl ExecContext {
    /// Throws: code stops for the returned reason.
    ///
    /// # Errors
    /// [`Trap::NullReference`] for null.
    pub fn throw(&mut self, exception: u32) -> Result<Pending, Trap> {
        if exception == 0 {
            return Err(Trap::NullReference);
        }
        self.exception = exception;
        Ok(Pending::Exception)
    }

    /// The exception that has been thrown arrives at a handler: what was pending is over.
    pub fn catch(&mut self) -> u32 {
        debug_assert_ne!(self.exception, 0);
        drop(self.take_pending());
        drop(self.take_stopped());
        self.native.trace.present = false;
        std::mem::take(&mut self.exception)
    }

    /// Whether code stops because of an exception.
    pub fn is_throwing(&self) -> bool {
        matches!(self.pending(), Some(Pending::Exception))
    }

    /// The exception that has been thrown, for which a handler is looked for; else null.
    pub fn exception(&self) -> u32 {
        self.exception
    }

    /// The tag of an exception.
    ///
    /// # Safety
    /// `exception` leads to one of the store.
    pub unsafe fn tag_of(&self, exception: u32) -> TagId {
        // SAFETY: the caller's promise.
        unsafe { self.gc.base.add(exception as usize + EXCEPTION_TAG).cast::<TagId>().read() }
    }

    /// Writes the tag of an exception that has just been made.
    ///
    /// # Safety
    /// As for [`ExecContext::tag_of`]; it is an object of the type that the tag has.
    pub unsafe fn set_tag_of(&mut self, exception: u32, tag: TagId) {
        // SAFETY: the caller's promise.
        unsafe { self.gc.base.add(exception as usize + EXCEPTION_TAG).cast::<TagId>().write(tag) }
    }

    /// How an exception is laid out: its tag, and the values that it carries.
    ///
    /// # Safety
    /// `exception` leads to one of the store.
    pub unsafe fn exception_layout(&self, exception: u32) -> &StructLayout {
        // SAFETY: the caller's promise: the object's kind is the type of its tag.
        unsafe {
            let kind = self.gc.base.add(exception as usize).cast::<TypeId>().read();
            match record(self.types, kind).layout.as_ref() {
                Some(ObjectLayout::Struct(layout)) => layout,
                other => unreachable!("an exception is laid out like a structure, not like {other:?}"),
            }
        }
    }
}
