//! The engine: settings, function types and the clock that all its stores share.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use wasmrun_runtime::types::TypeRegistry;
use wasmrun_runtime::vm::{ExecContext, InterruptTarget, StackPool, reason};

use crate::config::Config;
use crate::error::Result;
use crate::lock::lock;
use crate::tiers::CompiledTier;
use crate::timer::Timer;

/// What modules and stores have in common: the settings, the function types and the clock.
///
/// Cheap to clone; a program usually has one, and uses it from all threads.
///
/// It keeps every distinct function type that its modules and host functions have brought, until it is dropped.
///
/// Compiled code belongs to the process that made the engine. In a forked child nothing more is compiled, and calling what
/// has been can end the child with `SIGSEGV`; dropping the engine there is harmless, and a new one works.
///
/// The first engine that compiles installs a handler for `SIGSEGV`, `SIGILL` and `SIGFPE`, which stays. Faults that
/// are not those of guest code are handled as if it were not there: by the handler before it, or by the end of the process. A
/// handler that is installed later has to hand on to it the signals that it does not know.
///
/// ```
/// use wasmrun::Engine;
///
/// let engine = Engine::default();
/// let same = engine.clone();
/// assert!(Engine::same(&engine, &same));
/// std::thread::spawn(move || same.increment_epoch()).join().unwrap();
/// ```
#[derive(Clone)]
pub struct Engine {
    inner: Arc<EngineInner>,
}

struct EngineInner {
    config: Config,
    /// The compiling tier, if there is one, or why there is none though it was asked for.
    compiled: Result<Option<CompiledTier>, String>,
    registry: Arc<TypeRegistry>,
    epoch: AtomicU64,
    stores: Mutex<StoreList>,
    stacks: Arc<StackPool>,
    timer: Timer,
}

/// The stores of an engine that still exist, and some that do not.
#[derive(Default)]
struct StoreList {
    signals: Vec<Weak<StoreSignal>>,
    /// Length at which dead entries are thrown out next.
    prune_at: usize,
}

/// A store as its engine sees it.
#[derive(Debug)]
pub(crate) struct StoreSignal {
    target: Arc<InterruptTarget>,
    epoch_deadline: AtomicU64,
}

impl StoreSignal {
    /// The epoch from which on the store's guest code is stopped.
    pub(crate) fn epoch_deadline(&self) -> u64 {
        self.epoch_deadline.load(Ordering::SeqCst)
    }
}

impl Engine {
    /// An engine with these settings.
    ///
    /// # Errors
    /// A setting cannot be honoured.
    pub fn new(config: &Config) -> Result<Engine> {
        config.check()?;
        let inner = EngineInner {
            config: config.clone(),
            compiled: CompiledTier::new(config),
            registry: Arc::default(),
            epoch: AtomicU64::new(0),
            stores: Mutex::default(),
            stacks: StackPool::new(config.stack_sizes()),
            timer: Timer::default(),
        };
        Ok(Engine { inner: Arc::new(inner) })
    }

    /// Its settings.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Whether both are handles of one engine.
    pub fn same(a: &Engine, b: &Engine) -> bool {
        Arc::ptr_eq(&a.inner, &b.inner)
    }

    /// A handle that does not keep the engine alive.
    ///
    /// ```
    /// let engine = wasmrun::Engine::default();
    /// let weak = engine.weak();
    /// assert!(weak.upgrade().is_some());
    /// drop(engine);
    /// assert!(weak.upgrade().is_none());
    /// ```
    pub fn weak(&self) -> EngineWeak {
        EngineWeak { inner: Arc::downgrade(&self.inner) }
    }

    /// Advances the engine's epoch by one. Guest code of stores whose
    /// [deadline](crate::Store::set_epoch_deadline) is reached stops at its next loop or call; where it would not,
    /// such stores are refused their calls.
    pub fn increment_epoch(&self) {
        let epoch = self.inner.epoch.fetch_add(1, Ordering::SeqCst) + 1;
        self.for_each_store(|signal| {
            if signal.epoch_deadline() <= epoch {
                signal.target.request(reason::EPOCH);
            }
        });
    }

    /// Interrupts the guest code of all stores, as [`InterruptHandle::interrupt`](crate::InterruptHandle::interrupt)
    /// does for one: in any loop only if the engine is [interruptible](crate::Config::interruptible).
    pub fn interrupt_all(&self) {
        self.for_each_store(|signal| signal.target.request(reason::INTERRUPT));
    }

