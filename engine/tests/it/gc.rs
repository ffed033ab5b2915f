//! References are found wherever they are when a collection moves what they lead to, and what nothing leads to goes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmrun::{
    Caller, Engine, ExternRef, Func, Global, GlobalType, Instance, Linker, Module, Mutability, OwnedRooted,
    Ref, RefType, ResourceLimiter, Result, RootScope, Rooted, Store, StoreLimits, StoreLimitsBuilder, Table,
    TableType, Trap, TypedFunc, UpdateDeadline, Val, ValType,
};

use crate::common::{Mode, in_every_mode};

type Value = Option<Rooted<ExternRef>>;

in_every_mode! {
    values_that_the_guest_lets_go_of_are_dropped_while_it_runs
    references_in_locals_and_operands_survive_collections
    references_that_loops_and_branches_carry_survive_collections
    references_are_found_below_calls_between_tiers_and_host
    tail_calls_take_references_along
    many_references_are_passed_and_returned
    globals_tables_and_segments_keep_what_they_refer_to
    instances_that_linger_keep_what_they_refer_to
    results_of_host_functions_are_references_of_the_caller
    a_heap_that_is_full_of_what_lives_traps
    a_panic_of_a_destructor_is_one_of_the_host_function
    references_that_a_host_function_gets_end_with_its_call
}

/// An engine that collects at every allocation.
fn stressed(mode: Mode) -> Engine {
    let mut config = mode.config();
    Engine::new(config.gc_stress(true)).unwrap()
}

const IMPORTS: &str = r#"
    (import "" "make" (func $make (param i32) (result externref)))
    (import "" "number" (func $number (param externref) (result i32)))
    (import "" "collect" (func $collect))
    (import "" "back" (func $back (param i32 externref) (result i32)))
"#;

/// The number in a value that `make` has made; -1 for null.
fn number(caller: Caller<'_, ()>, value: Value) -> Result<i32> {
    let Some(value) = value else { return Ok(-1) };
    Ok(*value.data(&caller)?.unwrap().downcast_ref::<i32>().expect("a number"))
}

/// An instance of a module that imports [`IMPORTS`]. `back` calls its export of that name.
fn instance(store: &mut Store<()>, module: &Module) -> Result<Instance> {
    let mut linker = Linker::new(store.engine());
    linker.func_wrap("", "make", |mut caller: Caller<'_, ()>, number: i32| -> Result<Value> {
        // What is made first moves when the second is made.
        let value = ExternRef::new(&mut caller, number)?;
        ExternRef::new(&mut caller, -number)?;
        Ok(Some(value))
    })?;
    linker.func_wrap("", "number", number)?;
    linker.func_wrap("", "collect", |mut caller: Caller<'_, ()>| caller.gc())?;
    linker.func_wrap("", "back", |mut caller: Caller<'_, ()>, n: i32, value: Value| -> Result<i32> {
        let back = caller.get_export("back").unwrap().into_func().unwrap();
        let back = back.typed::<(i32, Value), i32>(&caller)?;
        let result = back.call(&mut caller, (n, value))?;
        let after = number(caller, value)?;
        Ok(result + after)
    })?;
    linker.instantiate(store, module)
}

/// Calls an export of a new instance, twice: in tiered engines the second call is another one.
/// Where all is compiled when the module is made, the same with code as it is on disk.
fn run(mode: Mode, text: &str, name: &str, argument: i32, expected: i32) -> Result<()> {
    let engine = stressed(mode);
    let mut modules = vec![Module::new(&engine, format!("{IMPORTS}{text}"))?];
    if mode == Mode::Jit {
        let bytes = modules[0].serialize()?;
        // SAFETY: the bytes have just been made.
        #[allow(unsafe_code)]
        modules.push(unsafe { Module::deserialize(&engine, bytes) }?);
    }
    for module in modules {
        let mut store = Store::new(&engine, ());
        let instance = instance(&mut store, &module)?;
        let func = instance.get_typed_func::<i32, i32>(&mut store, name)?;
        for _ in 0..2 {
            assert_eq!(func.call(&mut store, argument)?, expected);
        }
    }
    Ok(())
}

