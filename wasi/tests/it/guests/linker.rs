//! What the functions of the linker do around those of preview 1: memory, traps, exits, waits and their ends.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wasmrun::{Engine, I32Exit, Linker, Module, Store, Trap, UpdateDeadline};
use wasmrun_wasi::vfs::Perm;
use wasmrun_wasi::vfs::memfs::MemFs;
use wasmrun_wasi::{Capture, Fault, Input, Output, WasiBuilder, WasiCtx, add_to_linker};

/// Imports of one preview, by the names used below.
fn imports(module: &str) -> String {
    let import = |name: &str, ty: &str| format!(r#"(import "{module}" "{name}" (func ${name} {ty}))"#);
    [
        import("fd_write", "(param i32 i32 i32 i32) (result i32)"),
        import("fd_read", "(param i32 i32 i32 i32) (result i32)"),
        import("fd_seek", "(param i32 i64 i32 i32) (result i32)"),
        import("poll_oneoff", "(param i32 i32 i32 i32) (result i32)"),
        import("proc_exit", "(param i32)"),
        import("sched_yield", "(result i32)"),
        import("clock_time_get", "(param i32 i64 i32) (result i32)"),
        import("fd_close", "(param i32) (result i32)"),
    ]
    .join("\n")
}

const P1: &str = "wasi_snapshot_preview1";
const P0: &str = "wasi_unstable";

struct Host {
    linker: Linker<WasiCtx>,
    store: Store<WasiCtx>,
    module: Module,
}

fn host(ctx: WasiCtx, preview: &str, body: &str) -> Host {
    host_of(&Engine::default(), ctx, preview, body)
}

fn host_of(engine: &Engine, ctx: WasiCtx, preview: &str, body: &str) -> Host {
    let mut linker = Linker::new(engine);
    add_to_linker(&mut linker, |ctx| ctx).unwrap();
    let text = format!("(module {} {body})", imports(preview));
    Host { linker, store: Store::new(engine, ctx), module: Module::new(engine, text).unwrap() }
}

impl Host {
    fn instantiate(&mut self) -> wasmrun::Result<wasmrun::Instance> {
        self.linker.instantiate(&mut self.store, &self.module)
    }

    fn run(&mut self) -> wasmrun::Result<()> {
        let instance = self.instantiate()?;
        instance.get_typed_func::<(), ()>(&mut self.store, "_start")?.call(&mut self.store, ())
    }
}

fn run(ctx: WasiCtx, preview: &str, body: &str) -> wasmrun::Result<()> {
    host(ctx, preview, body).run()
}

fn nothing() -> WasiCtx {
    WasiBuilder::new().build().unwrap()
}

fn exit_code(result: wasmrun::Result<()>) -> i32 {
    result.unwrap_err().downcast_ref::<I32Exit>().expect("an exit").0
}

const HELLO: &str = r#"
    (memory (export "memory") 1)
    (data (i32.const 8) "\10\00\00\00\06\00\00\00hello\n")
    (func (export "_start")
      (if (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 100)) (then unreachable))
      (if (i32.ne (i32.load (i32.const 100)) (i32.const 6)) (then unreachable)))"#;

#[test]
fn a_guest_of_either_preview_writes_to_its_output() {
    for preview in [P1, P0] {
        let output = Capture::default();
        let ctx = WasiBuilder::new().stdout(Output::Capture(output.clone())).build().unwrap();
        run(ctx, preview, HELLO).unwrap();
        assert_eq!(output.contents(), b"hello\n");
    }
}

