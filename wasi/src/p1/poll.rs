//! `poll_oneoff`: waiting for clocks and descriptors.
//!
//! 1. All subscriptions are read before any event is written: the two arrays may overlap.
//! 2. What can be answered at once becomes an event: files and memory are always ready, what cannot be waited for has
//!    an errno of its own. A number that is not open fails the whole call, as in the most used runtime.
//! 3. The rest is one `ppoll` with the earliest timer, in the [`Waiter`](crate::wait::Waiter). If nothing was ready
//!    when the time was over, that timer has an event; the others are not reported. On a virtual clock nothing sleeps:
//!    the clock jumps to where it would be afterwards.

use crate::abi::{EVENT, U32, eventrwflags, eventtype, subclockflags};
use crate::fdtable::{Descriptor, Object};
use crate::vfs::FileKind;
use crate::{Errno, GuestMem, Outcome, WasiCtx};
use rustix::event::PollFlags;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// A subscription as the guest wrote it.
struct Subscription {
    userdata: u64,
    kind: u8,
    what: What,
}

enum What {
    /// So many nanoseconds from now; `u64::MAX` is never.
    Timer(u64),
    Descriptor(u32),
}

/// What became of a subscription.
#[derive(Clone, Copy, Default)]
struct Answer {
    error: Option<Errno>,
    nbytes: u64,
    flags: u64,
}

/// What is known of a descriptor before waiting.
enum State<'a> {
    Now(Answer),
    Wait(BorrowedFd<'a>),
}

pub fn poll_oneoff(
    ctx: &mut WasiCtx,
    mem: &mut GuestMem<'_>,
    in_: u32,
    out: u32,
    nsubscriptions: u32,
    nevents: u32,
) -> Outcome {
    mem.check_array("in", in_, nsubscriptions, ctx.preview.subscription.layout)?;
    mem.check_array("out", out, nsubscriptions, EVENT)?;
    mem.check("nevents", nevents, U32)?;
    if nsubscriptions == 0 || nsubscriptions > ctx.limits.subscriptions {
        return Err(Errno::Inval.into());
    }
    ctx.charge(u64::from(nsubscriptions) * u64::from(ctx.preview.subscription.layout.size + EVENT.size))?;
    let subscriptions = read(ctx, mem, in_, nsubscriptions)?;
    let answers = wait(ctx, &subscriptions)?;

    let mut count = 0;
    for (subscription, answer) in subscriptions.iter().zip(answers) {
        let Some(answer) = answer else { continue };
        let mut record = [0; EVENT.size as usize];
        record[0..8].copy_from_slice(&subscription.userdata.to_le_bytes());
        record[8..10].copy_from_slice(&answer.error.map_or(0, Errno::code).to_le_bytes());
        record[10] = subscription.kind;
        record[16..24].copy_from_slice(&answer.nbytes.to_le_bytes());
        record[24..26].copy_from_slice(&(answer.flags as u16).to_le_bytes());
        mem.write_bytes("out", out + count * EVENT.size, &record)?;
        count += 1;
    }
    mem.write_u32("nevents", nevents, count)
}

fn read(ctx: &WasiCtx, mem: &GuestMem<'_>, at: u32, count: u32) -> Outcome<Vec<Subscription>> {
    let layout = &ctx.preview.subscription;
    (0..count)
        .map(|index| {
            let at = at + index * layout.layout.size;
            let kind = mem.read_u8("in", at + 8)?;
            let what = match kind {
                eventtype::CLOCK => {
                    let id = mem.read_u32("in", at + layout.clock_id)?;
                    let timeout = mem.read_u64("in", at + layout.timeout)?;
                    let flags = super::flags(
                        mem.read_u16("in", at + layout.clock_flags)?.into(),
                        subclockflags::ALL,
                    )?;
                    // Reading also checks that there is such a clock.
                    let now = ctx.clocks.peek(id)?;
                    let absolute = flags & subclockflags::ABSTIME != 0;
                    What::Timer(if absolute { timeout.saturating_sub(now) } else { timeout })
                }
                eventtype::FD_READ | eventtype::FD_WRITE => What::Descriptor(mem.read_u32("in", at + 16)?),
                _ => return Err(Errno::Inval.into()),
            };
            Ok(Subscription { userdata: mem.read_u64("in", at)?, kind, what })
        })
        .collect()
}