/// A value of the host that is counted while it is there.
struct Counted(u64, Arc<AtomicUsize>);

impl Counted {
    fn new(number: u64, count: &Arc<AtomicUsize>) -> Counted {
        count.fetch_add(1, Ordering::Relaxed);
        Counted(number, count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::Relaxed);
    }
}

fn values_that_the_guest_lets_go_of_are_dropped_while_it_runs(mode: Mode) -> Result<()> {
    let made = if cfg!(debug_assertions) { 200_000 } else { 20_000_000_u64 };
    let mut store = Store::new(&mode.engine(), ());
    let module = Module::new(
        store.engine(),
        r#"(import "" "make" (func $make (param i64) (result externref)))
           (import "" "number" (func $number (param externref) (result i64)))
           (table $kept 64 externref)
           (func (export "run") (param $n i64) (result i64) (local $i i64) (local $last externref)
             (loop $more
               (local.set $last (call $make (local.get $i)))
               (if (i64.eqz (i64.rem_u (local.get $i) (i64.const 1001)))
                 (then (table.set $kept (i32.wrap_i64 (i64.rem_u (local.get $i) (i64.const 64)))
                   (local.get $last))))
               (local.set $i (i64.add (local.get $i) (i64.const 1)))
               (br_if $more (i64.lt_u (local.get $i) (local.get $n))))
             (i64.add (call $number (local.get $last)) (call $number (table.get $kept (i32.const 1)))))"#,
    )?;
    let (count, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut linker = Linker::new(store.engine());
    let (counting, peak) = (count.clone(), most.clone());
    linker.func_wrap("", "make", move |caller: Caller<'_, ()>, number: u64| -> Result<Value> {
        let value = Counted::new(number, &counting);
        peak.fetch_max(counting.load(Ordering::Relaxed), Ordering::Relaxed);
        Ok(Some(ExternRef::new(caller, value)?))
    })?;
    linker.func_wrap("", "number", |caller: Caller<'_, ()>, value: Value| -> Result<u64> {
        Ok(value.unwrap().data(&caller)?.unwrap().downcast_ref::<Counted>().unwrap().0)
    })?;
    let instance = linker.instantiate(&mut store, &module)?;
    let run = instance.get_typed_func::<u64, u64>(&mut store, "run")?;
    let kept = (0..made).rev().find(|i| i % 1001 == 0 && i % 64 == 1).unwrap();
    assert_eq!(run.call(&mut store, made)?, made - 1 + kept);
    let stats = store.gc_stats().unwrap();
    assert!(stats.collections() > made / 100_000, "{stats:?}");
    assert!(stats.peak <= 5 << 20, "{stats:?}");
    assert!(most.load(Ordering::Relaxed) < 60_000, "{most:?} at a time");
    store.gc();
    assert_eq!(count.load(Ordering::Relaxed), 64, "what the table has");
    drop(store);
    assert_eq!(count.load(Ordering::Relaxed), 0);
    Ok(())
}

