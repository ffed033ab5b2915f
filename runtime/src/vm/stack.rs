//! The stacks that one thread of guest execution runs on.
//!
//! Values and collected references live on separate stacks, so that a collector can scan the second whole:
//! no tags, no maps, and no cost for code that has no references. A native stack joins them when compiled
//! code runs on one of its own; until then guest code uses the host thread's.

use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

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
    values: Region<u64>,
    references: Region<u32>,
    sizes: StackSizes,
    /// The stack that started this one; the base stack of a store has none.
    parent: Option<NonNull<Stack>>,
}

impl Stack {
    /// A stack, or `None` when the system has no memory for it.
    pub fn new(sizes: StackSizes) -> Option<Stack> {
        Some(Stack {
            values: Region::new(sizes.values / size_of::<u64>())?,
            references: Region::new(sizes.references / size_of::<u32>())?,
            sizes,
            parent: None,
        })
    }

    /// The stack that started this one.
    pub fn parent(&self) -> Option<NonNull<Stack>> {
        self.parent
    }

    /// The sizes that it was made with.
    pub fn sizes(&self) -> StackSizes {
        self.sizes
    }

    /// First value slot.
    pub fn values(&self) -> *mut u64 {
        self.values.start()
    }

    /// Address behind the last value slot.
    pub fn values_end(&self) -> usize {
        self.values.end()
    }

    /// First reference slot.
    pub fn references(&self) -> *mut u32 {
        self.references.start()
    }

    /// Address behind the last reference slot.
    pub fn references_end(&self) -> usize {
        self.references.end()
    }
}

/// Zeroed memory that the system provides as it is touched. It is mapped and not allocated: an allocator
/// that has freed a stack before would clear all of the next one by hand.
struct Region<T> {
    memory: Allocation,
    len: usize,
    slots: PhantomData<*mut T>,
}

impl<T: Copy> Region<T> {
    fn new(len: usize) -> Option<Region<T>> {
        let len = len.max(1);
        let bytes = len.checked_mul(size_of::<T>())?;
        let memory = region::alloc(bytes, Protection::READ_WRITE).ok()?;
        Some(Region { memory, len, slots: PhantomData })
    }

    fn start(&self) -> *mut T {
        self.memory.as_ptr::<T>().cast_mut()
    }

    fn end(&self) -> usize {
        self.start() as usize + self.len * size_of::<T>()
    }
}

impl<T> fmt::Debug for Region<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region").field("len", &self.len).finish_non_exhaustive()
    }
}
