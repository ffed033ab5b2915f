//! Pointers that do not fit trap, name the parameter, and leave no trace.
//!
//! The cases are made from the table of functions: every pointer of every function, aimed at three bad places. Each
//! function is first called with good arguments, which must succeed; after a bad call in a fresh guest, the same good
//! call must have the same result, which it has not if the bad one opened, made, consumed or accepted anything.

use crate::common::{Guest, MEMORY, ROOT, RW};
use std::net::{TcpListener, TcpStream};
use wasmrun_wasi::abi::{Call, FUNCTIONS, Kind, oflags};
use wasmrun_wasi::vfs::Perm;
use wasmrun_wasi::{Errno, Fault, Input, WasiBuilder};

/// A guest in which every function can succeed, and what keeps the other ends alive.
struct Scene {
    guest: Guest,
    file: u32,
    listener: u32,
    connection: u32,
    _dir: tempfile::TempDir,
    _peers: Vec<TcpStream>,
}

fn scene() -> Scene {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), b"0123456789").unwrap();
    std::os::unix::fs::symlink("file", dir.path().join("link")).unwrap();
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut builder = WasiBuilder::new();
    builder.args(["prog", "arg"]).env("NAME", "value").stdin(Input::Bytes(b"input".to_vec()));
    builder.preopened_dir(dir.path(), "/", Perm::ReadWrite).unwrap().tcp_listener(listener);
    let mut guest = Guest::new(builder.build().unwrap());
    let file = guest.open("file", 0, RW).unwrap();
    let listener = ROOT + 1;
    // One connection that is accepted and has data, and one that waits to be.
    let mut first = TcpStream::connect(address).unwrap();
    let at = guest.alloc(4);
    guest.errno(Call::sock_accept, &[listener.into(), 0, at.into()]).unwrap();
    let connection = guest.u32(at);
    std::io::Write::write_all(&mut first, b"from the peer").unwrap();
    let second = TcpStream::connect(address).unwrap();
    guest.free_all();
    Scene { guest, file, listener, connection, _dir: dir, _peers: vec![first, second] }
}

/// Good arguments for a function.
fn arguments(scene: &mut Scene, call: Call) -> Vec<u64> {
    let function = call.function();
    let guest = &mut scene.guest;
    let mut args = Vec::new();
    let mut lens = 0;
    for (index, param) in function.params.iter().enumerate() {
        let value = match (call, param.kind) {
            (Call::sock_accept, Kind::Fd) => scene.listener,
            (_, Kind::Fd) if function.name.starts_with("sock_") => scene.connection,
            (Call::fd_readdir | Call::fd_prestat_get | Call::fd_prestat_dir_name, Kind::Fd) => ROOT,
            (_, Kind::Fd) if function.name.starts_with("path_") => ROOT,
            (_, Kind::Fd) => scene.file,
            (Call::fd_allocate, Kind::Num) => 1,
            (Call::path_open, Kind::Flags(names)) if names == oflags::NAMES => {
                (oflags::CREAT | oflags::EXCL) as u32
            }
            (Call::sock_shutdown, Kind::Flags(_)) => 1,
            (_, Kind::Num | Kind::Signed | Kind::Flags(_) | Kind::Enum(_) | Kind::Whence) => 0,
            (_, Kind::Path) => {
                let new = matches!(
                    (call, param.name),
                    (Call::path_open | Call::path_create_directory, _)
                        | (Call::path_link | Call::path_rename | Call::path_symlink, "new_path")
                );
                let name = match call {
                    _ if new => "new",
                    Call::path_readlink => "link",
                    Call::path_remove_directory => "empty",
                    _ => "file",
                };
                lens = name.len() as u32;
                guest.put(name.as_bytes())
            }
            (_, Kind::Ciovs | Kind::Iovs) => {
                lens = 2;
                let buffers = [(guest.alloc(4), 4), (guest.alloc(4), 4)];
                guest.iovecs(&buffers)
            }
            (_, Kind::OutBuf) => {
                lens = 40;
                guest.alloc(40)
            }
            (_, Kind::Out(layout)) => guest.alloc(layout.size),
            (_, Kind::OutHostSized) => guest.alloc(64),
            // All zeros: a timer that is over at once.
            (_, Kind::Subscriptions | Kind::Events) => guest.alloc(64),
            (_, Kind::Len) => lens,
            (_, Kind::Count) => 1,
        };
        assert_eq!(args.len(), index);
        args.push(value.into());
    }
    args
}

