//! The execution context of a store: what running code shares with the runtime.
//!
//! There is one for each store. It points at the current stack, holds the words that code polls, the fuel,
//! and whatever is pending when code returns with a status other than "ok".

use std::marker::PhantomPinned;
use std::mem::offset_of;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use super::constants::Constant;
use super::context::VmContext;
use super::exception::TagId;
use super::gc::shape::Kind;
use super::gc::{GcWords, Handles, NULL_BYTES, Tracer};
use super::interrupt::{InterruptTarget, PollWords};
use super::memory::GrowError;
use super::native::NativeWords;
use super::native_stack;
use super::reported::Reported;
use super::segment::{FoundFrame, Segment, for_each_compiled, walk};
use super::stack::{Stack, StackSizes};
use crate::trap::{HostError, Pending, Trap};
use crate::types::table::Directory;

/// What running code asks of the store that it belongs to.
pub trait StoreHooks {
    /// Whether a memory may grow from `current` to `desired` bytes. `desired` may be beyond the maximum.
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, HostError>;

    /// A memory did not grow as it was allowed to. An error stops the guest.
    fn memory_grow_failed(&mut self, error: GrowError) -> Result<(), HostError>;

    /// Whether a table may grow from `current` to `desired` elements. `desired` may be beyond the maximum.
    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, HostError>;

    /// A table did not grow as it was allowed to. An error stops the guest.
    fn table_grow_failed(&mut self, error: GrowError) -> Result<(), HostError>;

    /// Requests of other threads (see [`reason`](super::reason)) have reached the guest. An error stops it.
    fn interrupted(&mut self, reasons: u32) -> Result<(), Pending>;

    /// Makes an object by [`Store::allocate`](super::Store::allocate), which may collect.
    ///
    /// # Safety
    /// As for that.
    unsafe fn allocate(&mut self, kind: Kind, bytes: usize) -> Result<u32, Pending>;
}

/// Where tier 0 goes on after a slow path. The slow path leaves it here rather than returning it: handlers
/// end in jumps only while nothing of theirs is in memory.
#[derive(Clone, Copy, Debug)]
pub struct Resume {
    /// Next instruction.
    pub ip: *const u8,
    /// Its frame.
    pub sp: *mut u64,
    /// Context of the frame's instance.
    pub vmctx: *mut VmContext,
    /// Result of a call that has been completed.
    pub value: u64,
}

/// Entries and back edges of tier 0 from one slow path to the next, unless somebody wants to see them more often. So many
/// turns of the longest loop that has no loop or call in it are over soon.
const DEFAULT_INTERVAL: u32 = 1 << 10;

/// How many entries and back edges there are between two slow paths: about as many each time, but never in step with the
/// guest. A loop that calls makes two of them in each turn; if the number was always even, either the calls or the turns
/// would never be seen.
#[derive(Debug)]
struct Interval {
    mean: u32,
    random: u32,
    /// This one and the one before.
    now: i32,
    last: i32,
}

impl Interval {
    fn new(mean: u32) -> Interval {
        let mean = mean.clamp(1, DEFAULT_INTERVAL);
        Interval { mean, random: 0x9e37_79b9, now: mean as i32, last: mean as i32 }
    }

    /// Begins the next one.
    fn begin(&mut self) -> i32 {
        // Xorshift: Marsaglia, "Xorshift RNGs", 2003.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.last = self.now;
        self.now = (self.mean / 2 + 1 + self.random % self.mean) as i32;
        self.now
    }
}

/// How many words could be looked at for references while the stack map of a frame is found.
const FRAME: usize = 16;

