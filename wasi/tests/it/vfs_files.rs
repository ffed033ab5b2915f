//! What the traits of the virtual file system promise about files, streams and limits, on every backend that has them.

use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::vfs_common::{RESOLVERS, host, path, read_all, write};
use wasmrun_wasi::Errno;
use wasmrun_wasi::vfs::host::{HostDir, HostOptions};
use wasmrun_wasi::vfs::memfs::MemFs;
use wasmrun_wasi::vfs::{Advice, Appended, Dir, ENTRY_OVERHEAD, File, FileKind, OpenHow, Opened, TimeSpec};

const READ: OpenHow = OpenHow {
    read: true,
    write: false,
    append: false,
    create: false,
    exclusive: false,
    truncate: false,
    directory: false,
    follow_final_symlink: true,
    nonblock: false,
    dsync: false,
    sync: false,
    rsync: false,
};
const CREATE: OpenHow = OpenHow { write: true, create: true, ..READ };

fn file(dir: &Arc<dyn Dir>, name: &str, how: &OpenHow) -> Result<Arc<dyn File>, Errno> {
    match dir.open(&path(name), how)? {
        Opened::File(file) => Ok(file),
        Opened::Dir(_) => panic!("{name} is a directory"),
    }
}

/// Runs a test on an empty directory of each backend.
fn everywhere(test: impl Fn(Arc<dyn Dir>)) {
    for resolver in RESOLVERS {
        let base = tempfile::tempdir().unwrap();
        test(host(base.path(), resolver));
    }
    test(MemFs::default().root());
}

/// A pipe with a name, in an empty directory.
fn with_pipe(test: impl Fn(Arc<dyn Dir>)) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    for resolver in RESOLVERS {
        let base = tempfile::tempdir().unwrap();
        let pipe = base.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        test(host(base.path(), resolver));
    }
}

#[test]
fn a_named_pipe_neither_hangs_nor_blocks() {
    with_pipe(|dir| {
        assert_eq!(dir.metadata(&path("pipe"), true).unwrap().kind, FileKind::Fifo);
        let write_only = OpenHow { read: false, write: true, ..READ };
        assert_eq!(file(&dir, "pipe", &write_only).map(drop), Err(Errno::Nxio), "nobody reads it");
        let reader = file(&dir, "pipe", &READ).unwrap();
        assert_eq!(read_all(&*reader), Ok(vec![]), "nobody writes to it");
        let writer = file(&dir, "pipe", &write_only).unwrap();
        assert_eq!(read_all(&*reader), Err(Errno::Again));
        assert!(!reader.kind().is_seekable() && reader.poll_fd().is_some());
        assert_eq!(write(&*writer, b"data", 1000), Ok(4));
        assert_eq!(read_all(&*reader), Ok(b"data".to_vec()));
        assert_eq!(writer.append(&[IoSlice::new(b"more")]), Ok(Appended { written: 4, end: 0 }));
        assert_eq!(read_all(&*reader), Ok(b"more".to_vec()));
        assert_eq!(write(&*reader, b"x", 0), Err(Errno::Badf));
        assert_eq!(reader.advise(0, 0, Advice::Normal), Err(Errno::Spipe));
        assert_eq!(writer.set_len(0), Err(Errno::Inval));
    });
}

#[test]
fn devices_and_sockets_are_refused_unless_allowed() {
    for resolver in RESOLVERS {
        let dir = host(Path::new("/dev"), resolver);
        assert_eq!(file(&dir, "null", &READ).map(drop), Err(Errno::Acces));
        assert_eq!(dir.metadata(&path("null"), true).unwrap().kind, FileKind::CharacterDevice);
        let options = HostOptions { resolver, allow_devices: true, ..HostOptions::default() };
        let dir: Arc<dyn Dir> = Arc::new(HostDir::open_ambient(Path::new("/dev"), options).unwrap());
        let null = file(&dir, "null", &OpenHow { write: true, ..READ }).unwrap();
        assert_eq!(write(&*null, b"gone", 7), Ok(4));
        assert_eq!(read_all(&*null), Ok(vec![]));

        let base = tempfile::tempdir().unwrap();
        let _listener = UnixListener::bind(base.path().join("socket")).unwrap();
        let dir = host(base.path(), resolver);
        assert!(dir.open(&path("socket"), &READ).is_err());
        assert_eq!(dir.entries(4096).unwrap()[2].kind, FileKind::Socket);
    }
}

#[test]
fn names_do_not_move_to_where_devices_may_be_opened() {
    let base = tempfile::tempdir().unwrap();
    let options = HostOptions { allow_devices: true, ..HostOptions::default() };
    let devices = HostDir::open_ambient(base.path(), options).unwrap();
    let plain = host(base.path(), RESOLVERS[0]);
    file(&plain, "f", &CREATE).unwrap();
    assert_eq!(plain.link(&path("f"), &devices, &path("g")), Err(Errno::Xdev));
    assert_eq!(plain.rename(&path("f"), &devices, &path("g")), Err(Errno::Xdev));
}

