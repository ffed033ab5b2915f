//! Structures and arrays: what the guest makes of them survives collections, what it lets go of is no burden, and the host
//! sees them as they are.

use wasmrun::{
    AnyRef, ArrayRef, ArrayRefPre, ArrayType, Engine, EqRef, Error, ExternRef, FieldType, Func, FuncType,
    HeapType, I31, Instance, InterruptHandle, Module, Mutability, RefType, ResourceLimiter, Result, Rooted,
    StorageType, Store, StoreLimits, StoreLimitsBuilder, StructRef, StructRefPre, StructType, Trap, Val,
    ValType,
};

use crate::common::{Mode, in_every_mode};

in_every_mode! {
    lists_survive_collections_at_every_allocation
    garbage_is_no_burden_and_a_limit_is_one
    an_interrupt_while_there_is_no_room_is_what_ends_the_guest
    the_longest_lists_are_collected
    arrays_of_any_length_are_made_or_trap
    operands_of_new_objects_survive_their_making
    constant_expressions_make_objects
    types_far_down_are_told_apart
    bounds_are_checked_without_overflow
    functions_that_only_objects_refer_to_can_be_called
    the_host_and_the_guest_share_objects
}

/// One that collects at every allocation.
fn stressed(mode: Mode) -> Engine {
    Engine::new(mode.config().gc_stress(true)).unwrap()
}

fn trap(error: &wasmrun::Error) -> Option<Trap> {
    error.downcast_ref().copied()
}

const LIST: &str = r#"(module
    (type $list (struct (field $n i32) (field $next (ref null $list)) (field (mut i8))))
    (func $make (export "make") (param $n i32) (result (ref null $list)) (local $list (ref null $list))
        (loop $l
            (local.set $list (struct.new $list (local.get $n) (local.get $list) (i32.const -1)))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (local.get $list))
    (func $sum (export "sum") (param $list (ref null $list)) (result i64) (local $sum i64)
        (block $end
            (loop $l
                (local.set $sum (i64.add (local.get $sum)
                    (i64.extend_i32_u (struct.get $list $n (br_on_null $end (local.get $list))))))
                (local.set $list (struct.get $list $next (local.get $list)))
                (br $l)))
        (local.get $sum))
    (func (export "run") (param i32) (result i64) (call $sum (call $make (local.get 0))))
    (func (export "churn") (param $n i32) (result i64) (local $kept (ref null $list))
        (local.set $kept (call $make (i32.const 10)))
        (loop $l
            (drop (struct.new $list (local.get $n) (local.get $kept) (i32.const 0)))
            (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
        (call $sum (local.get $kept))))"#;

fn lists_survive_collections_at_every_allocation(mode: Mode) -> Result<()> {
    let engine = stressed(mode);
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &Module::new(&engine, LIST)?, &[])?;
    let run = instance.get_typed_func::<i32, i64>(&mut store, "run")?;
    assert_eq!(run.call(&mut store, 200)?, 200 * 201 / 2);
    assert!(store.gc_stats().unwrap().collections() >= 199);
    Ok(())
}

/// Refuses every object, and interrupts the guest that wants one.
struct Interrupting(Option<InterruptHandle>);

impl ResourceLimiter for Interrupting {
    fn memory_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool> {
        Ok(true)
    }
    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool> {
        Ok(true)
    }
    fn gc_heap_growing(&mut self, _: usize, _: usize) -> Result<bool> {
        self.0.take().iter().for_each(InterruptHandle::interrupt);
        Ok(false)
    }
}

fn an_interrupt_while_there_is_no_room_is_what_ends_the_guest(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut store = Store::new(&engine, Interrupting(None));
    store.limiter(|limiter| limiter);
    let instance = Instance::new(&mut store, &Module::new(&engine, LIST)?, &[])?;
    let run = instance.get_typed_func::<i32, i64>(&mut store, "run")?;
    let handle = store.interrupt_handle();
    store.data_mut().0 = Some(handle);
    assert_eq!(trap(&run.call(&mut store, 3).unwrap_err()), Some(Trap::Interrupt));
    assert_eq!(trap(&run.call(&mut store, 3).unwrap_err()), Some(Trap::GcHeapOutOfMemory));
    Ok(())
}

fn garbage_is_no_burden_and_a_limit_is_one(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let limits: StoreLimits = StoreLimitsBuilder::new().gc_heap_size(1 << 20).build();
    let mut store = Store::new(&engine, limits);
    store.limiter(|limits| limits);
    let instance = Instance::new(&mut store, &Module::new(&engine, LIST)?, &[])?;
    let churn = instance.get_typed_func::<i32, i64>(&mut store, "churn")?;
    assert_eq!(churn.call(&mut store, 300_000)?, 55);
    let stats = store.gc_stats().unwrap();
    assert!(stats.allocated >= 300_000 * 24 && stats.peak <= 1 << 20 && stats.collections() > 3, "{stats:?}");
    let run = instance.get_typed_func::<i32, i64>(&mut store, "run")?;
    assert_eq!(trap(&run.call(&mut store, 100_000).unwrap_err()), Some(Trap::GcHeapOutOfMemory));
    assert_eq!(churn.call(&mut store, 1000)?, 55);
    Ok(())
}

fn the_longest_lists_are_collected(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &Module::new(&engine, LIST)?, &[])?;
    let make = instance.get_func(&mut store, "make").unwrap();
    let mut list = [Val::AnyRef(None)];
    make.call(&mut store, &[Val::I32(300_000)], &mut list)?;
    store.gc();
    let mut sum = [Val::I64(0)];
    instance.get_func(&mut store, "sum").unwrap().call(&mut store, &list, &mut sum)?;
    assert_eq!(sum[0].i64(), Some(300_000 * 300_001 / 2));
    Ok(())
}

