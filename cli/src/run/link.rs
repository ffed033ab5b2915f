//! Giving a module its imports: WASI, preloaded modules, and for what is still missing the option that
//! would provide it.

use wasmrun::{Engine, Instance, InstancePre, Linker, Module, Store};

use super::Host;
use super::end::{Stopped, is_from_guest};
use crate::args::{Preload, RunArgs};
use crate::errors::{Failure, Outcome};
use crate::time_limit::TimeLimit;
use crate::wording::{grouped, shown};
use crate::{file_arg, imports, load};

/// So many missing imports are named one by one.
const NAMED: usize = 10;

/// Loads what is to be preloaded, in that order.
pub fn libraries(run: &RunArgs, engine: &Engine, limit: &TimeLimit) -> Outcome<Vec<Module>> {
    let preloads = &run.options.preloads;
    for (i, preload) in preloads.iter().enumerate() {
        if let Some(first) = preloads[..i].iter().find(|first| first.name == preload.name) {
            let files = [&first.file, &preload.file].map(|file| file_arg::display_name(file));
            return Err(Failure::usage(format!("two modules are preloaded as `{}`", shown(&preload.name)))
                .because(format!("they are {} and {}", files[0], files[1])));
        }
    }
    preloads.iter().map(|preload| load::any_module(engine, &preload.file, &run.options, limit)).collect()
}

/// Instantiates the [libraries], then the module.
///
/// `note_linked` gets the module with its imports, before its start function runs.
pub fn instantiate<W: 'static>(
    run: &RunArgs,
    module: &Module,
    libraries: &[Module],
    note_linked: impl FnOnce(InstancePre<Host<W>>),
    linker: &mut Linker<Host<W>>,
    store: &mut Store<Host<W>>,
) -> Result<Instance, Stopped> {
    if !libraries.is_empty() {
        // A preloaded module stands in front of WASI.
        linker.allow_shadowing(true);
    }
    let preloads = &run.options.preloads;
    for (i, (preload, library)) in preloads.iter().zip(libraries).enumerate() {
        linker.module(&mut *store, &preload.name, library).map(drop).map_err(|error| {
            let preloads = (&preloads[..i], &preloads[i..]);
            explain(preloads, error, file_arg::display_name(&preload.file), library, linker, store)
        })?;
    }
    if run.options.unknown_imports_trap {
        linker.define_unknown_imports_as_traps(module).map_err(|error| {
            Failure::new("the unknown imports cannot be left to trap").because_of(error.chain())
        })?;
    }
    let linked = linker.instantiate_pre(module).and_then(|linked| {
        note_linked(linked.clone());
        linked.instantiate(&mut *store)
    });
    linked.map_err(|error| {
        let preloads = (&preloads[..], &[][..]);
        explain(preloads, error, file_arg::display_name(&run.file), module, linker, store)
    })
}

/// Puts an error of instantiation into words. `preloads` are those that were loaded before the module, and those
/// that were not.
fn explain<W: 'static>(
    (loaded, later): (&[Preload], &[Preload]),
    error: wasmrun::Error,
    file: String,
    module: &Module,
    linker: &Linker<Host<W>>,
    store: &mut Store<Host<W>>,
) -> Stopped {
    if is_from_guest(&error) {
        return Stopped::Guest(error);
    }
    let missing: Vec<_> = module
        .imports()
        .filter(|import| linker.get(&mut *store, import.module(), import.name()).is_none())
        .collect();
    if missing.is_empty() {
        return Failure::new(format!("{file} cannot be instantiated")).because_of(error.chain()).into();
    }
    let mut failure = Failure::new(format!("{file} cannot be linked"));
    let mut help: Vec<String> = Vec::new();
    for import in &missing {
        let (from, name) = (import.module(), import.name());
        let called = |preloads: &[Preload]| {
            let preload = preloads.iter().find(|preload| preload.name == from)?;
            Some(format!("{}, preloaded as `{}`,", file_arg::display_name(&preload.file), shown(from)))
        };
        let (origin, advice) = if let Some(preload) = called(loaded) {
            (Some(format!("{preload} does not export it")), None)
        } else if let Some(preload) = called(later) {
            let help = "modules are preloaded in the order of the options, each with what stands before it";
            (Some(format!("{preload} is not loaded yet")), Some(help.to_owned()))
        } else if import.ty().memory().is_some_and(|ty| ty.is_shared()) {
            (None, Some(imports::THREADS.to_owned()))
        } else {
            let advice = imports::advise(from, name);
            (advice.origin, Some(advice.help))
        };
        if failure.causes() < NAMED {
            let origin = origin.map_or(String::new(), |origin| format!(": {origin}"));
            failure = failure.because(format!(
                "nothing provides the import `{}::{}`, a {}{origin}",
                shown(from),
                shown(name),
                shown(import.ty())
            ));
        }
        help.extend(advice.filter(|advice| help.len() < NAMED && !help.contains(advice)));
    }
    if missing.len() > NAMED {
        failure =
            failure.because(format!("and {} more are missing", grouped((missing.len() - NAMED) as u64)));
    }
    help.into_iter().fold(failure, Failure::help).into()
}