#[test]
fn the_previews_read_whence_each_in_its_own_way() {
    // Seeking from the start twice ends where the second says.
    for (preview, set) in [(P1, 0), (P0, 2)] {
        let fs = MemFs::new(1 << 16);
        fs.write("f", b"0123456789").unwrap();
        let ctx = WasiBuilder::new().memfs(&fs, "/", Perm::ReadOnly).build().unwrap();
        let body = format!(
            r#"(import "{preview}" "path_open"
                 (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
               (memory (export "memory") 1) (data (i32.const 0) "f")
               (func (export "_start")
                 (drop (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0)
                   (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16)))
                 (drop (call $fd_seek (i32.load (i32.const 16)) (i64.const 4) (i32.const {set}) (i32.const 24)))
                 (drop (call $fd_seek (i32.load (i32.const 16)) (i64.const 3) (i32.const {set}) (i32.const 24)))
                 (call $proc_exit (i32.load (i32.const 24))))"#
        );
        assert_eq!(exit_code(run(ctx, preview, &body)), 3, "{preview}");
    }
}

#[test]
fn exit_ends_the_guest_wherever_it_is_called_and_nothing_runs_afterwards() {
    let start = r#"(memory (export "memory") 1)
        (func (export "_start") (call $proc_exit (i32.const 7)) (drop (call $fd_close (i32.const 1))) unreachable)"#;
    let mut start = host(nothing(), P1, start);
    assert_eq!(exit_code(start.run()), 7);
    // Within the start function of the module, where making the instance fails.
    let body = "(func $f (call $proc_exit (i32.const 3)) unreachable) (start $f)";
    assert_eq!(exit_code(host(nothing(), P1, body).instantiate().map(drop)), 3);
    // Within `_initialize` of a reactor.
    let body = r#"(func (export "_initialize") (call $proc_exit (i32.const 0)) unreachable)"#;
    let mut reactor = host(nothing(), P1, body);
    let instance = reactor.instantiate().unwrap();
    let initialize = instance.get_typed_func::<(), ()>(&mut reactor.store, "_initialize").unwrap();
    assert_eq!(exit_code(initialize.call(&mut reactor.store, ())), 0);
    // The whole code of 32 bits.
    let body = r#"(func (export "_start") (call $proc_exit (i32.const -1)))"#;
    assert_eq!(exit_code(run(nothing(), P1, body)), -1);
}

#[test]
fn pointers_that_do_not_fit_are_traps_that_say_which() {
    let body = r#"(memory (export "memory") 2)
        (func (export "_start")
          (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 0x1fffc))))"#;
    let error = run(nothing(), P1, body).unwrap_err();
    let fault = error.downcast_ref::<Fault>().expect("a fault").clone();
    assert_eq!(fault, Fault::Trap("clock_time_get: time 0x1fffc+8 outside 2 pages".into()));
}

#[test]
fn without_a_memory_only_calls_without_pointers_work() {
    let body = r#"(func (export "_start")
        (drop (call $sched_yield)) (drop (call $fd_close (i32.const 1))) (call $proc_exit (i32.const 9)))"#;
    assert_eq!(exit_code(run(nothing(), P1, body)), 9);
    let body = r#"(func (export "_start")
        (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 0))))"#;
    let error = run(nothing(), P1, body).unwrap_err();
    assert!(format!("{error:#}").contains("exports no memory with the name `memory`"), "{error:#}");
}

#[test]
fn a_memory_with_64_bit_addresses_is_an_error_that_says_so() {
    let body = r#"(memory (export "memory") i64 1)
        (func (export "_start") (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 0))))"#;
    let error = run(nothing(), P1, body).unwrap_err();
    assert!(
        format!("{error:#}").contains("clock_time_get: the instance that called has a memory with 64-bit"),
        "{error:#}"
    );
}

#[test]
fn memory_that_grew_is_used_as_it_is_now() {
    let body = r#"(memory (export "memory") 1)
        (func (export "_start")
          (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 0)))
          (drop (memory.grow (i32.const 1)))
          (call $proc_exit (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 0x1fff8))))"#;
    assert_eq!(exit_code(run(nothing(), P1, body)), 0);
}

