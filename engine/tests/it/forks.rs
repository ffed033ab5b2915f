//! What becomes of an engine in a forked child, which has none of its threads and no part in its code memory. The test has a
//! process to itself.
#![allow(unsafe_code)]

use std::thread;
use std::time::Duration;

use crate::common::alone::alone;
use wasmrun::{Config, Engine, Instance, Module, Result, Store, Strategy, TypedFunc};

const GUEST: &str = r#"(module
    (func (export "twice") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
    (func (export "cold") (result i32) (i32.const 5))
    (func (export "long") (result i32) (local i32)
        (loop (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 1000))))
        (local.get 0)))"#;

struct Guest {
    engine: Engine,
    module: Module,
    store: Store<()>,
    instance: Instance,
    twice: TypedFunc<i32, i32>,
}

impl Guest {
    fn new() -> Result<Guest> {
        let config =
            Config::new().strategy(Strategy::Tiered).tier_up_threshold(10).compile_threads(2).clone();
        let engine = Engine::new(&config)?;
        let module = Module::new(&engine, GUEST)?;
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[])?;
        let twice = instance.get_typed_func(&mut store, "twice")?;
        Ok(Guest { engine, module, store, instance, twice })
    }

    fn warm_up(&mut self) -> Result<()> {
        while !self.module.tiers()[0].compiled {
            self.call()?;
            thread::yield_now();
        }
        self.call()
    }

    fn call(&mut self) -> Result<()> {
        assert_eq!(self.twice.call(&mut self.store, 21)?, 42);
        Ok(())
    }
}

/// How a child ends that does this. One that hangs is ended by a signal.
fn end_of_child(child: impl FnOnce() -> Result<()>) -> i32 {
    // SAFETY: the child uses nothing that another thread may have locked.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: ends the child, one way or another, without the destructors of its parent.
            unsafe {
                libc::alarm(20);
                let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
                libc::_exit(if matches!(ended, Ok(Ok(()))) { 42 } else { 1 })
            }
        }
        child => {
            let mut status = 0;
            // SAFETY: waits for the child just made.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -libc::WTERMSIG(status) }
        }
    }
}

#[test]
fn a_forked_child_can_drop_its_parents_engine_and_make_its_own_and_nothing_else() {
    alone("a_forked_child_can_drop_its_parents_engine_and_make_its_own_and_nothing_else", || {
        let mut guest = Some(Guest::new().unwrap());
        {
            let guest = guest.as_mut().unwrap();
            guest.warm_up().unwrap();
            // There is a thread for deadlines, too.
            guest.store.set_timeout(Duration::from_secs(1000));
            guest.call().unwrap();
        }
        let drops = end_of_child(|| {
            drop(guest.take());
            let mut own = Guest::new()?;
            own.warm_up()?;
            own.store.set_timeout(Duration::from_secs(1000));
            own.call()
        });
        assert_eq!(drops, 42);
        let waits_for_a_deadline = end_of_child(|| {
            let guest = guest.as_mut().unwrap();
            let cold = guest.instance.get_typed_func::<(), i32>(&mut guest.store, "cold")?;
            let refused = cold.call(&mut guest.store, ()).unwrap_err();
            assert!(format!("{refused:#}").contains("forked"), "{refused:#}");
            Ok(())
        });
        assert_eq!(waits_for_a_deadline, 42);
        let gets_warm = end_of_child(|| {
            let guest = guest.as_mut().unwrap();
            guest.store.set_timeout(None);
            for name in ["cold", "long", "cold"] {
                let function = guest.instance.get_typed_func::<(), i32>(&mut guest.store, name)?;
                for _ in 0..100 {
                    function.call(&mut guest.store, ())?;
                }
            }
            // What would be compiled has no thread for that, and gets none.
            assert_eq!(std::fs::read_dir("/proc/self/task").unwrap().count(), 1);
            Ok(())
        });
        assert_eq!(gets_warm, 42);
        let runs_compiled_code = end_of_child(|| {
            let guest = guest.as_mut().unwrap();
            guest.store.set_timeout(None);
            guest.call()
        });
        assert_eq!(runs_compiled_code, -libc::SIGSEGV);
        let guest = guest.as_mut().unwrap();
        guest.call().unwrap();
        assert!(Engine::same(&guest.engine, guest.module.engine()));
    });
}
