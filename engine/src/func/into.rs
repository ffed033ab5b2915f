//! Closures of the host as functions.

use std::marker::PhantomData;

use wasmrun_runtime::vm::HostFunc;

use super::Caller;
use super::list::{WasmTy, WasmTyList, for_each_arity};
use crate::entry::typed_host_func;
use crate::error::{Error, Result};

/// What a closure may return: nothing, a [`WasmTy`], a tuple of them, or a `Result` of one of these with an
/// error that converts to [`Error`]. An `Err` stops the guest.
///
/// ```
/// use wasmrun::{Engine, Func, I32Exit, Store};
///
/// let mut store = Store::new(&Engine::default(), ());
/// Func::wrap(&mut store, || -> (i32, i64) { (1, 2) });
/// Func::wrap(&mut store, |code: i32| -> Result<(), I32Exit> { Err(I32Exit(code)) });
/// ```
pub trait WasmRet {
    /// The values of a success.
    #[doc(hidden)]
    type List: WasmTyList;

    /// The values, or the error.
    #[doc(hidden)]
    fn into_results(self) -> Result<Self::List>;
}

impl<L: WasmTyList> WasmRet for L {
    type List = L;

    #[inline]
    fn into_results(self) -> Result<L> {
        Ok(self)
    }
}

impl<L: WasmTyList, E: Into<Error>> WasmRet for Result<L, E> {
    type List = L;

    #[inline]
    fn into_results(self) -> Result<L> {
        self.map_err(Into::into)
    }
}

/// A closure that can be a function of the host: up to 16 parameters that implement [`WasmTy`], a
/// [`Caller`] before them if it wants one, and a result that implements [`WasmRet`].
///
/// ```
/// use wasmrun::{Caller, Engine, Func, Store};
///
/// let mut store = Store::new(&Engine::default(), 0u32);
/// Func::wrap(&mut store, |a: i32, b: i64| a as i64 + b);
/// Func::wrap(&mut store, |mut caller: Caller<'_, u32>, by: u32| *caller.data_mut() += by);
/// ```
pub trait IntoFunc<T, Params, Results>: Send + Sync + 'static {
    /// The function.
    #[doc(hidden)]
    fn into_host_func(self) -> StoreFunc<T>;
}

/// A function of the host that gets into stores with data of type `T`, and no others: it takes the store that
/// it is called in for one of those. Who implements [`IntoFunc`] cannot pass off the function of another type.
///
/// ```compile_fail,E0053
/// use wasmrun::{Caller, IntoFunc};
///
/// struct Forged;
///
/// impl IntoFunc<String, (), ()> for Forged {
///     fn into_host_func(self) -> wasmrun_runtime::vm::HostFunc {
///         IntoFunc::into_host_func(|mut caller: Caller<'_, u32>| *caller.data_mut() += 1)
///     }
/// }
/// ```
pub struct StoreFunc<T> {
    func: HostFunc,
    data: PhantomData<fn(&mut T)>,
}

impl<T: 'static> StoreFunc<T> {
    fn new<P: WasmTyList, R: WasmRet>(
        func: impl Fn(Caller<'_, T>, P) -> R + Send + Sync + 'static,
    ) -> StoreFunc<T> {
        StoreFunc { func: typed_host_func(func), data: PhantomData }
    }

    /// The function, for a store or linker with data of type `T`.
    pub(crate) fn into_inner(self) -> HostFunc {
        self.func
    }
}

macro_rules! into_func {
    ($($ty:ident)*) => {
        #[allow(non_snake_case, reason = "values are named after their types")]
        impl<T: 'static, F, R, $($ty: WasmTy),*> IntoFunc<T, ($($ty,)*), R> for F
        where
            F: Fn($($ty),*) -> R + Send + Sync + 'static,
            R: WasmRet,
        {
            fn into_host_func(self) -> StoreFunc<T> {
                StoreFunc::new(move |_: Caller<'_, T>, ($($ty,)*): ($($ty,)*)| self($($ty),*))
            }
        }

        #[allow(non_snake_case, reason = "values are named after their types")]
        impl<T: 'static, F, R, $($ty: WasmTy),*> IntoFunc<T, (Caller<'_, T>, $($ty,)*), R> for F
        where
            F: Fn(Caller<'_, T>, $($ty),*) -> R + Send + Sync + 'static,
            R: WasmRet,
        {
            fn into_host_func(self) -> StoreFunc<T> {
                StoreFunc::new(move |caller: Caller<'_, T>, ($($ty,)*): ($($ty,)*)| {
                    self(caller, $($ty),*)
                })
            }
        }
    };
}

for_each_arity!(into_func);
