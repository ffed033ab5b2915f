//! Where code is placed, and what becomes of functions for whose code, or for whose stubs, there is no place. In a process of its own: who
//! makes a code space names the handler of traps.

#![allow(unsafe_code)]

use std::ptr;
use std::sync::Arc;

use wasmrun_jit::arena::{Arena, ArenaError};
use wasmrun_jit::artifact::{Artifact, Encoder, Identity, ModuleHash, Settings};
use wasmrun_jit::calls::{attach, unbound};
use wasmrun_jit::code::{CodeSpace, InstallError};
use wasmrun_jit::compile::{CompiledFunction, Job, MemoryPlan, Mode, compile};
use wasmrun_jit::stubs::StubError;
use wasmrun_runtime::features::Features;
use wasmrun_runtime::module::Module;
use wasmrun_runtime::trap::{Pending, Status};
use wasmrun_runtime::types::TypeRegistry;
use wasmrun_runtime::vm::{ExecContext, Imports, MemoryStrategy, StackSizes, Store, VmContext};

fn module(registry: &Arc<TypeRegistry>) -> Module {
    let bytes = wat::parse_str("(module (func))").unwrap();
    wasmrun_runtime::parse(bytes, Features::default(), registry).unwrap()
}

#[test]
fn code_that_needs_more_alignment_than_there_is_is_refused() {
    const MOST: u32 = Arena::ALIGNMENT as u32;
    let module = Arc::new(module(&Default::default()));
    let space = CodeSpace::new(1 << 20).unwrap();
    let compiled = compile(space.isa(), &module, &Job::new(0)).unwrap();
    let most = CompiledFunction { alignment: MOST, ..compiled };
    let installed = space.install(&module, most.clone()).unwrap();
    assert!(installed.entry().addr().is_multiple_of(Arena::ALIGNMENT));
    let more = CompiledFunction { alignment: 2 * MOST, ..most };
    let error = space.install(&module, more).unwrap_err();
    assert!(matches!(error, InstallError::Alignment(alignment) if alignment == 2 * MOST), "{error}");
}

unsafe extern "C" fn no_interpreter(_: *mut ExecContext, _: *mut VmContext, _: u32, _: u32) -> Status {
    panic!("no function of tier 0 is called")
}

#[test]
fn a_call_for_whose_stub_there_is_no_place_says_so() {
    let registry = Arc::<TypeRegistry>::default();
    let mut module = module(&registry);
    // SAFETY: this is the code that binds functions.
    unsafe { module.bind_lazily(unbound()) };
    let space = CodeSpace::new(1 << 16).unwrap();
    let code = vec![0xc3; space.arena().usage().capacity];
    let _all = space.arena().install(&code, Arc::new(())).unwrap();
    let mut store = Store::new(StackSizes::default(), MemoryStrategy::Guarded, &registry).unwrap();
    let exec: *mut ExecContext = store.exec_mut();
    // SAFETY: the space outlives the calls. The function has neither arguments nor results.
    unsafe {
        attach(&mut *exec, &space, no_interpreter);
        let key = store.instantiate(Arc::new(module), &Imports::default()).unwrap();
        let vmctx = store.instance(key).unwrap().context();
        let call = (*exec).native.entries.call;
        let interpreter = (*exec).native.entries.interpreter;
        // As the host calls, and as a stub does: the id is that of function 0.
        let through: [&dyn Fn() -> u64; 2] =
            [&|| call(exec, vmctx, 0) as u64, &|| interpreter(vmctx, 1, (*exec).value_top, ptr::null())];
        for call in through {
            assert_eq!(call(), Status::Trap as u64);
            let Some(Pending::Host(error)) = (*exec).take_pending() else { panic!("no error") };
            let reason = error.downcast_ref::<StubError>();
            assert!(matches!(reason, Some(StubError::Install(ArenaError::Exhausted { .. }))), "{error}");
            assert!(error.to_string().contains("code memory is full"), "{error}");
        }
    }
}

/// The shortest loop in compiled code, by the look of the branch back: where it begins and ends.
fn loop_of(code: &[u8]) -> (usize, usize) {
    let branches = code.windows(6).zip(6..).filter(|(bytes, _)| bytes[0] == 0x0f && bytes[1] & 0xf0 == 0x80);
    let loops = branches.filter_map(|(bytes, end): (&[u8], usize)| {
        let distance = i32::from_le_bytes(bytes[2..].try_into().unwrap()) as isize;
        (distance < 0).then(|| (end.checked_add_signed(distance).unwrap(), end))
    });
    loops.min_by_key(|(header, end)| end - header).expect("there is a loop")
}

#[test]
fn short_loops_lie_within_a_line_when_they_are_compiled_and_when_they_come_from_disk() {
    // Loops at all distances from the entries of their functions.
    let functions: String = (0..40)
        .map(|before| {
            let before = "(local.set 0 (i32.xor (i32.rotl (local.get 0) (i32.const 5)) (i32.const 77777)))".repeat(before);
            format!(
                "(func (param i32) (result i32) {before}
                   (loop (br_if 0 (i32.and (local.tee 0 (i32.sub (local.get 0) (i32.const 3))) (i32.const 64))))
                   (local.get 0))"
            )
        })
        .collect();
    let bytes = wat::parse_str(format!("(module {functions})")).unwrap();
    let registry = Arc::<TypeRegistry>::default();
    let module = Arc::new(wasmrun_runtime::parse(bytes, Features::default(), &registry).unwrap());
    let space = CodeSpace::new(1 << 20).unwrap();
    let is_within_a_line = |entry: *const u8, code: &[u8]| {
        let (header, end) = loop_of(code);
        assert!(end - header < 48, "a short loop");
        (entry.addr() + header) / 64 == (entry.addr() + end - 1) / 64
    };
    let settings = Settings {
        features: module.features(),
        charges_fuel: false,
        interruptible: false,
        inlining: false,
        relaxed: module.relaxed(),
    };
    let hash = ModuleHash::of(module.bytes());
    let identity = Identity::new(space.isa(), settings, hash, Mode::Speed, MemoryPlan::Guarded);
    let mut encoder = Encoder::new(identity);
    let (mut installed, mut unlucky) = (Vec::new(), 0);
    for function in 0..40 {
        let compiled =
            compile(space.isa(), &module, &Job { interruptible: false, ..Job::new(function) }).unwrap();
        encoder.function(&compiled).unwrap();
        let code = compiled.code.clone();
        unlucky += u32::from(!is_within_a_line(ptr::null(), &code));
        installed.push(space.install(&module, compiled).unwrap());
        assert!(is_within_a_line(installed.last().unwrap().entry(), &code), "{function} as compiled");
    }
    assert!(unlucky > 5, "loops that would cross a line if all functions began one: {unlucky}");
    let artifact = Artifact::new(encoder.finish(&[], &[]).unwrap()).unwrap();
    let codes: Vec<_> = (0..40).map(|function| artifact.function(function).unwrap().code).collect();
    let stored = space.install_artifact(&module, artifact).unwrap();
    for (function, entry) in stored.entries() {
        assert!(is_within_a_line(entry, &codes[function as usize]), "{function} from disk");
    }
}
