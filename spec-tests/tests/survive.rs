//! Whatever the bytes are, loading, instantiating and running them ends without a panic.

use wasmrun::{Config, Engine, Strategy};
use wasmrun_spec_tests::differential::generate::{
    Random, damaged, exceptions_of_seed, module_of_seed, seeds,
};
use wasmrun_spec_tests::differential::{calls, read_artifact, survive};

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
    let with_exceptions = (0..40).map(|seed| (seed, exceptions_of_seed(seed)));
    for (seed, module) in (0..120).map(|seed| (seed, module_of_seed(seed))).chain(with_exceptions) {
        let Some(module) = module else { continue };
        assert!(survive(&module), "seed {seed}: an undamaged module must load");
        ran += (0..12).filter(|damage| survive(&damaged(&module, seed << 8 | damage))).count();
    }
    assert!(ran > 100, "only {ran} damaged modules were still valid: the test has lost its teeth");
}

#[test]
fn damaged_artefacts_do_no_harm() {
    /// Bytes of the checksum, which finds the damage before anything else does.
    const SEAL: usize = 32;
    let engine = Engine::new(Config::new().strategy(Strategy::Jit)).unwrap();
    let (mut count, mut read) = (0, 0);
    for seed in seeds(0..3) {
        let mut bytes =
            engine.precompile_module(&calls::module_of_seed(seed, calls::Flavour::Plain)).unwrap();
        bytes.truncate(bytes.len() - SEAL);
        assert!(read_artifact(&bytes), "seed {seed}: an undamaged artefact must be read");
        for damage in 0..400 {
            let damaged = match damage % 2 {
                0 => damaged(&bytes, seed << 16 | damage),
                _ => {
                    // Tables come first, which are smaller than the code and say where everything is.
                    let end = bytes.len().min(4096);
                    [damaged(&bytes[..end], seed << 16 | damage), bytes[end..].to_vec()].concat()
                }
            };
            count += 1;
            read += usize::from(read_artifact(&damaged));
        }
    }
    println!("{read} of {count} damaged artefacts could be read");
    assert!(read > 0 && read < count);
}
