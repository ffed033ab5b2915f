//! Arguments, environment, clocks, random numbers, ending; and what the builder refuses.

use crate::common::{Guest, MEMORY, RW};
use wasmrun_wasi::abi::Call;
use wasmrun_wasi::vfs::Perm;
use wasmrun_wasi::vfs::memfs::MemFs;
use wasmrun_wasi::{Clocks, Errno, Error, Fault, GuestMem, Limits, Random, WasiBuilder, p0};

#[test]
fn sizes_count_the_nuls_and_strings_follow_their_pointers() {
    let mut guest =
        Guest::new(WasiBuilder::new().args(["prog", "", "ä"]).env("A", "1").env("B", "").build().unwrap());
    let (count, size) = (guest.alloc(4), guest.alloc(4));
    let (pointers, bytes) = (guest.alloc(64), guest.alloc(64));
    guest.errno(Call::args_sizes_get, &[count.into(), size.into()]).unwrap();
    assert_eq!((guest.u32(count), guest.u32(size)), (3, 9));
    guest.errno(Call::args_get, &[pointers.into(), bytes.into()]).unwrap();
    assert_eq!(guest.bytes(bytes, 9), "prog\0\0ä\0".as_bytes());
    assert_eq!([0, 4, 8].map(|at| guest.u32(pointers + at)), [bytes, bytes + 5, bytes + 6]);
    guest.errno(Call::environ_sizes_get, &[count.into(), size.into()]).unwrap();
    assert_eq!((guest.u32(count), guest.u32(size)), (2, 7));
    guest.errno(Call::environ_get, &[pointers.into(), bytes.into()]).unwrap();
    assert_eq!(guest.bytes(bytes, 7), b"A=1\0B=\0");
}

#[test]
fn neither_list_is_written_if_one_does_not_fit() {
    let mut guest = Guest::new(WasiBuilder::new().args(["prog", "arg"]).build().unwrap());
    let before = guest.memory.clone();
    assert!(matches!(guest.call(Call::args_get, &[1024, u64::from(MEMORY) - 8]), Err(Fault::Trap(_))));
    assert!(matches!(guest.call(Call::args_get, &[u64::from(MEMORY) - 4, 1024]), Err(Fault::Trap(_))));
    assert!(guest.memory == before);
}

#[test]
fn of_two_variables_with_one_name_the_last_counts() {
    let ctx = WasiBuilder::new().env("A", "1").env("B", "2").env("A", "3").build().unwrap();
    let mut guest = Guest::new(ctx);
    let (pointers, bytes) = (guest.alloc(64), guest.alloc(64));
    guest.errno(Call::environ_get, &[pointers.into(), bytes.into()]).unwrap();
    assert_eq!(guest.bytes(bytes, 8), b"A=3\0B=2\0");
}

#[test]
fn nothing_is_granted_by_default() {
    let ctx = WasiBuilder::new().build().unwrap();
    let report = ctx.report().clone();
    assert_eq!((report.args, report.env.len(), report.dirs.len(), report.listeners.len()), (0, 0, 0, 0));
    assert_eq!(report.stdio, ["null"; 3]);
    let mut guest = Guest::new(ctx);
    assert_eq!(guest.read(0, 8), Ok(vec![]));
    assert_eq!(guest.write(1, b"lost"), Ok(4));
    let at = guest.alloc(8);
    assert_eq!(guest.errno(Call::fd_prestat_get, &[3, at.into()]), Err(Errno::Badf));
    assert_eq!(guest.fdstat(3), Err(Errno::Badf));
}

#[test]
fn the_builder_refuses_what_no_guest_could_read() {
    fn refused(setup: impl FnOnce(&mut WasiBuilder) -> &mut WasiBuilder) -> Error {
        setup(&mut WasiBuilder::new()).build().expect_err("refused")
    }
    assert!(matches!(refused(|b| b.arg("a\0b")), Error::Nul { .. }));
    assert!(matches!(refused(|b| b.env("A\0", "x")), Error::Nul { .. }));
    assert!(matches!(refused(|b| b.env("A", "x\0")), Error::Nul { .. }));
    assert!(matches!(refused(|b| b.env("A=B", "x")), Error::EnvName(_)));
    assert!(matches!(refused(|b| b.env("", "x")), Error::EnvName(_)));
    let fs = MemFs::new(1024);
    assert!(matches!(refused(|b| b.memfs(&fs, "", Perm::ReadOnly)), Error::GuestName(_)));
    assert!(matches!(refused(|b| b.memfs(&fs, "a\0", Perm::ReadOnly)), Error::Nul { .. }));
    assert!(matches!(refused(|b| b.memfs(&fs, vec![b'a'; 5000], Perm::ReadOnly)), Error::GuestName(_)));
    assert!(matches!(
        refused(|b| b.memfs(&fs, "/", Perm::ReadOnly).memfs(&fs, "/", Perm::ReadWrite)),
        Error::Duplicate(_)
    ));
    let mut small = Limits::default();
    small.strings = 100;
    assert!(matches!(refused(|b| b.arg(vec![b'a'; 100]).limits(small.clone())), Error::TooLarge { .. }));
    // Many empty strings are large too.
    assert!(matches!(refused(|b| b.args(vec![""; 50]).limits(small.clone())), Error::TooLarge { .. }));
    let missing = WasiBuilder::new().preopened_dir("/nowhere/at/all", "/", Perm::ReadOnly).map(drop);
    assert_eq!(missing.unwrap_err().to_string(), "cannot open the directory `/nowhere/at/all`: ENOENT");
}

