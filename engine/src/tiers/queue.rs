//! Work that is done beside the guest: a queue, the most urgent first, and the threads that take from it.
//!
//! How urgent something is changes while it waits: it is asked again now and then.
//!
//! The threads are started when there is something to do, and ended with the queue. Without any, work is done at
//! once by who brings it.

use std::collections::BinaryHeap;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::{mem, process};

use wasmrun_runtime::parallel::STACK_SIZE;

use crate::lock::lock;

/// Something to do.
pub(super) trait Job: Send {
    /// How urgent it is by now.
    fn urgency(&self) -> u64;
    fn run(self: Box<Self>);
}

/// Jobs are asked again how urgent they are when one in so many has been taken, so that asking costs a little for each
/// however many there are.
const ASKED_AGAIN: usize = 64;

/// Work waits here until a thread has time.
pub(super) struct Queue {
    shared: Arc<Shared>,
    /// The most threads; none are started before there is work.
    most: usize,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// The process that they are threads of.
    process: u32,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// There is work, or the queue ends. To say so is a system call even if nobody waits: see [`State::idle`].
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: BinaryHeap<Waiting>,
    /// Jobs that have been taken since those that wait were asked how urgent they are.
    taken: usize,
    /// Jobs so far, so that of two that are as urgent the older comes first.
    brought: u64,
    /// Threads that wait for work.
    idle: usize,
    /// Jobs that are being done.
    running: usize,
    ended: bool,
}

struct Waiting {
    urgency: u64,
    number: u64,
    job: Box<dyn Job>,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Waiting) -> bool {
        self.number == other.number
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Waiting) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Waiting) -> std::cmp::Ordering {
        self.urgency.cmp(&other.urgency).then(other.number.cmp(&self.number))
    }
}

impl State {
    /// Takes out all that waits, if it is time to ask it again.
    fn take_all_if_due(&mut self) -> Option<BinaryHeap<Waiting>> {
        self.taken += 1;
        let is_time = self.taken > self.waiting.len() / ASKED_AGAIN && self.waiting.len() > 1;
        is_time.then(|| {
            self.taken = 0;
            mem::take(&mut self.waiting)
        })
    }
}

impl Queue {
    /// A queue with at most so many threads: as many as there are cores besides the guest's own, if not said.
    pub(super) fn new(threads: Option<usize>) -> Queue {
        let besides =
            || thread::available_parallelism().map_or(1, NonZero::get).saturating_sub(1).clamp(1, 8);
        Queue {
            shared: Arc::default(),
            most: threads.unwrap_or_else(besides),
            threads: Mutex::default(),
            process: process::id(),
        }
    }

    /// Whether work is done by who brings it.
    pub(super) fn is_immediate(&self) -> bool {
        self.most == 0
    }

    /// Brings work. If it panics on a thread of the queue, other work goes on.
    pub(super) fn push(&self, job: impl Job + 'static) {
        let job: Box<dyn Job> = Box::new(job);
        if self.is_immediate() {
            return job.run();
        }
        // A forked child has none of the threads, and the lock may be theirs for ever: it does without.
        if self.process != process::id() {
            return;
        }
        let urgency = job.urgency();
        let mut state = lock(&self.shared.state);
        let number = state.brought;
        state.brought += 1;
        state.waiting.push(Waiting { urgency, number, job });
        let (idle, waiting) = (state.idle, state.waiting.len());
        drop(state);
        if idle > 0 {
            self.shared.changed.notify_one();
        }
        if idle < waiting {
            self.start_thread();
        }
    }

    /// Starts one more thread, if there may be one. Should the system have none left, what is waiting is left waiting.
    fn start_thread(&self) {
        let mut threads = lock(&self.threads);
        if threads.len() < self.most {
            let shared = self.shared.clone();
            let thread = thread::Builder::new().name("wasmrun-compile".into()).stack_size(STACK_SIZE);
            let started = thread.spawn(move || work(&shared));
            threads.extend(started);
        }
    }

