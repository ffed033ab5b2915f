//! A file system in memory, behind the same traits as the host's.
//!
//! For guests that need somewhere to write without touching the host, for tests, and as the third opinion in the tests
//! that compare backends. It behaves as Linux does, down to which of two faults is reported. One budget bounds all that
//! it holds ([`Errno::Nospc`] beyond); one lock guards it, so that each operation is atomic. Reading does not change
//! access times.

mod content;
mod tree;

use std::any::Any;
use std::fmt;
use std::io::{IoSlice, IoSliceMut};
#[cfg(unix)]
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::errno::Errno;
use crate::vfs::path::Basename;
use crate::vfs::{
    Advice, Appended, Dir, DirEntry, ENTRY_OVERHEAD, File, FileKind, FileStat, Follow, GuestPath, OpenHow,
    Opened, TimeSpec, check_link_target,
};
use content::{Budget, Content};
use tree::{Body, Entries, Ino, Node, Place, ROOT, Tree};

/// What a tree may hold unless one says otherwise: 256 MiB.
pub const DEFAULT_MAX_BYTES: u64 = 256 << 20;

/// Tells the time: nanoseconds since 1970.
type Clock = Box<dyn Fn() -> u64 + Send + Sync>;

/// A file system in memory. Clones are the same file system.
#[derive(Clone)]
pub struct MemFs {
    tree: Arc<Mutex<Tree>>,
}

impl fmt::Debug for MemFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemFs").field("bytes_left", &self.lock().budget.left()).finish()
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
        MemFs { tree: Arc::new(Mutex::new(Tree::new(max_bytes, Box::new(clock), dev))) }
    }

    /// The directory that holds everything.
    pub fn root(&self) -> Arc<dyn Dir> {
        Arc::new(MemDir { handle: Handle::new(self, &mut self.lock(), ROOT), granted: ROOT })
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

    /// A panic elsewhere leaves nothing half done that would matter: each map is consistent by itself.
    fn lock(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Refers to a node and keeps it alive.
#[derive(Debug)]
struct Handle {
    fs: MemFs,
    ino: Ino,
}

impl Handle {
    /// A handle for a node of `fs`, of which the caller has the lock and must let it go before the handle.
    fn new(fs: &MemFs, tree: &mut Tree, ino: Ino) -> Handle {
        tree.retain(ino);
        Handle { fs: fs.clone(), ino }
    }

    fn lock(&self) -> MutexGuard<'_, Tree> {
        self.fs.lock()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.fs.lock().release(self.ino);
    }
}

/// An open directory.
#[derive(Debug)]
struct MemDir {
    handle: Handle,
    /// The directory that the host granted, whose `..` is nobody's business.
    granted: Ino,
}

impl MemDir {
    fn lock(&self) -> MutexGuard<'_, Tree> {
        self.handle.lock()
    }

    fn place(&self, tree: &Tree, path: &GuestPath, follow: Follow) -> Result<Place, Errno> {
        tree.place(self.handle.ino, path, follow)
    }

    /// What `path` names, for looking at it or setting its attributes.
    fn find(&self, tree: &Tree, path: &GuestPath, follow: bool) -> Result<Ino, Errno> {
        let place = self.place(tree, path, (follow || path.must_be_dir()).into())?;
        let ino = tree.at(&place)?;
        let must_be_dir = matches!(place, Place::Named { must_be_dir: true, .. });
        if must_be_dir && tree.node(ino)?.kind() != FileKind::Directory {
            return Err(Errno::Notdir);
        }
        Ok(ino)
    }

    /// A free place for something new, which is a directory or may not have slashes after it.
    fn free(&self, tree: &Tree, path: &GuestPath, is_dir: bool) -> Result<(Ino, Basename), Errno> {
        match self.place(tree, path, Follow::No)? {
            Place::Dots { .. } => Err(Errno::Exist),
            Place::Named { dir, name, must_be_dir } => match tree.lookup(dir, &name)? {
                Some(_) => Err(Errno::Exist),
                None if must_be_dir && !is_dir => Err(Errno::Noent),
                None => Ok((dir, name)),
            },
        }
    }

    /// The other end of a link or rename, if it is in the same tree.
    fn peer<'to>(&self, to: &'to dyn Dir) -> Result<&'to MemDir, Errno> {
        let to: &dyn Any = to;
        let to = to.downcast_ref::<MemDir>().ok_or(Errno::Xdev)?;
        if Arc::ptr_eq(&to.handle.fs.tree, &self.handle.fs.tree) { Ok(to) } else { Err(Errno::Xdev) }
    }

    /// Finds what to open, or makes it.
    fn find_to_open(&self, tree: &mut Tree, path: &GuestPath, how: &OpenHow) -> Result<Ino, Errno> {
        let exclusive = how.create && how.exclusive;
        let follow = Follow::to_open(how.follow_final_symlink, how.create, exclusive, path.must_be_dir());
        let place = self.place(tree, path, follow)?;
        if let Place::Named { must_be_dir: true, .. } = place
            && how.create
        {
            return Err(Errno::Isdir);
        }
        let must_be_dir = how.directory || matches!(place, Place::Named { must_be_dir: true, .. });
        match (tree.at(&place), place) {
            (Ok(_), _) if exclusive => Err(Errno::Exist),
            (Ok(ino), _) => match tree.node(ino)?.kind() {
                FileKind::Directory if how.write || how.create || how.truncate => Err(Errno::Isdir),
                FileKind::Directory => Ok(ino),
                _ if must_be_dir => Err(Errno::Notdir),
                FileKind::Symlink => Err(Errno::Loop),
                _ => Ok(ino),
            },
            (Err(Errno::Noent), Place::Named { dir, name, .. }) if how.create => {
                tree.create(dir, name, Body::File(Content::default()))
            }
            (Err(error), _) => Err(error),
        }
    }
}

