//! Imports are matched by the rules of the specification, and instances share what they import.

use wasmrun::{
    Caller, Engine, Extern, ExternRef, Func, Global, GlobalType, Instance, Linker, Memory, MemoryType,
    Module, Mutability, Ref, RefType, Result, Rooted, Store, Table, TableType, Trap, Val, ValType,
};

use crate::common::{Mode, in_every_mode};

in_every_mode! {
    memories_tables_globals_and_functions_are_shared_between_instances
    a_grown_memory_is_seen_by_all_its_users
    host_tables_call_and_hold_functions_of_guests
    unknown_imports_can_be_made_to_trap
    commands_get_a_new_instance_for_each_call_and_reactors_one
    one_linker_serves_many_stores
    unknown_imports_of_every_kind_become_zeroes_and_nulls
}

/// The error of instantiating a module with one import.
fn refusal(store: &mut Store<()>, wat: &str, item: impl Into<Extern>) -> Option<String> {
    let module = Module::new(store.engine(), wat).unwrap();
    Instance::new(store, &module, &[item.into()]).err().map(|error| format!("{error:#}"))
}

#[test]
fn an_unknown_import_is_named_with_its_type() -> Result<()> {
    let engine = Engine::default();
    let mut linker = Linker::<()>::new(&engine);
    let module = Module::new(&engine, r#"(import "env" "log" (func (param i32 i64) (result f32)))"#)?;
    let mut store = Store::new(&engine, ());
    let error = linker.instantiate(&mut store, &module).unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown import: `env::log` (func (i32, i64) -> (f32)) has not been defined; nothing is defined in \
         `env`"
    );
    linker.func_wrap("env", "warn", || ())?;
    let error = linker.instantiate_pre(&module).unwrap_err();
    assert!(error.to_string().ends_with("`env` has 1 other names"), "{error}");
    Ok(())
}

