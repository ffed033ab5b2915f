//! How code of tier 0 comes to a stop.

use wasmrun_runtime::trap::{Pending, Status};
use wasmrun_runtime::vm::{ExecContext, Site};

/// Stops the code of the innermost segment, which is at `site`.
///
/// # Safety
/// `exec` is alive; the frames are on the stacks.
pub(crate) unsafe fn stop(exec: *mut ExecContext, site: Site, pending: Pending) -> Status {
    // SAFETY: the caller's promise; code runs in an entry.
    unsafe {
        (*exec).set_exit(site);
        (*exec).take_down_frames(None);
        (*exec).set_pending(pending);
    }
    Status::Trap
}
