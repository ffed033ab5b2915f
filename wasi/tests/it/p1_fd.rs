//! Descriptors: the table as a state machine, attributes, flags, rights, times, and preopened names.

use crate::common::{Guest, READ, ROOT, RW, WRITE};
use proptest::prelude::*;
use std::collections::BTreeMap;
use wasmrun_wasi::abi::{Call, fdflags, filetype, fstflags, oflags, rights};
use wasmrun_wasi::vfs::memfs::MemFs;
use wasmrun_wasi::vfs::{Mount, Perm};
use wasmrun_wasi::{Errno, Limits, WasiBuilder};

#[derive(Clone, Debug)]
enum Step {
    Open(u8),
    Close(u32),
    Renumber(u32, u32),
    Look(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let fd = prop_oneof![8 => 0..12u32, 1 => any::<u32>()];
    prop_oneof![
        (0..3u8).prop_map(Step::Open),
        fd.clone().prop_map(Step::Close),
        (fd.clone(), fd.clone()).prop_map(|(from, to)| Step::Renumber(from, to)),
        fd.prop_map(Step::Look),
    ]
}

const LIMIT: usize = 10;

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// The model is a map from numbers to file sizes, which tell the files apart.
    #[test]
    fn the_table_gives_the_lowest_free_number_and_knows_only_open_ones(steps in prop::collection::vec(step(), 1..60)) {
        let mut limits = Limits::default();
        limits.fds = LIMIT as u32;
        let fs = MemFs::new(1 << 16);
        let mut guest = Guest::new(WasiBuilder::new().memfs(&fs, "/", Perm::ReadWrite).limits(limits).build().unwrap());
        for size in 0..3u8 {
            guest.create(&format!("f{size}"), &vec![0; usize::from(size) + 1]);
        }
        // The root stays at 3 for opening through it, until a program closes it or moves something over it.
        let mut model: BTreeMap<u32, Option<u64>> = (0..4).map(|fd| (fd, None)).collect();
        let mut root = Some(3u32);
        for step in steps {
            guest.free_all();
            match step {
                Step::Open(size) => {
                    let Some(root) = root else { continue };
                    let result = guest.open_with(root, 0, &format!("f{size}"), 0, RW, 0);
                    let free = (0..).find(|fd| !model.contains_key(fd)).unwrap();
                    if model.len() < LIMIT {
                        prop_assert_eq!(result, Ok(free));
                        model.insert(free, Some(u64::from(size) + 1));
                    } else {
                        prop_assert_eq!(result, Err(Errno::Mfile));
                    }
                }
                Step::Close(fd) => {
                    let expected = model.remove(&fd).map(drop).ok_or(Errno::Badf);
                    prop_assert_eq!(guest.close(fd), expected);
                    if root == Some(fd) {
                        root = None;
                    }
                }
                Step::Renumber(from, to) => {
                    let open = model.contains_key(&from) && model.contains_key(&to);
                    let expected = if open { Ok(()) } else { Err(Errno::Badf) };
                    prop_assert_eq!(guest.errno(Call::fd_renumber, &[from.into(), to.into()]), expected);
                    if open && from != to {
                        let moved = model.remove(&from).unwrap();
                        model.insert(to, moved);
                        if root == Some(to) {
                            root = None;
                        }
                        if root == Some(from) {
                            root = Some(to);
                        }
                    }
                }
                Step::Look(fd) => match model.get(&fd) {
                    None => prop_assert_eq!(guest.fstat(fd), Err(Errno::Badf)),
                    Some(None) => prop_assert!(guest.fstat(fd).is_ok()),
                    Some(Some(size)) => prop_assert_eq!(guest.fstat(fd).unwrap().size, *size),
                },
            }
        }
    }
}

