//! `poll_oneoff`: what is ready, what is an error, and how time passes.
//!
//! No test waits for a real clock, but for one that sleeps a nanosecond: time is virtual, and what ends a real wait is
//! data or a canceller.

use crate::common::{Guest, READ, ROOT, RW, WRITE};
use std::io::Write;
use wasmrun_wasi::abi::{Call, eventrwflags, oflags};
use wasmrun_wasi::{Capture, Clocks, Errno, Fault, Input, Limits, Output, WasiBuilder};

const CLOCK: u8 = 0;
const FD_READ: u8 = 1;
const FD_WRITE: u8 = 2;
const ABSTIME: u16 = 1;

#[derive(Clone, Copy)]
enum Sub {
    Clock { id: u32, timeout: u64, flags: u16 },
    Fd(u8, u32),
}

use Sub::{Clock, Fd};

fn after(timeout: u64) -> Sub {
    Clock { id: 1, timeout, flags: 0 }
}

#[derive(Debug, PartialEq, Eq, Clone)]
struct Event {
    userdata: u64,
    errno: u16,
    kind: u8,
    nbytes: u64,
    flags: u16,
}

/// User data that says which subscription it was, in bits that would not survive a cut to 32.
fn userdata(index: usize) -> u64 {
    0xabcd_0000_1234_0000 | index as u64
}

fn lay_out(guest: &mut Guest, subs: &[Sub]) -> u32 {
    let mut bytes = Vec::new();
    for (index, sub) in subs.iter().enumerate() {
        let mut record = [0xee; 48];
        record[..8].copy_from_slice(&userdata(index).to_le_bytes());
        match *sub {
            Clock { id, timeout, flags } => {
                record[8] = CLOCK;
                record[16..20].copy_from_slice(&id.to_le_bytes());
                record[24..32].copy_from_slice(&timeout.to_le_bytes());
                record[40..42].copy_from_slice(&flags.to_le_bytes());
            }
            Fd(kind, fd) => {
                record[8] = kind;
                record[16..20].copy_from_slice(&fd.to_le_bytes());
            }
        }
        bytes.extend(record);
    }
    guest.put(&bytes)
}

fn poll_call(guest: &mut Guest, subs: &[Sub]) -> Result<Vec<Event>, Fault> {
    let input = lay_out(guest, subs);
    let out = guest.put(&vec![0xcc; subs.len() * 32]);
    let count = guest.alloc(4);
    guest.call(Call::poll_oneoff, &[input.into(), out.into(), subs.len() as u64, count.into()])?;
    let events = read_events(guest, out, guest.u32(count));
    let after = out + guest.u32(count) * 32;
    let rest = subs.len() as u32 * 32 - guest.u32(count) * 32;
    assert!(
        guest.bytes(after, rest).iter().all(|&byte| byte == 0xcc),
        "nothing is written after the last event"
    );
    Ok(events)
}

fn read_events(guest: &Guest, out: u32, count: u32) -> Vec<Event> {
    (0..count)
        .map(|index| {
            let at = out + index * 32;
            Event {
                userdata: guest.u64(at),
                errno: guest.u16(at + 8),
                kind: guest.memory[at as usize + 10],
                nbytes: guest.u64(at + 16),
                flags: guest.u16(at + 24),
            }
        })
        .collect()
}

fn poll(guest: &mut Guest, subs: &[Sub]) -> Result<Vec<Event>, Errno> {
    match poll_call(guest, subs) {
        Ok(events) => Ok(events),
        Err(Fault::Errno(errno)) => Err(errno),
        Err(other) => panic!("{other}"),
    }
}

fn fired(index: usize) -> Event {
    Event { userdata: userdata(index), errno: 0, kind: CLOCK, nbytes: 0, flags: 0 }
}

fn virtual_guest() -> Guest {
    Guest::new(WasiBuilder::new().clocks(Clocks::virtual_time(1_000_000, 0)).build().unwrap())
}

fn time(guest: &mut Guest, id: u64) -> u64 {
    let at = guest.alloc(8);
    guest.errno(Call::clock_time_get, &[id, 0, at.into()]).unwrap();
    guest.u64(at)
}

#[test]
fn no_subscriptions_are_invalid() {
    assert_eq!(poll(&mut virtual_guest(), &[]), Err(Errno::Inval));
}

#[test]
fn a_virtual_clock_jumps_instead_of_sleeping() {
    let mut guest = virtual_guest();
    assert_eq!(poll(&mut guest, &[after(3_600_000_000_000)]), Ok(vec![fired(0)]));
    assert_eq!(time(&mut guest, 0), 3_600_001_000_000);
    assert_eq!(time(&mut guest, 1), 3_600_000_000_001);
}

