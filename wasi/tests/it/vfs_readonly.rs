//! What is granted read-only is not changed: not by any operation, not through anything opened from it, whatever the
//! flags, on the host with both resolvers and in memory. And nothing moves between grants that differ.

use std::fs;
use std::io::IoSlice;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use crate::vfs_common::{RESOLVERS, guest_picture, host, host_picture, path, read_all, write};
use wasmrun_wasi::Errno;
use wasmrun_wasi::vfs::memfs::MemFs;
use wasmrun_wasi::vfs::{Dir, File, FileStat, Mount, OpenHow, Opened, Perm, TimeSpec};

/// Names of every kind of thing, with and without slashes after them.
const NAMES: &[&str] = &[
    "f", "f/", "d", "d/", "d/in", "lf", "lf/", "ld", "ld/", "ld/in", "dangling", "new", "new/", "d/new", ".",
    "d/..",
];

/// All combinations of flags that make sense and that do not.
fn all_hows() -> impl Iterator<Item = OpenHow> {
    (0_u32..1 << 12).map(|bits| {
        let bit = |number: u32| bits & 1 << number != 0;
        OpenHow {
            read: bit(0),
            write: bit(1),
            append: bit(2),
            create: bit(3),
            exclusive: bit(4),
            truncate: bit(5),
            directory: bit(6),
            follow_final_symlink: bit(7),
            nonblock: bit(8),
            dsync: bit(9),
            sync: bit(10),
            rsync: bit(11),
        }
    })
}

fn fill(root: &Arc<dyn Dir>) {
    let how = OpenHow { write: true, create: true, ..OpenHow::default() };
    for dir in ["d", "e"] {
        root.create_dir(&path(dir)).unwrap();
    }
    for file in ["f", "d/in"] {
        let Opened::File(file) = root.open(&path(file), &how).unwrap() else { panic!() };
        write(&*file, b"unchanged", 0).unwrap();
    }
    for (target, link) in [("f", "lf"), ("d", "ld"), ("nothing", "dangling")] {
        root.symlink(target.as_bytes(), &path(link)).unwrap();
    }
}

/// Times and numbers of everything in [`NAMES`], which [`guest_picture`] leaves out.
fn stats(root: &Arc<dyn Dir>) -> Vec<Result<FileStat, Errno>> {
    // Access times change by looking.
    let stat = |name: &&str| root.metadata(&path(name), false).map(|stat| FileStat { atim: 0, ..stat });
    NAMES.iter().map(stat).collect()
}

/// Tries to change a file that was opened from a read-only grant.
fn change_file(file: &dyn File) {
    assert_eq!(write(file, b"changed", 0), Err(Errno::Badf));
    assert_eq!(file.append(&[IoSlice::new(b"changed")]), Err(Errno::Badf));
    assert_eq!(file.set_len(1), Err(Errno::Badf));
    assert_eq!(file.allocate(0, 1 << 16), Err(Errno::Badf));
    assert_eq!(file.set_times(TimeSpec::At(1), TimeSpec::At(1)), Err(Errno::Perm));
    assert_eq!(file.set_times(TimeSpec::Omit, TimeSpec::Omit), Err(Errno::Perm));
}

/// Tries every operation that changes names or attributes, but `open`.
fn change_dir(dir: &Arc<dyn Dir>) {
    for name in NAMES {
        let name = &path(name);
        for follow in [false, true] {
            assert_eq!(dir.set_times(name, follow, TimeSpec::Now, TimeSpec::Now), Err(Errno::Perm));
        }
        assert_eq!(dir.create_dir(name), Err(Errno::Perm));
        assert_eq!(dir.remove_dir(name), Err(Errno::Perm));
        assert_eq!(dir.unlink(name), Err(Errno::Perm));
        assert_eq!(dir.symlink(b"f", name), Err(Errno::Perm));
        for other in NAMES {
            assert_eq!(dir.link(name, &**dir, &path(other)), Err(Errno::Perm));
            assert_eq!(dir.rename(name, &**dir, &path(other)), Err(Errno::Perm));
        }
    }
    assert_eq!(dir.self_set_times(TimeSpec::Now, TimeSpec::Now), Err(Errno::Perm));
}