impl Dir for MemDir {
    fn open(&self, path: &GuestPath, how: &OpenHow) -> Result<Opened, Errno> {
        how.validate()?;
        let mut tree = self.lock();
        let ino = self.find_to_open(&mut tree, path, how)?;
        let kind = tree.node(ino)?.kind();
        if how.truncate {
            cut(&mut tree, ino, 0)?;
        }
        let handle = Handle::new(&self.handle.fs, &mut tree, ino);
        Ok(match kind {
            FileKind::Directory => Opened::Dir(Arc::new(MemDir { handle, granted: self.granted })),
            _ => Opened::File(Arc::new(MemFile {
                handle,
                readable: how.read || !how.write,
                writable: how.write,
            })),
        })
    }

    fn metadata(&self, path: &GuestPath, follow: bool) -> Result<FileStat, Errno> {
        let tree = self.lock();
        tree.stat(self.find(&tree, path, follow)?)
    }

    fn set_times(&self, path: &GuestPath, follow: bool, atim: TimeSpec, mtim: TimeSpec) -> Result<(), Errno> {
        let mut tree = self.lock();
        let ino = self.find(&tree, path, follow)?;
        tree.set_times(ino, atim, mtim)
    }

    fn create_dir(&self, path: &GuestPath) -> Result<(), Errno> {
        let mut tree = self.lock();
        let (dir, name) = self.free(&tree, path, true)?;
        tree.create(dir, name, Body::Dir(Entries::empty())).map(drop)
    }

    fn remove_dir(&self, path: &GuestPath) -> Result<(), Errno> {
        let mut tree = self.lock();
        let (dir, name) = match self.place(&tree, path, Follow::No)? {
            Place::Dots { up: false, .. } => return Err(Errno::Inval),
            Place::Dots { up: true, .. } => return Err(Errno::Notempty),
            Place::Named { dir, name, .. } => (dir, name),
        };
        let ino = tree.lookup(dir, &name)?.ok_or(Errno::Noent)?;
        if !tree.entries(ino)?.names.is_empty() {
            return Err(Errno::Notempty);
        }
        tree.unname(dir, &name)
    }

    fn unlink(&self, path: &GuestPath) -> Result<(), Errno> {
        let mut tree = self.lock();
        let Place::Named { dir, name, must_be_dir } = self.place(&tree, path, Follow::No)? else {
            return Err(Errno::Isdir);
        };
        let ino = tree.lookup(dir, &name)?.ok_or(Errno::Noent)?;
        match tree.node(ino)?.kind() {
            FileKind::Directory => Err(Errno::Isdir),
            _ if must_be_dir => Err(Errno::Notdir),
            _ => tree.unname(dir, &name),
        }
    }

