//! The alarm clock of an engine: one thread, started when the first call has a deadline and ended with the
//! engine, that asks stores to stop.
//!
//! An alarm that has been cancelled never rings: ringing and cancelling exclude each other, so that a
//! deadline of one call cannot stop a later one.

use std::collections::BTreeMap;
use std::fmt;
use std::process;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use wasmrun_runtime::vm::{InterruptTarget, reason};

use crate::error::{Context, Error, Result};
use crate::lock::lock;

/// The alarm clock of an engine.
pub(crate) struct Timer {
    shared: Arc<Shared>,
    /// The process that has the thread.
    process: u32,
}

impl Default for Timer {
    fn default() -> Timer {
        Timer { shared: Arc::default(), process: process::id() }
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Something earlier than before, or the end of the engine.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    alarms: BTreeMap<(Instant, u64), Arc<Alarm>>,
    next: u64,
    /// When the thread wakes up by itself; `None` for never. An alarm that was cancelled may be the reason.
    wakes_at: Option<Instant>,
    thread: Option<JoinHandle<()>>,
    ended: bool,
}

/// Whom to wake; `None` once it has been cancelled.
type Alarm = Mutex<Option<Arc<InterruptTarget>>>;

/// An alarm that has been set. It must be given back to [`Timer::cancel`].
#[derive(Debug)]
pub(crate) struct AlarmKey {
    key: (Instant, u64),
    alarm: Arc<Alarm>,
}

impl Timer {
    /// Sets an alarm: at `when`, `target` gets a request for [`reason::DEADLINE`].
    pub(crate) fn set(&self, when: Instant, target: Arc<InterruptTarget>) -> Result<AlarmKey> {
        if self.process != process::id() {
            return Err(Error::msg(
                "a forked process has no clock of its parent's; it needs an engine of its own",
            ));
        }
        let mut state = lock(&self.shared.state);
        if state.thread.is_none() {
            let shared = self.shared.clone();
            let builder = thread::Builder::new().name("wasmrun-timer".to_owned());
            let thread = builder.spawn(move || shared.run());
            state.thread = Some(thread.context("the thread that watches deadlines cannot be started")?);
        }
        let alarm = Arc::new(Mutex::new(Some(target)));
        let key = (when, state.next);
        state.next += 1;
        state.alarms.insert(key, alarm.clone());
        // Most alarms are cancelled before they ring: the thread is woken only for one that it would miss.
        if state.wakes_at.is_none_or(|wakes_at| when < wakes_at) {
            self.shared.changed.notify_one();
        }
        Ok(AlarmKey { key, alarm })
    }

    /// Cancels an alarm. Afterwards it will not ring; it may have done so before.
    pub(crate) fn cancel(&self, alarm: AlarmKey) {
        // In a forked child nothing rings, and the locks may be held for ever by the thread that it does not have.
        if self.process != process::id() {
            return;
        }
        lock(&alarm.alarm).take();
        lock(&self.shared.state).alarms.remove(&alarm.key);
    }
}

impl Shared {
    fn run(&self) {
        let mut state = lock(&self.state);
        while !state.ended {
            let Some((&(when, _), _)) = state.alarms.first_key_value() else {
                state.wakes_at = None;
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let now = Instant::now();
            if when > now {
                state.wakes_at = Some(when);
                let wait = self.changed.wait_timeout(state, when - now);
                state = wait.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            let alarm = state.alarms.pop_first().map(|(_, alarm)| alarm);
            drop(state);
            if let Some(alarm) = alarm {
                // Held while ringing, so that `cancel` returns before or after it, not in between.
                if let Some(target) = &*lock(&alarm) {
                    target.request(reason::DEADLINE);
                }
            }
            state = lock(&self.state);
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // A forked child has no such thread, which may hold the lock for ever.
        if self.process != process::id() {
            return;
        }
        let thread = {
            let mut state = lock(&self.shared.state);
            state.ended = true;
            state.thread.take()
        };
        self.shared.changed.notify_one();
        // A waker can drop the last handle of the engine, and then this is the timer's own thread.
        if let Some(thread) = thread
            && thread.thread().id() != thread::current().id()
        {
            // The thread does not panic: those of wakers are caught where they are called.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("alarms", &lock(&self.shared.state).alarms.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_alarm_of_the_parents_is_cancelled_in_a_forked_child_without_its_locks() {
        let mut timer = Timer::default();
        let alarm = timer.set(Instant::now() + Duration::from_secs(1000), Arc::default()).unwrap();
        let shared = timer.shared.clone();
        let ringing = alarm.alarm.clone();
        let held = (lock(&shared.state), lock(&ringing));
        // As it is for a child.
        timer.process = !timer.process;
        let (done, is_done) = mpsc::channel();
        thread::spawn(move || {
            timer.cancel(alarm);
            timer.process = !timer.process;
            done.send(timer).unwrap();
        });
        let timer = is_done.recv_timeout(Duration::from_secs(20)).expect("it waits for no lock");
        drop(held);
        drop(timer);
    }
}
