//! What can be sent to and shared with other threads, decided when this file is compiled.

use wasmrun::{
    Config, Engine, EngineWeak, Error, Extern, ExternRef, Func, Global, Instance, InstancePre,
    InterruptHandle, Linker, Memory, Module, OwnedRooted, Ref, RootScope, Rooted, SharedMemory, Store, Table,
    TypedFunc, Val, WasmBacktrace,
};

use crate::common::{Mode, in_every_mode};

in_every_mode! {
    a_store_can_move_to_another_thread_between_calls
}

fn send<T: Send>() {}
fn sync<T: Sync>() {}

macro_rules! both {
    ($($ty:ty),* $(,)?) => { $(send::<$ty>(); sync::<$ty>();)* };
}

#[test]
fn everything_is_send_and_sync_and_a_store_if_its_data_is() {
    both!(Config, Engine, EngineWeak, Module, Error, WasmBacktrace, InterruptHandle, SharedMemory);
    both!(Linker<std::rc::Rc<()>>, InstancePre<std::rc::Rc<()>>, Linker<()>);
    both!(Instance, Func, Memory, Table, Global, Extern, Val, Ref, TypedFunc<i32, i32>);
    both!(ExternRef, Rooted<ExternRef>, OwnedRooted<ExternRef>, RootScope<Store<()>>);
    both!(Store<()>, Store<Vec<String>>);
    send::<Store<std::cell::Cell<u32>>>();
}

fn a_store_can_move_to_another_thread_between_calls(mode: Mode) {
    let engine = mode.engine();
    let module = Module::new(
        &engine,
        r#"(global $n (mut i32) (i32.const 0))
           (func (export "next") (result i32)
             (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n))"#,
    )
    .unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let next = instance.get_typed_func::<(), i32>(&mut store, "next").unwrap();
    for expected in 1..5 {
        store = std::thread::spawn(move || {
            assert_eq!(next.call(&mut store, ()).unwrap(), expected);
            store
        })
        .join()
        .unwrap();
    }
}
