//! Names from the custom section `name`, read when the first backtrace asks for them.
//!
//! The section is advisory: what is malformed in it is skipped, never an error.

use std::collections::HashMap;

use wasmparser::{BinaryReader, Name, NameSectionReader};

/// The module's and its functions' names.
#[derive(Debug, Default)]
pub struct Names {
    module: Option<String>,
    functions: HashMap<u32, String>,
}

impl Names {
    /// Reads the contents of a name section.
    pub(crate) fn parse(section: &[u8]) -> Names {
        let mut names = Names::default();
        for subsection in NameSectionReader::new(BinaryReader::new(section, 0)) {
            match subsection {
                Ok(Name::Module { name, .. }) => names.module = Some(printable(name)),
                Ok(Name::Function(map)) => {
                    for naming in map.into_iter().map_while(Result::ok) {
                        names.functions.insert(naming.index, printable(naming.name));
                    }
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
        names
    }

    pub(crate) fn module(&self) -> Option<&str> {
        self.module.as_deref()
    }

    pub(crate) fn function(&self, function: u32) -> Option<&str> {
        self.functions.get(&function).map(String::as_str)
    }
}

/// A name without characters that are none to [print](is_printable).
pub fn printable(name: &str) -> String {
    name.chars().map(|c| if is_printable(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// Whether a character is one to read. Names are printed on terminals and in logs, where others are commands: control
/// characters, ends of lines and paragraphs, and those that change the direction of what stands around them (Unicode
/// Standard Annex 9, section 2), which can make a line read as another one.
pub fn is_printable(c: char) -> bool {
    let separates = matches!(c, '\u{2028}' | '\u{2029}');
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !(c.is_control() || separates || turns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_commands_a_terminal_or_turns_a_line_is_no_part_of_a_name() {
        let turned =
            "\u{61c}\u{200e}\u{200f}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}";
        for bad in turned.chars().chain("\0\n\x1b\x7f\u{9b}\u{2028}\u{2029}".chars()) {
            assert_eq!(printable(&format!("a{bad}b")), "a\u{fffd}b");
        }
        // Scripts that are written from right to left are text, and so are the joiners of others.
        let text = "שלום سلام क्‍ष ñ ∂ 🦀";
        assert_eq!(printable(text), text);
    }
}
