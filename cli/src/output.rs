//! The command's own standard output: what `inspect`, `explain`, `wast`, `completion` and `--invoke` print.
//!
//! A reader that has seen enough and closes the pipe is no error: the command stops quietly.

use std::io::{self, Write as _};

use crate::errors::{Failure, Outcome};

/// Writes `text` to stdout, and all of it before it returns.
pub fn print(text: &str) -> Outcome {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new("cannot write to the standard output").because(error))
        }
        _ => Ok(()),
    }
}

/// Writes `value` as indented JSON, followed by a newline.
pub fn print_json(value: &impl serde::Serialize) -> Outcome {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::new("cannot write JSON").because(error))?;
    text.push('\n');
    print(&text)
}

/// A number of things, in words.
pub fn plural(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