    fn symlink(&self, target: &[u8], path: &GuestPath) -> Result<(), Errno> {
        check_link_target(target)?;
        let mut tree = self.lock();
        let (dir, name) = self.free(&tree, path, false)?;
        tree.create(dir, name, Body::Link(target.into())).map(drop)
    }

    fn read_link(&self, path: &GuestPath) -> Result<Vec<u8>, Errno> {
        let tree = self.lock();
        match &tree.node(self.find(&tree, path, false)?)?.body {
            Body::Link(target) => Ok(target.to_vec()),
            _ => Err(Errno::Inval),
        }
    }

    fn link(&self, old: &GuestPath, to: &dyn Dir, new: &GuestPath) -> Result<(), Errno> {
        let to = self.peer(to)?;
        let mut tree = self.lock();
        let ino = self.find(&tree, old, false)?;
        let (dir, name) = to.free(&tree, new, false)?;
        if tree.node(ino)?.kind() == FileKind::Directory {
            return Err(Errno::Perm);
        }
        tree.name(dir, name, ino)
    }

    fn rename(&self, old: &GuestPath, to: &dyn Dir, new: &GuestPath) -> Result<(), Errno> {
        let to = self.peer(to)?;
        let mut tree = self.lock();
        let (
            Place::Named { dir: old_dir, name: old_name, must_be_dir: old_slash },
            Place::Named { dir: new_dir, name: new_name, must_be_dir: new_slash },
        ) = (self.place(&tree, old, Follow::No)?, to.place(&tree, new, Follow::No)?)
        else {
            return Err(Errno::Busy);
        };
        let ino = tree.lookup(old_dir, &old_name)?.ok_or(Errno::Noent)?;
        let replaced = tree.lookup(new_dir, &new_name)?;
        tree.alive(new_dir)?;
        let is_dir = tree.node(ino)?.kind() == FileKind::Directory;
        if !is_dir && (old_slash || new_slash) {
            return Err(Errno::Notdir);
        }
        if is_dir && tree.is_above(ino, new_dir)? {
            return Err(Errno::Inval);
        }
        if replaced == Some(ino) {
            // Two names of one file: nothing happens, as POSIX has it.
            return Ok(());
        }
        if let Some(replaced) = replaced {
            match (is_dir, tree.node(replaced)?.kind()) {
                (true, FileKind::Directory) => {
                    if !tree.entries(replaced)?.names.is_empty() {
                        return Err(Errno::Notempty);
                    }
                }
                (true, _) => return Err(Errno::Notdir),
                // On the way to the file: that it is not empty comes first.
                (false, FileKind::Directory) if tree.is_above(replaced, old_dir)? => {
                    return Err(Errno::Notempty);
                }
                (false, FileKind::Directory) => return Err(Errno::Isdir),
                (false, _) => {}
            }
            tree.unname(new_dir, &new_name)?;
        }
        tree.rename((old_dir, &old_name), (new_dir, new_name))
    }

    fn entries(&self, max_bytes: usize) -> Result<Vec<DirEntry>, Errno> {
        let tree = self.lock();
        let dir = self.handle.ino;
        let above = if dir == self.granted { dir } else { tree.parent(dir)? };
        let named = |ino, kind, name: &[u8]| DirEntry { ino, kind, name: name.to_vec() };
        let mut entries =
            vec![named(dir, FileKind::Directory, b"."), named(above, FileKind::Directory, b"..")];
        let mut room = max_bytes.saturating_sub(2 * (ENTRY_OVERHEAD + 2));
        for (name, &ino) in &tree.entries(dir)?.names {
            let name = name.as_bytes();
            room = room.checked_sub(ENTRY_OVERHEAD + name.len()).ok_or(Errno::Nomem)?;
            entries.push(named(ino, tree.node(ino)?.kind(), name));
        }
        Ok(entries)
    }

    fn self_stat(&self) -> Result<FileStat, Errno> {
        self.lock().stat(self.handle.ino)
    }

