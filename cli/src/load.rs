//! The engine that the options ask for, and modules from files within the time that they give.

use std::path::Path;

use wasmrun::{Config, Engine, Error, Module, OptLevel, Strategy};
use wasmrun_runtime::ParseError;

use crate::args::{Mode, Options};
use crate::errors::{Failure, Outcome};
use crate::time_limit::TimeLimit;
use crate::{file_arg, output, source};

/// An engine with the settings of the command line.
pub fn engine(options: &Options) -> Outcome<Engine> {
    let engine = Engine::new(&config(options)?).map_err(refuse)?;
    if let Some(reason) = engine.no_compiled_code() {
        output::note(&format!("note: the guest runs in the interpreter: {reason}\n"));
    }
    Ok(engine)
}

/// The same for looking at modules: nothing is compiled to be run.
pub fn engine_to_look(options: &Options) -> Outcome<Engine> {
    Engine::new(config(options)?.strategy(Strategy::Interpreter)).map_err(refuse)
}

fn refuse(error: Error) -> Failure {
    Failure::usage("these options cannot be honoured").because_of(error.chain())
}

fn config(options: &Options) -> Outcome<Config> {
    let mut config = Config::new();
    config.consume_fuel(options.fuel.is_some());
    if options.optimise == Some(false) {
        config.cranelift_opt_level(OptLevel::None);
    }
    match options.mode {
        Mode::Interp => config.strategy(Strategy::Interpreter),
        Mode::Tiered => config.strategy(Strategy::Tiered),
        Mode::Jit => config.strategy(Strategy::Jit),
        Mode::Quick => config.strategy(Strategy::Jit).cranelift_opt_level(OptLevel::None),
    };
    if let Some(bytes) = options.max_stack {
        config.max_wasm_stack(bytes);
    }
    if let Some(frames) = options.max_backtrace {
        config.max_backtrace_frames(frames);
    }
    for (proposal, on) in &options.proposals {
        config.wasm_feature(proposal.name, *on).map_err(refuse)?;
    }
    Ok(config)
}

/// The module in `file`, validated.
pub fn module(engine: &Engine, file: &Path, limit: &TimeLimit) -> Outcome<Module> {
    let bytes = source::module_bytes(file, limit)?;
    let made = limit.watch(file, "loading it", || Module::from_owned_binary(engine, bytes))?;
    made.map_err(|error| {
        let failure = Failure::new(format!("{} cannot be run", file_arg::display_name(file)));
        switched_off(&error).into_iter().fold(failure.because_of(error.chain()), Failure::help)
    })
}

/// What to write where the module was refused for a proposal that the command line has switched off.
fn switched_off(error: &Error) -> Option<String> {
    match error.downcast_ref()? {
        ParseError::Proposal { proposal, executed: true, .. } => {
            Some(format!("`-W {proposal}=y` switches it on"))
        }
        _ => None,
    }
}
