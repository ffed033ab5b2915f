//! The tree in memory, the kernel's resolver and the portable one are the same file system to a guest.
//!
//! Random programs over few names run on all three; after each step the outcomes must be equal, data and error codes
//! alike, and at the end the trees. The tree in memory was written from the specification as plain maps and shares
//! nothing with the other two but the grammar of paths, so that what one of them gets wrong shows.

#![cfg(unix)]

mod vfs_common;

use std::io::IoSlice;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use vfs_common::{RESOLVERS, guest_picture, host, read_all, write};
use wasmrun_wasi::vfs::memfs::MemFs;
use wasmrun_wasi::vfs::{Dir, Errno, FileKind, GuestPath, OpenHow, Opened, TimeSpec};

/// Few, so that programs meet themselves.
const NAMES: &[&str] = &[
    "a", "b", "l", "a/", "./a", "../a", "l/", "l//", "l/.", "/a", "", "a/b", "a/b/", "a/..", "a/../b", "l/b",
    "l/..", "l/a/b", "b/l", "b/l/a", ".", "./", "..", "a/.", "b/../a/", "c", "c/",
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
    Open { at: usize, path: &'static str, how: OpenHow, act: Act },
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
    let path = || select(NAMES);
    let data = || vec(any::<u8>(), 0..6);
    let position = || prop_oneof![0_u64..10, Just(5000), Just(u64::MAX)];
    let how = any::<[bool; 7]>().prop_map(|bits| OpenHow {
        read: bits[0],
        write: bits[1],
        create: bits[2],
        exclusive: bits[3],
        truncate: bits[4],
        // Seldom, since it excludes the others.
        directory: bits[5] && !bits[2] && !bits[4],
        follow_final_symlink: bits[6],
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
        8 => (at(), path(), how, act).prop_map(|(at, path, how, act)| Step::Open { at, path, how, act }),
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
            Step::Open { at, path: name, how, ref act } => match self.dir(at).open(&path(name)?, &how)? {
                Opened::Dir(_) => Ok("a directory".to_owned()),
                Opened::File(file) => {
                    let outcome = match act {
                        Act::Read => format!("{:?}", read_all(&*file)),
                        Act::Write { position, data } => format!("{:?}", write(&*file, data, *position)),
                        Act::Append { data } => format!("{:?}", file.append(&[IoSlice::new(data)])),
                        Act::SetLen { len } => format!("{:?}", file.set_len(*len)),
                        Act::Allocate { position, len } => format!("{:?}", file.allocate(*position, *len)),
                        Act::UnlinkAndUse { path: name } => {
                            let unlinked = path(name).and_then(|path| self.dir(at).unlink(&path));
                            format!("{unlinked:?} {:?}", write(&*file, b"late", 1))
                        }
                    };
                    let stat = file.stat()?;
                    Ok(format!("{outcome}; {:?} of {}, {} names", stat.kind, stat.size, stat.nlink))
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

/// Runs a program on all worlds.
fn run(steps: &[Step]) -> Result<(), TestCaseError> {
    let memory = MemFs::new(1 << 20);
    let hosts = RESOLVERS.map(|resolver| (tempfile::tempdir().unwrap(), resolver));
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
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(3000);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[42; 32]);
    TestRunner::new_with_rng(config, rng).run(&vec(step(), 1..50), |steps| run(&steps)).unwrap();
}