/// An answer for each subscription that has one, at least one in all.
fn wait(ctx: &mut WasiCtx, subscriptions: &[Subscription]) -> Outcome<Vec<Option<Answer>>> {
    let mut answers = vec![None; subscriptions.len()];
    let mut waited = Vec::new();
    let mut fds = Vec::new();
    let mut earliest = None;
    for (index, subscription) in subscriptions.iter().enumerate() {
        match subscription.what {
            What::Timer(time) => earliest = Some(earliest.map_or(time, |earliest: u64| earliest.min(time))),
            What::Descriptor(fd) => {
                let reading = subscription.kind == eventtype::FD_READ;
                match state(ctx.table.get(fd)?, reading) {
                    State::Now(answer) => answers[index] = Some(answer),
                    State::Wait(fd) => {
                        waited.push((index, reading));
                        fds.push((fd, if reading { PollFlags::IN } else { PollFlags::OUT }));
                    }
                }
            }
        }
    }

    let answered = answers.iter().any(Option::is_some);
    let time = earliest.filter(|&time| time != u64::MAX);
    let timeout = match time {
        _ if answered => Some(Duration::ZERO),
        // Time that does not pass is not waited for.
        Some(_) if ctx.clocks.is_virtual() => Some(Duration::ZERO),
        time => time.map(Duration::from_nanos),
    };
    // Nothing to look at and nothing to wait for: no system call.
    if !fds.is_empty() || timeout != Some(Duration::ZERO) {
        let ready = ctx.waiter.wait(&fds, timeout)?;
        for ((&(fd, _), (index, reading)), ready) in fds.iter().zip(waited).zip(ready) {
            if !ready.is_empty() {
                answers[index] = Some(answer(fd, reading, ready));
            }
        }
    }

    let over = match time {
        Some(0) => true,
        Some(time) if answers.iter().all(Option::is_none) => {
            ctx.clocks.advance(time);
            true
        }
        _ => false,
    };
    if over {
        for (subscription, answer) in subscriptions.iter().zip(&mut answers) {
            if matches!(subscription.what, What::Timer(at) if Some(at) == time) {
                *answer = Some(Answer::default());
            }
        }
    }
    Ok(answers)
}

fn state(descriptor: &Descriptor, reading: bool) -> State<'_> {
    let fail = |error| State::Now(Answer { error: Some(error), ..Answer::default() });
    // At the end of a file there is nothing more to come, which is what a closed pipe says too.
    let ready = |nbytes: u64| {
        let flags = if reading && nbytes == 0 { eventrwflags::HANGUP } else { 0 };
        State::Now(Answer { error: None, nbytes, flags })
    };
    match &descriptor.object {
        Object::Stream(stream) if stream.is_input() != reading => fail(Errno::Badf),
        Object::Stream(stream) => match (stream.poll_fd(), stream.available()) {
            (Some(fd), _) => State::Wait(fd),
            (None, Some(left)) => ready(left),
            // A file as standard input: how far others have read in it is not known.
            (None, None) => State::Now(Answer { nbytes: 1, ..Answer::default() }),
        },
        Object::File { file, position } => match file.poll_fd() {
            Some(fd) => State::Wait(fd),
            None if reading && file.kind() == FileKind::Regular => match file.size() {
                Ok(size) => ready(size.saturating_sub(*position)),
                Err(error) => fail(error),
            },
            None => State::Now(Answer { nbytes: 1, ..Answer::default() }),
        },
        Object::Dir(_) => fail(Errno::Notsup),
        Object::Listener(_) if !reading => fail(Errno::Notconn),
        Object::Listener(socket) => State::Wait(socket.as_fd()),
        Object::Connection(socket) => State::Wait(socket.as_fd()),
    }
}

fn answer(fd: BorrowedFd<'_>, reading: bool, ready: PollFlags) -> Answer {
    if ready.contains(PollFlags::NVAL) {
        return Answer { error: Some(Errno::Badf), ..Answer::default() };
    }
    let flags = if ready.intersects(PollFlags::HUP | PollFlags::ERR) { eventrwflags::HANGUP } else { 0 };
    // A listener has no bytes; for writing, the host tells only that there is room.
    let nbytes = if reading { rustix::io::ioctl_fionread(fd).unwrap_or(0) } else { 1 };
    Answer { error: None, nbytes, flags }
}
