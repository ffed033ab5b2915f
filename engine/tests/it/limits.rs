//! Limits on memory, tables, counts, fuel, stack and features are kept.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wasmrun::{
    Config, Engine, Error, Instance, Memory, MemoryType, Module, Ref, RefType, ResourceLimiter, Result,
    Store, StoreLimits, StoreLimitsBuilder, Table, TableType, Trap,
};

use crate::common::{Mode, in_every_mode};

in_every_mode! {
    growth_beyond_the_limits_fails_in_the_guest
    growth_beyond_the_limits_stops_the_guest_if_asked
    initial_sizes_and_counts_are_limited
    a_dropped_instance_no_longer_counts
    a_limiter_is_asked_with_bytes_and_can_fail_and_panic
    a_limiter_is_told_when_what_it_allowed_fails
    growth_that_fails_below_the_limits_stops_the_guest_if_asked
    fuel_is_used_in_proportion_and_ends_guests
    what_is_out_of_bounds_costs_no_fuel_for_what_it_would_have_changed
    as_much_fuel_as_can_be_written_down_is_kept
    a_smaller_stack_holds_fewer_calls
    a_smaller_stack_holds_fewer_calls_between_functions
    ten_thousand_calls_fit_the_default
}

const GROWING: &str = r#"
    (memory (export "memory") 1 100) (table (export "table") 1 1000 funcref)
    (func (export "memory.grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "table.grow") (param i32) (result i32) (table.grow (ref.null func) (local.get 0)))
"#;

fn limited(mode: Mode, limits: StoreLimits) -> Store<StoreLimits> {
    let mut store = Store::new(&mode.engine(), limits);
    store.limiter(|limits| limits);
    store
}

fn growth_beyond_the_limits_fails_in_the_guest(mode: Mode) -> Result<()> {
    let mut store = limited(mode, StoreLimitsBuilder::new().memory_size(3 << 16).table_elements(10).build());
    let module = Module::new(store.engine(), GROWING)?;
    let instance = Instance::new(&mut store, &module, &[])?;
    let memory = instance.get_typed_func::<i32, i32>(&mut store, "memory.grow")?;
    assert_eq!(memory.call(&mut store, 2)?, 1);
    assert_eq!(memory.call(&mut store, 1)?, -1);
    assert_eq!(memory.call(&mut store, 0)?, 3);
    let table = instance.get_typed_func::<i32, i32>(&mut store, "table.grow")?;
    assert_eq!(table.call(&mut store, 9)?, 1);
    assert_eq!(table.call(&mut store, 1)?, -1);
    // The same for the host.
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    let error = memory.grow(&mut store, 1).unwrap_err();
    let expected = "a memory of 3 pages cannot grow by 1: the limiter of the store or the system refuses";
    assert_eq!(error.to_string(), expected);
    let error = memory.grow(&mut store, 98).unwrap_err();
    assert_eq!(error.to_string(), "a memory of 3 pages cannot grow by 98: it would pass its maximum");
    let table = instance.get_table(&mut store, "table").unwrap();
    assert!(table.grow(&mut store, 1, Ref::Func(None)).is_err());
    assert!(table.grow(&mut store, u64::MAX, Ref::Func(None)).is_err());
    assert_eq!((memory.size(&store), table.size(&store)), (3, 10));
    Ok(())
}

fn growth_beyond_the_limits_stops_the_guest_if_asked(mode: Mode) -> Result<()> {
    let limits = StoreLimitsBuilder::new().memory_size(1 << 16).trap_on_grow_failure(true).build();
    let mut store = limited(mode, limits);
    let module = Module::new(store.engine(), GROWING)?;
    let instance = Instance::new(&mut store, &module, &[])?;
    let memory = instance.get_typed_func::<i32, i32>(&mut store, "memory.grow")?;
    let error = memory.call(&mut store, 1).unwrap_err();
    let expected = "forcing trap when growing memory from 65536 to 131072 bytes: the limit is 65536";
    assert_eq!(error.to_string(), expected);
    Ok(())
}

fn initial_sizes_and_counts_are_limited(mode: Mode) -> Result<()> {
    let two_memories = "(memory 1) (memory 1)";
    let too_large = [
        (StoreLimitsBuilder::new().memory_size(65535), "(memory 1)"),
        (StoreLimitsBuilder::new().table_elements(9), "(table 10 funcref)"),
        (StoreLimitsBuilder::new().memories(1), two_memories),
        (StoreLimitsBuilder::new().tables(0), "(table 0 funcref)"),
        (StoreLimitsBuilder::new().instances(0), "(module)"),
    ];
    for (limits, wat) in too_large {
        let mut store = limited(mode, limits.build());
        let module = Module::new(store.engine(), wat)?;
        assert!(Instance::new(&mut store, &module, &[]).is_err(), "{wat}");
        assert_eq!(store.instance_count(), 0);
    }
    let mut store = limited(mode, StoreLimitsBuilder::new().memories(1).tables(1).build());
    Memory::new(&mut store, MemoryType::new(1, None))?;
    assert!(Memory::new(&mut store, MemoryType::new(1, None)).is_err());
    let ty = TableType::new(RefType::FUNCREF, 1, None);
    Table::new(&mut store, ty, Ref::Func(None))?;
    assert!(Table::new(&mut store, ty, Ref::Func(None)).is_err());
    Ok(())
}

fn a_dropped_instance_no_longer_counts(mode: Mode) -> Result<()> {
    let mut store = limited(mode, StoreLimitsBuilder::new().instances(1).memories(1).build());
    let module = Module::new(store.engine(), "(memory 1)")?;
    for _ in 0..3 {
        let instance = Instance::new(&mut store, &module, &[])?;
        assert!(Instance::new(&mut store, &module, &[]).is_err());
        assert!(store.drop_instance(instance));
    }
    Ok(())
}

struct Custom {
    asked: Vec<(usize, usize, Option<usize>)>,
}

impl ResourceLimiter for Custom {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        self.asked.push((current, desired, maximum));
        match desired >> 16 {
            5 => Err(Error::msg("five is right out")),
            6 => panic!("six is worse"),
            _ => Ok(true),
        }
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool> {
        Ok(true)
    }
}

fn a_limiter_is_asked_with_bytes_and_can_fail_and_panic(mode: Mode) -> Result<()> {
    let mut store = Store::new(&mode.engine(), Custom { asked: Vec::new() });
    store.limiter(|custom| custom);
    let module = Module::new(store.engine(), GROWING)?;
    let instance = Instance::new(&mut store, &module, &[])?;
    let grow = instance.get_typed_func::<i32, i32>(&mut store, "memory.grow")?;
    assert_eq!(grow.call(&mut store, 1)?, 1);
    // Beyond the maximum of the memory, growth fails though it be allowed.
    assert_eq!(grow.call(&mut store, 99)?, -1);
    assert_eq!(grow.call(&mut store, 3).unwrap_err().to_string(), "five is right out");
    let panic = catch_unwind(AssertUnwindSafe(|| grow.call(&mut store, 4))).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"six is worse"));
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    assert!(memory.grow(&mut store, 3).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| memory.grow(&mut store, 4))).is_err());
    assert_eq!(grow.call(&mut store, 1)?, 2);
    let max = Some(100 << 16);
    let expected =
        [(0, 1 << 16, max), (1 << 16, 2 << 16, max), (2 << 16, 101 << 16, max), (2 << 16, 5 << 16, max)];
    assert_eq!(store.data().asked[..4], expected);
    Ok(())
}

