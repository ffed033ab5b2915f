//! Memories whose pages are single bytes: they end where they end, in every tier, and grow by single bytes.

use wasmrun::{Instance, Memory, MemoryType, Module, Result, Store, StoreLimits, StoreLimitsBuilder, Trap};

use crate::common::{Mode, in_every_mode};

in_every_mode! {
    a_memory_ends_at_any_byte
    a_memory_grows_by_single_bytes
    memories_beside_it_are_as_they_were
    the_most_pages_are_as_many_as_addresses_count
    pages_of_the_other_size_are_not_imported
    limiters_are_asked_in_bytes
}

fn trap_of<T: std::fmt::Debug>(result: Result<T>) -> Trap {
    *result.unwrap_err().downcast_ref().unwrap()
}

fn instance<T>(store: &mut Store<T>, wat: &str) -> Result<Instance> {
    let module = Module::new(store.engine(), wat)?;
    Instance::new(store, &module, &[])
}

fn a_memory_ends_at_any_byte(mode: Mode) -> Result<()> {
    for (len, bytes) in [(0, 1), (1, 1), (7, 4), (8, 8), (4095, 2), (4097, 16), (65537, 8)] {
        let access = match bytes {
            1 => "i32.load8_u",
            2 => "i32.load16_u",
            4 => "i32.load",
            8 => "i64.load",
            _ => "v128.load",
        };
        let wat = format!(
            r#"(module (memory {len} (pagesize 1))
              (func (export "load") (param i32) (drop ({access} (local.get 0))))
              (func (export "load_far") (param i32) (drop ({access} offset=100 (local.get 0))))
              (func (export "fill") (param i32) (memory.fill (local.get 0) (i32.const 1) (i32.const {bytes}))))"#
        );
        let mut store = Store::new(&mode.engine(), ());
        let instance = instance(&mut store, &wat)?;
        for (name, offset) in [("load", 0), ("load_far", 100), ("fill", 0)] {
            let load = instance.get_typed_func::<u32, ()>(&mut store, name)?;
            for address in (0..40).chain(len - len.min(150)..len + 20).chain([u32::MAX - 4, u32::MAX]) {
                let inside = u64::from(address) + offset + bytes <= u64::from(len);
                let result = load.call(&mut store, address);
                match inside {
                    true => result?,
                    false => {
                        assert_eq!(trap_of(result), Trap::MemoryOutOfBounds, "{name} {address} of {len}")
                    }
                }
            }
        }
    }
    Ok(())
}

fn a_memory_grows_by_single_bytes(mode: Mode) -> Result<()> {
    let wat = r#"(module (memory (export "m") 3 70000 (pagesize 1)) (data (i32.const 0) "abc")
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
      (func (export "size") (result i32) (memory.size))
      (func (export "put") (param i32) (i32.store8 (local.get 0) (i32.const 100))))"#;
    let mut store = Store::new(&mode.engine(), ());
    let instance = instance(&mut store, wat)?;
    let grow = instance.get_typed_func::<u32, i32>(&mut store, "grow")?;
    let size = instance.get_typed_func::<(), i32>(&mut store, "size")?;
    let put = instance.get_typed_func::<u32, ()>(&mut store, "put")?;
    assert_eq!(trap_of(put.call(&mut store, 3)), Trap::MemoryOutOfBounds);
    assert_eq!(grow.call(&mut store, 1)?, 3);
    put.call(&mut store, 3)?;
    assert_eq!(trap_of(put.call(&mut store, 4)), Trap::MemoryOutOfBounds);
    assert_eq!((grow.call(&mut store, 69_996)?, size.call(&mut store, ())?), (4, 70_000));
    assert_eq!((grow.call(&mut store, 1)?, grow.call(&mut store, u32::MAX)?), (-1, -1));
    put.call(&mut store, 69_999)?;
    let memory = instance.get_memory(&mut store, "m").unwrap();
    assert_eq!(
        (memory.page_size(&store), memory.size(&store), memory.data_size(&store)),
        (1, 70_000, 70_000)
    );
    assert_eq!(&memory.data(&store)[..5], b"abcd\0");
    Ok(())
}

