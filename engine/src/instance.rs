//! Instances.

use std::sync::Arc;

use wasmrun_runtime::module as runtime;
use wasmrun_runtime::vm::InstanceKey;

use crate::entry::call_start;
use crate::error::{Error, Result};
use crate::externs::{Export, Extern, Global, Memory, Table, export};
use crate::func::{Func, TypedFunc, WasmParams, WasmResults};
use crate::handle::wrong_handle;
use crate::link::Bindings;
use crate::module::Module;
use crate::store::{AsContext, AsContextMut, Store, StoreContextMut, StoreId, StoreInner, StoreOpaque};

/// An instance of a [`Module`].
///
/// It lives as long as its store, or until [`Store::drop_instance`](crate::Store::drop_instance).
///
/// ```
/// use wasmrun::{Engine, Instance, Module, Store};
///
/// let engine = Engine::default();
/// let module = Module::new(&engine, r#"
///     (func (export "square") (param i64) (result i64) (i64.mul (local.get 0) (local.get 0)))
/// "#)?;
/// let mut store = Store::new(&engine, ());
/// let instance = Instance::new(&mut store, &module, &[])?;
/// let square = instance.get_typed_func::<i64, i64>(&mut store, "square")?;
/// assert_eq!(square.call(&mut store, 7)?, 49);
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Instance {
    store: StoreId,
    key: InstanceKey,
}

impl Instance {
    /// Makes an instance, with imports in the order in which the module declares them, and runs its start
    /// function.
    ///
    /// # Errors
    /// The imports do not match; a segment does not fit; the store's limiter refuses; the start function
    /// traps.
    pub fn new(mut store: impl AsContextMut, module: &Module, imports: &[Extern]) -> Result<Instance> {
        let mut store = store.as_context_mut();
        let inner = store.inner_mut();
        let bindings = Bindings::new(&inner.opaque, module, imports)?;
        Instance::bind(inner, module, bindings)
    }

