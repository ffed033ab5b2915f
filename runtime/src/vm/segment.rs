//! Segments: stretches of guest frames that one tier has on the stacks, and the walk over them.
//!
//! Each time Rust enters guest code, be it from the host or from another tier, a [`Segment`] is linked in front
//! of the others; it is on the native stack of that entry and withdrawn when the entry returns. A tier that
//! calls out leaves behind where: so a walk finds the innermost frame of every segment, asks the segment's tier
//! for the callers until it comes to the entry, and goes on with the segment before. Backtraces and the roots
//! of a collection are found by such walks.

use std::ptr;
use std::sync::Arc;

use super::context::VmContext;
use super::exec::ExecContext;
use super::native_stack;
use crate::module::Module;

/// The tier that a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tier {
    /// Tier 0: frames are on the value stack.
    Interpreter,
    /// Machine code: frames are on the native stack and linked by their frame pointers.
    Compiled,
}

/// A frame and the instruction that it is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site {
    /// An address inside the instruction: of bytecode in tier 0. Null when there is no frame.
    pub code: *const u8,
    /// Slot 0 of a frame of tier 0; the frame pointer of a compiled one.
    pub frame: *mut u64,
    /// The context of its instance. Compiled frames do not say: null there.
    pub vmctx: *mut VmContext,
}

impl Site {
    /// No frame at all.
    pub const NOWHERE: Site = Site { code: ptr::null(), frame: ptr::null_mut(), vmctx: ptr::null_mut() };
}

/// A frame that a walk has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundFrame {
    /// Its tier.
    pub tier: Tier,
    /// Where it is.
    pub site: Site,
}

/// What a frame is executing.
#[derive(Clone, Debug)]
pub struct Position {
    /// The module of its function.
    pub module: Arc<Module>,
    /// The function's index in the module.
    pub function: u32,
    /// Offset of the instruction in the module's bytes; of the function's body where finding it out would take
    /// too long.
    pub offset: u32,
}

/// Finds the caller of a frame inside the frame's segment; `None` for the one that was entered.
///
/// # Safety
/// The frame is on the stacks, in this segment.
pub type CallerOf = unsafe fn(segment: &Segment, site: Site) -> Option<Site>;

/// One entry of Rust into guest code.
#[derive(Debug)]
pub struct Segment {
    previous: *mut Segment,
    tier: Tier,
    caller_of: CallerOf,
    /// Frame pointer of the `enter` stub below compiled frames.
    entry_fp: usize,
    /// The frame that called out, while it does.
    exit: Site,
}

impl Segment {
    /// A segment of tier 0, whose frames `caller_of` understands.
    pub fn interpreter(caller_of: CallerOf) -> Segment {
        Segment::of(Tier::Interpreter, caller_of)
    }

    /// A segment of compiled code.
    pub fn compiled() -> Segment {
        Segment::of(Tier::Compiled, caller_by_frame_pointer)
    }

    fn of(tier: Tier, caller_of: CallerOf) -> Segment {
        Segment { previous: ptr::null_mut(), tier, caller_of, entry_fp: 0, exit: Site::NOWHERE }
    }

    /// Takes down what the innermost segment's code has left in the execution context, which the next entry
    /// into compiled code overwrites.
    #[inline(always)]
    fn settle(&mut self, exec: &ExecContext) {
        if self.tier == Tier::Compiled {
            let native = &exec.native;
            self.entry_fp = native.entry_fp;
            // A function that was entered and is none of compiled code has left no frame.
            self.exit = match native.exit_fp == native.entry_fp {
                true => Site::NOWHERE,
                false => Site {
                    code: ptr::with_exposed_provenance(native.exit_pc.wrapping_sub(1)),
                    frame: ptr::with_exposed_provenance_mut(native.exit_fp),
                    vmctx: ptr::null_mut(),
                },
            };
        }
    }
}

impl ExecContext {
    /// Says where the code of the innermost segment calls out. Compiled code need not: it leaves that in this
    /// context.
    ///
    /// # Safety
    /// The frame is one of that segment, and stays on its stack until the code goes on.
    #[inline(always)]
    pub unsafe fn set_exit(&mut self, exit: Site) {
        // SAFETY: segments that are linked are alive.
        if let Some(segment) = unsafe { self.segment.as_mut() } {
            segment.exit = exit;
        }
    }
}

