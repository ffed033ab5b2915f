//! What running scripts came to: counts, failures and skips with their lines, and how they are printed.
//! Every directive of a script counts once: as passed, failed or skipped.

use std::fmt;

/// A directive that failed or was skipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its line in the script, from 1; 0 is what concerns the script as a whole.
    pub line: usize,
    /// What was asked and what came, or the reason for skipping it: the name of a proposal where one is
    /// missing.
    pub message: String,
}

/// What running one script came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileReport {
    /// The script's path, or the name it was given.
    pub name: String,
    /// Number of directives that held.
    pub passed: usize,
    /// Those that did not.
    pub failures: Vec<Note>,
    /// Those that were not tried.
    pub skips: Vec<Note>,
}

impl FileReport {
    /// The reasons of the skips, each once, with the number of directives, most frequent first.
    pub fn skip_reasons(&self) -> Vec<(&str, usize)> {
        let mut reasons: Vec<(&str, usize)> = Vec::new();
        for skip in &self.skips {
            match reasons.iter_mut().find(|(reason, _)| *reason == skip.message) {
                Some((_, count)) => *count += 1,
                None => reasons.push((&skip.message, 1)),
            }
        }
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        reasons
    }
}

/// One line for the file, then one for each failure as `file:line: message`, or `file: message` where it has no line.
impl fmt::Display for FileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (failed, skipped) = (self.failures.len(), self.skips.len());
        write!(f, "{}: {} passed, {failed} failed, {skipped} skipped", self.name, self.passed)?;
        if skipped > 0 {
            let reasons: Vec<&str> = self.skip_reasons().into_iter().map(|(reason, _)| reason).collect();
            write!(f, " ({})", reasons.join("; "))?;
        }
        writeln!(f)?;
        for failure in &self.failures {
            match failure.line {
                0 => writeln!(f, "{}: {}", self.name, failure.message)?,
                line => writeln!(f, "{}:{line}: {}", self.name, failure.message)?,
            }
        }
        Ok(())
    }
}

/// What running all scripts came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// One entry for each script, in the order in which they ran.
    pub files: Vec<FileReport>,
}

impl Report {
    /// Number of directives that held.
    pub fn passed(&self) -> usize {
        self.files.iter().map(|file| file.passed).sum()
    }

    /// Number of directives that did not hold.
    pub fn failed(&self) -> usize {
        self.files.iter().map(|file| file.failures.len()).sum()
    }

    /// Number of directives that were not tried.
    pub fn skipped(&self) -> usize {
        self.files.iter().map(|file| file.skips.len()).sum()
    }

    /// The last line: `N passed, N failed, N skipped`.
    pub fn summary(&self) -> String {
        format!("{} passed, {} failed, {} skipped", self.passed(), self.failed(), self.skipped())
    }
}

/// The lines of all files, then the summary.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            write!(f, "{file}")?;
        }
        writeln!(f, "{}", self.summary())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(line: usize, message: &str) -> Note {
        Note { line, message: message.to_string() }
    }

    #[test]
    fn a_report_names_file_and_line_of_failures_and_the_reasons_of_skips() {
        let file = FileReport {
            name: "a.wast".to_string(),
            passed: 3,
            failures: vec![note(7, "expected 1, got 2")],
            skips: vec![note(1, "gc"), note(2, "simd"), note(3, "simd")],
        };
        let report = Report { files: vec![file] };
        assert_eq!(
            report.to_string(),
            "a.wast: 3 passed, 1 failed, 3 skipped (simd; gc)\n\
             a.wast:7: expected 1, got 2\n\
             3 passed, 1 failed, 3 skipped\n"
        );
    }
}
