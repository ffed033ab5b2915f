//! How far down the native stack of a thread guest code may go.
//!
//! A thread that uses its stack up ends the process, and the size of a stack is the host's to choose: so each
//! entry from the host asks here. The bounds are the same for as long as a thread lives and are asked of the
//! system once.
//!
//! A host may also run on a stack that it has made itself, a coroutine's. The system knows nothing of it, but it lies
//! outside of the thread's own; what guest code may use there is the same as where the system tells no bounds at all.

use std::cell::Cell;
use std::ops::Range;

/// Left to functions of the host that guest code calls at the end of its own part, to slow paths, and to the largest
/// frame of compiled code (64 KiB), which notices that it does not fit when it is there. Of a small stack it is a
/// quarter, but no less than what the last two need.
const RESERVED: usize = 256 << 10;
const LEAST: usize = 96 << 10;

/// What guest code may use of a stack whose bounds nobody tells: no thread has much less.
const UNKNOWN: usize = 512 << 10;

/// What is known of a thread's own stack.
#[derive(Clone, Copy)]
struct Own {
    /// Whether the system has been asked.
    asked: bool,
    /// Its lowest address, and the one behind it; the same where the system does not tell.
    low: usize,
    high: usize,
    /// The lowest address that guest code may reach there.
    floor: usize,
}

thread_local! {
    static OWN: Cell<Own> = const { Cell::new(Own { asked: false, low: 0, high: 0, floor: 0 }) };
}

impl Own {
    fn ask() -> Own {
        let Range { start: low, end: high } = bounds().unwrap_or_default();
        Own { asked: true, low, high, floor: low + reserved(high - low) }
    }

    /// The lowest address that guest code may reach from `here`, if that is on this stack.
    #[inline]
    fn floor(self, here: usize) -> Option<usize> {
        (self.low..self.high).contains(&here).then_some(self.floor)
    }
}

/// The lowest address that frames of guest code may reach on this thread, which is at `here` now.
#[inline]
pub(super) fn floor(here: usize) -> usize {
    OWN.get().floor(here).unwrap_or_else(|| find(here))
}

/// Bytes between here and the lowest address that frames of guest code may reach on this thread.
pub fn left() -> usize {
    let here = pointer();
    here.saturating_sub(floor(here))
}

/// The stack pointer, roughly. The address of a local variable would not do: a sanitizer may have put that elsewhere.
#[inline(always)]
pub fn pointer() -> usize {
    let pointer: usize;
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: it reads a register.
    unsafe {
        std::arch::asm!("mov {}, rsp", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    #[cfg(all(target_arch = "aarch64", not(miri)))]
    // SAFETY: as above.
    unsafe {
        std::arch::asm!("mov {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    #[cfg(any(miri, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    {
        let here = 0u8;
        pointer = &raw const here as usize;
    }
    pointer
}

#[cold]
fn find(here: usize) -> usize {
    if !OWN.get().asked {
        OWN.set(Own::ask());
    }
    OWN.get().floor(here).unwrap_or(here.saturating_sub(UNKNOWN))
}

fn reserved(size: usize) -> usize {
    RESERVED.min(size / 4).max(LEAST)
}

/// The addresses of this thread's stack.
#[cfg(all(target_os = "linux", not(miri)))]
fn bounds() -> Option<Range<usize>> {
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    let (mut low, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: the attributes are initialised by the first call, if it succeeds, and then destroyed.
    unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
            return None;
        }
        let found = libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut low, &raw mut size);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        (found == 0).then(|| low as usize..low as usize + size)
    }
}

#[cfg(any(not(target_os = "linux"), miri))]
fn bounds() -> Option<Range<usize>> {
    None
}

#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn the_floor_lies_inside_of_the_stack_and_leaves_room_below() {
        for size in [256 << 10, 2 << 20, 16 << 20] {
            let thread = std::thread::Builder::new().stack_size(size).spawn(move || {
                let here = pointer();
                let left = here.checked_sub(floor(here)).expect("the floor is below");
                assert!(left < size - reserved(size) && left > size / 2, "{left} of {size}");
                assert_eq!(floor(here), floor(here - 1));
            });
            thread.unwrap().join().unwrap();
        }
    }

    #[test]
    fn a_stack_that_is_not_the_threads_own_has_a_floor_of_its_own() {
        // In either order: the bounds are asked for once.
        for own_first in [true, false] {
            std::thread::spawn(move || {
                let here = pointer();
                let own = own_first.then(|| floor(here));
                let Range { start: low, end: high } = bounds().unwrap();
                for elsewhere in [low - 1, low - (1 << 30), high, high + (1 << 30)] {
                    assert_eq!(floor(elsewhere), elsewhere - UNKNOWN);
                }
                let expected = low + reserved(high - low);
                assert_eq!((own.unwrap_or(expected), floor(here)), (expected, expected));
                assert_eq!((floor(low), floor(high - 1)), (expected, expected));
            })
            .join()
            .unwrap();
        }
    }
}