/// A frame pointer points at the caller's, behind which is the address to return to.
unsafe fn caller_by_frame_pointer(segment: &Segment, site: Site) -> Option<Site> {
    // SAFETY: the caller's promise: compiled code keeps the chain of frame pointers.
    unsafe {
        let outer = *site.frame;
        if outer as usize == segment.entry_fp {
            return None;
        }
        let code = ptr::with_exposed_provenance(*site.frame.add(1) as usize - 1);
        Some(Site { code, frame: ptr::with_exposed_provenance_mut(outer as usize), vmctx: ptr::null_mut() })
    }
}

/// Withdraws a segment when dropped, also when something unwinds out of the entry.
#[derive(Debug)]
pub struct Entered {
    exec: *mut ExecContext,
    previous: *mut Segment,
    ref_frame: *mut u32,
    /// Where compiled code of the segment before has called out: its frame pointer and address. Whatever is entered
    /// overwrites them, and who is called may look at them again, or enter something else.
    native_exit: (usize, usize),
}

impl Entered {
    /// Links `segment` in front of the others, with a reference frame that starts at the top.
    ///
    /// # Safety
    /// `exec` outlives the returned value; `segment` is on the native stack and stays where it is until then.
    #[inline(always)]
    pub unsafe fn new(exec: *mut ExecContext, segment: *mut Segment) -> Entered {
        // SAFETY: the caller's promise; segments that are linked are alive.
        unsafe {
            let previous = (*exec).segment;
            if let Some(outer) = previous.as_mut() {
                outer.settle(&*exec);
            }
            (*segment).previous = previous;
            (*exec).segment = segment;
            let native_exit = ((*exec).native.exit_fp, (*exec).native.exit_pc);
            let entered = Entered { exec, previous, ref_frame: (*exec).ref_frame, native_exit };
            (*exec).ref_frame = (*exec).ref_top;
            if previous.is_null() {
                (*exec).entered(native_stack::pointer());
            }
            entered
        }
    }
}

impl Drop for Entered {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: promised in `new`.
        unsafe {
            (*self.exec).ref_frame = self.ref_frame;
            (*self.exec).segment = self.previous;
            if !self.previous.is_null() {
                ((*self.exec).native.exit_fp, (*self.exec).native.exit_pc) = self.native_exit;
            }
        }
    }
}

/// Calls `visit` with each frame of compiled code.
///
/// # Safety
/// The frames are on the stacks: guest code is waiting for the caller.
pub(super) unsafe fn for_each_compiled(exec: &ExecContext, visit: &mut dyn FnMut(Site)) {
    // SAFETY: the caller's promise, and segments that are linked are alive.
    unsafe {
        if let Some(top) = exec.segment.as_mut() {
            top.settle(exec);
        }
        let mut segment = exec.segment;
        while let Some(current) = segment.as_ref() {
            if current.tier == Tier::Compiled {
                let mut next = Some(current.exit).filter(|site| !site.code.is_null());
                while let Some(site) = next {
                    visit(site);
                    next = (current.caller_of)(current, site);
                }
            }
            segment = current.previous;
        }
    }
}

