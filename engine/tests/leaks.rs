//! Instances, modules and engines that go leave nothing behind: no mapping, thread, descriptor, machine code or memory. This
//! counts those of the process, and so has it to itself: one test, and a harness that does nothing meanwhile.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use wasmrun::{Config, Engine, Func, Instance, Module, Result, Store, Strategy};

/// Bytes on the heap.
static ALLOCATED: AtomicIsize = AtomicIsize::new(0);

struct Counting;

// SAFETY: the system's allocator, with a count beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size() as isize, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, address: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size() as isize, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(address, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What there is of the process.
#[derive(Clone, Copy, Debug)]
struct Counts {
    mappings: usize,
    threads: usize,
    descriptors: usize,
    heap: isize,
}

impl Counts {
    fn now() -> Counts {
        let entries = |directory: &str| fs::read_dir(directory).unwrap().count();
        Counts {
            heap: ALLOCATED.load(Relaxed),
            mappings: fs::read_to_string("/proc/self/maps").unwrap().lines().count(),
            threads: entries("/proc/self/task"),
            descriptors: entries("/proc/self/fd"),
        }
    }

    /// Checks that no more is there than before. The allocator maps memory as it likes, and tables grow with what they hold at
    /// once, so that a few mappings and kilobytes say nothing where a leak would be thousands of them.
    #[track_caller]
    fn assert_still(self) {
        // A thread that has been joined may be listed for a moment.
        let mut now = Counts::now();
        for _ in 0..500 {
            if now.threads <= self.threads {
                break;
            }
            thread::sleep(Duration::from_millis(10));
            now = Counts::now();
        }
        assert!(now.mappings <= self.mappings + 16, "{self:?} {now:?}");
        assert!(now.threads <= self.threads && now.descriptors <= self.descriptors, "{self:?} {now:?}");
        assert!(now.heap <= self.heap + (64 << 10), "{self:?} {now:?}");
    }
}

/// A module unlike any with another number, with something of everything that can be left behind.
fn module(engine: &Engine, number: usize) -> Result<Module> {
    let wat = format!(
        r#"(module
            (import "host" "id" (func $id (param i32) (result i32)))
            (memory 1 4) (table 2 8 funcref) (global $g (mut i32) (i32.const 0))
            (data (i32.const 100) "number {number}") (elem (i32.const 0) $add $id)
            (type $unary (func (param i32) (result i32)))
            (func $add (type $unary) (i32.add (local.get 0) (i32.const {number})))
            (func (export "run") (param $n i32) (result i32)
              (drop (memory.grow (i32.const 2)))
              (drop (table.grow (ref.func $add) (i32.const 3)))
              (loop $l
                (global.set $g (call_indirect (type $unary) (global.get $g) (i32.and (local.get $n) (i32.const 1))))
                (i32.store (i32.const 196000) (global.get $g))
                (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
              (i32.load (i32.const 196000))))"#
    );
    Module::new(engine, wat)
}

/// Makes an instance, has it grow and run, and drops it.
fn live(engine: &Engine, module: &Module, number: usize) -> Result<()> {
    let mut store = Store::new(engine, ());
    let id = Func::wrap(&mut store, |n: i32| n);
    let instance = Instance::new(&mut store, module, &[id.into()])?;
    let run = instance.get_typed_func::<i32, i32>(&mut store, "run")?;
    assert_eq!(run.call(&mut store, 4)?, 2 * number as i32);
    Ok(())
}

/// Bytes of code at borders of tiers, which stays when it is made; with threads that compile, chance says when that is.
const BORDERS: usize = 4 << 10;

/// Bytes of machine code when threads that compile have nothing to do any more. They keep what they work at meanwhile.
fn settled(engine: &Engine) -> usize {
    let (mut code, mut still) = (engine.code_size(), 0);
    while still < 20 {
        thread::sleep(Duration::from_millis(2));
        let now = engine.code_size();
        (code, still) = if now == code { (code, still + 1) } else { (now, 0) };
    }
    code
}

fn live_and_die(config: &Config, modules: usize, instances: usize) -> Result<()> {
    let engine = Engine::new(config)?;
    // What is made once is there from now on: stubs, threads, alternate stacks.
    for number in 0..20 {
        let module = module(&engine, number)?;
        (0..20).try_for_each(|_| live(&engine, &module, number))?;
    }
    let (code, before) = (settled(&engine), Counts::now());
    for number in 0..modules {
        let module = module(&engine, number)?;
        (0..3).try_for_each(|_| live(&engine, &module, number))?;
    }
    let left = settled(&engine);
    assert!(left <= code + BORDERS, "{left} {code}");
    before.assert_still();

    let module = module(&engine, 7)?;
    // From the second instance on there is a file with the contents of its memory.
    (0..100).try_for_each(|_| live(&engine, &module, 7))?;
    let (code, before) = (settled(&engine), Counts::now());
    (0..instances).try_for_each(|_| live(&engine, &module, 7))?;
    let left = settled(&engine);
    assert!(left <= code + BORDERS, "{left} {code}");
    before.assert_still();
    assert_eq!(engine.no_compiled_code().is_none(), code > 0);
    Ok(())
}

#[test]
fn what_goes_leaves_nothing_behind() -> Result<()> {
    let jit = Config::new().strategy(Strategy::Jit).clone();
    let mut tiered = Config::new();
    tiered.strategy(Strategy::Tiered).tier_up_threshold(2).compile_threads(1);
    // Whatever a process has only once.
    for config in [&jit, &tiered] {
        live_and_die(config, 10, 10)?;
    }
    let before = Counts::now();
    live_and_die(&jit, 1000, 100_000)?;
    before.assert_still();
    live_and_die(&tiered, 1000, 100_000)?;
    before.assert_still();
    // Engines themselves, some while they still compile.
    for _ in 0..50 {
        for config in [&jit, &tiered] {
            let engine = Engine::new(config)?;
            let module = module(&engine, 3)?;
            (0..4).try_for_each(|_| live(&engine, &module, 3))?;
        }
    }
    before.assert_still();
    Ok(())
}