    fn self_set_times(&self, atim: TimeSpec, mtim: TimeSpec) -> Result<(), Errno> {
        self.lock().set_times(self.handle.ino, atim, mtim)
    }

    fn sync(&self) -> Result<(), Errno> {
        Ok(())
    }

    fn datasync(&self) -> Result<(), Errno> {
        Ok(())
    }
}

/// Sets the length of a file.
fn cut(tree: &mut Tree, ino: Ino, len: u64) -> Result<(), Errno> {
    let (content, budget) = content_mut(tree, ino)?;
    content.set_len(len, budget)?;
    tree.touch(ino)
}

/// The data of a file, and what it is paid from.
fn content_mut(tree: &mut Tree, ino: Ino) -> Result<(&mut Content, &mut Budget), Errno> {
    match tree.node_mut(ino)? {
        (Node { body: Body::File(content), .. }, budget) => Ok((content, budget)),
        _ => Err(Errno::Isdir),
    }
}

/// An open file.
#[derive(Debug)]
struct MemFile {
    handle: Handle,
    readable: bool,
    writable: bool,
}

impl MemFile {
    /// The lock, if the file was opened for writing.
    fn lock_to_write(&self) -> Result<MutexGuard<'_, Tree>, Errno> {
        if self.writable { Ok(self.handle.lock()) } else { Err(Errno::Badf) }
    }

    /// Writes at a position; `None` is the end. Says where the data ends as well.
    fn write(&self, bufs: &[IoSlice<'_>], position: Option<u64>) -> Result<Appended, Errno> {
        let mut tree = self.lock_to_write()?;
        let ino = self.handle.ino;
        let (content, budget) = content_mut(&mut tree, ino)?;
        let position = position.unwrap_or(content.len());
        let written = content.write(bufs, position, budget)?;
        if written > 0 {
            tree.touch(ino)?;
        }
        Ok(Appended { written, end: position + written as u64 })
    }
}

/// Checks a number that hosts take as signed.
fn offset(number: u64) -> Result<u64, Errno> {
    if i64::try_from(number).is_ok() { Ok(number) } else { Err(Errno::Inval) }
}

impl File for MemFile {
    fn kind(&self) -> FileKind {
        FileKind::Regular
    }

    fn read_at(&self, bufs: &mut [IoSliceMut<'_>], position: u64) -> Result<usize, Errno> {
        let position = offset(position)?;
        if !self.readable {
            return Err(Errno::Badf);
        }
        match &self.handle.lock().node(self.handle.ino)?.body {
            Body::File(content) => Ok(content.read(bufs, position)),
            _ => Err(Errno::Isdir),
        }
    }

    fn write_at(&self, bufs: &[IoSlice<'_>], position: u64) -> Result<usize, Errno> {
        Ok(self.write(bufs, Some(offset(position)?))?.written)
    }

    fn append(&self, bufs: &[IoSlice<'_>]) -> Result<Appended, Errno> {
        self.write(bufs, None)
    }

    fn stat(&self) -> Result<FileStat, Errno> {
        self.handle.lock().stat(self.handle.ino)
    }

    fn set_len(&self, len: u64) -> Result<(), Errno> {
        let mut tree = self.lock_to_write().map_err(|_| Errno::Inval)?;
        cut(&mut tree, self.handle.ino, len)
    }

    fn set_times(&self, atim: TimeSpec, mtim: TimeSpec) -> Result<(), Errno> {
        self.handle.lock().set_times(self.handle.ino, atim, mtim)
    }

    fn allocate(&self, position: u64, len: u64) -> Result<(), Errno> {
        let (position, len) = (offset(position)?, offset(len)?);
        if len == 0 {
            return Err(Errno::Inval);
        }
        let mut tree = self.lock_to_write()?;
        let (content, budget) = content_mut(&mut tree, self.handle.ino)?;
        content.allocate(position, len, budget)
    }

    fn advise(&self, position: u64, len: u64, _: Advice) -> Result<(), Errno> {
        offset(position).and(offset(len)).map(drop)
    }

    fn sync(&self) -> Result<(), Errno> {
        Ok(())
    }

    fn datasync(&self) -> Result<(), Errno> {
        Ok(())
    }

    #[cfg(unix)]
    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        None
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
        fs.lock().budget.left()
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
