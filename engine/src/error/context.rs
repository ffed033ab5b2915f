//! Context for results and options.

use std::fmt::Display;

use super::{Error, Result};

/// Puts a message around the error of a `Result`, or makes one of an empty `Option`.
///
/// ```
/// use wasmrun::{Context, Result};
///
/// fn port(text: &str) -> Result<u16> {
///     text.parse::<u16>().with_context(|| format!("`{text}` is not a port"))
/// }
/// assert_eq!(port("http").unwrap_err().to_string(), "`http` is not a port");
/// assert!(None::<u16>.context("no port given").is_err());
/// ```
pub trait Context<T> {
    /// Puts `context` around the error.
    fn context<C: Display + Send + Sync + 'static>(self, context: C) -> Result<T>;

    /// Puts the result of `context` around the error.
    fn with_context<C: Display + Send + Sync + 'static>(self, context: impl FnOnce() -> C) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    fn context<C: Display + Send + Sync + 'static>(self, context: C) -> Result<T> {
        self.map_err(|error| error.into().context(context))
    }

    fn with_context<C: Display + Send + Sync + 'static>(self, context: impl FnOnce() -> C) -> Result<T> {
        self.map_err(|error| error.into().context(context()))
    }
}

impl<T> Context<T> for Option<T> {
    fn context<C: Display + Send + Sync + 'static>(self, context: C) -> Result<T> {
        self.with_context(|| context)
    }

    fn with_context<C: Display + Send + Sync + 'static>(self, context: impl FnOnce() -> C) -> Result<T> {
        self.ok_or_else(|| Error::msg(context().to_string()))
    }
}
