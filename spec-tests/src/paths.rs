//! From files and directories on the command line to scripts that run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::report::{FileReport, Note, Report};
use crate::script::{Options, run_script};

/// Runs the scripts that `paths` name. A directory stands for all `.wast` files below it, in sorted order.
/// What cannot be read is a failure of its own file.
pub fn run_paths<P: AsRef<Path>>(paths: &[P], options: &Options) -> Report {
    run_paths_with(paths, options, |_| ())
}

/// As [`run_paths`], and calls `done` with the report of each script as soon as it has run.
pub fn run_paths_with<P: AsRef<Path>>(
    paths: &[P],
    options: &Options,
    mut done: impl FnMut(&FileReport),
) -> Report {
    let mut report = Report::default();
    let mut add = |file: FileReport| {
        done(&file);
        report.files.push(file);
    };
    for path in paths {
        let path = path.as_ref();
        let mut scripts = Vec::new();
        if let Err(error) = collect(path, &mut scripts) {
            add(unreadable(path, &error.to_string()));
            continue;
        }
        if scripts.is_empty() {
            add(unreadable(path, "no .wast files in this directory"));
        }
        for script in scripts {
            add(match fs::read_to_string(&script) {
                Ok(text) => run_script(&script.display().to_string(), &text, options),
                Err(error) => unreadable(&script, &error.to_string()),
            });
        }
    }
    report
}

/// Appends `path`, or the scripts below it. Symbolic links to directories are not followed.
fn collect(path: &Path, scripts: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        scripts.push(path.to_path_buf());
        return Ok(());
    }
    let mut entries = fs::read_dir(path)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let kind = entry.file_type()?;
        let path = entry.path();
        if kind.is_dir() {
            collect(&path, scripts)?;
        } else if path.extension().is_some_and(|extension| extension == "wast") {
            scripts.push(path);
        }
    }
    Ok(())
}

fn unreadable(path: &Path, message: &str) -> FileReport {
    let failures = vec![Note { line: 0, message: message.to_string() }];
    FileReport { name: path.display().to_string(), failures, ..FileReport::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_walked_in_sorted_order_and_other_files_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("b")).unwrap();
        for name in ["c.wast", "b/z.wast", "b/a.wast", "a.txt", "a.wast"] {
            fs::write(dir.path().join(name), "(module)").unwrap();
        }
        let report = run_paths(&[dir.path()], &Options::default());
        let names: Vec<&Path> =
            report.files.iter().map(|f| Path::new(&f.name).strip_prefix(dir.path()).unwrap()).collect();
        assert_eq!(names, ["a.wast", "b/a.wast", "b/z.wast", "c.wast"].map(Path::new));
        assert_eq!(report.summary(), "4 passed, 0 failed, 0 skipped");
    }

    #[test]
    fn a_missing_path_and_an_empty_directory_are_failures() {
        let dir = tempfile::tempdir().unwrap();
        let report =
            run_paths(&[dir.path().join("nothing.wast"), dir.path().to_path_buf()], &Options::default());
        assert_eq!(report.failed(), 2);
        assert_eq!(report.files.len(), 2);
    }
}
