//! The borders of one engine. `engine` is whichever crate the module around this one calls so; both take this text.

use super::engine::{
    Caller, Engine, Error, Instance, InstancePre, Linker, Module, Result, Store, TypedFunc, Val,
};
use crate::{Border, Crosses};

/// A module with a single function.
const SMALL: &str = r#"(module (func (export "nop")))"#;

/// The guest. Each loop turns `$n` times, at least once, and returns what tells that it did its work.
const GUEST: &str = r#"(module
    (type $unary (func (param i32) (result i32)))
    (import "host" "nop" (func $nop))
    (import "host" "add" (func $add (param i32 i32) (result i32)))
    (import "host" "count" (func $count))
    (import "host" "fail" (func $fail))
    (memory 16)
    (data (i32.const 1024) "some bytes that each instance starts with")
    (table funcref (elem $f0 $f1 $f2 $f3 $f4 $f5 $f6 $f7))
    (func $f0 (type $unary) (i32.add (local.get 0) (i32.const 1)))
    (func $f1 (type $unary) (i32.add (i32.xor (local.get 0) (i32.const 0)) (i32.const 1)))
    (func $f2 (type $unary) (i32.sub (local.get 0) (i32.const -1)))
    (func $f3 (type $unary) (i32.add (i32.const 1) (local.get 0)))
    (func $f4 (type $unary) (i32.sub (i32.add (local.get 0) (i32.const 2)) (i32.const 1)))
    (func $f5 (type $unary) (i32.sub (i32.const 0) (i32.xor (local.get 0) (i32.const -1))))
    (func $f6 (type $unary) (i32.add (i32.or (local.get 0) (i32.const 0)) (i32.const 1)))
    (func $f7 (type $unary) (i32.sub (i32.add (local.get 0) (i32.const 4)) (i32.const 3)))

    (func (export "nop"))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "unreachable") unreachable)
    (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
    (func (export "fail") (call $fail))

    (func (export "loop") (param $n i32) (result i32) (local $sum i32)
        (loop $again
            (local.set $sum (i32.add (local.get $sum) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $sum) (local.get $n))))
        (local.get $sum))
    (func (export "host-nop") (param $n i32) (result i32) (local $sum i32)
        (loop $again
            (call $nop)
            (local.set $sum (i32.add (local.get $sum) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $sum) (local.get $n))))
        (local.get $sum))
    (func (export "host-add") (param $n i32) (result i32) (local $sum i32)
        (loop $again
            (local.set $sum (call $add (local.get $sum) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $sum) (local.get $n))))
        (local.get $sum))
    (func (export "host-count") (param $n i32) (result i32) (local $sum i32)
        (loop $again
            (call $count)
            (local.set $sum (i32.add (local.get $sum) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $sum) (local.get $n))))
        (local.get $sum))
    (func (export "direct") (param $n i32) (result i32) (local $sum i32)
        (loop $again
            (local.set $sum (call $f5 (local.get $sum)))
            (br_if $again (i32.lt_u (local.get $sum) (local.get $n))))
        (local.get $sum))
    (func (export "monomorphic") (param $n i32) (param $index i32) (result i32) (local $sum i32)
        (loop $again
            (local.set $sum (call_indirect (type $unary) (local.get $sum) (local.get $index)))
            (br_if $again (i32.lt_u (local.get $sum) (local.get $n))))
        (local.get $sum))
    (func (export "megamorphic") (param $n i32) (result i32) (local $sum i32)
        (loop $again
            (local.set $sum
                (call_indirect (type $unary) (local.get $sum) (i32.and (local.get $sum) (i32.const 7))))
            (br_if $again (i32.lt_u (local.get $sum) (local.get $n))))
        (local.get $sum)))"#;

/// An instance and its functions.
pub struct Subject {
    engine: Engine,
    module: Module,
    small: InstancePre<u32>,
    usual: InstancePre<u32>,
    /// Its data is what the host function `count` counts.
    store: Store<u32>,
    nop: TypedFunc<(), ()>,
    add: TypedFunc<(i32, i32), i32>,
    unreachable: TypedFunc<(), ()>,
    load: TypedFunc<u32, u32>,
    fail: TypedFunc<(), ()>,
    /// The loops, by border.
    loops: Vec<(Border, TypedFunc<u32, u32>)>,
    monomorphic: TypedFunc<(u32, u32), u32>,
}

