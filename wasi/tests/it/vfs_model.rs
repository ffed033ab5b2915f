//! The tree in memory, the kernel's resolver and the portable one are the same file system to a guest.
//!
//! Random programs over few names run on all three; after each step the outcomes must be equal, data and error codes
//! alike, and at the end the trees. The tree in memory was written from the specification as plain maps and shares
//! nothing with the other two but the grammar of paths and the bound of listings, so that what one of them gets wrong
//! shows.

use std::io::IoSlice;
use std::sync::Arc;

use crate::vfs_common::{RESOLVERS, guest_picture, host, read_all, scratch, write};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use wasmrun_wasi::Errno;
use wasmrun_wasi::vfs::memfs::MemFs;
use wasmrun_wasi::vfs::{Dir, File, FileKind, GuestPath, OpenHow, Opened, TimeSpec};

/// Few, so that programs meet themselves.
const PLAIN: &[&str] = &["a", "b", "c", "l", "a/b", "a/c", "l/b", "a/b/c"];

/// The same with all that one can do to a path.
const ODD: &[&str] = &[
    "a/", "./a", "../a", "l/", "l//", "l/.", "/a", "", "a/b/", "a/..", "a/../b", "l/..", "l/a/b", "b/l",
    "b/l/a", ".", "./", "..", "a/.", "b/../a/", "c/", "l/c/", "a/b/../c",
];

/// What links point to.
const TARGETS: &[&str] =
    &["a", "b", "l", "a/", "b/a", "../a", "..", ".", "a/..", "c", "/a", "", "../b/", "b/l"];

/// How many directories a program may have open.
const HANDLES: usize = 3;

