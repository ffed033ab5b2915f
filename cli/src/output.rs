//! The command's own standard output: what `inspect`, `explain`, `wast`, `completion`, `--help` and `--invoke`
//! print, and how texts that a guest chose look there and in errors.
//!
//! A reader that has seen enough and closes the pipe is no error: the command stops quietly. Any other
//! failure to write is one.

use std::fmt::{Display, Write as _};
use std::io::{self, Write as _};

use wasmrun_runtime::printable;

use crate::errors::{Failure, Outcome};

/// Characters of a guest's text that are shown. Names and types may have a hundred thousand.
const LONGEST: usize = 300;

/// Columns to which a list is aligned at most. A longer name pushes out its own line and no other.
const WIDEST: usize = 60;

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

/// Writes `value` as indented JSON, followed by a newline.
pub fn print_json(value: &impl serde::Serialize) -> Outcome {
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
    print(&text)
}

/// A name, a type or another text in which a guest has a say, as part of a line: without control characters,
/// and cut where nobody would read on.
pub fn shown(text: impl Display) -> String {
    cut(&text.to_string(), LONGEST)
}

/// `text` as part of a line, without control characters and with no more than `longest` characters of it.
pub fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((at, _)) => printable(&text[..at]) + "…",
        None => printable(text),
    }
}

/// Some lines in which a guest has a say, without control characters but for the ends of the lines.
pub fn shown_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// The first `most` of `items`, and how many more there are.
pub fn listed<T>(
    items: impl IntoIterator<Item = T>,
    most: usize,
    show: impl FnMut(T) -> String,
) -> Option<String> {
    let mut items = items.into_iter();
    let first: Vec<_> = items.by_ref().take(most).map(show).collect();
    let more = match items.count() {
        0 => String::new(),
        count => format!(" and {} more", grouped(count as u64)),
    };
    if first.is_empty() { None } else { Some(first.join(", ") + &more) }
}

/// The width of a column that holds `names`.
pub fn width(names: &[String]) -> usize {
    names.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(WIDEST)
}

/// A number with its digits in groups of three.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things, in words.
pub fn plural(count: u64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_guests_have_no_control_characters_and_an_end() {
        assert_eq!(shown("a\x1b[31m\n\u{9b}b"), "a\u{fffd}[31m\u{fffd}\u{fffd}b");
        assert_eq!(shown("n".repeat(LONGEST)), "n".repeat(LONGEST));
        assert_eq!(shown("ñ".repeat(LONGEST + 1)), "ñ".repeat(LONGEST) + "…");
        assert_eq!(shown_lines("a\x07\nb\n"), "a\u{fffd}\nb\n");
    }

    #[test]
    fn lists_say_how_much_they_leave_out() {
        let list = |count: u32, most| listed(0..count, most, |n| n.to_string());
        assert_eq!(list(0, 2), None);
        assert_eq!(list(2, 2).unwrap(), "0, 1");
        assert_eq!(list(3, 2).unwrap(), "0, 1 and 1 more");
        assert_eq!(list(1_234_569, 2).unwrap(), "0, 1 and 1,234,567 more");
        assert_eq!((grouped(999), grouped(1000)), ("999".to_owned(), "1,000".to_owned()));
    }
}
