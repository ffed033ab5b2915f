//! From a seed or arbitrary bytes to a valid module that ends, uses only what the engine executes, and
//! shows all of its state in exports.

use std::ops::Range;

use arbitrary::Unstructured;
use wasm_smith::Config;

use super::calls::{self, Flavour, Form};
use super::waits::with_short_waits;
use super::{Type, Value};

/// Units that the functions and loops of one module may start, all together, before it traps.
const FUEL: u32 = 3_000;

/// A small generator of random numbers (splitmix64): the same seed gives the same numbers everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator whose numbers follow from `seed`.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        super::mixed(self.0)
    }

    /// `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| self.number().to_le_bytes()).collect();
        bytes.truncate(len);
        bytes
    }

    /// A value of type `ty`, with a liking for the ends of the range.
    pub fn value(&mut self, ty: Type) -> Value {
        const EDGES: [u64; 8] = [0, 1, 2, 31, 64, 0x7fff_ffff, 0x8000_0000, u64::MAX];
        let pick = self.number();
        let bits = match pick % 4 {
            0 => EDGES[(pick >> 8) as usize % EDGES.len()],
            1 => (pick >> 8) & 0xffff,
            _ => self.number(),
        };
        match ty {
            Type::I32 => Value::I32(bits as i32),
            Type::I64 => Value::I64(if pick & 16 == 0 { bits as i64 } else { (bits << 32) as i64 }),
            // Half of the time a number of ordinary size: random bits are nearly all huge or tiny.
            Type::F32 if pick & 16 == 0 => Value::F32((bits as i16 as f32 / 8.0).to_bits()),
            Type::F64 if pick & 16 == 0 => Value::F64((bits as i32 as f64 / 8.0).to_bits()),
            // Which NaN goes in decides which one comes out; the generator canonicalises results only.
            Type::F32 if f32::from_bits(bits as u32).is_nan() => Value::F32(0x7fc0_0000),
            Type::F32 => Value::F32(bits as u32),
            Type::F64 if f64::from_bits(bits).is_nan() => Value::F64(0x7ff8_0000_0000_0000),
            Type::F64 => Value::F64(bits),
            Type::V128 if pick & 16 == 0 => Value::V128(u128::from(bits) << 64 | u128::from(self.number())),
            // The same in all lanes of some size.
            Type::V128 => {
                let bits = [8, 16, 32, 64].map(|lane| u128::from(bits) & ((1 << lane) - 1));
                let all = [u128::MAX / 0xff, u128::MAX / 0xffff, u128::MAX / 0xffff_ffff, 1 << 64 | 1];
                let lane = (pick >> 5) as usize % 4;
                Value::V128(bits[lane] * all[lane])
            }
            Type::Func => Value::Func(false),
            Type::Any => Value::Any(None),
            Type::Exn => Value::Exn(false),
            Type::Extern => Value::Extern((pick & 16 == 0).then_some(bits as u32 & 0xff)),
        }
    }
}

/// What modules are made of: everything that all engines execute, small enough to run in no time.
fn config(input: &mut Unstructured<'_>) -> arbitrary::Result<Config> {
    Ok(Config {
        export_everything: true,
        canonicalize_nans: true,
        // The code that wasm-smith makes to avoid traps ends in `select` on an `i32.eqz`, whose condition
        // wasmi 2.0.0 inverts in some places.
        disallow_traps: false,
        min_types: 2,
        min_funcs: 3,
        min_globals: 1,
        max_funcs: input.int_in_range(3..=12)?,
        max_instructions: input.int_in_range(20..=600)?,
        max_imports: input.int_in_range(0..=8)?,
        max_nesting_depth: input.int_in_range(1..=12)?,
        max_globals: 8,
        max_memories: input.int_in_range(1..=3)?,
        max_memory32_bytes: 4 << 16,
        memory_max_size_required: true,
        max_tables: input.int_in_range(1..=3)?,
        max_table_elements: 64,
        table_max_size_required: true,
        max_element_segments: 6,
        max_data_segments: 6,
        bulk_memory_enabled: true,
        multi_value_enabled: true,
        reference_types_enabled: true,
        saturating_float_to_int_enabled: true,
        sign_extension_ops_enabled: true,
        tail_call_enabled: true,
        extended_const_enabled: true,
        // Half of the instructions would be on vectors in all modules.
        simd_enabled: input.ratio(1, 2)?,
        // Engines choose differently.
        relaxed_simd_enabled: false,
        exceptions_enabled: false,
        gc_enabled: false,
        memory64_enabled: input.ratio(1, 3)?,
        max_memory64_bytes: 4 << 16,
        threads_enabled: false,
        custom_page_sizes_enabled: input.ratio(1, 4)?,
        wide_arithmetic_enabled: true,
        shared_everything_threads_enabled: false,
        compact_imports_enabled: false,
        ..Config::default()
    })
}