/// Allows everything, and keeps or passes on what it is told.
#[derive(Default)]
struct Told {
    failures: Vec<String>,
    strict: bool,
}

impl Told {
    fn tell(&mut self, what: &str, error: Error) -> Result<()> {
        self.failures.push(format!("{what}: {error}"));
        if self.strict { Err(error) } else { Ok(()) }
    }
}

impl ResourceLimiter for Told {
    fn memory_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool> {
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        self.tell("memory", error)
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool> {
        Ok(true)
    }

    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        self.tell("table", error)
    }
}

fn a_limiter_is_told_when_what_it_allowed_fails(mode: Mode) -> Result<()> {
    let mut store = Store::new(&mode.engine(), Told::default());
    store.limiter(|told| told);
    let module = Module::new(store.engine(), GROWING)?;
    let instance = Instance::new(&mut store, &module, &[])?;
    let by_guest =
        ["memory.grow", "table.grow"].map(|name| instance.get_typed_func::<i32, i32>(&mut store, name));
    let [memory, table] = by_guest;
    let (memory, table) = (memory?, table?);
    assert_eq!((memory.call(&mut store, 1)?, table.call(&mut store, 1)?), (1, 1));
    assert!(store.data().failures.is_empty());
    assert_eq!((memory.call(&mut store, -1)?, table.call(&mut store, -1)?), (-1, -1));
    let told = ["memory: the memory would pass its maximum", "table: the table would pass its maximum"];
    assert_eq!(store.data_mut().failures.split_off(0), told);
    // The same for the host, and for sizes that cannot be expressed.
    let host_memory = instance.get_memory(&mut store, "memory").unwrap();
    let host_table = instance.get_table(&mut store, "table").unwrap();
    assert!(host_memory.grow(&mut store, u64::MAX).is_err());
    assert!(host_table.grow(&mut store, u64::MAX, Ref::Func(None)).is_err());
    assert_eq!(store.data_mut().failures.split_off(0), told);
    // An error stops the guest.
    store.data_mut().strict = true;
    assert_eq!(memory.call(&mut store, 99).unwrap_err().to_string(), "the memory would pass its maximum");
    assert_eq!(table.call(&mut store, 999).unwrap_err().to_string(), "the table would pass its maximum");
    Ok(())
}

