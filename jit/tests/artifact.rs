//! Compiled code comes back from its bytes, and no bytes do harm to who reads them.

#![allow(unsafe_code)]

mod modules;

use std::sync::Arc;

use proptest::prelude::*;
use wasmrun_jit::artifact::{
    Artifact, ArtifactError, EncodeError, Encoder, Identity, ModuleHash, Seal, Settings, Tables, VERSION,
};
use wasmrun_jit::code::{CodeSpace, InstallError};
use wasmrun_jit::compile::{CompiledFunction, Isa, Job, MemoryPlan, Mode, compile};
use wasmrun_jit::stack_maps::StackMaps;
use wasmrun_runtime::Relaxed;
use wasmrun_runtime::module::Module;

fn compiled(isa: &Isa, module: &Module) -> Vec<CompiledFunction> {
    (module.imported_function_count()..module.function_count())
        .map(|function| compile(isa, module, &Job::new(function)).unwrap())
        .collect()
}

fn settings(module: &Module) -> Settings {
    Settings {
        features: module.features(),
        charges_fuel: module.charges_fuel(),
        interruptible: true,
        inlining: true,
        relaxed: module.relaxed(),
    }
}

fn identity(isa: &Isa, module: &Module) -> Identity {
    Identity::new(isa, settings(module), ModuleHash::of(module.bytes()), Mode::Speed, MemoryPlan::Guarded)
}

/// An artefact of functions, with two that are refused and some advice.
fn encoded(isa: &Isa, module: &Module, functions: &[CompiledFunction]) -> Vec<u8> {
    let mut encoder = Encoder::new(identity(isa, module));
    assert!(encoder.is_empty());
    functions.iter().for_each(|function| encoder.function(function).unwrap());
    encoder.refused(70, "größer als erlaubt").unwrap();
    encoder.refused(71, "").unwrap();
    assert!(!encoder.is_empty());
    encoder.finish(b"advice", module.bytes()).unwrap()
}

/// Uses everything that an artefact offers.
fn use_all(bytes: Vec<u8>) -> Result<(), ArtifactError> {
    let len = bytes.len();
    let artifact = Artifact::new(bytes)?;
    let functions: Vec<u32> = artifact.tables().functions().map(|stored| stored.function()).collect();
    assert!(functions.is_sorted_by(|a, b| a < b));
    for function in &functions {
        let compiled = artifact.function(*function).unwrap();
        assert_eq!(compiled.function, *function);
        assert!(compiled.traps.len() + compiled.positions.len() <= len);
    }
    assert!(artifact.refused().map(|(_, reason)| reason.len()).sum::<usize>() <= len);
    assert!(artifact.profile().len() + artifact.wasm().len() + artifact.code().len() <= len);
    let code = artifact.code().len();
    search(artifact.tables(), code);
    search(&artifact.into_tables(), code);
    Ok(())
}

fn search(tables: &Tables, code: usize) {
    for offset in (0..code).step_by(7).chain([code, usize::MAX]) {
        if let Some(stored) = tables.function_at(offset) {
            assert!(stored.code().contains(&offset) && stored.code().end <= code);
            let within = (offset - stored.code().start) as u32;
            let _ = (stored.trap_at(within), stored.wasm_offset(within), stored.handler_at(within));
            assert_eq!(tables.function(stored.function()).unwrap().code(), stored.code());
        }
    }
}

#[test]
fn functions_come_back_as_they_were_compiled() {
    let isa = Isa::native().unwrap();
    for (name, text) in modules::ALL {
        let module = modules::parse(text);
        let functions = compiled(&isa, &module);
        let bytes = encoded(&isa, &module, &functions);
        assert!(Artifact::detect(&bytes) && !Artifact::detect(module.bytes()));
        use_all(bytes.clone()).unwrap();
        let artifact = Artifact::new(bytes).unwrap();
        assert_eq!(*artifact.identity(), identity(&isa, &module), "{name}");
        assert_eq!((artifact.profile(), artifact.wasm()), (&b"advice"[..], module.bytes()));
        assert_eq!(artifact.refused().collect::<Vec<_>>(), [(70, "größer als erlaubt"), (71, "")]);
        assert_eq!(artifact.tables().len(), functions.len());
        for function in &functions {
            assert_eq!(artifact.function(function.function).as_ref(), Some(function), "{name}");
            let stored = artifact.tables().function(function.function).unwrap();
            for at in 0..=function.code.len() as u32 {
                assert_eq!(stored.trap_at(at), function.trap_at(at));
                assert_eq!(stored.wasm_offset(at), function.wasm_offset(at));
                assert_eq!(stored.handler_at(at), function.handler_at(at));
            }
        }
    }
}

