//! Memories that threads share, and how they wait for each other.
//!
//! A [`SharedMemory`] is a memory that several stores have at once. Its bytes never move, its size only grows, under a
//! lock, and nobody borrows its bytes: the host copies them by atomic accesses, one word or byte at a time. What the guest
//! accesses without atomic instructions may be torn between threads, as the specification allows. Where tier 0 and the bulk
//! instructions do that for it, threads that race break a rule of the host's language, too: there is no atomic access
//! that need not be aligned. What is read so is a value of the guest, and decides nothing of the host's.
//!
//! *Waits.* A thread that waits at an address stands in the queue of that address. Whether the value there is the expected one
//! is looked at under the lock that a notification takes as well, so that none falls between the look and the queue. A
//! thread leaves its queue when it is notified, when its time is over, or when its guest is to be stopped; while it
//! answers a request that lets it go on it keeps its place.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::builtins::inside;
use super::interrupt::InterruptTarget;
use super::memory::{GrowError, Memory, MemoryStrategy};
use crate::trap::Trap;
use crate::types::MemoryType;

/// What a memory that threads share has besides its bytes.
#[derive(Debug, Default)]
pub(super) struct Sharing {
    growth: Mutex<()>,
    queues: Mutex<HashMap<usize, VecDeque<Arc<Sleeper>>>>,
}

/// Holds off the growth of other threads.
pub(super) struct Growing<'a> {
    memory: &'a Memory,
    _guard: MutexGuard<'a, ()>,
}

impl Growing<'_> {
    /// Grows the memory by `delta` pages and returns the old size in pages.
    pub(super) fn grow(&self, delta: u64) -> Result<u64, GrowError> {
        let (old, len) = self.memory.grown(delta)?;
        if delta > 0 {
            // SAFETY: it does not pass the maximum, which is reserved, and the lock is held.
            unsafe { self.memory.extend(len) }?;
        }
        Ok(old)
    }
}

impl Memory {
    /// Whether threads share it.
    pub fn is_shared(&self) -> bool {
        self.sharing().is_some()
    }

    /// Holds off the growth of other threads if they share it.
    pub(super) fn hold_growth(&self) -> Option<Growing<'_>> {
        Some(Growing { memory: self, _guard: lock(&self.sharing()?.growth) })
    }
}

/// A memory that threads share. Clones are the same memory.
#[derive(Clone, Debug)]
pub struct SharedMemory(Arc<Memory>);

// SAFETY: of a shared memory the size alone changes, which is atomic; its bytes are accessed through pointers.
unsafe impl Send for SharedMemory {}
// SAFETY: as above.
unsafe impl Sync for SharedMemory {}

/// What a thread waits to see no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A word of 4 bytes.
    Word32(u32),
    /// A word of 8 bytes.
    Word64(u64),
}

impl Expected {
    /// Its size.
    pub(super) fn bytes(self) -> u64 {
        match self {
            Expected::Word32(_) => 4,
            Expected::Word64(_) => 8,
        }
    }
}

/// How a wait has ended; the numbers are those of the instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// By a notification.
    Notified = 0,
    /// Before it began: the value was another one.
    NotEqual = 1,
    /// By the passing of its time.
    TimedOut = 2,
}

impl SharedMemory {
    /// A zeroed memory of the type's initial size.
    ///
    /// # Errors
    /// The system refuses; [`GrowError::Maximum`] if the type is none of a shared memory.
    pub fn new(ty: MemoryType, strategy: MemoryStrategy) -> Result<SharedMemory, GrowError> {
        let memory = Memory::new(ty, strategy)?;
        if !memory.is_shared() {
            return Err(GrowError::Maximum);
        }
        #[expect(clippy::arc_with_non_send_sync, reason = "this type is both")]
        Ok(SharedMemory(Arc::new(memory)))
    }

    /// The memory that contexts point at.
    pub fn as_ptr(&self) -> NonNull<Memory> {
        // SAFETY: of an `Arc`. Nobody makes a `&mut` of it.
        unsafe { NonNull::new_unchecked(Arc::as_ptr(&self.0).cast_mut()) }
    }

    /// The shared memory that [`SharedMemory::as_ptr`] has given this pointer to.
    ///
    /// # Safety
    /// Somebody still has it.
    pub unsafe fn from_ptr(memory: NonNull<Memory>) -> SharedMemory {
        let memory = memory.as_ptr().cast_const();
        // SAFETY: the caller's promise.
        unsafe {
            Arc::increment_strong_count(memory);
            SharedMemory(Arc::from_raw(memory))
        }
    }

