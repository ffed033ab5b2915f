//! What the guest's memories and tables may take, as the command line says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmrun::{Error, ResourceLimiter, Result, StoreLimits, StoreLimitsBuilder};

use crate::args::Options;

/// The limits of a run, or of a thread of it. Those of the engine are per object; that on memory is for all memories together, so
/// that a guest does not get twice as much by having two.
#[derive(Clone)]
pub struct Limits {
    each: StoreLimits,
    /// Bytes that all memories have, those of all threads.
    memory: Arc<AtomicUsize>,
    /// How much of that has been allowed last.
    granted: usize,
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
        Limits { each, memory: Arc::default(), granted: 0 }
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        let granted = desired.saturating_sub(current);
        loop {
            // All memories are asked about as if they were one.
            let memory = self.memory.load(Ordering::SeqCst);
            let together = memory.saturating_add(granted);
            if !self.each.memory_growing(memory, together, maximum)? {
                return Ok(false);
            }
            // Another thread may have been faster.
            let (order, word) = (Ordering::SeqCst, &self.memory);
            if word.compare_exchange(memory, together, order, order).is_ok() {
                self.granted = together - memory;
                return Ok(true);
            }
        }
    }

    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        self.memory.fetch_sub(std::mem::take(&mut self.granted), Ordering::SeqCst);
        self.each.memory_grow_failed(error)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        self.each.table_growing(current, desired, maximum)
    }

    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        self.each.table_grow_failed(error)
    }

    fn gc_heap_growing(&mut self, current: usize, desired: usize) -> Result<bool> {
        self.each.gc_heap_growing(current, desired)
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