/// A guest that sleeps for 500 years, and says by its exit that it woke up.
const SLEEPER: &str = r#"
    (memory (export "memory") 1)
    (func (export "_start")
      (i32.store (i32.const 16) (i32.const 1))
      (i64.store (i32.const 24) (i64.const 0x7fffffffffffffff))
      (drop (call $poll_oneoff (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)))
      (call $proc_exit (i32.const 5)))"#;

/// A guest that waits for input that never comes.
const READER: &str = r#"
    (memory (export "memory") 1)
    (data (i32.const 8) "\10\00\00\00\06\00\00\00")
    (func (export "_start")
      (drop (call $fd_read (i32.const 0) (i32.const 8) (i32.const 1) (i32.const 100)))
      (call $proc_exit (i32.const 5)))"#;

#[test]
fn interrupting_the_store_ends_what_the_guest_waits_for() {
    for guest in [SLEEPER, READER] {
        let (input, _held) = std::io::pipe().unwrap();
        let ctx = WasiBuilder::new().stdin(Input::Fd(input.into())).build().unwrap();
        let mut host = host(ctx, P1, guest);
        let handle = host.store.interrupt_handle();
        let thread = std::thread::spawn(move || handle.interrupt());
        let error = host.run().unwrap_err();
        assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::Interrupt), "{error:#}");
        thread.join().unwrap();
    }
}

#[test]
fn interrupting_the_store_ends_a_write_in_the_middle() {
    const LEN: usize = 64 << 20;
    let body = format!(
        r#"(memory (export "memory") 1025)
           (func (export "_start")
             (i32.store (i32.const 4) (i32.const {LEN}))
             (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))"#
    );
    let (mut reader, output) = std::io::pipe().unwrap();
    let ctx = WasiBuilder::new().stdout(Output::Fd(output.into())).build().unwrap();
    let mut host = host(ctx, P1, &body);
    let handle = host.store.interrupt_handle();
    let thread = std::thread::spawn(move || {
        reader.read_exact(&mut [0; 1]).unwrap();
        // The guest is in the middle of it, and gets no further than a pipe holds before the interrupt is there.
        handle.interrupt();
        std::io::copy(&mut reader, &mut std::io::sink()).unwrap()
    });
    let error = host.run().unwrap_err();
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::Interrupt), "{error:#}");
    drop(host);
    assert!(thread.join().unwrap() < LEN as u64 / 2, "the write went on to its end");
}

#[test]
fn interruptible_writes_end_while_nobody_reads() {
    let body = r#"
        (memory (export "memory") 2)
        (func (export "_start")
          (i32.store (i32.const 4) (i32.const 65536))
          (loop $again
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (br $again)))"#;
    let (reader, output) = std::io::pipe().unwrap();
    let mut ctx = WasiBuilder::new().stdout(Output::Fd(output.into())).build().unwrap();
    ctx.interruptible_writes();
    let mut host = host(ctx, P1, body);
    let handle = host.store.interrupt_handle();
    let thread = std::thread::spawn(move || handle.interrupt());
    let error = host.run().unwrap_err();
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::Interrupt), "{error:#}");
    thread.join().unwrap();
    drop(reader);
}

#[test]
fn a_trace_that_nobody_reads_ends_with_the_guest() {
    let body = r#"(memory (export "memory") 1)
        (func (export "_start") (loop $again (drop (call $sched_yield)) (br $again)))"#;
    let (reader, trace) = std::io::pipe().unwrap();
    let size = rustix::pipe::fcntl_setpipe_size(&trace, 4096).unwrap() as u64;
    let mut ctx = WasiBuilder::new().trace_to(Output::Fd(trace.into())).build().unwrap();
    ctx.interruptible_writes();
    let mut host = host(ctx, P1, body);
    let handle = host.store.interrupt_handle();
    let thread = std::thread::spawn(move || {
        // No line is so long: there is no room for many more.
        while rustix::io::ioctl_fionread(&reader).unwrap() + 128 < size {
            std::thread::yield_now();
        }
        handle.interrupt();
        reader
    });
    let error = host.run().unwrap_err();
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::Interrupt), "{error:#}");
    thread.join().unwrap();
}

