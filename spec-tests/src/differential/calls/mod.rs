//! From a seed to a module that is all calls: the other generator, for what [`generate`](super::generate) hardly ever
//! makes.
//!
//! Functions tail-call each other, directly and through tables, with more arguments than registers and than the caller
//! had itself; they call the host, which calls back; they call short functions in loops, and through tables whose
//! elements change. All of it ends by construction: short functions call only those that come before them, loops count
//! constants, and every other function pays at its entry with one of [`ENTRIES`] units and gives up when there are none.
//! No operation makes a NaN, so that floats can be compared by their bits.
//!
//! There is more to be had than calls: [`Flavour`]. What throws, throws under conditions, so that most functions return,
//! and whoever throws ends no later than who does not.
//!
//! What the imports are is up to who runs the module: those of [`HOST`] answer with
//! [`host_results`](super::host_results), and those of [`BACK`] call the export of the same name; those of [`THROW`] answer
//! or throw what has an exported tag, `x0`, `x1` and so on, and those of [`CATCH`] call back, and may catch what comes of
//! that. The exports named `e…` are there to be called, each with new units.

mod atomics;
mod body;
mod call;
mod exceptions;
mod legacy;
mod module;
mod values;

use super::Type::{self, Any, Exn, Extern, F32, F64, Func, I32, I64, V128};
use super::generate::Random;

/// The module of imports that answer by themselves.
pub const HOST: &str = "host";

/// The module of imports that call the module back.
pub const BACK: &str = "back";

/// The module of imports that throw by themselves.
pub const THROW: &str = "throw";

/// The module of imports that call the module back, and may catch what it throws.
pub const CATCH: &str = "catch";

/// What modules are made of besides calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Nothing that wasmi does not execute.
    Plain,
    /// Exceptions. What the legacy proposal has instructions for is in the form that is asked for; every second module has
    /// what it has none for as well, `try_table` and references to exceptions.
    Throwing(Form),
    /// Atomic instructions on a memory that could be shared, waits that end at once among them.
    Atomic,
}

/// How `try` and what belongs to it is written. Modules of the same seed are the same program in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As the legacy proposal has it.
    Legacy,
    /// By the instructions of the standard.
    Standard,
}

/// Functions that are entered in one call, all together, short ones apart.
const ENTRIES: u32 = 60;

/// Lists of results. A function tail-calls those with its own; the longest does not fit into registers.
const RESULTS: [&[Type]; 9] = [
    &[],
    &[I32],
    &[I64],
    &[F64, I32],
    &[I64, Extern, I32],
    &[I32, I64, I64, F32, I64, I32, V128, I64, I64, F64, I64, I32, I64, Extern, I64],
    &[V128],
    // Behind those that all modules have: of modules with references to exceptions.
    &[Exn],
    &[Exn, I64, Any, V128, Func],
];
const PLAIN_RESULTS: usize = 7;

/// Types of the functions in the table; each has [`SLOTS`] elements. Behind them come some of any type, and nulls.
const TABLED: usize = 3;
const SLOTS: usize = 4;
const TABLE: usize = TABLED * SLOTS + 4;

/// Globals by their names, and the type that each holds. The last are those of modules with references to exceptions.
const GLOBALS: [(&str, Type); 9] = [
    ("$g0", I32),
    ("$g1", I64),
    ("$g2", F64),
    ("$g3", Extern),
    ("$g4", I32),
    ("$g5", V128),
    ("$g6", Exn),
    ("$g7", Any),
    ("$g8", Func),
];
const PLAIN_GLOBALS: usize = 6;

/// Locals that a longer function has, besides its parameters and counters.
const LOCALS: [Type; 13] = [I32, I32, I64, V128, I64, F64, F32, Extern, V128, Exn, Any, Func, Exn];
const PLAIN_LOCALS: usize = 9;