    /// What it is.
    pub fn memory(&self) -> &Memory {
        &self.0
    }

    fn sharing(&self) -> &Sharing {
        self.0.sharing().expect("a shared memory")
    }

    /// Grows by `delta` pages and returns the old size in pages.
    ///
    /// # Errors
    /// Its maximum or the system does not allow it.
    pub fn grow(&self, delta: u64) -> Result<u64, GrowError> {
        self.0.hold_growth().expect("a shared memory").grow(delta)
    }

    /// Copies bytes from `offset` on; `None`, and nothing is copied, if there are not as many.
    pub fn read(&self, offset: usize, to: &mut [u8]) -> Option<()> {
        let Range { start, .. } = inside(offset as u64, to.len() as u64, self.0.len())?;
        let (head, words, tail) = self.parts(start, to.len());
        let (first, rest) = to.split_at_mut(head.len());
        let (middle, last) = rest.split_at_mut(words.len() * 8);
        let bytes = |to: &mut [u8], from: &[AtomicU8]| {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = from.load(Ordering::Relaxed));
        };
        bytes(first, head);
        for (to, from) in middle.chunks_exact_mut(8).zip(words) {
            to.copy_from_slice(&from.load(Ordering::Relaxed).to_ne_bytes());
        }
        bytes(last, tail);
        Some(())
    }

    /// Copies bytes to where `offset` is; `None`, and nothing is copied, if there is no room for them.
    pub fn write(&self, offset: usize, from: &[u8]) -> Option<()> {
        let Range { start, .. } = inside(offset as u64, from.len() as u64, self.0.len())?;
        let (head, words, tail) = self.parts(start, from.len());
        let (first, rest) = from.split_at(head.len());
        let (middle, last) = rest.split_at(words.len() * 8);
        let bytes = |to: &[AtomicU8], from: &[u8]| {
            to.iter().zip(from).for_each(|(to, from)| to.store(*from, Ordering::Relaxed));
        };
        bytes(head, first);
        for (to, from) in words.iter().zip(middle.chunks_exact(8)) {
            let word = u64::from_ne_bytes(from.try_into().expect("8 bytes"));
            to.store(word, Ordering::Relaxed);
        }
        bytes(tail, last);
        Some(())
    }

    /// A range inside the memory: bytes, aligned words, bytes.
    fn parts(&self, start: usize, len: usize) -> (&[AtomicU8], &[AtomicU64], &[AtomicU8]) {
        // SAFETY: the range is accessible as long as the memory is there, everything in it is an atomic of any value, and
        // nobody has borrowed it as anything else.
        unsafe {
            let bytes = std::slice::from_raw_parts(self.0.base().add(start).cast::<AtomicU8>(), len);
            bytes.align_to()
        }
    }

    /// Wakes at most `count` threads that wait at an address, those first that have waited longest. Returns how many.
    ///
    /// # Errors
    /// The address is outside of the memory, or no multiple of 4.
    pub fn notify(&self, address: u64, count: u32) -> Result<u32, Trap> {
        let at = atomic_place(&self.0, address, 0, 4)?;
        Ok(self.sharing().notify(at, count))
    }

    /// Waits at an address, for as long as the value there is the expected one, until it is notified or the time is over.
    ///
    /// # Errors
    /// The address is outside of the memory, or no multiple of the value's size.
    pub fn wait(&self, address: u64, expected: Expected, timeout: Option<Duration>) -> Result<Waited, Trap> {
        let at = atomic_place(&self.0, address, 0, expected.bytes())?;
        wait(&self.0, at, expected, timeout, None, || Ok::<(), Trap>(()))
    }
}

/// Where an atomic access of so many bytes begins in a memory.
pub(super) fn atomic_place(memory: &Memory, address: u64, offset: u64, bytes: u64) -> Result<usize, Trap> {
    if !address.wrapping_add(offset).is_multiple_of(bytes) {
        return Err(Trap::UnalignedAtomic);
    }
    let place = address.checked_add(offset).and_then(|start| inside(start, bytes, memory.len()));
    Ok(place.ok_or(Trap::MemoryOutOfBounds)?.start)
}