/// Tries everything on a read-only grant of `dir`, and checks that all of it can still be looked at.
fn change_everything(dir: Arc<dyn Dir>) {
    let root = Mount::new(dir, Perm::ReadOnly).root();
    let mut opened = 0;
    for name in NAMES {
        for how in all_hows() {
            let result = root.open(&path(name), &how);
            if how.writes() {
                let refused = matches!(result, Err(Errno::Perm | Errno::Inval));
                assert!(refused, "{name} could be opened with {how:?}");
            }
            match result {
                Ok(Opened::File(file)) => {
                    change_file(&*file);
                    assert_eq!(read_all(&*file).unwrap(), b"unchanged");
                    opened += 1;
                }
                Ok(Opened::Dir(below)) if how == OpenHow::default() => change_dir(&below),
                Ok(Opened::Dir(below)) => {
                    assert_eq!(below.create_dir(&path("new")), Err(Errno::Perm));
                    assert_eq!(below.self_set_times(TimeSpec::Now, TimeSpec::Now), Err(Errno::Perm));
                }
                Err(_) => {}
            }
        }
    }
    assert!(opened > 0, "nothing could be opened, so nothing was tested");
    change_dir(&root);
}

#[test]
fn a_read_only_directory_of_the_host_is_not_changed() {
    for resolver in RESOLVERS {
        let base = tempfile::tempdir().unwrap();
        fill(&host(base.path(), resolver));
        let before = host_picture(base.path());
        change_everything(host(base.path(), resolver));
        assert_eq!(host_picture(base.path()), before, "with {resolver:?}");
    }
}

#[test]
fn a_read_only_tree_in_memory_is_not_changed() {
    let fs = MemFs::default();
    fill(&fs.root());
    let before = (guest_picture(&fs.root()), stats(&fs.root()));
    change_everything(fs.root());
    assert_eq!((guest_picture(&fs.root()), stats(&fs.root())), before);
}

/// Two grants, the second of which may be changed, and of which the first is below the other: what would be found if
/// names could move between them.
fn grants(base: &Path) -> Vec<(Arc<dyn Dir>, Arc<dyn Dir>)> {
    let mut pairs = Vec::new();
    for (number, resolver) in RESOLVERS.into_iter().enumerate() {
        let [a, b] = ["a", "b"].map(|name| {
            let path = base.join(format!("{name}{number}"));
            fs::create_dir(&path).unwrap();
            host(&path, resolver)
        });
        pairs.push((a, b));
    }
    let fs = MemFs::default();
    let below = ["a", "b"].map(|name| {
        fs.root().create_dir(&path(name)).unwrap();
        match fs.root().open(&path(name), &OpenHow::default()).unwrap() {
            Opened::Dir(dir) => dir,
            Opened::File(_) => panic!(),
        }
    });
    pairs.push(below.into());
    for (a, b) in &pairs {
        fill(a);
        fill(b);
    }
    pairs
}

#[test]
fn nothing_moves_between_grants_that_differ() {
    let base = tempfile::tempdir().unwrap();
    for (a, b) in grants(base.path()) {
        let read_write = Mount::new(b.clone(), Perm::ReadWrite);
        let differing = [
            (Mount::new(a.clone(), Perm::ReadOnly), read_write.clone()),
            (Mount::new(a.clone(), Perm::ReadWrite).allow_symlinks(false), read_write.clone()),
            (Mount::new(a.clone(), Perm::ReadWrite).allow_hard_links(false), read_write),
        ];
        let before = (guest_picture(&a), guest_picture(&b));
        for (a, b) in differing {
            for (from, to) in [(a.root(), b.root()), (b.root(), a.root())] {
                for old in ["f", "d", "d/in", "lf"] {
                    for new in ["new", "f", "e"] {
                        assert_eq!(from.link(&path(old), &*to, &path(new)), Err(Errno::Perm));
                        assert_eq!(from.rename(&path(old), &*to, &path(new)), Err(Errno::Perm));
                    }
                }
            }
        }
        assert_eq!((guest_picture(&a), guest_picture(&b)), before);
    }
}

