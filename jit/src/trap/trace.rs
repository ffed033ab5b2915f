//! What is left of compiled frames when a trap ends them.
//!
//! The frames are on a stack that the next entry uses again, so that they are written down when the trap
//! happens: by the signal handler, or on the way out of a slow path. Nothing here allocates, waits, or reads
//! other memory than the frames and the execution context.

use wasmrun_runtime::vm::{ExecContext, NativeTrace};

/// Notes that compiled code stops for good in the frame at `fp`, at an instruction that `pc` is behind the first byte
/// of: the place itself, and the innermost frames of the innermost entry.
///
/// # Safety
/// `exec` is alive and compiled code runs on it; from `fp` a chain of frame pointers leads to the innermost
/// `enter` stub.
pub(crate) unsafe extern "C" fn left(exec: *mut ExecContext, fp: usize, pc: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let native = &mut (*exec).native;
        (native.exit_fp, native.exit_pc) = (fp, pc);
        walk(&mut native.trace, fp, pc, native.entry_fp);
    }
}

/// Writes down the frames from `fp` to that at `entry_fp`, which is not one of them. It reads no more frames
/// than it writes: code that recurses for ever traps as fast as any other.
unsafe fn walk(trace: &mut NativeTrace, mut fp: usize, mut pc: usize, entry_fp: usize) {
    trace.len = 0;
    while fp != entry_fp && trace.len < NativeTrace::MAX {
        trace.addresses[trace.len] = pc;
        trace.len += 1;
        let frame = fp as *const usize;
        // SAFETY: the caller's promise: a frame begins with its caller's frame pointer and the address there.
        (fp, pc) = unsafe { (*frame, *frame.add(1)) };
    }
    trace.complete = fp == entry_fp;
    trace.present = true;
}

#[cfg(test)]
mod tests {
    use wasmrun_runtime::vm::StackSizes;

    use super::*;

    /// Frames of two words each, from the outermost to the innermost.
    fn stack(depth: usize) -> Vec<[usize; 2]> {
        let mut frames = vec![[0; 2]; depth];
        for i in 1..depth {
            frames[i] = [frames[i - 1].as_ptr() as usize, 1000 + i];
        }
        frames
    }

    fn trace_of(frames: &[[usize; 2]], entry_fp: usize) -> (Vec<usize>, bool) {
        let sizes = StackSizes { values: 4096, references: 4096, native: 0 };
        let mut exec = ExecContext::new(sizes).unwrap();
        exec.native.entry_fp = entry_fp;
        let fp = frames.last().unwrap().as_ptr() as usize;
        // SAFETY: a chain of frames.
        unsafe { left(&raw mut *exec, fp, 7) };
        assert_eq!((exec.native.exit_fp, exec.native.exit_pc), (fp, 7));
        let addresses = exec.native.trace.take().unwrap().to_vec();
        assert_eq!(exec.native.trace.take(), None);
        (addresses, exec.native.trace.complete)
    }

    #[test]
    fn all_frames_inside_of_the_entry_are_written_down() {
        for depth in [1, 2, NativeTrace::MAX, NativeTrace::MAX + 1] {
            let frames = stack(depth);
            let first = (depth > 1).then_some(7);
            let expected: Vec<_> = first.into_iter().chain((2..depth).rev().map(|i| 1000 + i)).collect();
            assert_eq!(trace_of(&frames, frames[0].as_ptr() as usize), (expected, true));
        }
    }

    #[test]
    fn no_frame_is_read_beyond_the_last_one_that_is_written_down() {
        let mut frames = stack(NativeTrace::MAX + 1);
        // Not a frame: reading it ends the process.
        frames[1][0] = 8;
        let expected: Vec<_> =
            [7].into_iter().chain((2..=NativeTrace::MAX).rev().map(|i| 1000 + i)).collect();
        assert_eq!(trace_of(&frames, 1), (expected, false));
    }
}
