//! Nobody can tell in which tier a function runs, nor whether it was inlined or guessed: modules that are all calls show
//! the host the same in every setting, down to the frames of backtraces and the last unit of fuel. So do those that throw and
//! catch, whichever form that has, and those that access a memory atomically.
//!
//! `WASMRUN_SEEDS=1000..9000` runs those of other seeds, and of more.

use std::ops::Range;
use std::thread;

use wasmrun::{Cache, CacheConfig, Config, Engine, MemoryStrategy, Module, OptLevel, Strategy};
use wasmrun_spec_tests::Mode;
use wasmrun_spec_tests::differential::calls::{Flavour, Form};
use wasmrun_spec_tests::differential::generate::seeds;
use wasmrun_spec_tests::differential::trace::{Frames, Trace, trace};
use wasmrun_spec_tests::differential::{Compiled, Interpreted, Tiered, Wasmi, Wasmrun, Way, calls, compare};

/// Frames of backtraces: all that there can be here.
const FRAMES: usize = 200;

/// A module is run in one of so many settings, and by chaos.
const EACH: usize = 3;

/// The settings that are compared with the interpreter, by names.
fn settings() -> Vec<(&'static str, Config)> {
    let make = |set: fn(&mut Config) -> &mut Config| {
        let mut config = Config::new();
        set(&mut config);
        config
    };
    let tiered = |threshold: u32| {
        let mut config = Config::new();
        config.strategy(Strategy::Tiered).tier_up_threshold(threshold).compile_threads(0);
        config
    };
    let without_inlining = |mut config: Config| {
        config.compiler_inlining(false);
        config
    };
    let checked = |mut config: Config| {
        config.memory_strategy(MemoryStrategy::Checked);
        config
    };
    let jit = || make(|config| config.strategy(Strategy::Jit));
    vec![
        ("jit", jit()),
        ("jit without inlining", without_inlining(jit())),
        ("jit with checked memories", checked(jit())),
        ("quick", make(|config| config.strategy(Strategy::Jit).cranelift_opt_level(OptLevel::None))),
        ("mixed", make(|config| config.strategy(Strategy::Jit).compile_only(|function| function % 2 == 1))),
        ("tiered from 1", tiered(1)),
        ("tiered from 5", tiered(5)),
        ("tiered from 100", tiered(100)),
        ("tiered from 20 without inlining", without_inlining(tiered(20))),
        ("jit that collects", make(|config| config.strategy(Strategy::Jit).gc_stress(true))),
        ("in the background", make(|config| config.strategy(Strategy::Tiered).tier_up_threshold(30))),
    ]
}

/// Changes at random, differently for each seed.
fn chaos(seed: u64) -> Config {
    let mut config = Config::new();
    config.strategy(Strategy::Tiered).chaos(seed).compiler_inlining(seed.is_multiple_of(3));
    if seed.is_multiple_of(2) {
        config.cranelift_opt_level(OptLevel::None);
    }
    config.gc_stress(seed.is_multiple_of(5));
    config
}

fn engine(config: &Config, pays: bool) -> Engine {
    let mut config = config.clone();
    Engine::new(config.consume_fuel(pays).max_backtrace_frames(FRAMES)).unwrap()
}

/// What a module shows. All of it can be compiled: what cannot would be compared in tier 0 alone.
fn shown(engine: &Engine, wasm: &[u8], seed: u64, frames: Frames) -> Trace {
    let module = Module::new(engine, wasm).unwrap();
    let trace = trace(&module, seed, frames);
    assert!(module.uncompiled().is_empty(), "seed {seed}: {:?}", module.uncompiled());
    trace
}

/// Fails where two traces differ, as far as both go. Returns how many calls could be compared.
fn same(what: &str, seed: u64, got: &Trace, expected: &Trace) -> usize {
    for (got, expected) in got.iter().zip(expected) {
        if let Some(difference) = got.differs_from(expected) {
            panic!("seed {seed}, {what}: {difference}");
        }
    }
    got.len().min(expected.len())
}

