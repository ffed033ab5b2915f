//! `wasmrun explore`: a page that shows functions as WebAssembly, bytecode, intermediate code and machine code, side
//! by side.
//!
//! Nothing is run. `wat` prints the WebAssembly, the engine knows the rest, and `page` makes one file of it that
//! needs no other. Functions are compiled one after the other until the page is full.

mod page;
mod wat;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use wasmrun::Module;
use wasmrun_runtime::module::ExternIndex;

use crate::args::ExploreArgs;
use crate::errors::{Failure, Outcome};
use crate::time_limit::TimeLimit;
use crate::wording::{grouped, listed, plural, shown};
use crate::{file_arg, load, out_file, output};

use page::Page;

/// Functions whose text is printed in one go.
const BATCH: usize = 256;

/// Runs the command.
pub fn run(args: &ExploreArgs) -> Outcome {
    let limit = TimeLimit::starting_now(args.options.timeout);
    let module = load::module(&load::engine_to_look(&args.options)?, &args.file, &limit)?;
    let wanted = wanted(&module, args)?;
    let page = limit.watch(&args.file, "exploring it", || gather(&module, &wanted, args))??;
    let (shown_functions, left_out) = (page.functions(), wanted.len() - page.functions());
    let html = page.finish();
    if left_out > 0 {
        let functions = plural(left_out as u64, "function");
        output::note(&format!(
            "note: {functions} left out: the page is full; `--function NAME|INDEX` chooses, `--max-page SIZE` makes room\n"
        ));
    }
    let to = args.output.clone().unwrap_or_else(|| page_name(&args.file));
    out_file::write(&to, &args.file, html.as_bytes(), &limit)?;
    if out_file::is_stdout(&to) {
        return Ok(());
    }
    let bytes = grouped(html.len() as u64);
    let functions = plural(shown_functions as u64, "function");
    output::print(&format!("{}: {functions}, {bytes} bytes\n", shown(to.display())))
}

/// The name of the page where the command line gives none: in the current directory.
fn page_name(file: &Path) -> PathBuf {
    let stem = if file_arg::is_stdin(file) { None } else { file.file_stem() };
    let mut name = stem.unwrap_or("stdin".as_ref()).to_owned();
    name.push(".explore.html");
    name.into()
}

/// The indices of the functions that were asked for, in ascending order.
fn wanted(module: &Module, args: &ExploreArgs) -> Outcome<Vec<u32>> {
    let runtime = module.runtime();
    let defined = runtime.imported_function_count()..runtime.function_count();
    if args.functions.is_empty() {
        return Ok(defined.collect());
    }
    let mut wanted = Vec::new();
    for name in &args.functions {
        let before = wanted.len();
        match name.parse() {
            Ok(index) if index < defined.end => wanted.push(index),
            _ => {
                wanted.extend(defined.clone().filter(|f| runtime.function_name(*f) == Some(name)));
                if let Some(ExternIndex::Func(function)) = runtime.export(name) {
                    wanted.push(function);
                }
            }
        }
        if wanted.len() == before {
            let file = file_arg::display_name(&args.file);
            let names = defined.clone().filter_map(|function| runtime.function_name(function));
            let failure = Failure::usage(format!("{file} has no function `{}`", shown(name)));
            let known = listed(names, 8, |name| format!("`{}`", shown(name)));
            return Err(match known {
                Some(names) => failure.help(format!("it has {names}")),
                None => failure.help(format!(
                    "its functions have no names, but indices from {} to {}",
                    defined.start,
                    defined.end.saturating_sub(1)
                )),
            });
        }
    }
    wanted.sort_unstable();
    wanted.dedup();
    if let Some(imported) = wanted.first().filter(|function| **function < defined.start) {
        return Err(Failure::usage(format!("the function {imported} is imported: it has no code here")));
    }
    Ok(wanted)
}

/// Adds functions to a page until it is full.
fn gather(module: &Module, wanted: &[u32], args: &ExploreArgs) -> Outcome<Page> {
    let mut exports = HashMap::new();
    for export in module.runtime().exports() {
        if let ExternIndex::Func(function) = export.index {
            exports.entry(function).or_insert(&export.name);
        }
    }
    let mut page = Page::new(&args.file);
    // A page may be made for one function of many: the first batches are small.
    let mut batches = wanted;
    let mut size = 16;
    while !batches.is_empty() {
        let (batch, rest) = batches.split_at(size.min(batches.len()));
        let texts = wat::texts(module.runtime(), batch);
        for (function, text) in batch.iter().zip(texts) {
            if page.len() as u64 >= args.max_page {
                page.leave_out(wanted.len() - page.functions());
                return Ok(page);
            }
            let mut explored = module.explore(*function).map_err(|error| {
                Failure::new(format!("the function {function} cannot be shown")).because_of(error.chain())
            })?;
            // Where names are stripped, exports have names still.
            explored.name = explored.name.or_else(|| exports.get(function).map(ToString::to_string));
            page.add(text, explored);
        }
        batches = rest;
        size = (size * 2).min(BATCH);
    }
    Ok(page)
}
