//! Exceptions as errors: of calls that they have left, and of functions of the host that throw them.
//!
//! This is one of the modules that hold the crate's `unsafe`: an exception is read that the store keeps.
#![allow(unsafe_code)]

use std::fmt;
use std::sync::Arc;

use crate::error::Result;
use crate::externs::Tag;
use crate::objects::{Carried, ExnRef, carried, tag_of};
use crate::rooted::{OwnedRooted, RootedGcRef, sealed};
use crate::store::{AsContextMut, StoreOpaque};
use crate::values::Val;

/// An exception that is thrown: the error of a call that it has left, as nothing in there has caught it, and the error with
/// which a function of the host throws it.
///
/// What a function of the host returns as its error is an exception for the guest, which can catch it, if there is an
/// `Exception` of the store anywhere in the error. So a function that calls the guest and gives back the errors of that call
/// passes exceptions on. The guest sees nothing of the context around them.
///
/// It keeps the exception alive. Its message has the numbers that it carries, and needs no store.
///
/// ```
/// use wasmrun::{Caller, Engine, Exception, ExnRef, Func, Result, Store, Tag, TagType, Val, ValType};
///
/// let mut store = Store::new(&Engine::default(), ());
/// let tag = Tag::new(&mut store, TagType::new([ValType::I32]))?;
/// let throw = Func::wrap(&mut store, move |mut caller: Caller<'_, ()>, code: i32| -> Result<()> {
///     let exception = ExnRef::new(&mut caller, &tag, &[Val::I32(code)])?;
///     Err(Exception::new(&mut caller, &exception)?.into())
/// });
/// let error = throw.typed::<i32, ()>(&store)?.call(&mut store, 7).unwrap_err();
/// let thrown: &Exception = error.downcast_ref().unwrap();
/// assert_eq!(thrown.tag(), tag);
/// assert_eq!(thrown.exception().field(&mut store, 0)?, Val::I32(7));
/// assert_eq!(thrown.to_string(), "uncaught exception (i32 7)");
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Exception {
    exception: OwnedRooted<ExnRef>,
    tag: Tag,
    carried: Arc<[Carried]>,
}

impl Exception {
    /// The error that throws an exception.
    ///
    /// # Errors
    /// It belongs to another store, or its scope has ended.
    pub fn new(mut store: impl AsContextMut, exception: &impl RootedGcRef<ExnRef>) -> Result<Exception> {
        let mut store = store.as_context_mut();
        let store = &mut store.inner_mut().opaque;
        let word = exception.word(store)?;
        // SAFETY: the store keeps the reference as it is now.
        Ok(unsafe { Exception::of_word(store, word) })
    }

    /// The one that is pending in a store.
    pub(crate) fn take(store: &mut StoreOpaque) -> Exception {
        let word = store.vm.exec_mut().catch();
        // SAFETY: what is pending is an exception.
        unsafe { Exception::of_word(store, word) }
    }

    /// # Safety
    /// `word` leads to an exception of the store.
    unsafe fn of_word(store: &mut StoreOpaque, word: u32) -> Exception {
        // SAFETY: the caller's promise.
        let (tag, carried) = unsafe { (tag_of(store, word), carried(store, word)) };
        Exception { exception: OwnedRooted::of_word(store, word), tag, carried: carried.into() }
    }

    /// The exception.
    pub fn exception(&self) -> &OwnedRooted<ExnRef> {
        &self.exception
    }

    /// Its tag.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// Has the guest go on with it as thrown, if it is one of this store.
    pub(crate) fn throw(&self, store: &mut StoreOpaque) -> Result<()> {
        let word = sealed::Word::word(&self.exception, store)?;
        store.vm.exec_mut().throw(word)?;
        Ok(())
    }
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("uncaught exception")?;
        for (i, value) in self.carried.iter().enumerate() {
            write!(f, "{}{value}", if i == 0 { " (" } else { ", " })?;
        }
        if self.carried.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Carried::Reference { family, null } => write!(f, "{family}{}", if null { " null" } else { "" }),
            Carried::Number(Val::I32(v)) => write!(f, "i32 {v}"),
            Carried::Number(Val::I64(v)) => write!(f, "i64 {v}"),
            Carried::Number(Val::F32(bits)) => write!(f, "f32 {}", f32::from_bits(bits)),
            Carried::Number(Val::F64(bits)) => write!(f, "f64 {}", f64::from_bits(bits)),
            Carried::Number(Val::V128(v)) => write!(f, "v128 {:#034x}", v.as_u128()),
            Carried::Number(reference) => unreachable!("{reference:?} is no number"),
        }
    }
}

impl std::error::Error for Exception {}
