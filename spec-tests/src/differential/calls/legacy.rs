//! What the legacy proposal has: `try` with its clauses, `rethrow` and `delegate`, in its form or by the instructions of the
//! standard. The choices are the same in both forms, so that both make one program of a seed.
//!
//! By instructions of the standard, each clause puts a reference to what it has caught into a local, and `rethrow` is
//! `throw_ref`. A block to which exceptions are delegated throws what comes to its end: `$d3` is the block that ends with
//! the exception, and `$o3` the one around it. In the legacy form, `$d3` is the block itself, and the end of either is
//! [`Generator::end_of`]. Number 0 is the caller.

use super::super::Type::{self, Exn};
use super::exceptions::{Clause, Way, result};
use super::{Body, CAUGHT, Flavour, Form, Generator, Kind, LOOPS};

impl Generator {
    fn is_legacy(&self) -> bool {
        self.flavour == Flavour::Throwing(Form::Legacy)
    }

    /// The label that leaves a block.
    pub(super) fn end_of(&self, number: usize) -> String {
        format!("${}{number}", if self.is_legacy() { 'd' } else { 'o' })
    }

    /// A block that can be left by branches, and that exceptions are delegated to.
    pub(super) fn block(&mut self, body: &mut Body, depth: u32) -> String {
        let number = self.number(body);
        body.around.open.push(number);
        body.around.delegates.push(number);
        let inside = self.statements(body, depth.saturating_sub(1));
        body.around.open.pop();
        body.around.delegates.pop();
        self.delegated_to(number, &[], &inside)
    }

    /// A block to which what is inside may delegate exceptions: they are thrown where it ends.
    fn delegated_to(&self, number: usize, results: &[Type], inside: &str) -> String {
        let result = result(results);
        match self.is_legacy() {
            true => format!("(block $d{number}{result}\n{inside})"),
            false => format!(
                "(block $o{number}{result} (block $d{number} (result exnref)\n{inside} (br $o{number})) (throw_ref))"
            ),
        }
    }

    /// The body of a function, whose caller exceptions may be delegated to.
    pub(super) fn with_the_caller_to_delegate_to(&self, body: String, results: &[Type]) -> String {
        match (self.is_legacy(), body.contains("$d0")) {
            (_, false) => body,
            (true, true) => with_depths(&body),
            (false, true) => self.delegated_to(0, results, &body),
        }
    }

    /// Throws again what has been caught around here, if anything has been.
    pub(super) fn throw_again_seldom(&mut self, body: &mut Body) -> String {
        if body.around.caught.is_empty() {
            return String::new();
        }
        let depth = self.below(body.around.caught.len());
        let condition = self.seldom(body);
        let throw = match self.is_legacy() {
            true => format!("(rethrow $d{})", body.around.caught[depth]),
            false => format!("(throw_ref (local.get {}))", self.caught_local(body, depth)),
        };
        format!("(if{condition} (then {throw}))")
    }

    /// The local that keeps what has been caught so deep inside of other clauses.
    fn caught_local(&self, body: &Body, depth: usize) -> usize {
        let is_leaf = self.functions[body.function].kind == Kind::Leaf;
        body.first_counter + if is_leaf { 0 } else { LOOPS } + depth
    }

    /// A `try` with clauses, or one that delegates.
    pub(super) fn legacy_try(&mut self, body: &mut Body, results: &[Type], depth: u32) -> String {
        let number = self.number(body);
        if self.once_in(5) {
            return self.delegating(body, number, results, depth);
        }
        let delegates = body.around.delegates.len();
        if self.once_in(3) {
            body.around.delegates.push(number);
        }
        let mut inside = self.protected(body, number, results, depth);
        if body.around.delegates.len() > delegates {
            body.around.delegates.pop();
            if !self.is_legacy() {
                // Where the legacy form delegates to the `try` itself. Branches go past it.
                inside = format!(
                    "(block $i{number}{} (block $d{number} (result exnref)\n{inside} (br $i{number})) (throw_ref))",
                    result(results)
                );
            }
        }
        let count = self.below(3);
        let mut tags: Vec<Option<usize>> = (0..count).map(|_| Some(self.below(self.tags.len()))).collect();
        tags.extend((!self.once_in(3)).then_some(None));
        let handlers: Vec<String> =
            tags.iter().map(|tag| self.handler(body, number, *tag, results, depth)).collect();
        if self.is_legacy() {
            let clauses: String = (tags.iter().zip(&handlers))
                .map(|(tag, handler)| match tag {
                    Some(tag) => format!("\ncatch $x{tag} {handler}"),
                    None => format!("\ncatch_all {handler}"),
                })
                .collect();
            return format!("try $d{number}{}\n{inside}{clauses}\nend", result(results));
        }
        let clauses: Vec<Clause> = (tags.iter().zip(handlers))
            .map(|(tag, handler)| {
                let mut arrives = tag.map_or_else(Vec::new, |tag| self.tags[tag].clone());
                arrives.push(Exn);
                let catches = tag.map_or("catch_all_ref".to_string(), |tag| format!("catch_ref $x{tag}"));
                Clause { catches, way: Way::Handler(arrives, handler) }
            })
            .collect();
        self.with_clauses(number, results, &clauses, &inside)
    }

