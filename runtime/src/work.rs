//! How much of a function's body is executed at a time: by a call, and by a turn of each of its loops.
//!
//! Tier 0 counts calls and turns, and those are not worth the same: a turn of the main loop of an interpreter passes over
//! all of its arms but one. What is told here is an estimate from the body alone. Execution is followed once from the
//! beginning to the end, as a weight that branches divide: all targets of a `br_table` get the same share, a `br_if` is taken the more
//! rarely the further it leads, and who enters a loop leaves it at some time.

use std::mem;

use wasmparser::{FunctionBody, Operator};

/// The share of a branch on a condition out of the innermost block; for each block more it is half of that.
const NEAR: f64 = 0.5;
/// Blocks out of which no branch is rarer.
const FAR: u32 = 3;

/// However many branches may leave it, what follows is executed in so many of the turns of the loop around it.
const SELDOM: f64 = 1.0 / 16.0;

/// What a loop weighs at least: its turns are counted when it runs, however rarely the code before says it does.
const LEAST: f64 = 1e-6;

/// Bytes of a body that are executed at a time.
#[derive(Debug)]
pub struct Work {
    call: u32,
    calls_indirectly: bool,
    /// Offsets in the module of the `loop` operators, in order, with the bytes of one turn.
    loops: Box<[(u32, u32)]>,
}

impl Work {
    /// What a body does, which is valid.
    pub fn of(body: &FunctionBody<'_>) -> Work {
        let mut operators = body.get_operators_reader().expect("validated body");
        let mut flow = Flow::new(operators.original_position());
        while !operators.eof() {
            let at = operators.original_position();
            let operator = operators.read().expect("validated operators");
            flow.go_on_to(operators.original_position());
            flow.pass(&operator, at as u32);
        }
        Work { call: whole(flow.bytes), calls_indirectly: flow.calls_indirectly, loops: flow.loops.into() }
    }

    /// Bytes that a call executes, without what its loops do again: at least one.
    pub fn of_call(&self) -> u32 {
        self.call
    }

    /// Whether it calls what a table or a reference says.
    pub fn calls_indirectly(&self) -> bool {
        self.calls_indirectly
    }

    /// Bytes that a turn of the loop executes whose operator is at this offset in the module, inner loops
    /// once: at least one.
    ///
    /// # Panics
    /// In builds with assertions, if there is no loop.
    pub fn of_turn(&self, at: u32) -> u32 {
        let found = self.loops.binary_search_by_key(&at, |(at, _)| *at);
        debug_assert!(found.is_ok(), "tier 0 knows no other loops");
        found.map_or(1, |index| self.loops[index].1)
    }
}

/// Bytes, of which some are executed more rarely than others.
fn whole(bytes: f64) -> u32 {
    (bytes as u32).max(1)
}

/// What has been entered and not been left.
#[derive(Default)]
struct Frame {
    /// What comes to its end by branches.
    at_end: f64,
    /// What takes the second arm of an `if`.
    other_arm: f64,
    /// Of a loop.
    turn: Option<Turn>,
}

struct Turn {
    /// Among the loops.
    index: usize,
    /// The weight at the header, and the bytes that had been executed there.
    weight: f64,
    bytes: f64,
}

struct Flow {
    frames: Vec<Frame>,
    /// How many times what follows is executed.
    weight: f64,
    /// Bytes executed so far, and where that is.
    bytes: f64,
    position: u64,
    loops: Vec<(u32, u32)>,
    /// The weights of the headers of the loops around, the innermost last.
    headers: Vec<f64>,
    calls_indirectly: bool,
}

impl Flow {
    fn new(position: u64) -> Flow {
        // The function itself is the outermost frame.
        Flow {
            frames: vec![Frame::default()],
            weight: 1.0,
            bytes: 0.0,
            position,
            loops: Vec::new(),
            headers: Vec::new(),
            calls_indirectly: false,
        }
    }

    fn go_on_to(&mut self, position: u64) {
        self.bytes += self.weight * (position - self.position) as f64;
        self.position = position;
    }

