//! Dropped instances give their memory back, and handles that are stale or of another store are noticed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wasmrun::{
    Caller, Engine, ExternRef, Func, Instance, Linker, Memory, MemoryType, Module, Ref, RefType, Result,
    Rooted, Store, Table, TableType, Trap, Val,
};

use crate::common::{Mode, in_every_mode};

in_every_mode! {
    ten_thousand_instances_one_after_the_other_take_the_space_of_one
    ten_thousand_instances_at_once_are_all_given_back
    what_others_still_reach_stays
    functions_in_tables_outlive_the_instances_that_passed_them_on
    a_function_that_an_importer_put_into_a_table_does_not_need_the_importer
    an_instance_that_drops_itself_while_running_goes_on_to_the_end
    a_function_of_an_instance_that_dropped_itself_is_a_result_that_leads_nowhere
    handles_of_dropped_instances_are_noticed
    a_second_instance_starts_with_the_same_contents
    an_instance_that_is_dropped_under_frames_of_others_goes_on_to_the_end
}

/// The message that `action` panics with.
fn panic_of<R>(action: impl FnOnce() -> R) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(action)) else { panic!("it did not panic") };
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => payload.downcast_ref::<&str>().unwrap().to_string(),
    }
}

const DROPPED: &str = "the instance that this handle belongs to has been dropped";
const FOREIGN: &str = "this handle belongs to another store";

fn ten_thousand_instances_one_after_the_other_take_the_space_of_one(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let module = Module::new(
        &engine,
        r#"(memory (export "memory") 1) (table 10 funcref)
           (func (export "set") (i32.store (i32.const 0) (i32.const 7)))
           (elem (i32.const 0) 0)"#,
    )?;
    let mut store = Store::new(&engine, ());
    let mappings = || std::fs::read_to_string("/proc/self/maps").unwrap().lines().count();
    let mut before = 0;
    for round in 0..10_000 {
        let instance = Instance::new(&mut store, &module, &[])?;
        instance.get_typed_func::<(), ()>(&mut store, "set")?.call(&mut store, ())?;
        assert_eq!(store.memory_bytes(), 65536);
        assert!(store.drop_instance(instance));
        assert!(!store.drop_instance(instance));
        assert_eq!((store.memory_bytes(), store.instance_count()), (0, 0));
        if round == 10 {
            before = mappings();
        }
    }
    // Tests beside this one map memory too.
    assert!(mappings() < before + 1000, "{before} {}", mappings());
    Ok(())
}

fn ten_thousand_instances_at_once_are_all_given_back(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let module =
        Module::new(&engine, r#"(global (export "g") (mut i32) (i32.const 3)) (func (export "f"))"#)?;
    let mut store = Store::new(&engine, ());
    let instances: Vec<_> =
        (0..10_000).map(|_| Instance::new(&mut store, &module, &[])).collect::<Result<_>>()?;
    assert_eq!(store.instance_count(), 10_000);
    for instance in instances {
        store.drop_instance(instance);
    }
    assert_eq!(store.instance_count(), 0);
    Ok(())
}

fn what_others_still_reach_stays(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut store = Store::new(&engine, ());
    let provider = Module::new(
        &engine,
        r#"(memory (export "memory") 1) (global $n (mut i32) (i32.const 5))
           (func (export "get") (result i32) (i32.add (global.get $n) (i32.load (i32.const 0))))"#,
    )?;
    let user = Module::new(
        &engine,
        r#"(import "" "memory" (memory 1)) (import "" "get" (func $get (result i32)))
           (func (export "run") (result i32) (i32.store (i32.const 0) (i32.const 40)) (call $get))"#,
    )?;
    let provider = Instance::new(&mut store, &provider, &[])?;
    let memory = provider.get_memory(&mut store, "memory").unwrap();
    let get = provider.get_func(&mut store, "get").unwrap();
    let user = Instance::new(&mut store, &user, &[memory.into(), get.into()])?;
    store.drop_instance(provider);
    let run = user.get_typed_func::<(), i32>(&mut store, "run")?;
    assert_eq!(run.call(&mut store, ())?, 45);
    assert_eq!(store.instance_count(), 2);
    let error = get.call(&mut store, &[], &mut [Val::I32(0)]).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::InstanceDropped));
    store.drop_instance(user);
    assert_eq!((store.instance_count(), store.memory_bytes()), (0, 0));
    Ok(())
}

