//! A directory that somebody rearranges while a guest resolves paths in it still lets nothing out.
//!
//! One thread swaps a directory with a link, or moves a directory to the outside and back, with single system calls, as
//! fast as it can; the other opens. What it gets may be the inside or an error, never the outside. The number of
//! attempts is fixed: the tests do not depend on time, and no particular interleaving is expected.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::vfs_common::{RESOLVERS, host, host_picture, path, read_all, write};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use wasmrun_wasi::Errno;
use wasmrun_wasi::vfs::{Dir, OpenHow, Opened};

const ATTEMPTS: usize = 20_000;

/// Runs `guest` many times while another thread runs `disturb` without pause, an even number of times in all.
fn race(disturb: impl Fn() + Sync, guest: impl Fn(usize)) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        // So that a failing guest does not leave the other thread running.
        struct Finish<'a>(&'a AtomicBool);
        impl Drop for Finish<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::Relaxed);
            }
        }
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                disturb();
                disturb();
            }
        });
        let _finish = Finish(&done);
        (0..ATTEMPTS).for_each(guest);
    });
}

fn exchange(a: &Path, b: &Path) {
    renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).unwrap();
}

/// `pre`, granted, with `name` in two versions that change places with `other`; `out` outside, with `secret`.
fn fixture() -> tempfile::TempDir {
    let base = tempfile::tempdir().unwrap();
    for dir in ["pre", "pre/d", "pre/a", "pre/a/b", "out"] {
        fs::create_dir(base.path().join(dir)).unwrap();
    }
    for file in ["pre/d/secret", "pre/f", "pre/secret"] {
        fs::write(base.path().join(file), "inside").unwrap();
    }
    for file in ["out/secret", "secret"] {
        fs::write(base.path().join(file), "canary").unwrap();
    }
    symlink("../out", base.path().join("pre/d_link")).unwrap();
    symlink("../out/secret", base.path().join("pre/f_link")).unwrap();
    base
}

/// Opens for reading; what comes must be from inside.
fn open_inside(dir: &dyn Dir, name: &str, how: &OpenHow) {
    match dir.open(&path(name), how) {
        Ok(Opened::File(file)) => assert_eq!(read_all(&*file).unwrap(), b"inside", "{name}"),
        Ok(Opened::Dir(_)) => panic!("{name} is a directory"),
        // A link to the outside, or too much going on, or nothing there at the moment.
        Err(Errno::Perm | Errno::Again | Errno::Loop | Errno::Noent | Errno::Notdir) => {}
        Err(error) => panic!("{name}: {error}"),
    }
}

#[test]
fn a_directory_that_turns_into_a_link_does_not_lead_outside() {
    for resolver in RESOLVERS {
        let base = fixture();
        let dir = host(&base.path().join("pre"), resolver);
        let (here, there) = (base.path().join("pre/d"), base.path().join("pre/d_link"));
        race(
            || exchange(&here, &there),
            |_| open_inside(&*dir, "d/secret", &OpenHow { follow_final_symlink: true, ..OpenHow::default() }),
        );
    }
}

#[test]
fn a_file_that_turns_into_a_link_does_not_lead_outside() {
    for resolver in RESOLVERS {
        let base = fixture();
        let dir = host(&base.path().join("pre"), resolver);
        let (here, there) = (base.path().join("pre/f"), base.path().join("pre/f_link"));
        race(
            || exchange(&here, &there),
            |attempt| {
                let how = OpenHow { follow_final_symlink: attempt % 2 == 0, ..OpenHow::default() };
                open_inside(&*dir, "f", &how);
            },
        );
    }
}

#[test]
fn nothing_outside_is_made_changed_or_removed_through_a_directory_that_turns_into_a_link() {
    for resolver in RESOLVERS {
        let base = fixture();
        let outside = base.path().join("out");
        let before = host_picture(&outside);
        let dir: Arc<dyn Dir> = host(&base.path().join("pre"), resolver);
        let (here, there) = (base.path().join("pre/d"), base.path().join("pre/d_link"));
        let how = OpenHow {
            write: true,
            create: true,
            truncate: true,
            follow_final_symlink: true,
            ..OpenHow::default()
        };
        race(
            || exchange(&here, &there),
            |attempt| {
                // Any of these may fail; the outside tells what matters.
                let _ = match attempt % 6 {
                    0 => dir.create_dir(&path("d/new")),
                    1 => dir.remove_dir(&path("d/new")),
                    2 => dir.symlink(b"x", &path("d/link")),
                    3 => dir.unlink(&path("d/link")),
                    4 => dir.open(&path("d/secret"), &how).map(|opened| {
                        if let Opened::File(file) = opened {
                            write(&*file, b"inside", 0).unwrap();
                        }
                    }),
                    _ => dir.rename(&path("f"), &*dir, &path("d/f")),
                };
            },
        );
        assert_eq!(host_picture(&outside), before, "with {resolver:?}");
    }
}

#[test]
fn a_directory_that_moves_outside_does_not_lead_above_where_it_was() {
    for resolver in RESOLVERS {
        let base = fixture();
        let dir = host(&base.path().join("pre"), resolver);
        let (inside, outside) = (base.path().join("pre/a/b"), base.path().join("out/b"));
        // While it is outside, the host's `..` of it leads to `out` and on to the outer `secret`.
        race(
            || {
                if fs::rename(&inside, &outside).is_err() {
                    fs::rename(&outside, &inside).unwrap();
                }
            },
            |_| open_inside(&*dir, "a/b/../../secret", &OpenHow::default()),
        );
    }
}
