//! Constant expressions: initial values of globals and table elements, offsets of segments.
//!
//! Nearly all are one instruction and are stored as such. The others (the extended-const proposal) stay
//! bytes of the module and are evaluated with a small stack machine, without recursion.

use std::ops::Range;

use wasmparser::{BinaryReader, Operator, OperatorsReader, SectionLimited};

use crate::trap::Pending;
use crate::value::RawValue;

/// A validated constant expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConstExpr {
    /// A number or vector.
    Value(RawValue),
    /// The value of a global.
    GlobalGet(u32),
    /// A null reference.
    RefNull,
    /// A reference to a function.
    RefFunc(u32),
    /// Anything else: a range of the module's bytes.
    Code(Range<usize>),
}

/// Constant expressions one behind the other, which stay bytes of the module: there can be millions.
#[derive(Clone, Debug)]
pub struct ConstExprs {
    count: u32,
    range: Range<usize>,
}

impl ConstExprs {
    /// Notes where validated expressions are.
    pub(crate) fn new(expressions: &SectionLimited<'_, wasmparser::ConstExpr<'_>>) -> ConstExprs {
        let range = expressions.original_position() as usize..expressions.range().end as usize;
        ConstExprs { count: expressions.count(), range }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The expressions, in order. `bytes` are those of the module.
    pub fn iter<'b>(&self, bytes: &'b [u8]) -> impl Iterator<Item = ConstExpr> + use<'b> {
        let mut reader = BinaryReader::new(&bytes[self.range.clone()], self.range.start as u64);
        (0..self.count).map_while(move |_| reader.read().ok().map(|expr| ConstExpr::new(&expr)))
    }
}