fn growth_that_fails_below_the_limits_stops_the_guest_if_asked(mode: Mode) -> Result<()> {
    let mut store = limited(mode, StoreLimitsBuilder::new().trap_on_grow_failure(true).build());
    let module = Module::new(store.engine(), GROWING)?;
    let instance = Instance::new(&mut store, &module, &[])?;
    for (name, what) in [("memory.grow", "memory"), ("table.grow", "table")] {
        let grow = instance.get_typed_func::<i32, i32>(&mut store, name)?;
        let error = grow.call(&mut store, 1000).unwrap_err();
        let expected =
            format!("forcing a {what} growth failure to be a trap: the {what} would pass its maximum");
        assert_eq!(format!("{error:#}"), expected);
    }
    Ok(())
}

fn with_fuel(mode: Mode) -> Result<(Store<()>, Instance)> {
    let engine = Engine::new(mode.config().consume_fuel(true))?;
    let mut store = Store::new(&engine, ());
    let module = Module::new(
        &engine,
        r#"(func (export "count") (param i32)
             (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
           (func (export "spin") (loop $l (br $l)))"#,
    )?;
    let instance = Instance::new(&mut store, &module, &[])?;
    Ok((store, instance))
}

fn fuel_is_used_in_proportion_and_ends_guests(mode: Mode) -> Result<()> {
    let (mut store, instance) = with_fuel(mode)?;
    let count = instance.get_typed_func::<i32, ()>(&mut store, "count")?;
    let spin = instance.get_typed_func::<(), ()>(&mut store, "spin")?;
    assert_eq!(store.get_fuel()?, 0);
    assert_eq!(count.call(&mut store, 1).unwrap_err().downcast_ref(), Some(&Trap::OutOfFuel));
    let mut used = |n: i32| -> Result<u64> {
        store.set_fuel(1_000_000)?;
        count.call(&mut store, n)?;
        Ok(1_000_000 - store.get_fuel()?)
    };
    let (ten, twenty, thirty) = (used(10)?, used(20)?, used(30)?);
    assert!(ten > 0);
    assert_eq!(thirty - twenty, twenty - ten);
    assert_eq!(used(10)?, ten);
    // Exactly enough is enough.
    store.set_fuel(ten)?;
    count.call(&mut store, 10)?;
    assert_eq!(store.get_fuel()?, 0);
    store.set_fuel(ten - 1)?;
    assert_eq!(count.call(&mut store, 10).unwrap_err().downcast_ref(), Some(&Trap::OutOfFuel));
    store.set_fuel(10_000)?;
    assert_eq!(spin.call(&mut store, ()).unwrap_err().downcast_ref(), Some(&Trap::OutOfFuel));
    Ok(())
}

fn what_is_out_of_bounds_costs_no_fuel_for_what_it_would_have_changed(mode: Mode) -> Result<()> {
    let engine = Engine::new(mode.config().consume_fuel(true))?;
    let mut store = Store::new(&engine, ());
    let module = Module::new(
        &engine,
        r#"(memory (export "memory") 1) (table $t 1 10 funcref) (data $d "abc") (elem $e func 0)
           (func (export "memory.fill") (memory.fill (i32.const 1) (i32.const 0) (i32.const -1)))
           (func (export "memory.copy") (memory.copy (i32.const 1) (i32.const 0) (i32.const -1)))
           (func (export "memory.init") (memory.init $d (i32.const 1) (i32.const 0) (i32.const -1)))
           (func (export "table.fill") (table.fill $t (i32.const 1) (ref.null func) (i32.const -1)))
           (func (export "table.copy") (table.copy $t $t (i32.const 1) (i32.const 0) (i32.const -1)))
           (func (export "table.init") (table.init $t $e (i32.const 1) (i32.const 0) (i32.const -1)))
           (func (export "table.grow") (result i32) (table.grow $t (ref.null func) (i32.const -1)))
           (func (export "fill") (memory.fill (i32.const 0) (i32.const 0) (i32.const 65536)))"#,
    )?;
    let instance = Instance::new(&mut store, &module, &[])?;
    for kind in ["memory", "table"] {
        for name in ["fill", "copy", "init"] {
            store.set_fuel(1000)?;
            let run = instance.get_typed_func::<(), ()>(&mut store, &format!("{kind}.{name}"))?;
            let trap = if kind == "memory" { Trap::MemoryOutOfBounds } else { Trap::TableOutOfBounds };
            assert_eq!(run.call(&mut store, ()).unwrap_err().downcast_ref(), Some(&trap), "{kind}.{name}");
            assert!(store.get_fuel()? > 990, "{kind}.{name}");
        }
    }
    let grow = instance.get_typed_func::<(), i32>(&mut store, "table.grow")?;
    assert_eq!(grow.call(&mut store, ())?, -1);
    // What is inside costs as much as it is, before any of it is changed.
    store.set_fuel(1000)?;
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    memory.write(&mut store, 0, &[7])?;
    let fill = instance.get_typed_func::<(), ()>(&mut store, "fill")?;
    assert_eq!(fill.call(&mut store, ()).unwrap_err().downcast_ref(), Some(&Trap::OutOfFuel));
    assert_eq!(memory.data(&store)[0], 7);
    store.set_fuel(2000)?;
    fill.call(&mut store, ())?;
    assert!((900..980).contains(&store.get_fuel()?), "{}", store.get_fuel()?);
    Ok(())
}

fn as_much_fuel_as_can_be_written_down_is_kept(mode: Mode) -> Result<()> {
    let (mut store, instance) = with_fuel(mode)?;
    store.set_fuel(u64::MAX)?;
    assert_eq!(store.get_fuel()?, u64::MAX);
    instance.get_typed_func::<i32, ()>(&mut store, "count")?.call(&mut store, 10)?;
    let left = store.get_fuel()?;
    assert!(left < u64::MAX && left > u64::MAX - 1000);
    Ok(())
}

#[test]
fn fuel_is_an_error_where_it_is_not_configured() {
    let mut store = Store::<()>::default();
    assert!(store.set_fuel(1).is_err());
    assert!(store.get_fuel().is_err());
}

fn a_smaller_stack_holds_fewer_calls(mode: Mode) -> Result<()> {
    let depth = |bytes: usize| -> Result<i32> {
        let engine = Engine::new(mode.config().max_wasm_stack(bytes))?;
        let mut store = Store::new(&engine, ());
        let module = Module::new(
            &engine,
            r#"(global $depth (export "depth") (mut i32) (i32.const 0))
               (func $f (export "f") (global.set $depth (i32.add (global.get $depth) (i32.const 1))) (call $f))"#,
        )?;
        let instance = Instance::new(&mut store, &module, &[])?;
        let error = instance.get_typed_func::<(), ()>(&mut store, "f")?.call(&mut store, ()).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Trap::StackOverflow));
        Ok(instance.get_global(&mut store, "depth").unwrap().get(&mut store).unwrap_i32())
    };
    let (small, large) = (depth(64 << 10)?, depth(1 << 20)?);
    assert!(small > 100 && large > 8 * small, "{small} {large}");
    Ok(())
}