    /// Waits until nothing is waiting or being done.
    #[cfg(test)]
    pub(super) fn drain(&self) {
        let is_at_work = |state: &State| !state.waiting.is_empty() || state.running > 0;
        while is_at_work(&lock(&self.shared.state)) {
            thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}

impl Drop for Queue {
    /// What is waiting is forgotten, and what is being done is waited for.
    fn drop(&mut self) {
        // A forked child has none of the threads, and some lock may be theirs for ever.
        if self.process != process::id() {
            return mem::forget(mem::take(&mut self.threads));
        }
        let mut state = lock(&self.shared.state);
        state.ended = true;
        let forgotten = mem::take(&mut state.waiting);
        drop(state);
        self.shared.changed.notify_all();
        drop(forgotten);
        for thread in mem::take(&mut *lock(&self.threads)) {
            // One that drops the last handle of the queue itself cannot wait for itself.
            if thread.thread().id() != thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

fn work(shared: &Shared) {
    let mut state = lock(&shared.state);
    while !state.ended {
        if let Some(waiting) = state.take_all_if_due() {
            // Not under the lock: a module may end with the question, if nobody else has it any more.
            state.running += 1;
            drop(state);
            let urgency = |job: &dyn Job| catch_unwind(AssertUnwindSafe(|| job.urgency())).unwrap_or(0);
            let asked = |waiting: Waiting| Waiting { urgency: urgency(&*waiting.job), ..waiting };
            let asked: Vec<Waiting> = waiting.into_iter().map(asked).collect();
            state = lock(&shared.state);
            state.running -= 1;
            state.waiting.extend(asked);
            if state.idle > 0 {
                shared.changed.notify_all();
            }
            if state.ended {
                // They end with the queue.
                break;
            }
        }
        match state.waiting.pop() {
            Some(Waiting { job, .. }) => {
                state.running += 1;
                drop(state);
                let _ = catch_unwind(AssertUnwindSafe(|| job.run()));
                state = lock(&shared.state);
                state.running -= 1;
            }
            None => {
                state.idle += 1;
                state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// Does something, as urgently as a number says.
    struct Doing<F>(Arc<AtomicU64>, F);

    impl<F: FnOnce() + Send> Job for Doing<F> {
        fn urgency(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }

        fn run(self: Box<Self>) {
            self.1();
        }
    }

    impl Queue {
        fn push_at(&self, urgency: u64, job: impl FnOnce() + Send + 'static) {
            self.push(Doing(Arc::new(AtomicU64::new(urgency)), job));
        }

        /// A queue whose only thread is busy until it is told to go on.
        fn held() -> (Queue, mpsc::Sender<()>) {
            let queue = Queue::new(Some(1));
            let (hold, held) = mpsc::channel::<()>();
            let (started, has_started) = mpsc::channel();
            queue.push_at(9, move || {
                started.send(()).unwrap();
                held.recv().unwrap();
            });
            has_started.recv().unwrap();
            (queue, hold)
        }
    }

    #[test]
    fn the_most_urgent_comes_first_and_then_the_oldest() {
        let (queue, hold) = Queue::held();
        let order = Arc::new(Mutex::new(Vec::new()));
        for (urgency, name) in [(1, 'd'), (3, 'b'), (2, 'c'), (7, 'a'), (1, 'e')] {
            let order = order.clone();
            queue.push_at(urgency, move || lock(&order).push(name));
        }
        hold.send(()).unwrap();
        queue.drain();
        assert_eq!(*lock(&order), ['a', 'b', 'c', 'd', 'e']);
    }

    #[test]
    fn what_has_become_urgent_while_it_waited_comes_first() {
        let (queue, hold) = Queue::held();
        let order = Arc::new(Mutex::new(Vec::new()));
        let urgencies: Vec<_> = (0..ASKED_AGAIN as u64).map(|_| Arc::new(AtomicU64::new(1))).collect();
        for (name, urgency) in urgencies.iter().enumerate() {
            let order = order.clone();
            queue.push(Doing(urgency.clone(), move || lock(&order).push(name)));
        }
        urgencies[20].store(7, Ordering::Relaxed);
        urgencies[50].store(3, Ordering::Relaxed);
        hold.send(()).unwrap();
        queue.drain();
        let order = lock(&order);
        assert!(order.iter().position(|name| *name == 20) < Some(3), "{order:?}");
        assert!(order.iter().position(|name| *name == 50) < Some(4), "{order:?}");
        assert_eq!(order.len(), urgencies.len());
    }

    #[test]
    fn without_threads_work_is_done_at_once() {
        let queue = Queue::new(Some(0));
        let done = Arc::new(Mutex::new(false));
        queue.push_at(0, {
            let done = done.clone();
            move || *lock(&done) = true
        });
        assert!(*lock(&done));
        assert!(lock(&queue.threads).is_empty());
    }

    #[test]
    fn what_waits_at_the_end_is_forgotten_and_threads_are_gone() {
        let alive = Arc::new(());
        let (queue, hold) = Queue::held();
        let done = Arc::new(AtomicU64::new(0));
        for _ in 0..100 {
            let (alive, done) = (alive.clone(), done.clone());
            queue.push_at(0, move || {
                done.fetch_add(1, Ordering::Relaxed);
                drop(alive);
            });
        }
        let shared = queue.shared.clone();
        let dropping = thread::spawn(|| drop(queue));
        while !lock(&shared.state).ended {
            thread::yield_now();
        }
        hold.send(()).unwrap();
        dropping.join().unwrap();
        assert_eq!((Arc::strong_count(&alive), done.load(Ordering::Relaxed)), (1, 0));
    }

    #[test]
    fn work_that_panics_costs_no_thread_and_no_other_work() {
        let queue = Queue::new(Some(1));
        let (done, is_done) = mpsc::channel();
        for number in 0..20 {
            let done = done.clone();
            queue.push_at(0, move || {
                assert!(number % 2 == 0, "a test of what happens then");
                done.send(number).unwrap();
            });
        }
        let even: Vec<i32> =
            (0..10).map_while(|_| is_done.recv_timeout(Duration::from_secs(20)).ok()).collect();
        assert_eq!(even, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
        queue.drain();
        assert!(lock(&queue.threads).iter().all(|thread| !thread.is_finished()));
    }

    #[test]
    fn work_that_panics_when_it_is_asked_how_urgent_it_is_costs_no_other_work() {
        struct Panicking(AtomicU64);
        impl Job for Panicking {
            fn urgency(&self) -> u64 {
                let times = self.0.fetch_add(1, Ordering::Relaxed);
                if times > 0 { panic!("a test of what happens then") } else { 5 }
            }
            fn run(self: Box<Self>) {}
        }
        let (queue, hold) = Queue::held();
        let done = Arc::new(AtomicU64::new(0));
        for _ in 0..20 {
            queue.push(Panicking(AtomicU64::new(0)));
            let done = done.clone();
            queue.push_at(1, move || {
                done.fetch_add(1, Ordering::Relaxed);
            });
        }
        hold.send(()).unwrap();
        queue.drain();
        assert_eq!(done.load(Ordering::Relaxed), 20);
    }

    #[test]
    fn many_threads_bring_work_and_all_of_it_is_done() {
        let queue = Queue::new(Some(3));
        let done = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for priority in 0..250 {
                        let done = done.clone();
                        queue.push_at(priority, move || {
                            done.fetch_add(1, Ordering::Relaxed);
                        });
                    }
                });
            }
        });
        queue.drain();
        assert_eq!(done.load(Ordering::Relaxed), 1000);
        assert!(lock(&queue.threads).len() <= 3);
    }
}
