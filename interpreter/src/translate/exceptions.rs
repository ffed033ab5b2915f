//! Exceptions: what throws them, and the blocks that catch.
//!
//! A handler starts with all operands below its block in their homes, and what it gets from the exception above them. When that is
//! where the label of a clause expects it, the clause leads to the label itself; else to a *pad* behind the block, which
//! moves the values and branches.

use wasmparser::{BlockType, Catch, TryTable};
use wasmrun_runtime::fuel;

use super::Translator;
use super::branches::in_place;
use super::control::{Exit, Kind};
use super::stack::{Operand, Ty};
use crate::code::Header;
use crate::field::Field;
use crate::handlers::{Clause, ClauseId, RegionId, Wanted};
use crate::table;

/// A clause of a `try_table`: what it catches, and the label that it branches to.
#[derive(Clone, Copy, Debug)]
struct Labelled {
    tag: Option<u32>,
    exception: Wanted,
    depth: u32,
}

/// An open `try_table`.
#[derive(Debug)]
pub(super) struct OpenTryTable {
    region: RegionId,
    clauses: Box<[Labelled]>,
}

/// An open `try`.
#[derive(Debug)]
pub(super) struct OpenTry {
    region: RegionId,
    /// Its handlers so far.
    clauses: Vec<Clause>,
    /// Where the cost of the segment is that it belongs to, when fuel is charged.
    segment: Option<usize>,
}

impl Labelled {
    fn of(catch: &Catch) -> Labelled {
        let (tag, exception, depth) = match *catch {
            Catch::One { tag, label } => (Some(tag), Wanted::No, label),
            Catch::OneRef { tag, label } => (Some(tag), Wanted::Last, label),
            Catch::All { label } => (None, Wanted::No, label),
            Catch::AllRef { label } => (None, Wanted::Last, label),
        };
        Labelled { tag, exception, depth }
    }

    /// Where it leads is known later.
    fn clause(self) -> Clause {
        Clause { tag: self.tag, exception: self.exception, code: 0 }
    }
}

