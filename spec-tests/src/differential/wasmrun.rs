//! wasmrun as a subject, and what a module exports.

use std::marker::PhantomData;
use std::time::Duration;

use ::wasmrun::{
    AnyRef, AsContext, AsContextMut, Engine, Error, Exception, Extern, ExternRef, ExternType, HeapType,
    Instance, Module, Ref, RefType, Rooted, Store, StoreLimits, StoreLimitsBuilder, Trap, Val, ValType,
};

use crate::Mode;

use super::host::{digest_of, mixed};
use super::imports::provide;
use super::{Item, Stop, Subject, TrapKind, Type, Value};

/// A [`Mode`] as a type.
pub trait Way {
    /// Its name in messages.
    const NAME: &'static str;

    /// What it stands for.
    const MODE: Mode;
}

macro_rules! ways {
    ($($way:ident $mode:ident $name:literal: $text:literal;)*) => {
        $(
            #[doc = $text]
            pub struct $way;

            impl Way for $way {
                const NAME: &'static str = $name;
                const MODE: Mode = Mode::$mode;
            }
        )*
    };
}

ways! {
    Interpreted Interp "wasmrun's interpreter": "By the interpreter alone.";
    Compiled Jit "wasmrun's compiled code": "Compiled to fast code.";
    Quick Quick "wasmrun's quickly compiled code": "Compiled in little time.";
    Checked Checked "wasmrun's checked code": "Compiled with bounds checks; each allocation collects.";
    Mixed Mixed "wasmrun's mixed tiers": "Every second function compiled.";
    Tiered Tiered "wasmrun's tiers": "Compiled while it runs.";
    Chaos Chaos "wasmrun's tiers at random": "Changing its tier at random.";
}

/// An instance on wasmrun.
pub struct Wasmrun<W = Interpreted> {
    store: Store<StoreLimits>,
    instance: Instance,
    way: PhantomData<W>,
}

/// The exports of a module that [`Wasmrun`] takes, in order.
pub(super) fn items(wasm: &[u8]) -> Vec<(String, Item)> {
    let Ok(module) = Module::from_binary(&Engine::default(), wasm) else { return Vec::new() };
    let item = |ty| match ty {
        ExternType::Func(ty) if !ty.params().iter().all(|ty| has_a_value(*ty)) => Item::Uncallable,
        ExternType::Func(ty) => Item::Func(ty.params().iter().map(|ty| type_of(*ty)).collect()),
        ExternType::Global(_) => Item::Global,
        ExternType::Memory(_) => Item::Memory,
        ExternType::Table(_) => Item::Table,
        ExternType::Tag(_) => Item::Tag,
    };
    module.exports().map(|export| (export.name().to_string(), item(export.ty()))).collect()
}

pub(super) fn stop(error: &Error) -> Stop {
    if let Some(exception) = error.downcast_ref::<Exception>() {
        return Stop::Exception(exception.to_string());
    }
    let kind = match error.downcast_ref::<Trap>() {
        Some(Trap::UnreachableCodeReached) => TrapKind::Unreachable,
        Some(Trap::MemoryOutOfBounds) => TrapKind::MemoryOutOfBounds,
        Some(Trap::TableOutOfBounds) => TrapKind::TableOutOfBounds,
        Some(Trap::IndirectCallToNull) => TrapKind::IndirectCallToNull,
        Some(Trap::BadSignature) => TrapKind::BadSignature,
        Some(Trap::IntegerDivisionByZero) => TrapKind::DivisionByZero,
        Some(Trap::IntegerOverflow) => TrapKind::IntegerOverflow,
        Some(Trap::BadConversionToInteger) => TrapKind::BadConversion,
        Some(Trap::NullReference) => TrapKind::NullReference,
        Some(Trap::CastFailure) => TrapKind::CastFailure,
        Some(Trap::ArrayOutOfBounds) => TrapKind::ArrayOutOfBounds,
        Some(Trap::UnalignedAtomic) => TrapKind::UnalignedAtomic,
        Some(Trap::ExpectedSharedMemory) => TrapKind::ExpectedSharedMemory,
        Some(trap) => return Stop::Limit(trap.to_string()),
        None => return Stop::Refused(format!("{error:#}")),
    };
    Stop::Trap(kind)
}

