//! What throws, and what catches by `try_table`: clauses of all kinds, that go to blocks of their own, to blocks around, or
//! back to the header of a loop; references to exceptions that are kept and thrown later.
//!
//! What the legacy proposal has as well is in [`legacy`](super::legacy).

use super::super::Type::{self, Exn, I32};
use super::{Body, Generator, KEPT, Kind, LOOPS, RESULTS, UNLESS_GIVEN_UP, names};

/// A clause of a `try_table`.
pub(super) struct Clause {
    /// What it catches: `catch $x0`, or `catch_all_ref`.
    pub(super) catches: String,
    /// What comes of it.
    pub(super) way: Way,
}

/// Where a clause goes.
pub(super) enum Way {
    /// To a label that there is.
    To(String),
    /// To code of its own, behind a block that ends with operands of these types.
    Handler(Vec<Type>, String),
}

/// ` (result …)`, or nothing.
pub(super) fn result(types: &[Type]) -> String {
    if types.is_empty() { String::new() } else { format!(" (result{})", names(types)) }
}

impl Generator {
    /// A statement that throws, catches, or leaves blocks.
    pub(super) fn exceptional(&mut self, body: &mut Body, depth: u32) -> String {
        let is_leaf = self.functions[body.function].kind == Kind::Leaf;
        match self.below(if is_leaf { 6 } else { 16 }) {
            // What nothing here catches ends many frames.
            0..2 if body.around.protected > 0 || self.once_in(4) => {
                format!("(if{} (then {}))", self.seldom(body), self.throw(body))
            }
            2 if !body.around.open.is_empty() => {
                let to = self.one(&body.around.open);
                format!("(br_if {}{})", self.end_of(to), self.seldom(body))
            }
            3 if self.keeps => self.keep(body),
            4 if self.keeps => {
                let kept = self.simple(body, Exn);
                match self.once_in(9) {
                    true => format!("(if{} (then (throw_ref{kept})))", self.seldom(body)),
                    false => format!("(if (i32.eqz (ref.is_null{kept})) (then (throw_ref{kept})))"),
                }
            }
            0..5 => self.throw_again_seldom(body),
            5 if !is_leaf => self.block(body, depth),
            6 if self.keeps => self.retry(body, depth),
            _ => {
                let results = match self.below(4) {
                    0 => Vec::new(),
                    1 => {
                        let tag = self.below(self.tags.len());
                        self.tags[tag].clone()
                    }
                    2 => vec![self.one(&[I32, Type::I64, Type::F64, Type::V128, Type::Extern])],
                    _ => RESULTS[self.functions[body.function].results].to_vec(),
                };
                // What is below stays there while something is thrown and caught.
                let below = match self.below(3) {
                    0 => vec![self.one(&[I32, Type::I64, Type::F32, Type::V128, Type::Extern])],
                    1 => vec![Type::I64, Type::Extern, Type::V128, I32],
                    _ => Vec::new(),
                };
                let below_text = self.values(body, &below, 1);
                let text = self.caught(body, &results, depth);
                let [results, below] = [self.takes(body, &results), self.takes(body, &below)];
                format!("{below_text} {text} {results}{below}")
            }
        }
    }

    /// An expression in which something may be thrown and caught.
    pub(super) fn caught_value(&mut self, body: &mut Body, ty: Type, depth: u32) -> String {
        format!(" (block (result {}) {})", super::name(ty), self.caught(body, &[ty], depth))
    }

    /// Instructions that protect others, and leave operands of these types.
    fn caught(&mut self, body: &mut Body, results: &[Type], depth: u32) -> String {
        match self.keeps && self.once_in(2) {
            true => self.try_table(body, results, depth),
            false => self.legacy_try(body, results, depth),
        }
    }

    /// A condition that is hardly ever true, or in one turn of a loop.
    pub(super) fn seldom(&mut self, body: &mut Body) -> String {
        if !body.counters.is_empty() && self.once_in(2) {
            let (counter, at) = (self.one(&body.counters), self.one(&[0, 1, 2, 3, 8, 17, 50]));
            return format!(" (i32.eq (local.get {counter}) (i32.const {at}))");
        }
        let (mask, is) = self.one(&[(1, 1), (3, 0), (3, 2), (7, 5), (15, 6)]);
        format!(" (i32.eq (i32.and{} (i32.const {mask})) (i32.const {is}))", self.value(body, I32, 2))
    }

    pub(super) fn throw(&mut self, body: &mut Body) -> String {
        let tag = self.below(self.tags.len());
        let carried = self.tags[tag].clone();
        format!("(throw $x{tag}{})", self.values(body, &carried, 1))
    }

    /// Keeps a reference to an exception where others find it.
    fn keep(&mut self, body: &mut Body) -> String {
        let kept = self.simple(body, Exn);
        match (self.below(3), self.local(body, Exn)) {
            (0, Some(local)) => format!("(local.set {local}{kept})"),
            (1, _) => format!("(global.set $g6{kept})"),
            _ => format!("(table.set $kept (i32.const {}){kept})", self.below(KEPT)),
        }
    }

    /// The next number of a block.
    pub(super) fn number(&mut self, body: &mut Body) -> usize {
        body.around.blocks += 1;
        body.around.blocks
    }

