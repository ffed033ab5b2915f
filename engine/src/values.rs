//! Values that cross the border between host and guest.

use crate::entry::Slots;
use crate::error::{Error, Result};
use crate::func::{Func, WasmTy};
use crate::handle::Handle;
use crate::objects::{AnyRef, ArrayRef, EqRef, ExnRef, StructRef, check_known};
use crate::rooted::{ExternRef, Rooted};
use crate::store::StoreOpaque;
use crate::types::{HeapType, RefType, ValType};

/// A vector of 128 bits.
///
/// ```
/// assert_eq!(wasmrun::V128::from(1).as_u128(), 1);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct V128(u128);

impl V128 {
    /// Its bits, lane 0 lowest.
    pub fn as_u128(self) -> u128 {
        self.0
    }
}

impl From<u128> for V128 {
    fn from(bits: u128) -> V128 {
        V128(bits)
    }
}

/// A value of any type. Floats are kept as bits, so that no NaN changes on the way.
///
/// ```
/// use wasmrun::Val;
///
/// assert_eq!(Val::from(7).i32(), Some(7));
/// assert_eq!(Val::from(0.5f32), Val::F32(0.5f32.to_bits()));
/// assert_eq!(Val::I64(7).i32(), None);
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Val {
    /// 32-bit integer.
    I32(i32),
    /// 64-bit integer.
    I64(i64),
    /// Bits of a 32-bit float.
    F32(u32),
    /// Bits of a 64-bit float.
    F64(u64),
    /// 128-bit vector.
    V128(V128),
    /// Reference to a function, or null.
    FuncRef(Option<Func>),
    /// Reference to a value of the host, or null.
    ExternRef(Option<Rooted<ExternRef>>),
    /// Reference to a value of the guest, or null: of every type that matches `anyref`.
    AnyRef(Option<Rooted<AnyRef>>),
    /// Reference to an exception, or null.
    ExnRef(Option<Rooted<ExnRef>>),
}

impl Val {
    /// Its type.
    pub fn ty(&self) -> ValType {
        match self {
            Val::I32(_) => ValType::I32,
            Val::I64(_) => ValType::I64,
            Val::F32(_) => ValType::F32,
            Val::F64(_) => ValType::F64,
            Val::V128(_) => ValType::V128,
            Val::FuncRef(_) => ValType::FUNCREF,
            Val::ExternRef(_) => ValType::EXTERNREF,
            Val::AnyRef(_) => ValType::ANYREF,
            Val::ExnRef(_) => ValType::EXNREF,
        }
    }

    /// Zero or null of a type.
    pub fn default_for_ty(ty: ValType) -> Val {
        match ty {
            ValType::I32 => Val::I32(0),
            ValType::I64 => Val::I64(0),
            ValType::F32 => Val::F32(0),
            ValType::F64 => Val::F64(0),
            ValType::V128 => Val::V128(V128(0)),
            ValType::Ref(ty) => Ref::null(ty.heap).into(),
        }
    }

    /// A null reference to a function.
    pub fn null_func_ref() -> Val {
        Val::FuncRef(None)
    }

    /// A null reference to a value of the host.
    pub fn null_extern_ref() -> Val {
        Val::ExternRef(None)
    }

    /// A null reference to a value of the guest.
    pub fn null_any_ref() -> Val {
        Val::AnyRef(None)
    }

    /// A null reference to an exception.
    pub fn null_exn_ref() -> Val {
        Val::ExnRef(None)
    }

    /// The value, if it is an `i32`.
    pub fn i32(&self) -> Option<i32> {
        if let Val::I32(v) = self { Some(*v) } else { None }
    }

    /// The value, if it is an `i64`.
    pub fn i64(&self) -> Option<i64> {
        if let Val::I64(v) = self { Some(*v) } else { None }
    }

    /// The value, if it is an `f32`.
    pub fn f32(&self) -> Option<f32> {
        if let Val::F32(v) = self { Some(f32::from_bits(*v)) } else { None }
    }

    /// The value, if it is an `f64`.
    pub fn f64(&self) -> Option<f64> {
        if let Val::F64(v) = self { Some(f64::from_bits(*v)) } else { None }
    }

    /// The value, if it is a `v128`.
    pub fn v128(&self) -> Option<V128> {
        if let Val::V128(v) = self { Some(*v) } else { None }
    }

