//! The seeds of the fuzz targets, run as tests: each target's body over each file of `fuzz/corpus`.

use std::fs;
use std::path::Path;

use wasmrun::{Config, Engine, Strategy};
use wasmrun_spec_tests::differential::{
    Chaos, Compiled, Mixed, Wasmi, Wasmrun, agree, read_artifact, survive,
};

/// The files of a target's corpus, in sorted order.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&dir)
        .unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", dir.display());
    files.into_iter().map(|path| (path.display().to_string(), fs::read(&path).unwrap())).collect()
}

#[test]
fn the_corpus_of_load_does_no_harm() {
    for (name, bytes) in corpus("load") {
        println!("{name}");
        survive(&bytes);
    }
}

#[test]
fn the_corpus_of_differential_shows_no_difference() {
    for (name, bytes) in corpus("differential") {
        println!("{name}");
        agree::<Wasmrun, Wasmi>(&bytes);
        agree::<Wasmrun<Compiled>, Wasmrun<Mixed>>(&bytes);
        agree::<Wasmrun<Compiled>, Wasmrun<Chaos>>(&bytes);
    }
}

/// Modules whose compiled code is a seed of the target `artifact`.
const ARTIFACTS: &[(&str, &str)] = &[
    ("no-functions", "(module)"),
    (
        "traps",
        "(module (memory 1) (func unreachable) (func (param i32) (result i32) (i32.load (local.get 0))))",
    ),
    ("imports", r#"(module (import "" "" (func $f)) (func (call $f) (call $f)) (func (call 1)))"#),
];

/// Bytes of the checksum behind an artefact, which would keep a fuzzer from going on.
const SEAL: usize = 32;

#[test]
fn the_corpus_of_artifact_can_be_read() {
    if std::env::var_os("WASMRUN_BLESS").is_some() {
        let engine = Engine::new(Config::new().strategy(Strategy::Jit)).unwrap();
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/artifact");
        fs::create_dir_all(&dir).unwrap();
        for (name, text) in ARTIFACTS {
            let bytes = engine.precompile_module(text.as_bytes()).unwrap();
            fs::write(dir.join(name), &bytes[..bytes.len() - SEAL]).unwrap();
        }
    }
    for (name, bytes) in corpus("artifact") {
        println!("{name}");
        assert!(read_artifact(&bytes), "{name}: WASMRUN_BLESS=1 writes it anew");
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x55;
            read_artifact(&damaged);
            read_artifact(&bytes[..at]);
        }
    }
}
