//! Guest programs in an engine: every function of preview 1 as a program calls it, and every way out of the sandbox that
//! other hosts had to close, as a guest would try it.
//!
//! `guests/programs.rs` runs programs in C, on each file system and with each permission, and compares what they say,
//! how they end and what they leave behind with what is written down in `guests/expected`. `guests/calls.rs` runs
//! modules in the text format, for what no C library calls. `guests/linker.rs` tests what is around the functions. How
//! the programs are built is in `guests/README.md`.

mod calls;
mod linker;
mod programs;
mod world;

use wasmrun_wasi::abi::Call;
use world::Calls;

#[test]
fn every_function_is_called_by_a_guest() {
    let calls = Calls::default();
    for scenario in programs::ALL.iter().chain(calls::ALL) {
        scenario(&calls);
    }
    for call in Call::ALL {
        let name = call.function().name;
        // These two never succeed: one does not come back, the other is not supported.
        let enough = match call {
            Call::proc_exit | Call::proc_raise => calls.were_made(name),
            _ => calls.have_succeeded(name),
        };
        assert!(enough, "no guest of these tests calls {name} with success");
    }
}
