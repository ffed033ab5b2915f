//! Limits on what the guests of a store may take.

use crate::error::{Error, Result};

/// Decides about the growth of memories, tables and the heap of collected objects, and about how many of everything a store may hold.
///
/// It lives in the host's data of a store and is named with [`Store::limiter`](crate::Store::limiter).
/// Guests notice a refusal as a `memory.grow` or `table.grow` that returns −1; an error stops them.
///
/// It is asked about one memory or table at a time: who wants to bound what a store takes altogether adds up
/// what it allows, as below. Counts are those of the whole store. What it is not asked about is bounded by the
/// engine: the guest's stack ([`Config::max_wasm_stack`](crate::Config::max_wasm_stack)), and 10 000 000
/// elements for the tables of an instance together.
///
/// ```
/// use wasmrun::{Engine, ResourceLimiter, Result, Store};
///
/// /// What all memories of a store may take together.
/// struct Quota {
///     bytes: usize,
///     granted: usize,
/// }
///
/// impl ResourceLimiter for Quota {
///     fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
///         let wanted = desired - current;
///         if wanted > self.bytes {
///             return Ok(false);
///         }
///         self.bytes -= wanted;
///         self.granted = wanted;
///         Ok(true)
///     }
///
///     fn memory_grow_failed(&mut self, _: wasmrun::Error) -> Result<()> {
///         self.bytes += self.granted;
///         Ok(())
///     }
///
///     fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
///         Ok(desired <= 1000)
///     }
/// }
///
/// let mut store = Store::new(&Engine::default(), Quota { bytes: 1 << 20, granted: 0 });
/// store.limiter(|quota| quota);
/// ```
pub trait ResourceLimiter {
    /// Whether a memory may grow from `current` to `desired` bytes. A new memory grows from 0. `maximum` is
    /// what its type allows; `desired` may be beyond it, and growth fails then though it be allowed. While it is asked about a
    /// [`SharedMemory`](crate::SharedMemory) no other thread can let that grow; it must not itself.
    ///
    /// # Errors
    /// An error stops the guest.
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool>;

    /// A memory did not grow though [`memory_growing`](Self::memory_growing) has just allowed it: it would
    /// have passed its maximum, or the system has no memory. `error` says which. A memory that cannot be made
    /// fails its instance instead.
    ///
    /// # Errors
    /// An error stops the guest, which otherwise gets −1.
    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        let _ = error;
        Ok(())
    }

    /// Whether a table may grow from `current` to `desired` elements; as for memories.
    ///
    /// # Errors
    /// An error stops the guest.
    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool>;

    /// A table did not grow though [`table_growing`](Self::table_growing) allowed it; as for memories.
    ///
    /// # Errors
    /// An error stops the guest, which otherwise gets −1.
    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        let _ = error;
        Ok(())
    }

    /// Whether the heap of collected objects may grow from `current` to `desired` bytes. What the host's values take counts as
    /// far as that can be seen from outside. A heap that may not grow as far as it would like collects more often, and
    /// asks for less; the guest gets [`Trap::GcHeapOutOfMemory`](crate::Trap) if even what lives does not fit.
    /// While it collects, the heap takes room for what lives a second time.
    ///
    /// # Errors
    /// An error stops the guest.
    fn gc_heap_growing(&mut self, current: usize, desired: usize) -> Result<bool> {
        let _ = (current, desired);
        Ok(true)
    }

    /// The most instances that the store may hold.
    fn instances(&self) -> usize {
        usize::MAX
    }

    /// The most memories that the store may hold.
    fn memories(&self) -> usize {
        usize::MAX
    }

    /// The most tables that the store may hold.
    fn tables(&self) -> usize {
        usize::MAX
    }
}