/// The execution context of a store.
#[derive(Debug)]
#[repr(C)]
pub struct ExecContext {
    poll: PollWords,
    /// Units of fuel left. Charged in every tier at the same points; meaningless unless the code charges.
    pub fuel: i64,
    /// Where objects are made.
    pub gc: GcWords,
    /// For compiled code.
    pub native: NativeWords,
    /// Where the records of the engine's types are; null in a context that is no store's.
    pub types: Directory,
    /// First reference slot of the running frame.
    pub ref_frame: *mut u32,
    /// Address behind the last reference slot.
    pub ref_limit: usize,
    stack: Box<Stack>,
    /// First value slot that is free for the next entry from the host.
    pub value_top: *mut u64,
    /// First reference slot that is free for the next entry from the host.
    pub ref_top: *mut u32,
    /// Lowest address that native frames may reach.
    native_floor: usize,
    /// The innermost entry into guest code.
    pub(super) segment: *mut Segment,
    /// Most frames that are taken down when code stops.
    pub backtrace_limit: usize,
    /// The frames that were there when code stopped.
    stopped: Option<Vec<FoundFrame>>,
    /// Where tier 0 goes on after a slow path.
    pub resume: Resume,
    pending: Option<Pending>,
    /// The exception that is pending, for which a handler is looked for; else null.
    pub(super) exception: u32,
    /// Tags that the store has given numbers.
    tags: u32,
    target: Arc<InterruptTarget>,
    hooks: Option<NonNull<dyn StoreHooks>>,
    /// Entries and back edges of tier 0 from one slow path to the next.
    interval: Interval,
    /// What the last reports on warm code were of.
    pub reported: Reported,
    /// Whether polls of compiled code take the slow path whenever somebody can see to that.
    pub polls_often: bool,
    /// The references that the host holds.
    pub handles: Handles,
    /// The operands of a constant expression that is being evaluated.
    pub(super) constants: Vec<Constant>,
    /// What code without bounds checks can reach. It changes only while no code of the guest runs: the signal handler
    /// reads it.
    reservations: Vec<Range<usize>>,
    /// Contexts, other threads and the code that runs point at this. Not being `Unpin` tells the compiler that
    /// a `&mut` of it is not the only way to it.
    _pinned: PhantomPinned,
}

impl ExecContext {
    /// Offset of the limit that frames of tier 0 are compared with.
    pub const VALUE_LIMIT: usize = offset_of!(ExecContext, poll) + offset_of!(PollWords, value_limit);
    /// Offset of the limit that compiled code compares its stack pointer with.
    pub const NATIVE_LIMIT: usize = offset_of!(ExecContext, poll) + offset_of!(PollWords, native_limit);
    /// Offset of the fuel.
    pub const FUEL: usize = offset_of!(ExecContext, fuel);

    /// Offset of what is needed to make objects.
    pub const GC: usize = offset_of!(ExecContext, gc);
    /// Offset of the pointer to the directory of type records: see [`types::table`](crate::types::table).
    pub const TYPES: usize = offset_of!(ExecContext, types);
    /// Offset of the words for compiled code.
    pub const NATIVE: usize = offset_of!(ExecContext, native);

    /// A context with a new stack.
    pub fn new(sizes: StackSizes) -> Option<Box<ExecContext>> {
        Stack::new(sizes).map(ExecContext::on)
    }

    /// A context on this stack. Boxed: other threads and contexts point at it.
    pub fn on(stack: Stack) -> Box<ExecContext> {
        let stack = Box::new(stack);
        let context = Box::new(ExecContext {
            poll: PollWords {
                value_limit: AtomicUsize::new(stack.values_end()),
                native_limit: AtomicUsize::new(0),
                count: AtomicI32::new(DEFAULT_INTERVAL as i32),
            },
            fuel: 0,
            gc: GcWords::NONE,
            native: NativeWords::NONE,
            types: ptr::null(),
            ref_frame: stack.references(),
            ref_limit: stack.references_end(),
            value_top: stack.values(),
            ref_top: stack.references(),
            stack,
            native_floor: 0,
            segment: ptr::null_mut(),
            backtrace_limit: 0,
            stopped: None,
            resume: Resume { ip: ptr::null(), sp: ptr::null_mut(), vmctx: ptr::null_mut(), value: 0 },
            pending: None,
            exception: 0,
            tags: 0,
            target: Arc::default(),
            hooks: None,
            interval: Interval::new(DEFAULT_INTERVAL),
            reported: Reported::NOTHING,
            polls_often: false,
            handles: Handles::default(),
            constants: Vec::new(),
            reservations: Vec::new(),
            _pinned: PhantomPinned,
        });
        // SAFETY: the words are in the box; `drop` withdraws them.
        unsafe { context.target.attach(NonNull::from(&context.poll)) };
        context
    }

