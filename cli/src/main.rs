//! The `wasmrun` command.
fn main() {}
