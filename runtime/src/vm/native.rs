//! What compiled code and its stubs keep in the execution context of a store.
//!
//! The stubs and the handlers of traps read and write these words by offset; nothing here calls guests. The
//! functions among them are set by the tier that compiles; those that a store may do without are optional.

use std::{fmt, ptr};

use super::context::VmContext;
use super::exec::ExecContext;
use super::func_ref::FuncRef;
use super::segment::Site;
use crate::trap::{Pending, Status};

/// What compiled code and its stubs keep in the execution context.
#[derive(Debug)]
#[repr(C)]
pub struct NativeWords {
    /// The slow paths that compiled code calls, by number. The table belongs to the compiling tier.
    pub builtins: *const *const u8,
    /// Stack pointer of the innermost `enter` stub, at whose handler traps land; 0 when there is none.
    pub entry_sp: usize,
    /// Its frame pointer.
    pub entry_fp: usize,
    /// Its handler.
    pub entry_handler: usize,
    /// Frame pointer of the compiled frame that called out of compiled code last.
    pub exit_fp: usize,
    /// Where that call returns to.
    pub exit_pc: usize,
    /// How calls pass from tier to tier.
    pub entries: NativeEntries,
    /// Whom compiled code has to call for the interpreter that returned
    /// [`Status::TailCall`].
    pub tail_call: TailTarget,
    /// Where compiled code goes on that has raised.
    pub landing: Landing,
    /// The frames that the last trap of compiled code left.
    pub trace: NativeTrace,
    /// What the compiling tier knows of its code; null in stores that run no compiled code.
    pub code: *const (),
    /// Where compiled code is that calls the slow path of a poll.
    pub polling: Polling,
    /// What it has to tail-call then; null if it goes on.
    pub way_out: *const u8,
    /// What a `call_indirect` calls that has looked it up in its table.
    pub callee: *const FuncRef,
    /// Where compiled code has been left last in the middle of a function.
    pub left: Left,
    /// The context with which compiled code was entered last.
    pub entered: *mut VmContext,
    /// What decides when code is compiled, for [`NativeEntries::counted`] and [`NativeEntries::leaves`].
    pub policy: *const (),
    /// The compiled code of functions of the host until it is known what they need.
    pub unbound: *const u8,
}

/// The functions through which calls pass from tier to tier. A store that runs no compiled code has functions there
/// that report as much.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct NativeEntries {
    /// Runs functions of tier 0 that compiled code calls: what its stubs call.
    pub interpreter: InterpreterEntry,
    /// Lets frames go on in tier 0 that compiled code leaves: what its stubs call.
    pub resume: InterpreterEntry,
    /// Runs a function of tier 0, for the two above.
    pub run_interpreter: InterpreterRun,
    /// Calls a function that has compiled code, for the host and for tier 0.
    pub call: TierEntry,
    /// What tier 0 tells of how often its code runs; nobody where that is nobody's business.
    pub counted: Option<Counted>,
    /// Whether a frame of compiled code shall leave for tier 0; never, if there is none.
    pub leaves: Option<Leaves>,
    /// Finds the collected references of a frame of compiled code.
    pub frame_roots: FrameRoots,
    /// Runs the compiled code of a loop, which was given to tier 0 for that, to the end of its function.
    pub enter_loop: LoopEntry,
}

/// Where code goes on: at a handler, whose frame is there.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Landing {
    /// Stack pointer.
    pub sp: usize,
    /// Frame pointer.
    pub fp: usize,
    /// The handler.
    pub pc: usize,
    /// What it is given.
    pub word: u64,
}

/// Runs a function of tier 0 for compiled code: as [`TierEntry`], from the header of the loop whose operator is at `at` in
/// the module, or from its entry if that is 0. It may return [`Status::TailCall`] as well, with context, id and slots of the
/// callee in [`NativeWords::tail_call`].
pub type InterpreterRun =
    unsafe extern "C" fn(exec: *mut ExecContext, vmctx: *mut VmContext, function: u32, at: u32) -> Status;

/// Whether the running frame of a function's compiled code shall go on in tier 0, at the header of the loop at `at` or at its
/// entry if that is 0. If so, tier 0 can do that: it has the code and the room.
pub type Leaves =
    unsafe extern "C" fn(exec: *mut ExecContext, vmctx: *mut VmContext, function: u32, at: u32) -> bool;

