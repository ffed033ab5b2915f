//! A native stack for the compiler, where the guest has left little of its own.
//!
//! Compiled code asks for stubs, and in some configurations for compiled functions, from as deep as the guest likes. The
//! compiler knows of no limit: below the end of the stack the process ends.

use std::{io, panic, thread};

use wasmrun_runtime::parallel::STACK_SIZE;
use wasmrun_runtime::vm::native_stack;

/// What the compiler finds at least. It has been seen to use less than 100 KiB, for stubs and for whatever function.
const LEAST: usize = 1 << 20;

/// Runs the compiler on this thread if it has the stack for that, and on another one otherwise, which is waited for. An
/// error if the system has no thread.
pub fn on_roomy_stack<R: Send>(compile: impl FnOnce() -> R + Send) -> io::Result<R> {
    if native_stack::left() >= LEAST {
        return Ok(compile());
    }
    thread::scope(|scope| {
        let thread = thread::Builder::new().stack_size(STACK_SIZE).spawn_scoped(scope, compile)?;
        Ok(thread.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiler_has_room_wherever_it_is_asked() {
        for size in [256 << 10, 8 << 20] {
            let here = thread::Builder::new().stack_size(size).spawn(|| {
                let (left, inside) = (native_stack::left(), on_roomy_stack(native_stack::left).unwrap());
                assert!(inside >= LEAST, "{inside}");
                let same = on_roomy_stack(|| thread::current().id()).unwrap() == thread::current().id();
                assert_eq!(same, left >= LEAST);
            });
            here.unwrap().join().unwrap();
        }
    }

    #[test]
    fn a_panic_of_the_compiler_comes_back_from_its_own_stack() {
        let small =
            thread::Builder::new().stack_size(256 << 10).spawn(|| on_roomy_stack(|| panic!("a test")));
        assert_eq!(small.unwrap().join().unwrap_err().downcast_ref(), Some(&"a test"));
    }
}