impl Translator<'_> {
    /// Where the next instruction will be, by its offset from the entry.
    pub(super) fn code_offset(&self) -> u32 {
        (self.out.here() - Header::SIZE) as u32
    }

    pub(super) fn throw(&mut self, tag: u32) {
        let ty = self.module.tag_type(tag);
        let used = self.stack.heights().references;
        let at = self.arguments(ty.func());
        self.out.op(table::THROW);
        self.out.field(Field::Tag, tag.into());
        self.out.slot(at.value);
        self.out.ref_slot(at.reference);
        self.out.count(used);
        self.unreachable();
    }

    pub(super) fn throw_ref(&mut self) {
        let exception = self.stack.pop();
        self.throw_again(exception);
    }

    fn throw_again(&mut self, exception: Operand) {
        self.out.op(table::THROW_REF);
        self.out.ref_slot(exception.home);
        self.unreachable();
    }

    /// `rethrow`: what the `catch` so many levels out has caught.
    pub(super) fn rethrow(&mut self, depth: u32) {
        let height = self.control_at(depth).height();
        self.throw_again(self.stack.get(height));
    }

    pub(super) fn try_table(&mut self, block: &TryTable) {
        let region = self.open_region(block.ty);
        let clauses = block.catches.iter().map(Labelled::of).collect();
        self.innermost_mut().kind = Kind::TryTable(Box::new(OpenTryTable { region, clauses }));
    }

    pub(super) fn try_(&mut self, ty: BlockType) {
        let region = self.open_region(ty);
        let open = OpenTry { region, clauses: Vec::new(), segment: self.segment };
        self.innermost_mut().kind = Kind::Try(Box::new(open));
    }

    /// Opens a block whose code has handlers of its own.
    fn open_region(&mut self, ty: BlockType) -> RegionId {
        let outer = self.region();
        self.open_settled(Kind::Block, ty);
        // No instruction before may be taken back: the region would start elsewhere.
        self.out.label();
        let code = self.code_offset();
        let base = self.innermost().base;
        let region = self.handlers.open(code, outer, base);
        self.innermost_mut().region = region;
        region
    }

    /// The innermost region that covers the code here.
    pub(super) fn region(&self) -> RegionId {
        self.control.last().map_or(RegionId::NONE, |control| control.region)
    }

    /// Ends the part of the innermost block that its own handlers cover, if the code here is in it.
    pub(super) fn end_region(&mut self) {
        let region = match &self.innermost().kind {
            Kind::TryTable(open) => open.region,
            Kind::Try(open) => open.region,
            _ => return,
        };
        let code = self.code_offset();
        self.innermost_mut().region = self.handlers.close(code, region);
        self.out.label();
    }

    /// `catch`, or `catch_all`: the exception becomes an operand below the values, which only `rethrow` can name.
    pub(super) fn catch(&mut self, tag: Option<u32>) {
        self.end_arm();
        self.end_region();
        let code = self.code_offset();
        let mut open = match std::mem::replace(&mut self.innermost_mut().kind, Kind::Block) {
            Kind::Try(open) | Kind::Catch(open) => open,
            other => unreachable!("validated: a `try`, not {other:?}"),
        };
        if let Some(at) = open.segment {
            self.out.add_u32(at, fuel::CLAUSE);
        }
        open.clauses.push(Clause { tag, exception: Wanted::First, code });
        self.innermost_mut().kind = Kind::Catch(open);
        self.begin_arm();
        self.push_temp(Ty::Collected);
        if let Some(tag) = tag {
            self.push_carried(tag);
        }
        self.new_segment();
    }

    fn push_carried(&mut self, tag: u32) {
        for ty in self.module.tag_type(tag).params() {
            self.push_temp(Ty::of(*ty));
        }
    }

    /// Ends the innermost block, a `try`, whose exceptions are thrown at the block so many levels out of it.
    pub(super) fn delegate(&mut self, depth: u32) {
        let own = self.region();
        let to = self.control_at(depth + 1).region;
        self.end();
        self.handlers.delegate(own, to);
    }

    /// Gives the region of a block that has just been closed its clauses, each with what it leads to.
    pub(super) fn bind_handlers(&mut self, kind: Kind) {
        match kind {
            Kind::TryTable(open) => {
                let first =
                    self.handlers.set_clauses(open.region, open.clauses.iter().map(|clause| clause.clause()));
                let numbered = open.clauses.iter().enumerate();
                let mut clauses: Vec<_> = numbered.map(|(i, clause)| (*clause, first.add(i))).collect();
                clauses.sort_by_key(|(clause, _)| clause.depth);
                self.lead_to_labels(&clauses);
            }
            Kind::Try(open) | Kind::Catch(open) => {
                self.handlers.set_clauses(open.region, open.clauses);
            }
            _ => {}
        }
    }

    /// Lets clauses lead to their labels, or to pads. They are in the order of the labels; those with the same share a pad, as they
    /// have the same values.
    fn lead_to_labels(&mut self, clauses: &[(Labelled, ClauseId)]) {
        let height = self.stack.len();
        // The code before the first pad goes on behind the last.
        let mut over = None;
        let mut padded = false;
        for clauses in clauses.chunk_by(|(a, _), (b, _)| a.depth == b.depth) {
            // See `Translator::run`.
            if self.out.here() > self.limit {
                return;
            }
            let (Labelled { tag, exception, depth }, _) = clauses[0];
            if let Some(tag) = tag {
                self.push_carried(tag);
            }
            if exception == Wanted::Last {
                self.push_temp(Ty::Collected);
            }
            let moves = self.branch_moves(depth);
            let direct = !self.is_function(depth)
                && !self.control_at(depth).is_loop()
                && moves.iter().all(|(to, operand)| in_place(*to, operand));
            if direct {
                let index = self.control.len() - 1 - depth as usize;
                let handlers = clauses.iter().map(|(_, clause)| Exit::Handler(*clause));
                self.control[index].exits.extend(handlers);
            } else {
                if self.reachable && !padded {
                    let at = self.out.op(table::BR);
                    over = Some(self.out.forward(at));
                }
                padded = true;
                self.out.label();
                let code = self.code_offset();
                clauses.iter().for_each(|(_, clause)| self.handlers.bind(*clause, code));
                self.branch_with(depth, &moves);
            }
            self.truncate(height);
        }
        if padded {
            if let Some(over) = over {
                self.out.bind(over);
            }
            self.out.label();
        }
    }
}