#[test]
fn of_several_timers_only_the_earliest_is_reported() {
    let mut guest = virtual_guest();
    assert_eq!(poll(&mut guest, &[after(50), after(20), after(30), after(u64::MAX)]), Ok(vec![fired(1)]));
    assert_eq!(time(&mut guest, 0), 1_000_020);
    // The same moment on two clocks.
    let subs = [after(10), Clock { id: 0, timeout: 1_000_030, flags: ABSTIME }];
    assert_eq!(poll(&mut guest, &subs), Ok(vec![fired(0), fired(1)]));
}

#[test]
fn absolute_times_count_on_their_own_clock_and_those_in_the_past_fire_at_once() {
    let mut guest = virtual_guest();
    assert_eq!(poll(&mut guest, &[Clock { id: 0, timeout: 5, flags: ABSTIME }]), Ok(vec![fired(0)]));
    assert_eq!(time(&mut guest, 0), 1_000_000, "no time passed");
    assert_eq!(poll(&mut guest, &[Clock { id: 0, timeout: 1_000_500, flags: ABSTIME }]), Ok(vec![fired(0)]));
    assert_eq!(time(&mut guest, 0), 1_000_500);
    assert_eq!(poll(&mut guest, &[Clock { id: 1, timeout: 601, flags: ABSTIME }]), Ok(vec![fired(0)]));
    assert_eq!(time(&mut guest, 1), 601);
    let mut real = Guest::new(WasiBuilder::new().build().unwrap());
    assert_eq!(poll(&mut real, &[Clock { id: 0, timeout: 5, flags: ABSTIME }]), Ok(vec![fired(0)]));
}

#[test]
fn a_real_clock_sleeps_and_reports() {
    let mut guest = Guest::new(WasiBuilder::new().build().unwrap());
    let before = std::time::Instant::now();
    assert_eq!(poll(&mut guest, &[after(2_000_000)]), Ok(vec![fired(0)]));
    assert!(before.elapsed() >= std::time::Duration::from_nanos(2_000_000), "not too early");
}

#[test]
fn clocks_and_flags_and_tags_that_do_not_exist_are_invalid() {
    let mut guest = virtual_guest();
    for sub in [
        Clock { id: 2, timeout: 0, flags: 0 },
        Clock { id: 9, timeout: 0, flags: 0 },
        Clock { id: 0, timeout: 0, flags: 2 },
        Fd(3, 0),
        Fd(255, 0),
    ] {
        assert_eq!(poll(&mut guest, &[after(0), sub]), Err(Errno::Inval));
    }
}

#[test]
fn a_number_that_is_not_open_fails_the_call() {
    assert_eq!(poll(&mut virtual_guest(), &[after(0), Fd(FD_READ, 77)]), Err(Errno::Badf));
}

#[test]
fn what_cannot_be_waited_for_has_an_errno_of_its_own() {
    let mut guest = Guest::with_memfs();
    let events = poll(&mut guest, &[Fd(FD_WRITE, 0), Fd(FD_READ, 1), Fd(FD_READ, ROOT)]).unwrap();
    let errnos: Vec<_> = events.iter().map(|event| (event.userdata, event.errno)).collect();
    let (badf, notsup) = (Errno::Badf.code(), Errno::Notsup.code());
    assert_eq!(errnos, [(userdata(0), badf), (userdata(1), badf), (userdata(2), notsup)]);
}

#[test]
fn files_are_always_ready_and_say_when_they_end() {
    let mut guest = Guest::with_memfs();
    guest.create("f", b"0123456789");
    let fd = guest.open("f", 0, RW).unwrap();
    guest.seek(fd, 4, 0).unwrap();
    let events = poll(&mut guest, &[Fd(FD_READ, fd), Fd(FD_WRITE, fd), after(u64::MAX)]).unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!((events[0].nbytes, events[0].flags, events[0].kind), (6, 0, FD_READ));
    assert_eq!((events[1].flags, events[1].kind), (0, FD_WRITE));
    guest.seek(fd, 0, 2).unwrap();
    let events = poll(&mut guest, &[Fd(FD_READ, fd)]).unwrap();
    assert_eq!((events[0].nbytes, u64::from(events[0].flags)), (0, eventrwflags::HANGUP));
}

