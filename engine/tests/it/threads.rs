//! Memories that threads share, atomic instructions, and threads that wait for each other.

use std::fmt::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use wasmrun::{
    Engine, Extern, Instance, Linker, Memory, MemoryStrategy, MemoryType, Module, Result, SharedMemory,
    Store, StoreLimits, StoreLimitsBuilder, Trap, UpdateDeadline, WaitResult, WasmBacktrace,
};

use crate::common::{Mode, in_every_mode};

in_every_mode! {
    every_atomic_instruction_does_what_it_says
    an_address_that_is_not_aligned_traps_first_and_one_outside_where_it_stands
    nobody_waits_where_nobody_else_is
    threads_lose_no_count
    threads_hand_a_word_to_each_other
    what_one_thread_lets_grow_is_there_for_all
    a_limiter_is_asked_about_what_is_shared
    a_wait_ends_with_its_time_its_deadline_and_when_it_is_interrupted
    a_wait_goes_on_when_an_epoch_lets_it
    what_is_shared_is_imported_as_that_alone
    segments_and_bulk_operations_reach_what_is_shared
}

fn trap_of<T: std::fmt::Debug>(result: Result<T>) -> Trap {
    *result.unwrap_err().downcast_ref().unwrap()
}

const STRATEGIES: [MemoryStrategy; 2] = [MemoryStrategy::Guarded, MemoryStrategy::Checked];

fn engine(mode: Mode, strategy: MemoryStrategy) -> Engine {
    Engine::new(mode.config().memory_strategy(strategy)).unwrap()
}

/// All atomic accesses: type, what stands between type and operation, bytes.
fn accesses() -> Vec<(&'static str, &'static str, u32)> {
    vec![
        ("i32", "", 4),
        ("i32", "8", 1),
        ("i32", "16", 2),
        ("i64", "", 8),
        ("i64", "8", 1),
        ("i64", "16", 2),
        ("i64", "32", 4),
    ]
}

/// All operations: what they are called, and their operands besides the address.
const OPERATIONS: [(&str, usize); 9] = [
    ("load", 0),
    ("store", 1),
    ("add", 1),
    ("sub", 1),
    ("and", 1),
    ("or", 1),
    ("xor", 1),
    ("xchg", 1),
    ("cmpxchg", 2),
];

/// The name of an instruction.
fn instruction(ty: &str, width: &str, operation: &str) -> String {
    match (operation, width) {
        ("load", "") => format!("{ty}.atomic.load"),
        ("load", width) => format!("{ty}.atomic.load{width}_u"),
        ("store", width) => format!("{ty}.atomic.store{width}"),
        (operation, "") => format!("{ty}.atomic.rmw.{operation}"),
        (operation, width) => format!("{ty}.atomic.rmw{width}.{operation}_u"),
    }
}

/// What is in memory then, and the result, as far as `bytes` bytes hold it.
fn model(operation: &str, old: u64, a: u64, b: u64, bytes: u32) -> (u64, u64) {
    let mask = u64::MAX >> (64 - 8 * bytes);
    let (old, a, b) = (old & mask, a & mask, b & mask);
    let new = match operation {
        "load" => old,
        "store" | "xchg" => a,
        "add" => old.wrapping_add(a),
        "sub" => old.wrapping_sub(a),
        "and" => old & a,
        "or" => old | a,
        "xor" => old ^ a,
        _ => {
            if old == a {
                b
            } else {
                old
            }
        }
    };
    (new & mask, if operation == "store" { 0 } else { old })
}