/// The bytes behind a pointer of a good call.
fn size_behind(kind: Kind, args: &[u64], index: usize) -> u64 {
    match kind {
        Kind::Out(layout) => layout.size.into(),
        Kind::Path | Kind::OutBuf => args[index + 1],
        Kind::Iovs | Kind::Ciovs => args[index + 1] * 8,
        Kind::Subscriptions => 48,
        Kind::Events => 32,
        // Two arguments, or one variable; both need more than one byte.
        Kind::OutHostSized => 2,
        _ => unreachable!("not a pointer"),
    }
}

/// What a program can tell afterwards: results and the whole memory.
fn observe(scene: &mut Scene, call: Call, args: &[u64]) -> (Result<(), Fault>, Vec<u8>) {
    let outcome = scene.guest.call(call, args);
    let mut memory = scene.guest.memory.clone();
    if matches!(call, Call::random_get | Call::clock_time_get) {
        memory.clear();
    }
    // Times and serial numbers differ between two guests in two directories.
    if matches!(call, Call::fd_filestat_get | Call::path_filestat_get | Call::fd_readdir) {
        memory.clear();
    }
    (outcome, memory)
}

#[test]
fn every_pointer_of_every_function_is_checked_before_anything_happens() {
    let mut cases = 0;
    for (index, function) in FUNCTIONS.iter().enumerate() {
        let call = Call::ALL[index];
        if matches!(call, Call::proc_exit | Call::proc_raise) {
            continue;
        }
        let mut good = scene();
        let args = arguments(&mut good, call);
        let expected = observe(&mut good, call, &args);
        assert_eq!(expected.0, Ok(()), "{} with good arguments", function.name);
        for (position, param) in
            function.params.iter().enumerate().filter(|(_, param)| param.kind.is_pointer())
        {
            let size = size_behind(param.kind, &args, position);
            for bad in [u64::from(MEMORY) - size + 1, u64::from(MEMORY), u64::from(u32::MAX) - 1] {
                let mut scene = scene();
                let mut bad_args = arguments(&mut scene, call);
                bad_args[position] = bad;
                let before = scene.guest.memory.clone();
                let what = format!("{}.{} = {bad:#x}", function.name, param.name);
                match scene.guest.call(call, &bad_args) {
                    Err(Fault::Trap(message)) => {
                        let name = param.name.trim_end_matches('_');
                        assert!(
                            message.starts_with(&format!("{}: {name} ", function.name)),
                            "{what}: {message}"
                        );
                        assert!(message.ends_with("outside 2 pages"), "{what}: {message}");
                    }
                    other => panic!("{what}: {other:?}"),
                }
                assert!(scene.guest.memory == before, "{what}: memory was written");
                assert_eq!(
                    observe(&mut scene, call, &bad_args_repaired(&bad_args, &args, position)),
                    expected,
                    "{what}"
                );
                cases += 1;
            }
        }
    }
    assert!(cases > 150, "only {cases} cases");
}

fn bad_args_repaired(bad: &[u64], good: &[u64], position: usize) -> Vec<u64> {
    let mut args = bad.to_vec();
    args[position] = good[position];
    args
}

