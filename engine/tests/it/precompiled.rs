//! Modules with their compiled code: they run as they did when they were compiled, or are compiled again.

use wasmrun::{
    Config, Engine, Instance, MemoryStrategy, Module, OptLevel, Precompiled, Result, Store, Strategy, Trap,
    WasmBacktrace,
};

const MODULE: &str = r#"(module $m
    (memory (export "memory") 1)
    (table 1 funcref) (elem (i32.const 0) $double)
    (func $double (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
    (func (export "run") (param i32) (result i32)
        (i32.store (i32.const 8) (local.get 0))
        (call_indirect (param i32) (result i32) (i32.load (i32.const 8)) (i32.const 0)))
    (func $load (param i32) (result i32) (i32.load (local.get 0)))
    (func (export "load") (param i32) (result i32) (call $load (local.get 0))))"#;

/// A change of the settings.
type Change = fn(&mut Config);

fn engine(change: impl FnOnce(&mut Config)) -> Engine {
    let mut config = Config::new();
    config.strategy(Strategy::Jit);
    change(&mut config);
    Engine::new(&config).unwrap()
}

fn jit() -> Engine {
    engine(|_| {})
}

fn deserialize(engine: &Engine, bytes: &[u8]) -> Result<Module> {
    // SAFETY: the bytes come from this program, or differ from such bytes by what the checksum shows.
    #[allow(unsafe_code)]
    unsafe {
        Module::deserialize(engine, bytes)
    }
}

/// What the functions of the module compute, and the backtrace of a trap in it.
fn behaviour(module: &Module) -> (i32, String) {
    let mut store = Store::new(module.engine(), ());
    // An engine without fuel says so.
    let _ = store.set_fuel(1000);
    let instance = Instance::new(&mut store, module, &[]).unwrap();
    let mut call = |name: &str, argument| {
        let function = instance.get_typed_func::<i32, i32>(&mut store, name).unwrap();
        function.call(&mut store, argument)
    };
    let answer = call("run", 21).unwrap();
    let error = call("load", 65533).unwrap_err();
    assert_eq!(error.downcast_ref::<Trap>(), Some(&Trap::MemoryOutOfBounds));
    (answer, error.downcast_ref::<WasmBacktrace>().unwrap().to_string())
}

#[test]
fn a_module_runs_from_its_bytes_as_it_did() {
    for memories in [MemoryStrategy::Guarded, MemoryStrategy::Checked] {
        let engine = engine(|config| {
            config.memory_strategy(memories);
        });
        let module = Module::new(&engine, MODULE).unwrap();
        let bytes = module.serialize().unwrap();
        assert_eq!(Engine::detect_precompiled(&bytes), Some(Precompiled::Module));
        let expected = behaviour(&module);
        assert_eq!(expected.0, 42);
        assert!(expected.1.contains("m!load"), "{}", expected.1);
        for engine in [
            &engine,
            &self::engine(|config| {
                config.memory_strategy(memories);
            }),
        ] {
            let again = deserialize(engine, &bytes).unwrap();
            assert_eq!(again.recompiled(), None);
            assert_eq!((again.name(), again.uncompiled().len()), (Some("m"), 0));
            assert_eq!(behaviour(&again), expected);
            assert_eq!(again.serialize().unwrap(), bytes, "what was read can be written");
        }
        assert_eq!(engine.precompile_module(MODULE.as_bytes()).unwrap(), bytes);
    }
}

#[test]
fn code_that_does_not_fit_the_engine_is_compiled_again() {
    let bytes = jit().precompile_module(MODULE.as_bytes()).unwrap();
    let expected = behaviour(&Module::new(&jit(), MODULE).unwrap());
    let variants: [(Change, &str); 5] = [
        (
            |config| {
                config.cranelift_opt_level(OptLevel::None);
            },
            "level of optimisation",
        ),
        (
            |config| {
                config.memory_strategy(MemoryStrategy::Checked);
            },
            "laid out in another way",
        ),
        (
            |config| {
                config.consume_fuel(true);
            },
            "other settings",
        ),
        (
            |config| {
                config.wasm_tail_call(false);
            },
            "other settings",
        ),
        (
            |config| {
                config.strategy(Strategy::Interpreter);
            },
            "interpreter",
        ),
    ];
    for (change, reason) in variants {
        let module = deserialize(&engine(change), &bytes).unwrap();
        assert!(module.recompiled().unwrap().contains(reason), "{:?}", module.recompiled());
        assert_eq!(behaviour(&module), expected, "{reason}");
    }
}

#[test]
fn bytes_that_are_no_compiled_module_are_refused() {
    let engine = jit();
    let bytes = engine.precompile_module(MODULE.as_bytes()).unwrap();
    let refused = |bytes: &[u8]| format!("{:#}", deserialize(&engine, bytes).unwrap_err());
    for len in (0..bytes.len()).step_by(97).chain([bytes.len() - 1]) {
        assert!(refused(&bytes[..len]).starts_with("the bytes are no compiled module: "));
    }
    for at in (0..bytes.len()).step_by(61).chain([bytes.len() - 1]) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x20;
        assert!(refused(&damaged).starts_with("the bytes are no compiled module: "));
    }
    assert_eq!(
        refused(b"\0asm\x01\0\0\0"),
        "the bytes are no compiled module: they do not begin as one does"
    );
}

#[test]
fn files_are_read_and_named_when_they_cannot_be() {
    let engine = jit();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("m.wrc");
    // SAFETY: as above.
    #[allow(unsafe_code)]
    let read = || unsafe { Module::deserialize_file(&engine, &path) };
    assert!(read().unwrap_err().to_string().starts_with("cannot read "));
    std::fs::write(&path, engine.precompile_module(MODULE.as_bytes()).unwrap()).unwrap();
    assert_eq!(behaviour(&read().unwrap()).0, 42);
    std::fs::write(&path, "short").unwrap();
    assert!(read().unwrap_err().to_string().ends_with("m.wrc cannot be run"));
}

#[test]
fn an_engine_without_compiled_code_has_none_to_give() {
    let engine = Engine::new(Config::new().strategy(Strategy::Interpreter)).unwrap();
    let error = engine.precompile_module(b"(module)").unwrap_err();
    assert!(error.to_string().contains("no compiled code"), "{error}");
}
