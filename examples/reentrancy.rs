//! Host functions that call back into the guest: here, a sort whose comparison is the guest's.

use wasmrun::{Caller, Engine, Error, Func, Linker, Module, Result, Store};

pub fn main() -> Result<()> {
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        r#"
        (module
          (import "host" "sort" (func $sort (param i32 i32 funcref)))
          (memory (export "memory") 1)
          (func $descending (param i32 i32) (result i32) (i32.sub (local.get 1) (local.get 0)))
          (elem declare func $descending)
          (func (export "run") (param $count i32)
            (call $sort (i32.const 0) (local.get $count) (ref.func $descending))))
        "#,
    )?;

    let mut linker = Linker::<()>::new(&engine);
    linker.func_wrap(
        "host",
        "sort",
        |mut caller: Caller<'_, ()>, at: u32, count: u32, compare: Option<Func>| -> Result<()> {
            let compare = compare.ok_or_else(|| Error::msg("sort without a comparison"))?;
            let compare = compare.typed::<(i32, i32), i32>(&caller)?;
            let memory = caller.get_export("memory").and_then(|item| item.into_memory());
            let memory = memory.ok_or_else(|| Error::msg("the guest exports no memory"))?;
            let range = at as usize..at as usize + 4 * count as usize;
            let bytes = memory.data(&caller).get(range.clone()).ok_or_else(|| Error::msg("out of bounds"))?;
            let mut values: Vec<i32> =
                bytes.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();

            // Each comparison is a call into the guest that is waiting for us. A trap in it ends the sort.
            let mut failure = None;
            values.sort_by(|a, b| match compare.call(&mut caller, (*a, *b)) {
                Ok(order) => order.cmp(&0),
                Err(error) => {
                    failure.get_or_insert(error);
                    std::cmp::Ordering::Equal
                }
            });
            if let Some(error) = failure {
                return Err(error);
            }
            let sorted: Vec<u8> = values.into_iter().flat_map(i32::to_le_bytes).collect();
            memory.write(&mut caller, range.start, &sorted)?;
            Ok(())
        },
    )?;

    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module)?;
    let memory = instance.get_memory(&mut store, "memory").expect("the module exports a memory");
    let numbers = [3, -7, 12, 0, 5];
    let bytes: Vec<u8> = numbers.into_iter().flat_map(i32::to_le_bytes).collect();
    memory.write(&mut store, 0, &bytes)?;
    instance.get_typed_func::<u32, ()>(&mut store, "run")?.call(&mut store, numbers.len() as u32)?;

    let sorted: Vec<i32> = memory.data(&store)[..bytes.len()]
        .chunks_exact(4)
        .map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    println!("{sorted:?}");
    assert_eq!(sorted, [12, 5, 3, 0, -7]);
    Ok(())
}
