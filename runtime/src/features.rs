//! The proposals of WebAssembly, in one table: their names, whether this engine executes them, and which
//! are on by default. `Config`, the command line, `inspect` and the error for a refused module read it.

use wasmparser::WasmFeatures;

/// One proposal of the WebAssembly community group.
#[derive(Clone, Copy, Debug)]
pub struct Proposal {
    /// Its key on the command line and its name in messages.
    pub name: &'static str,
    /// Its flag in the validator.
    flag: WasmFeatures,
    /// Whether the engine can execute it.
    pub executed: bool,
}

/// All proposals that the validator knows for core modules, oldest first.
pub const PROPOSALS: &[Proposal] = &[
    Proposal { name: "mutable-global", flag: WasmFeatures::MUTABLE_GLOBAL, executed: true },
    Proposal { name: "saturating-float-to-int", flag: WasmFeatures::SATURATING_FLOAT_TO_INT, executed: true },
    Proposal { name: "sign-extension", flag: WasmFeatures::SIGN_EXTENSION, executed: true },
    Proposal { name: "multi-value", flag: WasmFeatures::MULTI_VALUE, executed: true },
    Proposal { name: "bulk-memory", flag: WasmFeatures::BULK_MEMORY, executed: true },
    Proposal { name: "reference-types", flag: WasmFeatures::REFERENCE_TYPES, executed: true },
    Proposal { name: "extended-const", flag: WasmFeatures::EXTENDED_CONST, executed: true },
    Proposal { name: "tail-call", flag: WasmFeatures::TAIL_CALL, executed: true },
    Proposal { name: "multi-memory", flag: WasmFeatures::MULTI_MEMORY, executed: true },
    Proposal { name: "simd", flag: WasmFeatures::SIMD, executed: true },
    Proposal { name: "relaxed-simd", flag: WasmFeatures::RELAXED_SIMD, executed: true },
    Proposal { name: "threads", flag: WasmFeatures::THREADS, executed: true },
    Proposal { name: "exceptions", flag: WasmFeatures::EXCEPTIONS, executed: true },
    Proposal { name: "legacy-exceptions", flag: WasmFeatures::LEGACY_EXCEPTIONS, executed: true },
    Proposal { name: "function-references", flag: WasmFeatures::FUNCTION_REFERENCES, executed: true },
    Proposal { name: "gc", flag: WasmFeatures::GC, executed: true },
    Proposal { name: "memory64", flag: WasmFeatures::MEMORY64, executed: true },
    Proposal { name: "custom-page-sizes", flag: WasmFeatures::CUSTOM_PAGE_SIZES, executed: true },
    Proposal { name: "wide-arithmetic", flag: WasmFeatures::WIDE_ARITHMETIC, executed: true },
    Proposal { name: "stack-switching", flag: WasmFeatures::STACK_SWITCHING, executed: false },
    Proposal {
        name: "shared-everything-threads",
        flag: WasmFeatures::SHARED_EVERYTHING_THREADS,
        executed: false,
    },
    Proposal { name: "memory-control", flag: WasmFeatures::MEMORY_CONTROL, executed: false },
    Proposal { name: "custom-descriptors", flag: WasmFeatures::CUSTOM_DESCRIPTORS, executed: false },
    Proposal {
        name: "acquire-release-atomics",
        flag: WasmFeatures::ACQUIRE_RELEASE_ATOMICS,
        executed: false,
    },
];

/// The proposal called `name`.
pub fn proposal(name: &str) -> Option<&'static Proposal> {
    PROPOSALS.iter().find(|p| p.name == name)
}

/// A set of proposals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features(WasmFeatures);

impl Features {
    /// What every module may use: the first release of WebAssembly and the encodings that never were
    /// proposals of their own. `GC_TYPES` admits `externref`.
    const BASE: WasmFeatures =
        WasmFeatures::FLOATS.union(WasmFeatures::GC_TYPES).union(WasmFeatures::COMPACT_IMPORTS);

    /// Everything that the engine executes. This is the default.
    pub fn executed() -> Features {
        PROPOSALS.iter().filter(|p| p.executed).fold(Features(Self::BASE), |set, p| set.with(p, true))
    }

    /// Every proposal, executed or not: what a module is judged by when its refusal has to be explained.
    pub fn all() -> Features {
        PROPOSALS.iter().fold(Features(Self::BASE), |set, p| set.with(p, true))
    }

    /// Every proposal but those that give another meaning to bytes that older proposals admit: exact types in
    /// casts, and the ordering byte of fences.
    pub(crate) fn all_compatible() -> Features {
        let incompatible = WasmFeatures::CUSTOM_DESCRIPTORS.union(WasmFeatures::ACQUIRE_RELEASE_ATOMICS);
        Features(Features::all().0.difference(incompatible))
    }

    /// The first release of WebAssembly alone.
    pub fn none() -> Features {
        Features(Self::BASE)
    }

    /// This set with `proposal` switched on or off.
    #[must_use]
    pub fn with(self, proposal: &Proposal, on: bool) -> Features {
        Features(if on { self.0 | proposal.flag } else { self.0 - proposal.flag })
    }

    /// Whether `proposal` is in the set.
    pub fn contains(self, proposal: &Proposal) -> bool {
        self.0.contains(proposal.flag)
    }

    /// The set in the validator's terms.
    pub fn to_validator(self) -> WasmFeatures {
        self.0
    }
}

impl Default for Features {
    fn default() -> Features {
        Features::executed()
    }
}
