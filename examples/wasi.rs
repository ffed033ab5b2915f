//! A WASI program with nothing of the host's: files in memory, a clock that stands still, output to look at afterwards.

use wasmrun::{Engine, I32Exit, Linker, Module, Result, Store};
use wasmrun_wasi::vfs::Perm;
use wasmrun_wasi::vfs::memfs::MemFs;
use wasmrun_wasi::{Capture, Clocks, Output, WasiBuilder, add_to_linker};

/// Writes the file `motd` and the time in seconds, a digit, to its output, and ends with the code 7. Compilers make such
/// modules from programs: this one shows what they call.
const PROGRAM: &str = r#"
    (module
      (import "wasi_snapshot_preview1" "path_open"
        (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get (param i32 i64 i32) (result i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "motd")
      ;; A buffer of 64 bytes at 256.
      (data (i32.const 16) "\00\01\00\00\40\00\00\00")
      (func $must (param $errno i32)
        (if (local.get $errno) (then (call $proc_exit (local.get $errno)))))
      (func (export "_start")
        ;; In the first directory that the host gave, for reading.
        (call $must (call $path_open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 4) (i32.const 0)
          (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 32)))
        (call $must (call $fd_read (i32.load (i32.const 32)) (i32.const 16) (i32.const 1) (i32.const 36)))
        ;; As much as was read, and a digit after it.
        (call $must (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 40)))
        (i32.store8 (i32.add (i32.const 256) (i32.load (i32.const 36)))
          (i32.add (i32.const 48) (i32.wrap_i64 (i64.div_u (i64.load (i32.const 40)) (i64.const 1000000000)))))
        (i32.store (i32.const 20) (i32.add (i32.load (i32.const 36)) (i32.const 1)))
        (call $must (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 36)))
        (call $proc_exit (i32.const 7))))
"#;

pub fn main() -> Result<()> {
    let engine = Engine::default();
    let module = Module::new(&engine, PROGRAM)?;
    let mut linker = Linker::new(&engine);
    add_to_linker(&mut linker, |ctx| ctx)?;

    // The program gets what is said here, and nothing else: no environment, no input, no directory of the host.
    // `preopened_dir` would grant one.
    let files = MemFs::default();
    files.write("motd", b"The time is ")?;
    let output = Capture::default();
    let ctx = WasiBuilder::new()
        .arg("program")
        .stdout(Output::Capture(output.clone()))
        .memfs(&files, "/", Perm::ReadOnly)
        .clocks(Clocks::fixed(3_000_000_000))
        .build()?;

    // A program that ends by itself ends with an error that says how.
    let mut store = Store::new(&engine, ctx);
    let instance = linker.instantiate(&mut store, &module)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    let ended = start.call(&mut store, ()).expect_err("the program exits");
    let I32Exit(code) = ended.downcast_ref().expect("and not by a trap");
    let said = output.contents();
    println!("exit code {code}: {}", said.escape_ascii());
    assert_eq!((*code, said.as_slice()), (7, &b"The time is 3"[..]));
    Ok(())
}
