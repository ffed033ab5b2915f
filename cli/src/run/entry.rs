//! Which exported function is called, with what, and what is done with its results.

use wasmrun::{ExternType, FuncType, Instance, Module, Store, Val};

use super::Host;
use super::end::Stopped;
use crate::args::RunArgs;
use crate::errors::{Failure, Outcome};
use crate::wording::shown;
use crate::{file_arg, output, values, wording};

/// What to call.
pub enum Entry {
    /// `_start` of a command.
    Start,
    /// A function by name, with its arguments read.
    Invoke {
        /// Its name.
        name: String,
        /// Its arguments.
        args: Vec<Val>,
        /// The number of its results.
        results: usize,
    },
    /// Nothing: the module is a library.
    Nothing,
}

/// Decides before anything is run.
pub fn choose(run: &RunArgs, module: &Module) -> Outcome<Entry> {
    let Some(name) = &run.options.invoke else {
        let is_command = matches!(module.get_export("_start"), Some(ExternType::Func(_)));
        return Ok(if is_command { Entry::Start } else { Entry::Nothing });
    };
    let (file, shown_name) = (file_arg::display_name(&run.file), shown(name));
    let ty = match module.get_export(name) {
        Some(ExternType::Func(ty)) => ty,
        Some(other) => {
            let failure = Failure::new(format!("`{shown_name}` of {file} is no function but a {other}"));
            return Err(callable(module).into_iter().fold(failure, Failure::help));
        }
        None => {
            let failure = Failure::new(format!("{file} exports no function `{shown_name}`"));
            return Err(callable(module).into_iter().fold(failure, Failure::help));
        }
    };
    Ok(Entry::Invoke { name: name.clone(), args: arguments(run, name, &ty)?, results: ty.results().len() })
}

fn arguments(run: &RunArgs, name: &str, ty: &FuncType) -> Outcome<Vec<Val>> {
    let (name, params) = (shown(name), ty.params());
    if run.args.len() != params.len() {
        return Err(Failure::usage(format!(
            "`{name}` is {} and takes {}, but {} given",
            shown(ty),
            wording::plural(params.len() as u64, "argument"),
            match run.args.len() {
                1 => "1 is".to_owned(),
                count => format!("{count} are"),
            }
        )));
    }
    run.args
        .iter()
        .zip(params)
        .enumerate()
        .map(|(i, (arg, ty))| {
            let text = arg.to_string_lossy();
            values::parse(&text, ty)
                .map_err(|message| Failure::usage(format!("argument {} of `{name}`: {message}", i + 1)))
        })
        .collect()
}

impl Entry {
    /// Calls it.
    pub fn call<W: 'static>(
        &self,
        run: &RunArgs,
        instance: &Instance,
        store: &mut Store<Host<W>>,
    ) -> Result<(), Stopped> {
        if !matches!(self, Entry::Start)
            && let Some(initialize) = instance.get_func(&mut *store, "_initialize")
        {
            initialize.call(&mut *store, &[], &mut []).map_err(Stopped::Guest)?;
        }
        match self {
            Entry::Start => call(instance, store, "_start", &[], 0).map(drop),
            Entry::Invoke { name, args, results } => {
                let results = call(instance, store, name, args, *results)?;
                let lines: String = results.iter().map(|value| values::print(value) + "\n").collect();
                Ok(output::print(&lines)?)
            }
            Entry::Nothing => {
                note_nothing_to_call(run, &instance.module(&*store));
                Ok(())
            }
        }
    }
}

fn call<W: 'static>(
    instance: &Instance,
    store: &mut Store<Host<W>>,
    name: &str,
    args: &[Val],
    results: usize,
) -> Result<Vec<Val>, Stopped> {
    let func =
        instance.get_func(&mut *store, name).ok_or_else(|| Failure::new(format!("no function `{name}`")))?;
    let mut values = vec![Val::I32(0); results];
    func.call(&mut *store, args, &mut values).map_err(Stopped::Guest)?;
    Ok(values)
}

/// Says on stderr that a library has been started and nothing more, and what could be called.
fn note_nothing_to_call(run: &RunArgs, module: &Module) {
    let file = file_arg::display_name(&run.file);
    let mut note = format!("note: {file} has no `_start` to call\n");
    if run.args.first().is_some_and(|arg| arg.as_encoded_bytes().starts_with(b"--")) {
        note.push_str("help: options come before FILE; everything behind it goes to the guest\n");
    }
    if let Some(help) = callable(module) {
        note.push_str(&format!("help: {help}\n"));
    }
    output::note(&note);
}

/// What `--invoke` could call, if there is anything.
fn callable(module: &Module) -> Option<String> {
    const NAMED: usize = 12;
    let functions = module
        .exports()
        .filter(|export| !matches!(export.name(), "_start" | "_initialize"))
        .filter_map(|export| Some((export.name(), export.ty().func().cloned()?)));
    let list = wording::listed(functions, NAMED, |(name, ty)| format!("`{}` {}", shown(name), shown(ty)))?;
    Some(format!("`--invoke FUNC` can call {list}"))
}
