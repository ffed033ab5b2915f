//! `/tmp/perf-PID.map`: names for compiled code in the reports of Linux `perf`.
//!
//! One line for each function: start and size in hexadecimal, and a name. `perf` reads it when it reports, knows no
//! removal, and prefers the line that comes last where addresses have been reused. Written on request alone, as
//! each line costs a system call.
#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process;
use std::sync::OnceLock;

use super::Blob;

/// An open map. There is one for each process, as `perf` wants it, whatever the number of arenas.
#[derive(Debug)]
pub struct PerfMap {
    file: File,
}

impl PerfMap {
    /// The map of this process, made at the first call.
    pub fn of_this_process() -> io::Result<&'static PerfMap> {
        static MAP: OnceLock<io::Result<PerfMap>> = OnceLock::new();
        MAP.get_or_init(|| PerfMap::create(Path::new(&format!("/tmp/perf-{}.map", process::id()))))
            .as_ref()
            .map_err(|error| io::Error::new(error.kind(), format!("no map for perf: {error}")))
    }

    fn create(path: &Path) -> io::Result<PerfMap> {
        Ok(PerfMap { file: create(path)? })
    }

    /// Adds a part of a blob under a name.
    pub fn record(&self, blob: &Blob, part: Range<usize>, name: &str) -> io::Result<()> {
        let start = blob.addresses().start + part.start;
        let mut line = String::new();
        let _ = write!(line, "{:x} {:x} ", start, part.len());
        line.extend(printable(name));
        line.push('\n');
        // In one piece: threads share the file's position.
        (&self.file).write_all(line.as_bytes())
    }
}

/// A file whose folder is everybody's and whose name is known in advance. What waits there, a link, a pipe, a file of
/// somebody else's or what an earlier process of the same number has left, is neither opened nor written to: it goes,
/// or if that is not ours to decide, there is no file.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let removed = fs::remove_file(path).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    });
    let made = removed
        .and_then(|()| OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path));
    made.map_err(|error| {
        io::Error::new(error.kind(), format!("{} cannot be made anew: {error}", path.display()))
    })
}

/// A name whose end is its own: a guest chooses its functions' names, but not where a line or a record ends.
pub(super) fn printable(name: &str) -> impl Iterator<Item = char> {
    name.chars().map(|c| if c.is_control() { '?' } else { c })
}

#[cfg(test)]
mod tests {
    use std::env;
    use std::path::PathBuf;
    use std::process::Command;
    use std::sync::Arc;

    use super::super::Arena;
    use super::*;

    #[test]
    fn a_line_has_start_size_and_a_name_that_cannot_end_it() {
        let arena = Arena::new(1 << 20).unwrap();
        let blob = arena.install(&[0xC3; 31], Arc::new(())).unwrap();
        let path = env::temp_dir().join(format!("wasmrun-perf-map-test-{}", process::id()));
        fs::write(&path, "left by somebody else").unwrap();
        let map = PerfMap::create(&path).unwrap();
        map.record(&blob, 0..31, "wasm[3]::a\nb c").unwrap();
        map.record(&blob, 4..9, "second").unwrap();
        let start = blob.entry().addr();
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let part = start + 4;
        assert_eq!(text, format!("{start:x} 1f wasm[3]::a?b c\n{part:x} 5 second\n"));
    }

    /// Makes a map where something is already, and leaves nothing behind.
    fn create_where(name: &str, put: impl FnOnce(&Path)) -> (PathBuf, io::Result<PerfMap>) {
        let path = env::temp_dir().join(format!("wasmrun-perf-map-{name}-{}", process::id()));
        put(&path);
        let map = PerfMap::create(&path);
        if let Ok(map) = &map {
            (&map.file).write_all(b"of ours").unwrap();
            assert!(fs::symlink_metadata(&path).unwrap().is_file(), "{name}");
            assert_eq!(fs::read_to_string(&path).unwrap(), "of ours", "{name}");
            fs::remove_file(&path).unwrap();
        }
        (path, map)
    }

    #[test]
    fn what_waits_in_its_place_is_not_written_to() {
        let target = env::temp_dir().join(format!("wasmrun-perf-map-target-{}", process::id()));
        fs::write(&target, "precious").unwrap();
        create_where("link", |path| std::os::unix::fs::symlink(&target, path).unwrap()).1.unwrap();
        create_where("second-name", |path| fs::hard_link(&target, path).unwrap()).1.unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
        fs::remove_file(&target).unwrap();
        let pipe = |path: &Path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
        create_where("pipe", pipe).1.unwrap();
    }

    #[test]
    fn what_cannot_go_is_an_error_that_names_it() {
        let (path, refused) = create_where("folder", |path| fs::create_dir(path).unwrap());
        let error = refused.unwrap_err().to_string();
        assert!(error.starts_with(&format!("{} cannot be made anew: ", path.display())), "{error}");
        fs::remove_dir(&path).unwrap();
    }
}
