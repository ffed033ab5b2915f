//! The stacks that one thread of guest execution runs on.
//!
//! Values and collected references live on separate stacks, so that a collector can scan the second whole:
//! no tags, no maps, and no cost for code that has no references. A native stack joins them when compiled
//! code runs on one of its own; until then guest code uses the host thread's.

use std::alloc::{self, Layout as AllocLayout};
use std::ptr::NonNull;

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
        StackSizes { values: 8 << 20, references: 1 << 20, native: 512 << 10 }
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
        self.values.start.as_ptr()
    }

    /// Address behind the last value slot.
    pub fn values_end(&self) -> usize {
        self.values.end()
    }

    /// First reference slot.
    pub fn references(&self) -> *mut u32 {
        self.references.start.as_ptr()
    }

    /// Address behind the last reference slot.
    pub fn references_end(&self) -> usize {
        self.references.end()
    }
}

/// Zeroed memory that the system provides as it is touched.
#[derive(Debug)]
struct Region<T> {
    start: NonNull<T>,
    len: usize,
}

impl<T: Copy> Region<T> {
    fn new(len: usize) -> Option<Region<T>> {
        let len = len.max(1);
        let layout = AllocLayout::array::<T>(len).ok()?;
        // SAFETY: the layout has a size.
        let start = NonNull::new(unsafe { alloc::alloc_zeroed(layout) })?.cast();
        Some(Region { start, len })
    }
}

impl<T> Region<T> {
    fn end(&self) -> usize {
        self.start.as_ptr() as usize + self.len * size_of::<T>()
    }
}

impl<T> Drop for Region<T> {
    fn drop(&mut self) {
        let layout = AllocLayout::array::<T>(self.len).expect("it was allocated with this layout");
        // SAFETY: allocated in `new` with this layout.
        unsafe { alloc::dealloc(self.start.as_ptr().cast(), layout) };
    }
}