/// Calls `visit` with each word of a frame of compiled code, which waits at a call, that holds a collected reference the code
/// uses after the call.
pub type FrameRoots = unsafe fn(exec: *const ExecContext, frame: Site, visit: &mut dyn FnMut(*mut u32));

/// Tier 0 has counted [`ExecContext::interval`] entries and back edges, the last of them into `place`. It runs after
/// requests have been answered, and must not unwind.
pub type Counted = unsafe extern "C" fn(exec: *mut ExecContext, vmctx: *mut VmContext, place: *const Place);

/// Goes on at the header of a loop in the frame of tier 0 that starts at `frame` and at [`ExecContext::ref_frame`]: in
/// compiled code, to the end of the function, whose results are at the start of the frame then. `code` is what tier 0
/// was given for the loop. Status as for [`TierEntry`].
pub type LoopEntry = unsafe extern "C" fn(
    exec: *mut ExecContext,
    vmctx: *mut VmContext,
    code: *const (),
    frame: *mut u64,
) -> Status;

/// A place in a function where its code is entered again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The function's index in its module.
    pub function: u32,
    /// Offset in the module of the `loop` operator; 0 for the function's entry.
    pub at: u32,
    /// The frame that is there, for a loop; null for an entry.
    pub frame: *mut u64,
}

/// Calls, in one tier, a function of the instance with this context and with this index in its module. The arguments
/// are in the slots of tier 0 from [`ExecContext::value_top`] and [`ExecContext::ref_top`] on, and so are the results.
///
/// It must not unwind. With [`Status::Left`], which only compiled code answers, the frame that was entered, or one that took its
/// place by a tail call, goes on in tier 0 in the same context: as [`NativeWords::left`] says. With any other status than
/// [`Status::Ok`] the reason is pending, and frames have been taken down.
pub type TierEntry =
    unsafe extern "C" fn(exec: *mut ExecContext, vmctx: *mut VmContext, function: u32) -> Status;

/// Runs a function of tier 0 for compiled code.
///
/// `callee_id` says which one of the module of `vmctx`, as it does for every callee. The arguments are in
/// `slots`, which lie on the value stack from [`ExecContext::value_top`] on, one behind the other;
/// collected references are among them, in the low half of a slot each. The results go to the same slots in
/// the same way. `frame` is the frame of the stub that calls: its two words are the frame pointer of the compiled
/// caller and the address that the call returns to, which are in [`NativeWords::exit_fp`] and `exit_pc` too.
///
/// Returns the number of a [`Status`](crate::trap::Status). It must not unwind.
pub type InterpreterEntry =
    unsafe extern "C" fn(vmctx: *mut VmContext, callee_id: u64, slots: *mut u64, frame: *const usize) -> u64;

/// A function that is to be called in place of one of tier 0 which ended in a tail call.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct TailTarget {
    /// Its code.
    pub code: *const u8,
    /// The context that it is called with.
    pub vmctx: *mut VmContext,
    /// The id that it is called with.
    pub callee_id: u64,
    /// The stub that loads arguments of its type from slots.
    pub bounce: *const u8,
    /// The arguments, as they lie behind each other for [`InterpreterEntry`].
    pub slots: *const u64,
}

/// The innermost frames of the compiled code that a trap left, of the entry at which it landed and none around it.
///
/// Written down when the trap happens, as nothing of them is left when the entry returns. Who entered has to
/// [take](NativeTrace::take) them then: the next trap, that of the code around this entry perhaps, leaves others.
#[derive(Debug)]
#[repr(C)]
pub struct NativeTrace {
    /// Whether there was a trap.
    pub present: bool,
    /// Whether these are all frames.
    pub complete: bool,
    /// Number of frames.
    pub len: usize,
    /// One for each frame: an address behind the first byte of the instruction that it was at, and no more than
    /// behind its last.
    pub addresses: [usize; NativeTrace::MAX],
}

impl NativeTrace {
    /// The largest number of frames.
    pub const MAX: usize = 64;

    const NONE: NativeTrace =
        NativeTrace { present: false, complete: false, len: 0, addresses: [0; NativeTrace::MAX] };

    /// The addresses, innermost first, unless no trap has left any. They are given once.
    pub fn take(&mut self) -> Option<&[usize]> {
        if std::mem::take(&mut self.present) { self.addresses.get(..self.len) } else { None }
    }
}

/// A poll of compiled code.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Polling {
    /// The context of the running instance.
    pub vmctx: *mut VmContext,
    /// The index of the function in its module.
    pub function: u32,
    /// Offset in the module of the operator of the loop whose header the code is at; 0 for the function's entry.
    pub at: u32,
}

