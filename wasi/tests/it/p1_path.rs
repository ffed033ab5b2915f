//! Operations on names through the functions of preview 1: flags, codes, and the past vulnerabilities of other hosts.
//!
//! What paths do inside a file system is tested with the file systems (`vfs_*`); here it is what the guest asks for and
//! gets.

use crate::common::{Guest, READ, ROOT, RW, WRITE};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use wasmrun_wasi::abi::{Call, fdflags, filetype, oflags, rights};
use wasmrun_wasi::vfs::Perm;
use wasmrun_wasi::{Errno, WasiBuilder};

const FOLLOW: u64 = 1;

fn two_paths(guest: &mut Guest, call: Call, from: (u32, &str), to: (u32, &str)) -> Result<(), Errno> {
    let (old, new) = (guest.put(from.1.as_bytes()), guest.put(to.1.as_bytes()));
    let mut args = vec![u64::from(from.0)];
    if call == Call::path_link {
        args.push(0);
    }
    args.extend([old.into(), from.1.len() as u64, to.0.into(), new.into(), to.1.len() as u64]);
    guest.errno(call, &args)
}

fn readlink(guest: &mut Guest, path: &str, len: u32) -> Result<Vec<u8>, Errno> {
    let (buf, used) = (guest.put(&vec![b'#'; len as usize + 1]), guest.alloc(4));
    guest.path_call(Call::path_readlink, &[ROOT.into()], path, &[buf.into(), len.into(), used.into()])?;
    assert_eq!(guest.memory[(buf + len) as usize], b'#', "not a byte more than the buffer");
    Ok(guest.bytes(buf, guest.u32(used)).to_vec())
}

fn make_symlink(guest: &mut Guest, target: &str, path: &str) -> Result<(), Errno> {
    let (old, new) = (guest.put(target.as_bytes()), guest.put(path.as_bytes()));
    let args = [old.into(), target.len() as u64, ROOT.into(), new.into(), path.len() as u64];
    guest.errno(Call::path_symlink, &args)
}

/// Names and contents of everything below a directory.
fn tree(root: &Path) -> Vec<(String, Vec<u8>)> {
    let mut all = Vec::new();
    let mut todo = vec![root.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            let content = if kind.is_file() { fs::read(entry.path()).unwrap() } else { Vec::new() };
            all.push((entry.path().display().to_string(), content));
            if kind.is_dir() {
                todo.push(entry.path());
            }
        }
    }
    all.sort();
    all
}

#[test]
fn the_grammar_of_paths_has_its_codes() {
    let mut guest = Guest::with_memfs();
    let cases =
        [("", Errno::Noent), ("file\0", Errno::Inval), ("/", Errno::Perm), ("/etc/passwd", Errno::Perm)];
    for (path, errno) in cases {
        assert_eq!(guest.open(path, oflags::CREAT, RW), Err(errno), "{path:?}");
        assert_eq!(guest.stat(path, 0), Err(errno), "{path:?}");
        assert_eq!(guest.mkdir(path), Err(errno), "{path:?}");
        assert_eq!(guest.unlink(path), Err(errno), "{path:?}");
    }
    let long = "a/".repeat(2048);
    assert_eq!(guest.open(&long, 0, RW), Err(Errno::Nametoolong));
    assert_eq!(guest.open(&"a".repeat(256), oflags::CREAT, RW), Err(Errno::Nametoolong));
    assert_eq!(make_symlink(&mut guest, &long, "l"), Err(Errno::Nametoolong));
}

#[test]
fn a_directory_is_needed_to_resolve_from() {
    let mut guest = Guest::with_memfs();
    guest.create("f", b"");
    let fd = guest.open("f", 0, RW).unwrap();
    for (from, errno) in [(fd, Errno::Notdir), (0, Errno::Notdir), (99, Errno::Badf)] {
        assert_eq!(guest.open_with(from, 0, "x", oflags::CREAT, RW, 0), Err(errno));
        assert_eq!(guest.path_call(Call::path_create_directory, &[from.into()], "x", &[]), Err(errno));
        assert_eq!(two_paths(&mut guest, Call::path_rename, (ROOT, "f"), (from, "g")), Err(errno));
        assert_eq!(two_paths(&mut guest, Call::path_rename, (from, "f"), (ROOT, "g")), Err(errno));
        assert_eq!(two_paths(&mut guest, Call::path_link, (ROOT, "f"), (from, "g")), Err(errno));
    }
}

