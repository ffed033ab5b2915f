//! Memories and tables with 64-bit addresses: what is inside is reached, what is outside traps, however far outside it is and
//! however it is written, in every tier and whether the memory is guarded or not.

use std::ops::Range;

use wasmrun::{
    Config, Engine, Func, Instance, Memory, MemoryStrategy, MemoryType, Module, Ref, RefType, Result, Store,
    StoreLimits, StoreLimitsBuilder, Table, TableType, Trap, Val,
};

use crate::common::{Mode, in_every_mode};

in_every_mode! {
    accesses_reach_the_last_byte_and_no_further
    offsets_beyond_32_bits_are_added
    sums_beyond_64_bits_are_outside
    addresses_are_computed_as_64_bits
    narrow_accesses_and_vectors_are_checked_as_others_are
    memories_grow_and_count_in_64_bits
    growth_beyond_all_bounds_fails
    bulk_operations_of_64_bits_are_checked
    memories_of_both_widths_copy_to_each_other
    segments_have_offsets_of_64_bits
    tables_have_indices_of_64_bits
    an_imported_memory_of_which_less_is_reserved_is_checked
    a_memory_that_may_become_huge_can_be_used
    limiters_see_bytes
}

/// Both ways to lay a memory out.
fn engines(mode: Mode) -> [Engine; 2] {
    [MemoryStrategy::Guarded, MemoryStrategy::Checked]
        .map(|memories| Engine::new(mode.config().memory_strategy(memories)).unwrap())
}

fn instance<T>(store: &mut Store<T>, wat: &str) -> Result<Instance> {
    let module = Module::new(store.engine(), wat)?;
    Instance::new(store, &module, &[])
}

/// Calls an exported function of `i64` parameters with one result.
fn call<T: 'static>(store: &mut Store<T>, instance: &Instance, name: &str, args: &[u64]) -> Result<Val> {
    let func = instance.get_func(&mut *store, name).unwrap();
    let args: Vec<Val> = args.iter().map(|arg| Val::I64(*arg as i64)).collect();
    let mut results = [Val::I32(0)];
    let count = func.ty(&*store).results().len();
    func.call(store, &args, &mut results[..count])?;
    Ok(results[0])
}

fn trap_of<T: std::fmt::Debug>(result: Result<T>) -> Trap {
    *result.unwrap_err().downcast_ref().unwrap()
}

/// Addresses of interest about the end of a memory of `len` bytes.
fn addresses(len: u64) -> Vec<u64> {
    let around = |at: u64| (0..20).flat_map(move |n| [at.wrapping_sub(n), at.wrapping_add(n)]);
    let at = [0, len, 1 << 31, 1 << 32, 1 << 34, 1 << 36, 1 << 47, 1 << 48, 1 << 63];
    at.into_iter().flat_map(around).collect()
}

fn accesses_reach_the_last_byte_and_no_further(mode: Mode) -> Result<()> {
    let wat = r#"(module (memory (export "m") i64 1)
      (func (export "load8") (param i64) (result i32) (i32.load8_u (local.get 0)))
      (func (export "load64") (param i64) (result i64) (i64.load offset=8 (local.get 0)))
      (func (export "store32") (param i64) (i32.store offset=3 (local.get 0) (i32.const 9)))
      (func (export "at_end") (result i64) (i64.load (i64.const 65528)))
      (func (export "behind_end") (result i64) (i64.load (i64.const 65529)))
      (func (export "minus_one") (result i32) (i32.load8_u (i64.const -1)))
      (func (export "minus_eight") (result i64) (i64.load offset=8 (i64.const -8)))
      (func (export "far") (result i32) (i32.load8_u (i64.const 0x1_0000_0000))))"#;
    for engine in engines(mode) {
        let mut store = Store::new(&engine, ());
        let instance = instance(&mut store, wat)?;
        for address in addresses(65536) {
            for (name, offset, bytes) in [("load8", 0, 1), ("load64", 8, 8), ("store32", 3, 4)] {
                let inside = u128::from(address) + offset + bytes <= 65536;
                let result = call(&mut store, &instance, name, &[address]);
                match inside {
                    true => drop(result.unwrap_or_else(|error| panic!("{name} {address:#x}: {error}"))),
                    false => assert_eq!(trap_of(result), Trap::MemoryOutOfBounds, "{name} {address:#x}"),
                }
            }
        }
        call(&mut store, &instance, "at_end", &[])?;
        for name in ["behind_end", "minus_one", "minus_eight", "far"] {
            let result = call(&mut store, &instance, name, &[]);
            assert_eq!(trap_of(result), Trap::MemoryOutOfBounds, "{name}");
        }
    }
    Ok(())
}

