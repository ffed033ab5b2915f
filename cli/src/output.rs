//! What the command itself prints: to the standard output what `inspect`, `explain`, `explore`, `wast`, `completion`, `--help`
//! and `--invoke` answer, and to stderr what is remarked. Files that it makes are `out_file`'s.
//!
//! A reader that has seen enough and closes the pipe is no error: the command stops quietly. Any other
//! failure to write is one.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use wasmrun_runtime::is_printable;

use crate::errors::{Failure, Outcome};

/// Writes `text` to stdout, and all of it before it returns.
pub fn print(text: &(impl AsRef<[u8]> + ?Sized)) -> Outcome {
    let mut stdout = io::stdout().lock();
    written(stdout.write_all(text.as_ref()).and_then(|()| stdout.flush()))
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
        // JSON need not escape all characters that are none to read, but some terminals obey those that it leaves.
        if !is_printable(c) && c != '\n' {
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
    }
    text.push('\n');
    Ok(text)
}