#[test]
fn an_artefact_may_hold_some_functions_or_none() {
    let isa = Isa::native().unwrap();
    let module = modules::parse(modules::TRAPS.1);
    let functions = compiled(&isa, &module);
    let some: Vec<_> = functions.iter().filter(|f| f.function % 3 == 1).cloned().collect();
    let artifact = Artifact::new(encoded(&isa, &module, &some)).unwrap();
    for function in &functions {
        let expected = some.contains(function).then_some(function);
        assert_eq!(artifact.function(function.function).as_ref(), expected);
    }
    let nothing = Encoder::new(identity(&isa, &module)).finish(&[], &[]).unwrap();
    let artifact = Artifact::new(nothing).unwrap();
    assert!(artifact.tables().is_empty() && artifact.refused().next().is_none());
    assert!(artifact.wasm().is_empty() && artifact.tables().function_at(0).is_none());
}

#[test]
fn what_makes_no_artefact_is_refused_when_it_is_written() {
    let isa = Isa::native().unwrap();
    let module = modules::parse(modules::TRAPS.1);
    let functions = compiled(&isa, &module);
    let mut encoder = Encoder::new(identity(&isa, &module));
    encoder.function(&functions[1]).unwrap();
    for again in [&functions[0], &functions[1]] {
        assert_eq!(encoder.function(again), Err(EncodeError::Order(again.function)));
    }
    let empty = CompiledFunction { code: Vec::new(), ..functions[2].clone() };
    assert_eq!(encoder.function(&empty), Err(EncodeError::Empty(2)));
    encoder.refused(5, "no").unwrap();
    assert_eq!(encoder.refused(5, "no"), Err(EncodeError::Order(5)));
}

#[test]
fn everything_that_code_depends_on_is_in_its_identity() {
    let isa = Isa::native().unwrap();
    let mut module = modules::parse(modules::TRAPS.1);
    let hash = ModuleHash::of(module.bytes());
    let mut identities = Vec::new();
    for mode in [Mode::Speed, Mode::Quick] {
        for plan in [MemoryPlan::Guarded, MemoryPlan::Checked] {
            identities.push(Identity::new(&isa, settings(&module), hash, mode, plan));
        }
    }
    let (mode, plan) = (Mode::Speed, MemoryPlan::Guarded);
    identities.push(Identity::new(&isa, settings(&module), ModuleHash::of(b""), mode, plan));
    let uninterruptible = Settings { interruptible: false, ..settings(&module) };
    identities.push(Identity::new(&isa, uninterruptible, hash, mode, plan));
    let not_inlined = Settings { inlining: false, ..settings(&module) };
    identities.push(Identity::new(&isa, not_inlined, hash, mode, plan));
    for relaxed in [Relaxed::X86 { fma: false }, Relaxed::X86 { fma: true }] {
        module.set_relaxed(relaxed);
        identities.push(identity(&isa, &module));
    }
    module.set_relaxed(Relaxed::Deterministic);
    module.charge_fuel(true);
    identities.push(identity(&isa, &module));
    let names: std::collections::BTreeSet<_> = identities.iter().map(Identity::name).collect();
    assert_eq!(names.len(), identities.len());
    assert!(names.iter().all(|name| name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit())));
    module.charge_fuel(false);
    assert_eq!(identity(&isa, &module), identities[0]);
}

/// A small artefact in which every table has something.
fn small() -> Vec<u8> {
    let isa = Isa::native().unwrap();
    let module =
        modules::parse("(module (memory 1) (func unreachable) (func (drop (i32.load (i32.const 9)))))");
    encoded(&isa, &module, &compiled(&isa, &module))
}

#[test]
fn an_artefact_that_was_changed_or_cut_off_is_read_or_refused_and_never_with_its_seal() {
    let whole = small();
    let mut sealed = whole.clone();
    Seal::checksum().close(&mut sealed);
    assert_eq!(Artifact::new(sealed.clone()).unwrap_err(), {
        ArtifactError::Damaged("its sections are not as long as it is")
    });
    for len in 0..whole.len() {
        assert!(use_all(whole[..len].to_vec()).is_err(), "{len} bytes of {}", whole.len());
        assert!(Seal::checksum().open(&mut sealed[..len].to_vec()).is_err());
    }
    for at in 0..sealed.len() {
        for change in [1, 0x80, 0xff] {
            if at < whole.len() {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                let _ = use_all(bytes);
            }
            let mut bytes = sealed.clone();
            bytes[at] ^= change;
            assert_eq!(Seal::checksum().open(&mut bytes), Err(ArtifactError::Seal), "byte {at}");
        }
    }
    let mut other = whole.clone();
    other[8] += 1;
    assert_eq!(Artifact::new(other).unwrap_err(), ArtifactError::Version(VERSION + 1));
    assert_eq!(Artifact::new(b"\0asm\x01\0\0\0".to_vec()).unwrap_err(), ArtifactError::Magic);
}

