//! The tree itself: plain maps from serial numbers to nodes, and how a path is followed through them.
//!
//! Nothing here locks or refers to the host; `handle` holds one lock around a whole tree. A node lives as long as it
//! has a name or a handle. Paths are followed in code of its own and not in the host's walker's, since each is the
//! other's opinion in the tests that compare file systems. Everything that a guest can make grow is paid for from one
//! budget: nodes, names, link targets, pages.

use std::collections::{BTreeMap, HashMap};

use crate::errno::Errno;
use crate::vfs::path::{Basename, Component, GuestPath, MAX_LINKS};
use crate::vfs::place::{self, Follow};
use crate::vfs::stat::{FileKind, FileStat, TimeSpec};

use super::content::{Budget, Content};

/// The serial number of a node.
pub(super) type Ino = u64;

/// The serial number of the root.
pub(super) const ROOT: Ino = 1;

/// What a node costs beside what it contains, and a name beside its bytes: what the maps take for them, rounded up.
const NODE_COST: u64 = 256;
const NAME_COST: u64 = 64;

/// Something in the tree.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) body: Body,
    /// How many names it has; for a directory, whether it has one.
    names: u64,
    /// How many open directories and files refer to it.
    handles: u64,
    pub(super) atim: u64,
    pub(super) mtim: u64,
    pub(super) ctim: u64,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Body {
    File(Content),
    Dir(Entries),
    Link(Box<[u8]>),
}

/// What a directory contains.
#[derive(Debug)]
pub(super) struct Entries {
    pub(super) names: BTreeMap<Basename, Ino>,
    /// The directory above; of the root, itself.
    parent: Ino,
    /// How many of the names are directories.
    dirs: u64,
}

impl Entries {
    /// Of an empty directory, whose parent is noted when it is given a name.
    pub(super) fn empty() -> Entries {
        Entries { names: BTreeMap::new(), parent: ROOT, dirs: 0 }
    }
}

/// A place in the tree.
pub(super) type Place = place::Place<Ino>;

/// Tells the time: nanoseconds since 1970.
type Clock = Box<dyn Fn() -> u64 + Send + Sync>;

/// A whole file system.
pub(super) struct Tree {
    nodes: HashMap<Ino, Node>,
    next: Ino,
    pub(super) budget: Budget,
    clock: Clock,
    dev: u64,
}

impl Node {
    pub(super) fn kind(&self) -> FileKind {
        match self.body {
            Body::File(_) => FileKind::Regular,
            Body::Dir(_) => FileKind::Directory,
            Body::Link(_) => FileKind::Symlink,
        }
    }

    fn cost(&self) -> u64 {
        NODE_COST
            + match &self.body {
                Body::File(content) => content.cost(),
                Body::Dir(_) => 0,
                Body::Link(target) => target.len() as u64,
            }
    }
}

fn name_cost(name: &Basename) -> u64 {
    NAME_COST + name.as_bytes().len() as u64
}

impl Tree {
    pub(super) fn new(max_bytes: u64, clock: Clock, dev: u64) -> Tree {
        let now = clock();
        let root =
            Node { body: Body::Dir(Entries::empty()), names: 1, handles: 0, atim: now, mtim: now, ctim: now };
        Tree {
            nodes: HashMap::from([(ROOT, root)]),
            next: ROOT + 1,
            budget: Budget::new(max_bytes),
            clock,
            dev,
        }
    }

    /// The node with this number: an error, not a panic, should a handle have outlived it.
    pub(super) fn node(&self, ino: Ino) -> Result<&Node, Errno> {
        self.nodes.get(&ino).ok_or(Errno::Stale)
    }

    /// A node together with what its contents are paid from.
    pub(super) fn node_mut(&mut self, ino: Ino) -> Result<(&mut Node, &mut Budget), Errno> {
        let node = self.nodes.get_mut(&ino).ok_or(Errno::Stale)?;
        Ok((node, &mut self.budget))
    }

    pub(super) fn now(&self) -> u64 {
        (self.clock)()
    }