/// On a thread with room for frames of every tier.
fn with_room<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    match thread::Builder::new().stack_size(64 << 20).spawn(test).unwrap().join() {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Compares the modules of a flavour in all settings.
fn same_in_every_setting(flavour: fn(u64) -> Flavour, few: Range<u64>) {
    let interpreter: Vec<Engine> =
        [false, true].map(|pays| engine(Config::new().strategy(Strategy::Interpreter), pays)).into();
    let engines: Vec<(&str, [Engine; 2])> = settings()
        .into_iter()
        .map(|(name, config)| (name, [false, true].map(|pays| engine(&config, pays))))
        .collect();
    let (mut compared, mut expected_calls, mut trapped, mut threw, mut modules) = (0, 0, 0, 0, 0);
    for seed in seeds(few) {
        let wasm = calls::module_of_seed(seed, flavour(seed));
        // References to exceptions are in modules with even seeds.
        let pays = seed / 2 % 2 == 1;
        let run = |engine: &Engine| shown(engine, &wasm, seed, Frames::Offsets);
        let expected = run(&interpreter[usize::from(pays)]);
        modules += 1;
        trapped += expected.iter().filter(|step| step.trapped()).count();
        threw += expected.iter().filter(|step| step.threw()).count();
        for (name, engines) in engines.iter().skip(seed as usize % EACH).step_by(EACH) {
            compared += same(name, seed, &run(&engines[usize::from(pays)]), &expected);
            expected_calls += expected.len();
        }
        let got = run(&engine(&chaos(seed), pays));
        compared += same(&format!("chaos {seed}"), seed, &got, &expected);
        expected_calls += expected.len();
    }
    println!(
        "{modules} modules: {compared} calls compared of {expected_calls}; {trapped} trapped and {threw} threw"
    );
    assert!(
        compared * 10 > expected_calls * 9,
        "only {compared} of {expected_calls} calls could be compared"
    );
}

#[test]
fn modules_of_calls_show_the_same_in_every_setting() {
    with_room(|| same_in_every_setting(|_| Flavour::Plain, 0..8));
}

#[test]
fn modules_that_throw_show_the_same_in_every_setting() {
    with_room(|| {
        let flavour = |seed| Flavour::Throwing(if seed / 4 % 2 == 0 { Form::Legacy } else { Form::Standard });
        same_in_every_setting(flavour, 508..520);
    });
}

#[test]
fn modules_with_atomic_instructions_show_the_same_in_every_setting() {
    with_room(|| same_in_every_setting(|_| Flavour::Atomic, 0..4));
}

#[test]
fn what_the_legacy_form_catches_the_standard_one_does() {
    with_room(|| {
        let modes: Vec<Engine> = Mode::ALL.map(|mode| engine(&mode.config(), false)).into();
        let mut threw = 0;
        for seed in seeds(508..518) {
            let [legacy, standard] = [Form::Legacy, Form::Standard]
                .map(|form| calls::module_of_seed(seed, Flavour::Throwing(form)));
            let run = |engine: &Engine, wasm: &[u8]| shown(engine, wasm, seed, Frames::Functions);
            let expected = run(&modes[0], &standard);
            threw += expected.iter().filter(|step| step.threw()).count();
            // In tier 0, and in one more mode.
            for mode in [0, 1 + seed as usize % (Mode::ALL.len() - 1)] {
                let what = format!("{}: the legacy form beside the other one", Mode::ALL[mode].name());
                same(&what, seed, &run(&modes[mode], &legacy), &expected);
            }
        }
        assert!(threw > 0);
    });
}

#[test]
fn modules_of_calls_do_what_they_do_on_wasmi() {
    fn agree<W: Way>(seeds: Range<u64>) {
        let (mut returned, mut trapped, mut limited, count) = (0, 0, 0, seeds.end - seeds.start);
        for seed in seeds {
            let module = calls::module_of_seed(seed, Flavour::Plain);
            match compare::<Wasmrun<W>, Wasmi>(&module, seed) {
                Ok(progress) => {
                    returned += progress.returned;
                    trapped += progress.trapped;
                    limited += u64::from(progress.limited);
                }
                Err(difference) => panic!("seed {seed}: {difference}"),
            }
        }
        println!("{}: {count} modules, {returned} returned, {trapped} trapped, {limited} limited", W::NAME);
        assert!(
            returned as u64 > count && limited < 1 + count / 10,
            "{returned} returned, {limited} limited"
        );
    }
    with_room(|| {
        agree::<Interpreted>(seeds(1_000..1_005));
        agree::<Compiled>(seeds(1_060..1_063));
        agree::<Tiered>(seeds(1_080..1_083));
    });
}

#[test]
fn modules_that_the_cache_knows_show_the_same() {
    with_room(|| {
        let interpreter = engine(Config::new().strategy(Strategy::Interpreter), false);
        for seed in seeds(2_000..2_002) {
            let wasm = calls::module_of_seed(seed, Flavour::Plain);
            let expected = trace(&Module::new(&interpreter, &wasm).unwrap(), seed, Frames::Offsets);
            let dir = tempfile::tempdir().unwrap();
            for run in 0..3 {
                let mut cache = CacheConfig::new();
                let cache = Cache::new(cache.with_directory(dir.path().join("cache")).clone()).unwrap();
                let mut config = Config::new();
                config.strategy(Strategy::Tiered).tier_up_threshold(10).compile_threads(0);
                let engine = engine(config.cache(Some(cache.clone())), false);
                let module = Module::new(&engine, &wasm).unwrap();
                assert_eq!(cache.cache_hits() > 0, run > 0, "seed {seed}, run {run}");
                same(&format!("cached, run {run}"), seed, &trace(&module, seed, Frames::Offsets), &expected);
                module.store_code();
                assert_eq!(cache.problems(), Vec::<String>::new());
            }
        }
    });
}
