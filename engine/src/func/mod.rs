//! Functions, of guests and of the host.

mod caller;
mod into;
mod list;
mod typed;

pub use caller::Caller;
pub use into::{IntoFunc, WasmRet};
pub use list::{WasmParams, WasmResults, WasmTy};
pub use typed::TypedFunc;

pub(crate) use list::WasmTyList;

use std::sync::Arc;

use wasmrun_runtime::types::TypeId;
use wasmrun_runtime::vm::FuncRef;

use crate::entry::{call_untyped, untyped_host_func};
use crate::error::Result;
use crate::handle::Handle;
use crate::objects::check_signature;
use crate::store::{AsContext, AsContextMut, StoreOpaque};
use crate::types::FuncType;
use crate::values::Val;

/// A function.
///
/// ```
/// use wasmrun::{Engine, Func, Instance, Module, Store, Val};
///
/// let engine = Engine::default();
/// let module = Module::new(&engine, r#"
///     (module
///       (import "host" "triple" (func $triple (param i32) (result i32)))
///       (func (export "run") (param i32) (result i32)
///         (call $triple (i32.add (local.get 0) (i32.const 1)))))
/// "#)?;
/// let mut store = Store::new(&engine, ());
/// let triple = Func::wrap(&mut store, |x: i32| x * 3);
/// let instance = Instance::new(&mut store, &module, &[triple.into()])?;
/// let run = instance.get_func(&mut store, "run").unwrap();
/// let mut results = [Val::I32(0)];
/// run.call(&mut store, &[Val::I32(13)], &mut results)?;
/// assert_eq!(results, [Val::I32(42)]);
/// # Ok::<(), wasmrun::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Func {
    handle: Handle<FuncRef>,
}

impl PartialEq for Func {
    fn eq(&self, other: &Func) -> bool {
        self.handle.same(&other.handle)
    }
}

impl Func {
    pub(crate) fn from_handle(handle: Handle<FuncRef>) -> Func {
        Func { handle }
    }

    #[inline]
    pub(crate) fn handle(&self) -> &Handle<FuncRef> {
        &self.handle
    }

    /// The word of a reference in slots and tables; 0 is null.
    #[inline]
    pub(crate) fn to_word(func: Option<Func>, store: &StoreOpaque) -> Result<u64> {
        func.map_or(Ok(0), |func| func.handle.to_word(store))
    }

    /// A function of the host with a type that is known when it is made. `func` gets the arguments and sets
    /// the results, which start as zeroes and nulls. An error of it, or a result of the wrong type, stops the
    /// guest.
    ///
    /// # Panics
    /// The type refers to one of another engine.
    ///
    /// ```
    /// use wasmrun::{Engine, Func, FuncType, Store, Val, ValType};
    ///
    /// let mut store = Store::new(&Engine::default(), ());
    /// let ty = FuncType::new([ValType::I32, ValType::I32], [ValType::I32]);
    /// let max = Func::new(&mut store, ty, |_caller, params, results| {
    ///     results[0] = Val::I32(params[0].unwrap_i32().max(params[1].unwrap_i32()));
    ///     Ok(())
    /// });
    /// ```
    pub fn new<T: 'static>(
        mut store: impl AsContextMut<Data = T>,
        ty: FuncType,
        func: impl Fn(Caller<'_, T>, &[Val], &mut [Val]) -> Result<()> + Send + Sync + 'static,
    ) -> Func {
        let mut store = store.as_context_mut();
        let opaque = &mut store.inner_mut().opaque;
        check_signature(opaque.engine.registry(), &ty).unwrap_or_else(|error| panic!("{error}"));
        let func = Arc::new(untyped_host_func(ty, func));
        Func::from_handle(Handle::of_host(opaque, &func))
    }

    /// A function of the host, made of a closure whose parameters and results say its type. See
    /// [`IntoFunc`] for what closures can look like.
    ///
    /// The store keeps the closure as long as it lives.
    pub fn wrap<T: 'static, Params, Results>(
        mut store: impl AsContextMut<Data = T>,
        func: impl IntoFunc<T, Params, Results>,
    ) -> Func {
        let mut store = store.as_context_mut();
        let opaque = &mut store.inner_mut().opaque;
        let func = Arc::new(func.into_host_func().into_inner());
        Func::from_handle(Handle::of_host(opaque, &func))
    }

    /// Its type.
    ///
    /// # Panics
    /// It belongs to another store, or its instance has been dropped.
    pub fn ty(&self, store: impl AsContext) -> FuncType {
        self.type_in(&store.as_context().inner().opaque).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn type_id(&self, store: &StoreOpaque) -> Result<TypeId> {
        Ok(self.handle.get(store)?.type_id)
    }

    pub(crate) fn type_in(&self, store: &StoreOpaque) -> Result<FuncType> {
        let id = self.type_id(store)?;
        Ok(store.engine.registry().func(id).expect("the registry knows the types of its functions"))
    }

    /// Calls it with values of any type.
    ///
    /// # Errors
    /// The values do not match its type; the function traps, or a function of the host that it calls fails.
    ///
    /// # Panics
    /// A function of the host that it calls panics. The store can be used after that.
    pub fn call(&self, mut store: impl AsContextMut, params: &[Val], results: &mut [Val]) -> Result<()> {
        call_untyped(store.as_context_mut().inner_mut(), self, params, results)
    }

    /// The function with its type checked once, for calls that are fast. `P` and `R` are a type, or a tuple
    /// of types, that implement [`WasmTy`].
    ///
    /// # Errors
    /// The function is of another type.
    ///
    /// ```
    /// use wasmrun::{Engine, Func, Store};
    ///
    /// let mut store = Store::new(&Engine::default(), ());
    /// let add = Func::wrap(&mut store, |a: i32, b: i32| a + b);
    /// assert!(add.typed::<(i32, i32), i32>(&store).is_ok());
    /// assert!(add.typed::<(i32, i64), i32>(&store).is_err());
    /// ```
    pub fn typed<P: WasmParams, R: WasmResults>(&self, store: impl AsContext) -> Result<TypedFunc<P, R>> {
        TypedFunc::new(&store.as_context().inner().opaque, *self)
    }
}
