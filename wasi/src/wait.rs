//! The one place where a host call may wait.
//!
//! Every wait that could last, for time or for a descriptor of the host, goes through [`Waiter::wait`], which returns
//! when a descriptor is ready, when the time is over, or when another thread calls [`Canceller::cancel`]. The signal
//! of a canceller is both a flag, which calls that do not wait look at, and a descriptor that becomes readable, which
//! ends a wait that has begun. It stays raised until [`Canceller::reset`].
//!
//! A guest without a canceller pays nothing for this: no descriptor is made and reads and writes are plain.

use crate::{Errno, Fault, Outcome};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Ends what a guest is waiting for, from any thread. Every clone belongs to the same guest.
///
/// The call that the guest is in returns [`Fault::Interrupted`](crate::Fault::Interrupted), and so does every later
/// one. It does not stop a guest that computes: that is the engine's business.
#[derive(Clone, Debug)]
pub struct Canceller(Arc<Signal>);

#[derive(Debug)]
struct Signal {
    raised: AtomicBool,
    /// Readable while the signal is raised.
    readable: OwnedFd,
    /// Where to write to make it so; the same descriptor where the host has event descriptors.
    writable: Option<OwnedFd>,
}

impl Signal {
    #[cfg(target_os = "linux")]
    fn new() -> io::Result<Signal> {
        use rustix::event::{EventfdFlags, eventfd};
        let readable = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Signal { raised: AtomicBool::new(false), readable, writable: None })
    }

    #[cfg(not(target_os = "linux"))]
    fn new() -> io::Result<Signal> {
        let (readable, writable) = std::os::unix::net::UnixStream::pair()?;
        readable.set_nonblocking(true)?;
        writable.set_nonblocking(true)?;
        Ok(Signal {
            raised: AtomicBool::new(false),
            readable: readable.into(),
            writable: Some(writable.into()),
        })
    }

    fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Relaxed)
    }
}

impl Canceller {
    /// Makes every call of the guest return, the present one and all later ones.
    pub fn cancel(&self) {
        self.0.raised.store(true, Ordering::Relaxed);
        // It can fail only because it is readable already.
        let _ = rustix::io::write(self.0.writable.as_ref().unwrap_or(&self.0.readable), &1u64.to_ne_bytes());
    }

    /// Whether [`Canceller::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_raised()
    }

    /// Lets the guest make calls again.
    pub fn reset(&self) {
        self.0.raised.store(false, Ordering::Relaxed);
        let mut drained = [0; 64];
        while rustix::io::read(&self.0.readable, &mut drained).is_ok_and(|count| count == drained.len()) {}
    }
}

/// A guest's end of its canceller, if it has one.
#[derive(Debug, Default)]
pub(crate) struct Waiter(Option<Canceller>);

impl Waiter {
    /// The canceller of this guest, made on the first call.
    pub fn canceller(&mut self) -> io::Result<Canceller> {
        match &self.0 {
            Some(canceller) => Ok(canceller.clone()),
            None => Ok(self.0.insert(Canceller(Arc::new(Signal::new()?))).clone()),
        }
    }

    /// Whether anybody could cancel a wait.
    pub fn is_cancellable(&self) -> bool {
        self.0.is_some()
    }

    /// Fails if the guest was cancelled.
    #[inline]
    pub fn check(&self) -> Outcome {
        match &self.0 {
            Some(canceller) if canceller.is_cancelled() => Err(Fault::Interrupted),
            _ => Ok(()),
        }
    }

    /// Waits until one of the descriptors is ready, the time is over (`None`: never) or the guest is cancelled. Gives
    /// what each descriptor is ready for: nothing on all of them if it was the time. With a time of 0 it only looks.
    pub fn wait(
        &self,
        fds: &[(BorrowedFd<'_>, PollFlags)],
        timeout: Option<Duration>,
    ) -> Outcome<Vec<PollFlags>> {
        let mut list: Vec<PollFd<'_>> = Vec::with_capacity(fds.len() + 1);
        list.extend(fds.iter().map(|&(fd, flags)| PollFd::from_borrowed_fd(fd, flags)));
        if let Some(canceller) = &self.0 {
            list.push(PollFd::from_borrowed_fd(canceller.0.readable.as_fd(), PollFlags::IN));
        }
        // A deadline that no clock can show is none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            self.check()?;
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            // The kernel's count of seconds is signed.
            let left = left.map(|left| Timespec {
                tv_sec: left.as_secs().min(i64::MAX as u64) as i64,
                tv_nsec: left.subsec_nanos().into(),
            });
            match rustix::event::poll(&mut list, left.as_ref()) {
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
        }
        self.check()?;
        Ok(list[..fds.len()].iter().map(PollFd::revents).collect())
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

    /// Repeats an operation on a descriptor that does not block: while it would have to wait, waits for the
    /// descriptor, unless the guest asked not to.
    pub fn retry<T>(
        &self,
        fd: BorrowedFd<'_>,
        flags: PollFlags,
        nonblock: bool,
        mut operation: impl FnMut() -> Result<T, Errno>,
    ) -> Outcome<T> {
        loop {
            match operation() {
                Err(Errno::Again) if !nonblock => self.wait_for(fd, flags)?,
                Err(Errno::Intr) => self.check()?,
                other => return other.map_err(Fault::Errno),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancelling_ends_a_wait_that_would_last_for_ever_and_every_later_one() {
        let mut waiter = Waiter::default();
        let canceller = waiter.canceller().unwrap();
        let other = canceller.clone();
        let thread = std::thread::spawn(move || other.cancel());
        assert_eq!(waiter.wait(&[], None), Err(Fault::Interrupted));
        thread.join().unwrap();
        assert_eq!(waiter.wait(&[], Some(Duration::ZERO)), Err(Fault::Interrupted));
        assert_eq!(waiter.check(), Err(Fault::Interrupted));
        canceller.reset();
        assert_eq!(waiter.wait(&[], Some(Duration::ZERO)), Ok(vec![]));
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
}
