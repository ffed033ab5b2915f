//! The example does what it says: it checks itself, and is run here.

#[path = "../../../examples/wasi.rs"]
mod wasi;

#[test]
fn the_example_runs() {
    wasi::main().unwrap();
}
