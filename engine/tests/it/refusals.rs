//! Systems that refuse what compiled code needs: guests run all the same, and nothing is printed. Each test has a process to
//! itself.
#![allow(unsafe_code)]

use std::sync::Arc;

use crate::common::alone::alone;
use crate::common::refuse::{self, EXECUTABLE_MEMORY, MEMORY_FILES, Refusal, THREADS};
use wasmrun::{Config, Engine, ExternRef, Instance, Module, Result, Store, Strategy, Trap};

/// `run(n)` adds numbers up in memory, which starts with 7 in it; `beyond` reads behind its end.
const GUEST: &str = r#"(module
    (memory 1)
    (data (i32.const 8) "\07")
    (data (i32.const 60000) "another page")
    (func $next (param i32) (result i32) (i32.sub (local.get 0) (i32.const 1)))
    (func (export "beyond") (result i32) (i32.load (i32.const 65536)))
    (func (export "run") (param $n i32) (result i32)
      (loop $l
        (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (local.get $n)))
        (br_if $l (local.tee $n (call $next (local.get $n)))))
      (i32.load (i32.const 8))))"#;

fn refuse_from_now_on(refusals: &[Refusal]) {
    refuse::from_now_on(&mut refuse::program(refusals)).unwrap();
}

/// Checks that the guest behaves in several instances, one after the other, and tells whether its code is compiled.
fn behaves(engine: &Engine) -> Result<bool> {
    let module = Module::new(engine, GUEST)?;
    for _ in 0..3 {
        let mut store = Store::new(engine, ());
        let instance = Instance::new(&mut store, &module, &[])?;
        let run = instance.get_typed_func::<i32, i32>(&mut store, "run")?;
        assert_eq!(run.call(&mut store, 20_000)?, 200_010_007);
        let beyond = instance.get_typed_func::<(), i32>(&mut store, "beyond")?;
        let trap = beyond.call(&mut store, ()).unwrap_err();
        assert_eq!(trap.downcast_ref(), Some(&Trap::MemoryOutOfBounds));
    }
    Ok(module.tiers().iter().any(|function| function.compiled || function.loops > 0))
}

/// Both ways to have compiled code, the second so that it is there when the guest asks for it.
fn compiling() -> [Config; 2] {
    let mut tiered = Config::new();
    tiered.strategy(Strategy::Tiered).tier_up_threshold(1).compile_threads(0);
    [Config::new().strategy(Strategy::Jit).clone(), tiered]
}

#[test]
fn without_executable_memory_everything_runs_in_tier_0_and_the_engine_says_why() {
    alone("without_executable_memory_everything_runs_in_tier_0_and_the_engine_says_why", || {
        refuse_from_now_on(EXECUTABLE_MEMORY);
        for config in compiling() {
            let engine = Engine::new(&config).unwrap();
            let reason = engine.no_compiled_code().unwrap();
            assert!(reason.contains("no executable memory") && reason.contains("mprotect"), "{reason}");
            assert!(!behaves(&engine).unwrap());
            let error = Module::new(&engine, GUEST).unwrap().serialize().unwrap_err();
            assert!(format!("{error:#}").contains("no executable memory"), "{error:#}");
        }
        let interpreter = Engine::new(Config::new().strategy(Strategy::Interpreter)).unwrap();
        assert_eq!(interpreter.no_compiled_code(), None, "nobody has asked for any");
    });
}

#[test]
fn where_files_in_memory_are_refused_there_is_compiled_code_all_the_same() {
    alone("where_files_in_memory_are_refused_there_is_compiled_code_all_the_same", || {
        refuse_from_now_on(MEMORY_FILES);
        for config in compiling() {
            let engine = Engine::new(&config).unwrap();
            assert_eq!(engine.no_compiled_code(), None);
            assert!(behaves(&engine).unwrap());
        }
    });
}

