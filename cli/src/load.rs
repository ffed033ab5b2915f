//! The engine that the options ask for, and modules from files.

use std::path::Path;

use wasmrun::{Config, Engine, Module};

use crate::args::Options;
use crate::errors::{Failure, Outcome};
use crate::source;

/// An engine with the settings of the command line.
pub fn engine(options: &Options) -> Outcome<Engine> {
    let refuse =
        |error: wasmrun::Error| Failure::usage("these options cannot be honoured").because_of(error.chain());
    let mut config = Config::new();
    config.consume_fuel(options.fuel.is_some());
    if let Some(bytes) = options.max_stack {
        config.max_wasm_stack(bytes);
    }
    if let Some(frames) = options.max_backtrace {
        config.max_backtrace_frames(frames);
    }
    for (proposal, on) in &options.proposals {
        config.wasm_feature(proposal.name, *on).map_err(refuse)?;
    }
    Engine::new(&config).map_err(refuse)
}

/// The module in `file`, validated.
pub fn module(engine: &Engine, file: &Path, options: &Options) -> Outcome<Module> {
    let bytes = source::module_bytes(file)?;
    // Only when something is switched off can the refusal of the module need a second look.
    let kept = if options.proposals.iter().all(|(_, on)| *on) { Vec::new() } else { bytes.clone() };
    Module::from_owned_binary(engine, bytes).map_err(|error| {
        let failure = Failure::new(format!("{} cannot be run", source::display_name(file)));
        switched_off(options, &kept).into_iter().fold(failure.because_of(error.chain()), Failure::help)
    })
}

/// What to write for each proposal that the module uses and the command line has switched off.
fn switched_off(options: &Options, bytes: &[u8]) -> Vec<String> {
    let is_off =
        |name| options.proposals.iter().rev().find(|(p, _)| p.name == name).is_some_and(|(_, on)| !on);
    if options.proposals.iter().all(|(_, on)| *on) {
        return Vec::new();
    }
    let used = wasmrun_runtime::used_proposals(bytes).into_iter().filter(|proposal| is_off(proposal.name));
    used.map(|proposal| format!("`-W {}=y` switches it on", proposal.name)).collect()
}