fn arrays_of_any_length_are_made_or_trap(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    for ty in ["i8", "i16", "i32", "f64", "v128", "anyref", "funcref"] {
        let text = format!(
            r#"(module (type $a (array (mut {ty})))
                (func (export "new") (param i32) (result i32)
                    (array.len (array.new_default $a (local.get 0)))))"#
        );
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &Module::new(&engine, text)?, &[])?;
        let new = instance.get_typed_func::<u32, u32>(&mut store, "new")?;
        for len in [0, 1, 2047, 2048, 20_000, 1 << 20] {
            assert_eq!(new.call(&mut store, len)?, len, "{ty}");
        }
        for _ in 0..100 {
            let error = new.call(&mut store, u32::MAX).unwrap_err();
            assert_eq!(trap(&error), Some(Trap::GcHeapOutOfMemory), "{ty}");
        }
    }
    Ok(())
}

fn operands_of_new_objects_survive_their_making(mode: Mode) -> Result<()> {
    let engine = stressed(mode);
    let text = r#"(module
        (type $box (struct (field i32)))
        (type $all (struct (field i8) (field (ref $box)) (field v128) (field f32) (field (ref $box)) (field funcref)))
        (type $boxes (array (mut (ref null $box))))
        (func $box (param i32) (result (ref $box)) (struct.new $box (local.get 0)))
        (func $f (export "f") (result i32) (i32.const 9))
        (func $get (param (ref null $box)) (result i32) (struct.get $box 0 (local.get 0)))
        (func (export "struct") (result i32) (local $all (ref null $all))
            (local.set $all (struct.new $all
                (i32.const 0x1ff) (call $box (i32.const 2)) (v128.const i64x2 3 4) (f32.const 5) (call $box (i32.const 6))
                (ref.func $f)))
            (drop (call $box (i32.const 0)))
            (i32.add (struct.get_s $all 0 (local.get $all))
                (i32.add (call $get (struct.get $all 1 (local.get $all)))
                    (i32.add (i32.wrap_i64 (i64x2.extract_lane 1 (struct.get $all 2 (local.get $all))))
                        (i32.add (i32.trunc_f32_s (struct.get $all 3 (local.get $all)))
                            (call $get (struct.get $all 4 (local.get $all))))))))
        (func (export "array") (result i32) (local $a (ref null $boxes)) (local $b (ref null $boxes))
            (local.set $a (array.new $boxes (call $box (i32.const 7)) (i32.const 5)))
            (local.set $b (array.new_fixed $boxes 3 (call $box (i32.const 1)) (ref.null $box) (call $box (i32.const 2))))
            (array.copy $boxes $boxes (local.get $a) (i32.const 1) (local.get $b) (i32.const 0) (i32.const 3))
            (array.fill $boxes (local.get $b) (i32.const 0) (call $box (i32.const 30)) (i32.const 2))
            (i32.add (call $get (array.get $boxes (local.get $a) (i32.const 4)))
                (i32.add (call $get (array.get $boxes (local.get $a) (i32.const 3)))
                    (i32.add (call $get (array.get $boxes (local.get $a) (i32.const 1)))
                        (i32.add (call $get (array.get $boxes (local.get $b) (i32.const 1)))
                            (ref.is_null (array.get $boxes (local.get $a) (i32.const 2))))))))
        (func (export "null") (result i32) (call $get (ref.null $box))))"#;
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &Module::new(&engine, text)?, &[])?;
    for (name, expected) in [("struct", -1 + 2 + 4 + 5 + 6), ("array", 7 + 2 + 1 + 30 + 1)] {
        let run = instance.get_typed_func::<(), i32>(&mut store, name)?;
        for _ in 0..3 {
            assert_eq!(run.call(&mut store, ())?, expected, "{name}");
        }
    }
    let null = instance.get_typed_func::<(), i32>(&mut store, "null")?;
    assert_eq!(trap(&null.call(&mut store, ()).unwrap_err()), Some(Trap::NullReference));
    Ok(())
}

