//! Hints about branches from the custom section `metadata.code.branch_hint`, read when the first function is compiled.
//!
//! The section is advisory: one that is malformed hints at nothing, and is never an error.

use std::ops::Range;

use wasmparser::{BinaryReader, BranchHintSectionReader};

/// Which branches are said to be taken, by the offset of the instruction in the module.
#[derive(Debug, Default)]
pub(crate) struct BranchHints(Box<[(u32, bool)]>);

impl BranchHints {
    /// Reads the contents of such a section; `body` answers where the body of a function is in the module.
    pub(crate) fn parse(section: &[u8], body: impl Fn(u32) -> Option<Range<u32>>) -> BranchHints {
        BranchHints::try_parse(section, body).unwrap_or_default()
    }

    fn try_parse(section: &[u8], body: impl Fn(u32) -> Option<Range<u32>>) -> Option<BranchHints> {
        let mut hints = Vec::new();
        for function in BranchHintSectionReader::new(BinaryReader::new(section, 0)).ok()? {
            let function = function.ok()?;
            let body = body(function.func)?;
            for hint in function.hints {
                let hint = hint.ok()?;
                let at = body.start.checked_add(hint.func_offset).filter(|at| *at < body.end)?;
                // In ascending order, so that there is at most one hint for each place.
                if hints.last().is_some_and(|(last, _)| *last >= at) {
                    return None;
                }
                hints.push((at, hint.taken));
            }
        }
        Some(BranchHints(hints.into()))
    }

    /// Whether the branch at an offset in the module is said to be taken; `None` if nothing is said.
    pub(crate) fn at(&self, at: u32) -> Option<bool> {
        let found = self.0.binary_search_by_key(&at, |(at, _)| *at).ok()?;
        Some(self.0[found].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(section: &[u8]) -> BranchHints {
        let bodies = [10..20, 30..50];
        BranchHints::parse(section, |function| bodies.get(function as usize).cloned())
    }

    #[test]
    fn hints_are_found_by_their_place_in_the_module() {
        let hints = parse(&[2, 0, 1, 3, 1, 0, 1, 2, 4, 1, 1, 5, 1, 0]);
        assert_eq!([13, 34, 35, 14].map(|at| hints.at(at)), [Some(false), Some(true), Some(false), None]);
    }

    #[test]
    fn malformed_hints_hint_at_nothing() {
        let good = [1, 0, 2, 3, 1, 0, 4, 1, 1];
        assert_eq!(parse(&good).at(13), Some(false));
        // Too short, behind the end, of no function, of another size, of no meaning, not in order, behind the body.
        let wrong: [&[u8]; 8] = [
            &[],
            &good[..8],
            &[1, 0, 2, 3, 1, 0, 4, 1, 1, 0],
            &[1, 7, 2, 3, 1, 0, 4, 1, 1],
            &[1, 0, 2, 3, 2, 0, 4, 1, 1],
            &[1, 0, 2, 3, 1, 0, 4, 1, 2],
            &[1, 0, 2, 3, 1, 0, 3, 1, 1],
            &[1, 0, 2, 3, 1, 0, 10, 1, 1],
        ];
        for section in wrong {
            assert_eq!(parse(section).at(13), None, "{section:?}");
        }
        assert_eq!(parse(&[0xff; 20]).at(13), None);
    }
}
