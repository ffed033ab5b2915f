//! Arbitrary bytes are loaded, instantiated and run, with a limit on everything: no panic, no abort.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wasmrun_spec_tests::differential::survive;

fuzz_target!(|bytes: &[u8]| {
    survive(bytes);
});