#[test]
fn closing_twice_is_badf_and_the_number_is_given_out_again() {
    let mut guest = Guest::with_memfs();
    let fd = guest.open("f", oflags::CREAT, RW).unwrap();
    assert_eq!(guest.close(fd), Ok(()));
    assert_eq!(guest.close(fd), Err(Errno::Badf));
    assert_eq!(guest.open("f", 0, RW), Ok(fd));
    // Standard streams and preopened directories are no different.
    assert_eq!(guest.close(1), Ok(()));
    assert_eq!(guest.open("f", 0, RW), Ok(1));
    assert_eq!(guest.close(ROOT), Ok(()));
    let at = guest.alloc(8);
    assert_eq!(guest.errno(Call::fd_prestat_get, &[ROOT.into(), at.into()]), Err(Errno::Badf));
}

#[test]
fn renumbering_over_a_preopened_directory_closes_it() {
    let mut guest = Guest::with_memfs();
    guest.mkdir("d").unwrap();
    let dir = guest.open("d", oflags::DIRECTORY, 0).unwrap();
    let stat = guest.fstat(dir).unwrap();
    assert_eq!(guest.errno(Call::fd_renumber, &[dir.into(), ROOT.into()]), Ok(()));
    assert_eq!(guest.fstat(ROOT), Ok(stat));
    assert_eq!(guest.fdstat(dir), Err(Errno::Badf));
    let at = guest.alloc(8);
    assert_eq!(guest.errno(Call::fd_prestat_get, &[ROOT.into(), at.into()]), Err(Errno::Badf));
}

#[test]
fn renumbering_to_itself_changes_nothing_and_to_a_closed_number_is_badf() {
    let mut guest = Guest::with_memfs();
    guest.create("f", b"abc");
    let fd = guest.open("f", 0, RW).unwrap();
    guest.seek(fd, 2, 0).unwrap();
    assert_eq!(guest.errno(Call::fd_renumber, &[fd.into(), fd.into()]), Ok(()));
    assert_eq!(guest.tell(fd), Ok(2));
    assert_eq!(guest.errno(Call::fd_renumber, &[fd.into(), 99]), Err(Errno::Badf));
    assert_eq!(guest.errno(Call::fd_renumber, &[99, fd.into()]), Err(Errno::Badf));
    assert_eq!(guest.errno(Call::fd_renumber, &[99, 99]), Err(Errno::Badf));
    assert_eq!(guest.tell(fd), Ok(2));
}

#[test]
fn preopened_directories_tell_their_names_without_nul() {
    let fs = MemFs::new(1024);
    let ctx = WasiBuilder::new()
        .memfs(&fs, "/", Perm::ReadWrite)
        .memfs(&fs, "/data", Perm::ReadOnly)
        .build()
        .unwrap();
    let mut guest = Guest::new(ctx);
    let (at, name) = (guest.alloc(8), guest.put(&[b'#'; 16]));
    guest.errno(Call::fd_prestat_get, &[4, at.into()]).unwrap();
    assert_eq!((guest.memory[at as usize], guest.u32(at + 4)), (0, 5));
    assert_eq!(guest.errno(Call::fd_prestat_dir_name, &[4, name.into(), 4]), Err(Errno::Nametoolong));
    assert_eq!(guest.bytes(name, 6), b"######");
    assert_eq!(guest.errno(Call::fd_prestat_dir_name, &[4, name.into(), 12]), Ok(()));
    assert_eq!(guest.bytes(name, 6), b"/data#");
    assert_eq!(guest.errno(Call::fd_prestat_get, &[5, at.into()]), Err(Errno::Badf));
    assert_eq!(guest.errno(Call::fd_prestat_get, &[0, at.into()]), Err(Errno::Badf));
    // Opened directories are not preopened.
    let dir = guest.open(".", oflags::DIRECTORY, 0).unwrap();
    assert_eq!(guest.errno(Call::fd_prestat_get, &[dir.into(), at.into()]), Err(Errno::Badf));
}

#[test]
fn preopened_directories_report_what_c_libraries_mask_by() {
    let mut guest = Guest::with_memfs();
    let stat = guest.fdstat(ROOT).unwrap();
    assert_eq!((stat.filetype, stat.flags), (filetype::DIRECTORY, 0));
    for right in [
        rights::PATH_OPEN,
        rights::PATH_CREATE_FILE,
        rights::FD_READDIR,
        rights::PATH_FILESTAT_SET_SIZE,
        rights::PATH_RENAME_TARGET,
        rights::PATH_UNLINK_FILE,
    ] {
        assert_ne!(stat.rights & right, 0);
    }
    assert_eq!(stat.rights & (rights::FD_SEEK | rights::FD_FILESTAT_SET_SIZE), 0);
    for right in
        [READ, WRITE, rights::FD_SEEK, rights::FD_TELL, rights::FD_READDIR, rights::FD_FILESTAT_SET_SIZE]
    {
        assert_ne!(stat.inheriting & right, 0);
    }
}