#[test]
fn features_that_are_off_are_refused_by_name() -> Result<()> {
    let engine = Engine::new(Config::new().wasm_multi_memory(false).wasm_tail_call(false))?;
    let error = Module::new(&engine, "(memory 1) (memory 1)").unwrap_err();
    assert!(error.to_string().contains("`multi-memory`, which is switched off"), "{error}");
    let error = Module::new(&engine, "(func $f (return_call $f))").unwrap_err();
    assert!(error.to_string().contains("`tail-call`, which is switched off"), "{error}");
    let error = Engine::new(Config::new().wasm_feature("stack-switching", true)?).unwrap_err();
    assert!(error.to_string().contains("`stack-switching`"), "{error}");
    Ok(())
}

#[test]
fn bad_bytes_are_errors() {
    let engine = Engine::default();
    for bytes in [&b""[..], b"\0asm", b"\0asm\x02\0\0\0", b"\0asm\x01\0\0\0\x01", b"(module", b"\xff\xff"] {
        assert!(Module::new(&engine, bytes).is_err(), "{bytes:?}");
        assert!(Module::validate(&engine, bytes).is_err(), "{bytes:?}");
    }
    assert!(Module::from_file(&engine, "/no/such/file.wasm").is_err());
}

/// How many calls of two functions that call each other in turn fill the stack.
fn calls_in_turn(engine: &Engine) -> Result<i32> {
    let mut store = Store::new(engine, ());
    let module = Module::new(
        engine,
        r#"(global $depth (export "depth") (mut i32) (i32.const 0))
           (func $f (export "f") (global.set $depth (i32.add (global.get $depth) (i32.const 1))) (call $g))
           (func $g (global.set $depth (i32.add (global.get $depth) (i32.const 1))) (call $f))"#,
    )?;
    let instance = Instance::new(&mut store, &module, &[])?;
    let error = instance.get_typed_func::<(), ()>(&mut store, "f")?.call(&mut store, ()).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::StackOverflow));
    Ok(instance.get_global(&mut store, "depth").unwrap().get(&mut store).unwrap_i32())
}