fn constant_expressions_make_objects(mode: Mode) -> Result<()> {
    let engine = stressed(mode);
    let text = r#"(module
        (type $box (struct (field i32)))
        (type $pair (struct (field (ref null $box)) (field anyref)))
        (type $bytes (array i8))
        (type $boxes (array (mut (ref null $box))))
        (global $a (ref $box) (struct.new $box (i32.const 1)))
        (global $pair (ref $pair) (struct.new $pair
            (struct.new $box (i32.add (i32.const 1) (i32.const 1)))
            (array.new_fixed $boxes 2 (struct.new $box (i32.const 3)) (global.get $a))))
        (global $i (ref i31) (ref.i31 (i32.const -5)))
        (global $bytes (ref $bytes) (array.new $bytes (i32.const 0x1fe) (i32.const 3)))
        (global $e externref (extern.convert_any (global.get $a)))
        (table $t 3 (ref null $box) (struct.new $box (i32.const 10)))
        (elem $passive (ref null $box) (item (struct.new $box (i32.const 20))) (item (global.get $a))
            (item (struct.new $box (i32.const 30))))
        (elem (table $t) (i32.const 1) (ref null $box) (item (struct.new $box (i32.const 40))))
        (func $get (param (ref null $box)) (result i32) (struct.get $box 0 (local.get 0)))
        (func (export "globals") (result i32) (local $boxes (ref $boxes))
            (local.set $boxes (ref.cast (ref $boxes) (struct.get $pair 1 (global.get $pair))))
            (i32.add (call $get (struct.get $pair 0 (global.get $pair)))
                (i32.add (call $get (array.get $boxes (local.get $boxes) (i32.const 0)))
                    (i32.add (call $get (array.get $boxes (local.get $boxes) (i32.const 1)))
                        (i32.add (i31.get_s (global.get $i))
                            (i32.add (array.get_s $bytes (global.get $bytes) (i32.const 2))
                                (ref.eq (ref.cast (ref null eq) (any.convert_extern (global.get $e)))
                                    (global.get $a))))))))
        (func (export "tables") (result i32) (local $boxes (ref null $boxes))
            (local.set $boxes (array.new_elem $boxes $passive (i32.const 0) (i32.const 3)))
            (array.init_elem $boxes $passive (local.get $boxes) (i32.const 0) (i32.const 2) (i32.const 1))
            (table.init $t $passive (i32.const 2) (i32.const 2) (i32.const 1))
            (i32.add (call $get (table.get $t (i32.const 0)))
                (i32.add (call $get (table.get $t (i32.const 1)))
                    (i32.add (call $get (array.get $boxes (local.get $boxes) (i32.const 1)))
                        (ref.eq (table.get $t (i32.const 2)) (array.get $boxes (local.get $boxes) (i32.const 0))))))))"#;
    let mut store = Store::new(&engine, ());
    let module = Module::new(&engine, text)?;
    for _ in 0..3 {
        let instance = Instance::new(&mut store, &module, &[])?;
        store.gc();
        for (name, expected) in [("globals", 2 + 3 + 1 - 5 - 2 + 1), ("tables", 10 + 40 + 1 + 1)] {
            let run = instance.get_typed_func::<(), i32>(&mut store, name)?;
            assert_eq!(run.call(&mut store, ())?, expected, "{name}");
        }
    }
    // One that finds no room is an error, and leaves nothing that a collection could stumble over.
    let text = r#"(module (type $a (array (mut i64))) (type $p (struct (field (ref $a)) (field (ref $a))))
        (global (ref $p) (struct.new $p (array.new $a (i64.const 1) (i32.const 9)) (array.new_default $a (i32.const -1)))))"#;
    let error = Instance::new(&mut store, &Module::new(&engine, text)?, &[]).unwrap_err();
    assert_eq!(trap(&error), Some(Trap::GcHeapOutOfMemory));
    store.gc();
    Ok(())
}

