//! Products of 128 bits that a module computes from halves of their factors.
//!
//! WebAssembly has long had no instruction for the upper half of a product. So compilers multiply halves of 32 bits and add what
//! they get, mostly in a function of their runtime called `__multi3`; what it takes a processor one instruction to do is nearly half of
//! the time of some cryptography. There are two ways of it, and both are found here by what they compute and not by their
//! names. With a = a₁·2³² + a₀, b alike, and all sums modulo 2⁶⁴, the first one is
//!
//! ```text
//! p = a₀·b₀    t = a₁·b₀ + p/2³²    u = a₀·b₁ + t mod 2³²
//! low = u·2³² | p mod 2³²    high = a₁·b₁ + t/2³² + u/2³²
//! ```
//!
//! in which no sum overflows, and the second one
//!
//! ```text
//! p = a₀·b₀    s = a₁·b₀ + a₀·b₁
//! low = p + s·2³²    high = a₁·b₁ + (s/2³² | (s < a₁·b₀)·2³²) + (low < p)
//! ```
//!
//! in which both comparisons are those of a sum with one of its terms, and are 1 where that overflows.
//! The terms of `high` may be in any order and among others.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{DataFlowGraph, InstBuilder, InstructionData, Opcode, Value, ValueDef};

use wasmparser::{FunctionBody, Operator};

use super::Lower;

/// Terms of a sum that are looked at. Half a dozen are one product and what `__multi3` adds to it.
const MAX_TERMS: usize = 8;

/// The factors of a product.
type Factors = [Value; 2];

/// Whether a body multiplies halves and adds what it gets, and does nothing else. It need not be a product.
pub(super) fn multiplies_halves(body: &FunctionBody<'_>) -> bool {
    use Operator as O;
    let mut operators = body.get_operators_reader().expect("validated body");
    let (mut products, mut halves) = (0, 0);
    while !operators.eof() {
        match operators.read().expect("validated operators") {
            O::I64Mul => products += 1,
            O::I64ShrU => halves += 1,
            O::LocalGet { .. }
            | O::LocalSet { .. }
            | O::LocalTee { .. }
            | O::I64Const { .. }
            | O::I64Add
            | O::I64And
            | O::I64Or
            | O::I64Shl
            | O::I64LtU
            | O::I64GtU
            | O::I64ExtendI32U
            | O::I64Load { .. }
            | O::I64Store { .. }
            | O::End => {}
            _ => return false,
        }
    }
    // Those of two halves with two, and the upper half of each factor.
    products >= 4 && halves >= 2
}

impl Lower<'_, '_, '_> {
    /// The sum of two integers.
    pub(super) fn sum(&mut self, a: Value, b: Value) -> Value {
        let values = Values(&self.builder.func.dfg);
        if values.is_long(a) {
            if let Some([a, b]) = values.low_of_sum(a, b) {
                return self.builder.ins().imul(a, b);
            }
            if let Some(([a, b], others)) = values.high(a, b) {
                let high = self.builder.ins().umulhi(a, b);
                return others.into_iter().fold(high, |sum, term| self.builder.ins().iadd(sum, term));
            }
        }
        self.builder.ins().iadd(a, b)
    }

    /// Two integers, bit by bit: ones where either has one.
    pub(super) fn union(&mut self, a: Value, b: Value) -> Value {
        let values = Values(&self.builder.func.dfg);
        if values.is_long(a)
            && let Some([a, b]) = values.low_of_union(a, b)
        {
            return self.builder.ins().imul(a, b);
        }
        self.builder.ins().bor(a, b)
    }
}

/// The instructions that values are results of.
struct Values<'f>(&'f DataFlowGraph);

