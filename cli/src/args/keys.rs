//! The letters in front of keys, like `-W` and `-O`, with their `key[=value][,key=value…]`, in wasmtime's spelling.

use std::ffi::OsStr;
use std::fmt::Write as _;

use wasmrun_runtime::features::PROPOSALS;

use super::options::Options;
use super::table::{GROUPS, Group, Key, Row, Takes, keys};
use super::units;

/// What a letter's value asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Asked {
    /// Options, now set.
    Options,
    /// The list of keys.
    Help,
}

/// Applies `key[=value][,key=value…]` behind `letter`.
pub fn apply(letter: &str, list: &OsStr, options: &mut Options) -> Result<Asked, String> {
    let list = list.to_str().ok_or_else(|| format!("`-{letter} {}` is not UTF-8", list.display()))?;
    for item in list.split(',') {
        let (name, value) = match item.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (item, None),
        };
        if name == "help" {
            return Ok(Asked::Help);
        }
        let key = find(letter, name)?;
        set(key, value, options).map_err(|message| format!("`-{letter} {item}`: {message}"))?;
    }
    Ok(Asked::Options)
}

fn set(key: Key, value: Option<&str>, options: &mut Options) -> Result<(), String> {
    match (key, value) {
        (Key::Row(row), Some(value)) => (row.set)(options, OsStr::new(value)),
        (Key::Row(row @ Row { takes: Takes::Switch, .. }), None) => (row.set)(options, OsStr::new("y")),
        (Key::Row(Row { takes: Takes::Value(name), .. }), None) => {
            Err(format!("the value {name} is missing"))
        }
        (Key::Proposal(proposal), value) => {
            let on = value.map_or(Ok(true), units::switch)?;
            options.proposals.push((proposal, on));
            Ok(())
        }
    }
}

fn find(letter: &str, name: &str) -> Result<Key, String> {
    if let Some((_, key)) = keys(letter).find(|(known, _)| *known == name) {
        return Ok(key);
    }
    if letter == "W" && PROPOSALS.iter().any(|p| p.name == name) {
        return Err(format!("`-W {name}`: the engine does not execute this proposal yet"));
    }
    let elsewhere = GROUPS.iter().find(|g| keys(g.letter).any(|(known, _)| known == name));
    let mut message = match elsewhere {
        Some(group) => format!("`-{letter}` has no key `{name}`; `-{} {name}` exists", group.letter),
        None => format!("`-{letter}` has no key `{name}`"),
    };
    let known: Vec<_> = keys(letter).map(|(known, _)| known).collect();
    let _ = write!(message, "\n\nKeys of -{letter}: {}", known.join(", "));
    Err(message)
}

/// The list that `-W help` prints.
pub fn help(group: &Group) -> String {
    let mut text = format!("{}\n\n", group.title);
    let lines: Vec<_> = keys(group.letter)
        .map(|(name, key)| match key {
            Key::Row(row) => (format!("-{} {name}{}", group.letter, value_of(row)), row.help.to_owned()),
            Key::Proposal(p) => {
                (format!("-W {name}[=y|n]"), format!("Switch the proposal `{}` on or off", p.name))
            }
        })
        .collect();
    let width = lines.iter().map(|(form, _)| form.len()).max().unwrap_or(0);
    for (form, help) in lines {
        let _ = writeln!(text, "  {form:width$}  {help}");
    }
    text
}

