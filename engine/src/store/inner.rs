//! What a store consists of, and its answers to running code.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmrun_runtime::trap::{HostError, Pending, Trap};
use wasmrun_runtime::vm::gc::HostValue;
use wasmrun_runtime::vm::gc::shape::Kind;
use wasmrun_runtime::vm::{self, GrowError, InstanceKey, StoreHooks, reason};

use super::id::StoreId;
use super::limits::ResourceLimiter;
use crate::engine::{Engine, StoreSignal};
use crate::error::{Error, HookPanic, Result};
use crate::probe::Watching;
use crate::timer::AlarmKey;

type Limiter<T> = dyn (FnMut(&mut T) -> &mut dyn ResourceLimiter) + Send + Sync;
type EpochCallback<T> = dyn FnMut(&mut StoreInner<T>) -> Result<UpdateDeadline> + Send + Sync;

/// What an [epoch callback](crate::Store::epoch_deadline_callback) decides.
///
/// ```
/// use wasmrun::{Engine, Store, UpdateDeadline};
///
/// let mut store = Store::new(&Engine::default(), 3);
/// store.set_epoch_deadline(1);
/// store.epoch_deadline_callback(|mut store| {
///     *store.data_mut() -= 1;
///     Ok(if *store.data() > 0 { UpdateDeadline::Continue(1) } else { UpdateDeadline::Interrupt })
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateDeadline {
    /// Go on, and ask again when the epoch has advanced this many times, at least once.
    Continue(u64),
    /// Trap with [`Trap::Interrupt`](crate::Trap).
    Interrupt,
}

/// A store of the host with its data.
pub struct StoreInner<T: 'static> {
    pub(crate) opaque: StoreOpaque,
    pub(crate) limiter: Option<Box<Limiter<T>>>,
    pub(crate) epoch_callback: Option<Box<EpochCallback<T>>>,
    pub(crate) data: T,
}

/// The part of a store that does not depend on the host's data.
pub struct StoreOpaque {
    pub(crate) id: StoreId,
    pub(crate) engine: Engine,
    pub(crate) vm: vm::Store,
    signal: Arc<StoreSignal>,
    /// Fuel beyond what the execution context can count.
    fuel_reserve: u64,
    deadline: Option<Instant>,
    timeout: Option<Duration>,
    /// Whether entries from the host have to look at the two fields above, or are to be refused.
    attention: bool,
    /// The alarm for the deadline of the outermost entry.
    alarm: Option<AlarmKey>,
    /// Who watches its instances.
    pub(crate) watching: Watching,
    /// Whether a callback of the store runs in the middle of guest code, which must not be entered then.
    in_callback: bool,
}

impl<T: 'static> StoreInner<T> {
    pub(super) fn new(engine: &Engine, data: T) -> Result<StoreInner<T>> {
        let config = engine.config();
        let stack = engine.stacks().take().ok_or_else(|| {
            let bytes = config.stack_sizes().values;
            Error::msg(format!("the system has no memory for a guest stack of {bytes} bytes"))
        })?;
        let mut vm = vm::Store::on(stack, config.memories(), engine.registry());
        vm.exec_mut().backtrace_limit = config.backtrace_frames();
        vm.set_collector(config.chosen_collector());
        vm.set_gc_stress(config.stresses_gc());
        engine.attach_compiled(vm.exec_mut());
        let signal = engine.register(vm.exec().target().clone());
        let opaque = StoreOpaque {
            id: StoreId::next(),
            engine: engine.clone(),
            vm,
            signal,
            fuel_reserve: 0,
            deadline: None,
            timeout: None,
            in_callback: false,
            attention: false,
            alarm: None,
            watching: Watching::default(),
        };
        Ok(StoreInner { opaque, limiter: None, epoch_callback: None, data })
    }

    /// Asks the limiter, if there is one, whether so many more of everything are allowed.
    pub(crate) fn check_counts(&mut self, more: vm::Totals) -> Result<()> {
        let Some(limiter) = &mut self.limiter else { return Ok(()) };
        let limiter = limiter(&mut self.data);
        let have = self.opaque.vm.totals();
        let check = |what: &str, have: usize, more: usize, limit: usize| {
            if more == 0 || have.saturating_add(more) <= limit {
                return Ok(());
            }
            Err(Error::msg(format!(
                "resource limit exceeded: {what} count too high at {}; the limit is {limit}",
                have + more
            )))
        };
        check("instance", have.instances, more.instances, limiter.instances())?;
        check("memory", have.memories, more.memories, limiter.memories())?;
        check("table", have.tables, more.tables, limiter.tables())
    }

    /// See [`AskLimiter::ask`].
    fn ask_limiter<R>(
        &mut self,
        without: R,
        ask: impl FnOnce(&mut dyn ResourceLimiter) -> Result<R>,
    ) -> Result<R, HostError> {
        self.split_limiter().1.ask(without, ask)
    }

    /// The store without the host's data, and its limiter apart.
    pub(crate) fn split_limiter(&mut self) -> (&mut StoreOpaque, AskLimiter<'_, T>) {
        let StoreInner { opaque, limiter, data, .. } = self;
        (opaque, AskLimiter { limiter: limiter.as_deref_mut(), data })
    }

    /// The trap that other threads have asked for, if they have. An interrupt is then taken; a deadline stays
    /// until the call ends.
    pub(crate) fn take_interrupt(&mut self) -> Option<Trap> {
        let target = self.opaque.vm.exec().target();
        let pending = target.pending();
        if pending & reason::INTERRUPT != 0 {
            target.withdraw(reason::INTERRUPT);
            Some(Trap::Interrupt)
        } else if pending & reason::DEADLINE != 0 {
            Some(Trap::Deadline)
        } else if self.epoch_callback.is_none() && self.epoch_due() {
            Some(Trap::Interrupt)
        } else {
            None
        }
    }

    fn epoch_due(&self) -> bool {
        self.opaque.engine.epoch() >= self.opaque.signal.epoch_deadline()
    }

    fn epoch_reached(&mut self) -> Result<(), Pending> {
        let Some(mut callback) = self.epoch_callback.take() else {
            return Err(Trap::Interrupt.into());
        };
        self.opaque.in_callback = true;
        let answer = catch_unwind(AssertUnwindSafe(|| callback(self)));
        self.opaque.in_callback = false;
        // The callback may have been replaced by itself only through `Store`, which it cannot reach.
        self.epoch_callback = Some(callback);
        match answer {
            Ok(Ok(UpdateDeadline::Continue(ticks))) => {
                // A deadline that is reached already would ask again at the same poll, and for ever where that is repeated.
                self.opaque.set_epoch_deadline(ticks.max(1));
                Ok(())
            }
            Ok(Ok(UpdateDeadline::Interrupt)) => Err(Trap::Interrupt.into()),
            Ok(Err(error)) => Err(Pending::Host(error.into())),
            Err(payload) => Err(Pending::Panic(payload)),
        }
    }
}

