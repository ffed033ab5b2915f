//! Threads that compile come and go with their engine. This counts those of the process, and so has it to itself.

use crate::common::alone::alone;
use wasmrun::{Config, Engine, Instance, Module, Result, Store, Strategy};

const LOOP: &str = r#"(module (func (export "run") (param $n i32) (result i32) (local $sum i32)
    (loop $l
      (local.set $sum (i32.add (local.get $sum) (local.get $n)))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))"#;

fn run(engine: &Engine, module: &Module, n: i32) -> Result<i32> {
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, module, &[])?;
    instance.get_typed_func::<i32, i32>(&mut store, "run")?.call(&mut store, n)
}

/// Threads of this process that compile.
fn compilers() -> usize {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return 0 };
    let name = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
    };
    tasks.filter_map(name).filter(|name| name.starts_with("wasmrun-compile")).count()
}

#[test]
fn threads_are_started_for_warm_code_alone_and_end_with_the_engine() {
    alone("threads_are_started_for_warm_code_alone_and_end_with_the_engine", || {
        threads_come_and_go().unwrap()
    });
}

fn threads_come_and_go() -> Result<()> {
    let engine = Engine::new(Config::new().strategy(Strategy::Tiered).compile_threads(2))?;
    let module = Module::new(&engine, LOOP)?;
    assert_eq!(run(&engine, &module, 10)?, 55);
    assert_eq!(compilers(), 0, "nothing is warm");
    run(&engine, &module, 3_000_000)?;
    assert!((1..=2).contains(&compilers()));
    drop((engine, module));
    // The system may list a thread for a moment after it has ended.
    for _ in 0..1000 {
        if compilers() > 0 {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
    assert_eq!(compilers(), 0);
    Ok(())
}