fn every_atomic_instruction_does_what_it_says(mode: Mode) -> Result<()> {
    // The memory that is accessed is behind one of the other kind.
    for (memories, memory, address) in [
        ("(memory $m (export \"memory\") 1 1)", "", "i32"),
        ("(memory $m (export \"memory\") 1 1 shared)", "", "i32"),
        ("(memory 1) (memory $m (export \"memory\") i64 1 1)", "$m", "i64"),
        ("(memory i64 1) (memory $m (export \"memory\") i64 1 1 shared)", "$m", "i64"),
    ] {
        let mut wat = format!("(module {memories}");
        for (ty, width, _) in accesses() {
            for (operation, operands) in OPERATIONS {
                let name = instruction(ty, width, operation);
                let params = format!("(param i64) {}", "(param i64)".repeat(operands));
                let at = if address == "i32" { "(i32.wrap_i64 (local.get 0))" } else { "(local.get 0)" };
                let operand = |index| match ty {
                    "i32" => format!("(i32.wrap_i64 (local.get {index}))"),
                    _ => format!("(local.get {index})"),
                };
                let operands: String = (1..=operands).map(operand).collect();
                let call = format!("({name} {memory} offset=16 {at} {operands})");
                let call = match (operation, ty) {
                    ("store", _) => format!("{call} (i64.const 0)"),
                    (_, "i32") => format!("(i64.extend_i32_u {call})"),
                    _ => call,
                };
                write!(wat, "(func (export \"{name}\") {params} (result i64) {call})").unwrap();
            }
        }
        wat.push_str("(func (export \"fence\") atomic.fence))");
        for strategy in STRATEGIES {
            let engine = engine(mode, strategy);
            let mut store = Store::new(&engine, ());
            let instance = Instance::new(&mut store, &Module::new(&engine, &wat)?, &[])?;
            instance.get_typed_func::<(), ()>(&mut store, "fence")?.call(&mut store, ())?;
            let write =
                |store: &mut Store<()>, bytes: [u8; 8]| match instance.get_export(&mut *store, "memory") {
                    Some(Extern::Memory(memory)) => memory.write(store, 24, &bytes).unwrap(),
                    Some(Extern::SharedMemory(memory)) => memory.write(24, &bytes).unwrap(),
                    other => panic!("{other:?}"),
                };
            let read = |store: &mut Store<()>| {
                let mut bytes = [0; 8];
                match instance.get_export(&mut *store, "memory") {
                    Some(Extern::Memory(memory)) => memory.read(store, 24, &mut bytes).unwrap(),
                    Some(Extern::SharedMemory(memory)) => memory.read(24, &mut bytes).unwrap(),
                    other => panic!("{other:?}"),
                }
                u64::from_le_bytes(bytes)
            };
            let values = [0, 1, 0x8182_8384_8586_8788, 0xffff_ffff_ffff_ff88, u64::MAX];
            for (ty, width, bytes) in accesses() {
                for (operation, operands) in OPERATIONS {
                    let name = instruction(ty, width, operation);
                    for (i, old) in values.into_iter().enumerate() {
                        let (a, b) = (values[(i + 1) % 5], values[(i + 3) % 5]);
                        for a in [a, old] {
                            write(&mut store, old.to_le_bytes());
                            let result = match operands {
                                0 => instance
                                    .get_typed_func::<i64, i64>(&mut store, &name)?
                                    .call(&mut store, 8),
                                1 => instance
                                    .get_typed_func::<(i64, i64), i64>(&mut store, &name)?
                                    .call(&mut store, (8, a as i64)),
                                _ => instance
                                    .get_typed_func::<(i64, i64, i64), i64>(&mut store, &name)?
                                    .call(&mut store, (8, a as i64, b as i64)),
                            }?;
                            let (new, expected) = model(operation, old, a, b, bytes);
                            let kept = old & !(u64::MAX >> (64 - 8 * bytes));
                            assert_eq!(
                                (read(&mut store), result as u64),
                                (kept | new, expected),
                                "{name} {a:x}"
                            );
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

fn an_address_that_is_not_aligned_traps_first_and_one_outside_where_it_stands(mode: Mode) -> Result<()> {
    for memory in ["(memory 1 1)", "(memory 1 1 shared)"] {
        for strategy in STRATEGIES {
            let engine = engine(mode, strategy);
            let mut wat = format!("(module {memory}");
            for (ty, width, _) in accesses() {
                for (operation, operands) in OPERATIONS {
                    let name = instruction(ty, width, operation);
                    let operands = format!("({ty}.const 0)").repeat(operands);
                    let end = if operation == "store" { "" } else { "drop" };
                    let access = format!("({name} offset=4 (local.get 0) {operands}) {end}");
                    write!(wat, "(func (export \"{name}\") (param i32) nop {access})").unwrap();
                }
            }
            wat.push(')');
            let module = Module::new(&engine, &wat)?;
            let mut store = Store::new(&engine, ());
            let instance = Instance::new(&mut store, &module, &[])?;
            for (ty, width, bytes) in accesses() {
                for (operation, _) in OPERATIONS {
                    let name = instruction(ty, width, operation);
                    let access = instance.get_typed_func::<u32, ()>(&mut store, &name)?;
                    // The offset makes addresses of 8 bytes aligned that are not by themselves.
                    let last = 65536 - 4 - bytes;
                    access.call(&mut store, last)?;
                    access.call(&mut store, if bytes == 8 { 4 } else { 0 })?;
                    let mut places = Vec::new();
                    for (address, trap) in [
                        (last + bytes, Trap::MemoryOutOfBounds),
                        (u32::MAX - 3 - bytes % 8, Trap::MemoryOutOfBounds),
                        (1, Trap::UnalignedAtomic),
                        (65536 + 1, Trap::UnalignedAtomic),
                        (u32::MAX, Trap::UnalignedAtomic),
                    ] {
                        if bytes == 1 && trap == Trap::UnalignedAtomic {
                            continue;
                        }
                        let error = access.call(&mut store, address).unwrap_err();
                        assert_eq!(error.downcast_ref(), Some(&trap), "{name} {address}");
                        let backtrace = error.downcast_ref::<WasmBacktrace>().unwrap();
                        places.push(backtrace.frames()[0].module_offset());
                    }
                    places.dedup();
                    assert_eq!(places.len(), 1, "{name}");
                }
            }
        }
    }
    Ok(())
}

fn nobody_waits_where_nobody_else_is(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let module = Module::new(
        &engine,
        r#"(memory 1 1)
           (func (export "notify") (param i32) (result i32)
             (memory.atomic.notify offset=4 (local.get 0) (i32.const -1)))
           (func (export "wait32") (param i32) (result i32)
             (memory.atomic.wait32 offset=4 (local.get 0) (i32.const 0) (i64.const 0)))
           (func (export "wait64") (param i32) (result i32)
             (memory.atomic.wait64 offset=4 (local.get 0) (i64.const 0) (i64.const 0)))"#,
    )?;
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[])?;
    let mut call = |name: &str, address: u32| {
        instance.get_typed_func::<u32, u32>(&mut store, name)?.call(&mut store, address)
    };
    assert_eq!(call("notify", 65528)?, 0);
    assert_eq!(trap_of(call("notify", 65532)), Trap::MemoryOutOfBounds);
    assert_eq!(trap_of(call("notify", 65534)), Trap::UnalignedAtomic);
    for (wait, address) in [("wait32", 0), ("wait64", 4)] {
        assert_eq!(trap_of(call(wait, address)), Trap::ExpectedSharedMemory);
        assert_eq!(trap_of(call(wait, address + 1)), Trap::UnalignedAtomic);
        assert_eq!(trap_of(call(wait, address + 65536)), Trap::MemoryOutOfBounds);
    }
    Ok(())
}

/// Runs a function of so many threads, each in a store of its own, on one memory.
fn in_threads(
    engine: &Engine,
    wat: &str,
    memory: &SharedMemory,
    threads: u32,
    name: &str,
) -> Vec<Result<u32>> {
    let module = Module::new(engine, wat).unwrap();
    let run = |number: u32| {
        let mut store = Store::new(engine, ());
        let instance = Instance::new(&mut store, &module, &[memory.clone().into()])?;
        instance.get_typed_func::<u32, u32>(&mut store, name)?.call(&mut store, number)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|number| scope.spawn(move || run(number))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn word(memory: &SharedMemory, address: usize) -> u32 {
    let mut bytes = [0; 4];
    memory.read(address, &mut bytes).unwrap();
    u32::from_le_bytes(bytes)
}

const TURNS: u32 = 1000;

fn threads_lose_no_count(mode: Mode) {
    let wat = format!(
        r#"(import "env" "memory" (memory 1 1 shared))
           (func (export "run") (param i32) (result i32) (local $i i32) (local $old i32)
             (loop $turn
               (drop (i32.atomic.rmw.add (i32.const 8) (i32.const 1)))
               (drop (i32.atomic.rmw8.add_u (i32.const 13) (i32.const 1)))
               (drop (i64.atomic.rmw.sub (i32.const 32) (i64.const 1)))
               (local.set $old (i32.atomic.load (i32.const 16)))
               (block $done (loop $retry
                 (br_if $done (i32.eq (local.get $old) (local.tee $old
                   (i32.atomic.rmw.cmpxchg (i32.const 16) (local.get $old)
                     (i32.add (local.get $old) (i32.const 1))))))
                 (br $retry)))
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br_if $turn (i32.lt_u (local.get $i) (i32.const {TURNS}))))
             (i32.const 0))"#
    );
    for strategy in STRATEGIES {
        let engine = engine(mode, strategy);
        let memory = SharedMemory::new(&engine, MemoryType::shared(1, 1)).unwrap();
        for result in in_threads(&engine, &wat, &memory, 4, "run") {
            result.unwrap();
        }
        let all = 4 * TURNS;
        assert_eq!((word(&memory, 8), word(&memory, 12), word(&memory, 16)), (all, (all & 0xff) << 8, all));
        assert_eq!(word(&memory, 32), all.wrapping_neg());
    }
}

fn threads_hand_a_word_to_each_other(mode: Mode) {
    // Each thread waits until the word is its number, and makes it the other one's. The last word ends both.
    let wat = format!(
        r#"(import "env" "memory" (memory 1 1 shared))
           (func (export "run") (param $me i32) (result i32) (local $turns i32) (local $seen i32)
             (loop $turn
               (block $mine (loop $wait
                 (br_if $mine (i32.eq (local.tee $seen (i32.atomic.load (i32.const 64))) (local.get $me)))
                 (drop (memory.atomic.wait32 (i32.const 64) (local.get $seen) (i64.const -1)))
                 (br $wait)))
               (i32.atomic.store (i32.const 64) (i32.xor (local.get $me) (i32.const 1)))
               (drop (memory.atomic.notify (i32.const 64) (i32.const 1)))
               (local.set $turns (i32.add (local.get $turns) (i32.const 1)))
               (br_if $turn (i32.lt_u (local.get $turns) (i32.const {TURNS}))))
             (local.get $turns))"#
    );
    let engine = mode.engine();
    let memory = SharedMemory::new(&engine, MemoryType::shared(1, 1)).unwrap();
    for result in in_threads(&engine, &wat, &memory, 2, "run") {
        assert_eq!(result.unwrap(), TURNS);
    }
    assert_eq!(memory.atomic_notify(64, u32::MAX).unwrap(), 0);
}

fn what_one_thread_lets_grow_is_there_for_all(mode: Mode) {
    // The first thread grows the memory page by page and says how many pages there are; the others write to the last
    // byte that they know of, in all the ways that there are, as soon as they know of it.
    let wat = r#"(import "env" "memory" (memory 1 40 shared))
        (func $grow (result i32) (local $n i32)
          (local.set $n (i32.const 1))
          (loop $turn
            (if (i32.ne (memory.grow (i32.const 1)) (local.get $n)) (then (unreachable)))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (i32.atomic.store (i32.const 0) (local.get $n))
            (br_if $turn (i32.lt_u (local.get $n) (i32.const 40))))
          (i32.const 40))
        (func (export "run") (param $me i32) (result i32) (local $n i32) (local $end i32)
          (if (i32.eqz (local.get $me)) (then (return (call $grow))))
          (loop $turn
            (local.set $n (i32.atomic.load (i32.const 0)))
            (if (local.get $n) (then
              (if (i32.lt_u (memory.size) (local.get $n)) (then (unreachable)))
              (local.set $end (i32.shl (local.get $n) (i32.const 16)))
              (i32.store8 (i32.sub (local.get $end) (i32.const 1)) (i32.const 7))
              (drop (i64.load (i32.sub (local.get $end) (i32.const 8))))
              (drop (v128.load (i32.sub (local.get $end) (i32.const 16))))
              (drop (i32.atomic.rmw.or (i32.sub (local.get $end) (i32.const 4)) (i32.const 1)))
              (memory.fill (i32.sub (local.get $end) (i32.const 32)) (i32.const 1) (i32.const 8))
              (memory.copy (i32.sub (local.get $end) (i32.const 40)) (i32.sub (local.get $end) (i32.const 32))
                (i32.const 8))))
            (br_if $turn (i32.lt_u (local.get $n) (i32.const 40))))
          (memory.size))"#;
    for strategy in STRATEGIES {
        let engine = engine(mode, strategy);
        let memory = SharedMemory::new(&engine, MemoryType::shared(1, 40)).unwrap();
        for result in in_threads(&engine, wat, &memory, 3, "run") {
            assert_eq!(result.unwrap(), 40);
        }
        assert_eq!((memory.size(), memory.data_size(), memory.data().len()), (40, 40 << 16, 40 << 16));
        assert!(memory.grow(1).unwrap_err().to_string().contains("maximum"));
    }
}

fn a_limiter_is_asked_about_what_is_shared(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let wat = r#"(import "env" "memory" (memory 1 10 shared))
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))"#;
    let module = Module::new(&engine, wat)?;
    let memory = SharedMemory::new(&engine, MemoryType::shared(1, 10))?;
    let limited = |pages: usize| -> Result<(Store<StoreLimits>, Instance)> {
        let limits = StoreLimitsBuilder::new().memory_size(pages << 16).build();
        let mut store = Store::new(&engine, limits);
        store.limiter(|limits| limits);
        let instance = Instance::new(&mut store, &module, &[memory.clone().into()])?;
        Ok((store, instance))
    };
    let (mut few, mut many) = (limited(3)?, limited(8)?);
    let grow = |(store, instance): &mut (Store<StoreLimits>, Instance), by: i32| {
        instance.get_typed_func::<i32, i32>(&mut *store, "grow")?.call(store, by)
    };
    assert_eq!((grow(&mut few, 2)?, grow(&mut few, 1)?, grow(&mut few, 0)?), (1, -1, 3));
    assert_eq!((grow(&mut many, 5)?, grow(&mut many, 1)?), (3, -1));
    assert_eq!((grow(&mut few, 0)?, memory.grow(2)?, memory.size()), (-1, 8, 10));
    // A memory of the module's own is no less limited for being shared.
    let own = Module::new(&engine, "(memory 4 4 shared)")?;
    assert!(Instance::new(&mut few.0, &own, &[]).is_err() && Instance::new(&mut many.0, &own, &[]).is_ok());
    Ok(())
}

const WAIT: &str = r#"(import "env" "memory" (memory 1 1 shared))
    (func (export "wait") (param i64) (result i32)
      (i32.atomic.store (i32.const 0) (i32.const 1))
      (memory.atomic.wait32 (i32.const 8) (i32.const 0) (local.get 0)))"#;

fn a_wait_ends_with_its_time_its_deadline_and_when_it_is_interrupted(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let memory = SharedMemory::new(&engine, MemoryType::shared(1, 1))?;
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &Module::new(&engine, WAIT)?, &[memory.clone().into()])?;
    let wait = instance.get_typed_func::<i64, u32>(&mut store, "wait")?;
    assert_eq!((wait.call(&mut store, 0)?, wait.call(&mut store, 1_000_000)?), (2, 2));
    memory.write(8, &[1])?;
    assert_eq!(wait.call(&mut store, -1)?, 1);
    memory.write(8, &[0])?;

    store.set_timeout(Some(Duration::from_millis(20)));
    for forever in [-1, i64::MIN, i64::MAX] {
        assert_eq!(trap_of(wait.call(&mut store, forever)), Trap::Deadline);
    }
    store.set_timeout(None);
    assert_eq!(memory.atomic_notify(8, 1)?, 0, "who was stopped waits no longer");

    for _ in 0..10 {
        memory.write(0, &[0])?;
        let handle = store.interrupt_handle();
        thread::scope(|scope| {
            scope.spawn(|| {
                while word(&memory, 0) == 0 {
                    thread::yield_now();
                }
                handle.interrupt();
            });
            assert_eq!(trap_of(wait.call(&mut store, -1)), Trap::Interrupt);
        });
    }
    assert_eq!(wait.call(&mut store, 0)?, 2);
    Ok(())
}

fn a_wait_goes_on_when_an_epoch_lets_it(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let memory = SharedMemory::new(&engine, MemoryType::shared(1, 1))?;
    static TICKS: AtomicU32 = AtomicU32::new(0);
    let mut store = Store::new(&engine, ());
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|_| {
        TICKS.fetch_add(1, Ordering::SeqCst);
        Ok(UpdateDeadline::Continue(1))
    });
    let instance = Instance::new(&mut store, &Module::new(&engine, WAIT)?, &[memory.clone().into()])?;
    let wait = instance.get_typed_func::<i64, u32>(&mut store, "wait")?;
    thread::scope(|scope| {
        scope.spawn(|| {
            let before = TICKS.load(Ordering::SeqCst);
            // It keeps its place in the queue, whenever the notification comes.
            while TICKS.load(Ordering::SeqCst) < before + 3 {
                engine.increment_epoch();
                thread::sleep(Duration::from_millis(1));
            }
            while memory.atomic_notify(8, 1).unwrap() == 0 {
                thread::yield_now();
            }
        });
        assert_eq!(wait.call(&mut store, -1).unwrap(), 0);
    });
    Ok(())
}

fn what_is_shared_is_imported_as_that_alone(mode: Mode) -> Result<()> {
    let engine = mode.engine();
    let mut store = Store::new(&engine, ());
    let shared = SharedMemory::new(&engine, MemoryType::shared(1, 2))?;
    let alone = Memory::new(&mut store, MemoryType::new(1, Some(2)))?;
    let import = |ty: &str| Module::new(&engine, format!(r#"(import "env" "memory" (memory {ty}))"#));
    let mut instantiate =
        |ty: &str, item: Extern| Instance::new(&mut store, &import(ty)?, &[item]).map(|_| ());
    instantiate("1 2 shared", shared.clone().into())?;
    instantiate("1 2", alone.into())?;
    let error = instantiate("1 2", shared.clone().into()).unwrap_err().to_string();
    assert!(error.contains("expected memory 1..2 pages, found shared memory 1..2 pages"), "{error}");
    instantiate("1 2 shared", alone.into()).unwrap_err();
    instantiate("1 1 shared", shared.clone().into()).unwrap_err();
    assert!(Memory::new(&mut store, MemoryType::shared(1, 1)).is_err());
    assert!(MemoryType::builder().shared(true).build().is_err(), "it needs a maximum");

    // An instance gives what it imports, and what it defines, also when it is gone.
    let wat = r#"(import "env" "memory" (memory 1 2 shared)) (memory (export "own") 1 1 shared)
        (export "memory" (memory 0)) (func (export "write") (i32.store 1 (i32.const 4) (i32.const 9)))"#;
    let mut linker = Linker::new(&engine);
    linker.define(&store, "env", "memory", shared.clone())?;
    let own = {
        let mut store = Store::new(&engine, ());
        let instance = linker.instantiate(&mut store, &Module::new(&engine, wat)?)?;
        instance.get_typed_func::<(), ()>(&mut store, "write")?.call(&mut store, ())?;
        assert!(instance.get_memory(&mut store, "own").is_none());
        let again = instance.get_export(&mut store, "memory").unwrap().into_shared_memory().unwrap();
        again.write(0, b"same")?;
        instance.get_export(&mut store, "own").unwrap().into_shared_memory().unwrap()
    };
    assert_eq!((word(&shared, 0), word(&own, 4)), (u32::from_le_bytes(*b"same"), 9));
    linker.instantiate(&mut store, &import("1 2 shared")?)?;
    Ok(())
}

fn segments_and_bulk_operations_reach_what_is_shared(mode: Mode) -> Result<()> {
    let wat = r#"(memory (export "memory") 1 2 shared) (data (i32.const 10) "segment") (data $passive "passive")
        (func (export "run")
          (memory.init $passive (i32.const 20) (i32.const 1) (i32.const 3))
          (memory.copy (i32.const 30) (i32.const 10) (i32.const 7))
          (memory.copy (i32.const 11) (i32.const 10) (i32.const 6))
          (memory.fill (i32.const 40) (i32.const 120) (i32.const 3)))
        (func (export "outside") (memory.init $passive (i32.const 65534) (i32.const 0) (i32.const 3)))
        (func (export "grow") (result i32) (memory.grow (i32.const 1)))"#;
    for strategy in STRATEGIES {
        let engine = engine(mode, strategy);
        let module = Module::new(&engine, wat)?;
        // Instances after the first would get a mapped image if the memory was not shared.
        for _ in 0..3 {
            let mut store = Store::new(&engine, ());
            let instance = Instance::new(&mut store, &module, &[])?;
            instance.get_typed_func::<(), ()>(&mut store, "run")?.call(&mut store, ())?;
            let memory = instance.get_export(&mut store, "memory").unwrap().into_shared_memory().unwrap();
            let mut bytes = [0; 50];
            memory.read(0, &mut bytes)?;
            assert_eq!(&bytes[10..50], b"ssegmen\0\0\0ass\0\0\0\0\0\0\0segment\0\0\0xxx\0\0\0\0\0\0\0");
            let outside = instance.get_typed_func::<(), ()>(&mut store, "outside")?;
            assert_eq!(trap_of(outside.call(&mut store, ())), Trap::MemoryOutOfBounds);
            let grow = instance.get_typed_func::<(), i32>(&mut store, "grow")?;
            assert_eq!((grow.call(&mut store, ())?, grow.call(&mut store, ())?), (1, -1));
            outside.call(&mut store, ())?;
        }
    }
    Ok(())
}

#[test]
fn the_host_waits_and_notifies_as_guests_do() -> Result<()> {
    let memory = SharedMemory::new(&Engine::default(), MemoryType::shared(1, 1))?;
    assert_eq!(memory.atomic_wait32(0, 1, None)?, WaitResult::NotEqual);
    let before = Instant::now();
    assert_eq!(memory.atomic_wait64(0, 0, Some(Duration::from_millis(2)))?, WaitResult::TimedOut);
    assert!(before.elapsed() >= Duration::from_millis(2));
    thread::scope(|scope| {
        scope.spawn(|| assert_eq!(memory.atomic_wait64(16, 0, None), Ok(WaitResult::Ok)));
        while memory.atomic_notify(16, 1).unwrap() == 0 {
            thread::yield_now();
        }
    });
    assert_eq!(memory.atomic_wait64(4, 0, None), Err(Trap::UnalignedAtomic));
    assert_eq!(memory.atomic_notify(65536, 1), Err(Trap::MemoryOutOfBounds));
    Ok(())
}