/// The limiter of a store, apart from that.
pub(crate) struct AskLimiter<'a, T> {
    limiter: Option<&'a mut Limiter<T>>,
    data: &'a mut T,
}

impl<T> AskLimiter<'_, T> {
    /// Asks about growth; the answer is `without` when there is no limiter. A panic of it becomes an
    /// error that the entry from the host resumes: it must not unwind through guest code.
    pub(crate) fn ask<R>(
        &mut self,
        without: R,
        ask: impl FnOnce(&mut dyn ResourceLimiter) -> Result<R>,
    ) -> Result<R, HostError> {
        let Some(limiter) = &mut self.limiter else { return Ok(without) };
        match catch_unwind(AssertUnwindSafe(|| ask(limiter(self.data)))) {
            Ok(answer) => Ok(answer?),
            Err(payload) => Err(Box::new(HookPanic::new(payload))),
        }
    }
}

/// Why `what` did not grow.
fn grow_error(what: &str, error: GrowError) -> Error {
    Error::msg(match error {
        GrowError::Maximum => format!("the {what} would pass its maximum"),
        GrowError::System | GrowError::Reservation => {
            format!("the system has no memory for the {what} to grow")
        }
    })
}

impl<T: 'static> StoreHooks for StoreInner<T> {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, HostError> {
        self.ask_limiter(true, |limiter| limiter.memory_growing(current, desired, maximum))
    }

    fn memory_grow_failed(&mut self, error: GrowError) -> Result<(), HostError> {
        self.ask_limiter((), |limiter| limiter.memory_grow_failed(grow_error("memory", error)))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool, HostError> {
        self.ask_limiter(true, |limiter| limiter.table_growing(current, desired, maximum))
    }

    fn table_grow_failed(&mut self, error: GrowError) -> Result<(), HostError> {
        self.ask_limiter((), |limiter| limiter.table_grow_failed(grow_error("table", error)))
    }

    fn interrupted(&mut self, reasons: u32) -> Result<(), Pending> {
        let due = self.epoch_due();
        let stop = if reasons & reason::INTERRUPT != 0 {
            Err(Trap::Interrupt.into())
        } else if reasons & reason::DEADLINE != 0 {
            Err(Trap::Deadline.into())
        } else if due {
            self.epoch_reached()
        } else {
            // An epoch that came before the deadline was moved.
            Ok(())
        };
        if stop.is_err() {
            // A deadline holds for the outermost call, whose end withdraws it: a host function between here
            // and there may ignore the error. An epoch deadline stays reached until it is set anew.
            let again = reasons & reason::DEADLINE | if due { reason::EPOCH } else { 0 };
            if again != 0 {
                self.opaque.vm.exec().target().request(again);
            }
        }
        stop
    }

    #[allow(unsafe_code)]
    unsafe fn allocate(&mut self, kind: Kind, bytes: usize) -> Result<u32, Pending> {
        let (store, mut limiter) = self.split_limiter();
        // SAFETY: the caller's promise.
        let made = unsafe {
            store.vm.allocate(kind, bytes, &mut |current, desired| {
                limiter.ask(true, |limiter| limiter.gc_heap_growing(current, desired))
            })
        };
        // A panic of a destructor must not unwind through guest code.
        drop_all(store.vm.take_dead()).map_err(|payload| Pending::Host(Box::new(HookPanic::new(payload))))?;
        made.map_err(|pending| match pending {
            // A collection takes its time. What the guest has been asked to do meanwhile is why it ends.
            Pending::Trap(Trap::GcHeapOutOfMemory) => self.take_interrupt().map_or(pending, Pending::Trap),
            pending => pending,
        })
    }
}

