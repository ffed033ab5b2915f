//! The stacks that one thread of guest execution runs on.
//!
//! Values and collected references live on separate stacks, so that a collector can scan the second whole:
//! no tags, no maps, and no cost for code that has no references. A native stack joins them when compiled
//! code runs on one of its own; until then guest code uses the host thread's.
//!
//! Stores come and go faster than the system gives out address space and takes it back. So the stacks of a store that
//! has gone wait in the [`StackPool`] of its engine for the next one, which finds them as a new one would: all zeroes.

use std::fmt;
use std::mem::ManuallyDrop;
use std::process;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use region::{Allocation, Protection};

/// Sizes of a stack's parts, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StackSizes {
    /// Value stack: parameters, locals and operands of tier 0.
    pub values: usize,
    /// Reference stack.
    pub references: usize,
    /// Native stack of the host thread that guest code may use below the outermost entry.
    pub native: usize,
}

impl Default for StackSizes {
    fn default() -> StackSizes {
        StackSizes { values: 8 << 20, references: 1 << 20, native: 8 << 20 }
    }
}

/// A value stack and a reference stack.
#[derive(Debug)]
pub struct Stack {
    // Taken out when this is dropped, and at no other time.
    memory: ManuallyDrop<StackMemory>,
    sizes: StackSizes,
    /// The stack that started this one; the base stack of a store has none.
    parent: Option<NonNull<Stack>>,
    /// Where the memory goes in the end, if not back to the system.
    pool: Option<Arc<StackPool>>,
    /// Whether there may be anything but zeroes in it.
    used: bool,
}

impl Stack {
    /// A stack, or `None` when the system has no memory for it.
    pub fn new(sizes: StackSizes) -> Option<Stack> {
        Some(Stack::of(StackMemory::new(sizes)?, sizes, None))
    }

    fn of(memory: StackMemory, sizes: StackSizes, pool: Option<Arc<StackPool>>) -> Stack {
        Stack { memory: ManuallyDrop::new(memory), sizes, parent: None, pool, used: false }
    }

    /// The stack that started this one.
    pub fn parent(&self) -> Option<NonNull<Stack>> {
        self.parent
    }

    /// The sizes that it was made with.
    #[inline]
    pub fn sizes(&self) -> StackSizes {
        self.sizes
    }

    /// The process whose it is, as far as that is known: in a child that it has forked, another one.
    pub(super) fn process(&self) -> u32 {
        self.pool.as_ref().map_or_else(process::id, |pool| pool.process)
    }

    /// Notes that it is about to be written to.
    #[inline]
    pub(super) fn set_used(&mut self) {
        self.used = true;
    }

    /// First value slot.
    #[inline]
    pub fn values(&self) -> *mut u64 {
        self.memory.start().cast()
    }

    /// Address behind the last value slot.
    #[inline]
    pub fn values_end(&self) -> usize {
        self.memory.start() as usize + self.memory.values
    }

    /// First reference slot.
    #[inline]
    pub fn references(&self) -> *mut u32 {
        self.memory.start().wrapping_add(self.memory.values).cast()
    }

    /// Makes the reference slots from `from` on null.
    pub(super) fn clear_references(&mut self, from: *mut u32) {
        if !self.used {
            return;
        }
        let bytes = self.references_end() - from as usize;
        // SAFETY: the slots are this stack's, and nobody else's while it is borrowed.
        unsafe { self.memory.clear_from(from.cast(), bytes) };
    }

    /// Address behind the last reference slot.
    #[inline]
    pub fn references_end(&self) -> usize {
        self.values_end() + self.memory.references
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: nothing uses the field after this.
        let memory = unsafe { ManuallyDrop::take(&mut self.memory) };
        if let Some(pool) = &self.pool {
            pool.put(memory, self.used);
        }
    }
}

/// Zeroed memory that the system provides as it is touched: values, and behind them references. It is mapped and not
/// allocated: an allocator that has freed a stack before would clear all of the next one by hand.
struct StackMemory {
    mapping: Allocation,
    /// Bytes of the value slots.
    values: usize,
    /// Bytes of the reference slots.
    references: usize,
}

// SAFETY: whoever has it owns the mapping, of which no thread knows anything.
unsafe impl Send for StackMemory {}

impl StackMemory {
    fn new(sizes: StackSizes) -> Option<StackMemory> {
        let whole = |bytes: usize, slot: usize| (bytes / slot).max(1) * slot;
        let values = whole(sizes.values, size_of::<u64>());
        let references = whole(sizes.references, size_of::<u32>());
        let mapping = region::alloc(values.checked_add(references)?, Protection::READ_WRITE).ok()?;
        Some(StackMemory { mapping, values, references })
    }

    #[inline]
    fn start(&self) -> *mut u8 {
        self.mapping.as_ptr::<u8>().cast_mut()
    }

    /// Makes the bytes from `start` to the end zeroes. Few are written; what is behind them was hardly ever used, and goes
    /// back to the system if it was.
    ///
    /// # Safety
    /// There are so many bytes up to the end of this memory, which nobody borrows.
    unsafe fn clear_from(&mut self, start: *mut u8, bytes: usize) {
        const WRITTEN: usize = 4 << 10;
        let page = region::page::size();
        let whole = (start as usize + WRITTEN).next_multiple_of(page) - start as usize;
        // SAFETY: the caller's promise; the mapping consists of whole pages, of which those behind its end are unused.
        unsafe {
            if bytes <= whole {
                return start.write_bytes(0, bytes);
            }
            start.write_bytes(0, whole);
            let rest = start.add(whole);
            let len = self.start() as usize + self.mapping.len() - rest as usize;
            if cfg!(miri) || libc::madvise(rest.cast(), len, libc::MADV_DONTNEED) != 0 {
                rest.write_bytes(0, bytes - whole);
            }
        }
    }

