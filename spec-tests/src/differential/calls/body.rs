//! Bodies of functions: statements and loops.

use super::super::Type::{self, Extern, F64, I32, I64, V128};
use super::{
    Around, Body, CAUGHT, Flavour, Function, Generator, Kind, LOCALS, LOOPS, PLAIN_LOCALS, RESULTS, SLOTS,
    TABLED, UNLESS_GIVEN_UP, name, names, signature,
};

impl Generator {
    pub(super) fn function(&mut self, function: usize) -> String {
        let Function { name, kind, params, results, .. } = &self.functions[function];
        let (name, is_leaf, params, results) = (name.clone(), *kind == Kind::Leaf, params.clone(), *results);
        let own: &[Type] = match is_leaf {
            true if self.once_in(2) => &[],
            true => &LOCALS[1..3],
            false if self.keeps => &LOCALS,
            false => &LOCALS[..PLAIN_LOCALS],
        };
        let locals = params.iter().chain(own).copied().enumerate().collect();
        let mut body = Body {
            function,
            locals,
            counters: Vec::new(),
            first_counter: params.len() + own.len(),
            turns: 1,
            left: if is_leaf { 3 + self.below(8) as u32 } else { 60 + self.below(60) as u32 },
            around: Around::default(),
        };
        let mut text =
            format!("(func {name} {}\n (local{}", signature(&params, RESULTS[results]), names(own));
        text += &" i32".repeat(if is_leaf { 0 } else { LOOPS });
        text += &" exnref".repeat(if self.throws() { CAUGHT } else { 0 });
        text += ")\n";
        if !is_leaf {
            let given_up = self.constants(RESULTS[results]);
            text += &format!(
                "(if (i32.eqz (global.get $left)) (then (return{given_up})))
                 (global.set $left (i32.sub (global.get $left) (i32.const 1)))\n"
            );
        }
        let statements = if is_leaf { self.below(2) } else { 2 + self.below(5) };
        let depth = if self.throws() { 4 } else { 3 };
        let mut inside: String = (0..statements).map(|_| self.statement(&mut body, depth)).collect();
        inside += &match !is_leaf && self.once_in(2) {
            true => self.tail_call(&mut body),
            false => self.values(&mut body, RESULTS[results], 2),
        };
        text + &self.with_the_caller_to_delegate_to(inside, RESULTS[results]) + ")\n"
    }

    pub(super) fn statements(&mut self, body: &mut Body, depth: u32) -> String {
        (0..1 + self.below(3)).map(|_| self.statement(body, depth)).collect()
    }

    pub(super) fn statement(&mut self, body: &mut Body, depth: u32) -> String {
        if depth == 0 || body.left == 0 {
            return String::new();
        }
        body.left -= 1;
        let is_leaf = self.functions[body.function].kind == Kind::Leaf;
        let own_results = RESULTS[self.functions[body.function].results];
        if self.throws() && self.once_in(3) {
            return format!("  {}\n", self.exceptional(body, depth));
        }
        if self.flavour == Flavour::Atomic && self.once_in(4) {
            return format!("  {}\n", self.atomic_statement(body));
        }
        let text = match self.below(if is_leaf { 8 } else { 20 }) {
            0 => {
                let (name, ty) = self.one(self.globals());
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
                Some((call, results)) => format!("{call} {}", self.takes(body, RESULTS[results])),
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

    /// Takes operands of these types.
    pub(super) fn takes(&mut self, body: &Body, types: &[Type]) -> String {
        let take = |ty: &Type| match self.local(body, *ty) {
            Some(local) if !self.once_in(3) => format!("(local.set {local})"),
            _ => "(drop)".to_string(),
        };
        types.iter().rev().map(take).collect()
    }

    /// Bytes that are copied or filled: few ones, nearly always.
    pub(super) fn bulk(&mut self, body: &mut Body) -> String {
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
    pub(super) fn a_loop(&mut self, body: &mut Body, depth: u32) -> String {
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
        let inside = match self.throws() && self.once_in(2) {
            true => self.block(body, depth),
            false => self.statements(body, depth - 1),
        };
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
