//! From files and directories on the command line to scripts that run.

use std::path::{Path, PathBuf};
use std::{fs, io};

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
        collect(path, &mut scripts);
        if scripts.is_empty() {
            add(not_run(path, "no .wast files in this directory"));
        }
        for script in scripts {
            let text = script.and_then(|script| match fs::read_to_string(&script) {
                Ok(text) => Ok((script, text)),
                Err(error) => Err((script, error)),
            });
            add(match text {
                Ok((script, text)) => run_script(&script.display().to_string(), &text, options),
                Err((path, error)) => not_run(&path, &format!("cannot be read: {error}")),
            });
        }
    }
    report
}

/// A script, or what cannot be read.
type Found = Result<PathBuf, (PathBuf, io::Error)>;

/// Appends `path`, or the scripts below it. Symbolic links to directories are not followed.
fn collect(path: &Path, scripts: &mut Vec<Found>) {
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => collect_below(path, scripts),
        Ok(_) => scripts.push(Ok(path.to_path_buf())),
        Err(error) => scripts.push(Err((path.to_path_buf(), error))),
    }
}

fn collect_below(directory: &Path, scripts: &mut Vec<Found>) {
    let mut entries = match fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
        Ok(entries) => entries,
        Err(error) => return scripts.push(Err((directory.to_path_buf(), error))),
    };
    entries.sort_by_key(|entry| entry.file_name());
    for entry in entries {
        let path = entry.path();
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => collect_below(&path, scripts),
            Ok(_) if path.extension().is_none_or(|extension| extension != "wast") => {}
            Ok(_) => scripts.push(Ok(path)),
            Err(error) => scripts.push(Err((path, error))),
        }
    }
}

fn not_run(path: &Path, message: &str) -> FileReport {
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
        let [missing, empty] = &report.files[..] else { panic!("{report}") };
        let name = dir.path().display();
        let missing = missing.to_string();
        assert!(
            missing.contains(&format!("\n{name}/nothing.wast: cannot be read: No such file")),
            "{missing}"
        );
        let empty = empty.to_string();
        assert!(empty.ends_with(&format!("\n{name}: no .wast files in this directory\n")), "{empty}");
    }
}