fn a_smaller_stack_holds_fewer_calls_between_functions(mode: Mode) -> Result<()> {
    let depth = |bytes: usize| calls_in_turn(&Engine::new(mode.config().max_wasm_stack(bytes))?);
    let (small, large) = (depth(256 << 10)?, depth(1 << 20)?);
    println!("{mode:?}: {small} calls in 256 KiB, {large} in 1 MiB");
    assert!(small > 100 && large > 2 * small, "{small} {large}");
    Ok(())
}

fn ten_thousand_calls_fit_the_default(mode: Mode) {
    let test = move || -> Result<()> {
        let engine = mode.engine();
        println!("{mode:?}: {} calls in turn", calls_in_turn(&engine)?);
        let mut store = Store::new(&engine, ());
        let level = |name: &str, next: &str| {
            format!(
                r#"(func ${name} (export "{name}") (param i32) (result i32)
                     (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
                       (else (i32.add (i32.const 1) (call ${next} (i32.sub (local.get 0) (i32.const 1)))))))"#
            )
        };
        let module =
            Module::new(&engine, level("f", "f") + &level("h", "h") + &level("a", "b") + &level("b", "a"))?;
        let instance = Instance::new(&mut store, &module, &[])?;
        for name in ["f", "h", "a", "b"] {
            let f = instance.get_typed_func::<i32, i32>(&mut store, name)?;
            // Calls between the tiers have a frame in each.
            let between_tiers = matches!(mode, Mode::Mixed | Mode::MixedOtherwise) && name < "c";
            let calls = if between_tiers || mode == Mode::Chaos { 5_000 } else { 10_000 };
            assert_eq!(f.call(&mut store, calls)?, calls, "{name}");
        }
        Ok(())
    };
    // With the stack of a main thread.
    let thread = std::thread::Builder::new().stack_size(8 << 20).spawn(test);
    thread.unwrap().join().unwrap().unwrap();
}