    /// Makes an instance of checked imports.
    pub(crate) fn bind<T: 'static>(
        inner: &mut StoreInner<T>,
        module: &Module,
        bindings: Bindings,
    ) -> Result<Instance> {
        inner.opaque.check_not_in_callback()?;
        module.check_engine(&inner.opaque.engine)?;
        let code = inner.opaque.watching.code_for(&inner.opaque.engine, module.runtime())?;
        let key = bindings.instantiate(inner, code)?;
        let instance = Instance { store: inner.opaque.id, key };
        if let Some(start) = module.runtime().start() {
            let start = export(&mut inner.opaque, key, runtime::ExternIndex::Func(start))?;
            let start = start.into_func().expect("a start function is a function");
            if let Err(error) = call_start(inner, &start) {
                // What it has put into tables of others stays callable.
                inner.opaque.vm.drop_instance(key);
                return Err(error);
            }
        }
        Ok(instance)
    }

    /// Its key, if it is alive and of this store.
    pub(crate) fn key_in(&self, store: &StoreOpaque) -> Result<InstanceKey> {
        if self.store == store.id && store.vm.instance(self.key).is_some() {
            return Ok(self.key);
        }
        Err(wrong_handle(self.store, store))
    }

    fn runtime_module<'a>(&self, store: &'a StoreOpaque) -> &'a Arc<runtime::Module> {
        match self.key_in(store) {
            Ok(key) => store.vm.instance(key).expect("it is alive").module(),
            Err(error) => panic!("{error}"),
        }
    }

    /// Its module.
    ///
    /// # Panics
    /// It belongs to another store or has been dropped.
    pub fn module(&self, store: impl AsContext) -> Module {
        let store = store.as_context();
        let opaque = &store.inner().opaque;
        Module::from_runtime(&opaque.engine, self.runtime_module(opaque).plain().clone())
    }

    /// An export.
    ///
    /// # Panics
    /// It belongs to another store or has been dropped.
    pub fn get_export(&self, mut store: impl AsContextMut, name: &str) -> Option<Extern> {
        let mut store = store.as_context_mut();
        let opaque = &mut store.inner_mut().opaque;
        let index = self.runtime_module(opaque).export(name)?;
        export(opaque, self.key, index).ok()
    }

    /// An exported function.
    ///
    /// # Panics
    /// As [`Instance::get_export`].
    pub fn get_func(&self, store: impl AsContextMut, name: &str) -> Option<Func> {
        self.get_export(store, name)?.into_func()
    }

    /// An exported function, with its type checked: see [`Func::typed`].
    ///
    /// # Errors
    /// There is no such function, or it is of another type.
    ///
    /// # Panics
    /// As [`Instance::get_export`].
    pub fn get_typed_func<P: WasmParams, R: WasmResults>(
        &self,
        mut store: impl AsContextMut,
        name: &str,
    ) -> Result<TypedFunc<P, R>> {
        let func = self.get_func(&mut store, name);
        let func = func.ok_or_else(|| Error::msg(format!("there is no exported function `{name}`")))?;
        func.typed(&store).map_err(|error| error.context(format!("function `{name}` cannot be called so")))
    }

    /// An exported memory.
    ///
    /// # Panics
    /// As [`Instance::get_export`].
    pub fn get_memory(&self, store: impl AsContextMut, name: &str) -> Option<Memory> {
        self.get_export(store, name)?.into_memory()
    }

    /// An exported table.
    ///
    /// # Panics
    /// As [`Instance::get_export`].
    pub fn get_table(&self, store: impl AsContextMut, name: &str) -> Option<Table> {
        self.get_export(store, name)?.into_table()
    }

    /// An exported global.
    ///
    /// # Panics
    /// As [`Instance::get_export`].
    pub fn get_global(&self, store: impl AsContextMut, name: &str) -> Option<Global> {
        self.get_export(store, name)?.into_global()
    }

    /// All exports, in order.
    ///
    /// # Panics
    /// As [`Instance::get_export`].
    pub fn exports<'a, T: 'static>(
        &self,
        store: impl Into<StoreContextMut<'a, T>>,
    ) -> impl ExactSizeIterator<Item = Export<'a>> + 'a {
        let opaque: &'a mut StoreOpaque = &mut store.into().into_inner().opaque;
        let indices: Vec<_> = self.runtime_module(opaque).exports().iter().map(|e| e.index).collect();
        let item = |index| export(opaque, self.key, index).expect("the instance is alive");
        let items: Vec<Extern> = indices.into_iter().map(item).collect();
        let exports = self.runtime_module(opaque).exports();
        exports.iter().zip(items).map(|(e, item)| Export::new(&e.name, item))
    }
}

impl<T: 'static> Store<T> {
    /// Drops an instance and gives its memory back. What other instances still reach stays until they are
    /// dropped too; while guest code runs, nothing is given back before it has returned.
    ///
    /// Handles of the instance's exports are no longer valid, also where the memory stays. Returns whether
    /// the instance was alive.
    ///
    /// ```
    /// use wasmrun::{Engine, Instance, Module, Store};
    ///
    /// let engine = Engine::default();
    /// let module = Module::new(&engine, "(module (memory 10))")?;
    /// let mut store = Store::new(&engine, ());
    /// for _ in 0..1000 {
    ///     let instance = Instance::new(&mut store, &module, &[])?;
    ///     store.drop_instance(instance);
    /// }
    /// assert_eq!(store.memory_bytes(), 0);
    /// # Ok::<(), wasmrun::Error>(())
    /// ```
    pub fn drop_instance(&mut self, instance: Instance) -> bool {
        self.as_context_mut().drop_instance(instance)
    }
}

impl<T: 'static> StoreContextMut<'_, T> {
    /// As [`Store::drop_instance`].
    pub fn drop_instance(&mut self, instance: Instance) -> bool {
        let opaque = &mut self.inner_mut().opaque;
        match instance.key_in(opaque) {
            Ok(key) => opaque.vm.drop_instance(key),
            Err(_) => false,
        }
    }
}
