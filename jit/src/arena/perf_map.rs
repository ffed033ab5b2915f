//! `/tmp/perf-PID.map`: names for compiled code in the reports of Linux `perf`.
//!
//! One line for each function: start and size in hexadecimal, and a name. `perf` reads it when it reports, knows no
//! removal, and prefers the line that comes last where addresses have been reused. Written on request alone, as
//! each line costs a system call.
#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::ops::Range;
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

/// A file whose folder is everybody's and whose name is known in advance: never through a link that waits there, and
/// without what an earlier process of the same number has left.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
    }
    options.open(path)
}

/// A name whose end is its own: a guest chooses its functions' names, but not where a line or a record ends.
pub(super) fn printable(name: &str) -> impl Iterator<Item = char> {
    name.chars().map(|c| if c.is_control() { '?' } else { c })
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use std::sync::Arc;
    use std::{env, fs};

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

    #[cfg(unix)]
    #[test]
    fn a_link_in_its_place_is_not_followed() {
        let path = env::temp_dir().join(format!("wasmrun-perf-map-link-{}", process::id()));
        let target = path.with_extension("target");
        fs::write(&target, "precious").unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert!(PerfMap::create(&path).is_err());
        assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
        fs::remove_file(&path).unwrap();
        fs::remove_file(&target).unwrap();
    }
}