impl Subject {
    /// Compiles what the engine compiles before it runs.
    pub fn new(engine: &Engine) -> Result<Self> {
        let mut linker: Linker<u32> = Linker::new(engine);
        linker.func_wrap("host", "nop", || {})?;
        linker.func_wrap("host", "add", |a: i32, b: i32| a.wrapping_add(b))?;
        linker.func_wrap("host", "count", |mut caller: Caller<'_, u32>| {
            *caller.data_mut() = caller.data().wrapping_add(1);
        })?;
        linker.func_wrap("host", "fail", || -> Result<()> { Err(Error::msg("as asked for")) })?;
        let module = Module::new(engine, GUEST)?;
        let small = Module::new(engine, SMALL)?;
        let mut store = Store::new(engine, 0);
        let instance: Instance = linker.instantiate(&mut store, &module)?;
        let loops = [
            (Border::Loop, "loop"),
            (Border::WasmToHost, "host-nop"),
            (Border::WasmToHostAdd, "host-add"),
            (Border::WasmToHostCaller, "host-count"),
            (Border::Direct, "direct"),
            (Border::Megamorphic, "megamorphic"),
        ];
        Ok(Self {
            nop: instance.get_typed_func(&mut store, "nop")?,
            add: instance.get_typed_func(&mut store, "add")?,
            unreachable: instance.get_typed_func(&mut store, "unreachable")?,
            load: instance.get_typed_func(&mut store, "load")?,
            fail: instance.get_typed_func(&mut store, "fail")?,
            loops: loops
                .into_iter()
                .map(|(border, name)| Ok((border, instance.get_typed_func(&mut store, name)?)))
                .collect::<Result<_>>()?,
            monomorphic: instance.get_typed_func(&mut store, "monomorphic")?,
            small: linker.instantiate_pre(&small)?,
            usual: linker.instantiate_pre(&module)?,
            engine: engine.clone(),
            module,
            store,
        })
    }

    /// The guest's module.
    #[allow(dead_code, reason = "of use where the engine tells how its functions are executed")]
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// Crosses the border, and returns how often the guest says that it did.
    fn crossed(&mut self, border: Border, times: u32) -> Result<u32> {
        let store = &mut self.store;
        let stopped = |result: Result<()>| u32::from(result.is_err());
        let mut count = 0;
        match border {
            Border::HostToWasm => {
                for _ in 0..times {
                    self.nop.call(&mut *store, ())?;
                    count += 1;
                }
            }
            Border::HostToWasmAdd => {
                let mut sum = 0;
                for _ in 0..times {
                    sum = self.add.call(&mut *store, (sum, 1))?;
                }
                count = sum as u32;
            }
            Border::HostToWasmUntyped => {
                let mut sum = [Val::I32(0)];
                for _ in 0..times {
                    self.add.func().call(&mut *store, &[sum[0], Val::I32(1)], &mut sum)?;
                }
                count = sum[0].unwrap_i32() as u32;
            }
            Border::Monomorphic => count = self.monomorphic.call(store, (times, 5))?,
            Border::Unreachable => {
                for _ in 0..times {
                    count += stopped(self.unreachable.call(&mut *store, ()));
                }
            }
            Border::OutOfBounds => {
                for _ in 0..times {
                    count += stopped(self.load.call(&mut *store, u32::MAX - 1000).map(drop));
                }
            }
            Border::HostError => {
                for _ in 0..times {
                    count += stopped(self.fail.call(&mut *store, ()));
                }
            }
            Border::InstantiateSmall | Border::InstantiateUsual => {
                let pre = if border == Border::InstantiateSmall { &self.small } else { &self.usual };
                for _ in 0..times {
                    pre.instantiate(&mut Store::new(&self.engine, 0))?;
                    count += 1;
                }
            }
            Border::Loop
            | Border::WasmToHost
            | Border::WasmToHostAdd
            | Border::WasmToHostCaller
            | Border::Direct
            | Border::Megamorphic => {
                if let Some((_, turns)) = self.loops.iter().find(|(other, _)| *other == border) {
                    count = turns.call(store, times)?;
                }
            }
        }
        Ok(count)
    }
}

impl Crosses for Subject {
    fn cross(&mut self, border: Border, times: u32) -> std::result::Result<(), String> {
        match self.crossed(border, times) {
            Ok(count) if count == times => Ok(()),
            Ok(count) => Err(format!("crossed {count} times and not {times}")),
            Err(error) => Err(format!("{error:?}")),
        }
    }
}
