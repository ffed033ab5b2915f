//! Arbitrary bytes are read as compiled code from disk: no panic, no abort. None of it is executed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wasmrun_spec_tests::differential::read_artifact;

fuzz_target!(|bytes: &[u8]| {
    read_artifact(bytes);
});
