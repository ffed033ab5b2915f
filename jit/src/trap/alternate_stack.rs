//! Each thread's stack for signal handlers.
//!
//! A handler that runs on the stack of the code that faulted cannot report that this stack is used up; and
//! the stack that Rust gives its threads for the purpose is only as large as the system demands.

use std::cell::{Cell, OnceCell};
use std::mem::MaybeUninit;
use std::ptr;

use region::{Allocation, Protection};

/// Bytes. The largest register files fill 12 KiB of them before the handler starts.
const SIZE: usize = 64 << 10;

thread_local! {
    static READY: Cell<bool> = const { Cell::new(false) };
    static OWN: OnceCell<Option<AlternateStack>> = const { OnceCell::new() };
}

/// Gives this thread an alternate stack, unless it has a large one. Without one, for want of memory or because
/// the thread is about to end, handlers run on the ordinary stack.
#[inline]
pub(super) fn ensure() {
    if !READY.get() {
        make();
    }
}

#[cold]
fn make() {
    READY.set(true);
    // Fails only while the thread ends.
    let _ = OWN.try_with(|own| own.get_or_init(AlternateStack::install).is_some());
}

struct AlternateStack {
    memory: Allocation,
}

impl AlternateStack {
    fn install() -> Option<AlternateStack> {
        let mut old = MaybeUninit::<libc::stack_t>::uninit();
        // SAFETY: asks for the present one.
        let old = unsafe {
            if libc::sigaltstack(ptr::null(), old.as_mut_ptr()) != 0 {
                return None;
            }
            old.assume_init()
        };
        if old.ss_flags & libc::SS_DISABLE == 0 && old.ss_size >= SIZE {
            return None;
        }
        let guard = region::page::size();
        let mut memory = region::alloc(guard + SIZE, Protection::NONE).ok()?;
        let start = memory.as_mut_ptr::<u8>().wrapping_add(guard);
        // SAFETY: the range lies inside the fresh allocation.
        unsafe { region::protect(start, SIZE, Protection::READ_WRITE) }.ok()?;
        let new = libc::stack_t { ss_sp: start.cast(), ss_flags: 0, ss_size: SIZE };
        // SAFETY: the memory stays until `drop`, which withdraws it first.
        (unsafe { libc::sigaltstack(&raw const new, ptr::null_mut()) } == 0)
            .then_some(AlternateStack { memory })
    }
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        let mut old = MaybeUninit::<libc::stack_t>::uninit();
        let none = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
        // SAFETY: withdraws the stack if it is still this one; then nothing uses the memory any more.
        unsafe {
            if libc::sigaltstack(ptr::null(), old.as_mut_ptr()) == 0
                && self.memory.as_ptr_range::<u8>().contains(&old.assume_init().ss_sp.cast_const().cast())
            {
                libc::sigaltstack(&raw const none, ptr::null_mut());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn present() -> libc::stack_t {
        let mut now = MaybeUninit::<libc::stack_t>::uninit();
        // SAFETY: asks for the present one.
        unsafe {
            assert_eq!(libc::sigaltstack(ptr::null(), now.as_mut_ptr()), 0);
            now.assume_init()
        }
    }

    #[test]
    fn a_thread_gets_one_stack() {
        std::thread::spawn(|| {
            ensure();
            let stack = present();
            ensure();
            assert_eq!((present().ss_sp, stack.ss_size), (stack.ss_sp, SIZE));
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_stack_is_withdrawn_before_its_memory_goes() {
        std::thread::spawn(|| {
            let stack = AlternateStack::install().unwrap();
            assert_eq!(present().ss_size, SIZE);
            drop(stack);
            assert_ne!(present().ss_flags & libc::SS_DISABLE, 0);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_large_stack_of_somebody_else_stays() {
        std::thread::spawn(|| {
            let mut memory = vec![0u8; 2 * SIZE];
            let ours =
                libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: memory.len() };
            let none = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
            let mut before = MaybeUninit::<libc::stack_t>::uninit();
            // SAFETY: withdrawn below, before the memory goes.
            assert_eq!(unsafe { libc::sigaltstack(&raw const ours, before.as_mut_ptr()) }, 0);
            ensure();
            let stays = present().ss_sp == ours.ss_sp;
            // SAFETY: as above.
            assert_eq!(unsafe { libc::sigaltstack(&raw const none, ptr::null_mut()) }, 0);
            assert!(stays);
        })
        .join()
        .unwrap();
    }
}
