//! Names for what a module imports and nobody has defined.

use std::collections::HashSet;

use super::Linker;
use crate::error::{Error, Result};
use crate::externs::{Global, Memory, SharedMemory, Table, Tag};
use crate::func::Caller;
use crate::module::{ImportType, Module};
use crate::store::AsContextMut;
use crate::types::ExternType;
use crate::values::{Ref, Val};

impl<T: 'static> Linker<T> {
    /// Defines all names that a module imports and that are not defined yet, as functions that fail when
    /// they are called.
    ///
    /// # Errors
    /// One of them is not a function.
    ///
    /// ```
    /// use wasmrun::{Engine, Linker, Module, Store};
    ///
    /// let engine = Engine::default();
    /// let module = Module::new(&engine, r#"(import "env" "rarely" (func))"#)?;
    /// let mut linker = Linker::<()>::new(&engine);
    /// linker.define_unknown_imports_as_traps(&module)?;
    /// linker.instantiate(&mut Store::new(&engine, ()), &module)?;
    /// # Ok::<(), wasmrun::Error>(())
    /// ```
    pub fn define_unknown_imports_as_traps(&mut self, module: &Module) -> Result<()> {
        for import in self.undefined(module) {
            let ExternType::Func(ty) = import.ty() else {
                return Err(self.unknown_import(&import).context("only functions can be made up"));
            };
            let message =
                format!("unknown import: `{}::{}` has not been defined", import.module(), import.name());
            let fail = move |_: Caller<'_, T>, _: &[Val], _: &mut [Val]| Err(Error::msg(message.clone()));
            self.func_new(import.module(), import.name(), ty, fail)?;
        }
        Ok(())
    }

    /// Defines all names that a module imports and that are not defined yet: functions that return zeroes and
    /// nulls, memories and tables of the least size, globals that are zero or null, tags of their own.
    ///
    /// # Errors
    /// The store belongs to another engine, or its limiter or the system refuses a memory or table.
    ///
    /// ```
    /// use wasmrun::{Engine, Linker, Module, Store};
    ///
    /// let engine = Engine::default();
    /// let module = Module::new(&engine, r#"
    ///     (import "env" "memory" (memory 1))
    ///     (import "env" "now" (func $now (result i64)))
    ///     (func (export "run") (result i64) (call $now))
    /// "#)?;
    /// let mut store = Store::new(&engine, ());
    /// let mut linker = Linker::new(&engine);
    /// linker.define_unknown_imports_as_default_values(&mut store, &module)?;
    /// let instance = linker.instantiate(&mut store, &module)?;
    /// assert_eq!(instance.get_typed_func::<(), i64>(&mut store, "run")?.call(&mut store, ())?, 0);
    /// # Ok::<(), wasmrun::Error>(())
    /// ```
    pub fn define_unknown_imports_as_default_values(
        &mut self,
        mut store: impl AsContextMut<Data = T>,
        module: &Module,
    ) -> Result<()> {
        for import in self.undefined(module) {
            let (module, name) = (import.module(), import.name());
            match import.ty() {
                // The results of such functions start as what they have to be.
                ExternType::Func(ty) => self.func_new(module, name, ty, |_, _, _| Ok(()))?,
                ExternType::Memory(ty) if ty.is_shared() => {
                    let memory = SharedMemory::new(&self.engine, ty)?;
                    self.define(&store, module, name, memory)?
                }
                ExternType::Memory(ty) => {
                    let memory = Memory::new(&mut store, ty)?;
                    self.define(&store, module, name, memory)?
                }
                ExternType::Table(ty) => {
                    let table = Table::new(&mut store, ty, Ref::null(ty.element.heap))?;
                    self.define(&store, module, name, table)?
                }
                ExternType::Global(ty) => {
                    let global = Global::new(&mut store, ty, Val::default_for_ty(ty.content))?;
                    self.define(&store, module, name, global)?
                }
                ExternType::Tag(ty) => {
                    let tag = Tag::new(&mut store, ty)?;
                    self.define(&store, module, name, tag)?
                }
            };
        }
        Ok(())
    }

    /// The imports of a module that are not defined.
    fn undefined<'m>(&self, module: &'m Module) -> Vec<ImportType<'m>> {
        // A module may import one name more than once.
        let mut seen = HashSet::new();
        let undefined = |import: &ImportType<'_>| self.find(import.module(), import.name()).is_none();
        let imports = module.imports().filter(undefined);
        imports.filter(|import| seen.insert((import.module(), import.name()))).collect()
    }
}
