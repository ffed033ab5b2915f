//! Structured control: blocks, branches, and the labels that they lead to.

use wasmparser::BlockType;
use wasmrun_runtime::frame::Heights;
use wasmrun_runtime::types::{FuncType, ValType};

use super::Translator;
use super::emit::Fixup;
use super::exceptions::{OpenTry, OpenTryTable};
use super::stack::{Place, Ty};
use crate::handlers::{ClauseId, RegionId};
use crate::table;

#[derive(Debug)]
pub(super) enum Kind {
    Function,
    Block,
    /// With its number among the loops.
    Loop(usize),
    If,
    Else,
    // Boxed: a body can have millions of open blocks, and most are none of these.
    TryTable(Box<OpenTryTable>),
    Try(Box<OpenTry>),
    /// A `try` from its first `catch` or `catch_all` on.
    Catch(Box<OpenTry>),
}

/// What leads to the end of a block.
#[derive(Debug)]
pub(super) enum Exit {
    Branch(Fixup),
    Handler(ClauseId),
}

/// Parameters and results of a block.
#[derive(Clone, Debug)]
pub(super) enum Signature {
    Empty,
    Result(Ty),
    Type(FuncType),
}

impl Signature {
    fn collect(types: &[ValType]) -> Vec<Ty> {
        types.iter().map(|ty| Ty::of(*ty)).collect()
    }

    pub(super) fn params(&self) -> Vec<Ty> {
        match self {
            Signature::Empty | Signature::Result(_) => Vec::new(),
            Signature::Type(ty) => Self::collect(ty.params()),
        }
    }

    pub(super) fn results(&self) -> Vec<Ty> {
        match self {
            Signature::Empty => Vec::new(),
            Signature::Result(ty) => vec![*ty],
            Signature::Type(ty) => Self::collect(ty.results()),
        }
    }
}

/// An open block.
#[derive(Debug)]
pub(super) struct Control {
    pub(super) kind: Kind,
    pub(super) signature: Signature,
    /// Operands below the block's parameters.
    height: usize,
    /// Where its first operand goes.
    pub(super) base: Heights,
    /// Where a loop starts.
    pub(super) start: usize,
    /// What leads to its end.
    pub(super) exits: Vec<Exit>,
    /// The branch of an `if` to its `else`.
    otherwise: Option<Fixup>,
    /// Where those of the translator's settled constants start that were settled within it, or its running arm.
    settled: usize,
    /// The innermost region that covers its code, or that of its running arm.
    pub(super) region: RegionId,
}

impl Control {
    /// The block that a function body is.
    pub(super) fn function(ty: &FuncType) -> Control {
        let results = Signature::Type(FuncType::new([], ty.results().iter().copied()));
        Control::of(Kind::Function, results)
    }

    fn of(kind: Kind, signature: Signature) -> Control {
        Control {
            kind,
            signature,
            height: 0,
            base: Heights::default(),
            start: 0,
            exits: Vec::new(),
            otherwise: None,
            settled: 0,
            region: RegionId::NONE,
        }
    }

    pub(super) fn is_loop(&self) -> bool {
        matches!(self.kind, Kind::Loop(_))
    }

    /// Operands below the block's parameters.
    pub(super) fn height(&self) -> usize {
        self.height
    }
}

