//! Modules.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use wasmrun_jit::artifact::Artifact;
use wasmrun_runtime::module as runtime;

use crate::cache::Given;
use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::tiers::{self, FunctionTier, Uncompiled};
use crate::types::ExternType;

/// A validated module, ready to be instantiated any number of times.
///
/// Making one validates all of it, unless the [cache](crate::Config::cache) has code of it: then that was done before. With
/// [`Strategy::Interpreter`](crate::Strategy) nothing is translated: functions are when they are first called; with
/// `Tiered` those that run often are compiled later, and with `Jit` all of them are at once.
/// Cheap to clone, and shared between threads.
///
/// ```
/// use wasmrun::{Engine, Module};
///
/// let engine = Engine::default();
/// let module = Module::new(&engine, r#"(module $adder (func (export "add")))"#)?;
/// assert_eq!(module.name(), Some("adder"));
/// assert_eq!(module.exports().next().unwrap().name(), "add");
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Clone)]
pub struct Module {
    engine: Engine,
    inner: Arc<runtime::Module>,
}

impl Module {
    /// A module from its binary format or, with the cargo feature `wat`, from its text format.
    ///
    /// # Errors
    /// The bytes are not a valid module, or it needs a proposal that is switched off or not executed yet.
    pub fn new(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Module> {
        let bytes = bytes.as_ref();
        #[cfg(feature = "wat")]
        let bytes = &*wat::parse_bytes(bytes)?;
        Module::from_binary(engine, bytes)
    }

    /// A module from a file in the binary or the text format.
    ///
    /// # Errors
    /// The file cannot be read, or as for [`Module::new`].
    pub fn from_file(engine: &Engine, file: impl AsRef<Path>) -> Result<Module> {
        let file = file.as_ref();
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let module = Module::new(engine, bytes);
        module.with_context(|| format!("{} is not a module that can be run", file.display()))
    }

    /// A module from its binary format.
    ///
    /// # Errors
    /// As for [`Module::new`], or the system has no memory for a copy of the bytes.
    pub fn from_binary(engine: &Engine, bytes: &[u8]) -> Result<Module> {
        let mut copy = Vec::new();
        copy.try_reserve_exact(bytes.len())
            .with_context(|| format!("the system has no memory for a module of {} bytes", bytes.len()))?;
        copy.extend_from_slice(bytes);
        Module::from_owned_binary(engine, copy)
    }

    /// The same without a copy: the bytes become the module's own.
    ///
    /// # Errors
    /// As for [`Module::new`].
    pub fn from_owned_binary(engine: &Engine, bytes: Vec<u8>) -> Result<Module> {
        Module::from_parts(engine, bytes, None)
    }

    /// A module from its binary format, and code that was compiled of it earlier.
    pub(crate) fn from_parts(engine: &Engine, bytes: Vec<u8>, code: Option<Artifact>) -> Result<Module> {
        let (mut inner, code) = match code {
            Some(code) => (parse(engine, bytes)?, Given::Artifact(code)),
            None => parse_known(engine, bytes)?,
        };
        inner.charge_fuel(engine.config().fuel());
        inner.set_relaxed(engine.config().relaxed());
        let Some(compiled) = engine.compiled() else {
            if matches!(code, Given::Artifact(_)) {
                tiers::set_unfit(&inner, "this engine runs guests in the interpreter");
            }
            return Ok(Module::from_runtime(engine, Arc::new(inner)));
        };
        compiled.prepare(&mut inner);
        tiers::give(&inner, code);
        let inner = Arc::new(inner);
        compiled.compile_ahead(&inner, engine.config().memories());
        Ok(Module::from_runtime(engine, inner))
    }

    /// Whether bytes are a module that this engine can run.
    ///
    /// # Errors
    /// They are not; the error is that of [`Module::from_binary`].
    ///
    /// ```
    /// use wasmrun::{Engine, Module};
    ///
    /// assert!(Module::validate(&Engine::default(), b"\0asm\x01\0\0\0").is_ok());
    /// assert!(Module::validate(&Engine::default(), b"elf").is_err());
    /// ```
    pub fn validate(engine: &Engine, bytes: &[u8]) -> Result<()> {
        parse(engine, bytes.to_vec()).map(drop)
    }

    pub(crate) fn from_runtime(engine: &Engine, inner: Arc<runtime::Module>) -> Module {
        Module { engine: engine.clone(), inner }
    }

    /// The engine that it was made with.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// In which tier each function that it defines runs, what that has cost and, where it is so, why it is not compiled.
    ///
    /// ```
    /// use wasmrun::{Config, Engine, Module, Strategy};
    ///
    /// let engine = Engine::new(Config::new().strategy(Strategy::Jit))?;
    /// let module = Module::new(&engine, "(module (func))")?;
    /// assert_eq!(module.tiers()[0].compiled, engine.no_compiled_code().is_none());
    /// # Ok::<(), wasmrun::Error>(())
    /// ```
    pub fn tiers(&self) -> Vec<FunctionTier> {
        tiers::report(&self.inner)
    }

    /// The functions that were to be compiled and run in the interpreter instead, as a whole or in one of their loops, in order.
    pub fn uncompiled(&self) -> Vec<Uncompiled> {
        tiers::uncompiled(&self.inner)
    }

    /// Writes the code that has been compiled of it to the [cache](crate::Config::cache) of its engine, if there is one
    /// and there is more code than was written before. With [`Strategy::Tiered`](crate::Strategy) that is to be
    /// done when enough has run; other strategies do it when the module is made.
    ///
    /// What goes wrong costs time and nothing else; see [`Cache::problems`](crate::Cache::problems).
    pub fn store_code(&self) {
        if let Some(compiled) = self.engine.compiled() {
            compiled.save(&self.inner);
        }
    }

    /// Its name, if the module says so.
    pub fn name(&self) -> Option<&str> {
        self.inner.name()
    }

    /// What it imports, in order.
    pub fn imports(&self) -> impl ExactSizeIterator<Item = ImportType<'_>> {
        self.inner.imports().iter().map(|import| ImportType { import })
    }