fn references_in_locals_and_operands_survive_collections(mode: Mode) -> Result<()> {
    let text = r#"
        (func $weigh (param externref externref externref) (result i32)
          (i32.add (i32.mul (call $number (local.get 0)) (i32.const 100))
            (i32.add (i32.mul (call $number (local.get 1)) (i32.const 10)) (call $number (local.get 2)))))
        (func (export "run") (param $n i32) (result i32)
          (local $a externref) (local $b externref) (local $null externref)
          (local.set $a (call $make (i32.const 1)))
          (local.set $b (call $make (i32.const 2)))
          ;; Operands below a call, one of them a local that is assigned meanwhile.
          (call $weigh
            (local.get $a)
            (local.tee $a (call $make (i32.const 3)))
            (select (result externref) (local.get $b) (call $make (i32.const 9)) (local.get $n)))
          (call $collect)
          (i32.mul (i32.const 1000) (call $number (local.get $a)))
          (i32.add)
          (drop (call $make (i32.const 8)))
          (i32.mul (i32.const 10000) (call $number (local.get $b)))
          (i32.add)
          (i32.mul (i32.const 100000) (call $number (local.get $null)))
          (i32.add))"#;
    run(mode, text, "run", 1, 132 + 3_000 + 20_000 - 100_000)
}

