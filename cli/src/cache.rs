//! `wasmrun cache`: how much there is in the cache of compiled code, and removing it.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;
use wasmrun::{Cache, CacheConfig, CacheStat, Error};

use crate::args::CacheCommand;
use crate::errors::{Failure, Outcome};
use crate::output;
use crate::wording::{grouped, shown};

/// The answer. The names of the fields are those of the JSON.
#[derive(Debug, Serialize)]
struct Answer {
    /// Where the cache is; none if there is no cache yet.
    directory: Option<PathBuf>,
    /// How many files are there, or have been removed.
    files: u64,
    /// Their bytes.
    bytes: u64,
}

/// Runs the command.
pub fn run(what: CacheCommand, json: bool) -> Outcome {
    let refuse = |error: Error| {
        Failure::new("the cache of compiled code cannot be used")
            .because_of(error.chain())
            .help("guests run without it; remove what is wrong, and it is made anew")
    };
    let cache = Cache::existing(CacheConfig::new()).map_err(refuse)?;
    let done = match (&cache, what) {
        (None, _) => CacheStat::default(),
        (Some(cache), CacheCommand::Stat) => cache.stat().map_err(refuse)?,
        (Some(cache), CacheCommand::Clean) => cache.clean().map_err(refuse)?,
    };
    let directory = cache.map(|cache| cache.directory().to_owned());
    let answer = Answer { directory, files: done.files, bytes: done.bytes };
    if json { output::print_json(&answer) } else { output::print(&text(&answer, what)) }
}

fn text(answer: &Answer, what: CacheCommand) -> String {
    let Some(directory) = &answer.directory else { return "there is no cache yet\n".to_owned() };
    let mut text = String::new();
    let done = if what == CacheCommand::Clean { "removed " } else { "" };
    let files = crate::wording::plural(answer.files, "file");
    let _ = writeln!(text, "{}: {done}{files}, {} bytes", shown(directory.display()), grouped(answer.bytes));
    text
}
