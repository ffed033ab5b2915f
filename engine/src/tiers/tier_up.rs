//! When code of tier 0 is compiled while it runs.
//!
//! A function that has done as much work as compiling it is worth goes to the queue; so does a [loop](super::staying)
//! that a frame stays in. What comes first is what has done the most work beside what compiling it costs, by the time when
//! a thread is free; of functions, what is still at it.

use std::ptr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use wasmrun_interpreter::Loops;
use wasmrun_runtime::module::{MemoryPlan, Module};
use wasmrun_runtime::vm::{ExecContext, Place, VmContext};

use super::compiler::{Compiler, MAX_BODY};
use super::module_tiers::ModuleTiers;
use super::queue::{self, Queue};
use super::staying::{Loop, Patience, Step};

/// How much less is enough in a module that has been run before, which is a module that will be run again. With the usual
/// threshold it is less than one report stands for: what is seen once is compiled.
const RUN_AGAIN: u64 = 5;

/// Reports on one frame in a loop, one after the other, from which on the frame is taken to stay there.
const STAYS: u32 = 2;

/// How many times as much as is enough for a function is done in a loop whose frames have code around them that they do not come
/// to, before that loop gets code too.
const TOO_MANY: u64 = 8;

/// How much more urgent a loop is than a function that has done as much.
const LOOPS_FIRST: u64 = 4;

/// How long a function waits for the compiler until what it has done counts for half.
const HALF: Duration = Duration::from_millis(10);

/// See [`NativeEntries::counted`](wasmrun_runtime::vm::NativeEntries::counted).
unsafe extern "C" fn counted(exec: *mut ExecContext, vmctx: *mut VmContext, place: *const Place) {
    // SAFETY: the context and its module are alive, and so is the policy of the store's engine, which has named itself.
    unsafe {
        let warm = &*(*exec).native.policy.cast::<Warm>();
        let (module, place) = (VmContext::module(vmctx), *place);
        let plan = module.cells().plan_of(VmContext::cells(vmctx));
        let stays = (*exec).reported.stay.note(place.function, place.frame);
        let interval = (*exec).interval();
        let took = (*exec).reported.turning.note(place.function, place.at);
        warm.report(module, plan, place, Since { interval, took }, stays);
    }
}

/// What has been since the last report.
struct Since {
    /// How many entries and turns.
    interval: u32,
    /// The time, if both reports are of the same loop.
    took: Option<Duration>,
}

/// Bytes of a function's body, for comparing with the bytes that it has executed.
fn size(module: &Module, function: u32) -> u64 {
    module.body(function).map_or(1, |body| body.len.max(1)).into()
}

/// The policy.
pub(super) struct Warm {
    compiler: Arc<Compiler>,
    /// Executions after which a function is compiled.
    threshold: u32,
    queue: Queue,
}

impl Warm {
    pub(super) fn new(compiler: Arc<Compiler>, threshold: u32, queue: Queue) -> Warm {
        Warm { compiler, threshold, queue }
    }

    /// Lets the code of a store tell what is warm. This stays where it is as long as the store does.
    pub(super) fn attach(&self, exec: &mut ExecContext) {
        exec.native.policy = ptr::from_ref(self).cast();
        exec.native.entries.counted = Some(counted);
        // Fewer than the threshold, so that one report decides nothing.
        exec.set_interval(self.threshold / 3 * 2);
    }

    /// Frames of `module` and others have entered functions and turned in loops, the last time at `place`, by a frame that has been
    /// found there `stays` times.
    fn report(&self, module: &Arc<Module>, plan: MemoryPlan, place: Place, since: Since, stays: u32) {
        let Place { function, at, .. } = place;
        let tiers = ModuleTiers::of(module);
        let body = size(module, function);
        if body > MAX_BODY.into() {
            // All that there is to do is to note why it is not compiled.
            return self.ask(module, plan, function);
        }
        let work = tiers.functions.work(module, function);
        let Since { interval, took } = since;
        let bytes_of_one = match at {
            0 => work.of_call(),
            _ => tiers.turns.bytes((function, at), work.of_turn(at), took.map(|took| (took, interval))),
        };
        let bytes = u64::from(interval) * u64::from(bytes_of_one);
        let enough = self.enough(module, plan, body);
        let stays = at != 0 && stays >= STAYS;
        if stays {
            // Half of what is enough for a function: a thread is in it.
            let patience = Patience { enough: enough / 2, too_many: (enough + body) * TOO_MANY };
            self.stays_in(module, Loop { plan, function, at }, place.frame, bytes, patience);
        }
        tiers.functions.add_work(module, plan, function, bytes, stays);
        // Each time that the compiler was asked in vain, twice as much is enough.
        let enough = match tiers.functions.in_vain(module, plan, function) {
            0 => enough,
            times => (enough + body).saturating_mul(1_u64.checked_shl(times.into()).unwrap_or(u64::MAX)),
        };
        if tiers.functions.worth(module, plan, function) >= enough {
            self.ask(module, plan, function);
        }
    }

    /// Notes that there is more to be stored if a function without code has done much in this run: an eighth of what is enough in
    /// modules that have been run before, so that it takes no more than eight runs to get it compiled.
    pub(super) fn note_work(&self, module: &Module, plan: MemoryPlan) {
        const MUCH: u64 = 8;
        let tiers = ModuleTiers::of(module);
        let earlier = tiers.earlier_work(plan);
        let done_earlier = |function: u32| {
            earlier.binary_search_by_key(&function, |(function, _)| *function).map_or(0, |at| earlier[at].1)
        };
        let is_much = |&(function, done): &(u32, u64)| {
            let enough = self.usual_enough(size(module, function)) / RUN_AGAIN;
            done - done_earlier(function).min(done) >= (enough / MUCH).max(1)
        };
        if tiers.work_to_keep(module, plan).iter().any(is_much) {
            tiers.note_news(plan);
        }
    }

