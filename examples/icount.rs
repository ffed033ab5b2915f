//! A monitor: how many instructions a guest executes, and which of them how often.

use std::collections::BTreeMap;

use wasmrun::probe::{Counts, Monitor, Opcode, Plan};
use wasmrun::{Engine, Instance, Module, Result, Store};

/// Counts the instructions of every module of a store.
#[derive(Default)]
struct Icount {
    modules: Vec<Counts>,
}

impl Monitor for Icount {
    // Once for each module: those that there are, and later those that come.
    fn attach(&mut self, _module: &Module, plan: &mut Plan<'_>) -> Result<()> {
        self.modules.push(plan.count());
        Ok(())
    }
}

impl Icount {
    fn total(&self) -> u64 {
        self.modules.iter().map(Counts::total).sum()
    }

    fn opcodes(&self) -> BTreeMap<Opcode, u64> {
        let mut opcodes = BTreeMap::new();
        for instruction in self.modules.iter().flat_map(Counts::instructions) {
            *opcodes.entry(instruction.opcode).or_default() += instruction.executed;
        }
        opcodes
    }
}

pub fn main() -> Result<()> {
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        r#"
        (module
          (func $gcd (export "gcd") (param i32 i32) (result i32)
            (if (result i32) (i32.eqz (local.get 1))
              (then (local.get 0))
              (else (call $gcd (local.get 1) (i32.rem_u (local.get 0) (local.get 1)))))))
        "#,
    )?;
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[])?;
    let gcd = instance.get_typed_func::<(i32, i32), i32>(&mut store, "gcd")?;

    // A monitor can come and go at any time between two calls.
    let attached = store.attach(Icount::default())?;
    assert_eq!(gcd.call(&mut store, (1071, 462))?, 21);
    println!("{} instructions so far", store.monitor(&attached).total());

    let icount = store.detach(attached);
    gcd.call(&mut store, (832040, 514229))?;
    for (opcode, executed) in icount.opcodes() {
        println!("{executed:>8} {opcode}");
    }
    // 1071, 462, 147 and 21: four calls, three of which go on.
    assert_eq!(icount.total(), 3 * 8 + 4);
    Ok(())
}
