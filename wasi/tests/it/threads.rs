//! Threads that share a context, each with a store of its own.

use std::io::Write;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use wasmrun::{Engine, Linker, Module, Result, Store, Trap, TypedFunc};
use wasmrun_wasi::{SharedWasiCtx, WasiCtx};

/// Makes a call that waits for nothing.
const YIELDS: &str = r#"(module
    (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
    (func (export "yield") (result i32) (call $yield)))"#;

/// A thread of a guest, and its function.
fn thread(engine: &Engine, ctx: SharedWasiCtx) -> Result<(Store<SharedWasiCtx>, TypedFunc<(), i32>)> {
    let mut linker = Linker::<SharedWasiCtx>::new(engine);
    wasmrun_wasi::add_shared_to_linker(&mut linker, |ctx| ctx)?;
    let mut store = Store::new(engine, ctx);
    let instance = linker.instantiate(&mut store, &Module::new(engine, YIELDS)?)?;
    let function = instance.get_typed_func(&mut store, "yield")?;
    Ok((store, function))
}

/// Takes as long as a test says.
struct Slow {
    begin: Sender<()>,
    end: Receiver<()>,
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let _ = self.begin.send(());
        let _ = self.end.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_deadline_ends_a_thread_that_waits_for_the_call_of_another_one() -> Result<()> {
    let engine = Engine::default();
    let ((begin, begun), (end, ended)) = (channel(), channel());
    let mut builder = WasiCtx::builder();
    builder.trace(Slow { begin, end: ended });
    let ctx = SharedWasiCtx::new(builder.build().expect("nothing is granted"));
    let (mut slow, yields) = thread(&engine, ctx.clone())?;
    let slow = std::thread::spawn(move || yields.call(&mut slow, ()));
    begun.recv().expect("a line is written");

    let (mut store, yields) = thread(&engine, ctx)?;
    store.set_deadline(Some(Instant::now() + Duration::from_millis(50)));
    let trap = yields.call(&mut store, ()).expect_err("the other call does not end");
    assert_eq!(trap.downcast_ref(), Some(&Trap::Deadline));

    // From now on nothing is slow.
    drop(end);
    assert_eq!(slow.join().expect("does not panic")?, 0);
    store.set_deadline(None);
    assert_eq!(yields.call(&mut store, ())?, 0);
    Ok(())
}
