//! Modules that import from each other: one defines a memory and prints, the other uses both.

use wasmrun::{Caller, Engine, Linker, Module, Result, Store};

pub fn main() -> Result<()> {
    let engine = Engine::default();
    let text = Module::new(
        &engine,
        r#"
        (module $text
          (import "host" "print" (func $print (param i32 i32)))
          (memory (export "memory") 1)
          (global $end (mut i32) (i32.const 0))
          ;; Appends a byte.
          (func (export "put") (param i32)
            (i32.store8 (global.get $end) (local.get 0))
            (global.set $end (i32.add (global.get $end) (i32.const 1))))
          ;; Prints what has been appended.
          (func (export "flush")
            (call $print (i32.const 0) (global.get $end))
            (global.set $end (i32.const 0))))
        "#,
    )?;
    let program = Module::new(
        &engine,
        r#"
        (module $program
          (import "text" "put" (func $put (param i32)))
          (import "text" "flush" (func $flush))
          (func (export "run") (param $letter i32)
            (loop $next
              (call $put (local.get $letter))
              (local.set $letter (i32.add (local.get $letter) (i32.const 1)))
              (br_if $next (i32.le_u (local.get $letter) (i32.const 122))))
            (call $flush)))
        "#,
    )?;

    let mut linker = Linker::new(&engine);
    linker.func_wrap("host", "print", |mut caller: Caller<'_, String>, at: u32, len: u32| -> Result<()> {
        // The caller is the module `text`, which exports the memory.
        let memory = caller.get_export("memory").and_then(|item| item.into_memory()).expect("text has one");
        let (bytes, output) = memory.data_and_store_mut(&mut caller);
        output.push_str(std::str::from_utf8(&bytes[at as usize..][..len as usize])?);
        Ok(())
    })?;

    let mut store = Store::new(&engine, String::new());
    // All exports of an instance become imports for those that come later.
    let text = linker.instantiate(&mut store, &text)?;
    linker.instance(&mut store, "text", text)?;
    let program = linker.instantiate(&mut store, &program)?;

    let run = program.get_typed_func::<u32, ()>(&mut store, "run")?;
    run.call(&mut store, u32::from(b'p'))?;
    println!("{}", store.data());
    assert_eq!(store.data(), "pqrstuvwxyz");
    Ok(())
}
