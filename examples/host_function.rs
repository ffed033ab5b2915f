//! Functions of the host: closures that guests call, with access to the host's data and the guest's memory.

use wasmrun::{Caller, Engine, Error, Linker, Module, Result, Store};

/// The host's data in the store.
#[derive(Default)]
struct Console {
    lines: Vec<String>,
}

pub fn main() -> Result<()> {
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        r#"
        (module
          (import "console" "log" (func $log (param i32 i32) (result i32)))
          (import "math" "pow" (func $pow (param f64 f64) (result f64)))
          (memory (export "memory") 1)
          (data (i32.const 16) "hello from the guest")
          (func (export "run") (result f64)
            (drop (call $log (i32.const 16) (i32.const 20)))
            (call $pow (f64.const 2) (f64.const 10))))
        "#,
    )?;

    let mut linker = Linker::new(&engine);
    // Parameters and results of a closure are its WebAssembly type.
    linker.func_wrap("math", "pow", f64::powf)?;
    // With a `Caller` in front, it gets at the store and at the exports of who called. An error stops the
    // guest and comes out of the host's call.
    linker.func_wrap(
        "console",
        "log",
        |mut caller: Caller<'_, Console>, at: u32, len: u32| -> Result<u32> {
            let memory = caller.get_export("memory").and_then(|item| item.into_memory());
            let memory = memory.ok_or_else(|| Error::msg("the guest exports no memory"))?;
            let mut text = vec![0; len as usize];
            memory.read(&caller, at as usize, &mut text)?;
            let line = String::from_utf8(text)?;
            println!("guest: {line}");
            caller.data_mut().lines.push(line);
            Ok(caller.data().lines.len() as u32)
        },
    )?;

    let mut store = Store::new(&engine, Console::default());
    let instance = linker.instantiate(&mut store, &module)?;
    let run = instance.get_typed_func::<(), f64>(&mut store, "run")?;
    assert_eq!(run.call(&mut store, ())?, 1024.0);
    assert_eq!(store.data().lines, ["hello from the guest"]);
    Ok(())
}
