//! Exceptions: blocks that catch, and what throws.
//!
//! A call inside of a block that catches is a `try_call`: an exception that comes out of it goes on in the block's *landing*,
//! whose parameter is the exception. There its tag is compared with those of the clauses, and if it is none of them the
//! landing around is next; what no block of the function catches is thrown on to the caller, as if the landing had thrown
//! it. The landing is lowered where the block ends, when all ways there are known; one that nothing leads to is not there.
//!
//! What is thrown inside of such a block, also by a function that is lowered in place of a call, goes to the landing by a
//! jump, or to the label of the clause right away where it is plain which one that is: no object is made then, unless the
//! clause wants it.
//!
//! In the older form of exceptions a clause is a body of its own, and the exception is an operand below those of the body as
//! long as that lasts: `rethrow` finds it there, and a frame that passes between the tiers carries it.

use std::mem;

use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Block, InstBuilder, Value};
use wasmparser::{BlockType, Catch, TryTable};
use wasmrun_runtime::fuel;
use wasmrun_runtime::trap::Trap;

use super::Lower;
use super::control::Kind;
use crate::builtins::Builtin;

/// What a clause of a `try_table` catches, and where it leads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clause {
    /// `None` for all exceptions.
    tag: Option<u32>,
    /// Whether the branch carries the exception itself, behind its values.
    with_reference: bool,
    /// The label, seen from outside of the `try_table`.
    depth: u32,
}

impl From<Catch> for Clause {
    fn from(catch: Catch) -> Clause {
        let (tag, with_reference, depth) = match catch {
            Catch::One { tag, label } => (Some(tag), false, label),
            Catch::OneRef { tag, label } => (Some(tag), true, label),
            Catch::All { label } => (None, false, label),
            Catch::AllRef { label } => (None, true, label),
        };
        Clause { tag, with_reference, depth }
    }
}

/// What is known, when an exception is thrown, of where it goes.
enum Way {
    /// By this clause of the block at an index of the open ones.
    Clause(usize, Clause),
    /// To a landing.
    Landing(Block),
    /// Out of the function.
    Out,
}

