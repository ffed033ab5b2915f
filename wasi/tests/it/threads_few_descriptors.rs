//! A thread that would wait, and has no descriptor for that, is told. Alone in its process, whose limit it lowers.

use crate::alone::alone;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;
use std::time::{Duration, Instant};
use wasmrun::{Engine, Linker, Module, Store};
use wasmrun_wasi::{Errno, SharedWasiCtx, WasiCtx};

/// How many descriptors the process may have.
const FEW: u64 = 32;

/// Sleeps for an hour.
const SLEEPER: &str = r#"(module
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "sleep") (result i32)
      (i32.store offset=16 (i32.const 0) (i32.const 1))
      (i64.store offset=24 (i32.const 0) (i64.const 3600_000_000_000))
      (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))))"#;

#[test]
fn a_thread_that_finds_no_descriptor_for_its_wait_gets_an_errno() {
    alone("a_thread_that_finds_no_descriptor_for_its_wait_gets_an_errno", || {
        sleep_without_descriptors().unwrap()
    });
}

fn sleep_without_descriptors() -> wasmrun::Result<()> {
    let engine = Engine::default();
    let mut linker = Linker::<SharedWasiCtx>::new(&engine);
    wasmrun_wasi::add_shared_to_linker(&mut linker, |ctx| ctx)?;
    let ctx = SharedWasiCtx::new(WasiCtx::builder().build().expect("nothing is granted"));
    let mut store = Store::new(&engine, ctx);
    let instance = linker.instantiate(&mut store, &Module::new(&engine, SLEEPER)?)?;
    let sleep = instance.get_typed_func::<(), i32>(&mut store, "sleep")?;
    // What would go round for ever ends with a trap.
    store.set_deadline(Some(Instant::now() + Duration::from_secs(20)));

    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(FEW), maximum }).unwrap();
    let held: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert_eq!(sleep.call(&mut store, ())?, i32::from(Errno::Mfile.code()));
    assert_eq!(sleep.call(&mut store, ())?, i32::from(Errno::Mfile.code()));

    // One descriptor is enough.
    drop(held);
    store.set_deadline(Some(Instant::now() + Duration::from_millis(10)));
    let trap = sleep.call(&mut store, ()).expect_err("an hour does not pass");
    assert_eq!(trap.downcast_ref(), Some(&wasmrun::Trap::Deadline));
    Ok(())
}