    /// The reference, if it is one.
    pub fn ref_(&self) -> Option<Ref> {
        match self {
            Val::FuncRef(func) => Some(Ref::Func(*func)),
            Val::ExternRef(value) => Some(Ref::Extern(*value)),
            Val::AnyRef(value) => Some(Ref::Any(*value)),
            Val::ExnRef(value) => Some(Ref::Exn(*value)),
            _ => None,
        }
    }

    /// The function, if it is a reference to one or null.
    pub fn func_ref(&self) -> Option<Option<&Func>> {
        if let Val::FuncRef(func) = self { Some(func.as_ref()) } else { None }
    }

    /// The host value, if it is a reference to one or null.
    pub fn extern_ref(&self) -> Option<Option<&Rooted<ExternRef>>> {
        if let Val::ExternRef(value) = self { Some(value.as_ref()) } else { None }
    }

    /// The value of the guest, if it is a reference to one or null.
    pub fn any_ref(&self) -> Option<Option<&Rooted<AnyRef>>> {
        if let Val::AnyRef(value) = self { Some(value.as_ref()) } else { None }
    }

    /// The exception, if it is a reference to one or null.
    pub fn exn_ref(&self) -> Option<Option<&Rooted<ExnRef>>> {
        if let Val::ExnRef(value) = self { Some(value.as_ref()) } else { None }
    }

    /// The value, or a panic when it is no `i32`.
    #[track_caller]
    pub fn unwrap_i32(&self) -> i32 {
        self.i32().unwrap_or_else(|| panic!("expected i32, found {}", self.ty()))
    }

    /// The value, or a panic when it is no `i64`.
    #[track_caller]
    pub fn unwrap_i64(&self) -> i64 {
        self.i64().unwrap_or_else(|| panic!("expected i64, found {}", self.ty()))
    }

    /// The value, or a panic when it is no `f32`.
    #[track_caller]
    pub fn unwrap_f32(&self) -> f32 {
        self.f32().unwrap_or_else(|| panic!("expected f32, found {}", self.ty()))
    }

    /// The value, or a panic when it is no `f64`.
    #[track_caller]
    pub fn unwrap_f64(&self) -> f64 {
        self.f64().unwrap_or_else(|| panic!("expected f64, found {}", self.ty()))
    }

    /// The value, or a panic when it is no `v128`.
    #[track_caller]
    pub fn unwrap_v128(&self) -> V128 {
        self.v128().unwrap_or_else(|| panic!("expected v128, found {}", self.ty()))
    }

    /// The function or null, or a panic when it is no reference to a function.
    #[track_caller]
    pub fn unwrap_func_ref(&self) -> Option<&Func> {
        self.func_ref().unwrap_or_else(|| panic!("expected funcref, found {}", self.ty()))
    }

    /// The host value or null, or a panic when it is no reference to one.
    #[track_caller]
    pub fn unwrap_extern_ref(&self) -> Option<&Rooted<ExternRef>> {
        self.extern_ref().unwrap_or_else(|| panic!("expected externref, found {}", self.ty()))
    }

    /// The value of the guest or null, or a panic when it is no reference to one.
    #[track_caller]
    pub fn unwrap_any_ref(&self) -> Option<&Rooted<AnyRef>> {
        self.any_ref().unwrap_or_else(|| panic!("expected anyref, found {}", self.ty()))
    }

    /// The exception or null, or a panic when it is no reference to one.
    #[track_caller]
    pub fn unwrap_exn_ref(&self) -> Option<&Rooted<ExnRef>> {
        self.exn_ref().unwrap_or_else(|| panic!("expected exnref, found {}", self.ty()))
    }

    /// Checks that it is of a type.
    pub(crate) fn check(&self, store: &StoreOpaque, ty: ValType) -> Result<()> {
        if self.is_of(store, ty)? {
            return Ok(());
        }
        Err(Error::msg(format!("type mismatch: expected {ty}, found {}", self.describe(store)?)))
    }