fn offsets_beyond_32_bits_are_added(mode: Mode) -> Result<()> {
    let wat = r#"(module (memory i64 0x1_0002)
      (func (export "put") (param i64) (i32.store offset=0x1_0000_0000 (local.get 0) (i32.const 77)))
      (func (export "get") (param i64) (result i32) (i32.load (local.get 0)))
      (func (export "get_far") (param i64) (result i32) (i32.load offset=0x1_0000_fffc (local.get 0)))
      (func (export "get_sum") (param i64) (result i32)
        (i32.load offset=0x1_0000_0000 (i64.add (local.get 0) (i64.const 100))))
      (func (export "constant") (result i32) (i32.load offset=0xffff_ff00 (i64.const 0x10120)))
      (func (export "vector") (param i64) (result i32)
        (i32x4.extract_lane 0 (v128.load offset=0x1_0000_0000 (local.get 0)))))"#;
    for engine in engines(mode) {
        let mut store = Store::new(&engine, ());
        let instance = instance(&mut store, wat)?;
        call(&mut store, &instance, "put", &[0x10020])?;
        for (name, arg) in [
            ("get", Some(0x1_0001_0020)),
            ("get_far", Some(0x24)),
            ("get_sum", Some(0x10020 - 100)),
            ("constant", None),
            ("vector", Some(0x10020)),
        ] {
            let args: Vec<u64> = arg.into_iter().collect();
            assert_eq!(call(&mut store, &instance, name, &args)?.unwrap_i32(), 77, "{name}");
        }
        for (name, arg) in
            [("get_far", 0x10001), ("get_sum", 0x20000), ("vector", 0x1fff1), ("put", u64::MAX)]
        {
            let result = call(&mut store, &instance, name, &[arg]);
            assert_eq!(trap_of(result), Trap::MemoryOutOfBounds, "{name}");
        }
    }
    Ok(())
}

fn sums_beyond_64_bits_are_outside(mode: Mode) -> Result<()> {
    for offset in [3, 7, 8, 0x7fff_ffff, 1 << 32, 1 << 63, u64::MAX - 8, u64::MAX - 1, u64::MAX] {
        let wat = format!(
            r#"(module (memory i64 1)
              (func (export "load8") (param i64) (result i32) (i32.load8_s offset={offset} (local.get 0)))
              (func (export "load") (param i64) (result i64) (i64.load offset={offset} (local.get 0)))
              (func (export "store") (param i64) (i64.store offset={offset} (local.get 0) (i64.const 5)))
              (func (export "constant") (result i64) (i64.load offset={offset} (i64.const -1))))"#
        );
        for engine in engines(mode) {
            let mut store = Store::new(&engine, ());
            let instance = instance(&mut store, &wat)?;
            for address in [0u64.wrapping_sub(offset), 2u64.wrapping_sub(offset), u64::MAX, u64::MAX - 7] {
                for name in ["load8", "load", "store"] {
                    let result = call(&mut store, &instance, name, &[address]);
                    assert_eq!(trap_of(result), Trap::MemoryOutOfBounds, "{name} {address:#x}+{offset:#x}");
                }
            }
            let result = call(&mut store, &instance, "constant", &[]);
            assert_eq!(trap_of(result), Trap::MemoryOutOfBounds, "{offset:#x}");
        }
    }
    Ok(())
}