/// Waits at a place that is inside of the memory and aligned. `target` is who else may want the thread, and `ask` fails if
/// somebody has stopped its guest.
pub(super) fn wait<E: From<Trap>>(
    memory: &Memory,
    at: usize,
    expected: Expected,
    timeout: Option<Duration>,
    target: Option<&InterruptTarget>,
    mut ask: impl FnMut() -> Result<(), E>,
) -> Result<Waited, E> {
    let sharing = memory.sharing().ok_or(Trap::ExpectedSharedMemory)?;
    // A time that no clock can show does not pass.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let is_expected = || {
        // SAFETY: the place is inside of the memory, which is there, and aligned.
        unsafe {
            let place = memory.base().add(at);
            match expected {
                Expected::Word32(word) => {
                    u32::from_le(AtomicU32::from_ptr(place.cast()).load(Ordering::SeqCst)) == word
                }
                Expected::Word64(word) => {
                    u64::from_le(AtomicU64::from_ptr(place.cast()).load(Ordering::SeqCst)) == word
                }
            }
        }
    };
    let Some(sleeper) = sharing.enter(at, is_expected) else { return Ok(Waited::NotEqual) };
    let waker: Option<Arc<dyn Fn() + Send + Sync>> = target.map(|target| {
        let sleeper = sleeper.clone();
        let waker: Arc<dyn Fn() + Send + Sync> = Arc::new(move || sleeper.set(|state| state.poked = true));
        target.add_waker(Arc::downgrade(&waker));
        waker
    });
    let ended = loop {
        // Requests that were made before there was a waker have not called it.
        if let Err(error) = ask() {
            if !sharing.leave(at, &sleeper) {
                // A notification that was for one who waits is for another one, as this thread stops.
                sharing.notify(at, 1);
            }
            break Err(error);
        }
        match sleeper.sleep(deadline) {
            Woken::Notified => break Ok(Waited::Notified),
            Woken::Poked => {}
            Woken::TimedOut if sharing.leave(at, &sleeper) => break Ok(Waited::TimedOut),
            // Somebody was faster than the time.
            Woken::TimedOut => break Ok(Waited::Notified),
        }
    };
    drop(waker);
    ended
}

impl Sharing {
    /// Queues the thread up at a place if `is_expected` says so.
    fn enter(&self, at: usize, is_expected: impl FnOnce() -> bool) -> Option<Arc<Sleeper>> {
        let mut queues = lock(&self.queues);
        if !is_expected() {
            return None;
        }
        let sleeper = Arc::<Sleeper>::default();
        queues.entry(at).or_default().push_back(sleeper.clone());
        Some(sleeper)
    }

    /// Takes a thread out of its queue. Whether it was still there.
    fn leave(&self, at: usize, sleeper: &Arc<Sleeper>) -> bool {
        let mut queues = lock(&self.queues);
        let Some(queue) = queues.get_mut(&at) else { return false };
        let Some(index) = queue.iter().position(|other| Arc::ptr_eq(other, sleeper)) else { return false };
        queue.remove(index);
        if queue.is_empty() {
            queues.remove(&at);
        }
        true
    }

    /// Wakes at most `count` threads that wait at a place, the first ones first. Returns how many.
    pub(super) fn notify(&self, at: usize, count: u32) -> u32 {
        let mut queues = lock(&self.queues);
        let Some(queue) = queues.get_mut(&at) else { return 0 };
        let count = queue.len().min(count as usize);
        for sleeper in queue.drain(..count) {
            sleeper.set(|state| state.notified = true);
        }
        if queue.is_empty() {
            queues.remove(&at);
        }
        count as u32
    }
}

/// A thread that waits.
#[derive(Debug, Default)]
struct Sleeper {
    state: Mutex<SleeperState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct SleeperState {
    notified: bool,
    /// Whether there is a request to be answered.
    poked: bool,
}

/// Why a thread no longer sleeps.
enum Woken {
    Notified,
    Poked,
    TimedOut,
}

impl Sleeper {
    fn set(&self, change: impl FnOnce(&mut SleeperState)) {
        change(&mut lock(&self.state));
        self.changed.notify_one();
    }