#[test]
fn a_bad_buffer_in_a_list_is_named_by_its_place() {
    let mut scene = scene();
    let file = scene.file;
    let guest = &mut scene.guest;
    let (good, count) = (guest.alloc(8), guest.alloc(4));
    let iovs = guest.iovecs(&[(good, 1), (good, 1), (good, 1), (0xffff_0000, 16)]);
    let outcome = guest.call(Call::fd_write, &[file.into(), iovs.into(), 4, count.into()]);
    assert_eq!(outcome, Err(Fault::Trap("fd_write: iovs[3] 0xffff0000+16 outside 2 pages".into())));
    assert_eq!(guest.tell(file), Ok(0), "nothing was written");
}

#[test]
fn input_is_not_consumed_by_a_call_that_traps() {
    let mut scene = scene();
    let guest = &mut scene.guest;
    let buf = guest.alloc(16);
    let iovs = guest.iovecs(&[(buf, 16)]);
    assert!(matches!(guest.call(Call::fd_read, &[0, iovs.into(), 1, 0xffff_fffe]), Err(Fault::Trap(_))));
    assert_eq!(guest.read(0, 16), Ok(b"input".to_vec()));
}

#[test]
fn empty_buffers_may_be_anywhere() {
    let mut scene = scene();
    let file = scene.file;
    let guest = &mut scene.guest;
    let count = guest.alloc(4);
    let iovs = guest.iovecs(&[(0xffff_ffff, 0)]);
    assert_eq!(guest.errno(Call::fd_write, &[file.into(), iovs.into(), 1, count.into()]), Ok(()));
    assert_eq!(guest.errno(Call::fd_write, &[file.into(), 0xffff_ffff, 0, count.into()]), Ok(()));
    assert_eq!(guest.errno(Call::random_get, &[0xffff_ffff, 0]), Ok(()));
    let mut bare = Guest::new(WasiBuilder::new().build().unwrap());
    assert_eq!(bare.errno(Call::args_get, &[0xffff_ffff, 0xffff_ffff]), Ok(()));
    assert_eq!(bare.errno(Call::environ_get, &[0xffff_ffff, 0xffff_ffff]), Ok(()));
}

#[test]
fn misaligned_pointers_work_unless_strict() {
    let mut lax = Guest::new(WasiBuilder::new().build().unwrap());
    assert_eq!(lax.errno(Call::clock_res_get, &[0, 1001]), Ok(()));
    assert_ne!(lax.u64(1001), 0);
    let mut strict = Guest::new(WasiBuilder::new().strict(true).build().unwrap());
    assert_eq!(
        strict.call(Call::clock_res_get, &[0, 1001]),
        Err(Fault::Trap("clock_res_get: resolution 0x3e9 is not aligned to 8 bytes".into()))
    );
    assert_eq!(strict.errno(Call::clock_res_get, &[0, 1000]), Ok(()));
}

#[test]
fn lists_that_are_too_long_are_invalid() {
    let mut scene = scene();
    let file = scene.file;
    let guest = &mut scene.guest;
    let count = guest.alloc(4);
    let good = guest.iovecs(&vec![(2048, 1); 1025]);
    let args = |n: u64| [u64::from(file), u64::from(good), n, u64::from(count)];
    assert_eq!(guest.errno(Call::fd_write, &args(1025)), Err(Errno::Inval));
    assert_eq!(guest.errno(Call::fd_write, &args(1024)), Ok(()));
    assert_eq!(guest.u32(count), 1024);
}

#[test]
fn a_sum_of_lengths_above_32_bits_is_invalid() {
    // Two pages of memory cannot hold such buffers one after the other, but 1024 times the same ones.
    let mut guest = Guest::with_memfs();
    guest.create("f", b"");
    guest.memory.resize(5 << 20, 0);
    let fd = guest.open("f", 0, RW).unwrap();
    let count = guest.alloc(4);
    let iovs = guest.iovecs(&vec![(0, 5 << 20); 1024]);
    let args = [fd.into(), iovs.into(), 1024, count.into()];
    assert_eq!(guest.errno(Call::fd_write, &args), Err(Errno::Inval));
    assert_eq!(guest.errno(Call::fd_read, &args), Err(Errno::Inval));
}