fn addresses_are_computed_as_64_bits(mode: Mode) -> Result<()> {
    let wat = r#"(module (memory i64 1) (data (i64.const 40) "\2a\00\00\00\2b")
      (func (export "sum") (param i64 i64) (result i32)
        (i32.load (i64.add (local.get 0) (local.get 1))))
      (func (export "sum_of_constant") (param i64) (result i32)
        (i32.load8_u offset=4 (i64.add (local.get 0) (i64.const -8))))
      (func (export "element") (param i64 i64) (result i32)
        (i32.load (i64.add (local.get 0) (i64.shl (local.get 1) (i64.const 3)))))
      (func (export "element_of_narrow") (param i64 i64) (result i32)
        (i32.load (i64.add (i64.shl (i64.extend_i32_u (i32.wrap_i64 (local.get 1))) (i64.const 2)) (local.get 0))))
      (func (export "element_kept") (param i64 i64) (result i64)
        (local $at i64)
        (local.set $at (i64.add (local.get 0) (i64.shl (local.get 1) (i64.const 3))))
        (i64.add (local.get $at) (i64.extend_i32_u (i32.load8_u (local.get $at))))))"#;
    for engine in engines(mode) {
        let mut store = Store::new(&engine, ());
        let instance = instance(&mut store, wat)?;
        let mut load = |name: &str, args: &[u64]| call(&mut store, &instance, name, args);
        assert_eq!(load("sum", &[44, 0u64.wrapping_sub(4)])?.unwrap_i32(), 42);
        assert_eq!(load("sum_of_constant", &[48])?.unwrap_i32(), 43);
        assert_eq!(load("element", &[16, 3])?.unwrap_i32(), 42);
        assert_eq!(load("element", &[48, u64::MAX])?.unwrap_i32(), 42);
        assert_eq!(load("element_of_narrow", &[0, 1 << 32 | 10])?.unwrap_i32(), 42);
        assert_eq!(load("element_kept", &[32, 1])?.unwrap_i64(), 82);
        // Sums of 32 bits would be inside.
        for (name, args) in [
            ("sum", [1 << 32, 40]),
            ("sum", [1 << 63, 40]),
            ("element", [40, 1 << 29]),
            ("element", [1 << 32 | 40, 0]),
            ("element_of_narrow", [40, 0xffff_ffff]),
            ("element_kept", [8, 1 << 30]),
        ] {
            assert_eq!(trap_of(load(name, &args)), Trap::MemoryOutOfBounds, "{name} {args:x?}");
        }
    }
    Ok(())
}

fn narrow_accesses_and_vectors_are_checked_as_others_are(mode: Mode) -> Result<()> {
    // Instruction, bytes of the access, what stands behind the address.
    let loads =
        [("i64.load8_s", 1), ("i64.load16_u", 2), ("i64.load32_s", 4), ("f64.load", 8), ("v128.load", 16)];
    let more = [("v128.load8x8_u", 8), ("v128.load64_zero", 8), ("v128.load16_splat", 2)];
    let stores = [
        ("i64.store8", 1, "(i64.const 1)"),
        ("i32.store16", 2, "(i32.const 1)"),
        ("f32.store", 4, "(f32.const 1)"),
        ("v128.store", 16, "(v128.const i64x2 1 1)"),
        ("v128.store32_lane 2", 4, "(v128.const i64x2 1 1)"),
        ("v128.store8_lane 15", 1, "(v128.const i64x2 1 1)"),
    ];
    let mut functions = String::new();
    let mut expected = Vec::new();
    let mut add = |text: String, bytes| {
        functions.push_str(&format!("(func (export \"f{}\") (param i64) {text})\n", expected.len()));
        expected.push(bytes);
    };
    for memory in ["0", "1"] {
        for (load, bytes) in loads.into_iter().chain(more) {
            add(format!("(drop ({load} {memory} offset=5 (local.get 0)))"), bytes);
        }
        for (store, bytes, value) in stores {
            let (name, lane) = store.split_once(' ').unwrap_or((store, ""));
            add(format!("({name} {memory} offset=5 {lane} (local.get 0) {value})"), bytes);
        }
        add(format!("(drop (v128.load64_lane {memory} offset=5 1 (local.get 0) (v128.const i64x2 0 0)))"), 8);
    }
    let wat = format!("(module (memory i64 1) (memory i64 1) {functions})");
    for engine in engines(mode) {
        let mut store = Store::new(&engine, ());
        let instance = instance(&mut store, &wat)?;
        for (i, bytes) in expected.iter().enumerate() {
            let last = 65536 - 5 - bytes;
            call(&mut store, &instance, &format!("f{i}"), &[last])?;
            for address in [last + 1, 65536, 1 << 32, 1 << 48, 0u64.wrapping_sub(5), u64::MAX] {
                let result = call(&mut store, &instance, &format!("f{i}"), &[address]);
                assert_eq!(trap_of(result), Trap::MemoryOutOfBounds, "f{i} {address:#x}");
            }
        }
    }
    Ok(())
}

