//! How errors travel through guest frames and into other libraries.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt::{self, Debug, Display};
use std::sync::{Mutex, PoisonError};

use wasmrun_runtime::trap::{HostError, Trap};
use wasmrun_runtime::vm::InstantiateError;

use super::Error;
use super::layer::Boxed;

/// An [`Error`] where the standard library's trait is asked for. The type is private: only an [`Error`]
/// made of it again gives access to what is inside.
struct Transit(Error);

impl Display for Transit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(&self.0, f)
    }
}

impl Debug for Transit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Debug::fmt(&self.0, f)
    }
}

impl StdError for Transit {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.layer.as_std().source()
    }
}

impl From<Error> for Box<dyn StdError + Send + Sync + 'static> {
    fn from(error: Error) -> Self {
        Box::new(Transit(error))
    }
}

impl From<Error> for Box<dyn StdError + 'static> {
    fn from(error: Error) -> Self {
        Box::new(Transit(error))
    }
}

/// The error inside a box, when it is of a type that crosses guest frames in one.
fn recognise(error: HostError) -> Result<Error, HostError> {
    let error = match error.downcast::<Transit>() {
        Ok(transit) => return Ok(transit.0),
        Err(error) => error,
    };
    let error = match error.downcast::<Trap>() {
        Ok(trap) => return Ok(Error::new(*trap)),
        Err(error) => error,
    };
    error.downcast::<InstantiateError>().map(|error| from_instantiation(*error))
}

fn from_instantiation(error: InstantiateError) -> Error {
    match error {
        InstantiateError::Trap(trap) => Error::new(trap),
        InstantiateError::Limiter(error) => Error::from_boxed(error),
        other => Error::new(other),
    }
}

impl Error {
    /// An error whose type is known no more. It cannot be found by its type, except for those of this crate.
    pub fn from_boxed(error: Box<dyn StdError + Send + Sync + 'static>) -> Error {
        recognise(error).unwrap_or_else(|error| Error { layer: Box::new(Boxed(error)) })
    }

    pub(crate) fn from_instantiation(error: InstantiateError) -> Error {
        from_instantiation(error)
    }
}

/// The payload of a panic in a callback that the runtime asked for a `Result`. It is resumed where the host
/// entered guest code.
pub(crate) struct HookPanic(Mutex<Box<dyn Any + Send>>);

impl HookPanic {
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> HookPanic {
        HookPanic(Mutex::new(payload))
    }

    pub(crate) fn into_payload(self) -> Box<dyn Any + Send> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Display for HookPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a callback of the store panicked")
    }
}

impl Debug for HookPanic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

impl StdError for HookPanic {}

/// The guest has ended the program with an exit status. Host functions return it as their error; who
/// called the guest finds it with [`Error::downcast_ref`].
///
/// ```
/// use wasmrun::{Error, I32Exit};
///
/// let error = Error::from(I32Exit(3));
/// assert_eq!(error.downcast_ref::<I32Exit>(), Some(&I32Exit(3)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct I32Exit(pub i32);

impl Display for I32Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the guest exited with status {}", self.0)
    }
}

impl StdError for I32Exit {}
