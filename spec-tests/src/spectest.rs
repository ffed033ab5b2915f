//! The host module `spectest`, which scripts import from. It prints nothing: what scripts print is not
//! checked by anything.

use wasmrun::{
    Caller, Global, GlobalType, Linker, Memory, MemoryType, Mutability, Ref, RefType, Result, SharedMemory,
    Store, Table, TableType, Val, ValType,
};

/// Defines the module in `linker`.
pub fn define(linker: &mut Linker<()>, store: &mut Store<()>) -> Result<()> {
    const MODULE: &str = "spectest";
    linker.func_wrap(MODULE, "print", |_: Caller<'_, ()>| ())?;
    linker.func_wrap(MODULE, "print_i32", |_: i32| ())?;
    linker.func_wrap(MODULE, "print_i64", |_: i64| ())?;
    linker.func_wrap(MODULE, "print_f32", |_: f32| ())?;
    linker.func_wrap(MODULE, "print_f64", |_: f64| ())?;
    linker.func_wrap(MODULE, "print_i32_f32", |_: i32, _: f32| ())?;
    linker.func_wrap(MODULE, "print_f64_f64", |_: f64, _: f64| ())?;
    let globals = [
        ("global_i32", ValType::I32, Val::I32(666)),
        ("global_i64", ValType::I64, Val::I64(666)),
        ("global_f32", ValType::F32, Val::F32(666.6f32.to_bits())),
        ("global_f64", ValType::F64, Val::F64(666.6f64.to_bits())),
    ];
    for (name, ty, value) in globals {
        let global = Global::new(&mut *store, GlobalType::new(ty, Mutability::Const), value)?;
        linker.define(&mut *store, MODULE, name, global)?;
    }
    let table = Table::new(&mut *store, TableType::new(RefType::FUNCREF, 10, Some(20)), Ref::Func(None))?;
    linker.define(&mut *store, MODULE, "table", table)?;
    let memory = Memory::new(&mut *store, MemoryType::new(1, Some(2)))?;
    linker.define(&mut *store, MODULE, "memory", memory)?;
    let memory = SharedMemory::new(store.engine(), MemoryType::shared(1, 2))?;
    linker.define(&mut *store, MODULE, "shared_memory", memory)?;
    Ok(())
}
