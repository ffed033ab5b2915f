//! Generated modules do on wasmrun what they do on wasmi. The seeds are fixed: a failure names its seed, and
//! the module that follows from it can be made again.

use wasmrun_spec_tests::differential::{Progress, Wasmi, Wasmrun, compare, generate};

/// Compares the modules of `seeds` and checks that enough of them say something.
fn agree(seeds: std::ops::Range<u64>) {
    let mut total = Progress::default();
    let (count, mut limited) = (seeds.clone().count(), 0);
    for seed in seeds {
        let Some(module) = generate::module_of_seed(seed) else { continue };
        match compare::<Wasmrun, Wasmi>(&module, seed) {
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
fn wasmrun_and_wasmi_agree_on_generated_modules_1() {
    agree(0..400);
}

#[test]
fn wasmrun_and_wasmi_agree_on_generated_modules_2() {
    agree(1_000..1_400);
}

#[test]
fn wasmrun_and_wasmi_agree_on_generated_modules_3() {
    agree(2_000..2_400);
}

#[test]
fn wasmrun_and_wasmi_agree_on_generated_modules_4() {
    agree(3_000..3_400);
}
