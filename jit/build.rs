//! A number for everything that compiled code takes for granted about this engine: offsets in contexts, the order of
//! entries, conventions of calls. Code on disk that was made by an engine with another number is not run.
//!
//! It is a hash of the compiler's sources and, in the repository, of those of the runtime; a published runtime is known
//! by its version. The version of rustc is in it, because it decides on the layout of structures.
//!
//! Cranelift says its version itself, and its crates name each other's exactly, but for the register allocator, which may be a
//! newer one. Which one it is stands in the `Cargo.lock` of the build, where that is found: above these sources, or
//! above the folder that is built in.
//!
//! And what a build for a machine without a compiler says at once, in one sentence: it would be a list of names otherwise that
//! this crate does not find there. All that runs guests is built on it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    refuse_other_machines();
    let mut hash = Fnv::default();
    let own = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    for sources in [own.join("src"), own.join("../runtime/src")] {
        if sources.is_dir() {
            println!("cargo::rerun-if-changed={}", sources.display());
            add_sources(&sources, &mut hash);
        }
    }
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = env::var_os("RUSTC").expect("cargo sets it");
    let version = Command::new(rustc).arg("-vV").output().expect("rustc says its version");
    hash.add(&version.stdout);
    println!("cargo::rustc-env=WASMRUN_JIT_SOURCES={:016x}", hash.0);
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let lock =
        own.ancestors().chain(out.ancestors()).map(|dir| dir.join("Cargo.lock")).find(|lock| lock.is_file());
    let allocators = lock.map(|lock| {
        println!("cargo::rerun-if-changed={}", lock.display());
        packages(&fs::read_to_string(lock).expect("the lock file can be read"), "regalloc2")
    });
    println!("cargo::rustc-env=WASMRUN_REGALLOC2={}", allocators.unwrap_or_default());
}

/// What a lock file says of the packages with a name: their versions and checksums.
fn packages(lock: &str, name: &str) -> String {
    let name = format!("name = \"{name}\"\n");
    let packages = lock.split("[[package]]\n").filter_map(|package| package.strip_prefix(&name));
    packages
        .flat_map(|package| package.lines().take_while(|line| !line.starts_with("dependencies")))
        .collect()
}

/// Stubs, traps and code memory are written for one system on one architecture.
fn refuse_other_machines() {
    let target = |part: &str| env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    let (system, architecture) = (target("OS"), target("ARCH"));
    if (system.as_str(), architecture.as_str()) != ("linux", "x86_64") {
        println!(
            "cargo::error=wasmrun is for Linux on x86-64, and this build is for {system} on {architecture}"
        );
    }
}

/// Adds all files below a directory, by name in sorted order.
fn add_sources(dir: &Path, hash: &mut Fnv) {
    let entries = fs::read_dir(dir).expect("sources can be listed");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("sources can be listed").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            add_sources(&path, hash);
        } else {
            hash.add(path.file_name().expect("a file has a name").as_encoded_bytes());
            hash.add(&fs::read(&path).expect("sources can be read"));
        }
    }
}

/// The hash FNV-1a.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    /// Adds bytes and how many they are.
    fn add(&mut self, bytes: &[u8]) {
        for byte in (bytes.len() as u64).to_le_bytes().iter().chain(bytes) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}
