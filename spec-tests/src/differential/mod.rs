//! One module, two engines, one answer: results, kinds of traps, memories, globals and tables are compared
//! after every call. The other oracle, [`survive`], asks less of more: whatever the bytes are, loading and
//! running them ends without a panic. [`fuel`] compares what guests pay in wasmrun's modes.
//!
//! Modules come from [`generate`], and from [`calls`] for all that has to do with calls, which throw and catch as well; what
//! can be seen of those, down to the frames of backtraces, [`trace`] writes down. An engine takes part by implementing [`Subject`]; [`Wasmrun`] and
//! [`Wasmi`] are here, Wasmtime is in `fuzz/`, whose targets are three lines each around these functions.

mod artifact;
pub mod calls;
pub mod fuel;
pub mod generate;
mod host;
mod imports;
pub mod mutator;
mod survive;
pub mod trace;
mod waits;
mod wasmi;
mod wasmrun;

use std::fmt;

pub use self::artifact::read_artifact;
pub use self::survive::survive;
pub use self::wasmi::Wasmi;
pub use self::wasmrun::{Chaos, Checked, Compiled, Interpreted, Mixed, Quick, Tiered, Wasmrun, Way};
pub use host::{host_results, initial_value, mixed};

/// The types that both sides of a comparison know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Type {
    I32,
    I64,
    F32,
    F64,
    V128,
    Func,
    Extern,
    Any,
    Exn,
}

/// A value as far as engines can be compared by it. Floats are their bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// An `i32`.
    I32(i32),
    /// An `i64`.
    I64(i64),
    /// The bits of an `f32`.
    F32(u32),
    /// The bits of an `f64`.
    F64(u64),
    /// The bits of a `v128`.
    V128(u128),
    /// Whether a `funcref` is not null.
    Func(bool),
    /// The number behind an `externref`; the host gives out no other values.
    Extern(Option<u32>),
    /// A number made of what a reference to a value of the guest leads to.
    Any(Option<u64>),
    /// Whether an `exnref` is not null.
    Exn(bool),
}

/// The kinds of traps that the specification tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TrapKind {
    Unreachable,
    MemoryOutOfBounds,
    TableOutOfBounds,
    IndirectCallToNull,
    BadSignature,
    DivisionByZero,
    IntegerOverflow,
    BadConversion,
    NullReference,
    CastFailure,
    ArrayOutOfBounds,
    UnalignedAtomic,
    ExpectedSharedMemory,
}

/// Why a call or an instantiation did not come back with values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It trapped.
    Trap(TrapKind),
    /// An exception left it, which says so in the words of wasmrun's [`Exception`](::wasmrun::Exception).
    Exception(String),
    /// It ran into a limit of the engine's own (stack, time, memory), on which engines may differ.
    Limit(String),
    /// The engine refused the module or the call. Never right for a valid module within the limits.
    Refused(String),
}

/// An exported item of the module under test.
#[derive(Clone, Debug)]
pub enum Item {
    /// A function with the types of its parameters.
    Func(Vec<Type>),
    /// A function that takes what only the guest can make.
    Uncallable,
    /// A global.
    Global,
    /// A memory.
    Memory,
    /// A tag, which nothing can be done with.
    Tag,
    /// A table.
    Table,
}

/// An engine with one instance of one module.
pub trait Subject: Sized {
    /// The engine's name in messages.
    const NAME: &'static str;

    /// Whether it executes exceptions.
    const EXCEPTIONS: bool;

    /// Instantiates `wasm`. Imports are made to fit by type: functions compute [`host_results`], globals
    /// hold [`initial_value`], memories and tables have their smallest size.
    fn new(wasm: &[u8]) -> Result<Self, Stop>;
    /// Calls an exported function. [`Value::Func`], [`Value::Any`] and [`Value::Exn`] arguments are always null.
    fn call(&mut self, export: &str, args: &[Value]) -> Result<Vec<Value>, Stop>;
    /// The value of an exported global.
    fn global(&mut self, export: &str) -> Value;
    /// The bytes of an exported memory.
    fn memory(&mut self, export: &str) -> Vec<u8>;
    /// The elements of an exported table.
    fn table(&mut self, export: &str) -> Vec<Value>;
}

/// Two engines disagree.
#[derive(Clone, Debug)]
pub struct Difference {
    /// After what: `instantiation`, or a call with its arguments.
    pub after: String,
    /// On what, with both engines' answers.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {}: {}", self.after, self.what)
    }
}

/// How far a comparison came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Calls that both engines ended with the same results.
    pub returned: usize,
    /// Calls that both engines ended with the same trap, or that the same exception left.
    pub trapped: usize,
    /// Whether a limit of one engine ended the comparison early.
    pub limited: bool,
}