fn memories_grow_and_count_in_64_bits(mode: Mode) -> Result<()> {
    let wat = r#"(module (memory (export "m") i64 1 5)
      (func (export "size") (result i64) (memory.size))
      (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0)))
      (func (export "grown") (param i64) (result i64)
        (drop (memory.grow (local.get 0)))
        (i64.store (i64.const 131064) (i64.const 0x1234_5678_9abc_def0))
        (i64.load (i64.const 131064))))"#;
    for engine in engines(mode) {
        let mut store = Store::new(&engine, ());
        let instance = instance(&mut store, wat)?;
        assert_eq!(call(&mut store, &instance, "size", &[])?.unwrap_i64(), 1);
        assert_eq!(call(&mut store, &instance, "grown", &[2])?.unwrap_i64(), 0x1234_5678_9abc_def0);
        for delta in [3, 1 << 32, 1 << 48, 1 << 63, u64::MAX] {
            assert_eq!(call(&mut store, &instance, "grow", &[delta])?.unwrap_i64(), -1, "{delta:#x}");
        }
        assert_eq!(call(&mut store, &instance, "grow", &[2])?.unwrap_i64(), 3);
        let memory = instance.get_memory(&mut store, "m").unwrap();
        assert_eq!((memory.size(&store), memory.data_size(&store)), (5, 5 * 65536));
        assert_eq!(memory.ty(&store), MemoryType::new64(5, Some(5)));
        assert_eq!(memory.page_size(&store), 65536);
        let error = memory.grow(&mut store, u64::MAX).unwrap_err().to_string();
        assert!(error.contains("memory of 5 pages"), "{error}");
    }
    Ok(())
}

fn growth_beyond_all_bounds_fails(mode: Mode) -> Result<()> {
    let wat = r#"(module (memory i64 1)
      (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0)))
      (func (export "load") (param i64) (result i32) (i32.load8_u (local.get 0))))"#;
    for engine in engines(mode) {
        let mut store = Store::new(&engine, ());
        let instance = instance(&mut store, wat)?;
        for shift in 32..64 {
            let grown = call(&mut store, &instance, "grow", &[1 << shift])?.unwrap_i64();
            assert_eq!(grown, -1, "by 2^{shift} pages");
        }
        assert_eq!(call(&mut store, &instance, "load", &[65535])?.unwrap_i32(), 0);
        assert_eq!(trap_of(call(&mut store, &instance, "load", &[65536])), Trap::MemoryOutOfBounds);
    }
    Ok(())
}

