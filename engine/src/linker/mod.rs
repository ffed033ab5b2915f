//! The linker: what modules import, by name.

mod define;
mod pre;
mod unknown;

pub use pre::InstancePre;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use wasmrun_runtime::vm::HostFunc;

use crate::engine::Engine;
use crate::entry::untyped_host_func;
use crate::error::{Error, Result};
use crate::externs::Extern;
use crate::func::{Caller, Func, IntoFunc};
use crate::handle::Handle;
use crate::instance::Instance;
use crate::module::{ImportType, Module};
use crate::objects::check_signature;
use crate::store::{AsContext, AsContextMut, StoreOpaque};
use crate::types::FuncType;
use crate::values::Val;

/// Functions and other things by the names under which modules import them.
///
/// Functions that are defined with [`Linker::func_wrap`] and [`Linker::func_new`] belong to no store: one
/// linker serves any number of stores of its engine.
///
/// ```
/// use wasmrun::{Engine, Linker, Module, Store};
///
/// let engine = Engine::default();
/// let mut linker = Linker::new(&engine);
/// linker.func_wrap("math", "add", |a: i32, b: i32| a.wrapping_add(b))?;
///
/// let module = Module::new(&engine, r#"
///     (import "math" "add" (func $add (param i32 i32) (result i32)))
///     (func (export "five") (result i32) (call $add (i32.const 2) (i32.const 3)))
/// "#)?;
/// let mut store = Store::new(&engine, ());
/// let instance = linker.instantiate(&mut store, &module)?;
/// let five = instance.get_typed_func::<(), i32>(&mut store, "five")?;
/// assert_eq!(five.call(&mut store, ())?, 5);
/// # Ok::<(), wasmrun::Error>(())
/// ```
pub struct Linker<T: 'static> {
    engine: Engine,
    modules: HashMap<Arc<str>, HashMap<Arc<str>, Definition>>,
    allow_shadowing: bool,
    data: std::marker::PhantomData<fn(&mut T)>,
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub(crate) enum Definition {
    /// Something of a store.
    Extern(Extern),
    /// A function that becomes one of each store that uses it.
    HostFunc(Arc<HostFunc>),
}

impl Definition {
    /// The item in this store.
    pub(crate) fn resolve(&self, store: &mut StoreOpaque) -> Extern {
        match self {
            Definition::Extern(item) => item.clone(),
            Definition::HostFunc(func) => Func::from_handle(Handle::of_host(store, func)).into(),
        }
    }
}

