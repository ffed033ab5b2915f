//! Types of the host that stand for types of WebAssembly, alone and in lists.

use crate::entry::Slots;
use crate::error::Result;
use crate::func::Func;
use crate::objects::{AnyRef, ArrayRef, EqRef, ExnRef, StructRef};
use crate::rooted::{ExternRef, Rooted};
use crate::store::StoreOpaque;
use crate::types::{HeapType, RefType, ValType};
use crate::values::V128;

mod sealed {
    pub trait Sealed {}
}

/// A type of the host that stands for one of WebAssembly: `i32` and `u32` for `i32`, `i64` and `u64` for
/// `i64`, `f32`, `f64`, [`V128`], `Option<Func>` for `funcref`, [`Func`] for `(ref func)` and
/// `Option<Rooted<ExternRef>>` for `externref`, and the same of `AnyRef`, `EqRef`, `StructRef`, `ArrayRef` and `ExnRef`,
/// without the `Option` where null is not allowed.
///
/// ```
/// use wasmrun::{ValType, WasmTy};
///
/// fn type_of<T: WasmTy>(_: T) -> ValType {
///     T::TYPE
/// }
/// assert_eq!(type_of(1u64), ValType::I64);
/// ```
pub trait WasmTy: sealed::Sealed + Send + Sized + 'static {
    /// The type that it stands for.
    const TYPE: ValType;

    /// Writes it to the next slots.
    #[doc(hidden)]
    fn put(self, store: &StoreOpaque, slots: &mut Slots<'_>) -> Result<()>;

    /// Reads it from the next slots.
    #[doc(hidden)]
    fn take(store: &mut StoreOpaque, slots: &mut Slots<'_>) -> Self;
}

macro_rules! wasm_ty {
    ($($host:ty: $wasm:ident, |$v:ident| $to:expr, |$word:ident| $from:expr;)*) => {
        $(
            impl sealed::Sealed for $host {}

            impl WasmTy for $host {
                const TYPE: ValType = ValType::$wasm;

                #[inline]
                fn put(self, _: &StoreOpaque, slots: &mut Slots<'_>) -> Result<()> {
                    let $v = self;
                    slots.put($to);
                    Ok(())
                }

                #[inline]
                fn take(_: &mut StoreOpaque, slots: &mut Slots<'_>) -> Self {
                    let $word = slots.take();
                    $from
                }
            }
        )*
    };
}

// Values of 32 bits fill their slot with zeroes; floats travel as bits.
wasm_ty! {
    i32: I32, |v| u64::from(v as u32), |word| word as i32;
    u32: I32, |v| u64::from(v), |word| word as u32;
    i64: I64, |v| v as u64, |word| word as i64;
    u64: I64, |v| v, |word| word;
    f32: F32, |v| u64::from(v.to_bits()), |word| f32::from_bits(word as u32);
    f64: F64, |v| v.to_bits(), |word| f64::from_bits(word);
}

impl sealed::Sealed for V128 {}

impl WasmTy for V128 {
    const TYPE: ValType = ValType::V128;

    #[inline]
    fn put(self, _: &StoreOpaque, slots: &mut Slots<'_>) -> Result<()> {
        slots.put(self.as_u128() as u64);
        slots.put((self.as_u128() >> 64) as u64);
        Ok(())
    }

    #[inline]
    fn take(_: &mut StoreOpaque, slots: &mut Slots<'_>) -> V128 {
        let (low, high) = (slots.take(), slots.take());
        V128::from(u128::from(high) << 64 | u128::from(low))
    }
}

impl sealed::Sealed for Option<Func> {}

impl WasmTy for Option<Func> {
    const TYPE: ValType = ValType::FUNCREF;

    #[inline]
    fn put(self, store: &StoreOpaque, slots: &mut Slots<'_>) -> Result<()> {
        slots.put(Func::to_word(self, store)?);
        Ok(())
    }

    #[inline]
    fn take(store: &mut StoreOpaque, slots: &mut Slots<'_>) -> Option<Func> {
        slots.take_function(store)
    }
}

impl sealed::Sealed for Func {}

impl WasmTy for Func {
    const TYPE: ValType = ValType::Ref(RefType::new(false, HeapType::Func));

    #[inline]
    fn put(self, store: &StoreOpaque, slots: &mut Slots<'_>) -> Result<()> {
        WasmTy::put(Some(self), store, slots)
    }

    #[inline]
    fn take(store: &mut StoreOpaque, slots: &mut Slots<'_>) -> Func {
        slots.take_function(store).expect("null is no value of `(ref func)`")
    }
}

impl sealed::Sealed for Option<Rooted<ExternRef>> {}

impl WasmTy for Option<Rooted<ExternRef>> {
    const TYPE: ValType = ValType::EXTERNREF;

    #[inline]
    fn put(self, store: &StoreOpaque, slots: &mut Slots<'_>) -> Result<()> {
        slots.put_reference(Rooted::to_word(self, store)?);
        Ok(())
    }

    #[inline]
    fn take(store: &mut StoreOpaque, slots: &mut Slots<'_>) -> Option<Rooted<ExternRef>> {
        Rooted::of_word(store, slots.take_reference())
    }
}

macro_rules! objects {
    ($($name:ident: $ty:expr;)*) => { $(
        impl sealed::Sealed for Option<Rooted<$name>> {}

        impl WasmTy for Option<Rooted<$name>> {
            const TYPE: ValType = ValType::Ref($ty);

            #[inline]
            fn put(self, store: &StoreOpaque, slots: &mut Slots<'_>) -> Result<()> {
                slots.put_reference(Rooted::to_word(self, store)?);
                Ok(())
            }

            #[inline]
            fn take(store: &mut StoreOpaque, slots: &mut Slots<'_>) -> Option<Rooted<$name>> {
                Rooted::of_word(store, slots.take_reference())
            }
        }

        impl sealed::Sealed for Rooted<$name> {}

        impl WasmTy for Rooted<$name> {
            const TYPE: ValType = ValType::Ref(RefType::new(false, $ty.heap));

            #[inline]
            fn put(self, store: &StoreOpaque, slots: &mut Slots<'_>) -> Result<()> {
                WasmTy::put(Some(self), store, slots)
            }

            #[inline]
            fn take(store: &mut StoreOpaque, slots: &mut Slots<'_>) -> Rooted<$name> {
                Rooted::of_word(store, slots.take_reference()).expect("null is no value of the type")
            }
        }
    )* };
}

objects! {
    AnyRef: RefType::ANYREF;
    EqRef: RefType::EQREF;
    StructRef: RefType::STRUCTREF;
    ArrayRef: RefType::ARRAYREF;
    ExnRef: RefType::EXNREF;
}

/// A list of values: one type or a tuple of them.
pub trait WasmTyList: sealed::Sealed + Sized + Send + 'static {
    /// Their types.
    #[doc(hidden)]
    const TYPES: &'static [ValType];
    /// Value slots that they take.
    #[doc(hidden)]
    const VALUES: usize;
    /// Reference slots that they take.
    #[doc(hidden)]
    const REFERENCES: usize;

    /// Writes them to slots.
    #[doc(hidden)]
    fn put(self, store: &StoreOpaque, slots: &mut Slots<'_>) -> Result<()>;

    /// Reads them from slots.
    #[doc(hidden)]
    fn take(store: &mut StoreOpaque, slots: &mut Slots<'_>) -> Self;
}

/// What a [`TypedFunc`](crate::TypedFunc) takes: a [`WasmTy`], or a tuple of up to 16 of them.
///
/// ```
/// fn fits<P: wasmrun::WasmParams>() {}
/// fits::<()>();
/// fits::<i32>();
/// fits::<(i32, f64, u64)>();
/// ```
pub trait WasmParams: WasmTyList {}

/// What a [`TypedFunc`](crate::TypedFunc) gives: a [`WasmTy`], or a tuple of up to 16 of them.
///
/// ```
/// fn fits<R: wasmrun::WasmResults>() {}
/// fits::<()>();
/// fits::<(i32, i32)>();
/// ```
pub trait WasmResults: WasmTyList {}

impl<L: WasmTyList> WasmParams for L {}
impl<L: WasmTyList> WasmResults for L {}

impl<V: WasmTy> WasmTyList for V {
    const TYPES: &'static [ValType] = &[V::TYPE];
    const VALUES: usize = V::TYPE.value_slots();
    const REFERENCES: usize = V::TYPE.is_collected() as usize;

    #[inline]
    fn put(self, store: &StoreOpaque, slots: &mut Slots<'_>) -> Result<()> {
        V::put(self, store, slots)
    }

    #[inline]
    fn take(store: &mut StoreOpaque, slots: &mut Slots<'_>) -> V {
        V::take(store, slots)
    }
}

macro_rules! tuple_list {
    ($($ty:ident)*) => {
        impl<$($ty: WasmTy),*> sealed::Sealed for ($($ty,)*) {}

        #[allow(non_snake_case, clippy::unused_unit, reason = "one pattern for all lengths, none included")]
        impl<$($ty: WasmTy),*> WasmTyList for ($($ty,)*) {
            const TYPES: &'static [ValType] = &[$($ty::TYPE),*];
            const VALUES: usize = 0 $(+ $ty::TYPE.value_slots())*;
            const REFERENCES: usize = 0 $(+ $ty::TYPE.is_collected() as usize)*;

            #[inline]
            fn put(self, _store: &StoreOpaque, _slots: &mut Slots<'_>) -> Result<()> {
                let ($($ty,)*) = self;
                $($ty.put(_store, _slots)?;)*
                Ok(())
            }

            #[inline]
            fn take(_store: &mut StoreOpaque, _slots: &mut Slots<'_>) -> Self {
                $(let $ty = $ty::take(_store, _slots);)*
                ($($ty,)*)
            }
        }
    };
}

/// Calls a macro with no to sixteen names of types.
macro_rules! for_each_arity {
    ($mac:ident) => {
        for_each_arity!($mac; A1 A2 A3 A4 A5 A6 A7 A8 A9 A10 A11 A12 A13 A14 A15 A16);
    };
    ($mac:ident; $($ty:ident)*) => {
        for_each_arity!(@prefixes $mac; ; $($ty)*);
    };
    (@prefixes $mac:ident; $($done:ident)*; $next:ident $($rest:ident)*) => {
        $mac! { $($done)* }
        for_each_arity!(@prefixes $mac; $($done)* $next; $($rest)*);
    };
    (@prefixes $mac:ident; $($done:ident)*;) => {
        $mac! { $($done)* }
    };
}

for_each_arity!(tuple_list);

pub(super) use for_each_arity;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::FuncType;

    #[test]
    fn lists_take_the_slots_that_the_runtime_counts() {
        type Every = (i32, u32, i64, u64, f32, f64, V128, Option<Func>, Func, Option<Rooted<ExternRef>>);
        fn check<L: WasmTyList>() {
            let slots = FuncType::new(L::TYPES.iter().copied(), []).slots();
            assert_eq!((L::VALUES, L::REFERENCES), (slots.params as usize, slots.ref_params as usize));
        }
        check::<()>();
        check::<V128>();
        check::<Option<Func>>();
        check::<Option<Rooted<ExternRef>>>();
        check::<Every>();
        assert_eq!((Every::VALUES, Every::REFERENCES), (10, 1));
    }
}