    /// Checks that it is of a type, and gives its representation in slots.
    pub(crate) fn to_words(self, store: &StoreOpaque, ty: ValType) -> Result<[u64; 2]> {
        self.check(store, ty)?;
        let low = match self {
            Val::I32(v) => u64::from(v as u32),
            Val::I64(v) => v as u64,
            Val::F32(bits) => bits.into(),
            Val::F64(bits) => bits,
            Val::V128(V128(bits)) => return Ok([bits as u64, (bits >> 64) as u64]),
            Val::FuncRef(func) => Func::to_word(func, store)?,
            Val::ExternRef(value) => Rooted::to_word(value, store)?.into(),
            Val::AnyRef(value) => Rooted::to_word(value, store)?.into(),
            Val::ExnRef(value) => Rooted::to_word(value, store)?.into(),
        };
        Ok([low, 0])
    }

    /// The value of a type that has this representation in slots.
    ///
    /// # Safety
    /// It is one of this store.
    #[allow(unsafe_code)]
    pub(crate) unsafe fn of_words(store: &mut StoreOpaque, ty: ValType, [low, high]: [u64; 2]) -> Val {
        match ty {
            ValType::I32 => Val::I32(low as i32),
            ValType::I64 => Val::I64(low as i64),
            ValType::F32 => Val::F32(low as u32),
            ValType::F64 => Val::F64(low),
            ValType::V128 => Val::V128(V128((u128::from(high) << 64) | u128::from(low))),
            ValType::Ref(ty) if ty.heap.is_collected() => {
                Ref::of_collected(store, ty.heap, low as u32).into()
            }
            // SAFETY: the caller's promise.
            ValType::Ref(_) => Val::FuncRef(unsafe { Handle::of_word(store, low) }.map(Func::from_handle)),
        }
    }

    /// Checks that it is of a type, and writes it to the next slots.
    pub(crate) fn put(&self, store: &StoreOpaque, ty: ValType, slots: &mut Slots<'_>) -> Result<()> {
        self.check(store, ty)?;
        match *self {
            Val::I32(v) => v.put(store, slots),
            Val::I64(v) => v.put(store, slots),
            Val::F32(bits) => bits.put(store, slots),
            Val::F64(bits) => bits.put(store, slots),
            Val::V128(v) => v.put(store, slots),
            Val::FuncRef(func) => func.put(store, slots),
            Val::ExternRef(value) => value.put(store, slots),
            Val::AnyRef(value) => value.put(store, slots),
            Val::ExnRef(value) => value.put(store, slots),
        }
    }

    /// Whether it is of a type.
    fn is_of(&self, store: &StoreOpaque, ty: ValType) -> Result<bool> {
        match (self.ref_(), ty) {
            (Some(reference), ValType::Ref(ty)) => reference.is_of(store, ty),
            _ => Ok(self.ty() == ty),
        }
    }

    /// Its type, as exactly as it is known.
    fn describe(&self, store: &StoreOpaque) -> Result<String> {
        self.ref_().map_or_else(|| Ok(self.ty().to_string()), |reference| reference.describe(store))
    }

    /// Reads a value of a type from the next slots.
    pub(crate) fn take(store: &mut StoreOpaque, ty: ValType, slots: &mut Slots<'_>) -> Val {
        match ty {
            ValType::I32 => Val::I32(WasmTy::take(store, slots)),
            ValType::I64 => Val::I64(WasmTy::take(store, slots)),
            ValType::F32 => Val::F32(WasmTy::take(store, slots)),
            ValType::F64 => Val::F64(WasmTy::take(store, slots)),
            ValType::V128 => Val::V128(WasmTy::take(store, slots)),
            ValType::Ref(ty) if ty.heap.is_collected() => {
                let word = slots.take_reference();
                Ref::of_collected(store, ty.heap, word).into()
            }
            ValType::Ref(_) => Val::FuncRef(WasmTy::take(store, slots)),
        }
    }
}

impl PartialEq for Val {
    /// Numbers are equal when their bits are; references to functions when they refer to the same; others
    /// when they are the same handle: see [`Rooted::ref_eq`].
    fn eq(&self, other: &Val) -> bool {
        match (self, other) {
            (Val::I32(a), Val::I32(b)) => a == b,
            (Val::I64(a), Val::I64(b)) => a == b,
            (Val::F32(a), Val::F32(b)) => a == b,
            (Val::F64(a), Val::F64(b)) => a == b,
            (Val::V128(a), Val::V128(b)) => a == b,
            (Val::FuncRef(a), Val::FuncRef(b)) => a == b,
            (Val::ExternRef(a), Val::ExternRef(b)) => a == b,
            (Val::AnyRef(a), Val::AnyRef(b)) => a == b,
            (Val::ExnRef(a), Val::ExnRef(b)) => a == b,
            _ => false,
        }
    }
}

