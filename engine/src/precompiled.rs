//! Modules together with their compiled code: written by [`Module::serialize`], read by [`Module::deserialize`].
//!
//! The bytes are an [artefact](wasmrun_jit::artifact) with the module in it and a checksum behind it. The code serves
//! engines of this build on machines of this kind; the module serves all others, which compile it.
#![allow(unsafe_code)]

use std::path::Path;

use wasmrun_jit::artifact::{Artifact, MAGIC, Seal};

use crate::engine::Engine;
use crate::error::{Context, Error, Result};
use crate::module::Module;
use crate::tiers;

/// What [`Engine::detect_precompiled`] has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Precompiled {
    /// A module with its compiled code.
    Module,
}

impl Engine {
    /// Compiles a module, in its binary or text format, to bytes for [`Module::deserialize`].
    ///
    /// # Errors
    /// As for [`Module::new`] and [`Module::serialize`].
    pub fn precompile_module(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        Module::new(self, bytes)?.serialize()
    }

    /// Whether bytes begin as those of [`Module::serialize`] do.
    ///
    /// ```
    /// use wasmrun::Engine;
    ///
    /// assert_eq!(Engine::detect_precompiled(b"\0asm\x01\0\0\0"), None);
    /// ```
    pub fn detect_precompiled(bytes: &[u8]) -> Option<Precompiled> {
        bytes.starts_with(&MAGIC).then_some(Precompiled::Module)
    }

    /// The module, in its binary format, in the bytes that [`Module::serialize`] made. The code in them is not looked at.
    ///
    /// # Errors
    /// The bytes are something else, or have been changed or cut off.
    pub fn precompiled_binary(bytes: Vec<u8>) -> Result<Vec<u8>> {
        binary(&artifact(bytes)?)
    }
}

fn artifact(mut bytes: Vec<u8>) -> Result<Artifact> {
    let what = "the bytes are no compiled module";
    if Engine::detect_precompiled(&bytes).is_none() {
        return Err(Error::msg("they do not begin as one does").context(what));
    }
    Seal::checksum().open(&mut bytes).context(what)?;
    Artifact::new(bytes).context(what)
}

fn binary(artifact: &Artifact) -> Result<Vec<u8>> {
    let mut wasm = Vec::new();
    wasm.try_reserve_exact(artifact.wasm().len()).context("the system has no memory for the module")?;
    wasm.extend_from_slice(artifact.wasm());
    Ok(wasm)
}

/// Compiled code as bytes.
impl Module {
    /// The module and its compiled code as bytes, for [`Module::deserialize`].
    ///
    /// # Errors
    /// The engine has no compiled code: its strategy is to interpret, or the system allows none.
    ///
    /// ```
    /// use wasmrun::{Config, Engine, Instance, Module, Store, Strategy};
    ///
    /// let engine = Engine::new(Config::new().strategy(Strategy::Jit))?;
    /// # if engine.no_compiled_code().is_some() { return Ok(()); }
    /// let module = Module::new(&engine, r#"(func (export "seven") (result i32) i32.const 7)"#)?;
    /// let bytes = module.serialize()?;
    ///
    /// // SAFETY: these bytes come from this very program.
    /// let module = unsafe { Module::deserialize(&engine, &bytes)? };
    /// assert_eq!(module.recompiled(), None);
    /// let mut store = Store::new(&engine, ());
    /// let instance = Instance::new(&mut store, &module, &[])?;
    /// assert_eq!(instance.get_typed_func::<(), i32>(&mut store, "seven")?.call(&mut store, ())?, 7);
    /// # Ok::<(), wasmrun::Error>(())
    /// ```
    pub fn serialize(&self) -> Result<Vec<u8>> {
        let Some(compiled) = self.engine().compiled() else {
            let why = self.engine().no_compiled_code().unwrap_or("its strategy is to interpret");
            return Err(Error::msg(why.to_owned()).context("the engine has no compiled code"));
        };
        let mut bytes = compiled.serialize(self.runtime(), self.engine().config().memories())?;
        Seal::checksum().close(&mut bytes);
        Ok(bytes)
    }

    /// A module from the bytes that [`Module::serialize`] or [`Engine::precompile_module`] made.
    ///
    /// Where the code in them was made by another version of this crate, for another kind of machine or with other
    /// settings than this engine has, the module is compiled anew, and [`Module::recompiled`] says why.
    ///
    /// # Errors
    /// The bytes are something else, or have been changed or cut off; or as for [`Module::from_binary`].
    ///
    /// # Safety
    /// The bytes contain machine code, which is executed as it is: who could have written them can do whatever this
    /// process can. Give this function only what came from [`Module::serialize`] and that nobody could have changed
    /// since. The checksum in them shows accidents, and nothing that was done on purpose.
    pub unsafe fn deserialize(engine: &Engine, bytes: impl AsRef<[u8]>) -> Result<Module> {
        let bytes = bytes.as_ref();
        let mut copy = Vec::new();
        copy.try_reserve_exact(bytes.len())
            .with_context(|| format!("the system has no memory for {} bytes", bytes.len()))?;
        copy.extend_from_slice(bytes);
        // SAFETY: the caller's promise.
        unsafe { Module::deserialize_owned(engine, copy) }
    }

    /// The same without a copy: the bytes become the module's own.
    ///
    /// # Errors
    /// As for [`Module::deserialize`].
    ///
    /// # Safety
    /// As for [`Module::deserialize`].
    pub unsafe fn deserialize_owned(engine: &Engine, bytes: Vec<u8>) -> Result<Module> {
        let artifact = artifact(bytes)?;
        let wasm = binary(&artifact)?;
        Module::from_parts(engine, wasm, Some(artifact))
    }

    /// The same from a file.
    ///
    /// # Errors
    /// The file cannot be read, or as for [`Module::deserialize`].
    ///
    /// # Safety
    /// As for [`Module::deserialize`], of the file.
    pub unsafe fn deserialize_file(engine: &Engine, path: impl AsRef<Path>) -> Result<Module> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        // SAFETY: the caller's promise.
        let module = unsafe { Module::deserialize_owned(engine, bytes) };
        module.with_context(|| format!("{} cannot be run", path.display()))
    }

    /// Why the code that was [deserialised](Module::deserialize) with this module is not used, if it is not.
    pub fn recompiled(&self) -> Option<&str> {
        tiers::unfit(self.runtime())
    }
}