fn types_far_down_are_told_apart(mode: Mode) -> Result<()> {
    const DEPTH: usize = 14;
    let engine = mode.engine();
    let mut text =
        "(module (type $t0 (sub (struct (field i32)))) (type $u (sub final $t0 (struct (field i32))))"
            .to_owned();
    for i in 1..DEPTH {
        text += &format!("(type $t{i} (sub $t{} (struct (field i32) {})))", i - 1, "(field i64)".repeat(i));
    }
    for i in 0..DEPTH {
        text += &format!(r#"(func (export "new{i}") (result anyref) (struct.new_default $t{i}))"#);
        text += &format!(
            r#"(func (export "is{i}") (param anyref) (result i32) (ref.test (ref $t{i}) (local.get 0)))"#
        );
        text += &format!(
            r#"(func (export "to{i}") (param anyref) (result i32)
                (block $yes (result (ref $t{i}))
                    (br_on_cast $yes anyref (ref $t{i}) (local.get 0)) (drop) (return (i32.const 0)))
                (drop) (i32.const 1))"#
        );
        text += &format!(
            r#"(func (export "cast{i}") (param anyref) (drop (ref.cast (ref $t{i}) (local.get 0))))"#
        );
    }
    text += r#"(func (export "other") (result anyref) (struct.new_default $u)))"#;
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &Module::new(&engine, text)?, &[])?;
    type Any = Option<Rooted<AnyRef>>;
    let mut objects = Vec::new();
    for i in 0..DEPTH {
        let new = instance.get_typed_func::<(), Any>(&mut store, &format!("new{i}"))?;
        objects.push((Some(i), new.call(&mut store, ())?));
    }
    let other = instance.get_typed_func::<(), Any>(&mut store, "other")?;
    objects.push((Some(0), other.call(&mut store, ())?));
    let host = ExternRef::new(&mut store, 1)?;
    objects.push((None, Some(AnyRef::convert_extern(&mut store, host)?)));
    objects.push((None, Some(AnyRef::from_i31(&mut store, I31::wrapping_i32(3)))));
    objects.push((None, None));
    for i in 0..DEPTH {
        let is = instance.get_typed_func::<Any, i32>(&mut store, &format!("is{i}"))?;
        let to = instance.get_typed_func::<Any, i32>(&mut store, &format!("to{i}"))?;
        let cast = instance.get_typed_func::<Any, ()>(&mut store, &format!("cast{i}"))?;
        for (depth, object) in &objects {
            let expected = depth.is_some_and(|depth| depth >= i);
            assert_eq!(is.call(&mut store, *object)? != 0, expected, "{depth:?} is {i}");
            assert_eq!(to.call(&mut store, *object)? != 0, expected, "{depth:?} to {i}");
            let failed = cast.call(&mut store, *object).err().and_then(|error| trap(&error));
            assert_eq!(failed, (!expected).then_some(Trap::CastFailure), "{depth:?} cast to {i}");
        }
    }
    Ok(())
}

