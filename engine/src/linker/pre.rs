//! Instances of which the imports have been looked up.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::Definition;
use crate::error::Result;
use crate::externs::Extern;
use crate::instance::Instance;
use crate::link::Bindings;
use crate::module::Module;
use crate::store::{AsContextMut, StoreInner};

/// A [`Module`] with everything that it imports, ready to be instantiated in any store of its engine.
///
/// ```
/// use wasmrun::{Engine, Linker, Module, Store};
///
/// let engine = Engine::default();
/// let module = Module::new(&engine, r#"(import "env" "tick" (func))"#)?;
/// let mut linker = Linker::<u32>::new(&engine);
/// linker.func_wrap("env", "tick", || ())?;
/// let ready = linker.instantiate_pre(&module)?;
/// for request in 0..3 {
///     let mut store = Store::new(&engine, request);
///     ready.instantiate(&mut store)?;
/// }
/// # Ok::<(), wasmrun::Error>(())
/// ```
pub struct InstancePre<T: 'static> {
    module: Module,
    definitions: Arc<[Definition]>,
    data: PhantomData<fn(&mut T)>,
}

impl<T: 'static> InstancePre<T> {
    pub(super) fn new(module: &Module, definitions: Vec<Definition>) -> InstancePre<T> {
        InstancePre { module: module.clone(), definitions: definitions.into(), data: PhantomData }
    }

    /// The module.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// Makes an instance and runs its start function.
    ///
    /// # Errors
    /// As for [`Instance::new`].
    pub fn instantiate(&self, mut store: impl AsContextMut<Data = T>) -> Result<Instance> {
        let mut store = store.as_context_mut();
        // Before the definitions become functions of the store: those that no instance uses would stay.
        self.module.check_engine(store.engine())?;
        instantiate(store.inner_mut(), &self.module, &self.definitions)
    }
}

/// Makes an instance of definitions in the order of the module's imports.
pub(super) fn instantiate<T: 'static>(
    inner: &mut StoreInner<T>,
    module: &Module,
    definitions: &[Definition],
) -> Result<Instance> {
    let items: Vec<Extern> = definitions.iter().map(|d| d.resolve(&mut inner.opaque)).collect();
    let bindings = Bindings::new(&inner.opaque, module, &items)?;
    Instance::bind(inner, module, bindings)
}

impl<T: 'static> Clone for InstancePre<T> {
    fn clone(&self) -> Self {
        InstancePre { module: self.module.clone(), definitions: self.definitions.clone(), data: PhantomData }
    }
}

impl<T: 'static> fmt::Debug for InstancePre<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstancePre").field("module", &self.module).finish_non_exhaustive()
    }
}
