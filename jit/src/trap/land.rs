//! Where code goes on that cannot go on where it is.

use wasmrun_runtime::trap::Status;
use wasmrun_runtime::vm::builtins::poll;
use wasmrun_runtime::vm::{ExecContext, Landing, NativeWords};

use super::trace;
use crate::code::CodeSpace;

/// Compiled code stops in the frame at `fp`, at an instruction that `pc` is behind the first byte of: finds where it goes
/// on. That is the innermost handler for an exception, if that is what is pending, and else the handler of the innermost
/// `enter` stub, for which the frames that end are written down.
///
/// # Safety
/// As for [`trace::left`]; a reason is pending, and the stub does what is returned.
pub(crate) unsafe extern "C" fn land(exec: *mut ExecContext, fp: usize, pc: usize) -> *const Landing {
    // SAFETY: the caller's promise.
    unsafe {
        let caught = if (*exec).is_throwing() { catch(exec, fp, pc) } else { None };
        let landing = caught.unwrap_or_else(|| {
            trace::left(exec, fp, pc);
            entry(&(*exec).native)
        });
        (*exec).native.landing = landing;
        &raw const (*exec).native.landing
    }
}

/// The handler of the innermost `enter` stub.
pub(super) fn entry(native: &NativeWords) -> Landing {
    Landing { sp: native.entry_sp, fp: native.entry_fp, pc: native.entry_handler, word: Status::Trap as u64 }
}

/// Frames that are looked at between two polls.
const FRAMES: usize = 1 << 12;

/// The innermost handler for the exception that is pending, among the frames from `fp` on that the innermost entry has
/// made. The exception is given to it.
///
/// The guest decides how long the way is, and how often it is gone: with each frame whose code does not take what it is given
/// a search begins anew. So searches poll, and what a poll has to say takes the exception's place.
unsafe fn catch(exec: *mut ExecContext, mut fp: usize, mut pc: usize) -> Option<Landing> {
    // SAFETY: the code runs, so that its engine is alive and a chain of frame pointers leads to the entry.
    unsafe {
        let space = (*exec).native.code.cast::<CodeSpace>().as_ref()?;
        let entry = (*exec).native.entry_fp;
        ((*exec).native.exit_fp, (*exec).native.exit_pc) = (fp, pc);
        for looked_at in 0.. {
            if fp == entry {
                return None;
            }
            if looked_at % FRAMES == 0
                && let Err(pending) = poll(exec)
            {
                (*exec).catch();
                (*exec).set_pending(pending);
                return None;
            }
            if let Some((handler, distance)) = space.handler_of(pc) {
                return Some(Landing { sp: fp - distance, fp, pc: handler, word: (*exec).catch().into() });
            }
            let frame = fp as *const usize;
            (fp, pc) = (*frame, *frame.add(1));
        }
        None
    }
}