fn bounds_are_checked_without_overflow(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let text = r#"(module
        (type $a (array (mut i64))) (type $f (array (mut funcref)))
        (data $d "0123456789abcdef") (elem $e func 0)
        (func (export "get") (param i32 i32) (drop (array.get $a (array.new_default $a (i32.const 4)) (local.get 0))))
        (func (export "set") (param i32 i32)
            (array.set $a (array.new_default $a (i32.const 4)) (local.get 0) (i64.const 1)))
        (func (export "fill") (param i32 i32)
            (array.fill $a (array.new_default $a (i32.const 4)) (local.get 0) (i64.const 1) (local.get 1)))
        (func (export "copy_to") (param i32 i32)
            (array.copy $a $a (array.new_default $a (i32.const 4)) (local.get 0)
                (array.new_default $a (i32.const 8)) (i32.const 0) (local.get 1)))
        (func (export "copy_from") (param i32 i32)
            (array.copy $a $a (array.new_default $a (i32.const 8)) (i32.const 0)
                (array.new_default $a (i32.const 4)) (local.get 0) (local.get 1)))
        (func (export "new_data") (param i32 i32) (drop (array.new_data $a $d (local.get 0) (local.get 1))))
        (func (export "new_elem") (param i32 i32) (drop (array.new_elem $f $e (local.get 0) (local.get 1))))
        (func (export "init_data") (param i32 i32)
            (array.init_data $a $d (array.new_default $a (i32.const -2147483000)) (i32.const 0) (local.get 0) (local.get 1)))
        (func (export "null") (param i32 i32) (array.fill $a (ref.null $a) (i32.const 0) (i64.const 0) (i32.const 0))))"#;
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &Module::new(&engine, text)?, &[])?;
    let outside = Some(Trap::ArrayOutOfBounds);
    for (name, start, len, expected) in [
        ("get", 4, 0, outside),
        ("get", -1, 0, outside),
        ("get", 3, 0, None),
        ("set", 4, 0, outside),
        ("set", -1, 0, outside),
        ("fill", 4, 0, None),
        ("fill", 5, 0, outside),
        ("fill", 2, -1, outside),
        ("fill", -1, 2, outside),
        ("copy_to", 0, 4, None),
        ("copy_to", 1, 4, outside),
        ("copy_to", -1, 2, outside),
        ("copy_from", 4, 0, None),
        ("copy_from", -1, -1, outside),
        ("new_data", 0, 2, None),
        ("new_data", 8, 1, None),
        ("new_data", 9, 1, Some(Trap::MemoryOutOfBounds)),
        ("new_data", 0, 0x2000_0001, Some(Trap::MemoryOutOfBounds)),
        ("new_data", -1, -1, Some(Trap::MemoryOutOfBounds)),
        ("new_elem", 1, 0, None),
        ("new_elem", -1, 2, Some(Trap::TableOutOfBounds)),
        ("new_elem", 0, -1, Some(Trap::TableOutOfBounds)),
        ("init_data", 0, 1, Some(Trap::GcHeapOutOfMemory)),
        ("null", 0, 0, Some(Trap::NullReference)),
    ] {
        let run = instance.get_typed_func::<(i32, i32), ()>(&mut store, name)?;
        let got = run.call(&mut store, (start, len)).err().and_then(|error| trap(&error));
        assert_eq!(got, expected, "{name} {start} {len}");
    }
    Ok(())
}

fn functions_that_only_objects_refer_to_can_be_called(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut store = Store::new(&engine, ());
    let keeper = r#"(module
        (type $f (func (result i32))) (type $cell (struct (field (mut (ref null $f))))) (type $cells (array (mut funcref)))
        (global $cell (mut (ref null $cell)) (ref.null $cell))
        (global $cells (mut (ref null $cells)) (ref.null $cells))
        (func (export "keep") (param (ref null $f))
            (global.set $cell (struct.new $cell (local.get 0)))
            (global.set $cells (array.new $cells (local.get 0) (i32.const 10000))))
        (func (export "forget") (global.set $cell (ref.null $cell)) (global.set $cells (ref.null $cells)))
        (func (export "run") (result i32)
            (i32.add (call_ref $f (struct.get $cell 0 (global.get $cell)))
                (call_ref $f (ref.cast (ref $f) (array.get $cells (global.get $cells) (i32.const 9999)))))))"#;
    let keeper = Instance::new(&mut store, &Module::new(&engine, keeper)?, &[])?;
    let module = Module::new(
        &engine,
        r#"(module (memory 1) (data (i32.const 8) "\07") (func (export "f") (result i32) (i32.load (i32.const 8))))"#,
    )?;
    let dropped = Instance::new(&mut store, &module, &[])?;
    let f = dropped.get_func(&mut store, "f").unwrap();
    let keep = keeper.get_func(&mut store, "keep").unwrap();
    keep.call(&mut store, &[Val::FuncRef(Some(f))], &mut [])?;
    assert!(store.drop_instance(dropped));
    let run = keeper.get_typed_func::<(), i32>(&mut store, "run")?;
    for _ in 0..3 {
        // Each finds out anew what can be reached.
        let other = Instance::new(&mut store, &module, &[])?;
        assert!(store.drop_instance(other));
        assert_eq!(run.call(&mut store, ())?, 14);
    }
    assert_eq!(store.instance_count(), 2);
    keeper.get_typed_func::<(), ()>(&mut store, "forget")?.call(&mut store, ())?;
    let other = Instance::new(&mut store, &module, &[])?;
    assert!(store.drop_instance(other));
    assert_eq!(store.instance_count(), 1);
    Ok(())
}

