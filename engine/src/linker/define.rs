//! Names that come from instances and modules.

use super::{Definition, InstancePre, Linker};
use crate::error::{Error, Result};
use crate::externs::Extern;
use crate::func::{Caller, Func};
use crate::instance::Instance;
use crate::module::Module;
use crate::store::{AsContextMut, StoreContextMut};
use crate::types::{ExternType, FuncType};
use crate::values::Val;

/// The export with which a program starts.
const COMMAND_START: &str = "_start";

/// The export that prepares a library, to be called once.
const REACTOR_START: &str = "_initialize";

impl<T: 'static> Linker<T> {
    /// Defines all exports of an instance, under `module_name`.
    ///
    /// # Errors
    /// One of the names is defined already.
    pub fn instance(
        &mut self,
        mut store: impl AsContextMut<Data = T>,
        module_name: &str,
        instance: Instance,
    ) -> Result<&mut Self> {
        let mut store = store.as_context_mut();
        let exports: Vec<_> =
            instance.exports(&mut store).map(|e| (e.name().to_owned(), e.into_extern())).collect();
        for (name, item) in exports {
            self.insert(module_name, &name, Definition::Extern(item))?;
        }
        Ok(self)
    }

    /// Instantiates a module and defines its exports, under `module_name`.
    ///
    /// A *command*, which is a module that exports `_start`, gets a new instance for each call of one of its
    /// functions, as programs expect; only its functions are defined. Any other module gets one instance,
    /// whose `_initialize` is called if there is one.
    ///
    /// # Errors
    /// One of the names is defined already, or as for [`Linker::instantiate`].
    pub fn module(
        &mut self,
        mut store: impl AsContextMut<Data = T>,
        module_name: &str,
        module: &Module,
    ) -> Result<&mut Self> {
        if matches!(module.get_export(COMMAND_START), Some(ExternType::Func(_))) {
            return self.command(module_name, module);
        }
        let instance = self.instantiate(&mut store, module)?;
        if let Some(func) = instance.get_func(&mut store, REACTOR_START) {
            let initialize = func.typed::<(), ()>(&store)?;
            initialize.call(&mut store, ())?;
        }
        self.instance(store, module_name, instance)
    }

    fn command(&mut self, module_name: &str, module: &Module) -> Result<&mut Self> {
        let pre = self.instantiate_pre(module)?;
        for export in module.exports() {
            let ExternType::Func(ty) = export.ty() else { continue };
            let (pre, name) = (pre.clone(), export.name().to_owned());
            let call = move |mut caller: Caller<'_, T>, params: &[Val], results: &mut [Val]| {
                call_command(&pre, &name, caller.as_context_mut(), params, results)
            };
            self.func_new(module_name, export.name(), ty, call)?;
        }
        Ok(self)
    }

    /// Defines a name as what another stands for.
    ///
    /// # Errors
    /// The other name is not defined, or the new one is already.
    pub fn alias(&mut self, module: &str, name: &str, as_module: &str, as_name: &str) -> Result<&mut Self> {
        let found = self.find(module, name).cloned();
        let found = found.ok_or_else(|| Error::msg(format!("`{module}::{name}` is not defined")))?;
        self.insert(as_module, as_name, found)
    }

    /// Defines all names under `module` under `as_module` too.
    ///
    /// # Errors
    /// One of the new names is defined already.
    pub fn alias_module(&mut self, module: &str, as_module: &str) -> Result<()> {
        let names: Vec<_> =
            self.modules.get(module).into_iter().flatten().map(|(n, d)| (n.clone(), d.clone())).collect();
        for (name, definition) in names {
            self.insert(as_module, &name, definition)?;
        }
        Ok(())
    }

    /// The function that a module is run by: its export with the empty name, or `_start`. When neither is
    /// defined, a function that does nothing.
    ///
    /// # Errors
    /// One of these names is defined and not a function.
    ///
    /// # Panics
    /// As [`Linker::get`].
    pub fn get_default(&self, mut store: impl AsContextMut<Data = T>, module: &str) -> Result<Func> {
        for name in ["", COMMAND_START] {
            match self.get(&mut store, module, name) {
                Some(Extern::Func(func)) => return Ok(func),
                Some(_) => return Err(Error::msg(format!("`{module}::{name}` is not a function"))),
                None => {}
            }
        }
        Ok(Func::new(store, FuncType::new([], []), |_, _, _| Ok(())))
    }
}

/// Calls a function of a new instance, which is dropped then.
fn call_command<T: 'static>(
    pre: &InstancePre<T>,
    name: &str,
    mut store: StoreContextMut<'_, T>,
    params: &[Val],
    results: &mut [Val],
) -> Result<()> {
    let instance = pre.instantiate(&mut store)?;
    let func = instance.get_func(&mut store, name).expect("the module exports this function");
    let outcome = func.call(&mut store, params, results);
    store.drop_instance(instance);
    outcome
}