impl<T: 'static> Linker<T> {
    /// A linker without names.
    pub fn new(engine: &Engine) -> Linker<T> {
        Linker {
            engine: engine.clone(),
            modules: HashMap::new(),
            allow_shadowing: false,
            data: std::marker::PhantomData,
        }
    }

    /// The engine that it belongs to.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Whether a name may be defined again, which replaces what it stood for. Otherwise that is an error.
    pub fn allow_shadowing(&mut self, allow: bool) -> &mut Self {
        self.allow_shadowing = allow;
        self
    }

    fn insert(&mut self, module: &str, name: &str, definition: Definition) -> Result<&mut Self> {
        let names = match self.modules.get_mut(module) {
            Some(names) => names,
            None => self.modules.entry(module.into()).or_default(),
        };
        if !self.allow_shadowing && names.contains_key(name) {
            return Err(Error::msg(format!("import of `{module}::{name}` defined twice")));
        }
        names.insert(name.into(), definition);
        Ok(self)
    }

    fn find(&self, module: &str, name: &str) -> Option<&Definition> {
        self.modules.get(module)?.get(name)
    }

    /// Defines a name as something of a store. Instances can then be made in that store only, unless it is a
    /// [`SharedMemory`](crate::SharedMemory), which any store can have.
    ///
    /// # Errors
    /// The name is defined already, or the store belongs to another engine.
    pub fn define(
        &mut self,
        store: impl AsContext<Data = T>,
        module: &str,
        name: &str,
        item: impl Into<Extern>,
    ) -> Result<&mut Self> {
        self.check_engine("store", store.as_context().engine())?;
        self.insert(module, name, Definition::Extern(item.into()))
    }

    /// Defines a name as a function with a type that is known when it is made: see [`Func::new`].
    ///
    /// # Errors
    /// The name is defined already, or the type refers to one of another engine.
    pub fn func_new(
        &mut self,
        module: &str,
        name: &str,
        ty: FuncType,
        func: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
    ) -> Result<&mut Self> {
        check_signature(self.engine.registry(), &ty)?;
        let func = untyped_host_func(ty, func);
        self.insert(module, name, Definition::HostFunc(Arc::new(func)))
    }

    /// Defines a name as a function made of a closure: see [`Func::wrap`].
    ///
    /// # Errors
    /// The name is defined already.
    pub fn func_wrap<Params, Results>(
        &mut self,
        module: &str,
        name: &str,
        func: impl IntoFunc<T, Params, Results>,
    ) -> Result<&mut Self> {
        let func = func.into_host_func().into_inner();
        self.insert(module, name, Definition::HostFunc(Arc::new(func)))
    }

    /// Fails unless `other`, the engine of `what`, is the linker's.
    fn check_engine(&self, what: &str, other: &Engine) -> Result<()> {
        if Engine::same(&self.engine, other) {
            return Ok(());
        }
        Err(Error::msg(format!("the linker and the {what} belong to different engines")))
    }

    fn expect_engine(&self, other: &Engine) {
        if let Err(error) = self.check_engine("store", other) {
            panic!("{error}");
        }
    }

    /// What a name stands for, in this store.
    ///
    /// # Panics
    /// The store belongs to another engine.
    pub fn get(&self, mut store: impl AsContextMut<Data = T>, module: &str, name: &str) -> Option<Extern> {
        let mut store = store.as_context_mut();
        self.expect_engine(store.engine());
        let definition = self.find(module, name)?;
        Some(definition.resolve(&mut store.inner_mut().opaque))
    }

    /// What an import would be bound to, in this store.
    ///
    /// # Panics
    /// As [`Linker::get`].
    pub fn get_by_import(
        &self,
        store: impl AsContextMut<Data = T>,
        import: &ImportType<'_>,
    ) -> Option<Extern> {
        self.get(store, import.module(), import.name())
    }

    /// All names with what they stand for in this store, sorted.
    ///
    /// # Panics
    /// As [`Linker::get`].
    pub fn iter(&self, mut store: impl AsContextMut<Data = T>) -> std::vec::IntoIter<(&str, &str, Extern)> {
        let mut store = store.as_context_mut();
        self.expect_engine(store.engine());
        let opaque = &mut store.inner_mut().opaque;
        let mut items = Vec::new();
        for (module, names) in &self.modules {
            for (name, definition) in names {
                items.push((&**module, &**name, definition.resolve(opaque)));
            }
        }
        items.sort_by_key(|(module, name, _)| (*module, *name));
        items.into_iter()
    }

    /// Makes an instance with the names that it imports, and runs its start function.
    ///
    /// # Errors
    /// A name is not defined, the store or the module belongs to another engine, or as for
    /// [`Instance::new`].
    pub fn instantiate(&self, mut store: impl AsContextMut<Data = T>, module: &Module) -> Result<Instance> {
        let mut store = store.as_context_mut();
        self.check_engine("store", store.engine())?;
        let definitions = self.definitions(module)?;
        pre::instantiate(store.inner_mut(), module, &definitions)
    }

    /// Looks up the names that a module imports, so that making instances is faster.
    ///
    /// # Errors
    /// A name is not defined, or the module belongs to another engine.
    pub fn instantiate_pre(&self, module: &Module) -> Result<InstancePre<T>> {
        Ok(InstancePre::new(module, self.definitions(module)?))
    }

    fn definitions(&self, module: &Module) -> Result<Vec<Definition>> {
        self.check_engine("module", module.engine())?;
        let definition = |import: ImportType<'_>| {
            let found = self.find(import.module(), import.name());
            found.cloned().ok_or_else(|| self.unknown_import(&import))
        };
        module.imports().map(definition).collect()
    }

    fn unknown_import(&self, import: &ImportType<'_>) -> Error {
        let (module, name, ty) = (import.module(), import.name(), import.ty());
        let hint = match self.modules.get(module) {
            None => format!("nothing is defined in `{module}`"),
            Some(names) => format!("`{module}` has {} other names", names.len()),
        };
        Error::msg(format!("unknown import: `{module}::{name}` ({ty}) has not been defined; {hint}"))
    }
}

impl<T: 'static> Clone for Linker<T> {
    fn clone(&self) -> Self {
        Linker {
            engine: self.engine.clone(),
            modules: self.modules.clone(),
            allow_shadowing: self.allow_shadowing,
            data: std::marker::PhantomData,
        }
    }
}

impl<T: 'static> fmt::Debug for Linker<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.modules.iter().flat_map(|(m, names)| names.keys().map(move |n| format!("{m}::{n}")));
        f.debug_set().entries(names).finish()
    }
}
