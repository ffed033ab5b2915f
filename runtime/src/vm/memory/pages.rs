//! Memory that may move when it grows.

use std::ptr::{self, NonNull};

use super::GrowError;

/// Zeroed memory that the system provides as it is touched, unmapped when it is dropped.
pub(super) struct Pages {
    /// Dangling if there are none.
    pub base: NonNull<u8>,
    /// In bytes, whole pages of the system.
    pub len: usize,
}

impl Pages {
    pub fn none() -> Pages {
        Pages { base: NonNull::dangling(), len: 0 }
    }

    /// Makes it `len` bytes or a little more, which is more than it has, at the same or another address. The system moves the
    /// pages and copies nothing of what is in them; what is new is zero. If this is an error, nothing has changed.
    pub fn grow(&mut self, len: usize) -> Result<(), GrowError> {
        let len = len.next_multiple_of(region::page::size());
        let grown = if self.len == 0 {
            let protection = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            // SAFETY: a new mapping at an address of the system's choice.
            unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, -1, 0) }
        } else {
            // SAFETY: all of our own mapping; nothing borrows its bytes, as growing takes `&mut`.
            unsafe { libc::mremap(self.base.as_ptr().cast(), self.len, len, libc::MREMAP_MAYMOVE) }
        };
        if grown == libc::MAP_FAILED {
            return Err(GrowError::System);
        }
        self.base = NonNull::new(grown.cast()).ok_or(GrowError::System)?;
        self.len = len;
        Ok(())
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        if self.len != 0 {
            // SAFETY: our own mapping, which nothing points into any more.
            let status = unsafe { libc::munmap(self.base.as_ptr().cast(), self.len) };
            debug_assert_eq!(status, 0, "unmapping a whole mapping does not fail");
        }
    }
}