    /// Bytes that a function of so many has to execute before it is compiled. With a threshold of one that is none.
    fn enough(&self, module: &Module, plan: MemoryPlan, body: u64) -> u64 {
        let enough = self.usual_enough(body);
        if ModuleTiers::of(module).has_been_run(plan) { enough / RUN_AGAIN } else { enough }
    }

    /// The same for a module that has never been run before.
    fn usual_enough(&self, body: u64) -> u64 {
        u64::from(self.threshold.saturating_sub(1)) * body
    }

    /// Adds what functions have done in earlier runs, and asks for the code of those for which that is enough now.
    pub(super) fn go_on_from_earlier_runs(&self, module: &Arc<Module>, plan: MemoryPlan) {
        let tiers = ModuleTiers::of(module);
        for &(function, done) in tiers.earlier_work(plan) {
            tiers.functions.add_work(module, plan, function, done, false);
            let is_enough = done >= self.enough(module, plan, size(module, function));
            // One that calls what tables and references say waits for a report: until then nobody knows whom it calls.
            if is_enough && !tiers.functions.work(module, function).calls_indirectly() {
                self.ask(module, plan, function);
            }
        }
    }

    /// A frame stays in a loop and has executed so many bytes there: if it is time for that, asks for code of that
    /// loop or of one around it that turns.
    fn stays_in(&self, module: &Arc<Module>, of: Loop, frame: *const u64, bytes: u64, patience: Patience) {
        let staying = &ModuleTiers::of(module).loops;
        let loops = Loops::of(module, of.plan, of.function);
        let chosen = match staying.stays_in(of, bytes, patience) {
            None => return,
            Some(Step::Watch) => return loops.watch_around(of.at, frame),
            Some(Step::Choose) => Loop { at: self.loop_to_compile(&loops, module, of), ..of },
            Some(Step::Insist) => of,
        };
        if staying.ask(chosen, of) {
            let (compiler, module) = (self.compiler.clone(), Arc::downgrade(module));
            self.queue.push(LoopJob { compiler, module, chosen, of });
        }
    }

    /// The loop that is compiled for frames that stay in this one.
    fn loop_to_compile(&self, loops: &Loops<'_>, module: &Module, of: Loop) -> u32 {
        let turning = loops.outermost_turning(of.at);
        // Code of the whole function can serve as code of one inside of it, which is come to more often.
        let main = self.compiler.main_loop(module, of.plan, of.function);
        main.filter(|main| (turning..=of.at).contains(main)).unwrap_or(turning)
    }

    /// Asks for the code of a function, unless that has been done.
    fn ask(&self, module: &Arc<Module>, plan: MemoryPlan, function: u32) {
        if ModuleTiers::of(module).functions.ask(module, plan, function) {
            let (compiler, module) = (self.compiler.clone(), Arc::downgrade(module));
            self.queue.push(FunctionJob { compiler, module, plan, function, asked: Instant::now() });
        }
    }
}

/// A function that is to be compiled, unless its module is gone by then.
struct FunctionJob {
    compiler: Arc<Compiler>,
    module: Weak<Module>,
    plan: MemoryPlan,
    function: u32,
    asked: Instant,
}

impl queue::Job for FunctionJob {
    fn urgency(&self) -> u64 {
        let done = |module: &Module| {
            let done = ModuleTiers::of(module).functions.worth(module, self.plan, self.function);
            faded(done, self.asked.elapsed())
        };
        urgency(&self.module, self.function, done)
    }

    fn run(self: Box<Self>) {
        let Some(module) = self.module.upgrade() else { return };
        // A frame that stayed in its main loop may have had it compiled.
        if !ModuleTiers::of(&module).functions.is_compiled(&module, self.plan, self.function) {
            self.compiler.compile(&module, self.plan, self.function);
        }
    }
}

/// A loop that is to be compiled, for frames that stay in `of`.
struct LoopJob {
    compiler: Arc<Compiler>,
    module: Weak<Module>,
    chosen: Loop,
    of: Loop,
}

impl queue::Job for LoopJob {
    fn urgency(&self) -> u64 {
        let done = |module: &Module| ModuleTiers::of(module).loops.done(self.of);
        urgency(&self.module, self.of.function, done).saturating_mul(LOOPS_FIRST)
    }

    fn run(self: Box<Self>) {
        if let Some(module) = self.module.upgrade() {
            self.compiler.compile_loop(&module, self.chosen);
        }
    }
}

/// What the work of a function tells of what it will do, after it has waited for so long: work that goes on grows with the time, that
/// of a beginning which is over does not.
fn faded(done: u64, waited: Duration) -> u64 {
    let half = HALF.as_micros();
    (u128::from(done) * half / (half + waited.as_micros())) as u64
}

/// How often as many bytes as a function has have been executed, in parts that are small enough for large functions. What
/// there is nothing to do for comes first: it is in the way.
fn urgency(module: &Weak<Module>, function: u32, done: impl FnOnce(&Module) -> u64) -> u64 {
    const PARTS: u64 = 1 << 10;
    module.upgrade().map_or(u64::MAX, |module| done(&module).saturating_mul(PARTS) / size(&module, function))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_stopped_while_it_waited_is_less_urgent_than_what_goes_on() {
        assert_eq!(faded(1000, Duration::ZERO), 1000);
        assert_eq!(faded(1000, HALF), 500);
        assert_eq!(faded(3000, HALF), 1500, "it went on");
        assert_eq!(faded(u64::MAX, HALF), u64::MAX / 2);
        assert_eq!(faded(1000, Duration::MAX), 0);
    }
}