fn references_that_loops_and_branches_carry_survive_collections(mode: Mode) -> Result<()> {
    let text = r#"
        (func (export "run") (param $n i32) (result i32) (local $sum i32) (local $r externref) (local $s externref)
          ;; Below everything.
          (call $make (i32.const 1000000))
          (call $make (i32.const 5))
          (call $make (i32.const 6))
          (loop $more (param externref externref) (result externref externref)
            (local.set $s)
            (local.set $r)
            (local.set $sum (i32.add (local.get $sum) (call $number (local.get $r))))
            ;; They change places, and one is new in every third turn.
            (local.get $s)
            (block $chosen (result externref)
              (block $new
                (block $old
                  (br_table $new $old $old (i32.rem_u (local.get $n) (i32.const 3))))
                (call $collect)
                (br $chosen (local.get $r)))
              (call $make (local.get $n)))
            (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
          (local.set $s)
          (local.set $r)
          (i32.add (call $number (local.get $r)) (call $number (local.get $s)))
          (i32.add (local.get $sum))
          (local.set $sum)
          (i32.add (call $number) (local.get $sum)))"#;
    let expected = |n: i32| {
        let (mut r, mut s, mut sum) = (5, 6, 1_000_000);
        for n in (1..=n).rev() {
            sum += r;
            (r, s) = (s, if n % 3 == 0 { n } else { r });
        }
        sum + r + s
    };
    run(mode, text, "run", 50, expected(50))
}

fn references_are_found_below_calls_between_tiers_and_host(mode: Mode) -> Result<()> {
    // Each call has the number of its turn, that of its caller before and after it, and the same again by `back`.
    let text = r#"
        (func $even (export "run") (param $n i32) (result i32)
          (call $odd (local.get $n) (call $make (local.get $n))))
        (func $odd (export "back") (param $n i32) (param $caller externref) (result i32) (local $own externref)
          (local.set $own (call $make (local.get $n)))
          (if (result i32) (i32.eqz (local.get $n))
            (then (call $collect) (call $number (local.get $caller)))
            (else
              (i32.add
                (if (result i32) (i32.eqz (i32.rem_u (local.get $n) (i32.const 3)))
                  (then (call $back (i32.sub (local.get $n) (i32.const 1)) (local.get $own)))
                  (else (call $third (i32.sub (local.get $n) (i32.const 1)) (local.get $own))))
                (i32.sub (call $number (local.get $own)) (call $number (local.get $caller)))))))
        (func $third (param i32 externref) (result i32)
          (call $odd (local.get 0) (local.get 1)))
        (func $unused) (table funcref (elem $third))"#;
    // Only one more than its caller's number is left of each, but in the turns that go by `back`.
    fn odd(n: i32, caller: i32) -> i32 {
        if n == 0 {
            return caller;
        }
        let below = odd(n - 1, n);
        let below = if n % 3 == 0 { below + n } else { below };
        below + n - caller
    }
    run(mode, text, "run", 40, odd(40, 40))
}

fn tail_calls_take_references_along(mode: Mode) -> Result<()> {
    let text = r#"
        (type $t (func (param i32 externref i32 externref externref externref externref externref externref) (result i32)))
        (table funcref (elem $ping $pong))
        (func (export "run") (param $n i32) (result i32)
          (call $ping (local.get $n) (call $make (i32.const 1)) (i32.const 0)
            (call $make (i32.const 2)) (call $make (i32.const 3)) (call $make (i32.const 4))
            (call $make (i32.const 5)) (call $make (i32.const 6)) (call $make (i32.const 7))))
        (func $ping (type $t)
          (if (i32.eqz (local.get 0)) (then (return (call $number (local.get 1)))))
          (call $collect)
          (return_call_indirect (type $t)
            (i32.sub (local.get 0) (i32.const 1)) (local.get 3) (local.get 2) (local.get 4) (local.get 5)
            (local.get 6) (local.get 7) (local.get 8) (local.get 1)
            (i32.const 1)))
        (func $pong (type $t) (local $new externref)
          (if (i32.eqz (local.get 0)) (then (return (call $number (local.get 1)))))
          (local.set $new (call $make (i32.add (call $number (local.get 1)) (i32.const 10))))
          (return_call $ping
            (i32.sub (local.get 0) (i32.const 1)) (local.get 3) (local.get 2) (local.get 4) (local.get 5)
            (local.get 6) (local.get 7) (local.get 8) (local.get $new)))"#;
    let expected = |n: usize| {
        let mut values = [1, 2, 3, 4, 5, 6, 7];
        for turn in 0..n {
            if turn % 2 == 1 {
                values[0] += 10;
            }
            values.rotate_left(1);
        }
        values[0]
    };
    run(mode, text, "run", 301, expected(301))
}

fn many_references_are_passed_and_returned(mode: Mode) -> Result<()> {
    let many = |what: &str| [what; 12].join(" ");
    let externs = many("externref");
    let gets: String = (0..12).map(|i| format!("(local.get {i})")).collect();
    let makes: String = (1..13).map(|i| format!("(call $make (i32.const {i}))")).collect();
    let sum: String = (0..12)
        .map(|i| format!("(i32.add (i32.mul (i32.const {}) (call $number (local.get {i}))))", i + 1))
        .collect();
    let text = format!(
        r#"(func $same (param {externs}) (result {externs})
             (call $collect) {gets} (call $collect))
           (func $swap (param {externs}) (result {externs})
             (drop (call $make (i32.const 99)))
             (call $same {gets}))
           (func $sum (param {externs}) (result i32) (i32.const 0) {sum})
           (func (export "run") (param i32) (result i32)
             (call $sum (call $swap (call $same {makes}))))"#
    );
    run(mode, &text, "run", 0, (1..13).map(|i| i * i).sum())
}

fn globals_tables_and_segments_keep_what_they_refer_to(mode: Mode) -> Result<()> {
    let mut store = Store::new(&stressed(mode), ());
    let value =
        |store: &mut Store<()>, number: i32| -> Result<Val> { Ok(Val::from(ExternRef::new(store, number)?)) };
    let mut scope = RootScope::new(&mut store);
    let constant = ExternRef::new(&mut scope, 1)?;
    let constant =
        Global::new(&mut scope, GlobalType::new(ValType::EXTERNREF, Mutability::Const), constant.into())?;
    let init = ExternRef::new(&mut scope, 2)?;
    let table = Table::new(&mut scope, TableType::new(RefType::EXTERNREF, 3, None), init.into())?;
    drop(scope);
    let mut linker = Linker::new(store.engine());
    linker.define(&store, "", "constant", constant)?.define(&store, "", "table", table)?;
    linker.func_wrap("", "number", number)?;
    linker.func_wrap("", "collect", |mut caller: Caller<'_, ()>| caller.gc())?;
    let module = Module::new(
        store.engine(),
        r#"(import "" "constant" (global $constant externref))
           (import "" "table" (table $table 3 externref))
           (import "" "number" (func $number (param externref) (result i32)))
           (import "" "collect" (func $collect))
           (global $own (mut externref) (global.get $constant))
           (global $fixed externref (global.get $constant))
           (elem $segment externref (global.get $constant) (ref.null extern))
           (func (export "set") (param externref) (global.set $own (local.get 0)))
           (func (export "run") (param i32) (result i32)
             ;; What is read before a collection is not what is read after it.
             (i32.mul (i32.const 1) (call $number (global.get $constant)))
             (call $collect)
             (i32.add (i32.mul (i32.const 10) (call $number (global.get $constant))))
             (call $collect)
             (i32.add (i32.mul (i32.const 100) (call $number (global.get $fixed))))
             (call $collect)
             (i32.add (i32.mul (i32.const 1000) (call $number (global.get $fixed))))
             (call $collect)
             (i32.add (i32.mul (i32.const 10000) (call $number (global.get $own))))
             (call $collect)
             (i32.add (i32.mul (i32.const 100000) (call $number (global.get $own))))
             (table.init $table $segment (i32.const 1) (i32.const 0) (i32.const 2))
             (call $collect)
             (i32.add (i32.mul (i32.const 1000000) (call $number (table.get $table (i32.const 0)))))
             (i32.add (i32.mul (i32.const 10000000) (call $number (table.get $table (i32.const 1)))))
             (i32.add (i32.mul (i32.const 100000000) (call $number (table.get $table (i32.const 2))))))"#,
    )?;
    let instance = linker.instantiate(&mut store, &module)?;
    let run = instance.get_typed_func::<i32, i32>(&mut store, "run")?;
    let set = instance.get_func(&mut store, "set").unwrap();
    for own in [1, 3, 4] {
        if own > 1 {
            let mut scope = RootScope::new(&mut store);
            let own = ExternRef::new(&mut scope, own)?;
            set.call(&mut scope, &[own.into()], &mut [])?;
        }
        assert_eq!(run.call(&mut store, 0)?, 1111 + own * 110_000 + 12_000_000 - 100_000_000);
    }
    // As the host sees them.
    let five = value(&mut store, 5)?;
    let Val::ExternRef(five) = five else { panic!("an externref") };
    table.fill(&mut store, 0, Ref::Extern(five), 2)?;
    table.grow(&mut store, 2, Ref::Extern(five))?;
    store.gc();
    for (index, expected) in [(0, Some(5)), (1, Some(5)), (2, None), (4, Some(5))] {
        let Some(Ref::Extern(value)) = table.get(&mut store, index) else { panic!("an externref") };
        let got = value.map(|value| *value.data(&store).unwrap().unwrap().downcast_ref::<i32>().unwrap());
        assert_eq!(got, expected);
    }
    let got = *constant.get(&mut store).unwrap_extern_ref().unwrap();
    assert_eq!(got.data(&store)?.unwrap().downcast_ref(), Some(&1));
    Ok(())
}

fn instances_that_linger_keep_what_they_refer_to(mode: Mode) -> Result<()> {
    let mut store = Store::new(&stressed(mode), ());
    let text = r#"(global $own (mut externref) (ref.null extern))
        (func (export "set") (param i32) (result i32)
          (global.set $own (call $make (local.get 0))) (i32.const 0))
        (func (export "get") (result i32) (call $number (global.get $own)))"#;
    let module = Module::new(store.engine(), format!("{IMPORTS}{text}"))?;
    let first = instance(&mut store, &module)?;
    let set = first.get_typed_func::<i32, i32>(&mut store, "set")?;
    set.call(&mut store, 12)?;
    let get = first.get_func(&mut store, "get").unwrap();
    let table = Table::new(&mut store, TableType::new(RefType::FUNCREF, 1, None), get.into())?;
    assert!(store.drop_instance(first));
    store.gc();
    let Some(Ref::Func(Some(get))) = table.get(&mut store, 0) else { panic!("a function") };
    let get: TypedFunc<(), i32> = get.typed(&store)?;
    assert_eq!(get.call(&mut store, ())?, 12);
    Ok(())
}

fn results_of_host_functions_are_references_of_the_caller(mode: Mode) -> Result<()> {
    let mut store = Store::new(&stressed(mode), ());
    let text = r#"(func (export "make") (param i32) (result externref) (call $make (local.get 0)))
        (func (export "same") (param externref) (result externref) (call $collect) (local.get 0))"#;
    let module = Module::new(store.engine(), format!("{IMPORTS}{text}"))?;
    let instance = instance(&mut store, &module)?;
    let make = instance.get_typed_func::<i32, Value>(&mut store, "make")?;
    let same = instance.get_typed_func::<Value, Value>(&mut store, "same")?;
    let values: Vec<_> = (0..20).map(|i| make.call(&mut store, i).unwrap()).collect();
    let again: Vec<_> = values.iter().map(|value| same.call(&mut store, *value).unwrap().unwrap()).collect();
    for (i, (value, again)) in values.iter().zip(&again).enumerate() {
        let value = value.unwrap();
        assert!(Rooted::ref_eq(&store, &value, again)?);
        assert_ne!(value, *again, "handles are not the same");
        assert_eq!(value.data(&store)?.unwrap().downcast_ref(), Some(&(i as i32)));
    }
    assert!(!Rooted::ref_eq(&store, &again[0], &again[1])?);
    Ok(())
}

fn a_heap_that_is_full_of_what_lives_traps(mode: Mode) -> Result<()> {
    let limits = StoreLimitsBuilder::new().gc_heap_size(1 << 20).build();
    let mut store: Store<StoreLimits> = Store::new(&mode.engine(), limits);
    store.limiter(|limits| limits);
    let module = Module::new(
        store.engine(),
        r#"(import "" "make" (func $make (result externref)))
           (table $t 1 externref)
           (func (export "run") (param $keep i32) (param $n i32)
             (loop $more
               (drop (table.grow $t (call $make) (local.get $keep)))
               (br_if $more (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
             (drop (call $make))
             (table.set $t (i32.const 0) (call $make))
             (table.fill $t (i32.const 0) (ref.null extern) (table.size $t))) "#,
    )?;
    let make = Func::wrap(&mut store, |caller: Caller<'_, StoreLimits>| -> Result<Value> {
        Ok(Some(ExternRef::new(caller, [0_u8; 100])?))
    });
    let instance = Instance::new(&mut store, &module, &[make.into()])?;
    let run = instance.get_typed_func::<(i32, i32), ()>(&mut store, "run")?;
    run.call(&mut store, (0, 30_000))?;
    let error = run.call(&mut store, (1, 30_000)).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::GcHeapOutOfMemory), "{error:?}");
    assert!(store.gc_stats().unwrap().peak <= 1 << 20);
    // Nothing is broken: what lives is as it was.
    let error = ExternRef::new(&mut store, [0_u8; 100]).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::GcHeapOutOfMemory));
    *store.data_mut() = StoreLimits::default();
    run.call(&mut store, (0, 10))?;
    store.gc();
    assert!(ExternRef::new(&mut store, 1).is_ok());
    Ok(())
}

