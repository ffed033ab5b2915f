//! The execution context whose code runs on this thread: the one thing about running code that is in a
//! thread-local, because a signal handler finds nothing else.

use std::cell::Cell;
use std::ptr;

use wasmrun_runtime::vm::ExecContext;

use super::alternate_stack;

thread_local! {
    // `const` and without drop glue: reading it never initialises anything and is safe in a signal handler.
    static CURRENT: Cell<*mut ExecContext> = const { Cell::new(ptr::null_mut()) };
}

/// Makes an execution context the current one of this thread, and the one before current again when dropped.
#[derive(Debug)]
pub struct CurrentExec {
    previous: *mut ExecContext,
}

impl CurrentExec {
    /// Makes `exec` the current one.
    ///
    /// # Safety
    /// It must stay alive, and on this thread, until the returned value has been dropped. Values are
    /// dropped in the reverse of the order in which they were made.
    pub unsafe fn set(exec: *mut ExecContext) -> CurrentExec {
        alternate_stack::ensure();
        CurrentExec { previous: CURRENT.replace(exec) }
    }
}

impl Drop for CurrentExec {
    fn drop(&mut self) {
        CURRENT.set(self.previous);
    }
}

/// The execution context whose code runs, or called out, on this thread; null when there is none.
pub extern "C" fn current_exec() -> *mut ExecContext {
    CURRENT.get()
}