    /// What an operator at this offset does to the weight.
    fn pass(&mut self, operator: &Operator<'_>, at: u32) {
        match operator {
            Operator::Block { .. } | Operator::Try { .. } | Operator::TryTable { .. } => {
                self.frames.push(Frame::default());
            }
            Operator::Loop { .. } => {
                self.weight = self.weight.max(LEAST);
                let turn = Turn { index: self.loops.len(), weight: self.weight, bytes: self.bytes };
                self.frames.push(Frame { turn: Some(turn), ..Frame::default() });
                self.loops.push((at, 1));
                self.headers.push(self.weight);
            }
            Operator::If { .. } => {
                self.weight /= 2.0;
                self.frames.push(Frame { other_arm: self.weight, ..Frame::default() });
            }
            // Nobody knows how rarely something is thrown: not at all.
            Operator::Else | Operator::Catch { .. } | Operator::CatchAll => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.at_end += self.weight;
                    self.weight = mem::take(&mut frame.other_arm);
                }
            }
            Operator::End | Operator::Delegate { .. } => self.end(),
            Operator::Br { relative_depth } => {
                let all = mem::take(&mut self.weight);
                self.branch(*relative_depth, all);
            }
            Operator::BrIf { relative_depth }
            | Operator::BrOnNull { relative_depth }
            | Operator::BrOnNonNull { relative_depth }
            | Operator::BrOnCast { relative_depth, .. }
            | Operator::BrOnCastFail { relative_depth, .. } => self.branch_or_not(*relative_depth),
            Operator::BrTable { targets } => {
                let share = mem::take(&mut self.weight) / f64::from(targets.len() + 1);
                for target in targets.targets().chain([Ok(targets.default())]) {
                    self.branch(target.expect("validated targets"), share);
                }
            }
            Operator::CallIndirect { .. } | Operator::CallRef { .. } => self.calls_indirectly = true,
            Operator::Return
            | Operator::ReturnCall { .. }
            | Operator::ReturnCallIndirect { .. }
            | Operator::ReturnCallRef { .. }
            | Operator::Unreachable
            | Operator::Throw { .. }
            | Operator::ThrowRef
            | Operator::Rethrow { .. } => self.weight = 0.0,
            _ => {}
        }
    }

    fn frame(&mut self, depth: u32) -> Option<&mut Frame> {
        let index = self.frames.len().checked_sub(depth as usize + 1)?;
        self.frames.get_mut(index)
    }

    /// A part of the weight goes to where a branch leads. From the header of a loop it goes around again and again, until it
    /// gets to behind what the loop is in.
    fn branch(&mut self, depth: u32, weight: f64) {
        let turns = self.frame(depth).is_some_and(|frame| frame.turn.is_some());
        if let Some(frame) = self.frame(depth + u32::from(turns)) {
            frame.at_end += weight;
        }
    }

    fn branch_or_not(&mut self, depth: u32) {
        // Who goes back to a loop's header comes by again.
        if self.frame(depth).is_some_and(|frame| frame.turn.is_none()) {
            let least = self.headers.last().unwrap_or(&1.0) * SELDOM;
            let share = self.weight * NEAR / f64::from(1u32 << depth.min(FAR));
            if self.weight - share >= least {
                self.weight -= share;
            }
            self.branch(depth, share);
        }
    }

    fn end(&mut self) {
        let Some(Frame { at_end, other_arm, turn }) = self.frames.pop() else { return };
        self.weight += at_end + other_arm;
        if let Some(turn) = turn {
            self.headers.pop();
            self.loops[turn.index].1 = whole((self.bytes - turn.bytes) / turn.weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use wasmparser::{Parser, Payload};

    use super::*;

    /// The work of the first function of a module.
    fn work(wat: &str) -> Work {
        let wasm = wat::parse_str(wat).unwrap();
        let bodies = Parser::new(0).parse_all(&wasm).filter_map(|payload| match payload.unwrap() {
            Payload::CodeSectionEntry(body) => Some(Work::of(&body)),
            _ => None,
        });
        bodies.into_iter().next().unwrap()
    }

    /// The bytes of the turns of its loops, in order.
    fn turns(wat: &str) -> Vec<u32> {
        let work = work(wat);
        work.loops
            .iter()
            .map(|(at, bytes)| (work.of_turn(*at) == *bytes).then_some(*bytes).unwrap())
            .collect()
    }

    /// So many bytes of instructions.
    fn bytes(count: usize) -> String {
        "nop ".repeat(count)
    }

    #[test]
    fn calls_of_what_tables_and_references_say_are_known() {
        let calls = |instruction: &str| {
            let wat = format!(
                "(module (type $t (func)) (table 1 funcref) (func (param $f (ref null $t)) {instruction}))"
            );
            work(&wat).calls_indirectly()
        };
        assert!(calls("(call_indirect (i32.const 0))"));
        assert!(calls("(call_ref $t (local.get $f))"));
        assert!(!calls("(call 0 (local.get $f))"));
    }

    #[test]
    fn straight_code_is_all_executed() {
        assert_eq!(work(&format!("(module (func {}))", bytes(500))).of_call(), 501);
    }

    #[test]
    fn of_the_arms_of_a_switch_one_is_executed() {
        let arms = 200;
        let blocks = "block ".repeat(arms);
        let labels: String = (0..arms).map(|arm| format!("{arm} ")).collect();
        let arm = |index: usize| format!("end {} br {} ", bytes(300), arms - 1 - index);
        let arms: String = (0..arms - 1).map(arm).collect();
        let body = format!("loop $next {blocks} local.get 0 br_table {labels} {arms} end br $next end");
        let wat = format!("(module (func (param i32) {body}))");
        let [turn] = turns(&wat)[..] else { panic!() };
        // Beside the arm there are the table itself and the blocks.
        assert!((700..1400).contains(&turn), "{turn}");
    }

    #[test]
    fn each_arm_of_an_if_is_executed_half_the_time_and_what_follows_always() {
        let [a, b, c] = [1000, 2000, 4000].map(bytes);
        let called =
            work(&format!("(module (func (param i32) local.get 0 if {a} else {b} end {c}))")).of_call();
        assert!((5500..5510).contains(&called), "{called}");
        let called = work(&format!("(module (func (param i32) local.get 0 if {a} end {c}))")).of_call();
        assert!((4500..4510).contains(&called), "{called}");
    }

    #[test]
    fn what_a_loop_is_left_for_is_executed() {
        // `while` loops one after the other: each is left by a branch out of the block around it.
        let one = format!("block $out loop $again local.get 0 br_if $out {} br $again end end ", bytes(100));
        let wat = format!("(module (func (param i32) {}))", one.repeat(20));
        let all = turns(&wat);
        assert_eq!(all.len(), 20);
        assert!(all.iter().all(|turn| (70..110).contains(turn)), "{all:?}");
        assert!(work(&wat).of_call() > 20 * 70);
    }

    #[test]
    fn checks_that_lead_far_away_are_seldom_true() {
        let check = "local.get 0 br_if 3 ";
        let body = format!(
            "block block block block {} {} end return end end end unreachable",
            check.repeat(20),
            bytes(1000)
        );
        let called = work(&format!("(module (func (param i32) {body}))")).of_call();
        assert!(called > 250, "{called}");
    }

    #[test]
    fn what_many_branches_may_leave_is_executed_now_and_then() {
        let checks = "local.get 0 br_if 0 ".repeat(20);
        let body = format!("loop $again block {checks} {} end br $again end", bytes(10_000));
        let [turn] = turns(&format!("(module (func (param i32) {body}))"))[..] else { panic!() };
        assert!((600..2000).contains(&turn), "{turn}");
    }

    #[test]
    fn a_loop_that_is_hardly_come_to_has_its_turns_all_the_same() {
        let wat = format!("(module (func unreachable loop {} br 0 end))", bytes(700));
        assert!((700..705).contains(&turns(&wat)[0]));
        let deep = "local.get 0 if ".repeat(60);
        let wat = format!("(module (func (param i32) {deep} loop {} end {}))", bytes(700), "end ".repeat(60));
        assert!((700..705).contains(&turns(&wat)[0]));
    }
}
