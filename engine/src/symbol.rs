//! Places in the source, as debug information names them. Without the cargo feature `dwarf` there are none.

/// A function of the source that a frame is in, inlined ones included.
///
/// ```
/// # use wasmrun::{FrameInfo, FrameSymbol};
/// fn place(frame: &FrameInfo) -> String {
///     match frame.symbols().first() {
///         Some(symbol) => format!("{}:{}", symbol.file().unwrap_or("?"), symbol.line().unwrap_or(0)),
///         None => "no debug information".to_owned(),
///     }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameSymbol {
    pub(crate) name: Option<String>,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
    pub(crate) column: Option<u32>,
}

impl FrameSymbol {
    /// Name of the function.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Path of the source file.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// Line, from 1 on.
    pub fn line(&self) -> Option<u32> {
        self.line
    }

    /// Column, from 1 on.
    pub fn column(&self) -> Option<u32> {
        self.column
    }
}
