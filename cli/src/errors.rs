//! Errors as people read them, and the exit code that each ends with.
//!
//! ```text
//! error: what failed
//! caused by: why
//! wasm backtrace:
//!     0: 0x2a - module!function
//!               at src/lib.rs:10:4
//! help: what to do next
//! ```
//! In place of the backtrace there can be an excerpt of a text. Everything goes to stderr. Colours are for
//! terminals only, and `NO_COLOR` switches them off. Guests have a say in many of these texts, so no control
//! character gets through, and no line of ours can be forged.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};

use crate::wording;

/// The exit codes of this command. What `proc_exit` says passes through.
pub mod exit {
    /// A module could not be loaded or linked, or a check failed.
    pub const FAILURE: u8 = 1;
    /// The command line is wrong.
    pub const USAGE: u8 = 2;
    /// The guest trapped: what a shell reports for a process that ended by `SIGABRT`.
    pub const TRAP: u8 = 134;
}

/// What helps where the system lets this process open too few files.
pub const MORE_FILES: &str = "`ulimit -n` says how many files may be open, and `ulimit -n 256` allows more";

/// What helps where the system gives this process too little memory.
pub const MORE_MEMORY: &str = "`ulimit -v` says how many KiB of addresses this process may have";

/// What a command returns: nothing, or why it failed.
pub type Outcome<T = ()> = Result<T, Failure>;

/// A failure of the command, ready to be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    message: String,
    causes: Vec<String>,
    details: String,
    help: Vec<String>,
    code: u8,
}

/// Characters of a line that are shown; the names and arguments in it may be longer.
const LONGEST_LINE: usize = 2000;

impl Failure {
    /// A failure with the code [`exit::FAILURE`].
    pub fn new(message: impl Into<String>) -> Failure {
        Failure {
            message: message.into(),
            causes: Vec::new(),
            details: String::new(),
            help: Vec::new(),
            code: exit::FAILURE,
        }
    }

    /// A mistake on the command line that clap could not see.
    pub fn usage(message: impl Into<String>) -> Failure {
        Failure::new(message).code(exit::USAGE)
    }

    /// The same with another exit code.
    pub fn code(mut self, code: u8) -> Failure {
        self.code = code;
        self
    }

    /// The same with one more cause.
    pub fn because(mut self, cause: impl ToString) -> Failure {
        self.causes.push(cause.to_string());
        self
    }

    /// The same with the links of an error's chain as causes, outermost first.
    pub fn because_of<'a>(self, chain: impl Iterator<Item = &'a (dyn Error + 'static)>) -> Failure {
        chain.fold(self, |failure, link| {
            let text = link.to_string();
            // Some errors repeat their source in their own text.
            let repeated = failure.causes.last().is_some_and(|last| last.ends_with(&text));
            if repeated { failure } else { failure.because(text) }
        })
    }

    /// How many causes it has.
    pub fn causes(&self) -> usize {
        self.causes.len()
    }

    /// The same with lines behind the causes that are laid out already: a backtrace or an excerpt.
    pub fn details(mut self, details: impl Into<String>) -> Failure {
        self.details = details.into();
        self
    }

    /// The same with one more thing that the user can do.
    pub fn help(mut self, help: impl Into<String>) -> Failure {
        self.help.push(help.into());
        self
    }

    /// Prints it and returns the exit code.
    pub fn report(&self) -> u8 {
        let stderr = io::stderr();
        let colours = stderr.is_terminal()
            && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        // Nobody is left to be told that stderr is closed.
        let _ = stderr.lock().write_all(self.render(colours).as_bytes());
        self.code
    }

    fn render(&self, colours: bool) -> String {
        const RED: &str = "\x1b[1;31m";
        const YELLOW: &str = "\x1b[33m";
        const CYAN: &str = "\x1b[36m";
        let paint = |colour: &str, label: &str| {
            if colours { format!("{colour}{label}\x1b[0m") } else { label.to_owned() }
        };
        let line = |text: &str| wording::cut(text, LONGEST_LINE);
        let mut out = format!("{} {}\n", paint(RED, "error:"), line(&self.message));
        for cause in &self.causes {
            let _ = writeln!(out, "{} {}", paint(YELLOW, "caused by:"), line(cause));
        }
        if !self.details.is_empty() {
            let _ = writeln!(out, "{}", wording::shown_lines(self.details.trim_end()));
        }
        for help in &self.help {
            let _ = writeln!(out, "{} {}", paint(CYAN, "help:"), line(help));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_come_in_order_and_without_colours_are_plain() {
        let failure = Failure::new("it failed")
            .because("reason")
            .because("deeper reason")
            .details("wasm backtrace:\n    0: 0x1 - m!f\n")
            .help("do this");
        assert_eq!(
            failure.render(false),
            "error: it failed\ncaused by: reason\ncaused by: deeper reason\nwasm backtrace:\n    0: 0x1 - m!f\nhelp: do this\n"
        );
        assert!(failure.render(true).starts_with("\x1b[1;31merror:\x1b[0m it failed\n"));
    }

    #[test]
    fn no_text_can_command_the_terminal_or_forge_a_line() {
        let evil = "x\x1b[2J\nhelp: y";
        let text = Failure::new(evil).because(evil).details(evil).help(evil).render(false);
        assert!(!text.contains('\x1b'), "{text:?}");
        // Only details have lines of their own.
        assert_eq!(text.lines().filter(|line| *line == "help: y").count(), 1, "{text:?}");
    }

    #[test]
    fn a_source_that_the_error_already_quotes_is_not_repeated() {
        let inner: &(dyn Error + 'static) = &io::Error::other("disk on fire");
        let outer: &(dyn Error + 'static) = &io::Error::other("cannot read: disk on fire");
        let chain = [outer, inner].into_iter();
        assert_eq!(Failure::new("x").because_of(chain).causes, ["cannot read: disk on fire"]);
    }
}
