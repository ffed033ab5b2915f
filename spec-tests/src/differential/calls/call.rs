//! Calls, direct and through the table, with their arguments.

use super::super::Type::I32;
use super::{Body, Function, Generator, Kind, RESULTS, SLOTS, TABLED, signature};

impl Generator {
    /// Functions that the body may call. Short ones call those before them; in loops that turn often nothing long is
    /// called.
    pub(super) fn callees(&self, body: &Body, results: Option<usize>) -> Vec<usize> {
        let is_leaf = self.functions[body.function].kind == Kind::Leaf;
        let may = |callee: usize| match self.functions[callee].kind {
            Kind::Leaf => !is_leaf || callee < body.function,
            Kind::Worker => !is_leaf && body.turns <= 60,
            Kind::Host => body.turns <= 60,
            Kind::Back => !is_leaf && body.turns <= 60,
        };
        let fits = |callee: usize| results.is_none_or(|results| self.functions[callee].results == results);
        (0..self.functions.len()).filter(|callee| may(*callee) && fits(*callee)).collect()
    }

    /// A call with its arguments, as an expression, and the list of its results.
    pub(super) fn call(
        &mut self,
        body: &mut Body,
        results: Option<usize>,
        depth: u32,
    ) -> Option<(String, usize)> {
        self.call_with(body, results, depth, "call")
    }

    pub(super) fn call_with(
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
    pub(super) fn index(&mut self, body: &mut Body, chosen: usize, depth: u32) -> String {
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

    pub(super) fn tail_call(&mut self, body: &mut Body) -> String {
        let results = self.functions[body.function].results;
        match self.call_with(body, Some(results), 2, "return_call") {
            Some((call, _)) => format!(" {call}\n"),
            None => self.values(body, RESULTS[results], 2),
        }
    }
    pub(super) fn returning_tail_call(&mut self, body: &mut Body) -> String {
        let results = self.functions[body.function].results;
        match self.call_with(body, Some(results), 1, "return_call") {
            Some((call, _)) => format!(" {call}"),
            None => " unreachable".into(),
        }
    }
}
