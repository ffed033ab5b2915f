//! The module that arbitrary bytes make does on wasmrun what it does on Wasmtime.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wasmrun_fuzz::Wasmtime;
use wasmrun_spec_tests::differential::{Wasmrun, agree};

fuzz_target!(|bytes: &[u8]| agree::<Wasmrun, Wasmtime>(bytes));