fn the_host_and_the_guest_share_objects(mode: Mode) -> Result<()> {
    let engine = stressed(mode);
    let mut store = Store::new(&engine, ());
    let text = r#"(module
        (type $pair (struct (field (mut i32)) (field (mut anyref))))
        (type $shorts (array (mut i16)))
        (import "" "swap" (func $swap (param (ref null $pair) anyref) (result (ref null $pair))))
        (func (export "run") (param (ref null $pair)) (result i32)
            (struct.get $pair 0 (call $swap (local.get 0) (array.new $shorts (i32.const -1) (i32.const 4)))))
        (func (export "eq") (param eqref eqref) (result i32) (ref.eq (local.get 0) (local.get 1))))"#;
    let field = |element| FieldType::new(Mutability::Var, element);
    let fields = [field(StorageType::Val(ValType::I32)), field(StorageType::Val(ValType::ANYREF))];
    let pair = StructType::new(&engine, fields)?;
    let module = Module::new(&engine, text)?;
    let import = module.imports().next().unwrap().ty();
    let ty = import.func().unwrap().clone();
    assert_eq!(ty.params()[0], ValType::Ref(wasmrun::RefType::new(true, pair.heap_type())));
    let swap = Func::new(&mut store, ty, |mut caller, args, results| {
        let pair = args[0].unwrap_any_ref().unwrap().as_struct(&caller)?.unwrap();
        let array = args[1].unwrap_any_ref().unwrap().as_array(&caller)?.unwrap();
        assert_eq!((array.len(&caller)?, array.get(&mut caller, 3)?), (4, Val::I32(0xffff)));
        let number = pair.field(&mut caller, 0)?.unwrap_i32();
        let pre = StructRefPre::new(&caller, pair.ty(&caller)?);
        let other = StructRef::new(&mut caller, &pre, &[Val::I32(number + 1), array.into()])?;
        pair.set_field(&mut caller, 1, other.into())?;
        results[0] = other.into();
        Ok(())
    });
    let instance = Instance::new(&mut store, &module, &[swap.into()])?;
    let pre = StructRefPre::new(&store, pair.clone());
    let made = StructRef::new(&mut store, &pre, &[Val::I32(41), Val::AnyRef(None)])?;
    let run = instance.get_func(&mut store, "run").unwrap();
    let mut results = [Val::I32(0)];
    run.call(&mut store, &[made.into()], &mut results)?;
    assert_eq!(results[0].i32(), Some(42));
    let other = made.field(&mut store, 1)?.unwrap_any_ref().unwrap().as_struct(&store)?.unwrap();
    assert_eq!(other.fields(&mut store)?.next(), Some(Val::I32(42)));
    assert!(other.ty(&store)? == pair && other.matches_ty(&store, &pair)?);
    // Values of other types are refused wherever they come in.
    let number = AnyRef::from_i31(&mut store, I31::wrapping_i32(1));
    assert!(run.call(&mut store, &[number.into()], &mut results).is_err());
    assert!(run.call(&mut store, &[Val::ExternRef(None)], &mut results).is_err());
    assert!(made.set_field(&mut store, 0, Val::I64(1)).is_err());
    assert!(made.set_field(&mut store, 2, Val::I32(1)).is_err());
    assert!(StructRef::new(&mut store, &pre, &[Val::I32(1)]).is_err());
    let frozen = ArrayType::new(&engine, FieldType::new(Mutability::Const, StorageType::Val(ValType::I64)))?;
    let frozen = ArrayRefPre::new(&store, frozen);
    let frozen = ArrayRef::new_fixed(&mut store, &frozen, &[Val::I64(1), Val::I64(2)])?;
    assert!(frozen.set(&mut store, 0, Val::I64(3)).is_err());
    assert!(frozen.get(&mut store, 2).is_err());
    assert_eq!(frozen.elems(&mut store)?.collect::<Vec<_>>(), [Val::I64(1), Val::I64(2)]);
    assert!(run.call(&mut store, &[frozen.into()], &mut results).is_err());
    // Conversions lead to the same.
    let any = frozen.to_anyref();
    let outside = ExternRef::convert_any(&mut store, any)?;
    assert!(outside.data(&store)?.is_none());
    let back = AnyRef::convert_extern(&mut store, outside)?;
    assert!(Rooted::ref_eq(&store, &any, &back)?);
    assert!(matches!(any.ty(&store)?, HeapType::ConcreteArray(_)) && any.is_eqref(&store)?);
    let eq =
        instance.get_typed_func::<(Option<Rooted<EqRef>>, Option<Rooted<EqRef>>), i32>(&mut store, "eq")?;
    let (a, b) = (any.as_eqref(&store)?, back.as_eqref(&store)?);
    assert_eq!(eq.call(&mut store, (a, b))?, 1);
    let number = EqRef::from_i31(&mut store, I31::wrapping_i32(-4));
    assert_eq!(number.as_i31(&store)?.map(I31::get_i32), Some(-4));
    assert_eq!(eq.call(&mut store, (a, Some(number)))?, 0);
    Ok(())
}