/// What a constant expression can ask for, and the operands of one that is evaluated.
pub trait ConstContext {
    /// The value of a global.
    fn global(&mut self, index: u32) -> RawValue;
    /// A reference to a function.
    fn func_ref(&mut self, index: u32) -> RawValue;
    /// Pushes an operand. It is no reference to an object.
    fn push(&mut self, value: RawValue);
    /// Pushes the value of a global, of any type.
    fn push_global(&mut self, index: u32);
    /// Takes the topmost operand.
    fn pop(&mut self) -> RawValue;
    /// Executes an instruction of the GC proposal.
    ///
    /// # Errors
    /// It traps, or there is no memory for an object.
    fn object(&mut self, operator: &Operator<'_>) -> Result<(), Pending>;
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
            Operator::I32Const { value } => ConstExpr::Value(u64::from(value as u32).into()),
            Operator::I64Const { value } => ConstExpr::Value((value as u64).into()),
            Operator::F32Const { value } => ConstExpr::Value(u64::from(value.bits()).into()),
            Operator::F64Const { value } => ConstExpr::Value(value.bits().into()),
            Operator::V128Const { value } => ConstExpr::Value(u128::from_le_bytes(*value.bytes()).into()),
            Operator::GlobalGet { global_index } => ConstExpr::GlobalGet(global_index),
            Operator::RefNull { .. } => ConstExpr::RefNull,
            Operator::RefFunc { function_index } => ConstExpr::RefFunc(function_index),
            _ => return None,
        })
    }

    /// The value if it depends on nothing.
    pub fn as_value(&self) -> Option<RawValue> {
        match self {
            ConstExpr::Value(v) => Some(*v),
            _ => None,
        }
    }

    /// The value.
    ///
    /// # Errors
    /// An instruction traps, or there is no memory for an object.
    pub fn evaluate(&self, bytes: &[u8], context: &mut dyn ConstContext) -> Result<RawValue, Pending> {
        Ok(match self {
            ConstExpr::Value(v) => *v,
            ConstExpr::GlobalGet(index) => context.global(*index),
            ConstExpr::RefNull => RawValue::ZERO,
            ConstExpr::RefFunc(index) => context.func_ref(*index),
            ConstExpr::Code(range) => return evaluate_code(&bytes[range.clone()], context),
        })
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

fn evaluate_code(code: &[u8], context: &mut dyn ConstContext) -> Result<RawValue, Pending> {
    let mut reader = OperatorsReader::new(BinaryReader::new(code, 0));
    // The expression is validated: operands are there and every operator is one of those below.
    while let Ok(op) = reader.read() {
        match op {
            Operator::End => break,
            Operator::I32Add => binary(context, |a, b| (a as u32).wrapping_add(b as u32).into()),
            Operator::I32Sub => binary(context, |a, b| (a as u32).wrapping_sub(b as u32).into()),
            Operator::I32Mul => binary(context, |a, b| (a as u32).wrapping_mul(b as u32).into()),
            Operator::I64Add => binary(context, u64::wrapping_add),
            Operator::I64Sub => binary(context, u64::wrapping_sub),
            Operator::I64Mul => binary(context, u64::wrapping_mul),
            Operator::GlobalGet { global_index } => context.push_global(global_index),
            ref op => match ConstExpr::single(op) {
                Some(single) => {
                    let value = single.evaluate(&[], context)?;
                    context.push(value);
                }
                None => context.object(op)?,
            },
        }
    }
    Ok(context.pop())
}

fn binary(context: &mut dyn ConstContext, f: impl Fn(u64, u64) -> u64) {
    let b = context.pop();
    let a = context.pop();
    context.push(f(a.low(), b.low()).into());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two vectors as globals, and the operands.
    #[derive(Default)]
    struct Globals(Vec<RawValue>);

    const VECTORS: [u128; 2] = [0x0011_2233_4455_6677_8899_aabb_ccdd_eeff, u128::MAX << 64];

    impl ConstContext for Globals {
        fn global(&mut self, index: u32) -> RawValue {
            VECTORS[index as usize].into()
        }
        fn func_ref(&mut self, index: u32) -> RawValue {
            u64::from(index).into()
        }
        fn push(&mut self, value: RawValue) {
            self.0.push(value);
        }
        fn push_global(&mut self, index: u32) {
            let value = self.global(index);
            self.push(value);
        }
        fn pop(&mut self) -> RawValue {
            self.0.pop().unwrap()
        }
        fn object(&mut self, operator: &Operator<'_>) -> Result<(), Pending> {
            panic!("{operator:?} is no instruction on numbers")
        }
    }

    fn value(expr: &ConstExpr, bytes: &[u8]) -> RawValue {
        expr.evaluate(bytes, &mut Globals::default()).unwrap()
    }

    fn parsed(code: &[u8]) -> ConstExpr {
        ConstExpr::new(&wasmparser::ConstExpr::new(BinaryReader::new(code, 0)))
    }

    #[test]
    fn vectors_keep_all_their_bits() {
        let mut v128_const = vec![0xfd, 0x0c];
        v128_const.extend(VECTORS[0].to_le_bytes());
        v128_const.push(0x0b);
        let constant = parsed(&v128_const);
        assert_eq!(constant.as_value(), Some(VECTORS[0].into()));
        assert_eq!(value(&constant, &v128_const), VECTORS[0].into());
        assert_eq!(value(&parsed(&[0x23, 1, 0x0b]), &[]), VECTORS[1].into());
        // Not shortened to its one instruction.
        let code = ConstExpr::Code(0..v128_const.len());
        assert_eq!(value(&code, &v128_const), VECTORS[0].into());
        assert_eq!(RawValue::from(VECTORS[0]).words()[1], 0x0011_2233_4455_6677);
    }

    #[test]
    fn integers_wrap_in_their_own_width() {
        // i32.const -1, i32.const 2, i32.add, end; the same for i64.
        let narrow = [0x41, 0x7f, 0x41, 2, 0x6a, 0x0b];
        assert_eq!(value(&parsed(&narrow), &narrow), 1u64.into());
        let wide = [0x42, 0x7f, 0x42, 1, 0x7d, 0x0b];
        assert_eq!(value(&parsed(&wide), &wide), (u64::MAX - 1).into());
    }
}