#[test]
fn a_function_of_another_type_is_refused_with_both_types() {
    let mut store = Store::<()>::default();
    let func = Func::wrap(&mut store, |_: i64| ());
    assert_eq!(
        refusal(&mut store, r#"(import "env" "f" (func (param i32)))"#, func).unwrap(),
        "incompatible import type for `env::f`: expected func (i32) -> (), found func (i64) -> ()"
    );
    let wat = r#"(import "env" "f" (memory 1))"#;
    assert!(refusal(&mut store, wat, func).unwrap().contains("expected memory 1.. pages, found func"));
}

#[test]
fn memories_match_by_their_current_size() -> Result<()> {
    let mut store = Store::<()>::default();
    let memory = Memory::new(&mut store, MemoryType::new(1, Some(3)))?;
    let two = r#"(import "" "" (memory 2))"#;
    assert!(refusal(&mut store, two, memory).is_some());
    memory.grow(&mut store, 1)?;
    assert_eq!(refusal(&mut store, two, memory), None);
    assert_eq!(memory.ty(&store), MemoryType::new(2, Some(3)));
    assert_eq!(refusal(&mut store, r#"(import "" "" (memory 1 3))"#, memory), None);
    assert!(refusal(&mut store, r#"(import "" "" (memory 1 2))"#, memory).is_some());
    let endless = Memory::new(&mut store, MemoryType::new(1, None))?;
    assert!(refusal(&mut store, r#"(import "" "" (memory 1 65536))"#, endless).is_some());
    Ok(())
}

#[test]
fn tables_match_by_current_length_and_element_type() -> Result<()> {
    let mut store = Store::<()>::default();
    let table = Table::new(&mut store, TableType::new(RefType::FUNCREF, 1, Some(5)), Ref::Func(None))?;
    assert!(refusal(&mut store, r#"(import "" "" (table 2 funcref))"#, table).is_some());
    table.grow(&mut store, 1, Ref::Func(None))?;
    assert_eq!(refusal(&mut store, r#"(import "" "" (table 2 funcref))"#, table), None);
    assert!(refusal(&mut store, r#"(import "" "" (table 2 externref))"#, table).is_some());
    assert!(refusal(&mut store, r#"(import "" "" (table 2 4 funcref))"#, table).is_some());
    Ok(())
}

#[test]
fn globals_match_exactly() -> Result<()> {
    let mut store = Store::<()>::default();
    let constant = Global::new(&mut store, GlobalType::new(ValType::I32, Mutability::Const), Val::I32(1))?;
    assert_eq!(refusal(&mut store, r#"(import "" "" (global i32))"#, constant), None);
    assert!(refusal(&mut store, r#"(import "" "" (global (mut i32)))"#, constant).is_some());
    assert!(refusal(&mut store, r#"(import "" "" (global i64))"#, constant).is_some());
    assert!(constant.set(&mut store, Val::I32(2)).is_err());
    Ok(())
}

#[test]
fn imports_are_counted() -> Result<()> {
    let mut store = Store::<()>::default();
    let module = Module::new(store.engine(), r#"(import "" "" (func))"#)?;
    let error = Instance::new(&mut store, &module, &[]).unwrap_err();
    assert_eq!(error.to_string(), "wrong number of imports: expected 1, found 0");
    Ok(())
}

#[test]
fn names_are_defined_once_unless_shadowing_is_allowed() -> Result<()> {
    let mut linker = Linker::<()>::new(&Engine::default());
    linker.func_wrap("a", "b", || 1)?;
    let error = linker.func_wrap("a", "b", || 2).unwrap_err();
    assert_eq!(error.to_string(), "import of `a::b` defined twice");
    linker.allow_shadowing(true).func_wrap("a", "b", || 3)?;
    let mut store = Store::new(linker.engine(), ());
    let func = linker.get(&mut store, "a", "b").unwrap().into_func().unwrap();
    assert_eq!(func.typed::<(), i32>(&store)?.call(&mut store, ())?, 3);
    Ok(())
}

fn memories_tables_globals_and_functions_are_shared_between_instances(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    let provider = Module::new(
        &engine,
        r#"(memory (export "memory") 1)
           (table (export "table") 4 funcref)
           (global (export "counter") (mut i32) (i32.const 10))
           (func (export "bump") (result i32)
             (global.set 0 (i32.add (global.get 0) (i32.const 1))) (global.get 0))
           (func (export "peek") (param i32) (result i32) (i32.load (local.get 0)))
           (func (export "via") (param i32) (result i32) (call_indirect (result i32) (local.get 0)))"#,
    )?;
    let user = Module::new(
        &engine,
        r#"(import "p" "memory" (memory 1))
           (import "p" "table" (table 4 funcref))
           (import "p" "counter" (global $counter (mut i32)))
           (import "p" "bump" (func $bump (result i32)))
           (import "p" "via" (func $via (param i32) (result i32)))
           (func $local (result i32) (i32.add (global.get $counter) (i32.const 1000)))
           (elem (i32.const 1) $local $bump)
           (func (export "run") (param i32) (result i32 i32)
             (i32.store (i32.const 8) (local.get 0))
             (global.set $counter (i32.const 50))
             (call $bump)
             (call $via (i32.const 1)))
           (func (export "via") (param i32) (result i32) (call $via (local.get 0)))"#,
    )?;
    let provider = linker.instantiate(&mut store, &provider)?;
    linker.instance(&mut store, "p", provider)?;
    let user = linker.instantiate(&mut store, &user)?;
    let run = user.get_typed_func::<i32, (i32, i32)>(&mut store, "run")?;
    assert_eq!(run.call(&mut store, 1234)?, (51, 1051));
    let peek = provider.get_typed_func::<i32, i32>(&mut store, "peek")?;
    assert_eq!(peek.call(&mut store, 8)?, 1234);
    let counter = provider.get_global(&mut store, "counter").unwrap();
    assert_eq!(counter.get(&mut store), Val::I32(51));
    let via = user.get_typed_func::<i32, i32>(&mut store, "via")?;
    assert_eq!(via.call(&mut store, 2)?, 52);
    let error = via.call(&mut store, 0).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::IndirectCallToNull));
    Ok(())
}

fn a_grown_memory_is_seen_by_all_its_users(mode: Mode) -> Result<()> {
    for strategy in [wasmrun::MemoryStrategy::Guarded, wasmrun::MemoryStrategy::Checked] {
        let mut config = mode.config();
        config.memory_strategy(strategy);
        let engine = Engine::new(&config)?;
        let mut store = Store::new(&engine, ());
        let memory = Memory::new(&mut store, MemoryType::new(1, None))?;
        let mut linker = Linker::new(&engine);
        linker.define(&store, "host", "memory", memory)?;
        linker.func_wrap("host", "grow", move |mut caller: Caller<'_, ()>| -> Result<u64> {
            memory.grow(&mut caller, 1)
        })?;
        let module = Module::new(
            &engine,
            r#"(import "host" "memory" (memory 1)) (import "host" "grow" (func $grow (result i64)))
               (func (export "run") (result i32)
                 (i32.store (i32.const 0) (i32.const 42))
                 (drop (call $grow))
                 (i32.store (i32.const 65536) (i32.load (i32.const 0)))
                 (drop (memory.grow (i32.const 1)))
                 (i32.store (i32.const 131072) (i32.load (i32.const 65536)))
                 (memory.size))"#,
        )?;
        let instance = linker.instantiate(&mut store, &module)?;
        let run = instance.get_typed_func::<(), i32>(&mut store, "run")?;
        assert_eq!(run.call(&mut store, ())?, 3);
        assert_eq!(memory.data(&store)[131072], 42);
        assert_eq!(memory.size(&store), 3);
    }
    Ok(())
}

fn host_tables_call_and_hold_functions_of_guests(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut store = Store::new(&engine, ());
    let table = Table::new(&mut store, TableType::new(RefType::FUNCREF, 3, None), Ref::Func(None))?;
    let host = Func::wrap(&mut store, |x: i32| x + 100);
    table.set(&mut store, 0, host.into())?;
    let module = Module::new(
        &engine,
        r#"(import "" "" (table 3 funcref))
           (func $square (export "square") (param i32) (result i32) (i32.mul (local.get 0) (local.get 0)))
           (elem (i32.const 2) $square)
           (func (export "call") (param i32 i32) (result i32)
             (call_indirect (param i32) (result i32) (local.get 1) (local.get 0)))"#,
    )?;
    let instance = Instance::new(&mut store, &module, &[table.into()])?;
    let call = instance.get_typed_func::<(i32, i32), i32>(&mut store, "call")?;
    assert_eq!(call.call(&mut store, (0, 5))?, 105);
    assert_eq!(call.call(&mut store, (2, 5))?, 25);
    let square = *table.get(&mut store, 2).unwrap().unwrap_func();
    assert_eq!(square, instance.get_func(&mut store, "square").unwrap());
    table.set(&mut store, 1, square.into())?;
    assert_eq!(call.call(&mut store, (1, 9))?, 81);
    table.fill(&mut store, 0, Ref::Func(None), 3)?;
    assert_eq!(call.call(&mut store, (1, 9)).unwrap_err().downcast_ref(), Some(&Trap::IndirectCallToNull));
    table.set(&mut store, 0, square.into())?;
    Table::copy(&mut store, &table, 1, &table, 0, 2)?;
    assert_eq!(call.call(&mut store, (1, 3))?, 9);
    assert!(Table::copy(&mut store, &table, 2, &table, 0, 2).is_err());
    assert!(table.set(&mut store, 3, Ref::Func(None)).is_err());
    assert!(table.get(&mut store, u64::MAX).is_none());
    assert!(table.set(&mut store, 0, Ref::Extern(None)).is_err());
    Ok(())
}

fn unknown_imports_can_be_made_to_trap(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let module = Module::new(
        &engine,
        r#"(import "a" "b" (func $b (param i32) (result i64)))
           (func (export "use") (drop (call $b (i32.const 1)))) (func (export "leave"))"#,
    )?;
    let mut linker = Linker::<()>::new(&engine);
    linker.define_unknown_imports_as_traps(&module)?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module)?;
    instance.get_typed_func::<(), ()>(&mut store, "leave")?.call(&mut store, ())?;
    let error = instance.get_typed_func::<(), ()>(&mut store, "use")?.call(&mut store, ()).unwrap_err();
    assert_eq!(error.to_string(), "unknown import: `a::b` has not been defined");
    Ok(())
}

fn commands_get_a_new_instance_for_each_call_and_reactors_one(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut linker = Linker::<()>::new(&engine);
    let mut store = Store::new(&engine, ());
    let counter = |extra: &str| {
        format!(
            r#"(global $n (mut i32) (i32.const 0)) {extra}
               (func (export "next") (result i32)
                 (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))"#
        )
    };
    let command = Module::new(&engine, counter(r#"(func (export "_start"))"#))?;
    let reactor =
        Module::new(&engine, counter(r#"(func (export "_initialize") (global.set $n (i32.const 10)))"#))?;
    linker.module(&mut store, "command", &command)?.module(&mut store, "reactor", &reactor)?;
    linker.alias_module("reactor", "other")?;
    let mut next = |module: &str| {
        let func = linker.get(&mut store, module, "next").unwrap().into_func().unwrap();
        func.typed::<(), i32>(&store).unwrap().call(&mut store, ()).unwrap()
    };
    assert_eq!((next("command"), next("command")), (1, 1));
    assert_eq!((next("reactor"), next("other")), (11, 12));
    let default = linker.get_default(&mut store, "command")?;
    default.call(&mut store, &[], &mut [])?;
    // Instances of the command are gone.
    assert_eq!(store.instance_count(), 1);
    Ok(())
}

fn one_linker_serves_many_stores(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut linker = Linker::<i32>::new(&engine);
    linker.func_wrap("host", "id", |caller: Caller<'_, i32>| *caller.data())?;
    let module = Module::new(
        &engine,
        r#"(import "host" "id" (func $id (result i32))) (func (export "id") (result i32) (call $id))"#,
    )?;
    let pre = linker.instantiate_pre(&module)?;
    let threads: Vec<_> = (0..4)
        .map(|id| {
            let (engine, pre) = (engine.clone(), pre.clone());
            std::thread::spawn(move || -> Result<i32> {
                let mut store = Store::new(&engine, id);
                let instance = pre.instantiate(&mut store)?;
                instance.get_typed_func::<(), i32>(&mut store, "id")?.call(&mut store, ())
            })
        })
        .collect();
    for (id, thread) in threads.into_iter().enumerate() {
        assert_eq!(thread.join().unwrap()?, id as i32);
    }
    Ok(())
}

#[test]
fn modules_of_another_engine_are_refused() -> Result<()> {
    let module = Module::new(&Engine::default(), "(module)")?;
    let mut store = Store::new(&Engine::default(), ());
    let error = Instance::new(&mut store, &module, &[]).unwrap_err();
    assert_eq!(error.to_string(), "the module and the store belong to different engines");
    Ok(())
}

/// What a panic says.
fn panic_message(action: impl FnOnce()) -> String {
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(action)).unwrap_err();
    payload.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[test]
fn linkers_of_another_engine_are_refused() -> Result<()> {
    // The first function type of each engine: if they were taken for each other, the number that the caller
    // passes would be taken for a function.
    let (theirs, ours) = (Engine::default(), Engine::default());
    let mut linker = Linker::<()>::new(&theirs);
    linker.func_wrap("env", "f", |func: Option<Func>| assert!(func.is_none()))?;
    let wat = r#"(import "env" "f" (func (param funcref)))"#;
    let (their_module, our_module) = (Module::new(&theirs, wat)?, Module::new(&ours, wat)?);
    let mut store = Store::new(&ours, ());
    let number = Func::wrap(&mut store, |_: i64| ());

    let refused = "the linker and the store belong to different engines";
    let message = panic_message(|| {
        let func = linker.get(&mut store, "env", "f").unwrap().into_func().unwrap();
        func.typed::<i64, ()>(&store).unwrap().call(&mut store, 8).unwrap();
    });
    assert_eq!(message, refused);
    assert_eq!(panic_message(|| drop(linker.iter(&mut store))), refused);
    for module in [&their_module, &our_module] {
        let error = linker.instantiate(&mut store, module).unwrap_err();
        assert_eq!(error.to_string(), refused);
    }
    let error = linker.define(&store, "env", "number", number).unwrap_err();
    assert_eq!(error.to_string(), refused);

    let error = linker.instantiate_pre(&our_module).unwrap_err();
    assert_eq!(error.to_string(), "the linker and the module belong to different engines");
    let ready = linker.instantiate_pre(&their_module)?;
    let error = ready.instantiate(&mut store).unwrap_err();
    assert_eq!(error.to_string(), "the module and the store belong to different engines");

    // In stores of its own engine, the linker is as good as ever.
    let mut store = Store::new(&theirs, ());
    ready.instantiate(&mut store)?;
    let func = linker.get(&mut store, "env", "f").unwrap().into_func().unwrap();
    assert!(func.typed::<i64, ()>(&store).is_err());
    func.typed::<Option<Func>, ()>(&store)?.call(&mut store, None)
}

fn unknown_imports_of_every_kind_become_zeroes_and_nulls(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let module = Module::new(
        &engine,
        r#"(import "a" "f" (func $f (param i32) (result i64 externref)))
           (import "a" "m" (memory 2 5))
           (import "a" "t" (table 3 4 funcref))
           (import "a" "g" (global $g (mut f64)))
           (import "a" "known" (func $known (result i32)))
           (import "a" "f" (func (param i32) (result i64 externref)))
           (func (export "run") (result i64 externref f64 i32)
             (call $f (i32.const 7)) (global.get $g) (call $known))
           (export "m" (memory 0)) (export "t" (table 0))"#,
    )?;
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.func_wrap("a", "known", || 5)?;
    linker.define_unknown_imports_as_default_values(&mut store, &module)?;
    let instance = linker.instantiate(&mut store, &module)?;
    let run = instance.get_typed_func::<(), (i64, Option<Rooted<ExternRef>>, f64, i32)>(&mut store, "run")?;
    assert_eq!(run.call(&mut store, ())?, (0, None, 0.0, 5));
    let memory = instance.get_memory(&mut store, "m").unwrap();
    let table = instance.get_table(&mut store, "t").unwrap();
    assert_eq!((memory.size(&store), table.size(&store)), (2, 3));
    // A second module finds everything defined.
    linker.define_unknown_imports_as_default_values(&mut store, &module)?;
    linker.define_unknown_imports_as_traps(&module)?;
    Ok(())
}
