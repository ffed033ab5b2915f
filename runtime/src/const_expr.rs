//! Constant expressions: initial values of globals and table elements, offsets of segments.
//!
//! Nearly all are one instruction and are stored as such. The others (the extended-const proposal) stay
//! bytes of the module and are evaluated with a small stack machine, without recursion.

use std::ops::Range;

use wasmparser::{BinaryReader, Operator, OperatorsReader};

/// A validated constant expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConstExpr {
    /// A number, in the representation of a value slot.
    Value(u64),
    /// The value of a global.
    GlobalGet(u32),
    /// A null reference.
    RefNull,
    /// A reference to a function.
    RefFunc(u32),
    /// Anything else: a range of the module's bytes.
    Code(Range<usize>),
}

/// What a constant expression can ask for.
pub trait ConstContext {
    /// The value slot of a global.
    fn global(&mut self, index: u32) -> u64;
    /// A reference to a function, in the representation of a value slot.
    fn func_ref(&mut self, index: u32) -> u64;
}

impl ConstExpr {
    /// Shortens a validated expression.
    pub(crate) fn new(expr: &wasmparser::ConstExpr<'_>) -> ConstExpr {
        let reader = expr.get_binary_reader();
        let range = reader.range().start as usize..reader.range().end as usize;
        let mut operators = OperatorsReader::new(reader);
        let first = operators.read();
        let second = operators.read();
        match (first, second) {
            (Ok(op), Ok(Operator::End)) => Self::single(&op).unwrap_or(ConstExpr::Code(range)),
            _ => ConstExpr::Code(range),
        }
    }

    fn single(op: &Operator<'_>) -> Option<ConstExpr> {
        Some(match *op {
            Operator::I32Const { value } => ConstExpr::Value(u64::from(value as u32)),
            Operator::I64Const { value } => ConstExpr::Value(value as u64),
            Operator::F32Const { value } => ConstExpr::Value(value.bits().into()),
            Operator::F64Const { value } => ConstExpr::Value(value.bits()),
            Operator::GlobalGet { global_index } => ConstExpr::GlobalGet(global_index),
            Operator::RefNull { .. } => ConstExpr::RefNull,
            Operator::RefFunc { function_index } => ConstExpr::RefFunc(function_index),
            _ => return None,
        })
    }

    /// The value if it depends on nothing.
    pub fn as_value(&self) -> Option<u64> {
        match self {
            ConstExpr::Value(v) => Some(*v),
            _ => None,
        }
    }

    /// The value, in the representation of a value slot. A null reference is 0.
    pub fn evaluate(&self, bytes: &[u8], context: &mut dyn ConstContext) -> u64 {
        match self {
            ConstExpr::Value(v) => *v,
            ConstExpr::GlobalGet(index) => context.global(*index),
            ConstExpr::RefNull => 0,
            ConstExpr::RefFunc(index) => context.func_ref(*index),
            ConstExpr::Code(range) => evaluate_code(&bytes[range.clone()], context),
        }
    }

    /// Calls `visit` with each function that the expression names.
    pub(crate) fn for_each_function(&self, bytes: &[u8], visit: &mut dyn FnMut(u32)) {
        match self {
            ConstExpr::RefFunc(index) => visit(*index),
            ConstExpr::Code(range) => {
                let mut reader = OperatorsReader::new(BinaryReader::new(&bytes[range.clone()], 0));
                while let Ok(op) = reader.read() {
                    if let Operator::RefFunc { function_index } = op {
                        visit(function_index);
                    }
                }
            }
            _ => {}
        }
    }
}

fn evaluate_code(code: &[u8], context: &mut dyn ConstContext) -> u64 {
    let mut reader = OperatorsReader::new(BinaryReader::new(code, 0));
    let mut stack: Vec<u64> = Vec::new();
    // The expression is validated: operands are there and every operator is one of those below.
    while let Ok(op) = reader.read() {
        let value = match op {
            Operator::End => break,
            Operator::I32Add => binary(&mut stack, |a, b| (a as u32).wrapping_add(b as u32).into()),
            Operator::I32Sub => binary(&mut stack, |a, b| (a as u32).wrapping_sub(b as u32).into()),
            Operator::I32Mul => binary(&mut stack, |a, b| (a as u32).wrapping_mul(b as u32).into()),
            Operator::I64Add => binary(&mut stack, u64::wrapping_add),
            Operator::I64Sub => binary(&mut stack, u64::wrapping_sub),
            Operator::I64Mul => binary(&mut stack, u64::wrapping_mul),
            ref op => match ConstExpr::single(op) {
                Some(single) => single.evaluate(&[], context),
                None => unreachable!("validated constant expression contains {op:?}"),
            },
        };
        stack.push(value);
    }
    stack.pop().unwrap_or(0)
}

fn binary(stack: &mut Vec<u64>, f: impl Fn(u64, u64) -> u64) -> u64 {
    let b = stack.pop().unwrap_or(0);
    let a = stack.pop().unwrap_or(0);
    f(a, b)
}