fn set_limit(resource: libc::__rlimit_resource_t, bytes: u64) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: plain data.
    assert_eq!(unsafe { libc::setrlimit(resource, &raw const limit) }, 0);
}

#[test]
fn where_addresses_are_few_there_is_less_room_for_code_and_memories_are_checked() {
    alone("where_addresses_are_few_there_is_less_room_for_code_and_memories_are_checked", || {
        set_limit(libc::RLIMIT_AS, 400 << 20);
        for config in compiling() {
            let engine = Engine::new(&config).unwrap();
            assert_eq!(engine.no_compiled_code(), None);
            assert!(behaves(&engine).unwrap());
        }
    });
}

#[test]
fn a_value_that_there_is_no_heap_for_is_dropped_and_the_next_one_is_kept() {
    alone("a_value_that_there_is_no_heap_for_is_dropped_and_the_next_one_is_kept", || {
        let mut store = Store::new(&Engine::default(), ());
        let value = Arc::new(());
        // Less than the smallest heap.
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = pages.split(' ').next().unwrap().parse().unwrap();
        set_limit(libc::RLIMIT_AS, pages * 4096 + (3 << 20));
        let error = ExternRef::new(&mut store, value.clone()).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&Trap::GcHeapOutOfMemory));
        assert_eq!(Arc::strong_count(&value), 1);
        set_limit(libc::RLIMIT_AS, libc::RLIM_INFINITY);
        ExternRef::new(&mut store, value.clone()).unwrap();
        assert_eq!(Arc::strong_count(&value), 2);
        drop(store);
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

#[test]
fn what_there_is_no_memory_to_compile_runs_in_tier_0() {
    alone("what_there_is_no_memory_to_compile_runs_in_tier_0", || {
        // Compiling this takes a hundred megabytes and more, running it none.
        let loads = "i32.load ".repeat(50_000);
        let large = format!(r#"(module (memory 1) (func (export "run") (result i32) i32.const 8 {loads}))"#);
        for limit in [libc::RLIMIT_AS, libc::RLIMIT_DATA] {
            set_limit(limit, 250 << 20);
            for config in compiling() {
                let engine = Engine::new(&config).unwrap();
                assert_eq!(engine.no_compiled_code(), None);
                let module = Module::new(&engine, &large).unwrap();
                let mut store = Store::new(&engine, ());
                let instance = Instance::new(&mut store, &module, &[]).unwrap();
                let run = instance.get_typed_func::<(), i32>(&mut store, "run").unwrap();
                (0..3).for_each(|_| assert_eq!(run.call(&mut store, ()).unwrap(), 0));
                let left = module.uncompiled();
                assert!(left.len() == 1 && left[0].reason.contains("no memory"), "{left:?}");
                // Small functions still are.
                assert!(behaves(&engine).unwrap());
            }
            set_limit(limit, libc::RLIM_INFINITY);
        }
    });
}

#[test]
fn a_limit_on_the_size_of_files_does_not_end_the_process() {
    alone("a_limit_on_the_size_of_files_does_not_end_the_process", || {
        // Files in memory are files; the second instance would have its memory from one.
        set_limit(libc::RLIMIT_FSIZE, 4096);
        for config in compiling() {
            let engine = Engine::new(&config).unwrap();
            assert_eq!(engine.no_compiled_code(), None);
            assert!(behaves(&engine).unwrap());
        }
    });
}

#[test]
fn where_no_thread_can_be_started_guests_run_in_tier_0() {
    alone("where_no_thread_can_be_started_guests_run_in_tier_0", || {
        refuse_from_now_on(THREADS);
        assert!(std::thread::Builder::new().spawn(|| ()).is_err());
        let engine = Engine::new(Config::new().tier_up_threshold(1).compile_threads(2)).unwrap();
        assert!(!behaves(&engine).unwrap());
        // What is compiled before it runs is compiled by the thread that makes the module.
        assert!(behaves(&Engine::new(Config::new().strategy(Strategy::Jit)).unwrap()).unwrap());
    });
}
