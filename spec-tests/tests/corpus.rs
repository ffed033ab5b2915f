//! The seeds of the fuzz targets, run as tests: each target's body over each file of `fuzz/corpus`.

use std::fs;
use std::path::Path;

use wasmrun_spec_tests::differential::{Chaos, Compiled, Mixed, Wasmi, Wasmrun, agree, survive};

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