#[test]
fn names_move_between_grants_that_are_the_same() {
    let base = tempfile::tempdir().unwrap();
    for (a, b) in grants(base.path()) {
        let [from, to] = [&a, &b].map(|dir| Mount::new(dir.clone(), Perm::ReadWrite).root());
        from.link(&path("f"), &*to, &path("linked")).unwrap();
        from.rename(&path("d"), &*to, &path("moved")).unwrap();
        assert_eq!(to.metadata(&path("linked"), false).unwrap().nlink, 2);
        assert_eq!(to.metadata(&path("moved/in"), false).unwrap().size, 9);
        assert_eq!(from.metadata(&path("d"), false), Err(Errno::Noent));
    }
}

#[test]
fn nothing_moves_between_backends_and_no_grant_is_bypassed() {
    let base = tempfile::tempdir().unwrap();
    let pairs = grants(base.path());
    let mounted = |dir: &Arc<dyn Dir>| Mount::new(dir.clone(), Perm::ReadWrite).root();
    let (on_host, in_memory) = (&pairs[0].0, &pairs[2].0);
    let other_memory = MemFs::default().root();
    for (from, to) in [(on_host, in_memory), (in_memory, on_host), (in_memory, &other_memory)] {
        let (from, to) = (mounted(from), mounted(to));
        assert_eq!(from.link(&path("f"), &*to, &path("new")), Err(Errno::Xdev));
        assert_eq!(from.rename(&path("f"), &*to, &path("new")), Err(Errno::Xdev));
    }
    // A directory that no mount guards is nobody's peer.
    assert_eq!(mounted(on_host).link(&path("f"), &**on_host, &path("new")), Err(Errno::Xdev));
}

#[test]
fn links_can_be_forbidden_one_by_one() {
    let fs = MemFs::default();
    fill(&fs.root());
    let mount = Mount::new(fs.root(), Perm::ReadWrite);
    let (link, symlink) = (
        |mount: Mount, new| {
            let root = mount.root();
            root.link(&path("f"), &*root, &path(new))
        },
        |mount: Mount, new| mount.root().symlink(b"f", &path(new)),
    );
    assert_eq!(link(mount.clone().allow_hard_links(false), "a"), Err(Errno::Perm));
    assert_eq!(symlink(mount.clone().allow_hard_links(false), "b"), Ok(()));
    assert_eq!(link(mount.clone().allow_symlinks(false), "c"), Ok(()));
    assert_eq!(symlink(mount.allow_symlinks(false), "d2"), Err(Errno::Perm));
}

#[test]
fn a_writable_directory_below_a_read_only_one_stays_reachable_only_as_read_only() {
    let base = tempfile::tempdir().unwrap();
    fs::create_dir(base.path().join("d")).unwrap();
    fs::write(base.path().join("d/f"), "unchanged").unwrap();
    symlink("d/f", base.path().join("l")).unwrap();
    let root = Mount::new(host(base.path(), RESOLVERS[0]), Perm::ReadOnly).root();
    let Opened::Dir(below) = root.open(&path("d"), &OpenHow::default()).unwrap() else { panic!() };
    let truncate = OpenHow { read: true, truncate: true, follow_final_symlink: true, ..OpenHow::default() };
    assert_eq!(below.open(&path("f"), &truncate).map(drop), Err(Errno::Perm));
    assert_eq!(root.open(&path("l"), &truncate).map(drop), Err(Errno::Perm));
    assert_eq!(fs::read(base.path().join("d/f")).unwrap(), b"unchanged");
}