#[test]
fn types_of_another_engine_are_refused_wherever_they_come_in() -> Result<()> {
    let (engine, other) = (Engine::default(), Engine::default());
    let field = FieldType::new(Mutability::Var, StorageType::Val(ValType::I32));
    // Both engines have given out the same numbers.
    let ours = StructType::new(&engine, [field])?;
    let theirs = StructType::new(&other, [field])?.heap_type();
    let reference = |heap| RefType::new(true, heap);
    let mut store = Store::new(&engine, ());
    let error = |error: Error| assert!(error.to_string().contains("another engine"), "{error}");
    let element = FieldType::new(Mutability::Var, StorageType::Val(ValType::Ref(reference(theirs))));
    error(StructType::new(&engine, [element]).unwrap_err());
    error(ArrayType::new(&engine, element).unwrap_err());
    assert!(StructType::from_heap_type(&engine, theirs).is_none());
    assert!(StructType::from_heap_type(&engine, ours.heap_type()).is_some());
    let ty = wasmrun::GlobalType::new(ValType::Ref(reference(theirs)), Mutability::Var);
    error(wasmrun::Global::new(&mut store, ty, Val::AnyRef(None)).unwrap_err());
    let ty = wasmrun::TableType::new(reference(theirs), 1, None);
    error(wasmrun::Table::new(&mut store, ty, wasmrun::Ref::Any(None)).unwrap_err());
    let ty = FuncType::new([ValType::Ref(reference(theirs))], []);
    error(
        wasmrun::Linker::<()>::new(&engine).func_new("a", "b", ty.clone(), |_, _, _| Ok(())).err().unwrap(),
    );
    let made = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        Func::new(&mut store, ty, |_, _, _| Ok(()));
    }));
    assert!(made.unwrap_err().downcast_ref::<String>().unwrap().contains("another engine"));
    let pre = StructRefPre::new(&store, ours.clone());
    let object = StructRef::new(&mut store, &pre, &[Val::I32(1)])?.to_anyref();
    error(object.matches_ty(&store, &theirs).unwrap_err());
    assert!(object.matches_ty(&store, &ours.heap_type())?);
    // What is of no kind that the number has is no type either.
    let HeapType::ConcreteStruct(number) = ours.heap_type() else { panic!("a structure") };
    error(object.matches_ty(&store, &HeapType::ConcreteArray(number)).unwrap_err());
    Ok(())
}
