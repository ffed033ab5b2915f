//! What the intermediate code of one function may cost.
//!
//! Four bytes of a body can carry a thousand values, and a local that is read behind a thousand branches costs
//! a thousand values and as many arguments. Bodies that make something of that sort of their bytes are not
//! compiled: they stay in tier 0. Ordinary code makes about two values of each byte, and empty loops make ten.

use cranelift_codegen::ir::DataFlowGraph;

/// Values: a fixed part, and so many for each byte of the body.
const VALUES: usize = 1 << 20;
const VALUES_PER_BYTE: usize = 16;

/// Words that the lists of values may take for each value. They grow by doubling.
const WORDS_PER_VALUE: usize = 4;

/// Branches times locals, which is what the construction of SSA form can take in steps; and other things of that sort.
const STEPS: usize = 1 << 30;

/// What an operand costs in a block where a frame can be taken over: it is looked up, and there are a few bytes for each variable and block.
const STEPS_PER_OPERAND: usize = 64;

/// Loops inside of each other. Each that polls is seen from all around it, and the compiler takes time in proportion to the
/// third power: 0.1 s for 700 of them, 18 s for 4,000.
const NESTED_LOOPS: usize = 100;

/// References times the calls that they may have to be found at, each of which costs the compiler two microseconds and more: a
/// fixed part, and so many for each byte of the body. Of locals it is not known whether a call is within their lives, so that all
/// of them count. Ordinary code has ten for each byte.
const REFERENCES: usize = 1 << 17;
const REFERENCES_PER_BYTE: usize = 64;

/// How many locals there are.
#[derive(Clone, Copy)]
pub(super) struct Locals {
    pub all: usize,
    /// Those that hold references.
    pub references: usize,
}

pub(super) struct Budget {
    values: usize,
    /// The deepest nest of loops so far.
    nested: usize,
    locals: usize,
    /// Those that hold references.
    reference_locals: usize,
    /// Steps so far.
    steps: usize,
    /// References at calls that there may be yet.
    references: usize,
}

impl Budget {
    pub(super) fn new(body_len: usize) -> Budget {
        Budget {
            values: VALUES + VALUES_PER_BYTE * body_len,
            nested: 0,
            locals: 0,
            reference_locals: 0,
            steps: 0,
            references: REFERENCES + REFERENCES_PER_BYTE * body_len,
        }
    }

    /// Says that there are so many more locals, some of which hold references.
    pub(super) fn add_locals(&mut self, Locals { all, references }: Locals) {
        self.locals += all;
        self.reference_locals += references;
    }

    /// Says that there are so many fewer.
    pub(super) fn remove_locals(&mut self, Locals { all, references }: Locals) {
        self.locals -= all;
        self.reference_locals -= references;
    }

    /// Says that a body of so many bytes is inlined.
    pub(super) fn add_body(&mut self, len: usize) {
        self.values += VALUES_PER_BYTE * len;
        self.references = self.references.saturating_add(REFERENCES_PER_BYTE * len);
    }

    /// Says that there is a loop inside of so many, itself included.
    pub(super) fn nest(&mut self, loops: usize) {
        self.nested = self.nested.max(loops);
    }

    /// Counts values that are kept beside the code.
    pub(super) fn keep(&mut self, values: usize) {
        self.values = self.values.saturating_sub(values);
    }

    /// Counts a branch.
    pub(super) fn branch(&mut self) {
        self.steps += self.locals;
    }

    /// Counts a call at which so many operands are references.
    pub(super) fn call_with(&mut self, references: usize) {
        self.references = self.references.saturating_sub(references + self.reference_locals);
    }

    /// Counts operands that become variables, or values of theirs, at a block.
    pub(super) fn operands(&mut self, operands: usize) {
        self.steps += operands * STEPS_PER_OPERAND;
    }

    /// Counts other steps.
    pub(super) fn steps(&mut self, steps: usize) {
        self.steps += steps;
    }

    /// Whether the function is too expensive.
    pub(super) fn is_exceeded(&self, dfg: &DataFlowGraph) -> bool {
        self.steps > STEPS
            || self.references == 0
            || self.nested > NESTED_LOOPS
            || dfg.num_values() > self.values
            || dfg.value_lists.capacity() / WORDS_PER_VALUE > self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_of_branches_and_locals_is_limited() {
        let mut budget = Budget::new(10);
        budget.add_locals(Locals { all: STEPS / 2, references: 0 });
        let dfg = DataFlowGraph::new();
        budget.branch();
        budget.branch();
        assert!(!budget.is_exceeded(&dfg));
        budget.branch();
        assert!(budget.is_exceeded(&dfg));
    }

    #[test]
    fn the_product_of_calls_and_references_is_limited() {
        let (mut budget, dfg) = (Budget::new(1000), DataFlowGraph::new());
        budget.add_locals(Locals { all: 1000, references: 500 });
        let calls = (REFERENCES + 1000 * REFERENCES_PER_BYTE) / 512;
        for _ in 0..calls - 1 {
            budget.call_with(12);
        }
        assert!(!budget.is_exceeded(&dfg));
        budget.call_with(12);
        budget.call_with(12);
        assert!(budget.is_exceeded(&dfg));
    }
}