    /// Names the store's hooks for as long as one entry lasts, and returns those of the entry around it. The
    /// host's entries use it, so that the pointer always comes from the borrow that is current.
    ///
    /// # Safety
    /// `hooks` must stay valid, and may be used whenever guest code of this store runs, until they are
    /// replaced again.
    #[inline]
    pub unsafe fn replace_hooks(
        &mut self,
        hooks: Option<NonNull<dyn StoreHooks>>,
    ) -> Option<NonNull<dyn StoreHooks>> {
        std::mem::replace(&mut self.hooks, hooks)
    }

    /// Where the store's hooks are: for host functions, which get at their store this way.
    #[inline]
    pub fn hooks_ptr(&self) -> Option<NonNull<dyn StoreHooks>> {
        self.hooks
    }

    /// The store's hooks.
    pub fn hooks(&mut self) -> Option<&mut dyn StoreHooks> {
        // SAFETY: promised in `replace_hooks`.
        self.hooks.map(|mut hooks| unsafe { hooks.as_mut() })
    }

    /// The store as other threads see it.
    pub fn target(&self) -> &Arc<InterruptTarget> {
        &self.target
    }

    /// The current stack.
    #[inline]
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// The slots above everything that is running, for an entry from the host; `None` if there are not as many of both
    /// kinds. Every entry begins with this: what nobody has asked for slots of is taken to be all zeroes.
    #[inline]
    pub fn free_slots(&mut self, values: usize, references: usize) -> Option<(*mut u64, *mut u32)> {
        let (value_top, ref_top) = (self.value_top, self.ref_top);
        let values_left = self.stack.values_end().saturating_sub(value_top as usize) / size_of::<u64>();
        let references_left = self.stack.references_end().saturating_sub(ref_top as usize) / size_of::<u32>();
        self.stack.set_used();
        (values <= values_left && references <= references_left).then_some((value_top, ref_top))
    }

    /// Shows the references of frames, and those that the host holds, to a collection.
    ///
    /// All words of the reference stack are null or lead to objects at any time, whether their frames will read them or write
    /// them first: those below the top are updated here, and the others, which no frame has, become null.
    ///
    /// # Safety
    /// The references are of the heap that is collected; guest code, if there is any, waits for a function of the host
    /// that it has called.
    pub(super) unsafe fn trace(&mut self, tracer: &mut Tracer<'_>) {
        let mut visit = |word: *mut u32| {
            // SAFETY: the words are those of frames that wait.
            unsafe { tracer.visit(word) };
        };
        let top = self.ref_top.min(ptr::with_exposed_provenance_mut(self.ref_limit));
        let mut slot = self.stack.references();
        while slot < top {
            visit(slot);
            slot = slot.wrapping_add(1);
        }
        self.stack.clear_references(top);
        visit(&raw mut self.exception);
        let roots = self.native.entries.frame_roots;
        let mut frames = 0;
        // SAFETY: the caller's promise.
        unsafe {
            for_each_compiled(self, &mut |frame| {
                frames += 1;
                roots(self, frame, &mut visit);
            });
        }
        self.handles.words().for_each(|word| visit(word));
        tracer.looked_at(frames * FRAME);
        // SAFETY: the caller's promise.
        self.constants.iter_mut().for_each(|constant| unsafe { constant.trace(tracer) });
    }

    /// Whether no guest code is running.
    #[inline]
    pub fn is_idle(&self) -> bool {
        self.segment.is_null()
    }

    /// The limit that a frame's end is compared with at entries and loop headers.
    #[inline(always)]
    pub fn value_limit(&self) -> usize {
        self.poll.value_limit.load(Ordering::Relaxed)
    }

    /// Counts an entry or a back edge of tier 0. Whether it is time for the slow path.
    #[inline(always)]
    pub fn count(&self) -> bool {
        // Only this thread counts; a request of another one that is overwritten here is answered a little later.
        let left = self.poll.count.load(Ordering::Relaxed).wrapping_sub(1);
        self.poll.count.store(left, Ordering::Relaxed);
        left < 0
    }

    /// Lets tier 0 take the slow path after so many entries and back edges in the mean, at least one.
    pub fn set_interval(&mut self, mean: u32) {
        self.interval = Interval::new(mean);
        self.poll.count.store(self.interval.begin(), Ordering::Relaxed);
    }

    /// Lets the next poll of compiled code take the slow path, if that is wanted [often](Self::polls_often).
    #[inline]
    pub fn poll_soon(&self) {
        if self.polls_often {
            self.poll.native_limit.store(usize::MAX, Ordering::SeqCst);
        }
    }