fn bulk_operations_of_64_bits_are_checked(mode: Mode) -> Result<()> {
    let wat = r#"(module (memory (export "m") i64 1) (data $d "abcdef")
      (func (export "fill") (param i64 i64) (memory.fill (local.get 0) (i32.const 7) (local.get 1)))
      (func (export "copy") (param i64 i64 i64) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
      (func (export "init") (param i64 i64)
        (memory.init $d (local.get 0) (i32.wrap_i64 (local.get 1)) (i32.const 2))))"#;
    for engine in engines(mode) {
        let mut store = Store::new(&engine, ());
        let instance = instance(&mut store, wat)?;
        let mut right = |name: &str, args: &[u64]| call(&mut store, &instance, name, args).map(drop);
        right("fill", &[65530, 6])?;
        right("fill", &[65536, 0])?;
        right("copy", &[100, 65530, 6])?;
        right("init", &[200, 3])?;
        for (name, args) in [
            ("fill", &[65530, 7][..]),
            ("fill", &[u64::MAX, 1]),
            ("fill", &[u64::MAX, 0]),
            ("fill", &[1, u64::MAX]),
            ("fill", &[0u64.wrapping_sub(16), 32]),
            ("copy", &[0u64.wrapping_sub(8), 0, 16]),
            ("copy", &[0, 0u64.wrapping_sub(8), 16]),
            ("copy", &[0, 1, u64::MAX]),
            ("copy", &[1 << 32, 0, 1]),
            ("init", &[0u64.wrapping_sub(1), 0]),
            ("init", &[65535, 0]),
            ("init", &[0, 5]),
        ] {
            assert_eq!(trap_of(right(name, args)), Trap::MemoryOutOfBounds, "{name} {args:x?}");
        }
        let memory = instance.get_memory(&mut store, "m").unwrap();
        assert_eq!(memory.data(&store)[100..107], [7, 7, 7, 7, 7, 7, 0]);
        assert_eq!(&memory.data(&store)[199..203], b"\0de\0");
    }
    Ok(())
}

fn memories_of_both_widths_copy_to_each_other(mode: Mode) -> Result<()> {
    let wat = r#"(module (memory $narrow (export "narrow") 1) (memory $wide (export "wide") i64 1)
      (data (memory $narrow) (i32.const 10) "narrow") (data (memory $wide) (i64.const 20) "wide")
      (func (export "to_wide") (param i64 i64 i64)
        (memory.copy $wide $narrow (local.get 0) (i32.wrap_i64 (local.get 1)) (i32.wrap_i64 (local.get 2))))
      (func (export "to_narrow") (param i64 i64 i64)
        (memory.copy $narrow $wide (i32.wrap_i64 (local.get 0)) (local.get 1) (i32.wrap_i64 (local.get 2))))
      (func (export "sum") (param i64) (result i32)
        (i32.add (i32.load8_u $narrow (i32.wrap_i64 (local.get 0))) (i32.load8_u $wide (local.get 0)))))"#;
    for engine in engines(mode) {
        let mut store = Store::new(&engine, ());
        let instance = instance(&mut store, wat)?;
        call(&mut store, &instance, "to_wide", &[1000, 10, 6])?;
        call(&mut store, &instance, "to_narrow", &[2000, 20, 4])?;
        for (name, args) in
            [("to_wide", [1 << 32, 0, 1]), ("to_narrow", [0, 1 << 32, 1]), ("to_wide", [0, 65535, 2])]
        {
            let result = call(&mut store, &instance, name, &args);
            assert_eq!(trap_of(result), Trap::MemoryOutOfBounds, "{name} {args:x?}");
        }
        let bytes = |store: &mut Store<()>, name, range: Range<usize>| {
            let memory = instance.get_memory(&mut *store, name).unwrap();
            memory.data(&*store)[range].to_vec()
        };
        assert_eq!(bytes(&mut store, "wide", 1000..1006), b"narrow");
        assert_eq!(bytes(&mut store, "narrow", 2000..2004), b"wide");
        assert_eq!(call(&mut store, &instance, "sum", &[1000])?.unwrap_i32(), i32::from(b'n'));
        assert_eq!(trap_of(call(&mut store, &instance, "sum", &[1 << 32])), Trap::MemoryOutOfBounds);
    }
    Ok(())
}

