//! Nothing outside a granted directory can be read, changed, made or found out about, whatever the path.
//!
//! Every operation is tried on every way out known from the vulnerabilities of other sandboxes, with both resolvers:
//! `..`, relative, absolute and chained links, links in subdirectories, links whose text ends in a slash, and all of
//! them with slashes, dots and names after them. What a success gives must be inside; what is outside must look
//! afterwards as it did before, times of change included.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::sync::Arc;

use crate::vfs_common::{RESOLVERS, host, host_picture, path, read_all, scratch, write};
use wasmrun_wasi::Errno;
use wasmrun_wasi::vfs::host::ResolverChoice;
use wasmrun_wasi::vfs::{Dir, FileKind, GuestPath, OpenHow, Opened, TimeSpec};

const CANARY: &[u8] = b"canary: nobody may read this";

/// Links inside and where they lead; `@` stands for the absolute path of the directory around everything.
const LINKS: &[(&str, &str)] = &[
    ("file", "../outfile"),
    ("file_slash", "../outfile/"),
    ("dir", "../out"),
    ("dir_slash", "../out/"),
    ("dir_slashes", "../out//"),
    ("dir_dot", "../out/."),
    ("deep", "../out/sub/deep"),
    ("missing", "../out/new"),
    ("abs_file", "@/outfile"),
    ("abs_dir", "@/out"),
    ("abs_dir_slash", "@/out/"),
    ("abs_inside", "@/pre/f"),
    ("abs_missing", "@/out/new"),
    ("root", "/"),
    ("up", ".."),
    ("up_slash", "../"),
    ("up_up", "d/../.."),
    ("dip", "../pre/f"),
    ("dip_dir", "d/../../pre/d"),
    ("sibling", "../preX"),
    ("chain1", "dir"),
    ("chain2", "chain1/"),
    ("chain_file", "d/in_file"),
    ("d/in_file", "../../outfile"),
    ("d/in_dir", "../../out"),
    ("d/in_dir_slash", "../../out/"),
    ("d/in_missing", "../../out/new"),
];

/// What comes after the name of a link.
const SUFFIXES: &[&str] = &["", "/", "//", "/.", "/./", "/..", "/../", "/secret", "/sub/", "/new", "/new/"];

/// Ways out that need no link.
const DIRECT: &[&str] = &[
    "..",
    "../",
    "../.",
    "../outfile",
    "../outfile/",
    "../out",
    "../out/",
    "../out/secret",
    "../out/new",
    "../preX",
    "../preX/secret",
    "../pre",
    "../pre/f",
    "./../outfile",
    "d/../../outfile",
    "d/../../out/sub/",
    "d/../../pre/f",
    "d/../../pre/new",
    "d//..//..//outfile",
    "d/..//../",
];

/// A granted directory `pre` beside what must stay out of reach.
struct Fixture {
    base: tempfile::TempDir,
    dir: Arc<dyn Dir>,
    outside: HashSet<(u64, u64)>,
    pictures: [std::collections::BTreeMap<String, String>; 3],
    resolver: ResolverChoice,
}

impl Fixture {
    fn new(resolver: ResolverChoice) -> Fixture {
        let base = scratch();
        let at = |name: &str| base.path().join(name);
        for dir in ["pre", "out", "out/sub", "preX"] {
            fs::create_dir(at(dir)).unwrap();
        }
        for file in ["outfile", "out/secret", "out/sub/deep", "preX/secret"] {
            fs::write(at(file), CANARY).unwrap();
        }
        let ids = ["", "outfile", "out", "out/secret", "out/sub", "out/sub/deep", "preX", "preX/secret"]
            .map(|name| fs::symlink_metadata(at(name)).unwrap())
            .map(|meta| (meta.dev(), meta.ino()));
        fill(base.path());
        let dir = host(&at("pre"), resolver);
        let mut fixture = Fixture { outside: ids.into(), pictures: Default::default(), base, dir, resolver };
        fixture.pictures = fixture.outside_pictures();
        fixture
    }