/// Panics when it is dropped.
struct Explosive;

impl Drop for Explosive {
    fn drop(&mut self) {
        panic!("boom");
    }
}

fn a_panic_of_a_destructor_is_one_of_the_host_function(mode: Mode) -> Result<()> {
    let mut store = Store::new(&stressed(mode), ());
    let count = Arc::new(AtomicUsize::new(0));
    let module = Module::new(
        store.engine(),
        r#"(import "" "make" (func $make (param i32) (result externref)))
           (func (export "run") (local i32)
             (loop $more
               (drop (call $make (i32.eq (local.get 0) (i32.const 5))))
               (br_if $more (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 10)))))"#,
    )?;
    let counting = count.clone();
    let make = Func::wrap(&mut store, move |mut caller: Caller<'_, ()>, explosive: i32| -> Result<Value> {
        let values = Counted::new(0, &counting);
        if explosive == 1 {
            ExternRef::new(&mut caller, Explosive)?;
        }
        Ok(Some(ExternRef::new(&mut caller, values)?))
    });
    let instance = Instance::new(&mut store, &module, &[make.into()])?;
    let run = instance.get_typed_func::<(), ()>(&mut store, "run")?;
    // The store is as good as before.
    for _ in 0..2 {
        let panic = catch_unwind(AssertUnwindSafe(|| run.call(&mut store, ()))).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"boom"));
        store.gc();
        assert_eq!(count.load(Ordering::Relaxed), 0);
    }
    Ok(())
}