/// Behind a number in a `select`: makes it zero when there are no units left, so that loops end, too.
const UNLESS_GIVEN_UP: &str = "(i32.const 0) (global.get $left)";

/// Loops inside of each other, each with a counter.
const LOOPS: usize = 3;

/// Clauses inside of each other that know what they have caught.
const CAUGHT: usize = 3;

/// The table of exceptions has so many elements.
const KEPT: usize = 4;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Short, without loops.
    Leaf,
    /// Does the calls.
    Worker,
    /// Imported.
    Host,
    /// Imported, and calls back.
    Back,
}

struct Function {
    name: String,
    kind: Kind,
    /// Whether the host's function throws or catches.
    throws: bool,
    params: Vec<Type>,
    results: usize,
}

/// The body that is being written.
struct Body {
    /// Its function.
    function: usize,
    /// What may be assigned.
    locals: Vec<(usize, Type)>,
    /// Counters of the loops around, which may be read.
    counters: Vec<usize>,
    /// The first counter.
    first_counter: usize,
    /// Turns of all loops around.
    turns: u32,
    /// Statements and operators that may still be written.
    left: u32,
    /// What exceptions need.
    around: Around,
}

/// The blocks around what is being written, by their numbers.
#[derive(Default)]
struct Around {
    /// How many there have been.
    blocks: usize,
    /// Those without results that can be left by a branch.
    open: Vec<usize>,
    /// Those that exceptions can be delegated to.
    delegates: Vec<usize>,
    /// How many protect it.
    protected: u32,
    /// Those whose clauses these are: what they have caught can be thrown again.
    caught: Vec<usize>,
}

struct Generator {
    random: Random,
    functions: Vec<Function>,
    /// Functions of the table's elements.
    elements: Vec<Option<usize>>,
    flavour: Flavour,
    /// Whether the memory is shared.
    shared: bool,
    /// Whether references to exceptions are kept, and caught by `try_table`.
    keeps: bool,
    /// What the exceptions of each tag carry.
    tags: Vec<Vec<Type>>,
}

/// The text of the module that follows from `seed`.
pub fn text_of_seed(seed: u64, flavour: Flavour) -> String {
    let mut generator = Generator {
        random: Random::new(seed ^ 0xca11),
        functions: Vec::new(),
        elements: Vec::new(),
        flavour,
        shared: flavour == Flavour::Atomic && seed.is_multiple_of(2),
        keeps: matches!(flavour, Flavour::Throwing(_)) && seed.is_multiple_of(2),
        tags: Vec::new(),
    };
    generator.declare();
    generator.module()
}

/// The module that follows from `seed`.
///
/// # Panics
/// The generator writes what is no module.
pub fn module_of_seed(seed: u64, flavour: Flavour) -> Vec<u8> {
    let text = text_of_seed(seed, flavour);
    encode(&text).unwrap_or_else(|error| panic!("seed {seed}: {error}\n{text}"))
}

fn encode(text: &str) -> Result<Vec<u8>, wast::Error> {
    let buffer = wast::parser::ParseBuffer::new(text)?;
    wast::parser::parse::<wast::Wat<'_>>(&buffer)?.encode()
}

fn name(ty: Type) -> &'static str {
    match ty {
        I32 => "i32",
        I64 => "i64",
        F32 => "f32",
        F64 => "f64",
        V128 => "v128",
        Func => "funcref",
        Extern => "externref",
        Any => "anyref",
        Exn => "exnref",
    }
}

fn names(types: &[Type]) -> String {
    types.iter().map(|ty| format!(" {}", name(*ty))).collect()
}

fn signature(params: &[Type], results: &[Type]) -> String {
    format!("(param{}) (result{})", names(params), names(results))
}

impl Generator {
    fn throws(&self) -> bool {
        matches!(self.flavour, Flavour::Throwing(_))
    }

    fn below(&mut self, end: usize) -> usize {
        (self.random.number() >> 16) as usize % end
    }

    /// True once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}
