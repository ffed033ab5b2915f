//! What the command itself writes: to the standard output what `inspect`, `explain`, `explore`, `wast`, `completion`, `--help`
//! and `--invoke` print, and files.
//!
//! A reader that has seen enough and closes the pipe is no error: the command stops quietly. Any other
//! failure to write is one. A file is complete from the moment at which it has its name.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::errors::{Failure, Outcome};
use crate::file_arg::{display_name, is_stdin};

/// Writes `text` to stdout, and all of it before it returns.
pub fn print(text: &str) -> Outcome {
    let mut stdout = io::stdout().lock();
    written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

/// What became of writing to stdout.
pub fn written(result: io::Result<()>) -> Outcome {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new("cannot write to the standard output").because(error))
        }
        _ => Ok(()),
    }
}

/// Writes a remark to stderr. Nobody is left to be told when that is not possible.
pub fn note(text: &str) {
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Writes a file that was made of another one, in place of one that there may be; but not of that other one.
pub fn write_file(path: &Path, made_of: &Path, bytes: &[u8]) -> Outcome {
    if is_same(path, made_of) {
        return Err(Failure::usage(format!(
            "{} would replace the file that it is made of",
            display_name(path)
        ))
        .help("`-o OUT` says what file to write"));
    }
    replace(path, bytes)
        .map_err(|error| Failure::new(format!("cannot write {}", display_name(path))).because(error))
}

fn is_same(one: &Path, other: &Path) -> bool {
    let file =
        |path| fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|there| (there.dev(), there.ino()));
    !is_stdin(other) && file(one).is_some() && file(one) == file(other)
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // What a link leads to is replaced, not the link.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    // A device or a pipe is written to, and not replaced.
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return fs::write(path, bytes);
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let as_umask_says = Permissions::from_mode(0o666);
    let mut file =
        tempfile::Builder::new().prefix(".wasmrun-").permissions(as_umask_says).tempfile_in(directory)?;
    file.write_all(bytes)?;
    file.persist(path)?;
    Ok(())
}

/// Writes `value` as indented JSON, followed by a newline.
pub fn print_json(value: &impl serde::Serialize) -> Outcome {
    print(&json(value)?)
}

/// `value` as indented JSON, followed by a newline.
pub fn json(value: &impl serde::Serialize) -> Outcome<String> {
    let json = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::new("cannot write JSON").because(error))?;
    let mut text = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        // JSON need not escape all control characters, but some terminals obey those that it leaves.
        if c.is_control() && c != '\n' {
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
    }
    text.push('\n');
    Ok(text)
}