macro_rules! val_from {
    ($($from:ty => |$v:ident| $val:expr,)*) => {
        $(impl From<$from> for Val {
            fn from($v: $from) -> Val {
                $val
            }
        })*
    };
}

val_from! {
    i32 => |v| Val::I32(v),
    i64 => |v| Val::I64(v),
    f32 => |v| Val::F32(v.to_bits()),
    f64 => |v| Val::F64(v.to_bits()),
    V128 => |v| Val::V128(v),
    Func => |v| Val::FuncRef(Some(v)),
    Option<Func> => |v| Val::FuncRef(v),
    Rooted<ExternRef> => |v| Val::ExternRef(Some(v)),
    Option<Rooted<ExternRef>> => |v| Val::ExternRef(v),
    Rooted<AnyRef> => |v| Val::AnyRef(Some(v)),
    Option<Rooted<AnyRef>> => |v| Val::AnyRef(v),
    Rooted<EqRef> => |v| Val::AnyRef(Some(v.cast())),
    Rooted<StructRef> => |v| Val::AnyRef(Some(v.cast())),
    Rooted<ArrayRef> => |v| Val::AnyRef(Some(v.cast())),
    Rooted<ExnRef> => |v| Val::ExnRef(Some(v)),
    Option<Rooted<ExnRef>> => |v| Val::ExnRef(v),
}

impl From<Ref> for Val {
    fn from(reference: Ref) -> Val {
        match reference {
            Ref::Func(func) => Val::FuncRef(func),
            Ref::Extern(value) => Val::ExternRef(value),
            Ref::Any(value) => Val::AnyRef(value),
            Ref::Exn(value) => Val::ExnRef(value),
        }
    }
}

/// A reference, as tables hold them.
///
/// ```
/// use wasmrun::{HeapType, Ref};
///
/// assert!(Ref::null(HeapType::Func).is_null());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Ref {
    /// A function, or null.
    Func(Option<Func>),
    /// A value of the host, or null.
    Extern(Option<Rooted<ExternRef>>),
    /// A value of the guest, or null.
    Any(Option<Rooted<AnyRef>>),
    /// An exception, or null.
    Exn(Option<Rooted<ExnRef>>),
}

impl Ref {
    /// Null.
    pub fn null(heap: HeapType) -> Ref {
        match heap.top() {
            HeapType::Func => Ref::Func(None),
            HeapType::Any => Ref::Any(None),
            HeapType::Exn => Ref::Exn(None),
            _ => Ref::Extern(None),
        }
    }

    /// The collected reference of a type that is this word.
    pub(crate) fn of_collected(store: &mut StoreOpaque, heap: HeapType, word: u32) -> Ref {
        match heap.top() {
            HeapType::Any => Ref::Any(Rooted::of_word(store, word)),
            HeapType::Exn => Ref::Exn(Rooted::of_word(store, word)),
            _ => Ref::Extern(Rooted::of_word(store, word)),
        }
    }

    /// Whether it is null.
    pub fn is_null(&self) -> bool {
        matches!(self, Ref::Func(None) | Ref::Extern(None) | Ref::Any(None) | Ref::Exn(None))
    }

    /// Its type.
    pub fn ty(&self) -> RefType {
        match self {
            Ref::Func(_) => RefType::FUNCREF,
            Ref::Extern(_) => RefType::EXTERNREF,
            Ref::Any(_) => RefType::ANYREF,
            Ref::Exn(_) => RefType::EXNREF,
        }
    }

    /// The function, if it is a reference to one or null.
    pub fn as_func(&self) -> Option<Option<&Func>> {
        if let Ref::Func(func) = self { Some(func.as_ref()) } else { None }
    }

    /// The host value, if it is a reference to one or null.
    pub fn as_extern(&self) -> Option<Option<&Rooted<ExternRef>>> {
        if let Ref::Extern(value) = self { Some(value.as_ref()) } else { None }
    }

    /// The value of the guest, if it is a reference to one or null.
    pub fn as_any(&self) -> Option<Option<&Rooted<AnyRef>>> {
        if let Ref::Any(value) = self { Some(value.as_ref()) } else { None }
    }