/// A [`ResourceLimiter`] with fixed limits: sizes are those of each memory and table, counts those of the whole
/// store. To bound what all memories take, limit their number as well, or write a [`ResourceLimiter`].
///
/// ```
/// use wasmrun::{Engine, Store, StoreLimits, StoreLimitsBuilder};
///
/// struct Host {
///     limits: StoreLimits,
/// }
///
/// let limits = StoreLimitsBuilder::new().memory_size(64 << 20).instances(10).build();
/// let mut store = Store::new(&Engine::default(), Host { limits });
/// store.limiter(|host| &mut host.limits);
/// ```
#[derive(Clone, Debug)]
pub struct StoreLimits {
    memory_size: usize,
    table_elements: usize,
    gc_heap_size: usize,
    instances: usize,
    memories: usize,
    tables: usize,
    trap_on_grow_failure: bool,
}

impl Default for StoreLimits {
    /// No limits.
    fn default() -> StoreLimits {
        StoreLimits {
            memory_size: usize::MAX,
            table_elements: usize::MAX,
            gc_heap_size: usize::MAX,
            instances: usize::MAX,
            memories: usize::MAX,
            tables: usize::MAX,
            trap_on_grow_failure: false,
        }
    }
}

impl StoreLimits {
    fn growing(&self, what: &str, units: &str, current: usize, desired: usize, limit: usize) -> Result<bool> {
        let allowed = desired <= limit;
        if !allowed && self.trap_on_grow_failure {
            return Err(Error::msg(format!(
                "forcing trap when growing {what} from {current} to {desired} {units}: the limit is {limit}"
            )));
        }
        Ok(allowed)
    }

    fn grow_failed(&self, what: &str, error: Error) -> Result<()> {
        if self.trap_on_grow_failure {
            return Err(error.context(format!("forcing a {what} growth failure to be a trap")));
        }
        Ok(())
    }
}

impl ResourceLimiter for StoreLimits {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        self.growing("memory", "bytes", current, desired, self.memory_size)
    }

    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        self.grow_failed("memory", error)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        self.growing("table", "elements", current, desired, self.table_elements)
    }

    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        self.grow_failed("table", error)
    }

    fn gc_heap_growing(&mut self, _: usize, desired: usize) -> Result<bool> {
        Ok(desired <= self.gc_heap_size)
    }

    fn instances(&self) -> usize {
        self.instances
    }

    fn memories(&self) -> usize {
        self.memories
    }

    fn tables(&self) -> usize {
        self.tables
    }
}

/// Makes [`StoreLimits`].
///
/// ```
/// use wasmrun::StoreLimitsBuilder;
///
/// let limits = StoreLimitsBuilder::new().memories(1).tables(1).table_elements(10_000).build();
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct StoreLimitsBuilder(StoreLimits);

impl StoreLimitsBuilder {
    /// No limits so far.
    pub fn new() -> StoreLimitsBuilder {
        StoreLimitsBuilder::default()
    }

    /// The most bytes that each memory may have.
    pub fn memory_size(mut self, bytes: usize) -> Self {
        self.0.memory_size = bytes;
        self
    }

    /// The most elements that each table may have.
    pub fn table_elements(mut self, elements: usize) -> Self {
        self.0.table_elements = elements;
        self
    }

    /// The most bytes that the heap of collected objects may have: see [`ResourceLimiter::gc_heap_growing`].
    pub fn gc_heap_size(mut self, bytes: usize) -> Self {
        self.0.gc_heap_size = bytes;
        self
    }

    /// The most instances that the store may hold.
    pub fn instances(mut self, instances: usize) -> Self {
        self.0.instances = instances;
        self
    }

    /// The most memories that the store may hold.
    pub fn memories(mut self, memories: usize) -> Self {
        self.0.memories = memories;
        self
    }

    /// The most tables that the store may hold.
    pub fn tables(mut self, tables: usize) -> Self {
        self.0.tables = tables;
        self
    }

    /// Whether a growth that fails stops the guest, instead of giving it −1: beyond these limits, beyond the
    /// maximum of the memory or table, or because the system has no memory.
    pub fn trap_on_grow_failure(mut self, trap: bool) -> Self {
        self.0.trap_on_grow_failure = trap;
        self
    }

    /// The limits.
    pub fn build(self) -> StoreLimits {
        self.0
    }
}