/// Runs `wasm` on both engines: instantiation, then every exported function twice with arguments that
/// follow from `seed`. After a trap a new instance goes on: the old one may have no fuel left.
pub fn compare<A: Subject, B: Subject>(wasm: &[u8], seed: u64) -> Result<Progress, Difference> {
    let mut progress = Progress::default();
    let items = self::wasmrun::items(wasm);
    let Some(mut pair) = instantiate::<A, B>(wasm, &items, &mut progress)? else { return Ok(progress) };
    let mut random = generate::Random::new(seed);
    for (name, item) in items.iter().chain(&items) {
        let Item::Func(params) = item else { continue };
        let args: Vec<Value> = params.iter().map(|ty| random.value(*ty)).collect();
        let after = format!("{name}{args:?}");
        let trapped = progress.trapped;
        let (a, b) = &mut pair;
        judge::<A, B, _>(a.call(name, &args), b.call(name, &args), &after, &mut progress)?;
        if progress.limited {
            // One engine stopped half-way: from here on the states differ for a good reason.
            return Ok(progress);
        }
        same_state(a, b, &items, &after)?;
        if progress.trapped > trapped {
            let Some(next) = instantiate::<A, B>(wasm, &items, &mut progress)? else { return Ok(progress) };
            pair = next;
        }
    }
    Ok(progress)
}

/// Instances on both engines, in the same state; or `None` when both refuse it by trapping, or one cannot.
fn instantiate<A: Subject, B: Subject>(
    wasm: &[u8],
    items: &[(String, Item)],
    progress: &mut Progress,
) -> Result<Option<(A, B)>, Difference> {
    let after = "instantiation";
    let (mut a, mut b) = (A::new(wasm), B::new(wasm));
    let outcome = |made: Result<(), &Stop>| made.map_err(Stop::clone);
    let (one, other) = (outcome(a.as_ref().map(drop)), outcome(b.as_ref().map(drop)));
    judge::<A, B, _>(one, other, after, progress)?;
    let (Ok(one), Ok(other)) = (&mut a, &mut b) else { return Ok(None) };
    progress.returned -= 1;
    same_state(one, other, items, after)?;
    Ok(a.ok().zip(b.ok()))
}

/// Counts two outcomes that agree; others are an error.
fn judge<A: Subject, B: Subject, T: PartialEq + fmt::Debug>(
    one: Result<T, Stop>,
    other: Result<T, Stop>,
    after: &str,
    progress: &mut Progress,
) -> Result<(), Difference> {
    match (one, other) {
        (Err(Stop::Limit(_)), _) | (_, Err(Stop::Limit(_))) => progress.limited = true,
        (Ok(one), Ok(other)) if one == other => progress.returned += 1,
        (Err(one @ (Stop::Trap(_) | Stop::Exception(_))), Err(other)) if one == other => {
            progress.trapped += 1
        }
        (one, other) => {
            let what = disagree::<A, B>("the outcome", &one, &other);
            return Err(Difference { after: after.to_string(), what });
        }
    }
    Ok(())
}

/// The body of the fuzz targets: makes a module of `bytes` and compares; and if both engines execute exceptions, one more
/// module with exceptions.
///
/// # Panics
/// The engines disagree.
pub fn agree<A: Subject, B: Subject>(bytes: &[u8]) {
    let with_exceptions =
        || if A::EXCEPTIONS && B::EXCEPTIONS { generate::module_with_exceptions(bytes) } else { None };
    for module in generate::module(bytes).into_iter().chain(with_exceptions()) {
        if let Err(difference) = compare::<A, B>(&module, bytes.len() as u64) {
            panic!("{difference}");
        }
    }
}

fn same_state<A: Subject, B: Subject>(
    a: &mut A,
    b: &mut B,
    items: &[(String, Item)],
    after: &str,
) -> Result<(), Difference> {
    for (name, item) in items {
        let what = match item {
            Item::Func(_) | Item::Uncallable | Item::Tag => None,
            Item::Global => {
                let (one, other) = (a.global(name), b.global(name));
                (one != other).then(|| disagree::<A, B>(&format!("global {name}"), &one, &other))
            }
            Item::Table => {
                let (one, other) = (a.table(name), b.table(name));
                (one != other).then(|| disagree::<A, B>(&format!("table {name}"), &one, &other))
            }
            Item::Memory => different_bytes::<A, B>(name, &a.memory(name), &b.memory(name)),
        };
        if let Some(what) = what {
            return Err(Difference { after: after.to_string(), what });
        }
    }
    Ok(())
}

fn different_bytes<A: Subject, B: Subject>(name: &str, one: &[u8], other: &[u8]) -> Option<String> {
    if one.len() != other.len() {
        return Some(disagree::<A, B>(&format!("the size of memory {name}"), &one.len(), &other.len()));
    }
    if one == other {
        return None;
    }
    let at = one.iter().zip(other).position(|(x, y)| x != y)?;
    Some(disagree::<A, B>(&format!("memory {name} at {at:#x}"), &one[at], &other[at]))
}

fn disagree<A: Subject, B: Subject>(on: &str, one: &impl fmt::Debug, other: &impl fmt::Debug) -> String {
    format!("{on} is {one:?} in {} and {other:?} in {}", A::NAME, B::NAME)
}
