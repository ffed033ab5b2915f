//! Objects of the guest, as the host sees them: handles of references, and the types of structures and arrays.
//!
//! This is one of the modules that hold the crate's `unsafe`: fields are read and written where the layout of an object's
//! type says. References are looked up anew after everything that can collect.
#![allow(unsafe_code)]

mod any;
mod array;
mod exn;
mod structure;
mod types;

pub use any::{AnyRef, EqRef, I31};
pub use array::{ArrayRef, ArrayRefPre};
pub use exn::ExnRef;
pub(crate) use exn::{Carried, carried, tag_of};
pub use structure::{StructRef, StructRefPre};
pub use types::{ArrayType, StructType};
pub(crate) use types::{check_known, check_signature};

use wasmrun_runtime::types::TypeId;
use wasmrun_runtime::types::object::Storage;
use wasmrun_runtime::vm::gc::shape::Kind;

use crate::entry::from_pending;
use crate::error::{Error, Result};
use crate::rooted::drop_dead;
use crate::store::{StoreInner, StoreOpaque};
use crate::types::{FieldType, Mutability};
use crate::values::Val;

/// Makes an object of a type, of so many bytes, whose fields are 0 and null. Returns the reference to it.
///
/// # Safety
/// Objects of the type have so many bytes. The length of an array is written next.
unsafe fn allocate<T: 'static>(inner: &mut StoreInner<T>, ty: TypeId, bytes: usize) -> Result<u32> {
    // The frames that a callback has interrupted are not as a collection needs them.
    inner.opaque.check_not_in_callback()?;
    let (store, mut limiter) = inner.split_limiter();
    // SAFETY: the store is borrowed exclusively, outside of callbacks: guest code, if any is running, has called the host.
    let made = unsafe {
        store.vm.allocate(Kind::of_type(ty), bytes, &mut |current, desired| {
            limiter.ask(true, |limiter| limiter.gc_heap_growing(current, desired))
        })
    };
    drop_dead(store);
    made.map_err(from_pending)
}

/// A place in an object: its offset, how it is stored, and its type.
#[derive(Clone, Copy)]
struct Place {
    offset: usize,
    storage: Storage,
    ty: FieldType,
}

impl Place {
    /// The value there.
    ///
    /// # Safety
    /// `object` leads to an object of the store that has the place.
    unsafe fn get(self, store: &mut StoreOpaque, object: u32) -> Val {
        // SAFETY: the caller's promise: what is stored is a value of the type.
        unsafe {
            let words = store.vm.load(object, self.offset, self.storage);
            Val::of_words(store, self.ty.element.unpack(), words)
        }
    }

    /// Stores a value there.
    ///
    /// # Errors
    /// It is of another type.
    ///
    /// # Safety
    /// As for [`Place::get`].
    unsafe fn set(self, store: &mut StoreOpaque, object: u32, value: &Val) -> Result<()> {
        let words = value.to_words(store, self.ty.element.unpack())?;
        // SAFETY: the caller's promise, and the type has been checked.
        unsafe { store.vm.store_field(object, self.offset, self.storage, words) };
        Ok(())
    }

    /// Fails if the place cannot be assigned.
    fn check_mutable(self, what: &str) -> Result<()> {
        match self.ty.mutability {
            Mutability::Var => Ok(()),
            Mutability::Const => Err(Error::msg(format!("{what} is immutable"))),
        }
    }
}
