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

/// Loops inside of each other. Each that polls is seen from all around it, and the compiler takes time in proportion to the
/// third power: 0.1 s for 700 of them, 18 s for 4,000.
const NESTED_LOOPS: usize = 100;

/// References times the calls that they have to be found at, each of which costs the compiler two microseconds and more.
const REFERENCES: usize = 1 << 20;

pub(super) struct Budget {
    values: usize,
    /// The deepest nest of loops so far.
    nested: usize,
    locals: usize,
    /// Steps so far.
    steps: usize,
    /// References at calls so far.
    references: usize,
}

impl Budget {
    pub(super) fn new(body_len: usize) -> Budget {
        Budget { values: VALUES + VALUES_PER_BYTE * body_len, nested: 0, locals: 0, steps: 0, references: 0 }
    }

    /// Says that there are so many more locals.
    pub(super) fn add_locals(&mut self, locals: usize) {
        self.locals += locals;
    }

    /// Says that there are so many fewer.
    pub(super) fn remove_locals(&mut self, locals: usize) {
        self.locals -= locals;
    }

    /// Says that a body of so many bytes is inlined.
    pub(super) fn add_body(&mut self, len: usize) {
        self.values += VALUES_PER_BYTE * len;
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
        self.references += references;
    }

    /// Counts other steps.
    pub(super) fn steps(&mut self, steps: usize) {
        self.steps += steps;
    }

    /// Whether the function is too expensive.
    pub(super) fn is_exceeded(&self, dfg: &DataFlowGraph) -> bool {
        self.steps > STEPS
            || self.references > REFERENCES
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
        budget.add_locals(STEPS / 2);
        let dfg = DataFlowGraph::new();
        budget.branch();
        budget.branch();
        assert!(!budget.is_exceeded(&dfg));
        budget.branch();
        assert!(budget.is_exceeded(&dfg));
    }
}