    /// Makes it all zeroes again, and gives back to the system what was touched but for the first page. Fails where
    /// the system does not do that.
    #[cfg(all(target_os = "linux", not(miri)))]
    fn clear(&mut self) -> Option<()> {
        let page = region::page::size();
        // SAFETY: the mapping is this value's, private and anonymous, and consists of whole pages.
        unsafe {
            self.start().write_bytes(0, page);
            let rest = self.start().add(page).cast();
            (libc::madvise(rest, self.mapping.len() - page, libc::MADV_DONTNEED) == 0).then_some(())
        }
    }

    #[cfg(any(not(target_os = "linux"), miri))]
    fn clear(&mut self) -> Option<()> {
        None
    }
}

impl fmt::Debug for StackMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackMemory").field("start", &self.start()).finish_non_exhaustive()
    }
}

/// Most stacks that wait in a pool. Each takes one page of memory, and address space of its size: more than stores
/// that are made and dropped by as many threads need.
const MOST_IDLE: usize = 16;

/// The stacks that no store of an engine uses at present.
#[derive(Debug)]
pub struct StackPool {
    sizes: StackSizes,
    /// All zeroes.
    idle: Mutex<Vec<StackMemory>>,
    /// That which made it.
    process: u32,
}

/// Locks `mutex`, unless a thread holds it that this process does not have: it was forked from `process`, and nobody
/// will ever give it back.
pub(super) fn lock_unless_lost<T>(mutex: &Mutex<T>, process: u32) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) if process != process::id() => None,
        Err(TryLockError::WouldBlock) => Some(mutex.lock().unwrap_or_else(PoisonError::into_inner)),
    }
}

impl StackPool {
    /// A pool of stacks of this size.
    pub fn new(sizes: StackSizes) -> Arc<StackPool> {
        Arc::new(StackPool { sizes, idle: Mutex::default(), process: process::id() })
    }

    /// A stack of the pool or a new one, which goes to the pool in the end; `None` when the system has no memory for it.
    pub fn take(self: &Arc<Self>) -> Option<Stack> {
        let idle = lock_unless_lost(&self.idle, self.process).and_then(|mut idle| idle.pop());
        let memory = idle.or_else(|| StackMemory::new(self.sizes))?;
        Some(Stack::of(memory, self.sizes, Some(self.clone())))
    }

    fn put(&self, mut memory: StackMemory, used: bool) {
        if (!used || memory.clear().is_some())
            && let Some(mut idle) = lock_unless_lost(&self.idle, self.process)
            && idle.len() < MOST_IDLE
        {
            idle.push(memory);
        }
    }
}

#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests {
    use super::super::interrupt::InterruptTarget;
    use super::*;

    #[test]
    fn a_stack_that_was_used_before_is_as_a_new_one() {
        let pool = StackPool::new(StackSizes::default());
        let slots = |stack: &Stack| {
            let (values, references) = (stack.values(), stack.references());
            let last = (stack.values_end() - values as usize) / size_of::<u64>() - 1;
            let last_reference = (stack.references_end() - references as usize) / size_of::<u32>() - 1;
            let values = [0, 511, 512, 100_000, last].map(|slot| values.wrapping_add(slot));
            let references = [0, 1023, 1024, last_reference].map(|slot| references.wrapping_add(slot));
            (values, references)
        };
        let mut first = pool.take().unwrap();
        first.set_used();
        let start = first.values();
        let (values, references) = slots(&first);
        // SAFETY: the slots are the stack's.
        unsafe {
            values.into_iter().for_each(|slot| slot.write(u64::MAX));
            references.into_iter().for_each(|slot| slot.write(u32::MAX));
        }
        drop(first);
        let second = pool.take().unwrap();
        assert_eq!(second.values(), start, "it is the same stack");
        let (values, references) = slots(&second);
        // SAFETY: as above.
        unsafe {
            assert_eq!(values.map(|slot| slot.read()), [0; 5]);
            assert_eq!(references.map(|slot| slot.read()), [0; 4]);
        }
    }

    #[test]
    fn a_forked_child_does_not_wait_for_what_a_thread_of_its_parent_has_locked() {
        let sizes = StackSizes { values: 1, references: 1, native: 1 };
        // As it is for a child: another process made the pool, and one of its threads held the lock.
        let pool = Arc::new(StackPool { sizes, idle: Mutex::default(), process: process::id() + 1 });
        let stack = pool.take().unwrap();
        std::mem::forget(pool.idle.lock().unwrap());
        drop(stack);
        assert!(pool.take().is_some());
        let target = InterruptTarget::default();
        let lost = target.lock_for_ever();
        target.detach(pool.process);
        drop(lost);
    }

    #[test]
    fn a_pool_keeps_so_many_stacks_and_no_more() {
        let pool = StackPool::new(StackSizes { values: 1, references: 1, native: 1 });
        let idle = || pool.idle.lock().unwrap().len();
        let stacks: Vec<_> = (0..MOST_IDLE + 3).map(|_| pool.take().unwrap()).collect();
        assert_eq!(idle(), 0);
        drop(stacks);
        assert_eq!(idle(), MOST_IDLE);
        let one = pool.take().unwrap();
        assert_eq!(idle(), MOST_IDLE - 1);
        drop(one);
        assert_eq!(idle(), MOST_IDLE);
    }
}
