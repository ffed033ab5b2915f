//! A file system in memory, behind the same traits as the host's.
//!
//! For guests that need somewhere to write without touching the host, for tests, and as the third opinion in the tests
//! that compare backends. It behaves as Linux does, down to which of two faults is reported. One budget bounds all that
//! it holds ([`Errno::Nospc`] beyond); one lock guards it, so that each operation is atomic. Reading does not change
//! access times.

mod content;
mod dir;
mod file;
mod handle;
mod tree;

use std::fmt;
use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::errno::Errno;
use crate::vfs::dir::{Dir, OpenHow, Opened};
use crate::vfs::path::GuestPath;
use dir::MemDir;
use handle::Shared;
use tree::Tree;

/// What a tree may hold unless one says otherwise: 256 MiB.
pub const DEFAULT_MAX_BYTES: u64 = 256 << 20;

/// A file system in memory. Clones are the same file system.
#[derive(Clone)]
pub struct MemFs {
    tree: Shared,
}

impl fmt::Debug for MemFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemFs").field("bytes_left", &self.tree.lock().budget.left()).finish()
    }
}

impl Default for MemFs {
    fn default() -> MemFs {
        MemFs::new(DEFAULT_MAX_BYTES)
    }
}

impl MemFs {
    /// An empty file system that may hold `max_bytes`, names and administration included, with the host's clock.
    pub fn new(max_bytes: u64) -> MemFs {
        let now = || {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
        };
        MemFs::with_clock(max_bytes, now)
    }

    /// As [`MemFs::new`], with timestamps from `clock`, which gives nanoseconds since 1970.
    pub fn with_clock(max_bytes: u64, clock: impl Fn() -> u64 + Send + Sync + 'static) -> MemFs {
        // Device numbers that no host has, so that objects of two backends are never taken for one.
        static NEXT_DEV: AtomicU64 = AtomicU64::new(1 << 63);
        let dev = NEXT_DEV.fetch_add(1, Ordering::Relaxed);
        MemFs { tree: Shared::new(Tree::new(max_bytes, Box::new(clock), dev)) }
    }

    /// The directory that holds everything.
    pub fn root(&self) -> Arc<dyn Dir> {
        Arc::new(MemDir::root(&self.tree))
    }

