//! From a seed to a module that is all calls: the other generator, for what [`generate`](super::generate) hardly ever
//! makes.
//!
//! Functions tail-call each other, directly and through tables, with more arguments than registers and than the caller
//! had itself; they call the host, which calls back; they call short functions in loops, and through tables whose
//! elements change. All of it ends by construction: short functions call only those that come before them, loops count
//! constants, and every other function pays at its entry with one of [`ENTRIES`] units and gives up when there are none.
//! No operation makes a NaN, so that floats can be compared by their bits.
//!
//! What the imports are is up to who runs the module: those of [`HOST`] answer with
//! [`host_results`](super::host_results), and those of [`BACK`] call the export of the same name. The exports named `e…`
//! are there to be called, each with new units.

use super::Type::{self, Any, Exn, Extern, F32, F64, Func, I32, I64, V128};
use super::generate::Random;

/// The module of imports that answer by themselves.
pub const HOST: &str = "host";

/// The module of imports that call the module back.
pub const BACK: &str = "back";

/// Functions that are entered in one call, all together, short ones apart.
const ENTRIES: u32 = 60;

/// Lists of results. A function tail-calls those with its own; the longest does not fit into registers.
const RESULTS: [&[Type]; 7] = [
    &[],
    &[I32],
    &[I64],
    &[F64, I32],
    &[I64, Extern, I32],
    &[I32, I64, I64, F32, I64, I32, V128, I64, I64, F64, I64, I32, I64, Extern, I64],
    &[V128],
];

/// Types of the functions in the table; each has [`SLOTS`] elements. Behind them come some of any type, and nulls.
const TABLED: usize = 3;
const SLOTS: usize = 4;
const TABLE: usize = TABLED * SLOTS + 4;

/// Globals by their names, and the type that each holds.
const GLOBALS: [(&str, Type); 6] =
    [("$g0", I32), ("$g1", I64), ("$g2", F64), ("$g3", Extern), ("$g4", I32), ("$g5", V128)];

/// Locals that a longer function has, besides its parameters and counters.
const LOCALS: [Type; 9] = [I32, I32, I64, V128, I64, F64, F32, Extern, V128];

/// Behind a number in a `select`: makes it zero when there are no units left, so that loops end, too.
const UNLESS_GIVEN_UP: &str = "(i32.const 0) (global.get $left)";

/// Loops inside of each other, each with a counter.
const LOOPS: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Short, without loops.
    Leaf,
    /// Does the calls.
    Worker,
    /// Imported.
    Host,
}

struct Function {
    name: String,
    kind: Kind,
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
}

struct Generator {
    random: Random,
    functions: Vec<Function>,
    /// Functions of the table's elements.
    elements: Vec<Option<usize>>,
}

/// The text of the module that follows from `seed`.
pub fn text_of_seed(seed: u64) -> String {
    let mut generator =
        Generator { random: Random::new(seed ^ 0xca11), functions: Vec::new(), elements: Vec::new() };
    generator.declare();
    generator.module()
}