#[test]
fn only_append_and_nonblock_can_be_set() {
    let mut guest = Guest::with_memfs();
    let fd = guest.open("f", oflags::CREAT, RW).unwrap();
    let mut set = |fd: u32, flags| guest.errno(Call::fd_fdstat_set_flags, &[fd.into(), flags]);
    assert_eq!(set(fd, fdflags::APPEND | fdflags::NONBLOCK), Ok(()));
    for sync in [fdflags::SYNC, fdflags::DSYNC, fdflags::RSYNC, 1 << 5] {
        assert_eq!(set(fd, sync), Err(Errno::Inval));
    }
    assert_eq!(set(99, 0), Err(Errno::Badf));
    assert_eq!(u64::from(guest.fdstat(fd).unwrap().flags), fdflags::APPEND | fdflags::NONBLOCK);
    // What a file was opened with may be named again, and stays.
    let synced = guest.open_with(ROOT, 0, "f", 0, RW, fdflags::SYNC).unwrap();
    let mut set = |flags| guest.errno(Call::fd_fdstat_set_flags, &[synced.into(), flags]);
    assert_eq!(set(fdflags::SYNC | fdflags::APPEND), Ok(()));
    assert_eq!(set(0), Ok(()));
    assert_eq!(u64::from(guest.fdstat(synced).unwrap().flags), fdflags::SYNC);
}

#[test]
fn rights_can_be_reduced_and_never_raised() {
    let mut guest = Guest::with_memfs();
    guest.create("f", b"abc");
    let fd = guest.open("f", 0, RW).unwrap();
    let all = guest.fdstat(fd).unwrap().rights;
    let mut set = |base| guest.errno(Call::fd_fdstat_set_rights, &[fd.into(), base, 0]);
    assert_eq!(set(all | rights::PATH_OPEN), Err(Errno::Notcapable));
    assert_eq!(set(all & !RW), Ok(()));
    assert_eq!(set(all), Err(Errno::Notcapable));
    assert_eq!(guest.fdstat(fd).unwrap().rights, all & !RW);
    assert_eq!(guest.read(fd, 1), Err(Errno::Badf));
    assert_eq!(guest.write(fd, b"x"), Err(Errno::Badf));
    assert_eq!(guest.errno(Call::fd_filestat_set_size, &[fd.into(), 0]), Err(Errno::Badf));
    assert_eq!(guest.seek(fd, 1, 0), Ok(1));
    guest.errno(Call::fd_fdstat_set_rights, &[fd.into(), rights::FD_TELL, 0]).unwrap();
    assert_eq!(guest.seek(fd, 2, 0), Err(Errno::Notcapable));
    assert_eq!(guest.tell(fd), Ok(1));
    assert_eq!(guest.seek(fd, 0, 1), Ok(1));
    guest.errno(Call::fd_fdstat_set_rights, &[fd.into(), 0, 0]).unwrap();
    assert_eq!(guest.tell(fd), Err(Errno::Notcapable));
}

#[test]
fn truncating_by_path_needs_the_right_of_the_directory() {
    let mut guest = Guest::with_memfs();
    guest.create("f", b"abc");
    assert!(guest.open("f", oflags::TRUNC, 0).is_ok(), "without any right to the file itself");
    guest.create("f", b"abc");
    let stat = guest.fdstat(ROOT).unwrap();
    let base = stat.rights & !rights::PATH_FILESTAT_SET_SIZE;
    guest.errno(Call::fd_fdstat_set_rights, &[ROOT.into(), base, stat.inheriting]).unwrap();
    assert_eq!(guest.open("f", oflags::TRUNC, RW), Err(Errno::Notcapable));
    assert_eq!(guest.stat("f", 0).unwrap().size, 3);
}