#[test]
fn cpu_time_clocks_are_invalid_and_the_others_move() {
    let mut guest = Guest::new(WasiBuilder::new().build().unwrap());
    let at = guest.alloc(8);
    for id in [2, 3, 4, 0xffff_ffff] {
        assert_eq!(guest.errno(Call::clock_time_get, &[id, 0, at.into()]), Err(Errno::Inval));
        assert_eq!(guest.errno(Call::clock_res_get, &[id, at.into()]), Err(Errno::Inval));
    }
    for id in [0, 1] {
        guest.errno(Call::clock_res_get, &[id, at.into()]).unwrap();
        assert_ne!(guest.u64(at), 0);
        guest.errno(Call::clock_time_get, &[id, u64::MAX, at.into()]).unwrap();
        assert_ne!(guest.u64(at), 0);
    }
}

#[test]
fn a_virtual_clock_shows_the_same_times_in_every_run() {
    let mut guest = Guest::new(WasiBuilder::new().clocks(Clocks::virtual_time(1000, 10)).build().unwrap());
    let at = guest.alloc(8);
    let mut time = |id| {
        guest.errno(Call::clock_time_get, &[id, 0, at.into()]).unwrap();
        guest.u64(at)
    };
    assert_eq!([time(0), time(0), time(1), time(0)], [1000, 1010, 21, 1030]);
}

#[test]
fn random_bytes_fill_exactly_the_buffer() {
    let mut guest = Guest::new(WasiBuilder::new().random(Random::seeded(1)).build().unwrap());
    guest.errno(Call::random_get, &[2000, 100_000]).unwrap();
    assert!(guest.memory[..2000].iter().all(|&byte| byte == 0));
    assert!(guest.memory[102_000..].iter().all(|&byte| byte == 0));
    for window in guest.memory[2000..102_000].chunks(64) {
        assert!(window.iter().any(|&byte| byte != 0));
    }
    let first = guest.memory.clone();
    let mut again = Guest::new(WasiBuilder::new().random(Random::seeded(1)).build().unwrap());
    again.errno(Call::random_get, &[2000, 100_000]).unwrap();
    assert!(again.memory == first);
}

#[test]
fn more_random_bytes_than_the_limit_are_invalid_and_none_are_made() {
    let mut limits = Limits::default();
    limits.random_bytes = 64;
    let mut guest = Guest::new(WasiBuilder::new().limits(limits).build().unwrap());
    assert_eq!(guest.errno(Call::random_get, &[0, 65]), Err(Errno::Inval));
    assert!(guest.memory.iter().all(|&byte| byte == 0));
    assert_eq!(guest.errno(Call::random_get, &[0, 64]), Ok(()));
}

#[test]
fn exit_leaves_the_guest_with_the_whole_code() {
    let mut guest = Guest::new(WasiBuilder::new().build().unwrap());
    for code in [0, 1, 126, 256, u32::MAX] {
        assert_eq!(guest.call(Call::proc_exit, &[code.into()]), Err(Fault::Exit(code)));
    }
}

#[test]
fn signals_are_not_supported_and_yielding_works() {
    let mut guest = Guest::new(WasiBuilder::new().build().unwrap());
    assert_eq!(guest.errno(Call::proc_raise, &[9]), Err(Errno::Notsup));
    assert_eq!(guest.errno(Call::sched_yield, &[]), Ok(()));
}

#[test]
fn a_cancelled_guest_is_interrupted_in_every_call_until_the_host_resets_it() {
    let mut ctx = WasiBuilder::new().build().unwrap();
    let canceller = ctx.canceller();
    let mut guest = Guest::new(ctx);
    canceller.cancel();
    for call in Call::ALL {
        let args = vec![0; call.function().params.len()];
        assert_eq!(guest.call(call, &args), Err(Fault::Interrupted), "{call:?}");
    }
    canceller.reset();
    assert_eq!(guest.errno(Call::sched_yield, &[]), Ok(()));
}

#[test]
fn preview_0_has_its_own_layouts_and_whence() {
    let mut guest = Guest::with_memfs();
    guest.create("f", b"0123456789");
    let fd = guest.open("f", 0, RW).unwrap();
    let at = guest.alloc(64);
    let Guest { ctx, memory, .. } = &mut guest;
    let mut mem = GuestMem::new(memory);
    // cur, end, set.
    p0::fd_seek(ctx, &mut mem, fd, 4, 2, at).unwrap();
    p0::fd_seek(ctx, &mut mem, fd, 1, 0, at).unwrap();
    assert_eq!(mem.read_u64("", at), Ok(5));
    p0::fd_seek(ctx, &mut mem, fd, -1, 1, at).unwrap();
    assert_eq!(mem.read_u64("", at), Ok(9));
    mem.write_u64("", at + 56, 0x5555).unwrap();
    p0::fd_filestat_get(ctx, &mut mem, fd, at).unwrap();
    assert_eq!(mem.read_u32("", at + 20), Ok(1), "links");
    assert_eq!(mem.read_u64("", at + 24), Ok(10), "size");
    assert_eq!(mem.read_u64("", at + 56), Ok(0x5555), "the record ends at 56");
    // A subscription of preview 0: user data, tag, clock's own user data, id, timeout, precision, flags.
    let (sub, event, count) = (4096, 8192, 9000);
    mem.write_u64("", sub, 42).unwrap();
    mem.write_u64("", sub + 16, 0xdead).unwrap();
    mem.write_u32("", sub + 24, 1).unwrap();
    mem.write_u64("", sub + 32, 5).unwrap();
    p0::poll_oneoff(ctx, &mut mem, sub, event, 1, count).unwrap();
    assert_eq!((mem.read_u32("", count), mem.read_u64("", event)), (Ok(1), Ok(42)));
    // In preview 1 the same numbers mean something else.
    wasmrun_wasi::p1::fd_seek(ctx, &mut mem, fd, 4, 0, at).unwrap();
    assert_eq!(mem.read_u64("", at), Ok(4));
}