fn segments_have_offsets_of_64_bits(mode: Mode) -> Result<()> {
    for engine in engines(mode) {
        let good = Module::new(
            &engine,
            r#"(module (memory (export "m") i64 1) (data (i64.const 65533) "end")
              (func (export "last") (result i32) (i32.load8_u (i64.const 65535))))"#,
        )?;
        // The second instance maps what the first has copied.
        for _ in 0..3 {
            let mut store = Store::new(&engine, ());
            let instance = Instance::new(&mut store, &good, &[])?;
            assert_eq!(call(&mut store, &instance, "last", &[])?.unwrap_i32(), i32::from(b'd'));
        }
        for offset in [65534, 1 << 32, 1 << 63, u64::MAX, u64::MAX - 2] {
            let wat = format!(r#"(module (memory i64 1) (data (i64.const {offset}) "end"))"#);
            let module = Module::new(&engine, &wat)?;
            for _ in 0..3 {
                let made = Instance::new(&mut Store::new(&engine, ()), &module, &[]);
                assert_eq!(trap_of(made), Trap::MemoryOutOfBounds, "{offset:#x}");
            }
            let wat = format!("(module (table i64 4 funcref) (func $f) (elem (i64.const {offset}) func $f))");
            let made = Instance::new(&mut Store::new(&engine, ()), &Module::new(&engine, &wat)?, &[]);
            assert_eq!(trap_of(made), Trap::TableOutOfBounds, "{offset:#x}");
        }
    }
    Ok(())
}

fn tables_have_indices_of_64_bits(mode: Mode) -> Result<()> {
    let wat = r#"(module
      (type $f (func (result i32)))
      (table $t (export "t") i64 4 funcref) (table $e i64 2 externref) (table $n 4 funcref)
      (elem (table $t) (i64.const 1) func $seven)
      (elem $s func $seven $seven $seven)
      (func $seven (result i32) (i32.const 7))
      (func (export "call") (param i64) (result i32) (call_indirect $t (type $f) (local.get 0)))
      (func (export "tail") (param i64) (result i32) (return_call_indirect $t (type $f) (local.get 0)))
      (func (export "call_constant") (result i32) (call_indirect $t (type $f) (i64.const 1)))
      (func (export "call_minus_one") (result i32) (call_indirect $t (type $f) (i64.const -1)))
      (func (export "get") (param i64) (result i32) (ref.is_null (table.get $t (local.get 0))))
      (func (export "get_extern") (param i64) (result i32) (ref.is_null (table.get $e (local.get 0))))
      (func (export "set") (param i64) (table.set $t (local.get 0) (ref.func $seven)))
      (func (export "set_extern") (param i64) (table.set $e (local.get 0) (ref.null extern)))
      (func (export "size") (result i64) (table.size $t))
      (func (export "grow") (param i64) (result i64) (table.grow $t (ref.null func) (local.get 0)))
      (func (export "grow_extern") (param i64) (result i64) (table.grow $e (ref.null extern) (local.get 0)))
      (func (export "fill") (param i64 i64) (table.fill $t (local.get 0) (ref.func $seven) (local.get 1)))
      (func (export "fill_extern") (param i64 i64) (table.fill $e (local.get 0) (ref.null extern) (local.get 1)))
      (func (export "copy") (param i64 i64 i64) (table.copy $t $t (local.get 0) (local.get 1) (local.get 2)))
      (func (export "to_narrow") (param i64 i64)
        (table.copy $n $t (i32.const 0) (local.get 0) (i32.wrap_i64 (local.get 1))))
      (func (export "init") (param i64) (table.init $t $s (local.get 0) (i32.const 0) (i32.const 3))))"#;
    for engine in engines(mode) {
        let mut store = Store::new(&engine, ());
        let instance = instance(&mut store, wat)?;
        let mut run = |name: &str, args: &[u64]| call(&mut store, &instance, name, args);
        for name in ["call", "tail"] {
            assert_eq!(run(name, &[1])?.unwrap_i32(), 7);
            assert_eq!(trap_of(run(name, &[0])), Trap::IndirectCallToNull);
        }
        assert_eq!(run("call_constant", &[])?.unwrap_i32(), 7);
        assert_eq!(trap_of(run("call_minus_one", &[])), Trap::TableOutOfBounds);
        for index in [4, 1 << 32, 1 << 32 | 1, 1 << 61, 1 << 61 | 1, 1 << 63, u64::MAX] {
            for name in ["call", "tail", "get", "get_extern", "set", "set_extern", "init"] {
                assert_eq!(trap_of(run(name, &[index])), Trap::TableOutOfBounds, "{name} {index:#x}");
            }
            for (name, args) in [
                ("fill", &[index, 1][..]),
                ("fill", &[1, index]),
                ("fill_extern", &[index, 1]),
                ("fill_extern", &[1, index]),
                ("copy", &[index, 0, 1]),
                ("copy", &[0, index, 1]),
                ("copy", &[1, 0, index]),
                ("to_narrow", &[index, 1]),
            ] {
                assert_eq!(trap_of(run(name, args)), Trap::TableOutOfBounds, "{name} {args:x?}");
            }
            if index > 4 {
                assert_eq!(run("grow", &[index])?.unwrap_i64(), -1);
                assert_eq!(run("grow_extern", &[index])?.unwrap_i64(), -1);
            }
        }
        assert_eq!(run("grow", &[3])?.unwrap_i64(), 4);
        assert_eq!(run("size", &[])?.unwrap_i64(), 7);
        run("init", &[4])?;
        run("copy", &[2, 5, 2])?;
        run("to_narrow", &[3, 4])?;
        assert_eq!((run("get", &[2])?.unwrap_i32(), run("get", &[0])?.unwrap_i32()), (0, 1));
        let table = instance.get_table(&mut store, "t").unwrap();
        assert_eq!((table.size(&store), table.ty(&store)), (7, TableType::new64(RefType::FUNCREF, 7, None)));
        assert!(table.get(&mut store, 1 << 32 | 1).is_none());
        assert!(table.set(&mut store, u64::MAX, Ref::Func(None)).is_err());
    }
    Ok(())
}

