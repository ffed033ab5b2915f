//! Where a host call may wait for what a guest asks for, or work for long.
//!
//! Every such wait that could last, for time or for a descriptor of the host, goes through [`Waiter::wait`], which returns
//! when a descriptor is ready, when the time is over, or when another thread wants the guest back. There are two ways
//! to want that. A [`Canceller`] is for hosts that call these functions themselves: its signal stays raised until
//! [`Canceller::reset`]. A poke comes from an engine whose guest is asked to stop (`link.rs`): the call returns
//! [`Fault::Interrupted`], the engine decides, and if the guest may go on the call is made again, with the deadline
//! that it had. What is waited for elsewhere: the turn of a thread to make its call (`shared.rs`), with the same right of
//! the engine to be asked, and what the host does within one system call that it cannot be asked about, as `fsync`.
//!
//! Work that grows with a guest's numbers looks between its pieces ([`work`]).

mod descriptor;
#[cfg(test)]
pub(crate) mod hook;
mod signal;
#[cfg(test)]
mod tests;
mod work;

use crate::{Errno, Fault, Outcome};
use rustix::event::{PollFd, PollFlags, Timespec};
use signal::Signal;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

pub use signal::Canceller;
pub(crate) use work::PIECE;

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
    /// Why that could not be waited for: the call that is made again has this errno, where it still would wait.
    failed: Cell<Option<Errno>>,
    /// The outcome of the present call, which was made, while an engine is asked whether the guest may wait for the reader
    /// of a trace.
    made: RefCell<Option<Outcome>>,
}

/// What a call would have waited for.
#[derive(Debug)]
struct Wish {
    /// Descriptors of their own, because the guest's may be closed meanwhile: one for each of the host's, however often the
    /// guest has named it.
    fds: Vec<(OwnedFd, PollFlags)>,
    deadline: Option<Instant>,
}

impl Wish {
    fn new(fds: &[(BorrowedFd<'_>, PollFlags)], deadline: Option<Instant>) -> io::Result<Wish> {
        let mut once = BTreeMap::new();
        for (fd, flags) in fds {
            once.entry(fd.as_raw_fd()).or_insert((fd, PollFlags::empty())).1 |= *flags;
        }
        let own = |(fd, flags): (&BorrowedFd<'_>, PollFlags)| Ok((fd.try_clone_to_owned()?, flags));
        Ok(Wish { fds: once.into_values().map(own).collect::<io::Result<_>>()?, deadline })
    }
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
            failed: Cell::new(None),
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
        self.failed.set(None);
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
        // What comes before a wait may be interrupted as well.
        let look = || if fds.is_empty() { Ok(Vec::new()) } else { self.wait(fds, Some(Duration::ZERO)) };
        if !looks && self.elsewhere {
            let ready = look().map_err(interrupted)?;
            let some = ready.iter().any(|flags| !flags.is_empty());
            if some || deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Ok(ready);
            }
            if let Some(errno) = self.failed.take() {
                return Err(errno.into());
            }
            *self.wish.borrow_mut() = Some(Wish::new(fds, deadline)?);
            return Err(interrupted(Fault::Interrupted));
        }
        if !looks && self.attached == Attached::Wanted {
            // The engine need not hear of a wait that has nothing to wait for.
            let ready = look().map_err(interrupted)?;
            let some = ready.iter().any(|flags| !flags.is_empty());
            return if some { Ok(ready) } else { Err(interrupted(Fault::Interrupted)) };
        }
        let listens = !looks && (self.cancellable || self.attached == Attached::Yes);
        self.block(fds, deadline, listens).map_err(interrupted)
    }

    /// A waiter whose calls wait [elsewhere](Waiter::wait_elsewhere), and which is cancelled with all others of the same
    /// guest.
    pub fn of_thread(canceller: &Canceller) -> Waiter {
        let signal = canceller.0.of_thread();
        Waiter { signal, elsewhere: true, interruptible_writes: true, ..Waiter::default() }
    }

    /// Waits for what the last call has been interrupted for, or until the guest is wanted back. Nothing is held meanwhile
    /// that other threads of the guest need. Returns whether there was something to wait for.
    pub fn wait_elsewhere(&mut self) -> bool {
        let Some(Wish { fds, deadline }) = self.wish.take() else { return false };
        let fds: Vec<_> = fds.iter().map(|(fd, flags)| (fd.as_fd(), *flags)).collect();
        self.attach(Attached::Yes);
        // Whatever has ended it, the call is made again, and finds out. It would not find out why there was no wait.
        if let Err(Fault::Errno(errno)) = self.block(&fds, deadline, true) {
            self.failed.set(Some(errno));
        }
        self.attach(Attached::No);
        true
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
        list.extend(event.map(|event| PollFd::from_borrowed_fd(event.as_fd(), PollFlags::IN)));
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
}
