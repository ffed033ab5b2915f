//! Why guest code stopped, and where: from a status to an error with a backtrace, or to a panic that goes on.
//!
//! This is one of the modules that hold the crate's `unsafe`: backtraces read the frames of guest code.
#![allow(unsafe_code)]

use std::any::Any;
use std::panic::resume_unwind;

use wasmrun_interpreter as interpreter;
use wasmrun_runtime::trap::{Pending, Status};
use wasmrun_runtime::vm::{FoundFrame, Position, Tier};

use crate::backtrace::{FrameInfo, WasmBacktrace};
use crate::error::{Error, HookPanic};
use crate::exception::Exception;
use crate::module::Module;
use crate::probe;
use crate::store::{AsContext, StoreOpaque};

/// Why guest code stopped: an error, or the payload of a panic to resume.
pub(super) enum Stopped {
    Error(Error),
    Panic(Box<dyn Any + Send>),
}

#[cold]
#[inline(never)]
pub(super) fn stopped(store: &mut StoreOpaque) -> Stopped {
    let frames = store.vm.exec_mut().take_stopped();
    if store.watching.is_watching()
        && let (Some(innermost), Some(reason)) = (frames.first(), store.vm.exec().pending())
        && let Some(position) = positions(store, &mut Default::default(), *innermost).first()
    {
        probe::note_stop(position, reason);
    }
    let error = match store.vm.exec_mut().take_pending() {
        Some(Pending::Trap(trap)) => Error::new(trap),
        Some(Pending::Host(error)) => match error.downcast::<HookPanic>() {
            Ok(panic) => return Stopped::Panic(panic.into_payload()),
            Err(error) => Error::from_boxed(error),
        },
        Some(Pending::Panic(payload)) => return Stopped::Panic(payload),
        Some(Pending::Exception) => Error::new(Exception::take(store)),
        None => Error::msg("guest code stopped without giving a reason"),
    };
    Stopped::Error(match store.engine.config().backtrace_frames() {
        0 => error,
        _ => error.with_backtrace(WasmBacktrace::new(describe(store, frames))),
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
        if nobody {
            return WasmBacktrace::new(Vec::new());
        }
        // SAFETY: the store is borrowed, and guest code waits for a function that it has called.
        let frames = unsafe { store.vm.exec().waiting_frames(store.engine.config().backtrace_frames()) };
        WasmBacktrace::new(describe(store, frames))
    }
}

/// What frames, of instances that are alive, were executing.
fn describe(store: &StoreOpaque, frames: Vec<FoundFrame>) -> Vec<FrameInfo> {
    let mut interpreted = interpreter::Positions::default();
    let positions = |frame: FoundFrame| positions(store, &mut interpreted, frame);
    let info = |position: Position| {
        let module = Module::from_runtime(&store.engine, position.module.plain().clone());
        FrameInfo::new(module, position.function, position.offset)
    };
    // A frame of compiled code can be several functions.
    let most = store.engine.config().backtrace_frames();
    frames.into_iter().flat_map(positions).take(most).map(info).collect()
}

/// What a frame was executing, of an instance that is alive. That of compiled code can be several functions, innermost first.
fn positions(
    store: &StoreOpaque,
    interpreted: &mut interpreter::Positions,
    frame: FoundFrame,
) -> Vec<Position> {
    match frame.tier {
        // SAFETY: instances of frames are not freed before the store is idle.
        Tier::Interpreter => unsafe { interpreted.position(frame.site) }.into_iter().collect(),
        Tier::Compiled => match store.engine.compiled() {
            // SAFETY: as above.
            Some(compiled) => unsafe { compiled.positions(frame.site.code.addr()) },
            None => Vec::new(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_that_the_host_should_never_see_are_named() {
        for status in [Status::TailCall, Status::Suspend, Status::Left] {
            let Stopped::Error(error) = beyond_protocol(status) else { panic!("not an error") };
            assert!(error.to_string().ends_with(&format!("{status:?}")), "{error}");
        }
    }
}