fn memories_beside_it_are_as_they_were(mode: Mode) -> Result<()> {
    let wat = r#"(module (memory $bytes 10 (pagesize 1)) (memory $pages 1) (memory $wide i64 10 (pagesize 1))
      (func (export "sum") (param i32) (result i32)
        (i32.store8 $bytes (i32.const 9) (i32.const 1))
        (i32.store $pages (local.get 0) (i32.const 2))
        (i32.store8 $wide (i64.const 9) (i32.const 4))
        (i32.add (i32.load8_u $bytes (i32.const 9))
          (i32.add (i32.load $pages (local.get 0)) (i32.load8_u $wide (i64.const 9)))))
      (func (export "behind") (param i32) (result i32) (i32.load8_u $bytes (local.get 0)))
      (func (export "behind_wide") (param i32) (result i32) (i32.load8_u $wide (i64.extend_i32_s (local.get 0)))))"#;
    let mut store = Store::new(&mode.engine(), ());
    let instance = instance(&mut store, wat)?;
    let sum = instance.get_typed_func::<u32, i32>(&mut store, "sum")?;
    assert_eq!(sum.call(&mut store, 65532)?, 7);
    assert_eq!(trap_of(sum.call(&mut store, 65533)), Trap::MemoryOutOfBounds);
    for name in ["behind", "behind_wide"] {
        let behind = instance.get_typed_func::<i32, i32>(&mut store, name)?;
        behind.call(&mut store, 9)?;
        for address in [10, 65536, i32::MAX, -1] {
            assert_eq!(
                trap_of(behind.call(&mut store, address)),
                Trap::MemoryOutOfBounds,
                "{name} {address}"
            );
        }
    }
    Ok(())
}

fn the_most_pages_are_as_many_as_addresses_count(mode: Mode) -> Result<()> {
    let wat = r#"(module (memory 0 0xffff_ffff (pagesize 1))
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
      (func (export "size") (result i32) (memory.size))
      (func (export "load") (param i32) (result i32) (i32.load8_u (local.get 0))))"#;
    let mut store = Store::new(&mode.engine(), ());
    let instance = instance(&mut store, wat)?;
    let grow = instance.get_typed_func::<u32, i32>(&mut store, "grow")?;
    let size = instance.get_typed_func::<(), u32>(&mut store, "size")?;
    let load = instance.get_typed_func::<u32, i32>(&mut store, "load")?;
    // The system may have no room for it, which it then has not for others.
    let has_room = Vec::<u8>::new().try_reserve_exact(u32::MAX as usize).is_ok();
    let grown = grow.call(&mut store, u32::MAX)?;
    assert!(grown == 0 || !has_room && grown == -1, "{grown}");
    if grown == 0 {
        assert_eq!(size.call(&mut store, ())?, u32::MAX);
        assert_eq!(load.call(&mut store, u32::MAX - 1)?, 0);
        assert_eq!(trap_of(load.call(&mut store, u32::MAX)), Trap::MemoryOutOfBounds);
        assert_eq!(grow.call(&mut store, 1)?, -1);
    }
    // Of 64 bits there are more than any system has.
    let error = Module::new(store.engine(), "(module (memory i64 0xffff_ffff_ffff_ffff (pagesize 1)))")
        .and_then(|module| Instance::new(&mut store, &module, &[]));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("memory 0 of 18446744073709551615 pages cannot be made"), "{error}");
    Ok(())
}

fn pages_of_the_other_size_are_not_imported(mode: Mode) -> Result<()> {
    let mut store = Store::new(&mode.engine(), ());
    let module = |store: &Store<()>, text: &str| {
        Module::new(store.engine(), format!(r#"(module (import "" "m" {text}))"#))
    };
    let (bytes, pages) = (module(&store, "(memory 1 (pagesize 1))")?, module(&store, "(memory 1)")?);
    let of_bytes = MemoryType::builder().min(65536).page_size_log2(0).build()?;
    let of_bytes = Memory::new(&mut store, of_bytes)?;
    let of_pages = Memory::new(&mut store, MemoryType::new(1, None))?;
    Instance::new(&mut store, &bytes, &[of_bytes.into()])?;
    Instance::new(&mut store, &pages, &[of_pages.into()])?;
    let error = Instance::new(&mut store, &bytes, &[of_pages.into()]).unwrap_err().to_string();
    assert!(error.contains("of size 1"), "{error}");
    assert!(Instance::new(&mut store, &pages, &[of_bytes.into()]).is_err());
    Ok(())
}

fn limiters_are_asked_in_bytes(mode: Mode) -> Result<()> {
    let limits = StoreLimitsBuilder::new().memory_size(1000).build();
    let mut store = Store::new(&mode.engine(), limits);
    store.limiter(|limits: &mut StoreLimits| limits);
    let wat = r#"(module (memory 990 (pagesize 1))
      (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))"#;
    let instance = instance(&mut store, wat)?;
    let grow = instance.get_typed_func::<u32, i32>(&mut store, "grow")?;
    assert_eq!((grow.call(&mut store, 11)?, grow.call(&mut store, 10)?), (-1, 990));
    assert_eq!((grow.call(&mut store, 1)?, grow.call(&mut store, 0)?), (-1, 1000));
    Ok(())
}