    fn sleep(&self, deadline: Option<Instant>) -> Woken {
        let mut state = lock(&self.state);
        loop {
            if state.notified {
                return Woken::Notified;
            }
            if std::mem::take(&mut state.poked) {
                return Woken::Poked;
            }
            state = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return Woken::TimedOut,
                Some(left) => {
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn memory(min: u32, max: u32) -> SharedMemory {
        SharedMemory::new(MemoryType::shared(min, max), MemoryStrategy::Checked).unwrap()
    }

    #[test]
    #[cfg_attr(miri, ignore = "maps memory")]
    fn what_is_shared_grows_in_place_to_its_maximum_under_all_threads() {
        for strategy in [MemoryStrategy::Guarded, MemoryStrategy::Checked] {
            let memory = SharedMemory::new(MemoryType::shared(1, 101), strategy).unwrap();
            assert_eq!(memory.memory().is_guarded(), strategy == MemoryStrategy::Guarded);
            let base = memory.memory().base() as usize;
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for _ in 0..25 {
                            let old = memory.grow(1).unwrap() as usize;
                            memory.write(old << 16, &[7; 65536]).unwrap();
                        }
                    });
                }
            });
            assert_eq!((memory.memory().pages(), memory.memory().base() as usize), (101, base));
            assert_eq!(memory.grow(1), Err(GrowError::Maximum));
            let mut bytes = vec![0; 100 << 16];
            memory.read(1 << 16, &mut bytes).unwrap();
            assert!(bytes.iter().all(|byte| *byte == 7));
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "maps memory")]
    fn bytes_are_copied_from_and_to_any_place_and_none_outside() {
        let memory = memory(1, 1);
        for (offset, len) in [(0, 0), (0, 1), (3, 20), (8, 8), (65529, 7), (65536, 0)] {
            let bytes: Vec<u8> = (1..=len).collect();
            memory.write(offset, &bytes).unwrap();
            let mut read = vec![0; len.into()];
            memory.read(offset, &mut read).unwrap();
            assert_eq!(read, bytes);
        }
        assert_eq!((memory.write(65530, &[1; 7]), memory.read(usize::MAX, &mut [0])), (None, None));
        let mut last = [9; 6];
        memory.read(65530, &mut last).unwrap();
        assert_eq!(last, [2, 3, 4, 5, 6, 7]);
    }

    #[test]
    #[cfg_attr(miri, ignore = "maps memory")]
    fn a_maximum_that_the_system_has_no_addresses_for_is_an_error() {
        let ty = MemoryType::builder().memory64(true).max(Some(1 << 40)).shared(true).build().unwrap();
        assert_eq!(SharedMemory::new(ty, MemoryStrategy::Guarded).err(), Some(GrowError::Reservation));
    }

    #[test]
    #[cfg_attr(miri, ignore = "maps memory")]
    fn a_notification_of_a_thread_that_is_being_stopped_goes_to_the_next() {
        let shared = memory(1, 1);
        let waiting = || lock(&shared.sharing().queues).get(&8).map_or(0, VecDeque::len);
        let word = Expected::Word32(0);
        thread::scope(|scope| {
            let mut other = None;
            let stopped = wait(shared.memory(), 8, word, None, None, || {
                other = Some(scope.spawn(|| shared.wait(8, word, Some(Duration::from_secs(60))).unwrap()));
                while waiting() < 2 {
                    thread::yield_now();
                }
                assert_eq!(shared.notify(8, 1), Ok(1));
                Err(Trap::Interrupt)
            });
            assert_eq!(stopped, Err(Trap::Interrupt));
            assert_eq!(other.unwrap().join().unwrap(), Waited::Notified);
        });
    }

    #[test]
    #[cfg_attr(miri, ignore = "maps memory")]
    fn those_are_notified_first_that_have_waited_longest() {
        let memory = memory(1, 1);
        let order = Mutex::new(Vec::new());
        let waiting = || lock(&memory.sharing().queues).get(&8).map_or(0, VecDeque::len);
        thread::scope(|scope| {
            for i in 0..3 {
                let (memory, order) = (&memory, &order);
                scope.spawn(move || {
                    assert_eq!(memory.wait(8, Expected::Word64(0), None), Ok(Waited::Notified));
                    lock(order).push(i);
                });
                while waiting() <= i {
                    thread::yield_now();
                }
            }
            for i in 0..3 {
                assert_eq!(memory.notify(8, 1), Ok(1));
                while lock(&order).len() <= i {
                    thread::yield_now();
                }
            }
        });
        assert_eq!(*lock(&order), [0, 1, 2]);
        assert!(lock(&memory.sharing().queues).is_empty());
    }

    #[test]
    #[cfg_attr(miri, ignore = "maps memory")]
    fn waits_end_with_their_time_and_do_not_begin_with_another_value() {
        let memory = memory(1, 1);
        let nothing = Some(Duration::ZERO);
        assert_eq!(memory.wait(0, Expected::Word32(1), None), Ok(Waited::NotEqual));
        assert_eq!(memory.wait(0, Expected::Word32(0), nothing), Ok(Waited::TimedOut));
        assert_eq!(memory.wait(4, Expected::Word64(0), nothing), Err(Trap::UnalignedAtomic));
        assert_eq!(memory.wait(65536, Expected::Word64(0), nothing), Err(Trap::MemoryOutOfBounds));
        assert_eq!(memory.notify(2, 1), Err(Trap::UnalignedAtomic));
        assert!(lock(&memory.sharing().queues).is_empty());
    }
}