#[test]
fn a_handle_whose_scope_has_ended_is_refused_everywhere() -> Result<()> {
    let mut store = Store::<()>::default();
    let outer = ExternRef::new(&mut store, 1)?;
    let (inner, owned) = {
        let mut scope = RootScope::new(&mut store);
        let inner = ExternRef::new(&mut scope, 2)?;
        let mut nested = RootScope::new(&mut scope);
        assert!(inner.data(&nested)?.is_some());
        let owned = inner.to_owned_rooted(&mut nested)?;
        (inner, owned)
    };
    // In its place.
    let later = ExternRef::new(&mut store, 3)?;
    assert_eq!(later.data(&store)?.unwrap().downcast_ref(), Some(&3));
    let error = inner.data(&store).unwrap_err();
    assert_eq!(error.to_string(), "the scope that this reference was rooted in has ended");
    let table = Table::new(&mut store, TableType::new(RefType::EXTERNREF, 1, None), Ref::Extern(None))?;
    assert!(table.set(&mut store, 0, inner.into()).is_err());
    let func = Func::wrap(&mut store, |_: Value| ());
    assert!(func.call(&mut store, &[inner.into()], &mut []).is_err());
    assert!(func.typed::<Value, ()>(&store)?.call(&mut store, Some(inner)).is_err());
    assert!(Rooted::ref_eq(&store, &inner, &outer).is_err());
    assert!(OwnedRooted::new(&mut store, &inner).is_err());
    store.gc();
    assert_eq!(owned.data(&store)?.unwrap().downcast_ref(), Some(&2));
    assert_eq!(outer.data(&store)?.unwrap().downcast_ref(), Some(&1));
    let again = owned.to_rooted(&mut store)?;
    assert!(Rooted::ref_eq(&store, &again, &owned)?);
    *again.data_mut(&mut store)?.unwrap().downcast_mut().unwrap() = 20;
    assert_eq!(owned.data(&store)?.unwrap().downcast_ref(), Some(&20));
    let mut other = Store::<()>::default();
    ExternRef::new(&mut other, 4)?;
    assert!(owned.data(&other).is_err());
    assert!(owned.to_rooted(&mut other).is_err());
    Ok(())
}

