//! Errors from format strings, by the names that users of other engines know.

/// An [`Error`](crate::Error) from a format string.
///
/// ```
/// let error = wasmrun::format_err!("no port {}", 7);
/// assert_eq!(error.to_string(), "no port 7");
/// ```
#[macro_export]
macro_rules! format_err {
    ($($message:tt)*) => {
        $crate::Error::msg(::std::format!($($message)*))
    };
}

/// Returns an [`Error`](crate::Error) from a format string.
///
/// ```
/// fn port(number: u32) -> wasmrun::Result<u16> {
///     match u16::try_from(number) {
///         Ok(port) => Ok(port),
///         Err(_) => wasmrun::bail!("no port {number}"),
///     }
/// }
/// assert_eq!(port(70_000).unwrap_err().to_string(), "no port 70000");
/// ```
#[macro_export]
macro_rules! bail {
    ($($message:tt)*) => {
        return ::std::result::Result::Err($crate::format_err!($($message)*))
    };
}

/// Returns an [`Error`](crate::Error) from a format string unless a condition holds.
///
/// ```
/// fn half(number: i32) -> wasmrun::Result<i32> {
///     wasmrun::ensure!(number % 2 == 0, "{number} is odd");
///     Ok(number / 2)
/// }
/// assert_eq!(half(4).unwrap(), 2);
/// assert_eq!(half(3).unwrap_err().to_string(), "3 is odd");
/// ```
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $($message:tt)*) => {
        if !$condition {
            $crate::bail!($($message)*);
        }
    };
}
