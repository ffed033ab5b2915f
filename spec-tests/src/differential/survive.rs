//! The oracle for arbitrary bytes: nothing is expected of them but that the host lives on.

use std::time::Duration;

use ::wasmrun::{Engine, Error, Module};

use super::wasmrun::{Chaos, Compiled, Interpreted, Mixed, Wasmrun, Way, items};
use super::{Item, Subject, Value, generate};

/// Memory and table bytes that the guest may have, each.
const MEMORY: usize = 16 << 20;

/// Time for each call. Endless loops are common in damaged modules.
const TIMEOUT: Duration = Duration::from_millis(20);

/// Calls that are made: a module can export one function a hundred thousand times.
const CALLS: usize = 40;

/// Loads and instantiates `bytes`, interpreted, compiled and half of each, and calls what they export. Returns whether they are a module that the
/// engine takes.
///
/// # Panics
/// Something in the engine does: that is what is looked for.
pub fn survive(bytes: &[u8]) -> bool {
    // Every error can be printed, whatever it quotes from the bytes.
    let print = |error: Error| assert!(!format!("{error:#} {error:?}").is_empty());
    if let Err(error) = Module::validate(&Engine::default(), bytes) {
        print(error);
        return false;
    }
    run::<Interpreted>(bytes, print);
    run::<Compiled>(bytes, print);
    run::<Mixed>(bytes, print);
    run::<Chaos>(bytes, print);
    true
}

fn run<W: Way>(bytes: &[u8], print: impl Fn(Error)) {
    let mut instance = match Wasmrun::<W>::with_limits(bytes, MEMORY, TIMEOUT) {
        Ok(instance) => instance,
        Err(error) => return print(error),
    };
    let mut random = generate::Random::new(bytes.len() as u64);
    for (name, item) in items(bytes).iter().take(CALLS) {
        match item {
            Item::Func(params) => {
                let args: Vec<Value> = params.iter().map(|ty| random.value(*ty)).collect();
                // Traps and limits are as good as results here.
                let _ = instance.call(name, &args);
            }
            Item::Uncallable | Item::Tag => {}
            Item::Global => drop(instance.global(name)),
            Item::Memory => drop(instance.memory(name)),
            Item::Table => drop(instance.table(name)),
        }
    }
}