/// Also where it takes and gives none, so that compiled code calls it without a detour.
fn references_that_a_host_function_gets_end_with_its_call(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let module = Module::new(
        &engine,
        r#"(module (import "" "make" (func $make (param i32)))
          (func (export "run") (param i32)
            (loop $again (call $make (local.get 0))
              (br_if $again (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"#,
    )?;
    let limits = StoreLimitsBuilder::new().gc_heap_size(1 << 20).build();
    let mut store = Store::new(&engine, (limits, None::<Rooted<ExternRef>>));
    store.limiter(|(limits, _)| limits);
    let make =
        Func::wrap(&mut store, |mut caller: Caller<'_, (StoreLimits, Value)>, number: i32| -> Result<()> {
            let value = ExternRef::new(&mut caller, number)?;
            caller.data_mut().1 = Some(value);
            Ok(())
        });
    let instance = Instance::new(&mut store, &module, &[make.into()])?;
    let run = instance.get_typed_func::<i32, ()>(&mut store, "run")?;
    run.call(&mut store, 100_000)?;
    let kept = store.data().1.unwrap();
    assert!(kept.data(&store).is_err());
    Ok(())
}

#[test]
fn handles_of_a_host_function_end_with_its_call() -> Result<()> {
    let mut store = Store::new(&Engine::default(), None::<Rooted<ExternRef>>);
    let keep = Func::wrap(&mut store, |mut caller: Caller<'_, Value>, value: Value| {
        *caller.data_mut() = value;
    });
    let value = ExternRef::new(&mut store, 1)?;
    keep.call(&mut store, &[value.into()], &mut [])?;
    let kept = store.data().unwrap();
    assert!(kept.data(&store).is_err());
    assert!(value.data(&store)?.is_some());
    Ok(())
}

#[test]
fn values_live_as_long_as_something_leads_to_them() -> Result<()> {
    let count = Arc::new(AtomicUsize::new(0));
    let left = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    let mut store = Store::<()>::default();
    let kept = {
        let mut scope = RootScope::new(&mut store);
        for i in 0..10 {
            ExternRef::new(&mut scope, Counted::new(i, &count))?;
        }
        let kept = ExternRef::new(&mut scope, Counted::new(10, &count))?;
        assert_eq!(left(&count), 11);
        OwnedRooted::new(&mut scope, &kept)?
    };
    store.gc();
    assert_eq!(left(&count), 1);
    let clone = kept.clone();
    drop(kept);
    store.gc();
    assert_eq!(left(&count), 1);
    drop(clone);
    store.gc();
    assert_eq!(left(&count), 0);
    Ok(())
}

#[test]
fn a_callback_in_the_middle_of_guest_code_makes_no_objects_and_collects_nothing() -> Result<()> {
    let mut store = Store::new(&Engine::default(), Vec::<String>::new());
    let module = Module::new(
        store.engine(),
        r#"(func (export "run") (param externref) (result externref) (local.get 0))"#,
    )?;
    let instance = Instance::new(&mut store, &module, &[])?;
    let run = instance.get_typed_func::<Value, Value>(&mut store, "run")?;
    store.epoch_deadline_callback(|mut store| {
        store.gc();
        let error = ExternRef::new(&mut store, 1).unwrap_err().to_string();
        store.data_mut().push(error);
        Ok(UpdateDeadline::Continue(100))
    });
    store.set_epoch_deadline(1);
    let value = ExternRef::new(&mut store, 7)?;
    store.engine().increment_epoch();
    let got = run.call(&mut store, Some(value))?.unwrap();
    assert_eq!(got.data(&store)?.unwrap().downcast_ref(), Some(&7));
    assert_eq!(store.gc_stats().unwrap().collections(), 0);
    assert_eq!(store.data().len(), 1);
    assert!(store.data()[0].contains("callback"));
    Ok(())
}

#[test]
fn a_limiter_that_fails_or_panics_does_so_in_the_allocation() -> Result<()> {
    struct Bad(bool);
    impl ResourceLimiter for Bad {
        fn memory_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool> {
            Ok(true)
        }
        fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool> {
            Ok(true)
        }
        fn gc_heap_growing(&mut self, _: usize, _: usize) -> Result<bool> {
            assert!(!self.0, "a bad limiter");
            Err(wasmrun::Error::msg("not today"))
        }
    }
    let mut store = Store::new(&Engine::default(), Bad(false));
    store.limiter(|bad| bad);
    assert_eq!(ExternRef::new(&mut store, 1).unwrap_err().to_string(), "not today");
    store.data_mut().0 = true;
    let panic = catch_unwind(AssertUnwindSafe(|| ExternRef::new(&mut store, 1).map(|_| ()))).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"a bad limiter"));
    Ok(())
}