/// The module that follows from `seed`.
///
/// # Panics
/// The generator writes what is no module.
pub fn module_of_seed(seed: u64) -> Vec<u8> {
    let text = text_of_seed(seed);
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

    fn types(&mut self, len: usize) -> Vec<Type> {
        const TYPES: [Type; 11] = [I32, I32, I32, I64, I64, I64, F64, F64, F32, V128, Extern];
        (0..len).map(|_| self.one(&TYPES)).collect()
    }

    /// Chooses all functions and their types.
    fn declare(&mut self) {
        let tabled: Vec<(Vec<Type>, usize)> = (0..TABLED)
            .map(|_| {
                let len = self.one(&[0, 1, 2, 3, 9, 14]);
                (self.types(len), self.one(&[1, 1, 2, 2, 3, 4, 5, 6]))
            })
            .collect();
        for (kind, prefix, least, more) in
            [(Kind::Host, "h", 1, 3), (Kind::Leaf, "l", 3, 6), (Kind::Worker, "w", 3, 6)]
        {
            for number in 0..least + self.below(more) {
                let len = match kind {
                    Kind::Leaf => self.one(&[0, 1, 1, 2, 2, 3, 5]),
                    _ => self.one(&[0, 1, 2, 3, 4, 5, 7, 9, 12, 18, 25]),
                };
                let results = match kind {
                    Kind::Leaf => self.one(&[0, 1, 1, 1, 2, 2, 3, 4, 6]),
                    _ => self.below(RESULTS.len()),
                };
                let (params, results) = match self.below(3) {
                    0 => tabled[self.below(TABLED)].clone(),
                    _ => (self.types(len), results),
                };
                self.functions.push(Function { name: format!("${prefix}{number}"), kind, params, results });
            }
        }
        // Each type of the table has a function, and those that call back are the longer ones once more.
        for (number, (params, results)) in tabled.iter().enumerate() {
            let kind = self.one(&[Kind::Leaf, Kind::Worker]);
            let function =
                Function { name: format!("$t{number}"), kind, params: params.clone(), results: *results };
            self.functions.push(function);
        }
        let workers: Vec<usize> = self.of_kind(Kind::Worker);
        for number in 0..1 + self.below(3) {
            let worker = &self.functions[workers[number % workers.len()]];
            let (params, results) = (worker.params.clone(), worker.results);
            self.functions.push(Function { name: format!("$b{number}"), kind: Kind::Host, params, results });
        }
        for (params, results) in &tabled {
            let fit: Vec<usize> = (0..self.functions.len())
                .filter(|f| self.functions[*f].params == *params && self.functions[*f].results == *results)
                .collect();
            let usual = self.one(&fit);
            for _ in 0..SLOTS {
                let element = if self.once_in(2) { usual } else { self.one(&fit) };
                self.elements.push(Some(element));
            }
        }
        for slot in TABLED * SLOTS..TABLE {
            let any = self.below(self.functions.len());
            self.elements.push((slot % 2 == 0).then_some(any));
        }
    }

    fn of_kind(&self, kind: Kind) -> Vec<usize> {
        (0..self.functions.len()).filter(|f| self.functions[*f].kind == kind).collect()
    }

    /// The export that an import calls back: that of the longer function which it was made like.
    fn back_export(&self, number: usize) -> String {
        let workers = self.of_kind(Kind::Worker);
        format!("f{}", number % workers.len())
    }

    fn module(&mut self) -> String {
        let mut text = String::from("(module\n");
        let mut backs = 0;
        for function in self.of_kind(Kind::Host) {
            let Function { name, params, results, .. } = &self.functions[function];
            let (module, export) = match name.starts_with("$b") {
                true => (BACK, self.back_export(backs)),
                false => (HOST, name[1..].to_string()),
            };
            backs += usize::from(module == BACK);
            let signature = signature(params, RESULTS[*results]);
            text += &format!("(import \"{module}\" \"{export}\" (func {name} {signature}))\n");
        }
        text += "(memory (export \"m\") 1 3)\n(global $left (mut i32) (i32.const 0))\n";
        for (name, ty) in GLOBALS {
            let value = match ty {
                Extern => "ref.null extern".to_string(),
                Any => "ref.null any".to_string(),
                Exn => "ref.null exn".to_string(),
                V128 => "v128.const i64x2 5 6".to_string(),
                _ => format!("{}.const 5", self::name(ty)),
            };
            text +=
                &format!("(global {name} (export \"{}\") (mut {}) ({value}))\n", &name[1..], self::name(ty));
        }
        let elements: String = (self.elements.iter())
            .map(|element| match element {
                Some(function) => format!(" (ref.func {})", self.functions[*function].name),
                None => " (ref.null func)".to_string(),
            })
            .collect();
        text += &format!(
            "(table $t (export \"t\") {TABLE} funcref)\n(elem (table $t) (i32.const 0) funcref{elements})\n"
        );
        text += "(data (i32.const 60) \"all that is called returns, or does not\")\n";
        for (number, function) in self.of_kind(Kind::Worker).into_iter().enumerate() {
            text += &self.entry(number, function);
        }
        for function in self.of_kind(Kind::Leaf).into_iter().chain(self.of_kind(Kind::Worker)) {
            text += &self.function(function);
        }
        text + ")\n"
    }

    /// Exports of a function: the one with new units, and the one that is called back.
    fn entry(&mut self, number: usize, function: usize) -> String {
        let tail = self.one(&["call", "return_call"]);
        let Function { name, params, results, .. } = &self.functions[function];
        let arguments: String = (0..params.len()).map(|local| format!(" (local.get {local})")).collect();
        let signature = signature(params, RESULTS[*results]);
        format!(
            "(export \"f{number}\" (func {name}))\n(func (export \"e{number}\") {signature}
              (global.set $left (i32.const {ENTRIES})) ({tail} {name}{arguments}))\n"
        )
    }

    fn function(&mut self, function: usize) -> String {
        let Function { name, kind, params, results } = &self.functions[function];
        let (name, is_leaf, params, results) = (name.clone(), *kind == Kind::Leaf, params.clone(), *results);
        let own: &[Type] = match is_leaf {
            true if self.once_in(2) => &[],
            true => &LOCALS[1..3],
            false => &LOCALS,
        };
        let locals = params.iter().chain(own).copied().enumerate().collect();
        let mut body = Body {
            function,
            locals,
            counters: Vec::new(),
            first_counter: params.len() + own.len(),
            turns: 1,
            left: if is_leaf { 3 + self.below(8) as u32 } else { 60 + self.below(60) as u32 },
        };
        let mut text =
            format!("(func {name} {}\n (local{}", signature(&params, RESULTS[results]), names(own));
        if !is_leaf {
            text += &" i32".repeat(LOOPS);
        }
        text += ")\n";
        if !is_leaf {
            let given_up = self.constants(RESULTS[results]);
            text += &format!(
                "(if (i32.eqz (global.get $left)) (then (return{given_up})))
                 (global.set $left (i32.sub (global.get $left) (i32.const 1)))\n"
            );
        }
        let statements = if is_leaf { self.below(2) } else { 2 + self.below(5) };
        for _ in 0..statements {
            text += &self.statement(&mut body, 3);
        }
        text += &match !is_leaf && self.once_in(2) {
            true => self.tail_call(&mut body),
            false => self.values(&mut body, RESULTS[results], 2),
        };
        text + ")\n"
    }

    fn constants(&mut self, types: &[Type]) -> String {
        types.iter().map(|ty| self.constant(*ty)).collect()
    }

    fn constant(&mut self, ty: Type) -> String {
        const EDGES: [i64; 12] = [0, 1, 2, 3, 7, 8, 31, 64, -1, 0x7fff_ffff, -0x8000_0000, 1000];
        let value = self.one(&EDGES);
        match ty {
            Extern => " (ref.null extern)".into(),
            Any => " (ref.null any)".into(),
            Exn => " (ref.null exn)".into(),
            Func => " (ref.null func)".into(),
            V128 => format!(" (v128.const i64x2 {value} {})", self.one(&EDGES)),
            I64 if self.once_in(2) => format!(" (i64.const {})", value.rotate_left(31)),
            _ => format!(" ({}.const {value})", name(ty)),
        }
    }

    fn values(&mut self, body: &mut Body, types: &[Type], depth: u32) -> String {
        types.iter().map(|ty| self.value(body, *ty, depth)).collect()
    }

    /// A local that may be assigned.
    fn local(&mut self, body: &Body, ty: Type) -> Option<usize> {
        let fit: Vec<usize> = body.locals.iter().filter(|local| local.1 == ty).map(|local| local.0).collect();
        (!fit.is_empty()).then(|| self.one(&fit))
    }

    /// Something simple of a type.
    fn simple(&mut self, body: &Body, ty: Type) -> String {
        if ty == I32 && !body.counters.is_empty() && self.once_in(3) {
            return format!(" (local.get {})", self.one(&body.counters));
        }
        let global = GLOBALS.iter().filter(|global| global.1 == ty).map(|global| global.0).next();
        match (self.below(5), self.local(body, ty), global) {
            (0, ..) => self.constant(ty),
            (1, _, Some(global)) => format!(" (global.get {global})"),
            (_, Some(local), _) => format!(" (local.get {local})"),
            _ => self.constant(ty),
        }
    }

    /// An expression of a type.
    fn value(&mut self, body: &mut Body, ty: Type, depth: u32) -> String {
        if depth == 0 || body.left == 0 {
            return self.simple(body, ty);
        }
        body.left -= 1;
        let depth = depth - 1;
        match self.below(12) {
            0..2 => self.simple(body, ty),
            2 => {
                let condition = self.condition(body, depth);
                let [yes, no] = [self.value(body, ty, depth), self.value(body, ty, depth)];
                match ty {
                    Extern | Any | Exn => format!(" (select (result {}){yes}{no}{condition})", name(ty)),
                    _ => format!(" (select{yes}{no}{condition})"),
                }
            }
            3 => {
                let condition = self.condition(body, depth);
                let [yes, no] = [self.value(body, ty, depth), self.value(body, ty, depth)];
                format!(" (if (result {}){condition} (then{yes}) (else{no}))", name(ty))
            }
            4 => {
                let [early, late] = [self.value(body, ty, depth), self.value(body, ty, depth)];
                let condition = self.condition(body, depth);
                format!(" (block (result {}) (drop (br_if 0{early}{condition})){late})", name(ty))
            }
            5 => match self.local(body, ty) {
                Some(local) => format!(" (local.tee {local}{})", self.value(body, ty, depth)),
                None => self.simple(body, ty),
            },
            6..9 => {
                let results = RESULTS.iter().position(|results| *results == [ty]);
                match results.and_then(|results| self.call(body, Some(results), depth)) {
                    Some((call, _)) => format!(" {call}"),
                    None => self.simple(body, ty),
                }
            }
            _ => self.operation(body, ty, depth),
        }
    }

    /// Zero or one. That it ends in no comparison spares wasmi a mistake: see [`super::generate`].
    fn condition(&mut self, body: &mut Body, depth: u32) -> String {
        format!(" (i32.and{} (i32.const 1))", self.value(body, I32, depth))
    }

    /// An address, nearly always in the first page.
    fn address(&mut self, body: &mut Body, depth: u32) -> String {
        let value = self.value(body, I32, depth);
        match self.below(80) {
            0 => value,
            _ => format!(" (i32.and{value} (i32.const {}))", self.one(&[0xff, 0xfff, 0x7ff8])),
        }
    }

    fn operation(&mut self, body: &mut Body, ty: Type, depth: u32) -> String {
        let ty_name = name(ty);
        match ty {
            I32 | I64 => match self.below(10) {
                0 => {
                    let op = self.one(&["clz", "ctz", "popcnt", "extend8_s", "extend16_s"]);
                    format!(" ({ty_name}.{op}{})", self.value(body, ty, depth))
                }
                1 => {
                    let op = self.one(&["div_u", "div_s", "rem_u", "rem_s"]);
                    let [a, b] = [self.value(body, ty, depth), self.value(body, ty, depth)];
                    match self.below(30) {
                        0 => format!(" ({ty_name}.{op}{a}{b})"),
                        _ => {
                            format!(" ({ty_name}.{op}{a} ({ty_name}.const {}))", self.one(&[1, 3, 7, 8, 10]))
                        }
                    }
                }
                2 => {
                    let op = match ty {
                        I32 => self.one(&["load", "load8_u", "load16_s", "load8_s"]),
                        _ => self.one(&["load", "load32_u", "load16_s", "load8_u"]),
                    };
                    let offset = self.one(&["", " offset=4", " offset=1000"]);
                    format!(" ({ty_name}.{op}{offset}{})", self.address(body, depth))
                }
                3 if ty == I32 => {
                    let of = self.one(&[I64, F64, Extern]);
                    let value = self.value(body, of, depth);
                    match of {
                        I64 if self.once_in(2) => format!(" (i32.wrap_i64{value})"),
                        I64 => format!(" (i64.lt_s{value}{})", self.value(body, I64, depth)),
                        F64 => format!(" (i32.trunc_sat_f64_s{value})"),
                        _ => format!(" (ref.is_null{value})"),
                    }
                }
                3 => {
                    let of = self.one(&[I32, F64]);
                    let value = self.value(body, of, depth);
                    match of {
                        I32 => format!(" (i64.extend_i32_{}{value})", self.one(&["s", "u"])),
                        _ => format!(" (i64.reinterpret_f64{value})"),
                    }
                }
                4 if ty == I32 => match self.below(12) {
                    0 => format!(" (memory.grow (i32.and{} (i32.const 1)))", self.value(body, I32, depth)),
                    1 => " (memory.size)".into(),
                    _ => {
                        let op = self.one(&["lt_u", "ge_s", "eq", "ne", "gt_u", "le_s"]);
                        format!(" (i32.{op}{})", self.values(body, &[I32, I32], depth))
                    }
                },
                9 => {
                    let op = match ty {
                        I32 => self.one(&["i8x16.bitmask", "v128.any_true", "i16x8.extract_lane_s 5"]),
                        _ => self.one(&["i64x2.extract_lane 0", "i64x2.extract_lane 1"]),
                    };
                    format!(" ({op}{})", self.value(body, V128, depth))
                }
                _ => {
                    const OPS: [&str; 12] = [
                        "add", "sub", "mul", "and", "or", "xor", "shl", "shr_u", "shr_s", "rotl", "add",
                        "add",
                    ];
                    let op = self.one(&OPS);
                    format!(" ({ty_name}.{op}{})", self.values(body, &[ty, ty], depth))
                }
            },
            F32 | F64 => match self.below(3) {
                0 => format!(" ({ty_name}.{}{})", self.one(&["neg", "abs"]), self.value(body, ty, depth)),
                1 => format!(" ({ty_name}.copysign{})", self.values(body, &[ty, ty], depth)),
                _ => format!(" ({ty_name}.convert_i32_s{})", self.value(body, I32, depth)),
            },
            V128 => self.vector(body, depth),
            Extern | Func | Any | Exn => self.simple(body, ty),
        }
    }

    /// An operation that makes a vector, without floats.
    fn vector(&mut self, body: &mut Body, depth: u32) -> String {
        match self.below(9) {
            0 => {
                let (shape, of) = self.one(&[("i8x16", I32), ("i32x4", I32), ("i64x2", I64)]);
                format!(" ({shape}.splat{})", self.value(body, of, depth))
            }
            1 => {
                let (shape, lanes, of) =
                    self.one(&[("i8x16", 16, I32), ("i32x4", 4, I32), ("i64x2", 2, I64)]);
                let lane = self.below(lanes);
                format!(" ({shape}.replace_lane {lane}{})", self.values(body, &[V128, of], depth))
            }
            2 => {
                let op = self.one(&["load", "load8x8_s", "load32_splat", "load64_zero"]);
                let offset = self.one(&["", " offset=4", " offset=1000"]);
                format!(" (v128.{op}{offset}{})", self.address(body, depth))
            }
            3 => {
                let lanes: String = (0..16).map(|_| format!(" {}", self.below(32))).collect();
                format!(" (i8x16.shuffle{lanes}{})", self.values(body, &[V128, V128], depth))
            }
            4 => {
                let op = self.one(&["i8x16.shr_s", "i16x8.shl", "i64x2.shr_u"]);
                format!(" ({op}{})", self.values(body, &[V128, I32], depth))
            }
            5 => {
                let op = self.one(&["v128.not", "i32x4.abs", "i16x8.extend_high_i8x16_u"]);
                format!(" ({op}{})", self.value(body, V128, depth))
            }
            6 => format!(" (v128.bitselect{})", self.values(body, &[V128, V128, V128], depth)),
            _ => {
                const OPS: [&str; 6] =
                    ["i8x16.add", "i16x8.mul", "i32x4.sub", "i64x2.add", "v128.xor", "i16x8.gt_s"];
                let op = self.one(&OPS);
                format!(" ({op}{})", self.values(body, &[V128, V128], depth))
            }
        }
    }

    /// Functions that the body may call. Short ones call those before them; in loops that turn often nothing long is
    /// called.
    fn callees(&self, body: &Body, results: Option<usize>) -> Vec<usize> {
        let is_leaf = self.functions[body.function].kind == Kind::Leaf;
        let may = |callee: usize| match self.functions[callee].kind {
            Kind::Leaf => !is_leaf || callee < body.function,
            Kind::Worker => !is_leaf && body.turns <= 60,
            Kind::Host => body.turns <= 60,
        };
        let is_back = |callee: usize| self.functions[callee].name.starts_with("$b");
        let fits = |callee: usize| results.is_none_or(|results| self.functions[callee].results == results);
        (0..self.functions.len())
            .filter(|callee| may(*callee) && fits(*callee) && !(is_leaf && is_back(*callee)))
            .collect()
    }

    /// A call with its arguments, as an expression, and the list of its results.
    fn call(&mut self, body: &mut Body, results: Option<usize>, depth: u32) -> Option<(String, usize)> {
        self.call_with(body, results, depth, "call")
    }

    fn call_with(
        &mut self,
        body: &mut Body,
        results: Option<usize>,
        depth: u32,
        how: &str,
    ) -> Option<(String, usize)> {
        let is_leaf = self.functions[body.function].kind == Kind::Leaf;
        let chosen = self.below(TABLED);
        let like = self.elements[chosen * SLOTS].expect("a function of each type");
        let like_results = self.functions[like].results;
        if !is_leaf && results.is_none_or(|results| results == like_results) && self.once_in(2) {
            let types = self.functions[like].params.clone();
            let arguments = self.values(body, &types, depth);
            let index = self.index(body, chosen, depth);
            let signature = signature(&types, RESULTS[like_results]);
            return Some((format!("({how}_indirect $t {signature}{arguments}{index})"), like_results));
        }
        let mut callees = self.callees(body, results);
        if body.turns > 1 && self.once_in(2) {
            callees.retain(|callee| self.functions[*callee].kind == Kind::Leaf);
        }
        if callees.is_empty() {
            return None;
        }
        let callee = self.one(&callees);
        let Function { name, params, results, .. } = &self.functions[callee];
        let (name, params, results) = (name.clone(), params.clone(), *results);
        let arguments = self.values(body, &params, depth);
        Some((format!("({how} {name}{arguments})"), results))
    }

    /// An index of the table: nearly always of one type, and often of one function for a while.
    fn index(&mut self, body: &mut Body, chosen: usize, depth: u32) -> String {
        let first = chosen * SLOTS;
        let last = SLOTS - 1;
        match self.below(60) {
            0 => format!(" (i32.and{} (i32.const 15))", self.value(body, I32, depth)),
            1 => format!(" (i32.const {})", TABLED * SLOTS + self.below(8)),
            2..30 => format!(" (i32.const {})", first + self.below(SLOTS)),
            30..45 if !body.counters.is_empty() => {
                let counter = self.one(&body.counters);
                let at = self.one(&[1, 2, 3, 9, 30]);
                format!(" (i32.add (i32.const {first}) (i32.eq (local.get {counter}) (i32.const {at})))")
            }
            _ => format!(
                " (i32.add (i32.const {first}) (i32.and{} (i32.const {last})))",
                self.value(body, I32, depth)
            ),
        }
    }

    fn tail_call(&mut self, body: &mut Body) -> String {
        let results = self.functions[body.function].results;
        match self.call_with(body, Some(results), 2, "return_call") {
            Some((call, _)) => format!(" {call}\n"),
            None => self.values(body, RESULTS[results], 2),
        }
    }

    fn statements(&mut self, body: &mut Body, depth: u32) -> String {
        (0..1 + self.below(3)).map(|_| self.statement(body, depth)).collect()
    }

    fn statement(&mut self, body: &mut Body, depth: u32) -> String {
        if depth == 0 || body.left == 0 {
            return String::new();
        }
        body.left -= 1;
        let is_leaf = self.functions[body.function].kind == Kind::Leaf;
        let own_results = RESULTS[self.functions[body.function].results];
        let text = match self.below(if is_leaf { 8 } else { 20 }) {
            0 => {
                let (name, ty) = self.one(&GLOBALS);
                format!("(global.set {name}{})", self.value(body, ty, 2))
            }
            1..3 => {
                let ty = self.one(&[I32, I64, F64, Extern, V128]);
                match self.local(body, ty) {
                    Some(local) => format!("(local.set {local}{})", self.value(body, ty, 3)),
                    None => String::new(),
                }
            }
            3 => {
                let ty = self.one(&[I32, I64, F64, V128]);
                let narrow = if matches!(ty, I32 | I64) { self.one(&["", "8", "16"]) } else { "" };
                let [address, value] = [self.address(body, 1), self.value(body, ty, 2)];
                format!("({}.store{narrow}{address}{value})", name(ty))
            }
            4 => {
                let condition = self.condition(body, 2);
                match (self.below(8), is_leaf) {
                    (0, _) => format!("(if{condition} (then (return{})))", self.values(body, own_results, 1)),
                    (1, false) => format!("(if{condition} (then{}))", self.returning_tail_call(body)),
                    (2, _) if self.once_in(10) => format!("(if{condition} (then unreachable))"),
                    _ => {
                        let [yes, no] = [self.statements(body, depth - 1), self.statements(body, depth - 1)];
                        format!("(if{condition} (then {yes}) (else {no}))")
                    }
                }
            }
            5 => {
                let [one, other, end] = [(); 3].map(|()| self.statements(body, depth - 1));
                let value = self.value(body, I32, 2);
                format!("(block (block (block (br_table 0 1 2 1{value})) {one} (br 1)) {other}) {end}")
            }
            6 => self.bulk(body),
            7..12 => match self.call(body, None, 2) {
                Some((call, results)) => {
                    let takes: String = (RESULTS[results].iter().rev())
                        .map(|ty| match self.local(body, *ty) {
                            Some(local) if !self.once_in(3) => format!("(local.set {local})"),
                            _ => "(drop)".to_string(),
                        })
                        .collect();
                    format!("{call} {takes}")
                }
                None => String::new(),
            },
            12 => {
                let element = self.below(TABLED * SLOTS);
                let chosen = self.one(&self.elements.clone()[element / SLOTS * SLOTS..][..SLOTS]);
                let function = chosen.map(|function| self.functions[function].name.clone());
                let function = function.expect("each type has functions");
                format!("(table.set $t (i32.const {element}) (ref.func {function}))")
            }
            _ => self.a_loop(body, depth),
        };
        format!("  {text}\n")
    }

    fn returning_tail_call(&mut self, body: &mut Body) -> String {
        let results = self.functions[body.function].results;
        match self.call_with(body, Some(results), 1, "return_call") {
            Some((call, _)) => format!(" {call}"),
            None => " unreachable".into(),
        }
    }

    /// Bytes that are copied or filled: few ones, nearly always.
    fn bulk(&mut self, body: &mut Body) -> String {
        let to = self.address(body, 1);
        let len = match self.below(20) {
            0 if body.turns == 1 => " (i32.const 20000)".to_string(),
            1 => self.value(body, I32, 1),
            2..8 => format!(" (i32.and{} (i32.const 63))", self.value(body, I32, 1)),
            _ => format!(" (i32.const {})", self.one(&[0, 1, 2, 3, 4, 7, 8, 15, 16, 17, 32, 100])),
        };
        match self.once_in(2) {
            true => format!("(memory.fill{to}{}{len})", self.value(body, I32, 1)),
            false => format!("(memory.copy{to}{}{len})", self.address(body, 1)),
        }
    }

    /// A loop that ends, with the counter going down, up, up by different steps, or passed as an operand.
    fn a_loop(&mut self, body: &mut Body, depth: u32) -> String {
        if body.counters.len() == LOOPS {
            return String::new();
        }
        let turns = match body.turns {
            1 => self.one(&[1, 2, 5, 20, 60, 300]),
            _ => self.one(&[1, 2, 3, 5]),
        };
        let counter = body.first_counter + body.counters.len();
        body.counters.push(counter);
        body.turns *= turns;
        let inside = self.statements(body, depth - 1);
        let way = self.below(5);
        let early = if way == 3 { self.condition(body, 1) } else { String::new() };
        let last = if way == 4 { self.value(body, I64, 2) } else { String::new() };
        body.turns /= turns;
        body.counters.pop();
        let get = format!("(local.get {counter})");
        let step = |by: u32| format!("(local.tee {counter} (i32.add {get} (i32.const {by})))");
        match way {
            0 => format!(
                "(local.set {counter} (i32.const {turns}))
                 (loop {inside} (br_if 0 (select (local.tee {counter} (i32.sub {get} (i32.const 1))) {UNLESS_GIVEN_UP})))"
            ),
            1 => format!(
                "(local.set {counter} (i32.const 0))
                 (block (loop (br_if 1 (i32.ge_u {get} (select (i32.const {turns}) {UNLESS_GIVEN_UP}))) {inside}
                   (local.set {counter} (i32.add {get} (i32.const 1))) (br 0)))"
            ),
            2 => format!(
                "(local.set {counter} (i32.const 0))
                 (loop {inside} (br_if 0 (i32.lt_u {} (select (i32.const {}) {UNLESS_GIVEN_UP}))))",
                step(8),
                turns * 8
            ),
            3 => format!(
                "(local.set {counter} (i32.const 0))
                 (loop (br_if 0 (i32.and{early} (i32.lt_u {} (i32.const {turns})))) {inside}
                   (br_if 0 (i32.lt_u {} (select (i32.const {turns}) {UNLESS_GIVEN_UP}))))",
                step(3),
                step(1)
            ),
            _ => match self.local(body, I64) {
                Some(local) => format!(
                    "(local.set {counter} (i32.const 0))
                     (i64.const 3) (loop (param i64) (result i64)
                       {inside} (i64.add{last})
                       (br_if 0 (i32.lt_u {} (select (i32.const {turns}) {UNLESS_GIVEN_UP})))) (local.set {local})",
                    step(1)
                ),
                None => String::new(),
            },
        }
    }
}