/// A module made of `bytes`, or `None` when they do not suffice for one.
pub fn module(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut input = Unstructured::new(bytes);
    let config = config(&mut input).ok()?;
    finished(config, &mut input)
}

/// A module with objects made of `bytes`. It imports nothing: what it would be given only the guest can make.
fn module_with_objects(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut input = Unstructured::new(bytes);
    let config = Config {
        gc_enabled: true,
        simd_enabled: input.ratio(1, 8).ok()?,
        max_imports: 0,
        min_types: 6,
        min_globals: 2,
        ..config(&mut input).ok()?
    };
    finished(config, &mut input)
}

/// A module with exceptions made of `bytes`.
pub fn module_with_exceptions(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut input = Unstructured::new(bytes);
    let config = Config {
        exceptions_enabled: true,
        simd_enabled: input.ratio(1, 8).ok()?,
        min_tags: 1,
        max_tags: 4,
        min_types: 6,
        ..config(&mut input).ok()?
    };
    finished(config, &mut input)
}

/// A module with exceptions and objects made of `bytes`, which imports nothing.
fn module_with_both(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut input = Unstructured::new(bytes);
    let config = Config {
        exceptions_enabled: true,
        gc_enabled: true,
        simd_enabled: input.ratio(1, 8).ok()?,
        max_imports: 0,
        min_tags: 1,
        max_tags: 4,
        min_types: 8,
        ..config(&mut input).ok()?
    };
    finished(config, &mut input)
}

/// The module that `config` and `input` make. It ends.
fn finished(config: Config, input: &mut Unstructured<'_>) -> Option<Vec<u8>> {
    let mut module = wasm_smith::Module::new(config, input).ok()?;
    module.ensure_termination(FUEL).ok()?;
    Some(module.to_bytes())
}

/// A module with atomic instructions, on memories that are shared or not, made of `bytes`. Those that wait do not wait
/// long. It imports nothing.
fn module_with_atomics(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut input = Unstructured::new(bytes);
    let config = Config {
        threads_enabled: true,
        simd_enabled: false,
        max_imports: 0,
        min_memories: 1,
        ..config(&mut input).ok()?
    };
    finished(config, &mut input).map(|module| with_short_waits(&module))
}

/// A module with relaxed instructions on vectors made of `bytes`.
fn module_with_relaxed_vectors(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut input = Unstructured::new(bytes);
    let config = Config { simd_enabled: true, relaxed_simd_enabled: true, ..config(&mut input).ok()? };
    finished(config, &mut input)
}

/// The seeds that `WASMRUN_SEEDS` names as `first..end`, or `few`: how a test runs for longer than it does by itself.
///
/// # Panics
/// The variable has another form.
pub fn seeds(few: Range<u64>) -> Range<u64> {
    let Ok(text) = std::env::var("WASMRUN_SEEDS") else { return few };
    let range = text.split_once("..").and_then(|(first, end)| Some(first.parse().ok()?..end.parse().ok()?));
    range.unwrap_or_else(|| panic!("WASMRUN_SEEDS is `{text}` and not like `1000..9000`"))
}

/// The bytes that follow from `seed`, enough for a module.
fn bytes_of_seed(seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let len = 512 + random.number() as usize % 8192;
    random.bytes(len)
}

/// Who else executes a module, so that what it does can be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Oracle {
    /// The tiers of wasmrun, and mixtures of them: each is compared with tier 0.
    Tiers,
    /// wasmi.
    Wasmi,
    /// Wasmtime, in the target of that name.
    Wasmtime,
    /// The same program without the legacy proposal.
    Standard,
}

