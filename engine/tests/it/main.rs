//! Tests of the embedding API, all in one program: each program more would be linked with all of the compiler.
//! A test that needs a process to itself starts one, with [`common::alone`].

mod common;

mod call_paths;
mod code_memory;
mod counts;
#[cfg(feature = "dwarf")]
mod dwarf;
mod errors;
mod examples;
mod exceptions;
mod exceptions_host;
#[cfg(feature = "explore")]
mod explore;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod forks;
mod gc;
mod generations;
mod instances;
mod interrupts;
mod limits;
mod linking;
mod memory64;
mod objects;
mod objects_compiled;
mod page_sizes;
mod precompiled;
mod races;
mod reentrancy;
mod references;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod refusals;
mod send_sync;
mod threads;
#[cfg(target_os = "linux")]
mod tier_threads;
mod tiers;
mod traps;
mod values;
mod vector_oracle;
mod vectors;
mod wide_arithmetic;
