//! What the guest's memories and tables may take, as the command line says.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use wasmrun::{
    Engine, Error, MemoryType, ResourceLimiter, Result, SharedMemory, StoreLimits, StoreLimitsBuilder,
};

use crate::args::Options;

/// The limits of a run, or of a thread of it. Those of the engine are per object; those on memory and on collected objects
/// are for all together, so that a guest does not get twice as much by having two. The others are those of each thread.
///
/// What only the thread had is given back when this is dropped.
pub struct Limits {
    each: StoreLimits,
    all: Arc<Together>,
    /// How much memory has been allowed last, and whether it was for one that ends with the thread.
    granted: (usize, bool),
    /// Bytes of the memories that end with the thread.
    own: usize,
    /// Bytes that the thread's collected objects may have.
    gc_heap: usize,
}

/// What all threads have.
#[derive(Default)]
struct Together {
    /// Bytes of all memories.
    memory: AtomicUsize,
    /// Bytes that collected objects may have.
    gc_heaps: AtomicUsize,
    /// The memories that outlive a thread.
    shared: Mutex<Vec<SharedMemory>>,
}

impl Limits {
    pub fn new(options: &Options) -> Limits {
        let mut each = StoreLimitsBuilder::new();
        if let Some(bytes) = options.max_memory {
            each = each.memory_size(bytes);
        }
        if let Some(bytes) = options.max_gc_heap {
            each = each.gc_heap_size(bytes);
        }
        if let Some(elements) = options.max_table_elements {
            each = each.table_elements(elements);
        }
        if let Some(count) = options.max_instances {
            each = each.instances(count);
        }
        if let Some(count) = options.max_memories {
            each = each.memories(count);
        }
        if let Some(count) = options.max_tables {
            each = each.tables(count);
        }
        let each = each.trap_on_grow_failure(options.trap_on_grow_failure).build();
        Limits { each, all: Arc::default(), granted: (0, false), own: 0, gc_heap: 0 }
    }

    /// Those of another thread of the run.
    pub fn of_thread(&self) -> Limits {
        Limits { each: self.each.clone(), all: self.all.clone(), granted: (0, false), own: 0, gc_heap: 0 }
    }

    /// Makes a memory for all threads, which counts until the process ends; `None` if it would exceed the limits.
    pub fn shared_memory(&self, engine: &Engine, ty: MemoryType) -> Result<Option<SharedMemory>> {
        let bytes = |pages| ty.bytes(pages).unwrap_or(usize::MAX);
        let mut asked = self.of_thread();
        if !asked.memory_growing(0, bytes(ty.minimum()), ty.maximum().map(bytes))? {
            return Ok(None);
        }
        let memory = SharedMemory::new(engine, ty)?;
        asked.own = 0;
        self.all.shared.lock().unwrap_or_else(PoisonError::into_inner).push(memory.clone());
        Ok(Some(memory))
    }

    /// Whether what is to grow from a size is no memory that outlives the thread: those are as large as they are asked about.
    /// Where one is just as large nobody knows, and what is allowed counts until the process ends.
    fn is_own(&self, current: usize) -> bool {
        let shared = self.all.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.iter().all(|memory| memory.data_size() != current)
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        self.all.memory.fetch_sub(self.own, Ordering::SeqCst);
        self.all.gc_heaps.fetch_sub(self.gc_heap, Ordering::SeqCst);
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        let granted = desired.saturating_sub(current);
        let is_own = self.is_own(current);
        loop {
            // All memories are asked about as if they were one.
            let memory = self.all.memory.load(Ordering::SeqCst);
            let together = memory.saturating_add(granted);
            if !self.each.memory_growing(memory, together, maximum)? {
                return Ok(false);
            }
            // Another thread may have been faster.
            let (order, word) = (Ordering::SeqCst, &self.all.memory);
            if word.compare_exchange(memory, together, order, order).is_ok() {
                self.granted = (together - memory, is_own);
                self.own += if is_own { self.granted.0 } else { 0 };
                return Ok(true);
            }
        }
    }

    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        let (granted, is_own) = std::mem::take(&mut self.granted);
        self.own -= if is_own { granted } else { 0 };
        self.all.memory.fetch_sub(granted, Ordering::SeqCst);
        self.each.memory_grow_failed(error)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        self.each.table_growing(current, desired, maximum)
    }

    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        self.each.table_grow_failed(error)
    }

    fn gc_heap_growing(&mut self, current: usize, desired: usize) -> Result<bool> {
        loop {
            // All heaps are asked about as if they were one.
            let heaps = self.all.gc_heaps.load(Ordering::SeqCst);
            let others = heaps - self.gc_heap;
            let together = others.saturating_add(desired);
            if !self.each.gc_heap_growing(others.saturating_add(current), together)? {
                return Ok(false);
            }
            // Another thread may have been faster.
            let (order, word) = (Ordering::SeqCst, &self.all.gc_heaps);
            if word.compare_exchange(heaps, together, order, order).is_ok() {
                self.gc_heap = together - others;
                return Ok(true);
            }
        }
    }

    fn instances(&self) -> usize {
        self.each.instances()
    }

    fn memories(&self) -> usize {
        self.each.memories()
    }

    fn tables(&self) -> usize {
        self.each.tables()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 65536;

    fn limits() -> Limits {
        let options = Options { max_memory: Some(4 * PAGE), max_gc_heap: Some(1000), ..Options::default() };
        Limits::new(&options)
    }

    #[test]
    fn the_memories_of_a_thread_are_given_back_when_it_ends_and_what_shared_ones_grew_by_is_not() -> Result<()>
    {
        let limits = limits();
        let engine = Engine::default();
        let memory = limits.shared_memory(&engine, MemoryType::shared(1, 4))?.expect("is within the limits");
        for _ in 0..3 {
            let mut thread = limits.of_thread();
            assert!(thread.memory_growing(0, 2 * PAGE, None)?);
            assert!(thread.memory_growing(2 * PAGE, 3 * PAGE, None)?);
            thread.memory_grow_failed(Error::msg("the system has no more"))?;
            assert!(!thread.memory_growing(2 * PAGE, 4 * PAGE, None)?);
        }
        let mut thread = limits.of_thread();
        assert!(thread.memory_growing(PAGE, 2 * PAGE, None)?);
        memory.grow(1)?;
        drop(thread);
        assert!(!limits.of_thread().memory_growing(0, 3 * PAGE, None)?);
        assert!(limits.of_thread().memory_growing(0, 2 * PAGE, None)?);
        assert!(limits.shared_memory(&engine, MemoryType::shared(3, 4))?.is_none());
        Ok(())
    }

    #[test]
    fn the_collected_objects_of_all_threads_have_one_limit() -> Result<()> {
        let (mut first, limits) = (limits(), limits());
        assert!(first.gc_heap_growing(0, 1000)?, "another run has its own");
        let (mut one, mut other) = (limits.of_thread(), limits.of_thread());
        assert!(one.gc_heap_growing(0, 600)?);
        assert!(!other.gc_heap_growing(0, 500)?);
        assert!(other.gc_heap_growing(0, 400)?);
        // A heap has become smaller.
        assert!(one.gc_heap_growing(100, 200)?);
        assert!(other.gc_heap_growing(400, 800)?);
        drop(one);
        assert!(other.gc_heap_growing(800, 1000)?);
        Ok(())
    }
}