/// One step. `at` selects one of the open directories, modulo how many there are.
#[derive(Clone, Debug)]
enum Step {
    OpenDir { at: usize, path: &'static str },
    Open { at: usize, path: &'static str, how: OpenHow, acts: Vec<Act> },
    Metadata { at: usize, path: &'static str, follow: bool },
    SetTimes { at: usize, path: &'static str, follow: bool, time: u64 },
    CreateDir { at: usize, path: &'static str },
    RemoveDir { at: usize, path: &'static str },
    Unlink { at: usize, path: &'static str },
    Symlink { at: usize, target: &'static str, path: &'static str },
    ReadLink { at: usize, path: &'static str },
    Link { at: usize, old: &'static str, to: usize, new: &'static str },
    Rename { at: usize, old: &'static str, to: usize, new: &'static str },
    Entries { at: usize },
}

/// What to do with a file that was opened.
#[derive(Clone, Debug)]
enum Act {
    Read,
    Write { position: u64, data: Vec<u8> },
    Append { data: Vec<u8> },
    SetLen { len: u64 },
    Allocate { position: u64, len: u64 },
    UnlinkAndUse { path: &'static str },
}

fn step() -> impl Strategy<Value = Step> {
    let at = || 0..HANDLES;
    let path = || prop_oneof![3 => select(PLAIN), 2 => select(ODD)];
    let data = || vec(any::<u8>(), 0..6);
    let position = || prop_oneof![0_u64..10, Just(5000), Just(u64::MAX)];
    // With what excludes much else less often.
    let how =
        (any::<[bool; 4]>(), [0..4, 0..4, 0..8]).prop_map(|(bits, [write, exclusive, directory])| OpenHow {
            read: bits[0],
            write: write > 0,
            create: bits[1],
            exclusive: exclusive == 0,
            truncate: bits[2],
            directory: directory == 0,
            follow_final_symlink: bits[3],
            ..OpenHow::default()
        });
    let act = prop_oneof![
        3 => Just(Act::Read),
        4 => (position(), data()).prop_map(|(position, data)| Act::Write { position, data }),
        2 => data().prop_map(|data| Act::Append { data }),
        1 => prop_oneof![0_u64..20, Just(u64::MAX)].prop_map(|len| Act::SetLen { len }),
        1 => (position(), 0_u64..9).prop_map(|(position, len)| Act::Allocate { position, len }),
        1 => path().prop_map(|path| Act::UnlinkAndUse { path }),
    ];
    prop_oneof![
        2 => (at(), path()).prop_map(|(at, path)| Step::OpenDir { at, path }),
        8 => (at(), path(), how, vec(act, 1..5)).prop_map(|(at, path, how, acts)| Step::Open { at, path, how, acts }),
        2 => (at(), path(), any::<bool>()).prop_map(|(at, path, follow)| Step::Metadata { at, path, follow }),
        1 => (at(), path(), any::<bool>(), select(&[0_u64, 1_500_000_000, 1 << 60][..]))
            .prop_map(|(at, path, follow, time)| Step::SetTimes { at, path, follow, time }),
        5 => (at(), path()).prop_map(|(at, path)| Step::CreateDir { at, path }),
        2 => (at(), path()).prop_map(|(at, path)| Step::RemoveDir { at, path }),
        2 => (at(), path()).prop_map(|(at, path)| Step::Unlink { at, path }),
        5 => (at(), select(TARGETS), path()).prop_map(|(at, target, path)| Step::Symlink { at, target, path }),
        1 => (at(), path()).prop_map(|(at, path)| Step::ReadLink { at, path }),
        2 => (at(), path(), at(), path()).prop_map(|(at, old, to, new)| Step::Link { at, old, to, new }),
        5 => (at(), path(), at(), path()).prop_map(|(at, old, to, new)| Step::Rename { at, old, to, new }),
        1 => at().prop_map(|at| Step::Entries { at }),
    ]
}

/// One file system, and the directories that the program has opened in it.
struct World {
    name: &'static str,
    dirs: Vec<Arc<dyn Dir>>,
}

impl World {
    fn dir(&self, at: usize) -> &Arc<dyn Dir> {
        &self.dirs[at % self.dirs.len()]
    }

    /// Uses a file, and says what came of it.
    fn act(&self, at: usize, file: &dyn File, act: &Act) -> Result<String, Errno> {
        match act {
            Act::Read => Ok(format!("{}", read_all(file)?.escape_ascii())),
            Act::Write { position, data } => Ok(format!("{}", write(file, data, *position)?)),
            Act::Append { data } => Ok(format!("{:?}", file.append(&[IoSlice::new(data)])?)),
            Act::SetLen { len } => file.set_len(*len).map(|()| String::new()),
            Act::Allocate { position, len } => file.allocate(*position, *len).map(|()| String::new()),
            Act::UnlinkAndUse { path } => {
                self.dir(at).unlink(&GuestPath::new(path.as_bytes())?)?;
                Ok(format!("{}", write(file, b"late", 1)?))
            }
        }
    }

    /// Takes a step, and says what came of it in words that do not depend on the file system.
    fn step(&mut self, step: &Step) -> Result<String, Errno> {
        let path = |text: &str| GuestPath::new(text.as_bytes());
        let done = |()| String::new();
        match *step {
            Step::OpenDir { at, path: name } => {
                let how = OpenHow { directory: true, ..OpenHow::default() };
                let Opened::Dir(dir) = self.dir(at).open(&path(name)?, &how)? else {
                    return Ok("a file".to_owned());
                };
                let slot = self.dirs.len();
                if slot < HANDLES {
                    self.dirs.push(dir);
                } else {
                    // Never the root.
                    self.dirs[1 + at % (HANDLES - 1)] = dir;
                }
                Ok(String::new())
            }
            Step::Open { at, path: name, how, ref acts } => match self.dir(at).open(&path(name)?, &how)? {
                Opened::Dir(_) => Ok("a directory".to_owned()),
                Opened::File(file) => {
                    let outcomes: Vec<_> = acts.iter().map(|act| self.act(at, &*file, act)).collect();
                    let stat = file.stat()?;
                    Ok(format!("{outcomes:?}; {:?} of {}, {} names", stat.kind, stat.size, stat.nlink))
                }
            },
            Step::Metadata { at, path: name, follow } => {
                let stat = self.dir(at).metadata(&path(name)?, follow)?;
                Ok(match stat.kind {
                    FileKind::Directory => "directory".to_owned(),
                    kind => format!("{kind:?} of {}, {} names", stat.size, stat.nlink),
                })
            }
            Step::SetTimes { at, path: name, follow, time } => {
                let path = path(name)?;
                self.dir(at).set_times(&path, follow, TimeSpec::At(time), TimeSpec::At(time))?;
                // Following a link to look at it would change nothing but its own time of access.
                Ok(format!("{}", self.dir(at).metadata(&path, follow)?.mtim))
            }
            Step::CreateDir { at, path: name } => self.dir(at).create_dir(&path(name)?).map(done),
            Step::RemoveDir { at, path: name } => self.dir(at).remove_dir(&path(name)?).map(done),
            Step::Unlink { at, path: name } => self.dir(at).unlink(&path(name)?).map(done),
            Step::Symlink { at, target, path: name } => {
                self.dir(at).symlink(target.as_bytes(), &path(name)?).map(done)
            }
            Step::ReadLink { at, path: name } => {
                Ok(self.dir(at).read_link(&path(name)?)?.escape_ascii().to_string())
            }
            Step::Link { at, old, to, new } => {
                self.dir(at).link(&path(old)?, &**self.dir(to), &path(new)?).map(done)
            }
            Step::Rename { at, old, to, new } => {
                self.dir(at).rename(&path(old)?, &**self.dir(to), &path(new)?).map(done)
            }
            Step::Entries { at } => {
                let mut names: Vec<_> = self
                    .dir(at)
                    .entries(1 << 20)?
                    .into_iter()
                    .map(|entry| format!("{} {:?}", entry.name.escape_ascii(), entry.kind))
                    .collect();
                names.sort();
                Ok(names.join(", "))
            }
        }
    }
}

/// What every program finds: something under most names, in one of a few shapes.
fn prelude() -> impl Strategy<Value = Vec<Step>> {
    let at = 0;
    let file = move |path| {
        let how = OpenHow { write: true, create: true, ..OpenHow::default() };
        let data = b"data".to_vec();
        Step::Open { at, path, how, acts: vec![Act::Write { position: 0, data }] }
    };
    let dir = move |path| Step::CreateDir { at, path };
    select(TARGETS).prop_map(move |target| {
        vec![
            dir("a"),
            dir("a/b"),
            file("a/c"),
            file("c"),
            Step::Symlink { at, target, path: "l" },
            Step::Symlink { at, target: "../c", path: "a/b/l" },
        ]
    })
}

/// Runs a program on all worlds.
fn run(steps: &[Step]) -> Result<(), TestCaseError> {
    let memory = MemFs::new(1 << 20);
    let hosts = RESOLVERS.map(|resolver| (scratch(), resolver));
    let mut worlds = vec![World { name: "memory", dirs: vec![memory.root()] }];
    for ((base, resolver), name) in hosts.iter().zip(["kernel", "walker"]) {
        worlds.push(World { name, dirs: vec![host(base.path(), *resolver)] });
    }
    for (number, step) in steps.iter().enumerate() {
        let outcomes: Vec<_> = worlds.iter_mut().map(|world| (world.name, world.step(step))).collect();
        for (name, outcome) in &outcomes[1..] {
            prop_assert!(
                outcome == &outcomes[0].1,
                "step {} of {:?}: {} gave {:?}, memory {:?}",
                number,
                steps,
                name,
                outcome,
                outcomes[0].1,
            );
        }
    }
    let pictures: Vec<_> = worlds.iter().map(|world| guest_picture(&world.dirs[0])).collect();
    for (world, picture) in worlds.iter().zip(&pictures) {
        prop_assert_eq!(picture, &pictures[0], "{} differs after {:?}", world.name, steps);
    }
    Ok(())
}

#[test]
fn programs_cannot_tell_the_backends_apart() {
    // The same programs each time; `PROPTEST_CASES` asks for more of them.
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2000);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[42; 32]);
    TestRunner::new_with_rng(config, rng)
        .run(&(prelude(), vec(step(), 1..40)), |(prelude, steps)| run(&[prelude, steps].concat()))
        .unwrap();
}
