//! Pieces of the lines that people read, in outputs and in errors: texts in which a guest has a say, lists,
//! numbers.
//!
//! No control character gets through, and what nobody would read on is cut.

use std::fmt::Display;

use wasmrun_runtime::printable;

/// Characters of a guest's text that are shown. Names and types may have a hundred thousand.
const LONGEST: usize = 300;

/// Columns to which a list is aligned at most. A longer name pushes out its own line and no other.
const WIDEST: usize = 60;

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