pub(super) fn type_of(ty: ValType) -> Type {
    match ty {
        ValType::I32 => Type::I32,
        ValType::I64 => Type::I64,
        ValType::F32 => Type::F32,
        ValType::F64 => Type::F64,
        ValType::Ref(ty) => reference_type(ty),
        ValType::V128 => Type::V128,
    }
}

pub(super) fn reference_type(ty: RefType) -> Type {
    match ty.heap.top() {
        HeapType::Extern => Type::Extern,
        HeapType::Func => Type::Func,
        HeapType::Exn => Type::Exn,
        _ => Type::Any,
    }
}

/// Whether the values that arguments are made of are of a type.
fn has_a_value(ty: ValType) -> bool {
    match ty {
        ValType::Ref(ty) => ty.nullable && ty.heap != HeapType::NoExtern,
        _ => true,
    }
}

/// Objects inside of one another that are looked at, and elements of an array.
const DEPTH: usize = 3;
const ELEMENTS: u32 = 5;

/// A number made of what a reference leads to.
fn digest<T: 'static>(
    store: &mut impl AsContextMut<Data = T>,
    value: Rooted<AnyRef>,
    depth: usize,
) -> Result<u64, Error> {
    if let Some(number) = value.as_i31(&mut *store)? {
        return Ok(number.get_u32().into());
    }
    let (kind, parts) = if depth == DEPTH {
        (0, Vec::new())
    } else if let Some(structure) = value.as_struct(&mut *store)? {
        (1, structure.fields(&mut *store)?.collect())
    } else if let Some(array) = value.as_array(&mut *store)? {
        let len = array.len(&mut *store)?;
        let elements: Result<Vec<Val>, Error> =
            (0..len.min(ELEMENTS)).map(|index| array.get(&mut *store, index)).collect();
        (2 + u64::from(len), elements?)
    } else {
        (u64::MAX, Vec::new())
    };
    let parts: Vec<Value> = parts.iter().map(|part| seen(store, part, depth + 1)).collect();
    Ok(mixed(kind ^ digest_of(&parts)))
}

/// A value, and what it leads to.
pub(super) fn seen<T: 'static>(store: &mut impl AsContextMut<Data = T>, value: &Val, depth: usize) -> Value {
    match value {
        Val::AnyRef(value) => {
            let digest = value.map(|value| digest(store, value, depth));
            Value::Any(digest.map(|digest| digest.expect("the reference is of this store, and rooted")))
        }
        other => value_of(&*store, other),
    }
}

fn value_of<T: 'static>(store: &impl AsContext<Data = T>, value: &Val) -> Value {
    match value {
        Val::I32(value) => Value::I32(*value),
        Val::I64(value) => Value::I64(*value),
        Val::F32(bits) => Value::F32(*bits),
        Val::F64(bits) => Value::F64(*bits),
        Val::FuncRef(func) => Value::Func(func.is_some()),
        Val::ExternRef(value) => Value::Extern(value.and_then(|value| {
            let data = value.data(store.as_context()).expect("the reference is of this store, and rooted");
            data?.downcast_ref().copied()
        })),
        Val::V128(value) => Value::V128(value.as_u128()),
        Val::ExnRef(value) => Value::Exn(value.is_some()),
        Val::AnyRef(_) => unreachable!("objects are looked at with the store at hand"),
    }
}

pub(super) fn val(store: impl AsContextMut, value: Value) -> Result<Val, Error> {
    Ok(match value {
        Value::I32(value) => Val::I32(value),
        Value::I64(value) => Val::I64(value),
        Value::F32(bits) => Val::F32(bits),
        Value::F64(bits) => Val::F64(bits),
        Value::V128(bits) => Val::V128(bits.into()),
        Value::Func(_) => Val::FuncRef(None),
        Value::Any(_) => Val::AnyRef(None),
        Value::Exn(_) => Val::ExnRef(None),
        Value::Extern(None) => Val::ExternRef(None),
        Value::Extern(Some(number)) => Val::ExternRef(Some(ExternRef::new(store, number)?)),
    })
}

