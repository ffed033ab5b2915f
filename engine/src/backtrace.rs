//! Backtraces of guest code.

use std::fmt;
use std::sync::OnceLock;

use crate::error::Error;
use crate::module::Module;
use crate::symbol::FrameSymbol;

/// The frames of guest code at the moment when it stopped, innermost first.
///
/// Every error of guest code carries one.
///
/// ```
/// use wasmrun::{Engine, Instance, Module, Store, WasmBacktrace};
///
/// let engine = Engine::default();
/// let module = Module::new(&engine, r#"(module (func $oops (export "run") unreachable))"#)?;
/// let mut store = Store::new(&engine, ());
/// let instance = Instance::new(&mut store, &module, &[])?;
/// let run = instance.get_typed_func::<(), ()>(&mut store, "run")?;
/// let error = run.call(&mut store, ()).unwrap_err();
/// let backtrace = error.downcast_ref::<WasmBacktrace>().unwrap();
/// assert_eq!(backtrace.frames()[0].func_name(), Some("oops"));
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Debug)]
pub struct WasmBacktrace {
    frames: Vec<FrameInfo>,
}

impl WasmBacktrace {
    pub(crate) fn new(frames: Vec<FrameInfo>) -> WasmBacktrace {
        WasmBacktrace { frames }
    }

    /// The frames, innermost first.
    pub fn frames(&self) -> &[FrameInfo] {
        &self.frames
    }
}

impl Error {
    /// This error with a backtrace, unless it has one.
    pub(crate) fn with_backtrace(self, backtrace: WasmBacktrace) -> Error {
        if self.is::<WasmBacktrace>() {
            return self;
        }
        let printed = !backtrace.frames.is_empty();
        self.attach(backtrace, printed)
    }
}

impl fmt::Display for WasmBacktrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wasm backtrace:")?;
        let width = self.frames.iter().map(|frame| format!("{:#x}", frame.offset).len()).max().unwrap_or(0);
        for (i, frame) in self.frames.iter().enumerate() {
            let module = frame.module.name().unwrap_or("<unknown>");
            let offset = format!("{:#x}", frame.offset);
            write!(f, "\n  {i:>3}: {offset:>width$} - {module}!")?;
            match frame.func_name() {
                Some(name) => f.write_str(name)?,
                None => write!(f, "<wasm function {}>", frame.function)?,
            }
            for symbol in frame.symbols() {
                if let Some(name) = symbol.name()
                    && frame.symbols().len() > 1
                {
                    write!(f, "\n       {:>width$}   {name}", "")?;
                }
                if let Some(file) = symbol.file() {
                    write!(f, "\n       {:>width$}     at {file}", "")?;
                    if let Some(line) = symbol.line() {
                        write!(f, ":{line}")?;
                    }
                    if let Some(column) = symbol.column() {
                        write!(f, ":{column}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// A frame of a [`WasmBacktrace`].
///
/// ```
/// use wasmrun::{Engine, Linker, Module, Store, WasmBacktrace, Caller};
///
/// let engine = Engine::default();
/// let mut linker = Linker::new(&engine);
/// linker.func_wrap("host", "where", |caller: Caller<'_, ()>| {
///     let backtrace = WasmBacktrace::capture(&caller);
///     for frame in backtrace.frames() {
///         println!("{:?} at {:?}", frame.func_name(), frame.module_offset());
///     }
/// })?;
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Debug)]
pub struct FrameInfo {
    module: Module,
    function: u32,
    offset: u32,
    symbols: OnceLock<Vec<FrameSymbol>>,
}

impl FrameInfo {
    pub(crate) fn new(module: Module, function: u32, offset: u32) -> FrameInfo {
        FrameInfo { module, function, offset, symbols: OnceLock::new() }
    }

    /// Index of the function in its module.
    pub fn func_index(&self) -> u32 {
        self.function
    }

    /// Name of the function, if the module says so.
    pub fn func_name(&self) -> Option<&str> {
        self.module.runtime().function_name(self.function)
    }

    /// The module of the function.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// Offset of the instruction from the start of the module's bytes.
    pub fn module_offset(&self) -> Option<usize> {
        Some(self.offset as usize)
    }

    /// Offset of the instruction from the start of the function's body.
    pub fn func_offset(&self) -> Option<usize> {
        let body = self.module.runtime().body(self.function)?;
        (self.offset as usize).checked_sub(body.start as usize)
    }

    /// Where the instruction comes from in the source, innermost inlined function first. Empty when the
    /// module has no debug information, or without the cargo feature `dwarf`.
    pub fn symbols(&self) -> &[FrameSymbol] {
        self.symbols.get_or_init(|| {
            #[cfg(feature = "dwarf")]
            return crate::dwarf::lookup(self.module.runtime(), self.offset);
            #[cfg(not(feature = "dwarf"))]
            Vec::new()
        })
    }
}
