//! Which monitors a store has, and which of its modules run code that takes note for them.

use std::any::Any;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use wasmrun_runtime::module as runtime;
use wasmrun_runtime::trap::Pending;
use wasmrun_runtime::vm::Position;

use super::counts::Counts;
use super::{Attached, Monitor, Plan};
use crate::engine::Engine;
use crate::error::Result;
use crate::module::Module;
use crate::store::{Store, StoreOpaque};

/// The monitors of a store.
#[derive(Default)]
pub(crate) struct Watching {
    /// In the order of attaching.
    monitors: BTreeMap<u64, Box<dyn Monitor>>,
    /// The number of the next one.
    next: u64,
    /// The modules that monitors have been asked about.
    modules: Vec<Watched>,
}

/// A module that monitors have been asked about.
struct Watched {
    plain: Arc<runtime::Module>,
    /// The one whose code takes note, if a monitor wants that.
    twin: Option<Arc<runtime::Module>>,
    /// What monitors count, by their numbers.
    counts: Vec<(u64, Counts)>,
}

impl Watched {
    /// Asks a monitor about the module.
    fn ask(&mut self, engine: &Engine, number: u64, monitor: &mut dyn Monitor) -> Result<()> {
        let mut plan = Plan::new(&self.plain, &mut self.twin);
        monitor.attach(&Module::from_runtime(engine, self.plain.clone()), &mut plan)?;
        self.counts.extend(plan.counts.into_iter().map(|counts| (number, counts)));
        Ok(())
    }

    /// Ends what a monitor counts.
    fn end(&mut self, number: u64) {
        self.counts.retain(|(of, counts)| {
            if *of == number {
                counts.span().end();
            }
            *of != number
        });
    }

    /// The module whose code instances are to run.
    fn code(&self) -> &Arc<runtime::Module> {
        self.twin.as_ref().filter(|_| !self.counts.is_empty()).unwrap_or(&self.plain)
    }
}

impl Watching {
    /// Whether there are any.
    pub(crate) fn is_watching(&self) -> bool {
        !self.monitors.is_empty()
    }

    /// The module whose code a new instance of `plain` is to run. Monitors are asked about a module that they have not seen.
    pub(crate) fn code_for(
        &mut self,
        engine: &Engine,
        plain: &Arc<runtime::Module>,
    ) -> Result<Arc<runtime::Module>> {
        // Such as the host's own memories, tables and globals are.
        if !self.is_watching() || plain.function_count() == plain.imported_function_count() {
            return Ok(Arc::clone(plain));
        }
        if let Some(known) = self.modules.iter().find(|known| known.plain.is_twin_of(plain)) {
            return Ok(Arc::clone(known.code()));
        }
        let mut watched = Watched { plain: Arc::clone(plain), twin: None, counts: Vec::new() };
        for (number, monitor) in &mut self.monitors {
            watched.ask(engine, *number, &mut **monitor)?;
        }
        self.modules.push(watched);
        Ok(Arc::clone(self.modules[self.modules.len() - 1].code()))
    }

    /// Asks a monitor about all modules that there are.
    fn ask_about_all(&mut self, engine: &Engine, number: u64, monitor: &mut dyn Monitor) -> Result<()> {
        self.modules.iter_mut().try_for_each(|module| module.ask(engine, number, monitor))
    }

    /// Ends what a monitor counts.
    fn end(&mut self, number: u64) {
        self.modules.iter_mut().for_each(|module| module.end(number));
    }

    /// Knows these modules from now on, if it has not known them.
    fn know(&mut self, modules: impl Iterator<Item = Arc<runtime::Module>>) {
        for module in modules {
            let has_code = module.function_count() > module.imported_function_count();
            if has_code && !self.modules.iter().any(|known| known.plain.is_twin_of(&module)) {
                self.modules.push(Watched { plain: module, twin: None, counts: Vec::new() });
            }
        }
    }
}

impl StoreOpaque {
    /// Lets all instances run the code that is to be run now.
    fn run_what_is_to_be_run(&mut self) {
        for watched in &self.watching.modules {
            self.vm.go_over_to(watched.code());
        }
        if let Some(compiled) = self.engine.compiled() {
            for (module, plan) in self.vm.modules() {
                compiled.compile_all(module, plan);
            }
        }
        // The place where code stops has to be known.
        let frames = self.engine.config().backtrace_frames();
        let is_watched = self.watching.is_watching();
        self.vm.exec_mut().backtrace_limit = if is_watched { frames.max(1) } else { frames };
        if !is_watched {
            self.watching.modules.clear();
        }
    }
}

/// Notes in the module where code of its instances has stopped for good.
pub(crate) fn note_stop(position: &Position, reason: &Pending) {
    if let Some(counts) = position.module.counts() {
        counts.note_stop(&position.module, position.function, position.offset, reason);
    }
}

impl<T: 'static> Store<T> {
    /// Lets a monitor watch the store's instances: those that there are, and those to come.
    ///
    /// # Errors
    /// The monitor cannot watch one of the modules.
    pub fn attach<M: Monitor>(&mut self, mut monitor: M) -> Result<Attached<M>> {
        let store = &mut self.inner.opaque;
        let watching = &mut store.watching;
        let number = watching.next;
        watching.know(store.vm.modules().map(|(module, _)| module.plain().clone()));
        if let Err(error) = watching.ask_about_all(&store.engine, number, &mut monitor) {
            watching.end(number);
            store.run_what_is_to_be_run();
            return Err(error);
        }
        watching.next += 1;
        watching.monitors.insert(number, Box::new(monitor));
        store.run_what_is_to_be_run();
        Ok(Attached { store: store.id, number, monitor: PhantomData })
    }

    /// A monitor that is attached.
    ///
    /// # Panics
    /// It is attached to another store.
    pub fn monitor<M: Monitor>(&self, attached: &Attached<M>) -> &M {
        let store = &self.inner.opaque;
        assert_eq!(attached.store, store.id, "the monitor is attached to another store");
        let monitor: &dyn Any = &*store.watching.monitors[&attached.number];
        monitor.downcast_ref().expect("what has been attached")
    }

    /// Takes a monitor back: from now on nothing is noted for it.
    ///
    /// # Panics
    /// It is attached to another store.
    pub fn detach<M: Monitor>(&mut self, attached: Attached<M>) -> M {
        let store = &mut self.inner.opaque;
        assert_eq!(attached.store, store.id, "the monitor is attached to another store");
        let monitor: Box<dyn Any> =
            store.watching.monitors.remove(&attached.number).expect("it is detached once");
        store.watching.end(attached.number);
        store.run_what_is_to_be_run();
        *monitor.downcast().expect("what has been attached")
    }
}