#[test]
fn forty_links_are_followed_and_no_more() {
    everywhere(|dir| {
        let target = file(&dir, "0", &CREATE).unwrap().stat().unwrap().ino;
        for number in 1..=41 {
            dir.symlink((number - 1).to_string().as_bytes(), &path(&number.to_string())).unwrap();
        }
        assert_eq!(dir.metadata(&path("40"), true).map(|stat| stat.ino), Ok(target));
        assert_eq!(file(&dir, "40", &READ).map(drop), Ok(()));
        assert_eq!(dir.metadata(&path("41"), true), Err(Errno::Loop));
        assert_eq!(file(&dir, "41", &READ).map(drop), Err(Errno::Loop));
        dir.symlink(b"self", &path("self")).unwrap();
        assert_eq!(dir.metadata(&path("self/x"), false), Err(Errno::Loop));
        assert_eq!(dir.set_times(&path("self"), true, TimeSpec::Now, TimeSpec::Now), Err(Errno::Loop));
        assert_eq!(dir.set_times(&path("self"), false, TimeSpec::Now, TimeSpec::Now), Ok(()));
    });
}

#[test]
fn a_snapshot_of_a_directory_is_bounded() {
    everywhere(|dir| {
        for number in 0..100 {
            file(&dir, &format!("{number:03}"), &CREATE).unwrap();
        }
        let needed = 2 * (ENTRY_OVERHEAD + 2) + 100 * (ENTRY_OVERHEAD + 3);
        assert_eq!(dir.entries(needed - 1), Err(Errno::Nomem));
        // What is removed after it was taken is still in it, and does not disturb what remains.
        let entries = dir.entries(needed).unwrap();
        assert_eq!(entries.len(), 102);
        for entry in &entries[2..] {
            dir.unlink(&path(std::str::from_utf8(&entry.name).unwrap())).unwrap();
        }
        assert_eq!(dir.entries(needed).unwrap().len(), 2);
    });
}

#[test]
fn appending_goes_to_the_end_and_tells_where_that_was() {
    everywhere(|dir| {
        let (first, second) = (file(&dir, "f", &CREATE).unwrap(), file(&dir, "f", &CREATE).unwrap());
        let parts = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"c")];
        assert_eq!(first.append(&parts), Ok(Appended { written: 3, end: 3 }));
        assert_eq!(second.append(&parts), Ok(Appended { written: 3, end: 6 }));
        assert_eq!(first.append(&[]), Ok(Appended { written: 0, end: 6 }));
        assert_eq!(write(&*first, b"X", 1), Ok(1));
        let mut halves = ([0; 4], [0; 4]);
        let bufs = &mut [IoSliceMut::new(&mut halves.0), IoSliceMut::new(&mut halves.1)];
        assert_eq!(second.read_at(bufs, 1), Ok(5));
        assert_eq!(halves, (*b"Xcab", *b"c\0\0\0"));
    });
}

#[test]
fn access_is_what_was_asked_for() {
    everywhere(|dir| {
        let write_only = file(&dir, "f", &OpenHow { read: false, ..CREATE }).unwrap();
        assert_eq!(read_all(&*write_only), Err(Errno::Badf));
        for how in [READ, OpenHow { read: false, ..READ }] {
            let read_only = file(&dir, "f", &how).unwrap();
            assert_eq!(write(&*read_only, b"x", 0), Err(Errno::Badf));
            assert_eq!(read_only.append(&[IoSlice::new(b"x")]), Err(Errno::Badf));
            assert_eq!(read_only.set_len(0), Err(Errno::Inval));
            assert_eq!(read_only.allocate(0, 1), Err(Errno::Badf));
            assert_eq!(read_only.set_times(TimeSpec::At(7), TimeSpec::Omit), Ok(()));
            assert_eq!(read_only.stat().unwrap().atim, 7);
        }
    });
}

#[test]
fn reserving_space_grows_and_never_shrinks() {
    everywhere(|dir| {
        let file = file(&dir, "f", &CREATE).unwrap();
        write(&*file, b"0123456789", 0).unwrap();
        // Not every file system of a host can do it.
        if file.allocate(0, 4) != Err(Errno::Notsup) {
            assert_eq!(file.size(), Ok(10));
            file.allocate(8, 100).unwrap();
            assert_eq!(file.size(), Ok(108));
            // What no device has is refused, and changes nothing.
            let refused = file.allocate(0, 1 << 60);
            assert!(matches!(refused, Err(Errno::Nospc | Errno::Fbig)), "{refused:?}");
            assert_eq!(file.size(), Ok(108));
        }
        assert_eq!(file.allocate(0, 0), Err(Errno::Inval));
        assert_eq!(file.allocate(1, i64::MAX as u64), Err(Errno::Fbig));
        assert_eq!(file.allocate(u64::MAX, 1), Err(Errno::Inval));
        assert_eq!(file.advise(0, u64::MAX, Advice::WillNeed), Err(Errno::Inval));
        for advice in [Advice::Normal, Advice::Sequential, Advice::DontNeed, Advice::NoReuse] {
            assert_eq!(file.advise(4, 0, advice), Ok(()));
        }
        assert_eq!(
            (file.sync(), file.datasync(), dir.sync(), dir.datasync()),
            (Ok(()), Ok(()), Ok(()), Ok(()))
        );
        assert_eq!(read_all(&*file).unwrap()[..10], *b"0123456789");
    });
}

