//! The error type of the crate, in the manner of `anyhow`: any error goes in with `?`, context is put around
//! it, and what went in can be found again by its type.
//!
//! An [`Error`] is a chain of layers, each owning the one that it is the context of. What is attached to an
//! error, as the backtrace of guest code is, is a layer too, but one that shows nothing of its own in the
//! chain: it is found by its type and printed behind the causes.

mod context;
mod convert;
mod layer;
mod macros;

pub use context::Context;
pub(crate) use convert::HookPanic;
pub use convert::I32Exit;

use std::any::TypeId;
use std::error::Error as StdError;
use std::fmt::{self, Debug, Display};

use layer::{Attached, ContextLayer, Layer, Message, Plain};

/// A result with this crate's [`Error`].
///
/// ```
/// fn number(text: &str) -> wasmrun::Result<i32> {
///     Ok(text.parse::<i32>()?)
/// }
/// assert!(number("seven").is_err());
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something did not work: an error of any type, with context around it.
///
/// Code that traps gives an error from which a [`Trap`](crate::Trap) and a
/// [`WasmBacktrace`](crate::WasmBacktrace) can be taken; the error of a host function keeps its own type and gets a backtrace as well.
///
/// `{}` prints the outermost message, `{:#}` all of them on one line, and `{:?}` all of them one below the
/// other, with the backtrace.
///
/// ```
/// use wasmrun::{Error, Trap};
///
/// let error = Error::from(Trap::StackOverflow).context("the plug-in failed");
/// assert_eq!(error.to_string(), "the plug-in failed");
/// assert_eq!(format!("{error:#}"), "the plug-in failed: call stack exhausted");
/// assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::StackOverflow));
/// ```
pub struct Error {
    layer: Box<dyn Layer>,
}

impl Error {
    /// An error of any type.
    pub fn new<E: StdError + Send + Sync + 'static>(error: E) -> Error {
        Error { layer: Box::new(Plain(error)) }
    }

    /// An error that is just a message.
    ///
    /// ```
    /// let error = wasmrun::Error::msg("no such device");
    /// assert_eq!(error.to_string(), "no such device");
    /// assert!(error.is::<&str>());
    /// ```
    pub fn msg<M: Display + Debug + Send + Sync + 'static>(message: M) -> Error {
        Error { layer: Box::new(Message(message)) }
    }

    /// This error with one more message around it.
    #[must_use]
    pub fn context<C: Display + Send + Sync + 'static>(self, context: C) -> Error {
        Error { layer: Box::new(ContextLayer { context, below: self.layer }) }
    }

    /// This error with something that is found in it by its type, and may be printed behind the causes.
    pub(crate) fn attach<A: Display + Send + Sync + 'static>(self, attachment: A, printed: bool) -> Error {
        Error { layer: Box::new(Attached { attachment, printed, below: self.layer }) }
    }

    /// Whether an error, context or backtrace of type `E` is in it.
    pub fn is<E: 'static>(&self) -> bool {
        self.layer.find(TypeId::of::<E>()).is_some()
    }

    /// The outermost error, context or backtrace of type `E`.
    pub fn downcast_ref<E: 'static>(&self) -> Option<&E> {
        self.layer.find(TypeId::of::<E>())?.downcast_ref()
    }

    /// Takes the outermost error, context or backtrace of type `E` out of it.
    ///
    /// # Errors
    /// There is none; the error comes back as it was.
    pub fn downcast<E: 'static>(self) -> Result<E, Error> {
        match self.layer.take(TypeId::of::<E>()) {
            Ok(found) => Ok(*found.downcast::<E>().expect("a layer gives the type that it was asked for")),
            Err(layer) => Err(Error { layer }),
        }
    }

    /// The messages from the outermost to the root cause.
    ///
    /// ```
    /// let error = wasmrun::Error::msg("disk full").context("cannot save");
    /// let messages: Vec<_> = error.chain().map(|e| e.to_string()).collect();
    /// assert_eq!(messages, ["cannot save", "disk full"]);
    /// ```
    pub fn chain(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        layer::chain(&*self.layer)
    }

    /// The last error of the chain.
    pub fn root_cause(&self) -> &(dyn StdError + 'static) {
        self.chain().last().unwrap_or(self.layer.as_std())
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.layer.as_std())?;
        if f.alternate() {
            for cause in self.chain().skip(1) {
                write!(f, ": {cause}")?;
            }
        }
        Ok(())
    }
}

impl Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        layer::print_all(&*self.layer, f)
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Error {
        Error::new(error)
    }
}
