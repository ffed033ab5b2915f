//! How far down the native stack of a thread guest code may go.
//!
//! A thread that uses its stack up ends the process, and the size of a stack is the host's to choose: so each
//! entry from the host asks here. The answer is the same for as long as a thread lives and is asked of the
//! system once.

use std::cell::Cell;

/// Left to functions of the host that guest code calls at the end of its own part, to slow paths, and to the largest
/// frame of compiled code (64 KiB), which notices that it does not fit when it is there. Of a small stack it is a
/// quarter, but no less than what the last two need.
const RESERVED: usize = 256 << 10;
const LEAST: usize = 96 << 10;

/// What guest code may use where the system does not tell the bounds of a stack: no thread has much less.
const UNKNOWN: usize = 512 << 10;

/// What stands for a floor as long as the system has not been asked, and when it has not answered.
const NOT_ASKED: usize = 0;
const NO_ANSWER: usize = 1;

thread_local! {
    static FLOOR: Cell<usize> = const { Cell::new(NOT_ASKED) };
}

/// The lowest address that frames of guest code may reach on this thread, which is at `here` now.
#[inline]
pub(super) fn floor(here: usize) -> usize {
    match FLOOR.get() {
        NOT_ASKED | NO_ANSWER => find(here),
        floor => floor,
    }
}

/// Bytes between here and the lowest address that frames of guest code may reach on this thread.
pub fn left() -> usize {
    let here = 0u8;
    let here = &raw const here as usize;
    here.saturating_sub(floor(here))
}

#[cold]
fn find(here: usize) -> usize {
    if FLOOR.get() == NOT_ASKED {
        FLOOR.set(bounds().map_or(NO_ANSWER, |(low, size)| low + reserved(size)));
    }
    match FLOOR.get() {
        NO_ANSWER => here.saturating_sub(UNKNOWN),
        floor => floor,
    }
}

fn reserved(size: usize) -> usize {
    RESERVED.min(size / 4).max(LEAST)
}

/// The lowest address of this thread's stack, and its size.
#[cfg(all(target_os = "linux", not(miri)))]
fn bounds() -> Option<(usize, usize)> {
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    let (mut low, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: the attributes are initialised by the first call, if it succeeds, and then destroyed.
    unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
            return None;
        }
        let found = libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut low, &raw mut size);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        (found == 0).then_some((low as usize, size))
    }
}

#[cfg(any(not(target_os = "linux"), miri))]
fn bounds() -> Option<(usize, usize)> {
    None
}

#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests {
    use super::*;

    #[test]
    fn the_floor_lies_inside_of_the_stack_and_leaves_room_below() {
        for size in [256 << 10, 2 << 20, 16 << 20] {
            let thread = std::thread::Builder::new().stack_size(size).spawn(move || {
                let here = 0u8;
                let here = &raw const here as usize;
                let left = here.checked_sub(floor(here)).expect("the floor is below");
                assert!(left < size - reserved(size) && left > size / 2, "{left} of {size}");
                assert_eq!(floor(here), floor(0));
            });
            thread.unwrap().join().unwrap();
        }
    }
}