#[test]
fn times_out_of_range_are_clamped_and_not_refused() {
    everywhere(|dir| {
        let file = file(&dir, "f", &CREATE).unwrap();
        file.set_times(TimeSpec::At(u64::MAX), TimeSpec::At(0)).unwrap();
        let stat = file.stat().unwrap();
        assert!(stat.atim > 4_000_000_000_000_000_000 && stat.mtim == 0, "{stat:?}");
        dir.self_set_times(TimeSpec::At(3), TimeSpec::At(5)).unwrap();
        assert_eq!(dir.metadata(&path("."), false).unwrap().mtim, 5);
    });
    let base = tempfile::tempdir().unwrap();
    let old = fs::File::create(base.path().join("old")).unwrap();
    old.set_modified(SystemTime::UNIX_EPOCH - Duration::from_millis(1500)).unwrap();
    let stat = host(base.path(), RESOLVERS[0]).metadata(&path("old"), false).unwrap();
    assert_eq!(stat.mtim, 0);
}

#[test]
fn a_path_deeper_than_the_walker_goes_is_refused_and_not_an_escape() {
    everywhere(|root| {
        let mut dir = root.clone();
        for _ in 0..300 {
            dir.create_dir(&path("d")).unwrap();
            let Opened::Dir(below) = dir.open(&path("d"), &READ).unwrap() else { panic!() };
            dir = below;
        }
        // In two steps it is within reach everywhere, in one only where there is no limit.
        let Opened::Dir(half) = root.open(&path(&"d/".repeat(200)), &READ).unwrap() else { panic!() };
        assert_eq!(half.metadata(&path(&"d/".repeat(100)), true).unwrap().kind, FileKind::Directory);
        let all = root.metadata(&path(&"d/".repeat(300)), true).map(|stat| stat.kind);
        assert!(matches!(all, Ok(FileKind::Directory) | Err(Errno::Nametoolong)), "{all:?}");
    });
}

#[test]
fn a_directory_that_is_gone_says_so() {
    everywhere(|root| {
        root.create_dir(&path("d")).unwrap();
        let Opened::Dir(gone) = root.open(&path("d"), &READ).unwrap() else { panic!() };
        root.remove_dir(&path("d")).unwrap();
        file(&root, "f", &CREATE).unwrap();
        assert_eq!(gone.create_dir(&path("x")), Err(Errno::Noent));
        assert_eq!(gone.symlink(b"x", &path("x")), Err(Errno::Noent));
        assert_eq!(file(&gone, "x", &CREATE).map(drop), Err(Errno::Noent));
        assert_eq!(root.link(&path("f"), &*gone, &path("x")), Err(Errno::Noent));
        assert_eq!(root.rename(&path("f"), &*gone, &path("x")), Err(Errno::Noent));
        assert_eq!(gone.self_stat().unwrap().nlink, 0);
    });
}

#[test]
fn an_absolute_target_is_neither_made_nor_told() {
    everywhere(|dir| assert_eq!(dir.symlink(b"/etc", &path("l")), Err(Errno::Perm)));
    let base = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/etc/passwd", base.path().join("l")).unwrap();
    for resolver in RESOLVERS {
        assert_eq!(host(base.path(), resolver).read_link(&path("l")), Err(Errno::Perm));
    }
}

#[test]
fn names_and_targets_are_bytes() {
    everywhere(|dir| {
        let name = wasmrun_wasi::vfs::GuestPath::new(b"caf\xe9").unwrap();
        dir.symlink(b"\xff\xfe", &name).unwrap();
        assert_eq!(dir.read_link(&name).unwrap(), b"\xff\xfe");
        assert_eq!(dir.entries(4096).unwrap()[2].name, b"caf\xe9");
    });
}

#[test]
fn a_symbolic_link_with_slashes_after_its_name_fails_as_linux_has_it_fail() {
    let base = tempfile::tempdir().unwrap();
    let make = |dir: &Arc<dyn Dir>| {
        file(dir, "file", &CREATE).unwrap();
        dir.create_dir(&path("dir")).unwrap();
        for (target, name) in [("missing", "dangling"), ("file", "to_file"), ("dir", "to_dir")] {
            dir.symlink(target.as_bytes(), &path(name)).unwrap();
        }
    };
    let memory = MemFs::default().root();
    make(&memory);
    let dirs = RESOLVERS.map(|resolver| host(base.path(), resolver));
    make(&dirs[0]);
    let native = fs::File::open(base.path()).unwrap();
    for name in ["new/", "new//", "file/", "file//", "dir/", "dangling/", "to_file/", "to_dir/"] {
        let linux = Errno::from(rustix::fs::symlinkat("target", &native, name).unwrap_err());
        for dir in dirs.iter().chain([&memory]) {
            assert_eq!(dir.symlink(b"target", &path(name)), Err(linux), "{name} in {dir:?}");
        }
    }
}