    /// Lowest address that frames of compiled code may reach.
    pub fn native_floor(&self) -> usize {
        self.native_floor
    }

    /// The entries and back edges between the last slow path and the one before, if no other thread asked for it.
    pub fn interval(&self) -> u32 {
        self.interval.last as u32
    }

    /// Remembers what made code stop. The first reason counts.
    pub fn set_pending(&mut self, pending: Pending) {
        self.pending.get_or_insert(pending);
    }

    /// What made code stop.
    pub fn pending(&self) -> Option<&Pending> {
        self.pending.as_ref()
    }

    /// A tag that is none of those before.
    pub fn new_tag(&mut self) -> Option<TagId> {
        self.tags = self.tags.checked_add(1)?;
        Some(TagId(self.tags))
    }

    /// Takes what made code stop.
    pub fn take_pending(&mut self) -> Option<Pending> {
        self.pending.take()
    }

    /// Code of the innermost segment stops, by what is pending: takes down the frames, which will not be there
    /// any more when the host asks. Those of a stop that is on its way outwards are kept.
    ///
    /// `innermost` are the frames of the innermost segment, where they are gone already; else they are found from
    /// the segment's exit.
    ///
    /// # Safety
    /// All other frames are on the stacks.
    pub unsafe fn take_down_frames(&mut self, innermost: Option<Vec<FoundFrame>>) {
        if self.stopped.is_none() && self.backtrace_limit > 0 {
            // SAFETY: the caller's promise.
            self.stopped = Some(unsafe { walk(self, innermost, self.backtrace_limit) });
        }
    }

    /// The frames that were there when code stopped, innermost first.
    pub fn take_stopped(&mut self) -> Vec<FoundFrame> {
        self.stopped.take().unwrap_or_default()
    }

    /// The frames of guest code that is waiting, innermost first, at most `limit`.
    ///
    /// # Safety
    /// They are on the stacks: nothing has changed since guest code called out.
    pub unsafe fn waiting_frames(&self, limit: usize) -> Vec<FoundFrame> {
        // SAFETY: the caller's promise.
        unsafe { walk(self, None, limit) }
    }

    /// The slow path of every poll: answers requests of other threads, then checks whether a frame that
    /// ends at `frame_end` fits on the value stack.
    ///
    /// # Safety
    /// `this` is alive. The hooks may use it as well, so that no reference to it is held over their call.
    #[cold]
    #[inline(never)]
    pub unsafe fn poll_slow(this: *mut ExecContext, frame_end: usize) -> Result<(), Pending> {
        // SAFETY: the caller's promise.
        unsafe {
            let end = (*this).stack.values_end();
            (*this).poll.value_limit.store(end, Ordering::SeqCst);
            (*this).poll.native_limit.store((*this).native_floor, Ordering::SeqCst);
            // One more for the entry that is repeated after this.
            (*this).poll.count.store((*this).interval.begin(), Ordering::SeqCst);
            let reasons = (*this).target.take();
            if reasons != 0
                && let Some(mut hooks) = (*this).hooks
            {
                hooks.as_mut().interrupted(reasons)?;
            }
            if frame_end > end { Err(Trap::StackOverflow.into()) } else { Ok(()) }
        }
    }

    /// The outermost entry has been made, from the native stack at `address`: compiled code has what is below it.
    /// A request that has lowered the limit stays.
    #[inline]
    pub(super) fn entered(&mut self, address: usize) {
        self.stopped = None;
        let floor = address.saturating_sub(self.stack.sizes().native).max(native_stack::floor(address));
        self.native_floor = floor;
        // Other threads only ever raise the limit, to the same value: one that is right already, or raised, need not be
        // written, which is the case for all but the first of many calls from one place.
        let limit = self.poll.native_limit.load(Ordering::Relaxed);
        if limit != floor && limit != usize::MAX {
            let (success, failure) = (Ordering::SeqCst, Ordering::SeqCst);
            let _ = self.poll.native_limit.compare_exchange(limit, floor, success, failure);
        }
    }

    /// Notes what code without bounds checks can reach besides what is known.
    pub(super) fn add_reservations(&mut self, more: impl IntoIterator<Item = Range<usize>>) {
        self.reservations.extend(more);
    }

