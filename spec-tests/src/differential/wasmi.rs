//! wasmi as a subject: another interpreter, by other people, with the same features.

use ::wasmi::{
    Config, Engine, Error, Extern, ExternRef, ExternType, Func, Global, ImportType, Instance, Memory, Module,
    Nullable, Ref, Store, Table, TrapCode, Val, ValType,
};

use super::{Stop, Subject, TrapKind, Type, Value, calls, host_results, initial_value};

/// An instance on wasmi.
pub struct Wasmi {
    store: Store<()>,
    instance: Instance,
}

fn stop(error: &Error) -> Stop {
    let kind = match error.as_trap_code() {
        Some(TrapCode::UnreachableCodeReached) => TrapKind::Unreachable,
        Some(TrapCode::MemoryOutOfBounds) => TrapKind::MemoryOutOfBounds,
        Some(TrapCode::TableOutOfBounds) => TrapKind::TableOutOfBounds,
        Some(TrapCode::IndirectCallToNull) => TrapKind::IndirectCallToNull,
        Some(TrapCode::BadSignature) => TrapKind::BadSignature,
        Some(TrapCode::IntegerDivisionByZero) => TrapKind::DivisionByZero,
        Some(TrapCode::IntegerOverflow) => TrapKind::IntegerOverflow,
        Some(TrapCode::BadConversionToInteger) => TrapKind::BadConversion,
        Some(_) => return Stop::Limit(error.to_string()),
        None if element_segment_does_not_fit(error) => TrapKind::TableOutOfBounds,
        None => return Stop::Refused(error.to_string()),
    };
    Stop::Trap(kind)
}

/// What is a trap for the specification is an error of its own kind here.
fn element_segment_does_not_fit(error: &Error) -> bool {
    use ::wasmi::errors::{ErrorKind, InstantiationError};
    matches!(error.kind(), ErrorKind::Instantiation(InstantiationError::ElementSegmentDoesNotFit { .. }))
}

fn type_of(ty: ValType) -> Type {
    match ty {
        ValType::I32 => Type::I32,
        ValType::I64 => Type::I64,
        ValType::F32 => Type::F32,
        ValType::F64 => Type::F64,
        ValType::FuncRef => Type::Func,
        ValType::ExternRef => Type::Extern,
        ValType::V128 => Type::V128,
    }
}

fn value_of(store: &Store<()>, value: &Val) -> Value {
    match value {
        Val::I32(value) => Value::I32(*value),
        Val::I64(value) => Value::I64(*value),
        Val::F32(value) => Value::F32(value.to_bits()),
        Val::F64(value) => Value::F64(value.to_bits()),
        Val::FuncRef(func) => Value::Func(!func.is_null()),
        Val::ExternRef(value) => {
            Value::Extern(value.val().and_then(|value| value.data(store).downcast_ref::<u32>().copied()))
        }
        Val::V128(value) => Value::V128(value.as_u128()),
    }
}

fn val(store: impl ::wasmi::AsContextMut, value: Value) -> Val {
    match value {
        Value::I32(value) => Val::I32(value),
        Value::I64(value) => Val::I64(value),
        Value::F32(bits) => Val::F32(::wasmi::F32::from_bits(bits)),
        Value::F64(bits) => Val::F64(::wasmi::F64::from_bits(bits)),
        Value::V128(bits) => Val::V128(bits.into()),
        Value::Func(_) => Val::FuncRef(Nullable::Null),
        Value::Any(_) | Value::Exn(_) => {
            unreachable!("wasmi is compared by modules without objects and exceptions")
        }
        Value::Extern(None) => Val::ExternRef(Nullable::Null),
        Value::Extern(Some(number)) => Val::ExternRef(Nullable::Val(ExternRef::new(store, number))),
    }
}

fn reference(val: Val) -> Ref {
    match val {
        Val::FuncRef(func) => Ref::Func(func),
        Val::ExternRef(value) => Ref::Extern(value),
        _ => unreachable!("tables hold references"),
    }
}