#[test]
fn undefined_flags_are_invalid() {
    let mut guest = Guest::with_memfs();
    guest.create("f", b"abc");
    assert_eq!(guest.open("f", 1 << 4, RW), Err(Errno::Inval));
    assert_eq!(guest.open_with(ROOT, 2, "f", 0, RW, 0), Err(Errno::Inval));
    assert_eq!(guest.open_with(ROOT, 0, "f", oflags::TRUNC, RW, 1 << 5), Err(Errno::Inval));
    assert_eq!(guest.stat("f", 2), Err(Errno::Inval));
    assert_eq!(guest.stat("f", 0).unwrap().size, 3, "nothing was cut");
}

#[test]
fn directories_are_not_created_by_opening() {
    let mut guest = Guest::with_memfs();
    guest.mkdir("d").unwrap();
    for flags in [oflags::CREAT, oflags::EXCL, oflags::TRUNC] {
        assert_eq!(guest.open("d", oflags::DIRECTORY | flags, 0), Err(Errno::Inval));
        assert_eq!(guest.open("new", oflags::DIRECTORY | flags, 0), Err(Errno::Inval));
    }
    assert_eq!(guest.open("d", oflags::CREAT | oflags::EXCL, RW), Err(Errno::Exist));
    assert_eq!(guest.open("d", oflags::CREAT, RW), Err(Errno::Isdir));
    guest.create("f", b"");
    assert_eq!(guest.open("f", oflags::DIRECTORY, 0), Err(Errno::Notdir));
    // Directories cannot be opened for writing; all other rights may be asked for.
    assert_eq!(guest.open("d", oflags::DIRECTORY, RW), Err(Errno::Isdir));
    assert_eq!(guest.open("d", 0, RW), Err(Errno::Isdir));
    let fd = guest.open("d", oflags::DIRECTORY, rights::ALL & !WRITE).unwrap();
    assert_eq!(guest.fdstat(fd).unwrap().filetype, filetype::DIRECTORY);
}

#[test]
fn rights_that_are_not_there_are_masked_and_not_refused() {
    let mut guest = Guest::with_memfs();
    let fd = guest.open("f", oflags::CREAT, u64::MAX).unwrap();
    let stat = guest.fdstat(fd).unwrap();
    assert_eq!(stat.rights & RW, RW);
    assert_eq!(stat.rights & rights::PATH_OPEN, 0);
}

#[test]
fn flags_of_opening_show_in_the_descriptor() {
    let mut guest = Guest::with_memfs();
    for flags in [0, fdflags::APPEND, fdflags::NONBLOCK, fdflags::SYNC | fdflags::APPEND] {
        let fd = guest.open_with(ROOT, 0, "f", oflags::CREAT, RW, flags).unwrap();
        assert_eq!(u64::from(guest.fdstat(fd).unwrap().flags), flags);
    }
}

#[test]
fn final_links_are_followed_only_if_asked() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), b"abc").unwrap();
    symlink("f", dir.path().join("l")).unwrap();
    symlink("missing", dir.path().join("dangling")).unwrap();
    let mut guest = Guest::with_dir(dir.path());
    assert_eq!(guest.open("l", 0, READ), Err(Errno::Loop));
    assert!(guest.open_with(ROOT, FOLLOW, "l", 0, READ, 0).is_ok());
    assert_eq!(guest.stat("l", 0).unwrap().filetype, filetype::SYMBOLIC_LINK);
    assert_eq!(guest.stat("l", FOLLOW).unwrap().size, 3);
    assert_eq!(guest.open("dangling", oflags::CREAT, RW), Err(Errno::Loop));
    assert_eq!(
        guest.open_with(ROOT, FOLLOW, "dangling", oflags::CREAT | oflags::EXCL, RW, 0),
        Err(Errno::Exist)
    );
    assert_eq!(guest.stat("missing", 0), Err(Errno::Noent));
    assert_eq!(guest.mkdir("dangling"), Err(Errno::Exist));
}

#[test]
fn links_are_read_cut_to_the_buffer() {
    let dir = tempfile::tempdir().unwrap();
    symlink("target", dir.path().join("l")).unwrap();
    let mut guest = Guest::with_dir(dir.path());
    assert_eq!(readlink(&mut guest, "l", 100), Ok(b"target".to_vec()));
    assert_eq!(readlink(&mut guest, "l", 4), Ok(b"targ".to_vec()));
    assert_eq!(readlink(&mut guest, "l", 0), Ok(vec![]));
    guest.create("f", b"");
    assert_eq!(readlink(&mut guest, "f", 10), Err(Errno::Inval));
}

#[test]
fn links_to_absolute_targets_are_not_made() {
    let mut guest = Guest::with_memfs();
    assert_eq!(make_symlink(&mut guest, "/etc/passwd", "l"), Err(Errno::Perm));
    assert_eq!(make_symlink(&mut guest, "../up", "l"), Ok(()), "it can be made");
    assert_eq!(guest.open_with(ROOT, FOLLOW, "l", 0, READ, 0), Err(Errno::Perm), "and not be followed");
    assert_eq!(make_symlink(&mut guest, "x", "l"), Err(Errno::Exist));
    assert_eq!(make_symlink(&mut guest, "x", "new/"), Err(Errno::Noent));
}

