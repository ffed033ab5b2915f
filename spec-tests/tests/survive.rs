//! Whatever the bytes are, loading, instantiating and running them ends without a panic.

use wasmrun_spec_tests::differential::generate::{Random, damaged, module_of_seed};
use wasmrun_spec_tests::differential::survive;

#[test]
fn random_bytes_behind_a_header_do_no_harm() {
    for seed in 0..2_000 {
        let mut random = Random::new(seed);
        let len = random.number() as usize % 300;
        let bytes = [b"\0asm\x01\0\0\0".as_slice(), &random.bytes(len)].concat();
        survive(&bytes);
    }
}

#[test]
fn random_bytes_without_a_header_do_no_harm() {
    for seed in 0..500 {
        survive(&Random::new(seed).bytes(seed as usize));
    }
}

#[test]
fn damaged_modules_do_no_harm() {
    let mut ran = 0;
    for seed in 0..120 {
        let Some(module) = module_of_seed(seed) else { continue };
        assert!(survive(&module), "seed {seed}: an undamaged module must load");
        ran += (0..12).filter(|damage| survive(&damaged(&module, seed << 8 | damage))).count();
    }
    assert!(ran > 100, "only {ran} damaged modules were still valid: the test has lost its teeth");
}