fn value_of(row: &Row) -> String {
    match row.takes {
        Takes::Value(name) => format!("={name}"),
        Takes::Switch => "[=y|n]".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::ROWS;
    use super::*;

    /// The page of the documentation that lists all options, in Markdown.
    fn page() -> String {
        let mut text = String::from(
            "# Options of `wasmrun run` and `wasmrun explain`\n\n\
             This page is made from the table in `cli/src/args/table.rs`: run `WASMRUN_BLESS=1 cargo test -p wasmrun-cli page`.\n\n\
             | long form | key | what it does |\n|---|---|---|\n",
        );
        for row in ROWS {
            let long = match (row.long, row.takes) {
                (Some(long), Takes::Value(name)) => cell(&format!("--{long} {name}")),
                (Some(long), Takes::Switch) => cell(&format!("--{long}")),
                (None, _) => String::new(),
            };
            let key =
                row.key.map_or(String::new(), |(l, name)| cell(&format!("-{l} {name}{}", value_of(row))));
            let _ = writeln!(text, "| {long} | {key} | {} |", row.help);
        }
        for proposal in PROPOSALS.iter().filter(|p| p.executed) {
            let key = cell(&format!("-W {}[=y|n]", proposal.name));
            let _ = writeln!(text, "|  | {key} | Switch the proposal `{}` on or off |", proposal.name);
        }
        text
    }

    fn cell(code: &str) -> String {
        format!("`{}`", code.replace('|', "\\|"))
    }

    fn applied(letter: &str, list: &str) -> Result<Options, String> {
        let mut options = Options::default();
        apply(letter, OsStr::new(list), &mut options).map(|_| options)
    }

    #[test]
    fn keys_set_what_the_long_options_set() {
        let options = applied("W", "fuel=10,max-memory-size=1MiB,timeout=2s,max-wasm-stack=64KiB").unwrap();
        assert_eq!(options.fuel, Some(10));
        assert_eq!(options.max_memory, Some(1 << 20));
        assert_eq!(options.timeout, Some(std::time::Duration::from_secs(2)));
        assert_eq!(options.max_stack, Some(64 << 10));
        assert!(applied("S", "inherit-env").unwrap().inherit_env);
        assert!(!applied("S", "inherit-env,inherit-env=n").unwrap().inherit_env);
        assert_eq!(applied("D", "max-backtrace=3").unwrap().max_backtrace, Some(3));
    }

    #[test]
    fn proposals_are_keys_of_w() {
        let options = applied("W", "tail-call=n,multi-memory").unwrap();
        let set: Vec<_> = options.proposals.iter().map(|(p, on)| (p.name, *on)).collect();
        assert_eq!(set, [("tail-call", false), ("multi-memory", true)]);
        for proposal in PROPOSALS.iter().filter(|p| !p.executed) {
            assert!(
                applied("W", proposal.name).unwrap_err().contains("does not execute"),
                "{}",
                proposal.name
            );
        }
    }

    #[test]
    fn an_unknown_key_is_answered_with_the_list() {
        let error = applied("W", "fule=1").unwrap_err();
        assert!(error.starts_with("`-W` has no key `fule`\n\nKeys of -W: timeout, fuel,"), "{error}");
        let error = applied("S", "fuel=1").unwrap_err();
        assert!(error.starts_with("`-S` has no key `fuel`; `-W fuel` exists\n\nKeys of -S: "), "{error}");
        let error = applied("W", "fuel").unwrap_err();
        assert_eq!(error, "`-W fuel`: the value N is missing");
    }

    #[test]
    fn every_letter_has_keys() {
        for group in GROUPS {
            assert!(keys(group.letter).next().is_some(), "{}", group.letter);
        }
    }

    #[test]
    fn no_key_and_no_long_form_is_listed_twice() {
        let mut names: Vec<_> = ROWS.iter().filter_map(|r| r.long).map(String::from).collect();
        for group in GROUPS {
            names.extend(keys(group.letter).map(|(name, _)| format!("{}{name}", group.letter)));
        }
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn each_row_of_the_page_of_options_has_three_cells() {
        let page = page();
        for row in page.lines().filter(|line| line.starts_with('|')) {
            let borders = row.replace("\\|", "").matches('|').count();
            assert_eq!(borders, 4, "{row}");
        }
    }

    #[test]
    fn the_page_of_options_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/options.md");
        if std::env::var_os("WASMRUN_BLESS").is_some() {
            std::fs::write(path, page()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), page(), "run it once with WASMRUN_BLESS=1");
    }
}
