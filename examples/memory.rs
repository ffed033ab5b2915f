//! Linear memory from the host's side: reading, writing, growing, and what happens outside of it.

use wasmrun::{Engine, Instance, Memory, MemoryType, Module, Result, Store, Trap};

pub fn main() -> Result<()> {
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        r#"
        (module
          (memory (export "memory") 2 3)
          (data (i32.const 0x1000) "\01\02\03\04")
          (func (export "load") (param i32) (result i32) (i32.load8_s (local.get 0)))
          (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1))))
        "#,
    )?;
    let mut store = Store::new(&engine, Vec::from(*b"host data"));
    let instance = Instance::new(&mut store, &module, &[])?;
    let memory = instance.get_memory(&mut store, "memory").expect("the module exports a memory");
    let load = instance.get_typed_func::<u32, i32>(&mut store, "load")?;
    let write = instance.get_typed_func::<(u32, i32), ()>(&mut store, "store")?;

    // The memory is a slice, as long as the store is borrowed.
    assert_eq!(memory.size(&store), 2);
    assert_eq!(memory.data(&store)[0x1000..0x1004], [1, 2, 3, 4]);
    memory.data_mut(&mut store)[0x1003] = 5;
    assert_eq!(load.call(&mut store, 0x1003)?, 5);
    write.call(&mut store, (0x1002, 6))?;
    assert_eq!(memory.data(&store)[0x1002], 6);

    // Memory and host data can be borrowed at the same time.
    let (bytes, host) = memory.data_and_store_mut(&mut store);
    bytes[..host.len()].copy_from_slice(host);
    host.clear();
    assert_eq!(load.call(&mut store, 0)?, i32::from(b'h'));

    // Outside of it, the guest traps and the host gets an error.
    let error = load.call(&mut store, 0x2_0000).unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&Trap::MemoryOutOfBounds));
    println!("{error:?}\n");
    assert!(memory.write(&mut store, 0x1_ffff, b"ab").is_err());

    // It grows as far as its type allows.
    assert_eq!(memory.grow(&mut store, 1)?, 2);
    assert_eq!(load.call(&mut store, 0x2_0000)?, 0);
    println!("{}", memory.grow(&mut store, 1).unwrap_err());

    // The host can make memories too.
    let own = Memory::new(&mut store, MemoryType::new(1, None))?;
    own.write(&mut store, 0, b"written by the host")?;
    Ok(())
}