/// A module that is run as `W` says.
pub(super) fn load<W: Way>(wasm: &[u8], fuel: bool) -> Result<Module, Error> {
    let mut config = W::MODE.config();
    config.consume_fuel(fuel);
    Module::from_binary(&Engine::new(&config)?, wasm)
}

impl<W: Way> Wasmrun<W> {
    /// An instance of a module, with little memory, and time for each call if that can be limited.
    pub(super) fn with_limits(wasm: &[u8], memory: usize, timeout: Duration) -> Result<Wasmrun<W>, Error> {
        let (guest, ()) = Wasmrun::of(&load::<W>(wasm, false)?, memory, timeout, None, |_| Ok(()))?;
        Ok(guest)
    }

    /// An instance of a module that has been [loaded](load), with so much fuel if it pays with fuel, in a store that has been
    /// prepared for it, and what came of that.
    pub(super) fn of<R>(
        module: &Module,
        memory: usize,
        timeout: Duration,
        fuel: Option<u64>,
        prepare: impl FnOnce(&mut Store<StoreLimits>) -> Result<R, Error>,
    ) -> Result<(Wasmrun<W>, R), Error> {
        let limits = StoreLimitsBuilder::new()
            .memory_size(memory)
            .table_elements(memory / 8)
            .gc_heap_size(memory / 64)
            .build();
        let mut store = Store::new(module.engine(), limits);
        store.limiter(|limits| limits);
        store.set_timeout(module.engine().config().is_interruptible().then_some(timeout));
        if let Some(fuel) = fuel {
            store.set_fuel(fuel)?;
        }
        let prepared = prepare(&mut store)?;
        let imports = provide(&mut store, module, |_, _| {})?;
        let instance = Instance::new(&mut store, module, &imports)?;
        Ok((Wasmrun { store, instance, way: PhantomData }, prepared))
    }

    pub(super) fn store(&self) -> &Store<StoreLimits> {
        &self.store
    }

    /// What fuel is left.
    pub(super) fn fuel(&self) -> u64 {
        self.store.get_fuel().expect("the module was loaded to pay with fuel")
    }
}

impl<W: Way> Subject for Wasmrun<W> {
    const NAME: &'static str = W::NAME;
    const EXCEPTIONS: bool = true;

    fn new(wasm: &[u8]) -> Result<Wasmrun<W>, Stop> {
        Wasmrun::with_limits(wasm, 64 << 20, Duration::from_secs(60)).map_err(|error| stop(&error))
    }

    fn call(&mut self, export: &str, args: &[Value]) -> Result<Vec<Value>, Stop> {
        let func = self.instance.get_func(&mut self.store, export).expect("the export exists");
        let args: Result<Vec<Val>, Error> = args.iter().map(|value| val(&mut self.store, *value)).collect();
        let mut results = vec![Val::I32(0); func.ty(&self.store).results().len()];
        args.and_then(|args| func.call(&mut self.store, &args, &mut results))
            .map_err(|error| stop(&error))?;
        Ok(results.iter().map(|value| seen(&mut self.store, value, 0)).collect())
    }

    fn global(&mut self, export: &str) -> Value {
        let global = self.instance.get_global(&mut self.store, export).expect("the export exists");
        let value = global.get(&mut self.store);
        seen(&mut self.store, &value, 0)
    }

    fn memory(&mut self, export: &str) -> Vec<u8> {
        match self.instance.get_export(&mut self.store, export) {
            Some(Extern::Memory(memory)) => memory.data(&self.store).to_vec(),
            Some(Extern::SharedMemory(memory)) => {
                let mut bytes = vec![0; memory.data_size()];
                memory.read(0, &mut bytes).expect("the memory has as many bytes");
                bytes
            }
            _ => panic!("the export is a memory"),
        }
    }

    fn table(&mut self, export: &str) -> Vec<Value> {
        let table = self.instance.get_table(&mut self.store, export).expect("the export exists");
        (0..table.size(&self.store))
            .map(|index| {
                let reference: Ref = table.get(&mut self.store, index).expect("the index is below the size");
                seen(&mut self.store, &reference.into(), 0)
            })
            .collect()
    }
}