    /// What it exports, in order.
    pub fn exports(&self) -> impl ExactSizeIterator<Item = ExportType<'_>> {
        let module = &*self.inner;
        module.exports().iter().map(move |export| ExportType { module, export })
    }

    /// The type of an export.
    pub fn get_export(&self, name: &str) -> Option<ExternType> {
        self.inner.export(name).map(|index| self.inner.extern_type(index))
    }

    /// Fails unless the module and a store with the engine `other` belong together.
    pub(crate) fn check_engine(&self, other: &Engine) -> Result<()> {
        if Engine::same(&self.engine, other) {
            return Ok(());
        }
        Err(Error::msg("the module and the store belong to different engines"))
    }

    /// The module as the other crates of this engine see it: sections, bodies, names.
    #[doc(hidden)]
    pub fn runtime(&self) -> &Arc<runtime::Module> {
        &self.inner
    }
}

fn parse(engine: &Engine, bytes: Vec<u8>) -> Result<runtime::Module> {
    Ok(wasmrun_runtime::parse(bytes, engine.config().features(), engine.registry())?)
}

/// The same, and code of the module that is in the cache. A module that is known there has been accepted before.
#[allow(unsafe_code)]
fn parse_known(engine: &Engine, bytes: Vec<u8>) -> Result<(runtime::Module, Given)> {
    let config = engine.config();
    let mut given = Given::Nothing;
    let are_valid = |bytes: &[u8], outline| {
        given = engine
            .compiled()
            .map_or(Given::Nothing, |compiled| compiled.look(bytes, outline, config.memories()));
        matches!(given, Given::Looked { found: Some(_), .. })
    };
    // SAFETY: what is in the cache was made of a module with the same bytes, which an engine of this build had accepted
    // with the same features: its identity says so, and only this user's engines can seal it.
    let module = unsafe {
        wasmrun_runtime::parse_unless_valid(bytes, config.features(), engine.registry(), are_valid)?
    };
    Ok((module, given))
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// An import of a [`Module`].
///
/// ```
/// use wasmrun::{Engine, Module};
///
/// let module = Module::new(&Engine::default(), r#"(import "env" "tick" (func))"#)?;
/// let import = module.imports().next().unwrap();
/// assert_eq!((import.module(), import.name()), ("env", "tick"));
/// assert_eq!(import.ty().to_string(), "func () -> ()");
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ImportType<'module> {
    import: &'module runtime::Import,
}

impl<'module> ImportType<'module> {
    /// The first part of its name: which module it is expected from.
    pub fn module(&self) -> &'module str {
        &self.import.module
    }

    /// The second part of its name.
    pub fn name(&self) -> &'module str {
        &self.import.name
    }

    /// What it has to be.
    pub fn ty(&self) -> ExternType {
        self.import.ty.clone()
    }
}

/// An export of a [`Module`].
///
/// ```
/// use wasmrun::{Engine, Module};
///
/// let module = Module::new(&Engine::default(), r#"(memory (export "memory") 1 2)"#)?;
/// let export = module.exports().next().unwrap();
/// assert_eq!(export.ty().memory().unwrap().maximum(), Some(2));
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ExportType<'module> {
    module: &'module runtime::Module,
    export: &'module runtime::Export,
}

impl<'module> ExportType<'module> {
    /// Its name.
    pub fn name(&self) -> &'module str {
        &self.export.name
    }

    /// What it is.
    pub fn ty(&self) -> ExternType {
        self.module.extern_type(self.export.index)
    }
}