    /// Everything that must not change.
    fn outside_pictures(&self) -> [std::collections::BTreeMap<String, String>; 3] {
        ["out", "preX", "outfile"].map(|name| host_picture(&self.base.path().join(name)))
    }

    /// Empties the granted directory, which stays the same one, and fills it anew.
    fn refill(&self) {
        let pre = self.base.path().join("pre");
        for entry in fs::read_dir(&pre).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                fs::remove_dir_all(entry.path()).unwrap();
            } else {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        fill(self.base.path());
    }

    /// Runs one operation on one path and looks at what it has done and given.
    fn attack(&self, name: &str, path: &GuestPath, operation: &Operation) -> Result<(), Errno> {
        let context = format!("{} of {path:?} with {:?}", name, self.resolver);
        let result = operation(&*self.dir, path);
        assert_eq!(self.outside_pictures(), self.pictures, "{context} changed something outside");
        let names = fs::read_dir(self.base.path()).unwrap().count();
        assert_eq!(names, 4, "{context} made or removed something beside the granted directory");
        match result {
            Ok(Got::Nothing) => {}
            Ok(Got::Id(id)) => assert!(!self.outside.contains(&id), "{context} told about the outside"),
            Ok(Got::Data(data)) => {
                assert!(!data.windows(6).any(|part| part == &CANARY[..6]), "{context} read the canary");
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Fills the granted directory below `base`.
fn fill(base: &Path) {
    let pre = base.join("pre");
    fs::create_dir(pre.join("d")).unwrap();
    fs::create_dir(pre.join("e")).unwrap();
    fs::write(pre.join("f"), "inside").unwrap();
    fs::write(pre.join("d/in"), "inside").unwrap();
    for (name, target) in LINKS {
        symlink(target.replace('@', base.to_str().unwrap()), pre.join(name)).unwrap();
    }
}

/// What an operation gave, as far as it must not come from outside.
enum Got {
    Nothing,
    Id((u64, u64)),
    Data(Vec<u8>),
}

type Operation = dyn Fn(&dyn Dir, &GuestPath) -> Result<Got, Errno>;

/// All combinations of what one can ask of `open`.
fn all_hows() -> impl Iterator<Item = OpenHow> {
    (0_u32..1 << 6).map(|bits| {
        let bit = |number: u32| bits & 1 << number != 0;
        OpenHow {
            read: !bit(0),
            write: bit(0),
            append: false,
            create: bit(1),
            exclusive: bit(2),
            truncate: bit(3),
            directory: bit(4),
            follow_final_symlink: bit(5),
            ..OpenHow::default()
        }
    })
}

/// Opens, and uses what was opened in every way that could do harm.
fn open_and_use(dir: &dyn Dir, path: &GuestPath, how: &OpenHow) -> Result<Got, Errno> {
    match dir.open(path, how)? {
        Opened::File(file) => {
            let stat = file.stat()?;
            let data = read_all(&*file).unwrap_or_default();
            let _ = write(&*file, b"overwritten", 0);
            let _ = file.set_len(3);
            let _ = file.set_times(TimeSpec::At(1), TimeSpec::At(1));
            if data.is_empty() { Ok(Got::Id((stat.dev, stat.ino))) } else { Ok(Got::Data(data)) }
        }
        Opened::Dir(below) => {
            let stat = below.self_stat()?;
            let _ = below.self_set_times(TimeSpec::At(1), TimeSpec::At(1));
            let _ = below.create_dir(&GuestPath::new(b"made")?);
            Ok(Got::Id((stat.dev, stat.ino)))
        }
    }
}

/// Every operation with a path but `open`, and whether it can change the granted directory.
fn operations() -> Vec<(&'static str, Box<Operation>)> {
    fn nothing(result: Result<(), Errno>) -> Result<Got, Errno> {
        result.map(|()| Got::Nothing)
    }
    let mut list: Vec<(&'static str, Box<Operation>)> = Vec::new();
    for follow in [false, true] {
        list.push((
            "metadata",
            Box::new(move |dir, path| {
                let stat = dir.metadata(path, follow)?;
                Ok(Got::Id((stat.dev, stat.ino)))
            }),
        ));
        list.push((
            "set_times",
            Box::new(move |dir, path| {
                nothing(dir.set_times(path, follow, TimeSpec::At(5_000_000_000), TimeSpec::Now))
            }),
        ));
    }
    list.push(("create_dir", Box::new(|dir, path| nothing(dir.create_dir(path)))));
    list.push(("remove_dir", Box::new(|dir, path| nothing(dir.remove_dir(path)))));
    list.push(("unlink", Box::new(|dir, path| nothing(dir.unlink(path)))));
    list.push(("symlink", Box::new(|dir, path| nothing(dir.symlink(b"f", path)))));
    list.push(("read_link", Box::new(|dir, path| dir.read_link(path).map(|_| Got::Nothing))));
    list.push(("link from", Box::new(|dir, old| nothing(dir.link(old, dir, &path("fresh"))))));
    list.push(("link to", Box::new(|dir, new| nothing(dir.link(&path("f"), dir, new)))));
    list.push(("rename from", Box::new(|dir, old| nothing(dir.rename(old, dir, &path("fresh"))))));
    list.push(("rename file to", Box::new(|dir, new| nothing(dir.rename(&path("f"), dir, new)))));
    list.push(("rename dir to", Box::new(|dir, new| nothing(dir.rename(&path("e"), dir, new)))));
    list.push(("rename link to", Box::new(|dir, new| nothing(dir.rename(&path("dir"), dir, new)))));
    list
}

/// Every way out, and whether it needs no link.
fn ways_out() -> Vec<(GuestPath, bool)> {
    let mut ways: Vec<_> = DIRECT.iter().map(|text| (path(text), true)).collect();
    for (link, _) in LINKS {
        for suffix in SUFFIXES {
            ways.push((path(&format!("{link}{suffix}")), false));
        }
        for suffix in ["", "/", "/secret"] {
            ways.push((path(&format!("d/../{link}{suffix}")), false));
        }
    }
    ways
}

#[test]
fn both_resolvers_are_tested_where_there_are_two() {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
    use wasmrun_wasi::vfs::host::{HostDir, HostOptions};
    let base = tempfile::tempdir().unwrap();
    let name = |resolver| {
        let options = HostOptions { resolver, ..HostOptions::default() };
        HostDir::open_ambient(base.path(), options).unwrap().resolver_name()
    };
    let forced = std::env::var_os("WASI_FORCE_WALKER").is_some_and(|value| value == "1");
    let kernel = openat2(CWD, ".", OFlags::PATH, Mode::empty(), ResolveFlags::BENEATH).is_ok();
    assert_eq!(name(ResolverChoice::Best), if kernel && !forced { "openat2" } else { "walker" });
    assert_eq!(name(ResolverChoice::Walker), "walker");
}

#[test]
fn no_operation_reaches_outside_by_any_path() {
    for resolver in RESOLVERS {
        let fixture = Fixture::new(resolver);
        for (path, direct) in ways_out() {
            for (name, operation) in operations() {
                match fixture.attack(name, &path, &*operation) {
                    Ok(()) if direct => panic!("{name} of {path:?} succeeded with {resolver:?}"),
                    Ok(()) => fixture.refill(),
                    Err(error) if direct => {
                        assert_eq!(error, Errno::Perm, "{name} of {path:?} with {resolver:?}")
                    }
                    Err(_) => {}
                }
            }
        }
    }
}

#[test]
fn no_way_of_opening_reaches_outside_by_any_path() {
    for resolver in RESOLVERS {
        let fixture = Fixture::new(resolver);
        for (path, direct) in ways_out() {
            for how in all_hows() {
                let name = format!("{how:?}");
                match fixture.attack(&name, &path, &move |dir, path| open_and_use(dir, path, &how)) {
                    Ok(()) if direct => panic!("{name} of {path:?} succeeded with {resolver:?}"),
                    // The directories and files inside, used.
                    Ok(()) => fixture.refill(),
                    Err(_) => {}
                }
            }
        }
    }
}

#[test]
fn following_a_link_to_the_outside_is_refused_as_not_permitted() {
    for resolver in RESOLVERS {
        let fixture = Fixture::new(resolver);
        for (link, _) in LINKS {
            let how = OpenHow { follow_final_symlink: true, ..OpenHow::default() };
            let opened = fixture.dir.open(&path(link), &how).map(drop);
            assert_eq!(opened, Err(Errno::Perm), "opening {link} with {resolver:?}");
            let stat = fixture.dir.metadata(&path(link), true).map(drop);
            assert_eq!(stat, Err(Errno::Perm), "looking at {link} with {resolver:?}");
            let create = OpenHow { write: true, create: true, ..how };
            let opened = fixture.dir.open(&path(link), &create).map(drop);
            // Linux refuses to create what has slashes after it without looking further.
            let refused = matches!(opened, Err(Errno::Perm | Errno::Isdir));
            assert!(refused, "creating through {link} with {resolver:?}: {opened:?}");
        }
    }
}

#[test]
fn a_link_that_stays_inside_is_followed() {
    // The other tests would pass if nothing were ever followed.
    for resolver in RESOLVERS {
        let fixture = Fixture::new(resolver);
        fixture.dir.symlink(b"d/../f", &path("to_file")).unwrap();
        fixture.dir.symlink(b"../d/", &path("d/to_dir")).unwrap();
        fixture.dir.symlink(b"e/fresh", &path("to_fresh")).unwrap();
        let how = OpenHow { follow_final_symlink: true, ..OpenHow::default() };
        for (name, expected) in
            [("to_file", "inside"), ("d/to_dir/in", "inside"), ("d/to_dir/to_dir/../f", "inside")]
        {
            let Opened::File(file) = fixture.dir.open(&path(name), &how).unwrap() else { panic!("{name}") };
            assert_eq!(read_all(&*file).unwrap(), expected.as_bytes());
        }
        fixture.dir.open(&path("to_fresh"), &OpenHow { create: true, ..how }).unwrap();
        assert_eq!(fixture.dir.metadata(&path("e/fresh"), false).unwrap().kind, FileKind::Regular);
        assert_eq!(fixture.dir.metadata(&path("d/to_dir/"), false).unwrap().kind, FileKind::Directory);
    }
}

#[test]
fn a_directory_that_was_moved_out_does_not_lead_out() {
    for resolver in RESOLVERS {
        let fixture = Fixture::new(resolver);
        let how = OpenHow { directory: true, ..OpenHow::default() };
        let Opened::Dir(moved) = fixture.dir.open(&path("e"), &how).unwrap() else { panic!() };
        let base = fixture.base.path();
        fs::rename(base.join("pre/e"), base.join("out/e")).unwrap();
        for name in ["..", "../secret", "../../outfile"] {
            assert_eq!(moved.metadata(&path(name), true), Err(Errno::Perm), "{name} with {resolver:?}");
        }
    }
}

#[test]
fn the_directory_above_the_granted_one_is_not_named_by_its_number() {
    for resolver in RESOLVERS {
        let fixture = Fixture::new(resolver);
        let how = OpenHow { directory: true, ..OpenHow::default() };
        let Opened::Dir(again) = fixture.dir.open(&path("."), &how).unwrap() else { panic!() };
        let Opened::Dir(below) = fixture.dir.open(&path("d"), &how).unwrap() else { panic!() };
        let own = fixture.dir.self_stat().unwrap().ino;
        for dir in [&fixture.dir, &again, &below] {
            let entries = dir.entries(1 << 20).unwrap();
            assert_eq!((&entries[0].name[..], &entries[1].name[..]), (&b"."[..], &b".."[..]));
            assert_eq!(entries[0].ino, dir.self_stat().unwrap().ino);
            assert_eq!(entries[1].ino, own);
        }
    }
}
