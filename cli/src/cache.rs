//! `wasmrun cache`: how much there is in the cache of compiled code, and removing it.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use serde::Serialize;
use wasmrun::{Cache, CacheConfig, CacheStat, Error};

use crate::args::CacheCommand;
use crate::errors::{Failure, MORE_FILES, MORE_MEMORY, Outcome};
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

fn refuse(error: Error) -> Failure {
    let failure = Failure::new("the cache of compiled code cannot be used").because_of(error.chain());
    help(&error).into_iter().fold(failure, Failure::help)
}

/// What the user can do, if that is known.
fn help(error: &Error) -> Option<&'static str> {
    let anew = "guests run without it; remove what is wrong, and it is made anew";
    // What the engine has judged itself is no error of the system.
    let Some(error) = error.downcast_ref::<io::Error>() else { return Some(anew) };
    match error.raw_os_error() {
        None if error.kind() == io::ErrorKind::NotFound => {
            Some("guests run without it; set XDG_CACHE_HOME or HOME to the path of a directory, from `/` on")
        }
        Some(libc::ENOTDIR | libc::ELOOP) => Some(anew),
        Some(libc::EMFILE | libc::ENFILE) => Some(MORE_FILES),
        Some(libc::ENOMEM) => Some(MORE_MEMORY),
        _ => None,
    }
}

fn text(answer: &Answer, what: CacheCommand) -> String {
    let Some(directory) = &answer.directory else { return "there is no cache yet\n".to_owned() };
    let mut text = String::new();
    let done = if what == CacheCommand::Clean { "removed " } else { "" };
    let files = crate::wording::plural(answer.files, "file");
    let _ = writeln!(text, "{}: {done}{files}, {} bytes", shown(directory.display()), grouped(answer.bytes));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_made_anew_is_to_be_removed() {
        let help =
            |error: Error| help(&error.context("/c/wasmrun cannot be used as a cache")).unwrap_or_default();
        let system = |code| help(io::Error::from_raw_os_error(code).into());
        let anew = "guests run without it; remove what is wrong, and it is made anew";
        assert_eq!(help(Error::msg("it is open to other users: its mode is 755")), anew);
        assert_eq!(system(libc::ENOTDIR), anew);
        assert_eq!((system(libc::EMFILE), system(libc::ENOMEM)), (MORE_FILES, MORE_MEMORY));
        assert_eq!((system(libc::EACCES), system(libc::EROFS)), ("", ""));
    }
}
