//! What the tests of the virtual file system share: the backends to run against, and pictures of trees to compare.
//!
//! A picture taken through [`std::fs`] sees what the host sees, of places the guest must not touch; one taken through
//! the [`Dir`] trait sees what a guest sees and is the same for every backend.

use std::collections::BTreeMap;
use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use wasmrun_wasi::Errno;
use wasmrun_wasi::vfs::host::{HostDir, HostOptions, ResolverChoice};
use wasmrun_wasi::vfs::{Dir, File, FileKind, GuestPath, OpenHow, Opened};

/// Both ways of following paths on the host. Where the kernel has none, the first is the second once more.
pub const RESOLVERS: [ResolverChoice; 2] = [ResolverChoice::Best, ResolverChoice::Walker];

/// A directory for tests that make and replace thousands of files: in memory if the host has a place for that, since
/// file systems on disks write a file that replaces another at once, and then everything waits for the device.
pub fn scratch() -> tempfile::TempDir {
    let in_memory = match std::env::var_os("TMPDIR") {
        Some(_) => None,
        None => tempfile::tempdir_in("/dev/shm").ok(),
    };
    in_memory.unwrap_or_else(|| tempfile::tempdir().unwrap())
}

/// Grants a directory of the host.
pub fn host(path: &Path, resolver: ResolverChoice) -> Arc<dyn Dir> {
    let options = HostOptions { resolver, ..HostOptions::default() };
    Arc::new(HostDir::open_ambient(path, options).unwrap())
}

/// A path that is known to be well-formed.
pub fn path(text: &str) -> GuestPath {
    GuestPath::new(text.as_bytes()).unwrap()
}

/// Everything that a file says, at most 64 KiB.
pub fn read_all(file: &dyn File) -> Result<Vec<u8>, Errno> {
    let mut data = vec![0; 65536];
    let read = file.read_at(&mut [IoSliceMut::new(&mut data)], 0)?;
    data.truncate(read);
    Ok(data)
}

/// Writes at a position.
pub fn write(file: &dyn File, data: &[u8], position: u64) -> Result<usize, Errno> {
    file.write_at(&[IoSlice::new(data)], position)
}

/// What the host sees below `root`: kind, size, times of change, number of names, contents.
pub fn host_picture(root: &Path) -> BTreeMap<String, String> {
    let mut picture = BTreeMap::new();
    let mut ahead = vec![root.to_owned()];
    while let Some(path) = ahead.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        let what = if meta.is_dir() {
            ahead.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            "directory".to_owned()
        } else if meta.is_symlink() {
            format!("link to {:?}", fs::read_link(&path).unwrap())
        } else {
            format!("file {:?}", fs::read(&path).unwrap().escape_ascii().to_string())
        };
        let changed = (meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec());
        let name = path.strip_prefix(root).unwrap().display().to_string();
        picture.insert(name, format!("{what}, mode {:o}, {} names, {changed:?}", meta.mode(), meta.nlink()));
    }
    picture
}

/// What a guest sees below `root`: kind, size and contents, and for what is no directory the number of names. (That of
/// a directory is the file system's choice, and so are times.)
pub fn guest_picture(root: &Arc<dyn Dir>) -> BTreeMap<String, String> {
    let mut picture = BTreeMap::new();
    let mut ahead = vec![(String::new(), root.clone())];
    while let Some((prefix, dir)) = ahead.pop() {
        for entry in dir.entries(1 << 20).unwrap().into_iter().skip(2) {
            let text = String::from_utf8(entry.name).unwrap();
            let (name, path) = (format!("{prefix}{text}"), path(&text));
            let stat = dir.metadata(&path, false).unwrap();
            assert_eq!((stat.ino, stat.kind), (entry.ino, entry.kind), "{name}: entry and attributes differ");
            let what = match stat.kind {
                FileKind::Directory => {
                    let how = OpenHow { directory: true, ..OpenHow::default() };
                    let Opened::Dir(below) = dir.open(&path, &how).unwrap() else {
                        panic!("{name} is a directory and opens as a file")
                    };
                    ahead.push((format!("{name}/"), below));
                    "directory".to_owned()
                }
                FileKind::Symlink => {
                    let target = dir.read_link(&path).unwrap();
                    format!("{} names, link of {} to {}", stat.nlink, stat.size, target.escape_ascii())
                }
                _ => {
                    let Opened::File(file) = dir.open(&path, &OpenHow::default()).unwrap() else {
                        panic!("{name} is a file and opens as a directory")
                    };
                    let data = read_all(&*file).unwrap();
                    format!("{} names, file of {}: {}", stat.nlink, stat.size, data.escape_ascii())
                }
            };
            picture.insert(name, what);
        }
    }
    picture
}