/// The frames of guest code, innermost first, at most `limit`. `innermost` are those that the caller knows of
/// already; with them, the walk goes on from the segment before the innermost one.
///
/// # Safety
/// The frames are on the stacks: guest code is waiting for the caller.
pub(super) unsafe fn walk(
    exec: &ExecContext,
    innermost: Option<Vec<FoundFrame>>,
    limit: usize,
) -> Vec<FoundFrame> {
    let mut segment = exec.segment;
    let mut frames = Vec::new();
    // SAFETY: the caller's promise, and segments that are linked are alive.
    unsafe {
        if let Some(top) = segment.as_mut() {
            match innermost {
                Some(known) => {
                    frames = known;
                    frames.truncate(limit);
                    segment = top.previous;
                }
                None => top.settle(exec),
            }
        }
        while let Some(current) = segment.as_ref() {
            let mut next = Some(current.exit).filter(|site| !site.code.is_null());
            while let Some(site) = next {
                if frames.len() >= limit {
                    return frames;
                }
                frames.push(FoundFrame { tier: current.tier, site });
                next = (current.caller_of)(current, site);
            }
            segment = current.previous;
        }
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::super::stack::StackSizes;
    use super::*;

    /// Frames of these tests are numbers, each called by the one below it; number 1 was entered.
    fn site(number: usize) -> Site {
        Site { code: ptr::without_provenance(number), ..Site::NOWHERE }
    }

    unsafe fn one_below(_: &Segment, from: Site) -> Option<Site> {
        (from.code.addr() > 1).then(|| site(from.code.addr() - 1))
    }

    fn numbers(frames: &[FoundFrame]) -> Vec<usize> {
        frames.iter().map(|frame| frame.site.code.addr()).collect()
    }

    /// Compiled frames on a native stack: (frame pointer of the caller, address to return to), twice.
    const STUB: usize = 0x5000;

    #[test]
    fn a_walk_goes_through_the_segments_of_all_tiers_from_the_innermost_on() {
        let mut exec = ExecContext::new(StackSizes::default()).unwrap();
        let exec = &raw mut *exec;
        let mut native = [STUB as u64, 0x41, 0, 0x42];
        native[2] = native.as_ptr().expose_provenance() as u64;
        // SAFETY: the segments outlive their entries, and their frames are as their tiers expect.
        unsafe {
            let mut outer = Segment::interpreter(one_below);
            let _outer = Entered::new(exec, &raw mut outer);
            (*exec).set_exit(site(2));
            let mut compiled = Segment::compiled();
            let _compiled = Entered::new(exec, &raw mut compiled);
            (*exec).native.entry_fp = STUB;
            (*exec).native.exit_fp = native[2..].as_ptr().expose_provenance();
            (*exec).native.exit_pc = 0x44;
            assert_eq!(numbers(&(*exec).waiting_frames(10)), [0x43, 0x41, 2, 1]);
            {
                let mut inner = Segment::interpreter(one_below);
                let _inner = Entered::new(exec, &raw mut inner);
                // What the compiled code has left is overwritten from here on.
                (*exec).native.exit_pc = 0;
                (*exec).set_exit(site(1));
                let frames = (*exec).waiting_frames(10);
                assert_eq!(numbers(&frames), [1, 0x43, 0x41, 2, 1]);
                let tiers = frames.iter().map(|frame| frame.tier == Tier::Compiled).collect::<Vec<_>>();
                assert_eq!(tiers, [false, true, true, false, false]);
                assert_eq!(numbers(&(*exec).waiting_frames(2)), [1, 0x43]);
            }
            assert_eq!((*exec).segment, &raw mut compiled);
        }
    }

    #[test]
    fn a_stub_that_was_entered_and_calls_out_at_once_is_no_frame() {
        let mut exec = ExecContext::new(StackSizes::default()).unwrap();
        let exec = &raw mut *exec;
        // SAFETY: as above.
        unsafe {
            let mut compiled = Segment::compiled();
            let _compiled = Entered::new(exec, &raw mut compiled);
            ((*exec).native.entry_fp, (*exec).native.exit_fp) = (STUB, STUB);
            assert_eq!(numbers(&(*exec).waiting_frames(10)), []);
        }
    }

    #[test]
    fn a_stop_keeps_the_frames_of_its_first_report() {
        let mut exec = ExecContext::new(StackSizes::default()).unwrap();
        exec.backtrace_limit = 10;
        let exec = &raw mut *exec;
        // SAFETY: as above.
        unsafe {
            let mut outer = Segment::interpreter(one_below);
            let _outer = Entered::new(exec, &raw mut outer);
            (*exec).set_exit(site(1));
            {
                let mut inner = Segment::compiled();
                let _inner = Entered::new(exec, &raw mut inner);
                // Native frames are gone when a trap is reported.
                let known = vec![FoundFrame { tier: Tier::Compiled, site: site(7) }];
                (*exec).take_down_frames(Some(known));
            }
            (*exec).take_down_frames(None);
            assert_eq!(numbers(&(*exec).take_stopped()), [7, 1]);
            (*exec).backtrace_limit = 2;
            let known =
                (1..4).map(|number| FoundFrame { tier: Tier::Compiled, site: site(number) }).collect();
            (*exec).take_down_frames(Some(known));
            assert_eq!(numbers(&(*exec).take_stopped()), [1, 2]);
            assert!((*exec).take_stopped().is_empty());
            (*exec).backtrace_limit = 0;
            (*exec).take_down_frames(None);
            assert!((*exec).take_stopped().is_empty());
        }
    }
}
