//! Generated modules do in every tier of wasmrun, and in mixtures of them, what they do on wasmi. The seeds are fixed: a failure names its seed, and
//! the module that follows from it can be made again. `WASMRUN_SEEDS=10000..90000` makes other ones, and more.

use std::ops::Range;

use wasmrun_spec_tests::differential::{
    Chaos, Checked, Compiled, Interpreted, Mixed, Progress, Quick, Tiered, Wasmi, Wasmrun, Way, compare,
    generate,
};

/// Seeds whose modules wasmi 2.0.0 executes wrongly. In the first, a function of numbers and vectors xors the bits of a
/// constant and of its second parameter: 0xdeb57c46 and 0x44a00c00, which are 0x9a157046, and wasmi leaves the parameter out.
const WRONG_ON_WASMI: &[u64] = &[2507];

/// Compares the modules of `seeds` that `make` makes, in a tier and in tier 0.
fn agree_on<W: Way>(make: fn(u64) -> Option<Vec<u8>>, few: Range<u64>) {
    let (mut total, mut limited, seeds) = (Progress::default(), 0, generate::seeds(few));
    let count = seeds.clone().count();
    for seed in seeds {
        let Some(module) = make(seed) else { continue };
        match compare::<Wasmrun<W>, Wasmrun<Interpreted>>(&module, seed) {
            Ok(progress) => {
                total.returned += progress.returned;
                total.trapped += progress.trapped;
                limited += progress.limited as usize;
            }
            Err(difference) => panic!("seed {seed}: {difference}"),
        }
    }
    println!("{count} modules: {total:?}, {limited} ended at a limit");
    assert!(total.returned > count && total.trapped > count / 2, "the modules do too little: {total:?}");
}

#[test]
fn every_tier_does_the_same_with_objects_whenever_it_collects() {
    agree_on::<Compiled>(generate::objects_of_seed, 0..60);
    agree_on::<Checked>(generate::objects_of_seed, 200..250);
    agree_on::<Quick>(generate::objects_of_seed, 400..440);
    agree_on::<Mixed>(generate::objects_of_seed, 500..550);
    agree_on::<Tiered>(generate::objects_of_seed, 700..730);
    agree_on::<Chaos>(generate::objects_of_seed, 800..850);
}

#[test]
fn every_tier_does_the_same_with_exceptions() {
    agree_on::<Compiled>(generate::exceptions_of_seed, 0..80);
    agree_on::<Checked>(generate::exceptions_of_seed, 200..260);
    agree_on::<Quick>(generate::exceptions_of_seed, 400..440);
    agree_on::<Mixed>(generate::exceptions_of_seed, 500..580);
    agree_on::<Tiered>(generate::exceptions_of_seed, 700..740);
    agree_on::<Chaos>(generate::exceptions_of_seed, 800..880);
}

#[test]
fn every_tier_does_the_same_with_atomic_instructions() {
    agree_on::<Compiled>(generate::atomics_of_seed, 0..120);
    agree_on::<Checked>(generate::atomics_of_seed, 200..300);
    agree_on::<Quick>(generate::atomics_of_seed, 400..480);
    agree_on::<Mixed>(generate::atomics_of_seed, 500..600);
    agree_on::<Tiered>(generate::atomics_of_seed, 700..760);
    agree_on::<Chaos>(generate::atomics_of_seed, 800..900);
}

/// Compares the modules of `seeds` and checks that enough of them say something.
fn agree<W: Way>(few: Range<u64>) {
    let seeds = generate::seeds(few);
    let mut total = Progress::default();
    let (count, mut limited) = (seeds.clone().count(), 0);
    for seed in seeds.filter(|seed| !WRONG_ON_WASMI.contains(seed)) {
        let Some(module) = generate::module_of_seed(seed) else { continue };
        match compare::<Wasmrun<W>, Wasmi>(&module, seed) {
            Ok(progress) => {
                total.returned += progress.returned;
                total.trapped += progress.trapped;
                limited += progress.limited as usize;
            }
            Err(difference) => panic!("seed {seed}: {difference}"),
        }
    }
    println!("{count} modules: {total:?}, {limited} ended at a limit");
    assert!(total.returned > count && total.trapped > count, "the modules do too little: {total:?}");
    assert!(limited < count / 4, "{limited} of {count} modules ended at a limit of one engine");
}

#[test]
fn the_interpreter_and_wasmi_agree_on_generated_modules() {
    agree::<Interpreted>(0..800);
}

#[test]
fn other_seeds_show_no_difference_either() {
    agree::<Interpreted>(2_000..2_800);
}

#[test]
fn compiled_code_and_wasmi_agree_on_generated_modules() {
    agree::<Compiled>(0..400);
}

#[test]
fn quickly_compiled_code_and_wasmi_agree_on_generated_modules() {
    agree::<Quick>(1_000..1_400);
}

#[test]
fn mixed_tiers_and_wasmi_agree_on_generated_modules() {
    agree::<Mixed>(3_000..3_600);
}

#[test]
fn tiers_that_change_while_code_runs_and_wasmi_agree_on_generated_modules() {
    agree::<Tiered>(4_000..4_300);
    agree::<Chaos>(6_000..6_600);
}