impl Lower<'_, '_, '_> {
    pub(super) fn try_table(&mut self, table: &TryTable) {
        let clauses: Vec<Clause> = table.catches.iter().copied().map(Clause::from).collect();
        // Each clause counts as a branch, whether or not anything throws: tier 0 does the same, and pays by it.
        for clause in &clauses {
            self.label(clause.depth);
        }
        self.budget.keep(clauses.len());
        self.open_try(table.ty, Kind::TryTable { clauses, landing: None });
    }

    pub(super) fn try_(&mut self, ty: BlockType) {
        let charge = self.segment.as_ref().map(|segment| segment.charge);
        self.open_try(ty, Kind::Try { landing: None, charge });
    }

    fn open_try(&mut self, ty: BlockType, kind: Kind) {
        let signature = self.signature(ty);
        self.define_operands();
        self.open(kind, signature, None);
        self.catching.push(self.control.len() - 1);
    }

    /// Where exceptions go that come out of a call at hand; `None` if they go to the caller.
    pub(super) fn landing(&mut self) -> Option<Block> {
        self.landing_from(self.control.len())
    }

    /// The landing of the innermost block that catches among the outermost `count` open ones.
    fn landing_from(&mut self, count: usize) -> Option<Block> {
        let among = self.catching.partition_point(|index| *index < count);
        let index = *self.catching[..among].last()?;
        if let Some(Some(landing)) = self.control[index].kind.landing() {
            return Some(*landing);
        }
        let landing = self.new_landing();
        *self.control[index].kind.landing_mut()? = Some(landing);
        Some(landing)
    }

    fn new_landing(&mut self) -> Block {
        let landing = self.cold_block();
        self.builder.append_block_param(landing, I64);
        landing
    }

    /// Throws an exception, which is not null, from inside of the outermost `count` open blocks.
    fn throw_to(&mut self, count: usize, exception: Value) {
        let word = self.word(exception);
        match self.landing_from(count) {
            Some(landing) => {
                self.budget.branch();
                self.builder.ins().jump(landing, &[word.into()]);
            }
            None => self.throw_out(word),
        }
    }

    /// Throws an exception to the caller.
    fn throw_out(&mut self, word: Value) {
        self.builtin(Builtin::Throw, &[self.vmctx, word]);
        let exec = self.exec();
        self.call_builtin(Builtin::Raise, &[exec]);
        // Not reached; it ends the block.
        self.trap(Trap::UnreachableCodeReached);
    }

    /// Where an exception with a tag of the module goes.
    fn way_of(&mut self, tag: u32) -> Way {
        let own = |tag: u32| tag >= self.module.imported_tag_count();
        for &index in self.catching.iter().rev() {
            let Kind::TryTable { clauses, .. } = &self.control[index].kind else {
                return self.landing_from(index + 1).map_or(Way::Out, Way::Landing);
            };
            self.budget.steps(clauses.len());
            for clause in clauses {
                match clause.tag {
                    None => return Way::Clause(index, *clause),
                    Some(caught) if caught == tag => return Way::Clause(index, *clause),
                    // Two tags that the module defines are two; imported ones can be the same.
                    Some(caught) if own(caught) && own(tag) => {}
                    Some(_) => return self.landing_from(index + 1).map_or(Way::Out, Way::Landing),
                }
            }
        }
        Way::Out
    }

    pub(super) fn throw(&mut self, tag: u32) {
        let way = self.way_of(tag);
        if let Way::Clause(index, clause @ Clause { with_reference: false, .. }) = way {
            self.jump_to_clause(index, clause);
            return self.unreachable();
        }
        let carried = self.top(self.module.tag_type(tag).params().len()).to_vec();
        let exception = self.new_exception(tag);
        match way {
            Way::Clause(index, clause) => {
                if clause.tag.is_some() {
                    self.stack.extend(carried);
                }
                self.push_like(exception, true);
                self.jump_to_clause(index, clause);
            }
            Way::Landing(landing) => {
                let word = self.word(exception);
                self.budget.branch();
                self.builder.ins().jump(landing, &[word.into()]);
            }
            Way::Out => {
                let word = self.word(exception);
                self.throw_out(word);
            }
        }
        self.unreachable();
    }

    /// Goes to the label of a clause of the block at `index` of the open ones, with the topmost operands, which are what it
    /// takes.
    fn jump_to_clause(&mut self, index: usize, clause: Clause) {
        let inside = self.control.len() - index;
        self.jump_to_label(inside as u32 + clause.depth);
    }

    pub(super) fn throw_ref(&mut self) {
        let exception = self.pop();
        self.trap_if_null(exception);
        self.throw_to(self.control.len(), exception);
        self.unreachable();
    }

    pub(super) fn rethrow(&mut self, depth: u32) {
        let index = self.control.len() - 1 - depth as usize;
        let exception = self.stack[self.control[index].height];
        self.throw_to(self.control.len(), exception);
        self.unreachable();
    }

    /// Begins the landing of a block, whose operands start at `height`. Returns the exception.
    fn land(&mut self, landing: Block, height: usize) -> Value {
        self.enter_sealed(landing);
        self.stack.truncate(height);
        self.use_operands(height);
        let word = self.builder.block_params(landing)[0];
        self.reference_of(word)
    }

    /// The `end` of a block that catches, or of the last of its bodies; the `delegate` to the label `depth` levels out.
    pub(super) fn end_try(&mut self, delegate: Option<u32>) {
        let index = self.control.len() - 1;
        if self.reachable {
            self.jump_to_label(0);
        }
        let height = self.control[index].height;
        if self.control[index].kind.landing().is_some() {
            self.catching.pop();
        }
        // The blocks that an exception goes on to which is not caught here.
        let around = delegate.map_or(index, |depth| index - depth as usize);
        match mem::replace(&mut self.control[index].kind, Kind::Block) {
            Kind::TryTable { clauses, landing: Some(landing) } => {
                let exception = self.land(landing, height);
                self.clauses(&clauses, exception, around);
            }
            Kind::Try { landing: Some(landing), .. } => {
                let exception = self.land(landing, height);
                self.throw_to(around, exception);
            }
            Kind::Catch { other: Some((next, exception)), .. } => {
                self.enter_sealed(next);
                self.throw_to(around, exception);
            }
            _ => {}
        }
        self.stack.truncate(height);
        self.end_cold();
        let control = self.control.pop().expect("an open block");
        self.reachable = control.label.is_some();
        if let Some(label) = control.label {
            self.enter_sealed(label);
            self.begin_with(height, label, control.results());
            self.new_segment();
        } else {
            self.end_segment();
        }
    }

    /// Lets an exception go to the label of the first clause that takes it.
    fn clauses(&mut self, clauses: &[Clause], exception: Value, around: usize) {
        let height = self.stack.len();
        for clause in clauses {
            // There is one instruction for all of them, at the end of which the function is found to be too large.
            if self.is_too_large() {
                break;
            }
            let next = clause.tag.map(|tag| self.compare_tag(exception, tag));
            if let Some(tag) = clause.tag {
                self.push_carried(exception, tag);
            }
            if clause.with_reference {
                self.push_like(exception, true);
            }
            self.jump_to_label(clause.depth + 1);
            self.stack.truncate(height);
            let Some(next) = next else { return };
            self.enter_sealed(next);
        }
        self.throw_to(around, exception);
    }

    /// The beginning of a body for exceptions with a tag, or for all that are left.
    pub(super) fn catch(&mut self, tag: Option<u32>) {
        if self.reachable {
            self.jump_to_label(0);
        }
        let index = self.control.len() - 1;
        let height = self.control[index].height;
        let none = Kind::Catch { other: None, charge: None };
        let (exception, charge) = match mem::replace(&mut self.control[index].kind, none) {
            Kind::Try { landing, charge } => {
                self.catching.pop();
                // Code that nothing throws to is there all the same, as it is in tier 0: what it branches to is charged for.
                let landing = landing.unwrap_or_else(|| self.new_landing());
                (self.land(landing, height), charge)
            }
            Kind::Catch { other: Some((next, exception)), charge } => {
                self.enter_sealed(next);
                self.stack.truncate(height);
                // The body of the clause before may have joined ways, where operands became others.
                self.use_operands(height);
                (exception, charge)
            }
            other => unreachable!("validated: `catch` belongs to a `try`, not to {other:?}"),
        };
        self.end_segment();
        if let Some(charge) = charge {
            self.charge_more(charge, fuel::CLAUSE);
        }
        self.reachable = true;
        if let Some(tag) = tag {
            let next = self.compare_tag(exception, tag);
            self.control[index].kind = Kind::Catch { other: Some((next, exception)), charge };
        }
        self.push_like(exception, true);
        if let Some(tag) = tag {
            self.push_carried(exception, tag);
        }
        self.new_segment();
    }
}