fn functions_in_tables_outlive_the_instances_that_passed_them_on(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut store = Store::new(&engine, ());
    let table = Table::new(&mut store, TableType::new(RefType::FUNCREF, 2, None), Ref::Func(None))?;
    let maker = Module::new(&engine, r#"(func (export "f") (result i32) (i32.const 11))"#)?;
    // The middle one puts an imported function, and one of its own, into the table.
    let middle = Module::new(
        &engine,
        r#"(import "" "f" (func $f (result i32))) (import "" "t" (table 2 funcref))
           (func $own (result i32) (i32.const 22)) (elem (i32.const 0) $f $own)"#,
    )?;
    let caller = Module::new(
        &engine,
        r#"(import "" "t" (table 2 funcref))
           (func (export "call") (param i32) (result i32) (call_indirect (result i32) (local.get 0)))
           (func (export "get") (param i32) (result funcref) (table.get (local.get 0)))
           (func (export "clear") (table.fill (i32.const 0) (ref.null func) (i32.const 2)))"#,
    )?;
    let maker = Instance::new(&mut store, &maker, &[])?;
    let f = maker.get_func(&mut store, "f").unwrap();
    let middle = Instance::new(&mut store, &middle, &[f.into(), table.into()])?;
    let caller = Instance::new(&mut store, &caller, &[table.into()])?;
    let call = caller.get_typed_func::<i32, i32>(&mut store, "call")?;
    let get = caller.get_typed_func::<i32, Option<Func>>(&mut store, "get")?;
    assert_eq!(store.instance_count(), 4);
    store.drop_instance(maker);
    store.drop_instance(middle);
    assert_eq!((call.call(&mut store, 0)?, call.call(&mut store, 1)?), (11, 22));
    // The host can get hold of such functions, as long as they are there.
    let own = get.call(&mut store, 1)?.unwrap();
    assert_eq!(own.typed::<(), i32>(&store)?.call(&mut store, ())?, 22);
    caller.get_typed_func::<(), ()>(&mut store, "clear")?.call(&mut store, ())?;
    let last = Instance::new(&mut store, &Module::new(&engine, "(module)")?, &[])?;
    store.drop_instance(last);
    assert_eq!(store.instance_count(), 2);
    // Others take the places of the freed ones.
    for _ in 0..3 {
        Instance::new(&mut store, &Module::new(&engine, r#"(func (export "f"))"#)?, &[])?;
    }
    let error = own.call(&mut store, &[], &mut [Val::I32(0)]).unwrap_err();
    assert_eq!(error.to_string(), DROPPED);
    Ok(())
}

fn a_function_that_an_importer_put_into_a_table_does_not_need_the_importer(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut store = Store::new(&engine, ());
    let table = Table::new(&mut store, TableType::new(RefType::FUNCREF, 1, None), Ref::Func(None))?;
    let importer = Module::new(
        &engine,
        r#"(import "" "f" (func $f (result i32))) (import "" "t" (table 1 funcref)) (elem (i32.const 0) $f)"#,
    )?;
    let importer_of_another_type =
        Module::new(&engine, r#"(import "" "g" (func $g (param f64))) (import "" "t" (table 1 funcref))"#)?;
    let f = Func::wrap(&mut store, || 11);
    let g = Func::wrap(&mut store, |_: f64| ());
    for _ in 0..10 {
        let importer = Instance::new(&mut store, &importer, &[f.into(), table.into()])?;
        store.drop_instance(importer);
        assert_eq!(store.instance_count(), 1);
        // An instance of the same shape takes the place of the importer.
        let other = Instance::new(&mut store, &importer_of_another_type, &[g.into(), table.into()])?;
        let element = *table.get(&mut store, 0).unwrap().unwrap_func();
        assert_eq!(element.typed::<(), i32>(&store)?.call(&mut store, ())?, 11);
        assert_eq!(element, f);
        store.drop_instance(other);
    }
    Ok(())
}

fn an_instance_that_drops_itself_while_running_goes_on_to_the_end(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut linker = Linker::<Option<Instance>>::new(&engine);
    linker.func_wrap("host", "drop me", |mut caller: Caller<'_, Option<Instance>>| {
        let me = caller.data().unwrap();
        use wasmrun::AsContextMut;
        assert!(caller.as_context_mut().drop_instance(me));
        // Its exports are still there for who is called by it.
        let memory = caller.get_export("memory").unwrap().into_memory().unwrap();
        memory.data_mut(&mut caller)[0] = 9;
    })?;
    let module = Module::new(
        &engine,
        r#"(import "host" "drop me" (func $drop)) (memory (export "memory") 1)
           (func (export "run") (result i32) (call $drop) (i32.load8_u (i32.const 0)))"#,
    )?;
    let mut store = Store::new(&engine, None);
    let instance = linker.instantiate(&mut store, &module)?;
    *store.data_mut() = Some(instance);
    let run = instance.get_typed_func::<(), i32>(&mut store, "run")?;
    assert_eq!(run.call(&mut store, ())?, 9);
    assert_eq!(store.instance_count(), 0);
    assert_eq!(run.call(&mut store, ()).unwrap_err().to_string(), DROPPED);
    Ok(())
}

fn a_function_of_an_instance_that_dropped_itself_is_a_result_that_leads_nowhere(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut linker = Linker::<Option<Instance>>::new(&engine);
    linker.func_wrap("host", "drop me", |mut caller: Caller<'_, Option<Instance>>| {
        use wasmrun::AsContextMut;
        let me = caller.data().unwrap();
        assert!(caller.as_context_mut().drop_instance(me));
    })?;
    let module = Module::new(
        &engine,
        r#"(import "host" "drop me" (func $drop)) (elem declare func $run)
           (func $run (export "run") (result funcref) (call $drop) (ref.func $run))"#,
    )?;
    let mut store = Store::new(&engine, None);
    for typed in [true, false] {
        let instance = linker.instantiate(&mut store, &module)?;
        *store.data_mut() = Some(instance);
        let run = instance.get_func(&mut store, "run").unwrap();
        let result = if typed {
            run.typed::<(), Option<Func>>(&store)?.call(&mut store, ())?.unwrap()
        } else {
            let mut results = [Val::I32(0)];
            run.call(&mut store, &[], &mut results)?;
            *results[0].unwrap_func_ref().unwrap()
        };
        assert_eq!(store.instance_count(), 0);
        // Another instance of the same shape takes the place: the handle must not come to life with it.
        let next = linker.instantiate(&mut store, &module)?;
        assert_eq!(result.call(&mut store, &[], &mut [Val::I32(0)]).unwrap_err().to_string(), DROPPED);
        store.drop_instance(next);
    }
    Ok(())
}

fn handles_of_dropped_instances_are_noticed(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let module = Module::new(
        &engine,
        r#"(memory (export "m") 1) (table (export "t") 1 funcref) (global (export "g") (mut i32) (i32.const 0))
           (func (export "f"))"#,
    )?;
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[])?;
    let memory = instance.get_memory(&mut store, "m").unwrap();
    let table = instance.get_table(&mut store, "t").unwrap();
    let global = instance.get_global(&mut store, "g").unwrap();
    let func = instance.get_typed_func::<(), ()>(&mut store, "f")?;
    store.drop_instance(instance);
    // The slot is used again at once, by an instance of the same shape.
    Instance::new(&mut store, &module, &[])?;
    assert_eq!(func.call(&mut store, ()).unwrap_err().to_string(), DROPPED);
    assert!(memory.grow(&mut store, 1).is_err());
    assert!(table.set(&mut store, 0, Ref::Func(None)).is_err());
    assert!(global.set(&mut store, Val::I32(0)).is_err());
    assert_eq!(panic_of(|| memory.data(&store).len()), DROPPED);
    assert_eq!(panic_of(|| table.size(&store)), DROPPED);
    assert_eq!(panic_of(|| global.get(&mut store)), DROPPED);
    assert_eq!(panic_of(|| func.func().ty(&store)), DROPPED);
    assert_eq!(panic_of(|| instance.get_func(&mut store, "f")), DROPPED);
    let user = Module::new(&engine, r#"(import "" "m" (memory 1))"#)?;
    let error = Instance::new(&mut store, &user, &[memory.into()]).unwrap_err();
    assert_eq!(error.to_string(), "`::m` cannot be imported");
    Ok(())
}

#[test]
fn handles_of_other_stores_are_noticed() -> Result<()> {
    let engine = Engine::default();
    let (mut a, mut b) = (Store::new(&engine, ()), Store::new(&engine, ()));
    let memory = Memory::new(&mut a, MemoryType::new(1, None))?;
    let func = Func::wrap(&mut a, |_: Option<Func>, _: Option<Rooted<ExternRef>>| ());
    let value = ExternRef::new(&mut a, 1)?;
    assert_eq!(panic_of(|| memory.size(&b)), FOREIGN);
    assert_eq!(func.call(&mut b, &[], &mut []).unwrap_err().to_string(), FOREIGN);
    assert!(value.data(&b).is_err());
    let own = Func::wrap(&mut b, |_: Option<Func>, _: Option<Rooted<ExternRef>>| ());
    let own = own.typed::<(Option<Func>, Option<Rooted<ExternRef>>), ()>(&b)?;
    assert!(own.call(&mut b, (Some(func), None)).is_err());
    assert!(own.call(&mut b, (None, Some(value))).is_err());
    own.call(&mut b, (None, None))?;
    let module = Module::new(&engine, r#"(import "" "" (memory 1))"#)?;
    let error = Instance::new(&mut b, &module, &[memory.into()]).unwrap_err();
    assert!(format!("{error:#}").ends_with(FOREIGN));
    let table = Table::new(&mut b, TableType::new(RefType::FUNCREF, 1, None), Ref::Func(None))?;
    assert!(table.set(&mut b, 0, func.into()).is_err());
    let instance = Instance::new(&mut a, &Module::new(&engine, "(module)")?, &[])?;
    assert!(!b.drop_instance(instance));
    Ok(())
}

fn a_second_instance_starts_with_the_same_contents(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let module = Module::new(
        &engine,
        r#"(memory (export "m") 1) (data (i32.const 100) "abc") (data (i32.const 102) "xyz")"#,
    )?;
    let mut store = Store::new(&engine, ());
    for _ in 0..3 {
        let instance = Instance::new(&mut store, &module, &[])?;
        let memory = instance.get_memory(&mut store, "m").unwrap();
        assert_eq!(&memory.data(&store)[99..106], b"\0abxyz\0");
        memory.data_mut(&mut store).fill(7);
    }
    Ok(())
}

fn an_instance_that_is_dropped_under_frames_of_others_goes_on_to_the_end(mode: Mode) -> Result<()> {
    use wasmrun::AsContextMut;
    let engine = mode.engine();
    let mut linker = Linker::<Vec<Instance>>::new(&engine);
    linker.func_wrap("host", "drop all", |mut caller: Caller<'_, Vec<Instance>>| {
        for instance in std::mem::take(caller.data_mut()) {
            assert!(caller.as_context_mut().drop_instance(instance));
        }
    })?;
    let inner = Module::new(
        &engine,
        r#"(import "host" "drop all" (func $drop)) (memory 1) (global $g (mut i32) (i32.const 3))
           (table 1 funcref) (elem (i32.const 0) $deep)
           (func $deep (result i32) (call $drop) (i32.store (i32.const 8) (i32.const 30)) (global.get $g))
           (func $middle (result i32)
             (i32.add (call_indirect (result i32) (i32.const 0)) (i32.load (i32.const 8))))
           (func (export "inner") (result i32) (i32.add (call $middle) (global.get $g)))"#,
    )?;
    let outer = Module::new(
        &engine,
        r#"(import "inner" "inner" (func $inner (result i32))) (memory 1) (data (i32.const 0) "\c8")
           (func $one (result i32) (i32.add (call $inner) (i32.load (i32.const 0))))
           (func (export "run") (result i32) (i32.add (call $one) (i32.load (i32.const 0))))"#,
    )?;
    let mut store = Store::new(&engine, Vec::new());
    for _ in 0..3 {
        let mut linker = linker.clone();
        let inner = linker.instantiate(&mut store, &inner)?;
        linker.instance(&mut store, "inner", inner)?;
        let outer = linker.instantiate(&mut store, &outer)?;
        let run = outer.get_typed_func::<(), i32>(&mut store, "run")?;
        store.data_mut().extend([inner, outer]);
        assert_eq!(run.call(&mut store, ())?, 3 + 30 + 3 + 200 + 200);
        assert_eq!(run.call(&mut store, ()).unwrap_err().to_string(), DROPPED);
        assert_eq!((store.instance_count(), store.memory_bytes()), (0, 0));
    }
    Ok(())
}