    /// Notes what code without bounds checks can reach, and nothing else.
    pub(super) fn set_reservations(&mut self, all: impl IntoIterator<Item = Range<usize>>) {
        self.reservations.clear();
        self.reservations.extend(all);
    }

    /// Whether code without bounds checks can reach an address: a fault elsewhere is none of the guest's. Async-signal-safe.
    pub fn is_reserved(&self, address: usize) -> bool {
        self.reservations.iter().any(|reservation| reservation.contains(&address))
    }

    /// Whether an address is one of a field of null, as compiled code computes it. Async-signal-safe.
    pub fn is_in_null(&self, address: usize) -> bool {
        // Without a heap its base is null as well, and nothing is mapped there either.
        address.wrapping_sub(self.gc.base as usize) < NULL_BYTES
    }

    /// Whether the native stack has room for one more entry.
    #[inline]
    pub fn native_stack_left(&self) -> bool {
        native_stack::pointer() >= self.native_floor
    }
}

impl Drop for ExecContext {
    fn drop(&mut self) {
        self.target.detach(self.stack.process());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_known_to_generated_code_do_not_move() {
        assert_eq!((ExecContext::VALUE_LIMIT, ExecContext::NATIVE_LIMIT, ExecContext::FUEL), (0, 8, 24));
        assert_eq!((ExecContext::GC, ExecContext::NATIVE), (32, 48));
        let words = [offset_of!(GcWords, base), offset_of!(GcWords, top), offset_of!(GcWords, end)];
        assert_eq!(words, [0, 8, 12]);
    }

    fn poll(exec: &mut ExecContext, frame_end: usize) -> Result<(), Pending> {
        // SAFETY: the context is alive.
        unsafe { ExecContext::poll_slow(exec, frame_end) }
    }

    #[test]
    fn an_entry_sets_the_limit_of_compiled_code_unless_a_request_has_raised_it() {
        let sizes = StackSizes { native: 64 << 10, ..StackSizes::default() };
        let mut exec = ExecContext::on(Stack::new(sizes).unwrap());
        let limit = |exec: &ExecContext| exec.poll.native_limit.load(Ordering::SeqCst);
        let here = &raw const exec as usize;
        for address in [here, here, here - 4096, here] {
            exec.entered(address);
            assert_eq!(limit(&exec), address - sizes.native);
        }
        exec.target().clone().request(crate::vm::reason::INTERRUPT);
        for address in [here, here - 4096] {
            exec.entered(address);
            assert_eq!((limit(&exec), exec.native_floor()), (usize::MAX, address - sizes.native));
        }
    }

    #[test]
    fn a_request_reaches_the_next_poll_and_only_that() {
        struct Hooks(Vec<u32>);
        impl StoreHooks for Hooks {
            fn memory_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool, HostError> {
                Ok(true)
            }
            fn memory_grow_failed(&mut self, _: GrowError) -> Result<(), HostError> {
                Ok(())
            }
            fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool, HostError> {
                Ok(true)
            }
            fn table_grow_failed(&mut self, _: GrowError) -> Result<(), HostError> {
                Ok(())
            }
            fn interrupted(&mut self, reasons: u32) -> Result<(), Pending> {
                self.0.push(reasons);
                Err(Trap::Interrupt.into())
            }
            unsafe fn allocate(&mut self, _: Kind, _: usize) -> Result<u32, Pending> {
                Err(Trap::GcHeapOutOfMemory.into())
            }
        }
        let mut hooks = Hooks(Vec::new());
        let mut exec = ExecContext::new(StackSizes::default()).unwrap();
        // SAFETY: the hooks outlive the context.
        unsafe { exec.replace_hooks(Some(NonNull::from(&mut hooks as &mut dyn StoreHooks))) };
        exec.target().clone().request(crate::vm::reason::INTERRUPT);
        assert_eq!(exec.value_limit(), 0);
        assert!(matches!(poll(&mut exec, 0), Err(Pending::Trap(Trap::Interrupt))));
        assert_ne!(exec.value_limit(), 0);
        assert!(poll(&mut exec, 0).is_ok());
        assert!(matches!(poll(&mut exec, usize::MAX), Err(Pending::Trap(Trap::StackOverflow))));
        drop(exec);
        assert_eq!(hooks.0, [crate::vm::reason::INTERRUPT]);
    }
}
