//! Watching what guest code does.
//!
//! A [`Monitor`] is a value of yours that is [attached](crate::Store::attach) to a store. For each module of which the store
//! has instances, or gets some, it says what it wants to know, by a [`Plan`]. From then on the instances run code that
//! takes note of that: in the interpreter and, under the strategies that compile, in compiled code as well, with the same
//! numbers. [Detached](crate::Store::detach), the monitor is yours again, with what it has learned.
//!
//! Nothing is added to the code of a module for this. Instances that are watched run code of their own, which belongs to the
//! store and its monitors, is made when it is needed, and is never kept in the [cache](crate::Config::cache); those of
//! other stores go on in the module's.
//!
//! ```
//! use wasmrun::probe::{Counts, Monitor, Plan};
//! use wasmrun::{Engine, Instance, Module, Result, Store};
//!
//! /// Counts instructions.
//! #[derive(Default)]
//! struct Icount(Vec<Counts>);
//!
//! impl Monitor for Icount {
//!     fn attach(&mut self, _module: &Module, plan: &mut Plan<'_>) -> Result<()> {
//!         self.0.push(plan.count());
//!         Ok(())
//!     }
//! }
//!
//! let engine = Engine::default();
//! let module = Module::new(&engine, r#"(module (func (export "run") (param i32)
//!     (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))))"#)?;
//! let mut store = Store::new(&engine, ());
//! let instance = Instance::new(&mut store, &module, &[])?;
//! let run = instance.get_typed_func::<i32, ()>(&mut store, "run")?;
//!
//! let attached = store.attach(Icount::default())?;
//! run.call(&mut store, 100)?;
//! let icount = store.detach(attached);
//! assert_eq!(icount.0[0].total(), 600);
//! # Ok::<(), wasmrun::Error>(())
//! ```

mod attach;
mod counts;
mod opcode;

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use wasmrun_runtime::module as runtime;

pub(crate) use attach::{Watching, note_stop};
pub use counts::{Counts, Instruction};
pub use opcode::Opcode;

use crate::error::Result;
use crate::module::Module;
use crate::store::StoreId;

/// Somebody who wants to know what guest code does.
pub trait Monitor: Any + Send + Sync {
    /// Says what it wants to know of a module: when it is attached, for each module of which the store has instances, and
    /// later for each of which the store gets its first.
    ///
    /// # Errors
    /// Whatever keeps it from watching the module. The monitor is not attached then, or the instance not made.
    fn attach(&mut self, module: &Module, plan: &mut Plan<'_>) -> Result<()>;
}

/// What a [`Monitor`] wants to know of a module.
pub struct Plan<'a> {
    plain: &'a Arc<runtime::Module>,
    /// The module whose code takes note, if there is one.
    watched: &'a mut Option<Arc<runtime::Module>>,
    counts: Vec<Counts>,
}

impl<'a> Plan<'a> {
    fn new(plain: &'a Arc<runtime::Module>, watched: &'a mut Option<Arc<runtime::Module>>) -> Plan<'a> {
        Plan { plain, watched, counts: Vec::new() }
    }

    /// Counts how often each instruction is executed. What is added to the code is one addition for each straight line of
    /// instructions, whatever the number of monitors that count.
    pub fn count(&mut self) -> Counts {
        let watched = self.watched.get_or_insert_with(|| Arc::new(self.plain.counting()));
        let counts = Counts::from_now(watched);
        self.counts.push(counts.clone());
        counts
    }
}

/// A [`Monitor`] that is attached to a store: what it is [detached](crate::Store::detach) by.
pub struct Attached<M> {
    store: StoreId,
    number: u64,
    monitor: PhantomData<fn() -> M>,
}

impl<M> fmt::Debug for Attached<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").field("number", &self.number).finish_non_exhaustive()
    }
}
