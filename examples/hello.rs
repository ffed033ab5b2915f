//! The smallest program: a module, an instance, a call.

use wasmrun::{Engine, Instance, Module, Result, Store};

pub fn main() -> Result<()> {
    let engine = Engine::default();
    let module = Module::new(
        &engine,
        r#"
        (module
          (func (export "gcd") (param $a i32) (param $b i32) (result i32)
            (local $rest i32)
            (loop $again (result i32)
              (local.set $rest (i32.rem_u (local.get $a) (local.get $b)))
              (local.set $a (local.get $b))
              (local.set $b (local.get $rest))
              (br_if $again (local.get $a) (local.get $b))
              (drop)
              (local.get $a))))
        "#,
    )?;

    // Instances live in a store, together with data of the host: here, none.
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[])?;

    // The type of a function is checked once, here, and not at each call.
    let gcd = instance.get_typed_func::<(u32, u32), u32>(&mut store, "gcd")?;
    let result = gcd.call(&mut store, (1071, 462))?;
    println!("gcd(1071, 462) = {result}");
    assert_eq!(result, 21);
    Ok(())
}
