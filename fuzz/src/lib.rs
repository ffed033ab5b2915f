//! Wasmtime as a subject of differential fuzzing. It lives here and not beside the others, so that the
//! tests of the main workspace never build it.

use wasmrun_spec_tests::differential::{Stop, Subject, TrapKind, Type, Value, host_results, initial_value};
use wasmtime::{
    AsContext, AsContextMut, Config, Engine, Error, Extern, ExternRef, ExternType, Func, Global, HeapType,
    Instance, Memory, Module, Ref, RefType, Rooted, Store, Table, Tag, ThrownException, Trap, Val, ValType,
};

/// An instance on Wasmtime.
pub struct Wasmtime {
    store: Store<()>,
    instance: Instance,
}

fn stop(store: &mut Store<()>, error: &Error) -> Stop {
    if error.is::<ThrownException>() {
        return Stop::Exception(uncaught(store));
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
        Some(trap) => return Stop::Limit(trap.to_string()),
        None => return Stop::Refused(format!("{error:#}")),
    };
    Stop::Trap(kind)
}

/// What wasmrun's [`Exception`](wasmrun_spec_tests::wasmrun::Exception) would say of the one that is pending.
fn uncaught(store: &mut Store<()>) -> String {
    let exception = store.take_pending_exception().expect("an exception has been thrown");
    let fields: Vec<Val> = exception.fields(&mut *store).expect("it is rooted").collect();
    let carried: Vec<String> = fields.iter().map(carried).collect();
    let carried = if carried.is_empty() { String::new() } else { format!(" ({})", carried.join(", ")) };
    format!("uncaught exception{carried}")
}

fn carried(value: &Val) -> String {
    let reference = |ty: &str, null: bool| format!("{ty}{}", if null { " null" } else { "" });
    match value {
        Val::I32(value) => format!("i32 {value}"),
        Val::I64(value) => format!("i64 {value}"),
        Val::F32(bits) => format!("f32 {}", f32::from_bits(*bits)),
        Val::F64(bits) => format!("f64 {}", f64::from_bits(*bits)),
        Val::V128(value) => format!("v128 {:#034x}", value.as_u128()),
        Val::FuncRef(func) => reference("funcref", func.is_none()),
        Val::ExternRef(value) => reference("externref", value.is_none()),
        Val::ExnRef(value) => reference("exnref", value.is_none()),
        _ => unreachable!("the generator has the other types switched off"),
    }
}

fn type_of(ty: &ValType) -> Type {
    match ty {
        ValType::I32 => Type::I32,
        ValType::I64 => Type::I64,
        ValType::F32 => Type::F32,
        ValType::F64 => Type::F64,
        ValType::V128 => Type::V128,
        ValType::Ref(ty) => reference_type(ty),
    }
}

fn reference_type(ty: &RefType) -> Type {
    match ty.heap_type().top() {
        HeapType::Func => Type::Func,
        HeapType::Exn => Type::Exn,
        _ => Type::Extern,
    }
}

fn number(store: impl AsContext, value: &Option<Rooted<ExternRef>>) -> Option<u32> {
    value.and_then(|value| value.data(&store).ok()??.downcast_ref::<u32>().copied())
}

fn value_of(store: impl AsContext, value: &Val) -> Value {
    match value {
        Val::I32(value) => Value::I32(*value),
        Val::I64(value) => Value::I64(*value),
        Val::F32(bits) => Value::F32(*bits),
        Val::F64(bits) => Value::F64(*bits),
        Val::V128(value) => Value::V128(value.as_u128()),
        Val::FuncRef(func) => Value::Func(func.is_some()),
        Val::ExternRef(value) => Value::Extern(number(store, value)),
        Val::ExnRef(value) => Value::Exn(value.is_some()),
        _ => unreachable!("the generator has the other types switched off"),
    }
}

