//! Open directories of a tree in memory: the rules of each operation on names.

use std::any::Any;
use std::sync::{Arc, MutexGuard};

use super::content::Content;
use super::file::{MemFile, set_len};
use super::handle::{Handle, Shared};
use super::tree::{Body, Entries, Ino, Place, ROOT, Tree};
use crate::errno::Errno;
use crate::vfs::dir::{Dir, DirEntry, Listing, OpenHow, Opened, check_link_target};
use crate::vfs::path::{Basename, GuestPath};
use crate::vfs::place::Follow;
use crate::vfs::stat::{FileKind, FileStat, TimeSpec};

/// An open directory.
#[derive(Debug)]
pub(super) struct MemDir {
    handle: Handle,
    /// The directory that the host granted, whose `..` is nobody's business.
    granted: Ino,
}

impl MemDir {
    /// The directory that holds everything.
    pub(super) fn root(tree: &Shared) -> MemDir {
        MemDir { handle: Handle::new(tree, &mut tree.lock(), ROOT), granted: ROOT }
    }

    fn lock(&self) -> MutexGuard<'_, Tree> {
        self.handle.lock()
    }

    fn place(&self, tree: &Tree, path: &GuestPath, follow: Follow) -> Result<Place, Errno> {
        tree.place(self.handle.ino(), path, follow)
    }

    /// What `path` names, for looking at it or setting its attributes.
    fn find(&self, tree: &Tree, path: &GuestPath, follow: bool) -> Result<Ino, Errno> {
        let place = self.place(tree, path, (follow || path.must_be_dir()).into())?;
        let ino = tree.at(&place)?;
        if place.must_be_dir() && tree.node(ino)?.kind() != FileKind::Directory {
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
        if to.handle.tree().is(self.handle.tree()) { Ok(to) } else { Err(Errno::Xdev) }
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
            set_len(&mut tree, ino, 0)?;
        }
        let handle = Handle::new(self.handle.tree(), &mut tree, ino);
        Ok(match kind {
            FileKind::Directory => Opened::Dir(Arc::new(MemDir { handle, granted: self.granted })),
            _ => Opened::File(Arc::new(MemFile::new(handle, how.read || !how.write, how.write))),
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
        let dir = self.handle.ino();
        let above = if dir == self.granted { dir } else { tree.parent(dir)? };
        let mut listing = Listing::new(max_bytes);
        for (name, &ino) in &tree.entries(dir)?.names {
            listing.push(ino, tree.node(ino)?.kind(), name.as_bytes())?;
        }
        Ok(listing.finish(dir, above))
    }

    fn self_stat(&self) -> Result<FileStat, Errno> {
        self.lock().stat(self.handle.ino())
    }

    fn self_set_times(&self, atim: TimeSpec, mtim: TimeSpec) -> Result<(), Errno> {
        self.lock().set_times(self.handle.ino(), atim, mtim)
    }

    fn sync(&self) -> Result<(), Errno> {
        Ok(())
    }

    fn datasync(&self) -> Result<(), Errno> {
        Ok(())
    }
}