    /// A `try` whose exceptions go on from another block.
    fn delegating(&mut self, body: &mut Body, number: usize, results: &[Type], depth: u32) -> String {
        let inside = self.protected(body, number, results, depth);
        let to = match body.around.delegates.is_empty() || self.once_in(4) {
            true => 0,
            false => self.one(&body.around.delegates),
        };
        let result = result(results);
        match self.is_legacy() {
            true => format!("try $d{number}{result}\n{inside}\ndelegate $d{to}\n"),
            false => format!("(try_table $o{number}{result} (catch_all_ref $d{to})\n{inside})"),
        }
    }

    /// What a clause does with what it has caught.
    fn handler(
        &mut self,
        body: &mut Body,
        number: usize,
        tag: Option<usize>,
        results: &[Type],
        depth: u32,
    ) -> String {
        let caught = body.around.caught.len();
        let mut text = match (self.is_legacy(), caught < CAUGHT) {
            (true, _) => String::new(),
            (false, true) => format!("(local.set {})", self.caught_local(body, caught)),
            (false, false) => "(drop)".to_string(),
        };
        if caught < CAUGHT {
            body.around.caught.push(number);
        }
        let carried = tag.map_or_else(Vec::new, |tag| self.tags[tag].clone());
        // What has been caught stays below operands now and then.
        let at_the_end = self.once_in(3);
        let takes = self.takes(body, &carried);
        let statements = self.statements(body, depth.saturating_sub(1));
        let again = if self.once_in(3) { self.throw_again_seldom(body) } else { String::new() };
        text += &match at_the_end {
            true => format!("{statements}{again}{takes}"),
            false => format!("{takes}{statements}{again}"),
        };
        text += &self.values(body, results, 1);
        body.around.caught.truncate(caught);
        text
    }
}

/// `body` with numbers in the place of `$d0`: a function's own label has no name in the text format.
fn with_depths(body: &str) -> String {
    let (mut out, mut rest) = (String::new(), body);
    // Whether each open parenthesis is one of a label, and how many labels there are.
    let (mut groups, mut labels) = (Vec::new(), 0);
    while !rest.is_empty() {
        let len = match rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')')) {
            Some(0) => 1,
            Some(end) => end,
            None => rest.len(),
        };
        let (token, tail) = rest.split_at(len);
        rest = tail;
        match token {
            "(" => groups.push(false),
            ")" => labels -= usize::from(groups.pop().unwrap_or(false)),
            // A condition stands before the label of its `if`.
            "block" | "loop" | "try_table" | "then" | "else" => {
                groups.pop();
                groups.push(true);
                labels += 1;
            }
            "try" => labels += 1,
            "end" | "delegate" => labels -= 1,
            _ => {}
        }
        if token == "$d0" { out += &labels.to_string() } else { out += token }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::with_depths;

    #[test]
    fn the_caller_is_as_far_away_as_there_are_labels() {
        for (body, expected) in [
            ("try $d1 (nop) delegate $d0\n", "try $d1 (nop) delegate 0\n"),
            (
                "(block try $d1 delegate $d0\n) try delegate $d0\n",
                "(block try $d1 delegate 1\n) try delegate 0\n",
            ),
            (
                "(if (block try delegate $d0\n) (then (loop try delegate $d0\n)) (else try delegate $d0\n))",
                "(if (block try delegate 1\n) (then (loop try delegate 2\n)) (else try delegate 1\n))",
            ),
            (
                "try $d1 try delegate $d0\n catch $x1 try delegate $d0\n end try delegate $d0\n",
                "try $d1 try delegate 1\n catch $x1 try delegate 1\n end try delegate 0\n",
            ),
        ] {
            assert_eq!(with_depths(body), expected);
        }
    }
}