    fn for_each_store(&self, visit: impl Fn(&StoreSignal)) {
        // Wakers run outside of the lock: they may make or drop stores.
        let signals: Vec<_> = {
            let list = lock(&self.inner.stores);
            list.signals.iter().filter_map(Weak::upgrade).collect()
        };
        signals.iter().for_each(|signal| visit(signal));
    }

    /// The current epoch.
    pub(crate) fn epoch(&self) -> u64 {
        self.inner.epoch.load(Ordering::SeqCst)
    }

    /// Sets the epoch at which a store's guest code stops; at once if that has passed.
    pub(crate) fn set_epoch_deadline(&self, signal: &StoreSignal, ticks: u64) {
        // The deadline is stored before the epoch is read again: an increment in between sees one or the other.
        let deadline = self.epoch().saturating_add(ticks);
        signal.epoch_deadline.store(deadline, Ordering::SeqCst);
        if deadline <= self.epoch() {
            signal.target.request(reason::EPOCH);
        }
    }

    /// Makes a store known.
    pub(crate) fn register(&self, target: Arc<InterruptTarget>) -> Arc<StoreSignal> {
        let signal = Arc::new(StoreSignal { target, epoch_deadline: AtomicU64::new(u64::MAX) });
        let mut list = lock(&self.inner.stores);
        if list.signals.len() >= list.prune_at {
            list.signals.retain(|s| s.strong_count() > 0);
            list.prune_at = (list.signals.len() * 2).max(16);
        }
        list.signals.push(Arc::downgrade(&signal));
        signal
    }

    /// Why guest code runs in the interpreter though the [strategy](crate::Config::strategy) says otherwise: the
    /// system allows no compiled code.
    pub fn no_compiled_code(&self) -> Option<&str> {
        self.inner.compiled.as_ref().err().map(String::as_str)
    }

    /// Bytes of machine code that there are now, of the [most](crate::Config::max_code_size) that there may be. The code of a
    /// module goes with the module; what leads into code and out of it stays.
    ///
    /// ```
    /// use wasmrun::{Config, Engine, Module, Strategy};
    ///
    /// let engine = Engine::new(Config::new().strategy(Strategy::Jit))?;
    /// let module = Module::new(&engine, "(module (func))")?;
    /// assert_eq!(engine.code_size() == 0, engine.no_compiled_code().is_some());
    /// # Ok::<(), wasmrun::Error>(())
    /// ```
    pub fn code_size(&self) -> usize {
        self.compiled().map_or(0, CompiledTier::code_size)
    }

    /// Whether guest code can be stopped in any loop.
    pub(crate) fn can_interrupt_loops(&self) -> bool {
        self.config().is_interruptible() || self.compiled().is_none()
    }

    /// Lets the code of a store that keeps this engine alive get at the compiling tier.
    #[allow(unsafe_code)]
    pub(crate) fn attach_compiled(&self, exec: &mut ExecContext) {
        if let Some(compiled) = self.compiled() {
            // SAFETY: the tier is inside of the allocation that engines share.
            unsafe { compiled.attach(exec) };
        }
    }

    /// The compiling tier.
    pub(crate) fn compiled(&self) -> Option<&CompiledTier> {
        self.inner.compiled.as_ref().ok()?.as_ref()
    }

    pub(crate) fn registry(&self) -> &Arc<TypeRegistry> {
        &self.inner.registry
    }

    /// The stacks of its stores.
    pub(crate) fn stacks(&self) -> &Arc<StackPool> {
        &self.inner.stacks
    }

    pub(crate) fn timer(&self) -> &Timer {
        &self.inner.timer
    }
}

impl Default for Engine {
    fn default() -> Engine {
        Engine::new(&Config::new()).expect("the default settings can be honoured")
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

/// A handle of an [`Engine`] that does not keep it alive, for threads that advance its epoch.
///
/// ```
/// use wasmrun::Engine;
///
/// let engine = Engine::default();
/// let weak = engine.weak();
/// let ticker = std::thread::spawn(move || {
///     while let Some(engine) = weak.upgrade() {
///         engine.increment_epoch();
///     }
/// });
/// drop(engine);
/// ticker.join().unwrap();
/// ```
#[derive(Clone)]
pub struct EngineWeak {
    inner: Weak<EngineInner>,
}

impl EngineWeak {
    /// The engine, if it still exists.
    pub fn upgrade(&self) -> Option<Engine> {
        self.inner.upgrade().map(|inner| Engine { inner })
    }
}

impl fmt::Debug for EngineWeak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineWeak").finish_non_exhaustive()
    }
}
