//! The one place where a host call may wait, or work for long.
//!
//! Every wait that could last, for time or for a descriptor of the host, goes through [`Waiter::wait`], which returns
//! when a descriptor is ready, when the time is over, or when another thread wants the guest back. There are two ways
//! to want that. A [`Canceller`] is for hosts that call these functions themselves: its signal stays raised until
//! [`Canceller::reset`]. A poke comes from an engine whose guest is asked to stop (`link.rs`): the call returns
//! [`Fault::Interrupted`], the engine decides, and if the guest may go on the call is made again, with the deadline
//! that it had.
//!
//! Work that grows with a guest's numbers goes through [`Waiter::in_pieces`], which looks between the pieces whether
//! somebody wants the guest back. What is done is noted there, so that a call that is made again goes on behind it.
//!
//! Both are a flag, which is looked at first, and a descriptor that becomes readable, which ends a wait that has begun.
//! The descriptor is made for the first wait that can be ended: guests that never wait cost none.

use crate::{Errno, Fault, Outcome};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::cell::{Cell, RefCell};
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// So many bytes are moved or made before it is looked whether somebody wants the guest back: little enough that it
/// takes the slowest of sources some milliseconds, and enough that no system call is felt.
pub(crate) const PIECE: u64 = 1 << 20;

/// So often is an operation tried at once that does nothing though its descriptor is ready. After that there is a pause
/// before each attempt.
const MOST_IN_VAIN: u32 = 4;
const IN_VAIN: Duration = Duration::from_millis(1);

/// Ends what a guest is waiting for, from any thread. Every clone belongs to the same guest.
///
/// The call that the guest is in returns [`Fault::Interrupted`](crate::Fault::Interrupted), and so does every later
/// one. It does not stop a guest that computes: that is the engine's business.
#[derive(Clone, Debug)]
pub struct Canceller(Arc<Signal>);

#[derive(Debug, Default)]
struct Signal {
    cancelled: AtomicBool,
    poked: AtomicBool,
    event: OnceLock<Event>,
}

/// Something to wait for that becomes readable.
#[derive(Debug)]
struct Event {
    readable: OwnedFd,
    /// Where to write to make it so; none where the host has event descriptors, which are their own other end.
    writable: Option<OwnedFd>,
}

impl Event {
    #[cfg(target_os = "linux")]
    fn new() -> io::Result<Event> {
        use rustix::event::{EventfdFlags, eventfd};
        Ok(Event { readable: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?, writable: None })
    }

    #[cfg(not(target_os = "linux"))]
    fn new() -> io::Result<Event> {
        let (readable, writable) = std::os::unix::net::UnixStream::pair()?;
        readable.set_nonblocking(true)?;
        writable.set_nonblocking(true)?;
        Ok(Event { readable: readable.into(), writable: Some(writable.into()) })
    }

    fn raise(&self) {
        // It can fail only because it is readable already.
        let _ = rustix::io::write(self.writable.as_ref().unwrap_or(&self.readable), &1u64.to_ne_bytes());
    }

    fn lower(&self) {
        let mut drained = [0; 64];
        while rustix::io::read(&self.readable, &mut drained).is_ok_and(|count| count == drained.len()) {}
    }
}

impl Signal {
    /// The event, made on the first call.
    fn event(&self) -> io::Result<&Event> {
        if self.event.get().is_none() {
            // Another thread may have been faster; then this one is dropped.
            let _ = self.event.set(Event::new()?);
        }
        // Either whoever raises a flag sees the event, or the flag is seen when it is looked at after this.
        fence(Ordering::SeqCst);
        self.event.get().ok_or_else(|| io::ErrorKind::Other.into())
    }

    /// Raises a flag and ends a wait.
    fn raise(&self, flag: &AtomicBool) {
        flag.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if let Some(event) = self.event.get() {
            event.raise();
        }
    }
}

impl Canceller {
    /// Makes every call of the guest return, the present one and all later ones.
    pub fn cancel(&self) {
        self.0.raise(&self.0.cancelled);
    }

    /// Whether [`Canceller::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// Lets the guest make calls again.
    pub fn reset(&self) {
        self.0.cancelled.store(false, Ordering::SeqCst);
    }
}

