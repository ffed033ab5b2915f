//! Decides which dispatcher drives the handlers.
//!
//! Handlers end in a call of the next handler. Where the compiler makes that call a jump, they are chained
//! directly (`wasmrun_tail_dispatch`); everywhere else a loop calls them one by one. The compiler makes
//! jumps of them when it optimises, on the two architectures whose calling convention passes all eight
//! words of machine state in registers. Nothing guarantees it, so the tests `every_handler_ends_in_a_jump` and
//! those of long chains of calls check the build that they run in; levels that no test runs at use the loop.
//!
//! Assertions keep values in memory over the calls, so that builds with `debug_assertions` use the loop as
//! well; that is not visible here, and decided where the dispatcher is chosen.
//!
//! Miri cannot run such chains, and sanitizers add frames that make them calls. `WASMRUN_DISPATCH=loop` in
//! the environment of the build asks for the loop: how tests reach it on a machine where jumps work.

use std::env;

fn main() {
    println!("cargo::rustc-check-cfg=cfg(wasmrun_tail_dispatch)");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=WASMRUN_DISPATCH");
    let is = |name: &str, values: &[&str]| env::var(name).is_ok_and(|v| values.contains(&v.as_str()));
    let optimised = is("OPT_LEVEL", &["2", "3"]);
    let arch =
        is("CARGO_CFG_TARGET_ARCH", &["x86_64", "aarch64"]) && !is("CARGO_CFG_TARGET_OS", &["windows"]);
    let special = env::var_os("CARGO_CFG_MIRI").is_some()
        || env::var_os("CARGO_CFG_SANITIZE").is_some()
        || is("WASMRUN_DISPATCH", &["loop"]);
    if optimised && arch && !special {
        println!("cargo::rustc-cfg=wasmrun_tail_dispatch");
    }
}