impl Values<'_> {
    fn is_long(&self, value: Value) -> bool {
        self.0.value_type(value) == I64
    }

    fn instruction(&self, value: Value) -> Option<&InstructionData> {
        match self.0.value_def(value) {
            ValueDef::Result(instruction, 0) => Some(&self.0.insts[instruction]),
            _ => None,
        }
    }

    fn is_same(&self, a: Value, b: Value) -> bool {
        self.0.resolve_aliases(a) == self.0.resolve_aliases(b)
    }

    /// The operands of an instruction.
    fn binary(&self, value: Value, wanted: Opcode) -> Option<[Value; 2]> {
        match *self.instruction(value)? {
            InstructionData::Binary { opcode, args } if opcode == wanted => Some(args),
            _ => None,
        }
    }

    /// The operands of one whose operands may change places, both ways.
    fn either_way(&self, value: Value, wanted: Opcode) -> impl Iterator<Item = [Value; 2]> + use<> {
        self.binary(value, wanted).into_iter().flat_map(|[a, b]| [[a, b], [b, a]])
    }

    fn extended(&self, value: Value) -> Option<Value> {
        match *self.instruction(value)? {
            InstructionData::Unary { opcode: Opcode::Uextend, arg } => Some(arg),
            _ => None,
        }
    }

    fn is_constant(&self, value: Value, wanted: i64) -> bool {
        matches!(self.instruction(value), Some(InstructionData::UnaryImm { opcode: Opcode::Iconst, imm })
            if imm.bits() == wanted)
    }

    fn shifted_by_half(&self, value: Value, shift: Opcode) -> Option<Value> {
        let [value, amount] = self.binary(value, shift)?;
        self.is_constant(amount, 32).then_some(value)
    }

    /// What `value` is the upper half of.
    fn upper(&self, value: Value) -> Option<Value> {
        self.shifted_by_half(value, Opcode::Ushr)
    }

    /// What `value` is the lower half of.
    fn lower(&self, value: Value) -> Option<Value> {
        let mut ways = self.either_way(value, Opcode::Band);
        ways.find_map(|[value, mask]| self.is_constant(mask, 0xffff_ffff).then_some(value))
    }

    /// What `value` is, times 2³².
    fn raised(&self, value: Value) -> Option<Value> {
        self.shifted_by_half(value, Opcode::Ishl)
    }

    /// The terms of the comparison that `value` is 1 or 0 for: whether the first is less than the second.
    fn less(&self, value: Value) -> Option<[Value; 2]> {
        let flag = self.extended(value).filter(|flag| self.0.value_type(*flag) == I32)?;
        match *self.instruction(self.extended(flag)?)? {
            InstructionData::IntCompare { args: [a, b], cond, .. } if self.is_long(a) => match cond {
                IntCC::UnsignedLessThan => Some([a, b]),
                IntCC::UnsignedGreaterThan => Some([b, a]),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether `value` is a product of what these say of its factors.
    fn is_product(&self, value: Value, is: [&dyn Fn(Value) -> bool; 2]) -> bool {
        self.either_way(value, Opcode::Imul).any(|[a, b]| is[0](a) && is[1](b))
    }

    fn is_product_of_upper(&self, value: Value, [a, b]: Factors) -> bool {
        self.is_product(value, [&|of| self.is_upper_of(of, a), &|of| self.is_upper_of(of, b)])
    }

    fn is_upper_of(&self, value: Value, whole: Value) -> bool {
        self.upper(value).is_some_and(|of| self.is_same(of, whole))
    }

    fn is_lower_of(&self, value: Value, whole: Value) -> bool {
        self.lower(value).is_some_and(|of| self.is_same(of, whole))
    }

    /// Of which factors `value` is the product of the lower halves.
    fn factors_of_lower(&self, value: Value) -> Option<Factors> {
        let [a, b] = self.binary(value, Opcode::Imul)?;
        Some([self.lower(a)?, self.lower(b)?])
    }

    /// Whether two values are the products of the upper half of one factor and the lower half of the other.
    fn are_crossed(&self, values: [Value; 2], [a, b]: Factors) -> bool {
        let is_crossed = |value, upper, lower| {
            self.is_product(value, [&|of| self.is_upper_of(of, upper), &|of| self.is_lower_of(of, lower)])
        };
        let [one, other] = values;
        is_crossed(one, a, b) && is_crossed(other, b, a) || is_crossed(one, b, a) && is_crossed(other, a, b)
    }

    /// The factors, p and t of the first way for its u.
    fn first_way(&self, u: Value) -> Option<(Factors, Value, Value)> {
        self.either_way(u, Opcode::Iadd).find_map(|[t_low, one]| {
            let t = self.lower(t_low)?;
            self.either_way(t, Opcode::Iadd).find_map(|[p_high, other]| {
                let p = self.upper(p_high)?;
                let factors = self.factors_of_lower(p)?;
                self.are_crossed([one, other], factors).then_some((factors, p, t))
            })
        })
    }

    /// The lower half of a product, as the first way has it: its factors.
    fn low_of_union(&self, a: Value, b: Value) -> Option<Factors> {
        [[a, b], [b, a]].into_iter().find_map(|[u_high, p_low]| {
            let (factors, p, _) = self.first_way(self.raised(u_high)?)?;
            self.is_lower_of(p_low, p).then_some(factors)
        })
    }

    /// The lower half of a product, as the second way has it: its factors.
    fn low_of_sum(&self, a: Value, b: Value) -> Option<Factors> {
        [[a, b], [b, a]].into_iter().find_map(|[s_high, p]| {
            let crossed = self.binary(self.raised(s_high)?, Opcode::Iadd)?;
            self.factors_of_lower(p).filter(|factors| self.are_crossed(crossed, *factors))
        })
    }

    /// If there is the upper half of a product among the terms of a sum: its factors, and the other terms.
    fn high(&self, a: Value, b: Value) -> Option<(Factors, Vec<Value>)> {
        let mut terms = Vec::new();
        self.add_terms(a, &mut terms);
        self.add_terms(b, &mut terms);
        if terms.len() < 3 || terms.len() > MAX_TERMS {
            return None;
        }
        let (factors, found) = self.high_in_first_way(&terms).or_else(|| self.high_in_second_way(&terms))?;
        let mut others = terms;
        for term in found {
            let at = others.iter().position(|other| *other == term)?;
            others.swap_remove(at);
        }
        Some((factors, others))
    }

    /// Terms whose sum `value` is, one more than is looked at if there are as many.
    fn add_terms(&self, value: Value, terms: &mut Vec<Value>) {
        // Of the second way: the two have no bits in common.
        let is_carry_and_upper = |[carry, upper]: &[Value; 2]| {
            self.upper(*upper).is_some() && self.raised(*carry).is_some_and(|of| self.less(of).is_some())
        };
        let mut sums = vec![value];
        while let Some(value) = sums.pop() {
            let sum = self.binary(value, Opcode::Iadd);
            match sum.or_else(|| self.either_way(value, Opcode::Bor).find(is_carry_and_upper)) {
                Some(two) if sums.len() + terms.len() <= MAX_TERMS => sums.extend(two),
                _ => terms.push(value),
            }
        }
    }

    /// The factors of the product whose upper half is among these terms in the first way, and which terms that are.
    fn high_in_first_way(&self, terms: &[Value]) -> Option<(Factors, Vec<Value>)> {
        terms.iter().find_map(|&u_high| {
            let (factors, _, t) = self.first_way(self.upper(u_high)?)?;
            let t_high = *terms.iter().find(|term| self.is_upper_of(**term, t))?;
            let upper = *terms.iter().find(|term| self.is_product_of_upper(**term, factors))?;
            Some((factors, vec![u_high, t_high, upper]))
        })
    }

    /// The same in the second way, whose `low` has been found to be a product before.
    fn high_in_second_way(&self, terms: &[Value]) -> Option<(Factors, Vec<Value>)> {
        terms.iter().find_map(|&carry| {
            let [s, term_of_s] = self.less(self.raised(carry)?)?;
            let crossed = self.binary(s, Opcode::Iadd)?;
            let s_high = *terms.iter().find(|term| self.is_upper_of(**term, s))?;
            let is_carry_of = |factors: Factors| {
                crossed.iter().any(|of| self.is_same(*of, term_of_s)) && self.are_crossed(crossed, factors)
            };
            terms.iter().find_map(|&low_carry| {
                let [low, term_of_low] = self.less(low_carry)?;
                let factors = self.binary(low, Opcode::Imul).filter(|factors| is_carry_of(*factors))?;
                let [a, b] = factors;
                let is_p = self
                    .is_product(term_of_low, [&|of| self.is_lower_of(of, a), &|of| self.is_lower_of(of, b)]);
                let is_s_raised = || self.raised(term_of_low).is_some_and(|of| self.is_same(of, s));
                let upper = *terms.iter().find(|term| self.is_product_of_upper(**term, factors))?;
                (is_p || is_s_raised()).then(|| (factors, vec![carry, s_high, low_carry, upper]))
            })
        })
    }
}