fn an_imported_memory_of_which_less_is_reserved_is_checked(mode: Mode) -> Result<()> {
    let wat = r#"(module (memory (import "" "m") i64 1)
      (func (export "load") (param i64) (result i32) (i32.load8_u (local.get 0)))
      (func (export "store") (param i64) (i32.store8 offset=1 (local.get 0) (i32.const 1))))"#;
    for engine in engines(mode) {
        let module = Module::new(&engine, wat)?;
        // The module knows of no maximum; what these reserve is less, as much, and more than it would expect.
        for max in [Some(1), Some(2), Some(1 << 20), Some(1 << 21), Some(1 << 48), None] {
            let mut store = Store::new(&engine, ());
            let memory = Memory::new(&mut store, MemoryType::new64(1, max))?;
            let instance = Instance::new(&mut store, &module, &[memory.into()])?;
            call(&mut store, &instance, "store", &[65534])?;
            for address in addresses(65536) {
                let (load, store_) = (address < 65536, address < 65535);
                for (name, inside) in [("load", load), ("store", store_)] {
                    let result = call(&mut store, &instance, name, &[address]);
                    assert_eq!(result.is_ok(), inside, "{name} {address:#x}, maximum {max:x?}");
                }
            }
        }
        // Addresses and pages have to be of one kind.
        let mut store = Store::new(&engine, ());
        let narrow = Memory::new(&mut store, MemoryType::new(1, None))?;
        let error = Instance::new(&mut store, &module, &[narrow.into()]).unwrap_err().to_string();
        assert!(error.contains("i64"), "{error}");
        let importer = Module::new(&engine, r#"(module (import "" "t" (table 1 funcref)))"#)?;
        let wide = Table::new(&mut store, TableType::new64(RefType::FUNCREF, 1, None), Ref::Func(None))?;
        assert!(Instance::new(&mut store, &importer, &[wide.into()]).is_err());
    }
    Ok(())
}