#[test]
fn calls_whose_lines_wait_are_made_once_and_their_lines_are_whole() {
    const CALLS: usize = 3000;
    let body = format!(
        r#"(memory (export "memory") 1)
        (func (export "_start") (local i32)
          (i32.store (i32.const 4) (i32.const 1))
          (loop $again
            (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
            (br_if $again (i32.ne (i32.const {CALLS})
              (local.tee 0 (i32.add (local.get 0) (i32.const 1)))))))"#
    );
    let (mut reader, trace) = std::io::pipe().unwrap();
    let size = rustix::pipe::fcntl_setpipe_size(&trace, 4096).unwrap() as u64;
    let output = Capture::default();
    let mut builder = WasiBuilder::new();
    builder.stdout(Output::Capture(output.clone())).trace_to(Output::Fd(trace.into()));
    let mut ctx = builder.build().unwrap();
    ctx.interruptible_writes();
    let engine = Engine::default();
    let mut host = host_of(&engine, ctx, P1, &body);
    host.store.set_epoch_deadline(1);
    host.store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Continue(1)));
    let thread = std::thread::spawn(move || {
        // The guest waits at least once.
        while rustix::io::ioctl_fionread(&reader).unwrap() + 128 < size {
            std::thread::yield_now();
        }
        let (mut text, mut part) = (Vec::new(), [0; 1000]);
        loop {
            engine.increment_epoch();
            match reader.read(&mut part).unwrap() {
                0 => return String::from_utf8(text).unwrap(),
                count => text.extend_from_slice(&part[..count]),
            }
        }
    });
    host.run().unwrap();
    drop(host);
    let text = thread.join().unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with(r#"fd_write(1, "\x00") = 1 <"#)).count(), CALLS);
    assert_eq!(text.lines().count(), CALLS);
    assert_eq!(output.contents().len(), CALLS);
}

#[test]
fn cancelling_the_context_ends_what_the_guest_waits_for() {
    for guest in [SLEEPER, READER] {
        let (input, _held) = std::io::pipe().unwrap();
        let mut ctx = WasiBuilder::new().stdin(Input::Fd(input.into())).build().unwrap();
        let canceller = ctx.canceller();
        let thread = std::thread::spawn(move || canceller.cancel());
        let error = run(ctx, P1, guest).unwrap_err();
        assert_eq!(error.downcast_ref::<Fault>(), Some(&Fault::Interrupted), "{error:#}");
        thread.join().unwrap();
    }
}

#[test]
fn a_wait_that_may_go_on_keeps_its_deadline() {
    let engine = Engine::default();
    let body = SLEEPER.replace("0x7fffffffffffffff", "3000000");
    let mut host = host_of(&engine, nothing(), P1, &body);
    host.store.set_epoch_deadline(1);
    host.store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Continue(1)));
    // All the while, somebody wants to know whether the guest may go on. Were the sleep to start anew each time, it
    // would not end.
    let done = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&done);
    let thread = std::thread::spawn(move || {
        while !seen.load(Ordering::SeqCst) {
            engine.increment_epoch();
            std::thread::yield_now();
        }
    });
    let before = std::time::Instant::now();
    assert_eq!(exit_code(host.run()), 5);
    assert!(before.elapsed() >= std::time::Duration::from_millis(3), "not too early");
    done.store(true, Ordering::SeqCst);
    thread.join().unwrap();
}

#[test]
fn defining_the_functions_twice_is_an_error() {
    let mut linker = Linker::<WasiCtx>::new(&Engine::default());
    add_to_linker(&mut linker, |ctx| ctx).unwrap();
    assert!(add_to_linker(&mut linker, |ctx| ctx).is_err());
}