fn val(store: impl AsContextMut, value: Value) -> Result<Val, Error> {
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

/// What satisfies an import of type `ty`.
fn provide(store: &mut Store<()>, ty: &ExternType) -> Result<Extern, Error> {
    Ok(match ty {
        ExternType::Func(ty) => {
            let results: Vec<Type> = ty.results().map(|ty| type_of(&ty)).collect();
            Func::new(&mut *store, ty.clone(), move |mut caller, args, out| {
                let args: Vec<Value> = args.iter().map(|arg| value_of(&caller, arg)).collect();
                for (slot, value) in out.iter_mut().zip(host_results(&args, &results)) {
                    *slot = val(&mut caller, value)?;
                }
                Ok(())
            })
            .into()
        }
        ExternType::Global(ty) => {
            let value = val(&mut *store, initial_value(type_of(ty.content())))?;
            Global::new(&mut *store, ty.clone(), value)?.into()
        }
        ExternType::Memory(ty) => Memory::new(&mut *store, ty.clone())?.into(),
        ExternType::Table(ty) => {
            let value = val(&mut *store, initial_value(reference_type(ty.element())))?;
            let value: Ref = value.ref_().expect("tables hold references");
            Table::new(&mut *store, ty.clone(), value)?.into()
        }
        ExternType::Tag(ty) => Tag::new(&mut *store, ty)?.into(),
    })
}

impl Subject for Wasmtime {
    const NAME: &'static str = "Wasmtime";
    const EXCEPTIONS: bool = true;

    fn new(wasm: &[u8]) -> Result<Wasmtime, Stop> {
        let mut config = Config::new();
        config.wasm_multi_memory(true).wasm_extended_const(true).wasm_tail_call(true).wasm_memory64(true);
        config.wasm_custom_page_sizes(true).wasm_wide_arithmetic(true).wasm_exceptions(true);
        let refused = |error: Error| Stop::Refused(format!("{error:#}"));
        let engine = Engine::new(&config).map_err(refused)?;
        let module = Module::new(&engine, wasm).map_err(refused)?;
        let mut store = Store::new(&engine, ());
        let imports: Result<Vec<Extern>, Error> =
            module.imports().map(|import| provide(&mut store, &import.ty())).collect();
        let instance = imports.and_then(|imports| Instance::new(&mut store, &module, &imports));
        let instance = instance.map_err(|error| stop(&mut store, &error))?;
        Ok(Wasmtime { store, instance })
    }

    fn call(&mut self, export: &str, args: &[Value]) -> Result<Vec<Value>, Stop> {
        let func = self.instance.get_func(&mut self.store, export).expect("the export exists");
        let args: Result<Vec<Val>, Error> = args.iter().map(|value| val(&mut self.store, *value)).collect();
        let mut results = vec![Val::I32(0); func.ty(&self.store).results().len()];
        args.and_then(|args| func.call(&mut self.store, &args, &mut results))
            .map_err(|error| stop(&mut self.store, &error))?;
        Ok(results.iter().map(|value| value_of(&self.store, value)).collect())
    }

    fn global(&mut self, export: &str) -> Value {
        let global = self.instance.get_global(&mut self.store, export).expect("the export exists");
        let value = global.get(&mut self.store);
        value_of(&self.store, &value)
    }

    fn memory(&mut self, export: &str) -> Vec<u8> {
        let memory = self.instance.get_memory(&mut self.store, export).expect("the export exists");
        memory.data(&self.store).to_vec()
    }

    fn table(&mut self, export: &str) -> Vec<Value> {
        let table = self.instance.get_table(&mut self.store, export).expect("the export exists");
        (0..table.size(&self.store))
            .map(|index| match table.get(&mut self.store, index) {
                Some(Ref::Func(func)) => Value::Func(func.is_some()),
                Some(Ref::Extern(value)) => Value::Extern(number(&self.store, &value)),
                Some(Ref::Exn(value)) => Value::Exn(value.is_some()),
                _ => unreachable!("the index is below the table's size"),
            })
            .collect()
    }
}
