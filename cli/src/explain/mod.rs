//! `wasmrun explain`: what a module could do if it were run with these options.
//!
//! Each import belongs to a class of power, its capability. An option grants the capability, or one would,
//! or nothing provides the import at all. Nothing is run.

mod text;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::Serialize;
use wasmrun_wasi::abi::Class;
use wasmrun_wasi::caps::{self, CapReport};

use crate::args::{Options, RunArgs};
use crate::errors::Outcome;
use crate::inspect::{self, Inspection};
use crate::time_limit::TimeLimit;
use crate::{guest, imports, load, output};

/// The whole answer. The names of the fields are those of the JSON.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// Path as it was given.
    pub file: PathBuf,
    /// In file order.
    pub imports: Vec<ImportRow>,
    /// Options that grant what no import could use.
    pub unused: Vec<String>,
    /// What the guest would be given.
    pub grants: CapReport,
}

/// An import and what would become of it.
#[derive(Debug, Serialize)]
pub struct ImportRow {
    /// Module part of its name.
    pub module: String,
    /// Field part of its name.
    pub name: String,
    /// `func`, `table`, `memory`, `global` or `tag`.
    pub kind: &'static str,
    /// What it gives power over; none for what is not WASI.
    pub capability: Option<Class>,
    /// What would become of it.
    pub status: Status,
    /// What grants or provides it: options, or `always`.
    pub by: Vec<String>,
    /// The option that would grant or provide it.
    pub option: Option<String>,
    /// Where modules with such an import come from, or why the option does not help.
    pub hint: Option<String>,
}

/// What would become of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It can be called and finds what it is for.
    Granted,
    /// It can be called but finds nothing: it fails.
    Denied,
    /// Nothing provides it: the module cannot be run.
    Missing,
}

/// Runs the command.
pub fn run(run: &RunArgs, json: bool) -> Outcome {
    let explanation = explain(run)?;
    if json { output::print_json(&explanation) } else { output::print(&text::render(&explanation)) }
}

fn explain(run: &RunArgs) -> Outcome<Explanation> {
    let limit = TimeLimit::starting_now(run.options.timeout);
    let module = interface(&run.file, &run.options, &limit)?;
    let grants = guest::wasi(run)?.report().clone();
    let preloads = run
        .options
        .preloads
        .iter()
        .map(|preload| {
            let exports = interface(&preload.file, &run.options, &limit)?.exports;
            let exports = exports.into_iter().map(|export| export.name).collect();
            Ok(Provider { name: &preload.name, option: option_of(preload), exports })
        })
        .collect::<Outcome<Vec<_>>>()?;
    let imports: Vec<_> =
        module.imports.into_iter().map(|import| row(import, &run.options, &grants, &preloads)).collect();
    let unused = unused(&run.options, &imports);
    Ok(Explanation { file: run.file.clone(), imports, unused, grants })
}

/// A module that is preloaded.
struct Provider<'a> {
    name: &'a str,
    option: String,
    exports: HashSet<String>,
}

fn option_of(preload: &crate::args::Preload) -> String {
    format!("--preload {}={}", preload.name, preload.file.display())
}

fn interface(file: &Path, options: &Options, limit: &TimeLimit) -> Outcome<Inspection> {
    let bytes = load::any_binary(file, options, limit)?;
    limit.watch(file, "validating it", || inspect::read::inspect(file, &bytes, Vec::new()))?
}

fn row(
    import: inspect::Import,
    options: &Options,
    grants: &CapReport,
    preloads: &[Provider<'_>],
) -> ImportRow {
    let inspect::Import { module, name, kind, ty } = import;
    let mut row = ImportRow {
        module,
        name,
        kind,
        capability: None,
        status: Status::Missing,
        by: Vec::new(),
        option: None,
        hint: None,
    };
    // A preloaded module stands in front of WASI.
    let providers: Vec<_> = preloads.iter().filter(|p| p.name == row.module).collect();
    if let Some(provider) = providers.iter().find(|p| p.exports.contains(&row.name)) {
        row.status = Status::Granted;
        row.by.push(provider.option.clone());
        return row;
    }
    if let Some(class) = imports::wasi_class(&row.module, &row.name).filter(|_| kind == "func") {
        row.capability = Some(class);
        row.by = granting(class, options);
        row.status = if grants.grants(class) { Status::Granted } else { Status::Denied };
        if row.status == Status::Denied {
            row.option = would_grant(class, options);
            row.hint = row.option.is_none().then(|| "no option grants this yet".to_owned());
        }
        return row;
    }
    if caps::classify(&row.module, &row.name) == Class::Threads || kind == "memory" && ty.ends_with(" shared")
    {
        row.capability = (kind == "func").then_some(Class::Threads);
        row.by = granting(Class::Threads, options);
        match row.by.is_empty() {
            true => row.option = Some("-S threads".to_owned()),
            false => row.status = Status::Granted,
        }
        return row;
    }
    if let Some(provider) = providers.first() {
        row.hint = Some(format!("`{}` does not export it", provider.option));
        return row;
    }
    let advice = imports::advise(&row.module, &row.name);
    row.hint = advice.origin;
    if row.hint.is_none() {
        row.option = Some(format!("--preload {}=FILE", row.module));
    }
    row
}

/// What grants a class, given that it is granted.
fn granting(class: Class, options: &Options) -> Vec<String> {
    let dirs = |writable: bool| {
        options.all_dirs().filter(|dir| !(writable && dir.read_only)).map(|dir| dir.option.clone()).collect()
    };
    match class {
        Class::FsRead => dirs(false),
        Class::FsWrite => dirs(true),
        Class::Env => {
            let all = options.inherit_env.then(|| "--inherit-env".to_owned());
            all.into_iter()
                .chain(options.env.iter().map(|env| format!("--env {}", env.name.display())))
                .collect()
        }
        Class::Threads => options.threads.then(|| "-S threads".to_owned()).into_iter().collect(),
        Class::Listen | Class::Unknown => Vec::new(),
        Class::Args | Class::Clock | Class::Random | Class::Stdio | Class::Process => {
            vec!["always".to_owned()]
        }
    }
}

/// The option that would grant a class that is denied.
fn would_grant(class: Class, options: &Options) -> Option<String> {
    match class {
        Class::FsRead => Some("--dir HOST".to_owned()),
        Class::FsWrite if options.all_dirs().next().is_some() => Some("--dir HOST without ::ro".to_owned()),
        Class::FsWrite => Some("--dir HOST".to_owned()),
        Class::Env => Some("--env NAME[=VALUE] or --inherit-env".to_owned()),
        _ => None,
    }
}

fn unused(options: &Options, imports: &[ImportRow]) -> Vec<String> {
    let uses = |classes: &[Class]| imports.iter().any(|i| i.capability.is_some_and(|c| classes.contains(&c)));
    let mut unused = Vec::new();
    if !uses(&[Class::FsRead, Class::FsWrite]) {
        unused.extend(granting(Class::FsRead, options));
    }
    if !uses(&[Class::Env]) {
        unused.extend(granting(Class::Env, options));
    }
    let preloads = options.preloads.iter().map(option_of);
    unused.extend(preloads.filter(|option| !imports.iter().any(|import| import.by.contains(option))));
    unused
}
