//! Functions whose type is checked once.

use std::fmt;
use std::marker::PhantomData;

use super::{Func, WasmParams, WasmResults};
use crate::entry::call_typed;
use crate::error::{Error, Result};
use crate::store::{AsContextMut, StoreOpaque};
use crate::types::{FuncType, ValType};

/// A [`Func`] whose type has been checked, so that calls are fast: arguments go straight to the guest's
/// stack, and nothing is allocated.
///
/// ```
/// use wasmrun::{Engine, Instance, Module, Store};
///
/// let engine = Engine::default();
/// let module = Module::new(&engine, r#"
///     (func (export "divmod") (param i32 i32) (result i32 i32)
///       (i32.div_s (local.get 0) (local.get 1))
///       (i32.rem_s (local.get 0) (local.get 1)))
/// "#)?;
/// let mut store = Store::new(&engine, ());
/// let instance = Instance::new(&mut store, &module, &[])?;
/// let divmod = instance.get_typed_func::<(i32, i32), (i32, i32)>(&mut store, "divmod")?;
/// assert_eq!(divmod.call(&mut store, (17, 5))?, (3, 2));
/// # Ok::<(), wasmrun::Error>(())
/// ```
pub struct TypedFunc<P, R> {
    // Of the type that `P` and `R` say: who calls it relies on that.
    func: Func,
    types: PhantomData<fn(P) -> R>,
}

impl<P, R> TypedFunc<P, R> {
    /// The function without its type.
    #[inline]
    pub fn func(&self) -> &Func {
        &self.func
    }
}

impl<P: WasmParams, R: WasmResults> TypedFunc<P, R> {
    /// The function, if it has this type.
    pub(super) fn new(store: &StoreOpaque, func: Func) -> Result<TypedFunc<P, R>> {
        let found = func.type_in(store)?;
        let types = store.engine.registry();
        let match_all = |these: &[ValType], others: &[ValType]| {
            these.len() == others.len()
                && these.iter().zip(others).all(|(this, other)| this.matches(*other, types))
        };
        if !(match_all(P::TYPES, found.params()) && match_all(found.results(), R::TYPES)) {
            let expected = FuncType::new(P::TYPES.iter().copied(), R::TYPES.iter().copied());
            return Err(Error::msg(format!(
                "type mismatch: the function is {found}, but was asked for as {expected}"
            )));
        }
        Ok(TypedFunc { func, types: PhantomData })
    }

    /// Calls it.
    ///
    /// # Errors
    /// The function traps, or a function of the host that it calls fails.
    ///
    /// # Panics
    /// A function of the host that it calls panics. The store can be used after that.
    #[inline]
    pub fn call(&self, mut store: impl AsContextMut, params: P) -> Result<R> {
        call_typed(store.as_context_mut().inner_mut(), self, params)
    }
}

impl<P, R> Clone for TypedFunc<P, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P, R> Copy for TypedFunc<P, R> {}

impl<P, R> fmt::Debug for TypedFunc<P, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedFunc").field("func", &self.func).finish_non_exhaustive()
    }
}
