//! The engine that the options ask for, and modules from files within the time that they give.
//!
//! This is the one place of the command where machine code from a file is let in, which is `unsafe`.
#![allow(unsafe_code)]

use std::path::Path;

use wasmrun::{Cache, CacheConfig, Config, Engine, Error, Module, OptLevel, Strategy};
use wasmrun_runtime::ParseError;

use crate::args::{Mode, Options, RunArgs};
use crate::errors::{Failure, Outcome};
use crate::source::Source;
use crate::time_limit::TimeLimit;
use crate::wording::shown;
use crate::{file_arg, output, source};

/// An engine with the settings of the command line. Where the system allows no compiled code, that is said, and an error
/// if it was asked for.
pub fn engine(options: &Options) -> Outcome<Engine> {
    let engine = Engine::new(&config(options)?).map_err(refuse)?;
    match engine.no_compiled_code() {
        Some(reason) if matches!(options.mode, Mode::Jit | Mode::Quick) => Err(no_code(reason)
            .help("without `--mode jit` or `--mode quick`, the guest runs in the interpreter here")),
        Some(reason) => {
            output::note(&format!("note: the guest runs in the interpreter: {reason}\n"));
            Ok(engine)
        }
        None => Ok(engine),
    }
}

fn no_code(reason: &str) -> Failure {
    Failure::new("there can be no compiled code here").because(reason)
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
    // Nobody else stops a guest; a signal ends the process.
    config.interruptible(options.timeout.is_some());
    if options.optimise == Some(false) {
        config.cranelift_opt_level(OptLevel::None);
    }
    match options.mode {
        Mode::Interp => config.strategy(Strategy::Interpreter),
        Mode::Tiered => config.strategy(Strategy::Tiered),
        Mode::Jit => config.strategy(Strategy::Jit),
        Mode::Quick => config.strategy(Strategy::Jit).cranelift_opt_level(OptLevel::None),
    };
    config.relaxed_simd_deterministic(options.relaxed_simd_deterministic);
    if let Some(bytes) = options.max_code_size {
        config.max_code_size(bytes);
    }
    if let Some(profiler) = options.profiler {
        config.profiler(profiler);
    }
    if let Some(bytes) = options.max_stack {
        config.max_wasm_stack(bytes);
    }
    if let Some(frames) = options.max_backtrace {
        config.max_backtrace_frames(frames);
    }
    for (proposal, on) in &options.proposals {
        config.wasm_feature(proposal.name, *on).map_err(refuse)?;
    }
    config.cache(cache(options));
    Ok(config)
}

/// The cache, where there is something to put into it. That there can be none is no reason not to run.
fn cache(options: &Options) -> Option<Cache> {
    if options.no_cache || options.mode == Mode::Interp {
        return None;
    }
    match Cache::new(CacheConfig::new()) {
        Ok(cache) => Some(cache),
        Err(error) => {
            if options.log_cache {
                output::note(&format!("cache: {error:#}\n"));
            }
            None
        }
    }
}

/// Says what became of the cache so far, if that was asked for.
pub fn log_cache(engine: &Engine, options: &Options) {
    let Some(cache) = engine.config().code_cache().filter(|_| options.log_cache) else { return };
    let mut text = format!(
        "cache: {} found and {} not found in {}\n",
        cache.cache_hits(),
        cache.cache_misses(),
        shown(cache.directory().display())
    );
    for problem in cache.problems() {
        text.push_str(&format!("cache: {}\n", shown(problem)));
    }
    output::note(&text);
}

/// The module in `file`, validated.
pub fn module(engine: &Engine, file: &Path, limit: &TimeLimit) -> Outcome<Module> {
    let bytes = source::module_bytes(file, limit)?;
    let made = limit.watch(file, "loading it", || Module::from_owned_binary(engine, bytes))?;
    refused(file, made)
}

/// The module in the file of `run` with all of its functions compiled, also where only what is warm would be. The cache has
/// no part in it: what is found there has cost nothing now, and code goes where it was asked to go.
pub fn compiled_module(run: &RunArgs, limit: &TimeLimit) -> Outcome<Module> {
    let mut options = run.options.clone();
    if matches!(options.mode, Mode::Interp | Mode::Tiered) {
        options.mode = Mode::Jit;
    }
    options.no_cache = true;
    // For runs with a timeout and for those without.
    let engine = Engine::new(config(&options)?.interruptible(true)).map_err(refuse)?;
    match engine.no_compiled_code() {
        Some(reason) => Err(no_code(reason)),
        None => module(&engine, &run.file, limit),
    }
}

/// The same of a file that may also be a compiled module, if the options say so.
pub fn any_module(engine: &Engine, file: &Path, options: &Options, limit: &TimeLimit) -> Outcome<Module> {
    let bytes = match source::load(file, limit)? {
        Source::Module(bytes) => {
            let made = limit.watch(file, "loading it", || Module::from_owned_binary(engine, bytes))?;
            return refused(file, made);
        }
        Source::Precompiled(bytes) => bytes,
    };
    allowed(file, options)?;
    // SAFETY: the user says that the file can be trusted.
    let made = limit.watch(file, "loading it", || unsafe { Module::deserialize_owned(engine, bytes) })?;
    let module = refused(file, made)?;
    if let Some(reason) = module.recompiled() {
        let note = format!("note: the code in {} is not used: {reason}\n", file_arg::display_name(file));
        output::note(&note);
    }
    Ok(module)
}

/// The bytes of the module in a file that [`any_module`] would take.
pub fn any_binary(file: &Path, options: &Options, limit: &TimeLimit) -> Outcome<Vec<u8>> {
    match source::load(file, limit)? {
        Source::Module(bytes) => Ok(bytes),
        Source::Precompiled(bytes) => {
            allowed(file, options)?;
            refused(file, limit.watch(file, "loading it", || Engine::precompiled_binary(bytes))?)
        }
    }
}

/// Whether a compiled module may be run.
fn allowed(file: &Path, options: &Options) -> Outcome {
    if options.allow_precompiled {
        return Ok(());
    }
    let name = file_arg::display_name(file);
    Err(Failure::new(format!("{name} is a compiled module, and those are not run unasked"))
        .because("it holds machine code, which can do whatever this user can")
        .help("`--allow-precompiled` runs it; use that for files that you have compiled yourself"))
}

fn refused<T>(file: &Path, made: wasmrun::Result<T>) -> Outcome<T> {
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