impl Oracle {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Oracle::Tiers => "tiers",
            Oracle::Wasmi => "wasmi",
            Oracle::Wasmtime => "Wasmtime",
            Oracle::Standard => "the form of the standard",
        }
    }
}

/// A kind of modules that are compared.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// The one that follows from a seed.
    pub of_seed: fn(u64) -> Option<Vec<u8>>,
    /// What it is compared with.
    pub oracles: &'static [Oracle],
}

/// Of what all engines execute.
pub const ORDINARY: Kind =
    Kind { of_seed: module_of_seed, oracles: &[Oracle::Tiers, Oracle::Wasmi, Oracle::Wasmtime] };

/// With objects.
pub const OBJECTS: Kind = Kind { of_seed: objects_of_seed, oracles: &[Oracle::Tiers] };

/// With exceptions, and every second one with objects as well.
pub const EXCEPTIONS: Kind = Kind { of_seed: exceptions_of_seed, oracles: &[Oracle::Tiers] };

/// With exceptions and no objects: what [`agree`](super::agree) compares besides ordinary ones.
pub const EXCEPTIONS_ALONE: Kind = Kind {
    of_seed: |seed| module_with_exceptions(&bytes_of_seed(seed)),
    oracles: &[Oracle::Tiers, Oracle::Wasmtime],
};

/// With atomic instructions.
pub const ATOMICS: Kind = Kind { of_seed: atomics_of_seed, oracles: &[Oracle::Tiers] };

/// With relaxed instructions on vectors, of which engines may choose differently what they do, but tiers may not.
pub const RELAXED: Kind =
    Kind { of_seed: |seed| module_with_relaxed_vectors(&bytes_of_seed(seed)), oracles: &[Oracle::Tiers] };

/// With calls and exceptions, of which every second one has those of the legacy proposal alone.
pub const LEGACY: Kind = Kind {
    of_seed: |seed| Some(calls::module_of_seed(seed, Flavour::Throwing(Form::Legacy))),
    oracles: &[Oracle::Tiers, Oracle::Standard],
};

/// All kinds.
pub const KINDS: [Kind; 7] = [ORDINARY, OBJECTS, EXCEPTIONS, EXCEPTIONS_ALONE, ATOMICS, RELAXED, LEGACY];

/// The module that follows from `seed`.
pub fn module_of_seed(seed: u64) -> Option<Vec<u8>> {
    module(&bytes_of_seed(seed))
}

/// The module with objects that follows from `seed`.
fn objects_of_seed(seed: u64) -> Option<Vec<u8>> {
    module_with_objects(&bytes_of_seed(seed))
}

/// The module with exceptions that follows from `seed`. Every second one has objects as well.
pub fn exceptions_of_seed(seed: u64) -> Option<Vec<u8>> {
    let bytes = bytes_of_seed(seed);
    if seed.is_multiple_of(2) { module_with_exceptions(&bytes) } else { module_with_both(&bytes) }
}

/// The module with atomic instructions that follows from `seed`.
fn atomics_of_seed(seed: u64) -> Option<Vec<u8>> {
    let mut random = Random::new(seed);
    let len = 512 + random.number() as usize % 4096;
    module_with_atomics(&random.bytes(len))
}

/// `wasm` with one to three bytes replaced, removed or inserted, as follows from `seed`.
pub fn damaged(wasm: &[u8], seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = wasm.to_vec();
    for _ in 0..1 + random.number() % 3 {
        let at = random.number() as usize % bytes.len().max(1);
        let value = random.number() as u8;
        match random.number() % 8 {
            0 => bytes.insert(at, value),
            1 if at < bytes.len() => {
                bytes.remove(at);
            }
            2..5 if at < bytes.len() => bytes[at] ^= 1 << (value % 8),
            _ if at < bytes.len() => bytes[at] = value,
            _ => bytes.push(value),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_makes_the_same_module() {
        let modules: Vec<_> = (0..20).map(module_of_seed).collect();
        assert_eq!(modules, (0..20).map(module_of_seed).collect::<Vec<_>>());
        assert!(modules.iter().flatten().count() > 15, "most seeds must make a module");
    }
}