/// A frame of compiled code that goes on in tier 0.
#[derive(Clone, Copy, Debug)]
pub struct Left {
    /// The function's index in its module.
    pub function: u32,
    /// Offset in the module of the operator of the loop whose header it is at.
    pub at: u32,
    /// The slots of its values. Its references are from [`ExecContext::ref_top`] on.
    pub slots: *mut u64,
    /// Whether who entered compiled code lets the frame go on.
    pub by_entry: bool,
}

impl NativeWords {
    pub(super) const NONE: NativeWords = NativeWords {
        builtins: ptr::null(),
        entry_sp: 0,
        entry_fp: 0,
        entry_handler: 0,
        exit_fp: 0,
        exit_pc: 0,
        entries: NativeEntries::NONE,
        tail_call: TailTarget {
            code: ptr::null(),
            vmctx: ptr::null_mut(),
            callee_id: 0,
            bounce: ptr::null(),
            slots: ptr::null(),
        },
        landing: Landing { sp: 0, fp: 0, pc: 0, word: 0 },
        trace: NativeTrace::NONE,
        code: ptr::null(),
        polling: Polling { vmctx: ptr::null_mut(), function: 0, at: 0 },
        way_out: ptr::null(),
        callee: ptr::null(),
        left: Left { function: 0, at: 0, slots: ptr::null_mut(), by_entry: false },
        entered: ptr::null_mut(),
        policy: ptr::null(),
        unbound: ptr::null(),
    };

    /// Whether the store runs compiled code.
    #[inline]
    pub fn has_code(&self) -> bool {
        !self.code.is_null()
    }
}

impl NativeEntries {
    const NONE: NativeEntries = NativeEntries {
        interpreter: no_interpreter,
        resume: no_interpreter,
        run_interpreter: no_run,
        call: no_tier,
        counted: None,
        leaves: None,
        frame_roots: no_roots,
        enter_loop: no_loop,
    };
}

/// A call in a tier that the store has not been given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCompiledCode;

impl fmt::Display for NoCompiledCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this store has not been prepared for compiled code")
    }
}

impl std::error::Error for NoCompiledCode {}

unsafe extern "C" fn no_tier(exec: *mut ExecContext, _: *mut VmContext, _: u32) -> Status {
    // SAFETY: entries are called with the running context, whose frames are on the stacks.
    unsafe {
        (*exec).take_down_frames(None);
        (*exec).set_pending(Pending::Host(Box::new(NoCompiledCode)));
    }
    Status::Trap
}

unsafe extern "C" fn no_run(exec: *mut ExecContext, vmctx: *mut VmContext, function: u32, _: u32) -> Status {
    // SAFETY: the caller's promise.
    unsafe { no_tier(exec, vmctx, function) }
}

/// No code, no frames.
unsafe fn no_roots(_: *const ExecContext, _: Site, _: &mut dyn FnMut(*mut u32)) {}

unsafe extern "C" fn no_loop(
    exec: *mut ExecContext,
    vmctx: *mut VmContext,
    _: *const (),
    _: *mut u64,
) -> Status {
    // SAFETY: the caller's promise.
    unsafe { no_tier(exec, vmctx, 0) }
}

unsafe extern "C" fn no_interpreter(vmctx: *mut VmContext, _: u64, _: *mut u64, _: *const usize) -> u64 {
    // SAFETY: the stub passes the context that it was called with.
    unsafe { (*VmContext::exec(vmctx)).set_pending(Pending::Host(Box::new(NoCompiledCode))) };
    Status::Trap as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::StackSizes;

    #[test]
    fn a_store_without_compiled_code_says_so_when_it_is_called() {
        let mut exec = ExecContext::new(StackSizes::default()).unwrap();
        assert!(!exec.native.has_code());
        let exec = &raw mut *exec;
        // SAFETY: the context is alive; the functions look at nothing else.
        unsafe {
            let NativeEntries { run_interpreter, call, .. } = (*exec).native.entries;
            let entries: [&dyn Fn() -> Status; 2] =
                [&|| run_interpreter(exec, ptr::null_mut(), 0, 0), &|| call(exec, ptr::null_mut(), 0)];
            for entry in entries {
                assert_eq!(entry(), Status::Trap);
                let Some(Pending::Host(error)) = (*exec).take_pending() else { panic!("no error") };
                assert_eq!(error.downcast_ref(), Some(&NoCompiledCode));
            }
        }
    }
}