/// What the present call has to do with an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attached {
    /// There is none.
    No,
    /// There is one, and it wants to be told before the call waits: it has to be asked whether the guest may.
    Wanted,
    /// It knows, and pokes when the guest is asked to stop.
    Yes,
}

/// A guest's end of what can end its waits.
#[derive(Debug)]
pub(crate) struct Waiter {
    signal: Arc<Signal>,
    /// Whether anybody has a [`Canceller`].
    cancellable: bool,
    /// Whether writes that the host would make wait look first, so that they can be ended.
    interruptible_writes: bool,
    attached: Attached,
    /// The deadline of a wait that was interrupted and will be taken up again.
    resume: Cell<Option<Instant>>,
    /// How much was done of work that was interrupted and will be taken up again.
    done: Cell<u64>,
    /// Whether nothing waits here: whoever makes the call waits for what is noted, and makes the call again.
    elsewhere: bool,
    /// What is to be waited for elsewhere.
    wish: RefCell<Option<Wish>>,
    /// The outcome of the present call, which was made, while an engine is asked whether the guest may wait for the reader
    /// of a trace.
    made: RefCell<Option<Outcome>>,
}

/// What a call would have waited for.
#[derive(Debug)]
struct Wish {
    /// Descriptors of their own: the guest's may be closed meanwhile.
    fds: Vec<(OwnedFd, PollFlags)>,
    deadline: Option<Instant>,
}

impl Default for Waiter {
    fn default() -> Waiter {
        Waiter {
            signal: Arc::default(),
            cancellable: false,
            interruptible_writes: false,
            attached: Attached::No,
            resume: Cell::new(None),
            done: Cell::new(0),
            elsewhere: false,
            wish: RefCell::new(None),
            made: RefCell::new(None),
        }
    }
}

impl Waiter {
    /// A canceller of this guest.
    pub fn canceller(&mut self) -> Canceller {
        self.cancellable = true;
        self.interruptible_writes = true;
        Canceller(Arc::clone(&self.signal))
    }

    /// From now on, has writes look before they act.
    pub fn interruptible_writes(&mut self) {
        self.interruptible_writes = true;
    }

    /// Whether writes look before they act.
    pub fn are_writes_interruptible(&self) -> bool {
        self.interruptible_writes
    }

    /// Whether there is anybody who could end a wait.
    pub fn can_be_ended(&self) -> bool {
        self.cancellable || self.attached != Attached::No
    }

    /// Whether there is an engine, which makes an interrupted call again if the guest may go on.
    pub fn is_attached(&self) -> bool {
        self.attached != Attached::No
    }

    /// Whether an engine has said that the present call may wait: then it was made before.
    pub fn may_wait(&self) -> bool {
        self.attached == Attached::Yes
    }