    pub(super) fn entries(&self, dir: Ino) -> Result<&Entries, Errno> {
        match &self.node(dir)?.body {
            Body::Dir(entries) => Ok(entries),
            _ => Err(Errno::Notdir),
        }
    }

    fn entries_mut(&mut self, dir: Ino) -> Result<&mut Entries, Errno> {
        match &mut self.node_mut(dir)?.0.body {
            Body::Dir(entries) => Ok(entries),
            _ => Err(Errno::Notdir),
        }
    }

    pub(super) fn parent(&self, dir: Ino) -> Result<Ino, Errno> {
        Ok(self.entries(dir)?.parent)
    }

    /// What a name stands for, if anything.
    pub(super) fn lookup(&self, dir: Ino, name: &Basename) -> Result<Option<Ino>, Errno> {
        Ok(self.entries(dir)?.names.get(name).copied())
    }

    /// What is at a place.
    pub(super) fn at(&self, place: &Place) -> Result<Ino, Errno> {
        match place {
            Place::Named { dir, name, .. } => self.lookup(*dir, name)?.ok_or(Errno::Noent),
            Place::Dots { dir, .. } => Ok(*dir),
        }
    }

    /// Follows `path` from `root`, which it cannot get above, to the place that the last component names.
    pub(super) fn place(&self, root: Ino, path: &GuestPath, follow: Follow) -> Result<Place, Errno> {
        let mut dir = root;
        let mut ahead: Vec<Component> = path.components().collect();
        ahead.reverse();
        let mut must_be_dir = path.must_be_dir();
        let mut links = 0;
        loop {
            // Paths have components, so that there is one until one of them returns.
            let component = ahead.pop().ok_or(Errno::Noent)?;
            let last = ahead.is_empty();
            let name = match component {
                Component::Here if last => return Ok(Place::Dots { dir, up: false }),
                Component::Here => continue,
                Component::Up if dir == root => return Err(Errno::Perm),
                Component::Up => {
                    dir = self.parent(dir)?;
                    if last {
                        return Ok(Place::Dots { dir, up: true });
                    }
                    continue;
                }
                Component::Name(name) => name,
            };
            let found = self.lookup(dir, &name)?;
            let body = found.map(|ino| self.node(ino)).transpose()?.map(|node| &node.body);
            match (found, body) {
                (_, Some(Body::Link(target))) if !last || follow.follows(must_be_dir) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::Loop);
                    }
                    let target = GuestPath::new(target)?;
                    must_be_dir |= last && target.must_be_dir();
                    let start = ahead.len();
                    ahead.extend(target.components());
                    ahead[start..].reverse();
                }
                _ if last => return Ok(Place::Named { dir, name, must_be_dir }),
                (Some(ino), Some(Body::Dir(_))) => dir = ino,
                (None, _) => return Err(Errno::Noent),
                _ => return Err(Errno::Notdir),
            }
        }
    }

    /// The attributes of a node.
    pub(super) fn stat(&self, ino: Ino) -> Result<FileStat, Errno> {
        let node = self.node(ino)?;
        let (size, nlink) = match &node.body {
            Body::File(content) => (content.len(), node.names),
            Body::Link(target) => (target.len() as u64, node.names),
            Body::Dir(entries) => (0, if node.names == 0 { 0 } else { 2 + entries.dirs }),
        };
        let Node { atim, mtim, ctim, .. } = *node;
        Ok(FileStat { dev: self.dev, ino, kind: node.kind(), nlink, size, atim, mtim, ctim })
    }

    /// Sets timestamps.
    pub(super) fn set_times(&mut self, ino: Ino, atim: TimeSpec, mtim: TimeSpec) -> Result<(), Errno> {
        let now = self.now();
        let (node, _) = self.node_mut(ino)?;
        for (time, spec) in [(&mut node.atim, atim), (&mut node.mtim, mtim)] {
            match spec {
                TimeSpec::Omit => {}
                TimeSpec::Now => *time = now,
                TimeSpec::At(at) => *time = at,
            }
        }
        node.ctim = now;
        Ok(())
    }

    /// Notes that the data of a node has changed.
    pub(super) fn touch(&mut self, ino: Ino) -> Result<(), Errno> {
        let now = self.now();
        let (node, _) = self.node_mut(ino)?;
        (node.mtim, node.ctim) = (now, now);
        Ok(())
    }

    /// Makes a node under a name that is free.
    pub(super) fn create(&mut self, dir: Ino, name: Basename, body: Body) -> Result<Ino, Errno> {
        let now = self.now();
        let ino = self.next;
        let node = Node { body, names: 0, handles: 0, atim: now, mtim: now, ctim: now };
        self.alive(dir)?;
        let cost = node.cost();
        self.budget.take(cost)?;
        self.nodes.insert(ino, node);
        self.next += 1;
        if let Err(error) = self.name(dir, name, ino) {
            self.nodes.remove(&ino);
            self.budget.give_back(cost);
            return Err(error);
        }
        Ok(ino)
    }

    /// Refuses directories that have been removed.
    pub(super) fn alive(&self, dir: Ino) -> Result<(), Errno> {
        if self.node(dir)?.names == 0 { Err(Errno::Noent) } else { Ok(()) }
    }

    /// Gives a node a name that is free.
    pub(super) fn name(&mut self, dir: Ino, name: Basename, ino: Ino) -> Result<(), Errno> {
        self.alive(dir)?;
        self.budget.take(name_cost(&name))?;
        let now = self.now();
        let (node, _) = self.node_mut(ino)?;
        node.names += 1;
        node.ctim = now;
        let is_dir = match &mut node.body {
            Body::Dir(entries) => {
                entries.parent = dir;
                true
            }
            _ => false,
        };
        let entries = self.entries_mut(dir)?;
        entries.names.insert(name, ino);
        entries.dirs += u64::from(is_dir);
        self.touch(dir)
    }

    /// Takes a name away, and the node with it if that was the last and nobody has it open.
    pub(super) fn unname(&mut self, dir: Ino, name: &Basename) -> Result<(), Errno> {
        let ino = self.entries_mut(dir)?.names.remove(name).ok_or(Errno::Noent)?;
        self.budget.give_back(name_cost(name));
        if self.node(ino)?.kind() == FileKind::Directory {
            self.entries_mut(dir)?.dirs -= 1;
        }
        self.touch(dir)?;
        let now = self.now();
        let (node, _) = self.node_mut(ino)?;
        node.names -= 1;
        node.ctim = now;
        self.collect(ino);
        Ok(())
    }

    /// Moves a node to another name, which is free.
    pub(super) fn rename(&mut self, old: (Ino, &Basename), new: (Ino, Basename)) -> Result<(), Errno> {
        let ino = self.lookup(old.0, old.1)?.ok_or(Errno::Noent)?;
        // The new name first: with two, the node cannot be lost on the way.
        self.name(new.0, new.1, ino)?;
        self.unname(old.0, old.1)
    }

    /// Whether `dir` is `below` or one of the directories above it.
    pub(super) fn is_above(&self, dir: Ino, below: Ino) -> Result<bool, Errno> {
        let mut at = below;
        loop {
            if at == dir {
                return Ok(true);
            }
            let parent = self.parent(at)?;
            if parent == at {
                return Ok(false);
            }
            at = parent;
        }
    }

    /// Notes a new handle.
    pub(super) fn retain(&mut self, ino: Ino) {
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.handles += 1;
        }
    }

    /// Notes the end of a handle.
    pub(super) fn release(&mut self, ino: Ino) {
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.handles -= 1;
            self.collect(ino);
        }
    }

    /// Removes a node that can no longer be reached.
    fn collect(&mut self, ino: Ino) {
        if let Some(node) = self.nodes.get(&ino)
            && node.names == 0
            && node.handles == 0
        {
            self.budget.give_back(node.cost());
            self.nodes.remove(&ino);
        }
    }
}
