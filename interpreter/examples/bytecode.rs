//! The bytecode of a module's functions: `bytecode FILE FUNCTION` prints that of one, `bytecode FILE` how much
//! there is of all.

use std::{env, fs, process};

use wasmrun_interpreter::disassemble;
use wasmrun_runtime::features::Features;
use wasmrun_runtime::module::Module;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let done = match &arguments[..] {
        [file] => load(file).and_then(|module| total(&module)),
        [file, function] => load(file).and_then(|module| one(&module, function)),
        _ => Err("usage: bytecode FILE [FUNCTION]".to_owned()),
    };
    if let Err(message) = done {
        eprintln!("{message}");
        process::exit(1);
    }
}

fn load(file: &str) -> Result<Module, String> {
    let bytes = fs::read(file).map_err(|error| format!("{file}: {error}"))?;
    wasmrun_runtime::parse(bytes, Features::default(), &Default::default())
        .map_err(|error| format!("{file}: {error}"))
}

fn one(module: &Module, function: &str) -> Result<(), String> {
    let index = function.parse().map_err(|_| format!("{function} is not the index of a function"))?;
    print!("{}", disassemble(module, index).map_err(|error| error.to_string())?);
    Ok(())
}

fn total(module: &Module) -> Result<(), String> {
    let (mut wasm, mut bytes, mut instructions) = (0, 0, 0);
    for function in module.imported_function_count()..module.function_count() {
        let bytecode =
            disassemble(module, function).map_err(|error| format!("function {function}: {error}"))?;
        wasm += module.body(function).map_or(0, |body| body.len as usize);
        bytes += bytecode.size();
        instructions += bytecode.instructions();
    }
    println!("{wasm} bytes of WebAssembly, {bytes} of bytecode in {instructions} instructions");
    Ok(())
}