    /// Puts a file there, with the directories above it, replacing what it contained. For the host to fill the tree.
    ///
    /// # Errors
    /// As [`GuestPath::new`] and [`Dir::open`]; [`Errno::Nospc`] if it does not fit, and then a part may be there.
    pub fn write(&self, path: &str, data: &[u8]) -> Result<(), Errno> {
        let root = self.root();
        let path = GuestPath::new(path.as_bytes())?;
        for end in path.as_bytes().iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end) {
            match root.create_dir(&GuestPath::new(&path.as_bytes()[..end])?) {
                Ok(()) | Err(Errno::Exist) => {}
                Err(error) => return Err(error),
            }
        }
        let how = OpenHow {
            write: true,
            create: true,
            truncate: true,
            follow_final_symlink: true,
            ..OpenHow::default()
        };
        let Opened::File(file) = root.open(&path, &how)? else { return Err(Errno::Isdir) };
        let mut done = 0;
        while done < data.len() {
            done += file.write_at(&[IoSlice::new(&data[done..])], done as u64)?;
        }
        Ok(())
    }

    /// What a file contains. For the host to look at what a guest has left.
    ///
    /// # Errors
    /// As [`GuestPath::new`] and [`Dir::open`]; [`Errno::Fbig`] for a file that is longer than `max_bytes`.
    pub fn read(&self, path: &str, max_bytes: usize) -> Result<Vec<u8>, Errno> {
        let how = OpenHow { read: true, follow_final_symlink: true, ..OpenHow::default() };
        let opened = self.root().open(&GuestPath::new(path.as_bytes())?, &how)?;
        let Opened::File(file) = opened else { return Err(Errno::Isdir) };
        let len = usize::try_from(file.size()?).ok().filter(|&len| len <= max_bytes).ok_or(Errno::Fbig)?;
        let mut data = vec![0; len];
        let read = file.read_at(&mut [IoSliceMut::new(&mut data)], 0)?;
        data.truncate(read);
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREATE: OpenHow = OpenHow {
        read: true,
        write: true,
        append: false,
        create: true,
        exclusive: false,
        truncate: false,
        directory: false,
        follow_final_symlink: false,
        nonblock: false,
        dsync: false,
        sync: false,
        rsync: false,
    };

    fn path(text: &str) -> GuestPath {
        GuestPath::new(text.as_bytes()).unwrap()
    }

    fn left(fs: &MemFs) -> u64 {
        fs.tree.lock().budget.left()
    }

    #[test]
    fn what_is_removed_is_given_back_when_nobody_has_it_open_any_more() {
        let fs = MemFs::new(1 << 20);
        let (root, before) = (fs.root(), left(&fs));
        fs.write("d/e/f", &[1; 10_000]).unwrap();
        fs.write("g", &[2; 5000]).unwrap();
        root.symlink(b"somewhere", &path("l")).unwrap();
        root.link(&path("l"), &*root, &path("l2")).unwrap();
        root.rename(&path("g"), &*root, &path("d/e/f")).unwrap();
        let open = root.open(&path("d/e/f"), &CREATE).unwrap();
        for name in ["l", "l2", "d/e/f"] {
            root.unlink(&path(name)).unwrap();
        }
        root.remove_dir(&path("d/e")).unwrap();
        root.remove_dir(&path("d")).unwrap();
        assert_eq!(before - left(&fs), 256 + 8192, "the open file is still there");
        let Opened::File(file) = &open else { panic!() };
        assert_eq!(file.stat().unwrap().nlink, 0);
        drop(open);
        assert_eq!(left(&fs), before);
    }

    #[test]
    fn everything_a_guest_can_make_has_a_price() {
        let fs = MemFs::new(1 << 16);
        let root = fs.root();
        let fill = |make: &dyn Fn(u32) -> Result<(), Errno>| {
            let error = (0..1 << 16).find_map(|number| make(number).err());
            assert_eq!(error, Some(Errno::Nospc));
            for entry in root.entries(1 << 20).unwrap().into_iter().skip(2) {
                let name = GuestPath::new(&entry.name).unwrap();
                root.unlink(&name).or_else(|_| root.remove_dir(&name)).unwrap();
            }
            assert_eq!(left(&fs), 1 << 16);
        };
        fill(&|number| root.create_dir(&path(&number.to_string())));
        fill(&|number| root.open(&path(&number.to_string()), &CREATE).map(drop));
        fill(&|number| root.symlink(&[b'x'; 1000], &path(&number.to_string())));
        fill(&|number| fs.write("f", &[]).and(root.link(&path("f"), &*root, &path(&number.to_string()))));
        fill(&|number| fs.write(&number.to_string(), &[1]));
    }

    #[test]
    fn a_failed_step_costs_nothing() {
        let fs = MemFs::new(1000);
        let root = fs.root();
        fs.write("a", &[]).unwrap();
        let before = left(&fs);
        assert_eq!(root.symlink(&[b'x'; 900], &path("b")), Err(Errno::Nospc));
        assert_eq!(root.rename(&path("a"), &*root, &path(&"n".repeat(250))), Ok(()));
        assert_eq!(left(&fs), before - 249);
    }

    #[test]
    fn the_host_reads_what_it_wrote_and_no_more_than_it_asked_for() {
        let fs = MemFs::default();
        fs.write("etc/motd", b"hello").unwrap();
        assert_eq!(fs.read("etc/motd", 5).unwrap(), b"hello");
        assert_eq!(fs.read("etc/motd", 4), Err(Errno::Fbig));
        assert_eq!(fs.read("etc", 5), Err(Errno::Isdir));
        assert_eq!(fs.write("etc/motd/x", b""), Err(Errno::Notdir));
        fs.write("etc/motd", b"bye").unwrap();
        assert_eq!(fs.read("etc/motd", 5).unwrap(), b"bye");
    }

    #[test]
    fn times_are_those_of_the_clock() {
        let fs = MemFs::with_clock(1 << 16, || 42);
        fs.write("f", b"x").unwrap();
        let stat = fs.root().metadata(&path("f"), true).unwrap();
        assert_eq!((stat.atim, stat.mtim, stat.ctim), (42, 42, 42));
    }

    #[test]
    fn two_trees_are_two_devices() {
        let dev = |fs: MemFs| fs.root().self_stat().unwrap().dev;
        assert_ne!(dev(MemFs::default()), dev(MemFs::default()));
    }
}