    /// Whether it was used.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.signal.cancelled.load(Ordering::Relaxed)
    }

    /// Says what the next call has to do with an engine.
    #[inline]
    pub fn attach(&mut self, attached: Attached) {
        self.attached = attached;
    }

    /// Forgets what was interrupted: the next call is another one.
    #[inline]
    pub fn forget(&mut self) {
        self.resume.set(None);
        self.done.set(0);
        self.wish.take();
        self.made.take();
    }

    /// Keeps the outcome of a call that was made until the engine has it made again.
    pub fn keep(&self, outcome: Outcome) {
        self.made.replace(Some(outcome));
    }

    /// The outcome of the present call if it was made already.
    pub fn made(&self) -> Option<Outcome> {
        self.made.take().filter(|_| self.may_wait())
    }

    /// Whether calls of other threads may be made while this one's waits.
    pub fn waits_elsewhere(&self) -> bool {
        self.elsewhere
    }

    /// What an engine calls to poke, from any thread. Pokes before this are forgotten.
    pub fn waker(&self) -> Arc<dyn Fn() + Send + Sync> {
        self.signal.poked.store(false, Ordering::SeqCst);
        let signal = Arc::clone(&self.signal);
        Arc::new(move || signal.raise(&signal.poked))
    }

    /// Fails if the guest was cancelled or poked. A poke counts once.
    #[inline]
    pub fn check(&self) -> Outcome {
        if self.is_cancelled()
            || (self.attached == Attached::Yes && self.signal.poked.swap(false, Ordering::SeqCst))
        {
            return Err(Fault::Interrupted);
        }
        Ok(())
    }

    /// Fails if the engine must be told before a wait. For calls that could not be made again after they have begun.
    pub fn prepare(&self) -> Outcome {
        if self.attached == Attached::Wanted { Err(Fault::Interrupted) } else { Ok(()) }
    }

    /// Does work on `len` bytes, of which `work` gets a range and says how many it did: fewer than asked end it. What
    /// is more than a [`PIECE`] is done piece by piece. An errno after the first piece is an end, too: what was done
    /// counts, and whoever goes on will see the errno.
    #[inline]
    pub fn in_pieces(&self, len: u64, mut work: impl FnMut(Range<u64>) -> Outcome<u64>) -> Outcome<u64> {
        if len <= PIECE {
            return work(0..len);
        }
        self.prepare()?;
        let mut done = self.done.take();
        while done < len {
            let piece = done..len.min(done + PIECE);
            let asked = piece.end - piece.start;
            match self.check().and_then(|()| work(piece)) {
                Ok(count) => {
                    done += count;
                    if count < asked {
                        break;
                    }
                }
                Err(Fault::Errno(_)) if done > 0 => break,
                Err(fault) => {
                    // Only an engine makes the call again.
                    if self.attached != Attached::No {
                        self.done.set(done);
                    }
                    return Err(fault);
                }
            }
        }
        Ok(done)
    }

    /// Does work on `len` bytes in steps, which go on behind what is done and give how much is done then; a step that
    /// gives `len` is the last. Errnos end it. An engine need not hear of what takes one step.
    pub fn in_steps(&self, len: u64, mut step: impl FnMut(u64) -> Outcome<u64>) -> Outcome {
        let mut done = self.done.take();
        loop {
            done = step(done)?;
            if done >= len {
                return Ok(());
            }
            if let Err(fault) = self.prepare().and_then(|()| self.check()) {
                // Only an engine makes the call again.
                if self.attached != Attached::No {
                    self.done.set(done);
                }
                return Err(fault);
            }
        }
    }

    /// Waits until one of the descriptors is ready, the time is over (`None`: never) or the guest is wanted back. Gives
    /// what each descriptor is ready for: nothing on all of them if it was the time. With a time of 0 it only looks.
    pub fn wait(
        &self,
        fds: &[(BorrowedFd<'_>, PollFlags)],
        timeout: Option<Duration>,
    ) -> Outcome<Vec<PollFlags>> {
        let looks = timeout == Some(Duration::ZERO);
        #[cfg(test)]
        hook::call(hook::Moment::Waits);
        // A deadline that no clock can show is none.
        let fresh = || timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let deadline = if looks { fresh() } else { self.resume.take().or_else(fresh) };
        let interrupted = |fault| {
            // Only an engine makes the call again, and looking takes no time that could be taken up.
            if !looks && self.attached != Attached::No {
                self.resume.set(deadline);
            }
            fault
        };
        if !looks && self.elsewhere {
            let ready = if fds.is_empty() { Vec::new() } else { self.wait(fds, Some(Duration::ZERO))? };
            let some = ready.iter().any(|flags| !flags.is_empty());
            if some || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok(ready);
            }
            let own = |(fd, flags): &(BorrowedFd<'_>, PollFlags)| Ok((fd.try_clone_to_owned()?, *flags));
            let fds = fds.iter().map(own).collect::<io::Result<_>>()?;
            *self.wish.borrow_mut() = Some(Wish { fds, deadline });
            return Err(interrupted(Fault::Interrupted));
        }
        if !looks && self.attached == Attached::Wanted {
            // The engine need not hear of a wait that has nothing to wait for.
            let ready = if fds.is_empty() { Vec::new() } else { self.wait(fds, Some(Duration::ZERO))? };
            let some = ready.iter().any(|flags| !flags.is_empty());
            return if some { Ok(ready) } else { Err(interrupted(Fault::Interrupted)) };
        }
        let listens = !looks && (self.cancellable || self.attached == Attached::Yes);
        self.block(fds, deadline, listens).map_err(interrupted)
    }

    /// A waiter whose calls wait [elsewhere](Waiter::wait_elsewhere).
    pub fn of_thread() -> Waiter {
        Waiter { elsewhere: true, interruptible_writes: true, ..Waiter::default() }
    }

    /// Waits for what the last call has been interrupted for, if it was for a wait, or until the guest is wanted back. Nothing
    /// is held meanwhile that other threads of the guest need.
    pub fn wait_elsewhere(&mut self) {
        let Some(Wish { fds, deadline }) = self.wish.take() else { return };
        let fds: Vec<_> = fds.iter().map(|(fd, flags)| (fd.as_fd(), *flags)).collect();
        self.attach(Attached::Yes);
        // Whatever has ended it, the call is made again, and finds out.
        let _ = self.block(&fds, deadline, true);
        self.attach(Attached::No);
    }

    fn block(
        &self,
        fds: &[(BorrowedFd<'_>, PollFlags)],
        deadline: Option<Instant>,
        listens: bool,
    ) -> Outcome<Vec<PollFlags>> {
        let event = if listens { Some(self.signal.event()?) } else { None };
        let mut list: Vec<PollFd<'_>> = Vec::with_capacity(fds.len() + 1);
        list.extend(fds.iter().map(|&(fd, flags)| PollFd::from_borrowed_fd(fd, flags)));
        list.extend(event.map(|event| PollFd::from_borrowed_fd(event.readable.as_fd(), PollFlags::IN)));
        loop {
            self.check()?;
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            // The kernel's count of seconds is signed.
            let left = left.map(|left| Timespec {
                tv_sec: left.as_secs().min(i64::MAX as u64) as i64,
                tv_nsec: left.subsec_nanos().into(),
            });
            match rustix::event::poll(&mut list, left.as_ref()) {
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
                Ok(count) => {
                    let (watched, signal) = list.split_at(fds.len());
                    let ready: Vec<_> = watched.iter().map(PollFd::revents).collect();
                    if let (Some(event), Some(signal)) = (event, signal.first())
                        && !signal.revents().is_empty()
                    {
                        event.lower();
                        // What was raised before the last wait ended is old news: the flags decide.
                        self.check()?;
                        if count == 1 {
                            continue;
                        }
                    }
                    #[cfg(test)]
                    hook::call(hook::Moment::Ready);
                    return Ok(ready);
                }
            }
        }
    }

    /// Waits for one descriptor, for as long as it takes.
    pub fn wait_for(&self, fd: BorrowedFd<'_>, flags: PollFlags) -> Outcome {
        self.wait(&[(fd, flags)], None).map(drop)
    }

    /// `EAGAIN` unless the descriptor is ready.
    pub fn require_ready(&self, fd: BorrowedFd<'_>, flags: PollFlags) -> Outcome {
        let ready = self.wait(&[(fd, flags)], Some(Duration::ZERO))?;
        if ready.iter().all(|flags| flags.is_empty()) { Err(Errno::Again.into()) } else { Ok(()) }
    }

    /// Waits for a descriptor that blocks, or looks at it for a guest that does not wait. For what cannot be asked
    /// without waiting: somebody else who has it may still be faster.
    pub fn look_first(&self, fd: BorrowedFd<'_>, flags: PollFlags, nonblock: bool) -> Outcome {
        if nonblock { self.require_ready(fd, flags) } else { self.wait_for(fd, flags) }
    }

    /// Repeats an operation on a descriptor that does not block: while it would have to wait, waits for the
    /// descriptor, unless the guest asked not to.
    pub fn retry<T>(
        &self,
        fd: BorrowedFd<'_>,
        flags: PollFlags,
        nonblock: bool,
        mut operation: impl FnMut() -> Result<T, Errno>,
    ) -> Outcome<T> {
        let mut in_vain = 0;
        loop {
            match operation() {
                Err(Errno::Again) if !nonblock => {
                    // A terminal that is being written to may be ready for less than it takes.
                    if in_vain > MOST_IN_VAIN {
                        self.wait(&[], Some(IN_VAIN))?;
                    }
                    in_vain += 1;
                    self.wait_for(fd, flags)?;
                }
                Err(Errno::Intr) => self.check()?,
                other => return other.map_err(Fault::Errno),
            }
        }
    }
}

/// Lets a test do what another process might, around the waits of its thread.
#[cfg(test)]
pub(crate) mod hook {
    use std::cell::{Cell, RefCell};

    #[derive(Clone, Copy, Debug)]
    pub enum Moment {
        /// Before a wait or a look begins.
        Waits,
        /// After it has ended without being interrupted.
        Ready,
    }

    type Hook = Box<dyn FnMut(Moment)>;

    thread_local! {
        static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
        static COUNT: Cell<usize> = const { Cell::new(0) };
    }

    pub fn set(hook: impl FnMut(Moment) + 'static) {
        COUNT.set(0);
        HOOK.set(Some(Box::new(hook)));
    }

    /// How often the hook was called. It is gone after this.
    pub fn take_count() -> usize {
        HOOK.set(None);
        COUNT.take()
    }

    pub fn call(moment: Moment) {
        HOOK.with_borrow_mut(|hook| {
            if let Some(hook) = hook {
                COUNT.set(COUNT.get() + 1);
                hook(moment);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancelling_ends_a_wait_that_would_last_for_ever_and_every_later_one() {
        let mut waiter = Waiter::default();
        let canceller = waiter.canceller();
        let other = canceller.clone();
        let thread = std::thread::spawn(move || other.cancel());
        assert_eq!(waiter.wait(&[], None), Err(Fault::Interrupted));
        thread.join().unwrap();
        assert_eq!(waiter.wait(&[], Some(Duration::ZERO)), Err(Fault::Interrupted));
        assert_eq!(waiter.check(), Err(Fault::Interrupted));
        canceller.reset();
        assert_eq!(waiter.wait(&[], Some(Duration::ZERO)), Ok(vec![]));
        // What is left of a signal that was taken back makes no wait shorter.
        canceller.cancel();
        canceller.reset();
        let before = Instant::now();
        assert_eq!(waiter.wait(&[], Some(Duration::from_millis(2))), Ok(vec![]));
        assert!(before.elapsed() >= Duration::from_millis(2));
    }

    #[test]
    fn a_ready_descriptor_ends_a_wait_and_an_idle_one_does_not() {
        let waiter = Waiter::default();
        let (mut a, b) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(waiter.require_ready(b.as_fd(), PollFlags::IN), Err(Errno::Again.into()));
        io::Write::write_all(&mut a, b"x").unwrap();
        assert_eq!(waiter.require_ready(b.as_fd(), PollFlags::IN), Ok(()));
        assert_eq!(waiter.wait_for(b.as_fd(), PollFlags::IN), Ok(()));
    }

    #[test]
    fn an_engine_is_told_before_a_wait_and_its_poke_ends_one_wait() {
        let mut waiter = Waiter::default();
        waiter.attach(Attached::Wanted);
        assert_eq!(waiter.wait(&[], None), Err(Fault::Interrupted));
        assert_eq!(waiter.wait(&[], Some(Duration::ZERO)), Ok(vec![]), "looking is no wait");
        let waker = waiter.waker();
        waiter.attach(Attached::Yes);
        let thread = std::thread::spawn(move || waker());
        assert_eq!(waiter.wait(&[], None), Err(Fault::Interrupted));
        thread.join().unwrap();
        assert_eq!(waiter.check(), Ok(()), "a poke counts once");
        assert_eq!(waiter.wait(&[], Some(Duration::from_nanos(1))), Ok(vec![]));
    }

    /// Work on three pieces and a bit, which pokes in the second.
    fn work(waiter: &Waiter, poke: &dyn Fn(), ranges: &mut Vec<Range<u64>>) -> Outcome<u64> {
        waiter.in_pieces(3 * PIECE + 5, |range| {
            if range.start == PIECE {
                poke();
            }
            ranges.push(range.clone());
            Ok(range.end - range.start)
        })
    }

    #[test]
    fn long_work_ends_after_the_piece_in_which_it_is_poked_and_goes_on_behind_it() {
        let mut waiter = Waiter::default();
        waiter.attach(Attached::Wanted);
        let mut ranges = Vec::new();
        assert_eq!(work(&waiter, &|| {}, &mut ranges), Err(Fault::Interrupted));
        assert_eq!(ranges, [], "the engine is told before anything is done");
        let waker = waiter.waker();
        waiter.attach(Attached::Yes);
        assert_eq!(work(&waiter, &*waker, &mut ranges), Err(Fault::Interrupted));
        assert_eq!(ranges, [0..PIECE, PIECE..2 * PIECE]);
        assert_eq!(work(&waiter, &*waker, &mut ranges), Ok(3 * PIECE + 5));
        assert_eq!(ranges[2..], [2 * PIECE..3 * PIECE, 3 * PIECE..3 * PIECE + 5]);
        ranges.clear();
        assert_eq!(work(&waiter, &|| {}, &mut ranges), Ok(3 * PIECE + 5));
        assert_eq!(ranges.len(), 4, "the next call begins at the beginning");
    }

    #[test]
    fn long_work_ends_when_it_is_cancelled_and_with_what_is_short() {
        let mut waiter = Waiter::default();
        let canceller = waiter.canceller();
        assert_eq!(work(&waiter, &|| canceller.cancel(), &mut Vec::new()), Err(Fault::Interrupted));
        canceller.reset();
        assert_eq!(work(&waiter, &|| {}, &mut Vec::new()), Ok(3 * PIECE + 5));
        let mut left = [Ok(PIECE), Ok(7)].into_iter();
        assert_eq!(waiter.in_pieces(u64::MAX, |_| left.next().unwrap()), Ok(PIECE + 7));
        let mut left = [Ok(PIECE), Err(Errno::Nospc.into())].into_iter();
        assert_eq!(waiter.in_pieces(u64::MAX, |_| left.next().unwrap()), Ok(PIECE));
        assert_eq!(waiter.in_pieces(u64::MAX, |_| Err(Errno::Nospc.into())), Err(Errno::Nospc.into()));
    }

    #[test]
    fn steps_end_after_the_one_in_which_they_are_poked_or_cancelled_and_go_on_behind_it() {
        let mut waiter = Waiter::default();
        let mut steps = Vec::new();
        let mut run = |waiter: &Waiter, poke: &dyn Fn()| {
            waiter.in_steps(30, |done| {
                if done == 10 {
                    poke();
                }
                steps.push(done);
                Ok(done + 10)
            })
        };
        waiter.attach(Attached::Wanted);
        assert_eq!(run(&waiter, &|| {}), Err(Fault::Interrupted), "the engine is told after one step");
        let waker = waiter.waker();
        waiter.attach(Attached::Yes);
        assert_eq!(run(&waiter, &*waker), Err(Fault::Interrupted));
        assert_eq!(run(&waiter, &*waker), Ok(()));
        waiter.attach(Attached::No);
        let canceller = waiter.canceller();
        assert_eq!(run(&waiter, &|| canceller.cancel()), Err(Fault::Interrupted));
        canceller.reset();
        assert_eq!(run(&waiter, &|| {}), Ok(()), "the next call begins at the beginning");
        assert_eq!(steps, [0, 10, 20, 0, 10, 0, 10, 20]);
        waiter.attach(Attached::Wanted);
        assert_eq!(waiter.in_steps(3, |_| Ok(3)), Ok(()));
        assert_eq!(waiter.in_steps(0, |_| Err(Errno::Inval.into())), Err(Errno::Inval.into()));
    }

    #[test]
    fn what_a_call_wanted_to_wait_for_that_was_given_up_is_not_waited_for_by_the_next_one() {
        let mut waiter = Waiter::of_thread();
        waiter.attach(Attached::Wanted);
        assert_eq!(waiter.wait(&[], Some(Duration::from_secs(1 << 30))), Err(Fault::Interrupted));
        waiter.forget();
        waiter.attach(Attached::Wanted);
        assert_eq!(waiter.prepare(), Err(Fault::Interrupted));
        assert!(waiter.wish.borrow().is_none());
        waiter.wait_elsewhere();
    }

    #[test]
    fn a_wait_that_is_taken_up_again_keeps_its_deadline() {
        let mut waiter = Waiter::default();
        waiter.attach(Attached::Wanted);
        assert_eq!(waiter.wait(&[], Some(Duration::from_nanos(1))), Err(Fault::Interrupted));
        waiter.attach(Attached::Yes);
        // Would last for as long as the test may, were it not the old deadline that counts.
        assert_eq!(waiter.wait(&[], Some(Duration::from_secs(1 << 30))), Ok(vec![]));
        assert_eq!(waiter.wait(&[], Some(Duration::from_nanos(1))), Ok(vec![]));
    }
}
