//! Reading directories: full buffers, stable cookies, bounded snapshots.

use crate::common::{Guest, READ, ROOT};
use std::collections::BTreeSet;
use wasmrun_wasi::abi::{Call, filetype, oflags};
use wasmrun_wasi::vfs::Perm;
use wasmrun_wasi::vfs::memfs::MemFs;
use wasmrun_wasi::{Errno, Limits, WasiBuilder};

/// Reads the way C libraries do: go on after the last complete record until the buffer is not full.
fn all_names(guest: &mut Guest, fd: u32, len: u32) -> Vec<String> {
    let (mut names, mut cookie) = (Vec::new(), 0);
    loop {
        guest.free_all();
        let (bytes, entries) = guest.readdir(fd, len, cookie).unwrap();
        names.extend(entries.iter().map(|entry| entry.name.clone()));
        if bytes.len() < len as usize {
            return names;
        }
        cookie = entries.last().expect("a record fits").next;
    }
}

fn directory_of(count: usize) -> (tempfile::TempDir, Guest) {
    let dir = tempfile::tempdir().unwrap();
    for index in 0..count {
        std::fs::write(dir.path().join(format!("file-{index}")), b"").unwrap();
    }
    let guest = Guest::with_dir(dir.path());
    (dir, guest)
}

#[test]
fn every_entry_comes_once_whatever_the_size_of_the_buffer() {
    let (_dir, mut guest) = directory_of(150);
    for len in [64, 100, 256, 1000, 4096, 60_000] {
        let names = all_names(&mut guest, ROOT, len);
        assert_eq!(names[..2], [".", ".."], "with {len} bytes");
        assert_eq!(names.len(), 152, "with {len} bytes");
        assert_eq!(names.into_iter().collect::<BTreeSet<_>>().len(), 152);
    }
}

#[test]
fn the_buffer_is_filled_to_its_end_with_the_last_record_cut() {
    let (_dir, mut guest) = directory_of(20);
    let (whole, _) = guest.readdir(ROOT, 4000, 0).unwrap();
    for len in [0, 1, 10, 24, 25, 30, 49, 100] {
        let (bytes, _) = guest.readdir(ROOT, len, 0).unwrap();
        assert_eq!(bytes, whole[..len as usize]);
    }
}

#[test]
fn a_cookie_that_was_seen_can_be_returned_to() {
    let (_dir, mut guest) = directory_of(30);
    let (_, entries) = guest.readdir(ROOT, 4000, 0).unwrap();
    for start in [0, 5, 31, 17] {
        let (_, rest) = guest.readdir(ROOT, 4000, entries[start].next).unwrap();
        assert_eq!(rest, entries[start + 1..]);
    }
    // After the last there is nothing, and neither is there after cookies that were never given out.
    for cookie in [entries[31].next, 1000, u64::MAX] {
        assert_eq!(guest.readdir(ROOT, 100, cookie).unwrap().0, b"");
    }
}

#[test]
fn removing_what_was_read_skips_nothing() {
    let (_dir, mut guest) = directory_of(120);
    let (mut cookie, mut removed) = (0, 0);
    loop {
        guest.free_all();
        let (bytes, entries) = guest.readdir(ROOT, 200, cookie).unwrap();
        for entry in &entries {
            cookie = entry.next;
            if entry.filetype == filetype::REGULAR_FILE {
                guest.unlink(&entry.name).unwrap();
                removed += 1;
            }
        }
        if bytes.len() < 200 {
            break;
        }
    }
    assert_eq!(removed, 120);
    assert_eq!(all_names(&mut guest, ROOT, 1000).len(), 2);
}

#[test]
fn beginning_again_shows_what_has_changed() {
    let (dir, mut guest) = directory_of(1);
    assert_eq!(all_names(&mut guest, ROOT, 1000).len(), 3);
    std::fs::write(dir.path().join("more"), b"").unwrap();
    let (_, rest) = guest.readdir(ROOT, 1000, 2).unwrap();
    assert_eq!(rest.len(), 1, "the snapshot of the first reading");
    assert_eq!(all_names(&mut guest, ROOT, 1000).len(), 4);
}

#[test]
fn only_directories_can_be_read() {
    let (_dir, mut guest) = directory_of(1);
    let fd = guest.open("file-0", 0, READ).unwrap();
    assert_eq!(guest.readdir(fd, 100, 0), Err(Errno::Notdir));
    assert_eq!(guest.readdir(0, 100, 0), Err(Errno::Notdir));
    assert_eq!(guest.readdir(99, 100, 0), Err(Errno::Badf));
}

#[test]
fn the_snapshots_of_all_directories_together_are_bounded() {
    let fs = MemFs::new(1 << 24);
    let mut limits = Limits::default();
    limits.readdir_bytes = 12_000;
    let mut guest =
        Guest::new(WasiBuilder::new().memfs(&fs, "/", Perm::ReadWrite).limits(limits).build().unwrap());
    for index in 0..40 {
        guest.create(&format!("{index:0200}"), b"");
    }
    guest.free_all();
    // One snapshot is above 8000 bytes: two do not fit.
    let dirs = [0, 1].map(|_| guest.open(".", oflags::DIRECTORY, 0).unwrap());
    assert!(guest.readdir(dirs[0], 100, 0).is_ok());
    assert_eq!(guest.readdir(dirs[1], 100, 0), Err(Errno::Nomem));
    assert!(guest.readdir(dirs[0], 100, 0).is_ok(), "one's own snapshot is replaced, not added");
    guest.errno(Call::fd_close, &[dirs[0].into()]).unwrap();
    assert!(guest.readdir(dirs[1], 100, 0).is_ok());
}