/// Drops values of the host, all of them even if the destructors of some panic: with what the first of these does.
pub(crate) fn drop_all(values: Vec<HostValue>) -> Result<(), Box<dyn Any + Send>> {
    let mut result = Ok(());
    for value in values {
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(value)));
        result = result.and(dropped);
    }
    result
}

impl StoreOpaque {
    /// Whether the instance is there: alive, or dropped and still reachable, with a handle made since.
    #[inline]
    pub(crate) fn has(&self, key: InstanceKey) -> bool {
        self.vm.reachable(key).is_some()
    }

    pub(crate) fn set_fuel(&mut self, fuel: u64) -> Result<()> {
        self.fuel()?;
        let countable = i64::try_from(fuel).unwrap_or(i64::MAX);
        self.vm.exec_mut().fuel = countable;
        self.fuel_reserve = fuel - countable as u64;
        Ok(())
    }

    pub(crate) fn fuel(&self) -> Result<u64> {
        if !self.engine.config().fuel() {
            return Err(Error::msg("fuel is not configured in this store: see `Config::consume_fuel`"));
        }
        Ok(self.fuel_reserve.saturating_add(u64::try_from(self.vm.exec().fuel).unwrap_or(0)))
    }

    pub(crate) fn set_epoch_deadline(&mut self, ticks: u64) {
        self.engine.set_epoch_deadline(&self.signal, ticks);
        self.update_attention();
    }

    pub(crate) fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
        self.update_attention();
    }

    pub(crate) fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
        self.update_attention();
    }

    fn update_attention(&mut self) {
        self.attention = self.deadline.is_some() || self.timeout.is_some() || self.has_vain_epoch_deadline();
    }

    /// Whether there is an epoch at which guest code is to stop, which it might not notice.
    fn has_vain_epoch_deadline(&self) -> bool {
        self.signal.epoch_deadline() != u64::MAX && !self.engine.can_interrupt_loops()
    }

    /// Fails while a callback of the store runs in the middle of guest code.
    #[inline]
    pub(crate) fn check_not_in_callback(&self) -> Result<()> {
        if self.in_callback {
            return Err(Error::msg("a callback of the store cannot enter or change its guest code"));
        }
        Ok(())
    }

    /// Prepares an entry from the host: watches the deadline of the outermost one, or refuses it if nothing would hold
    /// that. Returns whether it watches.
    #[inline]
    pub(crate) fn begin_call(&mut self) -> Result<bool> {
        if self.attention { self.begin_watched_call() } else { Ok(false) }
    }

    #[cold]
    fn begin_watched_call(&mut self) -> Result<bool> {
        if !self.vm.exec().is_idle() {
            return Ok(false);
        }
        let now = Instant::now();
        // A timeout beyond what the clock can express is none.
        let by_timeout = self.timeout.and_then(|timeout| now.checked_add(timeout));
        let deadline = self.deadline.into_iter().chain(by_timeout).min();
        if deadline.is_some_and(|deadline| deadline <= now) {
            return Err(Trap::Deadline.into());
        }
        if self.has_vain_epoch_deadline() || (deadline.is_some() && !self.engine.can_interrupt_loops()) {
            return Err(Error::msg(
                "the store has a deadline, and loops of this engine's compiled code cannot be interrupted: see \
                 `Config::interruptible`",
            ));
        }
        let Some(deadline) = deadline else { return Ok(false) };
        self.alarm = Some(self.engine.timer().set(deadline, self.vm.exec().target().clone())?);
        Ok(true)
    }

    /// Ends what [`StoreOpaque::begin_call`] began.
    #[inline]
    pub(crate) fn end_call(&mut self, watched: bool) {
        if watched {
            self.end_watched_call();
        }
        self.vm.free_if_due();
    }

    #[cold]
    fn end_watched_call(&mut self) {
        if let Some(alarm) = self.alarm.take() {
            self.engine.timer().cancel(alarm);
            self.vm.exec().target().withdraw(reason::DEADLINE);
        }
    }
}
