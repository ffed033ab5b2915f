//! Why guest code stopped, and where: from a status to an error with a backtrace, or to a panic that goes on.
//!
//! This is one of the modules that hold the crate's `unsafe`: backtraces read the frames of guest code.
#![allow(unsafe_code)]

use std::any::Any;
use std::panic::resume_unwind;

use wasmrun_interpreter as interpreter;
use wasmrun_runtime::trap::{Pending, Status};

use crate::backtrace::{FrameInfo, WasmBacktrace};
use crate::error::{Error, HookPanic};
use crate::module::Module;
use crate::store::{AsContext, StoreOpaque};

/// Why guest code stopped: an error, or the payload of a panic to resume.
pub(super) enum Stopped {
    Error(Error),
    Panic(Box<dyn Any + Send>),
}

#[cold]
#[inline(never)]
pub(super) fn stopped(store: &mut StoreOpaque) -> Stopped {
    // The frames are read first: anything that runs on the stack may overwrite them.
    let frames = frames(store, interpreter::Since::Stop);
    let error = match store.vm.exec_mut().take_pending() {
        Some(Pending::Trap(trap)) => Error::new(trap),
        Some(Pending::Host(error)) => match error.downcast::<HookPanic>() {
            Ok(panic) => return Stopped::Panic(panic.into_payload()),
            Err(error) => Error::from_boxed(error),
        },
        Some(Pending::Panic(payload)) => return Stopped::Panic(payload),
        None => Error::msg("guest code stopped without giving a reason"),
    };
    Stopped::Error(match store.engine.config().backtrace_frames() {
        0 => error,
        _ => error.with_backtrace(WasmBacktrace::new(frames)),
    })
}

/// Guest code came back to the host with a status that means something only between tiers and stacks.
#[cold]
pub(super) fn beyond_protocol(status: Status) -> Stopped {
    Stopped::Error(Error::msg(format!("guest code came back to the host with the status {status:?}")))
}

#[cold]
pub(super) fn unwrap_panic(stopped: Stopped) -> Error {
    match stopped {
        Stopped::Error(error) => error,
        Stopped::Panic(payload) => resume_unwind(payload),
    }
}

impl WasmBacktrace {
    /// The frames that have called the running host function. Empty when no guest code runs, and in an
    /// [epoch callback](crate::Store::epoch_deadline_callback), which no function has called.
    pub fn capture(store: impl AsContext) -> WasmBacktrace {
        let store = &store.as_context().inner().opaque;
        let nobody = store.vm.exec().is_idle() || store.check_not_in_callback().is_err();
        WasmBacktrace::new(match nobody {
            true => Vec::new(),
            false => frames(store, interpreter::Since::HostCall),
        })
    }
}

fn frames(store: &StoreOpaque, from: interpreter::Since) -> Vec<FrameInfo> {
    let limit = store.engine.config().backtrace_frames();
    if limit == 0 {
        return Vec::new();
    }
    let exec = std::ptr::from_ref(store.vm.exec()).cast_mut();
    // SAFETY: the store is borrowed and guest code has just stopped, or waits for the host; a backtrace only
    // reads.
    let frames = unsafe { interpreter::backtrace(exec, from, limit) };
    let info = |frame: interpreter::Frame| {
        let module = Module::from_runtime(&store.engine, frame.module);
        FrameInfo::new(module, frame.function, frame.offset)
    };
    frames.into_iter().map(info).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_that_the_host_should_never_see_are_named() {
        for status in [Status::Exception, Status::TailCall, Status::Suspend] {
            let Stopped::Error(error) = beyond_protocol(status) else { panic!("not an error") };
            assert!(error.to_string().ends_with(&format!("{status:?}")), "{error}");
        }
    }
}