fn a_memory_that_may_become_huge_can_be_used(mode: Mode) -> Result<()> {
    for max in [1u64 << 24, (1 << 24) + 1, 1 << 32, 1 << 48] {
        let wat = format!(
            r#"(module (memory (export "m") i64 1 {max}) (memory 1)
              (func (export "sum") (param i64) (result i32)
                (i32.store 1 (i32.const 8) (i32.const 3))
                (i32.add (i32.load8_u 0 (local.get 0)) (i32.load 1 (i32.const 8))))
              (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0))))"#
        );
        for engine in engines(mode) {
            let mut store = Store::new(&engine, ());
            let instance = instance(&mut store, &wat)?;
            for pages in [1, 40, 1000] {
                let memory = instance.get_memory(&mut store, "m").unwrap();
                assert_eq!(memory.size(&store), pages);
                let len = memory.data_size(&store);
                memory.write(&mut store, len - 1, &[4])?;
                assert_eq!(call(&mut store, &instance, "sum", &[len as u64 - 1])?.unwrap_i32(), 7);
                let result = call(&mut store, &instance, "sum", &[len as u64]);
                assert_eq!(trap_of(result), Trap::MemoryOutOfBounds);
                // No process has 2^48 bytes; that there are none left is no end of anything.
                if max >= 1 << 32 {
                    assert_eq!(call(&mut store, &instance, "grow", &[max - pages])?.unwrap_i64(), -1);
                }
                let more = if pages == 1 { 39 } else { 960 };
                assert_eq!(call(&mut store, &instance, "grow", &[more])?.unwrap_i64(), pages as i64);
            }
        }
    }
    Ok(())
}

fn limiters_see_bytes(mode: Mode) -> Result<()> {
    let wat = r#"(module (memory i64 1) (table i64 1 funcref)
      (func (export "grow") (param i64) (result i64) (memory.grow (local.get 0)))
      (func (export "grow_table") (param i64) (result i64) (table.grow (ref.null func) (local.get 0))))"#;
    let limits = StoreLimitsBuilder::new().memory_size(4 << 16).table_elements(10).build();
    let mut store = Store::new(&mode.engine(), limits);
    store.limiter(|limits: &mut StoreLimits| limits);
    let instance = instance(&mut store, wat)?;
    for delta in [4, 1 << 32, 1 << 48, u64::MAX] {
        assert_eq!(call(&mut store, &instance, "grow", &[delta])?.unwrap_i64(), -1, "{delta:#x}");
    }
    for delta in [10, 1 << 32, u64::MAX] {
        assert_eq!(call(&mut store, &instance, "grow_table", &[delta])?.unwrap_i64(), -1, "{delta:#x}");
    }
    assert_eq!(call(&mut store, &instance, "grow", &[3])?.unwrap_i64(), 1);
    assert_eq!(call(&mut store, &instance, "grow_table", &[9])?.unwrap_i64(), 1);
    Ok(())
}

#[test]
fn what_no_system_has_is_refused_with_the_size_in_the_error() -> Result<()> {
    let engine = Engine::new(&Config::new())?;
    let error = |wat: &str| {
        let module = Module::new(&engine, wat).unwrap();
        format!("{:#}", Instance::new(&mut Store::new(&engine, ()), &module, &[]).unwrap_err())
    };
    for pages in [1u64 << 32, 1 << 46, 1 << 47, 1 << 48] {
        let error = error(&format!("(module (memory i64 {pages}))"));
        assert!(error.contains(&format!("memory 0 of {pages} pages cannot be made")), "{error}");
    }
    for elements in [1u64 << 24, 1 << 60, u64::MAX] {
        let error = error(&format!("(module (table i64 {elements} funcref))"));
        assert!(error.contains(&format!("table 0 of {elements} elements cannot be made")), "{error}");
    }
    let mut store = Store::new(&engine, ());
    assert!(Memory::new(&mut store, MemoryType::new64(1 << 48, None)).is_err());
    assert!(Memory::new(&mut store, MemoryType::new64(u64::MAX, None)).is_err());
    assert!(
        Table::new(&mut store, TableType::new64(RefType::FUNCREF, 1 << 60, None), Ref::Func(None)).is_err()
    );
    let func = Func::wrap(&mut store, || {});
    assert!(
        Table::new(&mut store, TableType::new64(RefType::FUNCREF, 2, None), Ref::Func(Some(func))).is_ok()
    );
    Ok(())
}
