//! The module that arbitrary bytes make does on wasmrun what it does on wasmi.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wasmrun_spec_tests::differential::{Wasmi, Wasmrun, agree};

fuzz_target!(|bytes: &[u8]| agree::<Wasmrun, Wasmi>(bytes));