#[test]
fn hard_links_name_the_same_file_and_never_follow() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), b"abc").unwrap();
    symlink("f", dir.path().join("l")).unwrap();
    let mut guest = Guest::with_dir(dir.path());
    assert_eq!(two_paths(&mut guest, Call::path_link, (ROOT, "f"), (ROOT, "g")), Ok(()));
    assert_eq!(guest.stat("g", 0).unwrap(), guest.stat("f", 0).unwrap());
    assert_eq!(two_paths(&mut guest, Call::path_link, (ROOT, "l"), (ROOT, "k")), Ok(()));
    assert_eq!(guest.stat("k", 0).unwrap().filetype, filetype::SYMBOLIC_LINK);
    assert_eq!(two_paths(&mut guest, Call::path_link, (ROOT, "f"), (ROOT, "g")), Err(Errno::Exist));
    assert_eq!(two_paths(&mut guest, Call::path_link, (ROOT, "f"), (ROOT, "h/")), Err(Errno::Noent));
    let (old, new) = (guest.put(b"l"), guest.put(b"m"));
    let args = [ROOT.into(), FOLLOW, old.into(), 1, ROOT.into(), new.into(), 1];
    assert_eq!(guest.errno(Call::path_link, &args), Err(Errno::Inval));
    assert_eq!(guest.stat("m", 0), Err(Errno::Noent));
}

#[test]
fn files_and_directories_are_removed_by_different_calls() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::with_dir(dir.path());
    let rmdir =
        |guest: &mut Guest, path| guest.path_call(Call::path_remove_directory, &[ROOT.into()], path, &[]);
    guest.mkdir("d/").unwrap();
    guest.create("d/f", b"");
    assert_eq!(rmdir(&mut guest, "d"), Err(Errno::Notempty));
    assert_eq!(rmdir(&mut guest, "d/f"), Err(Errno::Notdir));
    assert_eq!(rmdir(&mut guest, "d/f/"), Err(Errno::Notdir));
    assert_eq!(guest.unlink("d/f/"), Err(Errno::Notdir));
    assert_eq!(guest.unlink("d"), Err(Errno::Isdir));
    assert_eq!(guest.unlink("d/f"), Ok(()));
    assert_eq!(rmdir(&mut guest, "d/"), Ok(()));
    assert_eq!(rmdir(&mut guest, "d"), Err(Errno::Noent));
}

/// Other hosts' advisory: a file moved or linked from a read-only directory into a writable one could be written there.
#[test]
fn nothing_is_linked_or_renamed_between_directories_of_different_permissions() {
    let (ro, rw) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(ro.path().join("f"), b"precious").unwrap();
    fs::write(rw.path().join("g"), b"").unwrap();
    let mut builder = WasiBuilder::new();
    builder.preopened_dir(ro.path(), "/ro", Perm::ReadOnly).unwrap();
    builder.preopened_dir(rw.path(), "/rw", Perm::ReadWrite).unwrap();
    builder.preopened_dir(ro.path(), "/ro2", Perm::ReadOnly).unwrap();
    let mut guest = Guest::new(builder.build().unwrap());
    let before = (tree(ro.path()), tree(rw.path()));
    for call in [Call::path_link, Call::path_rename] {
        for (from, to) in
            [((3, "f"), (4, "f")), ((4, "g"), (3, "g")), ((3, "f"), (3, "h")), ((3, "f"), (5, "h"))]
        {
            assert_eq!(two_paths(&mut guest, call, from, to), Err(Errno::Perm), "{call:?} {from:?} {to:?}");
        }
    }
    assert_eq!((tree(ro.path()), tree(rw.path())), before);
}

