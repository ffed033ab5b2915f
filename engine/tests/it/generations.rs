//! Objects that are old and lead to young ones: what is stored into them is there after a collection that does not look at them,
//! whoever has stored it; and what the collector does is told and bounded.

use wasmrun::{
    Collector, Engine, GcStats, Instance, Module, Result, Rooted, Store, StoreLimits, StoreLimitsBuilder,
    StructRef, Trap, Val,
};

use crate::common::{Mode, in_every_mode};

in_every_mode! {
    what_was_stored_into_old_objects_survives
    what_the_host_stores_into_old_objects_survives
    objects_in_tables_globals_and_frames_survive_minor_collections
    without_a_collector_a_limit_is_the_end
    what_lives_for_long_is_copied_seldom
}

const STORES: &str = r#"(module
    (type $n (struct (field $v (mut i32)) (field $next (mut (ref null $n)))))
    (type $a (array (mut (ref null $n))))
    (global $one (mut (ref null $n)) (ref.null $n))
    (global $few (mut (ref null $a)) (ref.null $a))
    (global $many (mut (ref null $a)) (ref.null $a))
    (table $t 3000 (ref null $n))
    (func $new (param i32) (result (ref $n)) (struct.new $n (local.get 0) (ref.null $n)))
    (func (export "make") (result anyref)
        (global.set $one (call $new (i32.const 9)))
        (global.set $few (array.new_default $a (i32.const 300)))
        (global.set $many (array.new_default $a (i32.const 20000)))
        (global.get $one))
    (func (export "churn") (param $n i32)
        (loop $l
            (drop (call $new (local.get $n)))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
    (func (export "store") (param $at i32)
        (struct.set $n $next (global.get $one) (call $new (i32.const 1)))
        (array.set $a (global.get $few) (i32.const 255) (call $new (i32.const 2)))
        (array.set $a (global.get $many) (local.get $at) (call $new (i32.const 3)))
        (array.fill $a (global.get $many) (i32.const 5000) (call $new (i32.const 4)) (i32.const 3000))
        (array.copy $a $a (global.get $many) (i32.const 12000)
            (array.new_fixed $a 2 (call $new (i32.const 5)) (call $new (i32.const 6))) (i32.const 0) (i32.const 2))
        (array.copy $a $a (global.get $many) (i32.const 12001) (global.get $many) (i32.const 12000) (i32.const 2)))
    (func $at (param i32) (result i32)
        (struct.get $n $v (array.get $a (global.get $many) (local.get 0))))
    (func $more (param i32 i32) (result i32)
        (i32.add (i32.mul (local.get 0) (i32.const 10)) (local.get 1)))
    (func (export "read") (param $at i32) (result i32)
        (struct.get $n $v (struct.get $n $next (global.get $one)))
        (call $more (struct.get $n $v (array.get $a (global.get $few) (i32.const 255))))
        (call $more (call $at (local.get $at)))
        (call $more (call $at (i32.const 5000)))
        (call $more (call $at (i32.const 7999)))
        (call $more (call $at (i32.const 12000)))
        (call $more (call $at (i32.const 12001)))
        (call $more (call $at (i32.const 12002))))
    (func $deep (export "deep") (param $depth i32) (param $n i32) (result i32) (local $kept (ref null $n))
        (local.set $kept (call $new (local.get $depth)))
        (table.set $t (local.get $depth) (local.get $kept))
        (if (result i32) (local.get $depth)
            (then (call $deep (i32.sub (local.get $depth) (i32.const 1)) (local.get $n)))
            (else
                (loop $l
                    (drop (call $new (local.get $n)))
                    (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
                (i32.const 0)))
        (i32.add (ref.eq (local.get $kept) (table.get $t (local.get $depth))))
        (i32.add (i32.eq (struct.get $n $v (local.get $kept)) (local.get $depth)))))"#;

/// More objects than a nursery has room for; where each allocation collects, a few.
fn many(stress: bool) -> i32 {
    if stress { 4 } else { 300_000 }
}

/// An instance in an engine of the mode, and in one that collects at every allocation.
fn each(mode: Mode, test: impl Fn(&mut Store<()>, Instance, bool) -> Result<()>) -> Result<()> {
    for stress in [false, true] {
        let engine = Engine::new(mode.config().gc_stress(stress))?;
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &Module::new(&engine, STORES)?, &[])?;
        test(&mut store, instance, stress)?;
        let GcStats { minor, .. } = store.gc_stats().unwrap();
        assert!(minor.count > 0 && minor.longest_pause <= minor.total_pause, "{minor:?}");
    }
    Ok(())
}

fn what_was_stored_into_old_objects_survives(mode: Mode) -> Result<()> {
    each(mode, |store, instance, stress| {
        let churn = instance.get_typed_func::<i32, ()>(&mut *store, "churn")?;
        let write = instance.get_typed_func::<i32, ()>(&mut *store, "store")?;
        let read = instance.get_typed_func::<i32, i32>(&mut *store, "read")?;
        instance.get_func(&mut *store, "make").unwrap().call(&mut *store, &[], &mut [Val::AnyRef(None)])?;
        store.gc();
        for at in [19_999, 0, 1, 127, 128] {
            write.call(&mut *store, at)?;
            churn.call(&mut *store, many(stress))?;
            assert_eq!(read.call(&mut *store, at)?, 12_344_556, "{at}");
        }
        store.gc();
        assert_eq!(read.call(&mut *store, 128)?, 12_344_556);
        Ok(())
    })
}

/// The structure that a value leads to.
fn structure(store: &mut Store<()>, value: &Val) -> Result<Rooted<StructRef>> {
    Ok(value.unwrap_any_ref().expect("not null").as_struct(store)?.expect("a structure"))
}

fn what_the_host_stores_into_old_objects_survives(mode: Mode) -> Result<()> {
    each(mode, |store, instance, stress| {
        let churn = instance.get_typed_func::<i32, ()>(&mut *store, "churn")?;
        let make = instance.get_func(&mut *store, "make").unwrap();
        let mut made = [Val::AnyRef(None)];
        make.call(&mut *store, &[], &mut made)?;
        let old = structure(store, &made[0])?;
        store.gc();
        make.call(&mut *store, &[], &mut made)?;
        let young = structure(store, &made[0])?;
        old.set_field(&mut *store, 1, made[0])?;
        churn.call(&mut *store, many(stress))?;
        let stored = old.field(&mut *store, 1)?;
        assert_eq!(structure(store, &stored)?.field(&mut *store, 0)?.i32(), Some(9));
        assert_eq!(young.field(&mut *store, 0)?.i32(), Some(9));
        Ok(())
    })
}

fn objects_in_tables_globals_and_frames_survive_minor_collections(mode: Mode) -> Result<()> {
    each(mode, |store, instance, stress| {
        let deep = instance.get_typed_func::<(i32, i32), i32>(&mut *store, "deep")?;
        let depth = if stress { 60 } else { 400 };
        assert_eq!(deep.call(&mut *store, (depth, 2 * many(stress)))?, 2 * (depth + 1));
        Ok(())
    })
}

fn without_a_collector_a_limit_is_the_end(mode: Mode) -> Result<()> {
    let engine = Engine::new(mode.config().collector(Collector::Null))?;
    let limits: StoreLimits = StoreLimitsBuilder::new().gc_heap_size(1 << 20).build();
    let mut store = Store::new(&engine, limits);
    store.limiter(|limits| limits);
    let instance = Instance::new(&mut store, &Module::new(&engine, STORES)?, &[])?;
    let churn = instance.get_typed_func::<i32, ()>(&mut store, "churn")?;
    churn.call(&mut store, 1 << 15)?;
    store.gc();
    let error = churn.call(&mut store, 1 << 16).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::GcHeapOutOfMemory));
    let stats = store.gc_stats().unwrap();
    assert_eq!((stats.collections(), stats.peak), (0, 1 << 20));
    Ok(())
}

fn what_lives_for_long_is_copied_seldom(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &Module::new(&engine, STORES)?, &[])?;
    instance.get_func(&mut store, "make").unwrap().call(&mut store, &[], &mut [Val::AnyRef(None)])?;
    instance.get_typed_func::<i32, ()>(&mut store, "churn")?.call(&mut store, 1_500_000)?;
    let stats = store.gc_stats().unwrap();
    assert!(stats.minor.count > 4 && stats.full.count == 0 && stats.promoted < 1 << 20, "{stats:?}");
    Ok(())
}