#[test]
fn stack_maps_that_no_function_can_have_are_refused_when_an_artefact_is_read() {
    let isa = Isa::native().unwrap();
    let module = modules::parse(
        r#"(module (type $t (struct (field i32))) (import "" "" (func $f))
             (func (param $a (ref null $t)) (result i32) (call $f) (struct.get $t 0 (local.get $a))))"#,
    );
    let functions = compiled(&isa, &module);
    let function = functions.last().unwrap();
    let (len, frame) = (function.code.len() as u32, function.frame);
    let calls: Vec<u32> = (0..=len).filter(|at| function.stack_maps.references(*at).count() > 0).collect();
    assert!(!calls.is_empty() && frame >= 4, "the reference is kept over a call");
    assert!(use_all(encoded(&isa, &module, &functions)).is_ok());
    let unsound: [&[(u32, u32)]; 6] = [
        &[(calls[0], frame + 4)],
        &[(calls[0], 0)],
        &[(calls[0], 5)],
        &[(len + 1, 4)],
        &[(calls[0], 4), (calls[0], 4)],
        &[(calls[0], 4), (calls[0] - 1, 4)],
    ];
    for calls in unsound {
        let mut stack_maps = StackMaps::default();
        calls.iter().for_each(|(at, distance)| stack_maps.push(*at, [*distance]));
        let damaged = CompiledFunction { stack_maps, ..function.clone() };
        assert_eq!(
            use_all(encoded(&isa, &module, &[damaged])),
            Err(ArtifactError::Damaged("stack maps are not as they should be")),
            "{calls:?}"
        );
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(
        head in 0..400_usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12),
        tail in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        thread_local!(static SMALL: Vec<u8> = small());
        let mut bytes = SMALL.with(|small| small[..head.min(small.len())].to_vec());
        bytes.extend_from_slice(&tail);
        let _ = use_all(bytes);
        let mut bytes = SMALL.with(Clone::clone);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = use_all(bytes);
    }
}

#[test]
fn installed_code_is_known_by_its_addresses_whether_it_was_compiled_or_read() {
    let space = CodeSpace::new(1 << 20).unwrap();
    for (name, text) in modules::ALL {
        let module = Arc::new(modules::parse(text));
        let functions = compiled(space.isa(), &module);
        let artifact = Artifact::new(encoded(space.isa(), &module, &functions)).unwrap();
        let read = space.install_artifact(&module, artifact).unwrap();
        assert_eq!(read.entries().len(), functions.len());
        for ((index, entry), function) in read.entries().zip(&functions) {
            assert_eq!(index, function.function);
            let own = space.install(&module, function.clone()).unwrap();
            for entry in [entry, own.entry()] {
                // SAFETY: the module and its code are alive, and stand still.
                unsafe {
                    assert_eq!(space.read_back(entry).as_ref(), Some(function), "{name} {index}");
                    assert_eq!(space.read_back(entry.wrapping_add(1)), None);
                    for at in 0..function.code.len() as u32 {
                        let positions = space.positions(entry.addr() + at as usize);
                        assert!(positions.iter().all(|position| Arc::ptr_eq(&position.module, &module)));
                        assert_eq!(positions.last().unwrap().function, index);
                        let found: Vec<u32> = positions.iter().map(|position| position.offset).collect();
                        let mut expected: Vec<u32> = function.outwards(at).collect();
                        if expected.is_empty() {
                            expected.push(module.body(index).unwrap().start);
                        }
                        assert_eq!(found, expected);
                    }
                }
            }
        }
    }
}

#[test]
fn code_of_another_module_is_not_installed() {
    let space = CodeSpace::new(1 << 20).unwrap();
    let two = modules::parse("(module (func) (func))");
    let functions = compiled(space.isa(), &two);
    let one = Arc::new(modules::parse("(module (func))"));
    let imports = Arc::new(modules::parse(r#"(module (import "" "" (func)) (func))"#));
    for (module, at) in [(one, 1), (imports, 0)] {
        let artifact = Artifact::new(encoded(space.isa(), &two, &functions)).unwrap();
        let error = space.install_artifact(&module, artifact).unwrap_err();
        assert!(matches!(error, InstallError::Function(function) if function == at), "{error}");
    }
}
