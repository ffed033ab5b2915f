//! What code was made for. Code of another identity is never run.

use std::fmt;

use cranelift_codegen::isa::TargetIsa;
use wasmrun_runtime::Relaxed;
use wasmrun_runtime::features::{Features, PROPOSALS};
use wasmrun_runtime::module::MemoryPlan;

use crate::compile::{Isa, Mode};

/// The BLAKE3 hash of a module's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ModuleHash([u8; 32]);

impl ModuleHash {
    /// The hash of these bytes.
    pub fn of(wasm: &[u8]) -> ModuleHash {
        ModuleHash(blake3::hash(wasm).into())
    }

    pub(super) fn from_bytes(bytes: [u8; 32]) -> ModuleHash {
        ModuleHash(bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for ModuleHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModuleHash({})", blake3::Hash::from_bytes(self.0))
    }
}

/// What an engine is told that code depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What modules may use.
    pub features: Features,
    /// Whether code pays fuel.
    pub charges_fuel: bool,
    /// Whether its loops can be [interrupted](crate::compile::Job::interruptible).
    pub interruptible: bool,
    /// Whether functions are [inlined](crate::compile::Job::inlining).
    pub inlining: bool,
    /// What relaxed SIMD instructions do.
    pub relaxed: Relaxed,
}

/// What code was made for.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// A hash of all else that code depends on: this engine, its compiler, the machine and the settings.
    pub build: [u8; 32],
    /// The module.
    pub module: ModuleHash,
    /// What the code takes for granted about memories.
    pub plan: MemoryPlan,
    /// How much time the compiler took.
    pub mode: Mode,
}

impl Identity {
    /// The identity of the code that an engine with these settings makes of a module whose bytes have the hash `hash`.
    pub fn new(isa: &Isa, settings: Settings, hash: ModuleHash, mode: Mode, plan: MemoryPlan) -> Identity {
        Identity { build: build(isa, settings), module: hash, plan, mode }
    }

    /// A short name, for files.
    pub fn name(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("wasmrun 2026 name of an artefact");
        hasher.update(&self.build).update(self.module.as_bytes());
        hasher.update(&[mode_code(self.mode), plan_code(self.plan)]);
        hasher.finalize().to_hex()[..32].to_owned()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("build", &format_args!("{}", blake3::Hash::from_bytes(self.build)))
            .field("module", &self.module)
            .field("plan", &self.plan)
            .field("mode", &self.mode)
            .finish()
    }
}

/// The versions of `regalloc2` in the build, as its lock file has them: see build.rs. Empty where there is none to be found.
const REGISTER_ALLOCATOR: &str = env!("WASMRUN_REGALLOC2");

/// A hash of what code depends on beside the module's bytes. Both modes' settings are in it: large functions are
/// compiled quickly in either.
fn build(isa: &Isa, settings: Settings) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("wasmrun 2026 build of an artefact");
    let mut add = |text: &str| {
        hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    };
    add(env!("CARGO_PKG_VERSION"));
    add(wasmrun_runtime::VERSION);
    // The layouts and entries that code relies on: see build.rs.
    add(env!("WASMRUN_JIT_SOURCES"));
    add(cranelift_codegen::VERSION);
    add(REGISTER_ALLOCATOR);
    for mode in [Mode::Speed, Mode::Quick] {
        let isa: &dyn TargetIsa = &**isa.target(mode);
        add(&isa.triple().to_string());
        add(&isa.flags().to_string());
        for value in isa.isa_flags() {
            add(&value.to_string());
        }
    }
    add(if settings.charges_fuel { "fuel" } else { "no fuel" });
    add(if settings.inlining { "inlining" } else { "no inlining" });
    add(if settings.interruptible { "interruptible" } else { "not interruptible" });
    add(match settings.relaxed {
        Relaxed::Deterministic => "deterministic",
        Relaxed::X86 { fma: false } => "as x86",
        Relaxed::X86 { fma: true } => "as x86 with FMA",
    });
    for proposal in PROPOSALS.iter().filter(|proposal| settings.features.contains(proposal)) {
        add(proposal.name);
    }
    hasher.finalize().into()
}

pub(super) fn mode_code(mode: Mode) -> u8 {
    match mode {
        Mode::Speed => 0,
        Mode::Quick => 1,
    }
}

pub(super) fn mode_of(code: u8) -> Option<Mode> {
    [Mode::Speed, Mode::Quick].into_iter().find(|mode| mode_code(*mode) == code)
}

pub(super) fn plan_code(plan: MemoryPlan) -> u8 {
    match plan {
        MemoryPlan::Guarded => 0,
        MemoryPlan::Checked => 1,
    }
}

pub(super) fn plan_of(code: u8) -> Option<MemoryPlan> {
    [MemoryPlan::Guarded, MemoryPlan::Checked].into_iter().find(|plan| plan_code(*plan) == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_register_allocator_of_this_build_is_known() {
        // These tests are run in the repository, which has a lock file.
        let version = REGISTER_ALLOCATOR.strip_prefix("version = \"").and_then(|text| text.split_once('"'));
        let (version, rest) = version.expect(REGISTER_ALLOCATOR);
        assert!(version.split('.').count() == 3 && rest.contains("checksum"), "{REGISTER_ALLOCATOR}");
    }
}
