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

/// A name without control characters: names are printed on terminals, where those would be commands.
pub fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}