/// Other hosts' advisory: opening with `TRUNC` and without the right to write cut files of read-only directories.
#[test]
fn no_combination_of_flags_and_rights_changes_a_read_only_directory() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("f"), b"precious").unwrap();
    fs::create_dir(dir.path().join("d")).unwrap();
    let mut builder = WasiBuilder::new();
    builder.preopened_dir(dir.path(), "/", Perm::ReadOnly).unwrap();
    let mut guest = Guest::new(builder.build().unwrap());
    let before = tree(dir.path());
    let mut opened = 0;
    for oflags in 0..=oflags::ALL {
        for rights in [0, READ, WRITE, RW, rights::FD_FILESTAT_SET_SIZE, rights::FD_ALLOCATE, u64::MAX] {
            for fdflags in [0, fdflags::APPEND, fdflags::SYNC] {
                for path in ["f", "new", "d", "d/new", "f/", "./f"] {
                    guest.free_all();
                    let Ok(fd) = guest.open_with(ROOT, 0, path, oflags, rights, fdflags) else { continue };
                    opened += 1;
                    assert!(guest.write(fd, b"x").is_err());
                    assert!(guest.write_call(Call::fd_pwrite, fd, b"x", &[0]).is_err());
                    assert!(guest.errno(Call::fd_filestat_set_size, &[fd.into(), 0]).is_err());
                    assert!(guest.errno(Call::fd_allocate, &[fd.into(), 0, 100]).is_err());
                    assert!(guest.errno(Call::fd_filestat_set_times, &[fd.into(), 1, 1, 5]).is_err());
                    guest.close(fd).unwrap();
                }
            }
        }
    }
    assert!(opened > 50, "only {opened} opened at all");
    for (call, path) in [
        (Call::path_create_directory, "n"),
        (Call::path_unlink_file, "f"),
        (Call::path_remove_directory, "d"),
    ] {
        assert_eq!(guest.path_call(call, &[ROOT.into()], path, &[]), Err(Errno::Perm));
    }
    assert_eq!(make_symlink(&mut guest, "f", "l"), Err(Errno::Perm));
    let times = guest.path_call(Call::path_filestat_set_times, &[ROOT.into(), 0], "f", &[1, 1, 5]);
    assert_eq!(times, Err(Errno::Perm));
    assert_eq!(tree(dir.path()), before);
}

/// Other hosts' advisories: creating through a link that leads outside, and slashes after links.
#[test]
fn no_call_follows_a_link_outside() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), b"secret").unwrap();
    fs::create_dir(outside.path().join("dir")).unwrap();
    fs::create_dir(outside.path().join("inside")).unwrap();
    let inside = outside.path().join("inside");
    for (name, target) in [
        ("file", "../secret"),
        ("dir", "../dir"),
        ("dirslash", "../dir/"),
        ("up", ".."),
        ("new", "../new"),
        ("abs", outside.path().to_str().unwrap()),
    ] {
        symlink(target, inside.join(name)).unwrap();
    }
    let mut guest = Guest::with_dir(&inside);
    let before = tree(outside.path());
    for link in ["file", "dir", "dirslash", "up", "new", "abs"] {
        for tail in ["", "/", "//", "/.", "/secret", "/made"] {
            let path = format!("{link}{tail}");
            for lookup in [0, FOLLOW] {
                for oflags in 0..=oflags::ALL {
                    guest.free_all();
                    let result = guest.open_with(ROOT, lookup, &path, oflags, RW, 0);
                    assert!(result.is_err(), "{path} {oflags}");
                }
                if lookup == FOLLOW || !tail.is_empty() {
                    assert!(guest.stat(&path, lookup).is_err(), "{path}");
                }
            }
            guest.free_all();
            assert!(guest.mkdir(&path).is_err(), "{path}");
            if !tail.is_empty() {
                assert!(guest.unlink(&path).is_err(), "{path}");
                assert!(
                    two_paths(&mut guest, Call::path_link, (ROOT, &path), (ROOT, "taken")).is_err(),
                    "{path}"
                );
                assert!(
                    two_paths(&mut guest, Call::path_rename, (ROOT, &path), (ROOT, "taken")).is_err(),
                    "{path}"
                );
            }
        }
    }
    assert_eq!(tree(outside.path()), before);
}

/// Another host compared names without the separator: `/a/pre` seemed to contain `/a/preX`.
#[test]
fn a_sibling_whose_name_begins_the_same_is_outside() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("pre")).unwrap();
    fs::create_dir(dir.path().join("preX")).unwrap();
    fs::write(dir.path().join("preX/f"), b"secret").unwrap();
    let mut guest = Guest::with_dir(&dir.path().join("pre"));
    for path in ["../preX/f", "../preX", "../pre", "..", "./../preX/f"] {
        assert_eq!(guest.open(path, 0, READ), Err(Errno::Perm), "{path}");
        assert_eq!(guest.stat(path, FOLLOW), Err(Errno::Perm), "{path}");
    }
}

#[test]
fn times_of_the_host_that_do_not_fit_are_clamped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, b"").unwrap();
    let before_1970 = std::time::UNIX_EPOCH - std::time::Duration::from_secs(1_000_000);
    fs::File::options().write(true).open(&path).unwrap().set_modified(before_1970).unwrap();
    let mut guest = Guest::with_dir(dir.path());
    assert_eq!(guest.stat("f", 0).unwrap().times[1], 0);
}
