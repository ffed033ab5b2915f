//! From a FILE argument to the bytes of a core module.
//!
//! The file is read once. What is no binary module is taken for the text form; what is neither, and what
//! is a component, is refused with a sentence that says what it is.

use std::path::Path;

use wasmparser::{Parser, Payload};
use wasmrun::Engine;
use wasmrun_wasi::Errno;

use crate::errors::{Failure, MORE_FILES, MORE_MEMORY, Outcome};
use crate::excerpt;
use crate::file_arg::{display_name, is_stdin};
use crate::in_file::{read_bounded, read_file};
use crate::time_limit::TimeLimit;
use crate::wording::{listed, shown};

/// Beginnings of files that people pass by mistake.
const FOREIGN: &[(&[u8], &str)] = &[
    (b"\x1f\x8b", "it is compressed with gzip"),
    (b"\x28\xb5\x2f\xfd", "it is compressed with zstd"),
    (b"PK\x03\x04", "it is a zip archive"),
    (b"\x7fELF", "it is a native program or library"),
    (b"\xcf\xfa\xed\xfe", "it is a native program or library"),
    (b"MZ", "it is a native program or library"),
    (b"!<arch>\n", "it is an archive of object files, which a linker makes into a module"),
    (b"BC\xc0\xde", "it is LLVM bitcode, which a compiler makes into a module"),
    (b"#!", "it is a script"),
    (b"<", "it is HTML or XML"),
];

/// What a file holds.
pub enum Source {
    /// A module in binary form.
    Module(Vec<u8>),
    /// A module with its compiled code, as `wasmrun compile` writes it.
    Precompiled(Vec<u8>),
}

/// What is in a file or on the standard input: a module in binary or text form, or a compiled one.
pub fn load(file: &Path, limit: &TimeLimit) -> Outcome<Source> {
    let bytes = limit.watch(file, "reading it", || read(file))??;
    match Engine::detect_precompiled(&bytes) {
        Some(_) => Ok(Source::Precompiled(bytes)),
        None => module(file, bytes, limit).map(Source::Module),
    }
}

/// The bytes of a module in binary form, from a file or the standard input, in binary or text form.
pub fn module_bytes(file: &Path, limit: &TimeLimit) -> Outcome<Vec<u8>> {
    match load(file, limit)? {
        Source::Module(bytes) => Ok(bytes),
        Source::Precompiled(_) => {
            Err(Failure::new(format!("{} is no WebAssembly module", display_name(file)))
                .because("it is a compiled module, which can be run and nothing else"))
        }
    }
}

fn module(file: &Path, bytes: Vec<u8>, limit: &TimeLimit) -> Outcome<Vec<u8>> {
    let bytes = limit.watch(file, "parsing its text", || to_binary(file, bytes))??;
    if Parser::is_component(&bytes) { Err(component(file, &bytes)) } else { Ok(bytes) }
}

/// Bytes that are read of what does not say how many there are: a device or a pipe may never end.
const MAX_STREAM: u64 = 1 << 30;

/// Bytes that are read of an ordinary file, which may be all holes. The engine takes no larger module.
const MAX_FILE: u64 = u32::MAX as u64;

fn read(file: &Path) -> Outcome<Vec<u8>> {
    let result = if is_stdin(file) {
        read_bounded(&mut std::io::stdin().lock(), 0, MAX_STREAM)
    } else {
        std::fs::File::open(file).and_then(|mut file| {
            let metadata = file.metadata()?;
            match metadata.is_file() {
                true => read_file(&file, metadata.len(), MAX_FILE),
                false => read_bounded(&mut file, metadata.len(), MAX_STREAM),
            }
        })
    };
    result.map_err(|error| {
        let failure = Failure::new(format!("cannot read {}", display_name(file))).because(&error);
        match Errno::from(error) {
            Errno::Mfile | Errno::Nfile => failure.help(MORE_FILES),
            Errno::Nomem => failure.help(MORE_MEMORY),
            _ => failure,
        }
    })
}

fn to_binary(file: &Path, bytes: Vec<u8>) -> Outcome<Vec<u8>> {
    if bytes.starts_with(b"\0asm") {
        return Ok(bytes);
    }
    let refuse =
        |why: &str| Failure::new(format!("{} is no WebAssembly module", display_name(file))).because(why);
    if bytes.is_empty() {
        return Err(refuse("it is empty"));
    }
    if let Some((_, what)) = FOREIGN.iter().find(|(start, _)| bytes.starts_with(start)) {
        return Err(refuse(what));
    }
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    // The parser's errors quote their line, and what is no module at all may be one line of gigabytes.
    if !text.trim_ascii_start().starts_with(['(', ';']) {
        return Err(refuse("it neither begins with the four bytes `\\0asm` nor is it its text form"));
    }
    wat::parse_str(text).map_err(|error| {
        let name = if is_stdin(file) { "<stdin>".to_owned() } else { shown(file.display()) };
        let (message, excerpt) = excerpt::split(&error.to_string(), &name, text);
        Failure::new(format!("{} is no WebAssembly text", display_name(file)))
            .because(shown(message))
            .details(excerpt)
    })
}

/// Why a component cannot be run, and what it would need.
fn component(file: &Path, bytes: &[u8]) -> Failure {
    let failure =
        Failure::new(format!("{} is a component; this version runs core modules", display_name(file)));
    const NAMED: usize = 8;
    let imports = listed(component_imports(bytes), NAMED, |name| format!("`{}`", shown(name)));
    let imports = imports.map_or(String::new(), |names| format!("; this one imports {names}"));
    let failure = failure.because(format!("components are not implemented yet{imports}"));
    failure.help("build it for WASI preview 1 as a core module (for Rust, the target `wasm32-wasip1`)")
}

/// Names of the interfaces that a component imports, as far as it can be read.
fn component_imports(bytes: &[u8]) -> Vec<String> {
    let mut names = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        match payload {
            // Nested modules and components have imports of their own, satisfied inside.
            Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) | Err(_) => break,
            Ok(Payload::ComponentImportSection(section)) => {
                names.extend(
                    section.into_iter().map_while(Result::ok).map(|import| import.name.name.to_owned()),
                );
            }
            Ok(_) => {}
        }
    }
    names
}