impl Translator<'_> {
    fn signature(&self, ty: BlockType) -> Signature {
        match ty {
            BlockType::Empty => Signature::Empty,
            BlockType::Type(ty) => Signature::Result(Ty::of(self.module.val_type(ty))),
            BlockType::FuncType(index) => Signature::Type(self.module.func_type(index).clone()),
        }
    }

    fn open(&mut self, kind: Kind, signature: Signature, params: usize) {
        let height = self.stack.len() - params;
        let mut base = self.stack.heights();
        for index in height..self.stack.len() {
            base.pop(self.stack.get(index).ty.val_type());
        }
        let start = self.out.here();
        let (settled, region) = (self.settled.len(), self.region());
        self.control.push(Control { height, base, start, settled, region, ..Control::of(kind, signature) });
    }

    /// Opens a block whose parameters are in their homes.
    pub(super) fn open_settled(&mut self, kind: Kind, ty: BlockType) {
        let signature = self.signature(ty);
        let params = signature.params().len();
        self.settle_top(params);
        self.settle_locals();
        self.out.commit();
        self.open(kind, signature, params);
    }

    /// The innermost block.
    pub(super) fn innermost(&self) -> &Control {
        self.control.last().expect("an open block")
    }

    pub(super) fn innermost_mut(&mut self) -> &mut Control {
        self.control.last_mut().expect("an open block")
    }

    /// The block `depth` levels out.
    pub(super) fn control_at(&self, depth: u32) -> &Control {
        &self.control[self.control.len() - 1 - depth as usize]
    }

    pub(super) fn block(&mut self, ty: BlockType) {
        self.open_settled(Kind::Block, ty);
    }

    pub(super) fn loop_(&mut self, ty: BlockType) {
        let signature = self.signature(ty);
        let params = signature.params().len();
        self.loop_header();
        self.open(Kind::Loop(self.loops.len() - 1), signature, params);
        self.new_segment();
        self.count();
    }

    pub(super) fn if_(&mut self, ty: BlockType) {
        let condition = self.stack.pop();
        let signature = self.signature(ty);
        let params = signature.params().len();
        // What is emitted between the comparison and the branch would keep them from being fused.
        let settled = (self.stack.len() - params..self.stack.len())
            .all(|i| self.stack.get(i).place == Place::Temp)
            && self.stack.find_local(None, self.stack.len()).is_none();
        if !settled {
            self.out.commit();
        }
        self.settle_top(params);
        self.settle_locals();
        let fixup = self.branch_when(condition, false, None);
        self.open(Kind::If, signature, params);
        self.control.last_mut().expect("just opened").otherwise = fixup;
        self.new_segment();
    }

    pub(super) fn else_(&mut self) {
        self.end_arm();
        let control = self.control.last_mut().expect("an open `if`");
        control.kind = Kind::Else;
        let params = control.signature.params();
        if let Some(fixup) = control.otherwise.take() {
            self.out.bind(fixup);
        }
        self.begin_arm();
        for ty in params {
            self.push_temp(ty);
        }
        self.new_segment();
    }

    /// Leaves an arm of the innermost block for its end.
    pub(super) fn end_arm(&mut self) {
        if self.reachable {
            self.settle_results();
            self.out.commit();
            let at = self.out.op(table::BR);
            let fixup = self.out.forward(at);
            self.innermost_mut().exits.push(Exit::Branch(fixup));
        }
    }

    /// Begins another arm, to which code comes from elsewhere: with the operands below the block.
    pub(super) fn begin_arm(&mut self) {
        let control = self.innermost();
        let (height, settled) = (control.height, control.settled);
        self.out.label();
        self.truncate(height);
        self.take_back(settled);
        self.reachable = true;
    }

    pub(super) fn end(&mut self) {
        if let Kind::Function = self.innermost().kind {
            if self.reachable {
                self.return_();
            }
            self.control.pop();
            return;
        }
        if self.reachable {
            self.settle_results();
        }
        self.end_region();
        let control = self.control.pop().expect("an open block");
        self.truncate(control.height);
        self.take_back(control.settled);
        if let Kind::Loop(index) = control.kind {
            self.loops[index].end = self.out.source;
        }
        let catches = matches!(control.kind, Kind::TryTable(_) | Kind::Try(_) | Kind::Catch(_));
        self.bind_handlers(control.kind);
        let joined = !control.exits.is_empty() || control.otherwise.is_some();
        if joined {
            self.out.commit();
        }
        let code = self.code_offset();
        for exit in control.exits.into_iter().chain(control.otherwise.map(Exit::Branch)) {
            match exit {
                Exit::Branch(fixup) => self.out.bind(fixup),
                Exit::Handler(clause) => self.handlers.bind(clause, code),
            }
        }
        if joined {
            self.out.label();
        }
        for ty in control.signature.results() {
            self.push_temp(ty);
        }
        let was_reachable = self.reachable;
        self.reachable |= joined;
        // The end of a block that catches begins a segment in any case: see `wasmrun_runtime::fuel`.
        if joined || !was_reachable || catches {
            self.segment = None;
            self.uncounted = None;
            if self.reachable {
                self.new_segment();
            }
        }
    }

    /// Puts the results of the innermost block where the code behind it expects them.
    fn settle_results(&mut self) {
        self.move_results();
        let control = self.innermost();
        let (height, results) = (control.height, control.signature.results());
        self.truncate(height);
        for ty in results {
            self.push_temp(ty);
        }
    }

    pub(super) fn truncate(&mut self, height: usize) {
        while self.stack.len() > height {
            self.stack.pop();
        }
    }
}
