//! Tests of the command, all in one program.

mod common;

mod cache;
mod commands;
mod errors;
mod explore;
mod invoke;
mod limits;
mod output;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod refusals;
mod run;
mod threads;
mod unpleasant;