#[test]
fn streams_in_memory_are_always_ready() {
    let mut builder = WasiBuilder::new();
    builder.stdin(Input::Bytes(b"abc".to_vec())).stdout(Output::Capture(Capture::default()));
    let mut guest = Guest::new(builder.build().unwrap());
    let events = poll(&mut guest, &[Fd(FD_READ, 0), Fd(FD_WRITE, 1), Fd(FD_WRITE, 2)]).unwrap();
    assert_eq!(events.iter().map(|event| event.errno).collect::<Vec<_>>(), [0, 0, 0]);
    assert_eq!((events[0].nbytes, events[0].flags), (3, 0));
    guest.read(0, 10).unwrap();
    let events = poll(&mut guest, &[Fd(FD_READ, 0)]).unwrap();
    assert_eq!(u64::from(events[0].flags), eventrwflags::HANGUP);
}

#[test]
fn a_pipe_is_ready_when_there_is_data_and_hangs_up_when_closed() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut builder = WasiBuilder::new();
    builder.stdin(Input::Fd(reader.into())).clocks(Clocks::virtual_time(0, 0));
    let mut guest = Guest::new(builder.build().unwrap());
    // On a virtual clock, an idle pipe lets the time pass at once.
    assert_eq!(poll(&mut guest, &[Fd(FD_READ, 0), after(9)]), Ok(vec![fired(1)]));
    writer.write_all(b"12345").unwrap();
    let events = poll(&mut guest, &[after(9), Fd(FD_READ, 0)]).unwrap();
    let ready = Event { userdata: userdata(1), errno: 0, kind: FD_READ, nbytes: 5, flags: 0 };
    assert_eq!(events, std::slice::from_ref(&ready));
    // Time that is over already is reported together with what is ready.
    assert_eq!(poll(&mut guest, &[after(0), Fd(FD_READ, 0)]), Ok(vec![fired(0), ready]));
    guest.read(0, 9).unwrap();
    drop(writer);
    let events = poll(&mut guest, &[Fd(FD_READ, 0)]).unwrap();
    assert_eq!(u64::from(events[0].flags), eventrwflags::HANGUP);
}

#[test]
fn a_wait_on_a_real_pipe_ends_with_its_data() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let mut guest = Guest::new(WasiBuilder::new().stdin(Input::Fd(reader.into())).build().unwrap());
    let thread = std::thread::spawn(move || writer.write_all(b"x").map(|()| writer));
    let events = poll(&mut guest, &[Fd(FD_READ, 0), after(u64::MAX)]).unwrap();
    assert_eq!((events.len(), events[0].userdata, events[0].nbytes), (1, userdata(0), 1));
    thread.join().unwrap().unwrap();
}

#[test]
fn cancelling_ends_a_wait_without_end() {
    for subs in [&[after(u64::MAX)][..], &[after(u64::MAX - 1)], &[Fd(FD_READ, 0)]] {
        let (reader, _writer) = std::io::pipe().unwrap();
        let mut ctx = WasiBuilder::new().stdin(Input::Fd(reader.into())).build().unwrap();
        let canceller = ctx.canceller();
        let mut guest = Guest::new(ctx);
        let thread = std::thread::spawn(move || canceller.cancel());
        assert_eq!(poll_call(&mut guest, subs), Err(Fault::Interrupted));
        thread.join().unwrap();
    }
}

#[test]
fn the_two_arrays_may_overlap() {
    let mut guest = virtual_guest();
    let subs = [after(7), Fd(FD_WRITE, 1), Fd(FD_WRITE, 2)];
    let input = lay_out(&mut guest, &subs);
    let count = guest.alloc(4);
    guest.errno(Call::poll_oneoff, &[input.into(), input.into(), 3, count.into()]).unwrap();
    let events = read_events(&guest, input, guest.u32(count));
    assert_eq!(events.iter().map(|event| event.userdata).collect::<Vec<_>>(), [userdata(1), userdata(2)]);
}

#[test]
fn more_subscriptions_than_the_limit_are_invalid() {
    let mut limits = Limits::default();
    limits.subscriptions = 8;
    let mut guest = Guest::new(WasiBuilder::new().limits(limits).build().unwrap());
    assert_eq!(poll(&mut guest, &[after(0); 9]), Err(Errno::Inval));
    assert_eq!(poll(&mut guest, &[after(0); 8]).unwrap().len(), 8);
}

#[test]
fn a_reader_of_a_named_pipe_waits_for_its_data() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let mut guest = Guest::with_dir(dir.path());
    let reader = guest.open("pipe", 0, READ).unwrap();
    let writer = guest.open("pipe", oflags::CREAT, WRITE).unwrap();
    assert_eq!(poll(&mut guest, &[Fd(FD_READ, reader), Fd(FD_WRITE, writer)]).unwrap()[0].kind, FD_WRITE);
    guest.write(writer, b"abc").unwrap();
    assert_eq!(poll(&mut guest, &[Fd(FD_READ, reader)]).unwrap()[0].nbytes, 3);
}
