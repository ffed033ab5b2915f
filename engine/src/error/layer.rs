//! The layers of an [`Error`].

use std::any::{Any, TypeId};
use std::error::Error as StdError;
use std::fmt::{self, Debug, Display};

use super::Error;
use crate::backtrace::WasmBacktrace;

/// One link of an error's chain.
pub(super) trait Layer: Send + Sync {
    /// The link as the standard library sees errors; its sources are the links below.
    fn as_std(&self) -> &(dyn StdError + 'static);
    /// The value of the wanted type, here or below.
    fn find(&self, wanted: TypeId) -> Option<&dyn Any>;
    /// Gives that value away, or itself back.
    fn take(self: Box<Self>, wanted: TypeId) -> Result<Box<dyn Any>, Box<dyn Layer>>;
}

/// An error of a known type.
pub(super) struct Plain<E>(pub(super) E);

impl<E: StdError + Send + Sync + 'static> Layer for Plain<E> {
    fn as_std(&self) -> &(dyn StdError + 'static) {
        &self.0
    }

    fn find(&self, wanted: TypeId) -> Option<&dyn Any> {
        (wanted == TypeId::of::<E>()).then_some(&self.0 as &dyn Any)
    }

    fn take(self: Box<Self>, wanted: TypeId) -> Result<Box<dyn Any>, Box<dyn Layer>> {
        if wanted == TypeId::of::<E>() { Ok(Box::new(self.0)) } else { Err(self) }
    }
}

/// An error whose type has been forgotten.
pub(super) struct Boxed(pub(super) Box<dyn StdError + Send + Sync + 'static>);

impl Layer for Boxed {
    fn as_std(&self) -> &(dyn StdError + 'static) {
        &*self.0
    }

    fn find(&self, _: TypeId) -> Option<&dyn Any> {
        None
    }

    fn take(self: Box<Self>, _: TypeId) -> Result<Box<dyn Any>, Box<dyn Layer>> {
        Err(self)
    }
}

/// A message that is an error of its own.
pub(super) struct Message<M>(pub(super) M);

impl<M: Display> Display for Message<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0, f)
    }
}

impl<M: Debug> Debug for Message<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Debug::fmt(&self.0, f)
    }
}

impl<M: Display + Debug> StdError for Message<M> {}

impl<M: Display + Debug + Send + Sync + 'static> Layer for Message<M> {
    fn as_std(&self) -> &(dyn StdError + 'static) {
        self
    }

    fn find(&self, wanted: TypeId) -> Option<&dyn Any> {
        (wanted == TypeId::of::<M>()).then_some(&self.0 as &dyn Any)
    }

    fn take(self: Box<Self>, wanted: TypeId) -> Result<Box<dyn Any>, Box<dyn Layer>> {
        if wanted == TypeId::of::<M>() { Ok(Box::new(self.0)) } else { Err(self) }
    }
}

/// A message around another error.
pub(super) struct ContextLayer<C> {
    pub(super) context: C,
    pub(super) error: Error,
}

impl<C: Display> Display for ContextLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.context, f)
    }
}

impl<C: Display> Debug for ContextLayer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.context, self.error)
    }
}

impl<C: Display> StdError for ContextLayer<C> {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.error.layer.as_std())
    }
}

impl<C: Display + Send + Sync + 'static> Layer for ContextLayer<C> {
    fn as_std(&self) -> &(dyn StdError + 'static) {
        self
    }

    fn find(&self, wanted: TypeId) -> Option<&dyn Any> {
        if wanted == TypeId::of::<C>() { Some(&self.context) } else { self.error.layer.find(wanted) }
    }

    fn take(self: Box<Self>, wanted: TypeId) -> Result<Box<dyn Any>, Box<dyn Layer>> {
        let ContextLayer { context, error } = *self;
        if wanted == TypeId::of::<C>() {
            return Ok(Box::new(context));
        }
        let restore = |layer| Box::new(ContextLayer { context, error: Error { layer } }) as Box<dyn Layer>;
        error.layer.take(wanted).map_err(restore)
    }
}

/// An error together with where guest code stopped.
pub(super) struct Traced {
    pub(super) backtrace: WasmBacktrace,
    pub(super) error: Error,
}

impl Layer for Traced {
    fn as_std(&self) -> &(dyn StdError + 'static) {
        self.error.layer.as_std()
    }

    fn find(&self, wanted: TypeId) -> Option<&dyn Any> {
        match wanted == TypeId::of::<WasmBacktrace>() {
            true => Some(&self.backtrace),
            false => self.error.layer.find(wanted),
        }
    }

    fn take(self: Box<Self>, wanted: TypeId) -> Result<Box<dyn Any>, Box<dyn Layer>> {
        let Traced { backtrace, error } = *self;
        if wanted == TypeId::of::<WasmBacktrace>() {
            return Ok(Box::new(backtrace));
        }
        let restore = |layer| Box::new(Traced { backtrace, error: Error { layer } }) as Box<dyn Layer>;
        error.layer.take(wanted).map_err(restore)
    }
}
