//! Guests that cannot be trusted: memory, stack, fuel and time are limited.

use std::time::Duration;

use wasmrun::{
    Config, Engine, Instance, Module, Result, Store, StoreLimits, StoreLimitsBuilder, Trap, WasmBacktrace,
};

struct Host {
    limits: StoreLimits,
}

pub fn main() -> Result<()> {
    let mut config = Config::new();
    config.consume_fuel(true).max_wasm_stack(256 << 10);
    let engine = Engine::new(&config)?;
    let module = Module::new(
        &engine,
        r#"
        (module $guest
          (memory 1)
          (func (export "greedy") (result i32) (memory.grow (i32.const 1000)))
          (func $deep (export "deep") (call $deep))
          (func $spin (export "spin") (loop $l (br $l))))
        "#,
    )?;
    let limits = StoreLimitsBuilder::new().memory_size(1 << 20).instances(10).build();
    let mut store = Store::new(&engine, Host { limits });
    store.limiter(|host| &mut host.limits);
    store.set_fuel(1_000_000)?;
    let instance = Instance::new(&mut store, &module, &[])?;

    // Memory: the guest sees that it got none.
    let greedy = instance.get_typed_func::<(), i32>(&mut store, "greedy")?;
    assert_eq!(greedy.call(&mut store, ())?, -1);

    // Stack: endless recursion is a trap.
    let deep = instance.get_typed_func::<(), ()>(&mut store, "deep")?;
    let error = deep.call(&mut store, ()).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::StackOverflow));

    // Fuel: the same amount of work is done on every machine.
    let spin = instance.get_typed_func::<(), ()>(&mut store, "spin")?;
    let error = spin.call(&mut store, ()).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::OutOfFuel));

    // Time: a call may take twenty milliseconds, host functions included.
    store.set_fuel(u64::MAX)?;
    store.set_timeout(Duration::from_millis(20));
    let error = spin.call(&mut store, ()).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::Deadline));
    let backtrace = error.downcast_ref::<WasmBacktrace>().expect("traps have a backtrace");
    assert_eq!(backtrace.frames()[0].func_name(), Some("spin"));
    println!("{error:?}");

    // And by hand, from another thread.
    store.set_timeout(None);
    let handle = store.interrupt_handle();
    let other = std::thread::spawn(move || handle.interrupt());
    let error = spin.call(&mut store, ()).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::Interrupt));
    other.join().expect("the thread does not panic");
    Ok(())
}
