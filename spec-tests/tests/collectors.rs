//! Nobody can tell when and what is collected: modules that change graphs of objects show what they show where nothing is ever
//! collected, in every mode, whether each allocation collects, or the heap is as small as it may be, or is left alone.
//!
//! `WASMRUN_SEEDS=1000..9000` runs those of other seeds, and of more.

use std::thread;

use wasmrun::{
    Collector, Config, Engine, GcStats, Instance, Module, Result, Store, StoreLimits, StoreLimitsBuilder,
    Strategy, Trap,
};
use wasmrun_spec_tests::Mode;
use wasmrun_spec_tests::differential::generate::seeds;
use wasmrun_spec_tests::differential::mutator;

/// Rounds of calls of all exports.
const ROUNDS: i32 = 3;

/// Bytes of a heap that is small: a guest may need more.
const SMALL: usize = 2 << 20;

/// What the calls have returned, as far as there was memory.
fn run(engine: &Engine, wasm: &[u8], scale: i32, limit: usize) -> Result<(Vec<i64>, GcStats)> {
    let limits: StoreLimits = StoreLimitsBuilder::new().gc_heap_size(limit).build();
    let mut store = Store::new(engine, limits);
    store.limiter(|limits| limits);
    let instance = Instance::new(&mut store, &Module::new(engine, wasm)?, &[])?;
    let mut results = Vec::new();
    'rounds: for round in 0..ROUNDS {
        for export in ["e0", "e1", "e2", "e3"] {
            let call = instance.get_typed_func::<(i32, i32), i64>(&mut store, export)?;
            match call.call(&mut store, (results.len() as i32 * 7919 + 12345, scale)) {
                Ok(result) => results.push(result),
                Err(error)
                    if limit < usize::MAX && error.downcast_ref() == Some(&Trap::GcHeapOutOfMemory) =>
                {
                    break 'rounds;
                }
                Err(error) => return Err(error),
            }
        }
        if round == 1 {
            store.gc();
        }
    }
    Ok((results, store.gc_stats().unwrap_or_default()))
}

/// What modules return of which nothing is collected.
fn without_collections(wasm: &[u8], seed: u64, scale: i32) -> Vec<i64> {
    let mut config = Config::new();
    config.strategy(Strategy::Interpreter).collector(Collector::Null);
    let (results, stats) = run(&Engine::new(&config).unwrap(), wasm, scale, usize::MAX)
        .unwrap_or_else(|error| panic!("seed {seed}: {error:?}"));
    assert_eq!((stats.collections(), results.len()), (0, 4 * ROUNDS as usize));
    results
}

/// Compares what the modules of some seeds return in some settings. Returns how much was compared, and the collections.
fn agree(
    few: std::ops::Range<u64>,
    scale: i32,
    limit: usize,
    engines: &[(&str, Engine)],
) -> (usize, u64, u64) {
    let (mut compared, mut minor, mut full) = (0, 0, 0);
    for seed in seeds(few) {
        let wasm = mutator::module_of_seed(seed);
        let expected = without_collections(&wasm, seed, scale);
        for (name, engine) in engines {
            let (results, stats) = run(engine, &wasm, scale, limit)
                .unwrap_or_else(|error| panic!("seed {seed}, {name}: {error:?}"));
            assert_eq!(results, expected[..results.len()], "seed {seed}, {name}");
            compared += results.len();
            (minor, full) = (minor + stats.minor.count, full + stats.full.count);
        }
    }
    println!("{compared} calls, {minor} minor and {full} full collections");
    (compared, minor, full)
}

fn engines(set: impl Fn(&mut Config)) -> Vec<(&'static str, Engine)> {
    let all = Mode::selected().into_iter().map(|mode| {
        let mut config = mode.config();
        set(&mut config);
        (mode.name(), Engine::new(&config).unwrap())
    });
    all.collect()
}

/// On a thread with room for frames of every tier.
fn with_room(test: impl FnOnce() + Send + 'static) {
    if let Err(panic) = thread::Builder::new().stack_size(64 << 20).spawn(test).unwrap().join() {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn graphs_are_the_same_when_every_allocation_collects() {
    with_room(|| {
        let engines = engines(|config| {
            config.gc_stress(true);
        });
        let (compared, minor, full) = agree(0..2, 1, usize::MAX, &engines);
        assert!(compared > 0 && minor > 1000 && full > 1000, "{compared}, {minor}, {full}");
    });
}

#[test]
fn graphs_are_the_same_in_heaps_that_are_small() {
    with_room(|| {
        let engines = engines(|config| {
            config.gc_stress(false);
        });
        let (compared, minor, full) = agree(100..106, 600, SMALL, &engines);
        assert!(compared > 50 && minor > 10 && full > 10, "{compared}, {minor}, {full}");
    });
}

#[test]
fn graphs_are_the_same_in_heaps_that_grow() {
    with_room(|| {
        let engines = engines(|config| {
            config.gc_stress(false);
        });
        let (compared, minor, _) = agree(200..204, 4000, usize::MAX, &engines);
        assert!(compared > 0 && minor > 10, "{compared}, {minor}");
    });
}
