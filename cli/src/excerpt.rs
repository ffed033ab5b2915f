//! The place of an error in a text: its line or, where that is long, what stands around the column.
//!
//! The parser of the text format says what is wrong and where in one string; `source` turns that into a
//! cause and an excerpt. Files made by programs may have a single line of many megabytes.

use crate::wording;

/// Characters that are shown on each side of the column.
const AROUND: usize = 60;

/// The parser's message, and the excerpt of `text` that shows where in `file` it applies.
pub fn split(error: &str, file: &str, text: &str) -> (String, String) {
    let Some((message, line, column)) = place(error) else { return (error.to_owned(), String::new()) };
    let source = text.lines().nth(line - 1).unwrap_or_default();
    let (before, shown) = around(source, column - 1);
    let excerpt = format!(
        "     --> {file}:{line}:{column}\n      |\n {line:4} | {shown}\n      | {}^",
        " ".repeat(before)
    );
    (message.to_owned(), excerpt)
}

/// Message, line and column, both from 1, out of `MESSAGE at FILE:LINE:COLUMN`, or out of the same with an
/// arrow before FILE and the line behind it.
fn place(error: &str) -> Option<(&str, usize, usize)> {
    let (message, rest) = match error.split_once("\n     --> ") {
        Some((message, rest)) => (message, rest.lines().next()?),
        None => error.rsplit_once(" at ")?,
    };
    let mut parts = rest.rsplitn(3, ':');
    let (column, line) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (line > 0 && column > 0).then_some((message, line, column))
}

/// What to show of `source`, and how many characters of that stand before `column`.
fn around(source: &str, column: usize) -> (usize, String) {
    let from = column.saturating_sub(AROUND);
    let mut rest = source.chars().skip(from);
    let mut shown: String = rest.by_ref().take(2 * AROUND).map(|c| if c == '\t' { ' ' } else { c }).collect();
    if rest.next().is_some() {
        shown.push('…');
    }
    let start = if from > 0 { "…" } else { "" };
    (column - from + start.chars().count(), wording::shown(format!("{start}{shown}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (String, String) {
        let mut error = wat::parse_str(text).unwrap_err();
        error.set_path("f.wat");
        split(&error.to_string(), "f.wat", text)
    }

    #[test]
    fn a_short_line_is_shown_whole() {
        let (message, excerpt) = parse("(module\n\t(oops))");
        assert_eq!(message, "expected valid module field");
        assert_eq!(excerpt, "     --> f.wat:2:3\n      |\n    2 |  (oops))\n      |   ^");
    }

    #[test]
    fn of_a_long_line_what_is_around_the_column_is_shown_with_the_mark_below_it() {
        for before in [0, 10, 100, 400, 100_000] {
            let (_, excerpt) = parse(&format!("(;{};)oops{}", "x".repeat(before), "y".repeat(100_000)));
            let [_, _, line, mark] = excerpt.lines().collect::<Vec<_>>()[..] else { panic!("{excerpt}") };
            let at = mark.chars().position(|c| c == '^').unwrap();
            assert!(line.chars().skip(at).collect::<String>().starts_with("oopsyy"), "{excerpt}");
            assert!(line.ends_with("y…") && line.chars().count() < 150, "{excerpt}");
            assert_eq!(line.contains("| …x"), before > AROUND, "{excerpt}");
        }
    }

    #[test]
    fn what_has_no_place_is_left_alone() {
        for text in ["no place", "look at me", "at:0:0", "x at f:1:z"] {
            assert_eq!(split(text, "f", "text"), (text.to_owned(), String::new()));
        }
    }
}
