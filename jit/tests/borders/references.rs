//! References to functions of the host, as whole modules call them.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wasmrun_jit::compile::{Job, MemoryPlan, compile};
use wasmrun_jit::stubs::{enter, lazy_bind};
use wasmrun_runtime::features::Features;
use wasmrun_runtime::module::Module;
use wasmrun_runtime::trap::Status;
use wasmrun_runtime::types::TypeRegistry;
use wasmrun_runtime::vm::{
    Entered, HostFunc, Imports, MemoryStrategy, Segment, StackSizes, Store, VmContext,
};

use super::bind::use_resolver;
use super::support::{ARENA, I32, NATIVE, STUBS, ty};

/// Functions that call one of the host in every way there is.
const CALLS: &str = "(module
    (type $t (func (param i32) (result i32)))
    (import \"h\" \"f\" (func $f (type $t)))
    (table 1 funcref) (elem (i32.const 0) $f)
    (func (type $t) (i32.add (call $f (local.get 0)) (i32.const 0)))
    (func (type $t) (i32.add (call_indirect (type $t) (local.get 0) (i32.const 0)) (i32.const 0)))
    (func (type $t) (return_call $f (local.get 0)))
    (func (type $t) (return_call_indirect (type $t) (local.get 0) (i32.const 0)))
    (elem declare func 1 2 3 4))";

/// Compiles all functions; the code stays for ever.
fn install(module: &Module) {
    for function in module.imported_function_count()..module.function_count() {
        let compiled = compile(&NATIVE, module, &Job::new(function)).unwrap();
        let code = compiled.code.clone();
        let entry = ARENA.install(&code, Arc::new(compiled)).unwrap().keep();
        let code = Box::new(());
        // SAFETY: this is the function's code, and stays.
        unsafe { module.publish_compiled(MemoryPlan::Guarded, function, entry, None, code) };
    }
}

#[test]
fn a_function_of_the_host_is_bound_when_it_is_first_called_and_sees_its_caller() {
    use_resolver();
    let registry = Arc::<TypeRegistry>::default();
    let module = wasmrun_runtime::parse(wat::parse_str(CALLS).unwrap(), Features::default(), &registry);
    let module = Arc::new(module.unwrap());
    install(&module);
    let mut store = Store::new(StackSizes::default(), MemoryStrategy::Guarded, &registry).unwrap();
    let caller = Arc::new(AtomicUsize::new(0));
    let unary = ty(&[I32], &[I32]);
    let func = Arc::new(HostFunc::new(unary.clone(), {
        let caller = caller.clone();
        move |call| {
            caller.store(call.caller as usize, Ordering::Relaxed);
            // SAFETY: the argument is there.
            unsafe { *call.values *= 2 };
            Ok(())
        }
    }));
    store.exec_mut().native.unbound = lazy_bind as *const u8;
    let func = store.host_func(&func, &registry);
    // SAFETY: what the store has made is alive.
    let bound = || unsafe { (*func.as_ref().cell).native() };
    let imports = || Imports { functions: vec![func], ..Imports::default() };
    // SAFETY: the imports are of this store, and live as long.
    let keys = [0; 2].map(|_| unsafe { store.instantiate(module.clone(), &imports()) }.unwrap());
    let contexts = keys.map(|key| store.instance(key).unwrap().context());
    let exec = &raw mut *store.exec_mut();

    assert_eq!(bound(), lazy_bind as *const u8);
    for function in 1..=4 {
        for context in contexts {
            let mut slots = [21];
            // SAFETY: the functions are of this type and have code.
            let status = unsafe {
                let mut segment = Segment::compiled();
                let _entered = Entered::new(exec, &raw mut segment);
                let callee = VmContext::func_ref(context, function).as_ref();
                let code = (*callee.cell).native();
                let id = ptr::from_ref(callee) as u64;
                let stub = STUBS.enter(&unary).unwrap();
                enter(stub, exec, code, callee.vmctx, id, slots.as_mut_ptr())
            };
            assert_eq!((status, slots[0]), (Status::Ok, 42));
            assert_eq!(caller.swap(0, Ordering::Relaxed), context as usize, "function {function}");
            assert_eq!(bound(), STUBS.to_host(&unary).unwrap());
        }
    }
}