/// What satisfies an import.
fn provide(store: &mut Store<()>, import: &ImportType<'_>) -> Result<Extern, Error> {
    Ok(match import.ty() {
        ExternType::Func(ty) => {
            let results: Vec<Type> = ty.results().iter().map(|ty| type_of(*ty)).collect();
            let back = (import.module() == calls::BACK).then(|| import.name().to_string());
            Func::new(&mut *store, ty.clone(), move |mut caller, args, out| {
                if let Some(name) = &back {
                    let called = caller.get_export(name).and_then(Extern::into_func);
                    return called.expect("what calls back names an export").call(&mut caller, args, out);
                }
                let args: Vec<Value> = args
                    .iter()
                    .map(|arg| match arg {
                        Val::ExternRef(value) => Value::Extern(
                            value.val().and_then(|value| value.data(&caller).downcast_ref::<u32>().copied()),
                        ),
                        Val::I32(value) => Value::I32(*value),
                        Val::I64(value) => Value::I64(*value),
                        Val::F32(value) => Value::F32(value.to_bits()),
                        Val::F64(value) => Value::F64(value.to_bits()),
                        Val::FuncRef(func) => Value::Func(!func.is_null()),
                        Val::V128(value) => Value::V128(value.as_u128()),
                    })
                    .collect();
                for (slot, value) in out.iter_mut().zip(host_results(&args, &results)) {
                    *slot = val(&mut caller, value);
                }
                Ok(())
            })
            .into()
        }
        ExternType::Global(ty) => {
            let value = val(&mut *store, initial_value(type_of(ty.content())));
            Global::new(&mut *store, value, ty.mutability()).into()
        }
        ExternType::Memory(ty) => Memory::new(&mut *store, *ty)?.into(),
        ExternType::Table(ty) => {
            let element = match ty.element() {
                ::wasmi::RefType::Func => Type::Func,
                ::wasmi::RefType::Extern => Type::Extern,
            };
            let value = val(&mut *store, initial_value(element));
            Table::new(&mut *store, *ty, reference(value))?.into()
        }
    })
}

impl Subject for Wasmi {
    const NAME: &'static str = "wasmi";
    const EXCEPTIONS: bool = false;

    fn new(wasm: &[u8]) -> Result<Wasmi, Stop> {
        let mut config = Config::default();
        // The generator's fuel ends recursion; no limit of wasmi's should come first.
        config.set_max_recursion_depth(100_000).set_max_stack_height(64 << 20);
        config.wasm_multi_memory(true).wasm_extended_const(true).wasm_tail_call(true).wasm_memory64(true);
        config.wasm_custom_page_sizes(true).wasm_wide_arithmetic(true);
        let engine = Engine::new(&config);
        let refused = |error: Error| Stop::Limit(format!("wasmi does not take the module: {error}"));
        let module = Module::new(&engine, wasm).map_err(refused)?;
        let mut store = Store::new(&engine, ());
        let imports: Result<Vec<Extern>, Error> =
            module.imports().map(|import| provide(&mut store, &import)).collect();
        let imports = imports.map_err(|error| stop(&error))?;
        let instance = Instance::new(&mut store, &module, &imports).map_err(|error| stop(&error))?;
        Ok(Wasmi { store, instance })
    }

    fn call(&mut self, export: &str, args: &[Value]) -> Result<Vec<Value>, Stop> {
        let func = self.instance.get_func(&self.store, export).expect("the export exists");
        let args: Vec<Val> = args.iter().map(|value| val(&mut self.store, *value)).collect();
        let mut results: Vec<Val> =
            func.ty(&self.store).results().iter().map(|ty| Val::default_for_ty(*ty)).collect();
        func.call(&mut self.store, &args, &mut results).map_err(|error| stop(&error))?;
        Ok(results.iter().map(|value| value_of(&self.store, value)).collect())
    }

    fn global(&mut self, export: &str) -> Value {
        let global = self.instance.get_global(&self.store, export).expect("the export exists");
        value_of(&self.store, &global.get(&self.store))
    }

    fn memory(&mut self, export: &str) -> Vec<u8> {
        let memory = self.instance.get_memory(&self.store, export).expect("the export exists");
        memory.data(&self.store).to_vec()
    }

    fn table(&mut self, export: &str) -> Vec<Value> {
        let table = self.instance.get_table(&self.store, export).expect("the export exists");
        (0..table.size(&self.store))
            .map(|index| match table.get(&self.store, index) {
                Some(Ref::Func(func)) => Value::Func(!func.is_null()),
                Some(Ref::Extern(value)) => value_of(&self.store, &Val::ExternRef(value)),
                None => unreachable!("the index is below the table's size"),
            })
            .collect()
    }
}