    /// The exception, if it is a reference to one or null.
    pub fn as_exn(&self) -> Option<Option<&Rooted<ExnRef>>> {
        if let Ref::Exn(value) = self { Some(value.as_ref()) } else { None }
    }

    /// The function, or a panic when it is not a reference to one.
    #[track_caller]
    pub fn unwrap_func(&self) -> &Func {
        self.as_func().flatten().unwrap_or_else(|| panic!("expected a function, found {self:?}"))
    }

    /// Whether it is of a type.
    fn is_of(&self, store: &StoreOpaque, ty: RefType) -> Result<bool> {
        check_known(store.engine.registry(), ValType::Ref(ty))?;
        Ok(match self {
            Ref::Func(None) => ty.nullable && ty.heap.top() == HeapType::Func,
            Ref::Extern(None) => ty.nullable && ty.heap.top() == HeapType::Extern,
            Ref::Func(Some(func)) => match ty.heap {
                HeapType::Func => true,
                HeapType::ConcreteFunc(ty) => {
                    store.engine.registry().is_subtype(func.type_id(store)?, ty.id())
                }
                _ => false,
            },
            Ref::Extern(Some(_)) => ty.heap == HeapType::Extern,
            Ref::Any(None) => ty.nullable && ty.heap.top() == HeapType::Any,
            Ref::Any(Some(value)) => ty.heap.top() == HeapType::Any && value.matches_in(store, ty.heap)?,
            Ref::Exn(None) => ty.nullable && ty.heap.top() == HeapType::Exn,
            Ref::Exn(Some(_)) => ty.heap == HeapType::Exn,
        })
    }

    /// Its type, as exactly as it is known.
    fn describe(&self, store: &StoreOpaque) -> Result<String> {
        Ok(match self {
            Ref::Func(Some(func)) => format!("a function {}", func.type_in(store)?),
            Ref::Extern(Some(_)) => RefType::new(false, HeapType::Extern).to_string(),
            Ref::Any(Some(value)) => RefType::new(false, value.type_in(store)?).to_string(),
            Ref::Exn(Some(_)) => RefType::new(false, HeapType::Exn).to_string(),
            null => null.ty().to_string(),
        })
    }

    /// Checks that it is of a type, and gives its representation in a table: 0 is null.
    pub(crate) fn to_word(self, store: &StoreOpaque, ty: RefType) -> Result<u64> {
        if !self.is_of(store, ty)? {
            return Err(Error::msg(format!("type mismatch: expected {ty}, found {}", self.describe(store)?)));
        }
        match self {
            Ref::Func(func) => Func::to_word(func, store),
            Ref::Extern(value) => Rooted::to_word(value, store).map(u64::from),
            Ref::Any(value) => Rooted::to_word(value, store).map(u64::from),
            Ref::Exn(value) => Rooted::to_word(value, store).map(u64::from),
        }
    }
}

impl From<Func> for Ref {
    fn from(func: Func) -> Ref {
        Ref::Func(Some(func))
    }
}

impl From<Option<Func>> for Ref {
    fn from(func: Option<Func>) -> Ref {
        Ref::Func(func)
    }
}

impl From<Rooted<ExternRef>> for Ref {
    fn from(value: Rooted<ExternRef>) -> Ref {
        Ref::Extern(Some(value))
    }
}

impl From<Option<Rooted<ExternRef>>> for Ref {
    fn from(value: Option<Rooted<ExternRef>>) -> Ref {
        Ref::Extern(value)
    }
}

impl From<Rooted<AnyRef>> for Ref {
    fn from(value: Rooted<AnyRef>) -> Ref {
        Ref::Any(Some(value))
    }
}

impl From<Option<Rooted<AnyRef>>> for Ref {
    fn from(value: Option<Rooted<AnyRef>>) -> Ref {
        Ref::Any(value)
    }
}

impl From<Rooted<ExnRef>> for Ref {
    fn from(value: Rooted<ExnRef>) -> Ref {
        Ref::Exn(Some(value))
    }
}

impl From<Option<Rooted<ExnRef>>> for Ref {
    fn from(value: Option<Rooted<ExnRef>>) -> Ref {
        Ref::Exn(value)
    }
}