#[test]
fn what_a_directory_cannot_inherit_its_files_do_not_get() {
    let mut guest = Guest::with_memfs();
    guest.create("f", b"abc");
    let stat = guest.fdstat(ROOT).unwrap();
    guest.errno(Call::fd_fdstat_set_rights, &[ROOT.into(), stat.rights, stat.inheriting & !WRITE]).unwrap();
    let fd = guest.open("f", 0, RW).unwrap();
    assert_eq!(guest.fdstat(fd).unwrap().rights & RW, READ);
    assert_eq!(guest.write(fd, b"x"), Err(Errno::Badf));
    assert_eq!(guest.read(fd, 3), Ok(b"abc".to_vec()));
}

#[test]
fn a_time_cannot_be_both_given_and_now() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::with_dir(dir.path());
    guest.create("f", b"");
    let fd = guest.open("f", 0, RW).unwrap();
    for flags in [fstflags::ATIM | fstflags::ATIM_NOW, fstflags::MTIM | fstflags::MTIM_NOW, 1 << 4] {
        assert_eq!(guest.errno(Call::fd_filestat_set_times, &[fd.into(), 1, 1, flags]), Err(Errno::Inval));
        let result = guest.path_call(Call::path_filestat_set_times, &[ROOT.into(), 0], "f", &[1, 1, flags]);
        assert_eq!(result, Err(Errno::Inval));
    }
    let flags = fstflags::ATIM | fstflags::MTIM;
    guest.errno(Call::fd_filestat_set_times, &[fd.into(), 1_000, 2_000, flags]).unwrap();
    assert_eq!(guest.fstat(fd).unwrap().times[..2], [1_000, 2_000]);
    guest.errno(Call::fd_filestat_set_times, &[fd.into(), 9, 3_000, fstflags::MTIM]).unwrap();
    assert_eq!(guest.fstat(fd).unwrap().times[..2], [1_000, 3_000], "what is not named stays");
    guest
        .path_call(Call::path_filestat_set_times, &[ROOT.into(), 0], "f", &[0, 0, fstflags::ATIM_NOW])
        .unwrap();
    assert!(guest.stat("f", 0).unwrap().times[0] > 1_000_000);
}

#[test]
fn setting_times_by_path_honours_the_lookup_flag() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("f", dir.path().join("l")).unwrap();
    let mut guest = Guest::with_dir(dir.path());
    guest.create("f", b"");
    let mut set = |lookup, time| {
        let after = [0, time, fstflags::MTIM];
        guest.path_call(Call::path_filestat_set_times, &[ROOT.into(), lookup], "l", &after).unwrap();
    };
    set(0, 1_000);
    set(1, 2_000);
    assert_eq!(guest.stat("l", 0).unwrap().times[1], 1_000);
    assert_eq!(guest.stat("f", 0).unwrap().times[1], 2_000);
}

#[test]
fn attributes_are_the_same_by_descriptor_by_path_and_in_the_listing() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::with_dir(dir.path());
    guest.create("f", b"12345");
    let fd = guest.open("f", 0, READ).unwrap();
    let stat = guest.fstat(fd).unwrap();
    assert_eq!((stat.size, stat.filetype, stat.nlink), (5, filetype::REGULAR_FILE, 1));
    assert_eq!(guest.stat("f", 0), Ok(stat.clone()));
    let (_, entries) = guest.readdir(ROOT, 1024, 0).unwrap();
    let entry = entries.iter().find(|entry| entry.name == "f").unwrap();
    assert_eq!((entry.ino, entry.filetype), (stat.ino, stat.filetype));
    let root = guest.fstat(ROOT).unwrap();
    assert_eq!(entries.iter().find(|entry| entry.name == ".").unwrap().ino, root.ino);
    assert_eq!(root.dev, stat.dev);
}

#[test]
fn standard_streams_have_attributes() {
    let mut guest = Guest::new(WasiBuilder::new().build().unwrap());
    for fd in 0..3 {
        assert_eq!(guest.fstat(fd).unwrap().size, 0);
        let stat = guest.fdstat(fd).unwrap();
        assert_eq!(stat.filetype, filetype::UNKNOWN, "not a terminal");
        assert_eq!(stat.rights & RW, if fd == 0 { READ } else { WRITE });
    }
}