    /// What is protected by the block with a number, which may be left by a tail call or an exception at its end.
    pub(super) fn protected(
        &mut self,
        body: &mut Body,
        number: usize,
        results: &[Type],
        depth: u32,
    ) -> String {
        let is_leaf = self.functions[body.function].kind == Kind::Leaf;
        let open = body.around.open.len();
        body.around.protected += 1;
        if results.is_empty() {
            body.around.open.push(number);
        }
        let mut text = self.statements(body, depth.saturating_sub(1));
        text += &match self.below(8) {
            0 if !is_leaf => {
                let own = self.functions[body.function].results;
                let tail_call = self.call_with(body, Some(own), 1, "return_call");
                tail_call.map_or_else(|| self.values(body, results, 2), |(call, _)| call)
            }
            1 => self.throw(body),
            2..5 => {
                let [condition, throw] = [self.seldom(body), self.throw(body)];
                format!("(if{condition} (then {throw})){}", self.values(body, results, 2))
            }
            _ => self.values(body, results, 2),
        };
        body.around.open.truncate(open);
        body.around.protected -= 1;
        text
    }

    /// A `try_table` with clauses of any kind, in any order.
    fn try_table(&mut self, body: &mut Body, results: &[Type], depth: u32) -> String {
        let number = self.number(body);
        let inside = self.protected(body, number, results, depth);
        let clauses: Vec<Clause> =
            (0..1 + self.below(4)).map(|_| self.clause(body, number, results, depth)).collect();
        self.with_clauses(number, results, &clauses, &inside)
    }

    fn clause(&mut self, body: &mut Body, number: usize, results: &[Type], depth: u32) -> Clause {
        let tag = (!self.once_in(4)).then(|| self.below(self.tags.len()));
        let with_reference = self.once_in(2);
        let mut arrives = tag.map_or_else(Vec::new, |tag| self.tags[tag].clone());
        let word = if tag.is_some() { "catch" } else { "catch_all" };
        let suffix = if with_reference { "_ref" } else { "" };
        let tag = tag.map_or_else(String::new, |tag| format!(" $x{tag}"));
        arrives.extend(with_reference.then_some(Exn));
        let way = if arrives == *results && self.once_in(2) {
            Way::To(self.end_of(number))
        } else if arrives.is_empty() && !body.around.open.is_empty() && self.once_in(2) {
            let open = self.one(&body.around.open);
            Way::To(self.end_of(open))
        } else {
            let mut text = self.takes(body, &arrives);
            text += &self.statements(body, depth.saturating_sub(1));
            text += &self.values(body, results, 1);
            Way::Handler(arrives, text)
        };
        Clause { catches: format!("{word}{suffix}{tag}"), way }
    }

    /// Prints a `try_table` with the code that its clauses go to.
    pub(super) fn with_clauses(
        &self,
        number: usize,
        results: &[Type],
        clauses: &[Clause],
        inside: &str,
    ) -> String {
        let (end, result_text) = (self.end_of(number), result(results));
        let own = |index: usize| format!("$c{number}_{index}");
        let list: String = (clauses.iter().enumerate())
            .map(|(index, clause)| match &clause.way {
                Way::To(label) => format!(" ({} {label})", clause.catches),
                Way::Handler(..) => format!(" ({} {})", clause.catches, own(index)),
            })
            .collect();
        let mut text = format!("(try_table{result_text}{list}\n{inside}) (br {end})");
        for (index, clause) in clauses.iter().enumerate() {
            if let Way::Handler(arrives, handler) = &clause.way {
                text = format!("(block {}{}\n{text})\n{handler} (br {end})", own(index), result(arrives));
            }
        }
        format!("(block {end}{result_text}\n{text})")
    }

    /// A loop that is tried again whenever something is caught: the clause goes to its header.
    fn retry(&mut self, body: &mut Body, depth: u32) -> String {
        if body.counters.len() == LOOPS {
            return String::new();
        }
        let turns = if body.turns == 1 { self.one(&[2, 5, 20, 60]) } else { 2 };
        let (number, counter) = (self.number(body), body.first_counter + body.counters.len());
        let tag = self.once_in(2).then(|| self.below(self.tags.len()));
        let carried = tag.map_or_else(Vec::new, |tag| self.tags[tag].clone());
        let first = self.values(body, &carried, 1);
        let takes = self.takes(body, &carried);
        body.counters.push(counter);
        body.turns *= turns;
        let inside = self.protected(body, number, &[], depth);
        body.turns /= turns;
        body.counters.pop();
        let params = if carried.is_empty() { String::new() } else { format!(" (param{})", names(&carried)) };
        let catches = tag.map_or("catch_all".to_string(), |tag| format!("catch $x{tag}"));
        let end = self.end_of(number);
        let get = format!("(local.get {counter})");
        format!(
            "(local.set {counter} (i32.const {turns}))
             (block {end} {first} (loop $again{number}{params} {takes}
               (br_if {end} (i32.eqz (select {get} {UNLESS_GIVEN_UP})))
               (local.set {counter} (i32.sub {get} (i32.const 1)))
               (try_table ({catches} $again{number})\n{inside})))"
        )
    }
}