#[test]
fn sizes_change_only_through_writable_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::with_dir(dir.path());
    guest.create("f", b"12345");
    let (reader, writer) = (guest.open("f", 0, READ).unwrap(), guest.open("f", 0, WRITE).unwrap());
    let mut set = |fd: u32, size: u64| guest.errno(Call::fd_filestat_set_size, &[fd.into(), size]);
    assert_eq!(set(reader, 0), Err(Errno::Badf));
    assert_eq!(set(ROOT, 0), Err(Errno::Badf));
    assert_eq!(set(writer, u64::MAX), Err(Errno::Inval));
    assert_eq!(set(writer, 9), Ok(()));
    assert_eq!(guest.read(reader, 20), Ok(b"12345\0\0\0\0".to_vec()));
    // Allocating grows and never shrinks; some file systems cannot.
    for (offset, len, size) in [(0, 4, 9), (8, 8, 16)] {
        match guest.errno(Call::fd_allocate, &[writer.into(), offset, len]) {
            Ok(()) => assert_eq!(guest.fstat(writer).unwrap().size, size),
            Err(errno) => assert_eq!(errno, Errno::Notsup),
        }
    }
    assert_eq!(guest.errno(Call::fd_allocate, &[writer.into(), u64::MAX, 2]), Err(Errno::Inval));
    assert_eq!(guest.errno(Call::fd_allocate, &[reader.into(), 0, 1]), Err(Errno::Badf));
    assert_eq!(guest.errno(Call::fd_allocate, &[ROOT.into(), 0, 1]), Err(Errno::Badf));
}

#[test]
fn advice_is_checked_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::with_dir(dir.path());
    guest.create("f", b"12345");
    let fd = guest.open("f", 0, READ).unwrap();
    let mut advise = |fd: u32, advice| guest.errno(Call::fd_advise, &[fd.into(), 0, 0, advice]);
    for advice in 0..6 {
        assert_eq!(advise(fd, advice), Ok(()));
    }
    assert_eq!(advise(fd, 6), Err(Errno::Inval));
    assert_eq!(advise(fd, 0xffff_ffff), Err(Errno::Inval));
    assert_eq!(advise(ROOT, 0), Err(Errno::Badf));
    assert_eq!(advise(0, 0), Err(Errno::Spipe));
    assert_eq!(guest.fstat(fd).unwrap().size, 5);
}

#[test]
fn files_and_directories_sync_and_streams_without_a_device_cannot() {
    let dir = tempfile::tempdir().unwrap();
    let mut guest = Guest::with_dir(dir.path());
    guest.create("f", b"12345");
    let fd = guest.open("f", 0, RW).unwrap();
    for call in [Call::fd_sync, Call::fd_datasync] {
        assert_eq!(guest.errno(call, &[fd.into()]), Ok(()));
        assert_eq!(guest.errno(call, &[ROOT.into()]), Ok(()));
        assert_eq!(guest.errno(call, &[1]), Err(Errno::Inval));
        assert_eq!(guest.errno(call, &[99]), Err(Errno::Badf));
    }
}

#[test]
fn a_full_table_is_noticed_before_a_file_is_made_or_cut() {
    let fs = MemFs::new(1 << 20);
    let mut limits = Limits::default();
    limits.fds = 5;
    let ctx =
        WasiBuilder::new().mount(Mount::new(fs.root(), Perm::ReadWrite), "/").limits(limits).build().unwrap();
    let mut guest = Guest::new(ctx);
    guest.create("f", b"abc");
    let _last = guest.open("f", 0, RW).unwrap();
    assert_eq!(guest.open("g", oflags::CREAT, RW), Err(Errno::Mfile));
    assert_eq!(guest.open("f", oflags::TRUNC, RW), Err(Errno::Mfile));
    assert_eq!(guest.stat("g", 0), Err(Errno::Noent));
    assert_eq!(guest.stat("f", 0).unwrap().size, 3);
}
